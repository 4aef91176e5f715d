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
 */
struct draft {
	struct moat_reader *reader;
	config_setting_t *block;
	struct moat_tunnel_conf *tunnel;
	struct nets local_nets;
	struct nets remote_nets;
	bool weak;
};

/* Keys of a block; each notes its mistakes. */
void moat_read_local(struct draft *draft, config_setting_t *setting);
void moat_read_remote(struct draft *draft, config_setting_t *setting);
void moat_read_local_net(struct draft *draft, config_setting_t *setting);
void moat_read_remote_net(struct draft *draft, config_setting_t *setting);
void moat_read_ike(struct draft *draft, config_setting_t *setting);
void moat_read_esp(struct draft *draft, config_setting_t *setting);

/* What belongs together, once all keys are read. */
void moat_check_families(struct draft *draft);
void moat_check_weak(struct draft *draft);
void moat_check_groups(struct draft *draft);

/** moat_make_pairs() - every local net with every remote net of its family */
void moat_make_pairs(struct draft *draft);

#endif
