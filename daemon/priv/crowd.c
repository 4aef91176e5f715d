// SPDX-License-Identifier: GPL-2.0-or-later
/* Places of the control socket are few: shared fairly between its users. */
#include "priv/crowd.h"

#include <stddef.h>

static unsigned int count(const struct moat_seat *seats, unsigned int n, uid_t uid)
{
	unsigned int found = 0;

	for (unsigned int i = 0; i < n; i++)
		found += seats[i].uid == uid;
	return found;
}

/* Who has the most; the newcomer counts as one more, and goes first when equal. */
static uid_t greediest(const struct moat_seat *seats, unsigned int n, uid_t newcomer)
{
	unsigned int most = count(seats, n, newcomer) + 1;
	uid_t uid = newcomer;

	for (unsigned int i = 0; i < n; i++) {
		unsigned int has = count(seats, n, seats[i].uid);

		if (seats[i].uid == newcomer || has <= most)
			continue;
		most = has;
		uid = seats[i].uid;
	}
	return uid;
}

static int oldest(const struct moat_seat *seats, unsigned int n, const uid_t *uid,
		  bool busy)
{
	int found = -1;

	for (unsigned int i = 0; i < n; i++) {
		if ((!uid || seats[i].uid == *uid) && seats[i].busy == busy &&
		    (found < 0 || seats[i].since < seats[found].since))
			found = (int)i;
	}
	return found;
}

int moat_crowd_victim(const struct moat_seat *seats, unsigned int n, uid_t newcomer)
{
	uid_t uid = greediest(seats, n, newcomer);
	int found = oldest(seats, n, &uid, false);

	if (found < 0)
		found = oldest(seats, n, NULL, false);
	if (found < 0 && uid != newcomer)
		found = oldest(seats, n, &uid, true);
	return found;
}
