// SPDX-License-Identifier: GPL-2.0-or-later
/* What can be negotiated beside the plain case, and what operators ask for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "sim_case.h"
#include "sim_insider.h"
#include "sim_internal.h"

/* Three messages for six; HASH_R is checked before anything is sent on it. */
static void clean_aggressive(void **state)
{
	struct sim_options o = sim_plain();
	struct moat_isakmp_view view;
	struct sim *sim;

	(void)state;
	o.aggressive = true;
	sim = sim_start(&o);
	assert_int_equal(sim_done(sim, 0), 1);
	sim_assert_established(sim, 1);
	assert_int_equal(sim_sent(sim, 0, MOAT_X_AGGRESSIVE), 2);
	assert_int_equal(sim_sent(sim, 1, MOAT_X_AGGRESSIVE), 1);
	assert_int_equal(sim_sent(sim, 0, MOAT_X_MAIN), 0);
	assert_string_equal(
		sim_ladder(sim, 0),
		"sent aggressive 1 (HDR, SA, KE, NONCE, ID, VID, VID, VID): AG_NO_STATE -> AG_NO_STATE\n"
		"received aggressive 2 (HDR, SA, KE, NONCE, ID, HASH, VID, VID, VID): AG_NO_STATE -> "
		"AG_INIT_EXCH\n"
		"AG_INIT_EXCH -> AG_AUTH\n"
		"sent aggressive 3 (HDR*, HASH, NOTIFY): AG_AUTH -> AG_AUTH\n"
		"AG_AUTH -> QM_IDLE\n"
		"sent quick 1 (HDR*, HASH, SA, NONCE, ID, ID): QM_IDLE -> QM_IDLE\n"
		"received quick 2 (HDR*, HASH, SA, NONCE, ID, ID): QM_IDLE -> QM_IDLE\n"
		"sa-add\n"
		"sent quick 3 (HDR*, HASH): QM_IDLE -> QM_IDLE\n"
		"policy-switch\n");
	assert_string_equal(
		sim_ladder(sim, 1),
		"received aggressive 1 (HDR, SA, KE, NONCE, ID, VID, VID, VID): AG_NO_STATE -> "
		"AG_NO_STATE\n"
		"sent aggressive 2 (HDR, SA, KE, NONCE, ID, HASH, VID, VID, VID): AG_NO_STATE -> "
		"AG_INIT_EXCH\n"
		"received aggressive 3 (HDR*, HASH, NOTIFY): AG_INIT_EXCH -> AG_AUTH\n"
		"AG_AUTH -> QM_IDLE\n"
		"received quick 1 (HDR*, HASH, SA, NONCE, ID, ID): QM_IDLE -> QM_IDLE\n"
		"sa-add\n"
		"sent quick 2 (HDR*, HASH, SA, NONCE, ID, ID): QM_IDLE -> QM_IDLE\n"
		"received quick 3 (HDR*, HASH): QM_IDLE -> QM_IDLE\n"
		"policy-switch\n");
	assert_true(moat_ike_isakmp(sim_core(sim, 1), 0, &view));
	assert_string_equal(view.exchange, "aggressive");
	assert_int_equal(view.sent, 1);
	assert_int_equal(view.received, 2);
	sim_free(sim);
}

