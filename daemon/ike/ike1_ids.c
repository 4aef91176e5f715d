// SPDX-License-Identifier: GPL-2.0-or-later
/* Identification payloads of both phases: RFC 2407 section 4.6.2. */
#include "ike/ike1.h"

#include <stdio.h>
#include <string.h>

void moat_ike1_id_body(const struct moat_identity *id, struct moat_blob *body)
{
	uint8_t octets[4 + MOAT_ID_MAX] = { id->type };

	memcpy(octets + 4, id->data, id->len);
	moat_blob_set(body, octets, 4 + (size_t)id->len);
}

const char *moat_identity_str(uint8_t type, struct moat_view data,
			      char buf[MOAT_IDENTITY_STRLEN])
{
	struct moat_addr addr = { .len = (uint8_t)data.len };
	char text[MOAT_ADDR_STRLEN];
	size_t len = data.len < 80 ? data.len : 80;
	size_t at;

	if (type == MOAT_ID_DER_ASN1_DN && moat_dn_print(data, buf, MOAT_IDENTITY_STRLEN))
		return buf;
	if ((type == MOAT_ID_IPV4_ADDR && data.len == 4) ||
	    (type == MOAT_ID_IPV6_ADDR && data.len == 16)) {
		memcpy(addr.bytes, data.data, data.len);
		snprintf(buf, MOAT_IDENTITY_STRLEN, "%s", moat_addr_str(&addr, text));
		return buf;
	}
	at = (size_t)snprintf(buf, MOAT_IDENTITY_STRLEN, "%s \"",
			      moat_id_type_name(type));
	for (size_t i = 0; i < len; i++) {
		uint8_t c = data.data[i];

		buf[at++] =
			c >= 0x20 && c < 0x7f && c != '"' && c != '\\' ? (char)c : '.';
	}
	snprintf(buf + at, MOAT_IDENTITY_STRLEN - at, "\"%s",
		 len < data.len ? "..." : "");
	return buf;
}

static bool single(const struct moat_range *range)
{
	return moat_addr_equal(&range->first, &range->last);
}

/*
 * A single host is an address, a network a subnet, the rest a range: what
 * peers compare with their own configuration word by word.
 */
void moat_quick_id_build(const struct moat_range *range, uint8_t protocol, uint16_t port,
			 struct moat_blob *body)
{
	bool v4 = range->first.len == 4;
	size_t len = range->first.len;
	int prefix = moat_range_prefix(range);
	uint8_t octets[4 + 32] = { 0 };
	size_t size = 4 + 2 * len;

	octets[1] = protocol;
	moat_set16(octets + 2, port);
	memcpy(octets + 4, range->first.bytes, len);
	if (single(range)) {
		octets[0] = v4 ? MOAT_ID_IPV4_ADDR : MOAT_ID_IPV6_ADDR;
		size = 4 + len;
	} else if (prefix >= 0) {
		octets[0] = v4 ? MOAT_ID_IPV4_SUBNET : MOAT_ID_IPV6_SUBNET;
		for (int bit = 0; bit < prefix; bit++)
			octets[4 + len + bit / 8] |= 0x80 >> (bit % 8);
	} else {
		octets[0] = v4 ? MOAT_ID_IPV4_RANGE : MOAT_ID_IPV6_RANGE;
		memcpy(octets + 4 + len, range->last.bytes, len);
	}
	moat_blob_set(body, octets, size);
}

uint16_t moat_quick_id_port(const uint16_t range[2])
{
	return range[0] == range[1] ? range[0] : 0;
}

/* A mask says which bits count; one with holes is no network. */
static int from_mask(struct moat_range *range, const uint8_t *mask,
		     struct moat_refusal *no)
{
	for (unsigned int i = 0; i < range->first.len; i++) {
		if (range->first.bytes[i] & ~mask[i])
			return moat_refuse(no, MOAT_REFUSE_ID,
					   "the ID's subnet has bits behind its mask");
		range->last.bytes[i] |= ~mask[i];
	}
	if (moat_range_prefix(range) < 0)
		return moat_refuse(no, MOAT_REFUSE_ID, "the ID's subnet mask has holes");
	return 0;
}

int moat_quick_id_parse(struct moat_view body, struct moat_range *range,
			uint8_t *protocol, uint16_t *port, struct moat_refusal *no)
{
	struct moat_id id;
	size_t len = 4;

	if (moat_id_parse(body, &id, no))
		return -1;
	if (id.type == MOAT_ID_IPV6_ADDR || id.type == MOAT_ID_IPV6_SUBNET ||
	    id.type == MOAT_ID_IPV6_RANGE)
		len = 16;
	else if (id.type != MOAT_ID_IPV4_ADDR && id.type != MOAT_ID_IPV4_SUBNET &&
		 id.type != MOAT_ID_IPV4_RANGE)
		return moat_refuse(no, MOAT_REFUSE_ID, "an ID of type %s is no network",
				   moat_id_type_name(id.type));
	memset(range, 0, sizeof(*range));
	range->first.len = (uint8_t)len;
	memcpy(range->first.bytes, id.data.data, len);
	range->last = range->first;
	*protocol = id.protocol;
	*port = id.port;
	if (id.type == MOAT_ID_IPV4_SUBNET || id.type == MOAT_ID_IPV6_SUBNET)
		return from_mask(range, id.data.data + len, no);
	if (id.type == MOAT_ID_IPV4_RANGE || id.type == MOAT_ID_IPV6_RANGE)
		memcpy(range->last.bytes, id.data.data + len, len);
	if (memcmp(range->first.bytes, range->last.bytes, len) > 0)
		return moat_refuse(no, MOAT_REFUSE_ID,
				   "the ID's range ends before it begins");
	return 0;
}
