// SPDX-License-Identifier: GPL-2.0-or-later
/* Life of an ISAKMP SA: made, established, rekeyed, expired, deleted. */
#include "ike/ike1.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ATTEMPT_LIFE	 (150 * MOAT_SECOND) /* longer than all tries of all messages */
#define REPLACED_LIFE	 (10 * MOAT_SECOND)  /* for quick modes that are under way */
#define SIMULTANEOUS	 (60 * MOAT_SECOND)
#define REKEY_MARGIN_MAX (300 * MOAT_SECOND)
#define REKEY_AGAIN	 (10 * MOAT_SECOND)
#define LEAVING_LIFE	 (3 * MOAT_SECOND)
#define KEPT_MAX	 4 /* of one peer, and those that something hangs on */

static void rekey_due(struct moat_ike *ike, void *owner);
static void life_over(struct moat_ike *ike, void *owner);

struct moat_isakmp *moat_isakmp_new(struct moat_tunnel *tunnel, uint8_t exchange,
				    bool initiator)
{
	struct moat_ike *ike = tunnel->ike;
	struct moat_isakmp *sa = moat_alloc(sizeof(*sa));

	sa->ike = ike;
	sa->tunnel = tunnel;
	sa->id = ++ike->last_isakmp;
	sa->initiator = initiator;
	sa->exchange = exchange;
	sa->state = exchange == MOAT_X_AGGRESSIVE ? MOAT_AG_NO_STATE : MOAT_MM_NO_STATE;
	sa->created = ike->now;
	sa->config = ike->configs;
	sa->life_timer = (struct moat_timer){ .fire = life_over, .owner = sa };
	sa->rekey_timer = (struct moat_timer){ .fire = rekey_due, .owner = sa };
	sa->turn_timer = (struct moat_timer){ .fire = moat_quick_next, .owner = sa };
	LIST_INIT(&sa->quicks);
	TAILQ_INSERT_TAIL(&ike->isakmps, sa, link);
	moat_timer_after(ike, &sa->life_timer,
			 initiator ? ATTEMPT_LIFE : MOAT_HALF_OPEN_LIFE * MOAT_SECOND);
	return sa;
}

/* What only the exchange itself needed. */
static void forget_exchange(struct moat_isakmp *sa)
{
	moat_blob_clear(&sa->sai);
	moat_blob_clear(&sa->proof);
	moat_blob_clear(&sa->dh_private);
	moat_blob_clear(&sa->gxy);
	moat_blob_clear(&sa->skeyid);
	moat_blob_clear(&sa->held);
	moat_blob_clear(&sa->certs);
	moat_blob_clear(&sa->opened[0]);
	moat_blob_clear(&sa->opened[1]);
	for (int i = 0; i < 2; i++) {
		moat_blob_clear(&sa->nonces[i]);
		moat_blob_clear(&sa->ke[i]);
		moat_blob_clear(&sa->ids[i]);
	}
}

static void stop_timers(struct moat_isakmp *sa)
{
	struct moat_timers *timers = &sa->ike->timers;

	moat_timer_stop(timers, &sa->life_timer);
	moat_timer_stop(timers, &sa->rekey_timer);
	moat_timer_stop(timers, &sa->turn_timer);
	moat_timer_stop(timers, &sa->dpd.timer);
	moat_timer_stop(timers, &sa->keepalive_timer);
}

void moat_isakmp_remove(struct moat_isakmp *sa)
{
	struct moat_ike *ike = sa->ike;
	bool awaited = sa->turn_timer.slot;

	if (sa->dead)
		return;
	sa->dead = true;
	ike->sweep |= sa->tunnel->template != NULL;
	TAILQ_REMOVE(&ike->isakmps, sa, link);
	TAILQ_INSERT_TAIL(&ike->dead_isakmps, sa, link);
	moat_core_forget(ike, sa);
	stop_timers(sa);
	moat_flight_clear(ike, &sa->flight);
	moat_fragment_forget(sa);
	while (!LIST_EMPTY(&sa->quicks))
		moat_quick_fail(LIST_FIRST(&sa->quicks), "its ISAKMP SA has gone");
	if (awaited)
		moat_quick_unserved(sa);
}

