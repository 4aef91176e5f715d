// SPDX-License-Identifier: GPL-2.0-or-later
/* Timers: a binary heap, so that ten thousand tunnels cost no more than one. */
#include "ike/core.h"

#include <stdlib.h>

/* Slots count from 1: the children of n are 2n and 2n + 1. */
static struct moat_timer *at(const struct moat_timers *timers, unsigned int slot)
{
	return timers->heap[slot - 1];
}

static void put(struct moat_timers *timers, unsigned int slot, struct moat_timer *timer)
{
	timers->heap[slot - 1] = timer;
	timer->slot = slot;
}

static void rise(struct moat_timers *timers, struct moat_timer *timer)
{
	unsigned int slot = timer->slot;

	while (slot > 1 && at(timers, slot / 2)->due > timer->due) {
		put(timers, slot, at(timers, slot / 2));
		slot /= 2;
	}
	put(timers, slot, timer);
}

static void sink(struct moat_timers *timers, struct moat_timer *timer)
{
	unsigned int slot = timer->slot;

	while (2 * slot <= timers->count) {
		unsigned int child = 2 * slot;

		if (child < timers->count &&
		    at(timers, child + 1)->due < at(timers, child)->due)
			child++;
		if (at(timers, child)->due >= timer->due)
			break;
		put(timers, slot, at(timers, child));
		slot = child;
	}
	put(timers, slot, timer);
}

static void grow(struct moat_timers *timers)
{
	unsigned int size = timers->size ? 2 * timers->size : 64;

	timers->heap = realloc(timers->heap, size * sizeof(struct moat_timer *));
	if (!timers->heap)
		abort();
	timers->size = size;
}

void moat_timer_set(struct moat_timers *timers, struct moat_timer *timer, uint64_t due)
{
	moat_timer_stop(timers, timer);
	if (timers->count == timers->size)
		grow(timers);
	timer->due = due;
	put(timers, ++timers->count, timer);
	rise(timers, timer);
}

void moat_timer_stop(struct moat_timers *timers, struct moat_timer *timer)
{
	struct moat_timer *last;
	unsigned int slot = timer->slot;

	if (!slot)
		return;
	last = at(timers, timers->count--);
	timer->slot = 0;
	if (last == timer)
		return;
	put(timers, slot, last);
	rise(timers, last);
	sink(timers, last);
}

struct moat_timer *moat_timer_next(const struct moat_timers *timers)
{
	return timers->count ? timers->heap[0] : NULL;
}
