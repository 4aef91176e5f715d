// SPDX-License-Identifier: GPL-2.0-or-later
/* What somebody on the path, who knows no key, adds to an exchange under way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "sim_case.h"
#include "sim_insider.h"

#define REPEATS 16 /* of an answer to a message that comes again */

/* Of the initiator: the message that its values come in is lost, once. */
static bool first_values(int from, uint8_t exchange, unsigned int nth)
{
	return from == 0 && nth == (exchange == MOAT_X_MAIN ? 2 : 1);
}

/*
 * While Diffie-Hellman is under way for the peer's values, other ones in its name
 * must not take their place: what it sends next would not decrypt, and it would fail.
 */
static void second_values(void **state)
{
	(void)state;
	for (int aggressive = 0; aggressive < 2; aggressive++) {
		struct sim_options o = sim_plain();
		uint8_t exchange = aggressive ? MOAT_X_AGGRESSIVE : MOAT_X_MAIN;
		uint8_t message[2048];
		struct sim *sim;
		size_t len;

		o.aggressive = aggressive;
		sim = sim_start_lossy(&o, first_values);
		len = sim_copy(sim, aggressive ? 0 : 2, 1, message, sizeof(message));
		sim_inject(sim, 1, message, len);
		*sim_body(message, len, MOAT_P_NONCE) ^= 1;
		for (unsigned long i = 1; i <= 3; i++) {
			sim_inject(sim, 1, message, len);
			assert_int_equal(sim_core(sim, 1)->refused[MOAT_REFUSE_STATE], i);
		}
		assert_non_null(strstr(sim_log_text(sim, 1, "ike-refused"),
				       "no such message is expected"));
		sim_run(sim, 5000);
		assert_int_equal(sim_done(sim, 0), 1);
		sim_assert_established(sim, 1);
		assert_int_equal(sim_sent(sim, 1, exchange), aggressive ? 1 : 3);
		sim_free(sim);
	}
}

static bool answers(int from, uint8_t exchange, unsigned int nth)
{
	(void)exchange;
	(void)nth;
	return from == 1;
}

/* How many ms an attempt takes to end with so many forged notifications. */
static uint64_t forged_errors(unsigned int count)
{
	struct sim_options o = sim_plain();
	struct sim *sim = sim_new(&o);
	struct moat_ike1_out out;
	uint64_t start;

	sim_set_filter(sim, answers);
	sim_run(sim, 100);
	sim_up(sim, 0);
	sim_run(sim, 200);
	start = sim_now(sim);
	while (sim_done(sim, 0) < 0 && sim_now(sim) < start + 60000) {
		if (count) {
			count--;
			moat_ike1_begin(&out, TAILQ_FIRST(&sim_core(sim, 0)->isakmps),
					MOAT_X_INFORMATIONAL, 1 + count, false);
			moat_build_notify(&out.b, MOAT_PROTO_ISAKMP,
					  MOAT_N_NO_PROPOSAL_CHOSEN, moat_view(NULL, 0),
					  moat_view(NULL, 0));
			sim_inject(sim, 0, out.buf, moat_build_finish(&out.b));
		}
		sim_run(sim, 100);
	}
	assert_int_equal(sim_done(sim, 0), 0);
	assert_int_equal(sim_logged(sim, 0, "ike-no-proposal"), 1);
	start = sim_now(sim) - start;
	sim_free(sim);
	return start;
}

/* One that goes on is told once, and does not keep the attempt from its end. */
static void stream_of_errors(void **state)
{
	(void)state;
	assert_in_range(forged_errors(1), 2000, 2100);
	assert_in_range(forged_errors(1000), 2000, 2100);
}

/* Whoever has established it hears no errors in clear any more. */
static void late_error(void **state)
{
	struct sim_options o = sim_plain();
	struct sim *sim = sim_start(&o);
	struct moat_ike1_out out;

	(void)state;
	moat_ike1_begin(&out, sim_newest(sim, 0), MOAT_X_INFORMATIONAL, 1, false);
	moat_build_notify(&out.b, MOAT_PROTO_ISAKMP, MOAT_N_NO_PROPOSAL_CHOSEN,
			  moat_view(NULL, 0), moat_view(NULL, 0));
	sim_inject(sim, 0, out.buf, moat_build_finish(&out.b));
	sim_run(sim, 5000);
	assert_int_equal(sim_logged(sim, 0, "ike-no-proposal"), 0);
	sim_assert_established(sim, 1);
	sim_free(sim);
}

