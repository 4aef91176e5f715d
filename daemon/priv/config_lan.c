// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A local net inside a remote net: what the gateway and its own hosts send each
 * other would go to the peer, unless a bypass takes it first.
 */
#include <string.h>

#include "priv/config_internal.h"

static bool is_whole(const uint16_t port[2])
{
	return port[0] == 0 && port[1] == UINT16_MAX;
}

/* The kernel's order: priority, then how specific the networks are. */
static bool goes_before(const struct moat_tunnel_conf *a, const struct moat_selector *x,
			const struct moat_tunnel_conf *b, const struct moat_selector *y)
{
	if (a->priority != b->priority)
		return a->priority < b->priority;
	return moat_range_prefix(&x->local) + moat_range_prefix(&x->remote) >
	       moat_range_prefix(&y->local) + moat_range_prefix(&y->remote);
}

static bool spares(const struct moat_tunnel_conf *other,
		   const struct moat_tunnel_conf *tunnel,
		   const struct moat_selector *selector)
{
	if (other->action != MOAT_ACTION_BYPASS || other->device[0] ||
	    (other->mark && other->mark != tunnel->mark))
		return false;
	for (unsigned int i = 0; i < other->n_pairs; i++) {
		const struct moat_selector *s = &other->pairs[i].selector;

		if (!s->protocol && is_whole(s->local_port) && is_whole(s->remote_port) &&
		    moat_range_within(&selector->local, &s->local) &&
		    moat_range_within(&selector->local, &s->remote) &&
		    goes_before(other, s, tunnel, selector))
			return true;
	}
	return false;
}

static bool is_spared(const struct moat_config *config,
		      const struct moat_tunnel_conf *tunnel,
		      const struct moat_selector *selector)
{
	for (unsigned int i = 0; i < config->n_tunnels; i++) {
		if (spares(config->tunnels[i], tunnel, selector))
			return true;
	}
	return false;
}

static void check(const struct moat_config *config, const struct moat_tunnel_conf *tunnel,
		  const struct moat_selector *selector, struct moat_mistakes *mistakes)
{
	char local[2 * MOAT_ADDR_STRLEN], remote[2 * MOAT_ADDR_STRLEN];

	moat_range_str(&selector->local, local);
	if (!moat_range_within(&selector->local, &selector->remote) ||
	    is_spared(config, tunnel, selector))
		return;
	moat_warning(
		mistakes, tunnel->file, tunnel->line,
		"tunnel \"%s\": its local-net %s lies inside its remote-net %s: what "
		"the gateway sends to its own hosts there goes to the peer. A tunnel "
		"is needed with action = \"bypass\", local-net = \"%s\", remote-net "
		"= \"%s\" and a priority below %u",
		tunnel->name, local, moat_range_str(&selector->remote, remote), local,
		local, tunnel->priority);
}

void moat_check_lans(const struct moat_config *config, struct moat_mistakes *mistakes)
{
	for (unsigned int i = 0; i < config->n_tunnels; i++) {
		const struct moat_tunnel_conf *tunnel = config->tunnels[i];

		/* Into a device goes only what is routed there. */
		if (tunnel->action != MOAT_ACTION_PROTECT || tunnel->device[0])
			continue;
		for (unsigned int j = 0; j < tunnel->n_pairs; j++) {
			/* Of these it is the peer's own address. */
			if (tunnel->any &&
			    !moat_range_prefix(&tunnel->pairs[j].selector.remote))
				continue;
			check(config, tunnel, &tunnel->pairs[j].selector, mistakes);
		}
	}
}
