// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What strangers send must not fill the log: whatever they vary, and at whatever
 * pace they send, lines are bounded by time, and what is left out is counted. Nor
 * must what they have us compute pile up, or be in the way of others.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "ike/core.h"
#include "sim_case.h"
#include "sim_internal.h"

#define MINUTE	    60000
#define OF_A_KIND   (20 + MINUTE / 5000 + 1)
#define REPORTS	    (MINUTE / 10000 + 1)
#define KINDS_MAX   8
#define HEADER	    28
#define COOKIES_LEN 16

/**
 * struct flood - who sends what, and what was written about it
 * @first: message 1 as the peer would send it
 * @names: kinds of lines, without the word about what was left out
 * @left_out: what that word has counted
 * @work: Diffie-Hellman that was asked for and is still wanted; @most of it at once
 * @unproven: how much of all of it could wait for others
 */
struct flood {
	struct sim *sim;
	uint64_t now;
	uint8_t first[1024];
	size_t first_len;
	const char *names[KINDS_MAX];
	unsigned int lines[KINDS_MAX];
	unsigned int reports;
	unsigned int left_out;
	unsigned int work, most, unproven;
};

static void note(struct flood *f, const struct moat_act *act)
{
	unsigned int i = 0, count;

	if (!strcmp(act->log.name, "log-limited")) {
		f->reports++;
		assert_int_equal(sscanf(act->log.text, "%u lines", &count), 1);
		f->left_out += count;
		return;
	}
	while (i < KINDS_MAX && f->names[i] && strcmp(f->names[i], act->log.name) != 0)
		i++;
	assert_true(i < KINDS_MAX);
	f->names[i] = act->log.name;
	f->lines[i]++;
}

/* Nothing of it is answered, so each half-open ISAKMP SA has one question. */
static void note_work(struct flood *f, const struct moat_act *act)
{
	if (act->type == MOAT_ACT_FORGET)
		f->work--;
	if (act->type != MOAT_ACT_DH_GENERATE)
		return;
	f->unproven += act->unproven;
	if (++f->work > f->most)
		f->most = f->work;
}

static void step(struct flood *f, struct moat_event *event)
{
	struct moat_acts acts;

	event->now = f->now;
	moat_acts_init(&acts);
	moat_ike_step(sim_core(f->sim, 1), event, &acts);
	for (const struct moat_act *act = acts.first; act; act = act->next) {
		if (act->type == MOAT_ACT_LOG)
			note(f, act);
		note_work(f, act);
	}
	moat_acts_free(&acts);
}

/* From the peer's address, or from some other one. */
static void send(struct flood *f, bool stranger, const uint8_t *data, size_t len)
{
	struct moat_event event = { .type = MOAT_EV_DATAGRAM };

	event.datagram.local.addr = f->sim->side[1].addr;
	event.datagram.local.port = 500;
	event.datagram.remote.addr = f->sim->side[0].addr;
	event.datagram.remote.port = (uint16_t)(1 + sim_random(f->sim, 65535));
	if (stranger) {
		event.datagram.remote.addr.bytes[0] = 100;
		event.datagram.remote.addr.bytes[2] = (uint8_t)sim_random(f->sim, 256);
		event.datagram.remote.addr.bytes[3] = (uint8_t)sim_random(f->sim, 256);
	}
	event.datagram.data = data;
	event.datagram.len = len;
	step(f, &event);
}

static void fill(struct flood *f, uint8_t *data, size_t len)
{
	while (len--)
		*data++ = (uint8_t)sim_random(f->sim, 256);
}

static void random_octets(struct flood *f)
{
	uint8_t data[64];

	fill(f, data, sizeof(data));
	send(f, sim_random(f->sim, 2), data, 1 + sim_random(f->sim, sizeof(data) - 1));
}

/* Message 1 of main mode, each time with another cookie. */
static void first_messages(struct flood *f, bool stranger)
{
	fill(f, f->first, COOKIES_LEN / 2);
	send(f, stranger, f->first, f->first_len);
}

static void from_strangers(struct flood *f)
{
	first_messages(f, true);
}

static void as_the_peer(struct flood *f)
{
	first_messages(f, false);
}

static void unknown_cookies(struct flood *f)
{
	uint8_t data[HEADER + 32];

	fill(f, data, sizeof(data));
	data[16] = 8;
	data[17] = 0x10;
	data[18] = 5;
	data[19] = 1;
	data[24] = data[25] = data[26] = 0;
	data[27] = sizeof(data);
	send(f, false, data, sizeof(data));
}

static void the_same(struct flood *f)
{
	static const uint8_t data[HEADER] = { 1 };

	send(f, false, data, sizeof(data));
}

/* Message 1 of a peer is no reason for a line: what it leaves half open may be. */
static const struct pattern {
	void (*send)(struct flood *f);
	bool refused;
} patterns[] = {
	{ random_octets, true },   { from_strangers, true }, { as_the_peer, false },
	{ unknown_cookies, true }, { the_same, true },
};

static void begin(struct flood *f, bool aggressive)
{
	struct sim_options o = {
		.aggressive = aggressive,
		.seed = 1,
		.nets = 1,
		.psk = { "a secret", "a secret" },
		.esp = { "aes128gcm16-ecp256", "aes128gcm16-ecp256" },
	};
	const uint8_t *first;
	int to;

	memset(f, 0, sizeof(*f));
	f->sim = sim_new(&o);
	sim_run(f->sim, 100);
	sim_up(f->sim, 0);
	sim_run(f->sim, 20000);
	first = sim_datagram(f->sim, 0, &f->first_len, &to);
	assert_true(f->first_len <= sizeof(f->first));
	memcpy(f->first, first, f->first_len);
	f->now = f->sim->now;
}

