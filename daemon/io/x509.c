// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A peer's certificate: is it pinned, or does a chain lead from it to a CA of
 * ours; is it valid today and not revoked, may its key sign, does it stand for
 * the identity; and is the signature its key's? No network is ever asked.
 */
#include "io/x509.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ike/crypt.h"
#include "priv/cert.h"
#include "wire/isakmp.h"

/* Lists keep what is put into them; the analyzer loses it on the way. */
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"

#define CHAIN_MAX 12
#define STORES	  32

/**
 * struct crl - a revocation list
 * @issuer: name of the CA whose certificates it is about
 * @ours: a CA of ca has signed it; else one that a peer brings along may have
 */
struct crl {
	gnutls_x509_crl_t list;
	gnutls_datum_t issuer;
	bool ours;
};

/**
 * struct store - CAs and revocation lists of one set of credentials, parsed
 * @digest: of both
 */
struct store {
	uint8_t digest[32];
	uint64_t used;
	gnutls_x509_trust_list_t list;
	struct crl *crls;
	unsigned int n_crls;
};

/**
 * struct moat_x509 - what was parsed
 * @lock: GnuTLS's objects are not made for two threads
 */
struct moat_x509 {
	pthread_mutex_t lock;
	uint64_t clock;
	struct store stores[STORES];
};

/**
 * struct job - one verification
 */
struct job {
	const struct moat_verify *verify;
	gnutls_x509_crt_t chain[CHAIN_MAX];
	unsigned int n;
	char *why;
	size_t size;
};

#define SAY(job, ...) snprintf((job)->why, (job)->size, __VA_ARGS__)

struct moat_x509 *moat_x509_new(void)
{
	struct moat_x509 *x509 = calloc(1, sizeof(*x509));

	if (!x509 || pthread_mutex_init(&x509->lock, NULL))
		abort();
	return x509;
}

static void empty(struct store *store)
{
	if (store->list)
		gnutls_x509_trust_list_deinit(store->list, 1);
	for (unsigned int i = 0; i < store->n_crls; i++) {
		gnutls_x509_crl_deinit(store->crls[i].list);
		gnutls_free(store->crls[i].issuer.data);
	}
	free(store->crls);
	*store = (struct store){ 0 };
}

void moat_x509_free(struct moat_x509 *x509)
{
	if (!x509)
		return;
	for (unsigned int i = 0; i < STORES; i++)
		empty(&x509->stores[i]);
	pthread_mutex_destroy(&x509->lock);
	free(x509);
}

/* ---- whom we trust ---- */

/*
 * An old list still revokes what it names, so its age does not matter here. One by
 * one: of two CAs with one name GnuTLS would look at the first alone.
 */
static bool signed_by(gnutls_x509_crl_t list, const gnutls_x509_crt_t *cas,
		      unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		unsigned int status = ~0u;

		if (!gnutls_x509_crl_verify(list, &cas[i], 1,
					    GNUTLS_VERIFY_ALLOW_SIGN_WITH_SHA1,
					    &status) &&
		    !(status &
		      ~(GNUTLS_CERT_INVALID | GNUTLS_CERT_REVOCATION_DATA_SUPERSEDED)))
			return true;
	}
	return false;
}

static void add_crl(struct store *store, const gnutls_x509_crt_t *cas, unsigned int n,
		    const struct moat_der *der)
{
	gnutls_datum_t datum = { der->data, der->len };
	struct crl crl = { .ours = false };

	if (gnutls_x509_crl_init(&crl.list))
		abort();
	if (gnutls_x509_crl_import(crl.list, &datum, GNUTLS_X509_FMT_DER) ||
	    gnutls_x509_crl_get_raw_issuer_dn(crl.list, &crl.issuer)) {
		gnutls_x509_crl_deinit(crl.list);
		return;
	}
	crl.ours = signed_by(crl.list, cas, n);
	store->crls = reallocarray(store->crls, store->n_crls + 1, sizeof(crl));
	if (!store->crls)
		abort();
	store->crls[store->n_crls++] = crl;
}

