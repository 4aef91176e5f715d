// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A reload with other credentials: no new SAs by the old ones, and no packet lost when
 * the peer has the new ones as well.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "sim_case.h"
#include "wire/isakmp.h"

#define SECOND 1000

static struct sim *busy(struct sim_options o)
{
	struct sim *sim = sim_start(&o);

	sim_assert_established(sim, 1);
	sim_traffic(sim, 50);
	sim_run(sim, SECOND);
	return sim;
}

/* The SAs of before stand, and nothing was lost; new ones are made again. */
static void assert_renewed(struct sim *sim, unsigned int quicks)
{
	sim_run(sim, 90 * SECOND);
	sim_assert_established(sim, 1);
	assert_int_equal(sim_packets_lost(sim), 0);
	assert_int_equal(sim_sent(sim, 0, MOAT_X_QUICK), quicks);
	for (int side = 0; side < 2; side++)
		assert_int_equal(sim_logged(sim, side, "tunnel-removed"), 0);
	sim_control(sim, 0, MOAT_EV_REKEY);
	sim_run(sim, 100 * SECOND);
	sim_assert_established(sim, 1);
	assert_int_equal(sim_packets_lost(sim), 0);
	assert_true(sim_sent(sim, 0, MOAT_X_QUICK) > quicks);
	sim_free(sim);
}

static void nothing_changed(void **state)
{
	struct sim *sim = busy(sim_plain());
	unsigned int mains = sim_sent(sim, 0, MOAT_X_MAIN);

	(void)state;
	sim_configure(sim, 0);
	sim_configure(sim, 1);
	sim_run(sim, 20 * SECOND);
	assert_int_equal(sim_sent(sim, 0, MOAT_X_MAIN), mains);
	assert_int_equal(sim_logged(sim, 0, "ike-outdated"), 0);
	sim_free(sim);
}

/* What moat reload answers with: first that it is not known yet, then which ones. */
static void who_is_outdated(void **state)
{
	struct sim *sim = busy(sim_plain());
	struct moat_isakmp_view view;

	(void)state;
	assert_false(moat_ike_comparing(sim_core(sim, 0)));
	sim_configure(sim, 0);
	assert_true(moat_ike_comparing(sim_core(sim, 0)));
	sim_run(sim, SECOND);
	assert_true(moat_ike_isakmp(sim_core(sim, 0), 0, &view));
	assert_false(moat_ike_comparing(sim_core(sim, 0)) || view.outdated);
	sim_change_psk(sim, 0, "another secret");
	assert_true(moat_ike_isakmp(sim_core(sim, 0), 0, &view));
	assert_true(moat_ike_comparing(sim_core(sim, 0)) && !view.outdated);
	sim_run(sim, SECOND);
	assert_true(moat_ike_isakmp(sim_core(sim, 0), 0, &view));
	assert_true(view.outdated && !moat_ike_comparing(sim_core(sim, 0)));
	assert_string_equal(view.tunnel, "branch");
	/* Nothing is left of it when both have the same again. */
	sim_change_psk(sim, 1, "another secret");
	sim_run(sim, 90 * SECOND);
	for (unsigned int i = 0; moat_ike_isakmp(sim_core(sim, 0), i, &view); i++)
		assert_false(view.outdated);
	sim_free(sim);
}

/* One side has it a while before the other: no new SAs then, whoever asks for them. */
static void one_after_the_other(int first)
{
	struct sim *sim = busy(sim_plain());
	unsigned int quicks = sim_sent(sim, 0, MOAT_X_QUICK);

	sim_change_psk(sim, first, "another secret");
	sim_run(sim, 20 * SECOND);
	assert_int_equal(sim_logged(sim, first, "ike-outdated"), 1);
	assert_non_null(strstr(sim_log_text(sim, first, "ike-outdated"),
			       "the pre-shared key for this peer is another one now"));
	sim_control(sim, first, MOAT_EV_REKEY);
	sim_run(sim, 25 * SECOND);
	assert_int_equal(sim_sent(sim, 0, MOAT_X_QUICK), quicks);
	assert_int_equal(sim_count(sim, 0, MOAT_DIRECTION_IN), 1);
	sim_change_psk(sim, !first, "another secret");
	assert_renewed(sim, quicks);
}

static void secret_here_first(void **state)
{
	(void)state;
	one_after_the_other(0);
}

static void secret_there_first(void **state)
{
	(void)state;
	one_after_the_other(1);
}

