// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What ends while something else is under way: SAs that were to be replaced, SAs that
 * were to replace them, and the ISAKMP SA by which a dead peer is noticed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "sim_case.h"
#include "sim_insider.h"

#define SECOND 1000

static uint32_t next_id = 0x10000;

/* Side 0 says DELETE to side 1 under its newest ISAKMP SA. */
static void say_delete(struct sim *sim, uint8_t protocol, const uint8_t *spi, uint8_t len)
{
	struct moat_isakmp *sa = sim_newest(sim, 0);
	struct moat_ike1_out out;
	uint32_t id = ++next_id;

	sim_insider_begin(&out, sa, MOAT_X_INFORMATIONAL, id);
	moat_build_delete(&out.b, protocol, len, moat_view(spi, len));
	sim_insider_send(sim, sa, &out, id, false);
}

static void say_nothing(struct sim *sim)
{
	struct moat_isakmp *sa = sim_newest(sim, 0);
	struct moat_ike1_out out;
	uint32_t id = ++next_id;

	sim_insider_begin(&out, sa, MOAT_X_INFORMATIONAL, id);
	moat_build_notify(&out.b, MOAT_PROTO_ISAKMP, 40000, moat_view(NULL, 0),
			  moat_view(NULL, 0));
	sim_insider_send(sim, sa, &out, id, false);
}

static void delete_oldest(struct sim *sim)
{
	const struct moat_isakmp *oldest = TAILQ_FIRST(&sim_core(sim, 0)->isakmps);
	uint8_t spi[2 * MOAT_COOKIE_LEN];

	memcpy(spi, oldest->cky.i, MOAT_COOKIE_LEN);
	memcpy(spi + MOAT_COOKIE_LEN, oldest->cky.r, MOAT_COOKIE_LEN);
	say_delete(sim, MOAT_PROTO_ISAKMP, spi, sizeof(spi));
}

/* Of an ISAKMP SA that the peer has deleted the last messages come, and the last ids. */
static void last_ids(void **state)
{
	struct sim_options o = sim_plain();
	struct sim *sim = sim_start_traffic(&o, false);
	struct moat_isakmp *theirs = sim_newest(sim, 1);
	struct moat_isakmp *ours = sim_newest(sim, 0);
	unsigned int main_mode;
	uint8_t spi[2 * MOAT_COOKIE_LEN];

	(void)state;
	memcpy(spi, ours->cky.i, MOAT_COOKIE_LEN);
	memcpy(spi + MOAT_COOKIE_LEN, ours->cky.r, MOAT_COOKIE_LEN);
	while (theirs->n_seen < MOAT_EXCHANGES_MAX / 8 * 7 - 2) {
		say_nothing(sim);
		sim_run(sim, 1);
	}
	say_delete(sim, MOAT_PROTO_ISAKMP, spi, sizeof(spi));
	sim_run(sim, 1);
	assert_int_equal(sim_isakmps(sim, 1), 0);
	main_mode = sim_sent(sim, 1, MOAT_X_MAIN);
	say_nothing(sim);
	sim_run(sim, 60 * SECOND);
	/* It does not ask for another one, either. */
	assert_int_equal(sim_sent(sim, 1, MOAT_X_MAIN), main_mode);
	sim_free(sim);
}

static bool no_deletes(int from, uint8_t exchange, unsigned int nth)
{
	(void)nth;
	return from == 0 && exchange == MOAT_X_INFORMATIONAL;
}

/* Both sides, which are no Moat to each other, have just begun a rekey. */
static struct sim *start_at_once(uint64_t seed)
{
	struct sim_options o = sim_plain();
	struct sim *sim;

	o.seed = seed;
	sim = sim_start_traffic(&o, true);
	sim_run(sim, 100 * SECOND);
	for (int side = 0; side < 2; side++)
		moat_timer_after(sim_core(sim, side),
				 &sim_pair(sim, side)->current->rekey_timer, 1);
	return sim;
}

/*
 * Of two quick modes at once the peer keeps the one that we do not: what is left lives
 * on, and is replaced in time.
 */
static void other_choice(void **state)
{
	unsigned int chosen[2] = { 0 };

	(void)state;
	for (uint64_t seed = 1; seed < 7; seed++) {
		struct moat_child *child, *next;
		struct sim *sim;

		sim = start_at_once(seed);
		sim_run(sim, 9 * SECOND);
		for (child = TAILQ_FIRST(&sim_pair(sim, 1)->children); child;
		     child = next) {
			next = TAILQ_NEXT(child, link);
			if (child->old && !child->redundant)
				sim_insider_delete(sim, child, ++next_id);
		}
		sim_insider_delete(sim, sim_pair(sim, 1)->current, ++next_id);
		sim_set_filter(sim, no_deletes);
		sim_run(sim, 100);
		assert_non_null(sim_pair(sim, 1)->current);
		chosen[sim_pair(sim, 1)->current->initiator]++;
		sim_run(sim, 3700 * SECOND);
		assert_int_equal(sim_logged(sim, 1, "pair-lost"), 0);
		assert_int_equal(sim_count(sim, 1, MOAT_DIRECTION_OUT) > 0, 1);
		sim_free(sim);
	}
	/* Both ways have been seen. */
	assert_true(chosen[0] && chosen[1]);
}

