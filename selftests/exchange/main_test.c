// SPDX-License-Identifier: GPL-2.0-or-later
/* One tunnel over a good network: the nine messages, states, keys, refusals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "ike/core.h"
#include "sim_case.h"
#include "sim_insider.h"

/*
 * The ladder of the seed: message, payloads and states, word by word; and when
 * each side installs its SAs: the responder its inbound one before message 2.
 */
static void clean_establishment(void **state)
{
	struct sim_options o = sim_plain();
	struct sim *sim = sim_start(&o);

	(void)state;
	assert_int_equal(sim_done(sim, 0), 1);
	sim_assert_established(sim, 1);
	assert_int_equal(sim_sent(sim, 0, MOAT_X_MAIN), 3);
	assert_int_equal(sim_sent(sim, 1, MOAT_X_MAIN), 3);
	assert_int_equal(sim_sent(sim, 0, MOAT_X_QUICK), 2);
	assert_int_equal(sim_sent(sim, 1, MOAT_X_QUICK), 1);
	assert_int_equal(sim_sent(sim, 0, MOAT_X_INFORMATIONAL), 0);
	assert_int_equal(sim_sent(sim, 1, MOAT_X_INFORMATIONAL), 0);
	assert_string_equal(
		sim_ladder(sim, 0),
		"sent main 1 (HDR, SA, VID, VID, VID): MM_NO_STATE -> MM_NO_STATE\n"
		"received main 2 (HDR, SA, VID, VID, VID): MM_NO_STATE -> MM_SA_SETUP\n"
		"sent main 3 (HDR, KE, NONCE): MM_SA_SETUP -> MM_SA_SETUP\n"
		"received main 4 (HDR, KE, NONCE): MM_SA_SETUP -> MM_KEY_EXCH\n"
		"sent main 5 (HDR*, ID, HASH, NOTIFY): MM_KEY_EXCH -> MM_KEY_EXCH\n"
		"received main 6 (HDR*, ID, HASH): MM_KEY_EXCH -> MM_KEY_AUTH\n"
		"MM_KEY_AUTH -> QM_IDLE\n"
		"sent quick 1 (HDR*, HASH, SA, NONCE, ID, ID): QM_IDLE -> QM_IDLE\n"
		"received quick 2 (HDR*, HASH, SA, NONCE, ID, ID): QM_IDLE -> QM_IDLE\n"
		"sa-add\n"
		"sent quick 3 (HDR*, HASH): QM_IDLE -> QM_IDLE\n"
		"policy-switch\n");
	assert_string_equal(
		sim_ladder(sim, 1),
		"received main 1 (HDR, SA, VID, VID, VID): MM_NO_STATE -> MM_NO_STATE\n"
		"sent main 2 (HDR, SA, VID, VID, VID): MM_NO_STATE -> MM_SA_SETUP\n"
		"received main 3 (HDR, KE, NONCE): MM_SA_SETUP -> MM_SA_SETUP\n"
		"sent main 4 (HDR, KE, NONCE): MM_SA_SETUP -> MM_KEY_EXCH\n"
		"received main 5 (HDR*, ID, HASH, NOTIFY): MM_KEY_EXCH -> MM_KEY_AUTH\n"
		"sent main 6 (HDR*, ID, HASH): MM_KEY_AUTH -> MM_KEY_AUTH\n"
		"MM_KEY_AUTH -> QM_IDLE\n"
		"received quick 1 (HDR*, HASH, SA, NONCE, ID, ID): QM_IDLE -> QM_IDLE\n"
		"sa-add\n"
		"sent quick 2 (HDR*, HASH, SA, NONCE, ID, ID): QM_IDLE -> QM_IDLE\n"
		"received quick 3 (HDR*, HASH): QM_IDLE -> QM_IDLE\n"
		"policy-switch\n");
	sim_free(sim);
}

