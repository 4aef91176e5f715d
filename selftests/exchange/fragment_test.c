// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * IKE fragmentation: who does it, with what; honest loss and repetition beside
 * forged fragments, which may cost little and must not stop an honest peer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "sim_case.h"
#include "wire/build.h"

#define WHOLE_MAX  1228
#define PARTS_MAX  32
#define MESSAGE	   8220
#define FRAGMENT   4 /* of the header of a FRAGMENT payload's body */
#define DATA	   (MOAT_HDR_LEN + MOAT_GENERIC_LEN + FRAGMENT)
#define LAST_FLAGS (MOAT_HDR_LEN + MOAT_GENERIC_LEN + 3)

static struct sim_options signatures(void)
{
	return (struct sim_options){
		.seed = 1,
		.nets = 1,
		.auth = MOAT_METHOD_RSA_SIG,
		.cert = { NULL,
			  "gw-b-ca" }, /* so long that message 6 goes in fragments */
		.key = { NULL, "gw-b" },
		.verbose = getenv("SIM_VERBOSE") != NULL,
	};
}

static bool is_fragment(const uint8_t *data)
{
	return data[16] == MOAT_P_FRAGMENT;
}

/* What went over the wire to one side. */
static unsigned int fragments_to(const struct sim *sim, int side, size_t *longest)
{
	unsigned int count = 0;
	const uint8_t *data;
	size_t len;
	int to;

	*longest = 0;
	for (unsigned int i = 0; (data = sim_datagram(sim, i, &len, &to)); i++) {
		if (to != side)
			continue;
		count += is_fragment(data);
		if (len > *longest)
			*longest = len;
	}
	return count;
}

static uint64_t refused(struct sim *sim, int side, enum moat_refuse why)
{
	const char *name;

	return moat_ike_refused(sim_core(sim, side), why, &name);
}

static struct sim *start(const struct sim_options *o)
{
	struct sim *sim = sim_new(o);

	sim_run(sim, 100);
	sim_up(sim, 0);
	return sim;
}

/* Both sides can: what is long goes in fragments, at once, in either exchange. */
static void both_can(void **state)
{
	(void)state;
	for (int aggressive = 0; aggressive < 2; aggressive++) {
		struct sim_options o = signatures();
		struct sim *sim;
		size_t longest;

		o.aggressive = aggressive;
		sim = start(&o);
		sim_run(sim, 5000);
		sim_assert_up(sim);
		assert_true(fragments_to(sim, 0, &longest) >= 2);
		assert_true(longest <= WHOLE_MAX);
		assert_true(fragments_to(sim, 1, &longest) >= 2);
		assert_true(longest <= WHOLE_MAX);
		sim_free(sim);
	}
}

/* One side cannot: nobody does, and the other's announcement does no harm. */
static void one_cannot(void **state)
{
	(void)state;
	for (int side = 0; side < 2; side++) {
		struct sim_options o = signatures();
		struct sim *sim;
		size_t longest;

		o.whole[side] = true;
		sim = start(&o);
		sim_run(sim, 5000);
		sim_assert_up(sim);
		assert_int_equal(fragments_to(sim, 0, &longest), 0);
		assert_int_equal(fragments_to(sim, 1, &longest), 0);
		assert_true(longest > WHOLE_MAX);
		sim_free(sim);
	}
}

/* The word of capabilities may be missing; without the bit for us it says no. */
static void announcements(void **state)
{
	static const uint8_t named[] = { 0xc2, 0xd3, 0x80, 0, 0, 0 }; /* its end */
	struct sim_options o = signatures();
	struct sim *sim = sim_new(&o);
	size_t longest;

	(void)state;
	sim_spoil(sim, named, sizeof(named));
	sim_run(sim, 100);
	sim_up(sim, 0);
	sim_run(sim, 5000);
	sim_assert_up(sim);
	assert_int_equal(fragments_to(sim, 0, &longest), 0);
	sim_free(sim);

	sim = sim_new(&o);
	sim_spoil_by(sim, named, sizeof(named), 2, 0xc0); /* 0x40: base mode alone */
	sim_run(sim, 100);
	sim_up(sim, 0);
	sim_run(sim, 5000);
	sim_assert_up(sim);
	assert_int_equal(fragments_to(sim, 0, &longest), 0);
	sim_free(sim);

	sim = sim_new(&o);
	sim_spoil_by(sim, named, sizeof(named), 2, 0x40); /* 0xc0: all modes */
	sim_run(sim, 100);
	sim_up(sim, 0);
	sim_run(sim, 5000);
	sim_assert_up(sim);
	assert_true(fragments_to(sim, 0, &longest) >= 2);
	sim_free(sim);
}

