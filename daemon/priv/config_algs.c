// SPDX-License-Identifier: GPL-2.0-or-later
/* What a tunnel offers and accepts: ike, esp, ah; the explicit word for weak ones. */
#include <stdlib.h>
#include <string.h>

#include "priv/config_draft.h"
#include "wire/isakmp.h"

/* A list that is full is one mistake, however much follows. */
static bool add_ike(struct moat_reader *reader, config_setting_t *setting,
		    const char *text, void *arg)
{
	char why[256];
	int wrong = moat_ike_algs_add(arg, text, why, sizeof(why));

	if (wrong)
		moat_reader_wrong(reader, setting, "ike: %s", why);
	return wrong != MOAT_ALGS_FULL;
}

void moat_read_ike(struct draft *draft, config_setting_t *setting)
{
	draft->tunnel->ike.count = 0;
	moat_value_strings(draft->reader, setting, add_ike, &draft->tunnel->ike);
}

static bool add_sa(struct moat_reader *reader, config_setting_t *setting,
		   const char *text, uint8_t protocol, struct moat_sa_algs *list)
{
	const char *key = protocol == MOAT_PROTO_AH ? "ah" : "esp";
	unsigned int old = list->count;
	char why[256];
	int wrong = moat_sa_algs_add(list, protocol, text, why, sizeof(why));

	if (wrong) {
		moat_reader_wrong(reader, setting, "%s: %s", key, why);
		return wrong != MOAT_ALGS_FULL;
	}
	for (unsigned int i = old; i < list->count; i++) {
		if (!moat_sa_alg_negotiable(&list->alg[i])) {
			moat_reader_wrong(reader, setting,
					  "%s: \"%s\" has no number in IKEv1 and serves "
					  "manual SAs only",
					  key, text);
			break;
		}
	}
	return true;
}

static bool add_esp(struct moat_reader *reader, config_setting_t *setting,
		    const char *text, void *arg)
{
	return add_sa(reader, setting, text, MOAT_PROTO_ESP, arg);
}

static bool add_ah(struct moat_reader *reader, config_setting_t *setting,
		   const char *text, void *arg)
{
	return add_sa(reader, setting, text, MOAT_PROTO_AH, arg);
}

void moat_read_esp(struct draft *draft, config_setting_t *setting)
{
	draft->tunnel->esp.count = 0;
	moat_value_strings(draft->reader, setting, add_esp, &draft->tunnel->esp);
}

/* AH alone, unless esp is written as well: then both, AH outside. */
void moat_read_ah(struct draft *draft, config_setting_t *setting)
{
	if (!config_setting_get_member(draft->block, "esp"))
		draft->tunnel->esp.count = 0;
	moat_value_strings(draft->reader, setting, add_ah, &draft->tunnel->ah);
}

/* ---- weak ones ---- */

/**
 * struct weighing - an algorithm list that is read again for what is weak in it
 */
struct weighing {
	struct draft *draft;
	uint8_t protocol;
};

/* Its weak parts go to @out. */
static bool is_weak(uint8_t protocol, const char *text, char out[MOAT_WEAK_STRLEN])
{
	struct moat_ike_algs ike = { 0 };
	struct moat_sa_algs sa = { 0 };
	bool weak = false;
	char why[256];

	if (protocol == 0 && !moat_ike_algs_add(&ike, text, why, sizeof(why))) {
		for (unsigned int i = 0; i < ike.count && !weak; i++)
			weak = moat_ike_alg_weak(&ike.alg[i], out);
	} else if (protocol && !moat_sa_algs_add(&sa, protocol, text, why, sizeof(why))) {
		for (unsigned int i = 0; i < sa.count && !weak; i++)
			weak = moat_sa_alg_weak(&sa.alg[i], out);
	}
	return weak;
}

static void weigh(const struct weighing *w, config_setting_t *setting)
{
	struct moat_reader *reader = w->draft->reader;
	const char *text = config_setting_get_string(setting);
	char weak[MOAT_WEAK_STRLEN];

	if (!text || !is_weak(w->protocol, text, weak))
		return;
	if (w->draft->weak)
		moat_reader_warn(reader, setting,
				 "tunnel \"%s\": weak in \"%s\": %s; taken because of "
				 "weak = true",
				 w->draft->tunnel->name, text, weak);
	else
		moat_reader_wrong(reader, setting,
				  "tunnel \"%s\": weak in \"%s\": %s; choose others, or "
				  "write weak = true to take it nevertheless",
				  w->draft->tunnel->name, text, weak);
}

static void weigh_key(struct draft *draft, const char *key, uint8_t protocol)
{
	config_setting_t *setting = config_setting_get_member(draft->block, key);
	struct weighing w = { draft, protocol };

	/* What is no string was said when the list was read. */
	if (!setting)
		return;
	weigh(&w, setting);
	for (int i = 0; i < config_setting_length(setting); i++)
		weigh(&w, config_setting_get_elem(setting, i));
}

