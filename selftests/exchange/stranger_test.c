// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the others' ways ask for: IPsec SAs are not left for what a peer that is no Moat
 * says or forgets, while there are no new ones.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "sim_case.h"
#include "sim_insider.h"

#define SECOND 1000

static struct sim *start(struct sim_options *o, bool stranger)
{
	struct sim *sim = sim_new(o);

	sim_run(sim, 100);
	if (stranger)
		sim_estrange(sim);
	sim_up(sim, 0);
	sim_run(sim, 5 * SECOND);
	sim_assert_established(sim, 1);
	sim_traffic(sim, 20);
	sim_run(sim, SECOND);
	return sim;
}

static bool quick_modes(int from, uint8_t exchange, unsigned int nth)
{
	(void)from;
	(void)nth;
	return exchange == MOAT_X_QUICK;
}

/* Side 0 says under its newest ISAKMP SA that it starts afresh, which is not true. */
static void say_afresh(struct sim *sim)
{
	sim_insider_afresh(sim, 0x7654321);
	sim_run(sim, 10);
}

/* strongSwan says so and keeps its SAs: they are used until others have come. */
static void not_afresh(void **state)
{
	(void)state;
	for (int stranger = 0; stranger < 2; stranger++) {
		struct sim_options o = sim_plain();
		struct sim *sim = start(&o, stranger);

		sim_set_filter(sim, quick_modes);
		sim_control(sim, 0, MOAT_EV_REKEY);
		sim_run(sim, 3 * SECOND);
		say_afresh(sim);
		assert_int_equal(sim_logged(sim, 1, "ike-initial-contact"), 2);
		assert_int_equal(sim_count(sim, 1, MOAT_DIRECTION_OUT), stranger);
		assert_int_equal(sim_count(sim, 1, MOAT_DIRECTION_IN), stranger);
		sim_run(sim, 2 * SECOND);
		sim_set_filter(sim, NULL);
		sim_run(sim, 100 * SECOND);
		sim_assert_up(sim);
		if (stranger)
			assert_int_equal(sim_packets_lost(sim), 0);
		sim_free(sim);
	}
}

/* It comes late: what was made since then is none of what the peer has lost. */
static void late_contact(void **state)
{
	(void)state;
	for (int stranger = 0; stranger < 2; stranger++) {
		struct sim_options o = sim_plain();
		struct sim *sim = start(&o, stranger);

		sim_control(sim, 0, MOAT_EV_REKEY);
		sim_run(sim, 5 * SECOND);
		assert_int_equal(sim_count(sim, 1, MOAT_DIRECTION_IN), 2);
		say_afresh(sim);
		assert_int_equal(sim_count(sim, 1, MOAT_DIRECTION_OUT), 1 + stranger);
		assert_int_equal(sim_rekeys(sim, 1), 1);
		sim_run(sim, 100 * SECOND);
		assert_int_equal(sim_count(sim, 1, MOAT_DIRECTION_OUT), 1);
		sim_assert_up(sim);
		assert_int_equal(sim_rekeys(sim, 1), 1);
		sim_free(sim);
	}
}

/* It was true, and nobody makes others: they end in time. */
static void no_others(void **state)
{
	struct sim_options o = sim_plain();
	struct sim *sim = start(&o, true);

	(void)state;
	sim_set_filter(sim, quick_modes);
	sim_control(sim, 0, MOAT_EV_REKEY);
	sim_run(sim, 3 * SECOND);
	say_afresh(sim);
	sim_run(sim, 29 * SECOND);
	assert_int_equal(sim_count(sim, 1, MOAT_DIRECTION_OUT), 1);
	sim_run(sim, 2 * SECOND);
	assert_int_equal(sim_count(sim, 1, MOAT_DIRECTION_OUT), 0);
	assert_int_equal(sim_count(sim, 1, MOAT_DIRECTION_IN), 0);
	sim_free(sim);
}

static unsigned int messages_3;

