/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Proposals: from our algorithm lists to SA payloads, and from a peer's SA
 * payload to a choice or to an explanation, attribute by attribute, of why
 * nothing fits. RFC 2407 §4, RFC 2408 §4.2, RFC 2409 §5.
 */
#ifndef MOAT_IKE_PROPOSAL_H
#define MOAT_IKE_PROPOSAL_H

#include "ike/alg.h"
#include "ike/tunnel.h"
#include "wire/build.h"
#include "wire/parse.h"

/**
 * struct moat_difference - one attribute that differs
 * @attribute: its name: "hash", "PFS group"
 */
struct moat_difference {
	const char *attribute;
	char offered[48];
	char ours[48];
};

#define MOAT_DIFFERENCES_MAX 6

/**
 * struct moat_mismatch - why no proposal fits, for people
 * @text: what was offered, what we have, the closest pair and what to change; no
 *	newline
 * @key: the setting to change
 * @diff: the closest pair, attribute by attribute; @n_diff of them
 */
struct moat_mismatch {
	char text[640];
	enum moat_conf_key key;
	unsigned int n_diff;
	struct moat_difference diff[MOAT_DIFFERENCES_MAX];
};

/**
 * enum moat_sa_role - whose SA payload is being read
 * @MOAT_SA_OFFER: an initiator's: any number of proposals and transforms
 * @MOAT_SA_ANSWER: a responder's: exactly one transform of one proposal per
 *	protocol, which must be one that we offered
 */
enum moat_sa_role { MOAT_SA_OFFER, MOAT_SA_ANSWER };

/**
 * struct moat_ike_want - what we accept and offer in phase 1
 * @algs: in order of preference
 * @method: enum moat_auth_method
 * @life_seconds: lifetime of the ISAKMP SA
 * @group: only entries with this group; MOAT_GROUP_NONE for all. In aggressive
 *	mode KE comes with the offer, so the group is not negotiable
 */
struct moat_ike_want {
	const struct moat_ike_algs *algs;
	uint16_t method;
	enum moat_group group;
	uint32_t life_seconds;
};

/**
 * struct moat_ike_choice - the agreed transform of phase 1
 * @alg: algorithms
 * @life_seconds: the shorter of both sides'; kilobytes are the peer's to count
 * @shortened: ours is the shorter one, or the only one: the peer needs to be told
 * @proposal: number of the peer's proposal
 * @transform: the peer's transform; views point into its SA payload
 */
struct moat_ike_choice {
	struct moat_ike_alg alg;
	uint32_t life_seconds;
	bool shortened;
	uint8_t proposal;
	struct moat_transform transform;
};

/**
 * moat_ike_offer_build() - write an initiator's SA payload of phase 1
 *
 * One proposal, one transform per entry, numbered from 1 in our order.
 */
void moat_ike_offer_build(struct moat_build *b, const struct moat_ike_want *want);

/** moat_auth_supported() - do we have this method (RFC 2409 appendix A)? */
bool moat_auth_supported(uint16_t method);

/**
 * moat_ike_choose() - find the first of ours that the peer's SA payload holds
 * @want: ours
 * @sa: the peer's
 * @role: whose payload it is
 * @choice: result
 * @why: filled in when nothing fits
 *
 * Return: 0, or -1 with @why (tell the peer NO-PROPOSAL-CHOSEN).
 */
int moat_ike_choose(const struct moat_ike_want *want, const struct moat_sa_payload *sa,
		    enum moat_sa_role role, struct moat_ike_choice *choice,
		    struct moat_mismatch *why);

/**
 * moat_ike_answer_build() - write a responder's SA payload: the transform as it
 * was offered (RFC 2408 §4.2)
 */
void moat_ike_answer_build(struct moat_build *b, const struct moat_ike_choice *choice);

/**
 * struct moat_sa_want - what we accept and offer in quick mode
 * @esp: in order of preference, or NULL
 * @ah: likewise; with both, AH over ESP as one bundle
 * @mode: tunnel or transport
 * @udp: UDP encapsulation was negotiated (RFC 3947 §5.1)
 * @draft: with the numbers of its drafts
 * @life_seconds: lifetime
 * @life_kilobytes: lifetime in kilobytes, 0 for none
 */
