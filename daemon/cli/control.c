// SPDX-License-Identifier: GPL-2.0-or-later
/* The control socket as commands use it. */
#include "cli/control.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define ENDS_WITHIN 3000 /* ms */

static int connect_to(const char *rundir, unsigned int seconds)
{
	const struct timeval patience = { .tv_sec = seconds };
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd;

	if (snprintf(un.sun_path, sizeof(un.sun_path), "%s/moat.sock", rundir) >=
	    (int)sizeof(un.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	/* A connection waits, too, when nobody takes those before it. */
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (fd >= 0 && connect(fd, (struct sockaddr *)&un, sizeof(un))) {
		int err = errno;

		close(fd);
		errno = err;
		return -1;
	}
	return fd;
}

bool moat_control_runs(const struct moat_cli *cli)
{
	int fd = connect_to(cli->rundir, 1);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static int no_answer(const struct moat_control *control)
{
	if (control->waits)
		moat_failed("timed out: not done after %u s; moat status and moat show "
			    "failures say how far it came",
			    control->seconds);
	else
		moat_failed(
			"timed out: moatd runs, but its process \"moatd: ike\" has not "
			"answered for %u s: it is stopped or overloaded; moatd starts it "
			"again if it stays so",
			control->seconds);
	return MOAT_EXIT_TIMEOUT;
}

static int no_daemon(const struct moat_control *control)
{
	if (errno == EAGAIN)
		return no_answer(control);
	if (errno == EACCES || errno == EPERM)
		return moat_failed("%s/moat.sock: not permitted: be root, or in group "
				   "moat",
				   control->rundir);
	moat_failed("moatd does not run (%s/moat.sock: %s)", control->rundir,
		    strerror(errno));
	return MOAT_EXIT_NO_DAEMON;
}

/* Who closes at once has said why: that is read whether or not all went out. */
static void send_request(int fd, const json_t *request)
{
	char *text = json_dumps(request, JSON_COMPACT);
	struct iovec parts[2] = { { text, text ? strlen(text) : 0 }, { "\n", 1 } };
	const struct msghdr mh = { .msg_iov = parts, .msg_iovlen = 2 };

	if (!text)
		abort();
	sendmsg(fd, &mh, MSG_NOSIGNAL);
	free(text);
}

int moat_control_open(struct moat_control *control, const struct moat_cli *cli,
		      json_t *request, unsigned int seconds)
{
	int fd = connect_to(cli->rundir, seconds);

	*control = (struct moat_control){ .rundir = cli->rundir, .seconds = seconds };
	if (fd < 0) {
		json_decref(request);
		return no_daemon(control);
	}
	send_request(fd, request);
	json_decref(request);
	control->stream = fdopen(fd, "r");
	if (!control->stream)
		abort();
	return MOAT_EXIT_DONE;
}

/* It has ended meanwhile, or it runs and had no answer for us. */
static int closed(const struct moat_control *control)
{
	struct pollfd ends = { .events = POLLIN };
	bool ended;

	/* It ends one process after the other: a new connection lasts as long as it. */
	do {
		ends.fd = connect_to(control->rundir, control->seconds);
		if (ends.fd < 0)
			return no_daemon(control);
		ended = poll(&ends, 1, ENDS_WITHIN) > 0;
		close(ends.fd);
	} while (ended);
	return moat_failed("moatd has closed the connection: others wanted it, or its "
			   "process \"moatd: ike\" was started again; try again");
}

void moat_control_follow(struct moat_control *control)
{
	const struct timeval for_ever = { 0 };

	setsockopt(fileno(control->stream), SOL_SOCKET, SO_RCVTIMEO, &for_ever,
		   sizeof(for_ever));
}

static void complain(const json_t *answer)
{
	const json_t *mistake;
	size_t i;

	json_array_foreach(json_object_get(answer, "mistakes"), i, mistake)
		fprintf(stderr, "%s\n", json_string_value(mistake));
	moat_failed("%s", moat_field(answer, "error"));
}

int moat_control_read(struct moat_control *control, json_t **answer)
{
	char *line = NULL;
	size_t size = 0;
	ssize_t len;

	*answer = NULL;
	errno = 0;
	len = getline(&line, &size, control->stream);
	if (len > 0)
		*answer = json_loadb(line, len, 0, NULL);
	free(line);
	if (len <= 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return no_answer(control);
	if (len <= 0)
		return closed(control);
	if (!*answer)
		return moat_failed("moatd's answer is no JSON");
	if (json_object_get(*answer, "schema_version") &&
	    moat_field_number(*answer, "schema_version") != MOAT_JSON_SCHEMA) {
		moat_failed(
			"moatd answers in schema %lld, this moat reads %d: use the one "
			"that came with moatd",
			(long long)moat_field_number(*answer, "schema_version"),
			MOAT_JSON_SCHEMA);
		return MOAT_EXIT_FAILED;
	}
	if (!json_object_get(*answer, "error"))
		return MOAT_EXIT_DONE;
	complain(*answer);
	return MOAT_EXIT_FAILED;
}

void moat_control_close(struct moat_control *control)
{
	if (control->stream)
		fclose(control->stream);
	control->stream = NULL;
}

int moat_control_ask(const struct moat_cli *cli, const char *command, json_t **answer)
{
	struct moat_control control;
	int status;

	*answer = NULL;
	status = moat_control_open(&control, cli, json_pack("{s:s}", "command", command),
				   MOAT_PATIENCE);
	if (status)
		return status;
	status = moat_control_read(&control, answer);
	moat_control_close(&control);
	if (!status && !json_object_get(*answer, "schema_version"))
		status = moat_failed("moatd's answer has no schema_version");
	if (status) {
		json_decref(*answer);
		*answer = NULL;
	}
	return status;
}

const char *moat_field(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}

json_int_t moat_field_number(const json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}
