// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Authentication of phase 1, whatever the exchange: SKEYID, what proves who we
 * are, and what proves who the peer is. RFC 2409 sections 5 and 5.4.
 */
#include "ike/ike1.h"
#include "ike/wild.h"

#include <stdio.h>
#include <string.h>

static int ours(const struct moat_isakmp *sa)
{
	return sa->initiator ? 0 : 1;
}

static uint16_t method(const struct moat_isakmp *sa)
{
	return sa->tunnel->conf.auth;
}

/* ---- SKEYID ---- */

static void have_skeyid(struct moat_ike *ike, void *owner, const struct moat_event *event)
{
	struct moat_isakmp *sa = owner;
	char addr[MOAT_ADDR_STRLEN];
	char why[256];

	(void)ike;
	if (!event->answer.ok || event->answer.len != moat_hash_len(sa->alg.hash)) {
		snprintf(why, sizeof(why), "no pre-shared key for %s: %s",
			 moat_addr_str(&sa->remote.addr, addr),
			 event->answer.text ? event->answer.text : "none is configured");
		moat_isakmp_fail(sa, why);
		return;
	}
	moat_blob_set(&sa->skeyid, event->answer.data, event->answer.len);
	moat_renew_keep(sa);
	moat_phase1_have_part(sa);
}

static void ask_skeyid(struct moat_isakmp *sa)
{
	struct moat_act *act = moat_act_new(sa->ike->acts, MOAT_ACT_SKEYID);
	const struct moat_blob *n = sa->nonces;

	act->skeyid.hash = sa->alg.hash;
	act->skeyid.remote = sa->remote.addr;
	act->skeyid.remote_id = sa->tunnel->conf.remote_id;
	act->skeyid.len = n[0].len + n[1].len;
	act->skeyid.nonces = moat_alloc(act->skeyid.len);
	memcpy(act->skeyid.nonces, n[0].data, n[0].len);
	memcpy(act->skeyid.nonces + n[0].len, n[1].data, n[1].len);
	moat_core_ask(sa->ike, act, sa, have_skeyid);
}

void moat_auth_skeyid(struct moat_isakmp *sa)
{
	if (method(sa) == MOAT_METHOD_PSK)
		ask_skeyid(sa);
	else
		moat_phase1_have_part(sa);
}

int moat_auth_late_skeyid(struct moat_isakmp *sa)
{
	uint8_t skeyid[MOAT_HASH_LEN_MAX];
	int ret;

	if (method(sa) == MOAT_METHOD_PSK)
		return 0;
	if (moat_enc_used(sa))
		ret = moat_skeyid_enc(sa->alg.hash, moat_blob_view(&sa->nonces[0]),
				      moat_blob_view(&sa->nonces[1]), &sa->cky, skeyid);
	else
		ret = moat_skeyid_sig(sa->alg.hash, moat_blob_view(&sa->nonces[0]),
				      moat_blob_view(&sa->nonces[1]),
				      moat_blob_view(&sa->gxy), skeyid);
	if (!ret)
		moat_blob_set(&sa->skeyid, skeyid, moat_hash_len(sa->alg.hash));
	moat_wipe(skeyid, sizeof(skeyid));
	return ret;
}

/* ---- our proof ---- */

static int auth_hash(struct moat_isakmp *sa, bool of_initiator, uint8_t *hash)
{
	struct moat_auth_input input = {
		.gxi = moat_blob_view(&sa->ke[0]),
		.gxr = moat_blob_view(&sa->ke[1]),
		.cky = &sa->cky,
		.sai = moat_blob_view(&sa->sai),
		.id = moat_blob_view(&sa->ids[of_initiator ? 0 : 1]),
	};

	return of_initiator ? moat_hash_i(&sa->keys, &input, hash)
			    : moat_hash_r(&sa->keys, &input, hash);
}

void moat_auth_put_id(struct moat_isakmp *sa, struct moat_build *b)
{
	struct moat_blob *id = &sa->ids[ours(sa)];

	if (!id->len)
		moat_ike1_id_body(&sa->tunnel->conf.local_id, id);
	moat_build_payload(b, MOAT_P_ID, moat_blob_view(id));
}

void moat_auth_prove(struct moat_isakmp *sa)
{
	uint8_t hash[MOAT_HASH_LEN_MAX];

	if (!sa->ids[ours(sa)].len)
		moat_ike1_id_body(&sa->tunnel->conf.local_id, &sa->ids[ours(sa)]);
	if (auth_hash(sa, sa->initiator, hash)) {
		moat_isakmp_fail(sa, "HASH could not be computed");
		return;
	}
	if (method(sa) == MOAT_METHOD_RSA_SIG) {
		moat_sig_sign(sa, moat_view(hash, sa->keys.len));
		return;
	}
	moat_blob_set(&sa->proof, hash, sa->keys.len);
	moat_phase1_proved(sa);
}