static void fill(struct store *store, const struct moat_creds *creds)
{
	unsigned int count = creds->part[MOAT_CREDS_CA].n, n = 0;
	gnutls_x509_crt_t *cas = calloc(count + 1, sizeof(*cas));

	if (!cas)
		abort();
	for (unsigned int i = 0; i < count; i++) {
		const struct moat_der *der = &creds->part[MOAT_CREDS_CA].list[i];

		cas[n] = moat_cert_load(moat_view(der->data, der->len));
		if (cas[n])
			n++;
	}
	for (unsigned int i = 0; i < creds->part[MOAT_CREDS_CRL].n; i++)
		add_crl(store, cas, n, &creds->part[MOAT_CREDS_CRL].list[i]);
	/* The list owns them from here on. */
	if (n)
		gnutls_x509_trust_list_add_cas(store->list, cas, n, 0);
	free(cas);
}

static void digest_of(const struct moat_creds *creds, uint8_t digest[32])
{
	memcpy(digest, creds->digest, 32);
	for (unsigned int i = 0; i < creds->part[MOAT_CREDS_CRL].n; i++) {
		const struct moat_der *der = &creds->part[MOAT_CREDS_CRL].list[i];
		struct moat_view parts[] = { moat_view(digest, 32),
					     moat_view(der->data, der->len) };
		uint8_t next[32];

		if (moat_hash(MOAT_HASH_SHA256, parts, 2, next))
			abort();
		memcpy(digest, next, 32);
	}
}

static const struct store *trust(struct moat_x509 *x509, const struct moat_creds *creds)
{
	struct store *oldest = &x509->stores[0];
	uint8_t digest[32];

	digest_of(creds, digest);
	for (unsigned int i = 0; i < STORES; i++) {
		struct store *store = &x509->stores[i];

		if (store->list && !memcmp(store->digest, digest, sizeof(digest))) {
			store->used = ++x509->clock;
			return store;
		}
		if (store->used < oldest->used)
			oldest = store;
	}
	empty(oldest);
	if (gnutls_x509_trust_list_init(&oldest->list, 0))
		abort();
	fill(oldest, creds);
	memcpy(oldest->digest, digest, sizeof(digest));
	oldest->used = ++x509->clock;
	return oldest;
}

/* ---- what the peer sent ---- */

static void add_pkcs7(struct job *job, const gnutls_datum_t *datum)
{
	gnutls_pkcs7_t p7;
	int count;

	if (gnutls_pkcs7_init(&p7))
		abort();
	count = gnutls_pkcs7_import(p7, datum, GNUTLS_X509_FMT_DER)
			? 0
			: gnutls_pkcs7_get_crt_count(p7);
	for (int i = 0; i < count && job->n < CHAIN_MAX; i++) {
		gnutls_datum_t der;
		gnutls_x509_crt_t cert;

		if (gnutls_pkcs7_get_crt_raw2(p7, i, &der))
			continue;
		cert = moat_cert_load(moat_view(der.data, der.size));
		if (cert)
			job->chain[job->n++] = cert;
		gnutls_free(der.data);
	}
	gnutls_pkcs7_deinit(p7);
}

/* Encodings that we do not know are passed over: the chain shows what lacks. */
static void add_payload(struct job *job, struct moat_view body)
{
	gnutls_datum_t datum = { (unsigned char *)body.data + 1, body.len - 1 };
	gnutls_x509_crt_t cert;

	if (body.len < 2 || job->n == CHAIN_MAX)
		return;
	if (body.data[0] == MOAT_CERT_PKCS7) {
		add_pkcs7(job, &datum);
	} else if (body.data[0] == MOAT_CERT_X509_SIGNATURE) {
		cert = moat_cert_load(moat_view(datum.data, datum.size));
		if (cert)
			job->chain[job->n++] = cert;
	}
}

static void read_payloads(struct job *job)
{
	struct moat_view rest = moat_view(job->verify->certs, job->verify->certs_len);

	while (rest.len > 4) {
		size_t len = moat_get32(rest.data);

		if (len > rest.len - 4)
			return;
		add_payload(job, moat_view(rest.data + 4, len));
		rest = moat_view(rest.data + 4 + len, rest.len - 4 - len);
	}
}

