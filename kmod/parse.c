// SPDX-License-Identifier: GPL-2.0
/* Read the headers of inner packets, of either family and direction. */
#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <net/ah.h>
#include <net/dsfield.h>
#include <net/esp.h>
#include <net/ip.h>
#include <net/ipv6.h>

#include "parse.h"

static void moat_parse_swap(struct moat_flow *flow)
{
	swap(flow->local, flow->remote);
	swap(flow->local_port, flow->remote_port);
}

/* Where a mobility header has its type (RFC 6275 6.1.1). */
#define MOAT_MH_TYPE	2

/* The local side has it in both directions: it is not swapped with them. */
static void moat_parse_type(struct moat_flow *flow, bool outbound, u16 type)
{
	if (outbound)
		flow->local_port = type;
	else
		flow->remote_port = type;
}

/* Ports stay 0 when the packet has none, or is too short for them. */
static void moat_parse_ports(const struct sk_buff *skb, int offset,
			     bool outbound, struct moat_flow *flow)
{
	const __be16 *ports;
	__be16 ports_buf[2];
	const u8 *icmp;
	u8 icmp_buf[2];

	switch (flow->protocol) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
	case IPPROTO_SCTP:
	case IPPROTO_DCCP:
		ports = skb_header_pointer(skb, offset, sizeof(ports_buf),
					   ports_buf);
		if (!ports)
			return;
		flow->local_port = ntohs(ports[0]);
		flow->remote_port = ntohs(ports[1]);
		return;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		icmp = skb_header_pointer(skb, offset, sizeof(icmp_buf),
					  icmp_buf);
		if (!icmp)
			return;
		moat_parse_type(flow, outbound,
				moat_icmp_selector(icmp[0], icmp[1]));
		return;
	case IPPROTO_MH:
		icmp = skb_header_pointer(skb, offset + MOAT_MH_TYPE, 1,
					  icmp_buf);
		if (icmp)
			moat_parse_type(flow, outbound,
					moat_icmp_selector(icmp[0], 0));
		return;
	}
}

static int moat_parse_v4(const struct sk_buff *skb, int offset, bool outbound,
			 struct moat_flow *flow, int *payload)
{
	const struct iphdr *ip;
	struct iphdr buf;

	ip = skb_header_pointer(skb, offset, sizeof(buf), &buf);
	if (!ip || ip->version != 4 || ip->ihl < 5 ||
	    ntohs(ip->tot_len) < ip->ihl * 4 ||
	    skb->len < offset + ip->ihl * 4)
		return -EINVAL;
	flow->local.ip = ip->saddr;
	flow->remote.ip = ip->daddr;
	flow->protocol = ip->protocol;
	*payload = 0;
	if (ip->frag_off & htons(IP_OFFSET))
		return 0;
	*payload = offset + ip->ihl * 4;
	moat_parse_ports(skb, *payload, outbound, flow);
	return 0;
}

/*
 * What a later fragment is of, when ipv6_find_hdr() would look behind that: AH,
 * or options.
 */
static int moat_parse_later6(const struct sk_buff *skb, int offset)
{
	unsigned int start = offset;
	unsigned short fragment = 0;
	const struct frag_hdr *header;
	struct frag_hdr buf;

	if (ipv6_find_hdr(skb, &start, NEXTHDR_FRAGMENT, &fragment, NULL) < 0 ||
	    !fragment)
		return -EINVAL;
	header = skb_header_pointer(skb, start, sizeof(buf), &buf);
	return header ? header->nexthdr : -EINVAL;
}

static int moat_parse_v6(const struct sk_buff *skb, int offset, bool outbound,
			 struct moat_flow *flow, int *payload)
{
	int flags = IP6_FH_F_AUTH, protocol;
	unsigned int start = offset;
	unsigned short fragment = 0;
	const struct ipv6hdr *ip;
	struct ipv6hdr buf;

