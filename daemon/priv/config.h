/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The configuration: DIR/moat.conf, then what lies in DIR/conf.d and ends in .conf,
 * libconfig syntax. Each file is parsed alone and merged. A syntax error ends its file;
 * mistakes of meaning are all told at once, over all files.
 */
#ifndef MOAT_PRIV_CONFIG_H
#define MOAT_PRIV_CONFIG_H

#include <stdio.h>

#include "ike/creds.h"
#include "ike/tunnel.h"
#include "priv/keys_rsa.h"
#include "priv/mistake.h"

/**
 * struct moat_config - the tunnels of all files
 * @tunnels: in the order in which they were read
 * @n_tunnels: how many
 * @files: names the tunnels' @file points to
 * @n_files: how many
 * @dir: where files of certificates are, unless their paths are absolute
 * @creds: certificates that tunnels share; @n_creds of them
 * @creds_names: which files they are from
 * @keys: private keys that tunnels name; @n_keys of them
 */
struct moat_config {
	struct moat_tunnel_conf **tunnels;
	unsigned int n_tunnels;
	char **files;
	unsigned int n_files;
	const char *dir;
	struct moat_creds **creds;
	char **creds_names;
	unsigned int n_creds;
	struct moat_key_conf *keys;
	unsigned int n_keys;
};

/**
 * moat_config_load() - read all configuration files of a directory
 * @config: zeroed; filled in
 * @dir: the directory ("/etc/moat")
 * @mistakes: appended to
 *
 * Return: true when nothing was wrong. @config is to be freed in any case.
 */
bool moat_config_load(struct moat_config *config, const char *dir,
		      struct moat_mistakes *mistakes);

/**
 * moat_config_read() - read one file; moat_config_finish() after the last one
 * @config: appended to
 * @file: open for reading; stays open
 * @name: its name, for messages
 * @mistakes: appended to
 */
void moat_config_read(struct moat_config *config, FILE *file, const char *name,
		      struct moat_mistakes *mistakes);

/** moat_config_file() - remember a file's name for as long as @config lives */
const char *moat_config_file(struct moat_config *config, const char *name);

/** moat_config_add_creds() - append credentials, which belong to @config from now on */
void moat_config_add_creds(struct moat_config *config, struct moat_creds *creds,
			   const char *names);

/** moat_config_add() - append a tunnel, which belongs to @config from now on */
void moat_config_add(struct moat_config *config, struct moat_tunnel_conf *tunnel);

/** moat_config_finish() - look for what tunnels must not have in common */
void moat_config_finish(struct moat_config *config, struct moat_mistakes *mistakes);

/** moat_addr_unusable() - why an address cannot be one gateway's, or NULL */
const char *moat_addr_unusable(const struct moat_addr *addr);

void moat_config_free(struct moat_config *config);

/** moat_tunnel_conf_free() - free one tunnel and what it points to (not @file) */
void moat_tunnel_conf_free(struct moat_tunnel_conf *tunnel);

/**
 * moat_identity_parse() - read an identity of phase 1
 * @text: address, FQDN, @FQDN, user@FQDN, or "dn:...", or "keyid:..."
 * @id: result
 *
 * Return: NULL, or a sentence that says what is wrong.
 */
const char *moat_identity_parse(const char *text, struct moat_identity *id);

/** moat_identity_equal() - same type and same value */
bool moat_identity_equal(const struct moat_identity *a, const struct moat_identity *b);

#endif
