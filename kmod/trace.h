/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracepoints: /sys/kernel/tracing/events/moat. Numbers are in host byte
 * order.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM moat

#if !defined(_MOAT_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _MOAT_TRACE_H

#include <linux/tracepoint.h>

#include "netns.h"

TRACE_EVENT(moat_drop,
	TP_PROTO(const struct moat_net *mn, const struct moat_sa *sa,
		 const struct moat_policy *policy, enum moat_drop why),
	TP_ARGS(mn, sa, policy, why),
	TP_STRUCT__entry(
		__field(unsigned int, netns)
		__field(u32, spi)
		__field(u32, policy)
		__string(why, moat_drop_names[why])
	),
	TP_fast_assign(
		__entry->netns = mn->net->ns.inum;
		__entry->spi = sa ? be32_to_cpu(sa->key.spi) : 0;
		__entry->policy = policy ? policy->id : sa ? sa->policy_id : 0;
		moat_assign_str(why, moat_drop_names[why]);
	),
	TP_printk("netns %u spi 0x%08x policy %u: %s", __entry->netns,
		  __entry->spi, __entry->policy, __get_str(why))
);

TRACE_EVENT(moat_sa_state,
	TP_PROTO(const struct moat_sa *sa, enum moat_sa_state state),
	TP_ARGS(sa, state),
	TP_STRUCT__entry(
		__field(unsigned int, netns)
		__field(u32, spi)
		__field(u32, policy)
		__field(u8, direction)
		__field(u8, state)
	),
	TP_fast_assign(
		__entry->netns = sa->mn->net->ns.inum;
		__entry->spi = be32_to_cpu(sa->key.spi);
		__entry->policy = sa->policy_id;
		__entry->direction = sa->key.direction;
		__entry->state = state;
	),
	TP_printk("netns %u %s spi 0x%08x policy %u: %s", __entry->netns,
		  __entry->direction == MOAT_DIRECTION_IN ? "in" : "out",
		  __entry->spi, __entry->policy,
		  __print_symbolic(__entry->state,
				   { MOAT_SA_STATE_RESERVED, "reserved" },
				   { MOAT_SA_STATE_VALID, "valid" },
				   { MOAT_SA_STATE_DYING, "dying" },
				   { MOAT_SA_STATE_DEAD, "dead" }))
);

TRACE_EVENT(moat_policy,
	TP_PROTO(const struct moat_policy *policy, const char *what),
	TP_ARGS(policy, what),
	TP_STRUCT__entry(
		__field(unsigned int, netns)
		__field(u32, policy)
		__string(what, what)
	),
	TP_fast_assign(
		__entry->netns = policy->mn->net->ns.inum;
		__entry->policy = policy->id;
		moat_assign_str(what, what);
	),
	TP_printk("netns %u policy %u: %s", __entry->netns, __entry->policy,
		  __get_str(what))
);

#endif /* _MOAT_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
