/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a peer can send that has authenticated itself, and that we would not. */
#ifndef MOAT_SIM_INSIDER_H
#define MOAT_SIM_INSIDER_H

#include "ike/ike1.h"
#include "sim.h"

/**
 * struct sim_quick_1 - how a first message of quick mode differs from a right one
 * @esp: what is offered
 * @protocol: of both IDs
 * @other: bits in which that of IDcr differs
 * @group: of the KE payload; MOAT_GROUP_NONE for none
 * @nothing: the value in it is 0
 * @nonce: its octets; 0 for 32
 */
struct sim_quick_1 {
	const struct moat_sa_algs *esp;
	uint8_t protocol;
	uint8_t other;
	enum moat_group group;
	bool nothing;
	size_t nonce;
};

/** sim_insider_begin() - a message of this exchange, with room for its HASH */
void sim_insider_begin(struct moat_ike1_out *out, struct moat_isakmp *sa,
		       uint8_t exchange, uint32_t id);
/** sim_insider_quick_1() - SA, NONCE, KE and both IDs of the first pair of networks */
void sim_insider_quick_1(struct sim *sim, struct moat_isakmp *sa, struct moat_build *b,
			 const struct sim_quick_1 *how);
/**
 * sim_insider_send() - with a true HASH(1) to side 1
 * @clear: not encrypted, as it may not be
 */
void sim_insider_send(struct sim *sim, struct moat_isakmp *sa, struct moat_ike1_out *out,
		      uint32_t id, bool clear);
/** sim_insider_seal() - HASH(1), and encrypted with @iv; returns its length */
size_t sim_insider_seal(struct moat_isakmp *sa, struct moat_ike1_out *out, uint32_t id,
			uint8_t *iv);
/** sim_insider_send_by() - the same, encrypted, with @iv that a message before it left */
void sim_insider_send_by(struct sim *sim, struct moat_isakmp *sa,
			 struct moat_ike1_out *out, uint32_t id, uint8_t *iv);
/**
 * sim_insider_crypt_5() - decrypt or encrypt message 5, or what is to be it
 * @sa: the initiator's
 */
void sim_insider_crypt_5(const struct moat_isakmp *sa, uint8_t *message, size_t len,
			 int (*crypt)(const struct moat_ike_alg *, const uint8_t *,
				      uint8_t *, uint8_t *, size_t));
/**
 * sim_insider_double() - the first payload of a type stands in a message twice
 * @message: with room behind it
 *
 * Return: its new length, without padding
 */
size_t sim_insider_double(uint8_t *message, size_t len, uint8_t type);
/** sim_insider_afresh() - side 0 says INITIAL-CONTACT under its newest ISAKMP SA */
void sim_insider_afresh(struct sim *sim, uint32_t id);
/** sim_insider_delete() - side 0 deletes the SA by which side 1's @child sends */
void sim_insider_delete(struct sim *sim, const struct moat_child *child, uint32_t id);
/** sim_insider_packet() - to a side, on the newest SAs: the first one comes too early */
void sim_insider_packet(struct sim *sim, int side);

#endif
