/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Table 500: what the files that keep it share. */
#ifndef MOAT_PRIV_KERNEL_ROUTE_H
#define MOAT_PRIV_KERNEL_ROUTE_H

#include <netlink/netlink.h>
#include <netlink/route/route.h>

#include "priv/kernel_internal.h"
#include "priv/route_watch.h"

#define MOAT_ROUTE_TABLE 500

/**
 * struct moat_way - where a route leads
 * @ifindex: of the device
 * @gateway: or none
 * @source: address that the gateway's own packets take, or none
 */
struct moat_way {
	int ifindex;
	struct moat_addr gateway;
	struct moat_addr source;
};

/**
 * struct moat_route - one route of ours
 * @to: its destination
 * @users: policies and wider routes that want it
 * @claims: those of them that want it to lead to a peer, the newest last; with none
 *	it throws
 * @peer: where it leads
 * @device: likewise, of a route-based tunnel
 * @tunnel: who wanted it last, for the log
 * @up: it has been installed
 * @stands: it was there at the last look
 * @seen: and led there
 * @holes: throw routes that it needs, for connected nets inside it
 * @n_holes: how many
 */
struct moat_route {
	struct moat_range to;
	unsigned int users;
	TAILQ_HEAD(moat_claims, moat_known_policy) claims;
	struct moat_addr peer;
	char device[MOAT_DEVICE_SIZE];
	char tunnel[MOAT_TUNNEL_NAME_MAX + 1];
	bool up;
	bool stands;
	struct moat_way seen;
	struct moat_range *holes;
	unsigned int n_holes;
};

/**
 * struct moat_routes - all of them
 * @nl: rtnetlink socket
 * @refusal: what the kernel said last on it, an errno
 * @watch: socket that tells of changes
 * @due: ms of the clock when there is to be a look, or 0
 * @rested: not before then
 * @tree: struct moat_route by destination
 * @nets: connected ones, as of the last look; valid while @known
 * @n_nets: how many
 * @addrs: likewise addresses of this machine that others can answer to
 * @n_addrs: how many
 */
struct moat_routes {
	struct nl_sock *nl;
	int refusal;
	int watch;
	uint64_t due;
	uint64_t rested;
	void *tree;
	struct moat_range *nets;
	unsigned int n_nets;
	struct moat_addr *addrs;
	unsigned int n_addrs;
	bool known;
};

/** moat_way_refusals() - keep what the kernel says in @routes->refusal */
void moat_way_refusals(struct moat_routes *routes);

/** moat_way_words() - why @err, in words */
const char *moat_way_words(const struct moat_routes *routes, int err);

/** moat_way_addr() - an address of libnl as ours; false when there is none */
bool moat_way_addr(struct nl_addr *from, struct moat_addr *addr);

/** moat_way_net() - likewise a network */
bool moat_way_net(struct nl_addr *from, struct moat_range *range);

/** moat_way_addresses() - which addresses this machine has; false if nobody says */
bool moat_way_addresses(struct moat_routes *routes);

/** moat_way_route() - a route of our table without a next hop; the caller's */
struct rtnl_route *moat_way_route(const struct moat_range *to, int type);

/** moat_way_hole() - install a throw route; a failure is logged */
void moat_way_hole(struct moat_routes *routes, const struct moat_range *to,
		   const char *tunnel);

/**
 * moat_way_bring() - see to it that a route that protects stands and leads right
 * @route: @stands and @seen tell what there is
 * @fresh: it is new: that it stands is no news
 */
void moat_way_bring(struct moat_routes *routes, struct moat_route *route, bool fresh);

#endif
