// SPDX-License-Identifier: GPL-2.0-or-later
/* Tunnels on which nothing is sent: left to end, and there again on demand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sim_case.h"

#define SECOND 1000
#define LIFE   600

static struct sim *start(enum moat_start how, bool one_way)
{
	struct sim_options o = sim_plain();

	o.lifetime = LIFE;
	o.one_way = one_way;
	o.start[0] = how;
	return sim_start(&o);
}

/* Not a packet in a lifetime: no rekey. The next one brings it back, and is not lost. */
static void rests(void **state)
{
	struct sim *sim = start(MOAT_START_TRAP, false);

	(void)state;
	sim_run(sim, (LIFE + 10) * SECOND);
	for (int side = 0; side < 2; side++) {
		assert_int_equal(sim_logged(sim, side, "ipsec-rekey"), 0);
		assert_string_equal(sim_state(sim, side), "waiting");
		sim_assert_nothing(sim, side);
	}
	sim_traffic(sim, 50);
	sim_run(sim, 60 * SECOND);
	sim_assert_established(sim, 1);
	assert_int_equal(sim_packets_lost(sim), 0);
	/* With traffic it goes on. */
	sim_run(sim, 2 * LIFE * SECOND);
	assert_true(sim_logged(sim, 0, "ipsec-rekey") +
		    sim_logged(sim, 1, "ipsec-rekey"));
	assert_int_equal(sim_logged(sim, 0, "pair-lost"), 1);
	assert_int_equal(sim_packets_lost(sim), 0);
	sim_free(sim);
}

/* The first packet comes shortly before the end: still a rekey, and nothing is lost. */
static void late_packet(void **state)
{
	struct sim *sim = start(MOAT_START_TRAP, false);

	(void)state;
	sim_run(sim, (LIFE - 25) * SECOND);
	assert_int_equal(sim_logged(sim, 0, "ipsec-rekey"), 0);
	sim_traffic(sim, 50);
	sim_run(sim, 100 * SECOND);
	assert_true(sim_logged(sim, 0, "ipsec-rekey") +
		    sim_logged(sim, 1, "ipsec-rekey"));
	assert_int_equal(sim_logged(sim, 0, "pair-lost"), 0);
	assert_int_equal(sim_logged(sim, 1, "pair-lost"), 0);
	assert_int_equal(sim_packets_lost(sim), 0);
	sim_free(sim);
}

/* Who sends asks; the side that only hears does not, and loses nothing. */
static void one_way(void **state)
{
	struct sim *sim = start(MOAT_START_TRAP, true);

	(void)state;
	sim_traffic(sim, 50);
	sim_run(sim, 5 * LIFE * SECOND);
	assert_in_range(sim_logged(sim, 0, "ipsec-rekey"), 5, 12);
	assert_int_equal(sim_logged(sim, 1, "ipsec-rekey"), 0);
	assert_int_equal(sim_packets_lost(sim), 0);
	assert_string_equal(sim_state(sim, 1), "up");
	sim_free(sim);
}

/* start = "up" is up, with traffic or without. */
static void always_up(void **state)
{
	struct sim *sim = start(MOAT_START_UP, false);

	(void)state;
	sim_run(sim, 5 * LIFE * SECOND);
	assert_in_range(sim_logged(sim, 0, "ipsec-rekey"), 5, 12);
	assert_int_equal(sim_logged(sim, 0, "pair-lost"), 0);
	sim_free(sim);
}

/*
 * Nothing hangs on the ISAKMP SA when it should be replaced, so it is not; what comes
 * up under it in the time that is left must not be without one.
 */
static void late_for_phase_1(void **state)
{
	struct sim_options o = sim_plain();
	struct sim *sim;

	(void)state;
	o.ike_lifetime = LIFE;
	o.lifetime = 100;
	sim = sim_start(&o);
	sim_run(sim, (LIFE - 50) * SECOND);
	assert_int_equal(sim_logged(sim, 0, "ike-rekey"), 0);
	assert_string_equal(sim_state(sim, 0), "waiting");
	assert_int_equal(sim_isakmps(sim, 0), 1);
	sim_traffic(sim, 50);
	sim_run(sim, 100 * SECOND);
	for (int side = 0; side < 2; side++)
		assert_int_equal(sim_logged(sim, side, "ike-expired"), 0);
	assert_int_equal(sim_logged(sim, 0, "ike-rekey"), 1);
	assert_int_equal(sim_logged(sim, 0, "ike-established"), 2);
	assert_null(sim_agree(sim));
	sim_free(sim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rests),
		cmocka_unit_test(late_packet),
		cmocka_unit_test(one_way),
		cmocka_unit_test(always_up),
		cmocka_unit_test(late_for_phase_1),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
