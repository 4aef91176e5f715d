// SPDX-License-Identifier: GPL-2.0-or-later
/* Two quick modes at once, one from each side: whose IPsec SAs are redundant. */
#include "ike/ike1.h"

#include <string.h>

#define REPEATED_FOR (60 * MOAT_SECOND) /* a message 1 comes no later than this */

static struct moat_ike *core(const struct moat_child *child)
{
	return child->pair->tunnel->ike;
}

bool moat_nonce_lower(struct moat_view a, struct moat_view b)
{
	size_t len = a.len < b.len ? a.len : b.len;
	int order = memcmp(a.data, b.data, len);

	return order ? order < 0 : a.len < b.len;
}

static void make_redundant(struct moat_child *child)
{
	child->redundant = true;
	moat_timer_stop(&core(child)->timers, &child->rekey_timer);
	moat_timer_stop(&core(child)->timers, &child->switch_timer);
	moat_act_log(
		core(child)->acts, MOAT_LOG_INFO, "ipsec-redundant",
		child->pair->tunnel->conf.name,
		"both sides began at once: the SAs %08x in, %08x out have the lowest "
		"nonce and are not used",
		child->sas[0].spi_in, child->sas[0].spi_out);
	/* Peers that know no such rule may use it: only who began it ends it. */
	if (child->initiator)
		moat_child_end_after(child, MOAT_OLD_INBOUND);
}

/*
 * Did two quick modes of different initiators run at once? Who began @child
 * knows: it did so before @other was complete. The answering side does not:
 * message 1 may have been on its way for as long as it is repeated. It goes by
 * the age of its own @other, which nobody rekeys in the first half of its life;
 * unless the ends have moved since, for then whoever moved needs @child.
 */
static bool collide(const struct moat_child *child, const struct moat_child *other)
{
	uint64_t young = other->life * MOAT_SECOND / 2;

	if (other->initiator == child->initiator ||
	    !moat_addr_equal(&other->local, &child->local) ||
	    !moat_addr_equal(&other->remote, &child->remote))
		return false;
	if (child->begun <= other->completed)
		return true;
	if (young > REPEATED_FOR)
		young = REPEATED_FOR;
	return !child->initiator && child->begun_at < other->established + young;
}

void moat_child_collide(struct moat_child *child)
{
	struct moat_child *other;

	TAILQ_FOREACH(other, &child->pair->children, link) {
		/* Where it came first, the other one was compared with what is left. */
		if (child->redundant)
			return;
		/* Adopted without a nonce, it is nobody's rival. */
		if (other == child || !other->complete || other->old ||
		    other->redundant || (other->unheard && !other->crossed) ||
		    !other->nonce.len || !collide(child, other))
			continue;
		if (moat_nonce_lower(moat_blob_view(&child->nonce),
				     moat_blob_view(&other->nonce)))
			make_redundant(child);
		else
			make_redundant(other);
	}
}
