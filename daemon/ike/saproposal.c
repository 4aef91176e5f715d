// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Proposals of quick mode: ESP, AH, or both as a bundle (RFC 2407 §4.4, §4.5,
 * RFC 2408 §4.2, RFC 4304).
 */
#include <stdio.h>

#include "ike/mismatch.h"

/* SPIs below are reserved (RFC 4303 §2.1). */
#define SPI_MIN 256

/* RFC 2407 §4.5: what holds when no lifetime is given. */
#define LIFE_DEFAULT 28800

/* A transform as offered; 0 is "not given", numbers are the wire's. */
struct seen {
	uint8_t protocol;
	uint8_t id;
	uint64_t key_bits;
	uint64_t auth;
	uint64_t group;
	uint64_t encap;
	uint64_t esn;
	struct moat_life life;
	const char *bad;
};

enum {
	DIFF_CIPHER = 1,
	DIFF_AUTH = 2,
	DIFF_GROUP = 4,
	DIFF_MODE = 8,
	DIFF_ESN = 16,
	DIFF_BAD = 32
};

struct closest {
	unsigned int score;
	unsigned int diff;
	struct seen seen;
	const struct moat_sa_alg *ours;
	unsigned int offers;
	const char *structure;
};

/* Proposals with one number: what is taken or left together. */
struct set {
	uint8_t number;
	const struct moat_proposal *esp;
	const struct moat_proposal *ah;
	bool other;
};

static void keep_once(struct seen *s, uint64_t *slot, const struct moat_attr *attr)
{
	if (attr->value == 0)
		s->bad = "an attribute of value 0";
	else if (!moat_keep(slot, attr->value))
		s->bad = "two different values of one attribute";
}

static void read_attr(struct seen *s, const struct moat_attr *attr)
{
	const char *bad = NULL;

	switch (attr->type) {
	case MOAT_IPSEC_KEY_LENGTH:
		keep_once(s, &s->key_bits, attr);
		break;
	case MOAT_IPSEC_AUTH:
		keep_once(s, &s->auth, attr);
		break;
	case MOAT_IPSEC_GROUP:
		keep_once(s, &s->group, attr);
		break;
	case MOAT_IPSEC_ENCAP_MODE:
		keep_once(s, &s->encap, attr);
		break;
	case MOAT_IPSEC_ESN:
		keep_once(s, &s->esn, attr);
		break;
	case MOAT_IPSEC_LIFE_TYPE:
		bad = moat_life_type(&s->life, attr->value);
		break;
	case MOAT_IPSEC_LIFE_DURATION:
		bad = moat_life_duration(&s->life, attr->value);
		break;
	default:
		bad = "an attribute that is not supported";
	}
	if (bad)
		s->bad = bad;
}

static void read_transform(uint8_t protocol, const struct moat_transform *t,
			   struct seen *s)
{
	struct moat_view rest = t->attributes;
	struct moat_attr attr;

	memset(s, 0, sizeof(*s));
	s->protocol = protocol;
	s->id = t->id;
	while (moat_attr_next(&rest, &attr))
		read_attr(s, &attr);
	if (s->esn > 1)
		s->bad = "a value of the sequence number attribute that is not 1";
}

static uint16_t encap_wanted(const struct moat_sa_want *want)
{
	if (want->mode == MOAT_MODE_TRANSPORT)
		return want->udp ? MOAT_ENCAP_UDP_TRANSPORT : MOAT_ENCAP_TRANSPORT;
	return want->udp ? MOAT_ENCAP_UDP_TUNNEL : MOAT_ENCAP_TUNNEL;
}

static unsigned int compare_esp(const struct seen *s, const struct moat_sa_alg *alg)
{
	const struct moat_enc_row *enc = moat_enc_row(alg);
	const struct moat_integ_row *integ = moat_integ_row(alg);
	unsigned int diff = 0;

	if (!enc || s->id != enc->number || s->id == 0 ||
	    s->key_bits != (enc->sends_key_bits ? enc->key_bits : 0))
		diff |= DIFF_CIPHER;
	if (s->auth != (integ ? integ->number : 0))
		diff |= DIFF_AUTH;
	return diff;
}

