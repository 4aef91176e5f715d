// SPDX-License-Identifier: GPL-2.0
/* The outer IP header, IPv4 or IPv6. */
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <net/dsfield.h>
#include <net/esp.h>
#include <net/ip.h>
#include <net/inet_ecn.h>
#include <net/ip6_route.h>
#include <net/ipv6.h>
#include <net/route.h>

#include "chain.h"
#include "encap.h"
#include "netns.h"
#include "outer.h"
#include "parse.h"

static unsigned int moat_outer_udp(const struct moat_sa *sa)
{
	return sa->encap_sport ? sizeof(struct udphdr) : 0;
}

unsigned int moat_outer_len(const struct moat_sa *sa)
{
	return moat_outer_udp(sa) + (sa->key.family == AF_INET ?
				     sizeof(struct iphdr) :
				     sizeof(struct ipv6hdr));
}

unsigned int moat_outer_before(const struct moat_sa *sa, unsigned int head_len)
{
	return head_len ? head_len + moat_outer_udp(sa) : moat_outer_len(sa);
}

/* Where the outer packet goes; in UDP its peer may have moved. */
static union nf_inet_addr moat_outer_dst(const struct moat_sa *sa)
{
	return sa->encap_sport ? moat_sa_mapping(sa).addr : sa->key.dst;
}

static u8 moat_outer_protocol(const struct moat_sa *sa)
{
	return sa->encap_sport ? IPPROTO_UDP : sa->key.protocol;
}

static struct dst_entry *moat_outer_route4(const struct moat_sa *sa)
{
	struct flowi4 fl = {
		.daddr = moat_outer_dst(sa).ip,
		.saddr = sa->src.ip,
		.flowi4_proto = moat_outer_protocol(sa),
	};
	struct rtable *rt;

	if (sa->encap_sport) {
		fl.fl4_sport = sa->encap_sport;
		fl.fl4_dport = moat_sa_mapping(sa).port;
	}
	rt = ip_route_output_flow(sa->mn->net, &fl, NULL);
	return IS_ERR(rt) ? ERR_CAST(rt) : &rt->dst;
}

static struct dst_entry *moat_outer_route6(const struct moat_sa *sa)
{
	struct flowi6 fl = {
		.daddr = moat_outer_dst(sa).in6,
		.saddr = sa->src.in6,
		.flowi6_proto = moat_outer_protocol(sa),
	};

	if (sa->encap_sport) {
		fl.fl6_sport = sa->encap_sport;
		fl.fl6_dport = moat_sa_mapping(sa).port;
	}
	return ip6_dst_lookup_flow(sa->mn->net, NULL, &fl, NULL);
}

struct dst_entry *moat_outer_route(const struct moat_sa *sa)
{
	if (sa->key.family == AF_INET)
		return moat_outer_route4(sa);
	return moat_outer_route6(sa);
}

unsigned int moat_outer_mtu(const struct moat_sa *sa,
			    const struct dst_entry *dst, unsigned int head_len)
{
	unsigned int mtu = dst_mtu(dst), before = moat_outer_before(sa, head_len);
	unsigned int payload;

	payload = mtu > before ? moat_chain_payload(sa, mtu - before) : 0;
	if (!payload)
		return 0;
	mtu = payload;
	if (sa->mode == MOAT_MODE_TRANSPORT)	/* its header, but not UDP's */
		mtu += before - moat_outer_udp(sa);
	return sa->shape.mtu ? min_t(unsigned int, mtu, sa->shape.mtu) : mtu;
}

u8 moat_outer_dsfield(const struct moat_sa *sa, const struct sk_buff *skb,
		      u8 family)
{
	u8 inner = moat_parse_dsfield(skb, family);

	if (sa->shape.dscp == MOAT_DSCP_COPY)
		return inner;
	return sa->shape.dscp << 2 | (inner & INET_ECN_MASK);
}

/* Marks that no router may have made out of what the peer sent. */
static bool moat_outer_ecn_odd(u8 outer, u8 inner)
{
	switch (inner & INET_ECN_MASK) {
	case INET_ECN_NOT_ECT:
		return outer & INET_ECN_MASK;
	case INET_ECN_ECT_1:
		return (outer & INET_ECN_MASK) == INET_ECN_ECT_0;
	case INET_ECN_CE:
		return (outer & INET_ECN_MASK) == INET_ECN_ECT_1;
	default:
		return false;
	}
}

