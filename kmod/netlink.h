/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of the netlink interface share. */
#ifndef _MOAT_NETLINK_H
#define _MOAT_NETLINK_H

#include <net/genetlink.h>
#include <linux/moat.h>

#include "db.h"

/* Smallest SPI that is not reserved (RFC 4303 2.1). */
#define MOAT_SPI_MIN 256

extern struct genl_family moat_genl_family;

/* Attributes of nests, by what a request may say in them. */
extern const struct nla_policy moat_nl_sel[MOAT_A_SELECTOR_MAX + 1];
extern const struct nla_policy moat_nl_sa_spi[MOAT_A_SA_MAX + 1];
extern const struct nla_policy moat_nl_sa_id[MOAT_A_SA_MAX + 1];
extern const struct nla_policy moat_nl_sa_owned[MOAT_A_SA_MAX + 1];
extern const struct nla_policy moat_nl_sa_new[MOAT_A_SA_MAX + 1];
extern const struct nla_policy moat_nl_policy_id[MOAT_A_POLICY_MAX + 1];
extern const struct nla_policy moat_nl_policy_new[MOAT_A_POLICY_MAX + 1];
extern const struct nla_policy moat_nl_policy_set[MOAT_A_POLICY_MAX + 1];
extern const struct nla_policy moat_nl_flow_new[MOAT_A_FLOW_MAX + 1];

/* Attributes of requests. */
extern const struct nla_policy moat_nl_main_none[MOAT_A_MAIN_MAX + 1];
extern const struct nla_policy moat_nl_main_spi[MOAT_A_MAIN_MAX + 1];
extern const struct nla_policy moat_nl_main_sa_new[MOAT_A_MAIN_MAX + 1];
extern const struct nla_policy moat_nl_main_sa_id[MOAT_A_MAIN_MAX + 1];
extern const struct nla_policy moat_nl_main_sa_move[MOAT_A_MAIN_MAX + 1];
extern const struct nla_policy moat_nl_main_sa_owned[MOAT_A_MAIN_MAX + 1];
extern const struct nla_policy moat_nl_main_policy_new[MOAT_A_MAIN_MAX + 1];
extern const struct nla_policy moat_nl_main_policy_set[MOAT_A_MAIN_MAX + 1];
extern const struct nla_policy moat_nl_main_policy_id[MOAT_A_MAIN_MAX + 1];
extern const struct nla_policy moat_nl_main_switch[MOAT_A_MAIN_MAX + 1];
extern const struct nla_policy moat_nl_main_flow[MOAT_A_MAIN_MAX + 1];

/** struct moat_nl_addr - An address and its family. */
struct moat_nl_addr {
	union nf_inet_addr addr;
	u8 family;
};

/**
 * moat_nl_once() - Refuse an attribute of the top level given twice.
 * @info: request
 * @many: attribute that may be, or 0
 *
 * Return: 0 or -EINVAL.
 */
int moat_nl_once(struct genl_info *info, int many);

/**
 * moat_nl_nest() - Parse a nest that must be there, nothing in it twice.
 * @tb: gets its attributes
 * @max: largest
 * @nest: the nest, or NULL
 * @policy: what may be in it
 * @name: for the sentence
 * @extack: gets the sentence of a refusal
 *
 * Return: 0 or -EINVAL.
 */
int moat_nl_nest(struct nlattr **tb, int max, const struct nlattr *nest,
		 const struct nla_policy *policy, const char *name,
		 struct netlink_ext_ack *extack);

/**
 * moat_nl_host() - Read the address of one host, as moat_nl_addr().
 */
int moat_nl_host(struct moat_nl_addr *out, const struct nlattr *attr,
		 const char *name, struct netlink_ext_ack *extack);

/**
 * moat_nl_addr() - Read an address of 4 or 16 bytes.
 * @out: where to
 * @attr: attribute, or NULL, which is refused
 * @name: for the sentence
 * @extack: gets the sentence of a refusal
 *
 * Return: 0 or -EINVAL.
 */
int moat_nl_addr(struct moat_nl_addr *out, const struct nlattr *attr,
		 const char *name, struct netlink_ext_ack *extack);

/** moat_nl_missing() - The refusal of a request without an attribute. */
int moat_nl_missing(const char *name, struct netlink_ext_ack *extack);

