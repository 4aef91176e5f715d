// SPDX-License-Identifier: GPL-2.0-or-later
/* Netlink client: policies, flows and counters. */
#include <errno.h>
#include <string.h>
#include "priv/nl_internal.h"

/** moat_nl_put_policy_id() - append what names a policy; 0 or a negative number */
int moat_nl_put_policy_id(struct nl_msg *msg, uint32_t id)
{
	struct nlattr *nest = nla_nest_start(msg, MOAT_A_MAIN_POLICY | NLA_F_NESTED);

	if (!nest || nla_put_u32(msg, MOAT_A_POLICY_ID, id))
		return -1;
	return nla_nest_end(msg, nest);
}

static int put_shape(struct nl_msg *msg, const struct moat_shape *shape)
{
	if ((shape->has_dscp && nla_put_u8(msg, MOAT_A_POLICY_DSCP, shape->dscp)) ||
	    (shape->df && nla_put_u8(msg, MOAT_A_POLICY_DF, shape->df)) ||
	    (shape->mtu && nla_put_u16(msg, MOAT_A_POLICY_MTU, shape->mtu)) ||
	    (shape->mss && nla_put_u16(msg, MOAT_A_POLICY_MSS, shape->mss)) ||
	    (shape->tfc && nla_put_u16(msg, MOAT_A_POLICY_TFC, shape->tfc)) ||
	    (shape->secpath && nla_put_flag(msg, MOAT_A_POLICY_SECPATH)))
		return -1;
	return 0;
}

static int put_mark(struct nl_msg *msg, const struct moat_nl_policy *policy)
{
	if (!policy->mark_mask)
		return 0;
	if (nla_put_u32(msg, MOAT_A_POLICY_MARK, policy->mark))
		return -1;
	return nla_put_u32(msg, MOAT_A_POLICY_MARK_MASK, policy->mark_mask);
}

static int put_policy(struct nl_msg *msg, const struct moat_nl_policy *policy)
{
	struct nlattr *nest = nla_nest_start(msg, MOAT_A_MAIN_POLICY | NLA_F_NESTED);

	if (!nest || nla_put_u32(msg, MOAT_A_POLICY_ID, policy->id) ||
	    moat_nl_put_selector(msg, MOAT_A_POLICY_SELECTOR, &policy->selector) ||
	    (policy->action && nla_put_u8(msg, MOAT_A_POLICY_ACTION, policy->action)) ||
	    (policy->priority &&
	     nla_put_u32(msg, MOAT_A_POLICY_PRIORITY, policy->priority)) ||
	    moat_nl_put_addr(msg, MOAT_A_POLICY_LOCAL, &policy->local) ||
	    moat_nl_put_addr(msg, MOAT_A_POLICY_REMOTE, &policy->remote) ||
	    (policy->mode && nla_put_u8(msg, MOAT_A_POLICY_MODE, policy->mode)) ||
	    (policy->acquire_off && nla_put_flag(msg, MOAT_A_POLICY_ACQUIRE_OFF)) ||
	    put_mark(msg, policy) || put_shape(msg, &policy->shape) ||
	    (policy->device[0] &&
	     nla_put_string(msg, MOAT_A_POLICY_DEVICE, policy->device)))
		return -1;
	return nla_nest_end(msg, nest);
}

static const struct nla_policy policy_policy[MOAT_A_POLICY_MAX + 1] = {
	[MOAT_A_POLICY_ID] = { .type = NLA_U32 },
	[MOAT_A_POLICY_SELECTOR] = { .type = NLA_NESTED },
	[MOAT_A_POLICY_ACTION] = { .type = NLA_U8 },
	[MOAT_A_POLICY_PRIORITY] = { .type = NLA_U32 },
	[MOAT_A_POLICY_MODE] = { .type = NLA_U8 },
	[MOAT_A_POLICY_SPI] = { .type = NLA_U32 },
	[MOAT_A_POLICY_ACQUIRE] = { .type = NLA_FLAG },
	[MOAT_A_POLICY_HELD] = { .type = NLA_U32 },
	[MOAT_A_POLICY_PACKETS] = { .type = NLA_U64 },
	[MOAT_A_POLICY_BYTES] = { .type = NLA_U64 },
	[MOAT_A_POLICY_IMPLICIT] = { .type = NLA_STRING },
	[MOAT_A_POLICY_ACQUIRE_OFF] = { .type = NLA_FLAG },
	[MOAT_A_POLICY_DSCP] = { .type = NLA_U8 },
	[MOAT_A_POLICY_DF] = { .type = NLA_U8 },
	[MOAT_A_POLICY_MTU] = { .type = NLA_U16 },
	[MOAT_A_POLICY_MSS] = { .type = NLA_U16 },
	[MOAT_A_POLICY_TFC] = { .type = NLA_U16 },
	[MOAT_A_POLICY_DEVICE] = { .type = NLA_STRING },
	[MOAT_A_POLICY_SECPATH] = { .type = NLA_FLAG },
	[MOAT_A_POLICY_MARK] = { .type = NLA_U32 },
	[MOAT_A_POLICY_MARK_MASK] = { .type = NLA_U32 },
	[MOAT_A_POLICY_SHADOWED] = { .type = NLA_U32 },
};

