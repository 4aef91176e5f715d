/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the fuzzers share: the whole codec run over some octets, and messages to
 * start from.
 */
#ifndef MOAT_SELFTESTS_FUZZ_CODEC_H
#define MOAT_SELFTESTS_FUZZ_CODEC_H

#include <stddef.h>
#include <stdint.h>

/**
 * enum fuzz_fate - how far a datagram came
 */
enum fuzz_fate { FUZZ_NO_HEADER, FUZZ_NO_CHAIN, FUZZ_BAD_BODY, FUZZ_READ };

/**
 * fuzz_codec() - read a datagram with everything the codec and proposals have
 * @data: datagram
 * @len: its octets
 *
 * Aborts when something the codec promises does not hold: views inside the
 * datagram, a reason for each refusal, a message that is rebuilt octet for octet.
 *
 * Return: how far it came.
 */
enum fuzz_fate fuzz_codec(const uint8_t *data, size_t len);

#define SEED_MAX  64
#define SEED_SIZE 2048

/**
 * struct fuzz_seeds - well-formed messages
 */
struct fuzz_seeds {
	unsigned int count;
	struct {
		uint8_t data[SEED_SIZE];
		size_t len;
	} seed[SEED_MAX];
};

/**
 * fuzz_seeds_fill() - our own messages of each exchange, and the recorded ones of
 * other implementations (selftests/unit/recorded)
 */
void fuzz_seeds_fill(struct fuzz_seeds *seeds);

#endif
