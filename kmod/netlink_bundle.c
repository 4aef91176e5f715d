// SPDX-License-Identifier: GPL-2.0
/* Bundles: AH over ESP, whose SAs come in one request and share a number. */

#include <linux/in.h>

#include "netlink.h"

/* What a bundle counts and carries stands with its ESP; AH may repeat it. */
static bool moat_nl_join_repeats(const struct moat_sa *esp,
				 const struct moat_sa *ah)
{
	return (!ah->selector.family ||
		!memcmp(&ah->selector, &esp->selector, sizeof(ah->selector))) &&
	       (!memchr_inv(&ah->life, 0xff, sizeof(ah->life)) ||
		!memcmp(&ah->life, &esp->life, sizeof(ah->life)));
}

static int moat_nl_join(struct moat_sa *esp, struct moat_sa *ah,
			struct netlink_ext_ack *extack)
{
	if (!moat_addr_equal(&esp->key.dst, &ah->key.dst) ||
	    !moat_addr_equal(&esp->src, &ah->src) ||
	    esp->key.family != ah->key.family || esp->mode != ah->mode ||
	    esp->policy_id != ah->policy_id) {
		NL_SET_ERR_MSG_FMT(extack, "SAs of bundle %u differ in ends, mode or policy",
				   esp->bundle);
		return -EINVAL;
	}
	if (!moat_nl_join_repeats(esp, ah)) {
		NL_SET_ERR_MSG_FMT(extack, "SAs of bundle %u differ in selector or limits",
				   esp->bundle);
		return -EINVAL;
	}
	memset(&ah->life, 0xff, sizeof(ah->life));
	moat_sa_join(esp, ah);
	return 0;
}

/* The ESP of an AH's bundle, or NULL. */
static struct moat_sa *moat_nl_partner(struct moat_sa **sas, unsigned int n,
				       const struct moat_sa *ah)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		if (sas[i]->key.protocol == IPPROTO_ESP && !sas[i]->above &&
		    sas[i]->bundle == ah->bundle)
			return sas[i];
	return NULL;
}

int moat_nl_bundles(struct moat_sa **sas, unsigned int n,
		    struct netlink_ext_ack *extack)
{
	struct moat_sa *esp;
	unsigned int i;
	int err;

	for (i = 0; i < n; i++) {
		if (!sas[i]->bundle || sas[i]->key.protocol != IPPROTO_AH)
			continue;
		esp = moat_nl_partner(sas, n, sas[i]);
		err = esp ? moat_nl_join(esp, sas[i], extack) : 0;
		if (err)
			return err;
	}
	for (i = 0; i < n; i++) {
		if (!sas[i]->bundle || sas[i]->above || sas[i]->below)
			continue;
		NL_SET_ERR_MSG_FMT(extack, "bundle %u wants one AH and one ESP in one request",
				   sas[i]->bundle);
		return -EINVAL;
	}
	return 0;
}
