// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Receiving IKEv1 messages: find the exchange, look the message up in the
 * table, decrypt, check HASH and payloads, and only then let anything change.
 */
#include "ike/ike1.h"

#include <stdio.h>
#include <string.h>

#define DIGEST_LEN moat_hash_len(MOAT_HASH_SHA256)

static const uint8_t no_cookie[MOAT_COOKIE_LEN];

static bool encrypted(const struct moat_ike1_in *in)
{
	return in->hdr.flags & MOAT_FLAG_ENCRYPTION;
}

/* One line about a message that was not taken; its reason was counted. */
static void refused(struct moat_ike1_in *in, enum moat_level level)
{
	struct moat_ike *ike = in->ike;
	char addr[MOAT_ADDR_STRLEN];
	const char *tunnel = in->sa ? in->sa->tunnel->conf.name : NULL;

	ike->refused[in->no.why]++;
	moat_act_blame(moat_act_log(ike->acts, level, "ike-refused", tunnel,
				    "%s message from %s port %u refused (%s): %s",
				    moat_exchange_name(in->hdr.exchange),
				    moat_addr_str(&in->remote.addr, addr),
				    in->remote.port, moat_refuse_name(in->no.why),
				    in->no.text),
		       &in->remote.addr);
}

/*
 * A message of phase 1 in clear: the operator learns what was wrong with it, and so
 * does the peer. It is not told to come back later, when it does so by itself; nor
 * anything about what was decrypted, which could tell whether the padding was good.
 */
static void refused_in_clear(struct moat_ike1_in *in)
{
	struct moat_mismatch why = { .key = MOAT_CONF_NONE };
	struct moat_isakmp *sa = in->sa;

	in->ike->refused[in->no.why]++;
	snprintf(why.text, sizeof(why.text), "%s", in->no.text);
	moat_act_explain(in->ike->acts, "ike-refused", &sa->tunnel->conf,
			 &in->remote.addr, &why, "message %u of %s mode refused (%s)",
			 in->row->number, moat_exchange_name(in->row->exchange),
			 moat_refuse_name(in->no.why));
	if (in->no.why != MOAT_REFUSE_LIMIT && !sa->opened[0].data)
		moat_info_refuse(in, moat_refuse_notify(in->no.why));
}

static void refused_in_state(struct moat_ike1_in *in, enum moat_level level)
{
	if (moat_ike1_is_phase1(in->row->exchange) && in->row->cover == MOAT_CLEAR)
		refused_in_clear(in);
	else
		refused(in, level);
}

static void no_place(struct moat_ike1_in *in, const char *what)
{
	moat_refuse_say(&in->no, MOAT_REFUSE_STATE, "%s in state %s", what,
			in->sa ? moat_state_name(in->sa->state) : "none");
	refused(in, MOAT_LOG_DEBUG);
}

static struct moat_isakmp *find_isakmp(struct moat_ike1_in *in)
{
	const struct moat_hdr *hdr = &in->hdr;
	bool first = !memcmp(hdr->cookie_r, no_cookie, MOAT_COOKIE_LEN);
	struct moat_isakmp *sa;

	TAILQ_FOREACH(sa, &in->ike->isakmps, link) {
		bool fresh = !memcmp(sa->cky.r, no_cookie, MOAT_COOKIE_LEN);

		if (memcmp(sa->cky.i, hdr->cookie_i, MOAT_COOKIE_LEN) ||
		    !moat_endpoint_equal(&sa->remote, &in->remote))
			continue;
		/* Message 1 again; or the first words of our responder. */
		if (first && !sa->initiator)
			return sa;
		if (sa->initiator && fresh)
			return sa;
		if (!first && !memcmp(sa->cky.r, hdr->cookie_r, MOAT_COOKIE_LEN))
			return sa;
	}
	return NULL;
}

static struct moat_isakmp *find_leaving(const struct moat_ike1_in *in)
{
	struct moat_isakmp *sa;

	TAILQ_FOREACH(sa, &in->ike->dead_isakmps, link) {
		if (sa->leaving &&
		    !memcmp(sa->cky.i, in->hdr.cookie_i, MOAT_COOKIE_LEN) &&
		    !memcmp(sa->cky.r, in->hdr.cookie_r, MOAT_COOKIE_LEN) &&
		    moat_endpoint_equal(&sa->remote, &in->remote))
			return sa;
	}
	return NULL;
}

