// SPDX-License-Identifier: GPL-2.0-or-later
/* `moatd: ike`: the loop around the core. */
#include <search.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "ike/crypt.h"
#include "io/io.h"
#include "priv/log.h"
#include "priv/process.h"
#include "priv/rights.h"

uint64_t moat_io_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return ts.tv_sec * 1000ull + ts.tv_nsec / 1000000;
}

static void draw(void *ctx, void *buf, size_t len)
{
	(void)ctx;
	for (size_t done = 0; done < len;) {
		ssize_t got = getrandom((uint8_t *)buf + done, len - done, 0);

		if (got < 0)
			abort();
		done += got;
	}
}

static void arm_timer(struct moat_io *io)
{
	uint64_t wake = moat_ike_wake(io->ike), now = moat_io_now();
	uint64_t in = wake > now ? wake - now : 0;
	struct timeval tv = { .tv_sec = in / 1000, .tv_usec = in % 1000 * 1000 };

	if (wake == UINT64_MAX)
		evtimer_del(io->timer);
	else
		evtimer_add(io->timer, &tv);
}

static void one_step(struct moat_io *io, struct moat_event *event)
{
	struct moat_acts acts;

	moat_acts_init(&acts);
	event->now = moat_io_now();
	moat_ike_step(io->ike, event, &acts);
	for (const struct moat_act *act = acts.first; act; act = act->next)
		moat_io_act(io, act);
	moat_acts_free(&acts);
}

/* An action that cannot even be asked for has failed: that is an event again. */
static void answer_failed(struct moat_io *io)
{
	while (!STAILQ_EMPTY(&io->failed)) {
		struct moat_event event = { .type = MOAT_EV_ANSWER };
		char text[MOAT_IPC_TEXT];
		const struct moat_ipc *msg = moat_letters_first(&io->failed);

		moat_ipc_text(text, "%s", msg->answer.text);
		event.answer.token = msg->token;
		event.answer.text = text;
		moat_letters_drop(&io->failed);
		one_step(io, &event);
	}
}

void moat_io_step(struct moat_io *io, struct moat_event *event)
{
	io->stepping = true;
	one_step(io, event);
	answer_failed(io);
	moat_udp_unsent(io);
	io->stepping = false;
	arm_timer(io);
	if (io->control)
		moat_control_compared(io->control);
}

void moat_io_fail(struct moat_io *io, uint32_t token, const char *why)
{
	struct moat_ipc msg;

	if (token == io->dumps.token && token) {
		moat_dump_fail(io, why);
		return;
	}
	moat_ipc_init(&msg, MOAT_IPC_ANSWER, token);
	moat_ipc_text(msg.answer.text, "%s", why);
	moat_letters_put(&io->failed, &msg);
	/* Outside of a step nobody would come for it. */
	if (!io->stepping)
		evtimer_add(io->timer, &(struct timeval){ 0 });
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct moat_io *io = arg;
	struct moat_event event = { .type = MOAT_EV_TIMER };

	(void)fd;
	(void)what;
	moat_io_step(io, &event);
}

/* The core's tunnels outlive the message that brought them. */
static const char *lasting_name(struct moat_io *io, const char *name)
{
	for (unsigned int i = 0; i < io->files.n_files; i++) {
		if (!strcmp(io->files.files[i], name))
			return io->files.files[i];
	}
	return moat_config_file(&io->files, name);
}

void moat_io_clean(struct moat_io *io)
{
	struct moat_ipc msg;

	/* The new policies stand, or are on their way before this. */
	moat_ipc_init(&msg, MOAT_IPC_CLEAN, 0);
	moat_channel_send(&io->kernel, &msg);
}

static void configure(struct moat_io *io)
{
	struct moat_event event = { .type = MOAT_EV_CONFIG };

	event.config.tunnels = io->config.tunnels;
	event.config.n_tunnels = io->config.n_tunnels;
	moat_io_step(io, &event);
	moat_io_clean(io);
}

static void settle(struct moat_io *io)
{
	struct moat_config *config = &io->feed.config;

	for (unsigned int i = 0; i < config->n_tunnels; i++)
		config->tunnels[i]->file = lasting_name(io, config->tunnels[i]->file);
	moat_feed_move(&io->feed, &io->config);
	io->settled = true;
	if (io->adopted)
		configure(io);
	else
		moat_dump_ask(io, moat_io_adopt, NULL);
}