struct moat_sa_want {
	const struct moat_sa_algs *esp;
	const struct moat_sa_algs *ah;
	enum moat_mode mode;
	bool udp;
	bool draft;
	uint32_t life_seconds;
	uint64_t life_kilobytes;
};

/**
 * struct moat_sa_pick - one protocol's part of a choice
 * @alg: algorithms
 * @spi: the peer's SPI, host byte order
 * @transform: the peer's transform; views point into its SA payload
 */
struct moat_sa_pick {
	struct moat_sa_alg alg;
	uint32_t spi;
	struct moat_transform transform;
};

/**
 * struct moat_sa_choice - the agreed proposal of quick mode
 * @has_esp: @esp holds
 * @has_ah: @ah holds
 * @group: PFS group of both, MOAT_GROUP_NONE without
 * @mode: as wanted
 * @life_seconds: the shorter of both sides'
 * @life_kilobytes: likewise, 0 for none
 * @shortened: ours is the shorter one of a lifetime: the peer needs to be told
 * @proposal: number of the peer's proposal
 */
struct moat_sa_choice {
	bool has_esp;
	bool has_ah;
	struct moat_sa_pick esp;
	struct moat_sa_pick ah;
	enum moat_group group;
	enum moat_mode mode;
	uint32_t life_seconds;
	uint64_t life_kilobytes;
	bool shortened;
	uint8_t proposal;
};

/**
 * moat_sa_want_group() - the PFS group an initiator's quick mode uses
 *
 * A quick mode has one KE payload, so all that is offered has one group: that
 * of our first entry; entries with another are left out of an offer.
 */
enum moat_group moat_sa_want_group(const struct moat_sa_want *want);

/**
 * moat_sa_offer_build() - write an initiator's SA payload of quick mode
 * @b: builder
 * @want: ours
 * @esp_spi: our inbound SPI, host byte order; ignored without ESP
 * @ah_spi: likewise for AH
 */
void moat_sa_offer_build(struct moat_build *b, const struct moat_sa_want *want,
			 uint32_t esp_spi, uint32_t ah_spi);

/**
 * moat_sa_choose() - find the first of ours that the peer's SA payload holds
 *
 * Arguments and result as moat_ike_choose().
 */
int moat_sa_choose(const struct moat_sa_want *want, const struct moat_sa_payload *sa,
		   enum moat_sa_role role, struct moat_sa_choice *choice,
		   struct moat_mismatch *why);

/**
 * moat_sa_answer_build() - write a responder's SA payload of quick mode
 * @b: builder
 * @choice: what was chosen
 * @esp_spi: our inbound SPI, host byte order; ignored without ESP
 * @ah_spi: likewise for AH
 */
void moat_sa_answer_build(struct moat_build *b, const struct moat_sa_choice *choice,
			  uint32_t esp_spi, uint32_t ah_spi);

/**
 * moat_sa_lifetime_build() - write RESPONDER-LIFETIME (RFC 2407 §4.6.3.1)
 * @spi: our inbound SPI, host byte order
 */
void moat_sa_lifetime_build(struct moat_build *b, const struct moat_sa_choice *choice,
			    uint8_t protocol, uint32_t spi);

/**
 * moat_sa_lifetime_take() - a responder's shorter lifetimes
 * @data: of its notification
 * @choice: its lifetimes only get shorter
 *
 * Return: NULL, or what is wrong with @data.
 */
const char *moat_sa_lifetime_take(struct moat_view data, struct moat_sa_choice *choice);

/**
 * moat_ike_want_print() - list what we offer: for an initiator that was told
 * NO-PROPOSAL-CHOSEN, by attribute
 */
void moat_ike_want_print(const struct moat_ike_want *want, struct moat_mismatch *out);
void moat_sa_want_print(const struct moat_sa_want *want, struct moat_mismatch *out);

#endif
