// SPDX-License-Identifier: GPL-2.0-or-later
#include "data.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	fail_msg("'%c' is no hexadecimal digit", c);
	return -1;
}

struct data data_hex(const char *hex)
{
	struct data d = { .len = 0 };

	while (*hex) {
		if (*hex == ' ') {
			hex++;
			continue;
		}
		assert_true(d.len < DATA_MAX);
		d.octets[d.len++] = (uint8_t)(digit(hex[0]) << 4 | digit(hex[1]));
		hex += 2;
	}
	return d;
}

struct moat_view data_view(const struct data *d)
{
	return moat_view(d->octets, d->len);
}

json_t *data_load(const char *name)
{
	char path[256];
	json_error_t err;
	json_t *array;

	snprintf(path, sizeof(path), "selftests/unit/vectors/%s", name);
	array = json_load_file(path, 0, &err);
	if (!array)
		fail_msg("%s: %s", path, err.text);
	assert_true(json_array_size(array) > 0);
	return array;
}

const char *data_string(const json_t *vector, const char *field)
{
	const char *s = json_string_value(json_object_get(vector, field));

	if (!s)
		fail_msg("a vector lacks \"%s\"", field);
	return s;
}

struct data data_field(const json_t *vector, const char *field)
{
	return data_hex(data_string(vector, field));
}
