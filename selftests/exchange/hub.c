// SPDX-License-Identifier: GPL-2.0-or-later
/* A gateway and its peers in one process: see hub.h. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hub.h"
#include "ike/dh.h"
#include "ike/ike1.h"
#include "io/x509.h"
#include "priv/config.h"
#include "priv/keys_rsa.h"
#include "sim_kernel.h"
#include "wire/isakmp.h"

#define LOGS 64

/**
 * struct item - something that happens later
 * @datagram: or the answer to a question
 */
struct item {
	struct item *next;
	uint64_t due;
	unsigned int node;
	unsigned int boot;
	bool datagram;
	struct moat_event event;
	uint8_t *data;
	uint8_t *secret;
};

struct line {
	char name[48];
	char text[512];
};

/**
 * struct node - one gateway
 * @nat: it is seen under this address; len 0 is none
 * @first: message 1 that it sent last
 */
struct node {
	struct moat_ike *ike;
	struct moat_addr addr;
	struct moat_addr nat;
	unsigned int number;
	unsigned int boot;
	bool mute;
	struct sim_kernel kernel;
	struct moat_config config;
	struct moat_rsa_keys keys;
	struct line logs[LOGS];
	unsigned int unproven;
	uint8_t first[2048];
	size_t first_len;
};

struct hub {
	uint64_t now;
	uint64_t random;
	struct node nodes[HUB_NODES];
	struct item *queue;
	struct moat_x509 *x509;
	uint32_t requests;
	bool done;
	char wrong[256];
};

static uint32_t draw(struct hub *hub)
{
	hub->random = hub->random * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(hub->random >> 32);
}

static void fill(void *ctx, void *buf, size_t len)
{
	uint8_t *to = buf;

	while (len--)
		*to++ = (uint8_t)draw(ctx);
}

static void *copy(const void *data, size_t len)
{
	void *to = malloc(len + 1);

	if (!to)
		abort();
	if (len)
		memcpy(to, data, len);
	return to;
}

static struct item *later(struct hub *hub, unsigned int node, uint64_t ms)
{
	struct item *item = calloc(1, sizeof(*item)), **at = &hub->queue;

	if (!item)
		abort();
	item->due = hub->now + ms;
	item->node = node;
	item->boot = hub->nodes[node].boot;
	while (*at && (*at)->due <= item->due)
		at = &(*at)->next;
	item->next = *at;
	*at = item;
	return item;
}

static struct moat_event *answer(struct hub *hub, unsigned int node, uint32_t token,
				 const void *data, size_t len)
{
	struct item *item = later(hub, node, 1);

	item->event.type = MOAT_EV_ANSWER;
	item->event.answer.token = token;
	item->event.answer.ok = true;
	item->event.answer.data = item->data = copy(data, len);
	item->event.answer.len = len;
	return &item->event;
}

/* ---- the network ---- */

static struct moat_endpoint outside(const struct node *node, uint16_t port)
{
	struct moat_endpoint end = { node->addr, port };

	if (node->nat.len) {
		end.addr = node->nat;
		end.port = (uint16_t)(port + 10000 * node->number);
	}
	return end;
}

static bool leads_to(const struct node *node, const struct moat_endpoint *end,
		     uint16_t *port)
{
	static const uint16_t ports[] = { 500, 4500 };

	for (unsigned int i = 0; i < 2; i++) {
		struct moat_endpoint own = outside(node, ports[i]);

		*port = ports[i];
		if (moat_endpoint_equal(&own, end))
			return true;
	}
	return false;
}

static void put_datagram(struct hub *hub, unsigned int to, const struct moat_act *act,
			 struct moat_endpoint from, uint16_t port)
{
	struct item *item = later(hub, to, 10);

	item->datagram = true;
	item->event.type = MOAT_EV_DATAGRAM;
	item->event.datagram.local.addr = hub->nodes[to].addr;
	item->event.datagram.local.port = port;
	item->event.datagram.remote = from;
	item->event.datagram.marker = act->send.marker;
	item->event.datagram.data = item->data = copy(act->send.data, act->send.len);
	item->event.datagram.len = act->send.len;
}

