/* SPDX-License-Identifier: GPL-2.0 */
/* The MSS that TCP announces. */
#ifndef _MOAT_MSS_H
#define _MOAT_MSS_H

#include <linux/skbuff.h>

/**
 * moat_mss_clamp() - Lower the MSS of a SYN, if the packet is one.
 * @skb: inner packet, its checksum computed; skb_network_header() is set, and its IP
 *	header linear. It may be put together out of fragments: of what is written
 *	it gets a linear copy first
 * @family: AF_INET or AF_INET6
 * @mss: largest to be announced, in bytes
 *
 * A SYN whose options are not whole stays as it is, and so does any without memory.
 */
void moat_mss_clamp(struct sk_buff *skb, u8 family, u16 mss);

/** moat_mss_is_syn() - Whether a packet may announce one; likewise. */
bool moat_mss_is_syn(const struct sk_buff *skb, u8 family);

/**
 * moat_mss_of() - What segments may hold so that packets are of a size.
 * @mtu: the size in bytes, 0 is unknown
 * @family: of the packets
 *
 * Return: bytes, as many as an MSS can say if nothing is known.
 */
u16 moat_mss_of(unsigned int mtu, u8 family);

#endif /* _MOAT_MSS_H */
