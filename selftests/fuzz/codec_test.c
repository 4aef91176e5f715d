// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A fuzzer of the codec without an engine: well-formed messages, damaged in
 * every way that a wire or a stranger can think of, the same ones each time
 * (MOAT_FUZZ_SEED and MOAT_FUZZ_ROUNDS change that). Runs under the sanitizers.
 * With --corpus DIR it writes the well-formed messages there, for "make fuzz".
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "codec.h"
#include "damage.h"
#include "ike/crypt.h"

#define ROUNDS 400000

static struct fuzz_seeds seeds;
/* Exactly as long as the message, so that a read past its end is caught. */
static enum fuzz_fate feed(const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);
	enum fuzz_fate fate;

	assert_non_null(copy);
	memcpy(copy, data, len);
	fate = fuzz_codec(copy, len);
	free(copy);
	return fate;
}

static void test_seeds_are_read(void **state)
{
	(void)state;
	assert_true(seeds.count >= 20);
	for (unsigned int i = 0; i < seeds.count; i++)
		assert_int_equal(feed(seeds.seed[i].data, seeds.seed[i].len), FUZZ_READ);
}

/* Cut at each octet; as it came, and with a header that admits to it. */
static void test_truncated(void **state)
{
	uint8_t buf[SEED_SIZE];

	(void)state;
	for (unsigned int i = 0; i < seeds.count; i++)
		for (size_t len = 0; len < seeds.seed[i].len; len++) {
			memcpy(buf, seeds.seed[i].data, len);
			assert_int_equal(feed(buf, len), FUZZ_NO_HEADER);
			damage_fix_length(buf, len);
			feed(buf, len);
		}
}

static void test_oversized(void **state)
{
	static uint8_t buf[65536];

	(void)state;
	for (unsigned int i = 0; i < seeds.count; i++)
		for (size_t len = seeds.seed[i].len + 1; len <= sizeof(buf); len *= 2) {
			memset(buf, 0xff, sizeof(buf));
			memcpy(buf, seeds.seed[i].data, seeds.seed[i].len);
			assert_int_equal(feed(buf, len), FUZZ_NO_HEADER);
			damage_fix_length(buf, len);
			feed(buf, len);
		}
}

/* Every single bit. */
static void test_bit_flipped(void **state)
{
	uint8_t buf[SEED_SIZE];

	(void)state;
	for (unsigned int i = 0; i < seeds.count; i++)
		for (size_t bit = 0; bit < 8 * seeds.seed[i].len; bit++) {
			memcpy(buf, seeds.seed[i].data, seeds.seed[i].len);
			buf[bit / 8] ^= (uint8_t)(1 << bit % 8);
			feed(buf, seeds.seed[i].len);
		}
}

/* Every 16-bit field that could be a length, at its extremes. */
static void test_lengths(void **state)
{
	static const uint16_t values[] = { 0, 1, 3, 4, 7, 8, 0x7fff, 0x8000, 0xffff };
	uint8_t buf[SEED_SIZE];

	(void)state;
	for (unsigned int i = 0; i < seeds.count; i++)
		for (size_t at = 28; at + 1 < seeds.seed[i].len; at++)
			for (size_t k = 0; k < sizeof(values) / sizeof(values[0]); k++) {
				memcpy(buf, seeds.seed[i].data, seeds.seed[i].len);
				buf[at] = (uint8_t)(values[k] >> 8);
				buf[at + 1] = (uint8_t)values[k];
				feed(buf, seeds.seed[i].len);
			}
}

static void test_mutated(void **state)
{
	uint64_t rounds = damage_setting("MOAT_FUZZ_ROUNDS", ROUNDS);
	uint64_t fates[FUZZ_READ + 1] = { 0 };
	uint8_t buf[2 * SEED_SIZE];

	(void)state;
	for (uint64_t i = 0; i < rounds; i++) {
		unsigned int pick = (unsigned int)damage_below(seeds.count);
		size_t len = seeds.seed[pick].len;
		size_t changes = 1 + damage_below(6);

		memcpy(buf, seeds.seed[pick].data, len);
		while (changes-- && len > 0) {
			unsigned int other = (unsigned int)damage_below(seeds.count);

			len = damage(buf, len, sizeof(buf), seeds.seed[other].data,
				     seeds.seed[other].len);
		}
		if (damage_below(16))
			damage_fix_length(buf, len);
		fates[feed(buf, len)]++;
	}
	/* A fuzzer that is always stopped at the door tests nothing. */
	for (int fate = FUZZ_NO_HEADER; fate <= FUZZ_READ; fate++)
		assert_true(fates[fate] > rounds / 100);
}

static void test_random(void **state)
{
	uint8_t buf[512];

	(void)state;
	for (unsigned int i = 0; i < 100000; i++) {
		size_t len = damage_below(sizeof(buf));

		for (size_t k = 0; k < len; k++)
			buf[k] = (uint8_t)damage_draw();
		if (len >= 28 && damage_below(4)) {
			buf[17] = 0x10;
			buf[16] = (uint8_t)damage_below(22);
			damage_fix_length(buf, len);
		}
		feed(buf, len);
	}
}

static int write_corpus(const char *dir)
{
	char path[512];

	for (unsigned int i = 0; i < seeds.count; i++) {
		FILE *f;

		snprintf(path, sizeof(path), "%s/seed-%02u", dir, i);
		f = fopen(path, "wb");
		if (!f || fwrite(seeds.seed[i].data, seeds.seed[i].len, 1, f) != 1 ||
		    fclose(f) != 0) {
			perror(path);
			return 1;
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_seeds_are_read), cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_oversized),      cmocka_unit_test(test_bit_flipped),
		cmocka_unit_test(test_lengths),	       cmocka_unit_test(test_mutated),
		cmocka_unit_test(test_random),
	};

	if (moat_crypt_init() < 0)
		return 1;
	damage_start();
	fuzz_seeds_fill(&seeds);
	if (argc == 3 && strcmp(argv[1], "--corpus") == 0)
		return write_corpus(argv[2]);
	return cmocka_run_group_tests_name("codec", tests, NULL, NULL);
}
