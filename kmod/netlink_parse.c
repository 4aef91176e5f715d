// SPDX-License-Identifier: GPL-2.0
/*
 * Reading attributes. Each refusal names the rule that was broken, and the
 * value where there is one.
 */

#include <linux/in.h>
#include <net/ipv6.h>

#include "netlink.h"

int moat_nl_missing(const char *name, struct netlink_ext_ack *extack)
{
	NL_SET_ERR_MSG_FMT(extack, "attribute %s is missing", name);
	return -EINVAL;
}

/* @many may be there more than once. */
static int moat_nl_once_in(const struct nlattr *head, int len, int many,
			   const char *where, struct netlink_ext_ack *extack)
{
	const struct nlattr *attr;
	DECLARE_BITMAP(seen, 64) = {};
	int rem;

	nla_for_each_attr(attr, head, len, rem) {
		int type = nla_type(attr);

		if (type == many || type >= 64 ||
		    !__test_and_set_bit(type, seen))
			continue;
		NL_SET_BAD_ATTR(extack, attr);
		NL_SET_ERR_MSG_FMT(extack, "attribute %d of %s is given twice",
				   type, where);
		return -EINVAL;
	}
	return 0;
}

int moat_nl_once(struct genl_info *info, int many)
{
	return moat_nl_once_in(nlmsg_attrdata(info->nlhdr, GENL_HDRLEN),
			       nlmsg_attrlen(info->nlhdr, GENL_HDRLEN),
			       many, "the request", info->extack);
}

int moat_nl_nest(struct nlattr **tb, int max, const struct nlattr *nest,
		 const struct nla_policy *policy, const char *name,
		 struct netlink_ext_ack *extack)
{
	int err;

	if (!nest)
		return moat_nl_missing(name, extack);
	err = moat_nl_once_in(nla_data(nest), nla_len(nest), 0, name, extack);
	if (err)
		return err;
	return nla_parse_nested(tb, max, nest, policy, extack);
}

int moat_nl_addr(struct moat_nl_addr *out, const struct nlattr *attr,
		 const char *name, struct netlink_ext_ack *extack)
{
	memset(out, 0, sizeof(*out));
	if (!attr)
		return moat_nl_missing(name, extack);
	switch (nla_len(attr)) {
	case 4:
		out->family = AF_INET;
		break;
	case 16:
		out->family = AF_INET6;
		break;
	default:
		NL_SET_BAD_ATTR(extack, attr);
		NL_SET_ERR_MSG_FMT(extack, "%s has %d bytes; an address has 4 or 16",
				   name, nla_len(attr));
		return -EINVAL;
	}
	memcpy(&out->addr, nla_data(attr), nla_len(attr));
	return 0;
}

static bool moat_is_host(const struct moat_nl_addr *addr)
{
	if (addr->family == AF_INET6)
		return ipv6_addr_type(&addr->addr.in6) & IPV6_ADDR_UNICAST;
	return !ipv4_is_zeronet(addr->addr.ip) &&
	       !ipv4_is_multicast(addr->addr.ip) &&
	       !ipv4_is_lbcast(addr->addr.ip);
}

int moat_nl_host(struct moat_nl_addr *out, const struct nlattr *attr,
		 const char *name, struct netlink_ext_ack *extack)
{
	int err = moat_nl_addr(out, attr, name, extack);

	if (err || moat_is_host(out))
		return err;
	NL_SET_BAD_ATTR(extack, attr);
	NL_SET_ERR_MSG_FMT(extack, "%s is unspecified, multicast or broadcast: no host has it",
			   name);
	return -EINVAL;
}

int moat_nl_one_of(u8 *out, const struct nlattr *attr, u8 first, u8 last,
		   const char *name, struct netlink_ext_ack *extack)
{
	u8 value;

	if (!attr)
		return 0;
	value = nla_get_u8(attr);
	if (value < first || value > last) {
		NL_SET_BAD_ATTR(extack, attr);
		NL_SET_ERR_MSG_FMT(extack, "%s is %u, not one of %u to %u",
				   name, value, first, last);
		return -EINVAL;
	}
	*out = value;
	return 0;
}

