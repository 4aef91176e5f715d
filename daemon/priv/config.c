// SPDX-License-Identifier: GPL-2.0-or-later
/* The configuration: which files, what they may hold, what must not clash. */
#include "priv/config.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "priv/config_internal.h"

const char *moat_config_file(struct moat_config *config, const char *name)
{
	char **files, *copy;

	if (config->n_files && !strcmp(config->files[config->n_files - 1], name))
		return config->files[config->n_files - 1];
	files = reallocarray(config->files, config->n_files + 1, sizeof(*files));
	copy = strdup(name);
	if (!files || !copy)
		abort();
	config->files = files;
	config->files[config->n_files++] = copy;
	return copy;
}

void moat_config_add(struct moat_config *config, struct moat_tunnel_conf *tunnel)
{
	size_t n = config->n_tunnels;

	/* Grow at each power of two. */
	if (!(n & (n - 1))) {
		config->tunnels = reallocarray(config->tunnels, n ? 2 * n : 1,
					       sizeof(*config->tunnels));
		if (!config->tunnels)
			abort();
	}
	config->tunnels[config->n_tunnels++] = tunnel;
}

void moat_config_add_creds(struct moat_config *config, struct moat_creds *creds,
			   const char *names)
{
	unsigned int n = config->n_creds;

	config->creds = reallocarray(config->creds, n + 1, sizeof(*config->creds));
	config->creds_names =
		reallocarray(config->creds_names, n + 1, sizeof(*config->creds_names));
	if (!config->creds || !config->creds_names)
		abort();
	config->creds_names[n] = strdup(names);
	if (!config->creds_names[n])
		abort();
	config->creds[n] = creds;
	config->n_creds = n + 1;
	creds->number = n + 1;
}

static void read_tunnels(struct moat_config *config, struct moat_reader *reader,
			 config_setting_t *tunnels, const char *file)
{
	if (!config_setting_is_group(tunnels)) {
		moat_reader_wrong(reader, tunnels,
				  "tunnels is no group: expected tunnels = { NAME = { "
				  "local = ... } }");
		return;
	}
	for (int i = 0; i < config_setting_length(tunnels); i++) {
		struct moat_tunnel_conf *tunnel =
			moat_tunnel_read(reader, config_setting_get_elem(tunnels, i));

		if (!tunnel)
			continue;
		tunnel->file = file;
		moat_config_add(config, tunnel);
	}
}

void moat_config_read(struct moat_config *config, FILE *file, const char *name,
		      struct moat_mistakes *mistakes)
{
	static const char *const known[] = { "tunnels" };
	struct moat_reader reader = { .name = name,
				      .mistakes = mistakes,
				      .config = config };
	unsigned int before = mistakes->n;
	config_setting_t *root;

	if (!moat_reader_open(&reader, file))
		return;
	reader.name = moat_config_file(config, name);
	root = config_root_setting(&reader.tree);
	for (int i = 0; i < config_setting_length(root); i++) {
		config_setting_t *setting = config_setting_get_elem(root, i);

		if (!strcmp(config_setting_name(setting), "tunnels"))
			read_tunnels(config, &reader, setting, reader.name);
		else if (!strcmp(config_setting_name(setting), "secrets"))
			moat_reader_wrong(&reader, setting,
					  "secrets belong into secrets.conf, which only "
					  "root may read");
		else
			moat_unknown_key(&reader, setting, "a configuration file", known,
					 1);
	}
	/* A file that an editor or a full disk has emptied must not end tunnels. */
	if (!config_setting_get_member(root, "tunnels") && mistakes->n == before)
		moat_mistake(
			mistakes, reader.name, 0,
			"holds no tunnels: expected tunnels = { NAME = { local = ... } "
			"}; if there shall be none, write tunnels = { };");
	moat_reader_close(&reader);
}

static int by_name(const void *a, const void *b)
{
	const struct moat_tunnel_conf *x = a, *y = b;

	return strcmp(x->name, y->name);
}

/**
 * struct owned_pair - a pair and the tunnel it stands in
 */
struct owned_pair {
	const struct moat_pair_conf *pair;
	const struct moat_tunnel_conf *tunnel;
};

static int by_selector(const void *a, const void *b)
{
	const struct owned_pair *x = a, *y = b;
	int d = memcmp(&x->pair->selector.local, &y->pair->selector.local,
		       sizeof(struct moat_range));

	if (!d)
		d = memcmp(&x->pair->selector.remote, &y->pair->selector.remote,
			   sizeof(struct moat_range));
	if (!d)
		d = x->pair->selector.protocol - y->pair->selector.protocol;
	if (!d)
		d = memcmp(x->pair->selector.local_port, y->pair->selector.local_port,
			   sizeof(x->pair->selector.local_port));
	if (!d)
		d = memcmp(x->pair->selector.remote_port, y->pair->selector.remote_port,
			   sizeof(x->pair->selector.remote_port));
	if (!d && x->tunnel->priority != y->tunnel->priority)
		d = x->tunnel->priority < y->tunnel->priority ? -1 : 1;
	if (!d && x->tunnel->mark != y->tunnel->mark)
		d = x->tunnel->mark < y->tunnel->mark ? -1 : 1;
	/* What is routed to one device never meets another one's policies. */
	return d ? d : strcmp(x->tunnel->device, y->tunnel->device);
}