/* The peer sends on the SAs that we do not: they stay until there are newer ones. */
static void their_choice(void **state)
{
	unsigned int ours = 0;

	(void)state;
	for (uint64_t seed = 1; seed < 7; seed++) {
		struct moat_child *child;
		struct sim *sim;
		uint32_t spi = 0;

		sim = start_at_once(seed);
		sim_run(sim, 2 * SECOND);
		TAILQ_FOREACH(child, &sim_pair(sim, 1)->children, link) {
			if (!child->redundant || !child->initiator)
				continue;
			child->used = true;
			child->used_at = ++sim_core(sim, 1)->sequence;
			spi = child->sas[0].spi_in;
		}
		/* Who began it ends it: the other side has no say. */
		ours += spi != 0;
		if (!spi) {
			sim_free(sim);
			continue;
		}
		sim_run(sim, 300 * SECOND);
		assert_non_null(moat_child_find(sim_core(sim, 1),
						sim_pair(sim, 1)->policy,
						MOAT_DIRECTION_IN, 50, spi));
		sim_control(sim, 1, MOAT_EV_REKEY);
		sim_run(sim, 100 * SECOND);
		assert_null(moat_child_find(sim_core(sim, 1), sim_pair(sim, 1)->policy,
					    MOAT_DIRECTION_IN, 50, spi));
		sim_free(sim);
	}
	assert_true(ours);
}

static bool message_3_once(int from, uint8_t exchange, unsigned int nth)
{
	return from == 0 && exchange == MOAT_X_QUICK && nth == 4;
}

/* The peer deletes the old one at once, and its message 3 was lost: it has the new one. */
static void deleted_before_3(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		struct sim_options o = sim_plain();
		struct sim *sim = sim_start_traffic(&o, i & 1);
		const struct moat_child *old = sim_pair(sim, 1)->current;

		sim_run(sim, 10 * SECOND);
		sim_set_filter(sim, message_3_once);
		sim_control(sim, 0, MOAT_EV_REKEY);
		sim_run(sim, 300);
		if (i & 2)
			sim_insider_packet(sim, 1);
		sim_insider_delete(sim, old, ++next_id);
		for (int tick = 0; tick < 500; tick++) {
			sim_run(sim, 10);
			if (tick > 10)
				assert_int_equal(sim_count(sim, 1, MOAT_DIRECTION_OUT),
						 1);
		}
		assert_int_equal(sim_logged(sim, 1, "pair-lost"), 0);
		sim_free(sim);
	}
}

/* A peer that was rebooted brings up one pair of two: the other one soon works, too. */
static void rebooted(void **state)
{
	(void)state;
	for (int stranger = 0; stranger < 2; stranger++) {
		struct sim_options o = sim_plain();
		struct sim *sim;
		uint64_t since;

		o.nets = 2;
		o.lifetime = 28800;
		sim = sim_start_traffic(&o, stranger);
		sim_run(sim, 100 * SECOND);
		sim_traffic(sim, 0);
		sim_run(sim, SECOND);
		sim_reboot(sim, 1);
		sim_run(sim, 100);
		since = sim_now(sim);
		sim_acquire(sim, 1, 0);
		sim_run(sim, 5 * SECOND);
		for (unsigned int i = 0; i < 4; i++) {
			const struct moat_child *child = sim_pair(sim, 0)[i].current;

			assert_true(!child || child->established > since);
		}
		sim_free(sim);
	}
}

static bool dead(int from, uint8_t exchange, unsigned int nth)
{
	(void)from;
	(void)exchange;
	(void)nth;
	return true;
}

