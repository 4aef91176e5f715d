/* SPDX-License-Identifier: GPL-2.0 */
/* ESP in UDP (RFC 3948), without a socket. */
#ifndef _MOAT_ENCAP_H
#define _MOAT_ENCAP_H

#include <linux/netfilter.h>
#include <linux/skbuff.h>

#include "sa.h"

/* IKE, and IKE and ESP once a NAT was found (RFC 3947 4). */
#define MOAT_PORT_IKE		500
#define MOAT_PORT_NAT_T		4500

/**
 * moat_encap_hook() - LOCAL_IN: what comes to UDP ports of ours.
 * @priv: unused
 * @skb: packet
 * @state: of netfilter
 *
 * Opens what an inbound SA takes by UDP, swallows keepalives (RFC 3948 2.3),
 * leaves the rest to the daemon's socket, and drops IKE of our peers while
 * there is no socket, so that no port unreachable tells them. Learns the path
 * MTU from ICMP errors about what we sent.
 */
unsigned int moat_encap_hook(void *priv, struct sk_buff *skb,
			     const struct nf_hook_state *state);

/**
 * moat_encap_arrives() - Whether a packet is for an inbound SA, in UDP.
 * @mn: namespace
 * @skb: packet at PRE_ROUTING
 * @family: AF_INET or AF_INET6
 *
 * Context: rcu_read_lock().
 * Return: true if an SA takes it by its destination, port and SPI. It is not
 * authenticated yet.
 */
bool moat_encap_arrives(struct moat_net *mn, const struct sk_buff *skb,
			u8 family);

/**
 * moat_encap_early() - Open a packet that came before its SA had keys.
 * @sa: inbound SA, which has them now
 * @skb: the packet, consumed; skb->data is its IP header
 *
 * Context: BH disabled, rcu_read_lock().
 */
void moat_encap_early(struct moat_sa *sa, struct sk_buff *skb);

/**
 * moat_encap_push() - Write the UDP header.
 * @sa: outbound SA with UDP encapsulation
 * @skb: ESP packet with headroom; skb_transport_header() stays at ESP
 */
void moat_encap_push(const struct moat_sa *sa, struct sk_buff *skb);

/**
 * moat_encap_finish() - The packet is sealed: its checksum.
 * @skb: packet with its UDP and IP headers, skb_transport_header() at ESP;
 *	afterwards at UDP
 * @family: AF_INET or AF_INET6, of the outer header
 */
void moat_encap_finish(struct sk_buff *skb, u8 family);

/**
 * moat_encap_prepare() - Before an SA comes into the database; locked.
 * @sa: SA
 *
 * IPv4 is put together before LOCAL_IN, IPv6 only behind it: by the code that
 * conntrack uses too, from the first SA that needs it to the namespace's end.
 *
 * Return: 0 or a negative error.
 */
int moat_encap_prepare(struct moat_sa *sa);

/** moat_encap_start() - An SA has come into the database; locked. */
void moat_encap_start(struct moat_sa *sa);

/** moat_encap_stop() - It goes; locked. */
void moat_encap_stop(struct moat_sa *sa);

/** moat_encap_net_exit() - A namespace ends. */
void moat_encap_net_exit(struct moat_net *mn);

#endif /* _MOAT_ENCAP_H */
