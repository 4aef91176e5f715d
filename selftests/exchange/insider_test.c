// SPDX-License-Identifier: GPL-2.0-or-later
/* A peer that knows the keys and breaks one rule at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "sim_case.h"
#include "sim_insider.h"

/* RFC 2408 section 3.1 */
#define FLAGS_AT  19
#define LENGTH_AT 24

static struct moat_isakmp *isakmp(struct sim *sim, int side)
{
	return TAILQ_FIRST(&sim_core(sim, side)->isakmps);
}

static unsigned long refused(struct sim *sim, enum moat_refuse why)
{
	return sim_core(sim, 1)->refused[why];
}

/* What is not ours to take is refused, and what stands stays as it is. */
static void quick_1(struct sim *sim, const struct sim_quick_1 *how, bool clear)
{
	struct moat_isakmp *sa = isakmp(sim, 0);
	struct moat_ike1_out out;

	sim_insider_begin(&out, sa, MOAT_X_QUICK, 0x1234567);
	sim_insider_quick_1(sim, sa, &out.b, how);
	sim_insider_send(sim, sa, &out, 0x1234567, clear);
	sim_run(sim, 1000);
}

static void untouched(struct sim *sim)
{
	assert_int_equal(sim_sent(sim, 1, MOAT_X_QUICK), 1);
	sim_run(sim, 130000);
	sim_assert_established(sim, 1);
}

/* Without a fault in it the message is taken: the other tests would show nothing. */
static void right_one(void **state)
{
	struct sim_options o = sim_plain();
	struct sim *sim = sim_start(&o);
	struct sim_quick_1 how = { .esp = &isakmp(sim, 0)->tunnel->conf.esp };

	(void)state;
	quick_1(sim, &how, false);
	assert_int_equal(sim_sent(sim, 1, MOAT_X_QUICK), 2);
	sim_free(sim);
}

/* IDs of UDP alone are no part of a tunnel for all protocols that may not narrow. */
static void other_protocol(void **state)
{
	struct sim_options o = sim_plain();
	struct sim *sim = sim_start(&o);
	struct sim_quick_1 how = { .esp = &isakmp(sim, 0)->tunnel->conf.esp,
				   .protocol = 17 };
	const char *why;

	(void)state;
	quick_1(sim, &how, false);
	assert_int_equal(sim_logged(sim, 1, "quick-no-pair"), 1);
	why = sim_log_text(sim, 1, "quick-no-pair");
	assert_non_null(strstr(why, "offered protocol 17"));
	assert_non_null(strstr(why, "protocol and ports must equal the peer's"));
	assert_null(strstr(why, "narrow"));
	untouched(sim);
	sim_free(sim);
}

/* Its refusal may be lost: message 1 comes again, and so does the refusal. */
static void refused_again(void **state)
{
	struct sim_options o = sim_plain();
	struct sim *sim = sim_start(&o);
	struct moat_isakmp *sa = isakmp(sim, 0);
	struct sim_quick_1 how = { .esp = &sa->tunnel->conf.esp, .protocol = 17 };
	struct moat_ike1_out out;

	(void)state;
	sim_insider_begin(&out, sa, MOAT_X_QUICK, 7);
	sim_insider_quick_1(sim, sa, &out.b, &how);
	sim_insider_send(sim, sa, &out, 7, false);
	for (unsigned int sent = 1; sent <= 3; sent++) {
		sim_run(sim, 1000);
		assert_int_equal(sim_sent(sim, 1, MOAT_X_INFORMATIONAL), sent);
		sim_inject(sim, 1, out.buf, moat_get32(out.buf + LENGTH_AT));
	}
	assert_int_equal(sim_logged(sim, 1, "quick-no-pair"), 1);
	sim_free(sim);
}

