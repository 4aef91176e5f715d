// SPDX-License-Identifier: GPL-2.0-or-later
/* Lives of both phases: what is repeated, replaced, deleted, and when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "ike/core.h"
#include "sim_case.h"

static struct sim_options plain(void)
{
	return (struct sim_options){
		.seed = 7,
		.nets = 1,
		.psk = { "a secret", "a secret" },
		.verbose = getenv("SIM_VERBOSE") != NULL,
	};
}

static void assert_agree(struct sim *sim)
{
	assert_string_equal(sim_agree(sim) ? sim_agree(sim) : "agree", "agree");
}

static struct sim *start(const struct sim_options *o, sim_filter filter)
{
	struct sim *sim = sim_new(o);

	sim_set_filter(sim, filter);
	sim_run(sim, 100);
	sim_up(sim, 0);
	sim_run(sim, 3000);
	return sim;
}

static bool first_main_2(int from, uint8_t exchange, unsigned int nth)
{
	return from == 1 && exchange == MOAT_X_MAIN && nth == 1;
}

static bool first_main_6(int from, uint8_t exchange, unsigned int nth)
{
	return from == 1 && exchange == MOAT_X_MAIN && nth == 3;
}

/* The answer comes from the cache: the very same octets. */
static void lost_answer(sim_filter filter, const char *again)
{
	struct sim_options o = plain();
	struct sim *sim = start(&o, filter);

	assert_int_equal(sim_done(sim, 0), 1);
	assert_agree(sim);
	assert_int_equal(sim_sent(sim, 0, MOAT_X_MAIN), 4);
	assert_int_equal(sim_sent(sim, 1, MOAT_X_MAIN), 4);
	assert_int_equal(sim_occurs(sim_ladder(sim, 1), again), 1);
	assert_int_equal(sim_isakmps(sim, 1), 1);
	sim_free(sim);
}

static void answers_from_cache(void **state)
{
	(void)state;
	lost_answer(first_main_2, "sent main 2 again");
	lost_answer(first_main_6, "sent main 6 again");
}

static bool all_of_b(int from, uint8_t exchange, unsigned int nth)
{
	(void)exchange;
	(void)nth;
	return from == 1;
}

/* Eight tries, further and further apart; the other side never unasked. */
static void retransmission(void **state)
{
	struct sim_options o = plain();
	struct sim *sim = start(&o, all_of_b);

	(void)state;
	assert_int_equal(sim_done(sim, 0), -1);
	sim_run(sim, 57000);
	assert_int_equal(sim_done(sim, 0), 0);
	assert_int_equal(sim_sent(sim, 0, MOAT_X_MAIN), 8);
	assert_int_equal(sim_sent(sim, 1, MOAT_X_MAIN), 8);
	assert_non_null(strstr(sim_log_text(sim, 0, "control-done"), "no valid answer"));
	assert_int_equal(sim_isakmps(sim, 0), 0);
	sim_run(sim, 60000);
	assert_int_equal(sim_isakmps(sim, 1), 0);
	sim_free(sim);
}

static bool first_quick_3(int from, uint8_t exchange, unsigned int nth)
{
	return from == 0 && exchange == MOAT_X_QUICK && nth == 2;
}

static void lost_message_3(void **state)
{
	struct sim_options o = plain();
	struct sim *sim = start(&o, first_quick_3);

	(void)state;
	assert_agree(sim);
	assert_int_equal(sim_occurs(sim_ladder(sim, 1), "sent quick 2 again"), 1);
	assert_int_equal(sim_occurs(sim_ladder(sim, 0), "sent quick 3 again"), 1);
	sim_free(sim);
}

static bool every_quick_3(int from, uint8_t exchange, unsigned int nth)
{
	return from == 0 && exchange == MOAT_X_QUICK && nth >= 2;
}

