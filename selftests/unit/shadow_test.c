// SPDX-License-Identifier: GPL-2.0-or-later
/* Marks in the configuration, traffic that another tunnel takes, a peer of two tunnels. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "priv/config.h"
#include "config_text.h"

#define TUNNEL(name, local, remote, more)                                               \
	name " = { local = \"192.0.2.1\"; remote = \"192.0.2.2\"; local-net = \"" local \
	     "\"; remote-net = \"" remote "\"; " more " }\n"
#define BYPASS(name, local, remote, more)                     \
	name " = { action = \"bypass\"; local-net = \"" local \
	     "\"; remote-net = \"" remote "\"; " more " }\n"

/* What is warned of, all in one string; no mistakes. */
static void expect(const char *text, const char *const *warnings, unsigned int n)
{
	struct moat_config config = { 0 };
	struct moat_mistakes mistakes = { 0 };

	read_text(&config, &mistakes, "moat.conf", text, strlen(text));
	moat_config_finish(&config, &mistakes);
	expect_none(&mistakes);
	for (unsigned int i = 0; i < mistakes.n_warnings; i++)
		print_message("%s\n", mistakes.warnings[i]);
	assert_int_equal(mistakes.n_warnings, n);
	for (unsigned int i = 0; i < n; i++)
		assert_string_equal(mistakes.warnings[i], warnings[i]);
	moat_config_free(&config);
	moat_mistakes_free(&mistakes);
}

static void test_shadowed(void **state)
{
	static const char *const one[] = {
		"moat.conf:3: tunnel \"narrow\": no packet from 10.1.0.0/24 to 10.2.3.0/24 "
		"will meet it: tunnel \"wide\" (moat.conf:2) covers them and has priority "
		"10, which goes before 1000",
	};

	(void)state;
	expect("tunnels = {\n" BYPASS("wide", "0.0.0.0/0", "10.2.0.0/16", "priority = 10")
		       TUNNEL("narrow", "10.1.0.0/24", "10.2.3.0/24", "") "}",
	       one, 1);
	/* of equal priorities the more specific wins */
	expect("tunnels = {\n" BYPASS("wide", "0.0.0.0/0", "10.2.0.0/16",
				      "priority = 1000")
		       TUNNEL("narrow", "10.1.0.0/24", "10.2.3.0/24", "") "}",
	       NULL, 0);
	/* a part of the traffic, or of another family, is not all of it */
	expect("tunnels = {\n" BYPASS("wide", "0.0.0.0/0", "10.2.0.0/16",
				      "priority = 10; protocol = \"tcp\"")
		       BYPASS("own", "10.1.0.0/24", "10.1.0.0/24", "priority = 10")
			       BYPASS("six", "::/0", "::/0", "priority = 10")
				       BYPASS("part", "10.1.0.0/24", "10.2.3.0/25",
					      "priority = 10")
					       TUNNEL("narrow", "10.1.0.0/24",
						      "10.2.3.0/24", "") "}",
	       NULL, 0);
}

static void test_lan_inside(void **state)
{
	static const char *const one[] = {
		"moat.conf:2: tunnel \"hub\": its local-net 10.1.0.0/24 lies inside its "
		"remote-net 10.0.0.0/8: what the gateway sends to its own hosts there goes "
		"to the peer. A tunnel is needed with action = \"bypass\", local-net = "
		"\"10.1.0.0/24\", remote-net = \"10.1.0.0/24\" and a priority below 1000",
	};

	(void)state;
	expect("tunnels = {\n" TUNNEL("hub", "10.1.0.0/24", "10.0.0.0/8", "") "}", one,
	       1);
	expect("tunnels = {\n" TUNNEL("hub", "10.1.0.0/24", "10.0.0.0/8", "")
		       BYPASS("lan", "10.1.0.0/24", "10.1.0.0/24", "priority = 10") "}",
	       NULL, 0);
	/* more specific is enough, but not equal, behind, or a part of it */
	expect("tunnels = {\n" TUNNEL("hub", "10.1.0.0/24", "10.0.0.0/8", "")
		       BYPASS("lan", "10.1.0.0/24", "10.1.0.0/24", "") "}",
	       NULL, 0);
	expect("tunnels = {\n" TUNNEL("hub", "10.1.0.0/24", "10.0.0.0/8", "")
		       BYPASS("lan", "10.1.0.0/16", "10.0.0.0/7", "priority = 1001") "}",
	       one, 1);
	expect("tunnels = {\n" TUNNEL("hub", "10.1.0.0/24", "10.0.0.0/8", "")
		       BYPASS("lan", "10.1.0.0/24", "10.1.0.0/25", "priority = 10") "}",
	       one, 1);
	expect("tunnels = {\n" TUNNEL("hub", "10.1.0.0/24", "10.0.0.0/8", "")
		       BYPASS("lan", "10.1.0.0/24", "10.1.0.0/24",
			      "priority = 10; protocol = \"tcp\"") "}",
	       one, 1);
}

