// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * moat metrics: states and totals in Prometheus' text format, version 0.0.4. A
 * tunnel is there as long as it is configured, up or down; totals go on across
 * rekeys, so no label names an SA.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/control.h"

/**
 * struct family - all samples of one name
 * @traffic: left out while the kernel does not answer: totals would go back
 * @print: prints those of one tunnel
 */
struct family {
	const char *name;
	const char *type;
	const char *help;
	bool traffic;
	void (*print)(const char *name, const json_t *tunnel);
};

static void print_value(const char *text)
{
	for (; *text; text++) {
		if (*text == '\n') {
			fputs("\\n", stdout);
			continue;
		}
		if (*text == '"' || *text == '\\')
			putchar('\\');
		putchar(*text);
	}
}

static void print_label(char before, const char *name, const char *value)
{
	printf("%c%s=\"", before, name);
	print_value(value);
	putchar('"');
}

/* Up to two labels beside those of the tunnel, each a name and a value. */
static void sample(const char *name, const json_t *tunnel, const char *const more[4],
		   json_int_t value)
{
	const char *peer = moat_field(tunnel, "remote");

	printf("moat_tunnel_%s", name);
	print_label('{', "tunnel", moat_field(tunnel, "name"));
	print_label(',', "peer", peer);
	for (unsigned int i = 0; more && i < 4 && more[i]; i += 2)
		print_label(',', more[i], more[i + 1]);
	printf("} %lld\n", (long long)value);
}

static bool protects(const json_t *tunnel)
{
	return !strcmp(moat_field(tunnel, "action"), "protect");
}

/* ---- samples of one tunnel ---- */

static void print_configured(const char *name, const json_t *tunnel)
{
	sample(name, tunnel, NULL, json_is_true(json_object_get(tunnel, "configured")));
}

static void print_up(const char *name, const json_t *tunnel)
{
	/* Whether peers from anywhere are there says nothing about the gateway. */
	if (protects(tunnel) && strcmp(moat_field(tunnel, "remote"), "any"))
		sample(name, tunnel, NULL, !strcmp(moat_field(tunnel, "state"), "up"));
}

static unsigned int count_pairs(const json_t *tunnel, const char *state)
{
	const json_t *pair;
	unsigned int n = 0;
	size_t i;

	json_array_foreach(json_object_get(tunnel, "pairs"), i, pair)
		n += !state || !strcmp(moat_field(pair, "state"), state);
	return n;
}

static void print_pairs(const char *name, const json_t *tunnel)
{
	if (protects(tunnel))
		sample(name, tunnel, NULL, count_pairs(tunnel, NULL));
}

static void print_pairs_up(const char *name, const json_t *tunnel)
{
	if (protects(tunnel))
		sample(name, tunnel, NULL, count_pairs(tunnel, "up"));
}

static unsigned int count_sas(const json_t *tunnel, const char *direction,
			      const char *protocol)
{
	const json_t *pair, *sa;
	unsigned int n = 0;
	size_t i, k;

	json_array_foreach(json_object_get(tunnel, "pairs"), i, pair) {
		json_array_foreach(json_object_get(pair, "sas"), k, sa)
			n += !strcmp(moat_field(sa, "direction"), direction) &&
			     !strcmp(moat_field(sa, "protocol"), protocol);
	}
	return n;
}

static void print_sas(const char *name, const json_t *tunnel)
{
	static const char *const kinds[][4] = {
		{ "direction", "in", "protocol", "esp" },
		{ "direction", "out", "protocol", "esp" },
		{ "direction", "in", "protocol", "ah" },
		{ "direction", "out", "protocol", "ah" },
	};

	for (unsigned int i = 0; i < 4 && protects(tunnel); i++)
		sample(name, tunnel, kinds[i],
		       count_sas(tunnel, kinds[i][1], kinds[i][3]));
}

static void print_both(const char *name, const json_t *tunnel, const char *in,
		       const char *out)
{
	static const char *const to[4] = { "direction", "in" }, *const from[4] = {
		"direction", "out"
	};
	const json_t *sums = json_object_get(tunnel, "counters");

	if (!protects(tunnel))
		return;
	sample(name, tunnel, to, moat_field_number(sums, in));
	sample(name, tunnel, from, moat_field_number(sums, out));
}

static void print_packets(const char *name, const json_t *tunnel)
{
	print_both(name, tunnel, "packets_in_total", "packets_out_total");
}

static void print_bytes(const char *name, const json_t *tunnel)
{
	print_both(name, tunnel, "bytes_in_total", "bytes_out_total");
}

static void print_dropped(const char *name, const json_t *tunnel)
{
	if (protects(tunnel))
		sample(name, tunnel, NULL,
		       moat_field_number(json_object_get(tunnel, "counters"),
					 "drops_total"));
}

static void print_reasons(const char *name, const json_t *tunnel)
{
	json_t *drops = json_object_get(json_object_get(tunnel, "counters"), "drops");
	const char *reason;
	json_t *value;

	json_object_foreach(drops, reason, value) {
		const char *const label[4] = { "reason", reason };

		sample(name, tunnel, label, json_integer_value(value));
	}
}

static void print_rekeys(const char *name, const json_t *tunnel)
{
	if (protects(tunnel))
		sample(name, tunnel, NULL,
		       moat_field_number(json_object_get(tunnel, "counters"),
					 "rekeys_total"));
}

