// SPDX-License-Identifier: GPL-2.0-or-later
/* Sockets to the other processes: never block, keep order, lose nothing. */
#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/io.h"
#include "priv/log.h"

/* tsearch() keeps what it is given, which the analyzer does not know. */
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"

/**
 * struct moat_letter - a message in a queue
 */
struct moat_letter {
	STAILQ_ENTRY(moat_letter) next;
	size_t len;
	char data[] __attribute__((aligned(8)));
};

void moat_letters_put(struct moat_letters *letters, const struct moat_ipc *msg)
{
	size_t len = moat_ipc_len(msg->type);
	struct moat_letter *letter = malloc(sizeof(*letter) + len);

	if (!letter)
		abort();
	letter->len = len;
	memcpy(letter->data, msg, len);
	STAILQ_INSERT_TAIL(letters, letter, next);
}

const struct moat_ipc *moat_letters_first(const struct moat_letters *letters)
{
	const struct moat_letter *letter = STAILQ_FIRST(letters);

	return letter ? (const void *)letter->data : NULL;
}

static void free_letter(struct moat_letter *letter)
{
	/* Keys may be in it. */
	explicit_bzero(letter->data, letter->len);
	free(letter);
}

void moat_letters_drop(struct moat_letters *letters)
{
	struct moat_letter *letter = STAILQ_FIRST(letters);

	STAILQ_REMOVE_HEAD(letters, next);
	free_letter(letter);
}

void moat_letters_free(struct moat_letters *letters)
{
	while (!STAILQ_EMPTY(letters))
		moat_letters_drop(letters);
}

static int by_token(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void remember(struct moat_channel *channel, uint32_t token)
{
	uint32_t *copy = malloc(sizeof(*copy)), **found;

	if (!copy)
		abort();
	*copy = token;
	found = (uint32_t **)tsearch(copy, &channel->waiting, by_token);
	if (!found)
		abort();
	if (*found != copy)
		free(copy);
}

bool moat_channel_answered(struct moat_channel *channel, uint32_t token)
{
	uint32_t **found = (uint32_t **)tfind(&token, &channel->waiting, by_token);
	uint32_t *copy;

	if (!found)
		return false;
	copy = *found;
	tdelete(&token, &channel->waiting, by_token);
	free(copy);
	return true;
}

static void fail_all(struct moat_channel *channel)
{
	while (channel->waiting) {
		uint32_t token = **(uint32_t **)channel->waiting;

		moat_channel_answered(channel, token);
		moat_io_fail(channel->io, token, "a process of moatd was started again");
	}
}

void moat_channel_close(struct moat_channel *channel)
{
	if (channel->fd < 0)
		return;
	event_free(channel->readable);
	event_free(channel->writable);
	close(channel->fd);
	channel->fd = -1;
	moat_letters_free(&channel->queue);
	fail_all(channel);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct moat_channel *channel = arg;
	/* Others want their turn too. */
	unsigned int budget = 64;

	(void)what;
	while (budget-- && channel->fd == fd) {
		struct moat_ipc msg;
		int passed, got = moat_ipc_receive(fd, &msg, &passed, MSG_DONTWAIT);

		if (got < 0 && errno == EAGAIN)
			return;
		if (got != 1) {
			if (got)
				moat_log(MOAT_LOG_ERR, "ipc-refused", NULL, "ike: %s",
					 strerror(errno));
			moat_channel_close(channel);
			if (channel == &channel->io->supervisor)
				event_base_loopbreak(channel->io->base);
			return;
		}
		channel->receive(channel->io, &msg, passed);
		explicit_bzero(&msg, moat_ipc_len(msg.type));
	}
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct moat_channel *channel = arg;
	const struct moat_ipc *msg;

	(void)what;
	while ((msg = moat_letters_first(&channel->queue))) {
		/* A broken socket is noticed by reading. */
		if (moat_ipc_send(fd, msg, -1, MSG_DONTWAIT) && errno == EAGAIN)
			return;
		moat_letters_drop(&channel->queue);
	}
	event_del(channel->writable);
}

void moat_channel_init(struct moat_channel *channel, struct moat_io *io,
		       void (*receive)(struct moat_io *io, const struct moat_ipc *msg,
				       int passed))
{
	channel->io = io;
	channel->fd = -1;
	channel->receive = receive;
	STAILQ_INIT(&channel->queue);
}

void moat_channel_set(struct moat_channel *channel, int fd)
{
	struct event_base *base = channel->io->base;

	moat_channel_close(channel);
	channel->fd = fd;
	channel->readable =
		event_new(base, fd, EV_READ | EV_PERSIST, on_readable, channel);
	channel->writable =
		event_new(base, fd, EV_WRITE | EV_PERSIST, on_writable, channel);
	if (!channel->readable || !channel->writable)
		abort();
	event_add(channel->readable, NULL);
}

void moat_channel_forget(struct moat_channel *channel, uint32_t token)
{
	struct moat_letter *letter;

	STAILQ_FOREACH(letter, &channel->queue, next) {
		const struct moat_ipc *msg = (const void *)letter->data;

		if (msg->token == token)
			break;
	}
	if (!letter)
		return;
	STAILQ_REMOVE(&channel->queue, letter, moat_letter, next);
	moat_channel_answered(channel, token);
	free_letter(letter);
}

void moat_channel_send(struct moat_channel *channel, const struct moat_ipc *msg)
{
	if (channel->fd < 0) {
		if (msg->token)
			moat_io_fail(channel->io, msg->token,
				     "a process of moatd is being started again");
		return;
	}
	if (msg->token)
		remember(channel, msg->token);
	if (STAILQ_EMPTY(&channel->queue) &&
	    !moat_ipc_send(channel->fd, msg, -1, MSG_DONTWAIT))
		return;
	/* EAGAIN: later. Anything else shows when reading. */
	moat_letters_put(&channel->queue, msg);
	event_add(channel->writable, NULL);
}
