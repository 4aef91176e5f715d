// SPDX-License-Identifier: GPL-2.0-or-later
/* Pairs of IPsec SAs: derived, installed so that nothing is lost, replaced, deleted. */
#include "ike/ike1.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ASK_NEEDED 5		       /* seconds */
#define DELETES	   3		       /* nobody answers them, so they may be lost */
#define OLD_NEEDED (180 * MOAT_SECOND) /* a message 2 comes no later than this */
#define HELD_FOR   (60 * MOAT_SECOND)  /* the peer has given its quick mode up by then */

static void end_due(struct moat_ike *ike, void *owner);

static struct moat_ike *core(const struct moat_child *child)
{
	return child->pair->tunnel->ike;
}

static const char *tunnel_name(const struct moat_child *child)
{
	return child->pair->tunnel->conf.name;
}

static void free_params(struct moat_sa_params *params)
{
	if (params)
		moat_wipe(params, moat_sa_params_count(params) * sizeof(*params));
	free(params);
}

static void free_child(struct moat_child *child)
{
	struct moat_ike *ike = core(child);

	ike->sweep |= child->pair->tunnel->template != NULL;
	moat_core_forget(ike, child);
	moat_timer_stop(&ike->timers, &child->rekey_timer);
	moat_timer_stop(&ike->timers, &child->switch_timer);
	moat_timer_stop(&ike->timers, &child->end_timer);
	TAILQ_REMOVE(&child->pair->children, child, link);
	free_params(child->in);
	free_params(child->out);
	moat_blob_clear(&child->nonce);
	free(child);
}

struct moat_child *moat_child_alloc(struct moat_pair *pair)
{
	struct moat_child *child = moat_alloc(sizeof(*child));

	child->pair = pair;
	child->rekey_timer =
		(struct moat_timer){ .fire = moat_child_rekey_due, .owner = child };
	child->switch_timer =
		(struct moat_timer){ .fire = moat_child_switch_due, .owner = child };
	child->end_timer = (struct moat_timer){ .fire = end_due, .owner = child };
	TAILQ_INSERT_TAIL(&pair->children, child, link);
	return child;
}

struct moat_child *moat_child_new(const struct moat_child_input *in)
{
	struct moat_child *child = moat_child_alloc(in->pair);
	struct moat_view low = moat_nonce_lower(in->ni, in->nr) ? in->ni : in->nr;

	child->isakmp = in->sa->id;
	child->moat = in->sa->moat;
	child->n_sas = in->n_sas;
	memcpy(child->sas, in->sas, in->n_sas * sizeof(*in->sas));
	child->local = in->sa->local.addr;
	child->remote = in->sa->remote.addr;
	child->udp = moat_natt_udp(in->sa);
	child->port = in->sa->local.port;
	child->peer = in->sa->remote;
	child->selector = *in->selector;
	child->life = in->life_seconds;
	child->initiator = in->initiator;
	child->begun = in->begun;
	child->begun_at = in->begun_at;
	moat_blob_set(&child->nonce, low.data, low.len);
	child->in = moat_child_params(child, MOAT_DIRECTION_IN, in->life_kilobytes);
	child->out = moat_child_params(child, MOAT_DIRECTION_OUT, in->life_kilobytes);
	for (unsigned int i = 0; i < child->n_sas; i++) {
		if (moat_child_keys(&child->in[i], &child->sas[i], in) ||
		    moat_child_keys(&child->out[i], &child->sas[i], in)) {
			free_child(child);
			return NULL;
		}
	}
	return child;
}

void moat_child_add(struct moat_child *child, void *owner, moat_answer_fn answer)
{
	struct moat_act *act = moat_act_new(core(child)->acts, MOAT_ACT_SA_ADD);

	act->sa = child->in;
	child->in = NULL;
	child->in_added = true;
	moat_core_ask(core(child), act, owner, answer);
}

/* ---- which of several is sent on ---- */

void moat_child_end_after(struct moat_child *child, uint64_t seconds)
{
	uint64_t due = core(child)->now + seconds * MOAT_SECOND;

	if (!child->end_timer.slot || due < child->end_timer.due)
		moat_timer_set(&core(child)->timers, &child->end_timer, due);
}

