// SPDX-License-Identifier: GPL-2.0-or-later
/* How the supervisor starts the other processes and speaks with them. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "priv/log.h"
#include "priv/supervisor.h"

/*
 * A process that takes no message for so long is as good as dead. One that has just
 * been started has to load its libraries first, on a machine that may be busy: with
 * moatd itself away nobody is helped if we give up.
 */
#define PATIENCE       10 /* seconds */
#define START_PATIENCE 60 /* seconds */

const char *moat_child_name(const struct moat_child *child)
{
	static const char *const names[MOAT_PROCESSES] = { "ike", "keys", "kernel",
							   "resolve" };

	return names[child->which];
}

/*
 * A fresh image for each: nothing of the supervisor's memory goes along, and
 * every process has an address layout of its own. Signals are the supervisor's;
 * the others end when its socket closes.
 */
static void __attribute__((noreturn)) become(const struct moat_child *child, int fd)
{
	char name[32];
	char *argv[] = { name, child->supervisor->empty, NULL };

	snprintf(name, sizeof(name), "moatd: %s", moat_child_name(child));
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	if (fd == MOAT_SUPERVISOR_FD)
		fd = dup(fd);
	if (dup2(fd, MOAT_SUPERVISOR_FD) == MOAT_SUPERVISOR_FD &&
	    !close_range(MOAT_SUPERVISOR_FD + 1, ~0u, 0))
		execv("/proc/self/exe", argv);
	_exit(127);
}

static void set_patience(int fd, time_t seconds)
{
	const struct timeval patience = { .tv_sec = seconds };

	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ull + ts.tv_nsec / 1000000;
}

bool moat_child_start(struct moat_child *child)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) {
		moat_log(MOAT_LOG_ERR, "process-failed", NULL, "socket pair: %s",
			 strerror(errno));
		return false;
	}
	child->pid = fork();
	if (!child->pid)
		become(child, pair[1]);
	close(pair[1]);
	if (child->pid < 0) {
		moat_log(MOAT_LOG_ERR, "process-failed", NULL, "fork: %s",
			 strerror(errno));
		close(pair[0]);
		child->pid = 0;
		return false;
	}
	child->fd = pair[0];
	child->started = now_ms();
	child->unanswered = 0;
	set_patience(child->fd, START_PATIENCE);
	return true;
}

void moat_child_ready(struct moat_child *child)
{
	set_patience(child->fd, PATIENCE);
}

void moat_child_forget(struct moat_child *child)
{
	if (child->readable)
		event_free(child->readable);
	child->readable = NULL;
	if (child->fd >= 0)
		close(child->fd);
	child->fd = -1;
	child->pid = 0;
	/* One that lived for a while starts again at once. */
	if (now_ms() - child->started > 60000)
		child->delay = 0;
}

static bool pass_channel(struct moat_child *to, const struct moat_child *with, int fd)
{
	struct moat_ipc msg;

	moat_ipc_init(&msg, MOAT_IPC_CHANNEL, 0);
	msg.channel.with = with->which;
	return !moat_ipc_send(to->fd, &msg, fd, 0);
}

bool moat_child_connect(struct moat_child *a, struct moat_child *b)
{
	int pair[2];
	bool ok;

	if (a->fd < 0 || b->fd < 0)
		return true;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return false;
	ok = pass_channel(a, b, pair[0]) && pass_channel(b, a, pair[1]);
	close(pair[0]);
	close(pair[1]);
	return ok;
}

bool moat_child_await(struct moat_child *child, struct moat_mistakes *mistakes)
{
	struct moat_ipc msg;
	int fd;

	while (moat_ipc_receive(child->fd, &msg, &fd, 0) == 1) {
		if (fd >= 0)
			close(fd);
		switch (msg.type) {
		case MOAT_IPC_CHECKED:
			return true;
		case MOAT_IPC_MISTAKE:
			msg.text.text[sizeof(msg.text.text) - 1] = '\0';
			moat_mistake(mistakes, NULL, 0, "%s", msg.text.text);
			break;
		case MOAT_IPC_WARNING:
			msg.text.text[sizeof(msg.text.text) - 1] = '\0';
			moat_warning(mistakes, NULL, 0, "%s", msg.text.text);
			break;
		case MOAT_IPC_OPEN:
			moat_supervisor_open(child->supervisor, &msg);
			break;
		case MOAT_IPC_LOG:
			moat_log_write(&msg);
			break;
		case MOAT_IPC_PONG:
			child->unanswered = 0;
			break;
		default:
			moat_log(MOAT_LOG_ERR, "ipc-refused", NULL,
				 "%s: a message that it may not send",
				 moat_child_name(child));
			return false;
		}
	}
	return false;
}
