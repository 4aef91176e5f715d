// SPDX-License-Identifier: GPL-2.0
/*
 * The path out: hook -> policy -> the other hooks -> SA -> segments -> seal
 * -> send, in order.
 */
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <net/ip.h>
#include <net/ipv6.h>
#include <net/netfilter/nf_conntrack.h>

#include "chain.h"
#include "device.h"
#include "frag.h"
#include "mss.h"
#include "nat.h"
#include "netns.h"
#include "outer.h"
#include "output.h"
#include "parse.h"
#include "toobig.h"
#include "transport.h"
#include "verdict.h"

/**
 * struct moat_out - What all segments of a packet have in common.
 * @policy: its policy
 * @sa: its SA
 * @dst: route of the outer packet
 * @mtu: largest inner packet that leaves unfragmented, in bytes
 * @fit: whether this one does
 * @head_len: transport mode: bytes before what is protected
 * @next_offset: transport mode: offset in them of the byte that names it
 * @family: of the inner packet
 */
struct moat_out {
	struct moat_policy *policy;
	struct moat_sa *sa;
	struct dst_entry *dst;
	unsigned int mtu;
	enum moat_fit fit;
	unsigned int head_len;
	unsigned int next_offset;
	u8 family;
};

static void moat_output_drop(struct moat_policy *policy, struct moat_sa *sa,
			     struct sk_buff *skb, enum moat_drop why)
{
	moat_drop(policy->mn, sa, policy, why);
	kfree_skb(skb);
}

static enum moat_drop moat_output_reserve(struct moat_job *job)
{
	struct moat_sa *sa = job->sa;

	switch (moat_ring_reserve(&sa->ring, &job->slot,
				  moat_sa_last_seq(sa))) {
	case 0:
		moat_sa_account_seq(sa, job->slot.seq);
		return MOAT_DROP_NONE;
	case -EOVERFLOW:
		return MOAT_DROP_OUT_SEQ;
	default:
		return MOAT_DROP_RING_FULL;
	}
}

static void moat_output_deliver(struct moat_slot *slot);

/* A bundle: ESP is sealed, AH goes around it. */
static enum moat_drop moat_output_above(struct moat_sa *sa,
					struct sk_buff *skb)
{
	enum moat_drop why = MOAT_DROP_OUT_NOMEM;
	unsigned int next_offset;
	struct moat_job *job;
	int len;

	job = moat_job_alloc(sa, skb, moat_output_deliver);
	if (!job)
		return why;
	why = MOAT_DROP_OUT_MALFORMED;
	len = moat_layer_split(skb, sa->key.family, &next_offset);
	if (len > 0)
		why = moat_output_reserve(job);
	if (why) {
		moat_job_free(job);
		return why;
	}
	moat_layer_insert(job, len, next_offset);
	moat_layer_seal(job);
	return MOAT_DROP_NONE;
}

/* A sealed packet's turn has come. */
static void moat_output_deliver(struct moat_slot *slot)
{
	struct moat_job *job = container_of(slot, struct moat_job, slot);
	enum moat_drop why = MOAT_DROP_NONE;
	struct moat_sa *sa = job->sa;

	if (job->err)
		why = job->err == -EPROTO ? MOAT_DROP_OUT_MALFORMED :
					    MOAT_DROP_OUT_CRYPTO;
	else if (sa->above)
		why = moat_output_above(sa->above, job->skb);
	else
		moat_outer_send(sa, job->skb);
	if (why) {
		moat_drop(sa->mn, sa, NULL, why);
		kfree_skb(job->skb);
	}
	moat_job_free(job);
}

/* Whether routers may be forbidden to fragment the outer packet. */
static bool moat_output_df(const struct moat_out *out,
			   const struct sk_buff *skb)
{
	if (out->fit == MOAT_FIT_CUT_OUTER)
		return false;
	switch (out->sa->shape.df) {
	case MOAT_DF_SET:
		return true;
	case MOAT_DF_CLEAR:
		return false;
	default:
		return out->family == AF_INET6 ||
		       ip_hdr(skb)->frag_off & htons(IP_DF);
	}
}

/* Bytes of padding against traffic analysis behind an inner packet. */
static unsigned int moat_output_tfc(const struct moat_out *out,
				    const struct sk_buff *skb)
{
	unsigned int to = min_t(unsigned int, out->sa->shape.tfc, out->mtu);

	/* only an inner IP header tells where the packet ends */
	return to > skb->len && !out->head_len ? to - skb->len : 0;
}

