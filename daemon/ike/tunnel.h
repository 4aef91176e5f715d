/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A configured tunnel, as the configuration parser hands it to the core. */
#ifndef MOAT_IKE_TUNNEL_H
#define MOAT_IKE_TUNNEL_H

#include "ike/addr.h"
#include "ike/alg.h"
#include "ike/creds.h"
#include "ike/shape.h"
#include "linux/moat.h"

#define MOAT_TUNNEL_NAME_MAX 63
#define MOAT_ID_MAX	     256
#define MOAT_REMOTES_MAX     16
#define MOAT_NAME_MAX	     253 /* RFC 1035 section 2.3.4, without the last dot */

#define MOAT_IKE_PORT	500
#define MOAT_NAT_T_PORT 4500

#define MOAT_PEERS_DEFAULT 1000
#define MOAT_PEERS_MAX	   10000

/* Behind whatever may be configured: what is left for peers that are not there. */
#define MOAT_PRIORITY_LAST 0x80000000u

/* Seconds: a shorter lifetime is neither configured nor taken from a peer. */
#define MOAT_LIFE_MIN 10
/* Likewise in bytes; of a peer's kilobytes only what a few packets use up is not taken. */
#define MOAT_LIFEBYTES_MIN (1 << 20)
#define MOAT_LIFE_KB_MIN   10

enum moat_start { MOAT_START_TRAP, MOAT_START_UP, MOAT_START_NONE };
enum moat_nat_t { MOAT_NAT_T_OFF, MOAT_NAT_T_AUTO, MOAT_NAT_T_FORCE };
enum moat_phase1 { MOAT_EXCHANGE_MAIN, MOAT_EXCHANGE_AGGRESSIVE };

/**
 * struct moat_identity - an identity of phase 1, RFC 2407 section 4.6.2
 * @type: the wire's ID type (1 IPv4, 2 FQDN, 3 user FQDN, 5 IPv6, 9 DN, 11 key id)
 * @len: bytes of @data
 * @data: as on the wire, without type, protocol and port
 */
struct moat_identity {
	uint8_t type;
	uint16_t len;
	uint8_t data[MOAT_ID_MAX];
};

/* Settings whose line an explanation can name; NONE is the tunnel's block. */
enum moat_conf_key {
	MOAT_CONF_NONE,
	MOAT_CONF_IKE,
	MOAT_CONF_ESP,
	MOAT_CONF_AH,
	MOAT_CONF_MODE,
	MOAT_CONF_AUTH,
	MOAT_CONF_EXCHANGE,
	MOAT_CONF_LOCAL_ID,
	MOAT_CONF_REMOTE_ID,
	MOAT_CONF_LOCAL_NET,
	MOAT_CONF_REMOTE_NET,
	MOAT_CONF_PROTOCOL,
	MOAT_CONF_KEYS
};

/**
 * struct moat_pair_conf - one local net towards one remote net: one policy
 * @policy: id of the kernel policy; the core fills it in
 */
struct moat_pair_conf {
	struct moat_selector selector;
	uint32_t policy;
};

/**
 * struct moat_remote_conf - what `remote` says: an address, or a name to be resolved
 * @name: NULL for an address
 */
struct moat_remote_conf {
	char *name;
	struct moat_addr addr;
};

