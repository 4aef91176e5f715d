// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What waits in `moatd: ike` for a thread or for another process: whose work goes
 * first, and what nobody wants any more.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ike/crypt.h"
#include "ike/dh.h"
#include "io/io.h"

/* So many that threads do not come to their end while the test asks for the last. */
#define MANY 60

/**
 * struct seen - what the loop was given
 * @answers: before that to @last, which ends the loop
 */
static struct seen {
	struct event_base *base;
	uint32_t last;
	unsigned int answers;
	bool ok;
} seen;

/* The loop's own, which the queues call. */
void moat_io_step(struct moat_io *io, struct moat_event *event)
{
	(void)io;
	if (event->answer.token != seen.last) {
		seen.answers++;
		return;
	}
	seen.ok = event->answer.ok;
	event_base_loopbreak(seen.base);
}

void moat_io_fail(struct moat_io *io, uint32_t token, const char *why)
{
	(void)io;
	(void)why;
	fail_msg("question %u failed", token);
}

static struct moat_act slow(uint32_t token, bool unproven)
{
	struct moat_act act = { .type = MOAT_ACT_DH_GENERATE,
				.token = token,
				.unproven = unproven };

	act.dh_generate.group = MOAT_GROUP_MODP6144;
	return act;
}

static struct moat_workers *crowded(struct moat_io *io)
{
	struct moat_workers *workers;

	seen = (struct seen){ .base = event_base_new() };
	*io = (struct moat_io){ .base = seen.base };
	workers = moat_workers_new(io);
	for (uint32_t token = 1; token <= MANY; token++) {
		struct moat_act act = slow(token, true);

		moat_workers_ask(workers, &act);
	}
	return workers;
}

/* Nobody wants the rest, or the test would wait for it. */
static void finish(struct moat_workers *workers)
{
	for (uint32_t token = 1; token <= MANY; token++)
		moat_workers_forget(workers, token);
	moat_workers_free(workers);
	event_base_free(seen.base);
}

/* However many strangers want something: who is known waits for no more than a few. */
static void test_known_peers_first(void **state)
{
	struct moat_workers *workers;
	struct moat_act act;
	struct moat_io io;

	(void)state;
	workers = crowded(&io);
	act = slow(seen.last = MANY + 1, false);
	moat_workers_ask(workers, &act);
	event_base_dispatch(seen.base);
	assert_true(seen.ok);
	assert_true(seen.answers < MANY / 2);
	finish(workers);
}

/* A stranger's exchange that has begun comes to its end before others begin. */
static void test_begun_first(void **state)
{
	struct moat_act act = { .type = MOAT_ACT_DH_SHARED, .unproven = true };
	uint8_t priv[MOAT_DH_PRIVATE_MAX] = { 1 }, pub[MOAT_DH_PUBLIC_MAX];
	struct moat_workers *workers;
	struct moat_io io;

	(void)state;
	assert_int_equal(moat_dh_public(MOAT_GROUP_ECP256, priv, pub), 0);
	workers = crowded(&io);
	act.token = seen.last = MANY + 1;
	act.dh_shared.group = MOAT_GROUP_ECP256;
	act.dh_shared.secret = priv;
	act.dh_shared.secret_len = moat_dh_private_len(MOAT_GROUP_ECP256);
	act.dh_shared.peer = pub;
	act.dh_shared.peer_len = moat_dh_public_len(MOAT_GROUP_ECP256);
	moat_workers_ask(workers, &act);
	event_base_dispatch(seen.base);
	assert_true(seen.ok);
	assert_true(seen.answers < MANY / 2);
	finish(workers);
}

/* Of those that are not wanted any more only what a thread had begun is done. */
static void test_forgotten_jobs(void **state)
{
	struct moat_workers *workers;
	struct moat_io io;

	(void)state;
	workers = crowded(&io);
	seen.last = MANY;
	for (uint32_t token = 1; token < MANY; token++)
		moat_workers_forget(workers, token);
	/* Not in the queue: nothing happens. */
	moat_workers_forget(workers, MANY + 1);
	event_base_dispatch(seen.base);
	assert_true(seen.ok);
	assert_true(seen.answers < MANY / 2);
	finish(workers);
}

static void never(struct moat_io *io, const struct moat_ipc *msg, int passed)
{
	(void)io;
	(void)passed;
	fail_msg("message %u, which nobody sent", msg->type);
}

/* How many come out of a socket while its other end gets rid of what it has. */
static unsigned int drain(int fd, uint32_t missing)
{
	unsigned int count = 0;
	struct moat_ipc msg;
	int passed;

	for (;;) {
		event_base_loop(seen.base, EVLOOP_NONBLOCK);
		if (moat_ipc_receive(fd, &msg, &passed, MSG_DONTWAIT) != 1)
			return count;
		assert_int_not_equal(msg.token, missing);
		count++;
	}
}

/* What the keys process was not sent yet it need not do. */
static void test_forgotten_questions(void **state)
{
	struct moat_channel channel;
	struct moat_io io = { 0 };
	uint32_t token = 0;
	struct moat_ipc msg;
	int fds[2];

	(void)state;
	seen = (struct seen){ .base = event_base_new() };
	io.base = seen.base;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
	moat_channel_init(&channel, &io, never);
	moat_channel_set(&channel, fds[0]);
	while (!moat_letters_first(&channel.queue)) {
		moat_ipc_init(&msg, MOAT_IPC_SIGN, ++token);
		moat_channel_send(&channel, &msg);
	}
	moat_ipc_init(&msg, MOAT_IPC_SIGN, token + 1);
	moat_channel_send(&channel, &msg);
	moat_channel_forget(&channel, token);
	/* On its way already: nothing happens. */
	moat_channel_forget(&channel, 1);
	assert_int_equal(drain(fds[1], token), token);
	assert_false(moat_channel_answered(&channel, token));
	for (uint32_t i = 1; i <= token + 1; i++)
		assert_true(i == token || moat_channel_answered(&channel, i));
	moat_channel_close(&channel);
	close(fds[1]);
	event_base_free(seen.base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_peers_first),
		cmocka_unit_test(test_begun_first),
		cmocka_unit_test(test_forgotten_jobs),
		cmocka_unit_test(test_forgotten_questions),
	};

	if (moat_crypt_init())
		return 1;
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
