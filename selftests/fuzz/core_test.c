// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Damaged messages in every state of two cores: from strangers, from somebody on
 * the path who can send in the peer's name, and from the peer itself, whose
 * messages are encrypted and authenticated right and are nonsense inside. SAs,
 * policies and SPIs stay as they are, and afterwards the tunnel works.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../exchange/sim.h"
#include "damage.h"
#include "ike/ike1.h"

#define MESSAGES 16
#define SIZE	 2048

/* What no message may change unless it is authenticated. */
struct holdings {
	unsigned int in[2];
	unsigned int out[2];
	unsigned int policies[2];
	unsigned int reserved[2];
};

/* Messages of one run, to be damaged in another one. */
static struct {
	uint8_t data[SIZE];
	size_t len;
	int to;
} recorded[MESSAGES];
static unsigned int recorded_count;

static struct sim_options options(uint64_t seed)
{
	return (struct sim_options){ .seed = seed,
				     .nets = 1,
				     .psk = { "a secret", "a secret" } };
}

static struct holdings take_stock(struct sim *sim)
{
	struct holdings h;

	memset(&h, 0, sizeof(h));
	for (int side = 0; side < 2; side++) {
		h.in[side] = sim_count(sim, side, MOAT_DIRECTION_IN);
		h.out[side] = sim_count(sim, side, MOAT_DIRECTION_OUT);
		h.policies[side] = sim_policies(sim, side);
		h.reserved[side] = sim_reserved(sim, side);
	}
	return h;
}

static void unchanged(struct sim *sim, const struct holdings *before)
{
	struct holdings now = take_stock(sim);

	assert_memory_equal(&now, before, sizeof(now));
}

static void establish(struct sim *sim)
{
	sim_up(sim, 0);
	sim_run(sim, 5000);
	assert_int_equal(sim_done(sim, 0), 1);
	assert_null(sim_agree(sim));
}

/* The nine messages, and the notifications that came with them. */
static void record(uint64_t seed)
{
	struct sim_options o = options(seed);
	struct sim *sim = sim_new(&o);
	const uint8_t *data;

	establish(sim);
	for (recorded_count = 0; recorded_count < MESSAGES; recorded_count++) {
		size_t *len = &recorded[recorded_count].len;

		data = sim_datagram(sim, recorded_count, len,
				    &recorded[recorded_count].to);
		if (!data)
			break;
		assert_true(*len <= SIZE);
		memcpy(recorded[recorded_count].data, data, *len);
	}
	assert_in_range(recorded_count, 9, MESSAGES - 1);
	sim_free(sim);
}

/* Octets of the vendor ids at the end of a message. */
static size_t vendors(unsigned int pick)
{
	const uint8_t *data = recorded[pick].data;
	const uint8_t *end = data + recorded[pick].len, *at = data + MOAT_HDR_LEN;
	uint8_t type = data[16];

	if (data[19] & MOAT_FLAG_ENCRYPTION)
		return 0;
	while (type && type != MOAT_P_VENDOR && at < end) {
		type = at[0];
		at += moat_get16(at + 2);
	}
	return (size_t)(end - at);
}

/*
 * What follows the last payload is under no hash, nor are vendor ids. So what
 * begins like a good message, and is as long or longer, may be taken for one.
 */
static bool still_good(unsigned int pick, const uint8_t *buf, size_t len)
{
	size_t whole = recorded[pick].len;

	return len >= whole &&
	       memcmp(buf, recorded[pick].data, whole - vendors(pick)) == 0;
}

/* A damaged copy of one of the recorded messages; 0 when nothing was damaged. */
static size_t damaged(unsigned int pick, uint8_t *buf)
{
	unsigned int other = (unsigned int)damage_below(recorded_count);
	size_t changes = 1 + damage_below(3);
	size_t len = recorded[pick].len;

	memcpy(buf, recorded[pick].data, len);
	if (damage_below(8) == 0)
		len = damage_below(len);
	while (changes-- && len > 0)
		len = damage(buf, len, 2 * SIZE, recorded[other].data,
			     recorded[other].len);
	if (damage_below(8))
		damage_fix_length(buf, len);
	return still_good(pick, buf, len) ? 0 : len;
}

/* Once all is over: one ISAKMP SA, SAs that agree, and packets that arrive. */
static void works_again(struct sim *sim)
{
	unsigned long delivered = sim_packets_delivered(sim);

	sim_traffic(sim, 200);
	sim_run(sim, 180000);
	assert_null(sim_agree(sim));
	assert_true(sim_packets_delivered(sim) > delivered + 500);
	for (int side = 0; side < 2; side++) {
		assert_int_equal(sim_isakmps(sim, side), 1);
		assert_int_equal(sim_reserved(sim, side), 0);
		assert_int_equal(sim_policies(sim, side), 1);
	}
}

