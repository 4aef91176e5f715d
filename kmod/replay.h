/* SPDX-License-Identifier: GPL-2.0 */
/* The replay window of an inbound SA (RFC 4303 3.4.3). */
#ifndef _MOAT_REPLAY_H
#define _MOAT_REPLAY_H

#include <linux/spinlock.h>
#include <linux/types.h>

/**
 * struct moat_replay - Sequence numbers that an inbound SA has seen.
 * @lock: protects @top and the bits of @map
 * @window: packets; 0 is off
 * @words: length of @map, one word more than @window needs
 * @top: highest sequence number authenticated so far
 * @map: one bit per sequence number, a ring of words
 */
struct moat_replay {
	spinlock_t lock;
	u32 window;
	u32 words;
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

#endif /* _MOAT_REPLAY_H */
