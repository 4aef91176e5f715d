// SPDX-License-Identifier: GPL-2.0
/*
 * The netlink family: operations, and which attributes each may carry.
 * Attributes that an operation does not know are refused by the kernel's
 * strict validation; what values mean is checked in netlink_parse.c, where
 * there are words for it.
 */

#include <linux/module.h>

#include "netlink.h"

const struct nla_policy moat_nl_sel[MOAT_A_SELECTOR_MAX + 1] = {
	[MOAT_A_SELECTOR_LOCAL_ADDR] = { .type = NLA_BINARY, .len = 16 },
	[MOAT_A_SELECTOR_LOCAL_PREFIX] = { .type = NLA_U8 },
	[MOAT_A_SELECTOR_REMOTE_ADDR] = { .type = NLA_BINARY, .len = 16 },
	[MOAT_A_SELECTOR_REMOTE_PREFIX] = { .type = NLA_U8 },
	[MOAT_A_SELECTOR_PROTOCOL] = { .type = NLA_U8 },
	[MOAT_A_SELECTOR_LOCAL_PORT_MIN] = { .type = NLA_U16 },
	[MOAT_A_SELECTOR_LOCAL_PORT_MAX] = { .type = NLA_U16 },
	[MOAT_A_SELECTOR_REMOTE_PORT_MIN] = { .type = NLA_U16 },
	[MOAT_A_SELECTOR_REMOTE_PORT_MAX] = { .type = NLA_U16 },
};

const struct nla_policy moat_nl_sa_spi[MOAT_A_SA_MAX + 1] = {
	[MOAT_A_SA_DIRECTION] = { .type = NLA_U8 },
	[MOAT_A_SA_PROTOCOL] = { .type = NLA_U8 },
	[MOAT_A_SA_DST] = { .type = NLA_BINARY, .len = 16 },
};

const struct nla_policy moat_nl_sa_id[MOAT_A_SA_MAX + 1] = {
	[MOAT_A_SA_DIRECTION] = { .type = NLA_U8 },
	[MOAT_A_SA_PROTOCOL] = { .type = NLA_U8 },
	[MOAT_A_SA_SPI] = { .type = NLA_U32 },
	[MOAT_A_SA_DST] = { .type = NLA_BINARY, .len = 16 },
};

const struct nla_policy moat_nl_sa_owned[MOAT_A_SA_MAX + 1] = {
	[MOAT_A_SA_DIRECTION] = { .type = NLA_U8 },
	[MOAT_A_SA_PROTOCOL] = { .type = NLA_U8 },
	[MOAT_A_SA_SPI] = { .type = NLA_U32 },
	[MOAT_A_SA_DST] = { .type = NLA_BINARY, .len = 16 },
	[MOAT_A_SA_OWNER] = { .type = NLA_BINARY, .len = MOAT_OWNER_MAX },
};

