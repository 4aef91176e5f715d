// SPDX-License-Identifier: GPL-2.0-or-later
/* The kernel of the simulation: SPIs, SAs and policies of one side. */
#include "sim_kernel.h"

#include <stdlib.h>
#include <string.h>

const char sim_kernel_no_spi[] = "the SPI was not reserved";

/* The one that was switched to before @sa, or NULL: newer ones stand in front. */
static struct sim_sa *before(const struct sim_kernel *kernel, const struct sim_sa *sa)
{
	struct sim_sa *other = kernel->sas;

	while (other && (other == sa || other->within ||
			 other->params.direction != MOAT_DIRECTION_OUT ||
			 other->params.policy != sa->params.policy))
		other = other->next;
	return other;
}

static void unlink_sa(struct sim_kernel *kernel, struct sim_sa *sa)
{
	struct sim_sa **at = &kernel->sas;
	struct sim_policy *policy;

	if (sa->inner)
		unlink_sa(kernel, sa->inner);
	for (struct sim_sa *outer = kernel->sas; outer; outer = outer->next) {
		if (outer->inner == sa)
			outer->inner = NULL;
	}
	for (policy = kernel->policies; policy; policy = policy->next) {
		if (policy->out == sa)
			policy->out = before(kernel, sa);
	}
	while (*at != sa)
		at = &(*at)->next;
	*at = sa->next;
	free(sa);
}

void sim_kernel_clear(struct sim_kernel *kernel)
{
	while (kernel->policies)
		sim_kernel_policy_del(kernel, kernel->policies->params.id);
	while (kernel->sas)
		unlink_sa(kernel, kernel->sas);
}

struct sim_policy *sim_kernel_policy(struct sim_kernel *kernel, uint32_t id)
{
	struct sim_policy *policy = kernel->policies;

	while (policy && policy->params.id != id)
		policy = policy->next;
	return policy;
}

struct sim_sa *sim_kernel_sa(struct sim_kernel *kernel, uint8_t direction, uint32_t spi,
			     const struct moat_addr *dst)
{
	struct sim_sa *sa = kernel->sas;

	while (sa && (sa->params.direction != direction || sa->params.spi != spi ||
		      !moat_addr_equal(&sa->params.dst, dst)))
		sa = sa->next;
	return sa;
}

static struct sim_sa *new_sa(struct sim_kernel *kernel)
{
	struct sim_sa *sa = calloc(1, sizeof(*sa));

	if (!sa)
		abort();
	sa->next = kernel->sas;
	kernel->sas = sa;
	return sa;
}

uint32_t sim_kernel_reserve(struct sim_kernel *kernel, uint32_t spi,
			    const struct moat_addr *dst, uint64_t now)
{
	struct sim_sa *sa;

	if (spi < 256 || sim_kernel_sa(kernel, MOAT_DIRECTION_IN, spi, dst))
		return 0;
	sa = new_sa(kernel);
	sa->params.direction = MOAT_DIRECTION_IN;
	sa->params.spi = spi;
	sa->params.dst = *dst;
	sa->reserved = true;
	sa->ends = now + 60000;
	return spi;
}

static const char *add_one(struct sim_kernel *kernel, const struct moat_sa_params *params,
			   uint64_t now)
{
	struct sim_sa *sa =
		sim_kernel_sa(kernel, MOAT_DIRECTION_IN, params->spi, &params->dst);

	if (params->direction != MOAT_DIRECTION_IN)
		return "only inbound SAs are added";
	if (!sa || !sa->reserved)
		return sim_kernel_no_spi;
	if (!params->replay)
		return "no replay window";
	if (!sim_kernel_policy(kernel, params->policy))
		return "no such policy";
	sa->params = *params;
	sa->reserved = false;
	sa->ends = now + params->hard_seconds * 1000;
	return NULL;
}

const char *sim_kernel_add(struct sim_kernel *kernel, const struct moat_sa_params *params,
			   uint64_t now)
{
	const char *why = add_one(kernel, params, now);

	if (why || params->bundle != MOAT_BUNDLE_OUTER)
		return why;
	why = add_one(kernel, params + 1, now);
	sim_kernel_sa(kernel, MOAT_DIRECTION_IN, params->spi, &params->dst)->inner =
		sim_kernel_sa(kernel, MOAT_DIRECTION_IN, params[1].spi, &params->dst);
	return why;
}

