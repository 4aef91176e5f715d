// SPDX-License-Identifier: GPL-2.0-or-later
/* Tunnels: configured, reconfigured, brought up, taken down. */
#include "ike/ike1.h"
#include "ike/wild.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_FIRST (5 * MOAT_SECOND)
#define RETRY_STEPS 6 /* 5 s ... 320 s */
#define RETRY_NEW   MOAT_SECOND
#define NEW_LIFE    (15 * MOAT_SECOND)

static void retry_due(struct moat_ike *ike, void *owner);

bool moat_tunnel_same_peer(const struct moat_tunnel *a, const struct moat_tunnel *b)
{
	return a == b || moat_conf_same_peer(&a->conf, &b->conf);
}

bool moat_tunnel_persists(const struct moat_tunnel *tunnel)
{
	return tunnel->conf.start == MOAT_START_UP && !tunnel->down;
}

struct moat_tunnel *moat_tunnel_find(struct moat_ike *ike, const char *name)
{
	struct moat_tunnel *tunnel;

	TAILQ_FOREACH(tunnel, &ike->tunnels, link) {
		if (!strcmp(tunnel->conf.name, name))
			return tunnel;
	}
	return NULL;
}

/* The first one from this pair of networks on, of the tunnel's peer. */
static struct moat_child *first_child(const struct moat_tunnel *peer,
				      const struct moat_tunnel *tunnel, unsigned int pair)
{
	for (; tunnel; tunnel = TAILQ_NEXT(tunnel, link), pair = 0) {
		if (!moat_tunnel_same_peer(tunnel, peer))
			continue;
		for (; pair < tunnel->conf.n_pairs; pair++) {
			if (!TAILQ_EMPTY(&tunnel->pairs[pair].children))
				return TAILQ_FIRST(&tunnel->pairs[pair].children);
		}
	}
	return NULL;
}

struct moat_child *moat_peer_next_child(const struct moat_tunnel *tunnel,
					const struct moat_child *child)
{
	const struct moat_pair *pair;

	if (!child)
		return first_child(tunnel, TAILQ_FIRST(&tunnel->ike->tunnels), 0);
	if (TAILQ_NEXT(child, link))
		return TAILQ_NEXT(child, link);
	pair = child->pair;
	return first_child(tunnel, pair->tunnel,
			   (unsigned int)(pair - pair->tunnel->pairs) + 1);
}

bool moat_tunnel_has_children(const struct moat_tunnel *tunnel)
{
	for (unsigned int i = 0; i < tunnel->conf.n_pairs; i++) {
		if (tunnel->pairs[i].current)
			return true;
	}
	return false;
}

bool moat_peer_has_children(const struct moat_tunnel *tunnel)
{
	const struct moat_tunnel *other;

	TAILQ_FOREACH(other, &tunnel->ike->tunnels, link) {
		if (moat_tunnel_same_peer(other, tunnel) &&
		    moat_tunnel_has_children(other))
			return true;
	}
	return false;
}

void moat_peer_connect(struct moat_tunnel *tunnel)
{
	struct moat_tunnel *other;

	TAILQ_FOREACH(other, &tunnel->ike->tunnels, link) {
		if (!moat_tunnel_same_peer(other, tunnel))
			continue;
		for (unsigned int i = 0; i < other->conf.n_pairs; i++) {
			if (other->pairs[i].asked)
				moat_pair_connect(&other->pairs[i]);
		}
	}
}

void moat_peer_next_address(struct moat_tunnel *tunnel)
{
	struct moat_tunnel *other;

	TAILQ_FOREACH(other, &tunnel->ike->tunnels, link) {
		if (moat_tunnel_same_peer(other, tunnel))
			other->remote++;
	}
}

void moat_peer_use_address(struct moat_tunnel *tunnel, const struct moat_addr *addr)
{
	struct moat_tunnel *other;

	TAILQ_FOREACH(other, &tunnel->ike->tunnels, link) {
		if (!moat_tunnel_same_peer(other, tunnel))
			continue;
		for (unsigned int i = 0; i < other->conf.n_remote; i++) {
			if (moat_addr_equal(&other->conf.remote[i], addr))
				other->remote = i;
		}
	}
}