static void test_ports(void **state)
{
	static const char *const one[] = {
		"moat.conf:3: tunnel \"narrow\": no packet from 10.1.0.0/24 to 10.2.3.0/24 "
		"will meet it: tunnel \"wide\" (moat.conf:2) covers them and has priority "
		"10, which goes before 1000",
	};

	(void)state;
	expect("tunnels = {\n" BYPASS(
		       "wide", "10.1.0.0/24", "10.2.0.0/16",
		       "priority = 10; protocol = \"tcp\"; ports = { remote "
		       "= \"80-90\" }")
		       TUNNEL("narrow", "10.1.0.0/24", "10.2.3.0/24",
			      "protocol = \"tcp\"; ports = { remote = \"85-90\" }") "}",
	       one, 1);
	expect("tunnels = {\n" BYPASS(
		       "wide", "10.1.0.0/24", "10.2.0.0/16",
		       "priority = 10; protocol = \"tcp\"; ports = { remote "
		       "= \"80-90\" }")
		       TUNNEL("narrow", "10.1.0.0/24", "10.2.3.0/24",
			      "protocol = \"tcp\"; ports = { remote = \"85-91\" }") "}",
	       NULL, 0);
}

static void test_marks(void **state)
{
	struct moat_config config = { 0 };
	struct moat_mistakes mistakes = { 0 };
	static const char two[] =
		"tunnels = {\n" TUNNEL("one", "10.1.0.0/24", "10.2.0.0/24", "mark = 1")
			TUNNEL("two", "10.1.0.0/24", "10.2.0.0/24", "mark = 0xfffffffeL")
				TUNNEL("any", "10.1.0.0/24", "10.2.0.0/24", "") "}";

	(void)state;
	read_text(&config, &mistakes, "moat.conf", two, strlen(two));
	moat_config_finish(&config, &mistakes);
	expect_none(&mistakes);
	assert_int_equal(mistakes.n_warnings, 0);
	assert_int_equal(config.tunnels[0]->mark, 1);
	assert_int_equal(config.tunnels[1]->mark, 0xfffffffe);
	assert_int_equal(config.tunnels[2]->mark, 0);
	moat_config_free(&config);
	/* a policy of all marks takes those of one, and not the other way round */
	expect("tunnels = {\n" BYPASS("wide", "10.1.0.0/24", "10.2.0.0/16",
				      "priority = 10; mark = 1")
		       TUNNEL("narrow", "10.1.0.0/24", "10.2.3.0/24", "mark = 2")
			       TUNNEL("none", "10.1.0.0/24", "10.2.4.0/24", "") "}",
	       NULL, 0);
}

static void test_bad_mark(void **state)
{
	static const char *const bad[] = { "mark = 0", "mark = -1", "mark = 0x100000000L",
					   "mark = \"1\"" };

	(void)state;
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct moat_config config = { 0 };
		struct moat_mistakes mistakes = { 0 };
		char text[512];

		snprintf(text, sizeof(text), WITH("%s"), bad[i]);
		read_text(&config, &mistakes, "moat.conf", text, strlen(text));
		assert_int_equal(mistakes.n, 1);
		assert_non_null(strstr(mistakes.list[0], "moat.conf:6: mark is "));
		moat_config_free(&config);
		moat_mistakes_free(&mistakes);
	}
}

/* The first mistake, or none. */
static void expect_mistake(const char *text, const char *mistake)
{
	struct moat_config config = { 0 };
	struct moat_mistakes mistakes = { 0 };

	read_text(&config, &mistakes, "moat.conf", text, strlen(text));
	moat_config_finish(&config, &mistakes);
	assert_string_equal(mistakes.n ? mistakes.list[0] : "", mistake);
	assert_int_equal(mistakes.n, mistake[0] != '\0');
	moat_config_free(&config);
	moat_mistakes_free(&mistakes);
}

static void test_swapped(void **state)
{
	static const char mistake[] =
		"moat.conf:3: tunnel \"b\": 10.2.0.0/24 to 10.1.0.0/24 is the traffic of "
		"tunnel \"a\" (moat.conf:2) the other way round, with the same peer, so what "
		"comes out of one goes back into the other: one of them is the peer's view; "
		"exchange its local-net and remote-net, or remove it";

	(void)state;
	expect_mistake("tunnels = {\n" TUNNEL("a", "10.1.0.0/24", "10.2.0.0/24", "")
			       TUNNEL("b", "10.2.0.0/24", "10.1.0.0/24", "") "}",
		       mistake);
	expect_mistake("tunnels = {\n" TUNNEL("a", "10.1.0.0/24", "10.2.0.0/24", "")
			       TUNNEL("b", "10.2.0.0/24", "10.1.0.0/24",
				      "priority = 7; protocol = \"tcp\"") "}",
		       mistake);
	/* between two other peers it is a hub; other protocols and marks never meet */
	expect_mistake(
		"tunnels = {\n" TUNNEL(
			"a", "10.1.0.0/24", "10.2.0.0/24",
			"") "b = { local = \"192.0.2.1\"; remote = \"192.0.2.3\"; local-net "
			    "= \"10.2.0.0/24\"; remote-net = \"10.1.0.0/24\" } }",
		"");
	expect_mistake("tunnels = {\n" TUNNEL("a", "10.1.0.0/24", "10.2.0.0/24",
					      "protocol = \"udp\"")
			       TUNNEL("b", "10.2.0.0/24", "10.1.0.0/24",
				      "protocol = \"tcp\"") "}",
		       "");
	expect_mistake("tunnels = {\n" TUNNEL("a", "10.1.0.0/24", "10.2.0.0/24",
					      "mark = 1")
			       TUNNEL("b", "10.2.0.0/24", "10.1.0.0/24", "mark = 2") "}",
		       "");
}