/* One side of a selector: a network without bits behind its prefix. */
static int moat_nl_network(struct moat_nl_addr *net, u8 *prefix,
			   const struct nlattr *addr,
			   const struct nlattr *len, const char *name,
			   struct netlink_ext_ack *extack)
{
	union nf_inet_addr masked;
	u8 bits;
	int err;

	err = moat_nl_addr(net, addr, name, extack);
	if (err)
		return err;
	bits = moat_addr_bits(net->family);
	*prefix = len ? nla_get_u8(len) : bits;
	if (*prefix > bits) {
		NL_SET_ERR_MSG_FMT(extack, "%s has a prefix of %u bits; its family has %u",
				   name, *prefix, bits);
		return -EINVAL;
	}
	masked = moat_addr_mask(&net->addr, net->family, *prefix);
	if (!moat_addr_equal(&masked, &net->addr)) {
		NL_SET_ERR_MSG_FMT(extack, "%s has bits set behind its prefix of %u",
				   name, *prefix);
		return -EINVAL;
	}
	return 0;
}

static int moat_nl_ports(u16 *min, u16 *max, const struct nlattr *first,
			 const struct nlattr *last, const char *name,
			 struct netlink_ext_ack *extack)
{
	*min = first ? nla_get_u16(first) : 0;
	*max = last ? nla_get_u16(last) : first ? *min : U16_MAX;
	if (*min <= *max)
		return 0;
	NL_SET_ERR_MSG_FMT(extack, "%s ports %u-%u run backwards", name, *min,
			   *max);
	return -EINVAL;
}

/* Protocols whose packets have ports, or a type. */
static bool moat_has_ports(u8 protocol)
{
	switch (protocol) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
	case IPPROTO_SCTP:
	case IPPROTO_DCCP:
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
	case IPPROTO_MH:
		return true;
	default:
		return false;
	}
}

static int moat_nl_selector_ports(struct moat_selector *sel,
				  struct nlattr **tb,
				  struct netlink_ext_ack *extack)
{
	int err;

	err = moat_nl_ports(&sel->local_port_min, &sel->local_port_max,
			    tb[MOAT_A_SELECTOR_LOCAL_PORT_MIN],
			    tb[MOAT_A_SELECTOR_LOCAL_PORT_MAX], "local",
			    extack);
	if (!err)
		err = moat_nl_ports(&sel->remote_port_min,
				    &sel->remote_port_max,
				    tb[MOAT_A_SELECTOR_REMOTE_PORT_MIN],
				    tb[MOAT_A_SELECTOR_REMOTE_PORT_MAX],
				    "remote", extack);
	if (err)
		return err;
	if (moat_has_type(sel->protocol) &&
	    (sel->remote_port_min || sel->remote_port_max != U16_MAX)) {
		NL_SET_ERR_MSG(extack, "a type has no remote ports; local is type * 256 + code");
		return -EINVAL;
	}
	if (moat_has_ports(sel->protocol) || !moat_selector_has_ports(sel))
		return 0;
	NL_SET_ERR_MSG_FMT(extack, "ports are given, but protocol %u has none",
			   sel->protocol);
	return -EINVAL;
}

int moat_nl_mark(struct moat_policy *policy, struct nlattr **tb,
		 struct netlink_ext_ack *extack)
{
	const struct nlattr *mark = tb[MOAT_A_POLICY_MARK];
	const struct nlattr *mask = tb[MOAT_A_POLICY_MARK_MASK];

	if (!mark && !mask)
		return 0;
	if (!mark)
		return moat_nl_missing("policy.mark", extack);
	policy->mark = nla_get_u32(mark);
	policy->mark_mask = mask ? nla_get_u32(mask) : U32_MAX;
	if (policy->mark_mask && !(policy->mark & ~policy->mark_mask))
		return 0;
	NL_SET_BAD_ATTR(extack, mark);
	NL_SET_ERR_MSG_FMT(extack, "no packet has mark 0x%x in the bits 0x%x",
			   policy->mark, policy->mark_mask);
	return -EINVAL;
}

