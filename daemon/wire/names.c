// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Names of the wire's numbers, as the RFCs write them.
 */
#include "wire/isakmp.h"

#include "wire/view.h"

struct name {
	uint16_t number;
	const char *name;
};

static const char *find(const struct name *table, size_t count, uint16_t number)
{
	for (size_t i = 0; i < count; i++)
		if (table[i].number == number)
			return table[i].name;
	return "unknown";
}

#define FIND(table, number) find(table, sizeof(table) / sizeof((table)[0]), number)

static const struct name payloads[] = {
	{ MOAT_P_NONE, "NONE" },
	{ MOAT_P_SA, "SA" },
	{ MOAT_P_PROPOSAL, "P" },
	{ MOAT_P_TRANSFORM, "T" },
	{ MOAT_P_KE, "KE" },
	{ MOAT_P_ID, "ID" },
	{ MOAT_P_CERT, "CERT" },
	{ MOAT_P_CR, "CR" },
	{ MOAT_P_HASH, "HASH" },
	{ MOAT_P_SIG, "SIG" },
	{ MOAT_P_NONCE, "NONCE" },
	{ MOAT_P_NOTIFY, "NOTIFY" },
	{ MOAT_P_DELETE, "DELETE" },
	{ MOAT_P_VENDOR, "VID" },
	{ MOAT_P_ATTRIBUTES, "ATTR" },
	{ MOAT_P_NAT_D, "NAT-D" },
	{ MOAT_P_NAT_OA, "NAT-OA" },
	{ MOAT_P_NAT_D_DRAFT, "NAT-D-DRAFT" },
	{ MOAT_P_NAT_OA_DRAFT, "NAT-OA-DRAFT" },
	{ MOAT_P_FRAGMENT, "FRAGMENT" },
};

const char *moat_payload_name(uint8_t type)
{
	return FIND(payloads, type);
}

static const struct name exchanges[] = {
	{ MOAT_X_BASE, "base" },
	{ MOAT_X_MAIN, "main" },
	{ MOAT_X_AUTH_ONLY, "authentication-only" },
	{ MOAT_X_AGGRESSIVE, "aggressive" },
	{ MOAT_X_INFORMATIONAL, "informational" },
	{ MOAT_X_TRANSACTION, "transaction" },
	{ MOAT_X_QUICK, "quick" },
	{ MOAT_X_NEW_GROUP, "new-group" },
};

const char *moat_exchange_name(uint8_t exchange)
{
	return FIND(exchanges, exchange);
}

static const struct name protocols[] = {
	{ MOAT_PROTO_ISAKMP, "ISAKMP" },
	{ MOAT_PROTO_AH, "AH" },
	{ MOAT_PROTO_ESP, "ESP" },
	{ MOAT_PROTO_IPCOMP, "IPCOMP" },
};

const char *moat_protocol_name(uint8_t protocol)
{
	return FIND(protocols, protocol);
}

static const struct name encaps[] = {
	{ MOAT_ENCAP_TUNNEL, "tunnel" },
	{ MOAT_ENCAP_TRANSPORT, "transport" },
	{ MOAT_ENCAP_UDP_TUNNEL, "udp-tunnel" },
	{ MOAT_ENCAP_UDP_TRANSPORT, "udp-transport" },
	{ MOAT_ENCAP_UDP_TUNNEL_DRAFT, "udp-tunnel-draft" },
	{ MOAT_ENCAP_UDP_TRANSPORT_DRAFT, "udp-transport-draft" },
};

const char *moat_encap_name(uint16_t mode)
{
	return FIND(encaps, mode);
}

static const struct name methods[] = {
	{ MOAT_METHOD_PSK, "psk" },
	{ MOAT_METHOD_DSS_SIG, "dss-sig" },
	{ MOAT_METHOD_RSA_SIG, "rsa-sig" },
	{ MOAT_METHOD_RSA_ENC, "rsa-enc" },
	{ MOAT_METHOD_RSA_ENC_REVISED, "rsa-enc-revised" },
	{ 9, "ecdsa-256" },
	{ 10, "ecdsa-384" },
	{ 11, "ecdsa-521" },
	{ 64221, "hybrid-init-rsa" },
	{ 65001, "xauth-init-psk" },
	{ 65005, "xauth-init-rsa" },
};

const char *moat_auth_method_name(uint16_t method)
{
	return FIND(methods, method);
}

static const struct name ids[] = {
	{ MOAT_ID_IPV4_ADDR, "ID_IPV4_ADDR" },
	{ MOAT_ID_FQDN, "ID_FQDN" },
	{ MOAT_ID_USER_FQDN, "ID_USER_FQDN" },
	{ MOAT_ID_IPV4_SUBNET, "ID_IPV4_ADDR_SUBNET" },
	{ MOAT_ID_IPV6_ADDR, "ID_IPV6_ADDR" },
	{ MOAT_ID_IPV6_SUBNET, "ID_IPV6_ADDR_SUBNET" },
	{ MOAT_ID_IPV4_RANGE, "ID_IPV4_ADDR_RANGE" },
	{ MOAT_ID_IPV6_RANGE, "ID_IPV6_ADDR_RANGE" },
	{ MOAT_ID_DER_ASN1_DN, "ID_DER_ASN1_DN" },
	{ MOAT_ID_DER_ASN1_GN, "ID_DER_ASN1_GN" },
	{ MOAT_ID_KEY_ID, "ID_KEY_ID" },
};

const char *moat_id_type_name(uint8_t type)
{
	return FIND(ids, type);
}

static const struct name certs[] = {
	{ MOAT_CERT_PKCS7, "PKCS7" },
	{ MOAT_CERT_X509_SIGNATURE, "X509-SIGNATURE" },
	{ MOAT_CERT_X509_KE, "X509-KEY-EXCHANGE" },
	{ MOAT_CERT_CRL, "CRL" },
};

