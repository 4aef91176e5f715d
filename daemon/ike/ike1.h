/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * IKEv1: ISAKMP SAs, their exchanges, and the table that says which message may
 * come in which state. For the files of daemon/ike only.
 */
#ifndef MOAT_IKE_IKE1_H
#define MOAT_IKE_IKE1_H

#include "ike/core.h"

#define MOAT_MESSAGE_MAX   8192
#define MOAT_ANSWERING_MAX 4	 /* quick modes of the peer at once, per pair */
#define MOAT_EXCHANGES_MAX 16384 /* under one ISAKMP SA */

/**
 * enum moat_state - where an exchange stands
 *
 * Those of an ISAKMP SA have the seed's names and moments (contracts). Those of
 * a quick mode are named after the message sent last.
 */
enum moat_state {
	MOAT_STATE_NONE,
	MOAT_MM_NO_STATE,
	MOAT_MM_SA_SETUP,
	MOAT_MM_KEY_EXCH,
	MOAT_MM_KEY_AUTH,
	MOAT_AG_NO_STATE,
	MOAT_AG_INIT_EXCH,
	MOAT_AG_AUTH,
	MOAT_QM_IDLE,
	MOAT_QUICK_NEW,
	MOAT_QUICK_SENT_1,
	MOAT_QUICK_SENT_2,
	MOAT_QUICK_DONE,
};

const char *moat_state_name(enum moat_state state);

/**
 * struct moat_flight - the last message of an exchange, each way
 * @sent: as on the wire
 * @names: payloads of @sent, for the trace
 * @number: of @sent in its exchange
 * @answers: @sent answers the message with @digest; else a repeated one has no
 *	answer (yet)
 * @digest: SHA-256 of the message received last
 * @heard: @digest holds
 * @tries: how often @sent was sent
 * @timer: sends again; its owner is the exchange
 */
struct moat_flight {
	struct moat_blob sent;
	char names[96];
	unsigned int number;
	bool answers;
	bool heard;
	uint8_t digest[32];
	unsigned int tries;
	unsigned int repeats;
	struct moat_timer timer;
};

enum moat_sig_verdict {
	MOAT_SIG_UNKNOWN,
	MOAT_SIG_ASKED,
	MOAT_SIG_GOOD,
	MOAT_SIG_BAD,
};

/**
 * struct moat_dpd - dead peer detection under an ISAKMP SA
 * @spoken: the peer knows it
 * @asked: number of our last question
 * @answered: number of the peer's last one, once one was @heard
 * @doubt: since when the peer has another ISAKMP SA and may have lost this one, or 0
 */
struct moat_dpd {
	bool spoken, heard;
	uint32_t asked, answered;
	uint64_t doubt;
	struct moat_timer timer;
};

/**
 * struct moat_natt - NAT traversal, RFC 3947
 * @dialect: place in our list of vendor ids, from 1; 0 when a side has none of it
 * @here: a NAT is before us; @there: before the peer
 */
struct moat_natt {
	unsigned int dialect;
	bool here;
	bool there;
};

/**
 * struct moat_isakmp - an ISAKMP SA, also while phase 1 is under way
 * @verified: the peer's authentication was checked; only the check sets it
 * @rekeying: a new one shall take its place
 * @contact: message 5 says INITIAL-CONTACT, or did
 * @told: wrong keys were reported; @complained: so was a message in clear, to the peer
 * @stale: the peer has lost it; what was to be done is done with a new one
 * @outdated: the configuration has other credentials since @outdated_at
 * @comparing: how often the keys process was asked whether it has, and did not say
 * @dead: removed; freed at the end of the step, or later when it is @leaving
 * @exchange: main or aggressive, as on the wire
 * @nonces: initiator's and responder's
 * @ke: public values, likewise
 * @ids: bodies of the ID payloads, likewise
 * @proof: HASH, ours; in aggressive mode the responder's until it is checked
 * @iv: last block of ciphertext of phase 1
 * @pending: answers that are awaited before the exchange goes on
 * @held: a message that came before the keys, or before the verdict on it
 * @verdict: on the peer's signature; @verdict_on is the digest of what was asked
 * @held_local: where that came to; @held_remote: from where
 * @certs: as in struct moat_verify
 * @opened: nonce and ID that were encrypted with our RSA key; @opened_of is the
 *	digest of the message that they came in
 * @natt: what the exchange found out about NATs
 * @keepalive_timer: while we are behind one
 * @turn_timer: while quick modes wait for their turn
 * @moat: the peer is a Moat, too
 * @fragments: the peer announced that it takes fragments, and we did
 * @parts: fragments of a message of the peer
 * @hint: what an unauthenticated notification said
 * @heard_at: when the last authentic message came
 * @seen: message ids that had an exchange: each may have but one
 * @psk_proof: with which pre-shared key it was made; NULL for none
 * @config: which configuration it was begun under
 */
