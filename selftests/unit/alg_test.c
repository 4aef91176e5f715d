// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Algorithm strings: to structures and back, key lengths, and the sentence for
 * each kind of mistake.
 */
#include "ike/alg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "wire/isakmp.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* @want: what the string becomes, entry by entry, joined by blanks */
static void ike_becomes(const char *s, const char *want)
{
	struct moat_ike_algs list = { .count = 0 };
	char err[160] = "";
	char got[512] = "";

	if (moat_ike_algs_add(&list, s, err, sizeof(err)) < 0)
		fail_msg("%s", err);
	for (unsigned int i = 0; i < list.count; i++) {
		size_t used = strlen(got);

		if (used)
			got[used++] = ' ';
		moat_ike_alg_print(&list.alg[i], got + used, sizeof(got) - used);
	}
	assert_string_equal(got, want);
}

static void sa_becomes(uint8_t protocol, const char *s, const char *want)
{
	struct moat_sa_algs list = { .count = 0 };
	char err[160] = "";
	char got[512] = "";

	if (moat_sa_algs_add(&list, protocol, s, err, sizeof(err)) < 0)
		fail_msg("%s", err);
	for (unsigned int i = 0; i < list.count; i++) {
		size_t used = strlen(got);

		assert_int_equal(list.alg[i].protocol, protocol);
		if (used)
			got[used++] = ' ';
		moat_sa_alg_print(&list.alg[i], got + used, sizeof(got) - used);
	}
	assert_string_equal(got, want);
}

static void test_ike_strings(void **state)
{
	(void)state;
	ike_becomes("aes256-sha256-modp2048", "aes256-sha256-modp2048");
	ike_becomes("aes-sha-dh14", "aes128-sha1-modp2048");
	ike_becomes("modp2048-sha2_384-aes192", "aes192-sha384-modp2048");
	ike_becomes("3des-md5-modp1024", "3des-md5-modp1024");
	ike_becomes("aes256-sha512-x25519", "aes256-sha512-curve25519");
	ike_becomes("aes256-aes128-sha1-ecp256-ecp521",
		    "aes256-sha1-ecp256 aes256-sha1-ecp521 aes128-sha1-ecp256 "
		    "aes128-sha1-ecp521");
	ike_becomes("aes128-sha1-dh2", "aes128-sha1-modp1024");
	ike_becomes("aes128-sha1-dh31", "aes128-sha1-curve25519");
}

static void test_sa_strings(void **state)
{
	(void)state;
	sa_becomes(MOAT_PROTO_ESP, "aes128gcm16-modp2048", "aes128gcm16-modp2048");
	sa_becomes(MOAT_PROTO_ESP, "aes256gcm128", "aes256gcm16");
	sa_becomes(MOAT_PROTO_ESP, "aes-sha256_96-dh14", "aes128-sha256_96-modp2048");
	sa_becomes(MOAT_PROTO_ESP, "aes128gcm16-esn", "aes128gcm16-esn");
	sa_becomes(MOAT_PROTO_ESP, "aes128gcm16-noesn", "aes128gcm16");
	sa_becomes(MOAT_PROTO_ESP, "aes128gcm16-esn-noesn",
		   "aes128gcm16-esn aes128gcm16");
	sa_becomes(MOAT_PROTO_ESP, "null-sha512", "null-sha512");
	sa_becomes(MOAT_PROTO_ESP, "aes256ctr-sha384", "aes256ctr-sha384");
	sa_becomes(MOAT_PROTO_ESP, "aes192ccm12", "aes192ccm12");
	sa_becomes(MOAT_PROTO_ESP, "aes256gmac", "aes256gmac");
	sa_becomes(MOAT_PROTO_ESP, "chacha20poly1305", "chacha20poly1305");
	sa_becomes(MOAT_PROTO_ESP, "aes128-aes128gcm16-sha1", "aes128-sha1 aes128gcm16");
	sa_becomes(MOAT_PROTO_AH, "sha256-sha1-modp3072",
		   "sha256-modp3072 sha1-modp3072");
	sa_becomes(MOAT_PROTO_AH, "aes192gmac", "aes192gmac");
	sa_becomes(MOAT_PROTO_AH, "aescmac", "aescmac");
}

