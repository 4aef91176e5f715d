// SPDX-License-Identifier: GPL-2.0-or-later
/* moat check: read the configuration and the secrets; change nothing. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/control.h"
#include "priv/config.h"
#include "priv/secrets.h"
#include "wire/isakmp.h"

static int open_beneath(void *arg, const char *path, char *why, size_t size)
{
	return moat_secrets_open(arg, path, why, size);
}

static bool need_secrets(const struct moat_config *config)
{
	for (unsigned int i = 0; i < config->n_tunnels; i++) {
		if (config->tunnels[i]->action == MOAT_ACTION_PROTECT &&
		    config->tunnels[i]->auth == MOAT_METHOD_PSK)
			return true;
	}
	return false;
}

static void check_keys(const struct moat_config *config, const char *dir,
		       struct moat_mistakes *mistakes)
{
	struct moat_rsa_keys keys = { 0 };
	char why[256];

	for (unsigned int i = 0; i < config->n_keys; i++) {
		const struct moat_key_conf *key = &config->keys[i];
		int fd = moat_key_open(dir, key->path, why, sizeof(why));

		if (fd < 0) {
			moat_mistake(mistakes, key->file, key->line, "key \"%s\" %s",
				     key->path, why);
			continue;
		}
		moat_rsa_keys_read(&keys, fd, key, mistakes);
		close(fd);
	}
	moat_rsa_keys_free(&keys);
}

static void check_secrets(const struct moat_config *config, const char *dir,
			  struct moat_mistakes *mistakes)
{
	struct moat_secrets secrets = { 0 };
	char name[4096], why[256] = "";
	int fd = moat_secrets_open(dir, "secrets.conf", why, sizeof(why));

	snprintf(name, sizeof(name), "%s/secrets.conf", dir);
	if (fd < 0) {
		if (need_secrets(config))
			moat_mistake(mistakes, name, 0, "%s", why);
		return;
	}
	moat_secrets_read(&secrets, fd, name, open_beneath, (void *)dir, mistakes);
	for (unsigned int i = 0; i < config->n_tunnels; i++)
		moat_secrets_check(&secrets, config->tunnels[i], name, mistakes);
	moat_secrets_check_peers(&secrets, config->tunnels, config->n_tunnels, mistakes);
	moat_secrets_free(&secrets);
}

static int print_json(const struct moat_config *config,
		      const struct moat_mistakes *mistakes)
{
	json_t *document = moat_json_document(), *list = json_array();

	for (unsigned int i = 0; i < mistakes->n; i++)
		json_array_append_new(list, json_string(mistakes->list[i]));
	json_object_set_new(document, "tunnels", json_integer(config->n_tunnels));
	json_object_set_new(document, "mistakes", list);
	list = json_array();
	for (unsigned int i = 0; i < mistakes->n_warnings; i++)
		json_array_append_new(list, json_string(mistakes->warnings[i]));
	json_object_set_new(document, "warnings", list);
	return moat_json_print(document);
}

/** moat_cli_check() - moat check [-c DIR] */
int moat_cli_check(const struct moat_cli *cli, int argc, char **argv)
{
	const char *dir = "/etc/moat";
	struct moat_config config = { 0 };
	struct moat_mistakes mistakes = { 0 };
	int status;

	if (argc == 2 && !strcmp(argv[0], "-c"))
		dir = argv[1];
	else if (argc)
		moat_usage("usage: moat check [-c DIR]");
	moat_config_load(&config, dir, &mistakes);
	check_secrets(&config, dir, &mistakes);
	check_keys(&config, dir, &mistakes);
	status = mistakes.n ? MOAT_EXIT_FAILED : MOAT_EXIT_DONE;
	if (cli->json)
		print_json(&config, &mistakes);
	for (unsigned int i = 0; i < mistakes.n && !cli->json; i++)
		fprintf(stderr, "%s\n", mistakes.list[i]);
	for (unsigned int i = 0; i < mistakes.n_warnings && !cli->json; i++)
		fprintf(stderr, "warning: %s\n", mistakes.warnings[i]);
	if (!cli->json)
		printf("%u tunnels, %u mistakes\n", config.n_tunnels, mistakes.n);
	moat_config_free(&config);
	moat_mistakes_free(&mistakes);
	return status;
}
