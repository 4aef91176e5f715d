// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Quick modes and a new ISAKMP SA at once, with a stranger: it may end what comes under
 * the one before.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "sim_case.h"
#include "sim_insider.h"
#include "sim_internal.h"

#define SECOND	1000
#define COOKIES 16 /* octets, with which a datagram begins */

/* A datagram with a message 3 of quick mode, which is but a hash, is shorter. */
#define SHORT 100

/* What the filters look at: the last datagram; and the ISAKMP SA under which all is lost.
 */
static struct sim *sent_in;
static uint8_t old_cookies[COOKIES];

static const uint8_t *last_sent(size_t *len)
{
	int to;

	return sim_datagram(sent_in, sim_datagrams(sent_in) - 1, len, &to);
}

static bool messages_3(int from, uint8_t exchange, unsigned int nth)
{
	size_t len;

	(void)from;
	(void)nth;
	return last_sent(&len) && exchange == MOAT_X_QUICK && len < SHORT;
}

static bool main_modes(int from, uint8_t exchange, unsigned int nth)
{
	(void)from;
	(void)nth;
	return exchange == MOAT_X_MAIN;
}

static bool quick_of_0(int from, uint8_t exchange, unsigned int nth)
{
	(void)nth;
	return from == 0 && exchange == MOAT_X_QUICK;
}

static bool quick_of_1(int from, uint8_t exchange, unsigned int nth)
{
	(void)nth;
	return from == 1 && exchange == MOAT_X_QUICK;
}

static bool under_old(int from, uint8_t exchange, unsigned int nth)
{
	size_t len;

	(void)nth;
	return from == 0 && exchange == MOAT_X_QUICK &&
	       !memcmp(last_sent(&len), old_cookies, COOKIES);
}

static struct sim *start(uint64_t seed, bool strangers)
{
	struct sim_options o = sim_plain();
	struct sim *sim;

	o.seed = seed;
	sim = sim_start_traffic(&o, strangers);
	sim_run(sim, 100 * SECOND);
	sent_in = sim;
	return sim;
}

static void at_once(struct sim *sim, int side, struct moat_timer *timer)
{
	moat_timer_set(&sim_core(sim, side)->timers, timer, sim_now(sim) + 1);
}

static struct moat_child *last(struct sim *sim, int side)
{
	return TAILQ_LAST(&sim_pair(sim, side)->children, moat_children);
}

/* A quick mode of @side, of which the peer does not hear message 3 yet. */
static void begin_quick(struct sim *sim, int side)
{
	unsigned int sent = sim_sent(sim, side, MOAT_X_QUICK);

	sim_set_filter(sim, messages_3);
	at_once(sim, side, &sim_pair(sim, side)->current->rekey_timer);
	while (sim_sent(sim, side, MOAT_X_QUICK) < sent + 2)
		sim_run(sim, 1);
}

static void begin_phase1(struct sim *sim, int side)
{
	at_once(sim, side, &sim_newest(sim, side)->rekey_timer);
}

static void until_established(struct sim *sim)
{
	for (int i = 0; i < SECOND; i++) {
		if (sim_newest(sim, 0)->established + SECOND > sim_now(sim) &&
		    sim_newest(sim, 1)->established + SECOND > sim_now(sim))
			return;
		sim_run(sim, 1);
	}
	fail_msg("no ISAKMP SA");
}

static void assert_newest(struct sim *sim, int side)
{
	assert_int_equal(sim_pair(sim, side)->current->isakmp, sim_newest(sim, side)->id);
}

/* What the operator asks for: a stranger's quick mode comes under the new ISAKMP SA. */
static void phase_1_first(void **state)
{
	(void)state;
	for (int stranger = 0; stranger < 2; stranger++) {
		struct sim *sim = start(1, stranger);
		unsigned int sent = sim_sent(sim, 0, MOAT_X_QUICK);

		sim_control(sim, 0, MOAT_EV_REKEY);
		for (int i = 0; i < 30; i++) {
			sim_run(sim, 1);
			if (stranger && sim_newest(sim, 0)->state != MOAT_QM_IDLE)
				assert_int_equal(sim_sent(sim, 0, MOAT_X_QUICK), sent);
		}
		assert_int_equal(sim_sent(sim, 0, MOAT_X_QUICK) > sent, !stranger);
		sim_run(sim, 10 * SECOND);
		assert_int_equal(sim_rekeys(sim, 0), 1);
		assert_int_equal(sim_logged(sim, 0, "ipsec-crossed"), 0);
		if (stranger)
			assert_newest(sim, 0);
		assert_int_equal(sim_packets_lost(sim), 0);
		sim_free(sim);
	}
}

