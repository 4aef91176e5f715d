// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * moatd, the supervisor: reads the configuration, binds the sockets, starts the
 * other processes, and starts them again. It parses nothing from the network.
 */
#include "priv/supervisor.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "priv/log.h"

#define FIRST_DELAY 100	  /* ms before a restart, doubling */
#define LAST_DELAY  10000 /* ms */
#define STOP_TIME   3	  /* seconds for the others to end */

static void read_child(evutil_socket_t fd, short what, void *arg);

static bool accounts_exist(void)
{
	static const char *const users[] = { "moat-ike", "moat-keys", "moat-kernel",
					     "moat-resolve" };
	bool ok = true;

	for (unsigned int i = 0; i < MOAT_PROCESSES; i++) {
		if (getpwnam(users[i]))
			continue;
		moat_log(MOAT_LOG_ERR, "start-failed", NULL,
			 "there is no user %s: run scripts/setup, or install the "
			 "package, which make the accounts of moatd",
			 users[i]);
		ok = false;
	}
	if (!getgrnam("moat")) {
		moat_log(MOAT_LOG_ERR, "start-failed", NULL,
			 "there is no group moat (who may use the control socket): run "
			 "scripts/setup, or install the package");
		ok = false;
	}
	return ok;
}

static bool watch(struct moat_child *child)
{
	moat_child_ready(child);
	child->readable = event_new(child->supervisor->base, child->fd,
				    EV_READ | EV_PERSIST, read_child, child);
	return child->readable && !event_add(child->readable, NULL);
}

/* Start a process, and connect it with those that run. */
bool moat_supervisor_start(struct moat_child *child)
{
	struct moat_supervisor *s = child->supervisor;
	struct moat_child *ike = &s->children[MOAT_PROCESS_IKE];
	bool ok = moat_child_start(child);

	if (ok && child == ike)
		ok = moat_child_connect(ike, &s->children[MOAT_PROCESS_KEYS]) &&
		     moat_child_connect(ike, &s->children[MOAT_PROCESS_KERNEL]) &&
		     moat_supervisor_feed(s, child);
	else if (ok && child->which != MOAT_PROCESS_RESOLVE)
		ok = moat_supervisor_feed(s, child) && moat_child_connect(ike, child);
	return ok && watch(child);
}

static void schedule(struct moat_child *child)
{
	struct timeval in = { child->delay / 1000, child->delay % 1000 * 1000 };

	evtimer_add(child->restart, &in);
	child->delay = child->delay ? 2 * child->delay : FIRST_DELAY;
	if (child->delay > LAST_DELAY)
		child->delay = LAST_DELAY;
}

/* A process that cannot be fed is ended; its end schedules the next try. */
static void restart(evutil_socket_t fd, short what, void *arg)
{
	struct moat_child *child = arg;

	(void)fd;
	(void)what;
	if (child->which == MOAT_PROCESS_RESOLVE)
		moat_ends_resolver(child->supervisor);
	else if (moat_supervisor_start(child))
		moat_log(MOAT_LOG_INFO, "process-started", NULL, "%s runs again",
			 moat_child_name(child));
	else if (child->pid)
		kill(child->pid, SIGKILL);
	else
		schedule(child);
}

static void reload(struct moat_supervisor *s, uint32_t token)
{
	struct moat_child *ike = &s->children[MOAT_PROCESS_IKE];
	struct moat_mistakes mistakes = { 0 };
	bool ok = moat_supervisor_load(s, &mistakes);
	struct moat_ipc msg;

	for (unsigned int i = 0; i < mistakes.n; i++) {
		moat_log(MOAT_LOG_ERR, "config-mistake", NULL, "%s", mistakes.list[i]);
		moat_ipc_init(&msg, MOAT_IPC_MISTAKE, token);
		moat_ipc_text(msg.text.text, "%s", mistakes.list[i]);
		if (token)
			moat_ipc_send(ike->fd, &msg, -1, 0);
	}
	if (ok)
		moat_log(MOAT_LOG_INFO, "config-loaded", NULL, "%u tunnels",
			 s->config.n_tunnels);
	else
		moat_log(MOAT_LOG_ERR, "config-refused", NULL,
			 "%u mistakes; the configuration in use stays", mistakes.n);
	moat_mistakes_free(&mistakes);
	moat_ends_resolver(s);
	if (!token)
		return;
	moat_ipc_init(&msg, MOAT_IPC_RELOADED, token);
	msg.text.ok = ok;
	moat_ipc_send(ike->fd, &msg, -1, 0);
}

