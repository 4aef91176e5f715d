// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Peers from anywhere, and which of several tunnels an exchange that comes in is
 * for: by address, by identity, by proposals.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "ike/ike1.h"
#include "wild.h"

/* The gateway has so many peers with one pair of networks each, and all agree. */
static void assert_peers(struct hub *hub, unsigned int peers)
{
	assert_int_equal(hub_policies(hub, 0, MOAT_ACTION_PROTECT), peers);
	assert_int_equal(hub_sas(hub, 0, MOAT_DIRECTION_IN), peers);
	assert_int_equal(hub_sas(hub, 0, MOAT_DIRECTION_OUT), peers);
}

static struct hub *two_up(void)
{
	struct hub *hub = start(ROAM);

	peer(hub, 1, ONE, "gw-b.example", "\"10.50.1.0/24\"", NULL);
	peer(hub, 2, TWO, "vpn@gw-b.example", "\"10.50.2.0/24\"", NULL);
	assert_string_equal(hub_state(hub, 0, "roam"), "waiting");
	up(hub, 1);
	up(hub, 2);
	assert_peers(hub, 2);
	return hub;
}

static void two_peers(void **state)
{
	struct hub *hub = two_up();
	const struct moat_policy_params *policy;

	(void)state;
	assert_int_equal(hub_tunnels(hub, 0), 3);
	/* Before they had proved a name others' work went first: DH twice, VERIFY. */
	assert_int_equal(hub_unproven(hub, 0), 2 * 3);
	assert_int_equal(hub_unproven(hub, 1), 0);
	assert_string_equal(hub_state(hub, 0, "roam"), "up");
	assert_string_equal(hub_state(hub, 0, "roam:1"), "up");
	assert_string_equal(hub_state(hub, 0, "roam:2"), "up");
	assert_string_equal(hub_state(hub, 1, "hub"), "up");
	policy = hub_policy(hub, 0, MOAT_ACTION_PROTECT, "10.50.2.0/24");
	assert_non_null(policy);
	assert_int_equal(policy->priority, 1000);
	assert_true(policy->acquire_off);
	/* What nobody is there for is discarded, behind all that is configured. */
	policy = hub_policy(hub, 0, MOAT_ACTION_DISCARD, "10.50.0.0/16");
	assert_non_null(policy);
	assert_true(policy->priority > INT32_MAX);
	hub_control(hub, 1, MOAT_EV_DOWN, "hub");
	hub_run(hub, 1000);
	assert_peers(hub, 1);
	assert_int_equal(hub_tunnels(hub, 0), 2);
	assert_string_equal(hub_state(hub, 0, "roam:1"), "none");
	assert_non_null(hub_policy(hub, 0, MOAT_ACTION_PROTECT, "10.50.2.0/24"));
	assert_int_equal(hub_policies(hub, 0, MOAT_ACTION_DISCARD), 1);
	/* The number is free again. */
	up(hub, 1);
	assert_string_equal(hub_state(hub, 0, "roam:1"), "up");
	finish(hub);
}

/* Both sides rekey both phases, for hours. */
static void rekeys(void **state)
{
	struct hub *hub = two_up();

	(void)state;
	hub_run(hub, 40 * 3600 * 1000ull);
	assert_int_equal(hub_tunnels(hub, 0), 3);
	assert_int_equal(hub_policies(hub, 0, MOAT_ACTION_PROTECT), 2);
	assert_string_equal(hub_state(hub, 0, "roam:1"), "up");
	assert_string_equal(hub_state(hub, 0, "roam:2"), "up");
	finish(hub);
}

/* Who is not authenticated leaves nothing. */
static void strangers(void **state)
{
	struct hub *hub = start(ROAM);

	(void)state;
	peer(hub, 1, ONE, "gw-b.example", "\"10.50.1.0/24\"",
	     IKE "cert = \"stranger.pem\"\nca = \"ca.pem\"\n");
	up(hub, 1);
	assert_int_equal(hub_tunnels(hub, 0), 1);
	assert_int_equal(hub_policies(hub, 0, MOAT_ACTION_PROTECT), 0);
	assert_non_null(strstr(hub_log(hub, 0, "ike-auth-failed"), "no chain leads"));
	hub_run(hub, 60000);
	assert_int_equal(hub_isakmps(hub, 0), 0);
	finish(hub);
}

