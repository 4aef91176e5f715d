// SPDX-License-Identifier: GPL-2.0-or-later
/* SAs, policies and counters as text and as JSON. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "cli/cli.h"

static const char *const state_names[] = { "reserved", "valid", "dying", "dead", NULL };

static void text_ports(const char *side, const uint16_t port[2])
{
	if (port[0] == 0 && port[1] == 65535)
		return;
	printf(" %s %u", side, port[0]);
	if (port[1] != port[0])
		printf("-%u", port[1]);
}

/* A type and a code share the place of a port. */
static void text_types(const uint16_t port[2])
{
	const uint16_t type[] = { port[0] >> 8, port[1] >> 8 };
	const uint16_t code[] = { port[0] & 255, port[1] & 255 };

	if (port[0] == 0 && port[1] == 65535)
		return;
	printf(" icmp-type %u", type[0]);
	if (type[1] != type[0])
		printf("-%u", type[1]);
	if (code[0] != 0 || code[1] != 255)
		text_ports("icmp-code", code);
}

/** moat_text_selector() - print "local … remote …", without a newline */
void moat_text_selector(const struct moat_selector *sel)
{
	char local[2 * MOAT_ADDR_STRLEN], remote[2 * MOAT_ADDR_STRLEN];

	printf("local %s remote %s", moat_range_str(&sel->local, local),
	       moat_range_str(&sel->remote, remote));
	if (sel->protocol)
		printf(" protocol %u", sel->protocol);
	if (moat_has_type(sel->protocol)) {
		text_types(sel->local_port);
		return;
	}
	text_ports("local-port", sel->local_port);
	text_ports("remote-port", sel->remote_port);
}

/** moat_text_counters() - print one line for each counter */
void moat_text_counters(const char *indent, const struct moat_nl_counters *counters)
{
	unsigned int i;

	for (i = 0; i < counters->n; i++)
		printf("%s%s %" PRIu64 "\n", indent, counters->list[i].name,
		       counters->list[i].value);
}

static void text_limit(const char *unit, uint64_t soft, uint64_t hard)
{
	if (soft || hard)
		printf("    %s: soft %" PRIu64 " hard %" PRIu64 "\n", unit, soft, hard);
}

/* "late 64-127", how far behind the highest number packets were */
static void text_late(const struct moat_nl_sa *sa)
{
	const struct moat_nl_late *row;
	unsigned int i;

	for (i = 0; i < sa->n_late; i++) {
		row = &sa->late[i];
		printf("    late by %u", row->from);
		if (row->from >= MOAT_REPLAY_MAX)
			printf(" or more");
		else if (row->from > 1)
			printf("-%u", 2 * row->from - 1);
		printf(": accepted %" PRIu64 " refused %" PRIu64 " duplicate %" PRIu64
		       "\n",
		       row->accepted, row->refused, row->duplicate);
	}
}

static void text_sa_use(const struct moat_nl_sa *sa)
{
	char created[32], used[32] = "never";

	moat_time_text(sa->created, created);
	if (sa->last_used)
		moat_time_text(sa->last_used, used);
	printf("    packets %" PRIu64 " bytes %" PRIu64 " seq %" PRIu64 " async %" PRIu64
	       "\n    created %s last-used %s\n",
	       sa->packets, sa->bytes, sa->seq, sa->async, created, used);
	text_limit("seconds", sa->soft_seconds, sa->hard_seconds);
	text_limit("bytes", sa->soft_bytes, sa->hard_bytes);
	text_limit("packets", sa->soft_packets, sa->hard_packets);
	text_late(sa);
	moat_text_counters("    dropped ", &sa->drops);
}