static void send_datagram(struct hub *hub, unsigned int from, const struct moat_act *act)
{
	struct node *node = &hub->nodes[from];
	uint16_t port;

	if (act->send.keepalive || node->mute)
		return;
	if (act->send.len <= sizeof(node->first) && act->send.data[18] == MOAT_X_MAIN &&
	    !memcmp(act->send.data + 8, "\0\0\0\0\0\0\0\0", 8)) {
		memcpy(node->first, act->send.data, act->send.len);
		node->first_len = act->send.len;
	}
	for (unsigned int i = 0; i < HUB_NODES; i++) {
		struct node *to = &hub->nodes[i];

		if (i != from && to->ike && !to->mute &&
		    leads_to(to, &act->send.remote, &port))
			put_datagram(hub, i, act, outside(node, act->send.local.port),
				     port);
	}
}

/* ---- what a core asks for ---- */

static void ask_dh(struct hub *hub, unsigned int node, const struct moat_act *act)
{
	uint8_t priv[MOAT_DH_PRIVATE_MAX], out[MOAT_DH_PUBLIC_MAX];
	enum moat_group group = (enum moat_group)act->dh_generate.group;
	struct moat_event *event;
	struct item *item;

	if (act->type == MOAT_ACT_DH_SHARED) {
		group = (enum moat_group)act->dh_shared.group;
		if (moat_dh_shared(group, act->dh_shared.secret,
				   moat_view(act->dh_shared.peer,
					     act->dh_shared.peer_len),
				   out, NULL))
			abort();
		answer(hub, node, act->token, out, moat_dh_shared_len(group));
		return;
	}
	do {
		fill(hub, priv, sizeof(priv));
		priv[0] &= 0x7f;
	} while (moat_dh_public(group, priv, out));
	event = answer(hub, node, act->token, out, moat_dh_public_len(group));
	item = (struct item *)((char *)event - offsetof(struct item, event));
	event->answer.secret = item->secret = copy(priv, moat_dh_private_len(group));
	event->answer.secret_len = moat_dh_private_len(group);
}

static void ask_keys(struct hub *hub, unsigned int node, const struct moat_act *act)
{
	uint8_t out[MOAT_RSA_MAX] = { 0 };
	const struct moat_rsa_key *key;
	char why[512] = "";

	if (act->type == MOAT_ACT_SKEYID) {
		if (moat_skeyid_psk((enum moat_hash)act->skeyid.hash,
				    moat_view("a secret", 8),
				    moat_view(act->skeyid.nonces, act->skeyid.len),
				    moat_view(NULL, 0), out))
			abort();
		answer(hub, node, act->token, out,
		       moat_hash_len((enum moat_hash)act->skeyid.hash));
	} else if (act->type == MOAT_ACT_SIGN) {
		key = moat_rsa_keys_find(&hub->nodes[node].keys, act->sign.key_id);
		if (!key ||
		    moat_rsa_sign(key, moat_view(act->sign.hash, act->sign.len), out))
			abort();
		answer(hub, node, act->token, out, key->len);
	} else {
		bool ok = !moat_x509_verify(hub->x509, act->verify, why, sizeof(why));
		struct moat_event *event =
			answer(hub, node, act->token, why, sizeof(why));

		event->answer.ok = ok;
		event->answer.text = (const char *)event->answer.data;
	}
}

