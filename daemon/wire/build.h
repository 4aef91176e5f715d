/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writing ISAKMP messages. The builder owns no memory; it fills a buffer of the
 * caller's, patches next-payload and length fields itself and never writes past
 * the end: an overflow is remembered and moat_build_finish() reports it.
 */
#ifndef MOAT_WIRE_BUILD_H
#define MOAT_WIRE_BUILD_H

#include "wire/parse.h"

#define MOAT_BUILD_DEPTH 4 /* message, SA, proposal, transform */

/**
 * struct moat_build - a message being written; fields are the builder's own
 * @buf: the buffer
 * @size: its size in octets
 * @used: octets written so far
 * @broken: something did not fit or did not nest
 * @depth: open payloads
 * @start: offset of each open payload
 * @link: per level, offset of the next-payload field that the next sibling's
 *	type goes to; 0 for none
 */
struct moat_build {
	uint8_t *buf;
	size_t size;
	size_t used;
	bool broken;
	unsigned int depth;
	size_t start[MOAT_BUILD_DEPTH];
	size_t link[MOAT_BUILD_DEPTH + 1];
};

/**
 * moat_build_start() - begin a message with its header
 * @b: builder
 * @buf: buffer
 * @size: its size
 * @hdr: cookies, exchange, flags, message id; version, next payload and length
 *	are the builder's
 */
void moat_build_start(struct moat_build *b, uint8_t *buf, size_t size,
		      const struct moat_hdr *hdr);

/**
 * moat_build_open() - begin a payload (or, inside SA, a proposal or transform)
 * @b: builder
 * @type: enum moat_payload_type
 */
void moat_build_open(struct moat_build *b, uint8_t type);

/**
 * moat_build_close() - end what was opened last and patch its length
 */
void moat_build_close(struct moat_build *b);

void moat_build_u8(struct moat_build *b, uint8_t v);
void moat_build_u16(struct moat_build *b, uint16_t v);
void moat_build_u32(struct moat_build *b, uint32_t v);
void moat_build_octets(struct moat_build *b, struct moat_view v);

/**
 * moat_build_space() - leave room for octets that are known later (a HASH)
 * @b: builder
 * @len: octets, zeroed
 *
 * Return: where, or NULL when it did not fit.
 */
uint8_t *moat_build_space(struct moat_build *b, size_t len);

/**
 * moat_build_payload() - a whole payload of one run of octets (KE, NONCE, SIG…)
 */
void moat_build_payload(struct moat_build *b, uint8_t type, struct moat_view body);

/**
 * moat_build_id() - an ID or NAT-OA-like payload
 */
void moat_build_id(struct moat_build *b, const struct moat_id *id);

/**
 * moat_build_notify() - a NOTIFY payload of the IPsec DOI
 */
void moat_build_notify(struct moat_build *b, uint8_t protocol, uint16_t type,
		       struct moat_view spi, struct moat_view data);

/**
 * moat_build_delete() - a DELETE payload of the IPsec DOI
 * @b: builder
 * @protocol: enum moat_protocol
 * @spi_size: octets of each SPI
 * @spis: a whole number of them
 */
void moat_build_delete(struct moat_build *b, uint8_t protocol, uint8_t spi_size,
		       struct moat_view spis);

/**
 * moat_build_fragment() - a FRAGMENT payload
 */
void moat_build_fragment(struct moat_build *b, const struct moat_fragment *f);

/**
 * moat_build_sa() - open an SA payload: IPsec DOI, SIT_IDENTITY_ONLY
 */
void moat_build_sa(struct moat_build *b);

/**
 * moat_build_proposal() - open a proposal inside an SA payload
 * @b: builder
 * @number: proposal number
 * @protocol: enum moat_protocol
 * @spi: may be empty (ISAKMP)
 * @transforms: how many transforms will follow
 */
void moat_build_proposal(struct moat_build *b, uint8_t number, uint8_t protocol,
			 struct moat_view spi, uint8_t transforms);

/**
 * moat_build_transform() - open a transform inside a proposal
 */
void moat_build_transform(struct moat_build *b, uint8_t number, uint8_t id);

/**
 * moat_build_attr() - one attribute: TV if @value fits 16 bits, else TLV of four
 */
void moat_build_attr(struct moat_build *b, uint16_t type, uint32_t value);

/**
 * moat_build_pad() - pad with zeros for CBC (RFC 2409 appendix B)
 * @b: builder; everything closed
 * @block: block size in octets; what follows the ISAKMP header becomes a
 *	multiple of it
 */
void moat_build_pad(struct moat_build *b, size_t block);

/**
 * moat_build_finish() - patch the message's length
 *
 * Return: length of the message in octets, or 0 when something did not fit or
 * was left open.
 */
size_t moat_build_finish(struct moat_build *b);

#endif
