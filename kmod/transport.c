// SPDX-License-Identifier: GPL-2.0
/* Transport mode, outbound: where ESP or AH goes, and segments that fit. */
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <net/ip.h>
#include <net/ipv6.h>

#include "chain.h"
#include "compat.h"
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
