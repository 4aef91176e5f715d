// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Encrypted nonces against transcripts of another implementation, written from
 * the RFC alone (selftests/peer): the core answers the transcript's initiator,
 * with the responder's randomness, and must send what that responder sent.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <glob.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ike/crypt.h"
#include "ike/dh.h"
#include "ike/ike.h"
#include "priv/cert.h"
#include "priv/keys_rsa.h"
#include "wire/parse.h"

#define TRANSCRIPTS "selftests/peer/transcripts/"
#define DRAWS_MAX   16
#define QUEUE_MAX   32

/** struct octets - a field in hexadecimal, read */
struct octets {
	uint8_t data[8192];
	size_t len;
};

/**
 * struct replay - one transcript and the core that answers it
 * @used: of the responder's draws
 * @next: of the transcript's messages
 */
struct replay {
	json_t *json;
	json_t *keys;
	struct moat_ike *ike;
	struct moat_rsa_keys rsa;
	struct moat_tunnel_conf conf;
	struct moat_addr remote;
	bool used[DRAWS_MAX];
	size_t next;
	uint64_t now;
	unsigned int compared;
};

static void unhex(const json_t *value, struct octets *o)
{
	const char *text = json_string_value(value);

	assert_non_null(text);
	o->len = strlen(text) / 2;
	assert_true(o->len <= sizeof(o->data));
	for (size_t i = 0; i < o->len; i++) {
		unsigned int octet;

		assert_int_equal(sscanf(text + 2 * i, "%2x", &octet), 1);
		o->data[i] = (uint8_t)octet;
	}
}

static void value(const struct replay *r, const char *name, struct octets *o)
{
	unhex(json_object_get(json_object_get(r->json, "values"), name), o);
}

static const char *text(const struct replay *r, const char *key)
{
	return json_string_value(json_object_get(r->json, key));
}

/* The responder's next draw of this length; what it did not draw is all ones. */
static void draw(void *ctx, void *buf, size_t len)
{
	struct replay *r = ctx;
	json_t *draws = json_object_get(json_object_get(r->json, "random"), "responder");
	struct octets *o = malloc(sizeof(*o));

	assert_non_null(o);
	memset(buf, 1, len);
	for (size_t i = 0; i < json_array_size(draws) && i < DRAWS_MAX; i++) {
		json_t *one = json_array_get(draws, i);

		if (r->used[i] ||
		    !strcmp(json_string_value(json_object_get(one, "what")), "SPI") ||
		    strstr(json_string_value(json_object_get(one, "what")), "private"))
			continue;
		unhex(json_object_get(one, "octets"), o);
		if (o->len != len)
			continue;
		memcpy(buf, o->data, len);
		r->used[i] = true;
		break;
	}
	free(o);
}

/* ---- the configuration ---- */

static gnutls_x509_crt_t certificate(const struct replay *r, const char *role)
{
	const char *name = json_string_value(
		json_object_get(json_object_get(r->json, "keys"), role));
	const char *pem = json_string_value(
		json_object_get(json_object_get(r->keys, name), "certificate"));
	gnutls_datum_t datum = { (unsigned char *)pem, (unsigned int)strlen(pem) };
	gnutls_x509_crt_t cert;

	gnutls_x509_crt_init(&cert);
	assert_int_equal(gnutls_x509_crt_import(cert, &datum, GNUTLS_X509_FMT_PEM), 0);
	return cert;
}

static void add_cert(struct moat_creds *creds, enum moat_creds_part part,
		     gnutls_x509_crt_t cert)
{
	gnutls_datum_t der;

	assert_int_equal(gnutls_x509_crt_export2(cert, GNUTLS_X509_FMT_DER, &der), 0);
	moat_creds_add(creds, part, der.data, der.size);
	gnutls_free(der.data);
}

static void private_key(struct replay *r, const uint8_t *id)
{
	const char *name = json_string_value(
		json_object_get(json_object_get(r->json, "keys"), "responder"));
	const char *pem = json_string_value(
		json_object_get(json_object_get(r->keys, name), "private"));
	struct moat_key_conf conf = { .decrypt = true, .path = "key", .file = "keys" };
	struct moat_mistakes mistakes = { 0 };
	int fds[2];

	memcpy(conf.id, id, sizeof(conf.id));
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], pem, strlen(pem)), strlen(pem));
	close(fds[1]);
	moat_rsa_keys_read(&r->rsa, fds[0], &conf, &mistakes);
	close(fds[0]);
	assert_int_equal(mistakes.n, 0);
}

static struct moat_creds *credentials(struct replay *r)
{
	struct moat_creds *creds = moat_creds_new();
	gnutls_x509_crt_t own = certificate(r, "responder");
	gnutls_x509_crt_t peer = certificate(r, "initiator");
	struct moat_cert_key key;

