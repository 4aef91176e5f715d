// SPDX-License-Identifier: GPL-2.0-or-later
/* One tunnel's block: a table of keys, their defaults, what belongs together. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "priv/config_internal.h"
#include "wire/isakmp.h"

#define REMOTES_MAX 16
#define NETS_MAX    256
/* Smaller is more important; room on both sides for the operator. */
#define PRIORITY_DEFAULT 1000

/**
 * struct nets - networks of one side, before they are paired
 */
struct nets {
	unsigned int n;
	struct moat_range list[NETS_MAX];
};

/**
 * struct draft - a tunnel while its block is read
 * @weak: the word that allows weak algorithms was given
 */
struct draft {
	struct moat_reader *reader;
	config_setting_t *block;
	struct moat_tunnel_conf *tunnel;
	struct nets local_nets;
	struct nets remote_nets;
	bool weak;
};

static void wrong_address(struct moat_reader *reader, config_setting_t *setting,
			  const char *key, const char *text)
{
	if (strspn(text, "0123456789./") == strlen(text) || strchr(text, ':'))
		moat_reader_wrong(reader, setting, "%s: \"%s\" is no address", key, text);
	else if (!strcmp(text, "any"))
		moat_reader_wrong(reader, setting,
				  "%s = \"any\" is not supported by this version: "
				  "write the peer's address",
				  key);
	else
		moat_reader_wrong(reader, setting,
				  "%s: \"%s\" is no address, and DNS names are not "
				  "supported by this version: write the address",
				  key, text);
}

/* Why an address cannot be one gateway's, or NULL. */
static const char *unusable(const struct moat_addr *addr)
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
		return !memcmp(b, "\xff\xff\xff\xff", 4) ? "the broadcast address" : NULL;
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
	why = unusable(&read);
	if (why) {
		moat_reader_wrong(reader, setting,
				  "%s: \"%s\" is %s: write the gateway's own address",
				  key, text, why);
		return false;
	}
	*addr = read;
	return true;
}

static void read_local(struct draft *draft, config_setting_t *setting)
{
	const char *text = "";

	if (!moat_value_string(draft->reader, setting, &text) || !strcmp(text, "any"))
		return;
	read_gateway(draft->reader, setting, "local", text, &draft->tunnel->local);
}

static void add_remote(struct moat_reader *reader, config_setting_t *setting,
		       const char *text, void *arg)
{
	struct moat_tunnel_conf *tunnel = arg;
	struct moat_addr addr;

	if (!read_gateway(reader, setting, "remote", text, &addr))
		return;
	for (unsigned int i = 0; i < tunnel->n_remote; i++) {
		if (moat_addr_equal(&tunnel->remote[i], &addr)) {
			moat_reader_wrong(reader, setting,
					  "remote: \"%s\" stands here twice", text);
			return;
		}
	}
	if (tunnel->n_remote == REMOTES_MAX) {
		moat_reader_wrong(reader, setting, "remote: more than %u addresses",
				  REMOTES_MAX);
	} else {
		if (!tunnel->remote)
			tunnel->remote = calloc(REMOTES_MAX, sizeof(addr));
		if (!tunnel->remote)
			abort();
		tunnel->remote[tunnel->n_remote++] = addr;
	}
}

static void read_remote(struct draft *draft, config_setting_t *setting)
{
	moat_value_strings(draft->reader, setting, add_remote, draft->tunnel);
}

static void add_net(struct moat_reader *reader, config_setting_t *setting,
		    const char *text, void *arg)
{
	struct nets *nets = arg;
	struct moat_range range;
	const char *why = moat_range_parse(text, &range);

	if (why) {
		moat_reader_wrong(reader, setting, "\"%s\": %s", text, why);
		return;
	}
	for (unsigned int i = 0; i < nets->n; i++) {
		if (moat_range_equal(&nets->list[i], &range)) {
			moat_reader_wrong(reader, setting, "\"%s\" stands here twice",
					  text);
			return;
		}
	}
	if (nets->n == NETS_MAX)
		moat_reader_wrong(reader, setting, "more than %u networks", NETS_MAX);
	else
		nets->list[nets->n++] = range;
}

static void read_local_net(struct draft *draft, config_setting_t *setting)
{
	moat_value_strings(draft->reader, setting, add_net, &draft->local_nets);
}

static void read_remote_net(struct draft *draft, config_setting_t *setting)
{
	moat_value_strings(draft->reader, setting, add_net, &draft->remote_nets);
}

static void read_id(struct draft *draft, config_setting_t *setting,
		    struct moat_identity *id)
{
	const char *text = "", *why;

	if (!moat_value_string(draft->reader, setting, &text))
		return;
	why = moat_identity_parse(text, id);
	if (why)
		moat_reader_wrong(draft->reader, setting, "%s: \"%s\" %s",
				  config_setting_name(setting), text, why);
}