static unsigned int lose_from;
static unsigned int lose_count;
static int lose_of;

/* Loses @lose_count datagrams of main mode of one side. */
static bool lose(int from, uint8_t exchange, unsigned int nth)
{
	return exchange == MOAT_X_MAIN && from == lose_of && nth >= lose_from &&
	       nth < lose_from + lose_count;
}

/* Whichever fragments are lost, the next try brings what is missing. */
static void each_lost(void **state)
{
	(void)state;
	for (lose_of = 0; lose_of < 2; lose_of++) {
		for (lose_from = 1; lose_from <= 5; lose_from++) {
			for (lose_count = 1; lose_count <= 3; lose_count++) {
				struct sim_options o = signatures();
				struct sim *sim = sim_new(&o);

				sim_set_filter(sim, lose);
				sim_run(sim, 100);
				sim_up(sim, 0);
				sim_run(sim, 20000);
				sim_assert_up(sim);
				sim_free(sim);
			}
		}
	}
}

/*
 * With half of all fragments lost whole messages seldom come: only who keeps
 * parts of one try for the next one gets through as often as this.
 */
static void heavy_loss(void **state)
{
	unsigned int up = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 60; seed++) {
		struct sim_options o = signatures();
		struct sim *sim;

		o.seed = seed;
		o.loss = 50;
		o.duplicate = 20;
		o.reorder = 30;
		o.aggressive = seed % 2;
		sim = start(&o);
		for (unsigned int i = 0; i < 6 && sim_done(sim, 0) != 1; i++) {
			sim_run(sim, 180000);
			if (sim_done(sim, 0) == 0)
				sim_up(sim, 0);
		}
		sim_network(sim, 0, 0, 0);
		sim_run(sim, 60000);
		up += sim_done(sim, 0) == 1;
		if (sim_done(sim, 0) == 1)
			assert_true(!sim_agree(sim) ||
				    sim_logged(sim, 1, "quick-failed"));
		sim_free(sim);
	}
	assert_true(up >= 57);
}

/* ---- forgeries ---- */

/*
 * struct forgery - what becomes of a copy of an honest fragment
 * @spoils: it makes a message whose signature is wrong. Whoever can change
 *	ciphertext on its way spoils that attempt, in fragments or whole
 */
struct forgery {
	const char *name;
	void (*change)(uint8_t *data, size_t *len);
	bool spoils;
};

/* Not the last ones: no HASH covers padding, see hostile_test. */
static void other_octets(uint8_t *data, size_t *len)
{
	data[DATA + (*len - DATA) / 3] ^= 0xff;
}

static void other_id(uint8_t *data, size_t *len)
{
	(void)len;
	data[MOAT_HDR_LEN + MOAT_GENERIC_LEN] ^= 0x55;
}

static void last_too_soon(uint8_t *data, size_t *len)
{
	(void)len;
	data[LAST_FLAGS] |= MOAT_FRAGMENT_LAST;
}

static void last_too_late(uint8_t *data, size_t *len)
{
	(void)len;
	data[LAST_FLAGS - 1] = 9;
	data[LAST_FLAGS] |= MOAT_FRAGMENT_LAST;
}

static void not_last(uint8_t *data, size_t *len)
{
	(void)len;
	data[LAST_FLAGS] = 0;
}

static void empty(uint8_t *data, size_t *len)
{
	*len = DATA;
	moat_set16(data + MOAT_HDR_LEN + 2, MOAT_GENERIC_LEN + FRAGMENT);
	moat_set32(data + 24, (uint32_t)*len);
}

static void number_zero(uint8_t *data, size_t *len)
{
	(void)len;
	data[LAST_FLAGS - 1] = 0;
}

static void number_high(uint8_t *data, size_t *len)
{
	(void)len;
	data[LAST_FLAGS - 1] = PARTS_MAX + 1;
}

