// SPDX-License-Identifier: GPL-2.0-or-later
/* The simulation: what happens between two cores, and when. */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ike/crypt.h"
#include "io/x509.h"
#include "sim_internal.h"
#include "wire/isakmp.h"

static void *copy(const void *data, size_t len)
{
	void *to = malloc(len ? len : 1);

	if (!to)
		abort();
	if (len)
		memcpy(to, data, len);
	return to;
}

/* splitmix64: small, and good enough to choose what gets lost. */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

uint64_t sim_random(struct sim *sim, uint64_t below)
{
	return below ? next_random(&sim->random) % below : 0;
}

static void core_random(void *ctx, void *buf, size_t len)
{
	struct sim_side *side = ctx;
	uint8_t *to = buf;

	while (len--)
		*to++ = (uint8_t)next_random(&side->random);
}

/* ---- the queue ---- */

struct sim_item *sim_later(struct sim *sim, uint64_t ms, enum sim_item_type type,
			   int side)
{
	struct sim_item *item = calloc(1, sizeof(*item));
	struct sim_item **at = &sim->queue;

	if (!item)
		abort();
	item->due = sim->now + ms;
	item->type = type;
	item->side = side;
	while (*at && (*at)->due <= item->due)
		at = &(*at)->next;
	item->next = *at;
	*at = item;
	return item;
}

static void free_item(struct sim_item *item)
{
	free(item->data);
	free(item->secret);
	free(item);
}

static void verbose(const struct sim *sim, int side, const char *kind, const char *text)
{
	if (sim->options.verbose)
		printf("# %8.3f %c %s %s\n", sim->now / 1000.0, 'A' + side, kind, text);
}

/* ---- events into a core, actions out of it ---- */

void sim_step(struct sim *sim, int side, struct moat_event *event)
{
	struct moat_acts acts;

	if (!sim->side[side].ike)
		return;
	event->now = sim->now + (uint64_t)sim->side[side].skew;
	moat_acts_init(&acts);
	moat_ike_step(sim->side[side].ike, event, &acts);
	for (struct moat_act *act = acts.first; act; act = act->next)
		sim_act(sim, side, act);
	moat_acts_free(&acts);
}

static void record(struct sim *sim, const uint8_t *data, size_t len, int to)
{
	struct sim_record *r;

	if (sim->n_records == SIM_RECORDS)
		return;
	r = &sim->records[sim->n_records++];
	r->data = copy(data, len);
	r->len = len;
	r->to = to;
}

/* What was sent to a mapping of before is lost. */
struct moat_endpoint sim_outside(const struct sim *sim, int side, uint16_t port)
{
	const struct sim_side *s = &sim->side[side];
	struct moat_endpoint end = { .addr = s->addr, .port = port };

	if (!sim->options.nat[side])
		return end;
	end.addr.bytes[end.addr.len - 1] += (uint8_t)(100 + s->rebound);
	if (sim->options.nat[side] == SIM_NAT_MASQUERADE)
		end.port = (uint16_t)(port + 10000 + 100 * s->rebound);
	return end;
}

/* The port inside that an endpoint outside leads to; 0 for none. */
static uint16_t inside(const struct sim *sim, int side, const struct moat_endpoint *end)
{
	static const uint16_t ports[] = { 500, 4500 };

	for (unsigned int i = 0; i < 2; i++) {
		struct moat_endpoint now = sim_outside(sim, side, ports[i]);

		if (moat_endpoint_equal(&now, end))
			return ports[i];
	}
	return 0;
}

static void deliver(struct sim *sim, const struct moat_act *act, int to)
{
	uint64_t delay = 5 + sim_random(sim, 15);
	struct sim_item *item;

	if (sim_random(sim, 100) < sim->options.reorder)
		delay += sim_random(sim, 3000);
	item = sim_later(sim, delay, SIM_DATAGRAM, to);
	item->data = copy(act->send.data, act->send.len);
	item->len = act->send.len;
	item->from = sim_outside(sim, !to, act->send.local.port);
	item->to.addr = sim->side[to].addr;
	item->to.port = inside(sim, to, &act->send.remote);
	item->marker = act->send.marker;
	if (sim->spoil_for && sim->spoil_for != 1 + to)
		return;
	for (size_t i = 0; sim->spoil_len && i + sim->spoil_len <= item->len; i++) {
		if (!memcmp(item->data + i, sim->spoil, sim->spoil_len))
			item->data[i + sim->spoil_at] ^= sim->spoil_by;
	}
}

