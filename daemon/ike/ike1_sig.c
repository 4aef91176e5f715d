// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Signatures with certificates, RFC 2409 section 5.1. The keys process signs;
 * chains and signatures are checked outside of the core, too. What comes of it
 * is kept with the ISAKMP SA, and the message looked at once more.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ike/ike1.h"

/* What a stranger may have us look at. */
#define CERTS_MAX    12
#define CERTS_OCTETS 16384
#define REQUESTS_MAX 8

static int ours(const struct moat_isakmp *sa)
{
	return sa->initiator ? 0 : 1;
}

static bool signs(const struct moat_isakmp *sa)
{
	return sa->tunnel->conf.auth == MOAT_METHOD_RSA_SIG;
}

/* ---- ours ---- */

static void have_signature(struct moat_ike *ike, void *owner,
			   const struct moat_event *event)
{
	struct moat_isakmp *sa = owner;
	char why[256];

	(void)ike;
	if (!event->answer.ok || !event->answer.len) {
		snprintf(why, sizeof(why), "no signature: %s",
			 event->answer.text ? event->answer.text : "no reason was given");
		moat_isakmp_fail(sa, why);
		return;
	}
	moat_blob_set(&sa->proof, event->answer.data, event->answer.len);
	moat_phase1_proved(sa);
}

void moat_sig_sign(struct moat_isakmp *sa, struct moat_view hash)
{
	struct moat_act *act = moat_act_new(sa->ike->acts, MOAT_ACT_SIGN);
	const struct moat_creds *creds = sa->tunnel->conf.creds;

	memcpy(act->sign.key_id, creds->key_id, sizeof(act->sign.key_id));
	memcpy(act->sign.hash, hash.data, hash.len);
	act->sign.len = hash.len;
	moat_core_ask(sa->ike, act, sa, have_signature);
}

static void put_cert(struct moat_build *b, uint8_t payload, const struct moat_der *der)
{
	moat_build_open(b, payload);
	moat_build_u8(b, MOAT_CERT_X509_SIGNATURE);
	moat_build_octets(b, moat_view(der->data, der->len));
	moat_build_close(b);
}

/* Asked or not: peers differ in whom they ask, and none minds. */
void moat_sig_put(struct moat_isakmp *sa, struct moat_build *b)
{
	const struct moat_creds *creds = sa->tunnel->conf.creds;

	for (unsigned int i = 0; i < creds->part[MOAT_CREDS_CERT].n; i++)
		put_cert(b, MOAT_P_CERT, &creds->part[MOAT_CREDS_CERT].list[i]);
	moat_build_payload(b, MOAT_P_SIG, moat_blob_view(&sa->proof));
}

void moat_sig_put_requests(struct moat_isakmp *sa, struct moat_build *b)
{
	const struct moat_creds *creds = sa->tunnel->conf.creds;

	if (!signs(sa))
		return;
	for (unsigned int i = 0;
	     i < creds->part[MOAT_CREDS_CA_NAME].n && i < REQUESTS_MAX; i++)
		put_cert(b, MOAT_P_CR, &creds->part[MOAT_CREDS_CA_NAME].list[i]);
}

/* ---- the peer's ---- */

int moat_sig_take_certs(struct moat_ike1_in *in)
{
	struct moat_isakmp *sa = in->sa;
	struct moat_blob certs = { 0 };
	const struct moat_payload *p;
	unsigned int count = 0;
	size_t len = 0;

	if (!signs(sa))
		return 0;
	moat_payload_for_each(p, &in->msg) {
		if (p->type != MOAT_P_CERT)
			continue;
		len += 4 + p->body.len;
		count++;
	}
	if (count > CERTS_MAX || len > CERTS_OCTETS)
		return moat_refuse(&in->no, MOAT_REFUSE_LIMIT,
				   "%u certificates with %zu octets are too many", count,
				   len);
	certs.data = moat_alloc(len);
	moat_payload_for_each(p, &in->msg) {
		if (p->type != MOAT_P_CERT)
			continue;
		moat_set32(certs.data + certs.len, (uint32_t)p->body.len);
		memcpy(certs.data + certs.len + 4, p->body.data, p->body.len);
		certs.len += 4 + p->body.len;
	}
	moat_blob_clear(&sa->certs);
	sa->certs = certs;
	return 0;
}

