// SPDX-License-Identifier: GPL-2.0
/* Requests about SAs. */

#include <linux/in.h>
#include <linux/slab.h>
#include <net/sock.h>

#include "netlink.h"

static int moat_nl_sa_alg(struct moat_sa *sa, struct nlattr **tb,
			  struct netlink_ext_ack *extack)
{
	const struct nlattr *enc_key = tb[MOAT_A_SA_ENC_KEY];
	const struct nlattr *auth_key = tb[MOAT_A_SA_AUTH_KEY];
	const struct nlattr *icv = tb[MOAT_A_SA_ICV_LEN];
	const struct moat_alg_req req = {
		.protocol = sa->key.protocol,
		.enc = tb[MOAT_A_SA_ENC] ? nla_get_u16(tb[MOAT_A_SA_ENC]) : 0,
		.auth = tb[MOAT_A_SA_AUTH] ? nla_get_u16(tb[MOAT_A_SA_AUTH]) :
			0,
		.enc_key = enc_key ? nla_data(enc_key) : NULL,
		.enc_key_len = enc_key ? nla_len(enc_key) : 0,
		.auth_key = auth_key ? nla_data(auth_key) : NULL,
		.auth_key_len = auth_key ? nla_len(auth_key) : 0,
		.icv_len = icv ? nla_get_u8(icv) : 0,
		.esn = sa->esn,
	};

	if (!tb[MOAT_A_SA_ENC] && req.protocol == IPPROTO_ESP)
		return moat_nl_missing("sa.enc", extack);
	return moat_alg_init(&sa->alg, &req, extack);
}

/* The request is ours alone, and an error would echo it. */
static void moat_nl_wipe(const struct nlattr *key)
{
	if (key)
		memzero_explicit(nla_data(key), nla_len(key));
}

static int moat_nl_limits(u64 *soft, u64 *hard, const struct nlattr *s,
			  const struct nlattr *h, const char *unit,
			  struct netlink_ext_ack *extack)
{
	*soft = s ? nla_get_u64(s) : U64_MAX;
	*hard = h ? nla_get_u64(h) : U64_MAX;
	if (!*soft || !*hard) {
		NL_SET_ERR_MSG_FMT(extack, "a limit of 0 %s: leave it out for none",
				   unit);
		return -EINVAL;
	}
	if (s && h && *soft > *hard) {
		NL_SET_ERR_MSG_FMT(extack, "soft limit of %llu %s is above the hard one of %llu",
				   *soft, unit, *hard);
		return -EINVAL;
	}
	return 0;
}

static int moat_nl_sa_life(struct moat_sa *sa, struct nlattr **tb,
			   struct netlink_ext_ack *extack)
{
	struct moat_life *life = &sa->life;
	int err;

	err = moat_nl_limits(&life->soft_seconds, &life->hard_seconds,
			     tb[MOAT_A_SA_SOFT_SECONDS],
			     tb[MOAT_A_SA_HARD_SECONDS], "seconds", extack);
	if (!err)
		err = moat_nl_limits(&life->soft_bytes, &life->hard_bytes,
				     tb[MOAT_A_SA_SOFT_BYTES],
				     tb[MOAT_A_SA_HARD_BYTES], "bytes",
				     extack);
	if (!err)
		err = moat_nl_limits(&life->soft_packets, &life->hard_packets,
				     tb[MOAT_A_SA_SOFT_PACKETS],
				     tb[MOAT_A_SA_HARD_PACKETS], "packets",
				     extack);
	return err;
}

static int moat_nl_sa_encap(struct moat_sa *sa, struct nlattr **tb,
			    struct netlink_ext_ack *extack)
{
	const struct nlattr *sport = tb[MOAT_A_SA_ENCAP_SPORT];
	const struct nlattr *dport = tb[MOAT_A_SA_ENCAP_DPORT];

