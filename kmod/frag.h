/* SPDX-License-Identifier: GPL-2.0 */
/* Fragments, where a policy looks at what only the first of them holds. */
#ifndef _MOAT_FRAG_H
#define _MOAT_FRAG_H

#include <linux/skbuff.h>

struct moat_flow;
struct moat_net;
struct moat_sa;

/** enum moat_frag_where - Fragments of different places never mix. */
enum moat_frag_where {
	MOAT_FRAG_IN,	/* arrived in clear */
	MOAT_FRAG_OUT,	/* at POST_ROUTING: local ones, or out of an SA */
};

/**
 * moat_frag_gather() - Put a packet together that policies need whole.
 * @mn: namespace
 * @skb: packet; when it was the last missing fragment, the whole afterwards
 * @family: AF_INET or AF_INET6
 * @where: which fragments belong together
 *
 * Does nothing as long as no policy of @family selects by ports or types
 * (RFC 4301 7). A packet that is put together is fragmented again where it
 * leaves, for no larger an MTU than it came with.
 *
 * Context: rcu_read_lock(); any BH state.
 * Return: 0: the packet is whole, or need not be; -EINPROGRESS: it was taken
 * and waits for the others; -EINVAL: it can never become whole, drop it.
 */
int moat_frag_gather(struct moat_net *mn, struct sk_buff *skb, u8 family,
		     enum moat_frag_where where);

/**
 * moat_frag_gather_ends() - Put a packet together that came in clear from a peer.
 * @mn: namespace
 * @skb: packet, as for moat_frag_gather()
 * @flow: what its headers say, inbound
 *
 * Does nothing unless it is a fragment and goes from one end of a policy's
 * tunnel to the other. Between them IKE passes, and later fragments have no ports:
 * what passed as a part of IKE could complete a packet that an SA protects.
 *
 * Context: rcu_read_lock(); any BH state.
 * Return: 0: nothing was done; 1: the packet is another one now, so @flow is old;
 * or an error as moat_frag_gather().
 */
int moat_frag_gather_ends(struct moat_net *mn, struct sk_buff *skb,
			  const struct moat_flow *flow);

/**
 * moat_frag_gather_sa() - Put a packet together that came out of an SA.
 * @sa: SA, whose fragments are completed by none of another one
 * @skb: inner packet at skb->data, as for moat_frag_gather()
 * @family: of the inner packet, AF_INET or AF_INET6
 *
 * The whole may be fragmented again where it leaves: it has skb->ignore_df.
 *
 * Context: rcu_read_lock(), BH off.
 * Return: as moat_frag_gather().
 */
int moat_frag_gather_sa(const struct moat_sa *sa, struct sk_buff *skb,
			u8 family);

#endif /* _MOAT_FRAG_H */