static void explained(struct hub *hub, const char *why)
{
	if (!strstr(hub_log(hub, 0, "quick-no-pair"), why))
		fail_msg("\"%s\" does not say \"%s\"", hub_log(hub, 0, "quick-no-pair"),
			 why);
}

static void refused(struct hub *hub, unsigned int node, const char *why)
{
	assert_string_not_equal(hub_state(hub, node, "hub"), "up");
	explained(hub, why);
}

/* A peer gets what lies within the networks, and what no one else has. */
static void networks(void **state)
{
	static const struct {
		const char *net, *why;
	} others[] = {
		{ "\"10.50.1.128/25\"",
		  "tunnel \"roam:1\" has traffic of this pair already" },
		{ "\"10.50.0.0/20\"", "has traffic of this pair already" },
		{ "\"10.51.0.0/24\"", "must lie within local-net and remote-net" },
		{ "\"10.50.7.7/32\"", "tunnel \"spared\" has traffic" },
		{ "\"10.50.8.0/24\"", "tunnel \"forbidden\" has traffic" },
	};
	struct hub *hub = start(
		ROAM "spared = { action = \"bypass\"\nlocal-net = \"10.1.0.0/24\"\n"
		     "remote-net = \"10.50.7.0/24\" }\n"
		     "forbidden = { action = \"discard\"\nlocal-net = \"10.1.0.0/24\"\n"
		     "remote-net = \"10.50.8.0/24\"\npriority = 1500 }\n"
		     "first = { action = \"bypass\"\nlocal-net = \"10.1.0.0/24\"\n"
		     "remote-net = \"10.50.9.0/24\"\npriority = 10 }\n");

	(void)state;
	peer(hub, 1, ONE, "gw-b.example", "\"10.50.1.0/24\", \"10.50.9.0/24\"", NULL);
	up(hub, 1);
	assert_peers(hub, 2);
	for (unsigned int i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		peer(hub, 2, TWO, "vpn@gw-b.example", others[i].net, NULL);
		up(hub, 2);
		refused(hub, 2, others[i].why);
	}
	hub_run(hub, 60000);
	assert_peers(hub, 2);
	finish(hub);
}

/* 0.0.0.0/0 is the peer's own address. */
static void own_address(void **state)
{
	struct hub *hub = start(TEMPLATE("roam", "\"0.0.0.0/0\"", IKE));

	(void)state;
	assert_int_equal(hub_policies(hub, 0, MOAT_ACTION_DISCARD), 0);
	peer(hub, 1, ONE, "gw-b.example", "\"" ONE "\"", NULL);
	up(hub, 1);
	assert_peers(hub, 1);
	peer(hub, 2, TWO, "vpn@gw-b.example", "\"" ONE "\"", NULL);
	up(hub, 2);
	refused(hub, 2, "must lie within");
	peer(hub, 2, TWO, "vpn@gw-b.example", "\"0.0.0.0/0\"", NULL);
	up(hub, 2);
	refused(hub, 2, "must lie within");
	assert_peers(hub, 1);
	finish(hub);
}

/* Peers whose own addresses are discarded unless a tunnel has them reach IKE. */
static void within(void **state)
{
	static const char text[] =
		"road = { remote = \"any\"\n" OURS AUTH ESP IKE
		"local-net = [ \"0.0.0.0/0\" ]\n"
		"remote-net = [ \"10.50.0.0/16\", \"198.51.100.0/24\" ] }\n";
	struct hub *hub = start(ROAM);
	const struct moat_policy_params *policy;

	(void)state;
	assert_int_equal(hub_policies(hub, 0, MOAT_ACTION_BYPASS), 0);
	hub_configure(hub, 0, HERE, text);
	assert_int_equal(hub_policies(hub, 0, MOAT_ACTION_DISCARD), 2);
	assert_int_equal(hub_policies(hub, 0, MOAT_ACTION_BYPASS), 4);
	policy = hub_policy(hub, 0, MOAT_ACTION_BYPASS, "198.51.100.0/24");
	assert_non_null(policy);
	assert_int_equal(policy->selector.protocol, 17);
	assert_int_equal(policy->priority, MOAT_PRIORITY_LAST);
	assert_true(moat_addr_equal(&policy->selector.local.first,
				    &policy->selector.local.last));
	peer(hub, 1, ONE, "gw-b.example", "\"" ONE "\"", NULL);
	up(hub, 1);
	assert_peers(hub, 1);
	hub_configure(hub, 0, HERE, "");
	hub_run(hub, 1000);
	assert_int_equal(hub_policies(hub, 0, MOAT_ACTION_BYPASS), 0);
	finish(hub);
}

