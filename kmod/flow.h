/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A packet's addresses as this gateway sees them, and the selectors that
 * choose packets by them (RFC 4301 4.4.1.1). "Local" and "remote" are the
 * same in both directions: a packet that leaves goes from local to remote,
 * one that arrives from remote to local.
 */
#ifndef _MOAT_FLOW_H
#define _MOAT_FLOW_H

#include <linux/in.h>
#include <linux/in6.h>
#include <linux/netfilter.h>
#include <linux/socket.h>

/**
 * struct moat_flow - What a packet is classified by.
 * @local: address on our side; all words but the first are 0 with IPv4
 * @remote: address on the peer's side, likewise
 * @local_port: host byte order, 0 without ports; ICMP and ICMPv6: type and
 *	code, see moat_icmp_selector(); mobility header: its type, likewise
 * @remote_port: host byte order, 0 without ports
 * @mark: skb->mark
 * @device: moat_device.id of the device it leaves by, 0 is none
 * @family: AF_INET or AF_INET6
 * @protocol: IP protocol, behind IPv6 extension headers
 * @any_mark: all policies are looked at, whatever @mark
 * @carried: not the packet itself, but what the ICMP error in it is about
 */
struct moat_flow {
	union nf_inet_addr local;
	union nf_inet_addr remote;
	u16 local_port;
	u16 remote_port;
	u32 mark;
	u32 device;
	u8 family;
	u8 protocol;
	bool any_mark;
	bool carried;
};

/**
 * struct moat_selector - Traffic of a policy or of an SA.
 * @local: network address, bits behind the prefix are 0
 * @remote: likewise
 * @local_prefix: bits
 * @remote_prefix: bits
 * @family: AF_INET or AF_INET6; 0 is any packet of either
 * @protocol: IP protocol, 0 is any
 * @local_port_min: host byte order; 0-65535 is any, and packets without ports
 * @local_port_max: included
 * @remote_port_min: like @local_port_min
 * @remote_port_max: included
 */
struct moat_selector {
	union nf_inet_addr local;
	union nf_inet_addr remote;
	u8 local_prefix;
	u8 remote_prefix;
	u8 family;
	u8 protocol;
	u16 local_port_min;
	u16 local_port_max;
	u16 remote_port_min;
	u16 remote_port_max;
};

/**
 * moat_addr_equal() - Compare two addresses of one family.
 * @a: one; unused words are 0
 * @b: the other, likewise
 *
 * Return: whether they are the same.
 */
static inline bool moat_addr_equal(const union nf_inet_addr *a,
				   const union nf_inet_addr *b)
{
	return nf_inet_addr_cmp(a, b);
}

/** moat_ports_match() - The part of moat_selector_match() about ports. */
static inline bool moat_ports_match(const struct moat_selector *sel,
				    const struct moat_flow *flow)
{
	return flow->local_port >= sel->local_port_min &&
	       flow->local_port <= sel->local_port_max &&
	       flow->remote_port >= sel->remote_port_min &&
	       flow->remote_port <= sel->remote_port_max;
}

/* Type and code in the one 16-bit selector of RFC 4301 4.4.1.1. */
static inline u16 moat_icmp_selector(u8 type, u8 code)
{
	return type << 8 | code;
}

/* Protocols that have a type instead of ports. */
static inline bool moat_has_type(u8 protocol)
{
	return protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6 ||
	       protocol == IPPROTO_MH;
}

static inline u8 moat_addr_bits(u8 family)
{
	return family == AF_INET ? 32 : 128;
}

/**
 * moat_addr_mask() - Keep the first bits of an address.
 * @addr: address
 * @family: AF_INET or AF_INET6
 * @prefix: bits, not more than the family has
 *
 * Return: @addr with all other bits 0.
 */
union nf_inet_addr moat_addr_mask(const union nf_inet_addr *addr, u8 family,
				  u8 prefix);

/**
 * moat_selector_match() - Whether a selector covers a packet.
 * @sel: selector
 * @flow: packet
 *
 * Return: true if it does.
 */
bool moat_selector_match(const struct moat_selector *sel,
			 const struct moat_flow *flow);

/**
 * moat_selector_has_ports() - Whether a selector looks behind the IP header.
 * @sel: selector
 *
 * Return: true if not all ports, or types and codes, are covered.
 */
static inline bool moat_selector_has_ports(const struct moat_selector *sel)
{
	return sel->family &&
	       (sel->local_port_min || sel->local_port_max != U16_MAX ||
		sel->remote_port_min || sel->remote_port_max != U16_MAX);
}

/**
 * moat_selector_hosts() - Make a selector of all between two hosts.
 * @sel: where to
 * @family: AF_INET or AF_INET6
 * @local: address on our side
 * @remote: address on the peer's side
 */
void moat_selector_hosts(struct moat_selector *sel, u8 family,
			 const union nf_inet_addr *local,
			 const union nf_inet_addr *remote);

/**
 * moat_selector_is_hosts() - Whether a selector's networks are two hosts.
 * @sel: selector, of whatever protocol and ports
 * @family: AF_INET or AF_INET6
 * @local: address on our side
 * @remote: address on the peer's side
 *
 * Return: true if they are these.
 */
bool moat_selector_is_hosts(const struct moat_selector *sel, u8 family,
			    const union nf_inet_addr *local,
			    const union nf_inet_addr *remote);

/**
 * moat_selector_covers() - Whether one selector lies inside another.
 * @outer: the larger
 * @inner: the smaller, or an equal one
 *
 * Return: true if all packets of @inner are packets of @outer.
 */
bool moat_selector_covers(const struct moat_selector *outer,
			  const struct moat_selector *inner);

/**
 * moat_selector_meets() - Whether two selectors have packets in common.
 * @a: one of the same two hosts
 * @b: another one
 */
bool moat_selector_meets(const struct moat_selector *a,
			 const struct moat_selector *b);

#endif /* _MOAT_FLOW_H */