/* A packet on the new inbound SA says as much as message 3. */
static void first_use_for_message_3(void **state)
{
	struct sim_options o = plain();
	struct sim *sim;

	(void)state;
	o.traffic = 100;
	o.one_way = true;
	sim = start(&o, every_quick_3);
	assert_agree(sim);
	assert_int_equal(sim_occurs(sim_ladder(sim, 1), "received quick 3"), 0);
	sim_run(sim, 120000);
	assert_agree(sim);
	assert_int_equal(sim_packets_lost(sim), 0);
	sim_free(sim);
}

/* Runs until the policy of a side is switched for the nth time. */
static uint64_t run_to_switch(struct sim *sim, int side, unsigned int nth)
{
	for (unsigned int i = 0; i < 4000000; i++) {
		if (sim_occurs(sim_ladder(sim, side), "policy-switch") >= nth)
			return sim_now(sim);
		sim_run(sim, 10);
	}
	fail_msg("no switch");
	return 0;
}

/*
 * Packets the other way are what the initiator of a rekey waits for; without
 * them it waits 5 s. The old SAs go 30 s after its switch, with a delete.
 */
static void rekey(bool one_way)
{
	struct sim_options o = plain();
	struct sim *sim;
	uint64_t a;
	uint64_t b;

	o.lifetime = 400;
	o.one_way = one_way;
	sim = start(&o, NULL);
	sim_traffic(sim, 50);
	b = run_to_switch(sim, 1, 2);
	a = run_to_switch(sim, 0, 2);
	if (one_way)
		assert_in_range(a - b, 4900, 5100);
	else
		assert_in_range(a - b, 0, 200);
	assert_int_equal(sim_sent(sim, 0, MOAT_X_INFORMATIONAL), 0);
	sim_run(sim, 29000);
	assert_int_equal(sim_count(sim, 0, MOAT_DIRECTION_IN), 2);
	assert_int_equal(sim_count(sim, 1, MOAT_DIRECTION_IN), 2);
	sim_run(sim, 2000);
	assert_int_equal(sim_sent(sim, 0, MOAT_X_INFORMATIONAL), 1);
	assert_int_equal(sim_count(sim, 0, MOAT_DIRECTION_IN), 1);
	sim_run(sim, 40000);
	assert_int_equal(sim_count(sim, 1, MOAT_DIRECTION_IN), 1);
	assert_int_equal(sim_count(sim, 1, MOAT_DIRECTION_OUT), 1);
	assert_agree(sim);
	assert_int_equal(sim_rekeys(sim, 0), 1);
	assert_int_equal(sim_packets_lost(sim), 0);
	sim_free(sim);
}

static void rekey_of_phase_2(void **state)
{
	(void)state;
	rekey(false);
	rekey(true);
}

/* The peer sends nothing on the new SA, and little is left of the old one. */
static void rekey_of_a_short_life(void **state)
{
	struct sim_options o = plain();
	struct sim *sim;

	(void)state;
	o.lifetime = 15;
	o.traffic = 50;
	o.one_way = true;
	sim = start(&o, NULL);
	sim_run(sim, 600000);
	assert_in_range(sim_rekeys(sim, 0), 40, 100);
	assert_int_equal(sim_packets_lost(sim), 0);
	sim_free(sim);
}

static void rekey_by_volume(void **state)
{
	struct sim_options o = plain();
	struct sim *sim;

	(void)state;
	o.lifebytes = 100 * 1024;
	o.traffic = 100;
	sim = start(&o, NULL);
	sim_run(sim, 600000);
	assert_in_range(sim_rekeys(sim, 0), 5, 8);
	assert_int_equal(sim_packets_lost(sim), 0);
	sim_free(sim);
}