static void one_nat(void **state)
{
	struct hub *hub = start(ROAM);

	(void)state;
	hub_nat(hub, 1, "203.0.113.1", 1);
	hub_nat(hub, 2, "203.0.113.1", 2);
	peer(hub, 1, "192.168.1.5", "gw-b.example", "\"10.50.1.0/24\"", NULL);
	peer(hub, 2, "192.168.1.6", "vpn@gw-b.example", "\"10.50.2.0/24\"", NULL);
	up(hub, 1);
	up(hub, 2);
	assert_peers(hub, 2);
	assert_string_equal(hub_state(hub, 0, "roam:1"), "up");
	assert_string_equal(hub_state(hub, 0, "roam:2"), "up");
	/* The end of one is not that of the other, of the same address. */
	hub_control(hub, 2, MOAT_EV_DOWN, "hub");
	hub_run(hub, 1000);
	assert_peers(hub, 1);
	assert_string_equal(hub_state(hub, 0, "roam:1"), "up");
	hub_run(hub, 3 * 3600 * 1000ull);
	assert_string_equal(hub_state(hub, 0, "roam:1"), "up");
	finish(hub);
}

/* A peer deletes its own ISAKMP SAs, and none of who is behind the same NAT. */
static void neighbours(void **state)
{
	struct hub *hub = start(ROAM);
	struct moat_cookies cky[2];

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		hub_nat(hub, 1 + i, "203.0.113.1", 1 + i);
		peer(hub, 1 + i, i ? "192.168.1.6" : "192.168.1.5",
		     i ? "vpn@gw-b.example" : "gw-b.example",
		     i ? "\"10.50.2.0/24\"" : "\"10.50.1.0/24\"", NULL);
		up(hub, 1 + i);
		cky[i] = TAILQ_FIRST(&hub_core(hub, 1 + i)->isakmps)->cky;
	}
	assert_int_equal(hub_isakmps(hub, 0), 2);
	hub_delete(hub, 1, &cky[1]);
	hub_run(hub, 1000);
	assert_int_equal(hub_isakmps(hub, 0), 2);
	hub_delete(hub, 1, &cky[0]);
	hub_run(hub, 1000);
	assert_int_equal(hub_isakmps(hub, 0), 1);
	finish(hub);
}

static void assert_at(struct hub *hub, const char *addr)
{
	const struct moat_policy_params *policy =
		hub_policy(hub, 0, MOAT_ACTION_PROTECT, "10.50.1.0/24");
	struct moat_addr at;

	assert_true(moat_addr_parse(addr, &at));
	assert_non_null(policy);
	assert_true(moat_addr_equal(&policy->remote, &at));
	assert_int_equal(hub_tunnels(hub, 0), 2);
	assert_int_equal(hub_isakmps(hub, 0), 1);
	assert_peers(hub, 1);
}

/* It goes elsewhere with its SAs, and begins again there without INITIAL-CONTACT. */
static void moved(void **state)
{
	struct hub *hub = start(ROAM);

	(void)state;
	peer(hub, 1, ONE, "gw-b.example", "\"10.50.1.0/24\"", NULL);
	up(hub, 1);
	assert_at(hub, ONE);
	peer(hub, 1, TWO, "gw-b.example", "\"10.50.1.0/24\"", NULL);
	hub_run(hub, 5000);
	/* The only time that it said so was the first. */
	assert_null(strstr(hub_log(hub, 0, "ike-initial-contact"), TWO));
	assert_non_null(strstr(hub_log(hub, 0, "wild-moved"), TWO));
	assert_at(hub, TWO);
	finish(hub);
}

