// SPDX-License-Identifier: GPL-2.0-or-later
/* What tunnels have carried: each packet once, however many SAs it went through. */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "io/io.h"

static void add(struct moat_totals *totals, uint8_t protocol, uint32_t bundle)
{
	struct moat_ipc info = { .sa_info = { .packets = 7, .bytes = 700 } };

	info.sa_info.sa.direction = MOAT_DIRECTION_OUT;
	info.sa_info.sa.protocol = protocol;
	info.sa_info.bundle = bundle;
	info.sa_info.drops.n = 1;
	info.sa_info.drops.list[0].value = 1;
	moat_totals_add(totals, &info);
}

/* AH over ESP carries it twice, and each of the two drops its own. */
static void bundles(void **state)
{
	struct moat_totals totals = { .drops = 0 };

	(void)state;
	add(&totals, IPPROTO_AH, 9);
	add(&totals, IPPROTO_ESP, 9);
	assert_int_equal(totals.packets[1], 7);
	assert_int_equal(totals.bytes[1], 700);
	assert_int_equal(totals.drops, 2);
	add(&totals, IPPROTO_ESP, 0);
	add(&totals, IPPROTO_AH, 0);
	assert_int_equal(totals.packets[1], 21);
	assert_int_equal(totals.packets[0], 0);
	json_decref(totals.reasons);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bundles),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
