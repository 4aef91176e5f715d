// SPDX-License-Identifier: GPL-2.0-or-later
/* moat policy: the kernel's policies. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "cli/cli.h"
#include "cli/control.h"

enum policy_word {
	W_ID,
	W_LOCAL,
	W_REMOTE,
	W_PROTOCOL,
	W_LOCAL_PORT,
	W_REMOTE_PORT,
	W_ACTION,
	W_ENDPOINTS,
	W_MODE,
	W_PRIORITY,
	W_ACQUIRE,
	W_DSCP,
	W_DF,
	W_MTU,
	W_MSS,
	W_TFC,
	W_SECPATH,
	W_DEVICE,
	W_ICMP_TYPE,
	W_ICMP_CODE,
	W_MARK,
};

static const char *const policy_words[] = {
	"id",	     "local",	  "remote", "protocol", "local-port", "remote-port",
	"action",    "endpoints", "mode",   "priority", "acquire",    "dscp",
	"df",	     "mtu",	  "mss",    "tfc",	"secpath",    "device",
	"icmp-type", "icmp-code", "mark",   NULL,
};

static const char *const on_off[] = { "on", "off", NULL };

#define ALL_WORDS ((1U << (W_MARK + 1)) - 1)

/* What the words said that have no place in a policy. */
struct icmp {
	uint8_t type[2];
	uint8_t code[2];
};

/* A number, or the one word that stands beside it: -1. */
static int64_t number_or(struct moat_args *args, const char *other, uint64_t min,
			 uint64_t max)
{
	if (args->argc && !strcmp(args->argv[0], other)) {
		moat_args_word(args);
		return -1;
	}
	return (int64_t)moat_args_number(args, min, max);
}

static void take_device(struct moat_args *args, char *name, size_t size)
{
	const char *word = moat_args_word(args);

	if (strlen(word) >= size)
		moat_usage("moat: device %s: a device's name has %zu characters at most",
			   word, size - 1);
	strcpy(name, word);
}

static void take_shape(struct moat_args *args, struct moat_shape *shape,
		       enum policy_word word)
{
	int64_t number;

	switch (word) {
	case W_DSCP:
		number = number_or(args, "copy", 0, 63);
		shape->has_dscp = number >= 0;
		shape->dscp = number >= 0 ? (uint8_t)number : 0;
		break;
	case W_DF:
		shape->df = moat_args_choice(args, moat_df_names);
		break;
	case W_MTU:
		shape->mtu = moat_args_number(args, 576, UINT16_MAX);
		break;
	case W_MSS:
		number = number_or(args, "auto", 88, MOAT_MSS_AUTO - 1);
		shape->mss = number >= 0 ? (uint16_t)number : MOAT_MSS_AUTO;
		break;
	case W_SECPATH:
		shape->secpath = true;
		break;
	default:
		number = number_or(args, "auto", 1, MOAT_TFC_AUTO - 1);
		shape->tfc = number >= 0 ? (uint16_t)number : MOAT_TFC_AUTO;
		break;
	}
}

/* RFC 4301 4.4.1.1: types and codes stand in the local ports, as one number. */
static void put_icmp(struct moat_selector *sel, const struct icmp *icmp, uint32_t seen)
{
	bool has_ports = seen & (1U << W_LOCAL_PORT | 1U << W_REMOTE_PORT);
	bool has_type = seen & 1U << W_ICMP_TYPE, has_code = seen & 1U << W_ICMP_CODE;

	if (has_ports && moat_has_type(sel->protocol))
		moat_usage(
			"moat: protocol %u has no ports: expected icmp-type and icmp-code",
			sel->protocol);
	if (!has_type && !has_code)
		return;
	if (!moat_has_type(sel->protocol))
		moat_usage(
			"moat: icmp-type and icmp-code need protocol icmp or ipv6-icmp");
	if (!has_type)
		moat_usage("moat: icmp-code needs icmp-type: codes are those of a type");
	sel->local_port[0] = icmp->type[0] << 8 | icmp->code[0];
	sel->local_port[1] = icmp->type[1] << 8 | icmp->code[1];
	if (sel->local_port[0] > sel->local_port[1])
		moat_usage(
			"moat: icmp-type %u-%u, icmp-code %u-%u: the range runs backwards",
			icmp->type[0], icmp->type[1], icmp->code[0], icmp->code[1]);
}

