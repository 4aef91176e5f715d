// SPDX-License-Identifier: GPL-2.0-or-later
/* Main mode with a pre-shared key, both roles: RFC 2409 sections 5 and 5.4. */
#include "ike/dh.h"
#include "ike/ike1.h"

#include <stdio.h>
#include <string.h>

/* Index of an initiator's and a responder's values. */
static int ours(const struct moat_isakmp *sa)
{
	return sa->initiator ? 0 : 1;
}

static struct moat_ike_want want(const struct moat_tunnel *tunnel)
{
	return (struct moat_ike_want){
		.algs = &tunnel->conf.ike,
		.method = tunnel->conf.auth,
		.life_seconds = tunnel->conf.ike_lifetime,
	};
}

static void no_answer(struct moat_ike *ike, void *owner)
{
	struct moat_isakmp *sa = owner;
	char why[96];

	(void)ike;
	if (moat_ike1_again(sa, &sa->flight, "main", sa->initiator))
		return;
	if (sa->hint[0])
		snprintf(why, sizeof(why), "no valid answer to message %u",
			 sa->flight.number);
	else
		snprintf(why, sizeof(why), "no valid answer to message %u after %u tries",
			 sa->flight.number, sa->flight.tries);
	moat_isakmp_fail(sa, why);
}

static void watch(struct moat_isakmp *sa)
{
	sa->flight.timer.fire = no_answer;
	sa->flight.timer.owner = sa;
	moat_ike1_retransmit(sa->ike, &sa->flight);
}

/* ---- messages 1 and 2: the proposals ---- */

static const char *unsupported(const struct moat_tunnel_conf *conf)
{
	if (conf->action != MOAT_ACTION_PROTECT)
		return "it protects nothing";
	if (conf->exchange != MOAT_EXCHANGE_MAIN)
		return "exchange = \"aggressive\" is not there yet";
	if (conf->auth != MOAT_METHOD_PSK)
		return "only auth = \"psk\" is there yet";
	if (!conf->n_remote)
		return "a tunnel with remote = \"any\" can only answer";
	if (!conf->local.len)
		return "a tunnel with local = \"any\" can only answer";
	return NULL;
}

void moat_main_start(struct moat_tunnel *tunnel)
{
	struct moat_ike *ike = tunnel->ike;
	const char *why = unsupported(&tunnel->conf);
	struct moat_ike_want wanted = want(tunnel);
	struct moat_ike1_out out;
	struct moat_isakmp *sa;
	char name[MOAT_ISAKMP_STRLEN];

	if (why) {
		moat_act_log(ike->acts, MOAT_LOG_WARN, "ike-cannot-start",
			     tunnel->conf.name, "%s", why);
		moat_peer_failed(tunnel, why);
		return;
	}
	sa = moat_isakmp_new(tunnel, true);
	sa->local.addr = tunnel->conf.local;
	sa->local.port = MOAT_IKE_PORT;
	sa->remote.addr = tunnel->conf.remote[tunnel->remote % tunnel->conf.n_remote];
	sa->remote.port = MOAT_IKE_PORT;
	moat_core_random(ike, sa->cky.i, MOAT_COOKIE_LEN);
	sa->cky.i[0] |= 0x80; /* a cookie is never zero */
	moat_act_log(ike->acts, MOAT_LOG_INFO, "ike-start", tunnel->conf.name,
		     "phase 1 begins as initiator, main mode; %s",
		     moat_isakmp_name(sa, name));
	moat_ike1_begin(&out, sa, MOAT_X_MAIN, 0, false);
	moat_ike_offer_build(&out.b, &wanted);
	/* SAi_b goes into both HASHes: the whole offer as it was sent. */
	moat_blob_set(&sa->sai, out.buf + MOAT_HDR_LEN + MOAT_GENERIC_LEN,
		      out.b.used - MOAT_HDR_LEN - MOAT_GENERIC_LEN);
	if (moat_ike1_send(&out, sa, &sa->flight, NULL, 1, MOAT_MM_NO_STATE))
		moat_isakmp_fail(sa, "message 1 could not be written");
	else
		watch(sa);
}

/*
 * Peers that hold back message 3 for good must not fill our memory. The oldest
 * one that has not shown our cookie goes first: its sender may be forged.
 */