/* The new ISAKMP SA first, then the delete of the old one; phase 2 stays. */
static void rekey_of_phase_1(void **state)
{
	struct sim_options o = plain();
	struct moat_isakmp_view view;
	struct sim *sim;

	(void)state;
	o.ike_lifetime = 600;
	o.traffic = 1000;
	sim = start(&o, NULL);
	assert_true(moat_ike_isakmp(sim_core(sim, 0), 0, &view));
	while (sim_logged(sim, 0, "ike-established") < 2) {
		assert_true(sim_now(sim) < view.expires);
		sim_run(sim, 10);
	}
	assert_int_equal(sim_isakmps(sim, 0), 2);
	assert_int_equal(sim_sent(sim, 0, MOAT_X_INFORMATIONAL), 0);
	sim_run(sim, 11000);
	assert_int_equal(sim_isakmps(sim, 0), 1);
	assert_int_equal(sim_isakmps(sim, 1), 1);
	assert_int_equal(sim_sent(sim, 0, MOAT_X_INFORMATIONAL), 1);
	assert_int_equal(sim_logged(sim, 0, "ipsec-established"), 1);
	assert_int_equal(sim_logged(sim, 0, "ipsec-deleted"), 0);
	assert_agree(sim);
	sim_free(sim);
}

static bool everything(int from, uint8_t exchange, unsigned int nth)
{
	(void)from;
	(void)exchange;
	(void)nth;
	return true;
}

/* Phase 1 runs out and cannot be rekeyed: no delete, and phase 2 goes on. */
static void phase_1_expires_alone(void **state)
{
	struct sim_options o = plain();
	struct sim *sim;

	(void)state;
	o.ike_lifetime = 600;
	o.traffic = 1000;
	sim = start(&o, NULL);
	sim_set_filter(sim, everything);
	sim_run(sim, 800000);
	assert_int_equal(sim_logged(sim, 0, "ike-expired"), 1);
	assert_int_equal(sim_sent(sim, 0, MOAT_X_INFORMATIONAL), 0);
	assert_int_equal(sim_sent(sim, 1, MOAT_X_INFORMATIONAL), 0);
	assert_agree(sim);
	assert_int_equal(sim_packets_lost(sim), 0);
	/* Phase 2's rekey brings a new one, once it gets through. */
	sim_set_filter(sim, NULL);
	sim_run(sim, 3000000);
	assert_agree(sim);
	assert_true(sim_rekeys(sim, 0) >= 1);
	assert_int_equal(sim_packets_lost(sim), 0);
	sim_free(sim);
}

/* Both sides begin at once: of two pairs of SAs both take the same one. */
static void simultaneous_begin(void **state)
{
	unsigned int redundant = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 40; seed++) {
		struct sim_options o = plain();
		struct sim *sim;

		o.seed = seed;
		o.traffic = 50;
		o.start[0] = o.start[1] = MOAT_START_UP;
		sim = sim_new(&o);
		sim_run(sim, 100000);
		redundant += sim_logged(sim, 0, "ipsec-redundant");
		assert_int_equal(sim_logged(sim, 0, "ipsec-redundant"),
				 sim_logged(sim, 1, "ipsec-redundant"));
		/* The loser of the collision has gone, from both sides. */
		for (int side = 0; side < 2; side++) {
			assert_int_equal(sim_count(sim, side, MOAT_DIRECTION_IN), 1);
			assert_int_equal(sim_count(sim, side, MOAT_DIRECTION_OUT), 1);
		}
		assert_agree(sim);
		assert_int_equal(sim_packets_lost(sim), 0);
		sim_free(sim);
	}
	assert_true(redundant > 5);
}

static bool late_quick_3(int from, uint8_t exchange, unsigned int nth)
{
	return from ? exchange == MOAT_X_INFORMATIONAL
		    : exchange == MOAT_X_QUICK && nth >= 4 && nth <= 8;
}

