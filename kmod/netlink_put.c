// SPDX-License-Identifier: GPL-2.0
/* Writing attributes. Keys have no writer. */

#include <linux/in.h>

#include "device.h"
#include "netlink.h"

int moat_nl_put_addr(struct sk_buff *skb, int type, u8 family,
		     const union nf_inet_addr *addr)
{
	return nla_put(skb, type, family == AF_INET ? 4 : 16, addr);
}

static int moat_nl_put_ports(struct sk_buff *skb, int min_type, u16 min,
			     int max_type, u16 max)
{
	if (min == 0 && max == U16_MAX)
		return 0;
	if (nla_put_u16(skb, min_type, min))
		return -EMSGSIZE;
	return nla_put_u16(skb, max_type, max);
}

static int moat_nl_fill_selector(struct sk_buff *skb,
				 const struct moat_selector *sel)
{
	if (moat_nl_put_addr(skb, MOAT_A_SELECTOR_LOCAL_ADDR, sel->family,
			     &sel->local) ||
	    nla_put_u8(skb, MOAT_A_SELECTOR_LOCAL_PREFIX, sel->local_prefix) ||
	    moat_nl_put_addr(skb, MOAT_A_SELECTOR_REMOTE_ADDR, sel->family,
			     &sel->remote) ||
	    nla_put_u8(skb, MOAT_A_SELECTOR_REMOTE_PREFIX,
		       sel->remote_prefix) ||
	    moat_nl_put_ports(skb, MOAT_A_SELECTOR_LOCAL_PORT_MIN,
			      sel->local_port_min,
			      MOAT_A_SELECTOR_LOCAL_PORT_MAX,
			      sel->local_port_max) ||
	    moat_nl_put_ports(skb, MOAT_A_SELECTOR_REMOTE_PORT_MIN,
			      sel->remote_port_min,
			      MOAT_A_SELECTOR_REMOTE_PORT_MAX,
			      sel->remote_port_max))
		return -EMSGSIZE;
	return sel->protocol ? nla_put_u8(skb, MOAT_A_SELECTOR_PROTOCOL,
					  sel->protocol) : 0;
}

/* A nest that is filled, or taken back. */
static int moat_nl_close(struct sk_buff *skb, struct nlattr *nest, int err)
{
	if (err)
		nla_nest_cancel(skb, nest);
	else
		nla_nest_end(skb, nest);
	return err;
}

int moat_nl_put_selector(struct sk_buff *skb, int type,
			 const struct moat_selector *sel)
{
	struct nlattr *nest;

	if (!sel->family)
		return 0;
	nest = nla_nest_start(skb, type);
	if (!nest)
		return -EMSGSIZE;
	return moat_nl_close(skb, nest, moat_nl_fill_selector(skb, sel));
}

static int moat_nl_fill_flow(struct sk_buff *skb, const struct moat_flow *flow)
{
	bool type = moat_has_type(flow->protocol);
	u16 sport = type ? flow->local_port >> 8 : flow->local_port;
	u16 dport = type ? flow->local_port & U8_MAX : flow->remote_port;

	if (moat_nl_put_addr(skb, MOAT_A_FLOW_SRC, flow->family,
			     &flow->local) ||
	    moat_nl_put_addr(skb, MOAT_A_FLOW_DST, flow->family,
			     &flow->remote) ||
	    nla_put_u8(skb, MOAT_A_FLOW_PROTOCOL, flow->protocol) ||
	    nla_put_u16(skb, MOAT_A_FLOW_SPORT, sport) ||
	    nla_put_u16(skb, MOAT_A_FLOW_DPORT, dport) ||
	    (flow->mark && nla_put_u32(skb, MOAT_A_FLOW_MARK, flow->mark)))
		return -EMSGSIZE;
	return 0;
}

int moat_nl_put_flow(struct sk_buff *skb, int type,
		     const struct moat_flow *flow)
{
	struct nlattr *nest = nla_nest_start(skb, type);

	if (!nest)
		return -EMSGSIZE;
	return moat_nl_close(skb, nest, moat_nl_fill_flow(skb, flow));
}

int moat_nl_put_counter(struct sk_buff *skb, int type, const char *name,
			u64 value)
{
	struct nlattr *nest = nla_nest_start(skb, type);
	int err = -EMSGSIZE;

	if (!nest)
		return err;
	if (!nla_put_string(skb, MOAT_A_COUNTER_NAME, name))
		err = nla_put_u64_64bit(skb, MOAT_A_COUNTER_VALUE, value,
					MOAT_A_COUNTER_PAD);
	return moat_nl_close(skb, nest, err);
}

