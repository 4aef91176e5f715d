// SPDX-License-Identifier: GPL-2.0
/* Algorithms: the one table, and the making of an SA's transform from it. */

#include <crypto/authenc.h>
#include <linux/in.h>
#include <linux/moat.h>
#include <linux/rtnetlink.h>
#include <linux/slab.h>

#include "alg.h"
#include "compat.h"

/* RFC 4106, 4309, 4543, 7634; 3602, 3686, 2451, 2410 */
static const struct moat_cipher moat_ciphers[] = {
	[MOAT_ENC_NULL] = {
		.name = "null", .kernel = "ecb(cipher_null)",
		.block = 4, .iv_kind = MOAT_IV_NONE,
	},
	[MOAT_ENC_AES_CBC] = {
		.name = "aes-cbc", .kernel = "cbc(aes)",
		.keys = { 16, 24, 32 }, .block = 16,
		.iv = 16, .iv_kind = MOAT_IV_RANDOM,
	},
	[MOAT_ENC_AES_CTR] = {
		.name = "aes-ctr", .kernel = "rfc3686(ctr(aes))",
		.keys = { 16, 24, 32 }, .salt = 4, .block = 4,
		.iv = 8, .iv_kind = MOAT_IV_COUNTER,
	},
	[MOAT_ENC_3DES_CBC] = {
		.name = "3des-cbc", .kernel = "cbc(des3_ede)",
		.keys = { 24 }, .block = 8,
		.iv = 8, .iv_kind = MOAT_IV_RANDOM,
	},
	[MOAT_ENC_AES_GCM] = {
		.name = "aes-gcm", .kernel = "rfc4106(gcm(aes))",
		.keys = { 16, 24, 32 }, .salt = 4, .block = 4,
		.iv = 8, .iv_kind = MOAT_IV_COUNTER,
		.combined = true, .icvs = { 16, 12, 8 },
	},
	[MOAT_ENC_AES_CCM] = {
		.name = "aes-ccm", .kernel = "rfc4309(ccm(aes))",
		.keys = { 16, 24, 32 }, .salt = 3, .block = 4,
		.iv = 8, .iv_kind = MOAT_IV_COUNTER,
		.combined = true, .icvs = { 16, 12, 8 },
	},
	[MOAT_ENC_AES_GMAC] = {
		.name = "aes-gmac", .kernel = "rfc4543(gcm(aes))",
		.keys = { 16, 24, 32 }, .salt = 4, .block = 4,
		.iv = 8, .iv_kind = MOAT_IV_COUNTER,
		.combined = true, .icvs = { 16 },
	},
	[MOAT_ENC_CHACHA20_POLY1305] = {
		.name = "chacha20-poly1305",
		.kernel = "rfc7539esp(chacha20,poly1305)",
		.keys = { 32 }, .salt = 4, .block = 4,
		.iv = 8, .iv_kind = MOAT_IV_COUNTER,
		.combined = true, .icvs = { 16 },
	},
};

/*
 * Of ESP and AH: RFC 2403, 2404, 4868, 3566, 4494; of AH alone: 4543. 12 bytes
 * of SHA-256 are for old peers.
 */
