// SPDX-License-Identifier: GPL-2.0-or-later
/* The configuration of the simulation, its operator, what can be asked about a run. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim_internal.h"

static const char *const addresses[2][2] = {
	{ "192.0.2.1", "192.0.2.2" },
	{ "2001:db8::1", "2001:db8::2" },
};

void sim_setup(struct sim *sim, int side)
{
	if (!moat_addr_parse(addresses[sim->options.v6][side], &sim->side[side].addr))
		abort();
	sim->first[side] = sim->side[side].addr;
}

static struct moat_range net(const struct sim *sim, int side, unsigned int index)
{
	struct moat_range range;
	char text[MOAT_ADDR_STRLEN];

	if (sim->options.v6)
		snprintf(text, sizeof(text), "fd00:%d:%u::/48", side + 1, index);
	else
		snprintf(text, sizeof(text), "10.%d.%u.0/24", side + 1, index);
	if (moat_range_parse(text, &range))
		abort();
	if (sim->options.ranges) {
		range.first.bytes[range.first.len - 1] = 10;
		range.last.bytes[range.last.len - 1] = 99;
	}
	return range;
}

static void fill_pairs(const struct sim *sim, int side, unsigned int first,
		       unsigned int last, struct moat_pair_conf *pairs)
{
	unsigned int shift = sim->options.other_nets && side == 1 ? 7 : 0;

	for (unsigned int i = first; i < last; i++) {
		for (unsigned int j = 0; j < sim->options.nets; j++) {
			struct moat_selector *s = &pairs->selector;

			memset(pairs, 0, sizeof(*pairs));
			s->local = net(sim, side, i);
			s->remote = net(sim, !side, j + shift);
			if (sim->options.transport) {
				s->local.first = s->local.last = sim->side[side].addr;
				s->remote.first = sim_outside(sim, !side, 500).addr;
				s->remote.last = s->remote.first;
			}
			s->local_port[1] = s->remote_port[1] = UINT16_MAX;
			s->protocol = sim->options.protocol;
			if (sim->options.narrow && side == 1)
				(sim->options.narrow_local ? &s->local : &s->remote)
					->last.bytes[2] |= 15;
			if (sim->options.ports[side][1]) {
				memcpy(s->local_port, sim->options.ports[side],
				       sizeof(s->local_port));
				memcpy(s->remote_port, sim->options.ports[!side],
				       sizeof(s->remote_port));
			}
			pairs++;
		}
	}
}

static void fill_id(struct moat_identity *id, const struct moat_addr *addr)
{
	id->type = addr->len == 4 ? MOAT_ID_IPV4_ADDR : MOAT_ID_IPV6_ADDR;
	id->len = addr->len;
	memcpy(id->data, addr->bytes, addr->len);
}

static const char *or_default(const char *text, const char *fallback)
{
	return text ? text : fallback;
}

static void fill_conf(const struct sim *sim, int side, struct moat_tunnel_conf *conf)
{
	const struct sim_options *o = &sim->options;
	char err[160];

	conf->file = "moat.conf";
	conf->line = 2;
	conf->local = sim->side[side].addr;
	fill_id(&conf->local_id, &sim->side[side].addr);
	if ((!o->spare || side) && !o->also[side])
		fill_id(&conf->remote_id, &sim->side[!side].addr);
	if (sim->side[side].config.n_tunnels) {
		const struct moat_tunnel_conf *read = sim->side[side].config.tunnels[0];

		conf->creds = read->creds;
		conf->local_id = read->local_id;
		conf->remote_id = read->remote_id;
	}
	if (o->id[side]) {
		conf->local_id.type = MOAT_ID_FQDN;
		conf->local_id.len = (uint16_t)strlen(o->id[side]);
		memcpy(conf->local_id.data, o->id[side], conf->local_id.len);
	}
	conf->auth = o->auth ? o->auth : MOAT_METHOD_PSK;
	conf->exchange = o->aggressive ? MOAT_EXCHANGE_AGGRESSIVE : MOAT_EXCHANGE_MAIN;
	if (moat_ike_algs_add(&conf->ike,
			      or_default(o->ike[side], "aes128-sha256-ecp256"), err,
			      sizeof(err)) ||
	    (o->ah &&
	     moat_sa_algs_add(&conf->ah, MOAT_PROTO_AH, o->ah, err, sizeof(err))) ||
	    ((o->esp[side] || !o->ah) &&
	     moat_sa_algs_add(&conf->esp, MOAT_PROTO_ESP,
			      or_default(o->esp[side], "aes128gcm16"), err, sizeof(err))))
		abort();
	conf->mode = o->transport ? MOAT_MODE_TRANSPORT : MOAT_MODE_TUNNEL;
	conf->action = MOAT_ACTION_PROTECT;
	conf->start = o->start[side];
	conf->ike_lifetime = o->ike_lifetime ? o->ike_lifetime : 28800;
	conf->dpd = o->dpd;
	conf->dpd_timeout = o->dpd_timeout;
	conf->lifetime = o->lifetime ? o->lifetime : 3600;
	if (o->shorter && side == 1)
		conf->lifetime = o->shorter;
	conf->lifebytes = o->lifebytes;
	if (o->shorter_ike && side == 1)
		conf->ike_lifetime = o->shorter_ike;
	if (o->shorter_bytes && side == 1)
		conf->lifebytes = o->shorter_bytes;
	conf->nat_t = o->nat_t[side];
	conf->fragmentation = !o->whole[side];
	conf->replay = 1024;
	conf->narrow = o->narrow && side == 1;
	conf->routes = true;
}

void sim_configure_core(struct sim *sim, int side, bool wait)
{
	unsigned int nets = sim->options.nets;
	unsigned int count = sim->options.split ? nets : 1;
	struct moat_pair_conf pairs[SIM_NETS_MAX][SIM_NETS_MAX * SIM_NETS_MAX];
	struct moat_tunnel_conf confs[SIM_NETS_MAX] = { 0 };
	struct moat_tunnel_conf *list[SIM_NETS_MAX];
	struct moat_event event = { .type = MOAT_EV_CONFIG };
	struct moat_addr there = sim_outside(sim, !side, 500).addr;
	struct moat_addr remotes[2] = { there, there };
	bool spare = sim->options.spare && side == 0;

	remotes[0].bytes[remotes[0].len - 1] += spare ? 90 : 0;
	if (sim->options.also[side] &&
	    !moat_addr_parse(sim->options.also[side], &remotes[1]))
		abort();
	/* A list is written once; whether the other side has moved it does not say. */
	if (sim->options.also[side])
		remotes[0] = sim->first[!side];
	for (unsigned int i = 0; i < count; i++) {
		list[i] = &confs[i];
		fill_conf(sim, side, &confs[i]);
		snprintf(confs[i].name, sizeof(confs[i].name), i ? "branch%u" : "branch",
			 i);
		confs[i].remote = remotes;
		confs[i].n_remote = spare || sim->options.also[side] ? 2 : 1;
		confs[i].pairs = pairs[i];
		confs[i].n_pairs = count == 1 ? nets * nets : nets;
		fill_pairs(sim, side, i, count == 1 ? nets : i + 1, pairs[i]);
	}
	event.config.tunnels = list;
	event.config.n_tunnels = count;
	event.config.wait = wait;
	sim_step(sim, side, &event);
}

