// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Authentication with RSA: real keys and certificates, both exchanges, and each
 * reason for which a peer's certificate is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <ctype.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ike/ike1.h"
#include "sim_case.h"
#include "wire/parse.h"

static struct sim_options signatures(void)
{
	return (struct sim_options){
		.seed = 1,
		.nets = 1,
		.auth = MOAT_METHOD_RSA_SIG,
		.verbose = getenv("SIM_VERBOSE") != NULL,
	};
}

/* Does a message in clear ask @to for a certificate of our CA? It holds no other name. */
static bool asked_for_ca(const struct sim *sim, int to)
{
	static const char subject[] = "Test CA";
	const uint8_t *data;
	size_t len;
	int whom;

	for (unsigned int i = 0; (data = sim_datagram(sim, i, &len, &whom)); i++) {
		if (whom == to && data[18] == MOAT_X_MAIN &&
		    !(data[19] & MOAT_FLAG_ENCRYPTION) &&
		    memmem(data, len, subject, sizeof(subject) - 1))
			return true;
	}
	return false;
}

static void main_mode(void **state)
{
	struct sim_options o = signatures();
	struct sim *sim = sim_start(&o);

	(void)state;
	sim_assert_established(sim, 1);
	assert_non_null(strstr(
		sim_ladder(sim, 0),
		"sent main 3 (HDR, KE, NONCE, CR): MM_SA_SETUP -> MM_SA_SETUP\n"
		"received main 4 (HDR, KE, NONCE, CR): MM_SA_SETUP -> MM_KEY_EXCH\n"
		"sent main 5 (HDR*, ID, CERT, CERT, SIG, NOTIFY): MM_KEY_EXCH -> "
		"MM_KEY_EXCH\n"
		"received main 6 (HDR*, ID, CERT, SIG): MM_KEY_EXCH -> MM_KEY_AUTH\n"
		"MM_KEY_AUTH -> QM_IDLE\n"));
	assert_true(asked_for_ca(sim, 0));
	assert_true(asked_for_ca(sim, 1));
	sim_free(sim);
}

static void aggressive_mode(void **state)
{
	struct sim_options o = signatures();
	struct sim *sim;

	(void)state;
	o.aggressive = true;
	sim = sim_start(&o);
	sim_assert_established(sim, 1);
	assert_non_null(strstr(
		sim_ladder(sim, 1),
		"received aggressive 1 (HDR, SA, KE, NONCE, CR, ID, VID, VID, VID): AG_NO_STATE -> "
		"AG_NO_STATE\n"
		"sent aggressive 2 (HDR, SA, KE, NONCE, CR, ID, CERT, SIG, VID, VID, VID): "));
	sim_free(sim);
}

