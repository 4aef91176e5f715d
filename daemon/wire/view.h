/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Octets that belong to somebody else, and the reason why some were refused.
 * Everything that parses hands out views into the datagram; nothing is copied.
 */
#ifndef MOAT_WIRE_VIEW_H
#define MOAT_WIRE_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/**
 * struct moat_view - a run of octets, not owned
 * @data: first octet; may be NULL when @len is 0
 * @len: octets
 */
struct moat_view {
	const uint8_t *data;
	size_t len;
};

/**
 * moat_view() - make a view
 * @data: first octet
 * @len: octets
 */
static inline struct moat_view moat_view(const void *data, size_t len)
{
	return (struct moat_view){ .data = data, .len = len };
}

/**
 * moat_view_equal() - compare two views; not for secrets
 */
static inline bool moat_view_equal(struct moat_view a, struct moat_view b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* Network byte order at any alignment. */
static inline uint16_t moat_get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t moat_get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline void moat_set16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void moat_set32(uint8_t *p, uint32_t v)
{
	moat_set16(p, (uint16_t)(v >> 16));
	moat_set16(p + 2, (uint16_t)v);
}

/**
 * enum moat_refuse - why octets from a peer were refused; one counter each
 *
 * moat_refuse_name() gives the counter's name, moat_refuse_notify() the notify
 * message type of RFC 2408 §3.14.1 that tells the peer.
 */
enum moat_refuse {
	MOAT_REFUSE_NONE,
	MOAT_REFUSE_SHORT_HEADER,     /* datagram smaller than the ISAKMP header */
	MOAT_REFUSE_VERSION,	      /* not ISAKMP 1.0 */
	MOAT_REFUSE_LENGTH,	      /* header's length is not the datagram's */
	MOAT_REFUSE_COOKIE,	      /* initiator cookie is zero */
	MOAT_REFUSE_PAYLOAD_TYPE,     /* next payload not known and not private */
	MOAT_REFUSE_PAYLOAD_RESERVED, /* reserved octet of a generic header not zero */
	MOAT_REFUSE_PAYLOAD_LENGTH,   /* payload runs past the message, or below 4 */
	MOAT_REFUSE_PAYLOAD_COUNT,    /* more payloads than MOAT_PAYLOADS_MAX */
	MOAT_REFUSE_TRAILING,	      /* octets after the last payload */
	MOAT_REFUSE_PAYLOAD_SHORT,    /* payload too small for its own fixed fields */
	MOAT_REFUSE_DOI,	      /* not the IPsec DOI */
	MOAT_REFUSE_SITUATION,	      /* not SIT_IDENTITY_ONLY */
	MOAT_REFUSE_PROPOSAL,	      /* proposal or transform structure is wrong */
	MOAT_REFUSE_PROPOSAL_COUNT,   /* more than the limits below hold */
	MOAT_REFUSE_PROTOCOL,	      /* protocol not known where it matters */
	MOAT_REFUSE_SPI_SIZE,	      /* SPI size is wrong for the protocol */
	MOAT_REFUSE_ATTRIBUTE,	      /* attribute runs out, or has a bad size */
	MOAT_REFUSE_ID,		      /* identification data is wrong for its type */
	MOAT_REFUSE_KEY,	      /* public value is wrong for the group */
	MOAT_REFUSE_NONCE,	      /* nonce outside 8..256 octets (RFC 2409 §5) */
	MOAT_REFUSE_PADDING,	      /* ciphertext is no whole number of blocks */
	MOAT_REFUSE_FLAGS,    /* in clear what must be encrypted, or the reverse */
	MOAT_REFUSE_HASH,     /* HASH is missing or wrong */
	MOAT_REFUSE_STATE,    /* no such message is expected now */
	MOAT_REFUSE_CHOICE,   /* authentic, but not what we have configured */
	MOAT_REFUSE_LIMIT,    /* too many at once */
	MOAT_REFUSE_UNKNOWN,  /* from an address that no tunnel has */
	MOAT_REFUSE_FRAGMENT, /* not announced, or does not fit with the others */
	MOAT_REFUSE_MAX,
};

/**
 * struct moat_refusal - a refusal, for counters and for people
 * @why: the named reason
 * @text: what was wrong, with both numbers: "payload 4 (KE) says 300 bytes,
 *	120 remain"; no newline
 */
struct moat_refusal {
	enum moat_refuse why;
	char text[160];
};

/**
 * moat_refuse_say() - fill in a refusal; see moat_refuse()
 */
void moat_refuse_say(struct moat_refusal *no, enum moat_refuse why, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/**
 * moat_refuse() - fill in a refusal
 * @no: where; may be NULL
 * @why: the reason
 * @...: printf format of the sentence, and its values
 *
 * Return: always -1, so that a parser can `return moat_refuse(...)`. A macro, so
 * that the compiler's analyzer knows it too.
 */
#define moat_refuse(no, why, ...) (moat_refuse_say(no, why, __VA_ARGS__), -1)

/**
 * moat_refuse_name() - name of a reason, for counters: "payload_length"
 */
const char *moat_refuse_name(enum moat_refuse why);

/**
 * moat_refuse_notify() - notify message type that tells the peer (RFC 2408 §5)
 */
uint16_t moat_refuse_notify(enum moat_refuse why);

#endif