static void read_local_id(struct draft *draft, config_setting_t *setting)
{
	read_id(draft, setting, &draft->tunnel->local_id);
}

static void read_remote_id(struct draft *draft, config_setting_t *setting)
{
	read_id(draft, setting, &draft->tunnel->remote_id);
}

static void add_ike(struct moat_reader *reader, config_setting_t *setting,
		    const char *text, void *arg)
{
	char why[256];

	if (moat_ike_algs_add(arg, text, why, sizeof(why)))
		moat_reader_wrong(reader, setting, "ike: %s", why);
}

static void read_ike(struct draft *draft, config_setting_t *setting)
{
	draft->tunnel->ike.count = 0;
	moat_value_strings(draft->reader, setting, add_ike, &draft->tunnel->ike);
}

static void add_esp(struct moat_reader *reader, config_setting_t *setting,
		    const char *text, void *arg)
{
	struct moat_sa_algs *list = arg;
	unsigned int old = list->count;
	char why[256];

	if (moat_sa_algs_add(list, MOAT_PROTO_ESP, text, why, sizeof(why))) {
		moat_reader_wrong(reader, setting, "esp: %s", why);
		return;
	}
	for (unsigned int i = old; i < list->count; i++) {
		if (!moat_sa_alg_negotiable(&list->alg[i])) {
			moat_reader_wrong(reader, setting,
					  "esp: \"%s\" has no number in IKEv1 and serves "
					  "manual SAs only",
					  text);
			break;
		}
	}
}

static void read_esp(struct draft *draft, config_setting_t *setting)
{
	draft->tunnel->esp.count = 0;
	moat_value_strings(draft->reader, setting, add_esp, &draft->tunnel->esp);
}

/* One word is built, the others stand in the contract and come later. */
static bool read_word(struct draft *draft, config_setting_t *setting,
		      const char *const *words, unsigned int n, unsigned int built,
		      unsigned int *index)
{
	if (!moat_value_word(draft->reader, setting, words, n, index))
		return false;
	if (*index < built)
		return true;
	moat_reader_wrong(draft->reader, setting,
			  "%s = \"%s\" is not supported by this version (\"%s\" is)",
			  config_setting_name(setting), words[*index], words[0]);
	return false;
}

#define WORDS(...)            \
	(const char *const[]) \
	{                     \
		__VA_ARGS__   \
	}

static void read_auth(struct draft *draft, config_setting_t *setting)
{
	unsigned int i;

	read_word(draft, setting, WORDS("psk", "rsa-sig", "rsa-enc", "rsa-enc-revised"),
		  4, 1, &i);
}

static void read_exchange(struct draft *draft, config_setting_t *setting)
{
	unsigned int i;

	read_word(draft, setting, WORDS("main", "aggressive"), 2, 1, &i);
}

static void read_mode(struct draft *draft, config_setting_t *setting)
{
	unsigned int i;

	read_word(draft, setting, WORDS("tunnel", "transport"), 2, 1, &i);
}

static void read_nat_t(struct draft *draft, config_setting_t *setting)
{
	unsigned int i;

	read_word(draft, setting, WORDS("off", "auto", "force"), 3, 1, &i);
}

static void read_esn(struct draft *draft, config_setting_t *setting)
{
	unsigned int i;

	read_word(draft, setting, WORDS("off", "auto", "on"), 3, 1, &i);
}

static void read_start(struct draft *draft, config_setting_t *setting)
{
	unsigned int i;

	if (moat_value_word(draft->reader, setting, WORDS("trap", "up", "none"), 3, &i))
		draft->tunnel->start = MOAT_START_TRAP + i;
}

static void read_action(struct draft *draft, config_setting_t *setting)
{
	unsigned int i;

	if (moat_value_word(draft->reader, setting, WORDS("protect", "bypass", "discard"),
			    3, &i))
		draft->tunnel->action = MOAT_ACTION_PROTECT + i;
}

static void read_number32(struct draft *draft, config_setting_t *setting, uint32_t low,
			  uint32_t high, uint32_t *value)
{
	uint64_t number;

	if (moat_value_number(draft->reader, setting, low, high, &number))
		*value = number;
}

/* Shorter ones would rekey all the time; longer ones serve nobody. */
static void read_ike_lifetime(struct draft *draft, config_setting_t *setting)
{
	read_number32(draft, setting, 10, 30 * 86400, &draft->tunnel->ike_lifetime);
}

static void read_lifetime(struct draft *draft, config_setting_t *setting)
{
	read_number32(draft, setting, 10, 30 * 86400, &draft->tunnel->lifetime);
}

static void read_lifebytes(struct draft *draft, config_setting_t *setting)
{
	moat_value_bytes(draft->reader, setting, &draft->tunnel->lifebytes);
}