struct moat_isakmp {
	TAILQ_ENTRY(moat_isakmp) link;
	struct moat_ike *ike;
	struct moat_tunnel *tunnel;
	uint32_t id;
	struct moat_cookies cky;
	struct moat_endpoint local;
	struct moat_endpoint remote;
	bool marker;
	bool initiator;
	bool verified;
	bool rekeying;
	bool contact;
	bool told, complained;
	bool stale;
	bool outdated;
	bool dead, leaving;
	uint8_t exchange;
	enum moat_state state;
	struct moat_ike_alg alg;
	uint32_t life;
	struct moat_blob sai;
	struct moat_blob nonces[2];
	struct moat_blob ke[2];
	struct moat_blob ids[2];
	struct moat_blob proof;
	struct moat_blob dh_private;
	struct moat_blob gxy;
	struct moat_blob skeyid;
	struct moat_skeys keys;
	bool has_keys;
	uint8_t iv[MOAT_BLOCK_MAX];
	unsigned int pending, comparing;
	struct moat_blob held;
	struct moat_endpoint held_local;
	struct moat_endpoint held_remote;
	bool held_marker;
	enum moat_sig_verdict verdict;
	uint8_t verdict_on[32];
	char verdict_text[256];
	struct moat_blob certs;
	struct moat_blob opened[2];
	uint8_t opened_of[32];
	struct moat_natt natt;
	bool moat;
	bool fragments;
	struct moat_parts *parts;
	char hint[160];
	struct moat_flight flight;
	LIST_HEAD(, moat_quick) quicks;
	uint32_t *seen;
	unsigned int n_seen;
	struct moat_timer life_timer;
	struct moat_timer rekey_timer;
	struct moat_timer turn_timer;
	struct moat_dpd dpd;
	struct moat_timer keepalive_timer;
	uint64_t created;
	uint64_t heard_at;
	uint64_t established;
	uint64_t expires;
	uint64_t outdated_at;
	struct moat_psk_proof *psk_proof;
	unsigned int config;
	unsigned int sent;
	unsigned int received;
};

/**
 * struct moat_quick - a quick mode
 * @pair: what it is for; NULL once that is settled
 * @dead: removed; freed at the end of the step
 * @told: the reason of its failure is in the log
 * @counted: it counts in pair->answering
 * @doubted: so many errors came while it waits for message 2 that name no quick
 *	mode; @doubt is the last one that was explained
 * @notify: what to tell the peer about a message 1 that is refused
 * @child: the SAs, from message 2 on
 * @iv: of the next message
 * @sas: what is agreed on so far, the outermost first; their spi_in is reserved by
 *	the kernel, 0 for not yet
 * @spi_refused: SPI of a message 1 that is refused, for the notification
 * @asked_at: when message 1 was sent
 * @waiting: message 3 is sent, and the peer gets time to install its SAs: until
 *	@ready_at at least when it is @asked behind it and has @answered
 * @done_at: and no longer than that. @commit: it set that bit, and will say CONNECTED
 */