static int moat_nl_put_drops(struct sk_buff *skb, int type,
			     const struct moat_drops *drops)
{
	int i, n, err = 0;

	for (i = 0; drops && i < MOAT_DROP_MAX && !err; i++) {
		n = atomic_read(&drops->n[i]);
		if (n)
			err = moat_nl_put_counter(skb, type,
						  moat_drop_names[i], (u32)n);
	}
	return err;
}

static int moat_nl_fill_sa_id(struct sk_buff *skb, const struct moat_sa *sa)
{
	const struct moat_sa *lead = sa->below ?: sa;
	const struct moat_sa_key *key = &sa->key;

	if (nla_put_u8(skb, MOAT_A_SA_DIRECTION, key->direction) ||
	    nla_put_u8(skb, MOAT_A_SA_PROTOCOL, key->protocol) ||
	    nla_put_u32(skb, MOAT_A_SA_SPI, be32_to_cpu(key->spi)) ||
	    moat_nl_put_addr(skb, MOAT_A_SA_DST, key->family, &key->dst) ||
	    nla_put_u8(skb, MOAT_A_SA_STATE, READ_ONCE(lead->state)))
		return -EMSGSIZE;
	if (sa->policy_id &&
	    nla_put_u32(skb, MOAT_A_SA_POLICY, sa->policy_id))
		return -EMSGSIZE;
	/* A reserved SPI has no source yet. */
	if (!sa->mode)
		return 0;
	return moat_nl_put_addr(skb, MOAT_A_SA_SRC, key->family, &sa->src);
}

int moat_nl_put_sa_id(struct sk_buff *skb, const struct moat_sa *sa)
{
	struct nlattr *nest = nla_nest_start(skb, MOAT_A_MAIN_SA);

	if (!nest)
		return -EMSGSIZE;
	return moat_nl_close(skb, nest, moat_nl_fill_sa_id(skb, sa));
}

int moat_nl_put_unknown(struct sk_buff *skb, const struct moat_sa_key *id,
			const union nf_inet_addr *src)
{
	struct nlattr *nest = nla_nest_start(skb, MOAT_A_MAIN_SA);
	int err;

	if (!nest)
		return -EMSGSIZE;
	err = nla_put_u8(skb, MOAT_A_SA_PROTOCOL, id->protocol);
	if (!err)
		err = nla_put_u32(skb, MOAT_A_SA_SPI, be32_to_cpu(id->spi));
	if (!err)
		err = moat_nl_put_addr(skb, MOAT_A_SA_DST, id->family,
				       &id->dst);
	if (!err)
		err = moat_nl_put_addr(skb, MOAT_A_SA_SRC, id->family, src);
	return moat_nl_close(skb, nest, err);
}

static int moat_nl_put_limit(struct sk_buff *skb, int type, u64 value)
{
	if (value == U64_MAX)
		return 0;
	return nla_put_u64_64bit(skb, type, value, MOAT_A_SA_PAD);
}

static int moat_nl_put_life(struct sk_buff *skb, const struct moat_life *life)
{
	int err;

	err = moat_nl_put_limit(skb, MOAT_A_SA_SOFT_SECONDS,
				life->soft_seconds);
	if (!err)
		err = moat_nl_put_limit(skb, MOAT_A_SA_HARD_SECONDS,
					life->hard_seconds);
	if (!err)
		err = moat_nl_put_limit(skb, MOAT_A_SA_SOFT_BYTES,
					life->soft_bytes);
	if (!err)
		err = moat_nl_put_limit(skb, MOAT_A_SA_HARD_BYTES,
					life->hard_bytes);
	if (!err)
		err = moat_nl_put_limit(skb, MOAT_A_SA_SOFT_PACKETS,
					life->soft_packets);
	if (!err)
		err = moat_nl_put_limit(skb, MOAT_A_SA_HARD_PACKETS,
					life->hard_packets);
	return err;
}

static int moat_nl_put_u64(struct sk_buff *skb, int type, u64 value)
{
	return nla_put_u64_64bit(skb, type, value, MOAT_A_SA_PAD);
}

