/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The authentication header (RFC 4302), the same over IPv4 and IPv6:
 *
 *   next header (1) | length (1) | reserved (2) | SPI (4) |
 *   sequence number (4) | IV of GMAC | ICV | padding
 *
 * It covers itself, what follows, and of the headers before it what does not
 * change on the way.
 */
#ifndef _MOAT_AH_H
#define _MOAT_AH_H

#include "job.h"

/**
 * moat_ah_len() - Bytes that AH puts before the payload.
 * @sa: SA of AH
 *
 * A multiple of 4 over IPv4 and of 8 over IPv6 (RFC 4302 2.2, 2.6).
 */
unsigned int moat_ah_len(const struct moat_sa *sa);

/**
 * moat_ah_check() - Whether AH's length field is what its SA asks for.
 * @sa: SA
 * @skb: packet; skb->data is the AH header
 *
 * Over IPv4 padding to a multiple of 8 is accepted too: peers do it.
 *
 * Return: MOAT_DROP_NONE, or why the packet is to be dropped.
 */
enum moat_drop moat_ah_check(const struct moat_sa *sa, struct sk_buff *skb);

/**
 * moat_ah_wrap() - Write AH before the payload.
 * @job: its slot is reserved; its skb is owned with moat_ah_len() of headroom,
 *	and is all payload
 * @next_header: protocol of the payload
 *
 * Afterwards skb_transport_header() is set. The ICV follows in moat_ah_seal().
 */
void moat_ah_wrap(struct moat_job *job, u8 next_header);

/**
 * moat_ah_seal() - Sign, then deliver in order.
 * @job: wrapped; skb->data is the IP header, which is complete but for its
 *	length and checksum; AH is at skb_transport_header(). Not to be
 *	touched after.
 *
 * Context: BH disabled, rcu_read_lock().
 */
void moat_ah_seal(struct moat_job *job);

/**
 * moat_ah_open() - Verify, then deliver in order.
 * @job: its slot is reserved with the whole sequence number; its skb is owned
 *	and moat_ah_check() was satisfied; IP header and AH are at
 *	skb_network_header() and skb_transport_header(). Not to be touched
 *	after.
 *
 * Context: BH disabled, rcu_read_lock().
 */
void moat_ah_open(struct moat_job *job);

/**
 * moat_ah_unwrap() - Take AH off a verified packet.
 * @job: opened without an error
 * @next_header: gets the protocol of the payload
 *
 * Afterwards the skb is all payload.
 */
void moat_ah_unwrap(struct moat_job *job, u8 *next_header);

#endif /* _MOAT_AH_H */
