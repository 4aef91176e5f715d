/* SPDX-License-Identifier: GPL-2.0 */
/* Security associations (RFC 4301 4.4.2) and their database. */
#ifndef _MOAT_SA_H
#define _MOAT_SA_H

#include <linux/atomic.h>
#include <linux/in.h>
#include <linux/ktime.h>
#include <linux/llist.h>
#include <linux/refcount.h>
#include <linux/rhashtable-types.h>
#include <linux/skbuff.h>
#include <linux/timer.h>
#include <linux/moat.h>

#include "alg.h"
#include "counter.h"
#include "flow.h"
#include "mapping.h"
#include "replay.h"
#include "ring.h"
#include "shape.h"

/* Seconds that spi-alloc holds an SPI. */
#define MOAT_SPI_RESERVED_SECONDS 60

/**
 * struct moat_sa_key - What finds an SA.
 * @dst: outer destination; unused words are 0
 * @spi: as on the wire
 * @family: AF_INET or AF_INET6, of the outer header
 * @protocol: IPPROTO_ESP or IPPROTO_AH
 * @direction: enum moat_direction
 * @zero: 0, the key is hashed whole
 */
struct moat_sa_key {
	union nf_inet_addr dst;
	__be32 spi;
	u8 family;
	u8 protocol;
	u8 direction;
	u8 zero;
};

/**
 * struct moat_life - Limits of an SA; U64_MAX is none.
 * @soft_seconds: since creation
 * @hard_seconds: since creation
 * @soft_bytes: whole IP packets before protection
 * @hard_bytes: likewise
 * @soft_packets: packets
 * @hard_packets: packets
 */
struct moat_life {
	u64 soft_seconds;
	u64 hard_seconds;
	u64 soft_bytes;
	u64 hard_bytes;
	u64 soft_packets;
	u64 hard_packets;
};

/* Bits of struct moat_sa.flags; all but the last are set once for good. */
enum moat_sa_flag {
	MOAT_SA_SOFT_SECONDS,	/* this limit was met */
	MOAT_SA_SOFT_BYTES,
	MOAT_SA_SOFT_PACKETS,
	MOAT_SA_HARD,		/* a hard limit was met */
	MOAT_SA_SOFT_SEQ,	/* few sequence numbers are left */
	MOAT_SA_MOVED,		/* in moat_net.moved */
};

/**
 * struct moat_sa - A security association, or an SPI reserved for one.
 * @node: in moat_net.sas
 * @key: identity, constant
 * @state: enum moat_sa_state; written under moat_net.lock, but moved from
 *	VALID to DYING by whoever meets a soft limit; read with READ_ONCE()
 * @ref: one for the database, one for a policy that points here, one for
 *	each packet whose crypto has not completed
 * @mode: enum moat_mode
 * @esn: 64-bit sequence numbers
 * @early: enum moat_early; written under the lock of @early_queue
 * @policy_id: policy it serves, 0 is none; what an acquire named
 * @mn: its namespace, which outlives all its SAs
 * @alg: transform and lengths; unset while reserved
 * @src: outer source address, of key.family
 * @selector: what it may carry, its own copy; family 0 is anything
 * @shape: of its policy when it was added
 * @device: of its policy, see struct moat_policy
 * @encap_sport: UDP source port of RFC 3948 as on the wire, 0 is no UDP
 * @encap_dport: UDP destination port
 * @moved: with UDP: where the peer is, once the above is out of date; inbound
 *	written by the one who delivers, outbound under moat_net.lock
 * @flags: enum moat_sa_flag
 * @replay: inbound: the window
 * @ring: packets in flight, and outbound the sequence number
 * @packets: carried so far
 * @bytes: carried so far, whole IP packets before protection
 * @trip_packets: nearest limit in packets not yet met
 * @trip_bytes: nearest limit in bytes not yet met
 * @trip_seq: outbound: nearest limit in sequence numbers not yet met
 * @async: crypto operations that completed asynchronously
 * @last_used: seconds since the epoch, 0 is never
 * @life: limits
 * @created: seconds since the epoch
 * @timer: next limit in seconds; expiry of a reserved SPI
 * @born: when @life begins, ktime_get_boottime_ns()
 * @owner: opaque to the kernel, echoed in dumps; under moat_net.lock
 * @owner_len: bytes
 * @bundle: number of its bundle, 0 is none
 * @above: ESP of a bundle: the SA of AH around it, with a reference; constant
 * @below: AH of a bundle: the SA of ESP in it, which lives as long as this one
 *	is in the database
 * @drops: allocated at the first drop
 * @early_queue: inbound: packets that came before the keys
 * @serial: key in moat_net.serials, what dumps are ordered by
 * @policy_node: outbound: in moat_policy.outbound, under moat_net.lock
 * @policy: outbound: its policy, under moat_net.lock; NULL once either is
 *	deleted
 * @expired: in moat_net.expired, holds a reference; MOAT_SA_HARD guards it
 * @followed: inbound, UDP: what the last mapping event told; moat_net.lock
 * @moving: in moat_net.moved, holds a reference; MOAT_SA_MOVED guards it
 * @dead: in the list of SAs that wait for a grace period
 *
 * A bundle (AH over ESP) is led by its ESP, which alone counts, has limits and
 * is its policy's SA; both are added and deleted as one.
 *
 * An SA dies in this order: out of the hash table and its policy
 * (moat_sa_del(), under moat_net.lock), its database reference dropped, the
 * last packet's reference dropped (any context), a grace period, freed with
 * its keys by the work of sa.c.
 */
