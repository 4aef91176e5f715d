// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Public key encryption, RFC 2409 sections 5.2 and 5.3 (revised): nonce and
 * identity go under the peer's RSA key, or the nonce does, and the rest under a
 * key made of it. Who can open them and make HASH of them is the peer.
 *
 * The keys process opens what comes. Whether its padding was good it does not
 * say: a bad one yields a nonce and an identity like any other, and only HASH
 * is wrong then, as it is for whoever does not know the nonce. Until HASH is
 * verified nothing here depends on what was decrypted, but the sizes in clear.
 */
#include <stdio.h>
#include <string.h>

#include "ike/dh.h"
#include "ike/ike1.h"
#include "ike/rsa.h"

#define BODY_MAX   2048
#define OPENED_MAX 50

static int ours(const struct moat_isakmp *sa)
{
	return sa->initiator ? 0 : 1;
}

static bool revised(const struct moat_isakmp *sa)
{
	return sa->tunnel->conf.auth == MOAT_METHOD_RSA_ENC_REVISED;
}

bool moat_enc_method(uint16_t method)
{
	return method == MOAT_METHOD_RSA_ENC || method == MOAT_METHOD_RSA_ENC_REVISED;
}

bool moat_enc_used(const struct moat_isakmp *sa)
{
	return moat_enc_method(sa->tunnel->conf.auth);
}

bool moat_enc_hides_rest(const struct moat_isakmp *sa)
{
	return revised(sa);
}

/* ---- Ke_i and Ke_r: section 5.3 ---- */

/**
 * struct ephemeral - a key made of a nonce, and the IV of the next body
 */
struct ephemeral {
	uint8_t key[MOAT_IKE_KEY_MAX];
	uint8_t iv[MOAT_BLOCK_MAX];
};

static int ephemeral(const struct moat_isakmp *sa, bool of_initiator, struct ephemeral *e)
{
	memset(e, 0, sizeof(*e));
	return moat_ke_key(&sa->alg, moat_blob_view(&sa->nonces[of_initiator ? 0 : 1]),
			   of_initiator ? sa->cky.i : sa->cky.r, e->key);
}

/* ---- ours ---- */

/* HASH(1): which of its certificates, and so of its keys, we have used. */
static void put_hash_1(struct moat_isakmp *sa, struct moat_build *b)
{
	const struct moat_der *cert =
		sa->tunnel->conf.creds->part[MOAT_CREDS_REMOTE].list;
	struct moat_view der = moat_view(cert->data, cert->len);
	uint8_t hash[MOAT_HASH_LEN_MAX];

	if (!sa->initiator)
		return;
	if (moat_hash(sa->alg.hash, &der, 1, hash))
		b->broken = true;
	moat_build_payload(b, MOAT_P_HASH, moat_view(hash, moat_hash_len(sa->alg.hash)));
}

/* A body in one PKCS #1 block of type 2 under the peer's key. */
static void put_rsa(struct moat_isakmp *sa, struct moat_build *b, uint8_t type,
		    struct moat_view body)
{
	const struct moat_der *part =
		sa->tunnel->conf.creds->part[MOAT_CREDS_REMOTE_KEY].list;
	struct moat_rsa_public key = { moat_view(part[0].data, part[0].len),
				       moat_view(part[1].data, part[1].len) };
	uint8_t padding[MOAT_RSA_MAX];
	uint8_t out[MOAT_RSA_MAX];
	size_t len = body.len + 3 < key.n.len ? key.n.len - 3 - body.len : 0;

	if (len > sizeof(padding)) {
		b->broken = true;
		return;
	}
	moat_core_random(sa->ike, padding, len);
	for (size_t i = 0; i < len; i++) {
		while (!padding[i])
			moat_core_random(sa->ike, &padding[i], 1);
	}
	if (moat_rsa_encrypt(&key, body, moat_view(padding, len), out))
		b->broken = true;
	else
		moat_build_payload(b, type, moat_view(out, key.n.len));
}

/* A body under Ke, with the padding of section 5.3: zeros, and their number. */
static void put_ke(struct moat_isakmp *sa, struct moat_build *b, struct ephemeral *e,
		   uint8_t type, struct moat_view body)
{
	size_t block = moat_cipher_block(sa->alg.cipher);
	size_t len = body.len + block - body.len % block;
	uint8_t buf[BODY_MAX] = { 0 };

	if (len > sizeof(buf)) {
		b->broken = true;
		return;
	}
	memcpy(buf, body.data, body.len);
	buf[len - 1] = (uint8_t)(len - body.len - 1);
	if (moat_cbc_encrypt(&sa->alg, e->key, e->iv, buf, len))
		b->broken = true;
	else
		moat_build_payload(b, type, moat_view(buf, len));
}

