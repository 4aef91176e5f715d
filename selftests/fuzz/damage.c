// SPDX-License-Identifier: GPL-2.0-or-later
#include "damage.h"

#include <stdlib.h>
#include <string.h>

#include "wire/parse.h"

static uint64_t state;

uint64_t damage_setting(const char *name, uint64_t otherwise)
{
	const char *s = getenv(name);

	return s ? strtoull(s, NULL, 0) : otherwise;
}

void damage_start(void)
{
	state = damage_setting("MOAT_FUZZ_SEED", 0x6d6f6174);
}

/* xorshift64*; what matters is that it is the same everywhere. */
uint64_t damage_draw(void)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return state * 2685821657736338717ULL;
}

size_t damage_below(size_t limit)
{
	return limit ? (size_t)(damage_draw() >> 11) % limit : 0;
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

size_t damage(uint8_t *buf, size_t len, size_t size, const uint8_t *other,
	      size_t other_len)
{
	size_t at = damage_below(len);
	size_t count = least(1 + damage_below(16), len - at);
	size_t from;

	switch (damage_below(6)) {
	case 0:
		buf[at] ^= (uint8_t)(1 << damage_below(8));
		return len;
	case 1:
		buf[at] = (uint8_t)damage_draw();
		return len;
	case 2: /* drop some octets */
		memmove(buf + at, buf + at + count, len - at - count);
		return len - count;
	case 3: /* repeat some octets */
		if (count > size - len)
			return len;
		memmove(buf + at + count, buf + at, len - at);
		return len + count;
	case 4: /* octets of another message */
		from = damage_below(other_len);
		count = least(count, other_len - from);
		memcpy(buf + at, other + from, count);
		return len;
	default: /* a number that means something */
		if (at + 1 < len) {
			buf[at] = 0;
			buf[at + 1] = (uint8_t)damage_below(40);
		}
		return len;
	}
}

void damage_fix_length(uint8_t *data, size_t len)
{
	if (len >= MOAT_HDR_LEN)
		moat_set32(data + 24, (uint32_t)len);
}