static void read_child(evutil_socket_t fd, short what, void *arg)
{
	struct moat_child *child = arg;
	struct moat_ipc msg;
	int passed, got = moat_ipc_receive(fd, &msg, &passed, MSG_DONTWAIT);

	(void)what;
	if (passed >= 0)
		close(passed);
	if (got < 0 && errno == EAGAIN)
		return;
	if (got == 1)
		child->unanswered = 0;
	if (got == 1 && msg.type == MOAT_IPC_PONG)
		return;
	if (got == 1 && msg.type == MOAT_IPC_LOG) {
		moat_log_write(&msg);
	} else if (got == 1 && msg.type == MOAT_IPC_RELOAD &&
		   child->which == MOAT_PROCESS_IKE) {
		reload(child->supervisor, msg.token);
	} else if (got == 1 && msg.type == MOAT_IPC_KEYLOG &&
		   child->which == MOAT_PROCESS_IKE) {
		moat_keylog_take(child->supervisor, &msg);
		explicit_bzero(&msg, sizeof(msg));
	} else if (got == 1 && msg.type == MOAT_IPC_RESOLVED &&
		   child->which == MOAT_PROCESS_RESOLVE) {
		moat_ends_take(child->supervisor, &msg);
	} else {
		/* Its end has a cause; SIGCHLD tells it. */
		event_del(child->readable);
		if (got) {
			moat_log(MOAT_LOG_ERR, "ipc-refused", NULL,
				 "%s: a message that it may not send",
				 moat_child_name(child));
			kill(child->pid, SIGKILL);
		}
	}
}

/* What it has still said before it ended. */
static void drain(struct moat_child *child)
{
	struct moat_ipc msg;
	int fd;

	while (child->fd >= 0 &&
	       moat_ipc_receive(child->fd, &msg, &fd, MSG_DONTWAIT) == 1) {
		if (fd >= 0)
			close(fd);
		if (msg.type == MOAT_IPC_LOG)
			moat_log_write(&msg);
	}
}