void moat_enc_put_values(struct moat_isakmp *sa, struct moat_build *b)
{
	struct moat_view ke = moat_blob_view(&sa->ke[ours(sa)]);
	struct moat_view nonce = moat_blob_view(&sa->nonces[ours(sa)]);
	struct moat_blob *id = &sa->ids[ours(sa)];
	struct ephemeral e;

	if (!id->len)
		moat_ike1_id_body(&sa->tunnel->conf.local_id, id);
	if (!revised(sa)) {
		moat_build_payload(b, MOAT_P_KE, ke);
		put_hash_1(sa, b);
		put_rsa(sa, b, MOAT_P_ID, moat_blob_view(id));
		put_rsa(sa, b, MOAT_P_NONCE, nonce);
		return;
	}
	put_hash_1(sa, b);
	put_rsa(sa, b, MOAT_P_NONCE, nonce);
	if (ephemeral(sa, sa->initiator, &e))
		b->broken = true;
	put_ke(sa, b, &e, MOAT_P_KE, ke);
	put_ke(sa, b, &e, MOAT_P_ID, moat_blob_view(id));
	moat_wipe(&e, sizeof(e));
}

/* ---- the peer's: having it opened ---- */

static void have_plain(struct moat_ike *ike, void *owner, const struct moat_event *event)
{
	struct moat_isakmp *sa = owner;
	const uint8_t *data = event->answer.data;
	size_t first;
	size_t second;

	(void)ike;
	sa->pending = 0;
	first = event->answer.ok && event->answer.len >= 4 ? moat_get16(data) : SIZE_MAX;
	if (first > event->answer.len || event->answer.len - first < 4) {
		moat_isakmp_fail(sa, event->answer.text ? event->answer.text
							: "nothing could be decrypted");
		return;
	}
	second = moat_get16(data + 2 + first);
	if (second != event->answer.len - first - 4) {
		moat_isakmp_fail(sa, "the answer of the keys process is malformed");
		return;
	}
	moat_blob_set(&sa->opened[0], data + 2, first);
	moat_blob_set(&sa->opened[1], data + 4 + first, second);
	moat_ike1_held(sa);
}

/*
 * Decrypting is dear, and who asks has proved nothing yet: so many in a second,
 * for all peers together.
 */
static bool too_many(struct moat_ike *ike)
{
	if (ike->now >= ike->opened_from + MOAT_SECOND) {
		ike->opened_from = ike->now;
		ike->opened = 0;
	}
	return ++ike->opened > OPENED_MAX;
}

static int ask(struct moat_ike1_in *in, struct moat_view nonce, struct moat_view id)
{
	struct moat_isakmp *sa = in->sa;
	const struct moat_creds *creds = sa->tunnel->conf.creds;
	struct moat_act *act;

	if (!sa->initiator && too_many(in->ike))
		return moat_refuse(
			&in->no, MOAT_REFUSE_LIMIT,
			"more than %u messages in a second want to be decrypted",
			OPENED_MAX);
	act = moat_act_new(sa->ike->acts, MOAT_ACT_DECRYPT);
	memcpy(act->decrypt.key_id, creds->key_id, sizeof(act->decrypt.key_id));
	act->decrypt.nonce = moat_dup(nonce.data, nonce.len);
	act->decrypt.nonce_len = nonce.len;
	act->decrypt.id = moat_dup(id.data, id.len);
	act->decrypt.id_len = id.len;
	memcpy(sa->opened_of, in->digest, sizeof(sa->opened_of));
	moat_blob_clear(&sa->opened[0]);
	sa->pending = 1;
	moat_core_ask(sa->ike, act, sa, have_plain);
	return moat_ike1_wait(in);
}

/* The hash says which key; ours is that of the tunnel's certificate. */
static int check_hash_1(struct moat_ike1_in *in)
{
	struct moat_isakmp *sa = in->sa;
	const struct moat_payload *p = moat_message_find(&in->msg, MOAT_P_HASH);
	const struct moat_der *cert = sa->tunnel->conf.creds->part[MOAT_CREDS_CERT].list;
	struct moat_view der = moat_view(cert->data, cert->len);
	uint8_t hash[MOAT_HASH_LEN_MAX];

	/* In aggressive mode the responder's HASH is HASH_R. */
	if (!p || sa->initiator)
		return 0;
	if (moat_hash(sa->alg.hash, &der, 1, hash) ||
	    !moat_view_equal(p->body, moat_view(hash, moat_hash_len(sa->alg.hash))))
		return moat_refuse(&in->no, MOAT_REFUSE_HASH,
				   "HASH(1) is not that of our certificate: the peer's "
				   "remote-cert is another one than our cert");
	return 0;
}

