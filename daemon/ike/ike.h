/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pure core: events in, actions out.
 *
 * moat_ike_step() takes one event and appends actions to a list. The core has
 * no clock (each event carries the time), no randomness (a function is
 * injected), no sockets. Whatever takes long (DH, keys process, kernel) is an
 * action with a token; its answer comes back as an event with that token.
 * So two cores can talk in one process under virtual time.
 */
#ifndef MOAT_IKE_IKE_H
#define MOAT_IKE_IKE_H

#include <stddef.h>

#include "ike/tunnel.h"

struct moat_ike;
struct moat_mismatch;

/** moat_random_fn - fill @buf with @len unpredictable bytes (cookies, nonces, message
 * ids) */
typedef void (*moat_random_fn)(void *ctx, void *buf, size_t len);

/* Longest DH value and shared secret: modp8192. */
#define MOAT_DH_MAX 1024

/* Longest key of a cipher of phase 1. */
#define MOAT_KEYLOG_MAX 32

/* Place of an SA in AH over ESP. */
enum moat_bundle { MOAT_BUNDLE_NONE, MOAT_BUNDLE_OUTER, MOAT_BUNDLE_INNER };

/**
 * struct moat_sa_params - one SA to install
 * @direction: enum moat_direction
 * @protocol: 50 or 51
 * @spi: host byte order
 * @src: outer source
 * @dst: outer destination
 * @mode: enum moat_mode
 * @enc: enum moat_enc
 * @auth: enum moat_auth
 * @icv_len: bytes
 * @esn: 64-bit sequence numbers
 * @replay: window, inbound
 * @policy: id of its policy
 * @enc_key: encryption key, salt at its end; @auth_key: integrity key
 * @selector: what it may carry
 * @encap: UDP ports (source, destination) as on the wire, 0 for none
 * @peer: reported only: where a NAT has moved the peer; len 0 when it did not
 * @soft_seconds: 0 for none, as with the other limits
 * @owner: opaque blob echoed in dumps
 * @bundle: its place in a bundle; the inner SA is the next one in the array
 */
struct moat_sa_params {
	uint8_t direction;
	uint8_t protocol;
	uint32_t spi;
	struct moat_addr src;
	struct moat_addr dst;
	uint8_t mode;
	uint16_t enc;
	uint16_t auth;
	uint8_t icv_len;
	bool esn;
	uint32_t replay;
	uint32_t policy;
	uint16_t enc_key_len;
	uint16_t auth_key_len;
	uint8_t enc_key[MOAT_KEY_MAX];
	uint8_t auth_key[MOAT_KEY_MAX];
	struct moat_selector selector;
	uint16_t encap[2];
	struct moat_addr peer;
	uint64_t soft_seconds;
	uint64_t hard_seconds;
	uint64_t soft_bytes;
	uint64_t hard_bytes;
	uint16_t owner_len;
	uint8_t owner[MOAT_OWNER_MAX];
	enum moat_bundle bundle;
};

/** moat_sa_params_count() - how many an array holds */
static inline unsigned int moat_sa_params_count(const struct moat_sa_params *sa)
{
	return sa->bundle == MOAT_BUNDLE_OUTER ? 2 : 1;
}

/**
 * struct moat_policy_params - one policy to install
 * @id: chosen by the core
 * @acquire_off: protect, but drop without an acquire (start = "none", after down)
 * @route: route the remote net to the tunnel
 * @shape: how its packets are treated
 * @device: whose packets alone meet it; empty is none
 */
struct moat_policy_params {
	uint32_t id;
	struct moat_selector selector;
	uint8_t action;
	uint32_t priority;
	uint32_t mark; /* of packets, 0 is any */
	struct moat_addr local;
	struct moat_addr remote;
	uint8_t mode;
	bool acquire_off;
	bool route;
	struct moat_shape shape;
	char device[MOAT_DEVICE_SIZE];
};

/**
 * struct moat_verify - whether a certificate and a signature are good
 * @creds: whom we trust, what we demand
 * @wanted: the identity that the tunnel demands
 * @id: what the peer calls itself: type, and @id_len octets of @id_data
 * @hash: what is signed, @hash_len octets
 * @certs: bodies of its CERT payloads, each behind its length in four octets
 */
