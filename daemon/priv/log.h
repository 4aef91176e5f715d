/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The log: one event, one line, with a stable event name and the tunnel's name.
 * The supervisor writes it to stderr and syslog; the other processes send it
 * their lines.
 */
#ifndef MOAT_PRIV_LOG_H
#define MOAT_PRIV_LOG_H

#include "priv/ipc.h"

/** moat_log_open() - this process is the supervisor: it writes itself */
void moat_log_open(void);

/** moat_log_channel() - this process sends its lines to the supervisor on @fd */
void moat_log_channel(int fd);

/**
 * moat_log() - log one event
 * @level: how grave
 * @name: stable name of the event ("ike-established")
 * @tunnel: its tunnel, or NULL
 * @format: as for printf(), without newline
 *
 * Never blocks: when the supervisor does not keep up, lines are dropped, and
 * the next one that gets through says how many.
 */
void moat_log(enum moat_level level, const char *name, const char *tunnel,
	      const char *format, ...) __attribute__((format(printf, 4, 5)));

/** moat_log_write() - supervisor: write a line that another process sent */
void moat_log_write(const struct moat_ipc *msg);

/** moat_printable() - what others wrote becomes part of a line: keep it one */
void moat_printable(char *text);

#endif
