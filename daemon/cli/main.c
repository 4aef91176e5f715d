// SPDX-License-Identifier: GPL-2.0-or-later
/* moat: the table of commands, and the way to one of them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli/control.h"

#define RUNDIR "/run/moat"

static int run_version(const struct moat_cli *cli, int argc, char **argv)
{
	struct moat_args args = { .argc = argc, .argv = argv };
	char module[64] = "";
	FILE *f = fopen("/sys/module/moat/version", "re");
	json_t *doc;

	moat_args_end(&args);
	if (f && fgets(module, sizeof(module), f))
		module[strcspn(module, "\n")] = 0;
	if (f)
		fclose(f);
	if (!cli->json) {
		printf("moat %s\nmodule %s\n", MOAT_VERSION,
		       module[0] ? module : "not loaded");
		return MOAT_EXIT_DONE;
	}
	doc = moat_json_document();
	json_object_set_new(doc, "version", json_string(MOAT_VERSION));
	json_object_set_new(doc, "module", module[0] ? json_string(module) : json_null());
	return moat_json_print(doc);
}

static const struct moat_command show_commands[] = {
	{ "isakmp", "", "phase 1: ISAKMP SAs and their states", moat_cli_isakmp, NULL },
	{ "ipsec", "", "phase 2: tunnels, their networks and SAs", moat_cli_ipsec, NULL },
	{ "policies", "", "policies of the kernel, implicit ones first",
	  moat_cli_policies, NULL },
	{ "failures", "", "the last failures, with their reasons", moat_cli_failures,
	  NULL },
	{ "crypto", NULL, "isakmp sa or ipsec sa, as routers of Cisco print them", NULL,
	  moat_crypto_commands },
	{ "counters", "", "the kernel's counters of this network namespace",
	  moat_cli_counters, NULL },
	{ 0 },
};

static const struct moat_command commands[] = {
	{ "up", "NAME [--wait[=SECONDS]]", "build a tunnel", moat_cli_up, NULL },
	{ "down", "NAME [--wait[=SECONDS]]", "take a tunnel down", moat_cli_down, NULL },
	{ "clear", "NAME", "end a tunnel's SAs; traffic builds new ones", moat_cli_clear,
	  NULL },
	{ "rekey", "NAME", "replace a tunnel's SAs now, without a gap", moat_cli_rekey,
	  NULL },
	{ "status", "", "tunnels and their SAs; QM_IDLE means healthy", moat_cli_status,
	  NULL },
	{ "reload", "", "read the configuration again", moat_cli_reload, NULL },
	{ "trace", "", "the messages of IKE as they come and go", moat_cli_trace, NULL },
	{ "monitor", "", "events as JSON lines, for scripts", moat_cli_monitor, NULL },
	{ "keylog", "on|off", "write keys for Wireshark; whoever has them reads all",
	  moat_cli_keylog, NULL },
	{ "check", "[-c DIR]", "read the configuration, change nothing", moat_cli_check,
	  NULL },
	{ "genpsk", "[REMOTE]", "a random secret, as secrets.conf wants it",
	  moat_cli_genpsk, NULL },
	{ "metrics", "", "totals and states, for Prometheus", moat_cli_metrics, NULL },
	{ "show", NULL, "one view", NULL, show_commands },
	{ "why", "SRC DST [PROTOCOL [PORT | TYPE [CODE]]] [mark MARK]",
	  "what would happen to a packet", moat_cli_why, NULL },
	{ "sa", NULL, "security associations with manual keys", NULL, moat_sa_commands },
	{ "policy", NULL, "policies of the kernel", NULL, moat_policy_commands },
	{ "version", "", "version of this program and of the loaded module", run_version,
	  NULL },
	{ 0 },
};

static void print_usage(FILE *out, const struct moat_command *table, const char *path)
{
	fprintf(out, "usage: moat [-r RUNDIR] [--json]%s COMMAND …\n", path);
	for (; table->name; table++) {
		const char *words = table->usage ? table->usage : "...";
		int width;

		width = fprintf(out, "  %s%s%s", table->name, words[0] ? " " : "", words);
		if (width > 34) {
			fputc('\n', out);
			width = 0;
		}
		fprintf(out, "%*s%s\n", 36 - width, "", table->help);
	}
}

/* The command that @word names or begins; ends the program when none or several. */
static const struct moat_command *find(const struct moat_command *table, const char *path,
				       const char *word)
{
	const struct moat_command *found = NULL;

	if (!*word)
		moat_usage("moat%s: the command is an empty word; moat%s help lists them",
			   path, path);
	for (; table->name; table++) {
		if (strncmp(table->name, word, strlen(word)))
			continue;
		if (!strcmp(table->name, word))
			return table;
		if (found)
			moat_usage("moat%s %s: is that %s or %s?", path, word,
				   found->name, table->name);
		found = table;
	}
	if (!found)
		moat_usage("moat%s: no command %s; moat%s help lists them", path, word,
			   path);
	return found;
}

