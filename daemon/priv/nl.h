/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The netlink client of the kernel module: family `moat`, uapi/moat.yaml.
 *
 * Requests block until the kernel has answered, and return 0 or a negative
 * errno; moat_nl_error() then holds the reason as a sentence (the kernel's own
 * where it gave one). Events arrive on a second socket, whose descriptor
 * belongs into the caller's event loop.
 *
 * SPIs, ports and all numbers are in host byte order, addresses in network
 * byte order. One handle belongs to one thread.
 */
#ifndef MOAT_PRIV_NL_H
#define MOAT_PRIV_NL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "ike/addr.h"
#include "ike/shape.h"
#include "linux/moat.h"

#define MOAT_NL_COUNTERS 64 /* drop reasons that one object can report */

struct moat_nl;

struct moat_nl_counter {
	char name[32];
	uint64_t value;
};

/** struct moat_nl_late - a row of the histogram of late packets; see the contract */
struct moat_nl_late {
	uint32_t from; /* least distance */
	uint64_t accepted, refused, duplicate;
};

#define MOAT_NL_LATE_ROWS 32

struct moat_nl_counters {
	unsigned int n;
	struct moat_nl_counter list[MOAT_NL_COUNTERS];
};

/**
 * struct moat_nl_sa - one SA
 *
 * A zero or an empty address leaves the attribute out, except that an inbound
 * SA always names its replay window. A selector whose local range is empty is
 * none; its ranges must be networks. Keys are borrowed, never copied, and
 * never reported. What stands below `read` is only reported.
 */
struct moat_nl_sa {
	enum moat_direction direction;
	uint8_t protocol; /* IPPROTO_ESP or IPPROTO_AH */
	uint32_t spi;
	struct moat_addr src, dst;
	enum moat_mode mode;
	enum moat_enc enc;
	const uint8_t *enc_key; /* its salt at the end */
	size_t enc_key_len;	/* bytes */
	enum moat_auth auth;
	const uint8_t *auth_key;
	size_t auth_key_len; /* bytes */
	uint8_t icv_len;     /* bytes */
	uint32_t replay;     /* packets; 0 is off */
	bool esn;
	uint32_t policy;
	struct moat_selector selector;
	uint16_t encap_sport, encap_dport;
	uint64_t soft_seconds, hard_seconds;
	uint64_t soft_bytes, hard_bytes;
	uint64_t soft_packets, hard_packets;
	uint8_t owner[MOAT_OWNER_MAX];
	size_t owner_len; /* bytes */
	uint32_t bundle;
	uint64_t seq; /* last number used or seen; when added: to go on from */
	/* read */
	enum moat_sa_state state;
	uint64_t packets, bytes;
	uint64_t created, last_used; /* seconds since the epoch; 0 is never */
	char driver[128];
	struct moat_addr peer; /* where its NAT moved the peer; len 0: it did not */
	uint32_t mtu;	       /* bytes */
	uint64_t async;
	uint16_t key_bits; /* of the cipher, without salt */
	unsigned int n_late;
	struct moat_nl_late late[MOAT_NL_LATE_ROWS];
	struct moat_nl_counters drops;
};

/** struct moat_nl_policy - one policy; what stands below `read` is only reported */
struct moat_nl_policy {
	uint32_t id;
	struct moat_selector selector;
	enum moat_action action; /* 0 in a policy-set: leave it */
	uint32_t priority;
	struct moat_addr local, remote; /* tunnel endpoints */
	enum moat_mode mode;
	bool acquire_off;
	uint32_t mark, mark_mask; /* mask 0: packets of any mark */
	struct moat_shape shape;
	char device[MOAT_DEVICE_SIZE]; /* of a route-based tunnel; empty is none */
	/* read */
	uint32_t spi; /* of the current outbound SA; 0 is none */
	bool acquire;
	uint32_t held; /* packets */
	uint64_t packets, bytes;
	bool shadowed;	   /* no packet can meet it */
	uint32_t shadow;   /* by this policy; 0 is an implicit bypass */
	char implicit[64]; /* why an implicit bypass stands; else empty */
	struct moat_nl_counters drops;
};

