/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The core's own state, for the files of daemon/ike only. Ownership is a tree:
 *
 *	core -> tunnels -> pairs -> children (pairs of IPsec SAs)
 *	core -> ISAKMP SAs -> quick modes
 *
 * An ISAKMP SA and a quick mode point at the tunnel and pair they serve; those
 * end them before they go themselves.
 */
#ifndef MOAT_IKE_CORE_H
#define MOAT_IKE_CORE_H

#include <sys/queue.h>

#include "ike/act.h"
#include "ike/keys.h"
#include "ike/proposal.h"

#define MOAT_NONCE_LEN	 32
#define MOAT_IPPROTO_UDP 17
#define MOAT_IPPROTO_ESP 50
#define MOAT_IPPROTO_AH	 51

#define MOAT_SECOND 1000ull

/* Seconds; see daemon/README for the reasons. */
#define MOAT_OLD_INBOUND    30 /* an old inbound SA stays after a switch */
#define MOAT_SWITCH_WAIT    5  /* a rekey's initiator sends on the old SA */
#define MOAT_SPARE_LIFE	    (2 * MOAT_SECOND) /* after the kernel should have deleted it */
#define MOAT_HALF_OPEN_LIFE 30
#define MOAT_HALF_OPEN_MAX  64	 /* per address of a peer, or network of strangers */
#define MOAT_STRANGERS_MAX  1024 /* half open, of all strangers */

/**
 * struct moat_timer - something that shall happen at a time
 * @due: milliseconds
 * @slot: place in the heap, from 1; 0 while it is not armed
 * @fire: called with @owner; the timer is no longer armed by then
 */
struct moat_timer {
	uint64_t due;
	unsigned int slot;
	void (*fire)(struct moat_ike *ike, void *owner);
	void *owner;
};

struct moat_timers {
	struct moat_timer **heap;
	unsigned int count;
	unsigned int size;
};

void moat_timer_set(struct moat_timers *timers, struct moat_timer *timer, uint64_t due);
void moat_timer_stop(struct moat_timers *timers, struct moat_timer *timer);

/** moat_timer_next() - the timer that is due first, NULL for none */
struct moat_timer *moat_timer_next(const struct moat_timers *timers);

/** struct moat_blob - octets of our own */
struct moat_blob {
	uint8_t *data;
	size_t len;
};

void moat_blob_set(struct moat_blob *blob, const void *data, size_t len);
/** moat_blob_clear() - wipe and free */
void moat_blob_clear(struct moat_blob *blob);
static inline struct moat_view moat_blob_view(const struct moat_blob *blob)
{
	return moat_view(blob->data, blob->len);
}

#define MOAT_LIMIT_PLACES 1024
#define MOAT_LIMIT_KINDS  16

/**
 * struct moat_limit - lines of the log that others cause: limit.c
 * @used_until: for each cause, and kind of event or tunnel: up to when its lines are
 *	used up; apart, or a stranger's events could silence a tunnel
 * @left_out: by kind, since the last word about it; "others" in the last one
 * @timer: for the next word about it
 */
struct moat_limit {
	uint64_t used_until[MOAT_BY_STRANGER + 1][MOAT_LIMIT_PLACES];
	struct moat_left_out {
		const char *name;
		unsigned int count;
	} left_out[MOAT_LIMIT_KINDS];
	struct moat_timer timer;
};

/** moat_limit_ok() - may another line of this event and tunnel be logged now? */
bool moat_limit_ok(struct moat_ike *ike, enum moat_cause cause, const char *name,
		   const char *tunnel);
void moat_limit_prepare(struct moat_ike *ike);

struct moat_wait;
struct moat_tunnel;
struct moat_pair;
struct moat_isakmp;
struct moat_quick;
TAILQ_HEAD(moat_tunnels, moat_tunnel);
TAILQ_HEAD(moat_isakmps, moat_isakmp);

