// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Proposals of both phases: what is offered is chosen by a peer with the same
 * configuration; what does not fit is explained attribute by attribute.
 */
#include "ike/proposal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "data.h"

/* An SA payload in a message of its own. */
struct offer {
	uint8_t buf[4096];
	struct moat_message msg;
	struct moat_sa_payload sa;
};

static void start(struct moat_build *b, struct offer *o)
{
	struct moat_hdr hdr = { .cookie_i = { 1 }, .exchange = MOAT_X_MAIN };

	moat_build_start(b, o->buf, sizeof(o->buf), &hdr);
}

static void finish(struct moat_build *b, struct offer *o)
{
	size_t len = moat_build_finish(b);
	struct moat_refusal no;

	assert_int_not_equal(len, 0);
	assert_int_equal(
		moat_chain_parse(MOAT_P_SA,
				 moat_view(o->buf + MOAT_HDR_LEN, len - MOAT_HDR_LEN),
				 false, &o->msg, &no),
		0);
	if (moat_sa_parse(o->msg.payloads[0].body, &o->sa, &no) < 0)
		fail_msg("%s", no.text);
}

static void parse_body(const char *hex, struct data *d, struct moat_sa_payload *sa)
{
	struct moat_refusal no;

	*d = data_hex(hex);
	if (moat_sa_parse(data_view(d), sa, &no) < 0)
		fail_msg("%s", no.text);
}

/* --- phase 1 --- */

static struct moat_ike_algs ike_algs(const char *a, const char *b)
{
	struct moat_ike_algs list = { .count = 0 };
	char err[160] = "";

	if (moat_ike_algs_add(&list, a, err, sizeof(err)) < 0 ||
	    (b && moat_ike_algs_add(&list, b, err, sizeof(err)) < 0))
		fail_msg("%s", err);
	return list;
}

static void ike_offer(struct offer *o, const struct moat_ike_want *want)
{
	struct moat_build b;

	start(&b, o);
	moat_ike_offer_build(&b, want);
	finish(&b, o);
}

static void test_ike_agreement(void **state)
{
	struct moat_ike_algs ia =
		ike_algs("aes128-sha1-modp2048-ecp256", "aes256-sha512-modp4096");
	struct moat_ike_algs ra =
		ike_algs("aes256-sha512-modp4096", "aes128-sha1-modp2048");
	struct moat_ike_want i = { &ia, MOAT_METHOD_PSK, 0, 28800 };
	struct moat_ike_want r = { &ra, MOAT_METHOD_PSK, 0, 86400 };
	struct moat_ike_choice choice, agreed;
	struct moat_mismatch why;
	struct offer offer, answer;
	struct moat_build b;

	(void)state;
	ike_offer(&offer, &i);
	assert_int_equal(offer.sa.proposal_count, 1);
	assert_int_equal(offer.sa.transform_count, 3);
	assert_int_equal(moat_ike_choose(&r, &offer.sa, MOAT_SA_OFFER, &choice, &why), 0);
	/* Ours come first, and the shorter lifetime wins. */
	assert_int_equal(choice.alg.hash, MOAT_HASH_SHA512);
	assert_int_equal(choice.alg.group, MOAT_GROUP_MODP4096);
	assert_int_equal(choice.life_seconds, 28800);
	assert_int_equal(choice.transform.number, 3);

	start(&b, &answer);
	moat_ike_answer_build(&b, &choice);
	finish(&b, &answer);
	assert_int_equal(moat_ike_choose(&i, &answer.sa, MOAT_SA_ANSWER, &agreed, &why),
			 0);
	assert_memory_equal(&agreed.alg, &choice.alg, sizeof(agreed.alg));
	assert_int_equal(agreed.life_seconds, 28800);
	/* The transform comes back as it was offered (RFC 2408 §4.2). */
	assert_true(moat_view_equal(agreed.transform.attributes,
				    offer.sa.transforms[2].attributes));
}

