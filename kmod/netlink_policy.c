// SPDX-License-Identifier: GPL-2.0
/* Requests about policies, and what would happen to a packet. */

#include <linux/in.h>
#include <linux/rtnetlink.h>
#include <net/ndisc.h>

#include "device.h"
#include "event.h"
#include "nat_known.h"
#include "netlink.h"

/* Both endpoints or none; *given says which. */
static int moat_nl_ends(struct moat_ends_key *ends, bool *given,
			struct nlattr **tb, struct netlink_ext_ack *extack)
{
	struct moat_nl_addr local, remote;
	int err;

	*given = tb[MOAT_A_POLICY_LOCAL] || tb[MOAT_A_POLICY_REMOTE];
	if (!*given)
		return 0;
	err = moat_nl_host(&local, tb[MOAT_A_POLICY_LOCAL], "policy.local",
			   extack);
	if (!err)
		err = moat_nl_host(&remote, tb[MOAT_A_POLICY_REMOTE],
				   "policy.remote", extack);
	if (err)
		return err;
	if (local.family != remote.family) {
		NL_SET_ERR_MSG(extack, "policy.local and policy.remote are of different families");
		return -EINVAL;
	}
	memset(ends, 0, sizeof(*ends));
	ends->local = local.addr;
	ends->remote = remote.addr;
	ends->family = local.family;
	return 0;
}

/* Endpoints go with protect, and only with it. */
static int moat_nl_ends_fit(u8 action, bool given,
			    struct netlink_ext_ack *extack)
{
	bool protect = action == MOAT_ACTION_PROTECT;

	if (protect == given)
		return 0;
	NL_SET_ERR_MSG_FMT(extack, "%s", given ?
		       "endpoints are of policies that protect only" :
		       "a policy that protects needs both its endpoints");
	return -EINVAL;
}

static int moat_nl_policy_fill(struct moat_policy *policy,
			       struct nlattr **tb,
			       struct netlink_ext_ack *extack)
{
	int err;

	if (!tb[MOAT_A_POLICY_ID])
		return moat_nl_missing("policy.id", extack);
	policy->id = nla_get_u32(tb[MOAT_A_POLICY_ID]);
	if (!policy->id) {
		NL_SET_ERR_MSG(extack, "policy.id is 0, which stands for none");
		return -EINVAL;
	}
	if (tb[MOAT_A_POLICY_PRIORITY])
		policy->priority = nla_get_u32(tb[MOAT_A_POLICY_PRIORITY]);
	policy->acquire_off = tb[MOAT_A_POLICY_ACQUIRE_OFF];
	policy->action = MOAT_ACTION_PROTECT;
	policy->mode = MOAT_MODE_TUNNEL;
	err = moat_nl_one_of(&policy->action, tb[MOAT_A_POLICY_ACTION],
			     MOAT_ACTION_PROTECT, MOAT_ACTION_DISCARD,
			     "policy.action", extack);
	if (!err)
		err = moat_nl_mode(&policy->mode, tb[MOAT_A_POLICY_MODE],
				   "policy.mode", extack);
	if (!err)
		err = moat_nl_selector(&policy->selector,
				       tb[MOAT_A_POLICY_SELECTOR], extack);
	if (!err)
		err = moat_nl_mark(policy, tb, extack);
	if (!err)
		err = moat_nl_shape(policy, tb, extack);
	return err;
}

/* What is routed to a device has no other way: it is protected or dropped. */
static int moat_nl_device_fits(const struct moat_policy *policy,
			       struct netlink_ext_ack *extack)
{
	if (policy->action != MOAT_ACTION_BYPASS &&
	    policy->mode == MOAT_MODE_TUNNEL)
		return 0;
	NL_SET_ERR_MSG(extack, "a policy of a device protects in tunnel mode, or discards");
	return -EINVAL;
}

static int moat_nl_policy_insert(struct moat_policy *policy,
				 const struct nlattr *device,
				 const struct moat_ends_key *ends,
				 struct netlink_ext_ack *extack)
{
	struct moat_net *mn = policy->mn;
	int err = 0;

	if (device) {
		err = moat_nl_device_fits(policy, extack);
		if (err)
			return err;
		rtnl_lock();
	}
	mutex_lock(&mn->lock);
	if (device)
		err = moat_device_bind(policy, nla_data(device), extack);
	if (!err)
		err = moat_policy_add(policy, ends, extack);
	if (err)
		moat_device_unbind(policy);
	mutex_unlock(&mn->lock);
	if (device)
		rtnl_unlock();
	return err;
}

