// SPDX-License-Identifier: GPL-2.0
/* Route-based tunnels: the network device. */
#include <linux/if_arp.h>
#include <linux/ipv6.h>
#include <net/gro_cells.h>
#include <net/ip6_route.h>
#include <net/ip_tunnels.h>
#include <net/route.h>
#include <net/rtnetlink.h>

#include "db.h"
#include "device.h"
#include "event.h"
#include "output.h"
#include "parse.h"
#include "secpath.h"

/* Until the first SA tells. */
#define MOAT_DEVICE_MTU 1400

/* Link layer, IPv6, UDP, ESP with the largest IV. */
#define MOAT_DEVICE_HEAD (LL_MAX_HEADER + 40 + 8 + 8 + 16)

/* While it sends, a device looks so often whether its path carries more. */
#define MOAT_DEVICE_LOOK (5 * HZ)

/**
 * struct moat_device - A network device of ours.
 * @dev: the device
 * @mn: namespace that it was created from
 * @id: in moat_net.devices, never used again; what policies are bound to
 * @mtu_fixed: somebody has chosen its MTU; rtnl lock
 * @mtu_follows: we are about to change it; rtnl lock
 * @policies: bound to it, under moat_net.lock
 * @cells: delivery, so that segments become one packet again (GRO)
 * @mtu_work: adapts the MTU
 * @looked: when it was queued last because of time that had passed, in jiffies
 */
struct moat_device {
	struct net_device *dev;
	struct moat_net *mn;
	u32 id;
	bool mtu_fixed;
	bool mtu_follows;
	struct list_head policies;
	struct gro_cells cells;
	struct work_struct mtu_work;
	unsigned long looked;
};

/* --- out ----------------------------------------------------------------- */

/* What a packet meets here; the policies of others are none of its business. */
static struct moat_policy *moat_device_lookup(const struct moat_device *md,
					      struct sk_buff *skb,
					      struct moat_flow *flow,
					      enum moat_drop *why)
{
	u8 family = skb->protocol == htons(ETH_P_IP) ? AF_INET : AF_INET6;
	struct moat_policy *policy;

	*why = MOAT_DROP_OUT_MALFORMED;
	if (!pskb_inet_may_pull(skb) ||
	    moat_parse_flow(skb, family, true, flow))
		return NULL;
	*why = MOAT_DROP_NO_POLICY;
	flow->device = md->id;
	policy = moat_policy_lookup(md->mn, flow);
	if (policy && READ_ONCE(policy->action) != MOAT_ACTION_PROTECT)
		*why = MOAT_DROP_DISCARD;
	else if (policy)
		*why = MOAT_DROP_NONE;
	return policy;
}

/* Returns how it went; the packet is consumed. */
static int moat_device_send(struct moat_device *md, struct sk_buff *skb)
{
	struct moat_policy *policy = NULL;
	enum moat_drop why = MOAT_DROP_OUT_MALFORMED;
	struct moat_flow flow;
	int err;

	if (skb->protocol == htons(ETH_P_IP) ||
	    skb->protocol == htons(ETH_P_IPV6))
		policy = moat_device_lookup(md, skb, &flow, &why);
	if (why) {
		moat_drop(md->mn, NULL, policy, why);
		if (why == MOAT_DROP_NO_POLICY)
			dst_link_failure(skb);
		kfree_skb(skb);
		return -ENETUNREACH;
	}
	moat_policy_account(policy, skb->len);
	err = moat_output_protect(policy, skb, &flow);
	if (err == -EMSGSIZE)
		moat_device_follow(policy);
	return err;
}

/*
 * Nothing tells that a path carries more again: that a route has forgotten
 * what it learnt from ICMP, has changed, or that a link's MTU was raised.
 */
static void moat_device_look(struct moat_device *md)
{
	if (time_before(jiffies, READ_ONCE(md->looked) + MOAT_DEVICE_LOOK))
		return;
	WRITE_ONCE(md->looked, jiffies);
	queue_work(moat_wq, &md->mtu_work);
}

