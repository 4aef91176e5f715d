/* SPDX-License-Identifier: GPL-2.0 */
/* Events to the multicast group "events". */
#ifndef _MOAT_EVENT_H
#define _MOAT_EVENT_H

#include "flow.h"

struct moat_policy;
struct moat_net;
struct moat_sa;
struct moat_sa_key;

/**
 * moat_event_acquire() - Traffic met a protect policy without an SA.
 * @policy: the policy
 * @flow: the first packet
 *
 * Context: softirq or process, like all events.
 */
void moat_event_acquire(const struct moat_policy *policy,
			const struct moat_flow *flow);

/**
 * moat_event_expire() - An SA met a limit.
 * @sa: SA
 * @hard: the hard one, else a soft one
 */
void moat_event_expire(struct moat_sa *sa, bool hard);

/**
 * moat_event_mapping() - The peer's NAT mapping changed.
 * @sa: inbound SA that authenticated the packet
 * @addr: the packet's source address, of the SA's outer family
 * @port: the packet's UDP source port
 */
void moat_event_mapping(const struct moat_sa *sa,
			const union nf_inet_addr *addr, __be16 port);

/**
 * moat_event_first_use() - The first packet authenticated on an inbound SA.
 * @sa: SA
 */
void moat_event_first_use(const struct moat_sa *sa);

/**
 * moat_event_unknown_spi() - A packet between endpoints had an SPI nobody has.
 * @mn: namespace
 * @id: its protocol and SPI, and where it went
 * @src: the packet's source address
 */
void moat_event_unknown_spi(const struct moat_net *mn,
			    const struct moat_sa_key *id,
			    const union nf_inet_addr *src);

/**
 * moat_event_policy_gone() - A policy was deleted, or lost its device.
 * @mn: namespace
 * @id: which one; 0 is all of them
 */
void moat_event_policy_gone(const struct moat_net *mn, u32 id);

#endif /* _MOAT_EVENT_H */
