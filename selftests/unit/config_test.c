// SPDX-License-Identifier: GPL-2.0-or-later
/* Configuration: what a good file becomes, and that each mistake has its place. */
#include "priv/config.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "config_text.h"
#include "wire/isakmp.h"

static void test_defaults(void **state)
{
	struct moat_config config = { 0 };
	struct moat_mistakes mistakes = { 0 };
	const struct moat_tunnel_conf *t;
	char text[2 * MOAT_ADDR_STRLEN];

	(void)state;
	read_text(&config, &mistakes, "moat.conf", WITH(""), strlen(WITH("")));
	moat_config_finish(&config, &mistakes);
	expect_none(&mistakes);
	assert_int_equal(config.n_tunnels, 1);
	t = config.tunnels[0];
	assert_string_equal(t->name, "branch");
	assert_string_equal(t->file, "moat.conf");
	assert_int_equal(t->line, 1);
	assert_string_equal(moat_addr_str(&t->local, text), "192.0.2.1");
	assert_int_equal(t->n_remote, 1);
	assert_int_equal(t->local_id.type, MOAT_ID_IPV4_ADDR);
	assert_int_equal(t->remote_id.len, 4);
	assert_int_equal(t->exchange, MOAT_EXCHANGE_MAIN);
	assert_int_equal(t->auth, MOAT_METHOD_PSK);
	assert_int_equal(t->mode, MOAT_MODE_TUNNEL);
	assert_int_equal(t->action, MOAT_ACTION_PROTECT);
	assert_int_equal(t->start, MOAT_START_TRAP);
	assert_int_equal(t->ike_lifetime, 28800);
	assert_int_equal(t->lifetime, 3600);
	assert_int_equal(t->lifebytes, 0);
	assert_int_equal(t->replay, 1024);
	assert_true(t->routes);
	assert_false(t->narrow);
	assert_true(t->fragmentation);
	assert_true(t->ike.count > 0);
	assert_true(t->esp.count > 0);
	assert_int_equal(t->n_pairs, 1);
	assert_int_equal(t->nat_t, MOAT_NAT_T_AUTO);
	assert_string_equal(moat_range_str(&t->pairs[0].selector.remote, text),
			    "10.2.0.0/24");
	assert_int_equal(t->pairs[0].selector.local_port[1], 65535);
	moat_config_free(&config);
}

static void test_all_keys(void **state)
{
	static const char text[] =
		"tunnels = { hq = {\n"
		"local = \"2001:db8::1\"; remote = ( \"2001:db8::2\", \"2001:db8::3\" );\n"
		"local-net = [ \"10.1.0.0/24\", \"fd00:1::/64\" ]\n"
		"remote-net = [ \"10.2.0.0/24\", \"10.3.0.0/16\", \"fd00:2::/64\" ]\n"
		"auth = \"psk\"; exchange = \"main\"; mode = \"tunnel\"; nat-t = \"force\"\n"
		"ike = [ \"aes256-sha384-ecp384\", \"aes128-sha1-modp2048\" ]\n"
		"esp = \"aes256gcm16-dh14\"\n"
		"start = \"up\"; local-id = \"a.example.org\"; remote-id = "
		"\"b@example.org\"\n"
		"ike-lifetime = 3600; lifetime = 600; lifebytes = \"100G\"; dpd = 0\n"
		"priority = 7; replay = 4096; esn = \"off\"; narrow = true\n"
		"fragmentation = false\n"
		"routes = false; secpath = false; weak = false\n"
		"} }\n";
	struct moat_config config = { 0 };
	struct moat_mistakes mistakes = { 0 };
	const struct moat_tunnel_conf *t;

	(void)state;
	read_text(&config, &mistakes, "moat.conf", text, strlen(text));
	moat_config_finish(&config, &mistakes);
	expect_none(&mistakes);
	t = config.tunnels[0];
	assert_int_equal(t->n_remote, 2);
	/* Two of IPv4, one of IPv6. */
	assert_int_equal(t->n_pairs, 3);
	assert_int_equal(t->ike.count, 2);
	assert_int_equal(t->ike.alg[0].group, MOAT_GROUP_ECP384);
	assert_int_equal(t->esp.alg[0].group, MOAT_GROUP_MODP2048);
	assert_int_equal(t->start, MOAT_START_UP);
	assert_int_equal(t->nat_t, MOAT_NAT_T_FORCE);
	assert_int_equal(t->local_id.type, MOAT_ID_FQDN);
	assert_memory_equal(t->local_id.data, "a.example.org", t->local_id.len);
	assert_int_equal(t->remote_id.type, MOAT_ID_USER_FQDN);
	assert_int_equal(t->lifebytes, 100ull << 30);
	assert_int_equal(t->priority, 7);
	assert_int_equal(t->replay, 4096);
	assert_true(t->narrow);
	assert_false(t->fragmentation);
	assert_false(t->routes);
	moat_config_free(&config);
}