void moat_isakmp_forgotten(struct moat_isakmp *sa)
{
	if (!sa->moat)
		moat_child_renew(sa);
	moat_isakmp_remove(sa);
}

/* Without another ISAKMP SA the peer may have taken its tunnel down. */
static void left(struct moat_ike *ike, void *owner)
{
	struct moat_isakmp *sa = owner;

	(void)ike;
	sa->leaving = false;
	if (moat_isakmp_usable(sa->tunnel)) {
		if (!sa->moat)
			moat_child_renew(sa);
		return;
	}
	if (!sa->moat)
		moat_child_mark(sa);
	moat_dpd_alone(sa->tunnel);
}

void moat_isakmp_leave(struct moat_isakmp *sa)
{
	moat_isakmp_remove(sa);
	sa->leaving = true;
	sa->life_timer.fire = left;
	moat_timer_after(sa->ike, &sa->life_timer, LEAVING_LIFE);
}

/* Of what leaves another tunnel of the peer sees the end. */
static bool bequeath(struct moat_isakmp *sa)
{
	struct moat_tunnel *other;

	TAILQ_FOREACH(other, &sa->ike->tunnels, link) {
		if (other != sa->tunnel && moat_tunnel_same_peer(other, sa->tunnel))
			break;
	}
	if (other)
		moat_isakmp_pass(sa, other);
	return other;
}

void moat_isakmp_reap(struct moat_ike *ike, const struct moat_tunnel *tunnel)
{
	struct moat_isakmp *sa = TAILQ_FIRST(&ike->dead_isakmps);

	while (sa) {
		struct moat_isakmp *next = TAILQ_NEXT(sa, link);

		if (!sa->leaving || (sa->tunnel == tunnel && !bequeath(sa))) {
			TAILQ_REMOVE(&ike->dead_isakmps, sa, link);
			stop_timers(sa);
			forget_exchange(sa);
			moat_renew_forget(sa);
			moat_wipe(&sa->keys, sizeof(sa->keys));
			free(sa->seen);
			free(sa);
		}
		sa = next;
	}
}

const char *moat_isakmp_name(const struct moat_isakmp *sa, char buf[MOAT_ISAKMP_STRLEN])
{
	const uint8_t *i = sa->cky.i;
	const uint8_t *r = sa->cky.r;
	char addr[MOAT_ADDR_STRLEN];

	snprintf(buf, MOAT_ISAKMP_STRLEN, "peer %s port %u, cookies %08x%08x:%08x%08x",
		 moat_addr_str(&sa->remote.addr, addr), sa->remote.port, moat_get32(i),
		 moat_get32(i + 4), moat_get32(r), moat_get32(r + 4));
	return buf;
}

void moat_isakmp_unsent(struct moat_ike *ike, const struct moat_event *event)
{
	const char *text = event->unsent.text;
	char name[MOAT_ISAKMP_STRLEN];
	struct moat_isakmp *sa;

	TAILQ_FOREACH(sa, &ike->isakmps, link) {
		if (moat_addr_equal(&sa->local.addr, &event->unsent.local.addr) &&
		    moat_addr_equal(&sa->remote.addr, &event->unsent.remote.addr))
			break;
	}
	/* Each repeated message would say the same. */
	if (sa && event->unsent.absent && !strcmp(sa->hint, text))
		return;
	moat_act_log(ike->acts, MOAT_LOG_WARN, "send-failed",
		     sa ? sa->tunnel->conf.name : NULL, "%s; %s", text,
		     sa ? moat_isakmp_name(sa, name) : "of no ISAKMP SA any more");
	if (!sa)
		return;
	snprintf(sa->hint, sizeof(sa->hint), "%s", text);
	/* It helps nobody to wait for an answer. */
	if (event->unsent.absent && sa->initiator && sa->state != MOAT_QM_IDLE)
		moat_ike1_give_up(ike, &sa->flight);
}

