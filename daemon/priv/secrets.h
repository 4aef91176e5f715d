/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pre-shared keys: DIR/secrets.conf. The supervisor opens the files and checks
 * who may read them; only the keys process (and `moat check`) parses them.
 */
#ifndef MOAT_PRIV_SECRETS_H
#define MOAT_PRIV_SECRETS_H

#include <stdio.h>

#include "ike/tunnel.h"
#include "priv/mistake.h"

#define MOAT_PSK_MAX 512 /* octets */

/**
 * struct moat_secret - one pre-shared key
 * @remote: whose; type 0 is "any"
 * @line: where it stands
 * @psk: the key, locked into memory
 * @len: octets of @psk
 */
struct moat_secret {
	struct moat_identity remote;
	unsigned int line;
	uint8_t *psk;
	size_t len;
};

/**
 * struct moat_secrets - all of them
 */
struct moat_secrets {
	struct moat_secret *list;
	unsigned int n;
};

/**
 * moat_secret_open_fn - open a file named by psk-file
 * @path: as written
 * @why: on failure the reason, one sentence
 * @size: size of @why
 *
 * Return: a descriptor, or -1.
 */
typedef int (*moat_secret_open_fn)(void *arg, const char *path, char *why, size_t size);

/**
 * moat_secrets_open() - open a file with secrets that only its owner may read
 * @dir: the configuration directory
 * @path: relative to it; nothing outside it is opened
 * @why: on failure the reason, one sentence
 * @size: size of @why
 *
 * Return: a descriptor, or -1.
 */
int moat_secrets_open(const char *dir, const char *path, char *why, size_t size);

/**
 * moat_key_open() - open a private key, which only its owner may read
 * @path: relative to @dir, or absolute
 *
 * Return: as moat_secrets_open().
 */
int moat_key_open(const char *dir, const char *path, char *why, size_t size);

/**
 * moat_secrets_read() - read secrets.conf
 * @secrets: zeroed; filled in
 * @fd: open for reading; closed here
 * @name: its name, for messages
 * @open_file: opens what psk-file names
 * @arg: its first argument
 * @mistakes: appended to
 */
void moat_secrets_read(struct moat_secrets *secrets, int fd, const char *name,
		       moat_secret_open_fn open_file, void *arg,
		       struct moat_mistakes *mistakes);

/**
 * moat_secrets_find() - the secret of a peer
 * @remote_id: its identity, type 0 when unknown; looked for first
 * @remote: its address; looked for next, then "any"
 *
 * Return: the secret, or NULL.
 */
const struct moat_secret *moat_secrets_find(const struct moat_secrets *secrets,
					    const struct moat_identity *remote_id,
					    const struct moat_addr *remote);

/**
 * moat_secrets_check_peers() - note mistakes where one peer has several secrets
 * @tunnels: all of them; @n how many
 *
 * In main mode with PSK the identity comes encrypted under a key that is made of
 * the secret (RFC 2409 section 5.4): it is chosen by the peer's address alone.
 */
void moat_secrets_check_peers(const struct moat_secrets *secrets,
			      struct moat_tunnel_conf *const *tunnels, unsigned int n,
			      struct moat_mistakes *mistakes);

/** moat_secrets_check() - note a mistake when a tunnel with auth = "psk" has none */
void moat_secrets_check(const struct moat_secrets *secrets,
			const struct moat_tunnel_conf *tunnel, const char *name,
			struct moat_mistakes *mistakes);

/** moat_secrets_free() - wipe and free */
void moat_secrets_free(struct moat_secrets *secrets);

#endif
