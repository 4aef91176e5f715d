// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The kernel process checks every request again: the ike process parses what
 * strangers send, and shall not be able to open more than is configured.
 */
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "priv/kernel_internal.h"

/* tsearch() keeps what it is given, which the analyzer does not know. */
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"

/**
 * struct pair - a pair of the configuration and its tunnel
 */
struct pair {
	struct moat_selector selector;
	uint32_t priority;
	const struct moat_tunnel_conf *tunnel;
};

static int compare(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static int by_selector(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;
	const struct moat_selector *s = &x->selector, *t = &y->selector;
	int d = memcmp(&s->local, &t->local, sizeof(s->local));

	if (!d)
		d = memcmp(&s->remote, &t->remote, sizeof(s->remote));
	if (!d)
		d = compare(s->protocol, t->protocol);
	if (!d)
		d = memcmp(s->local_port, t->local_port, sizeof(s->local_port));
	if (!d)
		d = memcmp(s->remote_port, t->remote_port, sizeof(s->remote_port));
	return d ? d : compare(x->priority, y->priority);
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
			pair->priority = tunnel->priority;
			pair->tunnel = tunnel;
			found = tsearch(pair, &kernel->pairs, by_selector);
			if (!found)
				abort();
			if (*found != pair)
				free(pair);
		}
	}
}

static bool is_remote(const struct moat_tunnel_conf *tunnel, const struct moat_addr *addr)
{
	for (unsigned int i = 0; i < tunnel->n_remote; i++) {
		if (moat_addr_equal(&tunnel->remote[i], addr))
			return true;
	}
	return false;
}

const char *moat_kernel_check_policy(struct moat_kernel *kernel,
				     const struct moat_policy_params *params,
				     char tunnel[MOAT_TUNNEL_NAME_MAX + 1])
{
	const struct pair key = { .selector = params->selector,
				  .priority = params->priority };
	struct pair **found = tfind(&key, &kernel->pairs, by_selector);
	const struct moat_tunnel_conf *conf;

	strcpy(tunnel, "-");
	if (params->id < MOAT_POLICY_BASE || params->id >= MOAT_POLICY_END)
		return "its id is none of the daemon's";
	if (!found)
		return "no tunnel is configured for its traffic";
	conf = (*found)->tunnel;
	strcpy(tunnel, conf->name);
	if (params->action != conf->action && !(conf->action == MOAT_ACTION_PROTECT &&
						params->action == MOAT_ACTION_DISCARD))
		return "its tunnel has another action";
	if (params->action == MOAT_ACTION_PROTECT &&
	    (!moat_addr_equal(&params->local, &conf->local) ||
	     !is_remote(conf, &params->remote) || params->mode != conf->mode))
		return "its endpoints or its mode are not those of its tunnel";
	return NULL;
}

const char *moat_kernel_check_sa(const struct moat_known_policy *policy,
				 const struct moat_sa_params *sa)
{
	const struct moat_policy_params *params = &policy->params;
	bool in = sa->direction == MOAT_DIRECTION_IN;

	if (sa->direction != MOAT_DIRECTION_IN && sa->direction != MOAT_DIRECTION_OUT)
		return "it has no direction";
	if (!moat_addr_equal(&sa->src, in ? &params->remote : &params->local) ||
	    !moat_addr_equal(&sa->dst, in ? &params->local : &params->remote))
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

	if (!policy) {
		policy = calloc(1, sizeof(*policy));
		if (!policy)
			abort();
		policy->params.id = params->id;
		if (!tsearch(policy, &kernel->policies, by_id))
			abort();
	}
	policy->params = *params;
	snprintf(policy->tunnel, sizeof(policy->tunnel), "%s", tunnel);
	return policy;
}

void moat_kernel_forget(struct moat_kernel *kernel, uint32_t id)
{
	struct moat_known_policy *policy = moat_kernel_policy(kernel, id);

	if (!policy)
		return;
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