/** struct moat_nl_flow - one packet, as seen on the wire */
struct moat_nl_flow {
	struct moat_addr src, dst;
	uint8_t protocol;
	uint16_t sport, dport; /* or type and code */
	uint32_t mark;
};

/** struct moat_nl_answer - what the kernel would do with a flow */
struct moat_nl_answer {
	enum moat_verdict verdict;
	char reason[32]; /* counter of a dropped packet; else empty */
	bool nat; /* conntrack knows that it is rewritten, from original to translated */
	struct moat_nl_flow original, translated;
	bool has_policy;
	struct moat_nl_policy policy;
	unsigned int n_sas; /* 2 for AH over ESP, AH first */
	struct moat_nl_sa sas[2];
};

/**
 * struct moat_nl_event - what the kernel reports
 * @kind: MOAT_CMD_ACQUIRE_NTF (@policy, @flow), MOAT_CMD_EXPIRE_NTF (@sa,
 *	@hard), MOAT_CMD_MAPPING_NTF (@sa, @addr, @port),
 *	MOAT_CMD_FIRST_USE_NTF (@sa), MOAT_CMD_UNKNOWN_SPI_NTF (@sa) or
 *	MOAT_CMD_POLICY_GONE_NTF (@policy, of which id alone; 0 is all)
 */
struct moat_nl_event {
	enum moat_cmd kind;
	struct moat_nl_policy policy;
	struct moat_nl_flow flow;
	struct moat_nl_sa sa;
	bool hard;
	struct moat_addr addr;
	uint16_t port;
};

typedef int (*moat_nl_sa_fn)(const struct moat_nl_sa *sa, void *arg);
typedef int (*moat_nl_policy_fn)(const struct moat_nl_policy *policy, void *arg);
typedef void (*moat_nl_event_fn)(const struct moat_nl_event *event, void *arg);

int moat_nl_open(struct moat_nl **out);
void moat_nl_close(struct moat_nl *nl);
const char *moat_nl_error(const struct moat_nl *nl);

int moat_nl_subscribe(struct moat_nl *nl);
int moat_nl_event_fd(const struct moat_nl *nl);
int moat_nl_events(struct moat_nl *nl, moat_nl_event_fn fn, void *arg);

int moat_nl_spi_alloc(struct moat_nl *nl, uint8_t protocol, const struct moat_addr *dst,
		      uint32_t min, uint32_t max, uint32_t *spi);
int moat_nl_sa_add(struct moat_nl *nl, const struct moat_nl_sa *sas, unsigned int n);
int moat_nl_sa_get(struct moat_nl *nl, const struct moat_nl_sa *key,
		   struct moat_nl_sa *sa);
int moat_nl_sa_del(struct moat_nl *nl, const struct moat_nl_sa *key);
int moat_nl_sa_set(struct moat_nl *nl, const struct moat_nl_sa *sa);
int moat_nl_sa_move(struct moat_nl *nl, const struct moat_nl_sa *key,
		    const struct moat_endpoint *peer);
int moat_nl_sa_flush(struct moat_nl *nl);
int moat_nl_sa_dump(struct moat_nl *nl, moat_nl_sa_fn fn, void *arg);

int moat_nl_policy_add(struct moat_nl *nl, const struct moat_nl_policy *policy);
int moat_nl_policy_set(struct moat_nl *nl, const struct moat_nl_policy *policy);
int moat_nl_policy_switch(struct moat_nl *nl, uint32_t id, const struct moat_nl_sa *sas,
			  unsigned int n);
int moat_nl_policy_get(struct moat_nl *nl, uint32_t id, struct moat_nl_policy *policy);
int moat_nl_policy_del(struct moat_nl *nl, uint32_t id);
int moat_nl_policy_flush(struct moat_nl *nl);
int moat_nl_policy_dump(struct moat_nl *nl, moat_nl_policy_fn fn, void *arg);

int moat_nl_flow_get(struct moat_nl *nl, const struct moat_nl_flow *flow,
		     struct moat_nl_answer *answer);
int moat_nl_stats_get(struct moat_nl *nl, struct moat_nl_counters *stats);

#endif
