// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Algorithm strings of the configuration: strongSwan's names, plus sha256_96,
 * dh14 for modp2048, esn and noesn. Words are joined by '-'; several of a kind
 * stand for each combination.
 */
#include <stdio.h>
#include <string.h>

#include "ike/algtable.h"
#include "wire/isakmp.h"

#define WORD_MAX 24
#define KIND_MAX 8 /* words of one kind in a string */

static const struct {
	const char *alias;
	const char *name;
} aliases[] = {
	{ "aes", "aes128" },
	{ "sha", "sha1" },
	{ "sha2_256", "sha256" },
	{ "sha2_256_96", "sha256_96" },
	{ "sha2_384", "sha384" },
	{ "sha2_512", "sha512" },
	{ "x25519", "curve25519" },
	{ "aes128gcm", "aes128gcm16" },
	{ "aes192gcm", "aes192gcm16" },
	{ "aes256gcm", "aes256gcm16" },
	{ "aes128gcm64", "aes128gcm8" },
	{ "aes192gcm64", "aes192gcm8" },
	{ "aes256gcm64", "aes256gcm8" },
	{ "aes128gcm96", "aes128gcm12" },
	{ "aes192gcm96", "aes192gcm12" },
	{ "aes256gcm96", "aes256gcm12" },
	{ "aes128gcm128", "aes128gcm16" },
	{ "aes192gcm128", "aes192gcm16" },
	{ "aes256gcm128", "aes256gcm16" },
	{ "aes128ccm", "aes128ccm16" },
	{ "aes192ccm", "aes192ccm16" },
	{ "aes256ccm", "aes256ccm16" },
	{ "aes128ccm64", "aes128ccm8" },
	{ "aes192ccm64", "aes192ccm8" },
	{ "aes256ccm64", "aes256ccm8" },
	{ "aes128ccm96", "aes128ccm12" },
	{ "aes192ccm96", "aes192ccm12" },
	{ "aes256ccm96", "aes256ccm12" },
	{ "aes128ccm128", "aes128ccm16" },
	{ "aes192ccm128", "aes192ccm16" },
	{ "aes256ccm128", "aes256ccm16" },
};

struct words {
	unsigned int enc_count;
	unsigned int auth_count;
	unsigned int group_count;
	const void *enc[KIND_MAX];  /* moat_cipher_row or moat_enc_row */
	const void *auth[KIND_MAX]; /* moat_hash_row or moat_integ_row */
	enum moat_group group[KIND_MAX];
	bool esn;
	bool noesn;
};

static const char *canonical(const char *word)
{
	for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++)
		if (strcmp(aliases[i].alias, word) == 0)
			return aliases[i].name;
	return word;
}

static const struct moat_group_row *group_from_word(const char *word)
{
	char dh[WORD_MAX];

	for (const struct moat_group_row *r = moat_group_rows; r->name; r++) {
		snprintf(dh, sizeof(dh), "dh%u", r->number);
		if (strcmp(r->name, word) == 0 || strcmp(dh, word) == 0)
			return r;
	}
	return NULL;
}

/* Cuts the next word off *s; false when it is empty or too long. */
static bool next_word(const char **s, char *word)
{
	size_t len = strcspn(*s, "-");

	if (len == 0 || len >= WORD_MAX)
		return false;
	memcpy(word, *s, len);
	word[len] = '\0';
	*s += len;
	if (**s == '-' && (*s)[1] != '\0')
		(*s)++;
	return true;
}

static int push(const void **slots, unsigned int *count, const void *row)
{
	if (*count == KIND_MAX)
		return -1;
	slots[(*count)++] = row;
	return 0;
}

static int push_group(struct words *w, const char *word)
{
	const struct moat_group_row *r = group_from_word(word);

	if (!r || w->group_count == KIND_MAX)
		return -1;
	w->group[w->group_count++] = r->group;
	return 0;
}

static int ike_word(struct words *w, const char *word)
{
	for (const struct moat_cipher_row *r = moat_cipher_rows; r->name; r++)
		if (strcmp(r->name, word) == 0)
			return push(w->enc, &w->enc_count, r);
	for (const struct moat_hash_row *r = moat_hash_rows; r->name; r++)
		if (strcmp(r->name, word) == 0)
			return push(w->auth, &w->auth_count, r);
	return push_group(w, word);
}