static void limit_half_open(struct moat_ike *ike, const struct moat_addr *addr)
{
	struct moat_isakmp *victim = NULL;
	struct moat_isakmp *sa;
	unsigned int count = 0;

	TAILQ_FOREACH(sa, &ike->isakmps, link) {
		if (sa->initiator || sa->state == MOAT_QM_IDLE ||
		    !moat_addr_equal(&sa->remote.addr, addr))
			continue;
		count++;
		if (!victim ||
		    (victim->state != MOAT_MM_SA_SETUP && sa->state == MOAT_MM_SA_SETUP))
			victim = sa;
	}
	if (count >= MOAT_HALF_OPEN_MAX) {
		ike->refused[MOAT_REFUSE_LIMIT]++;
		moat_isakmp_remove(victim);
	}
}

static bool serves(const struct moat_tunnel *tunnel, const struct moat_ike1_in *in)
{
	const struct moat_tunnel_conf *conf = &tunnel->conf;

	if (tunnel->down || conf->action != MOAT_ACTION_PROTECT ||
	    conf->exchange != MOAT_EXCHANGE_MAIN || conf->auth != MOAT_METHOD_PSK)
		return false;
	if (conf->local.len && !moat_addr_equal(&conf->local, &in->local.addr))
		return false;
	for (unsigned int i = 0; i < conf->n_remote; i++) {
		if (moat_addr_equal(&conf->remote[i], &in->remote.addr))
			return true;
	}
	return false;
}

static struct moat_tunnel *next_serving(struct moat_tunnel *tunnel,
					const struct moat_ike1_in *in)
{
	while (tunnel && !serves(tunnel, in))
		tunnel = TAILQ_NEXT(tunnel, link);
	return tunnel;
}

struct moat_isakmp *moat_main_accept(struct moat_ike1_in *in)
{
	struct moat_ike *ike = in->ike;
	struct moat_tunnel *tunnel = next_serving(TAILQ_FIRST(&ike->tunnels), in);
	char local[MOAT_ADDR_STRLEN];
	char remote[MOAT_ADDR_STRLEN];
	struct moat_isakmp *sa;

	if (!tunnel) {
		ike->refused[MOAT_REFUSE_UNKNOWN]++;
		if (moat_core_calm(ike))
			moat_act_log(
				ike->acts, MOAT_LOG_INFO, "ike-unknown-peer", NULL,
				"message 1 of main mode from %s to %s: no tunnel has "
				"these addresses and main mode with a pre-shared key, "
				"or the operator took it down",
				moat_addr_str(&in->remote.addr, remote),
				moat_addr_str(&in->local.addr, local));
		return NULL;
	}
	limit_half_open(ike, &in->remote.addr);
	sa = moat_isakmp_new(tunnel, false);
	sa->local = in->local;
	sa->remote = in->remote;
	sa->marker = in->marker;
	memcpy(sa->cky.i, in->hdr.cookie_i, MOAT_COOKIE_LEN);
	return sa;
}

static void explain(struct moat_isakmp *sa, const char *what,
		    const struct moat_mismatch *why)
{
	char addr[MOAT_ADDR_STRLEN];

	sa->ike->refused[MOAT_REFUSE_CHOICE]++;
	moat_act_log(sa->ike->acts, MOAT_LOG_WARN, "ike-no-proposal",
		     sa->tunnel->conf.name, "phase 1 with %s: %s%s (%s:%u)",
		     moat_addr_str(&sa->remote.addr, addr), what, why->text,
		     sa->tunnel->conf.file, sa->tunnel->conf.line);
}

int moat_main_verify_1(struct moat_ike1_in *in)
{
	struct moat_isakmp *sa = in->sa;
	const struct moat_payload *p = moat_message_find(&in->msg, MOAT_P_SA);
	struct moat_tunnel *tunnel = sa->tunnel;
	struct moat_sa_payload offer;
	struct moat_mismatch why;
	struct moat_mismatch first;

	if (moat_sa_parse(p->body, &offer, &in->no))
		return -1;
	for (; tunnel; tunnel = next_serving(TAILQ_NEXT(tunnel, link), in)) {
		struct moat_ike_want wanted = want(tunnel);

		if (!moat_ike_choose(&wanted, &offer, MOAT_SA_OFFER, &in->choice, &why))
			break;
		if (tunnel == sa->tunnel)
			first = why;
	}
	if (!tunnel) {
		explain(sa, "", &first);
		moat_info_refuse(in, MOAT_N_NO_PROPOSAL_CHOSEN);
		return -1;
	}
	sa->tunnel = tunnel;
	sa->alg = in->choice.alg;
	sa->life = in->choice.life_seconds;
	moat_blob_set(&sa->sai, p->body.data, p->body.len);
	return 0;
}

