/* SPDX-License-Identifier: GPL-2.0 */
/* The replay window of an inbound SA (RFC 4303 3.4.3). */
#ifndef _MOAT_REPLAY_H
#define _MOAT_REPLAY_H

#include <linux/spinlock.h>
#include <linux/types.h>

#include "counter.h"

/* Rows of struct moat_late: 0, 1, 2 to 3, 4 to 7, …, 65536 and more. */
#define MOAT_LATE_ROWS 18

/**
 * struct moat_late - How far behind the highest number packets came.
 * @accepted: authenticated, in the window
 * @refused: left of the window; such packets are not authenticated
 * @duplicate: in the window, and seen before
 *
 * The table says what a larger window would have saved, or a smaller one lost.
 */
struct moat_late {
	u64 accepted[MOAT_LATE_ROWS];
	u64 refused[MOAT_LATE_ROWS];
	u64 duplicate[MOAT_LATE_ROWS];
};

/**
 * struct moat_replay - Sequence numbers that an inbound SA has seen.
 * @lock: protects @top, @late and the bits of @map; taken with BH disabled
 * @window: packets; 0 is off
 * @mask: bits of @map minus one; there are a power of two, >= @window
 * @top: highest sequence number authenticated so far, 0 is none
 * @map: bit (seq & @mask) is set when seq was seen, for those in the window
 * @late: allocated at the first late packet: most SAs never see one
 */
struct moat_replay {
	spinlock_t lock;	/* see above */
	u32 window;
	u32 mask;
	u64 top;
	unsigned long *map;
	struct moat_late *late;
};

/**
 * moat_replay_init() - Make an empty window.
 * @replay: where
 * @window: packets, up to MOAT_REPLAY_MAX; 0 is off
 * @top: highest sequence number taken as seen, with all below it; 0 is none
 *
 * Context: may sleep.
 * Return: 0 or -ENOMEM.
 */
int moat_replay_init(struct moat_replay *replay, u32 window, u64 top);

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
 * Counts a refused packet, and changes nothing else: it is not authenticated.
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

/**
 * moat_replay_late() - A copy of the histogram of late packets.
 * @replay: window
 * @late: gets it
 *
 * Context: softirq or process.
 * Return: false if no packet was late.
 */
bool moat_replay_late(struct moat_replay *replay, struct moat_late *late);

/** moat_late_from() - The least distance that a row of the histogram counts. */
static inline u32 moat_late_from(unsigned int row)
{
	return row ? 1U << (row - 1) : 0;
}

#endif /* _MOAT_REPLAY_H */
