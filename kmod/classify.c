// SPDX-License-Identifier: GPL-2.0
/*
 * The classifier: tuple space search. A policy is filed in one hash table
 * under its selector's fields, masked by which of them it fixes; a packet is
 * looked up once per mask in use, the mask with the best policy first, and
 * only as long as a mask may hold a better policy than the one found. kmod's
 * README says why.
 */

#include <linux/jhash.h>
#include <linux/rhashtable.h>
#include <linux/slab.h>
#include <linux/sort.h>

#include "db.h"

/* Fields that a mask fixes besides the networks. */
#define MOAT_MASK_PROTOCOL	BIT(0)
#define MOAT_MASK_LOCAL_PORT	BIT(1)	/* one port; ranges are compared */
#define MOAT_MASK_REMOTE_PORT	BIT(2)

/**
 * struct moat_mask - Which fields some policies fix.
 * @best: no policy of this mask has a lower rank; it may be that none has
 *	this one either, which costs a lookup and not the result
 * @count: policies filed under it, under moat_net.lock
 * @family: AF_INET or AF_INET6
 * @local_prefix: bits
 * @remote_prefix: bits
 * @fields: MOAT_MASK_*
 */
struct moat_mask {
	u64 best;
	u32 count;
	u8 family;
	u8 local_prefix;
	u8 remote_prefix;
	u8 fields;
};

/**
 * struct moat_mask_list - The masks in use, by @best; replaced as a whole.
 * @rcu: to free it
 * @n: masks
 * @mask: masks
 */
struct moat_mask_list {
	struct rcu_head rcu;
	unsigned int n;
	struct moat_mask mask[];
};

/**
 * struct moat_spd_key - A masked selector or packet, as words.
 * @n: words in use
 * @word: the mask; the ports; the device; the local and the remote address
 */
struct moat_spd_key {
	u32 n;
	u32 word[11];
};

static void moat_spd_key(struct moat_spd_key *key,
			 const struct moat_mask *mask,
			 const struct moat_flow *flow)
{
	bool protocol = mask->fields & MOAT_MASK_PROTOCOL;

	key->word[0] = mask->local_prefix << 24 | mask->remote_prefix << 16 |
		       mask->fields << 8 | (protocol ? flow->protocol : 0);
	key->word[1] = 0;
	if (mask->fields & MOAT_MASK_LOCAL_PORT)
		key->word[1] = flow->local_port << 16;
	if (mask->fields & MOAT_MASK_REMOTE_PORT)
		key->word[1] |= flow->remote_port;

	key->word[2] = flow->device;

	if (mask->family == AF_INET) {
		union nf_inet_addr a;

		a = moat_addr_mask(&flow->local, AF_INET, mask->local_prefix);
		key->word[3] = (__force u32)a.ip;
		a = moat_addr_mask(&flow->remote, AF_INET, mask->remote_prefix);
		key->word[4] = (__force u32)a.ip;
		key->n = 5;
	} else {
		union nf_inet_addr a;

		a = moat_addr_mask(&flow->local, AF_INET6, mask->local_prefix);
		memcpy(&key->word[3], &a, sizeof(a));
		a = moat_addr_mask(&flow->remote, AF_INET6,
				   mask->remote_prefix);
		memcpy(&key->word[7], &a, sizeof(a));
		key->n = 11;
	}
}

static struct moat_mask moat_mask_of(const struct moat_selector *sel)
{
	struct moat_mask mask = {
		.family = sel->family,
		.local_prefix = sel->local_prefix,
		.remote_prefix = sel->remote_prefix,
	};

	if (sel->protocol)
		mask.fields |= MOAT_MASK_PROTOCOL;
	if (sel->local_port_min == sel->local_port_max)
		mask.fields |= MOAT_MASK_LOCAL_PORT;
	if (sel->remote_port_min == sel->remote_port_max)
		mask.fields |= MOAT_MASK_REMOTE_PORT;
	return mask;
}

