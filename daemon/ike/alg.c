// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tables of algorithms. Numbers: RFC 2409 appendix A, RFC 2407 §4.4 and §4.5,
 * RFC 3602, 3686, 4106, 4309, 4543, 4868 and IANA's isakmp-registry and
 * ipsec-registry.
 */
#include "ike/alg.h"

#include <stdarg.h>
#include <stdio.h>

#include "ike/algtable.h"
#include "wire/isakmp.h"

const struct moat_cipher_row moat_cipher_rows[] = {
	{ "aes128", MOAT_CIPHER_AES_CBC, 128, 7, 16, true, false },
	{ "aes192", MOAT_CIPHER_AES_CBC, 192, 7, 16, true, false },
	{ "aes256", MOAT_CIPHER_AES_CBC, 256, 7, 16, true, false },
	{ "3des", MOAT_CIPHER_3DES_CBC, 192, 5, 8, false, true },
	{ 0 },
};

const struct moat_hash_row moat_hash_rows[] = {
	{ "md5", MOAT_HASH_MD5, 1, 16, true },
	{ "sha1", MOAT_HASH_SHA1, 2, 20, false },
	{ "sha256", MOAT_HASH_SHA256, 4, 32, false },
	{ "sha384", MOAT_HASH_SHA384, 5, 48, false },
	{ "sha512", MOAT_HASH_SHA512, 6, 64, false },
	{ 0 },
};

const struct moat_group_row moat_group_rows[] = {
	{ "modp1024", MOAT_GROUP_MODP1024, 2, true },
	{ "modp1536", MOAT_GROUP_MODP1536, 5, true },
	{ "modp2048", MOAT_GROUP_MODP2048, 14, false },
	{ "modp3072", MOAT_GROUP_MODP3072, 15, false },
	{ "modp4096", MOAT_GROUP_MODP4096, 16, false },
	{ "modp6144", MOAT_GROUP_MODP6144, 17, false },
	{ "modp8192", MOAT_GROUP_MODP8192, 18, false },
	{ "ecp256", MOAT_GROUP_ECP256, 19, false },
	{ "ecp384", MOAT_GROUP_ECP384, 20, false },
	{ "ecp521", MOAT_GROUP_ECP521, 21, false },
	{ "curve25519", MOAT_GROUP_CURVE25519, 31, false },
	{ 0 },
};

/* AES comes in three key lengths and always sends which. */
#define AES(suffix, enc, icv, salt, number)                                    \
	{ "aes128" suffix, enc, 128, icv, salt, number, true, false },         \
		{ "aes192" suffix, enc, 192, icv, salt, number, true, false }, \
	{                                                                      \
		"aes256" suffix, enc, 256, icv, salt, number, true, false      \
	}

const struct moat_enc_row moat_enc_rows[] = {
	AES("", MOAT_ENC_AES_CBC, 0, 0, 12),
	AES("ctr", MOAT_ENC_AES_CTR, 0, 4, 13),
	AES("ccm8", MOAT_ENC_AES_CCM, 8, 3, 14),
	AES("ccm12", MOAT_ENC_AES_CCM, 12, 3, 15),
	AES("ccm16", MOAT_ENC_AES_CCM, 16, 3, 16),
	AES("gcm8", MOAT_ENC_AES_GCM, 8, 4, 18),
	AES("gcm12", MOAT_ENC_AES_GCM, 12, 4, 19),
	AES("gcm16", MOAT_ENC_AES_GCM, 16, 4, 20),
	AES("gmac", MOAT_ENC_AES_GMAC, 16, 4, 23),
	{ "null", MOAT_ENC_NULL, 0, 0, 0, 11, false, false },
	{ "3des", MOAT_ENC_3DES_CBC, 192, 0, 0, 3, false, true },
	/* RFC 7634 §6 gives it a number in IKEv2 only. */
	{ "chacha20poly1305", MOAT_ENC_CHACHA20_POLY1305, 256, 16, 4, 0, false, false },
	{ 0 },
};