/*
 * In the second quick mode: message 2 goes once, as when strongSwan has forgotten it,
 * and of message 3 only the third comes.
 */
static bool forgetful(int from, uint8_t exchange, unsigned int nth)
{
	if (exchange != MOAT_X_QUICK)
		return false;
	if (from == 1)
		return nth > 2;
	return nth > 3 && ++messages_3 < 3;
}

/* Nobody asks for message 3: it is repeated, and not before is anything sent. */
static void message_3(void **state)
{
	struct sim_options o = sim_plain();
	struct sim *sim = start(&o, true);

	(void)state;
	messages_3 = 0;
	sim_set_filter(sim, forgetful);
	sim_control(sim, 0, MOAT_EV_REKEY);
	sim_run(sim, 20 * SECOND);
	assert_in_range(messages_3, 3, 4);
	assert_int_equal(sim_rekeys(sim, 0), 1);
	assert_int_equal(sim_rekeys(sim, 1), 1);
	sim_run(sim, 100 * SECOND);
	sim_assert_up(sim);
	assert_int_equal(sim_packets_lost(sim), 0);
	/* It has been used, so no more are sent. */
	assert_in_range(messages_3, 3, 4);
	sim_free(sim);
}

/* Of the second quick mode no message 3 comes. */
static bool no_message_3(int from, uint8_t exchange, unsigned int nth)
{
	return from == 0 && exchange == MOAT_X_QUICK && nth > 3;
}

/* Of its message 2 the third comes first: the next one is long in coming. */
static bool late_message_2(int from, uint8_t exchange, unsigned int nth)
{
	if (from == 1 && exchange == MOAT_X_QUICK)
		return nth == 2 || nth == 3;
	return no_message_3(from, exchange, nth);
}

static unsigned int switches(struct sim *sim, int side)
{
	return sim_occurs(sim_ladder(sim, side), "policy-switch");
}

/*
 * libreswan sends on the new SAs from message 2 on, and gives them up when message 3
 * has not come for a minute: nothing is sent on them while message 2 comes again.
 */
static void sends_early(void **state)
{
	(void)state;
	for (int late = 0; late < 2; late++) {
		struct sim_options o = sim_plain();
		struct sim *sim = start(&o, true);

		assert_int_equal(switches(sim, 0), 1);
		sim_set_filter(sim, late ? late_message_2 : no_message_3);
		sim_control(sim, 0, MOAT_EV_REKEY);
		while (sim_logged(sim, 0, "ipsec-established") < 2)
			sim_run(sim, 100);
		sim_insider_packet(sim, 0);
		for (int i = 0; i < 30; i++) {
			sim_run(sim, SECOND);
			assert_int_equal(switches(sim, 0), 1);
		}
		sim_set_filter(sim, NULL);
		sim_run(sim, 100 * SECOND);
		assert_int_equal(switches(sim, 0), 2);
		sim_assert_up(sim);
		assert_int_equal(sim_packets_lost(sim), 0);
		sim_free(sim);
	}
}

static struct sim *forgetting;
static unsigned int answers;

/* Of each quick mode that replaces another message 2 goes once, and no message 3 comes. */
static bool forgotten_quick(int from, uint8_t exchange, unsigned int nth)
{
	unsigned int begun = 1 + sim_logged(forgetting, 0, "ipsec-rekey");
	bool over = answers == begun;

	(void)nth;
	if (exchange != MOAT_X_QUICK)
		return false;
	if (from && !over)
		answers++;
	return over;
}

static void forget(struct sim *sim)
{
	forgetting = sim;
	answers = 1;
	sim_set_filter(sim, forgotten_quick);
}

