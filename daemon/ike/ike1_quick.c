// SPDX-License-Identifier: GPL-2.0-or-later
/* Quick mode, both roles, with and without PFS: RFC 2409 section 5.5. */
#include "ike/dh.h"
#include "ike/ike1.h"
#include "ike/wild.h"

#include <stdio.h>
#include <string.h>

#define CROSSED_TRIES 4 /* then it is not for loss that there is no answer */

static int ours(const struct moat_quick *quick)
{
	return quick->initiator ? 0 : 1;
}

struct moat_sa_want moat_quick_want(const struct moat_tunnel_conf *conf,
				    const struct moat_isakmp *sa)
{
	return (struct moat_sa_want){
		.esp = &conf->esp,
		.ah = &conf->ah,
		.mode = conf->mode,
		.udp = moat_natt_udp(sa),
		.draft = moat_natt_draft(sa),
		.life_seconds = conf->lifetime,
		.life_kilobytes = conf->lifebytes / 1024,
	};
}

static void no_answer(struct moat_ike *ike, void *owner)
{
	struct moat_quick *quick = owner;
	char why[96];

	(void)ike;
	if (quick->initiator && quick->flight.tries >= CROSSED_TRIES &&
	    moat_quick_crossed(quick) &&
	    moat_isakmp_usable(quick->sa->tunnel) != quick->sa) {
		moat_quick_fail(quick, "the peer answers under a newer ISAKMP SA");
		return;
	}
	if (moat_ike1_again(quick->sa, &quick->flight, "quick", quick->initiator))
		return;
	snprintf(why, sizeof(why), "no valid answer to message %u after %u tries",
		 quick->flight.number, quick->flight.tries);
	if (quick->initiator)
		moat_isakmp_silent(quick, why);
	else
		moat_quick_fail(quick, why);
}

static void watch(struct moat_quick *quick)
{
	quick->flight.timer.fire = no_answer;
	quick->flight.timer.owner = quick;
	moat_ike1_retransmit(quick->sa->ike, &quick->flight);
}

/* ---- asking the kernel for an SPI and the workers for Diffie-Hellman ---- */

static void have_parts(struct moat_quick *quick);

/* Of a bundle the SPIs come in the order in which they were asked for. */
static void have_spi(struct moat_ike *ike, void *owner, const struct moat_event *event)
{
	struct moat_quick *quick = owner;
	struct moat_child_sa *sa = quick->sas;

	(void)ike;
	if (!event->answer.ok || !event->answer.spi) {
		moat_quick_fail(quick, event->answer.text ? event->answer.text
							  : "the kernel gave no SPI");
		return;
	}
	sa += sa->spi_in != 0;
	sa->spi_in = event->answer.spi;
	if (--quick->pending == 0)
		have_parts(quick);
}

static void have_dh(struct moat_ike *ike, void *owner, const struct moat_event *event)
{
	struct moat_quick *quick = owner;

	(void)ike;
	if (!event->answer.ok || event->answer.len != moat_dh_public_len(quick->group)) {
		moat_quick_fail(quick, "no Diffie-Hellman value could be computed");
		return;
	}
	moat_blob_set(&quick->ke[ours(quick)], event->answer.data, event->answer.len);
	moat_blob_set(&quick->dh_private, event->answer.secret, event->answer.secret_len);
	if (--quick->pending == 0)
		have_parts(quick);
}

static void ask_parts(struct moat_quick *quick)
{
	struct moat_ike *ike = quick->sa->ike;
	uint8_t nonce[MOAT_NONCE_LEN];
	struct moat_act *act;

	moat_pair_nonce(quick->pair, quick->initiator, nonce);
	moat_blob_set(&quick->nonces[ours(quick)], nonce, sizeof(nonce));
	for (unsigned int i = 0; i < quick->n_sas; i++) {
		act = moat_act_new(ike->acts, MOAT_ACT_SPI_ALLOC);
		act->spi_alloc.protocol = quick->sas[i].protocol == MOAT_PROTO_AH
						  ? MOAT_IPPROTO_AH
						  : MOAT_IPPROTO_ESP;
		act->spi_alloc.dst = quick->sa->local.addr;
		quick->pending++;
		moat_core_ask(ike, act, quick, have_spi);
	}
	if (quick->group == MOAT_GROUP_NONE)
		return;
	act = moat_act_new(ike->acts, MOAT_ACT_DH_GENERATE);
	act->dh_generate.group = quick->group;
	quick->pending++;
	moat_core_ask(ike, act, quick, have_dh);
}