/* A phase 1 that does not come to its end holds quick modes no longer than this. */
static void phase_1_hangs(void **state)
{
	struct sim *sim = start(1, true);
	unsigned int sent = sim_sent(sim, 0, MOAT_X_QUICK);

	(void)state;
	sim_set_filter(sim, main_modes);
	begin_phase1(sim, 0);
	sim_run(sim, 10);
	at_once(sim, 0, &sim_pair(sim, 0)->current->rekey_timer);
	sim_run(sim, 14 * SECOND);
	assert_int_equal(sim_logged(sim, 0, "ipsec-rekey"), 1);
	assert_int_equal(sim_sent(sim, 0, MOAT_X_QUICK), sent);
	sim_run(sim, 5 * SECOND);
	assert_int_equal(sim_rekeys(sim, 0), 1);
	sim_free(sim);
}

/* Nor those without which the SAs would end. */
static void phase_1_too_late(void **state)
{
	struct sim *sim = start(1, true);

	(void)state;
	sim_set_filter(sim, main_modes);
	begin_phase1(sim, 0);
	sim_run(sim, 100);
	sim_pair(sim, 0)->current->expires = sim_now(sim) + 10 * SECOND;
	at_once(sim, 0, &sim_pair(sim, 0)->current->rekey_timer);
	sim_run(sim, 4 * SECOND);
	assert_int_equal(sim_rekeys(sim, 0), 1);
	sim_free(sim);
}

/* Nor first ones, for which packets wait. */
static void phase_1_first_packet(void **state)
{
	struct sim_options o = sim_plain();
	struct sim *sim;

	(void)state;
	o.nets = 2;
	o.start[0] = o.start[1] = MOAT_START_TRAP;
	sim = sim_new(&o);
	sim_estrange(sim);
	sim_run(sim, 100);
	sim_acquire(sim, 0, 0);
	sim_run(sim, 10 * SECOND);
	sim_set_filter(sim, main_modes);
	begin_phase1(sim, 0);
	sim_run(sim, 100);
	sim_acquire(sim, 0, 1);
	sim_run(sim, SECOND);
	assert_int_equal(sim_count(sim, 0, MOAT_DIRECTION_OUT), 2);
	sim_free(sim);
}

/* The peer ends SAs, and its word of it is lost. */
static void end_silently(struct sim *sim, int side, uint32_t spi)
{
	struct sim_kernel *kernel = &sim->side[side].kernel;
	struct sim_sa *sa =
		sim_kernel_sa(kernel, MOAT_DIRECTION_IN, spi, &sim->side[side].addr);

	assert_non_null(sa);
	sim_keep_unknown(sim, side);
	sim_kernel_del(kernel, &sa->params);
}

/*
 * Side @by has begun a quick mode that waits for message 3 when the ISAKMP SA is
 * replaced. Then it goes on, and the peer sends on its SAs.
 *
 * Return: those of side 0
 */
static struct moat_child *cross(struct sim *sim, int by)
{
	struct moat_child *child;

	begin_quick(sim, by);
	begin_phase1(sim, 0);
	until_established(sim);
	child = last(sim, 0);
	assert_true(child->complete == !by && child->initiator == !by);
	if (!by)
		sim_insider_packet(sim, 0);
	sim_set_filter(sim, NULL);
	return child;
}