struct moat_quick {
	LIST_ENTRY(moat_quick) link;
	bool dead;
	bool told;
	bool counted;
	unsigned int doubted;
	uint16_t doubt;
	uint16_t notify;
	struct moat_isakmp *sa;
	struct moat_pair *pair;
	struct moat_child *child;
	uint32_t message_id;
	bool initiator;
	enum moat_state state;
	uint8_t iv[MOAT_BLOCK_MAX];
	uint64_t begun;
	uint64_t begun_at;
	uint64_t asked_at;
	bool waiting, answered, commit;
	uint32_t asked;
	uint64_t ready_at, done_at;
	struct moat_selector selector;
	struct moat_child_sa sas[MOAT_BUNDLE_MAX];
	unsigned int n_sas;
	enum moat_group group;
	uint32_t life_seconds;
	uint64_t life_kilobytes;
	uint32_t spi_refused;
	struct moat_blob offer;
	struct moat_blob ids[2];
	struct moat_blob nonces[2];
	struct moat_blob ke[2];
	struct moat_blob dh_private;
	struct moat_blob gqmxy;
	unsigned int pending;
	struct moat_flight flight;
	struct moat_timer end_timer;
};

/**
 * struct moat_ike1_in - a message on its way through the core
 * @data: the datagram
 * @plain: what follows the header, decrypted
 * @moved: from elsewhere than before; nothing but its authenticity makes it count
 * @row: what the table says about it
 * @no: why it was refused
 */
struct moat_ike1_in {
	struct moat_ike *ike;
	struct moat_endpoint local;
	struct moat_endpoint remote;
	bool marker;
	bool moved;
	struct moat_view data;
	struct moat_hdr hdr;
	struct moat_message msg;
	uint8_t plain[MOAT_MESSAGE_MAX];
	uint8_t iv[MOAT_BLOCK_MAX];
	uint8_t digest[32];
	const struct moat_ike1_row *row;
	struct moat_isakmp *sa;
	struct moat_quick *quick;
	struct moat_refusal no;
	struct moat_ike_choice choice;
};

/* Must a message be encrypted? */
enum moat_ike1_cover { MOAT_CLEAR, MOAT_ENCRYPTED, MOAT_EITHER };

enum moat_ike1_hash { MOAT_HASH_NO, MOAT_HASH_1, MOAT_HASH_2, MOAT_HASH_3 };

/**
 * struct moat_ike1_row - one message in one state
 * @exchange: enum moat_exchange of the wire
 * @initiator: our role
 * @state: in which it may come
 * @number: of the message in its exchange
 * @cover: must it be encrypted?
 * @hash: which HASH(n) protects it, checked before anything else is looked at
 * @required: payloads that must be there once, as bits; ID of quick mode twice
 * @optional: payloads that may be there
 * @verify: look at the payloads, keep what is needed, change nothing else;
 *	returns 0, or -1 with in->no
 * @received: state once it is verified
 * @sent: state once its answer was sent
 * @proceed: go on to the answer
 */
struct moat_ike1_row {
	uint8_t exchange;
	bool initiator;
	enum moat_state state;
	unsigned int number;
	enum moat_ike1_cover cover;
	enum moat_ike1_hash hash;
	uint32_t required;
	uint32_t optional;
	int (*verify)(struct moat_ike1_in *in);
	enum moat_state received;
	enum moat_state sent;
	void (*proceed)(struct moat_ike1_in *in);
};

/** moat_ike1_row() - the row for a message, NULL when it has no place */
const struct moat_ike1_row *moat_ike1_row(uint8_t exchange, bool initiator,
					  enum moat_state state);
/** moat_ike1_payloads() - are the payloads those of the row? 0 or -1 with @no */
int moat_ike1_payloads(const struct moat_ike1_row *row, const struct moat_message *msg,
		       struct moat_refusal *no);

/* ---- messages: ike1_recv.c, ike1_send.c ---- */

void moat_ike1_datagram(struct moat_ike *ike, const struct moat_event *event);
/** moat_ike1_held() - look at the message that waited for keys, or for a verdict */
void moat_ike1_held(struct moat_isakmp *sa);
/** moat_ike1_wait() - keep a message for moat_ike1_held(); always -1 */
int moat_ike1_wait(struct moat_ike1_in *in);

/**
 * struct moat_ike1_out - a message being written
 * @hash: where its HASH goes, NULL for none
 */
