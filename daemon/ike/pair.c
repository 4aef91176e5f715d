// SPDX-License-Identifier: GPL-2.0-or-later
/* Pairs: one local net towards one remote net, one policy, one quick mode. */
#include "ike/ike1.h"

#include <stdlib.h>
#include <string.h>

#define ACQUIRE_LATE (3 * MOAT_SECOND)
#define NONCE_FIXED  8 /* octets of a nonce that may be other than random */

struct moat_pair *moat_pair_find(struct moat_ike *ike, uint32_t policy)
{
	struct moat_tunnel *tunnel;

	/* A tunnel's policies are numbered in a row. */
	TAILQ_FOREACH(tunnel, &ike->tunnels, link) {
		uint32_t first = tunnel->conf.n_pairs ? tunnel->pairs[0].policy : 0;

		if (policy >= first && policy - first < tunnel->conf.n_pairs)
			return &tunnel->pairs[policy - first];
	}
	return NULL;
}

void moat_pair_policy(struct moat_pair *pair, enum moat_action_type type)
{
	const struct moat_tunnel_conf *conf = &pair->tunnel->conf;
	struct moat_policy_params *policy;

	/* It will be added as it shall be by then, if ever. */
	if (type == MOAT_ACT_POLICY_SET && (pair->refused || !pair->standing))
		return;
	policy = &moat_act_new(pair->tunnel->ike->acts, type)->policy;
	policy->id = pair->policy;
	if (type == MOAT_ACT_POLICY_DEL)
		return;
	policy->selector = pair->selector;
	policy->action = pair->passes ? MOAT_ACTION_BYPASS : conf->action;
	/* A name that has no address yet: nothing leaves until it has one. */
	if (policy->action == MOAT_ACTION_PROTECT &&
	    (!pair->policy_local.len || !pair->policy_remote.len))
		policy->action = MOAT_ACTION_DISCARD;
	policy->priority = conf->any ? MOAT_PRIORITY_LAST : conf->priority;
	policy->mark = conf->mark;
	policy->mode = conf->mode;
	memcpy(policy->device, conf->device, sizeof(policy->device));
	/* For good: a policy that discards for a while is protecting later. */
	if (conf->action == MOAT_ACTION_PROTECT && !pair->passes)
		policy->shape = conf->shape;
	if (policy->action != MOAT_ACTION_PROTECT)
		return;
	policy->local = pair->policy_local;
	policy->remote = pair->policy_remote;
	policy->acquire_off = pair->acquire_off;
	/* Everything through a device says nothing about where to go: routing does. */
	policy->route = conf->routes &&
			!(conf->device[0] && !moat_range_prefix(&pair->selector.remote));
}

void moat_pair_ends(struct moat_pair *pair, const struct moat_addr *local,
		    const struct moat_addr *remote)
{
	struct moat_child *child;

	if (moat_addr_equal(&pair->policy_local, local) &&
	    moat_addr_equal(&pair->policy_remote, remote))
		return;
	pair->policy_local = *local;
	pair->policy_remote = *remote;
	moat_pair_policy(pair, MOAT_ACT_POLICY_SET);
	TAILQ_FOREACH(child, &pair->children, link)
		child->switched = false;
}

void moat_pair_connect(struct moat_pair *pair)
{
	struct moat_tunnel *tunnel = pair->tunnel;
	struct moat_isakmp *sa;

	if (pair->refused || tunnel->down || tunnel->conf.action != MOAT_ACTION_PROTECT)
		return;
	pair->asked = true;
	pair->missed = false;
	/* Two quick modes for one pair help nobody: wait for the one under way. */
	if (pair->quick || pair->answering)
		return;
	sa = moat_isakmp_usable(tunnel);
	if (sa && moat_quick_turn(sa, pair))
		moat_quick_start(pair, sa);
	else if (!sa && !moat_isakmp_connecting(tunnel))
		moat_phase1_start(tunnel);
}

/* Random, but higher than @low; too high for that, it is left as it is. */
static void raise_nonce(uint8_t nonce[MOAT_NONCE_LEN], const struct moat_blob *low)
{
	size_t len = low->len < MOAT_NONCE_LEN ? low->len : MOAT_NONCE_LEN;
	size_t i = 0;

	/* An adopted SA has its beginning, or none. */
	if (!len || memcmp(nonce, low->data, len) > 0)
		return;
	while (i < len && i < NONCE_FIXED && low->data[i] == UINT8_MAX)
		i++;
	if (i == len || i == NONCE_FIXED)
		return;
	memset(nonce, UINT8_MAX, i);
	nonce[i] = (uint8_t)(low->data[i] + 1 + nonce[i] % (UINT8_MAX - low->data[i]));
}

/*
 * Who answers cannot tell a quick mode that comes early from one that ran at the
 * same time as that of its own SAs, of which the lowest nonce is the redundant one.
 * Above the nonces of those SAs it wins either way.
 */
void moat_pair_nonce(const struct moat_pair *pair, bool initiator,
		     uint8_t nonce[MOAT_NONCE_LEN])
{
	const struct moat_child *child;

	moat_core_random(pair->tunnel->ike, nonce, MOAT_NONCE_LEN);
	TAILQ_FOREACH(child, &pair->children, link) {
		/* Old ones too: to the peer the one it has taken back may be the newest. */
		if (child->complete && !child->redundant && child->initiator != initiator)
			raise_nonce(nonce, &child->nonce);
	}
}