void sim_send(struct sim *sim, int side, const struct moat_act *act)
{
	int to = !side;

	if (act->send.keepalive) {
		sim->side[side].keepalives++;
		return;
	}
	if (act->send.len < MOAT_HDR_LEN)
		abort();
	record(sim, act->send.data, act->send.len, to);
	sim->side[side].sent[act->send.data[18]]++;
	if (!sim_forgetful_can(sim, side, act->send.data, act->send.len) ||
	    !inside(sim, to, &act->send.remote) ||
	    !moat_addr_equal(&act->send.local.addr, &sim->side[side].addr))
		return;
	if (sim->filter && sim->filter(side, act->send.data[18],
				       sim->side[side].sent[act->send.data[18]]))
		return;
	if (sim_random(sim, 100) >= sim->options.loss)
		deliver(sim, act, to);
	if (sim_random(sim, 100) < sim->options.duplicate)
		deliver(sim, act, to);
}

static void datagram(struct sim *sim, int side, const struct moat_endpoint *from,
		     const struct moat_endpoint *to, bool marker, const uint8_t *data,
		     size_t len)
{
	struct moat_event event = { .type = MOAT_EV_DATAGRAM };

	if (!sim_forgetful_can(sim, side, data, len))
		return;
	event.datagram.local = *to;
	event.datagram.remote = *from;
	event.datagram.marker = marker;
	event.datagram.data = data;
	event.datagram.len = len;
	sim_step(sim, side, &event);
}

void sim_inject_from(struct sim *sim, int to, const char *from, const uint8_t *data,
		     size_t len)
{
	struct moat_endpoint source = { .port = 500 };
	struct moat_endpoint target = { .addr = sim->side[to].addr, .port = 500 };

	if (!moat_addr_parse(from, &source.addr))
		abort();
	datagram(sim, to, &source, &target, false, data, len);
}

void sim_inject_at(struct sim *sim, int to, uint16_t port, const uint8_t *data,
		   size_t len)
{
	struct moat_endpoint source = sim_outside(sim, !to, 4500);
	struct moat_endpoint target = { .addr = sim->side[to].addr, .port = 4500 };

	source.port = port;
	datagram(sim, to, &source, &target, true, data, len);
}

void sim_inject(struct sim *sim, int to, const uint8_t *data, size_t len)
{
	struct moat_endpoint source = { .addr = sim->side[!to].addr, .port = 500 };
	struct moat_endpoint target = { .addr = sim->side[to].addr, .port = 500 };

	datagram(sim, to, &source, &target, false, data, len);
}

static void answer(struct sim *sim, struct sim_item *item)
{
	struct moat_event event = { .type = MOAT_EV_ANSWER };

	event.answer.token = item->token;
	event.answer.ok = item->ok;
	event.answer.text = item->text;
	event.answer.data = item->data;
	event.answer.len = item->len;
	event.answer.secret = item->secret;
	event.answer.secret_len = item->secret_len;
	event.answer.spi = item->spi;
	event.answer.unused = item->unused;
	sim_step(sim, item->side, &event);
}

/* ---- packets of the tunnels ---- */

static void send_packet(struct sim *sim, int side, struct sim_policy *policy)
{
	struct sim_item *item = sim_later(sim, 5, SIM_PACKET, !side);

	item->spi = policy->out->params.spi;
	item->data = copy(&policy->out->params, sizeof(policy->out->params));
	((struct moat_sa_params *)(void *)item->data)->dst = policy->out->to;
	policy->out->bytes += 100;
}

static void check_bytes(struct sim *sim, int side, struct sim_sa *sa)
{
	struct moat_event event = { .type = MOAT_EV_EXPIRE };
	bool hard = sa->params.hard_bytes && sa->bytes >= sa->params.hard_bytes;

	if (!sa->params.soft_bytes || sa->bytes < sa->params.soft_bytes ||
	    (sa->soft && !hard))
		return;
	sa->soft = true;
	event.expire.direction = sa->params.direction;
	event.expire.protocol = sa->params.protocol;
	event.expire.spi = sa->params.spi;
	event.expire.dst = sa->params.dst;
	event.expire.policy = sa->params.policy;
	event.expire.hard = hard;
	if (hard)
		sim_kernel_del(&sim->side[side].kernel, &sa->params);
	sim_step(sim, side, &event);
}

