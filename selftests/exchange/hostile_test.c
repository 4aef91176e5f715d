// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Damaged messages in every state: real ones with flipped bits, cut, longer, or
 * of random octets. Nothing may crash, leak or change what stands.
 *
 *	hostile_test [--seed N] [--runs N] [--verbose]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "sim_insider.h"
#include "sim_seeds.h"

#define HEADER 28

static struct sim_seeds seeds = { .first = 1, .runs = 1000 };

static struct sim_options plain(uint64_t seed)
{
	return (struct sim_options){
		.seed = seed,
		.nets = 1,
		.psk = { "a secret", "a secret" },
		.esp = { "aes128gcm16-ecp256", "aes128gcm16-ecp256" },
		.verbose = seeds.verbose,
	};
}

static void damage(struct sim *sim, uint8_t *data, size_t *len, size_t size)
{
	size_t flips = 1 + sim_random(sim, 4);

	switch (sim_random(sim, 6)) {
	case 0: /* cut */
		*len = sim_random(sim, *len);
		break;
	case 1: /* longer, and the header says so */
		*len += 1 + sim_random(sim, size - *len - 1);
		break;
	case 2: /* random body behind a true header */
		for (size_t i = HEADER; i < *len; i++)
			data[i] = (uint8_t)sim_random(sim, 256);
		break;
	case 3: /* other exchange, flags or message id */
		data[16 + sim_random(sim, 8)] = (uint8_t)sim_random(sim, 256);
		break;
	default:
		while (flips--)
			data[sim_random(sim, *len)] ^=
				(uint8_t)(1u << sim_random(sim, 8));
	}
	if (*len >= HEADER && sim_random(sim, 4)) {
		data[24] = 0;
		data[25] = 0;
		data[26] = (uint8_t)(*len >> 8);
		data[27] = (uint8_t)*len;
	}
}

static void inject(struct sim *sim, unsigned int count)
{
	uint8_t data[4096] = { 0 };

	while (count--) {
		size_t len;
		int to;
		const uint8_t *from =
			sim_datagram(sim, (unsigned int)sim_random(sim, 16), &len, &to);

		if (!from)
			from = sim_datagram(sim, 0, &len, &to);
		memcpy(data, from, len);
		damage(sim, data, &len, sizeof(data));
		sim_inject(sim, to, data, len);
		if (!sim_random(sim, 4))
			sim_run(sim, sim_random(sim, 20));
	}
}

static void assert_whole(struct sim *sim, uint64_t seed)
{
	const char *why = sim_agree(sim);

	if (why)
		fail_msg("seed %llu: %s", (unsigned long long)seed, why);
	for (int side = 0; side < 2; side++) {
		if (sim_count(sim, side, MOAT_DIRECTION_IN) != 1 ||
		    sim_count(sim, side, MOAT_DIRECTION_OUT) != 1 ||
		    sim_policies(sim, side) != 1 || sim_reserved(sim, side))
			fail_msg(
				"seed %llu: side %d: %u in, %u out, %u policies, %u SPIs",
				(unsigned long long)seed, side,
				sim_count(sim, side, MOAT_DIRECTION_IN),
				sim_count(sim, side, MOAT_DIRECTION_OUT),
				sim_policies(sim, side), sim_reserved(sim, side));
	}
}

/* What stands stays: not one SA, SPI, policy or ISAKMP SA more or less. */
static void established(uint64_t seed)
{
	struct sim_options o = plain(seed);
	struct sim *sim = sim_new(&o);

	sim_run(sim, 100);
	sim_up(sim, 0);
	sim_run(sim, 2000);
	assert_whole(sim, seed);
	inject(sim, 200);
	sim_run(sim, 70000);
	assert_whole(sim, seed);
	for (int side = 0; side < 2; side++) {
		if (sim_isakmps(sim, side) != 1)
			fail_msg("seed %llu: side %d has %u ISAKMP SAs",
				 (unsigned long long)seed, side, sim_isakmps(sim, side));
	}
	assert_int_equal(sim_logged(sim, 0, "ipsec-established"), 1);
	assert_int_equal(sim_logged(sim, 1, "ipsec-established"), 1);
	sim_free(sim);
}

/*
 * In the middle of the exchange somebody on the path can spoil an attempt: the
 * first messages are not protected, and no HASH covers the padding, whose last
 * block is the next message's IV. The next attempt must succeed.
 */
