/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ike process: the core's hands and ears. What its files share.
 *
 * One thread runs libevent's loop and the core; DH runs on worker threads. It
 * has no rights: sockets come from the supervisor, and whatever needs secrets
 * or the kernel is asked of the keys and kernel processes.
 */
#ifndef MOAT_IO_IO_H
#define MOAT_IO_IO_H

#include <event2/event.h>
#include <jansson.h>
#include <sys/queue.h>

#include "priv/feed.h"

struct moat_io;
struct moat_control;
struct moat_workers;

/* Tokens of the core are below, those of the edges from here. */
#define MOAT_EDGE_TOKEN 0x80000000u

STAILQ_HEAD(moat_letters, moat_letter);

/**
 * struct moat_channel - a socket to another process that never blocks us
 * @io: whose
 * @fd: -1 while there is none
 * @queue: messages that found no room
 * @waiting: tree of the tokens whose answer is still to come
 * @receive: called for each message
 */
struct moat_channel {
	struct moat_io *io;
	int fd;
	struct event *readable;
	struct event *writable;
	struct moat_letters queue;
	void *waiting;
	void (*receive)(struct moat_io *io, const struct moat_ipc *msg, int passed);
};

/**
 * struct moat_udp - the sockets of IKE
 * @fds: indexed by enum moat_socket
 * @unsent: ends of a datagram that could not be sent; @why is empty when all could
 * @absent: as we do not have the local one
 */
struct moat_udp {
	int fds[MOAT_SOCKETS];
	struct event *events[MOAT_SOCKETS];
	uint64_t refused;
	uint64_t send_failed;
	struct moat_endpoint unsent[2];
	bool absent;
	char why[128];
};

/**
 * struct moat_dump - what the kernel holds, at one moment
 * @sas: sorted by policy
 */
struct moat_dump {
	struct moat_ipc *sas;
	unsigned int n_sas;
	struct moat_ipc *policies;
	unsigned int n_policies;
	struct moat_ipc_counters counters;
	char error[MOAT_IPC_TEXT];
};

/** moat_dump_fn - a dump is complete; it is valid during the call only */
typedef void (*moat_dump_fn)(struct moat_io *io, const struct moat_dump *dump, void *arg);

STAILQ_HEAD(moat_dump_waiters, moat_dump_waiter);

/**
 * struct moat_dumps - dumps on their way; one at a time
 * @token: of the one that runs, 0 for none
 * @now: who waits for it
 * @next: who came later and waits for the next one
 * @late: timer: nothing of it has come for too long
 */
struct moat_dumps {
	uint32_t token;
	struct moat_dump current;
	struct moat_dump_waiters now;
	struct moat_dump_waiters next;
	struct event *late;
};

/**
 * struct moat_policies - ids of policies, see adopt.c
 * @by_core: tree by the core's number
 * @by_kernel: the same by the kernel's id
 * @left: tree of policies that an earlier daemon left, while it starts
 * @last: id that was given last
 */
struct moat_policies {
	void *by_core;
	void *by_kernel;
	void *left;
	uint32_t last;
};

/**
 * struct moat_io - the ike process
 * @config: what the core was given last
 * @feed: its successor while it arrives
 * @files: names that the core's tunnels point to; they stay
 * @failed: answers that are to come from here, as the channel is gone
 * @policies: the core's numbers of policies, and the kernel's
 * @adopted: what an earlier daemon left has been taken over
 * @totals: tree of what SAs that are gone have carried, per tunnel
 * @settled: a configuration has come
 * @keylog: an operator wants to see keys
 */
struct moat_io {
	struct event_base *base;
	struct event *timer;
	struct moat_ike *ike;
	struct moat_config config;
	struct moat_feed feed;
	struct moat_config files;
	struct moat_channel supervisor;
	struct moat_channel keys;
	struct moat_channel kernel;
	struct moat_udp udp;
	struct moat_workers *workers;
	struct moat_control *control;
	struct moat_dumps dumps;
	struct moat_letters failed;
	struct moat_policies policies;
	uint32_t next_token;
	bool settled;
	bool keylog;
	bool adopted;
	bool stepping;
	void *totals;
};