static unsigned int flood(struct flood *f, const struct pattern *pattern,
			  unsigned int each)
{
	struct moat_event timer = { .type = MOAT_EV_TIMER };
	uint64_t end = f->now + MINUTE;
	unsigned int sent = 0;

	for (; f->now < end; f->now += each, sent++)
		pattern->send(f);
	/* The last word about what was left out. */
	f->now += 10000;
	step(f, &timer);
	return sent;
}

static void test_flood(void **state)
{
	static const unsigned int paces[] = { 10, 100, 190, 1000 };

	(void)state;
	for (unsigned int i = 0; i < sizeof(paces) / sizeof(*paces); i++) {
		for (unsigned int j = 0; j < sizeof(patterns) / sizeof(*patterns); j++) {
			unsigned int sent, lines = 0;
			struct flood f;

			begin(&f, false);
			sent = flood(&f, &patterns[j], paces[i]);
			for (unsigned int k = 0; k < KINDS_MAX && f.names[k]; k++) {
				if (f.lines[k] > OF_A_KIND)
					fail_msg("pattern %u, %u ms: %u lines of %s", j,
						 paces[i], f.lines[k], f.names[k]);
				lines += f.lines[k];
			}
			assert_true(f.reports <= REPORTS);
			/* Not one is lost without a word. */
			if (patterns[j].refused && lines + f.left_out < sent)
				fail_msg("pattern %u, %u ms: %u sent, %u and %u told", j,
					 paces[i], sent, lines, f.left_out);
			sim_free(f.sim);
		}
	}
}

/* What becomes of a tunnel is told all the same, while strangers make noise. */
static void test_peers_are_heard(void **state)
{
	struct flood f;

	(void)state;
	begin(&f, false);
	flood(&f, &patterns[1], 10);
	sim_down(f.sim, 0);
	sim_run(f.sim, 80000);
	assert_true(sim_logged(f.sim, 1, "ipsec-deleted") > 0);
	sim_free(f.sim);
}

/* Names that stand for the same place: a tunnel is heard beside a stranger's event. */
static void test_names_that_meet(void **state)
{
	struct moat_ike *ike;
	struct flood f;

	(void)state;
	begin(&f, false);
	ike = sim_core(f.sim, 1);
	for (unsigned int i = 0; i < 1000; i++)
		moat_limit_ok(ike, MOAT_BY_STRANGER, "spi-unknown", NULL);
	assert_false(moat_limit_ok(ike, MOAT_BY_STRANGER, "spi-unknown", NULL));
	assert_true(moat_limit_ok(ike, MOAT_BY_PEER, "peer-dead", "branch67"));
	sim_free(f.sim);
}

/* More kinds than there is room for are not counted under the name of another. */
static void test_many_kinds(void **state)
{
	static const char *const names[] = { "a", "b", "c", "d", "e", "f", "g", "h", "i",
					     "j", "k", "l", "m", "n", "o", "p", "q", "r" };
	const struct moat_left_out *last;
	struct moat_ike *ike;
	struct flood f;

	(void)state;
	begin(&f, false);
	ike = sim_core(f.sim, 1);
	for (unsigned int i = 0; i < sizeof(names) / sizeof(*names); i++) {
		for (unsigned int j = 0; j < 21; j++)
			moat_limit_ok(ike, MOAT_BY_STRANGER, names[i], NULL);
	}
	last = &ike->limit.left_out[MOAT_LIMIT_KINDS - 1];
	assert_string_equal(last->name, "others");
	assert_int_equal(last->count, 3);
	sim_free(f.sim);
}

/*
 * Message 1 of aggressive mode has us compute for whoever forges an address: as much
 * as there may be half open, however many come before a thread has time for it.
 */
static void test_work(void **state)
{
	struct flood f;

	(void)state;
	begin(&f, true);
	for (unsigned int i = 0; i < 20000; i++)
		as_the_peer(&f);
	assert_int_equal(f.unproven, 20000);
	assert_int_equal(f.work, MOAT_HALF_OPEN_MAX);
	/* The new one comes, and then the old one goes. */
	assert_true(f.most <= MOAT_HALF_OPEN_MAX + 1);
	sim_free(f.sim);
}

/* Whose work may wait: what a message of aggressive mode causes, from anywhere. */
static void test_whose_work(void **state)
{
	for (int aggressive = 0; aggressive < 2; aggressive++) {
		struct flood f;

		(void)state;
		begin(&f, aggressive);
		sim_assert_established(f.sim, 1);
		/* Both phases with Diffie-Hellman: a value, and what it gives. */
		assert_int_equal(f.sim->side[0].jobs, 4);
		assert_int_equal(f.sim->side[0].unproven, 0);
		assert_int_equal(f.sim->side[1].jobs, 4);
		assert_int_equal(f.sim->side[1].unproven, aggressive ? 2 : 0);
		sim_free(f.sim);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flood),
		cmocka_unit_test(test_peers_are_heard),
		cmocka_unit_test(test_names_that_meet),
		cmocka_unit_test(test_many_kinds),
		cmocka_unit_test(test_work),
		cmocka_unit_test(test_whose_work),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