static void acquire(struct sim *sim, int side, struct sim_policy *policy)
{
	struct moat_event event = { .type = MOAT_EV_ACQUIRE };

	if (policy->params.acquire_off ||
	    (policy->acquired && sim->now < policy->acquired + 5000))
		return;
	policy->acquired = sim->now;
	event.acquire.policy = policy->params.id;
	sim_step(sim, side, &event);
}

/* A packet without an SA is held; it counts from when it is sent. */
static void packet_out(struct sim *sim, int side, uint32_t id)
{
	struct sim_policy *policy = sim_kernel_policy(&sim->side[side].kernel, id);

	if (!policy)
		return;
	if (!policy->out) {
		acquire(sim, side, policy);
		return;
	}
	send_packet(sim, side, policy);
	check_bytes(sim, side, policy->out);
}

static bool keys_equal(const struct moat_sa_params *a, const struct moat_sa_params *b)
{
	return a->enc == b->enc && a->auth == b->auth && a->icv_len == b->icv_len &&
	       a->enc_key_len == b->enc_key_len && a->auth_key_len == b->auth_key_len &&
	       !memcmp(a->enc_key, b->enc_key, a->enc_key_len) &&
	       !memcmp(a->auth_key, b->auth_key, a->auth_key_len);
}

/* Does an outbound SA lead to where its peer is? */
static bool arrives(const struct sim *sim, int side, const struct moat_sa_params *out)
{
	struct moat_endpoint end = { .addr = out->dst, .port = out->encap[1] };

	if (!sim->options.nat[side] && !sim->options.nat[!side])
		return moat_addr_equal(&out->dst, &sim->side[side].addr);
	return out->encap[1] && inside(sim, side, &end) == 4500;
}

/* As the module does: a peer that is heard from elsewhere is followed. */
static void heard(struct sim *sim, int side, struct sim_sa *sa)
{
	struct moat_endpoint now = sim_outside(sim, !side, 4500);
	struct sim_policy *policy =
		sim_kernel_policy(&sim->side[side].kernel, sa->params.policy);
	struct sim_item *item;

	if (now.port == sa->params.encap[0] &&
	    moat_addr_equal(&now.addr, &sa->params.src))
		return;
	if (policy && policy->out && policy->out->params.encap[1] == sa->params.encap[0])
		sim_kernel_move(policy->out, &now);
	sa->params.encap[0] = now.port;
	sa->params.src = now.addr;
	item = sim_later(sim, 1, SIM_MAPPING, side);
	item->spi = sa->params.spi;
	item->token = sa->params.policy;
	item->from = now;
}

static void mapping(struct sim *sim, struct sim_item *item)
{
	struct moat_event event = { .type = MOAT_EV_MAPPING };

	event.mapping.protocol = 50;
	event.mapping.spi = item->spi;
	event.mapping.policy = item->token;
	event.mapping.peer = item->from;
	sim_step(sim, item->side, &event);
}

/* As the module does: once in a second. */
static void unknown_spi(struct sim *sim, int side, const struct moat_sa_params *out)
{
	struct moat_event event = { .type = MOAT_EV_UNKNOWN_SPI };
	struct sim_side *s = &sim->side[side];

	if (s->unknown_at && sim->now < s->unknown_at + 1000)
		return;
	s->unknown_at = sim->now;
	event.unknown_spi.protocol = out->protocol;
	event.unknown_spi.spi = out->spi;
	event.unknown_spi.local = out->dst;
	event.unknown_spi.remote = out->src;
	sim_step(sim, side, &event);
}

void sim_unknown(struct sim *sim, int side, const char *from, uint32_t spi)
{
	struct moat_sa_params out = { .protocol = 50, .spi = spi };

	out.dst = sim->side[side].addr;
	if (!moat_addr_parse(from, &out.src))
		abort();
	unknown_spi(sim, side, &out);
}