static void take_word(struct moat_args *args, struct moat_nl_policy *policy,
		      struct icmp *icmp, enum policy_word word)
{
	switch (word) {
	case W_ID:
		policy->id = moat_args_number(args, 1, UINT32_MAX);
		break;
	case W_LOCAL:
		moat_args_network(args, &policy->selector.local);
		break;
	case W_REMOTE:
		moat_args_network(args, &policy->selector.remote);
		break;
	case W_PROTOCOL:
		policy->selector.protocol = moat_args_protocol(args);
		break;
	case W_LOCAL_PORT:
		moat_args_ports(args, policy->selector.local_port);
		break;
	case W_REMOTE_PORT:
		moat_args_ports(args, policy->selector.remote_port);
		break;
	case W_ACTION:
		policy->action = moat_args_choice(args, moat_action_names);
		break;
	case W_ENDPOINTS:
		moat_args_addr(args, &policy->local);
		moat_args_addr(args, &policy->remote);
		break;
	case W_MODE:
		policy->mode = moat_args_choice(args, moat_mode_names);
		break;
	case W_PRIORITY:
		policy->priority = moat_args_number(args, 0, UINT32_MAX);
		break;
	case W_ACQUIRE:
		policy->acquire_off = moat_args_choice(args, on_off) == 1;
		break;
	case W_DEVICE:
		take_device(args, policy->device, sizeof(policy->device));
		break;
	case W_ICMP_TYPE:
		moat_args_octets(args, icmp->type);
		break;
	case W_ICMP_CODE:
		moat_args_octets(args, icmp->code);
		break;
	case W_MARK:
		moat_args_mark(args, &policy->mark, &policy->mark_mask);
		break;
	default:
		take_shape(args, &policy->shape, word);
		break;
	}
}

/* Bits of the words that were there, by enum policy_word. */
static uint32_t take_words(struct moat_args *args, struct moat_nl_policy *policy,
			   uint32_t allowed, uint32_t wanted)
{
	struct icmp icmp = { .code = { 0, 255 } };
	uint32_t seen = 0;
	int word, i;

	policy->selector.local_port[1] = 65535;
	policy->selector.remote_port[1] = 65535;
	while ((word = moat_args_keyword(args, policy_words)) >= 0) {
		if (!(allowed & 1U << word))
			moat_usage(
				"moat: %s cannot be changed; delete the policy and add "
				"it again",
				policy_words[word]);
		if (seen & 1U << word)
			moat_usage("moat: %s is given twice", policy_words[word]);
		seen |= 1U << word;
		take_word(args, policy, &icmp, word);
	}
	for (i = 0; policy_words[i]; i++) {
		if (wanted & ~seen & 1U << i)
			moat_usage("moat: %s is missing", policy_words[i]);
	}
	put_icmp(&policy->selector, &icmp, seen);
	return seen;
}

/* It is taken; who had no tunnel's traffic in mind shall hear of it. */
static int warn_of_override(const struct moat_cli *cli, struct moat_nl *nl,
			    const struct moat_nl_policy *policy)
{
	struct moat_override override;
	char text[512];
	int err = moat_override_find(cli, nl, policy, NULL, &override);

	if (err || !override.policy)
		return err;
	fprintf(stderr,
		"moat: warning: policy %u goes before %s: what both cover %s. To undo it: "
		"moat policy del id %u; to let the other one go first, add it again with "
		"a priority above that one's\n",
		policy->id, moat_override_text(&override, text, sizeof(text)),
		policy->action == MOAT_ACTION_BYPASS ? "leaves in clear from now on"
						     : "is dropped from now on",
		policy->id);
	return 0;
}

/* The kernel took it; it may still be of no use, or do harm. */
static int add_policy(const struct moat_cli *cli, struct moat_nl *nl,
		      const struct moat_nl_policy *policy)
{
	struct moat_nl_policy added;
	int err = moat_nl_policy_add(nl, policy);

	if (!err)
		err = moat_nl_policy_get(nl, policy->id, &added);
	if (!err && !added.shadowed)
		return warn_of_override(cli, nl, policy);
	if (err)
		return err;
	fprintf(stderr, "moat: warning: no packet will meet policy %u: ", policy->id);
	if (added.shadow)
		fprintf(stderr, "policy %u covers it and goes first\n", added.shadow);
	else
		fprintf(stderr, "an implicit bypass covers it\n");
	return 0;
}

static int run_add(const struct moat_cli *cli, int argc, char **argv)
{
	struct moat_args args = { .argc = argc, .argv = argv };
	struct moat_nl_policy policy = { 0 };
	struct moat_nl *nl;

	take_words(&args, &policy, ALL_WORDS,
		   1U << W_ID | 1U << W_LOCAL | 1U << W_REMOTE | 1U << W_ACTION);
	if (policy.selector.local.first.len != policy.selector.remote.first.len)
		moat_usage("moat: local and remote must both be IPv4 or both IPv6");
	if (policy.action == MOAT_ACTION_PROTECT && !policy.local.len)
		moat_usage("moat: endpoints is missing: action protect wants our address "
			   "and the peer's");
	if (policy.action == MOAT_ACTION_PROTECT && !policy.mode)
		policy.mode = MOAT_MODE_TUNNEL;
	nl = moat_kernel_open();
	return nl ? moat_kernel_done(nl, add_policy(cli, nl, &policy)) : MOAT_EXIT_FAILED;
}

