// SPDX-License-Identifier: GPL-2.0-or-later
/* The programs, asked from a shell: what they say when words are missing or wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "linux/moat.h"

/* Where moat and moatd lie: two folders above this program's. */
static char build[4096];

/* Both outputs of a command, in one. */
static void says(const char *command, int status, const char *text)
{
	char line[sizeof(build) + 256], output[8192];
	size_t len;
	FILE *pipe;
	int ended;

	snprintf(line, sizeof(line), "%s/%s 2>&1 </dev/null", build, command);
	pipe = popen(line, "r");
	assert_non_null(pipe);
	len = fread(output, 1, sizeof(output) - 1, pipe);
	output[len] = '\0';
	ended = pclose(pipe);
	if (!WIFEXITED(ended) || WEXITSTATUS(ended) != status || !strstr(output, text))
		fail_msg("%s: status %d: %s", command, ended, output);
}

static void test_moat(void **state)
{
	(void)state;
	says("moat", 2, "usage: moat");
	says("moat --help", 0, "usage: moat");
	says("moat --version", 0, "moat " MOAT_VERSION);
	says("moat -V", 0, "moat " MOAT_VERSION);
	says("moat --json --version", 0, "\"version\": \"" MOAT_VERSION "\"");
	says("moat --nonsense", 2, "no option --nonsense");
}

static void test_missing_words(void **state)
{
	(void)state;
	says("moat why", 2, "usage: moat why SRC DST [PROTOCOL");
	says("moat why 10.1.0.1", 2, "destination");
	says("moat up", 2, "usage: moat up NAME");
	says("moat keylog", 2, "usage: moat keylog on|off");
	says("moat policy add", 2, "usage: moat policy add id ID");
}

static void test_moatd(void **state)
{
	(void)state;
	says("moatd --help", 0, "usage: moatd [-c DIR] [-r RUNDIR]");
	says("moatd -h", 0, "usage: moatd [-c DIR] [-r RUNDIR]");
	says("moatd --version", 0, "moatd " MOAT_VERSION);
	says("moatd --nonsense", 2, "usage: moatd");
	says("moatd nonsense", 2, "usage: moatd");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_moat),
		cmocka_unit_test(test_missing_words),
		cmocka_unit_test(test_moatd),
	};
	char *end;

	(void)argc;
	snprintf(build, sizeof(build), "%s", argv[0]);
	for (unsigned int i = 0; i < 3; i++) {
		end = strrchr(build, '/');
		if (!end)
			return 1;
		*end = '\0';
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
