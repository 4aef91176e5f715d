// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Policies by hand that take traffic away from one that protects it: allowed, and
 * said, for what was encrypted yesterday would leave in clear without a word.
 */
#include <stdio.h>
#include <string.h>

#include "cli/control.h"
#include "priv/ipc.h"

/**
 * struct search - a policy, and which of those that protect comes behind it
 * @flow: the packet in question; NULL for any
 * @found: the best of them; @n: how many there are
 */
struct search {
	const struct moat_nl_policy *policy;
	const struct moat_nl_flow *flow;
	struct moat_nl_policy found;
	unsigned int n;
};

/* The order of the kernel: priority first, then how much a selector fixes. */
static uint64_t rank(const struct moat_nl_policy *policy)
{
	const struct moat_selector *sel = &policy->selector;
	uint64_t fixed = moat_range_prefix(&sel->local) + moat_range_prefix(&sel->remote);

	fixed = fixed * 2 + (sel->protocol != 0);
	fixed = fixed << 17 | (0x1fffe - (sel->local_port[1] - sel->local_port[0]) -
			       (sel->remote_port[1] - sel->remote_port[0]));
	fixed = fixed * 2 + (policy->mark_mask != 0);
	return ((uint64_t)policy->priority << 32) + (UINT32_MAX - fixed);
}

static bool ranges_meet(const struct moat_range *a, const struct moat_range *b)
{
	return a->first.len == b->first.len &&
	       memcmp(a->first.bytes, b->last.bytes, a->first.len) <= 0 &&
	       memcmp(b->first.bytes, a->last.bytes, a->first.len) <= 0;
}

static bool ports_meet(const uint16_t a[2], const uint16_t b[2])
{
	return a[0] <= b[1] && b[0] <= a[1];
}

/* May one packet be meant by both? */
static bool meet(const struct moat_nl_policy *a, const struct moat_nl_policy *b)
{
	const struct moat_selector *x = &a->selector, *y = &b->selector;

	return ranges_meet(&x->local, &y->local) && ranges_meet(&x->remote, &y->remote) &&
	       (!x->protocol || !y->protocol || x->protocol == y->protocol) &&
	       ports_meet(x->local_port, y->local_port) &&
	       ports_meet(x->remote_port, y->remote_port) &&
	       !((a->mark ^ b->mark) & a->mark_mask & b->mark_mask) &&
	       !strcmp(a->device, b->device);
}

/* Of ports and marks the packet says too little to count. */
static bool holds(const struct moat_selector *sel, const struct moat_nl_flow *flow)
{
	const struct moat_range src = { flow->src, flow->src };
	const struct moat_range dst = { flow->dst, flow->dst };

	return ranges_meet(&sel->local, &src) && ranges_meet(&sel->remote, &dst) &&
	       (!sel->protocol || !flow->protocol || sel->protocol == flow->protocol);
}

/* Equal ones go by age: a new policy comes behind, one that a packet met before. */
static bool goes_before(const struct search *search, const struct moat_nl_policy *other)
{
	uint64_t ours = rank(search->policy), its = rank(other);

	return ours < its || (ours == its && search->flow);
}

static int look(const struct moat_nl_policy *other, void *arg)
{
	struct search *search = arg;

	if (other->implicit[0] || other->id == search->policy->id ||
	    other->action != MOAT_ACTION_PROTECT || !meet(search->policy, other) ||
	    !goes_before(search, other) ||
	    (search->flow && !holds(&other->selector, search->flow)))
		return 0;
	if (!search->n++ || rank(other) < rank(&search->found))
		search->found = *other;
	return 0;
}

/* The daemon knows whose policy it is, when there is one. */
static void whose(const struct moat_cli *cli, uint32_t policy, char name[128])
{
	const json_t *tunnel, *pair;
	json_t *answer = NULL;
	size_t i, j;

	name[0] = '\0';
	if (!moat_control_runs(cli) || moat_control_ask(cli, "ipsec", &answer))
		return;
	json_array_foreach(json_object_get(answer, "tunnels"), i, tunnel) {
		json_array_foreach(json_object_get(tunnel, "pairs"), j, pair) {
			if (moat_field_number(pair, "policy") == policy)
				snprintf(name, 128, "%s", moat_field(tunnel, "name"));
		}
	}
	json_decref(answer);
}

/** moat_override_find() - which policy that protects comes behind this one of ours? */
int moat_override_find(const struct moat_cli *cli, struct moat_nl *nl,
		       const struct moat_nl_policy *policy,
		       const struct moat_nl_flow *flow, struct moat_override *override)
{
	struct search search = { .policy = policy, .flow = flow };
	int err;

	memset(override, 0, sizeof(*override));
	if (policy->implicit[0] || policy->action == MOAT_ACTION_PROTECT ||
	    policy->id >= MOAT_POLICY_BASE)
		return 0;
	err = moat_nl_policy_dump(nl, look, &search);
	if (err || !search.n)
		return err;
	override->policy = search.found.id;
	override->selector = search.found.selector;
	override->others = search.n - 1;
	whose(cli, search.found.id, override->tunnel);
	return 0;
}

/** moat_override_text() - "policy 268435456 (tunnel branch), 10.1.0.0/24 to ..." */
const char *moat_override_text(const struct moat_override *override, char *text,
			       size_t size)
{
	char local[2 * MOAT_ADDR_STRLEN], remote[2 * MOAT_ADDR_STRLEN], more[32] = "";

	if (override->others)
		snprintf(more, sizeof(more), " and %u more", override->others);
	snprintf(text, size, "policy %u%s%s%s%s, which protects %s to %s",
		 override->policy, override->tunnel[0] ? " (tunnel " : "",
		 override->tunnel, override->tunnel[0] ? ")" : "", more,
		 moat_range_str(&override->selector.local, local),
		 moat_range_str(&override->selector.remote, remote));
	return text;
}
