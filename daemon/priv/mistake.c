// SPDX-License-Identifier: GPL-2.0-or-later
/* Mistakes in configuration files, collected so that all are told at once. */
#include "priv/mistake.h"
#include "priv/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Words longer than this are compared up to here. */
#define WORD_MAX 32

static char *sentence(const char *file, unsigned int line, const char *format,
		      va_list args)
{
	char *text = NULL, *whole = NULL;
	int written = vasprintf(&text, format, args);

	if (written < 0)
		abort();
	if (line)
		written = asprintf(&whole, "%s:%u: %s", file, line, text);
	else
		written = asprintf(&whole, "%s%s%s", file ? file : "", file ? ": " : "",
				   text);
	if (written < 0)
		abort();
	free(text);
	moat_printable(whole);
	return whole;
}

static void append(char ***list, unsigned int *n, char *text)
{
	*list = reallocarray(*list, *n + 1, sizeof(**list));
	if (!*list)
		abort();
	(*list)[(*n)++] = text;
}

void moat_mistake(struct moat_mistakes *mistakes, const char *file, unsigned int line,
		  const char *format, ...)
{
	va_list args;

	va_start(args, format);
	append(&mistakes->list, &mistakes->n, sentence(file, line, format, args));
	va_end(args);
}

void moat_warning(struct moat_mistakes *mistakes, const char *file, unsigned int line,
		  const char *format, ...)
{
	va_list args;

	va_start(args, format);
	append(&mistakes->warnings, &mistakes->n_warnings,
	       sentence(file, line, format, args));
	va_end(args);
}

void moat_mistakes_free(struct moat_mistakes *mistakes)
{
	for (unsigned int i = 0; i < mistakes->n; i++)
		free(mistakes->list[i]);
	for (unsigned int i = 0; i < mistakes->n_warnings; i++)
		free(mistakes->warnings[i]);
	free(mistakes->list);
	free(mistakes->warnings);
	*mistakes = (struct moat_mistakes){ 0 };
}

static unsigned int least(unsigned int a, unsigned int b, unsigned int c)
{
	if (b < a)
		a = b;
	return c < a ? c : a;
}

/*
 * How many letters must be changed, added or removed, or neighbours swapped
 * (Levenshtein's distance with transpositions).
 */
static unsigned int distance(const char *a, const char *b)
{
	size_t la = strnlen(a, WORD_MAX), lb = strnlen(b, WORD_MAX);
	unsigned int d[WORD_MAX + 1][WORD_MAX + 1];

	for (size_t j = 0; j <= lb; j++)
		d[0][j] = j;
	for (size_t i = 1; i <= la; i++) {
		d[i][0] = i;
		for (size_t j = 1; j <= lb; j++) {
			d[i][j] = least(d[i - 1][j] + 1, d[i][j - 1] + 1,
					d[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1] && d[i - 2][j - 2] + 1 < d[i][j])
				d[i][j] = d[i - 2][j - 2] + 1;
		}
	}
	return d[la][lb];
}

const char *moat_did_you_mean(const char *word, const char *const *known, size_t n)
{
	/* A third of its letters, and one of a short word: more is another word. */
	unsigned int best = strnlen(word, WORD_MAX) / 3;
	const char *found = NULL;

	if (best == 0)
		best = 1;
	for (size_t i = 0; i < n; i++) {
		unsigned int d = distance(word, known[i]);

		/* Two-letter words are all neighbours of each other. */
		if (strlen(known[i]) <= 2 && d)
			continue;
		if (d < best || (d == best && !found)) {
			best = d;
			found = known[i];
		}
	}
	return found;
}