static void test_bypass(void **state)
{
	static const char text[] =
		"tunnels = { lan = {\nlocal-net = \"10.1.0.0/24\"\n"
		"remote-net = \"10.1.9.0/24\"\naction = \"bypass\" } }";
	struct moat_config config = { 0 };
	struct moat_mistakes mistakes = { 0 };

	(void)state;
	read_text(&config, &mistakes, "moat.conf", text, strlen(text));
	expect_none(&mistakes);
	assert_int_equal(config.tunnels[0]->action, MOAT_ACTION_BYPASS);
	moat_config_free(&config);
}

#define NO_TUNNELS                                                                         \
	"holds no tunnels: expected tunnels = { NAME = { local = ... } }; if there shall " \
	"be none, write tunnels = { };"

static void test_unknown_keys(void **state)
{
	(void)state;
	EXPECT(WITH("lifetyme = 5"),
	       "moat.conf:6: unknown key \"lifetyme\" in a tunnel, did you mean "
	       "\"lifetime\"?");
	EXPECT(WITH("colour = 5"), "moat.conf:6: unknown key \"colour\" in a tunnel");
	/* Who comes from elsewhere hears what it is here. */
	EXPECT(WITH("leftsubnet = \"10.1.0.0/24\""),
	       "moat.conf:6: unknown key \"leftsubnet\" in a tunnel: write local-net");
	EXPECT(WITH("auto = \"start\""),
	       "moat.conf:6: unknown key \"auto\" in a tunnel: write start: \"trap\", "
	       "\"up\" or \"none\"");
	EXPECT(WITH("psk = \"secret\""),
	       "moat.conf:6: unknown key \"psk\" in a tunnel: write it in secrets.conf: "
	       "secrets = ( { remote = \"...\", psk = \"...\" } )");
	/* The word for none, and what an emptied file is not. */
	EXPECT("tunnels = { };", NULL);
	EXPECT("", "moat.conf: " NO_TUNNELS);
	EXPECT("# local = \"192.0.2.1\"\n", "moat.conf: " NO_TUNNELS);
	EXPECT("tunels = { }",
	       "moat.conf:1: unknown key \"tunels\" in a configuration file, did you mean "
	       "\"tunnels\"?");
	EXPECT("secrets = ( )",
	       "moat.conf:1: secrets belong into secrets.conf, which only root may read");
}

