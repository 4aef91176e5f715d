// SPDX-License-Identifier: GPL-2.0-or-later
/* Peers that move, die and are restarted: how long until the tunnel is whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "ike/ike1.h"
#include "sim_case.h"

#define SECOND 1000

static struct sim_options plain(void)
{
	struct sim_options o = sim_steady(31);

	o.dpd = 5;
	o.dpd_timeout = 20;
	return o;
}

/* The disorder is over within 90 s, and nothing is lost from then on. */
static void assert_whole(struct sim *sim)
{
	unsigned long lost;

	sim_run(sim, 90 * SECOND);
	lost = sim_packets_lost(sim);
	sim_run(sim, 30 * SECOND);
	assert_int_equal(sim_packets_lost(sim), lost);
	sim_assert_whole(sim);
	sim_free(sim);
}

/* Our address has changed, and we see it; the peer has both in its list. */
static void local_address(void **state)
{
	struct sim_options o = plain();
	struct sim *sim;

	(void)state;
	o.also[1] = "192.0.2.51";
	sim = sim_start_steady(&o);
	sim_readdress(sim, 0, "192.0.2.51");
	sim_run(sim, SECOND);
	sim_configure(sim, 0);
	sim_run(sim, 8 * SECOND);
	assert_int_equal(sim_logged(sim, 0, "tunnel-moved"), 1);
	assert_whole(sim);
}

/* The peer's name has another address; the peer itself knows nothing of names. */
static void other_answer(void **state)
{
	struct sim_options o = plain();
	struct sim *sim;

	(void)state;
	o.start[1] = MOAT_START_NONE;
	sim = sim_start_steady(&o);
	sim_readdress(sim, 1, "192.0.2.52");
	sim_reboot(sim, 1);
	sim_run(sim, 2 * SECOND);
	sim_configure(sim, 0);
	sim_run(sim, 8 * SECOND);
	assert_int_equal(sim_logged(sim, 0, "tunnel-moved"), 1);
	/* start = "none": it sends only once the other side has asked. */
	assert_null(sim_agree(sim));
	sim_free(sim);
}

/* The new address is one that the tunnel protects: older SAs must not take IKE there. */
static void into_the_net(void **state)
{
	struct sim_options o = plain();
	struct sim *sim;

	(void)state;
	o.nets = 1;
	sim = sim_start_steady(&o);
	sim_control(sim, 0, MOAT_EV_REKEY);
	sim_run(sim, 10 * SECOND);
	assert_int_equal(sim_count(sim, 0, MOAT_DIRECTION_OUT), 2);
	sim_readdress(sim, 1, "10.2.0.7");
	sim_configure(sim, 1);
	sim_configure(sim, 0);
	sim_run(sim, 10);
	assert_int_equal(sim_count(sim, 0, MOAT_DIRECTION_OUT), 0);
	sim_run(sim, 10 * SECOND);
	assert_string_equal(sim_state(sim, 0), "up");
	assert_null(sim_agree(sim));
	sim_free(sim);
}

/* Both see it, each in its time, at any moment. */
static void both_see_it(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 20; seed++) {
		struct sim_options o = plain();
		struct sim *sim;

		o.seed = 400 + seed;
		sim = sim_start_steady(&o);
		sim_readdress(sim, 1, "192.0.2.53");
		sim_run(sim, seed * 40);
		sim_configure(sim, (int)(seed % 2));
		sim_run(sim, seed * 30);
		sim_configure(sim, (int)(1 - seed % 2));
		sim_run(sim, 8 * SECOND);
		assert_whole(sim);
	}
}

/* One after the other: the second finds SAs that the first has only just asked for. */
static void one_by_one(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 20; seed++) {
		struct sim_options o = plain();
		struct sim *sim;

		o.seed = 700 + seed;
		o.also[1] = "192.0.2.51";
		sim = sim_start_steady(&o);
		sim_readdress(sim, 1, "192.0.2.53");
		sim_configure(sim, 1);
		sim_run(sim, seed * 100);
		sim_configure(sim, 0);
		sim_run(sim, 8 * SECOND);
		sim_readdress(sim, 0, "192.0.2.51");
		sim_configure(sim, 0);
		sim_run(sim, 8 * SECOND);
		assert_whole(sim);
	}
}

/* What still works goes on until there is something new: nothing is lost. */
static void planned(void **state)
{
	struct sim_options o = plain();
	uint64_t rekeys;
	struct sim *sim;

	(void)state;
	o.also[0] = "192.0.2.54";
	sim = sim_start_steady(&o);
	rekeys = sim_rekeys(sim, 0);
	/* From [.2, .54] to .2 alone: what is in use stays as it is. */
	sim_configure(sim, 0);
	sim_also(sim, 0, NULL);
	sim_configure(sim, 0);
	sim_run(sim, 10 * SECOND);
	assert_int_equal(sim_rekeys(sim, 0), rekeys);
	assert_int_equal(sim_packets_lost(sim), 0);
	assert_whole(sim);
}

