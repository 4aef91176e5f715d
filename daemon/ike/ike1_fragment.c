// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * IKE fragmentation, for paths that lose fragments of IP. No RFC has it: a vendor
 * id announces it, and a private payload carries a piece of a message, as Cisco,
 * racoon, strongSwan and libreswan do.
 *
 * Anybody who has seen our cookies can send fragments. So they may cost little,
 * and what does not fit gives way to what came last: an honest peer repeats its
 * message until we have it, a forgery spoils one try at most.
 */
#include "ike/ike1.h"

#include <stdlib.h>
#include <string.h>

#define VENDOR_LEN   20
#define VENDOR_NAMED 16 /* octets of the name; a word of capabilities follows */

/*
 * A packet of 1280 octets, which every path of IPv6 carries, less the headers of
 * IPv6 and UDP and the marker of port 4500.
 */
#define WHOLE_MAX (1280 - 40 - 8 - 4)
#define PART_MAX  (WHOLE_MAX - MOAT_HDR_LEN - MOAT_GENERIC_LEN - 4)

#define PARTS_MAX  32
#define OCTETS_MAX (MOAT_HDR_LEN + MOAT_MESSAGE_MAX)
#define PARTS_LIFE (60 * MOAT_SECOND)

/* MD5 of "FRAGMENTATION"; of the word the first bit is for main and aggressive. */
static const uint8_t vendor[VENDOR_LEN] = { 0x40, 0x48, 0xb7, 0xd5, 0x6e, 0xbc,
					    0xe8, 0x85, 0x25, 0xe7, 0xde, 0x7f,
					    0x00, 0xd6, 0xc2, 0xd3, 0x80 };

/**
 * struct moat_parts - a message of the peer that is not complete
 * @id: of the message
 * @last: highest number, 0 while it has not come
 * @octets: of all parts
 * @part: by number, from 1
 * @timer: they are not kept for ever
 */
struct moat_parts {
	uint16_t id;
	unsigned int last;
	size_t octets;
	struct moat_blob part[PARTS_MAX + 1];
	struct moat_timer timer;
};

/* ---- who can ---- */

void moat_fragment_put_vendor(const struct moat_isakmp *sa, struct moat_build *b)
{
	if (sa->tunnel->terms.fragmentation && (sa->initiator || sa->fragments))
		moat_build_payload(b, MOAT_P_VENDOR, moat_view(vendor, sizeof(vendor)));
}

void moat_fragment_take_vendor(const struct moat_ike1_in *in)
{
	struct moat_isakmp *sa = in->sa;
	struct moat_view id =
		moat_message_vendor(&in->msg, moat_view(vendor, VENDOR_NAMED));

	sa->fragments = sa->tunnel->terms.fragmentation &&
			(id.len == VENDOR_NAMED ||
			 (id.len == VENDOR_LEN && id.data[VENDOR_NAMED] & 0x80));
}

/* ---- sending ---- */

bool moat_fragment_needed(const struct moat_isakmp *sa, size_t len)
{
	return sa->fragments && len > WHOLE_MAX;
}

/*
 * Message id and exchange are those of phase 1 whatever the message is: so have it
 * racoon and strongSwan, and libreswan then knows the ISAKMP SA.
 */
static size_t build(const struct moat_isakmp *sa, const struct moat_fragment *f,
		    uint8_t buf[WHOLE_MAX])
{
	struct moat_hdr hdr = { .exchange = sa->exchange };
	struct moat_build b;

	memcpy(hdr.cookie_i, sa->cky.i, MOAT_COOKIE_LEN);
	memcpy(hdr.cookie_r, sa->cky.r, MOAT_COOKIE_LEN);
	moat_build_start(&b, buf, WHOLE_MAX, &hdr);
	moat_build_fragment(&b, f);
	return moat_build_finish(&b);
}

void moat_fragment_send(struct moat_isakmp *sa, struct moat_view message,
			void (*send)(struct moat_isakmp *sa, const void *data,
				     size_t len))
{
	uint8_t buf[WHOLE_MAX];
	struct moat_view rest = message;
	/* The same when it is repeated, so that parts of both fit each other. */
	struct moat_fragment f = {
		.id = moat_get16(message.data + message.len - 2) | 1,
	};

	while (rest.len) {
		f.data = moat_view(rest.data, rest.len < PART_MAX ? rest.len : PART_MAX);
		rest = moat_view(rest.data + f.data.len, rest.len - f.data.len);
		f.number++;
		f.last = !rest.len;
		send(sa, buf, build(sa, &f, buf));
	}
	moat_act_log(sa->ike->acts, MOAT_LOG_DEBUG, "ike-fragmented",
		     sa->tunnel->conf.name, "a message of %zu bytes goes in %u fragments",
		     message.len, f.number);
}

/* ---- receiving ---- */

static void drop(struct moat_parts *parts, unsigned int number)
{
	parts->octets -= parts->part[number].len;
	moat_blob_clear(&parts->part[number]);
}

void moat_fragment_forget(struct moat_isakmp *sa)
{
	struct moat_parts *parts = sa->parts;

	if (!parts)
		return;
	moat_timer_stop(&sa->ike->timers, &parts->timer);
	for (unsigned int i = 1; i <= PARTS_MAX; i++)
		moat_blob_clear(&parts->part[i]);
	free(parts);
	sa->parts = NULL;
}