/* The ISAKMP SA that was replaced stays until message 3 has come under it. */
static void rekey_of_both_phases(void **state)
{
	struct sim_options o = plain();
	struct sim *sim;

	(void)state;
	sim = start(&o, late_quick_3);
	sim_traffic(sim, 20);
	sim_control(sim, 0, MOAT_EV_REKEY);
	sim_run(sim, 8000);
	assert_int_equal(sim_isakmps(sim, 0), 2);
	assert_int_equal(sim_rekeys(sim, 1), 0);
	sim_run(sim, 10000);
	assert_int_equal(sim_rekeys(sim, 1), 1);
	assert_agree(sim);
	sim_run(sim, 100000);
	assert_int_equal(sim_isakmps(sim, 0), 1);
	assert_int_equal(sim_isakmps(sim, 1), 1);
	assert_int_equal(sim_packets_lost(sim), 0);
	sim_free(sim);
}

/* Both operators ask at once, again and again, while every fifth message is lost. */
static void rekeys_asked_for(void **state)
{
	unsigned int redundant = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 50; seed++) {
		struct sim_options o = plain();
		struct sim *sim;

		o.seed = seed;
		o.traffic = 20;
		sim = start(&o, NULL);
		sim_run(sim, 5000);
		sim_network(sim, 20, 0, 0);
		for (int i = 0; i < 5; i++) {
			for (int side = 0; side < 2; side++)
				sim_control(sim, side, MOAT_EV_REKEY);
			assert_int_equal(sim_done(sim, 0), 1);
			sim_run(sim, 12000 + 500 * seed);
		}
		sim_network(sim, 0, 0, 0);
		sim_run(sim, 100000);
		assert_true(sim_rekeys(sim, 0) >= 5);
		assert_true(sim_logged(sim, 0, "ike-established") >= 5);
		redundant += sim_logged(sim, 0, "ipsec-redundant");
		assert_agree(sim);
		assert_int_equal(sim_packets_lost(sim), 0);
		sim_free(sim);
	}
	assert_true(redundant > 100);
}

static void rekey_of_nothing(void **state)
{
	struct sim_options o = plain();
	struct sim *sim = sim_new(&o);

	(void)state;
	sim_run(sim, 100);
	sim_control(sim, 0, MOAT_EV_REKEY);
	assert_int_equal(sim_done(sim, 0), 0);
	assert_non_null(strstr(sim_log_text(sim, 0, "control-done"), "has no SAs"));
	sim_run(sim, 10000);
	assert_int_equal(sim_sent(sim, 0, MOAT_X_MAIN), 0);
	sim_free(sim);
}

/* The peer was restarted and says nothing; the next rekey finds out. */
static void peer_forgets(void **state)
{
	struct sim_options o = plain();
	struct sim *sim;

	(void)state;
	o.lifetime = 400;
	sim = start(&o, NULL);
	sim_run(sim, 10000);
	sim_reboot(sim, 1);
	sim_traffic(sim, 500);
	sim_run(sim, 600000);
	assert_agree(sim);
	assert_string_equal(sim_state(sim, 0), "up");
	sim_free(sim);
}

static void flushed_kernel(void **state)
{
	struct sim_options o = plain();
	struct sim *sim;

	(void)state;
	sim = start(&o, NULL);
	sim_run(sim, 10000);
	sim_flush(sim, 0);
	sim_traffic(sim, 500);
	sim_run(sim, 100000);
	assert_agree(sim);
	for (int side = 0; side < 2; side++)
		assert_int_equal(sim_count(sim, side, MOAT_DIRECTION_IN), 1);
	sim_free(sim);
}

static void start_up_tries_for_ever(void **state)
{
	struct sim_options o = plain();
	struct sim *sim;

	(void)state;
	o.start[0] = MOAT_START_UP;
	sim = sim_new(&o);
	sim_set_filter(sim, everything);
	sim_run(sim, 3600000);
	assert_true(sim_logged(sim, 0, "ike-start") >= 8);
	sim_set_filter(sim, NULL);
	sim_run(sim, 400000);
	assert_agree(sim);
	sim_free(sim);
}

