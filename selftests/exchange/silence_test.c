// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who notices a peer that is dead, or has forgotten: when IPsec SAs have gone along with
 * their ISAKMP SA at a stranger whose deletes were lost, and when the ISAKMP SA under
 * which the peer would be asked has gone, with one tunnel and with several.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "hub.h"
#include "ike/ike1.h"
#include "sim_case.h"

#define SECOND 1000

static bool dead(int from, uint8_t exchange, unsigned int nth)
{
	(void)from;
	(void)exchange;
	(void)nth;
	return true;
}

/* Side 0 alone sends, and does so on its IPsec SAs for ten hours. */
static struct sim_options long_lived(void)
{
	struct sim_options o = sim_plain();

	o.dpd = 20;
	o.dpd_timeout = 60;
	o.lifetime = 36000;
	o.one_way = true;
	return o;
}

/* Side 1 ends its IPsec SAs but those of @but, and never says so, nor INVALID-SPI. */
static void lose_children(struct sim *sim, const struct moat_pair *but)
{
	struct moat_child *child;

	sim_set_filter(sim, dead);
	MOAT_PEER_FOREACH_CHILD(child, sim_newest(sim, 1)->tunnel) {
		if (child->pair == but)
			continue;
		child->expires = sim_now(sim);
		moat_timer_after(sim_core(sim, 1), &child->end_timer, 1);
	}
	sim_keep_unknown(sim, 1);
	sim_run(sim, 50);
	assert_int_equal(sim_count(sim, 1, MOAT_DIRECTION_IN), but != NULL);
}

static void forget_isakmps(struct sim *sim)
{
	while (!TAILQ_EMPTY(&sim_core(sim, 1)->isakmps))
		moat_isakmp_remove(TAILQ_FIRST(&sim_core(sim, 1)->isakmps));
	sim_run(sim, 50);
	sim_set_filter(sim, NULL);
}

/* From now on everything arrives. */
static void assert_whole_from_now(struct sim *sim)
{
	unsigned long lost = sim_packets_lost(sim);

	assert_true(lost);
	sim_run(sim, 100 * SECOND);
	assert_int_equal(sim_packets_lost(sim), lost);
}

/*
 * Dead peer detection finds one of two ISAKMP SAs gone, and packets go for hours into
 * IPsec SAs that strongSwan has ended with it.
 */
static void forgotten_with_it(void **state)
{
	struct sim_options o = long_lived();
	struct sim *sim;

	(void)state;
	o.ike_lifetime = 1200;
	sim = sim_start_traffic(&o, true);
	while (sim_logged(sim, 0, "ike-established") < 2 ||
	       sim_logged(sim, 1, "ike-established") < 2)
		sim_run(sim, SECOND);
	sim_run(sim, 60 * SECOND);
	assert_int_equal(sim_isakmps(sim, 0), 2);
	lose_children(sim, NULL);
	moat_isakmp_remove(TAILQ_FIRST(&sim_core(sim, 1)->isakmps));
	sim_set_filter(sim, NULL);
	sim_run(sim, 70 * SECOND);
	assert_int_equal(sim_isakmps(sim, 0), 1);
	assert_whole_from_now(sim);
	sim_free(sim);
}

/* The same when it was the only one, of whose end the peer has told: a new one is made. */
static void last_with_it(void **state)
{
	struct sim_options o = long_lived();
	struct moat_isakmp *sa;
	struct sim *sim;

	(void)state;
	sim = sim_start_traffic(&o, true);
	sim_run(sim, 100 * SECOND);
	lose_children(sim, NULL);
	sim_set_filter(sim, NULL);
	sa = sim_newest(sim, 1);
	sa->expires = sim_now(sim);
	moat_timer_after(sim_core(sim, 1), &sa->life_timer, 1);
	sim_run(sim, 100);
	assert_int_equal(sim_isakmps(sim, 0), 0);
	sim_run(sim, 30 * SECOND);
	assert_int_equal(sim_isakmps(sim, 0), 1);
	assert_whole_from_now(sim);
	sim_free(sim);
}

