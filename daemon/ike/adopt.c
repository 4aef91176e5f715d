// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * SAs of an earlier daemon. Policies and IPsec SAs stay in the kernel when a
 * daemon stops, crashes or is replaced, and go on carrying traffic; its ISAKMP
 * SAs are lost. Each SA carries a blob of ours from which the next daemon learns
 * what the kernel does not know of it. It takes the SAs over, and replaces them
 * by a phase 1 and quick modes of its own.
 */
#include "ike/ike1.h"

#include <stddef.h>
#include <string.h>

/*
 * The blob: version, flags, lifetime in seconds, PFS group, when it was made in
 * milliseconds since the kernel's start, of each protocol of the child its number
 * and both SPIs, the beginning of its lower nonce (enough to tell who wins when
 * both sides begin at once; older blobs have none), the cookies of the ISAKMP SAs that
 * the peer has with us, the newest first, and the tunnel's name. Another version is
 * another daemon's: its SAs are deleted.
 *
 * ISAKMP SAs come and go while the SA stands, so its inbound one gets a new blob with
 * each that is established, before any quick mode under it. It is a list, as the one
 * before stays for some time, and as those of earlier daemons stay until the peer has
 * been told. One that ended since then does no harm: the peer does not know it either.
 */
#define OWNER_VERSION	2
#define OWNER_INITIATOR 1
#define OWNER_BUNDLE	2
#define OWNER_NONCE	4
#define OWNER_COOKIES	8 /* times their number, up to 7; older blobs have one or none */
#define OWNER_HEAD	16
#define OWNER_SA	9
#define OWNER_NONCE_LEN 8

/**
 * struct owner - a blob that was read
 * @sas: protocols and SPIs of the child that the SA belongs to
 * @nonce: points into the blob, as @name does
 */
struct owner {
	bool initiator;
	uint32_t life;
	uint16_t group;
	uint64_t made;
	struct moat_child_sa sas[MOAT_BUNDLE_MAX];
	unsigned int n_sas;
	struct moat_view nonce;
	struct moat_cookies cookies[7];
	unsigned int n_cookies;
	struct moat_view name;
};

/* What the peer has with us: newest first, and behind them what it had before us. */
static unsigned int list_cookies(const struct moat_child *child,
				 struct moat_cookies list[MOAT_UNDER_MAX])
{
	const struct moat_tunnel *tunnel = child->pair->tunnel;
	const struct moat_isakmp *sa;
	unsigned int n = 0;

	TAILQ_FOREACH_REVERSE(sa, &tunnel->ike->isakmps, moat_isakmps, link)
	{
		if (n < MOAT_UNDER_MAX && sa->state == MOAT_QM_IDLE &&
		    moat_tunnel_same_peer(sa->tunnel, tunnel))
			list[n++] = sa->cky;
	}
	for (unsigned int i = 0; i < child->n_under && n < MOAT_UNDER_MAX; i++)
		list[n++] = child->under[i];
	return n;
}

void moat_owner_write(struct moat_sa_params *params, const struct moat_child *child)
{
	struct moat_cookies cookies[MOAT_UNDER_MAX];
	unsigned int n = list_cookies(child, cookies);
	const char *name = child->pair->tunnel->conf.name;
	bool nonce = child->nonce.len >= OWNER_NONCE_LEN;
	uint8_t *to = params->owner;

	to[0] = OWNER_VERSION;
	to[1] = (child->initiator ? OWNER_INITIATOR : 0) |
		(child->n_sas > 1 ? OWNER_BUNDLE : 0) | (nonce ? OWNER_NONCE : 0) |
		n * OWNER_COOKIES;
	moat_set32(to + 2, child->life);
	moat_set16(to + 6, child->sas[0].alg.group);
	moat_set32(to + 8, (uint32_t)(child->begun_at >> 32));
	moat_set32(to + 12, (uint32_t)child->begun_at);
	to += OWNER_HEAD;
	for (unsigned int i = 0; i < child->n_sas; i++, to += OWNER_SA) {
		to[0] = child->sas[i].protocol;
		moat_set32(to + 1, child->sas[i].spi_in);
		moat_set32(to + 5, child->sas[i].spi_out);
	}
	if (nonce) {
		memcpy(to, child->nonce.data, OWNER_NONCE_LEN);
		to += OWNER_NONCE_LEN;
	}
	for (unsigned int i = 0; i < n; i++, to += 2 * MOAT_COOKIE_LEN) {
		memcpy(to, cookies[i].i, MOAT_COOKIE_LEN);
		memcpy(to + MOAT_COOKIE_LEN, cookies[i].r, MOAT_COOKIE_LEN);
	}
	memcpy(to, name, strlen(name));
	params->owner_len = (uint16_t)(to - params->owner + (ptrdiff_t)strlen(name));
}

