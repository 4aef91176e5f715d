// SPDX-License-Identifier: GPL-2.0
/* Path MTU as seen by the senders of inner packets. */
#include <linux/icmpv6.h>
#include <linux/if_ether.h>
#include <linux/moat.h>
#include <net/icmp.h>
#include <net/ip.h>
#include <net/ipv6.h>
#include <net/sock.h>

#include "compat.h"
#include "toobig.h"

static bool moat_too_big_df(const struct sk_buff *skb, u8 family)
{
	return family == AF_INET6 || ip_hdr(skb)->frag_off & htons(IP_DF);
}

/*
 * Whether its sender agreed to fragments: IPv4 without DF, local senders
 * without path MTU discovery, and packets that came as fragments and were
 * only put together by conntrack. Or whether the operator does not ask.
 */
static bool moat_too_big_may_fragment(const struct sk_buff *skb, u8 family,
				      const struct moat_shape *shape,
				      unsigned int mtu)
{
	if (skb->ignore_df || shape->df == MOAT_DF_CLEAR)
		return true;
	if (family == AF_INET)
		return !moat_too_big_df(skb, family);
	return IP6CB(skb)->frag_max_size && IP6CB(skb)->frag_max_size <= mtu;
}

/*
 * Fragments of the outer packet are the rule: the peer puts them together
 * before anything else sees them. But they help nobody when the outer packet
 * has DF, or when routers on the way are known to drop what is larger: then
 * the inner packet is cut. Every link carries ETH_MIN_MTU (RFC 791), the
 * longest header and 8 bytes; with less, fragments would hold nothing.
 */
static bool moat_too_big_cut_inner(const struct sk_buff *skb, u8 family,
				   const struct moat_shape *shape,
				   unsigned int mtu)
{
	return (shape->df == MOAT_DF_SET || shape->mtu) && mtu >= ETH_MIN_MTU &&
	       !moat_too_big_df(skb, family);
}

/* It came in by a device; IPv6 has no flag for that (IP6SKB_FORWARDED is ip6mr's). */
static bool moat_too_big_forwarded(const struct sk_buff *skb)
{
	return skb->skb_iif;
}

static bool moat_too_big_fits(const struct sk_buff *skb, unsigned int mtu)
{
	if (skb_is_gso(skb))
		return skb_gso_validate_network_len(skb, mtu);
	return skb->len <= mtu;
}

static void moat_too_big_tell(struct sk_buff *skb, u8 family, unsigned int mtu)
{
	if (!moat_too_big_forwarded(skb))
		skb_dst_update_pmtu_no_confirm(skb, mtu);
	else if (family == AF_INET)
		icmp_ndo_send(skb, ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED,
			      htonl(mtu));
	else
		icmpv6_ndo_send(skb, ICMPV6_PKT_TOOBIG, 0, mtu);
}

/*
 * A local TCP has learnt from its route by now, and its next segments fit.
 * These, its first ones, would be sent again only after a timeout.
 */
static bool moat_too_big_first_flight(const struct sk_buff *skb,
				      const struct moat_shape *shape)
{
	return shape->df != MOAT_DF_SET && !moat_too_big_forwarded(skb) &&
	       skb->sk && sk_fullsock(skb->sk) && sk_is_tcp(skb->sk);
}

enum moat_fit moat_too_big(struct sk_buff *skb, u8 family,
			   const struct moat_shape *shape, unsigned int mtu)
{
	unsigned int told = mtu;

	if (moat_too_big_fits(skb, mtu))
		return MOAT_FIT_WHOLE;
	if (moat_too_big_may_fragment(skb, family, shape, mtu))
		return moat_too_big_cut_inner(skb, family, shape, mtu) ?
		       MOAT_FIT_CUT_INNER : MOAT_FIT_CUT_OUTER;
	if (family == AF_INET6 && mtu < IPV6_MIN_MTU) {
		/* an IPv6 sender need not go below: fragment the outer one */
		told = IPV6_MIN_MTU;
		if (moat_too_big_fits(skb, told))
			return MOAT_FIT_CUT_OUTER;
	}
	moat_too_big_tell(skb, family, told);
	return moat_too_big_first_flight(skb, shape) ? MOAT_FIT_CUT_OUTER :
						       MOAT_FIT_NOT;
}
