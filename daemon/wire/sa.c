// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The SA payload and what is nested in it: proposals, transforms, attributes
 * (RFC 2408 §3.3 to §3.6, RFC 2407 §4.6.1).
 */
#include "wire/parse.h"

#define PROPOSAL_FIXED	8 /* generic header, number, protocol, SPI size, count */
#define TRANSFORM_FIXED 8 /* generic header, number, identifier, reserved */

/*
 * One link of a nested chain. @rest starts at its generic header; @own is its
 * type, the only one that may follow it.
 */
static int nested_parse(struct moat_view rest, uint8_t own, size_t fixed,
			const char *what, unsigned int number, struct moat_view *item,
			struct moat_refusal *no)
{
	uint8_t next;
	size_t len;

	if (rest.len < fixed)
		return moat_refuse(no, MOAT_REFUSE_PROPOSAL,
				   "%s %u needs %zu bytes, %zu remain", what, number,
				   fixed, rest.len);
	next = rest.data[0];
	len = moat_get16(rest.data + 2);
	if (next != 0 && next != own)
		return moat_refuse(no, MOAT_REFUSE_PROPOSAL,
				   "%s %u says payload %u follows, takes 0 or %u", what,
				   number, next, own);
	if (rest.data[1] != 0)
		return moat_refuse(no, MOAT_REFUSE_PAYLOAD_RESERVED,
				   "%s %u has %u in its reserved octet, not 0", what,
				   number, rest.data[1]);
	if (len < fixed || len > rest.len)
		return moat_refuse(no, MOAT_REFUSE_PROPOSAL,
				   "%s %u says %zu bytes, %zu remain", what, number, len,
				   rest.len);
	if (next == 0 && len != rest.len)
		return moat_refuse(no, MOAT_REFUSE_PROPOSAL,
				   "%s %u is the last and says %zu bytes, %zu remain",
				   what, number, len, rest.len);
	if (next == own && len == rest.len)
		return moat_refuse(no, MOAT_REFUSE_PROPOSAL,
				   "%s %u says another follows, 0 bytes remain", what,
				   number);
	*item = moat_view(rest.data, len);
	return 0;
}

bool moat_attr_next(struct moat_view *rest, struct moat_attr *attr)
{
	uint16_t type;
	size_t len;

	if (rest->len < 4)
		return false;
	type = moat_get16(rest->data);
	attr->type = type & 0x7fff;
	attr->basic = type & 0x8000;
	if (attr->basic) {
		attr->data = moat_view(rest->data + 2, 2);
		len = 4;
	} else {
		attr->data = moat_view(rest->data + 4, moat_get16(rest->data + 2));
		len = 4 + attr->data.len;
		if (len > rest->len)
			return false;
	}
	attr->value = 0;
	for (size_t i = 0; i < attr->data.len && i < 8; i++)
		attr->value = attr->value << 8 | attr->data.data[i];
	if (attr->data.len > 8)
		attr->value = UINT64_MAX;
	*rest = moat_view(rest->data + len, rest->len - len);
	return true;
}

static int attributes_check(struct moat_view attributes, unsigned int number,
			    struct moat_refusal *no)
{
	struct moat_view rest = attributes;
	struct moat_attr attr;

	while (moat_attr_next(&rest, &attr)) {
		if (attr.data.len == 0)
			return moat_refuse(no, MOAT_REFUSE_ATTRIBUTE,
					   "transform %u: attribute %u has no value",
					   number, attr.type);
	}
	if (rest.len == 0)
		return 0;
	if (rest.len < 4)
		return moat_refuse(no, MOAT_REFUSE_ATTRIBUTE,
				   "transform %u: an attribute needs 4 bytes, %zu remain",
				   number, rest.len);
	return moat_refuse(no, MOAT_REFUSE_ATTRIBUTE,
			   "transform %u: attribute %u says %u bytes, %zu remain", number,
			   moat_get16(rest.data) & 0x7fff, moat_get16(rest.data + 2),
			   rest.len - 4);
}

