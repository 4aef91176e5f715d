// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Policies in the kernel outlive the daemon, so their ids there are not the
 * core's numbers. Here is which is which, and the start: the core's policies take
 * the place of those that an earlier daemon left for the same traffic, and the
 * SAs under them are given to the core.
 */
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "io/io.h"
#include "priv/log.h"

/* tsearch() keeps what it is given, which the analyzer does not know. */
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"

/**
 * struct number - a policy's two numbers
 * @core: what the core calls it
 * @kernel: its id in the kernel
 */
struct number {
	uint32_t core;
	uint32_t kernel;
};

/**
 * struct left - a policy that an earlier daemon left
 * @carries: packets leave on an SA under it
 */
struct left {
	struct moat_policy_params params;
	bool carries;
};

static int compare(uint32_t a, uint32_t b)
{
	return a < b ? -1 : a > b;
}

static int by_core(const void *a, const void *b)
{
	return compare(((const struct number *)a)->core,
		       ((const struct number *)b)->core);
}

static int by_kernel(const void *a, const void *b)
{
	return compare(((const struct number *)a)->kernel,
		       ((const struct number *)b)->kernel);
}

static int by_traffic(const void *a, const void *b)
{
	const struct moat_policy_params *x = &((const struct left *)a)->params;
	const struct moat_policy_params *y = &((const struct left *)b)->params;
	int d = moat_selector_compare(&x->selector, &y->selector);

	if (!d)
		d = compare(x->priority, y->priority);
	if (!d)
		d = compare(x->mark, y->mark);
	return d ? d : strcmp(x->device, y->device);
}

static void must_insert(const void *node, void **tree,
			int (*order)(const void *a, const void *b))
{
	if (!tsearch(node, tree, order))
		abort();
}

uint32_t moat_policies_kernel(const struct moat_policies *policies, uint32_t core)
{
	const struct number key = { .core = core };
	struct number **found = tfind(&key, &policies->by_core, by_core);

	return found ? (*found)->kernel : 0;
}

bool moat_policies_core(const struct moat_policies *policies, uint32_t kernel,
			uint32_t *core)
{
	const struct number key = { .kernel = kernel };
	struct number **found = tfind(&key, &policies->by_kernel, by_kernel);

	if (found)
		*core = (*found)->core;
	return found;
}

static uint32_t free_id(struct moat_policies *policies)
{
	uint32_t core;

	do {
		if (++policies->last >= MOAT_POLICY_END ||
		    policies->last < MOAT_POLICY_BASE)
			policies->last = MOAT_POLICY_BASE;
	} while (moat_policies_core(policies, policies->last, &core));
	return policies->last;
}

/* The same traffic, to be handled alike between the same endpoints? */
static bool stands_in(const struct left *left, const struct moat_policy_params *params)
{
	const struct moat_policy_params *old = &left->params;

	return old->action == params->action && old->mode == params->mode &&
	       moat_shape_equal(&old->shape, &params->shape) &&
	       moat_addr_equal(&old->local, &params->local) &&
	       (left->carries || moat_addr_equal(&old->remote, &params->remote));
}

enum moat_adoption moat_policies_add(struct moat_policies *policies,
				     const struct moat_policy_params *params)
{
	const struct left key = { .params = *params };
	struct left **found = tfind(&key, &policies->left, by_traffic);
	struct left *left = found ? *found : NULL;
	enum moat_adoption how = MOAT_ADOPT_NOT;
	struct number *number = malloc(sizeof(*number));

	if (!number)
		abort();
	number->core = params->id;
	if (left && stands_in(left, params)) {
		number->kernel = left->params.id;
		how = left->carries ? MOAT_ADOPT_SAS : MOAT_ADOPT_POLICY;
		tdelete(left, &policies->left, by_traffic);
		free(left);
	} else {
		number->kernel = free_id(policies);
	}
	must_insert(number, &policies->by_core, by_core);
	must_insert(number, &policies->by_kernel, by_kernel);
	return how;
}

