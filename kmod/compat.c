// SPDX-License-Identifier: GPL-2.0
/* What older kernels lack and compat.h can not do inline. */

#include <linux/atomic.h>

#include "compat.h"

#ifdef MOAT_COMPAT_MSG_BUF
char *moat_compat_msg_buf(void)
{
	static char bufs[64][NETLINK_MAX_FMTMSG_LEN];
	static atomic_t next;

	return bufs[atomic_inc_return(&next) % ARRAY_SIZE(bufs)];
}
#endif