static void install(struct moat_quick *quick);

static void have_secret(struct moat_ike *ike, void *owner, const struct moat_event *event)
{
	struct moat_quick *quick = owner;

	(void)ike;
	quick->pending--;
	if (!event->answer.ok) {
		moat_quick_fail(quick, event->answer.text ? event->answer.text
							  : "no shared secret");
		return;
	}
	moat_blob_set(&quick->gqmxy, event->answer.data, event->answer.len);
	install(quick);
}

/* KEYMAT needs g(qm)^xy first when there is PFS. */
static void derive(struct moat_quick *quick)
{
	const struct moat_blob *peer = &quick->ke[!ours(quick)];
	struct moat_act *act;

	if (quick->group == MOAT_GROUP_NONE) {
		install(quick);
		return;
	}
	act = moat_act_new(quick->sa->ike->acts, MOAT_ACT_DH_SHARED);
	act->dh_shared.group = quick->group;
	act->dh_shared.secret = moat_dup(quick->dh_private.data, quick->dh_private.len);
	act->dh_shared.secret_len = quick->dh_private.len;
	act->dh_shared.peer = moat_dup(peer->data, peer->len);
	act->dh_shared.peer_len = peer->len;
	moat_blob_clear(&quick->dh_private);
	quick->pending++;
	moat_core_ask(quick->sa->ike, act, quick, have_secret);
}

static void installed(struct moat_ike *ike, void *owner, const struct moat_event *event);

static void install(struct moat_quick *quick)
{
	struct moat_child_input input = {
		.pair = quick->pair,
		.sa = quick->sa,
		.selector = &quick->selector,
		.sas = quick->sas,
		.n_sas = quick->n_sas,
		.life_seconds = quick->life_seconds,
		.life_kilobytes = quick->life_kilobytes,
		.initiator = quick->initiator,
		.begun = quick->begun,
		.begun_at = quick->begun_at,
		.gqmxy = moat_blob_view(&quick->gqmxy),
		.ni = moat_blob_view(&quick->nonces[0]),
		.nr = moat_blob_view(&quick->nonces[1]),
	};

	quick->child = moat_child_new(&input);
	moat_blob_clear(&quick->gqmxy);
	if (!quick->child) {
		moat_quick_fail(quick, "KEYMAT could not be derived");
		return;
	}
	quick->child->quick = quick;
	quick->pending++;
	moat_child_add(quick->child, quick, installed);
}

/* ---- messages ---- */

static void build_ids(struct moat_quick *quick)
{
	const struct moat_selector *s = &quick->selector;

	moat_quick_id_build(&s->local, s->protocol, moat_quick_id_port(s->local_port),
			    &quick->ids[ours(quick)]);
	moat_quick_id_build(&s->remote, s->protocol, moat_quick_id_port(s->remote_port),
			    &quick->ids[!ours(quick)]);
}

static void build_rest(struct moat_quick *quick, struct moat_build *b)
{
	int me = ours(quick);

	moat_build_payload(b, MOAT_P_NONCE, moat_blob_view(&quick->nonces[me]));
	if (quick->group != MOAT_GROUP_NONE)
		moat_build_payload(b, MOAT_P_KE, moat_blob_view(&quick->ke[me]));
	for (unsigned int i = 0; i < 2 && quick->ids[0].len; i++)
		moat_build_payload(b, MOAT_P_ID, moat_blob_view(&quick->ids[i]));
	moat_natt_put_originals(quick, b);
}

static uint32_t spi_of(const struct moat_quick *quick, uint8_t protocol)
{
	for (unsigned int i = 0; i < quick->n_sas; i++) {
		if (quick->sas[i].protocol == protocol)
			return quick->sas[i].spi_in;
	}
	return 0;
}

static int send_1(struct moat_quick *quick)
{
	struct moat_isakmp *sa = quick->sa;
	struct moat_sa_want wanted = moat_quick_want(&quick->pair->tunnel->conf, sa);
	struct moat_ike1_out out;

	build_ids(quick);
	moat_ike1_begin(&out, sa, MOAT_X_QUICK, quick->message_id, true);
	moat_ike1_hash(&out, sa);
	moat_sa_offer_build(&out.b, &wanted, spi_of(quick, MOAT_PROTO_ESP),
			    spi_of(quick, MOAT_PROTO_AH));
	build_rest(quick, &out.b);
	if (!out.hash ||
	    moat_hash_1(&sa->keys, quick->message_id, moat_ike1_hashed(&out), out.hash))
		return -1;
	quick->state = MOAT_QUICK_SENT_1;
	quick->asked_at = sa->ike->now;
	return moat_ike1_send(&out, sa, &quick->flight, quick->iv, 1, sa->state);
}