void sim_configure(struct sim *sim, int side)
{
	sim_configure_core(sim, side, false);
}

void sim_change_psk(struct sim *sim, int side, const char *psk)
{
	sim->options.psk[side] = psk;
	sim_configure(sim, side);
}

void sim_unconfigure(struct sim *sim, int side)
{
	struct moat_event event = { .type = MOAT_EV_CONFIG };

	sim_step(sim, side, &event);
}

/* ---- questions ---- */

uint64_t sim_now(const struct sim *sim)
{
	return sim->now;
}

struct moat_ike *sim_core(struct sim *sim, int side)
{
	return sim->side[side].ike;
}

unsigned int sim_sent(const struct sim *sim, int side, uint8_t exchange)
{
	return sim->side[side].sent[exchange];
}

static const struct sim_log *find_log(const struct sim *sim, int side, const char *name)
{
	const struct sim_log *log = sim->side[side].logs;

	while (log && strcmp(log->name, name))
		log = log->next;
	return log;
}

unsigned int sim_logged(const struct sim *sim, int side, const char *name)
{
	const struct sim_log *log = find_log(sim, side, name);

	return log ? log->count : 0;
}

const char *sim_log_text(const struct sim *sim, int side, const char *name)
{
	const struct sim_log *log = find_log(sim, side, name);

	return log ? log->text : "";
}

const char *sim_ladder(const struct sim *sim, int side)
{
	return sim->side[side].ladder ? sim->side[side].ladder : "";
}

int sim_done(const struct sim *sim, int side)
{
	return sim->side[side].done;
}

unsigned long sim_packets_lost(const struct sim *sim)
{
	return sim->lost;
}

unsigned long sim_packets_delivered(const struct sim *sim)
{
	return sim->delivered;
}

unsigned int sim_count(const struct sim *sim, int side, uint8_t direction)
{
	const struct sim_sa *sa = sim->side[side].kernel.sas;
	unsigned int count = 0;

	for (; sa; sa = sa->next)
		count += sa->params.direction == direction && !sa->reserved;
	return count;
}

