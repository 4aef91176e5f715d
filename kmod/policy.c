// SPDX-License-Identifier: GPL-2.0
/* The database of policies: add, change, switch to an SA, delete. */

#include <linux/module.h>
#include <linux/slab.h>

#include "db.h"
#include "device.h"
#include "guard.h"
#include "trace.h"

static struct kmem_cache *moat_policy_cache;

struct moat_policy *moat_policy_alloc(struct moat_net *mn)
{
	struct moat_policy *policy;

	policy = kmem_cache_zalloc(moat_policy_cache, GFP_KERNEL);
	if (!policy)
		return NULL;
	policy->mn = mn;
	policy->shape.dscp = MOAT_DSCP_COPY;
	spin_lock_init(&policy->hold_lock);
	INIT_LIST_HEAD(&policy->outbound);
	INIT_LIST_HEAD(&policy->device_node);
	return policy;
}

void moat_policy_free(struct moat_policy *policy)
{
	moat_hold_free(policy);
	kfree(policy->drops);
	kmem_cache_free(moat_policy_cache, policy);
}

static void moat_policy_free_rcu(struct rcu_head *rcu)
{
	moat_policy_free(container_of(rcu, struct moat_policy, rcu));
}

static struct moat_ends *moat_policy_ends(struct moat_policy *policy)
{
	return rcu_dereference_protected(policy->ends,
					 lockdep_is_held(&policy->mn->lock));
}

static int moat_policy_file(struct moat_policy *policy,
			    struct netlink_ext_ack *extack)
{
	struct moat_net *mn = policy->mn;
	int err;

	err = xa_insert(&mn->policies, policy->id, policy, GFP_KERNEL);
	if (err == -EBUSY) {
		NL_SET_ERR_MSG_FMT(extack, "policy %u exists already",
				   policy->id);
		return -EEXIST;
	}
	if (err)
		return err;
	err = moat_classify_add(policy);
	if (err)
		xa_erase(&mn->policies, policy->id);
	return err;
}

/* Hooks ask these before anything else. */
static void moat_policy_count(const struct moat_policy *policy, int by)
{
	struct moat_net *mn = policy->mn;
	unsigned int *whole = &mn->whole[policy->selector.family == AF_INET6];

	WRITE_ONCE(mn->policy_count, mn->policy_count + by);
	if (moat_selector_has_ports(&policy->selector))
		WRITE_ONCE(*whole, *whole + by);
	if (policy->mark_mask)
		WRITE_ONCE(mn->marked, mn->marked + by);
}

int moat_policy_add(struct moat_policy *policy,
		    const struct moat_ends_key *ends,
		    struct netlink_ext_ack *extack)
{
	struct moat_net *mn = policy->mn;
	struct moat_ends *pair = NULL;
	int err;

	lockdep_assert_held(&mn->lock);

	/* rmmod answers "in use" as long as there is a policy. */
	if (!try_module_get(THIS_MODULE)) {
		NL_SET_ERR_MSG(extack, "the module is being removed");
		return -ENODEV;
	}
	err = -ENOMEM;
	if (ends) {
		pair = moat_ends_get(mn, ends);
		if (!pair)
			goto put;
		RCU_INIT_POINTER(policy->ends, pair);
	}
	err = moat_policy_file(policy, extack);
	if (err)
		goto put;
	moat_policy_count(policy, 1);
	moat_guard_recall(mn);
	mn->generation++;
	trace_moat_policy(policy, "add");
	return 0;

put:
	moat_ends_put(mn, pair);
	module_put(THIS_MODULE);
	return err;
}

static void moat_policy_drop_outbound(struct moat_policy *policy)
{
	struct moat_sa *sa, *next;

	list_for_each_entry_safe(sa, next, &policy->outbound, policy_node)
		moat_sa_del(sa);
}

static bool moat_ends_same(const struct moat_ends *pair,
			   const struct moat_ends_key *key)
{
	return pair && !memcmp(&pair->key, key, sizeof(*key));
}