void moat_main_answer_1(struct moat_ike1_in *in)
{
	struct moat_isakmp *sa = in->sa;
	struct moat_ike1_out out;

	moat_core_random(sa->ike, sa->cky.r, MOAT_COOKIE_LEN);
	sa->cky.r[0] |= 0x80;
	moat_ike1_begin(&out, sa, MOAT_X_MAIN, 0, false);
	moat_ike_answer_build(&out.b, &in->choice);
	if (moat_ike1_send(&out, sa, &sa->flight, NULL, 2, in->row->sent))
		moat_isakmp_fail(sa, "message 2 could not be written");
}

int moat_main_verify_2(struct moat_ike1_in *in)
{
	static const uint8_t none[MOAT_COOKIE_LEN];
	struct moat_isakmp *sa = in->sa;
	const struct moat_payload *p = moat_message_find(&in->msg, MOAT_P_SA);
	struct moat_ike_want wanted = want(sa->tunnel);
	struct moat_sa_payload answer;
	struct moat_mismatch why;

	if (!memcmp(in->hdr.cookie_r, none, MOAT_COOKIE_LEN))
		return moat_refuse(&in->no, MOAT_REFUSE_COOKIE,
				   "message 2 has no responder cookie");
	if (moat_sa_parse(p->body, &answer, &in->no))
		return -1;
	if (moat_ike_choose(&wanted, &answer, MOAT_SA_ANSWER, &in->choice, &why)) {
		explain(sa, "message 2 chooses what we did not offer: ", &why);
		return -1;
	}
	memcpy(sa->cky.r, in->hdr.cookie_r, MOAT_COOKIE_LEN);
	sa->alg = in->choice.alg;
	sa->life = in->choice.life_seconds;
	return 0;
}

/* ---- messages 3 and 4: Diffie-Hellman and nonces ---- */

int moat_main_verify_ke(struct moat_ike1_in *in)
{
	struct moat_isakmp *sa = in->sa;
	const struct moat_payload *ke = moat_message_find(&in->msg, MOAT_P_KE);
	const struct moat_payload *nonce = moat_message_find(&in->msg, MOAT_P_NONCE);
	int peer = !ours(sa);

	if (moat_nonce_check(nonce->body, &in->no) ||
	    moat_dh_check(sa->alg.group, ke->body, &in->no))
		return -1;
	moat_blob_set(&sa->ke[peer], ke->body.data, ke->body.len);
	moat_blob_set(&sa->nonces[peer], nonce->body.data, nonce->body.len);
	return 0;
}

static void derive(struct moat_isakmp *sa);

static void send_ke(struct moat_isakmp *sa)
{
	struct moat_ike1_out out;
	enum moat_state after = sa->initiator ? MOAT_MM_SA_SETUP : MOAT_MM_KEY_EXCH;

	moat_ike1_begin(&out, sa, MOAT_X_MAIN, 0, false);
	moat_build_payload(&out.b, MOAT_P_KE, moat_blob_view(&sa->ke[ours(sa)]));
	moat_build_payload(&out.b, MOAT_P_NONCE, moat_blob_view(&sa->nonces[ours(sa)]));
	if (moat_ike1_send(&out, sa, &sa->flight, NULL, sa->initiator ? 3 : 4, after))
		moat_isakmp_fail(sa, "message with KE and NONCE could not be written");
	else if (sa->initiator)
		watch(sa);
	else
		derive(sa);
}

static void have_dh(struct moat_ike *ike, void *owner, const struct moat_event *event)
{
	struct moat_isakmp *sa = owner;
	uint8_t nonce[MOAT_NONCE_LEN];

	sa->pending = 0;
	if (!event->answer.ok || event->answer.len != moat_dh_public_len(sa->alg.group)) {
		moat_isakmp_fail(sa, "no Diffie-Hellman value could be computed");
		return;
	}
	moat_blob_set(&sa->ke[ours(sa)], event->answer.data, event->answer.len);
	moat_blob_set(&sa->dh_private, event->answer.secret, event->answer.secret_len);
	moat_core_random(ike, nonce, sizeof(nonce));
	moat_blob_set(&sa->nonces[ours(sa)], nonce, sizeof(nonce));
	send_ke(sa);
}