static unsigned int compare_ah(const struct seen *s, const struct moat_sa_alg *alg)
{
	const struct moat_integ_row *integ = moat_integ_row(alg);

	/* GMAC's transform says its key length by itself, yet some send it. */
	if (!integ || integ->ah == 0 || s->id != integ->ah || s->auth != integ->number ||
	    (s->key_bits && s->key_bits != integ->key_bits))
		return DIFF_AUTH;
	return 0;
}

static unsigned int compare(const struct seen *s, const struct moat_sa_alg *alg,
			    const struct moat_sa_want *want)
{
	unsigned int diff = s->bad ? DIFF_BAD : 0;

	diff |= s->protocol == MOAT_PROTO_AH ? compare_ah(s, alg) : compare_esp(s, alg);
	if (s->group != moat_group_number(alg->group))
		diff |= DIFF_GROUP;
	/* Without the attribute the mode is up to the host (RFC 2407 §4.5). */
	if (s->encap != 0 && s->encap != encap_wanted(want))
		diff |= DIFF_MODE;
	if ((s->esn == 1) != alg->esn)
		diff |= DIFF_ESN;
	return diff;
}

/* Among equal counts another mode is further away than another algorithm. */
static unsigned int score(unsigned int diff)
{
	return 4 * (unsigned int)__builtin_popcount(diff) + (diff & DIFF_MODE ? 1 : 0) +
	       (diff & DIFF_BAD ? 2 : 0);
}

static void consider(struct closest *best, const struct seen *s,
		     const struct moat_sa_alg *alg, unsigned int diff)
{
	if (best->ours && best->score <= score(diff))
		return;
	best->score = score(diff);
	best->diff = diff;
	best->seen = *s;
	best->ours = alg;
}

/* Does proposal @p hold @alg? Remembers the closest transform otherwise. */
static bool find_in(const struct moat_sa_payload *sa, const struct moat_proposal *p,
		    const struct moat_sa_alg *alg, const struct moat_sa_want *want,
		    struct moat_sa_pick *pick, struct moat_life *life,
		    struct closest *best)
{
	for (unsigned int i = 0; i < p->count; i++) {
		const struct moat_transform *t = &sa->transforms[p->first + i];
		unsigned int diff;
		struct seen s;

		read_transform(p->protocol, t, &s);
		if (moat_get32(p->spi.data) < SPI_MIN)
			s.bad = "an SPI below 256";
		diff = compare(&s, alg, want);
		if (!diff) {
			pick->alg = *alg;
			pick->spi = moat_get32(p->spi.data);
			pick->transform = *t;
			*life = s.life;
			return true;
		}
		consider(best, &s, alg, diff);
	}
	return false;
}

/* Gather the proposals that share the number of proposal @first. */
static void gather(const struct moat_sa_payload *sa, unsigned int first, struct set *set)
{
	memset(set, 0, sizeof(*set));
	set->number = sa->proposals[first].number;
	for (unsigned int i = 0; i < sa->proposal_count; i++) {
		const struct moat_proposal *p = &sa->proposals[i];

		if (p->number != set->number)
			continue;
		if (p->protocol == MOAT_PROTO_ESP && !set->esp)
			set->esp = p;
		else if (p->protocol == MOAT_PROTO_AH && !set->ah)
			set->ah = p;
		else
			set->other = true;
	}
}

static const struct moat_sa_algs *usable(const struct moat_sa_algs *algs)
{
	return algs && algs->count ? algs : NULL;
}

static bool set_fits(const struct set *set, const struct moat_sa_want *want)
{
	return !set->other && !set->esp == !usable(want->esp) &&
	       !set->ah == !usable(want->ah);
}

/* A bundle's second half: an AH entry with the same group. */
static bool find_ah(const struct moat_sa_payload *sa, const struct set *set,
		    enum moat_group group, const struct moat_sa_want *want,
		    struct moat_sa_choice *choice, struct moat_life *life,
		    struct closest *best)
{
	for (unsigned int i = 0; i < want->ah->count; i++) {
		const struct moat_sa_alg *alg = &want->ah->alg[i];

		if (alg->group == group &&
		    find_in(sa, set->ah, alg, want, &choice->ah, life, best))
			return true;
	}
	return false;
}