/* How many messages both cores have refused, for any reason. */
static uint64_t refusals(struct sim *sim)
{
	uint64_t count = 0;

	for (int side = 0; side < 2; side++)
		for (int why = MOAT_REFUSE_NONE + 1; why < MOAT_REFUSE_MAX; why++)
			count += sim_core(sim, side)->refused[why];
	return count;
}

static void test_damaged_when_established(void **state)
{
	struct sim_options o = options(7);
	struct holdings before;
	uint8_t buf[2 * SIZE];
	struct sim *sim;

	(void)state;
	record(7);
	sim = sim_new(&o);
	establish(sim);
	before = take_stock(sim);
	for (unsigned int i = 0; i < 100000; i++) {
		size_t len = damaged((unsigned int)damage_below(recorded_count), buf);

		sim_inject(sim, (int)(i & 1), buf, len);
		unchanged(sim, &before);
	}
	assert_null(sim_agree(sim));
	assert_true(refusals(sim) > 50000);
	works_again(sim);
	sim_free(sim);
}

/* One of the parts into which somebody cuts a recorded message. */
static size_t part_of(unsigned int pick, uint16_t id, uint8_t buf[2 * SIZE])
{
	struct moat_view whole = moat_view(recorded[pick].data, recorded[pick].len);
	uint8_t parts = (uint8_t)(1 + damage_below(5));
	struct moat_fragment f = {
		.id = id,
		.number = (uint8_t)(1 + damage_below(parts)),
	};
	size_t each = whole.len / parts;
	struct moat_hdr hdr = { .exchange = MOAT_X_MAIN };
	struct moat_build b;

	f.last = f.number == parts;
	f.data = moat_view(whole.data + each * (f.number - 1u),
			   f.last ? whole.len - each * (parts - 1u) : each);
	/* Cookies of a message that has both. */
	memcpy(hdr.cookie_i, recorded[2].data, MOAT_COOKIE_LEN);
	memcpy(hdr.cookie_r, recorded[2].data + MOAT_COOKIE_LEN, MOAT_COOKIE_LEN);
	moat_build_start(&b, buf, 2 * SIZE, &hdr);
	moat_build_fragment(&b, &f);
	return moat_build_finish(&b);
}

/* Fragments, whole and damaged, of messages that are good or not. */
static void test_fragments(void **state)
{
	struct sim_options o = options(12);
	struct holdings before;
	uint8_t buf[2 * SIZE];
	uint64_t kept = 0;
	struct sim *sim;

	(void)state;
	record(12);
	sim = sim_new(&o);
	establish(sim);
	before = take_stock(sim);
	for (unsigned int i = 0; i < 60000; i++) {
		unsigned int pick = (unsigned int)damage_below(recorded_count);
		size_t len = part_of(pick, damage_below(50) ? 1 : 2, buf);

		if (damage_below(3) == 0) {
			len = damage(buf, len, sizeof(buf), recorded[pick].data,
				     recorded[pick].len);
			damage_fix_length(buf, len);
		}
		sim_inject(sim, (int)(i & 1), buf, len);
		unchanged(sim, &before);
		assert_true(sim_burden(sim, (int)(i & 1)).fragments <=
			    MOAT_HDR_LEN + MOAT_MESSAGE_MAX);
		kept += sim_burden(sim, (int)(i & 1)).fragments > 0;
	}
	assert_true(kept > 10000);
	assert_true(sim_core(sim, 0)->refused[MOAT_REFUSE_FRAGMENT] > 100);
	works_again(sim);
	sim_free(sim);
}

/* Cut at each octet, and each bit flipped, as they are on the wire. */
static void test_cut_and_flipped(void **state)
{
	struct sim_options o = options(8);
	struct holdings before;
	uint8_t buf[SIZE];
	struct sim *sim;

	(void)state;
	record(8);
	sim = sim_new(&o);
	establish(sim);
	before = take_stock(sim);
	for (unsigned int i = 0; i < recorded_count; i++) {
		size_t len = recorded[i].len;

		for (size_t cut = 0; cut < len; cut++) {
			memcpy(buf, recorded[i].data, len);
			damage_fix_length(buf, cut);
			sim_inject(sim, recorded[i].to, buf, cut);
		}
		for (size_t bit = 0; bit < 8 * len; bit++) {
			memcpy(buf, recorded[i].data, len);
			buf[bit / 8] ^= (uint8_t)(1 << bit % 8);
			sim_inject(sim, recorded[i].to, buf, len);
		}
		unchanged(sim, &before);
	}
	works_again(sim);
	sim_free(sim);
}

