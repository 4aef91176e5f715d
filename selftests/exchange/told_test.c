// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Messages of phase 1 that cannot be taken: the peer is told which error it is, and
 * the operator what was wrong, whoever refused; but nobody has us send more than that.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "sim_case.h"
#include "wire/build.h"

#define SIZE 4096

/* Where message 1 of main mode has what is changed below. */
#define FIRST	  16
#define FLAGS	  19
#define SA	  MOAT_HDR_LEN
#define DOI	  (SA + 4 + 3)
#define SITUATION (SA + 8 + 3)
#define PROPOSAL  (SA + 12)
#define TRANSFORM (PROPOSAL + 8)

/*
 * The one error in clear that a side was sent since then, in no more octets than
 * @most, with the cookies of what it answers; 0 for none.
 */
static uint16_t error_to(const struct sim *sim, int side, unsigned int since,
			 const uint8_t *about, size_t most)
{
	static const uint8_t none[MOAT_COOKIE_LEN];
	struct moat_notify n = { .type = 0 };
	struct moat_message msg;
	const uint8_t *data;
	size_t len;
	int to;

	for (unsigned int i = since; (data = sim_datagram(sim, i, &len, &to)); i++) {
		if (to != side || data[18] != MOAT_X_INFORMATIONAL)
			continue;
		assert_int_equal(n.type, 0);
		assert_true(len <= most);
		assert_int_equal(data[FLAGS], 0);
		assert_memory_equal(data, about, MOAT_COOKIE_LEN);
		assert_memory_not_equal(data + 8, none, MOAT_COOKIE_LEN);
		if (memcmp(about + 8, none, MOAT_COOKIE_LEN) != 0)
			assert_memory_equal(data + 8, about + 8, MOAT_COOKIE_LEN);
		sim_payloads(data, len, false, &msg);
		assert_int_equal(msg.count, 1);
		assert_int_equal(moat_notify_parse(msg.payloads[0].body, &n, NULL), 0);
	}
	return n.type;
}

/* The @index-th datagram with another octet, or one payload cut to so many octets. */
struct change {
	unsigned int at;
	uint8_t by;
	uint8_t payload;
	size_t octets;
};

static size_t changed(const struct sim *sim, unsigned int index,
		      const struct change *change, uint8_t buf[SIZE])
{
	const struct moat_payload *p;
	struct moat_message msg;
	struct moat_build b;
	struct moat_hdr hdr;
	const uint8_t *data;
	size_t len;
	int to;

	data = sim_datagram(sim, index, &len, &to);
	assert_non_null(data);
	assert_true(len <= SIZE);
	memcpy(buf, data, len);
	buf[change->at] ^= change->by;
	if (!change->payload)
		return len;
	assert_int_equal(moat_hdr_parse(moat_view(data, len), &hdr, NULL), 0);
	assert_int_equal(
		moat_chain_parse(hdr.next_payload,
				 moat_view(data + MOAT_HDR_LEN, len - MOAT_HDR_LEN),
				 false, &msg, NULL),
		0);
	moat_build_start(&b, buf, SIZE, &hdr);
	moat_payload_for_each(p, &msg)
		moat_build_payload(&b, p->type,
				   p->type == change->payload
					   ? moat_view(p->body.data, change->octets)
					   : p->body);
	return moat_build_finish(&b);
}

/* The same as one more peer at this address would send it. */
static void with_cookie(uint8_t *message, uint8_t number)
{
	memset(message, 0x50 + number, MOAT_COOKIE_LEN);
}

struct unfit {
	struct change change;
	uint16_t error;
	const char *text;
};

/* Each comes twice: as nothing is kept of it, so does the error. */
static void refuse_first(struct sim *sim, const struct unfit *unfit, uint8_t number)
{
	uint8_t message[SIZE];
	size_t len = changed(sim, 0, &unfit->change, message);
	unsigned int logged = sim_logged(sim, 1, "ike-refused");
	unsigned int isakmps = sim_isakmps(sim, 1);

	with_cookie(message, number);
	/* Of what strangers send, one line in 5 s is logged. */
	sim_run(sim, 10000);
	for (unsigned int i = 1; i <= 2; i++) {
		unsigned int since = sim_datagrams(sim);
		const char *text;

		sim_inject(sim, 1, message, len);
		assert_int_equal(error_to(sim, 0, since, message, len), unfit->error);
		assert_int_equal(sim_datagrams(sim), since + 1);
		assert_int_equal(sim_logged(sim, 1, "ike-refused"), logged + i);
		text = sim_log_text(sim, 1, "ike-refused");
		if (!strstr(text, unfit->text) || !strstr(text, "; peer 192.0.2.1"))
			fail_msg("case %u: \"%s\" does not say \"%s\"", number, text,
				 unfit->text);
	}
	assert_int_equal(sim_isakmps(sim, 1), isakmps);
}