/*
 * Its peer may have gone to port 4500, or its NAT may have given it another
 * address or port. What comes from elsewhere must be authentic to change anything.
 */
static struct moat_isakmp *find_moved(const struct moat_ike1_in *in)
{
	const struct moat_hdr *hdr = &in->hdr;
	struct moat_isakmp *sa;

	if (!in->marker || !memcmp(hdr->cookie_r, no_cookie, MOAT_COOKIE_LEN))
		return NULL;
	TAILQ_FOREACH(sa, &in->ike->isakmps, link) {
		if (!memcmp(sa->cky.i, hdr->cookie_i, MOAT_COOKIE_LEN) &&
		    !memcmp(sa->cky.r, hdr->cookie_r, MOAT_COOKIE_LEN) &&
		    moat_addr_equal(&sa->local.addr, &in->local.addr) &&
		    moat_natt_may_move(sa))
			return sa;
	}
	return NULL;
}

/*
 * Message 5 or 6 that makes no sense once decrypted has one common reason, and
 * whoever reads the log should not have to know it.
 */
static void undecryptable(struct moat_ike1_in *in)
{
	struct moat_isakmp *sa = in->sa;
	struct moat_mismatch why = { .n_diff = 0 };

	if (!moat_ike1_is_phase1(in->row->exchange) || !encrypted(in)) {
		refused_in_state(in, MOAT_LOG_INFO);
		return;
	}
	in->ike->refused[in->no.why]++;
	snprintf(why.text, sizeof(why.text), "%s", moat_auth_suspicion(sa));
	snprintf(sa->hint, sizeof(sa->hint), "%s", moat_auth_suspicion(sa));
	if (sa->told)
		return;
	moat_act_explain(in->ike->acts, "ike-auth-failed", &sa->tunnel->conf,
			 &sa->remote.addr, &why,
			 "message %u does not decrypt to anything that makes sense (%s)",
			 in->row->number, in->no.text);
	sa->told = true;
	if (!sa->initiator)
		moat_info_refuse_auth(sa, MOAT_N_AUTHENTICATION_FAILED);
}

static int decrypt(struct moat_ike1_in *in)
{
	struct moat_isakmp *sa = in->sa;
	size_t len = in->data.len - MOAT_HDR_LEN;
	size_t block = moat_cipher_block(sa->alg.cipher);

	if (!len || len % block)
		return moat_refuse(
			&in->no, MOAT_REFUSE_PADDING,
			"%zu encrypted octets are no whole number of blocks of %zu", len,
			block);
	if (in->quick)
		memcpy(in->iv, in->quick->iv, sizeof(in->iv));
	else if (moat_ike1_is_phase1(in->row->exchange))
		memcpy(in->iv, sa->iv, sizeof(in->iv));
	else if (moat_iv_exchange(&sa->alg, sa->iv, in->hdr.message_id, in->iv))
		return moat_refuse(&in->no, MOAT_REFUSE_PADDING,
				   "no IV could be computed");
	if (moat_cbc_decrypt(&sa->alg, sa->keys.key, in->iv, in->plain, len))
		return moat_refuse(&in->no, MOAT_REFUSE_PADDING,
				   "it could not be decrypted");
	return 0;
}

static int open_message(struct moat_ike1_in *in)
{
	size_t len = in->data.len - MOAT_HDR_LEN;

	memcpy(in->plain, in->data.data + MOAT_HDR_LEN, len);
	if (encrypted(in) && decrypt(in))
		return -1;
	return moat_chain_parse(in->hdr.next_payload, moat_view(in->plain, len),
				encrypted(in), &in->msg, &in->no);
}

static int check_hash(struct moat_ike1_in *in)
{
	const struct moat_skeys *keys = &in->sa->keys;
	const struct moat_payload *p = &in->msg.payloads[0];
	struct moat_view rest = { 0 };
	struct moat_view ni = { 0 };
	struct moat_view nr = { 0 };
	uint8_t hash[MOAT_HASH_LEN_MAX];
	uint32_t id = in->hdr.message_id;
	int failed = -1;

	if (in->row->hash == MOAT_HASH_NO)
		return 0;
	if (!in->msg.count || p->type != MOAT_P_HASH || p->body.len != keys->len)
		return moat_refuse(&in->no, MOAT_REFUSE_HASH,
				   "its first payload is no HASH of %zu octets",
				   keys->len);
	rest = moat_message_after(&in->msg, p);
	if (in->quick) {
		ni = moat_blob_view(&in->quick->nonces[0]);
		nr = moat_blob_view(&in->quick->nonces[1]);
	}
	if (in->row->hash == MOAT_HASH_1)
		failed = moat_hash_1(keys, id, rest, hash);
	else if (in->row->hash == MOAT_HASH_2)
		failed = moat_hash_2(keys, id, ni, rest, hash);
	else
		failed = moat_hash_3(keys, id, ni, nr, hash);
	if (failed || !moat_secret_equal(hash, p->body.data, keys->len))
		return moat_refuse(&in->no, MOAT_REFUSE_HASH, "HASH(%u) is wrong",
				   in->row->hash - MOAT_HASH_1 + 1);
	moat_act_proved(in->ike->acts);
	return 0;
}