struct moat_ike1_out {
	struct moat_build b;
	uint8_t buf[MOAT_MESSAGE_MAX];
	uint8_t *hash;
	size_t hash_end;
};

void moat_ike1_begin(struct moat_ike1_out *out, const struct moat_isakmp *sa,
		     uint8_t exchange, uint32_t message_id, bool encrypted);
/** moat_ike1_hash() - leave room for HASH(n) */
void moat_ike1_hash(struct moat_ike1_out *out, const struct moat_isakmp *sa);
/** moat_ike1_hashed() - what HASH(1) and HASH(2) cover */
struct moat_view moat_ike1_hashed(const struct moat_ike1_out *out);
/**
 * moat_ike1_send() - finish, encrypt and send a message
 * @flight: keeps it for repetition; NULL for a message without an answer
 * @iv: encrypts with it and moves it on; NULL in clear
 * @number: of the message in its exchange
 * @after: state of the ISAKMP SA once it is sent
 *
 * Return: 0, or -1 when it could not be written.
 */
int moat_ike1_send(struct moat_ike1_out *out, struct moat_isakmp *sa,
		   struct moat_flight *flight, uint8_t *iv, unsigned int number,
		   enum moat_state after);
/** moat_ike1_retransmit() - send again until somebody stops it */
void moat_ike1_retransmit(struct moat_ike *ike, struct moat_flight *flight);
/** moat_ike1_again() - repeat the last message; false when there were enough */
bool moat_ike1_again(struct moat_isakmp *sa, struct moat_flight *flight,
		     const char *exchange, bool initiator);
/** moat_ike1_answer_again() - a message came twice: so does its answer */
void moat_ike1_answer_again(struct moat_isakmp *sa, struct moat_flight *flight,
			    const char *exchange, bool initiator);
/** moat_ike1_give_up() - no more tries; a valid answer may still come for 2 s */
void moat_ike1_give_up(struct moat_ike *ike, struct moat_flight *flight);
void moat_flight_clear(struct moat_ike *ike, struct moat_flight *flight);
void moat_ike1_trace(struct moat_isakmp *sa, const struct moat_flight *flight,
		     const char *exchange, bool sent, unsigned int number,
		     const char *payloads, enum moat_state before, enum moat_state after,
		     bool initiator, bool repeated);
/** moat_ike1_id_body() - write an identity as the body of an ID payload */
void moat_ike1_id_body(const struct moat_identity *id, struct moat_blob *body);

#define MOAT_IDENTITY_STRLEN 128
/** moat_identity_str() - an identity as text; what is not printable is masked */
const char *moat_identity_str(uint8_t type, struct moat_view data,
			      char buf[MOAT_IDENTITY_STRLEN]);

/* ---- ISAKMP SAs: isakmp.c ---- */

#define MOAT_ISAKMP_STRLEN 192

struct moat_isakmp *moat_isakmp_new(struct moat_tunnel *tunnel, uint8_t exchange,
				    bool initiator);
/** moat_isakmp_remove() - end it without a word; memory goes at the end of the step */
void moat_isakmp_remove(struct moat_isakmp *sa);
/** moat_isakmp_reap() - free what has ended; of @tunnel also what still takes deletes */
void moat_isakmp_reap(struct moat_ike *ike, const struct moat_tunnel *tunnel);
/** moat_isakmp_silent() - a quick mode of ours got no answer: does the peer know us? */
void moat_isakmp_silent(struct moat_quick *quick, const char *why);
/** moat_isakmp_fail() - phase 1 ends here: log, remove, tell the tunnel */
void moat_isakmp_fail(struct moat_isakmp *sa, const char *why);
/** moat_isakmp_established() - the one way to QM_IDLE; demands sa->verified */
void moat_isakmp_established(struct moat_isakmp *sa);
/** moat_isakmp_keylog() - an operator wants to see the keys, or no longer */
void moat_isakmp_keylog(struct moat_ike *ike, bool on);
/** moat_isakmp_name_key() - it has its keys: say them if they are wanted */
void moat_isakmp_name_key(struct moat_isakmp *sa);
/** moat_isakmp_ready() - the newest one that stands towards a tunnel's peer */
struct moat_isakmp *moat_isakmp_ready(struct moat_tunnel *tunnel);
/** moat_isakmp_usable() - likewise, for new quick modes: not an outdated one */
struct moat_isakmp *moat_isakmp_usable(struct moat_tunnel *tunnel);
/** moat_isakmp_connecting() - one of ours that is under way */
struct moat_isakmp *moat_isakmp_connecting(struct moat_tunnel *tunnel);
/** moat_isakmp_name() - "peer 192.0.2.2 port 500, cookies 0011223344556677:..." */
const char *moat_isakmp_name(const struct moat_isakmp *sa, char buf[MOAT_ISAKMP_STRLEN]);
bool moat_isakmp_seen(const struct moat_isakmp *sa, uint32_t message_id);
void moat_isakmp_see(struct moat_isakmp *sa, uint32_t message_id);
uint32_t moat_isakmp_message_id(struct moat_isakmp *sa);
/** moat_isakmp_close() - delete with notification */
void moat_isakmp_close(struct moat_isakmp *sa, const char *why);

