// SPDX-License-Identifier: GPL-2.0
/* The ESP packet (RFC 4303). */
#include <linux/ip.h>
#include <linux/math.h>
#include <linux/random.h>
#include <net/esp.h>

#include "esp.h"
#include "netns.h"

unsigned int moat_esp_payload(const struct moat_alg *alg, unsigned int size)
{
	unsigned int fixed = moat_esp_head(alg) + alg->icv;

	if (size < fixed + alg->cipher->block)
		return 0;
	return rounddown(size - fixed, alg->cipher->block) - 2;
}

unsigned int moat_esp_size(const struct moat_alg *alg, unsigned int payload)
{
	return moat_esp_head(alg) + alg->icv +
	       roundup(payload + 2, alg->cipher->block);
}

bool moat_esp_check(const struct moat_alg *alg, unsigned int size)
{
	unsigned int fixed = moat_esp_head(alg) + alg->icv;

	return size >= fixed + alg->cipher->block &&
	       (size - fixed) % alg->cipher->block == 0;
}

/*
 * A counter must never repeat under one key, which the sequence number does
 * not. The IV of CBC must be unpredictable (RFC 3602 3).
 */
static void moat_esp_make_iv(const struct moat_cipher *cipher, u64 seq, u8 *iv)
{
	switch (cipher->iv_kind) {
	case MOAT_IV_NONE:
		break;
	case MOAT_IV_COUNTER:
		put_unaligned_be64(seq, iv);
		break;
	case MOAT_IV_RANDOM:
		get_random_bytes(iv, cipher->iv);
		break;
	}
}

void moat_esp_wrap(struct moat_job *job, u8 next_header)
{
	const struct moat_alg *alg = &job->sa->alg;
	struct sk_buff *skb = job->skb;
	unsigned int pad = moat_esp_size(alg, skb->len) - moat_esp_head(alg) -
			   alg->icv - skb->len - 2;
	struct ip_esp_hdr *esp;
	unsigned int i;
	u8 *tail;

	tail = skb_put(skb, pad + 2 + alg->icv);
	for (i = 0; i < pad; i++)
		tail[i] = i + 1;
	tail[pad] = pad;
	tail[pad + 1] = next_header;

	esp = skb_push(skb, moat_esp_head(alg));
	skb_reset_transport_header(skb);
	esp->spi = job->sa->key.spi;
	esp->seq_no = htonl(lower_32_bits(job->slot.seq));
	moat_esp_make_iv(alg->cipher, job->slot.seq, esp->enc_data);
}

/*
 * The crypto API wants SPI, sequence number and IV as associated data. With
 * ESN the upper half of the number is part of it, though not on the wire
 * (RFC 4304); so it is put together here. Returns its length.
 */
static unsigned int moat_esp_aad(struct moat_job *job,
				 const struct ip_esp_hdr *esp)
{
	unsigned int iv = job->sa->alg.cipher->iv;
	u8 *p = job->aad;

	memcpy(p, &esp->spi, 4);
	p += 4;
	if (job->sa->esn) {
		put_unaligned_be32(upper_32_bits(job->slot.seq), p);
		p += 4;
	}
	memcpy(p, &esp->seq_no, 4);
	p += 4;
	memcpy(p, esp->enc_data, iv);
	memcpy(job->iv, esp->enc_data, iv);
	return p + iv - job->aad;
}

static void moat_esp_crypt(struct moat_job *job, bool seal)
{
	struct sk_buff *skb = job->skb;
	const struct ip_esp_hdr *esp;
	unsigned int aad, len;
	u8 *text;

	esp = (const struct ip_esp_hdr *)skb_transport_header(skb);
	text = skb_transport_header(skb) + moat_esp_head(&job->sa->alg);
	len = skb_tail_pointer(skb) - text;
	aad = moat_esp_aad(job, esp);

	sg_init_table(job->sg, 2);
	sg_set_buf(&job->sg[0], job->aad, aad);
	sg_set_buf(&job->sg[1], text, len);
	moat_job_crypt(job, seal, aad, len - job->sa->alg.icv);
}

void moat_esp_seal(struct moat_job *job)
{
	moat_esp_crypt(job, true);
}

void moat_esp_open(struct moat_job *job)
{
	moat_esp_crypt(job, false);
}

enum moat_drop moat_esp_unwrap(struct moat_job *job, u8 *next_header)
{
	const struct moat_alg *alg = &job->sa->alg;
	struct sk_buff *skb = job->skb;
	unsigned int head = moat_esp_head(alg), pad, i;
	unsigned int len = skb->len - head - alg->icv;
	const u8 *text = skb->data + head;

	pad = text[len - 2];
	*next_header = text[len - 1];
	if (pad + 2 > len)
		return MOAT_DROP_IN_PADDING;
	len -= pad + 2;
	for (i = 0; i < pad; i++)
		if (text[len + i] != i + 1)
			return MOAT_DROP_IN_PADDING;
	skb_pull(skb, head);
	skb_trim(skb, len);
	return MOAT_DROP_NONE;
}
