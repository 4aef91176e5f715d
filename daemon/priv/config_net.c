// SPDX-License-Identifier: GPL-2.0-or-later
/* Where a tunnel runs: its gateways, its networks, and the pairs these make. */
#include <stdlib.h>
#include <string.h>

#include "priv/config_draft.h"

/* A tunnel keeps its names, which the analyzer does not know. */
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"

static void wrong_address(struct moat_reader *reader, config_setting_t *setting,
			  const char *key, const char *text)
{
	if (strspn(text, "0123456789./") == strlen(text) || strchr(text, ':'))
		moat_reader_wrong(reader, setting, "%s: \"%s\" is no address", key, text);
	else
		moat_reader_wrong(reader, setting,
				  "%s: \"%s\" is neither an address nor %s", key, text,
				  strcmp(key, "remote") ? "\"any\""
							: "a DNS name, nor \"any\"");
}

/* RFC 1123 section 2.1; one that could be an address with a slip is none. */
static bool is_name(const char *text)
{
	size_t len = strlen(text);

	if (!len || len > MOAT_NAME_MAX || !strcmp(text, "any") || text[0] == '.' ||
	    text[0] == '-' || strstr(text, "..") || strstr(text, ".-") ||
	    strstr(text, "-."))
		return false;
	return strspn(text, "0123456789.") < len &&
	       strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
			    "0123456789-_.") == len;
}

const char *moat_addr_unusable(const struct moat_addr *addr)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	static const uint8_t none[16], loopback[16] = { [15] = 1 };
	const uint8_t *b = addr->bytes;

	if (!memcmp(b, none, addr->len))
		return "the unspecified address";
	if (addr->len == 4) {
		if (b[0] == 127)
			return "a loopback address";
		if (b[0] >= 224 && b[0] < 240)
			return "a multicast address";
		if (!memcmp(b, "\xff\xff\xff\xff", 4))
			return "the broadcast address";
		if (!b[0] || b[0] >= 240)
			return "a reserved address";
		return NULL;
	}
	if (!memcmp(b, loopback, 16))
		return "a loopback address";
	if (b[0] == 0xff)
		return "a multicast address";
	if (b[0] == 0xfe && (b[1] & 0xc0) == 0x80)
		return "a link-local address, which means nothing without its link";
	return !memcmp(b, mapped, 12) ? "an IPv4 address in IPv6's clothes" : NULL;
}

/* Read one gateway's address. False: a mistake is noted. */
static bool read_gateway(struct moat_reader *reader, config_setting_t *setting,
			 const char *key, const char *text, struct moat_addr *addr)
{
	struct moat_addr read;
	const char *why;

	if (!moat_addr_parse(text, &read)) {
		wrong_address(reader, setting, key, text);
		return false;
	}
	why = moat_addr_unusable(&read);
	if (why) {
		moat_reader_wrong(reader, setting,
				  "%s: \"%s\" is %s: write the gateway's own address",
				  key, text, why);
		return false;
	}
	*addr = read;
	return true;
}

void moat_read_local(struct draft *draft, config_setting_t *setting)
{
	const char *text = "";

	if (!moat_value_string(draft->reader, setting, &text))
		return;
	draft->tunnel->local_any = !strcmp(text, "any");
	if (draft->tunnel->local_any)
		return;
	read_gateway(draft->reader, setting, "local", text, &draft->tunnel->local);
}

static bool written_already(const struct moat_tunnel_conf *tunnel,
			    const struct moat_remote_conf *remote)
{
	for (unsigned int i = 0; i < tunnel->n_written; i++) {
		const struct moat_remote_conf *other = &tunnel->written[i];

		if (remote->name ? other->name && !strcasecmp(other->name, remote->name)
				 : !other->name &&
					   moat_addr_equal(&other->addr, &remote->addr))
			return true;
	}
	return false;
}

static void write_remote(struct moat_tunnel_conf *tunnel,
			 const struct moat_remote_conf *remote)
{
	struct moat_remote_conf *written;

	if (!tunnel->remote) {
		tunnel->remote = calloc(MOAT_REMOTES_MAX, sizeof(*tunnel->remote));
		tunnel->written = calloc(MOAT_REMOTES_MAX, sizeof(*tunnel->written));
	}
	if (!tunnel->remote || !tunnel->written)
		abort();
	written = &tunnel->written[tunnel->n_written++];
	*written = *remote;
	if (!remote->name) {
		tunnel->remote[tunnel->n_remote++] = remote->addr;
		return;
	}
	tunnel->named = true;
	written->name = strdup(remote->name);
	if (!written->name)
		abort();
}

static bool add_remote(struct moat_reader *reader, config_setting_t *setting,
		       const char *text, void *arg)
{
	struct moat_tunnel_conf *tunnel = arg;
	struct moat_remote_conf remote = { 0 };

	if (!strcmp(text, "any")) {
		tunnel->any = true;
		return true;
	}
	if (is_name(text))
		remote.name = (char *)text;
	else if (!read_gateway(reader, setting, "remote", text, &remote.addr))
		return true;
	if (written_already(tunnel, &remote)) {
		moat_reader_wrong(reader, setting, "remote: \"%s\" stands here twice",
				  text);
	} else if (tunnel->n_written == MOAT_REMOTES_MAX) {
		moat_reader_wrong(reader, setting, "remote: more than %u addresses",
				  MOAT_REMOTES_MAX);
		return false;
	} else {
		write_remote(tunnel, &remote);
	}
	return true;
}

