// SPDX-License-Identifier: GPL-2.0-or-later
/* Life of a quick mode: made, settled, failed, forgotten. */
#include "ike/ike1.h"

#include <stdlib.h>
#include <string.h>

/* Repeated messages are answered for longer than the peer repeats them. */
#define SETTLED_LIFE (60 * MOAT_SECOND)

/* Who waits for an answer for longer keeps the others no more. */
#define TURN (3 * MOAT_SECOND)

/* Likewise a phase 1: its three pairs of messages, and some of them again. */
#define PHASE1_TURN (15 * MOAT_SECOND)

/* Who has the third message of ours in a main mode may believe us. */
#define MAIN_SENT 3

static void forget_quick(struct moat_ike *ike, void *owner);

/* ---- one after the other ---- */

static bool in_quick(const struct moat_isakmp *sa)
{
	const struct moat_quick *quick;

	LIST_FOREACH(quick, &sa->quicks, link) {
		if (quick->initiator && quick->pair &&
		    sa->ike->now < quick->begun_at + TURN)
			break;
	}
	return quick;
}

/* What ends under an ISAKMP SA that has a successor is not for long. */
static bool in_phase1(const struct moat_isakmp *sa, const struct moat_pair *pair)
{
	const struct moat_isakmp *next = moat_isakmp_connecting(sa->tunnel);
	uint64_t now = sa->ike->now;

	/* Where packets have no other SAs they come at once, and are replaced soon. */
	return next && now < next->created + PHASE1_TURN && pair->current &&
	       !pair->current->doubted && now + PHASE1_TURN < pair->current->expires;
}

/*
 * strongSwan keeps the IVs of the three exchanges that it heard of last, and cannot read
 * on in another. A question after message 3 and its answer are two.
 */
bool moat_quick_turn(struct moat_isakmp *sa, const struct moat_pair *pair)
{
	if (sa->moat || (!in_quick(sa) && !in_phase1(sa, pair)))
		return true;
	if (!sa->turn_timer.slot)
		moat_timer_after(sa->ike, &sa->turn_timer, TURN);
	return false;
}

/* Has the peer another one, or may have it: it has our message 5? */
static bool overtakes(const struct moat_isakmp *next, const struct moat_quick *quick)
{
	if (next == quick->sa || !moat_tunnel_same_peer(next->tunnel, quick->sa->tunnel))
		return false;
	if (next->state == MOAT_QM_IDLE)
		return next->established >= quick->begun_at;
	/* An attempt from before this one was made has no answer any more. */
	return next->initiator && next->sent >= MAIN_SENT &&
	       next->created >= quick->sa->established;
}

/*
 * strongSwan takes the IPsec SAs that stand along to its next ISAKMP SA. Those that come
 * later under the one before it ends together with that, after 10 s, and a quick mode
 * that waits for an answer of its own side may get none.
 */
bool moat_quick_crossed(const struct moat_quick *quick)
{
	const struct moat_isakmp *next = NULL;

	if (quick->sa->moat)
		return false;
	TAILQ_FOREACH(next, &quick->sa->ike->isakmps, link) {
		if (overtakes(next, quick))
			break;
	}
	return next;
}

bool moat_quick_answers(const struct moat_isakmp *sa)
{
	const struct moat_quick *quick;

	LIST_FOREACH(quick, &sa->quicks, link) {
		if (!quick->initiator && quick->pair)
			break;
	}
	return quick;
}

bool moat_quick_under_way(const struct moat_isakmp *sa)
{
	return in_quick(sa) || moat_quick_answers(sa);
}

void moat_quick_next(struct moat_ike *ike, void *owner)
{
	struct moat_isakmp *sa = owner;

	(void)ike;
	moat_peer_connect(sa->tunnel);
}

static void go_on(struct moat_pair *pair, const struct moat_isakmp *sa)
{
	if (!pair->asked || pair->quick || pair->answering)
		return;
	if (sa->stale || moat_isakmp_usable(pair->tunnel))
		moat_pair_connect(pair);
	else if (!moat_isakmp_connecting(pair->tunnel))
		moat_pair_failed(pair, "its ISAKMP SA has gone");
}

/* Where there is no other, they fail as those do that were under way: nobody wakes them. */
void moat_quick_unserved(struct moat_isakmp *sa)
{
	struct moat_tunnel *tunnel;

	TAILQ_FOREACH(tunnel, &sa->ike->tunnels, link) {
		if (!moat_tunnel_same_peer(tunnel, sa->tunnel))
			continue;
		for (unsigned int i = 0; i < tunnel->conf.n_pairs; i++)
			go_on(&tunnel->pairs[i], sa);
	}
}

struct moat_quick *moat_quick_new(struct moat_isakmp *sa, uint32_t message_id,
				  bool initiator)
{
	struct moat_quick *quick = moat_alloc(sizeof(*quick));

	quick->sa = sa;
	quick->message_id = message_id;
	quick->initiator = initiator;
	quick->state = MOAT_QUICK_NEW;
	quick->begun = ++sa->ike->sequence;
	quick->begun_at = sa->ike->now;
	quick->end_timer = (struct moat_timer){ .fire = forget_quick, .owner = quick };
	moat_iv_exchange(&sa->alg, sa->iv, message_id, quick->iv);
	LIST_INSERT_HEAD(&sa->quicks, quick, link);
	return quick;
}

struct moat_quick *moat_quick_find(struct moat_isakmp *sa, uint32_t message_id)
{
	struct moat_quick *quick;

	LIST_FOREACH(quick, &sa->quicks, link) {
		if (quick->message_id == message_id)
			return quick;
	}
	return NULL;
}