/* What the proposals of quick mode can hold beside ESP in tunnel mode. */
static void protocols(void **state)
{
	static const struct {
		const char *ah;
		const char *esp;
		unsigned int sas;
	} cases[] = {
		{ "sha256", NULL, 1 },
		{ "sha1-ecp256", NULL, 1 },
		{ "sha256-ecp256", "aes128-sha1-ecp256", 2 },
		{ NULL, "aes256gcm16-esn", 1 },
		{ NULL, "3des-md5", 1 },
		{ NULL, "null-sha512-ecp256", 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sim_options o = sim_plain();
		struct sim *sim;

		o.ah = cases[i].ah;
		o.esp[0] = o.esp[1] = cases[i].esp;
		sim = sim_start(&o);
		sim_assert_established(sim, cases[i].sas);
		/* The kernel deletes a bundle as one. */
		sim_down(sim, 0);
		sim_run(sim, 2000);
		sim_assert_nothing(sim, 0);
		sim_free(sim);
	}
}

/* An ID holds one port or none; a range is each side's own business. */
static void ports(void **state)
{
	struct sim_options o = sim_plain();
	struct moat_pair_view pair;
	struct sim *sim;

	(void)state;
	o.protocol = 6;
	o.ports[0][0] = o.ports[0][1] = 443;
	o.ports[1][0] = 1024;
	o.ports[1][1] = 65535;
	sim = sim_start(&o);
	sim_assert_established(sim, 1);
	assert_true(moat_ike_pair(sim_core(sim, 1), 0, 0, &pair));
	assert_int_equal(pair.selector.protocol, 6);
	assert_int_equal(pair.selector.local_port[0], 1024);
	assert_int_equal(pair.selector.remote_port[1], 443);
	sim_free(sim);
}

/* Ranges that are no subnet, with a protocol and a port, asked for by either side. */
static void ranges(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 4; i++) {
		struct sim_options o = sim_plain();
		int first = (int)(i / 2);
		struct sim *sim;

		o.v6 = i % 2;
		o.ranges = true;
		o.protocol = 17;
		o.ports[0][0] = o.ports[0][1] = 53;
		o.ports[1][1] = 65535;
		sim = sim_new(&o);
		sim_run(sim, 100);
		sim_up(sim, first);
		sim_run(sim, 5000);
		assert_int_equal(sim_done(sim, first), 1);
		/* sim_agree() compares the selectors of both sides' SAs. */
		sim_assert_established(sim, 1);
		for (int side = 0; side < 2; side++) {
			struct moat_pair_view pair;
			const struct moat_selector *s = &pair.selector;
			unsigned int last = o.v6 ? 15 : 3;

			assert_true(moat_ike_pair(sim_core(sim, side), 0, 0, &pair));
			assert_int_equal(s->protocol, 17);
			assert_int_equal(s->local.first.bytes[last], 10);
			assert_int_equal(s->remote.last.bytes[last], 99);
			assert_int_equal((side ? s->remote_port : s->local_port)[0], 53);
			assert_int_equal((side ? s->remote_port : s->local_port)[1], 53);
		}
		sim_free(sim);
	}
}

static void narrowed_at(bool local)
{
	struct sim_options o = sim_plain();
	const char *other = local ? "local-net: offered" : "remote-net: offered";
	const char *wider = local ? "remote-net: offered" : "local-net: offered";
	struct sim *sim;

	o.narrow = true;
	o.narrow_local = local;
	sim = sim_start(&o);
	/* sim_agree() compares the selectors of both sides' SAs. */
	sim_assert_established(sim, 1);
	sim_free(sim);
	/* The wider one asks: nobody may widen what is configured. */
	sim = sim_new(&o);
	sim_run(sim, 100);
	sim_up(sim, 1);
	sim_run(sim, 5000);
	assert_int_equal(sim_done(sim, 1), 0);
	assert_non_null(strstr(sim_log_text(sim, 0, "quick-no-pair"), wider));
	/* What equals is not to blame. */
	assert_null(strstr(sim_log_text(sim, 0, "quick-no-pair"), other));
	sim_assert_nothing(sim, 0);
	/* With what is configured everywhere else, it may narrow: half of it is too wide.
	 */
	sim_tunnel_conf(sim, 0)->narrow = true;
	sim_up(sim, 1);
	sim_run(sim, 5000);
	assert_int_equal(sim_done(sim, 1), 0);
	sim_assert_nothing(sim, 0);
	sim_free(sim);
}

