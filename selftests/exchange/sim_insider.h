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
 * @group: of the KE payload; MOAT_GROUP_NONE for none
 * @nothing: the value in it is 0
 * @nonce: its octets; 0 for 32
 */
struct sim_quick_1 {
	const struct moat_sa_algs *esp;
	uint8_t protocol;
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

#endif