int moat_policy_set(struct moat_policy *policy, u8 action, bool acquire_off,
		    const struct moat_ends_key *ends)
{
	struct moat_ends *old = moat_policy_ends(policy);
	struct moat_net *mn = policy->mn;
	struct moat_ends *pair = NULL;

	lockdep_assert_held(&mn->lock);

	if (ends && !moat_ends_same(old, ends)) {
		pair = moat_ends_get(mn, ends);
		if (!pair)
			return -ENOMEM;
	}
	WRITE_ONCE(policy->action, action);
	WRITE_ONCE(policy->acquire_off, acquire_off);
	if (pair) {
		rcu_assign_pointer(policy->ends, pair);
		moat_ends_put(mn, old);
	}
	if (pair || action != MOAT_ACTION_PROTECT)
		moat_policy_drop_outbound(policy);
	if (acquire_off || action != MOAT_ACTION_PROTECT)
		moat_hold_purge(policy, false);
	moat_guard_recall(mn);
	mn->generation++;
	trace_moat_policy(policy, "set");
	return 0;
}

int moat_policy_follow(struct moat_policy *policy,
		       const union nf_inet_addr *from,
		       const union nf_inet_addr *to)
{
	struct moat_ends *old = moat_policy_ends(policy), *pair;
	struct moat_net *mn = policy->mn;
	struct moat_ends_key key;

	lockdep_assert_held(&mn->lock);

	if (!old || memcmp(&old->key.remote, from, sizeof(*from)) ||
	    !memcmp(from, to, sizeof(*to)))
		return 0;
	key = old->key;
	key.remote = *to;
	pair = moat_ends_get(mn, &key);
	if (!pair)
		return -ENOMEM;
	rcu_assign_pointer(policy->ends, pair);
	moat_ends_put(mn, old);
	mn->generation++;
	trace_moat_policy(policy, "follow");
	return 0;
}

int moat_policy_switch(struct moat_policy *policy, struct moat_sa *sa,
		       struct netlink_ext_ack *extack)
{
	struct moat_sa *sas[] = { sa, sa->above };
	int err;

	lockdep_assert_held(&policy->mn->lock);

	err = moat_sa_insert(policy->mn, sas, sa->above ? 2 : 1, extack);
	if (err)
		return err;
	sa->policy = policy;
	list_add_tail(&sa->policy_node, &policy->outbound);
	refcount_inc(&sa->ref);
	moat_hold_release(policy, sa);
	moat_device_follow(policy);
	trace_moat_policy(policy, "switch");
	return 0;
}

void moat_policy_del(struct moat_policy *policy)
{
	struct moat_net *mn = policy->mn;

	lockdep_assert_held(&mn->lock);

	moat_classify_del(policy);
	moat_guard_recall(mn);
	moat_device_unbind(policy);
	xa_erase(&mn->policies, policy->id);
	moat_policy_count(policy, -1);
	moat_policy_drop_outbound(policy);
	moat_hold_purge(policy, true);
	moat_ends_put(mn, moat_policy_ends(policy));
	RCU_INIT_POINTER(policy->ends, NULL);
	mn->generation++;
	trace_moat_policy(policy, "del");
	call_rcu(&policy->rcu, moat_policy_free_rcu);
	module_put(THIS_MODULE);
}

void moat_policy_flush(struct moat_net *mn)
{
	struct moat_policy *policy;
	unsigned long id;

	lockdep_assert_held(&mn->lock);

	xa_for_each(&mn->policies, id, policy)
		moat_policy_del(policy);
}

int moat_policy_net_init(struct moat_net *mn)
{
	xa_init(&mn->policies);
	seqlock_init(&mn->spd_moves);
	return moat_ends_init(mn);
}

void moat_policy_net_exit(struct moat_net *mn)
{
	moat_ends_exit(mn);
	xa_destroy(&mn->policies);
}

int moat_policy_init(void)
{
	moat_policy_cache = KMEM_CACHE(moat_policy, 0);
	return moat_policy_cache ? 0 : -ENOMEM;
}

void moat_policy_exit(void)
{
	/* Policies are freed by call_rcu(). */
	rcu_barrier();
	kmem_cache_destroy(moat_policy_cache);
}
