// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Well-formed messages to start from.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec.h"
#include "ike/keys.h"
#include "ike/proposal.h"

static const uint8_t octets[512] = { 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88 };

static const char *const recorded[] = {
	"selftests/unit/recorded/libreswan-strongswan-aes128-sha256.json",
	"selftests/unit/recorded/strongswan-libreswan-aes128gcm16-modp2048.json",
};

static void start(struct fuzz_seeds *s, struct moat_build *b, uint8_t exchange,
		  uint8_t flags)
{
	struct moat_hdr hdr = { .exchange = exchange, .flags = flags };

	memcpy(hdr.cookie_i, octets, sizeof(hdr.cookie_i));
	if (exchange != MOAT_X_MAIN)
		hdr.message_id = 0x01020304;
	moat_build_start(b, s->seed[s->count].data, SEED_SIZE, &hdr);
}

static void finish(struct fuzz_seeds *s, struct moat_build *b)
{
	size_t len = moat_build_finish(b);

	if (len == 0 || s->count == SEED_MAX) {
		fprintf(stderr, "a seed does not fit\n");
		exit(1);
	}
	s->seed[s->count++].len = len;
}

static void phase1_seeds(struct fuzz_seeds *s)
{
	struct moat_id id = { MOAT_ID_IPV4_ADDR, 17, 500, moat_view(octets, 4) };
	struct moat_ike_algs algs;
	struct moat_ike_want want = { &algs, MOAT_METHOD_PSK, 0, 86400 };
	struct moat_build b;

	moat_ike_algs_default(&algs);
	start(s, &b, MOAT_X_MAIN, 0);
	moat_ike_offer_build(&b, &want);
	moat_build_payload(&b, MOAT_P_VENDOR, moat_view(octets, 16));
	moat_build_payload(&b, MOAT_P_VENDOR, moat_view(octets, 20));
	finish(s, &b);

	start(s, &b, MOAT_X_MAIN, 0);
	moat_build_payload(&b, MOAT_P_KE, moat_view(octets, 256));
	moat_build_payload(&b, MOAT_P_NONCE, moat_view(octets, 32));
	moat_build_payload(&b, MOAT_P_CR, moat_view(octets, 40));
	moat_build_payload(&b, MOAT_P_NAT_D, moat_view(octets, 20));
	moat_build_payload(&b, MOAT_P_NAT_D_DRAFT, moat_view(octets, 20));
	finish(s, &b);

	start(s, &b, MOAT_X_MAIN, MOAT_FLAG_ENCRYPTION);
	moat_build_id(&b, &id);
	moat_build_payload(&b, MOAT_P_CERT, moat_view(octets, 300));
	moat_build_payload(&b, MOAT_P_SIG, moat_view(octets, 256));
	moat_build_notify(&b, MOAT_PROTO_ISAKMP, MOAT_N_INITIAL_CONTACT,
			  moat_view(octets, 16), moat_view(NULL, 0));
	moat_build_pad(&b, 16);
	finish(s, &b);
}

static void quick_seeds(struct fuzz_seeds *s)
{
	struct moat_id net = { MOAT_ID_IPV4_SUBNET, 0, 0, moat_view(octets, 8) };
	struct moat_id net6 = { MOAT_ID_IPV6_SUBNET, 6, 443, moat_view(octets, 32) };
	struct moat_sa_algs esp;
	struct moat_sa_algs ah = { .count = 0 };
	struct moat_sa_want want = { .esp = &esp,
				     .mode = MOAT_MODE_TUNNEL,
				     .life_seconds = 3600,
				     .life_kilobytes = 1000000 };
	struct moat_build b;
	char err[160];

	moat_sa_algs_default(&esp);
	if (moat_sa_algs_add(&ah, MOAT_PROTO_AH, "sha256-modp2048", err, sizeof(err)))
		exit(1);
	for (int bundle = 0; bundle < 2; bundle++) {
		want.ah = bundle ? &ah : NULL;
		start(s, &b, MOAT_X_QUICK, MOAT_FLAG_ENCRYPTION);
		moat_build_payload(&b, MOAT_P_HASH, moat_view(octets, 32));
		moat_sa_offer_build(&b, &want, 0x11223344, 0x55667788);
		moat_build_payload(&b, MOAT_P_NONCE, moat_view(octets, 20));
		moat_build_payload(&b, MOAT_P_KE, moat_view(octets, 256));
		moat_build_id(&b, bundle ? &net6 : &net);
		moat_build_id(&b, bundle ? &net6 : &net);
		moat_build_open(&b, MOAT_P_NAT_OA);
		moat_build_u32(&b, (uint32_t)MOAT_ID_IPV4_ADDR << 24);
		moat_build_octets(&b, moat_view(octets, 4));
		moat_build_close(&b);
		moat_build_pad(&b, 16);
		finish(s, &b);
	}
}

