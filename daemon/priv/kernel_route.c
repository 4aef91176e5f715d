// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Routes to remote nets, in a table of their own before main. Without one a
 * packet may have no route and never meet its policy, and the gateway's own
 * packets take the wrong source address. The kernel takes them away with a link
 * or an address: they are watched, and brought back.
 */
#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/rule.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "priv/kernel_route.h"
#include "priv/log.h"

/* tsearch() keeps what it is given, which the analyzer does not know. */
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"

#define RULE_PRIO 500
#define SETTLE	  100 /* ms: changes come in groups */
#define REST	  20  /* times what a look took: BGP never ceases */

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ULL + ts.tv_nsec / 1000000;
}

static void look_soon(struct moat_routes *routes)
{
	uint64_t at = now_ms() + SETTLE;

	if (!routes->due)
		routes->due = at > routes->rested ? at : routes->rested;
}

static int by_range(const void *a, const void *b)
{
	return memcmp(&((const struct moat_route *)a)->to,
		      &((const struct moat_route *)b)->to, sizeof(struct moat_range));
}

static struct moat_route *find(const struct moat_routes *routes,
			       const struct moat_range *to)
{
	const struct moat_route key = { .to = *to };
	struct moat_route **found = tfind(&key, &routes->tree, by_range);

	return found ? *found : NULL;
}

static void want_hole(struct moat_routes *routes, const struct moat_range *to,
		      const char *tunnel);
static void release(struct moat_routes *routes, const struct moat_range *to);

static bool is_among(const struct moat_range *one, const struct moat_range *all,
		     unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		if (moat_range_equal(one, &all[i]))
			return true;
	}
	return false;
}

static void push(struct moat_range **list, unsigned int *n, const struct moat_range *one)
{
	*list = reallocarray(*list, *n + 1, sizeof(*one));
	if (!*list)
		abort();
	(*list)[(*n)++] = *one;
}

/*
 * The peer inside a remote net stays reachable, and so do connected nets, as far
 * as routes go. The policy takes what goes from its local net into one of them
 * all the same: that needs a tunnel with action = "bypass" (config_lan.c).
 */
static void make_holes(struct moat_routes *routes, struct moat_route *route)
{
	const struct moat_range peer = { route->peer, route->peer };
	struct moat_range *before = route->holes, *holes = NULL;
	unsigned int n_before = route->n_holes, n = 0;

	if (moat_range_within(&peer, &route->to) && !moat_range_equal(&peer, &route->to))
		push(&holes, &n, &peer);
	for (unsigned int i = 0; i < routes->n_nets; i++) {
		const struct moat_range *net = &routes->nets[i];

		if (moat_range_within(net, &route->to) &&
		    !moat_range_equal(net, &route->to) && !is_among(net, holes, n))
			push(&holes, &n, net);
	}
	route->holes = holes;
	route->n_holes = n;
	for (unsigned int i = 0; i < n; i++) {
		if (!is_among(&holes[i], before, n_before))
			want_hole(routes, &holes[i], route->tunnel);
	}
	for (unsigned int i = 0; i < n_before; i++) {
		if (!is_among(&before[i], holes, n))
			release(routes, &before[i]);
	}
	free(before);
}

static struct moat_route *make(struct moat_routes *routes, const struct moat_range *to)
{
	struct moat_route *route = calloc(1, sizeof(*route));

	if (!route)
		abort();
	route->to = *to;
	route->users = 1;
	TAILQ_INIT(&route->claims);
	if (!tsearch(route, &routes->tree, by_range))
		abort();
	return route;
}

static void want_hole(struct moat_routes *routes, const struct moat_range *to,
		      const char *tunnel)
{
	struct moat_route *found = find(routes, to);

	if (found) {
		found->users++;
		return;
	}
	snprintf(make(routes, to)->tunnel, sizeof(found->tunnel), "%s", tunnel);
	moat_way_hole(routes, to, tunnel);
}

/* Without a next hop it names a route of any kind to @to in our table. */
static void uninstall(struct moat_routes *routes, const struct moat_range *to)
{
	struct rtnl_route *route = moat_way_route(to, RTN_UNSPEC);

	rtnl_route_set_scope(route, RT_SCOPE_NOWHERE);
	rtnl_route_delete(routes->nl, route, 0);
	rtnl_route_put(route);
}

static void release(struct moat_routes *routes, const struct moat_range *to)
{
	struct moat_route *route = find(routes, to);

	if (!route || --route->users)
		return;
	uninstall(routes, to);
	tdelete(route, &routes->tree, by_range);
	for (unsigned int i = 0; i < route->n_holes; i++)
		release(routes, &route->holes[i]);
	free(route->holes);
	free(route);
}

static bool protects(const struct moat_route *route)
{
	return !TAILQ_EMPTY(&route->claims);
}

static bool is_connected(struct rtnl_route *route)
{
	struct rtnl_nexthop *hop = rtnl_route_nexthop_n(route, 0);

	return rtnl_route_get_table(route) == RT_TABLE_MAIN && hop &&
	       rtnl_route_get_type(route) == RTN_UNICAST &&
	       !rtnl_route_nh_get_gateway(hop);
}

