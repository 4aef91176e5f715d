/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel of the simulation: SPIs, SAs and policies of one side. */
#ifndef MOAT_SIM_KERNEL_H
#define MOAT_SIM_KERNEL_H

#include "ike/ike.h"

/**
 * struct sim_sa - an SA, or a reserved SPI
 * @reserved: only the SPI; goes after 60 s
 * @ends: ms
 * @to: where its packets go by now; its name stays params.dst
 * @inner: of a bundle, which it is @within
 */
struct sim_sa {
	struct sim_sa *next;
	struct sim_sa *inner;
	struct moat_sa_params params;
	struct moat_addr to;
	bool reserved;
	bool within;
	bool used;
	bool soft;
	uint64_t ends;
	uint64_t bytes;
};

struct sim_policy {
	struct sim_policy *next;
	struct moat_policy_params params;
	struct sim_sa *out;
	uint64_t acquired;
};

/**
 * struct sim_kernel - of one side
 * @bared: policies deleted that no other one of equal traffic stood in for
 */
struct sim_kernel {
	struct sim_sa *sas;
	struct sim_policy *policies;
	unsigned int bared;
};

/* What sim_kernel_add() says when the SPI was not reserved, or no longer is. */
extern const char sim_kernel_no_spi[];

void sim_kernel_clear(struct sim_kernel *kernel);
struct sim_policy *sim_kernel_policy(struct sim_kernel *kernel, uint32_t id);
struct sim_sa *sim_kernel_sa(struct sim_kernel *kernel, uint8_t direction, uint32_t spi,
			     const struct moat_addr *dst);

/** sim_kernel_reserve() - 0 when the SPI is in use */
uint32_t sim_kernel_reserve(struct sim_kernel *kernel, uint32_t spi,
			    const struct moat_addr *dst, uint64_t now);
/** All others: NULL, or why it is refused. */
const char *sim_kernel_add(struct sim_kernel *kernel, const struct moat_sa_params *sa,
			   uint64_t now);
const char *sim_kernel_switch(struct sim_kernel *kernel, const struct moat_sa_params *sa,
			      uint64_t now);
/** sim_kernel_move() - send to another mapping of the peer */
void sim_kernel_move(struct sim_sa *sa, const struct moat_endpoint *to);
/** sim_kernel_set() - another owner for an SA, if it is still there */
void sim_kernel_set(struct sim_kernel *kernel, const struct moat_sa_params *sa);
void sim_kernel_del(struct sim_kernel *kernel, const struct moat_sa_params *sa);
const char *sim_kernel_policy_add(struct sim_kernel *kernel,
				  const struct moat_policy_params *policy);
const char *sim_kernel_policy_set(struct sim_kernel *kernel,
				  const struct moat_policy_params *policy);
void sim_kernel_policy_del(struct sim_kernel *kernel, uint32_t id);

#endif
