// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reading the configuration: checked in full before any process uses any of it,
 * then given to keys, kernel and ike in this order, so that each finds ready
 * what the next one asks for.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "priv/feed.h"
#include "priv/log.h"
#include "priv/secrets.h"
#include "priv/supervisor.h"
#include "wire/isakmp.h"

void moat_supervisor_open(struct moat_supervisor *s, const struct moat_ipc *msg)
{
	char path[sizeof(msg->text.text)], why[256] = "";
	struct moat_ipc reply;
	int fd;

	memcpy(path, msg->text.text, sizeof(path));
	path[sizeof(path) - 1] = '\0';
	fd = moat_secrets_open(s->dir, path, why, sizeof(why));
	moat_ipc_init(&reply, MOAT_IPC_FILE, 0);
	reply.text.ok = fd >= 0;
	moat_ipc_text(reply.text.text, "%s", why);
	moat_ipc_send(s->children[MOAT_PROCESS_KEYS].fd, &reply, fd, 0);
	if (fd >= 0)
		close(fd);
}

static bool settle(struct moat_child *child, bool commit)
{
	struct moat_ipc msg;

	moat_ipc_init(&msg, MOAT_IPC_SETTLE, 0);
	msg.settle.commit = commit;
	return !moat_ipc_send(child->fd, &msg, -1, 0);
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

/* Private keys, one message each with the open file, or why there is none. */
static bool send_keys(struct moat_supervisor *s, const struct moat_config *config)
{
	bool ok = true;

	for (unsigned int i = 0; i < config->n_keys && ok; i++) {
		const struct moat_key_conf *key = &config->keys[i];
		struct moat_ipc msg;
		int fd;

		moat_ipc_init(&msg, MOAT_IPC_KEY, 0);
		memcpy(msg.key.id, key->id, sizeof(msg.key.id));
		msg.key.decrypt = key->decrypt;
		msg.key.line = key->line;
		moat_ipc_text(msg.key.file, "%s", key->file);
		moat_ipc_text(msg.key.path, "%s", key->path);
		fd = moat_key_open(s->dir, key->path, msg.key.why, sizeof(msg.key.why));
		ok = !moat_ipc_send(s->children[MOAT_PROCESS_KEYS].fd, &msg, fd, 0);
		if (fd >= 0)
			close(fd);
	}
	return ok;
}

/* Let the keys process parse the secrets, and see whether one is missing. */
static bool check_secrets(struct moat_supervisor *s, const struct moat_config *config,
			  struct moat_mistakes *mistakes)
{
	struct moat_child *keys = &s->children[MOAT_PROCESS_KEYS];
	struct moat_ipc msg;
	char why[256] = "";
	int fd = moat_secrets_open(s->dir, "secrets.conf", why, sizeof(why));
	bool ok;

	moat_ipc_init(&msg, MOAT_IPC_SECRETS, 0);
	moat_ipc_text(msg.text.text, "%s/secrets.conf", s->dir);
	ok = keys->fd >= 0 && !moat_ipc_send(keys->fd, &msg, fd, 0) &&
	     moat_child_await(keys, mistakes);
	if (fd >= 0)
		close(fd);
	else if (need_secrets(config))
		/* Each tunnel would miss its secret: one sentence is enough. */
		moat_mistake(mistakes, msg.text.text, 0, "%s", why);
	if (ok && fd >= 0)
		ok = !moat_feed_send(keys->fd, config);
	if (ok)
		ok = send_keys(s, config) && settle(keys, false) &&
		     moat_child_await(keys, mistakes);
	if (!ok)
		moat_mistake(mistakes, s->dir, 0,
			     "the secrets were not checked: the keys process does not "
			     "answer");
	return ok;
}

static bool feed_kernel(struct moat_supervisor *s, struct moat_mistakes *mistakes)
{
	struct moat_child *kernel = &s->children[MOAT_PROCESS_KERNEL];
	bool sent;

	if (kernel->fd < 0)
		return false;
	sent = !moat_feed_send(kernel->fd, &s->config) && settle(kernel, true);
	/* Without the module it ends at once; why is read even when it was faster. */
	return moat_child_await(kernel, mistakes) && sent;
}

static bool feed_ike(struct moat_supervisor *s)
{
	struct moat_child *ike = &s->children[MOAT_PROCESS_IKE];

	return !moat_feed_send_creds(ike->fd, &s->config) &&
	       !moat_feed_send(ike->fd, &s->config) && settle(ike, true);
}

static bool pass_sockets(struct moat_supervisor *s)
{
	struct moat_ipc msg;

	for (unsigned int i = 0; i < MOAT_SOCKETS; i++) {
		if (s->sockets[i] < 0)
			continue;
		moat_ipc_init(&msg, MOAT_IPC_SOCKET, 0);
		msg.socket.which = i;
		if (moat_ipc_send(s->children[MOAT_PROCESS_IKE].fd, &msg, s->sockets[i],
				  0))
			return false;
	}
	return true;
}

bool moat_supervisor_load(struct moat_supervisor *s, struct moat_mistakes *mistakes)
{
	struct moat_child *keys = &s->children[MOAT_PROCESS_KEYS];
	struct moat_config config = { 0 };

	if (keys->fd < 0 || s->children[MOAT_PROCESS_KERNEL].fd < 0) {
		moat_mistake(mistakes, NULL, 0,
			     "a process of moatd is being started again: try once more");
		return false;
	}
	moat_config_load(&config, s->dir, mistakes);
	moat_ends_known(s, &config);
	check_secrets(s, &config, mistakes);
	if (mistakes->n) {
		moat_config_free(&config);
		return false;
	}
	for (unsigned int i = 0; i < mistakes->n_warnings; i++)
		moat_log(MOAT_LOG_WARN, "config-warning", NULL, "%s",
			 mistakes->warnings[i]);
	moat_config_free(&s->config);
	s->config = config;
	if (!settle(keys, true) || !moat_child_await(keys, mistakes) ||
	    !feed_kernel(s, mistakes)) {
		if (!mistakes->n)
			moat_mistake(mistakes, s->dir, 0,
				     "a process of moatd does not answer");
		return false;
	}
	/* One that does not run is fed when it starts. */
	return s->children[MOAT_PROCESS_IKE].fd < 0 || feed_ike(s);
}

bool moat_supervisor_refeed(struct moat_supervisor *s)
{
	struct moat_mistakes mistakes = { 0 };
	bool ok = feed_kernel(s, &mistakes) &&
		  (s->children[MOAT_PROCESS_IKE].fd < 0 || feed_ike(s));

	moat_mistakes_free(&mistakes);
	return ok;
}

bool moat_supervisor_feed(struct moat_supervisor *s, struct moat_child *child)
{
	struct moat_mistakes mistakes = { 0 };
	bool ok;

	switch (child->which) {
	case MOAT_PROCESS_KEYS:
		ok = check_secrets(s, &s->config, &mistakes) && settle(child, true) &&
		     moat_child_await(child, &mistakes);
		break;
	case MOAT_PROCESS_RESOLVE:
		return true;
	case MOAT_PROCESS_KERNEL:
		ok = feed_kernel(s, &mistakes);
		break;
	default:
		ok = pass_sockets(s) && feed_ike(s);
	}
	for (unsigned int i = 0; i < mistakes.n; i++)
		moat_log(MOAT_LOG_ERR, "process-failed", NULL, "%s", mistakes.list[i]);
	moat_mistakes_free(&mistakes);
	return ok;
}
