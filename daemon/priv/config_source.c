// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * From a file to libconfig's tree, with what libconfig 1.5 passes over in
 * silence or explains in two words.
 */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "priv/config_internal.h"

#define SOURCE_MAX (16u << 20) /* octets of one file */
#define NESTED_MAX 16	       /* brackets in each other; four are needed */

/*
 * Return the whole file with a NUL behind it, or NULL. Its size is asked for
 * first: memory that grows would leave secrets behind where it was.
 */
static char *read_all(FILE *file, size_t *len)
{
	long size = fseek(file, 0, SEEK_END) ? -1 : ftell(file);
	char *text;

	if (size < 0)
		return NULL;
	if (size > SOURCE_MAX) {
		errno = EFBIG;
		return NULL;
	}
	rewind(file);
	text = malloc(size + 1);
	if (!text)
		return NULL;
	*len = fread(text, 1, size, file);
	if (ferror(file)) {
		explicit_bzero(text, *len);
		free(text);
		return NULL;
	}
	text[*len] = '\0';
	return text;
}

/* Step over a string, a comment, or one character. */
static const char *skip(const char *p, unsigned int *line)
{
	const char *start = p;

	if (*p == '"') {
		for (p++; *p && *p != '"'; p++)
			p += *p == '\\' && p[1];
		p += *p == '"';
	} else if (*p == '#' || (*p == '/' && p[1] == '/')) {
		p += strcspn(p, "\n");
	} else if (*p == '/' && p[1] == '*') {
		const char *end = strstr(p + 2, "*/");

		p = end ? end + 2 : p + strlen(p);
	} else {
		p++;
	}
	for (; start < p; start++)
		*line += *start == '\n';
	return p;
}

/*
 * libconfig loses "\x00" without a word, and keeps the backslash before what is
 * no escape: either makes another secret of what was meant.
 */
static bool check_string(struct moat_reader *reader, const char *p, unsigned int line)
{
	for (p++; *p && *p != '"'; p++) {
		line += *p == '\n';
		if (*p != '\\')
			continue;
		p++;
		if (*p == 'x' && isxdigit((unsigned char)p[1]) &&
		    isxdigit((unsigned char)p[2])) {
			if (p[1] != '0' || p[2] != '0')
				continue;
			moat_mistake(reader->mistakes, reader->name, line,
				     "\\x00 cannot stand in a text: a secret with a zero "
				     "octet goes into a file of its own, psk-file = "
				     "\"NAME\"");
			return false;
		}
		if (*p && strchr("nrtf\\\"", *p))
			continue;
		moat_mistake(reader->mistakes, reader->name, line,
			     "a backslash in a text begins \\n, \\r, \\t, \\f, "
			     "\\xHH, \\\" or \\\\: write \\\\ for a backslash");
		return false;
	}
	return true;
}

/*
 * libconfig says "memory exhausted" of brackets in each other, once it is thousands.
 */
static bool check_depth(struct moat_reader *reader, char c, unsigned int *depth,
			unsigned int line)
{
	if (c && strchr("([{", c) && ++*depth > NESTED_MAX) {
		moat_mistake(reader->mistakes, reader->name, line,
			     "nested too deeply: this is the %uth bracket within others; "
			     "expected tunnels = { NAME = { local-net = [ ... ] } }",
			     *depth);
		return false;
	}
	if (c && strchr(")]}", c) && *depth)
		--*depth;
	return true;
}

/*
 * libconfig reads an integer beyond 32 bits modulo 2^32 without a word, and
 * takes @include from wherever the process stands.
 */
