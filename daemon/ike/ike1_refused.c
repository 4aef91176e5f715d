// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Errors that the peer says of our quick modes. Strictly it names the SPI of one;
 * libreswan names none, others the cookies. Such an error answers one copy of one
 * message 1, so of the quick modes without an answer those are refused for sure
 * that had more of them than copies of all the other messages 1 were sent.
 */
#include <stdio.h>

#include "ike/ike1.h"

#define NO_MORE "its log says more"

static bool in_question(const struct moat_quick *quick)
{
	return quick->initiator && quick->state == MOAT_QUICK_SENT_1;
}

static struct moat_quick *named(struct moat_isakmp *sa, const struct moat_notify *n)
{
	struct moat_quick *quick;

	if (n->spi.len != 4)
		return NULL;
	LIST_FOREACH(quick, &sa->quicks, link) {
		for (unsigned int i = 0; in_question(quick) && i < quick->n_sas; i++) {
			if (quick->sas[i].spi_in == moat_get32(n->spi.data))
				return quick;
		}
	}
	return NULL;
}

/* ---- what to tell the operator ---- */

/* What the peer may have against a quick mode, as far as its error says. */
static struct moat_mismatch describe(const struct moat_quick *quick, uint16_t type)
{
	const struct moat_tunnel_conf *conf = &quick->pair->tunnel->conf;
	struct moat_sa_want want = moat_quick_want(conf, quick->sa);
	struct moat_mismatch why = { .text = NO_MORE };

	if (type == MOAT_N_NO_PROPOSAL_CHOSEN) {
		moat_sa_want_print(&want, &why);
		why.key = conf->esp.count ? MOAT_CONF_ESP : MOAT_CONF_AH;
	} else if (type == MOAT_N_INVALID_ID_INFORMATION) {
		snprintf(
			why.text, sizeof(why.text),
			"it has no such pair of networks; compare local-net and remote-net");
		why.key = MOAT_CONF_LOCAL_NET;
	}
	return why;
}

static void explain(struct moat_isakmp *sa, const struct moat_quick *quick, uint16_t type,
		    unsigned int count)
{
	const struct moat_tunnel *tunnel = quick ? quick->pair->tunnel : sa->tunnel;
	struct moat_mismatch why = { .text = NO_MORE };
	char which[64] = "";

	if (quick)
		why = describe(quick, type);
	if (count > 1)
		snprintf(which, sizeof(which), ", not of which of %u quick modes", count);
	moat_act_explain(sa->ike->acts,
			 type == MOAT_N_NO_PROPOSAL_CHOSEN ? "quick-no-proposal"
							   : "ike-notify",
			 &tunnel->conf, &sa->remote.addr, &why, "the peer says %s (%u)%s",
			 moat_notify_name(type), type, which);
}

/* It has been explained. */
static void end(struct moat_quick *quick, uint16_t type)
{
	struct moat_mismatch why = describe(quick, type);
	char text[800];

	snprintf(text, sizeof(text), "the peer says %s (%u): %s", moat_notify_name(type),
		 type, why.text);
	quick->told = true;
	moat_quick_fail(quick, text);
}

/* ---- errors without a name ---- */

/* All of a tunnel were offered the same, so one line says it. */
static void explain_tunnels(struct moat_isakmp *sa, uint16_t type, unsigned int count)
{
	struct moat_quick *quick, *other;

	LIST_FOREACH(quick, &sa->quicks, link) {
		if (!in_question(quick) || quick->doubt == type)
			continue;
		explain(sa, quick, type, count);
		LIST_FOREACH(other, &sa->quicks, link) {
			if (in_question(other) &&
			    other->pair->tunnel == quick->pair->tunnel)
				other->doubt = type;
		}
	}
}

static struct moat_quick *surely_refused(struct moat_isakmp *sa)
{
	struct moat_quick *quick;
	unsigned int copies = 0;

	LIST_FOREACH(quick, &sa->quicks, link)
		copies += in_question(quick) ? quick->flight.tries : 0;
	LIST_FOREACH(quick, &sa->quicks, link) {
		if (in_question(quick) && quick->doubted > copies - quick->flight.tries)
			return quick;
	}
	return NULL;
}

void moat_refused_settle(struct moat_isakmp *sa)
{
	struct moat_quick *quick;

	while ((quick = surely_refused(sa)))
		end(quick, quick->doubt);
}

void moat_refused_leave(const struct moat_quick *quick)
{
	unsigned int copies = quick->flight.tries;
	struct moat_quick *other;

	if (!in_question(quick))
		return;
	LIST_FOREACH(other, &quick->sa->quicks, link)
		other->doubted -= other->doubted < copies ? other->doubted : copies;
}

void moat_refused_handle(struct moat_isakmp *sa, const struct moat_notify *n)
{
	struct moat_quick *quick = named(sa, n);
	unsigned int count = 0;

	if (quick) {
		explain(sa, quick, n->type, 1);
		end(quick, n->type);
		return;
	}
	LIST_FOREACH(quick, &sa->quicks, link) {
		if (!in_question(quick))
			continue;
		quick->doubted++;
		count++;
	}
	if (!count)
		explain(sa, NULL, n->type, count);
	explain_tunnels(sa, n->type, count);
	moat_refused_settle(sa);
}
