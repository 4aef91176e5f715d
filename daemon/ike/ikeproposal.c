// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Proposals of phase 1 (RFC 2409 §5, appendix A).
 */
#include <stdio.h>

#include "ike/mismatch.h"

/* A transform as offered; 0 is "not given", numbers are the wire's. */
struct seen {
	uint64_t cipher;
	uint64_t key_bits;
	uint64_t hash;
	uint64_t group;
	uint64_t method;
	struct moat_life life;
	const char *bad;
};

enum { DIFF_CIPHER = 1, DIFF_HASH = 2, DIFF_GROUP = 4, DIFF_METHOD = 8, DIFF_BAD = 16 };

/* The pair of an offer and one of ours that differs least. */
struct closest {
	unsigned int score;
	unsigned int diff;
	struct seen seen;
	const struct moat_ike_alg *ours;
	unsigned int offers;
	const char *structure;
};

static void read_attr(struct seen *s, const struct moat_attr *attr)
{
	const char *bad = NULL;

	switch (attr->type) {
	case MOAT_IKE_ENCRYPTION:
		moat_keep_attr(&s->bad, &s->cipher, attr);
		break;
	case MOAT_IKE_KEY_LENGTH:
		moat_keep_attr(&s->bad, &s->key_bits, attr);
		break;
	case MOAT_IKE_HASH:
		moat_keep_attr(&s->bad, &s->hash, attr);
		break;
	case MOAT_IKE_GROUP:
		moat_keep_attr(&s->bad, &s->group, attr);
		break;
	case MOAT_IKE_AUTH_METHOD:
		moat_keep_attr(&s->bad, &s->method, attr);
		break;
	case MOAT_IKE_LIFE_TYPE:
		bad = moat_life_type(&s->life, attr->value);
		break;
	case MOAT_IKE_LIFE_DURATION:
		bad = moat_life_duration(&s->life, attr->value);
		break;
	default:
		bad = "an attribute that is not supported";
	}
	if (bad)
		s->bad = bad;
}

static void read_transform(const struct moat_transform *t, struct seen *s)
{
	struct moat_view rest = t->attributes;
	struct moat_attr attr;

	memset(s, 0, sizeof(*s));
	if (t->id != MOAT_KEY_IKE)
		s->bad = "a transform that is not KEY_IKE";
	while (moat_attr_next(&rest, &attr))
		read_attr(s, &attr);
}

static unsigned int compare(const struct seen *s, const struct moat_ike_alg *alg,
			    uint16_t method)
{
	const struct moat_cipher_row *c = moat_cipher_row(alg->cipher, alg->key_bits);
	const struct moat_hash_row *h = moat_hash_row(alg->hash);
	const struct moat_group_row *g = moat_group_row(alg->group);
	unsigned int diff = s->bad ? DIFF_BAD : 0;

	if (!c || s->cipher != c->number ||
	    s->key_bits != (c->sends_key_bits ? c->key_bits : 0))
		diff |= DIFF_CIPHER;
	if (!h || s->hash != h->number)
		diff |= DIFF_HASH;
	if (!g || s->group != g->number)
		diff |= DIFF_GROUP;
	if (s->method != method)
		diff |= DIFF_METHOD;
	return diff;
}

/*
 * Two offers that differ in as many attributes are told apart by how easily the
 * difference is mended: another algorithm before another authentication method.
 */
static unsigned int score(unsigned int diff)
{
	return 4 * (unsigned int)__builtin_popcount(diff) + (diff & DIFF_METHOD ? 1 : 0) +
	       (diff & DIFF_BAD ? 2 : 0);
}

static void consider(struct closest *best, const struct seen *s,
		     const struct moat_ike_alg *alg, unsigned int diff)
{
	if (best->ours && best->score <= score(diff))
		return;
	best->score = score(diff);
	best->diff = diff;
	best->seen = *s;
	best->ours = alg;
}

