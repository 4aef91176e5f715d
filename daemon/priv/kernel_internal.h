/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the kernel process share. */
#ifndef MOAT_PRIV_KERNEL_INTERNAL_H
#define MOAT_PRIV_KERNEL_INTERNAL_H

#include <sys/queue.h>

#include "priv/feed.h"
#include "priv/nl.h"

struct moat_routes;

/**
 * struct moat_known_policy - a policy of this daemon that stands in the kernel
 * @params: as it was asked for
 * @tunnel: name of its tunnel
 * @routed: it counts as a user of a route
 * @claim: in the list of those that want that one to lead to a peer
 * @claimed: the ike process of today has asked for it
 * @seen: the dump of an audit had it
 * @unbound: it had, but its device is gone, which it protects alone
 */
struct moat_known_policy {
	struct moat_policy_params params;
	char tunnel[MOAT_TUNNEL_NAME_MAX + 1];
	bool routed;
	TAILQ_ENTRY(moat_known_policy) claim;
	bool claimed;
	bool seen;
	bool unbound;
};

/**
 * struct moat_kernel - the kernel process
 * @nl: client of the module
 * @routes: routes to remote nets
 * @ike: socket towards the ike process, or -1
 * @config: what may be asked for
 * @feed: its successor while it arrives
 * @pairs: tree of the pairs in @config
 * @policies: tree of struct moat_known_policy by id
 * @outer: outer SA of a bundle that waits for its inner one
 * @audit: somebody deleted what may be ours
 */
struct moat_kernel {
	struct moat_nl *nl;
	struct moat_routes *routes;
	int ike;
	struct moat_config config;
	struct moat_feed feed;
	void *pairs;
	void *policies;
	struct moat_sa_params outer;
	bool audit;
};

/* kernel_check.c: is a request covered by the configuration? */

/** moat_kernel_use_config() - from now on @feed is what may be asked for */
void moat_kernel_use_config(struct moat_kernel *kernel);

/**
 * moat_kernel_check_policy() - may this policy stand?
 * @tunnel: takes the name of its tunnel
 *
 * Return: NULL, or what is wrong.
 */
const char *moat_kernel_check_policy(struct moat_kernel *kernel,
				     const struct moat_policy_params *params,
				     char tunnel[MOAT_TUNNEL_NAME_MAX + 1]);

/** moat_kernel_check_peer() - may @policy's peer be at @addr now? Likewise. */
const char *moat_kernel_check_peer(struct moat_kernel *kernel,
				   const struct moat_known_policy *policy,
				   const struct moat_addr *addr);

/** moat_kernel_check_sa() - may this SA of @policy stand? Likewise. */
const char *moat_kernel_check_sa(struct moat_kernel *kernel,
				 const struct moat_known_policy *policy,
				 const struct moat_sa_params *sa);

/** moat_kernel_bares() - would traffic of a configured pair go without @policy? */
bool moat_kernel_bares(struct moat_kernel *kernel,
		       const struct moat_known_policy *policy);

/** moat_kernel_disclaim() - a new ike process: it has asked for no policy yet */
void moat_kernel_disclaim(struct moat_kernel *kernel);

/** moat_kernel_policy() - the policy with this id, or NULL */
struct moat_known_policy *moat_kernel_policy(struct moat_kernel *kernel, uint32_t id);

/** moat_kernel_remember() - keep a policy that stands; replaces one of its id */
struct moat_known_policy *moat_kernel_remember(struct moat_kernel *kernel,
					       const struct moat_policy_params *params,
					       const char *tunnel);
/** moat_kernel_forget() - it stands no more, and its claim to a route ends */
void moat_kernel_forget(struct moat_kernel *kernel, uint32_t id);
void moat_kernel_check_free(struct moat_kernel *kernel);

/* kernel_request.c: what the ike process asks. */

/** moat_kernel_lost() - tell the ike process that a policy is or was not there */
void moat_kernel_lost(struct moat_kernel *kernel, uint32_t id, bool stands,
		      const char *why);

/** moat_kernel_restore() - add a policy again, as it was asked for last */
bool moat_kernel_restore(struct moat_kernel *kernel,
			 const struct moat_known_policy *policy);

/** moat_kernel_request() - do what a message asks, and answer it */
void moat_kernel_request(struct moat_kernel *kernel, const struct moat_ipc *msg);

/* kernel_dump.c: what the kernel holds, and what it reports. */

/** moat_kernel_dump() - answer DUMP: SAs, policies, counters, then ANSWER */
void moat_kernel_dump(struct moat_kernel *kernel, uint32_t token);

/**
 * moat_kernel_audit() - add again what was asked for and is there no more
 *
 * When the module says that somebody deleted a policy, or its device; and as such
 * a word may be lost, at a reload, with each dump, where a request was refused, and
 * from time to time.
 */
void moat_kernel_audit(struct moat_kernel *kernel);

/** moat_kernel_clean() - delete what earlier daemons left and nobody has claimed */
void moat_kernel_clean(struct moat_kernel *kernel);

/** moat_kernel_adopt() - at start: learn the policies that stand already */
void moat_kernel_adopt(struct moat_kernel *kernel);

/** moat_kernel_events() - pass on what the module reports */
void moat_kernel_events(struct moat_kernel *kernel);

/** moat_kernel_last_words() - pass on the counters of an SA that goes */
void moat_kernel_last_words(struct moat_kernel *kernel, const struct moat_nl_sa *sa);

/** moat_kernel_say() - send to the ike process, waiting for room */
void moat_kernel_say(struct moat_kernel *kernel, const struct moat_ipc *msg);

/* kernel_device.c: devices of route-based tunnels. */

/**
 * moat_device_make() - make a device of type moat, up
 * @tunnel: for whom, for the log
 * @why: on failure the reason
 * @size: of @why
 *
 * Return: whether it is there now.
 */
bool moat_device_make(const char *name, const char *tunnel, char *why, size_t size);

/* kernel_route.c: table 500. */

/**
 * moat_routes_open() - open rtnetlink, and put the table before main
 *
 * Return: NULL with the reason in the log.
 */
struct moat_routes *moat_routes_open(void);

/** moat_routes_add() - route the remote net of a policy; failures are logged */
void moat_routes_add(struct moat_routes *routes, struct moat_known_policy *policy);

/** moat_routes_del() - the last policy of a remote net takes its route along */
void moat_routes_del(struct moat_routes *routes, struct moat_known_policy *policy);

/** moat_routes_fd() - readable when something has changed */
int moat_routes_fd(const struct moat_routes *routes);

/** moat_routes_wait() - ms until moat_routes_look() has something to do; -1: never */
int moat_routes_wait(const struct moat_routes *routes);

/**
 * moat_routes_look() - bring back what was lost, when it is time
 *
 * The kernel takes routes away with their links and addresses, and so do
 * programs that think all routes theirs; nobody but us puts them back.
 */
void moat_routes_look(struct moat_routes *routes);

/** moat_routes_sweep() - remove routes of earlier daemons that nobody wants now */
void moat_routes_sweep(struct moat_routes *routes);

/** moat_routes_close() - routes stay */
void moat_routes_close(struct moat_routes *routes);

#endif
