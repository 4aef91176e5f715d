// SPDX-License-Identifier: GPL-2.0
/* Transport mode, outbound: where ESP or AH goes, and segments that fit. */
#include <linux/icmpv6.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <net/ip.h>
#include <net/ip6_checksum.h>
#include <net/ipv6.h>

#include "chain.h"
#include "compat.h"
#include "sa.h"
#include "transport.h"

enum moat_drop moat_transport_check(struct sk_buff *skb, u8 family,
				    unsigned int *head_len,
				    unsigned int *next_offset)
{
	int len = moat_layer_split(skb, family, next_offset);

	if (len <= 0)
		return MOAT_DROP_OUT_MALFORMED;
	*head_len = len;
	if (family == AF_INET ? ip_is_fragment(ip_hdr(skb)) :
	    skb->data[*next_offset] == NEXTHDR_FRAGMENT)
		return MOAT_DROP_OUT_FRAGMENT;
	return MOAT_DROP_NONE;
}

/*
 * The checksum that covers addresses, and in *len what else it covers; NULL
 * without one. A UDP packet may have none.
 */
static __sum16 *moat_transport_sum(struct sk_buff *skb, unsigned int offset,
				   u8 next_header, unsigned int *len)
{
	void *header = skb->data + offset;
	struct udphdr *udp = header;

	*len = skb->len - offset;
	switch (next_header) {
	case IPPROTO_TCP:
		return *len < sizeof(struct tcphdr) ?
		       NULL : &((struct tcphdr *)header)->check;
	case IPPROTO_UDP:
		if (*len < sizeof(*udp) || !udp->check ||
		    ntohs(udp->len) < sizeof(*udp) || ntohs(udp->len) > *len)
			return NULL;
		*len = ntohs(udp->len);
		return &udp->check;
	case IPPROTO_ICMPV6:
		return *len < sizeof(struct icmp6hdr) ?
		       NULL : &((struct icmp6hdr *)header)->icmp6_cksum;
	default:
		return NULL;
	}
}

void moat_transport_unnat(const struct moat_sa *sa, struct sk_buff *skb,
			  unsigned int head_len, u8 next_header)
{
	struct ipv6hdr *ip6 = (struct ipv6hdr *)skb->data;
	struct iphdr *ip = (struct iphdr *)skb->data;
	bool v4 = sa->key.family == AF_INET;
	unsigned int len;
	__sum16 *sum;
	__wsum csum;

	if (v4) {
		ip->saddr = sa->src.ip;
		ip_send_check(ip);
	} else {
		ip6->saddr = sa->src.in6;
	}
	/* small enough to be in the linear part, or there is no such header */
	if (!pskb_may_pull(skb, min(skb->len, head_len +
				    (unsigned int)sizeof(struct tcphdr))))
		return;
	ip6 = (struct ipv6hdr *)skb->data;
	ip = (struct iphdr *)skb->data;
	sum = moat_transport_sum(skb, head_len, next_header, &len);
	if (!sum)
		return;
	*sum = 0;
	csum = skb_checksum(skb, head_len, len, 0);
	*sum = v4 ? csum_tcpudp_magic(ip->saddr, ip->daddr, len, next_header,
				      csum) :
		    csum_ipv6_magic(&ip6->saddr, &ip6->daddr, len, next_header,
				    csum);
	if (next_header == IPPROTO_UDP && !*sum)
		*sum = CSUM_MANGLED_0;
}

/* Whether it is TCP whose checksum is still to be made, as GSO wants it. */
static bool moat_transport_tcp(const struct sk_buff *skb)
{
	return skb->ip_summed == CHECKSUM_PARTIAL && !skb->encapsulation &&
	       skb->csum_offset == offsetof(struct tcphdr, check) &&
	       skb_checksum_start_offset(skb) == skb_transport_offset(skb) &&
	       !tcp_hdr(skb)->syn;
}

bool moat_transport_fit(struct sk_buff *skb, u8 family, unsigned int mtu)
{
	struct skb_shared_info *info;
	unsigned int head;

	if (skb_is_gso(skb) ? skb_gso_validate_network_len(skb, mtu) :
			      skb->len <= mtu)
		return true;
	if (!moat_transport_tcp(skb))
		return false;
	head = skb_transport_offset(skb) + tcp_hdrlen(skb);
	/* what says how to cut it is shared with clones */
	if (head >= mtu || skb_unclone(skb, GFP_ATOMIC))
		return false;
	info = skb_shinfo(skb);
	info->gso_type |= family == AF_INET ? SKB_GSO_TCPV4 : SKB_GSO_TCPV6;
	info->gso_size = mtu - head;
	info->gso_segs = DIV_ROUND_UP(skb->len - head, info->gso_size);
	return true;
}