static void packet_in(struct sim *sim, struct sim_item *item)
{
	const struct moat_sa_params *out = (const void *)item->data;
	struct sim_sa *sa =
		sim_kernel_sa(&sim->side[item->side].kernel, MOAT_DIRECTION_IN, out->spi,
			      &sim->side[item->side].addr);
	struct sim_item *first;
	char text[64];

	if (!sa || sa->reserved || !keys_equal(&sa->params, out) ||
	    !arrives(sim, item->side, out) || !sim_forgetful_has(sim, item->side, sa)) {
		snprintf(text, sizeof(text), "packet for SPI %08x", out->spi);
		verbose(sim, item->side, "LOST", text);
		sim->lost++;
		if (!sa && arrives(sim, item->side, out))
			unknown_spi(sim, item->side, out);
		return;
	}
	sim->delivered++;
	if (sa->params.encap[0])
		heard(sim, item->side, sa);
	if (sa->used)
		return;
	sa->used = true;
	first = sim_later(sim, 1, SIM_FIRST_USE, item->side);
	first->spi = out->spi;
	first->token = sa->params.policy;
}

static void first_use(struct sim *sim, struct sim_item *item)
{
	struct moat_event event = { .type = MOAT_EV_FIRST_USE };

	event.first_use.protocol = sim->options.ah ? 51 : 50;
	event.first_use.spi = item->spi;
	event.first_use.dst = sim->side[item->side].addr;
	event.first_use.policy = item->token;
	sim_step(sim, item->side, &event);
}

static void traffic(struct sim *sim)
{
	uint32_t ids[SIM_NETS_MAX * SIM_NETS_MAX];

	for (int side = 0; side < (sim->options.one_way ? 1 : 2); side++) {
		unsigned int count = 0;
		struct sim_policy *policy = sim->side[side].kernel.policies;

		for (; policy; policy = policy->next)
			ids[count++] = policy->params.id;
		while (count)
			packet_out(sim, side, ids[--count]);
	}
	if (sim->options.traffic)
		sim_later(sim, sim->options.traffic, SIM_TRAFFIC, 0);
}

/* ---- limits that the kernel watches ---- */

static void expire_sas(struct sim *sim, int side)
{
	struct sim_sa *sa = sim->side[side].kernel.sas;

	while (sa) {
		struct moat_event event = { .type = MOAT_EV_EXPIRE };

		if (sa->ends > sim->now) {
			sa = sa->next;
			continue;
		}
		event.expire.direction = sa->params.direction;
		event.expire.protocol = sa->params.protocol;
		event.expire.spi = sa->params.spi;
		event.expire.dst = sa->params.dst;
		event.expire.policy = sa->params.policy;
		event.expire.hard = true;
		if (sa->reserved) {
			sim_kernel_del(&sim->side[side].kernel, &sa->params);
		} else {
			sim_kernel_del(&sim->side[side].kernel, &sa->params);
			sim_step(sim, side, &event);
		}
		sa = sim->side[side].kernel.sas;
	}
}

static void tick(struct sim *sim)
{
	for (int side = 0; side < 2; side++)
		expire_sas(sim, side);
	sim_later(sim, 500, SIM_TICK, 0);
}

/* ---- time ---- */

static void run_item(struct sim *sim, struct sim_item *item)
{
	switch (item->type) {
	case SIM_DATAGRAM:
		datagram(sim, item->side, &item->from, &item->to, item->marker,
			 item->data, item->len);
		break;
	case SIM_ANSWER:
		if (item->boot == sim->side[item->side].boot)
			answer(sim, item);
		break;
	case SIM_KERNEL:
		sim_kernel_work(sim, item);
		break;
	case SIM_PACKET:
		packet_in(sim, item);
		break;
	case SIM_FIRST_USE:
		first_use(sim, item);
		break;
	case SIM_MAPPING:
		mapping(sim, item);
		break;
	case SIM_TRAFFIC:
		traffic(sim);
		break;
	case SIM_TICK:
		tick(sim);
		break;
	}
	free_item(item);
}

/* When a core wants to be called, by the clock of the simulation. */
static uint64_t wakes_at(const struct sim_side *side)
{
	uint64_t wake = side->ike ? moat_ike_wake(side->ike) : UINT64_MAX;

	if (wake == UINT64_MAX)
		return wake;
	if (side->skew > 0 && wake < (uint64_t)side->skew)
		return 0;
	return wake - (uint64_t)side->skew;
}

