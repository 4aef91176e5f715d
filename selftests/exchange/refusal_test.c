// SPDX-License-Identifier: GPL-2.0-or-later
/* What both sides hear of a refusal, where the peer says little or nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "sim_case.h"
#include "sim_insider.h"

static void assert_says(struct sim *sim, int side, const char *event, const char *words)
{
	if (!strstr(sim_log_text(sim, side, event), words))
		fail_msg("side %d, %s: \"%s\" does not say \"%s\"", side, event,
			 sim_log_text(sim, side, event), words);
}

/* Both sides name the peer and a line of the configuration. */
static void wrong_psk(void **state)
{
	struct sim_options o = sim_plain();
	struct sim *sim;

	(void)state;
	o.psk[1] = "another secret";
	sim = sim_start(&o);
	sim_run(sim, 60000);
	assert_int_equal(sim_done(sim, 0), 0);
	assert_says(sim, 1, "ike-auth-failed", "pre-shared keys");
	assert_says(sim, 1, "ike-auth-failed", "(moat.conf:2); peer 192.0.2.1");
	assert_says(sim, 0, "ike-failed", "pre-shared keys");
	assert_says(sim, 0, "ike-failed", "(moat.conf:2); peer 192.0.2.2");
	sim_free(sim);
}

static struct moat_tunnel_conf *conf_of(struct sim *sim, int side)
{
	return &TAILQ_FIRST(&sim_core(sim, side)->tunnels)->conf;
}

/* One side has main mode, the other one aggressive mode, be it this or that way. */
static void other_exchange(void **state)
{
	(void)state;
	for (int aggressive = 0; aggressive < 2; aggressive++) {
		struct sim_options o = sim_plain();
		struct sim *sim;

		o.aggressive = aggressive;
		sim = sim_new(&o);
		sim_run(sim, 100);
		conf_of(sim, 1)->exchange =
			aggressive ? MOAT_EXCHANGE_MAIN : MOAT_EXCHANGE_AGGRESSIVE;
		conf_of(sim, 1)->lines[MOAT_CONF_EXCHANGE] = 7;
		sim_up(sim, 0);
		sim_run(sim, 5000);
		assert_int_equal(sim_done(sim, 0), 0);
		assert_int_equal(sim_logged(sim, 1, "ike-wrong-exchange"), 1);
		assert_says(sim, 1, "ike-wrong-exchange",
			    aggressive ? "set exchange = \"aggressive\""
				       : "set exchange = \"main\"");
		assert_says(sim, 1, "ike-wrong-exchange",
			    "(moat.conf:7); peer 192.0.2.1");
		assert_int_equal(sim_sent(sim, 1, MOAT_X_INFORMATIONAL), 1);
		assert_says(sim, 0, "ike-notify", "INVALID-EXCHANGE-TYPE");
		assert_says(sim, 0, "ike-notify", "exchange");
		assert_int_equal(sim_isakmps(sim, 1), 0);
		sim_free(sim);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wrong_psk),
		cmocka_unit_test(other_exchange),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
