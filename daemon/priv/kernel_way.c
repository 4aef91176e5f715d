// SPDX-License-Identifier: GPL-2.0-or-later
/* One route of table 500: where it leads, and how it gets there. */
#include <linux/rtnetlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/nexthop.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "priv/kernel_route.h"
#include "priv/log.h"

static int family_of(const struct moat_addr *addr)
{
	return addr->len == 4 ? AF_INET : AF_INET6;
}

static struct nl_addr *make_addr(const struct moat_addr *addr)
{
	struct nl_addr *made = nl_addr_build(family_of(addr), addr->bytes, addr->len);

	if (!made)
		abort();
	return made;
}

static struct nl_addr *make_net(const struct moat_range *range)
{
	struct nl_addr *made = make_addr(&range->first);

	nl_addr_set_prefixlen(made, moat_range_prefix(range));
	return made;
}

bool moat_way_addr(struct nl_addr *from, struct moat_addr *addr)
{
	memset(addr, 0, sizeof(*addr));
	if (!from || (nl_addr_get_len(from) != 4 && nl_addr_get_len(from) != 16))
		return false;
	addr->len = nl_addr_get_len(from);
	memcpy(addr->bytes, nl_addr_get_binary_addr(from), addr->len);
	return true;
}

bool moat_way_net(struct nl_addr *from, struct moat_range *range)
{
	char text[MOAT_ADDR_STRLEN + 8], addr[MOAT_ADDR_STRLEN];
	struct moat_addr first;

	/* A default route has a family alone. */
	if (from && !nl_addr_get_len(from))
		return !moat_range_parse(nl_addr_get_family(from) == AF_INET ? "0.0.0.0/0"
									     : "::/0",
					 range);
	if (!moat_way_addr(from, &first))
		return false;
	snprintf(text, sizeof(text), "%s/%u", moat_addr_str(&first, addr),
		 nl_addr_get_prefixlen(from));
	return !moat_range_parse(text, range);
}

/* libnl knows few errors by name: the kernel's word is better. */
const char *moat_way_words(const struct moat_routes *routes, int err)
{
	return routes->refusal ? strerror(routes->refusal) : nl_geterror(err);
}

static int on_error(struct sockaddr_nl *from, struct nlmsgerr *e, void *arg)
{
	struct moat_routes *routes = arg;

	(void)from;
	routes->refusal = -e->error;
	return -nl_syserr2nlerr(e->error);
}

struct rtnl_route *moat_way_route(const struct moat_range *to, int type)
{
	struct rtnl_route *route = rtnl_route_alloc();
	struct nl_addr *dst = make_net(to);

	if (!route)
		abort();
	rtnl_route_set_family(route, family_of(&to->first));
	rtnl_route_set_table(route, MOAT_ROUTE_TABLE);
	rtnl_route_set_protocol(route, MOAT_ROUTE_PROTOCOL);
	rtnl_route_set_type(route, type);
	rtnl_route_set_scope(route, RT_SCOPE_UNIVERSE);
	rtnl_route_set_dst(route, dst);
	nl_addr_put(dst);
	return route;
}

/* The loopback's and those of one link are no source for a packet to elsewhere. */
static bool stays_here(const struct moat_addr *addr)
{
	static const uint8_t loopback[16] = { [15] = 1 };
	const uint8_t *b = addr->bytes;

	if (addr->len == 4)
		return b[0] == 127 || (b[0] == 169 && b[1] == 254);
	return (b[0] == 0xfe && (b[1] & 0xc0) == 0x80) ||
	       !memcmp(b, loopback, sizeof(loopback));
}

static bool serves_as_source(struct rtnl_addr *from, struct moat_addr *addr)
{
	return moat_way_addr(rtnl_addr_get_local(from), addr) && !stays_here(addr) &&
	       !(rtnl_addr_get_flags(from) & (IFA_F_TENTATIVE | IFA_F_DADFAILED));
}

bool moat_way_addresses(struct moat_routes *routes)
{
	struct nl_cache *cache;

	if (rtnl_addr_alloc_cache(routes->nl, &cache))
		return false;
	free(routes->addrs);
	routes->n_addrs = 0;
	routes->addrs =
		calloc((size_t)nl_cache_nitems(cache) + 1, sizeof(*routes->addrs));
	if (!routes->addrs)
		abort();
	for (struct nl_object *o = nl_cache_get_first(cache); o;
	     o = nl_cache_get_next(o)) {
		struct rtnl_addr *addr = (struct rtnl_addr *)o;

		if (serves_as_source(addr, &routes->addrs[routes->n_addrs]))
			routes->n_addrs++;
	}
	nl_cache_free(cache);
	return true;
}

/* Is a source for @net settled? Where all addresses are in it the kernel's choice is. */
static bool source_inside(const struct moat_routes *routes, const struct moat_range *net,
			  struct moat_addr *source)
{
	if (!moat_range_prefix(net))
		return true;
	for (unsigned int i = 0; i < routes->n_addrs; i++) {
		const struct moat_range one = { routes->addrs[i], routes->addrs[i] };

		if (moat_range_within(&one, net)) {
			*source = routes->addrs[i];
			return true;
		}
	}
	return false;
}

static bool leads_there(const struct moat_route *route,
			const struct moat_known_policy *claim)
{
	return moat_addr_equal(&route->peer, &claim->params.remote) &&
	       !strcmp(route->device, claim->params.device);
}

/* Does its policy cover all that the gateway sends from there? */
static bool covers_all(const struct moat_known_policy *claim)
{
	return !claim->params.selector.protocol && !claim->params.mark;
}

/*
 * The gateway's own packets need a source that a policy covers, or they leave in
 * clear: an address in the first local net that has one, of those first whose policy
 * takes all kinds of packets, and who want the route to lead where it does.
 */
