// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Exchanges that two other implementations had with each other, read with our
 * codec and our keys: every message parses and decrypts, every hash in it is
 * the one we compute, and KEYMAT is what they put into their kernel. So codec
 * and keys are checked against real peers without one being there.
 */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <setjmp.h>

#include <cmocka.h>
#include <jansson.h>

#include "ike/keys.h"
#include "wire/parse.h"

#define FOLDER	 "selftests/unit/recorded/"
#define MESSAGES 16
#define OCTETS	 1024

struct octets {
	uint8_t data[OCTETS];
	size_t len;
};

struct recorded {
	json_t *json;
	struct moat_ike_alg alg;
	struct octets gxy, datagrams[MESSAGES];
	unsigned int count;
	struct moat_hdr hdr[MESSAGES];
	struct moat_message msg[MESSAGES];
	struct moat_cookies cky;
	struct moat_skeys keys;
	uint8_t last[MOAT_BLOCK_MAX]; /* ciphertext block of phase 1 */
};

static struct octets from_hex(const char *hex)
{
	struct octets o = { .len = strlen(hex) / 2 };

	assert_true(o.len <= sizeof(o.data));
	for (size_t i = 0; i < o.len; i++)
		assert_int_equal(sscanf(hex + 2 * i, "%2hhx", &o.data[i]), 1);
	return o;
}

static struct octets field(const json_t *json, const char *name)
{
	const char *hex = json_string_value(json_object_get(json, name));

	assert_non_null(hex);
	return from_hex(hex);
}

static struct moat_view view(const struct octets *o)
{
	return moat_view(o->data, o->len);
}

static void is_field(const struct recorded *r, const char *name, const uint8_t *data,
		     size_t len)
{
	struct octets want = field(r->json, name);

	assert_int_equal(len, want.len);
	assert_memory_equal(data, want.data, len);
}

static struct moat_view body(const struct recorded *r, unsigned int message, uint8_t type)
{
	const struct moat_payload *p = moat_message_find(&r->msg[message], type);

	assert_non_null(p);
	return p->body;
}

static void parse(struct recorded *r, unsigned int n, bool encrypted)
{
	struct octets *d = &r->datagrams[n];
	struct moat_refusal no;

	if (moat_chain_parse(r->hdr[n].next_payload,
			     moat_view(d->data + MOAT_HDR_LEN, d->len - MOAT_HDR_LEN),
			     encrypted, &r->msg[n], &no))
		fail_msg("message %u: %s", n + 1, no.text);
}

/* Decrypt and parse; the IV becomes the next message's of its exchange. */
static void open_message(struct recorded *r, unsigned int n, uint8_t *iv)
{
	struct octets *d = &r->datagrams[n];

	assert_true(r->hdr[n].flags & MOAT_FLAG_ENCRYPTION);
	assert_int_equal(moat_cbc_decrypt(&r->alg, r->keys.key, iv,
					  d->data + MOAT_HDR_LEN, d->len - MOAT_HDR_LEN),
			 0);
	parse(r, n, true);
}

static void load(struct recorded *r, const char *file)
{
	json_error_t error;
	json_t *messages, *one;
	size_t i;

	memset(r, 0, sizeof(*r));
	r->json = json_load_file(file, 0, &error);
	if (!r->json)
		fail_msg("%s:%d: %s", file, error.line, error.text);
	r->alg = (struct moat_ike_alg){ .cipher = MOAT_CIPHER_AES_CBC,
					.key_bits = 256,
					.hash = MOAT_HASH_SHA256,
					.group = MOAT_GROUP_MODP2048 };
	r->gxy = field(r->json, "g_xy");
	messages = json_object_get(r->json, "messages");
	r->count = (unsigned int)json_array_size(messages);
	assert_true(r->count > 9 && r->count <= MESSAGES);
	json_array_foreach(messages, i, one) {
		struct moat_refusal no;

		r->datagrams[i] = field(one, "data");
		if (moat_hdr_parse(view(&r->datagrams[i]), &r->hdr[i], &no))
			fail_msg("message %zu: %s", i + 1, no.text);
	}
}

/* Messages 1 to 4 are in clear and hold all that the keys are made of. */
static void derive(struct recorded *r)
{
	struct octets psk = { .len = 0 };
	const char *word = json_string_value(json_object_get(r->json, "psk"));
	uint8_t skeyid[MOAT_HASH_LEN_MAX];
	size_t len = moat_hash_len(r->alg.hash);

	for (unsigned int n = 0; n < 4; n++)
		parse(r, n, false);
	memcpy(r->cky.i, r->hdr[1].cookie_i, MOAT_COOKIE_LEN);
	memcpy(r->cky.r, r->hdr[1].cookie_r, MOAT_COOKIE_LEN);
	psk.len = strlen(word);
	memcpy(psk.data, word, psk.len);
	assert_int_equal(moat_skeyid_psk(r->alg.hash, view(&psk),
					 body(r, 2, MOAT_P_NONCE),
					 body(r, 3, MOAT_P_NONCE), skeyid),
			 0);
	is_field(r, "skeyid", skeyid, len);
	assert_int_equal(
		moat_skeys_derive(&r->alg, skeyid, view(&r->gxy), &r->cky, &r->keys), 0);
	is_field(r, "skeyid_d", r->keys.d, len);
	is_field(r, "skeyid_a", r->keys.a, len);
	is_field(r, "skeyid_e", r->keys.e, len);
	is_field(r, "key", r->keys.key, r->keys.key_len);
}