static void ike_explains(const char *ours, uint16_t method, const char *theirs,
			 uint16_t their_method, const char *text)
{
	struct moat_ike_algs a = ike_algs(ours, NULL);
	struct moat_ike_algs b = ike_algs(theirs, NULL);
	struct moat_ike_want want = { &a, method, 0, 28800 };
	struct moat_ike_want peer = { &b, their_method, 0, 28800 };
	struct moat_ike_choice choice;
	struct moat_mismatch why;
	struct offer offer;

	ike_offer(&offer, &peer);
	assert_int_equal(moat_ike_choose(&want, &offer.sa, MOAT_SA_OFFER, &choice, &why),
			 -1);
	assert_string_equal(why.text, text);
	/* The same attribute by attribute, and the setting that would mend it. */
	assert_int_equal(why.key,
			 strstr(text, " to ike") ? MOAT_CONF_IKE : MOAT_CONF_AUTH);
	for (unsigned int i = 0; i < why.n_diff; i++) {
		text = strstr(text, why.diff[i].attribute);
		assert_non_null(text);
		assert_non_null(strstr(text, why.diff[i].offered));
		assert_non_null(strstr(text, why.diff[i].ours));
	}
	assert_true(why.n_diff > 0);
}

static void test_ike_explanations(void **state)
{
	(void)state;
	ike_explains("aes256-sha256-modp2048", 1, "3des-sha256-modp2048", 1,
		     "no proposal fits; closest of 1 offered; encryption: offered 3des, "
		     "we have aes256; to accept: add \"3des-sha256-modp2048\" to ike and "
		     "set weak = true (3des)");
	ike_explains("aes256-sha256-modp2048", 1, "aes128-sha256-modp2048", 1,
		     "no proposal fits; closest of 1 offered; encryption: offered "
		     "aes128, we have aes256; to accept: add \"aes128-sha256-modp2048\" "
		     "to ike");
	ike_explains(
		"aes256-sha256-modp2048", 1, "aes256-sha1-modp2048", 1,
		"no proposal fits; closest of 1 offered; hash: offered sha1, we have "
		"sha256; to accept: add \"aes256-sha1-modp2048\" to ike");
	ike_explains("aes256-sha256-modp2048", 1, "aes256-sha256-ecp384-modp3072", 1,
		     "no proposal fits; closest of 2 offered; group: offered ecp384, we "
		     "have modp2048; to accept: add \"aes256-sha256-ecp384\" to ike");
	ike_explains("aes256-sha256-modp2048", 1, "aes256-sha256-modp2048", 3,
		     "no proposal fits; closest of 1 offered; authentication: offered "
		     "rsa-sig, we have psk; set auth = \"rsa-sig\"");
	/* The closest of several is the one explained. */
	ike_explains("aes256-sha256-modp2048-ecp256", 1,
		     "3des-aes128-sha1-sha256-modp1024-ecp256", 1,
		     "no proposal fits; closest of 8 offered; encryption: offered 3des, "
		     "we have aes256; to accept: add \"3des-sha256-ecp256\" to ike and "
		     "set weak = true (3des)");
	ike_explains("aes256-sha256-modp2048", 1, "3des-md5-modp1024", 3,
		     "no proposal fits; closest of 1 offered; encryption: offered 3des, "
		     "we have aes256; hash: offered md5, we have sha256; group: offered "
		     "modp1024, we have modp2048; authentication: offered rsa-sig, we "
		     "have psk; to accept: add \"3des-md5-modp1024\" to ike and set weak "
		     "= true (3des, md5, modp1024); set auth = \"rsa-sig\"");
}

#define DOI		  "00000001 00000001"
#define IKE_T(len, attrs) "00 00 " len " 01 01 0000 " attrs

static void ike_hex(const char *hex, const char *text)
{
	struct moat_ike_algs a = ike_algs("aes128-sha1-modp2048", NULL);
	struct moat_ike_want want = { &a, MOAT_METHOD_PSK, 0, 28800 };
	struct moat_ike_choice choice;
	struct moat_sa_payload sa;
	struct moat_mismatch why;
	struct data d;
	int ret;

	parse_body(hex, &d, &sa);
	ret = moat_ike_choose(&want, &sa, MOAT_SA_OFFER, &choice, &why);
	if (!text) {
		assert_string_equal(ret ? why.text : "fits", "fits");
		assert_int_equal(choice.life_seconds, 28800);
		return;
	}
	assert_int_equal(ret, -1);
	assert_string_equal(why.text, text);
}

#define FINE "80010007 800e0080 80020002 80030001 8004000e"