/* It was restarted elsewhere; and there are two of one name, of whom the last counts. */
static void twice(void **state)
{
	struct hub *hub = start(ROAM);

	(void)state;
	peer(hub, 1, ONE, "gw-b.example", "\"10.50.1.0/24\"", NULL);
	up(hub, 1);
	hub_reboot(hub, 1);
	peer(hub, 1, TWO, "gw-b.example", "\"10.50.1.0/24\"", NULL);
	up(hub, 1);
	assert_at(hub, TWO);
	peer(hub, 2, ONE, "gw-b.example", "\"10.50.1.0/24\"", NULL);
	up(hub, 2);
	assert_at(hub, ONE);
	finish(hub);
}

/* The peer is gone without a word. */
static void silent(void **state)
{
	struct hub *hub = two_up();

	(void)state;
	hub_mute(hub, 1, true);
	hub_run(hub, 200000);
	assert_non_null(strstr(hub_log(hub, 0, "peer-dead"), "nothing was heard"));
	assert_peers(hub, 1);
	assert_int_equal(hub_tunnels(hub, 0), 2);
	assert_string_equal(hub_state(hub, 0, "roam:2"), "up");
	finish(hub);
}

static void operator_asks(void **state)
{
	struct hub *hub = two_up();

	(void)state;
	hub_control(hub, 0, MOAT_EV_DOWN, "roam:2");
	assert_true(hub_done(hub));
	hub_run(hub, 1000);
	assert_peers(hub, 1);
	assert_string_not_equal(hub_state(hub, 2, "hub"), "up");
	hub_control(hub, 0, MOAT_EV_DOWN, "roam");
	assert_true(hub_done(hub));
	hub_run(hub, 1000);
	assert_peers(hub, 0);
	assert_int_equal(hub_tunnels(hub, 0), 1);
	assert_string_equal(hub_state(hub, 0, "roam"), "down");
	/* Nothing leaves in clear because of it, and nobody is answered. */
	assert_int_equal(hub_policies(hub, 0, MOAT_ACTION_DISCARD), 1);
	up(hub, 1);
	assert_peers(hub, 0);
	assert_string_not_equal(hub_log(hub, 0, "ike-unknown-peer"), "");
	hub_control(hub, 0, MOAT_EV_UP, "roam");
	assert_true(hub_done(hub));
	hub_run(hub, 60000);
	up(hub, 1);
	assert_peers(hub, 1);
	hub_control(hub, 0, MOAT_EV_CLEAR, "roam");
	hub_run(hub, 1000);
	assert_peers(hub, 0);
	up(hub, 2);
	assert_peers(hub, 1);
	finish(hub);
}

static void reload(void **state)
{
	struct hub *hub = two_up();

	(void)state;
	hub_configure(hub, 0, HERE, ROAM);
	hub_run(hub, 1000);
	assert_peers(hub, 2);
	hub_configure(hub, 0, HERE, TEMPLATE("roam", "\"10.50.0.0/17\"", IKE));
	hub_run(hub, 1000);
	assert_peers(hub, 0);
	assert_int_equal(hub_tunnels(hub, 0), 1);
	assert_int_equal(hub_policies(hub, 0, MOAT_ACTION_DISCARD), 1);
	up(hub, 1);
	assert_peers(hub, 1);
	hub_configure(hub, 0, HERE, "");
	hub_run(hub, 1000);
	assert_int_equal(hub_tunnels(hub, 0), 0);
	assert_int_equal(hub_policies(hub, 0, MOAT_ACTION_DISCARD), 0);
	finish(hub);
}

static void limits(void **state)
{
	static const char nets[] =
		"\"10.50.0.0/30\", \"10.50.1.0/30\", \"10.50.2.0/30\", \"10.50.3.0/30\", "
		"\"10.50.4.0/30\", \"10.50.5.0/30\", \"10.50.6.0/30\", \"10.50.7.0/30\", "
		"\"10.50.8.0/30\", \"10.50.9.0/30\", \"10.50.10.0/30\", "
		"\"10.50.11.0/30\", \"10.50.12.0/30\", \"10.50.13.0/30\", "
		"\"10.50.14.0/30\", \"10.50.15.0/30\", \"10.50.16.0/30\"";
	struct hub *hub = start(TEMPLATE("roam", "\"10.50.0.0/16\"", IKE "peers = 1\n"));

	(void)state;
	peer(hub, 1, ONE, "gw-b.example", nets, NULL);
	up(hub, 1);
	hub_run(hub, 60000);
	assert_peers(hub, 16);
	explained(hub, "the peer has 16 pairs of networks already");
	peer(hub, 2, TWO, "vpn@gw-b.example", "\"10.50.200.0/24\"", NULL);
	up(hub, 2);
	assert_int_equal(hub_tunnels(hub, 0), 2);
	assert_non_null(strstr(hub_log(hub, 0, "ike-failed"), "as many peers as it may"));
	/* Who has a tunnel is let in all the same. */
	hub_control(hub, 1, MOAT_EV_REKEY, "hub");
	hub_run(hub, 20000);
	assert_string_equal(hub_state(hub, 0, "roam:1"), "up");
	finish(hub);
}