struct moat_verify *moat_verify_dup(const struct moat_verify *verify)
{
	struct moat_verify *copy = moat_dup(verify, sizeof(*verify));

	copy->creds = moat_creds_get(verify->creds);
	copy->signature = moat_dup(verify->signature, verify->signature_len);
	copy->certs = moat_dup(verify->certs, verify->certs_len);
	return copy;
}

void moat_verify_free(struct moat_verify *verify)
{
	moat_creds_put(verify->creds);
	free(verify->signature);
	free(verify->certs);
	free(verify);
}

static void have_verdict(struct moat_ike *ike, void *owner,
			 const struct moat_event *event)
{
	struct moat_isakmp *sa = owner;

	(void)ike;
	sa->verdict = event->answer.ok ? MOAT_SIG_GOOD : MOAT_SIG_BAD;
	snprintf(sa->verdict_text, sizeof(sa->verdict_text), "%s",
		 event->answer.text ? event->answer.text : "it could not be checked");
	if (sa->initiator && sa->exchange == MOAT_X_AGGRESSIVE)
		moat_aggressive_have_keys(sa);
	else
		moat_ike1_held(sa);
}

static void ask(struct moat_isakmp *sa, struct moat_view hash, struct moat_view signature,
		const struct moat_identity *wanted)
{
	struct moat_act *act = moat_act_new(sa->ike->acts, MOAT_ACT_VERIFY);
	struct moat_verify *v = moat_alloc(sizeof(*v));

	act->unproven = moat_phase1_unproven(sa);
	act->verify = v;
	v->creds = moat_creds_get(sa->tunnel->conf.creds);
	v->wanted = *wanted;
	v->id = sa->ids[!ours(sa)].data[0];
	v->id_len = sa->ids[!ours(sa)].len - 4;
	memcpy(v->id_data, sa->ids[!ours(sa)].data + 4, v->id_len);
	memcpy(v->hash, hash.data, hash.len);
	v->hash_len = hash.len;
	v->signature = moat_dup(signature.data, signature.len);
	v->signature_len = signature.len;
	v->certs = moat_dup(sa->certs.data, sa->certs.len);
	v->certs_len = sa->certs.len;
	moat_core_ask(sa->ike, act, sa, have_verdict);
}

static int bad(struct moat_isakmp *sa, const char *why)
{
	snprintf(sa->verdict_text, sizeof(sa->verdict_text), "%s", why);
	return -1;
}

/*
 * A verdict holds for exactly what was asked. Something else under these keys
 * comes from the same peer, who has had its chance.
 */
int moat_sig_verify(struct moat_isakmp *sa, struct moat_view hash,
		    struct moat_view signature, const struct moat_identity *wanted)
{
	struct moat_view parts[] = { hash, signature, moat_blob_view(&sa->certs) };
	uint8_t digest[32];

	if (sa->ids[!ours(sa)].len > 4 + MOAT_ID_MAX)
		return bad(sa, "the peer's identity has more than 256 octets");
	if (moat_hash(MOAT_HASH_SHA256, parts, 3, digest))
		return bad(sa, "no hash could be computed");
	if (sa->verdict == MOAT_SIG_UNKNOWN) {
		sa->verdict = MOAT_SIG_ASKED;
		memcpy(sa->verdict_on, digest, sizeof(digest));
		ask(sa, hash, signature, wanted);
		return MOAT_AUTH_LATER;
	}
	if (sa->verdict == MOAT_SIG_ASKED)
		return MOAT_AUTH_LATER;
	if (sa->verdict != MOAT_SIG_GOOD)
		return -1;
	if (memcmp(sa->verdict_on, digest, sizeof(digest)))
		return bad(sa, "it is not the signature that was checked before");
	return 0;
}