/* Anybody can begin with us; only our own attempts are worth a warning. */
static void explain_failure(struct moat_isakmp *sa, const struct moat_mismatch *why)
{
	struct moat_acts *acts = sa->ike->acts;
	const char *state = moat_state_name(sa->state);
	enum moat_cause cause = acts->cause;
	char name[MOAT_ISAKMP_STRLEN];

	if (sa->initiator) {
		moat_act_explain(acts, "ike-failed", &sa->tunnel->conf, &sa->remote.addr,
				 why, "phase 1 as initiator failed in state %s", state);
		return;
	}
	acts->cause = MOAT_BY_STRANGER;
	moat_act_log(acts, MOAT_LOG_INFO, "ike-failed", sa->tunnel->conf.name,
		     "phase 1 as responder failed in state %s: %s; %s", state, why->text,
		     moat_isakmp_name(sa, name));
	acts->cause = cause;
}

void moat_isakmp_fail(struct moat_isakmp *sa, const char *text)
{
	struct moat_tunnel *tunnel = sa->tunnel;
	struct moat_mismatch why = { .n_diff = 0 };

	snprintf(why.text, sizeof(why.text), "%s%s%s", text, sa->hint[0] ? "; " : "",
		 sa->hint);
	explain_failure(sa, &why);
	moat_isakmp_remove(sa);
	if (!sa->initiator)
		return;
	if (moat_isakmp_usable(tunnel))
		moat_peer_connect(tunnel);
	else if (!moat_isakmp_connecting(tunnel))
		moat_peer_failed(tunnel, why.text);
}

void moat_isakmp_heard(struct moat_isakmp *sa)
{
	sa->heard_at = sa->ike->now;
	sa->tunnel->heard_at = sa->ike->now;
}

void moat_isakmp_pass(struct moat_isakmp *sa, struct moat_tunnel *to)
{
	sa->tunnel = to;
	if (to->heard_at < sa->heard_at)
		to->heard_at = sa->heard_at;
}

/*
 * When the peer has not said one authentic word since this quick mode began, it
 * has lost the ISAKMP SA. The IPsec SAs stay; a new phase 1 takes over. Had this
 * one been fresh, a new one would go silent as well: then the attempt failed.
 */
void moat_isakmp_silent(struct moat_quick *quick, const char *why)
{
	struct moat_isakmp *sa = quick->sa;
	char name[MOAT_ISAKMP_STRLEN];

	if (sa->heard_at >= quick->begun_at) {
		moat_quick_fail(quick, why);
		return;
	}
	moat_act_blame(
		moat_act_log(
			sa->ike->acts, MOAT_LOG_WARN, "ike-silent", sa->tunnel->conf.name,
			"the peer does not answer under this ISAKMP SA: it ends here; %s",
			moat_isakmp_name(sa, name)),
		&sa->remote.addr);
	sa->stale = quick->begun_at > sa->established + ATTEMPT_LIFE;
	if (!sa->stale)
		moat_quick_fail(quick, why);
	moat_dpd_watch(sa->tunnel, sa->tunnel->heard_at);
	moat_isakmp_forgotten(sa);
}

bool moat_isakmp_seen(const struct moat_isakmp *sa, uint32_t message_id)
{
	for (unsigned int i = 0; i < sa->n_seen; i++) {
		if (sa->seen[i] == message_id)
			return true;
	}
	return false;
}

/* How many message ids may be used before another ISAKMP SA is asked for. */
static unsigned int many_ids(const struct moat_isakmp *sa)
{
	/* Who was the initiator is so again, unless it fails to come. */
	return sa->initiator ? MOAT_EXCHANGES_MAX / 4 * 3 : MOAT_EXCHANGES_MAX / 8 * 7;
}