static bool owner_read(const struct moat_sa_params *params, struct owner *owner)
{
	const uint8_t *from = params->owner;
	const uint8_t *end = from + params->owner_len;

	if (params->owner_len < OWNER_HEAD || params->owner_len > MOAT_OWNER_MAX ||
	    from[0] != OWNER_VERSION)
		return false;
	*owner = (struct owner){
		.initiator = from[1] & OWNER_INITIATOR,
		.n_sas = from[1] & OWNER_BUNDLE ? 2 : 1,
		.life = moat_get32(from + 2),
		.group = moat_get16(from + 6),
		.made = (uint64_t)moat_get32(from + 8) << 32 | moat_get32(from + 12),
		.n_cookies = from[1] / OWNER_COOKIES % 8,
	};
	if (from[1] & OWNER_NONCE)
		owner->nonce.len = OWNER_NONCE_LEN;
	if (params->owner_len < OWNER_HEAD + owner->n_sas * OWNER_SA + owner->nonce.len +
					owner->n_cookies * 2 * MOAT_COOKIE_LEN)
		return false;
	from += OWNER_HEAD;
	for (unsigned int i = 0; i < owner->n_sas; i++, from += OWNER_SA) {
		owner->sas[i].protocol = from[0];
		owner->sas[i].spi_in = moat_get32(from + 1);
		owner->sas[i].spi_out = moat_get32(from + 5);
	}
	owner->nonce.data = from;
	from += owner->nonce.len;
	for (unsigned int i = 0; i < owner->n_cookies; i++, from += 2 * MOAT_COOKIE_LEN) {
		memcpy(owner->cookies[i].i, from, MOAT_COOKIE_LEN);
		memcpy(owner->cookies[i].r, from + MOAT_COOKIE_LEN, MOAT_COOKIE_LEN);
	}
	owner->name = moat_view(from, (size_t)(end - from));
	return true;
}

bool moat_owner_name(const struct moat_sa_params *params,
		     char name[MOAT_TUNNEL_NAME_MAX + 1])
{
	struct owner owner;

	if (!owner_read(params, &owner) || !owner.name.len ||
	    owner.name.len > MOAT_TUNNEL_NAME_MAX)
		return false;
	memcpy(name, owner.name.data, owner.name.len);
	name[owner.name.len] = '\0';
	return true;
}

/* Its peer is one that the tunnel still has, and it carries what the pair says. */
static bool fits(const struct moat_pair *pair, const struct moat_sa_params *sa)
{
	const struct moat_tunnel_conf *conf = &pair->tunnel->conf;
	bool in = sa->direction == MOAT_DIRECTION_IN;
	const struct moat_addr *remote = in ? &sa->src : &sa->dst;

	if (conf->action != MOAT_ACTION_PROTECT || sa->mode != conf->mode ||
	    !moat_addr_equal(in ? &sa->dst : &sa->src, &conf->local) ||
	    !moat_range_within(&sa->selector.local, &pair->selector.local) ||
	    !moat_range_within(&sa->selector.remote, &pair->selector.remote))
		return false;
	for (unsigned int i = 0; i < conf->n_remote; i++) {
		if (moat_addr_equal(&conf->remote[i], remote))
			return true;
	}
	return false;
}

static struct moat_child *find_child(struct moat_pair *pair, const struct owner *owner)
{
	struct moat_child *child;