/* ... or when a quick mode found out: only its own pair of four works again. */
static void silent_with_it(void **state)
{
	struct sim_options o = long_lived();
	struct sim *sim;

	(void)state;
	o.nets = 2;
	o.dpd = 100;
	o.dpd_timeout = 300;
	o.start[1] = MOAT_START_NONE;
	sim = sim_start_traffic(&o, true);
	sim_run(sim, 160 * SECOND);
	lose_children(sim, NULL);
	forget_isakmps(sim);
	moat_timer_after(sim_core(sim, 0), &sim_pair(sim, 0)->current->rekey_timer, 1);
	sim_run(sim, 60 * SECOND);
	assert_int_equal(sim_logged(sim, 0, "ike-silent"), 1);
	sim_run(sim, 30 * SECOND);
	assert_whole_from_now(sim);
	sim_free(sim);
}

/* ... or the peer, which has some SAs left, is heard under a new ISAKMP SA alone. */
static void doubted_with_it(void **state)
{
	struct sim_options o = long_lived();
	struct sim *sim;

	(void)state;
	o.nets = 2;
	o.dpd = 100;
	o.dpd_timeout = 300;
	sim = sim_start_traffic(&o, true);
	sim_run(sim, 160 * SECOND);
	lose_children(sim, sim_pair(sim, 1));
	forget_isakmps(sim);
	sim_acquire(sim, 1, 0);
	sim_control(sim, 1, MOAT_EV_REKEY);
	sim_run(sim, 60 * SECOND);
	assert_int_equal(sim_logged(sim, 0, "ike-initial-contact"), 0);
	assert_int_equal(sim_isakmps(sim, 0), 1);
	assert_whole_from_now(sim);
	sim_free(sim);
}

/*
 * An ISAKMP SA that nobody needed ends just when traffic has brought IPsec SAs; then the
 * peer dies, and packets go there until those expire.
 */
static void expires_unneeded(void **state)
{
	(void)state;
	for (unsigned int early = 1; early < 10; early++) {
		struct sim_options o = sim_plain();
		struct sim *sim;

		o.dpd = 30;
		o.dpd_timeout = 120;
		o.ike_lifetime = 3600;
		o.lifetime = 1200;
		sim = sim_new(&o);
		sim_run(sim, 100);
		sim_acquire(sim, 0, 0);
		sim_run(sim, 2 * SECOND);
		while (sim_now(sim) < sim_newest(sim, 0)->expires - early * SECOND)
			sim_run(sim, 100);
		assert_int_equal(sim_isakmps(sim, 0), 1);
		assert_int_equal(sim_count(sim, 0, MOAT_DIRECTION_OUT), 0);
		sim_acquire(sim, 0, 0);
		sim_run(sim, 10 * SECOND);
		sim_set_filter(sim, dead);
		sim_run(sim, 130 * SECOND);
		assert_int_equal(sim_count(sim, 0, MOAT_DIRECTION_OUT), 0);
		sim_free(sim);
	}
}

/* ---- several tunnels with one peer ---- */

/* Tunnel a with more lines, and b; NULL for no a. */
static void configure(struct hub *hub, unsigned int side, const char *a)
{
	static const char *const addr[] = { "192.0.2.1", "192.0.2.2" };
	const char *more[] = { a, "" };
	char text[2048];
	int used = 0;

	for (int i = 0; i < 2; i++)
		if (more[i])
			used += snprintf(text + used, sizeof(text) - (size_t)used,
					 "%c = { local = \"%s\"\nremote = \"%s\"\n"
					 "local-net = \"10.%u.%d.0/24\"\n"
					 "remote-net = \"10.%u.%d.0/24\"\n"
					 "esp = [ \"aes128gcm16\" ]\n"
					 "dpd = 30\ndpd-timeout = 120\n"
					 "ike = [ \"aes128-sha256-ecp256\" ]\n%s }\n",
					 'a' + i, addr[side], addr[!side], 1 + side, i,
					 2 - side, i, more[i]);
	hub_configure(hub, side, addr[side], text);
}