void moat_pair_rekey(struct moat_pair *pair)
{
	struct moat_child *child;

	TAILQ_FOREACH(child, &pair->children, link) {
		/* New ones stand already, and packets are about to leave on them. */
		if (child->switch_timer.slot && !child->redundant && !child->crossed)
			return;
	}
	moat_act_log(pair->tunnel->ike->acts, MOAT_LOG_INFO, "ipsec-rekey",
		     pair->tunnel->conf.name, "the operator asks for new SAs");
	moat_pair_connect(pair);
}

/*
 * The kernel has no outbound SA although we gave it one: somebody deleted it.
 * An acquire that was under way when the policy was switched says nothing.
 */
static bool taken_away(const struct moat_pair *pair)
{
	uint64_t now = pair->tunnel->ike->now;

	return pair->current && now > pair->current->switched_at + ACQUIRE_LATE;
}

void moat_pair_acquire(struct moat_ike *ike, const struct moat_event *event)
{
	struct moat_pair *pair = moat_pair_find(ike, event->acquire.policy);
	struct moat_child *child;
	char local[2 * MOAT_ADDR_STRLEN];
	char remote[2 * MOAT_ADDR_STRLEN];

	if (pair && taken_away(pair)) {
		/* Nor has it one of those before: it would send on that. */
		TAILQ_FOREACH(child, &pair->children, link)
			child->switched = false;
		moat_child_end(pair->current, true, "the kernel has them no more");
	}
	if (!pair || pair->current || pair->acquire_off || pair->vacant)
		return;
	if (!pair->asked)
		moat_act_log(ike->acts, MOAT_LOG_INFO, "acquire", pair->tunnel->conf.name,
			     "traffic from %s to %s asks for SAs",
			     moat_range_str(&pair->selector.local, local),
			     moat_range_str(&pair->selector.remote, remote));
	pair->trapped = true;
	moat_pair_connect(pair);
}

void moat_pair_failed(struct moat_pair *pair, const char *why)
{
	/* A rekey that failed is tried again by the timer of the SAs that stand. */
	pair->missed = pair->trapped && pair->asked && !pair->current;
	pair->asked = false;
	if (!pair->current)
		moat_tunnel_failed(pair->tunnel, why);
}

void moat_pair_install(struct moat_pair *pair)
{
	if (!pair->refused)
		return;
	free(pair->refused);
	pair->refused = NULL;
	moat_pair_policy(pair, MOAT_ACT_POLICY_ADD);
}

/* Its traffic is not handled as configured, or was not for a while: say so. */
static void log_bare(const struct moat_pair *pair, const char *why)
{
	char local[2 * MOAT_ADDR_STRLEN];
	char remote[2 * MOAT_ADDR_STRLEN];

	moat_range_str(&pair->selector.local, local);
	moat_range_str(&pair->selector.remote, remote);
	if (pair->refused)
		moat_act_log(pair->tunnel->ike->acts, MOAT_LOG_ERR, "policy-refused",
			     pair->tunnel->conf.name,
			     "traffic from %s to %s has no policy in the kernel and may "
			     "leave in clear: %s; mend it, then moat reload",
			     local, remote, why);
	else
		moat_act_log(pair->tunnel->ike->acts, MOAT_LOG_WARN, "policy-restored",
			     pair->tunnel->conf.name,
			     "traffic from %s to %s had no policy in the kernel: %s",
			     local, remote, why);
}

void moat_pair_bare(struct moat_ike *ike, const struct moat_event *event)
{
	struct moat_pair *pair = moat_pair_find(ike, event->policy_lost.policy);
	const char *why = event->policy_lost.text;
	bool again;

	if (!pair)
		return;
	again = pair->current || pair->asked;
	free(pair->refused);
	pair->refused = event->policy_lost.stands ? NULL : moat_dup(why, strlen(why) + 1);
	log_bare(pair, why);
	/* With the policy went its outbound SAs; the peer shall drop its ends too. */
	while (!TAILQ_EMPTY(&pair->children))
		moat_child_end(TAILQ_FIRST(&pair->children), true, why);
	moat_quick_leave(pair, why);
	if (pair->refused) {
		moat_pair_failed(pair, why);
		return;
	}
	/* It stands as it was known last: what was asked since has failed. */
	moat_pair_policy(pair, MOAT_ACT_POLICY_SET);
	if (again)
		moat_pair_connect(pair);
}

void moat_pair_lost(struct moat_pair *pair)
{
	struct moat_tunnel *tunnel = pair->tunnel;
	char local[2 * MOAT_ADDR_STRLEN];
	char remote[2 * MOAT_ADDR_STRLEN];

	if (tunnel->down || moat_child_fallback(pair))
		return;
	moat_act_log(tunnel->ike->acts, MOAT_LOG_INFO, "pair-lost", tunnel->conf.name,
		     "traffic from %s to %s has no SAs any more",
		     moat_range_str(&pair->selector.local, local),
		     moat_range_str(&pair->selector.remote, remote));
	/* Traffic asks again by itself; start = "up" does not wait for it. */
	if (moat_tunnel_persists(tunnel) && !tunnel->retry.slot)
		moat_timer_after(tunnel->ike, &tunnel->retry,
				 MOAT_SECOND +
					 moat_core_jitter(tunnel->ike, MOAT_SECOND));
}

const char *moat_pair_state(const struct moat_pair *pair)
{
	if (pair->refused)
		return "down";
	if (pair->current)
		return "up";
	if (pair->asked || pair->answering)
		return "connecting";
	if (pair->acquire_off && (!pair->tunnel->conf.any || pair->tunnel->down))
		return "down";
	return "waiting";
}