void moat_peer_doubt_children(struct moat_tunnel *tunnel, uint64_t before)
{
	struct moat_child *child;

	MOAT_PEER_FOREACH_CHILD(child, tunnel) {
		if (child->complete && child->established < before)
			moat_child_doubt(child);
	}
}

void moat_peer_forget_children(struct moat_tunnel *tunnel, uint64_t before,
			       const char *why)
{
	struct moat_child *child = moat_peer_next_child(tunnel, NULL);

	while (child) {
		struct moat_child *next = moat_peer_next_child(tunnel, child);

		if (child->complete && child->established < before)
			moat_child_end(child, false, why);
		child = next;
	}
}

/* ---- requests of the operator, and attempts that fail ---- */

static void done(struct moat_ike *ike, uint32_t request, bool ok, const char *text)
{
	struct moat_act *act = moat_act_new(ike->acts, MOAT_ACT_CONTROL_DONE);

	act->done.request = request;
	act->done.ok = ok;
	act->done.text = moat_dup(text, strlen(text) + 1);
}

static void answer_requests(struct moat_tunnel *tunnel, bool ok, const char *text)
{
	while (!STAILQ_EMPTY(&tunnel->requests)) {
		struct moat_request *request = STAILQ_FIRST(&tunnel->requests);

		STAILQ_REMOVE_HEAD(&tunnel->requests, link);
		done(tunnel->ike, request->id, ok, text);
		free(request);
	}
}

static bool all_up(const struct moat_tunnel *tunnel)
{
	for (unsigned int i = 0; i < tunnel->conf.n_pairs; i++) {
		if (!tunnel->pairs[i].current && !tunnel->pairs[i].vacant)
			return false;
	}
	return true;
}

void moat_tunnel_check(struct moat_tunnel *tunnel)
{
	tunnel->attempts = 0;
	tunnel->tried = 0;
	if (!all_up(tunnel))
		return;
	moat_timer_stop(&tunnel->ike->timers, &tunnel->retry);
	answer_requests(tunnel, true, "up");
}

void moat_tunnel_failed(struct moat_tunnel *tunnel, const char *why)
{
	uint64_t wait = RETRY_FIRST << (tunnel->attempts < RETRY_STEPS ? tunnel->attempts
								       : RETRY_STEPS);
	/*
	 * Operators change both sides, one after the other: in between the peer
	 * refuses. Packets that wait must not do so for the kernel's next acquire.
	 */
	bool new = tunnel->ike->now < tunnel->made_at + NEW_LIFE;

	answer_requests(tunnel, false, why);
	if ((!new && !moat_tunnel_persists(tunnel)) || tunnel->down || tunnel->retry.slot)
		return;
	if (new)
		wait = RETRY_NEW;
	else
		tunnel->attempts++;
	moat_timer_after(tunnel->ike, &tunnel->retry,
			 wait + moat_core_jitter(tunnel->ike, wait / 10));
}

void moat_peer_failed(struct moat_tunnel *tunnel, const char *why)
{
	struct moat_tunnel *other;
	bool others = false;

	/* The peer may have another address. */
	tunnel->remote++;
	if (!tunnel->down && ++tunnel->tried < tunnel->conf.n_remote) {
		moat_phase1_start(tunnel);
		return;
	}
	tunnel->tried = 0;
	TAILQ_FOREACH(other, &tunnel->ike->tunnels, link) {
		bool asked = false;

		if (other->down || !moat_tunnel_same_peer(other, tunnel))
			continue;
		if (!moat_conf_same_offer(&other->conf, &tunnel->conf)) {
			others = true;
			continue;
		}
		for (unsigned int i = 0; i < other->conf.n_pairs; i++) {
			struct moat_pair *pair = &other->pairs[i];

			asked |= pair->asked;
			pair->missed = pair->trapped && pair->asked && !pair->current;
			pair->asked = false;
		}
		if (asked)
			moat_tunnel_failed(other, why);
	}
	/* Whoever offers something else may fare better. */
	if (others)
		moat_peer_connect(tunnel);
}

static void connect_all(struct moat_tunnel *tunnel)
{
	for (unsigned int i = 0; i < tunnel->conf.n_pairs; i++) {
		if (tunnel->pairs[i].vacant)
			continue;
		moat_pair_install(&tunnel->pairs[i]);
		if (!tunnel->pairs[i].current)
			tunnel->pairs[i].asked = true;
	}
	for (unsigned int i = 0; i < tunnel->conf.n_pairs; i++) {
		if (tunnel->pairs[i].asked)
			moat_pair_connect(&tunnel->pairs[i]);
	}
}