const struct nla_policy moat_nl_sa_new[MOAT_A_SA_MAX + 1] = {
	[MOAT_A_SA_DIRECTION] = { .type = NLA_U8 },
	[MOAT_A_SA_PROTOCOL] = { .type = NLA_U8 },
	[MOAT_A_SA_SPI] = { .type = NLA_U32 },
	[MOAT_A_SA_SRC] = { .type = NLA_BINARY, .len = 16 },
	[MOAT_A_SA_DST] = { .type = NLA_BINARY, .len = 16 },
	[MOAT_A_SA_MODE] = { .type = NLA_U8 },
	[MOAT_A_SA_ENC] = { .type = NLA_U16 },
	[MOAT_A_SA_ENC_KEY] = { .type = NLA_BINARY, .len = MOAT_KEY_MAX },
	[MOAT_A_SA_AUTH] = { .type = NLA_U16 },
	[MOAT_A_SA_AUTH_KEY] = { .type = NLA_BINARY, .len = MOAT_KEY_MAX },
	[MOAT_A_SA_ICV_LEN] = { .type = NLA_U8 },
	[MOAT_A_SA_REPLAY] = { .type = NLA_U32 },
	[MOAT_A_SA_ESN] = { .type = NLA_FLAG },
	[MOAT_A_SA_POLICY] = { .type = NLA_U32 },
	[MOAT_A_SA_SELECTOR] = NLA_POLICY_NESTED(moat_nl_sel),
	[MOAT_A_SA_ENCAP_SPORT] = { .type = NLA_U16 },
	[MOAT_A_SA_ENCAP_DPORT] = { .type = NLA_U16 },
	[MOAT_A_SA_SOFT_SECONDS] = { .type = NLA_U64 },
	[MOAT_A_SA_HARD_SECONDS] = { .type = NLA_U64 },
	[MOAT_A_SA_SOFT_BYTES] = { .type = NLA_U64 },
	[MOAT_A_SA_HARD_BYTES] = { .type = NLA_U64 },
	[MOAT_A_SA_SOFT_PACKETS] = { .type = NLA_U64 },
	[MOAT_A_SA_HARD_PACKETS] = { .type = NLA_U64 },
	[MOAT_A_SA_OWNER] = { .type = NLA_BINARY, .len = MOAT_OWNER_MAX },
	[MOAT_A_SA_BUNDLE] = { .type = NLA_U32 },
	[MOAT_A_SA_SEQ] = { .type = NLA_U64 },
};

const struct nla_policy moat_nl_policy_id[MOAT_A_POLICY_MAX + 1] = {
	[MOAT_A_POLICY_ID] = { .type = NLA_U32 },
};

const struct nla_policy moat_nl_policy_new[MOAT_A_POLICY_MAX + 1] = {
	[MOAT_A_POLICY_ID] = { .type = NLA_U32 },
	[MOAT_A_POLICY_SELECTOR] = NLA_POLICY_NESTED(moat_nl_sel),
	[MOAT_A_POLICY_ACTION] = { .type = NLA_U8 },
	[MOAT_A_POLICY_PRIORITY] = { .type = NLA_U32 },
	[MOAT_A_POLICY_LOCAL] = { .type = NLA_BINARY, .len = 16 },
	[MOAT_A_POLICY_REMOTE] = { .type = NLA_BINARY, .len = 16 },
	[MOAT_A_POLICY_MODE] = { .type = NLA_U8 },
	[MOAT_A_POLICY_ACQUIRE_OFF] = { .type = NLA_FLAG },
	[MOAT_A_POLICY_DSCP] = { .type = NLA_U8 },
	[MOAT_A_POLICY_DF] = { .type = NLA_U8 },
	[MOAT_A_POLICY_MTU] = { .type = NLA_U16 },
	[MOAT_A_POLICY_MSS] = { .type = NLA_U16 },
	[MOAT_A_POLICY_TFC] = { .type = NLA_U16 },
	[MOAT_A_POLICY_DEVICE] = { .type = NLA_NUL_STRING,
				   .len = IFNAMSIZ - 1 },
	[MOAT_A_POLICY_SECPATH] = { .type = NLA_FLAG },
	[MOAT_A_POLICY_MARK] = { .type = NLA_U32 },
	[MOAT_A_POLICY_MARK_MASK] = { .type = NLA_U32 },
};

const struct nla_policy moat_nl_policy_set[MOAT_A_POLICY_MAX + 1] = {
	[MOAT_A_POLICY_ID] = { .type = NLA_U32 },
	[MOAT_A_POLICY_ACTION] = { .type = NLA_U8 },
	[MOAT_A_POLICY_LOCAL] = { .type = NLA_BINARY, .len = 16 },
	[MOAT_A_POLICY_REMOTE] = { .type = NLA_BINARY, .len = 16 },
	[MOAT_A_POLICY_ACQUIRE_OFF] = { .type = NLA_FLAG },
};

