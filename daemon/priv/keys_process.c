// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `moatd: keys`: the only process that parses secrets. It answers SKEYID for a
 * peer and two nonces, signs and decrypts; the keys themselves never leave it.
 */
#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ike/crypt.h"
#include "priv/feed.h"
#include "priv/keys_rsa.h"
#include "priv/log.h"
#include "priv/process.h"
#include "priv/rights.h"
#include "priv/secrets.h"

/**
 * struct keys - this process
 * @ike: socket towards the ike process, or -1
 * @live: secrets in use
 * @draft: secrets being checked
 * @live_keys: private keys in use; @draft_keys are being checked
 * @mistakes: in private keys
 * @feed: tunnels that need one
 * @name: of secrets.conf
 */
struct keys {
	int ike;
	struct moat_secrets live;
	struct moat_secrets draft;
	struct moat_rsa_keys live_keys;
	struct moat_rsa_keys draft_keys;
	struct moat_mistakes mistakes;
	struct moat_feed feed;
	char name[MOAT_IPC_PATH];
};

/* The supervisor opens files for us. It waits for us here, so nothing else comes. */
static int ask_for_file(void *arg, const char *path, char *why, size_t size)
{
	struct moat_ipc msg;
	int fd;

	(void)arg;
	moat_ipc_init(&msg, MOAT_IPC_OPEN, 0);
	moat_ipc_text(msg.text.text, "%s", path);
	if (moat_ipc_send(MOAT_SUPERVISOR_FD, &msg, -1, 0) ||
	    moat_ipc_receive(MOAT_SUPERVISOR_FD, &msg, &fd, 0) != 1 ||
	    msg.type != MOAT_IPC_FILE) {
		snprintf(why, size, "was not opened by the supervisor");
		return -1;
	}
	if (fd < 0)
		snprintf(why, size, "%.200s", msg.text.text);
	return fd;
}

static void tell(enum moat_ipc_type type, char *const *list, unsigned int n)
{
	struct moat_ipc msg;

	for (unsigned int i = 0; i < n; i++) {
		moat_ipc_init(&msg, type, 0);
		moat_ipc_text(msg.text.text, "%s", list[i]);
		moat_ipc_send(MOAT_SUPERVISOR_FD, &msg, -1, 0);
	}
}

static void report(struct moat_mistakes *mistakes)
{
	struct moat_ipc msg;

	tell(MOAT_IPC_MISTAKE, mistakes->list, mistakes->n);
	tell(MOAT_IPC_WARNING, mistakes->warnings, mistakes->n_warnings);
	moat_ipc_init(&msg, MOAT_IPC_CHECKED, 0);
	msg.checked.mistakes = mistakes->n;
	moat_ipc_send(MOAT_SUPERVISOR_FD, &msg, -1, 0);
	moat_mistakes_free(mistakes);
}

static void read_secrets(struct keys *keys, const struct moat_ipc *msg, int fd)
{
	struct moat_mistakes mistakes = { 0 };

	moat_secrets_free(&keys->draft);
	moat_rsa_keys_free(&keys->draft_keys);
	moat_ipc_text(keys->name, "%.1023s", msg->text.text);
	if (fd >= 0)
		moat_secrets_read(&keys->draft, fd, keys->name, ask_for_file, keys,
				  &mistakes);
	report(&mistakes);
}

static void read_key(struct keys *keys, struct moat_ipc *msg, int fd)
{
	struct moat_key_conf conf = { .decrypt = msg->key.decrypt,
				      .path = msg->key.path,
				      .file = msg->key.file,
				      .line = msg->key.line };

	memcpy(conf.id, msg->key.id, sizeof(conf.id));
	if (fd >= 0)
		moat_rsa_keys_read(&keys->draft_keys, fd, &conf, &keys->mistakes);
	else
		moat_mistake(&keys->mistakes, conf.file, conf.line, "key \"%s\" %s",
			     conf.path, msg->key.why);
	if (fd >= 0)
		close(fd);
}