static void up(struct hub *hub, const char *name)
{
	hub_control(hub, 0, MOAT_EV_UP, name);
	hub_run(hub, 5 * SECOND);
	assert_true(hub_done(hub));
}

/* Both tunnels are up by one ISAKMP SA, which is a's. */
static struct hub *start_both(const char *a)
{
	struct hub *hub = hub_new();

	configure(hub, 0, a);
	configure(hub, 1, "");
	up(hub, "a");
	up(hub, "b");
	return hub;
}

/* Side 1 tells side 0 that their only ISAKMP SA has ended, and dies. */
static void delete_and_die(struct hub *hub)
{
	struct moat_cookies cky = TAILQ_FIRST(&hub_core(hub, 1)->isakmps)->cky;

	hub_delete(hub, 1, &cky);
	hub_run(hub, 100);
	assert_int_equal(hub_isakmps(hub, 0), 0);
	hub_mute(hub, 1, true);
}

/* It was of a tunnel that waits for the operator: nobody misses the peer, b stays up. */
static void holder_waits(void **state)
{
	struct hub *hub = start_both("start = \"none\"\n");

	(void)state;
	hub_control(hub, 1, MOAT_EV_CLEAR, "a");
	hub_run(hub, 40 * SECOND);
	assert_int_equal(hub_isakmps(hub, 0), 1);
	assert_int_equal(hub_sas(hub, 0, MOAT_DIRECTION_OUT), 1);
	delete_and_die(hub);
	hub_run(hub, 130 * SECOND);
	assert_int_equal(hub_sas(hub, 0, MOAT_DIRECTION_OUT), 0);
	hub_free(hub);
}

/* a goes @ms after the peer has died: taken down, or out of the configuration. */
static void go(uint64_t ms)
{
	for (int removed = 0; removed < 2; removed++) {
		struct hub *hub = start_both("");

		delete_and_die(hub);
		hub_run(hub, ms);
		if (removed)
			configure(hub, 0, NULL);
		else
			hub_control(hub, 0, MOAT_EV_DOWN, "a");
		hub_run(hub, 130 * SECOND - ms);
		assert_int_equal(hub_sas(hub, 0, MOAT_DIRECTION_OUT), 0);
		hub_free(hub);
	}
}

/* ... or of one that goes while deletes may still come under it. */
static void holder_goes(void **state)
{
	(void)state;
	go(SECOND);
}

/* ... or of one that goes while it waits for the dead peer. */
static void watcher_goes(void **state)
{
	(void)state;
	go(10 * SECOND);
}

/*
 * The ISAKMP SA has just passed from a to b, and the network is away for a minute when
 * b's SAs are to be replaced: the peer was called dead at once, and b went down.
 */
static void heir_hears(void **state)
{
	struct hub *hub = start_both("");
	struct moat_tunnel *b;

	(void)state;
	hub_run(hub, 1000 * SECOND);
	hub_control(hub, 0, MOAT_EV_DOWN, "a");
	hub_run(hub, 100);
	b = moat_tunnel_find(hub_core(hub, 0), "b");
	assert_non_null(b->pairs[0].current);
	hub_mute(hub, 1, true);
	hub_run(hub, 100);
	moat_timer_after(hub_core(hub, 0), &b->pairs[0].current->rekey_timer, 1);
	hub_run(hub, 60 * SECOND);
	assert_string_equal(hub_log(hub, 0, "peer-dead"), "");
	assert_int_equal(hub_sas(hub, 0, MOAT_DIRECTION_OUT), 1);
	hub_free(hub);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forgotten_with_it), cmocka_unit_test(last_with_it),
		cmocka_unit_test(silent_with_it),    cmocka_unit_test(doubted_with_it),
		cmocka_unit_test(expires_unneeded),  cmocka_unit_test(holder_waits),
		cmocka_unit_test(holder_goes),	     cmocka_unit_test(watcher_goes),
		cmocka_unit_test(heir_hears),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
