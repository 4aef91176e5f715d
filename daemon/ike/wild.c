// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Peers from anywhere: a tunnel with remote = "any" is a template. Who proves its
 * name under it gets a tunnel of its own, made from it (NAME:1, NAME:2, ...), and
 * policies for what it asks for within the template's networks. They go with the
 * peer's SAs. The template itself discards what nobody is there for.
 */
#include "ike/mismatch.h"
#include "ike/wild.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A name is one peer's, wherever it is: its certificate has proved it. */
static struct moat_tunnel *find(struct moat_tunnel *template,
				const struct moat_identity *peer)
{
	struct moat_tunnel *tunnel;

	TAILQ_FOREACH(tunnel, &template->ike->tunnels, link) {
		if (tunnel->template == template &&
		    moat_identity_same(&tunnel->conf.remote_id, peer))
			return tunnel;
	}
	return NULL;
}

/* The lowest one that is free, so that few names are ever used; 0 for none. */
static unsigned int free_number(const struct moat_tunnel *template)
{
	bool used[MOAT_PEERS_MAX + 1] = { false };
	const struct moat_tunnel *tunnel;

	TAILQ_FOREACH(tunnel, &template->ike->tunnels, link) {
		if (tunnel->template == template)
			used[tunnel->number] = true;
	}
	for (unsigned int i = 1; i <= template->conf.peers && i <= MOAT_PEERS_MAX; i++) {
		if (!used[i])
			return i;
	}
	return 0;
}

static struct moat_tunnel *make(struct moat_tunnel *template, unsigned int number,
				const struct moat_identity *peer,
				const struct moat_addr *remote)
{
	struct moat_tunnel_conf conf = template->conf;
	struct moat_addr address = *remote;
	struct moat_tunnel *tunnel;

	snprintf(conf.name, sizeof(conf.name), "%.*s:%u", (int)sizeof(conf.name) - 12,
		 template->conf.name, number);
	conf.any = false;
	conf.start = MOAT_START_NONE;
	conf.remote = &address;
	conf.n_remote = 1;
	conf.remote_id = *peer;
	conf.narrow = false;
	conf.n_pairs = 0;
	tunnel = moat_tunnel_alloc(template->ike, &conf, MOAT_WILD_PAIRS);
	tunnel->template = template;
	tunnel->number = number;
	for (unsigned int i = 0; i < MOAT_WILD_PAIRS; i++)
		tunnel->pairs[i].vacant = true;
	TAILQ_INSERT_TAIL(&template->ike->tunnels, tunnel, link);
	return tunnel;
}

/* Has the peer, as we knew it, this address? Its NAT may have given it another. */
static bool was_at(const struct moat_tunnel *tunnel, const struct moat_addr *addr)
{
	const struct moat_isakmp *sa;
	const struct moat_child *child;

	TAILQ_FOREACH(sa, &tunnel->ike->isakmps, link) {
		if (sa->tunnel == tunnel && moat_addr_equal(&sa->remote.addr, addr))
			return true;
	}
	for (unsigned int i = 0; i < tunnel->conf.n_pairs; i++) {
		TAILQ_FOREACH(child, &tunnel->pairs[i].children, link) {
			if (moat_addr_equal(&child->peer.addr, addr))
				return true;
		}
	}
	return false;
}

/* It has come back from elsewhere, and hears nothing at its old address any more. */
static void replace(struct moat_tunnel *tunnel, const struct moat_addr *addr)
{
	struct moat_isakmp *sa = TAILQ_FIRST(&tunnel->ike->isakmps);
	char was[MOAT_ADDR_STRLEN];
	char is[MOAT_ADDR_STRLEN];

	moat_act_log(tunnel->ike->acts, MOAT_LOG_INFO, "wild-moved", tunnel->conf.name,
		     "the peer is at %s now, what it had at %s ends",
		     moat_addr_str(addr, is),
		     moat_addr_str(&tunnel->conf.remote[0], was));
	while (sa) {
		struct moat_isakmp *next = TAILQ_NEXT(sa, link);

		if (sa->tunnel == tunnel)
			moat_isakmp_remove(sa);
		sa = next;
	}
	moat_peer_forget_children(tunnel, UINT64_MAX, "the peer is elsewhere");
}

