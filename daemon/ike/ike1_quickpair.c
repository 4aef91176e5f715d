// SPDX-License-Identifier: GPL-2.0-or-later
/* Which pair of networks a quick mode of the peer is for, and why it is for none. */
#include "ike/ike1.h"
#include "ike/mismatch.h"
#include "ike/wild.h"

#include <stdio.h>
#include <string.h>

int moat_quick_selector(struct moat_ike1_in *in, struct moat_selector *s)
{
	const struct moat_payload *id = moat_message_find(&in->msg, MOAT_P_ID);
	uint8_t protocol[2] = { 0 };
	uint16_t port[2] = { 0 };

	memset(s, 0, sizeof(*s));
	s->local_port[1] = s->remote_port[1] = UINT16_MAX;
	if (!id) {
		/* None at all means the gateways themselves. */
		s->remote.first = s->remote.last = in->sa->remote.addr;
		s->local.first = s->local.last = in->sa->local.addr;
		return 0;
	}
	if (moat_quick_id_parse(id[0].body, &s->remote, &protocol[0], &port[0], &in->no))
		return -1;
	moat_blob_set(&in->quick->ids[0], id[0].body.data, id[0].body.len);
	do {
		id++;
	} while (id->type != MOAT_P_ID);
	if (moat_quick_id_parse(id->body, &s->local, &protocol[1], &port[1], &in->no))
		return -1;
	moat_blob_set(&in->quick->ids[1], id->body.data, id->body.len);
	if (protocol[0] != protocol[1])
		return moat_refuse(&in->no, MOAT_REFUSE_ID,
				   "IDci and IDcr differ in protocol");
	s->protocol = protocol[0];
	if (port[0])
		s->remote_port[0] = s->remote_port[1] = port[0];
	if (port[1])
		s->local_port[0] = s->local_port[1] = port[1];
	return moat_natt_translate(in, s);
}

static bool selector_fits(const struct moat_selector *have,
			  const struct moat_selector *asked, bool narrow)
{
	if (have->protocol != asked->protocol ||
	    moat_quick_id_port(have->local_port) !=
		    moat_quick_id_port(asked->local_port) ||
	    moat_quick_id_port(have->remote_port) !=
		    moat_quick_id_port(asked->remote_port))
		return false;
	if (narrow)
		return moat_range_within(&asked->local, &have->local) &&
		       moat_range_within(&asked->remote, &have->remote);
	return moat_range_equal(&asked->local, &have->local) &&
	       moat_range_equal(&asked->remote, &have->remote);
}

static struct moat_pair *pair_of(const struct moat_tunnel *tunnel,
				 const struct moat_selector *s, bool narrow)
{
	for (unsigned int i = 0; i < tunnel->conf.n_pairs; i++) {
		if (!tunnel->pairs[i].vacant &&
		    selector_fits(&tunnel->pairs[i].selector, s, narrow))
			return &tunnel->pairs[i];
	}
	return NULL;
}

static struct moat_pair *find_pair(struct moat_isakmp *sa, const struct moat_selector *s,
				   bool narrow)
{
	struct moat_tunnel *tunnel;

	TAILQ_FOREACH(tunnel, &sa->ike->tunnels, link) {
		struct moat_pair *pair;

		if (tunnel->down || !moat_peer_suits(sa, tunnel))
			continue;
		pair = pair_of(tunnel, s, narrow && tunnel->conf.narrow);
		if (pair)
			return pair;
	}
	return NULL;
}

static unsigned int range_nearness(const struct moat_range *have,
				   const struct moat_range *asked)
{
	if (moat_range_equal(have, asked))
		return 4;
	return moat_range_within(have, asked) || moat_range_within(asked, have) ? 2 : 0;
}

/* How much of what was asked for a tunnel has: 0 for not even the address family. */
static unsigned int nearness(const struct moat_tunnel *tunnel,
			     const struct moat_selector *s)
{
	unsigned int best = 0;

	for (unsigned int i = 0; i < tunnel->conf.n_pairs; i++) {
		const struct moat_selector *have = &tunnel->pairs[i].selector;
		unsigned int near = 1 + range_nearness(&have->local, &s->local) +
				    range_nearness(&have->remote, &s->remote);

		if (tunnel->pairs[i].vacant ||
		    have->local.first.len != s->local.first.len ||
		    have->remote.first.len != s->remote.first.len)
			continue;
		/* Two networks that it has, for other traffic, are less than just this. */
		near += selector_fits(have, s, false);
		best = near > best ? near : best;
	}
	return best;
}

