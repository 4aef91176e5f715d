// SPDX-License-Identifier: GPL-2.0-or-later
/* Snapshots of the core for status and show. */
#include "ike/ike1.h"

#include <string.h>

static const struct moat_isakmp *isakmp_at(const struct moat_ike *ike, unsigned int index)
{
	const struct moat_isakmp *sa;

	TAILQ_FOREACH(sa, &ike->isakmps, link) {
		if (index-- == 0)
			break;
	}
	return sa;
}

/* A time of ours by the clock of the events; 0 is none. */
static uint64_t by_clock(const struct moat_ike *ike, uint64_t time)
{
	return time > ike->ahead ? time - ike->ahead : 0;
}

bool moat_ike_isakmp(const struct moat_ike *ike, unsigned int index,
		     struct moat_isakmp_view *view)
{
	const struct moat_isakmp *sa = isakmp_at(ike, index);

	if (!sa)
		return false;
	memset(view, 0, sizeof(*view));
	view->id = sa->id;
	view->tunnel = sa->tunnel->conf.name;
	view->local = sa->local;
	view->remote = sa->remote;
	view->state = moat_state_name(sa->state);
	view->initiator = sa->initiator;
	view->outdated = sa->outdated;
	view->exchange = moat_exchange_name(sa->exchange);
	memcpy(view->cookies[0], sa->cky.i, MOAT_COOKIE_LEN);
	memcpy(view->cookies[1], sa->cky.r, MOAT_COOKIE_LEN);
	if (sa->alg.cipher)
		moat_ike_alg_print(&sa->alg, view->proposal, sizeof(view->proposal));
	view->established = by_clock(ike, sa->established);
	view->expires = by_clock(ike, sa->expires);
	view->sent = sa->sent;
	view->received = sa->received;
	return true;
}

static const struct moat_tunnel *tunnel_at(const struct moat_ike *ike, unsigned int index)
{
	const struct moat_tunnel *tunnel;

	TAILQ_FOREACH(tunnel, &ike->tunnels, link) {
		if (index-- == 0)
			break;
	}
	return tunnel;
}

bool moat_ike_comparing(const struct moat_ike *ike)
{
	const struct moat_isakmp *sa;

	TAILQ_FOREACH(sa, &ike->isakmps, link) {
		if (sa->comparing)
			return true;
	}
	return false;
}

bool moat_ike_serves(const struct moat_ike *ike, unsigned int isakmp, unsigned int tunnel)
{
	const struct moat_isakmp *sa = isakmp_at(ike, isakmp);
	const struct moat_tunnel *t = tunnel_at(ike, tunnel);

	return sa && t && moat_peer_suits(sa, t);
}

bool moat_ike_tunnel(const struct moat_ike *ike, unsigned int index,
		     struct moat_tunnel_view *view)
{
	const struct moat_tunnel *tunnel = tunnel_at(ike, index);

	if (!tunnel)
		return false;
	memset(view, 0, sizeof(*view));
	view->name = tunnel->conf.name;
	view->state = moat_tunnel_state(tunnel);
	view->local = tunnel->conf.local;
	if (tunnel->conf.n_remote)
		view->remote =
			tunnel->conf.remote[tunnel->remote % tunnel->conf.n_remote];
	view->device = tunnel->conf.device;
	view->action = tunnel->conf.action;
	view->remote_id = &tunnel->conf.remote_id;
	view->any = tunnel->conf.any;
	if (tunnel->template)
		view->template = tunnel->template->conf.name;
	view->rekeys = tunnel->rekeys;
	view->n_pairs = tunnel->conf.n_pairs;
	return true;
}

bool moat_ike_pair(const struct moat_ike *ike, unsigned int tunnel, unsigned int index,
		   struct moat_pair_view *view)
{
	const struct moat_tunnel *t = tunnel_at(ike, tunnel);
	const struct moat_child_sa *sa;
	const struct moat_pair *pair;

	if (!t || index >= t->conf.n_pairs)
		return false;
	pair = &t->pairs[index];
	memset(view, 0, sizeof(*view));
	view->selector = pair->selector;
	view->policy = pair->policy;
	view->vacant = pair->vacant;
	view->state = moat_pair_state(pair);
	view->refused = pair->refused;
	view->mode = t->conf.mode;
	if (!pair->current)
		return true;
	sa = &pair->current->sas[0];
	view->protocol =
		sa->protocol == MOAT_PROTO_AH ? MOAT_IPPROTO_AH : MOAT_IPPROTO_ESP;
	view->spi_in = sa->spi_in;
	view->spi_out = sa->spi_out;
	moat_sa_alg_print(&sa->alg, view->proposal, sizeof(view->proposal));
	view->established = by_clock(ike, pair->current->established);
	view->expires = by_clock(ike, pair->current->expires);
	return true;
}

uint64_t moat_ike_refused(const struct moat_ike *ike, unsigned int why, const char **name)
{
	if (why == MOAT_REFUSE_NONE || why >= MOAT_REFUSE_MAX)
		return UINT64_MAX;
	*name = moat_refuse_name(why);
	return ike->refused[why];
}

static unsigned int children_of(const struct moat_tunnel *tunnel)
{
	const struct moat_child *child;
	unsigned int count = 0;

	for (unsigned int i = 0; i < tunnel->conf.n_pairs; i++) {
		TAILQ_FOREACH(child, &tunnel->pairs[i].children, link)
			count++;
	}
	return count;
}

void moat_ike_burden(const struct moat_ike *ike, struct moat_burden *burden)
{
	const struct moat_tunnel *tunnel;
	const struct moat_isakmp *sa;
	const struct moat_quick *quick;

	*burden = (struct moat_burden){
		.waits = moat_core_waits(ike),
		.timers = ike->timers.count,
	};
	TAILQ_FOREACH(sa, &ike->isakmps, link) {
		burden->isakmps++;
		burden->half_open += !sa->initiator && sa->state != MOAT_QM_IDLE;
		burden->fragments += moat_fragment_octets(sa);
		LIST_FOREACH(quick, &sa->quicks, link)
			burden->quicks++;
	}
	TAILQ_FOREACH(sa, &ike->dead_isakmps, link)
		burden->isakmps++;
	TAILQ_FOREACH(tunnel, &ike->tunnels, link)
		burden->children += children_of(tunnel);
}