/* strongSwan forgets a quick mode when it begins a new phase 1: another one is made. */
static void never_had(void **state)
{
	struct sim_options o = sim_plain();
	struct sim *sim = start(&o, true);

	(void)state;
	forget(sim);
	sim_control(sim, 0, MOAT_EV_REKEY);
	sim_run(sim, 18 * SECOND);
	assert_int_equal(sim_logged(sim, 0, "ipsec-unheard"), 0);
	sim_run(sim, 8 * SECOND);
	assert_int_equal(sim_logged(sim, 0, "ipsec-unheard"), 1);
	assert_int_equal(sim_logged(sim, 0, "ipsec-rekey"), 2);
	assert_int_equal(switches(sim, 0), 1);
	sim_set_filter(sim, NULL);
	sim_run(sim, 20 * SECOND);
	assert_in_range(switches(sim, 0), 2, 3);
	sim_run(sim, 80 * SECOND);
	assert_int_equal(sim_count(sim, 0, MOAT_DIRECTION_OUT), 1);
	assert_int_equal(sim_count(sim, 1, MOAT_DIRECTION_OUT), 1);
	sim_assert_up(sim);
	assert_int_equal(sim_packets_lost(sim), 0);
	sim_free(sim);
}

/* Who never uses new SAs prefers old ones: a third pair is sent on all the same. */
static void prefers_old(void **state)
{
	struct sim_options o = sim_plain();
	struct sim *sim = start(&o, true);

	(void)state;
	forget(sim);
	sim_control(sim, 0, MOAT_EV_REKEY);
	sim_run(sim, 200 * SECOND);
	assert_int_equal(sim_logged(sim, 0, "ipsec-unheard"), 2);
	assert_int_equal(switches(sim, 0), 2);
	sim_free(sim);
}

/* libreswan as initiator sends before it has its inbound SA: message 3 says that. */
static void installs(void **state)
{
	(void)state;
	for (int stranger = 0; stranger < 2; stranger++) {
		struct sim_options o = sim_plain();
		struct sim *sim = start(&o, stranger);

		sim_set_filter(sim, no_message_3);
		sim_control(sim, 0, MOAT_EV_REKEY);
		sim_run(sim, 300);
		sim_insider_packet(sim, 1);
		sim_run(sim, 400);
		assert_int_equal(switches(sim, 1), 2 - stranger);
		sim_run(sim, 200);
		assert_int_equal(switches(sim, 1), 2);
		sim_run(sim, 100 * SECOND);
		sim_assert_up(sim);
		assert_int_equal(sim_packets_lost(sim), 0);
		sim_free(sim);
	}
}

/* It has message 3 and sends: soon so do we. */
static void sends(void **state)
{
	(void)state;
	for (int stranger = 0; stranger < 2; stranger++) {
		struct sim_options o = sim_plain();
		struct sim *sim = start(&o, stranger);

		sim_control(sim, 0, MOAT_EV_REKEY);
		sim_run(sim, 600);
		assert_int_equal(switches(sim, 0), 2 - stranger);
		sim_run(sim, 1400);
		assert_int_equal(switches(sim, 0), 2);
		assert_int_equal(sim_packets_lost(sim), 0);
		sim_free(sim);
	}
}

/* Up to a second ISAKMP SA, when the IPsec SAs are those made under the first. */
static struct sim *start_replaced(bool stranger, uint32_t dpd)
{
	struct sim_options o = sim_plain();
	struct sim *sim;

	o.dpd = dpd;
	o.dpd_timeout = 3 * dpd;
	o.ike_lifetime = 1200;
	o.lifetime = 36000;
	sim = start(&o, stranger);
	while (sim_logged(sim, 0, "ike-established") < 2 ||
	       sim_logged(sim, 1, "ike-established") < 2)
		sim_run(sim, SECOND);
	return sim;
}

/* strongSwan ends IPsec SAs with the ISAKMP SA under which they were made. */
static void made_under_it(void **state)
{
	(void)state;
	for (int stranger = 0; stranger < 2; stranger++) {
		struct sim *sim = start_replaced(stranger, 0);

		sim_run(sim, 200 * SECOND);
		assert_int_equal(sim_isakmps(sim, 0), 1 + stranger);
		while (sim_now(sim) < 1210 * SECOND)
			sim_run(sim, SECOND);
		/* Nobody was told to delete it. */
		for (int side = 0; side < 2; side++) {
			assert_int_equal(sim_logged(sim, side, "ike-expired"), stranger);
			assert_int_equal(sim_logged(sim, side, "ike-deleted"), !stranger);
		}
		sim_free(sim);
	}
}