/**
 * struct moat_tunnel_conf - everything one tunnel's block says, defaults filled in
 * @name: its name in the configuration
 * @file: file of the block, for messages
 * @line: line of the block
 * @lines: of its settings by enum moat_conf_key, 0 where a default holds
 * @local: our address; len 0 is "any"
 * @remote: the peer's addresses, tried in turn
 * @n_remote: how many
 * @written: what they are made of, @n_written of them; the supervisor's alone, as
 *           are @named (a name is among them), @local_any (`local` says so) and
 *           @local_id_addr (@local_id follows @local)
 * @local_id: identity we send; the local address when none is configured
 * @remote_id: identity we demand; type 0 is the remote address in use, and @data
 *             then the name that stands for it in the configuration, if one does; of
 *             a template any that the peer proves
 * @any: peers from anywhere: a template, see ike/wild.c; @n_remote is 0
 * @peers: how many of them at most
 * @exchange: main or aggressive
 * @nat_t: NAT traversal: off, where there is a NAT, or always
 * @fragmentation: IKE messages may go in fragments, if the peer can as well
 * @auth: authentication method, RFC 2409 appendix A (1 is PSK)
 * @creds: what RSA methods need, shared with others; NULL with PSK
 * @ike: acceptable phase 1 transforms, best first
 * @esp: acceptable phase 2 transforms, best first, with their PFS groups; may be
 *	empty beside @ah
 * @ah: likewise; with both, AH over ESP
 * @mode: enum moat_mode
 * @action: enum moat_action; bypass and discard have no peer
 * @start: trap, up or none
 * @priority: of its policies, lower wins
 * @mark: of the packets they are for, 0 for any
 * @shape: how its packets are treated
 * @device: whose packets alone are its traffic; empty is none
 * @ike_lifetime: seconds of phase 1
 * @dpd: seconds without a word of the peer before it is asked, 0 for never
 * @dpd_timeout: seconds without a word of it before it is held for dead
 * @lifetime: seconds of phase 2
 * @lifebytes: bytes of phase 2, 0 for none
 * @replay: window in packets
 * @narrow: accept a subset of a pair as responder
 * @routes: install routes to the remote nets
 * @pairs: (local net x remote net)
 * @n_pairs: how many
 */
struct moat_tunnel_conf {
	char name[MOAT_TUNNEL_NAME_MAX + 1];
	const char *file;
	unsigned int line;
	unsigned int lines[MOAT_CONF_KEYS];
	struct moat_addr local;
	struct moat_addr *remote;
	unsigned int n_remote;
	struct moat_remote_conf *written;
	unsigned int n_written;
	bool named;
	bool local_any;
	bool local_id_addr;
	bool any;
	uint32_t peers;
	struct moat_identity local_id;
	struct moat_identity remote_id;
	enum moat_phase1 exchange;
	enum moat_nat_t nat_t;
	bool fragmentation;
	uint16_t auth;
	struct moat_creds *creds;
	struct moat_ike_algs ike;
	struct moat_sa_algs esp;
	struct moat_sa_algs ah;
	uint8_t mode;
	uint8_t action;
	enum moat_start start;
	uint32_t priority;
	uint32_t mark;
	struct moat_shape shape;
	char device[MOAT_DEVICE_SIZE];
	uint32_t ike_lifetime;
	uint32_t dpd;
	uint32_t dpd_timeout;
	uint32_t lifetime;
	uint64_t lifebytes;
	uint32_t replay;
	bool narrow;
	bool routes;
	struct moat_pair_conf *pairs;
	unsigned int n_pairs;
};

/** moat_conf_line() - line of a setting, or of the block where it would stand */
unsigned int moat_conf_line(const struct moat_tunnel_conf *conf, enum moat_conf_key key);

/** moat_identity_from_addr() - the identity that an address is */
void moat_identity_from_addr(const struct moat_addr *addr, struct moat_identity *id);
/** moat_identity_same() - are they the same, octet for octet? */
bool moat_identity_same(const struct moat_identity *a, const struct moat_identity *b);

/** moat_conf_at() - is @addr one of the peer's addresses? */
bool moat_conf_at(const struct moat_tunnel_conf *conf, const struct moat_addr *addr);
/**
 * moat_conf_same_peer() - the same ends and identities, and the same proof of them
 *
 * Templates are for many peers: none is for that of another tunnel.
 */
bool moat_conf_same_peer(const struct moat_tunnel_conf *a,
			 const struct moat_tunnel_conf *b);
/** moat_conf_same_offer() - do they begin phase 1 by the same exchange and proposals? */
bool moat_conf_same_offer(const struct moat_tunnel_conf *a,
			  const struct moat_tunnel_conf *b);

#endif
