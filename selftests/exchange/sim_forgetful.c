// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A side with the rules of strongSwan: of each ISAKMP SA it keeps the IVs of the three
 * exchanges that it has used last, and cannot read or write on in another; and as the
 * responder it has its SAs from message 3 on.
 */
#include <stdlib.h>
#include <string.h>

#include "ike/core.h"
#include "sim_internal.h"

#define KEPT	  3
#define HEARD_MAX 1024
#define SUMS_MAX  4
#define ID	  20 /* where a datagram has its message id */
#define ID_LEN	  4
#define FLAGS	  19

/* One exchange; @sums: of its messages, for a repeated one is not decrypted. */
struct heard {
	uint8_t cookies[2 * MOAT_COOKIE_LEN];
	uint8_t id[ID_LEN];
	unsigned long used;
	bool gone;
	uint64_t sums[SUMS_MAX];
	unsigned int n_sums;
};

struct sim_forgetful {
	struct heard heard[HEARD_MAX];
	unsigned int n;
	unsigned long clock;
	unsigned int forgot;
};

static uint64_t sum(const uint8_t *data, size_t len)
{
	uint64_t sum = 0xcbf29ce484222325ull;

	while (len--)
		sum = (sum ^ *data++) * 0x100000001b3ull;
	return sum;
}

static struct heard *find(struct sim_forgetful *f, const uint8_t *data)
{
	struct heard *heard = f->heard;

	for (; heard < f->heard + f->n; heard++) {
		if (!memcmp(heard->cookies, data, sizeof(heard->cookies)) &&
		    !memcmp(heard->id, data + ID, ID_LEN))
			return heard;
	}
	if (f->n++ == HEARD_MAX)
		abort();
	memcpy(heard->cookies, data, sizeof(heard->cookies));
	memcpy(heard->id, data + ID, ID_LEN);
	return heard;
}

static bool is_kept(const struct sim_forgetful *f, const struct heard *heard)
{
	unsigned int newer = 0;

	for (unsigned int i = 0; i < f->n; i++)
		newer += f->heard[i].used > heard->used &&
			 !memcmp(f->heard[i].cookies, heard->cookies,
				 sizeof(heard->cookies));
	return !heard->used || newer < KEPT;
}

static bool repeated(const struct heard *heard, uint64_t of)
{
	for (unsigned int i = 0; i < heard->n_sums; i++) {
		if (heard->sums[i] == of)
			return true;
	}
	return false;
}

bool sim_forgetful_can(struct sim *sim, int side, const uint8_t *data, size_t len)
{
	static const uint8_t phase1[ID_LEN];
	struct sim_forgetful *f = sim->side[side].forgetful;
	struct heard *heard;

	if (!f || !memcmp(data + ID, phase1, ID_LEN) ||
	    !(data[FLAGS] & MOAT_FLAG_ENCRYPTION))
		return true;
	heard = find(f, data);
	if (repeated(heard, sum(data, len)))
		return true;
	/* It begins anew, with an IV that is that of a first message. */
	heard->gone |= !is_kept(f, heard);
	heard->used = ++f->clock;
	f->forgot += heard->gone;
	if (!heard->gone && heard->n_sums < SUMS_MAX)
		heard->sums[heard->n_sums++] = sum(data, len);
	return !heard->gone;
}

bool sim_forgetful_has(const struct sim *sim, int side, const struct sim_sa *sa)
{
	const struct moat_child *child;

	if (!sim->side[side].forgetful || !sim->side[side].ike)
		return true;
	child = moat_child_find(sim->side[side].ike, sa->params.policy, MOAT_DIRECTION_IN,
				sa->params.protocol, sa->params.spi);
	return !child || child->complete || child->initiator;
}

void sim_forget_ivs(struct sim *sim, int side)
{
	free(sim->side[side].forgetful);
	sim->side[side].forgetful = calloc(1, sizeof(struct sim_forgetful));
	if (!sim->side[side].forgetful || !sim->side[side].ike)
		abort();
}

unsigned int sim_forgot(const struct sim *sim, int side)
{
	return sim->side[side].forgetful->forgot;
}
