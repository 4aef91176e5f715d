// SPDX-License-Identifier: GPL-2.0
/*
 * ESP in UDP (RFC 3948), without a socket in the kernel: what is ours is taken
 * at LOCAL_IN by its address, port and SPI, so it arrives also while no daemon
 * runs. The rest, IKE behind its non-ESP marker, is the daemon's socket's.
 */
#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <net/esp.h>
#include <net/ip6_checksum.h>
#include <net/ip6_route.h>
#include <net/ipv6.h>
#include <net/netfilter/ipv6/nf_defrag_ipv6.h>
#include <net/route.h>
#include <net/udp.h>

#include "compat.h"
#include "early.h"
#include "encap.h"
#include "input.h"
#include "netns.h"

/* RFC 3948 2.3: the only octet of a keepalive. */
#define MOAT_ENCAP_KEEPALIVE	0xff

/**
 * struct moat_encap_udp - What is read of a UDP packet.
 * @src: its source
 * @dst: its destination
 * @sport: source port
 * @dport: destination port
 * @spi: first four octets of its payload; 0 when there are fewer
 * @offset: of the UDP header, from skb->data
 * @family: AF_INET or AF_INET6
 * @keepalive: its payload is a keepalive
 */
struct moat_encap_udp {
	union nf_inet_addr src;
	union nf_inet_addr dst;
	__be16 sport;
	__be16 dport;
	__be32 spi;
	int offset;
	u8 family;
	bool keepalive;
};

/* Ports that may carry ESP: 4500, or any once a manual SA uses another one. */
static bool moat_encap_port(const struct moat_net *mn, __be16 port)
{
	return port == htons(MOAT_PORT_NAT_T) || READ_ONCE(mn->encap_odd);
}

static bool moat_encap_ike_port(__be16 port)
{
	return port == htons(MOAT_PORT_IKE) || port == htons(MOAT_PORT_NAT_T);
}

/*
 * The protocol behind the IP header and its extensions, and where it begins;
 * negative for a fragment.
 */
static int moat_encap_protocol(const struct sk_buff *skb, u8 family,
			       int *offset)
{
	int start = skb_network_offset(skb);
	__be16 fragment;
	u8 next;

	if (family == AF_INET) {
		*offset = start + ip_hdrlen(skb);
		return ip_is_fragment(ip_hdr(skb)) ? -EINVAL :
						     ip_hdr(skb)->protocol;
	}
	next = ipv6_hdr(skb)->nexthdr;
	*offset = ipv6_skip_exthdr(skb, start + sizeof(struct ipv6hdr), &next,
				   &fragment);
	return *offset < 0 || fragment ? -EINVAL : next;
}

static void moat_encap_addresses(const struct sk_buff *skb, u8 family,
				 union nf_inet_addr *src,
				 union nf_inet_addr *dst)
{
	memset(src, 0, sizeof(*src));
	memset(dst, 0, sizeof(*dst));
	if (family == AF_INET) {
		src->ip = ip_hdr(skb)->saddr;
		dst->ip = ip_hdr(skb)->daddr;
	} else {
		src->in6 = ipv6_hdr(skb)->saddr;
		dst->in6 = ipv6_hdr(skb)->daddr;
	}
}

/* False if its header is not whole. The offset is set already. */
static bool moat_encap_read(const struct sk_buff *skb,
			    struct moat_encap_udp *udp)
{
	int payload = udp->offset + sizeof(struct udphdr);
	const struct udphdr *header;
	struct udphdr header_buf;
	const __be32 *spi;
	const u8 *octet;
	__be32 spi_buf;
	u8 octet_buf;

	header = skb_header_pointer(skb, udp->offset, sizeof(header_buf),
				    &header_buf);
	if (!header)
		return false;
	udp->sport = header->source;
	udp->dport = header->dest;
	udp->spi = 0;
	udp->keepalive = false;
	if (ntohs(header->len) == sizeof(*header) + 1) {
		octet = skb_header_pointer(skb, payload, 1, &octet_buf);
		udp->keepalive = octet && *octet == MOAT_ENCAP_KEEPALIVE;
	} else if (ntohs(header->len) >= sizeof(*header) + sizeof(*spi)) {
		spi = skb_header_pointer(skb, payload, sizeof(*spi), &spi_buf);
		udp->spi = spi ? *spi : 0;
	}
	moat_encap_addresses(skb, udp->family, &udp->src, &udp->dst);
	return true;
}

