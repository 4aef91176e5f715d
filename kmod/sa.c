// SPDX-License-Identifier: GPL-2.0
/* The database of security associations: find, insert, delete, free. */

#include <linux/rhashtable.h>
#include <linux/slab.h>

#include "db.h"
#include "device.h"
#include "early.h"
#include "encap.h"
#include "trace.h"

static struct kmem_cache *moat_sa_cache;

/* SAs without references that wait for a grace period, all namespaces' */
static LLIST_HEAD(moat_sa_dead);

static const struct rhashtable_params moat_sa_params = {
	.head_offset = offsetof(struct moat_sa, node),
	.key_offset = offsetof(struct moat_sa, key),
	.key_len = sizeof(struct moat_sa_key),
	.automatic_shrinking = true,
};

struct moat_sa *moat_sa_find(struct moat_net *mn,
			     const struct moat_sa_key *key)
{
	return rhashtable_lookup_fast(&mn->sas, key, moat_sa_params);
}

struct moat_sa *moat_sa_find_in(struct moat_net *mn, u8 family,
				const union nf_inet_addr *dst,
				const union nf_inet_addr *src, u8 protocol,
				__be32 spi)
{
	const struct moat_sa_key key = {
		.dst = *dst,
		.spi = spi,
		.family = family,
		.protocol = protocol,
		.direction = MOAT_DIRECTION_IN,
	};
	struct moat_sa *sa = rhashtable_lookup(&mn->sas, &key, moat_sa_params);

	if (sa && READ_ONCE(sa->state) == MOAT_SA_STATE_RESERVED &&
	    !moat_ends_known(mn, family, dst, src))
		return NULL;
	return sa;
}

static void moat_sa_free(struct moat_sa *sa)
{
	struct moat_net *mn = sa->mn;

	moat_sa_put(sa->above);
	moat_alg_free(&sa->alg);
	moat_replay_free(&sa->replay);
	kfree(sa->owner);
	kfree(rcu_dereference_raw(sa->moved));
	kfree(sa->drops);
	kmem_cache_free(moat_sa_cache, sa);
	if (atomic_dec_and_test(&mn->objects))
		wake_up_var(&mn->objects);
}

/* One grace period for all that died since the last run. */
static void moat_sa_free_work(struct work_struct *work)
{
	struct llist_node *list = llist_del_all(&moat_sa_dead);
	struct moat_sa *sa, *next;

	synchronize_rcu();
	llist_for_each_entry_safe(sa, next, list, dead) {
		moat_sa_free(sa);
		cond_resched();
	}
}

static DECLARE_WORK(moat_sa_free_job, moat_sa_free_work);

void moat_sa_free_later(struct moat_sa *sa)
{
	if (llist_add(&sa->dead, &moat_sa_dead))
		queue_work(moat_wq, &moat_sa_free_job);
}

struct moat_sa *moat_sa_alloc(struct moat_net *mn,
			      const struct moat_sa_key *key)
{
	struct moat_sa *sa = kmem_cache_zalloc(moat_sa_cache, GFP_KERNEL);

	if (!sa)
		return NULL;
	sa->key = *key;
	sa->state = MOAT_SA_STATE_RESERVED;
	refcount_set(&sa->ref, 1);
	sa->mn = mn;
	sa->shape.dscp = MOAT_DSCP_COPY;
	atomic_inc(&mn->objects);
	moat_ring_init(&sa->ring);
	skb_queue_head_init(&sa->early_queue);
	INIT_LIST_HEAD(&sa->policy_node);
	timer_setup(&sa->timer, moat_life_timer, 0);
	memset(&sa->life, 0xff, sizeof(sa->life));
	return sa;
}

/* Whether @sa may be inserted: its key is free, or reserved for it. */
static int moat_sa_check(struct moat_net *mn, struct moat_sa *sa,
			 struct netlink_ext_ack *extack)
{
	struct moat_sa *other = moat_sa_find(mn, &sa->key);

	if (other && (other->state != MOAT_SA_STATE_RESERVED ||
		      sa->state == MOAT_SA_STATE_RESERVED)) {
		NL_SET_ERR_MSG_FMT(extack, "SPI 0x%08x is in use by another SA",
				   be32_to_cpu(sa->key.spi));
		return -EEXIST;
	}
	if (sa->key.direction == MOAT_DIRECTION_IN &&
	    moat_spi_foreign(mn, &sa->key)) {
		NL_SET_ERR_MSG_FMT(extack, "SPI 0x%08x is in use by XFRM",
				   be32_to_cpu(sa->key.spi));
		return -EEXIST;
	}
	return 0;
}

static int moat_sa_insert_new(struct moat_net *mn, struct moat_sa *sa)
{
	int err;

	sa->serial = mn->next_serial++;
	err = xa_insert(&mn->serials, sa->serial, sa, GFP_KERNEL);
	if (err)
		return err;
	err = rhashtable_lookup_insert_fast(&mn->sas, &sa->node,
					    moat_sa_params);
	if (err)
		xa_erase(&mn->serials, sa->serial);
	return err;
}

/* Out of both tables; packets that found it before still may use it. */
static void moat_sa_remove(struct moat_sa *sa)
{
	rhashtable_remove_fast(&sa->mn->sas, &sa->node, moat_sa_params);
	xa_erase(&sa->mn->serials, sa->serial);
}