static void read_priority(struct draft *draft, config_setting_t *setting)
{
	read_number32(draft, setting, 0, INT32_MAX, &draft->tunnel->priority);
}

static void read_replay(struct draft *draft, config_setting_t *setting)
{
	read_number32(draft, setting, 32, MOAT_REPLAY_MAX, &draft->tunnel->replay);
}

static void read_dpd(struct draft *draft, config_setting_t *setting)
{
	uint64_t seconds;

	if (moat_value_number(draft->reader, setting, 0, 86400, &seconds) && seconds)
		moat_reader_wrong(draft->reader, setting,
				  "dead peer detection is not supported by this "
				  "version: leave dpd out, or write dpd = 0");
}

static void read_narrow(struct draft *draft, config_setting_t *setting)
{
	moat_value_bool(draft->reader, setting, &draft->tunnel->narrow);
}

static void read_routes(struct draft *draft, config_setting_t *setting)
{
	moat_value_bool(draft->reader, setting, &draft->tunnel->routes);
}

static void read_weak(struct draft *draft, config_setting_t *setting)
{
	moat_value_bool(draft->reader, setting, &draft->weak);
}

static void read_secpath(struct draft *draft, config_setting_t *setting)
{
	bool secpath;

	if (moat_value_bool(draft->reader, setting, &secpath) && secpath)
		moat_reader_wrong(draft->reader, setting,
				  "secpath = true is not supported by this version");
}

static void refuse(struct draft *draft, config_setting_t *setting)
{
	moat_reader_wrong(draft->reader, setting,
			  "the key \"%s\" is not supported by this version: remove it",
			  config_setting_name(setting));
}

/* Every key of the contract, in its order. */
static const struct key {
	const char *name;
	void (*read)(struct draft *draft, config_setting_t *setting);
} keys[] = {
	{ "local", read_local },
	{ "remote", read_remote },
	{ "local-net", read_local_net },
	{ "remote-net", read_remote_net },
	{ "auth", read_auth },
	{ "exchange", read_exchange },
	{ "ike", read_ike },
	{ "esp", read_esp },
	{ "ah", refuse },
	{ "mode", read_mode },
	{ "start", read_start },
	{ "local-id", read_local_id },
	{ "remote-id", read_remote_id },
	{ "cert", refuse },
	{ "key", refuse },
	{ "ca", refuse },
	{ "remote-cert", refuse },
	{ "ike-lifetime", read_ike_lifetime },
	{ "lifetime", read_lifetime },
	{ "lifebytes", read_lifebytes },
	{ "dpd", read_dpd },
	{ "dpd-timeout", refuse },
	{ "nat-t", read_nat_t },
	{ "protocol", refuse },
	{ "ports", refuse },
	{ "action", read_action },
	{ "priority", read_priority },
	{ "mark", refuse },
	{ "device", refuse },
	{ "df", refuse },
	{ "dscp", refuse },
	{ "mss", refuse },
	{ "mtu", refuse },
	{ "tfc", refuse },
	{ "replay", read_replay },
	{ "esn", read_esn },
	{ "narrow", read_narrow },
	{ "routes", read_routes },
	{ "secpath", read_secpath },
	{ "weak", read_weak },
};

#define KEYS (sizeof(keys) / sizeof(keys[0]))

static void read_keys(struct draft *draft)
{
	const char *names[KEYS];

	for (unsigned int i = 0; i < KEYS; i++)
		names[i] = keys[i].name;
	for (int i = 0; i < config_setting_length(draft->block); i++) {
		config_setting_t *setting = config_setting_get_elem(draft->block, i);
		const struct key *key = keys;

		while (key < keys + KEYS &&
		       strcmp(key->name, config_setting_name(setting)))
			key++;
		if (key < keys + KEYS)
			key->read(draft, setting);
		else
			moat_unknown_key(draft->reader, setting, "a tunnel", names, KEYS);
	}
}

static void set_defaults(struct moat_tunnel_conf *tunnel)
{
	tunnel->exchange = MOAT_EXCHANGE_MAIN;
	tunnel->auth = MOAT_METHOD_PSK;
	tunnel->mode = MOAT_MODE_TUNNEL;
	tunnel->action = MOAT_ACTION_PROTECT;
	tunnel->start = MOAT_START_TRAP;
	tunnel->priority = PRIORITY_DEFAULT;
	tunnel->ike_lifetime = 28800;
	tunnel->lifetime = 3600;
	tunnel->replay = 1024;
	tunnel->routes = true;
	moat_ike_algs_default(&tunnel->ike);
	moat_sa_algs_default(&tunnel->esp);
}

static bool has(const struct draft *draft, const char *key)
{
	return config_setting_get_member(draft->block, key) != NULL;
}