static void test_addresses(void **state)
{
	(void)state;
	EXPECT("tunnels = { t = {\nlocal = \"192.0.2\"\nremote = \"gw example\"\n"
	       "local-net = [ \"10.1.0.1/24\" ]\nremote-net = \"10.2.0.0/33\"\n} }",
	       "moat.conf:2: local: \"192.0.2\" is no address",
	       "moat.conf:3: remote: \"gw example\" is neither an address nor a DNS name, nor \"any\"",
	       "moat.conf:4: \"10.1.0.1/24\": bits behind the prefix are set; they must be "
	       "zero",
	       "moat.conf:5: \"10.2.0.0/33\": the prefix length must be 0 to 32");
	EXPECT("tunnels = { t = {\nlocal = \"192.0.2.1\"\nremote = \"2001:db8::1\"\n"
	       "local-net = \"10.1.0.0/24\"\nremote-net = \"fd00::/64\" } }",
	       "moat.conf:1: tunnel \"t\": local and remote are not both IPv4 or both "
	       "IPv6",
	       "moat.conf:1: tunnel \"t\": local-net and remote-net have no family in "
	       "common");
	EXPECT("tunnels = { t = {\nlocal = \"192.0.2.1\"\nremote = \"192.0.2.1\"\n"
	       "local-net = [ \"10.1.0.0/24\", \"10.1.0.0/24\" ]\n"
	       "remote-net = \"10.2.0.0/24\" } }",
	       "moat.conf:4: \"10.1.0.0/24\" stands here twice",
	       "moat.conf:1: tunnel \"t\": local and remote are the same address");
}

/* Addresses that parse, and that no gateway can have. */
static void test_unusable(void **state)
{
	static const struct {
		const char *text, *is;
	} cases[] = {
		{ "0.0.0.0", "the unspecified address" },
		{ "::", "the unspecified address" },
		{ "127.0.0.1", "a loopback address" },
		{ "::1", "a loopback address" },
		{ "224.0.0.1", "a multicast address" },
		{ "ff02::1", "a multicast address" },
		{ "255.255.255.255", "the broadcast address" },
		{ "250.0.0.1", "a reserved address" },
		{ "0.0.0.1", "a reserved address" },
		{ "fe80::2",
		  "a link-local address, which means nothing without its link" },
		{ "::ffff:192.0.2.2", "an IPv4 address in IPv6's clothes" },
	};
	static const char *const keys[] = { "local", "remote" };

	(void)state;
	for (unsigned int i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
		bool v6 = strchr(cases[i / 2].text, ':');
		char text[512], expected[256];

		snprintf(text, sizeof(text),
			 "tunnels = { t = {\n%s = \"%s\"\n%s = \"%s\"\n"
			 "local-net = \"10.1.0.0/24\"\nremote-net = \"10.2.0.0/24\" } }",
			 keys[i % 2], cases[i / 2].text, keys[!(i % 2)],
			 v6 ? "2001:db8::1" : "192.0.2.1");
		snprintf(expected, sizeof(expected),
			 "moat.conf:2: %s: \"%s\" is %s: write the gateway's own address",
			 keys[i % 2], cases[i / 2].text, cases[i / 2].is);
		EXPECT(text, expected);
	}
	EXPECT("tunnels = { t = {\nlocal = \"192.0.2.1\"\n"
	       "remote = [ \"192.0.2.2\", \"192.0.2.2\" ]\n"
	       "local-net = \"10.1.0.0/24\"\nremote-net = \"10.2.0.0/24\" } }",
	       "moat.conf:3: remote: \"192.0.2.2\" stands here twice");
}

#define ROUTE(local_net, remote_net, more)                                  \
	"tunnels = { t = { local = \"192.0.2.1\"; remote = \"192.0.2.2\"\n" \
	"local-net = \"" local_net "\"\nremote-net = \"" remote_net "\"\n" more "} }"

/* Networks that no tunnel carries; a bypass of them may be wanted. */
static void test_unreachable(void **state)
{
	(void)state;
	EXPECT(ROUTE("10.1.0.0/24", "127.0.0.0/8", ""),
	       "moat.conf:3: remote-net: \"127.0.0.0/8\" are loopback addresses, which "
	       "never leave a host: write the network behind the gateway");
	EXPECT(ROUTE("224.0.0.0/4", "10.2.0.0/24", ""),
	       "moat.conf:2: local-net: \"224.0.0.0/4\" are multicast addresses, which no "
	       "quick mode names: write the network behind the gateway");
	EXPECT(ROUTE("fd00:1::/64", "ff02::/16", ""),
	       "moat.conf:3: remote-net: \"ff02::/16\" are multicast addresses, which no "
	       "quick mode names: write the network behind the gateway");
	EXPECT(ROUTE("10.1.0.0/24", "0.0.0.0/0", ""), NULL);
	EXPECT("tunnels = { t = { local-net = \"0.0.0.0/0\"; action = \"bypass\"\n"
	       "remote-net = \"224.0.0.0/4\" } }",
	       NULL);
}

