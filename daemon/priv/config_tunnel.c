// SPDX-License-Identifier: GPL-2.0-or-later
/* One tunnel's block: a table of keys, their defaults, what belongs together. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "priv/config_draft.h"
#include "wire/isakmp.h"

/* Smaller is more important; room on both sides for the operator. */
#define PRIORITY_DEFAULT 1000

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

#define WORDS(...)            \
	(const char *const[]) \
	{                     \
		__VA_ARGS__   \
	}

static void read_auth(struct draft *draft, config_setting_t *setting)
{
	static const uint16_t methods[] = { MOAT_METHOD_PSK, MOAT_METHOD_RSA_SIG,
					    MOAT_METHOD_RSA_ENC,
					    MOAT_METHOD_RSA_ENC_REVISED };
	unsigned int i;

	if (moat_value_word(draft->reader, setting,
			    WORDS("psk", "rsa-sig", "rsa-enc", "rsa-enc-revised"), 4, &i))
		draft->tunnel->auth = methods[i];
}

static void read_exchange(struct draft *draft, config_setting_t *setting)
{
	unsigned int i;

	if (moat_value_word(draft->reader, setting, WORDS("main", "aggressive"), 2, &i))
		draft->tunnel->exchange = MOAT_EXCHANGE_MAIN + i;
}

static void read_mode(struct draft *draft, config_setting_t *setting)
{
	unsigned int i;

	if (moat_value_word(draft->reader, setting, WORDS("tunnel", "transport"), 2, &i))
		draft->tunnel->mode = MOAT_MODE_TUNNEL + i;
}

static void read_nat_t(struct draft *draft, config_setting_t *setting)
{
	unsigned int i;

	if (moat_value_word(draft->reader, setting, WORDS("off", "auto", "force"), 3, &i))
		draft->tunnel->nat_t = MOAT_NAT_T_OFF + i;
}

static void read_esn(struct draft *draft, config_setting_t *setting)
{
	unsigned int i;

	if (moat_value_word(draft->reader, setting, WORDS("off", "auto", "on"), 3, &i))
		draft->esn = DRAFT_ESN_OFF + i;
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
	read_number32(draft, setting, MOAT_LIFE_MIN, 30 * 86400,
		      &draft->tunnel->ike_lifetime);
}

static void read_lifetime(struct draft *draft, config_setting_t *setting)
{
	read_number32(draft, setting, MOAT_LIFE_MIN, 30 * 86400,
		      &draft->tunnel->lifetime);
}

static void read_lifebytes(struct draft *draft, config_setting_t *setting)
{
	uint64_t bytes;

	if (!moat_value_bytes(draft->reader, setting, &bytes))
		return;
	if (bytes < MOAT_LIFEBYTES_MIN)
		moat_reader_wrong(draft->reader, setting,
				  "lifebytes is \"%s\", at least \"1M\" was expected: "
				  "SAs would be replaced all the time",
				  config_setting_get_string(setting));
	draft->tunnel->lifebytes = bytes;
}

static void read_priority(struct draft *draft, config_setting_t *setting)
{
	read_number32(draft, setting, 0, INT32_MAX, &draft->tunnel->priority);
}

static void read_mark(struct draft *draft, config_setting_t *setting)
{
	read_number32(draft, setting, 1, UINT32_MAX, &draft->tunnel->mark);
}

static void read_replay(struct draft *draft, config_setting_t *setting)
{
	read_number32(draft, setting, 32, MOAT_REPLAY_MAX, &draft->tunnel->replay);
}

static void read_dpd(struct draft *draft, config_setting_t *setting)
{
	read_number32(draft, setting, 0, 3600, &draft->tunnel->dpd);
}

static void read_dpd_timeout(struct draft *draft, config_setting_t *setting)
{
	read_number32(draft, setting, 2, 86400, &draft->tunnel->dpd_timeout);
}

