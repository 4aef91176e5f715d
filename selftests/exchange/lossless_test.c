// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Rekeys, also at once, of strangers and Moats, while a fifth of IKE is lost and
 * daemons are restarted: no packet is lost. Seeds as in storm_test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim_case.h"
#include "sim_internal.h"
#include "sim_seeds.h"

#define SECOND 1000ull

static struct sim_seeds seeds = { .first = 1, .runs = 300 };
static unsigned int bad, total;

static uint64_t mix(uint64_t seed, uint64_t salt)
{
	uint64_t z = seed * 0x9e3779b97f4a7c15ull + salt * 0xbf58476d1ce4e5b9ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

/* Whatever an operator, a peer or a kernel may do, in any order. */
static void chaos(struct sim *sim)
{
	int side = (int)sim_random(sim, 2);
	struct moat_event event = { .type = MOAT_EV_DOWN };
	static const enum moat_event_type asks[] = { MOAT_EV_DOWN, MOAT_EV_UP, MOAT_EV_CLEAR,
						     MOAT_EV_REKEY };

	switch (sim_random(sim, 10)) {
	case 0:
	case 1:
		event.type = asks[sim_random(sim, 4)];
		event.control.tunnel = sim_random(sim, 2) ? "branch" : "branch1";
		event.control.request = ++sim->side[side].requests;
		sim_step(sim, side, &event);
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
		sim_change(sim, side, sim_random(sim, 2) ? "aes128-sha256" : NULL);
		sim_change(sim, !side, sim->options.esp[side]);
		sim_configure(sim, 0);
		sim_configure(sim, 1);
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

static void once(uint64_t seed)
{
	struct sim_options o = {
		.seed = seed,
		.loss = getenv("LOSS") ? (unsigned int)atoi(getenv("LOSS")) : 20,
		.nets = 1 + mix(seed, 4) % 2,
		.aggressive = mix(seed, 6) % 3 == 0,
		.psk = { "a secret", "a secret" },
		.lifetime = 400 + mix(seed, 7) % 600,
		.ike_lifetime = 400 + mix(seed, 8) % 1200,
		.dpd = mix(seed, 9) % 2 ? 20 : 0,
		.dpd_timeout = 120,
		.start = { MOAT_START_UP, (enum moat_start)(mix(seed, 12) % 2) },
		.verbose = seeds.verbose,
	};
	unsigned int kind = mix(seed, 22) % 4;
	bool restarts = getenv("RESTARTS") && mix(seed, 50) % 2;
	struct sim *sim;
	unsigned long lost;

	if (mix(seed, 13) % 4 == 0)
		o.esp[0] = o.esp[1] = "aes128-sha256-ecp256";
	if (mix(seed, 14) % 4 == 0) {
		o.nat[mix(seed, 15) % 2] = SIM_NAT_MASQUERADE;
		o.nat_t[0] = o.nat_t[1] = MOAT_NAT_T_AUTO;
	}
	if (o.nat[0])
		o.start[1] = MOAT_START_TRAP;
	if (o.nat[1])
		o.start[0] = MOAT_START_TRAP, o.start[1] = MOAT_START_UP;
	if (mix(seed, 33) % 3 == 0)
		o.shorter = 300 + mix(seed, 34) % 60;
	if (o.nets > 1 && mix(seed, 38) % 2)
		o.split = true;
	if (mix(seed, 37) % 4 == 0)
		o.shorter_bytes = 256 << 10;
	sim = sim_new(&o);
	if (kind)
		sim_estrange(sim);
	if (kind > 1)
		sim->spoil_only = kind - 1;
	sim_run(sim, 100 * SECOND);
	sim_traffic(sim, 100);
	sim_run(sim, 100 * SECOND);
	lost = sim_packets_lost(sim);
	if (sim_agree(sim)) {
		sim_free(sim);
		return;
	}
	total++;
	for (int i = 0; i < 30; i++) {
		sim_run(sim, sim_random(sim, sim_random(sim, 2) ? 120 * SECOND : SECOND));
		if (getenv("CHAOS")) {
			chaos(sim);
			continue;
		}
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
		default:
			break;
		}
		if (sim_packets_lost(sim) != lost)
			break;
	}
	if (getenv("CHAOS")) {
		for (int side = 0; side < 2; side++) {
			struct moat_event event = { .type = MOAT_EV_UP };

			for (int k = 0; k < 2; k++) {
				event.control.tunnel = k ? "branch1" : "branch";
				event.control.request = ++sim->side[side].requests;
				sim_step(sim, side, &event);
			}
		}
		sim_network(sim, 0, 0, 0);
		for (int i = 0; i < 240 && !sim_equal(sim); i++)
			sim_run(sim, 15 * SECOND);
		if (!sim_equal(sim)) {
			bad++;
			printf("# seed %llu: not equal: %s\n", (unsigned long long)seed,
			       sim_agree(sim) ? sim_agree(sim) : "other SAs");
		}
	} else if (sim_packets_lost(sim) != lost) {
		bad++;
		printf("# seed %llu: %lu lost at %llu s; kind %u nets %u life %u short %u "
		       "bytes %llu nat %d%d restarts %d\n",
		       (unsigned long long)seed, sim_packets_lost(sim) - lost,
		       (unsigned long long)sim_now(sim) / 1000, kind, o.nets, o.lifetime,
		       o.shorter, (unsigned long long)o.shorter_bytes, o.nat[0], o.nat[1],
		       restarts);
	}
	sim_free(sim);
}

static void lossless(void **state)
{
	(void)state;
	sim_each_seed(&seeds, once, 1);
	printf("# %u of %u\n", bad, total);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(lossless) };

	sim_seeds_read(&seeds, argc, argv);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
