/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A tunnel's block while it is read: config_tunnel.c, config_net.c, config_algs.c. */
#ifndef MOAT_PRIV_CONFIG_DRAFT_H
#define MOAT_PRIV_CONFIG_DRAFT_H

#include "priv/config_internal.h"

#define NETS_MAX 256

/**
 * struct nets - networks of one side, before they are paired
 */
struct nets {
	unsigned int n;
	struct moat_range list[NETS_MAX];
};

/**
 * struct draft - a tunnel while its block is read
 * @weak: the word that allows weak algorithms was given
 * @esn: what `esn` says
 * @protocol: of the traffic, 0 for any
 * @ports: of both sides, lowest and highest
 */
struct draft {
	struct moat_reader *reader;
	config_setting_t *block;
	struct moat_tunnel_conf *tunnel;
	struct nets local_nets;
	struct nets remote_nets;
	bool weak;
	enum { DRAFT_ESN_OFF, DRAFT_ESN_AUTO, DRAFT_ESN_ON } esn;
	uint8_t protocol;
	uint16_t local_port[2];
	uint16_t remote_port[2];
};

/* Keys of a block; each notes its mistakes. */
void moat_read_local(struct draft *draft, config_setting_t *setting);
void moat_read_remote(struct draft *draft, config_setting_t *setting);
void moat_read_local_net(struct draft *draft, config_setting_t *setting);
void moat_read_remote_net(struct draft *draft, config_setting_t *setting);
void moat_read_ike(struct draft *draft, config_setting_t *setting);
void moat_read_esp(struct draft *draft, config_setting_t *setting);
void moat_read_ah(struct draft *draft, config_setting_t *setting);
void moat_read_protocol(struct draft *draft, config_setting_t *setting);
void moat_read_ports(struct draft *draft, config_setting_t *setting);
void moat_read_df(struct draft *draft, config_setting_t *setting);
void moat_read_dscp(struct draft *draft, config_setting_t *setting);
void moat_read_mss(struct draft *draft, config_setting_t *setting);
void moat_read_mtu(struct draft *draft, config_setting_t *setting);
void moat_read_tfc(struct draft *draft, config_setting_t *setting);
void moat_read_secpath(struct draft *draft, config_setting_t *setting);
void moat_read_device(struct draft *draft, config_setting_t *setting);

/* What belongs together, once all keys are read. */
void moat_check_families(struct draft *draft);
void moat_check_nets(struct draft *draft);
void moat_check_weak(struct draft *draft);
void moat_check_groups(struct draft *draft);
void moat_check_transport(struct draft *draft);
void moat_check_ports(struct draft *draft);
void moat_check_shape(struct draft *draft);

/** moat_check_wild() - what goes with remote = "any", and what does not */
void moat_check_wild(struct draft *draft);

/** moat_check_esn() - do `esn` and the proposals contradict each other? */
void moat_check_esn(struct draft *draft);

/** moat_apply_esn() - what `esn` makes of a list of algorithms */
void moat_apply_esn(struct draft *draft, struct moat_sa_algs *list);

/** moat_make_pairs() - every local net with every remote net of its family */
void moat_make_pairs(struct draft *draft);

#endif
