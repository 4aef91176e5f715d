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
#define HOUR   (60 * MINUTE)

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

static unsigned int established(struct sim *sim, int side)
{
	struct moat_isakmp_view view;
	unsigned int n = 0;

	for (unsigned int i = 0; moat_ike_isakmp(sim_core(sim, side), i, &view); i++)
		n += !strcmp(view.state, "QM_IDLE");
	return n;
}

/* Both sides have a phase 1 all the time, until @side logs @name @times. */
static void never_without(struct sim *sim, uint64_t limit, int side, const char *name,
			  unsigned int times)
{
	uint64_t end = sim_now(sim) + limit;

	while (sim_now(sim) < end && sim_logged(sim, side, name) < times) {
		sim_run(sim, SECOND);
		for (int i = 0; i < 2; i++) {
			if (!established(sim, i))
				fail_msg("side %d has no phase 1 after %u s", i,
					 (unsigned int)(sim_now(sim) / SECOND));
		}
	}
}

/* Each question uses a message id, and so does each answer: they must not run out. */
static void questions_of_a_day(void **state)
{
	struct sim_options o = plain();
	struct sim *sim;

	(void)state;
	o.dpd = 5;
	o.dpd_timeout = 20;
	o.traffic = 20 * SECOND;
	o.ike_lifetime = 48 * 3600;
	sim = start(&o);
	never_without(sim, 24 * HOUR, 0, "peer-dead", 1);
	/* Who began it the first time does so again, and leaves nothing behind. */
	assert_in_range(sim_logged(sim, 0, "ike-rekey"), 3, 10);
	assert_int_equal(sim_logged(sim, 1, "ike-rekey"), 0);
	assert_non_null(strstr(sim_log_text(sim, 0, "ike-rekey"), "message ids"));
	for (int i = 0; i < 2; i++) {
		assert_int_equal(sim_logged(sim, i, "ike-expired"), 0);
		assert_int_equal(sim_logged(sim, i, "peer-dead"), 0);
		assert_int_equal(sim_isakmps(sim, i), 1);
	}
	assert_null(sim_agree(sim));
	sim_free(sim);
}

static bool mute;

static bool initiator_begins(int from, uint8_t exchange, unsigned int nth)
{
	(void)nth;
	return mute && from == 0 && exchange == MOAT_X_MAIN;
}

/* When the initiator's attempts come to nothing, the responder begins in time. */
static void questions_to_the_responder(void **state)
{
	struct sim_options o = plain();
	struct sim *sim;

	(void)state;
	o.dpd = 5;
	o.dpd_timeout = 20;
	o.traffic = 20 * SECOND;
	sim = start(&o);
	mute = true;
	sim_set_filter(sim, initiator_begins);
	never_without(sim, 7 * HOUR, 1, "ike-rekey", 1);
	assert_true(sim_logged(sim, 0, "ike-failed") > 1);
	assert_int_equal(sim_logged(sim, 1, "ike-rekey"), 1);
	mute = false;
	never_without(sim, 2 * MINUTE, 0, "ike-established", UINT32_MAX);
	assert_in_range(sim_logged(sim, 0, "ike-established"), 2, 3);
	assert_null(sim_agree(sim));
	sim_free(sim);
}

/* What side 1 began a phase 1 with once, again with another cookie. */
static void forge_message_1(struct sim *sim)
{
	static const uint8_t no_cookie[8];
	uint8_t message[2048];
	const uint8_t *sent;
	size_t len;
	int to;

	for (unsigned int i = 0; (sent = sim_datagram(sim, i, &len, &to)); i++) {
		if (to == 0 && !memcmp(sent + 8, no_cookie, sizeof(no_cookie)))
			break;
	}
	assert_non_null(sent);
	assert_true(len <= sizeof(message));
	memcpy(message, sent, len);
	for (size_t i = 0; i < 8; i++)
		message[i] = (uint8_t)(1 + sim_random(sim, 255));
	sim_inject(sim, 0, message, len);
}

/* What anybody can send in the peer's name is no sign that it lives. */
static void forged_sign_of_life(void **state)
{
	(void)state;
	for (int aggressive = 0; aggressive < 2; aggressive++) {
		struct sim_options o = plain();
		struct sim *sim;

		o.aggressive = aggressive;
		sim = start(&o);
		sim_control(sim, 1, MOAT_EV_REKEY);
		sim_run(sim, MINUTE);
		sim_crash(sim, 1);
		sim_crash(sim, 0);
		sim_run(sim, SECOND);
		sim_restart(sim, 0);
		assert_int_equal(sim_count(sim, 0, MOAT_DIRECTION_OUT), 1);
		for (unsigned int s = 0; s < 125; s += 5) {
			forge_message_1(sim);
			sim_run(sim, 5 * SECOND);
		}
		/* They were taken for the beginning of something. */
		assert_true(sim_burden(sim, 0).half_open > 3);
		assert_int_equal(sim_logged(sim, 0, "peer-dead"), 1);
		assert_int_equal(sim_count(sim, 0, MOAT_DIRECTION_OUT), 0);
		sim_free(sim);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dead_peer),
		cmocka_unit_test(comes_back),
		cmocka_unit_test(idle_peers),
		cmocka_unit_test(bad_network),
		cmocka_unit_test(switched_off),
		cmocka_unit_test(questions_of_a_day),
		cmocka_unit_test(questions_to_the_responder),
		cmocka_unit_test(forged_sign_of_life),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