enum moat_drop moat_outer_ecn(const struct moat_sa *sa, struct sk_buff *skb,
			      u8 family, u8 outer)
{
	u8 inner = moat_parse_dsfield(skb, family);

	if (moat_outer_ecn_odd(outer, inner))
		moat_count(sa->mn, ECN_ODD, 1);
	return INET_ECN_decapsulate(skb, outer, inner) > 1 ?
	       MOAT_DROP_IN_ECN : MOAT_DROP_NONE;
}

unsigned int moat_sa_mtu(const struct moat_sa *sa)
{
	struct dst_entry *dst = moat_outer_route(sa);
	unsigned int mtu;

	if (IS_ERR(dst))
		return 0;
	mtu = moat_outer_mtu(sa, dst, 0);
	dst_release(dst);
	return mtu;
}

static void moat_outer_push4(const struct moat_sa *sa, struct sk_buff *skb,
			     u8 dsfield, bool df)
{
	struct iphdr *ip = skb_push(skb, sizeof(*ip));

	skb_reset_network_header(skb);
	ip->version = 4;
	ip->ihl = 5;
	ip->tos = dsfield;
	ip->frag_off = df ? htons(IP_DF) : 0;
	ip->ttl = ip4_dst_hoplimit(skb_dst(skb));
	ip->protocol = moat_outer_protocol(sa);
	ip->saddr = sa->src.ip;
	ip->daddr = moat_outer_dst(sa).ip;
	/* ip_local_out() fills in length and checksum */
	memset(IPCB(skb), 0, sizeof(*IPCB(skb)));
	ip_select_ident(sa->mn->net, skb, NULL);
}

static void moat_outer_push6(const struct moat_sa *sa, struct sk_buff *skb,
			     u8 dsfield, __be32 flowlabel)
{
	struct ipv6hdr *ip = skb_push(skb, sizeof(*ip));

	skb_reset_network_header(skb);
	ip6_flow_hdr(ip, dsfield, flowlabel);
	ip->hop_limit = ip6_dst_hoplimit(skb_dst(skb));
	ip->nexthdr = moat_outer_protocol(sa);
	ip->saddr = sa->src.in6;
	ip->daddr = moat_outer_dst(sa).in6;
	/* ip6_local_out() fills in the length */
	memset(IP6CB(skb), 0, sizeof(*IP6CB(skb)));
}

void moat_outer_push(const struct moat_sa *sa, struct sk_buff *skb, u8 dsfield,
		     __be32 flowlabel, bool df)
{
	if (sa->encap_sport)
		moat_encap_push(sa, skb);
	if (sa->key.family == AF_INET) {
		skb->protocol = htons(ETH_P_IP);
		moat_outer_push4(sa, skb, dsfield, df);
	} else {
		skb->protocol = htons(ETH_P_IPV6);
		moat_outer_push6(sa, skb, dsfield, flowlabel);
	}
}

void moat_outer_readdress(const struct moat_sa *sa, struct sk_buff *skb)
{
	if (sa->key.family == AF_INET)
		ip_hdr(skb)->daddr = moat_outer_dst(sa).ip;
	else
		ipv6_hdr(skb)->daddr = moat_outer_dst(sa).in6;
}

void moat_outer_send(const struct moat_sa *sa, struct sk_buff *skb)
{
	if (sa->encap_sport)
		moat_encap_finish(skb, sa->key.family);
	if (sa->key.family == AF_INET)
		ip_local_out(sa->mn->net, NULL, skb);
	else
		ip6_local_out(sa->mn->net, NULL, skb);
}

bool moat_outer_ours(struct moat_net *mn, const struct moat_flow *flow,
		     const struct sk_buff *skb)
{
	struct moat_sa_key key = {
		.dst = flow->remote,
		.family = flow->family,
		.protocol = flow->protocol == IPPROTO_UDP ? IPPROTO_ESP :
							    flow->protocol,
		.direction = MOAT_DIRECTION_OUT,
	};
	bool udp = flow->protocol == IPPROTO_UDP;
	const struct moat_sa *sa;
	struct ip_esp_hdr id;

	if (skb->skb_iif ||
	    !moat_parse_id(skb, skb_transport_offset(skb) +
			   (udp ? sizeof(struct udphdr) : 0), key.protocol, &id))
		return false;
	key.spi = id.spi;
	sa = moat_sa_find(mn, &key);
	return sa && (!udp || flow->local_port == ntohs(sa->encap_sport));
}
