// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Bodies of the small payloads: ID, CERT, CR, NOTIFY, DELETE, NAT-OA, NONCE
 * (RFC 2408 §3.8 to §3.15, RFC 2407 §4.6, RFC 3947 §5.2).
 */
#include "wire/parse.h"

static int need(struct moat_view body, size_t len, const char *what,
		struct moat_refusal *no)
{
	if (body.len >= len)
		return 0;
	return moat_refuse(no, MOAT_REFUSE_PAYLOAD_SHORT, "%s needs %zu bytes, has %zu",
			   what, len, body.len);
}

static struct moat_view skip(struct moat_view v, size_t len)
{
	return moat_view(v.data + len, v.len - len);
}

/* Size that a type fixes, or 0 when any but an empty one will do. */
static size_t id_size(uint8_t type)
{
	switch (type) {
	case MOAT_ID_IPV4_ADDR:
		return 4;
	case MOAT_ID_IPV4_SUBNET:
	case MOAT_ID_IPV4_RANGE:
		return 8;
	case MOAT_ID_IPV6_ADDR:
		return 16;
	case MOAT_ID_IPV6_SUBNET:
	case MOAT_ID_IPV6_RANGE:
		return 32;
	default:
		return 0;
	}
}

static int id_data_check(const struct moat_id *id, struct moat_refusal *no)
{
	const char *name = moat_id_type_name(id->type);
	size_t size = id_size(id->type);

	if (id->type < MOAT_ID_IPV4_ADDR || id->type > MOAT_ID_KEY_ID)
		return moat_refuse(no, MOAT_REFUSE_ID, "ID type %u is not known",
				   id->type);
	if (size && id->data.len != size)
		return moat_refuse(no, MOAT_REFUSE_ID, "%s takes %zu bytes, has %zu",
				   name, size, id->data.len);
	if (id->data.len == 0)
		return moat_refuse(no, MOAT_REFUSE_ID, "%s is empty", name);
	return 0;
}

int moat_id_parse(struct moat_view body, struct moat_id *id, struct moat_refusal *no)
{
	if (need(body, 4, "ID", no) < 0)
		return -1;
	id->type = body.data[0];
	id->protocol = body.data[1];
	id->port = moat_get16(body.data + 2);
	id->data = skip(body, 4);
	return id_data_check(id, no);
}

int moat_nat_oa_parse(struct moat_view body, struct moat_id *id, struct moat_refusal *no)
{
	/* Type and three reserved octets stand where ID has protocol and port. */
	if (need(body, 4, "NAT-OA", no) < 0)
		return -1;
	id->type = body.data[0];
	id->protocol = 0;
	id->port = 0;
	id->data = skip(body, 4);
	if (id->type != MOAT_ID_IPV4_ADDR && id->type != MOAT_ID_IPV6_ADDR)
		return moat_refuse(no, MOAT_REFUSE_ID,
				   "NAT-OA has ID type %u (%s), takes 1 or 5", id->type,
				   moat_id_type_name(id->type));
	return id_data_check(id, no);
}

int moat_cert_parse(struct moat_view body, struct moat_cert *cert,
		    struct moat_refusal *no)
{
	if (need(body, 1, "CERT or CR", no) < 0)
		return -1;
	cert->encoding = body.data[0];
	cert->data = skip(body, 1);
	return 0;
}

int moat_notify_parse(struct moat_view body, struct moat_notify *n,
		      struct moat_refusal *no)
{
	size_t spi_size;

	if (need(body, 8, "NOTIFY", no) < 0)
		return -1;
	n->doi = moat_get32(body.data);
	n->protocol = body.data[4];
	spi_size = body.data[5];
	n->type = moat_get16(body.data + 6);
	if (spi_size > body.len - 8)
		return moat_refuse(no, MOAT_REFUSE_SPI_SIZE,
				   "NOTIFY says an SPI of %zu bytes, %zu remain",
				   spi_size, body.len - 8);
	n->spi = moat_view(body.data + 8, spi_size);
	n->data = skip(body, 8 + spi_size);
	return 0;
}

int moat_delete_parse(struct moat_view body, struct moat_delete *d,
		      struct moat_refusal *no)
{
	size_t wanted;

	if (need(body, 8, "DELETE", no) < 0)
		return -1;
	d->doi = moat_get32(body.data);
	d->protocol = body.data[4];
	d->spi_size = body.data[5];
	d->count = moat_get16(body.data + 6);
	d->spis = skip(body, 8);
	switch (d->protocol) {
	case MOAT_PROTO_ISAKMP:
		wanted = 2 * MOAT_COOKIE_LEN;
		break;
	case MOAT_PROTO_AH:
	case MOAT_PROTO_ESP:
		wanted = 4;
		break;
	default:
		return moat_refuse(no, MOAT_REFUSE_PROTOCOL,
				   "DELETE names protocol %u, takes 1 to 3", d->protocol);
	}
	if (d->spi_size != wanted)
		return moat_refuse(no, MOAT_REFUSE_SPI_SIZE,
				   "DELETE of %s says SPIs of %u bytes, takes %zu",
				   moat_protocol_name(d->protocol), d->spi_size, wanted);
	if (d->spis.len != wanted * d->count)
		return moat_refuse(no, MOAT_REFUSE_PAYLOAD_LENGTH,
				   "DELETE says %u SPIs of %zu bytes, has %zu bytes",
				   d->count, wanted, d->spis.len);
	return 0;
}

int moat_fragment_parse(struct moat_view body, struct moat_fragment *f,
			struct moat_refusal *no)
{
	if (need(body, 5, "FRAGMENT", no) < 0)
		return -1;
	f->id = moat_get16(body.data);
	f->number = body.data[2];
	f->last = body.data[3] & MOAT_FRAGMENT_LAST;
	f->data = skip(body, 4);
	if (!f->number)
		return moat_refuse(no, MOAT_REFUSE_FRAGMENT,
				   "fragment of message %u has number 0, they begin at 1",
				   f->id);
	return 0;
}

int moat_nonce_check(struct moat_view body, struct moat_refusal *no)
{
	if (body.len >= MOAT_NONCE_MIN && body.len <= MOAT_NONCE_MAX)
		return 0;
	return moat_refuse(no, MOAT_REFUSE_NONCE, "nonce has %zu bytes, takes %d to %d",
			   body.len, MOAT_NONCE_MIN, MOAT_NONCE_MAX);
}