static void test_ike_attributes(void **state)
{
	(void)state;
	/* the transform of `ike-scan --trans="(1=7,14=128,2=2,3=1,4=14)"` */
	ike_hex(DOI "00 00 0024 01 01 00 01" IKE_T("001c", FINE), NULL);
	/* both formats of the duration, and kilobytes, which are no seconds */
	ike_hex(DOI "00 00 0048 01 01 00 01" IKE_T(
			"0040", FINE
			"800b0001 000c0004 00007080 800b0002 000c0008 0000000000001000 "
			"800b0001 800c7080"),
		NULL);
	ike_hex(DOI "00 00 0028 01 01 00 01" IKE_T("0020", FINE "80020004"),
		"no proposal fits; closest of 1 offered; the offer has two different "
		"values of one attribute");
	ike_hex(DOI "00 00 0028 01 01 00 01" IKE_T("0020", FINE "800d0001"),
		"no proposal fits; closest of 1 offered; the offer has an attribute that "
		"is not supported");
	ike_hex(DOI "00 00 0028 01 01 00 01" IKE_T("0020", FINE "800c0e10"),
		"no proposal fits; closest of 1 offered; the offer has a life duration "
		"without a life type before it");
	ike_hex(DOI "00 00 002c 01 01 00 01" IKE_T("0024", FINE "800b0001 800c0000"),
		"no proposal fits; closest of 1 offered; the offer has a life duration "
		"of 0");
	ike_hex(DOI "00 00 0034 01 01 00 01" IKE_T("002c", FINE
						   "800b0001 800c0e10 800b0001 800c0e11"),
		"no proposal fits; closest of 1 offered; the offer has two different "
		"life durations of one type");
	ike_hex(DOI "00 00 0028 01 01 00 01" IKE_T("0020", FINE "800b0003"),
		"no proposal fits; closest of 1 offered; the offer has a life type that "
		"is neither seconds nor kilobytes");
	ike_hex(DOI "00 00 0020 01 01 00 01" IKE_T("0018",
						   "80010007 80020002 80030001 8004000e"),
		"no proposal fits; closest of 1 offered; encryption: offered aes without "
		"a key length, we have aes128; Moat does not have all of that: change "
		"the peer's proposal");
	ike_hex(DOI "00 00 0020 01 01 00 01" IKE_T("0018",
						   "80010001 80020002 80030001 80040001"),
		"no proposal fits; closest of 1 offered; encryption: offered des, we "
		"have aes128; group: offered group 1, we have modp2048; Moat does not "
		"have all of that: change the peer's proposal");
	ike_hex(DOI "00 00 0024 01 01 00 01" IKE_T(
			"001c", "80010063 800e0080 80020063 80030001 8004000e"),
		"no proposal fits; closest of 1 offered; encryption: offered encryption "
		"99128, we have aes128; hash: offered hash 99, we have sha1; Moat does "
		"not have all of that: change the peer's proposal");
	ike_hex(DOI "00 00 0010 01 01 00 01" IKE_T("0008", ""),
		"no proposal fits; closest of 1 offered; encryption: offered none, we "
		"have aes128; hash: offered none, we have sha1; group: offered none, we "
		"have modp2048; authentication: offered unknown, we have psk; Moat does "
		"not have all of that: change the peer's proposal");
	ike_hex(DOI "00 00 0024 01 01 00 01 00 00 001c 01 02 0000" FINE,
		"no proposal fits; closest of 1 offered; the offer has a transform that "
		"is not KEY_IKE");
	ike_hex(DOI "00 00 0028 01 03 04 01 00001000" IKE_T("001c", FINE),
		"nothing was offered, or nothing is configured");
}

static void test_ike_bad_answers(void **state)
{
	struct moat_ike_algs a = ike_algs("aes128-aes256-sha1-modp2048", NULL);
	struct moat_ike_algs other = ike_algs("aes192-sha1-modp2048", NULL);
	struct moat_ike_want want = { &a, MOAT_METHOD_PSK, 0, 28800 };
	struct moat_ike_want not_ours = { &other, MOAT_METHOD_PSK, 0, 28800 };
	struct moat_ike_choice choice;
	struct moat_mismatch why;
	struct offer offer;

	(void)state;
	ike_offer(&offer, &want);
	assert_int_equal(moat_ike_choose(&want, &offer.sa, MOAT_SA_ANSWER, &choice, &why),
			 -1);
	assert_string_equal(why.text, "the answer holds more than one transform");
	ike_offer(&offer, &not_ours);
	assert_int_equal(moat_ike_choose(&want, &offer.sa, MOAT_SA_ANSWER, &choice, &why),
			 -1);
	assert_string_equal(why.text,
			    "the answer is none of what was offered; encryption: offered "
			    "aes192, we have aes128");
}