/* Who hears one exchange can try passwords for as long as he likes. */
static void weigh_exchange(struct draft *draft)
{
	config_setting_t *setting = config_setting_get_member(draft->block, "exchange");
	const struct moat_tunnel_conf *tunnel = draft->tunnel;

	if (tunnel->exchange != MOAT_EXCHANGE_AGGRESSIVE ||
	    tunnel->auth != MOAT_METHOD_PSK)
		return;
	if (draft->weak)
		moat_reader_warn(
			draft->reader, setting,
			"tunnel \"%s\": aggressive mode lets who overhears it "
			"guess the pre-shared key, and is used because of weak = "
			"true",
			tunnel->name);
	else
		moat_reader_wrong(
			draft->reader, setting,
			"tunnel \"%s\": aggressive mode lets who overhears it "
			"guess the pre-shared key: use main mode, or write weak "
			"= true to take it nevertheless",
			tunnel->name);
}

void moat_check_weak(struct draft *draft)
{
	weigh_key(draft, "ike", 0);
	weigh_key(draft, "esp", MOAT_PROTO_ESP);
	weigh_key(draft, "ah", MOAT_PROTO_AH);
	weigh_exchange(draft);
}

/* ---- what a list must have in common ---- */

/* A quick mode has one KE payload, so all that it offers needs one group. */
static void check_pfs(struct draft *draft, const struct moat_sa_algs *list,
		      const char *what, bool pfs)
{
	for (unsigned int i = 0; i < list->count; i++) {
		if (pfs != (list->alg[i].group != MOAT_GROUP_NONE)) {
			moat_reader_wrong(
				draft->reader, draft->block,
				"tunnel \"%s\": %s has entries with and without "
				"a group: PFS is either wanted or not",
				draft->tunnel->name, what);
			return;
		}
	}
}

void moat_check_groups(struct draft *draft)
{
	const struct moat_sa_algs *esp = &draft->tunnel->esp;
	const struct moat_sa_algs *ah = &draft->tunnel->ah;
	const struct moat_sa_algs *first = esp->count ? esp : ah;

	if (!first->count)
		return;
	check_pfs(draft, first, first == esp ? "esp" : "ah", first->alg[0].group);
	if (first == esp && ah->count)
		check_pfs(draft, ah, "esp and ah together", first->alg[0].group);
}

/* ---- extended sequence numbers ---- */

static bool has_word(const char *text, const char *word)
{
	size_t len = strlen(word);

	for (; text; text = strchr(text, '-'), text = text ? text + 1 : NULL) {
		if (!strncmp(text, word, len) && (!text[len] || text[len] == '-'))
			return true;
	}
	return false;
}

static void contradict(struct draft *draft, config_setting_t *setting)
{
	const char *text = config_setting_get_string(setting);
	const char *word = draft->esn == DRAFT_ESN_ON ? "noesn" : "esn";

	if (text && has_word(text, word))
		moat_reader_wrong(draft->reader, setting,
				  "tunnel \"%s\": \"%s\" says %s, but esn is \"%s\": "
				  "remove one of them; esn = \"auto\" offers both",
				  draft->tunnel->name, text, word,
				  draft->esn == DRAFT_ESN_ON ? "on" : "off");
}

/* Both say something of extended sequence numbers: it must be the same. */
void moat_check_esn(struct draft *draft)
{
	static const char *const keys[] = { "esp", "ah" };

	if (!config_setting_get_member(draft->block, "esn") ||
	    draft->esn == DRAFT_ESN_AUTO)
		return;
	for (unsigned int i = 0; i < 2; i++) {
		config_setting_t *setting =
			config_setting_get_member(draft->block, keys[i]);

		if (!setting)
			continue;
		contradict(draft, setting);
		for (int j = 0; j < config_setting_length(setting); j++)
			contradict(draft, config_setting_get_elem(setting, j));
	}
}

void moat_apply_esn(struct draft *draft, struct moat_sa_algs *list)
{
	struct moat_sa_algs old = *list;

	if (!draft->esn)
		return;
	list->count = 0;
	for (unsigned int i = 0; i < old.count; i++) {
		struct moat_sa_alg alg = old.alg[i];
		bool both = draft->esn == DRAFT_ESN_AUTO && !alg.esn;

		if (list->count + both >= MOAT_ALGS_MAX) {
			moat_reader_wrong(draft->reader, draft->block,
					  "tunnel \"%s\": more than %d combinations with "
					  "esn in one list",
					  draft->tunnel->name, MOAT_ALGS_MAX);
			return;
		}
		alg.esn = true;
		list->alg[list->count++] = alg;
		if (both)
			list->alg[list->count++] = old.alg[i];
	}
}