static void check_dpd(struct draft *draft)
{
	const struct moat_tunnel_conf *tunnel = draft->tunnel;

	if (tunnel->dpd && tunnel->dpd_timeout <= tunnel->dpd)
		moat_reader_wrong(draft->reader, draft->block,
				  "tunnel \"%s\": dpd-timeout (%u s) must be longer than "
				  "dpd (%u s), or the peer has no time to answer",
				  tunnel->name, tunnel->dpd_timeout, tunnel->dpd);
}

static void read_peers(struct draft *draft, config_setting_t *setting)
{
	read_number32(draft, setting, 1, MOAT_PEERS_MAX, &draft->tunnel->peers);
}

static void read_narrow(struct draft *draft, config_setting_t *setting)
{
	moat_value_bool(draft->reader, setting, &draft->tunnel->narrow);
}

static void read_fragmentation(struct draft *draft, config_setting_t *setting)
{
	moat_value_bool(draft->reader, setting, &draft->tunnel->fragmentation);
}

static void read_routes(struct draft *draft, config_setting_t *setting)
{
	moat_value_bool(draft->reader, setting, &draft->tunnel->routes);
}

static void read_weak(struct draft *draft, config_setting_t *setting)
{
	moat_value_bool(draft->reader, setting, &draft->weak);
}

/* moat_creds_read() reads them together. */
static void later(struct draft *draft, config_setting_t *setting)
{
	(void)draft;
	(void)setting;
}

/**
 * struct key - a key of the contract, in its order
 * @name: of the key
 * @read: puts its value where it belongs
 * @protects: it says how to protect, so it has no place beside another action
 */
static const struct key {
	const char *name;
	void (*read)(struct draft *draft, config_setting_t *setting);
	bool protects;
} keys[] = {
	{ "local", moat_read_local, true },
	{ "remote", moat_read_remote, true },
	{ "local-net", moat_read_local_net, false },
	{ "remote-net", moat_read_remote_net, false },
	{ "auth", read_auth, true },
	{ "exchange", read_exchange, true },
	{ "ike", moat_read_ike, true },
	{ "esp", moat_read_esp, true },
	{ "ah", moat_read_ah, true },
	{ "mode", read_mode, true },
	{ "start", read_start, true },
	{ "local-id", read_local_id, true },
	{ "remote-id", read_remote_id, true },
	{ "cert", later, true },
	{ "key", later, true },
	{ "ca", later, true },
	{ "crl", later, true },
	{ "remote-cert", later, true },
	{ "ike-lifetime", read_ike_lifetime, true },
	{ "lifetime", read_lifetime, true },
	{ "lifebytes", read_lifebytes, true },
	{ "dpd", read_dpd, true },
	{ "dpd-timeout", read_dpd_timeout, true },
	{ "nat-t", read_nat_t, true },
	{ "protocol", moat_read_protocol, false },
	{ "ports", moat_read_ports, false },
	{ "action", read_action, false },
	{ "priority", read_priority, false },
	{ "mark", read_mark, false },
	{ "device", moat_read_device, false },
	{ "df", moat_read_df, true },
	{ "dscp", moat_read_dscp, true },
	{ "mss", moat_read_mss, true },
	{ "mtu", moat_read_mtu, true },
	{ "tfc", moat_read_tfc, true },
	{ "replay", read_replay, true },
	{ "esn", read_esn, true },
	{ "narrow", read_narrow, true },
	{ "peers", read_peers, true },
	{ "fragmentation", read_fragmentation, true },
	{ "routes", read_routes, true },
	{ "secpath", moat_read_secpath, true },
	{ "weak", read_weak, true },
};

#define KEYS (sizeof(keys) / sizeof(keys[0]))

static const struct key *find_key(const char *name)
{
	for (const struct key *key = keys; key < keys + KEYS; key++) {
		if (!strcmp(key->name, name))
			return key;
	}
	return NULL;
}

