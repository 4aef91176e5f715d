/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Changes of the databases: what netlink and the end of a namespace ask for.
 * All of it in process context; "locked" means under moat_net.lock.
 */
#ifndef _MOAT_DB_H
#define _MOAT_DB_H

#include "netns.h"

extern struct workqueue_struct *moat_wq;

/** moat_sa_init() - Make the cache of SAs. */
int moat_sa_init(void);

/** moat_sa_exit() - Free it; all namespaces are gone. */
void moat_sa_exit(void);

/** moat_sa_net_init() - Make a namespace's database of SAs. */
int moat_sa_net_init(struct moat_net *mn);

/** moat_sa_net_exit() - Free it once the last SA is freed; waits. */
void moat_sa_net_exit(struct moat_net *mn);

/**
 * moat_sa_alloc() - Make an SA that is in no database yet.
 * @mn: namespace
 * @key: identity
 *
 * Return: the SA, RESERVED, with one reference, or NULL without memory.
 * moat_sa_put() frees it.
 */
struct moat_sa *moat_sa_alloc(struct moat_net *mn,
			      const struct moat_sa_key *key);

/**
 * moat_sa_insert() - Put SAs into the database, all or none; locked.
 * @mn: namespace
 * @sas: SAs, complete; the database takes over their references
 * @n: how many
 * @extack: gets the sentence of a refusal
 *
 * An SA takes the place of its reserved SPI. Lifetimes begin.
 *
 * Return: 0, -EEXIST or -ENOMEM.
 */
int moat_sa_insert(struct moat_net *mn, struct moat_sa **sas, unsigned int n,
		   struct netlink_ext_ack *extack);

/**
 * moat_sa_join() - Make a bundle of two SAs that are in no database yet.
 * @esp: its lead, which takes a reference to the other
 * @ah: SA around it
 */
void moat_sa_join(struct moat_sa *esp, struct moat_sa *ah);

/**
 * moat_sa_del() - Delete an SA with its bundle, or a reserved SPI; locked.
 * @sa: in the database
 */
void moat_sa_del(struct moat_sa *sa);

/** moat_sa_flush() - Delete all SAs and reserved SPIs; locked. */
void moat_sa_flush(struct moat_net *mn);

/**
 * moat_spi_alloc() - Reserve an SPI for an inbound SA; locked.
 * @mn: namespace
 * @key: all but the SPI, which it gets
 * @min: smallest, host byte order
 * @max: largest
 * @extack: gets the sentence of a refusal
 *
 * Return: 0 or a negative error.
 */
int moat_spi_alloc(struct moat_net *mn, struct moat_sa_key *key, u32 min,
		   u32 max, struct netlink_ext_ack *extack);

/** moat_spi_foreign() - Whether XFRM has an SA of this key. */
bool moat_spi_foreign(struct moat_net *mn, const struct moat_sa_key *key);

/** moat_life_start() - Begin the lifetime of a complete SA. */
void moat_life_start(struct moat_sa *sa);

/** moat_life_stop() - No timer of the SA runs or will run; may sleep. */
void moat_life_stop(struct moat_sa *sa);

/** moat_life_timer() - The timer of an SA. */
void moat_life_timer(struct timer_list *timer);

/** moat_life_work() - Delete what met its hard limit: moat_net.expire_work. */
void moat_life_work(struct work_struct *work);

/** moat_policy_net_init() - Make a namespace's database of policies. */
int moat_policy_net_init(struct moat_net *mn);

/** moat_policy_net_exit() - Free it; there is no policy any more. */
void moat_policy_net_exit(struct moat_net *mn);

/** moat_policy_init() - Make the cache of policies. */
int moat_policy_init(void);

/** moat_policy_exit() - Free it. */
void moat_policy_exit(void);

/** moat_policy_alloc() - Make an empty policy, or NULL without memory. */
struct moat_policy *moat_policy_alloc(struct moat_net *mn);

