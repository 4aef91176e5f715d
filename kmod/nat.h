/* SPDX-License-Identifier: GPL-2.0 */
/* NAT that takes packets out of their policy's reach. */
#ifndef _MOAT_NAT_H
#define _MOAT_NAT_H

#include <linux/skbuff.h>

struct moat_flow;
struct moat_net;
struct moat_policy;
struct nf_conntrack_tuple;

/**
 * moat_nat_flow() - One direction of a connection, as an outbound packet.
 * @tuple: conntrack's words for it
 * @flow: filled in
 */
void moat_nat_flow(const struct nf_conntrack_tuple *tuple,
		   struct moat_flow *flow);

/**
 * moat_nat_rewrote() - Whether NAT has hidden a packet from its policy.
 * @mn: namespace
 * @skb: packet at POST_ROUTING that no policy protects as it is now
 * @after: as it is now
 *
 * Context: rcu_read_lock().
 * Return: the policy that covers the packet as it was before NAT and would
 * not let it leave in clear; or NULL. What NAT did is remembered.
 */
struct moat_policy *moat_nat_rewrote(struct moat_net *mn,
				     const struct sk_buff *skb,
				     const struct moat_flow *after);

#endif /* _MOAT_NAT_H */