const char *moat_cert_type_name(uint8_t type)
{
	return FIND(certs, type);
}

static const struct name notifies[] = {
	{ MOAT_N_INVALID_PAYLOAD_TYPE, "INVALID-PAYLOAD-TYPE" },
	{ MOAT_N_DOI_NOT_SUPPORTED, "DOI-NOT-SUPPORTED" },
	{ MOAT_N_SITUATION_NOT_SUPPORTED, "SITUATION-NOT-SUPPORTED" },
	{ MOAT_N_INVALID_COOKIE, "INVALID-COOKIE" },
	{ MOAT_N_INVALID_MAJOR_VERSION, "INVALID-MAJOR-VERSION" },
	{ MOAT_N_INVALID_MINOR_VERSION, "INVALID-MINOR-VERSION" },
	{ MOAT_N_INVALID_EXCHANGE_TYPE, "INVALID-EXCHANGE-TYPE" },
	{ MOAT_N_INVALID_FLAGS, "INVALID-FLAGS" },
	{ MOAT_N_INVALID_MESSAGE_ID, "INVALID-MESSAGE-ID" },
	{ MOAT_N_INVALID_PROTOCOL_ID, "INVALID-PROTOCOL-ID" },
	{ MOAT_N_INVALID_SPI, "INVALID-SPI" },
	{ MOAT_N_INVALID_TRANSFORM_ID, "INVALID-TRANSFORM-ID" },
	{ MOAT_N_ATTRIBUTES_NOT_SUPPORTED, "ATTRIBUTES-NOT-SUPPORTED" },
	{ MOAT_N_NO_PROPOSAL_CHOSEN, "NO-PROPOSAL-CHOSEN" },
	{ MOAT_N_BAD_PROPOSAL_SYNTAX, "BAD-PROPOSAL-SYNTAX" },
	{ MOAT_N_PAYLOAD_MALFORMED, "PAYLOAD-MALFORMED" },
	{ MOAT_N_INVALID_KEY_INFORMATION, "INVALID-KEY-INFORMATION" },
	{ MOAT_N_INVALID_ID_INFORMATION, "INVALID-ID-INFORMATION" },
	{ MOAT_N_INVALID_CERT_ENCODING, "INVALID-CERT-ENCODING" },
	{ MOAT_N_INVALID_CERTIFICATE, "INVALID-CERTIFICATE" },
	{ MOAT_N_CERT_TYPE_UNSUPPORTED, "CERT-TYPE-UNSUPPORTED" },
	{ MOAT_N_INVALID_CERT_AUTHORITY, "INVALID-CERT-AUTHORITY" },
	{ MOAT_N_INVALID_HASH_INFORMATION, "INVALID-HASH-INFORMATION" },
	{ MOAT_N_AUTHENTICATION_FAILED, "AUTHENTICATION-FAILED" },
	{ MOAT_N_INVALID_SIGNATURE, "INVALID-SIGNATURE" },
	{ MOAT_N_ADDRESS_NOTIFICATION, "ADDRESS-NOTIFICATION" },
	{ MOAT_N_NOTIFY_SA_LIFETIME, "NOTIFY-SA-LIFETIME" },
	{ MOAT_N_CERTIFICATE_UNAVAILABLE, "CERTIFICATE-UNAVAILABLE" },
	{ MOAT_N_UNSUPPORTED_EXCHANGE_TYPE, "UNSUPPORTED-EXCHANGE-TYPE" },
	{ MOAT_N_UNEQUAL_PAYLOAD_LENGTHS, "UNEQUAL-PAYLOAD-LENGTHS" },
	{ MOAT_N_CONNECTED, "CONNECTED" },
	{ MOAT_N_RESPONDER_LIFETIME, "RESPONDER-LIFETIME" },
	{ MOAT_N_REPLAY_STATUS, "REPLAY-STATUS" },
	{ MOAT_N_INITIAL_CONTACT, "INITIAL-CONTACT" },
	{ MOAT_N_R_U_THERE, "R-U-THERE" },
	{ MOAT_N_R_U_THERE_ACK, "R-U-THERE-ACK" },
};

const char *moat_notify_name(uint16_t type)
{
	return FIND(notifies, type);
}

static const struct name ike_attrs[] = {
	{ MOAT_IKE_ENCRYPTION, "encryption" },
	{ MOAT_IKE_HASH, "hash" },
	{ MOAT_IKE_AUTH_METHOD, "authentication method" },
	{ MOAT_IKE_GROUP, "group" },
	{ MOAT_IKE_GROUP_TYPE, "group type" },
	{ MOAT_IKE_LIFE_TYPE, "life type" },
	{ MOAT_IKE_LIFE_DURATION, "life duration" },
	{ MOAT_IKE_PRF, "prf" },
	{ MOAT_IKE_KEY_LENGTH, "key length" },
};

const char *moat_ike_attr_name(uint16_t type)
{
	return FIND(ike_attrs, type);
}

static const struct name ipsec_attrs[] = {
	{ MOAT_IPSEC_LIFE_TYPE, "life type" },
	{ MOAT_IPSEC_LIFE_DURATION, "life duration" },
	{ MOAT_IPSEC_GROUP, "pfs group" },
	{ MOAT_IPSEC_ENCAP_MODE, "encapsulation mode" },
	{ MOAT_IPSEC_AUTH, "integrity" },
	{ MOAT_IPSEC_KEY_LENGTH, "key length" },
	{ MOAT_IPSEC_ESN, "extended sequence number" },
};

const char *moat_ipsec_attr_name(uint16_t type)
{
	return FIND(ipsec_attrs, type);
}
