// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Phase 1: what main and aggressive mode have in common, RFC 2409 section 5.
 * Their messages are in ike1_main.c and ike1_aggressive.c, who the peer is in
 * ike1_auth.c.
 */
#include "ike/dh.h"
#include "ike/ike1.h"

#include <stdio.h>
#include <string.h>

/* Index of an initiator's and a responder's values. */
static int ours(const struct moat_isakmp *sa)
{
	return sa->initiator ? 0 : 1;
}

struct moat_ike_want moat_phase1_want(const struct moat_tunnel *tunnel)
{
	const struct moat_tunnel_conf *conf = &tunnel->conf;
	bool fixed = conf->exchange == MOAT_EXCHANGE_AGGRESSIVE && conf->ike.count;

	return (struct moat_ike_want){
		.algs = &conf->ike,
		.method = conf->auth,
		.life_seconds = tunnel->terms.ike_lifetime,
		.group = fixed ? conf->ike.alg[0].group : MOAT_GROUP_NONE,
	};
}

uint8_t moat_phase1_exchange(const struct moat_tunnel_conf *conf)
{
	return conf->exchange == MOAT_EXCHANGE_AGGRESSIVE ? MOAT_X_AGGRESSIVE
							  : MOAT_X_MAIN;
}

static void no_answer(struct moat_ike *ike, void *owner)
{
	struct moat_isakmp *sa = owner;
	char why[96];

	(void)ike;
	if (moat_ike1_again(sa, &sa->flight, moat_exchange_name(sa->exchange),
			    sa->initiator))
		return;
	/* The last message has no answer: it was repeated in case it was lost. */
	if (sa->state == MOAT_QM_IDLE)
		return;
	if (sa->hint[0])
		snprintf(why, sizeof(why), "no valid answer to message %u",
			 sa->flight.number);
	else
		snprintf(why, sizeof(why), "no valid answer to message %u after %u tries",
			 sa->flight.number, sa->flight.tries);
	/* Not everybody tells: it is the first message that the peer had to decrypt. */
	if (!sa->hint[0] && sa->initiator && sa->flight.number == 5)
		moat_auth_unheard(sa);
	moat_isakmp_fail(sa, why);
}

void moat_phase1_watch(struct moat_isakmp *sa)
{
	sa->flight.timer.fire = no_answer;
	sa->flight.timer.owner = sa;
	moat_ike1_retransmit(sa->ike, &sa->flight);
}

/* ---- beginning ---- */

static const char *unsupported(const struct moat_tunnel_conf *conf)
{
	if (conf->action != MOAT_ACTION_PROTECT)
		return "it protects nothing";
	if (!moat_auth_supported(conf->auth))
		return "its method of authentication is not there yet";
	if (!conf->n_remote)
		return "no address of its peer is known yet: its name was not resolved";
	if (!conf->local.len)
		return "we have no address yet that leads to the peer";
	return NULL;
}

/* Zero says that there is none yet. */
static void draw_cookie(struct moat_ike *ike, uint8_t cookie[MOAT_COOKIE_LEN])
{
	static const uint8_t zero[MOAT_COOKIE_LEN];

	do {
		moat_core_random(ike, cookie, MOAT_COOKIE_LEN);
	} while (!memcmp(cookie, zero, sizeof(zero)));
}

/* Policies without SAs go along: IKE passes above them between their endpoints. */
static void lead_policies(const struct moat_isakmp *sa)
{
	struct moat_tunnel *other;

	TAILQ_FOREACH(other, &sa->ike->tunnels, link) {
		if (!moat_tunnel_same_peer(other, sa->tunnel))
			continue;
		for (unsigned int i = 0; i < other->conf.n_pairs; i++) {
			if (!other->pairs[i].current)
				moat_pair_ends(&other->pairs[i], &sa->local.addr,
					       &sa->remote.addr);
		}
	}
}