/* The flag acquire_off has no "leave it": keep what the policy has. */
static int set_policy(const struct moat_cli *cli, struct moat_nl *nl,
		      struct moat_nl_policy *policy, bool has_acquire)
{
	struct moat_nl_policy whole;
	int err;

	if (!has_acquire) {
		err = moat_nl_policy_get(nl, policy->id, &whole);
		if (err)
			return err;
		policy->acquire_off = whole.acquire_off;
	}
	err = moat_nl_policy_set(nl, policy);
	if (!err && policy->action)
		err = moat_nl_policy_get(nl, policy->id, &whole);
	return err || !policy->action ? err : warn_of_override(cli, nl, &whole);
}

static int run_set(const struct moat_cli *cli, int argc, char **argv)
{
	struct moat_args args = { .argc = argc, .argv = argv };
	struct moat_nl_policy policy = { 0 };
	struct moat_nl *nl;
	uint32_t seen;

	seen = take_words(&args, &policy,
			  1U << W_ID | 1U << W_ACTION | 1U << W_ENDPOINTS |
				  1U << W_ACQUIRE,
			  1U << W_ID);
	if (seen == 1U << W_ID)
		moat_usage("moat: nothing to change; expected action, endpoints or "
			   "acquire");
	nl = moat_kernel_open();
	return nl ? moat_kernel_done(nl,
				     set_policy(cli, nl, &policy, seen & 1U << W_ACQUIRE))
		  : MOAT_EXIT_FAILED;
}

static int run_del(const struct moat_cli *cli, int argc, char **argv)
{
	struct moat_args args = { .argc = argc, .argv = argv };
	struct moat_nl_policy policy = { 0 };
	struct moat_nl *nl;

	(void)cli;
	take_words(&args, &policy, 1U << W_ID, 1U << W_ID);
	nl = moat_kernel_open();
	return nl ? moat_kernel_done(nl, moat_nl_policy_del(nl, policy.id))
		  : MOAT_EXIT_FAILED;
}

static int run_flush(const struct moat_cli *cli, int argc, char **argv)
{
	struct moat_args args = { .argc = argc, .argv = argv };
	struct moat_nl *nl;
	int status;

	moat_args_end(&args);
	nl = moat_kernel_open();
	if (!nl)
		return MOAT_EXIT_FAILED;
	status = moat_kernel_done(nl, moat_nl_policy_flush(nl));
	if (!status && moat_control_runs(cli))
		fprintf(stderr, "moat: moatd runs, and puts the policies of its tunnels "
				"back; to be without them, stop it first\n");
	return status;
}

static int print_policy(const struct moat_nl_policy *policy, void *arg)
{
	json_t *list = arg;

	if (!list)
		moat_text_policy(policy);
	else if (json_array_append_new(list, moat_json_policy(policy)))
		return -ENOMEM;
	return 0;
}

/** moat_cli_policies() - moat policy list, moat show policies */
int moat_cli_policies(const struct moat_cli *cli, int argc, char **argv)
{
	struct moat_args args = { .argc = argc, .argv = argv };
	struct moat_nl *nl;
	json_t *doc = NULL, *list = NULL;
	int status;

	moat_args_end(&args);
	nl = moat_kernel_open();
	if (!nl)
		return MOAT_EXIT_FAILED;
	if (cli->json) {
		doc = moat_json_document();
		list = json_array();
		json_object_set_new(doc, "policies", list);
	}
	status = moat_kernel_done(nl, moat_nl_policy_dump(nl, print_policy, list));
	if (doc && !status)
		return moat_json_print(doc);
	json_decref(doc);
	return status;
}

const struct moat_command moat_policy_commands[] = {
	{ "add",
	  "id ID local NET remote NET action protect|bypass|discard\n"
	  "      [endpoints LOCAL REMOTE] [mode tunnel|transport] [priority N]\n"
	  "      [protocol P] [local-port P] [remote-port P] [acquire on|off]\n"
	  "      [icmp-type T] [icmp-code C] [mark MARK[/MASK]]\n"
	  "      [dscp copy|N] [df copy|set|clear] [mtu N] [mss N|auto] [tfc N|auto]\n"
	  "      [secpath] [device NAME]",
	  "add a policy", run_add, NULL },
	{ "del", "id ID", "delete a policy, its outbound SA and held packets", run_del,
	  NULL },
	{ "set", "id ID [action A] [endpoints LOCAL REMOTE] [acquire on|off]",
	  "change a policy in one step", run_set, NULL },
	{ "list", "", "all policies, implicit ones first", moat_cli_policies, NULL },
	{ "flush", "", "delete all policies", run_flush, NULL },
	{ 0 },
};