static int sa_word(struct words *w, uint8_t protocol, const char *word)
{
	if (strcmp(word, "esn") == 0) {
		w->esn = true;
		return 0;
	}
	if (strcmp(word, "noesn") == 0) {
		w->noesn = true;
		return 0;
	}
	if (protocol == MOAT_PROTO_ESP)
		for (const struct moat_enc_row *r = moat_enc_rows; r->name; r++)
			if (strcmp(r->name, word) == 0)
				return push(w->enc, &w->enc_count, r);
	for (const struct moat_integ_row *r = moat_integ_rows; r->name; r++)
		if (strcmp(r->name, word) == 0)
			return push(w->auth, &w->auth_count, r);
	return push_group(w, word);
}

/* protocol 0 is phase 1 */
static int read_words(const char *s, uint8_t protocol, struct words *w, char *err,
		      size_t size)
{
	const char *rest = s;
	char word[WORD_MAX];
	const char *name;
	int bad;

	memset(w, 0, sizeof(*w));
	do {
		if (!next_word(&rest, word)) {
			snprintf(err, size,
				 "\"%s\": a word is empty or too long at \"%s\"; words "
				 "are joined by '-'",
				 s, rest);
			return -1;
		}
		name = canonical(word);
		bad = protocol ? sa_word(w, protocol, name) : ike_word(w, name);
		if (bad) {
			snprintf(err, size,
				 "\"%s\": \"%s\" is no algorithm of %s, or stands more "
				 "than %d times",
				 s, word,
				 protocol == 0		     ? "ike"
				 : protocol == MOAT_PROTO_AH ? "ah"
							     : "esp",
				 KIND_MAX);
			return -1;
		}
	} while (*rest);
	return 0;
}

static int full(const char *s, char *err, size_t size)
{
	snprintf(err, size, "\"%s\": more than %d combinations in one list", s,
		 MOAT_ALGS_MAX);
	return MOAT_ALGS_FULL;
}

static int missing(const char *s, const char *what, const char *example, char *err,
		   size_t size)
{
	snprintf(err, size, "\"%s\": %s is missing, as in \"%s\"", s, what, example);
	return -1;
}

int moat_ike_algs_add(struct moat_ike_algs *list, const char *s, char *err, size_t size)
{
	const char *example = "aes256-sha256-modp2048";
	unsigned int count = list->count;
	struct words w;

	if (read_words(s, 0, &w, err, size) < 0)
		return -1;
	if (!w.enc_count)
		return missing(s, "an encryption algorithm", example, err, size);
	if (!w.auth_count)
		return missing(s, "a hash", example, err, size);
	if (!w.group_count)
		return missing(s, "a Diffie-Hellman group", example, err, size);
	if (count + w.enc_count * w.auth_count * w.group_count > MOAT_ALGS_MAX)
		return full(s, err, size);
	for (unsigned int e = 0; e < w.enc_count; e++)
		for (unsigned int a = 0; a < w.auth_count; a++)
			for (unsigned int g = 0; g < w.group_count; g++) {
				const struct moat_cipher_row *c = w.enc[e];
				const struct moat_hash_row *h = w.auth[a];

				list->alg[count++] = (struct moat_ike_alg){
					.cipher = c->cipher,
					.key_bits = c->key_bits,
					.hash = h->hash,
					.group = w.group[g],
				};
			}
	list->count = count;
	return 0;
}

/* One cipher with each integrity algorithm it takes, each group, each ESN. */
static int add_combinations(struct moat_sa_algs *list, uint8_t protocol,
			    const struct moat_enc_row *enc,
			    const struct moat_integ_row *integ, const struct words *w)
{
	unsigned int groups = w->group_count ? w->group_count : 1;

	for (unsigned int g = 0; g < groups; g++)
		for (int esn = 1; esn >= 0; esn--) {
			/* Neither word means 32-bit numbers, both mean either. */
			if (esn ? !w->esn : (w->esn && !w->noesn))
				continue;
			if (list->count == MOAT_ALGS_MAX)
				return -1;
			list->alg[list->count++] = (struct moat_sa_alg){
				.protocol = protocol,
				.enc = enc ? enc->enc : MOAT_ENC_NONE,
				.key_bits = enc	    ? enc->key_bits
					    : integ ? integ->key_bits
						    : 0,
				.auth = integ ? integ->auth : MOAT_AUTH_NONE,
				.icv_len = integ ? integ->icv
					   : enc ? enc->icv
						 : 0,
				.group = w->group_count ? w->group[g] : MOAT_GROUP_NONE,
				.esn = esn,
			};
		}
	return 0;
}

