/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Making actions: memory and the list that a step fills. */
#ifndef MOAT_IKE_ACT_H
#define MOAT_IKE_ACT_H

#include "ike/ike.h"

/**
 * moat_alloc() - zeroed memory
 * @size: octets
 *
 * A core that runs out of memory half way through an exchange cannot say what
 * it has done; it ends, and the supervisor starts it again.
 *
 * Return: memory, never NULL.
 */
void *moat_alloc(size_t size);

/** moat_dup() - a copy in memory of its own, never NULL */
void *moat_dup(const void *data, size_t len);

/** moat_act_new() - append a zeroed action of @type */
struct moat_act *moat_act_new(struct moat_acts *acts, enum moat_action_type type);

/**
 * moat_act_log() - append one event of the log
 * @acts: the list
 * @level: how loud
 * @name: stable name of the event; a string constant
 * @tunnel: name of the tunnel, NULL for none
 * @fmt: printf format of the line, without newline
 */
void moat_act_log(struct moat_acts *acts, enum moat_level level, const char *name,
		  const char *tunnel, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

#endif