void moat_read_remote(struct draft *draft, config_setting_t *setting)
{
	moat_value_strings(draft->reader, setting, add_remote, draft->tunnel);
}

static bool add_net(struct moat_reader *reader, config_setting_t *setting,
		    const char *text, void *arg)
{
	struct nets *nets = arg;
	struct moat_range range;
	const char *why = moat_range_parse(text, &range);

	if (why) {
		moat_reader_wrong(reader, setting, "\"%s\": %s", text, why);
		return true;
	}
	for (unsigned int i = 0; i < nets->n; i++) {
		if (moat_range_equal(&nets->list[i], &range)) {
			moat_reader_wrong(reader, setting, "\"%s\" stands here twice",
					  text);
			return true;
		}
	}
	if (nets->n == NETS_MAX) {
		moat_reader_wrong(reader, setting, "more than %u networks", NETS_MAX);
		return false;
	}
	nets->list[nets->n++] = range;
	return true;
}

void moat_read_local_net(struct draft *draft, config_setting_t *setting)
{
	moat_value_strings(draft->reader, setting, add_net, &draft->local_nets);
}

void moat_read_remote_net(struct draft *draft, config_setting_t *setting)
{
	moat_value_strings(draft->reader, setting, add_net, &draft->remote_nets);
}

void moat_check_families(struct draft *draft)
{
	const struct moat_tunnel_conf *tunnel = draft->tunnel;

	for (unsigned int i = 0; i < tunnel->n_remote; i++) {
		if (tunnel->local.len && tunnel->local.len != tunnel->remote[i].len)
			moat_reader_wrong(draft->reader, draft->block,
					  "tunnel \"%s\": local and remote are not both "
					  "IPv4 or both IPv6",
					  tunnel->name);
		if (moat_addr_equal(&tunnel->local, &tunnel->remote[i]))
			moat_reader_wrong(draft->reader, draft->block,
					  "tunnel \"%s\": local and remote are the same "
					  "address",
					  tunnel->name);
	}
}

/* Why no tunnel carries what goes to a whole network, or NULL. */
static const char *unreachable(const struct moat_range *range)
{
	static const struct {
		const char *net, *is;
	} rows[] = {
		{ "127.0.0.0/8", "loopback addresses, which never leave a host" },
		{ "::1", "the loopback address, which never leaves a host" },
		{ "224.0.0.0/4", "multicast addresses, which no quick mode names" },
		{ "ff00::/8", "multicast addresses, which no quick mode names" },
	};
	struct moat_range within;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (!moat_range_parse(rows[i].net, &within) &&
		    moat_range_within(range, &within))
			return rows[i].is;
	}
	return NULL;
}

void moat_check_nets(struct draft *draft)
{
	const struct nets *sides[2] = { &draft->local_nets, &draft->remote_nets };

	/* Bypasses and discards may be of anything, and devices carry anything. */
	if (draft->tunnel->action != MOAT_ACTION_PROTECT || draft->tunnel->device[0])
		return;
	for (unsigned int i = 0; i < 2; i++) {
		const char *key = i ? "remote-net" : "local-net";

		for (unsigned int j = 0; j < sides[i]->n; j++) {
			const struct moat_range *range = &sides[i]->list[j];
			const char *is = unreachable(range);
			char text[2 * MOAT_ADDR_STRLEN];

			if (is)
				moat_reader_wrong(
					draft->reader,
					config_setting_get_member(draft->block, key),
					"%s: \"%s\" are %s: write the network behind the "
					"gateway",
					key, moat_range_str(range, text), is);
		}
	}
}

/* Every local net with every remote net of its family. */
void moat_make_pairs(struct draft *draft)
{
	struct moat_tunnel_conf *tunnel = draft->tunnel;
	unsigned int max = draft->local_nets.n * draft->remote_nets.n;
	bool wrong = false;

	if (!max)
		return;
	tunnel->pairs = calloc(max, sizeof(*tunnel->pairs));
	if (!tunnel->pairs)
		abort();
	for (unsigned int i = 0; i < max; i++) {
		const struct moat_range *local =
			&draft->local_nets.list[i / draft->remote_nets.n];
		const struct moat_range *remote =
			&draft->remote_nets.list[i % draft->remote_nets.n];
		struct moat_selector *selector;

		if (local->first.len != remote->first.len)
			continue;
		/* what passes within a net of our own needs a bypass beside 0.0.0.0/0 */
		if (tunnel->action == MOAT_ACTION_PROTECT && !tunnel->device[0] &&
		    moat_range_equal(local, remote)) {
			char text[2 * MOAT_ADDR_STRLEN];

			moat_reader_wrong(draft->reader, draft->block,
					  "tunnel \"%s\": %s is both local-net and "
					  "remote-net: no packet can be told to go there",
					  tunnel->name, moat_range_str(local, text));
			wrong = true;
			continue;
		}
		selector = &tunnel->pairs[tunnel->n_pairs++].selector;
		selector->local = *local;
		selector->remote = *remote;
		selector->protocol = draft->protocol;
		memcpy(selector->local_port, draft->local_port,
		       sizeof(selector->local_port));
		memcpy(selector->remote_port, draft->remote_port,
		       sizeof(selector->remote_port));
	}
	if (!tunnel->n_pairs && !wrong)
		moat_reader_wrong(draft->reader, draft->block,
				  "tunnel \"%s\": local-net and remote-net have no "
				  "family in common",
				  tunnel->name);
}
