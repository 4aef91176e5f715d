/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The control socket as commands use it: JSON lines, see priv/request.h. */
#ifndef MOAT_CLI_CONTROL_H
#define MOAT_CLI_CONTROL_H

#include "cli/cli.h"

/*
 * Seconds until an answer that needs no peer is overdue. moatd: ike waits for
 * moatd: kernel for less than that, and answers without it then.
 */
#define MOAT_PATIENCE 20

/**
 * struct moat_control - a connection with moatd
 * @rundir: where its socket is
 * @seconds: how long an answer may take
 * @waits: for a peer, not for moatd alone
 */
struct moat_control {
	FILE *stream;
	const char *rundir;
	unsigned int seconds;
	bool waits;
};

/**
 * moat_control_open() - connect, and send one request
 * @control: result
 * @cli: options
 * @request: taken over
 * @seconds: how long to wait for an answer
 *
 * Return: MOAT_EXIT_DONE, or the exit status after a complaint.
 */
int moat_control_open(struct moat_control *control, const struct moat_cli *cli,
		      json_t *request, unsigned int seconds);

/**
 * moat_control_read() - read one answer
 * @answer: the document, the caller's; set too when moatd refused
 *
 * Return: MOAT_EXIT_DONE, or the exit status after a complaint.
 */
int moat_control_read(struct moat_control *control, json_t **answer);

/** moat_control_follow() - from now on lines may come as late as they like */
void moat_control_follow(struct moat_control *control);
void moat_control_close(struct moat_control *control);

/** moat_control_runs() - is there a moatd, and may we ask it? Without a complaint */
bool moat_control_runs(const struct moat_cli *cli);

/**
 * moat_control_ask() - one request, one answer
 * @command: its name
 * @answer: as of moat_control_read()
 */
int moat_control_ask(const struct moat_cli *cli, const char *command, json_t **answer);

/* Fields of answers; "" and 0 when there is none. */
const char *moat_field(const json_t *object, const char *name);
json_int_t moat_field_number(const json_t *object, const char *name);

/* daemon.c, status.c, crypto.c, trace.c, check.c, genpsk.c, metrics.c */
int moat_cli_up(const struct moat_cli *cli, int argc, char **argv);
int moat_cli_down(const struct moat_cli *cli, int argc, char **argv);
int moat_cli_clear(const struct moat_cli *cli, int argc, char **argv);
int moat_cli_rekey(const struct moat_cli *cli, int argc, char **argv);
int moat_cli_keylog(const struct moat_cli *cli, int argc, char **argv);
int moat_cli_monitor(const struct moat_cli *cli, int argc, char **argv);
int moat_cli_reload(const struct moat_cli *cli, int argc, char **argv);
int moat_cli_status(const struct moat_cli *cli, int argc, char **argv);
int moat_cli_isakmp(const struct moat_cli *cli, int argc, char **argv);
int moat_cli_ipsec(const struct moat_cli *cli, int argc, char **argv);
int moat_cli_failures(const struct moat_cli *cli, int argc, char **argv);
int moat_cli_trace(const struct moat_cli *cli, int argc, char **argv);
int moat_cli_metrics(const struct moat_cli *cli, int argc, char **argv);
int moat_cli_genpsk(const struct moat_cli *cli, int argc, char **argv);
int moat_cli_check(const struct moat_cli *cli, int argc, char **argv);
extern const struct moat_command moat_crypto_commands[];

#endif