/* Allocates nothing, so it can not fail. */
static void moat_sa_replace(struct moat_sa *reserved, struct moat_sa *sa)
{
	struct moat_net *mn = sa->mn;

	sa->serial = reserved->serial;
	sa->early = MOAT_EARLY_WAIT;
	xa_store(&mn->serials, sa->serial, sa, GFP_KERNEL);
	rhashtable_replace_fast(&mn->sas, &reserved->node, &sa->node,
				moat_sa_params);
	WRITE_ONCE(reserved->state, MOAT_SA_STATE_DEAD);
	moat_early_move(reserved, sa);
	moat_drops_move(&reserved->drops, &sa->drops);
	moat_life_stop(reserved);
	moat_sa_put(reserved);
}

/*
 * First what may fail (SAs without a reservation), then what can not (those
 * that take the place of one).
 */
static int moat_sa_insert_all(struct moat_net *mn, struct moat_sa **sas,
			      unsigned int n)
{
	struct moat_sa *reserved;
	unsigned int i;
	int err;

	for (i = 0; i < n; i++) {
		if (moat_sa_find(mn, &sas[i]->key))
			continue;
		err = moat_sa_insert_new(mn, sas[i]);
		if (err)
			goto undo;
	}
	for (i = 0; i < n; i++) {
		reserved = moat_sa_find(mn, &sas[i]->key);
		if (reserved != sas[i])
			moat_sa_replace(reserved, sas[i]);
	}
	return 0;

undo:
	while (i--)
		if (moat_sa_find(mn, &sas[i]->key) == sas[i])
			moat_sa_remove(sas[i]);
	return err;
}

int moat_sa_insert(struct moat_net *mn, struct moat_sa **sas, unsigned int n,
		   struct netlink_ext_ack *extack)
{
	unsigned int i;
	int err;

	lockdep_assert_held(&mn->lock);

	for (i = 0; i < n; i++) {
		err = moat_sa_check(mn, sas[i], extack) ?:
		      moat_encap_prepare(sas[i]);
		if (err)
			return err;
	}
	err = moat_sa_insert_all(mn, sas, n);
	if (err)
		return err;
	for (i = 0; i < n; i++) {
		trace_moat_sa_state(sas[i], sas[i]->state);
		moat_encap_start(sas[i]);
		moat_life_start(sas[i]);
	}
	mn->generation++;
	for (i = 0; i < n; i++)
		moat_early_release(sas[i]);
	return 0;
}

/*
 * The policy of an outbound SA forgets it, and goes back to the one before, if
 * that stands still: a peer may have deleted the newer one alone.
 */
static void moat_sa_leave_policy(struct moat_sa *sa)
{
	struct moat_policy *policy = sa->policy;
	struct moat_sa *before;

	if (!policy)
		return;
	list_del_init(&sa->policy_node);
	sa->policy = NULL;
	if (rcu_access_pointer(policy->sa) != sa)
		return;
	before = list_empty(&policy->outbound) ? NULL :
		 list_last_entry(&policy->outbound, struct moat_sa, policy_node);
	if (before)
		refcount_inc(&before->ref);
	moat_hold_release(policy, before);
	moat_device_follow(policy);
}

static void moat_sa_del_one(struct moat_sa *sa)
{
	struct moat_net *mn = sa->mn;

	WRITE_ONCE(sa->state, MOAT_SA_STATE_DEAD);
	trace_moat_sa_state(sa, MOAT_SA_STATE_DEAD);
	moat_encap_stop(sa);
	moat_sa_leave_policy(sa);
	moat_sa_remove(sa);
	moat_early_drop(sa);
	moat_life_stop(sa);
	mn->generation++;
	moat_sa_put(sa);
}

void moat_sa_join(struct moat_sa *esp, struct moat_sa *ah)
{
	refcount_inc(&ah->ref);
	esp->above = ah;
	ah->below = esp;
}

void moat_sa_del(struct moat_sa *sa)
{
	lockdep_assert_held(&sa->mn->lock);

	sa = moat_sa_lead(sa);
	if (sa->above)
		moat_sa_del_one(sa->above);
	moat_sa_del_one(sa);
}

void moat_sa_flush(struct moat_net *mn)
{
	struct moat_sa *sa;
	unsigned long serial;

	lockdep_assert_held(&mn->lock);

	xa_for_each(&mn->serials, serial, sa)
		moat_sa_del(sa);
}

int moat_sa_net_init(struct moat_net *mn)
{
	xa_init(&mn->serials);
	init_llist_head(&mn->expired);
	INIT_WORK(&mn->expire_work, moat_life_work);
	init_llist_head(&mn->moved);
	INIT_WORK(&mn->moved_work, moat_mapping_work);
	return rhashtable_init(&mn->sas, &moat_sa_params);
}

void moat_sa_net_exit(struct moat_net *mn)
{
	/* Packets in flight hold SAs, and so do queued works. */
	wait_var_event(&mn->objects, !atomic_read(&mn->objects));
	flush_work(&mn->expire_work);
	flush_work(&mn->moved_work);
	moat_encap_net_exit(mn);
	rhashtable_destroy(&mn->sas);
	xa_destroy(&mn->serials);
}

int moat_sa_init(void)
{
	moat_sa_cache = KMEM_CACHE(moat_sa, SLAB_HWCACHE_ALIGN);
	return moat_sa_cache ? 0 : -ENOMEM;
}

void moat_sa_exit(void)
{
	kmem_cache_destroy(moat_sa_cache);
}
