// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * IKEv1 as a table: which message may come in which state, what it must hold,
 * who looks at it and what follows. Whatever has no row is dropped.
 */
#include "ike/ike1.h"

#define BIT(type) (1u << (type))

#define SA    BIT(MOAT_P_SA)
#define KE    BIT(MOAT_P_KE)
#define ID    BIT(MOAT_P_ID)
#define HASH  BIT(MOAT_P_HASH)
#define NONCE BIT(MOAT_P_NONCE)
/* One of them, as the method of authentication has it: moat_auth_proof() */
#define PROOF (HASH | BIT(MOAT_P_SIG))

/* What peers add and we may ignore: vendor ids, certificate requests, NAT-D. */
#define EXTRAS                                                                         \
	(BIT(MOAT_P_VENDOR) | BIT(MOAT_P_NOTIFY) | BIT(MOAT_P_CR) | BIT(MOAT_P_CERT) | \
	 BIT(MOAT_P_NAT_D) | BIT(MOAT_P_NAT_OA) | BIT(MOAT_P_DELETE))

/* These may stand in a message once; ID has its own rule. */
#define SINGLE (SA | KE | PROOF | NONCE)

static void overtaken(struct moat_ike1_in *in)
{
	(void)in;
}

static const struct moat_ike1_row rows[] = {
	/* Main mode, RFC 2409 section 5.4: the responder's side */
	{ MOAT_X_MAIN, false, MOAT_MM_NO_STATE, 1, MOAT_CLEAR, MOAT_HASH_NO, SA, EXTRAS,
	  moat_phase1_verify_offer, MOAT_MM_NO_STATE, MOAT_MM_SA_SETUP,
	  moat_main_answer_1 },
	{ MOAT_X_MAIN, false, MOAT_MM_SA_SETUP, 3, MOAT_CLEAR, MOAT_HASH_NO, KE | NONCE,
	  ID | HASH | EXTRAS, moat_phase1_verify_values, MOAT_MM_SA_SETUP,
	  MOAT_MM_KEY_EXCH, moat_main_answer_ke },
	{ MOAT_X_MAIN, false, MOAT_MM_KEY_EXCH, 5, MOAT_ENCRYPTED, MOAT_HASH_NO, 0,
	  ID | PROOF | EXTRAS, moat_main_verify_auth, MOAT_MM_KEY_AUTH, MOAT_MM_KEY_AUTH,
	  moat_main_finish },

	/* Main mode: the initiator's side */
	{ MOAT_X_MAIN, true, MOAT_MM_NO_STATE, 2, MOAT_CLEAR, MOAT_HASH_NO, SA, EXTRAS,
	  moat_phase1_verify_answer, MOAT_MM_SA_SETUP, MOAT_MM_SA_SETUP,
	  moat_main_answer_ke },
	{ MOAT_X_MAIN, true, MOAT_MM_SA_SETUP, 4, MOAT_CLEAR, MOAT_HASH_NO, KE | NONCE,
	  ID | HASH | EXTRAS, moat_phase1_verify_values, MOAT_MM_KEY_EXCH,
	  MOAT_MM_KEY_EXCH, moat_main_derive },
	{ MOAT_X_MAIN, true, MOAT_MM_KEY_EXCH, 6, MOAT_ENCRYPTED, MOAT_HASH_NO, 0,
	  ID | PROOF | EXTRAS, moat_main_verify_auth, MOAT_MM_KEY_AUTH, MOAT_MM_KEY_AUTH,
	  moat_main_finish },

	/* Aggressive mode, RFC 2409 section 5.4; message 3 is in clear or not */
	{ MOAT_X_AGGRESSIVE, false, MOAT_AG_NO_STATE, 1, MOAT_CLEAR, MOAT_HASH_NO,
	  SA | KE | NONCE | ID, HASH | EXTRAS, moat_aggressive_verify_1, MOAT_AG_NO_STATE,
	  MOAT_AG_INIT_EXCH, moat_aggressive_answer_1 },
	{ MOAT_X_AGGRESSIVE, true, MOAT_AG_NO_STATE, 2, MOAT_CLEAR, MOAT_HASH_NO,
	  SA | KE | NONCE | ID, PROOF | EXTRAS, moat_aggressive_verify_2,
	  MOAT_AG_INIT_EXCH, MOAT_AG_AUTH, moat_aggressive_answer_2 },
	{ MOAT_X_AGGRESSIVE, false, MOAT_AG_INIT_EXCH, 3, MOAT_EITHER, MOAT_HASH_NO, 0,
	  PROOF | EXTRAS, moat_aggressive_verify_3, MOAT_AG_AUTH, MOAT_AG_AUTH,
	  moat_aggressive_finish },

	/* Quick mode, RFC 2409 section 5.5 */
	{ MOAT_X_QUICK, false, MOAT_QUICK_NEW, 1, MOAT_ENCRYPTED, MOAT_HASH_1,
	  HASH | SA | NONCE, KE | ID | EXTRAS, moat_quick_verify_1, MOAT_QUICK_NEW,
	  MOAT_QUICK_SENT_2, moat_quick_answer_1 },
	{ MOAT_X_QUICK, false, MOAT_QUICK_SENT_2, 3, MOAT_ENCRYPTED, MOAT_HASH_3, HASH,
	  EXTRAS, moat_quick_verify_3, MOAT_QUICK_DONE, MOAT_QUICK_DONE,
	  moat_quick_done },
	/* ESP that the peer sent behind message 3 was quicker, and proved it all. */
	{ MOAT_X_QUICK, false, MOAT_QUICK_DONE, 3, MOAT_ENCRYPTED, MOAT_HASH_3, HASH,
	  EXTRAS, moat_quick_verify_3, MOAT_QUICK_DONE, MOAT_QUICK_DONE, overtaken },
	{ MOAT_X_QUICK, true, MOAT_QUICK_SENT_1, 2, MOAT_ENCRYPTED, MOAT_HASH_2,
	  HASH | SA | NONCE, KE | ID | EXTRAS, moat_quick_verify_2, MOAT_QUICK_DONE,
	  MOAT_QUICK_DONE, moat_quick_answer_2 },

	/* Of responders that set the commit bit: see ike1_ready.c */
	{ MOAT_X_QUICK, true, MOAT_QUICK_DONE, 4, MOAT_ENCRYPTED, MOAT_HASH_1, HASH,
	  EXTRAS, moat_ready_verify_4, MOAT_QUICK_DONE, MOAT_QUICK_DONE,
	  moat_ready_take_4 },

	/* Informational exchange, RFC 2409 section 5.7, either role */
	{ MOAT_X_INFORMATIONAL, false, MOAT_QM_IDLE, 1, MOAT_ENCRYPTED, MOAT_HASH_1, HASH,
	  EXTRAS, moat_info_verify, MOAT_QM_IDLE, MOAT_QM_IDLE, moat_info_handle },
	{ MOAT_X_INFORMATIONAL, true, MOAT_QM_IDLE, 1, MOAT_ENCRYPTED, MOAT_HASH_1, HASH,
	  EXTRAS, moat_info_verify, MOAT_QM_IDLE, MOAT_QM_IDLE, moat_info_handle },
};

