/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How hard a pre-shared key is to guess. */
#ifndef MOAT_PRIV_GUESS_H
#define MOAT_PRIV_GUESS_H

#include <stddef.h>
#include <stdint.h>

/*
 * A recorded exchange lets a peer's impersonator try keys offline, by billions a
 * second (aggressive mode shows enough to any listener): 2^80 is out of reach.
 */
#define MOAT_PSK_BITS 80

/**
 * moat_psk_bits() - estimate how many guesses a key withstands
 * @psk: the key
 * @len: its octets
 *
 * As if its characters were drawn from the kinds that occur in it, but what
 * guessers try first counts little: words, sequences, repetitions.
 *
 * Return: the logarithm of the guesses, in bits.
 */
unsigned int moat_psk_bits(const uint8_t *psk, size_t len);

#endif
