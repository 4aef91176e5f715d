/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A secpath is how the rest of the kernel sees that a packet has to do with
 * IPsec: nft `meta ipsec`, `-m policy`, rp_filter, redirects, flowtables. It
 * must not be empty; ours holds a state of XFRM that nothing else knows.
 */
#ifndef _MOAT_SECPATH_H
#define _MOAT_SECPATH_H

#include <linux/skbuff.h>

struct moat_net;

/**
 * moat_secpath_net_init() - Make a namespace's state.
 * @mn: namespace
 *
 * Return: 0 or -ENOMEM.
 */
int moat_secpath_net_init(struct moat_net *mn);

/** moat_secpath_net_exit() - Packets that have it still keep it alive. */
void moat_secpath_net_exit(struct moat_net *mn);

/**
 * moat_secpath_set() - Put a secpath on a packet that has none.
 * @mn: namespace
 * @skb: packet
 *
 * skb_scrub_packet() takes it off.
 *
 * Return: 0 or -ENOMEM.
 */
int moat_secpath_set(const struct moat_net *mn, struct sk_buff *skb);

#endif /* _MOAT_SECPATH_H */