static void settle(struct keys *keys, const struct moat_ipc *msg)
{
	struct moat_mistakes mistakes = keys->mistakes;
	struct moat_config *config = &keys->feed.config;

	for (unsigned int i = 0; i < config->n_tunnels; i++)
		moat_secrets_check(&keys->draft, config->tunnels[i], keys->name,
				   &mistakes);
	moat_secrets_check_peers(&keys->draft, config->tunnels, config->n_tunnels,
				 &mistakes);
	if (msg->settle.commit) {
		moat_secrets_free(&keys->live);
		keys->live = keys->draft;
		keys->draft = (struct moat_secrets){ 0 };
		moat_rsa_keys_free(&keys->live_keys);
		keys->live_keys = keys->draft_keys;
		keys->draft_keys = (struct moat_rsa_keys){ 0 };
	}
	keys->mistakes = (struct moat_mistakes){ 0 };
	moat_config_free(config);
	report(&mistakes);
}

static bool from_supervisor(struct keys *keys)
{
	struct moat_ipc msg;
	int fd;

	if (moat_ipc_receive(MOAT_SUPERVISOR_FD, &msg, &fd, 0) != 1)
		return false;
	switch (msg.type) {
	case MOAT_IPC_CHANNEL:
		if (keys->ike >= 0)
			close(keys->ike);
		keys->ike = fd;
		break;
	case MOAT_IPC_SECRETS:
		read_secrets(keys, &msg, fd);
		break;
	case MOAT_IPC_KEY:
		read_key(keys, &msg, fd);
		break;
	case MOAT_IPC_SETTLE:
		settle(keys, &msg);
		break;
	case MOAT_IPC_PING:
		moat_ipc_pong(MOAT_SUPERVISOR_FD);
		break;
	default:
		return moat_feed_take(&keys->feed, &msg);
	}
	return true;
}

/* SKEYID = prf(pre-shared-key, Ni_b | Nr_b), RFC 2409 section 5. */
static void answer_skeyid(const struct keys *keys, const struct moat_ipc *msg,
			  struct moat_ipc *out)
{
	const struct moat_secret *secret;
	struct moat_view nonces;
	char text[MOAT_ADDR_STRLEN];

	moat_ipc_init(out, MOAT_IPC_ANSWER, msg->token);
	if (msg->skeyid.len > sizeof(msg->skeyid.nonces) ||
	    msg->skeyid.remote_id.len > MOAT_ID_MAX) {
		moat_ipc_text(out->answer.text, "malformed request");
		return;
	}
	nonces = moat_view(msg->skeyid.nonces, msg->skeyid.len);
	secret = moat_secrets_find(&keys->live, &msg->skeyid.remote_id,
				   &msg->skeyid.remote);
	out->answer.len = moat_hash_len(msg->skeyid.hash);
	if (!secret)
		moat_ipc_text(out->answer.text, "no secret for %s in %.400s",
			      moat_addr_str(&msg->skeyid.remote, text), keys->name);
	else if (!out->answer.len || out->answer.len > sizeof(out->answer.data) ||
		 moat_prf(msg->skeyid.hash, moat_view(secret->psk, secret->len), &nonces,
			  1, out->answer.data))
		moat_ipc_text(out->answer.text, "prf with hash %u failed",
			      msg->skeyid.hash);
	else
		out->answer.ok = true;
}

static void answer_sign(const struct keys *keys, const struct moat_ipc *msg,
			struct moat_ipc *out)
{
	const struct moat_rsa_key *key =
		moat_rsa_keys_find(&keys->live_keys, msg->sign.key_id);

	moat_ipc_init(out, MOAT_IPC_ANSWER, msg->token);
	if (!key || msg->sign.len > sizeof(msg->sign.hash) ||
	    key->len > sizeof(out->answer.data))
		moat_ipc_text(out->answer.text, "the private key is not there");
	else if (moat_rsa_sign(key, moat_view(msg->sign.hash, msg->sign.len),
			       out->answer.data))
		moat_ipc_text(out->answer.text, "the private key could not sign");
	else
		out->answer.ok = true;
	if (out->answer.ok)
		out->answer.len = key->len;
}