static netdev_tx_t moat_device_xmit(struct sk_buff *skb,
				    struct net_device *dev)
{
	struct moat_device *md = netdev_priv(dev);
	unsigned int len;

	skb = skb_share_check(skb, GFP_ATOMIC);
	if (!skb) {
		DEV_STATS_INC(dev, tx_dropped);
		return NETDEV_TX_OK;
	}
	len = skb->len;
	skb_reset_network_header(skb);
	/* a queue above us may have left its own here */
	memset(skb->cb, 0, sizeof(skb->cb));
	rcu_read_lock();
	if (moat_device_send(md, skb))
		DEV_STATS_INC(dev, tx_errors);
	else
		dev_sw_netstats_tx_add(dev, 1, len);
	moat_device_look(md);
	rcu_read_unlock();
	return NETDEV_TX_OK;
}

/* --- in ------------------------------------------------------------------ */

enum moat_drop moat_device_receive(const struct moat_sa *sa,
				   struct sk_buff *skb)
{
	struct moat_device *md = xa_load(&sa->mn->devices, sa->device);
	bool gathered = skb->ignore_df;
	unsigned int len = skb->len;
	struct net_device *dev;

	if (!md || !(md->dev->flags & IFF_UP))
		return MOAT_DROP_IN_DEVICE;
	dev = md->dev;
	skb_scrub_packet(skb, !net_eq(sa->mn->net, dev_net(dev)));
	skb->ignore_df = gathered;
	if (sa->shape.secpath && moat_secpath_set(sa->mn, skb))
		return MOAT_DROP_IN_NOMEM;
	skb->dev = dev;
	skb->pkt_type = PACKET_HOST;
	skb_reset_mac_header(skb);
	skb_reset_mac_len(skb);
	dev_sw_netstats_rx_add(dev, len);
	gro_cells_receive(&md->cells, skb);
	return MOAT_DROP_NONE;
}

/* --- policies ------------------------------------------------------------ */

static struct moat_device *moat_device_named(struct moat_net *mn,
					     const char *name,
					     struct netlink_ext_ack *extack)
{
	struct moat_device *md, *found = NULL;
	unsigned long id;

	xa_for_each(&mn->devices, id, md) {
		if (strcmp(md->dev->name, name))
			continue;
		if (found) {
			NL_SET_ERR_MSG_FMT(extack, "two devices %s come from here: rename one",
					   name);
			return ERR_PTR(-EINVAL);
		}
		found = md;
	}
	if (found)
		return found;
	NL_SET_ERR_MSG_FMT(extack, "no device %s: ip link add %s type moat",
			   name, name);
	return ERR_PTR(-ENODEV);
}

int moat_device_bind(struct moat_policy *policy, const char *name,
		     struct netlink_ext_ack *extack)
{
	struct moat_net *mn = policy->mn;
	struct moat_device *md;

	ASSERT_RTNL();
	lockdep_assert_held(&mn->lock);

	md = moat_device_named(mn, name, extack);
	if (IS_ERR(md))
		return PTR_ERR(md);
	policy->device = md->id;
	list_add(&policy->device_node, &md->policies);
	return 0;
}

void moat_device_unbind(struct moat_policy *policy)
{
	list_del_init(&policy->device_node);
}

void moat_device_name(const struct moat_policy *policy, char *name)
{
	const struct moat_device *md = xa_load(&policy->mn->devices,
					       policy->device);

	strscpy(name, md ? md->dev->name : "(gone)", IFNAMSIZ);
}

static struct dst_entry *moat_device_route(struct net *net,
					   const struct moat_flow *flow)
{
	struct flowi4 fl4 = {
		.daddr = flow->remote.ip,
		.saddr = flow->local.ip,
		.flowi4_proto = flow->protocol,
		.flowi4_mark = flow->mark,
		.flowi4_flags = FLOWI_FLAG_ANYSRC,
	};
	struct flowi6 fl6 = {
		.daddr = flow->remote.in6,
		.saddr = flow->local.in6,
		.flowi6_proto = flow->protocol,
		.flowi6_mark = flow->mark,
	};
	struct rtable *rt;

	if (flow->family == AF_INET6)
		return ip6_route_output(net, NULL, &fl6);
	rt = ip_route_output_key(net, &fl4);
	return IS_ERR(rt) ? NULL : &rt->dst;
}