static void take_channel(struct moat_io *io, const struct moat_ipc *msg, int fd)
{
	if (msg->channel.with == MOAT_PROCESS_KEYS) {
		moat_channel_set(&io->keys, fd);
		return;
	}
	moat_channel_set(&io->kernel, fd);
	if (io->settled && !io->adopted)
		moat_dump_ask(io, moat_io_adopt, NULL);
}

static void take_socket(struct moat_io *io, unsigned int which, int fd)
{
	if (which == MOAT_SOCKET_CONTROL && !io->control)
		io->control = moat_control_new(io, fd);
	else if (which < MOAT_SOCKETS && io->udp.fds[which] < 0)
		moat_udp_set(io, which, fd);
	else
		close(fd);
}

static void from_supervisor(struct moat_io *io, const struct moat_ipc *msg, int passed)
{
	switch (msg->type) {
	case MOAT_IPC_CHANNEL:
		take_channel(io, msg, passed);
		return;
	case MOAT_IPC_SOCKET:
		take_socket(io, msg->socket.which, passed);
		return;
	case MOAT_IPC_SETTLE:
		settle(io);
		break;
	case MOAT_IPC_PING:
		moat_ipc_pong(MOAT_SUPERVISOR_FD);
		break;
	case MOAT_IPC_MISTAKE:
	case MOAT_IPC_RELOADED:
		if (io->control)
			moat_control_reloaded(io->control, msg);
		break;
	default:
		if (!moat_feed_take(&io->feed, msg))
			moat_log(MOAT_LOG_ERR, "ipc-refused", NULL,
				 "ike: message %u of the supervisor", msg->type);
	}
	if (passed >= 0)
		close(passed);
}

static void take_answer(struct moat_io *io, struct moat_channel *channel,
			const struct moat_ipc *msg)
{
	struct moat_event event = { .type = MOAT_EV_ANSWER };
	char text[MOAT_IPC_TEXT];

	if (!moat_channel_answered(channel, msg->token) ||
	    msg->answer.len > sizeof(msg->answer.data))
		return;
	memcpy(text, msg->answer.text, sizeof(text));
	text[sizeof(text) - 1] = '\0';
	event.answer.token = msg->token;
	event.answer.ok = msg->answer.ok;
	event.answer.text = text;
	event.answer.data = msg->answer.data;
	event.answer.len = msg->answer.len;
	event.answer.spi = msg->answer.spi;
	event.answer.unused = msg->answer.unused;
	moat_io_step(io, &event);
}

static void from_keys(struct moat_io *io, const struct moat_ipc *msg, int passed)
{
	if (passed >= 0)
		close(passed);
	if (msg->type == MOAT_IPC_ANSWER)
		take_answer(io, &io->keys, msg);
}

static void take_acquire(struct moat_io *io, const struct moat_ipc *msg)
{
	struct moat_event event = { .type = MOAT_EV_ACQUIRE };

	if (!moat_policies_core(&io->policies, msg->acquire.policy,
				&event.acquire.policy))
		return;
	event.acquire.src = msg->acquire.src;
	event.acquire.dst = msg->acquire.dst;
	event.acquire.protocol = msg->acquire.protocol;
	moat_io_step(io, &event);
}

static void take_expire(struct moat_io *io, const struct moat_ipc *msg)
{
	struct moat_event event = { .type = MOAT_EV_EXPIRE };

	if (!moat_policies_core(&io->policies, msg->expire.policy, &event.expire.policy))
		return;
	event.expire.direction = msg->expire.direction;
	event.expire.protocol = msg->expire.protocol;
	event.expire.spi = msg->expire.spi;
	event.expire.dst = msg->expire.dst;
	event.expire.hard = msg->expire.hard;
	moat_io_step(io, &event);
}

static void take_first_use(struct moat_io *io, const struct moat_ipc *msg)
{
	struct moat_event event = { .type = MOAT_EV_FIRST_USE };

	if (!moat_policies_core(&io->policies, msg->expire.policy,
				&event.first_use.policy))
		return;
	event.first_use.protocol = msg->expire.protocol;
	event.first_use.spi = msg->expire.spi;
	event.first_use.dst = msg->expire.dst;
	moat_io_step(io, &event);
}

static void take_mapping(struct moat_io *io, const struct moat_ipc *msg)
{
	struct moat_event event = { .type = MOAT_EV_MAPPING };

	if (!moat_policies_core(&io->policies, msg->mapping.policy,
				&event.mapping.policy))
		return;
	event.mapping.protocol = msg->mapping.protocol;
	event.mapping.spi = msg->mapping.spi;
	event.mapping.peer = msg->mapping.peer;
	moat_io_step(io, &event);
}