	add_cert(creds, MOAT_CREDS_CERT, own);
	add_cert(creds, MOAT_CREDS_REMOTE, peer);
	assert_null(moat_cert_key(own, false, &key));
	moat_key_id(key.public.n, creds->key_id);
	creds->key_len = (uint16_t)key.public.n.len;
	assert_null(moat_cert_key(peer, false, &key));
	moat_creds_add(creds, MOAT_CREDS_REMOTE_KEY, key.public.n.data, key.public.n.len);
	moat_creds_add(creds, MOAT_CREDS_REMOTE_KEY, key.public.e.data, key.public.e.len);
	moat_creds_seal(creds);
	gnutls_x509_crt_deinit(own);
	gnutls_x509_crt_deinit(peer);
	private_key(r, creds->key_id);
	return creds;
}

static void identity(const struct replay *r, const char *role, struct moat_identity *id)
{
	struct octets o;

	unhex(json_object_get(json_object_get(r->json, "identities"), role), &o);
	id->type = o.data[0];
	id->len = (uint16_t)(o.len - 4);
	memcpy(id->data, o.data + 4, id->len);
}

static void configure(struct replay *r)
{
	json_t *addresses = json_object_get(r->json, "addresses");
	struct moat_tunnel_conf *c = &r->conf;
	char err[200];

	snprintf(c->name, sizeof(c->name), "t");
	c->file = "moat.conf";
	assert_true(moat_addr_parse(
		json_string_value(json_object_get(addresses, "responder")), &c->local));
	assert_true(moat_addr_parse(
		json_string_value(json_object_get(addresses, "initiator")), &r->remote));
	c->remote = &r->remote;
	c->n_remote = 1;
	identity(r, "responder", &c->local_id);
	identity(r, "initiator", &c->remote_id);
	c->auth = strcmp(text(r, "method"), "rsa-enc") ? MOAT_METHOD_RSA_ENC_REVISED
						       : MOAT_METHOD_RSA_ENC;
	c->exchange = strcmp(text(r, "exchange"), "main") ? MOAT_EXCHANGE_AGGRESSIVE
							  : MOAT_EXCHANGE_MAIN;
	c->action = MOAT_ACTION_PROTECT;
	c->mode = MOAT_MODE_TUNNEL;
	c->ike_lifetime = 28800;
	c->lifetime = 3600;
	c->creds = credentials(r);
	assert_int_equal(moat_ike_algs_add(&c->ike, text(r, "ike"), err, sizeof(err)), 0);
}

/* ---- comparing ---- */

static const json_t *wanted_payload(const json_t *message, size_t *at)
{
	json_t *list = json_object_get(message, "payloads");

	for (; *at < json_array_size(list); (*at)++) {
		const json_t *p = json_array_get(list, *at);

		if (strcmp(json_string_value(json_object_get(p, "type")), "VENDOR"))
			return json_array_get(list, (*at)++);
	}
	return NULL;
}

/* Payload by payload, but for vendor ids and what the SA payload says of lives. */
static void compare_clear(struct replay *r, const json_t *message, struct moat_view ours)
{
	struct octets *o = malloc(sizeof(*o));
	const struct moat_payload *p;
	struct moat_message msg;
	struct moat_hdr hdr;
	bool revised = !strcmp(text(r, "method"), "rsa-enc-revised");
	bool nonce = false;
	size_t at = 0;

	assert_non_null(o);
	assert_int_equal(moat_hdr_parse(ours, &hdr, NULL), 0);
	assert_int_equal(moat_chain_parse(hdr.next_payload,
					  moat_view(ours.data + MOAT_HDR_LEN,
						    ours.len - MOAT_HDR_LEN),
					  false, &msg, NULL),
			 0);
	moat_payload_for_each(p, &msg) {
		const json_t *want;

		nonce |= p->type == MOAT_P_NONCE;
		if (p->type == MOAT_P_VENDOR) {
			/* RFC 2409 section 5.3: it would have to be encrypted there. */
			assert_false(nonce && revised);
			continue;
		}
		want = wanted_payload(message, &at);
		assert_non_null(want);
		assert_string_equal(moat_payload_name(p->type),
				    json_string_value(json_object_get(want, "type")));
		if (p->type == MOAT_P_SA)
			continue;
		unhex(json_object_get(want, "body"), o);
		assert_int_equal(p->body.len, o->len);
		assert_memory_equal(p->body.data, o->data, o->len);
		r->compared++;
	}
	assert_null(wanted_payload(message, &at));
	free(o);
}

static void compare(struct replay *r, const struct moat_act *act)
{
	const json_t *message =
		json_array_get(json_object_get(r->json, "messages"), r->next);
	struct octets o;

	assert_non_null(message);
	assert_string_equal(json_string_value(json_object_get(message, "from")),
			    "responder");
	r->next++;
	if (!json_object_get(message, "payloads")) {
		unhex(json_object_get(message, "octets"), &o);
		assert_int_equal(act->send.len, o.len);
		assert_memory_equal(act->send.data, o.data, o.len);
		r->compared++;
		return;
	}
	compare_clear(r, message, moat_view(act->send.data, act->send.len));
}

/* ---- running ---- */

static void step(struct replay *r, struct moat_event *event);

