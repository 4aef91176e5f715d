/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Packets of one SA in the order they came, while the crypto API works on
 * them: reserve, crypto, complete, flush in order.
 */
#ifndef _MOAT_RING_H
#define _MOAT_RING_H

#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/types.h>

/* Packets of one SA that may be in flight at once. */
#define MOAT_RING_MAX 4096

/**
 * struct moat_ring - An SA's packets in flight.
 * @lock: protects all; taken with BH disabled
 * @slots: in order of reservation
 * @count: length of @slots
 * @flushing: someone delivers; who completes meanwhile leaves it to them
 * @seq: outbound: last sequence number handed out
 */
struct moat_ring {
	spinlock_t lock;	/* see above */
	struct list_head slots;
	unsigned int count;
	bool flushing;
	u64 seq;
};

/**
 * struct moat_slot - A packet's place in a ring.
 * @node: in moat_ring.slots
 * @seq: its sequence number
 * @done: its crypto is complete, with whatever result
 */
struct moat_slot {
	struct list_head node;
	u64 seq;
	bool done;
};

/**
 * typedef moat_deliver_fn - What happens to a packet when its turn has come.
 * @slot: out of the ring; the function owns it
 */
typedef void (*moat_deliver_fn)(struct moat_slot *slot);

/**
 * moat_ring_init() - Make an empty ring.
 * @ring: where
 */
void moat_ring_init(struct moat_ring *ring);

/**
 * moat_ring_reserve() - Take the next place.
 * @ring: ring of the packet's SA
 * @slot: of the packet; with @slot->seq set when @limit is 0
 * @limit: outbound: last sequence number the SA may use; inbound: 0
 *
 * Outbound the sequence number is handed out in the same step, so that
 * numbers and places are in one order.
 *
 * Context: BH disabled.
 * Return: 0, -ENOBUFS when the ring is full, -EOVERFLOW when the sequence
 * numbers are used up (they never wrap: RFC 4303 3.3.3).
 */
int moat_ring_reserve(struct moat_ring *ring, struct moat_slot *slot,
		      u64 limit);

/**
 * moat_ring_complete() - The crypto of a packet is done; flush.
 * @ring: ring of the packet's SA, which lives until @deliver has put it
 * @slot: of the packet, not to be touched after
 * @deliver: called for each packet whose turn has come
 *
 * When the packet is the first in the ring this delivers it inline, and then
 * those that waited behind it. Only one caller delivers at a time, so that
 * order holds and @deliver runs without the lock.
 *
 * Context: BH disabled; the caller has a reference to the ring's SA of its
 * own, or rcu_read_lock().
 */
void moat_ring_complete(struct moat_ring *ring, struct moat_slot *slot,
			moat_deliver_fn deliver);

/**
 * moat_ring_seq() - Last sequence number handed out.
 * @ring: ring of an outbound SA
 *
 * Context: softirq or process.
 * Return: the number, 0 is none.
 */
u64 moat_ring_seq(struct moat_ring *ring);

/**
 * moat_ring_sent() - Whether a sequence number has been handed out lately.
 * @ring: ring of an outbound SA
 * @low: lower half of the number, as on the wire
 *
 * Context: softirq or process.
 * Return: true for one of the last 2^31.
 */
bool moat_ring_sent(struct moat_ring *ring, u32 low);

#endif /* _MOAT_RING_H */