size_t moat_fragment_octets(const struct moat_isakmp *sa)
{
	return sa->parts ? sa->parts->octets : 0;
}

static void too_late(struct moat_ike *ike, void *owner)
{
	struct moat_isakmp *sa = owner;

	ike->refused[MOAT_REFUSE_FRAGMENT]++;
	moat_act_log(ike->acts, MOAT_LOG_DEBUG, "ike-incomplete", sa->tunnel->conf.name,
		     "fragments of a message were dropped: the others did not come");
	moat_fragment_forget(sa);
}

/* It takes the place of the part with its number: an honest repetition fits always. */
static size_t octets_with(const struct moat_parts *parts, const struct moat_fragment *f)
{
	return parts->octets - parts->part[f->number].len + f->data.len;
}

static struct moat_parts *parts_of(struct moat_isakmp *sa, const struct moat_fragment *f)
{
	if (sa->parts &&
	    (sa->parts->id != f->id || octets_with(sa->parts, f) > OCTETS_MAX))
		moat_fragment_forget(sa);
	if (!sa->parts) {
		sa->parts = moat_alloc(sizeof(*sa->parts));
		sa->parts->id = f->id;
		sa->parts->timer = (struct moat_timer){ .fire = too_late, .owner = sa };
		moat_timer_after(sa->ike, &sa->parts->timer, PARTS_LIFE);
	}
	return sa->parts;
}

/* What contradicts it gives way, be it forged or left from another message. */
static void keep(struct moat_parts *parts, const struct moat_fragment *f)
{
	if (parts->last && f->number > parts->last) {
		drop(parts, parts->last);
		parts->last = 0;
	}
	if (f->last)
		parts->last = f->number;
	else if (f->number == parts->last)
		parts->last = 0;
	drop(parts, f->number);
	moat_blob_set(&parts->part[f->number], f->data.data, f->data.len);
	parts->octets += f->data.len;
}

static bool complete(const struct moat_parts *parts)
{
	for (unsigned int i = 1; i <= parts->last; i++) {
		if (!parts->part[i].data)
			return false;
	}
	return parts->last;
}

static void join(const struct moat_parts *parts, struct moat_blob *whole)
{
	whole->data = moat_alloc(parts->octets);
	for (unsigned int i = 1; i <= parts->last; i++) {
		const struct moat_blob *part = &parts->part[i];

		memcpy(whole->data + whole->len, part->data, part->len);
		whole->len += part->len;
	}
}

static int may_come(struct moat_ike1_in *in)
{
	static const uint8_t none[MOAT_COOKIE_LEN];
	const struct moat_isakmp *sa = in->sa;
	/* What the peer can is then in the message itself. */
	bool answer = sa->initiator && !memcmp(sa->cky.r, none, MOAT_COOKIE_LEN);

	if (!memcmp(in->hdr.cookie_r, none, MOAT_COOKIE_LEN))
		return moat_refuse(&in->no, MOAT_REFUSE_FRAGMENT,
				   "a fragment of a first message");
	if (!sa->tunnel->terms.fragmentation || !(sa->fragments || answer))
		return moat_refuse(&in->no, MOAT_REFUSE_FRAGMENT,
				   "a fragment, which %s did not announce",
				   sa->tunnel->terms.fragmentation ? "the peer" : "we");
	return 0;
}

static int read_fragment(struct moat_ike1_in *in, struct moat_fragment *f)
{
	struct moat_view octets =
		moat_view(in->data.data + MOAT_HDR_LEN, in->data.len - MOAT_HDR_LEN);

	if (moat_chain_parse(in->hdr.next_payload, octets, false, &in->msg, &in->no))
		return -1;
	if (in->msg.count != 1)
		return moat_refuse(&in->no, MOAT_REFUSE_FRAGMENT,
				   "a fragment with %u other payloads",
				   in->msg.count - 1);
	if (moat_fragment_parse(in->msg.payloads[0].body, f, &in->no))
		return -1;
	if (f->number > PARTS_MAX)
		return moat_refuse(&in->no, MOAT_REFUSE_FRAGMENT,
				   "fragment %u of a message, at most %d", f->number,
				   PARTS_MAX);
	return 0;
}

/* The whole must be what its parts said, and no part itself. */
static int check_whole(struct moat_ike1_in *in, const struct moat_blob *whole)
{
	struct moat_hdr hdr;

	if (moat_hdr_parse(moat_blob_view(whole), &hdr, &in->no))
		return -1;
	if (hdr.next_payload == MOAT_P_FRAGMENT ||
	    memcmp(whole->data, in->data.data, 2 * MOAT_COOKIE_LEN) != 0)
		return moat_refuse(&in->no, MOAT_REFUSE_FRAGMENT,
				   "the message in the fragments is %s",
				   hdr.next_payload == MOAT_P_FRAGMENT
					   ? "a fragment itself"
					   : "of another ISAKMP SA");
	return 0;
}

int moat_fragment_take(struct moat_ike1_in *in, struct moat_blob *whole)
{
	struct moat_isakmp *sa = in->sa;
	struct moat_fragment f;
	struct moat_parts *parts;

	if (may_come(in) || read_fragment(in, &f))
		return -1;
	parts = parts_of(sa, &f);
	keep(parts, &f);
	if (!complete(parts))
		return 0;
	join(parts, whole);
	moat_fragment_forget(sa);
	return check_whole(in, whole);
}