static int moat_nl_put_use(struct sk_buff *skb, struct moat_sa *sa)
{
	struct moat_sa *lead = moat_sa_lead(sa);
	u64 seq = sa->key.direction == MOAT_DIRECTION_OUT ?
		  moat_ring_seq(&sa->ring) :
		  moat_replay_top(&sa->replay);
	u32 last_used = READ_ONCE(lead->last_used);

	if (moat_nl_put_u64(skb, MOAT_A_SA_SEQ, seq) ||
	    moat_nl_put_u64(skb, MOAT_A_SA_PACKETS,
			    atomic64_read(&lead->packets)) ||
	    moat_nl_put_u64(skb, MOAT_A_SA_BYTES,
			    atomic64_read(&lead->bytes)) ||
	    moat_nl_put_u64(skb, MOAT_A_SA_CREATED, sa->created) ||
	    moat_nl_put_u64(skb, MOAT_A_SA_ASYNC,
			    (u32)atomic_read(&sa->async)))
		return -EMSGSIZE;
	return last_used ? moat_nl_put_u64(skb, MOAT_A_SA_LAST_USED,
					   last_used) : 0;
}

static int moat_nl_put_alg(struct sk_buff *skb, const struct moat_sa *sa)
{
	const struct moat_alg *alg = &sa->alg;
	const char *driver;

	driver = crypto_tfm_alg_driver_name(crypto_aead_tfm(alg->aead));
	if (nla_put_u16(skb, MOAT_A_SA_ENC, moat_alg_enc(alg)) ||
	    nla_put_u16(skb, MOAT_A_SA_AUTH, moat_alg_auth(alg)) ||
	    nla_put_u8(skb, MOAT_A_SA_ICV_LEN, alg->icv) ||
	    nla_put_u16(skb, MOAT_A_SA_KEY_BITS, alg->key_bits) ||
	    nla_put_string(skb, MOAT_A_SA_DRIVER, driver))
		return -EMSGSIZE;
	return 0;
}

static int moat_nl_put_late_row(struct sk_buff *skb,
				const struct moat_late *late, unsigned int row)
{
	struct nlattr *nest = nla_nest_start(skb, MOAT_A_SA_LATE);
	int err = -EMSGSIZE;

	if (!nest)
		return err;
	if (!nla_put_u32(skb, MOAT_A_LATE_FROM, moat_late_from(row)) &&
	    !nla_put_u64_64bit(skb, MOAT_A_LATE_ACCEPTED, late->accepted[row],
			       MOAT_A_LATE_PAD) &&
	    !nla_put_u64_64bit(skb, MOAT_A_LATE_REFUSED, late->refused[row],
			       MOAT_A_LATE_PAD))
		err = nla_put_u64_64bit(skb, MOAT_A_LATE_DUPLICATE,
					late->duplicate[row],
					MOAT_A_LATE_PAD);
	return moat_nl_close(skb, nest, err);
}

static int moat_nl_put_late(struct sk_buff *skb, struct moat_sa *sa)
{
	struct moat_late late;
	unsigned int row;
	int err = 0;

	if (!moat_replay_late(&sa->replay, &late))
		return 0;
	for (row = 0; row < MOAT_LATE_ROWS && !err; row++)
		if (late.accepted[row] || late.refused[row] ||
		    late.duplicate[row])
			err = moat_nl_put_late_row(skb, &late, row);
	return err;
}

static int moat_nl_put_direction(struct sk_buff *skb, struct moat_sa *sa)
{
	u32 mtu;

	if (sa->key.direction == MOAT_DIRECTION_IN) {
		if (nla_put_u32(skb, MOAT_A_SA_REPLAY, sa->replay.window))
			return -EMSGSIZE;
		return moat_nl_put_late(skb, sa);
	}
	rcu_read_lock();
	mtu = moat_sa_mtu(moat_sa_lead(sa));
	rcu_read_unlock();
	return nla_put_u32(skb, MOAT_A_SA_MTU, mtu);
}

static int moat_nl_put_encap(struct sk_buff *skb, const struct moat_sa *sa)
{
	bool in = sa->key.direction == MOAT_DIRECTION_IN;
	struct moat_mapping peer;
	__be16 port;

	if (!sa->encap_sport)
		return 0;
	rcu_read_lock();
	peer = moat_sa_mapping(sa);
	rcu_read_unlock();
	port = in ? peer.port : sa->encap_sport;
	if (nla_put_u16(skb, MOAT_A_SA_ENCAP_SPORT, ntohs(port)))
		return -EMSGSIZE;
	port = in ? sa->encap_dport : peer.port;
	if (nla_put_u16(skb, MOAT_A_SA_ENCAP_DPORT, ntohs(port)))
		return -EMSGSIZE;
	if (moat_addr_equal(&peer.addr, in ? &sa->src : &sa->key.dst))
		return 0;
	return moat_nl_put_addr(skb, MOAT_A_SA_PEER, sa->key.family,
				&peer.addr);
}

static int moat_nl_put_owner(struct sk_buff *skb, const struct moat_sa *sa)
{
	lockdep_assert_held(&sa->mn->lock);
	return sa->owner ? nla_put(skb, MOAT_A_SA_OWNER, sa->owner_len,
				   sa->owner) : 0;
}

