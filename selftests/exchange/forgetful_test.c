// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Under a peer that forgets IVs, as strongSwan does, quick modes come to their end: what
 * disturbs them waits, what they disturb comes back, and nothing waits for ever.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sim_case.h"
#include "sim_insider.h"

#define SECOND 1000

static struct moat_tunnel *tunnel(struct sim *sim, int side)
{
	return TAILQ_FIRST(&sim_core(sim, side)->tunnels);
}

static unsigned int asked(struct sim *sim, int side)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < tunnel(sim, side)->conf.n_pairs; i++)
		n += tunnel(sim, side)->pairs[i].asked;
	return n;
}

/* Side 1 forgets; between them are four pairs of networks. */
static struct sim *start(bool one_way)
{
	struct sim_options o = sim_plain();
	struct sim *sim;

	o.nets = 2;
	o.one_way = one_way;
	o.start[1] = MOAT_START_NONE;
	sim = sim_new(&o);
	sim_run(sim, 100);
	sim_estrange(sim);
	sim_forget_ivs(sim, 1);
	return sim;
}

/* All are asked for at once, at first and again, and replaced one after the other. */
static void paced(void **state)
{
	struct sim *sim = start(false);

	(void)state;
	sim_up(sim, 0);
	sim_run(sim, 10 * SECOND);
	sim_assert_established(sim, 4);
	sim_traffic(sim, 100);
	sim_control(sim, 0, MOAT_EV_REKEY);
	sim_run(sim, 60 * SECOND);
	assert_int_equal(sim_rekeys(sim, 0), 4);
	assert_int_equal(sim_forgot(sim, 1), 0);
	assert_int_equal(sim_packets_lost(sim), 0);
	sim_free(sim);
}

static unsigned int which;

static bool message_3_once(int from, uint8_t exchange, unsigned int nth)
{
	return from == 0 && exchange == MOAT_X_QUICK && nth == which;
}

/* Message 3 is lost, and cannot be read when it comes again: the network is not dead. */
static void lost_3(void **state)
{
	unsigned int forgot = 0;

	(void)state;
	for (which = 2; which <= 8; which += 2) {
		struct sim *sim = start(true);

		sim_set_filter(sim, message_3_once);
		sim_up(sim, 0);
		sim_run(sim, 10 * SECOND);
		assert_string_equal(sim_state(sim, 0), "up");
		sim_keep_unknown(sim, 1);
		sim_traffic(sim, SECOND);
		sim_run(sim, 20 * SECOND);
		assert_null(sim_agree(sim));
		forgot += sim_forgot(sim, 1);
		sim_free(sim);
	}
	assert_true(forgot);
}

/* Those before are in use: new ones of which the peer has not message 3 are not. */
static void lost_3_rekey(void **state)
{
	(void)state;
	for (which = 10; which <= 16; which += 2) {
		struct sim *sim = start(true);

		sim_up(sim, 0);
		sim_run(sim, 10 * SECOND);
		sim_keep_unknown(sim, 1);
		sim_traffic(sim, 100);
		sim_set_filter(sim, message_3_once);
		for (unsigned int i = 0; i < 4; i++)
			moat_timer_after(sim_core(sim, 0),
					 &tunnel(sim, 0)->pairs[i].current->rekey_timer,
					 1);
		sim_run(sim, 60 * SECOND);
		assert_null(sim_agree(sim));
		assert_int_equal(sim_packets_lost(sim), 0);
		sim_free(sim);
	}
}

/* Old SAs of four pairs end in the middle of a quick mode: that is told later. */
static void farewells(void **state)
{
	(void)state;
	for (uint64_t ms = 10; ms < 60; ms += 10) {
		struct sim *sim = start(false);

		sim_up(sim, 0);
		sim_run(sim, 10 * SECOND);
		sim_traffic(sim, 20);
		sim_control(sim, 0, MOAT_EV_REKEY);
		sim_run(sim, 25 * SECOND);
		for (int i = 0; i < 4; i++) {
			struct moat_child *child =
				TAILQ_FIRST(&sim_pair(sim, 0)[i].children);

			assert_true(child->old && child->used);
			moat_timer_set(&sim_core(sim, 0)->timers, &child->end_timer,
				       sim_now(sim) + ms);
		}
		moat_timer_after(sim_core(sim, 0),
				 &sim_pair(sim, 0)->current->rekey_timer, 1);
		sim_run(sim, 60 * SECOND);
		assert_int_equal(sim_rekeys(sim, 0), 5);
		assert_int_equal(sim_forgot(sim, 1), 0);
		assert_int_equal(sim_packets_lost(sim), 0);
		sim_free(sim);
	}
}

/* A quick mode for the first pair, which side 0 never ends. */
static void begin_one(struct sim *sim, uint32_t id)
{
	struct moat_isakmp *sa = sim_newest(sim, 0);
	struct sim_quick_1 how = { .esp = &sa->tunnel->conf.esp };
	struct moat_ike1_out out;

	sim_insider_begin(&out, sa, MOAT_X_QUICK, id);
	sim_insider_quick_1(sim, sa, &out.b, &how);
	sim_insider_send(sim, sa, &out, id, false);
}

/* The peer has always one half open, and replaces the other SAs: the old ones end. */
static void half_open(void **state)
{
	struct sim *sim = start(false);
	unsigned int kept = 0;

	(void)state;
	sim_up(sim, 0);
	sim_run(sim, 10 * SECOND);
	sim_traffic(sim, SECOND);
	for (uint32_t i = 0; i < 24; i++) {
		if (i % 4 == 0)
			begin_one(sim, 0x20000 + i);
		assert_true(sim_pair(sim, 1)->answering);
		for (int k = 1; k < 4; k++)
			moat_timer_after(sim_core(sim, 0),
					 &sim_pair(sim, 0)[k].current->rekey_timer, 1);
		sim_run(sim, 10 * SECOND);
		if (i == 11)
			kept = sim_count(sim, 1, MOAT_DIRECTION_IN);
	}
	assert_in_range(sim_count(sim, 1, MOAT_DIRECTION_IN), kept / 2, kept + 6);
	sim_free(sim);
}

static bool quick_of_0(int from, uint8_t exchange, unsigned int nth)
{
	(void)nth;
	return from == 0 && exchange == MOAT_X_QUICK;
}

/* The peer deletes the ISAKMP SA under which quick modes wait: they fail like others. */
static void stranded(void **state)
{
	struct sim_options o = sim_plain();
	struct sim *sim;

	(void)state;
	o.nets = 2;
	o.start[0] = o.start[1] = MOAT_START_NONE;
	sim = sim_new(&o);
	sim_estrange(sim);
	sim_run(sim, 100);
	sim_set_filter(sim, quick_of_0);
	sim_up(sim, 0);
	sim_run(sim, SECOND);
	assert_int_equal(asked(sim, 0), 4);
	sim_newest(sim, 1)->expires = sim_now(sim);
	moat_timer_after(sim_core(sim, 1), &sim_newest(sim, 1)->life_timer, 1);
	sim_run(sim, 100);
	assert_int_equal(sim_isakmps(sim, 0), 0);
	sim_set_filter(sim, NULL);
	sim_run(sim, 200 * SECOND);
	assert_int_equal(sim_done(sim, 0), 0);
	assert_int_equal(asked(sim, 0), 0);
	assert_string_equal(sim_state(sim, 0), "down");
	sim_free(sim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paced),	cmocka_unit_test(lost_3),
		cmocka_unit_test(lost_3_rekey), cmocka_unit_test(farewells),
		cmocka_unit_test(half_open),	cmocka_unit_test(stranded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