/* Does proposal @p hold @alg? Remembers the closest transform otherwise. */
static const struct moat_transform *find_in(const struct moat_sa_payload *sa,
					    const struct moat_proposal *p,
					    const struct moat_ike_alg *alg,
					    uint16_t method, struct seen *s,
					    struct closest *best)
{
	for (unsigned int i = 0; i < p->count; i++) {
		const struct moat_transform *t = &sa->transforms[p->first + i];
		unsigned int diff;

		read_transform(t, s);
		diff = compare(s, alg, method);
		if (!diff)
			return t;
		consider(best, s, alg, diff);
	}
	return NULL;
}

static void seen_cipher_print(const struct seen *s, char *out, size_t size)
{
	/* RFC 2409 appendix A; those that we have no row for. */
	static const char *const others[] = { NULL,   "des",  "idea", "blowfish", "rc5",
					      "3des", "cast", "aes",  "camellia" };
	const char *name =
		s->cipher < sizeof(others) / sizeof(others[0]) ? others[s->cipher] : NULL;
	struct moat_text t = { out, size, 0 };

	if (!s->cipher)
		moat_text_add(&t, "none");
	else if (name)
		moat_text_add(&t, "%s", name);
	else
		moat_text_add(&t, "encryption %llu", (unsigned long long)s->cipher);
	if (s->key_bits)
		moat_text_add(&t, "%llu", (unsigned long long)s->key_bits);
	else if (s->cipher == 7)
		moat_text_add(&t, " without a key length");
}

static void seen_hash_print(const struct seen *s, char *out, size_t size)
{
	for (const struct moat_hash_row *r = moat_hash_rows; r->name; r++)
		if (r->number == s->hash) {
			snprintf(out, size, "%s", r->name);
			return;
		}
	if (s->hash)
		snprintf(out, size, "hash %llu", (unsigned long long)s->hash);
	else
		snprintf(out, size, "none");
}

/* Our structure for what was offered, if we have all of it. */
static bool seen_alg(const struct seen *s, struct moat_ike_alg *alg)
{
	memset(alg, 0, sizeof(*alg));
	for (const struct moat_cipher_row *r = moat_cipher_rows; r->name; r++)
		if (r->number == s->cipher &&
		    s->key_bits == (r->sends_key_bits ? r->key_bits : 0)) {
			alg->cipher = r->cipher;
			alg->key_bits = r->key_bits;
		}
	for (const struct moat_hash_row *r = moat_hash_rows; r->name; r++)
		if (r->number == s->hash)
			alg->hash = r->hash;
	alg->group = moat_group_from_number(s->group);
	return alg->cipher && alg->hash && alg->group;
}

static void explain_pairs(struct moat_mismatch *why, struct moat_text *t,
			  const struct closest *best, uint16_t method)
{
	const struct moat_ike_alg *ours = best->ours;
	char word[48];

	if (best->diff & DIFF_CIPHER) {
		seen_cipher_print(&best->seen, word, sizeof(word));
		moat_explain_pair(why, t, "encryption", word,
				  moat_cipher_name(ours->cipher, ours->key_bits));
	}
	if (best->diff & DIFF_HASH) {
		seen_hash_print(&best->seen, word, sizeof(word));
		moat_explain_pair(why, t, "hash", word, moat_hash_name(ours->hash));
	}
	if (best->diff & DIFF_GROUP) {
		moat_group_print(best->seen.group, word, sizeof(word));
		moat_explain_pair(why, t, "group", word, moat_group_name(ours->group));
	}
	if (best->diff & DIFF_METHOD) {
		const char *name = moat_auth_method_name((uint16_t)best->seen.method);

		moat_explain_pair(why, t, "authentication", name,
				  moat_auth_method_name(method));
	}
	if (best->diff & DIFF_BAD)
		moat_text_add(t, "; the offer has %s", best->seen.bad);
}

bool moat_auth_supported(uint16_t method)
{
	return method == MOAT_METHOD_PSK || method == MOAT_METHOD_RSA_SIG ||
	       method == MOAT_METHOD_RSA_ENC || method == MOAT_METHOD_RSA_ENC_REVISED;
}