void moat_phase1_start(struct moat_tunnel *tunnel)
{
	struct moat_ike *ike = tunnel->ike;
	const char *why = unsupported(&tunnel->conf);
	struct moat_isakmp *sa;
	char name[MOAT_ISAKMP_STRLEN];

	if (why) {
		moat_act_log(ike->acts, MOAT_LOG_WARN, "ike-cannot-start",
			     tunnel->conf.name, "%s", why);
		moat_peer_failed(tunnel, why);
		return;
	}
	sa = moat_isakmp_new(tunnel, moat_phase1_exchange(&tunnel->conf), true);
	sa->local.addr = tunnel->conf.local;
	sa->local.port = MOAT_IKE_PORT;
	sa->remote.addr = tunnel->conf.remote[tunnel->remote % tunnel->conf.n_remote];
	sa->remote.port = MOAT_IKE_PORT;
	lead_policies(sa);
	moat_natt_begin(sa);
	/* In aggressive mode the first one is taken for granted. */
	if (sa->exchange == MOAT_X_AGGRESSIVE && tunnel->conf.ike.count)
		sa->alg = tunnel->conf.ike.alg[0];
	draw_cookie(ike, sa->cky.i);
	moat_act_log(ike->acts, MOAT_LOG_INFO, "ike-start", tunnel->conf.name,
		     "phase 1 begins as initiator, %s mode; %s",
		     moat_exchange_name(sa->exchange), moat_isakmp_name(sa, name));
	if (sa->exchange == MOAT_X_AGGRESSIVE)
		moat_phase1_generate(sa);
	else
		moat_main_begin(sa);
}

/* Has it shown that it sees what we send? Until then its address may be forged. */
static bool proved_address(const struct moat_isakmp *sa)
{
	return sa->state != MOAT_MM_SA_SETUP && sa->state != MOAT_AG_NO_STATE &&
	       sa->state != MOAT_AG_INIT_EXCH;
}

static bool near(const struct moat_isakmp *sa, const struct moat_addr *addr,
		 bool stranger)
{
	size_t prefix = addr->len == 4 ? 3 : 6;

	if (!stranger)
		return moat_addr_equal(&sa->remote.addr, addr);
	/* Strangers can have many addresses, but few networks. */
	return sa->tunnel->conf.any && sa->remote.addr.len == addr->len &&
	       !memcmp(sa->remote.addr.bytes, addr->bytes, prefix);
}

/**
 * struct crowd - ISAKMP SAs that are half open
 * @victim: the oldest one that has not shown our cookie, for it may be forged;
 *	or else the oldest one
 */
struct crowd {
	struct moat_isakmp *victim;
	unsigned int n;
};

static void join(struct crowd *crowd, struct moat_isakmp *sa)
{
	crowd->n++;
	if (!crowd->victim || (proved_address(crowd->victim) && !proved_address(sa)))
		crowd->victim = sa;
}

/*
 * Peers that hold back message 3 for good must not fill our memory; and strangers,
 * which a template lets in, must not be in the way of peers with an address.
 */
static void limit_half_open(struct moat_ike *ike, const struct moat_addr *addr,
			    bool stranger)
{
	struct crowd here = { 0 };
	struct crowd strangers = { 0 };
	struct moat_isakmp *sa;

	TAILQ_FOREACH(sa, &ike->isakmps, link) {
		if (sa->initiator || sa->state == MOAT_QM_IDLE)
			continue;
		if (near(sa, addr, stranger))
			join(&here, sa);
		if (stranger && sa->tunnel->conf.any)
			join(&strangers, sa);
	}
	if (here.n < MOAT_HALF_OPEN_MAX && strangers.n < MOAT_STRANGERS_MAX)
		return;
	ike->refused[MOAT_REFUSE_LIMIT]++;
	moat_isakmp_remove(here.n < MOAT_HALF_OPEN_MAX ? strangers.victim : here.victim);
}

/**
 * struct call - what a phase 1 that comes in shows of itself
 */
struct call {
	uint8_t exchange;
	const struct moat_addr *local;
	const struct moat_addr *remote;
};