static void what_status_shows(void **state)
{
	struct sim_options o = sim_plain();
	struct sim *sim = sim_start(&o);
	struct moat_isakmp_view a;
	struct moat_isakmp_view b;
	struct moat_pair_view pair;

	(void)state;
	assert_true(moat_ike_isakmp(sim_core(sim, 0), 0, &a));
	assert_true(moat_ike_isakmp(sim_core(sim, 1), 0, &b));
	assert_string_equal(a.state, "QM_IDLE");
	assert_string_equal(a.tunnel, "branch");
	assert_string_equal(a.proposal, "aes128-sha256-ecp256");
	assert_memory_equal(a.cookies, b.cookies, sizeof(a.cookies));
	assert_true(a.initiator);
	assert_false(b.initiator);
	assert_int_equal(a.sent, 3);
	assert_int_equal(a.received, 3);
	assert_int_equal(b.sent, 3);
	assert_int_equal(b.received, 3);
	assert_int_equal(a.expires - a.established, 28800 * 1000);
	assert_true(moat_ike_pair(sim_core(sim, 0), 0, 0, &pair));
	assert_string_equal(pair.state, "up");
	assert_string_equal(pair.proposal, "aes128gcm16");
	assert_false(moat_ike_pair(sim_core(sim, 0), 0, 1, &pair));
	sim_free(sim);
}

/* Each state that a side was in between two messages, as `moat show` has it. */
static void seen_meanwhile(const struct sim_options *o, const char *initiator,
			   const char *responder)
{
	struct sim *sim = sim_new(o);
	char seen[2][256] = { "", "" };
	const char *last[2] = { "", "" };

	sim_run(sim, 100);
	sim_up(sim, 0);
	for (unsigned int ms = 0; ms < 3000; ms++) {
		for (int side = 0; side < 2; side++) {
			struct moat_isakmp_view view;

			if (!moat_ike_isakmp(sim_core(sim, side), 0, &view) ||
			    !strcmp(view.state, last[side]))
				continue;
			last[side] = view.state;
			strcat(seen[side], view.state);
			strcat(seen[side], " ");
		}
		sim_run(sim, 1);
	}
	assert_string_equal(seen[0], initiator);
	assert_string_equal(seen[1], responder);
	sim_free(sim);
}

/* The moments are those of the ladder; what follows at once is never seen alone. */
static void states_of_status(void **state)
{
	struct sim_options o = sim_plain();

	(void)state;
	seen_meanwhile(&o, "MM_NO_STATE MM_SA_SETUP MM_KEY_EXCH QM_IDLE ",
		       "MM_SA_SETUP MM_KEY_EXCH QM_IDLE ");
	o.aggressive = true;
	seen_meanwhile(&o, "AG_NO_STATE AG_INIT_EXCH QM_IDLE ",
		       "AG_NO_STATE AG_INIT_EXCH QM_IDLE ");
	o.aggressive = false;
	/* Signing takes its time: message 5 is verified, message 6 not there yet. */
	o.auth = MOAT_METHOD_RSA_SIG;
	seen_meanwhile(&o, "MM_NO_STATE MM_SA_SETUP MM_KEY_EXCH QM_IDLE ",
		       "MM_SA_SETUP MM_KEY_EXCH MM_KEY_AUTH QM_IDLE ");
}

static void traffic_brings_it_up(void **state)
{
	struct sim_options o = sim_plain();
	struct sim *sim = sim_new(&o);

	(void)state;
	sim_run(sim, 100);
	assert_string_equal(sim_state(sim, 0), "waiting");
	sim_acquire(sim, 0, 0);
	assert_string_equal(sim_state(sim, 0), "connecting");
	sim_run(sim, 2000);
	sim_assert_established(sim, 1);
	sim_free(sim);
}

static void several_networks(void **state)
{
	struct sim_options o = sim_plain();
	struct sim *sim;

	(void)state;
	o.nets = 3;
	sim = sim_start(&o);
	assert_int_equal(sim_done(sim, 0), 1);
	sim_assert_established(sim, 9);
	assert_int_equal(sim_sent(sim, 0, MOAT_X_MAIN), 3);
	assert_int_equal(sim_sent(sim, 0, MOAT_X_QUICK), 18);
	sim_free(sim);
}

