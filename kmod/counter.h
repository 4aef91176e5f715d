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

/*
 * X(name, when). Add at the end of a group; the order is the order of dumps.
 */
#define MOAT_DROPS(X)							\
	/* outbound */							\
	X(discard,	"policy says discard")				\
	X(no_sa,	"policy has no SA and may not ask for one")	\
	X(hold_full,	"no room to hold it until an SA comes")		\
	X(hold_timeout,	"held, and no SA came in time")			\
	X(hold_deleted,	"held, and its policy went away")		\
	X(nat_rewrote,	"NAT took it out of its policy's reach")	\
	X(out_state,	"outbound SA is expired or deleted")		\
	X(out_selector,	"outbound SA does not carry this traffic")	\
	X(out_seq,	"sequence numbers are used up")			\
	X(out_mtu,	"too big, and may not be fragmented")		\
	X(out_long,	"longer than 65535 bytes once sealed")		\
	X(out_route,	"no route to the peer")				\
	X(out_nomem,	"no memory to seal it")				\
	X(out_crypto,	"the crypto API failed to seal it")		\
	X(out_malformed, "inner headers are malformed")			\
	X(ring_full,	"too many packets of its SA wait for the crypto API") \
	/* inbound */							\
	X(in_clear,	"arrived in clear, and a policy protects it")	\
	X(in_short,	"shorter than its headers say")			\
	X(in_state,	"inbound SA is reserved, expired or deleted")	\
	X(in_encap,	"UDP encapsulation is not what its SA says")	\
	X(in_replay_late, "sequence number is left of the window")	\
	X(in_replay_dup, "sequence number was seen before")		\
	X(in_icv,	"integrity check failed")			\
	X(in_padding,	"padding is malformed")				\
	X(in_next_header, "next header is none that its SA carries")	\
	X(in_inner,	"inner headers are malformed")			\
	X(in_selector,	"inner packet is not what its SA may carry")	\
	X(in_nomem,	"no memory to open it")				\
	X(in_crypto,	"the crypto API failed to open it")		\
	X(in_dummy,	"dummy packet (RFC 4303 2.6)")			\
	/* both */							\
	X(life_hard,	"SA is at its hard limit")			\
	X(no_daemon,	"UDP 500 or 4500 from a peer, and no socket is bound")

/* Totals of a namespace that are no drops. */
#define MOAT_TOTALS(X)							\
	X(out_packets,	"packets protected")				\
	X(out_bytes,	"bytes protected, whole IP packets")		\
	X(in_packets,	"packets opened and accepted")			\
	X(in_bytes,	"bytes opened and accepted, whole IP packets")	\
	X(bypassed,	"packets a bypass policy let pass")		\
	X(held,		"packets held for an SA")			\
	X(acquires,	"acquire events raised")			\
	X(async,	"crypto operations that completed asynchronously") \
	X(keepalives,	"NAT keepalives swallowed")

#define MOAT_COUNTER_ENUM(name, when) MOAT_DROP_##name,
/** enum moat_drop - Why a packet is dropped. */
enum moat_drop {
	MOAT_DROPS(MOAT_COUNTER_ENUM)
	MOAT_DROP_MAX
};
#undef MOAT_COUNTER_ENUM

#define MOAT_COUNTER_ENUM(name, when) MOAT_TOTAL_##name,
/** enum moat_total - What else is counted. */
enum moat_total {
	MOAT_TOTALS(MOAT_COUNTER_ENUM)
	MOAT_TOTAL_MAX
};
#undef MOAT_COUNTER_ENUM

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
 * @what: counter, without its prefix
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
 * moat_stats_sum() - Sum a namespace's counters over its CPUs.
 * @mn: namespace
 * @sum: where to
 */
void moat_stats_sum(const struct moat_net *mn, struct moat_stats *sum);

#endif /* _MOAT_COUNTER_H */
