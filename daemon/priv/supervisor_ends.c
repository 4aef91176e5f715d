// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Ends of tunnels that move: a peer's name gets another address, or we do. Both
 * are seen here, and the other processes are told by the same messages as after
 * a reload; the core goes where the new ends are (ike/move.c).
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "priv/log.h"
#include "priv/route_watch.h"
#include "priv/supervisor.h"

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

static bool watches_local(const struct moat_config *config)
{
	for (unsigned int i = 0; i < config->n_tunnels; i++) {
		if (config->tunnels[i]->local_any)
			return true;
	}
	return false;
}

static void file_of(const struct moat_supervisor *s, char file[4096])
{
	snprintf(file, 4096, "%s/names", s->rundir);
}

void moat_ends_known(struct moat_supervisor *s, struct moat_config *config)
{
	char file[4096];

	if (!s->names.n) {
		file_of(s, file);
		moat_names_read(&s->names, file);
	}
	moat_names_apply(&s->names, config);
}

static void ask(struct moat_supervisor *s)
{
	struct moat_child *child = &s->children[MOAT_PROCESS_RESOLVE];
	struct moat_ipc msg;
	const char *name;

	while (child->fd >= 0 && (name = moat_names_due(&s->names, now()))) {
		moat_ipc_init(&msg, MOAT_IPC_RESOLVE, 0);
		moat_ipc_text(msg.resolved.name, "%s", name);
		if (moat_ipc_send(child->fd, &msg, -1, MSG_DONTWAIT)) {
			kill(child->pid, SIGKILL);
			return;
		}
	}
}

void moat_ends_resolver(struct moat_supervisor *s)
{
	struct moat_child *child = &s->children[MOAT_PROCESS_RESOLVE];

	moat_names_want(&s->names, &s->config);
	if (s->stopping || !s->look)
		return;
	if (!s->names.n) {
		/* Its end is no accident: nobody needs it any more. */
		if (child->fd >= 0)
			shutdown(child->fd, SHUT_WR);
		return;
	}
	if (!child->pid && !event_pending(child->restart, EV_TIMEOUT, NULL) &&
	    !moat_supervisor_start(child) && child->pid)
		kill(child->pid, SIGKILL);
	ask(s);
}

static void on_look(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	moat_ends_resolver(arg);
}

static void on_changed(evutil_socket_t fd, short what, void *arg)
{
	struct moat_supervisor *s = arg;

	(void)fd;
	(void)what;
	if (!moat_names_apply(&s->names, &s->config))
		return;
	moat_log(MOAT_LOG_INFO, "ends-changed", NULL,
		 "addresses of gateways have changed: the tunnels follow");
	if (!moat_supervisor_refeed(s))
		moat_log(MOAT_LOG_ERR, "config-refused", NULL,
			 "a process of moatd does not answer; it is told when it does");
}

static void look_soon(struct moat_supervisor *s)
{
	const struct timeval in = { .tv_usec = MOAT_NAMES_SETTLE * 1000 };

	if (!event_pending(s->changed, EV_TIMEOUT, NULL))
		event_add(s->changed, &in);
}

void moat_ends_take(struct moat_supervisor *s, const struct moat_ipc *msg)
{
	char file[4096];

	if (!moat_names_take(&s->names, msg, now()))
		return;
	file_of(s, file);
	moat_names_write(&s->names, file);
	look_soon(s);
}

/* What has changed the routing table is asked afterwards. */
static void on_route(evutil_socket_t fd, short what, void *arg)
{
	struct moat_supervisor *s = arg;

	(void)what;
	if (moat_route_drain(fd) && watches_local(&s->config))
		look_soon(s);
}

static void watch_routes(struct moat_supervisor *s)
{
	s->route = moat_route_watch();
	if (s->route < 0) {
		moat_log(MOAT_LOG_ERR, "routes-unwatched", NULL,
			 "a change of our address will not be seen: %s", strerror(errno));
		return;
	}
	s->route_readable =
		event_new(s->base, s->route, EV_READ | EV_PERSIST, on_route, s);
	event_add(s->route_readable, NULL);
}

void moat_ends_begin(struct moat_supervisor *s)
{
	const struct timeval every = { .tv_sec = MOAT_NAMES_LOOK };

	s->look = event_new(s->base, -1, EV_PERSIST, on_look, s);
	s->changed = evtimer_new(s->base, on_changed, s);
	event_add(s->look, &every);
	watch_routes(s);
	/* What has changed since the configuration was read. */
	look_soon(s);
	moat_ends_resolver(s);
}

void moat_ends_end(struct moat_supervisor *s)
{
	struct event *events[] = { s->look, s->changed, s->route_readable };

	for (unsigned int i = 0; i < 3; i++) {
		if (events[i])
			event_free(events[i]);
	}
	if (s->route >= 0)
		close(s->route);
	moat_names_free(&s->names);
}
