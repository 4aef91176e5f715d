// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * DH and the peer's certificates on worker threads: milliseconds that the core
 * must not wait for. A job goes into a queue, its result into another one; an
 * eventfd wakes the loop.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include "ike/crypt.h"
#include "ike/dh.h"
#include "io/io.h"
#include "io/x509.h"
#include "priv/log.h"

#define WORKERS_MAX 4
/* A drawn value is invalid for a curve once in 2^32 draws at worst. */
#define DRAWS_MAX 8

/**
 * struct job - one computation
 * @peer: the peer's public value; @peer_len 0: make a pair of our own
 * @priv: our private value
 * @verify: a certificate and a signature to check instead; else NULL
 * @result: public value or shared secret
 */
struct job {
	STAILQ_ENTRY(job) next;
	uint32_t token;
	enum moat_group group;
	size_t peer_len;
	uint8_t peer[MOAT_DH_PUBLIC_MAX];
	size_t priv_len;
	uint8_t priv[MOAT_DH_PRIVATE_MAX];
	size_t result_len;
	uint8_t result[MOAT_DH_PUBLIC_MAX];
	struct moat_verify *verify;
	char why[512];
	bool ok;
};

STAILQ_HEAD(jobs, job);

/**
 * struct moat_workers - the threads
 * @lock: protects the queues and @stop
 * @queue: what goes first; @unproven: what anybody can cause
 */
struct moat_workers {
	struct moat_io *io;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct jobs queue;
	struct jobs unproven;
	struct jobs done;
	bool stop;
	unsigned int n;
	pthread_t threads[WORKERS_MAX];
	int eventfd;
	struct event *event;
	struct moat_x509 *x509;
};

/* Context: the loop's thread, which counts the references to credentials. */
static void free_job(struct job *job)
{
	if (job->verify)
		moat_verify_free(job->verify);
	explicit_bzero(job, sizeof(*job));
	free(job);
}

static void generate(struct job *job)
{
	job->priv_len = moat_dh_private_len(job->group);
	job->result_len = moat_dh_public_len(job->group);
	for (unsigned int i = 0; i < DRAWS_MAX && !job->ok; i++)
		job->ok = getrandom(job->priv, job->priv_len, 0) ==
				  (ssize_t)job->priv_len &&
			  !moat_dh_public(job->group, job->priv, job->result);
	if (!job->ok)
		snprintf(job->why, sizeof(job->why), "making a DH value of %s failed",
			 moat_group_name(job->group));
}

static void share(struct job *job)
{
	struct moat_refusal no;

	memset(&no, 0, sizeof(no));
	job->result_len = moat_dh_shared_len(job->group);
	job->ok = !moat_dh_shared(job->group, job->priv,
				  moat_view(job->peer, job->peer_len), job->result, &no);
	if (!job->ok)
		snprintf(job->why, sizeof(job->why), "%s", no.text);
	/* Only the result is wanted from here. */
	explicit_bzero(job->priv, sizeof(job->priv));
	job->priv_len = 0;
}

/* Context: @w->lock is held. */
static struct job *next_job(struct moat_workers *w)
{
	struct jobs *jobs = STAILQ_EMPTY(&w->queue) ? &w->unproven : &w->queue;
	struct job *job = STAILQ_FIRST(jobs);

	if (job)
		STAILQ_REMOVE_HEAD(jobs, next);
	return job;
}

