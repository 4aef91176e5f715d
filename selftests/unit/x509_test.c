// SPDX-License-Identifier: GPL-2.0-or-later
/* Which certificates of a peer are refused, and in which words: made here, as needed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <gnutls/abstract.h>
#include <gnutls/x509.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "io/x509.h"
#include "wire/isakmp.h"

#define DAY	 86400
#define NAME	 "gw-b.example"
#define DER_MAX	 2048
#define CRLS_MAX 2

/**
 * struct made - a certificate as it is to be
 * @common: subject and issuer by their common names; @key is the subject's, and
 *	@issuer_key the issuer's
 * @ca: it may issue others
 * @from: days from now
 * @purpose: extended key usage, NULL for none; @also another one
 * @critical: that is critical
 * @unknown: a critical extension that nobody knows
 */
struct made {
	const char *common, *issuer;
	gnutls_x509_privkey_t key, issuer_key;
	bool ca;
	int from;
	const char *purpose, *also;
	bool critical;
	bool unknown;
};

/** struct der - one of them, as DER */
struct der {
	uint8_t data[DER_MAX];
	size_t len;
};

static gnutls_x509_privkey_t key_a, key_b;

static gnutls_x509_privkey_t load_key(const char *path)
{
	gnutls_x509_privkey_t key;
	gnutls_datum_t pem;

	assert_int_equal(gnutls_load_file(path, &pem), 0);
	assert_int_equal(gnutls_x509_privkey_init(&key), 0);
	assert_int_equal(gnutls_x509_privkey_import(key, &pem, GNUTLS_X509_FMT_PEM), 0);
	gnutls_free(pem.data);
	return key;
}

static int keys(void **state)
{
	(void)state;
	key_a = load_key("selftests/certs/gw-a.key");
	key_b = load_key("selftests/certs/gw-b.key");
	return 0;
}

static int no_keys(void **state)
{
	(void)state;
	gnutls_x509_privkey_deinit(key_a);
	gnutls_x509_privkey_deinit(key_b);
	return 0;
}

static gnutls_x509_crt_t begin(const char *common, gnutls_x509_privkey_t key)
{
	gnutls_x509_crt_t crt;

	assert_int_equal(gnutls_x509_crt_init(&crt), 0);
	assert_int_equal(gnutls_x509_crt_set_version(crt, 3), 0);
	assert_int_equal(gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME,
						       0, common, strlen(common)),
			 0);
	assert_int_equal(gnutls_x509_crt_set_key(crt, key), 0);
	return crt;
}

static void extend(gnutls_x509_crt_t crt, const struct made *m)
{
	static const uint8_t null[] = { 5, 0 };
	const char *purposes[] = { m->purpose, m->also };

	assert_int_equal(gnutls_x509_crt_set_basic_constraints(crt, m->ca, -1), 0);
	assert_int_equal(
		gnutls_x509_crt_set_key_usage(crt, m->ca ? GNUTLS_KEY_KEY_CERT_SIGN |
								   GNUTLS_KEY_CRL_SIGN
							 : GNUTLS_KEY_DIGITAL_SIGNATURE),
		0);
	assert_int_equal(gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME,
							      NAME, strlen(NAME), 0),
			 0);
	for (int i = 0; i < 2 && purposes[i]; i++)
		assert_int_equal(gnutls_x509_crt_set_key_purpose_oid(crt, purposes[i],
								     m->critical),
				 0);
	if (m->unknown)
		assert_int_equal(gnutls_x509_crt_set_extension_by_oid(
					 crt, "1.2.3.4.5", null, sizeof(null), 1),
				 0);
}

static void make(const struct made *m, struct der *der)
{
	static uint8_t serial;
	gnutls_x509_crt_t crt = begin(m->common, m->key);
	gnutls_x509_crt_t issuer = begin(m->issuer, m->issuer_key);
	time_t from = time(NULL) + (time_t)m->from * DAY;

	serial++;
	der->len = sizeof(der->data);
	gnutls_x509_crt_set_serial(crt, &serial, 1);
	gnutls_x509_crt_set_activation_time(crt, from);
	gnutls_x509_crt_set_expiration_time(crt, from + 30 * DAY);
	extend(crt, m);
	assert_int_equal(gnutls_x509_crt_sign2(crt, issuer, m->issuer_key,
					       GNUTLS_DIG_SHA256, 0),
			 0);
	assert_int_equal(gnutls_x509_crt_export(crt, GNUTLS_X509_FMT_DER, der->data,
						&der->len),
			 0);
	gnutls_x509_crt_deinit(crt);
	gnutls_x509_crt_deinit(issuer);
}