/* ---- phase 1, either exchange: ike1_phase1.c ---- */

/** moat_ike1_is_phase1() - main or aggressive mode? */
static inline bool moat_ike1_is_phase1(uint8_t exchange)
{
	return exchange == MOAT_X_MAIN || exchange == MOAT_X_AGGRESSIVE;
}

/** moat_phase1_start() - begin with a tunnel's peer, as its block says */
void moat_phase1_start(struct moat_tunnel *tunnel);
/** moat_phase1_accept() - message 1 of a stranger: an ISAKMP SA for it, or NULL */
struct moat_isakmp *moat_phase1_accept(struct moat_ike1_in *in);
/** moat_phase1_want() - what a tunnel offers and accepts */
struct moat_ike_want moat_phase1_want(const struct moat_tunnel *tunnel);
/** moat_phase1_watch() - repeat the last message until an answer stops it */
void moat_phase1_watch(struct moat_isakmp *sa);
/** moat_phase1_verify_offer() - SA of message 1; also finds the right tunnel */
int moat_phase1_verify_offer(struct moat_ike1_in *in);
/** moat_phase1_reselect() - which tunnel is for who the peer now says it is? */
void moat_phase1_reselect(struct moat_isakmp *sa);
/** moat_phase1_verify_answer() - SA of message 2 */
int moat_phase1_verify_answer(struct moat_ike1_in *in);
/** moat_phase1_verify_values() - KE and NONCE */
int moat_phase1_verify_values(struct moat_ike1_in *in);
/** moat_phase1_cookie() - a responder's cookie */
void moat_phase1_cookie(struct moat_isakmp *sa);
/** moat_phase1_generate() - our KE and NONCE; then moat_*_have_values() */
void moat_phase1_generate(struct moat_isakmp *sa);
void moat_phase1_put_values(struct moat_isakmp *sa, struct moat_build *b);
/** moat_phase1_derive() - shared secret and SKEYID; then moat_*_have_keys() */
void moat_phase1_derive(struct moat_isakmp *sa);
/** moat_phase1_have_part() - one of those two is there */
void moat_phase1_have_part(struct moat_isakmp *sa);
/** moat_phase1_proved() - our proof is there; then moat_*_proved() */
void moat_phase1_proved(struct moat_isakmp *sa);
/** moat_phase1_put_contact() - INITIAL-CONTACT, where it is due */
void moat_phase1_put_contact(struct moat_isakmp *sa, struct moat_build *b);
void moat_phase1_take_contact(struct moat_ike1_in *in);

/* ---- authentication, either exchange: ike1_auth.c ---- */

/** moat_auth_skeyid() - ask for SKEYID; ends in moat_phase1_have_part() */
void moat_auth_skeyid(struct moat_isakmp *sa);
/** moat_auth_late_skeyid() - SKEYID of methods that need no secret of their own */
int moat_auth_late_skeyid(struct moat_isakmp *sa);
/** moat_auth_put_id() - our ID payload */
void moat_auth_put_id(struct moat_isakmp *sa, struct moat_build *b);
/** moat_auth_prove() - make sa->proof; ends in moat_phase1_proved() */
void moat_auth_prove(struct moat_isakmp *sa);
/** moat_auth_put_proof() - the payload that holds it */
void moat_auth_put_proof(struct moat_isakmp *sa, struct moat_build *b);
/** moat_auth_is_peer() - is @id (body of an ID) who this tunnel demands? */
bool moat_auth_is_peer(const struct moat_tunnel *tunnel, const struct moat_addr *remote,
		       struct moat_view id);
