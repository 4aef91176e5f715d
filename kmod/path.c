// SPDX-License-Identifier: GPL-2.0
/*
 * How the paths are hooked in. Inbound ESP and AH come through XFRM's list of
 * protocol handlers, beside and before XFRM's own: what is no SA of ours is
 * answered with -EINVAL and goes on to the next. XFRM calls the other
 * functions of every entry unconditionally, for its packets too.
 */
#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6.h>
#include <net/esp.h>
#include <net/ip6_route.h>
#include <net/route.h>
#include <net/xfrm.h>

#include "encap.h"
#include "guard.h"
#include "input.h"
#include "netns.h"
#include "output.h"
#include "parse.h"

/* Before esp4 and its relatives, which have less. */
#define MOAT_XFRM_PRIORITY 200

static int moat_path_esp4(struct sk_buff *skb)
{
	return moat_input_packet(skb, AF_INET, IPPROTO_ESP);
}

static int moat_path_esp6(struct sk_buff *skb)
{
	return moat_input_packet(skb, AF_INET6, IPPROTO_ESP);
}

static int moat_path_ah4(struct sk_buff *skb)
{
	return moat_input_packet(skb, AF_INET, IPPROTO_AH);
}

static int moat_path_ah6(struct sk_buff *skb)
{
	return moat_input_packet(skb, AF_INET6, IPPROTO_AH);
}

/* ESP that a socket was told to decapsulate: XFRM's. */
static int moat_path_encap(struct sk_buff *skb, int nexthdr, __be32 spi,
			   int encap_type)
{
	return -EINVAL;
}

/* Asked only about packets of XFRM's SAs; positive: not mine. */
static int moat_path_cb(struct sk_buff *skb, int err)
{
	return 1;
}

bool moat_path_quoted(struct moat_net *mn, struct moat_sa_key *key,
		      const union nf_inet_addr *src, const struct sk_buff *skb,
		      int offset)
{
	struct ip_esp_hdr id;
	struct moat_sa *sa;

	if (!moat_parse_id(skb, offset, key->protocol, &id))
		return false;
	key->direction = MOAT_DIRECTION_OUT;
	key->spi = id.spi;
	sa = moat_sa_find(mn, key);
	if (!sa)
		return false;
	if (moat_addr_equal(&sa->src, src) &&
	    moat_ring_sent(&sa->ring, ntohl(id.seq_no)))
		return true;
	moat_count(sa->mn, ICMP_REFUSED, 1);
	return false;
}

/* 0: ours. The path MTU is learnt here; the next packet finds it. */
static int moat_path_err4(struct sk_buff *skb, u32 info)
{
	const struct iphdr *ip = (const struct iphdr *)skb->data;
	struct moat_sa_key key = {
		.dst.ip = ip->daddr,
		.family = AF_INET,
		.protocol = ip->protocol,
	};
	const union nf_inet_addr src = { .ip = ip->saddr };
	struct net *net = dev_net(skb->dev);

	if (!moat_path_quoted(moat_net(net), &key, &src, skb,
			      ip->ihl * 4))
		return -ENOENT;
	if (icmp_hdr(skb)->type == ICMP_DEST_UNREACH &&
	    icmp_hdr(skb)->code == ICMP_FRAG_NEEDED)
		ipv4_update_pmtu(skb, net, info, 0, key.protocol);
	return 0;
}

static int moat_path_err6(struct sk_buff *skb, u8 protocol, u8 type,
			  int offset, __be32 info)
{
	const struct ipv6hdr *ip = (const struct ipv6hdr *)skb->data;
	struct moat_sa_key key = {
		.dst.in6 = ip->daddr,
		.family = AF_INET6,
		.protocol = protocol,
	};
	const union nf_inet_addr src = { .in6 = ip->saddr };
	struct net *net = dev_net(skb->dev);

	if (!moat_path_quoted(moat_net(net), &key, &src, skb, offset))
		return -ENOENT;
	if (type == ICMPV6_PKT_TOOBIG)
		ip6_update_pmtu(skb, net, info, 0, 0,
				sock_net_uid(net, NULL));
	return 0;
}

static int moat_path_esp6_err(struct sk_buff *skb, struct inet6_skb_parm *opt,
			      u8 type, u8 code, int offset, __be32 info)
{
	return moat_path_err6(skb, IPPROTO_ESP, type, offset, info);
}

static int moat_path_ah6_err(struct sk_buff *skb, struct inet6_skb_parm *opt,
			     u8 type, u8 code, int offset, __be32 info)
{
	return moat_path_err6(skb, IPPROTO_AH, type, offset, info);
}

static struct xfrm4_protocol moat_esp4 = {
	.handler = moat_path_esp4,
	.input_handler = moat_path_encap,
	.cb_handler = moat_path_cb,
	.err_handler = moat_path_err4,
	.priority = MOAT_XFRM_PRIORITY,
};

static struct xfrm6_protocol moat_esp6 = {
	.handler = moat_path_esp6,
	.input_handler = moat_path_encap,
	.cb_handler = moat_path_cb,
	.err_handler = moat_path_esp6_err,
	.priority = MOAT_XFRM_PRIORITY,
};