static void test_life_seconds_wide(void **state)
{
	struct moat_ike_algs a = ike_algs("aes128-sha1-modp2048", NULL);
	struct moat_ike_want want = { &a, MOAT_METHOD_PSK, 0, 0 };
	struct moat_ike_choice choice;
	struct moat_sa_payload sa;
	struct moat_mismatch why;
	struct data d;

	(void)state;
	parse_body(DOI "00 00 0034 01 01 00 01" IKE_T(
			   "002c", FINE "800b0001 000c0008 0000000100000000"),
		   &d, &sa);
	assert_int_equal(moat_ike_choose(&want, &sa, MOAT_SA_OFFER, &choice, &why), 0);
	assert_int_equal(choice.life_seconds, UINT32_MAX);
}

/* --- phase 2 --- */

static struct moat_sa_algs sa_algs(uint8_t protocol, const char *a, const char *b)
{
	struct moat_sa_algs list = { .count = 0 };
	char err[160] = "";

	if (moat_sa_algs_add(&list, protocol, a, err, sizeof(err)) < 0 ||
	    (b && moat_sa_algs_add(&list, protocol, b, err, sizeof(err)) < 0))
		fail_msg("%s", err);
	return list;
}

static void sa_offer(struct offer *o, const struct moat_sa_want *want)
{
	struct moat_build b;

	start(&b, o);
	moat_sa_offer_build(&b, want, 0x11223344, 0x55667788);
	finish(&b, o);
}

static void agree(const struct moat_sa_want *i, const struct moat_sa_want *r,
		  struct moat_sa_choice *choice)
{
	struct moat_sa_choice agreed;
	struct moat_mismatch why;
	struct offer offer, answer;
	struct moat_build b;

	sa_offer(&offer, i);
	if (moat_sa_choose(r, &offer.sa, MOAT_SA_OFFER, choice, &why) < 0)
		fail_msg("%s", why.text);
	start(&b, &answer);
	moat_sa_answer_build(&b, choice, 0xaabbccdd, 0x99887766);
	finish(&b, &answer);
	if (moat_sa_choose(i, &answer.sa, MOAT_SA_ANSWER, &agreed, &why) < 0)
		fail_msg("%s", why.text);
	assert_int_equal(agreed.group, choice->group);
	/* The transform comes back unchanged, so the initiator sees its own. */
	assert_int_equal(agreed.life_seconds, i->life_seconds);
	if (choice->has_esp) {
		assert_memory_equal(&agreed.esp.alg, &choice->esp.alg,
				    sizeof(agreed.esp.alg));
		assert_int_equal(choice->esp.spi, 0x11223344);
		assert_int_equal(agreed.esp.spi, 0xaabbccdd);
	}
	if (choice->has_ah) {
		assert_memory_equal(&agreed.ah.alg, &choice->ah.alg,
				    sizeof(agreed.ah.alg));
		assert_int_equal(choice->ah.spi, 0x55667788);
		assert_int_equal(agreed.ah.spi, 0x99887766);
	}
	assert_int_equal(agreed.has_esp, choice->has_esp);
	assert_int_equal(agreed.has_ah, choice->has_ah);
}

