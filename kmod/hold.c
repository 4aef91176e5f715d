// SPDX-License-Identifier: GPL-2.0
/*
 * Packets that wait for their policy's first SA, and the acquire that asks
 * for it: one per policy, repeated while packets wait. They are sent in
 * order: as long as older ones are held, new ones queue behind them.
 *
 * A held packet keeps its socket, as one does that waits for a neighbour or for
 * XFRM: its sender is held back, rules behind us know whose it is (meta skuid),
 * and it is told if the packet is too big for the SA. So a network namespace
 * may outlive its last process by MOAT_HOLD_TIME. Who cannot wait deletes the
 * policy, or switches acquires off.
 */

#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <net/dst.h>
#include <net/ip.h>
#include <linux/ipv6.h>

#include "db.h"

#define MOAT_HOLD_PACKETS	64		/* per policy */
#define MOAT_HOLD_BYTES		(512 * 1024)	/* per policy, truesize */
#define MOAT_HOLD_ALL		16384		/* packets per namespace */
#define MOAT_HOLD_TIME		(30 * HZ)
#define MOAT_ACQUIRE_REPEAT	(5 * HZ)

/* Times that a queue is emptied before packets may pass it. */
#define MOAT_RELEASE_ROUNDS	16

/**
 * struct moat_hold - A policy's held packets and pending acquire.
 * @policy: the policy
 * @timer: repeats the acquire
 * @queue: packets in the order they came
 * @bytes: their truesize
 * @pending: an acquire was raised and not answered
 * @flow: the packet that it was raised for
 *
 * All of it under moat_policy.hold_lock.
 */
struct moat_hold {
	struct moat_policy *policy;
	struct timer_list timer;
	struct sk_buff_head queue;
	unsigned int bytes;
	bool pending;
	struct moat_flow flow;
};

/* The end of skb->cb; what IP keeps at its beginning is needed later. */
struct moat_held_cb {
	u8 ip[40];
	unsigned long since;
};

static struct moat_held_cb *moat_held_cb(struct sk_buff *skb)
{
	BUILD_BUG_ON(sizeof(struct moat_held_cb) > sizeof(skb->cb));
	BUILD_BUG_ON(sizeof(struct inet_skb_parm) > 40);
	BUILD_BUG_ON(sizeof(struct inet6_skb_parm) > 40);
	return (struct moat_held_cb *)skb->cb;
}

/* Held packets become the caller's; hold_lock. */
static void moat_hold_take(struct moat_hold *hold, struct sk_buff_head *list)
{
	atomic_sub(hold->queue.qlen, &hold->policy->mn->held);
	skb_queue_splice_tail_init(&hold->queue, list);
	hold->bytes = 0;
}

static void moat_hold_drop(struct moat_policy *policy,
			   struct sk_buff_head *list, enum moat_drop why)
{
	struct sk_buff *skb;

	while ((skb = __skb_dequeue(list))) {
		moat_drop(policy->mn, NULL, policy, why);
		kfree_skb(skb);
	}
}

/* What waited too long; hold_lock. */
static void moat_hold_take_old(struct moat_hold *hold,
			       struct sk_buff_head *list)
{
	struct sk_buff *skb;

	while ((skb = skb_peek(&hold->queue)) &&
	       time_after_eq(jiffies,
			     moat_held_cb(skb)->since + MOAT_HOLD_TIME)) {
		__skb_unlink(skb, &hold->queue);
		hold->bytes -= skb->truesize;
		atomic_dec(&hold->policy->mn->held);
		__skb_queue_tail(list, skb);
	}
}

static void moat_hold_timer(struct timer_list *timer)
{
	struct moat_hold *hold = from_timer(hold, timer, timer);
	struct moat_policy *policy = hold->policy;
	struct moat_flow flow = {};
	struct sk_buff_head old;
	bool again;

	__skb_queue_head_init(&old);
	spin_lock(&policy->hold_lock);
	moat_hold_take_old(hold, &old);
	hold->pending = hold->pending && !skb_queue_empty(&hold->queue);
	again = hold->pending;
	if (again) {
		flow = hold->flow;
		mod_timer(&hold->timer, jiffies + MOAT_ACQUIRE_REPEAT);
	}
	spin_unlock(&policy->hold_lock);

	moat_hold_drop(policy, &old, MOAT_DROP_HOLD_TIMEOUT);
	if (again)
		moat_event_acquire(policy, &flow);
}

static struct moat_hold *moat_hold_alloc(struct moat_policy *policy)
{
	struct moat_hold *hold = kzalloc(sizeof(*hold), GFP_ATOMIC);

	if (!hold)
		return NULL;
	hold->policy = policy;
	timer_setup(&hold->timer, moat_hold_timer, 0);
	__skb_queue_head_init(&hold->queue);
	return hold;
}

static bool moat_hold_room(const struct moat_hold *hold,
			   const struct sk_buff *skb)
{
	return hold->queue.qlen < MOAT_HOLD_PACKETS &&
	       (skb_queue_empty(&hold->queue) ||
		hold->bytes + skb->truesize <= MOAT_HOLD_BYTES) &&
	       atomic_read(&hold->policy->mn->held) < MOAT_HOLD_ALL;
}

