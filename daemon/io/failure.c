// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The last failures, for `moat show failures`: what went wrong, with whom, which
 * attributes differ, when, how often. Each peer has its share of the room, so
 * that one that fails all the time does not hide the others.
 */
#include <string.h>
#include <time.h>

#include "ike/proposal.h"
#include "io/io.h"

#define KEPT	 128
#define PER_PEER 8

/**
 * struct failure - one failure, and how often it came
 * @peer: its address; len 0 when the failure is none of a peer's message
 * @place: setting that would mend it ("moat.conf:12"), empty for none
 * @used: order of the last use
 */
struct failure {
	char name[48];
	char tunnel[MOAT_TUNNEL_NAME_MAX + 1];
	char text[MOAT_IPC_PATH];
	char place[320];
	struct moat_addr peer;
	unsigned int n_diff;
	struct moat_difference diff[MOAT_DIFFERENCES_MAX];
	time_t first;
	time_t last;
	uint64_t used;
	unsigned int count;
};

static struct failure failures[KEPT];
static uint64_t uses;

/* Anybody can cause it, from any address: the last one stands for all. */
static bool strangers(const struct moat_act *act)
{
	return !strcmp(act->log.name, "ike-unknown-peer");
}

static bool same(const struct failure *f, const struct moat_act *act)
{
	if (strangers(act))
		return f->count && !strcmp(f->name, act->log.name);
	return f->count && !strcmp(f->name, act->log.name) &&
	       !strcmp(f->tunnel, act->log.tunnel) &&
	       moat_addr_equal(&f->peer, &act->log.peer) &&
	       !strncmp(f->text, act->log.text, sizeof(f->text) - 1);
}

/* A failure that no message of a peer's caused is its tunnel's. */
static bool same_peer(const struct failure *f, const struct moat_act *act)
{
	if (f->peer.len || act->log.peer.len)
		return moat_addr_equal(&f->peer, &act->log.peer);
	return !strcmp(f->tunnel, act->log.tunnel);
}

/* A free place; the oldest of a peer that has its share; the oldest of all. */
static struct failure *place_for(const struct moat_act *act)
{
	struct failure *oldest = NULL, *own = NULL, *empty = NULL;
	unsigned int share = 0;

	for (struct failure *f = failures; f < failures + KEPT; f++) {
		if (!f->count) {
			empty = f;
			continue;
		}
		if (!oldest || f->used < oldest->used)
			oldest = f;
		if (!same_peer(f, act))
			continue;
		share++;
		if (!own || f->used < own->used)
			own = f;
	}
	if (share >= PER_PEER)
		return own;
	return empty ? empty : oldest;
}

static void fill(struct failure *f, const struct moat_act *act)
{
	memset(f, 0, sizeof(*f));
	moat_ipc_text(f->name, "%s", act->log.name);
	moat_ipc_text(f->tunnel, "%s", act->log.tunnel);
	moat_ipc_text(f->text, "%s", act->log.text);
	moat_ipc_text(f->place, "%s", act->log.place ? act->log.place : "");
	f->peer = act->log.peer;
	if (act->log.why) {
		f->n_diff = act->log.why->n_diff;
		memcpy(f->diff, act->log.why->diff, sizeof(f->diff));
	}
	f->first = time(NULL);
}

void moat_failures_note(const struct moat_act *act)
{
	struct failure *f = failures;

	while (f < failures + KEPT && !same(f, act))
		f++;
	if (f == failures + KEPT) {
		f = place_for(act);
		fill(f, act);
	} else if (strangers(act)) {
		moat_ipc_text(f->text, "%s", act->log.text);
		f->peer = act->log.peer;
	}
	f->last = time(NULL);
	f->used = ++uses;
	f->count++;
}

json_t *moat_text_json(const char *text)
{
	json_t *json = json_string(text);
	char plain[MOAT_IPC_PATH];

	if (json)
		return json;
	moat_ipc_text(plain, "%s", text);
	for (char *c = plain; *c; c++) {
		if (*c & 0x80)
			*c = '?';
	}
	return json_string(plain);
}

static json_t *text_or_null(const char *text)
{
	return text[0] ? moat_text_json(text) : json_null();
}

static json_t *differences(const struct failure *f)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < f->n_diff; i++)
		json_array_append_new(list,
				      json_pack("{s:s, s:o, s:o}", "attribute",
						f->diff[i].attribute, "offered",
						moat_text_json(f->diff[i].offered),
						"ours", moat_text_json(f->diff[i].ours)));
	return list;
}

static json_t *row(const struct failure *f)
{
	char addr[MOAT_ADDR_STRLEN];
	json_t *row =
		json_pack("{s:o, s:o, s:i, s:s, s:o}", "first", moat_time_json(f->first),
			  "last", moat_time_json(f->last), "count", (int)f->count,
			  "event", f->name, "text", moat_text_json(f->text));

	json_object_set_new(row, "tunnel", text_or_null(f->tunnel));
	json_object_set_new(row, "peer",
			    f->peer.len ? json_string(moat_addr_str(&f->peer, addr))
					: json_null());
	json_object_set_new(row, "change", text_or_null(f->place));
	json_object_set_new(row, "attributes", differences(f));
	return row;
}

json_t *moat_failures_json(void)
{
	json_t *list = json_array();
	uint64_t done = 0;

	/* The oldest first. */
	for (;;) {
		const struct failure *next = NULL;

		for (struct failure *f = failures; f < failures + KEPT; f++) {
			if (f->count && f->used > done && (!next || f->used < next->used))
				next = f;
		}
		if (!next)
			return list;
		done = next->used;
		json_array_append_new(list, row(next));
	}
}