/* Each kind of identity that a certificate can hold. */
static void identities(void **state)
{
	static const struct {
		const char *more[2];
	} cases[] = {
		{ { "local-id = \"dn:C=DE, O=Moat test, CN=gw-a\"\n"
		    "remote-id = \"dn:CN=gw-b,O=Moat test,C=DE\"\nca = \"ca.pem\"",
		    "remote-id = \"dn:C=DE, O=Moat test, CN=gw-a\"\n"
		    "local-id = \"dn:C=DE, O=Moat test, CN=gw-b\"\nca = \"ca.pem\"" } },
		{ { "local-id = \"gw-a.example\"\nremote-id = \"GW-B.example\"\n"
		    "ca = \"ca.pem\"",
		    "local-id = \"GW-B.example\"\nremote-id = \"gw-a.example\"\n"
		    "ca = \"ca.pem\"" } },
		{ { "local-id = \"vpn@gw-a.example\"\nremote-id = \"192.0.2.2\"\n"
		    "ca = \"ca.pem\"",
		    "remote-id = \"vpn@gw-a.example\"\nca = \"ca.pem\"" } },
		{ { "local-id = \"192.0.2.1\"\nremote-id = \"vpn@gw-b.example\"\n"
		    "ca = \"ca.pem\"",
		    "local-id = \"vpn@gw-b.example\"\nremote-id = \"192.0.2.1\"\n"
		    "ca = \"ca.pem\"" } },
		{ { "local-id = \"2001:db8::1\"\nremote-id = \"2001:db8::2\"\n"
		    "ca = \"ca.pem\"",
		    "local-id = \"2001:db8::2\"\nremote-id = \"2001:db8::1\"\n"
		    "ca = \"ca.pem\"" } },
		/* Pinned: no CA is asked. */
		{ { "remote-cert = \"gw-b.pem\"", "remote-cert = \"gw-a-alone.pem\"" } },
		{ { "remote-cert = \"gw-b.pem\"\nca = \"ca.pem\"\ncrl = \"crl.pem\"",
		    "ca = [ \"ca.pem\", \"other-ca.pem\" ]\ncrl = [ \"crl.pem\" ]" } },
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sim_options o = signatures();
		struct sim *sim;

		memcpy(o.more, cases[i].more, sizeof(o.more));
		o.aggressive = i % 2;
		sim = sim_start(&o);
		sim_assert_established(sim, 1);
		sim_free(sim);
	}
}

static void key_id(const char *path, char *text, size_t size)
{
	uint8_t id[20];
	size_t len = sizeof(id), at;
	gnutls_datum_t pem;
	gnutls_x509_crt_t cert;

	assert_int_equal(gnutls_load_file(path, &pem), 0);
	assert_int_equal(gnutls_x509_crt_init(&cert), 0);
	assert_int_equal(gnutls_x509_crt_import(cert, &pem, GNUTLS_X509_FMT_PEM), 0);
	assert_int_equal(gnutls_x509_crt_get_subject_key_id(cert, id, &len, NULL), 0);
	at = (size_t)snprintf(text, size, "keyid:0x");
	for (size_t i = 0; i < len; i++)
		at += (size_t)snprintf(text + at, size - at, "%02X", id[i]);
	gnutls_x509_crt_deinit(cert);
	gnutls_free(pem.data);
}

/* A certificate's key id is its subjectKeyIdentifier, twenty octets and no text. */
static void by_key_id(void **state)
{
	struct sim_options o = signatures();
	char id[2][64], more[2][256], want[256];
	struct sim *sim;

	(void)state;
	key_id("selftests/certs/gw-a-alone.pem", id[0], sizeof(id[0]));
	key_id("selftests/certs/gw-b.pem", id[1], sizeof(id[1]));
	for (int side = 0; side < 2; side++) {
		snprintf(more[side], sizeof(more[side]),
			 "local-id = \"%s\"\nremote-id = \"%s\"\nca = \"ca.pem\"",
			 id[side], id[!side]);
		o.more[side] = more[side];
	}
	sim = sim_start(&o);
	sim_assert_established(sim, 1);
	sim_free(sim);
	snprintf(more[0], sizeof(more[0]),
		 "remote-id = \"keyid:0x00FF\"\nca = \"ca.pem\"");
	snprintf(more[1], sizeof(more[1]), "local-id = \"%s\"\nca = \"ca.pem\"", id[1]);
	for (char *c = id[1] + strlen("keyid:0x"); *c; c++)
		*c = (char)tolower((unsigned char)*c);
	snprintf(want, sizeof(want), "calls itself %s, remote-id demands keyid:0x00ff",
		 id[1]);
	sim = sim_start(&o);
	assert_non_null(strstr(sim_log_text(sim, 0, "ike-auth-failed"), want));
	sim_free(sim);
}

/*
 * What side 0 has against side 1. Both sides say it, nothing is established, and
 * no IPsec SA is installed.
 */
