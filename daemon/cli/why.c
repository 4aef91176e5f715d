// SPDX-License-Identifier: GPL-2.0-or-later
/* moat why and moat show counters: what the kernel would do, and has done. */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include "cli/cli.h"

static const char *const verdict_names[] = { "",     "clear",	"bypass", "protect",
					     "hold", "discard", NULL };

static const char *const verdict_sentences[] = {
	"",
	"no policy covers it: it leaves in clear",
	"a bypass policy covers it: it leaves in clear",
	"it is protected",
	"it is to be protected and waits: the policy has no SA",
	"it is dropped",
	NULL,
};

static json_t *json_flow(const struct moat_nl_flow *flow)
{
	json_t *object = json_object();

	json_object_set_new(object, "src", moat_json_addr(&flow->src));
	json_object_set_new(object, "dst", moat_json_addr(&flow->dst));
	json_object_set_new(object, "protocol", json_integer(flow->protocol));
	json_object_set_new(object, "sport", json_integer(flow->sport));
	json_object_set_new(object, "dport", json_integer(flow->dport));
	return object;
}

static int print_json(const struct moat_nl_answer *answer,
		      const struct moat_override *override)
{
	json_t *doc = moat_json_document();
	json_t *sas = json_array();
	unsigned int i;

	json_object_set_new(doc, "verdict",
			    json_string(moat_name(verdict_names, answer->verdict)));
	json_object_set_new(doc, "policy",
			    answer->has_policy ? moat_json_policy(&answer->policy)
					       : json_null());
	json_object_set_new(doc, "reason",
			    answer->reason[0] ? json_string(answer->reason)
					      : json_null());
	json_object_set_new(doc, "original",
			    answer->nat ? json_flow(&answer->original) : json_null());
	json_object_set_new(doc, "translated",
			    answer->nat ? json_flow(&answer->translated) : json_null());
	for (i = 0; i < answer->n_sas; i++)
		json_array_append_new(sas, moat_json_sa(&answer->sas[i]));
	json_object_set_new(doc, "sas", sas);
	json_object_set_new(doc, "overridden",
			    override->policy ? json_pack("{s:I, s:s}", "policy",
							 (json_int_t) override->policy,
							 "tunnel", override->tunnel)
					     : json_null());
	return moat_json_print(doc);
}

/* Policies see a packet as it leaves. */
static void print_nat(const struct moat_nl_answer *answer)
{
	const struct moat_nl_flow *from = &answer->original, *to = &answer->translated;
	char src[MOAT_ADDR_STRLEN], dst[MOAT_ADDR_STRLEN];

	printf("NAT makes of %s port %u to %s port %u\n", moat_addr_str(&from->src, src),
	       from->sport, moat_addr_str(&from->dst, dst), from->dport);
	printf("         now %s port %u to %s port %u\n", moat_addr_str(&to->src, src),
	       to->sport, moat_addr_str(&to->dst, dst), to->dport);
}

/* Somebody took it by hand out of what protects it. */
static void print_override(const struct moat_nl_answer *answer,
			   const struct moat_override *override)
{
	char text[512];

	if (override->policy)
		printf("policy %u was added by hand and goes before %s; to undo it: moat "
		       "policy del id %u\n",
		       answer->policy.id,
		       moat_override_text(override, text, sizeof(text)),
		       answer->policy.id);
}

static int print_answer(const struct moat_cli *cli, const struct moat_nl_answer *answer,
			const struct moat_override *override)
{
	unsigned int i;

	if (cli->json)
		return print_json(answer, override);
	printf("%s: %s\n", moat_name(verdict_names, answer->verdict),
	       moat_name(verdict_sentences, answer->verdict));
	if (answer->reason[0])
		printf("counted as %s\n", answer->reason);
	if (answer->nat)
		print_nat(answer);
	if (answer->has_policy) {
		printf("policy ");
		moat_text_policy(&answer->policy);
	}
	print_override(answer, override);
	for (i = 0; i < answer->n_sas; i++) {
		printf("SA ");
		moat_text_sa(&answer->sas[i]);
	}
	return MOAT_EXIT_DONE;
}

/* Whether there is a word, and not the last pair. */
static bool more(const struct moat_args *args)
{
	return args->argc && strcmp(args->argv[0], "mark");
}

/*
 * The source port of a packet that opens a connection is nobody's business; but IKE
 * comes from the port that it goes to, and is let through by that.
 */
static void take_ports(struct moat_args *args, struct moat_nl_flow *flow)
{
	if (!moat_has_type(flow->protocol)) {
		args->what = "port";
		if (more(args))
			flow->dport = moat_args_number(args, 0, 65535);
		if (flow->protocol == IPPROTO_UDP &&
		    (flow->dport == 500 || flow->dport == 4500))
			flow->sport = flow->dport;
		return;
	}
	args->what = "type";
	if (more(args))
		flow->sport = moat_args_number(args, 0, 255);
	args->what = "code";
	if (more(args))
		flow->dport = moat_args_number(args, 0, 255);
}

/** moat_cli_why() - moat why SRC DST [PROTOCOL [PORT | TYPE [CODE]]] [mark MARK] */
int moat_cli_why(const struct moat_cli *cli, int argc, char **argv)
{
	struct moat_args args = { .argc = argc, .argv = argv };
	struct moat_nl_flow flow = { 0 };
	struct moat_override override = { 0 };
	struct moat_nl_answer answer;
	struct moat_nl *nl;
	int status;

	args.what = "source";
	moat_args_addr(&args, &flow.src);
	args.what = "destination";
	moat_args_addr(&args, &flow.dst);
	args.what = "protocol";
	if (more(&args))
		flow.protocol = moat_args_protocol(&args);
	take_ports(&args, &flow);
	args.what = "mark";
	if (args.argc && !strcmp(args.argv[0], "mark")) {
		moat_args_word(&args);
		flow.mark = moat_args_number(&args, 0, UINT32_MAX);
	}
	moat_args_end(&args);
	if (flow.src.len != flow.dst.len)
		moat_usage("moat: source and destination must both be IPv4 or both IPv6");
	nl = moat_kernel_open();
	if (!nl)
		return MOAT_EXIT_FAILED;
	status = moat_nl_flow_get(nl, &flow, &answer);
	if (!status && answer.has_policy)
		status = moat_override_find(cli, nl, &answer.policy,
					    answer.nat ? &answer.translated : &flow,
					    &override);
	status = moat_kernel_done(nl, status);
	return status ? status : print_answer(cli, &answer, &override);
}

/** moat_cli_counters() - moat show counters */
int moat_cli_counters(const struct moat_cli *cli, int argc, char **argv)
{
	struct moat_args args = { .argc = argc, .argv = argv };
	struct moat_nl_counters stats;
	struct moat_nl *nl;
	json_t *doc;
	int status;

	moat_args_end(&args);
	nl = moat_kernel_open();
	if (!nl)
		return MOAT_EXIT_FAILED;
	status = moat_kernel_done(nl, moat_nl_stats_get(nl, &stats));
	if (status)
		return status;
	if (!cli->json) {
		moat_text_counters("", &stats);
		return MOAT_EXIT_DONE;
	}
	doc = moat_json_document();
	json_object_set_new(doc, "counters", moat_json_counters(&stats));
	return moat_json_print(doc);
}