static void switch_answer(struct moat_ike *ike, void *owner,
			  const struct moat_event *event)
{
	struct moat_child *child = owner;

	if (event->answer.ok)
		return;
	moat_act_log(ike->acts, MOAT_LOG_ERR, "ipsec-switch-failed", tunnel_name(child),
		     "the kernel refused the outbound SA %08x: %s", child->sas[0].spi_out,
		     event->answer.text ? event->answer.text : "no reason given");
	moat_child_end(child, true, "the kernel refused it");
}

static void retire(struct moat_child *old, const struct moat_child *by)
{
	struct moat_ike *ike = core(old);

	old->old = true;
	old->unheard = false;
	old->old_since = ike->now;
	moat_timer_stop(&ike->timers, &old->rekey_timer);
	moat_timer_stop(&ike->timers, &old->switch_timer);
	/* Who asked for the new one deletes the old one; the other side is patient. */
	moat_child_end_after(old,
			     by->initiator ? MOAT_OLD_INBOUND : 2 * MOAT_OLD_INBOUND);
	if (by != old)
		moat_adopt_replaced(old);
}

/* They were kept for what the peer might send on them: now it has the new one. */
static void retire_others(struct moat_child *by)
{
	struct moat_child *child;

	TAILQ_FOREACH(child, &by->pair->children, link) {
		if ((child->adopted || child->unheard) && !child->old && child != by)
			retire(child, by);
	}
}

/* The peer knows no such rule, and chose it: it lives as long as any other one. */
static void prefer(struct moat_child *child)
{
	struct moat_ike *ike = core(child);
	uint64_t left = child->expires > ike->now ? child->expires - ike->now : 0;

	child->redundant = false;
	moat_timer_set(&ike->timers, &child->end_timer, child->expires + MOAT_SPARE_LIFE);
	moat_timer_after(ike, &child->rekey_timer,
			 moat_rekey_after(ike, left, child->initiator));
}

void moat_child_switch(struct moat_child *child, void *owner, moat_answer_fn answer)
{
	struct moat_pair *pair = child->pair;
	struct moat_child *old = pair->current;
	struct moat_act *act;

	moat_timer_stop(&core(child)->timers, &child->switch_timer);
	child->unheard = false;
	if (child->redundant)
		prefer(child);
	moat_pair_ends(pair, &child->local, &child->remote);
	act = moat_act_new(core(child)->acts, MOAT_ACT_POLICY_SWITCH);
	act->sa = child->out;
	child->out = NULL;
	child->switched = true;
	child->switched_at = core(child)->now;
	moat_core_ask(core(child), act, owner ? owner : child,
		      owner ? answer : switch_answer);
	pair->current = child;
	if (old) {
		pair->tunnel->rekeys++;
		retire(old, child);
	}
	retire_others(child);
	moat_tunnel_check(pair->tunnel);
}

static void log_established(const struct moat_child *child)
{
	char local[2 * MOAT_ADDR_STRLEN];
	char remote[2 * MOAT_ADDR_STRLEN];
	char alg[MOAT_CHILD_STRLEN];

	moat_child_print(child, alg);
	moat_act_log(core(child)->acts, MOAT_LOG_INFO, "ipsec-established",
		     tunnel_name(child),
		     "%s to %s: %s, SPI %08x in, %08x out, as %s, "
		     "expires in %u s",
		     moat_range_str(&child->selector.local, local),
		     moat_range_str(&child->selector.remote, remote), alg,
		     child->sas[0].spi_in, child->sas[0].spi_out,
		     child->initiator ? "initiator" : "responder", child->life);
}

void moat_child_resume(struct moat_child *child, bool current)
{
	struct moat_ike *ike = core(child);

	child->complete = true;
	child->expires = child->established + child->life * MOAT_SECOND;
	moat_timer_set(&ike->timers, &child->end_timer, child->expires + MOAT_SPARE_LIFE);
	if (!current)
		return;
	child->pair->current = child;
	/*
	 * At once: the peer may have lost its SAs while nobody was here to hear of
	 * it, and its dead peer detection gets no answer before there is a new
	 * ISAKMP SA. The timer goes on asking until there are new SAs.
	 */
	moat_timer_after(ike, &child->rekey_timer, moat_core_jitter(ike, MOAT_SECOND));
}