/* Dead at its first address, it is found at its second. */
static void second_address(void **state)
{
	struct sim_options o = plain();
	struct sim *sim;

	(void)state;
	o.one_way = true;
	o.also[0] = "192.0.2.77";
	sim = sim_start_steady(&o);
	sim_readdress(sim, 1, "192.0.2.77");
	sim_reboot(sim, 1);
	sim_run(sim, 25 * SECOND);
	assert_int_equal(sim_logged(sim, 0, "peer-dead"), 1);
	sim_run(sim, 10 * SECOND);
	if (sim_agree(sim))
		fail_msg("%s", sim_agree(sim));
	sim_free(sim);
}

/* A restarted daemon finds its peer dead: nobody else would ask after it. */
static void dead_after_restart(void **state)
{
	struct sim_options o = plain();
	struct sim *sim = sim_start_steady(&o);

	(void)state;
	sim_traffic(sim, 0);
	sim_crash(sim, 1);
	sim_crash(sim, 0);
	sim_run(sim, SECOND);
	sim_restart(sim, 0);
	sim_run(sim, 15 * SECOND);
	assert_string_equal(sim_state(sim, 0), "up");
	sim_run(sim, 10 * SECOND);
	assert_int_equal(sim_logged(sim, 0, "peer-dead"), 1);
	assert_int_equal(sim_count(sim, 0, MOAT_DIRECTION_OUT), 0);
	assert_int_equal(sim_policies(sim, 0), 4);
	sim_free(sim);
}

/* A rebooted peer that is only sent to: the first packet makes it speak. */
static void rebooted_listener(void **state)
{
	struct sim_options o = plain();
	struct sim *sim;

	(void)state;
	o.one_way = true;
	o.dpd = 0;
	sim = sim_start_steady(&o);
	sim_reboot(sim, 1);
	sim_run(sim, 8 * SECOND);
	assert_true(sim_logged(sim, 1, "spi-unknown") >= 1);
	assert_true(sim_logged(sim, 0, "ike-initial-contact") >= 1);
	if (sim_agree(sim))
		fail_msg("%s", sim_agree(sim));
	sim_free(sim);
}

/* A rebooted peer is known for one by its first authentic message. */
static void rebooted_speaker(void **state)
{
	struct sim_options o = plain();
	struct sim *sim;
	unsigned int contacts;

	(void)state;
	o.dpd = 0;
	o.traffic = 0;
	sim = sim_start_steady(&o);
	contacts = sim_logged(sim, 0, "ike-initial-contact");
	sim_reboot(sim, 1);
	sim_up(sim, 1);
	while (!sim_isakmps(sim, 1) ||
	       sim_logged(sim, 0, "ike-initial-contact") == contacts)
		sim_run(sim, 10);
	/* Nothing of before is left at that very moment. */
	assert_int_equal(sim_count(sim, 0, MOAT_DIRECTION_OUT), 0);
	sim_run(sim, 3 * SECOND);
	if (sim_agree(sim))
		fail_msg("%s", sim_agree(sim));
	sim_free(sim);
}

/* SAs that one side has lost under a phase 1 that stands: INVALID-SPI. */
static void lost_sas(void **state)
{
	struct sim_options o = plain();
	struct sim *sim;

	(void)state;
	o.one_way = true;
	o.dpd = 0;
	sim = sim_start_steady(&o);
	sim_flush(sim, 1);
	sim_run(sim, 30 * SECOND);
	assert_true(sim_logged(sim, 0, "spi-refused") >= 1);
	if (sim_agree(sim))
		fail_msg("%s", sim_agree(sim));
	sim_free(sim);
}

/* Forged ones: seldom a notification, never an SA, nothing from a stranger. */
static void forged_spis(void **state)
{
	struct sim_options o = plain();
	struct sim *sim;
	unsigned int sent;
	uint64_t rekeys;

	(void)state;
	o.traffic = 0;
	o.dpd = 0;
	sim = sim_start_steady(&o);
	rekeys = sim_rekeys(sim, 0);
	sent = sim_sent(sim, 1, MOAT_X_INFORMATIONAL);
	for (uint32_t i = 0; i < 60; i++) {
		sim_unknown(sim, 1, "192.0.2.1", 0xbad00000 + i);
		sim_run(sim, SECOND);
	}
	sent = sim_sent(sim, 1, MOAT_X_INFORMATIONAL) - sent;
	assert_in_range(sent, 10, 13);
	assert_int_equal(sim_logged(sim, 0, "spi-refused"), sent);
	for (uint32_t i = 0; i < 10; i++) {
		sim_unknown(sim, 1, "192.0.2.99", 0xbad00000 + i);
		sim_run(sim, 10 * SECOND);
	}
	assert_int_equal(sim_logged(sim, 0, "spi-refused"), sent);
	assert_int_equal(sim_rekeys(sim, 0), rekeys);
	sim_traffic(sim, 50);
	assert_whole(sim);
}

/* ---- what nobody has authenticated ---- */

/* As somebody on the path would write it: the cookies are true, no key is known. */
enum forgery { IN_CLEAR, NO_HASH, WRONG_HASH, FORGERIES };

