// SPDX-License-Identifier: GPL-2.0-or-later
/* How a process of moatd gives up what it does not need. */
#include "priv/rights.h"

#include <cap-ng.h>
#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "priv/log.h"

static void __attribute__((noreturn)) fail(const char *what)
{
	moat_log(MOAT_LOG_ERR, "rights-failed", NULL, "%s: %s", what, strerror(errno));
	exit(1);
}

/*
 * The sanitizers read /proc when they report, and LeakSanitizer traces its own
 * process: in a build with them both stay possible.
 */
static void shut_off(const char *dir)
{
#ifdef __SANITIZE_ADDRESS__
	(void)dir;
#else
	if (chroot(dir) || chdir("/"))
		fail(dir);
#endif
}

static void forbid_tracing(void)
{
#ifdef __SANITIZE_ADDRESS__
	if (prctl(PR_SET_DUMPABLE, 1))
		fail("PR_SET_DUMPABLE");
#else
	if (prctl(PR_SET_DUMPABLE, 0))
		fail("PR_SET_DUMPABLE");
#endif
}

void moat_rights_drop(const char *user, const char *dir, bool net_admin)
{
	const struct rlimit none = { 0, 0 };
	const struct passwd *pw = getpwnam(user);

	if (!pw) {
		errno = ENOENT;
		fail(user);
	}
	if (setrlimit(RLIMIT_CORE, &none))
		fail("RLIMIT_CORE");
	if (dir)
		shut_off(dir);
	capng_clear(CAPNG_SELECT_BOTH);
	if (net_admin)
		capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_NET_ADMIN);
	if (capng_change_id(pw->pw_uid, pw->pw_gid,
			    CAPNG_DROP_SUPP_GRP | CAPNG_CLEAR_BOUNDING))
		fail("changing the user");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		fail("PR_SET_NO_NEW_PRIVS");
	forbid_tracing();
}
