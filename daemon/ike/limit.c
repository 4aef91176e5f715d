// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Lines of the log that others cause. What comes before authentication is limited
 * by the kind of event alone: addresses, ports, cookies and which tunnel is meant
 * are for a stranger to choose. What a peer causes that has proved who it is counts
 * against its tunnel, so that one peer does not hide what happens to the others.
 */
#include "ike/core.h"

#include <stdio.h>
#include <string.h>

#define REPORT_AFTER (10 * MOAT_SECOND)

/* So many at once, and one each so many milliseconds from then on. */
static const struct {
	uint64_t burst;
	uint64_t each;
} rates[] = {
	[MOAT_BY_PEER] = { 50, 200 },
	[MOAT_BY_STRANGER] = { 20, 5000 },
};

/* FNV-1a; tunnels that meet in a place share what it lets through, with no stranger. */
static unsigned int place_of(const char *key)
{
	uint32_t hash = 2166136261u;

	for (; *key; key++)
		hash = (hash ^ (uint8_t)*key) * 16777619u;
	return hash % MOAT_LIMIT_PLACES;
}

static void leave_out(struct moat_ike *ike, const char *name)
{
	struct moat_left_out *kind = ike->limit.left_out;

	while (kind->name && strcmp(kind->name, name) != 0 &&
	       kind < ike->limit.left_out + MOAT_LIMIT_KINDS - 1)
		kind++;
	if (!kind->name)
		kind->name = name;
	else if (strcmp(kind->name, name) != 0)
		kind->name = "others"; /* the last place is for all that found none */
	kind->count++;
	if (!ike->limit.timer.slot)
		moat_timer_after(ike, &ike->limit.timer, REPORT_AFTER);
}

bool moat_limit_ok(struct moat_ike *ike, enum moat_cause cause, const char *name,
		   const char *tunnel)
{
	const char *key = cause == MOAT_BY_STRANGER || !tunnel ? name : tunnel;
	uint64_t *used;

	if (cause == MOAT_BY_US)
		return true;
	used = &ike->limit.used_until[cause][place_of(key)];
	if (*used < ike->now)
		*used = ike->now;
	if (*used - ike->now > (rates[cause].burst - 1) * rates[cause].each) {
		leave_out(ike, name);
		return false;
	}
	*used += rates[cause].each;
	return true;
}

/* One line about all that was left out, so there are never more of it than these. */
static void report(struct moat_ike *ike, void *owner)
{
	struct moat_left_out *kind = ike->limit.left_out;
	unsigned int count = 0;
	char text[768];
	size_t len = 0;

	(void)owner;
	for (; kind < ike->limit.left_out + MOAT_LIMIT_KINDS && kind->name; kind++) {
		count += kind->count;
		len += snprintf(text + len, sizeof(text) - len, "%s%s %u",
				len ? ", " : "", kind->name, kind->count);
		if (len >= sizeof(text))
			len = sizeof(text) - 1;
	}
	moat_act_log(
		ike->acts, MOAT_LOG_WARN, "log-limited", NULL,
		"%u lines about messages of others were left out in the last %llu s: "
		"%s",
		count, REPORT_AFTER / MOAT_SECOND, text);
	memset(ike->limit.left_out, 0, sizeof(ike->limit.left_out));
}

void moat_limit_prepare(struct moat_ike *ike)
{
	ike->limit.timer.fire = report;
}