/**
 * struct moat_ike - a core
 * @now: the events' clock, and what it once went back by
 * @clock: what the last event said; @ahead: how much @now is before it
 * @acts: where this step's actions go; NULL between steps
 * @dead_isakmps: removed, memory goes at the end of the step; @dead_quicks likewise
 * @refused: messages that were not taken, by reason
 * @keylog: an operator wants the keys of ISAKMP SAs
 * @opened: RSA decryptions that strangers caused since @opened_from
 * @limit: of lines in the log that others cause
 * @sequence: counts what happens, where the clock is too coarse for an order
 * @sweep: something of a peer from anywhere has ended
 * @adopting: between the first configuration and MOAT_EV_ADOPTED
 * @configs: how many configurations have come
 */
struct moat_ike {
	moat_random_fn random;
	void *random_ctx;
	uint64_t now;
	uint64_t clock;
	uint64_t ahead;
	uint64_t sequence;
	struct moat_acts *acts;
	struct moat_timers timers;
	LIST_HEAD(, moat_wait) waits;
	uint32_t last_token;
	uint32_t last_policy;
	uint32_t last_isakmp;
	struct moat_tunnels tunnels;
	struct moat_isakmps isakmps;
	struct moat_isakmps dead_isakmps;
	LIST_HEAD(, moat_quick) dead_quicks;
	uint64_t refused[MOAT_REFUSE_MAX];
	bool keylog;
	uint64_t opened_from;
	unsigned int opened;
	struct moat_limit limit;
	bool sweep;
	bool adopting;
	unsigned int configs;
};

typedef void (*moat_answer_fn)(struct moat_ike *ike, void *owner,
			       const struct moat_event *event);

/**
 * moat_core_ask() - give an action a token and say who takes the answer
 * @owner: told apart by address; moat_core_forget() ends all its questions
 */
void moat_core_ask(struct moat_ike *ike, struct moat_act *act, void *owner,
		   moat_answer_fn answer);
/** moat_core_forget() - @owner goes: no answers for it, and no work at the edges */
void moat_core_forget(struct moat_ike *ike, const void *owner);

/** moat_core_waits() - how many questions have no answer yet */
unsigned int moat_core_waits(const struct moat_ike *ike);

void moat_core_random(struct moat_ike *ike, void *buf, size_t len);
/** moat_core_jitter() - a random number from 0 to @max */
uint64_t moat_core_jitter(struct moat_ike *ike, uint64_t max);

/**
 * moat_rekey_after() - when to rekey, with jitter
 * @life: milliseconds
 * @initiator: did we begin it? Then we come first
 */
uint64_t moat_rekey_after(struct moat_ike *ike, uint64_t life, bool initiator);

void moat_timer_after(struct moat_ike *ike, struct moat_timer *timer, uint64_t ms);

/* ---- tunnels and pairs: tunnel.c, pair.c ---- */

struct moat_request {
	STAILQ_ENTRY(moat_request) link;
	uint32_t id;
};

TAILQ_HEAD(moat_children, moat_child);

/**
 * struct moat_pair - one local net towards one remote net
 * @asked: an SA is wanted: by traffic, by an operator, by start = "up"
 * @policy_local: endpoints of its policy in the kernel, @policy_remote likewise
 * @current: what the policy sends on
 * @quick: our own quick mode in flight
 * @answering: quick modes of the peer in flight
 * @inherited: its policy has an outbound SA of an earlier daemon
 * @refused: why the kernel does not have its policy; NULL when it does
 * @standing: its policy was asked for; @vacant: nothing is, see ike/wild.c
 * @passes: it is no pair, but lets IKE through what a template discards
 * @trapped: traffic has asked for it; @missed: in vain, and it is tried again soon
 */
struct moat_pair {
	struct moat_tunnel *tunnel;
	struct moat_selector selector;
	uint32_t policy;
	struct moat_addr policy_local;
	struct moat_addr policy_remote;
	bool acquire_off;
	bool asked;
	struct moat_children children;
	struct moat_child *current;
	struct moat_quick *quick;
	unsigned int answering;
	bool inherited;
	char *refused;
	bool standing;
	bool vacant;
	bool passes;
	bool trapped;
	bool missed;
};