/* The peer dies just before a rekey of either phase, or when other traffic asks. */
static void dies(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 5; i++) {
		struct sim_options o = sim_plain();
		struct moat_child *child;
		struct sim *sim;

		o.nets = 2;
		o.dpd = 30;
		o.dpd_timeout = 120;
		o.lifetime = 28800;
		sim = sim_new(&o);
		sim_run(sim, 100);
		sim_acquire(sim, 0, 0);
		sim_run(sim, 300 * SECOND);
		sim_set_filter(sim, dead);
		child = moat_peer_next_child(sim_newest(sim, 0)->tunnel, NULL);
		if (i & 1)
			moat_timer_after(sim_core(sim, 0),
					 &sim_newest(sim, 0)->rekey_timer, 5);
		if (i & 2)
			moat_timer_after(sim_core(sim, 0), &child->rekey_timer, 5);
		if (i & 4)
			sim_acquire(sim, 0, 1);
		sim_run(sim, 125 * SECOND);
		assert_int_equal(sim_logged(sim, 0, "peer-dead"), 1);
		assert_int_equal(sim_count(sim, 0, MOAT_DIRECTION_OUT), 0);
		sim_free(sim);
	}
}

static bool quick_at_all(int from, uint8_t exchange, unsigned int nth)
{
	(void)from;
	(void)nth;
	return exchange == MOAT_X_QUICK;
}

/* The peer deletes its only ISAKMP SA, and lives, or dies: we make one and find out. */
static void without_isakmp(void **state)
{
	(void)state;
	for (int lives = 0; lives < 2; lives++) {
		struct sim_options o = sim_plain();
		struct sim *sim;

		o.dpd = 30;
		o.dpd_timeout = 120;
		sim = sim_start_traffic(&o, true);
		sim_run(sim, 100 * SECOND);
		delete_oldest(sim);
		sim_run(sim, 10);
		assert_int_equal(sim_isakmps(sim, 1), 0);
		if (!lives)
			sim_set_filter(sim, dead);
		sim_run(sim, 20 * SECOND);
		assert_int_equal(sim_isakmps(sim, 1), 0);
		sim_run(sim, 105 * SECOND);
		assert_int_equal(sim_logged(sim, 1, "peer-dead"), !lives);
		assert_int_equal(sim_count(sim, 1, MOAT_DIRECTION_OUT), lives);
		if (lives)
			assert_int_equal(sim_isakmps(sim, 1), 1);
		sim_free(sim);
	}
}

/* A quick mode without an answer, while the peer says that it is alive: all stays. */
static void alive(void **state)
{
	struct sim_options o = sim_plain();
	struct sim *sim;

	(void)state;
	o.dpd = 10;
	o.dpd_timeout = 120;
	sim = sim_start_traffic(&o, false);
	sim_set_filter(sim, quick_at_all);
	moat_timer_after(sim_core(sim, 0), &sim_pair(sim, 0)->current->rekey_timer, 5);
	sim_run(sim, 70 * SECOND);
	assert_int_equal(sim_logged(sim, 0, "quick-failed"), 1);
	assert_int_equal(sim_logged(sim, 0, "ike-silent"), 0);
	assert_int_equal(sim_isakmps(sim, 0), 1);
	assert_int_equal(sim_packets_lost(sim), 0);
	sim_free(sim);
}

/* Up to a reboot of side 1, which comes back at its other address. */
static struct sim *start_at_second(enum moat_nat_t nat_t)
{
	struct sim_options o = sim_plain();
	struct sim *sim;

	o.nets = 2;
	o.dpd = 30;
	o.dpd_timeout = 120;
	o.traffic = 200;
	o.one_way = true;
	o.nat_t[0] = o.nat_t[1] = nat_t;
	o.also[0] = "192.0.2.77";
	o.start[1] = MOAT_START_NONE;
	sim = sim_new(&o);
	sim_run(sim, 100);
	sim_up(sim, 0);
	sim_run(sim, 200 * SECOND);
	sim_readdress(sim, 1, "192.0.2.77");
	sim_reboot(sim, 1);
	return sim;
}

/* A quick mode finds out first: all that leads to the dead address is replaced. */
static void second_address(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		struct sim *sim =
			start_at_second(i & 2 ? MOAT_NAT_T_FORCE : MOAT_NAT_T_AUTO);
		struct moat_child *child;

		if (i & 1)
			moat_timer_after(sim_core(sim, 0),
					 &sim_pair(sim, 0)->current->rekey_timer, 5);
		sim_run(sim, (i & 1 ? 115 : 125) * SECOND);
		MOAT_PEER_FOREACH_CHILD(child, sim_newest(sim, 0)->tunnel) {
			char addr[MOAT_ADDR_STRLEN];

			if (child == child->pair->current)
				assert_string_equal(moat_addr_str(&child->remote, addr),
						    "192.0.2.77");
		}
		assert_string_equal(sim_state(sim, 0), "up");
		sim_free(sim);
	}
}

static bool quick_of_1(int from, uint8_t exchange, unsigned int nth)
{
	(void)nth;
	return from == 1 && exchange == MOAT_X_QUICK;
}

