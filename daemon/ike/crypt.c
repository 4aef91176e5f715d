// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * prf, hash and CBC over libgcrypt.
 */
#include "ike/crypt.h"

#include <gcrypt.h>

/* Enough for a modp8192 exponentiation; more is taken when workers overlap. */
#define SECURE_POOL (128 * 1024)

int moat_crypt_init(void)
{
	if (gcry_control(GCRYCTL_INITIALIZATION_FINISHED_P))
		return 0;
	if (!gcry_check_version(GCRYPT_VERSION))
		return -1;
	/* Without CAP_IPC_LOCK beyond the limit it is merely not locked. */
	gcry_control(GCRYCTL_DISABLE_SECMEM_WARN);
	gcry_control(GCRYCTL_INIT_SECMEM, SECURE_POOL, 0);
	gcry_control(GCRYCTL_AUTO_EXPAND_SECMEM, SECURE_POOL);
	gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
	return 0;
}

static int hash_algo(enum moat_hash hash)
{
	switch (hash) {
	case MOAT_HASH_MD5:
		return GCRY_MD_MD5;
	case MOAT_HASH_SHA1:
		return GCRY_MD_SHA1;
	case MOAT_HASH_SHA256:
		return GCRY_MD_SHA256;
	case MOAT_HASH_SHA384:
		return GCRY_MD_SHA384;
	case MOAT_HASH_SHA512:
		return GCRY_MD_SHA512;
	case MOAT_HASH_NONE:
		break;
	}
	return GCRY_MD_NONE;
}

static int digest(enum moat_hash hash, const struct moat_view *key,
		  const struct moat_view *parts, unsigned int count, uint8_t *out)
{
	int algo = hash_algo(hash);
	size_t len = moat_hash_len(hash);
	gcry_md_hd_t md;
	int ret = -1;

	if (len == 0)
		return -1;
	memset(out, 0, len);
	if (gcry_md_open(&md, algo, GCRY_MD_FLAG_SECURE | (key ? GCRY_MD_FLAG_HMAC : 0)))
		return -1;
	if (key && gcry_md_setkey(md, key->data, key->len))
		goto out;
	for (unsigned int i = 0; i < count; i++)
		if (parts[i].len)
			gcry_md_write(md, parts[i].data, parts[i].len);
	memcpy(out, gcry_md_read(md, algo), len);
	ret = 0;
out:
	gcry_md_close(md);
	return ret;
}

int moat_prf(enum moat_hash hash, struct moat_view key, const struct moat_view *parts,
	     unsigned int count, uint8_t *out)
{
	return digest(hash, &key, parts, count, out);
}

int moat_hash(enum moat_hash hash, const struct moat_view *parts, unsigned int count,
	      uint8_t *out)
{
	return digest(hash, NULL, parts, count, out);
}

static int cipher_algo(const struct moat_ike_alg *alg)
{
	if (alg->cipher == MOAT_CIPHER_3DES_CBC && alg->key_bits == 192)
		return GCRY_CIPHER_3DES;
	if (alg->cipher != MOAT_CIPHER_AES_CBC)
		return GCRY_CIPHER_NONE;
	switch (alg->key_bits) {
	case 128:
		return GCRY_CIPHER_AES128;
	case 192:
		return GCRY_CIPHER_AES192;
	case 256:
		return GCRY_CIPHER_AES256;
	default:
		return GCRY_CIPHER_NONE;
	}
}

static int cbc(const struct moat_ike_alg *alg, const uint8_t *key, const uint8_t *iv,
	       uint8_t *buf, size_t len, bool encrypt)
{
	size_t block = moat_cipher_block(alg->cipher);
	gcry_cipher_hd_t hd;
	gcry_error_t err;

	if (block == 0 || len == 0 || len % block)
		return -1;
	if (gcry_cipher_open(&hd, cipher_algo(alg), GCRY_CIPHER_MODE_CBC,
			     GCRY_CIPHER_SECURE))
		return -1;
	err = gcry_cipher_setkey(hd, key, alg->key_bits / 8);
	/* A 3DES key that happens to be weak is still the key (RFC 2451 §2.3). */
	if (gcry_err_code(err) == GPG_ERR_WEAK_KEY)
		err = 0;
	if (!err)
		err = gcry_cipher_setiv(hd, iv, block);
	if (!err)
		err = encrypt ? gcry_cipher_encrypt(hd, buf, len, NULL, 0)
			      : gcry_cipher_decrypt(hd, buf, len, NULL, 0);
	gcry_cipher_close(hd);
	return err ? -1 : 0;
}

int moat_cbc_encrypt(const struct moat_ike_alg *alg, const uint8_t *key, uint8_t *iv,
		     uint8_t *buf, size_t len)
{
	size_t block = moat_cipher_block(alg->cipher);

	if (cbc(alg, key, iv, buf, len, true) < 0)
		return -1;
	memcpy(iv, buf + len - block, block);
	return 0;
}

int moat_cbc_decrypt(const struct moat_ike_alg *alg, const uint8_t *key, uint8_t *iv,
		     uint8_t *buf, size_t len)
{
	size_t block = moat_cipher_block(alg->cipher);
	uint8_t last[MOAT_BLOCK_MAX];

	if (block == 0 || len < block)
		return -1;
	memcpy(last, buf + len - block, block);
	if (cbc(alg, key, iv, buf, len, false) < 0)
		return -1;
	memcpy(iv, last, block);
	return 0;
}

bool moat_secret_equal(const void *a, const void *b, size_t len)
{
	const volatile uint8_t *x = a;
	const volatile uint8_t *y = b;
	uint8_t differ = 0;

	for (size_t i = 0; i < len; i++)
		differ |= x[i] ^ y[i];
	return len > 0 && differ == 0;
}

void moat_wipe(void *p, size_t len)
{
	explicit_bzero(p, len);
}