int moat_nl_mode(u8 *mode, const struct nlattr *attr, const char *name,
		 struct netlink_ext_ack *extack)
{
	return moat_nl_one_of(mode, attr, MOAT_MODE_TUNNEL,
			      MOAT_MODE_TRANSPORT, name, extack);
}

int moat_nl_selector(struct moat_selector *sel, const struct nlattr *nest,
		     struct netlink_ext_ack *extack)
{
	struct nlattr *tb[MOAT_A_SELECTOR_MAX + 1];
	struct moat_nl_addr local, remote;
	int err;

	memset(sel, 0, sizeof(*sel));
	err = moat_nl_nest(tb, MOAT_A_SELECTOR_MAX, nest, moat_nl_sel,
			   "selector", extack);
	if (!err)
		err = moat_nl_network(&local, &sel->local_prefix,
				      tb[MOAT_A_SELECTOR_LOCAL_ADDR],
				      tb[MOAT_A_SELECTOR_LOCAL_PREFIX],
				      "selector.local-addr", extack);
	if (!err)
		err = moat_nl_network(&remote, &sel->remote_prefix,
				      tb[MOAT_A_SELECTOR_REMOTE_ADDR],
				      tb[MOAT_A_SELECTOR_REMOTE_PREFIX],
				      "selector.remote-addr", extack);
	if (err)
		return err;
	if (local.family != remote.family) {
		NL_SET_ERR_MSG(extack, "selector mixes an IPv4 with an IPv6 network");
		return -EINVAL;
	}
	sel->family = local.family;
	sel->local = local.addr;
	sel->remote = remote.addr;
	if (tb[MOAT_A_SELECTOR_PROTOCOL])
		sel->protocol = nla_get_u8(tb[MOAT_A_SELECTOR_PROTOCOL]);
	return moat_nl_selector_ports(sel, tb, extack);
}

/* Reads a size in bytes; @out stays 0 without the attribute. */
static int moat_nl_size(u16 *out, const struct nlattr *attr, u16 min,
			const char *name, struct netlink_ext_ack *extack)
{
	if (!attr)
		return 0;
	*out = nla_get_u16(attr);
	if (*out >= min)
		return 0;
	NL_SET_BAD_ATTR(extack, attr);
	NL_SET_ERR_MSG_FMT(extack, "%s of %u bytes: the least is %u", name,
			   *out, min);
	return -EINVAL;
}

/* What the attributes of struct moat_shape go with. */
static int moat_nl_shape_fits(const struct moat_policy *policy,
			      struct nlattr **tb,
			      struct netlink_ext_ack *extack)
{
	bool given = tb[MOAT_A_POLICY_DSCP] || tb[MOAT_A_POLICY_DF] ||
		     tb[MOAT_A_POLICY_MTU] || tb[MOAT_A_POLICY_MSS] ||
		     tb[MOAT_A_POLICY_TFC] || tb[MOAT_A_POLICY_SECPATH];

	if (given && policy->action != MOAT_ACTION_PROTECT) {
		NL_SET_ERR_MSG(extack,
			       "dscp, df, mtu, mss, tfc, secpath: of policies that protect only");
		return -EINVAL;
	}
	if (policy->mode == MOAT_MODE_TUNNEL)
		return 0;
	/* One header serves as inner and outer; no length tells the padding. */
	if (tb[MOAT_A_POLICY_DSCP] || tb[MOAT_A_POLICY_DF] ||
	    tb[MOAT_A_POLICY_TFC]) {
		NL_SET_ERR_MSG(extack, "dscp, df and tfc are of tunnel mode only");
		return -EINVAL;
	}
	return 0;
}

