// SPDX-License-Identifier: GPL-2.0
/* SPIs reserved for inbound SAs (RFC 4301 4.4.2.1, RFC 4303 2.1). */

#include <linux/random.h>
#include <net/xfrm.h>

#include "db.h"
#include "early.h"

/* SPIs tried in a row from a random one on. */
#define MOAT_SPI_TRIES 256

bool moat_spi_foreign(struct moat_net *mn, const struct moat_sa_key *key)
{
	const xfrm_address_t *dst = (const xfrm_address_t *)&key->dst;
	struct xfrm_state *x;

	x = xfrm_state_lookup(mn->net, 0, dst, key->spi, key->protocol,
			      key->family);
	if (!x)
		return false;
	xfrm_state_put(x);
	return true;
}

static bool moat_spi_free(struct moat_net *mn, const struct moat_sa_key *key)
{
	return !moat_sa_find(mn, key) && !moat_spi_foreign(mn, key);
}

/* The first free SPI of [min, max] from a random one on, into @key. */
static bool moat_spi_choose(struct moat_net *mn, struct moat_sa_key *key,
			    u32 min, u32 max)
{
	u64 range = (u64)max - min + 1;
	u32 i, tries = min_t(u64, range, MOAT_SPI_TRIES);
	u64 offset = (range * get_random_u32()) >> 32;

	for (i = 0; i < tries; i++) {
		key->spi = cpu_to_be32(min + (u32)offset);
		if (moat_spi_free(mn, key))
			return true;
		if (++offset == range)
			offset = 0;
	}
	return false;
}

int moat_spi_alloc(struct moat_net *mn, struct moat_sa_key *key, u32 min,
		   u32 max, struct netlink_ext_ack *extack)
{
	struct moat_sa *sa;
	int err;

	lockdep_assert_held(&mn->lock);

	if (!moat_spi_choose(mn, key, min, max)) {
		NL_SET_ERR_MSG_FMT(extack, "no free SPI found between 0x%x and 0x%x",
				   min, max);
		return -ENOSPC;
	}
	sa = moat_sa_alloc(mn, key);
	if (!sa)
		return -ENOMEM;
	sa->life.hard_seconds = MOAT_SPI_RESERVED_SECONDS;
	sa->early = MOAT_EARLY_WAIT;
	err = moat_sa_insert(mn, &sa, 1, extack);
	if (err)
		moat_sa_put(sa);
	return err;
}
