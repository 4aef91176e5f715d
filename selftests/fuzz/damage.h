/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Damage to messages, the same from the same seed.
 */
#ifndef MOAT_SELFTESTS_FUZZ_DAMAGE_H
#define MOAT_SELFTESTS_FUZZ_DAMAGE_H

#include <stddef.h>
#include <stdint.h>

/**
 * damage_start() - begin a series: MOAT_FUZZ_SEED, or always the same one
 */
void damage_start(void);

/**
 * damage_setting() - a number from the environment, or @otherwise
 */
uint64_t damage_setting(const char *name, uint64_t otherwise);

uint64_t damage_draw(void);

/**
 * damage_below() - a number from 0 to @limit - 1; 0 for a limit of 0
 */
size_t damage_below(size_t limit);

/**
 * damage() - one change
 * @buf: message
 * @len: its octets, at least one
 * @size: room in @buf
 * @other: another message to take octets from
 * @other_len: its octets
 *
 * Return: the new length.
 */
size_t damage(uint8_t *buf, size_t len, size_t size, const uint8_t *other,
	      size_t other_len);

/**
 * damage_fix_length() - write the length of the ISAKMP header, if there is one
 */
void damage_fix_length(uint8_t *data, size_t len);

#endif
