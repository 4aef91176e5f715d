// SPDX-License-Identifier: GPL-2.0
/*
 * The classifier: which policy a packet meets. It walks the tree of spd.c,
 * the way of the packet's bits and that of all who do not fix them, the more
 * promising first, and only where a better policy may be than the one found.
 */

#include <linux/rculist.h>

#include "db.h"
#include "spd.h"

/**
 * struct moat_spd_query - What is looked for.
 * @key: its bits
 * @fix: some of them
 * @wild: which of those who covers @policy does not fix, because it does not
 * @flow: the packet, or
 * @policy: whom to look for who covers it
 */
struct moat_spd_query {
	struct moat_spd_key key;
	u64 fix;
	u64 wild;
	const struct moat_flow *flow;
	const struct moat_policy *policy;
};

static void moat_spd_flow_key(struct moat_spd_key *key,
			      const struct moat_flow *flow)
{
	unsigned int i, n = 0, words = flow->family == AF_INET ? 1 : 4;

	for (i = 0; i < words; i++)
		key->value[n++] = ntohl(flow->local.ip6[i]);
	for (i = 0; i < words; i++)
		key->value[n++] = ntohl(flow->remote.ip6[i]);
	key->value[n++] = (u32)flow->local_port << 16 | flow->remote_port;
	key->value[n++] = flow->protocol;
	key->value[n] = flow->device;
}

/* Ports come first: of wide ranges, which no fork parts, many are asked. */
static __always_inline bool
moat_policy_match(const struct moat_policy *policy,
		  const struct moat_flow *flow)
{
	return moat_ports_match(&policy->selector, flow) &&
	       policy->device == flow->device &&
	       (flow->any_mark ||
		(flow->mark & policy->mark_mask) == policy->mark) &&
	       moat_selector_match(&policy->selector, flow);
}

/* Whether all packets of @inner are packets of @outer. */
static bool moat_policy_covers(const struct moat_policy *outer,
			       const struct moat_policy *inner)
{
	return outer->device == inner->device &&
	       !(outer->mark_mask & ~inner->mark_mask) &&
	       (inner->mark & outer->mark_mask) == outer->mark &&
	       moat_selector_covers(&outer->selector, &inner->selector);
}

static __always_inline bool moat_spd_misses(const struct moat_spd_query *query,
					    const struct moat_fix *fix,
					    bool packet)
{
	u64 differ = query->fix ^ fix->value;

	return (packet ? differ : differ | query->wild) & READ_ONCE(fix->care);
}

/* The first that matches is the best of a leaf. */
static __always_inline struct moat_policy *
moat_spd_scan(const struct moat_spd_leaf *leaf,
	      const struct moat_spd_query *query, bool packet,
	      struct moat_policy *best)
{
	struct moat_policy *policy;

	hlist_for_each_entry_rcu(policy, &leaf->list, spd_node) {
		if (best && !moat_policy_better(policy, best))
			break;
		if (moat_spd_misses(query, &policy->fix, packet))
			continue;
		if (packet ? moat_policy_match(policy, query->flow) :
			     moat_policy_covers(policy, query->policy))
			return policy;
	}
	return best;
}

/* The more promising child of a fork; *other gets the other one, or NULL. */
static __always_inline const struct moat_spd_node *
moat_spd_next(const struct moat_spd_fork *fork,
	      const struct moat_spd_query *query, bool packet,
	      const struct moat_spd_node **other)
{
	const struct moat_spd_node *wild, *fixed = NULL;
	unsigned int four = moat_spd_four(query->key.value, fork->word,
					  fork->shift);

	/* Who covers a policy that does not fix a bit does not fix it either. */
	if (packet ||
	    moat_spd_four(query->key.care, fork->word, fork->shift) == 15)
		fixed = rcu_dereference(fork->child[four]);
	wild = rcu_dereference(fork->child[MOAT_SPD_WILD]);
	if (fixed && moat_spd_misses(query, &fixed->fix, packet))
		fixed = NULL;
	if (wild && moat_spd_misses(query, &wild->fix, packet))
		wild = NULL;
	*other = NULL;
	if (!wild)
		return fixed;
	if (!fixed)
		return wild;
	if (READ_ONCE(wild->best) < READ_ONCE(fixed->best)) {
		*other = fixed;
		return wild;
	}
	*other = wild;
	return fixed;
}

static __always_inline struct moat_policy *
moat_spd_walk(const struct moat_spd_node *node,
	      const struct moat_spd_query *query, bool packet,
	      struct moat_policy *best)
{
	/* No more than one on each fork's account: depth only grows below. */
	const struct moat_spd_node *later[MOAT_SPD_DEPTH], *other;
	unsigned int n = 0;

	for (;;) {
		if (node && best &&
		    READ_ONCE(node->best) > moat_rank_bound(best->rank))
			node = NULL;
		if (node && node->leaf) {
			best = moat_spd_scan(moat_spd_leaf(node), query,
					     packet, best);
			node = NULL;
		}
		if (!node) {
			if (!n)
				return best;
			node = later[--n];
			continue;
		}
		node = moat_spd_next(moat_spd_fork(node), query, packet,
				     &other);
		if (other)
			later[n++] = other;
	}
}

/* The best of those that match, @best included. */
static __always_inline struct moat_policy *
moat_spd_search(const struct moat_net *mn, u8 family,
		const struct moat_spd_query *query, bool packet,
		struct moat_policy *best)
{
	struct moat_policy *found;
	unsigned int seq;

	do {
		seq = read_seqbegin(&mn->spd_moves);
		found = moat_spd_walk(rcu_dereference(mn->spd[family == AF_INET6]),
				      query, packet, best);
	} while (read_seqretry(&mn->spd_moves, seq));
	return found;
}

struct moat_policy *moat_policy_lookup(const struct moat_net *mn,
				       const struct moat_flow *flow)
{
	struct moat_spd_query query;

	query.flow = flow;
	moat_spd_flow_key(&query.key, flow);
	query.fix = moat_spd_fix(flow->family, query.key.value);
	query.wild = 0;
	return moat_spd_search(mn, flow->family, &query, true, NULL);
}

struct moat_policy *moat_policy_shadow(struct moat_policy *policy)
{
	struct moat_spd_query query;
	struct moat_policy *found;

	query.policy = policy;
	moat_spd_policy_key(&query.key, policy);
	query.fix = policy->fix.value;
	query.wild = ~policy->fix.care;
	found = moat_spd_search(policy->mn, policy->selector.family, &query,
				false, policy);
	return found == policy ? NULL : found;
}

enum moat_verdict moat_classify(const struct moat_net *mn,
				const struct moat_flow *flow,
				struct moat_policy **policy)
{
	*policy = NULL;
	if (moat_bypass_implicit(mn, flow))
		return MOAT_VERDICT_BYPASS;
	*policy = moat_policy_lookup(mn, flow);
	if (!*policy)
		return MOAT_VERDICT_CLEAR;
	switch (READ_ONCE((*policy)->action)) {
	case MOAT_ACTION_PROTECT:
		return rcu_access_pointer((*policy)->sa) ?
		       MOAT_VERDICT_PROTECT : MOAT_VERDICT_HOLD;
	case MOAT_ACTION_BYPASS:
		return MOAT_VERDICT_BYPASS;
	default:
		return MOAT_VERDICT_DISCARD;
	}
}
