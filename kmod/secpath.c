// SPDX-License-Identifier: GPL-2.0
/*
 * The state is in none of XFRM's tables. Its mode is transport and its
 * selector matches everything, so XFRM's policy check has nothing to say about
 * a packet with it where no policy of XFRM asks for more.
 */
#include <net/xfrm.h>

#include "netns.h"
#include "secpath.h"

int moat_secpath_net_init(struct moat_net *mn)
{
	struct xfrm_state *state = xfrm_state_alloc(mn->net);

	if (!state)
		return -ENOMEM;
	state->props.mode = XFRM_MODE_TRANSPORT;
	mn->secpath = state;
	return 0;
}

void moat_secpath_net_exit(struct moat_net *mn)
{
	mn->secpath->km.state = XFRM_STATE_DEAD;
	xfrm_state_put(mn->secpath);
}

int moat_secpath_set(const struct moat_net *mn, struct sk_buff *skb)
{
	struct sec_path *path = secpath_set(skb);

	if (!path)
		return -ENOMEM;
	xfrm_state_hold(mn->secpath);
	path->xvec[path->len++] = mn->secpath;
	return 0;
}