u32 moat_device_towards(const struct moat_net *mn,
			const struct moat_flow *flow)
{
	struct dst_entry *dst = moat_device_route(mn->net, flow);
	const struct moat_device *md;
	u32 id = 0;

	if (dst && !dst->error && moat_device_is(dst->dev)) {
		md = netdev_priv(dst->dev);
		if (md->mn == mn)
			id = md->id;
	}
	dst_release(dst);
	return id;
}

/* --- the MTU ------------------------------------------------------------- */

void moat_device_follow(const struct moat_policy *policy)
{
	struct moat_device *md;

	if (!policy->device)
		return;
	rcu_read_lock();
	md = xa_load(&policy->mn->devices, policy->device);
	if (md)
		queue_work(moat_wq, &md->mtu_work);
	rcu_read_unlock();
}

/* The smallest of all its SAs; 0 without any. */
static unsigned int moat_device_smallest(struct moat_device *md)
{
	unsigned int least = 0, mtu;
	struct moat_policy *policy;
	struct moat_sa *sa;

	mutex_lock(&md->mn->lock);
	rcu_read_lock();
	list_for_each_entry(policy, &md->policies, device_node) {
		sa = rcu_dereference(policy->sa);
		mtu = sa ? moat_sa_mtu(sa) : 0;
		if (mtu && (!least || mtu < least))
			least = mtu;
	}
	rcu_read_unlock();
	mutex_unlock(&md->mn->lock);
	return least;
}

/*
 * Below 1280 the kernel takes IPv6 off a device; so this is the least, and
 * senders of what is longer than the SA carries are told one by one.
 */
static void moat_device_mtu_work(struct work_struct *work)
{
	struct moat_device *md = container_of(work, struct moat_device,
					      mtu_work);
	unsigned int mtu = moat_device_smallest(md);

	if (!mtu)
		return;
	mtu = max_t(unsigned int, mtu, IPV6_MIN_MTU);
	/* most looks find nothing new: spare them the machine's one lock */
	if (mtu == READ_ONCE(md->dev->mtu))
		return;
	rtnl_lock();
	if (md->dev->reg_state == NETREG_REGISTERED && !md->mtu_fixed) {
		md->mtu_follows = true;
		dev_set_mtu(md->dev, mtu);
		md->mtu_follows = false;
	}
	rtnl_unlock();
}

static int moat_device_change_mtu(struct net_device *dev, int mtu)
{
	struct moat_device *md = netdev_priv(dev);

	if (!md->mtu_follows)
		md->mtu_fixed = true;
	WRITE_ONCE(dev->mtu, mtu);
	return 0;
}

/* --- life ---------------------------------------------------------------- */

static int moat_device_dev_init(struct net_device *dev)
{
	struct moat_device *md = netdev_priv(dev);
	int err;

	dev->tstats = netdev_alloc_pcpu_stats(struct pcpu_sw_netstats);
	if (!dev->tstats)
		return -ENOMEM;
	err = gro_cells_init(&md->cells, dev);
	if (err)
		free_percpu(dev->tstats);
	return err;
}

/*
 * Nobody finds the device any more; who found it before is done once the
 * kernel has waited for a grace period, which it does after this.
 */
static void moat_device_dev_uninit(struct net_device *dev)
{
	struct moat_device *md = netdev_priv(dev);
	struct moat_policy *policy, *next;

	xa_erase(&md->mn->devices, md->id);
	mutex_lock(&md->mn->lock);
	list_for_each_entry_safe(policy, next, &md->policies, device_node) {
		list_del_init(&policy->device_node);
		moat_event_policy_gone(md->mn, policy->id);
	}
	mutex_unlock(&md->mn->lock);
}

static void moat_device_dev_free(struct net_device *dev)
{
	struct moat_device *md = netdev_priv(dev);

	cancel_work_sync(&md->mtu_work);
	gro_cells_destroy(&md->cells);
	free_percpu(dev->tstats);
}