/* Two parts of one network: the first one has it, and nothing is replaced in turns. */
static void two_parts(void **state)
{
	struct sim_options o = sim_plain();
	struct sim *sim;

	(void)state;
	o.nets = 2;
	o.narrow = true;
	sim = sim_start(&o);
	assert_true(sim_logged(sim, 1, "quick-no-pair") >= 1);
	assert_non_null(strstr(sim_log_text(sim, 1, "quick-no-pair"),
			       "one part of a pair of networks"));
	assert_int_equal(sim_count(sim, 1, MOAT_DIRECTION_OUT), 2);
	sim_run(sim, 200000);
	assert_int_equal(sim_rekeys(sim, 1), 0);
	assert_int_equal(sim_count(sim, 1, MOAT_DIRECTION_OUT), 2);
	sim_free(sim);
}

/* Who has narrowed them replaces them as they are, also as another daemon. */
static void narrow_rekeys(void **state)
{
	(void)state;
	for (int restart = 0; restart < 2; restart++) {
		struct sim_options o = sim_plain();
		struct sim *sim;

		o.narrow = true;
		sim = sim_start(&o);
		if (restart)
			sim_restart(sim, 1);
		else
			sim_control(sim, 1, MOAT_EV_REKEY);
		sim_run(sim, 30000);
		assert_int_equal(sim_logged(sim, 0, "quick-no-pair"), 0);
		assert_in_range(sim_logged(sim, 1, "ipsec-established"), 2 - restart, 2);
		assert_string_equal(sim_state(sim, 1), "up");
		sim_free(sim);
	}
}

/* A responder with wider networks takes the narrower ones, if it may. */
static void narrowed(void **state)
{
	(void)state;
	narrowed_at(false);
	narrowed_at(true);
}

/* The shorter lifetime wins on both sides: the responder says that it has one. */
static void shorter_lifetime(void **state)
{
	struct sim_options o = sim_plain();

	(void)state;
	o.shorter = 600;
	for (int first = 0; first < 2; first++) {
		struct sim *sim = sim_new(&o);

		sim_run(sim, 100);
		sim_up(sim, first);
		sim_run(sim, 5000);
		/* sim_agree() compares the lifetimes of both sides. */
		sim_assert_established(sim, 1);
		for (int side = 0; side < 2; side++) {
			struct moat_pair_view pair;

			assert_true(moat_ike_pair(sim_core(sim, side), 0, 0, &pair));
			assert_int_equal(pair.expires - pair.established, 600 * 1000);
		}
		assert_int_equal(
			!!strstr(sim_ladder(sim, first),
				 "quick 2 (HDR*, HASH, SA, NONCE, ID, ID, NOTIFY)"),
			first == 0);
		sim_free(sim);
	}
}

/* The same with kilobytes, which may be on one side alone. */
static void shorter_volume(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		struct sim_options o = sim_plain();
		int first = i % 2;
		struct sim *sim;

		o.lifebytes = i < 2 ? 0 : 9 << 20;
		o.shorter_bytes = 1 << 20;
		sim = sim_new(&o);
		sim_run(sim, 100);
		sim_up(sim, first);
		sim_run(sim, 5000);
		sim_assert_established(sim, 1);
		/* What the sender may send shall arrive, however each side counts. */
		for (int side = 0; side < 2; side++) {
			assert_int_equal(sim_hard_bytes(sim, side, MOAT_DIRECTION_OUT),
					 1 << 20);
			assert_int_equal(sim_hard_bytes(sim, side, MOAT_DIRECTION_IN),
					 5 << 18);
		}
		assert_int_equal(
			!!strstr(sim_ladder(sim, first),
				 "quick 2 (HDR*, HASH, SA, NONCE, ID, ID, NOTIFY)"),
			first == 0);
		sim_free(sim);
	}
}

/*
 * And with that of the ISAKMP SA, in either exchange: it is the answer to the offer,
 * which repeats what was offered, that cannot say so.
 */