static bool check_text(struct moat_reader *reader, const char *text)
{
	unsigned int line = 1, depth = 0;
	bool ok = true;

	for (const char *p = text; *p;) {
		char *end;
		int base;

		if (!check_depth(reader, *p, &depth, line))
			return false;

		if (!strncmp(p, "@include", 8)) {
			moat_mistake(reader->mistakes, reader->name, line,
				     "@include is not taken: put the file into conf.d");
			return false;
		}
		if (*p == '"' && !check_string(reader, p, line))
			ok = false;
		if (!isdigit((unsigned char)*p)) {
			/* A name such as net2 holds no number. */
			if (isalpha((unsigned char)*p))
				p += strspn(p, "abcdefghijklmnopqrstuvwxyz-_*0123456789"
					       "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
			else
				p = skip(p, &line);
			continue;
		}
		/* To libconfig a leading zero is no sign of octal. */
		base = *p == '0' && (p[1] == 'x' || p[1] == 'X') ? 16 : 10;
		if (strtoull(p, &end, base) > INT_MAX && *end != 'L') {
			moat_mistake(reader->mistakes, reader->name, line,
				     "the number %.*s does not fit into 32 bits",
				     (int)(end - p), p);
			ok = false;
		}
		p = end;
	}
	return ok;
}

static const char *line_of(const char *text, unsigned int line)
{
	while (line-- > 1 && text) {
		text = strchr(text, '\n');
		text += text != NULL;
	}
	return text;
}

/* The common slips behind libconfig's bare "syntax error". */
static const char *hint(const char *text, unsigned int line)
{
	const char *word;

	text = line_of(text, line);
	if (!text)
		return "; is a bracket or a quote left open?";
	word = text + strspn(text, " \t");
	for (const char *p = word; *p && *p != '\n'; p++) {
		if (*p == ',' && strchr("])", p[1 + strspn(p + 1, " \t")]))
			return "; no comma may stand behind the last value of a list";
	}
	if (*word == ']' || *word == ')')
		return "; no comma may stand behind the last value of a list";
	if (isdigit((unsigned char)*word))
		return "; names begin with a letter";
	if (strcspn(word, ".") < strcspn(word, "=:\n\""))
		return "; names hold no dot";
	return "; settings are written name = value, text stands in double quotes";
}

/* Where a name is given its value in a line, or NULL. */
static const char *named(const char *line, size_t *len)
{
	const char *word = line + strspn(line, " \t{};,");

	*len = strcspn(word, " \t=:{};,\"\n");
	return *len && strchr("=:", word[*len + strspn(word + *len, " \t")]) ? word
									     : NULL;
}

/*
 * "duplicate setting name", and no word about which and where: it is the first
 * name of its line, as people write, and the last line before that begins with it.
 */
static void duplicate(struct moat_reader *reader, const char *text, unsigned int line)
{
	const char *at = line_of(text, line), *word, *other;
	unsigned int before = 0, n = 1;
	size_t len = 0, other_len;

	word = at ? named(at, &len) : NULL;
	for (; word && text && n < line; n++, text = line_of(text, 2)) {
		other = named(text, &other_len);
		if (other && other_len == len && !memcmp(other, word, len))
			before = n;
	}
	if (!before)
		moat_mistake(reader->mistakes, reader->name, line,
			     "a name stands twice in this group: a tunnel, and each "
			     "setting of it, may stand there once");
	else
		moat_mistake(reader->mistakes, reader->name, line,
			     "\"%.*s\" stands in line %u already: a tunnel, and each "
			     "setting of it, may stand there once",
			     (int)len, word, before);
}

static void explain_error(struct moat_reader *reader, const char *text)
{
	unsigned int line = config_error_line(&reader->tree);
	const char *what = config_error_text(&reader->tree);

	if (!strcmp(what, "duplicate setting name"))
		duplicate(reader, text, line);
	else
		moat_mistake(reader->mistakes, reader->name, line, "%s%s", what,
			     strcmp(what, "syntax error") ? "" : hint(text, line));
}

bool moat_reader_open(struct moat_reader *reader, FILE *file)
{
	size_t len = 0;
	char *text = read_all(file, &len);
	bool ok = false;

	if (!text) {
		if (errno == EFBIG)
			moat_mistake(reader->mistakes, reader->name, 0,
				     "is larger than %u octets: spread the tunnels over "
				     "files in conf.d",
				     SOURCE_MAX);
		else
			moat_mistake(reader->mistakes, reader->name, 0,
				     "cannot be read: %s", strerror(errno));
		return false;
	}
	config_init(&reader->tree);
	if (strlen(text) != len) {
		moat_mistake(reader->mistakes, reader->name, 0,
			     "holds a zero octet: this is no text file");
	} else if (!check_text(reader, text)) {
		/* said */
	} else if (!config_read_string(&reader->tree, text)) {
		explain_error(reader, text);
	} else {
		ok = true;
	}
	if (!ok)
		config_destroy(&reader->tree);
	explicit_bzero(text, len);
	free(text);
	return ok;
}

void moat_reader_close(struct moat_reader *reader)
{
	config_destroy(&reader->tree);
}