/**
 * struct moat_terms - what the ISAKMP SAs of a peer go by, as all its tunnels need it
 *
 * Fields as in struct moat_tunnel_conf.
 */
struct moat_terms {
	enum moat_nat_t nat_t;
	bool fragmentation;
	uint32_t ike_lifetime;
	uint32_t dpd;
	uint32_t dpd_timeout;
};

/**
 * struct moat_tunnel - a configured tunnel
 * @remote: which of its remotes is tried
 * @template: what it was made of, for a peer from anywhere; @number among those
 * @n_passes: of a template, behind its pairs, see moat_wild_let_ike()
 * @down: the operator took it down
 * @requests: who waits for `up`
 * @attempts: failed ones in a row
 * @tried: of its remotes since it was asked for
 * @heard_at: when the last authentic message of the peer came
 * @silence: runs while there are IPsec SAs but nobody who asks whether the peer lives,
 *	@watched_since then; @alone: an ISAKMP SA is to be made for that
 * @spi_at: when an unknown SPI last made us do something
 * @made_at: when it was configured as it is
 * @renewed: a configuration came with other certificates or keys for it
 * @terms: of phase 1, shared with the other tunnels of its peer
 */
struct moat_tunnel {
	TAILQ_ENTRY(moat_tunnel) link;
	struct moat_ike *ike;
	struct moat_tunnel_conf conf;
	struct moat_pair *pairs;
	struct moat_tunnel *template;
	unsigned int number;
	unsigned int n_passes;
	unsigned int remote;
	bool down;
	uint64_t rekeys;
	STAILQ_HEAD(, moat_request) requests;
	struct moat_timer retry;
	unsigned int attempts;
	unsigned int tried;
	uint64_t heard_at;
	struct moat_timer silence;
	uint64_t watched_since;
	bool alone;
	uint64_t spi_at;
	uint64_t made_at;
	bool renewed;
	struct moat_terms terms;
};

void moat_tunnels_config(struct moat_ike *ike, const struct moat_event *event);
/** moat_tunnel_alloc() - a tunnel without policies, not in the list yet */
struct moat_tunnel *moat_tunnel_alloc(struct moat_ike *ike,
				      const struct moat_tunnel_conf *conf,
				      unsigned int pairs);
/** moat_tunnel_remove() - end its SAs, delete its policies, free it */
void moat_tunnel_remove(struct moat_tunnel *tunnel, const char *why);
/** moat_tunnel_start() - bring it up if it shall be up by itself */
void moat_tunnel_start(struct moat_tunnel *tunnel);
void moat_tunnels_free(struct moat_ike *ike);
void moat_tunnel_up(struct moat_ike *ike, const struct moat_event *event);
void moat_tunnel_down(struct moat_ike *ike, const struct moat_event *event);
/** moat_tunnel_clear() - end its SAs; traffic, or start = "up", builds new ones */
void moat_tunnel_clear(struct moat_ike *ike, const struct moat_event *event);
/** moat_tunnel_rekey() - replace the SAs of both phases now, without a gap */
void moat_tunnel_rekey(struct moat_ike *ike, const struct moat_event *event);
struct moat_tunnel *moat_tunnel_find(struct moat_ike *ike, const char *name);

/** moat_tunnel_same_peer() - is the peer of one that of the other? */
bool moat_tunnel_same_peer(const struct moat_tunnel *a, const struct moat_tunnel *b);
/** moat_peer_next_child() - of all tunnels with the peer of @tunnel; NULL: the first */
struct moat_child *moat_peer_next_child(const struct moat_tunnel *tunnel,
					const struct moat_child *child);
#define MOAT_PEER_FOREACH_CHILD(child, tunnel)                      \
	for ((child) = moat_peer_next_child(tunnel, NULL); (child); \
	     (child) = moat_peer_next_child(tunnel, child))