/*
 * The tunnel that the operator would have to change, also one that is down: the one
 * that has most of what was asked for. NULL when several are as near as each other,
 * for a guess would send the operator to the wrong place.
 */
static const struct moat_tunnel *closest_tunnel(const struct moat_isakmp *sa,
						const struct moat_selector *s)
{
	const struct moat_tunnel *closest = NULL;
	const struct moat_tunnel *tunnel;
	unsigned int best = 0;
	bool tie = false;

	if (sa->tunnel->template)
		return sa->tunnel->template;
	TAILQ_FOREACH(tunnel, &sa->ike->tunnels, link) {
		unsigned int near;

		if (!moat_tunnel_same_peer(tunnel, sa->tunnel))
			continue;
		near = nearness(tunnel, s);
		if (closest && near < best)
			continue;
		tie = closest && near == best;
		closest = tunnel;
		best = near;
	}
	return tie ? NULL : closest;
}

static void nets_print(const struct moat_tunnel_conf *conf, bool local, char *out,
		       size_t size)
{
	struct moat_text t = { out, size, 0 };
	const struct moat_range *last = NULL;
	char net[2 * MOAT_ADDR_STRLEN];

	for (unsigned int i = 0; i < conf->n_pairs; i++) {
		const struct moat_selector *s = &conf->pairs[i].selector;
		const struct moat_range *range = local ? &s->local : &s->remote;

		if (!last || !moat_range_equal(last, range))
			moat_text_add(&t, "%s%s", last ? ", " : "",
				      moat_range_str(range, net));
		last = range;
	}
}

static void selector_print(const struct moat_selector *s, char *out, size_t size)
{
	snprintf(out, size, "protocol %u, ports %u and %u", s->protocol,
		 moat_quick_id_port(s->local_port), moat_quick_id_port(s->remote_port));
}

static bool has_net(const struct moat_tunnel_conf *conf, const struct moat_selector *s,
		    bool local)
{
	const struct moat_range *asked = local ? &s->local : &s->remote;

	for (unsigned int i = 0; i < conf->n_pairs; i++) {
		const struct moat_selector *pair = &conf->pairs[i].selector;
		const struct moat_range *have = local ? &pair->local : &pair->remote;

		if (conf->narrow || conf->any ? moat_range_within(asked, have)
					      : moat_range_equal(asked, have))
			return true;
	}
	return false;
}

/* Which of networks, protocol and ports no pair of this tunnel has. */
static void differences(const struct moat_tunnel *tunnel, const struct moat_selector *s,
			struct moat_text *t, struct moat_mismatch *why)
{
	const struct moat_tunnel_conf *conf = &tunnel->conf;
	bool local = has_net(conf, s, true), remote = has_net(conf, s, false);
	char asked[2 * MOAT_ADDR_STRLEN];
	char have[120];
	char traffic[2][48];
	bool other, crossed;

	selector_print(s, traffic[0], sizeof(traffic[0]));
	selector_print(&conf->pairs[0].selector, traffic[1], sizeof(traffic[1]));
	other = strcmp(traffic[0], traffic[1]) != 0;
	/* It has both networks, but not with each other: they are of two families. */
	crossed = local && remote && !other && !tunnel->down;
	nets_print(conf, true, have, sizeof(have));
	if (!local || crossed)
		moat_explain_pair(why, t, "local-net", moat_range_str(&s->local, asked),
				  have);
	nets_print(conf, false, have, sizeof(have));
	if (!remote || crossed)
		moat_explain_pair(why, t, "remote-net", moat_range_str(&s->remote, asked),
				  have);
	if (other)
		moat_explain_pair(why, t, "traffic", traffic[0], traffic[1]);
	/* The line to change: that of the first difference. */
	why->key = MOAT_CONF_LOCAL_NET;
	if (local && !crossed && !remote)
		why->key = MOAT_CONF_REMOTE_NET;
	else if (local && !crossed && other)
		why->key = MOAT_CONF_PROTOCOL;
}

