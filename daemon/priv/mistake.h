/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Mistakes in configuration files, collected so that all are told at once. */
#ifndef MOAT_PRIV_MISTAKE_H
#define MOAT_PRIV_MISTAKE_H

#include <stddef.h>

/**
 * struct moat_mistakes - what is wrong with a configuration
 * @list: one sentence each, "FILE:LINE: what is wrong, what was expected"
 * @n: how many
 * @warnings: what is allowed, and yet should be known; @n_warnings of them
 */
struct moat_mistakes {
	char **list;
	unsigned int n;
	char **warnings;
	unsigned int n_warnings;
};

/**
 * moat_mistake() - note one mistake
 * @mistakes: where
 * @file: name of the file; NULL when @format says it all
 * @line: its line, counted from 1; 0 when the whole file is meant
 * @format: as for printf(), without the place and without a newline
 */
void moat_mistake(struct moat_mistakes *mistakes, const char *file, unsigned int line,
		  const char *format, ...) __attribute__((format(printf, 4, 5)));

/** moat_warning() - note what is no mistake, but dangerous; as moat_mistake() */
void moat_warning(struct moat_mistakes *mistakes, const char *file, unsigned int line,
		  const char *format, ...) __attribute__((format(printf, 4, 5)));

/** moat_mistakes_free() - free the sentences; the list can be used again */
void moat_mistakes_free(struct moat_mistakes *mistakes);

/**
 * moat_did_you_mean() - find the known word that is closest to a mistyped one
 * @word: what was written
 * @known: known words
 * @n: how many
 *
 * Return: one of @known, or NULL when none is close.
 */
const char *moat_did_you_mean(const char *word, const char *const *known, size_t n);

#endif
