// SPDX-License-Identifier: GPL-2.0
/*
 * The path in: SPI -> SA -> replay check -> open -> in order: replay check
 * again and advance -> padding -> AH of a bundle: again for its ESP -> inner
 * packet -> selector -> deliver. Then,
 * at PRE_ROUTING: what a policy protects must have come out of an SA.
 */
#include <linux/if_arp.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/netfilter_bridge.h>
#include <linux/udp.h>
#include <net/esp.h>
#include <net/gro_cells.h>
#include <net/xfrm.h>

#include "chain.h"
#include "device.h"
#include "early.h"
#include "encap.h"
#include "event.h"
#include "frag.h"
#include "input.h"
#include "mark.h"
#include "mss.h"
#include "netns.h"
#include "outer.h"
#include "parse.h"
#include "secpath.h"
#include "transport.h"
#include "verdict.h"

/* Delivery through NAPI, so that segments become one packet again (GRO). */
static struct net_device moat_input_dev;
static struct gro_cells moat_input_cells;

/* The inner packet begins where the outer one's payload did. */
static void moat_input_strip(struct sk_buff *skb, u8 family)
{
	skb->protocol = family == AF_INET ? htons(ETH_P_IP) : htons(ETH_P_IPV6);
	skb->ignore_df = 0;	/* said of the outer packet */
	skb_reset_network_header(skb);
	skb_mac_header_rebuild(skb);
	if (skb->mac_len && skb->dev->type == ARPHRD_ETHER)
		eth_hdr(skb)->h_proto = skb->protocol;
}

/* What the peer may be told: its MSS is about the way back, our outbound SA. */
static u16 moat_input_mss(const struct moat_sa *sa, u8 family)
{
	const struct moat_policy *policy;
	const struct moat_sa *back;
	unsigned int mtu = 0;

	if (sa->shape.mss != MOAT_MSS_AUTO)
		return sa->shape.mss;
	rcu_read_lock();
	policy = xa_load(&sa->mn->policies, sa->policy_id);
	back = policy ? rcu_dereference(policy->sa) : NULL;
	if (back)
		mtu = moat_sa_mtu(back);
	rcu_read_unlock();
	return moat_mss_of(mtu, family);
}

/* Its headers, and cut to its length (RFC 4303 2.7: padding against analysis). */
static enum moat_drop moat_input_trim(struct sk_buff *skb, u8 family,
				      struct moat_flow *flow)
{
	unsigned int len;

	if (moat_parse_flow(skb, family, false, flow))
		return MOAT_DROP_IN_INNER;
	len = moat_parse_len(skb, family);
	if (len > skb->len)
		return MOAT_DROP_IN_INNER;
	skb_trim(skb, len);
	return MOAT_DROP_NONE;
}

/*
 * An SA with ports is asked about whole packets: a later fragment has none (RFC
 * 4301 7). Peers that cut before they seal send such. *whole: it does not wait
 * for others.
 */
static enum moat_drop moat_input_gather(struct moat_job *job, u8 family,
					struct moat_flow *flow, bool *whole)
{
	int err;

	*whole = true;
	if (job->sa->mode != MOAT_MODE_TUNNEL ||
	    !moat_selector_has_ports(&job->sa->selector))
		return MOAT_DROP_NONE;
	err = moat_frag_gather_sa(job->sa, job->skb, family);
	if (err == -EINPROGRESS) {
		*whole = false;
		job->skb = NULL;
		return MOAT_DROP_NONE;
	}
	if (err)
		return MOAT_DROP_FRAGMENT;
	return moat_input_trim(job->skb, family, flow);
}

/* An inner packet as RFC 4301 5.2 wants it. */
static enum moat_drop moat_input_inner(struct moat_job *job, u8 family)
{
	struct sk_buff *skb = job->skb;
	struct moat_sa *sa = job->sa;
	struct moat_flow flow;
	enum moat_drop why;
	unsigned int len;
	bool whole;

	why = moat_input_trim(skb, family, &flow);
	if (why)
		return why;
	if (sa->mode == MOAT_MODE_TUNNEL &&
	    moat_outer_ecn(sa, skb, family, job->dsfield))
		return MOAT_DROP_IN_ECN;
	why = moat_input_gather(job, family, &flow, &whole);
	if (why || !whole)
		return why;
	if (!moat_parse_match(&sa->selector, skb, family, false, &flow))
		return MOAT_DROP_IN_SELECTOR;
	len = skb->len;
	if (!moat_sa_account(sa, len))
		return MOAT_DROP_LIFE_HARD;
	moat_count(sa->mn, IN_PACKETS, 1);
	moat_count(sa->mn, IN_BYTES, len);
	if (sa->shape.mss && moat_mss_is_syn(skb, family))
		moat_mss_clamp(skb, family, moat_input_mss(sa, family));
	return MOAT_DROP_NONE;
}