static void shorter_isakmp(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		struct sim_options o = sim_plain();
		int first = i % 2;
		struct sim *sim;

		o.shorter_ike = 600;
		o.aggressive = i / 2;
		sim = sim_new(&o);
		sim_run(sim, 100);
		sim_up(sim, first);
		sim_run(sim, 5000);
		sim_assert_established(sim, 1);
		for (int side = 0; side < 2; side++) {
			struct moat_isakmp_view view;

			assert_true(moat_ike_isakmp(sim_core(sim, side), 0, &view));
			assert_int_equal(view.expires - view.established, 600 * 1000);
		}
		/* Who offered the shorter one need not be told. */
		assert_int_equal(sim_logged(sim, first, "ike-lifetime"), first == 0);
		assert_int_equal(sim_logged(sim, !first, "ike-lifetime"), 0);
		/* It is replaced in that time, by who began. */
		sim_traffic(sim, 1000);
		sim_run(sim, 570 * 1000);
		assert_true(sim_logged(sim, first, "ike-rekey") >= 1);
		sim_run(sim, 40 * 1000);
		sim_assert_established(sim, 1);
		assert_int_equal(sim_packets_lost(sim), 0);
		sim_free(sim);
	}
}

/*
 * RESPONDER-LIFETIME shortens the life of its own ISAKMP SA, and does nothing else; to
 * its responder, when side 0 has begun, nobody says it.
 */
