// SPDX-License-Identifier: GPL-2.0-or-later
/* Requests of the ike process: checked, handed to the module, answered. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "priv/kernel_internal.h"
#include "priv/log.h"

static void fill_sa(struct moat_nl_sa *sa, const struct moat_sa_params *params)
{
	*sa = (struct moat_nl_sa){
		.direction = params->direction,
		.protocol = params->protocol,
		.spi = params->spi,
		.src = params->src,
		.dst = params->dst,
		.mode = params->mode,
		.enc = params->enc,
		.enc_key = params->enc_key,
		.enc_key_len = params->enc_key_len,
		.auth = params->auth,
		.auth_key = params->auth_key,
		.auth_key_len = params->auth_key_len,
		.icv_len = params->icv_len,
		.replay = params->direction == MOAT_DIRECTION_IN ? params->replay : 0,
		.esn = params->esn,
		.policy = params->policy,
		.selector = params->selector,
		.encap_sport = params->encap[0],
		.encap_dport = params->encap[1],
		.soft_seconds = params->soft_seconds,
		.hard_seconds = params->hard_seconds,
		.soft_bytes = params->soft_bytes,
		.hard_bytes = params->hard_bytes,
		.owner_len = params->owner_len,
	};
	memcpy(sa->owner, params->owner, params->owner_len);
}

static void fill_policy(struct moat_nl_policy *policy,
			const struct moat_policy_params *params)
{
	*policy = (struct moat_nl_policy){
		.id = params->id,
		.selector = params->selector,
		.action = params->action,
		.priority = params->priority,
		.mark = params->mark,
		.mark_mask = params->mark ? UINT32_MAX : 0,
		.local = params->local,
		.remote = params->remote,
		.mode = params->mode,
		.acquire_off = params->acquire_off,
		.shape = params->shape,
	};
	memcpy(policy->device, params->device, sizeof(policy->device));
}

/**
 * struct outcome - how a request went
 * @what: the request's name in the netlink contract
 * @tunnel: whose it was
 * @policy: whose it was
 * @why: NULL when it was done
 * @spi: what was reserved
 * @unused: the SA has not carried a packet
 * @made: why no device could be made
 * @bare: without it, its traffic has no policy
 */
struct outcome {
	const char *what;
	char tunnel[MOAT_TUNNEL_NAME_MAX + 1];
	uint32_t policy;
	const char *why;
	uint32_t spi;
	bool unused;
	char made[128];
	bool bare;
};

static void set_tunnel(struct outcome *out, const struct moat_known_policy *policy)
{
	snprintf(out->tunnel, sizeof(out->tunnel), "%s", policy->tunnel);
}

static void do_spi_alloc(struct moat_kernel *kernel, const struct moat_ipc *msg,
			 struct outcome *out)
{
	out->what = "spi-alloc";
	if (moat_nl_spi_alloc(kernel->nl, msg->spi_alloc.protocol, &msg->spi_alloc.dst, 0,
			      0, &out->spi))
		out->why = moat_nl_error(kernel->nl);
}

/* The outer SA of a bundle waits for its inner one, which comes next. */
static void keep_outer(struct moat_kernel *kernel, const struct moat_ipc *msg)
{
	const struct moat_known_policy *policy =
		moat_kernel_policy(kernel, msg->sa.policy);

	explicit_bzero(&kernel->outer, sizeof(kernel->outer));
	if (policy && !moat_kernel_check_sa(kernel, policy, &msg->sa))
		kernel->outer = msg->sa;
}

static void do_sa(struct moat_kernel *kernel, const struct moat_ipc *msg,
		  struct outcome *out)
{
	const struct moat_known_policy *policy =
		moat_kernel_policy(kernel, msg->sa.policy);
	bool add = msg->type == MOAT_IPC_SA_ADD;
	struct moat_sa_params *outer = &kernel->outer;
	struct moat_nl_sa sas[2];
	size_t n = 0;
	int err;

	out->what = add ? "sa-add" : "policy-switch";
	out->policy = msg->sa.policy;
	if (!policy) {
		out->why = "there is no such policy";
		return;
	}
	set_tunnel(out, policy);
	out->why = moat_kernel_check_sa(kernel, policy, &msg->sa);
	if (out->why)
		return;
	if (msg->sa.bundle == MOAT_BUNDLE_INNER) {
		if (outer->policy != msg->sa.policy ||
		    outer->direction != msg->sa.direction) {
			out->why = "the outer SA of its bundle may not stand";
			return;
		}
		fill_sa(&sas[n++], outer);
	}
	fill_sa(&sas[n++], &msg->sa);
	/* Any number that both have makes a bundle of them. */
	for (size_t i = 0; n == 2 && i < n; i++)
		sas[i].bundle = outer->spi;
	err = add ? moat_nl_sa_add(kernel->nl, sas, n)
		  : moat_nl_policy_switch(kernel->nl, msg->sa.policy, sas, n);
	if (err)
		out->why = moat_nl_error(kernel->nl);
}