static void retry_due(struct moat_ike *ike, void *owner)
{
	struct moat_tunnel *tunnel = owner;

	(void)ike;
	if (moat_tunnel_persists(tunnel)) {
		connect_all(tunnel);
		return;
	}
	for (unsigned int i = 0; i < tunnel->conf.n_pairs; i++) {
		if (tunnel->pairs[i].missed && !tunnel->pairs[i].current)
			moat_pair_connect(&tunnel->pairs[i]);
	}
}

static void set_acquire(struct moat_tunnel *tunnel, bool off)
{
	if (tunnel->conf.action != MOAT_ACTION_PROTECT || tunnel->conf.any)
		return;
	for (unsigned int i = 0; i < tunnel->conf.n_pairs; i++) {
		struct moat_pair *pair = &tunnel->pairs[i];

		if (pair->acquire_off == off)
			continue;
		pair->acquire_off = off;
		moat_pair_policy(pair, MOAT_ACT_POLICY_SET);
	}
}

void moat_tunnel_up(struct moat_ike *ike, const struct moat_event *event)
{
	struct moat_tunnel *tunnel = moat_tunnel_find(ike, event->control.tunnel);
	struct moat_request *request;

	if (!tunnel || tunnel->conf.action != MOAT_ACTION_PROTECT) {
		done(ike, event->control.request, false,
		     tunnel ? "the tunnel protects nothing, so there is nothing to bring up"
			    : "there is no tunnel of this name");
		return;
	}
	tunnel->down = false;
	if (tunnel->conf.any) {
		done(ike, event->control.request, true,
		     "it answers: with remote = \"any\" the peers begin");
		return;
	}
	set_acquire(tunnel, tunnel->conf.start == MOAT_START_NONE);
	if (all_up(tunnel)) {
		done(ike, event->control.request, true, "up already");
		return;
	}
	request = moat_alloc(sizeof(*request));
	request->id = event->control.request;
	STAILQ_INSERT_TAIL(&tunnel->requests, request, link);
	connect_all(tunnel);
}

/* ---- the end of a tunnel's SAs ---- */

static bool peer_used(const struct moat_tunnel *tunnel)
{
	const struct moat_tunnel *other;

	TAILQ_FOREACH(other, &tunnel->ike->tunnels, link) {
		if (other != tunnel && !other->down &&
		    moat_tunnel_same_peer(other, tunnel))
			return true;
	}
	return false;
}

/* An ISAKMP SA that is good enough for another tunnel passes to that. */
static struct moat_tunnel *heir(const struct moat_isakmp *sa)
{
	struct moat_tunnel *other;

	TAILQ_FOREACH(other, &sa->ike->tunnels, link) {
		if (other != sa->tunnel && !other->down && moat_peer_suits(sa, other))
			break;
	}
	return other;
}

static void leave_isakmps(struct moat_tunnel *tunnel, const char *why)
{
	struct moat_ike *ike = tunnel->ike;
	struct moat_isakmp *sa = TAILQ_FIRST(&ike->isakmps);
	bool used = peer_used(tunnel);

	while (sa) {
		struct moat_isakmp *next = TAILQ_NEXT(sa, link);
		struct moat_tunnel *other;

		if (sa->tunnel == tunnel ||
		    (!used && moat_tunnel_same_peer(sa->tunnel, tunnel))) {
			other = heir(sa);
			if (other)
				moat_isakmp_pass(sa, other);
			else
				moat_isakmp_close(sa, why);
		}
		sa = next;
	}
}

static void end_sas(struct moat_tunnel *tunnel, const char *why)
{
	tunnel->down = true;
	moat_timer_stop(&tunnel->ike->timers, &tunnel->retry);
	for (unsigned int i = 0; i < tunnel->conf.n_pairs; i++) {
		struct moat_pair *pair = &tunnel->pairs[i];

		pair->asked = false;
		while (!TAILQ_EMPTY(&pair->children))
			moat_child_end(TAILQ_FIRST(&pair->children), true, why);
		moat_quick_leave(pair, why);
	}
	leave_isakmps(tunnel, why);
	moat_dpd_pass(tunnel);
}

