// SPDX-License-Identifier: GPL-2.0
/* The module: what comes and goes with it and with a network namespace. */

#include <linux/kmod.h>
#include <linux/module.h>
#include <linux/rtnetlink.h>
#include <net/genetlink.h>

#include "db.h"
#include "device.h"
#include "netlink.h"
#include "secpath.h"

unsigned int moat_net_id;

/* Frees SAs and expires them. */
struct workqueue_struct *moat_wq;

static int __net_init moat_net_init(struct net *net)
{
	struct moat_net *mn = moat_net(net);
	int err;

	mn->net = net;
	mutex_init(&mn->lock);
	mn->generation = 1;
	spin_lock_init(&mn->nat_seen.lock);
	moat_device_net_init(mn);
	mn->stats = alloc_percpu(struct moat_stats);
	if (!mn->stats)
		return -ENOMEM;
	err = moat_secpath_net_init(mn);
	if (err)
		goto free_stats;
	err = moat_sa_net_init(mn);
	if (err)
		goto exit_secpath;
	err = moat_policy_net_init(mn);
	if (err)
		goto exit_sa;
	err = moat_path_net_init(net);
	if (err)
		goto exit_policy;
	return 0;

exit_policy:
	moat_policy_net_exit(mn);
exit_sa:
	moat_sa_net_exit(mn);
exit_secpath:
	moat_secpath_net_exit(mn);
free_stats:
	free_percpu(mn->stats);
	return err;
}

static void __net_exit moat_net_exit(struct moat_net *mn)
{
	mutex_lock(&mn->lock);
	moat_policy_flush(mn);
	moat_sa_flush(mn);
	mutex_unlock(&mn->lock);
	moat_sa_net_exit(mn);
	moat_policy_net_exit(mn);
	moat_secpath_net_exit(mn);
	free_percpu(mn->stats);
}

/*
 * No request reaches the namespaces any more, and no packet once their hooks
 * are gone and have ended (when the module goes, there is traffic still). But
 * packets may be with the crypto API: their SAs are waited for.
 */
static void __net_exit moat_net_exit_batch(struct list_head *nets)
{
	struct net *net;
	LIST_HEAD(devices);

	rtnl_lock();
	list_for_each_entry(net, nets, exit_list)
		moat_device_net_exit(moat_net(net), &devices);
	unregister_netdevice_many(&devices);
	rtnl_unlock();
	list_for_each_entry(net, nets, exit_list)
		moat_path_net_exit(net);
	synchronize_net();
	list_for_each_entry(net, nets, exit_list)
		moat_net_exit(moat_net(net));
}

static struct pernet_operations moat_net_ops = {
	.init = moat_net_init,
	.exit_batch = moat_net_exit_batch,
	.id = &moat_net_id,
	.size = sizeof(struct moat_net),
};

static int __init moat_caches_init(void)
{
	int err;

	moat_wq = alloc_workqueue("moat", WQ_UNBOUND, 0);
	if (!moat_wq)
		return -ENOMEM;
	err = moat_sa_init();
	if (err)
		goto destroy_wq;
	err = moat_policy_init();
	if (!err)
		return 0;
	moat_sa_exit();
destroy_wq:
	destroy_workqueue(moat_wq);
	return err;
}

/* The work that frees SAs ends before their cache does. */
static void moat_caches_exit(void)
{
	destroy_workqueue(moat_wq);
	moat_policy_exit();
	moat_sa_exit();
}

static int __init moat_init(void)
{
	int err;

	/*
	 * Without them the crypto API is content with generic code, which takes
	 * ten times as long. A kernel without such drivers is fine too.
	 */
	request_module("crypto-aes");

	err = moat_caches_init();
	if (err)
		return err;
	err = moat_path_init();
	if (err)
		goto exit_caches;
	err = register_pernet_subsys(&moat_net_ops);
	if (err)
		goto exit_path;
	err = moat_path_start();
	if (err)
		goto exit_pernet;
	err = moat_device_init();
	if (err)
		goto stop_path;
	err = moat_netlink_init();
	if (err)
		goto exit_device;
	return 0;

exit_device:
	moat_device_exit();
stop_path:
	moat_path_stop();
exit_pernet:
	unregister_pernet_subsys(&moat_net_ops);
exit_path:
	moat_path_exit();
exit_caches:
	moat_caches_exit();
	return err;
}

/*
 * A packet that was with the crypto API is delivered while its namespace is
 * waited for; so what deliveries need goes after the namespaces.
 */
static void __exit moat_exit(void)
{
	moat_netlink_exit();
	moat_device_exit();
	moat_path_stop();
	unregister_pernet_subsys(&moat_net_ops);
	moat_path_exit();
	moat_caches_exit();
}

module_init(moat_init);
module_exit(moat_exit);

/* No alias: a request of an unprivileged user must not load the module. */
MODULE_DESCRIPTION("IPsec gateway");
MODULE_LICENSE("GPL");
MODULE_VERSION(MOAT_VERSION);