static int check_len(struct moat_ike1_in *in, const struct moat_payload *p)
{
	size_t len = in->sa->tunnel->conf.creds->key_len;

	if (p->body.len == len)
		return 0;
	return moat_refuse(&in->no, MOAT_REFUSE_PAYLOAD_LENGTH,
			   "%s has %zu octets, encrypted with our RSA key it would have "
			   "%zu: the peer's remote-cert is another one than our cert",
			   moat_payload_name(p->type), p->body.len, len);
}

/* ---- the peer's: what was in it ---- */

static int take_ke(struct moat_isakmp *sa, struct moat_view ke, struct moat_refusal *no)
{
	if (moat_dh_check(sa->alg.group, ke, no))
		return -1;
	moat_blob_set(&sa->ke[!ours(sa)], ke.data, ke.len);
	return 0;
}

static int open_body(struct moat_isakmp *sa, struct ephemeral *e, struct moat_view body,
		     uint8_t *buf, size_t *len)
{
	size_t block = moat_cipher_block(sa->alg.cipher);
	size_t zeros;

	if (!body.len || body.len % block || body.len > BODY_MAX)
		return -1;
	memcpy(buf, body.data, body.len);
	if (moat_cbc_decrypt(&sa->alg, e->key, e->iv, buf, body.len))
		return -1;
	zeros = buf[body.len - 1];
	if (zeros >= block)
		return -1;
	for (size_t i = 0; i < zeros; i++) {
		if (buf[body.len - 2 - i])
			return -1;
	}
	*len = body.len - zeros - 1;
	return 0;
}

/* KE, ID and CERT in the order in which they stand: their CBC is one chain. */
static int open_revised(struct moat_ike1_in *in, struct ephemeral *e)
{
	struct moat_isakmp *sa = in->sa;
	const struct moat_payload *p;
	uint8_t buf[BODY_MAX];
	size_t len = 0;

	moat_payload_for_each(p, &in->msg) {
		if (p->type != MOAT_P_KE && p->type != MOAT_P_ID &&
		    p->type != MOAT_P_CERT)
			continue;
		if (open_body(sa, e, p->body, buf, &len) ||
		    (p->type == MOAT_P_KE && take_ke(sa, moat_view(buf, len), NULL)))
			return moat_refuse(
				&in->no, MOAT_REFUSE_PADDING,
				"what follows the encrypted nonce makes no sense: "
				"cert, key and remote-cert of both sides do not "
				"belong together");
		if (p->type == MOAT_P_ID)
			moat_blob_set(&sa->ids[!ours(sa)], buf, len);
	}
	return 0;
}

static int take(struct moat_ike1_in *in)
{
	struct moat_isakmp *sa = in->sa;
	struct ephemeral e;
	int ret;

	moat_blob_set(&sa->nonces[!ours(sa)], sa->opened[0].data, sa->opened[0].len);
	if (!revised(sa)) {
		moat_blob_set(&sa->ids[!ours(sa)], sa->opened[1].data, sa->opened[1].len);
		return take_ke(sa, moat_message_find(&in->msg, MOAT_P_KE)->body, &in->no);
	}
	if (ephemeral(sa, !sa->initiator, &e))
		return -1;
	ret = open_revised(in, &e);
	moat_wipe(&e, sizeof(e));
	return ret;
}

int moat_enc_verify_values(struct moat_ike1_in *in)
{
	struct moat_isakmp *sa = in->sa;
	const struct moat_payload *nonce = moat_message_find(&in->msg, MOAT_P_NONCE);
	const struct moat_payload *id = moat_message_find(&in->msg, MOAT_P_ID);

	if (!id)
		return moat_refuse(&in->no, MOAT_REFUSE_PAYLOAD_COUNT,
				   "message %u lacks its ID payload", in->row->number);
	if (check_hash_1(in) || check_len(in, nonce) ||
	    (!revised(sa) && check_len(in, id)))
		return -1;
	if (sa->opened[0].data && !memcmp(sa->opened_of, in->digest, sizeof(in->digest)))
		return take(in);
	return ask(in, nonce->body, revised(sa) ? moat_view(NULL, 0) : id->body);
}
