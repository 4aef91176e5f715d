/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the simulation share. */
#ifndef MOAT_SIM_INTERNAL_H
#define MOAT_SIM_INTERNAL_H

#include "priv/config.h"
#include "priv/keys_rsa.h"
#include "sim.h"
#include "sim_kernel.h"

#define SIM_RECORDS 4096

enum sim_item_type {
	SIM_DATAGRAM,
	SIM_ANSWER,
	SIM_KERNEL,
	SIM_PACKET,
	SIM_FIRST_USE,
	SIM_MAPPING,
	SIM_TRAFFIC,
	SIM_TICK,
};

struct sim_item {
	struct sim_item *next;
	uint64_t due;
	enum sim_item_type type;
	int side;
	unsigned int boot;
	struct moat_endpoint from;
	struct moat_endpoint to;
	bool marker;
	uint8_t *data;
	size_t len;
	uint8_t *secret;
	size_t secret_len;
	uint32_t token;
	bool ok;
	const char *text;
	uint32_t spi;
	bool unused;
	enum moat_action_type action;
	struct moat_policy_params policy;
	struct moat_addr dst;
};

struct sim_log {
	struct sim_log *next;
	char name[48];
	char *text;
	unsigned int count;
};

struct sim_forgetful;

struct sim_record {
	uint8_t *data;
	size_t len;
	int to;
};

/*
 * @skew: of its clock, ms; @set_back: it once went back under this core, which so
 * counts less time than its kernel does
 * @starting: a new core meets the policies of its predecessor
 * @jobs: what threads were asked; @unproven: what of it all else goes before
 */
struct sim_side {
	struct moat_ike *ike;
	struct moat_addr addr;
	unsigned int rebound;
	unsigned int keepalives;
	unsigned int jobs, unproven;
	uint64_t unknown_at;
	uint64_t random;
	int64_t skew;
	bool set_back;
	unsigned int boot;
	bool starting;
	struct sim_kernel kernel;
	uint64_t kernel_busy;
	unsigned int sent[256];
	struct sim_log *logs;
	char *ladder;
	size_t ladder_len, ladder_size;
	int done;
	unsigned int keys_named;
	uint8_t key[MOAT_KEYLOG_MAX];
	size_t key_len;
	uint32_t requests;
	struct moat_config config;
	struct moat_rsa_keys keys;
	struct sim_forgetful *forgetful;
};

/*
 * @wrong: what a kernel refused, for good; @differs: what sim_agree() saw last;
 * @spoil_for: 0 for datagrams to both sides, or 1 + the side
 */
struct sim {
	struct sim_options options;
	uint64_t random;
	uint64_t now;
	struct sim_side side[2];
	sim_filter filter;
	const uint8_t *spoil;
	size_t spoil_len;
	size_t spoil_at;
	uint8_t spoil_by;
	int spoil_for;
	unsigned int fail;
	struct sim_item *queue;
	struct sim_record records[SIM_RECORDS];
	unsigned int n_records;
	struct moat_addr first[2];
	unsigned long lost;
	unsigned long delivered;
	char wrong[256];
	char differs[256];
	struct moat_x509 *x509;
};

struct sim_item *sim_later(struct sim *sim, uint64_t ms, enum sim_item_type type,
			   int side);
void sim_step(struct sim *sim, int side, struct moat_event *event);
void sim_send(struct sim *sim, int side, const struct moat_act *act);
/** sim_act() - do what a core asks for */
void sim_act(struct sim *sim, int side, const struct moat_act *act);
void sim_kernel_work(struct sim *sim, struct sim_item *item);
/** sim_outside() - a side's endpoint as the other one sees it */
struct moat_endpoint sim_outside(const struct sim *sim, int side, uint16_t port);
void sim_setup(struct sim *sim, int side);
void sim_configure_core(struct sim *sim, int side, bool wait);
struct moat_ike *sim_new_core(struct sim_side *side);
/** sim_take_over() - does a new core's policy find an old one in its place? */
bool sim_take_over(struct sim_side *side, const struct moat_policy_params *policy);
void sim_forget_logs(struct sim_side *side);

/** sim_forgetful_can() - has a side the IV of a message to read it, or to write it? */
bool sim_forgetful_can(struct sim *sim, int side, const uint8_t *data, size_t len);
/** sim_forgetful_has() - has it the inbound SA that its kernel has by now? */
bool sim_forgetful_has(const struct sim *sim, int side, const struct sim_sa *sa);

/** sim_rsa_setup() - read certificates and key of a side, if its method has any */
void sim_rsa_setup(struct sim *sim, int side);
void sim_rsa_clear(struct sim_side *side);
bool sim_rsa_sign(struct sim *sim, int side, const struct moat_act *act, uint8_t *out,
		  size_t *len);
size_t sim_rsa_decrypt(struct sim *sim, int side, const struct moat_act *act,
		       uint8_t *out);
bool sim_rsa_verify(struct sim *sim, const struct moat_act *act, char *why, size_t size);

#endif
