/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The ESP packet (RFC 4303), the same over IPv4 and IPv6:
 *
 *   SPI (4) | sequence number (4) | IV | payload, padding, pad length (1),
 *   next header (1) | ICV
 *
 * and the job that carries a packet through the crypto API.
 */
#ifndef _MOAT_ESP_H
#define _MOAT_ESP_H

#include <crypto/aead.h>
#include <linux/scatterlist.h>

#include "sa.h"

/* SPI and both halves of the sequence number, then the IV. */
#define MOAT_AAD_MAX (12 + 16)

/**
 * struct moat_job - A packet between its SA and its delivery.
 * @slot: place in the ring of @sa, and sequence number
 * @sa: SA, with a reference
 * @skb: packet, owned
 * @dev: inbound: where it came in, with a reference
 * @deliver: what happens when its turn has come
 * @err: result of the crypto API
 * @family: inbound: of the outer header
 * @dsfield: inbound: of the outer header
 * @aad: associated data
 * @iv: for the crypto API, which may overwrite it
 * @sg: @aad, and the payload with its ICV
 * @req: request; last, the driver's context follows
 */
struct moat_job {
	struct moat_slot slot;
	struct moat_sa *sa;
	struct sk_buff *skb;
	struct net_device *dev;
	moat_deliver_fn deliver;
	int err;
	u8 family;
	u8 dsfield;
	u8 aad[MOAT_AAD_MAX];
	u8 iv[16] __aligned(16);
	struct scatterlist sg[2];
	struct aead_request req;
};

/**
 * moat_job_alloc() - Make a job.
 * @sa: SA; the job takes a reference
 * @skb: packet; stays the caller's until moat_esp_seal() or moat_esp_open()
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

/**
 * moat_esp_head() - Bytes that ESP puts before the payload.
 * @alg: algorithms
 */
static inline unsigned int moat_esp_head(const struct moat_alg *alg)
{
	return 8 + alg->cipher->iv;
}

/**
 * moat_esp_tail() - Most bytes that ESP puts behind the payload.
 * @alg: algorithms
 */
static inline unsigned int moat_esp_tail(const struct moat_alg *alg)
{
	return alg->cipher->block + 1 + alg->icv;
}

/**
 * moat_esp_payload() - Largest payload for a size of ESP packet.
 * @alg: algorithms
 * @size: bytes behind the outer IP header
 *
 * Return: bytes, 0 if none fits.
 */
unsigned int moat_esp_payload(const struct moat_alg *alg, unsigned int size);

/**
 * moat_esp_size() - Size of the ESP packet for a payload.
 * @alg: algorithms
 * @payload: bytes
 *
 * Return: bytes behind the outer IP header.
 */
unsigned int moat_esp_size(const struct moat_alg *alg, unsigned int payload);

/**
 * moat_esp_wrap() - Write header and trailer around the payload.
 * @job: its slot is reserved; its skb is owned with moat_esp_head() of
 *	headroom and moat_esp_tail() of tailroom, and is all payload
 * @next_header: protocol of the payload
 *
 * Afterwards the skb is the ESP packet and skb_transport_header() is set.
 */
void moat_esp_wrap(struct moat_job *job, u8 next_header);

/**
 * moat_esp_seal() - Encrypt and sign, then deliver in order.
 * @job: wrapped; the ESP header is at skb_transport_header(), outer headers
 *	may lie before it. Not to be touched after.
 *
 * Context: BH disabled, rcu_read_lock().
 */
void moat_esp_seal(struct moat_job *job);

/**
 * moat_esp_open() - Verify and decrypt, then deliver in order.
 * @job: its slot is reserved with the whole sequence number; its skb is
 *	owned, is the ESP packet, and is as long as moat_esp_check() wants.
 *	Not to be touched after.
 *
 * Context: BH disabled, rcu_read_lock().
 */
void moat_esp_open(struct moat_job *job);

/**
 * moat_esp_check() - Whether the length of an ESP packet is possible.
 * @alg: algorithms
 * @size: bytes behind the outer IP header
 *
 * Return: true if it is.
 */
bool moat_esp_check(const struct moat_alg *alg, unsigned int size);

/**
 * moat_esp_unwrap() - Take header and trailer off an opened packet.
 * @job: opened without an error
 * @next_header: gets the protocol of the payload
 *
 * Afterwards the skb is all payload. The padding must be 1, 2, 3, …
 * (RFC 4303 2.4).
 *
 * Return: MOAT_DROP_NONE, or why the packet is to be dropped.
 */
enum moat_drop moat_esp_unwrap(struct moat_job *job, u8 *next_header);

#endif /* _MOAT_ESP_H */
