// SPDX-License-Identifier: GPL-2.0
/*
 * A flowtable forwards the packets of a connection from the ingress of their
 * device, before any hook of ours. Rules at FORWARD put connections there;
 * one of them is enough for both directions, so both are looked at, and each
 * as it is before and behind NAT.
 */
#include <linux/netfilter_netdev.h>
#include <net/dst.h>
#include <net/net_namespace.h>
#include <net/netfilter/nf_conntrack.h>
#include <net/xfrm.h>

#include "guard.h"
#include "nat.h"
#include "netns.h"
#include "secpath.h"

/* Flowtables begin at ingress: without a hook there is none on this machine. */
static bool moat_guard_needed(void)
{
#ifdef CONFIG_JUMP_LABEL
	return static_key_false(&nf_hooks_needed[NFPROTO_NETDEV]
						[NF_NETDEV_INGRESS]);
#else
	return true;
#endif
}

#if IS_ENABLED(CONFIG_NF_CONNTRACK)

/*
 * A connection's packets may have other marks than this one. Whatever the best
 * policy of all marks says goes for all of them, unless it is itself for one.
 */
static bool moat_guard_protects(const struct moat_net *mn,
				const struct moat_flow *flow)
{
	struct moat_policy *policy;

	switch (moat_classify(mn, flow, &policy)) {
	case MOAT_VERDICT_PROTECT:
	case MOAT_VERDICT_HOLD:
	case MOAT_VERDICT_DISCARD:
		return true;
	default:
		return policy && policy->mark_mask;
	}
}

/* One tuple: how it arrives in one direction, and how the other one leaves. */
static bool moat_guard_tuple(const struct moat_net *mn,
			     const struct nf_conntrack_tuple *tuple)
{
	struct moat_flow flow, turned;

	moat_nat_flow(tuple, &flow);
	flow.any_mark = true;
	turned = flow;
	turned.local = flow.remote;
	turned.remote = flow.local;
	turned.local_port = flow.remote_port;
	turned.remote_port = flow.local_port;
	return moat_guard_protects(mn, &flow) ||
	       moat_guard_protects(mn, &turned);
}

static bool moat_guard_covers(const struct moat_net *mn,
			      const struct sk_buff *skb)
{
	enum ip_conntrack_info info;
	const struct nf_conn *ct = nf_ct_get(skb, &info);

	if (!ct)
		return false;
	return moat_guard_tuple(mn, &ct->tuplehash[IP_CT_DIR_ORIGINAL].tuple) ||
	       (READ_ONCE(ct->status) & IPS_NAT_MASK &&
		moat_guard_tuple(mn, &ct->tuplehash[IP_CT_DIR_REPLY].tuple));
}

#else

static bool moat_guard_covers(const struct moat_net *mn,
			      const struct sk_buff *skb)
{
	return false;
}

#endif

/* As at POST_ROUTING: bridged frames, and what XFRM is about to transform. */
static bool moat_guard_foreign(const struct sk_buff *skb)
{
	const struct dst_entry *dst = skb_dst(skb);

	return !dst || dst->flags & DST_FAKE_RTABLE || dst->xfrm;
}

unsigned int moat_guard_hook(void *priv, struct sk_buff *skb,
			     const struct nf_hook_state *state)
{
	struct moat_net *mn = moat_net(state->net);

	if (!moat_guard_needed() || !READ_ONCE(mn->policy_count) ||
	    secpath_exists(skb) || moat_guard_foreign(skb) ||
	    !moat_guard_covers(mn, skb))
		return NF_ACCEPT;
	if (!moat_secpath_set(mn, skb))
		return NF_ACCEPT;
	moat_drop(mn, NULL, NULL, MOAT_DROP_OUT_NOMEM);
	return NF_DROP;
}

void moat_guard_recall(const struct moat_net *mn)
{
	if (moat_guard_needed())
		rt_genid_bump_all(mn->net);
}