/* Transport mode: between two hosts, who are the endpoints. */
static int moat_nl_policy_hosts(const struct moat_policy *policy,
				const struct moat_ends_key *ends,
				struct netlink_ext_ack *extack)
{
	if (policy->mode != MOAT_MODE_TRANSPORT ||
	    moat_selector_is_hosts(&policy->selector, ends->family,
				   &ends->local, &ends->remote))
		return 0;
	NL_SET_ERR_MSG_FMT(extack, "policy %u of transport mode: selector and endpoints differ",
			   policy->id);
	return -EINVAL;
}

int moat_nl_policy_add(struct sk_buff *skb, struct genl_info *info)
{
	struct moat_net *mn = moat_net(genl_info_net(info));
	struct nlattr *tb[MOAT_A_POLICY_MAX + 1];
	struct moat_policy *policy;
	struct moat_ends_key ends;
	bool given;
	int err;

	err = moat_nl_once(info, 0);
	if (!err)
		err = moat_nl_nest(tb, MOAT_A_POLICY_MAX,
				   info->attrs[MOAT_A_MAIN_POLICY],
				   moat_nl_policy_new, "policy", info->extack);
	if (err)
		return err;
	policy = moat_policy_alloc(mn);
	if (!policy)
		return -ENOMEM;
	err = moat_nl_policy_fill(policy, tb, info->extack);
	if (!err)
		err = moat_nl_ends(&ends, &given, tb, info->extack);
	if (!err)
		err = moat_nl_ends_fit(policy->action, given, info->extack);
	if (!err && given)
		err = moat_nl_policy_hosts(policy, &ends, info->extack);
	if (!err)
		err = moat_nl_policy_insert(policy, tb[MOAT_A_POLICY_DEVICE],
					    given ? &ends : NULL,
					    info->extack);
	if (err)
		moat_policy_free(policy);
	return err;
}

/* Parses { policy { id … } } and finds the policy; locked. */
static struct moat_policy *moat_nl_policy_named(struct moat_net *mn,
						struct genl_info *info,
						struct nlattr **tb,
						const struct nla_policy *attrs)
{
	int err;

	err = moat_nl_nest(tb, MOAT_A_POLICY_MAX,
			   info->attrs[MOAT_A_MAIN_POLICY], attrs, "policy",
			   info->extack);
	if (err)
		return ERR_PTR(err);
	return moat_nl_find_policy(mn, tb[MOAT_A_POLICY_ID], info->extack);
}

static int moat_nl_policy_apply(struct moat_policy *policy, struct nlattr **tb,
				struct netlink_ext_ack *extack)
{
	struct moat_ends_key ends;
	u8 action = policy->action;
	bool given;
	int err;

	err = moat_nl_one_of(&action, tb[MOAT_A_POLICY_ACTION],
			     MOAT_ACTION_PROTECT, MOAT_ACTION_DISCARD,
			     "policy.action", extack);
	if (!err)
		err = moat_nl_ends(&ends, &given, tb, extack);
	/* Endpoints stay with a policy that does not protect for a while. */
	if (!err && action == MOAT_ACTION_PROTECT)
		err = moat_nl_ends_fit(action, given ||
				       rcu_access_pointer(policy->ends),
				       extack);
	if (!err && given)
		err = moat_nl_policy_hosts(policy, &ends, extack);
	if (err)
		return err;
	return moat_policy_set(policy, action,
			       tb[MOAT_A_POLICY_ACQUIRE_OFF],
			       given ? &ends : NULL);
}

int moat_nl_policy_change(struct sk_buff *skb, struct genl_info *info)
{
	struct moat_net *mn = moat_net(genl_info_net(info));
	struct nlattr *tb[MOAT_A_POLICY_MAX + 1];
	struct moat_policy *policy;
	int err;

	err = moat_nl_once(info, 0);
	if (err)
		return err;
	mutex_lock(&mn->lock);
	policy = moat_nl_policy_named(mn, info, tb, moat_nl_policy_set);
	err = IS_ERR(policy) ? PTR_ERR(policy) :
	      moat_nl_policy_apply(policy, tb, info->extack);
	mutex_unlock(&mn->lock);
	return err;
}

/* An outbound SA belongs to its policy in all respects. */
static int moat_nl_switch_check(struct moat_policy *policy, struct moat_sa *sa,
				struct netlink_ext_ack *extack)
{
	const struct moat_ends *ends =
		rcu_dereference_protected(policy->ends, true);