/* A peer that begins anew for each of its networks. */
static void restless(void **state)
{
	char text[6000], name[8], net[24];
	struct hub *hub = start(ROAM);
	struct moat_isakmp *sa;
	unsigned int most = 0;
	size_t used = 0;

	(void)state;
	for (unsigned int i = 0; i < 12; i++) {
		snprintf(name, sizeof(name), "h%u", i);
		snprintf(net, sizeof(net), "\"10.50.%u.0/24\"", i);
		used += block(text + used, sizeof(text) - used, name, ONE, "gw-b.example",
			      net, NULL);
	}
	hub_configure(hub, 1, ONE, text);
	for (unsigned int i = 0; i < 12; i++) {
		snprintf(name, sizeof(name), "h%u", i);
		hub_control(hub, 1, MOAT_EV_UP, name);
		hub_run(hub, 2000);
		assert_string_equal(hub_state(hub, 1, name), "up");
		TAILQ_FOREACH(sa, &hub_core(hub, 1)->isakmps, link)
			sa->outdated = true;
		if (hub_isakmps(hub, 0) > most)
			most = hub_isakmps(hub, 0);
	}
	assert_int_equal(most, 8);
	hub_run(hub, 120000);
	assert_peers(hub, 12);
	assert_string_equal(hub_state(hub, 0, "roam:1"), "up");
	finish(hub);
}

/* Many addresses, forged ones, that never go on: neither memory nor others suffer. */
static void flood(void **state)
{
	struct hub *hub = start(ROAM);
	struct moat_burden burden;
	char addr[32];

	(void)state;
	peer(hub, 1, ONE, "gw-b.example", "\"10.50.1.0/24\"", NULL);
	up(hub, 1);
	assert_peers(hub, 1);
	for (unsigned int i = 0; i < 200; i++) {
		snprintf(addr, sizeof(addr), "198.18.0.%u", i);
		hub_stranger(hub, addr, 1 + i);
	}
	moat_ike_burden(hub_core(hub, 0), &burden);
	assert_int_equal(burden.half_open, 64);
	for (unsigned int i = 0; i < 3000; i++) {
		snprintf(addr, sizeof(addr), "198.%u.%u.1", 18 + i / 250, i % 250);
		hub_stranger(hub, addr, 1000 + i);
	}
	moat_ike_burden(hub_core(hub, 0), &burden);
	assert_int_equal(burden.half_open, 1024);
	peer(hub, 2, TWO, "vpn@gw-b.example", "\"10.50.2.0/24\"", NULL);
	up(hub, 2);
	assert_peers(hub, 2);
	hub_run(hub, 60000);
	assert_int_equal(hub_isakmps(hub, 0), 2);
	finish(hub);
}

/* ---- several tunnels for one peer, several peers at one address ---- */

#define FOR(name, id, net)                                                           \
	name " = { remote = \"" ONE "\"\nremote-id = \"" id "\"\n" OURS AUTH ESP IKE \
	NETS(net) " }\n"