/** moat_auth_suspicion() - what the operator should look at when keys differ */
const char *moat_auth_suspicion(const struct moat_isakmp *sa);
/** moat_auth_unheard() - and when our proof has no answer; sets its hint */
void moat_auth_unheard(struct moat_isakmp *sa);
/** moat_auth_stranger() - nobody demands this identity: explain, tell; always -1 */
int moat_auth_stranger(struct moat_ike1_in *in, struct moat_view id);
/** moat_auth_take_id() - keep the peer's ID payload, which HASH covers */
int moat_auth_take_id(struct moat_ike1_in *in);
/**
 * moat_auth_verify() - is this peer who it should be? Sets sa->verified
 * @number: of the message, for people
 * @proof: the peer's HASH or SIG
 *
 * Return: 0; -1 when that was explained and told; MOAT_AUTH_LATER when it is
 * being found out: the message is to be looked at again, see moat_ike1_wait().
 */
int moat_auth_verify(struct moat_isakmp *sa, unsigned int number, struct moat_view proof);

#define MOAT_AUTH_LATER 1

/**
 * moat_auth_proof() - the payload that proves who the peer is: HASH or SIG
 *
 * Return: 0, or -1 when the method's is not there.
 */
int moat_auth_proof(struct moat_ike1_in *in, struct moat_view *proof);

/* ---- signatures and certificates: ike1_sig.c ---- */

/** moat_sig_sign() - ask for our signature; ends in moat_phase1_proved() */
void moat_sig_sign(struct moat_isakmp *sa, struct moat_view hash);
/** moat_sig_put() - our certificates and the signature */
void moat_sig_put(struct moat_isakmp *sa, struct moat_build *b);
/** moat_sig_put_requests() - certificate requests, where the method has them */
void moat_sig_put_requests(struct moat_isakmp *sa, struct moat_build *b);
/** moat_sig_take_certs() - keep the peer's certificates; 0, or -1 with in->no */
int moat_sig_take_certs(struct moat_ike1_in *in);
/**
 * moat_sig_verify() - is the peer's signature of @hash good, and its certificate?
 *
 * Return: as moat_auth_verify(); sa->verdict_text says why not, if it is new.
 */
int moat_sig_verify(struct moat_isakmp *sa, struct moat_view hash,
		    struct moat_view signature, const struct moat_identity *wanted);

/* ---- encrypted nonces, plain and revised: ike1_enc.c ---- */

bool moat_enc_method(uint16_t method);
/** moat_enc_used() - is it authenticated by who can decrypt? */
bool moat_enc_used(const struct moat_isakmp *sa);
/**
 * moat_enc_hides_rest() - would what follows the nonce have to be encrypted?
 * @sa: the ISAKMP SA
 *
 * So RFC 2409 section 5.3 has it. What others must be able to read, vendor IDs
 * and NAT-D, then stands before the nonce.
 */
bool moat_enc_hides_rest(const struct moat_isakmp *sa);

/** moat_enc_put_values() - HASH(1), KE, NONCE and ID, encrypted as the method has it */
void moat_enc_put_values(struct moat_isakmp *sa, struct moat_build *b);
/** moat_enc_verify_values() - the same of the peer; waits until they are opened */
int moat_enc_verify_values(struct moat_ike1_in *in);

/* ---- IKE fragmentation: ike1_fragment.c ---- */

