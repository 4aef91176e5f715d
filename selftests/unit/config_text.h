/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Configuration given as text, for tests of what reads it. */
#ifndef MOAT_TEST_CONFIG_TEXT_H
#define MOAT_TEST_CONFIG_TEXT_H

#include "priv/config.h"

/* The four lines that are enough, without the braces around them. */
#define ENOUGH                                            \
	"local = \"192.0.2.1\"\nremote = \"192.0.2.2\"\n" \
	"local-net = [ \"10.1.0.0/24\" ]\nremote-net = [ \"10.2.0.0/24\" ]\n"
/* A tunnel's block; what is appended stands in line 6. */
#define WITH(more) "tunnels = { branch = {\n" ENOUGH more "\n} }\n"

/** read_text() - as moat_config_read() of a file with this content */
void read_text(struct moat_config *config, struct moat_mistakes *mistakes,
	       const char *name, const char *text, size_t len);

/** read_certified() - the whole of moat.conf, with the files of selftests/certs */
void read_certified(struct moat_config *config, struct moat_mistakes *mistakes,
		    const char *text);

/**
 * expect_certified() - as read_certified(), for what it finds
 * @mistake: the only one, or "none"
 * @warning: the first one, or "none"
 */
void expect_certified(const char *text, const char *mistake, const char *warning);

/** expect_none() - fail with the mistakes, if there are some */
void expect_none(const struct moat_mistakes *mistakes);

/** expect_mistakes() - the whole list, in order; ends with NULL */
void expect_mistakes(const char *text, const char *const *expected);

#define EXPECT(text, ...) \
	expect_mistakes(text, (const char *const[]){ __VA_ARGS__, NULL })

#endif
