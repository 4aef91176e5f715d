// SPDX-License-Identifier: GPL-2.0
/*
 * A masquerade rule before our hook gives a packet another source, and so
 * would let it leave in clear. What it was before stands in the conntrack
 * tuple of its direction.
 */
#include <net/netfilter/nf_conntrack.h>

#include "nat.h"
#include "netns.h"

#if IS_ENABLED(CONFIG_NF_CONNTRACK)

static void moat_nat_ports(const struct nf_conntrack_tuple *tuple,
			   struct moat_flow *flow)
{
	switch (flow->protocol) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
	case IPPROTO_SCTP:
	case IPPROTO_DCCP:
		flow->local_port = ntohs(tuple->src.u.all);
		flow->remote_port = ntohs(tuple->dst.u.all);
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		flow->local_port = moat_icmp_selector(tuple->dst.u.icmp.type,
						      tuple->dst.u.icmp.code);
		break;
	}
}

void moat_nat_flow(const struct nf_conntrack_tuple *tuple,
		   struct moat_flow *flow)
{
	memset(flow, 0, sizeof(*flow));
	flow->family = tuple->src.l3num;
	flow->protocol = tuple->dst.protonum;
	flow->local = tuple->src.u3;
	flow->remote = tuple->dst.u3;
	moat_nat_ports(tuple, flow);
}

struct moat_policy *moat_nat_rewrote(struct moat_net *mn,
				     const struct sk_buff *skb,
				     const struct moat_flow *after)
{
	enum ip_conntrack_info info;
	const struct nf_conn *ct = nf_ct_get(skb, &info);
	struct moat_policy *policy = NULL;
	struct moat_flow flow;

	if (!ct || !(READ_ONCE(ct->status) & IPS_NAT_MASK))
		return NULL;
	moat_nat_flow(&ct->tuplehash[CTINFO2DIR(info)].tuple, &flow);
	flow.mark = skb->mark;
	switch (moat_classify(mn, &flow, &policy)) {
	case MOAT_VERDICT_PROTECT:
	case MOAT_VERDICT_HOLD:
	case MOAT_VERDICT_DISCARD:
		moat_nat_remember(&mn->nat_seen, &flow, after);
		return policy;
	default:
		return NULL;
	}
}

#else

struct moat_policy *moat_nat_rewrote(struct moat_net *mn,
				     const struct sk_buff *skb,
				     const struct moat_flow *after)
{
	return NULL;
}

#endif