static void lifetimes(void **state)
{
	static const struct {
		uint32_t seconds;
		uint8_t other; /* bits in which the SPI differs */
		uint32_t life;
		int begins;
	} cases[] = {
		{ 600, 0, 600, 1 },
		{ 600, 1, 28800, 1 },
		{ 100000, 0, 28800, 1 },
		{ 600, 0, 28800, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sim_options o = sim_plain();
		struct sim *sim = sim_new(&o);
		struct moat_isakmp_view view;
		struct moat_isakmp *sa;
		struct moat_ike1_out out;
		uint32_t life;

		sim_run(sim, 100);
		sim_up(sim, cases[i].begins);
		sim_run(sim, 5000);
		sa = TAILQ_FIRST(&sim_core(sim, 0)->isakmps);
		life = sa->life;
		sim_insider_begin(&out, sa, MOAT_X_INFORMATIONAL, 7);
		sa->life = cases[i].seconds;
		sa->cky.r[0] ^= cases[i].other;
		moat_life_put(sa, &out.b);
		sa->cky.r[0] ^= cases[i].other;
		sa->life = life;
		sim_insider_send(sim, sa, &out, 7, false);
		assert_true(moat_ike_isakmp(sim_core(sim, 1), 0, &view));
		assert_int_equal(view.expires - view.established, cases[i].life * 1000);
		sim_free(sim);
	}
}

/* Two tunnels of one peer share its ISAKMP SA, and both say so. */
static void shared_isakmp(void **state)
{
	struct sim_options o = sim_plain();
	struct sim *sim;

	(void)state;
	o.nets = 2;
	o.split = true;
	sim = sim_start(&o);
	assert_int_equal(sim_isakmps(sim, 0), 1);
	assert_true(moat_ike_serves(sim_core(sim, 0), 0, 0));
	assert_true(moat_ike_serves(sim_core(sim, 0), 0, 1));
	assert_false(moat_ike_serves(sim_core(sim, 0), 1, 0));
	assert_false(moat_ike_serves(sim_core(sim, 0), 0, 2));
	sim_free(sim);
}

/* All SAs go, on both sides; unlike after down, traffic builds new ones. */
static void clear(void **state)
{
	struct sim_options o = sim_plain();
	struct sim *sim = sim_start(&o);

	(void)state;
	sim_clear(sim, 0);
	assert_int_equal(sim_done(sim, 0), 1);
	assert_string_equal(sim_state(sim, 0), "waiting");
	sim_run(sim, 2000);
	sim_assert_nothing(sim, 0);
	sim_acquire(sim, 0, 0);
	sim_run(sim, 5000);
	assert_string_equal(sim_state(sim, 0), "up");
	/* What is down stays down. */
	sim_down(sim, 0);
	sim_clear(sim, 0);
	assert_string_equal(sim_state(sim, 0), "down");
	sim_acquire(sim, 0, 0);
	sim_run(sim, 5000);
	sim_assert_nothing(sim, 0);
	sim_free(sim);
}

/* Keys leave the core only while an operator wants them. */
static void keylog(void **state)
{
	struct sim_options o = sim_plain();
	struct sim *sim = sim_start(&o);

	(void)state;
	assert_int_equal(sim_keys_named(sim, 0), 0);
	sim_keylog(sim, 0, true);
	assert_int_equal(sim_keys_named(sim, 0), 1);
	sim_keylog(sim, 0, true);
	assert_int_equal(sim_keys_named(sim, 0), 1);
	sim_clear(sim, 0);
	sim_up(sim, 0);
	sim_run(sim, 5000);
	assert_int_equal(sim_keys_named(sim, 0), 2);
	sim_keylog(sim, 0, false);
	sim_clear(sim, 0);
	sim_up(sim, 0);
	sim_run(sim, 5000);
	assert_int_equal(sim_keys_named(sim, 0), 2);
	assert_int_equal(sim_keys_named(sim, 1), 0);
	sim_free(sim);
}

/*
 * In aggressive mode the initiator is the first to find out, and tells; message
 * 1 of a stranger is refused before anything is computed.
 */
static void wrong_aggressive(void **state)
{
	struct sim_options o = sim_plain();
	struct sim *sim;

	(void)state;
	o.aggressive = true;
	o.psk[1] = "another secret";
	sim = sim_start(&o);
	assert_int_equal(sim_done(sim, 0), 0);
	assert_int_equal(sim_logged(sim, 0, "ike-auth-failed"), 1);
	assert_non_null(
		strstr(sim_log_text(sim, 0, "ike-auth-failed"), "pre-shared keys"));
	assert_int_equal(sim_logged(sim, 1, "ike-notify"), 1);
	assert_non_null(strstr(sim_log_text(sim, 1, "ike-notify"), "pre-shared keys"));
	assert_int_equal(sim_sent(sim, 0, MOAT_X_QUICK), 0);
	sim_assert_nothing(sim, 0);
	sim_assert_nothing(sim, 1);
	sim_free(sim);

	o = sim_plain();
	o.aggressive = true;
	o.id[0] = "impostor.example";
	sim = sim_start(&o);
	assert_int_equal(sim_done(sim, 0), 0);
	assert_int_equal(sim_sent(sim, 1, MOAT_X_AGGRESSIVE), 0);
	assert_non_null(
		strstr(sim_log_text(sim, 1, "ike-auth-failed"), "impostor.example"));
	assert_non_null(strstr(sim_log_text(sim, 0, "ike-notify"), "local-id"));
	assert_int_equal(sim_isakmps(sim, 1), 0);
	sim_free(sim);
}

static bool aggressive_3(int from, uint8_t exchange, unsigned int nth)
{
	return from == 0 && exchange == MOAT_X_AGGRESSIVE && nth == 2;
}

/* Nobody answers message 3; who sent it repeats it, and the rest goes on. */
static void lost_aggressive_3(void **state)
{
	struct sim_options o = sim_plain();
	struct sim *sim;

	(void)state;
	o.aggressive = true;
	sim = sim_new(&o);
	sim_set_filter(sim, aggressive_3);
	sim_run(sim, 100);
	sim_up(sim, 0);
	sim_run(sim, 10000);
	assert_int_equal(sim_done(sim, 0), 1);
	sim_assert_established(sim, 1);
	/* Once or twice more, and not again after the peer was heard. */
	assert_in_range(sim_sent(sim, 0, MOAT_X_AGGRESSIVE), 3, 4);
	sim_run(sim, 60000);
	assert_in_range(sim_sent(sim, 0, MOAT_X_AGGRESSIVE), 3, 4);
	assert_int_equal(sim_sent(sim, 1, MOAT_X_AGGRESSIVE), 1);
	sim_free(sim);
}

/* Message 1 of quick mode that offers a life in kilobytes of 8 octets. */
static void offer_kilobytes(struct sim *sim, uint64_t kilobytes)
{
	static const uint8_t attributes[] = {
		0x80, 4, 0, 1,			      /* tunnel mode */
		0x80, 6, 0, 128,		      /* octets of the key */
		0x80, 1, 0, 1,	 0x80, 2, 0x0e, 0x10, /* 3600 s */
		0x80, 1, 0, 2,	 0,    2, 0,	8,    /* kilobytes follow */
	};
	struct moat_isakmp *sa = TAILQ_FIRST(&sim_core(sim, 0)->isakmps);
	const struct moat_selector *s = &sa->tunnel->pairs[0].selector;
	static const uint8_t spi[4] = { 0x12, 0x34, 0x56, 0x78 };
	struct moat_blob id[2] = { { 0 } };
	struct moat_ike1_out out;
	uint8_t octets[8];

	moat_set32(octets, (uint32_t)(kilobytes >> 32));
	moat_set32(octets + 4, (uint32_t)kilobytes);
	sim_insider_begin(&out, sa, MOAT_X_QUICK, 7);
	moat_build_sa(&out.b);
	moat_build_proposal(&out.b, 1, MOAT_PROTO_ESP, moat_view(spi, sizeof(spi)), 1);
	moat_build_transform(&out.b, 1, 20 /* AES-GCM-16 */);
	moat_build_octets(&out.b, moat_view(attributes, sizeof(attributes)));
	moat_build_octets(&out.b, moat_view(octets, sizeof(octets)));
	for (int i = 0; i < 3; i++)
		moat_build_close(&out.b);
	/* Any 32 octets are a nonce. */
	moat_build_payload(&out.b, MOAT_P_NONCE, moat_view(out.buf, 32));
	moat_quick_id_build(&s->local, 0, 0, &id[0]);
	moat_quick_id_build(&s->remote, 0, 0, &id[1]);
	for (int i = 0; i < 2; i++) {
		moat_build_payload(&out.b, MOAT_P_ID, moat_blob_view(&id[i]));
		moat_blob_clear(&id[i]);
	}
	sim_insider_send(sim, sa, &out, 7, false);
}

/* More kilobytes than can be counted in octets are not few. */
static void many_kilobytes(void **state)
{
	static const uint64_t cases[] = { (1ull << 54) + 1, (1ull << 54) - 1,
					  UINT64_MAX };
	const uint64_t many = 1ull << 60;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sim_options o = sim_plain();
		struct sim *sim = sim_start(&o);
		const struct moat_tunnel *tunnel =
			TAILQ_FIRST(&sim_core(sim, 1)->tunnels);
		const struct moat_child *child;
		const struct sim_sa *in;

		offer_kilobytes(sim, cases[i]);
		sim_run(sim, 1000);
		child = TAILQ_LAST(&tunnel->pairs[0].children, moat_children);
		assert_non_null(child->out);
		assert_int_equal(child->sas[0].spi_out, 0x12345678);
		assert_in_range(child->out->soft_bytes, many, UINT64_MAX);
		assert_in_range(child->out->hard_bytes, child->out->soft_bytes,
				UINT64_MAX);
		in = sim_kernel_sa(&sim->side[1].kernel, MOAT_DIRECTION_IN,
				   child->sas[0].spi_in, &child->local);
		assert_non_null(in);
		assert_in_range(in->params.hard_bytes, child->out->hard_bytes,
				UINT64_MAX);
		sim_free(sim);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clean_aggressive),
		cmocka_unit_test(protocols),
		cmocka_unit_test(ports),
		cmocka_unit_test(ranges),
		cmocka_unit_test(narrowed),
		cmocka_unit_test(two_parts),
		cmocka_unit_test(narrow_rekeys),
		cmocka_unit_test(shorter_lifetime),
		cmocka_unit_test(shorter_volume),
		cmocka_unit_test(shorter_isakmp),
		cmocka_unit_test(lifetimes),
		cmocka_unit_test(shared_isakmp),
		cmocka_unit_test(clear),
		cmocka_unit_test(keylog),
		cmocka_unit_test(wrong_aggressive),
		cmocka_unit_test(lost_aggressive_3),
		cmocka_unit_test(many_kilobytes),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
