/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What carries a packet: ESP, AH, or AH over ESP (RFC 2401 4.3: IP | AH | ESP |
 * payload, one outer header). A layer is one SA of it. A chain is what begins
 * with the SA of a policy and goes on with moat_sa.above.
 */
#ifndef _MOAT_CHAIN_H
#define _MOAT_CHAIN_H

#include "job.h"

/**
 * moat_layer_head() - Bytes that one SA puts before the payload.
 * @sa: SA
 */
unsigned int moat_layer_head(const struct moat_sa *sa);

/**
 * moat_chain_head() - Bytes that a chain puts before the payload.
 * @sa: its first SA
 */
unsigned int moat_chain_head(const struct moat_sa *sa);

/**
 * moat_chain_tail() - Most bytes that a chain puts behind the payload.
 * @sa: its first SA
 */
unsigned int moat_chain_tail(const struct moat_sa *sa);

/**
 * moat_chain_size() - Size of a chain's packet for a payload.
 * @sa: its first SA
 * @payload: bytes
 *
 * Return: bytes behind the IP header.
 */
unsigned int moat_chain_size(const struct moat_sa *sa, unsigned int payload);

/**
 * moat_chain_payload() - Largest payload for a size of packet.
 * @sa: the chain's first SA
 * @size: bytes behind the IP header
 *
 * Return: bytes, 0 if none fits.
 */
unsigned int moat_chain_payload(const struct moat_sa *sa, unsigned int size);

/**
 * moat_layer_wrap() - Write one SA's header and trailer around the payload.
 * @job: its slot is reserved; its skb is owned with room around, and is all
 *	payload
 * @next_header: protocol of the payload
 *
 * Afterwards skb_transport_header() is set, and skb->data is there.
 */
void moat_layer_wrap(struct moat_job *job, u8 next_header);

/**
 * moat_layer_insert() - Write one SA's header and trailer behind the IP header,
 * and a UDP header before it if the SA has ports.
 * @job: its slot is reserved; its skb is owned with room around, and begins
 *	with its IP header
 * @head_len: bytes that stay in front
 * @next_offset: offset in them of the byte that names what follows
 *
 * Afterwards skb->data is the IP header, complete but for its length and
 * checksum, and skb_transport_header() is set.
 */
void moat_layer_insert(struct moat_job *job, unsigned int head_len,
		       unsigned int next_offset);

/**
 * moat_layer_split() - Where ESP or AH goes in a packet (RFC 4303 3.1.1).
 * @skb: packet; skb->data is the IP header
 * @family: of the IP header
 * @next_offset: gets the offset of the byte that names what follows
 *
 * Behind IPv4 options, and IPv6 extension headers that routers look at.
 *
 * Return: offset, or -EINVAL when the headers are malformed.
 */
int moat_layer_split(struct sk_buff *skb, u8 family,
		     unsigned int *next_offset);

/**
 * moat_layer_seal() - Encrypt and sign, then deliver in order.
 * @job: wrapped; skb->data is the IP header. Not to be touched after.
 *
 * Context: BH disabled, rcu_read_lock().
 */
void moat_layer_seal(struct moat_job *job);

/**
 * moat_layer_check() - Whether the lengths of a packet are possible.
 * @sa: inbound SA
 * @skb: packet; skb->data is the ESP or AH header
 * @seq: gets the sequence number on the wire, host byte order
 *
 * Return: MOAT_DROP_NONE, or why the packet is to be dropped.
 */
enum moat_drop moat_layer_check(const struct moat_sa *sa, struct sk_buff *skb,
				u32 *seq);

/**
 * moat_layer_open() - Verify and decrypt, then deliver in order.
 * @job: its slot is reserved with the whole sequence number; its skb is
 *	owned, and skb->data is the ESP or AH header, which
 *	moat_layer_check() has seen. Not to be touched after.
 *
 * Context: BH disabled, rcu_read_lock().
 */
void moat_layer_open(struct moat_job *job);

/**
 * moat_layer_unwrap() - Take header and trailer off an opened packet.
 * @job: opened without an error
 * @next_header: gets the protocol of the payload
 *
 * Afterwards the skb is all payload.
 *
 * Return: MOAT_DROP_NONE, or why the packet is to be dropped.
 */
enum moat_drop moat_layer_unwrap(struct moat_job *job, u8 *next_header);

/**
 * moat_layer_restore() - Put the IP header before the payload again.
 * @job: unwrapped; its @head_len and @next_offset say what stood before
 * @next_header: protocol of the payload
 *
 * Afterwards skb_network_header() is a complete IP header; skb->data is the
 * payload still.
 */
void moat_layer_restore(struct moat_job *job, u8 next_header);

#endif /* _MOAT_CHAIN_H */
