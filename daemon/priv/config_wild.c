// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * remote = "any": what such a tunnel must say, and what makes no sense in it. Who
 * its peers are only their certificates tell.
 */
#include <string.h>

#include "priv/config_draft.h"
#include "wire/isakmp.h"

/* Room for ":" and a number behind it. */
#define NAME_MAX_WILD (MOAT_TUNNEL_NAME_MAX - 12)

static void wrong(struct draft *draft, const char *key, const char *why)
{
	config_setting_t *setting = config_setting_get_member(draft->block, key);

	moat_reader_wrong(draft->reader, setting ? setting : draft->block,
			  "tunnel \"%s\": with remote = \"any\" %s", draft->tunnel->name,
			  why);
}

void moat_check_wild(struct draft *draft)
{
	struct moat_tunnel_conf *tunnel = draft->tunnel;

	if (!tunnel->any && tunnel->peers)
		moat_reader_wrong(draft->reader,
				  config_setting_get_member(draft->block, "peers"),
				  "tunnel \"%s\": peers belongs to remote = \"any\"",
				  tunnel->name);
	if (!tunnel->any || tunnel->action != MOAT_ACTION_PROTECT)
		return;
	if (!tunnel->peers)
		tunnel->peers = MOAT_PEERS_DEFAULT;
	if (tunnel->n_written)
		wrong(draft, "remote",
		      "no address or name can stand beside it: write a tunnel for each");
	if (tunnel->local_any)
		wrong(draft, "local",
		      "local must be an address: \"any\" is the one that leads to the "
		      "peer");
	if (tunnel->auth != MOAT_METHOD_RSA_SIG)
		wrong(draft, "auth",
		      "auth must be \"rsa-sig\": a pre-shared key of many peers proves "
		      "nobody's name, and encrypted nonces need the key of one peer");
	if (tunnel->exchange != MOAT_EXCHANGE_MAIN)
		wrong(draft, "exchange",
		      "exchange must be \"main\": in aggressive mode anybody's first "
		      "message would cost a signature");
	if (tunnel->mode != MOAT_MODE_TUNNEL)
		wrong(draft, "mode",
		      "mode must be \"tunnel\": transport mode needs the peer's address");
	if (tunnel->device[0])
		wrong(draft, "device",
		      "there can be no device: routing could not tell its peers apart");
	if (config_setting_get_member(draft->block, "start") &&
	    tunnel->start != MOAT_START_NONE)
		wrong(draft, "start",
		      "only the peers can begin: leave start out, or write \"none\"");
	tunnel->start = MOAT_START_NONE;
	if (strlen(tunnel->name) > NAME_MAX_WILD)
		wrong(draft, "remote",
		      "the tunnel's name may have 51 characters: those of its peers' "
		      "tunnels are longer");
}
