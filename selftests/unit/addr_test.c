// SPDX-License-Identifier: GPL-2.0-or-later
/* Addresses and networks: text to values and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "ike/addr.h"

static void same_again(void **state)
{
	static const char *const texts[] = {
		"0.0.0.0/0",	  "10.1.0.0/24",     "10.1.0.0/25",
		"192.0.2.1",	  "255.255.255.255", "::/0",
		"2001:db8::/32",  "fd00::/127",	     "::1",
		"2001:db8::ffff",
	};
	char buf[2 * MOAT_ADDR_STRLEN];
	struct moat_range range;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_null(moat_range_parse(texts[i], &range));
		assert_string_equal(moat_range_str(&range, buf), texts[i]);
	}
}

static void refused(void **state)
{
	static const char *const texts[] = {
		"",
		"10.1.0.0/33",
		"10.1.0.1/24",
		"10.1.0.0/",
		"10.1.0.0/ 24",
		"10.1.0.0/-1",
		"10.1.0/24",
		"10.1.0.0/24x",
		"10.1.0.0/24/8",
		"fd00::/129",
		"fd00::1/64",
		"host",
		"10.1.0.0/+8",
		"/24",
		"10.1.0.0/0024",
	};
	struct moat_range range;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_non_null(moat_range_parse(texts[i], &range));
}

static struct moat_range range_of(const char *first, const char *last)
{
	struct moat_range range;

	assert_true(moat_addr_parse(first, &range.first));
	assert_true(moat_addr_parse(last, &range.last));
	return range;
}

static void prefixes(void **state)
{
	struct moat_range r = range_of("10.1.0.1", "10.1.0.9");
	char buf[2 * MOAT_ADDR_STRLEN];

	(void)state;
	assert_int_equal(moat_range_prefix(&r), -1);
	assert_string_equal(moat_range_str(&r, buf), "10.1.0.1-10.1.0.9");
	r = range_of("10.1.0.0", "10.1.0.255");
	assert_int_equal(moat_range_prefix(&r), 24);
	r = range_of("10.1.0.0", "10.1.1.254");
	assert_int_equal(moat_range_prefix(&r), -1);
	r = range_of("10.1.0.1", "fd00::");
	assert_int_equal(moat_range_prefix(&r), -1);
}

static void within(void **state)
{
	struct moat_range all;
	struct moat_range net;
	struct moat_range host;
	struct moat_range other;

	(void)state;
	assert_null(moat_range_parse("0.0.0.0/0", &all));
	assert_null(moat_range_parse("10.1.0.0/24", &net));
	assert_null(moat_range_parse("10.1.0.255", &host));
	assert_null(moat_range_parse("::/0", &other));
	assert_true(moat_range_within(&net, &all));
	assert_true(moat_range_within(&net, &net));
	assert_true(moat_range_within(&host, &net));
	assert_false(moat_range_within(&all, &net));
	assert_false(moat_range_within(&net, &host));
	assert_false(moat_range_within(&net, &other));
	assert_false(moat_range_equal(&net, &host));
	assert_true(moat_range_equal(&net, &net));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_again),
		cmocka_unit_test(refused),
		cmocka_unit_test(prefixes),
		cmocka_unit_test(within),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