/* A reload changes the tunnel: its traffic is at no time without a policy. */
static void changed_tunnel_stays_covered(void **state)
{
	struct sim_options o = plain();
	struct sim *sim;

	(void)state;
	o.nets = 2;
	sim = start(&o, NULL);
	for (int side = 0; side < 2; side++) {
		sim_change(sim, side, "aes256-sha256");
		sim_configure(sim, side);
	}
	sim_run(sim, 1000);
	assert_int_equal(sim_logged(sim, 0, "tunnel-removed"), 1);
	assert_int_equal(sim_policies(sim, 0), 4);
	assert_int_equal(sim_bared(sim, 0), 0);
	assert_int_equal(sim_bared(sim, 1), 0);
	sim_up(sim, 0);
	sim_run(sim, 5000);
	assert_agree(sim);
	sim_unconfigure(sim, 0);
	sim_run(sim, 1000);
	assert_int_equal(sim_bared(sim, 0), 4);
	sim_free(sim);
}

/* Somebody deletes the policies under the daemon: they come back, with SAs. */
static void policies_deleted_behind_us(void **state)
{
	struct sim_options o = plain();
	struct sim *sim;

	(void)state;
	o.nets = 2;
	sim = start(&o, NULL);
	assert_agree(sim);
	sim_lose_policies(sim, 0, NULL);
	assert_string_equal(sim_state(sim, 0), "connecting");
	assert_int_equal(sim_logged(sim, 0, "policy-restored"), 4);
	sim_run(sim, 5000);
	assert_string_equal(sim_state(sim, 0), "up");
	assert_agree(sim);
	sim_free(sim);
}

/* One that the kernel does not take is no trap: until it takes it at a reload. */
static void refused_policy_is_down(void **state)
{
	struct sim_options o = plain();
	struct sim *sim;

	(void)state;
	sim = sim_new(&o);
	sim_run(sim, 100);
	assert_string_equal(sim_state(sim, 0), "waiting");
	sim_lose_policies(sim, 0, "device wan is not of type moat");
	assert_string_equal(sim_state(sim, 0), "down");
	assert_non_null(strstr(sim_log_text(sim, 0, "policy-refused"),
			       "device wan is not of type moat"));
	sim_run(sim, 1000);
	assert_int_equal(sim_policies(sim, 0), 0);
	sim_configure(sim, 0);
	sim_run(sim, 1000);
	assert_int_equal(sim_policies(sim, 0), 1);
	assert_string_equal(sim_state(sim, 0), "waiting");
	sim_up(sim, 0);
	sim_run(sim, 3000);
	assert_agree(sim);
	sim_free(sim);
}

static bool all(int from, uint8_t exchange, unsigned int nth)
{
	(void)exchange;
	(void)nth;
	return from == 0;
}

/* Who waits for `up` hears at once why nothing can come. */
static void local_address_is_absent(void **state)
{
	static const char text[] = "the local address 192.0.2.1 is on no interface";
	struct sim_options o = plain();
	struct sim *sim = sim_new(&o);

	(void)state;
	sim_set_filter(sim, all);
	sim_run(sim, 100);
	sim_up(sim, 0);
	for (unsigned int i = 0; i < 3; i++) {
		sim_run(sim, 100);
		sim_absent(sim, 0, text);
	}
	assert_int_equal(sim_logged(sim, 0, "send-failed"), 1);
	sim_run(sim, 3000);
	assert_int_equal(sim_done(sim, 0), 0);
	assert_non_null(strstr(sim_log_text(sim, 0, "control-done"), text));
	sim_free(sim);
}

/*
 * Both sides are given other networks, one after the other, under traffic. What the
 * peer does not know yet it refuses; it is asked again before packets are lost.
 */
