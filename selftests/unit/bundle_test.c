// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * AH over ESP in one offer, as a peer may write it that we would not: two proposals
 * with one number, which agree on what they are to have in common.
 */
#include "ike/proposal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "data.h"

static struct moat_sa_algs algs(uint8_t protocol, const char *text)
{
	struct moat_sa_algs list = { .count = 0 };
	char err[160] = "";

	if (moat_sa_algs_add(&list, protocol, text, err, sizeof(err)))
		fail_msg("%s", err);
	return list;
}

/* What becomes of an SA payload's body with these entries for ESP. */
static int choose_of(const char *entries, const char *hex, struct moat_sa_choice *choice,
		     struct moat_mismatch *why)
{
	struct moat_sa_algs esp = algs(MOAT_PROTO_ESP, entries);
	struct moat_sa_algs ah = algs(MOAT_PROTO_AH, "sha256-ecp256-modp2048");
	struct moat_sa_want want = {
		.esp = &esp, .ah = &ah, .mode = MOAT_MODE_TUNNEL, .life_seconds = 3600
	};
	struct data d = data_hex(hex);
	struct moat_sa_payload sa;
	struct moat_refusal no;

	if (moat_sa_parse(data_view(&d), &sa, &no))
		fail_msg("%s", no.text);
	return moat_sa_choose(&want, &sa, MOAT_SA_OFFER, choice, why);
}

/* Both sides' groups are ecp256 and modp2048. */
static int choose(const char *hex, struct moat_sa_choice *choice,
		  struct moat_mismatch *why)
{
	return choose_of("aes128-sha1-ecp256-modp2048", hex, choice, why);
}

#define DOI "00000001 00000001"
#define GROUP(ah, esp)                                                        \
	DOI "02 00 001c 01 02 04 01 00002000 00 00 0010 01 05 0000 80050005"  \
	    "8003" ah "00 00 0020 01 03 04 01 00001000 00 00 0014 01 0c 0000" \
	    "80060080 80050002 8003" esp
#define ECP256	 "0013"
#define MODP2048 "000e"

/* There is one KE for both (RFC 2409 section 5.5), so there is one group. */
static void groups(void **state)
{
	struct moat_sa_choice choice;
	struct moat_mismatch why;

	(void)state;
	assert_int_equal(choose(GROUP(ECP256, ECP256), &choice, &why), 0);
	assert_int_equal(choice.group, MOAT_GROUP_ECP256);
	assert_int_equal(choose(GROUP(MODP2048, MODP2048), &choice, &why), 0);
	assert_int_equal(choice.group, MOAT_GROUP_MODP2048);
	assert_int_equal(choose(GROUP(MODP2048, ECP256), &choice, &why), -1);
	assert_string_equal(
		why.text, "no proposal fits; closest of 2 offered; PFS group: offered "
			  "modp2048, we have ecp256; to accept: add \"sha256-modp2048\" "
			  "to ah");
	assert_int_equal(choose(GROUP(ECP256, MODP2048), &choice, &why), -1);
}

/* AH with SHA-1 over ESP with AES of as many bits, in hexadecimal. */
#define SHA1_OVER(bits)                                                      \
	DOI "02 00 001c 01 02 04 01 00002000 00 00 0010 01 03 0000 80050002" \
	    "80030013 00 00 0020 01 03 04 01 00001000 00 00 0014 01 0c 0000" \
	    "8006" bits "80050002 80030013"

/* ESP is there, as whichever entry: only AH is to blame. */
static void blamed(void **state)
{
	static const char *const cases[] = { SHA1_OVER("0080"), SHA1_OVER("0100") };
	struct moat_sa_choice choice;
	struct moat_mismatch why;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(choose_of("aes128-aes256-sha1-ecp256", cases[i], &choice,
					   &why),
				 -1);
		assert_string_equal(
			why.text,
			"no proposal fits; closest of 2 offered; integrity: offered "
			"sha1, we have sha256; to accept: add \"sha1-ecp256\" to ah");
		assert_int_equal(why.key, MOAT_CONF_AH);
	}
}

/* Seconds and kilobytes of each, in hexadecimal. */
#define LIVES(ah_s, ah_kb, esp_s, esp_kb)                                    \
	DOI "02 00 002c 01 02 04 01 00002000 00 00 0020 01 05 0000 80050005" \
	    "80030013 80010001 8002" ah_s "80010002 8002" ah_kb              \
	    "00 00 0030 01 03 04 01 00001000 00 00 0024 01 0c 0000 80060080" \
	    "80050002 80030013 80010001 8002" esp_s "80010002 8002" esp_kb

/* Both end as one, so the shorter life counts, whose it be. */
static void lives(void **state)
{
	static const char *const cases[] = {
		LIVES("0258", "03e8", "0384", "07d0"),
		LIVES("0384", "07d0", "0258", "03e8"),
	};
	struct moat_sa_choice choice;
	struct moat_mismatch why;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (choose(cases[i], &choice, &why))
			fail_msg("%s", why.text);
		assert_int_equal(choice.life_seconds, 0x258);
		assert_int_equal(choice.life_kilobytes, 0x3e8);
	}
}

/* Of AH: keys of so many bits, which an HMAC has no choice of; and a life. */
#define AH_BITS(bits)                                                               \
	DOI "02 00 0020 01 02 04 01 00002000 00 00 0014 01 05 0000 80050005"        \
	    "80030013 8006" bits "00 00 0020 01 03 04 01 00001000 00 00 0014 01 0c" \
	    "0000 80060080 80050002 80030013"
#define AH_LIFE(attrs)                                                          \
	DOI "02 00 0028 01 02 04 01 00002000 00 00 001c 01 05 0000 80050005"    \
	    "80030013" attrs "00 00 0020 01 03 04 01 00001000 00 00 0014 01 0c" \
	    "0000 80060080 80050002 80030013"

/* An attribute that has no sense is not passed over. */
static void attributes(void **state)
{
	static const struct {
		const char *hex, *why;
	} cases[] = {
		{ AH_BITS("0100"), "integrity: offered" },
		{ AH_BITS("0080"), "integrity: offered" },
		{ AH_LIFE("80010001 80020258 80030013"), NULL },
		{ AH_LIFE("80010001 80020258 80020258"),
		  "a life duration without a life type before it" },
	};
	struct moat_sa_choice choice;
	struct moat_mismatch why;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (!choose(cases[i].hex, &choice, &why) != !cases[i].why ||
		    (cases[i].why && !strstr(why.text, cases[i].why)))
			fail_msg("case %zu: %s", i, why.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(groups),
		cmocka_unit_test(blamed),
		cmocka_unit_test(lives),
		cmocka_unit_test(attributes),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
