// SPDX-License-Identifier: GPL-2.0-or-later
/* Informational exchange: notifications and deletes, RFC 2409 section 5.7. */
#include "ike/ike1.h"

#include <stdio.h>
#include <string.h>

#define NOTIFY_ERRORS 16384 /* below: errors; RFC 2408 section 3.14.1 */
#define NOTIFY_LEN    (MOAT_HDR_LEN + MOAT_GENERIC_LEN + 8)

/* ---- sending ---- */

static void begin_protected(struct moat_ike1_out *out, struct moat_isakmp *sa,
			    uint32_t id)
{
	moat_ike1_begin(out, sa, MOAT_X_INFORMATIONAL, id, true);
	moat_ike1_hash(out, sa);
}

static void send_protected(struct moat_ike1_out *out, struct moat_isakmp *sa, uint32_t id,
			   struct moat_flight *keep)
{
	uint8_t iv[MOAT_BLOCK_MAX];

	if (!out->hash || moat_hash_1(&sa->keys, id, moat_ike1_hashed(out), out->hash) ||
	    moat_iv_exchange(&sa->alg, sa->iv, id, iv))
		return;
	moat_ike1_send(out, sa, keep, iv, 1, sa->state);
}

void moat_info_notify(struct moat_isakmp *sa, struct moat_flight *keep, uint8_t protocol,
		      uint16_t type, struct moat_view spi)
{
	uint32_t id = moat_isakmp_message_id(sa);
	struct moat_ike1_out out;

	begin_protected(&out, sa, id);
	moat_build_notify(&out.b, protocol, type, spi, moat_view(NULL, 0));
	send_protected(&out, sa, id, keep);
}

void moat_info_dpd(struct moat_isakmp *sa, uint16_t type, uint32_t number)
{
	uint32_t id = moat_isakmp_message_id(sa);
	uint8_t spi[2 * MOAT_COOKIE_LEN];
	struct moat_ike1_out out;
	uint8_t octets[4];

	memcpy(spi, sa->cky.i, MOAT_COOKIE_LEN);
	memcpy(spi + MOAT_COOKIE_LEN, sa->cky.r, MOAT_COOKIE_LEN);
	moat_set32(octets, number);
	begin_protected(&out, sa, id);
	moat_build_notify(&out.b, MOAT_PROTO_ISAKMP, type, moat_view(spi, sizeof(spi)),
			  moat_view(octets, sizeof(octets)));
	send_protected(&out, sa, id, NULL);
}

void moat_info_lifetime(struct moat_isakmp *sa)
{
	uint32_t id = moat_isakmp_message_id(sa);
	struct moat_ike1_out out;

	begin_protected(&out, sa, id);
	moat_life_put(sa, &out.b);
	send_protected(&out, sa, id, NULL);
}

void moat_info_delete_child(struct moat_isakmp *sa, uint32_t id, uint8_t protocol,
			    uint32_t spi)
{
	struct moat_ike1_out out;
	uint8_t octets[4];

	moat_set32(octets, spi);
	begin_protected(&out, sa, id);
	moat_build_delete(&out.b, protocol, sizeof(octets),
			  moat_view(octets, sizeof(octets)));
	send_protected(&out, sa, id, NULL);
}

void moat_info_delete_isakmp(struct moat_isakmp *sa, const struct moat_cookies *cky)
{
	uint32_t id = moat_isakmp_message_id(sa);
	uint8_t spi[2 * MOAT_COOKIE_LEN];
	struct moat_ike1_out out;

	memcpy(spi, cky->i, MOAT_COOKIE_LEN);
	memcpy(spi + MOAT_COOKIE_LEN, cky->r, MOAT_COOKIE_LEN);
	begin_protected(&out, sa, id);
	moat_build_delete(&out.b, MOAT_PROTO_ISAKMP, sizeof(spi),
			  moat_view(spi, sizeof(spi)));
	send_protected(&out, sa, id, NULL);
}

/* In one message, or the delete might come first. */
void moat_info_refuse_6(struct moat_isakmp *sa, uint16_t type)
{
	uint32_t id = moat_isakmp_message_id(sa);
	uint8_t spi[2 * MOAT_COOKIE_LEN];
	struct moat_view cky = moat_view(spi, sizeof(spi));
	struct moat_ike1_out out;

	memcpy(spi, sa->cky.i, MOAT_COOKIE_LEN);
	memcpy(spi + MOAT_COOKIE_LEN, sa->cky.r, MOAT_COOKIE_LEN);
	begin_protected(&out, sa, id);
	moat_build_notify(&out.b, MOAT_PROTO_ISAKMP, type, cky, moat_view(NULL, 0));
	moat_build_delete(&out.b, MOAT_PROTO_ISAKMP, sizeof(spi), cky);
	send_protected(&out, sa, id, NULL);
}