static void ask_kernel(struct hub *hub, unsigned int node, const struct moat_act *act)
{
	struct sim_kernel *kernel = &hub->nodes[node].kernel;
	const char *why = NULL;
	uint32_t spi = 0;

	switch (act->type) {
	case MOAT_ACT_SPI_ALLOC:
		while (!spi)
			spi = sim_kernel_reserve(kernel, draw(hub), &act->spi_alloc.dst,
						 hub->now);
		break;
	case MOAT_ACT_SA_ADD:
		why = sim_kernel_add(kernel, act->sa, hub->now);
		break;
	case MOAT_ACT_POLICY_SWITCH:
		why = sim_kernel_switch(kernel, act->sa, hub->now);
		break;
	case MOAT_ACT_SA_DEL:
		sim_kernel_del(kernel, act->sa);
		break;
	case MOAT_ACT_POLICY_ADD:
		why = sim_kernel_policy_add(kernel, &act->policy);
		break;
	case MOAT_ACT_POLICY_SET:
		why = sim_kernel_policy_set(kernel, &act->policy);
		break;
	case MOAT_ACT_POLICY_DEL:
		sim_kernel_policy_del(kernel, act->policy.id);
		break;
	default:
		break;
	}
	if (why)
		snprintf(hub->wrong, sizeof(hub->wrong), "node %u: %s", node, why);
	if (act->token) {
		struct moat_event *event = answer(hub, node, act->token, NULL, 0);

		event->answer.ok = !why;
		event->answer.text = why;
		event->answer.spi = spi;
	}
}

static void keep_log(struct node *node, const char *name, const char *text)
{
	for (unsigned int i = 0; i < LOGS; i++) {
		struct line *line = &node->logs[i];

		if (line->name[0] && strcmp(line->name, name))
			continue;
		snprintf(line->name, sizeof(line->name), "%s", name);
		snprintf(line->text, sizeof(line->text), "%s", text);
		return;
	}
}

static void act_on(struct hub *hub, unsigned int node, const struct moat_act *act)
{
	char name[32];

	hub->nodes[node].unproven += act->unproven;
	switch (act->type) {
	case MOAT_ACT_SEND:
		send_datagram(hub, node, act);
		break;
	case MOAT_ACT_DH_GENERATE:
	case MOAT_ACT_DH_SHARED:
		ask_dh(hub, node, act);
		break;
	case MOAT_ACT_SKEYID:
	case MOAT_ACT_SIGN:
	case MOAT_ACT_VERIFY:
		ask_keys(hub, node, act);
		break;
	case MOAT_ACT_FORGET:
		break;
	case MOAT_ACT_FAILURE:
		keep_log(&hub->nodes[node], "failure", act->log.text);
		break;
	case MOAT_ACT_LOG:
		keep_log(&hub->nodes[node], act->log.name, act->log.text);
		if (getenv("SIM_VERBOSE"))
			printf("# %8.3f %u %s: %s: %s\n", (double)hub->now / 1000.0, node,
			       act->log.name, act->log.tunnel, act->log.text);
		break;
	case MOAT_ACT_TRACE:
		snprintf(name, sizeof(name), "%s %u", act->trace.exchange,
			 act->trace.number);
		keep_log(&hub->nodes[node], name, act->trace.tunnel);
		break;
	case MOAT_ACT_CONTROL_DONE:
		hub->done = act->done.ok;
		keep_log(&hub->nodes[node], "control-done", act->done.text);
		break;
	default:
		ask_kernel(hub, node, act);
		break;
	}
}

static void step(struct hub *hub, unsigned int node, struct moat_event *event)
{
	struct moat_acts acts;

	if (!hub->nodes[node].ike)
		return;
	event->now = hub->now;
	moat_acts_init(&acts);
	moat_ike_step(hub->nodes[node].ike, event, &acts);
	for (struct moat_act *act = acts.first; act; act = act->next)
		act_on(hub, node, act);
	moat_acts_free(&acts);
}

/* ---- time ---- */

static uint64_t next_wake(struct hub *hub, unsigned int *who)
{
	uint64_t first = UINT64_MAX;

	for (unsigned int i = 0; i < HUB_NODES; i++) {
		uint64_t wake =
			hub->nodes[i].ike ? moat_ike_wake(hub->nodes[i].ike) : UINT64_MAX;

		if (wake < first) {
			first = wake;
			*who = i;
		}
	}
	return first;
}

static void free_item(struct item *item)
{
	free(item->data);
	free(item->secret);
	free(item);
}