static void test_esp_agreement(void **state)
{
	struct moat_sa_algs ia =
		sa_algs(MOAT_PROTO_ESP, "aes128gcm16-aes256-3des-sha1-modp2048", NULL);
	struct moat_sa_algs ra =
		sa_algs(MOAT_PROTO_ESP, "aes256gcm16-modp2048", "aes256-sha1-modp2048");
	struct moat_sa_want i = { .esp = &ia,
				  .mode = MOAT_MODE_TUNNEL,
				  .life_seconds = 100000,
				  .life_kilobytes = 5000000000 };
	struct moat_sa_want r = { .esp = &ra,
				  .mode = MOAT_MODE_TUNNEL,
				  .life_seconds = 3600 };
	struct moat_sa_choice choice;

	(void)state;
	agree(&i, &r, &choice);
	assert_int_equal(choice.esp.alg.enc, MOAT_ENC_AES_CBC);
	assert_int_equal(choice.esp.alg.key_bits, 256);
	assert_int_equal(choice.esp.alg.auth, MOAT_AUTH_HMAC_SHA1);
	assert_int_equal(choice.group, MOAT_GROUP_MODP2048);
	assert_int_equal(choice.mode, MOAT_MODE_TUNNEL);
	assert_int_equal(choice.life_seconds, 3600);
	assert_int_equal(choice.life_kilobytes, UINT32_MAX);
}

/* Every algorithm with numbers in IKEv1 survives an offer and an answer. */
static void test_every_algorithm(void **state)
{
	static const char *const esp[] = {
		"aes128-sha256",  "aes192-sha384",  "aes256-sha512-esn",
		"aes128ctr-sha1", "aes256ccm8",	    "aes128ccm12",
		"aes192ccm16",	  "aes128gcm8",	    "aes192gcm12",
		"aes256gcm16",	  "aes256gmac",	    "null-sha256",
		"3des-md5",	  "aes128-aesxcbc", "aes128-sha256_96-curve25519",
	};
	static const char *const ah[] = {
		"md5",	   "sha1",	 "sha256",     "sha384",	   "sha512-esn",
		"aesxcbc", "aes128gmac", "aes192gmac", "aes256gmac-ecp256"
	};
	struct moat_sa_choice choice;
	char word[64];

	(void)state;
	for (size_t i = 0; i < sizeof(esp) / sizeof(esp[0]); i++) {
		struct moat_sa_algs list = sa_algs(MOAT_PROTO_ESP, esp[i], NULL);
		struct moat_sa_want want = { .esp = &list, .mode = MOAT_MODE_TRANSPORT };

		want.life_seconds = 3600;
		agree(&want, &want, &choice);
		moat_sa_alg_print(&choice.esp.alg, word, sizeof(word));
		assert_string_equal(word, esp[i]);
	}
	for (size_t i = 0; i < sizeof(ah) / sizeof(ah[0]); i++) {
		struct moat_sa_algs list = sa_algs(MOAT_PROTO_AH, ah[i], NULL);
		struct moat_sa_want want = { .ah = &list, .mode = MOAT_MODE_TUNNEL };

		want.life_seconds = 3600;
		agree(&want, &want, &choice);
		moat_sa_alg_print(&choice.ah.alg, word, sizeof(word));
		assert_string_equal(word, ah[i]);
	}
}

static void test_bundle(void **state)
{
	struct moat_sa_algs esp =
		sa_algs(MOAT_PROTO_ESP, "aes128gcm16-aes256gcm16", NULL);
	struct moat_sa_algs ah = sa_algs(MOAT_PROTO_AH, "sha1-sha256", NULL);
	struct moat_sa_algs only = sa_algs(MOAT_PROTO_AH, "sha256", NULL);
	struct moat_sa_want i = {
		.esp = &esp, .ah = &ah, .mode = MOAT_MODE_TUNNEL, .life_seconds = 3600
	};
	struct moat_sa_want r = i;
	struct moat_sa_choice choice;
	struct moat_mismatch why;
	struct offer offer;

	(void)state;
	r.ah = &only;
	agree(&i, &r, &choice);
	assert_true(choice.has_esp);
	assert_true(choice.has_ah);
	assert_int_equal(choice.ah.alg.auth, MOAT_AUTH_HMAC_SHA256);

	/* Half of a bundle is not what was asked for, in either direction. */
	sa_offer(&offer, &i);
	r.ah = NULL;
	assert_int_equal(moat_sa_choose(&r, &offer.sa, MOAT_SA_OFFER, &choice, &why), -1);
	assert_string_equal(why.text, "no proposal fits; protocol: offered AH over ESP, "
				      "we have ESP; set esp and ah to what the peer has");
	assert_int_equal(why.key, MOAT_CONF_AH);
	sa_offer(&offer, &r);
	assert_int_equal(moat_sa_choose(&i, &offer.sa, MOAT_SA_OFFER, &choice, &why), -1);
	assert_string_equal(why.text, "no proposal fits; protocol: offered ESP, we have "
				      "AH over ESP; set esp and ah to what the peer "
				      "has");
}

