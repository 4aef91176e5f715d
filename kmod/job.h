/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A packet on its way through the crypto API. ESP and AH are one AEAD request
 * each; AH is one with nothing to encrypt.
 */
#ifndef _MOAT_JOB_H
#define _MOAT_JOB_H

#include <crypto/aead.h>
#include <linux/scatterlist.h>

#include "sa.h"

/* SPI and both halves of the sequence number, then the IV. */
#define MOAT_AAD_MAX (12 + 16)

/* AH: headers, payload, upper half of the sequence number, ICV. */
#define MOAT_SG_MAX 4

/**
 * struct moat_job - A packet between its SA and its delivery.
 * @slot: place in the ring of @sa, and sequence number
 * @sa: SA, with a reference
 * @skb: packet, owned
 * @dev: inbound: where it came in, with a reference
 * @deliver: what happens when its turn has come
 * @err: result of the crypto API
 * @head_len: inbound: bytes from the IP header to the ESP or AH header
 * @next_offset: inbound: offset in them of the byte that names ESP or AH
 * @family: inbound: of the outer header
 * @dsfield: inbound: of the outer header
 * @head: AH: copy of the headers, to be freed
 * @aad: ESP: associated data; AH: upper half of the sequence number
 * @iv: for the crypto API, which may overwrite it
 * @sg: ESP: @aad, and the payload with its ICV; AH: see MOAT_SG_MAX
 * @req: request; last, the driver's context follows
 */
struct moat_job {
	struct moat_slot slot;
	struct moat_sa *sa;
	struct sk_buff *skb;
	struct net_device *dev;
	moat_deliver_fn deliver;
	int err;
	u16 head_len;
	u16 next_offset;
	u8 family;
	u8 dsfield;
	u8 *head;
	u8 aad[MOAT_AAD_MAX];
	u8 iv[16] __aligned(16);
	struct scatterlist sg[MOAT_SG_MAX];
	struct aead_request req;
};

/**
 * moat_job_alloc() - Make a job.
 * @sa: SA; the job takes a reference
 * @skb: packet; stays the caller's until it is sealed or opened
 * @deliver: see struct moat_job
 *
 * Context: rcu_read_lock().
 * Return: the job, or NULL without memory or when @sa is gone.
 */
struct moat_job *moat_job_alloc(struct moat_sa *sa, struct sk_buff *skb,
				moat_deliver_fn deliver);

/**
 * moat_job_free() - Free a job; its packet is somebody else's by now.
 * @job: out of the ring
 */
void moat_job_free(struct moat_job *job);

/**
 * moat_job_crypt() - Let the crypto API seal or open, then deliver in order.
 * @job: its @sg and @iv are filled; not to be touched after
 * @seal: or open
 * @aad: bytes of associated data at the beginning of @sg
 * @len: bytes of text behind them; the ICV follows in @sg
 *
 * Context: BH disabled, rcu_read_lock().
 */
void moat_job_crypt(struct moat_job *job, bool seal, unsigned int aad,
		    unsigned int len);

/**
 * moat_job_done() - The crypto of a job is done, or has failed: deliver.
 * @job: not to be touched after
 * @err: 0, -EBADMSG for a wrong ICV, or another negative error
 *
 * Context: BH disabled, rcu_read_lock().
 */
void moat_job_done(struct moat_job *job, int err);

/**
 * moat_skb_own() - Make a packet's bytes ours, in one piece, with room around.
 * @skb: packet, not shared
 * @head: bytes of room before
 * @tail: bytes of room behind
 *
 * Crypto writes in place. A cloned packet shares its bytes with others, and
 * the pages of a paged one may belong to anybody (the page cache: splice,
 * sendfile): no flag tells, so all that is not linear is copied.
 *
 * Return: 0 or -ENOMEM.
 */
int moat_skb_own(struct sk_buff *skb, unsigned int head, unsigned int tail);

#endif /* _MOAT_JOB_H */
