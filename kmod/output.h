/* SPDX-License-Identifier: GPL-2.0 */
/* The path out: POST_ROUTING, policy, SA, seal, send. */
#ifndef _MOAT_OUTPUT_H
#define _MOAT_OUTPUT_H

#include <linux/netfilter.h>

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

#endif /* _MOAT_OUTPUT_H */