static enum moat_drop moat_input_tunnel(struct moat_job *job, u8 next_header)
{
	u8 family;

	switch (next_header) {
	case IPPROTO_IPIP:
		family = AF_INET;
		break;
	case IPPROTO_IPV6:
		family = AF_INET6;
		break;
	case IPPROTO_NONE:
		return MOAT_DROP_IN_DUMMY;
	default:
		return MOAT_DROP_IN_NEXT_HEADER;
	}
	moat_input_strip(job->skb, family);
	return moat_input_inner(job, family);
}

/*
 * Where a packet in UDP came from, for its peer to be followed there. The
 * outer headers are what they were: nobody else owns them.
 */
static void moat_input_heard(const struct moat_job *job)
{
	const struct sk_buff *skb = job->skb;
	struct moat_mapping from = { };
	const struct udphdr *udp;

	udp = (const struct udphdr *)(skb->data - sizeof(*udp));
	from.port = udp->source;
	if (job->family == AF_INET)
		from.addr.ip = ip_hdr(skb)->saddr;
	else
		from.addr.in6 = ipv6_hdr(skb)->saddr;
	moat_mapping_heard(job->sa, &from);
}

/* Transport mode: the packet is the outer IP header with what was opened. */
static enum moat_drop moat_input_transport(struct moat_job *job,
					   u8 next_header)
{
	if (next_header == IPPROTO_NONE)
		return MOAT_DROP_IN_DUMMY;
	if (next_header == NEXTHDR_FRAGMENT)	/* RFC 4301 4.1: whole ones */
		return MOAT_DROP_IN_NEXT_HEADER;
	moat_layer_restore(job, next_header);
	skb_push(job->skb, job->head_len);
	if (job->sa->encap_sport)
		moat_transport_unnat(job->sa, job->skb, job->head_len,
				     next_header);
	moat_input_strip(job->skb, job->family);
	return moat_input_inner(job, job->family);
}

/* An opened packet, whose turn has come: is it one to go on with? */
static enum moat_drop moat_input_accept(struct moat_job *job, u8 *next_header)
{
	bool newest = job->slot.seq > READ_ONCE(job->sa->replay.top);
	enum moat_drop why;

	if (job->err == -EBADMSG)
		return MOAT_DROP_IN_ICV;
	if (job->err)
		return MOAT_DROP_IN_CRYPTO;
	why = moat_replay_advance(&job->sa->replay, job->slot.seq);
	/* a late one may come from where the peer was, a repeated one from anybody */
	if (!why && newest && job->sa->encap_sport)
		moat_input_heard(job);
	if (!why)
		why = moat_layer_unwrap(job, next_header);
	return why;
}

/* The SA of a packet; skb->data is its ESP or AH header. */
static struct moat_sa *moat_input_find(struct moat_net *mn,
				       const struct sk_buff *skb, u8 family,
				       u8 protocol)
{
	union nf_inet_addr src = { }, dst = { };
	struct ip_esp_hdr id;

	if (family == AF_INET) {
		dst.ip = ip_hdr(skb)->daddr;
		src.ip = ip_hdr(skb)->saddr;
	} else {
		dst.in6 = ipv6_hdr(skb)->daddr;
		src.in6 = ipv6_hdr(skb)->saddr;
	}
	if (!moat_parse_id(skb, 0, protocol, &id))
		return NULL;
	return moat_sa_find_in(mn, family, &dst, &src, protocol, id.spi);
}

/* To the stack again, as a packet that arrived; taken unless it is dropped. */
static enum moat_drop moat_input_receive(const struct moat_sa *sa,
					 struct sk_buff *skb)
{
	bool gathered = skb->ignore_df;

	skb_clear_hash(skb);
	skb->ip_summed = CHECKSUM_NONE;
	skb->encapsulation = 0;
	if (sa->device)
		return moat_device_receive(sa, skb);
	skb_scrub_packet(skb, false);
	skb->ignore_df = gathered;
	if (sa->shape.secpath && moat_secpath_set(sa->mn, skb))
		return MOAT_DROP_IN_NOMEM;
	moat_mark_set(skb);
	gro_cells_receive(&moat_input_cells, skb);
	return MOAT_DROP_NONE;
}

/* AH of a bundle: what it covers is ESP of the same bundle, or nothing. */
static enum moat_drop moat_input_below(struct moat_job *job, u8 next_header)
{
	struct moat_sa *ah = job->sa, *esp;

