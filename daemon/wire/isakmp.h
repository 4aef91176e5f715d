/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Numbers of ISAKMP and of the IPsec DOI as they stand on the wire, and their
 * names. RFC 2407, 2408, 2409, 3706, 3947, 4304 and the IANA registries
 * "isakmp-registry" and "ipsec-registry". Never used as internal identifiers.
 */
#ifndef MOAT_WIRE_ISAKMP_H
#define MOAT_WIRE_ISAKMP_H

#include <stdint.h>

#define MOAT_COOKIE_LEN	     8
#define MOAT_HDR_LEN	     28
#define MOAT_GENERIC_LEN     4
#define MOAT_ISAKMP_VERSION  0x10
#define MOAT_FLAG_ENCRYPTION 0x01
#define MOAT_FLAG_COMMIT     0x02
#define MOAT_FLAG_AUTH_ONLY  0x04
#define MOAT_SIT_IDENTITY    1
#define MOAT_NONCE_MIN	     8
#define MOAT_NONCE_MAX	     256
#define MOAT_FRAGMENT_LAST   0x01

/* RFC 2408 §3.1, RFC 3947 §3.2, §5.2 */
enum moat_payload_type {
	MOAT_P_NONE = 0,
	MOAT_P_SA = 1,
	MOAT_P_PROPOSAL = 2,
	MOAT_P_TRANSFORM = 3,
	MOAT_P_KE = 4,
	MOAT_P_ID = 5,
	MOAT_P_CERT = 6,
	MOAT_P_CR = 7,
	MOAT_P_HASH = 8,
	MOAT_P_SIG = 9,
	MOAT_P_NONCE = 10,
	MOAT_P_NOTIFY = 11,
	MOAT_P_DELETE = 12,
	MOAT_P_VENDOR = 13,
	MOAT_P_ATTRIBUTES = 14, /* mode config, XAUTH */
	MOAT_P_NAT_D = 20,
	MOAT_P_NAT_OA = 21,
	MOAT_P_NAT_D_DRAFT = 130,
	MOAT_P_NAT_OA_DRAFT = 131,
	MOAT_P_FRAGMENT = 132, /* private use, as Cisco, racoon and others have it */
};

/* RFC 2408 §3.1, RFC 2409 appendix A */
enum moat_exchange {
	MOAT_X_BASE = 1,
	MOAT_X_MAIN = 2, /* "identity protection" */
	MOAT_X_AUTH_ONLY = 3,
	MOAT_X_AGGRESSIVE = 4,
	MOAT_X_INFORMATIONAL = 5,
	MOAT_X_TRANSACTION = 6,
	MOAT_X_QUICK = 32,
	MOAT_X_NEW_GROUP = 33,
};

enum moat_doi { MOAT_DOI_ISAKMP = 0, MOAT_DOI_IPSEC = 1 };

/* RFC 2407 §4.4.1 */
enum moat_protocol {
	MOAT_PROTO_ISAKMP = 1,
	MOAT_PROTO_AH = 2,
	MOAT_PROTO_ESP = 3,
	MOAT_PROTO_IPCOMP = 4,
};

/* Transform identifier of phase 1, RFC 2407 §4.4.2 */
#define MOAT_KEY_IKE 1

/* Attribute classes of phase 1, RFC 2409 appendix A */
enum moat_ike_attr {
	MOAT_IKE_ENCRYPTION = 1,
	MOAT_IKE_HASH = 2,
	MOAT_IKE_AUTH_METHOD = 3,
	MOAT_IKE_GROUP = 4,
	MOAT_IKE_GROUP_TYPE = 5,
	MOAT_IKE_LIFE_TYPE = 11,
	MOAT_IKE_LIFE_DURATION = 12,
	MOAT_IKE_PRF = 13,
	MOAT_IKE_KEY_LENGTH = 14,
};

/* Attribute classes of phase 2, RFC 2407 §4.5, RFC 4304 §2 */
enum moat_ipsec_attr {
	MOAT_IPSEC_LIFE_TYPE = 1,
	MOAT_IPSEC_LIFE_DURATION = 2,
	MOAT_IPSEC_GROUP = 3,
	MOAT_IPSEC_ENCAP_MODE = 4,
	MOAT_IPSEC_AUTH = 5,
	MOAT_IPSEC_KEY_LENGTH = 6,
	MOAT_IPSEC_ESN = 11,
};

/* Both phases */
enum moat_life_type { MOAT_LIFE_SECONDS = 1, MOAT_LIFE_KILOBYTES = 2 };

/* RFC 2407 §4.5, RFC 3947 §5.1 */
enum moat_encap_mode {
	MOAT_ENCAP_TUNNEL = 1,
	MOAT_ENCAP_TRANSPORT = 2,
	MOAT_ENCAP_UDP_TUNNEL = 3,
	MOAT_ENCAP_UDP_TRANSPORT = 4,
	MOAT_ENCAP_UDP_TUNNEL_DRAFT = 61443,
	MOAT_ENCAP_UDP_TRANSPORT_DRAFT = 61444,
};

