/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Algorithms: one table each for ciphers and hashes of phase 1, groups, and the
 * ciphers and integrity algorithms of ESP and AH. Names are strongSwan's. The
 * internal enums here (and those of linux/moat.h for ESP and AH) are never the
 * numbers of the wire; the tables hold both.
 */
#ifndef MOAT_IKE_ALG_H
#define MOAT_IKE_ALG_H

#include <linux/moat.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Ciphers of the ISAKMP SA. */
enum moat_cipher { MOAT_CIPHER_NONE, MOAT_CIPHER_AES_CBC, MOAT_CIPHER_3DES_CBC };

/* Hashes of the ISAKMP SA; HMAC of the same is its prf. */
enum moat_hash {
	MOAT_HASH_NONE,
	MOAT_HASH_MD5,
	MOAT_HASH_SHA1,
	MOAT_HASH_SHA256,
	MOAT_HASH_SHA384,
	MOAT_HASH_SHA512,
};

/* Diffie-Hellman groups, of phase 1 and of PFS. */
enum moat_group {
	MOAT_GROUP_NONE,
	MOAT_GROUP_MODP1024,
	MOAT_GROUP_MODP1536,
	MOAT_GROUP_MODP2048,
	MOAT_GROUP_MODP3072,
	MOAT_GROUP_MODP4096,
	MOAT_GROUP_MODP6144,
	MOAT_GROUP_MODP8192,
	MOAT_GROUP_ECP256,
	MOAT_GROUP_ECP384,
	MOAT_GROUP_ECP521,
	MOAT_GROUP_CURVE25519,
	MOAT_GROUP_MAX,
};

/**
 * struct moat_ike_alg - algorithms of one phase 1 transform
 * @cipher: encryption of ISAKMP messages
 * @key_bits: its key length
 * @hash: hash, and prf as HMAC
 * @group: Diffie-Hellman group
 */
struct moat_ike_alg {
	enum moat_cipher cipher;
	uint16_t key_bits;
	enum moat_hash hash;
	enum moat_group group;
};

/**
 * struct moat_sa_alg - algorithms of one IPsec SA (a phase 2 transform)
 * @protocol: MOAT_PROTO_ESP or MOAT_PROTO_AH
 * @enc: cipher or combined mode; MOAT_ENC_NONE for AH
 * @key_bits: key length of @enc without salt; 0 for NULL and AH
 * @auth: integrity; MOAT_AUTH_NONE with combined modes
 * @icv_len: octets of the integrity check value
 * @group: PFS group, MOAT_GROUP_NONE without PFS
 * @esn: 64-bit sequence numbers
 */
struct moat_sa_alg {
	uint8_t protocol;
	enum moat_enc enc;
	uint16_t key_bits;
	enum moat_auth auth;
	uint8_t icv_len;
	enum moat_group group;
	bool esn;
};

/**
 * struct moat_key_layout - how KEYMAT is cut (RFC 2409 §5.5: cipher key first)
 * @enc_len: octets of cipher key, salt included
 * @auth_len: octets of integrity key
 */
struct moat_key_layout {
	uint16_t enc_len;
	uint16_t auth_len;
};

/**
 * moat_sa_alg_keys() - key lengths of an SA's algorithms, for KEYMAT and netlink
 */
struct moat_key_layout moat_sa_alg_keys(const struct moat_sa_alg *alg);

/* Sizes; 0 for an unknown value. All in octets. */
size_t moat_cipher_block(enum moat_cipher cipher);
size_t moat_hash_len(enum moat_hash hash);

/* Names as in algorithm strings: "aes256", "sha1", "modp2048". */
const char *moat_cipher_name(enum moat_cipher cipher, uint16_t key_bits);
const char *moat_hash_name(enum moat_hash hash);
const char *moat_group_name(enum moat_group group);

/* Numbers of the wire, and back; NONE (0) for what we do not have. */
uint16_t moat_group_number(enum moat_group group);
enum moat_group moat_group_from_number(uint64_t number);

/**
 * moat_ike_alg_print() - write an algorithm string: "aes256-sha256-modp2048"
 * @alg: the algorithms
 * @out: buffer, 48 octets are enough
 * @size: its size
 */
void moat_ike_alg_print(const struct moat_ike_alg *alg, char *out, size_t size);

/**
 * moat_sa_alg_print() - likewise: "aes128gcm16-modp2048", "aes256-sha256-esn"
 */
void moat_sa_alg_print(const struct moat_sa_alg *alg, char *out, size_t size);

#define MOAT_WEAK_STRLEN 48

/**
 * moat_ike_alg_weak() - is it one that needs `weak = true` (contracts)?
 * @alg: the algorithms
 * @out: names of its weak parts: "3des, md5, modp1024"
 */
bool moat_ike_alg_weak(const struct moat_ike_alg *alg, char out[MOAT_WEAK_STRLEN]);
bool moat_sa_alg_weak(const struct moat_sa_alg *alg, char out[MOAT_WEAK_STRLEN]);

/**
 * moat_sa_alg_negotiable() - does it have IKEv1 numbers?
 *
 * ChaCha20-Poly1305 and AES-CMAC have none and are for manual SAs only.
 */
bool moat_sa_alg_negotiable(const struct moat_sa_alg *alg);

#define MOAT_ALGS_MAX  32
#define MOAT_ALGS_FULL (-2)

struct moat_ike_algs {
	unsigned int count;
	struct moat_ike_alg alg[MOAT_ALGS_MAX];
};

struct moat_sa_algs {
	unsigned int count;
	struct moat_sa_alg alg[MOAT_ALGS_MAX];
};

/** moat_ike_alg_same() - are they the same in all that they name? */
bool moat_ike_alg_same(const struct moat_ike_alg *a, const struct moat_ike_alg *b);

/** moat_ike_algs_have() - is @alg one of the list? */
bool moat_ike_algs_have(const struct moat_ike_algs *list, const struct moat_ike_alg *alg);

/**
 * moat_ike_algs_add() - read one algorithm string of `ike = [...]`
 * @list: appended to; a string with several algorithms of a kind
 *	("aes256-aes128-sha256-modp2048") adds each combination
 * @s: the string
 * @err: on failure one sentence that names the word: no newline
 * @size: size of @err
 *
 * Return: 0; or -1, or MOAT_ALGS_FULL, with @err and @list as before.
 */
int moat_ike_algs_add(struct moat_ike_algs *list, const char *s, char *err, size_t size);

/**
 * moat_sa_algs_add() - read one algorithm string of `esp = [...]` or `ah = [...]`
 * @list: appended to
 * @protocol: MOAT_PROTO_ESP or MOAT_PROTO_AH
 * @s: the string; also `alg` of `moat sa add`
 * @err: on failure one sentence
 * @size: size of @err
 *
 * Return: 0; or -1, or MOAT_ALGS_FULL, with @err and @list as before.
 */
int moat_sa_algs_add(struct moat_sa_algs *list, uint8_t protocol, const char *s,
		     char *err, size_t size);

/* Defaults when the configuration names none: a short list of strong ones. */
void moat_ike_algs_default(struct moat_ike_algs *list);
void moat_sa_algs_default(struct moat_sa_algs *list);

#endif