void moat_policies_del(struct moat_policies *policies, uint32_t core)
{
	const struct number key = { .core = core };
	struct number **found = tfind(&key, &policies->by_core, by_core);
	struct number *number;

	if (!found)
		return;
	number = *found;
	tdelete(number, &policies->by_core, by_core);
	tdelete(number, &policies->by_kernel, by_kernel);
	free(number);
}

static void no_free(void *node)
{
	(void)node;
}

void moat_policies_free(struct moat_policies *policies)
{
	tdestroy(policies->by_kernel, no_free);
	tdestroy(policies->by_core, free);
	tdestroy(policies->left, free);
	*policies = (struct moat_policies){ 0 };
}

/* ---- the start ---- */

static bool is_current(const struct moat_ipc *sa, const struct moat_ipc *policy)
{
	return sa->sa_info.sa.direction == MOAT_DIRECTION_OUT &&
	       sa->sa_info.sa.spi == policy->policy_info.spi;
}

static bool carries(const struct moat_dump *dump, const struct moat_ipc *policy)
{
	unsigned int n;
	const struct moat_ipc *sas =
		moat_dump_sas(dump, policy->policy_info.policy.id, &n);

	for (unsigned int i = 0; i < n; i++) {
		if (is_current(&sas[i], policy))
			return true;
	}
	return false;
}

static void note_left(struct moat_policies *policies, const struct moat_dump *dump,
		      const struct moat_ipc *policy)
{
	const struct moat_policy_params *params = &policy->policy_info.policy;
	struct left *left, **found;

	if (policy->policy_info.implicit[0] || params->id < MOAT_POLICY_BASE ||
	    params->id >= MOAT_POLICY_END)
		return;
	if (params->id > policies->last)
		policies->last = params->id;
	left = malloc(sizeof(*left));
	if (!left)
		abort();
	*left = (struct left){ .params = *params, .carries = carries(dump, policy) };
	found = tsearch(left, &policies->left, by_traffic);
	if (!found)
		abort();
	if (*found == left)
		return;
	/* Of two, one came in the middle of a reload: the one in use is wanted. */
	if (left->carries) {
		free(*found);
		*found = left;
	} else {
		free(left);
	}
}

static void give_sas(struct moat_io *io, const struct moat_dump *dump,
		     const struct moat_ipc *policy)
{
	struct moat_event event = { .type = MOAT_EV_ADOPT };
	uint32_t core;
	unsigned int n;
	const struct moat_ipc *sas =
		moat_dump_sas(dump, policy->policy_info.policy.id, &n);

	if (!moat_policies_core(&io->policies, policy->policy_info.policy.id, &core))
		return;
	for (unsigned int i = 0; i < n; i++) {
		struct moat_sa_params sa = sas[i].sa_info.sa;

		if (sas[i].sa_info.state == MOAT_SA_STATE_RESERVED ||
		    sa.owner_len > MOAT_OWNER_MAX)
			continue;
		sa.policy = core;
		event.adopt.sa = &sa;
		event.adopt.key_bits = sas[i].sa_info.key_bits;
		event.adopt.current = is_current(&sas[i], policy);
		moat_io_step(io, &event);
	}
}

void moat_io_adopt(struct moat_io *io, const struct moat_dump *dump, void *arg)
{
	struct moat_event event = { .type = MOAT_EV_CONFIG };

	(void)arg;
	/* The kernel process is asked again when it is back. */
	if (dump->error[0]) {
		moat_log(MOAT_LOG_ERR, "kernel-refused", NULL, "%s", dump->error);
		return;
	}
	if (io->adopted)
		return;
	io->adopted = true;
	for (unsigned int i = 0; i < dump->n_policies; i++)
		note_left(&io->policies, dump, &dump->policies[i]);
	event.config.tunnels = io->config.tunnels;
	event.config.n_tunnels = io->config.n_tunnels;
	event.config.wait = true;
	moat_io_step(io, &event);
	for (unsigned int i = 0; i < dump->n_policies; i++)
		give_sas(io, dump, &dump->policies[i]);
	event = (struct moat_event){ .type = MOAT_EV_ADOPTED };
	moat_io_step(io, &event);
	/* What was not taken over goes. */
	tdestroy(io->policies.left, free);
	io->policies.left = NULL;
	moat_io_clean(io);
}