static struct moat_flight *flight_of(struct moat_ike1_in *in)
{
	if (in->quick)
		return &in->quick->flight;
	return moat_ike1_is_phase1(in->row->exchange) ? &in->sa->flight : NULL;
}

/* The message is good: from here on things change. */
static void accept_message(struct moat_ike1_in *in)
{
	const struct moat_ike1_row *row = in->row;
	struct moat_isakmp *sa = in->sa;
	struct moat_flight *flight = flight_of(in);
	enum moat_state before = sa->state;
	char names[96];

	/* Before that anybody could have sent it, and it is no sign of life. */
	if (sa->verified)
		moat_isakmp_heard(sa);
	if (in->moved)
		moat_natt_moved(in);
	if (flight) {
		memcpy(flight->digest, in->digest, sizeof(flight->digest));
		flight->heard = true;
		flight->answers = false;
		moat_timer_stop(&in->ike->timers, &flight->timer);
	}
	if (in->quick) {
		memcpy(in->quick->iv, in->iv, sizeof(in->iv));
		in->quick->state = row->received;
		in->quick->commit |= (in->hdr.flags & MOAT_FLAG_COMMIT) != 0;
	} else if (moat_ike1_is_phase1(row->exchange)) {
		moat_dpd_take_vendor(in);
		moat_ready_take_vendor(in);
		if (encrypted(in))
			memcpy(sa->iv, in->iv, sizeof(in->iv));
		sa->state = row->received;
		sa->received++;
	} else {
		moat_isakmp_see(sa, in->hdr.message_id);
	}
	moat_message_names(&in->msg, encrypted(in), names, sizeof(names));
	/* So it has the last message of phase 1, if that was ours. */
	if (!moat_ike1_is_phase1(row->exchange))
		moat_timer_stop(&in->ike->timers, &sa->flight.timer);
	moat_ike1_trace(sa, flight, moat_exchange_name(row->exchange), false, row->number,
			names, before, sa->state, row->number % 2 == 0, false);
	row->proceed(in);
}

/*
 * Quick modes get their state only when HASH(1) has proved that the peer sent
 * message 1; the message id is then used up.
 */
static void first_of_quick(struct moat_ike1_in *in)
{
	if (in->row->state != MOAT_QUICK_NEW)
		return;
	moat_isakmp_see(in->sa, in->hdr.message_id);
	in->quick = moat_quick_new(in->sa, in->hdr.message_id, false);
	memcpy(in->quick->iv, in->iv, sizeof(in->iv));
}

static bool hold(struct moat_ike1_in *in)
{
	if (!encrypted(in) || in->sa->has_keys)
		return false;
	moat_ike1_wait(in);
	return true;
}

int moat_ike1_wait(struct moat_ike1_in *in)
{
	if (!in->sa->held.data) {
		moat_blob_set(&in->sa->held, in->data.data, in->data.len);
		in->sa->held_local = in->local;
		in->sa->held_remote = in->remote;
		in->sa->held_marker = in->marker;
	}
	return -1;
}

/* What a message of phase 1 agrees on, and the check of its other payloads needs. */
struct agreed {
	struct moat_cookies cky;
	struct moat_ike_alg alg;
	uint32_t life;
	struct moat_natt natt;
	bool fragments;
};

static struct agreed agreed_on(const struct moat_isakmp *sa)
{
	return (struct agreed){ sa->cky, sa->alg, sa->life, sa->natt, sa->fragments };
}

/* It was refused, or waits: the next one in its place finds nothing of it. */
static void forget_agreed(struct moat_isakmp *sa, const struct agreed *before)
{
	sa->cky = before->cky;
	sa->alg = before->alg;
	sa->life = before->life;
	sa->natt = before->natt;
	sa->fragments = before->fragments;
}