	if (policy->action != MOAT_ACTION_PROTECT) {
		NL_SET_ERR_MSG_FMT(extack, "policy %u does not protect: it can have no SA",
				   policy->id);
		return -EINVAL;
	}
	if (sa->policy_id && sa->policy_id != policy->id) {
		NL_SET_ERR_MSG_FMT(extack, "SPI 0x%08x is of policy %u, not %u",
				   be32_to_cpu(sa->key.spi), sa->policy_id,
				   policy->id);
		return -EINVAL;
	}
	sa->policy_id = policy->id;
	if (ends->key.family != sa->key.family ||
	    !moat_addr_equal(&ends->key.local, &sa->src) ||
	    !moat_addr_equal(&ends->key.remote, &sa->key.dst)) {
		NL_SET_ERR_MSG_FMT(extack, "sa.src and sa.dst are not the endpoints of policy %u",
				   policy->id);
		return -EINVAL;
	}
	return moat_nl_sa_inherit(sa, policy, extack);
}

/* The one SA of a request, or what leads its bundle; NULL otherwise. */
static struct moat_sa *moat_nl_switch_lead(struct moat_sa **sas, int n)
{
	if (n == 1)
		return sas[0];
	return n == 2 && sas[0]->bundle ? moat_sa_lead(sas[0]) : NULL;
}

static int moat_nl_switch_to(struct moat_net *mn, struct genl_info *info,
			     struct moat_sa *sa)
{
	struct nlattr *tb[MOAT_A_POLICY_MAX + 1];
	struct moat_policy *policy;
	int err;

	policy = moat_nl_policy_named(mn, info, tb, moat_nl_policy_id);
	if (IS_ERR(policy))
		return PTR_ERR(policy);
	err = moat_nl_switch_check(policy, sa, info->extack);
	if (!err && sa->above)
		err = moat_nl_switch_check(policy, sa->above, info->extack);
	if (err)
		return err;
	return moat_policy_switch(policy, sa, info->extack);
}

int moat_nl_policy_switch(struct sk_buff *skb, struct genl_info *info)
{
	struct moat_net *mn = moat_net(genl_info_net(info));
	struct moat_sa *sas[MOAT_SAS_MAX], *lead;
	int n, err;

	err = moat_nl_once(info, MOAT_A_MAIN_SA);
	if (err)
		return err;
	n = moat_nl_sas_make(mn, sas, MOAT_DIRECTION_OUT, info);
	if (n < 0)
		return n;
	lead = moat_nl_switch_lead(sas, n);
	if (lead) {
		mutex_lock(&mn->lock);
		err = moat_nl_switch_to(mn, info, lead);
		mutex_unlock(&mn->lock);
	} else {
		NL_SET_ERR_MSG(info->extack, "policy-switch takes one SA, or one bundle");
		err = -EINVAL;
	}
	if (err)
		moat_nl_sas_put(sas, n);
	return err;
}

static int moat_nl_policy_answer(struct sk_buff *msg, struct genl_info *info)
{
	struct moat_net *mn = moat_net(genl_info_net(info));
	struct nlattr *tb[MOAT_A_POLICY_MAX + 1];
	struct moat_policy *policy;
	int err;

	mutex_lock(&mn->lock);
	policy = moat_nl_policy_named(mn, info, tb, moat_nl_policy_id);
	err = PTR_ERR_OR_ZERO(policy);
	if (!err) {
		rcu_read_lock();
		err = moat_nl_put_policy(msg, policy);
		rcu_read_unlock();
	}
	mutex_unlock(&mn->lock);
	return err;
}

int moat_nl_policy_get(struct sk_buff *skb, struct genl_info *info)
{
	struct sk_buff *msg;
	void *hdr;
	int err;

	err = moat_nl_once(info, 0);
	if (err)
		return err;
	msg = moat_nl_reply(info, MOAT_CMD_POLICY_GET, &hdr);
	if (!msg)
		return -ENOMEM;
	return moat_nl_answer(info, msg, hdr,
			      moat_nl_policy_answer(msg, info));
}

int moat_nl_policy_del(struct sk_buff *skb, struct genl_info *info)
{
	struct moat_net *mn = moat_net(genl_info_net(info));
	struct nlattr *tb[MOAT_A_POLICY_MAX + 1];
	struct moat_policy *policy;
	int err;
	u32 id;

	err = moat_nl_once(info, 0);
	if (err)
		return err;
	mutex_lock(&mn->lock);
	policy = moat_nl_policy_named(mn, info, tb, moat_nl_policy_id);
	err = PTR_ERR_OR_ZERO(policy);
	if (!err) {
		id = policy->id;
		moat_policy_del(policy);
		moat_event_policy_gone(mn, id);
	}
	mutex_unlock(&mn->lock);
	return err;
}

