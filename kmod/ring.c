// SPDX-License-Identifier: GPL-2.0
/*
 * The crypto API may complete requests later and in any order (cryptd, other
 * CPUs). A peer must not see packets reordered by that, nor may a sender see
 * them so: a packet takes its place before the crypto and leaves in that
 * order after it.
 */
#include <linux/errno.h>
#include <linux/minmax.h>

#include "ring.h"

void moat_ring_init(struct moat_ring *ring)
{
	spin_lock_init(&ring->lock);
	INIT_LIST_HEAD(&ring->slots);
	ring->count = 0;
	ring->flushing = false;
	ring->seq = 0;
}

int moat_ring_reserve(struct moat_ring *ring, struct moat_slot *slot,
		      u64 limit)
{
	int err = 0;

	slot->done = false;
	spin_lock(&ring->lock);
	if (ring->count >= MOAT_RING_MAX) {
		err = -ENOBUFS;
	} else if (limit && ring->seq >= limit) {
		err = -EOVERFLOW;
	} else {
		if (limit)
			slot->seq = ++ring->seq;
		list_add_tail(&slot->node, &ring->slots);
		ring->count++;
	}
	spin_unlock(&ring->lock);
	return err;
}

/* The first packet if its crypto is done, taken out of the ring. */
static struct moat_slot *moat_ring_pop(struct moat_ring *ring)
{
	struct moat_slot *slot;

	slot = list_first_entry_or_null(&ring->slots, struct moat_slot, node);
	if (!slot || !slot->done)
		return NULL;
	list_del(&slot->node);
	ring->count--;
	return slot;
}

void moat_ring_complete(struct moat_ring *ring, struct moat_slot *slot,
			moat_deliver_fn deliver)
{
	spin_lock(&ring->lock);
	slot->done = true;
	if (ring->flushing)
		goto out;
	ring->flushing = true;
	while ((slot = moat_ring_pop(ring))) {
		spin_unlock(&ring->lock);
		deliver(slot);
		spin_lock(&ring->lock);
	}
	ring->flushing = false;
out:
	spin_unlock(&ring->lock);
}

u64 moat_ring_seq(struct moat_ring *ring)
{
	u64 seq;

	spin_lock_bh(&ring->lock);
	seq = ring->seq;
	spin_unlock_bh(&ring->lock);
	return seq;
}

bool moat_ring_sent(struct moat_ring *ring, u32 low)
{
	u64 last = moat_ring_seq(ring);

	return (u32)last - low < min_t(u64, last, S32_MAX);
}