static void child_ended(struct moat_supervisor *s, pid_t pid, int status)
{
	struct moat_child *child = s->children;

	while (child < s->children + MOAT_PROCESSES && child->pid != pid)
		child++;
	if (child == s->children + MOAT_PROCESSES)
		return;
	drain(child);
	moat_child_forget(child);
	if (child->which == MOAT_PROCESS_RESOLVE)
		moat_names_again(&s->names);
	if (s->stopping || (child->which == MOAT_PROCESS_RESOLVE && !s->names.n))
		return;
	moat_log(MOAT_LOG_ERR, "process-ended", NULL,
		 "%s ended with %s %d; it is started again, and what stands in the "
		 "kernel stays",
		 moat_child_name(child), WIFSIGNALED(status) ? "signal" : "status",
		 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	schedule(child);
}

static bool all_ended(const struct moat_supervisor *s)
{
	for (unsigned int i = 0; i < MOAT_PROCESSES; i++) {
		if (s->children[i].pid)
			return false;
	}
	return true;
}

static void on_child_signal(evutil_socket_t signal_number, short what, void *arg)
{
	struct moat_supervisor *s = arg;
	int status;
	pid_t pid;

	(void)signal_number;
	(void)what;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		child_ended(s, pid, status);
	if (s->stopping && all_ended(s))
		event_base_loopbreak(s->base);
}

/* The others end when their sockets close. */
static void stop(struct moat_supervisor *s)
{
	const struct timeval patience = { .tv_sec = STOP_TIME };

	s->stopping = true;
	for (unsigned int i = 0; i < MOAT_PROCESSES; i++) {
		event_del(s->children[i].restart);
		drain(&s->children[i]);
		if (s->children[i].fd >= 0)
			shutdown(s->children[i].fd, SHUT_WR);
	}
	if (!all_ended(s))
		event_base_loopexit(s->base, &patience);
	else
		event_base_loopbreak(s->base);
}

static void on_stop_signal(evutil_socket_t signal_number, short what, void *arg)
{
	struct moat_supervisor *s = arg;

	(void)what;
	if (s->stopping)
		return;
	moat_log(MOAT_LOG_INFO, "stopping", NULL,
		 "signal %d; policies and SAs stay in the kernel", (int)signal_number);
	stop(s);
}

static void on_reload_signal(evutil_socket_t signal_number, short what, void *arg)
{
	(void)signal_number;
	(void)what;
	reload(arg, 0);
}

static bool start(struct moat_supervisor *s)
{
	struct moat_child *keys = &s->children[MOAT_PROCESS_KEYS];
	struct moat_child *kernel = &s->children[MOAT_PROCESS_KERNEL];
	struct moat_mistakes mistakes = { 0 };
	bool ok;

	if (geteuid()) {
		moat_log(MOAT_LOG_ERR, "start-failed", NULL,
			 "moatd is started as root; it gives its rights up itself");
		return false;
	}
	if (!accounts_exist() || !moat_supervisor_rundir(s) || !moat_child_start(keys) ||
	    !moat_child_start(kernel))
		return false;
	ok = moat_supervisor_load(s, &mistakes);
	for (unsigned int i = 0; i < mistakes.n; i++)
		moat_log(MOAT_LOG_ERR, "start-failed", NULL, "%s", mistakes.list[i]);
	moat_mistakes_free(&mistakes);
	if (!ok || !moat_supervisor_bind(s) || !watch(keys) || !watch(kernel) ||
	    !moat_supervisor_start(&s->children[MOAT_PROCESS_IKE]))
		return false;
	moat_ends_begin(s);
	moat_watchdog_begin(s);
	moat_log(MOAT_LOG_INFO, "started", NULL,
		 "%u tunnels from %s, control socket in %s", s->config.n_tunnels, s->dir,
		 s->rundir);
	return true;
}

static void prepare(struct moat_supervisor *s, struct event **signals)
{
	for (unsigned int i = 0; i < MOAT_PROCESSES; i++) {
		struct moat_child *child = &s->children[i];

		*child = (struct moat_child){ .which = i, .fd = -1, .supervisor = s };
		child->restart = evtimer_new(s->base, restart, child);
	}
	for (unsigned int i = 0; i < MOAT_SOCKETS; i++)
		s->sockets[i] = -1;
	signals[0] = evsignal_new(s->base, SIGCHLD, on_child_signal, s);
	signals[1] = evsignal_new(s->base, SIGTERM, on_stop_signal, s);
	signals[2] = evsignal_new(s->base, SIGINT, on_stop_signal, s);
	signals[3] = evsignal_new(s->base, SIGHUP, on_reload_signal, s);
	for (unsigned int i = 0; i < 4; i++)
		evsignal_add(signals[i], NULL);
}

static void clean_up(struct moat_supervisor *s, struct event **signals)
{
	for (unsigned int i = 0; i < MOAT_PROCESSES; i++) {
		struct moat_child *child = &s->children[i];

		if (child->pid) {
			kill(child->pid, SIGKILL);
			waitpid(child->pid, NULL, 0);
		}
		moat_child_forget(child);
		event_free(child->restart);
	}
	moat_ends_end(s);
	moat_watchdog_end(s);
	moat_supervisor_unbind(s);
	moat_config_free(&s->config);
	for (unsigned int i = 0; i < 4; i++)
		event_free(signals[i]);
	event_base_free(s->base);
	libevent_global_shutdown();
}

int moat_supervisor_run(const char *dir, const char *rundir)
{
	struct moat_supervisor s = {
		.dir = dir, .rundir = rundir, .lock = -1, .route = -1
	};
	struct event *signals[4];
	bool ok;

	moat_log_open();
	signal(SIGPIPE, SIG_IGN);
	s.base = event_base_new();
	if (!s.base)
		return 1;
	prepare(&s, signals);
	ok = start(&s);
	if (!ok)
		stop(&s);
	if (ok || !all_ended(&s))
		event_base_dispatch(s.base);
	clean_up(&s, signals);
	return !ok;
}
