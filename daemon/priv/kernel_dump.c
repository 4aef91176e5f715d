// SPDX-License-Identifier: GPL-2.0-or-later
/* What the module holds and reports, on its way to the ike process. */
#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "priv/kernel_internal.h"
#include "priv/log.h"

static bool ours(uint32_t policy)
{
	return policy >= MOAT_POLICY_BASE && policy < MOAT_POLICY_END;
}

static void copy_counters(struct moat_ipc_counters *to,
			  const struct moat_nl_counters *from)
{
	to->n = from->n < MOAT_IPC_COUNTERS ? from->n : MOAT_IPC_COUNTERS;
	for (unsigned int i = 0; i < to->n; i++) {
		moat_ipc_text(to->list[i].name, "%s", from->list[i].name);
		to->list[i].value = from->list[i].value;
	}
}

static void fill_sa_info(struct moat_kernel *kernel, struct moat_ipc *msg,
			 const struct moat_nl_sa *sa)
{
	const struct moat_known_policy *policy = moat_kernel_policy(kernel, sa->policy);
	struct moat_sa_params *params = &msg->sa_info.sa;

	params->direction = sa->direction;
	params->protocol = sa->protocol;
	params->spi = sa->spi;
	params->src = sa->src;
	params->dst = sa->dst;
	params->mode = sa->mode;
	params->enc = sa->enc;
	params->auth = sa->auth;
	params->icv_len = sa->icv_len;
	params->esn = sa->esn;
	params->replay = sa->replay;
	params->policy = sa->policy;
	params->selector = sa->selector;
	params->encap[0] = sa->encap_sport;
	params->encap[1] = sa->encap_dport;
	params->peer = sa->peer;
	msg->sa_info.state = sa->state;
	params->owner_len = sa->owner_len;
	memcpy(params->owner, sa->owner, sa->owner_len);
	msg->sa_info.key_bits = sa->key_bits;
	msg->sa_info.packets = sa->packets;
	msg->sa_info.bytes = sa->bytes;
	msg->sa_info.created = sa->created;
	msg->sa_info.last_used = sa->last_used;
	msg->sa_info.mtu = sa->mtu;
	msg->sa_info.bundle = sa->bundle;
	if (policy)
		moat_ipc_text(msg->sa_info.tunnel, "%s", policy->tunnel);
	copy_counters(&msg->sa_info.drops, &sa->drops);
}

/**
 * struct dump - a dump on its way
 */
struct dump {
	struct moat_kernel *kernel;
	uint32_t token;
};

static int send_sa(const struct moat_nl_sa *sa, void *arg)
{
	struct dump *dump = arg;
	struct moat_ipc msg;

	moat_ipc_init(&msg, MOAT_IPC_SA_INFO, dump->token);
	fill_sa_info(dump->kernel, &msg, sa);
	moat_kernel_say(dump->kernel, &msg);
	return 0;
}

static int send_policy(const struct moat_nl_policy *policy, void *arg)
{
	struct dump *dump = arg;
	struct moat_policy_params *params;
	struct moat_ipc msg;

	moat_ipc_init(&msg, MOAT_IPC_POLICY_INFO, dump->token);
	params = &msg.policy_info.policy;
	params->id = policy->id;
	params->selector = policy->selector;
	params->action = policy->action;
	params->priority = policy->priority;
	params->mark = policy->mark;
	params->local = policy->local;
	params->remote = policy->remote;
	params->mode = policy->mode;
	params->acquire_off = policy->acquire_off;
	params->shape = policy->shape;
	memcpy(params->device, policy->device, sizeof(params->device));
	msg.policy_info.spi = policy->spi;
	msg.policy_info.held = policy->held;
	msg.policy_info.acquire = policy->acquire;
	msg.policy_info.packets = policy->packets;
	msg.policy_info.bytes = policy->bytes;
	moat_ipc_text(msg.policy_info.implicit, "%s", policy->implicit);
	copy_counters(&msg.policy_info.drops, &policy->drops);
	moat_kernel_say(dump->kernel, &msg);
	return 0;
}