const char *sim_kernel_switch(struct sim_kernel *kernel,
			      const struct moat_sa_params *params, uint64_t now)
{
	struct sim_policy *policy = sim_kernel_policy(kernel, params->policy);
	struct sim_sa *sa;

	if (!policy)
		return "no such policy";
	if (params->direction != MOAT_DIRECTION_OUT)
		return "only outbound SAs are switched to";
	if (sim_kernel_sa(kernel, MOAT_DIRECTION_OUT, params->spi, &params->dst))
		return "there is such an outbound SA already";
	sa = new_sa(kernel);
	sa->params = *params;
	sa->to = params->dst;
	sa->ends = now + params->hard_seconds * 1000;
	policy->out = sa;
	/* Nothing is held any more: the next packet without an SA asks at once. */
	policy->acquired = 0;
	if (params->bundle == MOAT_BUNDLE_OUTER) {
		sa->inner = new_sa(kernel);
		sa->inner->within = true;
		sa->inner->params = params[1];
		sa->inner->ends = sa->ends;
	}
	return NULL;
}

void sim_kernel_move(struct sim_sa *sa, const struct moat_endpoint *to)
{
	sa->to = to->addr;
	sa->params.encap[1] = to->port;
}

void sim_kernel_set(struct sim_kernel *kernel, const struct moat_sa_params *params)
{
	struct sim_sa *sa =
		sim_kernel_sa(kernel, params->direction, params->spi, &params->dst);

	if (!sa)
		return;
	sa->params.owner_len = params->owner_len;
	memcpy(sa->params.owner, params->owner, params->owner_len);
}

void sim_kernel_del(struct sim_kernel *kernel, const struct moat_sa_params *params)
{
	struct sim_sa *sa =
		sim_kernel_sa(kernel, params->direction, params->spi, &params->dst);

	if (sa)
		unlink_sa(kernel, sa);
}

const char *sim_kernel_policy_add(struct sim_kernel *kernel,
				  const struct moat_policy_params *params)
{
	struct sim_policy *policy;

	if (sim_kernel_policy(kernel, params->id))
		return "there is such a policy already";
	policy = calloc(1, sizeof(*policy));
	if (!policy)
		abort();
	policy->params = *params;
	policy->next = kernel->policies;
	kernel->policies = policy;
	return NULL;
}

static void drop_outbound(struct sim_kernel *kernel, const struct sim_policy *policy)
{
	struct sim_sa *sa = kernel->sas;

	while (sa) {
		if (sa->params.direction == MOAT_DIRECTION_OUT &&
		    sa->params.policy == policy->params.id) {
			unlink_sa(kernel, sa);
			/* With it went the inner one of a bundle: which may be the next. */
			sa = kernel->sas;
		} else {
			sa = sa->next;
		}
	}
}

const char *sim_kernel_policy_set(struct sim_kernel *kernel,
				  const struct moat_policy_params *params)
{
	struct sim_policy *policy = sim_kernel_policy(kernel, params->id);

	if (!policy)
		return "no such policy";
	/* As the module does: all of them, those of before too. */
	if (!moat_addr_equal(&policy->params.local, &params->local) ||
	    !moat_addr_equal(&policy->params.remote, &params->remote))
		drop_outbound(kernel, policy);
	policy->params = *params;
	return NULL;
}

static bool covered(const struct sim_kernel *kernel, const struct moat_selector *selector)
{
	const struct sim_policy *policy = kernel->policies;

	while (policy && memcmp(&policy->params.selector, selector, sizeof(*selector)))
		policy = policy->next;
	return policy;
}

void sim_kernel_policy_del(struct sim_kernel *kernel, uint32_t id)
{
	struct sim_policy **at = &kernel->policies;
	struct sim_policy *policy;

	while (*at && (*at)->params.id != id)
		at = &(*at)->next;
	policy = *at;
	if (!policy)
		return;
	if (policy->out)
		unlink_sa(kernel, policy->out);
	*at = policy->next;
	kernel->bared += !covered(kernel, &policy->params.selector);
	free(policy);
}
