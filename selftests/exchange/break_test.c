// SPDX-License-Identifier: GPL-2.0-or-later
/* What a hostile review found in the life of SAs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "hub.h"
#include "sim_case.h"
#include "sim_insider.h"
#include "sim_internal.h"

#define SECOND 1000

static struct moat_pair *pair_of(struct sim *sim, int side)
{
	return &TAILQ_FIRST(&sim_core(sim, side)->tunnels)->pairs[0];
}

static struct moat_isakmp *newest(struct sim *sim, int side)
{
	return TAILQ_LAST(&sim_core(sim, side)->isakmps, moat_isakmps);
}

static struct sim *start(const struct sim_options *o, bool stranger)
{
	struct sim *sim = sim_new(o);

	sim_run(sim, 100);
	if (stranger)
		sim_estrange(sim);
	sim_up(sim, 0);
	sim_run(sim, 5 * SECOND);
	assert_int_equal(sim_done(sim, 0), 1);
	sim_traffic(sim, 20);
	return sim;
}

static struct moat_child *of_role(struct sim *sim, int side, bool initiator)
{
	struct moat_child *child;

	TAILQ_FOREACH(child, &pair_of(sim, side)->children, link) {
		if (child->complete && !child->old && child->initiator == initiator)
			break;
	}
	return child;
}

/*
 * Of two quick modes at once side 0, a stranger that replaces nothing by itself, sends
 * on the SAs that side 1 has begun and holds for redundant. NULL: with this seed the
 * others are redundant.
 */
static struct sim *start_chosen(struct sim_options *o)
{
	struct moat_child *theirs, *other, *old;
	struct sim *sim = start(o, true);

	sim_run(sim, 30 * SECOND);
	sim_control(sim, 0, MOAT_EV_REKEY);
	sim_control(sim, 1, MOAT_EV_REKEY);
	sim_run(sim, 6 * SECOND);
	if (!of_role(sim, 1, true) || !of_role(sim, 1, true)->redundant) {
		sim_free(sim);
		return NULL;
	}
	theirs = of_role(sim, 0, false);
	other = of_role(sim, 0, true);
	assert_true(theirs && other && pair_of(sim, 0)->current == other);
	/* It sends on them from now on, and ends neither. */
	theirs->used = true;
	other->used = false;
	moat_timer_after(sim_core(sim, 0), &theirs->switch_timer, 1);
	sim_run(sim, 2);
	assert_ptr_equal(pair_of(sim, 0)->current, theirs);
	old = other;
	old->old = false;
	moat_timer_set(&sim_core(sim, 0)->timers, &old->end_timer,
		       old->expires + MOAT_SPARE_LIFE);
	moat_timer_stop(&sim_core(sim, 0)->timers, &theirs->rekey_timer);
	return sim;
}

/* While redundant SAs stay for a stranger, the others are replaced in time. */
static void chosen_rekeyed(void **state)
{
	unsigned int seen = 0;

	(void)state;
	for (uint64_t seed = 1; seed < 9; seed++) {
		struct sim_options o = sim_plain();
		struct sim *sim;

		o.seed = seed;
		o.lifetime = 600;
		sim = start_chosen(&o);
		if (!sim)
			continue;
		seen++;
		sim_run(sim, 700 * SECOND);
		print_message("# seed %u: lost %lu, pair-lost %u, rekey %u\n",
			      (unsigned int)seed, sim_packets_lost(sim),
			      sim_logged(sim, 1, "pair-lost"),
			      sim_logged(sim, 1, "ipsec-rekey"));
		assert_true(sim_logged(sim, 1, "ipsec-rekey") >= 2);
		assert_int_equal(sim_logged(sim, 1, "pair-lost"), 0);
		assert_int_equal(sim_packets_lost(sim), 0);
		sim_free(sim);
	}
	assert_true(seen);
}

