// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Keys of IKEv1 against NIST's vector, against Python's hmac (vectors/generate)
 * and, for CBC, against NIST SP 800-38A.
 */
#include "ike/keys.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "data.h"

static void same(const uint8_t *got, const json_t *vector, const char *field)
{
	struct data want = data_field(vector, field);

	assert_true(want.len > 0);
	assert_memory_equal(got, want.octets, want.len);
}

static enum moat_hash hash_named(const char *name)
{
	for (int h = MOAT_HASH_MD5; h <= MOAT_HASH_SHA512; h++)
		if (strcmp(moat_hash_name(h), name) == 0)
			return h;
	fail_msg("no hash %s", name);
	return MOAT_HASH_NONE;
}

static struct moat_ike_alg alg_of(const json_t *v)
{
	struct moat_ike_algs list = { .count = 0 };
	char word[64];
	char err[160];

	snprintf(word, sizeof(word), "%s-%s-modp2048", data_string(v, "cipher"),
		 data_string(v, "hash"));
	assert_int_equal(moat_ike_algs_add(&list, word, err, sizeof(err)), 0);
	assert_int_equal(list.count, 1);
	return list.alg[0];
}

static struct moat_cookies cookies_of(const json_t *v, const char *i, const char *r)
{
	struct data ci = data_field(v, i);
	struct data cr = data_field(v, r);
	struct moat_cookies cky;

	assert_int_equal(ci.len, sizeof(cky.i));
	assert_int_equal(cr.len, sizeof(cky.r));
	memcpy(cky.i, ci.octets, sizeof(cky.i));
	memcpy(cky.r, cr.octets, sizeof(cky.r));
	return cky;
}

static void test_nist_psk(void **state)
{
	json_t *array = data_load("ikev1-psk-keys.json");
	const json_t *v;
	size_t i;

	(void)state;
	json_array_foreach(array, i, v) {
		struct data psk = data_field(v, "pre_shared_key");
		struct data ni = data_field(v, "nonce_i");
		struct data nr = data_field(v, "nonce_r");
		struct data gxy = data_field(v, "g_xy");
		struct moat_cookies cky = cookies_of(v, "cookie_i", "cookie_r");
		struct moat_ike_alg alg = { MOAT_CIPHER_AES_CBC, 128, MOAT_HASH_SHA1,
					    MOAT_GROUP_MODP2048 };
		uint8_t skeyid[MOAT_HASH_LEN_MAX];
		struct moat_skeys keys;

		assert_string_equal(data_string(v, "prf"), "HMAC-SHA1");
		assert_int_equal(moat_skeyid_psk(MOAT_HASH_SHA1, data_view(&psk),
						 data_view(&ni), data_view(&nr), skeyid),
				 0);
		assert_int_equal(
			moat_skeys_derive(&alg, skeyid, data_view(&gxy), &cky, &keys), 0);
		same(keys.skeyid, v, "skeyid");
		same(keys.d, v, "skeyid_d");
		same(keys.a, v, "skeyid_a");
		same(keys.e, v, "skeyid_e");
	}
	json_decref(array);
}

/* One vector of keys.json, opened. */
struct fixture {
	const json_t *v;
	struct moat_ike_alg alg;
	struct moat_cookies cky;
	struct data ni, nr, gxi, gxr, gxy;
	struct moat_skeys keys;
};

static void open_fixture(const json_t *v, struct fixture *f)
{
	struct data psk = data_field(v, "psk");
	uint8_t skeyid[MOAT_HASH_LEN_MAX];

	f->v = v;
	f->alg = alg_of(v);
	f->cky = cookies_of(v, "cky_i", "cky_r");
	f->ni = data_field(v, "ni");
	f->nr = data_field(v, "nr");
	f->gxi = data_field(v, "gxi");
	f->gxr = data_field(v, "gxr");
	f->gxy = data_field(v, "gxy");
	assert_int_equal(f->alg.hash, hash_named(data_string(v, "hash")));
	assert_int_equal(moat_skeyid_psk(f->alg.hash, data_view(&psk), data_view(&f->ni),
					 data_view(&f->nr), skeyid),
			 0);
	assert_int_equal(moat_skeys_derive(&f->alg, skeyid, data_view(&f->gxy), &f->cky,
					   &f->keys),
			 0);
}

/* Run a check on each vector of keys.json. */
static void each(void (*check)(const struct fixture *f))
{
	json_t *array = data_load("keys.json");
	struct fixture f;
	const json_t *v;
	size_t i;

	assert_int_equal(json_array_size(array), 20);
	json_array_foreach(array, i, v) {
		open_fixture(v, &f);
		check(&f);
	}
	json_decref(array);
}

