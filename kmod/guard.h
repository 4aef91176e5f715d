/* SPDX-License-Identifier: GPL-2.0 */
/* What a policy protects is kept out of flowtables, which go around us. */
#ifndef _MOAT_GUARD_H
#define _MOAT_GUARD_H

#include <linux/netfilter.h>

struct moat_net;

/**
 * moat_guard_hook() - First hook at FORWARD, IPv4 and IPv6.
 * @priv: unused
 * @skb: forwarded packet
 * @state: netfilter's
 *
 * A flowtable takes no connection from a packet with a secpath.
 *
 * Context: rcu_read_lock(), softirq.
 * Return: the verdict.
 */
unsigned int moat_guard_hook(void *priv, struct sk_buff *skb,
			     const struct nf_hook_state *state);

/**
 * moat_guard_recall() - Policies have changed: ask again about all connections.
 * @mn: namespace
 *
 * What flowtables have comes by once more and meets moat_guard_hook().
 *
 * Context: process.
 */
void moat_guard_recall(const struct moat_net *mn);

#endif /* _MOAT_GUARD_H */