static void test_mistakes(void **state)
{
	static const struct {
		uint8_t protocol; /* 0: ike */
		const char *s;
		const char *err;
	} cases[] = {
		{ 0, "",
		  "\"\": a word is empty or too long at \"\"; words are joined by '-'" },
		{ 0, "aes256--sha256-modp2048",
		  "\"aes256--sha256-modp2048\": a word is empty or too long at "
		  "\"-sha256-modp2048\"; words are joined by '-'" },
		{ 0, "aes256-sha256-modp2048-",
		  "\"aes256-sha256-modp2048-\": a word is empty or too long at \"-\"; "
		  "words are joined by '-'" },
		{ 0, "aes256-sha257-modp2048",
		  "\"aes256-sha257-modp2048\": \"sha257\" is no algorithm of ike, or "
		  "stands more than 8 times" },
		{ 0, "AES256-sha256-modp2048",
		  "\"AES256-sha256-modp2048\": \"AES256\" is no algorithm of ike, or "
		  "stands more than 8 times" },
		{ 0, "aes128gcm16-sha256-modp2048",
		  "\"aes128gcm16-sha256-modp2048\": \"aes128gcm16\" is no algorithm of "
		  "ike, or stands more than 8 times" },
		{ 0, "sha256-modp2048",
		  "\"sha256-modp2048\": an encryption algorithm is missing, as in "
		  "\"aes256-sha256-modp2048\"" },
		{ 0, "aes256-modp2048",
		  "\"aes256-modp2048\": a hash is missing, as in "
		  "\"aes256-sha256-modp2048\"" },
		{ 0, "aes256-sha256",
		  "\"aes256-sha256\": a Diffie-Hellman group is missing, as in "
		  "\"aes256-sha256-modp2048\"" },
		{ MOAT_PROTO_ESP, "aes256",
		  "\"aes256\": aes256 needs an integrity algorithm beside it, as in "
		  "\"aes256-sha256\"" },
		{ MOAT_PROTO_ESP, "aes128gcm16-aes256",
		  "\"aes128gcm16-aes256\": aes256 needs an integrity algorithm beside it, "
		  "as in \"aes256-sha256\"" },
		{ MOAT_PROTO_ESP, "sha256",
		  "\"sha256\": an encryption algorithm is missing, as in "
		  "\"aes128gcm16-modp2048\"" },
		{ MOAT_PROTO_ESP, "aes128gcm16-sha256",
		  "\"aes128gcm16-sha256\": aes128gcm16 protects integrity itself and "
		  "takes no sha256" },
		{ MOAT_PROTO_AH, "aes128-sha256",
		  "\"aes128-sha256\": \"aes128\" is no algorithm of ah, or stands more "
		  "than 8 times" },
		{ MOAT_PROTO_AH, "modp2048",
		  "\"modp2048\": an integrity algorithm is missing, as in "
		  "\"sha256-modp2048\"" },
		{ MOAT_PROTO_ESP,
		  "aes128-aes192-aes256-sha1-sha256-sha384-sha512-modp2048-ecp256-ecp384",
		  "\"aes128-aes192-aes256-sha1-sha256-sha384-sha512-modp2048-ecp256-"
		  "ecp384\": more than 32 combinations in one list" },
		{ 0,
		  "aes128-aes192-aes256-sha1-sha256-sha384-sha512-modp2048-ecp256-ecp384",
		  "\"aes128-aes192-aes256-sha1-sha256-sha384-sha512-modp2048-ecp256-"
		  "ecp384\": more than 32 combinations in one list" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct moat_ike_algs ike = { .count = 1 };
		struct moat_sa_algs sa = { .count = 1 };
		char err[240] = "";
		int ret;

		if (cases[i].protocol)
			ret = moat_sa_algs_add(&sa, cases[i].protocol, cases[i].s, err,
					       sizeof(err));
		else
			ret = moat_ike_algs_add(&ike, cases[i].s, err, sizeof(err));
		/* The rest of a list that is full need not be read. */
		assert_int_equal(ret, strstr(err, "more than 32 combinations")
					      ? MOAT_ALGS_FULL
					      : -1);
		assert_string_equal(err, cases[i].err);
		assert_int_equal(ike.count, 1);
		assert_int_equal(sa.count, 1);
	}
}

static void test_too_many_of_a_kind(void **state)
{
	struct moat_ike_algs list = { .count = 0 };
	char err[240];

	(void)state;
	assert_int_equal(moat_ike_algs_add(&list,
					   "aes128-aes128-aes128-aes128-aes128-aes128-"
					   "aes128-aes128-aes128-sha1-modp2048",
					   err, sizeof(err)),
			 -1);
	assert_non_null(strstr(err, "\"aes128\" is no algorithm of ike, or stands more"));
}

static struct moat_sa_alg one(uint8_t protocol, const char *s)
{
	struct moat_sa_algs list = { .count = 0 };
	char err[160] = "";

	if (moat_sa_algs_add(&list, protocol, s, err, sizeof(err)) < 0)
		fail_msg("%s", err);
	assert_int_equal(list.count, 1);
	return list.alg[0];
}

/* What the kernel and KEYMAT get: RFC 4106 §8, 3686 §5.1, 4309 §7.1, 4543, 4868. */
static void test_key_layouts(void **state)
{
	static const struct {
		uint8_t protocol;
		const char *s;
		enum moat_enc enc;
		enum moat_auth auth;
		uint16_t enc_len;
		uint16_t auth_len;
		uint8_t icv;
		bool negotiable;
	} cases[] = {
		{ MOAT_PROTO_ESP, "aes128gcm16", MOAT_ENC_AES_GCM, 0, 20, 0, 16, true },
		{ MOAT_PROTO_ESP, "aes192gcm12", MOAT_ENC_AES_GCM, 0, 28, 0, 12, true },
		{ MOAT_PROTO_ESP, "aes256gcm8", MOAT_ENC_AES_GCM, 0, 36, 0, 8, true },
		{ MOAT_PROTO_ESP, "aes128ccm8", MOAT_ENC_AES_CCM, 0, 19, 0, 8, true },
		{ MOAT_PROTO_ESP, "aes256ccm16", MOAT_ENC_AES_CCM, 0, 35, 0, 16, true },
		{ MOAT_PROTO_ESP, "aes128gmac", MOAT_ENC_AES_GMAC, 0, 20, 0, 16, true },
		{ MOAT_PROTO_ESP, "chacha20poly1305", MOAT_ENC_CHACHA20_POLY1305, 0, 36,
		  0, 16, false },
		{ MOAT_PROTO_ESP, "aes128ctr-sha1", MOAT_ENC_AES_CTR, MOAT_AUTH_HMAC_SHA1,
		  20, 20, 12, true },
		{ MOAT_PROTO_ESP, "aes256-sha256", MOAT_ENC_AES_CBC,
		  MOAT_AUTH_HMAC_SHA256, 32, 32, 16, true },
		{ MOAT_PROTO_ESP, "aes256-sha256_96", MOAT_ENC_AES_CBC,
		  MOAT_AUTH_HMAC_SHA256, 32, 32, 12, true },
		{ MOAT_PROTO_ESP, "aes192-sha384", MOAT_ENC_AES_CBC,
		  MOAT_AUTH_HMAC_SHA384, 24, 48, 24, true },
		{ MOAT_PROTO_ESP, "3des-md5", MOAT_ENC_3DES_CBC, MOAT_AUTH_HMAC_MD5, 24,
		  16, 12, true },
		{ MOAT_PROTO_ESP, "null-sha512", MOAT_ENC_NULL, MOAT_AUTH_HMAC_SHA512, 0,
		  64, 32, true },
		{ MOAT_PROTO_ESP, "aes128-aesxcbc", MOAT_ENC_AES_CBC, MOAT_AUTH_AES_XCBC,
		  16, 16, 12, true },
		{ MOAT_PROTO_ESP, "aes128-aescmac", MOAT_ENC_AES_CBC, MOAT_AUTH_AES_CMAC,
		  16, 16, 12, false },
		{ MOAT_PROTO_AH, "sha256", 0, MOAT_AUTH_HMAC_SHA256, 0, 32, 16, true },
		{ MOAT_PROTO_AH, "aes256gmac", 0, MOAT_AUTH_AES_GMAC, 0, 36, 16, true },
		{ MOAT_PROTO_AH, "aescmac", 0, MOAT_AUTH_AES_CMAC, 0, 16, 12, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct moat_sa_alg alg = one(cases[i].protocol, cases[i].s);
		struct moat_key_layout keys = moat_sa_alg_keys(&alg);

		assert_int_equal(alg.enc, cases[i].enc);
		assert_int_equal(alg.auth, cases[i].auth);
		assert_int_equal(alg.icv_len, cases[i].icv);
		assert_int_equal(keys.enc_len, cases[i].enc_len);
		assert_int_equal(keys.auth_len, cases[i].auth_len);
		assert_int_equal(moat_sa_alg_negotiable(&alg), cases[i].negotiable);
	}
}

/* Its weak parts are these, or "" for none. */
static void expect_weak_ike(const char *s, const char *parts)
{
	struct moat_ike_algs list = { .count = 0 };
	char err[160] = "", weak[MOAT_WEAK_STRLEN];

	if (moat_ike_algs_add(&list, s, err, sizeof(err)) < 0)
		fail_msg("%s", err);
	assert_int_equal(moat_ike_alg_weak(&list.alg[0], weak), parts[0] != '\0');
	if (parts[0])
		assert_string_equal(weak, parts);
}

static void expect_weak_esp(const char *s, const char *parts)
{
	struct moat_sa_alg alg = one(MOAT_PROTO_ESP, s);
	char weak[MOAT_WEAK_STRLEN];

	assert_int_equal(moat_sa_alg_weak(&alg, weak), parts[0] != '\0');
	if (parts[0])
		assert_string_equal(weak, parts);
}

static void test_weak(void **state)
{
	(void)state;
	expect_weak_ike("aes128-sha1-modp2048", "");
	expect_weak_ike("3des-sha1-modp2048", "3des");
	expect_weak_ike("aes128-md5-modp2048", "md5");
	expect_weak_ike("aes128-sha1-modp1024", "modp1024");
	expect_weak_ike("aes128-sha1-modp1536", "modp1536");
	expect_weak_ike("3des-md5-modp1536", "3des, md5, modp1536");
	expect_weak_esp("aes128-sha1", "");
	expect_weak_esp("3des-sha1", "3des");
	expect_weak_esp("aes128-md5", "md5");
	expect_weak_esp("aes128-sha1-modp1024", "modp1024");
	expect_weak_esp("3des-md5-modp1024", "3des, md5, modp1024");
}

static void test_defaults_are_strong(void **state)
{
	struct moat_ike_algs ike;
	struct moat_sa_algs esp;
	char word[64], weak[MOAT_WEAK_STRLEN];

	(void)state;
	moat_ike_algs_default(&ike);
	moat_sa_algs_default(&esp);
	moat_ike_alg_print(&ike.alg[0], word, sizeof(word));
	assert_string_equal(word, "aes256-sha256-modp2048");
	moat_sa_alg_print(&esp.alg[0], word, sizeof(word));
	assert_string_equal(word, "aes128gcm16-modp2048");
	for (unsigned int i = 0; i < ike.count; i++)
		assert_false(moat_ike_alg_weak(&ike.alg[i], weak));
	for (unsigned int i = 0; i < esp.count; i++) {
		struct moat_sa_alg again;

		/* One group, since a quick mode has one KE payload. */
		assert_int_equal(esp.alg[i].group, esp.alg[0].group);
		assert_false(moat_sa_alg_weak(&esp.alg[i], weak));
		moat_sa_alg_print(&esp.alg[i], word, sizeof(word));
		again = one(MOAT_PROTO_ESP, word);
		assert_memory_equal(&again, &esp.alg[i], sizeof(again));
	}
}

static void test_unknown(void **state)
{
	struct moat_sa_alg none = { .protocol = MOAT_PROTO_ESP };

	(void)state;
	assert_int_equal(moat_cipher_block(MOAT_CIPHER_NONE), 0);
	assert_int_equal(moat_hash_len(MOAT_HASH_NONE), 0);
	assert_string_equal(moat_cipher_name(MOAT_CIPHER_AES_CBC, 64), "none");
	assert_string_equal(moat_hash_name(MOAT_HASH_NONE), "none");
	assert_string_equal(moat_group_name(MOAT_GROUP_NONE), "none");
	assert_int_equal(moat_group_from_number(1), MOAT_GROUP_NONE);
	assert_int_equal(moat_sa_alg_keys(&none).enc_len, 0);
	assert_false(moat_sa_alg_negotiable(&none));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ike_strings),
		cmocka_unit_test(test_sa_strings),
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_too_many_of_a_kind),
		cmocka_unit_test(test_key_layouts),
		cmocka_unit_test(test_weak),
		cmocka_unit_test(test_defaults_are_strong),
		cmocka_unit_test(test_unknown),
	};

	return cmocka_run_group_tests_name("alg", tests, NULL, NULL);
}