/** moat_peer_has_children() - has a tunnel of this peer live IPsec SAs? */
bool moat_peer_has_children(const struct moat_tunnel *tunnel);
/** moat_tunnel_has_children() - has this one? */
bool moat_tunnel_has_children(const struct moat_tunnel *tunnel);
/** moat_peer_agree() - a configuration came: find the terms of all peers */
void moat_peer_agree(struct moat_ike *ike);
/** moat_peer_alone() - a new tunnel has its own terms until moat_peer_agree() */
void moat_peer_alone(struct moat_tunnel *tunnel);
/** moat_tunnel_persists() - shall it be up whether there is traffic or not? */
bool moat_tunnel_persists(const struct moat_tunnel *tunnel);
/** moat_peer_failed() - phase 1 failed for all tunnels that share it */
void moat_peer_failed(struct moat_tunnel *tunnel, const char *why);
/** moat_tunnel_failed() - an attempt ended: tell who waits, try again later */
void moat_tunnel_failed(struct moat_tunnel *tunnel, const char *why);
/** moat_tunnel_check() - a pair came up: tell who waits */
void moat_tunnel_check(struct moat_tunnel *tunnel);
/** moat_peer_doubt_children() - the peer says that it lost what is older than @before */
void moat_peer_doubt_children(struct moat_tunnel *tunnel, uint64_t before);
/** moat_peer_forget_children() - end what is older than @before: the peer lost it */
void moat_peer_forget_children(struct moat_tunnel *tunnel, uint64_t before,
			       const char *why);
/** moat_peer_next_address() - try another of the peer's addresses from now on */
void moat_peer_next_address(struct moat_tunnel *tunnel);
/** moat_peer_use_address() - it answers at @addr: begin there from now on */
void moat_peer_use_address(struct moat_tunnel *tunnel, const struct moat_addr *addr);
const char *moat_tunnel_state(const struct moat_tunnel *tunnel);

struct moat_pair *moat_pair_find(struct moat_ike *ike, uint32_t policy);
void moat_pair_policy(struct moat_pair *pair, enum moat_action_type type);
/**
 * moat_pair_ends() - endpoints that the policy shall have from now on
 *
 * Does nothing when it has them. The kernel drops its outbound SA otherwise.
 */
void moat_pair_ends(struct moat_pair *pair, const struct moat_addr *local,
		    const struct moat_addr *remote);
void moat_pair_acquire(struct moat_ike *ike, const struct moat_event *event);
/** moat_pair_connect() - get this pair a (new) pair of SAs, by whatever it takes */
void moat_pair_connect(struct moat_pair *pair);
/** moat_pair_rekey() - the operator wants other SAs in the place of those that stand */
void moat_pair_rekey(struct moat_pair *pair);
/** moat_pair_nonce() - a nonce for a quick mode that we or the peer begin now */
void moat_pair_nonce(const struct moat_pair *pair, bool initiator,
		     uint8_t nonce[MOAT_NONCE_LEN]);
/** moat_isakmp_rekey() - start a phase 1 in the place of those that stand, if any */
bool moat_isakmp_rekey(struct moat_tunnel *tunnel);
/** moat_isakmp_unsent() - what it sent got nowhere: for the operator, and no more */
void moat_isakmp_unsent(struct moat_ike *ike, const struct moat_event *event);
/** moat_peer_connect() - a phase 1 stands: start what waited for it */
void moat_peer_connect(struct moat_tunnel *tunnel);
/** moat_pair_install() - ask for its policy, unless it stands already */
void moat_pair_install(struct moat_pair *pair);

/** moat_pair_bare() - the kernel refused its policy, or somebody deleted it */
void moat_pair_bare(struct moat_ike *ike, const struct moat_event *event);

/** moat_pair_lost() - the pair has no outbound SA any more */
void moat_pair_lost(struct moat_pair *pair);
/** moat_pair_failed() - a quick mode of ours ended without SAs */
void moat_pair_failed(struct moat_pair *pair, const char *why);
const char *moat_pair_state(const struct moat_pair *pair);

/* ---- configuration: conf.c ---- */