static void unsee(const void *node, VISIT which, void *arg)
{
	struct moat_known_policy *policy = *(struct moat_known_policy *const *)node;

	(void)which;
	(void)arg;
	policy->seen = policy->unbound = false;
}

static int see(const struct moat_nl_policy *policy, void *arg)
{
	struct moat_known_policy *known = moat_kernel_policy(arg, policy->id);

	if (!known)
		return 0;
	known->unbound = strcmp(policy->device, known->params.device) != 0;
	known->seen = !known->unbound;
	return 0;
}

/* What is configured no more the ike process is about to give up. */
static void restore(const void *node, VISIT which, void *arg)
{
	const struct moat_known_policy *policy =
		*(const struct moat_known_policy *const *)node;
	char tunnel[MOAT_TUNNEL_NAME_MAX + 1];

	if ((which == postorder || which == leaf) && !policy->seen && policy->claimed &&
	    !moat_kernel_check_policy(arg, &policy->params, tunnel))
		moat_kernel_restore(arg, policy);
}

void moat_kernel_audit(struct moat_kernel *kernel)
{
	kernel->audit = false;
	twalk_r(kernel->policies, unsee, NULL);
	if (!moat_nl_policy_dump(kernel->nl, see, kernel))
		twalk_r(kernel->policies, restore, kernel);
}

void moat_kernel_dump(struct moat_kernel *kernel, uint32_t token)
{
	struct dump dump = { .kernel = kernel, .token = token };
	struct moat_nl_counters stats = { 0 };
	struct moat_ipc msg;
	int err;

	moat_kernel_audit(kernel);
	err = moat_nl_sa_dump(kernel->nl, send_sa, &dump);
	if (!err)
		err = moat_nl_policy_dump(kernel->nl, send_policy, &dump);
	if (!err)
		err = moat_nl_stats_get(kernel->nl, &stats);
	moat_ipc_init(&msg, MOAT_IPC_COUNTERS_INFO, token);
	copy_counters(&msg.counters, &stats);
	moat_kernel_say(kernel, &msg);
	moat_ipc_init(&msg, MOAT_IPC_ANSWER, token);
	msg.answer.ok = !err;
	if (err)
		moat_ipc_text(msg.answer.text, "dump: %s", moat_nl_error(kernel->nl));
	moat_kernel_say(kernel, &msg);
}

/**
 * struct leftovers - what earlier daemons left
 * @n_sas: how many, likewise @n_policies
 * @sas: to be deleted; @policies likewise
 */
struct leftovers {
	struct moat_kernel *kernel;
	unsigned int n_sas;
	unsigned int n_policies;
	struct moat_nl_sa *sas;
	uint32_t *policies;
};

/* An SA whose policy is gone serves nobody. */
static int note_sa(const struct moat_nl_sa *sa, void *arg)
{
	struct leftovers *left = arg;

	if (!ours(sa->policy) || moat_kernel_policy(left->kernel, sa->policy))
		return 0;
	left->sas = reallocarray(left->sas, left->n_sas + 1, sizeof(*sa));
	if (!left->sas)
		abort();
	left->sas[left->n_sas++] = *sa;
	return 0;
}

static int note_policy(const struct moat_nl_policy *policy, void *arg)
{
	struct leftovers *left = arg;
	const struct moat_known_policy *known =
		moat_kernel_policy(left->kernel, policy->id);

	if (policy->implicit[0] || !ours(policy->id) || !known || known->claimed ||
	    moat_kernel_bares(left->kernel, known))
		return 0;
	left->policies = reallocarray(left->policies, left->n_policies + 1,
				      sizeof(*left->policies));
	if (!left->policies)
		abort();
	left->policies[left->n_policies++] = policy->id;
	return 0;
}

