/* SPDX-License-Identifier: GPL-2.0 */
/* The replay window of an inbound SA (RFC 4303 3.4.3). */
#ifndef _MOAT_REPLAY_H
#define _MOAT_REPLAY_H

#include <linux/spinlock.h>
#include <linux/types.h>

#include "counter.h"

/**
 * struct moat_replay - Sequence numbers that an inbound SA has seen.
 * @lock: protects @top and the bits of @map; taken with BH disabled
 * @window: packets; 0 is off
 * @mask: bits of @map minus one; there are a power of two, >= @window
 * @top: highest sequence number authenticated so far, 0 is none
 * @map: bit (seq & @mask) is set when seq was seen, for those in the window
 */
struct moat_replay {
	spinlock_t lock;	/* see above */
	u32 window;
	u32 mask;
	u64 top;
	unsigned long *map;
};

/**
 * moat_replay_init() - Make an empty window.
 * @replay: where
 * @window: packets, up to MOAT_REPLAY_MAX; 0 is off
 *
 * Context: may sleep.
 * Return: 0 or -ENOMEM.
 */
int moat_replay_init(struct moat_replay *replay, u32 window);

/**
 * moat_replay_free() - Free what moat_replay_init() allocated.
 * @replay: which; all zeros is allowed
 */
void moat_replay_free(struct moat_replay *replay);

/**
 * moat_replay_check() - Whether a packet may be new, before it is opened.
 * @replay: window of its SA
 * @esn: sequence numbers have 64 bits, of which packets show the lower half
 * @seq_lo: the packet's, host byte order
 * @seq: gets its whole sequence number
 *
 * Changes nothing: the packet is not authenticated yet.
 *
 * Context: BH disabled.
 * Return: MOAT_DROP_NONE, or why it is to be dropped.
 */
enum moat_drop moat_replay_check(struct moat_replay *replay, bool esn,
				 u32 seq_lo, u64 *seq);

/**
 * moat_replay_advance() - Check again, and remember an authenticated packet.
 * @replay: window of its SA
 * @seq: what moat_replay_check() gave
 *
 * Context: BH disabled.
 * Return: MOAT_DROP_NONE, or why it is to be dropped.
 */
enum moat_drop moat_replay_advance(struct moat_replay *replay, u64 seq);

/**
 * moat_replay_top() - Highest sequence number authenticated so far.
 * @replay: window
 *
 * Context: softirq or process.
 * Return: the number, 0 is none.
 */
u64 moat_replay_top(struct moat_replay *replay);

#endif /* _MOAT_REPLAY_H */
