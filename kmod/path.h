/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The packet paths as the rest of the module sees them: how they are hooked
 * in, and the two questions the database asks them.
 */
#ifndef _MOAT_PATH_H
#define _MOAT_PATH_H

#include <linux/netfilter.h>
#include <net/net_namespace.h>

struct moat_net;
struct moat_policy;
struct moat_sa;
struct moat_sa_key;
struct sk_buff;

/** moat_path_init() - Make what all namespaces share, before the first. */
int moat_path_init(void);

/** moat_path_exit() - Undo moat_path_init(); all namespaces are gone. */
void moat_path_exit(void);

/** moat_path_start() - Let packets in, once all namespaces are ready. */
int moat_path_start(void);

/** moat_path_stop() - Undo moat_path_start(), before namespaces go. */
void moat_path_stop(void);

/**
 * moat_path_net_init() - Register the hooks of a namespace.
 * @net: namespace; its struct moat_net is complete
 */
int moat_path_net_init(struct net *net);

/**
 * moat_path_net_exit() - Undo moat_path_net_init().
 * @net: namespace; policies and SAs are still there
 */
void moat_path_net_exit(struct net *net);

/**
 * moat_path_other_hooks() - Run the netfilter hooks behind one of ours.
 * @skb: packet
 * @state: what our hook was given
 * @self: our hook
 * @okfn: where a packet goes on that one of them has queued (NFQUEUE)
 *
 * Conntrack confirms a new connection in a hook of our priority, which may
 * come after ours; a packet that is stolen before would never be confirmed.
 *
 * Context: rcu_read_lock().
 * Return: 1 when the packet is still there, else as nf_hook_slow().
 */
int moat_path_other_hooks(struct sk_buff *skb,
			  const struct nf_hook_state *state, nf_hookfn *self,
			  int (*okfn)(struct net *net, struct sock *sk,
				      struct sk_buff *skb));

/**
 * moat_path_quoted() - Whether an ICMP error quotes a packet of an outbound SA.
 * @mn: namespace
 * @key: family, protocol and destination; gets the rest
 * @src: source of the quoted packet
 * @skb: ICMP error
 * @offset: of the quoted ESP or AH, from skb->data
 *
 * What an attacker off the path has to guess is the SPI, and a sequence number
 * that was sent already. The next packet may be smaller for it, no more.
 *
 * Context: rcu_read_lock().
 * Return: true if it is one of ours; what has the SPI alone is counted.
 */
bool moat_path_quoted(struct moat_net *mn, struct moat_sa_key *key,
		      const union nf_inet_addr *src, const struct sk_buff *skb,
		      int offset);

/**
 * moat_output_held() - Send a packet that was held, with this SA.
 * @policy: its policy, whose pointer may not be moved yet
 * @sa: SA to use
 * @skb: consumed
 *
 * Context: process, BH disabled, rcu_read_lock(). Called in the order the
 * packets came.
 */
void moat_output_held(struct moat_policy *policy, struct moat_sa *sa,
		      struct sk_buff *skb);

/**
 * moat_sa_mtu() - Largest inner packet that leaves unfragmented.
 * @sa: outbound SA
 *
 * Context: rcu_read_lock().
 * Return: bytes over the current route, 0 without a route.
 */
unsigned int moat_sa_mtu(const struct moat_sa *sa);

#endif /* _MOAT_PATH_H */