/* The choice is made again from the offer: its views must not outlive a step. */
static int send_2(struct moat_quick *quick)
{
	struct moat_isakmp *sa = quick->sa;
	struct moat_sa_want wanted = moat_quick_want(&quick->pair->tunnel->conf, sa);
	struct moat_sa_payload offer;
	struct moat_sa_choice choice;
	struct moat_ike1_out out;

	if (moat_sa_parse(moat_blob_view(&quick->offer), &offer, NULL) ||
	    moat_sa_choose(&wanted, &offer, MOAT_SA_OFFER, &choice,
			   &(struct moat_mismatch){ 0 }))
		return -1;
	moat_ike1_begin(&out, sa, MOAT_X_QUICK, quick->message_id, true);
	moat_ike1_hash(&out, sa);
	moat_sa_answer_build(&out.b, &choice, spi_of(quick, MOAT_PROTO_ESP),
			     spi_of(quick, MOAT_PROTO_AH));
	build_rest(quick, &out.b);
	if (choice.shortened && quick->n_sas)
		moat_sa_lifetime_build(&out.b, &choice, quick->sas[0].protocol,
				       quick->sas[0].spi_in);
	if (!out.hash ||
	    moat_hash_2(&sa->keys, quick->message_id, moat_blob_view(&quick->nonces[0]),
			moat_ike1_hashed(&out), out.hash))
		return -1;
	quick->state = MOAT_QUICK_SENT_2;
	return moat_ike1_send(&out, sa, &quick->flight, quick->iv, 2, sa->state);
}

static int send_3(struct moat_quick *quick)
{
	struct moat_isakmp *sa = quick->sa;
	struct moat_ike1_out out;

	moat_ike1_begin(&out, sa, MOAT_X_QUICK, quick->message_id, true);
	moat_ike1_hash(&out, sa);
	if (!out.hash ||
	    moat_hash_3(&sa->keys, quick->message_id, moat_blob_view(&quick->nonces[0]),
			moat_blob_view(&quick->nonces[1]), out.hash))
		return -1;
	return moat_ike1_send(&out, sa, &quick->flight, quick->iv, 3, sa->state);
}

/* SPI and public value are there: message 1 goes out, or message 2 is prepared. */
static void have_parts(struct moat_quick *quick)
{
	if (!quick->initiator)
		derive(quick);
	else if (send_1(quick))
		moat_quick_fail(quick, "message 1 could not be written");
	else
		watch(quick);
}

static void switched(struct moat_ike *ike, void *owner, const struct moat_event *event)
{
	struct moat_quick *quick = owner;

	(void)ike;
	quick->pending--;
	if (!event->answer.ok)
		moat_child_end(quick->child, true, event->answer.text);
	else
		moat_quick_settle(quick);
}

void moat_quick_complete(struct moat_quick *quick)
{
	moat_timer_stop(&quick->sa->ike->timers, &quick->flight.timer);
	quick->waiting = false;
	quick->pending++;
	if (moat_child_complete(quick->child, quick, switched))
		return;
	quick->pending--;
	moat_quick_settle(quick);
}

/*
 * Others install their SAs at message 3, so that goes first. What the policy held
 * for its first SA follows when the peer has had time; a rekey, which has an SA to
 * send on, waits longer.
 */
static void finish_initiator(struct moat_quick *quick)
{
	if (send_3(quick))
		moat_quick_fail(quick, "message 3 could not be written");
	else if (quick->pair->current || quick->sa->moat)
		moat_quick_complete(quick);
	else
		moat_ready_wait(quick);
}

static void installed(struct moat_ike *ike, void *owner, const struct moat_event *event)
{
	struct moat_quick *quick = owner;

	(void)ike;
	quick->pending--;
	if (!event->answer.ok) {
		quick->child->in_added = false;
		moat_quick_fail(quick, event->answer.text ? event->answer.text
							  : "the kernel refused the SA");
		return;
	}
	if (!quick->initiator) {
		if (send_2(quick))
			moat_quick_fail(quick, "message 2 could not be written");
		else
			watch(quick);
		return;
	}
	finish_initiator(quick);
}

