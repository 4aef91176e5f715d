// SPDX-License-Identifier: GPL-2.0
/* Requests for SPIs. */

#include "netlink.h"

#define MOAT_SPI_DEFAULT_MIN 0x1000

static int moat_nl_spi_range(struct genl_info *info, u32 *min, u32 *max)
{
	const struct nlattr *first = info->attrs[MOAT_A_MAIN_SPI_MIN];
	const struct nlattr *last = info->attrs[MOAT_A_MAIN_SPI_MAX];

	*min = first ? nla_get_u32(first) : MOAT_SPI_DEFAULT_MIN;
	*max = last ? nla_get_u32(last) : U32_MAX;
	if (*min < MOAT_SPI_MIN) {
		NL_SET_ERR_MSG_FMT(info->extack, "spi-min 0x%x: up to 0xff is reserved",
				   *min);
		return -EINVAL;
	}
	if (*min > *max) {
		NL_SET_ERR_MSG_FMT(info->extack, "spi-min 0x%x is above spi-max 0x%x",
				   *min, *max);
		return -EINVAL;
	}
	return 0;
}

static int moat_nl_spi_request(struct genl_info *info, struct moat_sa_key *key,
			       u32 *min, u32 *max)
{
	struct nlattr *tb[MOAT_A_SA_MAX + 1];
	int err;

	err = moat_nl_once(info, 0);
	if (!err)
		err = moat_nl_nest(tb, MOAT_A_SA_MAX,
				   info->attrs[MOAT_A_MAIN_SA],
				   moat_nl_sa_spi, "sa", info->extack);
	if (!err)
		err = moat_nl_sa_key(key, tb, false, info->extack);
	if (!err && key->direction != MOAT_DIRECTION_IN) {
		NL_SET_ERR_MSG(info->extack, "SPIs of outbound SAs are chosen by the peer");
		err = -EINVAL;
	}
	return err ?: moat_nl_spi_range(info, min, max);
}

int moat_nl_spi_alloc(struct sk_buff *skb, struct genl_info *info)
{
	struct moat_net *mn = moat_net(genl_info_net(info));
	struct moat_sa_key key;
	struct sk_buff *msg;
	u32 min, max;
	void *hdr;
	int err;

	err = moat_nl_spi_request(info, &key, &min, &max);
	if (err)
		return err;
	msg = moat_nl_reply(info, MOAT_CMD_SPI_ALLOC, &hdr);
	if (!msg)
		return -ENOMEM;
	mutex_lock(&mn->lock);
	err = moat_spi_alloc(mn, &key, min, max, info->extack);
	if (!err)
		err = moat_nl_put_sa_id(msg, moat_sa_find(mn, &key));
	mutex_unlock(&mn->lock);
	return moat_nl_answer(info, msg, hdr, err);
}