/* Message 2 as somebody else writes it who saw message 1: one payload is too short. */
static size_t forge_2(const uint8_t *sent, size_t len, uint8_t type,
		      uint8_t message[2048])
{
	struct moat_hdr hdr = { .exchange = MOAT_X_AGGRESSIVE };
	struct moat_message msg;
	struct moat_build b;

	memcpy(hdr.cookie_i, sent, MOAT_COOKIE_LEN);
	memset(hdr.cookie_r, 0x5a, MOAT_COOKIE_LEN);
	sim_payloads(sent, len, false, &msg);
	moat_build_start(&b, message, 2048, &hdr);
	for (unsigned int i = 0; i < msg.count; i++) {
		const struct moat_payload *p = &msg.payloads[i];

		moat_build_payload(&b, p->type,
				   moat_view(p->body.data,
					     p->type == type ? 4 : p->body.len));
	}
	return moat_build_finish(&b);
}

static bool first_answer(int from, uint8_t exchange, unsigned int nth)
{
	return from == 1 && exchange == MOAT_X_AGGRESSIVE && nth == 1;
}

/* A message 2 that is refused leaves nothing of it behind: the right one is taken. */
static void refused_2(void **state)
{
	static const uint8_t types[] = { MOAT_P_KE, MOAT_P_NONCE, MOAT_P_ID };

	(void)state;
	for (size_t i = 0; i < sizeof(types); i++) {
		struct sim_options o = sim_plain();
		uint8_t message[2048];
		const uint8_t *sent;
		struct sim *sim;
		size_t len;
		int to;

		o.aggressive = true;
		sim = sim_start_lossy(&o, first_answer);
		sent = sim_datagram(sim, 1, &len, &to);
		assert_int_equal(to, 0);
		len = forge_2(sent, len, types[i], message);
		sim_inject(sim, 0, message, len);
		assert_int_equal(sim_logged(sim, 0, "ike-refused"), 1);
		sim_run(sim, 5000);
		assert_int_equal(sim_done(sim, 0), 1);
		sim_assert_established(sim, 1);
		sim_free(sim);
	}
}

/* What is no error says nothing about an attempt: not in clear. */
static void no_error(void **state)
{
	struct sim_options o = sim_plain();
	struct sim *sim = sim_new(&o);
	struct moat_ike1_out out;

	(void)state;
	sim_set_filter(sim, answers);
	sim_run(sim, 100);
	sim_up(sim, 0);
	sim_run(sim, 200);
	moat_ike1_begin(&out, TAILQ_FIRST(&sim_core(sim, 0)->isakmps),
			MOAT_X_INFORMATIONAL, 1, false);
	moat_build_notify(&out.b, MOAT_PROTO_ISAKMP, MOAT_N_INITIAL_CONTACT,
			  moat_view(NULL, 0), moat_view(NULL, 0));
	sim_inject(sim, 0, out.buf, moat_build_finish(&out.b));
	sim_run(sim, 10000);
	assert_int_equal(sim_done(sim, 0), -1);
	assert_int_equal(sim_logged(sim, 0, "ike-notify"), 0);
	sim_free(sim);
}

/* Who has not seen our cookie has not shown that it is at its address. */
static void values_without_cookie(void **state)
{
	struct sim_options o = sim_plain();
	struct sim *sim = sim_start_lossy(&o, first_values);
	uint8_t message[2048];
	size_t len;

	(void)state;
	len = sim_copy(sim, 2, 1, message, sizeof(message));
	memset(message + MOAT_COOKIE_LEN, 0, MOAT_COOKIE_LEN);
	sim_inject(sim, 1, message, len);
	sim_run(sim, 300);
	assert_int_equal(sim_core(sim, 1)->refused[MOAT_REFUSE_STATE], 1);
	assert_int_equal(sim_sent(sim, 1, MOAT_X_MAIN), 1);
	sim_run(sim, 5000);
	sim_assert_established(sim, 1);
	sim_free(sim);
}

static bool first_of_responder(int from, uint8_t exchange, unsigned int nth)
{
	return from == 1 && exchange == MOAT_X_MAIN && nth == 1;
}

