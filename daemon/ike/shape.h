/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an operator asks of a policy's packets beyond their protection. */
#ifndef MOAT_IKE_SHAPE_H
#define MOAT_IKE_SHAPE_H

#include <stdbool.h>
#include <stdint.h>

#include "linux/moat.h"

/* Octets of a network device's name, as the kernel has it. */
#define MOAT_DEVICE_SIZE 16

/**
 * struct moat_shape - how packets of a policy are treated; all zero is the default
 * @has_dscp: the outer header gets @dscp; else it copies the inner one's
 * @df: enum moat_df, of the outer header
 * @mtu: largest inner packet in octets, where the route allows more; 0 is none
 * @mss: largest MSS that TCP may announce, or MOAT_MSS_AUTO; 0 is none
 * @tfc: octets that inner packets are padded to, or MOAT_TFC_AUTO; 0 is none
 * @secpath: what comes out of an SA shows it to netfilter
 */
struct moat_shape {
	bool has_dscp;
	uint8_t dscp;
	uint8_t df;
	uint16_t mtu;
	uint16_t mss;
	uint16_t tfc;
	bool secpath;
};

/** moat_shape_equal() - packets are treated alike */
static inline bool moat_shape_equal(const struct moat_shape *a,
				    const struct moat_shape *b)
{
	return a->has_dscp == b->has_dscp && a->dscp == b->dscp && a->df == b->df &&
	       a->mtu == b->mtu && a->mss == b->mss && a->tfc == b->tfc &&
	       a->secpath == b->secpath;
}

#endif
