// SPDX-License-Identifier: GPL-2.0-or-later
/* What a certificate says. Everything that parses one is GnuTLS. */
#include "priv/cert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "wire/isakmp.h"

#define SANS_MAX     64
#define PURPOSES_MAX 64

/* Of ISAKMP's early days: Cisco, Apple and others still ask for it. */
#define IKE_INTERMEDIATE "1.3.6.1.5.5.8.2.2"

static struct moat_view stripped(const gnutls_datum_t *number)
{
	struct moat_view v = moat_view(number->data, number->size);

	while (v.len && !v.data[0])
		v = moat_view(v.data + 1, v.len - 1);
	return v;
}

const char *moat_cert_key(gnutls_x509_crt_t cert, bool weak, struct moat_cert_key *key)
{
	gnutls_datum_t m, e;
	struct moat_view n, x;
	const char *why = NULL;

	if (gnutls_x509_crt_get_pk_rsa_raw(cert, &m, &e))
		return "its key is not RSA";
	n = stripped(&m);
	x = stripped(&e);
	if (n.len + x.len > sizeof(key->buf)) {
		why = "its RSA key has more than 8192 bits";
	} else {
		memcpy(key->buf, n.data, n.len);
		memcpy(key->buf + n.len, x.data, x.len);
		key->public.n = moat_view(key->buf, n.len);
		key->public.e = moat_view(key->buf + n.len, x.len);
		why = moat_rsa_unfit(&key->public, weak);
	}
	gnutls_free(m.data);
	gnutls_free(e.data);
	return why;
}

bool moat_cert_usage(gnutls_x509_crt_t cert, unsigned int usage)
{
	unsigned int allowed = 0, critical;
	int ret = gnutls_x509_crt_get_key_usage(cert, &allowed, &critical);

	if (ret == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
		return true;
	return !ret && (allowed & usage);
}

bool moat_cert_for_ike(gnutls_x509_crt_t cert)
{
	static const char *const fit[] = { GNUTLS_KP_IPSEC_IKE, GNUTLS_KP_ANY,
					   GNUTLS_KP_TLS_WWW_SERVER,
					   GNUTLS_KP_TLS_WWW_CLIENT, IKE_INTERMEDIATE };
	unsigned int critical = 0;

	for (unsigned int i = 0; i < PURPOSES_MAX; i++) {
		char oid[64];
		size_t len = sizeof(oid);
		int ret = gnutls_x509_crt_get_key_purpose_oid(cert, i, oid, &len,
							      &critical);

		if (ret == GNUTLS_E_SHORT_MEMORY_BUFFER)
			continue;
		if (ret < 0)
			break;
		for (size_t k = 0; k < sizeof(fit) / sizeof(fit[0]); k++) {
			if (!strcmp(oid, fit[k]))
				return true;
		}
	}
	return !critical;
}

gnutls_datum_t moat_cert_dn(gnutls_x509_crt_t cert)
{
	gnutls_datum_t dn = { NULL, 0 };

	if (gnutls_x509_crt_get_raw_dn(cert, &dn))
		dn = (gnutls_datum_t){ NULL, 0 };
	return dn;
}

gnutls_x509_crt_t moat_cert_load(struct moat_view der)
{
	gnutls_datum_t datum = { (unsigned char *)der.data, der.len };
	gnutls_x509_crt_t cert;

	if (gnutls_x509_crt_init(&cert))
		abort();
	if (!gnutls_x509_crt_import(cert, &datum, GNUTLS_X509_FMT_DER))
		return cert;
	gnutls_x509_crt_deinit(cert);
	return NULL;
}

/* Host names know no case; of a mailbox only the host is one. */
static bool same_name(uint8_t type, struct moat_view want, const char *name, size_t len)
{
	size_t fixed = 0;

	if (want.len != len)
		return false;
	if (type == MOAT_ID_USER_FQDN) {
		const char *at = memrchr(name, '@', len);

		fixed = at ? (size_t)(at - name) : len;
	}
	return !memcmp(want.data, name, fixed) &&
	       !strncasecmp((const char *)want.data + fixed, name + fixed, len - fixed);
}

static bool same_san(uint8_t type, struct moat_view want, unsigned int san,
		     const char *value, size_t len)
{
	switch (type) {
	case MOAT_ID_IPV4_ADDR:
	case MOAT_ID_IPV6_ADDR:
		return san == GNUTLS_SAN_IPADDRESS && want.len == len &&
		       !memcmp(want.data, value, len);
	case MOAT_ID_FQDN:
		return san == GNUTLS_SAN_DNSNAME && same_name(type, want, value, len);
	case MOAT_ID_USER_FQDN:
		return san == GNUTLS_SAN_RFC822NAME && same_name(type, want, value, len);
	default:
		return false;
	}
}

static bool has_san(gnutls_x509_crt_t cert, uint8_t type, struct moat_view want)
{
	for (unsigned int i = 0; i < SANS_MAX; i++) {
		char value[512];
		size_t len = sizeof(value);
		unsigned int san;
		int ret = gnutls_x509_crt_get_subject_alt_name2(cert, i, value, &len,
								&san, NULL);

		if (ret == GNUTLS_E_SHORT_MEMORY_BUFFER)
			continue;
		if (ret < 0)
			return false;
		/* GnuTLS counts no NUL that it adds to a name. */
		if (same_san(type, want, san, value, len))
			return true;
	}
	return false;
}

static bool has_dn(gnutls_x509_crt_t cert, struct moat_view want)
{
	gnutls_datum_t dn = moat_cert_dn(cert);
	bool same = dn.size && moat_dn_equal(want, moat_view(dn.data, dn.size));

	gnutls_free(dn.data);
	return same;
}

static bool has_key_id(gnutls_x509_crt_t cert, struct moat_view want)
{
	uint8_t id[64];
	size_t len = sizeof(id);

	return !gnutls_x509_crt_get_subject_key_id(cert, id, &len, NULL) &&
	       want.len == len && !memcmp(want.data, id, len);
}

bool moat_cert_has_id(gnutls_x509_crt_t cert, uint8_t type, struct moat_view data)
{
	if (!data.len)
		return false;
	if (type == MOAT_ID_DER_ASN1_DN)
		return has_dn(cert, data);
	if (type == MOAT_ID_KEY_ID)
		return has_key_id(cert, data);
	return has_san(cert, type, data);
}

/* RFC 4514, backwards. */
static char *dn_text(struct moat_view der, unsigned int flags)
{
	gnutls_datum_t datum = { (unsigned char *)der.data, der.len };
	gnutls_datum_t text = { NULL, 0 };
	gnutls_x509_dn_t dn;

	if (gnutls_x509_dn_init(&dn))
		abort();
	if (gnutls_x509_dn_import(dn, &datum) ||
	    gnutls_x509_dn_get_str2(dn, &text, flags))
		text.data = NULL;
	gnutls_x509_dn_deinit(dn);
	return (char *)text.data;
}

static bool from_the_top(const char *text)
{
	static const char *const top[] = { "C", "ST", "L", "O", "OU", "DC" };
	size_t len = strcspn(text, " =");

	for (unsigned int i = 0; i < sizeof(top) / sizeof(top[0]); i++) {
		if (strlen(top[i]) == len && !strncasecmp(text, top[i], len))
			return true;
	}
	return false;
}

const char *moat_dn_str(struct moat_view dn, char buf[MOAT_DN_STRLEN])
{
	char *text = dn_text(dn, GNUTLS_X509_DN_FLAG_COMPAT);
	bool turned = text && strchr(text, ',') && !from_the_top(text);

	/* Without it, moat_dn_parse() would turn such a one around. */
	snprintf(buf, MOAT_DN_STRLEN, "%s%s", turned ? "/" : "",
		 text ? text : "(no name)");
	/* It may be a stranger's, on its way to a terminal. */
	for (char *c = buf; *c; c++) {
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '.';
	}
	gnutls_free(text);
	return buf;
}

bool moat_dn_equal(struct moat_view a, struct moat_view b)
{
	char *x, *y;
	bool same;

	if (moat_view_equal(a, b))
		return true;
	x = dn_text(a, 0);
	y = dn_text(b, 0);
	same = x && y && !strcmp(x, y);
	gnutls_free(x);
	gnutls_free(y);
	return same;
}

/* The same parts, last one first; a comma behind a backslash parts nothing. */
static void reverse(const char *text, char *out)
{
	const char *end = text + strlen(text);

	*out = '\0';
	for (const char *begin = end; begin > text; end = begin) {
		const char *part;

		do {
			begin--;
		} while (begin > text && !(*begin == ',' && begin[-1] != '\\'));
		part = begin == text && *begin != ',' ? begin : begin + 1;
		while (*part == ' ')
			part++;
		if (*out)
			strcat(out, ",");
		strncat(out, part, end - part);
	}
}

/* What others call EMAIL, in the place of a part's name: so many octets, or 0. */
static size_t email(const char *text)
{
	static const char *const names[] = { "E", "emailAddress" };
	size_t len = strcspn(text, " =");

	for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strlen(names[i]) == len && !strncasecmp(text, names[i], len))
			return len;
	}
	return 0;
}