	if (next_header != IPPROTO_ESP)
		return MOAT_DROP_IN_BUNDLE;
	moat_layer_restore(job, next_header);
	esp = moat_input_find(ah->mn, job->skb, job->family, IPPROTO_ESP);
	if (!esp || esp->above != ah)
		return MOAT_DROP_IN_BUNDLE;
	moat_input_sa(esp, job->skb, job->family);
	return MOAT_DROP_NONE;
}

static void moat_input_deliver(struct moat_slot *slot)
{
	struct moat_job *job = container_of(slot, struct moat_job, slot);
	struct moat_sa *sa = job->sa;
	u8 next_header;
	enum moat_drop why = moat_input_accept(job, &next_header);

	if (!why && sa->below) {
		why = moat_input_below(job, next_header);
	} else if (!why) {
		why = sa->mode == MOAT_MODE_TUNNEL ?
		      moat_input_tunnel(job, next_header) :
		      moat_input_transport(job, next_header);
		if (!why && job->skb)
			why = moat_input_receive(sa, job->skb);
	}
	if (why) {
		moat_drop(sa->mn, sa, NULL, why);
		kfree_skb(job->skb);
	}
	moat_job_free(job);
}

/* What can be told before the packet is opened. */
static enum moat_drop moat_input_check(struct moat_sa *sa,
				       struct sk_buff *skb, u64 *seq)
{
	enum moat_drop why;
	u32 low;

	if (!moat_sa_usable(sa))
		return MOAT_DROP_IN_STATE;
	why = moat_layer_check(sa, skb, &low);
	return why ?: moat_replay_check(&sa->replay, sa->esn, low, seq);
}

/*
 * Where the last of the headers names what is behind them. Not IP6CB(skb)->nhoff: at
 * LOCAL_IN, from where ESP in UDP comes, IPv6 has not looked at extension headers yet.
 */
static unsigned int moat_input_next6(const u8 *head, unsigned int head_len)
{
	unsigned int next = offsetof(struct ipv6hdr, nexthdr);
	unsigned int at = sizeof(struct ipv6hdr);
	const struct ipv6_opt_hdr *ext;
	u8 type;

	while (at < head_len) {
		type = head[next];
		next = at;
		ext = (const struct ipv6_opt_hdr *)(head + at);
		if (type == NEXTHDR_FRAGMENT)
			at += sizeof(struct frag_hdr);
		else if (type == NEXTHDR_AUTH)
			at += ipv6_authlen(ext);
		else
			at += ipv6_optlen(ext);
	}
	return next;
}

/* What a job remembers of the headers before ESP or AH; UDP is none of them. */
static void moat_input_outer(struct moat_job *job, u8 family)
{
	const struct sk_buff *skb = job->skb;

	job->family = family;
	job->dsfield = moat_parse_dsfield(skb, family);
	job->head_len = -skb_network_offset(skb);
	if (job->sa->encap_sport)
		job->head_len -= sizeof(struct udphdr);
	job->next_offset = family == AF_INET ?
			   offsetof(struct iphdr, protocol) :
			   moat_input_next6(skb_network_header(skb),
					    job->head_len);
}

void moat_input_sa(struct moat_sa *sa, struct sk_buff *skb, u8 family)
{
	struct moat_job *job = NULL;
	enum moat_drop why;
	u64 seq;

	why = moat_input_check(sa, skb, &seq);
	if (why)
		goto drop;
	why = MOAT_DROP_IN_NOMEM;
	if (moat_skb_own(skb, 0, 0))
		goto drop;
	job = moat_job_alloc(sa, skb, moat_input_deliver);
	if (!job)
		goto drop;
	moat_input_outer(job, family);
	job->slot.seq = seq;
	job->dev = skb->dev;
	dev_hold(job->dev);
	skb_reset_transport_header(skb);
	why = MOAT_DROP_RING_FULL;
	if (moat_ring_reserve(&sa->ring, &job->slot, 0))
		goto drop;
	moat_layer_open(job);
	return;
drop:
	if (job)
		moat_job_free(job);
	moat_drop(sa->mn, sa, NULL, why);
	kfree_skb(skb);
}

/*
 * The peer may have SAs that we have lost. Those of the kernel's own XFRM are
 * none of them.
 */
static void moat_input_unknown(struct moat_net *mn, const struct sk_buff *skb,
			       u8 family, u8 protocol)
{
	struct moat_sa_key id = { .family = family, .protocol = protocol };
	union nf_inet_addr src = { };
	struct ip_esp_hdr header;
	struct xfrm_state *x;

	if (family == AF_INET) {
		id.dst.ip = ip_hdr(skb)->daddr;
		src.ip = ip_hdr(skb)->saddr;
	} else {
		id.dst.in6 = ipv6_hdr(skb)->daddr;
		src.in6 = ipv6_hdr(skb)->saddr;
	}
	if (!moat_parse_id(skb, 0, protocol, &header) || !header.spi ||
	    !moat_ends_known(mn, family, &id.dst, &src))
		return;
	x = xfrm_state_lookup(mn->net, skb->mark,
			      (const xfrm_address_t *)&id.dst, header.spi,
			      protocol, family);
	if (x) {
		xfrm_state_put(x);
		return;
	}
	id.spi = header.spi;
	if (moat_ends_unknown(mn, family, &id.dst, &src))
		moat_event_unknown_spi(mn, &id, &src);
}

