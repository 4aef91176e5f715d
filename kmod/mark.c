// SPDX-License-Identifier: GPL-2.0
/*
 * The mark is a metadata_dst of our own, one per CPU so that its reference
 * count bounces between none. It must be gone before routing looks at it;
 * our hook is the first.
 */
#include <net/dst_metadata.h>

#include "mark.h"

/* What nobody else's port multiplexer points to. */
static struct net_device *moat_mark_owner;

static DEFINE_PER_CPU(struct metadata_dst *, moat_mark);

int moat_mark_init(struct net_device *owner)
{
	int cpu;

	moat_mark_owner = owner;
	for_each_possible_cpu(cpu) {
		struct metadata_dst *md;

		md = metadata_dst_alloc(0, METADATA_HW_PORT_MUX, GFP_KERNEL);
		if (!md) {
			moat_mark_exit();
			return -ENOMEM;
		}
		md->u.port_info.lower_dev = moat_mark_owner;
		per_cpu(moat_mark, cpu) = md;
	}
	return 0;
}

void moat_mark_exit(void)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		struct metadata_dst *md = per_cpu(moat_mark, cpu);

		if (md)
			dst_release(&md->dst);
	}
}

void moat_mark_set(struct sk_buff *skb)
{
	struct dst_entry *dst = &__this_cpu_read(moat_mark)->dst;

	dst_hold(dst);
	skb_dst_set(skb, dst);
}

bool moat_mark_take(struct sk_buff *skb)
{
	const struct dst_entry *dst = skb_dst(skb);
	const struct metadata_dst *md;

	if (!dst || !(dst->flags & DST_METADATA))
		return false;
	md = container_of(dst, struct metadata_dst, dst);
	if (md->type != METADATA_HW_PORT_MUX ||
	    md->u.port_info.lower_dev != moat_mark_owner)
		return false;
	skb_dst_drop(skb);
	return true;
}
