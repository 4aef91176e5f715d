// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * DNS names of peers, and our own address towards them. Names are asked for again
 * all the time: there is no other way to see that an answer has changed, and its
 * time to live is the business of the resolver that is asked.
 */
#include "priv/names.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "priv/log.h"

#define EVERY	 5 /* seconds */
#define OPEN_MAX 64

static struct moat_name *find(const struct moat_names *names, const char *name)
{
	for (unsigned int i = 0; i < names->n; i++) {
		if (!strcmp(names->list[i].name, name))
			return &names->list[i];
	}
	return NULL;
}

static struct moat_name *add(struct moat_names *names, const char *name)
{
	struct moat_name *new;

	names->list = reallocarray(names->list, names->n + 1, sizeof(*names->list));
	if (!names->list)
		abort();
	new = &names->list[names->n++];
	*new = (struct moat_name){ 0 };
	snprintf(new->name, sizeof(new->name), "%s", name);
	return new;
}

static void drop_unwanted(struct moat_names *names)
{
	unsigned int kept = 0;

	for (unsigned int i = 0; i < names->n; i++) {
		if (names->list[i].wanted)
			names->list[kept++] = names->list[i];
		else if (names->list[i].asked)
			names->asked--;
	}
	names->n = kept;
}

void moat_names_want(struct moat_names *names, const struct moat_config *config)
{
	for (unsigned int i = 0; i < names->n; i++)
		names->list[i].wanted = false;
	for (unsigned int i = 0; i < config->n_tunnels; i++) {
		const struct moat_tunnel_conf *tunnel = config->tunnels[i];

		for (unsigned int j = 0; j < tunnel->n_written; j++) {
			const char *text = tunnel->written[j].name;
			struct moat_name *name = text ? find(names, text) : NULL;

			if (text && !name)
				name = add(names, text);
			if (name)
				name->wanted = true;
		}
	}
	drop_unwanted(names);
}

const char *moat_names_due(struct moat_names *names, uint64_t now)
{
	for (unsigned int i = 0; i < names->n && names->asked < OPEN_MAX; i++) {
		struct moat_name *name = &names->list[i];

		if (name->asked || !name->wanted || name->due > now)
			continue;
		name->asked = true;
		names->asked++;
		return name->name;
	}
	return NULL;
}

static bool has(const struct moat_name *name, const struct moat_addr *addr)
{
	for (unsigned int i = 0; i < name->n; i++) {
		if (moat_addr_equal(&name->addrs[i], addr))
			return true;
	}
	return false;
}

/* A name server may turn its answers round as it likes: only the set counts. */
static bool same_set(const struct moat_name *name, const struct moat_ipc *msg)
{
	for (unsigned int i = 0; i < msg->resolved.n; i++) {
		if (!has(name, &msg->resolved.addrs[i]))
			return false;
	}
	return msg->resolved.n == name->n;
}

bool moat_names_take(struct moat_names *names, const struct moat_ipc *msg, uint64_t now)
{
	char text[sizeof(msg->resolved.name)];
	struct moat_name *name;

	memcpy(text, msg->resolved.name, sizeof(text));
	text[sizeof(text) - 1] = '\0';
	name = find(names, text);
	if (!name || !name->asked || msg->resolved.n > MOAT_REMOTES_MAX)
		return false;
	name->asked = false;
	names->asked--;
	name->due = now + EVERY;
	if (!msg->resolved.n) {
		if (!name->failed)
			moat_log(MOAT_LOG_WARN, "name-unresolved", NULL,
				 "%s has no address now (%.127s)%s", name->name,
				 msg->resolved.why,
				 name->n ? ": what was known stays in use" : "");
		name->failed = true;
		return false;
	}
	name->failed = false;
	if (same_set(name, msg))
		return false;
	name->n = msg->resolved.n;
	memcpy(name->addrs, msg->resolved.addrs, sizeof(name->addrs));
	return true;
}

void moat_names_again(struct moat_names *names)
{
	for (unsigned int i = 0; i < names->n; i++)
		names->list[i].asked = false;
	names->asked = 0;
}

void moat_names_free(struct moat_names *names)
{
	free(names->list);
	*names = (struct moat_names){ 0 };
}

/* ---- what it makes of the tunnels ---- */

/* A connected UDP socket knows its address; connecting one sends nothing. */
static bool address_towards(const struct moat_addr *remote, struct moat_addr *local)
{
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} to = { 0 };
	socklen_t len = sizeof(to);
	int family = remote->len == 4 ? AF_INET : AF_INET6;
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool ok;

	to.sa.sa_family = family;
	to.in.sin_port = htons(500); /* same place in both */
	if (family == AF_INET)
		memcpy(&to.in.sin_addr, remote->bytes, 4);
	else
		memcpy(&to.in6.sin6_addr, remote->bytes, 16);
	ok = fd >= 0 && !connect(fd, &to.sa, sizeof(to)) &&
	     !getsockname(fd, &to.sa, &len);
	memset(local, 0, sizeof(*local));
	if (ok) {
		local->len = remote->len;
		if (family == AF_INET)
			memcpy(local->bytes, &to.in.sin_addr, 4);
		else
			memcpy(local->bytes, &to.in6.sin6_addr, 16);
	}
	if (fd >= 0)
		close(fd);
	return ok && !moat_addr_unusable(local);
}

