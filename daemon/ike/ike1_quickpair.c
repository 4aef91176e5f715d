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

static struct moat_pair *find_pair(struct moat_isakmp *sa, const struct moat_selector *s,
				   bool narrow)
{
	struct moat_tunnel *tunnel;

	TAILQ_FOREACH(tunnel, &sa->ike->tunnels, link) {
		if (tunnel->down || !moat_tunnel_same_peer(tunnel, sa->tunnel))
			continue;
		for (unsigned int i = 0; i < tunnel->conf.n_pairs; i++) {
			if (!tunnel->pairs[i].vacant &&
			    selector_fits(&tunnel->pairs[i].selector, s,
					  narrow && tunnel->conf.narrow))
				return &tunnel->pairs[i];
		}
	}
	return NULL;
}

/* The tunnel of this peer that has one of the two networks; else the one in use. */
static const struct moat_tunnel *closest_tunnel(const struct moat_isakmp *sa,
						const struct moat_selector *s)
{
	const struct moat_tunnel *tunnel;

	if (sa->tunnel->template)
		return sa->tunnel->template;
	TAILQ_FOREACH(tunnel, &sa->ike->tunnels, link) {
		if (tunnel->down || !moat_tunnel_same_peer(tunnel, sa->tunnel))
			continue;
		for (unsigned int i = 0; i < tunnel->conf.n_pairs; i++) {
			const struct moat_selector *have = &tunnel->pairs[i].selector;

			if (moat_range_equal(&have->local, &s->local) ||
			    moat_range_equal(&have->remote, &s->remote))
				return tunnel;
		}
	}
	return sa->tunnel;
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

/* Which of networks, protocol and ports no pair of this tunnel has. */
static void explain_pair(const struct moat_tunnel_conf *conf,
			 const struct moat_selector *s, struct moat_mismatch *why)
{
	struct moat_text t = { why->text, sizeof(why->text), 0 };
	char asked[2 * MOAT_ADDR_STRLEN];
	char have[120];
	char want[48];

	moat_text_add(&t, "no tunnel with this peer that is up has just this pair");
	nets_print(conf, true, have, sizeof(have));
	moat_explain_pair(why, &t, "local-net", moat_range_str(&s->local, asked), have);
	nets_print(conf, false, have, sizeof(have));
	moat_explain_pair(why, &t, "remote-net", moat_range_str(&s->remote, asked), have);
	selector_print(s, want, sizeof(want));
	selector_print(&conf->pairs[0].selector, have, sizeof(have));
	if (strcmp(want, have))
		moat_explain_pair(why, &t, "traffic", want, have);
	moat_text_add(&t, "; %s",
		      conf->narrow || conf->any
			      ? "it must lie within local-net and remote-net"
			      : "local-net and remote-net must equal the peer's, or "
				"hold them with narrow = true");
}

struct moat_pair *moat_quick_pair(struct moat_ike1_in *in, const struct moat_selector *s)
{
	struct moat_pair *pair = find_pair(in->sa, s, false);
	struct moat_mismatch why = { .key = MOAT_CONF_LOCAL_NET };
	const struct moat_tunnel *closest;

	/* Just what was asked for comes before what holds it. */
	if (!pair)
		pair = find_pair(in->sa, s, true);
	if (!pair && in->sa->tunnel->template)
		pair = moat_wild_pair(in->sa->tunnel, s, &why);
	if (pair)
		return pair;
	closest = closest_tunnel(in->sa, s);
	if (!why.text[0])
		explain_pair(&closest->conf, s, &why);
	moat_act_explain(in->ike->acts, "quick-no-pair", &closest->conf,
			 &in->sa->remote.addr, &why, "phase 2");
	moat_quick_refuse(in, MOAT_N_INVALID_ID_INFORMATION);
	return NULL;
}