/* After the k-th message of an exchange, for each k. */
static void test_damaged_in_every_state(void **state)
{
	struct sim_options o = options(9);
	uint8_t buf[2 * SIZE];

	(void)state;
	record(9);
	for (unsigned int k = 0; k <= recorded_count; k++) {
		struct sim *sim = sim_new(&o);
		struct holdings before;

		sim_up(sim, 0);
		for (int ms = 0; ms < 5000 && sim_datagrams(sim) < k; ms++)
			sim_run(sim, 1);
		assert_true(sim_datagrams(sim) >= k);
		before = take_stock(sim);
		for (unsigned int i = 0; i < 6000; i++) {
			unsigned int pick = (unsigned int)damage_below(recorded_count);
			size_t len = damaged(pick, buf);

			if (len == 0)
				continue;
			sim_inject(sim,
				   damage_below(4) ? recorded[pick].to : (int)(i & 1),
				   buf, len);
			unchanged(sim, &before);
		}
		works_again(sim);
		sim_free(sim);
	}
}

/* No state and no answer for an address that nobody configured. */
static void test_strangers(void **state)
{
	struct sim_options o = options(10);
	uint8_t buf[2 * SIZE];
	struct holdings before;
	unsigned int sent;
	struct sim *sim;

	(void)state;
	record(10);
	sim = sim_new(&o);
	establish(sim);
	before = take_stock(sim);
	sent = sim_datagrams(sim);
	for (unsigned int i = 0; i < 20000; i++) {
		unsigned int pick = (unsigned int)damage_below(recorded_count);
		size_t len = damaged(pick, buf);

		/* Undamaged too: a good first message of a stranger. */
		if (len == 0 || i % 16 == 0) {
			len = recorded[pick].len;
			memcpy(buf, recorded[pick].data, len);
		}
		sim_inject_from(sim, (int)(i & 1), "203.0.113.9", buf, len);
		unchanged(sim, &before);
		assert_int_equal(sim_isakmps(sim, (int)(i & 1)), 1);
	}
	assert_int_equal(sim_datagrams(sim), sent);
	works_again(sim);
	sim_free(sim);
}

/* --- the peer itself --- */

/*
 * Seal octets as side 0 would: HASH(1) over them, encrypted under @message_id.
 * What is inside need not be well-formed.
 */
static size_t seal(const struct moat_isakmp *sa, uint8_t exchange, uint8_t first,
		   uint32_t message_id, struct moat_view rest, uint8_t *buf)
{
	struct moat_hdr hdr = { .exchange = exchange, .flags = MOAT_FLAG_ENCRYPTION };
	uint8_t iv[MOAT_BLOCK_MAX];
	struct moat_build b;
	uint8_t *hash;
	size_t len;

	memcpy(hdr.cookie_i, sa->cky.i, sizeof(hdr.cookie_i));
	memcpy(hdr.cookie_r, sa->cky.r, sizeof(hdr.cookie_r));
	hdr.message_id = message_id;
	moat_build_start(&b, buf, 2 * SIZE, &hdr);
	moat_build_open(&b, MOAT_P_HASH);
	hash = moat_build_space(&b, sa->keys.len);
	moat_build_close(&b);
	assert_non_null(hash);
	/* The HASH payload announces @first; what follows is the peer's nonsense. */
	buf[MOAT_HDR_LEN] = first;
	moat_build_octets(&b, rest);
	assert_int_equal(moat_hash_1(&sa->keys, message_id, rest, hash), 0);
	moat_build_pad(&b, moat_cipher_block(sa->alg.cipher));
	len = moat_build_finish(&b);
	assert_int_not_equal(len, 0);
	assert_int_equal(moat_iv_exchange(&sa->alg, sa->iv, message_id, iv), 0);
	assert_int_equal(moat_cbc_encrypt(&sa->alg, sa->keys.key, iv, buf + MOAT_HDR_LEN,
					  len - MOAT_HDR_LEN),
			 0);
	return len;
}