static const struct net_device_ops moat_device_ops = {
	.ndo_init = moat_device_dev_init,
	.ndo_uninit = moat_device_dev_uninit,
	.ndo_start_xmit = moat_device_xmit,
	.ndo_change_mtu = moat_device_change_mtu,
	.ndo_get_stats64 = dev_get_tstats64,
};

bool moat_device_is(const struct net_device *dev)
{
	return dev && dev->netdev_ops == &moat_device_ops;
}

static const struct device_type moat_device_type = { .name = "moat" };

static void moat_device_setup(struct net_device *dev)
{
	const netdev_features_t features = NETIF_F_SG | NETIF_F_FRAGLIST |
					   NETIF_F_HIGHDMA | NETIF_F_HW_CSUM |
					   NETIF_F_GSO_SOFTWARE;

	dev->netdev_ops = &moat_device_ops;
	dev->header_ops = &ip_tunnel_header_ops;
	dev->needs_free_netdev = true;
	dev->priv_destructor = moat_device_dev_free;
	dev->type = ARPHRD_NONE;
	dev->flags = IFF_POINTOPOINT | IFF_NOARP | IFF_MULTICAST;
	dev->priv_flags |= IFF_NO_QUEUE;
	/* a packet that is held, or too big, needs the route it came by */
	netif_keep_dst(dev);
	dev->features |= features;
	dev->hw_features |= features;
	dev->hw_enc_features |= features;
	moat_netdev_lockless(dev);
	dev->needed_headroom = MOAT_DEVICE_HEAD;
	dev->mtu = MOAT_DEVICE_MTU;
	dev->min_mtu = ETH_MIN_MTU;
	dev->max_mtu = IP_MAX_MTU;
	SET_NETDEV_DEVTYPE(dev, &moat_device_type);
}

/*
 * A user namespace's root may create devices in its own network namespace;
 * IPsec is the machine's business.
 */
static int moat_device_newlink(struct net *src_net, struct net_device *dev,
			       struct nlattr *tb[], struct nlattr *data[],
			       struct netlink_ext_ack *extack)
{
	struct moat_device *md = netdev_priv(dev);
	struct moat_net *mn = moat_net(src_net);
	int err;

	if (!capable(CAP_NET_ADMIN)) {
		NL_SET_ERR_MSG(extack, "this needs CAP_NET_ADMIN in the initial user namespace");
		return -EPERM;
	}
	md->dev = dev;
	md->mn = mn;
	md->mtu_fixed = tb[IFLA_MTU];
	INIT_LIST_HEAD(&md->policies);
	INIT_WORK(&md->mtu_work, moat_device_mtu_work);
	md->looked = jiffies;
	err = xa_alloc_cyclic(&mn->devices, &md->id, NULL, xa_limit_31b,
			      &mn->next_device, GFP_KERNEL);
	if (err < 0)
		return err;
	err = register_netdevice(dev);
	if (err) {
		xa_erase(&mn->devices, md->id);
		return err;
	}
	/* the entry is allocated: this can not fail */
	xa_store(&mn->devices, md->id, md, GFP_KERNEL);
	return 0;
}

static struct net *moat_device_link_net(const struct net_device *dev)
{
	return ((struct moat_device *)netdev_priv(dev))->mn->net;
}

static struct rtnl_link_ops moat_link_ops = {
	.kind = "moat",
	.priv_size = sizeof(struct moat_device),
	.setup = moat_device_setup,
	.newlink = moat_device_newlink,
	.get_link_net = moat_device_link_net,
};

void moat_device_net_init(struct moat_net *mn)
{
	xa_init_flags(&mn->devices, XA_FLAGS_ALLOC1);
}

void moat_device_net_exit(struct moat_net *mn, struct list_head *kill)
{
	struct moat_device *md;
	unsigned long id;

	xa_for_each(&mn->devices, id, md)
		unregister_netdevice_queue(md->dev, kill);
}

int moat_device_init(void)
{
	return rtnl_link_register(&moat_link_ops);
}

void moat_device_exit(void)
{
	rtnl_link_unregister(&moat_link_ops);
}
