// SPDX-License-Identifier: GPL-2.0-or-later
/* When what was held for a policy's first SA follows message 3 of quick mode. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "sim_insider.h"

/* How Moat names itself: the first octets are enough to make it another one. */
static const uint8_t own[] = { 0xd3, 0x9c, 0x0b, 0x0e, 0x6b, 0xa5, 0x07, 0xe6 };

/**
 * struct seen - one tunnel that came up
 * @took: ms from message 1 to message 3
 * @waited: ms from message 3 to the switch
 * @asked: how many informational messages side 0 sent in this time
 */
struct seen {
	uint64_t took;
	uint64_t waited;
	unsigned int asked;
};

static uint64_t until_sent(struct sim *sim, unsigned int n)
{
	while (sim_sent(sim, 0, MOAT_X_QUICK) < n)
		sim_run(sim, 1);
	return sim_now(sim);
}

/*
 * Up to message 1. @stranger: neither knows that the other one is a Moat;
 * @every: dpd
 */
static struct sim *send_1(bool stranger, uint32_t every, sim_filter filter,
			  struct seen *seen)
{
	struct sim_options o = {
		.seed = 5,
		.nets = 1,
		.psk = { "a secret", "a secret" },
		.dpd = every,
		.dpd_timeout = 120,
		.verbose = getenv("SIM_VERBOSE") != NULL,
	};
	struct sim *sim = sim_new(&o);

	sim_run(sim, 100);
	if (stranger)
		sim_spoil(sim, own, sizeof(own));
	if (filter)
		sim_set_filter(sim, filter);
	sim_up(sim, 0);
	seen->took = until_sent(sim, 1);
	seen->asked = sim_sent(sim, 0, MOAT_X_INFORMATIONAL);
	return sim;
}

static void send_2_and_3(struct sim *sim, struct seen *seen)
{
	seen->waited = until_sent(sim, 2);
	seen->took = seen->waited - seen->took;
}

/* Up to message 3 */
static struct sim *send_3(bool stranger, uint32_t every, sim_filter filter,
			  struct seen *seen)
{
	struct sim *sim = send_1(stranger, every, filter, seen);

	send_2_and_3(sim, seen);
	return sim;
}

static void until_switched(struct sim *sim, struct seen *seen)
{
	while (!sim_count(sim, 0, MOAT_DIRECTION_OUT) &&
	       sim_now(sim) < seen->waited + 10000)
		sim_run(sim, 1);
	seen->waited = sim_now(sim) - seen->waited;
	seen->asked = sim_sent(sim, 0, MOAT_X_INFORMATIONAL) - seen->asked;
}

static struct seen come_up(bool stranger, uint32_t every, sim_filter filter)
{
	struct seen seen;
	struct sim *sim = send_3(stranger, every, filter, &seen);

	until_switched(sim, &seen);
	sim_run(sim, 5000);
	assert_string_equal(sim_state(sim, 0), "up");
	assert_null(sim_agree(sim));
	sim_free(sim);
	print_message("took %u ms, waited %u ms, asked %u times\n",
		      (unsigned int)seen.took, (unsigned int)seen.waited, seen.asked);
	assert_in_range(seen.took, 2, 400);
	return seen;
}

/* A Moat has its inbound SA before it answers. */
static void between_moats(void **state)
{
	struct seen seen = come_up(false, 30, NULL);

	(void)state;
	assert_in_range(seen.waited, 0, 10);
	assert_int_equal(seen.asked, 0);
}

static void answered(void **state)
{
	struct seen seen = come_up(true, 30, NULL);

	(void)state;
	assert_in_range(seen.waited, seen.took, 650);
	assert_int_equal(seen.asked, 1);
}

static bool first_question(int from, uint8_t exchange, unsigned int nth)
{
	return from == 0 && exchange == MOAT_X_INFORMATIONAL && nth == 1;
}

static void question_lost(void **state)
{
	struct seen seen = come_up(true, 30, first_question);

	(void)state;
	assert_in_range(seen.waited, 700, 1300);
	assert_int_equal(seen.asked, 2);
}

static bool first_answer(int from, uint8_t exchange, unsigned int nth)
{
	return from == 1 && exchange == MOAT_X_INFORMATIONAL && nth == 1;
}