static bool serves(const struct moat_tunnel *tunnel, const struct call *call)
{
	const struct moat_tunnel_conf *conf = &tunnel->conf;

	if (tunnel->down || conf->action != MOAT_ACTION_PROTECT || tunnel->template ||
	    moat_phase1_exchange(conf) != call->exchange ||
	    !moat_auth_supported(conf->auth))
		return false;
	return moat_addr_equal(&conf->local, call->local) &&
	       (conf->any || moat_conf_at(conf, call->remote));
}

/* The tunnels that have the peer's address come before those for any. */
static struct moat_tunnel *next_serving(struct moat_ike *ike, struct moat_tunnel *after,
					const struct call *call)
{
	struct moat_tunnel *tunnel =
		after ? TAILQ_NEXT(after, link) : TAILQ_FIRST(&ike->tunnels);
	bool any = after && after->conf.any;

	for (;;) {
		for (; tunnel; tunnel = TAILQ_NEXT(tunnel, link)) {
			if (tunnel->conf.any == any && serves(tunnel, call))
				return tunnel;
		}
		if (any)
			return NULL;
		any = true;
		tunnel = TAILQ_FIRST(&ike->tunnels);
	}
}

static struct call call_of(const struct moat_isakmp *sa)
{
	return (struct call){ sa->exchange, &sa->local.addr, &sa->remote.addr };
}

static bool may_have_chosen(const struct moat_tunnel *tunnel,
			    const struct moat_isakmp *sa)
{
	return tunnel->conf.auth == sa->tunnel->conf.auth &&
	       moat_ike_algs_have(&tunnel->conf.ike, &sa->alg);
}

/* How well a tunnel is meant for this peer: one that has its address, its name. */
static unsigned int fits(const struct moat_tunnel *tunnel, const struct moat_isakmp *sa)
{
	struct moat_view id = moat_blob_view(&sa->ids[!ours(sa)]);

	if (!moat_auth_is_peer(tunnel, &sa->remote.addr, id))
		return 0;
	if (!tunnel->conf.any)
		return 3;
	return tunnel->conf.remote_id.type ? 2 : 1;
}

/*
 * Main mode says who the peer is after all else is agreed on. With signatures its
 * certificate proves the name; a pre-shared key, chosen by the address, would prove
 * it for everybody who has that key. What is being verified keeps its tunnel.
 */
void moat_phase1_reselect(struct moat_isakmp *sa)
{
	struct call call = call_of(sa);
	struct moat_tunnel *best = sa->tunnel;
	struct moat_tunnel *tunnel = NULL;

	if (sa->initiator || sa->tunnel->conf.auth != MOAT_METHOD_RSA_SIG ||
	    sa->verdict != MOAT_SIG_UNKNOWN)
		return;
	while ((tunnel = next_serving(sa->ike, tunnel, &call))) {
		if (may_have_chosen(tunnel, sa) && fits(tunnel, sa) > fits(best, sa))
			best = tunnel;
	}
	sa->tunnel = best;
}

static struct moat_isakmp *half_open(const struct moat_ike1_in *in,
				     struct moat_tunnel *tunnel)
{
	struct moat_isakmp *sa = moat_isakmp_new(tunnel, in->hdr.exchange, false);

	sa->local = in->local;
	sa->remote = in->remote;
	sa->marker = in->marker;
	memcpy(sa->cky.i, in->hdr.cookie_i, MOAT_COOKIE_LEN);
	return sa;
}

/* Is the exchange all that its tunnel has otherwise? RFC 2408 section 5.2 */
static bool refuse_exchange(struct moat_ike1_in *in, struct call call)
{
	struct moat_mismatch why = { .key = MOAT_CONF_EXCHANGE, .n_diff = 1 };
	const char *theirs = moat_exchange_name(call.exchange);
	struct moat_tunnel *tunnel;
	const char *ours;

	call.exchange = call.exchange == MOAT_X_MAIN ? MOAT_X_AGGRESSIVE : MOAT_X_MAIN;
	tunnel = next_serving(in->ike, NULL, &call);
	if (!tunnel)
		return false;
	ours = moat_exchange_name(call.exchange);
	snprintf(why.text, sizeof(why.text),
		 "the peer begins in %s mode, we have %s mode; to accept: set exchange = "
		 "\"%s\"",
		 theirs, ours, theirs);
	why.diff[0].attribute = "exchange";
	snprintf(why.diff[0].offered, sizeof(why.diff[0].offered), "%s", theirs);
	snprintf(why.diff[0].ours, sizeof(why.diff[0].ours), "%s", ours);
	moat_act_explain(in->ike->acts, "ike-wrong-exchange", &tunnel->conf,
			 &in->remote.addr, &why, "phase 1");
	in->sa = half_open(in, tunnel);
	moat_info_refuse(in, MOAT_N_INVALID_EXCHANGE_TYPE);
	moat_isakmp_remove(in->sa);
	return true;
}

