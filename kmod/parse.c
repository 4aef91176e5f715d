// SPDX-License-Identifier: GPL-2.0
/* Read the headers of inner packets, of either family and direction. */
#include <linux/icmp.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <net/dsfield.h>
#include <net/ip.h>
#include <net/ipv6.h>

#include "parse.h"

static void moat_parse_swap(struct moat_flow *flow)
{
	swap(flow->local, flow->remote);
	swap(flow->local_port, flow->remote_port);
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
		/* type and code are not swapped with the direction */
		flow->local_port = icmp[outbound ? 0 : 1];
		flow->remote_port = icmp[outbound ? 1 : 0];
		return;
	}
}

static int moat_parse_v4(const struct sk_buff *skb, bool outbound,
			 struct moat_flow *flow)
{
	int offset = skb_network_offset(skb);
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
	if (!(ip->frag_off & htons(IP_OFFSET)))
		moat_parse_ports(skb, offset + ip->ihl * 4, outbound, flow);
	return 0;
}

static int moat_parse_v6(const struct sk_buff *skb, bool outbound,
			 struct moat_flow *flow)
{
	int offset = skb_network_offset(skb), flags = IP6_FH_F_AUTH, protocol;
	unsigned int start = 0;
	unsigned short fragment = 0;
	const struct ipv6hdr *ip;
	struct ipv6hdr buf;

	ip = skb_header_pointer(skb, offset, sizeof(buf), &buf);
	if (!ip || ip->version != 6)
		return -EINVAL;
	flow->local.in6 = ip->saddr;
	flow->remote.in6 = ip->daddr;
	protocol = ipv6_find_hdr(skb, &start, -1, &fragment, &flags);
	if (protocol < 0)
		return -EINVAL;
	flow->protocol = protocol;
	if (!fragment)
		moat_parse_ports(skb, start, outbound, flow);
	return 0;
}

int moat_parse_flow(const struct sk_buff *skb, u8 family, bool outbound,
		    struct moat_flow *flow)
{
	int err;

	memset(flow, 0, sizeof(*flow));
	flow->family = family;
	if (family == AF_INET)
		err = moat_parse_v4(skb, outbound, flow);
	else
		err = moat_parse_v6(skb, outbound, flow);
	if (!err && !outbound)
		moat_parse_swap(flow);
	return err;
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
