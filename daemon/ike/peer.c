// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What tunnels with one peer share. One ISAKMP SA serves them all, as with other
 * implementations, which have one for each pair of identities; a second one whose
 * side knew nothing of the first would have it ended. Where the tunnels want its
 * keeping otherwise they agree on what is best for all. A tunnel that is stricter
 * about how it comes about has another one made.
 */
#include "ike/ike1.h"

static uint32_t shorter(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static struct moat_terms terms_of(const struct moat_tunnel_conf *conf)
{
	return (struct moat_terms){
		.nat_t = conf->nat_t,
		.fragmentation = conf->fragmentation,
		.ike_lifetime = conf->ike_lifetime,
		.dpd = conf->dpd,
		.dpd_timeout = conf->dpd_timeout,
	};
}

/* Each as the tunnel has it that asks for more; false is a peer that cannot. */
static void meet(struct moat_terms *terms, const struct moat_tunnel_conf *conf)
{
	if (conf->nat_t > terms->nat_t)
		terms->nat_t = conf->nat_t;
	terms->fragmentation &= conf->fragmentation;
	terms->ike_lifetime = shorter(terms->ike_lifetime, conf->ike_lifetime);
	if (!conf->dpd)
		return;
	if (terms->dpd) {
		terms->dpd = shorter(terms->dpd, conf->dpd);
		terms->dpd_timeout = shorter(terms->dpd_timeout, conf->dpd_timeout);
	} else {
		terms->dpd = conf->dpd;
		terms->dpd_timeout = conf->dpd_timeout;
	}
}

void moat_peer_agree(struct moat_ike *ike)
{
	struct moat_tunnel *tunnel;
	struct moat_tunnel *other;
	struct moat_isakmp *sa;

	TAILQ_FOREACH(tunnel, &ike->tunnels, link) {
		tunnel->terms = terms_of(&tunnel->conf);
		/* Those made of a template have its terms, and are as many as peers. */
		if (tunnel->template)
			continue;
		TAILQ_FOREACH(other, &ike->tunnels, link) {
			if (!other->template && moat_tunnel_same_peer(other, tunnel))
				meet(&tunnel->terms, &other->conf);
		}
	}
	TAILQ_FOREACH(sa, &ike->isakmps, link) {
		if (sa->state == MOAT_QM_IDLE)
			moat_dpd_sooner(sa);
	}
}

void moat_peer_alone(struct moat_tunnel *tunnel)
{
	tunnel->terms = terms_of(&tunnel->conf);
}

bool moat_peer_suits(const struct moat_isakmp *sa, const struct moat_tunnel *tunnel)
{
	return moat_tunnel_same_peer(sa->tunnel, tunnel) &&
	       sa->exchange == moat_phase1_exchange(&tunnel->conf) &&
	       (!sa->alg.cipher || moat_ike_algs_have(&tunnel->conf.ike, &sa->alg));
}

/* Are both for the same two names? An address without a name is none. */
static bool same_names(const struct moat_tunnel_conf *a, const struct moat_tunnel_conf *b)
{
	return a->remote_id.type && moat_identity_same(&a->remote_id, &b->remote_id) &&
	       moat_identity_same(&a->local_id, &b->local_id);
}

static bool has_child_at(const struct moat_tunnel *tunnel, const struct moat_isakmp *sa)
{
	for (unsigned int i = 0; i < tunnel->conf.n_pairs; i++) {
		const struct moat_child *child = tunnel->pairs[i].current;

		if (child && (same_names(&tunnel->conf, &sa->tunnel->conf) ||
			      (moat_addr_equal(&child->local, &sa->local.addr) &&
			       moat_addr_equal(&child->peer.addr, &sa->remote.addr))))
			return true;
	}
	return false;
}

bool moat_peer_known(const struct moat_isakmp *sa)
{
	const struct moat_isakmp *other;
	const struct moat_tunnel *tunnel;

	if (moat_peer_has_children(sa->tunnel) || moat_isakmp_ready(sa->tunnel))
		return true;
	TAILQ_FOREACH(other, &sa->ike->isakmps, link) {
		if (other->state == MOAT_QM_IDLE &&
		    (same_names(&other->tunnel->conf, &sa->tunnel->conf) ||
		     (moat_addr_equal(&other->local.addr, &sa->local.addr) &&
		      moat_addr_equal(&other->remote.addr, &sa->remote.addr))))
			return true;
	}
	TAILQ_FOREACH(tunnel, &sa->ike->tunnels, link) {
		if (has_child_at(tunnel, sa))
			return true;
	}
	return false;
}