static void refusals(void **state)
{
	static const struct {
		const char *cert;
		const char *key;
		const char *more;
		const char *text;
		const char *id;
	} cases[] = {
		{ "expired", "gw-b", NULL, "has expired", NULL },
		{ "stranger", "gw-b", NULL, "no chain leads from it", NULL },
		{ "gw-b", "gw-b", "ca = \"ca.pem\"\ncrl = \"crl-revoked.pem\"",
		  "it is revoked (crl)", NULL },
		{ "gw-b", "gw-b", "ca = \"ca.pem\"\ncrl = \"crl-old.pem\"",
		  "should have been renewed", NULL },
		{ "gw-b", "gw-b", "remote-cert = \"stranger.pem\"",
		  "is not the one that remote-cert names", NULL },
		{ "gw-b", "gw-b",
		  "ca = \"ca.pem\"\nremote-id = \"dn:C=DE, O=Moat test, CN=gw-c\"",
		  "remote-id demands dn:C=DE,O=Moat test,CN=gw-c", NULL },
		{ "gw-b", "gw-b", "ca = \"ca.pem\"\nremote-id = \"gw-b.example\"",
		  "the peer calls itself 192.0.2.2, remote-id demands gw-b.example",
		  NULL },
		{ "gw-b", "gw-b", "ca = \"ca.pem\"\nremote-id = \"gw-c.example\"",
		  "the peer calls itself gw-c.example, which its certificate (dn:C=DE,O=Moat "
		  "test,CN=gw-b) does not say",
		  "gw-c.example" },
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sim_options o = signatures();
		struct sim *sim;

		o.cert[1] = cases[i].cert;
		o.key[1] = cases[i].key;
		o.more[0] = cases[i].more;
		o.id[1] = cases[i].id;
		sim = sim_start(&o);
		sim_run(sim, 60000);
		if (!strstr(sim_log_text(sim, 0, "ike-auth-failed"), cases[i].text))
			fail_msg("case %u: \"%s\" does not say \"%s\"", i,
				 sim_log_text(sim, 0, "ike-auth-failed"), cases[i].text);
		assert_int_equal(sim_done(sim, 0), 0);
		assert_int_equal(sim_count(sim, 0, MOAT_DIRECTION_OUT), 0);
		sim_free(sim);
	}
}

/* The same, when side 1 asks: message 5 is refused, and told. */
static void refused_initiator(void **state)
{
	struct sim_options o = signatures();
	struct sim *sim;

	(void)state;
	o.cert[0] = "gw-a-alone";
	sim = sim_start(&o);
	sim_run(sim, 60000);
	assert_non_null(strstr(sim_log_text(sim, 1, "ike-auth-failed"),
			       "no chain leads from it"));
	assert_int_equal(sim_done(sim, 0), 0);
	assert_int_equal(sim_count(sim, 1, MOAT_DIRECTION_IN), 0);
	sim_free(sim);
}

/*
 * The CA between stands in ca as well, so the peer need not send it; the list of the
 * root counts for it all the same.
 */
static void list_of_a_ca_of_ours(void **state)
{
	struct sim_options o = signatures();
	struct sim *sim;

	(void)state;
	o.cert[0] = "gw-a-alone";
	o.more[1] = "ca = [ \"ca.pem\", \"sub.pem\" ]\n"
		    "crl = [ \"crl.pem\", \"sub-crl.pem\" ]";
	sim = sim_start(&o);
	assert_string_equal(sim_state(sim, 1), "up");
	sim_free(sim);
	o.more[1] = "ca = [ \"ca.pem\", \"sub.pem\" ]\n"
		    "crl = [ \"crl-no-sub.pem\", \"sub-crl.pem\" ]";
	sim = sim_start(&o);
	assert_non_null(strstr(sim_log_text(sim, 1, "ike-auth-failed"),
			       "a CA of its chain is revoked (crl)"));
	assert_int_equal(sim_count(sim, 1, MOAT_DIRECTION_IN), 0);
	sim_free(sim);
}

/*
 * Revocation lists of the CA between the peer and our ca, which the peer brings along:
 * what side 1 has against side 0, or NULL for nothing.
 */