const struct nla_policy moat_nl_flow_new[MOAT_A_FLOW_MAX + 1] = {
	[MOAT_A_FLOW_SRC] = { .type = NLA_BINARY, .len = 16 },
	[MOAT_A_FLOW_DST] = { .type = NLA_BINARY, .len = 16 },
	[MOAT_A_FLOW_PROTOCOL] = { .type = NLA_U8 },
	[MOAT_A_FLOW_SPORT] = { .type = NLA_U16 },
	[MOAT_A_FLOW_DPORT] = { .type = NLA_U16 },
	[MOAT_A_FLOW_MARK] = { .type = NLA_U32 },
};

const struct nla_policy moat_nl_main_none[MOAT_A_MAIN_MAX + 1] = {};

const struct nla_policy moat_nl_main_spi[MOAT_A_MAIN_MAX + 1] = {
	[MOAT_A_MAIN_SA] = NLA_POLICY_NESTED(moat_nl_sa_spi),
	[MOAT_A_MAIN_SPI_MIN] = { .type = NLA_U32 },
	[MOAT_A_MAIN_SPI_MAX] = { .type = NLA_U32 },
};

const struct nla_policy moat_nl_main_sa_new[MOAT_A_MAIN_MAX + 1] = {
	[MOAT_A_MAIN_SA] = NLA_POLICY_NESTED(moat_nl_sa_new),
};

const struct nla_policy moat_nl_main_sa_id[MOAT_A_MAIN_MAX + 1] = {
	[MOAT_A_MAIN_SA] = NLA_POLICY_NESTED(moat_nl_sa_id),
};

const struct nla_policy moat_nl_main_sa_move[MOAT_A_MAIN_MAX + 1] = {
	[MOAT_A_MAIN_SA] = NLA_POLICY_NESTED(moat_nl_sa_id),
	[MOAT_A_MAIN_ADDR] = { .type = NLA_BINARY, .len = 16 },
	[MOAT_A_MAIN_PORT] = { .type = NLA_U16 },
};

const struct nla_policy moat_nl_main_sa_owned[MOAT_A_MAIN_MAX + 1] = {
	[MOAT_A_MAIN_SA] = NLA_POLICY_NESTED(moat_nl_sa_owned),
};

const struct nla_policy moat_nl_main_policy_new[MOAT_A_MAIN_MAX + 1] = {
	[MOAT_A_MAIN_POLICY] = NLA_POLICY_NESTED(moat_nl_policy_new),
};

const struct nla_policy moat_nl_main_policy_set[MOAT_A_MAIN_MAX + 1] = {
	[MOAT_A_MAIN_POLICY] = NLA_POLICY_NESTED(moat_nl_policy_set),
};

const struct nla_policy moat_nl_main_policy_id[MOAT_A_MAIN_MAX + 1] = {
	[MOAT_A_MAIN_POLICY] = NLA_POLICY_NESTED(moat_nl_policy_id),
};

const struct nla_policy moat_nl_main_switch[MOAT_A_MAIN_MAX + 1] = {
	[MOAT_A_MAIN_SA] = NLA_POLICY_NESTED(moat_nl_sa_new),
	[MOAT_A_MAIN_POLICY] = NLA_POLICY_NESTED(moat_nl_policy_id),
};

const struct nla_policy moat_nl_main_flow[MOAT_A_MAIN_MAX + 1] = {
	[MOAT_A_MAIN_FLOW] = NLA_POLICY_NESTED(moat_nl_flow_new),
};

struct sk_buff *moat_nl_reply(struct genl_info *info, u8 cmd, void **hdr)
{
	struct sk_buff *msg = genlmsg_new(GENLMSG_DEFAULT_SIZE, GFP_KERNEL);

	if (!msg)
		return NULL;
	*hdr = genlmsg_put_reply(msg, info, &moat_genl_family, 0, cmd);
	if (*hdr)
		return msg;
	nlmsg_free(msg);
	return NULL;
}

int moat_nl_answer(struct genl_info *info, struct sk_buff *msg, void *hdr,
		   int err)
{
	if (err) {
		nlmsg_free(msg);
		return err;
	}
	genlmsg_end(msg, hdr);
	return genlmsg_reply(msg, info);
}