/* A route of our table as it stands. */
static void see(struct moat_route *route, struct rtnl_route *other)
{
	struct rtnl_nexthop *hop = rtnl_route_nexthop_n(other, 0);

	memset(&route->seen, 0, sizeof(route->seen));
	moat_way_addr(rtnl_route_get_pref_src(other), &route->seen.source);
	if (hop) {
		route->seen.ifindex = rtnl_route_nh_get_ifindex(hop);
		moat_way_addr(rtnl_route_nh_get_gateway(hop), &route->seen.gateway);
	}
	route->stands =
		rtnl_route_get_type(other) == (protects(route) ? RTN_UNICAST : RTN_THROW);
}

/* What there is: addresses, connected nets, and which of ours stand. */
static void survey(struct moat_routes *routes)
{
	struct nl_cache *cache;
	struct moat_range net;
	struct moat_route *route;

	routes->known = moat_way_addresses(routes) &&
			!rtnl_route_alloc_cache(routes->nl, AF_UNSPEC, 0, &cache);
	if (!routes->known)
		return;
	routes->n_nets = 0;
	for (struct nl_object *o = nl_cache_get_first(cache); o;
	     o = nl_cache_get_next(o)) {
		struct rtnl_route *other = (struct rtnl_route *)o;
		bool ours = rtnl_route_get_table(other) == MOAT_ROUTE_TABLE &&
			    rtnl_route_get_protocol(other) == MOAT_ROUTE_PROTOCOL;

		if ((!ours && !is_connected(other)) ||
		    !moat_way_net(rtnl_route_get_dst(other), &net))
			continue;
		route = ours ? find(routes, &net) : NULL;
		if (route)
			see(route, other);
		else if (!ours)
			push(&routes->nets, &routes->n_nets, &net);
	}
	nl_cache_free(cache);
}

static void take_changes(struct moat_routes *routes)
{
	if (!moat_route_drain(routes->watch))
		return;
	routes->known = false;
	look_soon(routes);
}

/* A changed tunnel comes before its old form goes: the newest peer counts. */
static const struct moat_known_policy *newest(const struct moat_route *route)
{
	return TAILQ_LAST(&route->claims, moat_claims);
}

static bool leads_elsewhere(const struct moat_route *route)
{
	return !moat_addr_equal(&route->peer, &newest(route)->params.remote) ||
	       strcmp(route->device, newest(route)->params.device);
}

/*
 * At once: until it leads right, the gateway's own packets may leave in clear. The
 * whole table, which may be large, is read for another peer alone, whose holes it
 * needs.
 */
static void lead(struct moat_routes *routes, struct moat_route *route)
{
	bool other = leads_elsewhere(route);

	route->peer = newest(route)->params.remote;
	memcpy(route->device, newest(route)->params.device, sizeof(route->device));
	snprintf(route->tunnel, sizeof(route->tunnel), "%s", newest(route)->tunnel);
	take_changes(routes);
	if (!routes->known && other)
		survey(routes);
	else if (!routes->known)
		moat_way_addresses(routes);
	if (other) {
		make_holes(routes, route);
		route->stands = route->up = false;
	}
	moat_way_bring(routes, route, other || route->up);
}

void moat_routes_add(struct moat_routes *routes, struct moat_known_policy *policy)
{
	const struct moat_range *to = &policy->params.selector.remote;
	struct moat_route *route = find(routes, to);

	if (policy->params.action == MOAT_ACTION_DISCARD)
		return;
	if (policy->routed) {
		look_soon(routes);
		if (route && protects(route) && leads_elsewhere(route))
			lead(routes, route);
		return;
	}
	policy->routed = true;
	if (policy->params.action == MOAT_ACTION_BYPASS) {
		want_hole(routes, to, policy->tunnel);
		return;
	}
	if (route)
		route->users++;
	else
		route = make(routes, to);
	TAILQ_INSERT_TAIL(&route->claims, policy, claim);
	lead(routes, route);
}

void moat_routes_del(struct moat_routes *routes, struct moat_known_policy *policy)
{
	const struct moat_range *to = &policy->params.selector.remote;
	struct moat_route *route;

	if (!policy->routed)
		return;
	route = find(routes, to);
	policy->routed = false;
	if (route && policy->params.action != MOAT_ACTION_BYPASS)
		TAILQ_REMOVE(&route->claims, policy, claim);
	if (route && route->users > 1 && protects(route)) {
		lead(routes, route);
	} else if (route && route->users > 1) {
		route->peer = (struct moat_addr){ 0 };
		route->up = false;
		moat_way_hole(routes, to, policy->tunnel);
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

		if (rtnl_route_get_table(route) == MOAT_ROUTE_TABLE &&
		    rtnl_route_get_protocol(route) == MOAT_ROUTE_PROTOCOL &&
		    moat_way_net(rtnl_route_get_dst(route), &to) && !find(routes, &to))
			rtnl_route_delete(routes->nl, route, 0);
	}
	nl_cache_free(cache);
}

