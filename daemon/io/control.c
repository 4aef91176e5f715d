// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The control socket: JSON lines. Requests are short and answers go out as the
 * reader takes them; who does not read is cut off.
 */
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/io.h"
#include "priv/crowd.h"
#include "priv/log.h"
#include "priv/request.h"

#define CLIENTS_MAX 64
#define UNREAD_MAX  (1u << 20) /* octets that a reader may leave */
#define IDLE_MAX    60	       /* seconds without a request, nor a wish for lines */

/**
 * struct client - one connection
 * @request: of an up, down or reload that is not done; 0 for none
 * @mistakes: what a reload has found so far
 * @comparing: its reload is done, but for what the keys process says
 * @tracing: gets a line for each message
 * @monitoring: gets a line for each event
 * @dumps: how often it waits for what the kernel holds
 * @uid: who it is
 * @since: when it asked last
 * @closing: nothing more is said
 */
struct client {
	LIST_ENTRY(client) next;
	struct moat_control *control;
	struct bufferevent *stream;
	uint32_t request;
	json_t *mistakes;
	bool comparing;
	bool tracing;
	bool monitoring;
	bool closing;
	unsigned int dumps;
	uid_t uid;
	uint64_t since;
};

/**
 * struct moat_control - the socket and its connections
 */
struct moat_control {
	struct moat_io *io;
	int fd;
	struct event *event;
	LIST_HEAD(, client) clients;
	unsigned int n;
	uint32_t last_request;
};

static void free_client(struct client *client)
{
	moat_dump_cancel(client->control->io, client);
	LIST_REMOVE(client, next);
	client->control->n--;
	json_decref(client->mistakes);
	bufferevent_free(client->stream);
	free(client);
}

/* The end of the connection is an event, and that frees it. */
static void cut_off(struct client *client)
{
	struct evbuffer *out = bufferevent_get_output(client->stream);

	client->tracing = false;
	client->closing = true;
	evbuffer_drain(out, evbuffer_get_length(out));
	shutdown(bufferevent_getfd(client->stream), SHUT_RDWR);
}

/* Send one line; takes over @document. */
static void say(struct client *client, json_t *document)
{
	struct evbuffer *out = bufferevent_get_output(client->stream);
	char *text = json_dumps(document, JSON_COMPACT);

	json_decref(document);
	if (!text)
		abort();
	if (evbuffer_get_length(out) > UNREAD_MAX)
		cut_off(client);
	if (client->closing) {
		free(text);
		return;
	}
	evbuffer_add(out, text, strlen(text));
	evbuffer_add(out, "\n", 1);
	free(text);
}

static json_t *document(void)
{
	return json_pack("{s:i}", "schema_version", 1);
}

static void say_error(struct client *client, const char *text)
{
	json_t *doc = document();

	/* What peers sent may be in it, in any encoding. */
	if (json_object_set_new(doc, "error", json_string(text)))
		json_object_set_new(doc, "error", json_string("refused"));
	say(client, doc);
}

static void say_done(struct client *client, const char *text)
{
	json_t *doc = document();

	json_object_set_new(doc, "done", json_true());
	if (text && text[0])
		json_object_set_new(doc, "text", json_string(text));
	say(client, doc);
}

static struct client *find_request(struct moat_control *control, uint32_t request)
{
	struct client *client;

	LIST_FOREACH(client, &control->clients, next) {
		if (client->request == request)
			return client;
	}
	return NULL;
}

void moat_control_done(struct moat_control *control, uint32_t request, bool ok,
		       const char *text)
{
	struct client *client = request ? find_request(control, request) : NULL;

	if (!client)
		return;
	client->request = 0;
	if (ok)
		say_done(client, text);
	else
		say_error(client, text && text[0] ? text : "failed");
}

static json_t *refused_policies(struct moat_io *io)
{
	json_t *list = json_array();
	struct moat_tunnel_view tunnel;
	struct moat_pair_view pair;
	char local[2 * MOAT_ADDR_STRLEN];
	char remote[2 * MOAT_ADDR_STRLEN];

	for (unsigned int i = 0; moat_ike_tunnel(io->ike, i, &tunnel); i++) {
		for (unsigned int j = 0; moat_ike_pair(io->ike, i, j, &pair); j++) {
			if (!pair.refused)
				continue;
			moat_range_str(&pair.selector.local, local);
			moat_range_str(&pair.selector.remote, remote);
			json_array_append_new(
				list, json_sprintf("tunnel %s: %s to %s: %s", tunnel.name,
						   local, remote, pair.refused));
		}
	}
	return list;
}

