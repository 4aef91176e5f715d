// SPDX-License-Identifier: GPL-2.0-or-later
/* Identities of phase 1 as text, RFC 2407 section 4.6.2.1. */
#include <string.h>

#include "priv/cert.h"
#include "priv/config.h"
#include "wire/isakmp.h"

bool moat_identity_equal(const struct moat_identity *a, const struct moat_identity *b)
{
	return a->type == b->type && a->len == b->len &&
	       !memcmp(a->data, b->data, a->len);
}

static int digit(char c)
{
	static const char digits[] = "0123456789abcdefABCDEF";
	const char *at = c ? strchr(digits, c) : NULL;

	return !at ? -1 : (int)(at - digits) - (at - digits > 15 ? 6 : 0);
}

/* That of a certificate, its subjectKeyIdentifier, is no text. */
static const char *key_id_parse(const char *hex, struct moat_identity *id)
{
	size_t len = strlen(hex) / 2;

	memset(id, 0, sizeof(*id));
	if (!len || strlen(hex) % 2 || len > MOAT_ID_MAX)
		return "is no key id: expected 1 to 256 octets in hexadecimal behind 0x";
	for (size_t i = 0; i < len; i++) {
		if (digit(hex[2 * i]) < 0 || digit(hex[2 * i + 1]) < 0)
			return "is no key id: expected hexadecimal digits behind 0x";
		id->data[i] = (uint8_t)(digit(hex[2 * i]) << 4 | digit(hex[2 * i + 1]));
	}
	id->type = MOAT_ID_KEY_ID;
	id->len = (uint16_t)len;
	return NULL;
}

const char *moat_identity_parse(const char *text, struct moat_identity *id)
{
	struct moat_addr addr;
	uint8_t type;
	size_t len;
	bool at;

	if (moat_addr_parse(text, &addr)) {
		moat_identity_from_addr(&addr, id);
		return NULL;
	}
	if (!strncmp(text, "dn:", 3))
		return moat_dn_parse(text + 3, id);
	if (!strncmp(text, "keyid:0x", 8))
		return key_id_parse(text + 8, id);
	if (!strncmp(text, "keyid:", 6)) {
		type = MOAT_ID_KEY_ID;
		text += 6;
	} else {
		/* As strongSwan and libreswan write what is not to be looked up. */
		at = *text == '@';
		text += at;
		type = strchr(text, '@') ? MOAT_ID_USER_FQDN : MOAT_ID_FQDN;
		if ((at && type == MOAT_ID_USER_FQDN) ||
		    strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				 "0123456789-_.@+") != strlen(text))
			return "is no identity: expected an address, FQDN, user@FQDN, "
			       "dn:... or keyid:...";
	}
	len = strlen(text);
	if (!len)
		return "is empty";
	if (len > MOAT_ID_MAX)
		return "is too long: 256 characters at most";
	memset(id, 0, sizeof(*id));
	id->type = type;
	id->len = len;
	memcpy(id->data, text, len);
	return NULL;
}