static void find_source(const struct moat_routes *routes, const struct moat_route *route,
			struct moat_addr *source)
{
	const struct moat_known_policy *claim;

	for (int wish = 3; wish >= 0; wish--) {
		TAILQ_FOREACH(claim, &route->claims, claim) {
			if (2 * covers_all(claim) + leads_there(route, claim) == wish &&
			    source_inside(routes, &claim->params.selector.local, source))
				return;
		}
	}
}

/* The way to the peer, with the gateway that the family of the route allows. */
static bool way_to(struct moat_routes *routes, const struct moat_route *route,
		   struct moat_way *way)
{
	struct nl_addr *dst = make_addr(&route->peer);
	struct rtnl_route *found = NULL;
	struct rtnl_nexthop *hop;
	bool ok = false;

	if (rtnl_route_lookup(routes->nl, dst, &found) >= 0) {
		hop = rtnl_route_nexthop_n(found, 0);
		ok = hop && rtnl_route_get_type(found) == RTN_UNICAST;
		if (ok)
			way->ifindex = rtnl_route_nh_get_ifindex(hop);
		if (ok && route->peer.len == route->to.first.len &&
		    !moat_way_addr(rtnl_route_nh_get_gateway(hop), &way->gateway))
			way->gateway = route->peer;
		rtnl_route_put(found);
	}
	nl_addr_put(dst);
	return ok;
}

/* Into a device that stands for its peer. */
static bool way_into(struct moat_routes *routes, const char *device, struct moat_way *way)
{
	struct rtnl_link *link;

	if (rtnl_link_get_kernel(routes->nl, 0, device, &link) < 0)
		return false;
	way->ifindex = rtnl_link_get_ifindex(link);
	rtnl_link_put(link);
	return true;
}

/* @why takes the reason when there is none. */
static bool find_way(struct moat_routes *routes, const struct moat_route *route,
		     struct moat_way *way, char *why, size_t size)
{
	char peer[MOAT_ADDR_STRLEN];

	memset(way, 0, sizeof(*way));
	find_source(routes, route, &way->source);
	if (route->device[0]) {
		snprintf(why, size, "there is no device %s", route->device);
		return way_into(routes, route->device, way);
	}
	snprintf(why, size, "there is no route to its peer %s",
		 moat_addr_str(&route->peer, peer));
	return way_to(routes, route, way);
}

static int install(struct moat_routes *routes, const struct moat_route *route,
		   const struct moat_way *way)
{
	struct rtnl_route *made = moat_way_route(&route->to, RTN_UNICAST);
	struct rtnl_nexthop *hop = rtnl_route_nh_alloc();
	struct nl_addr *addr;
	int err;

	if (!hop)
		abort();
	rtnl_route_nh_set_ifindex(hop, way->ifindex);
	if (way->gateway.len) {
		addr = make_addr(&way->gateway);
		rtnl_route_nh_set_gateway(hop, addr);
		nl_addr_put(addr);
	}
	rtnl_route_add_nexthop(made, hop);
	if (way->source.len) {
		addr = make_addr(&way->source);
		rtnl_route_set_pref_src(made, addr);
		nl_addr_put(addr);
	}
	routes->refusal = 0;
	err = rtnl_route_add(routes->nl, made, NLM_F_CREATE | NLM_F_REPLACE);
	rtnl_route_put(made);
	return err;
}

static bool same_way(const struct moat_way *a, const struct moat_way *b)
{
	return a->ifindex == b->ifindex && moat_addr_equal(&a->gateway, &b->gateway) &&
	       moat_addr_equal(&a->source, &b->source);
}

/* Each change of its state is one line of the log, and what goes on is none. */
void moat_way_bring(struct moat_routes *routes, struct moat_route *route, bool fresh)
{
	char text[2 * MOAT_ADDR_STRLEN], why[160];
	bool was = route->up, found;
	struct moat_way way;
	int err;

	found = find_way(routes, route, &way, why, sizeof(why));
	if (route->stands && (!found || same_way(&way, &route->seen))) {
		route->up = true;
		return;
	}
	err = found ? install(routes, route, &way) : 0;
	if (found && !err)
		route->seen = way;
	if (err)
		snprintf(why, sizeof(why), "the kernel refuses it: %s",
			 moat_way_words(routes, err));
	route->up = found && !err;
	moat_range_str(&route->to, text);
	if (route->up && !fresh)
		moat_log(MOAT_LOG_INFO, "route-restored", route->tunnel,
			 "route to %s stands again%s", text,
			 route->stands ? ": the way to its peer is another now" : "");
	else if (!route->up && (was || fresh))
		moat_log(MOAT_LOG_WARN, was ? "route-lost" : "route-failed",
			 route->tunnel,
			 "route to %s%s: %s; it is installed when that changes", text,
			 was ? " was taken away" : "", why);
	route->stands = route->stands || route->up;
}

void moat_way_hole(struct moat_routes *routes, const struct moat_range *to,
		   const char *tunnel)
{
	struct rtnl_route *hole = moat_way_route(to, RTN_THROW);
	char text[2 * MOAT_ADDR_STRLEN];
	int err;

	routes->refusal = 0;
	err = rtnl_route_add(routes->nl, hole, NLM_F_CREATE | NLM_F_REPLACE);
	if (err)
		moat_log(MOAT_LOG_WARN, "route-failed", tunnel,
			 "throw route to %s: the kernel refuses it: %s",
			 moat_range_str(to, text), moat_way_words(routes, err));
	rtnl_route_put(hole);
}

void moat_way_refusals(struct moat_routes *routes)
{
	nl_socket_modify_err_cb(routes->nl, NL_CB_CUSTOM, on_error, routes);
}
