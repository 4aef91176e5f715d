/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How a process of moatd gives up what it does not need. */
#ifndef MOAT_PRIV_RIGHTS_H
#define MOAT_PRIV_RIGHTS_H

#include <stdbool.h>

/**
 * moat_rights_drop() - become a user without rights, in an empty directory
 * @user: whose user and group
 * @dir: the directory that becomes the root
 * @net_admin: keep CAP_NET_ADMIN, and nothing else
 *
 * No core dumps, no new privileges, not to be traced. Ends the process with a
 * line in the log when anything of it fails.
 */
void moat_rights_drop(const char *user, const char *dir, bool net_admin);

#endif
