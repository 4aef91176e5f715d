// SPDX-License-Identifier: GPL-2.0-or-later
/* The daemon stops or crashes; policies and SAs stay, and the next one takes over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "ike/ike1.h"
#include "sim_case.h"

#define SECOND 1000

static struct sim_options plain(void)
{
	return sim_steady(11);
}

static void assert_whole(struct sim *sim)
{
	sim_assert_whole(sim);
	assert_int_equal(sim_packets_lost(sim), 0);
}

/* A minute without a daemon, then a new one: not a packet is lost. */
static void away(int side, unsigned int seconds)
{
	struct sim_options o = plain();
	struct sim *sim = sim_start_steady(&o);
	unsigned int contacts = sim_logged(sim, !side, "ike-initial-contact");

	sim_crash(sim, side);
	sim_run(sim, (uint64_t)seconds * SECOND);
	sim_restart(sim, side);
	assert_int_equal(sim_logged(sim, side, "ipsec-adopted"), 1);
	assert_string_equal(sim_state(sim, side), "up");
	sim_run(sim, 10 * SECOND);
	/* It has an ISAKMP SA of its own, and SAs of its own. */
	assert_true(sim_isakmps(sim, side) >= 1);
	assert_int_equal(sim_rekeys(sim, side), 4);
	/* That would have made the peer delete what goes on. */
	assert_int_equal(sim_logged(sim, !side, "ike-initial-contact"), contacts);
	sim_run(sim, 180 * SECOND);
	assert_whole(sim);
	sim_free(sim);
}

static void stays_up(void **state)
{
	(void)state;
	away(0, 60);
	away(1, 60);
	away(0, 0);
	away(1, 1);
}

static uint64_t when;

/* At any moment of a rekey, in either role. */
static void in_a_rekey(void **state)
{
	(void)state;
	for (when = 0; when < 400; when += 7) {
		struct sim_options o = plain();
		struct sim *sim;
		int side = (int)(when % 2);

		o.seed = 100 + when;
		o.lifetime = 300;
		sim = sim_start_steady(&o);
		while (!sim_logged(sim, 0, "ipsec-rekey") &&
		       !sim_logged(sim, 1, "ipsec-rekey"))
			sim_run(sim, 5);
		sim_run(sim, when);
		sim_crash(sim, side);
		sim_run(sim, 3 * SECOND);
		sim_restart(sim, side);
		sim_run(sim, 20 * SECOND);
		assert_string_equal(sim_state(sim, side), "up");
		if (sim_packets_lost(sim) || sim_agree(sim))
			fail_msg("at %u ms: %lu packets lost, %s", (unsigned int)when,
				 sim_packets_lost(sim),
				 sim_agree(sim) ? sim_agree(sim) : "agree");
		sim_free(sim);
	}
}

/*
 * Both asked for one at once, and then one side is away for longer than SAs that are
 * one too many last: it may be these that its kernel goes on sending on.
 */
static void in_two_rekeys(void **state)
{
	(void)state;
	for (when = 0; when < 6500; when += when < 400 ? 17 : 450) {
		struct sim_options o = plain();
		int side = (int)(when % 2);
		struct sim *sim;

		o.seed = 700 + when;
		o.nets = 1;
		sim = sim_start_steady(&o);
		sim_control(sim, 0, MOAT_EV_REKEY);
		sim_control(sim, 1, MOAT_EV_REKEY);
		sim_run(sim, when);
		sim_crash(sim, side);
		sim_run(sim, 65 * SECOND);
		if (sim_packets_lost(sim))
			fail_msg("at %u ms: %lu packets lost without a daemon",
				 (unsigned int)when, sim_packets_lost(sim));
		sim_restart(sim, side);
		sim_run(sim, 200 * SECOND);
		if (sim_packets_lost(sim) || sim_agree(sim) ||
		    sim_count(sim, side, MOAT_DIRECTION_IN) != 1)
			fail_msg("at %u ms: %lu packets lost, %s, %u SAs",
				 (unsigned int)when, sim_packets_lost(sim),
				 sim_agree(sim) ? sim_agree(sim) : "agree",
				 sim_count(sim, side, MOAT_DIRECTION_IN));
		sim_free(sim);
	}
}

