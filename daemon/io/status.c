// SPDX-License-Identifier: GPL-2.0-or-later
/* The documents that `moat status` and its relatives show. */
#include <netinet/in.h>
#include <string.h>
#include <time.h>

#include "ike/alg.h"
#include "io/io.h"
#include "io/x509.h"
#include "wire/isakmp.h"

json_t *moat_time_json(uint64_t seconds)
{
	time_t t = seconds;
	char text[32];
	struct tm tm;

	if (!seconds || !gmtime_r(&t, &tm))
		return json_null();
	strftime(text, sizeof(text), "%FT%TZ", &tm);
	return json_string(text);
}

/* A moment of the core's clock, as the calendar has it. */
static json_t *moment(uint64_t ms)
{
	uint64_t now = moat_io_now();
	int64_t away = (int64_t)(ms - now) / 1000;

	return ms ? moat_time_json(time(NULL) + away) : json_null();
}

static json_t *address(const struct moat_addr *addr)
{
	char text[MOAT_ADDR_STRLEN];

	return json_string(moat_addr_str(addr, text));
}

static json_t *network(const struct moat_range *range)
{
	char text[2 * MOAT_ADDR_STRLEN];

	return json_string(moat_range_str(range, text));
}

static json_t *identity(const struct moat_identity *id)
{
	char text[2 * MOAT_ID_MAX];
	json_t *row;

	if (!id->type)
		return json_null();
	moat_id_text(id->type, moat_view(id->data, id->len), text, sizeof(text));
	/* Who a peer says it is may be in any encoding. */
	row = json_string(text);
	return row ? row : json_null();
}

static json_t *cookie(const uint8_t *octets)
{
	char text[17];

	for (unsigned int i = 0; i < 8; i++)
		snprintf(text + 2 * i, 3, "%02x", octets[i]);
	return json_string(text);
}

static json_t *isakmp_row(const struct moat_isakmp_view *view)
{
	json_t *row = json_object();

	json_object_set_new(row, "id", json_integer(view->id));
	json_object_set_new(row, "tunnel",
			    view->tunnel ? json_string(view->tunnel) : json_null());
	json_object_set_new(row, "local", address(&view->local.addr));
	json_object_set_new(row, "remote", address(&view->remote.addr));
	json_object_set_new(row, "local_port", json_integer(view->local.port));
	json_object_set_new(row, "remote_port", json_integer(view->remote.port));
	json_object_set_new(row, "state", json_string(view->state));
	json_object_set_new(row, "role",
			    json_string(view->initiator ? "initiator" : "responder"));
	json_object_set_new(row, "exchange", json_string(view->exchange));
	json_object_set_new(row, "cookies",
			    json_pack("[o, o]", cookie(view->cookies[0]),
				      cookie(view->cookies[1])));
	json_object_set_new(row, "proposal", json_string(view->proposal));
	json_object_set_new(row, "established_at", moment(view->established));
	json_object_set_new(row, "expires_at", moment(view->expires));
	json_object_set_new(row, "messages_sent", json_integer(view->sent));
	json_object_set_new(row, "messages_received", json_integer(view->received));
	return row;
}

json_t *moat_isakmp_json(struct moat_io *io)
{
	struct moat_isakmp_view view;
	json_t *list = json_array();

	for (unsigned int i = 0; moat_ike_isakmp(io->ike, i, &view); i++)
		json_array_append_new(list, isakmp_row(&view));
	return list;
}

/* All that serve the tunnel's peer: tunnels of one peer share them. */
static json_t *isakmp_ids(struct moat_io *io, unsigned int tunnel)
{
	struct moat_isakmp_view view;
	json_t *list = json_array();

	for (unsigned int i = 0; moat_ike_isakmp(io->ike, i, &view); i++) {
		if (moat_ike_serves(io->ike, i, tunnel))
			json_array_append_new(list, json_integer(view.id));
	}
	return list;
}