/* ... and by volume. */
static void chosen_bytes(void **state)
{
	unsigned int seen = 0;

	(void)state;
	for (uint64_t seed = 1; seed < 9; seed++) {
		struct sim_options o = sim_plain();
		struct sim *sim;

		o.seed = seed;
		o.shorter_bytes = 1 << 20;
		sim = start_chosen(&o);
		if (!sim)
			continue;
		seen++;
		/* Side 0 counts none. */
		for (struct sim_sa *sa = sim->side[0].kernel.sas; sa; sa = sa->next)
			sa->params.soft_bytes = sa->params.hard_bytes = 0;
		sim_run(sim, 400 * SECOND);
		assert_int_equal(sim_logged(sim, 1, "pair-lost"), 0);
		assert_int_equal(sim_logged(sim, 1, "ipsec-expired"), 0);
		sim_free(sim);
	}
	assert_true(seen);
}

static bool dead(int from, uint8_t exchange, unsigned int nth)
{
	(void)from;
	(void)exchange;
	(void)nth;
	return true;
}

/*
 * strongSwan ends IPsec SAs with the ISAKMP SA that they were made under. What it said
 * about that was lost, and dead peer detection finds the ISAKMP SA gone: what may have
 * gone along is replaced.
 */
static void forgotten_with_it(void **state)
{
	struct sim_options o = sim_plain();
	struct moat_child *child;
	struct sim *sim;
	unsigned long lost;

	(void)state;
	o.dpd = 20;
	o.dpd_timeout = 60;
	o.ike_lifetime = 1200;
	o.lifetime = 36000;
	o.one_way = true;
	sim = start(&o, true);
	while (sim_logged(sim, 0, "ike-established") < 2 ||
	       sim_logged(sim, 1, "ike-established") < 2)
		sim_run(sim, SECOND);
	sim_run(sim, 60 * SECOND);
	assert_int_equal(sim_isakmps(sim, 0), 2);
	/* Side 1 ends both, and nothing of that arrives; nor does it know INVALID-SPI. */
	sim_set_filter(sim, dead);
	child = pair_of(sim, 1)->current;
	child->expires = sim_now(sim);
	moat_timer_after(sim_core(sim, 1), &child->end_timer, 1);
	moat_isakmp_remove(TAILQ_FIRST(&sim_core(sim, 1)->isakmps));
	sim_run(sim, 50);
	assert_int_equal(sim_count(sim, 1, MOAT_DIRECTION_IN), 0);
	sim_set_filter(sim, NULL);
	sim->side[1].unknown_at = UINT64_MAX / 2;
	sim_run(sim, 70 * SECOND);
	assert_int_equal(sim_isakmps(sim, 0), 1);
	lost = sim_packets_lost(sim);
	sim_run(sim, 100 * SECOND);
	print_message("# lost %lu then %lu\n", lost, sim_packets_lost(sim));
	assert_int_equal(sim_packets_lost(sim), lost);
	sim_free(sim);
}

/* The same when it was the only one: a new one is made, and the IPsec SAs are doubted. */
static void last_with_it(void **state)
{
	struct sim_options o = sim_plain();
	struct moat_child *child;
	struct sim *sim;
	unsigned long lost;

	(void)state;
	o.dpd = 20;
	o.dpd_timeout = 60;
	o.lifetime = 36000;
	o.one_way = true;
	sim = start(&o, true);
	sim_run(sim, 100 * SECOND);
	sim_set_filter(sim, dead);
	child = pair_of(sim, 1)->current;
	child->expires = sim_now(sim);
	moat_timer_after(sim_core(sim, 1), &child->end_timer, 1);
	sim_run(sim, 50);
	sim_set_filter(sim, NULL);
	sim->side[1].unknown_at = UINT64_MAX / 2;
	/* What it says of the ISAKMP SA arrives. */
	{
		struct moat_isakmp *sa = newest(sim, 1);

		sa->expires = sim_now(sim);
		moat_timer_after(sim_core(sim, 1), &sa->life_timer, 1);
	}
	sim_run(sim, 100);
	assert_int_equal(sim_isakmps(sim, 0), 0);
	sim_run(sim, 30 * SECOND);
	assert_int_equal(sim_isakmps(sim, 0), 1);
	lost = sim_packets_lost(sim);
	sim_run(sim, 100 * SECOND);
	print_message("# lost %lu then %lu\n", lost, sim_packets_lost(sim));
	assert_int_equal(sim_packets_lost(sim), lost);
	sim_free(sim);
}

