// SPDX-License-Identifier: GPL-2.0
/*
 * Anti-replay (RFC 4303 3.4.3): a bitmap used as a ring, so that a move of
 * the window shifts nothing (the idea of RFC 6479), and the inference of the
 * upper half of an extended sequence number (RFC 4303 A2.2).
 */
#include <linux/bitmap.h>
#include <linux/kernel.h>
#include <linux/log2.h>
#include <linux/slab.h>

#include "replay.h"

int moat_replay_init(struct moat_replay *replay, u32 window, u64 top)
{
	u32 bits = roundup_pow_of_two(max_t(u32, window, BITS_PER_LONG));

	spin_lock_init(&replay->lock);
	replay->window = window;
	replay->mask = bits - 1;
	replay->top = top;
	replay->late = NULL;
	replay->map = bitmap_alloc(bits, GFP_KERNEL);
	if (!replay->map)
		return -ENOMEM;
	if (top)
		bitmap_fill(replay->map, bits);
	else
		bitmap_zero(replay->map, bits);
	return 0;
}

void moat_replay_free(struct moat_replay *replay)
{
	bitmap_free(replay->map);
	replay->map = NULL;
	kfree(replay->late);
	replay->late = NULL;
}

/*
 * The number nearest to the window that ends in seq_lo. The window lies
 * within one subspace of 2^32 numbers (case A of RFC 4303 A2.2) or spans two
 * (case B). False if it would lie in the subspace before the first. Where
 * replays pass, none is too late: the one nearest to the highest is meant.
 */
static bool moat_replay_infer(const struct moat_replay *replay, u32 seq_lo,
			      u64 *seq)
{
	u32 window = replay->window ?: 1U << 31;
	u32 top = lower_32_bits(replay->top);
	u32 hi = upper_32_bits(replay->top);
	u32 bottom = top - window + 1;
	bool before = false;

	if (top >= window - 1) {
		if (seq_lo < bottom)
			hi++;
	} else if (seq_lo >= bottom && (hi || replay->window)) {
		before = !hi;
		hi--;
	}
	*seq = (u64)hi << 32 | seq_lo;
	return !before;
}

static enum moat_drop moat_replay_test(const struct moat_replay *replay,
				       u64 seq)
{
	if (!replay->window)
		return MOAT_DROP_NONE;
	if (!seq)	/* no sender starts before 1 */
		return MOAT_DROP_IN_REPLAY_LATE;
	if (seq > replay->top)
		return MOAT_DROP_NONE;
	if (replay->top - seq >= replay->window)
		return MOAT_DROP_IN_REPLAY_LATE;
	if (test_bit(seq & replay->mask, replay->map))
		return MOAT_DROP_IN_REPLAY_DUP;
	return MOAT_DROP_NONE;
}

/*
 * A packet behind the highest number, with what became of it. Without memory
 * it is not counted here: the histogram is for people, not for decisions.
 */
static void moat_replay_count(struct moat_replay *replay, u64 seq,
			      enum moat_drop why)
{
	u64 late = replay->top - seq;
	unsigned int row;

	if ((s64)late < 0)
		return;
	if (!replay->late)
		replay->late = kzalloc(sizeof(*replay->late), GFP_ATOMIC);
	if (!replay->late)
		return;
	row = min_t(u64, fls64(late), MOAT_LATE_ROWS - 1);
	if (!why)
		replay->late->accepted[row]++;
	else if (why == MOAT_DROP_IN_REPLAY_LATE)
		replay->late->refused[row]++;
	else
		replay->late->duplicate[row]++;
}

enum moat_drop moat_replay_check(struct moat_replay *replay, bool esn,
				 u32 seq_lo, u64 *seq)
{
	enum moat_drop why;

	*seq = seq_lo;
	spin_lock(&replay->lock);
	if (esn && !moat_replay_infer(replay, seq_lo, seq))
		why = MOAT_DROP_IN_REPLAY_LATE;
	else
		why = moat_replay_test(replay, *seq);
	if (why)
		moat_replay_count(replay, *seq, why);
	spin_unlock(&replay->lock);
	return why;
}

/* Forget what the bits between the old top and the new one stood for. */
static void moat_replay_move(struct moat_replay *replay, u64 seq)
{
	u64 skipped = seq - replay->top - 1;
	u32 from = (replay->top + 1) & replay->mask;
	u32 bits = replay->mask + 1;
	u32 head;

	replay->top = seq;
	if (skipped >= bits) {
		bitmap_zero(replay->map, bits);
		return;
	}
	head = min_t(u32, skipped, bits - from);
	bitmap_clear(replay->map, from, head);
	bitmap_clear(replay->map, 0, skipped - head);
}

enum moat_drop moat_replay_advance(struct moat_replay *replay, u64 seq)
{
	enum moat_drop why;

	spin_lock(&replay->lock);
	why = moat_replay_test(replay, seq);
	moat_replay_count(replay, seq, why);
	if (!why) {
		if (seq > replay->top)
			moat_replay_move(replay, seq);
		__set_bit(seq & replay->mask, replay->map);
	}
	spin_unlock(&replay->lock);
	return why;
}

u64 moat_replay_top(struct moat_replay *replay)
{
	u64 top;

	spin_lock_bh(&replay->lock);
	top = replay->top;
	spin_unlock_bh(&replay->lock);
	return top;
}

bool moat_replay_late(struct moat_replay *replay, struct moat_late *late)
{
	bool any;

	spin_lock_bh(&replay->lock);
	any = replay->late;
	if (any)
		*late = *replay->late;
	spin_unlock_bh(&replay->lock);
	return any;
}