	if (!sport && !dport)
		return 0;
	if (sa->key.protocol == IPPROTO_AH || sa->bundle) {
		NL_SET_ERR_MSG(extack, "UDP encapsulation is for ESP alone, not AH");
		return -EINVAL;
	}
	if (!sport || !dport || !nla_get_u16(sport) || !nla_get_u16(dport)) {
		NL_SET_ERR_MSG(extack, "UDP encapsulation needs both its ports, and none is 0");
		return -EINVAL;
	}
	sa->encap_sport = htons(nla_get_u16(sport));
	sa->encap_dport = htons(nla_get_u16(dport));
	return 0;
}

static int moat_nl_sa_replay(struct moat_sa *sa, const struct nlattr *attr,
			     u64 seq, struct netlink_ext_ack *extack)
{
	u32 window;

	if (sa->key.direction == MOAT_DIRECTION_OUT) {
		if (!attr)
			return 0;
		NL_SET_ERR_MSG(extack, "sa.replay is of inbound SAs only");
		return -EINVAL;
	}
	if (!attr)
		return moat_nl_missing("sa.replay", extack);
	window = nla_get_u32(attr);
	if (window > MOAT_REPLAY_MAX) {
		NL_SET_ERR_MSG_FMT(extack, "replay window of %u packets is above %u",
				   window, MOAT_REPLAY_MAX);
		return -EINVAL;
	}
	return moat_replay_init(&sa->replay, window, seq);
}

/* The number to go on from, say after a restart with the same manual keys. */
static int moat_nl_sa_seq(struct moat_sa *sa, struct nlattr **tb,
			  struct netlink_ext_ack *extack)
{
	u64 seq = tb[MOAT_A_SA_SEQ] ? nla_get_u64(tb[MOAT_A_SA_SEQ]) : 0;

	if (seq >= moat_sa_last_seq(sa)) {
		NL_SET_ERR_MSG_FMT(extack, "sa.seq of %llu leaves none of %u bits",
				   seq, sa->esn ? 64 : 32);
		return -EINVAL;
	}
	if (sa->key.direction == MOAT_DIRECTION_OUT)
		sa->ring.seq = seq;
	return moat_nl_sa_replay(sa, tb[MOAT_A_SA_REPLAY], seq, extack);
}

/* Of an SA that nobody else has yet, or locked. */
static int moat_nl_sa_owner(struct moat_sa *sa, const struct nlattr *attr)
{
	u16 len = attr ? nla_len(attr) : 0;
	u8 *owner = len ? nla_memdup(attr, GFP_KERNEL) : NULL;

	if (len && !owner)
		return -ENOMEM;
	kfree(sa->owner);
	sa->owner = owner;
	sa->owner_len = len;
	return 0;
}

static int moat_nl_sa_ends(struct moat_sa *sa, struct nlattr **tb,
			   struct netlink_ext_ack *extack)
{
	struct moat_nl_addr src;
	int err;

	err = moat_nl_host(&src, tb[MOAT_A_SA_SRC], "sa.src", extack);
	if (err)
		return err;
	if (src.family != sa->key.family) {
		NL_SET_ERR_MSG(extack, "sa.src and sa.dst are of different families");
		return -EINVAL;
	}
	sa->src = src.addr;
	return 0;
}

static int moat_nl_sa_mode(struct moat_sa *sa, struct nlattr **tb,
			   struct netlink_ext_ack *extack)
{
	sa->mode = MOAT_MODE_TUNNEL;
	if (tb[MOAT_A_SA_BUNDLE])
		sa->bundle = nla_get_u32(tb[MOAT_A_SA_BUNDLE]);
	return moat_nl_mode(&sa->mode, tb[MOAT_A_SA_MODE], "sa.mode", extack);
}

static int moat_nl_sa_selector(struct moat_sa *sa, struct nlattr **tb,
			       struct netlink_ext_ack *extack)
{
	if (tb[MOAT_A_SA_POLICY])
		sa->policy_id = nla_get_u32(tb[MOAT_A_SA_POLICY]);
	if (!tb[MOAT_A_SA_SELECTOR])
		return 0;
	return moat_nl_selector(&sa->selector, tb[MOAT_A_SA_SELECTOR], extack);
}

static int moat_nl_sa_fill(struct moat_sa *sa, struct nlattr **tb,
			   struct netlink_ext_ack *extack)
{
	int err;

