// SPDX-License-Identifier: GPL-2.0
/* Selectors: whether they cover a packet, or each other. */

#include <linux/inetdevice.h>
#include <net/ipv6.h>

#include "flow.h"

union nf_inet_addr moat_addr_mask(const union nf_inet_addr *addr, u8 family,
				  u8 prefix)
{
	union nf_inet_addr masked = {};

	if (family == AF_INET)
		masked.ip = addr->ip & inet_make_mask(prefix);
	else
		ipv6_addr_prefix(&masked.in6, &addr->in6, prefix);
	return masked;
}

static bool moat_prefix_match(u8 family, const union nf_inet_addr *net,
			      u8 prefix, const union nf_inet_addr *addr)
{
	if (family == AF_INET)
		return !((net->ip ^ addr->ip) & inet_make_mask(prefix));
	return ipv6_prefix_equal(&net->in6, &addr->in6, prefix);
}

bool moat_selector_match(const struct moat_selector *sel,
			 const struct moat_flow *flow)
{
	if (!sel->family)
		return true;
	return sel->family == flow->family &&
	       (!sel->protocol || sel->protocol == flow->protocol) &&
	       moat_ports_match(sel, flow) &&
	       moat_prefix_match(sel->family, &sel->local, sel->local_prefix,
				 &flow->local) &&
	       moat_prefix_match(sel->family, &sel->remote, sel->remote_prefix,
				 &flow->remote);
}

bool moat_selector_covers(const struct moat_selector *outer,
			  const struct moat_selector *inner)
{
	if (!outer->family)
		return true;
	return outer->family == inner->family &&
	       (!outer->protocol || outer->protocol == inner->protocol) &&
	       outer->local_port_min <= inner->local_port_min &&
	       outer->local_port_max >= inner->local_port_max &&
	       outer->remote_port_min <= inner->remote_port_min &&
	       outer->remote_port_max >= inner->remote_port_max &&
	       outer->local_prefix <= inner->local_prefix &&
	       outer->remote_prefix <= inner->remote_prefix &&
	       moat_prefix_match(outer->family, &outer->local,
				 outer->local_prefix, &inner->local) &&
	       moat_prefix_match(outer->family, &outer->remote,
				 outer->remote_prefix, &inner->remote);
}

bool moat_selector_meets(const struct moat_selector *a,
			 const struct moat_selector *b)
{
	return (!a->protocol || !b->protocol || a->protocol == b->protocol) &&
	       a->local_port_min <= b->local_port_max &&
	       b->local_port_min <= a->local_port_max &&
	       a->remote_port_min <= b->remote_port_max &&
	       b->remote_port_min <= a->remote_port_max;
}

void moat_selector_hosts(struct moat_selector *sel, u8 family,
			 const union nf_inet_addr *local,
			 const union nf_inet_addr *remote)
{
	memset(sel, 0, sizeof(*sel));
	sel->family = family;
	sel->local = *local;
	sel->remote = *remote;
	sel->local_prefix = moat_addr_bits(family);
	sel->remote_prefix = moat_addr_bits(family);
	sel->local_port_max = U16_MAX;
	sel->remote_port_max = U16_MAX;
}

bool moat_selector_is_hosts(const struct moat_selector *sel, u8 family,
			    const union nf_inet_addr *local,
			    const union nf_inet_addr *remote)
{
	return sel->family == family &&
	       sel->local_prefix == moat_addr_bits(family) &&
	       sel->remote_prefix == moat_addr_bits(family) &&
	       moat_addr_equal(&sel->local, local) &&
	       moat_addr_equal(&sel->remote, remote);
}