void moat_isakmp_see(struct moat_isakmp *sa, uint32_t message_id)
{
	/* Grows by doubling, up to the end of the ISAKMP SA. */
	if (!(sa->n_seen & (sa->n_seen - 1))) {
		unsigned int size = sa->n_seen ? 2 * sa->n_seen : 1;

		sa->seen = realloc(sa->seen, size * sizeof(*sa->seen));
		if (!sa->seen)
			abort();
	}
	sa->seen[sa->n_seen++] = message_id;
	/* One that is leaving still takes messages, and ends all the same. */
	if (sa->dead)
		return;
	/* Not in this step: somebody may be at work with it. */
	if (sa->n_seen == many_ids(sa) && !sa->rekeying)
		moat_timer_after(sa->ike, &sa->rekey_timer, 1);
	else if (sa->n_seen == MOAT_EXCHANGES_MAX)
		moat_timer_after(sa->ike, &sa->life_timer, 1);
}

uint32_t moat_isakmp_message_id(struct moat_isakmp *sa)
{
	uint32_t id;

	do {
		moat_core_random(sa->ike, &id, sizeof(id));
	} while (!id || moat_isakmp_seen(sa, id));
	moat_isakmp_see(sa, id);
	return id;
}

static bool better(const struct moat_isakmp *a, const struct moat_isakmp *b,
		   const struct moat_tunnel *tunnel)
{
	bool suits = moat_peer_suits(a, tunnel);

	if (suits != moat_peer_suits(b, tunnel))
		return suits;
	if (a->outdated != b->outdated)
		return b->outdated;
	return a->established >= b->established;
}

struct moat_isakmp *moat_isakmp_ready(struct moat_tunnel *tunnel)
{
	struct moat_isakmp *best = NULL;
	struct moat_isakmp *sa;

	TAILQ_FOREACH(sa, &tunnel->ike->isakmps, link) {
		if (sa->state == MOAT_QM_IDLE &&
		    moat_tunnel_same_peer(sa->tunnel, tunnel) &&
		    (!best || better(sa, best, tunnel)))
			best = sa;
	}
	return best;
}

struct moat_isakmp *moat_isakmp_usable(struct moat_tunnel *tunnel)
{
	struct moat_isakmp *sa = moat_isakmp_ready(tunnel);

	return sa && !sa->outdated && moat_peer_suits(sa, tunnel) ? sa : NULL;
}

struct moat_isakmp *moat_isakmp_connecting(struct moat_tunnel *tunnel)
{
	struct moat_isakmp *sa;

	TAILQ_FOREACH(sa, &tunnel->ike->isakmps, link) {
		if (sa->state != MOAT_QM_IDLE && sa->initiator &&
		    moat_tunnel_same_peer(sa->tunnel, tunnel))
			return sa;
	}
	return NULL;
}

/* Both sides must agree on which of two is newer, also when both began at once. */
static bool newer(const struct moat_isakmp *a, const struct moat_isakmp *b)
{
	if (a->established > b->established + SIMULTANEOUS)
		return true;
	if (b->established > a->established + SIMULTANEOUS)
		return false;
	return memcmp(a->cky.i, b->cky.i, MOAT_COOKIE_LEN) > 0;
}

/* Is there a newer one than @sa for this tunnel? */
static bool has_newer(const struct moat_isakmp *sa, const struct moat_tunnel *tunnel)
{
	const struct moat_isakmp *other;

	TAILQ_FOREACH(other, &sa->ike->isakmps, link) {
		if (other != sa && other->state == MOAT_QM_IDLE && !other->outdated &&
		    moat_peer_suits(other, tunnel) && (sa->outdated || newer(other, sa)))
			return true;
	}
	return false;
}