void sim_run(struct sim *sim, uint64_t ms)
{
	uint64_t end = sim->now + ms;

	for (;;) {
		struct sim_item *item = sim->queue;
		uint64_t due = item ? item->due : UINT64_MAX;
		int side = -1;

		for (int i = 0; i < 2; i++) {
			uint64_t wake = wakes_at(&sim->side[i]);

			if (wake < due) {
				due = wake;
				side = i;
			}
		}
		if (due > end)
			break;
		if (due > sim->now)
			sim->now = due;
		if (side >= 0) {
			struct moat_event event = { .type = MOAT_EV_TIMER };

			sim_step(sim, side, &event);
			continue;
		}
		sim->queue = item->next;
		run_item(sim, item);
	}
	sim->now = end;
}

struct sim *sim_new(const struct sim_options *options)
{
	struct sim *sim = calloc(1, sizeof(*sim));

	if (!sim || moat_crypt_init())
		abort();
	sim->options = *options;
	sim->random = options->seed;
	sim->now = 1000;
	for (int side = 0; side < 2; side++) {
		struct sim_side *s = &sim->side[side];

		s->random = options->seed * 2 + (uint64_t)side + 77;
		s->done = -1;
		s->ike = moat_ike_new(core_random, s);
		sim_setup(sim, side);
	}
	for (int side = 0; side < 2; side++)
		sim_rsa_setup(sim, side);
	tick(sim);
	for (int side = 0; side < 2; side++)
		sim_configure(sim, side);
	if (options->traffic)
		traffic(sim);
	return sim;
}

void sim_free(struct sim *sim)
{
	for (int side = 0; side < 2; side++) {
		struct sim_side *s = &sim->side[side];

		moat_ike_free(s->ike);
		sim_kernel_clear(&s->kernel);
		sim_forget_logs(s);
		sim_rsa_clear(s);
		free(s->ladder);
		free(s->forgetful);
	}
	moat_x509_free(sim->x509);
	while (sim->queue) {
		struct sim_item *item = sim->queue;

		sim->queue = item->next;
		free_item(item);
	}
	for (unsigned int i = 0; i < sim->n_records; i++)
		free(sim->records[i].data);
	free(sim);
}

struct moat_ike *sim_new_core(struct sim_side *side)
{
	return moat_ike_new(core_random, side);
}

void sim_reboot(struct sim *sim, int side)
{
	struct sim_side *s = &sim->side[side];

	moat_ike_free(s->ike);
	sim_kernel_clear(&s->kernel);
	s->boot++;
	s->set_back = false;
	s->ike = sim_new_core(s);
	sim_configure(sim, side);
}

void sim_jump(struct sim *sim, int side, int64_t ms)
{
	struct sim_side *s = &sim->side[side];

	if (ms < 0 && sim->now + (uint64_t)s->skew < (uint64_t)-ms)
		ms = -(int64_t)(sim->now + (uint64_t)s->skew);
	s->skew += ms;
	s->set_back |= ms < 0;
}

void sim_traffic(struct sim *sim, unsigned int every)
{
	bool runs = sim->options.traffic;

	sim->options.traffic = every;
	if (every && !runs)
		traffic(sim);
}

void sim_rebind(struct sim *sim, int side)
{
	sim->side[side].rebound++;
}

void sim_spoil_by(struct sim *sim, const uint8_t *what, size_t len, size_t at, uint8_t by)
{
	sim->spoil = what;
	sim->spoil_len = len;
	sim->spoil_at = at;
	sim->spoil_by = by;
}

void sim_spoil(struct sim *sim, const uint8_t *what, size_t len)
{
	sim_spoil_by(sim, what, len, 0, 1);
}

void sim_set_filter(struct sim *sim, sim_filter filter)
{
	sim->filter = filter;
}

void sim_flush(struct sim *sim, int side)
{
	struct sim_kernel *kernel = &sim->side[side].kernel;
	struct sim_sa *sa = kernel->sas;

	while (sa) {
		struct sim_sa *next = sa->next;

		if (!sa->reserved)
			sim_kernel_del(kernel, &sa->params);
		sa = next;
	}
}

void sim_acquire(struct sim *sim, int side, unsigned int index)
{
	struct sim_policy *policy = sim->side[side].kernel.policies;

	while (policy && index--)
		policy = policy->next;
	if (policy)
		acquire(sim, side, policy);
}