static bool listed(const json_t *list, const char *name)
{
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item) {
		if (!strcmp(json_string_value(item), name))
			return true;
	}
	return false;
}

/* Tunnels that have an ISAKMP SA by other credentials. */
static json_t *outdated_tunnels(struct moat_io *io)
{
	json_t *list = json_array();
	struct moat_isakmp_view sa;

	for (unsigned int i = 0; moat_ike_isakmp(io->ike, i, &sa); i++) {
		if (sa.outdated && !listed(list, sa.tunnel))
			json_array_append_new(list, json_string(sa.tunnel));
	}
	return list;
}

static const char other_credentials[] =
	"their ISAKMP SAs were made with other credentials, or these could not be "
	"compared (the log says which): the IPsec SAs stay, but others are made only when the peer has its new credentials, too; until then it "
	"is asked again";

static void say_outdated(struct client *client, json_t *outdated)
{
	json_t *doc = document();

	json_object_set_new(doc, "done", json_true());
	json_object_set_new(doc, "text", json_string(other_credentials));
	json_object_set_new(doc, "outdated", outdated);
	say(client, doc);
}

static void end_reload(struct client *client)
{
	json_t *outdated = outdated_tunnels(client->control->io);
	json_t *refused = refused_policies(client->control->io);
	json_t *doc;

	client->request = 0;
	client->comparing = false;
	if (!json_array_size(refused)) {
		json_decref(refused);
		if (json_array_size(outdated)) {
			say_outdated(client, outdated);
			return;
		}
		json_decref(outdated);
		say_done(client, NULL);
		return;
	}
	json_decref(outdated);
	doc = document();
	json_object_set_new(doc, "error",
			    json_string("the new configuration is in use, but the kernel "
					"refused policies: traffic may leave in clear"));
	json_object_set_new(doc, "mistakes", refused);
	say(client, doc);
}

void moat_control_compared(struct moat_control *control)
{
	struct client *client;

	LIST_FOREACH(client, &control->clients, next) {
		if (client->comparing && !moat_ike_comparing(control->io->ike))
			end_reload(client);
	}
}

/* The kernel process has answered behind all that the new configuration asked. */
static void say_reloaded(struct moat_io *io, const struct moat_dump *dump, void *arg)
{
	struct client *client = arg;

	(void)dump;
	client->comparing = true;
	moat_control_compared(io->control);
}

void moat_control_reloaded(struct moat_control *control, const struct moat_ipc *msg)
{
	struct client *client = msg->token ? find_request(control, msg->token) : NULL;
	char text[sizeof(msg->text.text)];
	json_t *doc;

	if (!client)
		return;
	if (msg->type == MOAT_IPC_MISTAKE) {
		memcpy(text, msg->text.text, sizeof(text));
		text[sizeof(text) - 1] = '\0';
		if (!client->mistakes)
			client->mistakes = json_array();
		json_array_append_new(client->mistakes, json_string(text));
		return;
	}
	if (msg->text.ok) {
		moat_dump_ask(control->io, say_reloaded, client);
		return;
	}
	client->request = 0;
	doc = document();
	json_object_set_new(doc, "error",
			    json_string("the configuration has mistakes; the one in use "
					"stays"));
	if (client->mistakes)
		json_object_set_new(doc, "mistakes", client->mistakes);
	client->mistakes = NULL;
	say(client, doc);
}

void moat_control_trace(struct moat_control *control, const struct moat_act *act)
{
	struct client *client;

	LIST_FOREACH(client, &control->clients, next) {
		if (client->tracing)
			say(client, moat_trace_json(act));
	}
}

void moat_control_event(struct moat_control *control, const struct moat_act *act)
{
	struct client *client;

	LIST_FOREACH(client, &control->clients, next) {
		if (client->monitoring)
			say(client, moat_event_json(control->io, act));
	}
}

static bool known_tunnel(struct moat_io *io, const char *name)
{
	struct moat_tunnel_view view;

	for (unsigned int i = 0; i < io->config.n_tunnels; i++) {
		if (!strcmp(io->config.tunnels[i]->name, name))
			return true;
	}
	/* That of a peer from anywhere: "road:1", which nothing configured is called. */
	for (unsigned int i = 0; strchr(name, ':') && moat_ike_tunnel(io->ike, i, &view);
	     i++) {
		if (!strcmp(view.name, name))
			return true;
	}
	return false;
}

