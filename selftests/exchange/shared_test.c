// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Several tunnels with one peer that want phase 1, or its keeping, otherwise: one
 * ISAKMP SA serves all that may have it, and none ends what another one has.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "ike/ike1.h"

#include "hub.h"

#define HERE  "192.0.2.1"
#define THERE "192.0.2.2"
#define GOOD  "ike = [ \"aes128-sha256-ecp256\" ]\n"
#define WEAK  "ike = [ \"aes128-md5-ecp256\" ]\nweak = true\n"
#define BOTH  "ike = [ \"aes128-md5-ecp256\", \"aes128-sha256-ecp256\" ]\nweak = true\n"

/* Tunnels "a" and "b" of one side, 0 or 1, with what else they say. */
static void configure(struct hub *hub, unsigned int side, const char *a, const char *b)
{
	static const char *const addr[] = { HERE, THERE };
	const char *more[] = { a, b };
	char text[2048];
	int used = 0;

	for (int i = 0; i < 2; i++)
		used += snprintf(text + used, sizeof(text) - (size_t)used,
				 "%c = { local = \"%s\"\nremote = \"%s\"\n"
				 "local-net = \"10.%u.%d.0/24\"\n"
				 "remote-net = \"10.%u.%d.0/24\"\n"
				 "esp = [ \"aes128gcm16\" ]\n%s%s }\n",
				 'a' + i, addr[side], addr[!side], 1 + side, i, 2 - side,
				 i, strstr(more[i], "ike = ") ? "" : GOOD, more[i]);
	hub_configure(hub, side, addr[side], text);
}

static struct hub *start(const char *b0, const char *b1)
{
	struct hub *hub = hub_new();

	configure(hub, 0, "", b0);
	configure(hub, 1, "", b1);
	return hub;
}

static void up(struct hub *hub, unsigned int side, const char *name)
{
	hub_control(hub, side, MOAT_EV_UP, name);
	hub_run(hub, 5000);
}

static void assert_both_up(struct hub *hub)
{
	for (unsigned int side = 0; side < 2; side++) {
		assert_string_equal(hub_state(hub, side, "a"), "up");
		assert_string_equal(hub_state(hub, side, "b"), "up");
		assert_int_equal(hub_sas(hub, side, MOAT_DIRECTION_OUT), 2);
	}
}

static void assert_isakmps(struct hub *hub, unsigned int n)
{
	assert_int_equal(hub_isakmps(hub, 0), n);
	assert_int_equal(hub_isakmps(hub, 1), n);
}

static void finish(struct hub *hub)
{
	assert_string_equal(hub_wrong(hub) ? hub_wrong(hub) : "nothing", "nothing");
	hub_free(hub);
}

/* SPI of what a tunnel sends on, 0 for none. */
static uint32_t spi(struct hub *hub, unsigned int side, const char *name)
{
	const struct moat_tunnel *tunnel = moat_tunnel_find(hub_core(hub, side), name);

	return tunnel->pairs[0].current ? tunnel->pairs[0].current->sas[0].spi_out : 0;
}

static const char *const others[] = {
	"dpd = 60\n",
	"dpd = 0\n",
	"dpd-timeout = 600\n",
	"ike-lifetime = 7200\n",
	"fragmentation = false\n",
	"nat-t = \"off\"\n",
	"ike = [ \"aes256-sha512-modp2048\", \"aes128-sha256-ecp256\" ]\n",
};

/* Whether both sides have the difference or one, whoever begins, and with what. */
static void one_isakmp(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 4 * sizeof(others) / sizeof(others[0]); i++) {
		const char *more = others[i / 4];
		struct hub *hub = start(more, i & 1 ? more : "");
		unsigned int side = i >> 1 & 1;
		uint32_t first;

		up(hub, side, "a");
		first = spi(hub, side, "a");
		hub_run(hub, 100000);
		up(hub, side, "b");
		assert_both_up(hub);
		assert_isakmps(hub, 1);
		/* Nothing of the first one had to go for it. */
		assert_int_equal(spi(hub, side, "a"), first);
		finish(hub);
	}
}