/* process.c */

/** moat_io_now() - milliseconds of a monotonic clock that also counts sleep */
uint64_t moat_io_now(void);

/** moat_io_step() - give the core an event, then do what it asks; sets @event->now */
void moat_io_step(struct moat_io *io, struct moat_event *event);

/** moat_io_clean() - have the kernel process delete what nobody asked for */
void moat_io_clean(struct moat_io *io);

/** moat_io_fail() - answer a token with a failure, once the current step is done */
void moat_io_fail(struct moat_io *io, uint32_t token, const char *why);

/* channel.c */
void moat_channel_init(struct moat_channel *channel, struct moat_io *io,
		       void (*receive)(struct moat_io *io, const struct moat_ipc *msg,
				       int passed));

/** moat_channel_set() - use a new socket; what was asked on the old one fails */
void moat_channel_set(struct moat_channel *channel, int fd);

/** moat_channel_send() - send, or queue what finds no room; remembers the token */
void moat_channel_send(struct moat_channel *channel, const struct moat_ipc *msg);

/** moat_channel_answered() - take a token off those that wait; false: not one of them */
bool moat_channel_answered(struct moat_channel *channel, uint32_t token);

/** moat_channel_forget() - a question that still waits for room is not sent */
void moat_channel_forget(struct moat_channel *channel, uint32_t token);
void moat_channel_close(struct moat_channel *channel);

/** moat_letters_put() - append a copy of a message; moat_letters_free() wipes all */
void moat_letters_put(struct moat_letters *letters, const struct moat_ipc *msg);
void moat_letters_free(struct moat_letters *letters);

/** moat_letters_get() - the first message, or false; moat_letters_drop() removes it */
const struct moat_ipc *moat_letters_first(const struct moat_letters *letters);
void moat_letters_drop(struct moat_letters *letters);

/* adopt.c */

/* What stands in the kernel for a policy of the core already. */
enum moat_adoption { MOAT_ADOPT_NOT, MOAT_ADOPT_POLICY, MOAT_ADOPT_SAS };

/** moat_policies_kernel() - the kernel's id of a policy of the core, 0 for none */
uint32_t moat_policies_kernel(const struct moat_policies *policies, uint32_t core);

/** moat_policies_core() - the core's number; false when it is not one of its policies */
bool moat_policies_core(const struct moat_policies *policies, uint32_t kernel,
			uint32_t *core);

/** moat_policies_add() - give a new policy of the core an id */
enum moat_adoption moat_policies_add(struct moat_policies *policies,
				     const struct moat_policy_params *params);
void moat_policies_del(struct moat_policies *policies, uint32_t core);
void moat_policies_free(struct moat_policies *policies);

/** moat_io_adopt() - the first configuration, given what the kernel holds */
void moat_io_adopt(struct moat_io *io, const struct moat_dump *dump, void *arg);

/* udp.c */

/** moat_udp_set() - take a socket from the supervisor */
void moat_udp_set(struct moat_io *io, unsigned int which, int fd);

/** moat_udp_unsent() - tell the core, once its step is done, what could not be sent */
void moat_udp_unsent(struct moat_io *io);

/** moat_udp_send() - send what MOAT_ACT_SEND says; what finds no room is lost */
void moat_udp_send(struct moat_io *io, const struct moat_act *act);

/** moat_udp_absent() - this address is on no interface of this machine */
bool moat_udp_absent(const struct moat_addr *local);
void moat_udp_close(struct moat_io *io);

/* worker.c */
struct moat_workers *moat_workers_new(struct moat_io *io);

/** moat_workers_ask() - queue a MOAT_ACT_DH_* or MOAT_ACT_VERIFY */
void moat_workers_ask(struct moat_workers *workers, const struct moat_act *act);

/** moat_workers_forget() - a job that no thread has taken yet is not done */
void moat_workers_forget(struct moat_workers *workers, uint32_t token);
void moat_workers_free(struct moat_workers *workers);

/* action.c */

/** moat_io_act() - do one action */
void moat_io_act(struct moat_io *io, const struct moat_act *act);

/* dump.c */

