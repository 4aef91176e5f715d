// SPDX-License-Identifier: GPL-2.0-or-later
/* Requests of the control protocol: good ones, and every kind of damage. */
#include "priv/request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static bool parse(const char *line, struct moat_request *request, char why[256])
{
	return moat_request_parse(line, strlen(line), request, why, 256);
}

static void test_good(void **state)
{
	struct moat_request request;
	char why[256];

	(void)state;
	assert_true(parse("{\"command\":\"status\"}", &request, why));
	assert_int_equal(request.command, MOAT_REQUEST_STATUS);
	assert_true(parse("{\"command\":\"up\",\"tunnel\":\"branch\",\"wait\":true}",
			  &request, why));
	assert_int_equal(request.command, MOAT_REQUEST_UP);
	assert_string_equal(request.tunnel, "branch");
	assert_true(request.wait);
	assert_true(parse("{\"tunnel\":\"b\",\"command\":\"down\"}", &request, why));
	assert_int_equal(request.command, MOAT_REQUEST_DOWN);
	assert_false(request.wait);
}

static void expect(const char *line, size_t len, const char *text)
{
	struct moat_request request;
	char why[256] = "";

	assert_false(moat_request_parse(line, len, &request, why, sizeof(why)));
	if (!strstr(why, text))
		fail_msg("\"%s\" does not say \"%s\"", why, text);
}

#define EXPECT(line, text) expect(line, sizeof(line) - 1, text)

static void test_damaged(void **state)
{
	static char longest[MOAT_REQUEST_MAX + 1];
	char deep[MOAT_REQUEST_MAX];

	(void)state;
	EXPECT("", "no JSON object");
	EXPECT("{", "no JSON object");
	EXPECT("[]", "no JSON object");
	EXPECT("5", "no JSON object");
	EXPECT("\xff\xfe", "no JSON object");
	EXPECT("{\"command\":\"status\"}x", "no JSON object");
	EXPECT("{\"command\":\"status\",\"command\":\"up\"}", "no JSON object");
	EXPECT("{\"command\":\"status\0\"}", "no JSON object");
	EXPECT("{}", "no command");
	EXPECT("{\"command\":7}", "no command");
	EXPECT("{\"command\":\"format\"}", "does not know this command");
	EXPECT("{\"command\":\"up\"}", "no tunnel");
	EXPECT("{\"command\":\"up\",\"tunnel\":[]}", "no tunnel");
	EXPECT("{\"command\":\"up\",\"tunnel\":\"a\\u0000b\"}", "no JSON object");
	EXPECT("{\"command\":\"up\",\"tunnel\":\"0123456789012345678901234567890123456789"
	       "012345678901234567890123\"}",
	       "cannot be the name");
	EXPECT("{\"command\":\"up\",\"tunnel\":\"b\",\"wait\":1}", "neither true nor");
	memset(longest, ' ', sizeof(longest));
	expect(longest, sizeof(longest), "more than");
	memset(deep, '[', sizeof(deep));
	expect(deep, sizeof(deep), "no JSON object");
}

/* Each prefix, and each single octet changed: no crash, and a reason or sense. */
static void test_every_octet(void **state)
{
	static const char good[] = "{\"command\":\"up\",\"tunnel\":\"t\",\"wait\":true}";
	struct moat_request request;
	char line[sizeof(good)], why[256];

	(void)state;
	for (size_t len = 0; len < sizeof(good) - 1; len++)
		expect(good, len, "");
	for (size_t i = 0; i < sizeof(good) - 1; i++) {
		for (unsigned int octet = 0; octet < 256; octet++) {
			memcpy(line, good, sizeof(good));
			line[i] = octet;
			why[0] = '\0';
			if (!moat_request_parse(line, sizeof(good) - 1, &request, why,
						sizeof(why)))
				assert_true(why[0]);
			else
				assert_true(strlen(request.tunnel) <=
					    MOAT_TUNNEL_NAME_MAX);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_every_octet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