/*
 * Transport mode: the packet keeps its own header, behind which ESP or AH
 * goes. Too large with DF, it is fragmented all the same, and needs an
 * identification for that.
 */
static void moat_output_transport(const struct moat_out *out,
				  struct moat_job *job)
{
	struct sk_buff *skb = job->skb;

	if (out->family == AF_INET && out->fit == MOAT_FIT_CUT_OUTER &&
	    ip_hdr(skb)->frag_off & htons(IP_DF)) {
		ip_hdr(skb)->frag_off = 0;
		ip_select_ident(out->sa->mn->net, skb, NULL);
	}
	if (out->sa->encap_sport)
		moat_outer_readdress(out->sa, skb);
	moat_layer_insert(job, out->head_len, out->next_offset);
}

/* Put ESP or AH and outer header around a packet that is owned and has its place. */
static void moat_output_wrap(const struct moat_out *out, struct moat_job *job)
{
	struct sk_buff *skb = job->skb;
	u8 dsfield = moat_outer_dsfield(out->sa, skb, out->family);
	unsigned int tfc = moat_output_tfc(out, skb);
	bool df = moat_output_df(out, skb);
	__be32 flowlabel = 0;

	if (out->family == AF_INET6)
		flowlabel = ip6_flowlabel(ipv6_hdr(skb));
	skb_scrub_packet(skb, !net_eq(out->sa->mn->net, dev_net(skb->dev)));
	skb_dst_set(skb, dst_clone(out->dst));
	skb->dev = out->dst->dev;
	skb->encapsulation = 0;
	skb->ignore_df = out->fit == MOAT_FIT_CUT_OUTER;
	skb->ip_summed = CHECKSUM_NONE;
	skb_clear_hash(skb);
	if (tfc)
		skb_put_zero(skb, tfc);
	if (out->sa->mode == MOAT_MODE_TRANSPORT) {
		moat_output_transport(out, job);
		return;
	}
	moat_layer_wrap(job, out->family == AF_INET ? IPPROTO_IPIP :
						      IPPROTO_IPV6);
	moat_outer_push(out->sa, skb, dsfield, flowlabel, df);
}

static enum moat_drop moat_output_prepare(const struct moat_out *out,
					  struct sk_buff *skb)
{
	const struct moat_sa *sa = out->sa;
	unsigned int tfc = moat_output_tfc(out, skb);
	unsigned int payload = skb->len - out->head_len + tfc;

	if (moat_chain_size(sa, payload) +
	    moat_outer_before(sa, out->head_len) > IP_MAX_MTU)
		return MOAT_DROP_OUT_LONG;
	if (moat_skb_own(skb, LL_RESERVED_SPACE(out->dst->dev) +
			 moat_outer_len(sa) + moat_chain_head(sa),
			 tfc + moat_chain_tail(sa)))
		return MOAT_DROP_OUT_NOMEM;
	if (skb->ip_summed == CHECKSUM_PARTIAL && skb_csum_hwoffload_help(skb, 0))
		return MOAT_DROP_OUT_MALFORMED;
	if (sa->shape.mss)
		moat_mss_clamp(skb, out->family,
			       sa->shape.mss == MOAT_MSS_AUTO ?
			       moat_mss_of(out->mtu, out->family) :
			       sa->shape.mss);
	return MOAT_DROP_NONE;
}

/* Seal one packet, no GSO packet any more. */
static void moat_output_one(const struct moat_out *out, struct sk_buff *skb)
{
	struct moat_sa *sa = out->sa;
	unsigned int len = skb->len;
	struct moat_job *job = NULL;
	enum moat_drop why;

	why = moat_output_prepare(out, skb);
	if (why)
		goto drop;
	why = MOAT_DROP_OUT_NOMEM;
	job = moat_job_alloc(sa, skb, moat_output_deliver);
	if (!job)
		goto drop;
	why = MOAT_DROP_LIFE_HARD;
	if (!moat_sa_account(sa, len))
		goto drop;
	why = moat_output_reserve(job);
	if (why)
		goto drop;

	moat_count(sa->mn, OUT_PACKETS, 1);
	moat_count(sa->mn, OUT_BYTES, len);
	moat_output_wrap(out, job);
	moat_layer_seal(job);
	return;
drop:
	if (job)
		moat_job_free(job);
	moat_output_drop(out->policy, sa, skb, why);
}

