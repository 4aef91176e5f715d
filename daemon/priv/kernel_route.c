// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Routes to remote nets, in a table of their own before main. Without one a
 * packet may have no route and never meet its policy, and the gateway's own
 * packets take the wrong source address.
 */
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>
#include <netlink/route/rule.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "priv/kernel_internal.h"
#include "priv/log.h"

/* tsearch() keeps what it is given, which the analyzer does not know. */
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"

#define TABLE	  500
#define RULE_PRIO 500
#define PROTOCOL  77 /* free in iproute2's rt_protos */

/**
 * struct route - one route of ours
 * @to: its destination
 * @users: policies and wider routes that want it
 * @protects: how many of them want it to lead to a peer; with none it throws
 * @peer: where it leads
 * @device: likewise, of a route-based tunnel
 * @holes: throw routes that it needs, for connected nets inside it
 * @n_holes: how many
 */
struct route {
	struct moat_range to;
	unsigned int users;
	unsigned int protects;
	struct moat_addr peer;
	char device[MOAT_DEVICE_SIZE];
	struct moat_range *holes;
	unsigned int n_holes;
};

/**
 * struct moat_routes - all of them
 * @nl: rtnetlink socket
 * @tree: struct route by destination
 */
struct moat_routes {
	struct nl_sock *nl;
	void *tree;
};

static int by_range(const void *a, const void *b)
{
	return memcmp(&((const struct route *)a)->to, &((const struct route *)b)->to,
		      sizeof(struct moat_range));
}

static struct route *find(const struct moat_routes *routes, const struct moat_range *to)
{
	const struct route key = { .to = *to };
	struct route **found = tfind(&key, &routes->tree, by_range);

	return found ? *found : NULL;
}

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

static bool get_addr(struct nl_addr *from, struct moat_addr *addr)
{
	memset(addr, 0, sizeof(*addr));
	if (!from || (nl_addr_get_len(from) != 4 && nl_addr_get_len(from) != 16))
		return false;
	addr->len = nl_addr_get_len(from);
	memcpy(addr->bytes, nl_addr_get_binary_addr(from), addr->len);
	return true;
}

static bool get_net(struct nl_addr *from, struct moat_range *range)
{
	char text[MOAT_ADDR_STRLEN + 8], addr[MOAT_ADDR_STRLEN];
	struct moat_addr first;

	if (!get_addr(from, &first))
		return false;
	snprintf(text, sizeof(text), "%s/%u", moat_addr_str(&first, addr),
		 nl_addr_get_prefixlen(from));
	return !moat_range_parse(text, range);
}

static void complain(const char *what, const struct moat_range *to, const char *tunnel,
		     int err)
{
	char text[2 * MOAT_ADDR_STRLEN];

	moat_log(MOAT_LOG_WARN, "route-failed", tunnel, "%s %s: %s", what,
		 moat_range_str(to, text), nl_geterror(err));
}

static struct rtnl_route *make_route(const struct moat_range *to, int type)
{
	struct rtnl_route *route = rtnl_route_alloc();
	struct nl_addr *dst = make_net(to);

	if (!route)
		abort();
	rtnl_route_set_family(route, family_of(&to->first));
	rtnl_route_set_table(route, TABLE);
	rtnl_route_set_protocol(route, PROTOCOL);
	rtnl_route_set_type(route, type);
	rtnl_route_set_scope(route, RT_SCOPE_UNIVERSE);
	rtnl_route_set_dst(route, dst);
	nl_addr_put(dst);
	return route;
}

/* An address of this machine inside @net, or none. */
static bool address_inside(struct moat_routes *routes, const struct moat_range *net,
			   struct moat_addr *found)
{
	struct nl_cache *cache;
	bool ok = false;

	if (rtnl_addr_alloc_cache(routes->nl, &cache))
		return false;
	for (struct nl_object *o = nl_cache_get_first(cache); o && !ok;
	     o = nl_cache_get_next(o)) {
		struct moat_range one;

		ok = get_addr(rtnl_addr_get_local((struct rtnl_addr *)o), found);
		one = (struct moat_range){ *found, *found };
		ok = ok && moat_range_within(&one, net);
	}
	nl_cache_free(cache);
	return ok;
}