/* The tunnel of its address and name, the template of its name, the one for all. */
static void by_identity(void **state)
{
	static const char none[] =
		"no tunnel with this peer that is up has just this pair";
	static const struct {
		const char *id, *net, *tunnel, *why;
	} cases[] = {
		{ "gw-b.example", "\"10.2.0.0/24\"", "branch",
		  "tunnel \"other\" has just this pair, but its remote-id is another" },
		{ "192.0.2.2", "\"10.3.0.0/24\"", "other", none },
		{ "vpn@gw-b.example", "\"10.60.1.0/24\"", "admin:1", none },
		{ "dn:C=DE, O=Moat test, CN=gw-b", "\"10.50.1.0/24\"", "roam:1",
		  "tunnel \"branch\" has just this pair, but its remote-id is another" },
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct hub *hub = start(
			ROAM TEMPLATE("admin", "\"10.60.0.0/16\"",
				      IKE "remote-id = \"vpn@gw-b.example\"\n")
				FOR("branch", "gw-b.example", "\"10.2.0.0/24\"")
					FOR("other", "192.0.2.2", "\"10.3.0.0/24\""));

		peer(hub, 1, ONE, cases[i].id, cases[i].net, NULL);
		up(hub, 1);
		assert_string_equal(hub_state(hub, 1, "hub"), "up");
		assert_string_equal(hub_state(hub, 0, cases[i].tunnel), "up");
		assert_int_equal(hub_sas(hub, 0, MOAT_DIRECTION_OUT), 1);
		/* Not its tunnel, not its networks. */
		peer(hub, 1, ONE, cases[i].id, cases[(i + 1) % 4].net, NULL);
		up(hub, 1);
		refused(hub, 1, cases[i].why);
		finish(hub);
	}
}

/* The line to change: that of the networks in a tunnel's block; nobody's for NULL. */
static void assert_line(struct hub *hub, const char *text, const char *block)
{
	const char *at = block ? strstr(text, block) : NULL;
	const char *why = hub_log(hub, 0, "quick-no-pair");
	unsigned int line = 1;
	char place[32];

	if (!at) {
		assert_null(strstr(why, "moat.conf"));
		return;
	}
	/* Of the first difference. */
	at = strstr(at, strstr(why, "; remote-net: ") && !strstr(why, "; local-net: ")
				? "remote-net"
				: "local-net");
	assert_non_null(at);
	for (const char *c = text; c < at; c++)
		line += *c == '\n';
	snprintf(place, sizeof(place), "(moat.conf:%u);", line);
	explained(hub, place);
}

/* Of the tunnels with a peer the one to change is named, up or down, or all are. */
static void nearest(void **state)
{
	static const char gate[] = FOR("one", "gw-b.example", "\"10.2.0.0/24\"") FOR(
		"two", "gw-b.example",
		"\"10.3.0.0/24\"") "six = { remote = \"" ONE
				   "\"\nremote-id = \"gw-b.example\"\n" OURS AUTH ESP IKE
				   "local-net = \"fd00:1::/64\"\nremote-net = "
				   "\"fd00:2::/64\" }\n";
	static const struct {
		const char *local, *remote, *why, *block;
	} cases[] = {
		{ "10.3.0.128/25", "10.1.0.0/24", "we have 10.3.0.0/24", "two = {" },
		{ "10.2.0.0/24", "10.1.0.0/16",
		  "we have 10.1.0.0/24; the tunnel is down: moat up one;", "one = {" },
		{ "fd00:9::/64", "fd00:8::/64", "we have fd00:2::/64", "six = {" },
		{ "10.9.0.0/24", "10.1.0.0/24", "must have it: one (down), two, six;",
		  NULL },
		{ "10.2.0.0/24", "10.1.0.0/24", "the tunnel is down: moat up one (",
		  "one = {" },
	};
	struct hub *hub = start(gate);
	char text[1024];

	(void)state;
	hub_control(hub, 0, MOAT_EV_DOWN, "one");
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(text, sizeof(text),
			 "hub = { remote = \"" HERE "\"\nlocal = \"" ONE
			 "\"\nlocal-net = \"%s\"\nremote-net = \"%s\"\nauth = "
			 "\"rsa-sig\"\nkey = \"selftests/certs/gw-b.key\"\n" ESP IKE
			 "cert = \"gw-b.pem\"\nca = \"ca.pem\"\nlocal-id = "
			 "\"gw-b.example\"\nremote-id = \"gw-a.example\" }",
			 cases[i].local, cases[i].remote);
		hub_configure(hub, 1, ONE, text);
		up(hub, 1);
		refused(hub, 1, cases[i].why);
		assert_line(hub, gate, cases[i].block);
	}
	finish(hub);
}

