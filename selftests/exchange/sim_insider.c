// SPDX-License-Identifier: GPL-2.0-or-later
/* What a peer can send that has authenticated itself, and that we would not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "ike/dh.h"
#include "sim_case.h"
#include "sim_insider.h"
#include "sim_internal.h"

void sim_insider_begin(struct moat_ike1_out *out, struct moat_isakmp *sa,
		       uint8_t exchange, uint32_t id)
{
	moat_ike1_begin(out, sa, exchange, id, true);
	moat_ike1_hash(out, sa);
}

void sim_insider_quick_1(struct sim *sim, struct moat_isakmp *sa, struct moat_build *b,
			 const struct sim_quick_1 *how)
{
	const struct moat_pair *pair = &sa->tunnel->pairs[0];
	struct moat_sa_want want = {
		.esp = how->esp,
		.mode = MOAT_MODE_TUNNEL,
		.life_seconds = 3600,
	};
	uint8_t priv[MOAT_DH_PRIVATE_MAX] = { 1 };
	static uint8_t pub[MOAT_DH_PUBLIC_MAX];
	static enum moat_group made;
	static const uint8_t nothing[MOAT_DH_PUBLIC_MAX];
	uint8_t nonce[257] = { (uint8_t)sim_random(sim, 256) };
	struct moat_blob id[2] = { { 0 } };

	if (how->group != MOAT_GROUP_NONE && made != how->group) {
		assert_int_equal(moat_dh_public(how->group, priv, pub), 0);
		made = how->group;
	}
	moat_quick_id_build(&pair->selector.local, how->protocol, 0, &id[0]);
	moat_quick_id_build(&pair->selector.remote, how->protocol ^ how->other, 0,
			    &id[1]);
	moat_sa_offer_build(b, &want, (uint32_t)sim_random(sim, UINT32_MAX), 0);
	moat_build_payload(b, MOAT_P_NONCE,
			   moat_view(nonce, how->nonce ? how->nonce : 32));
	if (how->group != MOAT_GROUP_NONE)
		moat_build_payload(b, MOAT_P_KE,
				   moat_view(how->nothing ? nothing : pub,
					     moat_dh_public_len(how->group)));
	for (int i = 0; i < 2; i++) {
		moat_build_payload(b, MOAT_P_ID, moat_blob_view(&id[i]));
		moat_blob_clear(&id[i]);
	}
}

/* Complete but for its encryption. */
static size_t finish(struct moat_isakmp *sa, struct moat_ike1_out *out, uint32_t id,
		     bool clear)
{
	struct moat_view rest = moat_ike1_hashed(out);
	size_t len;

	assert_int_equal(moat_hash_1(&sa->keys, id, rest, out->hash), 0);
	if (!clear)
		moat_build_pad(&out->b, moat_cipher_block(sa->alg.cipher));
	len = moat_build_finish(&out->b);
	assert_true(len);
	return len;
}

void sim_insider_send(struct sim *sim, struct moat_isakmp *sa, struct moat_ike1_out *out,
		      uint32_t id, bool clear)
{
	uint8_t iv[MOAT_BLOCK_MAX];
	size_t len;

	assert_int_equal(moat_iv_exchange(&sa->alg, sa->iv, id, iv), 0);
	if (!clear) {
		sim_insider_send_by(sim, sa, out, id, iv);
		return;
	}
	len = finish(sa, out, id, clear);
	out->buf[19] &= (uint8_t)~MOAT_FLAG_ENCRYPTION;
	sim_inject(sim, 1, out->buf, len);
}

size_t sim_insider_seal(struct moat_isakmp *sa, struct moat_ike1_out *out, uint32_t id,
			uint8_t *iv)
{
	size_t len = finish(sa, out, id, false);

	assert_int_equal(moat_cbc_encrypt(&sa->alg, sa->keys.key, iv,
					  out->buf + MOAT_HDR_LEN, len - MOAT_HDR_LEN),
			 0);
	return len;
}

void sim_insider_send_by(struct sim *sim, struct moat_isakmp *sa,
			 struct moat_ike1_out *out, uint32_t id, uint8_t *iv)
{
	sim_inject(sim, 1, out->buf, sim_insider_seal(sa, out, id, iv));
}

void sim_insider_crypt_5(const struct moat_isakmp *sa, uint8_t *message, size_t len,
			 int (*crypt)(const struct moat_ike_alg *, const uint8_t *,
				      uint8_t *, uint8_t *, size_t))
{
	uint8_t iv[MOAT_BLOCK_MAX];

	assert_int_equal(moat_iv_phase1(&sa->alg, moat_blob_view(&sa->ke[0]),
					moat_blob_view(&sa->ke[1]), iv),
			 0);
	assert_int_equal(crypt(&sa->alg, sa->keys.key, iv, message + MOAT_HDR_LEN,
			       len - MOAT_HDR_LEN),
			 0);
}

size_t sim_insider_double(uint8_t *message, size_t len, uint8_t type)
{
	const struct moat_payload *p, *last;
	struct moat_message msg;
	uint8_t *end;
	size_t more;

	assert_int_equal(
		moat_chain_parse(message[16],
				 moat_view(message + MOAT_HDR_LEN, len - MOAT_HDR_LEN),
				 true, &msg, NULL),
		0);
	p = moat_message_find(&msg, type);
	assert_non_null(p);
	last = &msg.payloads[msg.count - 1];
	end = message + (last->body.data - message) + last->body.len;
	more = MOAT_GENERIC_LEN + p->body.len;
	end[-(ptrdiff_t)(last->body.len + MOAT_GENERIC_LEN)] = type;
	memcpy(end, p->body.data - MOAT_GENERIC_LEN, more);
	end[0] = MOAT_P_NONE;
	len = (size_t)(end - message) + more;
	moat_set32(message + 24, (uint32_t)len);
	return len;
}

void sim_insider_afresh(struct sim *sim, uint32_t id)
{
	struct moat_isakmp *sa = sim_newest(sim, 0);
	struct moat_ike1_out out;

	sim_insider_begin(&out, sa, MOAT_X_INFORMATIONAL, id);
	moat_build_notify(&out.b, MOAT_PROTO_ISAKMP, MOAT_N_INITIAL_CONTACT,
			  moat_view(NULL, 0), moat_view(NULL, 0));
	sim_insider_send(sim, sa, &out, id, false);
}

void sim_insider_delete(struct sim *sim, const struct moat_child *child, uint32_t id)
{
	struct moat_isakmp *sa = sim_newest(sim, 0);
	struct moat_ike1_out out;
	uint8_t spi[4];

	moat_set32(spi, child->sas[0].spi_out);
	sim_insider_begin(&out, sa, MOAT_X_INFORMATIONAL, id);
	moat_build_delete(&out.b, MOAT_PROTO_ESP, sizeof(spi),
			  moat_view(spi, sizeof(spi)));
	sim_insider_send(sim, sa, &out, id, false);
}

void sim_insider_packet(struct sim *sim, int side)
{
	const struct moat_pair *pair =
		&TAILQ_FIRST(&sim_core(sim, side)->tunnels)->pairs[0];
	const struct moat_child *child = TAILQ_LAST(&pair->children, moat_children);
	struct moat_event event = { .type = MOAT_EV_FIRST_USE };

	event.first_use.protocol = moat_child_protocol(&child->sas[0]);
	event.first_use.spi = child->sas[0].spi_in;
	event.first_use.dst = child->local;
	event.first_use.policy = pair->policy;
	sim_step(sim, side, &event);
}
