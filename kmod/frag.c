// SPDX-License-Identifier: GPL-2.0
/*
 * A later fragment has no ports, so a policy that selects by them would not
 * meet it (RFC 4301 7, appendix D), nor can it be told from a part of IKE. The
 * kernel's own reassembly puts such packets together, as for conntrack, but in
 * queues of ours: what came out of an SA is never completed by what arrived in
 * clear.
 */
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <net/ip.h>
#include <net/ipv6.h>
#include <net/netfilter/ipv6/nf_defrag_ipv6.h>

#include "frag.h"
#include "netns.h"
#include "sa.h"

/* Far from what IP_DEFRAG_* and IP6_DEFRAG_* use. */
#define MOAT_FRAG_USER 0x4d6f6100

/* With an SA's serial number; other users have this bit nowhere. */
#define MOAT_FRAG_USER_SA BIT(31)

static int moat_frag_gather4(struct net *net, struct sk_buff *skb, u32 user)
{
	int err;

	if (!ip_is_fragment(ip_hdr(skb)))
		return 0;
	local_bh_disable();
	err = ip_defrag(net, skb, user);
	local_bh_enable();
	if (err)	/* it is queued or freed */
		return -EINPROGRESS;
	skb->ignore_df = 1;
	return 0;
}

static bool moat_frag_is6(const struct sk_buff *skb)
{
	unsigned int offset = 0;
	unsigned short fragment;

	return ipv6_find_hdr(skb, &offset, NEXTHDR_FRAGMENT, &fragment,
			     NULL) >= 0;
}

/* What it does not like it leaves as it is; that must not pass either. */
static int moat_frag_gather6(struct net *net, struct sk_buff *skb, u32 user)
{
	int err;

	if (!moat_frag_is6(skb))
		return 0;
	local_bh_disable();
	err = nf_ct_frag6_gather(net, skb, user);
	local_bh_enable();
	if (err == -EINPROGRESS)
		return err;
	if (err || moat_frag_is6(skb))
		return -EINVAL;
	skb->ignore_df = 1;
	return 0;
}

static int moat_frag_gather_user(struct moat_net *mn, struct sk_buff *skb,
				 u8 family, u32 user)
{
	if (family == AF_INET)
		return moat_frag_gather4(mn->net, skb, user);
	return moat_frag_gather6(mn->net, skb, user);
}

int moat_frag_gather(struct moat_net *mn, struct sk_buff *skb, u8 family,
		     enum moat_frag_where where)
{
	u32 user = MOAT_FRAG_USER + where;

	if (!READ_ONCE(mn->whole[family == AF_INET6]))
		return 0;
	return moat_frag_gather_user(mn, skb, family, user);
}

/* Most packets are not: what their first header says is enough. */
static bool moat_frag_is(const struct sk_buff *skb, u8 family)
{
	if (family == AF_INET)
		return ip_is_fragment(ip_hdr(skb));
	return ipv6_ext_hdr(ipv6_hdr(skb)->nexthdr) && moat_frag_is6(skb);
}

int moat_frag_gather_ends(struct moat_net *mn, struct sk_buff *skb,
			  const struct moat_flow *flow)
{
	if (!moat_frag_is(skb, flow->family) ||
	    !moat_ends_known(mn, flow->family, &flow->local, &flow->remote))
		return 0;
	return moat_frag_gather_user(mn, skb, flow->family,
				     MOAT_FRAG_USER + MOAT_FRAG_IN) ?: 1;
}

int moat_frag_gather_sa(const struct moat_sa *sa, struct sk_buff *skb,
			u8 family)
{
	u32 user = MOAT_FRAG_USER_SA | (u32)sa->serial;

	if (family == AF_INET)
		memset(IPCB(skb), 0, sizeof(*IPCB(skb)));
	else
		memset(IP6CB(skb), 0, sizeof(*IP6CB(skb)));
	return moat_frag_gather_user(sa->mn, skb, family, user);
}