/* The configured peers are few, and known; of these each may have so many. */
static void limit_isakmps(const struct moat_tunnel *tunnel)
{
	struct moat_isakmp *oldest = NULL;
	struct moat_isakmp *sa;
	unsigned int n = 0;

	TAILQ_FOREACH(sa, &tunnel->ike->isakmps, link) {
		if (sa->tunnel != tunnel)
			continue;
		if (!oldest)
			oldest = sa;
		n++;
	}
	if (n < MOAT_WILD_ISAKMPS)
		return;
	tunnel->ike->refused[MOAT_REFUSE_LIMIT]++;
	moat_isakmp_remove(oldest);
}

bool moat_wild_take(struct moat_isakmp *sa)
{
	struct moat_view body = moat_blob_view(&sa->ids[sa->initiator ? 1 : 0]);
	struct moat_tunnel *template = sa->tunnel;
	struct moat_tunnel *tunnel;
	struct moat_identity peer;
	char text[MOAT_IDENTITY_STRLEN];
	unsigned int number;

	if (!template->conf.any)
		return true;
	if (!sa->verified || !moat_wild_identity(body, &peer)) {
		moat_isakmp_fail(sa, "the peer has proved no name");
		return false;
	}
	tunnel = find(template, &peer);
	if (tunnel) {
		if (!was_at(tunnel, &sa->remote.addr))
			replace(tunnel, &sa->remote.addr);
		tunnel->conf.remote[0] = sa->remote.addr;
		limit_isakmps(tunnel);
		sa->tunnel = tunnel;
		return true;
	}
	number = free_number(template);
	if (!number) {
		sa->ike->refused[MOAT_REFUSE_LIMIT]++;
		moat_isakmp_fail(sa,
				 "the tunnel has as many peers as it may have (peers)");
		return false;
	}
	sa->tunnel = make(template, number, &peer, &sa->remote.addr);
	moat_act_log(sa->ike->acts, MOAT_LOG_INFO, "wild-peer", sa->tunnel->conf.name,
		     "the peer is %s",
		     moat_identity_str(peer.type, moat_view(peer.data, peer.len), text));
	return true;
}

bool moat_wild_identity(struct moat_view body, struct moat_identity *id)
{
	struct moat_id peer;

	memset(id, 0, sizeof(*id));
	if (moat_id_parse(body, &peer, NULL) || !peer.data.len ||
	    peer.data.len > MOAT_ID_MAX)
		return false;
	if (peer.type != MOAT_ID_IPV4_ADDR && peer.type != MOAT_ID_IPV6_ADDR &&
	    peer.type != MOAT_ID_FQDN && peer.type != MOAT_ID_USER_FQDN &&
	    peer.type != MOAT_ID_DER_ASN1_DN && peer.type != MOAT_ID_KEY_ID)
		return false;
	id->type = peer.type;
	id->len = (uint16_t)peer.data.len;
	memcpy(id->data, peer.data.data, peer.data.len);
	return true;
}

/* ---- its pairs ---- */

static bool apart(const struct moat_range *a, const struct moat_range *b)
{
	size_t len = a->first.len;

	return len != b->first.len || memcmp(a->last.bytes, b->first.bytes, len) < 0 ||
	       memcmp(b->last.bytes, a->first.bytes, len) < 0;
}

static bool overlap(const struct moat_selector *a, const struct moat_selector *b)
{
	return !apart(&a->local, &b->local) && !apart(&a->remote, &b->remote) &&
	       (!a->protocol || !b->protocol || a->protocol == b->protocol);
}

/* What another tunnel has of it; of bypasses and discards the better one stays so. */
static const struct moat_pair *rival(const struct moat_tunnel *tunnel,
				     const struct moat_selector *s)
{
	const struct moat_tunnel *other;

	TAILQ_FOREACH(other, &tunnel->ike->tunnels, link) {
		if (other->conf.any || other->conf.device[0] ||
		    moat_tunnel_same_peer(other, tunnel) ||
		    (other->conf.action != MOAT_ACTION_PROTECT &&
		     other->conf.priority < tunnel->conf.priority))
			continue;
		for (unsigned int i = 0; i < other->conf.n_pairs; i++) {
			if (!other->pairs[i].vacant &&
			    overlap(&other->pairs[i].selector, s))
				return &other->pairs[i];
		}
	}
	return NULL;
}

