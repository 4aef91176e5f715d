// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Why no proposal of quick mode fits, attribute by attribute, and what would
 * make the closest one fit.
 */
#include <stdio.h>

#include "ike/saexplain.h"

static void seen_cipher_print(const struct moat_sa_seen *s, char *out, size_t size)
{
	/* Transform identifiers of IANA's isakmp-registry without a row of ours. */
	static const struct {
		uint8_t id;
		const char *name;
	} others[] = { { 2, "des" },	 { 4, "rc5" },	    { 5, "idea" },
		       { 6, "cast128" }, { 7, "blowfish" }, { 12, "aes" },
		       { 13, "aesctr" }, { 21, "seed" },    { 22, "camellia" } };
	struct moat_text t = { out, size, 0 };

	for (const struct moat_enc_row *r = moat_enc_rows; r->name; r++)
		if (r->number == s->id &&
		    s->key_bits == (r->sends_key_bits ? r->key_bits : 0)) {
			moat_text_add(&t, "%s", r->name);
			return;
		}
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (others[i].id == s->id) {
			moat_text_add(&t, "%s", others[i].name);
			break;
		}
	if (!t.used)
		moat_text_add(&t, "ESP transform %u", s->id);
	if (s->key_bits)
		moat_text_add(&t, " with %llu-bit keys", (unsigned long long)s->key_bits);
	else
		moat_text_add(&t, " without a key length");
}

static void seen_auth_print(const struct moat_sa_seen *s, char *out, size_t size)
{
	for (const struct moat_integ_row *r = moat_integ_rows; r->name; r++)
		if (r->number && r->number == s->auth) {
			snprintf(out, size, "%s", r->name);
			return;
		}
	if (s->auth)
		snprintf(out, size, "integrity %llu", (unsigned long long)s->auth);
	else
		snprintf(out, size, "none");
}

/* Our structure for what was offered, if we have all of it. */
static bool seen_alg(const struct moat_sa_seen *s, struct moat_sa_alg *alg)
{
	bool cipher = s->protocol == MOAT_PROTO_AH;
	bool auth = s->auth == 0;

	memset(alg, 0, sizeof(*alg));
	alg->protocol = s->protocol;
	alg->group = moat_group_from_number(s->group);
	alg->esn = s->esn == 1;
	for (const struct moat_enc_row *r = moat_enc_rows; !cipher && r->name; r++)
		if (r->number && r->number == s->id &&
		    s->key_bits == (r->sends_key_bits ? r->key_bits : 0)) {
			alg->enc = r->enc;
			alg->key_bits = r->key_bits;
			alg->icv_len = r->icv;
			cipher = true;
		}
	for (const struct moat_integ_row *r = moat_integ_rows; !auth && r->name; r++)
		if (r->number && r->number == s->auth && !alg->icv_len) {
			alg->auth = r->auth;
			alg->icv_len = r->icv;
			if (r->key_bits)
				alg->key_bits = r->key_bits;
			auth = true;
		}
	return cipher && auth && alg->icv_len && (alg->group || !s->group);
}

static const char *ours_auth(const struct moat_sa_alg *alg)
{
	const struct moat_integ_row *integ = moat_integ_row(alg);

	return integ ? integ->name : "none";
}

static void explain_pairs(struct moat_mismatch *why, struct moat_text *t,
			  const struct moat_sa_closest *best,
			  const struct moat_sa_want *want)
{
	const struct moat_sa_alg *ours = best->ours;
	const struct moat_sa_seen *s = &best->seen;
	char word[48];

	if (best->diff & DIFF_CIPHER) {
		const struct moat_enc_row *enc = moat_enc_row(ours);

		seen_cipher_print(s, word, sizeof(word));
		moat_explain_pair(why, t, "encryption", word, enc ? enc->name : "none");
	}
	if (best->diff & DIFF_AUTH) {
		seen_auth_print(s, word, sizeof(word));
		moat_explain_pair(why, t, "integrity", word, ours_auth(ours));
	}
	if (best->diff & DIFF_GROUP) {
		moat_group_print(s->group, word, sizeof(word));
		moat_explain_pair(why, t, "PFS group", word,
				  moat_group_name(ours->group));
	}
	if (best->diff & DIFF_MODE)
		moat_explain_pair(why, t, "mode", moat_encap_name((uint16_t)s->encap),
				  moat_encap_name(moat_sa_encap(want)));
	if (best->diff & DIFF_ESN)
		moat_explain_pair(why, t, "sequence numbers", s->esn ? "esn" : "noesn",
				  ours->esn ? "esn" : "noesn");
	if (best->diff & DIFF_BAD)
		moat_text_add(t, "; the offer has %s", s->bad);
}