struct moat_verify {
	struct moat_creds *creds;
	struct moat_identity wanted;
	uint8_t id;
	size_t id_len;
	uint8_t id_data[MOAT_ID_MAX];
	uint8_t hash[64];
	size_t hash_len;
	uint8_t *signature;
	size_t signature_len;
	uint8_t *certs;
	size_t certs_len;
};

/** moat_verify_dup() - a copy that shares the credentials; one thread counts them */
struct moat_verify *moat_verify_dup(const struct moat_verify *verify);

/** moat_verify_free() - free it all, drop the reference to its credentials */
void moat_verify_free(struct moat_verify *verify);

enum moat_event_type {
	MOAT_EV_TIMER,
	MOAT_EV_CONFIG,
	MOAT_EV_ADOPT,
	MOAT_EV_ADOPTED,
	MOAT_EV_DATAGRAM,
	MOAT_EV_ACQUIRE,
	MOAT_EV_EXPIRE,
	MOAT_EV_FIRST_USE,
	MOAT_EV_MAPPING,
	MOAT_EV_UNKNOWN_SPI,
	MOAT_EV_POLICY_LOST,
	MOAT_EV_UNSENT,
	MOAT_EV_UP,
	MOAT_EV_DOWN,
	MOAT_EV_CLEAR,
	MOAT_EV_REKEY,
	MOAT_EV_KEYLOG,
	MOAT_EV_ANSWER,
};

/**
 * struct moat_event - one thing that happened
 * @now: milliseconds of a monotonic clock; never goes back
 * @config: the whole new set of tunnels; the core copies what it keeps,
 *          compares with what it has, and touches only what changed; with @wait
 *          nothing is begun before MOAT_EV_ADOPTED
 * @adopt: an SA of an earlier daemon that the kernel still has, under a policy of
 *         ours; @current: packets leave on it, and MOAT_ACT_POLICY_ADD of this
 *         policy was not done: MOAT_ACT_POLICY_SET will come. @sa has no keys
 * @datagram: an ISAKMP message, non-ESP marker taken off; @marker says there was one
 * @acquire: the kernel wants an SA for a policy
 * @expire: a limit of an SA; @hard: the kernel has deleted it
 * @first_use: the first packet authenticated on an inbound SA
 * @mapping: an authentic packet on an inbound SA came from @peer, which is new
 * @unknown_spi: a packet between @remote and @local had an SPI that nobody knows;
 *               whoever can forge an address can cause it
 * @policy_lost: the kernel refused a policy, or somebody deleted it; @stands: it is
 *               there again, but without SAs. @text says why
 * @unsent: what was to be sent between these ends could not be; @absent: as the
 *          local address is not one of this machine's
 * @control: up, down, clear and rekey; @request comes back in MOAT_ACT_CONTROL_DONE
 * @keylog: from now on, name the keys of ISAKMP SAs or do not
 * @answer: to the action with the same @token; @ok false: @text says why.
 *          @data: SKEYID, DH public value, DH shared secret or signature; @secret: the DH
 *          private value; @spi: what spi-alloc reserved; @unused: of SA_UNUSED
 */