void moat_auth_put_proof(struct moat_isakmp *sa, struct moat_build *b)
{
	if (method(sa) == MOAT_METHOD_RSA_SIG)
		moat_sig_put(sa, b);
	else
		moat_build_payload(b, MOAT_P_HASH, moat_blob_view(&sa->proof));
}

/* ---- the peer's ---- */

static int wrong(struct moat_isakmp *sa, unsigned int number, uint16_t notify,
		 const struct moat_mismatch *why)
{
	sa->ike->refused[MOAT_REFUSE_HASH]++;
	snprintf(sa->hint, sizeof(sa->hint), "%.*s", (int)sizeof(sa->hint) - 1,
		 why->text);
	if (sa->told)
		return -1;
	sa->told = true;
	moat_act_explain(sa->ike->acts, "ike-auth-failed", &sa->tunnel->conf,
			 &sa->remote.addr, why, "message %u", number);
	if (!sa->initiator || sa->exchange == MOAT_X_AGGRESSIVE)
		moat_info_refuse_auth(sa, notify);
	if (sa->initiator)
		moat_ike1_give_up(sa->ike, &sa->flight);
	return -1;
}

/* A tunnel with several remotes demands the address that is in use. */
static struct moat_identity wanted_identity(const struct moat_tunnel *tunnel,
					    const struct moat_addr *remote,
					    struct moat_view claimed)
{
	struct moat_identity wanted = tunnel->conf.remote_id;

	/* A template without remote-id takes whom the peer can prove to be. */
	if (!wanted.type && tunnel->conf.any)
		moat_wild_identity(claimed, &wanted);
	else if (!wanted.type)
		moat_identity_from_addr(remote, &wanted);
	return wanted;
}

/* Peers write the strings of one name in different types. */
static bool same_dn(const uint8_t *a, const uint8_t *b, size_t len)
{
	static const uint8_t strings[] = { 0x0c, 0x13, 0x14, 0x16 };

	for (size_t i = 0; i < len; i++) {
		if (a[i] != b[i] && !(memchr(strings, a[i], sizeof(strings)) &&
				      memchr(strings, b[i], sizeof(strings))))
			return false;
	}
	return true;
}

static bool same_identity(const struct moat_identity *want, const struct moat_id *id)
{
	if (want->type != id->type || want->len != id->data.len)
		return false;
	if (want->type == MOAT_ID_DER_ASN1_DN)
		return same_dn(want->data, id->data.data, want->len);
	return !memcmp(want->data, id->data.data, want->len);
}

bool moat_auth_is_peer(const struct moat_tunnel *tunnel, const struct moat_addr *remote,
		       struct moat_view id)
{
	struct moat_identity wanted = wanted_identity(tunnel, remote, id);
	struct moat_id peer;

	return !moat_id_parse(id, &peer, NULL) && same_identity(&wanted, &peer);
}

static void explain_identity(const struct moat_isakmp *sa, const struct moat_id *peer,
			     struct moat_mismatch *why)
{
	struct moat_difference *diff = &why->diff[0];
	struct moat_identity wanted =
		wanted_identity(sa->tunnel, &sa->remote.addr, moat_view(NULL, 0));
	char have[MOAT_IDENTITY_STRLEN];
	char want[MOAT_IDENTITY_STRLEN];

	moat_identity_str(peer->type, peer->data, have);
	moat_identity_str(wanted.type, moat_view(wanted.data, wanted.len), want);
	snprintf(why->text, sizeof(why->text),
		 "the peer calls itself %s, remote-id demands %s", have, want);
	why->key = MOAT_CONF_REMOTE_ID;
	why->n_diff = 1;
	diff->attribute = "identity";
	snprintf(diff->offered, sizeof(diff->offered), "%.*s",
		 (int)sizeof(diff->offered) - 1, have);
	snprintf(diff->ours, sizeof(diff->ours), "%.*s", (int)sizeof(diff->ours) - 1,
		 want);
}

const char *moat_auth_suspicion(const struct moat_isakmp *sa)
{
	if (moat_enc_used(sa))
		return "cert and key of one side and remote-cert of the other most likely "
		       "do not belong together";
	if (method(sa) == MOAT_METHOD_RSA_SIG)
		return "one side has another shared secret, which no mistake in its "
		       "configuration explains";
	return "the pre-shared keys most likely differ (secrets.conf of both sides)";
}

void moat_auth_unheard(struct moat_isakmp *sa)
{
	if (method(sa) == MOAT_METHOD_RSA_SIG)
		snprintf(sa->hint, sizeof(sa->hint),
			 "the peer gives no reason: it most likely refuses our "
			 "certificate or local-id");
	else
		snprintf(sa->hint, sizeof(sa->hint),
			 "the peer gives no reason: %s, or it refuses our local-id",
			 moat_auth_suspicion(sa));
}