/* Messages 5 and 6 prove each side's identity. */
static void authenticate(struct recorded *r)
{
	struct moat_auth_input in = { .gxi = body(r, 2, MOAT_P_KE),
				      .gxr = body(r, 3, MOAT_P_KE),
				      .cky = &r->cky,
				      .sai = body(r, 0, MOAT_P_SA) };
	size_t len = r->keys.len;
	uint8_t iv[MOAT_BLOCK_MAX], hash[MOAT_HASH_LEN_MAX];

	assert_int_equal(moat_iv_phase1(&r->alg, in.gxi, in.gxr, iv), 0);
	is_field(r, "iv", iv, moat_cipher_block(r->alg.cipher));
	open_message(r, 4, iv);
	open_message(r, 5, iv);
	memcpy(r->last, iv, sizeof(iv));

	in.id = body(r, 4, MOAT_P_ID);
	assert_int_equal(moat_hash_i(&r->keys, &in, hash), 0);
	is_field(r, "hash_i", hash, len);
	assert_true(moat_view_equal(body(r, 4, MOAT_P_HASH), moat_view(hash, len)));

	in.id = body(r, 5, MOAT_P_ID);
	assert_int_equal(moat_hash_r(&r->keys, &in, hash), 0);
	is_field(r, "hash_r", hash, len);
	assert_true(moat_view_equal(body(r, 5, MOAT_P_HASH), moat_view(hash, len)));
}

static struct moat_view after_hash(const struct recorded *r, unsigned int n)
{
	const struct moat_payload *p = moat_message_find(&r->msg[n], MOAT_P_HASH);

	assert_ptr_equal(p, r->msg[n].payloads);
	return moat_message_after(&r->msg[n], p);
}

static void is_hash(const struct recorded *r, unsigned int n, const uint8_t *hash)
{
	assert_true(
		moat_view_equal(body(r, n, MOAT_P_HASH), moat_view(hash, r->keys.len)));
}

static void quick_mode(struct recorded *r)
{
	uint32_t mid = r->hdr[6].message_id;
	uint8_t iv[MOAT_BLOCK_MAX], hash[MOAT_HASH_LEN_MAX];
	struct moat_view ni, nr;

	assert_int_equal(moat_iv_exchange(&r->alg, r->last, mid, iv), 0);
	for (unsigned int n = 6; n < 9; n++) {
		assert_int_equal(r->hdr[n].exchange, MOAT_X_QUICK);
		assert_int_equal(r->hdr[n].message_id, mid);
		open_message(r, n, iv);
	}
	ni = body(r, 6, MOAT_P_NONCE);
	nr = body(r, 7, MOAT_P_NONCE);
	assert_int_equal(moat_hash_1(&r->keys, mid, after_hash(r, 6), hash), 0);
	is_hash(r, 6, hash);
	assert_int_equal(moat_hash_2(&r->keys, mid, ni, after_hash(r, 7), hash), 0);
	is_hash(r, 7, hash);
	assert_int_equal(moat_hash_3(&r->keys, mid, ni, nr, hash), 0);
	is_hash(r, 8, hash);
}

/* What both sides gave their kernels. */
static void keymat(struct recorded *r)
{
	struct octets gqmxy = field(r->json, "quick_g_xy");
	json_t *sas = json_object_get(r->json, "sas"), *sa;
	unsigned int checked = 0;
	size_t i;

	assert_int_equal(gqmxy.len != 0, moat_message_count(&r->msg[6], MOAT_P_KE));
	json_array_foreach(sas, i, sa) {
		struct octets want = field(sa, "keymat"), spi = field(sa, "spi");
		struct moat_keymat_input in = { .gqmxy = view(&gqmxy),
						.protocol = MOAT_PROTO_ESP,
						.spi = moat_get32(spi.data),
						.ni = body(r, 6, MOAT_P_NONCE),
						.nr = body(r, 7, MOAT_P_NONCE) };
		uint8_t got[OCTETS];

		assert_int_equal(moat_keymat(&r->keys, &in, got, want.len), 0);
		assert_memory_equal(got, want.data, want.len);
		checked++;
	}
	assert_int_equal(checked, 2);
}

/* The messages that end the SAs. */
static void deletes(struct recorded *r)
{
	uint8_t iv[MOAT_BLOCK_MAX], hash[MOAT_HASH_LEN_MAX];
	struct moat_refusal no;
	struct moat_delete d;

	for (unsigned int n = 9; n < r->count; n++) {
		uint32_t mid = r->hdr[n].message_id;

		assert_int_equal(r->hdr[n].exchange, MOAT_X_INFORMATIONAL);
		assert_int_equal(moat_iv_exchange(&r->alg, r->last, mid, iv), 0);
		open_message(r, n, iv);
		assert_int_equal(moat_hash_1(&r->keys, mid, after_hash(r, n), hash), 0);
		is_hash(r, n, hash);
		if (moat_delete_parse(body(r, n, MOAT_P_DELETE), &d, &no))
			fail_msg("message %u: %s", n + 1, no.text);
		assert_int_equal(d.count, 1);
	}
}

static void replay(const char *file)
{
	static struct recorded r;

	load(&r, file);
	derive(&r);
	authenticate(&r);
	quick_mode(&r);
	keymat(&r);
	deletes(&r);
	json_decref(r.json);
}

static void strongswan_initiates_gcm_pfs(void **state)
{
	(void)state;
	replay(FOLDER "strongswan-libreswan-aes128gcm16-modp2048.json");
}

static void libreswan_initiates_cbc(void **state)
{
	(void)state;
	replay(FOLDER "libreswan-strongswan-aes128-sha256.json");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strongswan_initiates_gcm_pfs),
		cmocka_unit_test(libreswan_initiates_cbc),
	};

	return cmocka_run_group_tests_name("recorded exchanges", tests, NULL, NULL);
}
