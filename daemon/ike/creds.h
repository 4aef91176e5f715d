/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What RSA authentication needs beside the private key, which only the keys
 * process has: certificates and revocation lists, as DER. Many tunnels share
 * one set; it does not change once it is made.
 */
#ifndef MOAT_IKE_CREDS_H
#define MOAT_IKE_CREDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MOAT_KEY_ID_LEN 32
/* Modulus of the longest RSA key, in octets (8192 bits). */
#define MOAT_RSA_MAX 1024

/**
 * enum moat_creds_part - what a set has
 * @MOAT_CREDS_CERT: our own certificate, then those up to its CA
 * @MOAT_CREDS_CA: whom we trust
 * @MOAT_CREDS_CA_NAME: their subjects, for certificate requests
 * @MOAT_CREDS_CRL: what they have revoked
 * @MOAT_CREDS_REMOTE: the one certificate that the peer may have
 * @MOAT_CREDS_REMOTE_KEY: modulus and exponent of its key, big endian
 */
enum moat_creds_part {
	MOAT_CREDS_CERT,
	MOAT_CREDS_CA,
	MOAT_CREDS_CA_NAME,
	MOAT_CREDS_CRL,
	MOAT_CREDS_REMOTE,
	MOAT_CREDS_REMOTE_KEY,
	MOAT_CREDS_PARTS
};

/** struct moat_der - one object */
struct moat_der {
	uint8_t *data;
	size_t len;
};

/**
 * struct moat_creds - a set of credentials
 * @refs: who holds it; one thread counts
 * @number: its place on the way from process to process
 * @weak: keys under 2048 bits and SHA-1 are good enough
 * @key_id: SHA-256 of the modulus of our own key: how the keys process finds it
 * @key_len: octets of that modulus
 * @digest: SHA-256 of all but the revocation lists
 */
struct moat_creds {
	unsigned int refs;
	unsigned int number;
	bool weak;
	uint8_t key_id[MOAT_KEY_ID_LEN];
	uint16_t key_len;
	uint8_t digest[32];
	struct {
		struct moat_der *list;
		unsigned int n;
	} part[MOAT_CREDS_PARTS];
};

/** moat_creds_new() - an empty set with one reference */
struct moat_creds *moat_creds_new(void);

/** moat_creds_get() - one more reference; NULL stays NULL */
struct moat_creds *moat_creds_get(struct moat_creds *creds);

/** moat_creds_put() - one reference less; the last one frees it */
void moat_creds_put(struct moat_creds *creds);

/**
 * moat_creds_add() - append an object
 * @data: copied
 * @len: octets
 */
void moat_creds_add(struct moat_creds *creds, enum moat_creds_part part, const void *data,
		    size_t len);

/** moat_creds_seal() - nothing is added any more: compute the digest */
void moat_creds_seal(struct moat_creds *creds);

/** moat_creds_same() - do both have the same, revocation lists aside? */
bool moat_creds_same(const struct moat_creds *a, const struct moat_creds *b);

#endif
