// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Dead peer detection, RFC 3706. Whoever hears nothing authentic of the peer for
 * `dpd` seconds asks it; after `dpd-timeout` seconds without a word all its SAs
 * end, and traffic or start = "up" begins anew, at its next address if it has
 * several.
 */
#include "ike/ike1.h"

#include <string.h>

#define ASK_AGAIN   (5 * MOAT_SECOND)
#define DOUBT_AFTER (10 * MOAT_SECOND)
#define DOUBT_TRIES 5

/* Its last two octets are the version. */
static const uint8_t vendor[16] = { 0xaf, 0xca, 0xd7, 0x13, 0x68, 0xa1, 0xf1, 0xc9,
				    0x6b, 0x86, 0x96, 0xfc, 0x77, 0x57, 0x01, 0x00 };

void moat_dpd_put_vendor(struct moat_build *b)
{
	moat_build_payload(b, MOAT_P_VENDOR, moat_view(vendor, sizeof(vendor)));
}

void moat_dpd_take_vendor(const struct moat_ike1_in *in)
{
	/* The minor version may be another one. */
	struct moat_view name = moat_view(vendor, sizeof(vendor) - 1);

	if (moat_message_vendor(&in->msg, name).len == sizeof(vendor))
		in->sa->dpd.spoken = true;
}

/* Another ISAKMP SA with this peer, under which it was heard later? */
static bool heard_elsewhere(const struct moat_isakmp *sa)
{
	const struct moat_isakmp *other;

	TAILQ_FOREACH(other, &sa->ike->isakmps, link) {
		if (other != sa && other->state == MOAT_QM_IDLE &&
		    other->heard_at > sa->heard_at &&
		    moat_tunnel_same_peer(other->tunnel, sa->tunnel))
			return true;
	}
	return false;
}

static void peer_is_dead(struct moat_isakmp *sa)
{
	struct moat_tunnel *tunnel = sa->tunnel;
	struct moat_isakmp *other = TAILQ_FIRST(&sa->ike->isakmps);
	char name[MOAT_ISAKMP_STRLEN];

	moat_act_blame(
		moat_act_log(
			sa->ike->acts, MOAT_LOG_WARN, "peer-dead", tunnel->conf.name,
			"nothing was heard of the peer for %llu s (dpd-timeout): its SAs "
			"end; %s",
			(unsigned long long)((sa->ike->now - sa->heard_at) / MOAT_SECOND),
			moat_isakmp_name(sa, name)),
		&sa->remote.addr);
	while (other) {
		struct moat_isakmp *next = TAILQ_NEXT(other, link);

		if (other->state == MOAT_QM_IDLE &&
		    moat_tunnel_same_peer(other->tunnel, tunnel))
			moat_isakmp_remove(other);
		other = next;
	}
	moat_peer_next_address(tunnel);
	moat_peer_forget_children(tunnel, UINT64_MAX, "the peer is dead");
}

static void ask(struct moat_isakmp *sa)
{
	sa->dpd.asked++;
	moat_info_dpd(sa, MOAT_N_R_U_THERE, sa->dpd.asked);
}

/*
 * A peer that crashed and has adopted its IPsec SAs begins anew without a word of
 * INITIAL-CONTACT, which would end those; each crash leaves an ISAKMP SA here that
 * it knows nothing of. When it answers under another one and not under this one,
 * this one is of no use to anybody, and need not wait for dpd-timeout.
 *
 * Return: true while it is not clear, or the ISAKMP SA is gone.
 */
