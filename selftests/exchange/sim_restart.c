// SPDX-License-Identifier: GPL-2.0-or-later
/* A daemon that ends and comes back, while its kernel goes on. */
#include "sim_internal.h"

/* Ids of policies that no core of today knows. */
#define LEFT 0x80000000u

void sim_crash(struct sim *sim, int side)
{
	struct sim_side *s = &sim->side[side];

	moat_ike_free(s->ike);
	s->ike = NULL;
	/* What it asked of its kernel and had no answer to is not done. */
	s->boot++;
	s->set_back = false;
}

static void renumber(struct sim_kernel *kernel, uint32_t from, uint32_t to)
{
	struct sim_policy *policy = sim_kernel_policy(kernel, from);
	struct sim_sa *sa;

	policy->params.id = to;
	for (sa = kernel->sas; sa; sa = sa->next) {
		if (!sa->reserved && sa->params.policy == from)
			sa->params.policy = to;
	}
}

bool sim_take_over(struct sim_side *side, const struct moat_policy_params *policy)
{
	struct sim_policy *old = side->kernel.policies;

	if (!side->starting)
		return false;
	while (old && (!(old->params.id & LEFT) ||
		       moat_selector_compare(&old->params.selector, &policy->selector)))
		old = old->next;
	if (!old || (!old->out && !moat_addr_equal(&old->params.remote, &policy->remote)))
		return false;
	renumber(&side->kernel, old->params.id, policy->id);
	if (!old->out)
		sim_kernel_policy_set(&side->kernel, policy);
	return true;
}

static void adopt(struct sim *sim, int side, struct sim_sa *sa)
{
	const struct sim_policy *policy =
		sim_kernel_policy(&sim->side[side].kernel, sa->params.policy);
	struct moat_event event = { .type = MOAT_EV_ADOPT };
	struct moat_sa_params params = sa->params;

	if (!policy)
		return;
	event.adopt.sa = &params;
	event.adopt.key_bits = 128;
	event.adopt.current = policy->out == sa;
	sim_step(sim, side, &event);
}

static void give_sas(struct sim *sim, int side)
{
	struct sim_sa *sa;

	for (sa = sim->side[side].kernel.sas; sa; sa = sa->next) {
		if (!sa->reserved && !(sa->params.policy & LEFT))
			adopt(sim, side, sa);
	}
}

static void clean(struct sim_kernel *kernel)
{
	struct sim_policy *policy = kernel->policies;
	struct sim_sa *sa = kernel->sas;

	while (sa) {
		struct sim_sa *next = sa->next;

		if (!sa->reserved && sa->params.policy & LEFT)
			sim_kernel_del(kernel, &sa->params);
		sa = next;
	}
	while (policy) {
		struct sim_policy *next = policy->next;

		if (policy->params.id & LEFT)
			sim_kernel_policy_del(kernel, policy->params.id);
		policy = next;
	}
}

void sim_restart(struct sim *sim, int side)
{
	struct sim_side *s = &sim->side[side];
	struct moat_event event = { .type = MOAT_EV_ADOPTED };
	struct sim_policy *policy;

	if (s->ike)
		sim_crash(sim, side);
	for (policy = s->kernel.policies; policy; policy = policy->next)
		renumber(&s->kernel, policy->params.id, policy->params.id | LEFT);
	s->ike = sim_new_core(s);
	s->starting = true;
	sim_configure_core(sim, side, true);
	s->starting = false;
	give_sas(sim, side);
	sim_step(sim, side, &event);
	/* The new policies that found no old one are still on their way. */
	sim_run(sim, 20);
	clean(&s->kernel);
}

/* As the kernel process does: what was asked for last stands again, without SAs. */
void sim_lose_policies(struct sim *sim, int side, const char *why)
{
	struct sim_kernel *kernel = &sim->side[side].kernel;
	struct moat_policy_params params[SIM_NETS_MAX * SIM_NETS_MAX];
	unsigned int n = 0;

	for (; kernel->policies; n++) {
		params[n] = kernel->policies->params;
		sim_kernel_policy_del(kernel, params[n].id);
	}
	for (unsigned int i = 0; i < n; i++) {
		struct moat_event event = { .type = MOAT_EV_POLICY_LOST };

		if (!why)
			sim_kernel_policy_add(kernel, &params[i]);
		event.policy_lost.policy = params[i].id;
		event.policy_lost.stands = !why;
		event.policy_lost.text = why ? why : "somebody deleted it";
		sim_step(sim, side, &event);
	}
}

void sim_absent(struct sim *sim, int side, const char *text)
{
	struct moat_event event = { .type = MOAT_EV_UNSENT };

	event.unsent.local.addr = sim->side[side].addr;
	event.unsent.remote.addr = sim->side[!side].addr;
	event.unsent.absent = true;
	event.unsent.text = text;
	sim_step(sim, side, &event);
}
