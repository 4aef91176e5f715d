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

#define SECOND 1000

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

static bool answer_6(int from, uint8_t exchange, unsigned int nth)
{
	return from == 1 && (exchange == MOAT_X_INFORMATIONAL || nth > 2);
}

/* A peer that refuses message 5 and does not say so: what it most likely was. */
static void no_reason(void **state)
{
	(void)state;
	for (int rsa = 0; rsa < 2; rsa++) {
		struct sim_options o = sim_plain();
		struct sim *sim;

		o.auth = rsa ? MOAT_METHOD_RSA_SIG : MOAT_METHOD_PSK;
		sim = sim_start_lossy(&o, answer_6);
		sim_run(sim, 60000);
		assert_int_equal(sim_done(sim, 0), 0);
		assert_says(sim, 0, "ike-failed", "to message 5 after 8 tries; the peer");
		assert_says(sim, 0, "ike-failed",
			    rsa ? "certificate" : "pre-shared keys");
		assert_says(sim, 0, "ike-failed", "local-id");
		sim_free(sim);
	}
}

/* Side 1 is offered main mode with this method of authentication. */
static struct sim *offered_method(uint16_t method)
{
	struct sim_options o = sim_plain();
	struct moat_hdr hdr = { .cookie_i = { 1 }, .exchange = MOAT_X_MAIN };
	struct sim *sim = sim_new(&o);
	struct moat_build b;
	uint8_t message[200];

	sim_run(sim, 100);
	moat_build_start(&b, message, sizeof(message), &hdr);
	moat_build_sa(&b);
	moat_build_proposal(&b, 1, MOAT_PROTO_ISAKMP, moat_view(NULL, 0), 1);
	moat_build_transform(&b, 1, MOAT_KEY_IKE);
	moat_build_attr(&b, MOAT_IKE_ENCRYPTION, 7);
	moat_build_attr(&b, MOAT_IKE_KEY_LENGTH, 128);
	moat_build_attr(&b, MOAT_IKE_HASH, 4);
	moat_build_attr(&b, MOAT_IKE_GROUP, 19);
	moat_build_attr(&b, MOAT_IKE_AUTH_METHOD, method);
	moat_build_close(&b);
	moat_build_close(&b);
	moat_build_close(&b);
	sim_inject(sim, 1, message, moat_build_finish(&b));
	sim_run(sim, SECOND);
	return sim;
}

/* Of methods that we do not have nobody is told to configure them. */
static void other_methods(void **state)
{
	static const uint16_t methods[] = { MOAT_METHOD_RSA_SIG, 9, 65001, 65535 };

	(void)state;
	for (unsigned int i = 0; i < 4; i++) {
		struct sim *sim = offered_method(methods[i]);

		assert_says(sim, 1, "ike-no-proposal",
			    i ? "Moat does not have that authentication"
			      : "set auth = \"rsa-sig\"");
		sim_free(sim);
	}
}

/* The public value of aggressive mode comes with the offer: what is different is said. */
static void aggressive_groups(void **state)
{
	struct sim_options o = sim_plain();
	struct sim *sim;

	(void)state;
	o.aggressive = true;
	o.ike[0] = "aes128-sha256-modp3072";
	o.ike[1] = "aes128-sha256-modp2048";
	sim = sim_start(&o);
	assert_says(sim, 1, "ike-no-proposal",
		    "group: offered modp3072, we have modp2048");
	sim_free(sim);
}