static json_t *sa_proposal(const struct moat_ipc *info)
{
	const struct moat_sa_params *sa = &info->sa_info.sa;
	struct moat_sa_alg alg = {
		.protocol = sa->protocol == IPPROTO_AH ? MOAT_PROTO_AH : MOAT_PROTO_ESP,
		.enc = sa->enc,
		.key_bits = info->sa_info.key_bits,
		.auth = sa->auth,
		.icv_len = sa->icv_len,
		.esn = sa->esn,
	};
	char text[64];

	moat_sa_alg_print(&alg, text, sizeof(text));
	return json_string(text);
}

static json_t *counters(const struct moat_ipc_counters *from)
{
	json_t *object = json_object();

	for (unsigned int i = 0; i < from->n; i++)
		json_object_set_new(object, from->list[i].name,
				    json_integer(from->list[i].value));
	return object;
}

static json_t *encap(const struct moat_sa_params *sa)
{
	bool in = sa->direction == MOAT_DIRECTION_IN;

	if (!sa->encap[0])
		return json_null();
	return json_pack("{s:i, s:i}", "local_port", sa->encap[in], "remote_port",
			 sa->encap[!in]);
}

static json_t *sa_row(const struct moat_ipc *info)
{
	static const char *const states[] = { "reserved", "valid", "dying", "dead" };
	const struct moat_sa_params *sa = &info->sa_info.sa;
	json_t *row = json_object();
	char spi[9];

	snprintf(spi, sizeof(spi), "%08x", sa->spi);
	json_object_set_new(row, "direction",
			    json_string(sa->direction == MOAT_DIRECTION_IN ? "in"
									   : "out"));
	json_object_set_new(row, "protocol",
			    json_string(sa->protocol == IPPROTO_AH ? "ah" : "esp"));
	json_object_set_new(row, "spi", json_string(spi));
	json_object_set_new(row, "mode",
			    json_string(sa->mode == MOAT_MODE_TUNNEL ? "tunnel"
								     : "transport"));
	json_object_set_new(
		row, "state",
		json_string(info->sa_info.state < 4 ? states[info->sa_info.state] : "?"));
	json_object_set_new(row, "proposal", sa_proposal(info));
	json_object_set_new(row, "encap", encap(sa));
	if (info->sa_info.bundle)
		json_object_set_new(row, "bundle", json_integer(info->sa_info.bundle));
	json_object_set_new(row, "packets", json_integer(info->sa_info.packets));
	json_object_set_new(row, "bytes", json_integer(info->sa_info.bytes));
	json_object_set_new(row, "drops", counters(&info->sa_info.drops));
	json_object_set_new(row, "created_at", moat_time_json(info->sa_info.created));
	json_object_set_new(row, "last_used_at", moat_time_json(info->sa_info.last_used));
	return row;
}

static void put_ports(json_t *row, const char *name, const uint16_t port[2])
{
	if (port[0] || port[1] != UINT16_MAX)
		json_object_set_new(row, name,
				    json_pack("[ii]", (int)port[0], (int)port[1]));
}

static void put_selector(json_t *row, const struct moat_selector *s)
{
	json_object_set_new(row, "local_net", network(&s->local));
	json_object_set_new(row, "remote_net", network(&s->remote));
	if (!s->protocol)
		return;
	json_object_set_new(row, "ip_protocol", json_integer(s->protocol));
	put_ports(row, "local_ports", s->local_port);
	put_ports(row, "remote_ports", s->remote_port);
}

static json_t *pair_row(struct moat_io *io, const struct moat_pair_view *pair,
			const char *state, const struct moat_dump *dump,
			struct moat_totals *totals)
{
	json_t *row = json_object(), *sas = json_array();
	uint32_t policy = moat_policies_kernel(&io->policies, pair->policy);
	uint32_t mtu = 0;
	unsigned int n;
	const struct moat_ipc *list = moat_dump_sas(dump, policy, &n);

