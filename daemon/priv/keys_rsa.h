/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Private RSA keys: only the keys process (and `moat check`) reads them. */
#ifndef MOAT_PRIV_KEYS_RSA_H
#define MOAT_PRIV_KEYS_RSA_H

#include <gcrypt.h>

#include "ike/rsa.h"
#include "priv/mistake.h"

/* Octets of what a text with bad padding is replaced by. */
#define MOAT_RSA_REFUSED 32

/**
 * struct moat_key_conf - a private key that tunnels name
 * @id: SHA-256 of the modulus that their certificate has
 * @decrypt: it serves encrypted nonces, and must never sign; else the reverse
 * @path: its file
 * @file: where the configuration names it; @line likewise
 */
struct moat_key_conf {
	uint8_t id[MOAT_KEY_ID_LEN];
	bool decrypt;
	char *path;
	const char *file;
	unsigned int line;
};

/**
 * struct moat_rsa_key - one private key
 * @id: see struct moat_key_conf; @decrypt likewise
 * @len: octets of its modulus
 * @sexp: as libgcrypt has it
 * @refusal: secret: what a text with bad padding is replaced by is made of it
 */
struct moat_rsa_key {
	uint8_t id[MOAT_KEY_ID_LEN];
	bool decrypt;
	size_t len;
	gcry_sexp_t sexp;
	uint8_t refusal[32];
};

/** struct moat_rsa_keys - all of them */
struct moat_rsa_keys {
	struct moat_rsa_key *list;
	unsigned int n;
};

/** moat_key_id() - the id of a key: SHA-256 of its modulus without leading zeros */
void moat_key_id(struct moat_view n, uint8_t id[MOAT_KEY_ID_LEN]);

/**
 * moat_rsa_keys_read() - read a private key: PEM or DER, PKCS #1 or PKCS #8
 * @keys: appended to
 * @fd: open for reading; stays open
 * @conf: what it must match
 * @mistakes: appended to
 */
void moat_rsa_keys_read(struct moat_rsa_keys *keys, int fd,
			const struct moat_key_conf *conf, struct moat_mistakes *mistakes);

/** moat_rsa_keys_find() - the key with this id, NULL for none */
const struct moat_rsa_key *moat_rsa_keys_find(const struct moat_rsa_keys *keys,
					      const uint8_t id[MOAT_KEY_ID_LEN]);

/**
 * moat_rsa_sign() - sign a bare HASH, RFC 2409 section 5.1
 * @out: @key->len octets
 *
 * Return: 0, or -1 when the key is not for signing or libgcrypt fails.
 */
int moat_rsa_sign(const struct moat_rsa_key *key, struct moat_view hash, uint8_t *out);

/**
 * moat_rsa_decrypt() - open a PKCS #1 v1.5 block of type 2
 * @cipher: @key->len octets
 * @low: a text is at least this long, and at most @high octets
 * @out: room for @high octets
 * @len: octets of the text
 *
 * Bad padding gives no error but another text of 32 octets, always the same one
 * for one @cipher: who cannot encrypt learns nothing from what follows.
 *
 * Return: 0, or -1 when the key is not for decrypting or the length is wrong.
 */
int moat_rsa_decrypt(const struct moat_rsa_key *key, struct moat_view cipher, size_t low,
		     size_t high, uint8_t *out, size_t *len);

/**
 * moat_rsa_open() - answer MOAT_ACT_DECRYPT
 * @id: may be empty
 * @out: room for 604 octets
 *
 * Return: octets of @out: both texts, each behind its length in two octets; 0 on
 * failure.
 */
size_t moat_rsa_open(const struct moat_rsa_key *key, struct moat_view nonce,
		     struct moat_view id, uint8_t *out);

void moat_rsa_keys_free(struct moat_rsa_keys *keys);

#endif