static void lists_of_a_chain(void **state)
{
	static const struct {
		const char *cert;
		const char *crl;
		const char *text;
	} cases[] = {
		{ "gw-a", "\"crl.pem\", \"sub-crl.pem\"", NULL },
		{ "gw-a", "\"crl.pem\", \"sub-crl-revoked.pem\"",
		  "not good: it is revoked (crl)" },
		{ "gw-a", "\"sub-crl-revoked.pem\"", "not good: it is revoked (crl)" },
		{ "gw-a-two", "\"sub-crl-revoked.pem\"",
		  "not good: it is revoked (crl)" },
		{ "gw-a", "\"sub-crl.pem\", \"sub-crl-revoked.pem\"",
		  "not good: it is revoked (crl)" },
		{ "gw-a", "\"sub-crl-old.pem\"", "should have been renewed" },
		{ "gw-a", "\"sub-crl-old.pem\", \"sub-crl.pem\"", NULL },
		{ "gw-a", "\"crl-no-sub.pem\", \"sub-crl.pem\"",
		  "a CA of its chain is revoked (crl)" },
		{ "gw-a", "\"crl-forged.pem\"", "is signed by none of ca" },
		{ "gw-a", "\"crl-forged.pem\", \"crl.pem\"", NULL },
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sim_options o = signatures();
		const char *text = cases[i].text;
		char more[128];
		struct sim *sim;

		snprintf(more, sizeof(more), "ca = \"ca.pem\"\ncrl = [ %s ]",
			 cases[i].crl);
		o.cert[0] = cases[i].cert;
		o.more[1] = more;
		sim = sim_start(&o);
		if (!text && strcmp(sim_state(sim, 1), "up"))
			fail_msg("case %u: %s", i,
				 sim_log_text(sim, 1, "ike-auth-failed"));
		if (text && (!strcmp(sim_state(sim, 1), "up") ||
			     !strstr(sim_log_text(sim, 1, "ike-auth-failed"), text)))
			fail_msg("case %u: %s, \"%s\" does not say \"%s\"", i,
				 sim_state(sim, 1),
				 sim_log_text(sim, 1, "ike-auth-failed"), text);
		sim_free(sim);
	}
}

/* A new revocation list changes no tunnel that is up, and counts from then on. */
static void renewed_crl(void **state)
{
	struct sim_options o = signatures();
	struct sim *sim;

	(void)state;
	o.more[0] = "ca = \"ca.pem\"\ncrl = \"crl.pem\"";
	sim = sim_start(&o);
	sim_assert_established(sim, 1);
	sim_recertify(sim, 0, NULL, "ca = \"ca.pem\"\ncrl = \"crl-revoked.pem\"");
	sim_run(sim, 5000);
	sim_assert_established(sim, 1);
	assert_int_equal(sim_sent(sim, 0, MOAT_X_INFORMATIONAL), 0);
	sim_reboot(sim, 1);
	sim_up(sim, 1);
	sim_run(sim, 60000);
	assert_non_null(
		strstr(sim_log_text(sim, 0, "ike-auth-failed"), "it is revoked (crl)"));
	sim_free(sim);
}

/* Loss, repetition and reordering; questions of signature and verdict fail, too. */
static void rough_network(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 30; i++) {
		static const uint16_t methods[] = { MOAT_METHOD_RSA_SIG,
						    MOAT_METHOD_RSA_ENC,
						    MOAT_METHOD_RSA_ENC_REVISED };
		struct sim_options o =
			i % 3 ? sim_encryption(methods[i % 3]) : signatures();
		struct sim *sim;

		o.seed = 100 + i;
		o.loss = 20;
		o.duplicate = 20;
		o.reorder = 20;
		o.aggressive = i % 2;
		sim = sim_new(&o);
		sim_fail(sim, i % 5 ? 0 : 10);
		sim_run(sim, 100);
		sim_up(sim, i % 4 == 0);
		sim_run(sim, 20000);
		sim_fail(sim, 0);
		sim_network(sim, 0, 0, 0);
		/* What was under way ends; from here on nothing may go wrong. */
		sim_run(sim, 200000);
		sim_up(sim, 0);
		sim_run(sim, 100000);
		if (strcmp(sim_state(sim, 0), "up"))
			fail_msg("seed %u: %s", 100 + i, sim_state(sim, 0));
		assert_string_equal(sim_agree(sim) ? sim_agree(sim) : "agree", "agree");
		sim_free(sim);
	}
}