static void check_required(struct draft *draft)
{
	static const char *const required[] = { "local", "remote", "local-net",
						"remote-net" };
	/* What does not protect has no peer. */
	bool protects = draft->tunnel->action == MOAT_ACTION_PROTECT;

	for (unsigned int i = protects ? 0 : 2; i < 4; i++) {
		if (!has(draft, required[i]))
			moat_reader_wrong(draft->reader, draft->block,
					  "tunnel \"%s\": %s is missing",
					  draft->tunnel->name, required[i]);
	}
	for (unsigned int i = 0; i < 2 && !protects; i++) {
		if (has(draft, required[i]))
			moat_reader_wrong(draft->reader, draft->block,
					  "tunnel \"%s\": %s belongs to action = "
					  "\"protect\" only",
					  draft->tunnel->name, required[i]);
	}
}

static void check_families(struct draft *draft)
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

static void check_weak(struct draft *draft)
{
	const struct moat_tunnel_conf *tunnel = draft->tunnel;
	const char *weak = NULL;

	if (draft->weak)
		return;
	for (unsigned int i = 0; i < tunnel->ike.count && !weak; i++)
		weak = moat_ike_alg_weak(&tunnel->ike.alg[i]);
	for (unsigned int i = 0; i < tunnel->esp.count && !weak; i++)
		weak = moat_sa_alg_weak(&tunnel->esp.alg[i]);
	if (weak)
		moat_reader_wrong(draft->reader, draft->block,
				  "tunnel \"%s\": %s is weak: choose another, or write "
				  "weak = true to take it nevertheless",
				  tunnel->name, weak);
}

/* A quick mode has one KE payload, so all that esp offers needs one group. */
static void check_groups(struct draft *draft)
{
	const struct moat_sa_algs *esp = &draft->tunnel->esp;

	for (unsigned int i = 1; i < esp->count; i++) {
		if (esp->alg[i].group != esp->alg[0].group &&
		    !(esp->alg[i].group && esp->alg[0].group)) {
			moat_reader_wrong(
				draft->reader, draft->block,
				"tunnel \"%s\": esp has entries with and without "
				"a group: PFS is either wanted or not",
				draft->tunnel->name);
			return;
		}
	}
}

/* Every local net with every remote net of its family. */
static void make_pairs(struct draft *draft)
{
	struct moat_tunnel_conf *tunnel = draft->tunnel;
	unsigned int max = draft->local_nets.n * draft->remote_nets.n;

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
		selector = &tunnel->pairs[tunnel->n_pairs++].selector;
		selector->local = *local;
		selector->remote = *remote;
		selector->local_port[1] = UINT16_MAX;
		selector->remote_port[1] = UINT16_MAX;
	}
	if (!tunnel->n_pairs)
		moat_reader_wrong(draft->reader, draft->block,
				  "tunnel \"%s\": local-net and remote-net have no "
				  "family in common",
				  tunnel->name);
}

static void default_ids(struct moat_tunnel_conf *tunnel)
{
	if (!tunnel->local_id.type && tunnel->local.len)
		moat_identity_from_addr(&tunnel->local, &tunnel->local_id);
	if (!tunnel->remote_id.type && tunnel->n_remote == 1)
		moat_identity_from_addr(&tunnel->remote[0], &tunnel->remote_id);
}

struct moat_tunnel_conf *moat_tunnel_read(struct moat_reader *reader,
					  config_setting_t *block)
{
	const char *name = config_setting_name(block);
	struct draft *draft;
	struct moat_tunnel_conf *tunnel;

	if (!config_setting_is_group(block)) {
		moat_reader_wrong(reader, block,
				  "tunnel \"%s\" is no group: expected "
				  "%s = { local = ... }",
				  name, name);
		return NULL;
	}
	draft = calloc(1, sizeof(*draft));
	tunnel = calloc(1, sizeof(*tunnel));
	if (!draft || !tunnel)
		abort();
	*draft = (struct draft){ .reader = reader, .block = block, .tunnel = tunnel };
	if (strlen(name) > MOAT_TUNNEL_NAME_MAX)
		moat_reader_wrong(reader, block,
				  "the name of a tunnel may have %u characters",
				  MOAT_TUNNEL_NAME_MAX);
	strncpy(tunnel->name, name, MOAT_TUNNEL_NAME_MAX);
	tunnel->line = config_setting_source_line(block);
	set_defaults(tunnel);
	read_keys(draft);
	check_required(draft);
	check_families(draft);
	check_weak(draft);
	check_groups(draft);
	make_pairs(draft);
	default_ids(tunnel);
	free(draft);
	return tunnel;
}

void moat_tunnel_conf_free(struct moat_tunnel_conf *tunnel)
{
	if (!tunnel)
		return;
	free(tunnel->remote);
	free(tunnel->pairs);
	free(tunnel);
}
