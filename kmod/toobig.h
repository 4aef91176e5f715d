/* SPDX-License-Identifier: GPL-2.0 */
/* Packets that are too big for their SA (RFC 4301 8.2.1). */
#ifndef _MOAT_TOOBIG_H
#define _MOAT_TOOBIG_H

#include <linux/skbuff.h>

/**
 * moat_too_big() - Whether a packet may be sealed, as far as its size goes.
 * @skb: inner packet at POST_ROUTING, with its own route; GSO allowed
 * @family: AF_INET or AF_INET6
 * @mtu: largest inner packet that leaves unfragmented
 * @fits: gets whether it does; otherwise the outer packet is fragmented
 *
 * Tells the sender when it may not be fragmented: a local one through its
 * route, others by ICMP.
 *
 * Context: BH disabled.
 * Return: 0 or -EMSGSIZE.
 */
int moat_too_big(struct sk_buff *skb, u8 family, unsigned int mtu,
		 bool *fits);

#endif /* _MOAT_TOOBIG_H */