/* Can @sa do for all tunnels what @old did? */
static bool replaces(const struct moat_isakmp *sa, const struct moat_isakmp *old)
{
	const struct moat_tunnel *tunnel;

	if (sa->state != MOAT_QM_IDLE || !moat_tunnel_same_peer(sa->tunnel, old->tunnel))
		return false;
	TAILQ_FOREACH(tunnel, &sa->ike->tunnels, link) {
		if (moat_peer_suits(old, tunnel) && !moat_peer_suits(sa, tunnel))
			return false;
	}
	return true;
}

void moat_isakmp_close(struct moat_isakmp *sa, const char *why)
{
	char name[MOAT_ISAKMP_STRLEN];

	if (sa->dead)
		return;
	if (sa->state == MOAT_QM_IDLE)
		moat_info_delete_isakmp(sa, &sa->cky);
	moat_act_log(sa->ike->acts, MOAT_LOG_INFO, "ike-deleted", sa->tunnel->conf.name,
		     "%s; %s", why, moat_isakmp_name(sa, name));
	moat_isakmp_remove(sa);
}

/* strongSwan takes IPsec SAs down with the ISAKMP SA that they were made under. */
static bool has_child(const struct moat_isakmp *sa)
{
	const struct moat_child *child;

	MOAT_PEER_FOREACH_CHILD(child, sa->tunnel) {
		if (child->isakmp == sa->id && !child->old && !child->redundant)
			return true;
	}
	return false;
}

/*
 * A delete is sent only when another phase 1 stands, and to others than Moat only when
 * nothing hangs on this one: strongSwan would end that, too.
 */
static void expire(struct moat_isakmp *sa)
{
	struct moat_isakmp *other;
	char name[MOAT_ISAKMP_STRLEN];

	TAILQ_FOREACH(other, &sa->ike->isakmps, link) {
		if (other != sa && replaces(other, sa))
			break;
	}
	/* Who was to make another one and could not has heard nothing of the peer. */
	if (!other && sa->rekeying)
		moat_dpd_watch(sa->tunnel, sa->tunnel->heard_at);
	else if (!other)
		/* What hangs on it has come just now. */
		moat_dpd_alone(sa->tunnel);
	if (other ? sa->moat || !has_child(sa) : !moat_peer_has_children(sa->tunnel)) {
		moat_isakmp_close(sa, sa->rekeying && other
					      ? "a new one has taken its place"
					      : "its life is over");
		return;
	}
	moat_act_log(sa->ike->acts, MOAT_LOG_INFO, "ike-expired", sa->tunnel->conf.name,
		     "the life of the ISAKMP SA is over, its IPsec SAs stay; %s",
		     moat_isakmp_name(sa, name));
	moat_isakmp_remove(sa);
}

/*
 * A message of quick mode may yet come again, or a delete would take SAs with it that
 * are in use: so a replaced one stays a while longer.
 */
static bool needed(const struct moat_isakmp *sa)
{
	return sa->rekeying && sa->ike->now < sa->expires &&
	       sa->n_seen < MOAT_EXCHANGES_MAX &&
	       (!LIST_EMPTY(&sa->quicks) || (!sa->moat && has_child(sa)));
}

static void life_over(struct moat_ike *ike, void *owner)
{
	struct moat_isakmp *sa = owner;

	if (needed(sa))
		moat_timer_after(ike, &sa->life_timer, REPLACED_LIFE);
	else if (sa->state == MOAT_QM_IDLE)
		expire(sa);
	else
		moat_isakmp_fail(sa, "it was not finished in time");
}