static void answer_lost(void **state)
{
	struct seen seen = come_up(true, 30, first_answer);

	(void)state;
	assert_in_range(seen.waited, 700, 1300);
	assert_int_equal(seen.asked, 2);
}

static bool all_answers(int from, uint8_t exchange, unsigned int nth)
{
	(void)nth;
	return from == 1 && exchange == MOAT_X_INFORMATIONAL;
}

/* Nobody waits for ever. */
static void no_answer(void **state)
{
	struct seen seen = come_up(true, 30, all_answers);

	(void)state;
	assert_in_range(seen.waited, 2000, 2010);
	assert_int_equal(seen.asked, 3);
}

/* dpd = 0 asks nobody: twice what the exchange took. */
static void switched_off(void **state)
{
	struct seen seen = come_up(true, 0, NULL);

	(void)state;
	assert_in_range(seen.waited, 2 * seen.took - 5, 2 * seen.took + 5);
	assert_int_equal(seen.asked, 0);
}

/* Other credentials on both sides while it waits: it begins anew under those. */
static void outdated(void **state)
{
	struct seen seen;
	struct sim *sim = send_3(true, 30, first_answer, &seen);

	(void)state;
	sim_change_psk(sim, 1, "another secret");
	sim_change_psk(sim, 0, "another secret");
	until_switched(sim, &seen);
	assert_in_range(seen.waited, 50, 600);
	assert_int_equal(sim_logged(sim, 0, "ike-outdated"), 1);
	sim_run(sim, 5000);
	assert_string_equal(sim_state(sim, 0), "up");
	assert_null(sim_agree(sim));
	sim_free(sim);
}

/* The peer ends all while it waits: there is nothing to wait for, and nothing left. */
static void ended(void **state)
{
	struct seen seen;
	struct sim *sim = send_3(true, 30, NULL, &seen);

	(void)state;
	sim_down(sim, 1);
	sim_run(sim, 500);
	assert_int_equal(sim_isakmps(sim, 0), 0);
	assert_int_equal(sim_burden(sim, 0).quicks, 0);
	assert_int_equal(sim_burden(sim, 0).children, 0);
	sim_run(sim, 3000);
	assert_int_equal(sim_count(sim, 0, MOAT_DIRECTION_OUT), 0);
	assert_int_equal(sim_count(sim, 0, MOAT_DIRECTION_IN), 0);
	sim_free(sim);
}

/* What the header of an encrypted quick mode begins with, up to its flags. */
static const uint8_t flags[] = { MOAT_P_HASH, 0x10, MOAT_X_QUICK, MOAT_FLAG_ENCRYPTION };

/* Message 3 is sent between strangers with the commit bit in messages 2 and 3. */
static struct sim *send_committed_3(struct seen *seen)
{
	struct sim *sim = send_1(true, 30, NULL, seen);

	sim_spoil_by(sim, flags, sizeof(flags), sizeof(flags) - 1, MOAT_FLAG_COMMIT);
	send_2_and_3(sim, seen);
	return sim;
}

/* The bit is not authenticated: without CONNECTED it is not waited for ever. */
static void committed(void **state)
{
	struct seen seen;
	struct sim *sim = send_committed_3(&seen);

	(void)state;
	/* The responder, who saw it in message 3, waits as well. */
	sim_run(sim, 1900);
	assert_int_equal(sim_count(sim, 1, MOAT_DIRECTION_OUT), 0);
	until_switched(sim, &seen);
	assert_in_range(seen.waited, 2000, 2010);
	assert_int_equal(seen.asked, 0);
	sim_run(sim, 200);
	assert_string_equal(sim_state(sim, 1), "up");
	assert_null(sim_agree(sim));
	sim_free(sim);
}

/* Somebody's notification with the message id of the quick mode that it speaks of. */
static void notify(struct sim *sim, int to, uint8_t exchange, uint16_t type)
{
	struct moat_isakmp *sa = TAILQ_FIRST(&sim_core(sim, !to)->isakmps);
	struct moat_quick *quick = LIST_FIRST(&sa->quicks);
	uint8_t iv[MOAT_BLOCK_MAX], spi[4];
	struct moat_ike1_out out;

	/* A fourth message goes on where the third one ended. */
	memcpy(iv, quick->iv, sizeof(iv));
	if (exchange == MOAT_X_INFORMATIONAL)
		assert_int_equal(
			moat_iv_exchange(&sa->alg, sa->iv, quick->message_id, iv), 0);
	moat_set32(spi, quick->sas[0].spi_in);
	sim_insider_begin(&out, sa, exchange, quick->message_id);
	moat_build_notify(&out.b, MOAT_PROTO_ESP, type, moat_view(spi, sizeof(spi)),
			  moat_view(NULL, 0));
	sim_inject(sim, to, out.buf, sim_insider_seal(sa, &out, quick->message_id, iv));
}

