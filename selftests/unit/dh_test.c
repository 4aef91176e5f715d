// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Diffie-Hellman: RFC 5903 §8, RFC 8031 appendix A, and MODP values computed by
 * Python from the primes' formula (vectors/generate).
 */
#include "ike/dh.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "data.h"
#include "ike/crypt.h"
#include "ike/dhprime.h"

static enum moat_group group_named(const char *name)
{
	for (int g = MOAT_GROUP_NONE + 1; g < MOAT_GROUP_MAX; g++)
		if (strcmp(moat_group_name(g), name) == 0)
			return g;
	fail_msg("no group %s", name);
	return MOAT_GROUP_NONE;
}

static void check_side(const json_t *v, const char *mine, const char *peer)
{
	enum moat_group group = group_named(data_string(v, "group"));
	struct data shared = data_field(v, "shared");
	struct data priv, pub, other;
	uint8_t out[MOAT_DH_PUBLIC_MAX];
	struct moat_refusal no;
	char field[32];

	snprintf(field, sizeof(field), "private_%s", mine);
	priv = data_field(v, field);
	snprintf(field, sizeof(field), "public_%s", mine);
	pub = data_field(v, field);
	snprintf(field, sizeof(field), "public_%s", peer);
	other = data_field(v, field);

	assert_int_equal(priv.len, moat_dh_private_len(group));
	assert_int_equal(pub.len, moat_dh_public_len(group));
	assert_int_equal(shared.len, moat_dh_shared_len(group));
	assert_int_equal(moat_dh_public(group, priv.octets, out), 0);
	assert_memory_equal(out, pub.octets, pub.len);
	assert_int_equal(moat_dh_shared(group, priv.octets, data_view(&other), out, &no),
			 0);
	assert_memory_equal(out, shared.octets, shared.len);
}

static unsigned int check_file(const char *name)
{
	json_t *array = data_load(name);
	unsigned int count = 0;
	const json_t *v;
	size_t i;

	json_array_foreach(array, i, v) {
		check_side(v, "i", "r");
		check_side(v, "r", "i");
		count++;
	}
	json_decref(array);
	return count;
}

static void test_curves(void **state)
{
	(void)state;
	assert_int_equal(check_file("dh-rfc.json"), 4);
}

static void test_modp(void **state)
{
	(void)state;
	assert_int_equal(check_file("modp.json"), 7);
}

static void refused(enum moat_group group, struct moat_view pub, const char *text)
{
	struct moat_refusal no = { .why = MOAT_REFUSE_NONE };

	assert_int_equal(moat_dh_check(group, pub, &no), -1);
	assert_int_equal(no.why, MOAT_REFUSE_KEY);
	assert_string_equal(no.text, text);
}

static void test_modp_bad_values(void **state)
{
	json_t *array = data_load("modp.json");
	const json_t *v;
	size_t i;

	(void)state;
	json_array_foreach(array, i, v) {
		enum moat_group group = group_named(data_string(v, "group"));
		struct data minus_one = data_field(v, "minus_one");
		struct data prime = data_field(v, "prime");
		struct data small = { .len = prime.len };
		struct data good = data_field(v, "public_i");
		char text[160];

		snprintf(text, sizeof(text), "public value is not in 2 to p - 2 of %s",
			 moat_group_name(group));
		refused(group, data_view(&small), text); /* 0 */
		small.octets[small.len - 1] = 1;
		refused(group, data_view(&small), text); /* 1 */
		refused(group, data_view(&minus_one), text);
		refused(group, data_view(&prime), text);
		small.octets[small.len - 1] = 2;
		assert_int_equal(moat_dh_check(group, data_view(&small), NULL), 0);
		/* p - 2 */
		minus_one.octets[minus_one.len - 1]--;
		assert_int_equal(moat_dh_check(group, data_view(&minus_one), NULL), 0);
		snprintf(text, sizeof(text), "public value has %zu bytes, %s takes %zu",
			 good.len - 1, moat_group_name(group), good.len);
		refused(group, moat_view(good.octets, good.len - 1), text);
	}
	json_decref(array);
}