static void test_one_group_is_offered(void **state)
{
	struct moat_sa_algs list = sa_algs(MOAT_PROTO_ESP, "aes128gcm16-ecp256-modp2048",
					   "aes256gcm16-chacha20poly1305-ecp256");
	struct moat_sa_algs none = sa_algs(MOAT_PROTO_ESP, "aes128gcm16-modp2048", NULL);
	struct moat_sa_want want = { .esp = &list,
				     .mode = MOAT_MODE_TUNNEL,
				     .life_seconds = 3600 };
	struct moat_sa_want other = { .esp = &none,
				      .mode = MOAT_MODE_TUNNEL,
				      .life_seconds = 3600 };
	struct moat_sa_choice choice;
	struct moat_mismatch why;
	struct offer offer;

	(void)state;
	assert_int_equal(moat_sa_want_group(&want), MOAT_GROUP_ECP256);
	sa_offer(&offer, &want);
	assert_int_equal(offer.sa.transform_count, 2);
	/* An answer with a group that we have but did not offer is refused. */
	sa_offer(&offer, &other);
	assert_int_equal(moat_sa_choose(&want, &offer.sa, MOAT_SA_OFFER, &choice, &why),
			 0);
	assert_int_equal(moat_sa_choose(&want, &offer.sa, MOAT_SA_ANSWER, &choice, &why),
			 -1);
	assert_string_equal(why.text,
			    "the answer is none of what was offered; PFS group: offered "
			    "modp2048, we have ecp256");
}

static void test_nothing_to_offer(void **state)
{
	struct moat_sa_algs list = sa_algs(MOAT_PROTO_ESP, "chacha20poly1305", NULL);
	struct moat_sa_want want = { .esp = &list, .mode = MOAT_MODE_TUNNEL };
	struct moat_build b;
	struct offer o;

	(void)state;
	start(&b, &o);
	moat_sa_offer_build(&b, &want, 0x1000, 0);
	assert_int_equal(moat_build_finish(&b), 0);
}

static void sa_explains(const char *ours, enum moat_mode mode, const char *theirs,
			enum moat_mode their_mode, const char *text)
{
	static const char closest[] = "no proposal fits; closest of 1 offered; ";
	struct moat_sa_algs a = sa_algs(MOAT_PROTO_ESP, ours, NULL);
	struct moat_sa_algs b = sa_algs(MOAT_PROTO_ESP, theirs, NULL);
	struct moat_sa_want want = { .esp = &a, .mode = mode, .life_seconds = 3600 };
	struct moat_sa_want peer = { .esp = &b,
				     .mode = their_mode,
				     .life_seconds = 3600 };
	struct moat_sa_choice choice;
	struct moat_mismatch why;
	struct offer offer;

	sa_offer(&offer, &peer);
	assert_int_equal(moat_sa_choose(&want, &offer.sa, MOAT_SA_OFFER, &choice, &why),
			 -1);
	assert_memory_equal(why.text, closest, sizeof(closest) - 1);
	assert_string_equal(why.text + sizeof(closest) - 1, text);
}