struct moat_sa {
	struct rhash_head node;
	struct moat_sa_key key;
	u32 state;
	refcount_t ref;
	u8 mode;
	bool esn;
	u8 early;
	u32 policy_id;
	struct moat_net *mn;
	struct moat_alg alg;
	union nf_inet_addr src;
	struct moat_selector selector;
	struct moat_shape shape;
	u32 device;
	__be16 encap_sport;
	__be16 encap_dport;
	struct moat_moved __rcu *moved;
	unsigned long flags;
	struct moat_sa *above;

	/* written for each packet */
	struct moat_replay replay ____cacheline_aligned_in_smp;
	struct moat_ring ring;
	atomic64_t packets;
	atomic64_t bytes;
	u64 trip_packets;
	u64 trip_bytes;
	u64 trip_seq;
	atomic_t async;
	u32 last_used;

	/* seldom used */
	struct moat_life life;
	u64 created;
	u64 born;
	struct timer_list timer;
	u8 *owner;
	u16 owner_len;
	u32 bundle;
	struct moat_sa *below;
	struct moat_drops *drops;
	struct sk_buff_head early_queue;
	unsigned long serial;
	struct list_head policy_node;
	struct moat_policy *policy;
	struct llist_node expired;
	struct moat_mapping followed;
	struct llist_node moving;
	struct llist_node dead;
};

/**
 * moat_sa_find() - Find an SA, reserved SPIs included.
 * @mn: namespace
 * @key: all of it
 *
 * Context: rcu_read_lock() or moat_net.lock.
 * Return: the SA without a reference, or NULL.
 */
struct moat_sa *moat_sa_find(struct moat_net *mn,
			     const struct moat_sa_key *key);

/**
 * moat_sa_find_in() - Find the inbound SA of a packet that arrived.
 * @mn: namespace
 * @family: AF_INET or AF_INET6
 * @dst: the packet's destination; unused words are 0
 * @src: its source, likewise
 * @protocol: IPPROTO_ESP or IPPROTO_AH
 * @spi: as on the wire
 *
 * A reserved SPI is found for packets between the endpoints of a policy: whoever
 * we ask for an SA has one. moat_sa.early says whether the packet has to wait.
 *
 * Context: rcu_read_lock().
 * Return: the SA without a reference, or NULL. Its state may be DEAD.
 */
struct moat_sa *moat_sa_find_in(struct moat_net *mn, u8 family,
				const union nf_inet_addr *dst,
				const union nf_inet_addr *src, u8 protocol,
				__be32 spi);

/**
 * moat_sa_lead() - The SA that counts for all of its bundle.
 * @sa: SA
 *
 * Context: moat_net.lock, or rcu_read_lock() when @sa was found by its lead.
 */
