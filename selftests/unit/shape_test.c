// SPDX-License-Identifier: GPL-2.0-or-later
/* Configuration: what is asked of packets beyond their protection, and devices. */
#include "priv/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "config_text.h"
#include "ike/core.h"

#define SHAPE                                                                            \
	"df = \"clear\"; dscp = 46; mss = 1200; mtu = 1300; tfc = 400; secpath = true; " \
	"device = \"moat0\""

static void test_shape(void **state)
{
	struct moat_config config = { 0 };
	struct moat_mistakes mistakes = { 0 };
	const struct moat_tunnel_conf *t;

	(void)state;
	read_text(&config, &mistakes, "moat.conf", WITH(SHAPE), strlen(WITH(SHAPE)));
	read_text(&config, &mistakes, "moat.conf", WITH(""), strlen(WITH("")));
	read_text(&config, &mistakes, "moat.conf",
		  WITH("df = \"copy\"; dscp = \"copy\"; secpath = false"),
		  strlen(WITH("df = \"copy\"; dscp = \"copy\"; secpath = false")));
	read_text(&config, &mistakes, "moat.conf",
		  WITH("dscp = 0; tfc = \"auto\"; mss = \"auto\"; df = \"set\""),
		  strlen(WITH("dscp = 0; tfc = \"auto\"; mss = \"auto\"; df = \"set\"")));
	expect_none(&mistakes);
	t = config.tunnels[0];
	assert_int_equal(t->shape.df, MOAT_DF_CLEAR);
	assert_true(t->shape.has_dscp);
	assert_int_equal(t->shape.dscp, 46);
	assert_int_equal(t->shape.mss, 1200);
	assert_int_equal(t->shape.mtu, 1300);
	assert_int_equal(t->shape.tfc, 400);
	assert_true(t->shape.secpath);
	assert_string_equal(t->device, "moat0");
	t = config.tunnels[2];
	assert_true(moat_shape_equal(&config.tunnels[1]->shape, &t->shape));
	assert_string_equal(t->device, "");
	t = config.tunnels[3];
	assert_true(t->shape.has_dscp);
	assert_int_equal(t->shape.dscp, 0);
	assert_int_equal(t->shape.tfc, MOAT_TFC_AUTO);
	assert_int_equal(t->shape.mss, MOAT_MSS_AUTO);
	assert_int_equal(t->shape.df, MOAT_DF_SET);
	moat_config_free(&config);
}

static void test_shape_mistakes(void **state)
{
	(void)state;
	EXPECT(WITH("df = \"yes\""),
	       "moat.conf:6: df is \"yes\", expected: copy | set | clear");
	EXPECT(WITH("dscp = 64"), "moat.conf:6: dscp is 64, it may be 0 to 63");
	EXPECT(WITH("dscp = \"ef\""),
	       "moat.conf:6: dscp is \"ef\", expected: \"copy\", or a number from 0 to 63");
	EXPECT(WITH("tfc = true"), "moat.conf:6: tfc is true or false, expected: "
				   "\"auto\", or a number from 1 to 65534");
	EXPECT(WITH("tfc = 0"), "moat.conf:6: tfc is 0, it may be 1 to 65534");
	EXPECT(WITH("mss = 87"), "moat.conf:6: mss is 87, it may be 88 to 65534");
	EXPECT(WITH("mtu = 575"), "moat.conf:6: mtu is 575, it may be 576 to 65535");
	EXPECT(WITH("secpath = 1"),
	       "moat.conf:6: secpath is a number, true or false was expected");
	EXPECT(WITH("device = \"a-name-that-is-too-long\""),
	       "moat.conf:6: device: \"a-name-that-is-too-long\" is no name of a network "
	       "device: expected 1 to 15 characters without space, / : or % (\"moat0\")");
	EXPECT(WITH("device = \"moat%d\""),
	       "moat.conf:6: device: \"moat%d\" is no name of a network device: expected 1 "
	       "to 15 characters without space, / : or % (\"moat0\")");
	EXPECT("tunnels = { out = { action = \"bypass\"\nlocal-net = \"10.1.0.0/24\"\n"
	       "remote-net = \"10.2.0.0/24\"\nmtu = 1300\ndevice = \"moat0\" } }",
	       "moat.conf:4: tunnel \"out\": mtu belongs to action = \"protect\" only",
	       "moat.conf:5: tunnel \"out\": device cannot bypass: what is routed to a "
	       "device leaves protected or not at all");
	EXPECT("tunnels = { t = { local = \"192.0.2.1\"; remote = \"192.0.2.2\"\n"
	       "local-net = \"192.0.2.1\"; remote-net = \"192.0.2.2\"\n"
	       "mode = \"transport\"; mss = 1200\ndscp = 1\ndevice = \"moat0\" } }",
	       "moat.conf:4: tunnel \"t\": dscp belongs to mode = \"tunnel\" only: "
	       "transport mode has no outer header and no padding",
	       "moat.conf:5: tunnel \"t\": device belongs to mode = \"tunnel\" only");
	EXPECT("tunnels = { six = { local = \"192.0.2.1\"; remote = \"192.0.2.2\"\n"
	       "local-net = \"fd00:1::/64\"; remote-net = \"fd00:2::/64\"\n"
	       "mtu = 1279 } }",
	       "moat.conf:3: tunnel \"six\": mtu is 1279, with IPv6 networks it may be "
	       "1280 to 65535");
}

