// SPDX-License-Identifier: GPL-2.0-or-later
/* Encrypted nonces by method 5: what stands under a key that is made of the nonce. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "ike/ike1.h"
#include "sim_case.h"

/**
 * struct padding - how a body of message 3 is padded under Ke
 * @type: of its payload; the others are padded as they should be
 * @more: octets beyond a whole number of blocks
 * @zero: what stands in the place of the last zero
 * @number: what is said to be the number of zeros, if not the true one
 */
struct padding {
	uint8_t type;
	uint8_t more;
	uint8_t zero;
	uint8_t number;
};

static void put_padded(struct moat_isakmp *sa, struct moat_build *b, const uint8_t *key,
		       uint8_t *iv, uint8_t type, struct moat_view body,
		       const struct padding *how)
{
	size_t block = moat_cipher_block(sa->alg.cipher);
	size_t len = body.len + block - body.len % block;
	uint8_t buf[1024] = { 0 };

	if (type == how->type)
		len += how->more;
	assert_in_range(len, body.len + 2, sizeof(buf));
	memcpy(buf, body.data, body.len);
	buf[len - 1] = (uint8_t)(len - body.len - 1);
	if (type == how->type) {
		buf[len - 2] = how->zero;
		buf[len - 1] = how->number ? how->number : buf[len - 1];
	}
	assert_int_equal(moat_cbc_encrypt(&sa->alg, key, iv, buf, len), 0);
	moat_build_payload(b, type, moat_view(buf, len));
}

/* Message 3 of method 5 as it was sent, but for its padding. */
static size_t padded_3(struct sim *sim, const struct padding *how, uint8_t *message,
		       size_t size)
{
	struct moat_isakmp *sa = TAILQ_FIRST(&sim_core(sim, 0)->isakmps);
	uint8_t key[MOAT_IKE_KEY_MAX], iv[MOAT_BLOCK_MAX] = { 0 };
	const struct moat_payload *p;
	struct moat_message msg;
	struct moat_hdr hdr;
	struct moat_build b;
	const uint8_t *sent;
	size_t len;
	int to;

	sent = sim_datagram(sim, 2, &len, &to);
	assert_int_equal(moat_hdr_parse(moat_view(sent, len), &hdr, NULL), 0);
	sim_payloads(sent, len, false, &msg);
	assert_int_equal(
		moat_ke_key(&sa->alg, moat_blob_view(&sa->nonces[0]), sa->cky.i, key), 0);
	moat_build_start(&b, message, size, &hdr);
	moat_payload_for_each(p, &msg) {
		const struct moat_blob *clear = p->type == MOAT_P_KE   ? &sa->ke[0]
						: p->type == MOAT_P_ID ? &sa->ids[0]
								       : NULL;

		if (clear)
			put_padded(sa, &b, key, iv, p->type, moat_blob_view(clear), how);
		else
			moat_build_payload(&b, p->type, p->body);
	}
	return moat_build_finish(&b);
}

/* RFC 2409 section 5.3: less than a block of zeros, and their number. */
static void paddings(void **state)
{
	static const struct {
		struct padding how;
		bool good;
	} cases[] = {
		{ { .type = MOAT_P_KE }, true },
		{ { .type = MOAT_P_KE, .zero = 1 }, false },
		{ { .type = MOAT_P_KE, .more = 16 }, false },
		{ { .type = MOAT_P_ID, .zero = 1 }, false },
		{ { .type = MOAT_P_ID, .more = 16 }, false },
		{ { .type = MOAT_P_ID, .number = 255 }, false },
	};
	struct sim_options o = sim_encryption(MOAT_METHOD_RSA_ENC_REVISED);
	uint8_t message[4096];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sim *sim = sim_start_lossy(&o, sim_lose_main_3);

		sim_inject(sim, 1, message,
			   padded_3(sim, &cases[i].how, message, sizeof(message)));
		sim_run(sim, 300);
		assert_int_equal(sim_core(sim, 1)->refused[MOAT_REFUSE_PADDING],
				 !cases[i].good);
		assert_int_equal(sim_sent(sim, 1, MOAT_X_MAIN), cases[i].good ? 3 : 1);
		sim_run(sim, 5000);
		sim_assert_established(sim, 1);
		sim_free(sim);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paddings),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
