/* SPDX-License-Identifier: GPL-2.0 */
/*
 * All differences between the kernels that Moat builds on (6.1 to 6.12); no
 * other file asks for the kernel's version.
 */
#ifndef _MOAT_COMPAT_H
#define _MOAT_COMPAT_H

#include <linux/netlink.h>
#include <linux/version.h>

/*
 * 6.3: an extack sentence with values in it. Before, the extack has no room
 * for one; it stays readable until the request is answered in a ring of
 * buffers (a request is answered by the task that refused it, at once).
 */
#ifndef NL_SET_ERR_MSG_FMT
#define NETLINK_MAX_FMTMSG_LEN 80
#define MOAT_COMPAT_MSG_BUF

char *moat_compat_msg_buf(void);

#define NL_SET_ERR_MSG_FMT(extack, fmt, args...) do {			\
	struct netlink_ext_ack *__extack = (extack);			\
	char *__buf = moat_compat_msg_buf();				\
									\
	snprintf(__buf, NETLINK_MAX_FMTMSG_LEN, fmt, ##args);		\
	if (__extack)							\
		__extack->_msg = __buf;					\
} while (0)
#endif

/* 6.10: the string of a trace event is named once */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 10, 0)
#define moat_assign_str(dst, src) __assign_str(dst, src)
#else
#define moat_assign_str(dst, src) __assign_str(dst)
#endif

/* 6.3: what the crypto API gives a callback */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
#define moat_crypto_arg struct crypto_async_request
#define moat_crypto_data(arg) ((arg)->data)
#else
#define moat_crypto_arg void
#define moat_crypto_data(arg) (arg)
#endif

/* 6.12: a device whose transmit function takes no lock says so elsewhere */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0)
#define moat_netdev_lockless(dev) ((dev)->features |= NETIF_F_LLTX)
#else
#define moat_netdev_lockless(dev) ((dev)->lltx = true)
#endif

/* 6.12: linux/unaligned.h; 6.5: net/gso.h */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0)
#include <asm/unaligned.h>
#else
#include <linux/unaligned.h>
#endif
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 5, 0)
#include <linux/netdevice.h>
#else
#include <net/gso.h>
#endif

/* 6.2: each namespace may have a table of UDP sockets of its own */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
#define moat_udp_table(net) (&udp_table)
#else
#define moat_udp_table(net) ((net)->ipv4.udp_table)
#endif

/*
 * Take the vector unit, as a task does that is interrupted while it uses it:
 * the crypto API's drivers then complete later, through cryptd. For tests;
 * elsewhere than on x86 it does nothing.
 */
#ifdef CONFIG_X86
#include <asm/fpu/api.h>

static inline bool moat_simd_take(void)
{
	if (!irq_fpu_usable())
		return false;
	kernel_fpu_begin();
	return true;
}

static inline void moat_simd_give(void)
{
	kernel_fpu_end();
}
#else
static inline bool moat_simd_take(void)
{
	return false;
}

static inline void moat_simd_give(void)
{
}
#endif

#endif /* _MOAT_COMPAT_H */
