// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A peer's name has another address: from the change of the answer to the tunnel
 * that stands again, through the timers of the supervisor and those of the core,
 * under one virtual clock.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "priv/names.h"
#include "sim.h"

#define SECOND 1000
#define BOUND  (10 * SECOND)
/* What a name server may take to answer. */
#define LATENCY (1 * SECOND)

/**
 * struct resolver - the supervisor's part: who is asked for when, what is made of it
 * @answer: what the name server says now
 * @asked: an answer is on its way, and comes at @answers_at
 * @applies_at: when the tunnels are told; 0 for nothing to tell
 */
struct resolver {
	struct sim *sim;
	struct moat_names names;
	struct moat_config config;
	struct moat_addr answer;
	bool asked;
	uint64_t looks_at;
	uint64_t answers_at;
	uint64_t applies_at;
};

static struct moat_tunnel_conf *named(const char *name)
{
	struct moat_tunnel_conf *tunnel = calloc(1, sizeof(*tunnel));

	assert_non_null(tunnel);
	tunnel->action = MOAT_ACTION_PROTECT;
	tunnel->named = true;
	tunnel->remote = calloc(MOAT_REMOTES_MAX, sizeof(*tunnel->remote));
	tunnel->written = calloc(1, sizeof(*tunnel->written));
	assert_non_null(tunnel->remote);
	assert_non_null(tunnel->written);
	tunnel->written[0].name = strdup(name);
	tunnel->n_written = 1;
	assert_true(moat_addr_parse("192.0.2.1", &tunnel->local));
	return tunnel;
}

static void begin(struct resolver *r, struct sim *sim)
{
	*r = (struct resolver){ .sim = sim };
	moat_config_add(&r->config, named("peer.example"));
	assert_true(moat_addr_parse("192.0.2.2", &r->answer));
	moat_names_want(&r->names, &r->config);
}

static void answer(struct resolver *r, uint64_t now)
{
	struct moat_ipc msg;

	r->asked = false;
	moat_ipc_init(&msg, MOAT_IPC_RESOLVED, 0);
	moat_ipc_text(msg.resolved.name, "peer.example");
	msg.resolved.addrs[0] = r->answer;
	msg.resolved.n = 1;
	if (moat_names_take(&r->names, &msg, now / SECOND))
		r->applies_at = now + MOAT_NAMES_SETTLE;
}

/* As priv/supervisor_ends.c does it; the look comes each second. */
static void tick(struct resolver *r)
{
	uint64_t now = sim_now(r->sim);

	if (now >= r->looks_at) {
		r->looks_at = now + MOAT_NAMES_LOOK * SECOND;
		if (moat_names_due(&r->names, now / SECOND)) {
			r->asked = true;
			r->answers_at = now + LATENCY;
		}
	}
	if (r->asked && now >= r->answers_at)
		answer(r, now);
	if (r->applies_at && now >= r->applies_at) {
		r->applies_at = 0;
		if (moat_names_apply(&r->names, &r->config))
			sim_configure(r->sim, 0);
	}
	sim_run(r->sim, 100);
}

static void follow(uint64_t seed, uint64_t moment)
{
	struct sim_options o = {
		.seed = seed,
		.nets = 1,
		.psk = { "a secret", "a secret" },
		.dpd = 30,
		.dpd_timeout = 120,
		.traffic = 50,
		.start = { MOAT_START_TRAP, MOAT_START_NONE },
	};
	struct sim *sim = sim_new(&o);
	unsigned int established;
	struct resolver r;
	uint64_t changed;

	begin(&r, sim);
	while (sim_now(sim) < 30 * SECOND + moment)
		tick(&r);
	assert_string_equal(sim_state(sim, 0), "up");
	assert_true(moat_addr_equal(&r.config.tunnels[0]->remote[0], &r.answer));

	/* The peer is elsewhere, with nothing of what it had, and does not begin. */
	sim_readdress(sim, 1, "192.0.2.52");
	sim_reboot(sim, 1);
	assert_true(moat_addr_parse("192.0.2.52", &r.answer));
	changed = sim_now(sim);
	established = sim_logged(sim, 0, "ike-established");
	while (sim_logged(sim, 0, "ike-established") == established &&
	       sim_now(sim) < changed + 2 * BOUND)
		tick(&r);
	if (sim_now(sim) > changed + BOUND)
		fail_msg("changed %llu ms after the tunnel was up: %llu ms",
			 (unsigned long long)moment,
			 (unsigned long long)(sim_now(sim) - changed));
	while (sim_now(sim) < changed + BOUND)
		tick(&r);
	assert_null(sim_agree(sim));
	assert_true(moat_addr_equal(&r.config.tunnels[0]->remote[0], &r.answer));
	moat_names_free(&r.names);
	moat_config_free(&r.config);
	sim_free(sim);
}

/* At whatever moment between two questions. */
static void another_answer(void **state)
{
	(void)state;
	for (uint64_t moment = 0; moment < 8 * SECOND; moment += 100)
		follow(1 + moment, moment);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(another_answer),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