static void test_sa_explanations(void **state)
{
	enum moat_mode tunnel = MOAT_MODE_TUNNEL;
	enum moat_mode transport = MOAT_MODE_TRANSPORT;

	(void)state;
	sa_explains(
		"aes128gcm16-modp2048", tunnel, "aes256gcm16-modp2048", tunnel,
		"encryption: offered aes256gcm16, we have aes128gcm16; to accept: add "
		"\"aes256gcm16-modp2048\" to esp");
	sa_explains("aes128gcm16-modp2048", tunnel, "aes128gcm16", tunnel,
		    "PFS group: offered none, we have modp2048; to accept: have "
		    "\"aes128gcm16\" in esp, and no group in its other entries");
	sa_explains("aes128gcm16", tunnel, "aes128gcm16-modp1024", tunnel,
		    "PFS group: offered modp1024, we have none; to accept: have "
		    "\"aes128gcm16-modp1024\" in esp, and a group in its other entries "
		    "and set weak = true (modp1024)");
	sa_explains("aes128-sha256", tunnel, "aes128-sha1", tunnel,
		    "integrity: offered sha1, we have sha256; to accept: add "
		    "\"aes128-sha1\" to esp");
	sa_explains("aes128-sha256", tunnel, "aes128-sha256", transport,
		    "mode: offered transport, we have tunnel; set mode = \"transport\"");
	sa_explains("aes128-sha256", tunnel, "aes128-sha256-esn", tunnel,
		    "sequence numbers: offered esn, we have noesn; to accept: add "
		    "\"aes128-sha256-esn\" to esp, or set esn = \"auto\" where it is "
		    "\"off\"");
	sa_explains("aes128gcm16-modp2048", tunnel, "3des-md5-modp2048", tunnel,
		    "encryption: offered 3des, we have aes128gcm16; integrity: offered "
		    "md5, we have none; to accept: add \"3des-md5-modp2048\" to esp and "
		    "set weak = true (3des, md5)");
}

static void sa_hex(const char *hex, const char *text)
{
	struct moat_sa_algs list = sa_algs(MOAT_PROTO_ESP, "aes128-sha1", NULL);
	struct moat_sa_want want = { .esp = &list,
				     .mode = MOAT_MODE_TUNNEL,
				     .life_seconds = 50000 };
	struct moat_sa_choice choice;
	struct moat_sa_payload sa;
	struct moat_mismatch why;
	struct data d;
	int ret;

	parse_body(hex, &d, &sa);
	ret = moat_sa_choose(&want, &sa, MOAT_SA_OFFER, &choice, &why);
	if (!text) {
		if (ret)
			fail_msg("%s", why.text);
		/* Not given, so RFC 2407 §4.5 says 28800. */
		assert_int_equal(choice.life_seconds, 28800);
		return;
	}
	assert_int_equal(ret, -1);
	assert_string_equal(why.text, text);
}

#define ESP(spi, len, tlen, id, attrs) \
	DOI "00 00 " len " 01 03 04 01 " spi " 00 00 " tlen " 01 " id " 0000 " attrs

static void test_sa_attributes(void **state)
{
	(void)state;
	sa_hex(ESP("00001000", "0020", "0014", "0c", "80060080 80050002 80040001"), NULL);
	/* Without a mode it is the host's; 0 for 32-bit numbers is not RFC 4304. */
	sa_hex(ESP("00001000", "001c", "0010", "0c", "80060080 80050002"), NULL);
	sa_hex(ESP("000000ff", "001c", "0010", "0c", "80060080 80050002"),
	       "no proposal fits; closest of 1 offered; the offer has an SPI below 256");
	sa_hex(ESP("00001000", "0020", "0014", "0c", "80060080 80050002 800b0002"),
	       "no proposal fits; closest of 1 offered; the offer has a value of the sequence number "
	       "attribute that is not 1");
	sa_hex(ESP("00001000", "0020", "0014", "0c", "80060080 80050002 80080005"),
	       "no proposal fits; closest of 1 offered; the offer has an attribute that "
	       "is not supported");
	sa_hex(ESP("00001000", "0020", "0014", "0c", "80060080 80050002 80040000"),
	       "no proposal fits; closest of 1 offered; the offer has an attribute of "
	       "value 0");
	sa_hex(ESP("00001000", "0020", "0014", "0c", "80060080 80050002 80060100"),
	       "no proposal fits; closest of 1 offered; the offer has two different "
	       "values of one attribute");
	sa_hex(ESP("00001000", "0018", "000c", "0c", "80050002"),
	       "no proposal fits; closest of 1 offered; encryption: offered aes without "
	       "a key length, we have aes128; Moat does not have all of that: change the "
	       "peer's proposal");
	sa_hex(ESP("00001000", "001c", "0010", "63", "80060080 80050063"),
	       "no proposal fits; closest of 1 offered; encryption: offered ESP transform "
	       "99 with 128-bit keys, we have aes128; integrity: offered integrity 99, "
	       "we have sha1; Moat does not have all of that: change the peer's "
	       "proposal");
	sa_hex(DOI
	       "02 00 001c 01 03 04 01 00001000 00 00 0010 01 0c 0000 80060080 80050002"
	       "00 00 0012 01 04 02 01 1234 00 00 0008 01 02 0000",
	       "no proposal fits; protocol: offered ESP with IPCOMP, we have ESP; Moat "
	       "has no IPCOMP: the peer must not compress");
}