static void do_item(struct hub *hub)
{
	struct item *item = hub->queue;

	hub->queue = item->next;
	hub->now = item->due;
	if (item->datagram || item->boot == hub->nodes[item->node].boot)
		step(hub, item->node, &item->event);
	free_item(item);
}

void hub_run(struct hub *hub, uint64_t ms)
{
	uint64_t end = hub->now + ms;

	for (;;) {
		unsigned int who = 0;
		uint64_t wake = next_wake(hub, &who);
		struct moat_event event = { .type = MOAT_EV_TIMER };

		if (hub->queue && hub->queue->due <= wake && hub->queue->due <= end) {
			do_item(hub);
			continue;
		}
		if (wake > end)
			break;
		if (wake > hub->now)
			hub->now = wake;
		step(hub, who, &event);
	}
	hub->now = end;
}

/* ---- nodes ---- */

static void read_text(struct node *node, const char *tunnels)
{
	struct moat_mistakes mistakes = { 0 };
	char text[8192];
	FILE *file;

	moat_config_free(&node->config);
	moat_rsa_keys_free(&node->keys);
	snprintf(text, sizeof(text), "tunnels = { %s };\n", tunnels);
	file = fmemopen(text, strlen(text), "r");
	if (!file)
		abort();
	node->config.dir = "selftests/certs";
	moat_config_read(&node->config, file, "moat.conf", &mistakes);
	fclose(file);
	moat_config_finish(&node->config, &mistakes);
	for (unsigned int i = 0; i < node->config.n_keys; i++) {
		int fd = open(node->config.keys[i].path, O_RDONLY);

		if (fd < 0)
			abort();
		moat_rsa_keys_read(&node->keys, fd, &node->config.keys[i], &mistakes);
		close(fd);
	}
	for (unsigned int i = 0; i < mistakes.n; i++)
		fprintf(stderr, "# %s\n", mistakes.list[i]);
	if (mistakes.n)
		abort();
	moat_mistakes_free(&mistakes);
}

void hub_configure(struct hub *hub, unsigned int number, const char *addr,
		   const char *tunnels)
{
	struct moat_event event = { .type = MOAT_EV_CONFIG };
	struct node *node = &hub->nodes[number];

	if (!moat_addr_parse(addr, &node->addr))
		abort();
	if (!node->ike)
		node->ike = moat_ike_new(fill, hub);
	read_text(node, tunnels);
	event.config.tunnels = node->config.tunnels;
	event.config.n_tunnels = node->config.n_tunnels;
	step(hub, number, &event);
}

void hub_nat(struct hub *hub, unsigned int node, const char *addr, unsigned int number)
{
	hub->nodes[node].number = number;
	if (!moat_addr_parse(addr, &hub->nodes[node].nat))
		abort();
}

void hub_mute(struct hub *hub, unsigned int node, bool mute)
{
	hub->nodes[node].mute = mute;
}

void hub_reboot(struct hub *hub, unsigned int number)
{
	struct node *node = &hub->nodes[number];

	moat_ike_free(node->ike);
	node->ike = NULL;
	node->boot++;
	sim_kernel_clear(&node->kernel);
	memset(node->logs, 0, sizeof(node->logs));
}

void hub_control(struct hub *hub, unsigned int node, enum moat_event_type type,
		 const char *tunnel)
{
	struct moat_event event = { .type = type };

	hub->done = false;
	event.control.tunnel = tunnel;
	event.control.request = ++hub->requests;
	step(hub, node, &event);
}

void hub_delete(struct hub *hub, unsigned int number, const struct moat_cookies *cky)
{
	struct moat_ike *ike = hub->nodes[number].ike;
	struct moat_acts acts;

	moat_acts_init(&acts);
	ike->acts = &acts;
	moat_info_delete_isakmp(TAILQ_FIRST(&ike->isakmps), cky);
	ike->acts = NULL;
	for (struct moat_act *act = acts.first; act; act = act->next)
		act_on(hub, number, act);
	moat_acts_free(&acts);
}