static const struct moat_integ moat_integs[] = {
	[MOAT_AUTH_HMAC_MD5] = {
		.name = "hmac-md5", .kernel = "hmac(md5)",
		.keys = { 16 }, .icvs = { 12 },
	},
	[MOAT_AUTH_HMAC_SHA1] = {
		.name = "hmac-sha1", .kernel = "hmac(sha1)",
		.keys = { 20 }, .icvs = { 12 },
	},
	[MOAT_AUTH_HMAC_SHA256] = {
		.name = "hmac-sha256", .kernel = "hmac(sha256)",
		.keys = { 32 }, .icvs = { 16, 12 },
	},
	[MOAT_AUTH_HMAC_SHA384] = {
		.name = "hmac-sha384", .kernel = "hmac(sha384)",
		.keys = { 48 }, .icvs = { 24 },
	},
	[MOAT_AUTH_HMAC_SHA512] = {
		.name = "hmac-sha512", .kernel = "hmac(sha512)",
		.keys = { 64 }, .icvs = { 32 },
	},
	[MOAT_AUTH_AES_XCBC] = {
		.name = "aes-xcbc", .kernel = "xcbc(aes)",
		.keys = { 16 }, .icvs = { 12 },
	},
	[MOAT_AUTH_AES_CMAC] = {
		.name = "aes-cmac", .kernel = "cmac(aes)",
		.keys = { 16 }, .icvs = { 12 },
	},
	[MOAT_AUTH_AES_GMAC] = {
		.name = "aes-gmac", .kernel = "rfc4543(gcm(aes))",
		.keys = { 16, 24, 32 }, .salt = 4, .iv = 8,
		.combined = true, .icvs = { 16 },
	},
};

/* "20, 28 or 36": the lengths of a list that 0 ends, each with @more added. */
static void moat_lengths(char *text, size_t size, const u8 *list, size_t n,
			 u8 more)
{
	size_t i, len = 0;

	text[0] = '\0';
	for (i = 0; i < n && list[i]; i++)
		len += scnprintf(text + len, size - len, "%s%u",
				 !i ? "" : i + 1 < n && list[i + 1] ? ", " :
				 " or ", list[i] + more);
}

static bool moat_length_listed(const u8 *list, size_t n, u8 more,
			       unsigned int len)
{
	size_t i;

	for (i = 0; i < n && list[i]; i++)
		if (list[i] + more == len)
			return true;
	return false;
}

/* Whether a key of @len bytes is one of @name, whose keys and salt these are. */
static int moat_check_key(const char *name, const u8 *keys, size_t n, u8 salt,
			  unsigned int len, struct netlink_ext_ack *extack)
{
	char want[24];

	if (moat_length_listed(keys, n, salt, len))
		return 0;
	moat_lengths(want, sizeof(want), keys, n, salt);
	NL_SET_ERR_MSG_FMT(extack, "%s wants a key of %s bytes%s, not %u", name,
			   want, salt ? " with its salt" : "", len);
	return -EINVAL;
}

static int moat_check_cipher(const struct moat_alg *alg,
			     const struct moat_alg_req *req,
			     struct netlink_ext_ack *extack)
{
	const struct moat_cipher *c = alg->cipher;

	if (!c) {
		if (!req->enc_key_len)
			return 0;
		NL_SET_ERR_MSG_FMT(extack, "AH takes no enc-key, but one of %u bytes is given",
				   req->enc_key_len);
		return -EINVAL;
	}
	if (!c->keys[0]) {
		if (!req->enc_key_len)
			return 0;
		NL_SET_ERR_MSG_FMT(extack, "%s takes no key, but one of %u bytes is given",
				   c->name, req->enc_key_len);
		return -EINVAL;
	}
	return moat_check_key(c->name, c->keys, ARRAY_SIZE(c->keys), c->salt,
			      req->enc_key_len, extack);
}

static int moat_check_integ(const struct moat_alg *alg,
			    const struct moat_alg_req *req,
			    struct netlink_ext_ack *extack)
{
	const struct moat_integ *integ = alg->integ;

	if (!integ) {
		if (!req->auth_key_len)
			return 0;
		NL_SET_ERR_MSG_FMT(extack, "%s has one key, but an auth-key of %u bytes is given",
				   alg->cipher->name, req->auth_key_len);
		return -EINVAL;
	}
	return moat_check_key(integ->name, integ->keys,
			      ARRAY_SIZE(integ->keys), integ->salt,
			      req->auth_key_len, extack);
}

static int moat_check_icv(struct moat_alg *alg, const struct moat_alg_req *req,
			  struct netlink_ext_ack *extack)
{
	const u8 *icvs = alg->integ ? alg->integ->icvs : alg->cipher->icvs;
	size_t n = alg->integ ? ARRAY_SIZE(alg->integ->icvs) :
				ARRAY_SIZE(alg->cipher->icvs);
	char want[24];

