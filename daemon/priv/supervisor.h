/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The supervisor: what its files share. */
#ifndef MOAT_PRIV_SUPERVISOR_H
#define MOAT_PRIV_SUPERVISOR_H

#include <event2/event.h>
#include <sys/types.h>

#include "priv/config.h"
#include "priv/ipc.h"
#include "priv/names.h"

/**
 * struct moat_child - one of the other processes
 * @which: enum moat_process
 * @pid: 0 while it does not run
 * @fd: socket towards it, -1 while it does not run
 * @readable: event on @fd
 * @restart: timer
 * @delay: ms before the next restart
 * @started: ms of the monotonic clock
 * @unanswered: PINGs since its last sign of life
 */
struct moat_child {
	unsigned int which;
	pid_t pid;
	int fd;
	struct event *readable;
	struct event *restart;
	unsigned int delay;
	uint64_t started;
	unsigned int unanswered;
	struct moat_supervisor *supervisor;
};

/**
 * struct moat_supervisor - the supervisor
 * @dir: configuration directory
 * @rundir: directory of the control socket
 * @empty: empty directory that becomes the others' root
 * @config: in use
 * @sockets: bound for the ike process, -1 where the machine has no IPv6
 * @lock: held while we run
 * @stopping: children may end now
 * @keylog: keys may be written
 * @names: DNS names of peers
 * @watchdog: timer: do the others still answer?
 * @look: timer: ask for names that are due
 * @changed: timer: addresses or routes have changed, or an answer
 * @route: socket on which the kernel says so, @route_readable its event
 */
struct moat_supervisor {
	const char *dir;
	const char *rundir;
	char empty[4096];
	struct moat_config config;
	struct moat_child children[MOAT_PROCESSES];
	int sockets[MOAT_SOCKETS];
	int lock;
	bool stopping;
	bool keylog;
	struct moat_names names;
	struct event *watchdog;
	struct event *look;
	struct event *changed;
	struct event *route_readable;
	int route;
	struct event_base *base;
};

/**
 * moat_supervisor_run() - be moatd until SIGTERM
 *
 * Return: exit status.
 */
int moat_supervisor_run(const char *dir, const char *rundir);

/** moat_keylog_take() - an operator's word about keys, or a line: keylog.c */
void moat_keylog_take(struct moat_supervisor *s, const struct moat_ipc *msg);

/* supervisor_socket.c */

/** moat_supervisor_rundir() - make RUNDIR and what is in it, and lock it */
bool moat_supervisor_rundir(struct moat_supervisor *s);

/** moat_supervisor_bind() - bind all sockets; failures are logged */
bool moat_supervisor_bind(struct moat_supervisor *s);
void moat_supervisor_unbind(struct moat_supervisor *s);

/* supervisor_child.c */

/** moat_child_start() - start a process; failures are logged */
bool moat_child_start(struct moat_child *child);

/** moat_child_ready() - it has all it needs: from now on it answers in time */
void moat_child_ready(struct moat_child *child);

/** moat_child_forget() - it has ended: close what belonged to it */
void moat_child_forget(struct moat_child *child);

/** moat_child_connect() - give two running processes a socket to each other */
bool moat_child_connect(struct moat_child *a, struct moat_child *b);

/**
 * moat_child_await() - read until CHECKED has come
 * @mistakes: what comes before it goes here
 *
 * Return: false when the process has ended or does not answer.
 */
bool moat_child_await(struct moat_child *child, struct moat_mistakes *mistakes);

/** moat_child_name() - "ike", "keys" or "kernel" */
const char *moat_child_name(const struct moat_child *child);

/* supervisor_watch.c */

/** moat_watchdog_begin() - from now on processes that do not answer are ended */
void moat_watchdog_begin(struct moat_supervisor *s);
void moat_watchdog_end(struct moat_supervisor *s);

/* supervisor_ends.c */

/** moat_ends_begin() - from now on addresses, routes and names are watched */
void moat_ends_begin(struct moat_supervisor *s);

/** moat_ends_known() - settle the ends of a configuration that was just read */
void moat_ends_known(struct moat_supervisor *s, struct moat_config *config);

/** moat_ends_take() - an answer of the resolve process */
void moat_ends_take(struct moat_supervisor *s, const struct moat_ipc *msg);

/** moat_ends_resolver() - start the resolve process when there is a name, or ask it */
void moat_ends_resolver(struct moat_supervisor *s);
void moat_ends_end(struct moat_supervisor *s);

/* supervisor.c */

/** moat_supervisor_start() - start a process, and connect and feed it */
bool moat_supervisor_start(struct moat_child *child);

/* supervisor_load.c */

/** moat_supervisor_refeed() - the ends of some tunnels have changed */
bool moat_supervisor_refeed(struct moat_supervisor *s);

/**
 * moat_supervisor_load() - read the configuration, and use it when nothing is wrong
 *
 * The keys and kernel processes are running; the ike process is told when it is.
 */
bool moat_supervisor_load(struct moat_supervisor *s, struct moat_mistakes *mistakes);

/** moat_supervisor_feed() - give a process that has just started what it needs */
bool moat_supervisor_feed(struct moat_supervisor *s, struct moat_child *child);

/** moat_supervisor_open() - answer OPEN of the keys process */
void moat_supervisor_open(struct moat_supervisor *s, const struct moat_ipc *msg);

#endif