void moat_conf_copy(struct moat_tunnel_conf *to, const struct moat_tunnel_conf *from);
void moat_conf_clear(struct moat_tunnel_conf *conf);
/** moat_conf_same() - nothing differs that an SA or a policy depends on */
bool moat_conf_same(const struct moat_tunnel_conf *a, const struct moat_tunnel_conf *b);
/** moat_conf_renewed() - only its certificates and keys differ */
bool moat_conf_renewed(const struct moat_tunnel_conf *a,
		       const struct moat_tunnel_conf *b);
/** moat_conf_moved() - only the addresses of its ends differ, or what follows them */
bool moat_conf_moved(const struct moat_tunnel_conf *a, const struct moat_tunnel_conf *b);

/* ---- ends that move: move.c ---- */

/** moat_tunnels_move() - a new configuration: go where it has other ends */
void moat_tunnels_move(struct moat_ike *ike, const struct moat_event *event);

/* ---- pairs of IPsec SAs: child.c ---- */

/**
 * struct moat_child_sa - one protocol of a child, both directions
 * @protocol: MOAT_PROTO_ESP or MOAT_PROTO_AH
 * @spi_in: ours, host byte order; @spi_out: the peer's
 */
struct moat_child_sa {
	uint8_t protocol;
	uint32_t spi_in;
	uint32_t spi_out;
	struct moat_sa_alg alg;
};

#define MOAT_BUNDLE_MAX 2
/* An ISAKMP SA, the one that it replaces, and two of daemons that crashed in a row. */
#define MOAT_UNDER_MAX 4

/**
 * struct moat_child - a pair of IPsec SAs, or of bundles of AH over ESP
 * @sas: one, or AH and ESP: the outermost first
 * @in_added: the kernel was asked to add the inbound SA
 * @complete: the handshake has ended: message 2 or 3 verified, or first use
 * @switched: the kernel has the outbound SA; it is given it once, as its sequence
 *	numbers would start over under the same key
 * @old: another child has taken its place, @old_since then
 * @redundant: the loser of two simultaneous quick modes
 * @moat: made with a Moat
 * @used: a packet of the peer has come on it; @used_at: sequence of the first one
 * @doubted: the peer says that it has lost it
 * @left: a stranger deleted the ISAKMP SA that it was made under, and had no other
 * @unheard: it was waited for such a packet in vain, and it is not sent on;
 *	@n_unheard of those that were to replace this one
 * @crossed: nor is it because of moat_quick_crossed()
 * @n_repeated: how often the peer asked for message 3 once more
 * @held_until: that it ends is told no later, whatever the peer has begun
 * @udp: in UDP, because of a NAT; @port is our own, @peer where the peer is now
 * @deletes: how often the peer was told that it ends, with these @delete_ids under the
 *	ISAKMP SA of this id, @deleted_by
 * @ending: moat_child_end() is at work
 * @adopted: an earlier daemon made it
 * @under: of an adopted one: cookies of the ISAKMP SAs that the peer may have had
 *	with an earlier daemon, @n_under of them
 * @begun: sequence at which its quick mode began; @completed likewise
 * @begun_at: the same by the clock
 * @switched_at: when the policy was switched to it; @switch_by: when it will be, even
 *	if the peer has not used it
 * @nonce: the lower of its two nonces
 * @quick: the quick mode that makes it, while there is one
 * @isakmp: id of the ISAKMP SA under which that was; 0 for an earlier daemon's
 * @in: parameters of the inbound SAs until the kernel has them; @out likewise
 */