/** moat_policy_free() - Free a policy that is in no database. */
void moat_policy_free(struct moat_policy *policy);

/**
 * moat_policy_add() - Put a policy into the database; locked.
 * @policy: complete but for its endpoints
 * @ends: endpoints, or NULL
 * @extack: gets the sentence of a refusal
 *
 * Return: 0 or a negative error; then the caller frees the policy.
 */
int moat_policy_add(struct moat_policy *policy,
		    const struct moat_ends_key *ends,
		    struct netlink_ext_ack *extack);

/**
 * moat_policy_set() - Change a policy in one step; locked.
 * @policy: in the database
 * @action: enum moat_action
 * @acquire_off: see struct moat_policy
 * @ends: new endpoints, or NULL for the old ones
 *
 * Return: 0 or a negative error; then nothing has changed.
 */
int moat_policy_set(struct moat_policy *policy, u8 action, bool acquire_off,
		    const struct moat_ends_key *ends);

/**
 * moat_policy_follow() - The peer is at another address now; locked.
 * @policy: in the database
 * @from: where it was; when the policy's endpoint is another, nothing happens
 * @to: where it is
 *
 * Its outbound SAs stay.
 *
 * Return: 0 or -ENOMEM.
 */
int moat_policy_follow(struct moat_policy *policy,
		       const union nf_inet_addr *from,
		       const union nf_inet_addr *to);

/**
 * moat_policy_switch() - Add an outbound SA and move the policy to it; locked.
 * @policy: in the database
 * @sa: complete; its reference is taken over if all is well, and so is that
 *	of the SA above
 * @extack: gets the sentence of a refusal
 *
 * Held packets are sent, in order.
 *
 * Return: 0 or a negative error; then nothing has changed.
 */
int moat_policy_switch(struct moat_policy *policy, struct moat_sa *sa,
		       struct netlink_ext_ack *extack);

/** moat_policy_del() - Delete a policy and its outbound SAs; locked. */
void moat_policy_del(struct moat_policy *policy);

/** moat_policy_flush() - Delete all policies; locked. */
void moat_policy_flush(struct moat_net *mn);

/** moat_classify_add() - File a policy, ranked by its selector; locked. */
int moat_classify_add(struct moat_policy *policy);

/** moat_classify_del() - Take a policy out; locked. */
void moat_classify_del(struct moat_policy *policy);

/** moat_ends_init() - Make a namespace's table of endpoints. */
int moat_ends_init(struct moat_net *mn);

/** moat_ends_exit() - Free it; it is empty. */
void moat_ends_exit(struct moat_net *mn);

/**
 * moat_ends_get() - Find or add a pair of endpoints; locked.
 * @mn: namespace
 * @key: the pair
 *
 * Return: the pair, with one user more, or NULL without memory.
 */
struct moat_ends *moat_ends_get(struct moat_net *mn,
				const struct moat_ends_key *key);

/** moat_ends_put() - One user less; NULL is allowed; locked. */
void moat_ends_put(struct moat_net *mn, struct moat_ends *ends);

/**
 * moat_hold_release() - Send what is held, and move the policy; locked.
 * @policy: policy
 * @sa: its new SA, whose reference the policy takes over; NULL is none:
 *	packets are held from now on
 */
void moat_hold_release(struct moat_policy *policy, struct moat_sa *sa);

/**
 * moat_hold_purge() - Drop what is held, forget a pending acquire; locked.
 * @policy: policy
 * @dead: and hold nothing any more
 */
void moat_hold_purge(struct moat_policy *policy, bool dead);

/** moat_hold_free() - Free a purged policy's means to hold packets. */
void moat_hold_free(struct moat_policy *policy);

/**
 * moat_hold_state() - What netlink tells about held packets.
 * @policy: policy
 * @held: gets how many are held
 *
 * Return: whether an acquire is pending.
 */
bool moat_hold_state(struct moat_policy *policy, unsigned int *held);

#endif /* _MOAT_DB_H */
