// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Devices of route-based tunnels. One that a tunnel names and that is not there
 * is made, so that its policies stand before anything is routed to it. None is
 * ever deleted: with it its routes would go, and what they led to it would leave
 * by the next one, in clear.
 */
#include <net/if.h>
#include <netlink/netlink.h>
#include <netlink/route/link.h>
#include <string.h>

#include "priv/kernel_internal.h"
#include "priv/log.h"

static int make(struct nl_sock *nl, const char *name)
{
	struct rtnl_link *link = rtnl_link_alloc();
	int err;

	if (!link)
		return -NLE_NOMEM;
	rtnl_link_set_name(link, name);
	err = rtnl_link_set_type(link, "moat");
	rtnl_link_set_flags(link, IFF_UP);
	if (!err)
		err = rtnl_link_add(nl, link, NLM_F_CREATE | NLM_F_EXCL);
	rtnl_link_put(link);
	return err;
}

bool moat_device_make(const char *name, const char *tunnel, char *why, size_t size)
{
	struct nl_sock *nl = nl_socket_alloc();
	int err = nl ? nl_connect(nl, NETLINK_ROUTE) : -NLE_NOMEM;

	if (!err)
		err = make(nl, name);
	nl_socket_free(nl);
	if (err == -NLE_EXIST)
		snprintf(why, size,
			 "device %s is not of type moat: rename one of them, or write "
			 "another name",
			 name);
	else if (err)
		snprintf(why, size, "device %s cannot be made: %s", name,
			 nl_geterror(err));
	else
		moat_log(MOAT_LOG_INFO, "device-made", tunnel,
			 "%s, of type moat, for what is routed to it", name);
	return !err;
}