/* The SA that a request is about. */
static struct moat_nl_sa named(const struct moat_ipc *msg)
{
	return (struct moat_nl_sa){ .direction = msg->sa.direction,
				    .protocol = msg->sa.protocol,
				    .dst = msg->sa.dst,
				    .spi = msg->sa.spi };
}

/*
 * Is the SA there, and ours to change? Whose limit came first, or an operator, is
 * gone: then there is nothing to do, and nothing to complain of.
 */
static bool may_change(struct moat_kernel *kernel, const struct moat_nl_sa *key,
		       struct moat_nl_sa *sa, struct outcome *out)
{
	const struct moat_known_policy *policy;
	int err = moat_nl_sa_get(kernel->nl, key, sa);

	if (err && err != -ENOENT)
		out->why = moat_nl_error(kernel->nl);
	if (err)
		return false;
	out->policy = sa->policy;
	policy = moat_kernel_policy(kernel, sa->policy);
	if (policy)
		set_tunnel(out, policy);
	else if (sa->state != MOAT_SA_STATE_RESERVED)
		out->why = "it is no SA of this daemon";
	return !out->why;
}

static void do_sa_del(struct moat_kernel *kernel, const struct moat_ipc *msg,
		      struct outcome *out)
{
	struct moat_nl_sa key = named(msg);
	struct moat_nl_sa sa;
	int err;

	out->what = "sa-del";
	if (!may_change(kernel, &key, &sa, out))
		return;
	moat_kernel_last_words(kernel, &sa);
	err = moat_nl_sa_del(kernel->nl, &key);
	if (err && err != -ENOENT)
		out->why = moat_nl_error(kernel->nl);
}

/* A module that is older than this daemon goes on with the owner that it has. */
static void do_sa_set(struct moat_kernel *kernel, const struct moat_ipc *msg,
		      struct outcome *out)
{
	struct moat_nl_sa key = named(msg);
	struct moat_nl_sa sa;
	int err;

	out->what = "sa-set";
	if (msg->sa.owner_len > MOAT_OWNER_MAX) {
		out->why = "a length is wrong";
		return;
	}
	if (!may_change(kernel, &key, &sa, out))
		return;
	key.owner_len = msg->sa.owner_len;
	memcpy(key.owner, msg->sa.owner, msg->sa.owner_len);
	err = moat_nl_sa_set(kernel->nl, &key);
	if (err && err != -ENOENT && err != -EOPNOTSUPP)
		out->why = moat_nl_error(kernel->nl);
}

/* One that is gone has been of use as well: whoever asks shall go on as usual. */
static void do_sa_unused(struct moat_kernel *kernel, const struct moat_ipc *msg,
			 struct outcome *out)
{
	struct moat_nl_sa key = named(msg);
	struct moat_nl_sa sa;

	out->unused = !moat_nl_sa_get(kernel->nl, &key, &sa) && !sa.packets;
}

static void do_sa_move(struct moat_kernel *kernel, const struct moat_ipc *msg,
		       struct outcome *out)
{
	const struct moat_endpoint *peer = &msg->mapping.peer;
	struct moat_nl_sa key = { .direction = MOAT_DIRECTION_OUT,
				  .protocol = msg->mapping.protocol,
				  .dst = msg->mapping.dst,
				  .spi = msg->mapping.spi };
	struct moat_known_policy *policy =
		moat_kernel_policy(kernel, msg->mapping.policy);

	out->what = "sa-move";
	out->policy = msg->mapping.policy;
	if (!policy) {
		out->why = "there is no such policy";
		return;
	}
	set_tunnel(out, policy);
	out->why = moat_kernel_check_peer(kernel, policy, &peer->addr);
	if (out->why)
		return;
	if (moat_nl_sa_move(kernel->nl, &key, peer))
		out->why = moat_nl_error(kernel->nl);
	else
		policy->params.remote = peer->addr;
}

/* A device that is not there is made. */
static bool add_policy(struct moat_kernel *kernel, const struct moat_nl_policy *policy,
		       struct outcome *out)
{
	int err = moat_nl_policy_add(kernel->nl, policy);

	if (err != -ENODEV || !policy->device[0])
		return !err;
	return moat_device_make(policy->device, out->tunnel, out->made,
				sizeof(out->made)) &&
	       !moat_nl_policy_add(kernel->nl, policy);
}

void moat_kernel_lost(struct moat_kernel *kernel, uint32_t id, bool stands,
		      const char *why)
{
	struct moat_ipc msg;

	moat_ipc_init(&msg, MOAT_IPC_POLICY_LOST, 0);
	msg.policy_lost.policy = id;
	msg.policy_lost.stands = stands;
	moat_ipc_text(msg.policy_lost.text, "%s", why);
	moat_kernel_say(kernel, &msg);
}