void moat_tunnel_down(struct moat_ike *ike, const struct moat_event *event)
{
	struct moat_tunnel *tunnel = moat_tunnel_find(ike, event->control.tunnel);

	if (!tunnel || tunnel->conf.action != MOAT_ACTION_PROTECT) {
		done(ike, event->control.request, false,
		     tunnel ? "the tunnel protects nothing, so there is nothing to take down"
			    : "there is no tunnel of this name");
		return;
	}
	if (tunnel->template) {
		moat_tunnel_remove(tunnel, "the operator took the tunnel down");
		done(ike, event->control.request, true, "down");
		return;
	}
	moat_wild_end(tunnel, "the operator took the tunnel down");
	set_acquire(tunnel, true);
	end_sas(tunnel, "the operator took the tunnel down");
	answer_requests(tunnel, false, "the operator took the tunnel down");
	done(ike, event->control.request, true, "down");
}

void moat_tunnel_clear(struct moat_ike *ike, const struct moat_event *event)
{
	struct moat_tunnel *tunnel = moat_tunnel_find(ike, event->control.tunnel);
	bool down;

	if (!tunnel || tunnel->conf.action != MOAT_ACTION_PROTECT) {
		done(ike, event->control.request, false,
		     tunnel ? "the tunnel protects nothing, so there is nothing to clear"
			    : "there is no tunnel of this name");
		return;
	}
	if (tunnel->template) {
		moat_tunnel_remove(tunnel, "the operator cleared the tunnel");
		done(ike, event->control.request, true, "cleared");
		return;
	}
	moat_wild_end(tunnel, "the operator cleared the tunnel");
	down = tunnel->down;
	end_sas(tunnel, "the operator cleared the tunnel");
	answer_requests(tunnel, false, "the operator cleared the tunnel");
	tunnel->down = down;
	tunnel->attempts = 0;
	done(ike, event->control.request, true, "cleared");
	if (moat_tunnel_persists(tunnel))
		connect_all(tunnel);
}

void moat_tunnel_rekey(struct moat_ike *ike, const struct moat_event *event)
{
	struct moat_tunnel *tunnel = moat_tunnel_find(ike, event->control.tunnel);
	/* First, for the others come under the new one, where they stay:
	 * moat_quick_turn() */
	bool any = tunnel && moat_isakmp_rekey(tunnel);

	for (unsigned int i = 0; tunnel && i < tunnel->conf.n_pairs; i++) {
		if (!tunnel->pairs[i].current)
			continue;
		any = true;
		moat_pair_rekey(&tunnel->pairs[i]);
	}
	done(ike, event->control.request, any,
	     any      ? "asked for new SAs"
	     : tunnel ? "the tunnel has no SAs: moat up, or traffic, builds them"
		      : "there is no tunnel of this name");
}

/* ---- configuration ---- */

struct moat_tunnel *moat_tunnel_alloc(struct moat_ike *ike,
				      const struct moat_tunnel_conf *conf,
				      unsigned int pairs)
{
	struct moat_tunnel *tunnel = moat_alloc(sizeof(*tunnel));

	tunnel->ike = ike;
	moat_conf_copy(&tunnel->conf, conf);
	free(tunnel->conf.pairs);
	tunnel->conf.pairs = moat_alloc(pairs * sizeof(*conf->pairs));
	STAILQ_INIT(&tunnel->requests);
	tunnel->retry = (struct moat_timer){ .fire = retry_due, .owner = tunnel };
	tunnel->heard_at = ike->now;
	tunnel->made_at = ike->now;
	moat_dpd_prepare(tunnel);
	moat_peer_alone(tunnel);
	tunnel->pairs = moat_alloc(pairs * sizeof(*tunnel->pairs));
	for (unsigned int i = 0; i < pairs; i++) {
		struct moat_pair *pair = &tunnel->pairs[i];

		TAILQ_INIT(&pair->children);
		pair->tunnel = tunnel;
		pair->policy = ike->last_policy++;
		tunnel->conf.pairs[i].policy = pair->policy;
		pair->policy_local = conf->local;
		if (i >= conf->n_pairs)
			continue;
		pair->selector = conf->pairs[i].selector;
		tunnel->conf.pairs[i].selector = pair->selector;
		if (conf->n_remote)
			pair->policy_remote = conf->remote[0];
		pair->acquire_off = conf->start == MOAT_START_NONE;
	}
	return tunnel;
}

