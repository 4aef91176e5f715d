// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Writing ISAKMP messages: what is written is read back the same, and nothing is
 * written past the end, whatever the buffer's size.
 */
#include "wire/build.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct moat_hdr hdr = {
	.cookie_i = { 1, 2, 3, 4, 5, 6, 7, 8 },
	.cookie_r = { 9, 10, 11, 12, 13, 14, 15, 16 },
	.exchange = MOAT_X_QUICK,
	.flags = MOAT_FLAG_ENCRYPTION,
	.message_id = 0xdeadbeef,
};

static const uint8_t octets[40] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 };

/* One of everything. */
static size_t write_all(uint8_t *buf, size_t size)
{
	struct moat_id id = { MOAT_ID_IPV4_SUBNET, 6, 443, moat_view(octets, 8) };
	struct moat_build b;
	uint8_t *hash;

	moat_build_start(&b, buf, size, &hdr);
	moat_build_open(&b, MOAT_P_HASH);
	hash = moat_build_space(&b, 20);
	moat_build_close(&b);
	moat_build_sa(&b);
	moat_build_proposal(&b, 1, MOAT_PROTO_AH, moat_view(octets, 4), 1);
	moat_build_transform(&b, 1, 3);
	moat_build_attr(&b, MOAT_IPSEC_AUTH, 2);
	moat_build_close(&b);
	moat_build_close(&b);
	moat_build_proposal(&b, 1, MOAT_PROTO_ESP, moat_view(octets + 4, 4), 2);
	moat_build_transform(&b, 1, 12);
	moat_build_attr(&b, MOAT_IPSEC_KEY_LENGTH, 256);
	moat_build_close(&b);
	moat_build_transform(&b, 2, 3);
	moat_build_attr(&b, MOAT_IPSEC_LIFE_DURATION, 86400);
	moat_build_close(&b);
	moat_build_close(&b);
	moat_build_close(&b);
	moat_build_payload(&b, MOAT_P_NONCE, moat_view(octets, 16));
	moat_build_id(&b, &id);
	moat_build_notify(&b, MOAT_PROTO_ESP, MOAT_N_INITIAL_CONTACT,
			  moat_view(octets, 4), moat_view(octets, 3));
	moat_build_delete(&b, MOAT_PROTO_ESP, 4, moat_view(octets, 8));
	moat_build_pad(&b, 16);
	if (hash)
		memset(hash, 0xaa, 20);
	return moat_build_finish(&b);
}

static void check_sa(const struct moat_message *msg)
{
	struct moat_sa_payload sa;
	struct moat_view rest;
	struct moat_attr attr;

	assert_int_equal(
		moat_sa_parse(moat_message_find(msg, MOAT_P_SA)->body, &sa, NULL), 0);
	assert_int_equal(sa.proposal_count, 2);
	assert_int_equal(sa.transform_count, 3);
	assert_int_equal(sa.proposals[0].protocol, MOAT_PROTO_AH);
	assert_memory_equal(sa.proposals[0].spi.data, octets, 4);
	assert_int_equal(sa.proposals[1].number, 1);
	assert_memory_equal(sa.proposals[1].spi.data, octets + 4, 4);
	assert_int_equal(sa.transforms[2].number, 2);
	rest = sa.transforms[1].attributes;
	assert_true(moat_attr_next(&rest, &attr));
	assert_true(attr.basic);
	assert_int_equal(attr.value, 256);
	rest = sa.transforms[2].attributes;
	assert_true(moat_attr_next(&rest, &attr));
	assert_false(attr.basic);
	assert_int_equal(attr.value, 86400);
}

static void test_round_trip(void **state)
{
	uint8_t buf[512];
	struct moat_refusal no;
	struct moat_message msg;
	struct moat_notify n;
	struct moat_delete d;
	struct moat_hdr got;
	struct moat_id id;
	char names[96];
	size_t len;

	(void)state;
	len = write_all(buf, sizeof(buf));
	assert_int_not_equal(len, 0);
	assert_int_equal((len - MOAT_HDR_LEN) % 16, 0);
	assert_int_equal(moat_hdr_parse(moat_view(buf, len), &got, &no), 0);
	assert_memory_equal(got.cookie_i, hdr.cookie_i, 8);
	assert_memory_equal(got.cookie_r, hdr.cookie_r, 8);
	assert_int_equal(got.exchange, MOAT_X_QUICK);
	assert_int_equal(got.flags, MOAT_FLAG_ENCRYPTION);
	assert_int_equal(got.message_id, 0xdeadbeef);
	assert_int_equal(
		moat_chain_parse(got.next_payload,
				 moat_view(buf + MOAT_HDR_LEN, len - MOAT_HDR_LEN), true,
				 &msg, &no),
		0);
	moat_message_names(&msg, true, names, sizeof(names));
	assert_string_equal(names, "HDR*, HASH, SA, NONCE, ID, NOTIFY, DELETE");
	assert_int_equal(msg.payloads[0].body.len, 20);
	assert_int_equal(msg.payloads[0].body.data[19], 0xaa);
	check_sa(&msg);
	assert_true(moat_view_equal(msg.payloads[2].body, moat_view(octets, 16)));
	assert_int_equal(moat_id_parse(msg.payloads[3].body, &id, &no), 0);
	assert_int_equal(id.port, 443);
	assert_true(moat_view_equal(id.data, moat_view(octets, 8)));
	assert_int_equal(moat_notify_parse(msg.payloads[4].body, &n, &no), 0);
	assert_int_equal(n.type, MOAT_N_INITIAL_CONTACT);
	assert_int_equal(n.spi.len, 4);
	assert_int_equal(n.data.len, 3);
	assert_int_equal(moat_delete_parse(msg.payloads[5].body, &d, &no), 0);
	assert_int_equal(d.count, 2);
}