int moat_nl_policy_flush(struct sk_buff *skb, struct genl_info *info)
{
	struct moat_net *mn = moat_net(genl_info_net(info));

	mutex_lock(&mn->lock);
	moat_policy_flush(mn);
	moat_event_policy_gone(mn, 0);
	mutex_unlock(&mn->lock);
	return 0;
}

/* Ports as on the wire; types have their own place in a flow. */
static int moat_nl_flow_ports(struct moat_flow *flow, struct nlattr **tb,
			      struct netlink_ext_ack *extack)
{
	const struct nlattr *sport = tb[MOAT_A_FLOW_SPORT];
	const struct nlattr *dport = tb[MOAT_A_FLOW_DPORT];

	flow->local_port = sport ? nla_get_u16(sport) : 0;
	flow->remote_port = dport ? nla_get_u16(dport) : 0;
	if (!moat_has_type(flow->protocol))
		return 0;
	if (flow->local_port > U8_MAX || flow->remote_port > U8_MAX) {
		NL_SET_ERR_MSG_FMT(extack, "type %u, code %u: neither is above 255",
				   flow->local_port, flow->remote_port);
		return -EINVAL;
	}
	flow->local_port = moat_icmp_selector(flow->local_port,
					      flow->remote_port);
	flow->remote_port = 0;
	return 0;
}

static int moat_nl_flow(struct moat_flow *flow, struct nlattr **tb,
			struct netlink_ext_ack *extack)
{
	const struct nlattr *protocol = tb[MOAT_A_FLOW_PROTOCOL];
	const struct nlattr *mark = tb[MOAT_A_FLOW_MARK];
	struct moat_nl_addr src, dst;
	int err;

	err = moat_nl_addr(&src, tb[MOAT_A_FLOW_SRC], "flow.src", extack);
	if (!err)
		err = moat_nl_addr(&dst, tb[MOAT_A_FLOW_DST], "flow.dst",
				   extack);
	if (err)
		return err;
	if (src.family != dst.family) {
		NL_SET_ERR_MSG(extack, "flow.src and flow.dst are of different families");
		return -EINVAL;
	}
	memset(flow, 0, sizeof(*flow));
	flow->family = src.family;
	flow->local = src.addr;
	flow->remote = dst.addr;
	flow->protocol = protocol ? nla_get_u8(protocol) : 0;
	flow->mark = mark ? nla_get_u32(mark) : 0;
	return moat_nl_flow_ports(flow, tb, extack);
}

/**
 * struct moat_nl_flow_answer - What would happen to a packet.
 * @verdict: in a word
 * @why: counter that a dropped one would be counted by
 * @policy: that decided it, or NULL
 */
struct moat_nl_flow_answer {
	enum moat_verdict verdict;
	enum moat_drop why;
	struct moat_policy *policy;
};

/* What one of our devices makes of it: nothing leaves there but protected. */
static void moat_nl_verdict_device(struct moat_net *mn,
				   const struct moat_flow *routed,
				   struct moat_nl_flow_answer *answer)
{
	answer->verdict = moat_classify(mn, routed, &answer->policy);
	if (answer->verdict == MOAT_VERDICT_CLEAR) {
		answer->verdict = MOAT_VERDICT_DISCARD;
		answer->why = MOAT_DROP_NO_POLICY;
	} else if (answer->verdict == MOAT_VERDICT_BYPASS) {
		answer->verdict = MOAT_VERDICT_DISCARD;
	}
}

/* One that was narrowed is for a part of what its policy is for. */
static void moat_nl_verdict_sa(const struct moat_flow *routed,
			       struct moat_nl_flow_answer *answer)
{
	const struct moat_sa *sa = rcu_dereference(answer->policy->sa);

	if (sa && !moat_selector_match(&sa->selector, routed)) {
		answer->verdict = MOAT_VERDICT_DISCARD;
		answer->why = MOAT_DROP_OUT_SELECTOR;
	}
}

/*
 * As the hooks, which hear what is routed to a device as well; then the device,
 * whose policies count unless the packet was discarded already.
 */
static void moat_nl_verdict(struct moat_net *mn, const struct moat_flow *flow,
			    struct moat_nl_flow_answer *answer)
{
	struct moat_flow routed = *flow;

