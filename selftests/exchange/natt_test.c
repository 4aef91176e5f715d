// SPDX-License-Identifier: GPL-2.0-or-later
/* A NAT before one side or both: found, floated, kept alive, followed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "ike/saexplain.h"
#include "sim_case.h"
#include "sim_insider.h"
#include "wire/isakmp.h"

/* The vendor ids of RFC 3947, and of draft 03. */
static const uint8_t rfc[] = { 0x4a, 0x13, 0x1c, 0x81, 0x07, 0x03, 0x58, 0x45 };

static struct sim_options natted(bool initiator, bool responder)
{
	enum sim_nat a = initiator ? SIM_NAT_MASQUERADE : SIM_NAT_NONE;
	enum sim_nat b = responder ? SIM_NAT_FORWARD : SIM_NAT_NONE;

	return (struct sim_options){
		.seed = 1,
		.nets = 2,
		.psk = { "a secret", "a secret" },
		.nat = { a, b },
		.nat_t = { MOAT_NAT_T_AUTO, MOAT_NAT_T_AUTO },
		.verbose = getenv("SIM_VERBOSE") != NULL,
	};
}

/* Side 0 begins; then there is traffic both ways. */
static struct sim *start(const struct sim_options *o)
{
	struct sim *sim = sim_new(o);

	sim_run(sim, 100);
	sim_up(sim, 0);
	sim_run(sim, 4900);
	sim_traffic(sim, 500);
	return sim;
}

static void assert_knows(struct sim *sim, int side)
{
	struct moat_endpoint remote = sim_remote(sim, side);
	struct moat_endpoint public = sim_public(sim, !side);

	assert_int_equal(remote.port, public.port);
	assert_true(moat_addr_equal(&remote.addr, &public.addr));
	assert_int_equal(sim_encap(sim, side), public.port);
}

/* Main and aggressive mode, and a NAT before either side or both. */
static void found(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 8; i++) {
		struct sim_options o = natted(i & 1, i & 2);
		struct sim *sim;

		o.aggressive = i & 4;
		sim = start(&o);
		sim_run(sim, 65000);
		sim_assert_up(sim);
		if (!(i & 3)) {
			assert_int_equal(sim_remote(sim, 0).port, 500);
			assert_int_equal(sim_encap(sim, 0), 0);
			assert_int_equal(sim_logged(sim, 0, "nat-found"), 0);
		} else {
			assert_knows(sim, 0);
			assert_knows(sim, 1);
			assert_int_equal(sim_logged(sim, 0, "nat-found"), 1);
			assert_int_equal(sim_logged(sim, 1, "nat-found"), 1);
		}
		for (int side = 0; side < 2; side++) {
			if (o.nat[side])
				assert_in_range(sim_keepalives(sim, side), 2, 3);
			else
				assert_int_equal(sim_keepalives(sim, side), 0);
		}
		assert_int_equal(sim_packets_lost(sim), 0);
		sim_free(sim);
	}
}

/* Off is off on either side; force needs no NAT. */
static void as_configured(void **state)
{
	static const struct {
		enum moat_nat_t nat_t[2];
		bool udp;
	} rows[] = {
		{ { MOAT_NAT_T_OFF, MOAT_NAT_T_AUTO }, false },
		{ { MOAT_NAT_T_AUTO, MOAT_NAT_T_OFF }, false },
		{ { MOAT_NAT_T_FORCE, MOAT_NAT_T_AUTO }, true },
		{ { MOAT_NAT_T_AUTO, MOAT_NAT_T_FORCE }, true },
		{ { MOAT_NAT_T_FORCE, MOAT_NAT_T_OFF }, false },
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sim_options o = natted(false, false);
		struct sim *sim;

		memcpy(o.nat_t, rows[i].nat_t, sizeof(o.nat_t));
		sim = start(&o);
		sim_run(sim, 10000);
		sim_assert_up(sim);
		for (int side = 0; side < 2; side++) {
			assert_int_equal(sim_encap(sim, side), rows[i].udp ? 4500 : 0);
			assert_int_equal(sim_remote(sim, side).port,
					 rows[i].udp ? 4500 : 500);
		}
		sim_free(sim);
	}
}