/* IDs that differ in protocol name no traffic, whatever the first of them says. */
static void two_protocols(void **state)
{
	struct sim_options o = sim_plain();
	struct sim *sim = sim_start(&o);
	struct sim_quick_1 how = { .esp = &isakmp(sim, 0)->tunnel->conf.esp,
				   .other = 17 };
	unsigned long before = refused(sim, MOAT_REFUSE_ID);

	(void)state;
	quick_1(sim, &how, false);
	assert_int_equal(refused(sim, MOAT_REFUSE_ID), before + 1);
	assert_non_null(
		strstr(sim_log_text(sim, 1, "ike-refused"), "differ in protocol"));
	untouched(sim);
	sim_free(sim);
}

/*
 * While the kernel is asked for the SPI that message 1 needs, a second message 1 of
 * the same quick mode is none that is expected.
 */
static void second_quick_1(void **state)
{
	struct sim_options o = sim_plain();
	struct sim *sim = sim_start(&o);
	struct moat_isakmp *sa = isakmp(sim, 0);
	struct sim_quick_1 how = { .esp = &sa->tunnel->conf.esp };
	unsigned long before = refused(sim, MOAT_REFUSE_STATE);
	uint8_t iv[MOAT_BLOCK_MAX];
	struct moat_ike1_out out;

	(void)state;
	assert_int_equal(moat_iv_exchange(&sa->alg, sa->iv, 7, iv), 0);
	for (int i = 0; i < 2; i++) {
		sim_insider_begin(&out, sa, MOAT_X_QUICK, 7);
		sim_insider_quick_1(sim, sa, &out.b, &how);
		sim_insider_send_by(sim, sa, &out, 7, iv);
	}
	assert_int_equal(refused(sim, MOAT_REFUSE_STATE), before + 1);
	assert_non_null(strstr(sim_log_text(sim, 1, "ike-refused"),
			       "no such message is expected"));
	sim_run(sim, 500);
	assert_int_equal(sim_sent(sim, 1, MOAT_X_QUICK), 2);
	sim_run(sim, 130000);
	sim_assert_established(sim, 1);
	sim_free(sim);
}

/* Who begins and never finishes gets no more than four at a time. */
static void never_message_3(void **state)
{
	struct sim_options o = sim_plain();
	struct sim *sim = sim_start(&o);
	struct moat_isakmp *sa = isakmp(sim, 0);
	struct sim_quick_1 how = { .esp = &sa->tunnel->conf.esp };
	struct moat_ike1_out out;

	(void)state;
	for (uint32_t round = 1; round <= 2; round++) {
		unsigned int sent = sim_sent(sim, 1, MOAT_X_QUICK);

		for (uint32_t i = 1; i <= 20; i++) {
			sim_insider_begin(&out, sa, MOAT_X_QUICK, 100 * round + i);
			sim_insider_quick_1(sim, sa, &out.b, &how);
			sim_insider_send(sim, sa, &out, 100 * round + i, false);
			sim_run(sim, 20);
		}
		assert_int_equal(sim_sent(sim, 1, MOAT_X_QUICK),
				 sent + MOAT_ANSWERING_MAX);
		assert_int_equal(refused(sim, MOAT_REFUSE_LIMIT),
				 round * (20 - MOAT_ANSWERING_MAX));
		/* They are given up, and then others may begin. */
		sim_run(sim, 130000);
		sim_assert_established(sim, 1);
	}
	sim_free(sim);
}

static void quick_in_clear(void **state)
{
	struct sim_options o = sim_plain();
	struct sim *sim = sim_start(&o);
	struct sim_quick_1 how = { .esp = &isakmp(sim, 0)->tunnel->conf.esp };
	unsigned long before = refused(sim, MOAT_REFUSE_FLAGS);

	(void)state;
	quick_1(sim, &how, true);
	assert_int_equal(refused(sim, MOAT_REFUSE_FLAGS), before + 1);
	untouched(sim);
	sim_free(sim);
}