static int transforms_parse(struct moat_view rest, unsigned int wanted,
			    struct moat_proposal *p, struct moat_sa_payload *sa,
			    struct moat_refusal *no)
{
	while (rest.len > 0) {
		struct moat_transform *t = &sa->transforms[sa->transform_count];
		struct moat_view item;

		if (sa->transform_count == MOAT_TRANSFORMS_MAX)
			return moat_refuse(no, MOAT_REFUSE_PROPOSAL_COUNT,
					   "more than %d transforms, %zu bytes remain",
					   MOAT_TRANSFORMS_MAX, rest.len);
		if (nested_parse(rest, MOAT_P_TRANSFORM, TRANSFORM_FIXED, "transform",
				 p->count + 1, &item, no) < 0)
			return -1;
		t->number = item.data[4];
		t->id = item.data[5];
		t->attributes = moat_view(item.data + TRANSFORM_FIXED,
					  item.len - TRANSFORM_FIXED);
		if (attributes_check(t->attributes, p->count + 1, no) < 0)
			return -1;
		p->count++;
		sa->transform_count++;
		rest = moat_view(rest.data + item.len, rest.len - item.len);
	}
	if (p->count != wanted || wanted == 0)
		return moat_refuse(no, MOAT_REFUSE_PROPOSAL,
				   "proposal %u says %u transforms, has %u", p->number,
				   wanted, p->count);
	return 0;
}

/* AH and ESP have SPIs of 4 octets; ISAKMP's is ignored (RFC 2408 §3.5). */
static int spi_check(const struct moat_proposal *p, struct moat_refusal *no)
{
	bool four = p->protocol == MOAT_PROTO_AH || p->protocol == MOAT_PROTO_ESP;

	if (four && p->spi.len != 4)
		return moat_refuse(no, MOAT_REFUSE_SPI_SIZE,
				   "proposal %u (%s) has an SPI of %zu bytes, takes 4",
				   p->number, moat_protocol_name(p->protocol),
				   p->spi.len);
	if (p->spi.len > 2 * MOAT_COOKIE_LEN)
		return moat_refuse(no, MOAT_REFUSE_SPI_SIZE,
				   "proposal %u (%s) has an SPI of %zu bytes, at most %d",
				   p->number, moat_protocol_name(p->protocol), p->spi.len,
				   2 * MOAT_COOKIE_LEN);
	return 0;
}

static int proposal_parse(struct moat_view item, struct moat_sa_payload *sa,
			  struct moat_refusal *no)
{
	struct moat_proposal *p = &sa->proposals[sa->proposal_count];
	size_t spi_size = item.data[6];

	p->number = item.data[4];
	p->protocol = item.data[5];
	p->first = sa->transform_count;
	p->count = 0;
	if (spi_size > item.len - PROPOSAL_FIXED)
		return moat_refuse(no, MOAT_REFUSE_SPI_SIZE,
				   "proposal %u says an SPI of %zu bytes, %zu remain",
				   p->number, spi_size, item.len - PROPOSAL_FIXED);
	p->spi = moat_view(item.data + PROPOSAL_FIXED, spi_size);
	if (spi_check(p, no) < 0)
		return -1;
	sa->proposal_count++;
	return transforms_parse(moat_view(item.data + PROPOSAL_FIXED + spi_size,
					  item.len - PROPOSAL_FIXED - spi_size),
				item.data[7], p, sa, no);
}

int moat_sa_parse(struct moat_view body, struct moat_sa_payload *sa,
		  struct moat_refusal *no)
{
	struct moat_view rest;

	sa->proposal_count = 0;
	sa->transform_count = 0;
	if (body.len < 8)
		return moat_refuse(no, MOAT_REFUSE_PAYLOAD_SHORT,
				   "SA needs 8 bytes, has %zu", body.len);
	sa->doi = moat_get32(body.data);
	sa->situation = moat_get32(body.data + 4);
	if (sa->doi != MOAT_DOI_IPSEC)
		return moat_refuse(no, MOAT_REFUSE_DOI, "DOI is %u, takes %d (IPsec)",
				   sa->doi, MOAT_DOI_IPSEC);
	if (sa->situation != MOAT_SIT_IDENTITY)
		return moat_refuse(no, MOAT_REFUSE_SITUATION,
				   "situation is %u, takes %d (identity only)",
				   sa->situation, MOAT_SIT_IDENTITY);
	rest = moat_view(body.data + 8, body.len - 8);
	if (rest.len == 0)
		return moat_refuse(no, MOAT_REFUSE_PROPOSAL, "SA has no proposal");
	while (rest.len > 0) {
		struct moat_view item;

		if (sa->proposal_count == MOAT_PROPOSALS_MAX)
			return moat_refuse(no, MOAT_REFUSE_PROPOSAL_COUNT,
					   "more than %d proposals, %zu bytes remain",
					   MOAT_PROPOSALS_MAX, rest.len);
		if (nested_parse(rest, MOAT_P_PROPOSAL, PROPOSAL_FIXED, "proposal",
				 sa->proposal_count + 1, &item, no) < 0 ||
		    proposal_parse(item, sa, no) < 0)
			return -1;
		rest = moat_view(rest.data + item.len, rest.len - item.len);
	}
	return 0;
}