int moat_auth_stranger(struct moat_ike1_in *in, struct moat_view id)
{
	struct moat_mismatch why = { .n_diff = 0 };
	struct moat_id peer;

	if (moat_id_parse(id, &peer, &in->no))
		return -1;
	explain_identity(in->sa, &peer, &why);
	moat_phase1_cookie(in->sa);
	return wrong(in->sa, in->row->number, MOAT_N_INVALID_ID_INFORMATION, &why);
}

int moat_auth_take_id(struct moat_ike1_in *in)
{
	const struct moat_payload *p = moat_message_find(&in->msg, MOAT_P_ID);
	struct moat_isakmp *sa = in->sa;
	struct moat_id peer;

	if (!p != moat_enc_used(sa))
		return moat_refuse(&in->no, MOAT_REFUSE_PAYLOAD_COUNT,
				   "message %u %s ID payload", in->row->number,
				   p ? "may not hold an" : "lacks its");
	/* It came encrypted, with the nonce. */
	if (!p)
		return 0;
	if (moat_id_parse(p->body, &peer, &in->no))
		return -1;
	moat_blob_set(&sa->ids[!ours(sa)], p->body.data, p->body.len);
	return 0;
}

int moat_auth_proof(struct moat_ike1_in *in, struct moat_view *proof)
{
	uint8_t type = method(in->sa) == MOAT_METHOD_RSA_SIG ? MOAT_P_SIG : MOAT_P_HASH;
	const struct moat_payload *p = moat_message_find(&in->msg, type);

	if (!p)
		return moat_refuse(&in->no, MOAT_REFUSE_PAYLOAD_COUNT,
				   "message %u lacks its %s payload", in->row->number,
				   moat_payload_name(type));
	*proof = p->body;
	return 0;
}

static int verify_hash(struct moat_isakmp *sa, const uint8_t *hash,
		       struct moat_view proof)
{
	if (proof.len == sa->keys.len &&
	    moat_secret_equal(hash, proof.data, sa->keys.len))
		return 0;
	snprintf(sa->verdict_text, sizeof(sa->verdict_text), "HASH is wrong: %s",
		 moat_auth_suspicion(sa));
	return -1;
}

/* RFC 2407 4.6.2: of no protocol, or UDP of IKE (4500 since NAT-T); peers send 17/0, too.
 */
static bool names_a_host(const struct moat_id *peer)
{
	if (peer->protocol != MOAT_IPPROTO_UDP)
		return !peer->protocol && !peer->port;
	return !peer->port || peer->port == MOAT_IKE_PORT ||
	       peer->port == MOAT_NAT_T_PORT;
}

/* Of a peer that has proved who it is: is it the one that was meant? */
static bool right_identity(const struct moat_isakmp *sa,
			   const struct moat_identity *wanted, const struct moat_id *peer,
			   struct moat_mismatch *why)
{
	if (!same_identity(wanted, peer)) {
		explain_identity(sa, peer, why);
		return false;
	}
	if (names_a_host(peer))
		return true;
	snprintf(
		why->text, sizeof(why->text),
		"the peer's identity is for protocol %u port %u, but that of phase 1 has "
		"no protocol and port, or UDP port 500 (RFC 2407 4.6.2)",
		peer->protocol, peer->port);
	why->key = MOAT_CONF_REMOTE_ID;
	return false;
}

/* The one place where a peer's authentication is verified. */
int moat_auth_verify(struct moat_isakmp *sa, unsigned int number, struct moat_view proof)
{
	struct moat_identity wanted = wanted_identity(
		sa->tunnel, &sa->remote.addr, moat_blob_view(&sa->ids[!ours(sa)]));
	uint8_t hash[MOAT_HASH_LEN_MAX];
	struct moat_mismatch why = { .n_diff = 0 };
	struct moat_id peer;
	int ret;

	if (auth_hash(sa, !sa->initiator, hash))
		return -1;
	if (method(sa) == MOAT_METHOD_RSA_SIG)
		ret = moat_sig_verify(sa, moat_view(hash, sa->keys.len), proof, &wanted);
	else
		ret = verify_hash(sa, hash, proof);
	if (ret == MOAT_AUTH_LATER)
		return ret;
	if (ret) {
		snprintf(why.text, sizeof(why.text), "%s", sa->verdict_text);
		return wrong(sa, number, MOAT_N_AUTHENTICATION_FAILED, &why);
	}
	if (moat_id_parse(moat_blob_view(&sa->ids[!ours(sa)]), &peer, NULL))
		return -1;
	if (!right_identity(sa, &wanted, &peer, &why))
		return wrong(sa, number, MOAT_N_INVALID_ID_INFORMATION, &why);
	sa->verified = true;
	return 0;
}