static void *work(void *arg)
{
	struct moat_workers *w = arg;
	const uint64_t one = 1;

	pthread_mutex_lock(&w->lock);
	for (;;) {
		struct job *job;

		if (w->stop)
			break;
		job = next_job(w);
		if (!job) {
			pthread_cond_wait(&w->wake, &w->lock);
			continue;
		}
		pthread_mutex_unlock(&w->lock);
		if (job->verify)
			job->ok = !moat_x509_verify(w->x509, job->verify, job->why,
						    sizeof(job->why));
		else if (job->peer_len)
			share(job);
		else
			generate(job);
		pthread_mutex_lock(&w->lock);
		STAILQ_INSERT_TAIL(&w->done, job, next);
		if (write(w->eventfd, &one, sizeof(one)) < 0)
			abort();
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

static void answer(struct moat_io *io, struct job *job)
{
	struct moat_event event = { .type = MOAT_EV_ANSWER };

	event.answer.token = job->token;
	event.answer.ok = job->ok;
	event.answer.text = job->why;
	if (job->ok) {
		event.answer.data = job->result;
		event.answer.len = job->result_len;
		event.answer.secret = job->priv;
		event.answer.secret_len = job->priv_len;
	}
	moat_io_step(io, &event);
	free_job(job);
}

static void on_done(evutil_socket_t fd, short what, void *arg)
{
	struct moat_workers *w = arg;
	struct jobs done = STAILQ_HEAD_INITIALIZER(done);
	uint64_t count;

	(void)what;
	if (read(fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		abort();
	pthread_mutex_lock(&w->lock);
	STAILQ_CONCAT(&done, &w->done);
	pthread_mutex_unlock(&w->lock);
	while (!STAILQ_EMPTY(&done)) {
		struct job *job = STAILQ_FIRST(&done);

		STAILQ_REMOVE_HEAD(&done, next);
		answer(w->io, job);
	}
}

struct moat_workers *moat_workers_new(struct moat_io *io)
{
	struct moat_workers *w = calloc(1, sizeof(*w));
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	if (!w)
		abort();
	w->io = io;
	w->x509 = moat_x509_new();
	w->n = cpus < 2 ? 2 : cpus > WORKERS_MAX ? WORKERS_MAX : cpus;
	STAILQ_INIT(&w->queue);
	STAILQ_INIT(&w->unproven);
	STAILQ_INIT(&w->done);
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->wake, NULL);
	w->eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	w->event = event_new(io->base, w->eventfd, EV_READ | EV_PERSIST, on_done, w);
	if (w->eventfd < 0 || !w->event)
		abort();
	event_add(w->event, NULL);
	for (unsigned int i = 0; i < w->n; i++) {
		if (pthread_create(&w->threads[i], NULL, work, w))
			abort();
	}
	return w;
}

void moat_workers_ask(struct moat_workers *w, const struct moat_act *act)
{
	struct job *job = calloc(1, sizeof(*job));

	if (!job)
		abort();
	job->token = act->token;
	if (act->type == MOAT_ACT_VERIFY) {
		job->verify = moat_verify_dup(act->verify);
	} else if (act->type == MOAT_ACT_DH_GENERATE) {
		job->group = act->dh_generate.group;
	} else {
		job->group = act->dh_shared.group;
		/* The core has checked both lengths; a job never overflows. */
		if (act->dh_shared.secret_len > sizeof(job->priv) ||
		    act->dh_shared.peer_len > sizeof(job->peer))
			abort();
		job->priv_len = act->dh_shared.secret_len;
		memcpy(job->priv, act->dh_shared.secret, job->priv_len);
		job->peer_len = act->dh_shared.peer_len;
		memcpy(job->peer, act->dh_shared.peer, job->peer_len);
	}
	pthread_mutex_lock(&w->lock);
	if (!act->unproven)
		STAILQ_INSERT_TAIL(&w->queue, job, next);
	/* What was begun is finished first, or in a flood nothing ever would be. */
	else if (act->type == MOAT_ACT_DH_GENERATE)
		STAILQ_INSERT_TAIL(&w->unproven, job, next);
	else
		STAILQ_INSERT_HEAD(&w->unproven, job, next);
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
}

/* Context: the lock of @jobs is held. */
static struct job *take_out(struct jobs *jobs, uint32_t token)
{
	struct job *job;

	STAILQ_FOREACH(job, jobs, next) {
		if (job->token == token) {
			STAILQ_REMOVE(jobs, job, job, next);
			return job;
		}
	}
	return NULL;
}

void moat_workers_forget(struct moat_workers *w, uint32_t token)
{
	struct job *job;

	pthread_mutex_lock(&w->lock);
	job = take_out(&w->unproven, token);
	if (!job)
		job = take_out(&w->queue, token);
	pthread_mutex_unlock(&w->lock);
	if (job)
		free_job(job);
}

static void free_jobs(struct jobs *jobs)
{
	while (!STAILQ_EMPTY(jobs)) {
		struct job *job = STAILQ_FIRST(jobs);

		STAILQ_REMOVE_HEAD(jobs, next);
		free_job(job);
	}
}

void moat_workers_free(struct moat_workers *w)
{
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_broadcast(&w->wake);
	pthread_mutex_unlock(&w->lock);
	for (unsigned int i = 0; i < w->n; i++)
		pthread_join(w->threads[i], NULL);
	free_jobs(&w->queue);
	free_jobs(&w->unproven);
	free_jobs(&w->done);
	event_free(w->event);
	close(w->eventfd);
	moat_x509_free(w->x509);
	pthread_mutex_destroy(&w->lock);
	pthread_cond_destroy(&w->wake);
	free(w);
}