struct moat_event {
	enum moat_event_type type;
	uint64_t now;
	union {
		struct {
			struct moat_tunnel_conf *const *tunnels;
			unsigned int n_tunnels;
			bool wait;
		} config;
		struct {
			const struct moat_sa_params *sa;
			uint16_t key_bits;
			bool current;
		} adopt;
		struct {
			struct moat_endpoint local;
			struct moat_endpoint remote;
			bool marker;
			const uint8_t *data;
			size_t len;
		} datagram;
		struct {
			uint32_t policy;
			struct moat_addr src;
			struct moat_addr dst;
			uint8_t protocol;
		} acquire;
		struct {
			uint8_t direction;
			uint8_t protocol;
			uint32_t spi;
			struct moat_addr dst;
			uint32_t policy;
			bool hard;
		} expire;
		struct {
			uint8_t protocol;
			uint32_t spi;
			struct moat_addr dst;
			uint32_t policy;
		} first_use;
		struct {
			uint8_t protocol;
			uint32_t spi;
			uint32_t policy;
			struct moat_endpoint peer;
		} mapping;
		struct {
			uint8_t protocol;
			uint32_t spi;
			struct moat_addr local;
			struct moat_addr remote;
		} unknown_spi;
		struct {
			uint32_t policy;
			bool stands;
			const char *text;
		} policy_lost;
		struct {
			struct moat_endpoint local;
			struct moat_endpoint remote;
			bool absent;
			const char *text;
		} unsent;
		struct {
			const char *tunnel;
			uint32_t request;
		} control;
		struct {
			bool on;
		} keylog;
		struct {
			uint32_t token;
			bool ok;
			const char *text;
			const uint8_t *data;
			size_t len;
			const uint8_t *secret;
			size_t secret_len;
			uint32_t spi;
			bool unused;
		} answer;
	};
};

enum moat_action_type {
	MOAT_ACT_SEND,
	MOAT_ACT_SKEYID,
	MOAT_ACT_DH_GENERATE,
	MOAT_ACT_DH_SHARED,
	MOAT_ACT_SPI_ALLOC,
	MOAT_ACT_SA_ADD,
	MOAT_ACT_POLICY_SWITCH,
	MOAT_ACT_SA_DEL,
	MOAT_ACT_SA_MOVE,
	MOAT_ACT_POLICY_ADD,
	MOAT_ACT_POLICY_SET,
	MOAT_ACT_POLICY_DEL,
	MOAT_ACT_CONTROL_DONE,
	MOAT_ACT_LOG,
	MOAT_ACT_FAILURE,
	MOAT_ACT_TRACE,
	MOAT_ACT_KEYLOG,
	MOAT_ACT_SIGN,
	MOAT_ACT_VERIFY,
	MOAT_ACT_DECRYPT,
	MOAT_ACT_SA_UNUSED,
	MOAT_ACT_SA_SET,
	MOAT_ACT_FORGET,
};

enum moat_level { MOAT_LOG_ERR, MOAT_LOG_WARN, MOAT_LOG_INFO, MOAT_LOG_DEBUG };

/**
 * struct moat_act - one thing the edges shall do, in order
 * @token: non-zero where an answer is expected; of FORGET, which asks nothing, that of
 *	an earlier action whose answer nobody waits for any more: DH, VERIFY and what
 *	the keys process is asked need not be done then
 * @unproven: of DH and VERIFY: for somebody who may be anybody, so all else goes first
 * @send: a message; @marker: put the non-ESP marker before it (port 4500);
 *        @keepalive: none, but the octet that keeps a NAT mapping alive
 * @skeyid: keys process: prf(psk of this peer, Ni | Nr); PSK looked up by remote
 *          identity (when known), else remote address, else "any"
 * @dh_generate: make a private value and its public one
 * @dh_shared: compute the shared secret
 * @spi_alloc: reserve an inbound SPI
 * @sa: SA_ADD (inbound), POLICY_SWITCH (outbound; its policy is @sa.policy), one or
 *      a bundle; SA_DEL (only direction, protocol, dst, spi count; the kernel
 *      deletes the whole bundle); SA_UNUSED likewise, whether an outbound one has
 *      not carried a packet yet; SA_SET likewise: it gets another owner
 * @move: send what an outbound SA in UDP seals to @peer; its policy follows
 * @policy: POLICY_ADD, POLICY_SET, POLICY_DEL (only id counts)
 * @done: result of up and down
 * @log: one event, one line: @name is a stable event name ("ike-established");
 *       @peer is whose doing it was, if known; @why holds the attributes, and
 *       @place the setting ("moat.conf:12"), of an explained refusal
 *       FAILURE: a refusal that is kept, though so many came that its line is left out
 * @keylog: encryption key of the ISAKMP SA that begins with this cookie; only
 *          while an operator has asked for it
 * @trace: one message of the ladder: who, which message of which exchange,
 *         its payloads as text, the states of this side before and after;
 *         @number 0 is no message but a change of state by itself
 * @sign: keys process: RSA signature of @hash, @len octets, with key @key_id
 * @decrypt: keys process: open what is encrypted with our RSA key, by PKCS #1 v1.5:
 *           a nonce, and an ID unless @id_len is 0. The answer has both, each
 *           behind its length in two octets; bad padding does not show in it
 * @verify: is the peer's certificate and signature good? The answer is yes, or
 *          no with a text
 */
