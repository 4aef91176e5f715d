// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * SAs that are not to be sent on, for a stranger that ends what it is told to: those
 * that it was told to delete, those that were left, and new ones of which it has not
 * been heard.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sim_case.h"
#include "sim_insider.h"

#define SECOND 1000
#define SEEDS  19

static uint32_t next_id = 0x10000;

static bool quick_modes(int from, uint8_t exchange, unsigned int nth)
{
	(void)from;
	(void)nth;
	return exchange == MOAT_X_QUICK;
}

static bool quick_of_1(int from, uint8_t exchange, unsigned int nth)
{
	(void)nth;
	return from == 1 && exchange == MOAT_X_QUICK;
}

/* The tunnel has been up for a while. */
static struct sim *start(uint64_t seed)
{
	struct sim_options o = sim_plain();
	struct sim *sim;

	o.seed = seed;
	sim = sim_start_traffic(&o, true);
	sim_run(sim, 100 * SECOND);
	return sim;
}

/* Side 1 has rekeyed, and tells the peer that its old SAs end. */
static struct sim *start_told(uint64_t seed)
{
	struct sim *sim = start(seed);

	sim_control(sim, 1, MOAT_EV_REKEY);
	sim_run(sim, 10 * SECOND);
	assert_int_equal(sim_rekeys(sim, 1), 1);
	while (!TAILQ_FIRST(&sim_pair(sim, 1)->children)->deletes)
		sim_run(sim, 100);
	return sim;
}

/* New SAs of side 1 wait @seconds for a packet, for their message 3 was lost. */
static struct sim *start_unheard(uint64_t seed, unsigned int seconds)
{
	struct sim *sim = start(seed);

	moat_timer_after(sim_core(sim, 1), &sim_pair(sim, 1)->current->rekey_timer, 1);
	sim_run(sim, 12);
	sim_set_filter(sim, quick_of_1);
	sim_run(sim, 100);
	sim_set_filter(sim, quick_modes);
	sim_run(sim, seconds * SECOND);
	return sim;
}

/* The peer has no SAs any more, it was told so, and is sent packets for 30 s. */
static void told_current(void **state)
{
	struct sim *sim = start(1);

	(void)state;
	moat_timer_after(sim_core(sim, 0), &sim_newest(sim, 0)->rekey_timer, 1);
	sim_run(sim, SECOND);
	sim_set_filter(sim, quick_modes);
	sim_insider_afresh(sim, ++next_id);
	sim_run(sim, 29 * SECOND);
	assert_int_equal(sim_packets_lost(sim), 0);
	sim_keep_unknown(sim, 0);
	sim_run(sim, 5 * SECOND);
	assert_in_range(sim_packets_lost(sim), 0, 5);
	sim_free(sim);
}

/* The new SAs go, and packets are sent on old ones that the peer has deleted. */
static void told_old(void **state)
{
	struct sim *sim = start_told(1);

	(void)state;
	sim_insider_delete(sim, sim_pair(sim, 1)->current, ++next_id);
	sim_run(sim, 10);
	assert_int_equal(sim_logged(sim, 1, "ipsec-back"), 0);
	sim_free(sim);
}

/*
 * SAs that nobody used were left, as the peer says that it starts afresh. A packet comes
 * on them all the same: they are sent on, end, and the tunnel has none.
 */
static void left_used(void **state)
{
	struct sim *sim = start_unheard(1, 22);
	const struct moat_child *child =
		TAILQ_LAST(&sim_pair(sim, 1)->children, moat_children);

	(void)state;
	assert_true(child->complete && child->unheard);
	moat_timer_after(sim_core(sim, 0), &sim_newest(sim, 0)->rekey_timer, 1);
	sim_run(sim, 400);
	sim_insider_afresh(sim, ++next_id);
	sim_run(sim, 100);
	assert_true(child->old);
	sim_insider_packet(sim, 1);
	sim_run(sim, 5 * SECOND);
	assert_false(sim_pair(sim, 1)->current->old);
	sim_set_filter(sim, NULL);
	sim_run(sim, 100 * SECOND);
	assert_int_equal(sim_logged(sim, 1, "pair-lost"), 0);
	assert_int_equal(sim_packets_lost(sim), 0);
	sim_free(sim);
}

/* New SAs come to their limit while they wait: once sent on they expire with no others. */
static void limit_unheard(void **state)
{
	struct sim *sim = start_unheard(1, 2);
	struct moat_child *child = TAILQ_LAST(&sim_pair(sim, 1)->children, moat_children);

	(void)state;
	assert_true(child->complete && child != sim_pair(sim, 1)->current);
	moat_timer_after(sim_core(sim, 1), &child->rekey_timer, 1);
	sim_run(sim, 10);
	assert_int_equal(sim_logged(sim, 1, "ipsec-rekey"), 1);
	sim_set_filter(sim, NULL);
	sim_insider_packet(sim, 1);
	sim_run(sim, 20 * SECOND);
	assert_int_equal(sim_logged(sim, 1, "ipsec-rekey"), 2);
	assert_int_equal(sim_packets_lost(sim), 0);
	sim_free(sim);
}

/* The daemon dies, and the next one sends on new SAs that the peer does not have. */
static void adopts_unheard(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct sim *sim = start_unheard(seed, seed % 2 ? 22 : 2);

		sim_crash(sim, 1);
		sim_run(sim, 3 * SECOND);
		sim_set_filter(sim, NULL);
		sim_network(sim, 20, 0, 0);
		sim_restart(sim, 1);
		sim_run(sim, 300 * SECOND);
		assert_int_equal(sim_packets_lost(sim), 0);
		sim_free(sim);
	}
}

/* The daemon dies, and the next one sends on old SAs that the peer has deleted. */
static void adopts_told(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct sim *sim = start_told(seed);

		sim_network(sim, 20, 0, 0);
		sim_restart(sim, 1);
		sim_run(sim, 300 * SECOND);
		assert_int_equal(sim_packets_lost(sim), 0);
		assert_int_equal(sim_count(sim, 1, MOAT_DIRECTION_IN), 1);
		sim_free(sim);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(told_current),	  cmocka_unit_test(told_old),
		cmocka_unit_test(left_used),	  cmocka_unit_test(limit_unheard),
		cmocka_unit_test(adopts_unheard), cmocka_unit_test(adopts_told),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
