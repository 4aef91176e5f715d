/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the netlink client share. */
#ifndef MOAT_PRIV_NL_INTERNAL_H
#define MOAT_PRIV_NL_INTERNAL_H

#include <netlink/attr.h>
#include <netlink/msg.h>
#include "priv/nl.h"

/* Takes the top-level attributes of one answer; 0, or a negative errno. */
typedef int (*nl_reply_fn)(struct nlattr *attrs, int len, void *arg);

struct nl_msg *moat_nl_request(struct moat_nl *nl, enum moat_cmd cmd, int flags);
int moat_nl_talk(struct moat_nl *nl, struct nl_msg *msg, nl_reply_fn fn, void *arg);
int moat_nl_simple(struct moat_nl *nl, enum moat_cmd cmd);
int moat_nl_fail(struct moat_nl *nl, struct nl_msg *msg, int err, const char *why);

int moat_nl_put_addr(struct nl_msg *msg, int type, const struct moat_addr *addr);
int moat_nl_put_selector(struct nl_msg *msg, int type, const struct moat_selector *sel);
int moat_nl_put_sa(struct nl_msg *msg, const struct moat_nl_sa *sa);
int moat_nl_put_sa_key(struct nl_msg *msg, const struct moat_nl_sa *sa);
int moat_nl_put_policy_id(struct nl_msg *msg, uint32_t id);

int moat_nl_parse(struct nlattr **tb, int max, struct nlattr *attrs, int len,
		  const struct nla_policy *policy);
int moat_nl_get_addr(struct moat_addr *addr, const struct nlattr *attr);
int moat_nl_get_selector(struct moat_selector *sel, struct nlattr *attr);
int moat_nl_get_counter(struct moat_nl_counters *counters, struct nlattr *attr);
int moat_nl_get_counters(struct moat_nl_counters *counters, struct nlattr *nest,
			 int type);
int moat_nl_get_sa(struct moat_nl_sa *sa, struct nlattr *attr);
int moat_nl_get_policy(struct moat_nl_policy *policy, struct nlattr *attr);
int moat_nl_get_flow(struct moat_nl_flow *flow, struct nlattr *attr);

#endif
