// SPDX-License-Identifier: GPL-2.0
/* Path MTU as seen by the senders of inner packets. */
#include <linux/icmpv6.h>
#include <net/icmp.h>
#include <net/ip.h>
#include <net/ipv6.h>

#include "compat.h"
#include "toobig.h"

/*
 * Whether its sender agreed to fragments: IPv4 without DF, local senders
 * without path MTU discovery, and packets that came as fragments and were
 * only put together by conntrack.
 */
static bool moat_too_big_may_fragment(const struct sk_buff *skb, u8 family,
				      unsigned int mtu)
{
	if (skb->ignore_df)
		return true;
	if (family == AF_INET)
		return !(ip_hdr(skb)->frag_off & htons(IP_DF));
	return IP6CB(skb)->frag_max_size && IP6CB(skb)->frag_max_size <= mtu;
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

int moat_too_big(struct sk_buff *skb, u8 family, unsigned int mtu,
		 bool *fits)
{
	unsigned int told = mtu;

	*fits = moat_too_big_fits(skb, mtu);
	if (*fits || moat_too_big_may_fragment(skb, family, mtu))
		return 0;
	if (family == AF_INET6 && mtu < IPV6_MIN_MTU) {
		/* an IPv6 sender need not go below: fragment the outer one */
		told = IPV6_MIN_MTU;
		if (moat_too_big_fits(skb, told))
			return 0;
	}
	if (!moat_too_big_forwarded(skb))
		skb_dst_update_pmtu_no_confirm(skb, told);
	else if (family == AF_INET)
		icmp_ndo_send(skb, ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED,
			      htonl(told));
	else
		icmpv6_ndo_send(skb, ICMPV6_PKT_TOOBIG, 0, told);
	return -EMSGSIZE;
}