void moat_quick_start(struct moat_pair *pair, struct moat_isakmp *sa)
{
	struct moat_quick *quick = moat_quick_new(sa, moat_isakmp_message_id(sa), true);
	struct moat_sa_want wanted = moat_quick_want(&pair->tunnel->conf, sa);

	quick->pair = pair;
	pair->quick = quick;
	/* What the peer has narrowed it would not take back whole. */
	quick->selector = pair->tunnel->conf.narrow && pair->current
				  ? pair->current->selector
				  : pair->selector;
	quick->group = moat_sa_want_group(&wanted);
	if (wanted.ah->count)
		quick->sas[quick->n_sas++].protocol = MOAT_PROTO_AH;
	if (wanted.esp->count)
		quick->sas[quick->n_sas++].protocol = MOAT_PROTO_ESP;
	if (wanted.ah->count && wanted.udp)
		moat_quick_fail(quick, "AH protects the addresses that the NAT between "
				       "us changes: use ESP alone");
	else
		ask_parts(quick);
}

/* ---- message 1 arrives ---- */

int moat_quick_refuse(struct moat_ike1_in *in, uint16_t notify)
{
	in->quick->notify = notify;
	in->ike->refused[MOAT_REFUSE_CHOICE]++;
	return -1;
}

static void explain(struct moat_ike1_in *in, const struct moat_tunnel *tunnel,
		    const char *what, const struct moat_mismatch *why)
{
	moat_act_explain(in->ike->acts, "quick-no-proposal", &tunnel->conf,
			 &in->sa->remote.addr, why, "%s", what);
	in->quick->told = true;
	moat_quick_refuse(in, MOAT_N_NO_PROPOSAL_CHOSEN);
}

/* NONCE and KE; a KE must be there exactly when a group was agreed on. */
static int read_values(struct moat_ike1_in *in, enum moat_group group)
{
	struct moat_quick *quick = in->quick;
	const struct moat_payload *nonce = moat_message_find(&in->msg, MOAT_P_NONCE);
	const struct moat_payload *ke = moat_message_find(&in->msg, MOAT_P_KE);
	int peer = !ours(quick);

	if (moat_nonce_check(nonce->body, &in->no))
		return -1;
	if (!ke != (group == MOAT_GROUP_NONE))
		return moat_refuse(&in->no, MOAT_REFUSE_KEY,
				   ke ? "KE without a group in the proposal"
				      : "a group in the proposal without KE");
	if (ke && moat_dh_check(group, ke->body, &in->no))
		return -1;
	moat_blob_set(&quick->nonces[peer], nonce->body.data, nonce->body.len);
	if (ke)
		moat_blob_set(&quick->ke[peer], ke->body.data, ke->body.len);
	quick->group = group;
	return 0;
}

static void keep_pick(struct moat_child_sa *sa, uint8_t protocol,
		      const struct moat_sa_pick *pick)
{
	sa->protocol = protocol;
	sa->alg = pick->alg;
	sa->spi_out = pick->spi;
}

static void keep_choice(struct moat_quick *quick, const struct moat_sa_choice *choice)
{
	quick->n_sas = 0;
	if (choice->has_ah)
		keep_pick(&quick->sas[quick->n_sas++], MOAT_PROTO_AH, &choice->ah);
	if (choice->has_esp)
		keep_pick(&quick->sas[quick->n_sas++], MOAT_PROTO_ESP, &choice->esp);
	quick->life_seconds = choice->life_seconds;
	quick->life_kilobytes = choice->life_kilobytes;
}

int moat_quick_verify_1(struct moat_ike1_in *in)
{
	struct moat_quick *quick = in->quick;
	const struct moat_payload *p = moat_message_find(&in->msg, MOAT_P_SA);
	struct moat_selector selector;
	struct moat_sa_payload offer;
	struct moat_sa_choice choice;
	struct moat_mismatch why;
	struct moat_sa_want wanted;
	struct moat_pair *pair;

	if (moat_sa_parse(p->body, &offer, &in->no))
		return -1;
	if (offer.proposals[0].spi.len == 4)
		quick->spi_refused = moat_get32(offer.proposals[0].spi.data);
	if (moat_renew_refuses(in) || moat_quick_selector(in, &selector))
		return -1;
	pair = moat_quick_pair(in, &selector);
	if (!pair)
		return -1;
	if (pair->answering >= MOAT_ANSWERING_MAX)
		return moat_refuse(&in->no, MOAT_REFUSE_LIMIT,
				   "%u quick modes for this pair are under way",
				   pair->answering);
	wanted = moat_quick_want(&pair->tunnel->conf, in->sa);
	if (moat_sa_choose(&wanted, &offer, MOAT_SA_OFFER, &choice, &why)) {
		explain(in, pair->tunnel, "phase 2", &why);
		return -1;
	}
	if (read_values(in, choice.group))
		return -1;
	keep_choice(quick, &choice);
	moat_blob_set(&quick->offer, p->body.data, p->body.len);
	quick->selector = pair->selector;
	/* Narrowed; a range of ports is ours alone, no ID can hold one. */
	quick->selector.local = selector.local;
	quick->selector.remote = selector.remote;
	quick->pair = pair;
	return 0;
}

