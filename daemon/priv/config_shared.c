// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tunnels with one peer that want its ISAKMP SA otherwise. It serves all of them, and
 * they agree on what is best for all (ike/peer.c): who wrote them should know.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "priv/config_internal.h"

/* In the order of the files, as far as their peers are the same. */
struct place {
	const struct moat_tunnel_conf *tunnel;
	unsigned int number;
};

static int by_remote(const struct moat_remote_conf *a, const struct moat_remote_conf *b)
{
	if (a->name && b->name)
		return strcmp(a->name, b->name);
	if (a->name || b->name)
		return a->name ? 1 : -1;
	if (a->addr.len != b->addr.len)
		return a->addr.len - b->addr.len;
	return memcmp(a->addr.bytes, b->addr.bytes, a->addr.len);
}

static int by_peer(const void *a, const void *b)
{
	const struct place *x = a, *y = b;
	int d = by_remote(&x->tunnel->written[0], &y->tunnel->written[0]);

	return d ? d : (x->number > y->number) - (x->number < y->number);
}

static bool same_peer(const struct moat_tunnel_conf *a, const struct moat_tunnel_conf *b)
{
	if (a->n_written != b->n_written || a->local_any != b->local_any)
		return false;
	for (unsigned int i = 0; i < a->n_written; i++) {
		if (by_remote(&a->written[i], &b->written[i]))
			return false;
	}
	return moat_conf_same_peer(a, b);
}

/**
 * struct two - tunnels with one peer
 * @a: stands first
 */
struct two {
	const struct moat_tunnel_conf *a, *b;
	struct moat_mistakes *mistakes;
};

static void warn(const struct two *two, enum moat_conf_key key, const char *what,
		 const char *rule)
{
	moat_warning(two->mistakes, two->b->file, moat_conf_line(two->b, key),
		     "tunnel \"%s\": %s tunnel \"%s\" (%s:%u), which has the same peer: "
		     "%s",
		     two->b->name, what, two->a->name, two->a->file,
		     moat_conf_line(two->a, key), rule);
}

static void check_number(const struct two *two, const char *key, uint32_t a, uint32_t b,
			 const char *rule)
{
	char what[96];

	snprintf(what, sizeof(what), "%s is %u here, and %u in", key, b, a);
	if (a != b)
		warn(two, MOAT_CONF_NONE, what, rule);
}

static bool lacks(const struct moat_ike_algs *list, const struct moat_ike_algs *other)
{
	for (unsigned int i = 0; i < other->count; i++) {
		if (!moat_ike_algs_have(list, &other->alg[i]))
			return true;
	}
	return false;
}

static void compare(const struct two *two)
{
	static const char shorter[] = "the shorter one counts for both";
	const struct moat_tunnel_conf *a = two->a, *b = two->b;

	check_number(two, "ike-lifetime", a->ike_lifetime, b->ike_lifetime, shorter);
	check_number(two, "dpd", a->dpd, b->dpd,
		     "the shorter one that is not 0 counts for both");
	if (a->dpd && b->dpd)
		check_number(two, "dpd-timeout", a->dpd_timeout, b->dpd_timeout, shorter);
	if (a->nat_t != b->nat_t)
		warn(two, MOAT_CONF_NONE, "nat-t is another one than that of",
		     "\"force\" counts before \"auto\", that before \"off\", for both");
	if (a->fragmentation != b->fragmentation)
		warn(two, MOAT_CONF_NONE, "fragmentation is another one than that of",
		     "false counts for both");
	if (a->exchange != b->exchange)
		warn(two, MOAT_CONF_EXCHANGE, "exchange is another one than that of",
		     "each has an ISAKMP SA of its own");
	if (lacks(&a->ike, &b->ike) || lacks(&b->ike, &a->ike))
		warn(two, MOAT_CONF_IKE, "ike is another list than that of",
		     "an ISAKMP SA with algorithms that only one of them has does not "
		     "serve the other");
}

/* Each with the first one of its peer: that is enough to see what differs. */
static void check(const struct place *all, size_t n, struct moat_mistakes *mistakes)
{
	for (size_t i = 1; i < n; i++) {
		for (size_t j = 0; j < i; j++) {
			const struct two two = { all[j].tunnel, all[i].tunnel, mistakes };

			if (!same_peer(two.a, two.b))
				continue;
			compare(&two);
			break;
		}
	}
}

void moat_check_shared(const struct moat_config *config, struct moat_mistakes *mistakes)
{
	struct place *all = calloc(config->n_tunnels + 1, sizeof(*all));
	size_t n = 0;

	if (!all)
		abort();
	for (unsigned int i = 0; i < config->n_tunnels; i++) {
		if (config->tunnels[i]->action == MOAT_ACTION_PROTECT &&
		    config->tunnels[i]->n_written)
			all[n++] = (struct place){ config->tunnels[i], i };
	}
	qsort(all, n, sizeof(*all), by_peer);
	for (size_t i = 0, end; i < n; i = end) {
		const struct moat_remote_conf *remote = &all[i].tunnel->written[0];

		for (end = i + 1; end < n; end++) {
			if (by_remote(&all[end].tunnel->written[0], remote))
				break;
		}
		check(all + i, end - i, mistakes);
	}
	free(all);
}