static void other_cookies_inside(uint8_t *data, size_t *len)
{
	(void)len;
	data[DATA] ^= 1;
	data[LAST_FLAGS - 1] = 1;
	data[LAST_FLAGS] = MOAT_FRAGMENT_LAST;
}

static const struct forgery forgeries[] = {
	{ "other octets", other_octets, true },
	{ "another id", other_id, false },
	{ "last too soon", last_too_soon, false },
	{ "last too late", last_too_late, false },
	{ "last is not last", not_last, false },
	{ "empty", empty, false },
	{ "number 0", number_zero, false },
	{ "number too high", number_high, false },
	{ "other cookies inside", other_cookies_inside, false },
};

/*
 * Somebody who sees all that is sent forges a fragment for each honest one, some
 * ms after it, for some messages.
 */
static void attack(struct sim *sim, const struct forgery *forgery, unsigned int delay,
		   unsigned int messages)
{
	unsigned int seen = 0;
	unsigned int forged = 0;

	for (unsigned int ms = 0; ms < 40000; ms++) {
		const uint8_t *data;
		size_t len;
		int to;

		sim_run(sim, 1);
		if (ms % delay)
			continue;
		for (; (data = sim_datagram(sim, seen, &len, &to)); seen++) {
			uint8_t copy[WHOLE_MAX];

			if (!is_fragment(data) || forged >= messages * 3)
				continue;
			memcpy(copy, data, len);
			forgery->change(copy, &len);
			sim_inject(sim, to, copy, len);
			forged++;
		}
	}
}

static void forged(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(forgeries) / sizeof(forgeries[0]); i++) {
		for (unsigned int delay = 1; delay <= 13; delay += 4) {
			struct sim_options o = signatures();
			struct sim *sim;

			o.start[0] = MOAT_START_UP;
			sim = sim_new(&o);
			attack(sim, &forgeries[i], delay, 4);
			if (forgeries[i].spoils)
				sim_run(sim, 120000);
			if (strcmp(sim_state(sim, 0), "up"))
				print_message("# %s, %u ms\n", forgeries[i].name, delay);
			sim_assert_up(sim);
			if (!forgeries[i].spoils)
				assert_int_equal(sim_logged(sim, 0, "ike-failed"), 0);
			sim_free(sim);
		}
	}
}

/* A fragment of an exchange that stands as far as its responder's message 4. */
static size_t make(struct sim *sim, uint16_t id, uint8_t number, bool last, size_t octets,
		   uint8_t buf[MESSAGE + 100])
{
	static const uint8_t zeros[MESSAGE + 100];
	struct moat_fragment f = { .id = id, .number = number, .last = last };
	struct moat_isakmp_view view;
	struct moat_hdr hdr = { .exchange = MOAT_X_MAIN };
	struct moat_build b;

	assert_true(moat_ike_isakmp(sim_core(sim, 1), 0, &view));
	memcpy(hdr.cookie_i, view.cookies[0], MOAT_COOKIE_LEN);
	memcpy(hdr.cookie_r, view.cookies[1], MOAT_COOKIE_LEN);
	f.data = moat_view(zeros, octets);
	moat_build_start(&b, buf, MESSAGE + 100, &hdr);
	moat_build_fragment(&b, &f);
	return moat_build_finish(&b);
}

static void send_fragment(struct sim *sim, uint16_t id, uint8_t number, bool last,
			  size_t octets)
{
	uint8_t buf[MESSAGE + 100];

	sim_inject(sim, 1, buf, make(sim, id, number, last, octets, buf));
}

/* A responder that waits for message 5, which does not come. */
static struct sim *waiting(const struct sim_options *o)
{
	struct sim *sim;

	lose_of = 0;
	lose_from = 3;
	lose_count = UINT32_MAX / 2;
	sim = sim_start_lossy(o, lose);
	assert_int_equal(sim_isakmps(sim, 1), 1);
	return sim;
}