static void test_curve_bad_values(void **state)
{
	json_t *array = data_load("dh-rfc.json");
	const json_t *v;
	size_t i;

	(void)state;
	json_array_foreach(array, i, v) {
		enum moat_group group = group_named(data_string(v, "group"));
		struct data pub = data_field(v, "public_i");
		struct data priv = data_field(v, "private_i");
		struct data zero = { .len = pub.len };
		uint8_t out[MOAT_DH_PUBLIC_MAX];
		struct moat_refusal no;
		char text[160];

		snprintf(text, sizeof(text), "public value is no point of %s",
			 moat_group_name(group));
		if (group == MOAT_GROUP_CURVE25519) {
			/* Small order: found only when the secret comes out zero. */
			assert_int_equal(moat_dh_shared(group, priv.octets,
							data_view(&zero), out, &no),
					 -1);
			assert_int_equal(no.why, MOAT_REFUSE_KEY);
			continue;
		}
		refused(group, data_view(&zero), text);
		pub.octets[pub.len - 1] ^= 1;
		refused(group, data_view(&pub), text);
		/* Private values of 0 and of more than the order. */
		assert_int_equal(moat_dh_public(group, zero.octets, out), -1);
		memset(zero.octets, 0xff, zero.len);
		assert_int_equal(moat_dh_public(group, zero.octets, out), -1);
		refused(group, data_view(&zero), text);
	}
	json_decref(array);
}

/* What the edges draw are octets: nearly all of them must make a value. */
static void test_any_octets(void **state)
{
	uint8_t mine[MOAT_DH_PRIVATE_MAX], theirs[MOAT_DH_PRIVATE_MAX];
	uint8_t pub[2][MOAT_DH_PUBLIC_MAX], shared[2][MOAT_DH_PUBLIC_MAX];

	(void)state;
	for (int g = MOAT_GROUP_ECP256; g < MOAT_GROUP_MAX; g++) {
		size_t len = moat_dh_public_len(g);

		for (unsigned int seed = 0; seed < 16; seed++) {
			for (size_t i = 0; i < sizeof(mine); i++) {
				mine[i] = (uint8_t)(0xef - 13 * seed - 7 * i);
				theirs[i] = (uint8_t)(0x7f + 11 * seed + 5 * i);
			}
			assert_int_equal(moat_dh_public(g, mine, pub[0]), 0);
			assert_int_equal(moat_dh_public(g, theirs, pub[1]), 0);
			assert_int_equal(moat_dh_shared(g, mine, moat_view(pub[1], len),
							shared[0], NULL),
					 0);
			assert_int_equal(moat_dh_shared(g, theirs, moat_view(pub[0], len),
							shared[1], NULL),
					 0);
			assert_memory_equal(shared[0], shared[1], moat_dh_shared_len(g));
		}
	}
}

static void test_every_group_has_sizes(void **state)
{
	(void)state;
	for (int g = MOAT_GROUP_NONE + 1; g < MOAT_GROUP_MAX; g++) {
		assert_in_range(moat_dh_private_len(g), 30, MOAT_DH_PRIVATE_MAX);
		assert_in_range(moat_dh_public_len(g), 32, MOAT_DH_PUBLIC_MAX);
		assert_int_equal(moat_group_from_number(moat_group_number(g)), g);
	}
	assert_int_equal(moat_dh_public_len(MOAT_GROUP_NONE), 0);
	assert_int_equal(moat_dh_public_len(MOAT_GROUP_MAX), 0);
	assert_int_equal(moat_dh_check(MOAT_GROUP_NONE, moat_view("", 0), NULL), -1);
	assert_null(moat_dh_prime(MOAT_GROUP_ECP256));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_curves),
		cmocka_unit_test(test_modp),
		cmocka_unit_test(test_modp_bad_values),
		cmocka_unit_test(test_curve_bad_values),
		cmocka_unit_test(test_any_octets),
		cmocka_unit_test(test_every_group_has_sizes),
	};

	if (moat_crypt_init() < 0)
		return 1;
	return cmocka_run_group_tests_name("dh", tests, NULL, NULL);
}