/* The SA that a packet asks for by its SPI, encapsulated or not. */
static struct moat_sa *moat_encap_sa(struct moat_net *mn,
				     const struct moat_encap_udp *udp)
{
	if (!udp->spi || !moat_encap_port(mn, udp->dport))
		return NULL;
	return moat_sa_find_in(mn, udp->family, &udp->dst, &udp->src,
			       IPPROTO_ESP, udp->spi);
}

/* Of a reserved SPI it is not known whether its SA will be in UDP. */
static bool moat_encap_takes(const struct moat_sa *sa,
			     const struct moat_encap_udp *udp)
{
	return sa->encap_dport == udp->dport ||
	       (READ_ONCE(sa->early) && udp->dport == htons(MOAT_PORT_NAT_T));
}

bool moat_encap_arrives(struct moat_net *mn, const struct sk_buff *skb,
			u8 family)
{
	struct moat_encap_udp udp = { .family = family };
	const struct moat_sa *sa;

	if (moat_encap_protocol(skb, family, &udp.offset) != IPPROTO_UDP ||
	    !moat_encap_read(skb, &udp))
		return false;
	sa = moat_encap_sa(mn, &udp);
	return sa && moat_encap_takes(sa, &udp);
}

/*
 * Cut what lies behind the UDP packet, and check its sum: it alone protects
 * the ports, which the peer is followed by. RFC 3948 2.1: zero is none, which
 * IPv6 does not allow.
 */
static enum moat_drop moat_encap_check(struct sk_buff *skb, int offset,
				       u8 family)
{
	const struct udphdr *header;
	unsigned int len;

	if (!pskb_may_pull(skb, offset + sizeof(*header) +
				sizeof(struct ip_esp_hdr)))
		return MOAT_DROP_IN_SHORT;
	header = (const struct udphdr *)(skb->data + offset);
	len = ntohs(header->len);
	if (len < sizeof(*header) + sizeof(struct ip_esp_hdr) ||
	    len > skb->len - offset || pskb_trim_rcsum(skb, offset + len))
		return MOAT_DROP_IN_SHORT;
	header = (const struct udphdr *)(skb->data + offset);
	if (!header->check)
		return family == AF_INET ? MOAT_DROP_NONE :
					   MOAT_DROP_IN_CHECKSUM;
	if (nf_checksum(skb, NF_INET_LOCAL_IN, offset, IPPROTO_UDP, family))
		return MOAT_DROP_IN_CHECKSUM;
	return MOAT_DROP_NONE;
}

/* Take the UDP header off one packet, no GSO packet any more; consumes it. */
static void moat_encap_one(struct moat_sa *sa, struct sk_buff *skb, int offset)
{
	enum moat_drop why = moat_encap_check(skb, offset, sa->key.family);

	if (why) {
		moat_drop(sa->mn, sa, NULL, why);
		kfree_skb(skb);
		return;
	}
	skb_orphan(skb);	/* early demux may have found the daemon's socket */
	__skb_pull(skb, offset + sizeof(struct udphdr));
	moat_input_sa(sa, skb, sa->key.family);
}

/*
 * GRO may have put packets of one peer together, as it does for any UDP when
 * it is told to. Segments get a copy of all from the MAC header on.
 */
static void moat_encap_gso(struct moat_sa *sa, struct sk_buff *skb, int offset)
{
	struct sk_buff *segs, *next;

	__skb_push(skb, -skb_mac_offset(skb));
	segs = __skb_gso_segment(skb, NETIF_F_SG, false);
	if (IS_ERR_OR_NULL(segs)) {
		moat_drop(sa->mn, sa, NULL, MOAT_DROP_IN_NOMEM);
		kfree_skb(skb);
		return;
	}
	consume_skb(skb);
	skb_list_walk_safe(segs, skb, next) {
		skb_mark_not_on_list(skb);
		__skb_pull(skb, skb_network_offset(skb));
		moat_encap_one(sa, skb, offset);
	}
}

