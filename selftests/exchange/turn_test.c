// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * strongSwan can read on in the three exchanges after phase 1 that it has heard of last:
 * a peer that is no Moat gets few message ids at a time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sim_case.h"
#include "ike/ike1.h"
#include "wire/build.h"

#define SECOND	 1000
#define EXCHANGE 18 /* where a datagram has its type, and its message id */
#define ID	 20
#define IDS_MAX	 64

/* Message ids of side 0's messages of a kind; how often each was said. */
struct ids {
	uint32_t id[IDS_MAX];
	unsigned int said[IDS_MAX];
	unsigned int n;
};

static unsigned int *note(struct ids *ids, uint32_t id)
{
	unsigned int i = 0;

	while (i < ids->n && ids->id[i] != id)
		i++;
	if (i == ids->n) {
		assert_true(ids->n < IDS_MAX);
		ids->id[ids->n] = id;
		ids->said[ids->n++] = 0;
	}
	return &ids->said[i];
}

/* Return: how many of side 0's quick modes had begun and not ended, at most. */
static unsigned int scan(const struct sim *sim, unsigned int since, uint8_t exchange,
			 struct ids *ids)
{
	unsigned int open = 0, most = 0;
	const uint8_t *data;
	size_t len;
	int to;

	ids->n = 0;
	for (unsigned int i = since; (data = sim_datagram(sim, i, &len, &to)); i++) {
		unsigned int *said;

		if (to != 1 || data[EXCHANGE] != exchange)
			continue;
		said = note(ids, moat_get32(data + ID));
		if (++*said == 1)
			open++;
		else if (*said == 2)
			open--;
		most = open > most ? open : most;
	}
	return most;
}

static unsigned int pairs_up(struct sim *sim)
{
	const struct moat_tunnel *tunnel = TAILQ_FIRST(&sim_core(sim, 0)->tunnels);
	unsigned int n = 0;

	for (unsigned int i = 0; i < tunnel->conf.n_pairs; i++)
		n += tunnel->pairs[i].current != NULL;
	return n;
}

static struct sim *connecting(bool stranger)
{
	struct sim_options o = sim_plain();
	struct sim *sim;

	o.nets = 4;
	o.start[1] = MOAT_START_NONE;
	sim = sim_new(&o);
	sim_run(sim, 100);
	if (stranger)
		sim_estrange(sim);
	return sim;
}

/* Sixteen at once over a long way: the peer could not read them to the end. */
static void in_turn(void **state)
{
	(void)state;
	for (int stranger = 0; stranger < 2; stranger++) {
		struct sim *sim = connecting(stranger);
		struct ids ids;

		sim_up(sim, 0);
		sim_run(sim, 10 * SECOND);
		sim_assert_established(sim, 16);
		assert_int_equal(scan(sim, 0, MOAT_X_QUICK, &ids), stranger ? 1 : 16);
		assert_int_equal(ids.n, 16);
		sim_free(sim);
	}
}

static bool first_one(int from, uint8_t exchange, unsigned int nth)
{
	return from == 0 && exchange == MOAT_X_QUICK && nth <= 1;
}

/* The peer leaves one without an answer: the others have waited long enough. */
static void passed(void **state)
{
	struct sim *sim = connecting(true);
	struct moat_quick *quick;

	(void)state;
	sim_set_filter(sim, first_one);
	sim_up(sim, 0);
	for (int i = 0; i < 500 && !sim_sent(sim, 0, MOAT_X_QUICK); i++)
		sim_run(sim, 1);
	LIST_FOREACH(quick, &sim_newest(sim, 0)->quicks, link)
		moat_timer_stop(&sim_core(sim, 0)->timers, &quick->flight.timer);
	sim_run(sim, 2 * SECOND);
	assert_int_equal(pairs_up(sim), 0);
	sim_run(sim, 3 * SECOND);
	assert_int_equal(pairs_up(sim), 15);
	sim_free(sim);
}