/* "help up", "up help", "help sa add" */
static int explain(const struct moat_command *table, const char *path, int argc,
		   char **argv)
{
	const struct moat_command *command = find(table, path, argv[0]);
	char deeper[128];

	snprintf(deeper, sizeof(deeper), "%s %s", path, command->name);
	if (command->sub && argc > 1)
		return explain(command->sub, deeper, argc - 1, argv + 1);
	if (command->sub)
		print_usage(stdout, command->sub, deeper);
	else
		printf("usage: moat%s %s\n%s\n", deeper, command->usage, command->help);
	return MOAT_EXIT_DONE;
}

/**
 * moat_cli_dispatch() - find the command that the words name, and run it
 * @cli: options
 * @table: commands, ended by an empty row
 * @path: the words before, each with a space before it, for messages
 * @argc: number of words
 * @argv: the words
 *
 * Return: enum moat_exit
 */
int moat_cli_dispatch(const struct moat_cli *cli, const struct moat_command *table,
		      const char *path, int argc, char **argv)
{
	const struct moat_command *command;
	char deeper[128];

	if (argc < 1) {
		print_usage(stderr, table, path);
		return MOAT_EXIT_USAGE;
	}
	if (!strcmp(argv[0], "help") || !strcmp(argv[0], "--help") ||
	    !strcmp(argv[0], "-h")) {
		if (argc > 1)
			return explain(table, path, argc - 1, argv + 1);
		print_usage(stdout, table, path);
		return MOAT_EXIT_DONE;
	}
	command = find(table, path, argv[0]);
	snprintf(deeper, sizeof(deeper), "%s %s", path, command->name);
	if (command->sub)
		return moat_cli_dispatch(cli, command->sub, deeper, argc - 1, argv + 1);
	if (argc > 1 && (!strcmp(argv[1], "help") || !strcmp(argv[1], "--help")))
		return explain(table, path, 1, argv);
	/* Without the words that it cannot do without: what they are. */
	if (argc == 1 && command->usage[0] && command->usage[0] != '[') {
		fprintf(stderr, "usage: moat%s %s\n%s\n", deeper, command->usage,
			command->help);
		return MOAT_EXIT_USAGE;
	}
	return command->run(cli, argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
	struct moat_cli cli = { .rundir = RUNDIR };
	static char version[] = "version";
	int i, n = 0;

	/* --json may stand anywhere, the rest of the options before the command */
	for (i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--json"))
			cli.json = true;
		else if (n == 0 && !strcmp(argv[i], "-r") && i + 1 < argc)
			cli.rundir = argv[++i];
		else if (n == 0 &&
			 (!strcmp(argv[i], "--version") || !strcmp(argv[i], "-V")))
			argv[n++] = version;
		else if (n == 0 && argv[i][0] == '-' && strcmp(argv[i], "--help") &&
			 strcmp(argv[i], "-h"))
			moat_usage("moat: no option %s (or it wants a value); moat help "
				   "lists them",
				   argv[i]);
		else
			argv[n++] = argv[i];
	}
	return moat_cli_dispatch(&cli, commands, "", n, argv);
}