/* A peer that knows the drafts only: their vendor ids, payloads and modes. */
static void draft(void **state)
{
	struct sim_options o = natted(true, false);
	struct sim *sim = sim_new(&o);

	(void)state;
	sim_spoil(sim, rfc, sizeof(rfc));
	sim_up(sim, 0);
	sim_run(sim, 10000);
	sim_assert_up(sim);
	assert_knows(sim, 1);
	assert_non_null(strstr(sim_log_text(sim, 0, "nat-found"), "draft 03"));
	assert_non_null(strstr(sim_ladder(sim, 0), "NAT-D"));
	sim_free(sim);
}

static bool first_main_1(int from, uint8_t exchange, unsigned int nth)
{
	return from == 0 && exchange == MOAT_X_MAIN && nth == 1;
}

/* Which of the payloads of a message in clear are of this type. */
static unsigned int payloads(const struct sim *sim, int to, unsigned int nth,
			     uint8_t type)
{
	unsigned int count = 0, seen = 0, i = 0;
	const uint8_t *data;
	size_t len = 0, at;
	int whom;

	for (; (data = sim_datagram(sim, i, &len, &whom)); i++) {
		seen += whom == to && data[18] == MOAT_X_MAIN;
		if (seen == nth)
			break;
	}
	assert_non_null(data);
	at = 28;
	for (uint8_t next = data[16]; next && at + 4 <= len;
	     at += moat_get16(data + at + 2)) {
		count += next == type;
		next = data[at];
	}
	return count;
}

/*
 * Each draft that peers still speak, by a message 1 that names none that is newer:
 * the numbers of its payloads and modes are private ones, and IKE floats as well.
 */
static void each_draft(void **state)
{
	/* MD5 of "RFC 3947" and of the drafts' names, the newest first. */
	static const struct {
		uint8_t id[16];
		const char *name;
	} dialects[] = {
		{ { 0x4a, 0x13, 0x1c, 0x81, 0x07, 0x03, 0x58, 0x45, 0x5c, 0x57, 0x28,
		    0xf2, 0x0e, 0x95, 0x45, 0x2f },
		  "RFC 3947" },
		{ { 0x7d, 0x94, 0x19, 0xa6, 0x53, 0x10, 0xca, 0x6f, 0x2c, 0x17, 0x9d,
		    0x92, 0x15, 0x52, 0x9d, 0x56 },
		  "(draft 03)" },
		{ { 0x90, 0xcb, 0x80, 0x91, 0x3e, 0xbb, 0x69, 0x6e, 0x08, 0x63, 0x81,
		    0xb5, 0xec, 0x42, 0x7b, 0x1f },
		  "(draft 02, with a newline)" },
		{ { 0xcd, 0x60, 0x46, 0x43, 0x35, 0xdf, 0x21, 0xf8, 0x7c, 0xfd, 0xb2,
		    0xfc, 0x68, 0xb6, 0xa4, 0x48 },
		  "(draft 02)" },
	};

	(void)state;
	for (unsigned int newest = 0; newest < 4; newest++) {
		struct sim_options o = natted(false, false);
		struct sim *sim;
		uint8_t message[2048];
		const uint8_t *first;
		size_t len;
		int to;

		o.nat_t[newest % 2] = MOAT_NAT_T_FORCE;
		o.nets = 1;
		o.transport = newest < 3;
		sim = sim_new(&o);
		sim_set_filter(sim, first_main_1);
		sim_run(sim, 100);
		sim_up(sim, 0);
		first = sim_datagram(sim, 0, &len, &to);
		assert_true(len <= sizeof(message));
		memcpy(message, first, len);
		for (unsigned int i = 0; i < newest; i++) {
			uint8_t *at = memmem(message, len, dialects[i].id, 16);

			assert_non_null(at);
			at[5]++;
		}
		sim_inject(sim, 1, message, len);
		sim_run(sim, 900);
		sim_assert_up(sim);
		for (int side = 0; side < 2; side++) {
			assert_non_null(strstr(sim_log_text(sim, side, "nat-found"),
					       dialects[newest].name));
			assert_int_equal(sim_remote(sim, side).port, 4500);
			assert_int_equal(sim_encap(sim, side), 4500);
			/* Message 3 or 4: what the peer of this dialect looks for. */
			assert_int_equal(payloads(sim, side, 2, 20), newest ? 0 : 2);
			assert_int_equal(payloads(sim, side, 2, 130), newest ? 2 : 0);
		}
		assert_true(!!strstr(sim_ladder(sim, 0), "NAT-OA") == (newest < 3));
		sim_free(sim);
	}
}

