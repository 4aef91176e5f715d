/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reading ISAKMP messages (RFC 2408 §3). A message is read in two steps: header
 * and chain of payloads here, then the body of each payload by its own function.
 * Every length is checked before it is used. Pure: no state, no allocation.
 */
#ifndef MOAT_WIRE_PARSE_H
#define MOAT_WIRE_PARSE_H

#include "wire/isakmp.h"
#include "wire/view.h"

#define MOAT_PAYLOADS_MAX   48
#define MOAT_PROPOSALS_MAX  32
#define MOAT_TRANSFORMS_MAX 256

/**
 * struct moat_hdr - the ISAKMP header (RFC 2408 §3.1), in host byte order
 */
struct moat_hdr {
	uint8_t cookie_i[MOAT_COOKIE_LEN];
	uint8_t cookie_r[MOAT_COOKIE_LEN];
	uint8_t next_payload;
	uint8_t version;
	uint8_t exchange;
	uint8_t flags;
	uint32_t message_id;
	uint32_t length;
};

/**
 * struct moat_payload - one payload of a message
 * @type: enum moat_payload_type as on the wire
 * @whole: with the generic header; for HASH(1) and its kin
 * @body: without the generic header; what RFC 2409 writes as <P>_b
 */
struct moat_payload {
	uint8_t type;
	struct moat_view whole;
	struct moat_view body;
};

/**
 * struct moat_message - a chain of payloads
 * @count: payloads found
 * @payloads: in the order of the wire
 * @padding: what follows the last payload
 */
struct moat_message {
	unsigned int count;
	struct moat_payload payloads[MOAT_PAYLOADS_MAX];
	struct moat_view padding;
};

#define moat_payload_for_each(p, msg) \
	for ((p) = (msg)->payloads; (p) < (msg)->payloads + (msg)->count; (p)++)

/**
 * moat_hdr_parse() - read and check the header of a datagram
 * @datagram: UDP payload, without a non-ESP marker
 * @hdr: filled in as far as it goes, also when version or length are refused
 * @no: filled in on refusal; may be NULL
 *
 * Refuses what is shorter than a header, another version than 1.0, a length
 * field that is not the datagram's length (RFC 2408 §5.1) and a zero initiator
 * cookie.
 *
 * Return: 0, or -1 with @no.
 */
int moat_hdr_parse(struct moat_view datagram, struct moat_hdr *hdr,
		   struct moat_refusal *no);

/**
 * moat_chain_parse() - read a chain of payloads (RFC 2408 §3.2, §5.3)
 * @first: type of the first payload (the header's next payload)
 * @octets: all after the ISAKMP header, decrypted
 * @encrypted: true if it came encrypted: any padding may follow. In clear at
 *	most 3 octets may (peers that align to four).
 * @msg: result; its views point into @octets
 * @no: filled in on refusal; may be NULL
 *
 * Payload types 128..255 (private use) are kept in the chain for the caller to
 * ignore; other unknown types, reserved octets that are not zero and lengths
 * that do not fit refuse the whole message.
 *
 * Return: 0, or -1 with @no.
 */
int moat_chain_parse(uint8_t first, struct moat_view octets, bool encrypted,
		     struct moat_message *msg, struct moat_refusal *no);

/**
 * moat_message_find() - first payload of a type
 *
 * Return: the payload, or NULL.
 */
const struct moat_payload *moat_message_find(const struct moat_message *msg,
					     uint8_t type);

/**
 * moat_message_vendor() - the vendor ID that begins with these octets
 * @msg: the message
 * @id: the octets; what follows them, such as a version, is the caller's to judge
 *
 * Return: the body of the first such payload, or a view of no octets.
 */
struct moat_view moat_message_vendor(const struct moat_message *msg, struct moat_view id);

/**
 * moat_message_count() - how many payloads of a type
 */
unsigned int moat_message_count(const struct moat_message *msg, uint8_t type);

/**
 * moat_message_after() - everything after a payload, padding excluded
 * @msg: the message
 * @p: one of its payloads
 *
 * What HASH(1) and HASH(2) cover when @p is the HASH payload (RFC 2409 §5.5).
 */
struct moat_view moat_message_after(const struct moat_message *msg,
				    const struct moat_payload *p);

/**
 * moat_message_names() - list the payloads: "HDR*, HASH, SA, NONCE, ID, ID"
 * @msg: the message
 * @encrypted: adds the star of RFC 2409 §3.2
 * @out: buffer
 * @size: its size; cut with "..." if too small
 */
void moat_message_names(const struct moat_message *msg, bool encrypted, char *out,
			size_t size);

/**
 * struct moat_transform - one transform (RFC 2408 §3.6)
 * @number: its number inside the proposal
 * @id: transform identifier: KEY_IKE, ESP_…, AH_…
 * @attributes: checked; walk with moat_attr_next()
 */
struct moat_transform {
	uint8_t number;
	uint8_t id;
	struct moat_view attributes;
};

/**
 * struct moat_proposal - one proposal (RFC 2408 §3.5)
 * @number: proposals of one SA with the same number belong together (§4.2)
 * @protocol: enum moat_protocol as on the wire
 * @spi: of the sender
 * @first: index of its first transform in struct moat_sa_payload
 * @count: its transforms, at least one
 */
