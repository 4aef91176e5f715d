// SPDX-License-Identifier: GPL-2.0-or-later
/* Configuration given as text. */
#include "config_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

void read_text(struct moat_config *config, struct moat_mistakes *mistakes,
	       const char *name, const char *text, size_t len)
{
	FILE *file = fmemopen((void *)text, len, "r");

	assert_non_null(file);
	moat_config_read(config, file, name, mistakes);
	fclose(file);
}

void read_certified(struct moat_config *config, struct moat_mistakes *mistakes,
		    const char *text)
{
	config->dir = "selftests/certs";
	read_text(config, mistakes, "moat.conf", text, strlen(text));
	moat_config_finish(config, mistakes);
}

void expect_certified(const char *text, const char *mistake, const char *warning)
{
	struct moat_config config = { 0 };
	struct moat_mistakes mistakes = { 0 };

	read_certified(&config, &mistakes, text);
	assert_string_equal(mistakes.n ? mistakes.list[0] : "none", mistake);
	assert_string_equal(mistakes.n_warnings ? mistakes.warnings[0] : "none", warning);
	assert_true(mistakes.n <= 1);
	moat_config_free(&config);
	moat_mistakes_free(&mistakes);
}

void expect_none(const struct moat_mistakes *mistakes)
{
	for (unsigned int i = 0; i < mistakes->n; i++)
		print_error("%s\n", mistakes->list[i]);
	assert_int_equal(mistakes->n, 0);
}

void expect_mistakes(const char *text, const char *const *expected)
{
	struct moat_config config = { 0 };
	struct moat_mistakes mistakes = { 0 };
	unsigned int n = 0;

	read_text(&config, &mistakes, "moat.conf", text, strlen(text));
	moat_config_finish(&config, &mistakes);
	for (; n < mistakes.n && expected[n]; n++)
		assert_string_equal(mistakes.list[n], expected[n]);
	if (n < mistakes.n)
		fail_msg("not expected: %s", mistakes.list[n]);
	if (expected[n])
		fail_msg("missing: %s", expected[n]);
	moat_config_free(&config);
	moat_mistakes_free(&mistakes);
}