static void check_skeyids(const struct fixture *f)
{
	uint8_t out[MOAT_HASH_LEN_MAX];

	same(f->keys.skeyid, f->v, "skeyid");
	same(f->keys.d, f->v, "d");
	same(f->keys.a, f->v, "a");
	same(f->keys.e, f->v, "e");
	same(f->keys.key, f->v, "key");
	assert_int_equal(f->keys.key_len, f->alg.key_bits / 8);
	assert_int_equal(moat_skeyid_sig(f->alg.hash, data_view(&f->ni),
					 data_view(&f->nr), data_view(&f->gxy), out),
			 0);
	same(out, f->v, "skeyid_sig");
	assert_int_equal(moat_skeyid_enc(f->alg.hash, data_view(&f->ni),
					 data_view(&f->nr), &f->cky, out),
			 0);
	same(out, f->v, "skeyid_enc");
}

static void test_skeyids(void **state)
{
	(void)state;
	each(check_skeyids);
}

static void check_auth(const struct fixture *f)
{
	struct data sai = data_field(f->v, "sai");
	struct data idii = data_field(f->v, "idii");
	struct data idir = data_field(f->v, "idir");
	struct moat_auth_input in = {
		.gxi = data_view(&f->gxi),
		.gxr = data_view(&f->gxr),
		.cky = &f->cky,
		.sai = data_view(&sai),
		.id = data_view(&idii),
	};
	uint8_t out[MOAT_HASH_LEN_MAX];

	assert_int_equal(moat_hash_i(&f->keys, &in, out), 0);
	same(out, f->v, "hash_i");
	in.id = data_view(&idir);
	assert_int_equal(moat_hash_r(&f->keys, &in, out), 0);
	same(out, f->v, "hash_r");
}

static void test_auth_hashes(void **state)
{
	(void)state;
	each(check_auth);
}

static void check_quick(const struct fixture *f)
{
	struct data rest = data_field(f->v, "rest");
	struct data mid = data_field(f->v, "mid");
	uint32_t id = moat_get32(mid.octets);
	uint8_t out[MOAT_HASH_LEN_MAX];

	assert_int_equal(moat_hash_1(&f->keys, id, data_view(&rest), out), 0);
	same(out, f->v, "hash_1");
	assert_int_equal(
		moat_hash_2(&f->keys, id, data_view(&f->ni), data_view(&rest), out), 0);
	same(out, f->v, "hash_2");
	assert_int_equal(
		moat_hash_3(&f->keys, id, data_view(&f->ni), data_view(&f->nr), out), 0);
	same(out, f->v, "hash_3");
}

static void test_quick_hashes(void **state)
{
	(void)state;
	each(check_quick);
}

static void check_ivs(const struct fixture *f)
{
	struct data mid = data_field(f->v, "mid");
	struct data last = data_field(f->v, "last");
	uint8_t iv[MOAT_BLOCK_MAX];

	assert_int_equal(last.len, moat_cipher_block(f->alg.cipher));
	assert_int_equal(
		moat_iv_phase1(&f->alg, data_view(&f->gxi), data_view(&f->gxr), iv), 0);
	same(iv, f->v, "iv");
	assert_int_equal(
		moat_iv_exchange(&f->alg, last.octets, moat_get32(mid.octets), iv), 0);
	same(iv, f->v, "iv_exchange");
}

static void test_ivs(void **state)
{
	(void)state;
	each(check_ivs);
}

static void check_keymat(const struct fixture *f)
{
	struct data ni = data_field(f->v, "qm_ni");
	struct data nr = data_field(f->v, "qm_nr");
	struct data gxy = data_field(f->v, "qm_gxy");
	struct data spi = data_field(f->v, "spi");
	struct data want = data_field(f->v, "keymat");
	struct moat_keymat_input in = {
		.protocol = MOAT_PROTO_ESP,
		.spi = moat_get32(spi.octets),
		.ni = data_view(&ni),
		.nr = data_view(&nr),
	};
	uint8_t out[161];

	assert_int_equal(want.len, 160);
	/* Each length, so that no block's edge is special; none writes too far. */
	for (size_t len = 1; len <= want.len; len++) {
		memset(out, 0xa5, sizeof(out));
		assert_int_equal(moat_keymat(&f->keys, &in, out, len), 0);
		assert_memory_equal(out, want.octets, len);
		assert_int_equal(out[len], 0xa5);
	}
	in.gqmxy = data_view(&gxy);
	assert_int_equal(moat_keymat(&f->keys, &in, out, 160), 0);
	same(out, f->v, "keymat_pfs");
}

static void test_keymat(void **state)
{
	(void)state;
	each(check_keymat);
}