/** moat_fragment_put_vendor() - that we can, in messages 1 and 2 */
void moat_fragment_put_vendor(const struct moat_isakmp *sa, struct moat_build *b);
void moat_fragment_take_vendor(const struct moat_ike1_in *in);
/** moat_fragment_needed() - shall a message of this length go in fragments? */
bool moat_fragment_needed(const struct moat_isakmp *sa, size_t len);
/** moat_fragment_send() - send a message in fragments, with @send each */
void moat_fragment_send(struct moat_isakmp *sa, struct moat_view message,
			void (*send)(struct moat_isakmp *sa, const void *data,
				     size_t len));
/**
 * moat_fragment_take() - keep a fragment of the peer
 * @in: the datagram, in->sa is known
 * @whole: the message, once all of it is there; the caller's to clear
 *
 * Return: 0, or -1 with in->no.
 */
int moat_fragment_take(struct moat_ike1_in *in, struct moat_blob *whole);
/** moat_fragment_octets() - how much of the peer's is kept */
size_t moat_fragment_octets(const struct moat_isakmp *sa);
/** moat_fragment_forget() - drop what is not complete */
void moat_fragment_forget(struct moat_isakmp *sa);

/* ---- main mode: ike1_main.c ---- */

void moat_main_begin(struct moat_isakmp *sa);
void moat_main_have_values(struct moat_isakmp *sa);
void moat_main_have_keys(struct moat_isakmp *sa);
void moat_main_proved(struct moat_isakmp *sa);
int moat_main_verify_auth(struct moat_ike1_in *in);
void moat_main_answer_1(struct moat_ike1_in *in);
void moat_main_answer_ke(struct moat_ike1_in *in);
void moat_main_derive(struct moat_ike1_in *in);
void moat_main_finish(struct moat_ike1_in *in);

/* ---- aggressive mode: ike1_aggressive.c ---- */

void moat_aggressive_have_values(struct moat_isakmp *sa);
void moat_aggressive_have_keys(struct moat_isakmp *sa);
void moat_aggressive_proved(struct moat_isakmp *sa);
int moat_aggressive_verify_1(struct moat_ike1_in *in);
int moat_aggressive_verify_2(struct moat_ike1_in *in);
int moat_aggressive_verify_3(struct moat_ike1_in *in);
void moat_aggressive_answer_1(struct moat_ike1_in *in);
void moat_aggressive_answer_2(struct moat_ike1_in *in);
void moat_aggressive_finish(struct moat_ike1_in *in);

/* ---- quick mode: ike1_quick.c ---- */

/** moat_quick_want() - what a tunnel offers and accepts in quick mode */
struct moat_sa_want moat_quick_want(const struct moat_tunnel_conf *conf,
				    const struct moat_isakmp *sa);
void moat_quick_start(struct moat_pair *pair, struct moat_isakmp *sa);
struct moat_quick *moat_quick_new(struct moat_isakmp *sa, uint32_t message_id,
				  bool initiator);
struct moat_quick *moat_quick_find(struct moat_isakmp *sa, uint32_t message_id);
/** moat_quick_settle() - it has ended well; repeated messages are answered for a while */
void moat_quick_settle(struct moat_quick *quick);
void moat_quick_reap(struct moat_ike *ike);
/** moat_quick_fail() - it ends here: drop unfinished SAs, tell the tunnel, remove */
void moat_quick_fail(struct moat_quick *quick, const char *why);
/** moat_quick_refused() - message 1 or 2 was authentic but not acceptable */
void moat_quick_refused(struct moat_ike1_in *in);
/** moat_quick_leave() - end all quick modes of a pair */
void moat_quick_leave(struct moat_pair *pair, const char *why);
/** moat_quick_child_gone() - its SAs were deleted by somebody else */
void moat_quick_child_gone(struct moat_child *child);
/** moat_quick_complete() - message 3 is sent: switch to the new SAs */
void moat_quick_complete(struct moat_quick *quick);

/**
 * moat_quick_insist() - send message 3 again, for the peer does not use the SAs yet
 *
 * Nobody answers message 3. Moat sends message 2 until it has come; strongSwan forgets
 * to when another message of that ISAKMP SA comes meanwhile.
 */