/* A list that revokes nothing, from yesterday until @until days from now. */
static void make_crl(const char *issuer, gnutls_x509_privkey_t key, int until,
		     struct der *der)
{
	gnutls_x509_crt_t ca = begin(issuer, key);
	gnutls_x509_crl_t crl;

	der->len = sizeof(der->data);
	assert_int_equal(gnutls_x509_crl_init(&crl), 0);
	gnutls_x509_crl_set_version(crl, 2);
	gnutls_x509_crl_set_this_update(crl, time(NULL) - 10 * DAY);
	gnutls_x509_crl_set_next_update(crl, time(NULL) + (time_t)until * DAY);
	assert_int_equal(gnutls_x509_crl_sign2(crl, ca, key, GNUTLS_DIG_SHA256, 0), 0);
	assert_int_equal(gnutls_x509_crl_export(crl, GNUTLS_X509_FMT_DER, der->data,
						&der->len),
			 0);
	gnutls_x509_crl_deinit(crl);
	gnutls_x509_crt_deinit(ca);
}

/**
 * struct asked - what is to be verified
 * @chain: the peer's certificate, and what it sends with it
 * @ca: whom we trust; NULL for nobody
 * @pinned: the certificate that remote-cert names, or NULL
 */
struct asked {
	const struct der *chain[2];
	const struct der *ca;
	const struct der *pinned;
	const struct der *crls[CRLS_MAX];
};

static void add(struct moat_creds *creds, enum moat_creds_part part,
		const struct der *der)
{
	if (der)
		moat_creds_add(creds, part, der->data, der->len);
}

static void put_chain(struct moat_verify *v, const struct asked *asked)
{
	v->certs = malloc(2 * (DER_MAX + 5));
	assert_non_null(v->certs);
	for (int i = 0; i < 2 && asked->chain[i]; i++) {
		uint8_t *at = v->certs + v->certs_len;

		moat_set32(at, (uint32_t)asked->chain[i]->len + 1);
		at[4] = MOAT_CERT_X509_SIGNATURE;
		memcpy(at + 5, asked->chain[i]->data, asked->chain[i]->len);
		v->certs_len += 5 + asked->chain[i]->len;
	}
}

/* A bare HASH, as RFC 2409 section 5.1 has it: no DigestInfo is around it. */
static void sign(struct moat_verify *v)
{
	gnutls_datum_t hash = { v->hash, 32 };
	gnutls_privkey_t key;
	gnutls_datum_t sig;

	memset(v->hash, 0x5a, 32);
	v->hash_len = 32;
	assert_int_equal(gnutls_privkey_init(&key), 0);
	assert_int_equal(gnutls_privkey_import_x509(key, key_b, 0), 0);
	assert_int_equal(gnutls_privkey_sign_hash(key, GNUTLS_DIG_SHA256,
						  GNUTLS_PRIVKEY_SIGN_FLAG_TLS1_RSA,
						  &hash, &sig),
			 0);
	v->signature = malloc(sig.size);
	assert_non_null(v->signature);
	memcpy(v->signature, sig.data, sig.size);
	v->signature_len = sig.size;
	gnutls_free(sig.data);
	gnutls_privkey_deinit(key);
}

/* "good", or why it is not. */
static const char *verdict(const struct asked *asked)
{
	struct moat_verify v = { .creds = moat_creds_new(), .id = MOAT_ID_FQDN };
	struct moat_x509 *x509 = moat_x509_new();
	static char why[256];

	v.id_len = strlen(NAME);
	memcpy(v.id_data, NAME, v.id_len);
	v.wanted = (struct moat_identity){ .type = v.id, .len = (uint16_t)v.id_len };
	memcpy(v.wanted.data, NAME, v.id_len);
	add(v.creds, MOAT_CREDS_CA, asked->ca);
	add(v.creds, MOAT_CREDS_REMOTE, asked->pinned);
	for (int i = 0; i < CRLS_MAX; i++)
		add(v.creds, MOAT_CREDS_CRL, asked->crls[i]);
	moat_creds_seal(v.creds);
	put_chain(&v, asked);
	sign(&v);
	if (!moat_x509_verify(x509, &v, why, sizeof(why)))
		strcpy(why, "good");
	moat_x509_free(x509);
	moat_creds_put(v.creds);
	free(v.signature);
	free(v.certs);
	return why;
}