	answer->policy = NULL;
	answer->why = MOAT_DROP_NONE;
	answer->verdict = moat_classify(mn, flow, &answer->policy);
	routed.device = moat_device_towards(mn, flow);
	if (routed.device && answer->verdict != MOAT_VERDICT_DISCARD)
		moat_nl_verdict_device(mn, &routed, answer);
	if (answer->verdict == MOAT_VERDICT_PROTECT) {
		moat_nl_verdict_sa(&routed, answer);
	} else if (answer->verdict == MOAT_VERDICT_HOLD &&
		   READ_ONCE(answer->policy->acquire_off)) {
		answer->verdict = MOAT_VERDICT_DISCARD;
		answer->why = MOAT_DROP_NO_SA;
	} else if (answer->verdict == MOAT_VERDICT_DISCARD && !answer->why) {
		answer->why = MOAT_DROP_DISCARD;
	}
}

/* What NAT would take out of its policy's reach is dropped, not sent in clear. */
static void moat_nl_verdict_nat(struct moat_net *mn,
				const struct moat_nat_known *known,
				struct moat_nl_flow_answer *answer)
{
	struct moat_policy *policy = NULL;

	moat_nl_verdict(mn, &known->after, answer);
	if (answer->verdict != MOAT_VERDICT_CLEAR &&
	    answer->verdict != MOAT_VERDICT_BYPASS)
		return;
	switch (moat_classify(mn, &known->before, &policy)) {
	case MOAT_VERDICT_CLEAR:
	case MOAT_VERDICT_BYPASS:
		return;
	default:
		answer->verdict = MOAT_VERDICT_DISCARD;
		answer->why = MOAT_DROP_NAT_REWROTE;
		answer->policy = policy;
	}
}

static int moat_nl_put_answer(struct sk_buff *msg,
			      const struct moat_nl_flow_answer *answer)
{
	struct moat_policy *policy = answer->policy;
	struct moat_sa *sa = NULL;

	if (answer->verdict == MOAT_VERDICT_PROTECT)
		sa = rcu_dereference(policy->sa);
	if (nla_put_u8(msg, MOAT_A_MAIN_VERDICT, answer->verdict) ||
	    (answer->why && nla_put_string(msg, MOAT_A_MAIN_REASON,
					   moat_drop_names[answer->why])) ||
	    (policy && moat_nl_put_policy(msg, policy)) ||
	    (sa && sa->above && moat_nl_put_sa(msg, sa->above)) ||
	    (sa && moat_nl_put_sa(msg, sa)))
		return -EMSGSIZE;
	return 0;
}

/*
 * NAT's part takes its time, so it comes before rcu_read_lock(). The lock is for
 * the SA's owner.
 */
static int moat_nl_put_verdict(struct sk_buff *msg, struct moat_net *mn,
			       const struct moat_flow *flow)
{
	struct moat_nl_flow_answer answer;
	struct moat_nat_known known;
	bool nat = moat_nat_known(mn, flow, &known);
	int err;

	err = moat_nl_put_flow(msg, MOAT_A_MAIN_FLOW, flow);
	if (!err && nat)
		err = moat_nl_put_flow(msg, MOAT_A_MAIN_ORIGINAL,
				       &known.before);
	if (!err && nat)
		err = moat_nl_put_flow(msg, MOAT_A_MAIN_TRANSLATED,
				       &known.after);
	if (err)
		return err;
	mutex_lock(&mn->lock);
	rcu_read_lock();
	if (nat)
		moat_nl_verdict_nat(mn, &known, &answer);
	else
		moat_nl_verdict(mn, flow, &answer);
	err = moat_nl_put_answer(msg, &answer);
	rcu_read_unlock();
	mutex_unlock(&mn->lock);
	return err;
}

int moat_nl_flow_get(struct sk_buff *skb, struct genl_info *info)
{
	struct moat_net *mn = moat_net(genl_info_net(info));
	struct nlattr *tb[MOAT_A_FLOW_MAX + 1];
	struct moat_flow flow;
	struct sk_buff *msg;
	void *hdr;
	int err;

	err = moat_nl_once(info, 0);
	if (!err)
		err = moat_nl_nest(tb, MOAT_A_FLOW_MAX,
				   info->attrs[MOAT_A_MAIN_FLOW],
				   moat_nl_flow_new, "flow", info->extack);
	if (!err)
		err = moat_nl_flow(&flow, tb, info->extack);
	if (err)
		return err;
	msg = moat_nl_reply(info, MOAT_CMD_FLOW_GET, &hdr);
	if (!msg)
		return -ENOMEM;
	return moat_nl_answer(info, msg, hdr,
			      moat_nl_put_verdict(msg, mn, &flow));
}