/* The line of the configuration that would accept the closest offer. */
static void explain_remedy(struct moat_mismatch *why, struct moat_text *t,
			   const struct closest *best)
{
	struct moat_ike_alg alg;
	char word[64], weak[MOAT_WEAK_STRLEN];

	if (best->diff & DIFF_BAD)
		return;
	why->key = best->diff == DIFF_METHOD ? MOAT_CONF_AUTH : MOAT_CONF_IKE;
	if (best->diff & ~(unsigned int)DIFF_METHOD) {
		if (!seen_alg(&best->seen, &alg)) {
			moat_text_add(t, "; Moat does not have all of that: change the "
					 "peer's proposal");
			return;
		}
		moat_ike_alg_print(&alg, word, sizeof(word));
		moat_text_add(t, "; to accept: add \"%s\" to ike", word);
		if (moat_ike_alg_weak(&alg, weak))
			moat_text_add(t, " and set weak = true (%s)", weak);
	}
	if (!(best->diff & DIFF_METHOD))
		return;
	if (best->seen.method <= UINT16_MAX &&
	    moat_auth_supported((uint16_t)best->seen.method))
		moat_text_add(t, "; set auth = \"%s\"",
			      moat_auth_method_name((uint16_t)best->seen.method));
	else
		moat_text_add(t, "; Moat does not have that authentication: change the "
				 "peer's");
}

static int explain(const struct closest *best, const struct moat_ike_want *want,
		   enum moat_sa_role role, struct moat_mismatch *why)
{
	struct moat_text t = { why->text, sizeof(why->text), 0 };

	why->n_diff = 0;
	why->key = MOAT_CONF_NONE;
	if (best->structure) {
		moat_text_add(&t, "%s", best->structure);
		return -1;
	}
	if (!best->ours) {
		moat_text_add(&t, "nothing was offered, or nothing is configured");
		return -1;
	}
	moat_text_add(&t,
		      role == MOAT_SA_ANSWER ? "the answer is none of what was offered"
					     : "no proposal fits; closest of %u offered",
		      best->offers);
	explain_pairs(why, &t, best, want->method);
	if (role == MOAT_SA_OFFER)
		explain_remedy(why, &t, best);
	return -1;
}

/*
 * A life in kilobytes (RFC 2409 appendix A) goes back as it was offered, and is the
 * peer's to count: we offer none, count none, and follow when the peer replaces or
 * deletes the ISAKMP SA, as it may at any time. Ours ends after its seconds, or after
 * MOAT_EXCHANGES_MAX exchanges, long before any cipher has protected too much.
 */
static void take(const struct moat_ike_want *want, const struct moat_ike_alg *alg,
		 const struct moat_proposal *p, const struct moat_transform *t,
		 const struct seen *s, struct moat_ike_choice *choice)
{
	choice->alg = *alg;
	choice->proposal = p->number;
	choice->transform = *t;
	choice->life_seconds = moat_life_seconds(want->life_seconds, s->life.seconds);
	choice->shortened = choice->life_seconds != s->life.seconds;
}

/*
 * In aggressive mode the public value comes with the offer: of what we have with other
 * groups none can be taken, but it says what is different.
 */
static void consider_unusable(const struct moat_ike_want *want,
			      const struct moat_sa_payload *sa, struct closest *best)
{
	struct seen s;

	for (unsigned int i = 0; i < want->algs->count; i++)
		for (unsigned int k = 0; k < sa->proposal_count; k++) {
			if (sa->proposals[k].protocol == MOAT_PROTO_ISAKMP &&
			    find_in(sa, &sa->proposals[k], &want->algs->alg[i],
				    want->method, &s, best))
				best->structure =
					"what fits has another group than the "
					"public value: the peer must offer that "
					"group first, or main mode";
		}
}

static bool usable(const struct moat_ike_want *want, const struct moat_ike_alg *alg)
{
	return want->group == MOAT_GROUP_NONE || want->group == alg->group;
}

