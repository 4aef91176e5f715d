// SPDX-License-Identifier: GPL-2.0
/*
 * Lifetimes of SAs (RFC 4301 4.4.2.1). A limit is met once: its bit in
 * moat_sa.flags is set by whoever sees it first, and that one raises the
 * event. Meeting a hard limit needs moat_net.lock, so it is left to a work.
 */

#include <linux/jiffies.h>
#include <linux/ktime.h>

#include "db.h"
#include "trace.h"

/* Longest that one timer is armed for. */
#define MOAT_TIMER_MAX (24 * 3600 * HZ)

/* The work is queued by the one who sets the bit, so a node is used once. */
static void moat_life_hard(struct moat_sa *sa)
{
	if (test_and_set_bit(MOAT_SA_HARD, &sa->flags) || !moat_sa_get(sa))
		return;
	if (llist_add(&sa->expired, &sa->mn->expired))
		queue_work(moat_wq, &sa->mn->expire_work);
}

static void moat_life_soft(struct moat_sa *sa, enum moat_sa_flag limit)
{
	if (test_and_set_bit(limit, &sa->flags))
		return;
	if (cmpxchg(&sa->state, MOAT_SA_STATE_VALID, MOAT_SA_STATE_DYING) ==
	    MOAT_SA_STATE_VALID)
		trace_moat_sa_state(sa, MOAT_SA_STATE_DYING);
	moat_event_expire(sa, false);
}

bool moat_life_trip(struct moat_sa *sa, u64 packets, u64 bytes)
{
	const struct moat_life *life = &sa->life;

	if (packets >= life->soft_packets) {
		moat_life_soft(sa, MOAT_SA_SOFT_PACKETS);
		WRITE_ONCE(sa->trip_packets, life->hard_packets);
	}
	if (bytes >= life->soft_bytes) {
		moat_life_soft(sa, MOAT_SA_SOFT_BYTES);
		WRITE_ONCE(sa->trip_bytes, life->hard_bytes);
	}
	if (packets >= life->hard_packets || bytes >= life->hard_bytes)
		moat_life_hard(sa);
	return packets <= life->hard_packets && bytes <= life->hard_bytes;
}

/* A sixteenth of all numbers is left: at 2^32 minutes, on the fastest link. */
static u64 moat_life_soft_seq(const struct moat_sa *sa)
{
	return moat_sa_last_seq(sa) - moat_sa_last_seq(sa) / 16;
}

void moat_life_seq(struct moat_sa *sa, u64 seq)
{
	struct moat_sa *lead = moat_sa_lead(sa);

	moat_life_soft(lead, MOAT_SA_SOFT_SEQ);
	WRITE_ONCE(sa->trip_seq, moat_sa_last_seq(sa));
	if (seq == moat_sa_last_seq(sa))
		moat_life_hard(lead);
}

void moat_sa_first_use(struct moat_sa *sa)
{
	if (sa->key.direction == MOAT_DIRECTION_IN)
		moat_event_first_use(sa);
}

static u64 moat_life_ns(u64 seconds)
{
	return seconds > U64_MAX / NSEC_PER_SEC ? U64_MAX :
						  seconds * NSEC_PER_SEC;
}

/* Nanoseconds until the next limit that is not met yet; U64_MAX is none. */
static u64 moat_life_left(const struct moat_sa *sa, u64 age)
{
	u64 soft = moat_life_ns(sa->life.soft_seconds);
	u64 hard = moat_life_ns(sa->life.hard_seconds);
	u64 next = test_bit(MOAT_SA_SOFT_SECONDS, &sa->flags) ?
		   hard : min(soft, hard);

	if (next == U64_MAX)
		return U64_MAX;
	return next > age ? next - age : 0;
}

/*
 * The kernel's timers come up to an eighth of their time too late, which is
 * minutes in an hour: go most of the way, and then the rest.
 */
static void moat_life_arm(struct moat_sa *sa, u64 left)
{
	unsigned long delay;

	if (left == U64_MAX)
		return;
	delay = min_t(u64, nsecs_to_jiffies64(left), MOAT_TIMER_MAX);
	mod_timer(&sa->timer, jiffies + delay - delay / 8 + 1);
}

void moat_life_timer(struct timer_list *timer)
{
	struct moat_sa *sa = from_timer(sa, timer, timer);
	u64 age = ktime_get_boottime_ns() - sa->born;

	/* Both at once after the machine has slept. */
	if (age >= moat_life_ns(sa->life.soft_seconds))
		moat_life_soft(sa, MOAT_SA_SOFT_SECONDS);
	if (age >= moat_life_ns(sa->life.hard_seconds)) {
		moat_life_hard(sa);
		return;
	}
	moat_life_arm(sa, moat_life_left(sa, age));
}

void moat_life_start(struct moat_sa *sa)
{
	const struct moat_life *life = &sa->life;

	sa->created = ktime_get_real_seconds();
	sa->born = ktime_get_boottime_ns();
	moat_life_arm(sa, moat_life_left(sa, 0));
	sa->trip_packets = min(life->soft_packets, life->hard_packets);
	sa->trip_bytes = min(life->soft_bytes, life->hard_bytes);
	sa->trip_seq = moat_life_soft_seq(sa);
}

void moat_life_stop(struct moat_sa *sa)
{
	timer_shutdown_sync(&sa->timer);
}

static void moat_life_expire(struct moat_sa *sa)
{
	/* Deleted meanwhile: nothing expired. */
	if (sa->state == MOAT_SA_STATE_DEAD)
		return;
	if (sa->state != MOAT_SA_STATE_RESERVED)
		moat_event_expire(sa, true);
	moat_sa_del(sa);
}

void moat_life_work(struct work_struct *work)
{
	struct moat_net *mn = container_of(work, struct moat_net, expire_work);
	struct llist_node *list = llist_del_all(&mn->expired);
	struct moat_sa *sa, *next;

	mutex_lock(&mn->lock);
	llist_for_each_entry_safe(sa, next, list, expired) {
		moat_life_expire(sa);
		moat_sa_put(sa);
	}
	mutex_unlock(&mn->lock);
}