static void explain_pair(const struct moat_tunnel *tunnel, const struct moat_selector *s,
			 struct moat_mismatch *why)
{
	const struct moat_tunnel_conf *conf = &tunnel->conf;
	struct moat_text t = { why->text, sizeof(why->text), 0 };

	moat_text_add(&t, "no tunnel with this peer that is up has just this pair");
	differences(tunnel, s, &t, why);
	if (tunnel->down)
		moat_text_add(&t, "; the tunnel is down: moat up %s", conf->name);
	for (unsigned int i = 0; i < conf->n_pairs && !conf->any; i++) {
		if (selector_fits(&tunnel->pairs[i].selector, s, false))
			return;
	}
	if (why->key == MOAT_CONF_PROTOCOL) {
		moat_text_add(&t, "; protocol and ports must equal the peer's");
		return;
	}
	moat_text_add(&t, "; %s",
		      conf->narrow || conf->any
			      ? "it must lie within local-net and remote-net"
			      : "local-net and remote-net must equal the peer's, or "
				"hold them with narrow = true");
}

/* Several are as near as each other, or as far: all are named, and none is blamed. */
static void explain_tunnels(const struct moat_isakmp *sa, const struct moat_selector *s,
			    struct moat_mismatch *why)
{
	struct moat_text t = { why->text, sizeof(why->text), 0 };
	const struct moat_tunnel *tunnel;
	char local[2 * MOAT_ADDR_STRLEN];
	char remote[2 * MOAT_ADDR_STRLEN];
	const char *comma = "";

	moat_text_add(&t,
		      "no tunnel with this peer that is up has just this pair: local-net "
		      "%s, remote-net %s; one of its tunnels must have it: ",
		      moat_range_str(&s->local, local),
		      moat_range_str(&s->remote, remote));
	TAILQ_FOREACH(tunnel, &sa->ike->tunnels, link) {
		if (!moat_tunnel_same_peer(tunnel, sa->tunnel))
			continue;
		moat_text_add(&t, "%s%s%s", comma, tunnel->conf.name,
			      tunnel->down ? " (down)" : "");
		comma = ", ";
	}
}

/* A tunnel between these ends has just this pair, and is not for this ISAKMP SA. */
static const struct moat_tunnel *elsewhere(const struct moat_isakmp *sa,
					   const struct moat_selector *s)
{
	const struct moat_tunnel *tunnel;

	TAILQ_FOREACH(tunnel, &sa->ike->tunnels, link) {
		const struct moat_tunnel_conf *conf = &tunnel->conf;

		if (!tunnel->down && conf->action == MOAT_ACTION_PROTECT &&
		    moat_addr_equal(&conf->local, &sa->local.addr) &&
		    moat_conf_at(conf, &sa->remote.addr) &&
		    !moat_peer_suits(sa, tunnel) && pair_of(tunnel, s, false))
			break;
	}
	return tunnel;
}

/* What tunnel @a demands of phase 1 that was not so for tunnel @b. */
static const char *other_peer(const struct moat_tunnel_conf *a,
			      const struct moat_tunnel_conf *b, enum moat_conf_key *key)
{
	*key = MOAT_CONF_AUTH;
	if (a->auth != b->auth)
		return "auth";
	*key = MOAT_CONF_LOCAL_ID;
	if (!moat_identity_same(&a->local_id, &b->local_id))
		return "local-id";
	*key = MOAT_CONF_REMOTE_ID;
	if (!moat_identity_same(&a->remote_id, &b->remote_id))
		return "remote-id";
	*key = MOAT_CONF_NONE;
	return moat_creds_same(a->creds, b->creds)
		       ? "remote"
		       : "certificate, key, ca or word about weak ones";
}