struct moat_act {
	struct moat_act *next;
	enum moat_action_type type;
	uint32_t token;
	bool unproven;
	union {
		struct {
			struct moat_endpoint local;
			struct moat_endpoint remote;
			bool marker;
			bool keepalive;
			uint8_t *data;
			size_t len;
		} send;
		struct {
			uint16_t hash;
			struct moat_addr remote;
			struct moat_identity remote_id;
			uint8_t *nonces;
			size_t len;
		} skeyid;
		struct {
			uint16_t group;
		} dh_generate;
		struct {
			uint16_t group;
			uint8_t *secret;
			size_t secret_len;
			uint8_t *peer;
			size_t peer_len;
		} dh_shared;
		struct {
			uint8_t protocol;
			struct moat_addr dst;
		} spi_alloc;
		struct moat_sa_params *sa;
		struct {
			uint32_t policy;
			uint8_t protocol;
			uint32_t spi;
			struct moat_addr dst;
			struct moat_endpoint peer;
		} move;
		struct moat_policy_params policy;
		struct {
			uint32_t request;
			bool ok;
			char *text;
		} done;
		struct {
			enum moat_level level;
			const char *name;
			char *tunnel;
			char *text;
			struct moat_addr peer;
			struct moat_mismatch *why;
			char *place;
		} log;
		struct {
			char *tunnel;
			bool sent;
			struct moat_endpoint local;
			struct moat_endpoint remote;
			const char *exchange;
			unsigned int number;
			char *payloads;
			const char *before;
			const char *after;
			bool initiator;
			bool repeated;
		} trace;
		struct {
			uint8_t cookie[8];
			uint8_t key[MOAT_KEYLOG_MAX];
			size_t len;
		} keylog;
		struct {
			uint8_t key_id[MOAT_KEY_ID_LEN];
			uint8_t hash[64];
			size_t len;
		} sign;
		struct moat_verify *verify;
		struct {
			uint8_t key_id[MOAT_KEY_ID_LEN];
			uint8_t *nonce;
			size_t nonce_len;
			uint8_t *id;
			size_t id_len;
		} decrypt;
	};
};

/** enum moat_cause - whose doing a line of the log is; limit.c */
enum moat_cause {
	MOAT_BY_US,
	MOAT_BY_PEER,
	MOAT_BY_STRANGER,
};

/**
 * struct moat_acts - actions in the order in which they shall be done
 * @last: where the next one is linked
 * @limits: the core whose limits hold for lines of the log; the core's own business,
 *	as is @cause
 */
struct moat_acts {
	struct moat_act *first;
	struct moat_act **last;
	struct moat_ike *limits;
	enum moat_cause cause;
};

/**
 * moat_ike_new() - make a core
 * @random: see moat_random_fn
 * @ctx: its first argument
 *
 * Return: the core, or NULL without memory.
 */
struct moat_ike *moat_ike_new(moat_random_fn random, void *ctx);

/** moat_ike_free() - wipe and free a core, without sending anything */
void moat_ike_free(struct moat_ike *ike);

/**
 * moat_ike_step() - the one entry: take an event, say what to do
 * @ike: the core
 * @event: valid during the call only
 * @acts: an initialised list; actions are appended
 *
 * Context: one thread; never blocks.
 */
void moat_ike_step(struct moat_ike *ike, const struct moat_event *event,
		   struct moat_acts *acts);

/**
 * moat_ike_wake() - when the next MOAT_EV_TIMER is due
 *
 * Return: milliseconds on the events' clock, UINT64_MAX for never.
 */