	sa->esn = tb[MOAT_A_SA_ESN];
	err = moat_nl_sa_mode(sa, tb, extack);
	if (!err)
		err = moat_nl_sa_ends(sa, tb, extack);
	if (!err)
		err = moat_nl_sa_selector(sa, tb, extack);
	if (!err)
		err = moat_nl_sa_life(sa, tb, extack);
	if (!err)
		err = moat_nl_sa_encap(sa, tb, extack);
	if (!err)
		err = moat_nl_sa_seq(sa, tb, extack);
	if (!err)
		err = moat_nl_sa_owner(sa, tb[MOAT_A_SA_OWNER]);
	if (!err)
		err = moat_nl_sa_alg(sa, tb, extack);
	return err;
}

static struct moat_sa *moat_nl_sa_make(struct moat_net *mn,
				       const struct nlattr *nest, u8 direction,
				       struct netlink_ext_ack *extack)
{
	struct nlattr *tb[MOAT_A_SA_MAX + 1];
	struct moat_sa_key key;
	struct moat_sa *sa;
	int err;

	err = moat_nl_nest(tb, MOAT_A_SA_MAX, nest, moat_nl_sa_new, "sa",
			   extack);
	if (!err)
		err = moat_nl_sa_key(&key, tb, true, extack);
	if (err)
		return ERR_PTR(err);
	if (!tb[MOAT_A_SA_DIRECTION])
		key.direction = direction;
	if (key.direction != direction) {
		NL_SET_ERR_MSG_FMT(extack, "%s", direction == MOAT_DIRECTION_IN ?
			       "sa-add takes inbound SAs; policy-switch takes outbound ones" :
			       "policy-switch takes outbound SAs; sa-add takes inbound ones");
		return ERR_PTR(-EINVAL);
	}
	sa = moat_sa_alloc(mn, &key);
	if (!sa)
		return ERR_PTR(-ENOMEM);
	err = moat_nl_sa_fill(sa, tb, extack);
	moat_nl_wipe(tb[MOAT_A_SA_ENC_KEY]);
	moat_nl_wipe(tb[MOAT_A_SA_AUTH_KEY]);
	if (err) {
		moat_sa_put(sa);
		return ERR_PTR(err);
	}
	sa->state = MOAT_SA_STATE_VALID;
	return sa;
}

/* Transport mode: between two hosts, who are the ends of the SA. */
static int moat_nl_sa_hosts(struct moat_sa *sa, struct netlink_ext_ack *extack)
{
	bool in = sa->key.direction == MOAT_DIRECTION_IN;
	const union nf_inet_addr *local = in ? &sa->key.dst : &sa->src;
	const union nf_inet_addr *remote = in ? &sa->src : &sa->key.dst;

	if (sa->mode != MOAT_MODE_TRANSPORT)
		return 0;
	if (!sa->selector.family)
		moat_selector_hosts(&sa->selector, sa->key.family, local,
				    remote);
	if (moat_selector_is_hosts(&sa->selector, sa->key.family, local,
				   remote))
		return 0;
	NL_SET_ERR_MSG_FMT(extack, "transport mode: SPI 0x%08x has other ends than its selector",
			   be32_to_cpu(sa->key.spi));
	return -EINVAL;
}

/* Whether a policy's traffic goes to another client at the same address. */
static bool moat_nl_sa_other_client(const struct moat_sa *sa,
				    const struct moat_policy *policy)
{
	__be16 port = sa->key.direction == MOAT_DIRECTION_IN ?
		      sa->encap_sport : sa->encap_dport;
	const struct moat_sa *other;
	bool found = false;

	rcu_read_lock();
	list_for_each_entry(other, &policy->outbound, policy_node)
		found = found || (other->encap_dport &&
				  moat_sa_mapping(other).port != port);
	rcu_read_unlock();
	return found && moat_selector_meets(&policy->selector, &sa->selector);
}

/*
 * RFC 3948 5.2: in transport mode clients behind one NAT are told apart by
 * nothing but their traffic. What one has the next one cannot get.
 */
