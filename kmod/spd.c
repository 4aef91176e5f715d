// SPDX-License-Identifier: GPL-2.0
/*
 * Changes of the tree that policies are found by. A fork looks at four bits of
 * a packet; policies lie below it by theirs, those who do not fix all of them
 * apart. A leaf that has grown becomes a fork, at the bits that part its
 * policies best.
 *
 * Readers walk it under RCU. Only when a leaf is split do policies move from
 * one list to another, where a reader could miss some: it looks again then
 * (moat_net.spd_moves).
 */

#include <linux/rculist.h>
#include <linux/slab.h>

#include "db.h"
#include "spd.h"

static u32 moat_spd_prefix(int bits)
{
	return bits <= 0 ? 0 : bits >= 32 ? U32_MAX : ~(U32_MAX >> bits);
}

/* The bits that all ports of a range have in common. */
static u32 moat_spd_common(u16 min, u16 max)
{
	return min == max ? U16_MAX : U16_MAX & ~(BIT(fls(min ^ max)) - 1);
}

unsigned int moat_spd_policy_key(struct moat_spd_key *key,
				 const struct moat_policy *policy)
{
	const struct moat_selector *sel = &policy->selector;
	unsigned int i, n = 0, words = sel->family == AF_INET ? 1 : 4;

	for (i = 0; i < words; i++, n++) {
		key->value[n] = ntohl(sel->local.ip6[i]);
		key->care[n] = moat_spd_prefix(sel->local_prefix - 32 * i);
	}
	for (i = 0; i < words; i++, n++) {
		key->value[n] = ntohl(sel->remote.ip6[i]);
		key->care[n] = moat_spd_prefix(sel->remote_prefix - 32 * i);
	}
	key->value[n] = (u32)sel->local_port_min << 16 |
			sel->remote_port_min;
	key->care[n] = moat_spd_common(sel->local_port_min,
				       sel->local_port_max) << 16 |
		       moat_spd_common(sel->remote_port_min,
				       sel->remote_port_max);
	key->value[n] &= key->care[n];
	n++;
	key->value[n] = sel->protocol;
	key->care[n++] = sel->protocol ? U8_MAX : 0;
	key->value[n] = policy->device;
	key->care[n++] = U32_MAX;
	return n;
}

static unsigned int moat_spd_way(const struct moat_spd_key *key, u8 word,
				 u8 shift)
{
	if (moat_spd_four(key->care, word, shift) != 15)
		return MOAT_SPD_WILD;
	return moat_spd_four(key->value, word, shift);
}

static struct moat_spd_node *moat_spd_node(const struct moat_net *mn,
					   struct moat_spd_node __rcu *node)
{
	return rcu_dereference_protected(node, lockdep_is_held(&mn->lock));
}

/* Where the pointer to a policy's leaf is; *parent gets whose child it is. */
static struct moat_spd_node __rcu **
moat_spd_slot(const struct moat_policy *policy, struct moat_spd_node **parent)
{
	struct moat_net *mn = policy->mn;
	struct moat_spd_node __rcu **slot;
	struct moat_spd_fork *fork;
	struct moat_spd_node *node;
	struct moat_spd_key key;

	moat_spd_policy_key(&key, policy);
	slot = &mn->spd[policy->selector.family == AF_INET6];
	*parent = NULL;
	for (;;) {
		node = moat_spd_node(mn, *slot);
		if (!node || node->leaf)
			return slot;
		*parent = node;
		fork = moat_spd_fork(node);
		slot = &fork->child[moat_spd_way(&key, fork->word,
						 fork->shift)];
	}
}

/* --- what a node promises of those below --------------------------------- */

/* Before a policy is there: readers must find the way to it. */
static void moat_spd_promise(struct moat_spd_node *node,
			     const struct moat_policy *policy)
{
	unsigned long bound = moat_rank_bound(policy->rank);
	const struct moat_fix *fix = &policy->fix;

	for (; node; node = node->parent) {
		u64 care = node->fix.care & fix->care &
			   ~(node->fix.value ^ fix->value);

		if (node->best <= bound && node->fix.care == care)
			return;
		if (node->best > bound)
			WRITE_ONCE(node->best, bound);
		WRITE_ONCE(node->fix.care, care);
	}
}

