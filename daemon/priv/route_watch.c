// SPDX-License-Identifier: GPL-2.0-or-later
/* What rtnetlink says of links, addresses, routes and rules that change. */
#include "priv/route_watch.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <unistd.h>

/* It has no name of the old kind. */
#define RTMGRP_IPV6_RULE (1U << (RTNLGRP_IPV6_RULE - 1))

int moat_route_watch(void)
{
	const struct sockaddr_nl groups = {
		.nl_family = AF_NETLINK,
		.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR |
			     RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE | RTMGRP_IPV4_RULE |
			     RTMGRP_IPV6_RULE,
	};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
			NETLINK_ROUTE);
	int err;

	if (fd < 0 || !bind(fd, (const struct sockaddr *)&groups, sizeof(groups)))
		return fd;
	err = errno;
	close(fd);
	errno = err;
	return -1;
}

static bool is_own(const struct nlmsghdr *h)
{
	const struct rtmsg *route = NLMSG_DATA(h);

	return h->nlmsg_type == RTM_NEWROUTE &&
	       h->nlmsg_len >= NLMSG_LENGTH(sizeof(*route)) &&
	       route->rtm_protocol == MOAT_ROUTE_PROTOCOL;
}

static bool tells_change(const struct nlmsghdr *h, size_t len)
{
	for (; NLMSG_OK(h, len); h = NLMSG_NEXT(h, len)) {
		if (!is_own(h))
			return true;
	}
	return false;
}

bool moat_route_drain(int fd)
{
	_Alignas(struct nlmsghdr) char message[8192];
	bool changed = false;
	ssize_t len;

	do {
		len = recv(fd, message, sizeof(message), MSG_DONTWAIT);
		if (len > 0 && !changed)
			changed = tells_change((const struct nlmsghdr *)message, len);
		else if (len < 0 && errno == ENOBUFS)
			changed = true;
	} while (len > 0 || (len < 0 && (errno == ENOBUFS || errno == EINTR)));
	return changed;
}