/*
 * Options that belong to the first fragment only become padding for the others
 * (RFC 791 3.1). The header is ours, and linear.
 */
static void moat_output_spend_options(struct sk_buff *skb)
{
	u8 *at = (u8 *)(ip_hdr(skb) + 1);
	unsigned int left = ip_hdrlen(skb) - sizeof(struct iphdr), len;

	while (left && *at != IPOPT_END) {
		len = *at == IPOPT_NOOP || left < 2 ? 1 : at[1];
		if (!len || len > left)
			return;
		if (!IPOPT_COPIED(*at))
			memset(at, IPOPT_NOOP, len);
		at += len;
		left -= len;
	}
}

/* Seal the fragments of an IPv4 packet. */
static void moat_output_fragments(const struct moat_out *out,
				  struct sk_buff *skb)
{
	unsigned int head = ip_hdrlen(skb);
	struct ip_frag_state state;
	struct sk_buff *fragment;
	bool first = true;

	if (skb->ip_summed == CHECKSUM_PARTIAL && skb_checksum_help(skb))
		goto drop;
	if (skb_ensure_writable(skb, head))
		goto drop;
	ip_frag_init(skb, head, LL_RESERVED_SPACE(out->dst->dev),
		     out->mtu - head, false, &state);
	while (state.left > 0) {
		fragment = ip_frag_next(skb, &state);
		if (IS_ERR(fragment))
			goto drop;
		moat_output_one(out, fragment);
		if (first)
			moat_output_spend_options(skb);
		first = false;
	}
	consume_skb(skb);
	return;
drop:
	moat_output_drop(out->policy, out->sa, skb, MOAT_DROP_OUT_NOMEM);
}

/* A packet that is no GSO packet any more. */
static void moat_output_segment(const struct moat_out *out,
				struct sk_buff *skb)
{
	if (out->fit == MOAT_FIT_CUT_INNER && skb->len > out->mtu)
		moat_output_fragments(out, skb);
	else
		moat_output_one(out, skb);
}

/*
 * A GSO packet is cut only here, so that all before saw one packet. Segments
 * inherit its headroom: make it large enough once.
 */
static void moat_output_gso(const struct moat_out *out, struct sk_buff *skb)
{
	unsigned int head = LL_RESERVED_SPACE(out->dst->dev) +
			    moat_outer_len(out->sa) +
			    moat_chain_head(out->sa);
	struct sk_buff *segs, *next;

	if (skb_headroom(skb) < head &&
	    pskb_expand_head(skb, SKB_DATA_ALIGN(head), 0, GFP_ATOMIC))
		goto drop;
	segs = skb_gso_segment(skb, 0);
	if (IS_ERR_OR_NULL(segs))
		goto drop;
	consume_skb(skb);
	skb_list_walk_safe(segs, skb, next) {
		skb_mark_not_on_list(skb);
		moat_output_segment(out, skb);
	}
	return;
drop:
	moat_output_drop(out->policy, out->sa, skb, MOAT_DROP_OUT_NOMEM);
}

/* The outer packet would come back to the device it comes from. */
static bool moat_output_loops(const struct moat_out *out,
			      const struct sk_buff *skb)
{
	return out->dst->dev == skb->dev && moat_device_is(skb->dev);
}

static enum moat_fit moat_output_fit(const struct moat_out *out,
				     struct sk_buff *skb)
{
	enum moat_fit fit;

	if (out->sa->mode == MOAT_MODE_TUNNEL) {
		fit = moat_too_big(skb, out->family, &out->sa->shape, out->mtu);
		/* later fragments have no ports: the peer may refuse them */
		return fit == MOAT_FIT_CUT_INNER &&
		       moat_selector_has_ports(&out->sa->selector) ?
		       MOAT_FIT_CUT_OUTER : fit;
	}
	return moat_transport_fit(skb, out->family, out->mtu) ?
	       MOAT_FIT_WHOLE : MOAT_FIT_CUT_OUTER;
}