/* RFC 2408 sections 5.2 to 5.6. */
static void first_of_main(void **state)
{
	static const struct unfit cases[] = {
		{ { FIRST, MOAT_P_SA ^ 77, 0, 0 },
		  MOAT_N_INVALID_PAYLOAD_TYPE,
		  "message 1 of main mode refused (payload_type): payload 1 has type 77" },
		{ { FIRST, MOAT_P_SA ^ MOAT_P_KE, 0, 0 },
		  MOAT_N_INVALID_PAYLOAD_TYPE,
		  "message 1 may not hold a KE payload" },
		{ { SA + 1, 1, 0, 0 }, MOAT_N_PAYLOAD_MALFORMED, "reserved octet" },
		{ { SA + 2, 64, 0, 0 }, MOAT_N_PAYLOAD_MALFORMED, "payload 1 (SA) says" },
		{ { DOI, 2, 0, 0 }, MOAT_N_DOI_NOT_SUPPORTED, "DOI is 3, takes 1" },
		{ { SITUATION, 4, 0, 0 },
		  MOAT_N_SITUATION_NOT_SUPPORTED,
		  "situation is 5, takes 1" },
		{ { PROPOSAL + 5, 5, 0, 0 },
		  MOAT_N_INVALID_PROTOCOL_ID,
		  "proposals is for protocol 4" },
		{ { PROPOSAL + 6, 0xff, 0, 0 }, MOAT_N_INVALID_SPI, "says an SPI of" },
		{ { PROPOSAL + 7, 7, 0, 0 },
		  MOAT_N_BAD_PROPOSAL_SYNTAX,
		  "transforms, has" },
		{ { TRANSFORM + 1, 1, 0, 0 }, MOAT_N_PAYLOAD_MALFORMED, "reserved octet" },
		{ { FLAGS, MOAT_FLAG_ENCRYPTION, 0, 0 },
		  MOAT_N_INVALID_FLAGS,
		  "expected it in clear" },
		{ { FLAGS, MOAT_FLAG_AUTH_ONLY, 0, 0 },
		  MOAT_N_INVALID_FLAGS,
		  "expected no authentication only" },
	};
	struct sim_options o = sim_plain();
	struct sim *sim = sim_start(&o);

	(void)state;
	for (uint8_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		refuse_first(sim, &cases[i], i);
	sim_assert_established(sim, 1);
	sim_free(sim);
}

/* In aggressive mode it has values and an identity, too: sections 5.7 and 5.8. */
static void first_of_aggressive(void **state)
{
	static const struct unfit cases[] = {
		{ { 0, 0, MOAT_P_KE, 60 },
		  MOAT_N_INVALID_KEY_INFORMATION,
		  "message 1 of aggressive mode refused (key)" },
		{ { 0, 0, MOAT_P_NONCE, 7 },
		  MOAT_N_PAYLOAD_MALFORMED,
		  "nonce has 7 bytes, takes 8 to 256" },
		{ { 0, 0, MOAT_P_ID, 3 }, MOAT_N_PAYLOAD_MALFORMED, "ID needs 4 bytes" },
		{ { 0, 0, MOAT_P_ID, 7 },
		  MOAT_N_INVALID_ID_INFORMATION,
		  "takes 4 bytes, has 3" },
	};
	struct sim_options o = sim_plain();
	struct sim *sim;

	(void)state;
	o.aggressive = true;
	sim = sim_start(&o);
	for (uint8_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		refuse_first(sim, &cases[i], i);
	sim_assert_established(sim, 1);
	sim_free(sim);
}

/* What is shorter than an error is not answered; nor is what is no exchange. */
static void never_more(void **state)
{
	struct sim_options o = sim_plain();
	uint8_t message[SIZE] = { 0 };
	struct sim *sim = sim_start(&o);
	struct moat_hdr hdr = { .exchange = MOAT_X_MAIN };
	struct moat_build b;
	unsigned int since = sim_datagrams(sim);
	unsigned int logged = sim_logged(sim, 1, "ike-refused");

	(void)state;
	memset(hdr.cookie_i, 0x77, MOAT_COOKIE_LEN);
	for (size_t len = 0; len < 12; len++) {
		moat_build_start(&b, message, SIZE, &hdr);
		if (len >= MOAT_GENERIC_LEN)
			moat_build_payload(&b, MOAT_P_VENDOR,
					   moat_view(message, len - MOAT_GENERIC_LEN));
		sim_inject(sim, 1, message, moat_build_finish(&b));
	}
	assert_true(sim_logged(sim, 1, "ike-refused") > logged);
	assert_int_equal(sim_datagrams(sim), since);
	/* No error is answered with another one. */
	hdr.exchange = MOAT_X_INFORMATIONAL;
	hdr.message_id = 1;
	moat_build_start(&b, message, SIZE, &hdr);
	moat_build_notify(&b, MOAT_PROTO_ISAKMP, MOAT_N_DOI_NOT_SUPPORTED,
			  moat_view(NULL, 0), moat_view(NULL, 0));
	moat_build_payload(&b, MOAT_P_SA, moat_view(message, 3));
	sim_inject(sim, 1, message, moat_build_finish(&b));
	assert_int_equal(sim_datagrams(sim), since);
	sim_free(sim);
}

/* Seen from the peer: it hears which error it is, and does not go on in vain. */
static void told(void **state)
{
	static const uint8_t sa[] = { 0, 0, 0, 1, 0, 0, 0, 1 }; /* DOI, situation */
	struct sim_options o = sim_plain();
	struct sim *sim = sim_new(&o);

	(void)state;
	sim_spoil_by(sim, sa, sizeof(sa), 3, 2);
	sim_run(sim, 100);
	sim_up(sim, 0);
	sim_run(sim, 4000);
	assert_int_equal(sim_done(sim, 0), 0);
	assert_non_null(strstr(sim_log_text(sim, 0, "ike-notify"), "DOI-NOT-SUPPORTED"));
	assert_non_null(
		strstr(sim_log_text(sim, 0, "control-done"), "DOI-NOT-SUPPORTED"));
	assert_non_null(strstr(sim_log_text(sim, 1, "ike-refused"), "DOI is 3"));
	sim_free(sim);
}

static unsigned int from_here;

static bool later(int from, uint8_t exchange, unsigned int nth)
{
	return from == 0 && exchange == MOAT_X_MAIN && nth == from_here;
}

/*
 * Message 3 belongs to an exchange: one error is enough for it, however many come,
 * and the right one is taken all the same.
 */
static void third_of_main(void **state)
{
	static const struct change short_ke = { .payload = MOAT_P_KE, .octets = 60 };
	struct sim_options o = sim_plain();
	struct sim *sim = sim_new(&o);
	uint8_t message[SIZE];
	unsigned int since;
	size_t len;

	(void)state;
	from_here = 2;
	sim_set_filter(sim, later);
	sim_run(sim, 100);
	sim_up(sim, 0);
	sim_run(sim, 200);
	len = changed(sim, 2, &short_ke, message);
	since = sim_datagrams(sim);
	sim_inject(sim, 1, message, len);
	assert_int_equal(error_to(sim, 0, since, message, len),
			 MOAT_N_INVALID_KEY_INFORMATION);
	assert_non_null(strstr(sim_log_text(sim, 1, "ike-refused"),
			       "message 3 of main mode refused (key)"));
	since = sim_datagrams(sim);
	sim_inject(sim, 1, message, len);
	assert_int_equal(sim_datagrams(sim), since);
	len = changed(sim, 2, &(struct change){ .payload = 0 }, message);
	sim_inject(sim, 1, message, len);
	sim_run(sim, 5000);
	sim_assert_established(sim, 1);
	sim_free(sim);
}

static bool answers(int from, uint8_t exchange, unsigned int nth)
{
	(void)nth;
	return from == 1 && exchange == MOAT_X_MAIN;
}

/* An initiator refuses, too; its cookie is not used up by what was refused. */
static void second_of_main(void **state)
{
	static const struct {
		struct change change;
		uint16_t error;
	} cases[] = {
		{ { DOI, 2, 0, 0 }, MOAT_N_DOI_NOT_SUPPORTED },
		/* The last octet of its first attribute: another cipher. */
		{ { TRANSFORM + 11, 2, 0, 0 }, MOAT_N_NO_PROPOSAL_CHOSEN },
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sim_options o = sim_plain();
		struct sim *sim = sim_new(&o);
		uint8_t message[SIZE];
		unsigned int since;
		size_t len;

		sim_set_filter(sim, answers);
		sim_run(sim, 100);
		sim_up(sim, 0);
		sim_run(sim, 200);
		len = changed(sim, 1, &cases[i].change, message);
		message[MOAT_COOKIE_LEN] ^= 1;
		since = sim_datagrams(sim);
		sim_inject(sim, 0, message, len);
		assert_int_equal(error_to(sim, 1, since, message, len), cases[i].error);
		sim_inject(sim, 0, message, len);
		assert_int_equal(sim_datagrams(sim), since + 1);
		sim_set_filter(sim, NULL);
		len = changed(sim, 1, &(struct change){ .payload = 0 }, message);
		sim_inject(sim, 0, message, len);
		sim_run(sim, 5000);
		sim_assert_established(sim, 1);
		sim_free(sim);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_of_main),  cmocka_unit_test(first_of_aggressive),
		cmocka_unit_test(never_more),	  cmocka_unit_test(told),
		cmocka_unit_test(second_of_main), cmocka_unit_test(third_of_main),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
