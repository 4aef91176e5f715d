// SPDX-License-Identifier: GPL-2.0-or-later
/* The core's entry: one event in, actions out. */
#include "ike/core.h"
#include "ike/ike1.h"
#include "ike/wild.h"

#include <stdlib.h>

struct moat_wait {
	LIST_ENTRY(moat_wait) link;
	uint32_t token;
	void *owner;
	moat_answer_fn answer;
};

void moat_blob_set(struct moat_blob *blob, const void *data, size_t len)
{
	moat_blob_clear(blob);
	blob->data = moat_dup(data, len);
	blob->len = len;
}

void moat_blob_clear(struct moat_blob *blob)
{
	if (blob->data)
		moat_wipe(blob->data, blob->len);
	free(blob->data);
	blob->data = NULL;
	blob->len = 0;
}

void moat_core_ask(struct moat_ike *ike, struct moat_act *act, void *owner,
		   moat_answer_fn answer)
{
	struct moat_wait *wait = moat_alloc(sizeof(*wait));

	if (++ike->last_token == 0)
		ike->last_token = 1;
	act->token = ike->last_token;
	wait->token = act->token;
	wait->owner = owner;
	wait->answer = answer;
	LIST_INSERT_HEAD(&ike->waits, wait, link);
}

void moat_core_forget(struct moat_ike *ike, const void *owner)
{
	struct moat_wait *wait = LIST_FIRST(&ike->waits);

	while (wait) {
		struct moat_wait *next = LIST_NEXT(wait, link);

		if (wait->owner == owner) {
			moat_act_new(ike->acts, MOAT_ACT_FORGET)->token = wait->token;
			LIST_REMOVE(wait, link);
			free(wait);
		}
		wait = next;
	}
}

unsigned int moat_core_waits(const struct moat_ike *ike)
{
	const struct moat_wait *wait;
	unsigned int count = 0;

	LIST_FOREACH(wait, &ike->waits, link)
		count++;
	return count;
}

static void answer(struct moat_ike *ike, const struct moat_event *event)
{
	struct moat_wait *wait;

	LIST_FOREACH(wait, &ike->waits, link) {
		if (wait->token == event->answer.token)
			break;
	}
	/* Whoever asked has gone: a reserved SPI expires by itself. */
	if (!wait)
		return;
	LIST_REMOVE(wait, link);
	wait->answer(ike, wait->owner, event);
	free(wait);
}

void moat_core_random(struct moat_ike *ike, void *buf, size_t len)
{
	ike->random(ike->random_ctx, buf, len);
}

uint64_t moat_core_jitter(struct moat_ike *ike, uint64_t max)
{
	uint32_t number;

	moat_core_random(ike, &number, sizeof(number));
	return max * number / UINT32_MAX;
}

void moat_timer_after(struct moat_ike *ike, struct moat_timer *timer, uint64_t ms)
{
	moat_timer_set(&ike->timers, timer, ike->now + ms);
}

static void run_timers(struct moat_ike *ike)
{
	struct moat_timer *timer;

	while ((timer = moat_timer_next(&ike->timers)) && timer->due <= ike->now) {
		moat_timer_stop(&ike->timers, timer);
		timer->fire(ike, timer->owner);
	}
}

/* The version says which IKE it is; the other end of this switch is to come. */
static void datagram(struct moat_ike *ike, const struct moat_event *event)
{
	moat_ike1_datagram(ike, event);
}

static void dispatch(struct moat_ike *ike, const struct moat_event *event)
{
	switch (event->type) {
	case MOAT_EV_TIMER:
		break;
	case MOAT_EV_CONFIG:
		moat_tunnels_config(ike, event);
		break;
	case MOAT_EV_ADOPT:
		moat_adopt(ike, event);
		break;
	case MOAT_EV_ADOPTED:
		moat_adopt_end(ike);
		break;
	case MOAT_EV_DATAGRAM:
		datagram(ike, event);
		break;
	case MOAT_EV_ACQUIRE:
		moat_pair_acquire(ike, event);
		break;
	case MOAT_EV_EXPIRE:
		moat_child_expire(ike, event);
		break;
	case MOAT_EV_FIRST_USE:
		moat_child_first_use(ike, event);
		break;
	case MOAT_EV_MAPPING:
		moat_natt_mapping(ike, event);
		break;
	case MOAT_EV_UNKNOWN_SPI:
		moat_spi_unknown(ike, event);
		break;
	case MOAT_EV_POLICY_LOST:
		moat_pair_bare(ike, event);
		break;
	case MOAT_EV_UNSENT:
		moat_isakmp_unsent(ike, event);
		break;
	case MOAT_EV_UP:
		moat_tunnel_up(ike, event);
		break;
	case MOAT_EV_DOWN:
		moat_tunnel_down(ike, event);
		break;
	case MOAT_EV_CLEAR:
		moat_tunnel_clear(ike, event);
		break;
	case MOAT_EV_REKEY:
		moat_tunnel_rekey(ike, event);
		break;
	case MOAT_EV_KEYLOG:
		moat_isakmp_keylog(ike, event->keylog.on);
		break;
	case MOAT_EV_ANSWER:
		answer(ike, event);
		break;
	}
}

void moat_ike_step(struct moat_ike *ike, const struct moat_event *event,
		   struct moat_acts *acts)
{
	ike->acts = acts;
	/* Should it go back all the same, timers must not stand still so long. */
	if (event->now < ike->clock)
		ike->ahead += ike->clock - event->now;
	ike->clock = event->now;
	ike->now = event->now + ike->ahead;
	ike->sequence++;
	acts->limits = ike;
	run_timers(ike);
	/* Nobody is believed to be a peer before its message has proved it. */
	if (event->type == MOAT_EV_DATAGRAM || event->type == MOAT_EV_UNSENT)
		acts->cause = MOAT_BY_STRANGER;
	dispatch(ike, event);
	acts->cause = MOAT_BY_US;
	moat_quick_reap(ike);
	moat_isakmp_reap(ike, NULL);
	moat_wild_sweep(ike);
	ike->acts = NULL;
}

uint64_t moat_ike_wake(const struct moat_ike *ike)
{
	const struct moat_timer *timer = moat_timer_next(&ike->timers);

	if (!timer)
		return UINT64_MAX;
	return timer->due > ike->ahead ? timer->due - ike->ahead : 0;
}

struct moat_ike *moat_ike_new(moat_random_fn random, void *ctx)
{
	struct moat_ike *ike = moat_alloc(sizeof(*ike));

	ike->random = random;
	ike->random_ctx = ctx;
	ike->last_policy = 1 << 16;
	moat_limit_prepare(ike);
	LIST_INIT(&ike->waits);
	TAILQ_INIT(&ike->tunnels);
	TAILQ_INIT(&ike->isakmps);
	TAILQ_INIT(&ike->dead_isakmps);
	LIST_INIT(&ike->dead_quicks);
	return ike;
}

void moat_ike_free(struct moat_ike *ike)
{
	struct moat_acts acts;

	if (!ike)
		return;
	moat_acts_init(&acts);
	ike->acts = &acts;
	while (!TAILQ_EMPTY(&ike->isakmps))
		moat_isakmp_remove(TAILQ_FIRST(&ike->isakmps));
	moat_quick_reap(ike);
	moat_isakmp_reap(ike, NULL);
	moat_tunnels_free(ike);
	while (!LIST_EMPTY(&ike->waits)) {
		struct moat_wait *wait = LIST_FIRST(&ike->waits);

		LIST_REMOVE(wait, link);
		free(wait);
	}
	moat_acts_free(&acts);
	free(ike->timers.heap);
	free(ike);
}
