// SPDX-License-Identifier: GPL-2.0
/*
 * Packets that come before their inbound SA has its keys. A responder may send as
 * soon as quick mode's message 1 has come to it (libreswan does), and if its
 * message 2 is lost, they come for seconds while their SPI is only reserved. They
 * wait, and are opened in order when the SA takes the place of its SPI; newer ones
 * queue behind, or they would move the window past those that wait.
 *
 * Only peers' packets wait (moat_sa_find_in()). SPIs are random and told encrypted,
 * so to forge one takes somebody on the path, and what is forged fails when it is
 * opened. They keep no device, no socket and no connection, so nothing else has to
 * wait for them. When there is no room the new ones are dropped: who floods the
 * queue takes no place of those that came before.
 */

#include <linux/delay.h>
#include <linux/interrupt.h>
#include <linux/netdevice.h>

#include "db.h"
#include "early.h"
#include "input.h"

/*
 * Per SPI: 8 s of 1,000 packets/s, within which message 1 or 2 is repeated seven
 * times. Per namespace, truesize: 7 s of that with 1,400 bytes each.
 */
#define MOAT_EARLY_PACKETS	8192
#define MOAT_EARLY_BYTES	(16 * 1024 * 1024)

/* Opened at once; queues behind us hold 1,000 (cryptd, GRO's cells, backlogs). */
#define MOAT_EARLY_BATCH	64

/* Batches before packets may pass those that wait: who sends faster is not waited for. */
#define MOAT_EARLY_ROUNDS	256

/* How long those are waited for while nothing comes out of them. */
#define MOAT_EARLY_REST		HZ

static bool moat_early_room(const struct moat_sa *sa, const struct sk_buff *skb)
{
	return sa->early_queue.qlen < MOAT_EARLY_PACKETS &&
	       atomic_read(&sa->mn->early_bytes) + skb->truesize <=
	       MOAT_EARLY_BYTES;
}

/* What an opened packet keeps nothing of. Its device may go: its number stays. */
static void moat_early_loosen(struct sk_buff *skb)
{
	skb_orphan(skb);
	skb_scrub_packet(skb, false);
	skb->skb_iif = skb->dev->ifindex;
}

bool moat_early_hold(struct moat_sa *sa, struct sk_buff *skb)
{
	struct moat_net *mn = sa->mn;
	bool waits, room;

	moat_early_loosen(skb);
	spin_lock(&sa->early_queue.lock);
	waits = sa->early == MOAT_EARLY_WAIT;
	room = waits && moat_early_room(sa, skb);
	if (room) {
		skb->dev = NULL;
		atomic_add(skb->truesize, &mn->early_bytes);
		__skb_queue_tail(&sa->early_queue, skb);
	} else if (waits) {
		/* not later: the SA with keys takes over what is counted here */
		moat_drop(mn, sa, NULL, MOAT_DROP_EARLY_FULL);
	}
	spin_unlock(&sa->early_queue.lock);

	if (room)
		moat_count(mn, EARLY, 1);
	else if (waits)
		kfree_skb(skb);
	return waits;
}

/* Nobody adds to the queue from now on. */
static void moat_early_close(struct moat_sa *sa, struct sk_buff_head *list)
{
	__skb_queue_head_init(list);
	spin_lock_bh(&sa->early_queue.lock);
	WRITE_ONCE(sa->early, MOAT_EARLY_GONE);
	skb_queue_splice_init(&sa->early_queue, list);
	spin_unlock_bh(&sa->early_queue.lock);
}

void moat_early_move(struct moat_sa *reserved, struct moat_sa *sa)
{
	struct sk_buff_head list;

	moat_early_close(reserved, &list);
	spin_lock_bh(&sa->early_queue.lock);
	skb_queue_splice(&list, &sa->early_queue);
	spin_unlock_bh(&sa->early_queue.lock);
}

/* A batch; false when nothing waited, and packets are opened as they come. */
static bool moat_early_take(struct moat_sa *sa, struct sk_buff_head *list,
			    bool last)
{
	struct sk_buff *skb;

	spin_lock_bh(&sa->early_queue.lock);
	while (list->qlen < MOAT_EARLY_BATCH &&
	       (skb = __skb_dequeue(&sa->early_queue))) {
		atomic_sub(skb->truesize, &sa->mn->early_bytes);
		__skb_queue_tail(list, skb);
	}
	if (last || skb_queue_empty(list))
		WRITE_ONCE(sa->early, MOAT_EARLY_NONE);
	spin_unlock_bh(&sa->early_queue.lock);
	return !skb_queue_empty(list);
}

static void moat_early_input(struct moat_sa *sa, struct sk_buff *skb)
{
	skb->dev = dev_get_by_index_rcu(sa->mn->net, skb->skb_iif);
	if (skb->dev) {
		moat_input_early(sa, skb);
	} else {
		moat_drop(sa->mn, sa, NULL, MOAT_DROP_EARLY_DELETED);
		kfree_skb(skb);
	}
}

/*
 * Let the crypto API and the stack take the last batch from their queues. These
 * belong to this CPU, whose softirqs may have been left to ksoftirqd. Returns
 * whether they have: something may be stuck, or the CPU flooded.
 */
static bool moat_early_rest(const struct moat_sa *sa)
{
	unsigned long end = jiffies + MOAT_EARLY_REST;
	unsigned int left, before = UINT_MAX;

	do {
		usleep_range(100, 200);
		left = READ_ONCE(sa->ring.count);
		if (!left && !(local_softirq_pending() & BIT(NET_RX_SOFTIRQ)))
			return true;
		if (left < before)
			end = jiffies + MOAT_EARLY_REST;
		before = left;
	} while (time_before(jiffies, end));
	return false;
}

void moat_early_release(struct moat_sa *sa)
{
	struct sk_buff_head list;
	struct sk_buff *skb;
	unsigned int round = 0;
	bool rests = true;

	lockdep_assert_held(&sa->mn->lock);

	if (!sa->early || sa->state == MOAT_SA_STATE_RESERVED)
		return;
	__skb_queue_head_init(&list);
	migrate_disable();
	while (moat_early_take(sa, &list, ++round >= MOAT_EARLY_ROUNDS)) {
		local_bh_disable();
		rcu_read_lock();
		while ((skb = __skb_dequeue(&list)))
			moat_early_input(sa, skb);
		rcu_read_unlock();
		local_bh_enable();
		rests = rests && moat_early_rest(sa);
	}
	migrate_enable();
}

void moat_early_drop(struct moat_sa *sa)
{
	struct sk_buff_head list;
	struct sk_buff *skb;

	if (!sa->early)
		return;
	moat_early_close(sa, &list);
	while ((skb = __skb_dequeue(&list))) {
		atomic_sub(skb->truesize, &sa->mn->early_bytes);
		moat_drop(sa->mn, sa, NULL, MOAT_DROP_EARLY_DELETED);
		kfree_skb(skb);
	}
}
