// SPDX-License-Identifier: GPL-2.0-or-later
/* When others are asked for in the place of a pair of IPsec SAs. */
#include "ike/ike1.h"

static void ask_for_others(struct moat_child *child)
{
	/* While they wait for a phase 1, or for their turn, nothing new is asked for. */
	if (!child->pair->asked)
		moat_act_log(child->pair->tunnel->ike->acts, MOAT_LOG_INFO, "ipsec-rekey",
			     child->pair->tunnel->conf.name,
			     "SAs %08x in, %08x out expire: asking for new ones",
			     child->sas[0].spi_in, child->sas[0].spi_out);
	moat_pair_connect(child->pair);
}

static bool rekey_waits(const struct moat_child *child)
{
	const struct moat_pair *pair = child->pair;

	return pair->current != child || pair->tunnel->down || pair->quick ||
	       pair->answering || child->switch_timer.slot ||
	       moat_child_has_next(child->pair);
}

static void unused_answer(struct moat_ike *ike, void *owner,
			  const struct moat_event *event)
{
	struct moat_child *child = owner;

	(void)ike;
	if (!rekey_waits(child) && !event->answer.unused)
		ask_for_others(child);
}

/*
 * Near their end, and not for another reason: then SAs on which nothing was sent are
 * left to end, and traffic brings others. It is asked again, for it may come late.
 * A peer from anywhere could not be asked for others.
 */
static bool may_rest(const struct moat_child *child)
{
	const struct moat_tunnel *tunnel = child->pair->tunnel;

	return !child->adopted && !child->doubted && !tunnel->template &&
	       !moat_tunnel_persists(tunnel) &&
	       tunnel->ike->now >= child->established + child->life * MOAT_SECOND / 2;
}

static void ask_unused(struct moat_child *child)
{
	struct moat_act *act =
		moat_act_new(child->pair->tunnel->ike->acts, MOAT_ACT_SA_UNUSED);

	moat_child_name_sa(act, child, MOAT_DIRECTION_OUT);
	moat_core_ask(child->pair->tunnel->ike, act, child, unused_answer);
}

void moat_child_rekey_due(struct moat_ike *ike, void *owner)
{
	struct moat_child *child = owner;

	if (child->old || child->pair->tunnel->down)
		return;
	/* The peer has chosen them, and fills them: what it has next it will use. */
	if (child->redundant && child != child->pair->current) {
		if (child->used && child->pair->current)
			ask_for_others(child);
		return;
	}
	/* Those that are not sent on yet, too: they are asked again once they are. */
	moat_timer_after(ike, &child->rekey_timer, 5 * MOAT_SECOND);
	if (rekey_waits(child))
		return;
	if (may_rest(child))
		ask_unused(child);
	else
		ask_for_others(child);
}

void moat_child_pass(struct moat_child *child)
{
	struct moat_child *current = child->pair->current;
	struct moat_ike *ike = child->pair->tunnel->ike;

	if (!child->complete || child->switched || child->old || child->redundant)
		return;
	moat_child_leave(child);
	if (current)
		moat_timer_after(ike, &current->rekey_timer,
				 moat_core_jitter(ike, MOAT_SECOND));
}

void moat_child_doubt(struct moat_child *child)
{
	struct moat_ike *ike = child->pair->tunnel->ike;

	child->doubted = true;
	moat_child_pass(child);
	moat_child_end_after(child, MOAT_OLD_INBOUND);
	if (child == child->pair->current)
		moat_timer_after(ike, &child->rekey_timer,
				 moat_core_jitter(ike, MOAT_SECOND));
}

/* ---- those of an ISAKMP SA ---- */

/*
 * strongSwan ends IPsec SAs with the ISAKMP SA that they were made under. It says so,
 * but nobody answers that: when it was lost we would send on them for all their life.
 */
void moat_child_renew(const struct moat_isakmp *sa)
{
	struct moat_child *child;

	MOAT_PEER_FOREACH_CHILD(child, sa->tunnel) {
		if (child->isakmp != sa->id)
			continue;
		if (child == child->pair->current)
			moat_timer_after(sa->ike, &child->rekey_timer,
					 moat_core_jitter(sa->ike, MOAT_SECOND));
		else
			moat_child_pass(child);
	}
}

/* Nobody begins a phase 1 for that alone, but with the next one they are replaced. */
void moat_child_mark(const struct moat_isakmp *sa)
{
	struct moat_child *child;

	MOAT_PEER_FOREACH_CHILD(child, sa->tunnel)
		child->left |= child->isakmp == sa->id;
}

/*
 * Those that lead to another address of the peer, where nobody may be any more, and
 * those that may have gone with a deleted ISAKMP SA.
 */
void moat_child_fetch(const struct moat_isakmp *sa)
{
	struct moat_child *child;

	MOAT_PEER_FOREACH_CHILD(child, sa->tunnel) {
		if (child == child->pair->current &&
		    (child->left ||
		     (!child->udp && !moat_addr_equal(&child->remote, &sa->remote.addr))))
			moat_timer_after(sa->ike, &child->rekey_timer,
					 moat_core_jitter(sa->ike, MOAT_SECOND));
	}
}
