// SPDX-License-Identifier: GPL-2.0-or-later
/* Dead peer detection, RFC 3706: who is dead, who only sounds so, and when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"
#include "wire/isakmp.h"

#define SECOND 1000
#define MINUTE (60 * SECOND)

static struct sim_options plain(void)
{
	return (struct sim_options){
		.seed = 21,
		.nets = 1,
		.psk = { "a secret", "a secret" },
		.dpd = 30,
		.dpd_timeout = 120,
		.verbose = getenv("SIM_VERBOSE") != NULL,
	};
}

static struct sim *start(const struct sim_options *o)
{
	struct sim *sim = sim_new(o);

	sim_run(sim, 100);
	sim_up(sim, 0);
	sim_run(sim, 5 * SECOND);
	assert_string_equal(sim_state(sim, 0), "up");
	return sim;
}

/* Not before its time, and not 5 s after it. */
static void dead_peer(void **state)
{
	struct sim_options o = plain();
	struct sim *sim = start(&o);

	(void)state;
	sim_crash(sim, 1);
	sim_run(sim, 110 * SECOND);
	assert_string_equal(sim_state(sim, 0), "up");
	sim_run(sim, 15 * SECOND);
	assert_int_equal(sim_logged(sim, 0, "peer-dead"), 1);
	assert_string_equal(sim_state(sim, 0), "waiting");
	assert_int_equal(sim_isakmps(sim, 0), 0);
	assert_int_equal(sim_count(sim, 0, MOAT_DIRECTION_IN), 0);
	assert_int_equal(sim_count(sim, 0, MOAT_DIRECTION_OUT), 0);
	assert_int_equal(sim_policies(sim, 0), 1);
	sim_free(sim);
}

/* start = "up" tries until it is back. */
static void comes_back(void **state)
{
	struct sim_options o = plain();
	struct sim *sim;

	(void)state;
	o.start[0] = MOAT_START_UP;
	sim = start(&o);
	sim_crash(sim, 1);
	sim_run(sim, 5 * MINUTE);
	assert_int_equal(sim_logged(sim, 0, "peer-dead"), 1);
	sim_reboot(sim, 1);
	sim_run(sim, 6 * MINUTE);
	assert_string_equal(sim_state(sim, 0), "up");
	assert_null(sim_agree(sim));
	sim_free(sim);
}

/* Idle peers ask and answer, and stay up. */
static void idle_peers(void **state)
{
	struct sim_options o = plain();
	struct sim *sim = start(&o);
	unsigned int asked = sim_sent(sim, 0, MOAT_X_INFORMATIONAL);

	(void)state;
	sim_run(sim, 10 * MINUTE);
	/* Half a minute after each word of the other side: by either side. */
	asked = sim_sent(sim, 0, MOAT_X_INFORMATIONAL) - asked;
	assert_in_range(asked, 15, 45);
	assert_int_equal(sim_logged(sim, 0, "peer-dead"), 0);
	assert_int_equal(sim_logged(sim, 1, "peer-dead"), 0);
	assert_null(sim_agree(sim));
	sim_free(sim);
}

/* A bad network is no death: 40 % of all messages are lost for an hour. */
static void bad_network(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct sim_options o = plain();
		struct sim *sim;

		o.seed = seed;
		sim = start(&o);
		sim_network(sim, 40, 10, 10);
		sim_run(sim, 50 * MINUTE);
		if (sim_logged(sim, 0, "peer-dead") || sim_logged(sim, 1, "peer-dead"))
			fail_msg("seed %u: a live peer was held for dead",
				 (unsigned int)seed);
		sim_free(sim);
	}
}

/* dpd = 0 asks nobody, and holds nobody for dead. */
static void switched_off(void **state)
{
	struct sim_options o = plain();
	struct sim *sim;
	unsigned int sent;

	(void)state;
	o.dpd = 0;
	sim = start(&o);
	sent = sim_sent(sim, 0, MOAT_X_INFORMATIONAL);
	sim_crash(sim, 1);
	sim_run(sim, 10 * MINUTE);
	assert_int_equal(sim_sent(sim, 0, MOAT_X_INFORMATIONAL), sent);
	assert_string_equal(sim_state(sim, 0), "up");
	sim_free(sim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dead_peer),	cmocka_unit_test(comes_back),
		cmocka_unit_test(idle_peers),	cmocka_unit_test(bad_network),
		cmocka_unit_test(switched_off),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