/* Without one the initiator could not tell messages 2 and 1 apart from then on. */
static void answer_without_cookie(void **state)
{
	struct sim_options o = sim_plain();
	struct sim *sim = sim_start_lossy(&o, first_of_responder);
	uint8_t message[2048];
	size_t len;

	(void)state;
	len = sim_copy(sim, 1, 0, message, sizeof(message));
	memset(message + MOAT_COOKIE_LEN, 0, MOAT_COOKIE_LEN);
	sim_inject(sim, 0, message, len);
	assert_int_equal(sim_core(sim, 0)->refused[MOAT_REFUSE_COOKIE], 1);
	assert_int_equal(sim_sent(sim, 0, MOAT_X_MAIN), 1);
	sim_run(sim, 5000);
	sim_assert_established(sim, 1);
	sim_free(sim);
}

static bool main_5(int from, uint8_t exchange, unsigned int nth)
{
	return from == 0 && exchange == MOAT_X_MAIN && nth >= 3;
}

/* Messages 5 of anybody are told and answered once, and the right one is taken. */
static void garbage_for_5(void **state)
{
	struct sim_options o = sim_plain();
	struct sim *sim = sim_start_lossy(&o, main_5);
	uint8_t message[2048];
	const uint8_t *sent;
	size_t len;
	int to;

	(void)state;
	sent = sim_datagram(sim, 4, &len, &to);
	assert_int_equal(to, 1);
	assert_true(len <= sizeof(message));
	for (uint8_t i = 1; i <= 20; i++) {
		memcpy(message, sent, len);
		message[MOAT_HDR_LEN] ^= i;
		sim_inject(sim, 1, message, len);
	}
	assert_int_equal(sim_logged(sim, 1, "ike-auth-failed"), 1);
	assert_int_equal(sim_sent(sim, 1, MOAT_X_INFORMATIONAL), 1);
	sim_inject(sim, 1, sent, len);
	sim_run(sim, 500);
	assert_int_equal(sim_logged(sim, 1, "ike-established"), 1);
	sim_free(sim);
}

static bool first_5(int from, uint8_t exchange, unsigned int nth)
{
	return from == 0 && exchange == MOAT_X_MAIN && nth == 3;
}

/* Of those that are half open the forged ones give way, however old the true one is. */
static void crowd_of_1(void **state)
{
	struct sim_options o = sim_plain();
	struct sim *sim = sim_start_lossy(&o, first_5);
	uint8_t message[2048];
	size_t len;

	(void)state;
	assert_int_equal(sim_sent(sim, 1, MOAT_X_MAIN), 2);
	len = sim_copy(sim, 0, 1, message, sizeof(message));
	for (uint32_t i = 1; i <= 2 * MOAT_HALF_OPEN_MAX; i++) {
		moat_set32(message, i);
		sim_inject(sim, 1, message, len);
	}
	assert_int_equal(sim_isakmps(sim, 1), MOAT_HALF_OPEN_MAX);
	sim_run(sim, 5000);
	assert_int_equal(sim_logged(sim, 1, "ike-established"), 1);
	/* The others end by themselves. */
	sim_run(sim, 30000);
	sim_assert_established(sim, 1);
	sim_free(sim);
}

static bool quick_3(int from, uint8_t exchange, unsigned int nth)
{
	return from == 0 && exchange == MOAT_X_QUICK && nth > 1;
}

/* Whoever saw a message can send it again, and makes us send no more than this. */
static void repeated_for_ever(void **state)
{
	static const struct {
		unsigned int datagram;
		uint8_t exchange;
	} cases[] = { { 4, MOAT_X_MAIN }, { 6, MOAT_X_QUICK } };
	struct sim_options o = sim_plain();
	struct sim *sim = sim_start_lossy(&o, quick_3);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unsigned int sent = sim_sent(sim, 1, cases[i].exchange);
		const uint8_t *message;
		size_t len;
		int to;

		message = sim_datagram(sim, cases[i].datagram, &len, &to);
		assert_int_equal(to, 1);
		assert_int_equal(message[18], cases[i].exchange);
		for (unsigned int again = 1; again <= 100; again++) {
			sim_inject(sim, 1, message, len);
			assert_int_equal(sim_sent(sim, 1, cases[i].exchange),
					 sent + (again < REPEATS ? again : REPEATS));
		}
	}
	sim_free(sim);
}

static unsigned int lost_from;

static bool message_3(int from, uint8_t exchange, unsigned int nth)
{
	return from == 0 && exchange == MOAT_X_AGGRESSIVE && nth >= lost_from;
}

