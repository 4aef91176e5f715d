// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Aggressive mode, both roles: RFC 2409 section 5.4. Three messages, and the
 * identities in clear.
 */
#include "ike/ike1.h"

#include <string.h>

/*
 * A responder's answer waits for the keys, since it holds HASH_R; what it chose
 * stays until then as octets, for views must not outlive a step.
 */
static void put_answer(struct moat_isakmp *sa, struct moat_build *b)
{
	struct moat_ike_want wanted = moat_phase1_want(sa->tunnel);
	struct moat_sa_payload offer;
	struct moat_ike_choice choice;
	struct moat_mismatch why;

	wanted.group = sa->alg.group;
	if (moat_sa_parse(moat_blob_view(&sa->sai), &offer, NULL) ||
	    moat_ike_choose(&wanted, &offer, MOAT_SA_OFFER, &choice, &why))
		b->broken = true;
	else
		moat_ike_answer_build(b, &choice);
}

static void put_abilities(struct moat_isakmp *sa, struct moat_build *b)
{
	moat_dpd_put_vendor(b);
	moat_ready_put_vendor(b);
	moat_natt_put_vendor(sa, b);
	moat_fragment_put_vendor(sa, b);
}

static void send_1(struct moat_isakmp *sa)
{
	struct moat_ike_want wanted = moat_phase1_want(sa->tunnel);
	struct moat_ike1_out out;

	moat_ike1_begin(&out, sa, MOAT_X_AGGRESSIVE, 0, false);
	moat_ike_offer_build(&out.b, &wanted);
	moat_blob_set(&sa->sai, out.buf + MOAT_HDR_LEN + MOAT_GENERIC_LEN,
		      out.b.used - MOAT_HDR_LEN - MOAT_GENERIC_LEN);
	if (moat_enc_hides_rest(sa))
		put_abilities(sa, &out.b);
	moat_phase1_put_values(sa, &out.b);
	if (!moat_enc_used(sa))
		moat_auth_put_id(sa, &out.b);
	if (!moat_enc_hides_rest(sa))
		put_abilities(sa, &out.b);
	if (moat_ike1_send(&out, sa, &sa->flight, NULL, 1, MOAT_AG_NO_STATE))
		moat_isakmp_fail(sa, "message 1 could not be written");
	else
		moat_phase1_watch(sa);
}

/* The peer repeats message 1 when it misses this one: its address is unproven. */
static void send_2(struct moat_isakmp *sa)
{
	struct moat_ike1_out out;

	moat_ike1_begin(&out, sa, MOAT_X_AGGRESSIVE, 0, false);
	put_answer(sa, &out.b);
	if (moat_enc_hides_rest(sa)) {
		put_abilities(sa, &out.b);
		moat_natt_put_discovery(sa, &out.b);
	}
	moat_phase1_put_values(sa, &out.b);
	if (!moat_enc_used(sa))
		moat_auth_put_id(sa, &out.b);
	moat_auth_put_proof(sa, &out.b);
	if (!moat_enc_hides_rest(sa)) {
		put_abilities(sa, &out.b);
		moat_natt_put_discovery(sa, &out.b);
	}
	if (moat_ike1_send(&out, sa, &sa->flight, NULL, 2, MOAT_AG_INIT_EXCH))
		moat_isakmp_fail(sa, "message 2 could not be written");
}

/*
 * Nobody answers message 3. Until the peer has said something under the new keys
 * it is repeated, or a lost one would leave us with half an ISAKMP SA.
 */
static void send_3(struct moat_isakmp *sa)
{
	struct moat_ike1_out out;

	moat_ike1_begin(&out, sa, MOAT_X_AGGRESSIVE, 0, true);
	moat_auth_put_proof(sa, &out.b);
	moat_natt_put_discovery(sa, &out.b);
	moat_phase1_put_contact(sa, &out.b);
	if (moat_ike1_send(&out, sa, &sa->flight, sa->iv, 3, sa->state)) {
		moat_isakmp_fail(sa, "message 3 could not be written");
		return;
	}
	moat_phase1_watch(sa);
	moat_isakmp_established(sa);
}

void moat_aggressive_have_values(struct moat_isakmp *sa)
{
	if (sa->initiator)
		send_1(sa);
	else
		moat_phase1_derive(sa);
}

void moat_aggressive_proved(struct moat_isakmp *sa)
{
	if (sa->initiator)
		send_3(sa);
	else
		send_2(sa);
}

/* The initiator could not check HASH_R before. */
void moat_aggressive_have_keys(struct moat_isakmp *sa)
{
	if (sa->initiator) {
		int ret = moat_auth_verify(sa, 2, moat_blob_view(&sa->proof));

		if (ret == MOAT_AUTH_LATER)
			return;
		if (ret) {
			moat_isakmp_fail(sa, "message 2 is not authentic");
			return;
		}
		moat_ike1_trace(sa, NULL, moat_exchange_name(sa->exchange), false, 0, "",
				sa->state, MOAT_AG_AUTH, true, false);
		sa->state = MOAT_AG_AUTH;
	}
	moat_auth_prove(sa);
}

int moat_aggressive_verify_1(struct moat_ike1_in *in)
{
	if (moat_phase1_verify_offer(in) || moat_phase1_verify_values(in))
		return -1;
	return moat_enc_used(in->sa) ? 0 : moat_auth_take_id(in);
}

void moat_aggressive_answer_1(struct moat_ike1_in *in)
{
	moat_phase1_cookie(in->sa);
	moat_phase1_generate(in->sa);
}

int moat_aggressive_verify_2(struct moat_ike1_in *in)
{
	struct moat_isakmp *sa = in->sa;
	struct moat_view proof;

	if (moat_phase1_verify_answer(in) || moat_phase1_verify_values(in) ||
	    (!moat_enc_used(sa) && moat_auth_take_id(in)) ||
	    moat_auth_proof(in, &proof) || moat_sig_take_certs(in))
		return -1;
	moat_blob_set(&sa->proof, proof.data, proof.len);
	return 0;
}

void moat_aggressive_answer_2(struct moat_ike1_in *in)
{
	moat_natt_take_discovery(in);
	moat_natt_float(in->sa);
	moat_phase1_derive(in->sa);
}

int moat_aggressive_verify_3(struct moat_ike1_in *in)
{
	struct moat_view proof;
	int ret;

	if (moat_auth_proof(in, &proof) || moat_sig_take_certs(in))
		return -1;
	ret = moat_auth_verify(in->sa, 3, proof);
	return ret == MOAT_AUTH_LATER ? moat_ike1_wait(in) : ret;
}

void moat_aggressive_finish(struct moat_ike1_in *in)
{
	bool shortened;

	moat_natt_take_discovery(in);
	/*
	 * HASH_I covers no notification: in clear, anybody could have put it there. NAT-D
	 * is not covered anywhere (RFC 3947 section 7), and some peers send it so.
	 */
	if (in->hdr.flags & MOAT_FLAG_ENCRYPTION)
		moat_phase1_take_contact(in);
	shortened = moat_life_shortened(in->sa);
	moat_isakmp_established(in->sa);
	if (shortened && !in->sa->dead)
		moat_info_lifetime(in->sa);
}