static unsigned long moat_spd_best(const struct moat_net *mn,
				   const struct moat_spd_node *node)
{
	const struct moat_policy *first;
	const struct moat_spd_node *child;
	unsigned long best = ULONG_MAX;
	int i;

	if (node->leaf) {
		first = hlist_entry(moat_spd_leaf(node)->list.first,
				    struct moat_policy, spd_node);
		return moat_rank_bound(first->rank);
	}
	for (i = 0; i < MOAT_SPD_WAYS; i++) {
		child = moat_spd_node(mn, moat_spd_fork(node)->child[i]);
		if (child && child->best < best)
			best = child->best;
	}
	return best;
}

static void moat_spd_raise(struct moat_net *mn, struct moat_spd_node *node)
{
	unsigned long best;

	for (; node; node = node->parent) {
		best = moat_spd_best(mn, node);
		if (best == node->best)
			return;
		WRITE_ONCE(node->best, best);
	}
}

/* --- leaves -------------------------------------------------------------- */

static void moat_spd_init(struct moat_spd_node *node,
			  struct moat_spd_node *parent)
{
	node->best = ULONG_MAX;
	node->parent = parent;
	node->depth = parent ? parent->depth + 1 : 0;
}

static struct moat_spd_leaf *moat_spd_leaf_alloc(struct moat_spd_node *parent)
{
	struct moat_spd_leaf *leaf = kzalloc(sizeof(*leaf), GFP_KERNEL);

	if (!leaf)
		return NULL;
	moat_spd_init(&leaf->node, parent);
	leaf->node.leaf = true;
	leaf->limit = MOAT_SPD_LEAF_SIZE;
	return leaf;
}

static bool moat_spd_before(struct rb_node *a, const struct rb_node *b)
{
	return moat_policy_better(rb_entry(a, struct moat_policy, spd_order),
				  rb_entry(b, struct moat_policy, spd_order));
}

static void moat_spd_link(struct moat_spd_leaf *leaf,
			  struct moat_policy *policy)
{
	struct rb_node *before;

	if (!leaf->count)
		leaf->node.fix = policy->fix;
	moat_spd_promise(&leaf->node, policy);
	rb_add(&policy->spd_order, &leaf->order, moat_spd_before);
	before = rb_prev(&policy->spd_order);
	if (before)
		hlist_add_behind_rcu(&policy->spd_node,
				     &rb_entry(before, struct moat_policy,
					       spd_order)->spd_node);
	else
		hlist_add_head_rcu(&policy->spd_node, &leaf->list);
	leaf->count++;
}

/* --- splitting a leaf ---------------------------------------------------- */

/**
 * struct moat_spd_sample - Some policies of a leaf by four bits of them.
 * @count: how many there are
 * @n: of each place in the key, how many go each way
 */
struct moat_spd_sample {
	unsigned int count;
	u8 n[MOAT_SPD_PLACES][MOAT_SPD_WAYS];
};

static void moat_spd_count(struct moat_spd_sample *sample,
			   const struct moat_policy *policy)
{
	struct moat_spd_key key;
	unsigned int i, j, words = moat_spd_policy_key(&key, policy);

	for (i = 0; i < words; i++)
		for (j = 0; j < 8; j++)
			sample->n[8 * i + j][moat_spd_way(&key, i,
							  28 - 4 * j)]++;
	sample->count++;
}

/*
 * What a packet meets that comes this way, the less the better. Where only
 * one value occurs, packets of all others are spared those who have it.
 */
static unsigned int moat_spd_cost(const u8 *n, unsigned int count)
{
	unsigned int i, most = 0, values = 0, wild = n[MOAT_SPD_WILD];

	for (i = 0; i < MOAT_SPD_WILD; i++) {
		most = max_t(unsigned int, most, n[i]);
		values += !!n[i];
	}
	/* all go one way, or the key has ended */
	if (most == count || wild == count || !(most + wild))
		return UINT_MAX;
	return (values > 1 ? 4 : 3) * most + 4 * wild;
}

