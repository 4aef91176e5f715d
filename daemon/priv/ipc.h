/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What moatd's processes say to each other: fixed structs over SEQPACKET
 * socket pairs. Both ends are one program, so nothing is versioned. A receiver
 * checks type and length before it looks inside; who reads decides besides
 * which types it takes from whom.
 *
 *   supervisor -> all      CHANNEL (a socket towards another process)
 *   supervisor -> all      TUNNEL REMOTE* PAIR* ... SETTLE (the configuration)
 *   supervisor -> ike      before it: CREDS DER* ... (certificates)
 *   supervisor -> keys     SECRETS (secrets.conf), FILE (a psk-file), KEY (a
 *                          private key)
 *   supervisor -> resolve  RESOLVE; resolve -> supervisor  RESOLVED
 *   keys -> supervisor     OPEN (a psk-file), MISTAKE, WARNING, CHECKED
 *   supervisor -> ike      SOCKET, RELOADED; ike -> supervisor  RELOAD
 *   ike -> supervisor      KEYLOG (an operator's word, and lines of the table)
 *   all -> supervisor      LOG, PONG
 *   supervisor -> all      PING, but for resolve, which waits for name servers
 *   ike -> keys            SKEYID, SIGN, DECRYPT; keys -> ike  ANSWER
 *   ike -> kernel          SPI_ALLOC SA_* POLICY_* DUMP CLEAN; kernel -> ike
 *                          ANSWER, ACQUIRE, EXPIRE, FIRST_USE, MAPPING,
 *                          UNKNOWN_SPI, POLICY_LOST, SA_INFO, POLICY_INFO,
 *                          COUNTERS
 */
#ifndef MOAT_PRIV_IPC_H
#define MOAT_PRIV_IPC_H

#include "ike/ike.h"

/* The descriptor on which a process finds its supervisor. */
#define MOAT_SUPERVISOR_FD 3

/* Ids of a daemon's policies; those of manual keying, below, it leaves alone. */
#define MOAT_POLICY_BASE 0x10000000u
#define MOAT_POLICY_END	 0x30000000u

/* Nonces of both sides, RFC 2409 section 5: 8 to 256 octets each. */
#define MOAT_IPC_NONCES 512
#define MOAT_IPC_TEXT	512
#define MOAT_IPC_PATH	1024
#define MOAT_IPC_OCTETS 1024 /* an answer's; a signature by 8192 bits */
#define MOAT_IPC_CHUNK	2048 /* of a certificate */
/* Named counters of one object; those that are zero are left out. */
#define MOAT_IPC_COUNTERS 48

enum moat_process {
	MOAT_PROCESS_IKE,
	MOAT_PROCESS_KEYS,
	MOAT_PROCESS_KERNEL,
	MOAT_PROCESS_RESOLVE, /* runs while there are names */
	MOAT_PROCESSES
};

enum moat_ipc_type {
	MOAT_IPC_NONE,
	MOAT_IPC_CHANNEL,
	MOAT_IPC_SOCKET,
	MOAT_IPC_TUNNEL,
	MOAT_IPC_REMOTE,
	MOAT_IPC_PAIR,
	MOAT_IPC_SETTLE,
	MOAT_IPC_SECRETS,
	MOAT_IPC_OPEN,
	MOAT_IPC_FILE,
	MOAT_IPC_MISTAKE,
	MOAT_IPC_CHECKED,
	MOAT_IPC_RELOAD,
	MOAT_IPC_RELOADED,
	MOAT_IPC_LOG,
	MOAT_IPC_KEYLOG,
	MOAT_IPC_SKEYID,
	MOAT_IPC_SPI_ALLOC,
	MOAT_IPC_SA_ADD,
	MOAT_IPC_POLICY_SWITCH,
	MOAT_IPC_SA_DEL,
	MOAT_IPC_SA_MOVE,
	MOAT_IPC_POLICY_ADD,
	MOAT_IPC_POLICY_SET,
	MOAT_IPC_POLICY_DEL,
	MOAT_IPC_CLEAN,
	MOAT_IPC_DUMP,
	MOAT_IPC_ANSWER,
	MOAT_IPC_ACQUIRE,
	MOAT_IPC_EXPIRE,
	MOAT_IPC_FIRST_USE,
	MOAT_IPC_MAPPING,
	MOAT_IPC_SA_INFO,
	MOAT_IPC_POLICY_INFO,
	MOAT_IPC_COUNTERS_INFO,
	MOAT_IPC_CREDS,
	MOAT_IPC_DER,
	MOAT_IPC_KEY,
	MOAT_IPC_SIGN,
	MOAT_IPC_DECRYPT,
	MOAT_IPC_WARNING,
	MOAT_IPC_RESOLVE,
	MOAT_IPC_RESOLVED,
	MOAT_IPC_UNKNOWN_SPI,
	MOAT_IPC_POLICY_LOST,
	MOAT_IPC_PING,
	MOAT_IPC_PONG,
	MOAT_IPC_SA_UNUSED,
	MOAT_IPC_SA_SET,
	MOAT_IPC_TYPES,
};

/* What a KEYLOG says. */
enum moat_keylog {
	MOAT_KEYLOG_OFF,
	MOAT_KEYLOG_ON,
	MOAT_KEYLOG_IKE,
	MOAT_KEYLOG_ESP,
};

/* Sockets that the supervisor binds for the ike process. */
enum moat_socket {
	MOAT_SOCKET_CONTROL,
	MOAT_SOCKET_IKE4,
	MOAT_SOCKET_IKE6,
	MOAT_SOCKET_NATT4,
	MOAT_SOCKET_NATT6,
	MOAT_SOCKETS,
};

/**
 * struct moat_ipc_counters - counters that name themselves
 */
struct moat_ipc_counters {
	uint32_t n;
	struct {
		char name[32];
		uint64_t value;
	} list[MOAT_IPC_COUNTERS];
};

/**
 * struct moat_ipc - one message; only the part of its type is sent
 * @type: enum moat_ipc_type
 * @token: comes back in the answer; 0 where none is wanted
 * @channel: a descriptor follows: a socket towards process @with
 * @socket: a descriptor follows: enum moat_socket
 * @tunnel: its pointers mean nothing; @n_remote REMOTE and @n_pairs PAIR follow
 *          @creds is the number of its credentials, 0 for none
 * @creds: a set of credentials begins: its DER objects follow
 * @der: a piece of an object of @part; @end is the last one of that object
 * @key: a descriptor follows, or none and the reason: a private key, as
 *       struct moat_key_conf
 * @sign: as MOAT_ACT_SIGN
 * @decrypt: as MOAT_ACT_DECRYPT
 * @settle: the configuration is complete: to be used when @commit, else to be
 *          checked (keys) and forgotten
 * @text: SECRETS and FILE (a descriptor follows, or none and the reason), OPEN
 *        (a path), MISTAKE, WARNING, RELOADED
 * @checked: how many mistakes were sent
 * @skeyid: as MOAT_ACT_SKEYID
 * @keylog: on, off, or a line for one of the files (priv/keylog.c)
 * @answer: as MOAT_EV_ANSWER; @data is SKEYID, a signature, or what was
 *          encrypted
 * @acquire: as the events of the core
 * @mapping: MAPPING, of an inbound SA; SA_MOVE, of an outbound one
 * @resolved: RESOLVE, of which the name alone counts; and its answer, with the
 *            reason when there is no address
 * @unknown_spi: as the event of the core, likewise @policy_lost
 * @sa_info: one SA of the kernel's dump (@token is the dump's), or the last
 *           words of one that is gone (@token 0)
 * @policy_info: one policy of the kernel's dump
 */
struct moat_ipc {
	uint32_t type;
	uint32_t token;
	union {
		struct {
			uint32_t with;
		} channel;
		struct {
			uint32_t which;
		} socket;
		struct {
			struct moat_tunnel_conf conf;
			char file[256];
			uint32_t creds;
		} tunnel;
		struct {
			bool weak;
			uint8_t key_id[MOAT_KEY_ID_LEN];
			uint16_t key_len;
		} creds;
		struct {
			uint8_t part;
			bool end;
			uint16_t len;
			uint8_t data[MOAT_IPC_CHUNK];
		} der;
		struct {
			uint8_t id[MOAT_KEY_ID_LEN];
			bool decrypt;
			uint32_t line;
			char file[256];
			char path[MOAT_IPC_PATH];
			char why[256];
		} key;
		struct {
			uint8_t key_id[MOAT_KEY_ID_LEN];
			uint16_t len;
			uint8_t hash[64];
		} sign;
		struct {
			uint8_t key_id[MOAT_KEY_ID_LEN];
			uint16_t nonce_len;
			uint16_t id_len;
			uint8_t nonce[MOAT_RSA_MAX];
			uint8_t id[MOAT_RSA_MAX];
		} decrypt;
		struct moat_addr remote;
		struct moat_pair_conf pair;
		struct {
			bool commit;
		} settle;
		struct {
			bool ok;
			char text[MOAT_IPC_PATH];
		} text;
		struct {
			uint32_t mistakes;
		} checked;
		struct {
			uint32_t level;
			char name[48];
			char tunnel[MOAT_TUNNEL_NAME_MAX + 1];
			char text[MOAT_IPC_PATH];
		} log;
		struct {
			uint16_t hash;
			struct moat_addr remote;
			struct moat_identity remote_id;
			uint16_t len;
			uint8_t nonces[MOAT_IPC_NONCES];
		} skeyid;
		struct {
			uint8_t protocol;
			struct moat_addr dst;
		} spi_alloc;
		struct moat_sa_params sa;
		struct moat_policy_params policy;
		struct {
			uint32_t what;
			char line[768];
		} keylog;
		struct {
			bool ok;
			bool unused;
			uint32_t spi;
			uint16_t len;
			uint8_t data[MOAT_IPC_OCTETS];
			char text[MOAT_IPC_TEXT];
		} answer;
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
			uint32_t policy;
			uint8_t protocol;
			uint32_t spi;
			struct moat_addr dst;
			struct moat_endpoint peer;
		} mapping;
		struct {
			char name[MOAT_NAME_MAX + 1];
			uint32_t n;
			struct moat_addr addrs[MOAT_REMOTES_MAX];
			char why[128];
		} resolved;
		struct {
			uint8_t protocol;
			uint32_t spi;
			struct moat_addr local;
			struct moat_addr remote;
		} unknown_spi;
		struct {
			uint32_t policy;
			bool stands;
			char text[MOAT_IPC_TEXT];
		} policy_lost;
		struct {
			struct moat_sa_params sa;
			uint8_t state;
			uint16_t key_bits;
			uint64_t packets;
			uint64_t bytes;
			uint64_t created;
			uint64_t last_used;
			uint32_t mtu;
			uint32_t bundle;
			char tunnel[MOAT_TUNNEL_NAME_MAX + 1];
			struct moat_ipc_counters drops;
		} sa_info;
		struct {
			struct moat_policy_params policy;
			uint32_t spi;
			uint32_t held;
			bool acquire;
			uint64_t packets;
			uint64_t bytes;
			char implicit[64];
			struct moat_ipc_counters drops;
		} policy_info;
		struct moat_ipc_counters counters;
	};
};

