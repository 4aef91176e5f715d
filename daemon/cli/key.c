// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Keys of manual SAs. They come from a file or from standard input and never
 * from the command line, which everybody can read in the process list.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "cli/cli.h"

#define TEXT_MAX 4096

static FILE *open_source(const char *source)
{
	struct stat st;
	FILE *f;

	if (!strcmp(source, "-")) {
		setvbuf(stdin, NULL, _IONBF, 0);
		return stdin;
	}
	if (source[0] != '@')
		moat_usage("moat: key: expected @FILE, or - for standard input; a key "
			   "among the arguments would be seen in the process list");
	f = fopen(source + 1, "re");
	if (!f) {
		moat_failed("key file %s: %s", source + 1, strerror(errno));
		return NULL;
	}
	if (!fstat(fileno(f), &st) && S_ISREG(st.st_mode) && (st.st_mode & 077)) {
		moat_failed("key file %s: others can read it (mode %03o); chmod 600 %s",
			    source + 1, st.st_mode & 0777, source + 1);
		fclose(f);
		return NULL;
	}
	setvbuf(f, NULL, _IONBF, 0); /* no copy in a buffer that is not wiped */
	return f;
}

static int hex_digit(int c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = tolower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Hex text to bytes: the number of bytes, -1 not hex, -2 half a byte left. */
static int from_hex(const char *text, size_t len, uint8_t *key, size_t max)
{
	size_t i, digits = 0;

	for (i = 0; i < len; i++) {
		int value = hex_digit(text[i]);

		if (isspace((unsigned char)text[i]))
			continue;
		if (value == 0 && !digits && i + 1 < len && tolower(text[i + 1]) == 'x') {
			i++;
			continue;
		}
		if (value < 0)
			return -1;
		if (digits / 2 < max)
			key[digits / 2] =
				digits % 2 ? key[digits / 2] << 4 | value : value;
		digits++;
	}
	return digits % 2 ? -2 : (int)(digits / 2);
}

/**
 * moat_key_read() - read the key of an SA: the cipher's, then the integrity's
 * @source: @FILE, or - for standard input: hex digits, 0x before them and
 *	space between them are allowed
 * @alg: name of the algorithms, for messages
 * @enc_len: length of the cipher's key with its salt, in bytes
 * @auth_len: length of the integrity algorithm's key, in bytes
 * @key: takes both, 2 * MOAT_KEY_MAX bytes; the caller wipes it
 *
 * Return: enum moat_exit
 */
int moat_key_read(const char *source, const char *alg, size_t enc_len, size_t auth_len,
		  uint8_t *key)
{
	char text[TEXT_MAX];
	FILE *f = open_source(source);
	int status = MOAT_EXIT_DONE;
	size_t len;
	int n;

	if (!f)
		return MOAT_EXIT_FAILED;
	len = fread(text, 1, sizeof(text), f);
	n = from_hex(text, len, key, 2 * MOAT_KEY_MAX);
	if (ferror(f))
		status = moat_failed("key %s: %s", source, strerror(errno));
	else if (n == -1)
		status = moat_failed("key %s: expected hexadecimal digits", source);
	else if (n == -2)
		status = moat_failed("key %s: an odd number of hexadecimal digits",
				     source);
	else if ((size_t)n != enc_len + auth_len)
		status = moat_failed(
			"key %s: %d bytes; %s wants %zu (%zu for the cipher with its "
			"salt, then %zu for integrity), which is %zu hexadecimal digits",
			source, n, alg, enc_len + auth_len, enc_len, auth_len,
			2 * (enc_len + auth_len));
	explicit_bzero(text, sizeof(text));
	if (f != stdin)
		fclose(f);
	return status;
}
