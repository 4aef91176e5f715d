// SPDX-License-Identifier: GPL-2.0
/*
 * The authentication header (RFC 4302). For the crypto API it is an AEAD with
 * nothing to encrypt: associated data are a copy of the headers, from the IP
 * header to the end of AH, in which what may change on the way is zero; then
 * the payload where it is; then the upper half of an extended sequence number.
 */
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/slab.h>
#include <net/ah.h>
#include <net/ip.h>
#include <net/ipv6.h>

#include "ah.h"
#include "compat.h"

/* What rfc4543 takes as associated data; the rest is text, also not encrypted. */
#define MOAT_AH_COMBINED_AAD 16

/* An IPv6 option whose data may change on the way (RFC 8200 4.2). */
#define MOAT_OPT6_MUTABLE 0x20

static unsigned int moat_ah_bytes(const struct moat_sa *sa, unsigned int align)
{
	return ALIGN(sizeof(struct ip_auth_hdr) + sa->alg.integ->iv +
		     sa->alg.icv, align);
}

unsigned int moat_ah_len(const struct moat_sa *sa)
{
	return moat_ah_bytes(sa, sa->key.family == AF_INET ? 4 : 8);
}

static unsigned int moat_ah_said_len(const struct ip_auth_hdr *ah)
{
	return (ah->hdrlen + 2) * 4;
}

enum moat_drop moat_ah_check(const struct moat_sa *sa, struct sk_buff *skb)
{
	unsigned int len;

	if (!pskb_may_pull(skb, sizeof(struct ip_auth_hdr)))
		return MOAT_DROP_IN_SHORT;
	len = moat_ah_said_len((const struct ip_auth_hdr *)skb->data);
	if (len != moat_ah_len(sa) && len != moat_ah_bytes(sa, 8))
		return MOAT_DROP_IN_AH_LENGTH;
	return skb->len < len ? MOAT_DROP_IN_SHORT : MOAT_DROP_NONE;
}

void moat_ah_wrap(struct moat_job *job, u8 next_header)
{
	const struct moat_sa *sa = job->sa;
	unsigned int len = moat_ah_len(sa);
	struct ip_auth_hdr *ah = skb_push(job->skb, len);

	memset(ah, 0, len);
	skb_reset_transport_header(job->skb);
	ah->nexthdr = next_header;
	ah->hdrlen = len / 4 - 2;
	ah->spi = sa->key.spi;
	ah->seq_no = htonl(lower_32_bits(job->slot.seq));
	if (sa->alg.integ->iv)	/* never twice under one key (RFC 4543 3.1) */
		put_unaligned_be64(job->slot.seq, ah->auth_data);
}

/*
 * RFC 4302 appendix A1: these options do not change on the way; of all others
 * the whole is taken as zero.
 */
static bool moat_ah_option_kept(u8 type)
{
	switch (type) {
	case IPOPT_NOOP:
	case IPOPT_SEC:
	case IPOPT_COPY | 5:	/* extended security (RFC 1108) */
	case IPOPT_CIPSO:
	case IPOPT_RA:
	case IPOPT_COPY | 21:	/* sender directed delivery (RFC 1770) */
		return true;
	default:
		return false;
	}
}

/* Hops are left: the address that the receiver will see is not here. */
static bool moat_ah_source_route(const u8 *opt, unsigned int size)
{
	return (*opt == IPOPT_LSRR || *opt == IPOPT_SSRR) && size > 2 &&
	       opt[IPOPT_OFFSET] < size;
}

static int moat_ah_clear_options4(u8 *opt, unsigned int len)
{
	while (len && *opt != IPOPT_END) {
		unsigned int size = 1;

		if (*opt != IPOPT_NOOP) {
			if (len < 2 || opt[1] < 2 || opt[1] > len)
				return -EPROTO;
			size = opt[1];
		}
		if (moat_ah_source_route(opt, size))
			return -EPROTO;
		if (!moat_ah_option_kept(*opt))
			memset(opt, 0, size);
		opt += size;
		len -= size;
	}
	return 0;
}

/* @head: IPv4 header with its options, @len bytes (RFC 4302 3.3.3.1.1) */
static int moat_ah_clear4(u8 *head, unsigned int len)
{
	struct iphdr *ip = (struct iphdr *)head;

	ip->tos = 0;
	ip->frag_off = 0;
	ip->ttl = 0;
	ip->check = 0;
	return moat_ah_clear_options4(head + sizeof(*ip), len - sizeof(*ip));
}