static int moat_nl_fill_sa(struct sk_buff *skb, struct moat_sa *sa)
{
	if (moat_nl_fill_sa_id(skb, sa))
		return -EMSGSIZE;
	if (sa->state == MOAT_SA_STATE_RESERVED)
		return 0;
	if (nla_put_u8(skb, MOAT_A_SA_MODE, sa->mode) ||
	    (sa->esn && nla_put_flag(skb, MOAT_A_SA_ESN)) ||
	    (sa->bundle && nla_put_u32(skb, MOAT_A_SA_BUNDLE, sa->bundle)) ||
	    moat_nl_put_owner(skb, sa) ||
	    moat_nl_put_selector(skb, MOAT_A_SA_SELECTOR, &sa->selector) ||
	    moat_nl_put_alg(skb, sa) || moat_nl_put_direction(skb, sa) ||
	    moat_nl_put_encap(skb, sa) || moat_nl_put_life(skb, &moat_sa_lead(sa)->life) ||
	    moat_nl_put_use(skb, sa))
		return -EMSGSIZE;
	return moat_nl_put_drops(skb, MOAT_A_SA_DROP, READ_ONCE(sa->drops));
}

int moat_nl_put_sa_end(struct sk_buff *skb, struct moat_sa *sa)
{
	struct nlattr *nest = nla_nest_start(skb, MOAT_A_MAIN_SA);
	int err;

	if (!nest)
		return -EMSGSIZE;
	err = moat_nl_fill_sa_id(skb, sa) ?: moat_nl_put_owner(skb, sa) ?:
	      moat_nl_put_use(skb, sa) ?:
	      moat_nl_put_drops(skb, MOAT_A_SA_DROP, READ_ONCE(sa->drops));
	return moat_nl_close(skb, nest, err);
}

int moat_nl_put_sa(struct sk_buff *skb, struct moat_sa *sa)
{
	struct nlattr *nest = nla_nest_start(skb, MOAT_A_MAIN_SA);

	if (!nest)
		return -EMSGSIZE;
	return moat_nl_close(skb, nest, moat_nl_fill_sa(skb, sa));
}

static int moat_nl_put_ends(struct sk_buff *skb,
			    const struct moat_policy *policy)
{
	const struct moat_ends *ends = rcu_dereference(policy->ends);

	if (!ends)
		return 0;
	if (moat_nl_put_addr(skb, MOAT_A_POLICY_LOCAL, ends->key.family,
			     &ends->key.local))
		return -EMSGSIZE;
	return moat_nl_put_addr(skb, MOAT_A_POLICY_REMOTE, ends->key.family,
				&ends->key.remote);
}

static int moat_nl_put_hold(struct sk_buff *skb, struct moat_policy *policy)
{
	const struct moat_sa *sa = rcu_dereference(policy->sa);
	unsigned int held;

	if (sa && nla_put_u32(skb, MOAT_A_POLICY_SPI,
			      be32_to_cpu(sa->key.spi)))
		return -EMSGSIZE;
	if (moat_hold_state(policy, &held) &&
	    nla_put_flag(skb, MOAT_A_POLICY_ACQUIRE))
		return -EMSGSIZE;
	return nla_put_u32(skb, MOAT_A_POLICY_HELD, held);
}

static int moat_nl_put_shape(struct sk_buff *skb,
			     const struct moat_shape *shape)
{
	if ((shape->dscp != MOAT_DSCP_COPY &&
	     nla_put_u8(skb, MOAT_A_POLICY_DSCP, shape->dscp)) ||
	    (shape->df != MOAT_DF_COPY &&
	     nla_put_u8(skb, MOAT_A_POLICY_DF, shape->df)) ||
	    (shape->mtu && nla_put_u16(skb, MOAT_A_POLICY_MTU, shape->mtu)) ||
	    (shape->mss && nla_put_u16(skb, MOAT_A_POLICY_MSS, shape->mss)) ||
	    (shape->tfc && nla_put_u16(skb, MOAT_A_POLICY_TFC, shape->tfc)) ||
	    (shape->secpath && nla_put_flag(skb, MOAT_A_POLICY_SECPATH)))
		return -EMSGSIZE;
	return 0;
}

static int moat_nl_put_device(struct sk_buff *skb,
			      const struct moat_policy *policy)
{
	char name[IFNAMSIZ];

	if (!policy->device)
		return 0;
	moat_device_name(policy, name);
	return nla_put_string(skb, MOAT_A_POLICY_DEVICE, name);
}

