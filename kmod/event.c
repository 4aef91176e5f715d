// SPDX-License-Identifier: GPL-2.0
/*
 * Events to the multicast group. One that is lost for want of memory, or
 * that nobody heard, is not repeated, an acquire excepted: the daemon dumps
 * when it starts and when its socket says that it missed something.
 */

#include "event.h"
#include "netlink.h"

struct moat_event {
	struct sk_buff *msg;
	void *hdr;
};

/* False without a listener or without memory. */
static bool moat_event_begin(struct moat_event *event,
			     const struct moat_net *mn, enum moat_cmd cmd)
{
	if (!genl_has_listeners(&moat_genl_family, mn->net, 0))
		return false;
	event->msg = genlmsg_new(GENLMSG_DEFAULT_SIZE, GFP_ATOMIC);
	if (!event->msg)
		return false;
	event->hdr = genlmsg_put(event->msg, 0, 0, &moat_genl_family, 0, cmd);
	if (event->hdr)
		return true;
	nlmsg_free(event->msg);
	return false;
}

static void moat_event_end(struct moat_event *event, const struct moat_net *mn,
			   int err)
{
	if (err) {
		nlmsg_free(event->msg);
		return;
	}
	genlmsg_end(event->msg, event->hdr);
	genlmsg_multicast_netns(&moat_genl_family, mn->net, event->msg, 0, 0,
				GFP_ATOMIC);
}

void moat_event_acquire(const struct moat_policy *policy,
			const struct moat_flow *flow)
{
	const struct moat_net *mn = policy->mn;
	struct moat_event event;
	int err;

	moat_count(mn, ACQUIRES, 1);
	if (!moat_event_begin(&event, mn, MOAT_CMD_ACQUIRE_NTF))
		return;
	rcu_read_lock();
	err = moat_nl_put_policy_id(event.msg, policy);
	rcu_read_unlock();
	if (!err)
		err = moat_nl_put_flow(event.msg, MOAT_A_MAIN_FLOW, flow);
	moat_event_end(&event, mn, err);
}

void moat_event_expire(struct moat_sa *sa, bool hard)
{
	struct moat_event event;
	int err;

	if (!moat_event_begin(&event, sa->mn, MOAT_CMD_EXPIRE_NTF))
		return;
	err = hard ? moat_nl_put_sa_end(event.msg, sa) :
		     moat_nl_put_sa_id(event.msg, sa);
	if (!err && hard)
		err = nla_put_flag(event.msg, MOAT_A_MAIN_HARD);
	moat_event_end(&event, sa->mn, err);
}

void moat_event_mapping(const struct moat_sa *sa,
			const union nf_inet_addr *addr, __be16 port)
{
	struct moat_event event;
	int err;

	if (!moat_event_begin(&event, sa->mn, MOAT_CMD_MAPPING_NTF))
		return;
	err = moat_nl_put_sa_id(event.msg, sa);
	if (!err)
		err = moat_nl_put_addr(event.msg, MOAT_A_MAIN_ADDR,
				       sa->key.family, addr);
	if (!err)
		err = nla_put_u16(event.msg, MOAT_A_MAIN_PORT, ntohs(port));
	moat_event_end(&event, sa->mn, err);
}

void moat_event_first_use(const struct moat_sa *sa)
{
	struct moat_event event;

	if (!moat_event_begin(&event, sa->mn, MOAT_CMD_FIRST_USE_NTF))
		return;
	moat_event_end(&event, sa->mn, moat_nl_put_sa_id(event.msg, sa));
}

void moat_event_unknown_spi(const struct moat_net *mn,
			    const struct moat_sa_key *id,
			    const union nf_inet_addr *src)
{
	struct moat_event event;

	if (!moat_event_begin(&event, mn, MOAT_CMD_UNKNOWN_SPI_NTF))
		return;
	moat_event_end(&event, mn, moat_nl_put_unknown(event.msg, id, src));
}

void moat_event_policy_gone(const struct moat_net *mn, u32 id)
{
	struct moat_event event;

	if (!moat_event_begin(&event, mn, MOAT_CMD_POLICY_GONE_NTF))
		return;
	moat_event_end(&event, mn, id ? moat_nl_put_gone(event.msg, id) : 0);
}
