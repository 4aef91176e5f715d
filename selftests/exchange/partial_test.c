// SPDX-License-Identifier: GPL-2.0-or-later
/* A tunnel of which some pairs have SAs, and others have none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "sim_case.h"

/* The states of a tunnel's pairs: one letter each, in their order. */
static const char *pair_states(struct sim *sim, int side)
{
	static char states[SIM_NETS_MAX * SIM_NETS_MAX + 1];
	struct moat_pair_view view;
	unsigned int n = 0;

	while (moat_ike_pair(sim_core(sim, side), 0, n, &view))
		states[n++] = view.state[0];
	states[n] = '\0';
	return states;
}

/* While some of a tunnel's pairs have no SAs, for whatever reason, it is not up. */
static void partial(void **state)
{
	struct sim_options o = sim_plain();
	struct sim *sim;

	(void)state;
	o.nets = 2;
	sim = sim_new(&o);
	sim_run(sim, 100);
	assert_string_equal(sim_state(sim, 0), "waiting");
	sim_acquire(sim, 0, 0);
	sim_run(sim, 5000);
	for (int side = 0; side < 2; side++) {
		assert_int_equal(sim_count(sim, side, MOAT_DIRECTION_OUT), 1);
		assert_int_equal(strspn(pair_states(sim, side), "uw"), 4);
		assert_string_equal(sim_state(sim, side), "partial");
	}
	sim_up(sim, 0);
	sim_run(sim, 5000);
	assert_string_equal(pair_states(sim, 0), "uuuu");
	assert_string_equal(sim_state(sim, 0), "up");
	/* The peer has but one of them left, and refuses the rest. */
	sim_change_nets(sim, 1);
	sim_configure(sim, 1);
	sim_run(sim, 20000);
	sim_up(sim, 0);
	sim_run(sim, 20000);
	assert_int_equal(sim_done(sim, 0), 0);
	assert_string_equal(pair_states(sim, 0), "uwww");
	assert_string_equal(sim_state(sim, 0), "partial");
	assert_string_equal(sim_state(sim, 1), "up");
	sim_free(sim);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(partial) };

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
