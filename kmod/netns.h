/* SPDX-License-Identifier: GPL-2.0 */
/* The state of one network namespace: all that is not in an SA or a policy. */
#ifndef _MOAT_NETNS_H
#define _MOAT_NETNS_H

#include <linux/llist.h>
#include <linux/mutex.h>
#include <linux/rhashtable-types.h>
#include <linux/seqlock.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>
#include <net/net_namespace.h>
#include <net/netns/generic.h>
#include <linux/moat.h>

#include "compat.h"
#include "counter.h"
#include "event.h"
#include "flow.h"
#include "path.h"
#include "nat_known.h"
#include "policy.h"
#include "sa.h"

struct moat_spd_node;
struct xfrm_state;

/**
 * struct moat_net - Moat in one network namespace.
 * @net: the namespace
 * @lock: serialises all changes of SAs and policies
 * @sas: SAs and reserved SPIs by struct moat_sa_key; read under RCU
 * @serials: the same by moat_sa.serial, for dumps
 * @next_serial: of the next SA
 * @objects: SAs not yet freed; the namespace waits until there is none
 * @spd: trees of policies, IPv4 and IPv6; read under RCU
 * @spd_moves: policies change their place in one
 * @policies: by id, for netlink
 * @next_age: of the next policy
 * @policy_count: policies in @policies
 * @marked: those of them that select by mark
 * @whole: those of them that need whole packets, IPv4 and IPv6
 * @ends: pairs of tunnel endpoints, counted; read under RCU
 * @ends_index: the same, for dumps
 * @devices: devices created from here, by their id; read under RCU
 * @next_device: id of the next one
 * @generation: counts changes, so that a dump tells if one came between
 * @expired: SAs that met a hard limit
 * @expire_work: deletes those, and raises their hard expire events
 * @moved: inbound SAs whose peers were heard from elsewhere
 * @moved_work: follows them, and raises mapping events
 * @encap_in: inbound SAs with UDP encapsulation
 * @encap_odd: those of them with another local port than 4500
 * @encap_defrag6: IPv6 is put together before it reaches LOCAL_IN
 * @secpath: what a secpath of ours holds
 * @nat_seen: what NAT made of packets that were dropped for it
 * @held: packets held by all policies
 * @early_bytes: truesize of the packets that wait for inbound SAs
 * @stats: counters, per CPU
 */
struct moat_net {
	struct net *net;
	struct mutex lock;	/* changes of SAs and policies */
	struct rhashtable sas;
	struct xarray serials;
	unsigned long next_serial;
	atomic_t objects;

	struct moat_spd_node __rcu *spd[2];
	seqlock_t spd_moves;	/* readers of spd look again */
	struct xarray policies;
	u64 next_age;
	unsigned int policy_count;
	unsigned int marked;
	unsigned int whole[2];
	struct rhashtable ends;
	struct xarray ends_index;
	struct xarray devices;
	u32 next_device;
	u32 generation;

	struct llist_head expired;
	struct work_struct expire_work;
	struct llist_head moved;
	struct work_struct moved_work;
	unsigned int encap_in;
	unsigned int encap_odd;
	bool encap_defrag6;
	struct xfrm_state *secpath;
	struct moat_nat_seen nat_seen;
	atomic_t held;
	atomic_t early_bytes;
	struct moat_stats __percpu *stats;
};

extern unsigned int moat_net_id;

/** moat_net() - Moat's state in a namespace. */
static inline struct moat_net *moat_net(const struct net *net)
{
	return net_generic(net, moat_net_id);
}

#endif /* _MOAT_NETNS_H */
