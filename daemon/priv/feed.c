// SPDX-License-Identifier: GPL-2.0-or-later
/* The configuration on its way from the supervisor to the other processes. */
#include "priv/feed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int send_der(int fd, enum moat_creds_part part, const struct moat_der *der)
{
	struct moat_ipc msg;
	size_t done = 0;

	do {
		size_t len = der->len - done;

		moat_ipc_init(&msg, MOAT_IPC_DER, 0);
		if (len > sizeof(msg.der.data))
			len = sizeof(msg.der.data);
		msg.der.part = part;
		msg.der.len = len;
		memcpy(msg.der.data, der->data + done, len);
		done += len;
		msg.der.end = done == der->len;
		if (moat_ipc_send(fd, &msg, -1, 0))
			return -1;
	} while (done < der->len);
	return 0;
}

int moat_feed_send_creds(int fd, const struct moat_config *config)
{
	struct moat_ipc msg;

	for (unsigned int i = 0; i < config->n_creds; i++) {
		const struct moat_creds *creds = config->creds[i];

		moat_ipc_init(&msg, MOAT_IPC_CREDS, 0);
		msg.creds.weak = creds->weak;
		msg.creds.key_len = creds->key_len;
		memcpy(msg.creds.key_id, creds->key_id, sizeof(msg.creds.key_id));
		if (moat_ipc_send(fd, &msg, -1, 0))
			return -1;
		for (unsigned int part = 0; part < MOAT_CREDS_PARTS; part++) {
			for (unsigned int j = 0; j < creds->part[part].n; j++) {
				if (send_der(fd, part, &creds->part[part].list[j]))
					return -1;
			}
		}
	}
	return 0;
}

static int send_tunnel(int fd, const struct moat_tunnel_conf *tunnel)
{
	struct moat_ipc msg;

	moat_ipc_init(&msg, MOAT_IPC_TUNNEL, 0);
	msg.tunnel.conf = *tunnel;
	msg.tunnel.conf.file = NULL;
	msg.tunnel.conf.remote = NULL;
	msg.tunnel.conf.pairs = NULL;
	msg.tunnel.conf.written = NULL;
	msg.tunnel.conf.n_written = 0;
	msg.tunnel.conf.creds = NULL;
	msg.tunnel.creds = tunnel->creds ? tunnel->creds->number : 0;
	moat_ipc_text(msg.tunnel.file, "%s", tunnel->file);
	if (moat_ipc_send(fd, &msg, -1, 0))
		return -1;
	for (unsigned int i = 0; i < tunnel->n_remote; i++) {
		moat_ipc_init(&msg, MOAT_IPC_REMOTE, 0);
		msg.remote = tunnel->remote[i];
		if (moat_ipc_send(fd, &msg, -1, 0))
			return -1;
	}
	for (unsigned int i = 0; i < tunnel->n_pairs; i++) {
		moat_ipc_init(&msg, MOAT_IPC_PAIR, 0);
		msg.pair = tunnel->pairs[i];
		if (moat_ipc_send(fd, &msg, -1, 0))
			return -1;
	}
	return 0;
}

int moat_feed_send(int fd, const struct moat_config *config)
{
	for (unsigned int i = 0; i < config->n_tunnels; i++) {
		if (send_tunnel(fd, config->tunnels[i]))
			return -1;
	}
	return 0;
}

static bool take_creds(struct moat_feed *feed, const struct moat_ipc *msg)
{
	struct moat_creds *creds = moat_creds_new();

	creds->weak = msg->creds.weak;
	creds->key_len = msg->creds.key_len;
	memcpy(creds->key_id, msg->creds.key_id, sizeof(creds->key_id));
	moat_config_add_creds(&feed->config, creds, "");
	return true;
}

static bool take_der(struct moat_feed *feed, const struct moat_ipc *msg)
{
	struct moat_config *config = &feed->config;
	size_t len = msg->der.len;

	if (!config->n_creds || msg->der.part >= MOAT_CREDS_PARTS ||
	    len > sizeof(msg->der.data))
		return false;
	feed->der = realloc(feed->der, feed->der_len + len + 1);
	if (!feed->der)
		abort();
	memcpy(feed->der + feed->der_len, msg->der.data, len);
	feed->der_len += len;
	if (!msg->der.end)
		return true;
	moat_creds_add(config->creds[config->n_creds - 1], msg->der.part, feed->der,
		       feed->der_len);
	free(feed->der);
	feed->der = NULL;
	feed->der_len = 0;
	return true;
}

/* Those who need none were sent none. */
static struct moat_creds *creds_of(struct moat_feed *feed, uint32_t number)
{
	struct moat_config *config = &feed->config;

	if (!number || number > config->n_creds)
		return NULL;
	if (config->creds[number - 1]->refs == 1)
		moat_creds_seal(config->creds[number - 1]);
	return moat_creds_get(config->creds[number - 1]);
}

static bool take_tunnel(struct moat_feed *feed, const struct moat_ipc *msg)
{
	const struct moat_tunnel_conf *conf = &msg->tunnel.conf;
	struct moat_tunnel_conf *tunnel = malloc(sizeof(*tunnel));
	char file[sizeof(msg->tunnel.file)];

	if (!tunnel)
		abort();
	memcpy(file, msg->tunnel.file, sizeof(file));
	file[sizeof(file) - 1] = '\0';
	*tunnel = *conf;
	tunnel->name[MOAT_TUNNEL_NAME_MAX] = '\0';
	tunnel->creds = creds_of(feed, msg->tunnel.creds);
	tunnel->file = moat_config_file(&feed->config, file);
	tunnel->remote = calloc(conf->n_remote + 1, sizeof(*tunnel->remote));
	tunnel->pairs = calloc(conf->n_pairs + 1, sizeof(*tunnel->pairs));
	if (!tunnel->remote || !tunnel->pairs)
		abort();
	feed->remotes = conf->n_remote;
	feed->pairs = conf->n_pairs;
	tunnel->n_remote = 0;
	tunnel->n_pairs = 0;
	moat_config_add(&feed->config, tunnel);
	return true;
}

bool moat_feed_complete(const struct moat_feed *feed)
{
	return !feed->remotes && !feed->pairs && !feed->der;
}

bool moat_feed_take(struct moat_feed *feed, const struct moat_ipc *msg)
{
	struct moat_config *config = &feed->config;
	struct moat_tunnel_conf *last =
		config->n_tunnels ? config->tunnels[config->n_tunnels - 1] : NULL;

	switch (msg->type) {
	case MOAT_IPC_CREDS:
		return moat_feed_complete(feed) && take_creds(feed, msg);
	case MOAT_IPC_DER:
		return take_der(feed, msg);
	case MOAT_IPC_TUNNEL:
		return moat_feed_complete(feed) && take_tunnel(feed, msg);
	case MOAT_IPC_REMOTE:
		if (!last || !feed->remotes)
			return false;
		last->remote[last->n_remote++] = msg->remote;
		feed->remotes--;
		return true;
	case MOAT_IPC_PAIR:
		if (!last || !feed->pairs)
			return false;
		last->pairs[last->n_pairs++] = msg->pair;
		feed->pairs--;
		return true;
	default:
		return false;
	}
}

void moat_feed_move(struct moat_feed *feed, struct moat_config *config)
{
	moat_config_free(config);
	*config = feed->config;
	*feed = (struct moat_feed){ 0 };
}