int moat_nl_stats_get(struct sk_buff *skb, struct genl_info *info)
{
	struct moat_stats *sum;
	struct sk_buff *msg;
	int i, err = -ENOMEM;
	void *hdr;

	sum = kmalloc(sizeof(*sum), GFP_KERNEL);
	msg = moat_nl_reply(info, MOAT_CMD_STATS_GET, &hdr);
	if (!sum || !msg)
		goto free;
	moat_stats_sum(moat_net(genl_info_net(info)), sum);
	err = 0;
	for (i = 0; i < MOAT_TOTAL_MAX && !err; i++)
		err = moat_nl_put_counter(msg, MOAT_A_MAIN_COUNTER,
					  moat_total_names[i], sum->total[i]);
	for (i = MOAT_DROP_NONE + 1; i < MOAT_DROP_MAX && !err; i++)
		err = moat_nl_put_counter(msg, MOAT_A_MAIN_COUNTER,
					  moat_drop_names[i], sum->drop[i]);
	if (err)
		goto free;
	kfree(sum);
	genlmsg_end(msg, hdr);
	return genlmsg_reply(msg, info);

free:
	kfree(sum);
	nlmsg_free(msg);
	return err;
}

#define MOAT_OP(_cmd, _policy, _doit, _dumpit) {			\
	.cmd = MOAT_CMD_##_cmd,						\
	.flags = GENL_ADMIN_PERM,					\
	.policy = moat_nl_main_##_policy,				\
	.maxattr = MOAT_A_MAIN_MAX,					\
	.doit = moat_nl_##_doit,					\
	.dumpit = _dumpit,						\
}

static const struct genl_ops moat_genl_ops[] = {
	MOAT_OP(SPI_ALLOC, spi, spi_alloc, NULL),
	MOAT_OP(SA_ADD, sa_new, sa_add, NULL),
	MOAT_OP(SA_GET, sa_id, sa_get, moat_nl_sa_dump),
	MOAT_OP(SA_DEL, sa_id, sa_del, NULL),
	MOAT_OP(SA_FLUSH, none, sa_flush, NULL),
	MOAT_OP(POLICY_ADD, policy_new, policy_add, NULL),
	MOAT_OP(POLICY_SET, policy_set, policy_change, NULL),
	MOAT_OP(POLICY_SWITCH, switch, policy_switch, NULL),
	MOAT_OP(POLICY_GET, policy_id, policy_get, moat_nl_policy_dump),
	MOAT_OP(POLICY_DEL, policy_id, policy_del, NULL),
	MOAT_OP(POLICY_FLUSH, none, policy_flush, NULL),
	MOAT_OP(FLOW_GET, flow, flow_get, NULL),
	MOAT_OP(STATS_GET, none, stats_get, NULL),
	MOAT_OP(SA_MOVE, sa_move, sa_move, NULL),
	MOAT_OP(SA_SET, sa_owned, sa_set, NULL),
};

static const struct genl_multicast_group moat_genl_groups[] = {
	{ .name = MOAT_MCGRP_EVENTS, .flags = GENL_MCAST_CAP_NET_ADMIN },
};

/*
 * GENL_ADMIN_PERM asks for CAP_NET_ADMIN in the initial user namespace, of
 * who opened the socket and of who sends. Requests of different namespaces
 * run in parallel: moat_net.lock is all they need.
 */
struct genl_family moat_genl_family __ro_after_init = {
	.name = MOAT_FAMILY_NAME,
	.version = MOAT_FAMILY_VERSION,
	.module = THIS_MODULE,
	.maxattr = MOAT_A_MAIN_MAX,
	.netnsok = true,
	.parallel_ops = true,
	.ops = moat_genl_ops,
	.n_ops = ARRAY_SIZE(moat_genl_ops),
	.resv_start_op = MOAT_CMD_SPI_ALLOC,
	.mcgrps = moat_genl_groups,
	.n_mcgrps = ARRAY_SIZE(moat_genl_groups),
};

int __init moat_netlink_init(void)
{
	return genl_register_family(&moat_genl_family);
}

void moat_netlink_exit(void)
{
	genl_unregister_family(&moat_genl_family);
}