static bool doubted(struct moat_isakmp *sa)
{
	char name[MOAT_ISAKMP_STRLEN];

	if (!sa->dpd.doubt || sa->heard_at >= sa->dpd.doubt) {
		sa->dpd.doubt = 0;
		return false;
	}
	if (sa->ike->now < sa->dpd.doubt + DOUBT_AFTER + DOUBT_TRIES * ASK_AGAIN) {
		ask(sa);
		moat_timer_after(sa->ike, &sa->dpd.timer, ASK_AGAIN);
		return true;
	}
	sa->dpd.doubt = 0;
	if (!heard_elsewhere(sa))
		return false;
	moat_act_log(sa->ike->acts, MOAT_LOG_INFO, "ike-deleted", sa->tunnel->conf.name,
		     "the peer answers under another ISAKMP SA, and not under this one: "
		     "it has lost it; %s",
		     moat_isakmp_name(sa, name));
	moat_isakmp_forgotten(sa);
	return true;
}

static void doubt_others(const struct moat_isakmp *sa)
{
	struct moat_isakmp *other;

	TAILQ_FOREACH(other, &sa->ike->isakmps, link) {
		if (other == sa || other->state != MOAT_QM_IDLE || other->rekeying ||
		    other->dpd.doubt || !other->dpd.spoken || !other->tunnel->terms.dpd ||
		    !moat_tunnel_same_peer(other->tunnel, sa->tunnel))
			continue;
		other->dpd.doubt = sa->ike->now;
		moat_timer_after(sa->ike, &other->dpd.timer, DOUBT_AFTER);
	}
}

uint32_t moat_dpd_ask(struct moat_isakmp *sa)
{
	if (!sa->dpd.spoken || !sa->tunnel->terms.dpd)
		return 0;
	ask(sa);
	return sa->dpd.asked;
}

static void due(struct moat_ike *ike, void *owner)
{
	struct moat_isakmp *sa = owner;
	const struct moat_terms *terms = &sa->tunnel->terms;
	uint64_t idle = terms->dpd * MOAT_SECOND;
	uint64_t timeout = terms->dpd_timeout * MOAT_SECOND;
	uint64_t quiet = ike->now - sa->heard_at;

	/* A reload may have switched it off. */
	if (!terms->dpd || doubted(sa))
		return;
	if (quiet < idle) {
		moat_timer_after(ike, &sa->dpd.timer, idle - quiet);
	} else if (quiet < timeout) {
		ask(sa);
		moat_timer_after(ike, &sa->dpd.timer,
				 timeout - quiet < ASK_AGAIN ? timeout - quiet
							     : ASK_AGAIN);
	} else if (heard_elsewhere(sa)) {
		moat_isakmp_forgotten(sa);
	} else {
		peer_is_dead(sa);
	}
}

/* By which tunnel a phase 1 with the peer may begin: not every one may, or is up. */
static struct moat_tunnel *beginner(struct moat_tunnel *tunnel)
{
	struct moat_tunnel *other;

	TAILQ_FOREACH(other, &tunnel->ike->tunnels, link) {
		if (!other->template && !other->down &&
		    other->conf.start != MOAT_START_NONE &&
		    moat_tunnel_same_peer(other, tunnel))
			break;
	}
	return other;
}

/* Nobody asks after the peer before there is an ISAKMP SA again. */
static void silence_due(struct moat_ike *ike, void *owner)
{
	struct moat_tunnel *tunnel = owner;
	uint64_t timeout = tunnel->terms.dpd_timeout * MOAT_SECOND;
	uint64_t since = tunnel->watched_since > tunnel->heard_at ? tunnel->watched_since
								  : tunnel->heard_at;
	uint64_t quiet = ike->now - since;

	if (moat_isakmp_ready(tunnel) || !moat_peer_has_children(tunnel))
		return;
	if (quiet < timeout) {
		if (tunnel->alone && !moat_isakmp_connecting(tunnel))
			moat_phase1_start(tunnel);
		tunnel->alone = false;
		moat_timer_after(ike, &tunnel->silence, timeout - quiet);
		return;
	}
	moat_act_log(ike->acts, MOAT_LOG_WARN, "peer-dead", tunnel->conf.name,
		     "the peer does not answer, and nothing was heard of it for %llu s "
		     "(dpd-timeout): its SAs end",
		     (unsigned long long)(quiet / MOAT_SECOND));
	moat_peer_forget_children(tunnel, UINT64_MAX, "the peer is dead");
}