/* The peer's own comes first; but some send the CA's before it. */
static void find_leaf(struct job *job)
{
	const struct moat_verify *v = job->verify;

	for (unsigned int i = 1; i < job->n; i++) {
		gnutls_x509_crt_t first = job->chain[0];

		if (moat_cert_has_id(first, v->id, moat_view(v->id_data, v->id_len)))
			return;
		if (!moat_cert_has_id(job->chain[i], v->id,
				      moat_view(v->id_data, v->id_len)))
			continue;
		job->chain[0] = job->chain[i];
		job->chain[i] = first;
		return;
	}
}

/* ---- the questions ---- */

static int check_pinned(struct job *job)
{
	const struct moat_creds *creds = job->verify->creds;
	const struct moat_der *der = creds->part[MOAT_CREDS_REMOTE].list;
	gnutls_datum_t datum;
	gnutls_x509_crt_t pinned;

	if (!der)
		return 0;
	datum = (gnutls_datum_t){ der->data, der->len };
	/* Who is pinned need not send what we have. */
	if (!job->n) {
		pinned = moat_cert_load(moat_view(der->data, der->len));
		if (pinned)
			job->chain[job->n++] = pinned;
		return 0;
	}
	if (gnutls_x509_crt_equals2(job->chain[0], &datum))
		return 0;
	SAY(job, "the peer's certificate is not the one that remote-cert names");
	return -1;
}

static int check_days(struct job *job)
{
	time_t now = time(NULL);
	time_t from = gnutls_x509_crt_get_activation_time(job->chain[0]);
	time_t until = gnutls_x509_crt_get_expiration_time(job->chain[0]);

	if (now >= from && now <= until)
		return 0;
	SAY(job, "the peer's certificate %s: renew it, or set the clock",
	    now < from ? "is not valid yet" : "has expired");
	return -1;
}

static const char *path_problem(unsigned int status)
{
	static const struct {
		unsigned int bit;
		const char *text;
	} words[] = {
		{ GNUTLS_CERT_SIGNER_NOT_FOUND,
		  "no chain leads from it to a certificate of ca" },
		{ GNUTLS_CERT_NOT_ACTIVATED,
		  "it, or one of its chain, is not valid yet" },
		{ GNUTLS_CERT_EXPIRED, "it, or one of its chain, has expired" },
		{ GNUTLS_CERT_SIGNER_NOT_CA, "its issuer is no CA" },
		{ GNUTLS_CERT_SIGNER_CONSTRAINTS_FAILURE,
		  "its issuer may not issue it (constraints)" },
		{ GNUTLS_CERT_UNKNOWN_CRIT_EXTENSIONS,
		  "it, or one of its chain, has a critical extension that is not known" },
		{ GNUTLS_CERT_INSECURE_ALGORITHM,
		  "it is signed with an algorithm that is broken (weak = true takes "
		  "SHA-1)" },
	};

	for (unsigned int i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (status & words[i].bit)
			return words[i].text;
	}
	return "its signature, or that of one of its chain, is wrong";
}

/**
 * struct revocation - what the lists of a certificate's CA say
 * @any: there are some; @valid: one that this CA has signed
 * @revoked: one names it
 * @until: when the freshest was to be renewed
 */
struct revocation {
	bool any, valid, revoked;
	time_t until;
};

/* A list that claims to be of this CA counts when its key has signed it. */
static void ask_list(const struct job *job, const struct crl *crl, gnutls_x509_crt_t cert,
		     struct revocation *r)
{
	time_t until;

	r->any = true;
	if (!crl->ours && !signed_by(crl->list, job->chain, job->n))
		return;
	r->valid = true;
	r->revoked |= gnutls_x509_crt_check_revocation(cert, &crl->list, 1) != 0;
	until = gnutls_x509_crl_get_next_update(crl->list);
	/* -1: it says nothing about a next one. */
	if (until == (time_t)-1)
		until = INT64_MAX;
	if (until > r->until)
		r->until = until;
}

