// SPDX-License-Identifier: GPL-2.0-or-later
/* Older SAs that are still needed: gone back to, kept for what the peer sends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "sim_case.h"
#include "sim_insider.h"

#define SECOND 1000

/* Side 0 deletes the SA by which side 1 sends, as strongSwan does, and says so. */
static void peer_deletes(struct sim *sim, const struct moat_child *child)
{
	struct moat_isakmp *sa = TAILQ_LAST(&sim_core(sim, 0)->isakmps, moat_isakmps);
	struct moat_ike1_out out;
	static uint32_t id = 0x7654321;
	uint8_t spi[4];

	id++;
	moat_set32(spi, child->sas[0].spi_out);
	sim_insider_begin(&out, sa, MOAT_X_INFORMATIONAL, id);
	moat_build_delete(&out.b, MOAT_PROTO_ESP, sizeof(spi),
			  moat_view(spi, sizeof(spi)));
	sim_insider_send(sim, sa, &out, id, false);
}

static struct sim *rekeyed(struct sim_options *o)
{
	struct sim *sim;

	sim = sim_start(o);
	sim_traffic(sim, 20);
	sim_control(sim, 0, MOAT_EV_REKEY);
	sim_run(sim, 10 * SECOND);
	assert_int_equal(sim_count(sim, 1, MOAT_DIRECTION_OUT), 2);
	return sim;
}

static void assert_nothing_missed(struct sim *sim, int side)
{
	assert_int_equal(sim_packets_lost(sim), 0);
	assert_int_equal(sim_logged(sim, side, "acquire"), 0);
	assert_int_equal(sim_logged(sim, side, "pair-lost"), 0);
	assert_string_equal(sim_state(sim, side), "up");
}

/* The newest one goes, the one before has not gone: back to that, and on from there. */
static void newest_deleted(void **state)
{
	struct sim_options o = sim_plain();
	struct sim *sim = rekeyed(&o);
	uint32_t before = TAILQ_FIRST(&sim_pair(sim, 1)->children)->sas[0].spi_out;

	(void)state;
	assert_int_not_equal(sim_pair(sim, 1)->current->sas[0].spi_out, before);
	peer_deletes(sim, sim_pair(sim, 1)->current);
	sim_run(sim, 100);
	assert_int_equal(sim_logged(sim, 1, "ipsec-back"), 1);
	assert_int_equal(sim_pair(sim, 1)->current->sas[0].spi_out, before);
	sim_run(sim, 8 * SECOND);
	assert_int_not_equal(sim_pair(sim, 1)->current->sas[0].spi_out, before);
	sim_run(sim, 200 * SECOND);
	assert_nothing_missed(sim, 1);
	assert_true(sim_equal(sim));
	sim_assert_established(sim, 1);
	sim_free(sim);
}

/* All have gone: there is nothing to go back to. */
static void all_deleted(void **state)
{
	struct sim_options o = sim_plain();
	struct sim *sim;
	struct moat_child *child;

	(void)state;
	sim = rekeyed(&o);
	/* Others come at once, in less time than it takes to look. */
	for (int n = 0; !sim_logged(sim, 1, "pair-lost"); n++) {
		child = sim_pair(sim, 1)->current;
		assert_non_null(child);
		assert_in_range(n, 0, 4);
		peer_deletes(sim, child);
		sim_run(sim, 100);
		assert_ptr_not_equal(sim_pair(sim, 1)->current, child);
	}
	assert_int_equal(sim_logged(sim, 1, "pair-lost"), 1);
	sim_free(sim);
}

static bool blocked;

/* What completes a quick mode. */
static bool no_completion(int from, uint8_t exchange, unsigned int nth)
{
	(void)from;
	(void)nth;
	return blocked && exchange == MOAT_X_QUICK;
}

/* Message 3 is lost for longer than an old SA lasts: the peer sends on that one. */
static void late_completion(void **state)
{
	struct sim_options o = sim_plain();
	unsigned int sent;
	struct sim *sim;

	(void)state;
	o.one_way = true;
	sim = sim_start(&o);
	sim_traffic(sim, 20);
	sim_set_filter(sim, no_completion);
	sent = sim_sent(sim, 0, MOAT_X_QUICK);
	sim_control(sim, 1, MOAT_EV_REKEY);
	while (sim_sent(sim, 0, MOAT_X_QUICK) == sent)
		sim_run(sim, 1);
	blocked = true;
	sim_run(sim, 45 * SECOND);
	/* Side 1 has switched, and holds the old one 40 s after. */
	assert_int_equal(sim_count(sim, 1, MOAT_DIRECTION_OUT), 2);
	blocked = false;
	assert_nothing_missed(sim, 0);
	/* Side 0 gives that quick mode up, and a new one follows. */
	sim_run(sim, 300 * SECOND);
	assert_nothing_missed(sim, 0);
	assert_true(sim_equal(sim));
	sim_assert_established(sim, 1);
	sim_free(sim);
}

/* A peer that has used the new one gets no such respite, one that is silent a short. */
static void not_for_ever(void **state)
{
	struct sim_options o = sim_plain();
	struct sim *sim = rekeyed(&o);

	(void)state;
	sim_run(sim, 65 * SECOND);
	sim_assert_established(sim, 1);
	sim_control(sim, 0, MOAT_EV_REKEY);
	sim_traffic(sim, 0);
	sim_run(sim, 100 * SECOND);
	assert_int_equal(sim_count(sim, 0, MOAT_DIRECTION_IN), 2);
	sim_run(sim, 150 * SECOND);
	sim_assert_established(sim, 1);
	sim_free(sim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(newest_deleted),
		cmocka_unit_test(all_deleted),
		cmocka_unit_test(late_completion),
		cmocka_unit_test(not_for_ever),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
