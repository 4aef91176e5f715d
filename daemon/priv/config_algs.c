// SPDX-License-Identifier: GPL-2.0-or-later
/* What a tunnel offers and accepts: ike, esp, ah; the explicit word for weak ones. */
#include <stdlib.h>
#include <string.h>

#include "priv/config_draft.h"
#include "wire/isakmp.h"

static void add_ike(struct moat_reader *reader, config_setting_t *setting,
		    const char *text, void *arg)
{
	char why[256];

	if (moat_ike_algs_add(arg, text, why, sizeof(why)))
		moat_reader_wrong(reader, setting, "ike: %s", why);
}

void moat_read_ike(struct draft *draft, config_setting_t *setting)
{
	draft->tunnel->ike.count = 0;
	moat_value_strings(draft->reader, setting, add_ike, &draft->tunnel->ike);
}

static void add_esp(struct moat_reader *reader, config_setting_t *setting,
		    const char *text, void *arg)
{
	struct moat_sa_algs *list = arg;
	unsigned int old = list->count;
	char why[256];

	if (moat_sa_algs_add(list, MOAT_PROTO_ESP, text, why, sizeof(why))) {
		moat_reader_wrong(reader, setting, "esp: %s", why);
		return;
	}
	for (unsigned int i = old; i < list->count; i++) {
		if (!moat_sa_alg_negotiable(&list->alg[i])) {
			moat_reader_wrong(reader, setting,
					  "esp: \"%s\" has no number in IKEv1 and serves "
					  "manual SAs only",
					  text);
			break;
		}
	}
}

void moat_read_esp(struct draft *draft, config_setting_t *setting)
{
	draft->tunnel->esp.count = 0;
	moat_value_strings(draft->reader, setting, add_esp, &draft->tunnel->esp);
}

void moat_check_weak(struct draft *draft)
{
	const struct moat_tunnel_conf *tunnel = draft->tunnel;
	const char *weak = NULL;

	if (draft->weak)
		return;
	for (unsigned int i = 0; i < tunnel->ike.count && !weak; i++)
		weak = moat_ike_alg_weak(&tunnel->ike.alg[i]);
	for (unsigned int i = 0; i < tunnel->esp.count && !weak; i++)
		weak = moat_sa_alg_weak(&tunnel->esp.alg[i]);
	if (weak)
		moat_reader_wrong(draft->reader, draft->block,
				  "tunnel \"%s\": %s is weak: choose another, or write "
				  "weak = true to take it nevertheless",
				  tunnel->name, weak);
}

/* A quick mode has one KE payload, so all that esp offers needs one group. */
void moat_check_groups(struct draft *draft)
{
	const struct moat_sa_algs *esp = &draft->tunnel->esp;

	for (unsigned int i = 1; i < esp->count; i++) {
		if (esp->alg[i].group != esp->alg[0].group &&
		    !(esp->alg[i].group && esp->alg[0].group)) {
			moat_reader_wrong(
				draft->reader, draft->block,
				"tunnel \"%s\": esp has entries with and without "
				"a group: PFS is either wanted or not",
				draft->tunnel->name);
			return;
		}
	}
}