static void moat_policy_spd_key(struct moat_spd_key *key,
				const struct moat_policy *policy)
{
	const struct moat_selector *sel = &policy->selector;
	const struct moat_mask mask = moat_mask_of(sel);
	const struct moat_flow flow = {
		.local = sel->local,
		.remote = sel->remote,
		.local_port = sel->local_port_min,
		.remote_port = sel->remote_port_min,
		.device = policy->device,
		.family = sel->family,
		.protocol = sel->protocol,
	};

	moat_spd_key(key, &mask, &flow);
}

static u32 moat_spd_hash(const void *data, u32 len, u32 seed)
{
	const struct moat_spd_key *key = data;

	return jhash2(key->word, key->n, seed);
}

static u32 moat_spd_hash_policy(const void *data, u32 len, u32 seed)
{
	struct moat_spd_key key;

	moat_policy_spd_key(&key, data);
	return moat_spd_hash(&key, len, seed);
}

/* 0 if equal, as rhashtable wants it */
static int moat_spd_compare(struct rhashtable_compare_arg *arg,
			    const void *obj)
{
	const struct moat_spd_key *want = arg->key;
	struct moat_spd_key key;

	moat_policy_spd_key(&key, obj);
	return key.n != want->n ||
	       memcmp(key.word, want->word, key.n * sizeof(u32));
}

static const struct rhashtable_params moat_spd_params = {
	.head_offset = offsetof(struct moat_policy, node),
	.hashfn = moat_spd_hash,
	.obj_hashfn = moat_spd_hash_policy,
	.obj_cmpfn = moat_spd_compare,
	.automatic_shrinking = true,
};

/* The better of two policies; equal ranks have different ages. */
static bool moat_policy_better(const struct moat_policy *a,
			       const struct moat_policy *b)
{
	if (!b || a->rank != b->rank)
		return !b || a->rank < b->rank;
	return a->age < b->age;
}

static struct moat_policy *
moat_lookup_mask(const struct moat_net *mn, const struct moat_mask *mask,
		 const struct moat_flow *flow, struct moat_policy *best)
{
	struct rhlist_head *list, *pos;
	struct moat_policy *policy;
	struct moat_spd_key key;

	moat_spd_key(&key, mask, flow);
	list = rhltable_lookup((struct rhltable *)&mn->spd, &key,
			       moat_spd_params);
	rhl_for_each_entry_rcu(policy, pos, list, node)
		if (moat_policy_better(policy, best) &&
		    moat_selector_match(&policy->selector, flow))
			best = policy;
	return best;
}