const struct moat_ike1_row *moat_ike1_row(uint8_t exchange, bool initiator,
					  enum moat_state state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct moat_ike1_row *row = &rows[i];

		if (row->exchange == exchange && row->initiator == initiator &&
		    row->state == state)
			return row;
	}
	return NULL;
}

static int check_ids(const struct moat_ike1_row *row, const struct moat_message *msg,
		     struct moat_refusal *no)
{
	unsigned int count = moat_message_count(msg, MOAT_P_ID);
	bool quick = row->exchange == MOAT_X_QUICK;

	if (quick ? count != 0 && count != 2 : count > 1)
		return moat_refuse(no, MOAT_REFUSE_PAYLOAD_COUNT,
				   "message %u has %u ID payloads, expected %s",
				   row->number, count, quick ? "none or 2" : "1");
	return 0;
}

int moat_ike1_payloads(const struct moat_ike1_row *row, const struct moat_message *msg,
		       struct moat_refusal *no)
{
	const struct moat_payload *p;
	uint32_t found = 0;

	moat_payload_for_each(p, msg) {
		uint32_t bit = p->type < 32 ? BIT(p->type) : 0;

		if (!bit)
			continue;
		if (!(bit & (row->required | row->optional)))
			return moat_refuse(no, MOAT_REFUSE_PAYLOAD_TYPE,
					   "message %u may not hold a %s payload",
					   row->number, moat_payload_name(p->type));
		if (bit & found & SINGLE)
			return moat_refuse(no, MOAT_REFUSE_PAYLOAD_COUNT,
					   "message %u has two %s payloads", row->number,
					   moat_payload_name(p->type));
		found |= bit;
	}
	for (unsigned int type = 0; type < 32; type++) {
		if (BIT(type) & row->required & ~found)
			return moat_refuse(no, MOAT_REFUSE_PAYLOAD_COUNT,
					   "message %u lacks its %s payload", row->number,
					   moat_payload_name(type));
	}
	return check_ids(row, msg, no);
}

const char *moat_state_name(enum moat_state state)
{
	static const char *const names[] = {
		[MOAT_STATE_NONE] = "",
		[MOAT_MM_NO_STATE] = "MM_NO_STATE",
		[MOAT_MM_SA_SETUP] = "MM_SA_SETUP",
		[MOAT_MM_KEY_EXCH] = "MM_KEY_EXCH",
		[MOAT_MM_KEY_AUTH] = "MM_KEY_AUTH",
		[MOAT_AG_NO_STATE] = "AG_NO_STATE",
		[MOAT_AG_INIT_EXCH] = "AG_INIT_EXCH",
		[MOAT_AG_AUTH] = "AG_AUTH",
		[MOAT_QM_IDLE] = "QM_IDLE",
		[MOAT_QUICK_NEW] = "QUICK_NEW",
		[MOAT_QUICK_SENT_1] = "QUICK_SENT_1",
		[MOAT_QUICK_SENT_2] = "QUICK_SENT_2",
		[MOAT_QUICK_DONE] = "QUICK_DONE",
	};

	return names[state];
}
