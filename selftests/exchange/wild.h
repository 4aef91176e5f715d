/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A gateway whose peers have certificates, and those peers, as configurations. */
#ifndef MOAT_EXCHANGE_WILD_H
#define MOAT_EXCHANGE_WILD_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>

#include "hub.h"

#define HERE "192.0.2.1"
#define ONE  "198.51.100.7"
#define TWO  "203.0.113.9"

#define IKE  "ike = [ \"aes128-sha256-ecp256\" ]\n"
#define ESP  "esp = [ \"aes128gcm16\" ]\n"
#define AUTH "auth = \"rsa-sig\"\nca = \"ca.pem\"\n"
#define OURS                                                        \
	"cert = \"gw-a.pem\"\nkey = \"selftests/certs/gw-a.key\"\n" \
	"local-id = \"gw-a.example\"\nlocal = \"" HERE "\"\n"
#define NETS(remote) "local-net = \"10.1.0.0/24\"\nremote-net = [ " remote " ]\n"
#define TEMPLATE(name, remote, more) \
	name " = { remote = \"any\"\n" OURS AUTH ESP NETS(remote) more " }\n"
#define ROAM TEMPLATE("roam", "\"10.50.0.0/16\"", IKE)

/* A peer's tunnel: its address, its name, its networks, and what else it says. */
static inline size_t block(char *text, size_t size, const char *name, const char *addr,
			   const char *id, const char *nets, const char *more)
{
	int used =
		snprintf(text, size,
			 "%s = { remote = \"" HERE "\"\nlocal = \"%s\"\nlocal-net = [ "
			 "%s ]\nremote-net = \"10.1.0.0/24\"\nauth = \"rsa-sig\"\nkey = "
			 "\"selftests/certs/gw-b.key\"\nlocal-id = \"%s\"\n" ESP
			 "remote-id = \"gw-a.example\"\n%s }\n",
			 name, addr, nets, id,
			 more ? more : IKE "cert = \"gw-b.pem\"\nca = \"ca.pem\"\n");

	assert_true(used > 0 && (size_t)used < size);
	return (size_t)used;
}

static inline void peer(struct hub *hub, unsigned int node, const char *addr,
			const char *id, const char *nets, const char *more)
{
	char text[2048];

	block(text, sizeof(text), "hub", addr, id, nets, more);
	hub_configure(hub, node, addr, text);
}

static inline void up(struct hub *hub, unsigned int node)
{
	hub_control(hub, node, MOAT_EV_UP, "hub");
	hub_run(hub, 5000);
}

static inline struct hub *start(const char *tunnels)
{
	struct hub *hub = hub_new();

	hub_configure(hub, 0, HERE, tunnels);
	return hub;
}

static inline void finish(struct hub *hub)
{
	assert_string_equal(hub_wrong(hub) ? hub_wrong(hub) : "nothing", "nothing");
	hub_free(hub);
}

#endif