/* Two tunnels with one peer share its ISAKMP SA, and each has its own life. */
static void several_tunnels(void **state)
{
	struct sim_options o = sim_plain();
	struct moat_tunnel_view view;
	struct sim *sim;

	(void)state;
	o.nets = 2;
	o.split = true;
	o.traffic = 1000;
	o.one_way = true;
	sim = sim_new(&o);
	sim_run(sim, 10000);
	sim_assert_established(sim, 4);
	assert_int_equal(sim_isakmps(sim, 0), 1);
	sim_traffic(sim, 0);
	sim_run(sim, 2000);
	sim_down(sim, 0);
	sim_run(sim, 2000);
	assert_int_equal(sim_done(sim, 0), 1);
	assert_true(moat_ike_tunnel(sim_core(sim, 0), 0, &view));
	assert_string_equal(view.state, "down");
	assert_true(moat_ike_tunnel(sim_core(sim, 0), 1, &view));
	assert_string_equal(view.state, "up");
	assert_int_equal(sim_count(sim, 0, MOAT_DIRECTION_OUT), 2);
	assert_int_equal(sim_count(sim, 1, MOAT_DIRECTION_OUT), 2);
	assert_int_equal(sim_isakmps(sim, 0), 1);
	assert_int_equal(sim_isakmps(sim, 1), 1);
	sim_up(sim, 0);
	sim_run(sim, 2000);
	sim_assert_established(sim, 4);
	sim_free(sim);
}

static void other_networks(void **state)
{
	struct sim_options o = sim_plain();
	struct sim *sim;

	(void)state;
	o.other_nets = true;
	sim = sim_start(&o);
	assert_int_equal(sim_done(sim, 0), 0);
	assert_non_null(
		strstr(sim_log_text(sim, 0, "control-done"), "INVALID-ID-INFORMATION"));
	assert_non_null(strstr(sim_log_text(sim, 0, "control-done"), "remote-net"));
	assert_non_null(strstr(sim_log_text(sim, 1, "quick-no-pair"), "10.1.0.0/24"));
	sim_assert_nothing(sim, 0);
	sim_assert_nothing(sim, 1);
	sim_free(sim);
}

/* Nobody answers at the first address: the second one is tried. */
static void second_address(void **state)
{
	struct sim_options o = sim_plain();
	struct sim *sim;

	(void)state;
	o.spare = true;
	sim = sim_start(&o);
	assert_int_equal(sim_done(sim, 0), -1);
	sim_run(sim, 60000);
	assert_int_equal(sim_done(sim, 0), 1);
	sim_assert_established(sim, 1);
	sim_free(sim);
}

/* One of nine pairs has traffic: that one is up, the others wait, and are missing. */
static void one_pair_of_many(void **state)
{
	struct sim_options o = sim_plain();
	struct sim *sim;

	(void)state;
	o.nets = 3;
	sim = sim_new(&o);
	sim_run(sim, 100);
	sim_acquire(sim, 0, 4);
	sim_run(sim, 5000);
	assert_string_equal(sim_state(sim, 0), "partial");
	assert_int_equal(sim_count(sim, 0, MOAT_DIRECTION_OUT), 1);
	sim_free(sim);
}

static void with(const char *ike, const char *esp, bool v6)
{
	struct sim_options o = sim_plain();
	struct sim *sim;

	o.ike[0] = o.ike[1] = ike;
	o.esp[0] = o.esp[1] = esp;
	o.v6 = v6;
	sim = sim_start(&o);
	assert_int_equal(sim_done(sim, 0), 1);
	sim_assert_established(sim, 1);
	sim_free(sim);
}

