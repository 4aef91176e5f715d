// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Processes that stand still: stopped, or in a loop. Ending one starts it again,
 * which costs its ISAKMP SAs at most; traffic goes on.
 */
#include <signal.h>
#include <sys/socket.h>

#include "priv/log.h"
#include "priv/supervisor.h"

#define PING_EVERY 5 /* seconds */
/*
 * Counted, not measured: when all of moatd was stopped, or the machine was, the
 * supervisor was too, and nobody is to blame.
 */
#define PINGS_MAX 6

/* Whether it is still worth asking. */
static bool answers(struct moat_child *child)
{
	if (child->unanswered < PINGS_MAX)
		return true;
	moat_log(MOAT_LOG_ERR, "process-hangs", NULL,
		 "%s (pid %d) has not answered for %u s: it is stopped or stands still, "
		 "and is ended",
		 moat_child_name(child), (int)child->pid, PINGS_MAX * PING_EVERY);
	kill(child->pid, SIGKILL);
	child->unanswered = 0;
	return false;
}

static void ping_all(evutil_socket_t fd, short what, void *arg)
{
	struct moat_supervisor *s = arg;
	struct moat_ipc msg;

	(void)fd;
	(void)what;
	moat_ipc_init(&msg, MOAT_IPC_PING, 0);
	for (unsigned int i = 0; i < MOAT_PROCESSES && !s->stopping; i++) {
		struct moat_child *child = &s->children[i];

		/* That one waits for name servers, and nothing waits for it. */
		if (i == MOAT_PROCESS_RESOLVE || !child->pid || !answers(child))
			continue;
		child->unanswered++;
		/* No room: it has enough to answer. */
		moat_ipc_send(child->fd, &msg, -1, MSG_DONTWAIT);
	}
}

void moat_watchdog_begin(struct moat_supervisor *s)
{
	s->watchdog = event_new(s->base, -1, EV_PERSIST, ping_all, s);
	if (s->watchdog)
		event_add(s->watchdog, &(struct timeval){ .tv_sec = PING_EVERY });
}

void moat_watchdog_end(struct moat_supervisor *s)
{
	if (s->watchdog)
		event_free(s->watchdog);
}
