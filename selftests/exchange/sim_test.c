// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Many runs over a bad network, each from its seed alone: whatever is lost,
 * repeated or late, both sides end with SAs that fit each other.
 *
 *	sim_test [--seed N] [--runs N] [--verbose]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"
#include "sim_seeds.h"

#define SECOND 1000ull
#define MINUTE (60 * SECOND)

static struct sim_seeds seeds = { .first = 1, .runs = 500 };

static uint64_t mix(uint64_t seed, uint64_t salt)
{
	uint64_t z = seed * 0x9e3779b97f4a7c15ull + salt * 0xbf58476d1ce4e5b9ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

static struct sim_options from_seed(uint64_t seed)
{
	struct sim_options o = {
		.seed = seed,
		.loss = mix(seed, 1) % 31,
		.duplicate = mix(seed, 2) % 21,
		.reorder = mix(seed, 3) % 31,
		.nets = 1 + mix(seed, 4) % 2,
		.v6 = mix(seed, 5) % 2,
		.aggressive = mix(seed, 7) % 3 == 0,
		.psk = { "a secret", "a secret" },
		.verbose = seeds.verbose,
	};

	if (mix(seed, 6) % 3 == 0)
		o.esp[0] = o.esp[1] = "aes128-sha256-ecp256";
	else if (mix(seed, 8) % 5 == 0)
		o.ah = "sha256";
	return o;
}

/* Says which seed it was, for --seed. */
static void check(struct sim *sim, uint64_t seed, const char *what, bool good)
{
	if (good)
		return;
	fail_msg("seed %llu: %s; again with --seed %llu --verbose",
		 (unsigned long long)seed, what, (unsigned long long)seed);
	(void)sim;
}

static void check_agree(struct sim *sim, uint64_t seed)
{
	const char *why = sim_agree(sim);

	check(sim, seed, why ? why : "", !why);
}

/*
 * When each message 3 of eight was lost, and the delete too, the initiator
 * cannot know: the sides differ, and the responder has named the failure.
 */
static bool named_failure(const struct sim *sim)
{
	return sim_logged(sim, 0, "quick-failed") || sim_logged(sim, 1, "quick-failed");
}

static void check_up(struct sim *sim, uint64_t seed, unsigned int pairs)
{
	check(sim, seed, "side A is not up", !strcmp(sim_state(sim, 0), "up"));
	check(sim, seed, "side B is not up", !strcmp(sim_state(sim, 1), "up"));
	check_agree(sim, seed);
	for (int side = 0; side < 2; side++) {
		/* Current, old, and one that lost a collision. */
		check(sim, seed, "more SAs than three generations",
		      sim_count(sim, side, MOAT_DIRECTION_IN) <= 3 * pairs &&
			      sim_count(sim, side, MOAT_DIRECTION_OUT) <= 3 * pairs);
		/* One of each pair may be under way just now. */
		check(sim, seed, "SPIs stay reserved", sim_reserved(sim, side) <= pairs);
	}
}

/* No packet is lost, unless a handshake failed. */
static void check_lost(struct sim *sim, uint64_t seed)
{
	if (named_failure(sim))
		return;
	check(sim, seed, "packets were lost", !sim_packets_lost(sim));
}

/* One side asks; everything may be lost on the way. */
static void establish(uint64_t seed)
{
	struct sim_options o = from_seed(seed);
	struct sim *sim;
	unsigned int tries = 0;

	sim = sim_new(&o);
	sim_run(sim, 100);
	do {
		sim_up(sim, 0);
		sim_run(sim, 3 * MINUTE);
	} while (sim_done(sim, 0) != 1 && ++tries < 5);
	sim_network(sim, 0, 0, 0);
	sim_traffic(sim, 1000);
	sim_run(sim, 2 * MINUTE);
	check_up(sim, seed, o.nets * o.nets);
	check_lost(sim, seed);
	sim_free(sim);
}

/* Both sides ask at once: two phase 1s, two quick modes per pair. */
static void simultaneous(uint64_t seed)
{
	struct sim_options o = from_seed(seed);
	struct sim *sim;

	o.start[0] = o.start[1] = MOAT_START_UP;
	sim = sim_new(&o);
	sim_run(sim, 2 * MINUTE);
	sim_network(sim, 0, 0, 0);
	sim_traffic(sim, 1000);
	sim_run(sim, 10 * MINUTE);
	if (!named_failure(sim))
		check_up(sim, seed, o.nets * o.nets);
	check_lost(sim, seed);
	sim_free(sim);
}

/* Rekeys of both phases under traffic; only IKE messages get lost. */
static void rekeys(uint64_t seed)
{
	struct sim_options o = from_seed(seed);
	struct sim *sim;

	o.lifetime = 120 + mix(seed, 10) % 300;
	o.ike_lifetime = 200 + mix(seed, 11) % 600;
	o.start[mix(seed, 12) % 2] = MOAT_START_UP;
	o.traffic = 500;
	if (mix(seed, 13) % 4 == 0)
		o.lifebytes = 20000;
	sim = sim_new(&o);
	sim_run(sim, 60 * MINUTE);
	sim_network(sim, 0, 0, 0);
	sim_run(sim, 10 * MINUTE);
	check_up(sim, seed, o.nets * o.nets);
	check_lost(sim, seed);
	check(sim, seed, "there was no rekey", sim_rekeys(sim, 0) > 3);
	sim_free(sim);
}

/* The tunnel is taken down on one side in the middle of anything. */
static void deletes(uint64_t seed)
{
	struct sim_options o = from_seed(seed);
	int side = (int)(mix(seed, 20) % 2);
	struct sim *sim;

	o.lifetime = 300;
	o.traffic = 1000;
	sim = sim_new(&o);
	sim_run(sim, mix(seed, 21) % (10 * MINUTE));
	sim_down(sim, side);
	sim_run(sim, 2 * MINUTE);
	check(sim, seed, "the side that was taken down has SAs",
	      !sim_count(sim, side, MOAT_DIRECTION_IN) &&
		      !sim_count(sim, side, MOAT_DIRECTION_OUT));
	sim_network(sim, 0, 0, 0);
	/* A delete that was lost is made up for by the lifetime. */
	sim_run(sim, 6 * MINUTE);
	check(sim, seed, "the other side has SAs for ever",
	      !sim_count(sim, !side, MOAT_DIRECTION_OUT));
	sim_up(sim, side);
	sim_run(sim, 2 * MINUTE);
	check_up(sim, seed, o.nets * o.nets);
	sim_free(sim);
}

static void something(struct sim *sim)
{
	int side = (int)sim_random(sim, 2);

	switch (sim_random(sim, 11)) {
	case 0:
		sim_up(sim, side);
		break;
	case 1:
		sim_down(sim, side);
		break;
	case 2:
		sim_reboot(sim, side);
		break;
	case 3:
		sim_unconfigure(sim, side);
		break;
	case 4:
		sim_change(sim, side,
			   sim_random(sim, 2) ? "aes128gcm16" : "aes256-sha256");
		sim_configure(sim, side);
		break;
	case 5:
		sim_configure(sim, side);
		break;
	case 6:
		sim_fail(sim, (unsigned int)sim_random(sim, 40));
		break;
	case 7:
		sim_flush(sim, side);
		break;
	case 8:
		sim_restart(sim, side);
		break;
	case 9:
		sim_network(sim, (unsigned int)sim_random(sim, 100), 20, 30);
		break;
	default:
		sim_acquire(sim, side, 0);
		break;
	}
}

/* Anything at any time; once it is calm again, both sides find together. */
static void chaos(uint64_t seed)
{
	struct sim_options o = from_seed(seed);
	struct sim *sim;

	o.lifetime = 120;
	o.ike_lifetime = 300;
	o.start[0] = (enum moat_start)(mix(seed, 30) % 3);
	o.start[1] = (enum moat_start)(mix(seed, 31) % 3);
	o.traffic = mix(seed, 32) % 2 ? 700 : 0;
	sim = sim_new(&o);
	for (unsigned int i = 0; i < 60; i++) {
		something(sim);
		sim_run(sim, sim_random(sim, 20) ? sim_random(sim, 3000)
						 : sim_random(sim, 100000));
	}
	sim_fail(sim, 0);
	sim_network(sim, 0, 0, 0);
	for (int side = 0; side < 2; side++) {
		sim_change(sim, side, NULL);
		sim_configure(sim, side);
		sim_up(sim, side);
	}
	sim_traffic(sim, 1000);
	sim_run(sim, 6 * MINUTE);
	for (int side = 0; side < 2; side++)
		sim_up(sim, side);
	sim_run(sim, MINUTE);
	check_up(sim, seed, o.nets * o.nets);
	sim_free(sim);
}

static void test_chaos(void **state)
{
	(void)state;
	sim_each_seed(&seeds, chaos, 1);
}

static void test_establish(void **state)
{
	(void)state;
	sim_each_seed(&seeds, establish, 1);
}

static void test_simultaneous(void **state)
{
	(void)state;
	sim_each_seed(&seeds, simultaneous, 1);
}

static void test_rekeys(void **state)
{
	(void)state;
	sim_each_seed(&seeds, rekeys, 4);
}

static void test_deletes(void **state)
{
	(void)state;
	sim_each_seed(&seeds, deletes, 2);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_establish), cmocka_unit_test(test_simultaneous),
		cmocka_unit_test(test_rekeys),	  cmocka_unit_test(test_deletes),
		cmocka_unit_test(test_chaos),
	};

	sim_seeds_read(&seeds, argc, argv);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
