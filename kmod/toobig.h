/* SPDX-License-Identifier: GPL-2.0 */
/* Packets that are too big for their SA (RFC 4301 8). */
#ifndef _MOAT_TOOBIG_H
#define _MOAT_TOOBIG_H

#include <linux/skbuff.h>

#include "shape.h"

/** enum moat_fit - What becomes of a packet, as far as its size goes. */
enum moat_fit {
	MOAT_FIT_WHOLE,		/* leaves in one piece */
	MOAT_FIT_CUT_OUTER,	/* the outer packet is fragmented */
	MOAT_FIT_CUT_INNER,	/* the inner one (IPv4) is, before it is sealed */
	MOAT_FIT_NOT,		/* is dropped, and its sender knows */
};

/**
 * moat_too_big() - Whether a packet may be sealed, as far as its size goes.
 * @skb: inner packet at POST_ROUTING, with its own route; GSO allowed
 * @family: AF_INET or AF_INET6
 * @shape: of its SA
 * @mtu: largest inner packet that leaves unfragmented, in bytes
 *
 * Tells the sender when it may not be fragmented: a local one through its
 * route, others by ICMP.
 *
 * Context: BH disabled.
 * Return: what to do with it.
 */
enum moat_fit moat_too_big(struct sk_buff *skb, u8 family,
			   const struct moat_shape *shape, unsigned int mtu);

#endif /* _MOAT_TOOBIG_H */
