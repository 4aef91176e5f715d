// SPDX-License-Identifier: GPL-2.0-or-later
/* moat up, down, clear, rekey, reload, keylog: what the running daemon shall do. */
#include <stdlib.h>
#include <string.h>

#include "cli/control.h"

/* As long as a peer may take that answers at all. */
#define WAIT_SECONDS 60

static unsigned int wait_seconds(const char *word)
{
	char *end;
	unsigned long seconds;

	if (!strcmp(word, "--wait"))
		return WAIT_SECONDS;
	if (strncmp(word, "--wait=", 7))
		moat_usage("moat: no option %s; --wait or --wait=SECONDS was expected",
			   word);
	seconds = strtoul(word + 7, &end, 10);
	if (word[7] < '0' || word[7] > '9' || *end || !seconds || seconds > 86400)
		moat_usage("moat: --wait=%s: seconds, 1 to 86400, were expected",
			   word + 7);
	return seconds;
}

static int ask_for_tunnel(const struct moat_cli *cli, const char *command, int argc,
			  char **argv)
{
	struct moat_control control;
	const char *name = NULL;
	unsigned int seconds = 0;
	json_t *answer = NULL;
	int status;

	for (int i = 0; i < argc; i++) {
		if (argv[i][0] == '-')
			seconds = wait_seconds(argv[i]);
		else if (!name)
			name = argv[i];
		else
			moat_usage("moat %s: one tunnel was expected", command);
	}
	if (!name)
		moat_usage("moat %s: which tunnel? moat status lists them", command);
	status = moat_control_open(&control, cli,
				   json_pack("{s:s, s:s, s:b}", "command", command,
					     "tunnel", name, "wait", seconds != 0),
				   seconds ? seconds : MOAT_PATIENCE);
	control.waits = seconds != 0;
	if (!status)
		status = moat_control_read(&control, &answer);
	moat_control_close(&control);
	if (!status && cli->json)
		return moat_json_print(answer);
	json_decref(answer);
	return status;
}

/** moat_cli_up() - moat up NAME [--wait[=SECONDS]] */
int moat_cli_up(const struct moat_cli *cli, int argc, char **argv)
{
	return ask_for_tunnel(cli, "up", argc, argv);
}

/** moat_cli_down() - moat down NAME [--wait[=SECONDS]] */
int moat_cli_down(const struct moat_cli *cli, int argc, char **argv)
{
	return ask_for_tunnel(cli, "down", argc, argv);
}

/** moat_cli_clear() - moat clear NAME */
int moat_cli_clear(const struct moat_cli *cli, int argc, char **argv)
{
	return ask_for_tunnel(cli, "clear", argc, argv);
}

/** moat_cli_rekey() - moat rekey NAME */
int moat_cli_rekey(const struct moat_cli *cli, int argc, char **argv)
{
	return ask_for_tunnel(cli, "rekey", argc, argv);
}

/** moat_cli_keylog() - moat keylog on|off */
int moat_cli_keylog(const struct moat_cli *cli, int argc, char **argv)
{
	struct moat_control control;
	json_t *answer = NULL;
	int status;
	bool on;

	if (argc != 1 || (strcmp(argv[0], "on") && strcmp(argv[0], "off")))
		moat_usage("moat keylog: on or off was expected");
	on = !strcmp(argv[0], "on");
	status = moat_control_open(&control, cli,
				   json_pack("{s:s, s:b}", "command", "keylog", "on", on),
				   MOAT_PATIENCE);
	if (!status)
		status = moat_control_read(&control, &answer);
	moat_control_close(&control);
	if (!status && cli->json)
		return moat_json_print(answer);
	if (!status && on)
		printf("keys of IKE and ESP go to %s/keylog, in Wireshark's format\n",
		       cli->rundir);
	json_decref(answer);
	return status;
}

/* Done, and there is more to be said: which tunnels, and what of them. */
static void print_outdated(const json_t *answer)
{
	const json_t *names = json_object_get(answer, "outdated");
	const json_t *name;
	size_t i;

	json_array_foreach(names, i, name)
		printf("%s%s", i ? ", " : "", json_string_value(name));
	if (json_array_size(names))
		printf(": %s\n", moat_field(answer, "text"));
}

/** moat_cli_reload() - moat reload */
int moat_cli_reload(const struct moat_cli *cli, int argc, char **argv)
{
	struct moat_args args = { .argc = argc, .argv = argv };
	json_t *answer;
	int status;

	moat_args_end(&args);
	status = moat_control_ask(cli, "reload", &answer);
	if (!status && cli->json)
		return moat_json_print(answer);
	if (!status)
		print_outdated(answer);
	json_decref(answer);
	return status;
}