	TAILQ_FOREACH(child, &pair->children, link) {
		if (child->adopted && child->sas[0].spi_in == owner->sas[0].spi_in &&
		    child->sas[0].spi_out == owner->sas[0].spi_out)
			return child;
	}
	return NULL;
}

static struct moat_child *make_child(struct moat_pair *pair,
				     const struct moat_sa_params *sa,
				     const struct owner *owner)
{
	bool in = sa->direction == MOAT_DIRECTION_IN;
	struct moat_child *child = moat_child_alloc(pair);

	child->adopted = true;
	memcpy(child->sas, owner->sas, sizeof(child->sas));
	child->n_sas = owner->n_sas;
	child->local = in ? sa->dst : sa->src;
	child->remote = in ? sa->src : sa->dst;
	child->selector = sa->selector;
	child->life = owner->life;
	child->initiator = owner->initiator;
	child->established = owner->made;
	child->begun_at = owner->made;
	if (owner->nonce.len)
		moat_blob_set(&child->nonce, owner->nonce.data, owner->nonce.len);
	child->udp = sa->encap[0];
	child->port = sa->encap[in];
	child->peer.port = sa->encap[!in];
	child->peer.addr = sa->peer.len ? sa->peer : child->remote;
	return child;
}

/* What the kernel knows better than the blob. */
static void take_algorithms(struct moat_child *child, const struct moat_event *event,
			    const struct owner *owner)
{
	const struct moat_sa_params *sa = event->adopt.sa;
	uint8_t protocol =
		sa->protocol == MOAT_IPPROTO_AH ? MOAT_PROTO_AH : MOAT_PROTO_ESP;

	for (unsigned int i = 0; i < child->n_sas; i++) {
		if (child->sas[i].protocol != protocol)
			continue;
		child->sas[i].alg = (struct moat_sa_alg){
			.protocol = protocol,
			.enc = sa->enc,
			.key_bits = event->adopt.key_bits,
			.auth = sa->auth,
			.icv_len = sa->icv_len,
			.group = owner->group,
			.esn = sa->esn,
		};
	}
}

/* Of the SA that moat_adopt_note() keeps up to date. */
static void take_cookies(struct moat_child *child, const struct moat_sa_params *sa,
			 const struct owner *owner)
{
	if (sa->direction != MOAT_DIRECTION_IN ||
	    sa->protocol != moat_child_protocol(&child->sas[0]))
		return;
	for (unsigned int i = 0; i < owner->n_cookies && i < MOAT_UNDER_MAX; i++)
		child->under[child->n_under++] = owner->cookies[i];
}

static void delete_sa(struct moat_ike *ike, const struct moat_sa_params *sa)
{
	struct moat_act *act = moat_act_new(ike->acts, MOAT_ACT_SA_DEL);

	act->sa = moat_dup(sa, sizeof(*sa));
	act->sa->bundle = 0; /* one at a time: no second one follows here */
}

void moat_adopt(struct moat_ike *ike, const struct moat_event *event)
{
	const struct moat_sa_params *sa = event->adopt.sa;
	struct moat_pair *pair = moat_pair_find(ike, sa->policy);
	bool in = sa->direction == MOAT_DIRECTION_IN;
	struct moat_child *child;
	struct owner owner;

	if (pair && event->adopt.current)
		pair->inherited = true;
	if (!pair || !owner_read(sa, &owner) || !fits(pair, sa)) {
		delete_sa(ike, sa);
		return;
	}
	child = find_child(pair, &owner);
	if (!child)
		child = make_child(pair, sa, &owner);
	take_algorithms(child, event, &owner);
	take_cookies(child, sa, &owner);
	if (in)
		child->in_added = true;
	else
		child->switched = true;
	if (event->adopt.current) {
		pair->current = child;
		pair->policy_local = child->local;
		pair->policy_remote = child->udp ? child->peer.addr : child->remote;
	}
}