/* ... or when a quick mode found out: all that was made under it is replaced. */
static void silent_with_it(void **state)
{
	struct sim_options o = sim_plain();
	struct moat_child *child;
	struct sim *sim;
	unsigned long lost;

	(void)state;
	o.nets = 2;
	o.dpd = 100;
	o.dpd_timeout = 300;
	o.lifetime = 36000;
	o.one_way = true;
	o.start[1] = MOAT_START_NONE;
	sim = start(&o, true);
	sim_run(sim, 160 * SECOND);
	sim_set_filter(sim, dead);
	MOAT_PEER_FOREACH_CHILD(child, newest(sim, 1)->tunnel) {
		child->expires = sim_now(sim);
		moat_timer_after(sim_core(sim, 1), &child->end_timer, 1);
	}
	sim_run(sim, 50);
	while (!TAILQ_EMPTY(&sim_core(sim, 1)->isakmps))
		moat_isakmp_remove(TAILQ_FIRST(&sim_core(sim, 1)->isakmps));
	sim_run(sim, 50);
	sim_set_filter(sim, NULL);
	sim->side[1].unknown_at = UINT64_MAX / 2;
	moat_timer_after(sim_core(sim, 0), &pair_of(sim, 0)->current->rekey_timer, 1);
	sim_run(sim, 60 * SECOND);
	assert_int_equal(sim_logged(sim, 0, "ike-silent"), 1);
	sim_run(sim, 30 * SECOND);
	lost = sim_packets_lost(sim);
	sim_run(sim, 100 * SECOND);
	print_message("# lost %lu then %lu\n", lost, sim_packets_lost(sim));
	assert_int_equal(sim_packets_lost(sim), lost);
	sim_free(sim);
}

/* ---- several tunnels with one peer ---- */

#define HERE  "192.0.2.1"
#define THERE "192.0.2.2"

