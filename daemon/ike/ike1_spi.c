// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A peer that sends under SPIs which we do not have: one of us was restarted, or
 * a delete was lost. RFC 2408 section 3.14.1 has INVALID-SPI for it. Anybody can
 * send such a packet under the peer's address, so it makes us do little, and
 * seldom; and what it makes the peer do, the peer does on our authentic word.
 */
#include "ike/ike1.h"

#include <stdio.h>

#define AGAIN	      (5 * MOAT_SECOND)
#define AGAIN_PHASE_1 (30 * MOAT_SECOND)

static bool is_peer(const struct moat_tunnel *tunnel, const struct moat_addr *local,
		    const struct moat_addr *remote)
{
	const struct moat_tunnel_conf *conf = &tunnel->conf;

	if (conf->action != MOAT_ACTION_PROTECT || tunnel->down ||
	    conf->start == MOAT_START_NONE || !moat_addr_equal(&conf->local, local))
		return false;
	for (unsigned int i = 0; i < conf->n_remote; i++) {
		if (moat_addr_equal(&conf->remote[i], remote))
			return true;
	}
	return false;
}

static void tell(struct moat_isakmp *sa, const struct moat_event *event)
{
	uint8_t protocol = event->unknown_spi.protocol == MOAT_IPPROTO_AH
				   ? MOAT_PROTO_AH
				   : MOAT_PROTO_ESP;
	uint8_t octets[4];

	moat_set32(octets, event->unknown_spi.spi);
	moat_info_notify(sa, NULL, protocol, MOAT_N_INVALID_SPI,
			 moat_view(octets, sizeof(octets)));
	/* libreswan and strongSwan take no notice of that, but end what is deleted. */
	if (!sa->moat)
		moat_info_delete_child(sa, moat_isakmp_message_id(sa), protocol,
				       event->unknown_spi.spi);
}

void moat_spi_unknown(struct moat_ike *ike, const struct moat_event *event)
{
	struct moat_tunnel *tunnel;
	struct moat_isakmp *sa;
	char addr[MOAT_ADDR_STRLEN];

	TAILQ_FOREACH(tunnel, &ike->tunnels, link) {
		if (is_peer(tunnel, &event->unknown_spi.local,
			    &event->unknown_spi.remote))
			break;
	}
	if (!tunnel || ike->adopting || moat_isakmp_connecting(tunnel))
		return;
	sa = moat_isakmp_ready(tunnel);
	if (tunnel->spi_at && ike->now < tunnel->spi_at + (sa ? AGAIN : AGAIN_PHASE_1))
		return;
	tunnel->spi_at = ike->now;
	moat_act_log(ike->acts, MOAT_LOG_INFO, "spi-unknown", tunnel->conf.name,
		     "%s sends with SPI %08x, which we do not have: %s",
		     moat_addr_str(&event->unknown_spi.remote, addr),
		     event->unknown_spi.spi,
		     sa ? "telling it" : "starting a phase 1 to tell it");
	if (sa)
		tell(sa, event);
	else
		moat_phase1_start(tunnel);
}

bool moat_spi_refused(struct moat_isakmp *sa, const struct moat_notify *n)
{
	struct moat_view spi = n->spi.len ? n->spi : n->data;
	char name[MOAT_ISAKMP_STRLEN];
	struct moat_quick *quick;

	if (n->type != MOAT_N_INVALID_SPI || spi.len != 4 ||
	    (n->protocol != MOAT_PROTO_ESP && n->protocol != MOAT_PROTO_AH))
		return false;
	/* It may speak of what we have just proposed. */
	LIST_FOREACH(quick, &sa->quicks, link) {
		if (quick->initiator && quick->state == MOAT_QUICK_SENT_1 &&
		    quick->sas[0].spi_in == moat_get32(spi.data))
			return false;
	}
	moat_act_log(sa->ike->acts, MOAT_LOG_INFO, "spi-refused", sa->tunnel->conf.name,
		     "the peer does not have SPI %08x; %s", moat_get32(spi.data),
		     moat_isakmp_name(sa, name));
	moat_child_refused(sa, n->protocol, moat_get32(spi.data));
	return true;
}