static void test_limits(void **state)
{
	static const uint8_t big[1025];
	struct moat_ike_alg alg = { MOAT_CIPHER_AES_CBC, 256, MOAT_HASH_SHA256,
				    MOAT_GROUP_MODP2048 };
	struct moat_skeys keys = { .hash = MOAT_HASH_SHA256, .len = 32 };
	struct moat_keymat_input in = { .ni = moat_view(big, 257),
					.nr = moat_view(big, 16) };
	uint8_t out[64];

	(void)state;
	assert_int_equal(moat_keymat(&keys, &in, out, 32), -1);
	in.ni.len = 16;
	in.gqmxy = moat_view(big, sizeof(big));
	assert_int_equal(moat_keymat(&keys, &in, out, 32), -1);
	assert_int_equal(moat_skeyid_sig(MOAT_HASH_SHA256, moat_view(big, 257),
					 moat_view(big, 8), moat_view(big, 8), out),
			 -1);
	alg.hash = MOAT_HASH_NONE;
	assert_int_equal(moat_iv_phase1(&alg, moat_view(big, 8), moat_view(big, 8), out),
			 -1);
}

/* NIST SP 800-38A, F.2.1 and F.2.5; decryption and the IV chain with it. */
static void test_cbc(void **state)
{
	static const struct {
		uint16_t bits;
		const char *key;
		const char *cipher;
	} cases[] = {
		{ 128, "2b7e151628aed2a6abf7158809cf4f3c",
		  "7649abac8119b246cee98e9b12e9197d 5086cb9b507219ee95db113a917678b2" },
		{ 256,
		  "603deb1015ca71be2b73aef0857d7781 1f352c073b6108d72d9810a30914dff4",
		  "f58c4c04d6e5f1ba779eabfb5f7bfbd6 9cfc4e967edb808d679f777bc6702c7d" },
	};
	struct data plain = data_hex("6bc1bee22e409f96e93d7e117393172a "
				     "ae2d8a571e03ac9c9eb76fac45af8e51");
	struct data iv = data_hex("000102030405060708090a0b0c0d0e0f");

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct moat_ike_alg alg = { MOAT_CIPHER_AES_CBC, cases[i].bits,
					    MOAT_HASH_SHA1, MOAT_GROUP_MODP2048 };
		struct data key = data_hex(cases[i].key);
		struct data cipher = data_hex(cases[i].cipher);
		struct data buf = plain;
		struct data chain = iv;

		/* Two messages of a block each make what one of two blocks does. */
		for (size_t at = 0; at < 32; at += 16)
			assert_int_equal(moat_cbc_encrypt(&alg, key.octets, chain.octets,
							  buf.octets + at, 16),
					 0);
		assert_memory_equal(buf.octets, cipher.octets, 32);
		chain = iv;
		assert_int_equal(moat_cbc_decrypt(&alg, key.octets, chain.octets,
						  buf.octets, 32),
				 0);
		assert_memory_equal(buf.octets, plain.octets, 32);
		assert_memory_equal(chain.octets, cipher.octets + 16, 16);
		assert_int_equal(moat_cbc_encrypt(&alg, key.octets, chain.octets,
						  buf.octets, 31),
				 -1);
		assert_int_equal(moat_cbc_decrypt(&alg, key.octets, chain.octets,
						  buf.octets, 0),
				 -1);
	}
}

static void test_3des_round_trip(void **state)
{
	struct moat_ike_alg alg = { MOAT_CIPHER_3DES_CBC, 192, MOAT_HASH_SHA1,
				    MOAT_GROUP_MODP1024 };
	struct data key = data_hex("0123456789abcdef 23456789abcdef01 456789abcdef0123");
	/* NIST SP 800-67's example key; ECB of one block is CBC with a zero IV. */
	struct data buf = data_hex("5468652071756663");
	struct data want = data_hex("a826fd8ce53b855f");
	uint8_t iv[8] = { 0 };

	(void)state;
	assert_int_equal(moat_cbc_encrypt(&alg, key.octets, iv, buf.octets, 8), 0);
	assert_memory_equal(buf.octets, want.octets, 8);
	assert_memory_equal(iv, want.octets, 8);
}

static void test_secret_equal(void **state)
{
	(void)state;
	assert_true(moat_secret_equal("abc", "abc", 3));
	assert_false(moat_secret_equal("abc", "abd", 3));
	assert_false(moat_secret_equal("Abc", "abc", 3));
	assert_false(moat_secret_equal("abc", "abc", 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nist_psk),
		cmocka_unit_test(test_skeyids),
		cmocka_unit_test(test_auth_hashes),
		cmocka_unit_test(test_quick_hashes),
		cmocka_unit_test(test_ivs),
		cmocka_unit_test(test_keymat),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_cbc),
		cmocka_unit_test(test_3des_round_trip),
		cmocka_unit_test(test_secret_equal),
	};

	if (moat_crypt_init() < 0)
		return 1;
	return cmocka_run_group_tests_name("keys", tests, NULL, NULL);
}
