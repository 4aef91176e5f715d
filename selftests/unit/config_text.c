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

void expect_none(const struct moat_mistakes *mistakes)
{
	for (unsigned int i = 0; i < mistakes->n; i++)
		print_error("%s\n", mistakes->list[i]);
	assert_int_equal(mistakes->n, 0);
}