/* ---- encrypted nonces ---- */

static void encrypted_nonces(void **state)
{
	static const char *const ladders[4] = {
		"sent main 3 (HDR, KE, HASH, ID, NONCE): MM_SA_SETUP -> MM_SA_SETUP\n"
		"received main 4 (HDR, KE, ID, NONCE): MM_SA_SETUP -> MM_KEY_EXCH\n"
		"sent main 5 (HDR*, HASH, NOTIFY): MM_KEY_EXCH -> MM_KEY_EXCH\n"
		"received main 6 (HDR*, HASH): MM_KEY_EXCH -> MM_KEY_AUTH\n",
		"sent aggressive 1 (HDR, SA, KE, HASH, ID, NONCE, VID, VID, VID): AG_NO_STATE -> "
		"AG_NO_STATE\n"
		"received aggressive 2 (HDR, SA, KE, ID, NONCE, HASH, VID, VID, VID): ",
		"sent main 3 (HDR, HASH, NONCE, KE, ID): MM_SA_SETUP -> MM_SA_SETUP\n"
		"received main 4 (HDR, NONCE, KE, ID): MM_SA_SETUP -> MM_KEY_EXCH\n"
		"sent main 5 (HDR*, HASH, NOTIFY): MM_KEY_EXCH -> MM_KEY_EXCH\n",
		"sent aggressive 1 (HDR, SA, VID, VID, VID, HASH, NONCE, KE, ID): AG_NO_STATE -> "
		"AG_NO_STATE\n"
		"received aggressive 2 (HDR, SA, VID, VID, VID, NONCE, KE, ID, HASH): ",
	};

	(void)state;
	for (unsigned int i = 0; i < 4; i++) {
		struct sim_options o = sim_encryption(i / 2 ? MOAT_METHOD_RSA_ENC_REVISED
							    : MOAT_METHOD_RSA_ENC);
		struct sim *sim;

		o.aggressive = i % 2;
		sim = sim_start(&o);
		sim_assert_established(sim, 1);
		if (!strstr(sim_ladder(sim, 0), ladders[i]))
			fail_msg("case %u: %s", i, sim_ladder(sim, 0));
		sim_free(sim);
	}
}

/*
 * A responder that has another key of ours in its remote-cert encrypts what we
 * cannot open. With method 4 nothing shows before HASH; each side says what to
 * look at.
 */
static void wrong_key(void **state)
{
	struct sim_options o = sim_encryption(MOAT_METHOD_RSA_ENC);
	struct sim *sim;

	(void)state;
	o.more[1] = "remote-cert = \"encrypts.pem\"\n"
		    "remote-id = \"dn:C=DE, O=Moat test, CN=gw-b\"";
	sim = sim_start(&o);
	assert_non_null(strstr(sim_ladder(sim, 0), "sent main 5"));
	sim_run(sim, 60000);
	assert_int_equal(sim_done(sim, 0), 0);
	assert_non_null(strstr(
		sim_log_text(sim, 1, "ike-auth-failed"),
		"cert and key of one side and remote-cert of the other most likely"));
	sim_free(sim);
	o = sim_encryption(MOAT_METHOD_RSA_ENC_REVISED);
	o.more[0] = "remote-cert = \"encrypts.pem\"";
	sim = sim_start(&o);
	assert_non_null(strstr(sim_log_text(sim, 1, "ike-refused"),
			       "HASH(1) is not that of our certificate"));
	sim_run(sim, 60000);
	assert_int_equal(sim_done(sim, 0), 0);
	sim_free(sim);
}

