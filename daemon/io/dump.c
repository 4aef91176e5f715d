// SPDX-License-Identifier: GPL-2.0-or-later
/* What the kernel holds, gathered message by message for those who asked. */
#include <stdlib.h>
#include <string.h>

#include "io/io.h"

/* Seconds without a word of a dump; moat's own patience is longer. */
#define SILENCE 10

/**
 * struct moat_dump_waiter - somebody who asked
 */
struct moat_dump_waiter {
	STAILQ_ENTRY(moat_dump_waiter) next;
	moat_dump_fn fn;
	void *arg;
};

static void watch(struct moat_io *io)
{
	evtimer_add(io->dumps.late, &(struct timeval){ .tv_sec = SILENCE });
}

static void start(struct moat_io *io)
{
	struct moat_dumps *dumps = &io->dumps;
	struct moat_ipc msg;

	STAILQ_CONCAT(&dumps->now, &dumps->next);
	if (++io->next_token < MOAT_EDGE_TOKEN)
		io->next_token = MOAT_EDGE_TOKEN;
	dumps->token = io->next_token;
	watch(io);
	moat_ipc_init(&msg, MOAT_IPC_DUMP, dumps->token);
	moat_channel_send(&io->kernel, &msg);
}

void moat_dump_ask(struct moat_io *io, moat_dump_fn fn, void *arg)
{
	struct moat_dump_waiter *waiter = malloc(sizeof(*waiter));

	if (!waiter)
		abort();
	*waiter = (struct moat_dump_waiter){ .fn = fn, .arg = arg };
	STAILQ_INSERT_TAIL(&io->dumps.next, waiter, next);
	if (!io->dumps.token)
		start(io);
}

static int by_policy(const void *a, const void *b)
{
	const struct moat_ipc *x = a, *y = b;
	uint32_t p = x->sa_info.sa.policy, q = y->sa_info.sa.policy;

	return p < q ? -1 : p > q;
}

static void finish(struct moat_io *io)
{
	struct moat_dumps *dumps = &io->dumps;
	struct moat_dump dump = dumps->current;
	struct moat_dump_waiters now = STAILQ_HEAD_INITIALIZER(now);

	dumps->current = (struct moat_dump){ 0 };
	dumps->token = 0;
	evtimer_del(dumps->late);
	STAILQ_CONCAT(&now, &dumps->now);
	if (dump.n_sas)
		qsort(dump.sas, dump.n_sas, sizeof(*dump.sas), by_policy);
	while (!STAILQ_EMPTY(&now)) {
		struct moat_dump_waiter *waiter = STAILQ_FIRST(&now);

		STAILQ_REMOVE_HEAD(&now, next);
		if (waiter->fn)
			waiter->fn(io, &dump, waiter->arg);
		free(waiter);
	}
	free(dump.sas);
	free(dump.policies);
	if (!STAILQ_EMPTY(&dumps->next) && !dumps->token)
		start(io);
}

static void append(struct moat_ipc **list, unsigned int *n, const struct moat_ipc *msg)
{
	/* Grow at each power of two. */
	if (!(*n & (*n - 1))) {
		*list = reallocarray(*list, *n ? 2 * *n : 1, sizeof(**list));
		if (!*list)
			abort();
	}
	memcpy(&(*list)[(*n)++], msg, moat_ipc_len(msg->type));
}

static void end_counters(struct moat_ipc_counters *counters)
{
	if (counters->n > MOAT_IPC_COUNTERS)
		counters->n = MOAT_IPC_COUNTERS;
	for (unsigned int i = 0; i < counters->n; i++)
		counters->list[i].name[sizeof(counters->list[i].name) - 1] = '\0';
}

void moat_dump_take(struct moat_io *io, const struct moat_ipc *msg)
{
	struct moat_dump *dump = &io->dumps.current;

	/* Its time was over. */
	if (msg->token != io->dumps.token) {
		moat_channel_answered(&io->kernel, msg->token);
		return;
	}
	watch(io);
	switch (msg->type) {
	case MOAT_IPC_SA_INFO:
		append(&dump->sas, &dump->n_sas, msg);
		end_counters(&dump->sas[dump->n_sas - 1].sa_info.drops);
		break;
	case MOAT_IPC_POLICY_INFO:
		append(&dump->policies, &dump->n_policies, msg);
		end_counters(&dump->policies[dump->n_policies - 1].policy_info.drops);
		break;
	case MOAT_IPC_COUNTERS_INFO:
		dump->counters = msg->counters;
		end_counters(&dump->counters);
		break;
	case MOAT_IPC_ANSWER:
		moat_channel_answered(&io->kernel, msg->token);
		if (!msg->answer.ok)
			moat_ipc_text(dump->error, "%.500s", msg->answer.text);
		finish(io);
		break;
	default:
		break;
	}
}

void moat_dump_fail(struct moat_io *io, const char *why)
{
	if (!io->dumps.token)
		return;
	moat_ipc_text(io->dumps.current.error, "%s", why);
	finish(io);
}

static void is_late(evutil_socket_t fd, short what, void *arg)
{
	struct moat_io *io = arg;

	(void)fd;
	(void)what;
	/* Before it knows what stands there is nothing that it could do instead. */
	if (!io->adopted)
		watch(io);
	else
		moat_dump_fail(
			io,
			"the process \"moatd: kernel\" does not answer: it is "
			"stopped or overloaded; moatd starts it again if it stays so");
}

void moat_dump_prepare(struct moat_io *io)
{
	STAILQ_INIT(&io->dumps.now);
	STAILQ_INIT(&io->dumps.next);
	io->dumps.late = evtimer_new(io->base, is_late, io);
	if (!io->dumps.late)
		abort();
}

void moat_dump_end(struct moat_io *io)
{
	moat_dump_fail(io, "moatd stops");
	event_free(io->dumps.late);
}

static void cancel(struct moat_dump_waiters *waiters, const void *arg)
{
	struct moat_dump_waiter *waiter;

	STAILQ_FOREACH(waiter, waiters, next) {
		if (waiter->arg == arg)
			waiter->fn = NULL;
	}
}

void moat_dump_cancel(struct moat_io *io, void *arg)
{
	cancel(&io->dumps.now, arg);
	cancel(&io->dumps.next, arg);
}

const struct moat_ipc *moat_dump_sas(const struct moat_dump *dump, uint32_t policy,
				     unsigned int *n)
{
	unsigned int low = 0, high = dump->n_sas, first;

	while (low < high) {
		unsigned int middle = (low + high) / 2;

		if (dump->sas[middle].sa_info.sa.policy < policy)
			low = middle + 1;
		else
			high = middle;
	}
	first = low;
	while (low < dump->n_sas && dump->sas[low].sa_info.sa.policy == policy)
		low++;
	*n = low - first;
	return &dump->sas[first];
}
