// SPDX-License-Identifier: GPL-2.0
/*
 * What NAT makes of a flow: conntrack knows, once the first packet has passed.
 * Its table can only be asked for whole tuples, so a port that was not given is
 * tried for all it may be.
 */
#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <linux/jiffies.h>
#include <linux/sched.h>
#include <net/netfilter/nf_conntrack.h>
#include <net/netfilter/nf_conntrack_core.h>
#include <net/netfilter/nf_conntrack_zones.h>

#include "nat.h"
#include "nat_known.h"
#include "netns.h"

void moat_nat_remember(struct moat_nat_seen *seen,
		       const struct moat_flow *before,
		       const struct moat_flow *after)
{
	spin_lock_bh(&seen->lock);
	seen->row[seen->next].before = *before;
	seen->row[seen->next].after = *after;
	seen->at[seen->next] = jiffies ?: 1;
	seen->next = (seen->next + 1) % MOAT_NAT_SEEN;
	spin_unlock_bh(&seen->lock);
}

/* Whether a flow is what was asked for; ports of 0 are any. */
static bool moat_nat_asked(const struct moat_flow *asked,
			   const struct moat_flow *flow)
{
	if (asked->family != flow->family ||
	    !moat_addr_equal(&asked->local, &flow->local) ||
	    !moat_addr_equal(&asked->remote, &flow->remote))
		return false;
	if (asked->protocol && asked->protocol != flow->protocol)
		return false;
	return (!asked->local_port || asked->local_port == flow->local_port) &&
	       (!asked->remote_port || asked->remote_port == flow->remote_port);
}

static bool moat_nat_dropped(struct moat_nat_seen *seen,
			     const struct moat_flow *flow,
			     struct moat_nat_known *known)
{
	unsigned long oldest = jiffies - MOAT_NAT_SEEN_SECONDS * HZ;
	bool found = false;
	unsigned int i;

	spin_lock_bh(&seen->lock);
	for (i = 0; i < MOAT_NAT_SEEN && !found; i++) {
		*known = seen->row[i];
		found = seen->at[i] && time_after(seen->at[i], oldest) &&
			(moat_nat_asked(flow, &known->before) ||
			 moat_nat_asked(flow, &known->after));
	}
	spin_unlock_bh(&seen->lock);
	return found;
}

#if IS_ENABLED(CONFIG_NF_CONNTRACK)

/* The connection of a tuple, if NAT rewrites it: what its packets are before. */
static bool moat_nat_tuple(const struct moat_net *mn,
			   const struct nf_conntrack_tuple *tuple, bool after,
			   struct moat_nat_known *known)
{
	const struct nf_conntrack_tuple_hash *hash;
	struct nf_conntrack_tuple left;
	enum ip_conntrack_dir dir;
	struct nf_conn *ct;
	bool found;

	hash = nf_conntrack_find_get(mn->net, &nf_ct_zone_dflt, tuple);
	if (!hash)
		return false;
	ct = nf_ct_tuplehash_to_ctrack(hash);
	/* what leaves is the answer's tuple turned round */
	dir = after ? !NF_CT_DIRECTION(hash) : NF_CT_DIRECTION(hash);
	found = READ_ONCE(ct->status) & IPS_NAT_MASK &&
		nf_ct_invert_tuple(&left, &ct->tuplehash[!dir].tuple);
	if (found) {
		moat_nat_flow(&ct->tuplehash[dir].tuple, &known->before);
		moat_nat_flow(&left, &known->after);
	}
	nf_ct_put(ct);
	return found;
}

static bool moat_nat_either(const struct moat_net *mn,
			    const struct nf_conntrack_tuple *tuple,
			    struct moat_nat_known *known)
{
	struct nf_conntrack_tuple answer;

	return moat_nat_tuple(mn, tuple, false, known) ||
	       (nf_ct_invert_tuple(&answer, tuple) &&
		moat_nat_tuple(mn, &answer, true, known));
}

/* False when the source port, or ICMP's identifier, remains to be tried. */
static bool moat_nat_whole(const struct moat_flow *flow,
			   struct nf_conntrack_tuple *tuple)
{
	memset(tuple, 0, sizeof(*tuple));
	tuple->src.l3num = flow->family;
	tuple->src.u3 = flow->local;
	tuple->dst.u3 = flow->remote;
	tuple->dst.protonum = flow->protocol;
	switch (flow->protocol) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
	case IPPROTO_SCTP:
	case IPPROTO_DCCP:
		tuple->dst.u.all = htons(flow->remote_port);
		tuple->src.u.all = htons(flow->local_port);
		return flow->local_port;
	case IPPROTO_ICMP:
		tuple->dst.u.icmp.type = ICMP_ECHO;
		return false;
	case IPPROTO_ICMPV6:
		tuple->dst.u.icmp.type = ICMPV6_ECHO_REQUEST;
		return false;
	default:
		return true;
	}
}

static bool moat_nat_tracked(const struct moat_net *mn,
			     const struct moat_flow *flow,
			     struct moat_nat_known *known)
{
	struct nf_conntrack_tuple tuple;
	u32 port;

	if (!flow->protocol)
		return false;
	if (moat_nat_whole(flow, &tuple))
		return moat_nat_either(mn, &tuple, known);
	for (port = 0; port <= U16_MAX; port++) {
		tuple.src.u.all = htons(port);
		if (moat_nat_either(mn, &tuple, known))
			return true;
		if (port % 1024 == 0)
			cond_resched();
	}
	return false;
}

#else

static bool moat_nat_tracked(const struct moat_net *mn,
			     const struct moat_flow *flow,
			     struct moat_nat_known *known)
{
	return false;
}

#endif

bool moat_nat_known(struct moat_net *mn, const struct moat_flow *flow,
		    struct moat_nat_known *known)
{
	if (!moat_nat_tracked(mn, flow, known))
		return moat_nat_dropped(&mn->nat_seen, flow, known);
	known->before.mark = flow->mark;
	known->after.mark = flow->mark;
	return true;
}
