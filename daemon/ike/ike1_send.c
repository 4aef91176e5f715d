// SPDX-License-Identifier: GPL-2.0-or-later
/* Writing IKEv1 messages, repeating them, and the trace of both. */
#include "ike/ike1.h"

#include <string.h>

/*
 * 1 s, then half as much again each time: eight tries end after 49 s, before
 * the kernel gives a reserved SPI back (60 s).
 */
#define FIRST_WAIT  1000
#define TRIES	    8
#define REPEATS_MAX 16

void moat_ike1_begin(struct moat_ike1_out *out, const struct moat_isakmp *sa,
		     uint8_t exchange, uint32_t message_id, bool encrypted)
{
	struct moat_hdr hdr = {
		.exchange = exchange,
		.flags = encrypted ? MOAT_FLAG_ENCRYPTION : 0,
		.message_id = message_id,
	};

	memcpy(hdr.cookie_i, sa->cky.i, MOAT_COOKIE_LEN);
	memcpy(hdr.cookie_r, sa->cky.r, MOAT_COOKIE_LEN);
	out->hash = NULL;
	out->hash_end = 0;
	moat_build_start(&out->b, out->buf, sizeof(out->buf), &hdr);
}

void moat_ike1_hash(struct moat_ike1_out *out, const struct moat_isakmp *sa)
{
	moat_build_open(&out->b, MOAT_P_HASH);
	out->hash = moat_build_space(&out->b, sa->keys.len);
	moat_build_close(&out->b);
	out->hash_end = out->b.used;
}

struct moat_view moat_ike1_hashed(const struct moat_ike1_out *out)
{
	return moat_view(out->buf + out->hash_end, out->b.used - out->hash_end);
}

/* A quick mode is that of its pair's tunnel, whichever one phase 1 was for. */
static const char *whose(const struct moat_isakmp *sa, const struct moat_flight *flight)
{
	const struct moat_quick *quick;

	LIST_FOREACH(quick, &sa->quicks, link) {
		if (flight != &quick->flight)
			continue;
		/* Once that is settled, it has left the pair and the SAs are there. */
		if (quick->pair)
			return quick->pair->tunnel->conf.name;
		if (quick->child)
			return quick->child->pair->tunnel->conf.name;
	}
	return sa->tunnel->conf.name;
}

void moat_ike1_trace(struct moat_isakmp *sa, const struct moat_flight *flight,
		     const char *exchange, bool sent, unsigned int number,
		     const char *payloads, enum moat_state before, enum moat_state after,
		     bool initiator, bool repeated)
{
	struct moat_act *act = moat_act_new(sa->ike->acts, MOAT_ACT_TRACE);
	const char *name = whose(sa, flight);

	act->trace.tunnel = moat_dup(name, strlen(name) + 1);
	act->trace.sent = sent;
	act->trace.local = sa->local;
	act->trace.remote = sa->remote;
	act->trace.exchange = exchange;
	act->trace.number = number;
	act->trace.payloads = moat_dup(payloads, strlen(payloads) + 1);
	act->trace.before = moat_state_name(before);
	act->trace.after = moat_state_name(after);
	act->trace.initiator = initiator;
	act->trace.repeated = repeated;
}

static void transmit_whole(struct moat_isakmp *sa, const void *data, size_t len)
{
	struct moat_act *act = moat_act_new(sa->ike->acts, MOAT_ACT_SEND);

	act->send.local = sa->local;
	act->send.remote = sa->remote;
	act->send.marker = sa->marker;
	act->send.data = moat_dup(data, len);
	act->send.len = len;
}

static void transmit(struct moat_isakmp *sa, const void *data, size_t len)
{
	if (moat_fragment_needed(sa, len))
		moat_fragment_send(sa, moat_view(data, len), transmit_whole);
	else
		transmit_whole(sa, data, len);
}

static void payload_names(const struct moat_ike1_out *out, size_t len, bool encrypted,
			  char *names, size_t size)
{
	struct moat_message msg;
	struct moat_view octets = moat_view(out->buf + MOAT_HDR_LEN, len - MOAT_HDR_LEN);

	names[0] = '\0';
	if (!moat_chain_parse(out->buf[16], octets, encrypted, &msg, NULL))
		moat_message_names(&msg, encrypted, names, size);
}

int moat_ike1_send(struct moat_ike1_out *out, struct moat_isakmp *sa,
		   struct moat_flight *flight, uint8_t *iv, unsigned int number,
		   enum moat_state after)
{
	char names[sizeof(flight->names)];
	size_t len;

	if (iv)
		moat_build_pad(&out->b, moat_cipher_block(sa->alg.cipher));
	len = moat_build_finish(&out->b);
	if (!len)
		return -1;
	payload_names(out, len, iv, names, sizeof(names));
	if (iv && moat_cbc_encrypt(&sa->alg, sa->keys.key, iv, out->buf + MOAT_HDR_LEN,
				   len - MOAT_HDR_LEN))
		return -1;
	if (flight) {
		moat_blob_set(&flight->sent, out->buf, len);
		memcpy(flight->names, names, sizeof(names));
		flight->number = number;
		flight->answers = flight->heard;
		flight->tries = 1;
		flight->repeats = 0;
	}
	transmit(sa, out->buf, len);
	moat_ike1_trace(sa, flight, moat_exchange_name(out->buf[18]), true, number, names,
			sa->state, after, number % 2 == 1, false);
	sa->state = after;
	if (moat_ike1_is_phase1(out->buf[18]))
		sa->sent++;
	return 0;
}

void moat_ike1_retransmit(struct moat_ike *ike, struct moat_flight *flight)
{
	uint64_t wait = FIRST_WAIT;

	for (unsigned int i = 1; i < flight->tries; i++)
		wait += wait / 2;
	moat_timer_after(ike, &flight->timer, wait + moat_core_jitter(ike, wait / 10));
}

bool moat_ike1_again(struct moat_isakmp *sa, struct moat_flight *flight,
		     const char *exchange, bool initiator)
{
	char name[MOAT_ISAKMP_STRLEN];

	if (flight->tries >= TRIES)
		return false;
	flight->tries++;
	transmit(sa, flight->sent.data, flight->sent.len);
	moat_ike1_trace(sa, flight, exchange, true, flight->number, flight->names,
			sa->state, sa->state, initiator, true);
	moat_act_log(sa->ike->acts, MOAT_LOG_DEBUG, "ike-retransmit",
		     sa->tunnel->conf.name,
		     "message %u of %s mode again, try %u of %u, %s", flight->number,
		     exchange, flight->tries, TRIES, moat_isakmp_name(sa, name));
	moat_ike1_retransmit(sa->ike, flight);
	return true;
}

void moat_ike1_answer_again(struct moat_isakmp *sa, struct moat_flight *flight,
			    const char *exchange, bool initiator)
{
	if (!flight->answers || !flight->sent.len || flight->repeats >= REPEATS_MAX)
		return;
	flight->repeats++;
	transmit(sa, flight->sent.data, flight->sent.len);
	moat_ike1_trace(sa, flight, exchange, true, flight->number, flight->names,
			sa->state, sa->state, initiator, true);
}

void moat_ike1_give_up(struct moat_ike *ike, struct moat_flight *flight)
{
	flight->tries = TRIES;
	moat_timer_after(ike, &flight->timer, 2 * MOAT_SECOND);
}

void moat_flight_clear(struct moat_ike *ike, struct moat_flight *flight)
{
	moat_timer_stop(&ike->timers, &flight->timer);
	moat_blob_clear(&flight->sent);
	flight->answers = false;
}