static void expect(const struct asked *asked, const char *words)
{
	const char *why = verdict(asked);

	if (!strstr(why, words))
		fail_msg("\"%s\" does not say \"%s\"", why, words);
}

static void make_ca(struct der *der)
{
	make(&(struct made){ .common = "CA",
			     .issuer = "CA",
			     .key = key_a,
			     .issuer_key = key_a,
			     .ca = true },
	     der);
}

static struct made gateway(void)
{
	return (struct made){
		.common = "gw-b", .issuer = "CA", .key = key_b, .issuer_key = key_a
	};
}

/* RFC 4945 section 5.1.3.12, and what is common beside it */
static void purposes(void **state)
{
	static const struct {
		const char *purpose, *also;
		bool critical;
		const char *words;
	} cases[] = {
		{ NULL, NULL, false, "good" },
		{ GNUTLS_KP_IPSEC_IKE, NULL, true, "good" },
		{ GNUTLS_KP_ANY, NULL, true, "good" },
		{ GNUTLS_KP_TLS_WWW_SERVER, NULL, true, "good" },
		{ GNUTLS_KP_TLS_WWW_CLIENT, NULL, true, "good" },
		{ "1.3.6.1.5.5.8.2.2", NULL, true, "good" },
		{ GNUTLS_KP_CODE_SIGNING, GNUTLS_KP_IPSEC_IKE, true, "good" },
		{ GNUTLS_KP_CODE_SIGNING, NULL, false, "good" },
		{ GNUTLS_KP_CODE_SIGNING, NULL, true, "extended key usage" },
		{ GNUTLS_KP_EMAIL_PROTECTION, GNUTLS_KP_CODE_SIGNING, true,
		  "extended key usage" },
		/* As long as one of ours, and not it. */
		{ "1.3.6.1.5.5.7.3.18", NULL, true, "extended key usage" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct made m = gateway();
		struct der ca, der;

		m.purpose = cases[i].purpose;
		m.also = cases[i].also;
		m.critical = cases[i].critical;
		make_ca(&ca);
		make(&m, &der);
		expect(&(struct asked){ .chain = { &der }, .ca = &ca }, cases[i].words);
		expect(&(struct asked){ .chain = { &der }, .pinned = &der },
		       cases[i].words);
	}
}

static void unknown_extension(void **state)
{
	struct made m = gateway();
	struct der ca, der;

	(void)state;
	m.unknown = true;
	make_ca(&ca);
	make(&m, &der);
	expect(&(struct asked){ .chain = { &der }, .ca = &ca },
	       "a critical extension that is not known");
}

/* Who is pinned has no path, but days. */
static void pinned_days(void **state)
{
	static const struct {
		int from;
		const char *words;
	} cases[] = { { -1, "good" }, { 2, "is not valid yet" }, { -40, "has expired" } };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct made m = gateway();
		struct der der;

		m.from = cases[i].from;
		make(&m, &der);
		expect(&(struct asked){ .chain = { &der }, .pinned = &der },
		       cases[i].words);
	}
}

/* The list of each CA of the path must be fresh, be it that of another one. */
static void stale_lists(void **state)
{
	struct der ca, sub, leaf, direct, stale, fresh, foreign;
	struct made m = gateway();

	(void)state;
	make_ca(&ca);
	make(&(struct made){ .common = "Sub",
			     .issuer = "CA",
			     .key = key_a,
			     .issuer_key = key_a,
			     .ca = true },
	     &sub);
	make(&m, &direct);
	m.issuer = "Sub";
	make(&m, &leaf);
	make_crl("CA", key_a, -1, &stale);
	make_crl("CA", key_a, 1, &fresh);
	make_crl("CA", key_b, 1, &foreign);
	expect(&(struct asked){ { &direct }, &ca, NULL, { &fresh } }, "good");
	expect(&(struct asked){ { &direct }, &ca, NULL, { &stale } }, "been renewed");
	expect(&(struct asked){ { &direct }, &ca, NULL, { &stale, &foreign } },
	       "been renewed");
	expect(&(struct asked){ { &leaf, &sub }, &ca, NULL, { &fresh } }, "good");
	expect(&(struct asked){ { &leaf, &sub }, &ca, NULL, { &stale } }, "been renewed");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(purposes),
		cmocka_unit_test(unknown_extension),
		cmocka_unit_test(pinned_days),
		cmocka_unit_test(stale_lists),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, keys, no_keys);
}