/* Keys of strongSwan and libreswan, and what to write for them. */
static const struct {
	const char *name;
	const char *here;
} foreign[] = {
	{ "left", "local" },
	{ "right", "remote" },
	{ "local_addrs", "local" },
	{ "remote_addrs", "remote" },
	{ "leftsubnet", "local-net" },
	{ "rightsubnet", "remote-net" },
	{ "local_ts", "local-net" },
	{ "remote_ts", "remote-net" },
	{ "leftid", "local-id" },
	{ "rightid", "remote-id" },
	{ "proposals", "ike" },
	{ "esp_proposals", "esp" },
	{ "phase2alg", "esp" },
	{ "dpd_delay", "dpd, in seconds" },
	{ "dpddelay", "dpd, in seconds" },
	{ "auto", "start: \"trap\", \"up\" or \"none\"" },
	{ "start_action", "start: \"trap\", \"up\" or \"none\"" },
	{ "pfs", "a group in each entry of esp (\"aes128gcm16-modp2048\"), or in none" },
	{ "psk",
	  "it in secrets.conf: secrets = ( { remote = \"...\", psk = \"...\" } )" },
	{ "secret",
	  "it in secrets.conf: secrets = ( { remote = \"...\", psk = \"...\" } )" },
};

static void unknown_key(struct draft *draft, config_setting_t *setting)
{
	const char *names[KEYS], *name = config_setting_name(setting);

	for (unsigned int i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
		if (strcmp(foreign[i].name, name))
			continue;
		moat_reader_wrong(draft->reader, setting,
				  "unknown key \"%s\" in a tunnel: write %s", name,
				  foreign[i].here);
		return;
	}
	for (unsigned int i = 0; i < KEYS; i++)
		names[i] = keys[i].name;
	moat_unknown_key(draft->reader, setting, "a tunnel", names, KEYS);
}

static void read_keys(struct draft *draft)
{
	for (int i = 0; i < config_setting_length(draft->block); i++) {
		config_setting_t *setting = config_setting_get_elem(draft->block, i);
		const struct key *key = find_key(config_setting_name(setting));

		if (key)
			key->read(draft, setting);
		else
			unknown_key(draft, setting);
	}
}

/* Bypass and discard have no peer. */
static void check_action(struct draft *draft)
{
	for (int i = 0; i < config_setting_length(draft->block); i++) {
		config_setting_t *setting = config_setting_get_elem(draft->block, i);
		const struct key *key = find_key(config_setting_name(setting));

		if (key && key->protects)
			moat_reader_wrong(draft->reader, setting,
					  "tunnel \"%s\": %s belongs to action = "
					  "\"protect\" only",
					  draft->tunnel->name, key->name);
	}
}

/* What an explanation will point to. */
static void note_lines(struct draft *draft)
{
	static const char *const names[MOAT_CONF_KEYS] = {
		[MOAT_CONF_IKE] = "ike",
		[MOAT_CONF_ESP] = "esp",
		[MOAT_CONF_AH] = "ah",
		[MOAT_CONF_MODE] = "mode",
		[MOAT_CONF_AUTH] = "auth",
		[MOAT_CONF_EXCHANGE] = "exchange",
		[MOAT_CONF_LOCAL_ID] = "local-id",
		[MOAT_CONF_REMOTE_ID] = "remote-id",
		[MOAT_CONF_LOCAL_NET] = "local-net",
		[MOAT_CONF_REMOTE_NET] = "remote-net",
		[MOAT_CONF_PROTOCOL] = "protocol",
	};

	for (unsigned int i = MOAT_CONF_NONE + 1; i < MOAT_CONF_KEYS; i++) {
		config_setting_t *setting =
			config_setting_get_member(draft->block, names[i]);

		if (setting)
			draft->tunnel->lines[i] = config_setting_source_line(setting);
	}
}

