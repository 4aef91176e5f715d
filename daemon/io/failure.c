// SPDX-License-Identifier: GPL-2.0-or-later
/* The last failures, for `moat show failures`: what went wrong, when, how often. */
#include <string.h>
#include <time.h>

#include "io/io.h"

#define KEPT 64

/**
 * struct failure - one failure, and how often it came in a row
 */
struct failure {
	char name[48];
	char tunnel[MOAT_TUNNEL_NAME_MAX + 1];
	char text[MOAT_IPC_PATH];
	time_t first;
	time_t last;
	unsigned int count;
};

static struct failure failures[KEPT];
static unsigned int next;

static bool same(const struct failure *f, const char *name, const char *tunnel,
		 const char *text)
{
	return f->count && !strcmp(f->name, name) && !strcmp(f->tunnel, tunnel) &&
	       !strncmp(f->text, text, sizeof(f->text) - 1);
}

void moat_failures_note(const char *name, const char *tunnel, const char *text)
{
	struct failure *f = NULL;

	if (!tunnel)
		tunnel = "";
	for (unsigned int i = 0; i < KEPT && !f; i++) {
		if (same(&failures[i], name, tunnel, text))
			f = &failures[i];
	}
	if (!f) {
		f = &failures[next++ % KEPT];
		snprintf(f->name, sizeof(f->name), "%s", name);
		snprintf(f->tunnel, sizeof(f->tunnel), "%s", tunnel);
		snprintf(f->text, sizeof(f->text), "%s", text);
		f->first = time(NULL);
		f->count = 0;
	}
	f->last = time(NULL);
	f->count++;
}

json_t *moat_failures_json(void)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < KEPT; i++) {
		const struct failure *f = &failures[(next + i) % KEPT];
		json_t *row;

		if (!f->count)
			continue;
		row = json_pack("{s:o, s:o, s:i, s:s, s:s%}", "first",
				moat_time_json(f->first), "last", moat_time_json(f->last),
				"count", (int)f->count, "event", f->name, "text", f->text,
				strnlen(f->text, sizeof(f->text)));
		if (!row)
			continue;
		json_object_set_new(row, "tunnel",
				    f->tunnel[0] ? json_string(f->tunnel) : json_null());
		json_array_append_new(list, row);
	}
	return list;
}
