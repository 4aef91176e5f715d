/* SPDX-License-Identifier: GPL-2.0-or-later */
/* DNS names of peers, in the supervisor: when they are asked for, what is known. */
#ifndef MOAT_PRIV_NAMES_H
#define MOAT_PRIV_NAMES_H

#include "priv/config.h"
#include "priv/ipc.h"

#define MOAT_NAMES_LOOK	  1   /* seconds between two looks at who is to be asked for */
#define MOAT_NAMES_SETTLE 300 /* ms: changes come in groups, and never cease with BGP */

/**
 * struct moat_name - one name
 * @addrs: last answer, @n of them; stays when an answer fails
 * @due: seconds of the monotonic clock, when it is asked for
 * @asked: nothing has come yet
 * @failed: the last answer was none
 * @wanted: a tunnel has it
 */
struct moat_name {
	char name[MOAT_NAME_MAX + 1];
	struct moat_addr addrs[MOAT_REMOTES_MAX];
	unsigned int n;
	uint64_t due;
	bool asked;
	bool failed;
	bool wanted;
};

/**
 * struct moat_names - all of them
 * @asked: how many questions are open
 */
struct moat_names {
	struct moat_name *list;
	unsigned int n;
	unsigned int asked;
};

/** moat_names_want() - these are the names from now on; what is known stays known */
void moat_names_want(struct moat_names *names, const struct moat_config *config);

/**
 * moat_names_due() - a name that is to be asked for now
 *
 * Return: the name, which counts as asked; or NULL.
 */
const char *moat_names_due(struct moat_names *names, uint64_t now);

/**
 * moat_names_take() - take an answer
 *
 * Return: true when it says something new.
 */
bool moat_names_take(struct moat_names *names, const struct moat_ipc *msg, uint64_t now);

/** moat_names_again() - who was asked is gone */
void moat_names_again(struct moat_names *names);

/**
 * moat_names_apply() - settle the ends of tunnels: names, and local = "any"
 *
 * Asks the routing table; nothing is sent. What is not known now stays as it was.
 *
 * Return: true when something has changed.
 */
bool moat_names_apply(const struct moat_names *names, struct moat_config *config);

/**
 * moat_names_read() - read what an earlier daemon knew
 *
 * Its SAs are adopted by the addresses of their peers, before any name server
 * has answered.
 */
void moat_names_read(struct moat_names *names, const char *file);
void moat_names_write(const struct moat_names *names, const char *file);
void moat_names_free(struct moat_names *names);

#endif