static void say_unknown_tunnel(struct client *client, const char *name)
{
	const struct moat_config *config = &client->control->io->config;
	const char **names = calloc(config->n_tunnels + 1, sizeof(*names));
	const char *close;
	char text[256];

	if (!names)
		abort();
	for (unsigned int i = 0; i < config->n_tunnels; i++)
		names[i] = config->tunnels[i]->name;
	close = moat_did_you_mean(name, names, config->n_tunnels);
	snprintf(text, sizeof(text), "there is no tunnel \"%s\"%s%s%s", name,
		 close ? ", did you mean \"" : "", close ? close : "",
		 close ? "\"?" : "");
	free(names);
	say_error(client, text);
}

static uint32_t new_request(struct moat_control *control)
{
	if (!++control->last_request)
		control->last_request = 1;
	return control->last_request;
}

static enum moat_event_type event_of(enum moat_command_id command)
{
	switch (command) {
	case MOAT_REQUEST_UP:
		return MOAT_EV_UP;
	case MOAT_REQUEST_DOWN:
		return MOAT_EV_DOWN;
	case MOAT_REQUEST_REKEY:
		return MOAT_EV_REKEY;
	default:
		return MOAT_EV_CLEAR;
	}
}

static void do_up_down(struct client *client, const struct moat_request *request)
{
	struct moat_control *control = client->control;
	struct moat_event event = { 0 };

	event.type = event_of(request->command);
	if (!known_tunnel(control->io, request->tunnel)) {
		say_unknown_tunnel(client, request->tunnel);
		return;
	}
	event.control.tunnel = request->tunnel;
	event.control.request = new_request(control);
	/* Up and down can take a while, the others are answered at once. */
	if (request->wait || (request->command != MOAT_REQUEST_UP &&
			      request->command != MOAT_REQUEST_DOWN))
		client->request = event.control.request;
	else
		say_done(client, "asked");
	moat_io_step(control->io, &event);
}

static void do_reload(struct client *client)
{
	struct moat_control *control = client->control;
	struct moat_ipc msg;

	client->request = new_request(control);
	moat_ipc_init(&msg, MOAT_IPC_RELOAD, client->request);
	if (!moat_ipc_send(MOAT_SUPERVISOR_FD, &msg, -1, MSG_DONTWAIT))
		return;
	client->request = 0;
	say_error(client, "the supervisor is busy: try again");
}

static void say_status(struct moat_io *io, const struct moat_dump *dump, void *arg)
{
	struct client *client = arg;

	client->dumps--;
	say(client, moat_status_document(io, dump));
}

static void say_ipsec(struct moat_io *io, const struct moat_dump *dump, void *arg)
{
	struct client *client = arg;
	json_t *doc = document();

	client->dumps--;
	json_object_set_new(doc, "tunnels", moat_tunnels_json(io, dump));
	say(client, doc);
}

static void ask_dump(struct client *client, moat_dump_fn fn)
{
	client->dumps++;
	moat_dump_ask(client->control->io, fn, client);
}

static void say_list(struct client *client, const char *name, json_t *list)
{
	json_t *doc = document();

	json_object_set_new(doc, name, list);
	say(client, doc);
}

static void start_lines(struct client *client, bool *wanted)
{
	json_t *doc = document();

	json_object_set_new(doc, "type", json_string("start"));
	*wanted = true;
	say(client, doc);
}

static void do_keylog(struct client *client, const struct moat_request *request)
{
	moat_keylog_turn(client->control->io, request->on);
	say_done(client, request->on ? "on" : "off");
}

static void serve(struct client *client, const struct moat_request *request)
{
	struct moat_io *io = client->control->io;

	client->since = moat_io_now();
	if (client->request) {
		say_error(client, "the request before is not done yet");
		return;
	}
	switch (request->command) {
	case MOAT_REQUEST_UP:
	case MOAT_REQUEST_DOWN:
	case MOAT_REQUEST_CLEAR:
	case MOAT_REQUEST_REKEY:
		do_up_down(client, request);
		break;
	case MOAT_REQUEST_STATUS:
		ask_dump(client, say_status);
		break;
	case MOAT_REQUEST_RELOAD:
		do_reload(client);
		break;
	case MOAT_REQUEST_ISAKMP:
		say_list(client, "isakmp", moat_isakmp_json(io));
		break;
	case MOAT_REQUEST_IPSEC:
		ask_dump(client, say_ipsec);
		break;
	case MOAT_REQUEST_FAILURES:
		say_list(client, "failures", moat_failures_json());
		break;
	case MOAT_REQUEST_TRACE:
		start_lines(client, &client->tracing);
		break;
	case MOAT_REQUEST_MONITOR:
		start_lines(client, &client->monitoring);
		break;
	case MOAT_REQUEST_KEYLOG:
		do_keylog(client, request);
		break;
	case MOAT_REQUEST_VERSION:
		say_list(client, "version", json_string(MOAT_VERSION));
		break;
	}
}

