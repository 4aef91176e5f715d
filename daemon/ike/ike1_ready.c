// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A policy's first SA, as initiator: who installs what, and when, decides whether
 * the packets that were held arrive.
 *
 * Moat's inbound SA stands before it sends message 2, so between two of them
 * nothing is to be waited for; a vendor ID says so. strongSwan installs its SAs at
 * message 3, in the order in which messages come. So a question goes behind
 * message 3 to who knows dead peer detection (RFC 3706): its answer says that
 * message 3 was dealt with. As its threads may exchange two messages that come
 * at once, what the exchange took is waited for in any case. Who does not know the
 * question gets twice that, a second at most.
 *
 * A peer that sets the commit bit says itself when its SAs may be used (RFC 2408
 * section 3.1): with CONNECTED, in an informational exchange with the message id of
 * the quick mode, or, as racoon and z/OS do it, as the responder in a fourth message.
 * That, or its first packet, is waited for in either role. As the bit is not
 * authenticated, and anybody on the path could set it, not for long. A rekey, which
 * has an SA to send on, waits as initiator for a packet anyway. We never set it.
 */
#include "ike/ike1.h"

#include <string.h>

#define ASK_AGAIN   (MOAT_SECOND * 7 / 10)
#define ASK_FOR	    (2 * MOAT_SECOND)
#define CONNECT_FOR (2 * MOAT_SECOND)

/* The first half of SHA-256("Moat: inbound SAs stand before message 2 of quick mode") */
static const uint8_t vendor[16] = { 0xd3, 0x9c, 0x0b, 0x0e, 0x6b, 0xa5, 0x07, 0xe6,
				    0xd9, 0x80, 0xff, 0xbf, 0x39, 0xe5, 0x3a, 0xf7 };

void moat_ready_put_vendor(struct moat_build *b)
{
	moat_build_payload(b, MOAT_P_VENDOR, moat_view(vendor, sizeof(vendor)));
}

void moat_ready_take_vendor(const struct moat_ike1_in *in)
{
	struct moat_view name = moat_view(vendor, sizeof(vendor));

	if (moat_message_vendor(&in->msg, name).len == sizeof(vendor))
		in->sa->moat = true;
}

static void due(struct moat_ike *ike, void *owner)
{
	struct moat_quick *quick = owner;
	uint64_t left = quick->done_at > ike->now ? quick->done_at - ike->now : 0;

	if (quick->answered || !quick->asked || !left) {
		moat_quick_complete(quick);
		return;
	}
	/* The question or its answer was lost. */
	if (!moat_quick_answers(quick->sa))
		moat_dpd_ask(quick->sa);
	moat_timer_after(ike, &quick->flight.timer, left < ASK_AGAIN ? left : ASK_AGAIN);
}

void moat_ready_wait(struct moat_quick *quick)
{
	struct moat_ike *ike = quick->sa->ike;
	uint64_t took = ike->now - quick->asked_at;

	if (took > MOAT_SECOND / 2)
		took = MOAT_SECOND / 2;
	quick->waiting = true;
	quick->flight.timer.fire = due;
	quick->flight.timer.owner = quick;
	if (quick->commit) {
		moat_timer_after(ike, &quick->flight.timer, CONNECT_FOR);
		return;
	}
	/* strongSwan could not go on with its own quick mode: moat_quick_turn(). */
	if (!moat_quick_answers(quick->sa))
		quick->asked = moat_dpd_ask(quick->sa);
	quick->ready_at = ike->now + took;
	quick->done_at = ike->now + (quick->asked ? ASK_FOR : 2 * took);
	moat_timer_after(ike, &quick->flight.timer, quick->asked ? ASK_AGAIN : 2 * took);
}

static void answered(struct moat_quick *quick)
{
	struct moat_ike *ike = quick->sa->ike;

	quick->answered = true;
	if (quick->ready_at <= ike->now)
		moat_quick_complete(quick);
	else
		moat_timer_set(&ike->timers, &quick->flight.timer, quick->ready_at);
}

void moat_ready_answered(struct moat_isakmp *sa, uint32_t number)
{
	struct moat_quick *quick = LIST_FIRST(&sa->quicks);

	while (quick) {
		struct moat_quick *next = LIST_NEXT(quick, link);

		if (quick->waiting && quick->asked && number >= quick->asked &&
		    number <= sa->dpd.asked)
			answered(quick);
		quick = next;
	}
}

bool moat_ready_awaits(struct moat_isakmp *sa, uint32_t message_id)
{
	const struct moat_quick *quick = moat_quick_find(sa, message_id);

	return quick && quick->waiting && quick->commit;
}

void moat_ready_connected(struct moat_isakmp *sa, uint32_t message_id)
{
	struct moat_quick *quick = moat_quick_find(sa, message_id);

	if (quick && quick->waiting)
		moat_quick_complete(quick);
}

int moat_ready_verify_4(struct moat_ike1_in *in)
{
	const struct moat_payload *p = moat_message_find(&in->msg, MOAT_P_NOTIFY);
	struct moat_notify n;

	if (p && moat_notify_parse(p->body, &n, &in->no))
		return -1;
	if (!p || n.type != MOAT_N_CONNECTED)
		return moat_refuse(&in->no, MOAT_REFUSE_PAYLOAD_TYPE,
				   "message 4 does not say CONNECTED");
	return 0;
}

void moat_ready_take_4(struct moat_ike1_in *in)
{
	moat_ready_connected(in->sa, in->hdr.message_id);
}