static void handle(struct moat_ike1_in *in)
{
	struct agreed before = agreed_on(in->sa);
	uint8_t flags = in->hdr.flags;

	/* RFC 2408 section 3.1: for informational messages that are not encrypted. */
	if (flags & MOAT_FLAG_AUTH_ONLY) {
		moat_refuse_say(&in->no, MOAT_REFUSE_FLAGS,
				"flags 0x%02x, expected no authentication only", flags);
		refused_in_state(in, MOAT_LOG_INFO);
		return;
	}
	if (in->row->cover != MOAT_EITHER &&
	    encrypted(in) != (in->row->cover == MOAT_ENCRYPTED)) {
		moat_refuse_say(&in->no, MOAT_REFUSE_FLAGS,
				"flags 0x%02x, expected it %s", flags,
				in->row->cover == MOAT_CLEAR ? "in clear" : "encrypted");
		refused_in_state(in, MOAT_LOG_INFO);
		return;
	}
	if (in->moved && in->row->cover == MOAT_CLEAR) {
		no_place(in, "a message in clear from another address or port");
		return;
	}
	if (hold(in))
		return;
	if (open_message(in)) {
		undecryptable(in);
		return;
	}
	if (check_hash(in)) {
		refused(in, MOAT_LOG_INFO);
		return;
	}
	first_of_quick(in);
	if (moat_ike1_payloads(in->row, &in->msg, &in->no) || in->row->verify(in)) {
		forget_agreed(in->sa, &before);
		if (in->no.why)
			refused_in_state(in, MOAT_LOG_WARN);
		if (in->row->state == MOAT_QUICK_NEW ||
		    in->row->state == MOAT_QUICK_SENT_1)
			moat_quick_refused(in);
		return;
	}
	accept_message(in);
}

static bool repeated(struct moat_ike1_in *in, struct moat_flight *flight)
{
	if (!flight->heard || memcmp(flight->digest, in->digest, DIGEST_LEN))
		return false;
	if (in->quick && in->quick->initiator && in->quick->child)
		moat_child_repeated(in->quick->child);
	if (in->quick)
		moat_ike1_answer_again(in->sa, flight, "quick", in->quick->initiator);
	else
		moat_ike1_answer_again(in->sa, flight,
				       moat_exchange_name(in->sa->exchange),
				       in->sa->initiator);
	return true;
}

/* Nothing has come yet that leaves a trace. */
static bool fresh(const struct moat_isakmp *sa)
{
	return sa->state == MOAT_MM_NO_STATE || sa->state == MOAT_AG_NO_STATE;
}

static void phase1(struct moat_ike1_in *in)
{
	struct moat_isakmp *sa = in->sa;
	bool first = !memcmp(in->hdr.cookie_r, no_cookie, MOAT_COOKIE_LEN);

	if (in->hdr.message_id) {
		no_place(in, "a message id in phase 1");
		return;
	}
	if (!sa) {
		if (first)
			sa = moat_phase1_accept(in);
		else
			no_place(in, "unknown cookies");
		if (!sa)
			return;
		in->sa = sa;
	} else if (repeated(in, &sa->flight)) {
		return;
	}
	in->row = moat_ike1_row(in->hdr.exchange, sa->initiator, sa->state);
	if (!in->row || (sa->pending && !encrypted(in)) || (first && !fresh(sa))) {
		no_place(in, "no such message is expected");
		return;
	}
	handle(in);
	/* A first message that was refused leaves nothing behind. */
	if (fresh(sa) && !sa->pending && !sa->initiator)
		moat_isakmp_remove(sa);
}

static void quick_mode(struct moat_ike1_in *in)
{
	struct moat_isakmp *sa = in->sa;
	enum moat_state state = MOAT_QUICK_NEW;

	in->quick = moat_quick_find(sa, in->hdr.message_id);
	if (in->quick && repeated(in, &in->quick->flight))
		return;
	if (in->quick)
		state = in->quick->state;
	else if (moat_isakmp_seen(sa, in->hdr.message_id)) {
		no_place(in, "a message id that was used before");
		return;
	}
	in->row = moat_ike1_row(MOAT_X_QUICK, in->quick && in->quick->initiator, state);
	if (!in->row || (in->quick && in->quick->pending)) {
		no_place(in, "no such message is expected");
		return;
	}
	handle(in);
}