/* Side 0 has just asked for new SAs in the place of those that a stranger has. */
static struct sim *start_rekey(bool one_way)
{
	struct sim_options o = sim_plain();
	struct sim *sim;

	o.one_way = one_way;
	sim = sim_start_traffic(&o, true);
	sim_run(sim, 10 * SECOND);
	sim_control(sim, 0, MOAT_EV_REKEY);
	return sim;
}

/* That old SAs end is said three times, by one message id; once, of the ISAKMP SA. */
static void one_farewell(void **state)
{
	struct sim *sim = start_rekey(false);
	struct ids ids;
	unsigned int since;

	(void)state;
	sim_run(sim, 5 * SECOND);
	since = sim_datagrams(sim);
	sim_run(sim, 60 * SECOND);
	assert_int_equal(sim_rekeys(sim, 0), 1);
	scan(sim, since, MOAT_X_INFORMATIONAL, &ids);
	assert_int_equal(ids.n, 2);
	assert_int_equal(ids.said[0] + ids.said[1], 4);
	assert_in_range(ids.said[0], 1, 3);
	sim_free(sim);
}

static bool quick_of_0(int from, uint8_t exchange, unsigned int nth)
{
	(void)nth;
	return from == 0 && exchange == MOAT_X_QUICK;
}

/* Old SAs, used or not, end while the peer waits for message 2: that is told later. */
static void undisturbed(void **state)
{
	(void)state;
	for (int one_way = 0; one_way < 2; one_way++) {
		struct sim *sim = start_rekey(one_way);
		struct ids ids;
		unsigned int since;

		sim_run(sim, 25 * SECOND);
		sim_set_filter(sim, quick_of_0);
		since = sim_datagrams(sim);
		moat_timer_after(sim_core(sim, 1),
				 &sim_pair(sim, 1)->current->rekey_timer, 1);
		sim_run(sim, 20 * SECOND);
		scan(sim, since, MOAT_X_INFORMATIONAL, &ids);
		assert_int_equal(ids.n, 0);
		sim_set_filter(sim, NULL);
		sim_run(sim, 20 * SECOND);
		scan(sim, since, MOAT_X_INFORMATIONAL, &ids);
		assert_in_range(ids.n, 1, 2);
		assert_int_equal(ids.said[0], one_way ? 1 : 3);
		assert_int_equal(sim_packets_lost(sim), 0);
		sim_free(sim);
	}
}

/* Nor is it asked whether it has the SAs of ours. */
static void unasked(void **state)
{
	(void)state;
	for (int open = 0; open < 2; open++) {
		struct sim_options o = sim_plain();
		struct sim *sim;
		struct ids ids;
		unsigned int since;

		o.nets = 2;
		o.dpd = 30;
		o.dpd_timeout = 120;
		o.start[0] = MOAT_START_TRAP;
		o.start[1] = MOAT_START_TRAP;
		sim = sim_new(&o);
		sim_estrange(sim);
		sim_run(sim, 100);
		sim_acquire(sim, 1, 2);
		sim_run(sim, SECOND);
		assert_int_equal(pairs_up(sim), 1);
		since = sim_datagrams(sim);
		sim_set_filter(sim, quick_of_0);
		if (open)
			sim_acquire(sim, 1, 1);
		sim_run(sim, 100);
		sim_set_filter(sim, NULL);
		sim_acquire(sim, 0, 0);
		sim_run(sim, 400);
		scan(sim, since, MOAT_X_INFORMATIONAL, &ids);
		assert_int_equal(ids.n, !open);
		sim_run(sim, 5 * SECOND);
		assert_int_equal(pairs_up(sim), 2 + open);
		sim_free(sim);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_turn),	cmocka_unit_test(passed),
		cmocka_unit_test(one_farewell), cmocka_unit_test(undisturbed),
		cmocka_unit_test(unasked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