struct moat_child {
	TAILQ_ENTRY(moat_child) link;
	struct moat_pair *pair;
	struct moat_quick *quick;
	uint32_t isakmp;
	struct moat_child_sa sas[MOAT_BUNDLE_MAX];
	unsigned int n_sas;
	struct moat_addr local;
	struct moat_addr remote;
	bool udp;
	uint16_t port;
	struct moat_endpoint peer;
	struct moat_selector selector;
	uint32_t life;
	bool initiator;
	bool in_added;
	bool complete;
	bool switched;
	bool old;
	bool redundant;
	bool moat;
	bool used;
	uint64_t used_at;
	bool doubted;
	bool left;
	bool unheard;
	bool crossed;
	unsigned int n_unheard;
	unsigned int n_repeated;
	unsigned int deletes;
	uint32_t delete_ids[MOAT_BUNDLE_MAX];
	uint32_t deleted_by;
	bool ending;
	bool adopted;
	uint64_t begun;
	uint64_t begun_at;
	uint64_t completed;
	uint64_t established;
	uint64_t switched_at;
	uint64_t switch_by;
	uint64_t old_since;
	uint64_t held_until;
	uint64_t expires;
	struct moat_cookies under[MOAT_UNDER_MAX];
	unsigned int n_under;
	struct moat_blob nonce;
	struct moat_sa_params *in;
	struct moat_sa_params *out;
	struct moat_timer rekey_timer;
	struct moat_timer switch_timer;
	struct moat_timer end_timer;
};

/**
 * struct moat_child_input - what quick mode has agreed on
 * @sas: protocols, algorithms and SPIs, the outermost first
 * @gqmxy: shared secret, empty without PFS
 */
struct moat_child_input {
	struct moat_pair *pair;
	struct moat_isakmp *sa;
	const struct moat_selector *selector;
	const struct moat_child_sa *sas;
	unsigned int n_sas;
	uint32_t life_seconds;
	uint64_t life_kilobytes;
	bool initiator;
	uint64_t begun;
	uint64_t begun_at;
	struct moat_view gqmxy;
	struct moat_view ni;
	struct moat_view nr;
};

/** moat_child_alloc() - a child with nothing but its pair and its timers */
struct moat_child *moat_child_alloc(struct moat_pair *pair);
/** moat_child_resume() - an adopted child is complete: from here on it lives */
void moat_child_resume(struct moat_child *child, bool current);
/** moat_child_name_sa() - the action is about this SA, or the bundle that it leads */
void moat_child_name_sa(struct moat_act *act, const struct moat_child *child,
			uint8_t direction);
/**
 * moat_child_params() - an array, one for each protocol, without keys
 * @kilobytes: of its life, 0 for no limit
 */
struct moat_sa_params *moat_child_params(const struct moat_child *child,
					 uint8_t direction, uint64_t kilobytes);
/** moat_child_keys() - derive those of one SA; 0 or -1 */
int moat_child_keys(struct moat_sa_params *params, const struct moat_child_sa *sa,
		    const struct moat_child_input *in);
/** moat_child_new() - derive the keys; nothing is installed. NULL when that failed */
struct moat_child *moat_child_new(const struct moat_child_input *in);
#define MOAT_CHILD_STRLEN 96
/** moat_child_print() - "AH sha256 over ESP aes128-sha256" */
void moat_child_print(const struct moat_child *child, char text[MOAT_CHILD_STRLEN]);
/** moat_child_add() - give the inbound SA to the kernel; @answer says how it went */
void moat_child_add(struct moat_child *child, void *owner, moat_answer_fn answer);
/**
 * moat_child_complete() - the handshake has ended on this side
 * @owner: who waits for the kernel's answer to a switch; NULL for nobody
 *
 * Return: true when the policy was switched and @answer will be called.
 */