void moat_dpd_prepare(struct moat_tunnel *tunnel)
{
	tunnel->silence = (struct moat_timer){ .fire = silence_due, .owner = tunnel };
}

void moat_dpd_alone(struct moat_tunnel *tunnel)
{
	uint64_t now = tunnel->ike->now;

	tunnel = beginner(tunnel);
	if (!tunnel || !tunnel->terms.dpd || !moat_peer_has_children(tunnel))
		return;
	tunnel->alone = true;
	tunnel->watched_since = now;
	moat_timer_after(tunnel->ike, &tunnel->silence, tunnel->terms.dpd * MOAT_SECOND);
}

void moat_dpd_pass(struct moat_tunnel *tunnel)
{
	struct moat_tunnel *other = beginner(tunnel);
	struct moat_timers *timers = &tunnel->ike->timers;

	if (!tunnel->silence.slot || !other || other == tunnel)
		return;
	if (other->heard_at < tunnel->heard_at)
		other->heard_at = tunnel->heard_at;
	if (!other->silence.slot || tunnel->silence.due < other->silence.due) {
		other->watched_since = tunnel->watched_since;
		other->alone = tunnel->alone;
		moat_timer_set(timers, &other->silence, tunnel->silence.due);
	}
	moat_timer_stop(timers, &tunnel->silence);
}

void moat_dpd_watch(struct moat_tunnel *tunnel, uint64_t since)
{
	tunnel->watched_since = since;
	if (tunnel->terms.dpd)
		moat_timer_set(&tunnel->ike->timers, &tunnel->silence,
			       since + tunnel->terms.dpd_timeout * MOAT_SECOND);
}

void moat_dpd_start(struct moat_isakmp *sa)
{
	struct moat_ike *ike = sa->ike;

	sa->dpd.timer = (struct moat_timer){ .fire = due, .owner = sa };
	doubt_others(sa);
	moat_core_random(ike, &sa->dpd.asked, sizeof(sa->dpd.asked));
	sa->dpd.asked >>= 1; /* it only grows */
	if (sa->dpd.spoken && sa->tunnel->terms.dpd)
		moat_timer_after(ike, &sa->dpd.timer,
				 sa->tunnel->terms.dpd * MOAT_SECOND);
}

void moat_dpd_sooner(struct moat_isakmp *sa)
{
	uint64_t wait = sa->tunnel->terms.dpd * MOAT_SECOND;
	const struct moat_timer *timer = &sa->dpd.timer;

	if (sa->dpd.spoken && wait && (!timer->slot || timer->due > sa->ike->now + wait))
		moat_timer_after(sa->ike, &sa->dpd.timer, wait);
}

/*
 * That the message was authentic is the sign of life. An answer is owed to each
 * question about this ISAKMP SA whose number is not an old one; the last one comes
 * again when its answer was lost (RFC 3706 section 6.1).
 */
void moat_dpd_handle(struct moat_isakmp *sa, const struct moat_notify *n)
{
	uint32_t number;

	if (n->data.len != sizeof(number) || n->spi.len != 2 * MOAT_COOKIE_LEN ||
	    memcmp(n->spi.data, sa->cky.i, MOAT_COOKIE_LEN) != 0 ||
	    memcmp(n->spi.data + MOAT_COOKIE_LEN, sa->cky.r, MOAT_COOKIE_LEN) != 0)
		return;
	number = moat_get32(n->data.data);
	if (n->type == MOAT_N_R_U_THERE_ACK) {
		moat_ready_answered(sa, number);
		return;
	}
	if (sa->dpd.heard && number < sa->dpd.answered)
		return;
	sa->dpd.heard = true;
	sa->dpd.answered = number;
	moat_info_dpd(sa, MOAT_N_R_U_THERE_ACK, number);
}