/* Both begin by themselves, and stand for hours, through rekeys of both phases. */
static void for_hours(void **state)
{
	static const char *const more[] = { "start = \"up\"\ndpd = 60\n",
					    "start = \"up\"\nike-lifetime = 5000\n",
					    "start = \"up\"\n" BOTH };
	(void)state;
	for (unsigned int i = 0; i < 6; i++) {
		struct hub *hub = hub_new();
		unsigned int missing = 0;

		configure(hub, 0, "start = \"up\"\n", more[i / 2]);
		configure(hub, 1, "", i & 1 ? strchr(more[i / 2], '\n') + 1 : "");
		for (unsigned int t = 0; t < 4 * 3600; t += 10) {
			hub_run(hub, 10000);
			for (unsigned int side = 0; side < 2; side++)
				missing += strcmp(hub_state(hub, side, "a"), "up") ||
					   strcmp(hub_state(hub, side, "b"), "up");
		}
		assert_int_equal(missing, 0);
		finish(hub);
	}
}

/* What counts for the ISAKMP SA that serves both. */
static void what_counts(void **state)
{
	struct hub *hub = hub_new();
	struct moat_isakmp *sa;

	(void)state;
	configure(hub, 0, "dpd = 0\nnat-t = \"off\"\n",
		  "dpd = 5\ndpd-timeout = 20\nike-lifetime = 9000\n"
		  "fragmentation = false\n");
	configure(hub, 1, "", "");
	up(hub, 0, "a");
	up(hub, 0, "b");
	assert_both_up(hub);
	sa = TAILQ_FIRST(&hub_core(hub, 0)->isakmps);
	assert_int_equal(sa->life, 9000);
	assert_false(sa->fragments);
	assert_int_not_equal(sa->natt.dialect, 0);
	hub_mute(hub, 1, true);
	hub_run(hub, 26000);
	assert_non_null(strstr(hub_log(hub, 0, "peer-dead"), "for 20 s (dpd-timeout)"));
	assert_int_equal(hub_sas(hub, 0, MOAT_DIRECTION_OUT), 0);
	finish(hub);
}

/* A reload changes one of them: the ISAKMP SA stays, and goes by it from then on. */
static void reload(void **state)
{
	struct hub *hub = hub_new();

	(void)state;
	configure(hub, 0, "dpd = 0\n", "dpd = 0\n");
	configure(hub, 1, "", "");
	up(hub, 0, "b");
	up(hub, 0, "a");
	assert_isakmps(hub, 1);
	configure(hub, 0, "dpd = 0\n", "dpd = 10\ndpd-timeout = 30\n");
	hub_run(hub, 5000);
	assert_string_equal(hub_state(hub, 0, "a"), "up");
	assert_isakmps(hub, 1);
	hub_mute(hub, 1, true);
	hub_run(hub, 36000);
	assert_string_equal(hub_state(hub, 0, "a"), "waiting");
	hub_mute(hub, 1, false);
	up(hub, 0, "a");
	/* Switched off again it asks no more. */
	configure(hub, 0, "dpd = 0\n", "dpd = 0\n");
	hub_mute(hub, 1, true);
	hub_run(hub, 600000);
	assert_string_equal(hub_state(hub, 0, "a"), "up");
	finish(hub);
}

/* The algorithms of the ISAKMP SA that would be taken for a tunnel. */
static const char *protection(struct hub *hub, unsigned int side, const char *name)
{
	static char alg[64];
	struct moat_isakmp *sa =
		moat_isakmp_usable(moat_tunnel_find(hub_core(hub, side), name));

	if (!sa)
		return "none";
	moat_ike_alg_print(&sa->alg, alg, sizeof(alg));
	return alg;
}

