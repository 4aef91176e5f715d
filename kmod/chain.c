// SPDX-License-Identifier: GPL-2.0
/* ESP, AH, or AH over ESP around a packet, in tunnel and transport mode. */
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <net/ah.h>
#include <net/esp.h>
#include <net/ip.h>
#include <net/ipv6.h>

#include "ah.h"
#include "chain.h"
#include "encap.h"
#include "esp.h"

static bool moat_layer_is_ah(const struct moat_sa *sa)
{
	return sa->key.protocol == IPPROTO_AH;
}

unsigned int moat_layer_head(const struct moat_sa *sa)
{
	return moat_layer_is_ah(sa) ? moat_ah_len(sa) : moat_esp_head(&sa->alg);
}

unsigned int moat_chain_head(const struct moat_sa *sa)
{
	return moat_layer_head(sa) + (sa->above ? moat_ah_len(sa->above) : 0);
}

unsigned int moat_chain_tail(const struct moat_sa *sa)
{
	return moat_layer_is_ah(sa) ? 0 : moat_esp_tail(&sa->alg);
}

unsigned int moat_chain_size(const struct moat_sa *sa, unsigned int payload)
{
	if (moat_layer_is_ah(sa))
		return moat_ah_len(sa) + payload;
	return moat_esp_size(&sa->alg, payload) +
	       (sa->above ? moat_ah_len(sa->above) : 0);
}

unsigned int moat_chain_payload(const struct moat_sa *sa, unsigned int size)
{
	const struct moat_sa *ah = moat_layer_is_ah(sa) ? sa : sa->above;
	unsigned int len = ah ? moat_ah_len(ah) : 0;

	if (size <= len)
		return 0;
	size -= len;
	return ah == sa ? size : moat_esp_payload(&sa->alg, size);
}

void moat_layer_wrap(struct moat_job *job, u8 next_header)
{
	if (moat_layer_is_ah(job->sa))
		moat_ah_wrap(job, next_header);
	else
		moat_esp_wrap(job, next_header);
}

void moat_layer_insert(struct moat_job *job, unsigned int head_len,
		       unsigned int next_offset)
{
	bool udp = job->sa->encap_sport;
	unsigned int more = moat_layer_head(job->sa) +
			    (udp ? sizeof(struct udphdr) : 0);
	u8 *from = job->skb->data, *to = from - more;
	u8 next_header = from[next_offset];

	memmove(to, from, head_len);
	to[next_offset] = udp ? IPPROTO_UDP : job->sa->key.protocol;
	skb_pull(job->skb, head_len);
	moat_layer_wrap(job, next_header);
	if (udp)
		moat_encap_push(job->sa, job->skb);
	skb_push(job->skb, head_len);
	skb_reset_network_header(job->skb);
}

int moat_layer_split(struct sk_buff *skb, u8 family,
		     unsigned int *next_offset)
{
	u8 *next;
	int len;

	if (family == AF_INET) {
		*next_offset = offsetof(struct iphdr, protocol);
		return ip_hdrlen(skb);
	}
	len = ip6_find_1stfragopt(skb, &next);
	if (len > 0)
		*next_offset = next - skb_network_header(skb);
	return len;
}

void moat_layer_seal(struct moat_job *job)
{
	if (moat_layer_is_ah(job->sa))
		moat_ah_seal(job);
	else
		moat_esp_seal(job);
}

enum moat_drop moat_layer_check(const struct moat_sa *sa, struct sk_buff *skb,
				u32 *seq)
{
	enum moat_drop why;

	if (moat_layer_is_ah(sa)) {
		why = moat_ah_check(sa, skb);
		if (!why)
			*seq = ntohl(((struct ip_auth_hdr *)skb->data)->seq_no);
		return why;
	}
	*seq = ntohl(((struct ip_esp_hdr *)skb->data)->seq_no);
	return moat_esp_check(&sa->alg, skb->len) ? MOAT_DROP_NONE :
						    MOAT_DROP_IN_SHORT;
}

void moat_layer_open(struct moat_job *job)
{
	if (moat_layer_is_ah(job->sa))
		moat_ah_open(job);
	else
		moat_esp_open(job);
}

enum moat_drop moat_layer_unwrap(struct moat_job *job, u8 *next_header)
{
	if (!moat_layer_is_ah(job->sa))
		return moat_esp_unwrap(job, next_header);
	moat_ah_unwrap(job, next_header);
	return MOAT_DROP_NONE;
}

void moat_layer_restore(struct moat_job *job, u8 next_header)
{
	struct sk_buff *skb = job->skb;
	u8 *from = skb_network_header(skb);
	u8 *to = skb->data - job->head_len;
	unsigned int len = job->head_len + skb->len;

	memmove(to, from, job->head_len);
	to[job->next_offset] = next_header;
	skb_set_network_header(skb, -(int)job->head_len);
	skb_reset_transport_header(skb);
	if (job->family == AF_INET) {
		struct iphdr *ip = ip_hdr(skb);

		ip->tot_len = htons(len);
		ip_send_check(ip);
	} else {
		ipv6_hdr(skb)->payload_len =
			htons(len - sizeof(struct ipv6hdr));
	}
}