	alg->icv = req->icv_len ?: icvs[0];
	if (moat_length_listed(icvs, n, 0, alg->icv))
		return 0;
	moat_lengths(want, sizeof(want), icvs, n, 0);
	NL_SET_ERR_MSG_FMT(extack, "%s has an ICV of %s bytes, not %u",
			   alg->integ ? alg->integ->name : alg->cipher->name,
			   want, req->icv_len);
	return -EINVAL;
}

/* The row of an integrity algorithm, which ESP or AH must know. */
static int moat_alg_integ(struct moat_alg *alg, const struct moat_alg_req *req,
			  struct netlink_ext_ack *extack)
{
	bool ah = req->protocol == IPPROTO_AH;

	if (req->auth < ARRAY_SIZE(moat_integs) &&
	    moat_integs[req->auth].name &&
	    (ah || !moat_integs[req->auth].combined)) {
		alg->integ = &moat_integs[req->auth];
		return 0;
	}
	NL_SET_ERR_MSG_FMT(extack, "auth %u is no integrity algorithm of %s",
			   req->auth, ah ? "AH" : "ESP");
	return -EINVAL;
}

static int moat_alg_choose_ah(struct moat_alg *alg,
			      const struct moat_alg_req *req,
			      struct netlink_ext_ack *extack)
{
	if (req->enc == MOAT_ENC_NONE)
		return moat_alg_integ(alg, req, extack);
	NL_SET_ERR_MSG_FMT(extack, "AH encrypts nothing: enc must be none, not %u",
			   req->enc);
	return -EINVAL;
}

/* Which rows of the table are meant, and whether they go together in ESP. */
static int moat_alg_choose(struct moat_alg *alg, const struct moat_alg_req *req,
			   struct netlink_ext_ack *extack)
{
	if (req->enc >= ARRAY_SIZE(moat_ciphers) ||
	    !moat_ciphers[req->enc].name) {
		NL_SET_ERR_MSG_FMT(extack, "enc %u is no cipher of ESP",
				   req->enc);
		return -EINVAL;
	}
	alg->cipher = &moat_ciphers[req->enc];
	if (alg->cipher->combined) {
		if (req->auth == MOAT_AUTH_NONE)
			return 0;
		NL_SET_ERR_MSG_FMT(extack, "%s has its own integrity: auth must be none, not %u",
				   alg->cipher->name, req->auth);
		return -EINVAL;
	}
	if (req->auth == MOAT_AUTH_NONE) {
		NL_SET_ERR_MSG_FMT(extack, "%s needs an auth: ESP without integrity is refused",
				   alg->cipher->name);
		return -EINVAL;
	}
	return moat_alg_integ(alg, req, extack);
}

/* authenc's form of two keys: a length, then integrity's, then the cipher's */
static int moat_set_two_keys(struct crypto_aead *aead,
			     const struct moat_alg_req *req)
{
	size_t len = RTA_SPACE(sizeof(struct crypto_authenc_key_param)) +
		     req->auth_key_len + req->enc_key_len;
	struct crypto_authenc_key_param *param;
	struct rtattr *rta;
	u8 *key, *p;
	int err;

	key = kzalloc(len, GFP_KERNEL);
	if (!key)
		return -ENOMEM;
	rta = (struct rtattr *)key;
	rta->rta_type = CRYPTO_AUTHENC_KEYA_PARAM;
	rta->rta_len = RTA_LENGTH(sizeof(*param));
	param = RTA_DATA(rta);
	param->enckeylen = cpu_to_be32(req->enc_key_len);
	p = key + RTA_SPACE(sizeof(*param));
	memcpy(p, req->auth_key, req->auth_key_len);
	if (req->enc_key_len)
		memcpy(p + req->auth_key_len, req->enc_key, req->enc_key_len);
	err = crypto_aead_setkey(aead, key, len);
	kfree_sensitive(key);
	return err;
}

