// SPDX-License-Identifier: GPL-2.0-or-later
/* What the supervisor binds and passes on: UDP 500 and 4500, the control socket. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "priv/log.h"
#include "priv/supervisor.h"

#define IKE_PORT  500
#define NATT_PORT 4500
/* Thousands of peers may start at once. */
#define RECEIVE_BUFFER (4 << 20)

static bool make_dir(const char *path, mode_t mode, gid_t group)
{
	if (mkdir(path, mode) && errno != EEXIST) {
		moat_log(MOAT_LOG_ERR, "start-failed", NULL, "%s: %s", path,
			 strerror(errno));
		return false;
	}
	if (chown(path, 0, group) || chmod(path, mode)) {
		moat_log(MOAT_LOG_ERR, "start-failed", NULL, "%s: %s", path,
			 strerror(errno));
		return false;
	}
	return true;
}

static gid_t control_group(void)
{
	const struct group *group = getgrnam("moat");

	return group ? group->gr_gid : 0;
}

bool moat_supervisor_rundir(struct moat_supervisor *s)
{
	char path[4096];

	snprintf(s->empty, sizeof(s->empty), "%s/empty", s->rundir);
	if (!make_dir(s->rundir, 0755, 0) || !make_dir(s->empty, 0555, 0))
		return false;
	snprintf(path, sizeof(path), "%s/lock", s->rundir);
	s->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (s->lock < 0 || flock(s->lock, LOCK_EX | LOCK_NB)) {
		moat_log(MOAT_LOG_ERR, "start-failed", NULL, "%s: %s", path,
			 errno == EWOULDBLOCK ? "a moatd with this RUNDIR runs already"
					      : strerror(errno));
		return false;
	}
	return true;
}

static int bind_control(struct moat_supervisor *s)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mode_t old;
	bool ok;

	if (snprintf(un.sun_path, sizeof(un.sun_path), "%s/moat.sock", s->rundir) >=
	    (int)sizeof(un.sun_path)) {
		errno = ENAMETOOLONG;
		goto fail;
	}
	unlink(un.sun_path);
	old = umask(0117);
	ok = fd >= 0 && !bind(fd, (struct sockaddr *)&un, sizeof(un)) &&
	     !chown(un.sun_path, 0, control_group()) && !listen(fd, 16);
	umask(old);
	if (ok)
		return fd;
fail:
	moat_log(MOAT_LOG_ERR, "start-failed", NULL, "control socket %s/moat.sock: %s",
		 s->rundir, strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

/* The local address of each datagram is told, and chosen for each answer. */
static bool set_options(int fd, int family)
{
	int on = 1, off = 0, size = RECEIVE_BUFFER;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	if (family == AF_INET)
		/* Large messages go out as fragments rather than not at all. */
		return !setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)) &&
		       !setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &off, sizeof(off));
	return !setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) &&
	       !setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on)) &&
	       !setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &off, sizeof(off));
}

/* Return: false only when it matters; *fd is -1 on a machine without IPv6. */
static bool bind_udp(int *fd, int family, uint16_t port)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };
	const void *sa = family == AF_INET ? (void *)&in : (void *)&in6;
	socklen_t len = family == AF_INET ? sizeof(in) : sizeof(in6);

	*fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (*fd >= 0 && set_options(*fd, family) && !bind(*fd, sa, len))
		return true;
	if (family == AF_INET6 && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL)) {
		if (*fd >= 0)
			close(*fd);
		*fd = -1;
		return true;
	}
	moat_log(MOAT_LOG_ERR, "start-failed", NULL, "UDP port %u (%s): %s%s", port,
		 family == AF_INET ? "IPv4" : "IPv6", strerror(errno),
		 errno == EADDRINUSE ? ": does another IKE daemon run here?" : "");
	return false;
}

bool moat_supervisor_bind(struct moat_supervisor *s)
{
	s->sockets[MOAT_SOCKET_CONTROL] = bind_control(s);
	return s->sockets[MOAT_SOCKET_CONTROL] >= 0 &&
	       bind_udp(&s->sockets[MOAT_SOCKET_IKE4], AF_INET, IKE_PORT) &&
	       bind_udp(&s->sockets[MOAT_SOCKET_IKE6], AF_INET6, IKE_PORT) &&
	       bind_udp(&s->sockets[MOAT_SOCKET_NATT4], AF_INET, NATT_PORT) &&
	       bind_udp(&s->sockets[MOAT_SOCKET_NATT6], AF_INET6, NATT_PORT);
}

void moat_supervisor_unbind(struct moat_supervisor *s)
{
	char path[4096];

	for (unsigned int i = 0; i < MOAT_SOCKETS; i++) {
		if (s->sockets[i] >= 0)
			close(s->sockets[i]);
	}
	if (s->sockets[MOAT_SOCKET_CONTROL] >= 0) {
		snprintf(path, sizeof(path), "%s/moat.sock", s->rundir);
		unlink(path);
	}
	if (s->lock >= 0)
		close(s->lock);
}
