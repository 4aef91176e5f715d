// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `moatd: kernel`: the only process with CAP_NET_ADMIN. It speaks generic
 * netlink with the module and rtnetlink for routes, does what the ike process
 * asks within the configuration, and passes on what the module reports.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "priv/kernel_internal.h"
#include "priv/log.h"
#include "priv/process.h"
#include "priv/rights.h"

/* How long traffic goes without a policy that somebody deleted, at most. */
#define AUDIT_SECONDS 30

static void close_ike(struct moat_kernel *kernel)
{
	if (kernel->ike >= 0)
		close(kernel->ike);
	kernel->ike = -1;
}

void moat_kernel_say(struct moat_kernel *kernel, const struct moat_ipc *msg)
{
	if (kernel->ike >= 0 && moat_ipc_send(kernel->ike, msg, -1, 0))
		close_ike(kernel);
}

/* The supervisor waits for this: the configuration is in use. */
static bool settle(struct moat_kernel *kernel, const struct moat_ipc *msg)
{
	struct moat_ipc reply;

	if (!moat_feed_complete(&kernel->feed))
		return false;
	if (msg->settle.commit)
		moat_kernel_use_config(kernel);
	else
		moat_config_free(&kernel->feed.config);
	moat_kernel_adopt(kernel);
	moat_kernel_audit(kernel);
	moat_ipc_init(&reply, MOAT_IPC_CHECKED, 0);
	return !moat_ipc_send(MOAT_SUPERVISOR_FD, &reply, -1, 0);
}

static bool from_supervisor(struct moat_kernel *kernel)
{
	struct moat_ipc msg;
	int fd;

	if (moat_ipc_receive(MOAT_SUPERVISOR_FD, &msg, &fd, 0) != 1)
		return false;
	switch (msg.type) {
	case MOAT_IPC_CHANNEL:
		close_ike(kernel);
		kernel->ike = fd;
		moat_kernel_disclaim(kernel);
		return true;
	case MOAT_IPC_SETTLE:
		return settle(kernel, &msg);
	case MOAT_IPC_PING:
		moat_ipc_pong(MOAT_SUPERVISOR_FD);
		return true;
	default:
		return moat_feed_take(&kernel->feed, &msg);
	}
}

static void from_ike(struct moat_kernel *kernel)
{
	struct moat_ipc msg;
	int fd, got = moat_ipc_receive(kernel->ike, &msg, &fd, MSG_DONTWAIT);

	if (got < 0 && errno == EAGAIN)
		return;
	if (fd >= 0)
		close(fd);
	if (got == 1) {
		moat_kernel_request(kernel, &msg);
		/* Keys were in it. */
		explicit_bzero(&msg, moat_ipc_len(msg.type));
		return;
	}
	if (got < 0)
		moat_log(MOAT_LOG_ERR, "ipc-refused", NULL,
			 "kernel: a message that the ike process may not send");
	close_ike(kernel);
}

static time_t seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return ts.tv_sec;
}

/* Milliseconds until a look at routes or policies is due, at most. */
static int patience(const struct moat_kernel *kernel)
{
	int routes = moat_routes_wait(kernel->routes);

	return routes >= 0 && routes < AUDIT_SECONDS * 1000 ? routes
							    : AUDIT_SECONDS * 1000;
}

static void serve(struct moat_kernel *kernel)
{
	time_t audit = seconds();

	for (;;) {
		struct pollfd fds[4] = {
			{ MOAT_SUPERVISOR_FD, POLLIN, 0 },
			{ moat_nl_event_fd(kernel->nl), POLLIN, 0 },
			{ kernel->ike, POLLIN, 0 },
			{ moat_routes_fd(kernel->routes), POLLIN, 0 },
		};

		if (poll(fds, 4, patience(kernel)) < 0 && errno != EINTR)
			return;
		if (fds[0].revents && !from_supervisor(kernel))
			return;
		if (fds[1].revents)
			moat_kernel_events(kernel);
		if (fds[2].revents && kernel->ike == fds[2].fd)
			from_ike(kernel);
		moat_routes_look(kernel->routes);
		if (seconds() < audit + AUDIT_SECONDS)
			continue;
		audit = seconds();
		moat_kernel_audit(kernel);
	}
}

/* What the supervisor has to know before it starts the others. */
static bool open_kernel(struct moat_kernel *kernel)
{
	struct moat_ipc msg;

	if (!moat_nl_open(&kernel->nl) && !moat_nl_subscribe(kernel->nl)) {
		kernel->routes = moat_routes_open();
		return kernel->routes != NULL;
	}
	moat_ipc_init(&msg, MOAT_IPC_MISTAKE, 0);
	moat_ipc_text(msg.text.text, "%s",
		      kernel->nl ? moat_nl_error(kernel->nl) : strerror(ENOMEM));
	moat_ipc_send(MOAT_SUPERVISOR_FD, &msg, -1, 0);
	return false;
}

int moat_kernel_process(const char *dir)
{
	struct moat_kernel *kernel = calloc(1, sizeof(*kernel));
	bool ok;

	if (!kernel)
		abort();
	kernel->ike = -1;
	moat_rights_drop("moat-kernel", dir, true);
	ok = open_kernel(kernel);
	if (ok)
		serve(kernel);
	close_ike(kernel);
	moat_routes_close(kernel->routes);
	moat_nl_close(kernel->nl);
	moat_kernel_check_free(kernel);
	free(kernel);
	return !ok;
}