/*
 * SAs that are younger than a message 1 may be: the peer takes the quick mode of the
 * new daemon for one that ran at once with its own, and the new one has to win.
 */
static void young_ones(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 20; seed++) {
		struct sim_options o = plain();
		struct moat_tunnel *tunnel;
		struct sim *sim;

		o.seed = 900 + seed;
		o.nets = 1;
		sim = sim_start_steady(&o);
		sim_control(sim, 1, MOAT_EV_REKEY);
		sim_run(sim, 8 * SECOND);
		sim_crash(sim, 0);
		sim_run(sim, SECOND);
		sim_restart(sim, 0);
		sim_run(sim, 5 * SECOND);
		tunnel = TAILQ_FIRST(&sim_core(sim, 1)->tunnels);
		assert_non_null(tunnel->pairs[0].current);
		assert_false(tunnel->pairs[0].current->initiator);
		sim_run(sim, 180 * SECOND);
		assert_null(sim_agree(sim));
		assert_int_equal(sim_packets_lost(sim), 0);
		assert_int_equal(sim_count(sim, 1, MOAT_DIRECTION_IN), 1);
		sim_free(sim);
	}
}

/* The peer was restarted meanwhile and has nothing: the new SAs cure that. */
static void peer_lost_them(void **state)
{
	struct sim_options o = plain();
	struct sim *sim = sim_start_steady(&o);

	(void)state;
	sim_crash(sim, 0);
	sim_reboot(sim, 1);
	sim_run(sim, SECOND);
	sim_restart(sim, 0);
	sim_run(sim, 10 * SECOND);
	assert_null(sim_agree(sim));
	sim_free(sim);
}

/* What is no longer configured goes, with its SAs. */
static void other_configuration(void **state)
{
	struct sim_options o = plain();
	struct sim *sim = sim_start_steady(&o);

	(void)state;
	sim_traffic(sim, 0);
	sim_crash(sim, 0);
	sim_change_nets(sim, 1);
	sim_restart(sim, 0);
	sim_run(sim, 100 * SECOND);
	assert_int_equal(sim_policies(sim, 0), 1);
	assert_int_equal(sim_count(sim, 0, MOAT_DIRECTION_IN), 1);
	assert_int_equal(sim_count(sim, 0, MOAT_DIRECTION_OUT), 1);
	sim_free(sim);
}

/* It is told once all SAs have been replaced, and again when the old ones end. */
static void tells_of_the_old_one(void **state)
{
	struct sim_options o = plain();
	struct sim *sim;

	(void)state;
	o.split = true;
	o.traffic = 0; /* at the beginning both would begin */
	sim = sim_start_steady(&o);
	sim_traffic(sim, 50);
	assert_int_equal(sim_isakmps(sim, 1), 1);
	for (int side = 0; side < 2; side++) {
		unsigned int deleted = sim_logged(sim, !side, "ike-deleted");
		unsigned int told = sim_logged(sim, side, "ike-orphan");

		sim_crash(sim, side);
		sim_run(sim, 2 * SECOND);
		sim_restart(sim, side);
		sim_run(sim, 8 * SECOND);
		/*
		 * Once: of an ISAKMP SA that all tunnels came from. What side 1 had
		 * with the first daemon of side 0 its SAs still name.
		 */
		assert_int_equal(sim_logged(sim, side, "ike-orphan"),
				 told + 1 + (unsigned int)side);
		assert_int_equal(sim_logged(sim, !side, "ike-deleted"), deleted + 1);
		assert_int_equal(sim_isakmps(sim, 0), 1);
		assert_int_equal(sim_isakmps(sim, 1), 1);
		sim_run(sim, 180 * SECOND);
		assert_true(sim_logged(sim, side, "ike-orphan") > told + 1);
		assert_int_equal(sim_isakmps(sim, 1), 1);
		assert_whole(sim);
	}
	sim_free(sim);
}

