/* SPDX-License-Identifier: GPL-2.0 */
/* The MSS that TCP announces. */
#ifndef _MOAT_MSS_H
#define _MOAT_MSS_H

#include <linux/skbuff.h>

/**
 * moat_mss_clamp() - Lower the MSS of a SYN, if the packet is one.
 * @skb: inner packet, owned and linear, its checksum computed;
 *	skb_network_header() is set
 * @family: AF_INET or AF_INET6
 * @mss: largest to be announced, in bytes
 */
void moat_mss_clamp(struct sk_buff *skb, u8 family, u16 mss);

#endif /* _MOAT_MSS_H */