/* Traffic has asked, and the first attempt was refused: there is another one soon. */
static void asked_again(void **state)
{
	struct sim_options o = sim_plain();
	struct sim *sim;

	(void)state;
	o.ike[1] = "aes256-sha256-ecp256";
	sim = sim_new(&o);
	sim_run(sim, 100);
	sim_acquire(sim, 0, 0);
	sim_run(sim, 4 * SECOND);
	assert_int_equal(sim_logged(sim, 0, "ike-failed"), 1);
	sim_run(sim, 12 * SECOND);
	assert_in_range(sim_logged(sim, 0, "ike-failed"), 4, 6);
	sim_run(sim, 60 * SECOND);
	assert_in_range(sim_logged(sim, 0, "ike-failed"), 4, 6);
	sim_free(sim);
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
		sim_tunnel_conf(sim, 1)->exchange =
			aggressive ? MOAT_EXCHANGE_MAIN : MOAT_EXCHANGE_AGGRESSIVE;
		sim_tunnel_conf(sim, 1)->lines[MOAT_CONF_EXCHANGE] = 7;
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

static bool no_answers(int from, uint8_t exchange, unsigned int nth)
{
	(void)nth;
	return from == 0 &&
	       (exchange == MOAT_X_QUICK || exchange == MOAT_X_INFORMATIONAL);
}

static bool no_notifications(int from, uint8_t exchange, unsigned int nth)
{
	(void)nth;
	return from == 0 && exchange == MOAT_X_INFORMATIONAL;
}

/* Side 0 refuses a quick mode; without an SPI, as libreswan, it does not say which. */
static void refuse(struct sim *sim, uint32_t id, const void *spi, size_t len)
{
	struct moat_isakmp *sa = TAILQ_FIRST(&sim_core(sim, 0)->isakmps);
	struct moat_ike1_out out;

	sim_insider_begin(&out, sa, MOAT_X_INFORMATIONAL, id);
	moat_build_notify(&out.b, MOAT_PROTO_ISAKMP, MOAT_N_NO_PROPOSAL_CHOSEN,
			  moat_view(spi, len), moat_view(NULL, 0));
	sim_insider_send(sim, sa, &out, id, false);
}

/* Side 1 has begun all of its quick modes. */
static struct sim *begun(const struct sim_options *o, sim_filter filter)
{
	struct sim *sim = sim_new(o);

	sim_set_filter(sim, filter);
	sim_run(sim, 100);
	sim_up(sim, 1);
	for (int i = 0; i < 3000 && sim_sent(sim, 1, MOAT_X_QUICK) < o->nets * o->nets;
	     i++)
		sim_run(sim, 1);
	assert_int_equal(sim_sent(sim, 1, MOAT_X_QUICK), o->nets * o->nets);
	return sim;
}

/* As many refusals as quick modes are under way are meant for all of them. */
static void all_refused(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 4; i++) {
		struct sim_options o = sim_plain();
		struct moat_cookies cookies;
		unsigned int count;
		struct sim *sim;

		o.nets = 1 + i / 2;
		count = o.nets * o.nets;
		sim = begun(&o, no_answers);
		for (unsigned int k = 0; k < count; k++) {
			assert_int_equal(sim_done(sim, 1), -1);
			cookies = TAILQ_FIRST(&sim_core(sim, 0)->isakmps)->cky;
			refuse(sim, 500 + k, &cookies, i % 2 ? sizeof(cookies) : 0);
		}
		sim_run(sim, 100);
		assert_int_equal(sim_done(sim, 1), 0);
		assert_says(sim, 1, "quick-no-proposal", "we offered");
		assert_says(sim, 1, "quick-no-proposal", "aes128gcm16");
		assert_says(sim, 1, "control-done", "we offered");
		assert_int_equal(sim_logged(sim, 1, "quick-no-proposal"), 1);
		assert_int_equal(sim_logged(sim, 1, "quick-failed"), 0);
		sim_free(sim);
	}
}

/* Of two tunnels each is explained with its own offer. */
static void two_tunnels(void **state)
{
	struct sim_options o = sim_plain();
	struct moat_isakmp *sa;
	struct sim *sim;

	(void)state;
	o.nets = 2;
	o.split = true;
	o.start[1] = MOAT_START_UP;
	sim = sim_new(&o);
	sim_set_filter(sim, no_answers);
	for (int i = 0; i < 3000 && sim_sent(sim, 1, MOAT_X_QUICK) < 4; i++)
		sim_run(sim, 1);
	refuse(sim, 500, NULL, 0);
	assert_int_equal(sim_logged(sim, 1, "quick-no-proposal"), 2);
	assert_says(sim, 1, "quick-no-proposal", "not of which of 4 quick modes: we");
	sa = TAILQ_FIRST(&sim_core(sim, 1)->isakmps);
	assert_false(LIST_EMPTY(&sa->quicks));
	for (uint32_t k = 1; k < 4; k++)
		refuse(sim, 500 + k, NULL, 0);
	assert_true(LIST_EMPTY(&sa->quicks));
	assert_int_equal(sim_logged(sim, 1, "quick-no-proposal"), 2);
	sim_free(sim);
}

/*
 * One of three is refused. What has an answer is not in question any more, which
 * shows whom it was meant for; and no refusal ends what was accepted.
 */
static void one_refused(void **state)
{
	struct sim_options o = sim_plain();
	struct sim *sim;

	(void)state;
	o.nets = 3;
	o.split = true;
	for (int late = 0; late < 2; late++) {
		sim = sim_new(&o);
		sim_set_filter(sim, late ? no_answers : no_notifications);
		sim_run(sim, 100);
		/* Of its last network side 0 accepts nothing. */
		TAILQ_LAST(&sim_core(sim, 0)->tunnels, moat_tunnels)->conf.esp.count = 0;
		sim_up(sim, 1);
		for (int i = 0; i < 3000 && sim_sent(sim, 1, MOAT_X_QUICK) < 3; i++)
			sim_run(sim, 1);
		refuse(sim, 500, NULL, 0);
		assert_int_equal(sim_done(sim, 1), -1);
		sim_set_filter(sim, no_notifications);
		sim_run(sim, late ? 1500 : 500);
		assert_int_equal(sim_count(sim, 1, MOAT_DIRECTION_OUT), 2);
		assert_int_equal(sim_done(sim, 1), 0);
		assert_int_equal(sim_logged(sim, 1, "quick-no-proposal"), 1);
		assert_int_equal(sim_logged(sim, 1, "quick-failed"), 0);
		sim_free(sim);
	}
}