/* What the drafts called the modes, and what RFC 3947 section 5.1 does. */
static void modes(void **state)
{
	struct moat_sa_want want = { .mode = MOAT_MODE_TUNNEL, .udp = true };

	(void)state;
	assert_int_equal(moat_sa_encap(&want), 3);
	want.draft = true;
	assert_int_equal(moat_sa_encap(&want), 61443);
	want.mode = MOAT_MODE_TRANSPORT;
	assert_int_equal(moat_sa_encap(&want), 61444);
	want.draft = false;
	assert_int_equal(moat_sa_encap(&want), 4);
	/* Payloads 130 and 131 stand for NAT-D and NAT-OA. */
	assert_int_equal(MOAT_P_NAT_OA, 21);
	assert_int_equal(MOAT_P_NAT_OA_DRAFT, 131);
}

/* AH cannot pass: the operator hears it, and nothing is asked of the peer. */
static void no_ah(void **state)
{
	struct sim_options o = natted(true, false);
	struct sim *sim;

	(void)state;
	o.ah = "sha256";
	sim = start(&o);
	assert_int_equal(sim_sent(sim, 0, MOAT_X_QUICK), 0);
	assert_int_equal(sim_done(sim, 0), 0);
	assert_non_null(strstr(sim_log_text(sim, 0, "quick-failed"), "ESP alone"));
	sim_free(sim);
}

/* Address and ports change under the SAs: all of them follow, nothing else. */
static void rebound(void **state)
{
	(void)state;
	for (int who = 0; who < 2; who++) {
		struct sim_options o = natted(who == 0, who == 1);
		struct sim *sim = start(&o);
		unsigned long lost;

		sim_run(sim, 10000);
		sim_assert_up(sim);
		for (int times = 0; times < 3; times++) {
			sim_rebind(sim, who);
			sim_run(sim, 3000);
			assert_knows(sim, !who);
			lost = sim_packets_lost(sim);
			sim_run(sim, 20000);
			assert_int_equal(sim_packets_lost(sim), lost);
			sim_assert_up(sim);
		}
		assert_int_equal(sim_logged(sim, !who, "nat-moved"), 3);
		sim_free(sim);
	}
}

/* Both phases are rekeyed by whoever is first, NAT or not, and nothing is lost. */
static void rekeyed(void **state)
{
	(void)state;
	for (unsigned int i = 1; i < 4; i++) {
		struct sim_options o = natted(i & 1, i & 2);
		struct sim *sim;

		o.ike_lifetime = 300;
		o.lifetime = 120;
		sim = start(&o);
		sim_run(sim, 1000000);
		sim_assert_up(sim);
		assert_in_range(sim_rekeys(sim, 0), 10, 100);
		assert_int_equal(sim_packets_lost(sim), 0);
		assert_in_range(sim_logged(sim, 0, "ike-established"), 3, 12);
		sim_free(sim);
	}
}

