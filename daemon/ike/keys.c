// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Keys of IKEv1 (RFC 2409 §5, §5.5, appendix B).
 */
#include "ike/keys.h"

#define COUNT(parts) ((unsigned int)(sizeof(parts) / sizeof((parts)[0])))

int moat_skeyid_psk(enum moat_hash hash, struct moat_view psk, struct moat_view ni,
		    struct moat_view nr, uint8_t *out)
{
	struct moat_view parts[] = { ni, nr };

	return moat_prf(hash, psk, parts, COUNT(parts), out);
}

int moat_skeyid_sig(enum moat_hash hash, struct moat_view ni, struct moat_view nr,
		    struct moat_view gxy, uint8_t *out)
{
	uint8_t nonces[2 * MOAT_NONCE_MAX];

	if (ni.len > MOAT_NONCE_MAX || nr.len > MOAT_NONCE_MAX)
		return -1;
	memcpy(nonces, ni.data, ni.len);
	memcpy(nonces + ni.len, nr.data, nr.len);
	return moat_prf(hash, moat_view(nonces, ni.len + nr.len), &gxy, 1, out);
}

int moat_skeyid_enc(enum moat_hash hash, struct moat_view ni, struct moat_view nr,
		    const struct moat_cookies *cky, uint8_t *out)
{
	struct moat_view nonces[] = { ni, nr };
	struct moat_view parts[] = { moat_view(cky->i, MOAT_COOKIE_LEN),
				     moat_view(cky->r, MOAT_COOKIE_LEN) };
	uint8_t key[MOAT_HASH_LEN_MAX];
	int ret;

	/* Here the nonces are secret, so what is made of them is wiped. */
	ret = moat_hash(hash, nonces, COUNT(nonces), key);
	if (ret == 0)
		ret = moat_prf(hash, moat_view(key, moat_hash_len(hash)), parts,
			       COUNT(parts), out);
	moat_wipe(key, sizeof(key));
	return ret;
}

/* prf(SKEYID, [previous |] g^xy | CKY-I | CKY-R | number) */
static int skeyid_n(const struct moat_skeys *keys, struct moat_view previous,
		    struct moat_view gxy, const struct moat_cookies *cky, uint8_t number,
		    uint8_t *out)
{
	struct moat_view parts[] = {
		previous,
		gxy,
		moat_view(cky->i, MOAT_COOKIE_LEN),
		moat_view(cky->r, MOAT_COOKIE_LEN),
		moat_view(&number, 1),
	};

	return moat_prf(keys->hash, moat_view(keys->skeyid, keys->len), parts,
			COUNT(parts), out);
}

/*
 * Expand by feeding each block back: K1 = prf(key, seed), K2 = prf(key, K1 |
 * more), … where appendix B has no @more and §5.5 repeats the seed as @more.
 */
static int expand(enum moat_hash hash, struct moat_view key, struct moat_view seed,
		  struct moat_view more, uint8_t *out, size_t len)
{
	size_t block = moat_hash_len(hash);
	struct moat_view parts[] = { seed, { NULL, 0 } };
	uint8_t k[MOAT_HASH_LEN_MAX];
	uint8_t next[MOAT_HASH_LEN_MAX];
	int ret = 0;

	for (size_t done = 0; done < len && ret == 0; done += block) {
		size_t part = len - done < block ? len - done : block;

		ret = moat_prf(hash, key, parts, COUNT(parts), next);
		if (ret == 0) {
			memcpy(k, next, block);
			memcpy(out + done, k, part);
		}
		parts[0] = moat_view(k, block);
		parts[1] = more;
	}
	moat_wipe(k, sizeof(k));
	moat_wipe(next, sizeof(next));
	if (ret)
		moat_wipe(out, len);
	return ret;
}

/* Appendix B: SKEYID_e if it is long enough, else its expansion from one 0. */
static int cipher_key(const struct moat_ike_alg *alg, struct moat_skeys *keys)
{
	static const uint8_t zero;

	keys->key_len = alg->key_bits / 8;
	if (keys->key_len > sizeof(keys->key))
		return -1;
	if (keys->key_len <= keys->len) {
		memcpy(keys->key, keys->e, keys->key_len);
		return 0;
	}
	return expand(keys->hash, moat_view(keys->e, keys->len), moat_view(&zero, 1),
		      moat_view(NULL, 0), keys->key, keys->key_len);
}

int moat_skeys_derive(const struct moat_ike_alg *alg, const uint8_t *skeyid,
		      struct moat_view gxy, const struct moat_cookies *cky,
		      struct moat_skeys *out)
{
	struct moat_view none = { NULL, 0 };

	memset(out, 0, sizeof(*out));
	out->hash = alg->hash;
	out->len = moat_hash_len(alg->hash);
	memcpy(out->skeyid, skeyid, out->len);
	if (skeyid_n(out, none, gxy, cky, 0, out->d) == 0 &&
	    skeyid_n(out, moat_view(out->d, out->len), gxy, cky, 1, out->a) == 0 &&
	    skeyid_n(out, moat_view(out->a, out->len), gxy, cky, 2, out->e) == 0 &&
	    cipher_key(alg, out) == 0)
		return 0;
	moat_wipe(out, sizeof(*out));
	return -1;
}