static int moat_aead_key(struct moat_alg *alg, const struct moat_alg_req *req,
			 struct netlink_ext_ack *extack)
{
	int err;

	/* RFC 2451 2.3: refuse keys that make single DES of 3DES */
	crypto_aead_set_flags(alg->aead, CRYPTO_TFM_REQ_FORBID_WEAK_KEYS);
	if (alg->integ && alg->integ->combined)
		err = crypto_aead_setkey(alg->aead, req->auth_key,
					 req->auth_key_len);
	else if (alg->integ)
		err = moat_set_two_keys(alg->aead, req);
	else
		err = crypto_aead_setkey(alg->aead, req->enc_key,
					 req->enc_key_len);
	if (!err)
		err = crypto_aead_setauthsize(alg->aead, alg->icv);
	if (err && err != -ENOMEM)
		NL_SET_ERR_MSG_FMT(extack,
				   "the crypto API calls this %s key wrong or weak (error %d)",
				   alg->cipher ? alg->cipher->name :
				   alg->integ->name, err);
	return err;
}

/*
 * AH's upper half of an extended sequence number is appended, which is no
 * business of authencesn.
 */
static void moat_aead_name(char *name, size_t size, const struct moat_alg *alg,
			   bool esn)
{
	const struct moat_integ *integ = alg->integ;

	if (!alg->cipher && !integ->combined)
		snprintf(name, size, "authenc(%s,ecb(cipher_null))",
			 integ->kernel);
	else if (!integ || integ->combined)
		strscpy(name, integ ? integ->kernel : alg->cipher->kernel,
			size);
	else
		snprintf(name, size, "%s(%s,%s)",
			 esn ? "authencesn" : "authenc", integ->kernel,
			 alg->cipher->kernel);
}

static int moat_aead_alloc(struct moat_alg *alg, bool esn,
			   struct netlink_ext_ack *extack)
{
	char name[CRYPTO_MAX_ALG_NAME];
	int err;

	moat_aead_name(name, sizeof(name), alg, esn);
	/* Asking for a synchronous one would get a slower driver. */
	alg->aead = crypto_alloc_aead(name, 0, 0);
	if (!IS_ERR(alg->aead))
		return 0;
	err = PTR_ERR(alg->aead);
	alg->aead = NULL;
	NL_SET_ERR_MSG_FMT(extack, "the crypto API gives no %s (error %d)",
			   name, err);
	return err;
}

int moat_alg_init(struct moat_alg *alg, const struct moat_alg_req *req,
		  struct netlink_ext_ack *extack)
{
	int err;

	memset(alg, 0, sizeof(*alg));
	if (req->protocol == IPPROTO_AH)
		err = moat_alg_choose_ah(alg, req, extack);
	else
		err = moat_alg_choose(alg, req, extack);
	if (!err)
		err = moat_check_cipher(alg, req, extack);
	if (!err)
		err = moat_check_integ(alg, req, extack);
	if (!err)
		err = moat_check_icv(alg, req, extack);
	if (!err)
		err = moat_aead_alloc(alg, req->esn, extack);
	if (err)
		return err;

	if (req->enc_key_len)
		alg->key_bits = (req->enc_key_len - alg->cipher->salt) * 8;
	else if (alg->integ && alg->integ->combined)
		alg->key_bits = (req->auth_key_len - alg->integ->salt) * 8;
	err = moat_aead_key(alg, req, extack);
	if (err)
		moat_alg_free(alg);
	return err;
}

void moat_alg_free(struct moat_alg *alg)
{
	crypto_free_aead(alg->aead);
	alg->aead = NULL;
}

u16 moat_alg_enc(const struct moat_alg *alg)
{
	return alg->cipher ? alg->cipher - moat_ciphers : MOAT_ENC_NONE;
}

u16 moat_alg_auth(const struct moat_alg *alg)
{
	return alg->integ ? alg->integ - moat_integs : MOAT_AUTH_NONE;
}