static void send_clear(struct moat_isakmp *sa, uint16_t type)
{
	struct moat_ike1_out out;
	uint32_t id;

	moat_core_random(sa->ike, &id, sizeof(id));
	moat_ike1_begin(&out, sa, MOAT_X_INFORMATIONAL, id | 1, false);
	moat_build_notify(&out.b, MOAT_PROTO_ISAKMP, type, moat_view(NULL, 0),
			  moat_view(NULL, 0));
	moat_ike1_send(&out, sa, NULL, NULL, 1, sa->state);
}

void moat_info_refuse(struct moat_ike1_in *in, uint16_t type)
{
	static const uint8_t none[MOAT_COOKIE_LEN];
	struct moat_isakmp *sa = in->sa;
	struct moat_cookies cky = sa->cky;

	/* Who forges an address does not have us send more than he did himself. */
	if (sa->complained || in->data.len < NOTIFY_LEN)
		return;
	sa->complained = true;
	memcpy(sa->cky.r, in->hdr.cookie_r, MOAT_COOKIE_LEN);
	/* An answer to message 1 has a cookie that serves for nothing else. */
	if (!memcmp(sa->cky.r, none, sizeof(none)))
		moat_core_random(in->ike, sa->cky.r, MOAT_COOKIE_LEN);
	send_clear(sa, type);
	sa->cky = cky;
}

void moat_info_refuse_auth(struct moat_isakmp *sa, uint16_t type)
{
	send_clear(sa, type);
}

/* ---- receiving in clear ---- */

/* What to do about a peer's error in phase 1, and with which setting. */
static const char *advice(const struct moat_isakmp *sa, uint16_t type,
			  enum moat_conf_key *key)
{
	*key = MOAT_CONF_NONE;
	switch (type) {
	case MOAT_N_NO_PROPOSAL_CHOSEN:
		*key = MOAT_CONF_IKE;
		return "it accepts none of our proposals";
	case MOAT_N_AUTHENTICATION_FAILED:
		return sa->tunnel->conf.auth == MOAT_METHOD_RSA_SIG
			       ? "its log says what is wrong with our certificate"
			       : moat_auth_suspicion(sa);
	case MOAT_N_INVALID_ID_INFORMATION:
		*key = MOAT_CONF_LOCAL_ID;
		return "compare our local-id with the peer's remote-id";
	case MOAT_N_INVALID_EXCHANGE_TYPE:
		*key = MOAT_CONF_EXCHANGE;
		return "one side has main mode, the other one aggressive mode: compare "
		       "exchange of both";
	default:
		return "its log says more";
	}
}

/*
 * Anybody on the path could have sent it. So it ends nothing: it gives the
 * operator a hint, and an attempt that has no better news gives up soon.
 */
void moat_info_clear(struct moat_ike1_in *in)
{
	struct moat_isakmp *sa = in->sa;
	size_t len = in->data.len - MOAT_HDR_LEN;
	const struct moat_payload *p;
	struct moat_mismatch offered = { .key = MOAT_CONF_IKE };
	struct moat_ike_want want;
	struct moat_notify n;

	/* A responder hears so that its message 2 of aggressive mode was refused. */
	if (sa->told ||
	    (sa->initiator ? sa->state == MOAT_QM_IDLE : sa->state != MOAT_AG_INIT_EXCH))
		return;
	memcpy(in->plain, in->data.data + MOAT_HDR_LEN, len);
	if (moat_chain_parse(in->hdr.next_payload, moat_view(in->plain, len), false,
			     &in->msg, &in->no))
		return;
	p = moat_message_find(&in->msg, MOAT_P_NOTIFY);
	if (!p || moat_notify_parse(p->body, &n, &in->no) || n.type >= NOTIFY_ERRORS)
		return;
	sa->told = true;
	snprintf(sa->hint, sizeof(sa->hint), "the peer says %s (not authenticated): %s",
		 moat_notify_name(n.type), advice(sa, n.type, &offered.key));
	want = moat_phase1_want(sa->tunnel);
	if (n.type == MOAT_N_NO_PROPOSAL_CHOSEN)
		moat_ike_want_print(&want, &offered);
	else
		snprintf(offered.text, sizeof(offered.text), "%s",
			 advice(sa, n.type, &offered.key));
	moat_act_explain(in->ike->acts,
			 n.type == MOAT_N_NO_PROPOSAL_CHOSEN ? "ike-no-proposal"
							     : "ike-notify",
			 &sa->tunnel->conf, &sa->remote.addr, &offered,
			 "phase 1: the peer says %s (not authenticated)",
			 moat_notify_name(n.type));
	if (sa->initiator)
		moat_ike1_give_up(in->ike, &sa->flight);
}

/* ---- receiving, protected ---- */

int moat_info_verify(struct moat_ike1_in *in)
{
	const struct moat_payload *p;
	struct moat_delete d;
	struct moat_notify n;

	moat_payload_for_each(p, &in->msg) {
		if (p->type == MOAT_P_NOTIFY && moat_notify_parse(p->body, &n, &in->no))
			return -1;
		if (p->type == MOAT_P_DELETE && moat_delete_parse(p->body, &d, &in->no))
			return -1;
	}
	return 0;
}