/* Where to part them: a place in the key, or -1 where none does. */
static int moat_spd_choose(const struct moat_spd_sample *sample)
{
	unsigned int i, cost, least = UINT_MAX;
	int best = -1;

	for (i = 0; i < MOAT_SPD_PLACES; i++) {
		cost = moat_spd_cost(sample->n[i], sample->count);
		if (cost < least) {
			least = cost;
			best = i;
		}
	}
	return best;
}

static int moat_spd_place(const struct moat_spd_leaf *leaf)
{
	struct moat_spd_sample *sample = kzalloc(sizeof(*sample), GFP_KERNEL);
	const struct moat_policy *policy;
	int place;

	if (!sample)
		return -1;
	hlist_for_each_entry(policy, &leaf->list, spd_node) {
		moat_spd_count(sample, policy);
		if (sample->count == MOAT_SPD_SAMPLE)
			break;
	}
	place = moat_spd_choose(sample);
	kfree(sample);
	return place;
}

static unsigned int moat_spd_fork_way(const struct moat_spd_fork *fork,
				      const struct moat_policy *policy)
{
	struct moat_spd_key key;

	moat_spd_policy_key(&key, policy);
	return moat_spd_way(&key, fork->word, fork->shift);
}

static void moat_spd_fork_free(struct moat_spd_fork *fork)
{
	int i;

	for (i = 0; i < MOAT_SPD_WAYS; i++)
		kfree(rcu_access_pointer(fork->child[i]));
	kfree(fork);
}

/* A fork in the place of a leaf, with what its policies need below, or NULL. */
static struct moat_spd_fork *
moat_spd_fork_alloc(const struct moat_spd_leaf *leaf, unsigned int place)
{
	struct moat_spd_fork *fork = kzalloc(sizeof(*fork), GFP_KERNEL);
	const struct moat_policy *policy;
	struct moat_spd_leaf *child;
	unsigned int way;

	if (!fork)
		return NULL;
	moat_spd_init(&fork->node, leaf->node.parent);
	fork->word = place / 8;
	fork->shift = 28 - 4 * (place % 8);
	/* What is above promises as much already. */
	fork->node.best = leaf->node.best;
	fork->node.fix = leaf->node.fix;
	hlist_for_each_entry(policy, &leaf->list, spd_node) {
		way = moat_spd_fork_way(fork, policy);
		if (rcu_access_pointer(fork->child[way]))
			continue;
		child = moat_spd_leaf_alloc(&fork->node);
		if (!child) {
			moat_spd_fork_free(fork);
			return NULL;
		}
		RCU_INIT_POINTER(fork->child[way], &child->node);
	}
	return fork;
}

static void moat_spd_move(struct moat_net *mn, struct moat_spd_leaf *leaf,
			  struct moat_spd_fork *fork)
{
	struct moat_spd_node *to;
	struct moat_policy *policy;
	struct hlist_node *next;

	hlist_for_each_entry_safe(policy, next, &leaf->list, spd_node) {
		to = moat_spd_node(mn, fork->child[moat_spd_fork_way(fork,
								     policy)]);
		hlist_del_rcu(&policy->spd_node);
		moat_spd_link(moat_spd_leaf(to), policy);
	}
}

/* Without memory, or a place to part them, the leaf goes on growing. */
static void moat_spd_split(struct moat_net *mn, struct moat_spd_leaf *leaf,
			   struct moat_spd_node __rcu **slot)
{
	struct moat_spd_fork *fork;
	int place = -1;

	leaf->limit = 2 * leaf->count;
	if (leaf->node.depth < MOAT_SPD_DEPTH)
		place = moat_spd_place(leaf);
	if (place < 0)
		return;
	fork = moat_spd_fork_alloc(leaf, place);
	if (!fork)
		return;
	write_seqlock_bh(&mn->spd_moves);
	moat_spd_move(mn, leaf, fork);
	rcu_assign_pointer(*slot, &fork->node);
	write_sequnlock_bh(&mn->spd_moves);
	kfree_rcu(leaf, node.rcu);
}

