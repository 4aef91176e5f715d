// SPDX-License-Identifier: GPL-2.0-or-later
/* What `moat show failures` keeps: peer by peer, attribute by attribute. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "ike/mismatch.h"
#include "io/io.h"

/* Times are the clock's own business. */
json_t *moat_time_json(uint64_t seconds)
{
	return seconds ? json_string("now") : json_null();
}

static void event(const char *event, const char *peer, const char *tunnel,
		  const char *text)
{
	struct moat_mismatch why = { .n_diff = 0 };
	char name[48], line[128], place[] = "/etc/moat/moat.conf:7";
	struct moat_act act = { .type = MOAT_ACT_LOG };

	snprintf(name, sizeof(name), "%s", tunnel);
	snprintf(line, sizeof(line), "%s", text);
	act.log.level = MOAT_LOG_WARN;
	act.log.name = event;
	act.log.tunnel = name;
	act.log.text = line;
	if (peer) {
		assert_true(moat_addr_parse(peer, &act.log.peer));
		moat_explain_pair(&why,
				  &(struct moat_text){ why.text, sizeof(why.text), 0 },
				  "hash", "sha256", "sha1");
		moat_explain_pair(&why,
				  &(struct moat_text){ why.text, sizeof(why.text), 0 },
				  "group", "modp2048", "ecp256");
		act.log.why = &why;
		act.log.place = place;
	}
	moat_failures_note(&act);
}

static void failed(const char *peer, const char *tunnel, const char *text)
{
	event("ike-no-proposal", peer, tunnel, text);
}

static unsigned int of_peer(const json_t *list, const char *peer)
{
	unsigned int count = 0;
	const json_t *row;
	size_t i;

	json_array_foreach(list, i, row) {
		const char *is = json_string_value(json_object_get(row, "peer"));

		count += is ? peer && !strcmp(is, peer) : !peer;
	}
	return count;
}

static const json_t *newest(const json_t *list)
{
	return json_array_get(list, json_array_size(list) - 1);
}

static const char *field(const json_t *row, const char *name)
{
	const char *text = json_string_value(json_object_get(row, name));

	return text ? text : "null";
}

/* Both sides of each attribute, and the line of the configuration. */
static void attributes(void **state)
{
	const json_t *row, *diff;
	json_t *list;

	(void)state;
	failed("192.0.2.1", "branch", "no proposal fits");
	failed("192.0.2.1", "branch", "no proposal fits");
	list = moat_failures_json();
	assert_int_equal(json_array_size(list), 1);
	row = newest(list);
	assert_string_equal(field(row, "peer"), "192.0.2.1");
	assert_string_equal(field(row, "tunnel"), "branch");
	assert_string_equal(field(row, "event"), "ike-no-proposal");
	assert_string_equal(field(row, "change"), "/etc/moat/moat.conf:7");
	assert_string_equal(field(row, "last"), "now");
	assert_int_equal(json_integer_value(json_object_get(row, "count")), 2);
	diff = json_object_get(row, "attributes");
	assert_int_equal(json_array_size(diff), 2);
	assert_string_equal(field(json_array_get(diff, 0), "attribute"), "hash");
	assert_string_equal(field(json_array_get(diff, 0), "offered"), "sha256");
	assert_string_equal(field(json_array_get(diff, 0), "ours"), "sha1");
	assert_string_equal(field(json_array_get(diff, 1), "attribute"), "group");
	json_decref(list);
}

/* One that fails all the time, each time in another way, hides no other. */
static void shares(void **state)
{
	char text[32];
	json_t *list;

	(void)state;
	failed("192.0.2.3", "quiet", "once");
	failed(NULL, "nobody", "its address is on no interface");
	for (unsigned int i = 0; i < 1000; i++) {
		snprintf(text, sizeof(text), "failure %u", i);
		failed("192.0.2.2", "noisy", text);
	}
	list = moat_failures_json();
	assert_int_equal(of_peer(list, "192.0.2.1"), 1);
	assert_int_equal(of_peer(list, "192.0.2.2"), 8);
	assert_int_equal(of_peer(list, "192.0.2.3"), 1);
	assert_int_equal(of_peer(list, NULL), 1);
	assert_string_equal(field(newest(list), "text"), "failure 999");
	json_decref(list);
	/* What came again is the newest. */
	failed("192.0.2.3", "quiet", "once");
	list = moat_failures_json();
	assert_string_equal(field(newest(list), "tunnel"), "quiet");
	assert_int_equal(json_integer_value(json_object_get(newest(list), "count")), 2);
	json_decref(list);
}

/* Strangers share one row, whatever they send and from where. */
static void strangers(void **state)
{
	char peer[32];
	json_t *list;
	size_t before;

	(void)state;
	list = moat_failures_json();
	before = json_array_size(list);
	json_decref(list);
	for (unsigned int i = 1; i < 200; i++) {
		snprintf(peer, sizeof(peer), "203.0.113.%u", i);
		event("ike-unknown-peer", peer, "", peer);
	}
	list = moat_failures_json();
	assert_int_equal(json_array_size(list), before + 1);
	assert_string_equal(field(newest(list), "peer"), "203.0.113.199");
	assert_string_equal(field(newest(list), "text"), "203.0.113.199");
	assert_int_equal(json_integer_value(json_object_get(newest(list), "count")), 199);
	json_decref(list);
}

/* Many peers: the oldest one gives way, and the room does not grow. */
static void room(void **state)
{
	char peer[32];
	json_t *list;

	(void)state;
	for (unsigned int i = 0; i < 300; i++) {
		snprintf(peer, sizeof(peer), "198.51.%u.%u", 100 + i / 200, 1 + i % 200);
		failed(peer, "branch", "no proposal fits");
	}
	list = moat_failures_json();
	assert_int_equal(json_array_size(list), 128);
	assert_int_equal(of_peer(list, peer), 1);
	assert_int_equal(of_peer(list, "198.51.100.1"), 0);
	json_decref(list);
}

/* Texts are cut where their room ends, also within a character. */
static void no_utf8(void **state)
{
	json_t *list;

	(void)state;
	failed("192.0.2.9", "branch", "O=M\xc3\xbcller");
	failed("192.0.2.9", "branch", "O=M\xc3");
	list = moat_failures_json();
	assert_int_equal(of_peer(list, "192.0.2.9"), 2);
	assert_string_equal(field(newest(list), "text"), "O=M?");
	assert_string_equal(field(json_array_get(list, json_array_size(list) - 2),
				  "text"),
			    "O=M\xc3\xbcller");
	json_decref(list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(attributes), cmocka_unit_test(shares),
		cmocka_unit_test(strangers),  cmocka_unit_test(room),
		cmocka_unit_test(no_utf8),
	};

	return cmocka_run_group_tests_name("failure", tests, NULL, NULL);
}
