// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * When a new pair of IPsec SAs is sent on: not before the peer has the other half of
 * it, which Moat says and others show.
 */
#include "ike/ike1.h"

#define INSTALL_WAIT (MOAT_SECOND / 2)	/* message 2 is not repeated before */
#define UNHEARD_MAX  2			/* then it is one of those who prefer old SAs */
#define REPEATED_MAX 2			/* then message 3 was sent three times */
#define UNHEARD_LEFT (60 * MOAT_SECOND) /* of life, for two more */

/* Longer than strongSwan lets a replaced ISAKMP SA live, less than others an old SA. */
#define CROSSED_WAIT (20 * MOAT_SECOND)

static struct moat_ike *core(const struct moat_child *child)
{
	return child->pair->tunnel->ike;
}

/*
 * The old SA must not end while we wait: of a short life little may be left. Who sends
 * but not on the new one most likely waits for message 3; a Moat asks for it.
 */
static uint64_t switch_wait(const struct moat_child *child)
{
	const struct moat_child *current = child->pair->current;
	uint64_t now = core(child)->now;
	uint64_t left = current && current->expires > now ? current->expires - now : 0;
	uint64_t wait = MOAT_SWITCH_WAIT * MOAT_SECOND;

	if (current && current->doubted)
		wait = MOAT_SECOND;
	else if (current && current->used && !moat_quick_of_moat(child))
		wait *= 4;
	return left / 2 < wait ? left / 2 : wait;
}

/*
 * After 1, 3, 7... s: longer than a peer waits before it repeats message 2. It may have
 * done so before one came here.
 */
static uint64_t next_step(const struct moat_child *child)
{
	return core(child)->now - child->begun_at + MOAT_SECOND;
}

/* Until it is due, and in steps to see to message 3. */
static void wait_on(struct moat_child *child)
{
	uint64_t step = next_step(child);
	uint64_t left = child->switch_by - core(child)->now;

	moat_timer_after(core(child), &child->switch_timer, step < left ? step : left);
}

/*
 * libreswan sends on the SAs before it has message 3, and gives them up a minute
 * later, when it has repeated message 2 in vain, as it does if this daemon dies now:
 * who sends has message 3 only if message 2 does not come again.
 */
static void wait_for_peer(struct moat_child *child)
{
	uint64_t wait = switch_wait(child);

	if (child->used && next_step(child) < wait)
		wait = next_step(child);
	child->switch_by = core(child)->now + wait;
	wait_on(child);
}

/* Between the same ends? Else there is nobody left who hears what the old one sends. */
static bool same_place(const struct moat_child *child, const struct moat_child *old)
{
	return moat_addr_equal(&child->local, &old->local) &&
	       (child->udp || moat_addr_equal(&child->remote, &old->remote));
}

/* Those before are sent on until others work, and are asked for. */
static bool hold_back(struct moat_child *child, const char *name, const char *why)
{
	struct moat_child *current = child->pair->current;
	struct moat_ike *ike = core(child);

	if (!current || current->doubted || !same_place(child, current) ||
	    current->n_unheard == UNHEARD_MAX ||
	    current->expires < ike->now + UNHEARD_LEFT)
		return false;
	current->n_unheard++;
	child->unheard = true;
	moat_timer_stop(&ike->timers, &child->switch_timer);
	moat_act_log(ike->acts, MOAT_LOG_INFO, name, child->pair->tunnel->conf.name,
		     "the peer %s the new SAs %08x in, %08x out: asking for others", why,
		     child->sas[0].spi_in, child->sas[0].spi_out);
	moat_timer_after(ike, &current->rekey_timer, moat_core_jitter(ike, MOAT_SECOND));
	return true;
}

/*
 * The peer sends, and not on the SAs that it should have had for so long: it does not
 * have them. strongSwan forgets a quick mode that waits for message 3 when it replaces
 * the ISAKMP SA.
 */