/* What was sent before comes from another port again: no word is believed. */
static void not_fooled(void **state)
{
	struct sim_options o = natted(true, false);
	struct sim *sim = start(&o);
	struct moat_endpoint before;
	const uint8_t *data;
	size_t len;
	int to;

	(void)state;
	sim_run(sim, 10000);
	before = sim_remote(sim, 1);
	for (unsigned int i = 0; (data = sim_datagram(sim, i, &len, &to)); i++) {
		uint8_t copy[4096];

		if (to != 1 || len > sizeof(copy))
			continue;
		sim_inject_at(sim, 1, 7777, data, len);
		memcpy(copy, data, len);
		copy[len - 1] ^= 1;
		sim_inject_at(sim, 1, 7777, copy, len);
		memcpy(copy, data, len);
		copy[20] ^= 1; /* another message id */
		sim_inject_at(sim, 1, 7777, copy, len);
	}
	assert_true(sim_remote(sim, 1).port == before.port);
	assert_int_equal(sim_logged(sim, 1, "nat-moved"), 0);
	sim_run(sim, 10000);
	sim_assert_up(sim);
	sim_free(sim);
}

/* Whoever has seen message 3 could draw main mode to where it is: but it is in clear. */
static void not_drawn_away(void **state)
{
	struct sim_options o = natted(true, false);
	struct sim *sim = sim_new(&o);
	const uint8_t *data = NULL;
	unsigned int sent = 0;
	size_t len = 0;
	int to = 0;

	(void)state;
	sim_run(sim, 100);
	sim_set_filter(sim, sim_lose_main_3);
	sim_up(sim, 0);
	while (sim_sent(sim, 0, MOAT_X_MAIN) < 2)
		sim_run(sim, 1);
	for (unsigned int i = 0; sent < 2; i++) {
		data = sim_datagram(sim, i, &len, &to);
		assert_non_null(data);
		sent += to == 1;
	}
	sim_inject_at(sim, 1, 60001, data, len);
	sim_run(sim, 200);
	assert_non_null(strstr(sim_log_text(sim, 1, "ike-refused"),
			       "a message in clear from another address or port"));
	assert_int_equal(sim_sent(sim, 1, MOAT_X_MAIN), 1);
	assert_int_not_equal(sim_remote(sim, 1).port, 60001);
	sim_run(sim, 5000);
	sim_assert_up(sim);
	sim_free(sim);
}

/* Who announces NAT traversal and then has one NAT-D only cannot do it: none is used. */
static void one_discovery(void **state)
{
	struct sim_options o = natted(false, false);
	struct sim *sim = sim_start_lossy(&o, sim_lose_main_3);
	const struct moat_payload *p;
	struct moat_message msg;
	uint8_t message[2048];
	unsigned int found = 0;
	struct moat_hdr hdr;
	struct moat_build b;
	const uint8_t *sent;
	size_t len;
	int to;

	(void)state;
	sent = sim_datagram(sim, 2, &len, &to);
	assert_int_equal(to, 1);
	assert_int_equal(moat_hdr_parse(moat_view(sent, len), &hdr, NULL), 0);
	sim_payloads(sent, len, false, &msg);
	moat_build_start(&b, message, sizeof(message), &hdr);
	moat_payload_for_each(p, &msg) {
		if (p->type != MOAT_P_NAT_D || !found++)
			moat_build_payload(&b, p->type, p->body);
	}
	assert_int_equal(found, 2);
	sim_inject(sim, 1, message, moat_build_finish(&b));
	sim_run(sim, 300);
	sim_assert_up(sim);
	for (int side = 0; side < 2; side++) {
		assert_int_equal(sim_logged(sim, side, "nat-found"), 0);
		assert_int_equal(sim_remote(sim, side).port, 500);
		assert_int_equal(sim_encap(sim, side), 0);
	}
	sim_free(sim);
}