/** moat_text_sa() - print an SA; what stands in its first two lines can add it again */
void moat_text_sa(const struct moat_nl_sa *sa)
{
	char src[MOAT_ADDR_STRLEN], dst[MOAT_ADDR_STRLEN], alg[64], number[8];

	printf("%s %s spi 0x%08x", moat_name(moat_direction_names, sa->direction),
	       moat_ipsec_name(sa->protocol, number), sa->spi);
	if (sa->state == MOAT_SA_STATE_RESERVED) {
		printf(" dst %s reserved\n", moat_addr_str(&sa->dst, dst));
		return;
	}
	moat_sa_alg_text(sa, alg, sizeof(alg));
	printf(" src %s dst %s alg %s\n    mode %s", moat_addr_str(&sa->src, src),
	       moat_addr_str(&sa->dst, dst), alg, moat_name(moat_mode_names, sa->mode));
	if (sa->direction == MOAT_DIRECTION_IN)
		printf(" replay %u", sa->replay);
	if (sa->policy)
		printf(" policy %u", sa->policy);
	if (sa->bundle)
		printf(" bundle %u", sa->bundle);
	if (sa->encap_sport)
		printf(" encap %u %u", sa->encap_sport, sa->encap_dport);
	if (sa->peer.len)
		printf(" peer %s", moat_addr_str(&sa->peer, src));
	if (sa->selector.local.first.len) {
		putchar(' ');
		moat_text_selector(&sa->selector);
	}
	printf("\n    state %s", moat_name(state_names, sa->state));
	if (sa->mtu)
		printf(" mtu %u", sa->mtu);
	printf(" driver %s\n", sa->driver);
	text_sa_use(sa);
}

static void text_shape(const struct moat_shape *shape)
{
	if (shape->has_dscp)
		printf(" dscp %u", shape->dscp);
	if (shape->df)
		printf(" df %s", moat_name(moat_df_names, shape->df));
	if (shape->mtu)
		printf(" mtu %u", shape->mtu);
	if (shape->mss == MOAT_MSS_AUTO)
		printf(" mss auto");
	else if (shape->mss)
		printf(" mss %u", shape->mss);
	if (shape->tfc == MOAT_TFC_AUTO)
		printf(" tfc auto");
	else if (shape->tfc)
		printf(" tfc %u", shape->tfc);
	if (shape->secpath)
		printf(" secpath");
}

/** moat_text_policy() - print a policy; its first line can add it again */
void moat_text_policy(const struct moat_nl_policy *policy)
{
	char local[MOAT_ADDR_STRLEN], remote[MOAT_ADDR_STRLEN];

	if (policy->implicit[0])
		printf("implicit (%s) ", policy->implicit);
	else
		printf("id %u ", policy->id);
	if (policy->selector.local.first.len) {
		moat_text_selector(&policy->selector);
		putchar(' ');
	}
	printf("action %s", moat_name(moat_action_names, policy->action));
	if (policy->priority)
		printf(" priority %u", policy->priority);
	if (policy->local.len)
		printf(" endpoints %s %s", moat_addr_str(&policy->local, local),
		       moat_addr_str(&policy->remote, remote));
	if (policy->mode)
		printf(" mode %s", moat_name(moat_mode_names, policy->mode));
	if (policy->acquire_off)
		printf(" acquire off");
	if (policy->mark_mask)
		printf(" mark 0x%x", policy->mark);
	if (policy->mark_mask && policy->mark_mask != UINT32_MAX)
		printf("/0x%x", policy->mark_mask);
	text_shape(&policy->shape);
	if (policy->device[0])
		printf(" device %s", policy->device);
	putchar('\n');
	if (policy->implicit[0])
		return;
	if (policy->spi)
		printf("    spi 0x%08x", policy->spi);
	else
		printf("    no SA");
	printf(" packets %" PRIu64 " bytes %" PRIu64 " held %u%s\n", policy->packets,
	       policy->bytes, policy->held, policy->acquire ? " acquire pending" : "");
	if (policy->shadowed && policy->shadow)
		printf("    shadowed by policy %u: no packet meets it\n", policy->shadow);
	else if (policy->shadowed)
		printf("    shadowed by an implicit bypass: no packet meets it\n");
	moat_text_counters("    dropped ", &policy->drops);
}

/** moat_json_document() - an object with the version of the schema */
json_t *moat_json_document(void)
{
	json_t *doc = json_object();

	json_object_set_new(doc, "schema_version", json_integer(MOAT_JSON_SCHEMA));
	return doc;
}

/** moat_json_print() - print and free a document; enum moat_exit */
int moat_json_print(json_t *document)
{
	int err = json_dumpf(document, stdout, JSON_INDENT(1));

	json_decref(document);
	putchar('\n');
	return err || fflush(stdout) ? moat_failed("cannot write the JSON document")
				     : MOAT_EXIT_DONE;
}

/** moat_json_addr() - an address as text, null for none */
json_t *moat_json_addr(const struct moat_addr *addr)
{
	char buf[MOAT_ADDR_STRLEN];

	return addr->len ? json_string(moat_addr_str(addr, buf)) : json_null();
}