/* A KE and a group come together or not at all. */
static void group_and_ke(void **state)
{
	static const struct {
		const char *esp;
		enum moat_group group;
		const char *said;
	} cases[] = {
		{ "aes128gcm16", MOAT_GROUP_ECP256,
		  "KE without a group in the proposal" },
		{ "aes128gcm16-ecp256", MOAT_GROUP_NONE,
		  "a group in the proposal without KE" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sim_options o = sim_plain();
		struct sim_quick_1 how = { .group = cases[i].group };
		struct sim *sim;

		o.esp[0] = o.esp[1] = cases[i].esp;
		sim = sim_start(&o);
		how.esp = &isakmp(sim, 0)->tunnel->conf.esp;
		quick_1(sim, &how, false);
		assert_int_equal(refused(sim, MOAT_REFUSE_KEY), 1);
		assert_non_null(
			strstr(sim_log_text(sim, 1, "ike-refused"), cases[i].said));
		untouched(sim);
		sim_free(sim);
	}
}

/* Values of quick mode are checked as those of phase 1 are. */
static void values(void **state)
{
	static const struct {
		struct sim_quick_1 how;
		const char *said;
	} cases[] = {
		{ { .group = MOAT_GROUP_ECP256, .nothing = true }, "is no point of" },
		{ { .group = MOAT_GROUP_ECP256, .nonce = 7 }, "nonce" },
		{ { .group = MOAT_GROUP_ECP256, .nonce = 257 }, "nonce" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sim_options o = sim_plain();
		struct sim_quick_1 how = cases[i].how;
		struct sim *sim;

		o.esp[0] = o.esp[1] = "aes128gcm16-ecp256";
		sim = sim_start(&o);
		how.esp = &isakmp(sim, 0)->tunnel->conf.esp;
		quick_1(sim, &how, false);
		assert_non_null(
			strstr(sim_log_text(sim, 1, "ike-refused"), cases[i].said));
		untouched(sim);
		sim_free(sim);
	}
}

static void inform(struct sim *sim, struct moat_isakmp *sa, uint32_t id, uint16_t type)
{
	struct moat_ike1_out out;

	sim_insider_begin(&out, sa, MOAT_X_INFORMATIONAL, id);
	moat_build_notify(&out.b, MOAT_PROTO_ISAKMP, type, moat_view(NULL, 0),
			  moat_view(NULL, 0));
	sim_insider_send(sim, sa, &out, id, false);
	sim_run(sim, 100);
}

/* A message id serves one informational message, however often it comes. */
static void used_message_id(void **state)
{
	struct sim_options o = sim_plain();
	struct sim *sim = sim_start(&o);
	unsigned long before = refused(sim, MOAT_REFUSE_STATE);

	(void)state;
	inform(sim, isakmp(sim, 0), 77, MOAT_N_NO_PROPOSAL_CHOSEN);
	assert_int_equal(sim_logged(sim, 1, "quick-no-proposal") +
				 sim_logged(sim, 1, "ike-notify"),
			 1);
	for (int i = 0; i < 3; i++)
		inform(sim, isakmp(sim, 0), 77, MOAT_N_NO_PROPOSAL_CHOSEN);
	assert_int_equal(sim_logged(sim, 1, "quick-no-proposal") +
				 sim_logged(sim, 1, "ike-notify"),
			 1);
	assert_int_equal(refused(sim, MOAT_REFUSE_STATE), before + 3);
	sim_free(sim);
}

static bool any_main(int from, uint8_t exchange, unsigned int nth)
{
	(void)from;
	(void)nth;
	return exchange == MOAT_X_MAIN;
}

/* All ids are kept, so they are limited; with them the ISAKMP SA ends, replaced or not. */
static void all_message_ids(void **state)
{
	struct sim_options o = sim_plain();
	struct sim *sim = sim_start(&o);
	struct moat_isakmp *sa = isakmp(sim, 0);
	const struct moat_isakmp *theirs = isakmp(sim, 1);
	struct moat_ike1_out out;
	uint32_t id = 0;

	(void)state;
	sim_set_filter(sim, any_main);
	while (theirs->n_seen < MOAT_EXCHANGES_MAX) {
		sim_insider_begin(&out, sa, MOAT_X_INFORMATIONAL, ++id);
		moat_build_notify(&out.b, MOAT_PROTO_ISAKMP, MOAT_N_INITIAL_CONTACT,
				  moat_view(NULL, 0), moat_view(NULL, 0));
		sim_insider_send(sim, sa, &out, id, false);
		assert_in_range(id, 1, MOAT_EXCHANGES_MAX);
	}
	assert_int_equal(sim_logged(sim, 1, "ike-expired"), 0);
	sim_run(sim, 10);
	assert_int_equal(sim_logged(sim, 1, "ike-expired"), 1);
	sim_free(sim);
}

/* Does a question of this number about these cookies have an answer? */
static bool answered(struct sim *sim, const struct moat_cookies *cky, uint32_t number)
{
	struct moat_isakmp *sa = isakmp(sim, 0);
	unsigned int sent = sim_sent(sim, 1, MOAT_X_INFORMATIONAL);
	uint8_t spi[2 * MOAT_COOKIE_LEN], octets[4];
	uint32_t id = moat_isakmp_message_id(sa);
	struct moat_ike1_out out;

	memcpy(spi, cky->i, MOAT_COOKIE_LEN);
	memcpy(spi + MOAT_COOKIE_LEN, cky->r, MOAT_COOKIE_LEN);
	moat_set32(octets, number);
	sim_insider_begin(&out, sa, MOAT_X_INFORMATIONAL, id);
	moat_build_notify(&out.b, MOAT_PROTO_ISAKMP, MOAT_N_R_U_THERE,
			  moat_view(spi, sizeof(spi)), moat_view(octets, sizeof(octets)));
	sim_insider_send(sim, sa, &out, id, false);
	sim_run(sim, 100);
	return sim_sent(sim, 1, MOAT_X_INFORMATIONAL) != sent;
}

/*
 * RFC 3706 section 6: numbers grow, and the cookies are those of this ISAKMP SA. The
 * last question comes again when its answer was lost.
 */
static void questions(void **state)
{
	struct sim_options o = sim_plain();
	struct sim *sim = sim_start(&o);
	struct moat_cookies cky = isakmp(sim, 0)->cky;

	(void)state;
	assert_true(answered(sim, &cky, 100));
	assert_true(answered(sim, &cky, 100));
	assert_false(answered(sim, &cky, 99));
	assert_false(answered(sim, &cky, 0));
	assert_true(answered(sim, &cky, 101));
	cky.i[0] ^= 1;
	assert_false(answered(sim, &cky, 102));
	cky.i[0] ^= 1;
	cky.r[MOAT_COOKIE_LEN - 1] ^= 1;
	assert_false(answered(sim, &cky, 102));
	/* Those numbers were not used up by it. */
	cky.r[MOAT_COOKIE_LEN - 1] ^= 1;
	assert_true(answered(sim, &cky, 102));
	sim_assert_established(sim, 1);
	sim_free(sim);
}

/* A peer starts afresh once per ISAKMP SA: it is told in phase 1. */
static void contact_again(void **state)
{
	struct sim_options o = sim_plain();
	struct sim *sim = sim_start(&o);

	(void)state;
	assert_int_equal(sim_logged(sim, 1, "ike-initial-contact"), 1);
	for (uint32_t id = 1; id < 4; id++)
		inform(sim, isakmp(sim, 0), id, MOAT_N_INITIAL_CONTACT);
	assert_int_equal(sim_logged(sim, 1, "ike-initial-contact"), 1);
	sim_assert_established(sim, 1);
	sim_free(sim);
}

static void delete_isakmp(struct sim *sim, struct moat_isakmp *from,
			  const struct moat_isakmp *victim, uint32_t id)
{
	uint8_t spi[2 * MOAT_COOKIE_LEN];
	struct moat_ike1_out out;

	memcpy(spi, victim->cky.i, MOAT_COOKIE_LEN);
	memcpy(spi + MOAT_COOKIE_LEN, victim->cky.r, MOAT_COOKIE_LEN);
	sim_insider_begin(&out, from, MOAT_X_INFORMATIONAL, id);
	moat_build_delete(&out.b, MOAT_PROTO_ISAKMP, sizeof(spi),
			  moat_view(spi, sizeof(spi)));
	sim_insider_send(sim, from, &out, id, false);
	sim_run(sim, 100);
}

/* Cookies are no secret: who names those of another peer's ISAKMP SA ends nothing. */
static void delete_of_another(void **state)
{
	struct sim_options o = sim_plain();
	struct sim *sim = sim_start(&o);
	struct moat_isakmp *from = isakmp(sim, 0);
	struct moat_isakmp *theirs = isakmp(sim, 1);
	struct moat_isakmp *other = calloc(1, sizeof(*other));
	struct moat_tunnel tunnel = *theirs->tunnel;

	(void)state;
	assert_non_null(other);
	/* A second one, of a peer with another name, for as long as this test looks. */
	tunnel.conf.remote_id.data[0] ^= 1;
	other->ike = theirs->ike;
	other->tunnel = &tunnel;
	other->state = MOAT_QM_IDLE;
	other->cky = theirs->cky;
	other->cky.i[0] ^= 1;
	other->remote = theirs->remote;
	TAILQ_INSERT_TAIL(&sim_core(sim, 1)->isakmps, other, link);
	delete_isakmp(sim, from, other, 5);
	assert_int_equal(sim_logged(sim, 1, "ike-deleted"), 0);
	assert_int_equal(sim_isakmps(sim, 1), 2);
	TAILQ_REMOVE(&sim_core(sim, 1)->isakmps, other, link);
	free(other);
	/* Its own it may end. */
	delete_isakmp(sim, from, theirs, 6);
	assert_int_equal(sim_logged(sim, 1, "ike-deleted"), 1);
	assert_int_equal(sim_isakmps(sim, 1), 0);
	sim_free(sim);
}

static void delete_esp(struct sim *sim, uint32_t spi, uint32_t id)
{
	struct moat_isakmp *from = isakmp(sim, 0);
	struct moat_ike1_out out;
	uint8_t octets[4];

	moat_set32(octets, spi);
	sim_insider_begin(&out, from, MOAT_X_INFORMATIONAL, id);
	moat_build_delete(&out.b, MOAT_PROTO_ESP, sizeof(octets),
			  moat_view(octets, sizeof(octets)));
	sim_insider_send(sim, from, &out, id, false);
	sim_run(sim, 100);
}

/* SPIs stand in clear in each packet: who names those of another peer ends nothing. */
static void delete_of_anothers_esp(void **state)
{
	struct sim_options o = sim_plain();
	struct moat_tunnel *second;
	struct moat_addr *peer;
	struct sim *sim;
	uint32_t spi;

	(void)state;
	o.nets = 2;
	o.split = true;
	o.traffic = 1000;
	o.one_way = true;
	sim = sim_start(&o);
	sim_traffic(sim, 0);
	sim_run(sim, 2000);
	sim_assert_established(sim, 4);
	second = TAILQ_NEXT(TAILQ_FIRST(&sim_core(sim, 1)->tunnels), link);
	spi = TAILQ_FIRST(&second->pairs[0].children)->sas[0].spi_out;
	/* From here on it is the tunnel of a peer elsewhere. */
	peer = &second->conf.remote[0];
	peer->bytes[peer->len - 1] ^= 1;
	delete_esp(sim, spi, 5);
	assert_int_equal(sim_count(sim, 1, MOAT_DIRECTION_OUT), 4);
	peer->bytes[peer->len - 1] ^= 1;
	/* Its own it may end. */
	delete_esp(sim, spi, 6);
	assert_int_equal(sim_count(sim, 1, MOAT_DIRECTION_OUT), 3);
	sim_free(sim);
}

static bool from_main_5(int from, uint8_t exchange, unsigned int nth)
{
	return from == 0 && exchange == MOAT_X_MAIN && nth >= 3;
}

/* Message 5, with so many octets of HASH_I. */
static void hash_of(struct sim *sim, uint8_t octets)
{
	struct moat_isakmp *sa = isakmp(sim, 0);
	uint8_t message[512], *hash;
	size_t len;
	int to;
	const uint8_t *sent = sim_datagram(sim, 4, &len, &to);

	assert_int_equal(to, 1);
	assert_true(len <= sizeof(message));
	memcpy(message, sent, len);
	sim_insider_crypt_5(sa, message, len, moat_cbc_decrypt);
	/* IDii, HASH_I; what follows becomes padding */
	assert_int_equal(message[MOAT_HDR_LEN], MOAT_P_HASH);
	hash = message + MOAT_HDR_LEN + message[MOAT_HDR_LEN + 3];
	hash[0] = MOAT_P_NONE;
	hash[3] = (uint8_t)(4 + octets);
	sim_insider_crypt_5(sa, message, len, moat_cbc_encrypt);
	sim_inject(sim, 1, message, len);
	sim_run(sim, 1000);
}

/* Message 5 with the bit that says "authenticated, not encrypted", which HASH covers not.
 */
static void auth_only(void **state)
{
	struct sim_options o = sim_plain();
	struct sim *sim = sim_new(&o);
	uint8_t message[512];
	const uint8_t *sent;
	size_t len;
	int to;

	(void)state;
	sim_run(sim, 100);
	sim_set_filter(sim, from_main_5);
	sim_up(sim, 0);
	sim_run(sim, 500);
	sent = sim_datagram(sim, 4, &len, &to);
	assert_int_equal(to, 1);
	assert_true(len <= sizeof(message));
	memcpy(message, sent, len);
	message[FLAGS_AT] |= MOAT_FLAG_AUTH_ONLY;
	sim_inject(sim, 1, message, len);
	sim_run(sim, 500);
	assert_int_equal(refused(sim, MOAT_REFUSE_FLAGS), 1);
	assert_int_equal(sim_logged(sim, 1, "ike-established"), 0);
	message[FLAGS_AT] &= (uint8_t)~MOAT_FLAG_AUTH_ONLY;
	sim_inject(sim, 1, message, len);
	sim_run(sim, 500);
	assert_int_equal(sim_logged(sim, 1, "ike-established"), 1);
	sim_free(sim);
}

/* The first octet of the right HASH is no proof: one in 256 guesses has it. */
static void short_hash(void **state)
{
	static const struct {
		uint8_t octets;
		unsigned int established;
	} cases[] = { { 1, 0 }, { 31, 0 }, { 32, 1 } };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sim_options o = sim_plain();
		struct sim *sim = sim_new(&o);

		sim_run(sim, 100);
		sim_set_filter(sim, from_main_5);
		sim_up(sim, 0);
		sim_run(sim, 500);
		hash_of(sim, cases[i].octets);
		assert_int_equal(sim_logged(sim, 1, "ike-auth-failed"),
				 !cases[i].established);
		assert_int_equal(sim_logged(sim, 1, "ike-established"),
				 cases[i].established);
		sim_free(sim);
	}
}

struct doubled {
	bool aggressive;
	unsigned int nth; /* message of the initiator's, from 1 */
	uint8_t type;
	const char *said;
};

static const struct doubled *doubling;

static bool doubled_one(int from, uint8_t exchange, unsigned int nth)
{
	(void)exchange;
	return from == 0 && nth == doubling->nth;
}

/* Its message of before, with the payload twice. */
static size_t twice(struct sim *sim, const uint8_t *sent, size_t len, uint8_t *message)
{
	struct moat_isakmp *sa = isakmp(sim, 0);
	bool encrypted = sent[FLAGS_AT] & MOAT_FLAG_ENCRYPTION;
	size_t block = encrypted ? moat_cipher_block(sa->alg.cipher) : 1;

	memcpy(message, sent, len);
	if (encrypted)
		sim_insider_crypt_5(sa, message, len, moat_cbc_decrypt);
	len = sim_insider_double(message, len, doubling->type);
	while ((len - MOAT_HDR_LEN) % block)
		message[len++] = 0;
	moat_set32(message + LENGTH_AT, (uint32_t)len);
	if (encrypted)
		sim_insider_crypt_5(sa, message, len, moat_cbc_encrypt);
	return len;
}

/* Refused with the words that fit; the right one, afterwards, is taken. */
static void try_doubled(void)
{
	struct sim_options o = sim_plain();
	uint8_t message[2048];
	const uint8_t *sent;
	struct sim *sim;
	size_t len;
	int to;

	o.aggressive = doubling->aggressive;
	sim = sim_start_lossy(&o, doubled_one);
	sent = sim_datagram(sim, 2 * (doubling->nth - 1), &len, &to);
	assert_int_equal(to, 1);
	assert_true(len <= sizeof(message) / 2);
	sim_inject(sim, 1, message, twice(sim, sent, len, message));
	assert_int_equal(refused(sim, MOAT_REFUSE_PAYLOAD_COUNT), 1);
	assert_non_null(strstr(sim_log_text(sim, 1, "ike-refused"), doubling->said));
	assert_int_equal(sim_logged(sim, 1, "ike-established"), 0);
	sim_inject(sim, 1, sent, len);
	sim_run(sim, 5000);
	sim_assert_established(sim, 1);
	sim_free(sim);
}

/* Of two only one could be looked at, and another reader might take the other. */
static void two_in_phase_1(void **state)
{
	static const struct doubled cases[] = {
		{ false, 1, MOAT_P_SA, "two SA payloads" },
		{ false, 2, MOAT_P_KE, "two KE payloads" },
		{ false, 2, MOAT_P_NONCE, "two NONCE payloads" },
		{ false, 3, MOAT_P_ID, "2 ID payloads, expected 1" },
		{ false, 3, MOAT_P_HASH, "two HASH payloads" },
		{ true, 1, MOAT_P_SA, "two SA payloads" },
		{ true, 1, MOAT_P_KE, "two KE payloads" },
		{ true, 1, MOAT_P_NONCE, "two NONCE payloads" },
		{ true, 1, MOAT_P_ID, "2 ID payloads, expected 1" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		doubling = &cases[i];
		try_doubled();
	}
}

/* The same in quick mode, where two IDs are right and three are not. */
static void two_in_quick(void **state)
{
	static const uint8_t types[] = { MOAT_P_SA, MOAT_P_HASH, MOAT_P_NONCE,
					 MOAT_P_ID };

	(void)state;
	for (size_t i = 0; i < sizeof(types); i++) {
		struct sim_options o = sim_plain();
		struct sim *sim = sim_start(&o);
		struct moat_isakmp *sa = isakmp(sim, 0);
		struct sim_quick_1 how = { .esp = &sa->tunnel->conf.esp };
		struct moat_ike1_out out;

		sim_insider_begin(&out, sa, MOAT_X_QUICK, 7);
		sim_insider_quick_1(sim, sa, &out.b, &how);
		moat_build_payload(&out.b, types[i], moat_blob_view(&sa->nonces[0]));
		sim_insider_send(sim, sa, &out, 7, false);
		sim_run(sim, 1000);
		assert_int_equal(refused(sim, MOAT_REFUSE_PAYLOAD_COUNT), 1);
		untouched(sim);
		sim_free(sim);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(right_one),
		cmocka_unit_test(other_protocol),
		cmocka_unit_test(two_protocols),
		cmocka_unit_test(refused_again),
		cmocka_unit_test(second_quick_1),
		cmocka_unit_test(never_message_3),
		cmocka_unit_test(quick_in_clear),
		cmocka_unit_test(group_and_ke),
		cmocka_unit_test(used_message_id),
		cmocka_unit_test(all_message_ids),
		cmocka_unit_test(contact_again),
		cmocka_unit_test(delete_of_another),
		cmocka_unit_test(values),
		cmocka_unit_test(questions),
		cmocka_unit_test(delete_of_anothers_esp),
		cmocka_unit_test(two_in_phase_1),
		cmocka_unit_test(two_in_quick),
		cmocka_unit_test(auth_only),
		cmocka_unit_test(short_hash),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
