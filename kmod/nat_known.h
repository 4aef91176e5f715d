/* SPDX-License-Identifier: GPL-2.0 */
/* What NAT makes of a flow, as far as conntrack knows. */
#ifndef _MOAT_NAT_KNOWN_H
#define _MOAT_NAT_KNOWN_H

#include <linux/spinlock.h>

#include "flow.h"

struct moat_net;

/**
 * struct moat_nat_known - A connection that NAT rewrites, in one direction.
 * @before: its packets as they come
 * @after: as they leave
 */
struct moat_nat_known {
	struct moat_flow before;
	struct moat_flow after;
};

/* How many connections are remembered, and for how long, in seconds. */
#define MOAT_NAT_SEEN 8
#define MOAT_NAT_SEEN_SECONDS 60

/**
 * struct moat_nat_seen - The last packets dropped as nat_rewrote: conntrack
 * forgets a connection whose first packet is dropped.
 * @lock: of the others (BH)
 * @at: when, in jiffies; 0 is never
 * @row: what NAT had made of them
 * @next: row that is written next
 */
struct moat_nat_seen {
	spinlock_t lock;	/* of the others (BH) */
	unsigned long at[MOAT_NAT_SEEN];
	struct moat_nat_known row[MOAT_NAT_SEEN];
	unsigned int next;
};

/**
 * moat_nat_remember() - Keep what NAT made of a packet that is dropped for it.
 * @seen: the namespace's memory
 * @before: the packet as it came
 * @after: as it would leave
 *
 * Context: any but hard interrupts.
 */
void moat_nat_remember(struct moat_nat_seen *seen,
		       const struct moat_flow *before,
		       const struct moat_flow *after);

/**
 * moat_nat_known() - Look for a connection that NAT rewrites, also a dropped one.
 * @mn: namespace
 * @flow: its packets, before or after NAT; of TCP and its like without a source
 *	port any, and of ICMP any echo requests
 * @known: filled in when there is one
 *
 * Looks for one tuple after the other, so it takes milliseconds.
 *
 * Context: may sleep.
 * Return: whether there is one.
 */
bool moat_nat_known(struct moat_net *mn, const struct moat_flow *flow,
		    struct moat_nat_known *known);

#endif /* _MOAT_NAT_KNOWN_H */