/* Put a packet in the queue; *acquire says whether to raise one. hold_lock. */
static enum moat_drop moat_hold_queue(struct moat_policy *policy,
				      struct sk_buff *skb,
				      const struct moat_flow *flow,
				      bool *acquire)
{
	struct moat_hold *hold = policy->hold;

	if (policy->dead)
		return MOAT_DROP_HOLD_DELETED;
	if (policy->acquire_off || policy->action != MOAT_ACTION_PROTECT)
		return MOAT_DROP_NO_SA;
	if (!hold) {
		hold = moat_hold_alloc(policy);
		if (!hold)
			return MOAT_DROP_HOLD_FULL;
		policy->hold = hold;
	}
	if (!moat_hold_room(hold, skb))
		return MOAT_DROP_HOLD_FULL;
	/* what was not routed to a device, but put there, has none */
	if (skb_dst(skb) && !skb_dst_force(skb))
		return MOAT_DROP_OUT_ROUTE;

	moat_held_cb(skb)->since = jiffies;
	__skb_queue_tail(&hold->queue, skb);
	hold->bytes += skb->truesize;
	atomic_inc(&policy->mn->held);
	if (!hold->pending) {
		hold->pending = true;
		hold->flow = *flow;
		mod_timer(&hold->timer, jiffies + MOAT_ACQUIRE_REPEAT);
		*acquire = true;
	}
	return MOAT_DROP_NONE;
}

int moat_hold(struct moat_policy *policy, struct sk_buff *skb,
	      const struct moat_flow *flow)
{
	bool acquire = false;
	enum moat_drop why;

	spin_lock_bh(&policy->hold_lock);
	if (rcu_access_pointer(policy->sa)) {
		spin_unlock_bh(&policy->hold_lock);
		return -EAGAIN;
	}
	why = moat_hold_queue(policy, skb, flow, &acquire);
	spin_unlock_bh(&policy->hold_lock);

	if (why == MOAT_DROP_NONE) {
		moat_count(policy->mn, HELD, 1);
	} else {
		moat_drop(policy->mn, NULL, policy, why);
		kfree_skb(skb);
	}
	if (acquire)
		moat_event_acquire(policy, flow);
	return 0;
}

/*
 * Take what is held, and move the policy once nothing is: until then new
 * packets queue. Someone who sends faster than we do is not waited for.
 * Returns whether the policy was moved.
 */
static bool moat_hold_move(struct moat_policy *policy, struct moat_sa *sa,
			   struct sk_buff_head *list, bool last)
{
	struct moat_hold *hold;
	bool move;

	spin_lock_bh(&policy->hold_lock);
	hold = policy->hold;
	move = last || !sa || !hold || skb_queue_empty(&hold->queue);
	if (hold && sa) {
		moat_hold_take(hold, list);
		hold->pending = false;
	}
	if (move)
		rcu_assign_pointer(policy->sa, sa);
	spin_unlock_bh(&policy->hold_lock);
	return move;
}

void moat_hold_release(struct moat_policy *policy, struct moat_sa *sa)
{
	struct moat_sa *old;
	struct sk_buff_head list;
	struct sk_buff *skb;
	int round = 0;
	bool moved;

	lockdep_assert_held(&policy->mn->lock);

	old = rcu_dereference_protected(policy->sa, true);
	__skb_queue_head_init(&list);
	do {
		moved = moat_hold_move(policy, sa, &list,
				       ++round == MOAT_RELEASE_ROUNDS);
		local_bh_disable();
		rcu_read_lock();
		while ((skb = __skb_dequeue(&list)))
			moat_output_held(policy, sa, skb);
		rcu_read_unlock();
		local_bh_enable();
	} while (!moved);
	moat_sa_put(old);
}

void moat_hold_purge(struct moat_policy *policy, bool dead)
{
	struct sk_buff_head list;
	struct moat_hold *hold;

	lockdep_assert_held(&policy->mn->lock);

	__skb_queue_head_init(&list);
	spin_lock_bh(&policy->hold_lock);
	policy->dead = dead;
	hold = policy->hold;
	if (hold) {
		moat_hold_take(hold, &list);
		hold->pending = false;
	}
	spin_unlock_bh(&policy->hold_lock);

	if (hold && dead)
		timer_shutdown_sync(&hold->timer);
	moat_hold_drop(policy, &list, MOAT_DROP_HOLD_DELETED);
}

void moat_hold_free(struct moat_policy *policy)
{
	kfree(policy->hold);
}

bool moat_hold_state(struct moat_policy *policy, unsigned int *held)
{
	bool pending = false;

	*held = 0;
	spin_lock_bh(&policy->hold_lock);
	if (policy->hold) {
		*held = policy->hold->queue.qlen;
		pending = policy->hold->pending;
	}
	spin_unlock_bh(&policy->hold_lock);
	return pending;
}
