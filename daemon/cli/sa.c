// SPDX-License-Identifier: GPL-2.0-or-later
/* moat sa: SAs with manual keys, and the list of all. */
#include <netinet/in.h>
#include <string.h>
#include <errno.h>
#include "cli/cli.h"
#include "ike/alg.h"
#include "wire/isakmp.h"

enum sa_word {
	W_SPI,
	W_SRC,
	W_DST,
	W_ALG,
	W_KEY,
	W_REPLAY,
	W_ESN,
	W_POLICY,
	W_MODE,
	W_ENCAP,
	W_SEQ,
	W_LOCAL,
	W_REMOTE,
	W_PROTOCOL,
	W_LOCAL_PORT,
	W_REMOTE_PORT,
	W_SOFT_SECONDS,
	W_HARD_SECONDS,
	W_SOFT_BYTES,
	W_HARD_BYTES,
	W_SOFT_PACKETS,
	W_HARD_PACKETS,
	W_OVER,
};

static const char *const sa_words[] = {
	"spi",		"src",		"dst",		"alg",	      "key",
	"replay",	"esn",		"policy",	"mode",	      "encap",
	"seq",		"local",	"remote",	"protocol",   "local-port",
	"remote-port",	"soft-seconds", "hard-seconds", "soft-bytes", "hard-bytes",
	"soft-packets", "hard-packets", "over",		NULL,
};

static const char *const protocol_names[] = { "esp", "ah", NULL };

/* What the words of `sa add` say, before keys are read. */
struct sa_request {
	struct moat_nl_sa sa;
	const char *alg;
	const char *key;
	uint32_t seen; /* bit per enum sa_word */
};

static void start_sa(struct moat_args *args, struct moat_nl_sa *sa)
{
	args->what = "direction";
	sa->direction = moat_args_choice(args, moat_direction_names);
	args->what = "protocol";
	sa->protocol =
		moat_args_choice(args, protocol_names) == 0 ? IPPROTO_ESP : IPPROTO_AH;
	sa->mode = MOAT_MODE_TUNNEL;
	sa->replay = 1024;
	sa->selector.local_port[1] = 65535;
	sa->selector.remote_port[1] = 65535;
}

static void take_number(struct moat_args *args, struct moat_nl_sa *sa, enum sa_word word)
{
	uint64_t *const limits[] = {
		&sa->soft_seconds, &sa->hard_seconds, &sa->soft_bytes,
		&sa->hard_bytes,   &sa->soft_packets, &sa->hard_packets,
	};

	*limits[word - W_SOFT_SECONDS] = moat_args_number(args, 1, INT64_MAX);
}

static void take_selector(struct moat_args *args, struct moat_selector *sel,
			  enum sa_word word)
{
	switch (word) {
	case W_LOCAL:
		moat_args_network(args, &sel->local);
		break;
	case W_REMOTE:
		moat_args_network(args, &sel->remote);
		break;
	case W_PROTOCOL:
		sel->protocol = moat_args_protocol(args);
		break;
	case W_LOCAL_PORT:
		moat_args_ports(args, sel->local_port);
		break;
	default:
		moat_args_ports(args, sel->remote_port);
		break;
	}
}

static void take_word(struct moat_args *args, struct sa_request *r, enum sa_word word)
{
	struct moat_nl_sa *sa = &r->sa;

	switch (word) {
	case W_SPI:
		sa->spi = moat_args_spi(args);
		break;
	case W_SRC:
		moat_args_addr(args, &sa->src);
		break;
	case W_DST:
		moat_args_addr(args, &sa->dst);
		break;
	case W_ALG:
		r->alg = moat_args_word(args);
		break;
	case W_KEY:
		r->key = moat_args_word(args);
		break;
	case W_REPLAY:
		sa->replay = moat_args_number(args, 0, MOAT_REPLAY_MAX);
		break;
	case W_ESN:
		sa->esn = true;
		break;
	case W_POLICY:
		sa->policy = moat_args_number(args, 1, UINT32_MAX);
		break;
	case W_MODE:
		sa->mode = moat_args_choice(args, moat_mode_names);
		break;
	case W_ENCAP:
		sa->encap_sport = moat_args_number(args, 1, 65535);
		sa->encap_dport = moat_args_number(args, 1, 65535);
		break;
	case W_SEQ:
		sa->seq = moat_args_number(args, 0, INT64_MAX);
		break;
	case W_LOCAL:
	case W_REMOTE:
	case W_PROTOCOL:
	case W_LOCAL_PORT:
	case W_REMOTE_PORT:
		take_selector(args, &sa->selector, word);
		break;
	default:
		take_number(args, sa, word);
		break;
	}
}