/* What fragments cost is bounded, in number, octets and time. */
static void caps(void **state)
{
	struct sim_options o = signatures();
	struct sim *sim = waiting(&o);

	(void)state;
	assert_int_equal(sim_burden(sim, 1).fragments, 0);
	send_fragment(sim, 7, PARTS_MAX, false, 100);
	assert_int_equal(sim_burden(sim, 1).fragments, 100);
	send_fragment(sim, 7, PARTS_MAX + 1, false, 100);
	assert_int_equal(sim_burden(sim, 1).fragments, 100);
	assert_int_equal(refused(sim, 1, MOAT_REFUSE_FRAGMENT), 1);
	/* Octets: the newest stays, what was there before goes. */
	for (unsigned int i = 0; i < 8; i++) {
		send_fragment(sim, 7, (uint8_t)(2 + i), false, 1000);
		assert_int_equal(sim_burden(sim, 1).fragments, 1100 + 1000 * i);
	}
	/* A part that comes again takes the place of itself, however little is left. */
	send_fragment(sim, 7, 2, false, 1000);
	assert_int_equal(sim_burden(sim, 1).fragments, 8100);
	send_fragment(sim, 7, 10, false, 1000);
	assert_int_equal(sim_burden(sim, 1).fragments, 1000);
	send_fragment(sim, 7, 11, false, MESSAGE + 1);
	assert_int_equal(sim_burden(sim, 1).fragments, 1000);
	assert_int_equal(refused(sim, 1, MOAT_REFUSE_LENGTH), 1);
	/* Another id: another message. */
	send_fragment(sim, 8, 2, false, 50);
	assert_int_equal(sim_burden(sim, 1).fragments, 50);
	/* A repeated one counts once. */
	send_fragment(sim, 8, 2, false, 60);
	assert_int_equal(sim_burden(sim, 1).fragments, 60);
	/* What called itself the last one and was not goes. */
	send_fragment(sim, 9, 3, true, 100);
	send_fragment(sim, 9, 4, false, 50);
	assert_int_equal(sim_burden(sim, 1).fragments, 50);
	/* They go with what they belong to. */
	sim_run(sim, 40000);
	assert_int_equal(sim_isakmps(sim, 1), 0);
	assert_int_equal(sim_burden(sim, 1).fragments, 0);
	sim_free(sim);
}

/* Under an ISAKMP SA that lives on they are dropped after a minute. */
static void in_time(void **state)
{
	struct sim_options o = signatures();
	struct sim *sim = start(&o);
	uint64_t before;

	(void)state;
	sim_run(sim, 5000);
	sim_assert_up(sim);
	before = refused(sim, 1, MOAT_REFUSE_FRAGMENT);
	send_fragment(sim, 7, 2, true, 100);
	sim_run(sim, 59000);
	assert_int_equal(sim_burden(sim, 1).fragments, 100);
	sim_run(sim, 2000);
	assert_int_equal(sim_burden(sim, 1).fragments, 0);
	assert_int_equal(refused(sim, 1, MOAT_REFUSE_FRAGMENT), before + 1);
	sim_assert_up(sim);
	sim_free(sim);
}

/* Only of who is in an exchange with us, and where both announced it. */
static void from_whom(void **state)
{
	struct sim_options o = signatures();
	struct sim *sim = waiting(&o);
	uint8_t buf[MESSAGE + 100];
	size_t len = make(sim, 7, 1, true, 100, buf);

	(void)state;
	sim_inject_from(sim, 1, "192.0.2.77", buf, len);
	assert_int_equal(refused(sim, 1, MOAT_REFUSE_STATE), 1);
	buf[15] ^= 1; /* responder's cookie */
	sim_inject(sim, 1, buf, len);
	assert_int_equal(refused(sim, 1, MOAT_REFUSE_STATE), 2);
	memset(buf + 8, 0, 8); /* of a first message */
	sim_inject(sim, 1, buf, len);
	assert_int_equal(refused(sim, 1, MOAT_REFUSE_FRAGMENT), 1);
	assert_int_equal(sim_burden(sim, 1).fragments, 0);
	sim_free(sim);

	for (int side = 0; side < 2; side++) {
		o.whole[0] = side == 0;
		o.whole[1] = side == 1;
		sim = waiting(&o);
		send_fragment(sim, 7, 2, false, 100);
		assert_int_equal(refused(sim, 1, MOAT_REFUSE_FRAGMENT), 1);
		assert_int_equal(sim_burden(sim, 1).fragments, 0);
		sim_free(sim);
	}
}