static bool clean_policies(struct moat_kernel *kernel, struct leftovers *left)
{
	if (moat_nl_policy_dump(kernel->nl, note_policy, left))
		return false;
	for (unsigned int i = 0; i < left->n_policies; i++) {
		moat_routes_del(kernel->routes,
				moat_kernel_policy(kernel, left->policies[i]));
		if (moat_nl_policy_del(kernel->nl, left->policies[i]))
			return false;
		moat_kernel_forget(kernel, left->policies[i]);
	}
	return true;
}

static bool clean_sas(struct moat_kernel *kernel, struct leftovers *left)
{
	if (moat_nl_sa_dump(kernel->nl, note_sa, left))
		return false;
	for (unsigned int i = 0; i < left->n_sas; i++) {
		int err = moat_nl_sa_del(kernel->nl, &left->sas[i]);

		if (err && err != -ENOENT)
			return false;
	}
	return true;
}

void moat_kernel_clean(struct moat_kernel *kernel)
{
	struct leftovers left = { .kernel = kernel };

	/* Outbound SAs go with their policies. */
	if (!clean_policies(kernel, &left) || !clean_sas(kernel, &left))
		moat_log(MOAT_LOG_ERR, "kernel-refused", NULL,
			 "removing what an earlier daemon left: %s",
			 moat_nl_error(kernel->nl));
	else if (left.n_policies || left.n_sas)
		moat_log(MOAT_LOG_INFO, "kernel-cleaned", NULL,
			 "removed %u policies and %u SAs of an earlier daemon",
			 left.n_policies, left.n_sas);
	free(left.policies);
	free(left.sas);
}

static int adopt_policy(const struct moat_nl_policy *policy, void *arg)
{
	struct moat_kernel *kernel = arg;
	struct moat_policy_params params = { .id = policy->id,
					     .selector = policy->selector,
					     .action = policy->action,
					     .priority = policy->priority,
					     .mark = policy->mark,
					     .local = policy->local,
					     .remote = policy->remote,
					     .mode = policy->mode,
					     .acquire_off = policy->acquire_off,
					     .shape = policy->shape };
	char tunnel[MOAT_TUNNEL_NAME_MAX + 1];

	if (policy->implicit[0] || !ours(policy->id) ||
	    moat_kernel_policy(kernel, policy->id))
		return 0;
	memcpy(params.device, policy->device, sizeof(params.device));
	moat_kernel_check_policy(kernel, &params, tunnel);
	moat_kernel_remember(kernel, &params, tunnel);
	return 0;
}

void moat_kernel_adopt(struct moat_kernel *kernel)
{
	if (moat_nl_policy_dump(kernel->nl, adopt_policy, kernel))
		moat_log(MOAT_LOG_ERR, "kernel-refused", NULL, "policy dump: %s",
			 moat_nl_error(kernel->nl));
}

void moat_kernel_last_words(struct moat_kernel *kernel, const struct moat_nl_sa *sa)
{
	struct moat_ipc msg;

	moat_ipc_init(&msg, MOAT_IPC_SA_INFO, 0);
	fill_sa_info(kernel, &msg, sa);
	moat_kernel_say(kernel, &msg);
}

static void send_acquire(struct moat_kernel *kernel, const struct moat_nl_policy *policy,
			 const struct moat_nl_flow *flow)
{
	struct moat_ipc msg;

	moat_ipc_init(&msg, MOAT_IPC_ACQUIRE, 0);
	msg.acquire.policy = policy->id;
	msg.acquire.src = flow->src;
	msg.acquire.dst = flow->dst;
	msg.acquire.protocol = flow->protocol;
	moat_kernel_say(kernel, &msg);
}

static void send_expire(struct moat_kernel *kernel, const struct moat_nl_event *event,
			enum moat_ipc_type type)
{
	struct moat_ipc msg;

