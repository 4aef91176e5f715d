// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Rekeys, also at once, of Moats and of those that are none to one or both sides, while a
 * fifth of IKE is lost and daemons are restarted: not one packet is lost. Or all that an
 * operator, a peer and a kernel may do: then both sides have the same SAs in the end.
 * Each run follows from its seed alone, as those of storm_test.
 *
 *	lossless_test [--runs N] [--first N] [--seed N [--verbose]] [--only CASE]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sim_case.h"
#include "sim_internal.h"
#include "sim_seeds.h"

#define SECOND 1000ull
#define LOSS   20 /* of a hundred messages */
#define EVENTS 30 /* in each run */

/* To whom the other side is no Moat. */
enum strangers { STRANGERS_NONE, STRANGERS_BOTH, STRANGERS_0, STRANGERS_1, STRANGERS };

static struct sim_seeds seeds = { .first = 1, .runs = 80 };
static unsigned int settled;

/* Nobody reaches the side behind it before that has begun. */
static void behind_nat(struct sim_options *o, int side)
{
	o->nat[side] = SIM_NAT_MASQUERADE;
	o->nat_t[0] = o->nat_t[1] = MOAT_NAT_T_AUTO;
	o->start[side] = MOAT_START_UP;
	o->start[!side] = MOAT_START_TRAP;
}

static struct sim_options from_seed(uint64_t seed)
{
	struct sim_options o = {
		.seed = seed,
		.loss = LOSS,
		.nets = 1 + sim_mix(seed, 1) % 2,
		.aggressive = sim_mix(seed, 2) % 3 == 0,
		.psk = { "a secret", "a secret" },
		.lifetime = 400 + sim_mix(seed, 3) % 600,
		.ike_lifetime = 400 + sim_mix(seed, 4) % 1200,
		.dpd = sim_mix(seed, 5) % 2 ? 20 : 0,
		.dpd_timeout = 120,
		.start = { MOAT_START_UP, (enum moat_start)(sim_mix(seed, 6) % 2) },
		.verbose = seeds.verbose,
	};

	o.split = o.nets > 1 && sim_mix(seed, 7) % 2;
	if (sim_mix(seed, 8) % 4 == 0)
		o.esp[0] = o.esp[1] = "aes128-sha256-ecp256";
	if (sim_mix(seed, 9) % 4 == 0)
		behind_nat(&o, (int)(sim_mix(seed, 10) % 2));
	if (sim_mix(seed, 11) % 3 == 0)
		o.shorter = 300 + sim_mix(seed, 12) % 60;
	if (sim_mix(seed, 13) % 4 == 0)
		o.shorter_bytes = 256 << 10;
	return o;
}

static void check(uint64_t seed, bool good, const char *what)
{
	if (!good)
		fail_msg("seed %llu: %s; again with --seed %llu --verbose",
			 (unsigned long long)seed, what, (unsigned long long)seed);
}

/* All tunnels are up under traffic; NULL: so much was lost that some are not yet. */
static struct sim *start(uint64_t seed)
{
	struct sim_options o = from_seed(seed);
	struct sim *sim = sim_new(&o);

	switch ((enum strangers)(sim_mix(seed, 14) % STRANGERS)) {
	case STRANGERS_BOTH:
		sim_estrange(sim);
		break;
	case STRANGERS_0:
	case STRANGERS_1:
		sim_estrange_to(sim, sim_mix(seed, 14) % STRANGERS == STRANGERS_1);
		break;
	default:
		break;
	}
	sim_run(sim, 100 * SECOND);
	sim_traffic(sim, 100);
	sim_run(sim, 100 * SECOND);
	if (!sim_agree(sim)) {
		settled++;
		return sim;
	}
	sim_free(sim);
	return NULL;
}

/* Two events come at once as often as minutes apart. */
static void pass_time(struct sim *sim)
{
	sim_run(sim, sim_random(sim, sim_random(sim, 2) ? 120 * SECOND : SECOND));
}

