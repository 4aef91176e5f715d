// SPDX-License-Identifier: GPL-2.0-or-later
/* Pre-shared keys: who may read them, how they are looked up, how they end. */
#include "priv/secrets.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "priv/config_internal.h"
#include "priv/guess.h"
#include "wire/isakmp.h"

/* The list keeps what is put into it; the analyzer loses it on the way. */
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"

/**
 * struct secrets_draft - secrets.conf while it is read
 */
struct secrets_draft {
	struct moat_secrets *secrets;
	struct moat_reader reader;
	moat_secret_open_fn open_file;
	void *arg;
};

static bool private_file(int fd, char *why, size_t size)
{
	struct stat st;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		snprintf(why, size, "is no regular file");
		return false;
	}
	/* Who owns it may read it, whatever the mode says. */
	if (st.st_uid && st.st_uid != geteuid()) {
		snprintf(why, size,
			 "belongs to user %u, who may read it (root was expected): run "
			 "chown root",
			 (unsigned int)st.st_uid);
		return false;
	}
	if (st.st_mode & 077) {
		snprintf(why, size,
			 "others may read it (mode %04o, 0600 was expected): run "
			 "chmod 0600",
			 st.st_mode & 07777);
		return false;
	}
	return true;
}

int moat_secrets_open(const char *dir, const char *path, char *why, size_t size)
{
	/* NONBLOCK: a FIFO must not stop us before we see that it is one. */
	struct open_how how = { .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
				.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS };
	int dirfd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC), fd;

	if (dirfd < 0) {
		snprintf(why, size, "cannot be opened: %s: %s", dir, strerror(errno));
		return -1;
	}
	fd = syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
	if (fd < 0 && errno == EXDEV)
		snprintf(why, size, "lies outside %s: name a file in it", dir);
	else if (fd < 0)
		snprintf(why, size, "cannot be opened: %s", strerror(errno));
	close(dirfd);
	if (fd >= 0 && !private_file(fd, why, size)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

int moat_key_open(const char *dir, const char *path, char *why, size_t size)
{
	return *path == '/' ? moat_secrets_open("/", path + strspn(path, "/"), why, size)
			    : moat_secrets_open(dir, path, why, size);
}

static struct moat_secret *add_secret(struct moat_secrets *secrets)
{
	struct moat_secret *list =
		reallocarray(secrets->list, secrets->n + 1, sizeof(*list));

	if (!list)
		abort();
	secrets->list = list;
	list[secrets->n] = (struct moat_secret){ 0 };
	return &list[secrets->n++];
}

static void set_psk(struct moat_secret *secret, const void *psk, size_t len)
{
	secret->psk = calloc(1, len);
	if (!secret->psk)
		abort();
	/* The keys process has locked all its memory; `moat check` tries. */
	mlock(secret->psk, len);
	memcpy(secret->psk, psk, len);
	secret->len = len;
}

static void read_psk(struct secrets_draft *draft, config_setting_t *setting,
		     struct moat_secret *secret)
{
	const char *psk = "";

	if (!moat_value_string(&draft->reader, setting, &psk))
		return;
	if (!*psk || strlen(psk) > MOAT_PSK_MAX)
		moat_reader_wrong(&draft->reader, setting,
				  "psk has %zu octets, it may have 1 to %u", strlen(psk),
				  MOAT_PSK_MAX);
	else
		set_psk(secret, psk, strlen(psk));
}

/* A file's octets are the key, except for newlines at its end. */
static void read_psk_file(struct secrets_draft *draft, config_setting_t *setting,
			  struct moat_secret *secret)
{
	uint8_t psk[MOAT_PSK_MAX + 2];
	const char *path = "";
	char why[256] = "";
	ssize_t len;
	int fd;

	if (!moat_value_string(&draft->reader, setting, &path))
		return;
	fd = draft->open_file(draft->arg, path, why, sizeof(why));
	if (fd < 0) {
		moat_reader_wrong(&draft->reader, setting, "psk-file \"%s\" %s", path,
				  why);
		return;
	}
	len = read(fd, psk, sizeof(psk));
	close(fd);
	while (len > 0 && (psk[len - 1] == '\n' || psk[len - 1] == '\r'))
		len--;
	if (len <= 0 || len > MOAT_PSK_MAX)
		moat_reader_wrong(&draft->reader, setting,
				  "psk-file \"%s\" may hold 1 to %u octets", path,
				  MOAT_PSK_MAX);
	else
		set_psk(secret, psk, len);
	explicit_bzero(psk, sizeof(psk));
}

static void read_remote(struct secrets_draft *draft, config_setting_t *setting,
			struct moat_secret *secret)
{
	const char *text = "", *why;

	if (!moat_value_string(&draft->reader, setting, &text))
		return;
	if (strcmp(text, "any")) {
		why = moat_identity_parse(text, &secret->remote);
		if (why) {
			moat_reader_wrong(&draft->reader, setting, "remote: \"%s\" %s",
					  text, why);
			return;
		}
	}
	for (struct moat_secret *s = draft->secrets->list; s < secret; s++) {
		if (moat_identity_equal(&s->remote, &secret->remote))
			moat_reader_wrong(&draft->reader, setting,
					  "a secret for \"%s\" stands in line %u already",
					  text, s->line);
	}
}

/* The secret itself is never shown, nor what of it is guessed so easily. */
static void warn_of_guesses(struct secrets_draft *draft, config_setting_t *setting,
			    const struct moat_secret *secret, const char *remote)
{
	unsigned int bits = moat_psk_bits(secret->psk, secret->len);

	if (bits < MOAT_PSK_BITS)
		moat_reader_warn(
			&draft->reader, setting,
			"the secret for \"%s\" can be guessed: it is worth about "
			"%u bits, and %u or more were expected; moat genpsk "
			"makes one",
			remote, bits, MOAT_PSK_BITS);
}

static void read_entry(struct secrets_draft *draft, config_setting_t *entry)
{
	static const char *const known[] = { "remote", "psk", "psk-file" };
	config_setting_t *remote, *psk, *file;
	struct moat_secret *secret;

	if (!config_setting_is_group(entry)) {
		moat_reader_wrong(&draft->reader, entry,
				  "expected { remote = \"...\", psk = \"...\" }");
		return;
	}
	for (int i = 0; i < config_setting_length(entry); i++) {
		config_setting_t *setting = config_setting_get_elem(entry, i);
		const char *name = config_setting_name(setting);

		if (strcmp(name, "remote") && strcmp(name, "psk") &&
		    strcmp(name, "psk-file"))
			moat_unknown_key(&draft->reader, setting, "a secret", known, 3);
	}
	remote = config_setting_get_member(entry, "remote");
	psk = config_setting_get_member(entry, "psk");
	file = config_setting_get_member(entry, "psk-file");
	if (!remote || !psk == !file) {
		moat_reader_wrong(&draft->reader, entry,
				  "a secret needs remote, and either psk or psk-file");
		return;
	}
	secret = add_secret(draft->secrets);
	secret->line = config_setting_source_line(entry);
	read_remote(draft, remote, secret);
	if (psk)
		read_psk(draft, psk, secret);
	else
		read_psk_file(draft, file, secret);
	if (secret->psk && config_setting_get_string(remote))
		warn_of_guesses(draft, psk ? psk : file, secret,
				config_setting_get_string(remote));
}

/* libconfig frees its strings as they are. */
static void wipe_tree(config_setting_t *setting)
{
	if (config_setting_is_aggregate(setting)) {
		for (int i = 0; i < config_setting_length(setting); i++)
			wipe_tree(config_setting_get_elem(setting, i));
	} else if (config_setting_type(setting) == CONFIG_TYPE_STRING) {
		explicit_bzero(setting->value.sval, strlen(setting->value.sval));
	}
}

static void read_root(struct secrets_draft *draft, config_setting_t *root)
{
	static const char *const known[] = { "secrets" };

	for (int i = 0; i < config_setting_length(root); i++) {
		config_setting_t *setting = config_setting_get_elem(root, i);

		if (strcmp(config_setting_name(setting), "secrets")) {
			moat_unknown_key(&draft->reader, setting, "secrets.conf", known,
					 1);
			continue;
		}
		if (!config_setting_is_list(setting)) {
			moat_reader_wrong(&draft->reader, setting,
					  "secrets is no list: expected secrets = ( { "
					  "remote = \"...\", psk = \"...\" } )");
			continue;
		}
		for (int j = 0; j < config_setting_length(setting); j++)
			read_entry(draft, config_setting_get_elem(setting, j));
	}
}

void moat_secrets_read(struct moat_secrets *secrets, int fd, const char *name,
		       moat_secret_open_fn open_file, void *arg,
		       struct moat_mistakes *mistakes)
{
	struct secrets_draft draft = { .secrets = secrets,
				       .reader = { .name = name, .mistakes = mistakes },
				       .open_file = open_file,
				       .arg = arg };
	FILE *file = fdopen(fd, "r");

	if (!file)
		abort();
	setvbuf(file, NULL, _IONBF, 0);
	if (moat_reader_open(&draft.reader, file)) {
		read_root(&draft, config_root_setting(&draft.reader.tree));
		wipe_tree(config_root_setting(&draft.reader.tree));
		moat_reader_close(&draft.reader);
	}
	fclose(file);
}

static const struct moat_secret *find_identity(const struct moat_secrets *secrets,
					       const struct moat_identity *id)
{
	for (unsigned int i = 0; i < secrets->n; i++) {
		if (moat_identity_equal(&secrets->list[i].remote, id))
			return &secrets->list[i];
	}
	return NULL;
}

const struct moat_secret *moat_secrets_find(const struct moat_secrets *secrets,
					    const struct moat_identity *remote_id,
					    const struct moat_addr *remote)
{
	static const struct moat_identity any;
	const struct moat_secret *found = NULL;
	struct moat_identity address;

	struct moat_identity name = *remote_id;

	/* Where there is no identity, the name under which it is configured. */
	if (!name.type && name.len)
		name.type = MOAT_ID_FQDN;
	if (name.type)
		found = find_identity(secrets, &name);
	if (!found && remote->len) {
		moat_identity_from_addr(remote, &address);
		found = find_identity(secrets, &address);
	}
	return found ? found : find_identity(secrets, &any);
}

void moat_secrets_check(const struct moat_secrets *secrets,
			const struct moat_tunnel_conf *tunnel, const char *name,
			struct moat_mistakes *mistakes)
{
	char text[MOAT_ADDR_STRLEN];

	if (tunnel->action != MOAT_ACTION_PROTECT || tunnel->auth != MOAT_METHOD_PSK)
		return;
	/* What its name will stand for nobody knows: the secret is its name's. */
	if (!tunnel->remote_id.type && tunnel->remote_id.len) {
		static const struct moat_addr none;

		if (!moat_secrets_find(secrets, &tunnel->remote_id, &none))
			moat_mistake(mistakes, tunnel->file, tunnel->line,
				     "tunnel \"%s\": no secret for %.*s: add { remote = "
				     "\"%.*s\", psk = \"...\" } to %s",
				     tunnel->name, tunnel->remote_id.len,
				     (const char *)tunnel->remote_id.data,
				     tunnel->remote_id.len,
				     (const char *)tunnel->remote_id.data, name);
		return;
	}
	for (unsigned int i = 0; i < tunnel->n_remote; i++) {
		if (!moat_secrets_find(secrets, &tunnel->remote_id, &tunnel->remote[i]))
			moat_mistake(mistakes, tunnel->file, tunnel->line,
				     "tunnel \"%s\": no secret for %s: add { remote = "
				     "\"%s\", psk = \"...\" } to %s",
				     tunnel->name,
				     moat_addr_str(&tunnel->remote[i], text), text, name);
	}
}

/**
 * struct claim - whose secret a tunnel takes when this peer begins
 */
struct claim {
	const struct moat_addr *local;
	const struct moat_addr *remote;
	const struct moat_tunnel_conf *tunnel;
	const struct moat_secret *secret;
	unsigned int place;
};

static int by_ends(const void *a, const void *b)
{
	const struct claim *x = a, *y = b;
	int d = memcmp(x->remote, y->remote, sizeof(*x->remote));

	if (!d)
		d = memcmp(x->local, y->local, sizeof(*x->local));
	return d ? d : (x->place > y->place) - (x->place < y->place);
}

static bool same_ends(const struct claim *a, const struct claim *b)
{
	return moat_addr_equal(a->remote, b->remote) &&
	       moat_addr_equal(a->local, b->local);
}

static bool same_secret(const struct moat_secret *a, const struct moat_secret *b)
{
	return a == b || (a->len == b->len && !memcmp(a->psk, b->psk, a->len));
}

static size_t claim_peers(struct claim *all, const struct moat_secrets *secrets,
			  struct moat_tunnel_conf *const *tunnels, unsigned int n)
{
	size_t found = 0;

	for (unsigned int i = 0; i < n; i++) {
		const struct moat_tunnel_conf *tunnel = tunnels[i];

		if (tunnel->action != MOAT_ACTION_PROTECT ||
		    tunnel->auth != MOAT_METHOD_PSK ||
		    tunnel->exchange != MOAT_EXCHANGE_MAIN)
			continue;
		for (unsigned int j = 0; j < tunnel->n_remote; j++) {
			const struct moat_addr *remote = &tunnel->remote[j];
			const struct moat_secret *secret =
				moat_secrets_find(secrets, &tunnel->remote_id, remote);

			if (secret && secret->psk)
				all[found++] = (struct claim){ &tunnel->local, remote,
							       tunnel, secret, i };
		}
	}
	return found;
}

void moat_secrets_check_peers(const struct moat_secrets *secrets,
			      struct moat_tunnel_conf *const *tunnels, unsigned int n,
			      struct moat_mistakes *mistakes)
{
	char text[MOAT_ADDR_STRLEN];
	struct claim *all;
	size_t n_claims = 0;

	for (unsigned int i = 0; i < n; i++)
		n_claims += tunnels[i]->n_remote;
	all = calloc(n_claims + 1, sizeof(*all));
	if (!all)
		abort();
	n_claims = claim_peers(all, secrets, tunnels, n);
	qsort(all, n_claims, sizeof(*all), by_ends);
	for (size_t i = 1; i < n_claims; i++) {
		const struct claim *a = &all[i - 1], *b = &all[i];

		if (!same_ends(a, b) || same_secret(a->secret, b->secret))
			continue;
		moat_mistake(
			mistakes, b->tunnel->file, b->tunnel->line,
			"tunnel \"%s\": its secret for %s is another one than that of "
			"tunnel \"%s\" (%s:%u): in main mode the peer's address alone "
			"chooses the secret, before remote-id is known (RFC 2409 "
			"section 5.4); give both the same one, or use certificates "
			"(auth = \"rsa-sig\")",
			b->tunnel->name, moat_addr_str(b->remote, text), a->tunnel->name,
			a->tunnel->file, a->tunnel->line);
	}
	free(all);
}

void moat_secrets_free(struct moat_secrets *secrets)
{
	for (unsigned int i = 0; i < secrets->n; i++) {
		if (secrets->list[i].psk)
			explicit_bzero(secrets->list[i].psk, secrets->list[i].len);
		free(secrets->list[i].psk);
	}
	free(secrets->list);
	*secrets = (struct moat_secrets){ 0 };
}