void moat_quick_insist(struct moat_child *child);
/** moat_quick_of_moat() - is another Moat at the other end of the quick mode? */
bool moat_quick_of_moat(const struct moat_child *child);
/** moat_quick_proved() - the first packet came on its inbound SA */
void moat_quick_proved(struct moat_child *child);
int moat_quick_verify_1(struct moat_ike1_in *in);
int moat_quick_verify_2(struct moat_ike1_in *in);
int moat_quick_verify_3(struct moat_ike1_in *in);
void moat_quick_answer_1(struct moat_ike1_in *in);
void moat_quick_answer_2(struct moat_ike1_in *in);
void moat_quick_done(struct moat_ike1_in *in);

/** moat_quick_refuse() - count a refused choice, keep what to tell the peer; -1 */
int moat_quick_refuse(struct moat_ike1_in *in, uint16_t notify);

/* What message 1 is for: ike1_quickpair.c */
/** moat_quick_selector() - IDci and IDcr of message 1, seen from our side; 0 or -1 */
int moat_quick_selector(struct moat_ike1_in *in, struct moat_selector *s);
/** moat_quick_pair() - the pair it is for; NULL when that was explained */
struct moat_pair *moat_quick_pair(struct moat_ike1_in *in, const struct moat_selector *s);

/* Identities of quick mode and the selectors they stand for: ike1_ids.c */
void moat_quick_id_build(const struct moat_range *range, uint8_t protocol, uint16_t port,
			 struct moat_blob *body);
/** moat_quick_id_port() - of a range of ports: an ID has one, or 0 for any */
uint16_t moat_quick_id_port(const uint16_t range[2]);
int moat_quick_id_parse(struct moat_view body, struct moat_range *range,
			uint8_t *protocol, uint16_t *port, struct moat_refusal *no);

/* ---- errors that the peer says of quick modes: ike1_refused.c ---- */

/**
 * moat_refused_handle() - explain an authentic error, end the quick modes it refuses
 * @n: a notification below 16384 (RFC 2408 section 3.14.1)
 */
void moat_refused_handle(struct moat_isakmp *sa, const struct moat_notify *n);
/** moat_refused_settle() - end the quick modes that were refused without their name */
void moat_refused_settle(struct moat_isakmp *sa);
/** moat_refused_leave() - a quick mode ends; what was meant for it counts no more */
void moat_refused_leave(const struct moat_quick *quick);

/* ---- informational exchange: ike1_info.c ---- */

int moat_info_verify(struct moat_ike1_in *in);
void moat_info_handle(struct moat_ike1_in *in);
/** moat_info_clear() - an informational message without protection: a hint at most */
void moat_info_clear(struct moat_ike1_in *in);
/** moat_info_act() - notifications that came with another exchange */
void moat_info_initial_contact(struct moat_isakmp *sa);
/**
 * moat_info_notify() - send a protected notification
 * @keep: flight of a refused quick mode, to repeat the answer; or NULL
 */
void moat_info_notify(struct moat_isakmp *sa, struct moat_flight *keep, uint8_t protocol,
		      uint16_t type, struct moat_view spi);
/** moat_info_refuse() - answer a message in clear with an error, once for each SA */
void moat_info_refuse(struct moat_ike1_in *in, uint16_t type);
void moat_info_refuse_auth(struct moat_isakmp *sa, uint16_t type);
/** moat_info_refuse_6() - the same to a responder that has established it, and a delete */
void moat_info_refuse_6(struct moat_isakmp *sa, uint16_t type);
/**
 * moat_info_delete_child() - we deleted an inbound SA; moat_info_delete_isakmp(): @cky
 * @sa: says so
 * @id: of the message; with the same one the same datagram is sent again
 * @protocol: and @spi are those of the SA
 */
void moat_info_delete_child(struct moat_isakmp *sa, uint32_t id, uint8_t protocol,
			    uint32_t spi);
void moat_info_delete_isakmp(struct moat_isakmp *sa, const struct moat_cookies *cky);

/** moat_child_protocol() - its number in an IP header */
static inline uint8_t moat_child_protocol(const struct moat_child_sa *sa)
{
	return sa->protocol == MOAT_PROTO_AH ? MOAT_IPPROTO_AH : MOAT_IPPROTO_ESP;
}

#include "ike/ike1_peer.h"

#endif
