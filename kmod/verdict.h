/* SPDX-License-Identifier: GPL-2.0 */
/* What is to happen to a packet, by all that it holds. */
#ifndef _MOAT_VERDICT_H
#define _MOAT_VERDICT_H

#include <linux/skbuff.h>
#include <linux/moat.h>

#include "flow.h"

struct moat_net;
struct moat_policy;

/**
 * moat_verdict() - Find what a policy says about a packet.
 * @mn: namespace
 * @skb: packet, skb_network_header() set
 * @outbound: its source is our side, else its destination is
 * @flow: as moat_parse_flow() read it; replaced, with moat_flow.carried, when
 *	what the ICMP error in it is about decides
 * @policy: gets the policy, or NULL
 *
 * Context: rcu_read_lock().
 * Return: as moat_classify().
 */
enum moat_verdict moat_verdict(const struct moat_net *mn,
			       const struct sk_buff *skb, bool outbound,
			       struct moat_flow *flow,
			       struct moat_policy **policy);

#endif /* _MOAT_VERDICT_H */