/* A half-open ISAKMP SA of its own: message 1 again, new cookie; then message 3. */
static size_t another_3(struct sim *sim, uint8_t cookie, uint8_t data[8192])
{
	const uint8_t *found;
	size_t len;
	int to;

	found = sim_datagram(sim, 0, &len, &to);
	memcpy(data, found, len);
	data[0] = cookie;
	sim_inject(sim, 1, data, len);
	sim_run(sim, 1);
	found = NULL;
	for (unsigned int j = 2; sim_datagram(sim, j, &len, &to); j++) {
		if (to == 0 && sim_datagram(sim, j, &len, &to)[0] == cookie)
			found = sim_datagram(sim, j, &len, &to);
	}
	assert_non_null(found);
	memcpy(data + 8, found + 8, 8);
	found = sim_datagram(sim, 2, &len, &to);
	memcpy(data + 16, found + 16, len - 16);
	return len;
}

/* Who comes when there is much to decrypt is not told to give up: it comes again. */
static void too_much(void **state)
{
	struct sim_options o = sim_encryption(MOAT_METHOD_RSA_ENC);
	struct sim *sim = sim_start(&o);
	const char *name;
	uint8_t data[8192];

	(void)state;
	sim_assert_established(sim, 1);
	sim_run(sim, 2000);
	for (uint8_t i = 1; i <= 60; i++)
		sim_inject(sim, 1, data, another_3(sim, i, data));
	/* 50 are opened; one of the cookies may be that of what stands. */
	assert_in_range(moat_ike_refused(sim_core(sim, 1), MOAT_REFUSE_LIMIT, &name), 9,
			10);
	assert_int_equal(sim_sent(sim, 1, MOAT_X_INFORMATIONAL), 0);
	sim_free(sim);
}

/*
 * Who changes the encrypted nonce on its way, as one who asks an oracle would,
 * gets the same answer whether its padding is good or not.
 */
static void oracle(void **state)
{
	struct sim_options o = sim_encryption(MOAT_METHOD_RSA_ENC);
	struct sim *sim = sim_start(&o);
	unsigned int answered = 0;
	uint8_t data[8192];
	size_t len;
	int to;

	(void)state;
	sim_assert_established(sim, 1);
	for (unsigned int i = 0; i < 20; i++) {
		len = another_3(sim, (uint8_t)(i + 1), data);
		/* The first two as they were sent, the others spoilt. */
		data[len - 1] ^= (uint8_t)(i / 2);
		sim_inject(sim, 1, data, len);
		sim_run(sim, 100);
		for (unsigned int j = 2; sim_datagram(sim, j, &len, &to); j++) {
			const uint8_t *d = sim_datagram(sim, j, &len, &to);

			answered += to == 0 && d[0] == i + 1 && d[16] == MOAT_P_KE;
		}
	}
	assert_int_equal(answered, 20);
	sim_free(sim);
}

/*
 * With method 5 what follows the nonce makes no sense then. That is not told to who
 * sent it: he would learn something of what we decrypted. Of what shows before, he is.
 */
static void silent_oracle(void **state)
{
	static const uint8_t types[] = { MOAT_P_HASH, MOAT_P_NONCE, MOAT_P_KE };
	struct sim_options o = sim_encryption(MOAT_METHOD_RSA_ENC_REVISED);
	uint8_t data[8192];

	(void)state;
	for (unsigned int i = 0; i < sizeof(types); i++) {
		struct sim *sim = sim_new(&o);
		size_t len;

		sim_set_filter(sim, sim_lose_main_3);
		sim_run(sim, 100);
		sim_up(sim, 0);
		sim_run(sim, 200);
		len = sim_copy(sim, 2, 1, data, sizeof(data));
		*sim_body(data, len, types[i]) ^= 1;
		sim_inject(sim, 1, data, len);
		sim_run(sim, 200);
		assert_int_equal(sim_logged(sim, 1, "ike-refused"), 1);
		assert_non_null(strstr(sim_log_text(sim, 1, "ike-refused"),
				       types[i] == MOAT_P_HASH ? "HASH(1) is not"
							       : "makes no sense"));
		assert_int_equal(sim_sent(sim, 1, MOAT_X_INFORMATIONAL),
				 types[i] == MOAT_P_HASH);
		sim_free(sim);
	}
}