/* Each smaller buffer is reported and kept to, octet for octet. */
static void test_no_overflow(void **state)
{
	uint8_t whole[512];
	size_t len = write_all(whole, sizeof(whole));

	(void)state;
	for (size_t size = 0; size < len; size++) {
		/* Of its own, so that AddressSanitizer watches its end. */
		uint8_t *buf = malloc(size ? size : 1);

		assert_non_null(buf);
		assert_int_equal(write_all(buf, size), 0);
		free(buf);
	}
	assert_int_equal(write_all(whole, len), len);
}

static void test_nesting(void **state)
{
	uint8_t buf[256];
	struct moat_build b;

	(void)state;
	moat_build_start(&b, buf, sizeof(buf), &hdr);
	assert_int_equal(moat_build_finish(&b), MOAT_HDR_LEN);
	moat_build_open(&b, MOAT_P_NONCE);
	assert_int_equal(moat_build_finish(&b), 0);
	moat_build_close(&b);
	assert_int_equal(moat_build_finish(&b), MOAT_HDR_LEN + 4);
	moat_build_close(&b);
	assert_int_equal(moat_build_finish(&b), 0);

	moat_build_start(&b, buf, sizeof(buf), &hdr);
	for (int i = 0; i <= MOAT_BUILD_DEPTH; i++)
		moat_build_open(&b, MOAT_P_NONCE);
	for (int i = 0; i <= MOAT_BUILD_DEPTH; i++)
		moat_build_close(&b);
	assert_int_equal(moat_build_finish(&b), 0);
}

static void test_fields_too_wide(void **state)
{
	static uint8_t buf[MOAT_HDR_LEN + 70000];
	static uint8_t body[65536];
	struct moat_build b;

	(void)state;
	moat_build_start(&b, buf, sizeof(buf), &hdr);
	moat_build_payload(&b, MOAT_P_CERT, moat_view(body, 65531));
	assert_int_equal(moat_build_finish(&b), MOAT_HDR_LEN + 65535);

	moat_build_start(&b, buf, sizeof(buf), &hdr);
	moat_build_payload(&b, MOAT_P_CERT, moat_view(body, 65532));
	assert_int_equal(moat_build_finish(&b), 0);

	moat_build_start(&b, buf, sizeof(buf), &hdr);
	moat_build_notify(&b, MOAT_PROTO_ESP, 14, moat_view(body, 256),
			  moat_view(NULL, 0));
	assert_int_equal(moat_build_finish(&b), 0);

	moat_build_start(&b, buf, sizeof(buf), &hdr);
	moat_build_delete(&b, MOAT_PROTO_ESP, 4, moat_view(body, 7));
	assert_int_equal(moat_build_finish(&b), 0);

	moat_build_start(&b, buf, sizeof(buf), &hdr);
	moat_build_delete(&b, MOAT_PROTO_ESP, 0, moat_view(NULL, 0));
	assert_int_equal(moat_build_finish(&b), 0);
}

static void test_padding(void **state)
{
	uint8_t buf[256];
	struct moat_build b;

	(void)state;
	for (size_t len = 0; len < 40; len++) {
		size_t used = MOAT_GENERIC_LEN + len;
		size_t padded = (used + 15) / 16 * 16;

		memset(buf, 0xff, sizeof(buf));
		moat_build_start(&b, buf, sizeof(buf), &hdr);
		moat_build_payload(&b, MOAT_P_NONCE, moat_view(octets, len));
		moat_build_pad(&b, 16);
		assert_int_equal(moat_build_finish(&b), MOAT_HDR_LEN + padded);
		for (size_t i = used; i < padded; i++)
			assert_int_equal(buf[MOAT_HDR_LEN + i], 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip), cmocka_unit_test(test_no_overflow),
		cmocka_unit_test(test_nesting),	   cmocka_unit_test(test_fields_too_wide),
		cmocka_unit_test(test_padding),
	};

	return cmocka_run_group_tests_name("build", tests, NULL, NULL);
}
