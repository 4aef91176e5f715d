// SPDX-License-Identifier: GPL-2.0-or-later
/* What a peer can send that has authenticated itself, and that we would not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "ike/dh.h"
#include "sim_insider.h"

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
	moat_quick_id_build(&pair->selector.remote, how->protocol, 0, &id[1]);
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

void sim_insider_send(struct sim *sim, struct moat_isakmp *sa, struct moat_ike1_out *out,
		      uint32_t id, bool clear)
{
	struct moat_view rest = moat_ike1_hashed(out);
	uint8_t iv[MOAT_BLOCK_MAX];
	size_t len;

	assert_int_equal(moat_hash_1(&sa->keys, id, rest, out->hash), 0);
	if (!clear)
		moat_build_pad(&out->b, moat_cipher_block(sa->alg.cipher));
	len = moat_build_finish(&out->b);
	assert_int_equal(moat_iv_exchange(&sa->alg, sa->iv, id, iv), 0);
	if (clear)
		out->buf[19] &= (uint8_t)~MOAT_FLAG_ENCRYPTION;
	else
		assert_int_equal(moat_cbc_encrypt(&sa->alg, sa->keys.key, iv,
						  out->buf + MOAT_HDR_LEN,
						  len - MOAT_HDR_LEN),
				 0);
	sim_inject(sim, 1, out->buf, len);
}
