/* SPDX-License-Identifier: GPL-2.0 */
/* Policies (RFC 4301 4.4.1), their classifier, and packets held for an SA. */
#ifndef _MOAT_POLICY_H
#define _MOAT_POLICY_H

#include <linux/rbtree_types.h>
#include <linux/rhashtable-types.h>
#include <linux/skbuff.h>
#include <linux/moat.h>

#include "counter.h"
#include "flow.h"
#include "shape.h"

struct moat_hold;
struct moat_sa;

/**
 * struct moat_ends - A pair of tunnel endpoints that policies share.
 * @node: in moat_net.ends
 * @key: the addresses; unused words are 0
 * @key.local: ours
 * @key.remote: the peer's
 * @key.family: AF_INET or AF_INET6
 * @index: in moat_net.ends_index
 * @users: policies, under moat_net.lock
 * @unknown_at: when an unknown SPI between them was last told, in jiffies
 * @rcu: to free it
 */
struct moat_ends {
	struct rhash_head node;
	struct moat_ends_key {
		union nf_inet_addr local;
		union nf_inet_addr remote;
		u32 family;
	} key;
	u32 index;
	unsigned int users;
	unsigned long unknown_at;
	struct rcu_head rcu;
};

/**
 * struct moat_fix - Some bits of the addresses, in one word: what tells most
 *	policies that do not match from those that may.
 * @value: of IPv4 all of them, of IPv6 the second 32 bits of each
 * @care: which of them are fixed
 */
struct moat_fix {
	u64 value;
	u64 care;
};

/**
 * struct moat_policy - What happens to the traffic of a selector.
 * @sa: current outbound SA, holds a reference; written under @hold_lock by
 *	the holder of moat_net.lock; NULL is none
 * @rank: priority, then less specific: the lower one wins
 * @age: of equal rank the lower one wins
 * @fix: of its networks, to begin with
 * @selector: traffic
 * @spd_node: in a leaf of moat_net.spd
 * @spd_order: likewise
 * @ends: tunnel endpoints, NULL without; written under moat_net.lock
 * @id: chosen by user space, not 0
 * @priority: lower wins
 * @mark: of the packets it is for, in the bits of @mark_mask
 * @mark_mask: 0 is any mark
 * @action: enum moat_action, read with READ_ONCE()
 * @mode: enum moat_mode
 * @shape: what its SAs get
 * @device: moat_device.id of the device it is bound to, constant, 0 is none
 * @device_node: in moat_device.policies, under moat_net.lock
 * @acquire_off: without an SA drop, and raise no acquire; READ_ONCE()
 * @hold_lock: protects @hold and the move of @sa against packets being held
 * @hold: held packets and acquire, allocated with the first one
 * @dead: deleted: nothing is held any more; under @hold_lock
 * @mn: its namespace
 * @packets: that met the policy, outbound
 * @bytes: likewise
 * @drops: allocated at the first drop
 * @outbound: its outbound SAs, the current one included; moat_net.lock
 * @rcu: to free it
 */
struct moat_policy {
	struct moat_sa __rcu *sa;
	u64 rank;
	u64 age;
	struct moat_fix fix;
	struct moat_selector selector;
	struct hlist_node spd_node;
	struct rb_node spd_order;
	struct moat_ends __rcu *ends;
	u8 action;
	u8 mode;
	struct moat_shape shape;
	u32 device;
	struct list_head device_node;
	bool acquire_off;
	bool dead;
	u32 id;
	u32 priority;
	u32 mark;
	u32 mark_mask;
	spinlock_t hold_lock;	/* hold, and moves of sa */
	struct moat_hold *hold;
	struct moat_net *mn;
	atomic64_t packets;
	atomic64_t bytes;
	struct moat_drops *drops;
	struct list_head outbound;
	struct rcu_head rcu;
};

/**
 * moat_policy_lookup() - Find the policy of a packet.
 * @mn: namespace
 * @flow: packet, either direction
 *
 * Implicit bypasses are not looked at: see moat_bypass_implicit().
 *
 * Context: rcu_read_lock().
 * Return: the policy without a reference, or NULL.
 */
struct moat_policy *moat_policy_lookup(const struct moat_net *mn,
				       const struct moat_flow *flow);

/**
 * moat_policy_shadow() - Find who takes all packets of a policy.
 * @policy: in the database
 *
 * Several policies that do so together are not found.
 *
 * Context: rcu_read_lock().
 * Return: the best of those that are better and cover it, or NULL.
 */
struct moat_policy *moat_policy_shadow(struct moat_policy *policy);

/**
 * moat_bypass_covers() - Whether all packets of a policy pass above it.
 * @policy: policy
 *
 * Context: rcu_read_lock().
 * Return: true if they do, see moat_bypass_implicit().
 */
bool moat_bypass_covers(const struct moat_policy *policy);

/**
 * moat_bypass_implicit() - Whether a packet passes above all policies.
 * @mn: namespace
 * @flow: packet, either direction
 *
 * UDP 500 and 4500 and ESP and AH between tunnel endpoints of policies,
 * and ICMPv6 133 to 137.
 *
 * Context: rcu_read_lock().
 * Return: true if it does.
 */
bool moat_bypass_implicit(const struct moat_net *mn,
			  const struct moat_flow *flow);

/**
 * moat_classify() - What is to happen to an outbound packet.
 * @mn: namespace
 * @flow: packet
 * @policy: gets the policy that says so, or NULL
 *
 * Context: rcu_read_lock().
 * Return: CLEAR without a policy; BYPASS; DISCARD; PROTECT: the policy's SA
 * is to be used; HOLD: it has none, see moat_hold().
 */
enum moat_verdict moat_classify(const struct moat_net *mn,
				const struct moat_flow *flow,
				struct moat_policy **policy);

/** moat_policy_account() - Count a packet that met a policy; any context. */
static inline void moat_policy_account(struct moat_policy *policy,
				       unsigned int len)
{
	atomic64_inc(&policy->packets);
	atomic64_add(len, &policy->bytes);
}

/**
 * moat_ends_known() - Whether a pair is some policy's tunnel endpoints.
 * @mn: namespace
 * @family: AF_INET or AF_INET6
 * @local: our address
 * @remote: the peer's
 *
 * Context: rcu_read_lock().
 */
bool moat_ends_known(const struct moat_net *mn, u8 family,
		     const union nf_inet_addr *local,
		     const union nf_inet_addr *remote);

/**
 * moat_ends_unknown() - Whether to tell that one sent the other an unknown SPI.
 * @mn: namespace
 * @family: AF_INET or AF_INET6
 * @local: our address
 * @remote: the peer's
 *
 * Once in a second for each pair of endpoints.
 *
 * Context: rcu_read_lock().
 */
bool moat_ends_unknown(struct moat_net *mn, u8 family,
		       const union nf_inet_addr *local,
		       const union nf_inet_addr *remote);

/**
 * moat_hold() - Hold a packet until its policy has an SA.
 * @policy: protect policy without an SA
 * @skb: packet as moat_output_held() wants it back, of whose cb only the
 *	first 40 bytes stay; consumed unless -EAGAIN
 * @flow: the packet's
 *
 * Raises an acquire if none is pending.
 *
 * Context: rcu_read_lock(), softirq or process.
 * Return: 0 if held or dropped; -EAGAIN if the policy has an SA by now: the
 * caller sends the packet itself.
 */
int moat_hold(struct moat_policy *policy, struct sk_buff *skb,
	      const struct moat_flow *flow);

#endif /* _MOAT_POLICY_H */
