/* SPDX-License-Identifier: GPL-2.0 */
/* Packets that come before their inbound SA has its keys. */
#ifndef _MOAT_EARLY_H
#define _MOAT_EARLY_H

#include <linux/skbuff.h>

#include "sa.h"

/* What moat_sa.early says of the packets that are found to be the SA's. */
enum moat_early {
	MOAT_EARLY_NONE,	/* they are opened */
	MOAT_EARLY_WAIT,	/* they wait, or queue behind others that do */
	MOAT_EARLY_GONE,	/* an SPI that is reserved no more: look again */
};

/**
 * moat_early_hold() - Keep a packet until its SA has its keys.
 * @sa: found for it, moat_sa.early is set
 * @skb: the packet; skb->data is its ESP or AH header, or with UDP its IP
 *	header
 *
 * Context: BH disabled, rcu_read_lock().
 * Return: true: taken, held or dropped; false: look for its SA again, which has
 * taken the place of @sa, or is ready, or @sa is out of the database.
 */
bool moat_early_hold(struct moat_sa *sa, struct sk_buff *skb);

/**
 * moat_early_move() - What waits at a reserved SPI waits at its SA; locked.
 * @reserved: just replaced in the database
 * @sa: by this one, in whose queue newer packets may be already
 */
void moat_early_move(struct moat_sa *reserved, struct moat_sa *sa);

/**
 * moat_early_release() - Open what waits, in order, then let packets pass; locked.
 * @sa: in the database and complete, as is the rest of its bundle; at a reserved
 *	SPI nothing happens
 *
 * Sleeps.
 */
void moat_early_release(struct moat_sa *sa);

/**
 * moat_early_drop() - Nothing waits any more; locked.
 * @sa: out of the database
 */
void moat_early_drop(struct moat_sa *sa);

#endif /* _MOAT_EARLY_H */