int moat_nl_shape(struct moat_policy *policy, struct nlattr **tb,
		  struct netlink_ext_ack *extack)
{
	u16 mtu_min = policy->selector.family == AF_INET ? 576 : IPV6_MIN_MTU;
	struct moat_shape *shape = &policy->shape;
	int err;

	shape->secpath = tb[MOAT_A_POLICY_SECPATH];
	err = moat_nl_shape_fits(policy, tb, extack);
	if (!err)
		err = moat_nl_one_of(&shape->dscp, tb[MOAT_A_POLICY_DSCP], 0,
				     63, "policy.dscp", extack);
	if (!err)
		err = moat_nl_one_of(&shape->df, tb[MOAT_A_POLICY_DF],
				     MOAT_DF_COPY, MOAT_DF_CLEAR, "policy.df",
				     extack);
	if (!err)
		err = moat_nl_size(&shape->mtu, tb[MOAT_A_POLICY_MTU], mtu_min,
				   "policy.mtu", extack);
	/* What Linux' TCP takes for the least itself. */
	if (!err)
		err = moat_nl_size(&shape->mss, tb[MOAT_A_POLICY_MSS], 88,
				   "policy.mss", extack);
	if (!err)
		err = moat_nl_size(&shape->tfc, tb[MOAT_A_POLICY_TFC], 1,
				   "policy.tfc", extack);
	return err;
}

static int moat_nl_spi(struct moat_sa_key *key, const struct nlattr *attr,
		       struct netlink_ext_ack *extack)
{
	u32 spi;

	if (!attr)
		return moat_nl_missing("sa.spi", extack);
	spi = nla_get_u32(attr);
	if (spi < MOAT_SPI_MIN) {
		NL_SET_ERR_MSG_FMT(extack, "SPI 0x%x: 0x0 to 0xff are reserved (RFC 4303 2.1)",
				   spi);
		return -EINVAL;
	}
	key->spi = cpu_to_be32(spi);
	return 0;
}

static int moat_nl_protocol(struct moat_sa_key *key, const struct nlattr *attr,
			    struct netlink_ext_ack *extack)
{
	key->protocol = attr ? nla_get_u8(attr) : IPPROTO_ESP;
	if (key->protocol == IPPROTO_ESP || key->protocol == IPPROTO_AH)
		return 0;
	NL_SET_ERR_MSG_FMT(extack, "sa.protocol %u is neither ESP (50) nor AH (51)",
			   key->protocol);
	return -EPROTONOSUPPORT;
}

int moat_nl_sa_key(struct moat_sa_key *key, struct nlattr **tb, bool spi,
		   struct netlink_ext_ack *extack)
{
	struct moat_nl_addr dst;
	int err;

	memset(key, 0, sizeof(*key));
	key->direction = MOAT_DIRECTION_IN;
	err = moat_nl_one_of(&key->direction, tb[MOAT_A_SA_DIRECTION],
			     MOAT_DIRECTION_IN, MOAT_DIRECTION_OUT,
			     "sa.direction", extack);
	if (!err)
		err = moat_nl_protocol(key, tb[MOAT_A_SA_PROTOCOL], extack);
	if (!err && spi)
		err = moat_nl_spi(key, tb[MOAT_A_SA_SPI], extack);
	if (!err)
		err = moat_nl_host(&dst, tb[MOAT_A_SA_DST], "sa.dst", extack);
	if (err)
		return err;
	key->dst = dst.addr;
	key->family = dst.family;
	return 0;
}

struct moat_policy *moat_nl_find_policy(struct moat_net *mn,
					const struct nlattr *id,
					struct netlink_ext_ack *extack)
{
	struct moat_policy *policy;

	if (!id)
		return ERR_PTR(moat_nl_missing("policy.id", extack));
	policy = xa_load(&mn->policies, nla_get_u32(id));
	if (policy)
		return policy;
	NL_SET_ERR_MSG_FMT(extack, "policy %u does not exist",
			   nla_get_u32(id));
	return ERR_PTR(-ENOENT);
}
