// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * moat trace: the messages of IKE as they come and go, with this side's states;
 * moat monitor: events as JSON lines.
 */
#include <stdio.h>
#include <string.h>

#include "cli/control.h"

static void print_row(const json_t *row)
{
	bool sent = json_is_true(json_object_get(row, "sent"));
	const char *before = moat_field(row, "before"), *after = moat_field(row, "after");
	const char *tunnel = moat_field(row, "tunnel");
	char label[128];

	if (!strcmp(moat_field(row, "type"), "state"))
		printf("%s %-12s %70s %s -> %s\n", moat_field(row, "at"),
		       tunnel[0] ? tunnel : "-", "", before, after);
	if (strcmp(moat_field(row, "type"), "message"))
		return;
	snprintf(label, sizeof(label), "%s %lld: %s%s", moat_field(row, "exchange"),
		 (long long)moat_field_number(row, "number"), moat_field(row, "payloads"),
		 json_is_true(json_object_get(row, "repeated")) ? " (again)" : "");
	printf("%s %-12s %s %-44s %s %-20s", moat_field(row, "at"),
	       tunnel[0] ? tunnel : "-", sent ? "--" : "<-", label, sent ? "->" : "--",
	       moat_field(row, "remote"));
	if (strcmp(before, after))
		printf(" %s -> %s\n", before, after);
	else
		printf(" %s\n", after);
}

/* Line after line, until interrupted. */
static int follow(const struct moat_cli *cli, const char *command, bool json, int argc,
		  char **argv)
{
	struct moat_args args = { .argc = argc, .argv = argv };
	struct moat_control control;
	int status;

	moat_args_end(&args);
	status = moat_control_open(&control, cli, json_pack("{s:s}", "command", command),
				   MOAT_PATIENCE);
	while (!status) {
		json_t *row;

		status = moat_control_read(&control, &row);
		moat_control_follow(&control);
		if (!status && json) {
			json_dumpf(row, stdout, JSON_COMPACT);
			putchar('\n');
		} else if (!status) {
			print_row(row);
		}
		/* Whoever watches wants to see it now. */
		if (fflush(stdout))
			status = MOAT_EXIT_FAILED;
		json_decref(row);
	}
	moat_control_close(&control);
	return status;
}

/** moat_cli_trace() - moat trace: until interrupted */
int moat_cli_trace(const struct moat_cli *cli, int argc, char **argv)
{
	return follow(cli, "trace", cli->json, argc, argv);
}

/** moat_cli_monitor() - moat monitor: likewise */
int moat_cli_monitor(const struct moat_cli *cli, int argc, char **argv)
{
	return follow(cli, "monitor", true, argc, argv);
}
