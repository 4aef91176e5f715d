// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Ends that move: a NAT gives the peer another address, its name has another one,
 * or we have. The tunnel stays what it is. Its policies stand all the time; its SAs
 * go on until there are others between the new ends, for the old ones may still
 * carry.
 */
#include "ike/ike1.h"

#include <stdlib.h>
#include <string.h>

/*
 * What the kernel has keeps its name, and so child->remote; its policy's endpoint
 * follows there too. What it does not have yet is made for the new place.
 */
void moat_child_move(struct moat_child *child, const struct moat_endpoint *to)
{
	struct moat_pair *pair = child->pair;
	struct moat_addr from = child->peer.addr;
	struct moat_act *act;

	child->peer = *to;
	for (unsigned int i = 0; child->out && i < child->n_sas; i++) {
		child->remote = to->addr;
		child->out[i].dst = to->addr;
		child->out[i].encap[1] = to->port;
	}
	if (!child->switched)
		return;
	act = moat_act_new(pair->tunnel->ike->acts, MOAT_ACT_SA_MOVE);
	act->move.policy = pair->policy;
	act->move.protocol = moat_child_protocol(&child->sas[0]);
	act->move.spi = child->sas[0].spi_out;
	act->move.dst = child->remote;
	act->move.peer = *to;
	if (moat_addr_equal(&pair->policy_remote, &from))
		pair->policy_remote = to->addr;
}

/* ---- another address in the configuration ---- */

/*
 * Was it configured, and is no more? Where a NAT has moved the peer it was never
 * configured; there it was heard, and dead peer detection tells the rest.
 */
static bool gone(const struct moat_tunnel_conf *from, const struct moat_tunnel_conf *to,
		 const struct moat_addr *local, const struct moat_addr *remote)
{
	return !moat_addr_equal(local, &to->local) ||
	       (moat_conf_at(from, remote) && !moat_conf_at(to, remote));
}

static struct moat_tunnel_conf *new_ends(const struct moat_event *event,
					 const struct moat_tunnel *tunnel)
{
	for (unsigned int i = 0; i < event->config.n_tunnels; i++) {
		struct moat_tunnel_conf *conf = event->config.tunnels[i];

		/* Until the new ends are known the old ones are better than none. */
		if (!strcmp(conf->name, tunnel->conf.name))
			return moat_conf_moved(conf, &tunnel->conf) && conf->n_remote &&
					       conf->local.len
				       ? conf
				       : NULL;
	}
	return NULL;
}

/* ISAKMP SAs between the old ends pass to a tunnel that stays there, or end. */
static void leave_isakmps(struct moat_tunnel *tunnel, const struct moat_tunnel_conf *to,
			  const struct moat_event *event)
{
	struct moat_isakmp *sa = TAILQ_FIRST(&tunnel->ike->isakmps);
	struct moat_tunnel *other;

	while (sa) {
		struct moat_isakmp *next = TAILQ_NEXT(sa, link);

		if (sa->tunnel == tunnel &&
		    gone(&tunnel->conf, to, &sa->local.addr, &sa->remote.addr)) {
			TAILQ_FOREACH(other, &tunnel->ike->tunnels, link) {
				if (other != tunnel && !other->down &&
				    moat_peer_suits(sa, other) && !new_ends(event, other))
					break;
			}
			if (other)
				moat_isakmp_pass(sa, other);
			else
				moat_isakmp_remove(sa);
		}
		sa = next;
	}
}

static bool covers(const struct moat_pair *pair, const struct moat_addr *addr)
{
	const struct moat_range host = { *addr, *addr };

	return moat_range_within(&host, &pair->selector.remote);
}

/* None of those that wait to be sent on leads to the new place. */
static void leave_spare(struct moat_pair *pair, const struct moat_tunnel_conf *from)
{
	struct moat_child *child;

	TAILQ_FOREACH(child, &pair->children, link) {
		if (child != pair->current && child->complete && !child->switched &&
		    gone(from, &pair->tunnel->conf, &child->local, &child->peer.addr))
			moat_child_leave(child);
	}
}

static void move_pair(struct moat_pair *pair, const struct moat_tunnel_conf *from,
		      bool asked)
{
	struct moat_tunnel *tunnel = pair->tunnel;
	const struct moat_tunnel_conf *to = &tunnel->conf;
	struct moat_child *current = pair->current;

	leave_spare(pair, from);
	if (current && !gone(from, to, &current->local, &current->peer.addr))
		return;
	/*
	 * IKE with the new place must not wait for the SAs that it shall make, nor go
	 * where the older ones lead.
	 */
	if (current && covers(pair, &to->remote[0])) {
		while (!TAILQ_EMPTY(&pair->children))
			moat_child_end(TAILQ_FIRST(&pair->children), false,
				       "its ends have moved");
		asked = true;
	}
	if (!pair->current)
		moat_pair_ends(pair, &to->local, &to->remote[0]);
	if (pair->current)
		moat_timer_after(tunnel->ike, &pair->current->rekey_timer, 1);
	else if (asked)
		moat_pair_connect(pair);
}

static void take_ends(struct moat_tunnel *tunnel, const struct moat_tunnel_conf *to)
{
	free(tunnel->conf.remote);
	tunnel->conf.remote = moat_dup(to->remote, to->n_remote * sizeof(*to->remote));
	tunnel->conf.n_remote = to->n_remote;
	tunnel->conf.local = to->local;
	tunnel->conf.local_id = to->local_id;
	tunnel->conf.remote_id = to->remote_id;
	tunnel->remote = 0;
	tunnel->tried = 0;
	tunnel->attempts = 0;
	tunnel->heard_at = tunnel->ike->now;
}

static void move_tunnel(struct moat_tunnel *tunnel, const struct moat_tunnel_conf *to,
			const struct moat_event *event)
{
	struct moat_tunnel_conf from = tunnel->conf;
	struct moat_ike *ike = tunnel->ike;
	char text[2][MOAT_ADDR_STRLEN];
	bool *asked = moat_alloc(from.n_pairs * sizeof(*asked));

	for (unsigned int i = 0; i < from.n_pairs; i++)
		asked[i] = tunnel->pairs[i].asked;
	from.remote = moat_dup(from.remote, from.n_remote * sizeof(*from.remote));
	moat_act_log(ike->acts, MOAT_LOG_INFO, "tunnel-moved", tunnel->conf.name,
		     "its ends are %s and %s now", moat_addr_str(&to->local, text[0]),
		     moat_addr_str(&to->remote[0], text[1]));
	leave_isakmps(tunnel, to, event);
	take_ends(tunnel, to);
	if (from.action == MOAT_ACTION_PROTECT && !tunnel->down) {
		for (unsigned int i = 0; i < from.n_pairs; i++)
			move_pair(&tunnel->pairs[i], &from, asked[i]);
		moat_dpd_watch(tunnel, tunnel->ike->now);
		if (!ike->adopting)
			moat_tunnel_start(tunnel);
	}
	free(from.remote);
	free(asked);
}

void moat_tunnels_move(struct moat_ike *ike, const struct moat_event *event)
{
	struct moat_tunnel *tunnel;

	TAILQ_FOREACH(tunnel, &ike->tunnels, link) {
		const struct moat_tunnel_conf *to = new_ends(event, tunnel);

		if (to)
			move_tunnel(tunnel, to, event);
	}
}