void moat_main_answer_ke(struct moat_ike1_in *in)
{
	struct moat_act *act = moat_act_new(in->ike->acts, MOAT_ACT_DH_GENERATE);

	act->dh_generate.group = in->sa->alg.group;
	in->sa->pending = 1;
	moat_core_ask(in->ike, act, in->sa, have_dh);
}

/* ---- keys ---- */

static void send_auth(struct moat_isakmp *sa);

static void have_keys(struct moat_isakmp *sa)
{
	const struct moat_blob *ke = sa->ke;

	if (moat_skeys_derive(&sa->alg, sa->skeyid.data, moat_blob_view(&sa->gxy),
			      &sa->cky, &sa->keys) ||
	    moat_iv_phase1(&sa->alg, moat_blob_view(&ke[0]), moat_blob_view(&ke[1]),
			   sa->iv)) {
		moat_isakmp_fail(sa, "the keys could not be derived");
		return;
	}
	sa->has_keys = true;
	if (sa->initiator)
		send_auth(sa);
	else
		moat_ike1_held(sa);
}

static void have_secret(struct moat_ike *ike, void *owner, const struct moat_event *event)
{
	struct moat_isakmp *sa = owner;

	(void)ike;
	if (!event->answer.ok) {
		moat_isakmp_fail(sa, event->answer.text ? event->answer.text
							: "no shared secret");
		return;
	}
	moat_blob_set(&sa->gxy, event->answer.data, event->answer.len);
	if (--sa->pending == 0)
		have_keys(sa);
}

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
	if (--sa->pending == 0)
		have_keys(sa);
}

