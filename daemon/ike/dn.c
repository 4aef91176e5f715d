// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A distinguished name (X.501) as text, in its order, as the configuration takes it:
 * for what the core says of peers that no certificate speaks for.
 */
#include <string.h>

#include "ike/algtable.h"
#include "ike/ike1.h"

#define SEQUENCE 0x30
#define SET	 0x31
#define OID	 0x06

/* Names of RFC 4514 section 3, and the one of mail; the first ones lead from the top. */
static const struct {
	const char *name;
	uint8_t len;
	uint8_t oid[10];
} parts[] = {
	{ "C", 3, { 0x55, 4, 6 } },
	{ "ST", 3, { 0x55, 4, 8 } },
	{ "L", 3, { 0x55, 4, 7 } },
	{ "O", 3, { 0x55, 4, 10 } },
	{ "OU", 3, { 0x55, 4, 11 } },
	{ "DC", 10, { 0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25 } },
	{ "CN", 3, { 0x55, 4, 3 } },
	{ "EMAIL", 9, { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1 } },
};

#define FROM_THE_TOP 6

/* Take one element off @in; its tag, or -1. */
static int take(struct moat_view *in, struct moat_view *out)
{
	size_t head = 2, len;

	if (in->len < 2)
		return -1;
	len = in->data[1];
	if (len & 0x80) {
		head += len & 0x7f;
		if (head > 4 || in->len < head)
			return -1;
		len = 0;
		for (size_t i = 2; i < head; i++)
			len = len << 8 | in->data[i];
	}
	if (in->len - head < len)
		return -1;
	*out = moat_view(in->data + head, len);
	len = *in->data;
	in->len -= (size_t)(out->data - in->data) + out->len;
	in->data = out->data + out->len;
	return (int)len;
}

static unsigned int part_of(struct moat_view oid)
{
	unsigned int i = 0;

	while (i < sizeof(parts) / sizeof(parts[0]) &&
	       !moat_view_equal(oid, moat_view(parts[i].oid, parts[i].len)))
		i++;
	return i;
}

static void print_value(struct moat_text *t, struct moat_view value)
{
	for (size_t i = 0; i < value.len; i++) {
		char c = (char)value.data[i];

		if (c < 0x20 || c >= 0x7f)
			c = '.';
		moat_text_add(t, "%s%c", strchr(",+\"\\<>;", c) ? "\\" : "", c);
	}
}

/* One attribute of a name; several in one SET are as parts of their own. */
static bool print_part(struct moat_text *t, struct moat_view set, bool first, bool last)
{
	struct moat_view pair, oid, value;

	while (set.len) {
		unsigned int part;

		if (take(&set, &pair) != SEQUENCE || take(&pair, &oid) != OID ||
		    take(&pair, &value) < 0)
			return false;
		part = part_of(oid);
		if (part == sizeof(parts) / sizeof(parts[0]))
			return false;
		/* Without it, it would be read the other way round. */
		if (first && !last && part >= FROM_THE_TOP)
			moat_text_add(t, "/");
		moat_text_add(t, "%s%s=", first ? "" : ",", parts[part].name);
		print_value(t, value);
		first = false;
	}
	return true;
}

bool moat_dn_print(struct moat_view der, char *buf, size_t size)
{
	struct moat_text t = { buf, size, 0 };
	struct moat_view name, set;
	bool first = true;

	if (take(&der, &name) != SEQUENCE || der.len || !name.len)
		return false;
	moat_text_add(&t, "dn:");
	for (; name.len; first = false) {
		if (take(&name, &set) != SET || !print_part(&t, set, first, !name.len))
			return false;
	}
	return true;
}
