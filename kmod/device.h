/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Route-based tunnels: `ip link add moat0 type moat`. A policy may be bound to
 * such a device: then it is met by what is routed there and by nothing else,
 * and what its SAs bring in arrives by the device.
 *
 * Policies, SAs and outer packets belong to the namespace that the device was
 * created from, wherever it is moved to. "Locked" means under moat_net.lock,
 * which is taken inside the rtnl lock.
 */
#ifndef _MOAT_DEVICE_H
#define _MOAT_DEVICE_H

#include <linux/netdevice.h>

#include "counter.h"

struct moat_flow;
struct moat_net;
struct moat_policy;
struct moat_sa;

/**
 * moat_device_is() - Whether a device is one of ours.
 * @dev: device, or NULL
 */
bool moat_device_is(const struct net_device *dev);

/**
 * moat_device_bind() - Bind a policy, in no database yet, to a device.
 * @policy: policy
 * @name: of a device created from its namespace
 * @extack: gets the sentence of a refusal
 *
 * Context: rtnl lock; locked.
 * Return: 0, -ENODEV, or -EINVAL when two have this name.
 */
int moat_device_bind(struct moat_policy *policy, const char *name,
		     struct netlink_ext_ack *extack);

/** moat_device_unbind() - The policy is deleted or was never added; locked. */
void moat_device_unbind(struct moat_policy *policy);

/**
 * moat_device_name() - Name of a policy's device.
 * @policy: bound to one
 * @name: gets it, IFNAMSIZ bytes; "(gone)" when the device is deleted
 *
 * Context: rcu_read_lock().
 */
void moat_device_name(const struct moat_policy *policy, char *name);

/**
 * moat_device_towards() - By which of our devices a packet would leave.
 * @mn: namespace
 * @flow: packet; its ports and the device it came by are not looked at
 *
 * Context: process, rcu_read_lock().
 * Return: moat_device.id, 0 for none or one created from elsewhere.
 */
u32 moat_device_towards(const struct moat_net *mn,
			const struct moat_flow *flow);

/**
 * moat_device_follow() - A policy may have another SA: adapt the MTU.
 * @policy: policy, bound to a device or not
 *
 * Context: any, rcu_read_lock() or locked. The MTU changes later.
 */
void moat_device_follow(const struct moat_policy *policy);

/**
 * moat_device_receive() - Deliver an inner packet by the device of its SA.
 * @sa: inbound SA bound to a device
 * @skb: inner packet; taken unless it is dropped
 *
 * Context: BH disabled, rcu_read_lock().
 * Return: MOAT_DROP_NONE, or why the caller is to drop it.
 */
enum moat_drop moat_device_receive(const struct moat_sa *sa,
				   struct sk_buff *skb);

/** moat_device_net_init() - A namespace begins. */
void moat_device_net_init(struct moat_net *mn);

/** moat_device_net_exit() - Delete all devices created from it; rtnl lock. */
void moat_device_net_exit(struct moat_net *mn, struct list_head *kill);

/** moat_device_init() - Let devices be created; 0 or a negative error. */
int moat_device_init(void);

/** moat_device_exit() - Delete all devices; takes the rtnl lock. */
void moat_device_exit(void);

#endif /* _MOAT_DEVICE_H */