static void take(const struct moat_sa_want *want, const struct set *set,
		 const struct moat_sa_alg *alg, struct moat_life life,
		 struct moat_sa_choice *choice)
{
	if (!life.seconds)
		life.seconds = LIFE_DEFAULT;
	choice->has_esp = set->esp != NULL;
	choice->has_ah = set->ah != NULL;
	choice->group = alg->group;
	choice->mode = want->mode;
	choice->proposal = set->number;
	choice->life_seconds = moat_life_seconds(want->life_seconds, life.seconds);
	choice->life_kilobytes = moat_life_shorter(want->life_kilobytes, life.kilobytes);
}

/* Try our entry @alg (of ESP, or of AH alone) on each set of the offer. */
static bool try_sets(const struct moat_sa_payload *sa, const struct moat_sa_alg *alg,
		     const struct moat_sa_want *want, struct moat_sa_choice *choice,
		     struct closest *best)
{
	for (unsigned int k = 0; k < sa->proposal_count; k++) {
		struct moat_life life = { 0 };
		struct moat_life ah_life = { 0 };
		struct set set;

		gather(sa, k, &set);
		if (!set_fits(&set, want))
			continue;
		if (!set.esp) {
			if (!find_in(sa, set.ah, alg, want, &choice->ah, &life, best))
				continue;
		} else {
			if (!find_in(sa, set.esp, alg, want, &choice->esp, &life, best))
				continue;
			if (set.ah &&
			    !find_ah(sa, &set, alg->group, want, choice, &ah_life, best))
				continue;
		}
		life.seconds = moat_life_shorter(life.seconds, ah_life.seconds);
		life.kilobytes = moat_life_shorter(life.kilobytes, ah_life.kilobytes);
		take(want, &set, alg, life, choice);
		return true;
	}
	return false;
}

static void seen_cipher_print(const struct seen *s, char *out, size_t size)
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

static void seen_auth_print(const struct seen *s, char *out, size_t size)
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

static void seen_group_print(const struct seen *s, char *out, size_t size)
{
	enum moat_group group = moat_group_from_number(s->group);

	if (group != MOAT_GROUP_NONE || !s->group)
		snprintf(out, size, "%s", moat_group_name(group));
	else
		snprintf(out, size, "group %llu", (unsigned long long)s->group);
}

/* Our structure for what was offered, if we have all of it. */
static bool seen_alg(const struct seen *s, struct moat_sa_alg *alg)
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

static void explain_pairs(struct moat_text *t, const struct closest *best,
			  const struct moat_sa_want *want)
{
	const struct moat_sa_alg *ours = best->ours;
	const struct seen *s = &best->seen;
	char word[48];

	if (best->diff & DIFF_CIPHER) {
		const struct moat_enc_row *enc = moat_enc_row(ours);

		seen_cipher_print(s, word, sizeof(word));
		moat_explain_pair(t, "encryption", word, enc ? enc->name : "none");
	}
	if (best->diff & DIFF_AUTH) {
		seen_auth_print(s, word, sizeof(word));
		moat_explain_pair(t, "integrity", word, ours_auth(ours));
	}
	if (best->diff & DIFF_GROUP) {
		seen_group_print(s, word, sizeof(word));
		moat_explain_pair(t, "PFS group", word, moat_group_name(ours->group));
	}
	if (best->diff & DIFF_MODE)
		moat_explain_pair(t, "mode", moat_encap_name((uint16_t)s->encap),
				  moat_encap_name(encap_wanted(want)));
	if (best->diff & DIFF_ESN)
		moat_explain_pair(t, "sequence numbers", s->esn ? "esn" : "noesn",
				  ours->esn ? "esn" : "noesn");
	if (best->diff & DIFF_BAD)
		moat_text_add(t, "; the offer has %s", s->bad);
}

