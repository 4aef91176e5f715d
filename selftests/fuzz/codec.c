// SPDX-License-Identifier: GPL-2.0-or-later
#include "codec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ike/proposal.h"

#define CHECK(what)                                                             \
	do {                                                                    \
		if (!(what)) {                                                  \
			fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, \
				__LINE__, #what);                               \
			abort();                                                \
		}                                                               \
	} while (0)

static void inside(struct moat_view outer, struct moat_view v)
{
	if (v.len == 0)
		return;
	CHECK(v.data >= outer.data);
	CHECK(v.data + v.len <= outer.data + outer.len);
}

static int refused(const struct moat_refusal *no)
{
	CHECK(no->why > MOAT_REFUSE_NONE && no->why < MOAT_REFUSE_MAX);
	CHECK(no->text[0] != '\0');
	CHECK(moat_refuse_notify(no->why) != 0);
	return -1;
}

static void choose(const struct moat_sa_payload *sa)
{
	struct moat_ike_algs ike;
	struct moat_sa_algs esp;
	struct moat_ike_want phase1 = { &ike, MOAT_METHOD_PSK, 0, 28800 };
	struct moat_sa_want phase2 = { .esp = &esp,
				       .mode = MOAT_MODE_TUNNEL,
				       .life_seconds = 3600 };
	struct moat_ike_choice c1;
	struct moat_sa_choice c2;
	struct moat_mismatch why;

	moat_ike_algs_default(&ike);
	moat_sa_algs_default(&esp);
	for (int role = MOAT_SA_OFFER; role <= MOAT_SA_ANSWER; role++) {
		why.text[0] = '\0';
		if (moat_ike_choose(&phase1, sa, role, &c1, &why) < 0)
			CHECK(why.text[0] != '\0');
		else
			CHECK(c1.life_seconds > 0 && c1.life_seconds <= 28800);
		why.text[0] = '\0';
		if (moat_sa_choose(&phase2, sa, role, &c2, &why) < 0)
			CHECK(why.text[0] != '\0');
		else
			CHECK(c2.has_esp && c2.esp.spi >= 256 && c2.life_seconds <= 3600);
	}
}

static int read_sa(struct moat_view body, struct moat_refusal *no)
{
	struct moat_sa_payload sa;
	unsigned int transforms = 0;

	if (moat_sa_parse(body, &sa, no) < 0)
		return refused(no);
	CHECK(sa.proposal_count > 0 && sa.proposal_count <= MOAT_PROPOSALS_MAX);
	for (unsigned int i = 0; i < sa.proposal_count; i++) {
		CHECK(sa.proposals[i].first == transforms);
		CHECK(sa.proposals[i].count > 0);
		inside(body, sa.proposals[i].spi);
		transforms += sa.proposals[i].count;
	}
	CHECK(transforms == sa.transform_count && transforms <= MOAT_TRANSFORMS_MAX);
	for (unsigned int i = 0; i < transforms; i++) {
		struct moat_view rest = sa.transforms[i].attributes;
		struct moat_attr attr;

		inside(body, rest);
		while (moat_attr_next(&rest, &attr))
			inside(body, attr.data);
		CHECK(rest.len == 0);
	}
	choose(&sa);
	return 0;
}

static int read_body(const struct moat_payload *p)
{
	struct moat_refusal no = { .why = MOAT_REFUSE_NONE };
	struct moat_notify n;
	struct moat_fragment f;
	struct moat_delete d;
	struct moat_cert cert;
	struct moat_id id;

	switch (p->type) {
	case MOAT_P_SA:
		return read_sa(p->body, &no);
	case MOAT_P_ID:
		if (moat_id_parse(p->body, &id, &no) < 0)
			return refused(&no);
		inside(p->body, id.data);
		return 0;
	case MOAT_P_NAT_OA:
		if (moat_nat_oa_parse(p->body, &id, &no) < 0)
			return refused(&no);
		inside(p->body, id.data);
		return 0;
	case MOAT_P_CERT:
	case MOAT_P_CR:
		if (moat_cert_parse(p->body, &cert, &no) < 0)
			return refused(&no);
		inside(p->body, cert.data);
		return 0;
	case MOAT_P_NONCE:
		return moat_nonce_check(p->body, &no) < 0 ? refused(&no) : 0;
	case MOAT_P_NOTIFY:
		if (moat_notify_parse(p->body, &n, &no) < 0)
			return refused(&no);
		inside(p->body, n.spi);
		inside(p->body, n.data);
		return 0;
	case MOAT_P_DELETE:
		if (moat_delete_parse(p->body, &d, &no) < 0)
			return refused(&no);
		inside(p->body, d.spis);
		CHECK(d.spis.len == (size_t)d.count * d.spi_size);
		return 0;
	case MOAT_P_FRAGMENT:
		if (moat_fragment_parse(p->body, &f, &no) < 0)
			return refused(&no);
		inside(p->body, f.data);
		CHECK(f.number > 0 && f.data.len > 0);
		return 0;
	default:
		return 0;
	}
}

/* What was read is written again and must be the same octets. */
static void rebuild(const struct moat_hdr *hdr, const struct moat_message *msg,
		    const uint8_t *data, size_t len)
{
	uint8_t *buf = malloc(len);
	const struct moat_payload *p;
	struct moat_build b;
	size_t written;

	CHECK(buf);
	moat_build_start(&b, buf, len, hdr);
	moat_payload_for_each(p, msg)
		moat_build_payload(&b, p->type, p->body);
	written = moat_build_finish(&b);
	CHECK(written == len - msg->padding.len);
	moat_set32(buf + 24, hdr->length);
	CHECK(memcmp(buf, data, written) == 0);
	free(buf);
}

static void read_chain(const struct moat_message *msg, struct moat_view octets)
{
	const struct moat_payload *p;
	struct moat_view rest;
	char names[80];

	CHECK(msg->count <= MOAT_PAYLOADS_MAX);
	inside(octets, msg->padding);
	moat_payload_for_each(p, msg) {
		inside(octets, p->whole);
		inside(p->whole, p->body);
		rest = moat_message_after(msg, p);
		inside(octets, rest);
	}
	for (size_t size = 0; size <= sizeof(names); size++) {
		memset(names, 'x', sizeof(names));
		moat_message_names(msg, true, names, size);
		CHECK(size == sizeof(names) || names[size] == 'x');
	}
}

enum fuzz_fate fuzz_codec(const uint8_t *data, size_t len)
{
	struct moat_refusal no = { .why = MOAT_REFUSE_NONE };
	enum fuzz_fate fate = FUZZ_READ;
	const struct moat_payload *p;
	struct moat_message msg;
	struct moat_view octets;
	struct moat_hdr hdr;

	if (moat_hdr_parse(moat_view(data, len), &hdr, &no) < 0) {
		refused(&no);
		return FUZZ_NO_HEADER;
	}
	octets = moat_view(data + MOAT_HDR_LEN, len - MOAT_HDR_LEN);
	if (moat_chain_parse(hdr.next_payload, octets, hdr.flags & MOAT_FLAG_ENCRYPTION,
			     &msg, &no) < 0) {
		refused(&no);
		return FUZZ_NO_CHAIN;
	}
	read_chain(&msg, octets);
	rebuild(&hdr, &msg, data, len);
	moat_payload_for_each(p, &msg)
		if (read_body(p) < 0)
			fate = FUZZ_BAD_BODY;
	return fate;
}