static void handle_notify(struct moat_ike1_in *in, const struct moat_payload *p)
{
	struct moat_isakmp *sa = in->sa;
	char name[MOAT_ISAKMP_STRLEN];
	struct moat_notify n;

	if (moat_notify_parse(p->body, &n, NULL))
		return;
	if (n.type == MOAT_N_INITIAL_CONTACT)
		moat_info_initial_contact(sa);
	else if (n.type == MOAT_N_R_U_THERE || n.type == MOAT_N_R_U_THERE_ACK)
		moat_dpd_handle(sa, &n);
	else if (n.type == MOAT_N_RESPONDER_LIFETIME)
		moat_life_take(sa, &n);
	else if (n.type == MOAT_N_CONNECTED)
		moat_ready_connected(sa, in->hdr.message_id);
	else if (moat_spi_refused(sa, &n))
		return;
	else if (n.type < NOTIFY_ERRORS)
		moat_refused_handle(sa, &n);
	else
		moat_act_log(sa->ike->acts, MOAT_LOG_DEBUG, "ike-notify",
			     sa->tunnel->conf.name, "the peer says %s (%u); %s",
			     moat_notify_name(n.type), n.type,
			     moat_isakmp_name(sa, name));
}

/* Of this peer alone: behind one NAT, at one address, are several. */
static struct moat_isakmp *isakmp_of_spi(struct moat_isakmp *sa, const uint8_t *spi)
{
	struct moat_isakmp *other;

	TAILQ_FOREACH(other, &sa->ike->isakmps, link) {
		if (!memcmp(other->cky.i, spi, MOAT_COOKIE_LEN) &&
		    !memcmp(other->cky.r, spi + MOAT_COOKIE_LEN, MOAT_COOKIE_LEN) &&
		    moat_tunnel_same_peer(other->tunnel, sa->tunnel) &&
		    other->state == MOAT_QM_IDLE)
			return other;
	}
	return NULL;
}

static void handle_delete(struct moat_isakmp *sa, const struct moat_payload *p)
{
	char name[MOAT_ISAKMP_STRLEN];
	struct moat_delete d;

	if (moat_delete_parse(p->body, &d, NULL))
		return;
	for (unsigned int i = 0; i < d.count; i++) {
		const uint8_t *spi = d.spis.data + (size_t)i * d.spi_size;
		struct moat_isakmp *other;

		if (d.protocol == MOAT_PROTO_ESP || d.protocol == MOAT_PROTO_AH) {
			moat_child_deleted(sa, d.protocol, moat_get32(spi));
			continue;
		}
		other = d.protocol == MOAT_PROTO_ISAKMP ? isakmp_of_spi(sa, spi) : NULL;
		if (!other)
			continue;
		moat_act_log(sa->ike->acts, MOAT_LOG_INFO, "ike-deleted",
			     other->tunnel->conf.name,
			     "the peer deleted the ISAKMP SA, its IPsec SAs stay; %s",
			     moat_isakmp_name(other, name));
		moat_isakmp_leave(other);
	}
}

void moat_info_handle(struct moat_ike1_in *in)
{
	const struct moat_payload *p;

	moat_payload_for_each(p, &in->msg) {
		if (p->type == MOAT_P_NOTIFY && !in->sa->dead)
			handle_notify(in, p);
		else if (p->type == MOAT_P_DELETE)
			handle_delete(in->sa, p);
	}
}

/*
 * The peer has nothing in common with us any more: it was restarted. What is
 * younger than this ISAKMP SA it knows, so that stays. Of others than Moat it may
 * not be true: IPsec SAs are not left before there are new ones.
 */
void moat_info_initial_contact(struct moat_isakmp *sa)
{
	struct moat_ike *ike = sa->ike;
	struct moat_isakmp *other = TAILQ_FIRST(&ike->isakmps);
	char name[MOAT_ISAKMP_STRLEN];

	if (sa->contact)
		return;
	sa->contact = true;
	moat_act_log(ike->acts, MOAT_LOG_INFO, "ike-initial-contact",
		     sa->tunnel->conf.name,
		     "the peer starts afresh: SAs from before %s; %s",
		     sa->moat ? "end" : "are replaced", moat_isakmp_name(sa, name));
	while (other) {
		struct moat_isakmp *next = TAILQ_NEXT(other, link);

		if (other != sa && other->state == MOAT_QM_IDLE &&
		    other->established < sa->created &&
		    moat_tunnel_same_peer(other->tunnel, sa->tunnel))
			moat_isakmp_remove(other);
		other = next;
	}
	if (sa->moat)
		moat_peer_forget_children(sa->tunnel, sa->created,
					  "the peer was restarted");
	else
		moat_peer_doubt_children(sa->tunnel, sa->created);
}