/* The smallest of its pairs: what always gets through. */
static void print_mtu(const char *name, const json_t *tunnel)
{
	json_int_t least = 0;
	const json_t *pair;
	size_t i;

	json_array_foreach(json_object_get(tunnel, "pairs"), i, pair) {
		json_int_t mtu = moat_field_number(pair, "mtu");

		if (mtu && (!least || mtu < least))
			least = mtu;
	}
	if (least)
		sample(name, tunnel, NULL, least);
}

/* Seconds since 1970 of a time as RFC 3339 writes it; 0 is none. */
static json_int_t seconds_of(const json_t *object, const char *field)
{
	struct tm tm = { 0 };
	const char *end = strptime(moat_field(object, field), "%Y-%m-%dT%H:%M:%SZ", &tm);

	return end && !*end ? timegm(&tm) : 0;
}

/* The pair that is worst off: the first to be made, the first to end. */
static void print_moment(const char *name, const json_t *tunnel, const char *field)
{
	json_int_t least = 0;
	const json_t *pair;
	size_t i;

	json_array_foreach(json_object_get(tunnel, "pairs"), i, pair) {
		json_int_t at = seconds_of(pair, field);

		if (at && (!least || at < least))
			least = at;
	}
	if (least)
		sample(name, tunnel, NULL, least);
}

static void print_established(const char *name, const json_t *tunnel)
{
	print_moment(name, tunnel, "established_at");
}

static void print_expires(const char *name, const json_t *tunnel)
{
	print_moment(name, tunnel, "expires_at");
}

static void print_isakmp(const char *name, const json_t *tunnel)
{
	if (protects(tunnel))
		sample(name, tunnel, NULL,
		       (json_int_t)json_array_size(json_object_get(tunnel, "isakmp")));
}

static const struct family families[] = {
	{ "configured", "gauge", "The tunnel stands in the configuration.", false,
	  print_configured },
	{ "up", "gauge", "All of its pairs of networks have SAs.", false, print_up },
	{ "pairs", "gauge", "Its pairs of networks.", false, print_pairs },
	{ "pairs_up", "gauge", "Those of them that have SAs.", false, print_pairs_up },
	{ "isakmp_sas", "gauge", "ISAKMP SAs with its peer, in any state.", false,
	  print_isakmp },
	{ "sas", "gauge", "IPsec SAs.", true, print_sas },
	{ "packets_total", "counter", "Packets that its SAs have carried.", true,
	  print_packets },
	{ "bytes_total", "counter", "Bytes of these packets, before protection.", true,
	  print_bytes },
	{ "dropped_total", "counter", "Packets that its SAs have dropped.", true,
	  print_dropped },
	{ "drops_total", "counter", "The same, by reason.", true, print_reasons },
	{ "rekeys_total", "counter", "SAs of its pairs that others replaced.", false,
	  print_rekeys },
	{ "mtu_bytes", "gauge", "Largest packet that leaves unfragmented.", true,
	  print_mtu },
	{ "established_timestamp_seconds", "gauge", "When its oldest SAs were made.",
	  false, print_established },
	{ "expires_timestamp_seconds", "gauge", "When the first of its SAs expires.",
	  false, print_expires },
};

/* ---- what is of no tunnel ---- */

static void print_head(const char *name, const char *type, const char *help)
{
	printf("# HELP moat_%s %s\n# TYPE moat_%s %s\n", name, help, name, type);
}

static void print_state(const char *name, const char *help, bool up)
{
	print_head(name, "gauge", help);
	printf("moat_%s %d\n", name, up);
}

static void print_object(const char *name, const char *help, const char *label,
			 json_t *object)
{
	const char *key;
	json_t *value;

	print_head(name, "counter", help);
	json_object_foreach(object, key, value) {
		printf("moat_%s", name);
		print_label('{', label, key);
		printf("} %lld\n", (long long)json_integer_value(value));
	}
}

static void print_all(const json_t *answer)
{
	const json_t *tunnel;
	bool kernel = !json_object_get(answer, "kernel_error");
	size_t i;

	print_state("up", "The daemon answers.", true);
	print_state("kernel_up", "The module answers the daemon.", kernel);
	for (size_t k = 0; k < sizeof(families) / sizeof(families[0]); k++) {
		const struct family *family = &families[k];
		char name[64];

		if (family->traffic && !kernel)
			continue;
		snprintf(name, sizeof(name), "tunnel_%s", family->name);
		print_head(name, family->type, family->help);
		json_array_foreach(json_object_get(answer, "tunnels"), i, tunnel)
			family->print(family->name, tunnel);
	}
	print_object("ike_refused_total", "Messages of IKE that were refused, by reason.",
		     "reason", json_object_get(answer, "refused"));
	if (kernel)
		print_object("kernel_total",
			     "The module's counters of this network namespace, drops by "
			     "reason among them.",
			     "counter", json_object_get(answer, "counters"));
}

/** moat_cli_metrics() - moat metrics */
int moat_cli_metrics(const struct moat_cli *cli, int argc, char **argv)
{
	struct moat_args args = { .argc = argc, .argv = argv };
	json_t *answer;
	int status;

	moat_args_end(&args);
	status = moat_control_ask(cli, "status", &answer);
	if (status) {
		print_state("up", "The daemon answers.", false);
		return status;
	}
	if (cli->json)
		return moat_json_print(answer);
	print_all(answer);
	json_decref(answer);
	return fflush(stdout) || ferror(stdout)
		       ? moat_failed("the metrics could not be written")
		       : MOAT_EXIT_DONE;
}