static void on_read(struct bufferevent *stream, void *arg)
{
	struct evbuffer *in = bufferevent_get_input(stream);
	struct client *client = arg;
	struct moat_request request;
	char *line, why[256];
	size_t len;

	while (!client->closing && (line = evbuffer_readln(in, &len, EVBUFFER_EOL_LF))) {
		if (moat_request_parse(line, len, &request, why, sizeof(why)))
			serve(client, &request);
		else
			say_error(client, why);
		free(line);
	}
	if (evbuffer_get_length(in) <= MOAT_REQUEST_MAX || client->closing)
		return;
	say_error(client, "the request has no end");
	client->closing = true;
	bufferevent_disable(stream, EV_READ);
}

/* Everything is said to a client that shall go. */
static void on_write(struct bufferevent *stream, void *arg)
{
	struct client *client = arg;

	(void)stream;
	if (client->closing)
		free_client(client);
}

static bool is_busy(const struct client *client)
{
	return client->request || client->dumps || client->tracing || client->monitoring;
}

static void on_event(struct bufferevent *stream, short what, void *arg)
{
	struct client *client = arg;

	if (!(what & BEV_EVENT_TIMEOUT) || !is_busy(client))
		free_client(client);
	else
		bufferevent_enable(stream, EV_READ);
}

/* All places are taken: one gives way, or the newcomer is told to come later. */
static bool make_room(struct moat_control *control, uid_t uid)
{
	struct moat_seat seats[CLIENTS_MAX];
	struct client *clients[CLIENTS_MAX], *client;
	unsigned int n = 0;
	int victim;

	LIST_FOREACH(client, &control->clients, next) {
		clients[n] = client;
		seats[n++] =
			(struct moat_seat){ client->uid, is_busy(client), client->since };
	}
	victim = moat_crowd_victim(seats, n, uid);
	if (victim < 0)
		return false;
	free_client(clients[victim]);
	return true;
}

static void turn_away(int peer)
{
	static const char text[] =
		"{\"schema_version\":1,\"error\":\"moatd is busy: all its connections "
		"are in use (moat trace, moat monitor, --wait): end some, and try "
		"again\"}\n";

	send(peer, text, sizeof(text) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	close(peer);
}

static uid_t user_of(int peer)
{
	struct ucred cred = { .uid = (uid_t)-1 };
	socklen_t len = sizeof(cred);

	getsockopt(peer, SOL_SOCKET, SO_PEERCRED, &cred, &len);
	return cred.uid;
}

static struct client *new_client(struct moat_control *control, int peer, uid_t uid)
{
	const struct timeval idle = { .tv_sec = IDLE_MAX };
	struct client *client = calloc(1, sizeof(*client));

	if (!client)
		abort();
	client->control = control;
	client->uid = uid;
	client->since = moat_io_now();
	client->stream =
		bufferevent_socket_new(control->io->base, peer, BEV_OPT_CLOSE_ON_FREE);
	if (!client->stream)
		abort();
	bufferevent_setcb(client->stream, on_read, on_write, on_event, client);
	bufferevent_setwatermark(client->stream, EV_READ, 0, 2 * MOAT_REQUEST_MAX);
	bufferevent_set_timeouts(client->stream, &idle, NULL);
	bufferevent_enable(client->stream, EV_READ | EV_WRITE);
	return client;
}

static void on_connect(evutil_socket_t fd, short what, void *arg)
{
	struct moat_control *control = arg;
	int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct client *client;
	uid_t uid;

	(void)what;
	if (peer < 0)
		return;
	uid = user_of(peer);
	if (control->n == CLIENTS_MAX && !make_room(control, uid)) {
		turn_away(peer);
		return;
	}
	/* The macro reads its argument more than once. */
	client = new_client(control, peer, uid);
	LIST_INSERT_HEAD(&control->clients, client, next);
	control->n++;
}

struct moat_control *moat_control_new(struct moat_io *io, int fd)
{
	struct moat_control *control = calloc(1, sizeof(*control));

	if (!control)
		abort();
	control->io = io;
	control->fd = fd;
	LIST_INIT(&control->clients);
	control->event =
		event_new(io->base, fd, EV_READ | EV_PERSIST, on_connect, control);
	if (!control->event)
		abort();
	event_add(control->event, NULL);
	return control;
}

void moat_control_free(struct moat_control *control)
{
	if (!control)
		return;
	while (!LIST_EMPTY(&control->clients))
		free_client(LIST_FIRST(&control->clients));
	event_free(control->event);
	close(control->fd);
	free(control);
}
