/* SPDX-License-Identifier: GPL-2.0 */
/* What an operator asks of a policy's packets beyond their protection. */
#ifndef _MOAT_SHAPE_H
#define _MOAT_SHAPE_H

#include <linux/types.h>

#define MOAT_DSCP_COPY 0xff

/**
 * struct moat_shape - How packets of a policy are treated.
 * @dscp: of the outer header, or MOAT_DSCP_COPY (RFC 4301 5.1.2.1)
 * @df: enum moat_df, of the outer header
 * @mtu: largest inner packet in bytes, where the route allows more; 0 is none
 * @mss: largest MSS that TCP may announce in either direction, or
 *	MOAT_MSS_AUTO; 0 is none
 * @tfc: bytes an inner packet is padded to, or MOAT_TFC_AUTO; 0 is none
 * @secpath: what comes out of an SA gets a secpath, see secpath.h
 */
struct moat_shape {
	u8 dscp;
	u8 df;
	u16 mtu;
	u16 mss;
	u16 tfc;
	bool secpath;
};

#endif /* _MOAT_SHAPE_H */