/* The one that demands more gets an ISAKMP SA of its own, which ends nothing. */
static void stricter(void **state)
{
	struct hub *hub = hub_new();
	uint32_t first;

	(void)state;
	configure(hub, 0, BOTH, GOOD);
	configure(hub, 1, BOTH, GOOD);
	up(hub, 0, "a");
	first = spi(hub, 0, "a");
	assert_string_equal(protection(hub, 0, "a"), "aes128-md5-ecp256");
	assert_string_equal(protection(hub, 0, "b"), "none");
	configure(hub, 0, BOTH, GOOD "start = \"up\"\n");
	hub_run(hub, 5000);
	assert_both_up(hub);
	assert_isakmps(hub, 2);
	assert_int_equal(spi(hub, 0, "a"), first);
	for (unsigned int side = 0; side < 2; side++)
		assert_string_equal(protection(hub, side, "b"), "aes128-sha256-ecp256");
	/* Nor is it rekeyed by, or passes to, the one that has less. */
	hub_control(hub, 0, MOAT_EV_REKEY, "a");
	hub_run(hub, 100000);
	assert_both_up(hub);
	for (unsigned int side = 0; side < 2; side++)
		assert_string_equal(protection(hub, side, "b"), "aes128-sha256-ecp256");
	hub_control(hub, 0, MOAT_EV_DOWN, "a");
	hub_run(hub, 20000);
	assert_string_equal(hub_state(hub, 0, "b"), "up");
	assert_string_equal(protection(hub, 0, "b"), "aes128-sha256-ecp256");
	hub_run(hub, 30000000);
	assert_string_equal(hub_state(hub, 1, "b"), "up");
	assert_string_equal(protection(hub, 0, "b"), "aes128-sha256-ecp256");
	finish(hub);
}

/* Under less than a tunnel demands it gets nothing, and the operator hears why. */
static void not_under_less(void **state)
{
	struct hub *hub = hub_new();
	const char *why;

	(void)state;
	configure(hub, 0, WEAK, GOOD);
	configure(hub, 1, WEAK, WEAK);
	up(hub, 1, "a");
	assert_string_equal(hub_state(hub, 0, "a"), "up");
	up(hub, 1, "b");
	assert_string_not_equal(hub_state(hub, 0, "b"), "up");
	assert_int_equal(hub_sas(hub, 0, MOAT_DIRECTION_IN), 1);
	why = hub_log(hub, 0, "quick-no-pair");
	assert_non_null(strstr(why, "tunnel \"b\" has just this pair, but its ike does "
				    "not have aes128-md5-ecp256, which protects this "
				    "ISAKMP SA (moat.conf:14)"));
	finish(hub);
}

/* One of them has nothing that the peer takes: the other one is tried all the same. */
static void other_offers(void **state)
{
	struct hub *hub = hub_new();

	(void)state;
	configure(hub, 0, "ike = [ \"aes256-sha512-ecp521\" ]\n", "");
	configure(hub, 1, "", "");
	hub_control(hub, 0, MOAT_EV_UP, "a");
	hub_control(hub, 0, MOAT_EV_UP, "b");
	hub_run(hub, 10000);
	assert_string_equal(hub_state(hub, 0, "b"), "up");
	assert_string_equal(hub_state(hub, 0, "a"), "waiting");
	finish(hub);
}

/* Main and aggressive mode, each for itself. */
static void other_exchange(void **state)
{
	static const char aggressive[] = "exchange = \"aggressive\"\nweak = true\n";
	struct hub *hub = start(aggressive, aggressive);
	uint32_t first;

	(void)state;
	up(hub, 0, "a");
	first = spi(hub, 0, "a");
	up(hub, 0, "b");
	assert_both_up(hub);
	assert_isakmps(hub, 2);
	assert_int_equal(spi(hub, 0, "a"), first);
	finish(hub);
}

/* Another proof, other names at the same ends: no word of a fresh start all the same. */
static void no_fresh_start(void **state)
{
	static const char rsa[] =
		"auth = \"rsa-sig\"\nca = \"ca.pem\"\ncert = \"gw-%c.pem\"\n"
		"key = \"selftests/certs/gw-%c.key\"\nlocal-id = \"gw-%c.example\"\n"
		"remote-id = \"gw-%c.example\"\n";
	static const char names[] = "exchange = \"aggressive\"\nweak = true\n"
				    "local-id = \"%c.example\"\n"
				    "remote-id = \"%c.example\"\n";

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		struct hub *hub = hub_new();
		char said[512], b[2][512];

		for (int side = 0; side < 2; side++) {
			int me = 'a' + side, peer = 'b' - side;

			if (i)
				snprintf(b[side], sizeof(b[side]), names, me, peer);
			else
				snprintf(b[side], sizeof(b[side]), rsa, me, me, me, peer);
		}
		configure(hub, 0, "", b[0]);
		configure(hub, 1, "", b[1]);
		up(hub, 0, "a");
		snprintf(said, sizeof(said), "%s",
			 hub_log(hub, 1, "ike-initial-contact"));
		assert_string_not_equal(said, "");
		up(hub, 0, "b");
		assert_both_up(hub);
		assert_isakmps(hub, 2);
		assert_string_equal(hub_log(hub, 1, "ike-initial-contact"), said);
		finish(hub);
	}
}