struct moat_proposal {
	uint8_t number;
	uint8_t protocol;
	struct moat_view spi;
	unsigned int first;
	unsigned int count;
};

/**
 * struct moat_sa_payload - a security association payload, opened
 */
struct moat_sa_payload {
	uint32_t doi;
	uint32_t situation;
	unsigned int proposal_count;
	unsigned int transform_count;
	struct moat_proposal proposals[MOAT_PROPOSALS_MAX];
	struct moat_transform transforms[MOAT_TRANSFORMS_MAX];
};

/**
 * moat_sa_parse() - read an SA payload with all that is nested (RFC 2408 §3.4)
 * @body: body of the payload
 * @sa: result, about 7 KiB; its views point into @body
 * @no: filled in on refusal; may be NULL
 *
 * Refuses another DOI than IPsec and another situation than SIT_IDENTITY_ONLY.
 * SPI sizes: ISAKMP 0..16 (ignored), AH and ESP exactly 4 (§3.5, RFC 2407
 * §4.4). Attributes are checked for their lengths, not for their meaning.
 *
 * Return: 0, or -1 with @no.
 */
int moat_sa_parse(struct moat_view body, struct moat_sa_payload *sa,
		  struct moat_refusal *no);

/**
 * struct moat_attr - one data attribute (RFC 2408 §3.3)
 * @type: attribute class, without the format bit
 * @basic: true for TV, false for TLV
 * @value: of both formats; ~0 for a variable one longer than 8 octets
 * @data: octets of the value
 */
struct moat_attr {
	uint16_t type;
	bool basic;
	uint64_t value;
	struct moat_view data;
};

/**
 * moat_attr_next() - step through attributes
 * @rest: what is left; advanced
 * @attr: the attribute found
 *
 * Return: true while there was one. Octets that do not hold a whole attribute
 * end the walk; moat_sa_parse() has refused those before.
 */
bool moat_attr_next(struct moat_view *rest, struct moat_attr *attr);

/**
 * struct moat_id - identification payload (RFC 2408 §3.8, RFC 2407 §4.6.2)
 * @type: enum moat_id_type as on the wire
 * @protocol: IP protocol, 0 for any
 * @port: 0 for any
 * @data: size checked against @type for addresses, subnets and ranges
 */
struct moat_id {
	uint8_t type;
	uint8_t protocol;
	uint16_t port;
	struct moat_view data;
};

/**
 * moat_id_parse() - read an ID payload
 *
 * Return: 0, or -1 with @no.
 */
int moat_id_parse(struct moat_view body, struct moat_id *id, struct moat_refusal *no);

/**
 * struct moat_cert - certificate or certificate request (RFC 2408 §3.9, §3.10)
 * @encoding: enum moat_cert_type as on the wire
 * @data: certificate, or authority (may be empty)
 */
struct moat_cert {
	uint8_t encoding;
	struct moat_view data;
};

/**
 * moat_cert_parse() - read a CERT or CR payload
 *
 * Return: 0, or -1 with @no.
 */
int moat_cert_parse(struct moat_view body, struct moat_cert *cert,
		    struct moat_refusal *no);

/**
 * struct moat_notify - notification payload (RFC 2408 §3.14)
 */
struct moat_notify {
	uint32_t doi;
	uint8_t protocol;
	uint16_t type;
	struct moat_view spi;
	struct moat_view data;
};

/**
 * moat_notify_parse() - read a NOTIFY payload
 *
 * Return: 0, or -1 with @no.
 */
int moat_notify_parse(struct moat_view body, struct moat_notify *n,
		      struct moat_refusal *no);

/**
 * struct moat_delete - delete payload (RFC 2408 §3.15)
 * @spis: @count times @spi_size octets, exactly
 */
struct moat_delete {
	uint32_t doi;
	uint8_t protocol;
	uint8_t spi_size;
	uint16_t count;
	struct moat_view spis;
};

/**
 * moat_delete_parse() - read a DELETE payload
 *
 * SPI sizes are exact: ISAKMP 16, AH and ESP 4.
 *
 * Return: 0, or -1 with @no.
 */
int moat_delete_parse(struct moat_view body, struct moat_delete *d,
		      struct moat_refusal *no);

/**
 * moat_nat_oa_parse() - read a NAT-OA payload (RFC 3947 §5.2)
 * @body: body of the payload
 * @id: address, in the form of an ID payload
 *
 * Return: 0, or -1 with @no.
 */
int moat_nat_oa_parse(struct moat_view body, struct moat_id *id, struct moat_refusal *no);

/**
 * struct moat_fragment - part of a message, as peers' implementations have it
 * @id: of the message; many use 1 for all
 * @number: from 1
 * @last: there is no higher number
 * @data: octets of the message, whose header is in the first one
 */
struct moat_fragment {
	uint16_t id;
	uint8_t number;
	bool last;
	struct moat_view data;
};

/**
 * moat_fragment_parse() - read a FRAGMENT payload
 *
 * Return: 0, or -1 with @no.
 */
int moat_fragment_parse(struct moat_view body, struct moat_fragment *f,
			struct moat_refusal *no);

/**
 * moat_nonce_check() - nonces are 8 to 256 octets (RFC 2409 §5)
 *
 * Return: 0, or -1 with @no.
 */
int moat_nonce_check(struct moat_view body, struct moat_refusal *no);

#endif
