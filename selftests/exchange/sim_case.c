// SPDX-License-Identifier: GPL-2.0-or-later
/* What cases with one tunnel over a good network begin and end with. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "ike/core.h"
#include "sim_case.h"
#include "sim_internal.h"

struct sim_options sim_plain(void)
{
	return (struct sim_options){
		.seed = 1,
		.nets = 1,
		.psk = { "a secret", "a secret" },
		.verbose = getenv("SIM_VERBOSE") != NULL,
	};
}

struct sim_options sim_encryption(uint16_t method)
{
	return (struct sim_options){
		.seed = 1,
		.nets = 1,
		.auth = method,
		.cert = { "enc-a", "enc-b" },
		.key = { "enc-a", "enc-b" },
		.more = { "remote-cert = \"enc-b.pem\"", "remote-cert = \"enc-a.pem\"" },
		.verbose = getenv("SIM_VERBOSE") != NULL,
	};
}

struct sim *sim_start(const struct sim_options *o)
{
	struct sim *sim = sim_new(o);

	sim_run(sim, 100);
	sim_up(sim, 0);
	sim_run(sim, 5000);
	return sim;
}

struct sim *sim_start_lossy(const struct sim_options *o, sim_filter filter)
{
	struct sim *sim = sim_new(o);

	sim_set_filter(sim, filter);
	sim_run(sim, 100);
	sim_up(sim, 0);
	sim_run(sim, 500);
	return sim;
}

bool sim_lose_main_3(int from, uint8_t exchange, unsigned int nth)
{
	return from == 0 && exchange == MOAT_X_MAIN && nth == 2;
}

void sim_assert_up(struct sim *sim)
{
	for (int side = 0; side < 2; side++)
		assert_string_equal(sim_state(sim, side), "up");
	assert_string_equal(sim_agree(sim) ? sim_agree(sim) : "agree", "agree");
}

void sim_assert_established(struct sim *sim, unsigned int pairs)
{
	for (int side = 0; side < 2; side++) {
		assert_int_equal(sim_count(sim, side, MOAT_DIRECTION_IN), pairs);
		assert_int_equal(sim_count(sim, side, MOAT_DIRECTION_OUT), pairs);
		assert_int_equal(sim_reserved(sim, side), 0);
		assert_int_equal(sim_isakmps(sim, side), 1);
	}
	sim_assert_up(sim);
}

void sim_estrange(struct sim *sim)
{
	/* Its vendor id: the first octets are enough to make it another one. */
	static const uint8_t own[] = { 0xd3, 0x9c, 0x0b, 0x0e, 0x6b, 0xa5, 0x07, 0xe6 };

	sim_spoil(sim, own, sizeof(own));
}

void sim_estrange_to(struct sim *sim, int side)
{
	sim_estrange(sim);
	sim->spoil_for = 1 + side;
}

struct sim *sim_start_traffic(const struct sim_options *o, bool strangers)
{
	struct sim *sim = sim_new(o);

	sim_run(sim, 100);
	if (strangers)
		sim_estrange(sim);
	sim_up(sim, 0);
	sim_run(sim, 5000);
	assert_int_equal(sim_done(sim, 0), 1);
	sim_traffic(sim, 20);
	return sim;
}

struct moat_pair *sim_pair(struct sim *sim, int side)
{
	return &TAILQ_FIRST(&sim_core(sim, side)->tunnels)->pairs[0];
}

struct moat_isakmp *sim_newest(struct sim *sim, int side)
{
	return TAILQ_LAST(&sim_core(sim, side)->isakmps, moat_isakmps);
}

void sim_keep_unknown(struct sim *sim, int side)
{
	/* It says so once in a second, and has just done so for ever. */
	sim->side[side].unknown_at = UINT64_MAX / 2;
}

struct moat_tunnel_conf *sim_tunnel_conf(struct sim *sim, int side)
{
	return &TAILQ_FIRST(&sim_core(sim, side)->tunnels)->conf;
}

unsigned int sim_occurs(const char *ladder, const char *word)
{
	unsigned int n = 0;

	for (; (ladder = strstr(ladder, word)); ladder++)
		n++;
	return n;
}

void sim_assert_nothing(struct sim *sim, int side)
{
	assert_int_equal(sim_count(sim, side, MOAT_DIRECTION_IN), 0);
	assert_int_equal(sim_count(sim, side, MOAT_DIRECTION_OUT), 0);
}

struct sim_options sim_steady(uint64_t seed)
{
	struct sim_options o = sim_plain();

	o.seed = seed;
	o.nets = 2;
	o.traffic = 50;
	return o;
}

struct sim *sim_start_steady(const struct sim_options *o)
{
	struct sim *sim = sim_new(o);

	sim_run(sim, 100);
	sim_up(sim, 0);
	/* Both began at once: the SAs that were one too many go within a minute. */
	sim_run(sim, 100 * 1000);
	assert_string_equal(sim_state(sim, 0), "up");
	return sim;
}

void sim_assert_whole(struct sim *sim)
{
	const char *wrong = sim_agree(sim);

	assert_string_equal(wrong ? wrong : "agree", "agree");
	for (int side = 0; side < 2; side++) {
		assert_string_equal(sim_state(sim, side), "up");
		assert_int_equal(sim_bared(sim, side), 0);
		assert_int_equal(sim_policies(sim, side), 4);
		assert_int_equal(sim_count(sim, side, MOAT_DIRECTION_IN), 4);
		assert_int_equal(sim_count(sim, side, MOAT_DIRECTION_OUT), 4);
	}
}

size_t sim_copy(const struct sim *sim, unsigned int index, int side, uint8_t *to,
		size_t size)
{
	const uint8_t *sent;
	size_t len;
	int whom;

	sent = sim_datagram(sim, index, &len, &whom);
	assert_non_null(sent);
	assert_int_equal(whom, side);
	assert_true(len <= size);
	memcpy(to, sent, len);
	return len;
}

void sim_payloads(const uint8_t *message, size_t len, bool padded,
		  struct moat_message *msg)
{
	assert_int_equal(
		moat_chain_parse(message[16],
				 moat_view(message + MOAT_HDR_LEN, len - MOAT_HDR_LEN),
				 padded, msg, NULL),
		0);
}

uint8_t *sim_body(uint8_t *message, size_t len, uint8_t type)
{
	const struct moat_payload *p;
	struct moat_message msg;

	sim_payloads(message, len, false, &msg);
	p = moat_message_find(&msg, type);
	assert_non_null(p);
	return message + (p->body.data - message);
}