static size_t forge(struct moat_ike1_out *out, struct moat_isakmp *sa, enum forgery how)
{
	uint8_t spi[2 * MOAT_COOKIE_LEN], live[4], iv[MOAT_BLOCK_MAX];
	const struct moat_child *child = sa->tunnel->pairs[0].current;
	static uint32_t id = 0xf0000000;
	size_t len;

	memcpy(spi, sa->cky.i, MOAT_COOKIE_LEN);
	memcpy(spi + MOAT_COOKIE_LEN, sa->cky.r, MOAT_COOKIE_LEN);
	/* Of the victim's outbound SA, and it is about to be told so. */
	moat_set32(live, child->sas[0].spi_in);
	moat_ike1_begin(out, sa, MOAT_X_INFORMATIONAL, ++id, how != IN_CLEAR);
	if (how == WRONG_HASH)
		moat_ike1_hash(out, sa);
	moat_build_notify(&out->b, MOAT_PROTO_ESP, MOAT_N_INVALID_SPI,
			  moat_view(live, sizeof(live)), moat_view(NULL, 0));
	moat_build_notify(&out->b, MOAT_PROTO_ISAKMP, MOAT_N_INITIAL_CONTACT,
			  moat_view(spi, sizeof(spi)), moat_view(NULL, 0));
	moat_build_notify(&out->b, MOAT_PROTO_ISAKMP, MOAT_N_INVALID_COOKIE,
			  moat_view(spi, sizeof(spi)), moat_view(NULL, 0));
	moat_build_delete(&out->b, MOAT_PROTO_ESP, sizeof(live),
			  moat_view(live, sizeof(live)));
	moat_build_delete(&out->b, MOAT_PROTO_ISAKMP, sizeof(spi),
			  moat_view(spi, sizeof(spi)));
	if (how != IN_CLEAR)
		moat_build_pad(&out->b, moat_cipher_block(sa->alg.cipher));
	len = moat_build_finish(&out->b);
	assert_true(len);
	/* Even under the right key it is nothing without its HASH. */
	if (how == WRONG_HASH) {
		assert_int_equal(moat_iv_exchange(&sa->alg, sa->iv, id, iv), 0);
		assert_int_equal(moat_cbc_encrypt(&sa->alg, sa->keys.key, iv,
						  out->buf + MOAT_HDR_LEN,
						  len - MOAT_HDR_LEN),
				 0);
	}
	return len;
}

/* INVALID-SPI, INITIAL-CONTACT, INVALID-COOKIE and deletes that anybody could send. */
static void forged_notifies(void **state)
{
	static const char *const told[] = { "spi-refused", "ike-initial-contact",
					    "ike-deleted", "peer-dead", "pair-lost" };
	unsigned int before[2][sizeof(told) / sizeof(told[0])];
	struct sim_options o = plain();
	struct moat_ike1_out out;
	unsigned int isakmps[2];
	struct sim *sim;
	uint64_t rekeys;

	(void)state;
	sim = sim_start_steady(&o);
	for (int side = 0; side < 2; side++)
		isakmps[side] = sim_isakmps(sim, side);
	rekeys = sim_rekeys(sim, 0) + sim_rekeys(sim, 1);
	for (unsigned int i = 0; i < sizeof(told) / sizeof(told[0]); i++) {
		for (int side = 0; side < 2; side++)
			before[side][i] = sim_logged(sim, side, told[i]);
	}
	for (unsigned int i = 0; i < 20 * 2 * FORGERIES; i++) {
		int to = (int)(i % 2);
		struct moat_isakmp *sa = TAILQ_FIRST(&sim_core(sim, !to)->isakmps);

		assert_non_null(sa);
		assert_non_null(sa->tunnel->pairs[0].current);
		sim_inject(sim, to, out.buf, forge(&out, sa, i / 2 % FORGERIES));
		sim_run(sim, 100);
	}
	assert_true(sim_equal(sim));
	for (unsigned int i = 0; i < sizeof(told) / sizeof(told[0]); i++) {
		for (int side = 0; side < 2; side++)
			assert_int_equal(sim_logged(sim, side, told[i]), before[side][i]);
	}
	assert_int_equal(sim_rekeys(sim, 0) + sim_rekeys(sim, 1), rekeys);
	for (int side = 0; side < 2; side++)
		assert_int_equal(sim_isakmps(sim, side), isakmps[side]);
	assert_int_equal(sim_packets_lost(sim), 0);
	assert_whole(sim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(local_address),     cmocka_unit_test(other_answer),
		cmocka_unit_test(into_the_net),	     cmocka_unit_test(both_see_it),
		cmocka_unit_test(one_by_one),	     cmocka_unit_test(planned),
		cmocka_unit_test(second_address),    cmocka_unit_test(dead_after_restart),
		cmocka_unit_test(rebooted_listener), cmocka_unit_test(rebooted_speaker),
		cmocka_unit_test(lost_sas),	     cmocka_unit_test(forged_spis),
		cmocka_unit_test(forged_notifies),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
