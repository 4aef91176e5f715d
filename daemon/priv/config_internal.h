/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the configuration parser share. */
#ifndef MOAT_PRIV_CONFIG_INTERNAL_H
#define MOAT_PRIV_CONFIG_INTERNAL_H

#include <libconfig.h>

#include "priv/config.h"

/**
 * struct moat_reader - one file being read
 * @name: its name, for messages
 * @mistakes: where they go
 * @config: what it becomes part of; NULL for secrets
 * @tree: what libconfig made of it
 */
struct moat_reader {
	const char *name;
	struct moat_mistakes *mistakes;
	struct moat_config *config;
	config_t tree;
};

/**
 * moat_reader_open() - read a whole file and parse it
 * @reader: @name and @mistakes are set
 * @file: open for reading
 *
 * Return: false after a mistake that ends the file; otherwise moat_reader_close()
 * frees the tree.
 */
bool moat_reader_open(struct moat_reader *reader, FILE *file);
void moat_reader_close(struct moat_reader *reader);

/** moat_reader_wrong() - a mistake at the line of a setting */
#define moat_reader_wrong(reader, setting, ...)          \
	moat_mistake((reader)->mistakes, (reader)->name, \
		     config_setting_source_line(setting), __VA_ARGS__)

/** moat_reader_warn() - a warning at the line of a setting */
#define moat_reader_warn(reader, setting, ...)           \
	moat_warning((reader)->mistakes, (reader)->name, \
		     config_setting_source_line(setting), __VA_ARGS__)

/* The values of settings. False: wrong type or range, and a mistake is noted. */
bool moat_value_string(struct moat_reader *reader, config_setting_t *setting,
		       const char **value);
bool moat_value_bool(struct moat_reader *reader, config_setting_t *setting, bool *value);
bool moat_value_number(struct moat_reader *reader, config_setting_t *setting,
		       uint64_t low, uint64_t high, uint64_t *value);

/** moat_value_number_or() - a number, or the one word that stands beside it */
bool moat_value_number_or(struct moat_reader *reader, config_setting_t *setting,
			  const char *word, uint64_t low, uint64_t high, uint64_t *value,
			  bool *is_word);

/**
 * moat_value_strings() - walk through a string, or an array or list of strings
 * @fn: called for each; @arg is passed on; false when the rest need not be read
 */
void moat_value_strings(struct moat_reader *reader, config_setting_t *setting,
			bool (*fn)(struct moat_reader *reader, config_setting_t *setting,
				   const char *text, void *arg),
			void *arg);

/** moat_value_bytes() - "64K", "100M", "5G", "1T": powers of 1024 */
bool moat_value_bytes(struct moat_reader *reader, config_setting_t *setting,
		      uint64_t *value);

/** moat_value_word() - one of @words (@n of them); @index says which */
bool moat_value_word(struct moat_reader *reader, config_setting_t *setting,
		     const char *const *words, unsigned int n, unsigned int *index);

/** moat_unknown_key() - the mistake for a key that does not exist */
void moat_unknown_key(struct moat_reader *reader, config_setting_t *setting,
		      const char *where, const char *const *known, size_t n);

/**
 * moat_tunnel_read() - read one tunnel's block
 *
 * Return: the tunnel, freed by moat_tunnel_conf_free(), or NULL when the block
 * is none. With mistakes noted it is incomplete.
 */
struct moat_tunnel_conf *moat_tunnel_read(struct moat_reader *reader,
					  config_setting_t *block);

/** moat_check_shadows() - warn of pairs that those of other tunnels cover */
void moat_check_shadows(const struct moat_config *config, struct moat_mistakes *mistakes);

/** moat_check_lans() - warn of local nets inside remote nets */
void moat_check_lans(const struct moat_config *config, struct moat_mistakes *mistakes);

/** moat_check_swapped() - refuse pairs that are each other's mirror, with one peer */
void moat_check_swapped(const struct moat_config *config, struct moat_mistakes *mistakes);

/** moat_check_shared() - warn of tunnels of one peer that want phase 1 otherwise */
void moat_check_shared(const struct moat_config *config, struct moat_mistakes *mistakes);

/**
 * moat_creds_read() - read the files of a tunnel's certificates, and check them
 * @tunnel: complete but for its credentials
 * @weak: weak = true was given
 */
void moat_creds_read(struct moat_reader *reader, config_setting_t *block,
		     struct moat_tunnel_conf *tunnel, bool weak);

#endif