int moat_ike_choose(const struct moat_ike_want *want, const struct moat_sa_payload *sa,
		    enum moat_sa_role role, struct moat_ike_choice *choice,
		    struct moat_mismatch *why)
{
	struct closest best = { .offers = sa->transform_count };
	struct seen s;

	if (role == MOAT_SA_ANSWER && sa->transform_count != 1) {
		best.structure = "the answer holds more than one transform";
		return explain(&best, want, role, why);
	}
	for (unsigned int i = 0; i < want->algs->count; i++)
		for (unsigned int k = 0; k < sa->proposal_count; k++) {
			const struct moat_proposal *p = &sa->proposals[k];
			const struct moat_ike_alg *alg = &want->algs->alg[i];
			const struct moat_transform *t;

			if (p->protocol != MOAT_PROTO_ISAKMP || !usable(want, alg))
				continue;
			t = find_in(sa, p, alg, want->method, &s, &best);
			if (t) {
				take(want, alg, p, t, &s, choice);
				return 0;
			}
		}
	if (!best.ours)
		consider_unusable(want, sa, &best);
	return explain(&best, want, role, why);
}

static void transform_build(struct moat_build *b, uint8_t number,
			    const struct moat_ike_alg *alg,
			    const struct moat_ike_want *want)
{
	const struct moat_cipher_row *c = moat_cipher_row(alg->cipher, alg->key_bits);
	const struct moat_hash_row *h = moat_hash_row(alg->hash);

	if (!c || !h) {
		b->broken = true;
		return;
	}
	moat_build_transform(b, number, MOAT_KEY_IKE);
	moat_build_attr(b, MOAT_IKE_ENCRYPTION, c->number);
	if (c->sends_key_bits)
		moat_build_attr(b, MOAT_IKE_KEY_LENGTH, c->key_bits);
	moat_build_attr(b, MOAT_IKE_HASH, h->number);
	moat_build_attr(b, MOAT_IKE_GROUP, moat_group_number(alg->group));
	moat_build_attr(b, MOAT_IKE_AUTH_METHOD, want->method);
	moat_build_attr(b, MOAT_IKE_LIFE_TYPE, MOAT_LIFE_SECONDS);
	moat_build_attr(b, MOAT_IKE_LIFE_DURATION, want->life_seconds);
	moat_build_close(b);
}

void moat_ike_offer_build(struct moat_build *b, const struct moat_ike_want *want)
{
	uint8_t count = 0;
	uint8_t number = 0;

	for (unsigned int i = 0; i < want->algs->count; i++)
		count += usable(want, &want->algs->alg[i]);
	moat_build_sa(b);
	moat_build_proposal(b, 1, MOAT_PROTO_ISAKMP, moat_view(NULL, 0), count);
	for (unsigned int i = 0; i < want->algs->count; i++)
		if (usable(want, &want->algs->alg[i]))
			transform_build(b, ++number, &want->algs->alg[i], want);
	moat_build_close(b);
	moat_build_close(b);
}

void moat_ike_answer_build(struct moat_build *b, const struct moat_ike_choice *choice)
{
	moat_build_sa(b);
	moat_build_proposal(b, choice->proposal, MOAT_PROTO_ISAKMP, moat_view(NULL, 0),
			    1);
	moat_build_transform(b, choice->transform.number, choice->transform.id);
	moat_build_octets(b, choice->transform.attributes);
	moat_build_close(b);
	moat_build_close(b);
	moat_build_close(b);
}

void moat_ike_want_print(const struct moat_ike_want *want, struct moat_mismatch *out)
{
	struct moat_text t = { out->text, sizeof(out->text), 0 };
	const char *between = "";
	char word[64];

	moat_text_add(&t, "we offered authentication %s and ike ",
		      moat_auth_method_name(want->method));
	for (unsigned int i = 0; i < want->algs->count; i++) {
		if (!usable(want, &want->algs->alg[i]))
			continue;
		moat_ike_alg_print(&want->algs->alg[i], word, sizeof(word));
		moat_text_add(&t, "%s%s", between, word);
		between = ", ";
	}
}
