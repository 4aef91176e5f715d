/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the moat command share. */
#ifndef MOAT_CLI_CLI_H
#define MOAT_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdnoreturn.h>
#include <jansson.h>
#include "ike/addr.h"
#include "priv/nl.h"

#define MOAT_JSON_SCHEMA 1

enum moat_exit {
	MOAT_EXIT_DONE = 0,
	MOAT_EXIT_FAILED = 1,
	MOAT_EXIT_USAGE = 2,
	MOAT_EXIT_NO_DAEMON = 3,
	MOAT_EXIT_TIMEOUT = 4,
};

/**
 * struct moat_cli - options that stand before or behind any command
 * @rundir: of -r: where the daemon's control socket is
 * @json: one JSON document instead of text
 */
struct moat_cli {
	const char *rundir;
	bool json;
};

/**
 * struct moat_command - one row of a table of commands; an empty one ends it
 * @name: word; may be abbreviated as long as no other of the table begins so
 * @usage: what follows the word, for help
 * @help: one line
 * @run: does it; @argv holds the words behind the name
 * @sub: instead of @run: the table of the next word
 */
struct moat_command {
	const char *name;
	const char *usage;
	const char *help;
	int (*run)(const struct moat_cli *cli, int argc, char **argv);
	const struct moat_command *sub;
};

int moat_cli_dispatch(const struct moat_cli *cli, const struct moat_command *table,
		      const char *path, int argc, char **argv);

/* main.c includes these tables and commands, one set per file. */
extern const struct moat_command moat_sa_commands[];
extern const struct moat_command moat_policy_commands[];
int moat_cli_policies(const struct moat_cli *cli, int argc, char **argv);
int moat_cli_why(const struct moat_cli *cli, int argc, char **argv);
int moat_cli_counters(const struct moat_cli *cli, int argc, char **argv);

/* args.c: words of the command line; what is wrong with one ends the program */
noreturn void moat_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));
int moat_failed(const char *format, ...) __attribute__((format(printf, 1, 2)));

/**
 * struct moat_args - the words not yet taken
 * @what: keyword that was taken last, for messages
 */
struct moat_args {
	int argc;
	char **argv;
	const char *what;
};

int moat_match(const char *word, const char *const *names);
int moat_args_keyword(struct moat_args *args, const char *const *names);
const char *moat_args_word(struct moat_args *args);
uint64_t moat_args_number(struct moat_args *args, uint64_t min, uint64_t max);
uint32_t moat_args_spi(struct moat_args *args);
void moat_args_addr(struct moat_args *args, struct moat_addr *addr);
void moat_args_network(struct moat_args *args, struct moat_range *range);
void moat_args_ports(struct moat_args *args, uint16_t port[2]);
void moat_args_octets(struct moat_args *args, uint8_t range[2]);
void moat_args_mark(struct moat_args *args, uint32_t *mark, uint32_t *mask);
uint8_t moat_args_protocol(struct moat_args *args);
int moat_args_choice(struct moat_args *args, const char *const *names);
void moat_args_end(const struct moat_args *args);

/* key.c */
int moat_key_read(const char *source, const char *alg, size_t enc_len, size_t auth_len,
		  uint8_t *key);

/* names.c: enums of uapi/linux/moat.h and values as words */
extern const char *const moat_direction_names[];
extern const char *const moat_mode_names[];
extern const char *const moat_df_names[];
extern const char *const moat_action_names[];
bool moat_has_type(uint8_t protocol);
const char *moat_name(const char *const *names, unsigned int value);
const char *moat_ipsec_name(uint8_t protocol, char buf[8]);
void moat_sa_alg_text(const struct moat_nl_sa *sa, char *buf, size_t size);
void moat_time_text(uint64_t seconds, char buf[32]);

/* view.c: pieces of text and JSON views */
void moat_text_selector(const struct moat_selector *sel);
void moat_text_counters(const char *indent, const struct moat_nl_counters *counters);
void moat_text_sa(const struct moat_nl_sa *sa);
void moat_text_policy(const struct moat_nl_policy *policy);
json_t *moat_json_document(void);
json_t *moat_json_addr(const struct moat_addr *addr);
json_t *moat_json_counters(const struct moat_nl_counters *counters);
json_t *moat_json_sa(const struct moat_nl_sa *sa);
json_t *moat_json_policy(const struct moat_nl_policy *policy);
int moat_json_print(json_t *document);

/* override.c: policies by hand before those that protect */

/**
 * struct moat_override - a policy that another one takes traffic from
 * @policy: its id; 0 for none
 * @tunnel: whose it is; empty when no daemon knows
 * @others: so many more there are
 */
struct moat_override {
	uint32_t policy;
	struct moat_selector selector;
	char tunnel[128];
	unsigned int others;
};

int moat_override_find(const struct moat_cli *cli, struct moat_nl *nl,
		       const struct moat_nl_policy *policy,
		       const struct moat_nl_flow *flow, struct moat_override *override);
const char *moat_override_text(const struct moat_override *override, char *text,
			       size_t size);

/* kernel.c: the netlink client with its complaints */
struct moat_nl *moat_kernel_open(void);
int moat_kernel_done(struct moat_nl *nl, int err);

#endif