/* Send a packet whose way is known; consumes it. Returns as moat_output_sa(). */
static int moat_output_routed(struct moat_out *out, struct sk_buff *skb)
{
	if (moat_output_loops(out, skb)) {
		moat_output_drop(out->policy, out->sa, skb,
				 MOAT_DROP_OUT_ROUTE);
		return -ELOOP;
	}
	out->mtu = moat_outer_mtu(out->sa, out->dst, out->head_len);
	out->fit = moat_output_fit(out, skb);
	if (out->fit == MOAT_FIT_NOT) {
		moat_output_drop(out->policy, out->sa, skb,
				 MOAT_DROP_OUT_MTU);
		return -EMSGSIZE;
	}
	if (skb_is_gso(skb))
		moat_output_gso(out, skb);
	else
		moat_output_segment(out, skb);
	return 0;
}

/*
 * The route of the outer packet; in transport mode it is the packet's own,
 * which knows what its sender's socket asked for.
 */
static enum moat_drop moat_output_route(struct moat_out *out,
					struct sk_buff *skb)
{
	enum moat_drop why;

	if (out->sa->mode == MOAT_MODE_TUNNEL) {
		out->dst = moat_outer_route(out->sa);
		return IS_ERR(out->dst) ? MOAT_DROP_OUT_ROUTE : MOAT_DROP_NONE;
	}
	why = moat_transport_check(skb, out->family, &out->head_len,
				   &out->next_offset);
	if (why)
		return why;
	if (out->sa->encap_sport) {	/* the peer may have moved */
		out->dst = moat_outer_route(out->sa);
		return IS_ERR(out->dst) ? MOAT_DROP_OUT_ROUTE : MOAT_DROP_NONE;
	}
	if (!skb_dst_force(skb))
		return MOAT_DROP_OUT_ROUTE;
	out->dst = dst_clone(skb_dst(skb));
	return MOAT_DROP_NONE;
}

/*
 * Send a packet with an SA; consumes it. Returns 0, or what its local sender
 * is to be told.
 */
static int moat_output_sa(struct moat_policy *policy, struct moat_sa *sa,
			  struct sk_buff *skb, const struct moat_flow *flow)
{
	struct moat_out out = {
		.policy = policy,
		.sa = sa,
		.family = flow->family,
	};
	enum moat_drop why;
	int err = -EPERM;

	why = MOAT_DROP_OUT_STATE;
	if (!moat_sa_usable(sa))
		goto drop;
	why = MOAT_DROP_OUT_SELECTOR;
	if (!moat_parse_match(&sa->selector, skb, flow->family, true, flow))
		goto drop;
	why = moat_output_route(&out, skb);
	if (why) {
		err = why == MOAT_DROP_OUT_ROUTE ? -EHOSTUNREACH : -EPERM;
		goto drop;
	}
	err = moat_output_routed(&out, skb);
	dst_release(out.dst);
	return err;
drop:
	moat_output_drop(policy, sa, skb, why);
	return err;
}

int moat_output_protect(struct moat_policy *policy, struct sk_buff *skb,
			const struct moat_flow *flow)
{
	struct moat_sa *sa = rcu_dereference(policy->sa);

	if (!sa) {
		/* an error asks for no SA (RFC 4301 6.2) */
		if (!flow->carried && !moat_hold(policy, skb, flow))
			return 0;
		sa = rcu_dereference(policy->sa);
		if (!sa) {
			moat_output_drop(policy, NULL, skb, MOAT_DROP_NO_SA);
			return -EPERM;
		}
	}
	return moat_output_sa(policy, sa, skb, flow);
}

void moat_output_held(struct moat_policy *policy, struct moat_sa *sa,
		      struct sk_buff *skb)
{
	u8 family = skb->protocol == htons(ETH_P_IP) ? AF_INET : AF_INET6;
	struct moat_flow flow;

	/* the device may be gone; its route then leads nowhere */
	skb->dev = skb_dst(skb) ? skb_dst(skb)->dev :
				  policy->mn->net->loopback_dev;
	if (moat_parse_flow(skb, family, true, &flow))
		moat_output_drop(policy, sa, skb, MOAT_DROP_OUT_MALFORMED);
	else
		moat_output_sa(policy, sa, skb, &flow);
}

/*
 * Where a packet goes on that a later hook has queued (NFQUEUE): never into
 * plain output, even when its policy has changed meanwhile.
 */
static int moat_output_requeued(struct net *net, struct sock *sk,
				struct sk_buff *skb)
{
	u8 family = skb->protocol == htons(ETH_P_IP) ? AF_INET : AF_INET6;
	struct moat_net *mn = moat_net(net);
	enum moat_verdict verdict = MOAT_VERDICT_CLEAR;
	struct moat_policy *policy;
	struct moat_flow flow;
	int err = -EPERM;