static void algorithms(void **state)
{
	(void)state;
	with("aes128-sha1-modp2048", "aes128-sha1", false);
	with("aes256-sha256-modp3072", "aes256-sha256", false);
	with("aes192-sha384-ecp384", "aes256gcm16", false);
	with("aes256-sha512-modp4096", "aes128-sha512", false);
	with("aes128-sha256-ecp256", "null-sha256", false);
	with("aes256-sha256-ecp521", "aes128gcm16-curve25519", false);
	with("aes128-sha256-curve25519", "aes128gcm16-ecp521", true);
}

static void perfect_forward_secrecy(void **state)
{
	(void)state;
	with(NULL, "aes128gcm16-ecp256", false);
	with(NULL, "aes256-sha384-ecp384", true);
	with(NULL, "aes128-sha256-modp2048", false);
}

static void ipv6(void **state)
{
	(void)state;
	with(NULL, NULL, true);
}

static void wrong_psk(void **state)
{
	struct sim_options o = sim_plain();
	struct sim *sim;

	(void)state;
	o.psk[1] = "another secret";
	sim = sim_start(&o);
	sim_run(sim, 60000);
	assert_int_equal(sim_done(sim, 0), 0);
	assert_int_equal(sim_logged(sim, 1, "ike-auth-failed"), 1);
	assert_non_null(
		strstr(sim_log_text(sim, 1, "ike-auth-failed"), "pre-shared keys"));
	assert_non_null(strstr(sim_log_text(sim, 0, "control-done"), "pre-shared keys"));
	assert_int_equal(sim_logged(sim, 0, "ike-established"), 0);
	assert_int_equal(sim_logged(sim, 1, "ike-established"), 0);
	for (int side = 0; side < 2; side++) {
		sim_assert_nothing(sim, side);
		assert_int_equal(sim_isakmps(sim, side), 0);
	}
	sim_free(sim);
}

/* The right secret is not enough: the identity must be the configured one. */
static void wrong_identity(void **state)
{
	(void)state;
	for (int side = 0; side < 2; side++) {
		struct sim_options o = sim_plain();
		struct sim *sim;

		o.id[side] = "impostor.example";
		sim = sim_start(&o);
		sim_run(sim, 60000);
		assert_int_equal(sim_done(sim, 0), 0);
		assert_int_equal(sim_logged(sim, !side, "ike-auth-failed"), 1);
		assert_non_null(strstr(sim_log_text(sim, !side, "ike-auth-failed"),
				       "impostor.example"));
		assert_int_equal(sim_logged(sim, !side, "ike-established"), 0);
		/* The other one hears of it, and keeps nothing that is of no use. */
		assert_int_equal(sim_logged(sim, side, "ike-notify"), 1);
		assert_int_equal(sim_isakmps(sim, side), 0);
		sim_assert_nothing(sim, 0);
		sim_assert_nothing(sim, 1);
		sim_free(sim);
	}
}

