// SPDX-License-Identifier: GPL-2.0-or-later
/* Addresses, endpoints, networks and selectors as plain values. */
#include "ike/addr.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *moat_addr_str(const struct moat_addr *addr, char buf[MOAT_ADDR_STRLEN])
{
	int family = addr->len == 4 ? AF_INET : AF_INET6;

	if (addr->len != 4 && addr->len != 16)
		snprintf(buf, MOAT_ADDR_STRLEN, "any");
	else if (!inet_ntop(family, addr->bytes, buf, MOAT_ADDR_STRLEN))
		snprintf(buf, MOAT_ADDR_STRLEN, "?");
	return buf;
}

bool moat_addr_parse(const char *text, struct moat_addr *addr)
{
	memset(addr, 0, sizeof(*addr));
	if (inet_pton(AF_INET, text, addr->bytes) == 1)
		addr->len = 4;
	else if (inet_pton(AF_INET6, text, addr->bytes) == 1)
		addr->len = 16;
	else
		memset(addr, 0, sizeof(*addr));
	return addr->len != 0;
}

/* Clear or set all bits of @addr behind the first @prefix ones. */
static void fill_host_bits(struct moat_addr *addr, unsigned int prefix, bool ones)
{
	for (unsigned int bit = prefix; bit < addr->len * 8u; bit++) {
		uint8_t mask = 0x80 >> (bit % 8);

		if (ones)
			addr->bytes[bit / 8] |= mask;
		else
			addr->bytes[bit / 8] &= ~mask;
	}
}

static bool prefix_parse(const char *text, unsigned int max, unsigned int *prefix)
{
	unsigned long value;
	char *end;

	if (*text < '0' || *text > '9' || strlen(text) > 3)
		return false;
	value = strtoul(text, &end, 10);
	if (*end || value > max)
		return false;
	*prefix = value;
	return true;
}

const char *moat_range_parse(const char *text, struct moat_range *range)
{
	char address[MOAT_ADDR_STRLEN];
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	struct moat_addr first;
	unsigned int prefix;

	if (len >= sizeof(address))
		return "too long for an address";
	memcpy(address, text, len);
	address[len] = '\0';
	if (!moat_addr_parse(address, &first))
		return "not an IPv4 or IPv6 network such as 10.1.0.0/24";
	prefix = first.len * 8u;
	if (slash && !prefix_parse(slash + 1, prefix, &prefix))
		return first.len == 4 ? "the prefix length must be 0 to 32"
				      : "the prefix length must be 0 to 128";
	range->first = first;
	range->last = first;
	fill_host_bits(&range->first, prefix, false);
	fill_host_bits(&range->last, prefix, true);
	if (!moat_addr_equal(&range->first, &first))
		return "bits behind the prefix are set; they must be zero";
	return NULL;
}

int moat_range_prefix(const struct moat_range *range)
{
	struct moat_addr low = range->first;
	struct moat_addr high = range->first;
	unsigned int prefix = 0;

	if (range->first.len != range->last.len || !range->first.len)
		return -1;
	while (prefix < range->first.len * 8u) {
		uint8_t mask = 0x80 >> (prefix % 8);
		uint8_t differ =
			range->first.bytes[prefix / 8] ^ range->last.bytes[prefix / 8];

		if (differ & mask)
			break;
		prefix++;
	}
	fill_host_bits(&low, prefix, false);
	fill_host_bits(&high, prefix, true);
	if (!moat_addr_equal(&low, &range->first) ||
	    !moat_addr_equal(&high, &range->last))
		return -1;
	return prefix;
}

const char *moat_range_str(const struct moat_range *range, char buf[2 * MOAT_ADDR_STRLEN])
{
	char first[MOAT_ADDR_STRLEN];
	char last[MOAT_ADDR_STRLEN];
	int prefix = moat_range_prefix(range);

	moat_addr_str(&range->first, first);
	moat_addr_str(&range->last, last);
	if (prefix < 0)
		snprintf(buf, 2 * MOAT_ADDR_STRLEN, "%s-%s", first, last);
	else if (prefix == range->first.len * 8)
		snprintf(buf, 2 * MOAT_ADDR_STRLEN, "%s", first);
	else
		snprintf(buf, 2 * MOAT_ADDR_STRLEN, "%s/%d", first, prefix);
	return buf;
}

bool moat_range_within(const struct moat_range *inner, const struct moat_range *outer)
{
	size_t len = outer->first.len;

	if (inner->first.len != len || inner->last.len != len || outer->last.len != len)
		return false;
	return memcmp(inner->first.bytes, outer->first.bytes, len) >= 0 &&
	       memcmp(inner->last.bytes, outer->last.bytes, len) <= 0;
}

bool moat_addr_equal(const struct moat_addr *a, const struct moat_addr *b)
{
	return a->len == b->len && !memcmp(a->bytes, b->bytes, a->len);
}

bool moat_endpoint_equal(const struct moat_endpoint *a, const struct moat_endpoint *b)
{
	return a->port == b->port && moat_addr_equal(&a->addr, &b->addr);
}

bool moat_range_equal(const struct moat_range *a, const struct moat_range *b)
{
	return moat_addr_equal(&a->first, &b->first) &&
	       moat_addr_equal(&a->last, &b->last);
}

int moat_selector_compare(const struct moat_selector *a, const struct moat_selector *b)
{
	int d = memcmp(&a->local, &b->local, sizeof(a->local));

	if (!d)
		d = memcmp(&a->remote, &b->remote, sizeof(a->remote));
	if (!d)
		d = a->protocol - b->protocol;
	if (!d)
		d = memcmp(a->local_port, b->local_port, sizeof(a->local_port));
	if (!d)
		d = memcmp(a->remote_port, b->remote_port, sizeof(a->remote_port));
	return d;
}