static void informational_seeds(struct fuzz_seeds *s)
{
	struct moat_build b;

	start(s, &b, MOAT_X_INFORMATIONAL, MOAT_FLAG_ENCRYPTION);
	moat_build_payload(&b, MOAT_P_HASH, moat_view(octets, 20));
	moat_build_notify(&b, MOAT_PROTO_ESP, MOAT_N_NO_PROPOSAL_CHOSEN,
			  moat_view(octets, 4), moat_view(octets, 30));
	moat_build_delete(&b, MOAT_PROTO_ESP, 4, moat_view(octets, 12));
	moat_build_delete(&b, MOAT_PROTO_ISAKMP, 16, moat_view(octets, 16));
	moat_build_pad(&b, 8);
	finish(s, &b);
}

static void fragment_seeds(struct fuzz_seeds *s)
{
	for (uint8_t number = 1; number <= 2; number++) {
		struct moat_fragment f = {
			.id = 1,
			.number = number,
			.last = number == 2,
			.data = moat_view(octets, 64),
		};
		struct moat_build b;

		start(s, &b, MOAT_X_MAIN, 0);
		moat_build_fragment(&b, &f);
		finish(s, &b);
	}
}

static size_t from_hex(const char *hex, uint8_t *out, size_t size)
{
	size_t len = hex ? strlen(hex) / 2 : 0;

	if (len == 0 || len > size) {
		fprintf(stderr, "a recorded message does not fit\n");
		exit(1);
	}
	for (size_t i = 0; i < len; i++)
		if (sscanf(hex + 2 * i, "%2hhx", &out[i]) != 1)
			exit(1);
	return len;
}

/* IVs of a recording: of phase 1, then of one later exchange at a time. */
struct chain {
	struct moat_ike_alg alg;
	uint8_t key[MOAT_IKE_KEY_MAX];
	uint8_t last[MOAT_BLOCK_MAX];
	uint8_t iv[MOAT_BLOCK_MAX];
	uint32_t message_id;
};

/* Fuzzing ciphertext would stop at the first payload, so seeds are in clear. */
static void decrypt(struct chain *c, uint8_t *data, size_t len)
{
	uint32_t message_id = moat_get32(data + 20);
	uint8_t *iv = c->last;

	if (!(data[19] & MOAT_FLAG_ENCRYPTION))
		return;
	if (message_id) {
		iv = c->iv;
		if (message_id != c->message_id &&
		    moat_iv_exchange(&c->alg, c->last, message_id, iv) < 0)
			exit(1);
		c->message_id = message_id;
	}
	if (moat_cbc_decrypt(&c->alg, c->key, iv, data + MOAT_HDR_LEN,
			     len - MOAT_HDR_LEN) < 0) {
		fprintf(stderr, "a recorded message cannot be decrypted\n");
		exit(1);
	}
}

static const char *text(const json_t *json, const char *field)
{
	return json_string_value(json_object_get(json, field));
}

static void recorded_seeds(struct fuzz_seeds *s, const char *path)
{
	json_t *json = json_load_file(path, 0, NULL);
	json_t *array = json_object_get(json, "messages");
	struct moat_ike_algs algs = { .count = 0 };
	struct chain c = { .message_id = 0 };
	char err[160];
	json_t *value;
	size_t i;

	if (json_array_size(array) == 0 ||
	    moat_ike_algs_add(&algs, text(json, "ike"), err, sizeof(err)) < 0) {
		fprintf(stderr, "%s: no recording\n", path);
		exit(1);
	}
	c.alg = algs.alg[0];
	from_hex(text(json, "key"), c.key, sizeof(c.key));
	from_hex(text(json, "iv"), c.last, sizeof(c.last));
	json_array_foreach(array, i, value) {
		uint8_t *data = s->seed[s->count].data;
		size_t len = from_hex(text(value, "data"), data, SEED_SIZE);

		decrypt(&c, data, len);
		s->seed[s->count++].len = len;
		if (s->count == SEED_MAX)
			exit(1);
	}
	json_decref(json);
}

void fuzz_seeds_fill(struct fuzz_seeds *s)
{
	s->count = 0;
	phase1_seeds(s);
	quick_seeds(s);
	informational_seeds(s);
	fragment_seeds(s);
	for (size_t i = 0; i < sizeof(recorded) / sizeof(recorded[0]); i++)
		recorded_seeds(s, recorded[i]);
}
