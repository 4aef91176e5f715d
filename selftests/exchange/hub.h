/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Several cores in one process, under virtual time: a gateway, node 0, and peers.
 * Their configuration is text, and read as the daemon reads it; signatures and
 * certificates are real. Nothing is lost on the way.
 */
#ifndef MOAT_HUB_H
#define MOAT_HUB_H

#include "ike/ike.h"
#include "ike/keys.h"

#define HUB_NODES 4

struct hub;

struct hub *hub_new(void);
void hub_free(struct hub *hub);
/** hub_configure() - a node has an address and a configuration: blocks of tunnels */
void hub_configure(struct hub *hub, unsigned int node, const char *addr,
		   const char *tunnels);
/** hub_nat() - a node is behind a NAT with this address, whose @number it is */
void hub_nat(struct hub *hub, unsigned int node, const char *addr, unsigned int number);
/** hub_mute() - nothing of this node arrives, nor anything for it */
void hub_mute(struct hub *hub, unsigned int node, bool mute);
/** hub_reboot() - a node forgets everything; it is to be configured again */
void hub_reboot(struct hub *hub, unsigned int node);
void hub_control(struct hub *hub, unsigned int node, enum moat_event_type type,
		 const char *tunnel);
void hub_run(struct hub *hub, uint64_t ms);
/** hub_delete() - a node tells node 0 under its ISAKMP SA that this one has ended */
void hub_delete(struct hub *hub, unsigned int node, const struct moat_cookies *cky);
/** hub_stranger() - message 1 of node 1 comes to node 0 from @addr, with other cookies */
void hub_stranger(struct hub *hub, const char *addr, uint32_t cookie);

struct moat_ike *hub_core(struct hub *hub, unsigned int node);
/** hub_state() - of a tunnel; "none" when there is no such */
const char *hub_state(struct hub *hub, unsigned int node, const char *tunnel);
/** hub_tunnels() - how many there are */
unsigned int hub_tunnels(struct hub *hub, unsigned int node);
unsigned int hub_isakmps(struct hub *hub, unsigned int node);
unsigned int hub_sas(struct hub *hub, unsigned int node, uint8_t direction);
/** hub_policies() - policies with this action in a node's kernel */
unsigned int hub_policies(struct hub *hub, unsigned int node, uint8_t action);
/** hub_policy() - the policy towards a network, or NULL */
const struct moat_policy_params *hub_policy(struct hub *hub, unsigned int node,
					    uint8_t action, const char *remote);
/** hub_log() - the last line of an event, "" for none; of "main 1" whose it was */
const char *hub_log(struct hub *hub, unsigned int node, const char *name);
/** hub_unproven() - jobs of threads before which all else goes */
unsigned int hub_unproven(struct hub *hub, unsigned int node);
/** hub_done() - how the last hub_control() ended */
bool hub_done(struct hub *hub);
/** hub_wrong() - what a kernel has refused; NULL for nothing */
const char *hub_wrong(struct hub *hub);

#endif
