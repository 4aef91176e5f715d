/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * RSA with public keys, as IKEv1 uses it: signatures that are a PKCS #1 block
 * type 1 around the bare HASH, without DigestInfo (RFC 2409 section 5.1), and
 * encryption in a block of type 2 (section 5.2).
 */
#ifndef MOAT_IKE_RSA_H
#define MOAT_IKE_RSA_H

#include "ike/creds.h"
#include "wire/view.h"

/**
 * struct moat_rsa_public - a public key, big endian, without leading zeros
 * @n: modulus
 * @e: exponent
 */
struct moat_rsa_public {
	struct moat_view n;
	struct moat_view e;
};

/**
 * moat_rsa_unfit() - why a key must not be used
 * @weak: 1024 bits will do instead of 2048
 *
 * Return: NULL, or a sentence.
 */
const char *moat_rsa_unfit(const struct moat_rsa_public *key, bool weak);

/**
 * moat_rsa_signature_block() - what a signature is made of: 00 01 FF ... 00 HASH
 * @block: @len octets, the length of the modulus
 *
 * Return: 0, or -1 when the hash does not fit.
 */
int moat_rsa_signature_block(struct moat_view hash, uint8_t *block, size_t len);

/**
 * moat_rsa_verify() - is it the key's signature of this hash?
 *
 * The whole block is built again and compared, so nothing in it is parsed.
 *
 * Return: 0, or -1.
 */
int moat_rsa_verify(const struct moat_rsa_public *key, struct moat_view hash,
		    struct moat_view signature);

/**
 * moat_rsa_encrypt() - encrypt a short text: 00 02 PADDING 00 TEXT, PKCS #1 v1.5
 * @text: what is secret
 * @padding: random octets without a zero, eight at least: as many as fill the block
 * @out: as many octets as the modulus has
 *
 * Return: 0, or -1 when the lengths do not fit.
 */
int moat_rsa_encrypt(const struct moat_rsa_public *key, struct moat_view text,
		     struct moat_view padding, uint8_t *out);

#endif