static struct revocation ask_lists(const struct job *job, const struct store *store,
				   gnutls_x509_crt_t cert)
{
	struct revocation r = { .any = false };
	gnutls_datum_t issuer;

	if (gnutls_x509_crt_get_raw_issuer_dn(cert, &issuer))
		return r;
	for (unsigned int i = 0; i < store->n_crls; i++) {
		const struct crl *crl = &store->crls[i];

		if (moat_view_equal(moat_view(crl->issuer.data, crl->issuer.size),
				    moat_view(issuer.data, issuer.size)))
			ask_list(job, crl, cert, &r);
	}
	gnutls_free(issuer.data);
	return r;
}

/*
 * Who has lists of a CA, but no fresh one that it has signed, cannot know what it
 * revokes today. Who issued a certificate is known here, for the path is valid: a
 * certificate that the peer added with that CA's name, but another key, has signed
 * no list of it.
 */
static int check_one(struct job *job, const struct store *store, gnutls_x509_crt_t cert,
		     const char *what)
{
	struct revocation r = ask_lists(job, store, cert);

	if (!r.any || (r.valid && !r.revoked && r.until > time(NULL)))
		return 0;
	if (r.revoked)
		SAY(job, "the peer's certificate is not good: %s is revoked (crl)", what);
	else
		SAY(job,
		    "the revocation list (crl) of the CA of the peer's certificate %s",
		    r.valid ? "should have been renewed"
			    : "is signed by none of ca, nor by a CA that the peer sent");
	return -1;
}

/* Those of ca lead on from there to the root, which the peer need not send. */
static int check_issuers(struct job *job, const struct store *store,
			 gnutls_x509_crt_t cert)
{
	gnutls_x509_crt_t issuer;

	for (unsigned int i = 0; i < CHAIN_MAX; i++, cert = issuer) {
		if (gnutls_x509_trust_list_get_issuer(store->list, cert, &issuer, 0) ||
		    gnutls_x509_crt_equals(issuer, cert))
			break;
		if (check_one(job, store, issuer, "a CA of its chain"))
			return -1;
	}
	return 0;
}

static int check_revocation(struct job *job, const struct store *store)
{
	for (unsigned int i = 0; i < job->n; i++) {
		if (check_one(job, store, job->chain[i],
			      i ? "a CA of its chain" : "it") ||
		    check_issuers(job, store, job->chain[i]))
			return -1;
	}
	return 0;
}

static int check_path(struct moat_x509 *x509, struct job *job)
{
	const struct moat_creds *creds = job->verify->creds;
	unsigned int flags = creds->weak ? GNUTLS_VERIFY_ALLOW_SIGN_WITH_SHA1 : 0;
	const struct store *store;
	unsigned int status = 0;
	int ret;

	if (!creds->part[MOAT_CREDS_CA].n)
		return check_days(job);
	store = trust(x509, creds);
	ret = gnutls_x509_trust_list_verify_crt2(
		store->list, job->chain, job->n, NULL, 0,
		flags | GNUTLS_VERIFY_ALLOW_UNSORTED_CHAIN, &status, NULL);
	if (!ret && !status)
		return check_revocation(job, store);
	SAY(job, "the peer's certificate is not good: %s",
	    ret ? gnutls_strerror(ret) : path_problem(status));
	return -1;
}

/* A certificate's own is no text; it is written as digits then. */
static bool binary(struct moat_view data)
{
	for (size_t i = 0; i < data.len; i++) {
		if (data.data[i] <= 0x20 || data.data[i] >= 0x7f)
			return true;
	}
	return false;
}

