// SPDX-License-Identifier: GPL-2.0-or-later
/* Identities of phase 2: what stands on the wire, and what is no network. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "ike/ike1.h"

/* RFC 2407 section 4.6.2: type, protocol, port, and what the type asks for. */
static const struct {
	const char *first, *last;
	uint8_t octets[4 + 8];
	size_t len;
} networks[] = {
	{ "10.1.2.3", "10.1.2.3", { 1, 6, 1, 187, 10, 1, 2, 3 }, 8 },
	{ "10.1.0.0", "10.1.1.255", { 4, 6, 1, 187, 10, 1, 0, 0, 255, 255, 254, 0 }, 12 },
	{ "10.1.0.1", "10.1.1.9", { 7, 6, 1, 187, 10, 1, 0, 1, 10, 1, 1, 9 }, 12 },
};

static void there_and_back(void **state)
{
	struct moat_range range, again;
	struct moat_refusal no;
	struct moat_blob body;
	uint8_t protocol;
	uint16_t port;

	(void)state;
	for (size_t i = 0; i < sizeof(networks) / sizeof(networks[0]); i++) {
		memset(&range, 0, sizeof(range));
		memset(&body, 0, sizeof(body));
		assert_true(moat_addr_parse(networks[i].first, &range.first));
		assert_true(moat_addr_parse(networks[i].last, &range.last));
		moat_quick_id_build(&range, 6, 443, &body);
		assert_int_equal(body.len, networks[i].len);
		assert_memory_equal(body.data, networks[i].octets, body.len);
		assert_int_equal(moat_quick_id_parse(moat_blob_view(&body), &again,
						     &protocol, &port, &no),
				 0);
		assert_memory_equal(&again, &range, sizeof(range));
		assert_int_equal(protocol, 6);
		assert_int_equal(port, 443);
		moat_blob_clear(&body);
	}
}

static void no_networks(void **state)
{
	static const struct {
		uint8_t octets[4 + 8];
		size_t len;
		const char *why;
	} cases[] = {
		{ { 4, 0, 0, 0, 10, 1, 0, 1, 255, 255, 255, 0 }, 12, "behind its mask" },
		{ { 4, 0, 0, 0, 10, 0, 0, 0, 255, 0, 255, 0 }, 12, "mask has holes" },
		{ { 7, 0, 0, 0, 10, 1, 0, 9, 10, 1, 0, 1 }, 12, "ends before it begins" },
		{ { 2, 0, 0, 0, 'a', '.', 'b' }, 7, "is no network" },
		{ { 4, 0, 0, 0, 10, 1, 0, 0 }, 8, "" },
		{ { 1, 0, 0, 0, 10, 1 }, 6, "" },
	};
	struct moat_range range;
	struct moat_refusal no;
	uint8_t protocol;
	uint16_t port;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(
			moat_quick_id_parse(moat_view(cases[i].octets, cases[i].len),
					    &range, &protocol, &port, &no),
			-1);
		assert_non_null(strstr(no.text, cases[i].why));
	}
}

/* An ID has room for one port: a range is written as any, and stays ours to check. */
static void one_port_or_any(void **state)
{
	static const uint16_t one[2] = { 443, 443 }, several[2] = { 1024, 65535 };

	(void)state;
	assert_int_equal(moat_quick_id_port(one), 443);
	assert_int_equal(moat_quick_id_port(several), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(no_networks),
		cmocka_unit_test(one_port_or_any),
	};

	return cmocka_run_group_tests_name("ids", tests, NULL, NULL);
}