static void take_words(struct moat_args *args, struct sa_request *r, uint32_t allowed,
		       uint32_t wanted)
{
	int word, i;

	while ((word = moat_args_keyword(args, sa_words)) >= 0) {
		if (!(allowed & 1U << word))
			moat_usage("moat: %s does not belong here", sa_words[word]);
		if (r->seen & 1U << word)
			moat_usage("moat: %s is given twice", sa_words[word]);
		r->seen |= 1U << word;
		if (word == W_OVER)
			break;
		take_word(args, r, word);
	}
	for (i = 0; sa_words[i]; i++) {
		if (wanted & ~r->seen & 1U << i)
			moat_usage("moat: %s is missing", sa_words[i]);
	}
}

static void check_request(const struct sa_request *r)
{
	const struct moat_nl_sa *sa = &r->sa;
	uint32_t some = r->seen & (1U << W_LOCAL | 1U << W_REMOTE);

	if (sa->direction == MOAT_DIRECTION_OUT && !sa->policy)
		moat_usage("moat: policy is missing: an outbound SA serves one");
	if (sa->direction == MOAT_DIRECTION_OUT && r->seen & 1U << W_REPLAY)
		moat_usage("moat: replay belongs to an inbound SA");
	if (some && some != (1U << W_LOCAL | 1U << W_REMOTE))
		moat_usage("moat: a selector wants both local and remote");
	if (!some &&
	    r->seen & (1U << W_PROTOCOL | 1U << W_LOCAL_PORT | 1U << W_REMOTE_PORT))
		moat_usage("moat: a selector wants local and remote networks");
	if (some && sa->selector.local.first.len != sa->selector.remote.first.len)
		moat_usage("moat: local and remote must both be IPv4 or both IPv6");
}

/* From the name: the algorithms and the lengths of their keys. */
static struct moat_key_layout take_alg(struct sa_request *r)
{
	struct moat_sa_algs algs = { 0 };
	struct moat_key_layout layout;
	struct moat_sa_alg *alg = &algs.alg[0];
	uint8_t proto = r->sa.protocol == IPPROTO_AH ? MOAT_PROTO_AH : MOAT_PROTO_ESP;
	char why[256];

	if (moat_sa_algs_add(&algs, proto, r->alg, why, sizeof(why)))
		moat_usage("moat: alg %s", why);
	if (algs.count != 1)
		moat_usage("moat: alg %s: names %u combinations; an SA has one", r->alg,
			   algs.count);
	if (alg->group)
		moat_usage("moat: alg %s: %s is for key exchange; leave it out", r->alg,
			   moat_group_name(alg->group));
	layout = moat_sa_alg_keys(alg);
	r->sa.enc = alg->enc;
	r->sa.auth = alg->auth;
	r->sa.icv_len = alg->icv_len;
	r->sa.esn |= alg->esn;
	return layout;
}

/*
 * "over esp …": AH over ESP, a bundle. What both have in common was said
 * before; what is counted and selected stands with ESP.
 */
static void take_inner(struct moat_args *args, struct sa_request *outer,
		       struct sa_request *inner)
{
	static const struct moat_selector any = { .local_port = { 0, 65535 },
						  .remote_port = { 0, 65535 } };
	struct moat_nl_sa *ah = &outer->sa, *esp = &inner->sa;

	args->what = "over";
	if (ah->protocol != IPPROTO_AH || moat_args_choice(args, protocol_names) != 0)
		moat_usage("moat: over: a bundle is ah over esp");
	*esp = *ah;
	esp->protocol = IPPROTO_ESP;
	esp->esn = false;
	esp->seq = 0;
	take_words(args, inner,
		   1U << W_SPI | 1U << W_ALG | 1U << W_KEY | 1U << W_ESN | 1U << W_SEQ,
		   1U << W_SPI | 1U << W_ALG | 1U << W_KEY);
	if (!strcmp(outer->key, "-") && !strcmp(inner->key, "-"))
		moat_usage("moat: key: standard input holds one key, a bundle has two");
	ah->bundle = esp->bundle = esp->spi;
	ah->selector = any;
	ah->soft_seconds = ah->hard_seconds = 0;
	ah->soft_bytes = ah->hard_bytes = 0;
	ah->soft_packets = ah->hard_packets = 0;
}