static void other_networks(void **state)
{
	(void)state;
	/* In which order the deletes come is another matter with each seed. */
	for (int run = 0; run < 20; run++) {
		struct sim_options o = plain();
		int first = run % 2;
		uint64_t from;
		struct sim *sim;

		o.seed = (uint64_t)run / 2 + 1;
		o.nets = 1;
		o.traffic = 30;
		o.one_way = true;
		sim = sim_new(&o);
		sim_run(sim, 5000);
		for (unsigned int nets = 2; nets < 5; nets++) {
			sim_change_nets(sim, nets);
			sim_configure(sim, first);
			sim_run(sim, 700);
			sim_configure(sim, !first);
			from = sim_now(sim);
			while (sim_agree(sim) && sim_now(sim) < from + 10000)
				sim_run(sim, 10);
			/* A message may have to be repeated; the kernel asks after 5 s. */
			if (sim_now(sim) > from + 2500)
				fail_msg("run %d, %u networks: %llu ms", run, nets,
					 (unsigned long long)(sim_now(sim) - from));
			sim_run(sim, 5000);
		}
		sim_free(sim);
	}
}

/* What the peer deleted is kept for deletes that come late, and no longer. */
static void deleted_isakmp(void **state)
{
	struct sim_options o = plain();
	struct sim *sim = start(&o, NULL);
	const struct moat_ike *ike = sim_core(sim, 0);

	(void)state;
	sim_down(sim, 1);
	sim_run(sim, 500);
	assert_int_equal(sim_isakmps(sim, 0), 0);
	assert_false(TAILQ_EMPTY(&ike->dead_isakmps));
	sim_run(sim, 3000);
	assert_true(TAILQ_EMPTY(&ike->dead_isakmps));
	sim_free(sim);
}

/* The log says which traffic has nothing to go on, and of that only. */
static void traffic_without_sas(void **state)
{
	struct sim_options o = plain();
	struct sim *sim;

	(void)state;
	sim = start(&o, NULL);
	sim_control(sim, 0, MOAT_EV_REKEY);
	sim_run(sim, 100000);
	assert_int_equal(sim_logged(sim, 0, "pair-lost"), 0);
	sim_down(sim, 1);
	sim_run(sim, 2000);
	assert_int_equal(sim_logged(sim, 0, "pair-lost"), 1);
	assert_non_null(
		strstr(sim_log_text(sim, 0, "pair-lost"),
		       "traffic from 10.1.0.0/24 to 10.2.0.0/24 has no SAs any more"));
	/* Who took them down knows. */
	assert_int_equal(sim_logged(sim, 1, "pair-lost"), 0);
	sim_free(sim);
}

/* Lives that began together do not end together; README says between what. */
static void jitter(void **state)
{
	struct sim_options o = plain();
	struct sim *sim = sim_new(&o);
	uint64_t least = UINT64_MAX, most = 0;

	(void)state;
	for (int i = 0; i < 200; i++) {
		uint64_t after = moat_rekey_after(sim_core(sim, 0), 1000000, true);

		assert_in_range(after, 500000, 750000);
		least = after < least ? after : least;
		most = after > most ? after : most;
	}
	assert_true(most - least > 200000);
	sim_free(sim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_from_cache),
		cmocka_unit_test(retransmission),
		cmocka_unit_test(traffic_without_sas),
		cmocka_unit_test(lost_message_3),
		cmocka_unit_test(first_use_for_message_3),
		cmocka_unit_test(rekey_of_phase_2),
		cmocka_unit_test(rekey_of_a_short_life),
		cmocka_unit_test(rekey_by_volume),
		cmocka_unit_test(rekey_of_phase_1),
		cmocka_unit_test(phase_1_expires_alone),
		cmocka_unit_test(simultaneous_begin),
		cmocka_unit_test(rekey_of_both_phases),
		cmocka_unit_test(rekeys_asked_for),
		cmocka_unit_test(rekey_of_nothing),
		cmocka_unit_test(peer_forgets),
		cmocka_unit_test(flushed_kernel),
		cmocka_unit_test(start_up_tries_for_ever),
		cmocka_unit_test(changed_tunnel_stays_covered),
		cmocka_unit_test(policies_deleted_behind_us),
		cmocka_unit_test(refused_policy_is_down),
		cmocka_unit_test(local_address_is_absent),
		cmocka_unit_test(other_networks),
		cmocka_unit_test(deleted_isakmp),
		cmocka_unit_test(jitter),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