/* INVALID-SPI of what was just proposed refuses that, and speaks of no SA. */
static void refused_spi(void **state)
{
	struct sim_options o = sim_plain();
	struct moat_ike1_out out;
	struct moat_isakmp *sa;
	struct sim *sim;
	uint8_t spi[4];

	(void)state;
	sim = begun(&o, no_answers);
	sa = TAILQ_FIRST(&sim_core(sim, 1)->isakmps);
	moat_set32(spi, LIST_FIRST(&sa->quicks)->sas[0].spi_in);
	sa = TAILQ_FIRST(&sim_core(sim, 0)->isakmps);
	sim_insider_begin(&out, sa, MOAT_X_INFORMATIONAL, 500);
	moat_build_notify(&out.b, MOAT_PROTO_ESP, MOAT_N_INVALID_SPI,
			  moat_view(spi, sizeof(spi)), moat_view(NULL, 0));
	sim_insider_send(sim, sa, &out, 500, false);
	sim_run(sim, 100);
	assert_int_equal(sim_done(sim, 1), 0);
	assert_says(sim, 1, "ike-notify", "INVALID-SPI");
	assert_int_equal(sim_logged(sim, 1, "spi-refused"), 0);
	sim_free(sim);
}

/* What was meant for one that has ended since ends no other one. */
static void none_left(void **state)
{
	struct sim_options o = sim_plain();
	struct moat_isakmp *sa;
	struct sim *sim;
	uint8_t spi[4];

	(void)state;
	o.nets = 2;
	sim = begun(&o, no_answers);
	sa = TAILQ_FIRST(&sim_core(sim, 1)->isakmps);
	for (uint32_t k = 0; k < 2; k++)
		refuse(sim, 500 + k, NULL, 0);
	for (uint32_t k = 0; k < 2; k++) {
		moat_set32(spi, LIST_FIRST(&sa->quicks)->sas[0].spi_in);
		refuse(sim, 600 + k, spi, sizeof(spi));
	}
	sim_set_filter(sim, no_notifications);
	sim_run(sim, 5000);
	assert_int_equal(sim_count(sim, 1, MOAT_DIRECTION_OUT), 2);
	sim_free(sim);
}

/* No life is too short to be of use, whoever says so and where. */
static void too_short(void **state)
{
	static const struct {
		uint32_t ike, ike_1, life, life_1; /* of both sides, or of side 1 */
		uint64_t bytes, bytes_1;
		int side;
		const char *event; /* NULL: it is taken */
	} cases[] = {
		{ .ike = 10 },
		{ .life = 10 },
		{ .ike_1 = 10, .life_1 = 10 },
		{ .ike = 9, .side = 1, .event = "ike-no-proposal" },
		{ .life = 9, .side = 1, .event = "quick-no-proposal" },
		{ .ike_1 = 9, .event = "ike-notify" },
		{ .life_1 = 9, .event = "quick-failed" },
		{ .bytes = 10 << 10 },
		{ .bytes = 9 << 10, .side = 1, .event = "quick-no-proposal" },
		{ .bytes_1 = 9 << 10, .event = "quick-failed" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sim_options o = sim_plain();
		struct sim *sim;

		o.ike_lifetime = cases[i].ike;
		o.shorter_ike = cases[i].ike_1;
		o.lifetime = cases[i].life;
		o.shorter = cases[i].life_1;
		o.lifebytes = cases[i].bytes;
		o.shorter_bytes = cases[i].bytes_1;
		sim = sim_new(&o);
		sim_run(sim, 100);
		sim_up(sim, 0);
		sim_run(sim, 4000);
		if (cases[i].event)
			assert_says(sim, cases[i].side, cases[i].event,
				    cases[i].bytes || cases[i].bytes_1
					    ? "a life duration of less than 10 kilobytes"
					    : "a life duration of less than 10 seconds");
		else
			assert_int_equal(sim_done(sim, 0), 1);
		sim_free(sim);
	}
}

/* An answer may choose no group but the one that message 1 has a KE of. */
static void other_group(void **state)
{
	struct sim_options o = sim_plain();
	struct moat_quick *quick;
	struct sim *sim;

	(void)state;
	o.nets = 1;
	o.esp[0] = o.esp[1] = "aes128gcm16-ecp256";
	sim = sim_new(&o);
	sim_run(sim, 100);
	sim_up(sim, 1);
	for (int i = 0; i < 3000 && !sim_sent(sim, 1, MOAT_X_QUICK); i++)
		sim_run(sim, 1);
	quick = LIST_FIRST(&TAILQ_FIRST(&sim_core(sim, 1)->isakmps)->quicks);
	quick->group = MOAT_GROUP_MODP2048;
	sim_run(sim, 1000);
	assert_says(sim, 1, "quick-no-proposal", "its group is ecp256, ours modp2048");
	assert_int_equal(sim_done(sim, 1), 0);
	sim_free(sim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wrong_psk),	     cmocka_unit_test(no_reason),
		cmocka_unit_test(other_methods),     cmocka_unit_test(asked_again),
		cmocka_unit_test(aggressive_groups), cmocka_unit_test(other_exchange),
		cmocka_unit_test(all_refused),	     cmocka_unit_test(two_tunnels),
		cmocka_unit_test(one_refused),	     cmocka_unit_test(none_left),
		cmocka_unit_test(too_short),	     cmocka_unit_test(other_group),
		cmocka_unit_test(refused_spi),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