/* Nothing is sent on them, and others come under the new ISAKMP SA. */
static void not_sent_on(void **state)
{
	(void)state;
	for (int by = 0; by < 2; by++) {
		struct sim *sim = start(1, true);
		struct moat_child *child = cross(sim, by);
		uint32_t spi = child->sas[0].spi_out;

		for (int i = 0; i < 500; i++) {
			sim_run(sim, 10);
			assert_ptr_not_equal(sim_pair(sim, 0)->current, child);
		}
		assert_int_equal(sim_logged(sim, 0, "ipsec-crossed"), 1);
		assert_newest(sim, 0);
		end_silently(sim, 1, spi);
		sim_run(sim, 300 * SECOND);
		assert_int_equal(sim_packets_lost(sim), 0);
		assert_int_equal(sim_count(sim, 0, MOAT_DIRECTION_OUT), 1);
		sim_free(sim);
	}
}

/* A Moat ends nothing with its ISAKMP SA. */
static void moat(void **state)
{
	(void)state;
	for (int by = 0; by < 2; by++) {
		struct sim *sim = start(1, false);
		const struct moat_child *child = cross(sim, by);

		sim_run(sim, 5 * SECOND);
		assert_int_equal(sim_logged(sim, 0, "ipsec-crossed"), 0);
		assert_ptr_equal(sim_pair(sim, 0)->current, child);
		assert_int_equal(sim_packets_lost(sim), 0);
		sim_free(sim);
	}
}

/* SAs that may not be held back any more are sent on, and replaced at once. */
static void not_held(void **state)
{
	struct sim *sim = start(1, true);
	const struct moat_child *child;

	(void)state;
	sim_pair(sim, 0)->current->n_unheard = 2;
	child = cross(sim, 1);
	while (!child->complete)
		sim_run(sim, 1);
	assert_int_equal(sim_logged(sim, 0, "ipsec-rekey"), 0);
	sim_set_filter(sim, quick_of_1);
	sim_run(sim, 1100);
	assert_int_equal(sim_logged(sim, 0, "ipsec-rekey"), 1);
	assert_ptr_equal(sim_pair(sim, 0)->current, child);
	assert_int_equal(sim_logged(sim, 0, "ipsec-crossed"), 0);
	sim_set_filter(sim, NULL);
	sim_run(sim, 10 * SECOND);
	assert_newest(sim, 0);
	assert_int_equal(sim_packets_lost(sim), 0);
	sim_free(sim);
}

static unsigned int last_main;
static int last_main_of;

static bool main_from(int from, uint8_t exchange, unsigned int nth)
{
	return messages_3(from, exchange, nth) ||
	       (from == last_main_of && exchange == MOAT_X_MAIN && nth >= last_main);
}

/* Message 6 is lost, so the peer may have the ISAKMP SA; or 3, so it does not. */
static void half_established(void **state)
{
	(void)state;
	for (int side = 0; side < 2; side++) {
		struct sim *sim = start(1, true);
		struct moat_child *child;

		begin_quick(sim, 0);
		last_main_of = side;
		last_main = sim_sent(sim, side, MOAT_X_MAIN) + 2 + (unsigned int)side;
		sim_set_filter(sim, main_from);
		begin_phase1(sim, 0);
		sim_run(sim, 200);
		child = last(sim, 0);
		sim_insider_packet(sim, 0);
		assert_int_equal(child->crossed, side);
		sim_free(sim);
	}
}

/* Of a phase 1 that hangs: its initiator cookie. */
static uint8_t hung[MOAT_COOKIE_LEN];

static bool hung_main_6(int from, uint8_t exchange, unsigned int nth)
{
	size_t len;

	return from == 1 && exchange == MOAT_X_MAIN && nth >= last_main &&
	       !memcmp(last_sent(&len), hung, sizeof(hung));
}

/* An attempt that has hung since before the ISAKMP SA was made overtakes nothing. */
static void hung_before(void **state)
{
	struct sim *sim = start(1, true);
	const struct moat_isakmp *attempt;

	(void)state;
	begin_phase1(sim, 0);
	sim_run(sim, 2);
	attempt = sim_newest(sim, 0);
	assert_int_not_equal(attempt->state, MOAT_QM_IDLE);
	memcpy(hung, attempt->cky.i, sizeof(hung));
	last_main = sim_sent(sim, 1, MOAT_X_MAIN) + 3;
	sim_set_filter(sim, hung_main_6);
	sim_run(sim, SECOND);
	assert_int_equal(attempt->sent, 3);
	begin_phase1(sim, 1);
	sim_run(sim, 5 * SECOND);
	assert_int_not_equal(attempt->state, MOAT_QM_IDLE);
	at_once(sim, 0, &sim_pair(sim, 0)->current->rekey_timer);
	sim_run(sim, 20 * SECOND);
	assert_int_not_equal(attempt->state, MOAT_QM_IDLE);
	assert_int_equal(sim_rekeys(sim, 0), 1);
	assert_int_equal(sim_logged(sim, 0, "ipsec-crossed"), 0);
	sim_free(sim);
}