static struct xfrm4_protocol moat_ah4 = {
	.handler = moat_path_ah4,
	.input_handler = moat_path_encap,
	.cb_handler = moat_path_cb,
	.err_handler = moat_path_err4,
	.priority = MOAT_XFRM_PRIORITY,
};

static struct xfrm6_protocol moat_ah6 = {
	.handler = moat_path_ah6,
	.input_handler = moat_path_encap,
	.cb_handler = moat_path_cb,
	.err_handler = moat_path_ah6_err,
	.priority = MOAT_XFRM_PRIORITY,
};

/*
 * In first: the mark must be gone before anything looks at the route. FORWARD
 * first: before a rule may hand the connection to a flowtable. In UDP and out
 * last: after NAT and filters.
 */
static const struct nf_hook_ops moat_hooks[] = {
	{
		.hook = moat_input_hook,
		.pf = NFPROTO_IPV4,
		.hooknum = NF_INET_PRE_ROUTING,
		.priority = NF_IP_PRI_FIRST,
	},
	{
		.hook = moat_input_hook,
		.pf = NFPROTO_IPV6,
		.hooknum = NF_INET_PRE_ROUTING,
		.priority = NF_IP6_PRI_FIRST,
	},
	{
		.hook = moat_guard_hook,
		.pf = NFPROTO_IPV4,
		.hooknum = NF_INET_FORWARD,
		.priority = NF_IP_PRI_FIRST,
	},
	{
		.hook = moat_guard_hook,
		.pf = NFPROTO_IPV6,
		.hooknum = NF_INET_FORWARD,
		.priority = NF_IP6_PRI_FIRST,
	},
	{
		.hook = moat_encap_hook,
		.pf = NFPROTO_IPV4,
		.hooknum = NF_INET_LOCAL_IN,
		.priority = NF_IP_PRI_LAST,
	},
	{
		.hook = moat_encap_hook,
		.pf = NFPROTO_IPV6,
		.hooknum = NF_INET_LOCAL_IN,
		.priority = NF_IP6_PRI_LAST,
	},
	{
		.hook = moat_output_hook,
		.pf = NFPROTO_IPV4,
		.hooknum = NF_INET_POST_ROUTING,
		.priority = NF_IP_PRI_LAST,
	},
	{
		.hook = moat_output_hook,
		.pf = NFPROTO_IPV6,
		.hooknum = NF_INET_POST_ROUTING,
		.priority = NF_IP6_PRI_LAST,
	},
};

/* Ours among the hooks of a family and place. */
static const struct nf_hook_entries *
moat_path_entries(const struct nf_hook_state *state)
{
	const struct netns_nf *nf = &state->net->nf;

	if (state->pf == NFPROTO_IPV4)
		return rcu_dereference(nf->hooks_ipv4[state->hook]);
	return rcu_dereference(nf->hooks_ipv6[state->hook]);
}

int moat_path_other_hooks(struct sk_buff *skb,
			  const struct nf_hook_state *state, nf_hookfn *self,
			  int (*okfn)(struct net *net, struct sock *sk,
				      struct sk_buff *skb))
{
	const struct nf_hook_entries *entries = moat_path_entries(state);
	struct nf_hook_state rest = *state;
	unsigned int i;

	rest.okfn = okfn;
	for (i = 0; entries && i < entries->num_hook_entries; i++)
		if (entries->hooks[i].hook == self)
			return nf_hook_slow(skb, &rest, entries, i + 1);
	return 1;
}

int moat_path_net_init(struct net *net)
{
	return nf_register_net_hooks(net, moat_hooks, ARRAY_SIZE(moat_hooks));
}

void moat_path_net_exit(struct net *net)
{
	nf_unregister_net_hooks(net, moat_hooks, ARRAY_SIZE(moat_hooks));
}

int moat_path_init(void)
{
	return moat_input_init();
}

void moat_path_exit(void)
{
	moat_input_exit();
}

int moat_path_start(void)
{
	int err;

	err = xfrm4_protocol_register(&moat_esp4, IPPROTO_ESP);
	if (err)
		return err;
	err = xfrm6_protocol_register(&moat_esp6, IPPROTO_ESP);
	if (err)
		goto esp4;
	err = xfrm4_protocol_register(&moat_ah4, IPPROTO_AH);
	if (err)
		goto esp6;
	err = xfrm6_protocol_register(&moat_ah6, IPPROTO_AH);
	if (err)
		goto ah4;
	return 0;
ah4:
	xfrm4_protocol_deregister(&moat_ah4, IPPROTO_AH);
esp6:
	xfrm6_protocol_deregister(&moat_esp6, IPPROTO_ESP);
esp4:
	xfrm4_protocol_deregister(&moat_esp4, IPPROTO_ESP);
	return err;
}

void moat_path_stop(void)
{
	xfrm6_protocol_deregister(&moat_ah6, IPPROTO_AH);
	xfrm4_protocol_deregister(&moat_ah4, IPPROTO_AH);
	xfrm6_protocol_deregister(&moat_esp6, IPPROTO_ESP);
	xfrm4_protocol_deregister(&moat_esp4, IPPROTO_ESP);
}