/** moat_json_counters() - counters as an object */
json_t *moat_json_counters(const struct moat_nl_counters *counters)
{
	json_t *object = json_object();
	unsigned int i;

	for (i = 0; i < counters->n; i++)
		json_object_set_new(object, counters->list[i].name,
				    json_integer(counters->list[i].value));
	return object;
}

static json_t *json_time(uint64_t seconds)
{
	char buf[32];

	if (!seconds)
		return json_null();
	moat_time_text(seconds, buf);
	return json_string(buf);
}

static json_t *json_spi(uint32_t spi)
{
	char buf[9];

	if (!spi)
		return json_null();
	snprintf(buf, sizeof(buf), "%08x", spi);
	return json_string(buf);
}

static void json_ports(json_t *object, const char *name, const uint16_t port[2])
{
	if (port[0] != 0 || port[1] != 65535)
		json_object_set_new(object, name,
				    json_pack("[ii]", (int)port[0], (int)port[1]));
}

/* Lowest and highest, each with its type and its code. */
static void json_types(json_t *object, const uint16_t port[2])
{
	if (port[0] == 0 && port[1] == 65535)
		return;
	json_object_set_new(object, "icmp_types",
			    json_pack("[ii]", port[0] >> 8, port[1] >> 8));
	json_object_set_new(object, "icmp_codes",
			    json_pack("[ii]", port[0] & 255, port[1] & 255));
}

/* null, the id of a policy, or "implicit" */
static json_t *json_shadow(const struct moat_nl_policy *policy)
{
	if (!policy->shadowed)
		return json_null();
	return policy->shadow ? json_integer(policy->shadow) : json_string("implicit");
}

static void json_selector(json_t *object, const struct moat_selector *sel)
{
	char buf[2 * MOAT_ADDR_STRLEN];

	if (!sel->local.first.len)
		return;
	json_object_set_new(object, "local_net",
			    json_string(moat_range_str(&sel->local, buf)));
	json_object_set_new(object, "remote_net",
			    json_string(moat_range_str(&sel->remote, buf)));
	if (sel->protocol)
		json_object_set_new(object, "ip_protocol", json_integer(sel->protocol));
	if (moat_has_type(sel->protocol)) {
		json_types(object, sel->local_port);
		return;
	}
	json_ports(object, "local_ports", sel->local_port);
	json_ports(object, "remote_ports", sel->remote_port);
}

static void json_limits(json_t *object, const struct moat_nl_sa *sa)
{
	const struct {
		const char *name;
		uint64_t value;
	} limits[] = {
		{ "soft_seconds", sa->soft_seconds },
		{ "hard_seconds", sa->hard_seconds },
		{ "soft_bytes", sa->soft_bytes },
		{ "hard_bytes", sa->hard_bytes },
		{ "soft_packets", sa->soft_packets },
		{ "hard_packets", sa->hard_packets },
	};
	size_t i;

	for (i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		if (limits[i].value)
			json_object_set_new(object, limits[i].name,
					    json_integer(limits[i].value));
	}
}

static json_t *json_late(const struct moat_nl_sa *sa)
{
	json_t *list = json_array();
	const struct moat_nl_late *row;
	unsigned int i;

	for (i = 0; i < sa->n_late; i++) {
		row = &sa->late[i];
		json_array_append_new(
			list, json_pack("{sI,sI,sI,sI}", "from", (json_int_t)row->from,
					"accepted", (json_int_t)row->accepted, "refused",
					(json_int_t)row->refused, "duplicate",
					(json_int_t)row->duplicate));
	}
	return list;
}

