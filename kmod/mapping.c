// SPDX-License-Identifier: GPL-2.0
/*
 * Following a peer whose NAT gave it another address or port. The inbound SA
 * that hears it notes where, at once; what has to change then needs
 * moat_net.lock, so it is left to a work.
 */
#include <linux/slab.h>

#include "db.h"
#include "trace.h"

void moat_mapping_heard(struct moat_sa *sa, const struct moat_mapping *from)
{
	struct moat_mapping was = moat_sa_mapping(sa);
	struct moat_moved *moved, *old;

	if (likely(moat_mapping_same(&was, from)))
		return;
	moved = kmalloc(sizeof(*moved), GFP_ATOMIC);
	if (!moved)
		return;		/* the next packet tries again */
	moved->to = *from;
	old = rcu_replace_pointer(sa->moved, moved, true);
	kfree_rcu(old, rcu);
	if (test_and_set_bit(MOAT_SA_MOVED, &sa->flags) || !moat_sa_get(sa))
		return;
	if (llist_add(&sa->moving, &sa->mn->moved))
		queue_work(moat_wq, &sa->mn->moved_work);
}

static struct moat_moved *moat_mapping_swap(struct moat_sa *sa,
					    struct moat_moved *moved)
{
	return rcu_replace_pointer(sa->moved, moved,
				   lockdep_is_held(&sa->mn->lock));
}

static struct moat_mapping moat_mapping_now(const struct moat_sa *sa)
{
	struct moat_mapping mapping;

	rcu_read_lock();
	mapping = moat_sa_mapping(sa);
	rcu_read_unlock();
	return mapping;
}

int moat_mapping_move(struct moat_sa *sa, const struct moat_mapping *to)
{
	struct moat_mapping from = moat_mapping_now(sa);
	struct moat_moved *moved;

	lockdep_assert_held(&sa->mn->lock);

	if (moat_mapping_same(&from, to))
		return 0;
	moved = kmalloc(sizeof(*moved), GFP_KERNEL);
	if (!moved)
		return -ENOMEM;
	if (sa->policy && moat_policy_follow(sa->policy, &from.addr,
					     &to->addr)) {
		kfree(moved);
		return -ENOMEM;
	}
	moved->to = *to;
	moved = moat_mapping_swap(sa, moved);
	kfree_rcu(moved, rcu);
	sa->mn->generation++;
	return 0;
}

/*
 * Only what went to where the peer was: an outbound SA that user space gave
 * meanwhile knows better.
 */
static void moat_mapping_follow(struct moat_sa *heard)
{
	struct moat_mapping to = moat_mapping_now(heard), its;
	struct moat_policy *policy;
	struct moat_sa *sa;

	if (!moat_sa_usable(heard) || moat_mapping_same(&heard->followed, &to))
		return;
	policy = xa_load(&heard->mn->policies, heard->policy_id);
	if (policy) {
		list_for_each_entry(sa, &policy->outbound, policy_node) {
			its = moat_mapping_now(sa);
			if (sa->encap_dport &&
			    moat_mapping_same(&its, &heard->followed))
				moat_mapping_move(sa, &to);
		}
	}
	heard->followed = to;
	moat_event_mapping(heard, &to.addr, to.port);
}

void moat_mapping_work(struct work_struct *work)
{
	struct moat_net *mn = container_of(work, struct moat_net, moved_work);
	struct llist_node *list = llist_del_all(&mn->moved);
	struct moat_sa *sa, *next;

	mutex_lock(&mn->lock);
	llist_for_each_entry_safe(sa, next, list, moving) {
		/* from here on it may be queued again */
		clear_bit(MOAT_SA_MOVED, &sa->flags);
		smp_mb__after_atomic();	/* then read what was heard */
		moat_mapping_follow(sa);
		moat_sa_put(sa);
	}
	mutex_unlock(&mn->lock);
}
