// SPDX-License-Identifier: GPL-2.0-or-later
/* Lines of Wireshark's tables of keys, for the supervisor to write. */
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "io/io.h"

static void hex(char *out, const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		snprintf(out + 2 * i, 3, "%02x", data[i]);
	out[2 * len] = '\0';
}

static void send_line(const char *line, uint32_t what)
{
	struct moat_ipc msg;

	moat_ipc_init(&msg, MOAT_IPC_KEYLOG, 0);
	msg.keylog.what = what;
	moat_ipc_text(msg.keylog.line, "%s", line);
	moat_ipc_send(MOAT_SUPERVISOR_FD, &msg, -1, MSG_DONTWAIT);
	explicit_bzero(&msg, sizeof(msg));
}

void moat_keylog_turn(struct moat_io *io, bool on)
{
	struct moat_event event = { .type = MOAT_EV_KEYLOG, .keylog.on = on };

	io->keylog = on;
	send_line("", on ? MOAT_KEYLOG_ON : MOAT_KEYLOG_OFF);
	moat_io_step(io, &event);
}

void moat_keylog_isakmp(const struct moat_act *act)
{
	char cookie[17], key[2 * MOAT_KEYLOG_MAX + 1], line[128];

	hex(cookie, act->keylog.cookie, sizeof(act->keylog.cookie));
	hex(key, act->keylog.key, act->keylog.len);
	snprintf(line, sizeof(line), "%s,%s", cookie, key);
	send_line(line, MOAT_KEYLOG_IKE);
	explicit_bzero(key, sizeof(key));
	explicit_bzero(line, sizeof(line));
}

static const char *encryption(const struct moat_sa_params *sa)
{
	switch (sa->enc) {
	case MOAT_ENC_NULL:
		return "NULL";
	case MOAT_ENC_AES_CBC:
		return "AES-CBC [RFC3602]";
	case MOAT_ENC_AES_CTR:
		return "AES-CTR [RFC3686]";
	case MOAT_ENC_3DES_CBC:
		return "TripleDES-CBC [RFC2451]";
	case MOAT_ENC_AES_GCM:
		return sa->icv_len == 8	   ? "AES-GCM with 8 octet ICV [RFC4106]"
		       : sa->icv_len == 12 ? "AES-GCM with 12 octet ICV [RFC4106]"
					   : "AES-GCM with 16 octet ICV [RFC4106]";
	default:
		return NULL;
	}
}

static const char *integrity(const struct moat_sa_params *sa)
{
	switch (sa->auth) {
	case MOAT_AUTH_NONE:
		return "NULL";
	case MOAT_AUTH_HMAC_MD5:
		return "HMAC-MD5-96 [RFC2403]";
	case MOAT_AUTH_HMAC_SHA1:
		return "HMAC-SHA-1-96 [RFC2404]";
	case MOAT_AUTH_HMAC_SHA256:
		return "HMAC-SHA-256-128 [RFC4868]";
	case MOAT_AUTH_HMAC_SHA384:
		return "HMAC-SHA-384-192 [RFC4868]";
	case MOAT_AUTH_HMAC_SHA512:
		return "HMAC-SHA-512-256 [RFC4868]";
	default:
		return NULL;
	}
}

void moat_keylog_sa(const struct moat_sa_params *sa)
{
	const char *enc = encryption(sa), *auth = integrity(sa);
	char src[MOAT_ADDR_STRLEN], dst[MOAT_ADDR_STRLEN];
	char keys[2][2 * MOAT_KEY_MAX + 1], line[768];

	/* AH hides nothing, and some algorithms Wireshark does not have. */
	if (sa->protocol != IPPROTO_ESP || !enc || !auth ||
	    sa->enc_key_len > MOAT_KEY_MAX || sa->auth_key_len > MOAT_KEY_MAX)
		return;
	hex(keys[0], sa->enc_key, sa->enc_key_len);
	hex(keys[1], sa->auth_key, sa->auth_key_len);
	snprintf(line, sizeof(line),
		 "\"%s\",\"%s\",\"%s\",\"0x%08x\",\"%s\",\"%s%s\",\"%s\",\"%s%s\",\"%s\","
		 "\"0\"",
		 sa->src.len == 4 ? "IPv4" : "IPv6", moat_addr_str(&sa->src, src),
		 moat_addr_str(&sa->dst, dst), sa->spi, enc, sa->enc_key_len ? "0x" : "",
		 keys[0], auth, sa->auth_key_len ? "0x" : "", keys[1],
		 sa->esn ? "64-bit" : "32-bit");
	send_line(line, MOAT_KEYLOG_ESP);
	explicit_bzero(keys, sizeof(keys));
	explicit_bzero(line, sizeof(line));
}
