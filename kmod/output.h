/* SPDX-License-Identifier: GPL-2.0 */
/* The path out: POST_ROUTING, policy, SA, seal, send. */
#ifndef _MOAT_OUTPUT_H
#define _MOAT_OUTPUT_H

#include <linux/netfilter.h>

#include "policy.h"

/**
 * moat_output_hook() - Last hook at POST_ROUTING, IPv4 and IPv6.
 * @priv: unused
 * @skb: local, forwarded or NATed packet, whole GSO packets included
 * @state: netfilter's
 *
 * Context: rcu_read_lock(), softirq or process.
 * Return: the verdict.
 */
unsigned int moat_output_hook(void *priv, struct sk_buff *skb,
			      const struct nf_hook_state *state);

/**
 * moat_output_protect() - Protect a packet, or hold it until there is an SA.
 * @policy: its policy
 * @skb: packet, not shared, whole GSO packets included; consumed
 * @flow: the same
 *
 * Context: BH disabled, rcu_read_lock().
 * Return: 0, or what a local sender is to be told.
 */
int moat_output_protect(struct moat_policy *policy, struct sk_buff *skb,
			const struct moat_flow *flow);

#endif /* _MOAT_OUTPUT_H */