/* Side 0 deletes its oldest ISAKMP SA, and says so under the newest. */
static void delete_oldest(struct sim *sim)
{
	const struct moat_isakmp *oldest = TAILQ_FIRST(&sim_core(sim, 0)->isakmps);
	struct moat_isakmp *sa = TAILQ_LAST(&sim_core(sim, 0)->isakmps, moat_isakmps);
	uint8_t spi[2 * MOAT_COOKIE_LEN];
	struct moat_ike1_out out;

	memcpy(spi, oldest->cky.i, MOAT_COOKIE_LEN);
	memcpy(spi + MOAT_COOKIE_LEN, oldest->cky.r, MOAT_COOKIE_LEN);
	sim_insider_begin(&out, sa, MOAT_X_INFORMATIONAL, 0x7654322);
	moat_build_delete(&out.b, MOAT_PROTO_ISAKMP, sizeof(spi),
			  moat_view(spi, sizeof(spi)));
	sim_insider_send(sim, sa, &out, 0x7654322, false);
	sim_run(sim, 10);
}

/* Its DELETE of the IPsec SAs made under that one may have been lost. */
static void deleted_with_it(void **state)
{
	(void)state;
	for (int stranger = 0; stranger < 2; stranger++) {
		struct sim *sim = start_replaced(stranger, 0);

		delete_oldest(sim);
		assert_int_equal(sim_logged(sim, 1, "ike-deleted"), 1);
		sim_run(sim, 10 * SECOND);
		assert_int_equal(sim_logged(sim, 1, "ipsec-rekey"), stranger);
		assert_int_equal(sim_rekeys(sim, 1), stranger);
		assert_int_equal(sim_packets_lost(sim), 0);
		sim_free(sim);
	}
}

/* Of two ISAKMP SAs the peer has forgotten one: it is not dead. */
static void forgotten(void **state)
{
	struct sim *sim = start_replaced(true, 20);

	(void)state;
	/* By then that it is a newer one does not make the older one doubtful. */
	sim_run(sim, 60 * SECOND);
	assert_int_equal(sim_isakmps(sim, 1), 2);
	moat_isakmp_remove(TAILQ_FIRST(&sim_core(sim, 0)->isakmps));
	sim_run(sim, 100 * SECOND);
	assert_int_equal(sim_isakmps(sim, 1), 1);
	assert_int_equal(sim_logged(sim, 1, "peer-dead"), 0);
	sim_assert_up(sim);
	assert_int_equal(sim_packets_lost(sim), 0);
	sim_free(sim);
}

/* When it was the last one, the tunnel may have been taken down: nothing is begun. */
static void last_deleted(void **state)
{
	struct sim_options o = sim_plain();
	struct sim *sim = start(&o, true);
	unsigned int sent = sim_sent(sim, 1, MOAT_X_MAIN);

	(void)state;
	delete_oldest(sim);
	sim_run(sim, 10 * SECOND);
	assert_int_equal(sim_logged(sim, 1, "ike-deleted"), 1);
	assert_int_equal(sim_sent(sim, 1, MOAT_X_MAIN), sent);
	assert_int_equal(sim_logged(sim, 1, "ipsec-rekey"), 0);
	sim_free(sim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(late_contact),	   cmocka_unit_test(not_afresh),
		cmocka_unit_test(no_others),	   cmocka_unit_test(message_3),
		cmocka_unit_test(sends_early),	   cmocka_unit_test(sends),
		cmocka_unit_test(installs),	   cmocka_unit_test(made_under_it),
		cmocka_unit_test(deleted_with_it), cmocka_unit_test(never_had),
		cmocka_unit_test(prefers_old),	   cmocka_unit_test(last_deleted),
		cmocka_unit_test(forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
