// SPDX-License-Identifier: GPL-2.0
/*
 * Packets meet policies by their headers (classify.c). An ICMP error that
 * passes by its own is looked at once more: it quotes another packet, and may
 * travel like that one's answer only (RFC 4301 6.2). A bypass does not change
 * that: what a policy protects does not leave in clear inside an error.
 */
#include "netns.h"
#include "parse.h"
#include "verdict.h"

static bool moat_verdict_passes(enum moat_verdict verdict)
{
	return verdict == MOAT_VERDICT_CLEAR || verdict == MOAT_VERDICT_BYPASS;
}

/*
 * Marks are given behind our first hook, if at all. What arrives with one
 * that no policy is for may still be what a policy with another one protects:
 * only a policy that lets it pass does so.
 */
static enum moat_verdict moat_verdict_of(const struct moat_net *mn,
					 bool outbound,
					 struct moat_flow *flow,
					 struct moat_policy **policy)
{
	enum moat_verdict verdict = moat_classify(mn, flow, policy);

	if (outbound || verdict != MOAT_VERDICT_CLEAR ||
	    !READ_ONCE(mn->marked))
		return verdict;
	flow->any_mark = true;
	return moat_classify(mn, flow, policy);
}

enum moat_verdict moat_verdict(const struct moat_net *mn,
			       const struct sk_buff *skb, bool outbound,
			       struct moat_flow *flow,
			       struct moat_policy **policy)
{
	enum moat_verdict verdict, about;
	struct moat_policy *other;
	struct moat_flow carried;

	verdict = moat_verdict_of(mn, outbound, flow, policy);
	if (!moat_verdict_passes(verdict) ||
	    !moat_parse_carried(skb, flow->family, outbound, &carried))
		return verdict;
	about = moat_verdict_of(mn, outbound, &carried, &other);
	if (moat_verdict_passes(about))
		return verdict;
	*flow = carried;
	*policy = other;
	return about;
}