/* A fragment in fragments, and other payloads beside one, are refused. */
static void nested(void **state)
{
	struct sim_options o = signatures();
	struct sim *sim = waiting(&o);
	struct moat_fragment f = { .id = 9, .number = 1, .last = true };
	uint8_t inner[MESSAGE + 100];
	uint8_t outer[MESSAGE + 200];
	struct moat_hdr hdr;
	struct moat_build b;
	size_t len;

	(void)state;
	f.data = moat_view(inner, make(sim, 7, 2, false, 100, inner));
	assert_int_equal(moat_hdr_parse(f.data, &hdr, NULL), 0);
	moat_build_start(&b, outer, sizeof(outer), &hdr);
	moat_build_fragment(&b, &f);
	sim_inject(sim, 1, outer, moat_build_finish(&b));
	assert_int_equal(refused(sim, 1, MOAT_REFUSE_FRAGMENT), 1);
	assert_int_equal(sim_burden(sim, 1).fragments, 0);

	moat_build_start(&b, outer, sizeof(outer), &hdr);
	f.last = false;
	moat_build_fragment(&b, &f);
	moat_build_fragment(&b, &f);
	len = moat_build_finish(&b);
	sim_inject(sim, 1, outer, len);
	assert_int_equal(refused(sim, 1, MOAT_REFUSE_FRAGMENT), 2);
	assert_int_equal(sim_burden(sim, 1).fragments, 0);
	sim_free(sim);
}

/* With the cookies of one ISAKMP SA nothing can be said to another, or begun. */
static void another_inside(void **state)
{
	struct sim_options o = signatures();
	struct sim *sim = waiting(&o);
	struct moat_fragment f = { .id = 9, .number = 1, .last = true };
	uint8_t inner[MESSAGE], outer[MESSAGE + 100];
	struct moat_isakmp_view view;
	struct moat_hdr hdr = { .exchange = MOAT_X_MAIN };
	struct moat_build b;
	size_t len;

	(void)state;
	assert_true(moat_ike_isakmp(sim_core(sim, 1), 0, &view));
	memcpy(hdr.cookie_i, view.cookies[0], MOAT_COOKIE_LEN);
	memcpy(hdr.cookie_r, view.cookies[1], MOAT_COOKIE_LEN);
	/* Message 1, with another cookie. */
	len = sim_copy(sim, 0, 1, inner, sizeof(inner));
	inner[0] ^= 1;
	f.data = moat_view(inner, len);
	moat_build_start(&b, outer, sizeof(outer), &hdr);
	moat_build_fragment(&b, &f);
	sim_inject(sim, 1, outer, moat_build_finish(&b));
	assert_int_equal(refused(sim, 1, MOAT_REFUSE_FRAGMENT), 1);
	assert_int_equal(sim_isakmps(sim, 1), 1);
	/* By itself it begins something. */
	sim_inject(sim, 1, inner, len);
	assert_int_equal(sim_isakmps(sim, 1), 2);
	sim_free(sim);
}

/* Message 5 in fragments comes again: message 6 does so, too, from the cache. */
static void answered_again(void **state)
{
	struct sim_options o = signatures();
	struct sim *sim = start(&o);
	unsigned int before;
	const uint8_t *data;
	size_t len;
	int to;

	(void)state;
	sim_run(sim, 5000);
	sim_assert_up(sim);
	before = sim_sent(sim, 1, MOAT_X_MAIN);
	for (unsigned int i = 0; (data = sim_datagram(sim, i, &len, &to)); i++) {
		if (to == 1 && is_fragment(data))
			sim_inject(sim, 1, data, len);
	}
	assert_true(sim_sent(sim, 1, MOAT_X_MAIN) >= before + 2);
	assert_int_equal(sim_isakmps(sim, 1), 1);
	sim_free(sim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_can),	  cmocka_unit_test(one_cannot),
		cmocka_unit_test(announcements),  cmocka_unit_test(each_lost),
		cmocka_unit_test(heavy_loss),	  cmocka_unit_test(forged),
		cmocka_unit_test(caps),		  cmocka_unit_test(in_time),
		cmocka_unit_test(from_whom),	  cmocka_unit_test(nested),
		cmocka_unit_test(answered_again), cmocka_unit_test(another_inside),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
