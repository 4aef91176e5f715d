// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Two tunnels that are each other's mirror: what comes out of one meets the policy
 * of the other and goes back. Between two peers that is a hub, and in order; with
 * one and the same peer it is a loop, from a file that was written for its side.
 */
#include <stdlib.h>
#include <string.h>

#include "priv/config_internal.h"

/**
 * struct side - a pair and whose it is
 */
struct side {
	struct moat_selector selector;
	const struct moat_tunnel_conf *tunnel;
};

/* By networks alone: only then are the few that are left compared in full. */
static int by_networks(const void *a, const void *b)
{
	const struct side *x = a, *y = b;
	int d = memcmp(&x->selector.local, &y->selector.local, sizeof(x->selector.local));

	return d ? d
		 : memcmp(&x->selector.remote, &y->selector.remote,
			  sizeof(x->selector.remote));
}

static struct side mirror(const struct side *side)
{
	struct side other = *side;

	other.selector.local = side->selector.remote;
	other.selector.remote = side->selector.local;
	return other;
}

static bool same_peer(const struct moat_tunnel_conf *a, const struct moat_tunnel_conf *b)
{
	for (unsigned int i = 0; i < a->n_remote; i++) {
		for (unsigned int j = 0; j < b->n_remote; j++) {
			if (moat_addr_equal(&a->remote[i], &b->remote[j]))
				return true;
		}
	}
	return false;
}

static bool overlap(const uint16_t a[2], const uint16_t b[2])
{
	return a[0] <= b[1] && b[0] <= a[1];
}

static bool loops(const struct side *a, const struct side *b)
{
	const struct moat_selector *x = &a->selector, *y = &b->selector;

	return a->tunnel != b->tunnel && same_peer(a->tunnel, b->tunnel) &&
	       a->tunnel->mark == b->tunnel->mark &&
	       (!x->protocol || !y->protocol || x->protocol == y->protocol) &&
	       overlap(x->local_port, y->remote_port) &&
	       overlap(x->remote_port, y->local_port);
}

/* The one of the two that stands further down is the mistake. */
static void check(const struct side *all, size_t n, const struct side *side,
		  struct moat_mistakes *mistakes)
{
	const struct side key = mirror(side);
	const struct side *found = bsearch(&key, all, n, sizeof(*all), by_networks);
	char local[2 * MOAT_ADDR_STRLEN], remote[2 * MOAT_ADDR_STRLEN];

	while (found && found > all && !by_networks(&key, found - 1))
		found--;
	for (; found && found < all + n && !by_networks(&key, found); found++) {
		if (found->tunnel->line >= side->tunnel->line &&
		    found->tunnel->file == side->tunnel->file)
			continue;
		if (!loops(side, found))
			continue;
		moat_mistake(mistakes, side->tunnel->file, side->tunnel->line,
			     "tunnel \"%s\": %s to %s is the traffic of tunnel \"%s\" "
			     "(%s:%u) the other way round, with the same peer, so what "
			     "comes out of one goes back into the other: one of them is "
			     "the peer's view; exchange its local-net and remote-net, or "
			     "remove it",
			     side->tunnel->name,
			     moat_range_str(&side->selector.local, local),
			     moat_range_str(&side->selector.remote, remote),
			     found->tunnel->name, found->tunnel->file,
			     found->tunnel->line);
		return;
	}
}

void moat_check_swapped(const struct moat_config *config, struct moat_mistakes *mistakes)
{
	struct side *all;
	size_t n = 0;

	for (unsigned int i = 0; i < config->n_tunnels; i++)
		n += config->tunnels[i]->n_pairs;
	all = calloc(n + 1, sizeof(*all));
	if (!all)
		abort();
	n = 0;
	for (unsigned int i = 0; i < config->n_tunnels; i++) {
		const struct moat_tunnel_conf *tunnel = config->tunnels[i];

		/* Into a device goes only what is routed there. */
		if (tunnel->action != MOAT_ACTION_PROTECT || tunnel->device[0])
			continue;
		for (unsigned int j = 0; j < tunnel->n_pairs; j++)
			all[n++] = (struct side){ tunnel->pairs[j].selector, tunnel };
	}
	qsort(all, n, sizeof(*all), by_networks);
	for (size_t i = 0; i < n; i++)
		check(all, n, &all[i], mistakes);
	free(all);
}