/*
 * A phase 1 under which no quick mode was completed yet is known to the next daemon
 * all the same, and the one before it too as long as it stands.
 */
static void tells_of_a_fresh_one(int side, uint64_t ms, unsigned int stand)
{
	struct sim_options o = plain();
	unsigned int made, told, deleted;
	struct sim *sim;

	o.traffic = 0;
	o.ike_lifetime = 400;
	sim = sim_start_steady(&o);
	sim_traffic(sim, 50);
	made = sim_logged(sim, 0, "ike-established");
	while (sim_logged(sim, 0, "ike-established") == made)
		sim_run(sim, 50);
	sim_run(sim, ms);
	assert_int_equal(sim_rekeys(sim, 0), 0);
	assert_int_equal(sim_isakmps(sim, !side), stand);
	told = sim_logged(sim, side, "ike-orphan");
	deleted = sim_logged(sim, !side, "ike-deleted");
	for (unsigned int crashes = 0; crashes < 2; crashes++) {
		sim_crash(sim, side);
		sim_run(sim, 2 * SECOND);
		sim_restart(sim, side);
		/* The second one comes before any quick mode under its phase 1. */
		made = sim_logged(sim, side, "ike-established");
		while (!crashes && sim_logged(sim, side, "ike-established") == made)
			sim_run(sim, 1);
		sim_run(sim, 20);
		assert_int_equal(sim_logged(sim, side, "ike-orphan"), told);
	}
	sim_run(sim, 6 * SECOND);
	/* Of the one before in any case: that it has ended, the SAs do not say. */
	assert_int_equal(sim_logged(sim, side, "ike-orphan"), told + 3);
	assert_int_equal(sim_logged(sim, !side, "ike-deleted"), deleted + stand + 1);
	assert_int_equal(sim_isakmps(sim, 0), 1);
	assert_int_equal(sim_isakmps(sim, 1), 1);
	sim_run(sim, 180 * SECOND);
	assert_int_equal(sim_isakmps(sim, 1), 1);
	assert_whole(sim);
	sim_free(sim);
}

static void tells_of_fresh_ones(void **state)
{
	(void)state;
	for (int side = 0; side < 2; side++) {
		tells_of_a_fresh_one(side, 2 * SECOND, 2);
		tells_of_a_fresh_one(side, 20 * SECOND, 1);
	}
}

static bool lose_informational(int from, uint8_t exchange, unsigned int nth)
{
	(void)nth;
	return !from && exchange == MOAT_X_INFORMATIONAL;
}

/*
 * Each crash leaves the peer an ISAKMP SA that nobody else has, should it not hear
 * that it is gone: they do not pile up.
 */
static void crashes_in_a_row(void **state)
{
	struct sim_options o = plain();
	struct sim *sim;

	(void)state;
	o.dpd = 30;
	o.dpd_timeout = 120;
	sim = sim_start_steady(&o);
	sim_set_filter(sim, lose_informational);
	for (unsigned int i = 0; i < 3; i++) {
		sim_crash(sim, 0);
		sim_run(sim, 2 * SECOND);
		sim_restart(sim, 0);
		sim_run(sim, 10 * SECOND);
	}
	assert_true(sim_isakmps(sim, 1) > 1);
	assert_int_equal(sim_isakmps(sim, 0), 1);
	sim_run(sim, 50 * SECOND);
	assert_int_equal(sim_isakmps(sim, 1), 1);
	assert_int_equal(sim_isakmps(sim, 0), 1);
	assert_int_equal(sim_logged(sim, 1, "peer-dead"), 0);
	sim_set_filter(sim, NULL);
	sim_run(sim, 180 * SECOND);
	assert_whole(sim);
	sim_free(sim);
}