const char *moat_id_text(uint8_t type, struct moat_view data, char *buf, size_t size)
{
	struct moat_addr addr = { .len = (uint8_t)data.len };
	char text[MOAT_DN_STRLEN];
	size_t at;

	if (type == MOAT_ID_DER_ASN1_DN) {
		snprintf(buf, size, "dn:%s", moat_dn_str(data, text));
	} else if ((type == MOAT_ID_IPV4_ADDR && data.len == 4) ||
		   (type == MOAT_ID_IPV6_ADDR && data.len == 16)) {
		memcpy(addr.bytes, data.data, data.len);
		snprintf(buf, size, "%s", moat_addr_str(&addr, text));
	} else if (type == MOAT_ID_KEY_ID && binary(data)) {
		at = (size_t)snprintf(buf, size, "keyid:0x");
		for (size_t i = 0; i < data.len && at + 2 < size; i++)
			at += (size_t)snprintf(buf + at, size - at, "%02x", data.data[i]);
	} else {
		at = (size_t)snprintf(buf, size, "%s",
				      type == MOAT_ID_KEY_ID ? "keyid:" : "");
		for (size_t i = 0; i < data.len && at + 1 < size; i++)
			buf[at++] = data.data[i] > 0x20 && data.data[i] < 0x7f
					    ? (char)data.data[i]
					    : '.';
		buf[at] = '\0';
	}
	return buf;
}

static bool same_identity(const struct moat_verify *v)
{
	struct moat_view want = moat_view(v->wanted.data, v->wanted.len);
	struct moat_view have = moat_view(v->id_data, v->id_len);

	if (v->wanted.type != v->id)
		return false;
	return v->id == MOAT_ID_DER_ASN1_DN ? moat_dn_equal(want, have)
					    : moat_view_equal(want, have);
}

static int check_identity(struct job *job)
{
	const struct moat_verify *v = job->verify;
	struct moat_view id = moat_view(v->id_data, v->id_len);
	char have[160], want[160];
	gnutls_datum_t dn;

	moat_id_text(v->id, id, have, sizeof(have));
	if (!same_identity(v)) {
		SAY(job, "the peer calls itself %s, remote-id demands %s", have,
		    moat_id_text(v->wanted.type, moat_view(v->wanted.data, v->wanted.len),
				 want, sizeof(want)));
		return -1;
	}
	if (moat_cert_has_id(job->chain[0], v->id, id))
		return 0;
	dn = moat_cert_dn(job->chain[0]);
	SAY(job,
	    "the peer calls itself %s, which its certificate (%s) does not say: it needs "
	    "that subjectAltName, or its subject as identity",
	    have,
	    moat_id_text(MOAT_ID_DER_ASN1_DN, moat_view(dn.data, dn.size), want,
			 sizeof(want)));
	gnutls_free(dn.data);
	return -1;
}

static int check_signature(struct job *job)
{
	const struct moat_verify *v = job->verify;
	struct moat_cert_key key;
	const char *why = moat_cert_key(job->chain[0], v->creds->weak, &key);

	if (!why && !moat_cert_usage(job->chain[0], GNUTLS_KEY_DIGITAL_SIGNATURE |
							    GNUTLS_KEY_NON_REPUDIATION))
		why = "its key usage does not allow digital signatures";
	if (!why && !moat_cert_for_ike(job->chain[0]))
		why = "its extended key usage is critical and does not allow IKE: it "
		      "needs ipsecIKE (1.3.6.1.5.5.7.3.17)";
	if (why) {
		SAY(job, "the peer's certificate: %s", why);
		return -1;
	}
	if (!moat_rsa_verify(&key.public, moat_view(v->hash, v->hash_len),
			     moat_view(v->signature, v->signature_len)))
		return 0;
	SAY(job, "SIG is wrong: it was not made with the key of the peer's certificate");
	return -1;
}

static int verify_all(struct moat_x509 *x509, struct job *job)
{
	read_payloads(job);
	find_leaf(job);
	if (check_pinned(job))
		return -1;
	if (!job->n) {
		SAY(job, "the peer sent no certificate: have it sent, or name it as "
			 "remote-cert");
		return -1;
	}
	/* The signature first: it costs least. */
	if (check_signature(job) || check_path(x509, job))
		return -1;
	return check_identity(job);
}

int moat_x509_verify(struct moat_x509 *x509, const struct moat_verify *verify, char *why,
		     size_t size)
{
	struct job job = { .verify = verify, .why = why, .size = size };
	int ret;

	*why = '\0';
	pthread_mutex_lock(&x509->lock);
	ret = verify_all(x509, &job);
	pthread_mutex_unlock(&x509->lock);
	for (unsigned int i = 0; i < job.n; i++)
		gnutls_x509_crt_deinit(job.chain[i]);
	return ret;
}