	local_bh_disable();
	rcu_read_lock();
	if (!moat_parse_flow(skb, family, true, &flow))
		verdict = moat_verdict(mn, skb, true, &flow, &policy);
	if (verdict == MOAT_VERDICT_PROTECT || verdict == MOAT_VERDICT_HOLD) {
		err = moat_output_protect(policy, skb, &flow);
	} else {
		moat_drop(mn, NULL, NULL, MOAT_DROP_HOLD_DELETED);
		kfree_skb(skb);
	}
	rcu_read_unlock();
	local_bh_enable();
	return err;
}

/* Verdict for a packet that is ours now: its local sender learns of err. */
static unsigned int moat_output_stolen(int err)
{
	return err < 0 ? NF_STOLEN | NF_DROP_ERR(err) : NF_STOLEN;
}

static unsigned int moat_output_steal(struct moat_policy *policy,
				      struct sk_buff *skb,
				      const struct moat_flow *flow,
				      const struct nf_hook_state *state)
{
	int err;

	skb = skb_share_check(skb, GFP_ATOMIC);
	if (!skb) {
		moat_drop(policy->mn, NULL, policy, MOAT_DROP_OUT_NOMEM);
		return moat_output_stolen(-ENOMEM);
	}
	atomic64_inc(&policy->packets);
	atomic64_add(skb->len, &policy->bytes);
	err = moat_path_other_hooks(skb, state, moat_output_hook,
				    moat_output_requeued);
	if (err != 1)
		return moat_output_stolen(err);
	local_bh_disable();
	err = moat_output_protect(policy, skb, flow);
	local_bh_enable();
	return moat_output_stolen(err);
}

static unsigned int moat_output_refuse(struct moat_net *mn,
				       struct moat_policy *policy,
				       enum moat_drop why)
{
	moat_drop(mn, NULL, policy, why);
	return NF_DROP;
}

/*
 * Not our business: what XFRM is about to transform, what a bridge forwards
 * (such frames have no route, or the bridge's fake one), and what never
 * leaves the host.
 */
static bool moat_output_foreign(const struct sk_buff *skb,
				const struct nf_hook_state *state)
{
	const struct dst_entry *dst = skb_dst(skb);

	return !dst || dst->flags & DST_FAKE_RTABLE || dst->xfrm ||
	       (state->out && state->out->flags & IFF_LOOPBACK);
}

unsigned int moat_output_hook(void *priv, struct sk_buff *skb,
			      const struct nf_hook_state *state)
{
	struct moat_net *mn = moat_net(state->net);
	struct moat_policy *policy = NULL;
	struct moat_flow flow;
	u8 family = state->pf == NFPROTO_IPV4 ? AF_INET : AF_INET6;
	int err;

	if (!READ_ONCE(mn->policy_count) || moat_output_foreign(skb, state))
		return NF_ACCEPT;
	err = moat_frag_gather(mn, skb, family, MOAT_FRAG_OUT);
	if (err == -EINPROGRESS)
		return NF_STOLEN;
	if (err)
		return moat_output_refuse(mn, NULL, MOAT_DROP_FRAGMENT);

	if (moat_parse_flow(skb, family, true, &flow))
		return moat_output_refuse(mn, NULL, MOAT_DROP_OUT_MALFORMED);
	if (moat_outer_ours(mn, &flow, skb))
		return NF_ACCEPT;

	switch (moat_verdict(mn, skb, true, &flow, &policy)) {
	case MOAT_VERDICT_PROTECT:
	case MOAT_VERDICT_HOLD:
		/* what is routed to a device is protected there */
		if (moat_device_is(state->out))
			return NF_ACCEPT;
		return moat_output_steal(policy, skb, &flow, state);
	case MOAT_VERDICT_DISCARD:
		return moat_output_refuse(mn, policy, MOAT_DROP_DISCARD);
	case MOAT_VERDICT_BYPASS:
		moat_count(mn, BYPASSED, 1);
		break;
	default:
		break;
	}
	if (moat_device_is(state->out))
		return NF_ACCEPT;
	policy = moat_nat_rewrote(mn, skb, &flow);
	if (policy)
		return moat_output_refuse(mn, policy, MOAT_DROP_NAT_REWROTE);
	return NF_ACCEPT;
}