static void under_way(uint64_t seed)
{
	struct sim_options o = plain(seed);
	struct sim *sim = sim_new(&o);

	sim_run(sim, 100);
	sim_up(sim, 0);
	for (unsigned int i = 0; i < 20; i++) {
		sim_run(sim, sim_random(sim, 15));
		inject(sim, 5);
	}
	sim_run(sim, 180000);
	if (sim_done(sim, 0) != 1 || strcmp(sim_state(sim, 0), "up") != 0) {
		sim_up(sim, 0);
		sim_run(sim, 70000);
	}
	assert_int_equal(sim_done(sim, 0), 1);
	assert_whole(sim, seed);
	sim_free(sim);
}

/* The real messages, all of them, again and in any order: replays. */
static void replayed(uint64_t seed)
{
	struct sim_options o = plain(seed);
	struct sim *sim = sim_new(&o);

	sim_run(sim, 100);
	sim_up(sim, 0);
	sim_run(sim, 2000);
	for (unsigned int i = 0; i < 200; i++) {
		size_t len;
		int to;
		const uint8_t *data =
			sim_datagram(sim, (unsigned int)sim_random(sim, 9), &len, &to);

		sim_inject(sim, to, data, len);
		sim_run(sim, sim_random(sim, 2000));
	}
	sim_run(sim, 70000);
	assert_whole(sim, seed);
	assert_int_equal(sim_isakmps(sim, 0), 1);
	assert_int_equal(sim_isakmps(sim, 1), 1);
	/* Message ids are used up: no second quick mode was so much as begun. */
	assert_int_equal(sim_logged(sim, 1, "quick-failed"), 0);
	sim_free(sim);
}

/* ---- a peer that knows the keys ---- */

static void real_info(struct sim *sim, struct moat_build *b)
{
	uint8_t spis[16];

	for (size_t i = 0; i < sizeof(spis); i++)
		spis[i] = (uint8_t)sim_random(sim, 256);
	moat_build_notify(b, MOAT_PROTO_ESP, (uint16_t)sim_random(sim, 32),
			  moat_view(spis, 4), moat_view(NULL, 0));
	moat_build_delete(b, MOAT_PROTO_ESP, 4, moat_view(spis, 16));
	moat_build_delete(b, MOAT_PROTO_ISAKMP, 16, moat_view(spis, 16));
}

/*
 * A message with a true HASH(1) over damaged payloads: what only a peer that
 * has authenticated itself can send.
 */
static void inject_protected(struct sim *sim, struct moat_isakmp *sa)
{
	bool quick = sim_random(sim, 2);
	uint32_t id = 1 + (uint32_t)sim_random(sim, UINT32_MAX - 1);
	size_t damage = sim_random(sim, 5);
	struct sim_quick_1 right = { .esp = &sa->tunnel->conf.esp,
				     .group = MOAT_GROUP_ECP256 };
	struct moat_ike1_out out;
	struct moat_view rest;

	sim_insider_begin(&out, sa, quick ? MOAT_X_QUICK : MOAT_X_INFORMATIONAL, id);
	if (quick)
		sim_insider_quick_1(sim, sa, &out.b, &right);
	else
		real_info(sim, &out.b);
	rest = moat_ike1_hashed(&out);
	while (damage--)
		out.buf[out.hash_end + sim_random(sim, rest.len)] ^=
			(uint8_t)(1u << sim_random(sim, 8));
	sim_insider_send(sim, sa, &out, id, false);
}

/* What the peer began and does not finish goes; what stood before stays. */
static void from_inside(uint64_t seed)
{
	struct sim_options o = plain(seed);
	struct sim *sim = sim_new(&o);
	struct moat_isakmp *sa;

	sim_run(sim, 100);
	sim_up(sim, 0);
	sim_run(sim, 2000);
	assert_whole(sim, seed);
	sa = TAILQ_FIRST(&sim_core(sim, 0)->isakmps);
	for (unsigned int i = 0; i < 40; i++) {
		inject_protected(sim, sa);
		if (!sim_random(sim, 4))
			sim_run(sim, sim_random(sim, 200));
	}
	sim_run(sim, 130000);
	assert_whole(sim, seed);
	assert_int_equal(sim_isakmps(sim, 1), 1);
	sim_free(sim);
}

static void test_established(void **state)
{
	(void)state;
	sim_each_seed(&seeds, established, 1);
}

static void test_under_way(void **state)
{
	(void)state;
	sim_each_seed(&seeds, under_way, 1);
}

static void test_replayed(void **state)
{
	(void)state;
	sim_each_seed(&seeds, replayed, 1);
}

static void test_from_inside(void **state)
{
	(void)state;
	sim_each_seed(&seeds, from_inside, 5);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_established),
		cmocka_unit_test(test_under_way),
		cmocka_unit_test(test_replayed),
		cmocka_unit_test(test_from_inside),
	};

	sim_seeds_read(&seeds, argc, argv);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
