// SPDX-License-Identifier: GPL-2.0-or-later
/* Which traffic between its networks a tunnel is for: mode, protocol, ports. */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "priv/config_draft.h"

static const struct {
	const char *name;
	uint8_t number;
	bool ports;
} protocols[] = {
	{ "tcp", IPPROTO_TCP, true },	 { "udp", IPPROTO_UDP, true },
	{ "sctp", IPPROTO_SCTP, true },	 { "udplite", IPPROTO_UDPLITE, true },
	{ "icmp", IPPROTO_ICMP, false }, { "icmpv6", IPPROTO_ICMPV6, false },
	{ "gre", IPPROTO_GRE, false },	 { "ipip", IPPROTO_IPIP, false },
};

#define PROTOCOLS (sizeof(protocols) / sizeof(protocols[0]))

void moat_read_protocol(struct draft *draft, config_setting_t *setting)
{
	const char *names[PROTOCOLS], *text = "", *close;
	uint64_t number;

	if (config_setting_type(setting) == CONFIG_TYPE_INT) {
		if (moat_value_number(draft->reader, setting, 0, 255, &number))
			draft->protocol = (uint8_t)number;
		return;
	}
	if (!moat_value_string(draft->reader, setting, &text))
		return;
	for (size_t i = 0; i < PROTOCOLS; i++) {
		names[i] = protocols[i].name;
		if (strcmp(text, protocols[i].name))
			continue;
		draft->protocol = protocols[i].number;
		return;
	}
	close = moat_did_you_mean(text, names, PROTOCOLS);
	moat_reader_wrong(draft->reader, setting,
			  "protocol: \"%s\" has no name here: write its number%s%s%s",
			  text, close ? ", or did you mean \"" : "", close ? close : "",
			  close ? "\"?" : "");
}

/* "443" or "1024-65535" */
static bool read_range(const char *text, uint16_t port[2])
{
	unsigned long low, high;
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return false;
	low = high = strtoul(text, &end, 10);
	if (*end == '-' && end[1] >= '0' && end[1] <= '9')
		high = strtoul(end + 1, &end, 10);
	/* 0 alone would be that port here, but any to the peer (RFC 2407 4.6.2). */
	if (*end || low > high || high > UINT16_MAX || !high)
		return false;
	port[0] = (uint16_t)low;
	port[1] = (uint16_t)high;
	return true;
}

void moat_read_ports(struct draft *draft, config_setting_t *setting)
{
	static const char *const known[] = { "local", "remote" };

	if (!config_setting_is_group(setting)) {
		moat_reader_wrong(
			draft->reader, setting,
			"ports is no group: expected ports = { remote = \"443\" }");
		return;
	}
	for (int i = 0; i < config_setting_length(setting); i++) {
		config_setting_t *side =
			config_setting_get_elem(setting, (unsigned int)i);
		const char *name = config_setting_name(side), *text = "";
		bool local = !strcmp(name, "local");

		if (!local && strcmp(name, "remote")) {
			moat_unknown_key(draft->reader, side, "ports", known, 2);
			continue;
		}
		if (moat_value_string(draft->reader, side, &text) &&
		    !read_range(text, local ? draft->local_port : draft->remote_port))
			moat_reader_wrong(
				draft->reader, side,
				"ports: %s is \"%s\", a port or a range was "
				"expected (\"443\", \"1024-65535\"); for any port "
				"leave it out",
				name, text);
	}
}

void moat_check_ports(struct draft *draft)
{
	config_setting_t *setting = config_setting_get_member(draft->block, "ports");

	for (size_t i = 0; setting && i < PROTOCOLS; i++) {
		if (protocols[i].ports && protocols[i].number == draft->protocol)
			return;
	}
	if (setting)
		moat_reader_wrong(draft->reader, setting,
				  "tunnel \"%s\": ports need a protocol that has some: "
				  "write protocol = \"tcp\" or the like beside them",
				  draft->tunnel->name);
}

static bool is_host(const struct moat_range *net, const struct moat_addr *addr)
{
	return moat_addr_equal(&net->first, addr) && moat_addr_equal(&net->last, addr);
}

static bool is_remote(const struct moat_tunnel_conf *tunnel, const struct moat_range *net)
{
	for (unsigned int i = 0; i < tunnel->n_remote; i++) {
		if (is_host(net, &tunnel->remote[i]))
			return true;
	}
	return false;
}

/* There is no inner header, so both ends of the traffic are the gateways. */
void moat_check_transport(struct draft *draft)
{
	const struct moat_tunnel_conf *tunnel = draft->tunnel;

	if (tunnel->mode != MOAT_MODE_TRANSPORT || tunnel->action != MOAT_ACTION_PROTECT)
		return;
	for (unsigned int i = 0; i < draft->local_nets.n; i++) {
		if (tunnel->local.len &&
		    !is_host(&draft->local_nets.list[i], &tunnel->local))
			moat_reader_wrong(
				draft->reader, draft->block,
				"tunnel \"%s\": mode = \"transport\" protects "
				"the gateways themselves: local-net must be local",
				tunnel->name);
	}
	for (unsigned int i = 0; i < draft->remote_nets.n; i++) {
		if (tunnel->n_remote && !is_remote(tunnel, &draft->remote_nets.list[i]))
			moat_reader_wrong(
				draft->reader, draft->block,
				"tunnel \"%s\": mode = \"transport\" protects "
				"the gateways themselves: remote-net must be remote",
				tunnel->name);
	}
}