static struct moat_tunnel *add_tunnel(struct moat_ike *ike, struct moat_tunnel_conf *conf)
{
	unsigned int passes = conf->any ? 2 * conf->n_pairs : 0;
	struct moat_tunnel *tunnel = moat_tunnel_alloc(ike, conf, conf->n_pairs + passes);

	for (unsigned int i = 0; i < conf->n_pairs; i++) {
		conf->pairs[i].policy = tunnel->pairs[i].policy;
		/* Peers with their own addresses: nothing can be kept for them. */
		if (conf->any && !moat_range_prefix(&tunnel->pairs[i].selector.remote))
			continue;
		tunnel->pairs[i].standing = true;
		moat_pair_policy(&tunnel->pairs[i], MOAT_ACT_POLICY_ADD);
	}
	if (conf->any)
		moat_wild_let_ike(tunnel);
	return tunnel;
}

void moat_tunnel_start(struct moat_tunnel *tunnel)
{
	if (moat_tunnel_persists(tunnel) && tunnel->conf.action == MOAT_ACTION_PROTECT)
		connect_all(tunnel);
}

static void free_tunnel(struct moat_tunnel *tunnel)
{
	TAILQ_REMOVE(&tunnel->ike->tunnels, tunnel, link);
	moat_timer_stop(&tunnel->ike->timers, &tunnel->silence);
	for (unsigned int i = 0; i < tunnel->conf.n_pairs; i++)
		free(tunnel->pairs[i].refused);
	moat_conf_clear(&tunnel->conf);
	free(tunnel->pairs);
	free(tunnel);
}

void moat_tunnel_remove(struct moat_tunnel *tunnel, const char *why)
{
	struct moat_ike *ike = tunnel->ike;

	moat_wild_end(tunnel, why);
	moat_act_log(ike->acts, MOAT_LOG_INFO, "tunnel-removed", tunnel->conf.name, "%s",
		     why);
	end_sas(tunnel, why);
	answer_requests(tunnel, false, why);
	for (unsigned int i = 0; i < tunnel->conf.n_pairs + tunnel->n_passes; i++) {
		if (tunnel->pairs[i].standing)
			moat_pair_policy(&tunnel->pairs[i], MOAT_ACT_POLICY_DEL);
	}
	/* Nothing may point here any more: those that ended are still to be freed. */
	moat_quick_reap(ike);
	moat_isakmp_reap(ike, tunnel);
	free_tunnel(tunnel);
}

/* Where it stands and how it starts may change without touching an SA. */
static void update_tunnel(struct moat_tunnel *tunnel, const struct moat_tunnel_conf *conf)
{
	bool start = conf->start != tunnel->conf.start;

	free((char *)tunnel->conf.file);
	tunnel->conf.file = moat_dup(conf->file ? conf->file : "",
				     conf->file ? strlen(conf->file) + 1 : 1);
	tunnel->conf.line = conf->line;
	/* The same, or renewed: revocation lists, and with more ado what it proves with. */
	tunnel->renewed = !moat_creds_same(tunnel->conf.creds, conf->creds);
	moat_creds_get(conf->creds);
	moat_creds_put(tunnel->conf.creds);
	tunnel->conf.creds = conf->creds;
	moat_wild_renew(tunnel);
	memcpy(tunnel->conf.lines, conf->lines, sizeof(conf->lines));
	tunnel->conf.start = conf->start;
	for (unsigned int i = 0; i < conf->n_pairs; i++) {
		conf->pairs[i].policy = tunnel->pairs[i].policy;
		moat_pair_install(&tunnel->pairs[i]);
	}
	if (!start || tunnel->down)
		return;
	set_acquire(tunnel, conf->start == MOAT_START_NONE);
	if (moat_tunnel_persists(tunnel))
		connect_all(tunnel);
}

/*
 * One that moved has done so by now, unless its new ends are not known yet; other
 * credentials take nothing from it, but from its ISAKMP SAs.
 */
