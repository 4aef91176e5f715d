/* SPDX-License-Identifier: GPL-2.0 */
/* Algorithms: from the numbers of uapi/moat.yaml to the crypto API. */
#ifndef _MOAT_ALG_H
#define _MOAT_ALG_H

#include <crypto/aead.h>
#include <linux/netlink.h>
#include <linux/types.h>

/** enum moat_iv - How the IV of a packet is made. */
enum moat_iv {
	MOAT_IV_NONE,		/* no IV on the wire */
	MOAT_IV_COUNTER,	/* never twice: the sequence number */
	MOAT_IV_RANDOM,		/* unpredictable (CBC) */
};

/**
 * struct moat_cipher - A cipher or combined-mode algorithm.
 * @name: for people and netlink's refusals
 * @kernel: name for the crypto API; of a combined-mode one, the whole AEAD
 * @keys: allowed key lengths in bytes, salt not included; 0 ends the list
 * @salt: bytes of salt at the end of the key
 * @block: bytes that the plaintext with its trailer is padded to
 * @iv: bytes of IV on the wire
 * @iv_kind: how the IV is made
 * @combined: has its own integrity
 * @icvs: ICV lengths of a combined-mode one in bytes, the usual first
 */
struct moat_cipher {
	const char *name;
	const char *kernel;
	u8 keys[4];
	u8 salt;
	u8 block;
	u8 iv;
	enum moat_iv iv_kind;
	bool combined;
	u8 icvs[4];
};

/**
 * struct moat_integ - An integrity algorithm.
 * @name: for people and netlink's refusals
 * @kernel: name for the crypto API: a hash, or with @combined an AEAD
 * @keys: allowed key lengths in bytes, salt not included; 0 ends the list
 * @salt: bytes of salt at the end of the key
 * @iv: bytes of IV on the wire, before the ICV (GMAC)
 * @combined: @kernel is a whole AEAD, of which AH encrypts nothing; for AH
 *	only. Its first 16 bytes of data are associated data, the rest text, as
 *	rfc4543 wants it.
 * @icvs: ICV lengths in bytes, the usual first; 0 ends the list
 */
struct moat_integ {
	const char *name;
	const char *kernel;
	u8 keys[4];
	u8 salt;
	u8 iv;
	bool combined;
	u8 icvs[3];
};

/**
 * struct moat_alg_req - Algorithms and keys as requested.
 * @protocol: IPPROTO_ESP or IPPROTO_AH
 * @enc: enum moat_enc of the uapi
 * @auth: enum moat_auth of the uapi
 * @enc_key: with its salt
 * @auth_key: NULL without one
 * @enc_key_len: bytes
 * @auth_key_len: bytes
 * @icv_len: bytes; 0 is the usual one
 * @esn: 64-bit sequence numbers
 */
struct moat_alg_req {
	u8 protocol;
	u16 enc;
	u16 auth;
	const u8 *enc_key;
	const u8 *auth_key;
	u16 enc_key_len;
	u16 auth_key_len;
	u8 icv_len;
	bool esn;
};

/**
 * struct moat_alg - Algorithms of one SA, ready for use.
 * @aead: keyed transform; ESP's associated data includes the IV, and AH has
 *	nothing but associated data (see struct moat_integ for GMAC)
 * @cipher: row of the table, NULL with AH
 * @integ: row of the table, NULL with a combined-mode cipher
 * @key_bits: length of the cipher's key without its salt, 0 with AH
 * @icv: bytes of ICV on the wire
 */
struct moat_alg {
	struct crypto_aead *aead;
	const struct moat_cipher *cipher;
	const struct moat_integ *integ;
	u16 key_bits;
	u8 icv;
};

/**
 * moat_alg_init() - Check a request, allocate and key its transform.
 * @alg: where to
 * @req: what
 * @extack: gets the sentence of a refusal
 *
 * Context: may sleep.
 * Return: 0 or a negative error.
 */
int moat_alg_init(struct moat_alg *alg, const struct moat_alg_req *req,
		  struct netlink_ext_ack *extack);

/**
 * moat_alg_free() - Free what moat_alg_init() allocated.
 * @alg: which; all zeros is allowed
 *
 * Context: may sleep.
 */
void moat_alg_free(struct moat_alg *alg);

/** moat_alg_enc() - The cipher as enum moat_enc. */
u16 moat_alg_enc(const struct moat_alg *alg);

/** moat_alg_auth() - The integrity algorithm as enum moat_auth. */
u16 moat_alg_auth(const struct moat_alg *alg);

#endif /* _MOAT_ALG_H */
