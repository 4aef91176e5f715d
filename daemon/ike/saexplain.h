/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What choosing a proposal of quick mode and explaining why none fits have in
 * common: saproposal.c and saexplain.c. Not for others.
 */
#ifndef MOAT_IKE_SAEXPLAIN_H
#define MOAT_IKE_SAEXPLAIN_H

#include "ike/mismatch.h"

/* A transform as offered; 0 is "not given", numbers are the wire's. */
struct moat_sa_seen {
	uint8_t protocol;
	uint8_t id;
	uint64_t key_bits;
	uint64_t auth;
	uint64_t group;
	uint64_t encap;
	uint64_t esn;
	struct moat_life life;
	const char *bad;
};

enum {
	DIFF_CIPHER = 1,
	DIFF_AUTH = 2,
	DIFF_GROUP = 4,
	DIFF_MODE = 8,
	DIFF_ESN = 16,
	DIFF_BAD = 32
};

/* @half: of a bundle ESP fits, and what differs is AH: closer than any other pair */
struct moat_sa_closest {
	bool half;
	unsigned int score;
	unsigned int diff;
	struct moat_sa_seen seen;
	const struct moat_sa_alg *ours;
	unsigned int offers;
	const char *structure;
};

/* Proposals with one number: what is taken or left together. */
struct moat_sa_set {
	uint8_t number;
	const struct moat_proposal *esp;
	const struct moat_proposal *ah;
	bool other;
};

/** moat_sa_usable() - a list that is there and holds something, or NULL */
const struct moat_sa_algs *moat_sa_usable(const struct moat_sa_algs *algs);

/** moat_sa_encap() - the encapsulation mode that is wanted, as on the wire */
uint16_t moat_sa_encap(const struct moat_sa_want *want);

/** moat_sa_gather() - the proposals that share the number of proposal @first */
void moat_sa_gather(const struct moat_sa_payload *sa, unsigned int first,
		    struct moat_sa_set *set);

/**
 * moat_sa_explain() - say why nothing fits
 * @best: the closest pair that was found
 * @want: ours
 * @sa: the peer's payload
 * @role: whose payload it is
 * @why: filled in
 *
 * Return: -1.
 */
int moat_sa_explain(const struct moat_sa_closest *best, const struct moat_sa_want *want,
		    const struct moat_sa_payload *sa, enum moat_sa_role role,
		    struct moat_mismatch *why);

#endif