	for (unsigned int i = 0; i < n; i++) {
		if (list[i].sa_info.state == MOAT_SA_STATE_RESERVED)
			continue;
		json_array_append_new(sas, sa_row(&list[i]));
		moat_totals_add(totals, &list[i]);
		/* While one SA replaces another there are two. */
		if (list[i].sa_info.sa.direction == MOAT_DIRECTION_OUT &&
		    list[i].sa_info.mtu)
			mtu = list[i].sa_info.mtu;
	}
	put_selector(row, &pair->selector);
	json_object_set_new(row, "policy", json_integer(policy));
	json_object_set_new(row, "state", json_string(state));
	json_object_set_new(row, "mtu", mtu ? json_integer(mtu) : json_null());
	json_object_set_new(row, "proposal",
			    pair->proposal[0] ? json_string(pair->proposal)
					      : json_null());
	json_object_set_new(row, "established_at", moment(pair->established));
	json_object_set_new(row, "expires_at", moment(pair->expires));
	json_object_set_new(row, "sas", sas);
	return row;
}

/**
 * struct end - what is known of the local end of the tunnel before, which is
 * mostly that of the next one
 */
struct end {
	struct moat_addr addr;
	bool absent;
};

/* SAs or not: without its own address nothing leaves, and nobody finds us. */
static bool is_absent(struct end *end, const struct moat_tunnel_view *view)
{
	if (view->action != MOAT_ACTION_PROTECT || !view->local.len)
		return false;
	if (!moat_addr_equal(&end->addr, &view->local)) {
		end->addr = view->local;
		end->absent = moat_udp_absent(&view->local);
	}
	return end->absent;
}

static json_t *reason(bool absent, const struct moat_addr *local)
{
	char addr[MOAT_ADDR_STRLEN], text[MOAT_ADDR_STRLEN + 96];

	if (!absent)
		return json_null();
	snprintf(text, sizeof(text),
		 "its local address %s is on no interface of this machine: nothing can "
		 "leave",
		 moat_addr_str(local, addr));
	return json_string(text);
}

static json_t *tunnel_row(struct moat_io *io, unsigned int index,
			  const struct moat_tunnel_view *view, bool absent,
			  const struct moat_dump *dump)
{
	static const char *const actions[] = { "?", "protect", "bypass", "discard" };
	struct moat_totals totals = moat_totals_get(io, view->name);
	json_t *row = json_object(), *pairs = json_array(), *sums;
	struct moat_pair_view pair;

	for (unsigned int i = 0; moat_ike_pair(io->ike, index, i, &pair); i++) {
		if (pair.vacant)
			continue;
		json_array_append_new(pairs,
				      pair_row(io, &pair, absent ? "down" : pair.state,
					       dump, &totals));
	}
	sums = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "packets_out_total",
			 (json_int_t)totals.packets[1], "packets_in_total",
			 (json_int_t)totals.packets[0], "bytes_out_total",
			 (json_int_t)totals.bytes[1], "bytes_in_total",
			 (json_int_t)totals.bytes[0], "drops_total",
			 (json_int_t)totals.drops, "rekeys_total",
			 (json_int_t)view->rekeys);
	json_object_set_new(sums, "drops", totals.reasons);
	json_object_set_new(row, "name", json_string(view->name));
	json_object_set_new(row, "configured", json_boolean(!view->template));
	/* Of a peer from anywhere, and of who is to come. */
	json_object_set_new(row, "template",
			    view->template ? json_string(view->template) : json_null());
	json_object_set_new(row, "remote_id", identity(view->remote_id));
	json_object_set_new(row, "action", json_string(actions[view->action & 3]));
	json_object_set_new(row, "state", json_string(absent ? "down" : view->state));
	json_object_set_new(row, "reason", reason(absent, &view->local));
	json_object_set_new(row, "local", address(&view->local));
	json_object_set_new(row, "remote",
			    view->any ? json_string("any") : address(&view->remote));
	json_object_set_new(row, "device",
			    view->device[0] ? json_string(view->device) : json_null());
	json_object_set_new(row, "isakmp", isakmp_ids(io, index));
	json_object_set_new(row, "pairs", pairs);
	json_object_set_new(row, "counters", sums);
	return row;
}