static void by_proposal(void **state)
{
	struct hub *hub = start(TEMPLATE("new", "\"10.50.0.0/16\"", IKE) TEMPLATE(
		"old", "\"10.60.0.0/16\"", "ike = [ \"aes256-sha512-modp2048\" ]\n"));

	(void)state;
	peer(hub, 1, ONE, "gw-b.example", "\"10.60.1.0/24\"",
	     "ike = [ \"aes256-sha512-modp2048\" ]\ncert = \"gw-b.pem\"\n"
	     "ca = \"ca.pem\"\n");
	up(hub, 1);
	assert_string_equal(hub_state(hub, 0, "old:1"), "up");
	peer(hub, 2, TWO, "vpn@gw-b.example", "\"10.50.1.0/24\"", NULL);
	up(hub, 2);
	assert_string_equal(hub_state(hub, 0, "new:1"), "up");
	assert_peers(hub, 2);
	finish(hub);
}

/* Certificates tell peers apart; here each trusts another CA. */
static void by_its_own_ca(void **state)
{
	struct hub *hub = start(
		"guests = { remote = \"any\"\nauth = \"rsa-sig\"\nca = \"other-ca.pem\"\n"
		"remote-id = \"gw-b.example\"\n" OURS ESP IKE
			NETS("\"10.60.0.0/16\"") " }\n" TEMPLATE(
				"staff", "\"10.50.0.0/16\"",
				IKE "remote-id = \"vpn@gw-b.example\"\n"));

	(void)state;
	/* Of the other CA: it is a guest, and nobody else whatever it says. */
	peer(hub, 1, ONE, "vpn@gw-b.example", "\"10.50.1.0/24\"",
	     IKE "cert = \"stranger.pem\"\nca = \"ca.pem\"\n");
	up(hub, 1);
	assert_int_equal(hub_tunnels(hub, 0), 2);
	assert_non_null(strstr(hub_log(hub, 0, "ike-auth-failed"), "no chain leads"));
	peer(hub, 2, TWO, "gw-b.example", "\"10.60.1.0/24\"",
	     IKE "cert = \"stranger.pem\"\nca = \"ca.pem\"\n");
	up(hub, 2);
	assert_string_equal(hub_state(hub, 0, "guests:1"), "up");
	finish(hub);
}

/* A pre-shared key is chosen by the address, and proves no other name. */
static void not_with_a_secret(void **state)
{
#define SECRET(name, id, net)                                                     \
	name " = { remote = \"" ONE "\"\nremote-id = \"" id "\"\nlocal = \"" HERE \
	     "\"\nlocal-id = \"gw-a.example\"\n" ESP IKE                          \
	     NETS(net) " }\n"
	struct hub *hub = start(SECRET("one", "one.example", "\"10.2.0.0/24\"")
					SECRET("two", "two.example", "\"10.3.0.0/24\""));

	(void)state;
	hub_configure(hub, 1, ONE,
		      "hub = { local = \"" ONE "\"\nremote = \"" HERE "\"\n" IKE ESP
		      "local-id = \"two.example\"\nremote-id = \"gw-a.example\"\n"
		      "local-net = \"10.3.0.0/24\"\nremote-net = \"10.1.0.0/24\" }\n");
	up(hub, 1);
	assert_int_equal(hub_sas(hub, 0, MOAT_DIRECTION_IN), 0);
	assert_non_null(strstr(hub_log(hub, 0, "ike-auth-failed"),
			       "the peer calls itself ID_FQDN \"two.example\", remote-id "
			       "demands ID_FQDN \"one.example\""));
	finish(hub);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_peers),
		cmocka_unit_test(rekeys),
		cmocka_unit_test(strangers),
		cmocka_unit_test(networks),
		cmocka_unit_test(own_address),
		cmocka_unit_test(within),
		cmocka_unit_test(one_nat),
		cmocka_unit_test(neighbours),
		cmocka_unit_test(moved),
		cmocka_unit_test(twice),
		cmocka_unit_test(silent),
		cmocka_unit_test(operator_asks),
		cmocka_unit_test(reload),
		cmocka_unit_test(restless),
		cmocka_unit_test(limits),
		cmocka_unit_test(flood),
		cmocka_unit_test(by_identity),
		cmocka_unit_test(nearest),
		cmocka_unit_test(by_proposal),
		cmocka_unit_test(by_its_own_ca),
		cmocka_unit_test(not_with_a_secret),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
