// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `moatd: resolve`: getaddrinfo() for peers that are named by DNS, apart from all
 * that matters, for it parses what name servers say. It holds nothing, and what
 * it answers are addresses only. A thread for each question: a name server that
 * is silent holds up its own name alone.
 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "priv/ipc.h"
#include "priv/process.h"
#include "priv/rights.h"

static bool take_address(const struct addrinfo *found, struct moat_addr *addr)
{
	memset(addr, 0, sizeof(*addr));
	if (found->ai_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)found->ai_addr;

		addr->len = 4;
		memcpy(addr->bytes, &in->sin_addr, 4);
	} else if (found->ai_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const void *)found->ai_addr;

		addr->len = 16;
		memcpy(addr->bytes, &in6->sin6_addr, 16);
	}
	return addr->len;
}

static void *look_up(void *arg)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_DGRAM };
	struct moat_ipc *msg = arg;
	struct addrinfo *found = NULL;
	int err = getaddrinfo(msg->resolved.name, NULL, &hints, &found);

	msg->type = MOAT_IPC_RESOLVED;
	msg->resolved.n = 0;
	for (const struct addrinfo *a = found; a; a = a->ai_next) {
		if (msg->resolved.n < MOAT_REMOTES_MAX &&
		    take_address(a, &msg->resolved.addrs[msg->resolved.n]))
			msg->resolved.n++;
	}
	if (err)
		moat_ipc_text(msg->resolved.why, "%s",
			      err == EAI_SYSTEM ? strerror(errno) : gai_strerror(err));
	else
		freeaddrinfo(found);
	moat_ipc_send(MOAT_SUPERVISOR_FD, msg, -1, 0);
	free(msg);
	return NULL;
}

static bool begin(const struct moat_ipc *question)
{
	struct moat_ipc *msg = malloc(sizeof(*msg));
	pthread_attr_t attr;
	pthread_t thread;
	int err;

	if (!msg)
		abort();
	*msg = *question;
	msg->resolved.name[sizeof(msg->resolved.name) - 1] = '\0';
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	err = pthread_create(&thread, &attr, look_up, msg);
	pthread_attr_destroy(&attr);
	if (err)
		free(msg);
	return !err;
}

/* It needs files: resolv.conf, hosts, and what nsswitch.conf makes libc load. */
int moat_resolve_process(const char *dir)
{
	struct moat_ipc msg;
	int fd, got;

	(void)dir;
	moat_rights_drop("moat-resolve", NULL, false);
	while ((got = moat_ipc_receive(MOAT_SUPERVISOR_FD, &msg, &fd, 0)) == 1 &&
	       msg.type == MOAT_IPC_RESOLVE && begin(&msg))
		;
	return got ? 1 : 0;
}
