// SPDX-License-Identifier: GPL-2.0-or-later
/* What tunnels have carried: SAs come and go, totals never go backwards. */
#include <netinet/in.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "io/io.h"

/* tsearch() keeps what it is given, which the analyzer does not know. */
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct moat_totals *)a)->tunnel,
		      ((const struct moat_totals *)b)->tunnel);
}

static struct moat_totals *find(struct moat_io *io, const char *tunnel)
{
	struct moat_totals key = { 0 }, **found;

	snprintf(key.tunnel, sizeof(key.tunnel), "%s", tunnel);
	found = tfind(&key, &io->totals, by_name);
	return found ? *found : NULL;
}

static void add_reason(json_t *reasons, const char *name, uint64_t value)
{
	json_int_t before = json_integer_value(json_object_get(reasons, name));

	json_object_set_new(reasons, name, json_integer(before + (json_int_t)value));
}

/*
 * What an AH SA of a bundle has carried, the ESP SA within has as well. Of those that
 * go one is told for both: AH, or at its end without the number of a bundle.
 */
static bool within(const struct moat_ipc *info)
{
	return info->sa_info.bundle && info->sa_info.sa.protocol == IPPROTO_ESP;
}

void moat_totals_add(struct moat_totals *totals, const struct moat_ipc *info)
{
	unsigned int out = info->sa_info.sa.direction == MOAT_DIRECTION_OUT;

	if (!within(info)) {
		totals->packets[out] += info->sa_info.packets;
		totals->bytes[out] += info->sa_info.bytes;
	}
	for (unsigned int i = 0; i < info->sa_info.drops.n && i < MOAT_IPC_COUNTERS;
	     i++) {
		uint64_t value = info->sa_info.drops.list[i].value;

		if (!totals->reasons)
			totals->reasons = json_object();
		totals->drops += value;
		add_reason(totals->reasons, info->sa_info.drops.list[i].name, value);
	}
}

void moat_totals_keep(struct moat_io *io, const struct moat_ipc *info)
{
	char tunnel[MOAT_TUNNEL_NAME_MAX + 1];
	struct moat_totals *totals;

	/* Of a peer from anywhere the kernel process knows the template alone. */
	if (!moat_owner_name(&info->sa_info.sa, tunnel)) {
		memcpy(tunnel, info->sa_info.tunnel, sizeof(tunnel));
		tunnel[MOAT_TUNNEL_NAME_MAX] = '\0';
	}
	totals = find(io, tunnel);
	if (!totals) {
		totals = calloc(1, sizeof(*totals));
		if (!totals)
			abort();
		memcpy(totals->tunnel, tunnel, sizeof(tunnel));
		if (!tsearch(totals, &io->totals, by_name))
			abort();
	}
	moat_totals_add(totals, info);
}

struct moat_totals moat_totals_get(struct moat_io *io, const char *tunnel)
{
	struct moat_totals *found = find(io, tunnel);
	struct moat_totals totals = found ? *found : (struct moat_totals){ 0 };

	totals.reasons = totals.reasons ? json_deep_copy(totals.reasons) : json_object();
	return totals;
}

static void free_totals(void *node)
{
	struct moat_totals *totals = node;

	json_decref(totals->reasons);
	free(totals);
}

void moat_totals_free(struct moat_io *io)
{
	tdestroy(io->totals, free_totals);
	io->totals = NULL;
}
