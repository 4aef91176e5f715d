// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Header and payload chain of ISAKMP messages (RFC 2408 §3.1, §3.2).
 */
#include "wire/parse.h"

#include <stdio.h>

/* Peers that align messages to four octets leave at most this many in clear. */
#define CLEAR_PADDING_MAX 3

int moat_hdr_parse(struct moat_view datagram, struct moat_hdr *hdr,
		   struct moat_refusal *no)
{
	static const uint8_t zero[MOAT_COOKIE_LEN];
	const uint8_t *p = datagram.data;

	memset(hdr, 0, sizeof(*hdr));
	if (datagram.len < MOAT_HDR_LEN)
		return moat_refuse(no, MOAT_REFUSE_SHORT_HEADER,
				   "header needs %d bytes, datagram has %zu",
				   MOAT_HDR_LEN, datagram.len);
	memcpy(hdr->cookie_i, p, MOAT_COOKIE_LEN);
	memcpy(hdr->cookie_r, p + 8, MOAT_COOKIE_LEN);
	hdr->next_payload = p[16];
	hdr->version = p[17];
	hdr->exchange = p[18];
	hdr->flags = p[19];
	hdr->message_id = moat_get32(p + 20);
	hdr->length = moat_get32(p + 24);

	if (hdr->version != MOAT_ISAKMP_VERSION)
		return moat_refuse(no, MOAT_REFUSE_VERSION,
				   "version %u.%u, this is ISAKMP 1.0", hdr->version >> 4,
				   hdr->version & 15);
	if (hdr->length != datagram.len)
		return moat_refuse(no, MOAT_REFUSE_LENGTH,
				   "header says %u bytes, datagram has %zu", hdr->length,
				   datagram.len);
	if (memcmp(hdr->cookie_i, zero, sizeof(zero)) == 0)
		return moat_refuse(no, MOAT_REFUSE_COOKIE, "initiator cookie is zero");
	return 0;
}

/* Proposals and transforms are known too, but only inside an SA payload. */
static bool known_in_chain(uint8_t type)
{
	switch (type) {
	case MOAT_P_SA:
	case MOAT_P_KE ... MOAT_P_ATTRIBUTES:
	case MOAT_P_NAT_D:
	case MOAT_P_NAT_OA:
		return true;
	default:
		return type >= 128;
	}
}

static int generic_parse(unsigned int number, uint8_t type, struct moat_view rest,
			 uint16_t *len, struct moat_refusal *no)
{
	const char *name = moat_payload_name(type);

	if (!known_in_chain(type))
		return moat_refuse(no, MOAT_REFUSE_PAYLOAD_TYPE,
				   "payload %u has type %u, which is not known", number,
				   type);
	if (rest.len < MOAT_GENERIC_LEN)
		return moat_refuse(no, MOAT_REFUSE_PAYLOAD_LENGTH,
				   "payload %u (%s) needs %d bytes, %zu remain", number,
				   name, MOAT_GENERIC_LEN, rest.len);
	if (rest.data[1] != 0)
		return moat_refuse(no, MOAT_REFUSE_PAYLOAD_RESERVED,
				   "payload %u (%s) has %u in its reserved octet, not 0",
				   number, name, rest.data[1]);
	*len = moat_get16(rest.data + 2);
	if (*len < MOAT_GENERIC_LEN || *len > rest.len)
		return moat_refuse(no, MOAT_REFUSE_PAYLOAD_LENGTH,
				   "payload %u (%s) says %u bytes, %zu remain", number,
				   name, *len, rest.len);
	return 0;
}

int moat_chain_parse(uint8_t first, struct moat_view octets, bool encrypted,
		     struct moat_message *msg, struct moat_refusal *no)
{
	struct moat_view rest = octets;
	uint8_t type = first;

	msg->count = 0;
	msg->padding = moat_view(NULL, 0);
	while (type != MOAT_P_NONE) {
		struct moat_payload *p = &msg->payloads[msg->count];
		uint16_t len = 0;

		if (msg->count == MOAT_PAYLOADS_MAX)
			return moat_refuse(no, MOAT_REFUSE_PAYLOAD_COUNT,
					   "more than %d payloads, %zu bytes remain",
					   MOAT_PAYLOADS_MAX, rest.len);
		if (generic_parse(msg->count + 1, type, rest, &len, no) < 0)
			return -1;
		p->type = type;
		p->whole = moat_view(rest.data, len);
		p->body = moat_view(rest.data + MOAT_GENERIC_LEN, len - MOAT_GENERIC_LEN);
		msg->count++;
		type = rest.data[0];
		rest = moat_view(rest.data + len, rest.len - len);
	}
	if (!encrypted && rest.len > CLEAR_PADDING_MAX)
		return moat_refuse(no, MOAT_REFUSE_TRAILING,
				   "%zu bytes follow the last of %u payloads, at most %d "
				   "may",
				   rest.len, msg->count, CLEAR_PADDING_MAX);
	msg->padding = rest;
	return 0;
}

const struct moat_payload *moat_message_find(const struct moat_message *msg, uint8_t type)
{
	const struct moat_payload *p;

	moat_payload_for_each(p, msg)
		if (p->type == type)
			return p;
	return NULL;
}

struct moat_view moat_message_vendor(const struct moat_message *msg, struct moat_view id)
{
	const struct moat_payload *p;

	moat_payload_for_each(p, msg) {
		if (p->type == MOAT_P_VENDOR && p->body.len >= id.len &&
		    !memcmp(p->body.data, id.data, id.len))
			return p->body;
	}
	return moat_view(NULL, 0);
}

unsigned int moat_message_count(const struct moat_message *msg, uint8_t type)
{
	const struct moat_payload *p;
	unsigned int count = 0;

	moat_payload_for_each(p, msg)
		if (p->type == type)
			count++;
	return count;
}

struct moat_view moat_message_after(const struct moat_message *msg,
				    const struct moat_payload *p)
{
	const uint8_t *from = p->whole.data + p->whole.len;
	const struct moat_payload *last = &msg->payloads[msg->count - 1];

	return moat_view(from, (size_t)(last->whole.data + last->whole.len - from));
}

void moat_message_names(const struct moat_message *msg, bool encrypted, char *out,
			size_t size)
{
	const struct moat_payload *p;
	size_t used;

	if (size < sizeof("HDR*, ..."))
		return;
	used = (size_t)snprintf(out, size, encrypted ? "HDR*" : "HDR");
	moat_payload_for_each(p, msg) {
		const char *name = moat_payload_name(p->type);

		/* Room for the name, or for the dots that stand for the rest. */
		if (used + strlen(name) + sizeof(", , ...") > size) {
			snprintf(out + used, size - used, ", ...");
			return;
		}
		used += (size_t)snprintf(out + used, size - used, ", %s", name);
	}
}
