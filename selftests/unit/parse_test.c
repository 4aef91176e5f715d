// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reading ISAKMP messages: each kind of malformed one is refused by its name,
 * with both numbers, and what is well-formed is read right.
 */
#include "wire/parse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "data.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define COOKIES "0102030405060708 0000000000000000"

static void test_header(void **state)
{
	struct data d = data_hex(COOKIES "0a 10 02 01 11223344 0000001c");
	struct moat_refusal no = { .why = MOAT_REFUSE_NONE };
	struct moat_hdr hdr;

	(void)state;
	assert_int_equal(moat_hdr_parse(data_view(&d), &hdr, &no), 0);
	assert_memory_equal(hdr.cookie_i, d.octets, 8);
	assert_memory_equal(hdr.cookie_r, d.octets + 8, 8);
	assert_int_equal(hdr.next_payload, MOAT_P_NONCE);
	assert_int_equal(hdr.version, 0x10);
	assert_int_equal(hdr.exchange, MOAT_X_MAIN);
	assert_int_equal(hdr.flags, MOAT_FLAG_ENCRYPTION);
	assert_int_equal(hdr.message_id, 0x11223344);
	assert_int_equal(hdr.length, 28);
	assert_int_equal(no.why, MOAT_REFUSE_NONE);
}

static void test_header_refusals(void **state)
{
	static const struct {
		const char *hex;
		enum moat_refuse why;
		const char *text;
	} cases[] = {
		{ "", MOAT_REFUSE_SHORT_HEADER, "header needs 28 bytes, datagram has 0" },
		{ COOKIES "0a 10 02 01 11223344 000000", MOAT_REFUSE_SHORT_HEADER,
		  "header needs 28 bytes, datagram has 27" },
		{ COOKIES "0a 20 02 01 11223344 0000001c", MOAT_REFUSE_VERSION,
		  "version 2.0, this is ISAKMP 1.0" },
		{ COOKIES "0a 11 02 01 11223344 0000001c", MOAT_REFUSE_VERSION,
		  "version 1.1, this is ISAKMP 1.0" },
		{ COOKIES "0a 10 02 01 11223344 0000001d", MOAT_REFUSE_LENGTH,
		  "header says 29 bytes, datagram has 28" },
		{ COOKIES "0a 10 02 01 11223344 0000001c 00", MOAT_REFUSE_LENGTH,
		  "header says 28 bytes, datagram has 29" },
		{ COOKIES "0a 10 02 01 11223344 ffffffff", MOAT_REFUSE_LENGTH,
		  "header says 4294967295 bytes, datagram has 28" },
		{ "0000000000000000 0000000000000001 0a 10 02 01 11223344 0000001c",
		  MOAT_REFUSE_COOKIE, "initiator cookie is zero" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct data d = data_hex(cases[i].hex);
		struct moat_refusal no = { .why = MOAT_REFUSE_NONE };
		struct moat_hdr hdr;

		assert_int_equal(moat_hdr_parse(data_view(&d), &hdr, &no), -1);
		assert_int_equal(no.why, cases[i].why);
		assert_string_equal(no.text, cases[i].text);
		assert_int_equal(moat_hdr_parse(data_view(&d), &hdr, NULL), -1);
	}
}

static void test_chain(void **state)
{
	/* VID of 2, private-use payload of 1, NONCE of 3, then padding */
	struct data d =
		data_hex("85 00 0006 aabb  0a 00 0005 cc  00 00 0007 112233 0000");
	char names[64];
	struct moat_message msg;
	struct moat_view after;

	(void)state;
	assert_int_equal(
		moat_chain_parse(MOAT_P_VENDOR, data_view(&d), false, &msg, NULL), 0);
	assert_int_equal(msg.count, 3);
	assert_int_equal(msg.payloads[0].type, MOAT_P_VENDOR);
	assert_int_equal(msg.payloads[1].type, 0x85);
	assert_int_equal(msg.payloads[2].type, MOAT_P_NONCE);
	assert_ptr_equal(msg.payloads[2].whole.data, d.octets + 11);
	assert_int_equal(msg.payloads[2].whole.len, 7);
	assert_ptr_equal(msg.payloads[2].body.data, d.octets + 15);
	assert_int_equal(msg.payloads[2].body.len, 3);
	assert_int_equal(msg.padding.len, 2);

	/* What a hash covers leaves the padding out. */
	after = moat_message_after(&msg, &msg.payloads[0]);
	assert_ptr_equal(after.data, d.octets + 6);
	assert_int_equal(after.len, 12);
	after = moat_message_after(&msg, &msg.payloads[2]);
	assert_int_equal(after.len, 0);

	assert_ptr_equal(moat_message_find(&msg, MOAT_P_NONCE), &msg.payloads[2]);
	assert_null(moat_message_find(&msg, MOAT_P_KE));
	assert_int_equal(moat_message_count(&msg, MOAT_P_VENDOR), 1);
	assert_int_equal(moat_message_count(&msg, MOAT_P_KE), 0);
	moat_message_names(&msg, true, names, sizeof(names));
	assert_string_equal(names, "HDR*, VID, unknown, NONCE");
	moat_message_names(&msg, false, names, 22);
	assert_string_equal(names, "HDR, VID, ...");
}

static void test_chain_without_payloads(void **state)
{
	struct moat_message msg;

	(void)state;
	assert_int_equal(moat_chain_parse(0, moat_view(NULL, 0), false, &msg, NULL), 0);
	assert_int_equal(msg.count, 0);
}

static void test_chain_refusals(void **state)
{
	static const struct {
		uint8_t first;
		bool encrypted;
		const char *hex;
		enum moat_refuse why;
		const char *text;
	} cases[] = {
		{ MOAT_P_SA, false, "", MOAT_REFUSE_PAYLOAD_LENGTH,
		  "payload 1 (SA) needs 4 bytes, 0 remain" },
		{ MOAT_P_SA, false, "00 00 00", MOAT_REFUSE_PAYLOAD_LENGTH,
		  "payload 1 (SA) needs 4 bytes, 3 remain" },
		{ MOAT_P_KE, false, "00 00 0003", MOAT_REFUSE_PAYLOAD_LENGTH,
		  "payload 1 (KE) says 3 bytes, 4 remain" },
		{ MOAT_P_KE, false, "00 00 0000", MOAT_REFUSE_PAYLOAD_LENGTH,
		  "payload 1 (KE) says 0 bytes, 4 remain" },
		{ MOAT_P_NONCE, false, "04 00 0004 00 00 012c 01",
		  MOAT_REFUSE_PAYLOAD_LENGTH, "payload 2 (KE) says 300 bytes, 5 remain" },
		{ MOAT_P_NONCE, true, "04 00 0004 00 00 ffff 01",
		  MOAT_REFUSE_PAYLOAD_LENGTH,
		  "payload 2 (KE) says 65535 bytes, 5 remain" },
		{ MOAT_P_NONCE, false, "00 07 0004", MOAT_REFUSE_PAYLOAD_RESERVED,
		  "payload 1 (NONCE) has 7 in its reserved octet, not 0" },
		{ MOAT_P_PROPOSAL, false, "00 00 0004", MOAT_REFUSE_PAYLOAD_TYPE,
		  "payload 1 has type 2, which is not known" },
		{ MOAT_P_TRANSFORM, false, "00 00 0004", MOAT_REFUSE_PAYLOAD_TYPE,
		  "payload 1 has type 3, which is not known" },
		{ MOAT_P_NONCE, false, "0f 00 0004 00 00 0004", MOAT_REFUSE_PAYLOAD_TYPE,
		  "payload 2 has type 15, which is not known" },
		{ 127, false, "00 00 0004", MOAT_REFUSE_PAYLOAD_TYPE,
		  "payload 1 has type 127, which is not known" },
		{ MOAT_P_NONCE, false, "00 00 0004 00000000", MOAT_REFUSE_TRAILING,
		  "4 bytes follow the last of 1 payloads, at most 3 may" },
		{ 0, false, "00000000", MOAT_REFUSE_TRAILING,
		  "4 bytes follow the last of 0 payloads, at most 3 may" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct data d = data_hex(cases[i].hex);
		struct moat_refusal no = { .why = MOAT_REFUSE_NONE };
		struct moat_message msg;

		assert_int_equal(moat_chain_parse(cases[i].first, data_view(&d),
						  cases[i].encrypted, &msg, &no),
				 -1);
		assert_int_equal(no.why, cases[i].why);
		assert_string_equal(no.text, cases[i].text);
	}
}

static void test_chain_padding(void **state)
{
	struct data d = data_hex("00 00 0004 000000000000000000000007");
	struct moat_message msg;

	(void)state;
	assert_int_equal(moat_chain_parse(MOAT_P_NONCE, data_view(&d), true, &msg, NULL),
			 0);
	assert_int_equal(msg.padding.len, 12);
}

static void test_chain_count(void **state)
{
	uint8_t buf[4 * (MOAT_PAYLOADS_MAX + 1)] = { 0 };
	struct moat_refusal no;
	struct moat_message msg;

	(void)state;
	for (unsigned int i = 0; i <= MOAT_PAYLOADS_MAX; i++) {
		buf[4 * i] = i < MOAT_PAYLOADS_MAX ? MOAT_P_VENDOR : MOAT_P_NONE;
		buf[4 * i + 3] = 4;
	}
	/* One fewer than all is the limit. */
	assert_int_equal(moat_chain_parse(MOAT_P_VENDOR,
					  moat_view(buf + 4, sizeof(buf) - 4), false,
					  &msg, &no),
			 0);
	assert_int_equal(msg.count, MOAT_PAYLOADS_MAX);
	assert_int_equal(moat_chain_parse(MOAT_P_VENDOR, moat_view(buf, sizeof(buf)),
					  false, &msg, &no),
			 -1);
	assert_int_equal(no.why, MOAT_REFUSE_PAYLOAD_COUNT);
	assert_string_equal(no.text, "more than 48 payloads, 4 bytes remain");
}

/* DOI and situation; one proposal of one transform for ISAKMP */
#define DOI	  "00000001 00000001"
#define TRANSFORM "00 00 0014 01 01 0000 80010007 800e0080 80040002"

static void test_sa(void **state)
{
	/* Proposal 1: AH and ESP with two transforms, proposal 2: ESP */
	struct data d =
		data_hex(DOI "02 00 0014 01 02 04 01 aabbccdd 00 00 0008 01 03 0000"
			     "02 00 0028 01 03 04 02 11223344"
			     "  03 00 000c 01 0c 0000 80060080"
			     "  00 00 0010 02 03 0000 00020004 00015180"
			     "00 00 0014 02 03 04 01 99887766 00 00 0008 07 0b 0000");
	struct moat_sa_payload sa;
	struct moat_view rest;
	struct moat_attr attr;

	(void)state;
	assert_int_equal(moat_sa_parse(data_view(&d), &sa, NULL), 0);
	assert_int_equal(sa.doi, 1);
	assert_int_equal(sa.situation, 1);
	assert_int_equal(sa.proposal_count, 3);
	assert_int_equal(sa.transform_count, 4);
	assert_int_equal(sa.proposals[0].protocol, MOAT_PROTO_AH);
	assert_int_equal(sa.proposals[1].number, 1);
	assert_int_equal(sa.proposals[1].first, 1);
	assert_int_equal(sa.proposals[1].count, 2);
	assert_int_equal(moat_get32(sa.proposals[1].spi.data), 0x11223344);
	assert_int_equal(sa.proposals[2].number, 2);
	assert_int_equal(sa.transforms[3].number, 7);
	assert_int_equal(sa.transforms[3].id, 11);
	assert_int_equal(sa.transforms[3].attributes.len, 0);

	rest = sa.transforms[1].attributes;
	assert_true(moat_attr_next(&rest, &attr));
	assert_int_equal(attr.type, MOAT_IPSEC_KEY_LENGTH);
	assert_true(attr.basic);
	assert_int_equal(attr.value, 128);
	assert_false(moat_attr_next(&rest, &attr));
	rest = sa.transforms[2].attributes;
	assert_true(moat_attr_next(&rest, &attr));
	assert_int_equal(attr.type, MOAT_IPSEC_LIFE_DURATION);
	assert_false(attr.basic);
	assert_int_equal(attr.value, 86400);
	assert_int_equal(attr.data.len, 4);
}

static void test_sa_refusals(void **state)
{
	static const struct {
		const char *hex;
		enum moat_refuse why;
		const char *text;
	} cases[] = {
		{ "00000001 000000", MOAT_REFUSE_PAYLOAD_SHORT,
		  "SA needs 8 bytes, has 7" },
		{ "00000000 00000001", MOAT_REFUSE_DOI, "DOI is 0, takes 1 (IPsec)" },
		{ "00000001 00000002", MOAT_REFUSE_SITUATION,
		  "situation is 2, takes 1 (identity only)" },
		{ DOI, MOAT_REFUSE_PROPOSAL, "SA has no proposal" },
		{ DOI "00 00 0007 01 01 00", MOAT_REFUSE_PROPOSAL,
		  "proposal 1 needs 8 bytes, 7 remain" },
		{ DOI "00 00 0007 01 01 00 01", MOAT_REFUSE_PROPOSAL,
		  "proposal 1 says 7 bytes, 8 remain" },
		{ DOI "00 00 0009 01 01 00 01", MOAT_REFUSE_PROPOSAL,
		  "proposal 1 says 9 bytes, 8 remain" },
		{ DOI "03 00 0008 01 01 00 00", MOAT_REFUSE_PROPOSAL,
		  "proposal 1 says payload 3 follows, takes 0 or 2" },
		{ DOI "00 01 0008 01 01 00 00", MOAT_REFUSE_PAYLOAD_RESERVED,
		  "proposal 1 has 1 in its reserved octet, not 0" },
		{ DOI "00 00 001c 01 01 00 01" TRANSFORM "00", MOAT_REFUSE_PROPOSAL,
		  "proposal 1 is the last and says 28 bytes, 29 remain" },
		{ DOI "02 00 001c 01 01 00 01" TRANSFORM, MOAT_REFUSE_PROPOSAL,
		  "proposal 1 says another follows, 0 bytes remain" },
		{ DOI "00 00 0008 01 01 00 00", MOAT_REFUSE_PROPOSAL,
		  "proposal 1 says 0 transforms, has 0" },
		{ DOI "00 00 0008 01 01 00 01", MOAT_REFUSE_PROPOSAL,
		  "proposal 1 says 1 transforms, has 0" },
		{ DOI "00 00 001c 01 01 00 02" TRANSFORM, MOAT_REFUSE_PROPOSAL,
		  "proposal 1 says 2 transforms, has 1" },
		{ DOI "00 00 001c 01 01 15 01" TRANSFORM, MOAT_REFUSE_SPI_SIZE,
		  "proposal 1 says an SPI of 21 bytes, 20 remain" },
		{ DOI "00 00 0019 01 01 11 01 0000000000000000000000000000000000",
		  MOAT_REFUSE_SPI_SIZE,
		  "proposal 1 (ISAKMP) has an SPI of 17 bytes, at most 16" },
		{ DOI "00 00 001c 01 03 00 01" TRANSFORM, MOAT_REFUSE_SPI_SIZE,
		  "proposal 1 (ESP) has an SPI of 0 bytes, takes 4" },
		{ DOI "00 00 0021 01 02 05 01 0102030405" TRANSFORM, MOAT_REFUSE_SPI_SIZE,
		  "proposal 1 (AH) has an SPI of 5 bytes, takes 4" },
		{ DOI "00 00 000f 01 01 00 01 00 00 0007 01 01 00", MOAT_REFUSE_PROPOSAL,
		  "transform 1 needs 8 bytes, 7 remain" },
		{ DOI "00 00 0010 01 01 00 01 00 00 0009 01 01 0000",
		  MOAT_REFUSE_PROPOSAL, "transform 1 says 9 bytes, 8 remain" },
		{ DOI "00 00 0010 01 01 00 01 02 00 0008 01 01 0000",
		  MOAT_REFUSE_PROPOSAL,
		  "transform 1 says payload 2 follows, takes 0 or 3" },
		{ DOI "00 00 0010 01 01 00 02 03 00 0008 01 01 0000",
		  MOAT_REFUSE_PROPOSAL,
		  "transform 1 says another follows, 0 bytes remain" },
		{ DOI "00 00 0013 01 01 00 01 00 00 000b 01 01 0000 800100",
		  MOAT_REFUSE_ATTRIBUTE,
		  "transform 1: an attribute needs 4 bytes, 3 remain" },
		{ DOI "00 00 0016 01 01 00 01 00 00 000e 01 01 0000 000c0004 0001",
		  MOAT_REFUSE_ATTRIBUTE,
		  "transform 1: attribute 12 says 4 bytes, 2 remain" },
		{ DOI "00 00 0014 01 01 00 01 00 00 000c 01 01 0000 000cffff",
		  MOAT_REFUSE_ATTRIBUTE,
		  "transform 1: attribute 12 says 65535 bytes, 0 remain" },
		{ DOI "00 00 0014 01 01 00 01 00 00 000c 01 01 0000 000c0000",
		  MOAT_REFUSE_ATTRIBUTE, "transform 1: attribute 12 has no value" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct data d = data_hex(cases[i].hex);
		struct moat_refusal no = { .why = MOAT_REFUSE_NONE };
		struct moat_sa_payload sa;

		assert_int_equal(moat_sa_parse(data_view(&d), &sa, &no), -1);
		assert_string_equal(no.text, cases[i].text);
		assert_int_equal(no.why, cases[i].why);
	}
}

/* Puts @count links of 8 octets into @buf, all of @type. */
static void links(uint8_t *buf, unsigned int count, uint8_t type)
{
	for (unsigned int i = 0; i < count; i++) {
		memset(buf + 8 * i, 0, 8);
		buf[8 * i] = i + 1 < count ? type : 0;
		buf[8 * i + 3] = 8;
		buf[8 * i + 4] = (uint8_t)(i + 1);
	}
}

static void test_sa_limits(void **state)
{
	static uint8_t buf[8 + 2 * (8 + 8 * 255)];
	uint8_t many[8 + 16 * (MOAT_PROPOSALS_MAX + 1)];
	struct moat_refusal no;
	struct moat_sa_payload sa;
	uint8_t *p;

	(void)state;
	/* 255 transforms in each of two proposals */
	buf[3] = 1;
	buf[7] = 1;
	for (int i = 0; i < 2; i++) {
		p = buf + 8 + i * (8 + 8 * 255);
		p[0] = i ? 0 : MOAT_P_PROPOSAL;
		moat_set16(p + 2, 8 + 8 * 255);
		p[5] = MOAT_PROTO_ISAKMP;
		p[7] = 255;
		links(p + 8, 255, MOAT_P_TRANSFORM);
	}
	assert_int_equal(moat_sa_parse(moat_view(buf, sizeof(buf)), &sa, &no), -1);
	assert_int_equal(no.why, MOAT_REFUSE_PROPOSAL_COUNT);
	assert_string_equal(no.text, "more than 256 transforms, 2032 bytes remain");

	memcpy(many, buf, 8);
	for (unsigned int i = 0; i <= MOAT_PROPOSALS_MAX; i++) {
		p = many + 8 + 16 * i;
		memset(p, 0, 16);
		p[0] = i < MOAT_PROPOSALS_MAX ? MOAT_P_PROPOSAL : 0;
		p[3] = 16;
		p[5] = MOAT_PROTO_ISAKMP;
		p[7] = 1;
		links(p + 8, 1, MOAT_P_TRANSFORM);
	}
	assert_int_equal(moat_sa_parse(moat_view(many, sizeof(many)), &sa, &no), -1);
	assert_int_equal(no.why, MOAT_REFUSE_PROPOSAL_COUNT);
	assert_string_equal(no.text, "more than 32 proposals, 16 bytes remain");
}

static void test_long_attribute(void **state)
{
	struct data d = data_hex("000c0009 010203040506070809 000c0008 0102030405060708");
	struct moat_view rest = data_view(&d);
	struct moat_attr attr;

	(void)state;
	assert_true(moat_attr_next(&rest, &attr));
	assert_true(attr.value == UINT64_MAX);
	assert_int_equal(attr.data.len, 9);
	assert_true(moat_attr_next(&rest, &attr));
	assert_true(attr.value == 0x0102030405060708);
	assert_false(moat_attr_next(&rest, &attr));
}

static void test_id(void **state)
{
	static const struct {
		const char *hex;
		const char *text; /* NULL: well-formed */
	} cases[] = {
		{ "04 06 0050 0a010000 ffff0000", NULL },
		{ "01 00 0000 c0000201", NULL },
		{ "02 11 01f4 61", NULL },
		{ "06 00 0000 20010db8000000000000000000000000"
		  "ffffffff000000000000000000000000",
		  NULL },
		{ "01 00 00", "ID needs 4 bytes, has 3" },
		{ "01 00 0000 c00002", "ID_IPV4_ADDR takes 4 bytes, has 3" },
		{ "04 00 0000 c0000201", "ID_IPV4_ADDR_SUBNET takes 8 bytes, has 4" },
		{ "07 00 0000 c0000201", "ID_IPV4_ADDR_RANGE takes 8 bytes, has 4" },
		{ "05 00 0000 c0000201", "ID_IPV6_ADDR takes 16 bytes, has 4" },
		{ "08 00 0000 c0000201", "ID_IPV6_ADDR_RANGE takes 32 bytes, has 4" },
		{ "02 00 0000", "ID_FQDN is empty" },
		{ "00 00 0000 61", "ID type 0 is not known" },
		{ "0c 00 0000 61", "ID type 12 is not known" },
	};
	struct moat_refusal no;
	struct moat_id id;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct data d = data_hex(cases[i].hex);
		int ret = moat_id_parse(data_view(&d), &id, &no);

		if (!cases[i].text) {
			assert_int_equal(ret, 0);
			assert_int_equal(id.type, d.octets[0]);
			assert_int_equal(id.protocol, d.octets[1]);
			assert_int_equal(id.port, moat_get16(d.octets + 2));
			assert_int_equal(id.data.len, d.len - 4);
			continue;
		}
		assert_int_equal(ret, -1);
		assert_string_equal(no.text, cases[i].text);
	}
}

static void test_nat_oa(void **state)
{
	struct data good = data_hex("01 000000 c0000201");
	struct data bad = data_hex("02 000000 c0000201");
	struct moat_refusal no;
	struct moat_id id;

	(void)state;
	assert_int_equal(moat_nat_oa_parse(data_view(&good), &id, &no), 0);
	assert_int_equal(id.data.len, 4);
	assert_int_equal(moat_nat_oa_parse(data_view(&bad), &id, &no), -1);
	assert_string_equal(no.text, "NAT-OA has ID type 2 (ID_FQDN), takes 1 or 5");
	assert_int_equal(moat_nat_oa_parse(moat_view(good.octets, 7), &id, &no), -1);
	assert_string_equal(no.text, "ID_IPV4_ADDR takes 4 bytes, has 3");
	assert_int_equal(moat_nat_oa_parse(moat_view(good.octets, 3), &id, &no), -1);
	assert_int_equal(no.why, MOAT_REFUSE_PAYLOAD_SHORT);
}

static void test_cert(void **state)
{
	struct data d = data_hex("04 3082");
	struct moat_refusal no;
	struct moat_cert cert;

	(void)state;
	assert_int_equal(moat_cert_parse(data_view(&d), &cert, &no), 0);
	assert_int_equal(cert.encoding, MOAT_CERT_X509_SIGNATURE);
	assert_int_equal(cert.data.len, 2);
	assert_int_equal(moat_cert_parse(moat_view(d.octets, 1), &cert, &no), 0);
	assert_int_equal(cert.data.len, 0);
	assert_int_equal(moat_cert_parse(moat_view(d.octets, 0), &cert, &no), -1);
	assert_string_equal(no.text, "CERT or CR needs 1 bytes, has 0");
}

static void test_notify(void **state)
{
	struct data d = data_hex("00000001 03 04 000e aabbccdd 0102");
	struct moat_notify n;
	struct moat_refusal no;

	(void)state;
	assert_int_equal(moat_notify_parse(data_view(&d), &n, &no), 0);
	assert_int_equal(n.doi, 1);
	assert_int_equal(n.protocol, MOAT_PROTO_ESP);
	assert_int_equal(n.type, MOAT_N_NO_PROPOSAL_CHOSEN);
	assert_int_equal(moat_get32(n.spi.data), 0xaabbccdd);
	assert_int_equal(n.data.len, 2);
	assert_int_equal(moat_notify_parse(moat_view(d.octets, 7), &n, &no), -1);
	assert_string_equal(no.text, "NOTIFY needs 8 bytes, has 7");
	assert_int_equal(moat_notify_parse(moat_view(d.octets, 11), &n, &no), -1);
	assert_int_equal(no.why, MOAT_REFUSE_SPI_SIZE);
	assert_string_equal(no.text, "NOTIFY says an SPI of 4 bytes, 3 remain");
}

static void test_fragment(void **state)
{
	struct data d = data_hex("0102 03 01 aabb");
	struct moat_fragment f;
	struct moat_refusal no;

	(void)state;
	assert_int_equal(moat_fragment_parse(data_view(&d), &f, &no), 0);
	assert_int_equal(f.id, 0x0102);
	assert_int_equal(f.number, 3);
	assert_true(f.last);
	assert_int_equal(f.data.len, 2);
	assert_int_equal(f.data.data[0], 0xaa);
	/* Of the flags only this one has a meaning. */
	d.octets[3] = 0xfe;
	assert_int_equal(moat_fragment_parse(data_view(&d), &f, &no), 0);
	assert_false(f.last);
	assert_int_equal(moat_fragment_parse(moat_view(d.octets, 4), &f, &no), -1);
	assert_string_equal(no.text, "FRAGMENT needs 5 bytes, has 4");
	d.octets[2] = 0;
	assert_int_equal(moat_fragment_parse(data_view(&d), &f, &no), -1);
	assert_int_equal(no.why, MOAT_REFUSE_FRAGMENT);
	assert_string_equal(no.text,
			    "fragment of message 258 has number 0, they begin at 1");
}

static void test_delete(void **state)
{
	static const struct {
		const char *hex;
		enum moat_refuse why;
		const char *text;
	} cases[] = {
		{ "00000001 03 04 0002 aabbccdd 11223344", MOAT_REFUSE_NONE, NULL },
		{ "00000001 01 10 0001 00000000000000000000000000000000",
		  MOAT_REFUSE_NONE, NULL },
		{ "00000001 03 04 0000", MOAT_REFUSE_NONE, NULL },
		{ "00000001 03 04 00", MOAT_REFUSE_PAYLOAD_SHORT,
		  "DELETE needs 8 bytes, has 7" },
		{ "00000001 03 04 0003 aabbccdd 11223344", MOAT_REFUSE_PAYLOAD_LENGTH,
		  "DELETE says 3 SPIs of 4 bytes, has 8 bytes" },
		{ "00000001 03 04 ffff aabbccdd", MOAT_REFUSE_PAYLOAD_LENGTH,
		  "DELETE says 65535 SPIs of 4 bytes, has 4 bytes" },
		{ "00000001 02 04 0001 aabbccdd 11223344", MOAT_REFUSE_PAYLOAD_LENGTH,
		  "DELETE says 1 SPIs of 4 bytes, has 8 bytes" },
		{ "00000001 03 08 0001 aabbccdd 11223344", MOAT_REFUSE_SPI_SIZE,
		  "DELETE of ESP says SPIs of 8 bytes, takes 4" },
		{ "00000001 01 00 0001", MOAT_REFUSE_SPI_SIZE,
		  "DELETE of ISAKMP says SPIs of 0 bytes, takes 16" },
		{ "00000001 04 04 0001 aabbccdd", MOAT_REFUSE_PROTOCOL,
		  "DELETE names protocol 4, takes 1 to 3" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct data d = data_hex(cases[i].hex);
		struct moat_refusal no = { .why = MOAT_REFUSE_NONE };
		struct moat_delete del;

		assert_int_equal(moat_delete_parse(data_view(&d), &del, &no),
				 cases[i].text ? -1 : 0);
		assert_int_equal(no.why, cases[i].why);
		if (cases[i].text)
			assert_string_equal(no.text, cases[i].text);
		else
			assert_int_equal(del.spis.len, del.count * del.spi_size);
	}
}

static void test_nonce(void **state)
{
	static const uint8_t octets[257];
	struct moat_refusal no;

	(void)state;
	assert_int_equal(moat_nonce_check(moat_view(octets, 7), &no), -1);
	assert_string_equal(no.text, "nonce has 7 bytes, takes 8 to 256");
	assert_int_equal(moat_nonce_check(moat_view(octets, 8), &no), 0);
	assert_int_equal(moat_nonce_check(moat_view(octets, 256), &no), 0);
	assert_int_equal(moat_nonce_check(moat_view(octets, 257), &no), -1);
	assert_int_equal(no.why, MOAT_REFUSE_NONCE);
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(moat_payload_name(MOAT_P_NAT_D), "NAT-D");
	assert_string_equal(moat_exchange_name(MOAT_X_MAIN), "main");
	assert_string_equal(moat_exchange_name(MOAT_X_QUICK), "quick");
	assert_string_equal(moat_protocol_name(MOAT_PROTO_ESP), "ESP");
	assert_string_equal(moat_encap_name(MOAT_ENCAP_TRANSPORT), "transport");
	assert_string_equal(moat_auth_method_name(MOAT_METHOD_PSK), "psk");
	assert_string_equal(moat_id_type_name(MOAT_ID_DER_ASN1_DN), "ID_DER_ASN1_DN");
	assert_string_equal(moat_cert_type_name(4), "X509-SIGNATURE");
	assert_string_equal(moat_notify_name(14), "NO-PROPOSAL-CHOSEN");
	assert_string_equal(moat_notify_name(36137), "R-U-THERE-ACK");
	assert_string_equal(moat_notify_name(60000), "unknown");
	assert_string_equal(moat_ike_attr_name(14), "key length");
	assert_string_equal(moat_ipsec_attr_name(11), "extended sequence number");
	assert_string_equal(moat_refuse_name(MOAT_REFUSE_DOI), "doi");
	assert_string_equal(moat_refuse_name(MOAT_REFUSE_MAX), "unknown");
	assert_int_equal(moat_refuse_notify(MOAT_REFUSE_DOI), 2);
	assert_int_equal(moat_refuse_notify(MOAT_REFUSE_MAX), 0);
	for (int why = MOAT_REFUSE_NONE + 1; why < MOAT_REFUSE_MAX; why++) {
		assert_non_null(moat_refuse_name(why));
		assert_string_not_equal(moat_notify_name(moat_refuse_notify(why)),
					"unknown");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header),
		cmocka_unit_test(test_header_refusals),
		cmocka_unit_test(test_chain),
		cmocka_unit_test(test_chain_without_payloads),
		cmocka_unit_test(test_chain_refusals),
		cmocka_unit_test(test_chain_padding),
		cmocka_unit_test(test_chain_count),
		cmocka_unit_test(test_sa),
		cmocka_unit_test(test_sa_refusals),
		cmocka_unit_test(test_sa_limits),
		cmocka_unit_test(test_long_attribute),
		cmocka_unit_test(test_id),
		cmocka_unit_test(test_nat_oa),
		cmocka_unit_test(test_cert),
		cmocka_unit_test(test_notify),
		cmocka_unit_test(test_fragment),
		cmocka_unit_test(test_delete),
		cmocka_unit_test(test_nonce),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests_name("parse", tests, NULL, NULL);
}