void hub_stranger(struct hub *hub, const char *addr, uint32_t cookie)
{
	struct moat_event event = { .type = MOAT_EV_DATAGRAM };
	struct node *node = &hub->nodes[1];

	memcpy(node->first, &cookie, sizeof(cookie));
	event.datagram.local = (struct moat_endpoint){ hub->nodes[0].addr, 500 };
	event.datagram.remote.port = 500;
	if (!node->first_len || !moat_addr_parse(addr, &event.datagram.remote.addr))
		abort();
	event.datagram.data = node->first;
	event.datagram.len = node->first_len;
	step(hub, 0, &event);
}

struct hub *hub_new(void)
{
	struct hub *hub = calloc(1, sizeof(*hub));

	if (!hub)
		abort();
	hub->now = 1000000;
	hub->random = 1;
	hub->x509 = moat_x509_new();
	return hub;
}

void hub_free(struct hub *hub)
{
	for (unsigned int i = 0; i < HUB_NODES; i++) {
		struct node *node = &hub->nodes[i];

		hub_reboot(hub, i);
		moat_config_free(&node->config);
		moat_rsa_keys_free(&node->keys);
	}
	while (hub->queue) {
		struct item *item = hub->queue;

		hub->queue = item->next;
		free_item(item);
	}
	moat_x509_free(hub->x509);
	free(hub);
}

/* ---- questions ---- */

struct moat_ike *hub_core(struct hub *hub, unsigned int node)
{
	return hub->nodes[node].ike;
}

const char *hub_state(struct hub *hub, unsigned int node, const char *tunnel)
{
	struct moat_tunnel_view view;

	for (unsigned int i = 0; moat_ike_tunnel(hub->nodes[node].ike, i, &view); i++) {
		if (!strcmp(view.name, tunnel))
			return view.state;
	}
	return "none";
}

unsigned int hub_tunnels(struct hub *hub, unsigned int node)
{
	struct moat_tunnel_view view;
	unsigned int n = 0;

	while (moat_ike_tunnel(hub->nodes[node].ike, n, &view))
		n++;
	return n;
}

unsigned int hub_isakmps(struct hub *hub, unsigned int node)
{
	struct moat_isakmp_view view;
	unsigned int n = 0;

	while (moat_ike_isakmp(hub->nodes[node].ike, n, &view))
		n++;
	return n;
}

unsigned int hub_sas(struct hub *hub, unsigned int node, uint8_t direction)
{
	const struct sim_sa *sa = hub->nodes[node].kernel.sas;
	unsigned int n = 0;

	for (; sa; sa = sa->next)
		n += !sa->reserved && sa->params.direction == direction;
	return n;
}

unsigned int hub_policies(struct hub *hub, unsigned int node, uint8_t action)
{
	const struct sim_policy *policy = hub->nodes[node].kernel.policies;
	unsigned int n = 0;

	for (; policy; policy = policy->next)
		n += policy->params.action == action;
	return n;
}

const struct moat_policy_params *hub_policy(struct hub *hub, unsigned int node,
					    uint8_t action, const char *remote)
{
	const struct sim_policy *policy = hub->nodes[node].kernel.policies;
	struct moat_range range;

	if (moat_range_parse(remote, &range))
		abort();
	for (; policy; policy = policy->next) {
		if (policy->params.action == action &&
		    moat_range_equal(&policy->params.selector.remote, &range))
			return &policy->params;
	}
	return NULL;
}

const char *hub_log(struct hub *hub, unsigned int node, const char *name)
{
	for (unsigned int i = 0; i < LOGS; i++) {
		if (!strcmp(hub->nodes[node].logs[i].name, name))
			return hub->nodes[node].logs[i].text;
	}
	return "";
}

unsigned int hub_unproven(struct hub *hub, unsigned int node)
{
	return hub->nodes[node].unproven;
}

bool hub_done(struct hub *hub)
{
	return hub->done;
}

const char *hub_wrong(struct hub *hub)
{
	return hub->wrong[0] ? hub->wrong : NULL;
}