static void log_rekey(const struct moat_isakmp *sa, const struct moat_tunnel *tunnel)
{
	uint64_t left = (sa->expires - sa->ike->now) / MOAT_SECOND;
	char ids[64] = "";

	if (sa->n_seen >= many_ids(sa))
		snprintf(ids, sizeof(ids), " and has used %u of %u message ids",
			 sa->n_seen, MOAT_EXCHANGES_MAX);
	moat_act_log(sa->ike->acts, MOAT_LOG_INFO, "ike-rekey", tunnel->conf.name,
		     "the ISAKMP SA %s in %llu s%s: starting a new one",
		     sa->outdated ? "is outdated and expires" : "expires",
		     (unsigned long long)left, ids);
}

static bool needs(const struct moat_tunnel *tunnel, const struct moat_isakmp *sa)
{
	return moat_peer_suits(sa, tunnel) && !has_newer(sa, tunnel) &&
	       (moat_tunnel_has_children(tunnel) || moat_tunnel_persists(tunnel));
}

/* For whom is a new one to be made in the place of @sa? NULL for nobody. */
static struct moat_tunnel *who_needs(const struct moat_isakmp *sa)
{
	struct moat_tunnel *tunnel;

	if (needs(sa->tunnel, sa))
		return sa->tunnel;
	TAILQ_FOREACH(tunnel, &sa->ike->tunnels, link) {
		if (needs(tunnel, sa))
			break;
	}
	return tunnel;
}

static void rekey(struct moat_isakmp *sa, struct moat_tunnel *tunnel)
{
	sa->rekeying = true;
	if (!moat_isakmp_connecting(tunnel)) {
		log_rekey(sa, tunnel);
		moat_phase1_start(tunnel);
	}
	/* Should the attempt fail, there may be time for another. */
	moat_timer_after(sa->ike, &sa->rekey_timer, moat_renew_again(sa));
}

static void rekey_due(struct moat_ike *ike, void *owner)
{
	struct moat_isakmp *sa = owner;
	struct moat_tunnel *tunnel = who_needs(sa);
	bool replaced = has_newer(sa, sa->tunnel);

	if (tunnel)
		rekey(sa, tunnel);
	else if (sa->outdated && replaced)
		moat_timer_after(ike, &sa->life_timer, REPLACED_LIFE);
	else if (sa->outdated)
		moat_isakmp_close(sa, "its credentials are no longer configured");
	else if (!replaced)
		/* Traffic may yet bring IPsec SAs, and they shall not be without one. */
		moat_timer_after(ike, &sa->rekey_timer, REKEY_AGAIN);
}

bool moat_isakmp_rekey(struct moat_tunnel *tunnel)
{
	struct moat_isakmp *sa;
	bool any = false;

	/* After both sides began at once there are two, and either is as good. */
	TAILQ_FOREACH(sa, &tunnel->ike->isakmps, link) {
		if (sa->state == MOAT_QM_IDLE && moat_peer_suits(sa, tunnel))
			sa->rekeying = any = true;
	}
	if (any && !moat_isakmp_connecting(tunnel))
		moat_phase1_start(tunnel);
	return any;
}

uint64_t moat_rekey_after(struct moat_ike *ike, uint64_t life, bool initiator)
{
	uint64_t margin = life / 4;

	if (margin > REKEY_MARGIN_MAX)
		margin = REKEY_MARGIN_MAX;
	/* Who was the initiator is so again, unless it fails to come. */
	if (initiator)
		return life - margin - moat_core_jitter(ike, margin);
	return life - margin / 2 - moat_core_jitter(ike, margin / 4);
}

/* Those that were to be rekeyed have served; quick modes under way may end. */
static void replace_old(struct moat_isakmp *sa)
{
	struct moat_isakmp *other;

	TAILQ_FOREACH(other, &sa->ike->isakmps, link) {
		if (other == sa || !other->rekeying || other->state != MOAT_QM_IDLE ||
		    !replaces(sa, other))
			continue;
		moat_timer_stop(&sa->ike->timers, &other->rekey_timer);
		if (other->expires > sa->ike->now + REPLACED_LIFE)
			moat_timer_after(sa->ike, &other->life_timer, REPLACED_LIFE);
	}
}