/* The same expansion as that of SKEYID_e. */
int moat_ke_key(const struct moat_ike_alg *alg, struct moat_view nonce,
		const uint8_t cookie[MOAT_COOKIE_LEN], uint8_t *key)
{
	struct moat_skeys ne = { .hash = alg->hash, .len = moat_hash_len(alg->hash) };
	struct moat_view part = moat_view(cookie, MOAT_COOKIE_LEN);
	int ret = moat_prf(alg->hash, nonce, &part, 1, ne.e);

	if (!ret)
		ret = cipher_key(alg, &ne);
	if (!ret)
		memcpy(key, ne.key, ne.key_len);
	moat_wipe(&ne, sizeof(ne));
	return ret;
}

int moat_hash_i(const struct moat_skeys *keys, const struct moat_auth_input *in,
		uint8_t *out)
{
	struct moat_view parts[] = {
		in->gxi,
		in->gxr,
		moat_view(in->cky->i, MOAT_COOKIE_LEN),
		moat_view(in->cky->r, MOAT_COOKIE_LEN),
		in->sai,
		in->id,
	};

	return moat_prf(keys->hash, moat_view(keys->skeyid, keys->len), parts,
			COUNT(parts), out);
}

int moat_hash_r(const struct moat_skeys *keys, const struct moat_auth_input *in,
		uint8_t *out)
{
	struct moat_view parts[] = {
		in->gxr,
		in->gxi,
		moat_view(in->cky->r, MOAT_COOKIE_LEN),
		moat_view(in->cky->i, MOAT_COOKIE_LEN),
		in->sai,
		in->id,
	};

	return moat_prf(keys->hash, moat_view(keys->skeyid, keys->len), parts,
			COUNT(parts), out);
}

int moat_hash_1(const struct moat_skeys *keys, uint32_t message_id, struct moat_view rest,
		uint8_t *out)
{
	return moat_hash_2(keys, message_id, moat_view(NULL, 0), rest, out);
}

int moat_hash_2(const struct moat_skeys *keys, uint32_t message_id, struct moat_view ni,
		struct moat_view rest, uint8_t *out)
{
	uint8_t id[4];
	struct moat_view parts[] = { moat_view(id, sizeof(id)), ni, rest };

	moat_set32(id, message_id);
	return moat_prf(keys->hash, moat_view(keys->a, keys->len), parts, COUNT(parts),
			out);
}

int moat_hash_3(const struct moat_skeys *keys, uint32_t message_id, struct moat_view ni,
		struct moat_view nr, uint8_t *out)
{
	uint8_t id[5] = { 0 };
	struct moat_view parts[] = { moat_view(id, sizeof(id)), ni, nr };

	moat_set32(id + 1, message_id);
	return moat_prf(keys->hash, moat_view(keys->a, keys->len), parts, COUNT(parts),
			out);
}

static int iv_from(const struct moat_ike_alg *alg, struct moat_view first,
		   struct moat_view second, uint8_t *iv)
{
	struct moat_view parts[] = { first, second };
	uint8_t digest[MOAT_HASH_LEN_MAX];

	if (moat_hash(alg->hash, parts, COUNT(parts), digest) < 0)
		return -1;
	memcpy(iv, digest, moat_cipher_block(alg->cipher));
	return 0;
}

int moat_iv_phase1(const struct moat_ike_alg *alg, struct moat_view gxi,
		   struct moat_view gxr, uint8_t *iv)
{
	return iv_from(alg, gxi, gxr, iv);
}

int moat_iv_exchange(const struct moat_ike_alg *alg, const uint8_t *last,
		     uint32_t message_id, uint8_t *iv)
{
	uint8_t id[4];

	moat_set32(id, message_id);
	return iv_from(alg, moat_view(last, moat_cipher_block(alg->cipher)),
		       moat_view(id, sizeof(id)), iv);
}

int moat_keymat(const struct moat_skeys *keys, const struct moat_keymat_input *in,
		uint8_t *out, size_t len)
{
	uint8_t seed[1024 + 5 + 2 * MOAT_NONCE_MAX]; /* g^xy of modp8192 at most */
	size_t n = in->gqmxy.len;
	int ret;

	if (n > 1024 || in->ni.len > MOAT_NONCE_MAX || in->nr.len > MOAT_NONCE_MAX)
		return -1;
	if (n)
		memcpy(seed, in->gqmxy.data, n);
	seed[n] = in->protocol;
	moat_set32(seed + n + 1, in->spi);
	n += 5;
	memcpy(seed + n, in->ni.data, in->ni.len);
	n += in->ni.len;
	memcpy(seed + n, in->nr.data, in->nr.len);
	n += in->nr.len;
	ret = expand(keys->hash, moat_view(keys->d, keys->len), moat_view(seed, n),
		     moat_view(seed, n), out, len);
	moat_wipe(seed, sizeof(seed));
	return ret;
}
