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

/** moat_act_proved() - whose message this step is about has proved who it is */
static inline void moat_act_proved(struct moat_acts *acts)
{
	if (acts->cause == MOAT_BY_STRANGER)
		acts->cause = MOAT_BY_PEER;
}

/**
 * moat_act_log() - append one event of the log
 * @acts: the list
 * @level: how loud
 * @name: stable name of the event; a string constant
 * @tunnel: name of the tunnel, NULL for none
 * @fmt: printf format of the line, without newline
 *
 * Return: it, or NULL when it is left out.
 */
struct moat_act *moat_act_log(struct moat_acts *acts, enum moat_level level,
			      const char *name, const char *tunnel, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
/** moat_act_blame() - a line, which may be NULL, is about this peer's doing */
void moat_act_blame(struct moat_act *line, const struct moat_addr *peer);

/**
 * moat_act_explain() - a refusal, explained: one event of the log, kept per peer
 * @acts: the list
 * @name: stable name of the event
 * @conf: tunnel that did not fit, NULL when no one alone is to blame
 * @peer: whose message was refused
 * @why: what differs, and which setting would mend it
 * @fmt: what happened; @why's text and the place of its setting follow
 */
void moat_act_explain(struct moat_acts *acts, const char *name,
		      const struct moat_tunnel_conf *conf, const struct moat_addr *peer,
		      const struct moat_mismatch *why, const char *fmt, ...)
	__attribute__((format(printf, 6, 7)));

#endif