/* One mistake is told once, however long the list. */
static void test_told_once(void **state)
{
	char text[8192], *at = text;

	(void)state;
	EXPECT(WITH("ike = [ ]"), "moat.conf:6: ike is empty");
	EXPECT(WITH("esp = [ 1 ]"),
	       "moat.conf:6: esp is a number, a string was expected");
	at = stpcpy(at, "tunnels = { t = {\n" ENOUGH "esp = [");
	for (unsigned int i = 0; i < 300; i++)
		at = stpcpy(at, i ? ", \"aes128gcm16\"" : "\"aes128gcm16\"");
	strcpy(at, "] } }");
	EXPECT(text,
	       "moat.conf:6: esp: \"aes128gcm16\": more than 32 combinations in one "
	       "list");
	at = stpcpy(text, "tunnels = { t = { local = \"192.0.2.1\"; remote = "
			  "\"192.0.2.2\"\nremote-net = \"10.0.0.0/8\"\nlocal-net = [");
	for (unsigned int i = 0; i < 300; i++)
		at += sprintf(at, "%s\"10.%u.%u.0/24\"", i ? ", " : "", i / 200, i % 200);
	strcpy(at, "] } }");
	EXPECT(text, "moat.conf:3: more than 256 networks");
	at = stpcpy(text, "tunnels = { t = { local = \"192.0.2.1\"; remote-net = "
			  "\"10.2.0.0/16\"\nlocal-net = \"10.1.0.0/16\"\nremote = [");
	for (unsigned int i = 0; i < 30; i++)
		at += sprintf(at, "%s\"198.51.100.%u\"", i ? ", " : "", i);
	strcpy(at, "] } }");
	EXPECT(text, "moat.conf:3: remote: more than 16 addresses");
}

static void test_types_and_ranges(void **state)
{
	(void)state;
	EXPECT(WITH("lifetime = \"1h\""),
	       "moat.conf:6: lifetime is a string, a number was expected");
	EXPECT(WITH("lifetime = 9"),
	       "moat.conf:6: lifetime is 9, it may be 10 to 2592000");
	EXPECT(WITH("lifetime = -1"),
	       "moat.conf:6: lifetime is -1, it may be 10 to 2592000");
	EXPECT(WITH("lifetime = 4294967356"),
	       "moat.conf:6: the number 4294967356 does not fit into 32 bits");
	EXPECT(WITH("lifetime = 04294967396"),
	       "moat.conf:6: the number 04294967396 does not fit into 32 bits");
	EXPECT(WITH("lifetime = 0x100000064"),
	       "moat.conf:6: the number 0x100000064 does not fit into 32 bits");
	EXPECT(WITH("replay = 16"), "moat.conf:6: replay is 16, it may be 32 to 65536");
	EXPECT(WITH("routes = \"yes\""),
	       "moat.conf:6: routes is a string, true or false was expected");
	EXPECT(WITH("local-id = 5"),
	       "moat.conf:6: local-id is a number, a string was expected");
	EXPECT(WITH("lifebytes = \"1023K\""),
	       "moat.conf:6: lifebytes is \"1023K\", at least \"1M\" was expected: SAs "
	       "would be replaced all the time");
	EXPECT(WITH("lifebytes = \"1024K\""), NULL);
	EXPECT(WITH("lifebytes = \"100X\""),
	       "moat.conf:6: lifebytes is \"100X\", a number with K, M, G or T was "
	       "expected (\"100G\")");
	EXPECT(WITH("nat-t = \"on\""),
	       "moat.conf:6: nat-t is \"on\", expected: off | auto | force");
	EXPECT(WITH("start = \"later\""),
	       "moat.conf:6: start is \"later\", expected: trap | up | none");
	EXPECT("tunnels = 5",
	       "moat.conf:1: tunnels is no group: expected tunnels = { NAME = { local = "
	       "... } }");
	EXPECT("tunnels = { a = 1 }",
	       "moat.conf:1: tunnel \"a\" is no group: expected a = { local = ... }");
	EXPECT(WITH("local-id = \"a b\""),
	       "moat.conf:6: local-id: \"a b\" is no identity: expected an address, FQDN, "
	       "user@FQDN, dn:... or keyid:...");
}

static void test_traffic(void **state)
{
	struct moat_config config = { 0 };
	struct moat_mistakes mistakes = { 0 };
	const struct moat_selector *s;
	const char *text = WITH("protocol = \"tcp\"\n"
				"ports = { local = \"443\", remote = \"1024-65535\" }");

	(void)state;
	read_text(&config, &mistakes, "moat.conf", text, strlen(text));
	expect_none(&mistakes);
	s = &config.tunnels[0]->pairs[0].selector;
	assert_int_equal(s->protocol, 6);
	assert_int_equal(s->local_port[0], 443);
	assert_int_equal(s->local_port[1], 443);
	assert_int_equal(s->remote_port[0], 1024);
	assert_int_equal(s->remote_port[1], 65535);
	moat_config_free(&config);
	EXPECT(WITH("protocol = \"tpc\""),
	       "moat.conf:6: protocol: \"tpc\" has no name here: write its number, or did "
	       "you mean \"tcp\"?");
	EXPECT(WITH("protocol = 256"),
	       "moat.conf:6: protocol is 256, it may be 0 to 255");
	EXPECT(WITH("ports = { local = \"443\" }"),
	       "moat.conf:6: tunnel \"branch\": ports need a protocol that has some: write "
	       "protocol = \"tcp\" or the like beside them");
	EXPECT(WITH("protocol = \"udp\"\nports = { local = \"9-8\" }"),
	       "moat.conf:7: ports: local is \"9-8\", a port or a range was expected "
	       "(\"443\", \"1024-65535\"); for any port leave it out");
	EXPECT(WITH("protocol = \"udp\"\nports = { remote = \"0\" }"),
	       "moat.conf:7: ports: remote is \"0\", a port or a range was expected "
	       "(\"443\", \"1024-65535\"); for any port leave it out");
	EXPECT(WITH("protocol = \"udp\"\nports = { here = \"9\" }"),
	       "moat.conf:7: unknown key \"here\" in ports");
	EXPECT(WITH("mode = \"transport\""),
	       "moat.conf:1: tunnel \"branch\": mode = \"transport\" protects the gateways "
	       "themselves: local-net must be local",
	       "moat.conf:1: tunnel \"branch\": mode = \"transport\" protects the gateways "
	       "themselves: remote-net must be remote");
	EXPECT("tunnels = { t = {\nlocal = \"192.0.2.1\"\nremote = \"192.0.2.2\"\n"
	       "local-net = \"10.1.0.0/24\"\nremote-net = \"10.1.0.0/24\" } }",
	       "moat.conf:1: tunnel \"t\": 10.1.0.0/24 is both local-net and remote-net: no "
	       "packet can be told to go there");
}

/* A file's only warning, or NULL. */
static void expect_warning(const char *text, const char *warning)
{
	struct moat_config config = { 0 };
	struct moat_mistakes mistakes = { 0 };

	read_text(&config, &mistakes, "moat.conf", text, strlen(text));
	assert_int_equal(mistakes.n, 0);
	assert_int_equal(mistakes.n_warnings, warning ? 1 : 0);
	if (warning)
		assert_string_equal(mistakes.warnings[0], warning);
	moat_config_free(&config);
	moat_mistakes_free(&mistakes);
}

