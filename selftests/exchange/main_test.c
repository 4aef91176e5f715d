// SPDX-License-Identifier: GPL-2.0-or-later
/* One tunnel over a good network: the nine messages, keys, states, refusals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

static struct sim_options plain(void)
{
	return (struct sim_options){ .seed = 1,
				     .nets = 1,
				     .psk = { "a secret", "a secret" },
				     .verbose = getenv("SIM_VERBOSE") != NULL };
}

static void clean_establishment(void **state)
{
	struct sim_options o = plain();
	struct sim *sim = sim_new(&o);

	(void)state;
	sim_up(sim, 0);
	sim_run(sim, 5000);
	assert_int_equal(sim_done(sim, 0), 1);
	assert_null(sim_agree(sim));
	assert_int_equal(sim_sent(sim, 0, MOAT_X_MAIN), 3);
	assert_int_equal(sim_sent(sim, 1, MOAT_X_MAIN), 3);
	assert_int_equal(sim_sent(sim, 0, MOAT_X_QUICK), 2);
	assert_int_equal(sim_sent(sim, 1, MOAT_X_QUICK), 1);
	sim_free(sim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clean_establishment),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
