// SPDX-License-Identifier: GPL-2.0
/* The ESP packet (RFC 4303), and its way through the crypto API. */
#include <linux/ip.h>
#include <linux/math.h>
#include <linux/moduleparam.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <net/esp.h>

#include "esp.h"
#include "netns.h"

struct moat_job *moat_job_alloc(struct moat_sa *sa, struct sk_buff *skb,
				moat_deliver_fn deliver)
{
	struct crypto_aead *aead = sa->alg.aead;
	struct moat_job *job;

	job = kmalloc(sizeof(*job) + crypto_aead_reqsize(aead), GFP_ATOMIC);
	if (!job)
		return NULL;
	if (!moat_sa_get(sa)) {
		kfree(job);
		return NULL;
	}
	aead_request_set_tfm(&job->req, aead);
	job->sa = sa;
	job->skb = skb;
	job->dev = NULL;
	job->deliver = deliver;
	job->err = 0;
	return job;
}

void moat_job_free(struct moat_job *job)
{
	/* authenc leaves states of the keyed hash in its context */
	bool secret = job->sa->alg.integ;

	dev_put(job->dev);
	moat_sa_put(job->sa);
	if (secret)
		kfree_sensitive(job);
	else
		kfree(job);
}

int moat_skb_own(struct sk_buff *skb, unsigned int head, unsigned int tail)
{
	unsigned int room = skb_end_pointer(skb) - skb_tail_pointer(skb);
	unsigned int paged = skb->data_len;

	head -= min(head, skb_headroom(skb));
	tail += paged;
	tail -= min(tail, room);
	if (!head && !tail && !paged && !skb_cloned(skb))
		return 0;
	if (pskb_expand_head(skb, SKB_DATA_ALIGN(head), tail, GFP_ATOMIC))
		return -ENOMEM;
	if (paged && !__pskb_pull_tail(skb, paged))
		return -ENOMEM;
	return 0;
}

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

/* The crypto of a job is done, now or in a callback. */
static void moat_job_done(struct moat_job *job, int err)
{
	job->err = err;
	moat_ring_complete(&job->sa->ring, &job->slot, job->deliver);
}

static void moat_job_callback(moat_crypto_arg *arg, int err)
{
	struct moat_job *job = moat_crypto_data(arg);
	struct moat_sa *sa = job->sa;

	if (err == -EINPROGRESS)	/* out of the backlog, not done yet */
		return;
	/*
	 * The read lock keeps the SA: it is freed a grace period after its
	 * last reference, which may be this job's. The end of a namespace,
	 * and so of the module, waits for that too.
	 */
	local_bh_disable();
	rcu_read_lock();
	atomic_inc(&sa->async);
	moat_count(sa->mn, ASYNC, 1);
	moat_job_done(job, err);
	rcu_read_unlock();
	local_bh_enable();
}

static bool moat_async_crypto;
module_param_named(async_crypto, moat_async_crypto, bool, 0400);
MODULE_PARM_DESC(async_crypto,
		 "debugging, x86: let all AES complete later, through cryptd (default: off)");

static int moat_job_submit(struct moat_job *job, bool seal)
{
	bool taken = moat_async_crypto && moat_simd_take();
	int err;

	if (seal)
		err = crypto_aead_encrypt(&job->req);
	else
		err = crypto_aead_decrypt(&job->req);
	if (taken)
		moat_simd_give();
	return err;
}

/*
 * Without CRYPTO_TFM_REQ_MAY_BACKLOG a full queue is an error: packets are
 * better dropped than queued without end.
 */
static void moat_job_crypt(struct moat_job *job, bool seal)
{
	const struct moat_alg *alg = &job->sa->alg;
	struct sk_buff *skb = job->skb;
	const struct ip_esp_hdr *esp;
	unsigned int aad, len;
	u8 *text;
	int err;

	esp = (const struct ip_esp_hdr *)skb_transport_header(skb);
	text = skb_transport_header(skb) + moat_esp_head(alg);
	len = skb_tail_pointer(skb) - text;
	aad = moat_esp_aad(job, esp);

	sg_init_table(job->sg, 2);
	sg_set_buf(&job->sg[0], job->aad, aad);
	sg_set_buf(&job->sg[1], text, len);
	aead_request_set_callback(&job->req, 0, moat_job_callback, job);
	aead_request_set_ad(&job->req, aad);
	aead_request_set_crypt(&job->req, job->sg, job->sg,
			       seal ? len - alg->icv : len, job->iv);
	err = moat_job_submit(job, seal);
	if (err != -EINPROGRESS)
		moat_job_done(job, err);
}

void moat_esp_seal(struct moat_job *job)
{
	moat_job_crypt(job, true);
}

void moat_esp_open(struct moat_job *job)
{
	moat_job_crypt(job, false);
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