bool moat_child_complete(struct moat_child *child, void *owner, moat_answer_fn answer);
/** moat_child_switch() - send on it from now on; @owner and @answer as above */
void moat_child_switch(struct moat_child *child, void *owner, moat_answer_fn answer);
/** moat_nonce_lower() - octet by octet; of two that agree so far the shorter (RFC 7296) */
bool moat_nonce_lower(struct moat_view a, struct moat_view b);
/** moat_child_collide() - it is complete: is it redundant, or one that ran at once? */
void moat_child_collide(struct moat_child *child);
/** moat_child_waits() - is it not to be sent on yet, or not at all? */
bool moat_child_waits(struct moat_child *child);
/** moat_child_switch_due() - a timer: it should */
void moat_child_switch_due(struct moat_ike *ike, void *owner);
/** moat_child_has_next() - does one wait that was not sent on yet? */
bool moat_child_has_next(struct moat_pair *pair);
/** moat_child_rekey_due() - a timer: ask for others, if it still needs some */
void moat_child_rekey_due(struct moat_ike *ike, void *owner);
/** moat_child_fallback() - send on the next best, or the last; false for none */
bool moat_child_fallback(struct moat_pair *pair);
/** moat_child_repeated() - message 2 came again: keep to the old SA a while longer */
void moat_child_repeated(struct moat_child *child);
void moat_child_first_use(struct moat_ike *ike, const struct moat_event *event);
void moat_child_expire(struct moat_ike *ike, const struct moat_event *event);
/**
 * moat_child_end() - take a child out of the kernel and free it
 * @notify: tell the peer with a delete notification
 */
void moat_child_end(struct moat_child *child, bool notify, const char *why);
/** moat_child_find() - by its policy and one of its SPIs, host byte order; or NULL */
struct moat_child *moat_child_find(struct moat_ike *ike, uint32_t policy,
				   uint8_t direction, uint8_t protocol, uint32_t spi);
/** moat_child_move() - the peer's NAT gave it another address or port */
void moat_child_move(struct moat_child *child, const struct moat_endpoint *to);
/** moat_dpd_prepare() - a tunnel is new */
void moat_dpd_prepare(struct moat_tunnel *tunnel);
/** moat_dpd_alone() - it has IPsec SAs, and the peer deleted its ISAKMP SA: where we may
 * begin one, do so when the peer would be asked, and see whether it is heard */
void moat_dpd_alone(struct moat_tunnel *tunnel);
/** moat_dpd_watch() - it has IPsec SAs and no ISAKMP SA: is the peer heard within
 * dpd-timeout from @since? */
void moat_dpd_watch(struct moat_tunnel *tunnel, uint64_t since);
/** moat_dpd_pass() - its SAs end: another tunnel of the peer goes on waiting for it */
void moat_dpd_pass(struct moat_tunnel *tunnel);
/** moat_child_pass() - if it waits to be sent on: the peer will not have it, ask anew */
void moat_child_pass(struct moat_child *child);
/**
 * moat_child_doubt() - the peer says that it knows nothing of it
 *
 * It is used until others have taken its place, for 30 s at most: strongSwan says so of
 * SAs that it goes on using, when a quick mode comes while it begins a new phase 1.
 */
void moat_child_doubt(struct moat_child *child);
/** moat_child_end_after() - it ends so many seconds from now, if not before */
void moat_child_end_after(struct moat_child *child, uint64_t seconds);
/** moat_child_leave() - it is not sent on any more, and ends when the peer had time */
void moat_child_leave(struct moat_child *child);
/** moat_child_refused() - the peer has no inbound SA @spi, on which we send */
void moat_child_refused(struct moat_isakmp *sa, uint8_t protocol, uint32_t spi);
/** moat_child_deleted() - the peer has deleted its inbound SA @spi */
void moat_child_deleted(struct moat_isakmp *sa, uint8_t protocol, uint32_t spi);

/* ---- SAs of an earlier daemon: adopt.c ---- */

/** moat_owner_write() - what a later daemon needs to take this SA over */
void moat_owner_write(struct moat_sa_params *params, const struct moat_child *child);
void moat_adopt(struct moat_ike *ike, const struct moat_event *event);
void moat_adopt_end(struct moat_ike *ike);
/** moat_adopt_note() - an ISAKMP SA stands: later daemons shall know it by our SAs */
void moat_adopt_note(const struct moat_isakmp *sa);
/**
 * moat_adopt_replaced() - tell the peer that the ISAKMP SAs of an adopted child are gone
 *
 * Of each of them nothing before all adopted children that name it have been replaced.
 */
void moat_adopt_replaced(const struct moat_child *child);

#endif