/* The line of the configuration that would accept the closest offer. */
static void explain_remedy(struct moat_text *t, const struct closest *best,
			   const struct moat_sa_want *want)
{
	const struct seen *s = &best->seen;
	struct moat_sa_alg alg;
	char word[64];
	const char *weak;

	if (best->diff & DIFF_BAD)
		return;
	if (best->diff & ~(unsigned int)DIFF_MODE) {
		if (!seen_alg(s, &alg)) {
			moat_text_add(t, "; Moat does not have all of that: change the "
					 "peer's proposal");
			return;
		}
		moat_sa_alg_print(&alg, word, sizeof(word));
		weak = moat_sa_alg_weak(&alg);
		moat_text_add(t, "; to accept: add \"%s\" to %s%s%s%s", word,
			      s->protocol == MOAT_PROTO_AH ? "ah" : "esp",
			      weak ? " and set weak = true (" : "", weak ? weak : "",
			      weak ? ")" : "");
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

static int explain(const struct closest *best, const struct moat_sa_want *want,
		   const struct moat_sa_payload *sa, enum moat_sa_role role,
		   struct moat_mismatch *why)
{
	struct moat_text t = { why->text, sizeof(why->text), 0 };

	if (best->structure) {
		moat_text_add(&t, "%s", best->structure);
		return -1;
	}
	if (!best->ours && sa->proposal_count) {
		struct set set;

		gather(sa, 0, &set);
		moat_text_add(&t, "no proposal fits; protocol: offered %s%s, we have %s",
			      protocols(set.esp, set.ah),
			      set.other ? " with something else" : "",
			      protocols(usable(want->esp), usable(want->ah)));
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
	explain_pairs(&t, best, want);
	if (role == MOAT_SA_OFFER)
		explain_remedy(&t, best, want);
	return -1;
}

enum moat_group moat_sa_want_group(const struct moat_sa_want *want)
{
	if (usable(want->esp))
		return want->esp->alg[0].group;
	return usable(want->ah) ? want->ah->alg[0].group : MOAT_GROUP_NONE;
}

/* Is this entry of ours part of an offer? */
static bool offered(const struct moat_sa_alg *alg, const struct moat_sa_want *want)
{
	return alg->group == moat_sa_want_group(want) && moat_sa_alg_negotiable(alg);
}

/* An answer is one transform for each protocol, under one number. */
static const char *answer_structure(const struct moat_sa_payload *sa)
{
	for (unsigned int i = 0; i < sa->proposal_count; i++) {
		if (sa->proposals[i].number != sa->proposals[0].number)
			return "the answer holds more than one proposal";
		if (sa->proposals[i].count != 1)
			return "the answer holds more than one transform of a proposal";
	}
	return NULL;
}

int moat_sa_choose(const struct moat_sa_want *want, const struct moat_sa_payload *sa,
		   enum moat_sa_role role, struct moat_sa_choice *choice,
		   struct moat_mismatch *why)
{
	const struct moat_sa_algs *algs =
		usable(want->esp) ? want->esp : usable(want->ah);
	struct closest best = { .offers = sa->transform_count };

	memset(choice, 0, sizeof(*choice));
	if (role == MOAT_SA_ANSWER)
		best.structure = answer_structure(sa);
	for (unsigned int i = 0; algs && !best.structure && i < algs->count; i++) {
		if (role == MOAT_SA_ANSWER && !offered(&algs->alg[i], want))
			continue;
		if (try_sets(sa, &algs->alg[i], want, choice, &best))
			return 0;
	}
	return explain(&best, want, sa, role, why);
}

static void transform_build(struct moat_build *b, uint8_t number,
			    const struct moat_sa_alg *alg,
			    const struct moat_sa_want *want)
{
	const struct moat_enc_row *enc = moat_enc_row(alg);
	const struct moat_integ_row *integ = moat_integ_row(alg);

	moat_build_transform(b, number, enc ? enc->number : integ ? integ->ah : 0);
	moat_build_attr(b, MOAT_IPSEC_ENCAP_MODE, encap_wanted(want));
	if (enc && enc->sends_key_bits)
		moat_build_attr(b, MOAT_IPSEC_KEY_LENGTH, enc->key_bits);
	if (integ)
		moat_build_attr(b, MOAT_IPSEC_AUTH, integ->number);
	if (alg->group != MOAT_GROUP_NONE)
		moat_build_attr(b, MOAT_IPSEC_GROUP, moat_group_number(alg->group));
	if (alg->esn)
		moat_build_attr(b, MOAT_IPSEC_ESN, 1);
	moat_build_attr(b, MOAT_IPSEC_LIFE_TYPE, MOAT_LIFE_SECONDS);
	moat_build_attr(b, MOAT_IPSEC_LIFE_DURATION, want->life_seconds);
	if (want->life_kilobytes) {
		uint64_t kb = want->life_kilobytes;

		moat_build_attr(b, MOAT_IPSEC_LIFE_TYPE, MOAT_LIFE_KILOBYTES);
		moat_build_attr(b, MOAT_IPSEC_LIFE_DURATION,
				kb > UINT32_MAX ? UINT32_MAX : (uint32_t)kb);
	}
	moat_build_close(b);
}

static void proposal_build(struct moat_build *b, const struct moat_sa_algs *algs,
			   const struct moat_sa_want *want, uint8_t protocol,
			   uint32_t spi)
{
	uint8_t octets[4];
	uint8_t count = 0;
	uint8_t number = 0;

	for (unsigned int i = 0; i < algs->count; i++)
		count += offered(&algs->alg[i], want);
	/* A proposal without a transform is none: a mistake of the caller. */
	if (count == 0)
		b->broken = true;
	moat_set32(octets, spi);
	moat_build_proposal(b, 1, protocol, moat_view(octets, sizeof(octets)), count);
	for (unsigned int i = 0; i < algs->count; i++)
		if (offered(&algs->alg[i], want))
			transform_build(b, ++number, &algs->alg[i], want);
	moat_build_close(b);
}

void moat_sa_offer_build(struct moat_build *b, const struct moat_sa_want *want,
			 uint32_t esp_spi, uint32_t ah_spi)
{
	moat_build_sa(b);
	if (usable(want->ah))
		proposal_build(b, want->ah, want, MOAT_PROTO_AH, ah_spi);
	if (usable(want->esp))
		proposal_build(b, want->esp, want, MOAT_PROTO_ESP, esp_spi);
	moat_build_close(b);
}

static void pick_build(struct moat_build *b, const struct moat_sa_pick *pick,
		       uint8_t number, uint8_t protocol, uint32_t spi)
{
	uint8_t octets[4];

	moat_set32(octets, spi);
	moat_build_proposal(b, number, protocol, moat_view(octets, sizeof(octets)), 1);
	moat_build_transform(b, pick->transform.number, pick->transform.id);
	moat_build_octets(b, pick->transform.attributes);
	moat_build_close(b);
	moat_build_close(b);
}

void moat_sa_answer_build(struct moat_build *b, const struct moat_sa_choice *choice,
			  uint32_t esp_spi, uint32_t ah_spi)
{
	moat_build_sa(b);
	if (choice->has_ah)
		pick_build(b, &choice->ah, choice->proposal, MOAT_PROTO_AH, ah_spi);
	if (choice->has_esp)
		pick_build(b, &choice->esp, choice->proposal, MOAT_PROTO_ESP, esp_spi);
	moat_build_close(b);
}

static void algs_print(struct moat_text *t, const char *what,
		       const struct moat_sa_algs *algs, const struct moat_sa_want *want)
{
	const char *between = "";
	char word[64];

	moat_text_add(t, "%s ", what);
	for (unsigned int i = 0; i < algs->count; i++)
		if (offered(&algs->alg[i], want)) {
			moat_sa_alg_print(&algs->alg[i], word, sizeof(word));
			moat_text_add(t, "%s%s", between, word);
			between = ", ";
		}
}

void moat_sa_want_print(const struct moat_sa_want *want, struct moat_mismatch *out)
{
	struct moat_text t = { out->text, sizeof(out->text), 0 };

	moat_text_add(&t, "we offered mode %s", moat_encap_name(encap_wanted(want)));
	if (usable(want->esp))
		algs_print(&t, ", esp", want->esp, want);
	if (usable(want->ah))
		algs_print(&t, ", ah", want->ah, want);
}