static void configure(struct hub *hub, unsigned int side, const char *a, const char *b)
{
	static const char *const addr[] = { HERE, THERE };
	const char *more[] = { a, b };
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

static void up(struct hub *hub, unsigned int side, const char *name)
{
	hub_control(hub, side, MOAT_EV_UP, name);
	hub_run(hub, 5000);
	assert_true(hub_done(hub));
}

/* Side 1 tells side 0 that its only ISAKMP SA has ended, and dies @ms later. */
static void delete_last(struct hub *hub)
{
	struct moat_isakmp *sa = TAILQ_FIRST(&hub_core(hub, 1)->isakmps);
	struct moat_cookies cky = sa->cky;

	hub_delete(hub, 1, &cky);
	hub_run(hub, 100);
	assert_int_equal(hub_isakmps(hub, 0), 0);
}

/* The ISAKMP SA was of a tunnel without SAs that waits for the operator. */
static void holder_waits(void **state)
{
	struct hub *hub = hub_new();

	(void)state;
	configure(hub, 0, "start = \"none\"\n", "");
	configure(hub, 1, "", "");
	up(hub, 0, "a");
	up(hub, 0, "b");
	hub_control(hub, 1, MOAT_EV_CLEAR, "a");
	hub_run(hub, 40000);
	assert_int_equal(hub_isakmps(hub, 0), 1);
	assert_int_equal(hub_sas(hub, 0, MOAT_DIRECTION_OUT), 1);
	delete_last(hub);
	hub_mute(hub, 1, true);
	hub_run(hub, 130000);
	assert_int_equal(hub_sas(hub, 0, MOAT_DIRECTION_OUT), 0);
	hub_free(hub);
}

/* ... or of one that the operator takes down, or out, just then. */
static void holder_goes(void **state)
{
	(void)state;
	for (int removed = 0; removed < 2; removed++) {
		struct hub *hub = hub_new();

		configure(hub, 0, "", "");
		configure(hub, 1, "", "");
		up(hub, 0, "a");
		up(hub, 0, "b");
		delete_last(hub);
		hub_mute(hub, 1, true);
		hub_run(hub, 1000);
		if (removed)
			configure(hub, 0, NULL, "");
		else
			hub_control(hub, 0, MOAT_EV_DOWN, "a");
		hub_run(hub, 130000);
		print_message("# removed %d: %u\n", removed,
			      hub_sas(hub, 0, MOAT_DIRECTION_OUT));
		assert_int_equal(hub_sas(hub, 0, MOAT_DIRECTION_OUT), 0);
		hub_free(hub);
	}
}

/* ... or while it is waited for the dead peer. */
static void watcher_goes(void **state)
{
	(void)state;
	for (int removed = 0; removed < 2; removed++) {
		struct hub *hub = hub_new();

		configure(hub, 0, "", "");
		configure(hub, 1, "", "");
		up(hub, 0, "a");
		up(hub, 0, "b");
		delete_last(hub);
		hub_mute(hub, 1, true);
		hub_run(hub, 10000);
		if (removed)
			configure(hub, 0, NULL, "");
		else
			hub_control(hub, 0, MOAT_EV_DOWN, "a");
		hub_run(hub, 120000);
		print_message("# removed %d: %u\n", removed,
			      hub_sas(hub, 0, MOAT_DIRECTION_OUT));
		assert_int_equal(hub_sas(hub, 0, MOAT_DIRECTION_OUT), 0);
		hub_free(hub);
	}
}

/* The ISAKMP SA has just passed to another tunnel: when was the peer heard? */
static void heir_hears(void **state)
{
	struct hub *hub = hub_new();
	struct moat_tunnel *b;

	(void)state;
	configure(hub, 0, "", "");
	configure(hub, 1, "", "");
	up(hub, 0, "a");
	up(hub, 0, "b");
	hub_run(hub, 1000000);
	hub_control(hub, 0, MOAT_EV_DOWN, "a");
	hub_run(hub, 100);
	b = moat_tunnel_find(hub_core(hub, 0), "b");
	assert_non_null(b->pairs[0].current);
	/* The network is away for a minute, just when SAs are to be replaced. */
	hub_mute(hub, 1, true);
	hub_run(hub, 100);
	moat_timer_after(hub_core(hub, 0), &b->pairs[0].current->rekey_timer, 1);
	hub_run(hub, 60000);
	print_message("# %s\n", hub_log(hub, 0, "peer-dead"));
	assert_string_equal(hub_log(hub, 0, "peer-dead"), "");
	assert_int_equal(hub_sas(hub, 0, MOAT_DIRECTION_OUT), 1);
	hub_free(hub);
}

/* An ISAKMP SA that nobody needed ends just when traffic has brought SAs. */
static void expires_unneeded(void **state)
{
	(void)state;
	for (unsigned int early = 1; early < 10; early++) {
		struct sim_options o = sim_plain();
		struct sim *sim;
		struct moat_isakmp *sa;

		o.dpd = 30;
		o.dpd_timeout = 120;
		o.ike_lifetime = 3600;
		o.lifetime = 1200;
		sim = sim_new(&o);
		sim_run(sim, 100);
		sim_acquire(sim, 0, 0);
		sim_run(sim, 2 * SECOND);
		sa = newest(sim, 0);
		while (sim_now(sim) < sa->expires - early * SECOND)
			sim_run(sim, 100);
		assert_int_equal(sim_isakmps(sim, 0), 1);
		assert_int_equal(sim_count(sim, 0, MOAT_DIRECTION_OUT), 0);
		sim_acquire(sim, 0, 0);
		sim_run(sim, 10 * SECOND);
		sim_set_filter(sim, dead);
		sim_run(sim, 130 * SECOND);
		print_message("# early %u: dead %u\n", early,
			      sim_logged(sim, 0, "peer-dead"));
		assert_int_equal(sim_count(sim, 0, MOAT_DIRECTION_OUT), 0);
		sim_free(sim);
	}
}

static bool quick_modes(int from, uint8_t exchange, unsigned int nth)
{
	(void)from;
	(void)nth;
	return exchange == MOAT_X_QUICK;
}

static uint32_t next_id;

static void say_afresh(struct sim *sim)
{
	struct moat_isakmp *sa = newest(sim, 0);
	struct moat_ike1_out out;
	uint32_t id = ++next_id;

	sim_insider_begin(&out, sa, MOAT_X_INFORMATIONAL, id);
	moat_build_notify(&out.b, MOAT_PROTO_ISAKMP, MOAT_N_INITIAL_CONTACT,
			  moat_view(NULL, 0), moat_view(NULL, 0));
	sim_insider_send(sim, sa, &out, id, false);
}

static void delete_child(struct sim *sim, const struct moat_child *child)
{
	struct moat_isakmp *sa = newest(sim, 0);
	struct moat_ike1_out out;
	uint32_t id = ++next_id;
	uint8_t spi[4];

	moat_set32(spi, child->sas[0].spi_out);
	sim_insider_begin(&out, sa, MOAT_X_INFORMATIONAL, id);
	moat_build_delete(&out.b, MOAT_PROTO_ESP, sizeof(spi),
			  moat_view(spi, sizeof(spi)));
	sim_insider_send(sim, sa, &out, id, false);
}

/* What the peer was told to delete is not sent on. */
static void told_current(void **state)
{
	struct sim_options o = sim_plain();
	struct sim *sim = start(&o, true);

	(void)state;
	next_id = 0x7654321;
	sim_run(sim, 100 * SECOND);
	moat_timer_after(sim_core(sim, 0), &newest(sim, 0)->rekey_timer, 1);
	sim_run(sim, SECOND);
	sim_set_filter(sim, quick_modes);
	say_afresh(sim);
	sim_run(sim, 29 * SECOND);
	assert_int_equal(sim_packets_lost(sim), 0);
	sim->side[0].unknown_at = UINT64_MAX / 2;
	sim_run(sim, 5 * SECOND);
	print_message("# lost %lu\n", sim_packets_lost(sim));
	assert_in_range(sim_packets_lost(sim), 0, 5);
	sim_free(sim);
}

/* ... nor gone back to. */
static void told_old(void **state)
{
	struct sim_options o = sim_plain();
	struct sim *sim = start(&o, true);

	(void)state;
	next_id = 0x7654321;
	sim_run(sim, 100 * SECOND);
	sim_control(sim, 1, MOAT_EV_REKEY);
	sim_run(sim, 10 * SECOND);
	assert_int_equal(sim_rekeys(sim, 1), 1);
	while (!TAILQ_FIRST(&pair_of(sim, 1)->children)->deletes)
		sim_run(sim, 100);
	delete_child(sim, pair_of(sim, 1)->current);
	sim_run(sim, 10);
	assert_int_equal(sim_logged(sim, 1, "ipsec-back"), 0);
	sim_free(sim);
}

/* The peer sends on them, and the kernel says that so much has come: others are due. */
static void chosen_comes(void **state)
{
	unsigned int seen = 0;

	(void)state;
	for (uint64_t seed = 1; seed < 9; seed++) {
		struct moat_event event = { .type = MOAT_EV_EXPIRE };
		struct sim_options o = sim_plain();
		struct moat_child *child;
		struct sim *sim;

		o.seed = seed;
		sim = start_chosen(&o);
		if (!sim)
			continue;
		seen++;
		sim_run(sim, 100 * SECOND);
		child = of_role(sim, 1, true);
		assert_true(child && child->redundant && child->used);
		event.expire.direction = MOAT_DIRECTION_IN;
		event.expire.protocol = 50;
		event.expire.spi = child->sas[0].spi_in;
		event.expire.dst = child->local;
		event.expire.policy = pair_of(sim, 1)->policy;
		sim_step(sim, 1, &event);
		sim_run(sim, 20 * SECOND);
		assert_int_equal(sim_logged(sim, 1, "ipsec-rekey"), 2);
		sim_free(sim);
	}
	assert_true(seen);
}

static bool quick_of_1(int from, uint8_t exchange, unsigned int nth)
{
	(void)nth;
	return from == 1 && exchange == MOAT_X_QUICK;
}

/*
 * SAs that nobody used were left, as the peer says that it starts afresh. Then a packet
 * comes on them all the same: they are about to end, and not to be sent on.
 */
static void left_used(void **state)
{
	struct sim_options o = sim_plain();
	struct sim *sim = start(&o, true);
	struct moat_child *child;

	(void)state;
	next_id = 0x7654321;
	sim_run(sim, 100 * SECOND);
	moat_timer_after(sim_core(sim, 1), &pair_of(sim, 1)->current->rekey_timer, 1);
	sim_run(sim, 12);
	sim_set_filter(sim, quick_of_1);
	sim_run(sim, 100);
	sim_set_filter(sim, quick_modes);
	sim_run(sim, 22 * SECOND);
	child = TAILQ_LAST(&pair_of(sim, 1)->children, moat_children);
	assert_true(child->complete && child->unheard);
	moat_timer_after(sim_core(sim, 0), &newest(sim, 0)->rekey_timer, 1);
	sim_run(sim, 400);
	sim_set_filter(sim, quick_modes);
	say_afresh(sim);
	sim_run(sim, 100);
	assert_true(child->old);
	sim_insider_packet(sim, 1);
	sim_run(sim, 5 * SECOND);
	assert_false(pair_of(sim, 1)->current->old);
	sim_set_filter(sim, NULL);
	sim_run(sim, 100 * SECOND);
	print_message("# lost %lu pair-lost %u/%u\n", sim_packets_lost(sim),
		      sim_logged(sim, 0, "pair-lost"), sim_logged(sim, 1, "pair-lost"));
	assert_int_equal(sim_logged(sim, 1, "pair-lost"), 0);
	assert_int_equal(sim_packets_lost(sim), 0);
	sim_free(sim);
}

/* A daemon dies while redundant SAs stay for a stranger: none of its packets is lost. */
static void adopts_chosen(void **state)
{
	unsigned int seen = 0;

	(void)state;
	for (uint64_t seed = 1; seed < 18; seed++) {
		struct sim_options o = sim_plain();
		struct sim *sim;

		o.seed = seed;
		sim = start_chosen(&o);
		if (!sim)
			continue;
		seen++;
		sim->side[1].unknown_at = UINT64_MAX / 2;
		sim_network(sim, 20, 0, 0);
		sim_run(sim, (seed % 3 ? 100 : 1) * SECOND);
		sim_crash(sim, 1);
		sim_run(sim, 3 * SECOND);
		sim_restart(sim, 1);
		sim_run(sim, 300 * SECOND);
		print_message("# seed %u lost %lu\n", (unsigned int)seed,
			      sim_packets_lost(sim));
		assert_int_equal(sim_packets_lost(sim), 0);
		sim_free(sim);
	}
	assert_true(seen);
}

/* ... or while new ones wait, which the peer does not have. */
static void adopts_unheard(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed < 20; seed++) {
		struct sim_options o = sim_plain();
		struct sim *sim;

		o.seed = seed;
		sim = start(&o, true);
		sim_run(sim, 100 * SECOND);
		moat_timer_after(sim_core(sim, 1), &pair_of(sim, 1)->current->rekey_timer,
				 1);
		sim_run(sim, 12);
		sim_set_filter(sim, quick_of_1);
		sim_run(sim, 100);
		sim_set_filter(sim, quick_modes);
		sim_run(sim, (seed % 2 ? 22 : 2) * SECOND);
		sim_crash(sim, 1);
		sim_run(sim, 3 * SECOND);
		sim_set_filter(sim, NULL);
		sim_network(sim, 20, 0, 0);
		sim_restart(sim, 1);
		sim_run(sim, 300 * SECOND);
		if (sim_packets_lost(sim))
			print_message("# seed %u lost %lu\n", (unsigned int)seed,
				      sim_packets_lost(sim));
		assert_int_equal(sim_packets_lost(sim), 0);
		sim_free(sim);
	}
}

