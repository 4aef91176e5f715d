/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The mark that tells a packet that came out of an SA from one that arrived
 * in clear, between delivery and the first PRE_ROUTING hook.
 */
#ifndef _MOAT_MARK_H
#define _MOAT_MARK_H

#include <linux/skbuff.h>

/**
 * moat_mark_init() - Make the marks.
 * @owner: a device of ours, by which they are known
 *
 * Return: 0 or -ENOMEM.
 */
int moat_mark_init(struct net_device *owner);

/** moat_mark_exit() - Packets that are still marked keep theirs alive. */
void moat_mark_exit(void);

/**
 * moat_mark_set() - This packet came out of an SA.
 * @skb: packet without a dst
 *
 * Context: BH disabled.
 */
void moat_mark_set(struct sk_buff *skb);

/**
 * moat_mark_take() - Take the mark off.
 * @skb: packet at PRE_ROUTING
 *
 * Return: whether it had one.
 */
bool moat_mark_take(struct sk_buff *skb);

#endif /* _MOAT_MARK_H */