static int moat_nl_put_mark(struct sk_buff *skb,
			    const struct moat_policy *policy)
{
	if (!policy->mark_mask)
		return 0;
	if (nla_put_u32(skb, MOAT_A_POLICY_MARK, policy->mark))
		return -EMSGSIZE;
	return nla_put_u32(skb, MOAT_A_POLICY_MARK_MASK, policy->mark_mask);
}

static int moat_nl_put_shadow(struct sk_buff *skb, struct moat_policy *policy)
{
	const struct moat_policy *other;

	if (moat_bypass_covers(policy))
		return nla_put_u32(skb, MOAT_A_POLICY_SHADOWED, 0);
	other = moat_policy_shadow(policy);
	return other ? nla_put_u32(skb, MOAT_A_POLICY_SHADOWED, other->id) : 0;
}

static int moat_nl_fill_policy(struct sk_buff *skb, struct moat_policy *policy)
{
	if (nla_put_u32(skb, MOAT_A_POLICY_ID, policy->id) ||
	    moat_nl_put_selector(skb, MOAT_A_POLICY_SELECTOR,
				 &policy->selector) ||
	    nla_put_u8(skb, MOAT_A_POLICY_ACTION,
		       READ_ONCE(policy->action)) ||
	    nla_put_u32(skb, MOAT_A_POLICY_PRIORITY, policy->priority) ||
	    nla_put_u8(skb, MOAT_A_POLICY_MODE, policy->mode) ||
	    (READ_ONCE(policy->acquire_off) &&
	     nla_put_flag(skb, MOAT_A_POLICY_ACQUIRE_OFF)) ||
	    moat_nl_put_shape(skb, &policy->shape) ||
	    moat_nl_put_device(skb, policy) ||
	    moat_nl_put_mark(skb, policy) || moat_nl_put_shadow(skb, policy) ||
	    moat_nl_put_ends(skb, policy) || moat_nl_put_hold(skb, policy) ||
	    nla_put_u64_64bit(skb, MOAT_A_POLICY_PACKETS,
			      atomic64_read(&policy->packets),
			      MOAT_A_POLICY_PAD) ||
	    nla_put_u64_64bit(skb, MOAT_A_POLICY_BYTES,
			      atomic64_read(&policy->bytes),
			      MOAT_A_POLICY_PAD))
		return -EMSGSIZE;
	return moat_nl_put_drops(skb, MOAT_A_POLICY_DROP,
				 READ_ONCE(policy->drops));
}

int moat_nl_put_policy(struct sk_buff *skb, struct moat_policy *policy)
{
	struct nlattr *nest = nla_nest_start(skb, MOAT_A_MAIN_POLICY);

	if (!nest)
		return -EMSGSIZE;
	return moat_nl_close(skb, nest, moat_nl_fill_policy(skb, policy));
}

static int moat_nl_fill_policy_id(struct sk_buff *skb,
				  const struct moat_policy *policy)
{
	if (nla_put_u32(skb, MOAT_A_POLICY_ID, policy->id) ||
	    moat_nl_put_selector(skb, MOAT_A_POLICY_SELECTOR,
				 &policy->selector) ||
	    nla_put_u8(skb, MOAT_A_POLICY_MODE, policy->mode))
		return -EMSGSIZE;
	return moat_nl_put_ends(skb, policy);
}

int moat_nl_put_policy_id(struct sk_buff *skb,
			  const struct moat_policy *policy)
{
	struct nlattr *nest = nla_nest_start(skb, MOAT_A_MAIN_POLICY);

	if (!nest)
		return -EMSGSIZE;
	return moat_nl_close(skb, nest, moat_nl_fill_policy_id(skb, policy));
}

int moat_nl_put_gone(struct sk_buff *skb, u32 id)
{
	struct nlattr *nest = nla_nest_start(skb, MOAT_A_MAIN_POLICY);

	if (!nest)
		return -EMSGSIZE;
	return moat_nl_close(skb, nest, nla_put_u32(skb, MOAT_A_POLICY_ID, id));
}

int moat_nl_put_bypass(struct sk_buff *skb, const struct moat_selector *sel,
		       const char *why)
{
	struct nlattr *nest = nla_nest_start(skb, MOAT_A_MAIN_POLICY);
	int err = -EMSGSIZE;

	if (!nest)
		return err;
	if (!moat_nl_put_selector(skb, MOAT_A_POLICY_SELECTOR, sel) &&
	    !nla_put_u8(skb, MOAT_A_POLICY_ACTION, MOAT_ACTION_BYPASS))
		err = nla_put_string(skb, MOAT_A_POLICY_IMPLICIT, why);
	return moat_nl_close(skb, nest, err);
}