static int moat_nl_sa_clash(const struct moat_sa *sa,
			    const struct moat_policy *policy,
			    struct netlink_ext_ack *extack)
{
	const struct moat_ends *ends =
		rcu_dereference_protected(policy->ends, true);
	const struct moat_policy *other;
	unsigned long id;

	if (!sa->encap_sport || sa->mode != MOAT_MODE_TRANSPORT || !ends ||
	    ends->users < 2)
		return 0;
	xa_for_each(&sa->mn->policies, id, other) {
		if (other == policy || rcu_access_pointer(other->ends) != ends ||
		    !moat_nl_sa_other_client(sa, other))
			continue;
		NL_SET_ERR_MSG_FMT(extack,
				   "policy %u: another client of the NAT has this (RFC 3948 5.2)",
				   other->id);
		return -EADDRINUSE;
	}
	return 0;
}

int moat_nl_sa_inherit(struct moat_sa *sa, const struct moat_policy *policy,
		       struct netlink_ext_ack *extack)
{
	int err;

	if (sa->mode != policy->mode) {
		NL_SET_ERR_MSG_FMT(extack, "SPI 0x%08x and policy %u differ in their mode",
				   be32_to_cpu(sa->key.spi), policy->id);
		return -EINVAL;
	}
	sa->shape = policy->shape;
	sa->device = policy->device;
	if (!sa->selector.family)
		sa->selector = policy->selector;
	if (moat_selector_covers(&policy->selector, &sa->selector)) {
		err = moat_nl_sa_hosts(sa, extack);
		return err ?: moat_nl_sa_clash(sa, policy, extack);
	}
	NL_SET_ERR_MSG_FMT(extack, "selector of SPI 0x%08x is not inside that of policy %u",
			   be32_to_cpu(sa->key.spi), policy->id);
	return -EINVAL;
}

/* What is left of sa-add once the SAs stand; locked. */
static int moat_nl_sa_commit(struct moat_net *mn, struct moat_sa **sas,
			     unsigned int n, struct netlink_ext_ack *extack)
{
	struct moat_policy *policy;
	unsigned int i;
	int err;

	for (i = 0; i < n; i++) {
		err = sas[i]->policy_id ? 0 : moat_nl_sa_hosts(sas[i], extack);
		if (err)
			return err;
		if (!sas[i]->policy_id)
			continue;
		policy = xa_load(&mn->policies, sas[i]->policy_id);
		if (!policy) {
			NL_SET_ERR_MSG_FMT(extack, "policy %u does not exist",
					   sas[i]->policy_id);
			return -ENOENT;
		}
		err = moat_nl_sa_inherit(sas[i], policy, extack);
		if (err)
			return err;
	}
	return moat_sa_insert(mn, sas, n, extack);
}

static bool moat_nl_sa_twice(struct moat_sa **sas, unsigned int n,
			     const struct moat_sa *sa)
{
	while (n--)
		if (!memcmp(&sas[n]->key, &sa->key, sizeof(sa->key)))
			return true;
	return false;
}

void moat_nl_sas_put(struct moat_sa **sas, int n)
{
	while (n--)
		moat_sa_put(sas[n]);
}

int moat_nl_sas_make(struct moat_net *mn, struct moat_sa **sas, u8 direction,
		     struct genl_info *info)
{
	struct netlink_ext_ack *extack = info->extack;
	const struct nlattr *attr;
	int rem, n = 0, err = -EINVAL;
	struct moat_sa *sa;

	nlmsg_for_each_attr(attr, info->nlhdr, GENL_HDRLEN, rem) {
		if (nla_type(attr) != MOAT_A_MAIN_SA)
			continue;
		if (n == MOAT_SAS_MAX) {
			NL_SET_ERR_MSG_FMT(extack, "more than %u SAs in one request",
					   MOAT_SAS_MAX);
			goto free;
		}
		sa = moat_nl_sa_make(mn, attr, direction, extack);
		if (IS_ERR(sa)) {
			err = PTR_ERR(sa);
			goto free;
		}
		sas[n++] = sa;
		if (moat_nl_sa_twice(sas, n - 1, sa)) {
			NL_SET_ERR_MSG_FMT(extack, "SPI 0x%08x is given twice",
					   be32_to_cpu(sa->key.spi));
			goto free;
		}
	}
	if (!n)
		return moat_nl_missing("sa", extack);
	err = moat_nl_bundles(sas, n, extack);
	if (!err)
		return n;
free:
	moat_nl_sas_put(sas, n);
	return err;
}

