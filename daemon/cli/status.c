// SPDX-License-Identifier: GPL-2.0-or-later
/* moat status, show isakmp, show ipsec, show failures. */
#include <stdio.h>
#include <string.h>

#include "cli/control.h"

static void print_isakmp(const json_t *list)
{
	const json_t *row;
	size_t i;

	if (json_array_size(list))
		printf("%-4s %-20s %-20s %-12s %-10s %s\n", "id", "local", "remote",
		       "state", "role", "proposal");
	json_array_foreach(list, i, row)
		printf("%-4lld %-20s %-20s %-12s %-10s %s\n",
		       (long long)moat_field_number(row, "id"), moat_field(row, "local"),
		       moat_field(row, "remote"), moat_field(row, "state"),
		       moat_field(row, "role"), moat_field(row, "proposal"));
}

static void print_drops(const char *indent, const json_t *drops)
{
	const char *name;
	const json_t *value;

	json_object_foreach((json_t *)drops, name, value)
		printf("%sdropped %s %lld\n", indent, name,
		       (long long)json_integer_value(value));
}

static void print_sas(const json_t *pair)
{
	const json_t *sa;
	size_t i;

	json_array_foreach(json_object_get(pair, "sas"), i, sa) {
		printf("    %-3s %s %s  %-24s %s  packets %lld bytes %lld\n",
		       moat_field(sa, "direction"), moat_field(sa, "protocol"),
		       moat_field(sa, "spi"), moat_field(sa, "proposal"),
		       moat_field(sa, "state"),
		       (long long)moat_field_number(sa, "packets"),
		       (long long)moat_field_number(sa, "bytes"));
		print_drops("        ", json_object_get(sa, "drops"));
	}
}

/* Bypass and discard wait for nothing, and have neither ends nor SAs. */
static void print_unprotected(const json_t *tunnel, const char *action)
{
	const json_t *pair;
	size_t i;

	printf("%s: %s\n", moat_field(tunnel, "name"), action);
	if (moat_field(tunnel, "reason")[0])
		printf("  %s\n", moat_field(tunnel, "reason"));
	json_array_foreach(json_object_get(tunnel, "pairs"), i, pair)
		printf("  %s === %s%s\n", moat_field(pair, "local_net"),
		       moat_field(pair, "remote_net"),
		       strcmp(moat_field(pair, "state"), "down") ? "" : "  down");
}

static void print_tunnel(const json_t *tunnel)
{
	const json_t *pair, *sums = json_object_get(tunnel, "counters");
	const char *action = moat_field(tunnel, "action");
	size_t i;

	if (action[0] && strcmp(action, "protect")) {
		print_unprotected(tunnel, action);
		return;
	}
	printf("%s: %s  %s === %s", moat_field(tunnel, "name"),
	       moat_field(tunnel, "state"), moat_field(tunnel, "local"),
	       moat_field(tunnel, "remote"));
	if (moat_field(tunnel, "template")[0])
		printf("  %s", moat_field(tunnel, "remote_id"));
	putchar('\n');
	if (moat_field(tunnel, "reason")[0])
		printf("  %s\n", moat_field(tunnel, "reason"));
	json_array_foreach(json_object_get(tunnel, "pairs"), i, pair) {
		printf("  %s === %s  %s", moat_field(pair, "local_net"),
		       moat_field(pair, "remote_net"), moat_field(pair, "state"));
		if (moat_field_number(pair, "mtu"))
			printf("  mtu %lld", (long long)moat_field_number(pair, "mtu"));
		putchar('\n');
		print_sas(pair);
	}
	printf("  in all: out %lld packets %lld bytes, in %lld packets %lld bytes, "
	       "dropped %lld, rekeyed %lld\n",
	       (long long)moat_field_number(sums, "packets_out_total"),
	       (long long)moat_field_number(sums, "bytes_out_total"),
	       (long long)moat_field_number(sums, "packets_in_total"),
	       (long long)moat_field_number(sums, "bytes_in_total"),
	       (long long)moat_field_number(sums, "drops_total"),
	       (long long)moat_field_number(sums, "rekeys_total"));
}

