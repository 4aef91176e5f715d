/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Peers from anywhere, remote = "any"; for the files of daemon/ike only. */
#ifndef MOAT_IKE_WILD_H
#define MOAT_IKE_WILD_H

#include "ike/ike1.h"

#define MOAT_WILD_PAIRS	  16 /* of one peer */
#define MOAT_WILD_ISAKMPS 8  /* likewise */

/** moat_wild_identity() - a peer's ID as an identity; false when it can be none */
bool moat_wild_identity(struct moat_view body, struct moat_identity *id);
/**
 * moat_wild_take() - the peer is authenticated: from here on it has its own tunnel
 *
 * Return: false when it cannot have one, and its ISAKMP SA has ended.
 */
bool moat_wild_take(struct moat_isakmp *sa);
/**
 * moat_wild_pair() - a pair for what such a peer asks for
 *
 * Return: NULL when it may not have it; @why then says so, if it is not just
 * outside of the template's networks.
 */
struct moat_pair *moat_wild_pair(struct moat_tunnel *tunnel,
				 const struct moat_selector *s,
				 struct moat_mismatch *why);
/** moat_wild_stand() - the pair is agreed on: it gets its policy */
void moat_wild_stand(struct moat_pair *pair);
/** moat_wild_sweep() - what no SA needs any more goes; at the end of a step */
void moat_wild_sweep(struct moat_ike *ike);
/** moat_wild_let_ike() - policies for IKE with peers within what it discards */
void moat_wild_let_ike(struct moat_tunnel *template);
/**
 * moat_wild_claim() - a new configuration: what the peers have is still wanted
 *
 * The kernel process keeps what is configured, and otherwise what was asked for
 * since it or we were started.
 */
void moat_wild_claim(struct moat_ike *ike);
/** moat_wild_has_peers() - is there anything made of a template? */
bool moat_wild_has_peers(const struct moat_tunnel *template);
/** moat_wild_renew() - it has other revocation lists: so has what was made of it */
void moat_wild_renew(struct moat_tunnel *template);
/** moat_wild_end() - end all that was made of a template */
void moat_wild_end(struct moat_tunnel *template, const char *why);

#endif