/**
 * struct ends - addresses of a tunnel's gateways while they are gathered
 */
struct ends {
	struct moat_addr local;
	struct moat_addr remote[MOAT_REMOTES_MAX];
	unsigned int n;
};

static void add_end(struct ends *ends, const struct moat_addr *addr)
{
	if (ends->n == MOAT_REMOTES_MAX || moat_addr_unusable(addr) ||
	    (ends->local.len && ends->local.len != addr->len) ||
	    moat_addr_equal(&ends->local, addr))
		return;
	for (unsigned int i = 0; i < ends->n; i++) {
		if (moat_addr_equal(&ends->remote[i], addr))
			return;
	}
	ends->remote[ends->n++] = *addr;
}

static void gather(const struct moat_names *names, const struct moat_tunnel_conf *tunnel,
		   struct ends *ends)
{
	for (unsigned int i = 0; i < tunnel->n_written; i++) {
		const struct moat_remote_conf *written = &tunnel->written[i];
		const struct moat_name *name =
			written->name ? find(names, written->name) : NULL;

		if (!written->name)
			add_end(ends, &written->addr);
		for (unsigned int j = 0; name && j < name->n; j++)
			add_end(ends, &name->addrs[j]);
	}
}

/* Towards the first one that there is a way to; the others must be of its family. */
static void find_local(struct ends *ends, const struct moat_tunnel_conf *tunnel)
{
	unsigned int kept = 0, i = 0;

	while (i < ends->n && !address_towards(&ends->remote[i], &ends->local))
		i++;
	/* The link may be down for a moment. */
	if (i == ends->n)
		ends->local = tunnel->local;
	for (i = 0; i < ends->n && ends->local.len; i++) {
		if (ends->remote[i].len == ends->local.len)
			ends->remote[kept++] = ends->remote[i];
	}
	ends->n = kept;
}

static bool same(const struct ends *ends, const struct moat_tunnel_conf *tunnel)
{
	if (ends->n != tunnel->n_remote || !moat_addr_equal(&ends->local, &tunnel->local))
		return false;
	for (unsigned int i = 0; i < ends->n; i++) {
		if (!moat_addr_equal(&ends->remote[i], &tunnel->remote[i]))
			return false;
	}
	return true;
}

static bool apply(const struct moat_names *names, struct moat_tunnel_conf *tunnel)
{
	struct ends ends = { 0 };

	if (tunnel->action != MOAT_ACTION_PROTECT ||
	    !(tunnel->local_any || tunnel->named))
		return false;
	if (!tunnel->local_any)
		ends.local = tunnel->local;
	gather(names, tunnel, &ends);
	if (tunnel->local_any)
		find_local(&ends, tunnel);
	if (same(&ends, tunnel))
		return false;
	if (tunnel->local_any && tunnel->local_id_addr && ends.local.len)
		moat_identity_from_addr(&ends.local, &tunnel->local_id);
	tunnel->local = ends.local;
	tunnel->n_remote = ends.n;
	if (ends.n)
		memcpy(tunnel->remote, ends.remote, ends.n * sizeof(*ends.remote));
	return true;
}

bool moat_names_apply(const struct moat_names *names, struct moat_config *config)
{
	bool changed = false;

	for (unsigned int i = 0; i < config->n_tunnels; i++)
		changed |= apply(names, config->tunnels[i]);
	return changed;
}

/* ---- what is remembered from one daemon to the next ---- */

static void read_line(struct moat_names *names, char *line)
{
	char *rest = NULL, *word = strtok_r(line, " \n", &rest);
	struct moat_name *name;

	if (!word || strlen(word) > MOAT_NAME_MAX || find(names, word))
		return;
	name = add(names, word);
	while ((word = strtok_r(NULL, " \n", &rest)) && name->n < MOAT_REMOTES_MAX) {
		if (moat_addr_parse(word, &name->addrs[name->n]))
			name->n++;
	}
}

void moat_names_read(struct moat_names *names, const char *file)
{
	FILE *in = fopen(file, "re");
	char *line = NULL;
	size_t size = 0;

	if (!in)
		return;
	while (getline(&line, &size, in) > 0)
		read_line(names, line);
	free(line);
	fclose(in);
}

void moat_names_write(const struct moat_names *names, const char *file)
{
	char next[4096 + 8], text[MOAT_ADDR_STRLEN];
	FILE *out;

	snprintf(next, sizeof(next), "%s.new", file);
	out = fopen(next, "we");
	if (!out)
		return;
	for (unsigned int i = 0; i < names->n; i++) {
		fputs(names->list[i].name, out);
		for (unsigned int j = 0; j < names->list[i].n; j++)
			fprintf(out, " %s",
				moat_addr_str(&names->list[i].addrs[j], text));
		fputc('\n', out);
	}
	/* A part of it would be worse than what was there. */
	if (fclose(out) || rename(next, file))
		moat_log(MOAT_LOG_WARN, "names-unwritten", NULL, "%s: %s", file,
			 strerror(errno));
}