const struct moat_integ_row moat_integ_rows[] = {
	{ "md5", MOAT_AUTH_HMAC_MD5, 0, 12, 16, 1, 2, true },
	{ "sha1", MOAT_AUTH_HMAC_SHA1, 0, 12, 20, 2, 3, false },
	{ "sha256", MOAT_AUTH_HMAC_SHA256, 0, 16, 32, 5, 5, false },
	/* Same number: for peers that cut HMAC-SHA-256 to 96 bits (a draft did). */
	{ "sha256_96", MOAT_AUTH_HMAC_SHA256, 0, 12, 32, 5, 5, false },
	{ "sha384", MOAT_AUTH_HMAC_SHA384, 0, 24, 48, 6, 6, false },
	{ "sha512", MOAT_AUTH_HMAC_SHA512, 0, 32, 64, 7, 7, false },
	{ "aesxcbc", MOAT_AUTH_AES_XCBC, 0, 12, 16, 9, 9, false },
	/* RFC 4494 §8 gives it a number in IKEv2 only. */
	{ "aescmac", MOAT_AUTH_AES_CMAC, 0, 12, 16, 0, 0, false },
	/* AH only (RFC 4543 §9); in ESP it stands among the ciphers. */
	{ "aes128gmac", MOAT_AUTH_AES_GMAC, 128, 16, 20, 11, 11, false },
	{ "aes192gmac", MOAT_AUTH_AES_GMAC, 192, 16, 28, 12, 12, false },
	{ "aes256gmac", MOAT_AUTH_AES_GMAC, 256, 16, 36, 13, 13, false },
	{ 0 },
};

const struct moat_cipher_row *moat_cipher_row(enum moat_cipher cipher, uint16_t key_bits)
{
	for (const struct moat_cipher_row *r = moat_cipher_rows; r->name; r++)
		if (r->cipher == cipher && r->key_bits == key_bits)
			return r;
	return NULL;
}

const struct moat_hash_row *moat_hash_row(enum moat_hash hash)
{
	for (const struct moat_hash_row *r = moat_hash_rows; r->name; r++)
		if (r->hash == hash)
			return r;
	return NULL;
}

const struct moat_group_row *moat_group_row(enum moat_group group)
{
	for (const struct moat_group_row *r = moat_group_rows; r->name; r++)
		if (r->group == group)
			return r;
	return NULL;
}

const struct moat_enc_row *moat_enc_row(const struct moat_sa_alg *alg)
{
	for (const struct moat_enc_row *r = moat_enc_rows; r->name; r++)
		if (r->enc == alg->enc && r->key_bits == alg->key_bits &&
		    (r->icv == 0 || r->icv == alg->icv_len))
			return r;
	return NULL;
}

const struct moat_integ_row *moat_integ_row(const struct moat_sa_alg *alg)
{
	for (const struct moat_integ_row *r = moat_integ_rows; r->name; r++)
		if (r->auth == alg->auth && r->icv == alg->icv_len &&
		    (r->key_bits == 0 || r->key_bits == alg->key_bits))
			return r;
	return NULL;
}

struct moat_key_layout moat_sa_alg_keys(const struct moat_sa_alg *alg)
{
	const struct moat_enc_row *enc = moat_enc_row(alg);
	const struct moat_integ_row *integ = moat_integ_row(alg);
	struct moat_key_layout layout = { 0, 0 };

	if (enc)
		layout.enc_len = (uint16_t)(enc->key_bits / 8 + enc->salt);
	if (integ)
		layout.auth_len = integ->key_len;
	return layout;
}

size_t moat_cipher_block(enum moat_cipher cipher)
{
	for (const struct moat_cipher_row *r = moat_cipher_rows; r->name; r++)
		if (r->cipher == cipher)
			return r->block;
	return 0;
}

size_t moat_hash_len(enum moat_hash hash)
{
	const struct moat_hash_row *r = moat_hash_row(hash);

	return r ? r->len : 0;
}

const char *moat_cipher_name(enum moat_cipher cipher, uint16_t key_bits)
{
	const struct moat_cipher_row *r = moat_cipher_row(cipher, key_bits);

	return r ? r->name : "none";
}

const char *moat_hash_name(enum moat_hash hash)
{
	const struct moat_hash_row *r = moat_hash_row(hash);

	return r ? r->name : "none";
}