static bool unheard(struct moat_child *child)
{
	const struct moat_child *current = child->pair->current;

	return !child->used && !moat_quick_of_moat(child) && current && current->used &&
	       hold_back(child, "ipsec-unheard",
			 "does not send on, so most likely does not have,");
}

/*
 * They may not be for long: moat_quick_crossed(). The others that are asked for will; if
 * none come it was for nothing, and the peer will want to delete those before.
 */
static bool crossed(struct moat_child *child)
{
	struct moat_ike *ike = core(child);

	if (child->crossed || !child->quick || !moat_quick_crossed(child->quick))
		return child->crossed;
	child->crossed = hold_back(child, "ipsec-crossed",
				   "has another ISAKMP SA by now, and may end");
	if (child->crossed)
		moat_timer_after(ike, &child->switch_timer, CROSSED_WAIT);
	else
		moat_timer_after(ike, &child->rekey_timer,
				 moat_core_jitter(ike, MOAT_SECOND));
	return child->crossed;
}

bool moat_child_waits(struct moat_child *child)
{
	struct moat_child *current = child->pair->current;

	if (crossed(child))
		return true;
	if (!current || !child->initiator || !same_place(child, current))
		return false;
	/* strongSwan installs its SAs at message 3 only: let it get there. */
	wait_for_peer(child);
	return true;
}

/*
 * It asks for message 3 again and again, and may never be able to read it: strongSwan has
 * forgotten the IV once three other exchanges came. It has not got these SAs.
 */
static void never_read(struct moat_child *child)
{
	if (child == child->pair->current) {
		child->doubted = true;
		moat_timer_after(core(child), &child->rekey_timer,
				 moat_core_jitter(core(child), MOAT_SECOND));
	} else if (child->switch_timer.slot && !child->crossed) {
		hold_back(child, "ipsec-unread",
			  "asks for message 3 again, so does not have,");
	}
}

void moat_child_repeated(struct moat_child *child)
{
	/* That of a redundant one waits for something else: watch_redundant(). */
	if (child->switch_timer.slot && !child->redundant && !child->crossed)
		wait_for_peer(child);
	if (!child->moat && !child->used && !child->old && !child->redundant &&
	    ++child->n_repeated == REPEATED_MAX)
		never_read(child);
}

void moat_child_switch_due(struct moat_ike *ike, void *owner)
{
	struct moat_child *child = owner;
	struct moat_pair *pair = child->pair;

	if (!child->complete) {
		moat_quick_proved(child);
		return;
	}
	if (child->crossed) {
		moat_child_switch(child, NULL, NULL);
		return;
	}
	if (!child->redundant && ike->now < child->switch_by) {
		moat_quick_insist(child);
		wait_on(child);
		return;
	}
	if (child->redundant && pair->current && pair->current->used)
		return;
	if (!crossed(child) && !unheard(child))
		moat_child_switch(child, NULL, NULL);
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
	child->used_at = ++ike->sequence;
	/*
	 * The peer sends on it, so it has message 2, and its inbound SA stands, or will
	 * in a moment: libreswan installs that behind the outbound one, then sends
	 * message 3.
	 */
	if (!child->complete && !child->initiator && !moat_quick_of_moat(child) &&
	    !(child->quick && child->quick->waiting))
		moat_timer_after(core(child), &child->switch_timer, INSTALL_WAIT);
	else if (!child->complete)
		moat_quick_proved(child);
	else if (child->old)
		return;
	else if (child->redundant)
		watch_redundant(child);
	else if ((!child->switch_timer.slot && !child->unheard) || crossed(child))
		return;
	else if (moat_quick_of_moat(child))
		moat_child_switch(child, NULL, NULL);
	else
		wait_for_peer(child);
}

void moat_child_leave(struct moat_child *child)
{
	child->old = true;
	moat_timer_stop(&core(child)->timers, &child->rekey_timer);
	moat_timer_stop(&core(child)->timers, &child->switch_timer);
	moat_child_end_after(child, 2 * MOAT_OLD_INBOUND);
}