static void print_tunnels(const json_t *answer)
{
	const json_t *tunnel;
	size_t i;

	json_array_foreach(json_object_get(answer, "tunnels"), i, tunnel)
		print_tunnel(tunnel);
}

static void print_status(const json_t *answer)
{
	const json_t *isakmp = json_object_get(answer, "isakmp");

	if (!json_array_size(json_object_get(answer, "tunnels")))
		printf("no tunnel is configured\n");
	print_isakmp(isakmp);
	if (json_array_size(isakmp))
		putchar('\n');
	print_tunnels(answer);
	if (json_object_get(answer, "kernel_error"))
		printf("the kernel was not asked: %s\n",
		       moat_field(answer, "kernel_error"));
}

static void print_failure(const json_t *row)
{
	const json_t *diff;
	size_t i;

	printf("  %s %s %s", moat_field(row, "last"), moat_field(row, "tunnel"),
	       moat_field(row, "event"));
	if (moat_field_number(row, "count") > 1)
		printf(" (%lld times since %s)",
		       (long long)moat_field_number(row, "count"),
		       moat_field(row, "first"));
	printf("\n    %s\n", moat_field(row, "text"));
	json_array_foreach(json_object_get(row, "attributes"), i, diff)
		printf("    %-16s offered %-28s ours %s\n", moat_field(diff, "attribute"),
		       moat_field(diff, "offered"), moat_field(diff, "ours"));
	if (moat_field(row, "change")[0])
		printf("    to change: %s\n", moat_field(row, "change"));
}

/* What comes from one peer stands together, in the order of the last ones. */
static void print_failures(const json_t *answer)
{
	const json_t *rows = json_object_get(answer, "failures"), *row, *other;
	size_t i, k;

	if (!json_array_size(rows))
		puts("no failures");
	json_array_foreach(rows, i, row) {
		const char *peer = moat_field(row, "peer");
		bool first = true;

		for (k = 0; k < i && first; k++)
			first = strcmp(moat_field(json_array_get(rows, k), "peer"), peer);
		if (!first)
			continue;
		printf("peer %s\n", peer[0] ? peer : "(none: on this side)");
		json_array_foreach(rows, k, other) {
			if (!strcmp(moat_field(other, "peer"), peer))
				print_failure(other);
		}
	}
}

static void print_phase1(const json_t *answer)
{
	print_isakmp(json_object_get(answer, "isakmp"));
}

static int show(const struct moat_cli *cli, const char *command, int argc, char **argv,
		void (*print)(const json_t *answer))
{
	struct moat_args args = { .argc = argc, .argv = argv };
	json_t *answer;
	int status;

	moat_args_end(&args);
	status = moat_control_ask(cli, command, &answer);
	if (status)
		return status;
	if (cli->json)
		return moat_json_print(answer);
	print(answer);
	json_decref(answer);
	return MOAT_EXIT_DONE;
}

/** moat_cli_status() - moat status */
int moat_cli_status(const struct moat_cli *cli, int argc, char **argv)
{
	return show(cli, "status", argc, argv, print_status);
}

/** moat_cli_isakmp() - moat show isakmp */
int moat_cli_isakmp(const struct moat_cli *cli, int argc, char **argv)
{
	return show(cli, "isakmp", argc, argv, print_phase1);
}

/** moat_cli_ipsec() - moat show ipsec */
int moat_cli_ipsec(const struct moat_cli *cli, int argc, char **argv)
{
	return show(cli, "ipsec", argc, argv, print_tunnels);
}

/** moat_cli_failures() - moat show failures */
int moat_cli_failures(const struct moat_cli *cli, int argc, char **argv)
{
	return show(cli, "failures", argc, argv, print_failures);
}