struct moat_isakmp *moat_phase1_accept(struct moat_ike1_in *in)
{
	struct moat_ike *ike = in->ike;
	struct call call = { in->hdr.exchange, &in->local.addr, &in->remote.addr };
	struct moat_tunnel *tunnel = next_serving(ike, NULL, &call);
	const char *exchange = moat_exchange_name(in->hdr.exchange);
	char local[MOAT_ADDR_STRLEN];
	char remote[MOAT_ADDR_STRLEN];

	if (tunnel) {
		limit_half_open(ike, &in->remote.addr, tunnel->conf.any);
		return half_open(in, tunnel);
	}
	ike->refused[MOAT_REFUSE_UNKNOWN]++;
	if (!refuse_exchange(in, call))
		moat_act_blame(
			moat_act_log(ike->acts, MOAT_LOG_INFO, "ike-unknown-peer", NULL,
				     "message 1 of %s mode from %s to %s: no tunnel has "
				     "these addresses, or the operator took it down",
				     exchange, moat_addr_str(&in->remote.addr, remote),
				     moat_addr_str(&in->local.addr, local)),
			&in->remote.addr);
	return NULL;
}

/* ---- the proposals ---- */

static void explain(struct moat_isakmp *sa, const char *what,
		    const struct moat_mismatch *why)
{
	sa->ike->refused[MOAT_REFUSE_CHOICE]++;
	moat_act_explain(sa->ike->acts, "ike-no-proposal", &sa->tunnel->conf,
			 &sa->remote.addr, why, "phase 1%s", what);
}

/* Proposals of other protocols are passed over, RFC 2408 section 5.5. */
static int check_protocol(struct moat_ike1_in *in, const struct moat_sa_payload *offer)
{
	for (unsigned int i = 0; i < offer->proposal_count; i++) {
		if (offer->proposals[i].protocol == MOAT_PROTO_ISAKMP)
			return 0;
	}
	return moat_refuse(&in->no, MOAT_REFUSE_PROTOCOL,
			   "the first of %u proposals is for protocol %u, none for "
			   "ISAKMP (%d)",
			   offer->proposal_count, offer->proposals[0].protocol,
			   MOAT_PROTO_ISAKMP);
}

int moat_phase1_verify_offer(struct moat_ike1_in *in)
{
	struct moat_isakmp *sa = in->sa;
	const struct moat_payload *p = moat_message_find(&in->msg, MOAT_P_SA);
	const struct moat_payload *id = moat_message_find(&in->msg, MOAT_P_ID);
	const struct moat_payload *ke = moat_message_find(&in->msg, MOAT_P_KE);
	struct call call = { in->hdr.exchange, &in->local.addr, &in->remote.addr };
	struct moat_tunnel *tunnel = sa->tunnel;
	struct moat_tunnel *named = NULL;
	struct moat_sa_payload offer;
	struct moat_mismatch why;
	struct moat_mismatch first;

	if (moat_sa_parse(p->body, &offer, &in->no) || check_protocol(in, &offer))
		return -1;
	for (; tunnel; tunnel = next_serving(in->ike, tunnel, &call)) {
		struct moat_ike_want wanted = moat_phase1_want(tunnel);

		/* Aggressive mode says at once who it is, and has chosen a group. */
		wanted.group = ke ? moat_dh_group_of(ke->body.len) : MOAT_GROUP_NONE;
		/* Encrypted, it says neither. */
		if (moat_enc_method(tunnel->conf.auth))
			wanted.group = MOAT_GROUP_NONE;
		else if (id && !moat_auth_is_peer(tunnel, &sa->remote.addr, id->body))
			continue;
		if (!moat_ike_choose(&wanted, &offer, MOAT_SA_OFFER, &in->choice, &why))
			break;
		if (!named) {
			named = tunnel;
			first = why;
		}
	}
	if (!tunnel && !named)
		return moat_auth_stranger(in, id->body);
	if (!tunnel) {
		sa->tunnel = named;
		explain(sa, "", &first);
		moat_info_refuse(in, MOAT_N_NO_PROPOSAL_CHOSEN);
		return -1;
	}
	sa->tunnel = tunnel;
	sa->alg = in->choice.alg;
	sa->life = in->choice.life_seconds;
	/* SAi_b goes into both HASHes: the whole offer as it was sent. */
	moat_blob_set(&sa->sai, p->body.data, p->body.len);
	moat_natt_take_vendor(in);
	moat_fragment_take_vendor(in);
	return 0;
}

