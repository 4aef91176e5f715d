// SPDX-License-Identifier: GPL-2.0-or-later
/* The programs, asked from a shell: what they say when words are missing or wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/control.h"
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

/* A daemon that says this once to whoever connects to moat.sock in @dir. */
static pid_t answers(const char *dir, const char *answer)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), client;
	char request[256];
	pid_t pid;

	snprintf(name.sun_path, sizeof(name.sun_path), "%s/moat.sock", dir);
	unlink(name.sun_path);
	assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof(name)), 0);
	assert_int_equal(listen(fd, 1), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		client = accept(fd, NULL, NULL);
		_exit(read(client, request, sizeof(request)) <= 0 ||
		      write(client, answer, strlen(answer)) < 0);
	}
	close(fd);
	return pid;
}

static void shows(const char *what, const char *answer, const char *text)
{
	char dir[] = "/tmp/moat-cli-XXXXXX", command[128], path[64], line[2048];
	int status;
	pid_t pid;

	assert_non_null(mkdtemp(dir));
	snprintf(line, sizeof(line), "{\"schema_version\": %d, %s}\n", MOAT_JSON_SCHEMA,
		 answer);
	pid = answers(dir, line);
	snprintf(command, sizeof(command), "moat -r %s show %s", dir, what);
	says(command, 0, text);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	snprintf(path, sizeof(path), "%s/moat.sock", dir);
	unlink(path);
	rmdir(dir);
}

#define NETS "\"local_net\": \"10.1.0.0/24\", \"remote_net\": \"10.2.0.0/24\""
#define PAIR(more) \
	"\"tunnels\": [{\"name\": \"branch\", \"pairs\": [{" NETS ", " more "}]}]"
#define SA(protocol)                                                               \
	"{\"direction\": \"out\", \"protocol\": \"" protocol "\", \"bundle\": 7, " \
	"\"packets\": 5}"

static void test_views(void **state)
{
	(void)state;
	shows("failures", "\"failures\": []", "no failures\n");
	shows("crypto ipsec sa", PAIR("\"sas\": []"),
	      "local  ident (addr/prefix/prot/port): (10.1.0.0/24/0/0)\n"
	      "   remote ident (addr/prefix/prot/port): (10.2.0.0/24/0/0)\n");
	shows("crypto ipsec sa",
	      PAIR("\"ip_protocol\": 6, \"local_ports\": [443, 443], "
		   "\"remote_ports\": [1024, 65535]"),
	      "local  ident (addr/prefix/prot/port): (10.1.0.0/24/6/443)\n"
	      "   remote ident (addr/prefix/prot/port): (10.2.0.0/24/6/1024-65535)\n");
	/* AH and the ESP within have carried the same packets. */
	shows("crypto ipsec sa", PAIR("\"sas\": [" SA("ah") ", " SA("esp") "]"),
	      "#pkts encaps: 5, #pkts encrypt: 5\n");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_moat),
		cmocka_unit_test(test_missing_words),
		cmocka_unit_test(test_moatd),
		cmocka_unit_test(test_views),
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
