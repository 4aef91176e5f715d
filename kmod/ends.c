// SPDX-License-Identifier: GPL-2.0
/*
 * Pairs of tunnel endpoints, and what passes between them above all
 * policies: IKE, and what we sealed ourselves.
 */

#include <linux/icmpv6.h>
#include <linux/rhashtable.h>
#include <linux/slab.h>
#include <net/ndisc.h>

#include "db.h"
#include "encap.h"

static const struct rhashtable_params moat_ends_params = {
	.head_offset = offsetof(struct moat_ends, node),
	.key_offset = offsetof(struct moat_ends, key),
	.key_len = sizeof(struct moat_ends_key),
	.automatic_shrinking = true,
};

static struct moat_ends *moat_ends_find(const struct moat_net *mn, u8 family,
					const union nf_inet_addr *local,
					const union nf_inet_addr *remote)
{
	const struct moat_ends_key key = {
		.local = *local,
		.remote = *remote,
		.family = family,
	};

	return rhashtable_lookup((struct rhashtable *)&mn->ends, &key,
				 moat_ends_params);
}

bool moat_ends_known(const struct moat_net *mn, u8 family,
		     const union nf_inet_addr *local,
		     const union nf_inet_addr *remote)
{
	return moat_ends_find(mn, family, local, remote);
}

bool moat_ends_unknown(struct moat_net *mn, u8 family,
		       const union nf_inet_addr *local,
		       const union nf_inet_addr *remote)
{
	struct moat_ends *ends = moat_ends_find(mn, family, local, remote);
	unsigned long last, now = jiffies;

	if (!ends)
		return false;
	last = READ_ONCE(ends->unknown_at);
	return time_after_eq(now, last + HZ) &&
	       cmpxchg(&ends->unknown_at, last, now) == last;
}

bool moat_bypass_implicit(const struct moat_net *mn,
			  const struct moat_flow *flow)
{
	switch (flow->protocol) {
	case IPPROTO_UDP:
		if (flow->local_port != MOAT_PORT_IKE &&
		    flow->local_port != MOAT_PORT_NAT_T)
			return false;
		break;
	case IPPROTO_ESP:
	case IPPROTO_AH:
		break;
	case IPPROTO_ICMPV6:
		return flow->family == AF_INET6 &&
		       flow->local_port >> 8 >= NDISC_ROUTER_SOLICITATION &&
		       flow->local_port >> 8 <= NDISC_REDIRECT;
	default:
		return false;
	}
	return moat_ends_known(mn, flow->family, &flow->local, &flow->remote);
}

bool moat_bypass_covers(const struct moat_policy *policy)
{
	const struct moat_selector *sel = &policy->selector;
	u8 bits = moat_addr_bits(sel->family);
	struct moat_flow flow = {
		.local = sel->local,
		.remote = sel->remote,
		.local_port = sel->local_port_min,
		.family = sel->family,
		.protocol = sel->protocol,
	};

	/* What is routed to a device meets no implicit bypass there. */
	if (policy->device || !moat_bypass_implicit(policy->mn, &flow))
		return false;
	if (sel->protocol == IPPROTO_ICMPV6)
		return sel->local_port_max >> 8 <= NDISC_REDIRECT;
	return sel->local_prefix == bits && sel->remote_prefix == bits &&
	       (sel->protocol != IPPROTO_UDP ||
		sel->local_port_min == sel->local_port_max);
}

static struct moat_ends *moat_ends_add(struct moat_net *mn,
				       const struct moat_ends_key *key)
{
	struct moat_ends *ends = kzalloc(sizeof(*ends), GFP_KERNEL);

	if (!ends)
		return NULL;
	ends->key = *key;
	ends->unknown_at = jiffies - HZ;
	if (xa_alloc(&mn->ends_index, &ends->index, ends, xa_limit_32b,
		     GFP_KERNEL))
		goto free;
	if (rhashtable_insert_fast(&mn->ends, &ends->node, moat_ends_params))
		goto erase;
	return ends;

erase:
	xa_erase(&mn->ends_index, ends->index);
free:
	kfree(ends);
	return NULL;
}

struct moat_ends *moat_ends_get(struct moat_net *mn,
				const struct moat_ends_key *key)
{
	struct moat_ends *ends;

	lockdep_assert_held(&mn->lock);

	ends = rhashtable_lookup_fast(&mn->ends, key, moat_ends_params);
	if (!ends)
		ends = moat_ends_add(mn, key);
	if (ends)
		ends->users++;
	return ends;
}

void moat_ends_put(struct moat_net *mn, struct moat_ends *ends)
{
	lockdep_assert_held(&mn->lock);

	if (!ends || --ends->users)
		return;
	rhashtable_remove_fast(&mn->ends, &ends->node, moat_ends_params);
	xa_erase(&mn->ends_index, ends->index);
	kfree_rcu(ends, rcu);
}

int moat_ends_init(struct moat_net *mn)
{
	xa_init_flags(&mn->ends_index, XA_FLAGS_ALLOC);
	return rhashtable_init(&mn->ends, &moat_ends_params);
}

void moat_ends_exit(struct moat_net *mn)
{
	rhashtable_destroy(&mn->ends);
	xa_destroy(&mn->ends_index);
}