static void answer_dh(struct replay *r, const struct moat_act *act)
{
	struct moat_event event = { .type = MOAT_EV_ANSWER };
	struct octets out, secret;

	event.answer.token = act->token;
	event.answer.ok = true;
	if (act->type == MOAT_ACT_DH_GENERATE) {
		value(r, "g^xr", &out);
		memset(secret.data, 0x5a, 32);
		event.answer.secret = secret.data;
		event.answer.secret_len = 32;
	} else {
		/* It came out of the peer's message as it went in. */
		value(r, "g^xi", &out);
		assert_int_equal(act->dh_shared.peer_len, out.len);
		assert_memory_equal(act->dh_shared.peer, out.data, out.len);
		value(r, "g^xy", &out);
	}
	event.answer.data = out.data;
	event.answer.len = out.len;
	step(r, &event);
}

static void answer_decrypt(struct replay *r, const struct moat_act *act)
{
	struct moat_event event = { .type = MOAT_EV_ANSWER };
	const struct moat_rsa_key *key = moat_rsa_keys_find(&r->rsa, act->decrypt.key_id);
	uint8_t out[MOAT_RSA_MAX];

	assert_non_null(key);
	event.answer.token = act->token;
	event.answer.len =
		moat_rsa_open(key, moat_view(act->decrypt.nonce, act->decrypt.nonce_len),
			      moat_view(act->decrypt.id, act->decrypt.id_len), out);
	event.answer.ok = event.answer.len != 0;
	event.answer.data = out;
	step(r, &event);
}

static void step(struct replay *r, struct moat_event *event)
{
	struct moat_acts acts;

	event->now = ++r->now;
	moat_acts_init(&acts);
	moat_ike_step(r->ike, event, &acts);
	for (const struct moat_act *act = acts.first; act; act = act->next) {
		if (act->type == MOAT_ACT_SEND)
			compare(r, act);
		else if (act->type == MOAT_ACT_LOG && act->log.level <= MOAT_LOG_WARN)
			fail_msg("%s: %s: %s", text(r, "name"), act->log.name,
				 act->log.text);
		else if (act->type == MOAT_ACT_DH_GENERATE ||
			 act->type == MOAT_ACT_DH_SHARED)
			answer_dh(r, act);
		else if (act->type == MOAT_ACT_DECRYPT)
			answer_decrypt(r, act);
	}
	moat_acts_free(&acts);
}

static void phase1(struct replay *r)
{
	struct moat_tunnel_conf *list[] = { &r->conf };
	struct moat_event event = { .type = MOAT_EV_CONFIG,
				    .config = { .tunnels = list, .n_tunnels = 1 } };
	json_t *messages = json_object_get(r->json, "messages");
	struct octets *o = malloc(sizeof(*o));

	assert_non_null(o);
	step(r, &event);
	while (r->next < json_array_size(messages)) {
		const json_t *message = json_array_get(messages, r->next);

		if (json_integer_value(json_object_get(message, "exchange")) ==
		    MOAT_X_QUICK)
			break;
		assert_string_equal(json_string_value(json_object_get(message, "from")),
				    "initiator");
		r->next++;
		unhex(json_object_get(message, "octets"), o);
		memset(&event, 0, sizeof(event));
		event.type = MOAT_EV_DATAGRAM;
		event.datagram.local.addr = r->conf.local;
		event.datagram.remote.addr = r->remote;
		event.datagram.local.port = event.datagram.remote.port = 500;
		event.datagram.data = o->data;
		event.datagram.len = o->len;
		step(r, &event);
	}
	free(o);
}

static void one(const char *path, json_t *keys)
{
	struct replay *r = calloc(1, sizeof(*r));
	struct moat_isakmp_view view;

	assert_non_null(r);
	r->json = json_load_file(path, 0, NULL);
	r->keys = keys;
	r->ike = moat_ike_new(draw, r);
	r->now = 1000;
	assert_non_null(r->json);
	configure(r);
	phase1(r);
	if (!moat_ike_isakmp(r->ike, 0, &view) || strcmp(view.state, "QM_IDLE"))
		fail_msg("%s: not established", path);
	/* All bodies of messages 4 and 6, or of 2. */
	assert_int_equal(r->compared, 4);
	moat_creds_put(r->conf.creds);
	moat_ike_free(r->ike);
	moat_rsa_keys_free(&r->rsa);
	json_decref(r->json);
	free(r);
}

static void transcripts(void **state)
{
	json_t *keys = json_load_file(TRANSCRIPTS "keys.json", 0, NULL);
	unsigned int n = 0;
	glob_t found;

	(void)state;
	assert_non_null(keys);
	assert_int_equal(glob(TRANSCRIPTS "*-*.json", 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		if (!strstr(found.gl_pathv[i], "/enc-") &&
		    !strstr(found.gl_pathv[i], "/revised-"))
			continue;
		one(found.gl_pathv[i], keys);
		n++;
	}
	assert_true(n >= 9);
	globfree(&found);
	json_decref(keys);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(transcripts) };

	if (moat_crypt_init())
		return 1;
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
