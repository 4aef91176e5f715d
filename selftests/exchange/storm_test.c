// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Two cores in bad weather, a hundred thousand times: up to half of all messages
 * lost, others twice and out of order, daemons that crash and come back, gateways
 * that reboot, clocks that jump. Each run follows from its seed alone; the seeds are
 * 1 to the number of runs, or as many from another one on, so each is recorded by its
 * number.
 *
 * A run ends with the same live SAs on both sides and nothing else, or with a
 * failure that a log names; both are counted. What a core keeps is bounded all the
 * time, and no memory is lost.
 *
 *	storm_test [--runs N] [--first N] [--seed N [--verbose]]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim_case.h"
#include "sim_seeds.h"
#include "wire/isakmp.h"

#define SECOND 1000ull
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)

/* Logs that name a failure, with the number of runs that ended with them. */
static struct failure {
	const char *name;
	unsigned int runs;
} failures[] = {
	{ "ike-failed", 0 }, { "quick-failed", 0 },  { "peer-dead", 0 },
	{ "ike-silent", 0 }, { "tunnel-failed", 0 },
};

#define FAILURES (sizeof(failures) / sizeof(failures[0]))

static struct sim_seeds seeds = { .first = 1, .runs = 100000 };
static unsigned int equal;
static unsigned int named;

/* What happened in all runs. */
static struct {
	unsigned long crashes;
	unsigned long reboots;
	unsigned long jumps;
	unsigned long flushes;
	unsigned long messages;
} seen;

/* Of one side; the other one is reached as it is. */
static void behind_nat(struct sim_options *o, int side)
{
	o->nat[side] = SIM_NAT_MASQUERADE;
	o->nat_t[0] = o->nat_t[1] = MOAT_NAT_T_AUTO;
	o->ah = NULL;
	o->v6 = false;
}

static struct sim_options from_seed(uint64_t seed)
{
	struct sim_options o = {
		.seed = seed,
		.loss = sim_mix(seed, 1) % 51,
		.duplicate = sim_mix(seed, 2) % 31,
		.reorder = sim_mix(seed, 3) % 51,
		.nets = 1 + sim_mix(seed, 4) % 2,
		.v6 = sim_mix(seed, 5) % 2,
		.aggressive = sim_mix(seed, 6) % 3 == 0,
		.psk = { "a secret", "a secret" },
		.lifetime = 300 + sim_mix(seed, 7) % 600,
		.ike_lifetime = 300 + sim_mix(seed, 8) % 1200,
		.dpd = sim_mix(seed, 9) % 2 ? 20 : 0,
		.dpd_timeout = 60,
		.traffic = sim_mix(seed, 10) % 2 ? 2000 : 0,
		.start = { (enum moat_start)(sim_mix(seed, 11) % 2),
			   (enum moat_start)(sim_mix(seed, 12) % 2) },
		.verbose = seeds.verbose,
	};

	/* Of four pairs one would always be about to be replaced. */
	if (o.nets > 1)
		o.lifetime *= 2;
	if (sim_mix(seed, 13) % 4 == 0)
		o.esp[0] = o.esp[1] = "aes128-sha256-ecp256";
	else if (sim_mix(seed, 13) % 4 == 1)
		o.ah = "sha256";
	/* Certificates take time, and make messages long enough for fragments. */
	if (sim_mix(seed, 14) % 1024 == 0)
		o.auth = MOAT_METHOD_RSA_SIG;
	else if (sim_mix(seed, 14) % 16 == 1)
		behind_nat(&o, (int)(sim_mix(seed, 15) % 2));
	return o;
}

static void check(uint64_t seed, bool good, const char *what)
{
	if (!good)
		fail_msg("seed %llu: %s; again with --seed %llu --verbose",
			 (unsigned long long)seed, what, (unsigned long long)seed);
}

/*
 * Half-open ISAKMP SAs are limited, others end; quick modes and children belong to
 * them. More than that would grow with the length of a run.
 */
static void check_bounded(struct sim *sim, uint64_t seed, unsigned int pairs)
{
	for (int side = 0; side < 2; side++) {
		struct moat_burden b = sim_burden(sim, side);

		check(seed, b.isakmps <= 90 && b.half_open <= 64, "too many ISAKMP SAs");
		check(seed, b.quicks <= 16 * pairs, "too many quick modes");
		check(seed, b.children <= 12 * pairs, "too many pairs of SAs");
		check(seed, b.waits <= 40 * pairs, "too many questions");
		check(seed, b.timers <= 120 * pairs, "too many timers");
		check(seed, b.fragments <= 40 * 8220ul, "too many fragments");
		check(seed,
		      sim_count(sim, side, MOAT_DIRECTION_IN) <= 24 * pairs &&
			      sim_count(sim, side, MOAT_DIRECTION_OUT) <= 24 * pairs,
		      "too many SAs in the kernel");
		check(seed, sim_reserved(sim, side) <= 60 * pairs, "too many SPIs");
	}
}