/** moat_ipc_init() - zero a message and set its type and token */
void moat_ipc_init(struct moat_ipc *msg, enum moat_ipc_type type, uint32_t token);

/**
 * moat_ipc_len() - octets that a message of this type has on the socket
 *
 * Return: 0 for an unknown type.
 */
size_t moat_ipc_len(uint32_t type);

/**
 * moat_ipc_send() - send one message
 * @fd: SEQPACKET socket
 * @msg: the message
 * @pass: descriptor to pass on, or -1; stays open here
 * @flags: of sendmsg(): MSG_DONTWAIT or 0
 *
 * Return: 0, or -1 with errno.
 */
int moat_ipc_send(int fd, const struct moat_ipc *msg, int pass, int flags);

/**
 * moat_ipc_receive() - take one message
 * @fd: SEQPACKET socket
 * @msg: result
 * @passed: the descriptor that came with it, the caller's to close; or -1
 * @flags: of recvmsg(): MSG_DONTWAIT or 0
 *
 * Return: 1; 0 when the other end has closed; -1 with errno (EBADMSG: unknown
 * type or wrong length).
 */
int moat_ipc_receive(int fd, struct moat_ipc *msg, int *passed, int flags);

/** moat_ipc_pong() - say that one is alive */
void moat_ipc_pong(int fd);

/** moat_ipc_text() - put text into a fixed field, cut where it is too long */
#define moat_ipc_text(field, ...) snprintf(field, sizeof(field), __VA_ARGS__)

#endif