/** moat_dump_prepare() - nobody has asked yet */
void moat_dump_prepare(struct moat_io *io);
void moat_dump_end(struct moat_io *io);

/** moat_dump_ask() - have @fn called with a dump that starts after this call */
void moat_dump_ask(struct moat_io *io, moat_dump_fn fn, void *arg);

/** moat_dump_take() - a message that belongs to a dump */
void moat_dump_take(struct moat_io *io, const struct moat_ipc *msg);

/** moat_dump_fail() - the kernel process is gone */
void moat_dump_fail(struct moat_io *io, const char *why);

/** moat_dump_cancel() - nobody waits with this @arg any more */
void moat_dump_cancel(struct moat_io *io, void *arg);

/** moat_dump_sas() - the SAs of one policy (kernel's id); @n says how many */
const struct moat_ipc *moat_dump_sas(const struct moat_dump *dump, uint32_t policy,
				     unsigned int *n);

/* totals.c: what tunnels have carried, across rekeys */

/**
 * struct moat_totals - of one tunnel; [0] is in, [1] is out
 * @reasons: packets dropped, by name
 */
struct moat_totals {
	char tunnel[MOAT_TUNNEL_NAME_MAX + 1];
	uint64_t packets[2];
	uint64_t bytes[2];
	uint64_t drops;
	json_t *reasons;
};

/** moat_totals_add() - add what an SA has carried */
void moat_totals_add(struct moat_totals *totals, const struct moat_ipc *info);

/** moat_totals_keep() - an SA is gone; its counters are not */
void moat_totals_keep(struct moat_io *io, const struct moat_ipc *info);

/** moat_totals_get() - what is kept of a tunnel; @reasons is the caller's */
struct moat_totals moat_totals_get(struct moat_io *io, const char *tunnel);
void moat_totals_free(struct moat_io *io);

/* control.c */
struct moat_control *moat_control_new(struct moat_io *io, int fd);
void moat_control_free(struct moat_control *control);

/** moat_control_done() - up or down has ended */
void moat_control_done(struct moat_control *control, uint32_t request, bool ok,
		       const char *text);

/** moat_control_reloaded() - MISTAKE and RELOADED of the supervisor */
void moat_control_reloaded(struct moat_control *control, const struct moat_ipc *msg);
/** moat_control_compared() - after a step: does a reload still wait for keys? */
void moat_control_compared(struct moat_control *control);

/** moat_control_event() - tell those who monitor about an event of the log */
void moat_control_event(struct moat_control *control, const struct moat_act *act);

/** moat_control_trace() - tell those who watch */
void moat_control_trace(struct moat_control *control, const struct moat_act *act);

/* failure.c: the last failures, for `moat show failures` */

/** moat_failures_note() - remember a warning or an error: an action of the log */
void moat_failures_note(const struct moat_act *act);
json_t *moat_failures_json(void);

/* keylog.c: Wireshark's tables, written by the supervisor while an operator asks */

/** moat_keylog_turn() - begin or end, as the operator says */
void moat_keylog_turn(struct moat_io *io, bool on);
/** moat_keylog_isakmp() - a key of phase 1 */
void moat_keylog_isakmp(const struct moat_act *act);
/** moat_keylog_sa() - the keys of an IPsec SA */
void moat_keylog_sa(const struct moat_sa_params *sa);

/* status.c: documents of the contract */
json_t *moat_status_document(struct moat_io *io, const struct moat_dump *dump);
json_t *moat_isakmp_json(struct moat_io *io);
json_t *moat_tunnels_json(struct moat_io *io, const struct moat_dump *dump);
json_t *moat_trace_json(const struct moat_act *act);
/** moat_event_json() - an event of the log, with the state of its tunnel now */
json_t *moat_event_json(struct moat_io *io, const struct moat_act *act);

/** moat_text_json() - text that may be cut within a character, or have what peers sent:
 * of what is no UTF-8 all beyond ASCII becomes "?" */
json_t *moat_text_json(const char *text);

/** moat_time_json() - RFC 3339 in UTC; null for 0 */
json_t *moat_time_json(uint64_t seconds);

#endif