const char *moat_group_name(enum moat_group group)
{
	const struct moat_group_row *r = moat_group_row(group);

	return r ? r->name : "none";
}

uint16_t moat_group_number(enum moat_group group)
{
	const struct moat_group_row *r = moat_group_row(group);

	return r ? r->number : 0;
}

enum moat_group moat_group_from_number(uint64_t number)
{
	for (const struct moat_group_row *r = moat_group_rows; r->name; r++)
		if (r->number == number)
			return r->group;
	return MOAT_GROUP_NONE;
}

void moat_text_add(struct moat_text *t, const char *fmt, ...)
{
	va_list args;
	int n;

	if (t->used >= t->size)
		return;
	va_start(args, fmt);
	n = vsnprintf(t->out + t->used, t->size - t->used, fmt, args);
	va_end(args);
	if (n > 0)
		t->used += (size_t)n;
}

void moat_ike_alg_print(const struct moat_ike_alg *alg, char *out, size_t size)
{
	snprintf(out, size, "%s-%s-%s", moat_cipher_name(alg->cipher, alg->key_bits),
		 moat_hash_name(alg->hash), moat_group_name(alg->group));
}

void moat_sa_alg_print(const struct moat_sa_alg *alg, char *out, size_t size)
{
	const struct moat_enc_row *enc = moat_enc_row(alg);
	const struct moat_integ_row *integ = moat_integ_row(alg);
	struct moat_text t = { out, size, 0 };

	if (enc)
		moat_text_add(&t, "%s", enc->name);
	if (integ)
		moat_text_add(&t, "%s%s", enc ? "-" : "", integ->name);
	if (alg->group != MOAT_GROUP_NONE)
		moat_text_add(&t, "-%s", moat_group_name(alg->group));
	if (alg->esn)
		moat_text_add(&t, "-esn");
}

bool moat_ike_alg_same(const struct moat_ike_alg *a, const struct moat_ike_alg *b)
{
	return a->cipher == b->cipher && a->key_bits == b->key_bits &&
	       a->hash == b->hash && a->group == b->group;
}

bool moat_ike_algs_have(const struct moat_ike_algs *list, const struct moat_ike_alg *alg)
{
	for (unsigned int i = 0; i < list->count; i++) {
		if (moat_ike_alg_same(&list->alg[i], alg))
			return true;
	}
	return false;
}

static void add_weak(struct moat_text *t, bool weak, const char *name)
{
	if (weak)
		moat_text_add(t, "%s%s", t->used ? ", " : "", name);
}

bool moat_ike_alg_weak(const struct moat_ike_alg *alg, char out[MOAT_WEAK_STRLEN])
{
	const struct moat_cipher_row *c = moat_cipher_row(alg->cipher, alg->key_bits);
	const struct moat_hash_row *h = moat_hash_row(alg->hash);
	const struct moat_group_row *g = moat_group_row(alg->group);
	struct moat_text t = { out, MOAT_WEAK_STRLEN, 0 };

	add_weak(&t, c && c->weak, c ? c->name : "");
	add_weak(&t, h && h->weak, h ? h->name : "");
	add_weak(&t, g && g->weak, g ? g->name : "");
	return t.used > 0;
}

bool moat_sa_alg_weak(const struct moat_sa_alg *alg, char out[MOAT_WEAK_STRLEN])
{
	const struct moat_enc_row *enc = moat_enc_row(alg);
	const struct moat_integ_row *integ = moat_integ_row(alg);
	const struct moat_group_row *g = moat_group_row(alg->group);
	struct moat_text t = { out, MOAT_WEAK_STRLEN, 0 };

	add_weak(&t, enc && enc->weak, enc ? enc->name : "");
	add_weak(&t, integ && integ->weak, integ ? integ->name : "");
	add_weak(&t, g && g->weak, g ? g->name : "");
	return t.used > 0;
}

bool moat_sa_alg_negotiable(const struct moat_sa_alg *alg)
{
	const struct moat_enc_row *enc = moat_enc_row(alg);
	const struct moat_integ_row *integ = moat_integ_row(alg);

	if (alg->protocol == MOAT_PROTO_AH)
		return integ && integ->ah;
	return enc && enc->number && (!integ || integ->number);
}