static struct moat_view value_of(const uint8_t *message, size_t len)
{
	struct moat_message msg;

	sim_payloads(message, len, false, &msg);
	return moat_message_find(&msg, MOAT_P_KE)->body;
}

/* HASH_I of the last aggressive mode, whose message 3 was lost; returns its initiator. */
static struct moat_isakmp *lost_hash(struct sim *sim, uint8_t *message,
				     struct moat_view *hash)
{
	struct moat_isakmp *sa = TAILQ_LAST(&sim_core(sim, 0)->isakmps, moat_isakmps);
	uint8_t iv[MOAT_BLOCK_MAX];
	struct moat_view values[2] = { 0 };
	struct moat_message msg;
	const uint8_t *sent;
	size_t len, size = 0;
	int to;

	for (unsigned int i = 0; (sent = sim_datagram(sim, i, &len, &to)); i++) {
		if (memcmp(sent, sa->cky.i, MOAT_COOKIE_LEN) ||
		    sent[18] != MOAT_X_AGGRESSIVE || (to == 1 && size))
			continue;
		if (to == 0 || !values[0].data) {
			values[to == 0] = value_of(sent, len);
			continue;
		}
		size = len;
		memcpy(message, sent, len);
	}
	assert_true(size);
	assert_int_equal(moat_iv_phase1(&sa->alg, values[0], values[1], iv), 0);
	assert_int_equal(moat_cbc_decrypt(&sa->alg, sa->keys.key, iv,
					  message + MOAT_HDR_LEN, size - MOAT_HDR_LEN),
			 0);
	sim_payloads(message, size, true, &msg);
	*hash = moat_message_find(&msg, MOAT_P_HASH)->body;
	return sa;
}

/*
 * Message 3 of aggressive mode may come in clear, and HASH_I covers nothing else that
 * is in it: what somebody added must not end the SAs from before.
 */
static void contact_in_clear(void **state)
{
	struct sim_options o = sim_plain();
	uint8_t message[2048], spi[2 * MOAT_COOKIE_LEN];
	struct moat_ike1_out out;
	struct moat_isakmp *sa;
	struct moat_view hash;
	unsigned int sas;
	struct sim *sim;

	(void)state;
	o.aggressive = true;
	sim = sim_start(&o);
	lost_from = sim_sent(sim, 0, MOAT_X_AGGRESSIVE) + 2;
	sim_set_filter(sim, message_3);
	sim_control(sim, 0, MOAT_EV_REKEY);
	sim_run(sim, 500);
	sa = lost_hash(sim, message, &hash);
	moat_ike1_begin(&out, sa, MOAT_X_AGGRESSIVE, 0, false);
	moat_build_payload(&out.b, MOAT_P_HASH, hash);
	memcpy(spi, sa->cky.i, MOAT_COOKIE_LEN);
	memcpy(spi + MOAT_COOKIE_LEN, sa->cky.r, MOAT_COOKIE_LEN);
	moat_build_notify(&out.b, MOAT_PROTO_ISAKMP, MOAT_N_INITIAL_CONTACT,
			  moat_view(spi, sizeof(spi)), moat_view(NULL, 0));
	assert_int_equal(sim_logged(sim, 1, "ike-established"), 1);
	assert_int_equal(sim_logged(sim, 1, "ike-initial-contact"), 1);
	sas = sim_count(sim, 1, MOAT_DIRECTION_OUT);
	assert_true(sas);
	sim_inject(sim, 1, out.buf, moat_build_finish(&out.b));
	sim_run(sim, 20);
	assert_int_equal(sim_logged(sim, 1, "ike-established"), 2);
	assert_int_equal(sim_logged(sim, 1, "ike-initial-contact"), 1);
	assert_int_equal(sim_count(sim, 1, MOAT_DIRECTION_OUT), sas);
	sim_free(sim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(second_values),
		cmocka_unit_test(stream_of_errors),
		cmocka_unit_test(refused_2),
		cmocka_unit_test(repeated_for_ever),
		cmocka_unit_test(garbage_for_5),
		cmocka_unit_test(crowd_of_1),
		cmocka_unit_test(no_error),
		cmocka_unit_test(values_without_cookie),
		cmocka_unit_test(contact_in_clear),
		cmocka_unit_test(late_error),
		cmocka_unit_test(answer_without_cookie),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