/* A quick mode that has ended as responder is over: nobody asks for its answers. */
static bool has_quick(const struct moat_isakmp *sa)
{
	const struct moat_quick *quick;

	LIST_FOREACH(quick, &sa->quicks, link) {
		if (quick->initiator || quick->state != MOAT_QUICK_DONE)
			return true;
	}
	return false;
}

/*
 * A peer that crashes again and again leaves one each time, for as long as it lives;
 * dead peer detection, which would tell, may be off. Its newest ones are enough.
 */
static void end_spare(const struct moat_isakmp *sa)
{
	struct moat_isakmp *other = TAILQ_LAST(&sa->ike->isakmps, moat_isakmps);
	unsigned int n = 0;

	while (other) {
		struct moat_isakmp *before = TAILQ_PREV(other, moat_isakmps, link);

		if (other->state == MOAT_QM_IDLE &&
		    moat_tunnel_same_peer(other->tunnel, sa->tunnel) && ++n > KEPT_MAX &&
		    other != sa && !has_quick(other) && !has_child(other))
			moat_isakmp_close(other, "the peer has newer ones");
		other = before;
	}
}

void moat_isakmp_name_key(struct moat_isakmp *sa)
{
	struct moat_act *act;

	if (!sa->ike->keylog || !sa->has_keys || sa->keys.key_len > MOAT_KEYLOG_MAX)
		return;
	act = moat_act_new(sa->ike->acts, MOAT_ACT_KEYLOG);
	memcpy(act->keylog.cookie, sa->cky.i, MOAT_COOKIE_LEN);
	memcpy(act->keylog.key, sa->keys.key, sa->keys.key_len);
	act->keylog.len = sa->keys.key_len;
}

void moat_isakmp_keylog(struct moat_ike *ike, bool on)
{
	struct moat_isakmp *sa;

	if (on == ike->keylog)
		return;
	ike->keylog = on;
	TAILQ_FOREACH(sa, &ike->isakmps, link)
		moat_isakmp_name_key(sa);
}

void moat_isakmp_established(struct moat_isakmp *sa)
{
	struct moat_ike *ike = sa->ike;
	uint64_t life = sa->life * MOAT_SECOND;
	char name[MOAT_ISAKMP_STRLEN];
	char alg[64];

	if (!sa->verified)
		return;
	moat_act_proved(ike->acts);
	moat_ike1_trace(sa, NULL, moat_exchange_name(sa->exchange), false, 0, "",
			sa->state, MOAT_QM_IDLE, sa->initiator, false);
	sa->state = MOAT_QM_IDLE;
	sa->established = ike->now;
	sa->expires = ike->now + life;
	moat_isakmp_heard(sa);
	sa->hint[0] = '\0';
	forget_exchange(sa);
	moat_timer_set(&ike->timers, &sa->life_timer, sa->expires);
	moat_timer_after(ike, &sa->rekey_timer,
			 moat_rekey_after(ike, life, sa->initiator));
	moat_ike_alg_print(&sa->alg, alg, sizeof(alg));
	moat_act_log(ike->acts, MOAT_LOG_INFO, "ike-established", sa->tunnel->conf.name,
		     "ISAKMP SA established as %s, %s, expires in %u s; %s",
		     sa->initiator ? "initiator" : "responder", alg, sa->life,
		     moat_isakmp_name(sa, name));
	moat_natt_established(sa);
	moat_peer_use_address(sa->tunnel, &sa->remote.addr);
	replace_old(sa);
	end_spare(sa);
	moat_adopt_note(sa);
	moat_child_fetch(sa);
	moat_dpd_start(sa);
	/* A configuration that came meanwhile may have other credentials. */
	if (sa->config != ike->configs)
		moat_renew_check(sa);
	if (sa->outdated)
		moat_timer_after(ike, &sa->rekey_timer, 1);
	moat_peer_connect(sa->tunnel);
}
