// SPDX-License-Identifier: GPL-2.0-or-later
/* Who gives way when the control socket is full. */
#include "priv/crowd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define N(seats) (sizeof(seats) / sizeof((seats)[0]))

static void test_oldest_idle_one(void **state)
{
	static const struct moat_seat seats[] = {
		{ 0, false, 30 }, { 0, true, 1 }, { 0, false, 20 }, { 0, false, 40 }
	};

	(void)state;
	assert_int_equal(moat_crowd_victim(seats, N(seats), 0), 2);
}

static void test_of_whoever_has_the_most(void **state)
{
	static const struct moat_seat seats[] = {
		{ 7, false, 10 }, { 9, false, 30 }, { 9, false, 20 }, { 9, false, 40 }
	};

	(void)state;
	assert_int_equal(moat_crowd_victim(seats, N(seats), 0), 2);
	assert_int_equal(moat_crowd_victim(seats, N(seats), 7), 2);
}

/* One user's watchers do not keep others out, and not by being renewed either. */
static void test_busy_ones_of_others(void **state)
{
	static const struct moat_seat seats[] = {
		{ 9, true, 30 }, { 9, true, 20 }, { 7, true, 10 }, { 9, true, 40 }
	};

	(void)state;
	assert_int_equal(moat_crowd_victim(seats, N(seats), 0), 1);
	assert_int_equal(moat_crowd_victim(seats, N(seats), 7), 1);
	assert_int_equal(moat_crowd_victim(seats, N(seats), 9), -1);
}

static void test_equal_shares(void **state)
{
	static const struct moat_seat seats[] = {
		{ 9, true, 30 }, { 7, true, 20 }, { 9, true, 10 }, { 7, true, 40 }
	};
	static const struct moat_seat one_idle[] = {
		{ 9, true, 30 }, { 7, false, 50 }, { 9, true, 10 }, { 7, true, 40 }
	};

	(void)state;
	assert_int_equal(moat_crowd_victim(seats, N(seats), 7), -1);
	/* with the new one it would have as many as the other: that is no more than fair */
	assert_int_equal(moat_crowd_victim(seats, N(seats) - 1, 7), -1);
	assert_int_equal(moat_crowd_victim(one_idle, N(one_idle), 9), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_oldest_idle_one),
		cmocka_unit_test(test_of_whoever_has_the_most),
		cmocka_unit_test(test_busy_ones_of_others),
		cmocka_unit_test(test_equal_shares),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
