// SPDX-License-Identifier: GPL-2.0
/* A packet on its way through the crypto API. */
#include <linux/moduleparam.h>
#include <linux/slab.h>

#include "job.h"
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
	job->head = NULL;
	return job;
}

void moat_job_free(struct moat_job *job)
{
	/* authenc leaves states of the keyed hash in its context */
	bool secret = job->sa->alg.integ;

	dev_put(job->dev);
	moat_sa_put(job->sa);
	kfree(job->head);
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

void moat_job_done(struct moat_job *job, int err)
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
void moat_job_crypt(struct moat_job *job, bool seal, unsigned int aad,
		    unsigned int len)
{
	int err;

	aead_request_set_callback(&job->req, 0, moat_job_callback, job);
	aead_request_set_ad(&job->req, aad);
	aead_request_set_crypt(&job->req, job->sg, job->sg,
			       seal ? len : len + job->sa->alg.icv, job->iv);
	err = moat_job_submit(job, seal);
	if (err != -EINPROGRESS)
		moat_job_done(job, err);
}
