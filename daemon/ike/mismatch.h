/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Parts that the proposals of both phases share: lifetimes, and the sentence
 * that explains a mismatch. Not for others.
 */
#ifndef MOAT_IKE_MISMATCH_H
#define MOAT_IKE_MISMATCH_H

#include "ike/algtable.h"
#include "ike/proposal.h"

/**
 * struct moat_life - lifetimes of one transform
 * @seconds: 0 when not given
 * @kilobytes: 0 when not given
 * @type: the life type that a duration will belong to, 0 when none is open
 */
struct moat_life {
	uint64_t seconds;
	uint64_t kilobytes;
	uint64_t type;
};

/**
 * moat_life_type() - a life type attribute was read
 *
 * Return: NULL, or what is wrong with it.
 */
const char *moat_life_type(struct moat_life *life, uint64_t type);

/**
 * moat_life_duration() - a life duration attribute was read
 *
 * Return: NULL, or what is wrong with it.
 */
const char *moat_life_duration(struct moat_life *life, uint64_t duration);

/**
 * moat_life_shorter() - the shorter of two lifetimes, 0 being none
 */
uint64_t moat_life_shorter(uint64_t ours, uint64_t theirs);

/**
 * moat_life_seconds() - likewise, at most UINT32_MAX
 */
uint32_t moat_life_seconds(uint32_t ours, uint64_t theirs);

/**
 * moat_keep() - remember the value of an attribute that may stand only once
 * @slot: where; 0 when not seen yet
 * @value: its value
 *
 * Return: false when another value stood there (RFC 2407 §4.5.2).
 */
bool moat_keep(uint64_t *slot, uint64_t value);

/**
 * moat_keep_attr() - likewise for an attribute as read
 * @bad: takes what is wrong with it
 */
void moat_keep_attr(const char **bad, uint64_t *slot, const struct moat_attr *attr);

/** moat_group_print() - a group by its number on the wire: "modp2048", "group 25" */
void moat_group_print(uint64_t number, char *out, size_t size);

/**
 * moat_explain_pair() - one attribute: "; hash: offered sha1, we have sha256"
 * @why: takes it as a difference, too
 * @t: sentence
 * @attribute: its name
 * @offered: what the peer has
 * @ours: what we have
 */
void moat_explain_pair(struct moat_mismatch *why, struct moat_text *t,
		       const char *attribute, const char *offered, const char *ours);

#endif