static uint32_t get_u32(const struct nlattr *attr)
{
	return attr ? nla_get_u32(attr) : 0;
}

static uint16_t get_u16(const struct nlattr *attr)
{
	return attr ? nla_get_u16(attr) : 0;
}

static uint8_t get_u8(const struct nlattr *attr)
{
	return attr ? nla_get_u8(attr) : 0;
}

static uint64_t get_u64(const struct nlattr *attr)
{
	return attr ? nla_get_u64(attr) : 0;
}

static void get_shape(struct moat_shape *shape, struct nlattr **tb)
{
	shape->has_dscp = tb[MOAT_A_POLICY_DSCP] != NULL;
	shape->dscp = get_u8(tb[MOAT_A_POLICY_DSCP]);
	shape->df = get_u8(tb[MOAT_A_POLICY_DF]);
	shape->mtu = get_u16(tb[MOAT_A_POLICY_MTU]);
	shape->mss = get_u16(tb[MOAT_A_POLICY_MSS]);
	shape->tfc = get_u16(tb[MOAT_A_POLICY_TFC]);
	shape->secpath = tb[MOAT_A_POLICY_SECPATH] != NULL;
}

/** moat_nl_get_policy() - read a policy into zeroed @policy; 0 or -EBADMSG */
int moat_nl_get_policy(struct moat_nl_policy *policy, struct nlattr *attr)
{
	struct nlattr *tb[MOAT_A_POLICY_MAX + 1];

	if (moat_nl_parse(tb, MOAT_A_POLICY_MAX, nla_data(attr), nla_len(attr),
			  policy_policy))
		return -EBADMSG;
	policy->id = get_u32(tb[MOAT_A_POLICY_ID]);
	policy->action = get_u8(tb[MOAT_A_POLICY_ACTION]);
	policy->priority = get_u32(tb[MOAT_A_POLICY_PRIORITY]);
	policy->mode = get_u8(tb[MOAT_A_POLICY_MODE]);
	policy->spi = get_u32(tb[MOAT_A_POLICY_SPI]);
	policy->acquire = tb[MOAT_A_POLICY_ACQUIRE] != NULL;
	policy->acquire_off = tb[MOAT_A_POLICY_ACQUIRE_OFF] != NULL;
	policy->held = get_u32(tb[MOAT_A_POLICY_HELD]);
	policy->packets = get_u64(tb[MOAT_A_POLICY_PACKETS]);
	policy->bytes = get_u64(tb[MOAT_A_POLICY_BYTES]);
	policy->mark = get_u32(tb[MOAT_A_POLICY_MARK]);
	policy->mark_mask = get_u32(tb[MOAT_A_POLICY_MARK_MASK]);
	policy->shadowed = tb[MOAT_A_POLICY_SHADOWED] != NULL;
	policy->shadow = get_u32(tb[MOAT_A_POLICY_SHADOWED]);
	get_shape(&policy->shape, tb);
	if (tb[MOAT_A_POLICY_DEVICE])
		nla_strlcpy(policy->device, tb[MOAT_A_POLICY_DEVICE],
			    sizeof(policy->device));
	if (tb[MOAT_A_POLICY_IMPLICIT])
		nla_strlcpy(policy->implicit, tb[MOAT_A_POLICY_IMPLICIT],
			    sizeof(policy->implicit));
	if ((tb[MOAT_A_POLICY_SELECTOR] &&
	     moat_nl_get_selector(&policy->selector, tb[MOAT_A_POLICY_SELECTOR])) ||
	    (tb[MOAT_A_POLICY_LOCAL] &&
	     moat_nl_get_addr(&policy->local, tb[MOAT_A_POLICY_LOCAL])) ||
	    (tb[MOAT_A_POLICY_REMOTE] &&
	     moat_nl_get_addr(&policy->remote, tb[MOAT_A_POLICY_REMOTE])))
		return -EBADMSG;
	return moat_nl_get_counters(&policy->drops, attr, MOAT_A_POLICY_DROP);
}

