// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Proposals of quick mode: ESP, AH, or both as a bundle (RFC 2407 §4.4, §4.5,
 * RFC 2408 §4.2, RFC 4304).
 */
#include "ike/saexplain.h"

/* SPIs below are reserved (RFC 4303 §2.1). */
#define SPI_MIN 256

/* RFC 2407 §4.5: what holds when no lifetime is given. */
#define LIFE_DEFAULT 28800

static void read_attr(struct moat_sa_seen *s, const struct moat_attr *attr)
{
	const char *bad = NULL;

	switch (attr->type) {
	case MOAT_IPSEC_KEY_LENGTH:
		moat_keep_attr(&s->bad, &s->key_bits, attr);
		break;
	case MOAT_IPSEC_AUTH:
		moat_keep_attr(&s->bad, &s->auth, attr);
		break;
	case MOAT_IPSEC_GROUP:
		moat_keep_attr(&s->bad, &s->group, attr);
		break;
	case MOAT_IPSEC_ENCAP_MODE:
		moat_keep_attr(&s->bad, &s->encap, attr);
		break;
	case MOAT_IPSEC_ESN:
		moat_keep_attr(&s->bad, &s->esn, attr);
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
			   struct moat_sa_seen *s)
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

uint16_t moat_sa_encap(const struct moat_sa_want *want)
{
	bool transport = want->mode == MOAT_MODE_TRANSPORT;

	if (want->udp && want->draft)
		return transport ? MOAT_ENCAP_UDP_TRANSPORT_DRAFT
				 : MOAT_ENCAP_UDP_TUNNEL_DRAFT;
	if (want->udp)
		return transport ? MOAT_ENCAP_UDP_TRANSPORT : MOAT_ENCAP_UDP_TUNNEL;
	return transport ? MOAT_ENCAP_TRANSPORT : MOAT_ENCAP_TUNNEL;
}

static unsigned int compare_esp(const struct moat_sa_seen *s,
				const struct moat_sa_alg *alg)
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

static unsigned int compare_ah(const struct moat_sa_seen *s,
			       const struct moat_sa_alg *alg)
{
	const struct moat_integ_row *integ = moat_integ_row(alg);

	/* GMAC's transform says its key length by itself, yet some send it. */
	if (!integ || integ->ah == 0 || s->id != integ->ah || s->auth != integ->number ||
	    (s->key_bits && s->key_bits != integ->key_bits))
		return DIFF_AUTH;
	return 0;
}

static unsigned int compare(const struct moat_sa_seen *s, const struct moat_sa_alg *alg,
			    const struct moat_sa_want *want)
{
	unsigned int diff = s->bad ? DIFF_BAD : 0;

	diff |= s->protocol == MOAT_PROTO_AH ? compare_ah(s, alg) : compare_esp(s, alg);
	if (s->group != moat_group_number(alg->group))
		diff |= DIFF_GROUP;
	/* Without the attribute the mode is up to the host (RFC 2407 §4.5). */
	if (s->encap != 0 && s->encap != moat_sa_encap(want))
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

static void consider(struct moat_sa_closest *best, const struct moat_sa_seen *s,
		     const struct moat_sa_alg *alg, unsigned int diff)
{
	if (best->half || (best->ours && best->score <= score(diff)))
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
		    struct moat_sa_closest *best)
{
	for (unsigned int i = 0; i < p->count; i++) {
		const struct moat_transform *t = &sa->transforms[p->first + i];
		unsigned int diff;
		struct moat_sa_seen s;

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

const struct moat_sa_algs *moat_sa_usable(const struct moat_sa_algs *algs)
{
	return algs && algs->count ? algs : NULL;
}

/* Gather the proposals that share the number of proposal @first. */
void moat_sa_gather(const struct moat_sa_payload *sa, unsigned int first,
		    struct moat_sa_set *set)
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

static bool set_fits(const struct moat_sa_set *set, const struct moat_sa_want *want)
{
	return !set->other && !set->esp == !moat_sa_usable(want->esp) &&
	       !set->ah == !moat_sa_usable(want->ah);
}

/* What differs in AH counts before what differs in ESP, for which another entry is. */
static void keep_half(struct moat_sa_closest *best, const struct moat_sa_closest *ah)
{
	if (!ah->ours || (best->half && best->score <= ah->score))
		return;
	best->half = true;
	best->score = ah->score;
	best->diff = ah->diff;
	best->seen = ah->seen;
	best->ours = ah->ours;
}

/* A bundle's second half: an AH entry with the same group. */
static bool find_ah(const struct moat_sa_payload *sa, const struct moat_sa_set *set,
		    enum moat_group group, const struct moat_sa_want *want,
		    struct moat_sa_choice *choice, struct moat_life *life,
		    struct moat_sa_closest *best)
{
	for (unsigned int i = 0; i < want->ah->count; i++) {
		const struct moat_sa_alg *alg = &want->ah->alg[i];

		if (alg->group == group &&
		    find_in(sa, set->ah, alg, want, &choice->ah, life, best))
			return true;
	}
	return false;
}

static void take(const struct moat_sa_want *want, const struct moat_sa_set *set,
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
	choice->shortened = choice->life_seconds < life.seconds ||
			    choice->life_kilobytes != life.kilobytes;
}

void moat_sa_lifetime_build(struct moat_build *b, const struct moat_sa_choice *choice,
			    uint8_t protocol, uint32_t spi)
{
	uint64_t kb = choice->life_kilobytes;
	uint8_t octets[4];
	uint8_t data[24];
	size_t len = 12;

	moat_set32(octets, spi);
	/* Life type in two octets, duration in four. */
	moat_set16(data, 0x8000 | MOAT_IPSEC_LIFE_TYPE);
	moat_set16(data + 2, MOAT_LIFE_SECONDS);
	moat_set16(data + 4, MOAT_IPSEC_LIFE_DURATION);
	moat_set16(data + 6, 4);
	moat_set32(data + 8, choice->life_seconds);
	if (kb) {
		memcpy(data + 12, data, 12);
		moat_set16(data + 14, MOAT_LIFE_KILOBYTES);
		moat_set32(data + 20, kb > UINT32_MAX ? UINT32_MAX : (uint32_t)kb);
		len = 24;
	}
	moat_build_notify(b, protocol, MOAT_N_RESPONDER_LIFETIME,
			  moat_view(octets, sizeof(octets)), moat_view(data, len));
}

const char *moat_sa_lifetime_take(struct moat_view data, struct moat_sa_choice *choice)
{
	struct moat_life life = { 0 };
	const char *bad = NULL;
	struct moat_attr attr;

	while (!bad && moat_attr_next(&data, &attr)) {
		if (attr.type == MOAT_IPSEC_LIFE_TYPE)
			bad = moat_life_type(&life, attr.value);
		else if (attr.type == MOAT_IPSEC_LIFE_DURATION)
			bad = moat_life_duration(&life, attr.value);
	}
	if (bad)
		return bad;
	if (data.len)
		return "attributes that end in the middle";
	choice->life_seconds = moat_life_seconds(choice->life_seconds, life.seconds);
	choice->life_kilobytes =
		moat_life_shorter(choice->life_kilobytes, life.kilobytes);
	return NULL;
}

/* Try our entry @alg (of ESP, or of AH alone) on each set of the offer. */
static bool try_sets(const struct moat_sa_payload *sa, const struct moat_sa_alg *alg,
		     const struct moat_sa_want *want, struct moat_sa_choice *choice,
		     struct moat_sa_closest *best)
{
	for (unsigned int k = 0; k < sa->proposal_count; k++) {
		struct moat_life life = { 0 };
		struct moat_life ah_life = { 0 };
		struct moat_sa_closest half = { 0 };
		struct moat_sa_set set;

		moat_sa_gather(sa, k, &set);
		if (!set_fits(&set, want))
			continue;
		if (!set.esp) {
			if (!find_in(sa, set.ah, alg, want, &choice->ah, &life, best))
				continue;
		} else {
			if (!find_in(sa, set.esp, alg, want, &choice->esp, &life, best))
				continue;
			if (set.ah && !find_ah(sa, &set, alg->group, want, choice,
					       &ah_life, &half)) {
				keep_half(best, &half);
				continue;
			}
		}
		life.seconds = moat_life_shorter(life.seconds, ah_life.seconds);
		life.kilobytes = moat_life_shorter(life.kilobytes, ah_life.kilobytes);
		take(want, &set, alg, life, choice);
		return true;
	}
	return false;
}

enum moat_group moat_sa_want_group(const struct moat_sa_want *want)
{
	if (moat_sa_usable(want->esp))
		return want->esp->alg[0].group;
	return moat_sa_usable(want->ah) ? want->ah->alg[0].group : MOAT_GROUP_NONE;
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
		moat_sa_usable(want->esp) ? want->esp : moat_sa_usable(want->ah);
	struct moat_sa_closest best = { .offers = sa->transform_count };

	memset(choice, 0, sizeof(*choice));
	if (role == MOAT_SA_ANSWER)
		best.structure = answer_structure(sa);
	for (unsigned int i = 0; algs && !best.structure && i < algs->count; i++) {
		if (role == MOAT_SA_ANSWER && !offered(&algs->alg[i], want))
			continue;
		if (try_sets(sa, &algs->alg[i], want, choice, &best))
			return 0;
	}
	return moat_sa_explain(&best, want, sa, role, why);
}

static void transform_build(struct moat_build *b, uint8_t number,
			    const struct moat_sa_alg *alg,
			    const struct moat_sa_want *want)
{
	const struct moat_enc_row *enc = moat_enc_row(alg);
	const struct moat_integ_row *integ = moat_integ_row(alg);

	moat_build_transform(b, number, enc ? enc->number : integ ? integ->ah : 0);
	moat_build_attr(b, MOAT_IPSEC_ENCAP_MODE, moat_sa_encap(want));
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
	if (moat_sa_usable(want->ah))
		proposal_build(b, want->ah, want, MOAT_PROTO_AH, ah_spi);
	if (moat_sa_usable(want->esp))
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

	moat_text_add(&t, "we offered mode %s", moat_encap_name(moat_sa_encap(want)));
	if (moat_sa_usable(want->esp))
		algs_print(&t, ", esp", want->esp, want);
	if (moat_sa_usable(want->ah))
		algs_print(&t, ", ah", want->ah, want);
}
