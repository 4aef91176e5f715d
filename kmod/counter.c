// SPDX-License-Identifier: GPL-2.0
/* Counters: their names, and counting a drop where it happened. */

#include <linux/slab.h>

#include "netns.h"
#include "trace.h"

const char * const moat_drop_names[MOAT_DROP_MAX] = {
	[MOAT_DROP_NONE] = "none",
	[MOAT_DROP_DISCARD] = "discard",
	[MOAT_DROP_NO_POLICY] = "no_policy",
	[MOAT_DROP_NO_SA] = "no_sa",
	[MOAT_DROP_HOLD_FULL] = "hold_full",
	[MOAT_DROP_HOLD_TIMEOUT] = "hold_timeout",
	[MOAT_DROP_HOLD_DELETED] = "hold_deleted",
	[MOAT_DROP_NAT_REWROTE] = "nat_rewrote",
	[MOAT_DROP_OUT_STATE] = "out_state",
	[MOAT_DROP_OUT_SELECTOR] = "out_selector",
	[MOAT_DROP_OUT_SEQ] = "out_seq",
	[MOAT_DROP_OUT_MTU] = "out_mtu",
	[MOAT_DROP_OUT_LONG] = "out_long",
	[MOAT_DROP_OUT_ROUTE] = "out_route",
	[MOAT_DROP_OUT_NOMEM] = "out_nomem",
	[MOAT_DROP_OUT_CRYPTO] = "out_crypto",
	[MOAT_DROP_OUT_MALFORMED] = "out_malformed",
	[MOAT_DROP_RING_FULL] = "ring_full",
	[MOAT_DROP_IN_CLEAR] = "in_clear",
	[MOAT_DROP_IN_SHORT] = "in_short",
	[MOAT_DROP_IN_STATE] = "in_state",
	[MOAT_DROP_IN_ENCAP] = "in_encap",
	[MOAT_DROP_IN_CHECKSUM] = "in_checksum",
	[MOAT_DROP_IN_REPLAY_LATE] = "in_replay_late",
	[MOAT_DROP_IN_REPLAY_DUP] = "in_replay_dup",
	[MOAT_DROP_IN_ICV] = "in_icv",
	[MOAT_DROP_IN_PADDING] = "in_padding",
	[MOAT_DROP_IN_NEXT_HEADER] = "in_next_header",
	[MOAT_DROP_IN_INNER] = "in_inner",
	[MOAT_DROP_IN_SELECTOR] = "in_selector",
	[MOAT_DROP_IN_NOMEM] = "in_nomem",
	[MOAT_DROP_IN_CRYPTO] = "in_crypto",
	[MOAT_DROP_IN_ECN] = "in_ecn",
	[MOAT_DROP_IN_DEVICE] = "in_device",
	[MOAT_DROP_IN_DUMMY] = "in_dummy",
	[MOAT_DROP_EARLY_FULL] = "early_full",
	[MOAT_DROP_EARLY_DELETED] = "early_deleted",
	[MOAT_DROP_LIFE_HARD] = "life_hard",
	[MOAT_DROP_FRAGMENT] = "fragment",
	[MOAT_DROP_OUT_FRAGMENT] = "out_fragment",
	[MOAT_DROP_IN_AH_LENGTH] = "in_ah_length",
	[MOAT_DROP_IN_BUNDLE] = "in_bundle",
	[MOAT_DROP_NO_DAEMON] = "no_daemon",
};

const char * const moat_total_names[MOAT_TOTAL_MAX] = {
	[MOAT_TOTAL_OUT_PACKETS] = "out_packets",
	[MOAT_TOTAL_OUT_BYTES] = "out_bytes",
	[MOAT_TOTAL_IN_PACKETS] = "in_packets",
	[MOAT_TOTAL_IN_BYTES] = "in_bytes",
	[MOAT_TOTAL_BYPASSED] = "bypassed",
	[MOAT_TOTAL_HELD] = "held",
	[MOAT_TOTAL_ACQUIRES] = "acquires",
	[MOAT_TOTAL_ASYNC] = "async",
	[MOAT_TOTAL_KEEPALIVES] = "keepalives",
	[MOAT_TOTAL_ICMP_REFUSED] = "icmp_refused",
	[MOAT_TOTAL_ECN_ODD] = "ecn_odd",
	[MOAT_TOTAL_EARLY] = "early",
};

/*
 * SAs and policies get their counters at their first drop: most never drop
 * anything, and there are many of them. Without memory only the namespace
 * counts.
 */
static void moat_drops_add(struct moat_drops **where, enum moat_drop why, int n)
{
	struct moat_drops *drops = READ_ONCE(*where);

	if (!drops) {
		struct moat_drops *fresh = kzalloc(sizeof(*fresh), GFP_ATOMIC);

		if (!fresh)
			return;
		drops = cmpxchg(where, NULL, fresh);
		if (drops)
			kfree(fresh);
		else
			drops = fresh;
	}
	atomic_add(n, &drops->n[why]);
}

void moat_drops_move(struct moat_drops **from, struct moat_drops **to)
{
	struct moat_drops *drops = READ_ONCE(*from);
	int i, n;

	for (i = 0; drops && i < MOAT_DROP_MAX; i++) {
		n = atomic_xchg(&drops->n[i], 0);
		if (n)
			moat_drops_add(to, i, n);
	}
}

void moat_drop(struct moat_net *mn, struct moat_sa *sa,
	       struct moat_policy *policy, enum moat_drop why)
{
	this_cpu_inc(mn->stats->drop[why]);
	if (sa)
		moat_drops_add(&sa->drops, why, 1);
	if (policy)
		moat_drops_add(&policy->drops, why, 1);
	trace_moat_drop(mn, sa, policy, why);
}

void moat_stats_sum(const struct moat_net *mn, struct moat_stats *sum)
{
	int cpu, i;

	memset(sum, 0, sizeof(*sum));
	for_each_possible_cpu(cpu) {
		const struct moat_stats *stats = per_cpu_ptr(mn->stats, cpu);

		for (i = 0; i < MOAT_DROP_MAX; i++)
			sum->drop[i] += READ_ONCE(stats->drop[i]);
		for (i = 0; i < MOAT_TOTAL_MAX; i++)
			sum->total[i] += READ_ONCE(stats->total[i]);
	}
}