/* RFC 2409 appendix A */
enum moat_auth_method {
	MOAT_METHOD_PSK = 1,
	MOAT_METHOD_DSS_SIG = 2,
	MOAT_METHOD_RSA_SIG = 3,
	MOAT_METHOD_RSA_ENC = 4,
	MOAT_METHOD_RSA_ENC_REVISED = 5,
};

/* RFC 2407 §4.6.2.1 */
enum moat_id_type {
	MOAT_ID_IPV4_ADDR = 1,
	MOAT_ID_FQDN = 2,
	MOAT_ID_USER_FQDN = 3,
	MOAT_ID_IPV4_SUBNET = 4,
	MOAT_ID_IPV6_ADDR = 5,
	MOAT_ID_IPV6_SUBNET = 6,
	MOAT_ID_IPV4_RANGE = 7,
	MOAT_ID_IPV6_RANGE = 8,
	MOAT_ID_DER_ASN1_DN = 9,
	MOAT_ID_DER_ASN1_GN = 10,
	MOAT_ID_KEY_ID = 11,
};

/* RFC 2408 §3.9 */
enum moat_cert_type {
	MOAT_CERT_PKCS7 = 1,
	MOAT_CERT_X509_SIGNATURE = 4,
	MOAT_CERT_X509_KE = 5,
	MOAT_CERT_CRL = 7,
};

/* RFC 2408 §3.14.1, RFC 2407 §4.6.3, RFC 3706 §5 */
enum moat_notify_type {
	MOAT_N_INVALID_PAYLOAD_TYPE = 1,
	MOAT_N_DOI_NOT_SUPPORTED = 2,
	MOAT_N_SITUATION_NOT_SUPPORTED = 3,
	MOAT_N_INVALID_COOKIE = 4,
	MOAT_N_INVALID_MAJOR_VERSION = 5,
	MOAT_N_INVALID_MINOR_VERSION = 6,
	MOAT_N_INVALID_EXCHANGE_TYPE = 7,
	MOAT_N_INVALID_FLAGS = 8,
	MOAT_N_INVALID_MESSAGE_ID = 9,
	MOAT_N_INVALID_PROTOCOL_ID = 10,
	MOAT_N_INVALID_SPI = 11,
	MOAT_N_INVALID_TRANSFORM_ID = 12,
	MOAT_N_ATTRIBUTES_NOT_SUPPORTED = 13,
	MOAT_N_NO_PROPOSAL_CHOSEN = 14,
	MOAT_N_BAD_PROPOSAL_SYNTAX = 15,
	MOAT_N_PAYLOAD_MALFORMED = 16,
	MOAT_N_INVALID_KEY_INFORMATION = 17,
	MOAT_N_INVALID_ID_INFORMATION = 18,
	MOAT_N_INVALID_CERT_ENCODING = 19,
	MOAT_N_INVALID_CERTIFICATE = 20,
	MOAT_N_CERT_TYPE_UNSUPPORTED = 21,
	MOAT_N_INVALID_CERT_AUTHORITY = 22,
	MOAT_N_INVALID_HASH_INFORMATION = 23,
	MOAT_N_AUTHENTICATION_FAILED = 24,
	MOAT_N_INVALID_SIGNATURE = 25,
	MOAT_N_ADDRESS_NOTIFICATION = 26,
	MOAT_N_NOTIFY_SA_LIFETIME = 27,
	MOAT_N_CERTIFICATE_UNAVAILABLE = 28,
	MOAT_N_UNSUPPORTED_EXCHANGE_TYPE = 29,
	MOAT_N_UNEQUAL_PAYLOAD_LENGTHS = 30,
	MOAT_N_CONNECTED = 16384,
	MOAT_N_RESPONDER_LIFETIME = 24576,
	MOAT_N_REPLAY_STATUS = 24577,
	MOAT_N_INITIAL_CONTACT = 24578,
	MOAT_N_R_U_THERE = 36136,
	MOAT_N_R_U_THERE_ACK = 36137,
};

/*
 * Names as the RFCs write them, for logs and the trace. An unknown number gives
 * "unknown"; print the number beside it.
 */
const char *moat_payload_name(uint8_t type);
const char *moat_exchange_name(uint8_t exchange);
const char *moat_protocol_name(uint8_t protocol);
const char *moat_encap_name(uint16_t mode);
const char *moat_auth_method_name(uint16_t method);
const char *moat_id_type_name(uint8_t type);
const char *moat_cert_type_name(uint8_t type);
const char *moat_notify_name(uint16_t type);

/* Values of attributes that a peer may offer, known to us or not. */
const char *moat_ike_attr_name(uint16_t type);
const char *moat_ipsec_attr_name(uint16_t type);

#endif