/* The way to the peer, with the gateway that its family allows. */
static struct rtnl_nexthop *way_to(struct moat_routes *routes,
				   const struct moat_addr *peer, int family, int *err)
{
	struct nl_addr *dst = make_addr(peer), *gateway;
	struct rtnl_route *found = NULL;
	struct rtnl_nexthop *hop, *made = NULL;

	*err = rtnl_route_lookup(routes->nl, dst, &found);
	if (*err < 0) {
		nl_addr_put(dst);
		return NULL;
	}
	hop = rtnl_route_nexthop_n(found, 0);
	if (!hop || rtnl_route_get_type(found) != RTN_UNICAST) {
		*err = -NLE_OBJ_NOTFOUND;
	} else {
		made = rtnl_route_nh_alloc();
		if (!made)
			abort();
		rtnl_route_nh_set_ifindex(made, rtnl_route_nh_get_ifindex(hop));
		gateway = rtnl_route_nh_get_gateway(hop);
		if (family == family_of(peer))
			rtnl_route_nh_set_gateway(made, gateway ? gateway : dst);
	}
	rtnl_route_put(found);
	nl_addr_put(dst);
	return made;
}

/* Into a device that stands for its peer. */
static struct rtnl_nexthop *way_into(struct moat_routes *routes, const char *device,
				     int *err)
{
	struct rtnl_nexthop *made;
	struct rtnl_link *link;

	*err = rtnl_link_get_kernel(routes->nl, 0, device, &link);
	if (*err < 0)
		return NULL;
	made = rtnl_route_nh_alloc();
	if (!made)
		abort();
	rtnl_route_nh_set_ifindex(made, rtnl_link_get_ifindex(link));
	rtnl_link_put(link);
	return made;
}

static int install(struct moat_routes *routes, const struct moat_policy_params *policy)
{
	const struct moat_range *to = &policy->selector.remote;
	struct rtnl_route *route = make_route(to, RTN_UNICAST);
	struct rtnl_nexthop *hop;
	struct moat_addr source;
	int err;

	if (policy->device[0])
		hop = way_into(routes, policy->device, &err);
	else
		hop = way_to(routes, &policy->remote, family_of(&to->first), &err);
	if (hop) {
		rtnl_route_add_nexthop(route, hop);
		if (address_inside(routes, &policy->selector.local, &source)) {
			struct nl_addr *pref = make_addr(&source);

			rtnl_route_set_pref_src(route, pref);
			nl_addr_put(pref);
		}
		err = rtnl_route_add(routes->nl, route, NLM_F_CREATE | NLM_F_REPLACE);
	}
	rtnl_route_put(route);
	return err;
}

static void want_hole(struct moat_routes *routes, const struct moat_range *to,
		      const char *tunnel);
static void release(struct moat_routes *routes, const struct moat_range *to);

static void add_hole(struct moat_routes *routes, struct route *route,
		     const struct moat_range *hole, const char *tunnel)
{
	route->holes = reallocarray(route->holes, route->n_holes + 1, sizeof(*hole));
	if (!route->holes)
		abort();
	route->holes[route->n_holes++] = *hole;
	want_hole(routes, hole, tunnel);
}

/* Connected nets inside a remote net stay reachable, and so does the peer. */
static void add_holes(struct moat_routes *routes, struct route *route,
		      const struct moat_known_policy *policy)
{
	struct moat_range peer = { policy->params.remote, policy->params.remote };
	struct nl_cache *cache;
	struct moat_range net;

	if (moat_range_within(&peer, &route->to) && !moat_range_equal(&peer, &route->to))
		add_hole(routes, route, &peer, policy->tunnel);
	if (rtnl_route_alloc_cache(routes->nl, family_of(&route->to.first), 0, &cache))
		return;
	for (struct nl_object *o = nl_cache_get_first(cache); o;
	     o = nl_cache_get_next(o)) {
		struct rtnl_route *other = (struct rtnl_route *)o;
		struct rtnl_nexthop *hop = rtnl_route_nexthop_n(other, 0);

		if (rtnl_route_get_table(other) == RT_TABLE_MAIN && hop &&
		    rtnl_route_get_type(other) == RTN_UNICAST &&
		    !rtnl_route_nh_get_gateway(hop) &&
		    get_net(rtnl_route_get_dst(other), &net) &&
		    moat_range_within(&net, &route->to) &&
		    !moat_range_equal(&net, &route->to))
			add_hole(routes, route, &net, policy->tunnel);
	}
	nl_cache_free(cache);
}

static struct route *make(struct moat_routes *routes, const struct moat_range *to)
{
	struct route *route = calloc(1, sizeof(*route));

	if (!route)
		abort();
	route->to = *to;
	route->users = 1;
	if (!tsearch(route, &routes->tree, by_range))
		abort();
	return route;
}

static void install_hole(struct moat_routes *routes, const struct moat_range *to,
			 const char *tunnel)
{
	struct rtnl_route *hole = make_route(to, RTN_THROW);
	int err = rtnl_route_add(routes->nl, hole, NLM_F_CREATE | NLM_F_REPLACE);

	if (err)
		complain("throw route to", to, tunnel, err);
	rtnl_route_put(hole);
}

static void want_hole(struct moat_routes *routes, const struct moat_range *to,
		      const char *tunnel)
{
	struct route *found = find(routes, to);

	if (found) {
		found->users++;
		return;
	}
	make(routes, to);
	install_hole(routes, to, tunnel);
}

