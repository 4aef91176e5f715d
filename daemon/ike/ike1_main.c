// SPDX-License-Identifier: GPL-2.0-or-later
/* Main mode, both roles: RFC 2409 section 5.4. */
#include "ike/ike1.h"
#include "ike/wild.h"

#include <string.h>

/* ---- messages 1 and 2: the proposals ---- */

void moat_main_begin(struct moat_isakmp *sa)
{
	struct moat_ike_want wanted = moat_phase1_want(sa->tunnel);
	struct moat_ike1_out out;

	moat_ike1_begin(&out, sa, MOAT_X_MAIN, 0, false);
	moat_ike_offer_build(&out.b, &wanted);
	moat_blob_set(&sa->sai, out.buf + MOAT_HDR_LEN + MOAT_GENERIC_LEN,
		      out.b.used - MOAT_HDR_LEN - MOAT_GENERIC_LEN);
	moat_dpd_put_vendor(&out.b);
	moat_ready_put_vendor(&out.b);
	moat_natt_put_vendor(sa, &out.b);
	moat_fragment_put_vendor(sa, &out.b);
	if (moat_ike1_send(&out, sa, &sa->flight, NULL, 1, MOAT_MM_NO_STATE))
		moat_isakmp_fail(sa, "message 1 could not be written");
	else
		moat_phase1_watch(sa);
}

void moat_main_answer_1(struct moat_ike1_in *in)
{
	struct moat_isakmp *sa = in->sa;
	struct moat_ike1_out out;

	moat_phase1_cookie(sa);
	moat_ike1_begin(&out, sa, MOAT_X_MAIN, 0, false);
	moat_ike_answer_build(&out.b, &in->choice);
	moat_dpd_put_vendor(&out.b);
	moat_ready_put_vendor(&out.b);
	moat_natt_put_vendor(sa, &out.b);
	moat_fragment_put_vendor(sa, &out.b);
	if (moat_ike1_send(&out, sa, &sa->flight, NULL, 2, in->row->sent))
		moat_isakmp_fail(sa, "message 2 could not be written");
}

/* ---- messages 3 and 4: Diffie-Hellman and nonces ---- */

void moat_main_answer_ke(struct moat_ike1_in *in)
{
	if (!in->sa->initiator)
		moat_natt_take_discovery(in);
	moat_phase1_generate(in->sa);
}

void moat_main_have_values(struct moat_isakmp *sa)
{
	struct moat_ike1_out out;
	enum moat_state after = sa->initiator ? MOAT_MM_SA_SETUP : MOAT_MM_KEY_EXCH;

	moat_ike1_begin(&out, sa, MOAT_X_MAIN, 0, false);
	if (moat_enc_hides_rest(sa))
		moat_natt_put_discovery(sa, &out.b);
	moat_phase1_put_values(sa, &out.b);
	if (!moat_enc_hides_rest(sa))
		moat_natt_put_discovery(sa, &out.b);
	if (moat_ike1_send(&out, sa, &sa->flight, NULL, sa->initiator ? 3 : 4, after))
		moat_isakmp_fail(sa, "message with KE and NONCE could not be written");
	else if (sa->initiator)
		moat_phase1_watch(sa);
	else
		moat_phase1_derive(sa);
}

void moat_main_derive(struct moat_ike1_in *in)
{
	moat_natt_take_discovery(in);
	moat_natt_float(in->sa);
	moat_phase1_derive(in->sa);
}

/* ---- messages 5 and 6: identities ---- */

void moat_main_have_keys(struct moat_isakmp *sa)
{
	if (sa->initiator)
		moat_auth_prove(sa);
	else
		moat_ike1_held(sa);
}

void moat_main_proved(struct moat_isakmp *sa)
{
	struct moat_ike1_out out;

	moat_ike1_begin(&out, sa, MOAT_X_MAIN, 0, true);
	if (!moat_enc_used(sa))
		moat_auth_put_id(sa, &out.b);
	moat_auth_put_proof(sa, &out.b);
	moat_phase1_put_contact(sa, &out.b);
	if (moat_life_shortened(sa))
		moat_life_put(sa, &out.b);
	if (moat_ike1_send(&out, sa, &sa->flight, sa->iv, sa->initiator ? 5 : 6,
			   sa->state))
		moat_isakmp_fail(sa, "message with ID and HASH could not be written");
	else if (sa->initiator)
		moat_phase1_watch(sa);
	else
		moat_isakmp_established(sa);
}

/*
 * With message 6 the responder has established it, and believes nothing in clear any
 * more: it is told under its keys. What it sends next has the IV that stands still.
 */
static void refuse_6(const struct moat_ike1_in *in)
{
	struct moat_isakmp *sa = in->sa;
	uint8_t iv[MOAT_BLOCK_MAX];

	memcpy(iv, sa->iv, sizeof(iv));
	memcpy(sa->iv, in->iv, sizeof(sa->iv));
	moat_info_refuse_6(sa, MOAT_N_AUTHENTICATION_FAILED);
	memcpy(sa->iv, iv, sizeof(sa->iv));
}

int moat_main_verify_auth(struct moat_ike1_in *in)
{
	struct moat_isakmp *sa = in->sa;
	bool told = sa->told;
	struct moat_view proof;
	int ret;

	if (moat_auth_proof(in, &proof) || moat_auth_take_id(in) ||
	    moat_sig_take_certs(in))
		return -1;
	moat_phase1_reselect(sa);
	ret = moat_auth_verify(sa, in->row->number, proof);
	if (ret == MOAT_AUTH_LATER)
		return moat_ike1_wait(in);
	if (ret && sa->initiator && sa->told && !told)
		refuse_6(in);
	return ret;
}

void moat_main_finish(struct moat_ike1_in *in)
{
	if (!moat_wild_take(in->sa))
		return;
	moat_phase1_take_contact(in);
	if (in->sa->initiator)
		moat_isakmp_established(in->sa);
	else
		moat_auth_prove(in->sa);
}
