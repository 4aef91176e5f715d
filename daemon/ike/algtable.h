/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rows of the algorithm tables, shared by alg.c (lookup), algstring.c (algorithm
 * strings) and the proposal files (numbers of the wire). Not for others.
 */
#ifndef MOAT_IKE_ALGTABLE_H
#define MOAT_IKE_ALGTABLE_H

#include "ike/alg.h"

/* A cipher of phase 1; @number is RFC 2409 appendix A's. */
struct moat_cipher_row {
	const char *name;
	enum moat_cipher cipher;
	uint16_t key_bits;
	uint16_t number;
	uint8_t block;
	bool sends_key_bits;
	bool weak;
};

/* A hash of phase 1. */
struct moat_hash_row {
	const char *name;
	enum moat_hash hash;
	uint16_t number;
	uint8_t len;
	bool weak;
};

struct moat_group_row {
	const char *name;
	enum moat_group group;
	uint16_t number;
	bool weak;
};

/*
 * A cipher of ESP. @icv is 0 where a separate integrity algorithm is needed;
 * @number is the transform identifier, 0 without one in IKEv1.
 */
struct moat_enc_row {
	const char *name;
	enum moat_enc enc;
	uint16_t key_bits;
	uint8_t icv;
	uint8_t salt;
	uint8_t number;
	bool sends_key_bits;
	bool weak;
};

/*
 * An integrity algorithm of ESP and AH. @number is the value of the
 * Authentication Algorithm attribute, @ah the AH transform identifier; 0 without
 * one in IKEv1. @key_len includes the salt of GMAC.
 */
struct moat_integ_row {
	const char *name;
	enum moat_auth auth;
	uint16_t key_bits;
	uint8_t icv;
	uint8_t key_len;
	uint8_t number;
	uint8_t ah;
	bool weak;
};

/* Tables end with a row without a name. */
extern const struct moat_cipher_row moat_cipher_rows[];
extern const struct moat_hash_row moat_hash_rows[];
extern const struct moat_group_row moat_group_rows[];
extern const struct moat_enc_row moat_enc_rows[];
extern const struct moat_integ_row moat_integ_rows[];

/* Row of what a structure holds, or NULL. */
const struct moat_cipher_row *moat_cipher_row(enum moat_cipher cipher, uint16_t key_bits);
const struct moat_hash_row *moat_hash_row(enum moat_hash hash);
const struct moat_group_row *moat_group_row(enum moat_group group);
const struct moat_enc_row *moat_enc_row(const struct moat_sa_alg *alg);
const struct moat_integ_row *moat_integ_row(const struct moat_sa_alg *alg);

/**
 * struct moat_text - a sentence being put together in a bounded buffer
 * @out: buffer, always ended
 * @size: its size
 * @used: octets written
 */
struct moat_text {
	char *out;
	size_t size;
	size_t used;
};

/**
 * moat_text_add() - append; what does not fit is cut
 */
void moat_text_add(struct moat_text *t, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif
