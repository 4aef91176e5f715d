// SPDX-License-Identifier: GPL-2.0-or-later
/* remote = "any" in the configuration: what goes with it, and what does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "config_text.h"

#define CERTS                                                       \
	"cert = \"gw-a.pem\"\nkey = \"selftests/certs/gw-a.key\"\n" \
	"ca = \"ca.pem\"\n"
/* Lines 2 to 5, and five more; what is appended begins in line 6. */
#define ANY(name, more)                                        \
	name " = {\nlocal = \"192.0.2.1\"\nremote = \"any\"\n" \
	     "local-net = \"10.1.0.0/24\"\nremote-net = \"10.50.0.0/16\"\n" more "}\n"
/* All of them. */
#define TUNNELS(blocks) "tunnels = { " blocks " };\n"
#define GOOD		"auth = \"rsa-sig\"\n" CERTS

static void good(void **state)
{
	struct moat_config config = { 0 };
	struct moat_mistakes mistakes = { 0 };
	const struct moat_tunnel_conf *tunnel;

	(void)state;
	read_certified(
		&config, &mistakes,
		TUNNELS(ANY("road", GOOD "local-id = \"gw-a.example\"\nstart = \"none\"\n"
					 "peers = 7\n")
				ANY("staff", GOOD "remote-id = \"vpn@gw-b.example\"\n")));
	assert_int_equal(mistakes.n, 0);
	tunnel = config.tunnels[0];
	assert_true(tunnel->any);
	assert_int_equal(tunnel->n_remote, 0);
	assert_int_equal(tunnel->remote_id.type, 0);
	assert_int_equal(tunnel->start, MOAT_START_NONE);
	assert_int_equal(tunnel->peers, 7);
	/* Two templates may have the same networks; who gets what the peers decide. */
	tunnel = config.tunnels[1];
	assert_int_not_equal(tunnel->remote_id.type, 0);
	assert_int_equal(tunnel->start, MOAT_START_NONE);
	assert_int_equal(tunnel->peers, MOAT_PEERS_DEFAULT);
	moat_config_free(&config);
	moat_mistakes_free(&mistakes);
}

#define BESIDE_ANY "moat.conf:%s: tunnel \"t\": with remote = \"any\" %s"

static void wrong(const char *more, const char *line, const char *why)
{
	char mistake[512], text[2048];

	snprintf(mistake, sizeof(mistake), BESIDE_ANY, line, why);
	snprintf(text, sizeof(text), TUNNELS(ANY("t", "%s")), more);
	expect_certified(text, mistake, "none");
}

static void refused(void **state)
{
	(void)state;
	wrong("", "1",
	      "auth must be \"rsa-sig\": a pre-shared key of many peers proves nobody's "
	      "name, and encrypted nonces need the key of one peer");
	wrong("auth = \"rsa-enc\"\n"
	      "cert = \"enc-a.pem\"\nkey = \"enc-a.key\"\nremote-cert = \"enc-b.pem\"\n"
	      "local-id = \"gw-a.example\"\n",
	      "6",
	      "auth must be \"rsa-sig\": a pre-shared key of many peers proves nobody's "
	      "name, and encrypted nonces need the key of one peer");
	wrong(GOOD "exchange = \"aggressive\"\n", "10",
	      "exchange must be \"main\": in aggressive mode anybody's first message "
	      "would cost a signature");
	wrong(GOOD "start = \"up\"\n", "10",
	      "only the peers can begin: leave start out, or write \"none\"");
	wrong(GOOD "start = \"trap\"\n", "10",
	      "only the peers can begin: leave start out, or write \"none\"");
	wrong(GOOD "device = \"moat0\"\n", "10",
	      "there can be no device: routing could not tell its peers apart");
	expect_certified(
		TUNNELS("t = {\nlocal = \"192.0.2.1\"\nremote = \"any\"\nmode = \"transport\"\n"
			"local-net = \"192.0.2.1/32\"\nremote-net = \"0.0.0.0/0\"\n" GOOD
			"}"),
		"moat.conf:4: tunnel \"t\": with remote = \"any\" mode must be \"tunnel\": "
		"transport mode needs the peer's address",
		"none");
}

static void addresses(void **state)
{
	(void)state;
	expect_certified(
		TUNNELS("t = {\nlocal = \"any\"\nremote = \"any\"\nlocal-net = \"10.1.0.0/24\"\n"
			"remote-net = \"10.50.0.0/16\"\nlocal-id = \"gw-a.example\"\n" GOOD
			"}"),
		"moat.conf:2: tunnel \"t\": with remote = \"any\" local must be an "
		"address: \"any\" is the one that leads to the peer",
		"none");
	expect_certified(
		TUNNELS("t = {\nlocal = \"192.0.2.1\"\nremote = [ \"any\", \"192.0.2.9\" ]\n"
			"local-net = \"10.1.0.0/24\"\nremote-net = \"10.50.0.0/16\"\n" GOOD
			"}"),
		"moat.conf:3: tunnel \"t\": with remote = \"any\" no address or name can "
		"stand beside it: write a tunnel for each",
		"none");
	expect_certified(
		TUNNELS(ANY("a123456789012345678901234567890123456789012345678901",
			    GOOD)),
		"moat.conf:3: tunnel "
		"\"a123456789012345678901234567890123456789012345678901\": with remote = "
		"\"any\" the tunnel's name may have 51 characters: those of its peers' "
		"tunnels are longer",
		"none");
	expect_certified(
		TUNNELS("t = {\nlocal = \"192.0.2.1\"\nremote = \"192.0.2.2\"\npeers = 5\n"
			"local-net = \"10.1.0.0/24\"\nremote-net = \"10.50.0.0/16\"\n}"),
		"moat.conf:4: tunnel \"t\": peers belongs to remote = \"any\"", "none");
	expect_certified(
		TUNNELS("t = {\nremote = \"any\"\naction = \"bypass\"\n"
			"local-net = \"10.1.0.0/24\"\nremote-net = \"10.50.0.0/16\"\n}"),
		"moat.conf:2: tunnel \"t\": remote belongs to action = \"protect\" only",
		"none");
}

/* Of 0.0.0.0/0 a peer gets its own address, which leaves the gateway's hosts alone. */
static void everything(void **state)
{
	(void)state;
	expect_certified(
		TUNNELS("t = {\nlocal = \"192.0.2.1\"\nremote = \"any\"\n"
			"local-net = \"10.1.0.0/24\"\nremote-net = \"0.0.0.0/0\"\n" GOOD
			"}"),
		"none", "none");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good),
		cmocka_unit_test(refused),
		cmocka_unit_test(addresses),
		cmocka_unit_test(everything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
