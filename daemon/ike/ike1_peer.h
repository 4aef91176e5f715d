/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an ISAKMP SA knows of its peer: where it is, is it alive, a Moat, still who it
 * was? */
#ifndef MOAT_IKE_IKE1_PEER_H
#define MOAT_IKE_IKE1_PEER_H

#include "ike/ike1.h"

/* ---- who it is, while phase 1 is under way: ike1_phase1.c ---- */

/** moat_dn_print() - a distinguished name as text; false when it is none of known parts */
bool moat_dn_print(struct moat_view der, char *buf, size_t size);
/** moat_phase1_unproven() - may whoever began it be anybody? Then others go first */
bool moat_phase1_unproven(const struct moat_isakmp *sa);

/* ---- what the tunnels of a peer share: peer.c ---- */

/**
 * moat_peer_suits() - is an ISAKMP SA good enough for a tunnel of its peer?
 *
 * It came, or comes, by the exchange of this tunnel, and with algorithms of its list.
 */
bool moat_peer_suits(const struct moat_isakmp *sa, const struct moat_tunnel *tunnel);
/**
 * moat_peer_known() - do we have anything with the peer that @sa is made with?
 *
 * Under any tunnel, by its address or its name: peers tell us apart by either.
 */
bool moat_peer_known(const struct moat_isakmp *sa);
/** moat_phase1_exchange() - main or aggressive, as on the wire */
uint8_t moat_phase1_exchange(const struct moat_tunnel_conf *conf);

/* ---- NAT traversal: ike1_natt.c ---- */

/** moat_natt_udp() - is a NAT between us, and so ESP in UDP? */
bool moat_natt_udp(const struct moat_isakmp *sa);
/** moat_natt_draft() - do we speak the drafts, with their numbers? */
bool moat_natt_draft(const struct moat_isakmp *sa);
/** moat_natt_put_vendor() - what we can, in messages 1 and 2 */
void moat_natt_put_vendor(const struct moat_isakmp *sa, struct moat_build *b);
void moat_natt_take_vendor(const struct moat_ike1_in *in);
/** moat_natt_put_discovery() - NAT-D, once the hash is agreed on */
void moat_natt_put_discovery(const struct moat_isakmp *sa, struct moat_build *b);
void moat_natt_take_discovery(const struct moat_ike1_in *in);
/** moat_natt_put_originals() - NAT-OA, in transport mode: both ends as we know them */
void moat_natt_put_originals(const struct moat_quick *quick, struct moat_build *b);
/**
 * moat_natt_take_originals() - read NAT-OA
 * @in: message of quick mode
 * @of: gets the address of the initiator, and of the responder, as the peer knows them
 * @given: whether it told
 *
 * Nothing but moat_natt_translate() needs them: the module makes checksums anew.
 *
 * Return: 0, or -1 with the reason in @in
 */
int moat_natt_take_originals(struct moat_ike1_in *in, struct moat_addr of[2],
			     bool *given);
/** moat_natt_translate() - IDs of hosts behind a NAT as the other side knows them */
int moat_natt_translate(struct moat_ike1_in *in, struct moat_selector *s);
/** moat_natt_float() - the initiator goes on at port 4500 when there is a NAT */
void moat_natt_float(struct moat_isakmp *sa);
/** moat_natt_begin() - a new phase 1 goes the way of the old one */
void moat_natt_begin(struct moat_isakmp *sa);
/** moat_natt_established() - say what was found; keepalives begin */
void moat_natt_established(struct moat_isakmp *sa);
/** moat_natt_may_move() - may this peer's address or port change? */
bool moat_natt_may_move(const struct moat_isakmp *sa);
/** moat_natt_moved() - an authentic message came from elsewhere */
void moat_natt_moved(const struct moat_ike1_in *in);
/** moat_natt_mapping() - so did an authentic packet, says the kernel */
void moat_natt_mapping(struct moat_ike *ike, const struct moat_event *event);

/* ---- dead peer detection: ike1_dpd.c, RFC 3706 ---- */

void moat_dpd_put_vendor(struct moat_build *b);
/** moat_dpd_take_vendor() - does a message of phase 1 say that the peer knows it? */
void moat_dpd_take_vendor(const struct moat_ike1_in *in);
/** moat_dpd_start() - phase 1 stands: from now on the peer is watched */
void moat_dpd_start(struct moat_isakmp *sa);
/** moat_dpd_sooner() - its terms may be others now: ask in time */
void moat_dpd_sooner(struct moat_isakmp *sa);
/**
 * moat_dpd_ask() - ask whether the peer is there, if it knows the question
 *
 * Return: the question's number, 0 when there is none.
 */
uint32_t moat_dpd_ask(struct moat_isakmp *sa);
/** moat_info_dpd() - send R-U-THERE or its answer, RFC 3706 section 5.3 */
void moat_info_dpd(struct moat_isakmp *sa, uint16_t type, uint32_t number);
/** moat_dpd_handle() - an authentic R-U-THERE or its answer */
void moat_dpd_handle(struct moat_isakmp *sa, const struct moat_notify *n);