/* A packet with no UDP header; consumes it. */
static void moat_input_no_udp(struct moat_sa *sa, struct sk_buff *skb)
{
	if (sa->encap_sport || sa->above) {
		moat_drop(sa->mn, sa, NULL, sa->above ? MOAT_DROP_IN_BUNDLE :
							MOAT_DROP_IN_ENCAP);
		kfree_skb(skb);
	} else {
		moat_input_sa(sa, skb, sa->key.family);
	}
}

void moat_input_early(struct moat_sa *sa, struct sk_buff *skb)
{
	if (skb_network_offset(skb))
		moat_input_no_udp(sa, skb);
	else
		moat_encap_early(sa, skb);
}

int moat_input_packet(struct sk_buff *skb, u8 family, u8 protocol)
{
	struct moat_net *mn = moat_net(dev_net(skb->dev));
	struct moat_sa *sa;

	if (!pskb_may_pull(skb, sizeof(struct ip_esp_hdr)))
		return -EINVAL;
	do {
		sa = moat_input_find(mn, skb, family, protocol);
		if (!sa) {
			moat_input_unknown(mn, skb, family, protocol);
			return -EINVAL;
		}
		if (likely(!READ_ONCE(sa->early))) {
			moat_input_no_udp(sa, skb);
			return 0;
		}
	} while (!moat_early_hold(sa, skb));
	return 0;
}

/*
 * A bridge's frames pass here before the bridge knows whether they are for
 * this host; those that are come again.
 */
static bool moat_input_foreign(const struct sk_buff *skb)
{
	return nf_bridge_in_prerouting(skb) || skb->dev->flags & IFF_LOOPBACK;
}

/*
 * The headers of a packet in clear, whole where fragments could not be judged.
 * -EINPROGRESS: it waits for others, else 0 or *why it is dropped.
 */
static int moat_input_read(struct moat_net *mn, struct sk_buff *skb, u8 family,
			   struct moat_flow *flow, enum moat_drop *why)
{
	int err = moat_frag_gather(mn, skb, family, MOAT_FRAG_IN);

	*why = MOAT_DROP_FRAGMENT;
	if (err)
		return err;
	*why = MOAT_DROP_IN_SHORT;
	err = moat_parse_flow(skb, family, false, flow);
	if (err)
		return err;
	err = moat_frag_gather_ends(mn, skb, flow);
	if (err > 0)
		return moat_parse_flow(skb, family, false, flow);
	*why = MOAT_DROP_FRAGMENT;
	return err;
}

unsigned int moat_input_hook(void *priv, struct sk_buff *skb,
			     const struct nf_hook_state *state)
{
	u8 family = state->pf == NFPROTO_IPV4 ? AF_INET : AF_INET6;
	struct moat_net *mn = moat_net(state->net);
	struct moat_policy *policy = NULL;
	struct moat_flow flow;
	enum moat_drop why;
	int err;

	if (moat_mark_take(skb) || !READ_ONCE(mn->policy_count) ||
	    moat_input_foreign(skb))
		return NF_ACCEPT;
	err = moat_input_read(mn, skb, family, &flow, &why);
	if (err == -EINPROGRESS)
		return NF_STOLEN;
	if (err)
		goto drop;
	switch (moat_verdict(mn, skb, false, &flow, &policy)) {
	case MOAT_VERDICT_PROTECT:
	case MOAT_VERDICT_HOLD:
		why = MOAT_DROP_IN_CLEAR;
		break;
	case MOAT_VERDICT_DISCARD:
		why = MOAT_DROP_DISCARD;
		break;
	default:
		return NF_ACCEPT;
	}
	if (moat_encap_arrives(mn, skb, family))
		return NF_ACCEPT;
drop:
	moat_drop(mn, NULL, policy, why);
	return NF_DROP;
}

int moat_input_init(void)
{
	int err;

	init_dummy_netdev(&moat_input_dev);
	err = moat_mark_init(&moat_input_dev);
	if (err)
		return err;
	err = gro_cells_init(&moat_input_cells, &moat_input_dev);
	if (err)
		moat_mark_exit();
	return err;
}

void moat_input_exit(void)
{
	gro_cells_destroy(&moat_input_cells);
	moat_mark_exit();
}
