// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The kernel process checks every request again: the ike process parses what
 * strangers send, and shall not be able to open more than is configured.
 */
#include <netinet/in.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "priv/kernel_internal.h"

/* tsearch() keeps what it is given, which the analyzer does not know. */
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"

/**
 * struct pair - a pair of the configuration and its tunnel
 * @policies: how many that are known have its selector
 */
struct pair {
	struct moat_selector selector;
	uint32_t priority;
	uint32_t mark;
	const char *device;
	const struct moat_tunnel_conf *tunnel;
	unsigned int policies;
};

static int compare(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static int by_selector(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;
	int d = moat_selector_compare(&x->selector, &y->selector);

	if (!d)
		d = compare(x->priority, y->priority);
	if (!d)
		d = compare(x->mark, y->mark);
	return d ? d : strcmp(x->device, y->device);
}

static struct pair *pair_of(struct moat_kernel *kernel,
			    const struct moat_policy_params *params)
{
	const struct pair key = { .selector = params->selector,
				  .priority = params->priority,
				  .mark = params->mark,
				  .device = params->device };
	struct pair **found = tfind(&key, &kernel->pairs, by_selector);

	return found ? *found : NULL;
}

static void count_policy(const void *node, VISIT which, void *arg)
{
	const struct moat_known_policy *policy =
		*(const struct moat_known_policy *const *)node;
	struct pair *pair = pair_of(arg, &policy->params);

	if (pair && (which == preorder || which == leaf))
		pair->policies++;
}

void moat_kernel_use_config(struct moat_kernel *kernel)
{
	const struct moat_config *config = &kernel->config;

	tdestroy(kernel->pairs, free);
	kernel->pairs = NULL;
	moat_feed_move(&kernel->feed, &kernel->config);
	for (unsigned int i = 0; i < config->n_tunnels; i++) {
		const struct moat_tunnel_conf *tunnel = config->tunnels[i];

		for (unsigned int j = 0; j < tunnel->n_pairs; j++) {
			struct pair *pair = calloc(1, sizeof(*pair)), **found;

			if (!pair)
				abort();
			pair->selector = tunnel->pairs[j].selector;
			/* Of a template: what is discarded while no peer has it. */
			pair->priority =
				tunnel->any ? MOAT_PRIORITY_LAST : tunnel->priority;
			pair->mark = tunnel->mark;
			pair->device = tunnel->device;
			pair->tunnel = tunnel;
			found = tsearch(pair, &kernel->pairs, by_selector);
			if (!found)
				abort();
			if (*found != pair)
				free(pair);
		}
	}
	twalk_r(kernel->policies, count_policy, kernel);
}

static bool is_host(const struct moat_range *range)
{
	return moat_addr_equal(&range->first, &range->last);
}

/* A network of all addresses stands for the peer's own one. */
static bool within(const struct moat_selector *s, const struct moat_selector *max)
{
	if (s->protocol != max->protocol || s->local_port[0] != max->local_port[0] ||
	    s->local_port[1] != max->local_port[1] ||
	    s->remote_port[0] != max->remote_port[0] ||
	    s->remote_port[1] != max->remote_port[1])
		return false;
	return moat_range_within(&s->local, &max->local) &&
	       moat_range_within(&s->remote, &max->remote) &&
	       (moat_range_prefix(&max->remote) || is_host(&s->remote));
}

static bool treats(const struct moat_tunnel_conf *conf,
		   const struct moat_policy_params *params)
{
	return moat_addr_equal(&conf->local, &params->local) &&
	       moat_shape_equal(&conf->shape, &params->shape);
}

/*
 * The template that lets a peer from anywhere have this policy, or NULL. Of several
 * with its networks the one that treats its peers so: which of them a peer belongs
 * to only its certificate says.
 */
static const struct moat_tunnel_conf *template_of(const struct moat_kernel *kernel,
						  const struct moat_policy_params *params)
{
	const struct moat_tunnel_conf *first = NULL;

	for (unsigned int i = 0; i < kernel->config.n_tunnels; i++) {
		const struct moat_tunnel_conf *conf = kernel->config.tunnels[i];
		bool covers = false;

		if (!conf->any || conf->priority != params->priority ||
		    conf->mark != params->mark || params->device[0])
			continue;
		for (unsigned int j = 0; j < conf->n_pairs && !covers; j++)
			covers = within(&params->selector, &conf->pairs[j].selector);
		if (covers && treats(conf, params))
			return conf;
		if (covers && !first)
			first = conf;
	}
	return first;
}

static bool has_remote(const struct moat_tunnel_conf *conf, const struct moat_range *net)
{
	for (unsigned int i = 0; i < conf->n_pairs; i++) {
		if (moat_range_equal(&conf->pairs[i].selector.remote, net))
			return moat_range_prefix(net);
	}
	return false;
}

/* The template whose IKE this bypass lets through what is discarded, or NULL. */
static const struct moat_tunnel_conf *ike_of(const struct moat_kernel *kernel,
					     const struct moat_policy_params *params)
{
	static const struct moat_shape none;
	const struct moat_selector *s = &params->selector;

	if (params->action != MOAT_ACTION_BYPASS ||
	    params->priority != MOAT_PRIORITY_LAST || params->device[0] ||
	    s->protocol != IPPROTO_UDP || s->local_port[0] != s->local_port[1] ||
	    (s->local_port[0] != MOAT_IKE_PORT && s->local_port[0] != MOAT_NAT_T_PORT) ||
	    !is_host(&s->local) || !moat_shape_equal(&params->shape, &none))
		return NULL;
	for (unsigned int i = 0; i < kernel->config.n_tunnels; i++) {
		const struct moat_tunnel_conf *conf = kernel->config.tunnels[i];

		if (conf->any && conf->mark == params->mark &&
		    moat_addr_equal(&conf->local, &s->local.first) &&
		    has_remote(conf, &s->remote))
			return conf;
	}
	return NULL;
}

static const struct moat_tunnel_conf *conf_of(struct moat_kernel *kernel,
					      const struct moat_policy_params *params)
{
	const struct pair *pair = pair_of(kernel, params);

	return pair ? pair->tunnel : template_of(kernel, params);
}

bool moat_kernel_bares(struct moat_kernel *kernel, const struct moat_known_policy *policy)
{
	const struct pair *pair = pair_of(kernel, &policy->params);

	return pair && pair->policies == 1;
}

static void disclaim(const void *node, VISIT which, void *arg)
{
	struct moat_known_policy *policy = *(struct moat_known_policy *const *)node;

	(void)which;
	(void)arg;
	policy->claimed = false;
}

void moat_kernel_disclaim(struct moat_kernel *kernel)
{
	twalk_r(kernel->policies, disclaim, NULL);
}

static bool is_remote(const struct moat_tunnel_conf *tunnel, const struct moat_addr *addr)
{
	for (unsigned int i = 0; i < tunnel->n_remote; i++) {
		if (moat_addr_equal(&tunnel->remote[i], addr))
			return true;
	}
	return false;
}

/**
 * struct sought - a search among the policies
 * @name: of their tunnel
 * @addr: the endpoint one of them may have
 */
struct sought {
	const char *name;
	const struct moat_addr *addr;
	bool found;
};

static void seek(const void *node, VISIT visit, void *arg)
{
	const struct moat_known_policy *policy =
		*(const struct moat_known_policy *const *)node;
	struct sought *sought = arg;

	if ((visit == postorder || visit == leaf) &&
	    !strcmp(policy->tunnel, sought->name) &&
	    moat_addr_equal(&policy->params.remote, sought->addr))
		sought->found = true;
}

/* Configured, or where the kernel has heard its packets from. */
static bool may_be_remote(struct moat_kernel *kernel, const struct moat_tunnel_conf *conf,
			  const struct moat_addr *addr)
{
	struct sought sought = { .name = conf->name, .addr = addr };

	if (is_remote(conf, addr))
		return true;
	if (conf->any)
		return addr->len == conf->local.len && !moat_addr_unusable(addr);
	twalk_r(kernel->policies, seek, &sought);
	return sought.found;
}

const char *moat_kernel_check_peer(struct moat_kernel *kernel,
				   const struct moat_known_policy *policy,
				   const struct moat_addr *addr)
{
	const struct moat_tunnel_conf *conf = conf_of(kernel, &policy->params);

	if (!conf || !may_be_remote(kernel, conf, addr))
		return "no packet of its tunnel's peer came from there";
	return NULL;
}

/* Ours: as configured, or as before a change that its SAs have not followed yet. */
static bool may_be_local(struct moat_kernel *kernel, const struct moat_tunnel_conf *conf,
			 uint32_t id, const struct moat_addr *addr)
{
	const struct moat_known_policy *policy = moat_kernel_policy(kernel, id);

	return addr->len && (moat_addr_equal(&conf->local, addr) ||
			     (policy && !strcmp(policy->tunnel, conf->name) &&
			      moat_addr_equal(&policy->params.local, addr)));
}

const char *moat_kernel_check_policy(struct moat_kernel *kernel,
				     const struct moat_policy_params *params,
				     char tunnel[MOAT_TUNNEL_NAME_MAX + 1])
{
	static const struct moat_shape none;
	const struct moat_tunnel_conf *conf;

	strcpy(tunnel, "-");
	if (!memchr(params->device, '\0', sizeof(params->device)))
		return "the name of its device has no end";
	conf = conf_of(kernel, params);
	if (params->id < MOAT_POLICY_BASE || params->id >= MOAT_POLICY_END)
		return "its id is none of the daemon's";
	if (!conf && ike_of(kernel, params)) {
		strcpy(tunnel, ike_of(kernel, params)->name);
		return NULL;
	}
	if (!conf)
		return "no tunnel is configured for its traffic";
	strcpy(tunnel, conf->name);
	if (params->action != conf->action && !(conf->action == MOAT_ACTION_PROTECT &&
						params->action == MOAT_ACTION_DISCARD))
		return "its tunnel has another action";
	/* What a template is while nobody is there, and what a peer of it gets. */
	if (conf->any && (params->action == MOAT_ACTION_DISCARD) !=
				 (params->priority == MOAT_PRIORITY_LAST))
		return "its tunnel is a template, which protects nothing itself";
	if (params->action == MOAT_ACTION_PROTECT &&
	    (!may_be_local(kernel, conf, params->id, &params->local) ||
	     !may_be_remote(kernel, conf, &params->remote) || params->mode != conf->mode))
		return "its endpoints or its mode are not those of its tunnel";
	if (!moat_shape_equal(&params->shape, params->action == MOAT_ACTION_PROTECT
						      ? &conf->shape
						      : &none))
		return "its packets are not to be treated as its tunnel says";
	return NULL;
}

/* An inbound SA between new ends comes before the policy goes there. */
static bool may_end(struct moat_kernel *kernel, const struct moat_policy_params *params,
		    const struct moat_addr *local, const struct moat_addr *remote)
{
	const struct moat_tunnel_conf *conf = conf_of(kernel, params);

	if (moat_addr_equal(local, &params->local) &&
	    moat_addr_equal(remote, &params->remote))
		return true;
	return conf && may_be_local(kernel, conf, params->id, local) &&
	       may_be_remote(kernel, conf, remote);
}

const char *moat_kernel_check_sa(struct moat_kernel *kernel,
				 const struct moat_known_policy *policy,
				 const struct moat_sa_params *sa)
{
	const struct moat_policy_params *params = &policy->params;
	bool in = sa->direction == MOAT_DIRECTION_IN;

	if (sa->direction != MOAT_DIRECTION_IN && sa->direction != MOAT_DIRECTION_OUT)
		return "it has no direction";
	if (!may_end(kernel, params, in ? &sa->dst : &sa->src, in ? &sa->src : &sa->dst))
		return "its addresses are not the endpoints of its policy";
	if (sa->mode != params->mode)
		return "its mode is not that of its policy";
	if (!moat_range_within(&sa->selector.local, &params->selector.local) ||
	    !moat_range_within(&sa->selector.remote, &params->selector.remote))
		return "its networks are not within those of its policy";
	if (sa->enc_key_len > MOAT_KEY_MAX || sa->auth_key_len > MOAT_KEY_MAX ||
	    sa->owner_len > MOAT_OWNER_MAX)
		return "a length is wrong";
	return NULL;
}

static int by_id(const void *a, const void *b)
{
	const struct moat_known_policy *x = a, *y = b;

	return compare(x->params.id, y->params.id);
}

struct moat_known_policy *moat_kernel_policy(struct moat_kernel *kernel, uint32_t id)
{
	const struct moat_known_policy key = { .params.id = id };
	struct moat_known_policy **found = tfind(&key, &kernel->policies, by_id);

	return found ? *found : NULL;
}

struct moat_known_policy *moat_kernel_remember(struct moat_kernel *kernel,
					       const struct moat_policy_params *params,
					       const char *tunnel)
{
	struct moat_known_policy *policy = moat_kernel_policy(kernel, params->id);
	struct pair *before = policy ? pair_of(kernel, &policy->params) : NULL;
	struct pair *after = pair_of(kernel, params);

	if (!policy) {
		policy = calloc(1, sizeof(*policy));
		if (!policy)
			abort();
		policy->params.id = params->id;
		if (!tsearch(policy, &kernel->policies, by_id))
			abort();
	}
	if (before)
		before->policies--;
	if (after)
		after->policies++;
	/* Its route is found by these. */
	if (policy->routed && (policy->params.action != params->action ||
			       !moat_range_equal(&policy->params.selector.remote,
						 &params->selector.remote)))
		moat_routes_del(kernel->routes, policy);
	policy->params = *params;
	snprintf(policy->tunnel, sizeof(policy->tunnel), "%s", tunnel);
	return policy;
}

void moat_kernel_forget(struct moat_kernel *kernel, uint32_t id)
{
	struct moat_known_policy *policy = moat_kernel_policy(kernel, id);
	struct pair *pair;

	if (!policy)
		return;
	pair = pair_of(kernel, &policy->params);
	if (pair)
		pair->policies--;
	moat_routes_del(kernel->routes, policy);
	tdelete(policy, &kernel->policies, by_id);
	free(policy);
}

void moat_kernel_check_free(struct moat_kernel *kernel)
{
	tdestroy(kernel->policies, free);
	tdestroy(kernel->pairs, free);
	moat_config_free(&kernel->config);
	moat_config_free(&kernel->feed.config);
}