static bool stays(const struct moat_tunnel_conf *a, const struct moat_tunnel_conf *b)
{
	return moat_conf_same(a, b) || moat_conf_renewed(a, b) || moat_conf_moved(a, b);
}

static struct moat_tunnel_conf *find_conf(const struct moat_event *event,
					  const struct moat_tunnel_conf *like)
{
	for (unsigned int i = 0; i < event->config.n_tunnels; i++) {
		if (stays(event->config.tunnels[i], like))
			return event->config.tunnels[i];
	}
	return NULL;
}

static void remove_changed(struct moat_ike *ike, const struct moat_event *event)
{
	static const char removed[] = "the tunnel is no longer configured as it was";
	struct moat_tunnel *tunnel = TAILQ_FIRST(&ike->tunnels);

	while (tunnel) {
		struct moat_tunnel *next = TAILQ_NEXT(tunnel, link);
		if (!tunnel->template && !find_conf(event, &tunnel->conf)) {
			bool any = tunnel->conf.any;

			moat_tunnel_remove(tunnel, removed);
			/* What was made of it has gone along: it may be the next. */
			if (any)
				next = TAILQ_FIRST(&ike->tunnels);
		}
		tunnel = next;
	}
}

/*
 * The new policies of a changed tunnel come before its old ones go, or else its
 * traffic would leave in the clear meanwhile. Until the old ones are gone the
 * new tunnels stay out of the list: what ends shall not find them.
 */
void moat_tunnels_config(struct moat_ike *ike, const struct moat_event *event)
{
	struct moat_tunnels added = TAILQ_HEAD_INITIALIZER(added);
	struct moat_tunnel *tunnel;

	moat_tunnels_move(ike, event);
	for (unsigned int i = 0; i < event->config.n_tunnels; i++) {
		struct moat_tunnel_conf *conf = event->config.tunnels[i];

		tunnel = moat_tunnel_find(ike, conf->name);
		if (!tunnel || !stays(conf, &tunnel->conf)) {
			tunnel = add_tunnel(ike, conf);
			TAILQ_INSERT_TAIL(&added, tunnel, link);
		}
	}
	remove_changed(ike, event);
	for (unsigned int i = 0; i < event->config.n_tunnels; i++) {
		tunnel = moat_tunnel_find(ike, event->config.tunnels[i]->name);
		if (tunnel)
			update_tunnel(tunnel, event->config.tunnels[i]);
	}
	moat_renew_all(ike);
	moat_wild_claim(ike);
	tunnel = TAILQ_FIRST(&added);
	TAILQ_CONCAT(&ike->tunnels, &added, link);
	moat_peer_agree(ike);
	ike->adopting = event->config.wait;
	for (; tunnel && !ike->adopting; tunnel = TAILQ_NEXT(tunnel, link))
		moat_tunnel_start(tunnel);
}

void moat_tunnels_free(struct moat_ike *ike)
{
	while (!TAILQ_EMPTY(&ike->tunnels)) {
		struct moat_tunnel *tunnel = TAILQ_FIRST(&ike->tunnels);

		moat_wild_end(tunnel, "the daemon ends");
		end_sas(tunnel, "the daemon ends");
		answer_requests(tunnel, false, "the daemon ends");
		moat_quick_reap(ike);
		moat_isakmp_reap(ike, tunnel);
		free_tunnel(tunnel);
	}
}

const char *moat_tunnel_state(const struct moat_tunnel *tunnel)
{
	unsigned int up = 0;
	unsigned int asked = 0;
	unsigned int off = 0;
	unsigned int refused = 0;
	unsigned int waiting = 0;

	if (tunnel->conf.any)
		return tunnel->down		     ? "down"
		       : moat_wild_has_peers(tunnel) ? "up"
						     : "waiting";
	for (unsigned int i = 0; i < tunnel->conf.n_pairs; i++) {
		const struct moat_pair *pair = &tunnel->pairs[i];

		if (pair->refused)
			refused++;
		else if (pair->current)
			up++;
		else if (pair->asked || pair->answering)
			asked++;
		else if (pair->acquire_off && !pair->vacant)
			off++;
		else if (!pair->vacant)
			waiting++;
	}
	if (up)
		return asked || refused || off || waiting ? "partial" : "up";
	if (asked)
		return "connecting";
	return off || refused ? "down" : "waiting";
}