uint64_t sim_hard_bytes(struct sim *sim, int side, uint8_t direction)
{
	const struct sim_sa *sa = sim->side[side].kernel.sas;

	for (; sa; sa = sa->next) {
		if (sa->params.direction == direction && !sa->reserved)
			return sa->params.hard_bytes;
	}
	return 0;
}

unsigned int sim_reserved(const struct sim *sim, int side)
{
	const struct sim_sa *sa = sim->side[side].kernel.sas;
	unsigned int count = 0;

	for (; sa; sa = sa->next)
		count += sa->reserved;
	return count;
}

unsigned int sim_policies(const struct sim *sim, int side)
{
	const struct sim_policy *policy = sim->side[side].kernel.policies;
	unsigned int count = 0;

	for (; policy; policy = policy->next)
		count++;
	return count;
}

unsigned int sim_bared(const struct sim *sim, int side)
{
	return sim->side[side].kernel.bared;
}

unsigned int sim_keys_named(const struct sim *sim, int side)
{
	return sim->side[side].keys_named;
}

struct moat_view sim_key(const struct sim *sim, int side)
{
	return moat_view(sim->side[side].key, sim->side[side].key_len);
}

unsigned int sim_isakmps(struct sim *sim, int side)
{
	struct moat_isakmp_view view;
	unsigned int count = 0;

	while (moat_ike_isakmp(sim->side[side].ike, count, &view))
		count++;
	return count;
}

struct moat_burden sim_burden(struct sim *sim, int side)
{
	struct moat_burden burden = { 0 };

	if (sim->side[side].ike)
		moat_ike_burden(sim->side[side].ike, &burden);
	return burden;
}

const char *sim_state(struct sim *sim, int side)
{
	struct moat_tunnel_view view;

	return moat_ike_tunnel(sim->side[side].ike, 0, &view) ? view.state : "none";
}

uint64_t sim_rekeys(struct sim *sim, int side)
{
	struct moat_tunnel_view view;

	return moat_ike_tunnel(sim->side[side].ike, 0, &view) ? view.rekeys : 0;
}

unsigned int sim_datagrams(const struct sim *sim)
{
	unsigned int count = 0;
	size_t len;
	int to;

	while (sim_datagram(sim, count, &len, &to))
		count++;
	return count;
}

const uint8_t *sim_datagram(const struct sim *sim, unsigned int index, size_t *len,
			    int *to)
{
	if (index >= sim->n_records)
		return NULL;
	*len = sim->records[index].len;
	*to = sim->records[index].to;
	return sim->records[index].data;
}

/* Hosts behind a NAT have other names for each other. */
static bool between(const struct moat_selector *s, const struct moat_addr *local,
		    const struct moat_addr *remote)
{
	return moat_addr_equal(&s->local.first, local) &&
	       moat_addr_equal(&s->local.last, local) &&
	       moat_addr_equal(&s->remote.first, remote) &&
	       moat_addr_equal(&s->remote.last, remote);
}

static const char *agree_on(struct sim *sim, int side, const struct moat_sa_params *out)
{
	bool ah = out->protocol == 51;
	struct sim_sa *in = sim_kernel_sa(&sim->side[!side].kernel, MOAT_DIRECTION_IN,
					  out->spi, &sim->side[!side].addr);
	struct moat_endpoint us = sim_outside(sim, side, 4500);
	const struct moat_sa_params *p = in ? &in->params : NULL;

	if (!in || in->reserved)
		return "the peer has no inbound SA for an outbound one";
	if (p->enc != out->enc || p->auth != out->auth || p->icv_len != out->icv_len ||
	    p->protocol != out->protocol || p->mode != out->mode || p->esn != out->esn)
		return "algorithms differ";
	if (!(out->enc_key_len + out->auth_key_len) || (ah && out->enc_key_len) ||
	    p->enc_key_len != out->enc_key_len ||
	    memcmp(p->enc_key, out->enc_key, out->enc_key_len))
		return "encryption keys differ";
	if (p->auth_key_len != out->auth_key_len ||
	    memcmp(p->auth_key, out->auth_key, out->auth_key_len))
		return "integrity keys differ";
	if (p->mode == MOAT_MODE_TRANSPORT
		    ? !between(&p->selector, &p->dst, &p->src) ||
			      !between(&out->selector, &out->src, &out->dst)
		    : !moat_range_equal(&p->selector.local, &out->selector.remote) ||
			      !moat_range_equal(&p->selector.remote,
						&out->selector.local))
		return "selectors are not mirrored";
	if (p->selector.protocol != out->selector.protocol ||
	    memcmp(p->selector.local_port, out->selector.remote_port,
		   sizeof(p->selector.local_port)) ||
	    memcmp(p->selector.remote_port, out->selector.local_port,
		   sizeof(p->selector.local_port)))
		return "selectors are not mirrored";
	if (out->encap[1] && (p->encap[0] != us.port || p->encap[1] != 4500))
		return "UDP ports differ";
	if (!moat_addr_equal(&p->src, &us.addr) || p->hard_seconds != out->hard_seconds)
		return "addresses or lifetimes differ";
	return NULL;
}

