// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Redundant SAs that a stranger has chosen: of two quick modes at once it sends on the
 * SAs that we hold for redundant, and we send on the others. Both pairs are in use, so
 * neither may come to its limit, or end, without others.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ike/ike1.h"
#include "sim_case.h"
#include "sim_insider.h"
#include "sim_internal.h"

#define SECOND 1000
#define SEEDS  17

/* What a side sends on, or may: which of two began it? */
static struct moat_child *of_role(struct sim *sim, int side, bool initiator)
{
	struct moat_child *child;

	TAILQ_FOREACH(child, &sim_pair(sim, side)->children, link) {
		if (child->complete && !child->old && child->initiator == initiator)
			break;
	}
	return child;
}

/* Side 0 sends on the SAs that side 1 has begun from now on, and ends neither. */
static void choose_theirs(struct sim *sim)
{
	struct moat_child *theirs = of_role(sim, 0, false);
	struct moat_child *own = of_role(sim, 0, true);
	struct moat_timers *timers = &sim_core(sim, 0)->timers;

	assert_true(theirs && own && sim_pair(sim, 0)->current == own);
	theirs->used = true;
	own->used = false;
	moat_timer_after(sim_core(sim, 0), &theirs->switch_timer, 1);
	sim_run(sim, 2);
	assert_ptr_equal(sim_pair(sim, 0)->current, theirs);
	own->old = false;
	moat_timer_set(timers, &own->end_timer, own->expires + MOAT_SPARE_LIFE);
	moat_timer_stop(timers, &theirs->rekey_timer);
}

/*
 * Of two quick modes at once side 0, a stranger that replaces nothing by itself, sends
 * on the SAs that side 1 has begun and holds for redundant. NULL: with this seed the
 * others are redundant.
 */
static struct sim *start_chosen(const struct sim_options *o)
{
	struct sim *sim = sim_start_traffic(o, true);
	const struct moat_child *own;

	sim_run(sim, 30 * SECOND);
	sim_control(sim, 0, MOAT_EV_REKEY);
	sim_control(sim, 1, MOAT_EV_REKEY);
	sim_run(sim, 6 * SECOND);
	own = of_role(sim, 1, true);
	if (!own || !own->redundant) {
		sim_free(sim);
		return NULL;
	}
	choose_theirs(sim);
	return sim;
}

/* With each seed of which side 1's are redundant. */
static void each_chosen(struct sim_options o, void (*run)(struct sim *sim))
{
	unsigned int seen = 0;

	for (o.seed = 1; o.seed <= SEEDS; o.seed++) {
		struct sim *sim = start_chosen(&o);

		if (!sim)
			continue;
		seen++;
		run(sim);
		sim_free(sim);
	}
	assert_true(seen);
}

static void run_out(struct sim *sim)
{
	sim_run(sim, 700 * SECOND);
	assert_true(sim_logged(sim, 1, "ipsec-rekey") >= 2);
	assert_int_equal(sim_logged(sim, 1, "pair-lost"), 0);
	assert_int_equal(sim_packets_lost(sim), 0);
}

/* The SAs that are sent on expire, for the redundant ones seemed to be the next. */
static void chosen_rekeyed(void **state)
{
	struct sim_options o = sim_plain();

	(void)state;
	o.lifetime = 600;
	each_chosen(o, run_out);
}

static void fill(struct sim *sim)
{
	/* Side 0 counts none. */
	for (struct sim_sa *sa = sim->side[0].kernel.sas; sa; sa = sa->next)
		sa->params.soft_bytes = sa->params.hard_bytes = 0;
	sim_run(sim, 400 * SECOND);
	assert_int_equal(sim_logged(sim, 1, "pair-lost"), 0);
	assert_int_equal(sim_logged(sim, 1, "ipsec-expired"), 0);
}

/* They are full and nothing passes any more, the same way. */
static void chosen_bytes(void **state)
{
	struct sim_options o = sim_plain();

	(void)state;
	o.shorter_bytes = 1 << 20;
	each_chosen(o, fill);
}

static void much_comes(struct sim *sim)
{
	struct moat_event event = { .type = MOAT_EV_EXPIRE };
	const struct moat_child *child;

	sim_run(sim, 100 * SECOND);
	child = of_role(sim, 1, true);
	assert_true(child && child->redundant && child->used);
	event.expire.direction = MOAT_DIRECTION_IN;
	event.expire.protocol = 50;
	event.expire.spi = child->sas[0].spi_in;
	event.expire.dst = child->local;
	event.expire.policy = sim_pair(sim, 1)->policy;
	sim_step(sim, 1, &event);
	sim_run(sim, 20 * SECOND);
	assert_int_equal(sim_logged(sim, 1, "ipsec-rekey"), 2);
}

/* The peer fills the redundant ones: its packets are refused when they are full. */
static void chosen_comes(void **state)
{
	(void)state;
	each_chosen(sim_plain(), much_comes);
}

static void be_alone(struct sim *sim)
{
	while (!TAILQ_EMPTY(&sim_core(sim, 0)->isakmps) && sim_isakmps(sim, 1)) {
		moat_isakmp_remove(TAILQ_FIRST(&sim_core(sim, 0)->isakmps));
		moat_isakmp_remove(TAILQ_FIRST(&sim_core(sim, 1)->isakmps));
		sim_run(sim, 20);
	}
	assert_int_equal(sim_isakmps(sim, 1), 0);
	sim_run(sim, 100 * SECOND);
	assert_int_equal(sim_packets_lost(sim), 0);
}

/* They end while there is no ISAKMP SA that says whose they are; the peer sends on. */
static void chosen_alone(void **state)
{
	(void)state;
	each_chosen(sim_plain(), be_alone);
}

static struct moat_child *redundant_one(struct sim *sim)
{
	struct moat_child *child;

	TAILQ_FOREACH(child, &sim_pair(sim, 1)->children, link) {
		if (child->redundant)
			break;
	}
	return child;
}

static void tell(struct sim *sim)
{
	const struct moat_child *redundant = redundant_one(sim);

	sim_control(sim, 1, MOAT_EV_REKEY);
	for (int i = 0; i < 2000 && !redundant->deletes; i++) {
		sim_run(sim, 100);
		assert_ptr_equal(redundant_one(sim), redundant);
	}
	assert_true(redundant->deletes);
	sim_insider_delete(sim, sim_pair(sim, 1)->current, 0x10000);
	sim_run(sim, 10);
	assert_ptr_not_equal(sim_pair(sim, 1)->current, redundant);
}

/* Others go, and packets are sent on redundant ones that the peer has deleted. */
static void told_chosen(void **state)
{
	(void)state;
	each_chosen(sim_plain(), tell);
}

static void restart(struct sim *sim)
{
	sim_keep_unknown(sim, 1);
	sim_network(sim, 20, 0, 0);
	sim_run(sim, (sim->options.seed % 3 ? 100 : 1) * SECOND);
	sim_crash(sim, 1);
	sim_run(sim, 3 * SECOND);
	sim_restart(sim, 1);
	sim_run(sim, 300 * SECOND);
	assert_int_equal(sim_packets_lost(sim), 0);
}

/* The daemon dies, and the next one deletes SAs by which the peer sends. */
static void adopts_chosen(void **state)
{
	(void)state;
	each_chosen(sim_plain(), restart);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chosen_rekeyed), cmocka_unit_test(chosen_bytes),
		cmocka_unit_test(chosen_comes),	  cmocka_unit_test(chosen_alone),
		cmocka_unit_test(told_chosen),	  cmocka_unit_test(adopts_chosen),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