/**
 * moat_nl_one_of() - Read a number that stands for one of a few things.
 * @out: gets it; stays as it is without the attribute
 * @attr: attribute, or NULL
 * @first: smallest
 * @last: largest
 * @name: for the sentence
 * @extack: gets the sentence of a refusal
 *
 * Return: 0 or -EINVAL.
 */
int moat_nl_one_of(u8 *out, const struct nlattr *attr, u8 first, u8 last,
		   const char *name, struct netlink_ext_ack *extack);

/** moat_nl_mode() - Read a mode; it stays as it is without the attribute. */
int moat_nl_mode(u8 *mode, const struct nlattr *attr, const char *name,
		 struct netlink_ext_ack *extack);

/**
 * moat_nl_selector() - Read a selector.
 * @sel: where to
 * @nest: attribute
 * @extack: gets the sentence of a refusal
 *
 * Return: 0 or -EINVAL.
 */
int moat_nl_selector(struct moat_selector *sel, const struct nlattr *nest,
		     struct netlink_ext_ack *extack);

/**
 * moat_nl_mark() - Read which marks a policy is for.
 * @policy: gets it
 * @tb: attributes of the policy
 * @extack: gets the sentence of a refusal
 *
 * Return: 0 or -EINVAL.
 */
int moat_nl_mark(struct moat_policy *policy, struct nlattr **tb,
		 struct netlink_ext_ack *extack);

/**
 * moat_nl_shape() - Read how packets of a policy are treated.
 * @policy: its action, mode and selector are read; gets it
 * @tb: attributes of the policy
 * @extack: gets the sentence of a refusal
 *
 * Return: 0 or -EINVAL.
 */
int moat_nl_shape(struct moat_policy *policy, struct nlattr **tb,
		  struct netlink_ext_ack *extack);

/**
 * moat_nl_sa_key() - Read what names an SA.
 * @key: where to
 * @tb: attributes of the SA
 * @spi: whether an SPI is asked for, else it stays 0
 * @extack: gets the sentence of a refusal
 *
 * The direction is taken as inbound if there is none.
 *
 * Return: 0 or -EINVAL.
 */
int moat_nl_sa_key(struct moat_sa_key *key, struct nlattr **tb, bool spi,
		   struct netlink_ext_ack *extack);

/* Inbound SAs that one request adds. */
#define MOAT_SAS_MAX 8

/**
 * moat_nl_sas_make() - Make the SAs of a request, in no database yet.
 * @mn: namespace
 * @sas: gets them, MOAT_SAS_MAX at most; bundles are joined
 * @direction: enum moat_direction that is asked for
 * @info: request
 *
 * Context: may sleep; without moat_net.lock, for it loads modules.
 * Return: how many, or a negative error.
 */
int moat_nl_sas_make(struct moat_net *mn, struct moat_sa **sas, u8 direction,
		     struct genl_info *info);

/**
 * moat_nl_bundles() - Join the SAs of a request that are bundles.
 * @sas: in no database yet
 * @n: how many
 * @extack: gets the sentence of a refusal
 *
 * Return: 0 or -EINVAL.
 */
int moat_nl_bundles(struct moat_sa **sas, unsigned int n,
		    struct netlink_ext_ack *extack);

/** moat_nl_sas_put() - Drop what moat_nl_sas_make() made. */
void moat_nl_sas_put(struct moat_sa **sas, int n);

/**
 * moat_nl_sa_inherit() - Check an SA against its policy; locked.
 * @sa: complete; gets the policy's selector if it has none
 * @policy: its policy
 * @extack: gets the sentence of a refusal
 *
 * Return: 0 or -EINVAL.
 */
int moat_nl_sa_inherit(struct moat_sa *sa, const struct moat_policy *policy,
		       struct netlink_ext_ack *extack);

/**
 * moat_nl_find_policy() - Find the policy a request names; locked.
 * @mn: namespace
 * @id: attribute, or NULL, which is refused
 * @extack: gets the sentence of a refusal
 *
 * Return: the policy, or a negative error as pointer.
 */
struct moat_policy *moat_nl_find_policy(struct moat_net *mn,
					const struct nlattr *id,
					struct netlink_ext_ack *extack);