/* A packet of an SA; consumes it. */
static void moat_encap_open(struct moat_sa *sa, struct sk_buff *skb, int offset)
{
	if (skb_is_gso(skb))
		moat_encap_gso(sa, skb, offset);
	else
		moat_encap_one(sa, skb, offset);
}

void moat_encap_early(struct moat_sa *sa, struct sk_buff *skb)
{
	struct moat_encap_udp udp = { .family = sa->key.family };

	if (moat_encap_protocol(skb, udp.family, &udp.offset) == IPPROTO_UDP &&
	    moat_encap_read(skb, &udp) && sa->encap_dport == udp.dport) {
		moat_encap_open(sa, skb, udp.offset);
	} else {
		moat_drop(sa->mn, sa, NULL, MOAT_DROP_IN_ENCAP);
		kfree_skb(skb);
	}
}

/* The SA of a packet may be another one by now: find it, then open or hold it. */
static void moat_encap_again(struct moat_net *mn, struct sk_buff *skb)
{
	bool v4 = skb->protocol == htons(ETH_P_IP);
	struct moat_encap_udp udp = { .family = v4 ? AF_INET : AF_INET6 };
	struct moat_sa *sa;

	do {
		sa = NULL;
		if (moat_encap_protocol(skb, udp.family, &udp.offset) ==
		    IPPROTO_UDP && moat_encap_read(skb, &udp))
			sa = moat_encap_sa(mn, &udp);
		if (!sa || !moat_encap_takes(sa, &udp)) {
			moat_drop(mn, NULL, NULL, MOAT_DROP_IN_STATE);
			kfree_skb(skb);
			return;
		}
		if (!READ_ONCE(sa->early)) {
			moat_encap_open(sa, skb, udp.offset);
			return;
		}
	} while (!moat_early_hold(sa, skb));
}

/* Where a packet goes on that a later hook has queued (NFQUEUE). */
static int moat_encap_requeued(struct net *net, struct sock *sk,
			       struct sk_buff *skb)
{
	local_bh_disable();
	rcu_read_lock();
	moat_encap_again(moat_net(net), skb);
	rcu_read_unlock();
	local_bh_enable();
	return 0;
}

/* Conntrack's hook behind ours must see the packet before it is taken. */
static unsigned int moat_encap_take(struct moat_sa *sa, struct sk_buff *skb,
				    int offset,
				    const struct nf_hook_state *state)
{
	if (moat_path_other_hooks(skb, state, moat_encap_hook,
				  moat_encap_requeued) != 1)
		return NF_STOLEN;
	if (unlikely(READ_ONCE(sa->early)))
		moat_encap_again(sa->mn, skb);
	else
		moat_encap_open(sa, skb, offset);
	return NF_STOLEN;
}

/* Whether a socket takes a packet that an address and port of ours gets. */
static bool moat_encap_socket(struct net *net, struct sk_buff *skb,
			      const struct moat_encap_udp *udp)
{
	int dif = skb->dev->ifindex;

	if (udp->family == AF_INET)
		return __udp4_lib_lookup(net, udp->src.ip, udp->sport,
					 udp->dst.ip, udp->dport, dif,
					 inet_sdif(skb), moat_udp_table(net),
					 NULL);
	return __udp6_lib_lookup(net, &udp->src.in6, udp->sport, &udp->dst.in6,
				 udp->dport, dif, inet6_sdif(skb),
				 moat_udp_table(net), NULL);
}

/*
 * Whether a keepalive ends here. On a port that only manual SAs use somebody else
 * may listen too.
 */
static bool moat_encap_keepalive(struct moat_net *mn, struct sk_buff *skb,
				 const struct moat_encap_udp *udp)
{
	if (!udp->keepalive || !moat_encap_port(mn, udp->dport))
		return false;
	return udp->dport == htons(MOAT_PORT_NAT_T) ||
	       (moat_ends_known(mn, udp->family, &udp->dst, &udp->src) &&
		!moat_encap_socket(mn->net, skb, udp));
}

static unsigned int moat_encap_drop(struct moat_net *mn, struct moat_sa *sa,
				    enum moat_drop why)
{
	moat_drop(mn, sa, NULL, why);
	return NF_DROP;
}