static void ask_secret(struct moat_isakmp *sa)
{
	struct moat_act *act = moat_act_new(sa->ike->acts, MOAT_ACT_DH_SHARED);
	const struct moat_blob *peer = &sa->ke[!ours(sa)];

	act->dh_shared.group = sa->alg.group;
	act->dh_shared.secret = moat_dup(sa->dh_private.data, sa->dh_private.len);
	act->dh_shared.secret_len = sa->dh_private.len;
	act->dh_shared.peer = moat_dup(peer->data, peer->len);
	act->dh_shared.peer_len = peer->len;
	moat_blob_clear(&sa->dh_private);
	moat_core_ask(sa->ike, act, sa, have_secret);
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

static void derive(struct moat_isakmp *sa)
{
	sa->pending = 2;
	ask_secret(sa);
	ask_skeyid(sa);
}

void moat_main_derive(struct moat_ike1_in *in)
{
	derive(in->sa);
}

/* ---- messages 5 and 6: identities ---- */

static int auth_hash(struct moat_isakmp *sa, bool of_initiator, struct moat_view id,
		     uint8_t *hash)
{
	struct moat_auth_input input = {
		.gxi = moat_blob_view(&sa->ke[0]),
		.gxr = moat_blob_view(&sa->ke[1]),
		.cky = &sa->cky,
		.sai = moat_blob_view(&sa->sai),
		.id = id,
	};

	return of_initiator ? moat_hash_i(&sa->keys, &input, hash)
			    : moat_hash_r(&sa->keys, &input, hash);
}

/* We know of nothing that we share with this peer: whatever it has is stale. */
static void add_initial_contact(struct moat_isakmp *sa, struct moat_build *b)
{
	uint8_t spi[2 * MOAT_COOKIE_LEN];

	if (!sa->initiator || moat_peer_has_children(sa->tunnel) ||
	    moat_isakmp_ready(sa->tunnel))
		return;
	memcpy(spi, sa->cky.i, MOAT_COOKIE_LEN);
	memcpy(spi + MOAT_COOKIE_LEN, sa->cky.r, MOAT_COOKIE_LEN);
	moat_build_notify(b, MOAT_PROTO_ISAKMP, MOAT_N_INITIAL_CONTACT,
			  moat_view(spi, sizeof(spi)), moat_view(NULL, 0));
}

static void send_auth(struct moat_isakmp *sa)
{
	uint8_t hash[MOAT_HASH_LEN_MAX];
	struct moat_blob id = { 0 };
	struct moat_ike1_out out;
	int failed;

	moat_ike1_id_body(&sa->tunnel->conf.local_id, &id);
	failed = auth_hash(sa, sa->initiator, moat_blob_view(&id), hash);
	moat_ike1_begin(&out, sa, MOAT_X_MAIN, 0, true);
	moat_build_payload(&out.b, MOAT_P_ID, moat_blob_view(&id));
	moat_build_payload(&out.b, MOAT_P_HASH, moat_view(hash, sa->keys.len));
	add_initial_contact(sa, &out.b);
	moat_blob_clear(&id);
	if (failed || moat_ike1_send(&out, sa, &sa->flight, sa->iv, sa->initiator ? 5 : 6,
				     sa->state))
		moat_isakmp_fail(sa, "message with ID and HASH could not be written");
	else if (sa->initiator)
		watch(sa);
}

static int wrong_auth(struct moat_ike1_in *in, uint16_t notify, const char *text)
{
	struct moat_isakmp *sa = in->sa;
	char name[MOAT_ISAKMP_STRLEN];

	in->ike->refused[MOAT_REFUSE_HASH]++;
	snprintf(sa->hint, sizeof(sa->hint), "%s", text);
	if (sa->told)
		return -1;
	sa->told = true;
	moat_act_log(in->ike->acts, MOAT_LOG_WARN, "ike-auth-failed",
		     sa->tunnel->conf.name, "message %u: %s (%s:%u); %s", in->row->number,
		     text, sa->tunnel->conf.file, sa->tunnel->conf.line,
		     moat_isakmp_name(sa, name));
	if (sa->initiator)
		moat_ike1_give_up(sa->ike, &sa->flight);
	else
		moat_info_refuse_auth(sa, notify);
	return -1;
}

static bool same_identity(const struct moat_identity *want, const struct moat_id *id)
{
	return want->type == id->type &&
	       moat_view_equal(moat_view(want->data, want->len), id->data);
}

/* The one place where a peer's authentication is verified. */
int moat_main_verify_auth(struct moat_ike1_in *in)
{
	struct moat_isakmp *sa = in->sa;
	const struct moat_payload *id = moat_message_find(&in->msg, MOAT_P_ID);
	const struct moat_payload *p = moat_message_find(&in->msg, MOAT_P_HASH);
	struct moat_identity wanted = sa->tunnel->conf.remote_id;
	char have[MOAT_IDENTITY_STRLEN];
	char want_text[MOAT_IDENTITY_STRLEN];
	uint8_t hash[MOAT_HASH_LEN_MAX];
	struct moat_id peer;
	char text[400];

	if (p->body.len != sa->keys.len ||
	    auth_hash(sa, !sa->initiator, id->body, hash) ||
	    !moat_secret_equal(hash, p->body.data, sa->keys.len))
		return wrong_auth(
			in, MOAT_N_AUTHENTICATION_FAILED,
			"HASH is wrong: the pre-shared keys most likely differ");
	if (moat_id_parse(id->body, &peer, &in->no))
		return -1;
	/* A tunnel with several remotes demands the address that is in use. */
	if (!wanted.type)
		moat_identity_from_addr(&sa->remote.addr, &wanted);
	if (!same_identity(&wanted, &peer)) {
		snprintf(text, sizeof(text),
			 "the peer calls itself %s, remote-id demands %s",
			 moat_identity_str(peer.type, peer.data, have),
			 moat_identity_str(wanted.type,
					   moat_view(wanted.data, wanted.len),
					   want_text));
		return wrong_auth(in, MOAT_N_INVALID_ID_INFORMATION, text);
	}
	sa->verified = true;
	return 0;
}

void moat_main_finish(struct moat_ike1_in *in)
{
	struct moat_isakmp *sa = in->sa;
	const struct moat_payload *p;
	struct moat_notify n;

	if (!sa->initiator)
		send_auth(sa);
	if (sa->dead)
		return;
	moat_payload_for_each(p, &in->msg) {
		if (p->type == MOAT_P_NOTIFY && !moat_notify_parse(p->body, &n, NULL) &&
		    n.type == MOAT_N_INITIAL_CONTACT)
			moat_info_initial_contact(sa);
	}
	moat_isakmp_established(sa);
}
