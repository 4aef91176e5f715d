// SPDX-License-Identifier: GPL-2.0
/*
 * The dump of policies: what passes above all of them first, as policies
 * that have no id, then those of user space by id.
 *
 * cb->args[0] says which part is next, cb->args[1] where in it. What changes
 * in between marks the dump as interrupted.
 */

#include <linux/in.h>
#include <net/ndisc.h>
#include <net/sock.h>

#include "netlink.h"

/* Parts of the dump. */
enum {
	MOAT_DUMP_NDISC,
	MOAT_DUMP_ENDS,
	MOAT_DUMP_POLICIES,
	MOAT_DUMP_DONE,
};

static void *moat_nl_dump_begin(struct sk_buff *skb,
				struct netlink_callback *cb)
{
	void *hdr = genlmsg_put(skb, NETLINK_CB(cb->skb).portid,
				cb->nlh->nlmsg_seq, &moat_genl_family,
				NLM_F_MULTI, MOAT_CMD_POLICY_GET);

	if (hdr)
		genl_dump_check_consistent(cb, hdr);
	return hdr;
}

static int moat_nl_dump_end(struct sk_buff *skb, void *hdr, int err)
{
	if (err)
		genlmsg_cancel(skb, hdr);
	else
		genlmsg_end(skb, hdr);
	return err;
}

static int moat_nl_dump_bypass(struct sk_buff *skb,
			       struct netlink_callback *cb,
			       const struct moat_selector *sel,
			       const char *why)
{
	void *hdr = moat_nl_dump_begin(skb, cb);

	if (!hdr)
		return -EMSGSIZE;
	return moat_nl_dump_end(skb, hdr, moat_nl_put_bypass(skb, sel, why));
}

static int moat_nl_dump_ndisc(struct sk_buff *skb, struct netlink_callback *cb)
{
	static const struct moat_selector sel = {
		.family = AF_INET6,
		.protocol = IPPROTO_ICMPV6,
		.local_port_min = NDISC_ROUTER_SOLICITATION << 8,
		.local_port_max = NDISC_REDIRECT << 8 | U8_MAX,
		.remote_port_max = U16_MAX,
	};

	return moat_nl_dump_bypass(skb, cb, &sel, "neighbour discovery");
}

/* The four bypasses of a pair of endpoints; cb->args[2] says which is next. */
static int moat_nl_dump_pair(struct sk_buff *skb, struct netlink_callback *cb,
			     const struct moat_ends *ends)
{
	static const struct {
		u8 protocol;
		u16 port;
		const char *why;
	} bypass[] = {
		{ IPPROTO_UDP, 500, "IKE" },
		{ IPPROTO_UDP, 4500, "IKE and ESP in UDP" },
		{ IPPROTO_ESP, 0, "ESP" },
		{ IPPROTO_AH, 0, "AH" },
	};
	struct moat_selector sel = {
		.local = ends->key.local,
		.remote = ends->key.remote,
		.family = ends->key.family,
		.local_prefix = moat_addr_bits(ends->key.family),
		.remote_prefix = moat_addr_bits(ends->key.family),
		.remote_port_max = U16_MAX,
	};

	for (; cb->args[2] < ARRAY_SIZE(bypass); cb->args[2]++) {
		u16 port = bypass[cb->args[2]].port;

		sel.protocol = bypass[cb->args[2]].protocol;
		sel.local_port_min = port;
		sel.local_port_max = port ?: U16_MAX;
		if (moat_nl_dump_bypass(skb, cb, &sel,
					bypass[cb->args[2]].why))
			return -EMSGSIZE;
	}
	cb->args[2] = 0;
	return 0;
}

static int moat_nl_dump_ends(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct moat_net *mn = moat_net(sock_net(skb->sk));
	struct moat_ends *ends;
	unsigned long index;

	xa_for_each_start(&mn->ends_index, index, ends, cb->args[1]) {
		/* Another pair than the one begun: it went away. */
		if (index != cb->args[1])
			cb->args[2] = 0;
		cb->args[1] = index;
		if (moat_nl_dump_pair(skb, cb, ends))
			return -EMSGSIZE;
	}
	return 0;
}

static int moat_nl_dump_policies(struct sk_buff *skb,
				 struct netlink_callback *cb)
{
	struct moat_net *mn = moat_net(sock_net(skb->sk));
	struct moat_policy *policy;
	unsigned long id;
	void *hdr;
	int err;

	xa_for_each_start(&mn->policies, id, policy, cb->args[1]) {
		cb->args[1] = id;
		hdr = moat_nl_dump_begin(skb, cb);
		if (!hdr)
			return -EMSGSIZE;
		rcu_read_lock();
		err = moat_nl_put_policy(skb, policy);
		rcu_read_unlock();
		if (moat_nl_dump_end(skb, hdr, err))
			return -EMSGSIZE;
	}
	return 0;
}

int moat_nl_policy_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	static int (* const parts[])(struct sk_buff *skb,
				     struct netlink_callback *cb) = {
		[MOAT_DUMP_NDISC] = moat_nl_dump_ndisc,
		[MOAT_DUMP_ENDS] = moat_nl_dump_ends,
		[MOAT_DUMP_POLICIES] = moat_nl_dump_policies,
	};
	struct moat_net *mn = moat_net(sock_net(skb->sk));

	mutex_lock(&mn->lock);
	cb->seq = mn->generation;
	while (cb->args[0] < MOAT_DUMP_DONE && !parts[cb->args[0]](skb, cb)) {
		cb->args[0]++;
		cb->args[1] = 0;
	}
	mutex_unlock(&mn->lock);
	return skb->len;
}
