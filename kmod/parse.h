/* SPDX-License-Identifier: GPL-2.0 */
/* What the paths read from the IP header of an inner packet. */
#ifndef _MOAT_PARSE_H
#define _MOAT_PARSE_H

#include <linux/skbuff.h>

#include "flow.h"

struct ip_esp_hdr;

/**
 * moat_parse_flow() - Read what a packet is classified by.
 * @skb: packet, skb_network_header() set; need not be linear
 * @family: AF_INET or AF_INET6
 * @outbound: its source is our side, else its destination is
 * @flow: gets it
 *
 * Return: 0, or -EINVAL when the headers are malformed.
 */
int moat_parse_flow(const struct sk_buff *skb, u8 family, bool outbound,
		    struct moat_flow *flow);

/**
 * moat_parse_carried() - Read the packet that an ICMP error is about.
 * @skb: packet, skb_network_header() set; need not be linear
 * @family: AF_INET or AF_INET6
 * @outbound: the error's source is our side, else its destination is
 * @flow: gets the traffic which that packet belongs to, in the direction of
 *	the error (RFC 4301 6.2: addresses and ports reversed)
 *
 * Return: whether it is an ICMP error and quotes enough to tell.
 */
bool moat_parse_carried(const struct sk_buff *skb, u8 family, bool outbound,
			struct moat_flow *flow);

/**
 * moat_parse_match() - Whether an SA may carry a packet (RFC 4301 6.2).
 * @sel: the SA's selector
 * @skb: packet, skb_network_header() set
 * @family: AF_INET or AF_INET6
 * @outbound: direction
 * @flow: what moat_parse_flow() read
 *
 * Return: whether the selector covers it, or what the ICMP error is about.
 */
bool moat_parse_match(const struct moat_selector *sel,
		      const struct sk_buff *skb, u8 family, bool outbound,
		      const struct moat_flow *flow);

/**
 * moat_parse_dsfield() - DSCP and ECN of a packet.
 * @skb: packet with its IP header in the linear part
 * @family: AF_INET or AF_INET6
 *
 * Return: the octet of RFC 2474.
 */
u8 moat_parse_dsfield(const struct sk_buff *skb, u8 family);

/**
 * moat_parse_len() - Length of a packet as its IP header says.
 * @skb: packet with its IP header in the linear part
 * @family: AF_INET or AF_INET6
 *
 * Return: bytes, header included.
 */
unsigned int moat_parse_len(const struct sk_buff *skb, u8 family);

/**
 * moat_parse_id() - Read SPI and sequence number of an ESP or AH packet.
 * @skb: packet, or the beginning of one
 * @offset: of its ESP or AH header, from skb->data
 * @protocol: IPPROTO_ESP, IPPROTO_AH, or what has no SPI
 * @id: gets both, as on the wire; AH has them in the order of ESP
 *
 * Return: false if they are not there.
 */
bool moat_parse_id(const struct sk_buff *skb, int offset, u8 protocol,
		   struct ip_esp_hdr *id);

#endif /* _MOAT_PARSE_H */
