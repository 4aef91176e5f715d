// SPDX-License-Identifier: GPL-2.0-or-later
/* Pairs of IPsec SAs: derived, installed so that nothing is lost, replaced, deleted. */
#include "ike/ike1.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SPARE_LIFE   (2 * MOAT_SECOND)	/* after the kernel should have deleted it */
#define REPEATED_FOR (60 * MOAT_SECOND) /* a message 1 comes no later than this */

static void rekey_due(struct moat_ike *ike, void *owner);
static void switch_due(struct moat_ike *ike, void *owner);
static void end_due(struct moat_ike *ike, void *owner);

static struct moat_ike *core(const struct moat_child *child)
{
	return child->pair->tunnel->ike;
}

static const char *tunnel_name(const struct moat_child *child)
{
	return child->pair->tunnel->conf.name;
}

static void fill_params(struct moat_sa_params *params, const struct moat_child *child,
			const struct moat_child_sa *sa, uint8_t direction, uint64_t bytes,
			uint64_t soft_bytes)
{
	const struct moat_tunnel_conf *conf = &child->pair->tunnel->conf;
	bool in = direction == MOAT_DIRECTION_IN;

	params->direction = direction;
	params->protocol = moat_child_protocol(sa);
	params->spi = in ? sa->spi_in : sa->spi_out;
	params->src = in ? child->remote : child->local;
	params->dst = in ? child->local : child->remote;
	params->mode = conf->mode;
	params->enc = (uint16_t)sa->alg.enc;
	params->auth = (uint16_t)sa->alg.auth;
	params->icv_len = sa->alg.icv_len;
	params->esn = sa->alg.esn;
	params->replay = in ? conf->replay : 0;
	params->policy = child->pair->policy;
	params->selector = child->selector;
	params->hard_seconds = child->life;
	/* The sender counts as we do; what is on its way shall still arrive. */
	if (bytes && in) {
		params->hard_bytes = bytes + bytes / 4;
	} else if (bytes) {
		params->hard_bytes = bytes;
		params->soft_bytes = soft_bytes;
	}
	if (child->udp) {
		params->encap[0] = in ? child->peer.port : child->port;
		params->encap[1] = in ? child->port : child->peer.port;
	}
	moat_owner_write(params, child);
	if (child->n_sas > 1)
		params->bundle = sa == child->sas ? MOAT_BUNDLE_OUTER : MOAT_BUNDLE_INNER;
}

static struct moat_sa_params *make_params(const struct moat_child *child,
					  uint8_t direction, uint64_t bytes)
{
	struct moat_sa_params *params = moat_alloc(child->n_sas * sizeof(*params));
	/* SAs of a bundle have the same limits. */
	uint64_t soft = bytes - bytes / 5 + moat_core_jitter(core(child), bytes / 10);

	for (unsigned int i = 0; i < child->n_sas; i++)
		fill_params(&params[i], child, &child->sas[i], direction, bytes, soft);
	return params;
}

static void free_params(struct moat_sa_params *params)
{
	if (params)
		moat_wipe(params, moat_sa_params_count(params) * sizeof(*params));
	free(params);
}

static int fill_keys(struct moat_sa_params *params, const struct moat_child_sa *sa,
		     const struct moat_child_input *in)
{
	struct moat_key_layout layout = moat_sa_alg_keys(&sa->alg);
	struct moat_keymat_input keymat = {
		.gqmxy = in->gqmxy,
		.protocol = sa->protocol,
		.spi = params->spi,
		.ni = in->ni,
		.nr = in->nr,
	};
	uint8_t keys[2 * MOAT_KEY_MAX];
	int failed;

	if (layout.enc_len > MOAT_KEY_MAX || layout.auth_len > MOAT_KEY_MAX)
		return -1;
	failed = moat_keymat(&in->sa->keys, &keymat, keys,
			     (size_t)layout.enc_len + layout.auth_len);
	params->enc_key_len = layout.enc_len;
	params->auth_key_len = layout.auth_len;
	memcpy(params->enc_key, keys, layout.enc_len);
	memcpy(params->auth_key, keys + layout.enc_len, layout.auth_len);
	moat_wipe(keys, sizeof(keys));
	return failed;
}

/* Octet by octet; of two that agree so far the shorter is lower (RFC 7296). */
static bool lower(struct moat_view a, struct moat_view b)
{
	size_t len = a.len < b.len ? a.len : b.len;
	int order = memcmp(a.data, b.data, len);

	return order ? order < 0 : a.len < b.len;
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
	child->rekey_timer = (struct moat_timer){ .fire = rekey_due, .owner = child };
	child->switch_timer = (struct moat_timer){ .fire = switch_due, .owner = child };
	child->end_timer = (struct moat_timer){ .fire = end_due, .owner = child };
	TAILQ_INSERT_TAIL(&pair->children, child, link);
	return child;
}