/* A network of all addresses stands for the peer's own: else one had all traffic. */
static bool remote_fits(const struct moat_range *remote, const struct moat_range *max,
			const struct moat_tunnel *tunnel)
{
	const struct moat_range own = { tunnel->conf.remote[0], tunnel->conf.remote[0] };

	if (!moat_range_prefix(max))
		return moat_range_equal(remote, &own);
	return moat_range_within(remote, max);
}

static const struct moat_selector *maximum(const struct moat_tunnel *tunnel,
					   const struct moat_selector *s)
{
	const struct moat_tunnel_conf *conf = &tunnel->template->conf;

	for (unsigned int i = 0; i < conf->n_pairs; i++) {
		const struct moat_selector *max = &conf->pairs[i].selector;

		if (max->protocol == s->protocol &&
		    moat_quick_id_port(max->local_port) ==
			    moat_quick_id_port(s->local_port) &&
		    moat_quick_id_port(max->remote_port) ==
			    moat_quick_id_port(s->remote_port) &&
		    moat_range_within(&s->local, &max->local) &&
		    remote_fits(&s->remote, &max->remote, tunnel))
			return max;
	}
	return NULL;
}

static struct moat_pair *vacant_pair(struct moat_tunnel *tunnel)
{
	for (unsigned int i = 0; i < MOAT_WILD_PAIRS; i++) {
		if (!tunnel->pairs[i].vacant)
			continue;
		if (i >= tunnel->conf.n_pairs)
			tunnel->conf.n_pairs = i + 1;
		return &tunnel->pairs[i];
	}
	return NULL;
}

static void explain_rival(const struct moat_pair *pair, const struct moat_selector *s,
			  struct moat_mismatch *why)
{
	struct moat_text t = { why->text, sizeof(why->text), 0 };
	char asked[2 * MOAT_ADDR_STRLEN];
	char have[2 * MOAT_ADDR_STRLEN];

	moat_text_add(&t, "tunnel \"%s\" has traffic of this pair already",
		      pair->tunnel->conf.name);
	moat_explain_pair(why, &t, "remote-net", moat_range_str(&s->remote, asked),
			  moat_range_str(&pair->selector.remote, have));
}

struct moat_pair *moat_wild_pair(struct moat_tunnel *tunnel,
				 const struct moat_selector *s, struct moat_mismatch *why)
{
	const struct moat_selector *max = maximum(tunnel, s);
	const struct moat_pair *other;
	struct moat_pair *pair;

	if (!max)
		return NULL;
	other = rival(tunnel, s);
	if (other) {
		explain_rival(other, s, why);
		return NULL;
	}
	pair = vacant_pair(tunnel);
	if (!pair) {
		snprintf(why->text, sizeof(why->text),
			 "the peer has %u pairs of networks already", MOAT_WILD_PAIRS);
		return NULL;
	}
	pair->vacant = false;
	pair->selector = *max;
	pair->selector.local = s->local;
	pair->selector.remote = s->remote;
	pair->policy_remote = tunnel->conf.remote[0];
	pair->acquire_off = true; /* the peer begins */
	tunnel->conf.pairs[pair - tunnel->pairs].selector = pair->selector;
	tunnel->ike->sweep = true;
	return pair;
}

void moat_wild_stand(struct moat_pair *pair)
{
	if (pair->standing)
		return;
	pair->standing = true;
	moat_pair_policy(pair, MOAT_ACT_POLICY_ADD);
}

/* ---- the end ---- */

static bool in_use(const struct moat_pair *pair)
{
	return !TAILQ_EMPTY(&pair->children) || pair->quick || pair->answering;
}