/* Return: 1 when it was not there, 0, or libnl's error. */
static int add_rule(struct moat_routes *routes, int family)
{
	struct rtnl_rule *rule = rtnl_rule_alloc();
	int err;

	if (!rule)
		abort();
	rtnl_rule_set_family(rule, family);
	rtnl_rule_set_table(rule, MOAT_ROUTE_TABLE);
	rtnl_rule_set_prio(rule, RULE_PRIO);
	rtnl_rule_set_action(rule, FR_ACT_TO_TBL);
	err = rtnl_rule_add(routes->nl, rule, NLM_F_CREATE | NLM_F_EXCL);
	rtnl_rule_put(rule);
	if (err == -NLE_EXIST)
		return 0;
	return err ? err : 1;
}

/**
 * struct wanted - routes, taken out of the tree that changes meanwhile
 * @list: of them
 * @n: how many
 */
struct wanted {
	struct moat_route **list;
	unsigned int n;
};

static void collect(const void *node, VISIT visit, void *arg)
{
	struct wanted *all = arg;

	if (visit != postorder && visit != leaf)
		return;
	all->list = reallocarray(all->list, all->n + 1, sizeof(*all->list));
	if (!all->list)
		abort();
	all->list[all->n++] = *(struct moat_route *const *)node;
}

static void unsee(const void *node, VISIT visit, void *arg)
{
	(void)arg;
	if (visit == postorder || visit == leaf)
		(*(struct moat_route *const *)node)->stands = false;
}

/* Holes come and go with the nets: only routes that protect are sure to stay. */
static void mend_holes(struct moat_routes *routes)
{
	struct wanted all = { 0 };
	unsigned int n = 0;

	twalk_r(routes->tree, collect, &all);
	for (unsigned int i = 0; i < all.n; i++) {
		if (protects(all.list[i]))
			all.list[n++] = all.list[i];
		else if (!all.list[i]->stands)
			moat_way_hole(routes, &all.list[i]->to, all.list[i]->tunnel);
	}
	for (unsigned int i = 0; i < n; i++)
		make_holes(routes, all.list[i]);
	free(all.list);
}

static void mend_rule(struct moat_routes *routes, int family)
{
	if (add_rule(routes, family) > 0)
		moat_log(MOAT_LOG_INFO, "route-restored", NULL,
			 "the rule for table %d before main stands again",
			 MOAT_ROUTE_TABLE);
}

static void mend(struct moat_routes *routes)
{
	struct wanted all = { 0 };

	mend_rule(routes, AF_INET);
	mend_rule(routes, AF_INET6);
	twalk_r(routes->tree, unsee, NULL);
	survey(routes);
	if (!routes->known)
		return;
	mend_holes(routes);
	twalk_r(routes->tree, collect, &all);
	for (unsigned int i = 0; i < all.n; i++) {
		if (protects(all.list[i]))
			moat_way_bring(routes, all.list[i], false);
	}
	free(all.list);
}

int moat_routes_fd(const struct moat_routes *routes)
{
	return routes->watch;
}

int moat_routes_wait(const struct moat_routes *routes)
{
	uint64_t now = now_ms();

	if (!routes->due)
		return -1;
	return routes->due > now ? (int)(routes->due - now) : 0;
}

void moat_routes_look(struct moat_routes *routes)
{
	uint64_t begin = now_ms(), end;

	take_changes(routes);
	if (!routes->due || routes->due > begin)
		return;
	routes->due = 0;
	mend(routes);
	end = now_ms();
	routes->rested = end + REST * (end - begin);
	/* A dump that was torn by a change: again. */
	if (!routes->known)
		look_soon(routes);
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
	moat_way_refusals(routes);
	err = nl_connect(routes->nl, NETLINK_ROUTE);
	routes->watch = moat_route_watch();
	if (routes->watch < 0)
		moat_log(MOAT_LOG_ERR, "routes-unwatched", NULL,
			 "a route that is lost will not be brought back: %s",
			 strerror(errno));
	if (!err)
		err = add_rule(routes, AF_INET);
	if (err < 0) {
		moat_log(MOAT_LOG_ERR, "route-failed", NULL,
			 "rule for table %d before main: %s", MOAT_ROUTE_TABLE,
			 moat_way_words(routes, err));
		moat_routes_close(routes);
		return NULL;
	}
	/* A kernel without IPv6 has no such rule and needs none. */
	add_rule(routes, AF_INET6);
	return routes;
}

static void free_route(void *node)
{
	struct moat_route *route = node;

	free(route->holes);
	free(route);
}

void moat_routes_close(struct moat_routes *routes)
{
	if (!routes)
		return;
	tdestroy(routes->tree, free_route);
	free(routes->nets);
	free(routes->addrs);
	if (routes->watch >= 0)
		close(routes->watch);
	nl_socket_free(routes->nl);
	free(routes);
}