/** moat_nl_get_flow() - read a flow into zeroed @flow; 0 or -EBADMSG */
int moat_nl_get_flow(struct moat_nl_flow *flow, struct nlattr *attr)
{
	static const struct nla_policy policy[MOAT_A_FLOW_MAX + 1] = {
		[MOAT_A_FLOW_PROTOCOL] = { .type = NLA_U8 },
		[MOAT_A_FLOW_SPORT] = { .type = NLA_U16 },
		[MOAT_A_FLOW_DPORT] = { .type = NLA_U16 },
		[MOAT_A_FLOW_MARK] = { .type = NLA_U32 },
	};
	struct nlattr *tb[MOAT_A_FLOW_MAX + 1];

	if (moat_nl_parse(tb, MOAT_A_FLOW_MAX, nla_data(attr), nla_len(attr), policy) ||
	    !tb[MOAT_A_FLOW_SRC] || !tb[MOAT_A_FLOW_DST] ||
	    moat_nl_get_addr(&flow->src, tb[MOAT_A_FLOW_SRC]) ||
	    moat_nl_get_addr(&flow->dst, tb[MOAT_A_FLOW_DST]))
		return -EBADMSG;
	flow->protocol = get_u8(tb[MOAT_A_FLOW_PROTOCOL]);
	if (tb[MOAT_A_FLOW_SPORT])
		flow->sport = nla_get_u16(tb[MOAT_A_FLOW_SPORT]);
	if (tb[MOAT_A_FLOW_DPORT])
		flow->dport = nla_get_u16(tb[MOAT_A_FLOW_DPORT]);
	flow->mark = get_u32(tb[MOAT_A_FLOW_MARK]);
	return 0;
}

static int change_policy(struct moat_nl *nl, enum moat_cmd cmd,
			 const struct moat_nl_policy *policy)
{
	struct nl_msg *msg = moat_nl_request(nl, cmd, 0);

	if (msg && put_policy(msg, policy))
		return moat_nl_fail(nl, msg, -ENOMEM, "out of memory");
	return moat_nl_talk(nl, msg, NULL, NULL);
}

/** moat_nl_policy_add() - add a policy under a new id */
int moat_nl_policy_add(struct moat_nl *nl, const struct moat_nl_policy *policy)
{
	return change_policy(nl, MOAT_CMD_POLICY_ADD, policy);
}

/**
 * moat_nl_policy_set() - change action, acquire_off and endpoints of a policy
 * @nl: client
 * @policy: id; what is zero there stays, except acquire_off
 *
 * Return: 0 or a negative errno
 */
int moat_nl_policy_set(struct moat_nl *nl, const struct moat_nl_policy *policy)
{
	struct moat_nl_policy change = {
		.id = policy->id,
		.action = policy->action,
		.local = policy->local,
		.remote = policy->remote,
		.acquire_off = policy->acquire_off,
	};

	return change_policy(nl, MOAT_CMD_POLICY_SET, &change);
}

/**
 * moat_nl_policy_switch() - add outbound SAs and move a policy to them
 * @nl: client
 * @id: of the policy
 * @sas: one SA, or AH then ESP of a bundle
 * @n: their number
 *
 * Return: 0 or a negative errno; all or none was done
 */
int moat_nl_policy_switch(struct moat_nl *nl, uint32_t id, const struct moat_nl_sa *sas,
			  unsigned int n)
{
	struct nl_msg *msg = moat_nl_request(nl, MOAT_CMD_POLICY_SWITCH, 0);
	unsigned int i;

	if (msg && moat_nl_put_policy_id(msg, id))
		return moat_nl_fail(nl, msg, -ENOMEM, "out of memory");
	for (i = 0; msg && i < n; i++) {
		if (moat_nl_put_sa(msg, &sas[i]))
			return moat_nl_fail(nl, msg, -EMSGSIZE,
					    "the request is too long");
	}
	return moat_nl_talk(nl, msg, NULL, NULL);
}

static int read_one(struct nlattr *attrs, int len, void *arg)
{
	struct nlattr *attr = nla_find(attrs, len, MOAT_A_MAIN_POLICY);

	return attr ? moat_nl_get_policy(arg, attr) : -EBADMSG;
}

/** moat_nl_policy_get() - read the policy @id */
int moat_nl_policy_get(struct moat_nl *nl, uint32_t id, struct moat_nl_policy *policy)
{
	struct nl_msg *msg = moat_nl_request(nl, MOAT_CMD_POLICY_GET, 0);

	memset(policy, 0, sizeof(*policy));
	if (msg && moat_nl_put_policy_id(msg, id))
		return moat_nl_fail(nl, msg, -ENOMEM, "out of memory");
	return moat_nl_talk(nl, msg, read_one, policy);
}

/** moat_nl_policy_del() - delete the policy @id, its outbound SA and held packets */
int moat_nl_policy_del(struct moat_nl *nl, uint32_t id)
{
	struct nl_msg *msg = moat_nl_request(nl, MOAT_CMD_POLICY_DEL, 0);

	if (msg && moat_nl_put_policy_id(msg, id))
		return moat_nl_fail(nl, msg, -ENOMEM, "out of memory");
	return moat_nl_talk(nl, msg, NULL, NULL);
}