/* The names of parts as GnuTLS knows them; @out has three times the room. */
static void spell(const char *text, char *out)
{
	bool begins = true;

	while (*text) {
		size_t len = begins ? email(text) : 0;

		if (len) {
			out = stpcpy(out, "EMAIL");
			text += len;
			begins = false;
			continue;
		}
		begins = *text == ',' || (begins && *text == ' ');
		if (*text == '\\' && text[1])
			*out++ = *text++;
		*out++ = *text++;
	}
	*out = '\0';
}

const char *moat_dn_parse(const char *text, struct moat_identity *id)
{
	char ordered[MOAT_DN_STRLEN], rfc4514[3 * MOAT_DN_STRLEN];
	gnutls_datum_t der = { NULL, 0 };
	const char *why = NULL;
	gnutls_x509_dn_t dn;

	text += strspn(text, " ");
	if (strlen(text) >= sizeof(ordered))
		return "is too long";
	/* With slashes between, as others write it, it is none. */
	if (*text == '/' && strchr(text, ','))
		reverse(text + 1, ordered);
	else if (from_the_top(text))
		reverse(text, ordered);
	else
		snprintf(ordered, sizeof(ordered), "%s", text);
	spell(ordered, rfc4514);
	if (gnutls_x509_dn_init(&dn))
		abort();
	if (!*rfc4514 || gnutls_x509_dn_set_str(dn, rfc4514, NULL) ||
	    gnutls_x509_dn_export2(dn, GNUTLS_X509_FMT_DER, &der))
		why = "is no distinguished name: expected dn:C=DE, O=Example, CN=gw";
	else if (der.size > MOAT_ID_MAX)
		why = "is too long: 256 octets of DER at most";
	if (!why) {
		memset(id, 0, sizeof(*id));
		id->type = MOAT_ID_DER_ASN1_DN;
		id->len = der.size;
		memcpy(id->data, der.data, der.size);
	}
	gnutls_free(der.data);
	gnutls_x509_dn_deinit(dn);
	return why;
}
