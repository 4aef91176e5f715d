/* SPDX-License-Identifier: GPL-2.0 */
/* The path in: SA, replay check, open, replay check, inner packet, deliver. */
#ifndef _MOAT_INPUT_H
#define _MOAT_INPUT_H

#include <linux/netfilter.h>

struct moat_sa;

/** moat_input_init() - Prepare delivery; 0 or a negative error. */
int moat_input_init(void);

/** moat_input_exit() - No SA is left, and so no packet on its way. */
void moat_input_exit(void);

/**
 * moat_input_packet() - An ESP or AH packet for this host has arrived.
 * @skb: the packet; skb->data is the ESP or AH header
 * @family: of its IP header
 * @protocol: IPPROTO_ESP or IPPROTO_AH
 *
 * Context: softirq, rcu_read_lock().
 * Return: 0: taken; -EINVAL: no SA of ours.
 */
int moat_input_packet(struct sk_buff *skb, u8 family, u8 protocol);

/**
 * moat_input_sa() - Open a packet of an SA.
 * @sa: inbound SA
 * @skb: the packet, consumed; skb->data is the ESP header, and the outer
 *	headers lie before it
 * @family: of its IP header
 *
 * Context: BH disabled, rcu_read_lock().
 */
void moat_input_sa(struct moat_sa *sa, struct sk_buff *skb, u8 family);

/**
 * moat_input_early() - Open a packet that came before its SA had keys.
 * @sa: inbound SA, which has them now
 * @skb: the packet as moat_early_hold() got it, consumed
 *
 * Context: BH disabled, rcu_read_lock().
 */
void moat_input_early(struct moat_sa *sa, struct sk_buff *skb);

/**
 * moat_input_hook() - First hook at PRE_ROUTING, IPv4 and IPv6.
 * @priv: unused
 * @skb: packet, out of an SA or in clear
 * @state: netfilter's
 *
 * Context: rcu_read_lock(), softirq.
 * Return: the verdict.
 */
unsigned int moat_input_hook(void *priv, struct sk_buff *skb,
			     const struct nf_hook_state *state);

#endif /* _MOAT_INPUT_H */