int moat_phase1_verify_answer(struct moat_ike1_in *in)
{
	static const uint8_t none[MOAT_COOKIE_LEN];
	struct moat_isakmp *sa = in->sa;
	const struct moat_payload *p = moat_message_find(&in->msg, MOAT_P_SA);
	struct moat_ike_want wanted = moat_phase1_want(sa->tunnel);
	struct moat_sa_payload answer;
	struct moat_mismatch why;

	if (!memcmp(in->hdr.cookie_r, none, MOAT_COOKIE_LEN))
		return moat_refuse(&in->no, MOAT_REFUSE_COOKIE,
				   "message 2 has no responder cookie");
	if (moat_sa_parse(p->body, &answer, &in->no))
		return -1;
	if (moat_ike_choose(&wanted, &answer, MOAT_SA_ANSWER, &in->choice, &why)) {
		explain(sa, ": message 2 chooses what we did not offer", &why);
		moat_info_refuse(in, MOAT_N_NO_PROPOSAL_CHOSEN);
		return -1;
	}
	memcpy(sa->cky.r, in->hdr.cookie_r, MOAT_COOKIE_LEN);
	sa->alg = in->choice.alg;
	sa->life = in->choice.life_seconds;
	moat_natt_take_vendor(in);
	moat_fragment_take_vendor(in);
	return 0;
}

void moat_phase1_cookie(struct moat_isakmp *sa)
{
	draw_cookie(sa->ike, sa->cky.r);
}

/* ---- Diffie-Hellman and nonces ---- */

int moat_phase1_verify_values(struct moat_ike1_in *in)
{
	struct moat_isakmp *sa = in->sa;
	const struct moat_payload *ke = moat_message_find(&in->msg, MOAT_P_KE);
	const struct moat_payload *nonce = moat_message_find(&in->msg, MOAT_P_NONCE);
	int peer = !ours(sa);

	if (moat_enc_used(sa))
		return moat_enc_verify_values(in);
	if (moat_nonce_check(nonce->body, &in->no) ||
	    moat_dh_check(sa->alg.group, ke->body, &in->no))
		return -1;
	moat_blob_set(&sa->ke[peer], ke->body.data, ke->body.len);
	moat_blob_set(&sa->nonces[peer], nonce->body.data, nonce->body.len);
	return 0;
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
	if (sa->exchange == MOAT_X_AGGRESSIVE)
		moat_aggressive_have_values(sa);
	else
		moat_main_have_values(sa);
}

/* In aggressive mode work begins for an address that may be forged. */
bool moat_phase1_unproven(const struct moat_isakmp *sa)
{
	return !sa->initiator &&
	       (sa->exchange == MOAT_X_AGGRESSIVE || sa->tunnel->conf.any);
}