/* A peer comes from its other address with a phase 1, and has no quick mode: we have. */
static void from_second(void **state)
{
	struct sim_options o = sim_plain();
	struct sim *sim;

	(void)state;
	o.nets = 2;
	o.also[0] = "192.0.2.77";
	sim = sim_start_traffic(&o, false);
	sim_set_filter(sim, quick_of_1);
	sim_readdress(sim, 1, "192.0.2.77");
	sim_configure(sim, 1);
	sim_run(sim, 3 * SECOND);
	assert_int_equal(sim_logged(sim, 0, "ipsec-rekey"), 4);
	sim_free(sim);
}

/* The name of a peer behind a NAT leads elsewhere: that is where it is called. */
static void another_name(void **state)
{
	struct sim_options o = sim_steady(1);
	struct sim *sim;

	(void)state;
	o.one_way = true;
	o.nat_t[0] = o.nat_t[1] = MOAT_NAT_T_FORCE;
	o.start[1] = MOAT_START_NONE;
	sim = sim_start_steady(&o);
	sim_readdress(sim, 1, "192.0.2.52");
	sim_reboot(sim, 1);
	sim_run(sim, 2 * SECOND);
	sim_configure(sim, 0);
	sim_run(sim, 10 * SECOND);
	assert_null(sim_agree(sim));
	sim_free(sim);
}

/* A new daemon finds the peer where the SAs of the one before lead. */
static void adopts_second(void **state)
{
	struct sim *sim = start_at_second(MOAT_NAT_T_AUTO);

	(void)state;
	sim_run(sim, 400 * SECOND);
	sim_restart(sim, 0);
	sim_run(sim, 10 * SECOND);
	assert_int_equal(sim_isakmps(sim, 0), 1);
	assert_string_equal(sim_state(sim, 0), "up");
	sim_free(sim);
}

/*
 * New SAs of side 1 wait, for their message 3 was lost. Then a stranger says that it
 * starts afresh, which it does not mean, or deletes the ISAKMP SA of that quick mode:
 * others are made, and nothing is sent on those that wait.
 */
static void waiting(void **state)
{
	(void)state;
	for (int deleted = 0; deleted < 2; deleted++) {
		struct sim_options o = sim_plain();
		struct sim *sim = sim_start_traffic(&o, true);
		const struct moat_child *child;

		sim_run(sim, 100 * SECOND);
		moat_timer_after(sim_core(sim, 1),
				 &sim_pair(sim, 1)->current->rekey_timer, 1);
		sim_run(sim, 12);
		sim_set_filter(sim, quick_of_1);
		sim_run(sim, 100);
		child = TAILQ_LAST(&sim_pair(sim, 1)->children, moat_children);
		assert_true(child->complete && !child->switched);
		moat_timer_after(sim_core(sim, 0), &sim_newest(sim, 0)->rekey_timer, 1);
		sim_run(sim, 400);
		assert_int_equal(sim_isakmps(sim, 1), 2);
		if (deleted)
			delete_oldest(sim);
		else
			sim_insider_afresh(sim, ++next_id);
		sim_set_filter(sim, quick_at_all);
		sim_run(sim, 5 * SECOND);
		assert_true(child->old);
		sim_set_filter(sim, NULL);
		sim_run(sim, 60 * SECOND);
		assert_int_equal(sim_rekeys(sim, 1), 1);
		assert_int_equal(sim_logged(sim, 1, "pair-lost"), 0);
		assert_int_equal(sim_packets_lost(sim), 0);
		sim_free(sim);
	}
}

/* Nothing is sent on them, but comes: what the peer says to have lost is replaced. */
static void one_way(void **state)
{
	struct sim_options o = sim_plain();
	struct sim *sim;

	(void)state;
	o.one_way = true;
	sim = sim_start_traffic(&o, true);
	sim_run(sim, 2000 * SECOND);
	moat_timer_after(sim_core(sim, 0), &sim_newest(sim, 0)->rekey_timer, 1);
	sim_run(sim, 500);
	sim_insider_afresh(sim, ++next_id);
	sim_run(sim, 60 * SECOND);
	assert_int_equal(sim_logged(sim, 0, "pair-lost"), 0);
	assert_int_equal(sim_logged(sim, 1, "pair-lost"), 0);
	assert_int_equal(sim_packets_lost(sim), 0);
	sim_free(sim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(last_ids),	  cmocka_unit_test(other_choice),
		cmocka_unit_test(their_choice),	  cmocka_unit_test(deleted_before_3),
		cmocka_unit_test(rebooted),	  cmocka_unit_test(dies),
		cmocka_unit_test(second_address), cmocka_unit_test(from_second),
		cmocka_unit_test(adopts_second),  cmocka_unit_test(another_name),
		cmocka_unit_test(waiting),	  cmocka_unit_test(one_way),
		cmocka_unit_test(alive),	  cmocka_unit_test(without_isakmp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