static unsigned int moat_encap_udp(struct moat_net *mn, struct sk_buff *skb,
				   const struct moat_encap_udp *udp,
				   const struct nf_hook_state *state)
{
	struct moat_sa *sa = moat_encap_sa(mn, udp);

	if (sa && moat_encap_takes(sa, udp))
		return moat_encap_take(sa, skb, udp->offset, state);
	if (sa && udp->dport == htons(MOAT_PORT_NAT_T))
		return moat_encap_drop(mn, sa, MOAT_DROP_IN_ENCAP);
	if (moat_encap_keepalive(mn, skb, udp)) {
		moat_count(mn, KEEPALIVES, 1);
		kfree_skb(skb);
		return NF_STOLEN;
	}
	if (!moat_encap_ike_port(udp->dport))
		return NF_ACCEPT;
	if (moat_ends_known(mn, udp->family, &udp->dst, &udp->src) &&
	    !moat_encap_socket(state->net, skb, udp))
		return moat_encap_drop(mn, NULL, MOAT_DROP_NO_DAEMON);
	return NF_ACCEPT;
}

/* Whether UDP of ours is quoted; maybe no more than its ports, so they have to do. */
static bool moat_encap_quoted_udp(struct moat_net *mn,
				  const struct sk_buff *skb,
				  struct moat_encap_udp *udp)
{
	return moat_encap_read(skb, udp) && moat_encap_port(mn, udp->sport) &&
	       moat_ends_known(mn, udp->family, &udp->src, &udp->dst);
}

/*
 * Whether AH of ours is quoted over IPv6. For the kernel it is one more
 * extension header, so that it asks the protocol behind, not moat_path_err6().
 */
static bool moat_encap_quoted_ah(struct moat_net *mn, const struct sk_buff *skb)
{
	struct moat_sa_key key = {
		.dst.in6 = ipv6_hdr(skb)->daddr,
		.family = AF_INET6,
		.protocol = IPPROTO_AH,
	};
	const union nf_inet_addr src = { .in6 = ipv6_hdr(skb)->saddr };
	unsigned int offset = skb_network_offset(skb);

	return ipv6_find_hdr(skb, &offset, NEXTHDR_AUTH, NULL, NULL) ==
	       NEXTHDR_AUTH && moat_path_quoted(mn, &key, &src, skb, offset);
}

/*
 * Whether an ICMP error is intact and quotes a packet of ours to a peer.
 * Afterwards the quoted IP header is linear.
 */
static bool moat_encap_quoted(struct moat_net *mn, struct sk_buff *skb,
			      int offset, int protocol, u8 family)
{
	int quoted = offset + sizeof(struct icmphdr), network;
	struct moat_encap_udp udp = { .family = family };
	bool ours;

	if (!pskb_may_pull(skb, quoted + (family == AF_INET ?
					  sizeof(struct iphdr) :
					  sizeof(struct ipv6hdr))) ||
	    nf_checksum(skb, NF_INET_LOCAL_IN, offset, protocol, family))
		return false;
	network = skb_network_offset(skb);
	skb_set_network_header(skb, quoted);
	if (moat_encap_protocol(skb, family, &udp.offset) == IPPROTO_UDP &&
	    moat_encap_quoted_udp(mn, skb, &udp))
		ours = true;
	else
		ours = family == AF_INET6 && moat_encap_quoted_ah(mn, skb);
	skb_set_network_header(skb, network);
	return ours;
}

/*
 * The path MTU of what we send in UDP, and of AH over IPv6. The kernel learns it
 * by the socket that it finds, and there may be none; the next packet finds it in
 * the route.
 */
static void moat_encap_icmp4(struct moat_net *mn, struct sk_buff *skb,
			     int offset)
{
	const struct icmphdr *icmp;
	struct icmphdr buf;
	u32 mtu;

	icmp = skb_header_pointer(skb, offset, sizeof(buf), &buf);
	if (!icmp || icmp->type != ICMP_DEST_UNREACH ||
	    icmp->code != ICMP_FRAG_NEEDED || !icmp->un.frag.mtu)
		return;
	mtu = ntohs(icmp->un.frag.mtu);
	if (!moat_encap_quoted(mn, skb, offset, IPPROTO_ICMP, AF_INET))
		return;
	offset += sizeof(*icmp);
	__skb_pull(skb, offset);
	ipv4_update_pmtu(skb, mn->net, mtu, 0, IPPROTO_UDP);
	__skb_push(skb, offset);
}