struct moat_policy *moat_policy_lookup(const struct moat_net *mn,
				       const struct moat_flow *flow)
{
	const struct moat_mask_list *masks = rcu_dereference(mn->masks);
	struct moat_policy *best = NULL;
	unsigned int i;

	for (i = 0; masks && i < masks->n; i++) {
		const struct moat_mask *mask = &masks->mask[i];

		if (best && best->rank < mask->best)
			break;
		if (mask->family == flow->family)
			best = moat_lookup_mask(mn, mask, flow, best);
	}
	return best;
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

/* Priority first, then how much the selector fixes: more is better. */
static u64 moat_rank(const struct moat_policy *policy)
{
	const struct moat_selector *sel = &policy->selector;
	u32 fixed = sel->local_prefix + sel->remote_prefix;

	fixed = fixed * 2 + (sel->protocol ? 1 : 0);
	fixed = fixed << 17 | (0x1fffe -
			       (sel->local_port_max - sel->local_port_min) -
			       (sel->remote_port_max - sel->remote_port_min));
	return (u64)policy->priority << 32 | (U32_MAX - fixed);
}

static int moat_mask_by_best(const void *a, const void *b)
{
	const struct moat_mask *x = a, *y = b;

	return x->best < y->best ? -1 : x->best > y->best;
}

static struct moat_mask_list *moat_masks(struct moat_net *mn)
{
	return rcu_dereference_protected(mn->masks,
					 lockdep_is_held(&mn->lock));
}

static struct moat_mask *moat_mask_find(struct moat_mask_list *masks,
					const struct moat_mask *mask)
{
	unsigned int i;

	for (i = 0; masks && i < masks->n; i++) {
		struct moat_mask *m = &masks->mask[i];

		if (m->family == mask->family && m->fields == mask->fields &&
		    m->local_prefix == mask->local_prefix &&
		    m->remote_prefix == mask->remote_prefix)
			return m;
	}
	return NULL;
}

/* A sorted copy with @mask changed or added. */
static int moat_masks_put(struct moat_net *mn, const struct moat_mask *mask)
{
	struct moat_mask_list *old = moat_masks(mn), *new;
	unsigned int n = old ? old->n : 0;
	struct moat_mask *m;

	new = kmalloc(struct_size(new, mask, n + 1), GFP_KERNEL);
	if (!new)
		return -ENOMEM;
	new->n = n;
	if (n)
		memcpy(new->mask, old->mask, flex_array_size(new, mask, n));
	m = moat_mask_find(new, mask);
	if (!m)
		m = &new->mask[new->n++];
	*m = *mask;
	sort(new->mask, new->n, sizeof(*m), moat_mask_by_best, NULL);
	rcu_assign_pointer(mn->masks, new);
	if (old)
		kfree_rcu(old, rcu);
	return 0;
}

/* The list shrinks in place of memory it might not get: readers skip it. */
static void moat_mask_forget(struct moat_net *mn, struct moat_mask *mask)
{
	struct moat_mask_list *old = moat_masks(mn), *new;
	unsigned int at = mask - old->mask;

	if (old->n == 1) {
		RCU_INIT_POINTER(mn->masks, NULL);
		kfree_rcu(old, rcu);
		return;
	}
	new = kmalloc(struct_size(new, mask, old->n - 1), GFP_KERNEL);
	if (!new)
		return;
	new->n = old->n - 1;
	memcpy(new->mask, old->mask, flex_array_size(new, mask, at));
	memcpy(new->mask + at, old->mask + at + 1,
	       flex_array_size(new, mask, new->n - at));
	rcu_assign_pointer(mn->masks, new);
	kfree_rcu(old, rcu);
}

int moat_classify_add(struct moat_policy *policy)
{
	struct moat_net *mn = policy->mn;
	struct moat_mask mask = moat_mask_of(&policy->selector);
	struct moat_mask *known = moat_mask_find(moat_masks(mn), &mask);
	struct moat_spd_key key;
	int err;

	lockdep_assert_held(&mn->lock);

	policy->rank = moat_rank(policy);
	policy->age = mn->next_age++;
	if (!known || policy->rank < known->best) {
		if (known)
			mask.count = known->count;
		mask.best = policy->rank;
		err = moat_masks_put(mn, &mask);
		if (err)
			return err;
		known = moat_mask_find(moat_masks(mn), &mask);
	}
	moat_policy_spd_key(&key, policy);
	err = rhltable_insert_key(&mn->spd, &key, &policy->node,
				  moat_spd_params);
	if (!err)
		known->count++;
	else if (!known->count)
		moat_mask_forget(mn, known);
	return err;
}

void moat_classify_del(struct moat_policy *policy)
{
	struct moat_net *mn = policy->mn;
	struct moat_mask mask = moat_mask_of(&policy->selector);
	struct moat_mask *known = moat_mask_find(moat_masks(mn), &mask);

	lockdep_assert_held(&mn->lock);

	rhltable_remove(&mn->spd, &policy->node, moat_spd_params);
	if (!--known->count)
		moat_mask_forget(mn, known);
}

int moat_classify_init(struct moat_net *mn)
{
	return rhltable_init(&mn->spd, &moat_spd_params);
}

void moat_classify_exit(struct moat_net *mn)
{
	rhltable_destroy(&mn->spd);
	/* A mask that could not be forgotten for want of memory. */
	kfree(rcu_dereference_protected(mn->masks, true));
}
