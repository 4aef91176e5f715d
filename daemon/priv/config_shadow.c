// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Traffic that a tunnel of better priority takes: no packet would ever meet
 * the policy. The kernel's order is priority first; of equal ones the more
 * specific wins, so that only a better priority can shadow.
 */
#include <stdlib.h>
#include <string.h>

#include "priv/config_internal.h"

/**
 * struct shade - a pair, filed under its networks
 * @size: the lengths of both prefixes, and the family
 */
struct shade {
	const struct moat_selector *selector;
	const struct moat_tunnel_conf *tunnel;
	uint8_t size[3];
};

static int by_networks(const void *a, const void *b)
{
	const struct shade *x = a, *y = b;
	int d = memcmp(x->size, y->size, sizeof(x->size));

	if (!d)
		d = memcmp(x->selector->local.first.bytes, y->selector->local.first.bytes,
			   x->size[0]);
	if (!d)
		d = memcmp(x->selector->remote.first.bytes,
			   y->selector->remote.first.bytes, x->size[0]);
	return d;
}

static bool within(const uint16_t inner[2], const uint16_t outer[2])
{
	return inner[0] >= outer[0] && inner[1] <= outer[1];
}

static bool shadows(const struct shade *other, const struct shade *shade)
{
	const struct moat_selector *outer = other->selector, *inner = shade->selector;
	const struct moat_tunnel_conf *a = other->tunnel, *b = shade->tunnel;

	return a->priority < b->priority && (!a->mark || a->mark == b->mark) &&
	       !strcmp(a->device, b->device) &&
	       (!outer->protocol || outer->protocol == inner->protocol) &&
	       within(inner->local_port, outer->local_port) &&
	       within(inner->remote_port, outer->remote_port);
}

static void clear_behind(struct moat_addr *addr, unsigned int prefix)
{
	for (unsigned int i = prefix; i < addr->len * 8U; i++)
		addr->bytes[i / 8] &= ~(0x80 >> i % 8);
}

/* Whoever has networks of the size of @like, among those around @shade's. */
static const struct shade *find(const struct shade *all, size_t n,
				const struct shade *shade, const struct shade *like)
{
	struct moat_selector around = *shade->selector;
	struct shade key = { .selector = &around };
	const struct shade *found;

	memcpy(key.size, like->size, sizeof(key.size));
	clear_behind(&around.local.first, like->size[1]);
	clear_behind(&around.remote.first, like->size[2]);
	found = bsearch(&key, all, n, sizeof(*all), by_networks);
	while (found && found > all && !by_networks(&key, found - 1))
		found--;
	for (; found && found < all + n && !by_networks(&key, found); found++) {
		if (shadows(found, shade))
			return found;
	}
	return NULL;
}

static void check(const struct shade *all, size_t n, const struct shade *shade,
		  struct moat_mistakes *mistakes)
{
	char local[2 * MOAT_ADDR_STRLEN], remote[2 * MOAT_ADDR_STRLEN];
	const struct moat_tunnel_conf *tunnel = shade->tunnel;
	const struct shade *like = all, *found = NULL;

	/* one search for each size of networks that occurs */
	for (; like < all + n && !found; like++) {
		if (like > all && !memcmp(like->size, like[-1].size, sizeof(like->size)))
			continue;
		if (like->size[0] == shade->size[0] && like->size[1] <= shade->size[1] &&
		    like->size[2] <= shade->size[2])
			found = find(all, n, shade, like);
	}
	if (!found)
		return;
	moat_warning(mistakes, tunnel->file, tunnel->line,
		     "tunnel \"%s\": no packet from %s to %s will meet it: tunnel \"%s\" "
		     "(%s:%u) covers them and has priority %u, which goes before %u",
		     tunnel->name, moat_range_str(&shade->selector->local, local),
		     moat_range_str(&shade->selector->remote, remote),
		     found->tunnel->name, found->tunnel->file, found->tunnel->line,
		     found->tunnel->priority, tunnel->priority);
}

void moat_check_shadows(const struct moat_config *config, struct moat_mistakes *mistakes)
{
	struct shade *all, *next;
	size_t n = 0;

	for (unsigned int i = 0; i < config->n_tunnels; i++)
		n += config->tunnels[i]->n_pairs;
	all = next = calloc(n + 1, sizeof(*all));
	if (!all)
		abort();
	for (unsigned int i = 0; i < config->n_tunnels; i++) {
		const struct moat_tunnel_conf *tunnel = config->tunnels[i];

		/* What its peers may have is decided when they come. */
		for (unsigned int j = 0; j < tunnel->n_pairs && !tunnel->any;
		     j++, next++) {
			const struct moat_selector *s = &tunnel->pairs[j].selector;

			*next = (struct shade){ s,
						tunnel,
						{ s->local.first.len,
						  moat_range_prefix(&s->local),
						  moat_range_prefix(&s->remote) } };
		}
	}
	n = next - all;
	qsort(all, n, sizeof(*all), by_networks);
	for (next = all; next < all + n; next++)
		check(all, n, next, mistakes);
	free(all);
}