/* What differs in one of these is another tunnel to the kernel. */
static void test_shape_is_compared(void **state)
{
	static const char *const changes[] = {
		"df = \"set\"",	  "dscp = 0",		"dscp = 46",
		"mss = 1200",	  "mtu = 1300",		"tfc = 400",
		"secpath = true", "device = \"moat0\"", "routes = false",
	};
	struct moat_config config = { 0 };
	struct moat_mistakes mistakes = { 0 };
	char text[512];

	(void)state;
	for (unsigned int i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		snprintf(text, sizeof(text), WITH("%s"), changes[i]);
		read_text(&config, &mistakes, "moat.conf", text, strlen(text));
	}
	read_text(&config, &mistakes, "moat.conf", WITH(""), strlen(WITH("")));
	expect_none(&mistakes);
	for (unsigned int i = 0; i < config.n_tunnels; i++) {
		for (unsigned int j = 0; j < config.n_tunnels; j++) {
			if (moat_conf_same(config.tunnels[i], config.tunnels[j]) !=
			    (i == j))
				fail_msg("%u and %u", i, j);
		}
	}
	moat_config_free(&config);
}

/* Everything to everything, as often as there are devices. */
static void test_devices(void **state)
{
	static const char *const text =
		"tunnels = { %s = { local = \"192.0.2.1\"; remote = \"192.0.2.%u\"\n"
		"local-net = \"0.0.0.0/0\"; remote-net = \"0.0.0.0/0\"\n%s } }";
	struct moat_config config = { 0 };
	struct moat_mistakes mistakes = { 0 };
	char one[512], other[512], third[512];

	(void)state;
	snprintf(one, sizeof(one), text, "one", 2, "device = \"moat0\"");
	snprintf(other, sizeof(other), text, "other", 3, "device = \"moat1\"");
	snprintf(third, sizeof(third), text, "third", 4, "device = \"moat1\"");
	read_text(&config, &mistakes, "a.conf", one, strlen(one));
	read_text(&config, &mistakes, "b.conf", other, strlen(other));
	moat_config_finish(&config, &mistakes);
	expect_none(&mistakes);
	read_text(&config, &mistakes, "c.conf", third, strlen(third));
	moat_config_finish(&config, &mistakes);
	assert_int_equal(mistakes.n, 1);
	assert_string_equal(
		mistakes.list[0],
		"c.conf:1: tunnel \"third\": 0.0.0.0/0 to 0.0.0.0/0 is the traffic of "
		"tunnel \"other\" (b.conf:1) already, with the same priority");
	moat_mistakes_free(&mistakes);
	moat_config_free(&config);
	snprintf(one, sizeof(one), text, "one", 2, "");
	EXPECT(one, "moat.conf:1: tunnel \"one\": 0.0.0.0/0 is both local-net and "
		    "remote-net: no packet can be told to go there");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shape),
		cmocka_unit_test(test_shape_mistakes),
		cmocka_unit_test(test_shape_is_compared),
		cmocka_unit_test(test_devices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