/* Which protocol and port may stand in an identity of phase 1. */
static void identity_port(void **state)
{
	static const struct {
		uint8_t octets[3]; /* protocol, port */
		bool good;
	} cases[] = {
		{ { 0, 0, 0 }, true },	      { { 17, 0, 0 }, true },
		{ { 17, 0x01, 0xf4 }, true }, { { 17, 0x11, 0x94 }, true },
		{ { 6, 0x01, 0xf4 }, false }, { { 0, 0x01, 0xf4 }, false },
		{ { 17, 0, 80 }, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sim_options o = sim_plain();
		struct sim *sim = sim_new(&o);
		struct moat_isakmp *sa;

		sim_run(sim, 100);
		sim_up(sim, 0);
		sa = TAILQ_FIRST(&sim_core(sim, 0)->isakmps);
		moat_ike1_id_body(&sa->tunnel->conf.local_id, &sa->ids[0]);
		memcpy(sa->ids[0].data + 1, cases[i].octets, 3);
		sim_run(sim, 60000);
		assert_int_equal(sim_done(sim, 0), cases[i].good);
		if (!cases[i].good)
			assert_non_null(strstr(sim_log_text(sim, 1, "ike-auth-failed"),
					       "identity is for protocol"));
		sim_free(sim);
	}
}

/* An identity that only begins as the configured one does is another. */
static void longer_identity(void **state)
{
	struct sim_options o = sim_plain();
	struct moat_tunnel_conf *conf;
	struct sim *sim;

	(void)state;
	o.id[0] = "gw-a.example.org";
	sim = sim_new(&o);
	sim_run(sim, 100);
	conf = &TAILQ_FIRST(&sim_core(sim, 1)->tunnels)->conf;
	conf->remote_id = (struct moat_identity){ .type = MOAT_ID_FQDN, .len = 12 };
	memcpy(conf->remote_id.data, "gw-a.example", 12);
	sim_up(sim, 0);
	sim_run(sim, 60000);
	assert_int_equal(sim_done(sim, 0), 0);
	assert_non_null(strstr(sim_log_text(sim, 1, "ike-auth-failed"),
			       "remote-id demands ID_FQDN \"gw-a.example\""));
	assert_int_equal(sim_logged(sim, 1, "ike-established"), 0);
	sim_assert_nothing(sim, 1);
	sim_free(sim);
}

static bool first_main_1(int from, uint8_t exchange, unsigned int nth)
{
	return from == 0 && exchange == MOAT_X_MAIN && nth == 1;
}

/* Somebody on the path changes the offer: HASH_I covers SAi_b, so it shows. */
static void tampered_offer(void **state)
{
	static const uint8_t life[] = { 0x70, 0x80 }; /* 28800 */
	struct sim_options o = sim_plain();
	struct sim *sim = sim_new(&o);
	uint8_t message[512];
	const uint8_t *first;
	size_t len;
	uint8_t *at;
	int to;

	(void)state;
	sim_set_filter(sim, first_main_1);
	sim_run(sim, 100);
	sim_up(sim, 0);
	first = sim_datagram(sim, 0, &len, &to);
	memcpy(message, first, len);
	at = memmem(message, len, life, sizeof(life));
	assert_non_null(at);
	at[1]++;
	sim_inject(sim, 1, message, len);
	sim_run(sim, 60000);
	assert_int_equal(sim_logged(sim, 1, "ike-auth-failed"), 1);
	assert_int_equal(sim_logged(sim, 0, "ike-established"), 0);
	assert_int_equal(sim_logged(sim, 1, "ike-established"), 0);
	sim_free(sim);
}

static void no_secret(void **state)
{
	struct sim_options o = sim_plain();
	struct sim *sim;

	(void)state;
	o.psk[0] = "";
	sim = sim_start(&o);
	assert_int_equal(sim_done(sim, 0), 0);
	assert_non_null(strstr(sim_log_text(sim, 0, "ike-failed"), "no pre-shared key"));
	sim_free(sim);
}

static void no_common_phase_1(void **state)
{
	struct sim_options o = sim_plain();
	struct sim *sim;

	(void)state;
	o.ike[0] = "aes128-sha256-ecp256";
	o.ike[1] = "aes256-sha256-ecp256";
	sim = sim_start(&o);
	assert_int_equal(sim_done(sim, 0), 0);
	assert_int_equal(sim_logged(sim, 0, "ike-no-proposal"), 1);
	assert_int_equal(sim_logged(sim, 1, "ike-no-proposal"), 1);
	assert_non_null(strstr(sim_log_text(sim, 1, "ike-no-proposal"), "aes256"));
	assert_non_null(strstr(sim_log_text(sim, 1, "ike-no-proposal"), "moat.conf:2"));
	assert_non_null(
		strstr(sim_log_text(sim, 0, "ike-no-proposal"), "NO-PROPOSAL-CHOSEN"));
	assert_non_null(
		strstr(sim_log_text(sim, 0, "control-done"), "NO-PROPOSAL-CHOSEN"));
	assert_int_equal(sim_isakmps(sim, 1), 0);
	sim_free(sim);
}

static void refused_phase_2(const char *a, const char *b)
{
	struct sim_options o = sim_plain();
	struct sim *sim;

	o.esp[0] = a;
	o.esp[1] = b;
	sim = sim_start(&o);
	assert_int_equal(sim_done(sim, 0), 0);
	assert_int_equal(sim_logged(sim, 1, "quick-no-proposal"), 1);
	assert_int_equal(sim_logged(sim, 0, "quick-no-proposal"), 1);
	assert_non_null(
		strstr(sim_log_text(sim, 0, "control-done"), "NO-PROPOSAL-CHOSEN"));
	sim_run(sim, 61000);
	for (int side = 0; side < 2; side++) {
		sim_assert_nothing(sim, side);
		assert_int_equal(sim_reserved(sim, side), 0);
		assert_int_equal(sim_isakmps(sim, side), 1);
	}
	sim_free(sim);
}

static void no_common_phase_2(void **state)
{
	(void)state;
	refused_phase_2("aes128gcm16", "aes256-sha256");
	refused_phase_2("aes128gcm16-ecp256", "aes128gcm16");
	refused_phase_2("aes128gcm16", "aes128gcm16-ecp256");
}

static void down(void **state)
{
	(void)state;
	for (int side = 0; side < 2; side++) {
		struct sim_options o = sim_plain();
		struct sim *sim = sim_start(&o);

		sim_down(sim, side);
		sim_run(sim, 1000);
		assert_int_equal(sim_done(sim, side), 1);
		assert_string_equal(sim_state(sim, side), "down");
		assert_string_equal(sim_state(sim, !side), "waiting");
		for (int i = 0; i < 2; i++) {
			sim_assert_nothing(sim, i);
			assert_int_equal(sim_isakmps(sim, i), 0);
		}
		/* Down is down: the peer's traffic does not bring it back. */
		sim_acquire(sim, !side, 0);
		sim_run(sim, 60000);
		sim_assert_nothing(sim, side);
		sim_up(sim, side);
		sim_run(sim, 5000);
		assert_int_equal(sim_done(sim, side), 1);
		sim_assert_established(sim, 1);
		sim_free(sim);
	}
}

static void reload_without_change(void **state)
{
	struct sim_options o = sim_plain();
	struct sim *sim = sim_start(&o);

	(void)state;
	sim_configure(sim, 0);
	sim_configure(sim, 1);
	sim_run(sim, 5000);
	sim_assert_established(sim, 1);
	assert_int_equal(sim_sent(sim, 0, MOAT_X_INFORMATIONAL), 0);
	assert_int_equal(sim_sent(sim, 0, MOAT_X_QUICK), 2);
	sim_free(sim);
}

static void tunnel_removed(void **state)
{
	struct sim_options o = sim_plain();
	struct sim *sim = sim_start(&o);

	(void)state;
	sim_unconfigure(sim, 0);
	sim_run(sim, 1000);
	assert_int_equal(sim_policies(sim, 0), 0);
	sim_assert_nothing(sim, 0);
	sim_assert_nothing(sim, 1);
	assert_int_equal(sim_isakmps(sim, 0), 0);
	assert_int_equal(sim_isakmps(sim, 1), 0);
	sim_free(sim);
}

static void reboot(void **state)
{
	struct sim_options o = sim_plain();
	struct sim *sim = sim_start(&o);

	(void)state;
	sim_reboot(sim, 0);
	sim_run(sim, 1000);
	sim_acquire(sim, 0, 0);
	sim_run(sim, 5000);
	/* INITIAL-CONTACT ends what the other side still had. */
	sim_assert_established(sim, 1);
	sim_free(sim);
}

static void stranger(void **state)
{
	struct sim_options o = sim_plain();
	struct sim *sim = sim_start(&o);
	unsigned int sent = sim_sent(sim, 1, MOAT_X_MAIN);
	unsigned int isakmps = sim_isakmps(sim, 1);
	size_t len;
	int to;
	const uint8_t *first = sim_datagram(sim, 0, &len, &to);

	(void)state;
	sim_inject_from(sim, 1, "198.51.100.7", first, len);
	sim_run(sim, 1000);
	assert_int_equal(sim_sent(sim, 1, MOAT_X_MAIN), sent);
	assert_int_equal(sim_sent(sim, 1, MOAT_X_INFORMATIONAL), 0);
	assert_int_equal(sim_isakmps(sim, 1), isakmps);
	assert_int_equal(sim_logged(sim, 1, "ike-unknown-peer"), 1);
	sim_free(sim);
}

/* A flood of first messages from the peer's address leaves a bounded number. */
static void half_open(void **state)
{
	struct sim_options o = sim_plain();
	struct sim *sim = sim_start(&o);
	uint8_t message[2048];
	size_t len;
	int to;
	const uint8_t *first = sim_datagram(sim, 0, &len, &to);

	(void)state;
	memcpy(message, first, len);
	for (unsigned int i = 0; i < 1000; i++) {
		message[1] = (uint8_t)i;
		message[2] = (uint8_t)(i >> 8);
		sim_inject(sim, 1, message, len);
	}
	assert_int_equal(sim_isakmps(sim, 1), 1 + MOAT_HALF_OPEN_MAX);
	sim_run(sim, 60000);
	sim_assert_established(sim, 1);
	/* None was repeated unasked. */
	assert_int_equal(sim_sent(sim, 1, MOAT_X_MAIN), 3 + 1000);
	sim_free(sim);
}

/*
 * Somebody forges first messages in the peer's name, one each ms, for as long as
 * phase 1 takes. It works all the same: what is half open lives longer than a round
 * trip, and one that has shown our cookie is not given up for one that has not.
 */
static void flood_in_its_name(void **state)
{
	(void)state;
	for (int aggressive = 0; aggressive < 2; aggressive++) {
		struct sim_options o = sim_plain();
		uint8_t message[2048];
		const uint8_t *first;
		struct sim *sim;
		size_t len;
		int to;

		o.aggressive = aggressive;
		sim = sim_new(&o);
		sim_run(sim, 100);
		sim_up(sim, 0);
		sim_run(sim, 2);
		while (!(first = sim_datagram(sim, 0, &len, &to)))
			sim_run(sim, 1);
		memcpy(message, first, len);
		for (unsigned int i = 0; i < 3000; i++) {
			moat_set16(message + 1, (uint16_t)i);
			sim_inject(sim, 1, message, len);
			sim_run(sim, 1);
			assert_true(sim_isakmps(sim, 1) <= 2 + MOAT_HALF_OPEN_MAX);
		}
		assert_int_equal(sim_done(sim, 0), 1);
		sim_run(sim, 60000);
		assert_null(sim_agree(sim));
		assert_int_equal(sim_isakmps(sim, 1), 1);
		assert_int_equal(sim_burden(sim, 1).waits, 0);
		sim_free(sim);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clean_establishment),
		cmocka_unit_test(what_status_shows),
		cmocka_unit_test(states_of_status),
		cmocka_unit_test(traffic_brings_it_up),
		cmocka_unit_test(several_networks),
		cmocka_unit_test(one_pair_of_many),
		cmocka_unit_test(several_tunnels),
		cmocka_unit_test(other_networks),
		cmocka_unit_test(second_address),
		cmocka_unit_test(algorithms),
		cmocka_unit_test(perfect_forward_secrecy),
		cmocka_unit_test(ipv6),
		cmocka_unit_test(wrong_psk),
		cmocka_unit_test(wrong_identity),
		cmocka_unit_test(identity_port),
		cmocka_unit_test(longer_identity),
		cmocka_unit_test(tampered_offer),
		cmocka_unit_test(no_secret),
		cmocka_unit_test(no_common_phase_1),
		cmocka_unit_test(no_common_phase_2),
		cmocka_unit_test(down),
		cmocka_unit_test(reload_without_change),
		cmocka_unit_test(tunnel_removed),
		cmocka_unit_test(reboot),
		cmocka_unit_test(stranger),
		cmocka_unit_test(half_open),
		cmocka_unit_test(flood_in_its_name),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