uint64_t moat_ike_wake(const struct moat_ike *ike);

void moat_acts_init(struct moat_acts *acts);
/** moat_acts_free() - wipe and free all actions of a list */
void moat_acts_free(struct moat_acts *acts);

/* What status and show print: snapshots made for the caller. */

/**
 * struct moat_isakmp_view - one ISAKMP SA
 * @state: the seed's names: "MM_NO_STATE" ... "QM_IDLE"
 * @established: ms on the events' clock, 0 for not yet; @expires likewise
 * @sent: phase 1 messages sent, without retransmissions; @received likewise
 * @outdated: it was made with other credentials than those in use
 */
struct moat_isakmp_view {
	uint32_t id;
	const char *tunnel;
	struct moat_endpoint local;
	struct moat_endpoint remote;
	const char *state;
	bool initiator;
	bool outdated;
	const char *exchange;
	uint8_t cookies[2][8];
	char proposal[96];
	uint64_t established;
	uint64_t expires;
	unsigned int sent;
	unsigned int received;
};

/**
 * struct moat_pair_view - one pair
 * @refused: why its policy is not in the kernel; NULL when it is
 * @spi_in: 0 when there is no SA, as is @spi_out
 * @vacant: there is none here, of a peer from anywhere
 */
struct moat_pair_view {
	bool vacant;
	struct moat_selector selector;
	uint32_t policy;
	const char *state;
	const char *refused;
	uint8_t protocol;
	uint8_t mode;
	uint32_t spi_in;
	uint32_t spi_out;
	char proposal[96];
	uint64_t established;
	uint64_t expires;
};

/**
 * struct moat_tunnel_view - one tunnel
 * @any: peers from anywhere: a template
 * @template: what it was made of, or NULL
 * @remote_id: the identity we demand; type 0 is the address, or of a template any
 */
struct moat_tunnel_view {
	const char *name;
	const char *state;
	struct moat_addr local;
	struct moat_addr remote;
	const char *device;
	uint8_t action;
	bool any;
	const char *template;
	const struct moat_identity *remote_id;
	uint64_t rekeys;
	unsigned int n_pairs;
};

/** moat_owner_name() - the tunnel of an SA of ours; false when it does not say */
bool moat_owner_name(const struct moat_sa_params *params,
		     char name[MOAT_TUNNEL_NAME_MAX + 1]);

/**
 * moat_ike_isakmp() - the @index-th ISAKMP SA
 *
 * Return: false when there is none.
 */
bool moat_ike_isakmp(const struct moat_ike *ike, unsigned int index,
		     struct moat_isakmp_view *view);
/** moat_ike_comparing() - has the keys process yet to say which ones are outdated? */
bool moat_ike_comparing(const struct moat_ike *ike);
/** moat_ike_serves() - does the @isakmp-th ISAKMP SA serve the @tunnel-th tunnel? */
bool moat_ike_serves(const struct moat_ike *ike, unsigned int isakmp,
		     unsigned int tunnel);
bool moat_ike_tunnel(const struct moat_ike *ike, unsigned int index,
		     struct moat_tunnel_view *view);
bool moat_ike_pair(const struct moat_ike *ike, unsigned int tunnel, unsigned int index,
		   struct moat_pair_view *view);

/**
 * struct moat_burden - how much a core keeps: all of it is bounded
 * @half_open: ISAKMP SAs that are not established and that a peer began
 * @fragments: octets of messages that are not complete
 * @waits: questions without an answer yet
 */
struct moat_burden {
	unsigned int isakmps;
	unsigned int half_open;
	unsigned int quicks;
	unsigned int children;
	unsigned int waits;
	unsigned int timers;
	size_t fragments;
};

void moat_ike_burden(const struct moat_ike *ike, struct moat_burden *burden);

/**
 * moat_ike_refused() - how many messages were refused for one reason
 * @why: from 1 (enum moat_refuse)
 * @name: the counter's name
 *
 * Return: the count, UINT64_MAX when there is no such reason.
 */
uint64_t moat_ike_refused(const struct moat_ike *ike, unsigned int why,
			  const char **name);

#endif