int moat_nl_sa_add(struct sk_buff *skb, struct genl_info *info)
{
	struct moat_net *mn = moat_net(genl_info_net(info));
	struct moat_sa *sas[MOAT_SAS_MAX];
	int n, err;

	err = moat_nl_once(info, MOAT_A_MAIN_SA);
	if (err)
		return err;
	n = moat_nl_sas_make(mn, sas, MOAT_DIRECTION_IN, info);
	if (n < 0)
		return n;
	mutex_lock(&mn->lock);
	err = moat_nl_sa_commit(mn, sas, n, info->extack);
	mutex_unlock(&mn->lock);
	if (err)
		moat_nl_sas_put(sas, n);
	return err;
}

/* The SA that a request names, and what else it says of it; locked. */
static struct moat_sa *moat_nl_sa_find_in(struct moat_net *mn,
					  struct genl_info *info,
					  const struct nla_policy *policy,
					  struct nlattr **tb)
{
	struct moat_sa_key key;
	struct moat_sa *sa;
	int err;

	err = moat_nl_once(info, 0);
	if (!err)
		err = moat_nl_nest(tb, MOAT_A_SA_MAX,
				   info->attrs[MOAT_A_MAIN_SA], policy, "sa",
				   info->extack);
	if (!err && !tb[MOAT_A_SA_DIRECTION])
		err = moat_nl_missing("sa.direction", info->extack);
	if (!err)
		err = moat_nl_sa_key(&key, tb, true, info->extack);
	if (err)
		return ERR_PTR(err);
	sa = moat_sa_find(mn, &key);
	if (sa)
		return sa;
	NL_SET_ERR_MSG_FMT(info->extack, "no %s SA with SPI 0x%08x and this destination",
			   key.direction == MOAT_DIRECTION_IN ? "inbound" :
			   "outbound", be32_to_cpu(key.spi));
	return ERR_PTR(-ENOENT);
}

/* The one that a request does nothing but name; locked. */
static struct moat_sa *moat_nl_sa_find(struct moat_net *mn,
				       struct genl_info *info)
{
	struct nlattr *tb[MOAT_A_SA_MAX + 1];

	return moat_nl_sa_find_in(mn, info, moat_nl_sa_id, tb);
}

static int moat_nl_sa_answer(struct sk_buff *msg, struct genl_info *info)
{
	struct moat_net *mn = moat_net(genl_info_net(info));
	struct moat_sa *sa;
	int err;

	mutex_lock(&mn->lock);
	sa = moat_nl_sa_find(mn, info);
	err = IS_ERR(sa) ? PTR_ERR(sa) : moat_nl_put_sa(msg, sa);
	mutex_unlock(&mn->lock);
	return err;
}

int moat_nl_sa_get(struct sk_buff *skb, struct genl_info *info)
{
	struct sk_buff *msg;
	void *hdr;

	msg = moat_nl_reply(info, MOAT_CMD_SA_GET, &hdr);
	if (!msg)
		return -ENOMEM;
	return moat_nl_answer(info, msg, hdr,
			      moat_nl_sa_answer(msg, info));
}

static int moat_nl_sa_dump_one(struct sk_buff *skb,
			       struct netlink_callback *cb,
			       struct moat_sa *sa)
{
	void *hdr = genlmsg_put(skb, NETLINK_CB(cb->skb).portid,
				cb->nlh->nlmsg_seq, &moat_genl_family,
				NLM_F_MULTI, MOAT_CMD_SA_GET);

	if (!hdr)
		return -EMSGSIZE;
	genl_dump_check_consistent(cb, hdr);
	if (moat_nl_put_sa(skb, sa)) {
		genlmsg_cancel(skb, hdr);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, hdr);
	return 0;
}

