// SPDX-License-Identifier: GPL-2.0
/*
 * The MSS that a TCP announces in its SYN (RFC 9293 3.7.1), made smaller: the
 * other side then never sends what does not fit, even where the ICMP errors
 * of path MTU discovery are filtered.
 */
#include <linux/tcp.h>
#include <net/checksum.h>
#include <net/ip.h>
#include <net/ipv6.h>
#include <net/tcp.h>

#include "compat.h"
#include "mss.h"

/* Bytes from skb->data to the TCP header, or negative without one. */
static int moat_mss_offset(const struct sk_buff *skb, u8 family)
{
	int offset = skb_network_offset(skb);
	__be16 fragment = 0;
	u8 protocol;

	if (family == AF_INET) {
		const struct iphdr *ip = ip_hdr(skb);

		if (ip->protocol != IPPROTO_TCP ||
		    ip->frag_off & htons(IP_OFFSET))
			return -1;
		return offset + ip->ihl * 4;
	}
	protocol = ipv6_hdr(skb)->nexthdr;
	offset = ipv6_skip_exthdr(skb, offset + sizeof(struct ipv6hdr),
				  &protocol, &fragment);
	return protocol == IPPROTO_TCP && !(fragment & htons(IP6_OFFSET)) ?
	       offset : -1;
}

/* The value of the MSS option, or NULL without a whole one. */
static u8 *moat_mss_option(struct tcphdr *tcp, unsigned int len)
{
	u8 *at = (u8 *)(tcp + 1), *end = (u8 *)tcp + len;

	while (at < end && *at != TCPOPT_EOL) {
		if (*at == TCPOPT_NOP) {
			at++;
			continue;
		}
		if (end - at < 2 || at[1] < 2 || at[1] > end - at)
			return NULL;
		if (*at == TCPOPT_MSS && at[1] == TCPOLEN_MSS)
			return at + 2;
		at += at[1];
	}
	return NULL;
}

bool moat_mss_is_syn(const struct sk_buff *skb, u8 family)
{
	int offset = moat_mss_offset(skb, family);
	const struct tcphdr *tcp;
	struct tcphdr buf;

	if (offset < 0)
		return false;
	tcp = skb_header_pointer(skb, offset, sizeof(buf), &buf);
	return tcp && tcp->syn;
}

u16 moat_mss_of(unsigned int mtu, u8 family)
{
	unsigned int heads = sizeof(struct tcphdr) +
			     (family == AF_INET ? sizeof(struct iphdr) :
						  sizeof(struct ipv6hdr));

	return mtu > heads ? min_t(unsigned int, mtu - heads, U16_MAX) : U16_MAX;
}

void moat_mss_clamp(struct sk_buff *skb, u8 family, u16 mss)
{
	int offset = moat_mss_offset(skb, family);
	struct tcphdr *tcp;
	unsigned int len;
	__be16 was;
	u8 *option;

	if (offset < 0 || !pskb_may_pull(skb, offset + sizeof(*tcp)))
		return;
	tcp = (struct tcphdr *)(skb->data + offset);
	len = tcp->doff * 4;
	if (!tcp->syn || len < sizeof(*tcp) ||
	    skb_ensure_writable(skb, offset + len))
		return;
	tcp = (struct tcphdr *)(skb->data + offset);
	option = moat_mss_option(tcp, len);
	if (!option || get_unaligned_be16(option) <= mss)
		return;
	was = get_unaligned((__be16 *)option);
	put_unaligned_be16(mss, option);
	/* an option on an odd byte is halved between two words of the sum */
	if ((option - (u8 *)tcp) & 1)
		inet_proto_csum_replace2(&tcp->check, skb,
					 (__force __be16)swab16((__force u16)was),
					 (__force __be16)swab16((__force u16)htons(mss)),
					 false);
	else
		inet_proto_csum_replace2(&tcp->check, skb, was, htons(mss),
					 false);
}