static void take_unknown_spi(struct moat_io *io, const struct moat_ipc *msg)
{
	struct moat_event event = { .type = MOAT_EV_UNKNOWN_SPI };

	event.unknown_spi.protocol = msg->unknown_spi.protocol;
	event.unknown_spi.spi = msg->unknown_spi.spi;
	event.unknown_spi.local = msg->unknown_spi.local;
	event.unknown_spi.remote = msg->unknown_spi.remote;
	moat_io_step(io, &event);
}

static void take_policy_lost(struct moat_io *io, const struct moat_ipc *msg)
{
	struct moat_event event = { .type = MOAT_EV_POLICY_LOST };
	char text[sizeof(msg->policy_lost.text)];

	if (!moat_policies_core(&io->policies, msg->policy_lost.policy,
				&event.policy_lost.policy))
		return;
	memcpy(text, msg->policy_lost.text, sizeof(text));
	text[sizeof(text) - 1] = '\0';
	event.policy_lost.stands = msg->policy_lost.stands;
	event.policy_lost.text = text;
	moat_io_step(io, &event);
}

static void from_kernel(struct moat_io *io, const struct moat_ipc *msg, int passed)
{
	if (passed >= 0)
		close(passed);
	if (msg->token >= MOAT_EDGE_TOKEN) {
		moat_dump_take(io, msg);
		return;
	}
	switch (msg->type) {
	case MOAT_IPC_ANSWER:
		take_answer(io, &io->kernel, msg);
		break;
	case MOAT_IPC_ACQUIRE:
		take_acquire(io, msg);
		break;
	case MOAT_IPC_EXPIRE:
		take_expire(io, msg);
		break;
	case MOAT_IPC_FIRST_USE:
		take_first_use(io, msg);
		break;
	case MOAT_IPC_MAPPING:
		take_mapping(io, msg);
		break;
	case MOAT_IPC_UNKNOWN_SPI:
		take_unknown_spi(io, msg);
		break;
	case MOAT_IPC_POLICY_LOST:
		take_policy_lost(io, msg);
		break;
	case MOAT_IPC_SA_INFO:
		moat_totals_keep(io, msg);
		break;
	default:
		moat_log(MOAT_LOG_ERR, "ipc-refused", NULL,
			 "ike: message %u of the kernel process", msg->type);
	}
}

static struct moat_io *open_io(void)
{
	struct moat_io *io = calloc(1, sizeof(*io));

	if (!io)
		abort();
	io->base = event_base_new();
	io->ike = moat_ike_new(draw, NULL);
	if (!io->base || !io->ike || moat_crypt_init())
		abort();
	io->timer = evtimer_new(io->base, on_timer, io);
	for (unsigned int i = 0; i < MOAT_SOCKETS; i++)
		io->udp.fds[i] = -1;
	STAILQ_INIT(&io->failed);
	moat_dump_prepare(io);
	io->next_token = MOAT_EDGE_TOKEN;
	moat_channel_init(&io->supervisor, io, from_supervisor);
	moat_channel_init(&io->keys, io, from_keys);
	moat_channel_init(&io->kernel, io, from_kernel);
	return io;
}

static void close_io(struct moat_io *io)
{
	moat_workers_free(io->workers);
	moat_control_free(io->control);
	io->control = NULL;
	moat_udp_close(io);
	moat_channel_close(&io->supervisor);
	moat_channel_close(&io->keys);
	moat_channel_close(&io->kernel);
	moat_dump_end(io);
	moat_letters_free(&io->failed);
	moat_totals_free(io);
	moat_policies_free(&io->policies);
	moat_ike_free(io->ike);
	moat_config_free(&io->config);
	moat_config_free(&io->feed.config);
	moat_config_free(&io->files);
	event_free(io->timer);
	event_base_free(io->base);
	libevent_global_shutdown();
	free(io);
}

int moat_ike_process(const char *dir)
{
	struct moat_io *io;

	signal(SIGPIPE, SIG_IGN);
	io = open_io();
	moat_rights_drop("moat-ike", dir, false);
	io->workers = moat_workers_new(io);
	moat_channel_set(&io->supervisor, MOAT_SUPERVISOR_FD);
	event_base_dispatch(io->base);
	close_io(io);
	return 0;
}