/* --- policies ------------------------------------------------------------ */

/* Priority first, then how much the selector fixes: more is better. */
static u64 moat_rank(const struct moat_policy *policy)
{
	const struct moat_selector *sel = &policy->selector;
	u32 fixed = sel->local_prefix + sel->remote_prefix;

	fixed = fixed * 2 + (sel->protocol ? 1 : 0);
	fixed = fixed << 17 | (0x1fffe -
			       (sel->local_port_max - sel->local_port_min) -
			       (sel->remote_port_max - sel->remote_port_min));
	fixed = fixed * 2 + (policy->mark_mask ? 1 : 0);
	return (u64)policy->priority << 32 | (U32_MAX - fixed);
}

int moat_classify_add(struct moat_policy *policy)
{
	struct moat_net *mn = policy->mn;
	struct moat_spd_node __rcu **slot;
	struct moat_spd_node *node, *parent;
	struct moat_spd_leaf *leaf;
	struct moat_spd_key key;

	lockdep_assert_held(&mn->lock);

	moat_spd_policy_key(&key, policy);
	policy->fix.value = moat_spd_fix(policy->selector.family, key.value);
	policy->fix.care = moat_spd_fix(policy->selector.family, key.care);
	policy->rank = moat_rank(policy);
	policy->age = mn->next_age++;
	slot = moat_spd_slot(policy, &parent);
	node = moat_spd_node(mn, *slot);
	if (node) {
		leaf = moat_spd_leaf(node);
		moat_spd_link(leaf, policy);
		if (leaf->count > leaf->limit)
			moat_spd_split(mn, leaf, slot);
		return 0;
	}
	leaf = moat_spd_leaf_alloc(parent);
	if (!leaf)
		return -ENOMEM;
	moat_spd_link(leaf, policy);
	rcu_assign_pointer(*slot, &leaf->node);
	return 0;
}

static struct moat_spd_node __rcu **
moat_spd_slot_of(struct moat_net *mn, const struct moat_spd_node *node)
{
	struct moat_spd_fork *above;
	int i;

	if (!node->parent)
		return &mn->spd[moat_spd_node(mn, mn->spd[1]) == node];
	above = moat_spd_fork(node->parent);
	for (i = 0; moat_spd_node(mn, above->child[i]) != node; i++)
		;
	return &above->child[i];
}

/* A fork with one child gives it its own place. */
static void moat_spd_prune(struct moat_net *mn, struct moat_spd_fork *fork)
{
	struct moat_spd_node *child, *only = NULL;
	int i;

	for (i = 0; i < MOAT_SPD_WAYS; i++) {
		child = moat_spd_node(mn, fork->child[i]);
		if (child && only) {
			moat_spd_raise(mn, &fork->node);
			return;
		}
		if (child)
			only = child;
	}
	only->parent = fork->node.parent;
	rcu_assign_pointer(*moat_spd_slot_of(mn, &fork->node), only);
	kfree_rcu(fork, node.rcu);
	moat_spd_raise(mn, only->parent);
}

void moat_classify_del(struct moat_policy *policy)
{
	struct moat_net *mn = policy->mn;
	struct moat_spd_node __rcu **slot;
	struct moat_spd_node *parent;
	struct moat_spd_leaf *leaf;

	lockdep_assert_held(&mn->lock);

	slot = moat_spd_slot(policy, &parent);
	leaf = moat_spd_leaf(moat_spd_node(mn, *slot));
	hlist_del_rcu(&policy->spd_node);
	rb_erase(&policy->spd_order, &leaf->order);
	if (--leaf->count) {
		moat_spd_raise(mn, &leaf->node);
		return;
	}
	RCU_INIT_POINTER(*slot, NULL);
	kfree_rcu(leaf, node.rcu);
	if (parent)
		moat_spd_prune(mn, moat_spd_fork(parent));
}
