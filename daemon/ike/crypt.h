/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Thin layer over libgcrypt: prf, hash, CBC, wiping and comparing. libgcrypt's
 * random functions are not used anywhere in the pure core.
 */
#ifndef MOAT_IKE_CRYPT_H
#define MOAT_IKE_CRYPT_H

#include "ike/alg.h"
#include "wire/view.h"

#define MOAT_HASH_LEN_MAX 64
#define MOAT_BLOCK_MAX	  16
#define MOAT_IKE_KEY_MAX  32

/**
 * moat_crypt_init() - initialise libgcrypt; once, by the edge, before all else
 *
 * Secrets get a pool of secure memory that grows when it must. No random
 * generator is started.
 *
 * Return: 0, or -1 when libgcrypt is older than what this was built with.
 */
int moat_crypt_init(void);

/**
 * moat_prf() - HMAC of concatenated views (RFC 2409 §4: prf)
 * @hash: its hash
 * @key: key
 * @parts: what is covered
 * @count: how many
 * @out: moat_hash_len(@hash) octets
 *
 * Return: 0, or -1 when libgcrypt fails (no memory).
 */
int moat_prf(enum moat_hash hash, struct moat_view key, const struct moat_view *parts,
	     unsigned int count, uint8_t *out);

/**
 * moat_hash() - plain hash of concatenated views
 * @out: none of them
 *
 * Return: 0, or -1 when libgcrypt fails.
 */
int moat_hash(enum moat_hash hash, const struct moat_view *parts, unsigned int count,
	      uint8_t *out);

/**
 * moat_cbc_encrypt() - encrypt in place (RFC 2409 appendix B)
 * @alg: cipher and key length
 * @key: @alg->key_bits / 8 octets
 * @iv: a block; becomes the last block of ciphertext, the next message's IV
 * @buf: padded
 * @len: octets, a whole number of blocks
 *
 * Return: 0, or -1 on a bad length or when libgcrypt fails.
 */
int moat_cbc_encrypt(const struct moat_ike_alg *alg, const uint8_t *key, uint8_t *iv,
		     uint8_t *buf, size_t len);

/**
 * moat_cbc_decrypt() - decrypt in place; arguments as above
 */
int moat_cbc_decrypt(const struct moat_ike_alg *alg, const uint8_t *key, uint8_t *iv,
		     uint8_t *buf, size_t len);

/**
 * moat_secret_equal() - compare in constant time
 * @a: one
 * @b: other
 * @len: octets; 0 is never equal
 */
bool moat_secret_equal(const void *a, const void *b, size_t len);

/**
 * moat_wipe() - overwrite a secret so that the compiler keeps it
 */
void moat_wipe(void *p, size_t len);

#endif