static void test_udp_encapsulation(void **state)
{
	struct moat_sa_algs list = sa_algs(MOAT_PROTO_ESP, "aes128gcm16", NULL);
	struct moat_sa_want plain = { .esp = &list,
				      .mode = MOAT_MODE_TUNNEL,
				      .life_seconds = 3600 };
	struct moat_sa_want udp = plain;
	struct moat_sa_choice choice;
	struct moat_mismatch why;
	struct offer offer;

	(void)state;
	udp.udp = true;
	agree(&udp, &udp, &choice);
	sa_offer(&offer, &udp);
	assert_int_equal(moat_sa_choose(&plain, &offer.sa, MOAT_SA_OFFER, &choice, &why),
			 -1);
	assert_string_equal(why.text,
			    "no proposal fits; closest of 1 offered; mode: offered "
			    "udp-tunnel, we have tunnel");
}

static void test_bad_sa_answers(void **state)
{
	struct moat_sa_algs list =
		sa_algs(MOAT_PROTO_ESP, "aes128gcm16-aes256gcm16", NULL);
	struct moat_sa_want want = { .esp = &list,
				     .mode = MOAT_MODE_TUNNEL,
				     .life_seconds = 3600 };
	struct moat_sa_choice choice;
	struct moat_sa_payload sa;
	struct moat_mismatch why;
	struct offer offer;
	struct data d;

	(void)state;
	sa_offer(&offer, &want);
	assert_int_equal(moat_sa_choose(&want, &offer.sa, MOAT_SA_ANSWER, &choice, &why),
			 -1);
	assert_string_equal(why.text,
			    "the answer holds more than one transform of a proposal");
	parse_body(DOI "02 00 0018 01 03 04 01 00001000 00 00 000c 01 14 0000 80060080"
		       "00 00 0018 02 03 04 01 00001000 00 00 000c 01 14 0000 80060080",
		   &d, &sa);
	assert_int_equal(moat_sa_choose(&want, &sa, MOAT_SA_ANSWER, &choice, &why), -1);
	assert_string_equal(why.text, "the answer holds more than one proposal");
}

static void test_prints(void **state)
{
	struct moat_ike_algs ike = ike_algs("aes128-aes256-sha1-modp2048", NULL);
	struct moat_sa_algs esp = sa_algs(MOAT_PROTO_ESP, "aes128gcm16", NULL);
	struct moat_sa_algs ah = sa_algs(MOAT_PROTO_AH, "sha1-sha256", NULL);
	struct moat_ike_want want = { &ike, MOAT_METHOD_PSK, 0, 28800 };
	struct moat_sa_want sa = { .esp = &esp, .ah = &ah, .mode = MOAT_MODE_TUNNEL };
	struct moat_mismatch out;

	(void)state;
	moat_ike_want_print(&want, &out);
	assert_string_equal(out.text, "we offered authentication psk and ike "
				      "aes128-sha1-modp2048, aes256-sha1-modp2048");
	moat_sa_want_print(&sa, &out);
	assert_string_equal(out.text,
			    "we offered mode tunnel, esp aes128gcm16, ah sha1, sha256");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ike_agreement),
		cmocka_unit_test(test_ike_explanations),
		cmocka_unit_test(test_ike_attributes),
		cmocka_unit_test(test_ike_bad_answers),
		cmocka_unit_test(test_life_seconds_wide),
		cmocka_unit_test(test_esp_agreement),
		cmocka_unit_test(test_every_algorithm),
		cmocka_unit_test(test_bundle),
		cmocka_unit_test(test_one_group_is_offered),
		cmocka_unit_test(test_nothing_to_offer),
		cmocka_unit_test(test_sa_explanations),
		cmocka_unit_test(test_sa_attributes),
		cmocka_unit_test(test_udp_encapsulation),
		cmocka_unit_test(test_bad_sa_answers),
		cmocka_unit_test(test_prints),
	};

	return cmocka_run_group_tests_name("proposal", tests, NULL, NULL);
}