bool moat_child_complete(struct moat_child *child, void *owner, moat_answer_fn answer)
{
	struct moat_ike *ike = core(child);
	struct moat_pair *pair = child->pair;
	uint64_t life = child->life * MOAT_SECOND;

	if (child->complete)
		return false;
	child->complete = true;
	moat_timer_stop(&ike->timers, &child->switch_timer);
	child->completed = ++ike->sequence;
	child->established = ike->now;
	child->expires = ike->now + life;
	moat_timer_set(&ike->timers, &child->end_timer, child->expires + MOAT_SPARE_LIFE);
	moat_timer_after(ike, &child->rekey_timer,
			 moat_rekey_after(ike, life, child->initiator));
	pair->asked = false;
	log_established(child);
	moat_child_collide(child);
	if (pair->current && child->redundant)
		return false;
	/* Its message 3 was overtaken by that of its successor. */
	if (pair->current && pair->current->begun > child->begun &&
	    pair->current->initiator == child->initiator) {
		retire(child, child);
		return false;
	}
	if (moat_child_waits(child))
		return false;
	moat_child_switch(child, owner, answer);
	return owner != NULL;
}

/* May be sent on, and was not yet. */
static bool spare(const struct moat_child *child)
{
	return child->complete && !child->switched && !child->old && child->out &&
	       !child->deletes;
}

static bool prefers(const struct moat_child *a, const struct moat_child *b)
{
	bool good = !a->redundant || a->used;

	if (good != (!b->redundant || b->used))
		return good;
	return a->completed > b->completed;
}

/* The next best when the current one has gone: one that was not sent on yet. */
static struct moat_child *fallback(struct moat_pair *pair)
{
	struct moat_child *best = NULL;
	struct moat_child *child;

	TAILQ_FOREACH(child, &pair->children, link) {
		/* Who began it has deleted it by now, unless it knows no such rule. */
		if (child->redundant && !child->used &&
		    core(child)->now >
			    child->established + MOAT_OLD_INBOUND * MOAT_SECOND)
			continue;
		if (spare(child) && (!best || prefers(child, best)))
			best = child;
	}
	return best;
}

/* The one that was sent on before: its outbound SA still stands. */
static struct moat_child *previous(const struct moat_pair *pair)
{
	struct moat_child *best = NULL;
	struct moat_child *child;

	TAILQ_FOREACH(child, &pair->children, link) {
		if (!child->switched || child->ending || child->deletes ||
		    child == pair->current)
			continue;
		if (!best || child->switched_at > best->switched_at ||
		    (child->switched_at == best->switched_at &&
		     child->begun_at > best->begun_at))
			best = child;
	}
	return best;
}

/*
 * The peer has deleted the SA that we sent on, and not the one before: peers do
 * that who end IPsec SAs with the ISAKMP SA that they came from. The module has
 * gone back to that one with the end of the other. It was to end: ask for another.
 */
static void go_back(struct moat_child *child)
{
	struct moat_ike *ike = core(child);

	child->old = false;
	child->redundant = false;
	child->pair->current = child;
	moat_timer_set(&ike->timers, &child->end_timer, child->expires + MOAT_SPARE_LIFE);
	moat_timer_after(ike, &child->rekey_timer, moat_core_jitter(ike, MOAT_SECOND));
	moat_act_log(ike->acts, MOAT_LOG_INFO, "ipsec-back", tunnel_name(child),
		     "the SAs before, %08x in, %08x out, are used again until there are "
		     "new ones",
		     child->sas[0].spi_in, child->sas[0].spi_out);
	moat_tunnel_check(child->pair->tunnel);
}

/* ---- the end ---- */

static void delete_sa(struct moat_child *child, uint8_t direction)
{
	struct moat_act *act = moat_act_new(core(child)->acts, MOAT_ACT_SA_DEL);
	/* The kernel deletes the rest of a bundle with it. */
	moat_child_name_sa(act, child, direction);
	if (direction == MOAT_DIRECTION_IN)
		child->in_added = false;
	else
		child->switched = false;
}

/*
 * Once more in the same datagram: each message id costs strongSwan the IV of one of three
 * exchanges, and the quick mode that it has begun meanwhile would not be read on.
 */
static void say_deleted(struct moat_child *child, struct moat_isakmp *sa)
{
	for (unsigned int i = 0; i < child->n_sas; i++) {
		if (child->deleted_by != sa->id)
			child->delete_ids[i] = moat_isakmp_message_id(sa);
		moat_info_delete_child(sa, child->delete_ids[i], child->sas[i].protocol,
				       child->sas[i].spi_in);
	}
	child->deleted_by = sa->id;
}