/* Two that both sides have stay: after a simultaneous start, say. */
static void two_that_live(void **state)
{
	struct sim_options o = plain();
	struct sim *sim;

	(void)state;
	o.dpd = 30;
	o.dpd_timeout = 120;
	o.start[0] = o.start[1] = MOAT_START_UP;
	sim = sim_new(&o);
	sim_run(sim, 100 * SECOND);
	assert_int_equal(sim_isakmps(sim, 0), sim_isakmps(sim, 1));
	assert_true(sim_isakmps(sim, 0) >= 1);
	assert_int_equal(sim_logged(sim, 0, "ike-deleted"), 0);
	assert_int_equal(sim_logged(sim, 1, "ike-deleted"), 0);
	assert_whole(sim);
	sim_free(sim);
}

/* One that does not adopt says INITIAL-CONTACT: what the peer had goes at once. */
static void reboots_in_a_row(void **state)
{
	struct sim_options o = plain();
	unsigned int contacts;
	struct sim *sim;

	(void)state;
	o.traffic = 0;
	sim = sim_start_steady(&o);
	contacts = sim_logged(sim, 1, "ike-initial-contact");
	for (unsigned int i = 0; i < 3; i++) {
		sim_reboot(sim, 0);
		sim_run(sim, SECOND);
		sim_up(sim, 0);
		sim_run(sim, SECOND);
		assert_int_equal(sim_isakmps(sim, 0), 1);
		assert_int_equal(sim_isakmps(sim, 1), 1);
		assert_int_equal(sim_logged(sim, 1, "ike-initial-contact"),
				 contacts + i + 1);
	}
	sim_free(sim);
}

/* A peer that crashes all the time, and that nobody asks whether it lives. */
static void again_and_again(void **state)
{
	struct sim_options o = sim_plain();
	struct sim *sim = sim_start(&o);
	unsigned int most = 0;

	(void)state;
	for (unsigned int i = 0; i < 100; i++) {
		sim_crash(sim, 0);
		sim_run(sim, 100);
		sim_restart(sim, 0);
		sim_run(sim, 2 * SECOND);
		if (sim_isakmps(sim, 1) > most)
			most = sim_isakmps(sim, 1);
	}
	assert_int_equal(most, 4);
	assert_string_equal(sim_state(sim, 1), "up");
	assert_string_equal(sim_agree(sim) ? sim_agree(sim) : "agree", "agree");
	sim_free(sim);
}

/* Many of one peer that all have SAs, as those that keep them apart make them. */
static void each_with_its_sas(void **state)
{
	struct sim_options o = sim_plain();
	struct moat_isakmp *sa;
	struct sim *sim;

	(void)state;
	o.nets = 3;
	sim = sim_new(&o);
	sim_run(sim, 100);
	for (unsigned int i = 0; i < 9; i++) {
		sim_acquire(sim, 0, i);
		sim_run(sim, 2 * SECOND);
		/* The next pair shall have another one. */
		TAILQ_FOREACH(sa, &sim_core(sim, 0)->isakmps, link)
			sa->outdated = true;
	}
	assert_int_equal(sim_isakmps(sim, 0), 9);
	assert_int_equal(sim_isakmps(sim, 1), 9);
	sim_free(sim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stays_up),
		cmocka_unit_test(in_a_rekey),
		cmocka_unit_test(in_two_rekeys),
		cmocka_unit_test(young_ones),
		cmocka_unit_test(peer_lost_them),
		cmocka_unit_test(other_configuration),
		cmocka_unit_test(tells_of_the_old_one),
		cmocka_unit_test(tells_of_fresh_ones),
		cmocka_unit_test(crashes_in_a_row),
		cmocka_unit_test(two_that_live),
		cmocka_unit_test(reboots_in_a_row),
		cmocka_unit_test(again_and_again),
		cmocka_unit_test(each_with_its_sas),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