/* By serial, which is never used again: a dump goes on where it was. */
int moat_nl_sa_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct moat_net *mn = moat_net(sock_net(skb->sk));
	unsigned long serial;
	struct moat_sa *sa;

	mutex_lock(&mn->lock);
	cb->seq = mn->generation;
	xa_for_each_start(&mn->serials, serial, sa, cb->args[0])
		if (moat_nl_sa_dump_one(skb, cb, sa))
			break;
	/* Where to go on; behind the last one when the walk came to its end. */
	cb->args[0] = sa ? serial : mn->next_serial;
	mutex_unlock(&mn->lock);
	return skb->len;
}

int moat_nl_sa_del(struct sk_buff *skb, struct genl_info *info)
{
	struct moat_net *mn = moat_net(genl_info_net(info));
	struct moat_sa *sa;
	int err = 0;

	mutex_lock(&mn->lock);
	sa = moat_nl_sa_find(mn, info);
	if (IS_ERR(sa))
		err = PTR_ERR(sa);
	else
		moat_sa_del(sa);
	mutex_unlock(&mn->lock);
	return err;
}

static int moat_nl_mapping(struct moat_mapping *to, const struct moat_sa *sa,
			   struct genl_info *info)
{
	const struct nlattr *port = info->attrs[MOAT_A_MAIN_PORT];
	struct netlink_ext_ack *extack = info->extack;
	struct moat_nl_addr addr;
	int err;

	err = moat_nl_host(&addr, info->attrs[MOAT_A_MAIN_ADDR], "addr",
			   extack);
	if (err)
		return err;
	if (!port || !nla_get_u16(port)) {
		NL_SET_ERR_MSG(extack, "port is missing or 0: a mapping has a UDP port");
		return -EINVAL;
	}
	if (addr.family != sa->key.family) {
		NL_SET_ERR_MSG(extack, "addr is not of the family of sa.dst");
		return -EINVAL;
	}
	to->addr = addr.addr;
	to->port = htons(nla_get_u16(port));
	return 0;
}

/* Locked. */
static int moat_nl_sa_move_one(struct moat_net *mn, struct genl_info *info)
{
	struct moat_sa *sa = moat_nl_sa_find(mn, info);
	struct moat_mapping to;
	int err;

	if (IS_ERR(sa))
		return PTR_ERR(sa);
	if (sa->key.direction != MOAT_DIRECTION_OUT || !sa->encap_sport) {
		NL_SET_ERR_MSG(info->extack, "sa-move takes outbound SAs with UDP encapsulation");
		return -EINVAL;
	}
	err = moat_nl_mapping(&to, sa, info);
	return err ?: moat_mapping_move(sa, &to);
}

static int moat_nl_locked(struct genl_info *info,
			  int (*change)(struct moat_net *mn,
					struct genl_info *info))
{
	struct moat_net *mn = moat_net(genl_info_net(info));
	int err;

	mutex_lock(&mn->lock);
	err = change(mn, info);
	mutex_unlock(&mn->lock);
	return err;
}

int moat_nl_sa_move(struct sk_buff *skb, struct genl_info *info)
{
	return moat_nl_locked(info, moat_nl_sa_move_one);
}

/* Locked. */
static int moat_nl_sa_set_one(struct moat_net *mn, struct genl_info *info)
{
	struct nlattr *tb[MOAT_A_SA_MAX + 1];
	struct moat_sa *sa = moat_nl_sa_find_in(mn, info, moat_nl_sa_owned, tb);

	if (IS_ERR(sa))
		return PTR_ERR(sa);
	if (sa->state == MOAT_SA_STATE_RESERVED) {
		NL_SET_ERR_MSG(info->extack, "a reserved SPI has no owner");
		return -EINVAL;
	}
	return moat_nl_sa_owner(sa, tb[MOAT_A_SA_OWNER]);
}

int moat_nl_sa_set(struct sk_buff *skb, struct genl_info *info)
{
	return moat_nl_locked(info, moat_nl_sa_set_one);
}

int moat_nl_sa_flush(struct sk_buff *skb, struct genl_info *info)
{
	struct moat_net *mn = moat_net(genl_info_net(info));

	mutex_lock(&mn->lock);
	moat_sa_flush(mn);
	mutex_unlock(&mn->lock);
	return 0;
}