/* Beside an encrypted nonce, too, a public value must be one. */
static void no_public_value(void **state)
{
	struct sim_options o = sim_encryption(MOAT_METHOD_RSA_ENC);
	struct sim *sim = sim_start_lossy(&o, sim_lose_main_3);
	uint8_t message[4096];
	uint8_t *ke;
	size_t len;

	(void)state;
	len = sim_copy(sim, 2, 1, message, sizeof(message));
	ke = sim_body(message, len, MOAT_P_KE);
	memset(ke, 0, (size_t)(ke[-2] << 8 | ke[-1]) - 4);
	sim_inject(sim, 1, message, len);
	sim_run(sim, 300);
	assert_int_equal(sim_core(sim, 1)->refused[MOAT_REFUSE_KEY], 1);
	sim_run(sim, 5000);
	sim_assert_established(sim, 1);
	sim_free(sim);
}

/* Until the responder has sent message 4, so that message 5 is still to come. */
static struct sim *until_message_5(void)
{
	struct sim_options o = signatures();
	struct sim *sim = sim_new(&o);

	sim_run(sim, 100);
	sim_up(sim, 0);
	for (int i = 0; i < 3000 && sim_sent(sim, 1, MOAT_X_MAIN) < 2; i++)
		sim_run(sim, 1);
	return sim;
}

static void assert_refused(struct sim *sim, const char *why)
{
	sim_run(sim, 5000);
	assert_non_null(strstr(sim_log_text(sim, 1, "ike-auth-failed"), why));
	assert_int_equal(sim_logged(sim, 1, "ike-established"), 0);
	sim_free(sim);
}

/* A verdict on one message says nothing about another one, be its signature good. */
static void other_verdict(void **state)
{
	struct sim *sim = until_message_5();
	struct moat_isakmp *sa = TAILQ_FIRST(&sim_core(sim, 1)->isakmps);

	(void)state;
	sa->verdict = MOAT_SIG_GOOD;
	assert_refused(sim, "not the signature that was checked");
}

/* Signed, but longer than any that can be configured. */
static void long_identity(void **state)
{
	struct sim *sim = until_message_5();
	struct moat_isakmp *sa = TAILQ_FIRST(&sim_core(sim, 0)->isakmps);
	uint8_t id[4 + MOAT_ID_MAX + 1] = { MOAT_ID_KEY_ID };

	(void)state;
	moat_blob_set(&sa->ids[0], id, sizeof(id));
	assert_refused(sim, "more than 256 octets");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(main_mode),
		cmocka_unit_test(aggressive_mode),
		cmocka_unit_test(identities),
		cmocka_unit_test(by_key_id),
		cmocka_unit_test(refusals),
		cmocka_unit_test(refused_initiator),
		cmocka_unit_test(list_of_a_ca_of_ours),
		cmocka_unit_test(lists_of_a_chain),
		cmocka_unit_test(renewed_crl),
		cmocka_unit_test(rough_network),
		cmocka_unit_test(encrypted_nonces),
		cmocka_unit_test(wrong_key),
		cmocka_unit_test(oracle),
		cmocka_unit_test(silent_oracle),
		cmocka_unit_test(too_much),
		cmocka_unit_test(no_public_value),
		cmocka_unit_test(other_verdict),
		cmocka_unit_test(long_identity),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