static void explain_elsewhere(const struct moat_tunnel *tunnel,
			      const struct moat_isakmp *sa, struct moat_mismatch *why)
{
	const struct moat_tunnel_conf *conf = &tunnel->conf;
	struct moat_text t = { why->text, sizeof(why->text), 0 };
	char alg[48];

	moat_text_add(&t, "tunnel \"%s\" has just this pair, but ", conf->name);
	if (!moat_tunnel_same_peer(tunnel, sa->tunnel)) {
		moat_text_add(&t, "its %s",
			      other_peer(conf, &sa->tunnel->conf, &why->key));
		moat_text_add(&t,
			      " is another one than that of tunnel \"%s\", for which "
			      "phase 1 was",
			      sa->tunnel->conf.name);
	} else if (sa->exchange != moat_phase1_exchange(conf)) {
		why->key = MOAT_CONF_EXCHANGE;
		moat_text_add(&t,
			      "it demands another exchange than %s mode, by which "
			      "phase 1 was",
			      moat_exchange_name(sa->exchange));
	} else {
		why->key = MOAT_CONF_IKE;
		moat_ike_alg_print(&sa->alg, alg, sizeof(alg));
		moat_text_add(&t,
			      "its ike does not have %s, which protects this "
			      "ISAKMP SA",
			      alg);
	}
}

static void explain(struct moat_ike1_in *in, const struct moat_selector *s,
		    struct moat_mismatch *why)
{
	const struct moat_tunnel *closest = closest_tunnel(in->sa, s);
	const struct moat_tunnel *other = elsewhere(in->sa, s);

	in->quick->notify = MOAT_N_INVALID_ID_INFORMATION;
	if (!why->text[0] && other) {
		/* Of tunnels with others a peer learns nothing. */
		if (moat_tunnel_same_peer(other, in->sa->tunnel))
			in->quick->notify = MOAT_N_AUTHENTICATION_FAILED;
		closest = other;
		explain_elsewhere(other, in->sa, why);
	} else if (!why->text[0] && closest) {
		explain_pair(closest, s, why);
	} else if (!why->text[0]) {
		explain_tunnels(in->sa, s, why);
	}
	moat_act_explain(in->ike->acts, "quick-no-pair", closest ? &closest->conf : NULL,
			 &in->sa->remote.addr, why, "phase 2");
}

/*
 * A pair of networks sends on one pair of SAs, so with narrow = true one part of it can
 * have them: SAs for another part would take the place of those, and be replaced in turn.
 */
static bool is_other(const struct moat_selector *have, const struct moat_selector *s)
{
	return !moat_range_within(&have->local, &s->local) ||
	       !moat_range_within(&have->remote, &s->remote);
}

static const struct moat_selector *other_part(const struct moat_pair *pair,
					      const struct moat_selector *s)
{
	const struct moat_child *child;
	const struct moat_isakmp *sa;
	const struct moat_quick *quick;

	TAILQ_FOREACH(child, &pair->children, link) {
		if (!child->old && !child->doubted && is_other(&child->selector, s))
			return &child->selector;
	}
	TAILQ_FOREACH(sa, &pair->tunnel->ike->isakmps, link) {
		LIST_FOREACH(quick, &sa->quicks, link) {
			if (quick->pair == pair && !quick->initiator &&
			    is_other(&quick->selector, s))
				return &quick->selector;
		}
	}
	return NULL;
}

static void explain_part(const struct moat_selector *part, struct moat_mismatch *why)
{
	char local[2 * MOAT_ADDR_STRLEN];
	char remote[2 * MOAT_ADDR_STRLEN];

	snprintf(
		why->text, sizeof(why->text),
		"with narrow = true one part of a pair of networks has SAs at a time, and "
		"local-net %s, remote-net %s has: name each part in local-net and "
		"remote-net",
		moat_range_str(&part->local, local),
		moat_range_str(&part->remote, remote));
}

struct moat_pair *moat_quick_pair(struct moat_ike1_in *in, const struct moat_selector *s)
{
	struct moat_pair *pair = find_pair(in->sa, s, false);
	struct moat_mismatch why = { .key = MOAT_CONF_LOCAL_NET };
	const struct moat_selector *part = NULL;

	/* Just what was asked for comes before what holds it. */
	if (!pair) {
		pair = find_pair(in->sa, s, true);
		part = pair ? other_part(pair, s) : NULL;
	}
	if (part) {
		explain_part(part, &why);
		pair = NULL;
	}
	if (!pair && in->sa->tunnel->template)
		pair = moat_wild_pair(in->sa->tunnel, s, &why);
	if (pair)
		return pair;
	explain(in, s, &why);
	moat_quick_refuse(in, in->quick->notify);
	return NULL;
}