/** moat_nl_policy_flush() - delete all policies */
int moat_nl_policy_flush(struct moat_nl *nl)
{
	return moat_nl_simple(nl, MOAT_CMD_POLICY_FLUSH);
}

struct policy_visit {
	moat_nl_policy_fn fn;
	void *arg;
};

static int visit(struct nlattr *attrs, int len, void *arg)
{
	struct policy_visit *v = arg;
	struct moat_nl_policy policy = { 0 };
	int err = read_one(attrs, len, &policy);

	return err ? err : v->fn(&policy, v->arg);
}

/**
 * moat_nl_policy_dump() - call @fn for each policy, implicit ones first
 *
 * Return: 0, or the negative errno by which @fn ended the visits
 */
int moat_nl_policy_dump(struct moat_nl *nl, moat_nl_policy_fn fn, void *arg)
{
	struct policy_visit v = { .fn = fn, .arg = arg };

	return moat_nl_talk(nl, moat_nl_request(nl, MOAT_CMD_POLICY_GET, NLM_F_DUMP),
			    visit, &v);
}

static int read_answer(struct nlattr *attrs, int len, void *arg)
{
	struct moat_nl_answer *answer = arg;
	struct nlattr *attr;
	int rest;

	nla_for_each_attr(attr, attrs, len, rest) {
		int err = 0;

		switch (nla_type(attr)) {
		case MOAT_A_MAIN_VERDICT:
			if (nla_len(attr) != 1)
				return -EBADMSG;
			answer->verdict = nla_get_u8(attr);
			break;
		case MOAT_A_MAIN_POLICY:
			answer->has_policy = true;
			err = moat_nl_get_policy(&answer->policy, attr);
			break;
		case MOAT_A_MAIN_SA:
			if (answer->n_sas == 2)
				return -EBADMSG;
			err = moat_nl_get_sa(&answer->sas[answer->n_sas++], attr);
			break;
		case MOAT_A_MAIN_REASON:
			nla_strlcpy(answer->reason, attr, sizeof(answer->reason));
			break;
		case MOAT_A_MAIN_ORIGINAL:
			err = moat_nl_get_flow(&answer->original, attr);
			break;
		case MOAT_A_MAIN_TRANSLATED:
			answer->nat = true;
			err = moat_nl_get_flow(&answer->translated, attr);
			break;
		}
		if (err)
			return err;
	}
	return answer->verdict ? 0 : -EBADMSG;
}

static int put_flow(struct nl_msg *msg, const struct moat_nl_flow *flow)
{
	struct nlattr *nest = nla_nest_start(msg, MOAT_A_MAIN_FLOW | NLA_F_NESTED);

	if (!nest || moat_nl_put_addr(msg, MOAT_A_FLOW_SRC, &flow->src) ||
	    moat_nl_put_addr(msg, MOAT_A_FLOW_DST, &flow->dst) ||
	    nla_put_u8(msg, MOAT_A_FLOW_PROTOCOL, flow->protocol) ||
	    nla_put_u16(msg, MOAT_A_FLOW_SPORT, flow->sport) ||
	    nla_put_u16(msg, MOAT_A_FLOW_DPORT, flow->dport) ||
	    nla_put_u32(msg, MOAT_A_FLOW_MARK, flow->mark))
		return -1;
	return nla_nest_end(msg, nest);
}

/** moat_nl_flow_get() - ask what would happen to a packet, outbound */
int moat_nl_flow_get(struct moat_nl *nl, const struct moat_nl_flow *flow,
		     struct moat_nl_answer *answer)
{
	struct nl_msg *msg = moat_nl_request(nl, MOAT_CMD_FLOW_GET, 0);

	memset(answer, 0, sizeof(*answer));
	if (msg && put_flow(msg, flow))
		return moat_nl_fail(nl, msg, -ENOMEM, "out of memory");
	return moat_nl_talk(nl, msg, read_answer, answer);
}

static int read_stats(struct nlattr *attrs, int len, void *arg)
{
	struct nlattr *attr;
	int rest;

	nla_for_each_attr(attr, attrs, len, rest) {
		if (nla_type(attr) == MOAT_A_MAIN_COUNTER &&
		    moat_nl_get_counter(arg, attr))
			return -EBADMSG;
	}
	return 0;
}

/** moat_nl_stats_get() - read the counters of this network namespace */
int moat_nl_stats_get(struct moat_nl *nl, struct moat_nl_counters *stats)
{
	memset(stats, 0, sizeof(*stats));
	return moat_nl_talk(nl, moat_nl_request(nl, MOAT_CMD_STATS_GET, 0), read_stats,
			    stats);
}