/* The peer does not know that we have another one: its quick mode is refused. */
static void peer_asks(void **state)
{
	struct sim *sim = busy(sim_plain());

	(void)state;
	sim_change_psk(sim, 0, "another secret");
	sim_run(sim, 5 * SECOND);
	sim_control(sim, 1, MOAT_EV_REKEY);
	sim_run(sim, 5 * SECOND);
	assert_non_null(strstr(sim_log_text(sim, 0, "ike-refused"),
			       "a new phase 1 must come first"));
	assert_non_null(
		strstr(sim_log_text(sim, 1, "ike-notify"), "AUTHENTICATION-FAILED"));
	assert_int_equal(sim_count(sim, 0, MOAT_DIRECTION_IN), 1);
	assert_int_equal(sim_packets_lost(sim), 0);
	sim_free(sim);
}

/* Two tunnels have one ISAKMP SA: down and up is no way around the new secret. */
static void down_and_up(void **state)
{
	struct sim_options o = sim_plain();
	struct sim *sim;

	(void)state;
	o.nets = 2;
	o.split = true;
	sim = sim_start(&o);
	assert_int_equal(sim_done(sim, 0), 1);
	sim_control(sim, 1, MOAT_EV_UP);
	sim_run(sim, 5 * SECOND);
	sim_change_psk(sim, 0, "another secret");
	sim_run(sim, 1 * SECOND);
	sim_down(sim, 0);
	sim_run(sim, 1 * SECOND);
	sim_up(sim, 0);
	sim_run(sim, 100 * SECOND);
	assert_int_equal(sim_done(sim, 0), 0);
	assert_string_not_equal(sim_state(sim, 0), "up");
	sim_change_psk(sim, 1, "another secret");
	sim_run(sim, 10 * SECOND);
	sim_up(sim, 0);
	sim_run(sim, 10 * SECOND);
	assert_int_equal(sim_done(sim, 0), 1);
	sim_free(sim);
}

/* It came while phase 1 was under way, and the old one was asked for already. */
static void meanwhile(void **state)
{
	struct sim_options o = sim_plain();

	(void)state;
	for (unsigned int ms = 0; ms < 120; ms += 4) {
		struct sim *sim = sim_new(&o);
		unsigned int outdated;

		sim_run(sim, 100);
		sim_up(sim, 0);
		sim_run(sim, ms);
		sim_change_psk(sim, 0, "another secret");
		sim_change_psk(sim, 1, "another secret");
		sim_run(sim, 30 * SECOND);
		sim_up(sim, 0);
		sim_run(sim, 60 * SECOND);
		sim_assert_established(sim, 1);
		/* Is what stands by the new one? Then the next reload has nothing to say.
		 */
		outdated = sim_logged(sim, 0, "ike-outdated");
		assert_true(outdated < 2);
		sim_configure(sim, 0);
		sim_run(sim, SECOND);
		assert_int_equal(sim_logged(sim, 0, "ike-outdated"), outdated);
		sim_free(sim);
	}
}

static struct sim_options signatures(void)
{
	struct sim_options o = sim_plain();

	o.auth = MOAT_METHOD_RSA_SIG;
	return o;
}

/* A certificate is renewed: the other side has nothing to do. */
static void certificate(void **state)
{
	struct sim *sim = busy(signatures());
	unsigned int quicks = sim_sent(sim, 0, MOAT_X_QUICK);
	unsigned int phase1s = sim_logged(sim, 0, "ike-established");

	(void)state;
	sim_recertify(sim, 1, "both", NULL);
	sim_run(sim, 5 * SECOND);
	assert_non_null(strstr(sim_log_text(sim, 1, "ike-outdated"),
			       "certificates or keys of this tunnel are others now"));
	assert_int_equal(sim_logged(sim, 0, "ike-established"), phase1s + 1);
	assert_renewed(sim, quicks);
}

/* Nothing leads to the only authority that is left: the SAs that stand stay so. */
static void authority(void **state)
{
	struct sim *sim = busy(signatures());

	(void)state;
	sim_recertify(sim, 0, NULL, "ca = \"other-ca.pem\"");
	sim_run(sim, 60 * SECOND);
	assert_int_equal(sim_logged(sim, 0, "ike-outdated"), 1);
	assert_non_null(
		strstr(sim_log_text(sim, 0, "ike-auth-failed"), "no chain leads"));
	assert_string_equal(sim_state(sim, 0), "up");
	assert_int_equal(sim_packets_lost(sim), 0);
	sim_recertify(sim, 0, NULL, NULL);
	sim_run(sim, 90 * SECOND);
	assert_string_equal(sim_agree(sim) ? sim_agree(sim) : "agree", "agree");
	assert_int_equal(sim_isakmps(sim, 0), 1);
	assert_int_equal(sim_packets_lost(sim), 0);
	sim_free(sim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_changed),    cmocka_unit_test(secret_here_first),
		cmocka_unit_test(secret_there_first), cmocka_unit_test(peer_asks),
		cmocka_unit_test(down_and_up),	      cmocka_unit_test(meanwhile),
		cmocka_unit_test(certificate),	      cmocka_unit_test(authority),
		cmocka_unit_test(who_is_outdated),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
