/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The ESP packet (RFC 4303), the same over IPv4 and IPv6:
 *
 *   SPI (4) | sequence number (4) | IV | payload, padding, pad length (1),
 *   next header (1) | ICV
 */
#ifndef _MOAT_ESP_H
#define _MOAT_ESP_H

#include "job.h"

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
