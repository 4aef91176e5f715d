// SPDX-License-Identifier: GPL-2.0-or-later
/* moatd: which of its processes this is. */
#include <getopt.h>
#include <linux/moat.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "priv/ipc.h"
#include "priv/log.h"
#include "priv/process.h"
#include "priv/supervisor.h"

static const struct {
	const char *name;
	int (*run)(const char *dir);
} processes[] = {
	{ "moatd: ike", moat_ike_process },
	{ "moatd: keys", moat_keys_process },
	{ "moatd: kernel", moat_kernel_process },
	{ "moatd: resolve", moat_resolve_process },
};

static int usage(FILE *out, int status)
{
	fprintf(out, "usage: moatd [-c DIR] [-r RUNDIR]\n"
		     "  -c DIR     configuration (default /etc/moat)\n"
		     "  -r RUNDIR  control socket (default /run/moat)\n"
		     "  --help     this; --version: which moatd it is\n"
		     "moatd stays in the foreground. `moat check -c DIR` reads the "
		     "configuration only.\n");
	return status;
}

int main(int argc, char **argv)
{
	static const struct option words[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ 0 },
	};
	const char *dir = "/etc/moat", *rundir = "/run/moat";
	int option;

	/* The supervisor starts the others by these names. */
	for (unsigned int i = 0; i < MOAT_PROCESSES && argc == 2; i++) {
		if (!strcmp(argv[0], processes[i].name)) {
			moat_log_channel(MOAT_SUPERVISOR_FD);
			return processes[i].run(argv[1]);
		}
	}
	while ((option = getopt_long(argc, argv, "c:r:hV", words, NULL)) != -1) {
		switch (option) {
		case 'c':
			dir = optarg;
			break;
		case 'r':
			rundir = optarg;
			break;
		case 'h':
			return usage(stdout, 0);
		case 'V':
			puts("moatd " MOAT_VERSION);
			return 0;
		default:
			return usage(stderr, 2);
		}
	}
	if (optind != argc)
		return usage(stderr, 2);
	return moat_supervisor_run(dir, rundir);
}