bool moat_kernel_restore(struct moat_kernel *kernel,
			 const struct moat_known_policy *known)
{
	struct outcome out = { .policy = known->params.id };
	struct moat_nl_policy policy;
	bool ok;

	set_tunnel(&out, known);
	fill_policy(&policy, &known->params);
	/* A policy is bound to the device that it was made for, for good. */
	if (known->unbound)
		moat_nl_policy_del(kernel->nl, known->params.id);
	ok = add_policy(kernel, &policy, &out);
	moat_kernel_lost(kernel, known->params.id, ok,
			 ok && known->unbound
				 ? "somebody deleted its device; both stand again"
			 : ok	       ? "somebody deleted it; it stands again"
			 : out.made[0] ? out.made
				       : moat_nl_error(kernel->nl));
	return ok;
}

static void do_policy(struct moat_kernel *kernel, const struct moat_ipc *msg,
		      struct outcome *out)
{
	bool add = msg->type == MOAT_IPC_POLICY_ADD;
	struct moat_known_policy *known;
	struct moat_nl_policy policy;

	out->what = add ? "policy-add" : "policy-set";
	out->bare = add;
	out->policy = msg->policy.id;
	out->why = moat_kernel_check_policy(kernel, &msg->policy, out->tunnel);
	if (out->why)
		return;
	fill_policy(&policy, &msg->policy);
	if (add ? !add_policy(kernel, &policy, out)
		: moat_nl_policy_set(kernel->nl, &policy)) {
		out->why = out->made[0] ? out->made : moat_nl_error(kernel->nl);
		return;
	}
	known = moat_kernel_remember(kernel, &msg->policy, out->tunnel);
	known->claimed = true;
	if (msg->policy.route)
		moat_routes_add(kernel->routes, known);
	else
		moat_routes_del(kernel->routes, known);
}

static void do_policy_del(struct moat_kernel *kernel, const struct moat_ipc *msg,
			  struct outcome *out)
{
	struct moat_known_policy *policy = moat_kernel_policy(kernel, msg->policy.id);
	int err;

	out->what = "policy-del";
	out->policy = msg->policy.id;
	/* One that the module refused never stood, and is gone in any case. */
	if (!policy)
		return;
	set_tunnel(out, policy);
	if (moat_kernel_bares(kernel, policy)) {
		out->why = "its traffic is configured to be protected, and no other "
			   "policy stands in for it";
		return;
	}
	/* First the source of the gateway's own packets, which it alone may cover. */
	moat_routes_del(kernel->routes, policy);
	err = moat_nl_policy_del(kernel->nl, msg->policy.id);
	if (err && err != -ENOENT)
		out->why = moat_nl_error(kernel->nl);
	moat_kernel_forget(kernel, msg->policy.id);
}

static void answer(struct moat_kernel *kernel, uint32_t token, const struct outcome *out)
{
	struct moat_ipc msg;

	moat_ipc_init(&msg, MOAT_IPC_ANSWER, token);
	msg.answer.ok = !out->why;
	msg.answer.spi = out->spi;
	msg.answer.unused = out->unused;
	if (out->why) {
		moat_ipc_text(msg.answer.text, "%s, policy %u: %s", out->what,
			      out->policy, out->why);
		moat_log(MOAT_LOG_ERR, "kernel-refused", out->tunnel, "%s",
			 msg.answer.text);
	}
	if (out->why && out->bare)
		moat_kernel_lost(kernel, out->policy, false, msg.answer.text);
	if (token)
		moat_kernel_say(kernel, &msg);
}

void moat_kernel_request(struct moat_kernel *kernel, const struct moat_ipc *msg)
{
	struct outcome out = { .tunnel = "-" };

	switch (msg->type) {
	case MOAT_IPC_SPI_ALLOC:
		do_spi_alloc(kernel, msg, &out);
		break;
	case MOAT_IPC_SA_ADD:
	case MOAT_IPC_POLICY_SWITCH:
		if (msg->sa.bundle == MOAT_BUNDLE_OUTER) {
			keep_outer(kernel, msg);
			return;
		}
		do_sa(kernel, msg, &out);
		explicit_bzero(&kernel->outer, sizeof(kernel->outer));
		break;
	case MOAT_IPC_SA_DEL:
		do_sa_del(kernel, msg, &out);
		break;
	case MOAT_IPC_SA_UNUSED:
		do_sa_unused(kernel, msg, &out);
		break;
	case MOAT_IPC_SA_SET:
		do_sa_set(kernel, msg, &out);
		break;
	case MOAT_IPC_SA_MOVE:
		do_sa_move(kernel, msg, &out);
		break;
	case MOAT_IPC_POLICY_ADD:
	case MOAT_IPC_POLICY_SET:
		do_policy(kernel, msg, &out);
		break;
	case MOAT_IPC_POLICY_DEL:
		do_policy_del(kernel, msg, &out);
		break;
	case MOAT_IPC_CLEAN:
		moat_kernel_clean(kernel);
		moat_routes_sweep(kernel->routes);
		return;
	case MOAT_IPC_DUMP:
		moat_kernel_dump(kernel, msg->token);
		return;
	default:
		out.what = "unknown request";
		out.why = "the ike process may not send this";
	}
	answer(kernel, msg->token, &out);
	/* Its policy may be there no more. */
	if (out.why && !out.bare && moat_kernel_policy(kernel, out.policy))
		moat_kernel_audit(kernel);
}
