/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where a peer behind a NAT is: its address and UDP port as they arrive here.
 * The NAT may give it others at any time; what is authenticated and newer than
 * all before tells, nothing else does (RFC 3947 6, RFC 3948 2.3).
 */
#ifndef _MOAT_MAPPING_H
#define _MOAT_MAPPING_H

#include <linux/netfilter.h>
#include <linux/types.h>

struct moat_net;
struct moat_sa;
struct work_struct;

/**
 * struct moat_mapping - An address and a UDP port.
 * @addr: of the SA's outer family; unused words are 0
 * @port: UDP port
 */
struct moat_mapping {
	union nf_inet_addr addr;
	__be16 port;
};

/**
 * struct moat_moved - Where a peer is now, which is not where it was at first.
 * @to: there
 * @rcu: to free it
 */
struct moat_moved {
	struct moat_mapping to;
	struct rcu_head rcu;
};

/** moat_mapping_same() - Whether two mappings are one. */
static inline bool moat_mapping_same(const struct moat_mapping *a,
				     const struct moat_mapping *b)
{
	return a->port == b->port && !memcmp(&a->addr, &b->addr,
					     sizeof(a->addr));
}

/**
 * moat_mapping_heard() - The newest authentic packet came from here.
 * @sa: inbound SA with UDP encapsulation
 * @from: where
 *
 * When that is new, the outbound SAs of the same policy that went to the old
 * mapping go to the new one, and so do the policy's endpoints; the daemon is
 * told. All of it a moment later, in a work.
 *
 * Context: BH disabled, rcu_read_lock(), one call per SA at a time.
 */
void moat_mapping_heard(struct moat_sa *sa, const struct moat_mapping *from);

/**
 * moat_mapping_move() - Send to another mapping of the peer; locked.
 * @sa: outbound SA with UDP encapsulation
 * @to: there
 *
 * The endpoints of its policy follow.
 *
 * Return: 0 or -ENOMEM; then nothing has changed.
 */
int moat_mapping_move(struct moat_sa *sa, const struct moat_mapping *to);

/** moat_mapping_work() - What moat_mapping_heard() left: moat_net.moved_work. */
void moat_mapping_work(struct work_struct *work);

#endif /* _MOAT_MAPPING_H */
