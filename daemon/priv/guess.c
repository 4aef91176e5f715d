// SPDX-License-Identifier: GPL-2.0-or-later
/* How hard a pre-shared key is to guess: an estimate, rather too high than too low. */
#include "priv/guess.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

/* All in tenths of a bit. */
#define WORD_COST 120 /* a list of 4,096 words */
#define BAIT_COST 60

/* Parts of the keys that guessers try first. */
static const char *const baits[] = {
	"password", "passwort", "passw0rd", "secret",  "geheim",   "preshared",
	"shared",   "changeme", "welcome",  "letmein", "qwerty",   "qwertz",
	"asdf",	    "yxcv",	"zxcv",	    "1qaz",    "2wsx",	   "admin",
	"default",  "example",	"cisco",    "juniper", "fortinet", "ipsec",
	"tunnel",   "gateway",	"router",   "branch",  "moat",	   "test",
};

/* The logarithm of @n, between powers of two a straight line. */
static unsigned int log_of(unsigned int n)
{
	unsigned int whole = 31 - (unsigned int)__builtin_clz(n);

	return 10 * whole + 10 * (n - (1u << whole)) / (1u << whole);
}

/* What one character says when it is drawn from the kinds that occur. */
static unsigned int character_cost(const uint8_t *psk, size_t len)
{
	bool lower = false, upper = false, digit = false, other = false, high = false;
	bool hex = true;

	for (size_t i = 0; i < len; i++) {
		lower |= psk[i] >= 'a' && psk[i] <= 'z';
		upper |= psk[i] >= 'A' && psk[i] <= 'Z';
		digit |= psk[i] >= '0' && psk[i] <= '9';
		high |= psk[i] >= 0x80;
		other |= psk[i] < 0x80 && !isalnum(psk[i]);
		hex &= isxdigit(psk[i]) != 0;
	}
	if (hex && (lower || upper))
		return log_of(16);
	return log_of(26u * lower + 26u * upper + 10u * digit + 33u * other +
		      128u * high);
}

static size_t bait_at(const uint8_t *at, size_t len)
{
	for (size_t i = 0; i < sizeof(baits) / sizeof(baits[0]); i++) {
		size_t n = strlen(baits[i]);

		if (n <= len && !strncasecmp((const char *)at, baits[i], n))
			return n;
	}
	return 0;
}

/* How much of what begins at @at stood there before. */
static size_t repeated_at(const uint8_t *psk, size_t at, size_t len)
{
	size_t longest = 0;

	for (size_t from = 0; from < at; from++) {
		size_t n = 0;

		while (at + n < len && psk[from + n] == psk[at + n])
			n++;
		if (n > longest)
			longest = n;
	}
	return longest >= 3 ? longest : 0;
}

/* "aaa", "345", "fed": the third one is no surprise. */
static bool goes_on(const uint8_t *psk, size_t at)
{
	int step = at >= 2 ? psk[at] - psk[at - 1] : 2;

	return step >= -1 && step <= 1 && psk[at - 1] - psk[at - 2] == step;
}

static bool is_gap(uint8_t c)
{
	return c && strchr(" -_.,", c);
}

/* Words between gaps, three or more and nothing else: how many; 0 is no phrase. */
static unsigned int words_of(const uint8_t *psk, size_t len)
{
	unsigned int words = 0;

	for (size_t i = 0; i < len; i++) {
		if (!isalpha(psk[i]) && !is_gap(psk[i]))
			return 0;
		if (isalpha(psk[i]) && (!i || is_gap(psk[i - 1])))
			words++;
	}
	return words >= 3 ? words : 0;
}

unsigned int moat_psk_bits(const uint8_t *psk, size_t len)
{
	unsigned int one, cost = 0, words;
	size_t at = 0, n;

	if (!len)
		return 0;
	one = character_cost(psk, len);
	while (at < len) {
		n = bait_at(psk + at, len - at);
		if (n) {
			cost += BAIT_COST;
			at += n;
			continue;
		}
		n = repeated_at(psk, at, len);
		if (n || !goes_on(psk, at))
			cost += one;
		at += n ? n : 1;
	}
	words = words_of(psk, len) * WORD_COST;
	return (words && words < cost ? words : cost) / 10;
}
