/* SPDX-License-Identifier: GPL-2.0 */
/* The tree that policies are found by; kmod's README says why it is one. */
#ifndef _MOAT_SPD_H
#define _MOAT_SPD_H

#include <linux/limits.h>
#include <linux/rbtree.h>

#include "policy.h"

#define MOAT_SPD_WORDS		11	/* IPv6: addresses, ports, protocol, device */
#define MOAT_SPD_PLACES		(MOAT_SPD_WORDS * 8)	/* of four bits each */
#define MOAT_SPD_DEPTH		64	/* a leaf there is not split any more */
#define MOAT_SPD_LEAF_SIZE	8	/* policies, before it is split */
#define MOAT_SPD_SAMPLE		64	/* of them, when it is */

/* Which child: the sixteen values of four bits, and who does not fix all. */
#define MOAT_SPD_WILD		16
#define MOAT_SPD_WAYS		17

/**
 * struct moat_spd_node - What forks and leaves have in common.
 * @best: no policy below has a lower moat_rank_bound(); it may be that none
 *	has this one either, which costs a visit and not the result
 * @fix: what all policies below have in common, or less
 * @parent: fork above, NULL above the root; moat_net.lock
 * @leaf: it is struct moat_spd_leaf, else struct moat_spd_fork; constant
 * @depth: not less than the forks above; constant
 * @rcu: to free it
 */
struct moat_spd_node {
	unsigned long best;
	struct moat_fix fix;
	struct moat_spd_node *parent;
	bool leaf;
	u16 depth;
	struct rcu_head rcu;
};

/**
 * struct moat_spd_fork - Policies by four bits of the key.
 * @node: first, so that all are freed alike
 * @word: of the key; constant
 * @shift: of the bits in it; constant
 * @child: by their value, and those who do not fix all four; two at least
 */
struct moat_spd_fork {
	struct moat_spd_node node;
	u8 word;
	u8 shift;
	struct moat_spd_node __rcu *child[MOAT_SPD_WAYS];
};

/**
 * struct moat_spd_leaf - Policies.
 * @node: first
 * @list: the best one first
 * @order: the same for writers, who find the place of a new one by it
 * @count: how many, moat_net.lock
 * @limit: with more it is split; moat_net.lock
 */
struct moat_spd_leaf {
	struct moat_spd_node node;
	struct hlist_head list;
	struct rb_root order;
	u32 count;
	u32 limit;
};

/**
 * struct moat_spd_key - A packet, or what a policy fixes of one, as bits.
 * @value: addresses, ports, protocol, device; of a policy what it fixes
 * @care: of a policy which bits it fixes; unused of a packet
 */
struct moat_spd_key {
	u32 value[MOAT_SPD_WORDS];
	u32 care[MOAT_SPD_WORDS];
};

static inline struct moat_spd_fork *
moat_spd_fork(const struct moat_spd_node *node)
{
	return container_of(node, struct moat_spd_fork, node);
}

static inline struct moat_spd_leaf *
moat_spd_leaf(const struct moat_spd_node *node)
{
	return container_of(node, struct moat_spd_leaf, node);
}

static inline unsigned int moat_spd_four(const u32 *words, u8 word, u8 shift)
{
	return words[word] >> shift & 15;
}

/** moat_spd_fix() - struct moat_fix of two addresses, or of two masks. */
static inline u64 moat_spd_fix(u8 family, const u32 *words)
{
	if (family == AF_INET)
		return (u64)words[0] << 32 | words[1];
	return (u64)words[1] << 32 | words[5];
}

/** moat_rank_bound() - A rank in one word that is read at once, or its half. */
static inline unsigned long moat_rank_bound(u64 rank)
{
	return BITS_PER_LONG == 64 ? rank : rank >> 32;
}

/** moat_policy_better() - The better of two; equal ranks differ in age. */
static inline bool moat_policy_better(const struct moat_policy *a,
				      const struct moat_policy *b)
{
	return a->rank != b->rank ? a->rank < b->rank : a->age < b->age;
}

/**
 * moat_spd_policy_key() - The bits that a policy fixes.
 * @key: gets them
 * @policy: policy
 *
 * Return: words of @key in use.
 */
unsigned int moat_spd_policy_key(struct moat_spd_key *key,
				 const struct moat_policy *policy);

#endif /* _MOAT_SPD_H */