static void replace(struct sim *sim, bool restarts)
{
	switch (sim_random(sim, restarts ? 6 : 5)) {
	case 0:
		sim_control(sim, 0, MOAT_EV_REKEY);
		sim_control(sim, 1, MOAT_EV_REKEY);
		break;
	case 1:
		sim_control(sim, (int)sim_random(sim, 2), MOAT_EV_REKEY);
		break;
	case 5:
		sim_restart(sim, (int)sim_random(sim, 2));
		break;
	default: /* what is due by itself */
		break;
	}
}

static void run_lossless(uint64_t seed)
{
	struct sim *sim = start(seed);
	unsigned long lost;

	if (!sim)
		return;
	lost = sim_packets_lost(sim);
	for (int i = 0; i < EVENTS; i++) {
		pass_time(sim);
		replace(sim, sim_mix(seed, 15) % 2);
		check(seed, sim_packets_lost(sim) == lost, "a packet was lost");
	}
	sim_free(sim);
}

static void ask(struct sim *sim, int side, enum moat_event_type type, const char *tunnel)
{
	struct moat_event event = { .type = type };

	event.control.tunnel = tunnel;
	event.control.request = ++sim->side[side].requests;
	sim_step(sim, side, &event);
}

/* One side has other algorithms, or those of before, and both are reloaded. */
static void change(struct sim *sim, int side)
{
	sim_change(sim, side, sim_random(sim, 2) ? "aes128-sha256" : NULL);
	sim_change(sim, !side, sim->options.esp[side]);
	sim_configure(sim, 0);
	sim_configure(sim, 1);
}

static void chaos(struct sim *sim)
{
	static const enum moat_event_type asks[] = { MOAT_EV_DOWN, MOAT_EV_UP,
						     MOAT_EV_CLEAR, MOAT_EV_REKEY };
	int side = (int)sim_random(sim, 2);

	switch (sim_random(sim, 10)) {
	case 0:
	case 1:
		ask(sim, side, asks[sim_random(sim, 4)],
		    sim_random(sim, 2) ? "branch" : "branch1");
		break;
	case 2:
		sim_unconfigure(sim, side);
		sim_run(sim, sim_random(sim, 4 * SECOND));
		sim_configure(sim, side);
		break;
	case 3:
		sim_restart(sim, side);
		break;
	case 4:
		sim_reboot(sim, side);
		break;
	case 5:
		sim_flush(sim, side);
		break;
	case 6:
		change(sim, side);
		break;
	case 7:
		sim_lose_policies(sim, side, NULL);
		break;
	default:
		sim_control(sim, 0, MOAT_EV_REKEY);
		sim_control(sim, 1, MOAT_EV_REKEY);
		break;
	}
}

static void run_chaos(uint64_t seed)
{
	struct sim *sim = start(seed);

	if (!sim)
		return;
	for (int i = 0; i < EVENTS; i++) {
		pass_time(sim);
		chaos(sim);
	}
	for (int side = 0; side < 2; side++) {
		ask(sim, side, MOAT_EV_UP, "branch");
		ask(sim, side, MOAT_EV_UP, "branch1");
	}
	sim_network(sim, 0, 0, 0);
	for (int i = 0; i < 240 && !sim_equal(sim); i++)
		sim_run(sim, 15 * SECOND);
	check(seed, sim_equal(sim), "the SAs differ");
	sim_free(sim);
}

static void each_seed(void (*run)(uint64_t seed))
{
	settled = 0;
	sim_each_seed(&seeds, run, 1);
	print_message("# %u runs: in %u all tunnels were up before\n",
		      seeds.only ? 1 : seeds.runs, settled);
	assert_true(seeds.only || settled >= seeds.runs / 2);
}

/* Whoever replaces SAs, or goes on from those of an earlier daemon, loses no packet. */
static void test_lossless(void **state)
{
	(void)state;
	each_seed(run_lossless);
}

/* Whatever has happened, a tunnel does not stay down, nor in pieces. */
static void test_chaos(void **state)
{
	(void)state;
	each_seed(run_chaos);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_lossless),
					    cmocka_unit_test(test_chaos) };

	sim_seeds_read(&seeds, argc, argv);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
