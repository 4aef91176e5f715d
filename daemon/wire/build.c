// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Writing ISAKMP messages into a bounded buffer.
 */
#include "wire/build.h"

#define NEXT_PAYLOAD_AT 16
#define LENGTH_AT	24

uint8_t *moat_build_space(struct moat_build *b, size_t len)
{
	uint8_t *p;

	if (b->broken || len > b->size - b->used) {
		b->broken = true;
		return NULL;
	}
	p = b->buf + b->used;
	memset(p, 0, len);
	b->used += len;
	return p;
}

void moat_build_octets(struct moat_build *b, struct moat_view v)
{
	uint8_t *p = moat_build_space(b, v.len);

	if (p && v.len)
		memcpy(p, v.data, v.len);
}

void moat_build_u8(struct moat_build *b, uint8_t v)
{
	uint8_t *p = moat_build_space(b, 1);

	if (p)
		*p = v;
}

void moat_build_u16(struct moat_build *b, uint16_t v)
{
	uint8_t *p = moat_build_space(b, 2);

	if (p)
		moat_set16(p, v);
}

void moat_build_u32(struct moat_build *b, uint32_t v)
{
	uint8_t *p = moat_build_space(b, 4);

	if (p)
		moat_set32(p, v);
}

void moat_build_start(struct moat_build *b, uint8_t *buf, size_t size,
		      const struct moat_hdr *hdr)
{
	memset(b, 0, sizeof(*b));
	b->buf = buf;
	b->size = size;
	moat_build_octets(b, moat_view(hdr->cookie_i, MOAT_COOKIE_LEN));
	moat_build_octets(b, moat_view(hdr->cookie_r, MOAT_COOKIE_LEN));
	moat_build_u8(b, MOAT_P_NONE);
	moat_build_u8(b, MOAT_ISAKMP_VERSION);
	moat_build_u8(b, hdr->exchange);
	moat_build_u8(b, hdr->flags);
	moat_build_u32(b, hdr->message_id);
	moat_build_u32(b, 0);
	b->link[0] = NEXT_PAYLOAD_AT;
}

void moat_build_open(struct moat_build *b, uint8_t type)
{
	size_t start = b->used;

	if (b->depth == MOAT_BUILD_DEPTH)
		b->broken = true;
	if (!moat_build_space(b, MOAT_GENERIC_LEN))
		return;
	/* The first child of a level has no sibling that announces it. */
	if (b->link[b->depth])
		b->buf[b->link[b->depth]] = type;
	b->link[b->depth] = start;
	b->start[b->depth] = start;
	b->depth++;
	b->link[b->depth] = 0;
}

void moat_build_close(struct moat_build *b)
{
	size_t len;

	if (b->depth == 0)
		b->broken = true;
	if (b->broken)
		return;
	b->depth--;
	len = b->used - b->start[b->depth];
	if (len > UINT16_MAX)
		b->broken = true;
	else
		moat_set16(b->buf + b->start[b->depth] + 2, (uint16_t)len);
}

void moat_build_payload(struct moat_build *b, uint8_t type, struct moat_view body)
{
	moat_build_open(b, type);
	moat_build_octets(b, body);
	moat_build_close(b);
}

void moat_build_id(struct moat_build *b, const struct moat_id *id)
{
	moat_build_open(b, MOAT_P_ID);
	moat_build_u8(b, id->type);
	moat_build_u8(b, id->protocol);
	moat_build_u16(b, id->port);
	moat_build_octets(b, id->data);
	moat_build_close(b);
}

void moat_build_notify(struct moat_build *b, uint8_t protocol, uint16_t type,
		       struct moat_view spi, struct moat_view data)
{
	moat_build_open(b, MOAT_P_NOTIFY);
	moat_build_u32(b, MOAT_DOI_IPSEC);
	moat_build_u8(b, protocol);
	if (spi.len > UINT8_MAX)
		b->broken = true;
	moat_build_u8(b, (uint8_t)spi.len);
	moat_build_u16(b, type);
	moat_build_octets(b, spi);
	moat_build_octets(b, data);
	moat_build_close(b);
}

void moat_build_delete(struct moat_build *b, uint8_t protocol, uint8_t spi_size,
		       struct moat_view spis)
{
	moat_build_open(b, MOAT_P_DELETE);
	moat_build_u32(b, MOAT_DOI_IPSEC);
	moat_build_u8(b, protocol);
	moat_build_u8(b, spi_size);
	if (spi_size == 0 || spis.len % spi_size || spis.len / spi_size > UINT16_MAX)
		b->broken = true;
	else
		moat_build_u16(b, (uint16_t)(spis.len / spi_size));
	moat_build_octets(b, spis);
	moat_build_close(b);
}

void moat_build_fragment(struct moat_build *b, const struct moat_fragment *f)
{
	moat_build_open(b, MOAT_P_FRAGMENT);
	moat_build_u16(b, f->id);
	moat_build_u8(b, f->number);
	moat_build_u8(b, f->last ? MOAT_FRAGMENT_LAST : 0);
	moat_build_octets(b, f->data);
	moat_build_close(b);
}

void moat_build_sa(struct moat_build *b)
{
	moat_build_open(b, MOAT_P_SA);
	moat_build_u32(b, MOAT_DOI_IPSEC);
	moat_build_u32(b, MOAT_SIT_IDENTITY);
}

void moat_build_proposal(struct moat_build *b, uint8_t number, uint8_t protocol,
			 struct moat_view spi, uint8_t transforms)
{
	moat_build_open(b, MOAT_P_PROPOSAL);
	moat_build_u8(b, number);
	moat_build_u8(b, protocol);
	if (spi.len > UINT8_MAX)
		b->broken = true;
	moat_build_u8(b, (uint8_t)spi.len);
	moat_build_u8(b, transforms);
	moat_build_octets(b, spi);
}

void moat_build_transform(struct moat_build *b, uint8_t number, uint8_t id)
{
	moat_build_open(b, MOAT_P_TRANSFORM);
	moat_build_u8(b, number);
	moat_build_u8(b, id);
	moat_build_u16(b, 0);
}

void moat_build_attr(struct moat_build *b, uint16_t type, uint32_t value)
{
	if (value <= UINT16_MAX) {
		moat_build_u16(b, type | 0x8000);
		moat_build_u16(b, (uint16_t)value);
		return;
	}
	moat_build_u16(b, type);
	moat_build_u16(b, 4);
	moat_build_u32(b, value);
}

void moat_build_pad(struct moat_build *b, size_t block)
{
	size_t over;

	if (b->depth != 0)
		b->broken = true;
	if (b->broken)
		return;
	over = (b->used - MOAT_HDR_LEN) % block;
	if (over)
		moat_build_space(b, block - over);
}

size_t moat_build_finish(struct moat_build *b)
{
	if (b->broken || b->depth != 0)
		return 0;
	moat_set32(b->buf + LENGTH_AT, (uint32_t)b->used);
	return b->used;
}