/* ... or has just told the peer that old ones end. */
static void adopts_told(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed < 20; seed++) {
		struct sim_options o = sim_plain();
		struct sim *sim;

		o.seed = seed;
		sim = start(&o, true);
		sim_run(sim, 100 * SECOND);
		sim_control(sim, 1, MOAT_EV_REKEY);
		sim_run(sim, 10 * SECOND);
		while (!TAILQ_FIRST(&pair_of(sim, 1)->children)->deletes)
			sim_run(sim, 100);
		sim_network(sim, 20, 0, 0);
		sim_restart(sim, 1);
		sim_run(sim, 300 * SECOND);
		if (sim_packets_lost(sim))
			print_message("# seed %u lost %lu\n", (unsigned int)seed,
				      sim_packets_lost(sim));
		assert_int_equal(sim_packets_lost(sim), 0);
		assert_int_equal(sim_count(sim, 1, MOAT_DIRECTION_IN), 1);
		sim_free(sim);
	}
}

/* Nor do those that it has chosen end when there is no ISAKMP SA by which to tell it. */
static void chosen_alone(void **state)
{
	unsigned int seen = 0;

	(void)state;
	for (uint64_t seed = 1; seed < 9; seed++) {
		struct sim_options o = sim_plain();
		struct moat_isakmp *sa;
		struct sim *sim;

		o.seed = seed;
		sim = start_chosen(&o);
		if (!sim)
			continue;
		seen++;
		while (!TAILQ_EMPTY(&sim_core(sim, 0)->isakmps) && sim_isakmps(sim, 1)) {
			sa = TAILQ_FIRST(&sim_core(sim, 0)->isakmps);
			moat_isakmp_remove(sa);
			moat_isakmp_remove(TAILQ_FIRST(&sim_core(sim, 1)->isakmps));
			sim_run(sim, 20);
		}
		assert_int_equal(sim_isakmps(sim, 1), 0);
		sim_run(sim, 100 * SECOND);
		print_message("# seed %u lost %lu\n", (unsigned int)seed,
			      sim_packets_lost(sim));
		assert_int_equal(sim_packets_lost(sim), 0);
		sim_free(sim);
	}
	assert_true(seen);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chosen_rekeyed),    cmocka_unit_test(chosen_bytes),
		cmocka_unit_test(forgotten_with_it), cmocka_unit_test(last_with_it),
		cmocka_unit_test(silent_with_it),
		cmocka_unit_test(holder_waits),	     cmocka_unit_test(holder_goes),
		cmocka_unit_test(watcher_goes),	     cmocka_unit_test(heir_hears),
		cmocka_unit_test(expires_unneeded),  cmocka_unit_test(told_current),
		cmocka_unit_test(told_old),	     cmocka_unit_test(chosen_comes),
		cmocka_unit_test(left_used),
		cmocka_unit_test(chosen_alone),
		cmocka_unit_test(adopts_chosen),
		cmocka_unit_test(adopts_unheard),    cmocka_unit_test(adopts_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