/* Writers of attributes: 0 or -EMSGSIZE. */
int moat_nl_put_addr(struct sk_buff *skb, int type, u8 family,
		     const union nf_inet_addr *addr);
int moat_nl_put_selector(struct sk_buff *skb, int type,
			 const struct moat_selector *sel);
int moat_nl_put_flow(struct sk_buff *skb, int type,
		     const struct moat_flow *flow);
int moat_nl_put_counter(struct sk_buff *skb, int type, const char *name,
			u64 value);

/** moat_nl_put_sa_id() - What events and spi-alloc tell about an SA. */
int moat_nl_put_sa_id(struct sk_buff *skb, const struct moat_sa *sa);

/** moat_nl_put_unknown() - What is known of an SA that is not here. */
int moat_nl_put_unknown(struct sk_buff *skb, const struct moat_sa_key *id,
			const union nf_inet_addr *src);

/** moat_nl_put_sa_end() - Which SA ends, and its last counters. */
int moat_nl_put_sa_end(struct sk_buff *skb, struct moat_sa *sa);

/** moat_nl_put_sa() - All about an SA but its keys; locked or RCU. */
int moat_nl_put_sa(struct sk_buff *skb, struct moat_sa *sa);

/** moat_nl_put_policy_id() - What an acquire tells; rcu_read_lock(). */
int moat_nl_put_policy_id(struct sk_buff *skb,
			  const struct moat_policy *policy);

/** moat_nl_put_gone() - Which policy is gone. */
int moat_nl_put_gone(struct sk_buff *skb, u32 id);

/** moat_nl_put_policy() - All about a policy; rcu_read_lock(). */
int moat_nl_put_policy(struct sk_buff *skb, struct moat_policy *policy);

/** moat_nl_put_bypass() - An implicit bypass. */
int moat_nl_put_bypass(struct sk_buff *skb, const struct moat_selector *sel,
		       const char *why);

/**
 * moat_nl_reply() - Begin an answer.
 * @info: request
 * @cmd: enum moat_cmd
 * @hdr: gets the header, for genlmsg_end()
 *
 * Return: the message, or NULL without memory.
 */
struct sk_buff *moat_nl_reply(struct genl_info *info, u8 cmd, void **hdr);

/**
 * moat_nl_answer() - Send an answer, or give it up.
 * @info: request
 * @msg: from moat_nl_reply(), consumed; @hdr likewise
 * @hdr: its header
 * @err: what came of filling it
 *
 * Return: @err, or what came of sending.
 */
int moat_nl_answer(struct genl_info *info, struct sk_buff *msg, void *hdr,
		   int err);

/* Requests. */
int moat_nl_spi_alloc(struct sk_buff *skb, struct genl_info *info);
int moat_nl_sa_add(struct sk_buff *skb, struct genl_info *info);
int moat_nl_sa_get(struct sk_buff *skb, struct genl_info *info);
int moat_nl_sa_dump(struct sk_buff *skb, struct netlink_callback *cb);
int moat_nl_sa_del(struct sk_buff *skb, struct genl_info *info);
int moat_nl_sa_flush(struct sk_buff *skb, struct genl_info *info);
int moat_nl_sa_move(struct sk_buff *skb, struct genl_info *info);
int moat_nl_sa_set(struct sk_buff *skb, struct genl_info *info);
int moat_nl_policy_add(struct sk_buff *skb, struct genl_info *info);
int moat_nl_policy_change(struct sk_buff *skb, struct genl_info *info);
int moat_nl_policy_switch(struct sk_buff *skb, struct genl_info *info);
int moat_nl_policy_get(struct sk_buff *skb, struct genl_info *info);
int moat_nl_policy_dump(struct sk_buff *skb, struct netlink_callback *cb);
int moat_nl_policy_del(struct sk_buff *skb, struct genl_info *info);
int moat_nl_policy_flush(struct sk_buff *skb, struct genl_info *info);
int moat_nl_flow_get(struct sk_buff *skb, struct genl_info *info);
int moat_nl_stats_get(struct sk_buff *skb, struct genl_info *info);

/** moat_netlink_init() - Register the family. */
int moat_netlink_init(void);

/** moat_netlink_exit() - Unregister it; no request runs after. */
void moat_netlink_exit(void);

#endif /* _MOAT_NETLINK_H */