/* The operator asks for others while some are held back. */
static void asked_for(void **state)
{
	struct sim *sim = start(1, true);
	const struct moat_child *child = cross(sim, 0);

	(void)state;
	assert_true(child->crossed && child->switch_timer.slot);
	sim_control(sim, 0, MOAT_EV_REKEY);
	assert_non_null(strstr(sim_log_text(sim, 0, "ipsec-rekey"), "operator"));
	sim_free(sim);
}

/* Where no others come the peer may want to end those before. */
static void sent_on_late(void **state)
{
	(void)state;
	for (int by = 0; by < 2; by++) {
		struct sim *sim = start(1, true);
		const struct moat_child *child = cross(sim, by);

		while (!child->crossed)
			sim_run(sim, 10);
		sim_set_filter(sim, quick_of_0);
		sim_run(sim, 19 * SECOND);
		assert_ptr_not_equal(sim_pair(sim, 0)->current, child);
		sim_run(sim, 2 * SECOND);
		assert_ptr_equal(sim_pair(sim, 0)->current, child);
		assert_int_equal(sim_packets_lost(sim), 0);
		sim_free(sim);
	}
}

/* The peer answers under the new ISAKMP SA alone: it is not asked eight times before. */
static void unanswered(void **state)
{
	(void)state;
	for (int newer = 0; newer < 2; newer++) {
		struct sim *sim = start(1, true);

		memcpy(old_cookies, sim_newest(sim, 0)->cky.i, COOKIES);
		sim_set_filter(sim, under_old);
		at_once(sim, 0, &sim_pair(sim, 0)->current->rekey_timer);
		sim_run(sim, 100);
		if (newer)
			begin_phase1(sim, 0);
		for (int i = 0; i < 20 * SECOND && !sim_logged(sim, 0, "quick-failed");
		     i++)
			sim_run(sim, 1);
		assert_non_null(sim_pair(sim, 0)->quick);
		sim_run(sim, 3 * SECOND);
		assert_int_equal(sim_rekeys(sim, 0), newer);
		assert_int_equal(sim_logged(sim, 0, "quick-failed"), newer);
		if (newer)
			assert_newest(sim, 0);
		assert_int_equal(sim_packets_lost(sim), 0);
		sim_free(sim);
	}
}

/* That of one of the sides, at @side, of two quick modes that ran at once. */
static struct moat_child *begun_by(struct sim *sim, int side, int by)
{
	struct moat_child *child;

	TAILQ_FOREACH(child, &sim_pair(sim, side)->children, link) {
		if (child != sim_pair(sim, side)->current &&
		    child->initiator == (side == by))
			break;
	}
	assert_non_null(child);
	return child;
}

static bool both_complete(struct sim *sim)
{
	for (int i = 0; i < 4; i++) {
		if (!begun_by(sim, i & 1, i / 2)->complete)
			return false;
	}
	return true;
}

/*
 * Each side has begun a quick mode when the ISAKMP SA is replaced. The SAs of that of
 * side 1 are held back there, then both quick modes come to their end.
 */
static struct sim *cross_both(uint64_t seed)
{
	struct sim *sim = start(seed, true);
	struct moat_child *child;

	sim_set_filter(sim, messages_3);
	for (int side = 0; side < 2; side++)
		at_once(sim, side, &sim_pair(sim, side)->current->rekey_timer);
	sim_run(sim, 100);
	begin_phase1(sim, 0);
	until_established(sim);
	child = begun_by(sim, 1, 1);
	child->switch_by = 0;
	at_once(sim, 1, &child->switch_timer);
	sim_run(sim, 2);
	assert_true(child->crossed);
	sim_set_filter(sim, NULL);
	for (int i = 0; i < 3 * SECOND && !both_complete(sim); i++)
		sim_run(sim, 1);
	assert_true(both_complete(sim));
	return sim;
}

