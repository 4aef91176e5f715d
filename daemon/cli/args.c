// SPDX-License-Identifier: GPL-2.0-or-later
/* Words of the command line, and complaints about them. */
#include <errno.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli/cli.h"

/** moat_usage() - print what is wrong with the command line, and exit */
noreturn void moat_usage(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(MOAT_EXIT_USAGE);
}

/** moat_failed() - print why a command failed; MOAT_EXIT_FAILED */
int moat_failed(const char *format, ...)
{
	va_list ap;

	fputs("moat: ", stderr);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputc('\n', stderr);
	return MOAT_EXIT_FAILED;
}

/* "one, two or three", skipping empty slots */
static void list_names(const char *const *names, char *buf, size_t size)
{
	size_t used = 0;

	buf[0] = 0;
	for (; *names; names++) {
		if (!**names)
			continue;
		used += snprintf(buf + used, size - used, "%s%s",
				 !used	    ? ""
				 : names[1] ? ", "
					    : " or ",
				 *names);
		if (used >= size)
			return;
	}
}

/**
 * moat_match() - find the name that a word is, or begins as only one does
 * @word: word
 * @names: ended by NULL; empty ones never match
 *
 * Return: index, -1 when none does, -2 when several do
 */
int moat_match(const char *word, const char *const *names)
{
	int i, found = -1;

	for (i = 0; names[i]; i++) {
		if (!*word || strncmp(names[i], word, strlen(word)))
			continue;
		if (!strcmp(names[i], word))
			return i;
		found = found == -1 ? i : -2;
	}
	return found;
}

static int match_or_exit(const struct moat_args *args, const char *word,
			 const char *const *names)
{
	char list[512];
	int i = moat_match(word, names);

	if (i >= 0)
		return i;
	list_names(names, list, sizeof(list));
	moat_usage("moat: %s%s%s is %s; expected %s", args->what ? args->what : "",
		   args->what ? ": " : "", word,
		   i == -2 ? "the beginning of several words" : "unknown", list);
}

/**
 * moat_args_keyword() - take the next word as one of @names
 *
 * Return: its index; -1 at the end
 */
int moat_args_keyword(struct moat_args *args, const char *const *names)
{
	int i;

	if (!args->argc)
		return -1;
	args->what = NULL;
	i = match_or_exit(args, args->argv[0], names);
	args->what = names[i];
	args->argc--;
	args->argv++;
	return i;
}

/** moat_args_word() - take the next word, which must be there */
const char *moat_args_word(struct moat_args *args)
{
	if (!args->argc)
		moat_usage("moat: %s wants a value", args->what);
	args->argc--;
	return *args->argv++;
}

/** moat_args_choice() - take the value of a keyword as one of @names */
int moat_args_choice(struct moat_args *args, const char *const *names)
{
	return match_or_exit(args, moat_args_word(args), names);
}

/** moat_args_end() - there must be no more words */
void moat_args_end(const struct moat_args *args)
{
	if (args->argc)
		moat_usage("moat: nothing expected before %s", args->argv[0]);
}

static bool parse_number(const char *word, uint64_t *value)
{
	char *end;

	errno = 0;
	*value = strtoull(word, &end, 0);
	return *word >= '0' && *word <= '9' && !*end && !errno;
}

/** moat_args_number() - take a number, decimal or 0x… */
uint64_t moat_args_number(struct moat_args *args, uint64_t min, uint64_t max)
{
	const char *word = moat_args_word(args);
	uint64_t value;

	if (!parse_number(word, &value) || value < min || value > max)
		moat_usage("moat: %s %s: expected a number from %llu to %llu", args->what,
			   word, (unsigned long long)min, (unsigned long long)max);
	return value;
}

/** moat_args_spi() - take an SPI; 0 to 255 are reserved, RFC 4303 section 2.1 */
uint32_t moat_args_spi(struct moat_args *args)
{
	const char *word = moat_args_word(args);
	uint64_t value;

	if (!parse_number(word, &value) || value < 256 || value > UINT32_MAX)
		moat_usage("moat: spi %s: expected 0x100 to 0xffffffff", word);
	return value;
}

/** moat_args_addr() - take an address */
void moat_args_addr(struct moat_args *args, struct moat_addr *addr)
{
	const char *word = moat_args_word(args);

	if (!moat_addr_parse(word, addr))
		moat_usage("moat: %s %s: expected an IPv4 or IPv6 address", args->what,
			   word);
}

/** moat_args_network() - take a network or an address */
void moat_args_network(struct moat_args *args, struct moat_range *range)
{
	const char *word = moat_args_word(args);
	const char *wrong = moat_range_parse(word, range);

	if (wrong)
		moat_usage("moat: %s %s: %s", args->what, word, wrong);
}

/** moat_args_ports() - take a port, or a range MIN-MAX */
void moat_args_ports(struct moat_args *args, uint16_t port[2])
{
	const char *word = moat_args_word(args);
	unsigned int min, max;
	int end = 0;

	if (sscanf(word, "%5u-%5u%n", &min, &max, &end) != 2 || word[end]) {
		end = 0;
		max = sscanf(word, "%5u%n", &min, &end) == 1 ? min : 65536;
	}
	if (*word < '0' || *word > '9' || word[end] || min > max || max > 65535)
		moat_usage("moat: %s %s: expected a port or FIRST-LAST, 0 to 65535",
			   args->what, word);
	port[0] = min;
	port[1] = max;
}

/** moat_args_octets() - take a number to 255, or two: FIRST-LAST, in any order */
void moat_args_octets(struct moat_args *args, uint8_t range[2])
{
	const char *word = moat_args_word(args);
	unsigned int first, last;
	int end = 0;

	if (sscanf(word, "%3u-%3u%n", &first, &last, &end) != 2 || word[end]) {
		end = 0;
		last = sscanf(word, "%3u%n", &first, &end) == 1 ? first : 256;
	}
	if (*word < '0' || *word > '9' || word[end] || first > 255 || last > 255)
		moat_usage("moat: %s %s: expected a number or FIRST-LAST, 0 to 255",
			   args->what, word);
	range[0] = first;
	range[1] = last;
}

/** moat_args_mark() - take MARK or MARK/MASK */
void moat_args_mark(struct moat_args *args, uint32_t *mark, uint32_t *mask)
{
	char word[32] = "", *slash;
	uint64_t value = 0, bits = UINT32_MAX;

	snprintf(word, sizeof(word), "%s", moat_args_word(args));
	slash = strchr(word, '/');
	if (slash)
		*slash++ = '\0';
	if (!parse_number(word, &value) || value > UINT32_MAX ||
	    (slash && (!parse_number(slash, &bits) || !bits || bits > UINT32_MAX)) ||
	    value & ~bits)
		moat_usage("moat: %s %s%s%s: expected MARK or MARK/MASK, 32 bits each, "
			   "none of MARK beyond MASK",
			   args->what, word, slash ? "/" : "", slash ? slash : "");
	*mark = value;
	*mask = bits;
}

/** moat_args_protocol() - take an IP protocol, by number or name */
uint8_t moat_args_protocol(struct moat_args *args)
{
	const char *word = moat_args_word(args);
	const struct protoent *known = getprotobyname(word);
	uint64_t value;

	if (known)
		return known->p_proto;
	if (!parse_number(word, &value) || value > 255)
		moat_usage("moat: %s %s: expected tcp, udp, icmp, … or a number to 255",
			   args->what, word);
	return value;
}