/* Without a next hop it names a route of any kind to @to in our table. */
static void uninstall(struct moat_routes *routes, const struct moat_range *to)
{
	struct rtnl_route *route = make_route(to, RTN_UNSPEC);

	rtnl_route_set_scope(route, RT_SCOPE_NOWHERE);
	rtnl_route_delete(routes->nl, route, 0);
	rtnl_route_put(route);
}

static void release(struct moat_routes *routes, const struct moat_range *to)
{
	struct route *route = find(routes, to);

	if (!route || --route->users)
		return;
	uninstall(routes, to);
	tdelete(route, &routes->tree, by_range);
	for (unsigned int i = 0; i < route->n_holes; i++)
		release(routes, &route->holes[i]);
	free(route->holes);
	free(route);
}

void moat_routes_add(struct moat_routes *routes, struct moat_known_policy *policy)
{
	const struct moat_range *to = &policy->params.selector.remote;
	struct route *route = find(routes, to);
	int err;

	if (policy->routed || policy->params.action == MOAT_ACTION_DISCARD)
		return;
	policy->routed = true;
	if (policy->params.action == MOAT_ACTION_BYPASS) {
		want_hole(routes, to, policy->tunnel);
		return;
	}
	if (route)
		route->users++;
	else
		route = make(routes, to);
	route->protects++;
	/* A changed tunnel comes before its old form goes: the newest peer counts. */
	if (moat_addr_equal(&route->peer, &policy->params.remote) &&
	    !strcmp(route->device, policy->params.device))
		return;
	route->peer = policy->params.remote;
	memcpy(route->device, policy->params.device, sizeof(route->device));
	add_holes(routes, route, policy);
	err = install(routes, &policy->params);
	if (err)
		complain("route to", to, policy->tunnel, err);
}

void moat_routes_del(struct moat_routes *routes, struct moat_known_policy *policy)
{
	const struct moat_range *to = &policy->params.selector.remote;
	struct route *route = find(routes, to);

	if (!policy->routed)
		return;
	policy->routed = false;
	if (route && policy->params.action != MOAT_ACTION_BYPASS && !--route->protects &&
	    route->users > 1) {
		route->peer = (struct moat_addr){ 0 };
		install_hole(routes, to, policy->tunnel);
	}
	release(routes, to);
}

void moat_routes_sweep(struct moat_routes *routes)
{
	struct nl_cache *cache;
	struct moat_range to;

	if (rtnl_route_alloc_cache(routes->nl, AF_UNSPEC, 0, &cache))
		return;
	for (struct nl_object *o = nl_cache_get_first(cache); o;
	     o = nl_cache_get_next(o)) {
		struct rtnl_route *route = (struct rtnl_route *)o;

		if (rtnl_route_get_table(route) == TABLE &&
		    rtnl_route_get_protocol(route) == PROTOCOL &&
		    get_net(rtnl_route_get_dst(route), &to) && !find(routes, &to))
			rtnl_route_delete(routes->nl, route, 0);
	}
	nl_cache_free(cache);
}

static int add_rule(struct moat_routes *routes, int family)
{
	struct rtnl_rule *rule = rtnl_rule_alloc();
	int err;

	if (!rule)
		abort();
	rtnl_rule_set_family(rule, family);
	rtnl_rule_set_table(rule, TABLE);
	rtnl_rule_set_prio(rule, RULE_PRIO);
	rtnl_rule_set_action(rule, FR_ACT_TO_TBL);
	err = rtnl_rule_add(routes->nl, rule, NLM_F_CREATE | NLM_F_EXCL);
	rtnl_rule_put(rule);
	return err == -NLE_EXIST ? 0 : err;
}

struct moat_routes *moat_routes_open(void)
{
	struct moat_routes *routes = calloc(1, sizeof(*routes));
	int err;

	if (!routes)
		abort();
	routes->nl = nl_socket_alloc();
	if (!routes->nl)
		abort();
	err = nl_connect(routes->nl, NETLINK_ROUTE);
	if (!err)
		err = add_rule(routes, AF_INET);
	if (err) {
		moat_log(MOAT_LOG_ERR, "route-failed", NULL,
			 "rule for table %d before main: %s", TABLE, nl_geterror(err));
		moat_routes_close(routes);
		return NULL;
	}
	/* A kernel without IPv6 has no such rule and needs none. */
	add_rule(routes, AF_INET6);
	return routes;
}

static void free_route(void *node)
{
	struct route *route = node;

	free(route->holes);
	free(route);
}

void moat_routes_close(struct moat_routes *routes)
{
	if (!routes)
		return;
	tdestroy(routes->tree, free_route);
	nl_socket_free(routes->nl);
	free(routes);
}
