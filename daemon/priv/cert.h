/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a certificate says, asked of GnuTLS: identities, names, RSA keys. */
#ifndef MOAT_PRIV_CERT_H
#define MOAT_PRIV_CERT_H

#include <gnutls/x509.h>

#include "ike/rsa.h"
#include "ike/tunnel.h"

/**
 * struct moat_cert_key - the RSA key of a certificate; @public points into @buf
 */
struct moat_cert_key {
	struct moat_rsa_public public;
	uint8_t buf[MOAT_RSA_MAX + 16];
};

/**
 * moat_cert_key() - take the RSA key out of a certificate
 * @weak: 1024 bits will do
 *
 * Return: NULL, or a sentence that says why it will not do.
 */
const char *moat_cert_key(gnutls_x509_crt_t cert, bool weak, struct moat_cert_key *key);

/**
 * moat_cert_usage() - may its key do this?
 * @usage: bits of GNUTLS_KEY_*, one of which must be allowed; a certificate
 *	that does not limit its key may be used for all
 */
bool moat_cert_usage(gnutls_x509_crt_t cert, unsigned int usage);

/**
 * moat_cert_for_ike() - does its extended key usage leave room for IKE?
 *
 * RFC 4945 section 5.1.3.12: ipsecIKE or any. Many that serve have those of TLS, or
 * iKEIntermediate, so these are as good; and only what is critical is a limit.
 *
 * Return: true also when there is none.
 */
bool moat_cert_for_ike(gnutls_x509_crt_t cert);

/**
 * moat_cert_has_id() - does a certificate stand for this identity?
 *
 * A distinguished name is the subject's; addresses, FQDN and user@FQDN stand in
 * subjectAltName; a key id is the subject's key identifier.
 */
bool moat_cert_has_id(gnutls_x509_crt_t cert, uint8_t type, struct moat_view data);

#define MOAT_DN_STRLEN 512
/** moat_dn_str() - a DER name as text that moat_dn_parse() takes: C=DE,O=Example,CN=gw */
const char *moat_dn_str(struct moat_view dn, char buf[MOAT_DN_STRLEN]);

/** moat_dn_equal() - the same name, whatever types its strings have */
bool moat_dn_equal(struct moat_view a, struct moat_view b);

/**
 * moat_dn_parse() - read a distinguished name
 * @text: "C=DE, O=Example, CN=gw", in the order of the certificate, or, when it
 *	begins with anything else than C, ST, L, O, OU or DC, the other way round
 *	(RFC 4514); "/CN=gw, O=Example" is in the order of the certificate, too
 *
 * Return: NULL, or a sentence that says what is wrong.
 */
const char *moat_dn_parse(const char *text, struct moat_identity *id);

/** moat_cert_dn() - the subject; gnutls_free() its data */
gnutls_datum_t moat_cert_dn(gnutls_x509_crt_t cert);

/** moat_cert_load() - one certificate from DER; NULL when it is none */
gnutls_x509_crt_t moat_cert_load(struct moat_view der);

#endif