/* The pair no longer waits for this quick mode. */
static void leave_pair(struct moat_quick *quick)
{
	struct moat_pair *pair = quick->pair;

	quick->pair = NULL;
	if (!pair)
		return;
	if (pair->quick == quick)
		pair->quick = NULL;
	if (quick->counted)
		pair->answering--;
	pair->tunnel->ike->sweep |= pair->tunnel->template != NULL;
	quick->counted = false;
	if (!quick->sa->moat && !quick->sa->dead)
		moat_timer_after(quick->sa->ike, &quick->sa->turn_timer, 1);
}

static void remove_quick(struct moat_quick *quick)
{
	struct moat_ike *ike = quick->sa->ike;

	quick->dead = true;
	LIST_REMOVE(quick, link);
	LIST_INSERT_HEAD(&ike->dead_quicks, quick, link);
	moat_core_forget(ike, quick);
	moat_timer_stop(&ike->timers, &quick->end_timer);
	moat_flight_clear(ike, &quick->flight);
	if (quick->child)
		quick->child->quick = NULL;
	leave_pair(quick);
}

static void forget_quick(struct moat_ike *ike, void *owner)
{
	(void)ike;
	remove_quick(owner);
}

void moat_quick_reap(struct moat_ike *ike)
{
	while (!LIST_EMPTY(&ike->dead_quicks)) {
		struct moat_quick *quick = LIST_FIRST(&ike->dead_quicks);

		LIST_REMOVE(quick, link);
		moat_blob_clear(&quick->offer);
		moat_blob_clear(&quick->dh_private);
		moat_blob_clear(&quick->gqmxy);
		for (int i = 0; i < 2; i++) {
			moat_blob_clear(&quick->ids[i]);
			moat_blob_clear(&quick->nonces[i]);
			moat_blob_clear(&quick->ke[i]);
		}
		free(quick);
	}
}

void moat_quick_settle(struct moat_quick *quick)
{
	if (quick->dead)
		return;
	quick->state = MOAT_QUICK_DONE;
	moat_timer_stop(&quick->sa->ike->timers, &quick->flight.timer);
	leave_pair(quick);
	moat_timer_after(quick->sa->ike, &quick->end_timer, SETTLED_LIFE);
}

void moat_quick_fail(struct moat_quick *quick, const char *why)
{
	struct moat_child *child = quick->child;
	struct moat_pair *pair = quick->pair;
	struct moat_isakmp *sa = quick->sa;
	char name[MOAT_ISAKMP_STRLEN];
	bool again;

	if (quick->dead)
		return;
	moat_refused_leave(quick);
	remove_quick(quick);
	if (pair && !quick->told)
		moat_act_blame(moat_act_log(sa->ike->acts, MOAT_LOG_WARN, "quick-failed",
					    pair->tunnel->conf.name,
					    "quick mode %08x as %s failed: %s; %s",
					    quick->message_id,
					    quick->initiator ? "initiator" : "responder",
					    why, moat_isakmp_name(sa, name)),
			       &sa->remote.addr);
	/* The peer may believe that it stands: message 3 could have been lost. */
	if (child && !child->complete)
		moat_child_end(child, child->in_added, why);
	if (!pair)
		return;
	again = !quick->initiator || moat_quick_crossed(quick) ||
		(sa->dead && (sa->stale || moat_isakmp_usable(pair->tunnel)));
	if (pair->asked && again)
		moat_pair_connect(pair);
	else if (quick->initiator)
		moat_pair_failed(pair, why);
}

void moat_quick_refused(struct moat_ike1_in *in)
{
	struct moat_quick *quick = in->quick;
	uint8_t spi[4];
	uint16_t type = quick->notify ? quick->notify : moat_refuse_notify(in->no.why);
	struct moat_flight *keep = NULL;

	moat_set32(spi, quick->initiator ? quick->sas[0].spi_in : quick->spi_refused);
	if (!quick->initiator) {
		keep = &quick->flight;
		memcpy(keep->digest, in->digest, sizeof(keep->digest));
		keep->heard = true;
	}
	moat_info_notify(in->sa, keep,
			 quick->n_sas ? quick->sas[0].protocol : MOAT_PROTO_ESP, type,
			 moat_view(spi, sizeof(spi)));
	if (quick->initiator)
		moat_quick_fail(quick,
				in->no.why ? in->no.text : "message 2 is not acceptable");
	else
		moat_quick_settle(quick);
}

void moat_quick_child_gone(struct moat_child *child)
{
	struct moat_quick *quick = child->quick;

	if (!quick)
		return;
	quick->child = NULL;
	child->quick = NULL;
	if (quick->pair)
		moat_quick_fail(quick, "its IPsec SAs were deleted");
}

bool moat_quick_of_moat(const struct moat_child *child)
{
	return child->quick && child->quick->sa->moat;
}

void moat_quick_insist(struct moat_child *child)
{
	struct moat_quick *quick = child->quick;

	if (quick && quick->initiator && !quick->sa->moat)
		moat_ike1_answer_again(quick->sa, &quick->flight, "quick", true);
}

void moat_quick_proved(struct moat_child *child)
{
	struct moat_quick *quick = child->quick;

	if (quick && quick->waiting)
		moat_quick_complete(quick);
	if (!quick || quick->initiator || quick->state != MOAT_QUICK_SENT_2)
		return;
	moat_child_complete(child, NULL, NULL);
	moat_quick_settle(quick);
}

void moat_quick_leave(struct moat_pair *pair, const char *why)
{
	struct moat_isakmp *sa;

	TAILQ_FOREACH(sa, &pair->tunnel->ike->isakmps, link) {
		struct moat_quick *quick = LIST_FIRST(&sa->quicks);

		while (quick) {
			struct moat_quick *next = LIST_NEXT(quick, link);

			if (quick->pair == pair)
				moat_quick_fail(quick, why);
			quick = next;
		}
	}
}