/* It says so in an informational exchange, or in a fourth message of quick mode. */
static void connected(void **state)
{
	static const uint8_t exchanges[] = { MOAT_X_INFORMATIONAL, MOAT_X_QUICK };

	(void)state;
	for (size_t i = 0; i < sizeof(exchanges); i++) {
		struct seen seen;
		struct sim *sim = send_committed_3(&seen);
		unsigned long refused;

		sim_run(sim, 1000);
		assert_int_equal(sim_count(sim, 0, MOAT_DIRECTION_OUT), 0);
		refused = sim_core(sim, 0)->refused[MOAT_REFUSE_PAYLOAD_TYPE];
		if (exchanges[i] == MOAT_X_QUICK) {
			/* Another one is refused, and the wait goes on. */
			notify(sim, 0, MOAT_X_QUICK, MOAT_N_RESPONDER_LIFETIME);
			assert_int_equal(
				sim_core(sim, 0)->refused[MOAT_REFUSE_PAYLOAD_TYPE],
				refused + 1);
		}
		notify(sim, 0, exchanges[i], MOAT_N_CONNECTED);
		until_switched(sim, &seen);
		assert_in_range(seen.waited, 1000, 1010);
		/* Once is enough: then the message id is used up. */
		refused = sim_core(sim, 0)->refused[MOAT_REFUSE_STATE];
		notify(sim, 0, MOAT_X_INFORMATIONAL, MOAT_N_CONNECTED);
		assert_int_equal(sim_core(sim, 0)->refused[MOAT_REFUSE_STATE],
				 refused + 1);
		sim_run(sim, 3000);
		assert_null(sim_agree(sim));
		sim_free(sim);
	}
}

/* The responder hears it as well, and takes a packet of the initiator for it. */
static void connected_responder(void **state)
{
	struct seen seen;
	struct sim *sim = send_committed_3(&seen);

	(void)state;
	sim_run(sim, 1000);
	assert_int_equal(sim_count(sim, 1, MOAT_DIRECTION_OUT), 0);
	notify(sim, 1, MOAT_X_INFORMATIONAL, MOAT_N_CONNECTED);
	sim_run(sim, 100);
	assert_int_equal(sim_count(sim, 1, MOAT_DIRECTION_OUT), 1);
	sim_free(sim);

	sim = send_committed_3(&seen);
	sim_run(sim, 1000);
	notify(sim, 0, MOAT_X_INFORMATIONAL, MOAT_N_CONNECTED);
	sim_traffic(sim, 10);
	sim_run(sim, 200);
	assert_int_equal(sim_count(sim, 1, MOAT_DIRECTION_OUT), 1);
	sim_free(sim);
}

/* Rekeys with the bit in all messages lose nothing, whoever asks for them. */
static void committed_rekeys(void **state)
{
	struct seen seen;
	struct sim *sim = send_committed_3(&seen);

	(void)state;
	until_switched(sim, &seen);
	sim_run(sim, 1000);
	sim_traffic(sim, 20);
	for (int i = 0; i < 6; i++) {
		sim_control(sim, i % 2, MOAT_EV_REKEY);
		sim_run(sim, 40000);
		assert_null(sim_agree(sim));
	}
	assert_true(sim_rekeys(sim, 0) >= 6);
	assert_int_equal(sim_packets_lost(sim), 0);
	sim_free(sim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(between_moats),
		cmocka_unit_test(answered),
		cmocka_unit_test(question_lost),
		cmocka_unit_test(answer_lost),
		cmocka_unit_test(no_answer),
		cmocka_unit_test(switched_off),
		cmocka_unit_test(outdated),
		cmocka_unit_test(ended),
		cmocka_unit_test(committed),
		cmocka_unit_test(connected),
		cmocka_unit_test(connected_responder),
		cmocka_unit_test(committed_rekeys),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