	ip = skb_header_pointer(skb, offset, sizeof(buf), &buf);
	if (!ip || ip->version != 6)
		return -EINVAL;
	flow->local.in6 = ip->saddr;
	flow->remote.in6 = ip->daddr;
	protocol = ipv6_find_hdr(skb, &start, -1, &fragment, &flags);
	if (protocol < 0) {
		protocol = moat_parse_later6(skb, offset);
		if (protocol < 0)
			return protocol;
		fragment = 1;
	}
	flow->protocol = protocol;
	*payload = 0;
	if (fragment)
		return 0;
	*payload = start;
	moat_parse_ports(skb, start, outbound, flow);
	return 0;
}

/*
 * The packet whose IP header is at @offset; *payload gets where its transport
 * header is, 0 in a later fragment.
 */
static int moat_parse_at(const struct sk_buff *skb, int offset, u8 family,
			 bool outbound, struct moat_flow *flow, int *payload)
{
	int err;

	memset(flow, 0, sizeof(*flow));
	flow->family = family;
	flow->mark = skb->mark;
	if (family == AF_INET)
		err = moat_parse_v4(skb, offset, outbound, flow, payload);
	else
		err = moat_parse_v6(skb, offset, outbound, flow, payload);
	if (!err && !outbound)
		moat_parse_swap(flow);
	return err;
}

int moat_parse_flow(const struct sk_buff *skb, u8 family, bool outbound,
		    struct moat_flow *flow)
{
	int payload;

	return moat_parse_at(skb, skb_network_offset(skb), family, outbound,
			     flow, &payload);
}

/* Errors (RFC 1122 3.2.2, RFC 4443 2.1) quote the packet they are about. */
static bool moat_parse_is_error(u8 family, u8 type)
{
	if (family == AF_INET6)
		return !(type & ICMPV6_INFOMSG_MASK);
	return type == ICMP_DEST_UNREACH || type == ICMP_SOURCE_QUENCH ||
	       type == ICMP_REDIRECT || type == ICMP_TIME_EXCEEDED ||
	       type == ICMP_PARAMETERPROB;
}

bool moat_parse_carried(const struct sk_buff *skb, u8 family, bool outbound,
			struct moat_flow *flow)
{
	u8 icmp = family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	struct moat_flow error;
	int payload;

	if (moat_parse_at(skb, skb_network_offset(skb), family, true, &error,
			  &payload) ||
	    !payload || error.protocol != icmp ||
	    !moat_parse_is_error(family, error.local_port >> 8))
		return false;
	/* what went the other way */
	if (moat_parse_at(skb, payload + sizeof(struct icmphdr), family,
			  !outbound, flow, &payload))
		return false;
	flow->carried = true;
	return true;
}

bool moat_parse_match(const struct moat_selector *sel,
		      const struct sk_buff *skb, u8 family, bool outbound,
		      const struct moat_flow *flow)
{
	struct moat_flow carried;

	return moat_selector_match(sel, flow) ||
	       (moat_parse_carried(skb, family, outbound, &carried) &&
		moat_selector_match(sel, &carried));
}

u8 moat_parse_dsfield(const struct sk_buff *skb, u8 family)
{
	if (family == AF_INET)
		return ipv4_get_dsfield(ip_hdr(skb));
	return ipv6_get_dsfield(ipv6_hdr(skb));
}

unsigned int moat_parse_len(const struct sk_buff *skb, u8 family)
{
	if (family == AF_INET)
		return ntohs(ip_hdr(skb)->tot_len);
	return sizeof(struct ipv6hdr) + ntohs(ipv6_hdr(skb)->payload_len);
}

bool moat_parse_id(const struct sk_buff *skb, int offset, u8 protocol,
		   struct ip_esp_hdr *id)
{
	if (protocol == IPPROTO_AH)
		offset += offsetof(struct ip_auth_hdr, spi);
	else if (protocol != IPPROTO_ESP)
		return false;
	return !skb_copy_bits(skb, offset, id, sizeof(*id));
}