/** moat_json_sa() - an SA; the names are those of `moat status --json` */
json_t *moat_json_sa(const struct moat_nl_sa *sa)
{
	char number[8], alg[64] = "";
	bool reserved = sa->state == MOAT_SA_STATE_RESERVED;
	json_t *object;

	if (!reserved)
		moat_sa_alg_text(sa, alg, sizeof(alg));
	object = json_pack("{ss,ss,so,so,so,ss,ss,ss}", "direction",
			   moat_name(moat_direction_names, sa->direction), "protocol",
			   moat_ipsec_name(sa->protocol, number), "spi",
			   json_spi(sa->spi), "src", moat_json_addr(&sa->src), "dst",
			   moat_json_addr(&sa->dst), "mode",
			   moat_name(moat_mode_names, sa->mode), "proposal", alg, "state",
			   moat_name(state_names, sa->state));
	if (!object || reserved)
		return object;
	if (sa->peer.len)
		json_object_set_new(object, "peer", moat_json_addr(&sa->peer));
	json_object_set_new(object, "encap",
			    sa->encap_sport
				    ? json_pack("{si,si}", "source_port",
						(int)sa->encap_sport, "destination_port",
						(int)sa->encap_dport)
				    : json_null());
	json_object_set_new(object, "policy",
			    sa->policy ? json_integer(sa->policy) : json_null());
	if (sa->bundle)
		json_object_set_new(object, "bundle", json_integer(sa->bundle));
	if (sa->direction == MOAT_DIRECTION_IN) {
		json_object_set_new(object, "replay", json_integer(sa->replay));
		json_object_set_new(object, "late", json_late(sa));
	}
	if (sa->mtu)
		json_object_set_new(object, "mtu", json_integer(sa->mtu));
	json_selector(object, &sa->selector);
	json_limits(object, sa);
	json_object_set_new(object, "seq", json_integer(sa->seq));
	json_object_set_new(object, "packets", json_integer(sa->packets));
	json_object_set_new(object, "bytes", json_integer(sa->bytes));
	json_object_set_new(object, "async", json_integer(sa->async));
	json_object_set_new(object, "drops", moat_json_counters(&sa->drops));
	json_object_set_new(object, "created_at", json_time(sa->created));
	json_object_set_new(object, "last_used_at", json_time(sa->last_used));
	json_object_set_new(object, "driver", json_string(sa->driver));
	return object;
}

static void json_shape(json_t *object, const struct moat_shape *shape)
{
	json_object_set_new(object, "dscp",
			    shape->has_dscp ? json_integer(shape->dscp)
					    : json_string("copy"));
	json_object_set_new(object, "df",
			    json_string(moat_name(moat_df_names, shape->df)));
	json_object_set_new(object, "mtu",
			    shape->mtu ? json_integer(shape->mtu) : json_null());
	if (shape->mss == MOAT_MSS_AUTO)
		json_object_set_new(object, "mss", json_string("auto"));
	else
		json_object_set_new(object, "mss",
				    shape->mss ? json_integer(shape->mss) : json_null());
	if (shape->tfc == MOAT_TFC_AUTO)
		json_object_set_new(object, "tfc", json_string("auto"));
	else
		json_object_set_new(object, "tfc",
				    shape->tfc ? json_integer(shape->tfc) : json_null());
	json_object_set_new(object, "secpath", json_boolean(shape->secpath));
}

/** moat_json_policy() - a policy */
json_t *moat_json_policy(const struct moat_nl_policy *policy)
{
	json_t *object = json_object();

	if (policy->implicit[0])
		json_object_set_new(object, "implicit", json_string(policy->implicit));
	else
		json_object_set_new(object, "id", json_integer(policy->id));
	json_selector(object, &policy->selector);
	json_object_set_new(object, "action",
			    json_string(moat_name(moat_action_names, policy->action)));
	if (policy->implicit[0])
		return object;
	json_object_set_new(object, "priority", json_integer(policy->priority));
	json_object_set_new(object, "local", moat_json_addr(&policy->local));
	json_object_set_new(object, "remote", moat_json_addr(&policy->remote));
	if (policy->mode)
		json_object_set_new(
			object, "mode",
			json_string(moat_name(moat_mode_names, policy->mode)));
	json_object_set_new(object, "mark",
			    policy->mark_mask ? json_integer(policy->mark) : json_null());
	json_object_set_new(object, "mark_mask",
			    policy->mark_mask ? json_integer(policy->mark_mask)
					      : json_null());
	json_object_set_new(object, "shadowed_by", json_shadow(policy));
	json_shape(object, &policy->shape);
	json_object_set_new(object, "device",
			    policy->device[0] ? json_string(policy->device)
					      : json_null());
	json_object_set_new(object, "spi", json_spi(policy->spi));
	json_object_set_new(object, "acquire_off", json_boolean(policy->acquire_off));
	json_object_set_new(object, "acquire_pending", json_boolean(policy->acquire));
	json_object_set_new(object, "held", json_integer(policy->held));
	json_object_set_new(object, "packets", json_integer(policy->packets));
	json_object_set_new(object, "bytes", json_integer(policy->bytes));
	json_object_set_new(object, "drops", moat_json_counters(&policy->drops));
	return object;
}