/* Both sides agree which SAs are redundant, whatever was held back. */
static void redundant(void **state)
{
	unsigned int seen[2] = { 0 };

	(void)state;
	for (uint64_t seed = 1; seed < 8; seed++) {
		struct sim *sim = cross_both(seed);
		bool first = begun_by(sim, 0, 0)->redundant;

		for (int side = 0; side < 2; side++) {
			assert_int_equal(begun_by(sim, side, 0)->redundant, first);
			assert_int_equal(begun_by(sim, side, 1)->redundant, !first);
		}
		seen[first]++;
		sim_run(sim, 100 * SECOND);
		assert_int_equal(sim_packets_lost(sim), 0);
		assert_null(sim_agree(sim));
		sim_free(sim);
	}
	assert_true(seen[0] && seen[1]);
}

/* Of three at once the second is redundant for the first, and makes the third not so. */
static void three_at_once(void **state)
{
	struct sim *sim = start(1, true);
	struct moat_child *first = sim_pair(sim, 0)->current;
	const struct moat_child *second, *third;

	(void)state;
	sim_set_filter(sim, messages_3);
	for (int side = 0; side < 2; side++)
		at_once(sim, side, &sim_pair(sim, side)->current->rekey_timer);
	sim_run(sim, 100);
	second = begun_by(sim, 0, 1);
	third = begun_by(sim, 0, 0);
	assert_true(third->complete && !second->complete);
	first->established = sim_now(sim);
	memset(first->nonce.data, 0xff, first->nonce.len);
	memset(third->nonce.data, 0, third->nonce.len);
	sim_set_filter(sim, NULL);
	while (!second->complete)
		sim_run(sim, 1);
	assert_false(first->old);
	assert_true(second->redundant);
	assert_false(third->redundant);
	sim_free(sim);
}

/* Such SAs of side 0 are there at side 1, which has held its own back. */
static struct sim *with_redundant(void)
{
	for (uint64_t seed = 1;; seed++) {
		struct sim *sim = cross_both(seed);

		if (begun_by(sim, 1, 0)->redundant)
			return sim;
		sim_free(sim);
	}
}

/* They do not pass for the next ones: others are asked for. */
static void not_the_next(void **state)
{
	struct sim *sim = with_redundant();
	unsigned int asked = sim_logged(sim, 1, "ipsec-rekey");

	(void)state;
	sim_set_filter(sim, quick_of_0);
	sim_run(sim, 7 * SECOND);
	assert_int_equal(sim_logged(sim, 1, "ipsec-rekey"), asked + 1);
	assert_int_equal(sim_packets_lost(sim), 0);
	sim_free(sim);
}

/* When those go that are sent on, it is on those held back, though they came earlier. */
static void fallback(void **state)
{
	struct sim *sim = with_redundant();
	const struct moat_child *held = begun_by(sim, 1, 1);

	(void)state;
	assert_true(held->completed < begun_by(sim, 1, 0)->completed);
	sim_insider_delete(sim, sim_pair(sim, 1)->current, 0x10000);
	sim_run(sim, 10);
	assert_ptr_equal(sim_pair(sim, 1)->current, held);
	sim_free(sim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(phase_1_first),
		cmocka_unit_test(phase_1_hangs),
		cmocka_unit_test(phase_1_too_late),
		cmocka_unit_test(phase_1_first_packet),
		cmocka_unit_test(not_sent_on),
		cmocka_unit_test(moat),
		cmocka_unit_test(sent_on_late),
		cmocka_unit_test(unanswered),
		cmocka_unit_test(not_held),
		cmocka_unit_test(half_established),
		cmocka_unit_test(hung_before),
		cmocka_unit_test(asked_for),
		cmocka_unit_test(redundant),
		cmocka_unit_test(three_at_once),
		cmocka_unit_test(not_the_next),
		cmocka_unit_test(fallback),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