	if (type == MOAT_IPC_EXPIRE && event->hard)
		moat_kernel_last_words(kernel, &event->sa);
	moat_ipc_init(&msg, type, 0);
	msg.expire.direction = event->sa.direction;
	msg.expire.protocol = event->sa.protocol;
	msg.expire.spi = event->sa.spi;
	msg.expire.dst = event->sa.dst;
	msg.expire.policy = event->sa.policy;
	msg.expire.hard = event->hard;
	moat_kernel_say(kernel, &msg);
}

/*
 * The kernel has authenticated it, so the policy's endpoint is there from now on,
 * also for what the ike process asks next.
 */
static void send_mapping(struct moat_kernel *kernel, const struct moat_nl_event *event)
{
	struct moat_known_policy *policy = moat_kernel_policy(kernel, event->sa.policy);
	struct moat_ipc msg;

	if (policy)
		policy->params.remote = event->addr;
	moat_ipc_init(&msg, MOAT_IPC_MAPPING, 0);
	msg.mapping.policy = event->sa.policy;
	msg.mapping.protocol = event->sa.protocol;
	msg.mapping.spi = event->sa.spi;
	msg.mapping.dst = event->sa.dst;
	msg.mapping.peer.addr = event->addr;
	msg.mapping.peer.port = event->port;
	moat_kernel_say(kernel, &msg);
}

static void send_unknown(struct moat_kernel *kernel, const struct moat_nl_event *event)
{
	struct moat_ipc msg;

	moat_ipc_init(&msg, MOAT_IPC_UNKNOWN_SPI, 0);
	msg.unknown_spi.protocol = event->sa.protocol;
	msg.unknown_spi.spi = event->sa.spi;
	msg.unknown_spi.local = event->sa.dst;
	msg.unknown_spi.remote = event->sa.src;
	moat_kernel_say(kernel, &msg);
}

/* Not so when it was us: then it is known no more. */
static bool was_ours(struct moat_kernel *kernel, uint32_t id)
{
	return !id || moat_kernel_policy(kernel, id);
}

static void pass_on(const struct moat_nl_event *event, void *arg)
{
	struct moat_kernel *kernel = arg;

	switch (event->kind) {
	case MOAT_CMD_ACQUIRE_NTF:
		if (ours(event->policy.id))
			send_acquire(kernel, &event->policy, &event->flow);
		break;
	case MOAT_CMD_EXPIRE_NTF:
		if (ours(event->sa.policy))
			send_expire(kernel, event, MOAT_IPC_EXPIRE);
		break;
	case MOAT_CMD_FIRST_USE_NTF:
		if (ours(event->sa.policy))
			send_expire(kernel, event, MOAT_IPC_FIRST_USE);
		break;
	case MOAT_CMD_MAPPING_NTF:
		if (ours(event->sa.policy))
			send_mapping(kernel, event);
		break;
	case MOAT_CMD_UNKNOWN_SPI_NTF:
		send_unknown(kernel, event);
		break;
	case MOAT_CMD_POLICY_GONE_NTF:
		kernel->audit = kernel->audit || was_ours(kernel, event->policy.id);
		break;
	default:
		break;
	}
}

/* What a lost acquire would have said. */
static int send_pending(const struct moat_nl_policy *policy, void *arg)
{
	static const struct moat_nl_flow unknown;
	struct moat_kernel *kernel = arg;

	if (policy->acquire && ours(policy->id))
		send_acquire(kernel, policy, &unknown);
	return 0;
}

void moat_kernel_events(struct moat_kernel *kernel)
{
	int err = moat_nl_events(kernel->nl, pass_on, kernel);

	if (err == -ENOBUFS) {
		moat_log(MOAT_LOG_WARN, "kernel-events-lost", NULL,
			 "asking the kernel which policies wait for an SA");
		err = moat_nl_policy_dump(kernel->nl, send_pending, kernel);
		kernel->audit = true;
	}
	if (kernel->audit)
		moat_kernel_audit(kernel);
	if (err)
		moat_log(MOAT_LOG_ERR, "kernel-events", NULL, "%s",
			 moat_nl_error(kernel->nl));
}
