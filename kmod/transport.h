/* SPDX-License-Identifier: GPL-2.0 */
/* Transport mode, outbound: a packet of this host keeps its own header. */
#ifndef _MOAT_TRANSPORT_H
#define _MOAT_TRANSPORT_H

#include "counter.h"

struct moat_sa;

/**
 * moat_transport_check() - Whether transport mode can carry a packet.
 * @skb: packet; skb->data is the IP header
 * @family: of it
 * @head_len: gets the offset at which ESP or AH goes
 * @next_offset: gets the offset of the byte that names what follows
 *
 * Fragments it cannot (RFC 4301 4.1): what a host sends is cut behind us, so
 * only raw sockets have any.
 *
 * Return: MOAT_DROP_NONE, or why the packet is to be dropped.
 */
enum moat_drop moat_transport_check(struct sk_buff *skb, u8 family,
				    unsigned int *head_len,
				    unsigned int *next_offset);

/**
 * moat_transport_unnat() - Make a packet from behind a NAT whole (RFC 3948 3.1.2).
 * @sa: inbound SA with UDP encapsulation
 * @skb: opened and owned packet; skb->data is the IP header
 * @head_len: offset of what was protected
 * @next_header: its protocol
 *
 * It comes from where policies know the peer, also when that has moved. TCP,
 * UDP and ICMPv6 get the checksum for the addresses it has here; that of its
 * sender was made for others, and the ICV vouches for the rest.
 */
void moat_transport_unnat(const struct moat_sa *sa, struct sk_buff *skb,
			  unsigned int head_len, u8 next_header);

/**
 * moat_transport_fit() - Make a packet fit, or say that it does not.
 * @skb: packet, not shared; GSO allowed
 * @family: of its IP header
 * @mtu: largest packet that leaves unfragmented, in bytes
 *
 * A TCP segment becomes a GSO packet of smaller ones. Its sender cannot be
 * told: the path MTU that its route would learn is also that of the protected
 * packet, which goes the same way and may be larger.
 *
 * Context: BH disabled.
 * Return: whether @skb, or each of its segments, fits.
 */
bool moat_transport_fit(struct sk_buff *skb, u8 family, unsigned int mtu);

#endif /* _MOAT_TRANSPORT_H */
