/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which runs a program of seeds makes. */
#ifndef MOAT_SIM_SEEDS_H
#define MOAT_SIM_SEEDS_H

#include <stdbool.h>
#include <stdint.h>

/**
 * struct sim_seeds - set by the program, and by its arguments
 * @only: this seed alone, when it is not 0 (--seed N)
 * @first: --first N
 * @runs: so many seeds from the first one on (--runs N)
 * @verbose: tell what happens (--verbose)
 */
struct sim_seeds {
	uint64_t only;
	uint64_t first;
	unsigned int runs;
	bool verbose;
};

/** sim_seeds_read() - take the arguments; --only PATTERN names the cases to run */
void sim_seeds_read(struct sim_seeds *seeds, int argc, char **argv);
/** sim_each_seed() - make the runs, or one in @share of them */
void sim_each_seed(const struct sim_seeds *seeds, void (*run)(uint64_t seed),
		   unsigned int share);
/** sim_mix() - a number for each @salt that follows from the seed */
uint64_t sim_mix(uint64_t seed, uint64_t salt);

#endif