unsigned int sim_keepalives(const struct sim *sim, int side)
{
	return sim->side[side].keepalives;
}

struct moat_endpoint sim_remote(struct sim *sim, int side)
{
	struct moat_isakmp_view view = { 0 };

	moat_ike_isakmp(sim->side[side].ike, 0, &view);
	return view.remote;
}

struct moat_endpoint sim_public(const struct sim *sim, int side)
{
	return sim_outside(sim, side, 4500);
}

uint16_t sim_encap(const struct sim *sim, int side)
{
	const struct sim_policy *policy = sim->side[side].kernel.policies;

	return policy && policy->out ? policy->out->params.encap[1] : 0;
}

const char *sim_agree(struct sim *sim)
{
	if (sim->wrong[0])
		return sim->wrong;
	for (int side = 0; side < 2; side++) {
		const struct sim_policy *policy = sim->side[side].kernel.policies;

		for (; policy; policy = policy->next) {
			const char *why = "a policy has no outbound SA";

			if (policy->out)
				why = agree_on(sim, side, &policy->out->params);
			if (!why && policy->out->inner)
				why = agree_on(sim, side, &policy->out->inner->params);
			if (!why)
				continue;
			snprintf(sim->differs, sizeof(sim->differs),
				 "side %c policy %u: %s", 'A' + side, policy->params.id,
				 why);
			return sim->differs;
		}
	}
	return NULL;
}

void sim_change_nets(struct sim *sim, unsigned int nets)
{
	sim->options.nets = nets;
}

static unsigned int meeting(const struct sim *sim, int side)
{
	const struct sim_sa *sa = sim->side[side].kernel.sas;
	unsigned int count = 0;

	for (; sa; sa = sa->next) {
		const struct sim_sa *in = sim->side[!side].kernel.sas;

		if (sa->reserved || sa->params.direction != MOAT_DIRECTION_OUT)
			continue;
		while (in && (in->reserved || in->params.direction != MOAT_DIRECTION_IN ||
			      in->params.spi != sa->params.spi ||
			      in->params.protocol != sa->params.protocol))
			in = in->next;
		count += in != NULL;
	}
	return count;
}

bool sim_equal(struct sim *sim)
{
	for (int side = 0; side < 2; side++) {
		unsigned int met = meeting(sim, side);

		if (!met || met != sim_count(sim, side, MOAT_DIRECTION_OUT) ||
		    met != sim_count(sim, !side, MOAT_DIRECTION_IN))
			return false;
	}
	return !sim_agree(sim);
}

void sim_readdress(struct sim *sim, int side, const char *addr)
{
	if (!moat_addr_parse(addr, &sim->side[side].addr))
		abort();
}

void sim_also(struct sim *sim, int side, const char *also)
{
	sim->options.also[side] = also;
}

/* ---- what an operator asks ---- */

void sim_control(struct sim *sim, int side, enum moat_event_type type)
{
	struct moat_event event = { .type = type };

	sim->side[side].done = -1;
	event.control.tunnel = "branch";
	event.control.request = ++sim->side[side].requests;
	sim_step(sim, side, &event);
}

void sim_up(struct sim *sim, int side)
{
	sim_control(sim, side, MOAT_EV_UP);
}

void sim_clear(struct sim *sim, int side)
{
	sim_control(sim, side, MOAT_EV_CLEAR);
}

void sim_keylog(struct sim *sim, int side, bool on)
{
	struct moat_event event = { .type = MOAT_EV_KEYLOG, .keylog.on = on };

	sim_step(sim, side, &event);
}

void sim_down(struct sim *sim, int side)
{
	sim_control(sim, side, MOAT_EV_DOWN);
}

void sim_fail(struct sim *sim, unsigned int percent)
{
	sim->fail = percent;
}

void sim_change(struct sim *sim, int side, const char *esp)
{
	sim->options.esp[side] = esp;
}

void sim_network(struct sim *sim, unsigned int loss, unsigned int duplicate,
		 unsigned int reorder)
{
	sim->options.loss = loss;
	sim->options.duplicate = duplicate;
	sim->options.reorder = reorder;
}
