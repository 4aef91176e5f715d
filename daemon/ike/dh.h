/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Diffie-Hellman over libgcrypt: MODP groups (RFC 2409 §6, RFC 3526), curves
 * over GF[p] (RFC 5903) and Curve25519. Private values come from the caller, so
 * nothing here is random; they and the results live in secure memory while here.
 */
#ifndef MOAT_IKE_DH_H
#define MOAT_IKE_DH_H

#include "ike/alg.h"
#include "wire/view.h"

#define MOAT_DH_PRIVATE_MAX 80	 /* octets; 2 x 320 bits, RFC 3526 §8 */
#define MOAT_DH_PUBLIC_MAX  1024 /* octets; modp8192 */

/**
 * moat_dh_private_len() - how many random octets a private value takes
 *
 * MODP: twice the larger strength estimate of RFC 3526 §8; curves: the size of
 * the order.
 */
size_t moat_dh_private_len(enum moat_group group);

/**
 * moat_dh_public_len() - octets of a public value in KE, exactly
 */
size_t moat_dh_public_len(enum moat_group group);

/**
 * moat_dh_group_of() - the group whose public values have this length
 * @len: octets; no two groups share one
 *
 * Return: the group, MOAT_GROUP_NONE when there is none.
 */
enum moat_group moat_dh_group_of(size_t len);

/**
 * moat_dh_shared_len() - octets of g^xy (leading zeros kept)
 */
size_t moat_dh_shared_len(enum moat_group group);

/**
 * moat_dh_public() - compute our public value
 * @group: group
 * @priv: moat_dh_private_len() random octets
 * @pub: moat_dh_public_len() octets
 *
 * Return: 0, or -1 when libgcrypt fails or @priv is no valid value for a curve
 * (zero, or not below the order: draw again).
 */
int moat_dh_public(enum moat_group group, const uint8_t *priv, uint8_t *pub);

/**
 * moat_dh_check() - may this be a peer's public value?
 * @group: group
 * @pub: body of the peer's KE
 * @no: filled in on refusal
 *
 * Length exact; 1 < y < p - 1; points on the curve and not at infinity. Cheap
 * enough for the protocol core.
 *
 * Return: 0, or -1 with @no.
 */
int moat_dh_check(enum moat_group group, struct moat_view pub, struct moat_refusal *no);

/**
 * moat_dh_shared() - compute g^xy
 * @group: group
 * @priv: our private value
 * @peer: body of the peer's KE; checked here as well
 * @out: moat_dh_shared_len() octets; the caller wipes them
 * @no: filled in on refusal; may be NULL
 *
 * Return: 0, or -1 with @no.
 */
int moat_dh_shared(enum moat_group group, const uint8_t *priv, struct moat_view peer,
		   uint8_t *out, struct moat_refusal *no);

#endif
