/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Packets of one SA in the order they came, while the crypto API works on
 * them: reserve, crypto, complete, flush in order.
 */
#ifndef _MOAT_RING_H
#define _MOAT_RING_H

#include <linux/skbuff.h>

/**
 * struct moat_ring - An SA's packets in flight.
 * @queue: in order; its lock protects the whole
 */
struct moat_ring {
	struct sk_buff_head queue;
};

/**
 * moat_ring_init() - Make an empty ring.
 * @ring: where
 */
void moat_ring_init(struct moat_ring *ring);

#endif /* _MOAT_RING_H */