/* Both began, so there are two ISAKMP SAs: one of them keeps the NAT's mapping. */
static void two_isakmps(void **state)
{
	struct sim_options o = natted(false, true);
	struct sim *sim = sim_new(&o);

	(void)state;
	sim_run(sim, 100);
	sim_up(sim, 0);
	sim_up(sim, 1);
	sim_run(sim, 5000);
	sim_assert_up(sim);
	assert_int_equal(sim_isakmps(sim, 1), 2);
	assert_int_equal(sim_keepalives(sim, 1), 0);
	sim_run(sim, 60000);
	assert_int_equal(sim_isakmps(sim, 1), 2);
	assert_int_equal(sim_keepalives(sim, 1), 3);
	sim_free(sim);
}

static bool first_message_6(int from, uint8_t exchange, unsigned int nth)
{
	return from == 1 && exchange == MOAT_X_MAIN && nth == 3;
}

/* A notification in clear from elsewhere is not the peer's: it ends no attempt. */
static void not_told_from_elsewhere(void **state)
{
	struct sim_options o = natted(true, false);
	struct sim *sim = sim_start_lossy(&o, first_message_6);
	struct moat_ike1_out out;

	(void)state;
	assert_int_equal(sim_sent(sim, 1, MOAT_X_MAIN), 3);
	moat_ike1_begin(&out, TAILQ_FIRST(&sim_core(sim, 0)->isakmps),
			MOAT_X_INFORMATIONAL, 1, false);
	moat_build_notify(&out.b, MOAT_PROTO_ISAKMP, MOAT_N_NO_PROPOSAL_CHOSEN,
			  moat_view(NULL, 0), moat_view(NULL, 0));
	sim_inject_at(sim, 0, 7777, out.buf, moat_build_finish(&out.b));
	assert_int_equal(sim_logged(sim, 0, "ike-no-proposal"), 0);
	sim_run(sim, 5000);
	sim_assert_up(sim);
	sim_free(sim);
}

static void transport(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 8; i++) {
		struct sim_options o = natted(i & 1, i & 2);
		struct sim *sim;

		o.nets = 1;
		o.transport = true;
		o.lifetime = 120;
		o.traffic = 1000;
		sim = sim_new(&o);
		sim_run(sim, 100);
		sim_up(sim, 0);
		sim_run(sim, 10000);
		sim_assert_up(sim);
		assert_true(!(i & 3) == !strstr(sim_ladder(sim, 0), "NAT-OA"));
		/* rekeys, begun by either side */
		sim_run(sim, 1000000);
		sim_assert_up(sim);
		assert_in_range(sim_rekeys(sim, 0), 8, 100);
		sim_free(sim);
	}
}

/* With loss and all the rest; each seed ends with the tunnel up. */
static void bad_networks(void **state)
{
	(void)state;
	for (unsigned int seed = 1; seed <= 60; seed++) {
		struct sim_options o = natted(seed & 1, !(seed & 1) || seed & 2);
		struct sim *sim;

		o.seed = seed;
		o.loss = 20;
		o.duplicate = 10;
		o.reorder = 10;
		o.aggressive = seed & 4;
		sim = start(&o);
		sim_run(sim, 120000);
		sim_network(sim, 0, 0, 0);
		sim_run(sim, 200000);
		sim_assert_up(sim);
		sim_free(sim);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(found),
		cmocka_unit_test(as_configured),
		cmocka_unit_test(draft),
		cmocka_unit_test(each_draft),
		cmocka_unit_test(modes),
		cmocka_unit_test(no_ah),
		cmocka_unit_test(rebound),
		cmocka_unit_test(rekeyed),
		cmocka_unit_test(not_fooled),
		cmocka_unit_test(transport),
		cmocka_unit_test(bad_networks),
		cmocka_unit_test(not_drawn_away),
		cmocka_unit_test(not_told_from_elsewhere),
		cmocka_unit_test(one_discovery),
		cmocka_unit_test(two_isakmps),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