static void test_esn_contradicts(void **state)
{
#define ESN(more) "tunnels = {\n" TUNNEL("a", "10.1.0.0/24", "10.2.0.0/24", more) "}"
	(void)state;
	expect_mistake(
		ESN("esn = \"on\";\nesp = [ \"aes128gcm16\",\n"
		    "\"aes256gcm16-noesn\" ]"),
		"moat.conf:4: tunnel \"a\": \"aes256gcm16-noesn\" says noesn, but esn "
		"is \"on\": remove one of them; esn = \"auto\" offers both");
	expect_mistake(ESN("esn = \"off\"; ah = \"sha256-esn\""),
		       "moat.conf:2: tunnel \"a\": \"sha256-esn\" says esn, but esn is "
		       "\"off\": remove one of them; esn = \"auto\" offers both");
	expect_mistake(ESN("esn = \"auto\"; esp = \"aes256gcm16-noesn\""), "");
	expect_mistake(ESN("esn = \"on\"; esp = \"aes256gcm16-esn\""), "");
	expect_mistake(ESN("esp = \"aes256gcm16-esn-noesn\""), "");
}

/* One ISAKMP SA for tunnels that want it otherwise: what counts is said. */
static void test_shared(void **state)
{
#define SAME "which has the same peer: "
	static const char *const warnings[] = {
		"moat.conf:3: tunnel \"b\": ike-lifetime is 7200 here, and 28800 in tunnel "
		"\"a\" (moat.conf:2), " SAME "the shorter one counts for both",
		"moat.conf:3: tunnel \"b\": dpd is 60 here, and 30 in tunnel \"a\" "
		"(moat.conf:2), " SAME "the shorter one that is not 0 counts for both",
		"moat.conf:3: tunnel \"b\": dpd-timeout is 200 here, and 120 in tunnel "
		"\"a\" (moat.conf:2), " SAME "the shorter one counts for both",
		"moat.conf:4: tunnel \"c\": nat-t is another one than that of tunnel \"a\" "
		"(moat.conf:2), " SAME "\"force\" counts before \"auto\", that before "
		"\"off\", for both",
		"moat.conf:4: tunnel \"c\": fragmentation is another one than that of "
		"tunnel \"a\" (moat.conf:2), " SAME "false counts for both",
		"moat.conf:5: tunnel \"d\": ike is another list than that of tunnel \"a\" "
		"(moat.conf:2), which has the same peer: an ISAKMP SA with algorithms that "
		"only one of them has does not serve the other",
	};

	(void)state;
	expect("tunnels = {\n" TUNNEL("a", "10.1.0.0/24", "10.2.0.0/24", "")
		       TUNNEL("b", "10.1.0.0/24", "10.3.0.0/24",
			      "ike-lifetime = 7200; dpd = 60; dpd-timeout = 200")
			       TUNNEL("c", "10.1.0.0/24", "10.4.0.0/24",
				      "nat-t = \"off\"; fragmentation = false")
				       TUNNEL("d", "10.1.0.0/24", "10.5.0.0/24",
					      "ike = [ \"aes256-sha512-ecp521\" ]") "}",
	       warnings, 6);
	/* Where the peers are two nothing is shared. */
	expect("tunnels = {\n" TUNNEL("a", "10.1.0.0/24", "10.2.0.0/24", "") TUNNEL(
		       "b", "10.1.0.0/24", "10.3.0.0/24",
		       "dpd = 60; remote-id = \"b.example\"") "c = { local = \"192.0.2.1\"; remote = \"192.0.2.3\"; local-net "
							      "= \"10.1.0.0/24\"; remote-net = \"10.4.0.0/24\"; dpd = 5 }\n"
							      "d = { local = \"192.0.2.1\"; remote = [ \"d.example\", \"e.example\" ]; local-net "
							      "= \"10.1.0.0/24\"; remote-net = \"10.5.0.0/24\"; dpd = 6; "
							      "remote-id = \"x.example\" }\n"
							      "e = { local = \"192.0.2.1\"; remote = [ \"d.example\", \"f.example\" ]; local-net "
							      "= \"10.1.0.0/24\"; remote-net = \"10.6.0.0/24\"; dpd = 7; "
							      "remote-id = \"x.example\" }\n}",
	       NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shadowed),	cmocka_unit_test(test_lan_inside),
		cmocka_unit_test(test_ports),		cmocka_unit_test(test_marks),
		cmocka_unit_test(test_bad_mark),	cmocka_unit_test(test_swapped),
		cmocka_unit_test(test_esn_contradicts), cmocka_unit_test(test_shared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