/* Where PFS differs one more entry would not do: all of a tunnel have it, or none. */
static void explain_entry(struct moat_text *t, const struct moat_sa_closest *best,
			  const char *word)
{
	const char *list = best->seen.protocol == MOAT_PROTO_AH ? "ah" : "esp";

	if (!best->seen.group != !best->ours->group)
		moat_text_add(t,
			      "; to accept: have \"%s\" in %s, and %s in its other "
			      "entries",
			      word, list, best->seen.group ? "a group" : "no group");
	else
		moat_text_add(t, "; to accept: add \"%s\" to %s", word, list);
	if (best->diff & DIFF_ESN)
		moat_text_add(t, ", or set esn = \"auto\" where it is %s",
			      best->seen.esn ? "\"off\"" : "\"on\"");
}

/* The line of the configuration that would accept the closest offer. */
static void explain_remedy(struct moat_mismatch *why, struct moat_text *t,
			   const struct moat_sa_closest *best,
			   const struct moat_sa_want *want)
{
	const struct moat_sa_seen *s = &best->seen;
	struct moat_sa_alg alg;
	char word[64], weak[MOAT_WEAK_STRLEN];

	if (best->diff & DIFF_BAD)
		return;
	why->key = s->protocol == MOAT_PROTO_AH ? MOAT_CONF_AH : MOAT_CONF_ESP;
	if (best->diff == DIFF_MODE)
		why->key = MOAT_CONF_MODE;
	if (best->diff & ~(unsigned int)DIFF_MODE) {
		if (!seen_alg(s, &alg)) {
			moat_text_add(t, "; Moat does not have all of that: change the "
					 "peer's proposal");
			return;
		}
		moat_sa_alg_print(&alg, word, sizeof(word));
		explain_entry(t, best, word);
		if (moat_sa_alg_weak(&alg, weak))
			moat_text_add(t, " and set weak = true (%s)", weak);
	}
	if (best->diff & DIFF_MODE &&
	    (s->encap == MOAT_ENCAP_TUNNEL || s->encap == MOAT_ENCAP_TRANSPORT) &&
	    !want->udp)
		moat_text_add(t, "; set mode = \"%s\"",
			      moat_encap_name((uint16_t)s->encap));
}

static const char *protocols(bool esp, bool ah)
{
	return esp && ah ? "AH over ESP" : esp ? "ESP" : ah ? "AH" : "nothing";
}

static bool has_ipcomp(const struct moat_sa_payload *sa)
{
	for (unsigned int i = 0; i < sa->proposal_count; i++) {
		if (sa->proposals[i].protocol == MOAT_PROTO_IPCOMP)
			return true;
	}
	return false;
}

int moat_sa_explain(const struct moat_sa_closest *best, const struct moat_sa_want *want,
		    const struct moat_sa_payload *sa, enum moat_sa_role role,
		    struct moat_mismatch *why)
{
	struct moat_text t = { why->text, sizeof(why->text), 0 };

	why->n_diff = 0;
	why->key = MOAT_CONF_NONE;
	if (best->structure) {
		moat_text_add(&t, "%s", best->structure);
		return -1;
	}
	if (!best->ours && sa->proposal_count) {
		struct moat_sa_set set;
		char offered[48];

		bool ipcomp = has_ipcomp(sa);

		moat_sa_gather(sa, 0, &set);
		moat_text_add(&t, "no proposal fits");
		snprintf(offered, sizeof(offered), "%s%s", protocols(set.esp, set.ah),
			 ipcomp	     ? " with IPCOMP"
			 : set.other ? " with something else"
				     : "");
		moat_explain_pair(why, &t, "protocol", offered,
				  protocols(moat_sa_usable(want->esp),
					    moat_sa_usable(want->ah)));
		if (ipcomp) {
			moat_text_add(&t, "; Moat has no IPCOMP: the peer must not "
					  "compress");
			return -1;
		}
		moat_text_add(&t, "; set esp and ah to what the peer has");
		why->key = set.esp ? MOAT_CONF_AH : MOAT_CONF_ESP;
		return -1;
	}
	if (!best->ours) {
		moat_text_add(&t, "nothing was offered");
		return -1;
	}
	if (role == MOAT_SA_ANSWER)
		moat_text_add(&t, "the answer is none of what was offered");
	else
		moat_text_add(&t, "no proposal fits; closest of %u offered",
			      best->offers);
	explain_pairs(why, &t, best, want);
	if (role == MOAT_SA_OFFER)
		explain_remedy(why, &t, best, want);
	return -1;
}
