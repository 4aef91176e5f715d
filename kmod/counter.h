/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Why packets are dropped, and what else is counted. Every drop has a name;
 * it is counted for the namespace, and for the SA or the policy it happened
 * in.
 */
#ifndef _MOAT_COUNTER_H
#define _MOAT_COUNTER_H

#include <linux/atomic.h>
#include <linux/percpu.h>
#include <linux/types.h>

struct moat_net;
struct moat_policy;
struct moat_sa;
struct sk_buff;

/** enum moat_drop - Why a packet is dropped. */
enum moat_drop {
	MOAT_DROP_NONE,		/* not dropped */

	/* outbound */
	MOAT_DROP_DISCARD,	/* policy says discard */
	MOAT_DROP_NO_POLICY,	/* routed to a device that has no policy for it */
	MOAT_DROP_NO_SA,	/* policy has no SA and may not ask for one */
	MOAT_DROP_HOLD_FULL,	/* no room to hold it until an SA comes */
	MOAT_DROP_HOLD_TIMEOUT,	/* held, and no SA came in time */
	MOAT_DROP_HOLD_DELETED,	/* held, and its policy went away */
	MOAT_DROP_NAT_REWROTE,	/* NAT took it out of its policy's reach */
	MOAT_DROP_OUT_STATE,	/* outbound SA is expired or deleted */
	MOAT_DROP_OUT_SELECTOR,	/* outbound SA does not carry this traffic */
	MOAT_DROP_OUT_SEQ,	/* sequence numbers are used up */
	MOAT_DROP_OUT_MTU,	/* too big, and may not be fragmented */
	MOAT_DROP_OUT_LONG,	/* longer than 65535 bytes once sealed */
	MOAT_DROP_OUT_ROUTE,	/* no route to the peer */
	MOAT_DROP_OUT_NOMEM,	/* no memory to seal it */
	MOAT_DROP_OUT_CRYPTO,	/* the crypto API failed to seal it */
	MOAT_DROP_OUT_MALFORMED,	/* inner headers are malformed */
	MOAT_DROP_RING_FULL,	/* too many packets of its SA wait for the crypto API */

	/* inbound */
	MOAT_DROP_IN_CLEAR,	/* arrived in clear, and a policy protects it */
	MOAT_DROP_IN_SHORT,	/* shorter than its headers say */
	MOAT_DROP_IN_STATE,	/* inbound SA is expired or deleted */
	MOAT_DROP_IN_ENCAP,	/* UDP encapsulation is not what its SA says */
	MOAT_DROP_IN_REPLAY_LATE,	/* sequence number is left of the window */
	MOAT_DROP_IN_REPLAY_DUP,	/* sequence number was seen before */
	MOAT_DROP_IN_ICV,	/* integrity check failed */
	MOAT_DROP_IN_PADDING,	/* padding is malformed */
	MOAT_DROP_IN_NEXT_HEADER,	/* next header is none that its SA carries */
	MOAT_DROP_IN_INNER,	/* inner headers are malformed */
	MOAT_DROP_IN_SELECTOR,	/* inner packet is not what its SA may carry */
	MOAT_DROP_IN_NOMEM,	/* no memory to open it */
	MOAT_DROP_IN_CRYPTO,	/* the crypto API failed to open it */
	MOAT_DROP_IN_ECN,	/* marked CE, and not ECN capable (RFC 6040) */
	MOAT_DROP_IN_DEVICE,	/* device of its SA is down or gone */
	MOAT_DROP_IN_DUMMY,	/* dummy packet (RFC 4303 2.6) */
	MOAT_DROP_IN_CHECKSUM,	/* UDP checksum is wrong, or with IPv6 missing */
	MOAT_DROP_EARLY_FULL,	/* no room to hold it until its SA has keys */
	MOAT_DROP_EARLY_DELETED,	/* held, and its reserved SPI or its device went away */

	/* both */
	MOAT_DROP_LIFE_HARD,	/* SA is at its hard limit */
	MOAT_DROP_FRAGMENT,	/* fragment that can never become whole */
	MOAT_DROP_OUT_FRAGMENT,	/* a fragment, and its SA is of transport mode */
	MOAT_DROP_IN_AH_LENGTH,	/* AH's length is not what its SA's ICV takes */
	MOAT_DROP_IN_BUNDLE,	/* only one layer of AH over ESP, or another SA's */
	MOAT_DROP_NO_DAEMON,	/* UDP 500 or 4500 from a peer, and no socket is bound */

	MOAT_DROP_MAX
};

/** enum moat_total - What else is counted. */
enum moat_total {
	MOAT_TOTAL_OUT_PACKETS,	/* packets protected */
	MOAT_TOTAL_OUT_BYTES,	/* bytes protected, whole IP packets */
	MOAT_TOTAL_IN_PACKETS,	/* packets opened and accepted */
	MOAT_TOTAL_IN_BYTES,	/* bytes opened and accepted, whole IP packets */
	MOAT_TOTAL_BYPASSED,	/* packets a bypass policy let pass */
	MOAT_TOTAL_HELD,	/* packets held for an SA */
	MOAT_TOTAL_ACQUIRES,	/* acquire events raised */
	MOAT_TOTAL_ASYNC,	/* crypto operations that completed asynchronously */
	MOAT_TOTAL_KEEPALIVES,	/* NAT keepalives swallowed */
	MOAT_TOTAL_ICMP_REFUSED,	/* ICMP errors that quote what no SA has sent */
	MOAT_TOTAL_ECN_ODD,	/* ECN marks that RFC 6040 has no router for */
	MOAT_TOTAL_EARLY,	/* packets held until their inbound SA had keys */

	MOAT_TOTAL_MAX
};

extern const char * const moat_drop_names[MOAT_DROP_MAX];
extern const char * const moat_total_names[MOAT_TOTAL_MAX];

/** struct moat_stats - A namespace's counters, one set per CPU. */
struct moat_stats {
	u64 drop[MOAT_DROP_MAX];
	u64 total[MOAT_TOTAL_MAX];
};

/**
 * struct moat_drops - Drops of one SA or policy, allocated at its first one.
 * @n: packets, by enum moat_drop
 */
struct moat_drops {
	atomic_t n[MOAT_DROP_MAX];
};

/**
 * moat_count() - Add to one of a namespace's totals.
 * @mn: namespace
 * @what: counter, without its prefix MOAT_TOTAL_
 * @by: how much
 *
 * Context: any.
 */
#define moat_count(mn, what, by) \
	this_cpu_add((mn)->stats->total[MOAT_TOTAL_##what], (by))

/**
 * moat_drop() - Count and trace a dropped packet; the caller frees it.
 * @mn: namespace
 * @sa: SA it happened in, or NULL
 * @policy: policy it happened in, or NULL
 * @why: the reason
 *
 * Context: any; @sa and @policy are referenced or under rcu_read_lock().
 */
void moat_drop(struct moat_net *mn, struct moat_sa *sa,
	       struct moat_policy *policy, enum moat_drop why);

/**
 * moat_drops_move() - Give what was counted for one SA or policy to another.
 * @from: has none afterwards
 * @to: gets them beside its own
 *
 * Context: any; both are referenced or under rcu_read_lock().
 */
void moat_drops_move(struct moat_drops **from, struct moat_drops **to);

/**
 * moat_stats_sum() - Sum a namespace's counters over its CPUs.
 * @mn: namespace
 * @sum: where to
 */
void moat_stats_sum(const struct moat_net *mn, struct moat_stats *sum);

#endif /* _MOAT_COUNTER_H */