static inline struct moat_sa *moat_sa_lead(struct moat_sa *sa)
{
	return sa->below ?: sa;
}

/** moat_sa_get() - Take a reference; under rcu_read_lock(), false if dead. */
static inline bool moat_sa_get(struct moat_sa *sa)
{
	return refcount_inc_not_zero(&sa->ref);
}

/** moat_sa_free_later() - The last reference is gone; any context. */
void moat_sa_free_later(struct moat_sa *sa);

/** moat_sa_put() - Drop a reference, in any context. */
static inline void moat_sa_put(struct moat_sa *sa)
{
	if (sa && refcount_dec_and_test(&sa->ref))
		moat_sa_free_later(sa);
}

/** moat_sa_usable() - Whether packets may use it: VALID or DYING. */
static inline bool moat_sa_usable(const struct moat_sa *sa)
{
	u32 state = READ_ONCE(sa->state);

	return state == MOAT_SA_STATE_VALID || state == MOAT_SA_STATE_DYING;
}

/** moat_sa_last_seq() - The last sequence number it may use (RFC 4303 3.3.3). */
static inline u64 moat_sa_last_seq(const struct moat_sa *sa)
{
	return sa->esn ? U64_MAX : U32_MAX;
}

/** moat_life_seq() - The slow path of moat_sa_account_seq(). */
void moat_life_seq(struct moat_sa *sa, u64 seq);

/**
 * moat_sa_account_seq() - See how many sequence numbers are left.
 * @sa: outbound SA
 * @seq: the one just taken
 *
 * Raises the soft expire event while there is time for another SA, and the
 * hard one with the last number.
 *
 * Context: softirq or process, rcu_read_lock() or a reference.
 */
static inline void moat_sa_account_seq(struct moat_sa *sa, u64 seq)
{
	if (unlikely(seq >= READ_ONCE(sa->trip_seq)))
		moat_life_seq(sa, seq);
}

/**
 * moat_sa_mapping() - Where the peer of an SA in UDP is.
 * @sa: SA with UDP encapsulation
 *
 * Context: rcu_read_lock().
 * Return: inbound the mapping its newest packet came from, outbound the one
 * its packets go to.
 */
static inline struct moat_mapping moat_sa_mapping(const struct moat_sa *sa)
{
	const struct moat_moved *moved = rcu_dereference(sa->moved);

	if (unlikely(moved))
		return moved->to;
	if (sa->key.direction == MOAT_DIRECTION_IN)
		return (struct moat_mapping){ sa->src, sa->encap_sport };
	return (struct moat_mapping){ sa->key.dst, sa->encap_dport };
}

/** moat_life_trip() - The slow path of moat_sa_account(). */
bool moat_life_trip(struct moat_sa *sa, u64 packets, u64 bytes);

/** moat_sa_first_use() - The slow path of moat_sa_account(). */
void moat_sa_first_use(struct moat_sa *sa);

/**
 * moat_sa_account() - Count a packet that the SA carries.
 * @sa: SA
 * @len: bytes of the whole IP packet before protection
 *
 * Outbound before the packet gets its sequence number, inbound once it is
 * authenticated, not replayed and of the SA's selector. Raises first-use
 * (inbound) and expire events.
 *
 * Context: softirq or process, rcu_read_lock() or a reference.
 * Return: false if a hard limit forbids the packet: drop it as life_hard.
 */
static inline bool moat_sa_account(struct moat_sa *sa, unsigned int len)
{
	u64 packets = atomic64_inc_return(&sa->packets);
	u64 bytes = atomic64_add_return(len, &sa->bytes);

	WRITE_ONCE(sa->last_used, (u32)ktime_get_real_seconds());
	if (unlikely(packets == 1))
		moat_sa_first_use(sa);
	if (unlikely(packets >= READ_ONCE(sa->trip_packets) ||
		     bytes >= READ_ONCE(sa->trip_bytes)))
		return moat_life_trip(sa, packets, bytes);
	return true;
}

#endif /* _MOAT_SA_H */