static bool vacate(struct moat_tunnel *tunnel)
{
	bool empty = true;

	for (unsigned int i = 0; i < tunnel->conf.n_pairs; i++) {
		struct moat_pair *pair = &tunnel->pairs[i];

		if (pair->vacant)
			continue;
		if (in_use(pair)) {
			empty = false;
			continue;
		}
		if (pair->standing)
			moat_pair_policy(pair, MOAT_ACT_POLICY_DEL);
		free(pair->refused);
		pair->refused = NULL;
		pair->standing = false;
		pair->asked = false;
		pair->vacant = true;
	}
	return empty;
}

static bool has_isakmp(const struct moat_tunnel *tunnel)
{
	const struct moat_isakmp *sa;

	TAILQ_FOREACH(sa, &tunnel->ike->isakmps, link) {
		if (sa->tunnel == tunnel)
			return true;
	}
	return false;
}

void moat_wild_sweep(struct moat_ike *ike)
{
	struct moat_tunnel *tunnel = TAILQ_FIRST(&ike->tunnels);

	if (!ike->sweep || ike->adopting)
		return;
	ike->sweep = false;
	while (tunnel) {
		struct moat_tunnel *next = TAILQ_NEXT(tunnel, link);

		if (tunnel->template && vacate(tunnel) && !has_isakmp(tunnel))
			moat_tunnel_remove(tunnel, "its peer has gone");
		tunnel = next;
	}
}

/*
 * Where local-net holds our own address, what is discarded holds messages of IKE with
 * who is within remote-net. Between known ends they pass above all policies.
 */
void moat_wild_let_ike(struct moat_tunnel *template)
{
	static const uint16_t ports[] = { MOAT_IKE_PORT, MOAT_NAT_T_PORT };
	const struct moat_tunnel_conf *conf = &template->conf;
	const struct moat_range own = { conf->local, conf->local };

	for (unsigned int i = 0; i < 2 * conf->n_pairs; i++) {
		const struct moat_pair *pair = &template->pairs[i / 2];
		struct moat_pair *pass =
			&template->pairs[conf->n_pairs + template->n_passes];

		if (!pair->standing || !moat_range_within(&own, &pair->selector.local))
			continue;
		template->n_passes++;
		pass->selector = (struct moat_selector){ .local = own,
							 .remote = pair->selector.remote,
							 .protocol = MOAT_IPPROTO_UDP };
		pass->selector.local_port[0] = pass->selector.local_port[1] =
			ports[i % 2];
		pass->selector.remote_port[1] = UINT16_MAX;
		pass->passes = true;
		pass->standing = true;
		moat_pair_policy(pass, MOAT_ACT_POLICY_ADD);
	}
}

void moat_wild_claim(struct moat_ike *ike)
{
	struct moat_tunnel *tunnel;

	TAILQ_FOREACH(tunnel, &ike->tunnels, link) {
		unsigned int n = tunnel->conf.n_pairs + tunnel->n_passes;

		if (!tunnel->template && !tunnel->conf.any)
			continue;
		for (unsigned int i = 0; i < n; i++)
			moat_pair_policy(&tunnel->pairs[i], MOAT_ACT_POLICY_SET);
	}
}

bool moat_wild_has_peers(const struct moat_tunnel *template)
{
	const struct moat_tunnel *tunnel;

	TAILQ_FOREACH(tunnel, &template->ike->tunnels, link) {
		if (tunnel->template == template)
			return true;
	}
	return false;
}

void moat_wild_renew(struct moat_tunnel *template)
{
	const struct moat_tunnel_conf *from = &template->conf;
	struct moat_tunnel *tunnel;

	TAILQ_FOREACH(tunnel, &template->ike->tunnels, link) {
		if (tunnel->template != template)
			continue;
		moat_creds_get(from->creds);
		moat_creds_put(tunnel->conf.creds);
		tunnel->conf.creds = from->creds;
	}
}

void moat_wild_end(struct moat_tunnel *template, const char *why)
{
	struct moat_tunnel *tunnel = TAILQ_FIRST(&template->ike->tunnels);

	while (tunnel) {
		struct moat_tunnel *next = TAILQ_NEXT(tunnel, link);

		if (tunnel->template == template)
			moat_tunnel_remove(tunnel, why);
		tunnel = next;
	}
}