/* Two tunnels of one name: the places of both. */
static void check_names(struct moat_config *config, struct moat_mistakes *mistakes)
{
	void *tree = NULL;

	for (unsigned int i = 0; i < config->n_tunnels; i++) {
		struct moat_tunnel_conf *tunnel = config->tunnels[i], **found;

		found = tsearch(tunnel, &tree, by_name);
		if (!found)
			abort();
		if (*found != tunnel)
			moat_mistake(mistakes, tunnel->file, tunnel->line,
				     "tunnel \"%s\" stands at %s:%u already",
				     tunnel->name, (*found)->file, (*found)->line);
	}
	for (unsigned int i = 0; i < config->n_tunnels; i++)
		tdelete(config->tunnels[i], &tree, by_name);
}

static void keep(void *node)
{
	(void)node;
}

/* Two policies for the same traffic: only one would ever be used. */
static void check_pairs(struct moat_config *config, struct moat_mistakes *mistakes)
{
	struct owned_pair *all, *next;
	void *tree = NULL;
	size_t n = 0;

	for (unsigned int i = 0; i < config->n_tunnels; i++)
		n += config->tunnels[i]->n_pairs;
	all = next = calloc(n + 1, sizeof(*all));
	if (!all)
		abort();
	for (unsigned int i = 0; i < config->n_tunnels; i++) {
		const struct moat_tunnel_conf *tunnel = config->tunnels[i];

		/* What its peers may have is decided when they come. */
		for (unsigned int j = 0; j < tunnel->n_pairs && !tunnel->any;
		     j++, next++) {
			struct owned_pair **found;
			char local[2 * MOAT_ADDR_STRLEN], remote[2 * MOAT_ADDR_STRLEN];

			*next = (struct owned_pair){ &tunnel->pairs[j], tunnel };
			found = tsearch(next, &tree, by_selector);
			if (!found)
				abort();
			if (*found == next || (*found)->tunnel == tunnel)
				continue;
			moat_mistake(mistakes, tunnel->file, tunnel->line,
				     "tunnel \"%s\": %s to %s is the traffic of tunnel "
				     "\"%s\" (%s:%u) already, with the same priority",
				     tunnel->name,
				     moat_range_str(&next->pair->selector.local, local),
				     moat_range_str(&next->pair->selector.remote, remote),
				     (*found)->tunnel->name, (*found)->tunnel->file,
				     (*found)->tunnel->line);
		}
	}
	tdestroy(tree, keep);
	free(all);
}

void moat_config_finish(struct moat_config *config, struct moat_mistakes *mistakes)
{
	check_names(config, mistakes);
	check_pairs(config, mistakes);
	moat_check_shadows(config, mistakes);
	moat_check_lans(config, mistakes);
	moat_check_swapped(config, mistakes);
	moat_check_shared(config, mistakes);
}

static void load_file(struct moat_config *config, const char *name,
		      struct moat_mistakes *mistakes)
{
	/* NONBLOCK: a FIFO must not stop us before we see that it is one. */
	int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	FILE *file;

	if (fd < 0) {
		moat_mistake(mistakes, name, 0, "cannot be opened: %s", strerror(errno));
		return;
	}
	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		moat_mistake(mistakes, name, 0, "is no regular file");
		close(fd);
		return;
	}
	file = fdopen(fd, "r");
	if (!file)
		abort();
	moat_config_read(config, file, name, mistakes);
	fclose(file);
}

bool moat_config_load(struct moat_config *config, const char *dir,
		      struct moat_mistakes *mistakes)
{
	char name[4096];
	glob_t more;

	config->dir = dir;
	snprintf(name, sizeof(name), "%s/moat.conf", dir);
	load_file(config, name, mistakes);
	snprintf(name, sizeof(name), "%s/conf.d/*.conf", dir);
	if (!glob(name, 0, NULL, &more)) {
		for (size_t i = 0; i < more.gl_pathc; i++)
			load_file(config, more.gl_pathv[i], mistakes);
		globfree(&more);
	}
	moat_config_finish(config, mistakes);
	return !mistakes->n;
}

void moat_config_free(struct moat_config *config)
{
	for (unsigned int i = 0; i < config->n_tunnels; i++)
		moat_tunnel_conf_free(config->tunnels[i]);
	for (unsigned int i = 0; i < config->n_files; i++)
		free(config->files[i]);
	for (unsigned int i = 0; i < config->n_creds; i++) {
		moat_creds_put(config->creds[i]);
		free(config->creds_names[i]);
	}
	for (unsigned int i = 0; i < config->n_keys; i++)
		free(config->keys[i].path);
	free(config->creds);
	free(config->creds_names);
	free(config->keys);
	free(config->tunnels);
	free(config->files);
	*config = (struct moat_config){ 0 };
}
