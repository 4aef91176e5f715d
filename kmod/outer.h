/* SPDX-License-Identifier: GPL-2.0 */
/* The outer IP header of a tunnel: its route, its fields, its departure. */
#ifndef _MOAT_OUTER_H
#define _MOAT_OUTER_H

#include <linux/skbuff.h>
#include <net/dst.h>

#include "sa.h"

/**
 * moat_outer_len() - Bytes of outer headers, without ESP's.
 * @sa: outbound SA
 */
unsigned int moat_outer_len(const struct moat_sa *sa);

/**
 * moat_outer_before() - Bytes before ESP or AH in a packet.
 * @sa: outbound SA
 * @head_len: transport mode: bytes of IP header and its options, in front of
 *	what is protected; 0 is a header without any, and tunnel mode
 */
unsigned int moat_outer_before(const struct moat_sa *sa, unsigned int head_len);

/**
 * moat_outer_route() - Find the way to the peer.
 * @sa: outbound SA
 *
 * Context: rcu_read_lock().
 * Return: a route with a reference, or an ERR_PTR().
 */
struct dst_entry *moat_outer_route(const struct moat_sa *sa);

/**
 * moat_outer_mtu() - Largest inner packet that leaves unfragmented.
 * @sa: outbound SA
 * @dst: its route
 * @head_len: as for moat_outer_before()
 *
 * Return: bytes, 0 if none fits.
 */
unsigned int moat_outer_mtu(const struct moat_sa *sa,
			    const struct dst_entry *dst,
			    unsigned int head_len);

/**
 * moat_outer_dsfield() - DSCP and ECN of the outer header.
 * @sa: outbound SA
 * @skb: inner packet with its IP header in the linear part
 * @family: AF_INET or AF_INET6, of the inner packet
 *
 * The DSCP is the inner one or what the policy says (RFC 4301 5.1.2.1), ECN
 * is copied (normal mode, RFC 6040 4.1).
 */
u8 moat_outer_dsfield(const struct moat_sa *sa, const struct sk_buff *skb,
		      u8 family);

/**
 * moat_outer_ecn() - Carry congestion marks to the inner header.
 * @sa: inbound SA
 * @skb: inner packet, owned and linear
 * @family: AF_INET or AF_INET6, of the inner packet
 * @outer: DSCP and ECN of the outer header
 *
 * As in figure 4 of RFC 6040. The combinations that are marked there, for
 * which no router is known, are counted as ecn_odd; one of them is dropped.
 * The inner DSCP stays (RFC 4301 5.1.2.1).
 *
 * Return: MOAT_DROP_NONE or MOAT_DROP_IN_ECN.
 */
enum moat_drop moat_outer_ecn(const struct moat_sa *sa, struct sk_buff *skb,
			      u8 family, u8 outer);

/**
 * moat_outer_push() - Write the outer header.
 * @sa: outbound SA
 * @skb: ESP packet, with headroom; its route is set
 * @dsfield: see moat_outer_dsfield()
 * @flowlabel: of an inner IPv6 packet, copied (RFC 4301 5.1.2.2), else 0
 * @df: routers may not fragment it (IPv4)
 */
void moat_outer_push(const struct moat_sa *sa, struct sk_buff *skb, u8 dsfield,
		     __be32 flowlabel, bool df);

/**
 * moat_outer_readdress() - Transport mode in UDP: where the peer is by now.
 * @sa: SA with UDP encapsulation
 * @skb: packet of this host, owned, whose checksums are complete
 *
 * What the transport's checksum covers the peer knows: RFC 3948 3.1.2.
 */
void moat_outer_readdress(const struct moat_sa *sa, struct sk_buff *skb);

/**
 * moat_outer_send() - Send a sealed packet as this host's own.
 * @sa: outbound SA
 * @skb: consumed
 *
 * Context: BH disabled.
 */
void moat_outer_send(const struct moat_sa *sa, struct sk_buff *skb);

/**
 * moat_outer_ours() - Whether a packet is one that we sealed.
 * @mn: namespace
 * @flow: packet at POST_ROUTING
 * @skb: the same
 *
 * Context: rcu_read_lock().
 * Return: true if it belongs to one of our outbound SAs.
 */
bool moat_outer_ours(struct moat_net *mn, const struct moat_flow *flow,
		     const struct sk_buff *skb);

#endif /* _MOAT_OUTER_H */
