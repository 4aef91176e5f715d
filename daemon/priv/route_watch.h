/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What rtnetlink says of links, addresses, routes and rules that change. */
#ifndef MOAT_PRIV_ROUTE_WATCH_H
#define MOAT_PRIV_ROUTE_WATCH_H

#include <stdbool.h>

/* The protocol of the routes that moatd installs; free in iproute2's rt_protos. */
#define MOAT_ROUTE_PROTOCOL 77

/**
 * moat_route_watch() - open a socket on which the kernel tells of changes
 *
 * Return: -1 with the reason in errno.
 */
int moat_route_watch(void);

/**
 * moat_route_drain() - read all that waits, without blocking
 *
 * Routes that moatd installs itself are no change: whoever looks again because
 * of what it has just mended never ends.
 *
 * Return: whether something has changed, or may have: messages were lost.
 */
bool moat_route_drain(int fd);

#endif
