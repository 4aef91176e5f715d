/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who gives way when all connections of the control socket are taken. */
#ifndef MOAT_PRIV_CROWD_H
#define MOAT_PRIV_CROWD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/**
 * struct moat_seat - a connection that stands
 * @uid: whose it is
 * @busy: it waits for something, or watches
 * @since: when it last asked for anything
 */
struct moat_seat {
	uid_t uid;
	bool busy;
	uint64_t since;
};

/**
 * moat_crowd_victim() - who gives way to a newcomer
 * @seats: all that are taken
 * @n: how many
 * @newcomer: who wants one
 *
 * An idle one of the user that has the most, or of anybody; else the oldest busy
 * one of a user that has more than the newcomer. So nobody keeps others out.
 *
 * Return: its index; -1 when the newcomer itself has to go.
 */
int moat_crowd_victim(const struct moat_seat *seats, unsigned int n, uid_t newcomer);

#endif