static void answer_decrypt(const struct keys *keys, const struct moat_ipc *msg,
			   struct moat_ipc *out)
{
	const struct moat_rsa_key *key =
		moat_rsa_keys_find(&keys->live_keys, msg->decrypt.key_id);

	moat_ipc_init(out, MOAT_IPC_ANSWER, msg->token);
	if (key && msg->decrypt.nonce_len <= sizeof(msg->decrypt.nonce) &&
	    msg->decrypt.id_len <= sizeof(msg->decrypt.id))
		out->answer.len = moat_rsa_open(
			key, moat_view(msg->decrypt.nonce, msg->decrypt.nonce_len),
			moat_view(msg->decrypt.id, msg->decrypt.id_len),
			out->answer.data);
	out->answer.ok = out->answer.len != 0;
	if (!out->answer.ok)
		moat_ipc_text(out->answer.text,
			      "the private key is not there, or not for this");
}

static bool answer(const struct keys *keys, const struct moat_ipc *msg,
		   struct moat_ipc *out)
{
	switch (msg->type) {
	case MOAT_IPC_SKEYID:
		answer_skeyid(keys, msg, out);
		return true;
	case MOAT_IPC_SIGN:
		answer_sign(keys, msg, out);
		return true;
	case MOAT_IPC_DECRYPT:
		answer_decrypt(keys, msg, out);
		return true;
	default:
		return false;
	}
}

static void from_ike(struct keys *keys)
{
	struct moat_ipc msg, out;
	int fd, got = moat_ipc_receive(keys->ike, &msg, &fd, MSG_DONTWAIT);

	if (got < 0 && errno == EAGAIN)
		return;
	if (fd >= 0)
		close(fd);
	if (got != 1 || !answer(keys, &msg, &out)) {
		if (got)
			moat_log(MOAT_LOG_ERR, "ipc-refused", NULL,
				 "keys: a message that the ike process may not send");
		close(keys->ike);
		keys->ike = -1;
		return;
	}
	if (moat_ipc_send(keys->ike, &out, -1, 0))
		moat_log(MOAT_LOG_WARN, "ipc-failed", NULL, "keys: answering: %s",
			 strerror(errno));
	explicit_bzero(&out, sizeof(out));
	explicit_bzero(&msg, sizeof(msg));
}

/* The limit binds as soon as root is gone, so it has to go first. */
static void lock_memory(void)
{
	const struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	int flags = MCL_CURRENT;

	if (!setrlimit(RLIMIT_MEMLOCK, &unlimited))
		flags |= MCL_FUTURE;
	if (mlockall(flags))
		moat_log(MOAT_LOG_WARN, "secrets-not-locked", NULL,
			 "memory with secrets may be swapped out: mlockall: %s",
			 strerror(errno));
}

int moat_keys_process(const char *dir)
{
	struct keys *keys = calloc(1, sizeof(*keys));

	if (!keys)
		abort();
	keys->ike = -1;
	if (moat_crypt_init())
		abort();
	/* libconfig and stdio copy what they read: overwrite all that is freed. */
	mallopt(M_PERTURB, 0xa5);
	lock_memory();
	moat_rights_drop("moat-keys", dir, false);
	for (;;) {
		struct pollfd fds[2] = { { MOAT_SUPERVISOR_FD, POLLIN, 0 },
					 { keys->ike, POLLIN, 0 } };

		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			break;
		if (fds[1].revents)
			from_ike(keys);
		if (fds[0].revents && !from_supervisor(keys))
			break;
	}
	if (keys->ike >= 0)
		close(keys->ike);
	moat_secrets_free(&keys->live);
	moat_secrets_free(&keys->draft);
	moat_rsa_keys_free(&keys->live_keys);
	moat_rsa_keys_free(&keys->draft_keys);
	moat_mistakes_free(&keys->mistakes);
	moat_config_free(&keys->feed.config);
	free(keys);
	return 0;
}