struct moat_child *moat_child_new(const struct moat_child_input *in)
{
	struct moat_child *child = moat_child_alloc(in->pair);
	struct moat_view low = lower(in->ni, in->nr) ? in->ni : in->nr;
	uint64_t bytes = in->life_kilobytes * 1024;

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
	child->in = make_params(child, MOAT_DIRECTION_IN, bytes);
	child->out = make_params(child, MOAT_DIRECTION_OUT, bytes);
	for (unsigned int i = 0; i < child->n_sas; i++) {
		if (fill_keys(&child->in[i], &child->sas[i], in) ||
		    fill_keys(&child->out[i], &child->sas[i], in)) {
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

static void end_after(struct moat_child *child, uint64_t seconds)
{
	uint64_t due = core(child)->now + seconds * MOAT_SECOND;

	if (!child->end_timer.slot || due < child->end_timer.due)
		moat_timer_set(&core(child)->timers, &child->end_timer, due);
}

static void make_redundant(struct moat_child *child)
{
	child->redundant = true;
	moat_timer_stop(&core(child)->timers, &child->rekey_timer);
	moat_timer_stop(&core(child)->timers, &child->switch_timer);
	moat_act_log(
		core(child)->acts, MOAT_LOG_INFO, "ipsec-redundant", tunnel_name(child),
		"both sides began at once: the SAs %08x in, %08x out have the lowest "
		"nonce and are not used",
		child->sas[0].spi_in, child->sas[0].spi_out);
	/* Peers that know no such rule may use it: only who began it ends it. */
	if (child->initiator)
		end_after(child, MOAT_OLD_INBOUND);
}

/*
 * Did two quick modes of different initiators run at once? Who began @child
 * knows: it did so before @other was complete. The answering side does not:
 * message 1 may have been on its way for as long as it is repeated. It goes by
 * the age of its own @other, which nobody rekeys in the first half of its life;
 * unless the ends have moved since, for then whoever moved needs @child.
 */
static bool collide(const struct moat_child *child, const struct moat_child *other)
{
	uint64_t young = other->life * MOAT_SECOND / 2;

	if (other->initiator == child->initiator ||
	    !moat_addr_equal(&other->local, &child->local) ||
	    !moat_addr_equal(&other->remote, &child->remote))
		return false;
	if (child->begun <= other->completed)
		return true;
	if (young > REPEATED_FOR)
		young = REPEATED_FOR;
	return !child->initiator && child->begun_at < other->established + young;
}

static void resolve_collision(struct moat_child *child)
{
	struct moat_child *other;

	TAILQ_FOREACH(other, &child->pair->children, link) {
		/* What was adopted is nobody's rival: its nonces are forgotten. */
		if (other == child || !other->complete || other->old ||
		    other->redundant || other->adopted || !collide(child, other))
			continue;
		if (lower(moat_blob_view(&child->nonce), moat_blob_view(&other->nonce)))
			make_redundant(child);
		else
			make_redundant(other);
	}
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
	moat_timer_stop(&ike->timers, &old->rekey_timer);
	moat_timer_stop(&ike->timers, &old->switch_timer);
	/* Who asked for the new one deletes the old one; the other side is patient. */
	end_after(old, by->initiator ? MOAT_OLD_INBOUND : 2 * MOAT_OLD_INBOUND);
}

void moat_child_leave(struct moat_child *child)
{
	child->old = true;
	moat_timer_stop(&core(child)->timers, &child->rekey_timer);
	moat_timer_stop(&core(child)->timers, &child->switch_timer);
	end_after(child, 2 * MOAT_OLD_INBOUND);
}

/* They were kept for what the peer might send on them: now it has the new one. */
static void retire_adopted(struct moat_child *by)
{
	struct moat_child *child;

	TAILQ_FOREACH(child, &by->pair->children, link) {
		if (child->adopted && !child->old && child != by)
			retire(child, by);
	}
}

static void switch_to(struct moat_child *child, void *owner, moat_answer_fn answer)
{
	struct moat_pair *pair = child->pair;
	struct moat_child *old = pair->current;
	struct moat_act *act;

	moat_timer_stop(&core(child)->timers, &child->switch_timer);
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
	retire_adopted(child);
	moat_tunnel_check(pair->tunnel);
}

void moat_child_print(const struct moat_child *child, char text[MOAT_CHILD_STRLEN])
{
	char alg[64];
	size_t used = 0;

	for (unsigned int i = 0; i < child->n_sas && used < MOAT_CHILD_STRLEN; i++) {
		moat_sa_alg_print(&child->sas[i].alg, alg, sizeof(alg));
		used += (size_t)snprintf(
			text + used, MOAT_CHILD_STRLEN - used, "%s%s %s",
			i ? " over " : "",
			child->sas[i].protocol == MOAT_PROTO_AH ? "AH" : "ESP", alg);
	}
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
	moat_timer_set(&ike->timers, &child->end_timer, child->expires + SPARE_LIFE);
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

/* The old SA must not end while we wait: of a short life little may be left. */
static uint64_t switch_wait(const struct moat_child *child)
{
	const struct moat_child *current = child->pair->current;
	uint64_t now = core(child)->now;
	uint64_t left = current && current->expires > now ? current->expires - now : 0;
	uint64_t wait = MOAT_SWITCH_WAIT * MOAT_SECOND;

	return left / 2 < wait ? left / 2 : wait;
}

/* Between the same ends? Else there is nobody left who hears what the old one sends. */
static bool same_place(const struct moat_child *child, const struct moat_child *old)
{
	return moat_addr_equal(&child->local, &old->local) &&
	       (child->udp || moat_addr_equal(&child->remote, &old->remote));
}

bool moat_child_complete(struct moat_child *child, void *owner, moat_answer_fn answer)
{
	struct moat_ike *ike = core(child);
	struct moat_pair *pair = child->pair;
	uint64_t life = child->life * MOAT_SECOND;

	if (child->complete)
		return false;
	child->complete = true;
	child->completed = ++ike->sequence;
	child->established = ike->now;
	child->expires = ike->now + life;
	moat_timer_set(&ike->timers, &child->end_timer, child->expires + SPARE_LIFE);
	moat_timer_after(ike, &child->rekey_timer,
			 moat_rekey_after(ike, life, child->initiator));
	pair->asked = false;
	log_established(child);
	resolve_collision(child);
	if (pair->current && child->redundant)
		return false;
	/* Its message 3 was overtaken by that of its successor. */
	if (pair->current && pair->current->begun > child->begun &&
	    pair->current->initiator == child->initiator) {
		retire(child, child);
		return false;
	}
	if (pair->current && child->initiator && same_place(child, pair->current)) {
		/* strongSwan installs its SAs at message 3 only: let it get there. */
		moat_timer_after(ike, &child->switch_timer, switch_wait(child));
		return false;
	}
	switch_to(child, owner, answer);
	return owner != NULL;
}

void moat_child_repeated(struct moat_child *child)
{
	/* That of a redundant one waits for something else: watch_redundant(). */
	if (child->switch_timer.slot && !child->redundant)
		moat_timer_after(core(child), &child->switch_timer, switch_wait(child));
}

static void switch_due(struct moat_ike *ike, void *owner)
{
	struct moat_child *child = owner;
	struct moat_pair *pair = child->pair;

	if (child->redundant) {
		if (pair->current && pair->current->used)
			return;
		child->redundant = false;
		moat_timer_set(&ike->timers, &child->end_timer,
			       child->expires + SPARE_LIFE);
	}
	switch_to(child, NULL, NULL);
}

/* The next best when the current one has gone; a switched one cannot come back. */
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
		if (child->complete && !child->switched && !child->old && child->out &&
		    (!best || child->completed > best->completed))
			best = child;
	}
	return best;
}

/* ---- the end ---- */

static void delete_sa(struct moat_child *child, uint8_t direction)
{
	struct moat_act *act = moat_act_new(core(child)->acts, MOAT_ACT_SA_DEL);
	bool in = direction == MOAT_DIRECTION_IN;

	act->sa = moat_alloc(sizeof(*act->sa));
	act->sa->direction = direction;
	/* The kernel deletes the rest of a bundle with it. */
	act->sa->protocol = moat_child_protocol(&child->sas[0]);
	act->sa->spi = in ? child->sas[0].spi_in : child->sas[0].spi_out;
	act->sa->dst = in ? child->local : child->remote;
	if (in)
		child->in_added = false;
	else
		child->switched = false;
}

void moat_child_end(struct moat_child *child, bool notify, const char *why)
{
	struct moat_pair *pair = child->pair;
	struct moat_isakmp *sa = notify ? moat_isakmp_ready(pair->tunnel) : NULL;

	if (child->ending)
		return;
	child->ending = true;
	for (unsigned int i = 0; sa && i < child->n_sas; i++)
		moat_info_delete_child(sa, child->sas[i].protocol, child->sas[i].spi_in);
	if (child->switched)
		delete_sa(child, MOAT_DIRECTION_OUT);
	if (child->in_added)
		delete_sa(child, MOAT_DIRECTION_IN);
	if (child->complete)
		moat_act_log(core(child)->acts, MOAT_LOG_INFO, "ipsec-deleted",
			     tunnel_name(child), "SAs %08x in, %08x out deleted: %s",
			     child->sas[0].spi_in, child->sas[0].spi_out, why);
	moat_quick_child_gone(child);
	if (pair->current == child)
		pair->current = NULL;
	else
		pair = NULL;
	free_child(child);
	if (pair)
		moat_pair_lost(pair);
}

bool moat_child_fallback(struct moat_pair *pair)
{
	struct moat_child *child = fallback(pair);

	if (!child)
		return false;
	switch_to(child, NULL, NULL);
	return true;
}

static void end_due(struct moat_ike *ike, void *owner)
{
	struct moat_child *child = owner;
	bool expired = ike->now >= child->expires;

	moat_child_end(child, true,
		       expired	    ? "their lifetime is over"
		       : child->old ? "others have taken their place"
				    : "they are redundant");
}

static void rekey_due(struct moat_ike *ike, void *owner)
{
	struct moat_child *child = owner;
	struct moat_pair *pair = child->pair;

	if (pair->current != child || pair->tunnel->down)
		return;
	moat_timer_after(ike, &child->rekey_timer, 5 * MOAT_SECOND);
	if (pair->quick || pair->answering || child->switch_timer.slot || fallback(pair))
		return;
	moat_act_log(ike->acts, MOAT_LOG_INFO, "ipsec-rekey", tunnel_name(child),
		     "SAs %08x in, %08x out expire: asking for new ones",
		     child->sas[0].spi_in, child->sas[0].spi_out);
	moat_pair_connect(pair);
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

/*
 * The peer sends on what we hold for redundant. If it does not move to the other
 * one soon, it does not have that one: the rest of its handshake was lost.
 */
static void watch_redundant(struct moat_child *child)
{
	if (child->out && child->pair->current && !child->pair->current->used)
		moat_timer_after(core(child), &child->switch_timer,
				 2 * MOAT_SWITCH_WAIT * MOAT_SECOND);
}

void moat_child_first_use(struct moat_ike *ike, const struct moat_event *event)
{
	struct moat_child *child =
		moat_child_find(ike, event->first_use.policy, MOAT_DIRECTION_IN,
				event->first_use.protocol, event->first_use.spi);

	if (!child)
		return;
	child->used = true;
	/* The peer sends on it, so it has message 2, and its inbound SA stands. */
	if (!child->complete)
		moat_quick_proved(child);
	else if (child->redundant)
		watch_redundant(child);
	else if (child->switch_timer.slot)
		switch_to(child, NULL, NULL);
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
		rekey_due(ike, child);
		return;
	}
	if (event->expire.direction == MOAT_DIRECTION_IN) {
		child->in_added = false;
		moat_child_end(child, true, "the kernel ended them at their limit");
	} else {
		outbound_ended(child);
	}
}

/* The peer deleted its inbound SA: nothing may be sent on ours any more. */
static void deleted(struct moat_child *child)
{
	struct moat_pair *pair = child->pair;
	struct moat_child *next = pair->current == child ? fallback(pair) : NULL;

	if (!child->switched || (!child->old && !next)) {
		moat_child_end(child, false, "the peer deleted them");
		return;
	}
	/* What is on its way to our inbound SA shall still arrive. */
	delete_sa(child, MOAT_DIRECTION_OUT);
	if (next)
		switch_to(next, NULL, NULL);
}

/* A child of this peer by the SPI that we send with. */
static struct moat_child *find_outbound(struct moat_isakmp *sa, uint8_t protocol,
					uint32_t spi)
{
	struct moat_tunnel *tunnel;
	struct moat_child *child;

	protocol = protocol == MOAT_PROTO_AH ? MOAT_IPPROTO_AH : MOAT_IPPROTO_ESP;
	TAILQ_FOREACH(tunnel, &sa->ike->tunnels, link) {
		if (!moat_tunnel_same_peer(tunnel, sa->tunnel))
			continue;
		for (unsigned int i = 0; i < tunnel->conf.n_pairs; i++) {
			TAILQ_FOREACH(child, &tunnel->pairs[i].children, link) {
				if (has_spi(child, MOAT_DIRECTION_OUT, protocol, spi))
					return child;
			}
		}
	}
	return NULL;
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
	struct moat_pair *pair;

	/* It may not have read message 3 yet. */
	if (!child || !child->complete)
		return;
	pair = child->pair;
	deleted(child);
	if (!pair->current)
		moat_pair_connect(pair);
}