/* Message 1 of the recorded quick mode after its HASH payload, in clear. */
static size_t quick_rest(const struct moat_isakmp *sa, uint8_t *rest, uint8_t *first)
{
	uint8_t iv[MOAT_BLOCK_MAX];
	struct moat_message msg;
	struct moat_view after;
	uint8_t buf[SIZE];
	unsigned int i = 0;
	size_t len;

	while (i < recorded_count && recorded[i].data[18] != MOAT_X_QUICK)
		i++;
	assert_true(i < recorded_count);
	len = recorded[i].len;
	memcpy(buf, recorded[i].data, len);
	assert_int_equal(moat_iv_exchange(&sa->alg, sa->iv, moat_get32(buf + 20), iv), 0);
	assert_int_equal(moat_cbc_decrypt(&sa->alg, sa->keys.key, iv, buf + MOAT_HDR_LEN,
					  len - MOAT_HDR_LEN),
			 0);
	assert_int_equal(
		moat_chain_parse(buf[16],
				 moat_view(buf + MOAT_HDR_LEN, len - MOAT_HDR_LEN), true,
				 &msg, NULL),
		0);
	assert_int_equal(msg.payloads[0].type, MOAT_P_HASH);
	assert_true(msg.count > 1);
	*first = msg.payloads[1].type;
	after = moat_message_after(&msg, &msg.payloads[0]);
	memcpy(rest, after.data, after.len);
	return after.len;
}

/* A notification and a delete of an SPI that nobody has. */
static size_t informational_rest(uint8_t *rest)
{
	static const uint8_t spi[4] = { 0xfe, 0xdc, 0xba, 0x98 };
	uint8_t buf[SIZE];
	struct moat_hdr hdr = { .exchange = MOAT_X_INFORMATIONAL };
	struct moat_build b;
	size_t len;

	moat_build_start(&b, buf, sizeof(buf), &hdr);
	moat_build_notify(&b, MOAT_PROTO_ESP, MOAT_N_NO_PROPOSAL_CHOSEN,
			  moat_view(spi, sizeof(spi)), moat_view(NULL, 0));
	moat_build_delete(&b, MOAT_PROTO_ESP, sizeof(spi), moat_view(spi, sizeof(spi)));
	len = moat_build_finish(&b) - MOAT_HDR_LEN;
	memcpy(rest, buf + MOAT_HDR_LEN, len);
	return len;
}

static void insider(struct sim *sim, uint8_t exchange, uint8_t first,
		    struct moat_view good, unsigned int rounds, uint32_t message_id)
{
	const struct moat_isakmp *sa = TAILQ_FIRST(&sim_core(sim, 0)->isakmps);
	uint8_t rest[SIZE + 64];
	uint8_t buf[2 * SIZE];

	for (unsigned int i = 0; i < rounds; i++) {
		size_t changes = 1 + damage_below(3);
		size_t len = good.len;

		memcpy(rest, good.data, len);
		while (changes-- && len > 0)
			len = damage(rest, len, sizeof(rest), good.data, good.len);
		len = seal(sa, exchange, damage_below(20) ? first : damage_below(24),
			   message_id + i, moat_view(rest, len), buf);
		sim_inject(sim, 1, buf, len);
		/* Time for spi-alloc and Diffie-Hellman of those that still fit. */
		sim_run(sim, 2);
		assert_int_equal(sim_policies(sim, 1), 1);
	}
}

static void test_insider(void **state)
{
	struct sim_options o = options(11);
	unsigned int sent, logged;
	uint8_t rest[SIZE];
	struct sim *sim;
	uint8_t first;
	size_t len;

	(void)state;
	record(11);
	sim = sim_new(&o);
	establish(sim);
	len = quick_rest(TAILQ_FIRST(&sim_core(sim, 0)->isakmps), rest, &first);
	sent = sim_datagrams(sim);
	insider(sim, MOAT_X_QUICK, first, moat_view(rest, len), 3000, 0x20000000);
	/* Some of them fit and were answered: the seal above is right. */
	assert_true(sim_datagrams(sim) > sent + 100);
	logged = sim_logged(sim, 1, "ike-refused");
	assert_true(logged > 0);
	len = informational_rest(rest);
	insider(sim, MOAT_X_INFORMATIONAL, MOAT_P_NOTIFY, moat_view(rest, len), 3000,
		0x40000000);
	works_again(sim);
	sim_free(sim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_damaged_when_established),
		cmocka_unit_test(test_cut_and_flipped),
		cmocka_unit_test(test_damaged_in_every_state),
		cmocka_unit_test(test_fragments),
		cmocka_unit_test(test_strangers),
		cmocka_unit_test(test_insider),
	};

	if (moat_crypt_init() < 0)
		return 1;
	damage_start();
	return cmocka_run_group_tests_name("core", tests, NULL, NULL);
}