static void test_weak(void **state)
{
	(void)state;
	EXPECT(WITH("exchange = \"aggressive\""),
	       "moat.conf:6: tunnel \"branch\": aggressive mode lets who overhears it guess "
	       "the pre-shared key: use main mode, or write weak = true to take it "
	       "nevertheless");
	expect_warning(
		WITH("weak = true\nexchange = \"aggressive\""),
		"moat.conf:7: tunnel \"branch\": aggressive mode lets who overhears "
		"it guess the pre-shared key, and is used because of weak = true");
	EXPECT(WITH("ah = \"md5\""),
	       "moat.conf:6: tunnel \"branch\": weak in \"md5\": md5; choose others, or "
	       "write weak = true to take it nevertheless");
	expect_warning(
		WITH("ike = [ \"aes128-sha256-modp2048\",\n"
		     "\"3des-sha1-modp2048\" ]\nweak = true"),
		"moat.conf:7: tunnel \"branch\": weak in \"3des-sha1-modp2048\": 3des; "
		"taken because of weak = true");
	expect_warning(WITH("weak = true"), NULL);
}

static void test_ah(void **state)
{
	struct moat_config config = { 0 };
	struct moat_mistakes mistakes = { 0 };
	const struct moat_tunnel_conf *t;
	const char *ah = WITH("ah = \"sha256\"; esn = \"auto\"");
	const char *both =
		WITH("ah = \"sha1-modp2048\"\nesp = \"aes128-sha256-modp2048\"");

	(void)state;
	read_text(&config, &mistakes, "moat.conf", ah, strlen(ah));
	expect_none(&mistakes);
	t = config.tunnels[0];
	assert_int_equal(t->esp.count, 0);
	assert_int_equal(t->ah.count, 2);
	assert_true(t->ah.alg[0].esn);
	assert_false(t->ah.alg[1].esn);
	moat_config_free(&config);
	read_text(&config, &mistakes, "moat.conf", both, strlen(both));
	expect_none(&mistakes);
	t = config.tunnels[0];
	assert_int_equal(t->esp.count, 1);
	assert_int_equal(t->ah.count, 1);
	moat_config_free(&config);
	EXPECT(WITH("ah = \"sha1\"\nesp = \"aes128-sha256-modp2048\""),
	       "moat.conf:1: tunnel \"branch\": esp and ah together has entries with and "
	       "without a group: PFS is either wanted or not");
	EXPECT(WITH("ah = \"aescmac\""),
	       "moat.conf:6: ah: \"aescmac\" has no number in IKEv1 and serves manual SAs "
	       "only");
	EXPECT(WITH("esp = [ \"aes128gcm16\", \"chacha20poly1305\" ]"),
	       "moat.conf:6: esp: \"chacha20poly1305\" has no number in IKEv1 and serves "
	       "manual SAs only");
	EXPECT(WITH("esp = \"aes256-aescmac-modp2048\""),
	       "moat.conf:6: esp: \"aes256-aescmac-modp2048\" has no number in IKEv1 and "
	       "serves manual SAs only");
}

static void test_dpd(void **state)
{
	(void)state;
	EXPECT(WITH("dpd = 30; dpd-timeout = 30"),
	       "moat.conf:1: tunnel \"branch\": dpd-timeout (30 s) must be longer than dpd "
	       "(30 s), or the peer has no time to answer");
}

