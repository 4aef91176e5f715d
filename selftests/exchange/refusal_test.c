// SPDX-License-Identifier: GPL-2.0-or-later
/* What both sides hear of a refusal, where the peer says little or nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "sim_case.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wrong_psk),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