static void moat_encap_icmp6(struct moat_net *mn, struct sk_buff *skb,
			     int offset)
{
	const struct icmp6hdr *icmp;
	struct icmp6hdr buf;
	__be32 mtu;

	icmp = skb_header_pointer(skb, offset, sizeof(buf), &buf);
	if (!icmp || icmp->icmp6_type != ICMPV6_PKT_TOOBIG)
		return;
	mtu = icmp->icmp6_dataun.un_data32[0];
	if (!moat_encap_quoted(mn, skb, offset, IPPROTO_ICMPV6, AF_INET6))
		return;
	offset += sizeof(*icmp);
	__skb_pull(skb, offset);
	ip6_update_pmtu(skb, mn->net, mtu, 0, 0, sock_net_uid(mn->net, NULL));
	__skb_push(skb, offset);
}

unsigned int moat_encap_hook(void *priv, struct sk_buff *skb,
			     const struct nf_hook_state *state)
{
	bool v4 = state->pf == NFPROTO_IPV4;
	struct moat_encap_udp udp = { .family = v4 ? AF_INET : AF_INET6 };
	struct moat_net *mn = moat_net(state->net);

	if (!READ_ONCE(mn->policy_count) && !READ_ONCE(mn->encap_in))
		return NF_ACCEPT;
	switch (moat_encap_protocol(skb, udp.family, &udp.offset)) {
	case IPPROTO_UDP:
		if (moat_encap_read(skb, &udp))
			return moat_encap_udp(mn, skb, &udp, state);
		break;
	case IPPROTO_ICMP:
		if (v4)
			moat_encap_icmp4(mn, skb, udp.offset);
		break;
	case IPPROTO_ICMPV6:
		if (!v4)
			moat_encap_icmp6(mn, skb, udp.offset);
		break;
	}
	return NF_ACCEPT;
}

void moat_encap_push(const struct moat_sa *sa, struct sk_buff *skb)
{
	struct udphdr *header = skb_push(skb, sizeof(*header));

	header->source = sa->encap_sport;
	header->dest = moat_sa_mapping(sa).port;
	header->len = htons(skb->len);
	header->check = 0;
}

void moat_encap_finish(struct sk_buff *skb, u8 family)
{
	const struct ipv6hdr *ip = ipv6_hdr(skb);

	skb->transport_header -= sizeof(struct udphdr);
	if (family == AF_INET6)
		udp6_set_csum(false, skb, &ip->saddr, &ip->daddr,
			      skb->len - skb_transport_offset(skb));
}

static bool moat_encap_inbound(const struct moat_sa *sa)
{
	return sa->encap_dport && sa->key.direction == MOAT_DIRECTION_IN;
}

int moat_encap_prepare(struct moat_sa *sa)
{
	struct moat_net *mn = sa->mn;
	int err;

	lockdep_assert_held(&mn->lock);

	if (!moat_encap_inbound(sa) || sa->key.family != AF_INET6 ||
	    mn->encap_defrag6)
		return 0;
	err = nf_defrag_ipv6_enable(mn->net);
	mn->encap_defrag6 = !err;
	return err;
}

void moat_encap_start(struct moat_sa *sa)
{
	struct moat_net *mn = sa->mn;

	lockdep_assert_held(&mn->lock);

	if (!moat_encap_inbound(sa))
		return;
	sa->followed = (struct moat_mapping){ sa->src, sa->encap_sport };
	WRITE_ONCE(mn->encap_in, mn->encap_in + 1);
	if (sa->encap_dport != htons(MOAT_PORT_NAT_T))
		WRITE_ONCE(mn->encap_odd, mn->encap_odd + 1);
}

void moat_encap_stop(struct moat_sa *sa)
{
	struct moat_net *mn = sa->mn;

	lockdep_assert_held(&mn->lock);

	if (!moat_encap_inbound(sa))
		return;
	WRITE_ONCE(mn->encap_in, mn->encap_in - 1);
	if (sa->encap_dport != htons(MOAT_PORT_NAT_T))
		WRITE_ONCE(mn->encap_odd, mn->encap_odd - 1);
}

void moat_encap_net_exit(struct moat_net *mn)
{
	if (mn->encap_defrag6)
		nf_defrag_ipv6_disable(mn->net);
}
