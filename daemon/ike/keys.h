/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keys of IKEv1: SKEYID and its family, the hashes that authenticate, IVs, and
 * KEYMAT of the IPsec SAs. RFC 2409 §5 and appendix B. All return 0, or -1 when
 * libgcrypt fails; outputs are then wiped.
 */
#ifndef MOAT_IKE_KEYS_H
#define MOAT_IKE_KEYS_H

#include "ike/crypt.h"
#include "wire/isakmp.h"

/**
 * struct moat_cookies - the pair that names an ISAKMP SA
 */
struct moat_cookies {
	uint8_t i[MOAT_COOKIE_LEN];
	uint8_t r[MOAT_COOKIE_LEN];
};

/**
 * moat_skeyid_psk() - SKEYID = prf(pre-shared-key, Ni_b | Nr_b)
 * @hash: negotiated hash
 * @psk: pre-shared key
 * @ni: initiator's nonce, body of its payload
 * @nr: responder's
 * @out: moat_hash_len(@hash) octets
 */
int moat_skeyid_psk(enum moat_hash hash, struct moat_view psk, struct moat_view ni,
		    struct moat_view nr, uint8_t *out);

/**
 * moat_skeyid_sig() - SKEYID = prf(Ni_b | Nr_b, g^xy), for signatures
 */
int moat_skeyid_sig(enum moat_hash hash, struct moat_view ni, struct moat_view nr,
		    struct moat_view gxy, uint8_t *out);

/**
 * moat_skeyid_enc() - SKEYID = prf(hash(Ni_b | Nr_b), CKY-I | CKY-R), for
 * public key encryption
 */
int moat_skeyid_enc(enum moat_hash hash, struct moat_view ni, struct moat_view nr,
		    const struct moat_cookies *cky, uint8_t *out);

/**
 * struct moat_skeys - what an ISAKMP SA keeps; wipe with moat_wipe()
 * @hash: negotiated hash
 * @len: octets of each
 * @skeyid: SKEYID
 * @d: SKEYID_d, for KEYMAT
 * @a: SKEYID_a, for HASH(n)
 * @e: SKEYID_e, for encryption
 * @key: cipher key made from SKEYID_e (appendix B), @key_len octets
 * @key_len: octets of @key
 */
struct moat_skeys {
	enum moat_hash hash;
	size_t len;
	uint8_t skeyid[MOAT_HASH_LEN_MAX];
	uint8_t d[MOAT_HASH_LEN_MAX];
	uint8_t a[MOAT_HASH_LEN_MAX];
	uint8_t e[MOAT_HASH_LEN_MAX];
	uint8_t key[MOAT_IKE_KEY_MAX];
	size_t key_len;
};

/**
 * moat_skeys_derive() - SKEYID_d, SKEYID_a, SKEYID_e and the cipher key
 * @alg: negotiated algorithms
 * @skeyid: moat_hash_len(@alg->hash) octets
 * @gxy: shared secret
 * @cky: cookies
 * @out: result
 */
int moat_skeys_derive(const struct moat_ike_alg *alg, const uint8_t *skeyid,
		      struct moat_view gxy, const struct moat_cookies *cky,
		      struct moat_skeys *out);

/**
 * moat_ke_key() - Ke_i or Ke_r, made of Ne = prf(nonce, cookie), RFC 2409 §5.3
 * @alg: negotiated algorithms
 * @nonce: body in clear
 * @cookie: of the same side
 * @key: @alg->key_bits / 8 octets
 */
int moat_ke_key(const struct moat_ike_alg *alg, struct moat_view nonce,
		const uint8_t cookie[MOAT_COOKIE_LEN], uint8_t *key);

/**
 * struct moat_auth_input - what HASH_I and HASH_R cover (RFC 2409 §5)
 * @gxi: initiator's public value, body of its KE
 * @gxr: responder's
 * @cky: cookies
 * @sai: body of the initiator's SA payload, all it offered; in both hashes
 * @id: body of the ID of the side that is authenticated: IDii for HASH_I, IDir
 *	for HASH_R
 */
struct moat_auth_input {
	struct moat_view gxi;
	struct moat_view gxr;
	const struct moat_cookies *cky;
	struct moat_view sai;
	struct moat_view id;
};

/**
 * moat_hash_i() - HASH_I = prf(SKEYID, g^xi | g^xr | CKY-I | CKY-R | SAi_b | IDii_b)
 */
int moat_hash_i(const struct moat_skeys *keys, const struct moat_auth_input *in,
		uint8_t *out);

/**
 * moat_hash_r() - HASH_R = prf(SKEYID, g^xr | g^xi | CKY-R | CKY-I | SAi_b | IDir_b)
 */
int moat_hash_r(const struct moat_skeys *keys, const struct moat_auth_input *in,
		uint8_t *out);

/**
 * moat_hash_1() - HASH(1) = prf(SKEYID_a, M-ID | rest); also of informational
 * @keys: of the ISAKMP SA
 * @message_id: host byte order
 * @rest: moat_message_after() the HASH payload
 * @out: @keys->len octets
 */
int moat_hash_1(const struct moat_skeys *keys, uint32_t message_id, struct moat_view rest,
		uint8_t *out);

/**
 * moat_hash_2() - HASH(2) = prf(SKEYID_a, M-ID | Ni_b | rest)
 */
int moat_hash_2(const struct moat_skeys *keys, uint32_t message_id, struct moat_view ni,
		struct moat_view rest, uint8_t *out);

/**
 * moat_hash_3() - HASH(3) = prf(SKEYID_a, 0 | M-ID | Ni_b | Nr_b)
 */
int moat_hash_3(const struct moat_skeys *keys, uint32_t message_id, struct moat_view ni,
		struct moat_view nr, uint8_t *out);

/**
 * moat_iv_phase1() - IV of the first encrypted message: hash(g^xi | g^xr)
 * @alg: negotiated algorithms
 * @gxi: initiator's public value
 * @gxr: responder's
 * @iv: moat_cipher_block() octets
 */
int moat_iv_phase1(const struct moat_ike_alg *alg, struct moat_view gxi,
		   struct moat_view gxr, uint8_t *iv);

/**
 * moat_iv_exchange() - first IV of a later exchange: hash(last block | M-ID)
 * @alg: negotiated algorithms
 * @last: last block of ciphertext of phase 1
 * @message_id: host byte order
 * @iv: moat_cipher_block() octets
 */
int moat_iv_exchange(const struct moat_ike_alg *alg, const uint8_t *last,
		     uint32_t message_id, uint8_t *iv);

/**
 * struct moat_keymat_input - what KEYMAT is made of (RFC 2409 §5.5)
 * @gqmxy: shared secret of quick mode; empty without PFS
 * @protocol: MOAT_PROTO_ESP or MOAT_PROTO_AH
 * @spi: of the SA, chosen by its receiver; host byte order
 * @ni: initiator's nonce of this quick mode
 * @nr: responder's
 */
struct moat_keymat_input {
	struct moat_view gqmxy;
	uint8_t protocol;
	uint32_t spi;
	struct moat_view ni;
	struct moat_view nr;
};

/**
 * moat_keymat() - expand KEYMAT to any length
 * @keys: of the ISAKMP SA
 * @in: see above
 * @out: cipher key (with salt), then integrity key: see moat_sa_alg_keys()
 * @len: octets wanted
 */
int moat_keymat(const struct moat_skeys *keys, const struct moat_keymat_input *in,
		uint8_t *out, size_t len);

#endif
