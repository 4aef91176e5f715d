// SPDX-License-Identifier: GPL-2.0-or-later
/* Which runs a program of seeds makes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "sim_seeds.h"

void sim_seeds_read(struct sim_seeds *seeds, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : "";

		if (!strcmp(argv[i], "--verbose")) {
			seeds->verbose = true;
			continue;
		}
		if (!strcmp(argv[i], "--seed"))
			seeds->only = strtoull(value, NULL, 10);
		else if (!strcmp(argv[i], "--first"))
			seeds->first = strtoull(value, NULL, 10);
		else if (!strcmp(argv[i], "--runs"))
			seeds->runs = (unsigned int)strtoul(value, NULL, 10);
		else if (!strcmp(argv[i], "--only"))
			cmocka_set_test_filter(value);
		i++;
	}
}

void sim_each_seed(const struct sim_seeds *seeds, void (*run)(uint64_t seed),
		   unsigned int share)
{
	if (seeds->only) {
		run(seeds->only);
		return;
	}
	for (unsigned int i = 0; i < seeds->runs / share; i++)
		run(seeds->first + i);
}

uint64_t sim_mix(uint64_t seed, uint64_t salt)
{
	uint64_t z = seed * 0x9e3779b97f4a7c15ull + salt * 0xbf58476d1ce4e5b9ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}