/* @opt: a hop-by-hop or destination options header of @len bytes */
static int moat_ah_clear_options6(u8 *opt, unsigned int len)
{
	unsigned int at = sizeof(struct ipv6_opt_hdr), size;

	for (; at < len; at += size) {
		size = 1;
		if (opt[at] == IPV6_TLV_PAD1)
			continue;
		if (at + 2 > len || at + 2 + opt[at + 1] > len)
			return -EPROTO;
		size = 2 + opt[at + 1];
		if (opt[at] & MOAT_OPT6_MUTABLE)
			memset(opt + at + 2, 0, size - 2);
	}
	return 0;
}

/*
 * @head: IPv6 header and extension headers, @len bytes (RFC 4302 3.3.3.1.2).
 * A routing header that has still segments left would have to be predicted;
 * no kind is in use for which AH says how (RFC 5095).
 */
static int moat_ah_clear6(u8 *head, unsigned int len)
{
	struct ipv6hdr *ip = (struct ipv6hdr *)head;
	unsigned int at = sizeof(*ip), size;
	u8 next = ip->nexthdr;
	int err = 0;

	ip6_flow_hdr(ip, 0, 0);
	ip->hop_limit = 0;
	for (; at + 8 <= len && !err; at += size) {
		struct ipv6_opt_hdr *ext = (struct ipv6_opt_hdr *)(head + at);

		size = ipv6_optlen(ext);
		if (at + size > len)
			return -EPROTO;
		if (next == NEXTHDR_HOP || next == NEXTHDR_DEST)
			err = moat_ah_clear_options6(head + at, size);
		else if (next != NEXTHDR_ROUTING ||
			 ((struct ipv6_rt_hdr *)ext)->segments_left)
			err = -EPROTO;
		next = ext->nexthdr;
	}
	return err;
}

/* Copy the headers for the crypto API. Returns their length, or an error. */
static int moat_ah_head(struct moat_job *job)
{
	const struct sk_buff *skb = job->skb;
	const struct ip_auth_hdr *ah;
	unsigned int before, len;
	u8 *head;
	int err;

	ah = (const struct ip_auth_hdr *)skb_transport_header(skb);
	before = skb_transport_header(skb) - skb_network_header(skb);
	len = before + moat_ah_said_len(ah);
	head = kmemdup(skb_network_header(skb), len, GFP_ATOMIC);
	if (!head)
		return -ENOMEM;
	job->head = head;
	if (job->sa->key.family == AF_INET)
		err = moat_ah_clear4(head, before);
	else
		err = moat_ah_clear6(head, before);
	memset(head + before + sizeof(*ah) + job->sa->alg.integ->iv, 0,
	       job->sa->alg.icv);
	return err ?: len;
}

static void moat_ah_crypt(struct moat_job *job, bool seal)
{
	const struct moat_alg *alg = &job->sa->alg;
	struct sk_buff *skb = job->skb;
	unsigned int len, text, n = 0;
	struct ip_auth_hdr *ah;
	u8 *payload;
	int head;

	head = moat_ah_head(job);
	if (head < 0) {
		moat_job_done(job, head);
		return;
	}
	ah = (struct ip_auth_hdr *)skb_transport_header(skb);
	payload = (u8 *)ah + moat_ah_said_len(ah);
	text = skb_tail_pointer(skb) - payload;
	len = head + text;

	sg_init_table(job->sg, MOAT_SG_MAX);
	sg_set_buf(&job->sg[n++], job->head, head);
	if (text)
		sg_set_buf(&job->sg[n++], payload, text);
	if (job->sa->esn) {	/* RFC 4302 3.3.3.2.2 */
		put_unaligned_be32(upper_32_bits(job->slot.seq), job->aad);
		sg_set_buf(&job->sg[n++], job->aad, 4);
		len += 4;
	}
	sg_set_buf(&job->sg[n++], ah->auth_data + alg->integ->iv, alg->icv);
	sg_mark_end(&job->sg[n - 1]);
	memcpy(job->iv, ah->auth_data, alg->integ->iv);
	if (alg->integ->combined)
		moat_job_crypt(job, seal, MOAT_AH_COMBINED_AAD,
			       len - MOAT_AH_COMBINED_AAD);
	else
		moat_job_crypt(job, seal, len, 0);
}

void moat_ah_seal(struct moat_job *job)
{
	struct sk_buff *skb = job->skb;

	/* What the way out would do only later is part of what AH covers. */
	if (job->sa->key.family == AF_INET)
		ip_hdr(skb)->tot_len = htons(skb->len);
	else
		ipv6_hdr(skb)->payload_len =
			htons(skb->len - sizeof(struct ipv6hdr));
	moat_ah_crypt(job, true);
}

void moat_ah_open(struct moat_job *job)
{
	moat_ah_crypt(job, false);
}

void moat_ah_unwrap(struct moat_job *job, u8 *next_header)
{
	const struct ip_auth_hdr *ah = (const struct ip_auth_hdr *)job->skb->data;

	*next_header = ah->nexthdr;
	skb_pull(job->skb, moat_ah_said_len(ah));
}
