// SPDX-License-Identifier: GPL-2.0-or-later
/* The netlink client as commands use it. */
#include <errno.h>
#include "cli/cli.h"

/** moat_kernel_open() - the netlink client, or NULL after a complaint */
struct moat_nl *moat_kernel_open(void)
{
	struct moat_nl *nl;

	if (!moat_nl_open(&nl))
		return nl;
	moat_failed("%s", nl ? moat_nl_error(nl) : "out of memory");
	moat_nl_close(nl);
	return NULL;
}

/**
 * moat_kernel_done() - close the client, and complain about a failure
 * @nl: client
 * @err: 0 or the negative errno of the last request
 *
 * Return: enum moat_exit
 */
int moat_kernel_done(struct moat_nl *nl, int err)
{
	int status = err ? moat_failed("%s", moat_nl_error(nl)) : MOAT_EXIT_DONE;

	moat_nl_close(nl);
	return status;
}