/** moat_isakmp_heard() - an authentic message of the peer came just now: it lives */
void moat_isakmp_heard(struct moat_isakmp *sa);
/** moat_isakmp_pass() - to another tunnel of its peer, which was heard by it */
void moat_isakmp_pass(struct moat_isakmp *sa, struct moat_tunnel *to);

/* ---- when the peer has its SAs: ike1_ready.c ---- */

void moat_ready_put_vendor(struct moat_build *b);
/** moat_ready_take_vendor() - does a message of phase 1 say that the peer is a Moat? */
void moat_ready_take_vendor(const struct moat_ike1_in *in);
/** moat_ready_wait() - message 3 is sent: complete once the peer has its SAs */
void moat_ready_wait(struct moat_quick *quick);
/** moat_ready_answered() - the peer has done all that came before this question */
void moat_ready_answered(struct moat_isakmp *sa, uint32_t number);
/**
 * moat_ready_awaits() - is the peer to say CONNECTED with this message id?
 * @sa: the ISAKMP SA
 * @message_id: of a quick mode, and of the informational exchange that says it
 */
bool moat_ready_awaits(struct moat_isakmp *sa, uint32_t message_id);
/** moat_ready_connected() - it has said so, in whichever exchange */
void moat_ready_connected(struct moat_isakmp *sa, uint32_t message_id);
/** moat_ready_verify_4() - a fourth message of quick mode: CONNECTED? 0 or -1 */
int moat_ready_verify_4(struct moat_ike1_in *in);
void moat_ready_take_4(struct moat_ike1_in *in);

/* ---- other credentials in the configuration: ike1_renew.c ---- */

/** moat_renew_keep() - SKEYID is there: keep what shows which secret it came from */
void moat_renew_keep(struct moat_isakmp *sa);
void moat_renew_forget(struct moat_isakmp *sa);
/** moat_renew_check() - does the configuration still have the secret that made it? */
void moat_renew_check(struct moat_isakmp *sa);
/** moat_renew_all() - a configuration came: look at all of them */
void moat_renew_all(struct moat_ike *ike);
/** moat_renew_again() - after how many ms is another phase 1 tried? */
uint64_t moat_renew_again(const struct moat_isakmp *sa);
/** moat_renew_refuses() - no quick mode under an outdated one; the reason is in @in */
bool moat_renew_refuses(struct moat_ike1_in *in);

/* ---- a responder whose ISAKMP SA lives shorter: ike1_life.c ---- */

/** moat_life_shortened() - are we one, so that the peer needs to be told? */
bool moat_life_shortened(const struct moat_isakmp *sa);
/** moat_life_put() - write RESPONDER-LIFETIME for this ISAKMP SA */
void moat_life_put(const struct moat_isakmp *sa, struct moat_build *b);
/** moat_life_take() - the peer says so: it ends no later than the peer's */
void moat_life_take(struct moat_isakmp *sa, const struct moat_notify *n);
/** moat_info_lifetime() - say it in an informational exchange */
void moat_info_lifetime(struct moat_isakmp *sa);

/* ---- the peer deletes an ISAKMP SA: isakmp.c ---- */

/**
 * moat_isakmp_leave() - end it, but still take deletes of IPsec SAs for a while
 *
 * The peer sends them first, and the network may bring them last.
 */
void moat_isakmp_leave(struct moat_isakmp *sa);
/** moat_child_renew() - replace what a stranger may have ended with this ISAKMP SA */
void moat_child_renew(const struct moat_isakmp *sa);
/** moat_child_mark() - the same once there is another ISAKMP SA */
void moat_child_mark(const struct moat_isakmp *sa);
/** moat_child_fetch() - with this new one: what is marked, or leads elsewhere */
void moat_child_fetch(const struct moat_isakmp *sa);
/** moat_isakmp_forgotten() - end it: the peer has lost it, and what went with it */
void moat_isakmp_forgotten(struct moat_isakmp *sa);

/* ---- SPIs that one side does not have: ike1_spi.c ---- */

/** moat_spi_unknown() - a peer sends with an SPI that the kernel does not have */
void moat_spi_unknown(struct moat_ike *ike, const struct moat_event *event);
/** moat_spi_refused() - is it the peer's word that it does not have one of ours? */
bool moat_spi_refused(struct moat_isakmp *sa, const struct moat_notify *n);

/* ---- what a stranger can follow at a time: ike1_quicklife.c ---- */

/** moat_quick_turn() - may another one begin now? If not, moat_quick_next() calls later */
bool moat_quick_turn(struct moat_isakmp *sa, const struct moat_pair *pair);
/** moat_quick_crossed() - may a stranger have got another ISAKMP SA since it began? */
bool moat_quick_crossed(const struct moat_quick *quick);
/** moat_quick_answers() - is the peer in a quick mode that it has begun? */
bool moat_quick_answers(const struct moat_isakmp *sa);
/** moat_quick_under_way() - is one, of either side? */
bool moat_quick_under_way(const struct moat_isakmp *sa);
/** moat_quick_unserved() - the ISAKMP SA has gone: who waited under it goes on, or fails */
void moat_quick_unserved(struct moat_isakmp *sa);
/** moat_quick_next() - timer: whose turn has come asks again */
void moat_quick_next(struct moat_ike *ike, void *owner);

#endif