void moat_quick_answer_1(struct moat_ike1_in *in)
{
	in->quick->pair->answering++;
	in->quick->counted = true;
	moat_wild_stand(in->quick->pair);
	ask_parts(in->quick);
}

/* ---- message 2 arrives ---- */

static int same_ids(struct moat_ike1_in *in)
{
	const struct moat_payload *p;
	unsigned int i = 0;

	moat_payload_for_each(p, &in->msg) {
		if (p->type != MOAT_P_ID)
			continue;
		if (!moat_view_equal(p->body, moat_blob_view(&in->quick->ids[i])))
			return moat_refuse(
				&in->no, MOAT_REFUSE_ID,
				"%s of message 2 is not what message 1 asked for",
				i ? "IDcr" : "IDci");
		i++;
	}
	if (i != 2)
		return moat_refuse(&in->no, MOAT_REFUSE_ID,
				   "message 2 lacks IDci and IDcr");
	return 0;
}

/* The responder may live shorter than we offered (RFC 2407 section 4.6.3.1). */
static int take_lifetimes(struct moat_ike1_in *in, struct moat_sa_choice *choice)
{
	const struct moat_payload *p;
	struct moat_notify n;
	const char *bad;

	moat_payload_for_each(p, &in->msg) {
		if (p->type != MOAT_P_NOTIFY)
			continue;
		if (moat_notify_parse(p->body, &n, &in->no))
			return -1;
		if (n.type != MOAT_N_RESPONDER_LIFETIME)
			continue;
		bad = moat_sa_lifetime_take(n.data, choice);
		if (bad)
			return moat_refuse(&in->no, MOAT_REFUSE_ATTRIBUTE,
					   "RESPONDER-LIFETIME has %s", bad);
	}
	return 0;
}

int moat_quick_verify_2(struct moat_ike1_in *in)
{
	struct moat_quick *quick = in->quick;
	const struct moat_payload *p = moat_message_find(&in->msg, MOAT_P_SA);
	const struct moat_tunnel *tunnel = quick->pair->tunnel;
	struct moat_sa_want wanted = moat_quick_want(&tunnel->conf, in->sa);
	struct moat_sa_payload answer;
	struct moat_sa_choice choice;
	struct moat_mismatch why;

	struct moat_addr original[2];
	bool given;

	if (moat_sa_parse(p->body, &answer, &in->no) || same_ids(in) ||
	    moat_natt_take_originals(in, original, &given))
		return -1;
	if (moat_sa_choose(&wanted, &answer, MOAT_SA_ANSWER, &choice, &why)) {
		explain(in, tunnel, "phase 2: message 2 chooses what we did not offer",
			&why);
		return -1;
	}
	if (choice.group != quick->group) {
		why = (struct moat_mismatch){ .key = MOAT_CONF_ESP };
		snprintf(why.text, sizeof(why.text), "its group is %s, ours %s",
			 moat_group_name(choice.group), moat_group_name(quick->group));
		explain(in, tunnel, "phase 2: message 2 chooses another group", &why);
		return -1;
	}
	if (take_lifetimes(in, &choice))
		return -1;
	if (read_values(in, choice.group))
		return -1;
	keep_choice(quick, &choice);
	return 0;
}

void moat_quick_answer_2(struct moat_ike1_in *in)
{
	derive(in->quick);
	/* One less that a refusal can have meant. */
	moat_refused_settle(in->sa);
}

/* ---- message 3 arrives ---- */

int moat_quick_verify_3(struct moat_ike1_in *in)
{
	(void)in;
	return 0; /* HASH(3) is all there is, and it was checked */
}

void moat_quick_done(struct moat_ike1_in *in)
{
	struct moat_quick *quick = in->quick;

	if (quick->commit) {
		moat_ready_wait(quick);
		return;
	}
	moat_child_complete(quick->child, NULL, NULL);
	moat_quick_settle(quick);
}