static void set_defaults(struct moat_tunnel_conf *tunnel)
{
	tunnel->exchange = MOAT_EXCHANGE_MAIN;
	tunnel->nat_t = MOAT_NAT_T_AUTO;
	tunnel->auth = MOAT_METHOD_PSK;
	tunnel->mode = MOAT_MODE_TUNNEL;
	tunnel->action = MOAT_ACTION_PROTECT;
	tunnel->start = MOAT_START_TRAP;
	tunnel->priority = PRIORITY_DEFAULT;
	tunnel->ike_lifetime = 28800;
	tunnel->dpd = 30;
	tunnel->dpd_timeout = 120;
	tunnel->lifetime = 3600;
	tunnel->replay = 1024;
	tunnel->fragmentation = true;
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
	bool protects = draft->tunnel->action == MOAT_ACTION_PROTECT;

	for (unsigned int i = protects ? 0 : 2; i < 4; i++) {
		if (!has(draft, required[i]))
			moat_reader_wrong(draft->reader, draft->block,
					  "tunnel \"%s\": %s is missing",
					  draft->tunnel->name, required[i]);
	}
	if (!protects)
		check_action(draft);
}

static void default_ids(struct moat_tunnel_conf *tunnel)
{
	struct moat_identity *remote = &tunnel->remote_id;

	tunnel->local_id_addr = !tunnel->local_id.type;
	if (!tunnel->local_id.type && tunnel->local.len)
		moat_identity_from_addr(&tunnel->local, &tunnel->local_id);
	if (!remote->type && !tunnel->named && tunnel->n_remote == 1)
		moat_identity_from_addr(&tunnel->remote[0], remote);
	/* The secret may stand under the name. */
	for (unsigned int i = 0; !remote->type && !remote->len && i < tunnel->n_written;
	     i++) {
		const char *name = tunnel->written[i].name;

		remote->len = name ? strlen(name) : 0;
		memcpy(remote->data, name ? name : "", remote->len);
	}
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
	*draft = (struct draft){
		.reader = reader,
		.block = block,
		.tunnel = tunnel,
		.local_port = { 0, UINT16_MAX },
		.remote_port = { 0, UINT16_MAX },
	};
	if (strlen(name) > MOAT_TUNNEL_NAME_MAX)
		moat_reader_wrong(reader, block,
				  "the name of a tunnel may have %u characters",
				  MOAT_TUNNEL_NAME_MAX);
	/* It would be a pattern wherever names are typed. */
	if (strchr(name, '*'))
		moat_reader_wrong(
			reader, block,
			"tunnel \"%s\": the name of a tunnel consists of letters, "
			"digits, - and _",
			name);
	strncpy(tunnel->name, name, MOAT_TUNNEL_NAME_MAX);
	tunnel->line = config_setting_source_line(block);
	set_defaults(tunnel);
	read_keys(draft);
	note_lines(draft);
	check_required(draft);
	check_dpd(draft);
	moat_check_families(draft);
	moat_check_nets(draft);
	if (tunnel->action == MOAT_ACTION_PROTECT)
		moat_check_weak(draft);
	moat_check_groups(draft);
	moat_check_ports(draft);
	moat_check_esn(draft);
	moat_apply_esn(draft, &tunnel->esp);
	moat_apply_esn(draft, &tunnel->ah);
	moat_check_wild(draft);
	moat_check_transport(draft);
	moat_check_shape(draft);
	moat_make_pairs(draft);
	default_ids(tunnel);
	if (tunnel->action == MOAT_ACTION_PROTECT)
		moat_creds_read(reader, block, tunnel, draft->weak);
	free(draft);
	return tunnel;
}

void moat_tunnel_conf_free(struct moat_tunnel_conf *tunnel)
{
	if (!tunnel)
		return;
	moat_creds_put(tunnel->creds);
	for (unsigned int i = 0; i < tunnel->n_written; i++)
		free(tunnel->written[i].name);
	free(tunnel->written);
	free(tunnel->remote);
	free(tunnel->pairs);
	free(tunnel);
}