static void informational(struct moat_ike1_in *in)
{
	struct moat_isakmp *sa = in->sa;

	if (!(in->hdr.flags & MOAT_FLAG_ENCRYPTION)) {
		if (!in->moved)
			moat_info_clear(in);
		return;
	}
	if (sa->state == (sa->initiator ? MOAT_MM_KEY_EXCH : MOAT_AG_INIT_EXCH))
		snprintf(sa->hint, sizeof(sa->hint),
			 "the peer answered with an error under other keys: %s",
			 moat_auth_suspicion(sa));
	in->row = moat_ike1_row(MOAT_X_INFORMATIONAL, sa->initiator, sa->state);
	if (!in->row || (moat_isakmp_seen(sa, in->hdr.message_id) &&
			 !moat_ready_awaits(sa, in->hdr.message_id))) {
		no_place(in, "an informational message");
		return;
	}
	handle(in);
}

/* A message that was kept, or put together, takes the way of any datagram. */
static void take_again(struct moat_ike *ike, const struct moat_endpoint *local,
		       const struct moat_endpoint *remote, bool marker,
		       struct moat_blob *message)
{
	struct moat_event event = { .type = MOAT_EV_DATAGRAM, .now = ike->now };

	event.datagram.local = *local;
	event.datagram.remote = *remote;
	event.datagram.marker = marker;
	event.datagram.data = message->data;
	event.datagram.len = message->len;
	moat_ike1_datagram(ike, &event);
	moat_blob_clear(message);
}

static void fragment(struct moat_ike1_in *in)
{
	struct moat_blob whole = { 0 };

	if (!in->sa)
		no_place(in, "a fragment with unknown cookies");
	else if (moat_fragment_take(in, &whole))
		refused(in, MOAT_LOG_DEBUG);
	else if (whole.len)
		take_again(in->ike, &in->local, &in->remote, in->marker, &whole);
	moat_blob_clear(&whole);
}

static void dispatch(struct moat_ike1_in *in)
{
	struct moat_view parts[1] = { in->data };

	in->sa = find_isakmp(in);
	if (!in->sa) {
		in->sa = find_moved(in);
		in->moved = in->sa;
	}
	if (in->hdr.next_payload == MOAT_P_FRAGMENT) {
		fragment(in);
		return;
	}
	if (moat_hash(MOAT_HASH_SHA256, parts, 1, in->digest))
		return;
	if (!in->sa && in->hdr.exchange == MOAT_X_INFORMATIONAL)
		in->sa = find_leaving(in);
	if (moat_ike1_is_phase1(in->hdr.exchange)) {
		phase1(in);
	} else if (!in->sa || (in->hdr.exchange != MOAT_X_QUICK &&
			       in->hdr.exchange != MOAT_X_INFORMATIONAL)) {
		no_place(in, in->sa ? "an exchange we do not have" : "unknown cookies");
	} else if (in->hdr.exchange == MOAT_X_INFORMATIONAL) {
		informational(in);
	} else if (in->sa->state != MOAT_QM_IDLE || !in->hdr.message_id) {
		no_place(in, "quick mode");
	} else {
		quick_mode(in);
	}
}

void moat_ike1_datagram(struct moat_ike *ike, const struct moat_event *event)
{
	struct moat_ike1_in in = {
		.ike = ike,
		.local = event->datagram.local,
		.remote = event->datagram.remote,
		.marker = event->datagram.marker,
		.data = moat_view(event->datagram.data, event->datagram.len),
	};

	if (moat_hdr_parse(in.data, &in.hdr, &in.no))
		refused(&in, MOAT_LOG_DEBUG);
	else if (in.data.len - MOAT_HDR_LEN > sizeof(in.plain)) {
		moat_refuse_say(&in.no, MOAT_REFUSE_LENGTH, "%zu octets are too many",
				in.data.len);
		refused(&in, MOAT_LOG_DEBUG);
	} else {
		dispatch(&in);
	}
	moat_wipe(in.plain, sizeof(in.plain));
}

void moat_ike1_held(struct moat_isakmp *sa)
{
	struct moat_acts *acts = sa->ike->acts;
	enum moat_cause cause = acts->cause;
	struct moat_blob held = sa->held;

	if (!held.data)
		return;
	memset(&sa->held, 0, sizeof(sa->held));
	/* What waited for our keys has proved nothing, whatever step it is. */
	acts->cause = MOAT_BY_STRANGER;
	take_again(sa->ike, &sa->held_local, &sa->held_remote, sa->held_marker, &held);
	acts->cause = cause;
}