void moat_child_end(struct moat_child *child, bool notify, const char *why)
{
	struct moat_pair *pair = child->pair;
	bool current = pair->current == child;
	struct moat_isakmp *sa = notify ? moat_isakmp_ready(pair->tunnel) : NULL;

	if (child->ending)
		return;
	child->ending = true;
	if (sa)
		say_deleted(child, sa);
	/* It was said when it was replaced; nobody answers, so that may have been lost. */
	if (sa && child->old)
		moat_adopt_replaced(child);
	if (child->switched)
		delete_sa(child, MOAT_DIRECTION_OUT);
	if (child->in_added)
		delete_sa(child, MOAT_DIRECTION_IN);
	if (child->complete)
		moat_act_log(core(child)->acts, MOAT_LOG_INFO, "ipsec-deleted",
			     tunnel_name(child), "SAs %08x in, %08x out deleted: %s",
			     child->sas[0].spi_in, child->sas[0].spi_out, why);
	moat_quick_child_gone(child);
	if (current)
		pair->current = NULL;
	free_child(child);
	if (current)
		moat_pair_lost(pair);
	else if (pair->current && pair->current->redundant && !fallback(pair))
		prefer(pair->current);
}

bool moat_child_fallback(struct moat_pair *pair)
{
	struct moat_child *child = fallback(pair);

	if (child) {
		moat_child_switch(child, NULL, NULL);
		return true;
	}
	child = previous(pair);
	if (child)
		go_back(child);
	return child;
}

/*
 * Does the peer still send on an old SA? Whoever answers a quick mode does until it
 * has message 3, however often that is lost, and shows by its first packet on a
 * newer SA that it has left this one. A peer that sends nothing shows nothing.
 */
static bool needed(const struct moat_child *old)
{
	const struct moat_child *child;

	if (!old->old || !old->switched || !old->used ||
	    core(old)->now >= old->old_since + OLD_NEEDED)
		return false;
	TAILQ_FOREACH(child, &old->pair->children, link) {
		if (child->used && child->completed > old->completed)
			return false;
	}
	return true;
}

/*
 * Of two quick modes at once a stranger has its own choice, the one that it began to send
 * on last: libreswan has no policy for a while when its newest SAs are deleted.
 */
static bool chosen(const struct moat_child *redundant)
{
	const struct moat_child *child;

	if (!redundant->redundant || !redundant->used || redundant->moat)
		return false;
	TAILQ_FOREACH(child, &redundant->pair->children, link) {
		if (child->used_at > redundant->used_at)
			return false;
	}
	return true;
}

/*
 * A peer that knows no rule may still send on it, and stops when it is told: what comes
 * until then is still opened. Return: true when it is to be told once more.
 */
static bool farewell(struct moat_child *child)
{
	struct moat_isakmp *sa = moat_isakmp_ready(child->pair->tunnel);

	/* What is sent on itself must not be after the first word of it. */
	if (child == child->pair->current || !sa || sa->moat)
		return false;
	/*
	 * A quick mode is not disturbed, the peer's or ours: moat_quick_turn(). But who
	 * has always one would have all its SAs kept.
	 */
	if (!child->held_until)
		child->held_until = core(child)->now + HELD_FOR;
	if (core(child)->now < child->held_until && moat_quick_under_way(sa))
		return true;
	if (!child->used || ++child->deletes == DELETES)
		return false;
	say_deleted(child, sa);
	return true;
}

static void end_due(struct moat_ike *ike, void *owner)
{
	struct moat_child *child = owner;
	bool expired = ike->now >= child->expires;

	if (!expired && (needed(child) || chosen(child))) {
		moat_child_end_after(child, ASK_NEEDED);
		return;
	}
	if (!expired && farewell(child)) {
		moat_child_end_after(child, 1);
		return;
	}
	moat_child_end(child, true,
		       expired	    ? "their lifetime is over"
		       : child->old ? "others have taken their place"
				    : "they are redundant");
}

bool moat_child_has_next(struct moat_pair *pair)
{
	const struct moat_child *next;

	/* Those that stay for a stranger are about to be sent on only if all else goes. */
	TAILQ_FOREACH(next, &pair->children, link) {
		if (spare(next) && !next->unheard && !next->redundant)
			break;
	}
	return next;
}

static bool has_spi(const struct moat_child *child, uint8_t direction, uint8_t protocol,
		    uint32_t spi)
{
	for (unsigned int i = 0; i < child->n_sas; i++) {
		const struct moat_child_sa *sa = &child->sas[i];

		if (moat_child_protocol(sa) == protocol &&
		    spi == (direction == MOAT_DIRECTION_IN ? sa->spi_in : sa->spi_out))
			return true;
	}
	return false;
}

