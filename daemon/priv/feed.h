/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The configuration on its way from the supervisor to the other processes. */
#ifndef MOAT_PRIV_FEED_H
#define MOAT_PRIV_FEED_H

#include "priv/config.h"
#include "priv/ipc.h"

/**
 * struct moat_feed - a configuration that arrives message by message
 * @config: what has arrived
 * @remotes: REMOTE messages still to come for its last tunnel
 * @pairs: PAIR messages likewise
 * @der: an object of credentials of which more is to come, @der_len octets
 */
struct moat_feed {
	struct moat_config config;
	unsigned int remotes;
	unsigned int pairs;
	uint8_t *der;
	size_t der_len;
};

/**
 * moat_feed_send_creds() - send the certificates, before the tunnels
 *
 * Return: 0, or -1 with errno.
 */
int moat_feed_send_creds(int fd, const struct moat_config *config);

/**
 * moat_feed_send() - send all tunnels; a SETTLE message is the caller's
 *
 * Return: 0, or -1 with errno.
 */
int moat_feed_send(int fd, const struct moat_config *config);

/**
 * moat_feed_take() - take in a CREDS, DER, TUNNEL, REMOTE or PAIR message
 *
 * Return: false when it has no place here.
 */
bool moat_feed_take(struct moat_feed *feed, const struct moat_ipc *msg);

/** moat_feed_complete() - nothing is missing of the last tunnel */
bool moat_feed_complete(const struct moat_feed *feed);

/** moat_feed_move() - hand over the configuration; @feed is empty afterwards */
void moat_feed_move(struct moat_feed *feed, struct moat_config *config);

#endif
