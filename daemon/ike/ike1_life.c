// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An ISAKMP SA that its responder wants to live shorter than was offered: it says
 * so with RESPONDER-LIFETIME (RFC 2407 section 4.6.3.1), and the initiator obeys.
 * The answer itself cannot say it, for it repeats the transform as it was offered.
 *
 * Main mode has it in message 6: what came behind that could overtake a verdict on
 * its signature. Message 2 of aggressive mode is in clear, and message 3 the last
 * one, so there an informational exchange follows.
 */
#include <string.h>

#include "ike/ike1.h"
#include "ike/ike1_peer.h"
#include "ike/mismatch.h"

bool moat_life_shortened(const struct moat_isakmp *sa)
{
	struct moat_ike_algs algs = { .count = 1, .alg = { sa->alg } };
	struct moat_ike_want wanted = {
		.algs = &algs,
		.method = sa->tunnel->conf.auth,
		.life_seconds = sa->life,
	};
	struct moat_sa_payload offer;
	struct moat_ike_choice choice;
	struct moat_mismatch why;

	return !sa->initiator && !moat_sa_parse(moat_blob_view(&sa->sai), &offer, NULL) &&
	       !moat_ike_choose(&wanted, &offer, MOAT_SA_OFFER, &choice, &why) &&
	       choice.shortened;
}

void moat_life_put(const struct moat_isakmp *sa, struct moat_build *b)
{
	uint8_t spi[2 * MOAT_COOKIE_LEN];
	uint8_t data[12];

	memcpy(spi, sa->cky.i, MOAT_COOKIE_LEN);
	memcpy(spi + MOAT_COOKIE_LEN, sa->cky.r, MOAT_COOKIE_LEN);
	/* Life type in two octets, duration in four. */
	moat_set16(data, 0x8000 | MOAT_IKE_LIFE_TYPE);
	moat_set16(data + 2, MOAT_LIFE_SECONDS);
	moat_set16(data + 4, MOAT_IKE_LIFE_DURATION);
	moat_set16(data + 6, 4);
	moat_set32(data + 8, sa->life);
	moat_build_notify(b, MOAT_PROTO_ISAKMP, MOAT_N_RESPONDER_LIFETIME,
			  moat_view(spi, sizeof(spi)), moat_view(data, sizeof(data)));
}

/* Does it speak of this ISAKMP SA? Some peers leave the SPI out. */
static bool of_this(const struct moat_isakmp *sa, const struct moat_notify *n)
{
	if (n->protocol != MOAT_PROTO_ISAKMP)
		return false;
	return !n->spi.len ||
	       (n->spi.len == 2 * MOAT_COOKIE_LEN &&
		!memcmp(n->spi.data, sa->cky.i, MOAT_COOKIE_LEN) &&
		!memcmp(n->spi.data + MOAT_COOKIE_LEN, sa->cky.r, MOAT_COOKIE_LEN));
}

/* The numbers are those of phase 1, or, as the RFC can be read, of the DOI. */
static const char *read_seconds(struct moat_view data, uint64_t *seconds)
{
	struct moat_life life = { 0 };
	const char *bad = NULL;
	struct moat_attr attr;

	while (!bad && moat_attr_next(&data, &attr)) {
		if (attr.type == MOAT_IKE_LIFE_TYPE || attr.type == MOAT_IPSEC_LIFE_TYPE)
			bad = moat_life_type(&life, attr.value);
		else if (attr.type == MOAT_IKE_LIFE_DURATION ||
			 attr.type == MOAT_IPSEC_LIFE_DURATION)
			bad = moat_life_duration(&life, attr.value);
	}
	*seconds = life.seconds;
	return bad || !data.len ? bad : "attributes that end in the middle";
}

static void set_timers(struct moat_isakmp *sa)
{
	struct moat_ike *ike = sa->ike;
	uint64_t life;

	sa->expires = sa->established + sa->life * MOAT_SECOND;
	if (sa->expires <= ike->now)
		sa->expires = ike->now + 1;
	life = sa->expires - ike->now;
	moat_timer_set(&ike->timers, &sa->life_timer, sa->expires);
	moat_timer_after(ike, &sa->rekey_timer, moat_rekey_after(ike, life, true));
}

void moat_life_take(struct moat_isakmp *sa, const struct moat_notify *n)
{
	char name[MOAT_ISAKMP_STRLEN];
	uint64_t seconds;
	const char *bad;

	if (!sa->initiator || !of_this(sa, n))
		return;
	bad = read_seconds(n->data, &seconds);
	if (bad) {
		moat_act_log(sa->ike->acts, MOAT_LOG_INFO, "ike-notify",
			     sa->tunnel->conf.name, "RESPONDER-LIFETIME has %s; %s", bad,
			     moat_isakmp_name(sa, name));
		return;
	}
	/* It only gets shorter; and what is being replaced has its end already. */
	if (!seconds || seconds >= sa->life || sa->rekeying)
		return;
	sa->life = (uint32_t)seconds;
	moat_act_log(sa->ike->acts, MOAT_LOG_INFO, "ike-lifetime", sa->tunnel->conf.name,
		     "the peer's ISAKMP SA lives for %u s, less than we have; %s",
		     sa->life, moat_isakmp_name(sa, name));
	if (sa->state == MOAT_QM_IDLE)
		set_timers(sa);
}