static int read_key(struct sa_request *r, struct moat_nl_sa *sa, uint8_t *key)
{
	struct moat_key_layout layout = take_alg(r);

	*sa = r->sa;
	sa->enc_key = key;
	sa->enc_key_len = layout.enc_len;
	sa->auth_key = key + layout.enc_len;
	sa->auth_key_len = layout.auth_len;
	return moat_key_read(r->key, r->alg, layout.enc_len, layout.auth_len, key);
}

static int add_keyed(struct sa_request *r, size_t n, uint8_t (*key)[2 * MOAT_KEY_MAX])
{
	struct moat_nl_sa sas[2];
	struct moat_nl *nl;
	int err;

	for (size_t i = 0; i < n; i++) {
		err = read_key(&r[i], &sas[i], key[i]);
		if (err)
			return err;
	}
	nl = moat_kernel_open();
	if (!nl)
		return MOAT_EXIT_FAILED;
	if (sas[0].direction == MOAT_DIRECTION_IN)
		err = moat_nl_sa_add(nl, sas, n);
	else
		err = moat_nl_policy_switch(nl, sas[0].policy, sas, n);
	return moat_kernel_done(nl, err);
}

static int run_add(const struct moat_cli *cli, int argc, char **argv)
{
	struct moat_args args = { .argc = argc, .argv = argv };
	struct sa_request r[2] = { 0 };
	uint8_t key[2][2 * MOAT_KEY_MAX];
	size_t n = 1;
	int status;

	(void)cli;
	start_sa(&args, &r[0].sa);
	take_words(&args, &r[0], UINT32_MAX,
		   1U << W_SPI | 1U << W_SRC | 1U << W_DST | 1U << W_ALG | 1U << W_KEY);
	check_request(&r[0]);
	if (r[0].seen & 1U << W_OVER)
		take_inner(&args, &r[0], &r[n++]);
	status = add_keyed(r, n, key);
	explicit_bzero(key, sizeof(key));
	return status;
}

static int run_del(const struct moat_cli *cli, int argc, char **argv)
{
	struct moat_args args = { .argc = argc, .argv = argv };
	struct sa_request r = { 0 };
	struct moat_nl *nl;

	(void)cli;
	start_sa(&args, &r.sa);
	take_words(&args, &r, 1U << W_SPI | 1U << W_DST, 1U << W_SPI | 1U << W_DST);
	nl = moat_kernel_open();
	return nl ? moat_kernel_done(nl, moat_nl_sa_del(nl, &r.sa)) : MOAT_EXIT_FAILED;
}

static int run_flush(const struct moat_cli *cli, int argc, char **argv)
{
	struct moat_args args = { .argc = argc, .argv = argv };
	struct moat_nl *nl;

	(void)cli;
	moat_args_end(&args);
	nl = moat_kernel_open();
	return nl ? moat_kernel_done(nl, moat_nl_sa_flush(nl)) : MOAT_EXIT_FAILED;
}

static int print_sa(const struct moat_nl_sa *sa, void *arg)
{
	json_t *list = arg;

	if (!list)
		moat_text_sa(sa);
	else if (json_array_append_new(list, moat_json_sa(sa)))
		return -ENOMEM;
	return 0;
}

static int run_list(const struct moat_cli *cli, int argc, char **argv)
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
		json_object_set_new(doc, "sas", list);
	}
	status = moat_kernel_done(nl, moat_nl_sa_dump(nl, print_sa, list));
	if (doc && !status)
		return moat_json_print(doc);
	json_decref(doc);
	return status;
}

const struct moat_command moat_sa_commands[] = {
	{ "add",
	  "in|out esp|ah spi SPI src ADDR dst ADDR alg NAME key @FILE|- [policy ID]\n"
	  "      [mode tunnel|transport] [replay PACKETS] [esn] [encap SPORT DPORT]\n"
	  "      [seq LAST]\n"
	  "      [local NET remote NET [protocol P] [local-port P] [remote-port P]]\n"
	  "      [soft-seconds|hard-seconds|soft-bytes|hard-bytes|soft-packets|\n"
	  "       hard-packets N]…\n"
	  "      [over esp spi SPI alg NAME key @FILE|- [esn] [seq LAST]]",
	  "add an SA; the key is hexadecimal: cipher key, its salt, integrity key",
	  run_add, NULL },
	{ "del", "in|out esp|ah spi SPI dst ADDR", "delete an SA", run_del, NULL },
	{ "list", "", "all SAs", run_list, NULL },
	{ "flush", "", "delete all SAs; policies stay", run_flush, NULL },
	{ 0 },
};