struct moat_child *moat_child_find(struct moat_ike *ike, uint32_t policy,
				   uint8_t direction, uint8_t protocol, uint32_t spi)
{
	struct moat_pair *pair = moat_pair_find(ike, policy);
	struct moat_child *child;

	if (!pair)
		return NULL;
	TAILQ_FOREACH(child, &pair->children, link) {
		if (has_spi(child, direction, protocol, spi))
			return child;
	}
	return NULL;
}

/* We may not send any more; what the peer sends on its SA still arrives. */
static void outbound_ended(struct moat_child *child)
{
	struct moat_pair *pair = child->pair;

	child->switched = false;
	moat_act_log(core(child)->acts, MOAT_LOG_INFO, "ipsec-expired",
		     tunnel_name(child), "the kernel ended SA %08x out at its limit",
		     child->sas[0].spi_out);
	if (!child->complete) {
		moat_child_end(child, true, "the kernel ended them at their limit");
		return;
	}
	if (!child->old)
		retire(child, child);
	if (pair->current != child)
		return;
	pair->current = NULL;
	moat_pair_lost(pair);
}

void moat_child_expire(struct moat_ike *ike, const struct moat_event *event)
{
	struct moat_child *child =
		moat_child_find(ike, event->expire.policy, event->expire.direction,
				event->expire.protocol, event->expire.spi);

	if (!child)
		return;
	if (!event->expire.hard) {
		moat_child_rekey_due(ike, child);
		return;
	}
	if (event->expire.direction == MOAT_DIRECTION_IN) {
		child->in_added = false;
		moat_child_end(child, true, "the kernel ended them at their limit");
	} else {
		outbound_ended(child);
	}
}

/* Ours as responder, newer than @than, that waits for message 3. */
static struct moat_child *half_done(const struct moat_child *than)
{
	struct moat_child *child;

	TAILQ_FOREACH(child, &than->pair->children, link) {
		if (!child->complete && !child->initiator && child->in_added &&
		    child->begun > than->begun)
			break;
	}
	return child;
}

/* The peer deleted its inbound SA: nothing may be sent on ours any more. */
static void deleted(struct moat_child *child)
{
	struct moat_pair *pair = child->pair;
	struct moat_child *next = half_done(child);
	bool current = pair->current == child;

	/* Who deletes the old one has the new one: its message 3 may have been lost. */
	if (current && next) {
		moat_quick_proved(next);
		current = pair->current == child;
	}
	if (!child->switched ||
	    (!child->old && !(current && (fallback(pair) || previous(pair))))) {
		moat_child_end(child, false, "the peer deleted them");
		return;
	}
	/* What is on its way to our inbound SA shall still arrive. */
	delete_sa(child, MOAT_DIRECTION_OUT);
	if (!current)
		return;
	retire(child, child);
	pair->current = NULL;
	moat_child_fallback(pair);
}

/* A child of this peer by the SPI that we send with. */
static struct moat_child *find_outbound(struct moat_isakmp *sa, uint8_t protocol,
					uint32_t spi)
{
	struct moat_child *child;

	protocol = protocol == MOAT_PROTO_AH ? MOAT_IPPROTO_AH : MOAT_IPPROTO_ESP;
	MOAT_PEER_FOREACH_CHILD(child, sa->tunnel) {
		if (has_spi(child, MOAT_DIRECTION_OUT, protocol, spi))
			break;
	}
	return child;
}

void moat_child_deleted(struct moat_isakmp *sa, uint8_t protocol, uint32_t spi)
{
	struct moat_child *child = find_outbound(sa, protocol, spi);

	if (child)
		deleted(child);
}

void moat_child_refused(struct moat_isakmp *sa, uint8_t protocol, uint32_t spi)
{
	struct moat_child *child = find_outbound(sa, protocol, spi);
	struct moat_child *before;
	struct moat_pair *pair;

	/* It may not have read message 3 yet. */
	if (!child || !child->complete)
		return;
	pair = child->pair;
	/* A peer that has lost this one has lost those before, too. */
	while (pair->current == child && (before = previous(pair)))
		delete_sa(before, MOAT_DIRECTION_OUT);
	deleted(child);
	if (!pair->current)
		moat_pair_connect(pair);
}