static void test_algorithms(void **state)
{
	struct moat_config config = { 0 };
	struct moat_mistakes mistakes = { 0 };
	const char *weak = WITH("weak = true\nike = \"3des-md5-modp1024\"");

	(void)state;
	EXPECT(WITH("ike = \"3des-md5-modp1024\""),
	       "moat.conf:6: tunnel \"branch\": weak in \"3des-md5-modp1024\": 3des, md5, "
	       "modp1024; choose others, or write weak = true to take it nevertheless");
	EXPECT(WITH("esp = [ \"aes128gcm16-modp2048\", \"aes128gcm16\" ]"),
	       "moat.conf:1: tunnel \"branch\": esp has entries with and without a group: "
	       "PFS is either wanted or not");
	read_text(&config, &mistakes, "moat.conf", weak, strlen(weak));
	expect_none(&mistakes);
	moat_config_free(&config);
	read_text(&config, &mistakes, "moat.conf", WITH("ike = \"aes256-nonsense\""),
		  strlen(WITH("ike = \"aes256-nonsense\"")));
	assert_int_equal(mistakes.n, 1);
	assert_non_null(strstr(mistakes.list[0], "moat.conf:6: ike: "));
	assert_non_null(strstr(mistakes.list[0], "nonsense"));
	moat_config_free(&config);
	moat_mistakes_free(&mistakes);
}

static void test_missing(void **state)
{
	(void)state;
	EXPECT("tunnels = {\n\n t = { } }", "moat.conf:3: tunnel \"t\": local is missing",
	       "moat.conf:3: tunnel \"t\": remote is missing",
	       "moat.conf:3: tunnel \"t\": local-net is missing",
	       "moat.conf:3: tunnel \"t\": remote-net is missing");
	EXPECT(WITH("action = \"bypass\"\nauth = \"rsa-sig\"; start = \"up\""),
	       "moat.conf:2: tunnel \"branch\": local belongs to action = \"protect\" "
	       "only",
	       "moat.conf:3: tunnel \"branch\": remote belongs to action = \"protect\" "
	       "only",
	       "moat.conf:7: tunnel \"branch\": auth belongs to action = \"protect\" only",
	       "moat.conf:7: tunnel \"branch\": start belongs to action = \"protect\" "
	       "only");
}

/* A syntax error ends its file, whatever else is wrong in it. */
static void test_syntax(void **state)
{
	(void)state;
	EXPECT(WITH("lifetime = "), "moat.conf:7: syntax error; settings are written "
				    "name = value, text stands in double quotes");
	EXPECT("tunnels = { 2nd = { } }", "moat.conf:1: syntax error; settings are "
					  "written name = value, text stands in double "
					  "quotes");
	EXPECT("tunnels = {\n2nd = { } }",
	       "moat.conf:2: syntax error; names begin with a letter");
	EXPECT("tunnels = {\na.b = { } }",
	       "moat.conf:2: syntax error; names hold no dot");
	EXPECT("a = [ 1,\n2, ]",
	       "moat.conf:2: syntax error; no comma may stand behind the last value of a "
	       "list");
	/* What a value holds makes no line of its own. */
	EXPECT(WITH("start = \"up\\nmoat.conf:9: all is well\""),
	       "moat.conf:6: start is \"up?moat.conf:9: all is well\", expected: trap | up "
	       "| none");
	EXPECT("@include \"other.conf\"",
	       "moat.conf:1: @include is not taken: put the file into conf.d");
	EXPECT(WITH("lifetime = 60\nlifetime = 70"),
	       "moat.conf:7: \"lifetime\" stands in line 6 already: a tunnel, and each "
	       "setting of it, may stand there once");
	EXPECT("tunnels = {\nbranch = {\nlifetime = 60 };\n  branch : {\nlifetime = 60 } }",
	       "moat.conf:4: \"branch\" stands in line 2 already: a tunnel, and each "
	       "setting of it, may stand there once");
	EXPECT("tunnels = { a = { }; a = { } }",
	       "moat.conf:1: a name stands twice in this group: a tunnel, and each "
	       "setting of it, may stand there once");
}