/* What came of the SAs of one pair. */
static unsigned int resume_pair(struct moat_pair *pair)
{
	struct moat_child *child = TAILQ_FIRST(&pair->children);
	unsigned int adopted = 0;

	/* The edge left the policy as it was: another peer would cost it its SA. */
	if (pair->inherited)
		moat_pair_policy(pair, MOAT_ACT_POLICY_SET);
	/* That is where the peer was reached last. */
	if (pair->current)
		moat_peer_use_address(pair->tunnel, &pair->current->remote);
	while (child) {
		struct moat_child *next = TAILQ_NEXT(child, link);

		if (child->adopted) {
			moat_child_resume(child, child == pair->current);
			adopted++;
		}
		child = next;
	}
	return adopted;
}

void moat_adopt_end(struct moat_ike *ike)
{
	struct moat_tunnel *tunnel;

	ike->adopting = false;
	TAILQ_FOREACH(tunnel, &ike->tunnels, link) {
		unsigned int adopted = 0;

		for (unsigned int i = 0; i < tunnel->conf.n_pairs; i++)
			adopted += resume_pair(&tunnel->pairs[i]);
		if (adopted)
			moat_dpd_watch(tunnel, ike->now);
		if (adopted)
			moat_act_log(ike->acts, MOAT_LOG_INFO, "ipsec-adopted",
				     tunnel->conf.name,
				     "%u pairs of SAs of an earlier daemon go on",
				     adopted);
		moat_tunnel_start(tunnel);
	}
}

static bool same_cookies(const struct moat_cookies *a, const struct moat_cookies *b)
{
	return !memcmp(a->i, b->i, MOAT_COOKIE_LEN) &&
	       !memcmp(a->r, b->r, MOAT_COOKIE_LEN);
}

static bool names(const struct moat_child *child, const struct moat_cookies *cky)
{
	for (unsigned int i = 0; i < child->n_under; i++) {
		if (same_cookies(&child->under[i], cky))
			return true;
	}
	return false;
}

/* Is anything of an earlier daemon that names this ISAKMP SA yet to be replaced? */
static bool hangs_on(const struct moat_tunnel *peer, const struct moat_cookies *cky)
{
	const struct moat_child *child;

	MOAT_PEER_FOREACH_CHILD(child, peer) {
		if (child->adopted && !child->old && names(child, cky))
			return true;
	}
	return false;
}

static void note(const struct moat_child *child)
{
	struct moat_act *act =
		moat_act_new(child->pair->tunnel->ike->acts, MOAT_ACT_SA_SET);

	moat_child_name_sa(act, child, MOAT_DIRECTION_IN);
	moat_owner_write(act->sa, child);
}

void moat_adopt_note(const struct moat_isakmp *sa)
{
	const struct moat_child *child;

	MOAT_PEER_FOREACH_CHILD(child, sa->tunnel) {
		if (child->in_added)
			note(child);
	}
}

/*
 * An ISAKMP SA of an earlier daemon is lost to us, and not to the peer. libreswan goes
 * on waiting under it for an answer to its dead peer detection, though it asks again
 * and is answered under the new one, and ends all SAs when none has come in time. Not
 * before there are others: peers may end IPsec SAs with the ISAKMP SA that they came
 * from.
 */
void moat_adopt_replaced(const struct moat_child *child)
{
	struct moat_tunnel *tunnel = child->pair->tunnel;
	struct moat_isakmp *sa = moat_isakmp_ready(tunnel);
	char name[MOAT_ISAKMP_STRLEN];

	for (unsigned int i = 0; sa && i < child->n_under; i++) {
		const struct moat_cookies *cky = &child->under[i];

		if (hangs_on(tunnel, cky))
			continue;
		moat_info_delete_isakmp(sa, cky);
		moat_act_log(tunnel->ike->acts, MOAT_LOG_DEBUG, "ike-orphan",
			     tunnel->conf.name,
			     "told the peer to delete an ISAKMP SA of an earlier daemon, "
			     "cookies %08x%08x:%08x%08x; %s",
			     moat_get32(cky->i), moat_get32(cky->i + 4),
			     moat_get32(cky->r), moat_get32(cky->r + 4),
			     moat_isakmp_name(sa, name));
	}
}