json_t *moat_tunnels_json(struct moat_io *io, const struct moat_dump *dump)
{
	struct moat_tunnel_view view;
	json_t *list = json_array();
	struct end end = { 0 };

	for (unsigned int i = 0; moat_ike_tunnel(io->ike, i, &view); i++)
		json_array_append_new(list, tunnel_row(io, i, &view,
						       is_absent(&end, &view), dump));
	return list;
}

/* Messages that were refused before they changed anything, by name. */
static json_t *refused(struct moat_io *io)
{
	json_t *object = json_object();
	const char *name = NULL;
	uint64_t n;

	for (unsigned int why = 1;
	     (n = moat_ike_refused(io->ike, why, &name)) != UINT64_MAX; why++)
		json_object_set_new(object, name, json_integer((json_int_t)n));
	return object;
}

json_t *moat_status_document(struct moat_io *io, const struct moat_dump *dump)
{
	json_t *document = json_pack("{s:i}", "schema_version", 1);

	json_object_set_new(document, "isakmp", moat_isakmp_json(io));
	json_object_set_new(document, "tunnels", moat_tunnels_json(io, dump));
	json_object_set_new(document, "refused", refused(io));
	json_object_set_new(document, "counters", counters(&dump->counters));
	if (dump->error[0])
		json_object_set_new(document, "kernel_error", json_string(dump->error));
	return document;
}

json_t *moat_trace_json(const struct moat_act *act)
{
	/* A state that follows at once is a row of its own, without a message. */
	json_t *row = json_pack("{s:s}", "type", act->trace.number ? "message" : "state");

	json_object_set_new(row, "at", moat_time_json(time(NULL)));
	json_object_set_new(row, "tunnel",
			    act->trace.tunnel ? json_string(act->trace.tunnel)
					      : json_null());
	json_object_set_new(row, "sent", json_boolean(act->trace.sent));
	json_object_set_new(row, "local", address(&act->trace.local.addr));
	json_object_set_new(row, "remote", address(&act->trace.remote.addr));
	json_object_set_new(row, "exchange", json_string(act->trace.exchange));
	json_object_set_new(row, "number", json_integer(act->trace.number));
	json_object_set_new(row, "payloads", json_string(act->trace.payloads));
	json_object_set_new(row, "before", json_string(act->trace.before));
	json_object_set_new(row, "after", json_string(act->trace.after));
	json_object_set_new(row, "role",
			    json_string(act->trace.initiator ? "initiator"
							     : "responder"));
	json_object_set_new(row, "repeated", json_boolean(act->trace.repeated));
	return row;
}

static const char *tunnel_state(struct moat_io *io, const char *name)
{
	struct moat_tunnel_view view;

	for (unsigned int i = 0; moat_ike_tunnel(io->ike, i, &view); i++) {
		if (!strcmp(view.name, name))
			return view.state;
	}
	return NULL;
}

json_t *moat_event_json(struct moat_io *io, const struct moat_act *act)
{
	static const char *const levels[] = { "error", "warning", "info", "debug" };
	const char *state = tunnel_state(io, act->log.tunnel);
	json_t *row = json_pack("{s:s, s:o, s:s, s:s}", "type", "event", "at",
				moat_time_json(time(NULL)), "event", act->log.name,
				"level", levels[act->log.level]);

	json_object_set_new(row, "tunnel",
			    act->log.tunnel[0] ? json_string(act->log.tunnel)
					       : json_null());
	json_object_set_new(row, "state", state ? json_string(state) : json_null());
	json_object_set_new(row, "peer",
			    act->log.peer.len ? address(&act->log.peer) : json_null());
	json_object_set_new(row, "text", moat_text_json(act->log.text));
	return row;
}