static int64_t a_jump(struct sim *sim)
{
	static const int64_t jumps[] = { 100,  3000,  40000,  600000,  7200000,
					 -100, -3000, -40000, -600000, -7200000 };

	return jumps[sim_random(sim, sizeof(jumps) / sizeof(jumps[0]))];
}

static void disaster(struct sim *sim)
{
	int side = (int)sim_random(sim, 2);

	switch (sim_random(sim, 7)) {
	case 0: /* for a while there is no daemon */
		seen.crashes++;
		sim_crash(sim, side);
		sim_run(sim, sim_random(sim, 20 * SECOND));
		sim_restart(sim, side);
		break;
	case 1:
		seen.crashes++;
		sim_restart(sim, side);
		break;
	case 2:
		seen.reboots++;
		sim_reboot(sim, side);
		break;
	case 3:
	case 4:
		seen.jumps++;
		sim_jump(sim, side, a_jump(sim));
		break;
	case 5:
		seen.flushes++;
		sim_flush(sim, side);
		break;
	default:
		sim_acquire(sim, side, 0);
		break;
	}
}

static unsigned int named_so_far(struct sim *sim, size_t i)
{
	return sim_logged(sim, 0, failures[i].name) +
	       sim_logged(sim, 1, failures[i].name);
}

/* Counts a failure that was named since @before was taken. */
static bool count_failure(struct sim *sim, const unsigned int before[FAILURES])
{
	for (size_t i = 0; i < FAILURES; i++) {
		if (named_so_far(sim, i) > before[i]) {
			failures[i].runs++;
			return true;
		}
	}
	return false;
}

/* Time for whatever is still to be found out; then what both sides have counts. */
static bool settles(struct sim *sim, uint64_t within)
{
	for (uint64_t ms = 0; ms < within; ms += 5 * SECOND) {
		sim_run(sim, 5 * SECOND);
		if (sim_equal(sim))
			return true;
	}
	return false;
}

static void storm(uint64_t seed)
{
	struct sim_options o = from_seed(seed);
	unsigned int pairs = o.nets * o.nets;
	bool calm = sim_mix(seed, 20) % 2;
	struct sim *sim = sim_new(&o);
	unsigned int before[FAILURES];
	bool same;

	/* What is done for others than Moat must not break what Moats do. */
	if (sim_mix(seed, 22) % 8 == 0)
		sim_estrange(sim);
	for (unsigned int i = (unsigned int)(sim_mix(seed, 21) % 6); i; i--) {
		sim_run(sim, sim_random(sim, 30 * SECOND));
		disaster(sim);
		check_bounded(sim, seed, pairs);
	}
	sim_run(sim, 10 * SECOND);
	if (calm)
		sim_network(sim, 0, 0, 0);
	for (int side = 0; side < 2; side++)
		sim_up(sim, side);
	sim_traffic(sim, 2000);
	for (size_t i = 0; i < FAILURES; i++)
		before[i] = named_so_far(sim, i);
	same = settles(sim, 2 * HOUR);
	check_bounded(sim, seed, pairs);
	check(seed, same || !calm, "a good network, and the SAs differ");
	check(seed, same || count_failure(sim, before),
	      "the SAs differ, nobody says why");
	equal += same;
	named += !same;
	for (unsigned int x = 0; x < 256; x++)
		seen.messages +=
			sim_sent(sim, 0, (uint8_t)x) + sim_sent(sim, 1, (uint8_t)x);
	sim_free(sim);
}

/* Memory in use, of all that malloc() gave. */
static size_t in_use(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

/* By then each group and each buffer was used: what is left after it is a leak. */
#define WARM 200

static size_t at_start;

static void counted(uint64_t seed)
{
	storm(seed);
	if (seed - seeds.first == WARM)
		at_start = in_use();
}

static void test_storms(void **state)
{
	(void)state;
	sim_each_seed(&seeds, counted, 1);
	if (seeds.only)
		return;
	print_message("# %u runs: %u ended with the same live SAs on both sides, %u with "
		      "a named failure\n",
		      seeds.runs, equal, named);
	for (size_t i = 0; i < FAILURES; i++)
		print_message("#   %s: %u\n", failures[i].name, failures[i].runs);
	print_message(
		"# in them %lu messages, %lu crashes, %lu reboots, %lu jumps of a clock, "
		"%lu times all SAs deleted\n",
		seen.messages, seen.crashes, seen.reboots, seen.jumps, seen.flushes);
	assert_int_equal(equal + named, seeds.runs);
	/* Of 100,000 runs eight octets lost in each would show. */
	assert_true(seeds.runs <= WARM || in_use() < at_start + 64 * 1024);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_storms) };

	sim_seeds_read(&seeds, argc, argv);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