/* libconfig's stack ends at some thousands, where it says "memory exhausted". */
static void test_nested(void **state)
{
	static char text[20100] = "tunnels = {\nx = ";
	size_t start = strlen(text);

	(void)state;
	memset(text + start, '(', 20000);
	EXPECT(text, "moat.conf:2: nested too deeply: this is the 17th bracket within "
		     "others; expected tunnels = { NAME = { local-net = [ ... ] } }");
	/* In a text they are none, and those that were closed do not count. */
	EXPECT(WITH("local-id = \"((((((((((((((((((((((((((\"\n") WITH(""),
	       "moat.conf:9: \"tunnels\" stands in line 1 already: a tunnel, and each "
	       "setting of it, may stand there once");
}

static void test_names(void **state)
{
	(void)state;
	EXPECT("tunnels = {\n* = {\n" ENOUGH "} }",
	       "moat.conf:2: tunnel \"*\": the name of a tunnel consists of letters, "
	       "digits, - and _");
}

static void test_no_text(void **state)
{
	struct moat_config config = { 0 };
	struct moat_mistakes mistakes = { 0 };

	(void)state;
	read_text(&config, &mistakes, "moat.conf", "tunnels\0= { }", 13);
	assert_int_equal(mistakes.n, 1);
	assert_string_equal(mistakes.list[0],
			    "moat.conf: holds a zero octet: this is no text file");
	moat_config_free(&config);
	moat_mistakes_free(&mistakes);
}

/* Mistakes of all files at once, and what two files must not share. */
static void test_several_files(void **state)
{
	static const char other[] =
		"tunnels = {\nsouth = {\nlocal = \"192.0.2.1\"\nremote = \"192.0.2.9\"\n"
		"local-net = \"10.1.0.0/24\"\nremote-net = \"10.2.0.0/24\" }\n"
		"branch = {\nlocal = \"192.0.2.1\"\nremote = \"192.0.2.7\"\n"
		"local-net = \"10.1.0.0/24\"\nremote-net = \"10.7.0.0/24\"\nlifetime = 1 "
		"} }";
	struct moat_config config = { 0 };
	struct moat_mistakes mistakes = { 0 };

	(void)state;
	read_text(&config, &mistakes, "moat.conf", WITH("mtu = 5"),
		  strlen(WITH("mtu = 5")));
	read_text(&config, &mistakes, "broken.conf", "{", 1);
	read_text(&config, &mistakes, "conf.d/x.conf", other, strlen(other));
	moat_config_finish(&config, &mistakes);
	assert_int_equal(mistakes.n, 5);
	assert_non_null(strstr(mistakes.list[0], "moat.conf:6: mtu is 5, it may be"));
	assert_non_null(strstr(mistakes.list[1], "broken.conf:1: syntax error"));
	assert_string_equal(mistakes.list[2],
			    "conf.d/x.conf:12: lifetime is 1, it may be 10 to 2592000");
	assert_string_equal(mistakes.list[3],
			    "conf.d/x.conf:7: tunnel \"branch\" stands at moat.conf:1 "
			    "already");
	assert_string_equal(
		mistakes.list[4],
		"conf.d/x.conf:2: tunnel \"south\": 10.1.0.0/24 to "
		"10.2.0.0/24 is the traffic of tunnel \"branch\" (moat.conf:1) "
		"already, with the same priority");
	moat_config_free(&config);
	moat_mistakes_free(&mistakes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_all_keys),
		cmocka_unit_test(test_bypass),
		cmocka_unit_test(test_unknown_keys),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_unusable),
		cmocka_unit_test(test_unreachable),
		cmocka_unit_test(test_told_once),
		cmocka_unit_test(test_types_and_ranges),
		cmocka_unit_test(test_traffic),
		cmocka_unit_test(test_weak),
		cmocka_unit_test(test_ah),
		cmocka_unit_test(test_dpd),
		cmocka_unit_test(test_algorithms),
		cmocka_unit_test(test_missing),
		cmocka_unit_test(test_syntax),
		cmocka_unit_test(test_nested),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_no_text),
		cmocka_unit_test(test_several_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
