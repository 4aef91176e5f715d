// SPDX-License-Identifier: GPL-2.0-or-later
/* moat show crypto isakmp sa, show crypto ipsec sa: as routers of Cisco print it. */
#include <stdio.h>
#include <string.h>

#include "cli/control.h"

static int ask(const struct moat_cli *cli, const char *command, int argc, char **argv,
	       json_t **answer)
{
	struct moat_args args = { .argc = argc, .argv = argv };

	moat_args_end(&args);
	return moat_control_ask(cli, command, answer);
}

static void print_isakmp(const json_t *answer)
{
	const json_t *row;
	size_t i;

	printf("IPv4/IPv6 Crypto ISAKMP SA (QM_IDLE: established and healthy)\n");
	printf("%-24s %-24s %-14s %7s  %s\n", "dst", "src", "state", "conn-id", "status");
	json_array_foreach(json_object_get(answer, "isakmp"), i, row) {
		bool initiator = !strcmp(moat_field(row, "role"), "initiator");

		printf("%-24s %-24s %-14s %7lld  %s\n",
		       moat_field(row, initiator ? "remote" : "local"),
		       moat_field(row, initiator ? "local" : "remote"),
		       moat_field(row, "state"), (long long)moat_field_number(row, "id"),
		       "ACTIVE");
	}
}

static int run_isakmp_sa(const struct moat_cli *cli, int argc, char **argv)
{
	json_t *answer;
	int status = ask(cli, "isakmp", argc, argv, &answer);

	if (status)
		return status;
	if (cli->json)
		return moat_json_print(answer);
	print_isakmp(answer);
	json_decref(answer);
	return MOAT_EXIT_DONE;
}

static json_int_t sum(const json_t *pair, const char *direction, const char *field)
{
	const json_t *sa;
	json_int_t total = 0;
	size_t i;

	json_array_foreach(json_object_get(pair, "sas"), i, sa) {
		/* Of a bundle both have carried the same. */
		if (!strcmp(moat_field(sa, "direction"), direction) &&
		    !(json_object_get(sa, "bundle") &&
		      !strcmp(moat_field(sa, "protocol"), "esp")))
			total += moat_field_number(sa, field);
	}
	return total;
}

static void print_direction(const json_t *pair, const char *direction, const char *title)
{
	const json_t *sa;
	size_t i;

	printf("     %s:\n", title);
	json_array_foreach(json_object_get(pair, "sas"), i, sa) {
		if (strcmp(moat_field(sa, "direction"), direction))
			continue;
		printf("      spi: 0x%s\n        transform: %s, in use settings = {%s}\n"
		       "        Status: ACTIVE(%s)\n",
		       moat_field(sa, "spi"), moat_field(sa, "proposal"),
		       moat_field(sa, "mode"), moat_field(sa, "state"));
	}
}

/* As a network with protocol and port, 0 for any: "10.1.0.0/24/6/443". */
static void print_ident(const json_t *pair, const char *net, const char *ports)
{
	const json_t *port = json_object_get(pair, ports);
	long long low = json_integer_value(json_array_get(port, 0));
	long long high = json_integer_value(json_array_get(port, 1));

	printf("ident (addr/prefix/prot/port): (%s/%lld/%lld", moat_field(pair, net),
	       (long long)moat_field_number(pair, "ip_protocol"), low);
	if (low != high)
		printf("-%lld", high);
	puts(")");
}

static void print_pair(const json_t *tunnel, const json_t *pair)
{
	long long out = sum(pair, "out", "packets"), in = sum(pair, "in", "packets");

	printf("   local  ");
	print_ident(pair, "local_net", "local_ports");
	printf("   remote ");
	print_ident(pair, "remote_net", "remote_ports");
	printf("   current_peer %s\n"
	       "    #pkts encaps: %lld, #pkts encrypt: %lld\n"
	       "    #pkts decaps: %lld, #pkts decrypt: %lld\n"
	       "     local crypto endpt.: %s, remote crypto endpt.: %s\n",
	       moat_field(tunnel, "remote"), out, out, in, in,
	       moat_field(tunnel, "local"), moat_field(tunnel, "remote"));
	if (moat_field_number(pair, "mtu"))
		printf("     inner mtu %lld\n",
		       (long long)moat_field_number(pair, "mtu"));
	print_direction(pair, "in", "inbound sas");
	print_direction(pair, "out", "outbound sas");
	putchar('\n');
}

static void print_ipsec(const json_t *answer)
{
	const json_t *tunnel, *pair;
	size_t i, j;

	json_array_foreach(json_object_get(answer, "tunnels"), i, tunnel) {
		printf("tunnel: %s, local addr %s\n\n", moat_field(tunnel, "name"),
		       moat_field(tunnel, "local"));
		json_array_foreach(json_object_get(tunnel, "pairs"), j, pair)
			print_pair(tunnel, pair);
	}
}

static int run_ipsec_sa(const struct moat_cli *cli, int argc, char **argv)
{
	json_t *answer;
	int status = ask(cli, "ipsec", argc, argv, &answer);

	if (status)
		return status;
	if (cli->json)
		return moat_json_print(answer);
	print_ipsec(answer);
	json_decref(answer);
	return MOAT_EXIT_DONE;
}

static const struct moat_command isakmp_commands[] = {
	{ "sa", "", "phase 1; QM_IDLE means established and healthy", run_isakmp_sa,
	  NULL },
	{ 0 },
};

static const struct moat_command ipsec_commands[] = {
	{ "sa", "", "phase 2, with packets encapsulated and decapsulated", run_ipsec_sa,
	  NULL },
	{ 0 },
};

const struct moat_command moat_crypto_commands[] = {
	{ "isakmp", NULL, "phase 1", NULL, isakmp_commands },
	{ "ipsec", NULL, "phase 2", NULL, ipsec_commands },
	{ 0 },
};