/* What the peer wants for a tunnel under the ISAKMP SA of another one, and why not. */
static void not_of_this_peer(void **state)
{
	struct hub *hub = hub_new();

	(void)state;
	configure(hub, 0, "", "local-id = \"other.example\"\n");
	configure(hub, 1, "", "");
	up(hub, 1, "a");
	up(hub, 1, "b");
	assert_string_not_equal(hub_state(hub, 1, "b"), "up");
	assert_non_null(strstr(hub_log(hub, 0, "quick-no-pair"),
			       "tunnel \"b\" has just this pair, but its local-id is "
			       "another one than that of tunnel \"a\", for which phase 1 "
			       "was"));
	finish(hub);
}

/* One peer fails all the time: why another one failed is kept all the same. */
static void crowded(void **state)
{
	struct hub *hub = hub_new();
	unsigned int kept = 0;

	(void)state;
	hub_configure(hub, 0, "192.0.2.1",
		      "one = { local = \"192.0.2.1\"\nremote = \"192.0.2.11\"\n"
		      "ike = [ \"aes128-sha256-ecp256\" ]\n"
		      "local-net = \"10.1.0.0/24\"\nremote-net = \"10.2.0.0/24\" }\n"
		      "two = { local = \"192.0.2.1\"\nremote = \"192.0.2.12\"\n"
		      "ike = [ \"aes128-sha256-ecp256\" ]\n"
		      "local-net = \"10.1.0.0/24\"\nremote-net = \"10.3.0.0/24\" }\n");
	for (unsigned int i = 1; i < 3; i++) {
		char text[400], addr[16];

		snprintf(addr, sizeof(addr), "192.0.2.%u", 10 + i);
		snprintf(text, sizeof(text),
			 "hub = { local = \"%s\"\nremote = \"192.0.2.1\"\n"
			 "ike = [ \"aes256-sha256-ecp256\" ]\n"
			 "local-net = \"10.%u.0.0/24\"\n"
			 "remote-net = \"10.1.0.0/24\" }\n",
			 addr, 1 + i);
		hub_configure(hub, i, addr, text);
	}
	hub_run(hub, 100);
	hub_control(hub, 1, MOAT_EV_UP, "hub");
	hub_run(hub, 1000);
	for (uint32_t i = 1; i <= 100; i++) {
		hub_stranger(hub, "192.0.2.11", i);
		hub_run(hub, 50);
	}
	assert_non_null(strstr(hub_log(hub, 0, "failure"), "192.0.2.11"));
	hub_control(hub, 2, MOAT_EV_UP, "hub");
	for (int i = 0; i < 20; i++) {
		hub_run(hub, 1);
		kept += strstr(hub_log(hub, 0, "failure"), "192.0.2.12") != NULL;
	}
	assert_true(kept);
	finish(hub);
}

/* Each step is its own tunnel's, be phase 1 that of another one. */
static void traced(void **state)
{
	static const char *const steps[] = { "quick 1", "quick 2", "quick 3" };
	struct hub *hub = start("", "");

	(void)state;
	up(hub, 0, "a");
	up(hub, 0, "b");
	assert_isakmps(hub, 1);
	for (unsigned int side = 0; side < 2; side++) {
		assert_string_equal(hub_log(hub, side, "main 5"), "a");
		for (unsigned int i = 0; i < 3; i++)
			assert_string_equal(hub_log(hub, side, steps[i]), "b");
	}
	finish(hub);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_isakmp),	  cmocka_unit_test(for_hours),
		cmocka_unit_test(what_counts),	  cmocka_unit_test(reload),
		cmocka_unit_test(stricter),	  cmocka_unit_test(not_under_less),
		cmocka_unit_test(other_offers),	  cmocka_unit_test(other_exchange),
		cmocka_unit_test(no_fresh_start), cmocka_unit_test(not_of_this_peer),
		cmocka_unit_test(crowded),	  cmocka_unit_test(traced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