static int add_ah(struct moat_sa_algs *list, const char *s, const struct words *w,
		  char *err, size_t size)
{
	if (!w->auth_count)
		return missing(s, "an integrity algorithm", "sha256-modp2048", err, size);
	for (unsigned int a = 0; a < w->auth_count; a++)
		if (add_combinations(list, MOAT_PROTO_AH, NULL, w->auth[a], w) < 0)
			return full(s, err, size);
	return 0;
}

static int add_esp(struct moat_sa_algs *list, const char *s, const struct words *w,
		   char *err, size_t size)
{
	if (!w->enc_count)
		return missing(s, "an encryption algorithm", "aes128gcm16-modp2048", err,
			       size);
	for (unsigned int e = 0; e < w->enc_count; e++) {
		const struct moat_enc_row *enc = w->enc[e];

		if (enc->icv) {
			if (add_combinations(list, MOAT_PROTO_ESP, enc, NULL, w) < 0)
				return full(s, err, size);
			continue;
		}
		if (!w->auth_count) {
			snprintf(err, size,
				 "\"%s\": %s needs an integrity algorithm beside it, as "
				 "in \"%s-sha256\"",
				 s, enc->name, enc->name);
			return -1;
		}
		for (unsigned int a = 0; a < w->auth_count; a++)
			if (add_combinations(list, MOAT_PROTO_ESP, enc, w->auth[a], w) <
			    0)
				return full(s, err, size);
	}
	return 0;
}

/* An integrity algorithm that no cipher of the string takes is a mistake. */
static int check_unused(const char *s, const struct words *w, char *err, size_t size)
{
	const struct moat_integ_row *integ;
	const struct moat_enc_row *enc;

	if (!w->auth_count || !w->enc_count)
		return 0;
	for (unsigned int e = 0; e < w->enc_count; e++) {
		enc = w->enc[e];
		if (!enc->icv)
			return 0;
	}
	enc = w->enc[0];
	integ = w->auth[0];
	snprintf(err, size, "\"%s\": %s protects integrity itself and takes no %s", s,
		 enc->name, integ->name);
	return -1;
}

int moat_sa_algs_add(struct moat_sa_algs *list, uint8_t protocol, const char *s,
		     char *err, size_t size)
{
	unsigned int before = list->count;
	struct words w;
	int bad;

	if (read_words(s, protocol, &w, err, size) < 0 ||
	    check_unused(s, &w, err, size) < 0)
		return -1;
	if (protocol == MOAT_PROTO_AH)
		bad = add_ah(list, s, &w, err, size);
	else
		bad = add_esp(list, s, &w, err, size);
	if (bad)
		list->count = before;
	return bad;
}

void moat_ike_algs_default(struct moat_ike_algs *list)
{
	static const struct moat_ike_algs strong = {
		.count = 5,
		.alg = {
			{ MOAT_CIPHER_AES_CBC, 256, MOAT_HASH_SHA256, MOAT_GROUP_MODP2048 },
			{ MOAT_CIPHER_AES_CBC, 128, MOAT_HASH_SHA256, MOAT_GROUP_MODP2048 },
			{ MOAT_CIPHER_AES_CBC, 256, MOAT_HASH_SHA256, MOAT_GROUP_MODP3072 },
			{ MOAT_CIPHER_AES_CBC, 256, MOAT_HASH_SHA384, MOAT_GROUP_ECP384 },
			{ MOAT_CIPHER_AES_CBC, 128, MOAT_HASH_SHA256, MOAT_GROUP_ECP256 },
		},
	};

	*list = strong;
}

void moat_sa_algs_default(struct moat_sa_algs *list)
{
	/* One group in all: a quick mode has one KE payload. */
	static const struct moat_sa_algs strong = {
		.count = 4,
		.alg = {
			{ MOAT_PROTO_ESP, MOAT_ENC_AES_GCM, 128, MOAT_AUTH_NONE, 16,
			  MOAT_GROUP_MODP2048, false },
			{ MOAT_PROTO_ESP, MOAT_ENC_AES_GCM, 256, MOAT_AUTH_NONE, 16,
			  MOAT_GROUP_MODP2048, false },
			{ MOAT_PROTO_ESP, MOAT_ENC_AES_CBC, 128, MOAT_AUTH_HMAC_SHA256, 16,
			  MOAT_GROUP_MODP2048, false },
			{ MOAT_PROTO_ESP, MOAT_ENC_AES_CBC, 256, MOAT_AUTH_HMAC_SHA256, 16,
			  MOAT_GROUP_MODP2048, false },
		},
	};

	*list = strong;
}