void moat_phase1_generate(struct moat_isakmp *sa)
{
	struct moat_act *act = moat_act_new(sa->ike->acts, MOAT_ACT_DH_GENERATE);

	act->unproven = moat_phase1_unproven(sa);
	act->dh_generate.group = sa->alg.group;
	sa->pending = 1;
	moat_core_ask(sa->ike, act, sa, have_dh);
}

void moat_phase1_put_values(struct moat_isakmp *sa, struct moat_build *b)
{
	if (moat_enc_used(sa)) {
		moat_enc_put_values(sa, b);
		return;
	}
	moat_build_payload(b, MOAT_P_KE, moat_blob_view(&sa->ke[ours(sa)]));
	moat_build_payload(b, MOAT_P_NONCE, moat_blob_view(&sa->nonces[ours(sa)]));
	moat_sig_put_requests(sa, b);
}

/* ---- keys ---- */

void moat_phase1_have_part(struct moat_isakmp *sa)
{
	const struct moat_blob *ke = sa->ke;

	if (--sa->pending)
		return;
	if (moat_auth_late_skeyid(sa) ||
	    moat_skeys_derive(&sa->alg, sa->skeyid.data, moat_blob_view(&sa->gxy),
			      &sa->cky, &sa->keys) ||
	    moat_iv_phase1(&sa->alg, moat_blob_view(&ke[0]), moat_blob_view(&ke[1]),
			   sa->iv)) {
		moat_isakmp_fail(sa, "the keys could not be derived");
		return;
	}
	sa->has_keys = true;
	moat_isakmp_name_key(sa);
	if (sa->exchange == MOAT_X_AGGRESSIVE)
		moat_aggressive_have_keys(sa);
	else
		moat_main_have_keys(sa);
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
	moat_phase1_have_part(sa);
}

static void ask_secret(struct moat_isakmp *sa)
{
	struct moat_act *act = moat_act_new(sa->ike->acts, MOAT_ACT_DH_SHARED);
	const struct moat_blob *peer = &sa->ke[!ours(sa)];

	act->unproven = moat_phase1_unproven(sa);
	act->dh_shared.group = sa->alg.group;
	act->dh_shared.secret = moat_dup(sa->dh_private.data, sa->dh_private.len);
	act->dh_shared.secret_len = sa->dh_private.len;
	act->dh_shared.peer = moat_dup(peer->data, peer->len);
	act->dh_shared.peer_len = peer->len;
	moat_blob_clear(&sa->dh_private);
	moat_core_ask(sa->ike, act, sa, have_secret);
}

void moat_phase1_derive(struct moat_isakmp *sa)
{
	sa->pending = 2;
	ask_secret(sa);
	moat_auth_skeyid(sa);
}

void moat_phase1_proved(struct moat_isakmp *sa)
{
	if (sa->exchange == MOAT_X_AGGRESSIVE)
		moat_aggressive_proved(sa);
	else
		moat_main_proved(sa);
}

/* ---- what comes with the last messages ---- */

/* We know of nothing that we share with this peer: whatever it has is stale. */
void moat_phase1_put_contact(struct moat_isakmp *sa, struct moat_build *b)
{
	uint8_t spi[2 * MOAT_COOKIE_LEN];

	if (!sa->initiator || moat_peer_known(sa))
		return;
	memcpy(spi, sa->cky.i, MOAT_COOKIE_LEN);
	memcpy(spi + MOAT_COOKIE_LEN, sa->cky.r, MOAT_COOKIE_LEN);
	moat_build_notify(b, MOAT_PROTO_ISAKMP, MOAT_N_INITIAL_CONTACT,
			  moat_view(spi, sizeof(spi)), moat_view(NULL, 0));
}

void moat_phase1_take_contact(struct moat_ike1_in *in)
{
	const struct moat_payload *p;
	struct moat_notify n;

	moat_payload_for_each(p, &in->msg) {
		if (p->type != MOAT_P_NOTIFY || moat_notify_parse(p->body, &n, NULL))
			continue;
		if (n.type == MOAT_N_INITIAL_CONTACT)
			moat_info_initial_contact(in->sa);
		else if (n.type == MOAT_N_RESPONDER_LIFETIME)
			moat_life_take(in->sa, &n);
	}
}
