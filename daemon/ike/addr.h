/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Addresses, endpoints, networks and selectors as plain values. */
#ifndef MOAT_IKE_ADDR_H
#define MOAT_IKE_ADDR_H

#include <stdbool.h>
#include <stdint.h>

/**
 * struct moat_addr - an IP address, or none
 * @len: 4 (IPv4), 16 (IPv6), or 0 for "any" or "none"
 * @bytes: the address in network byte order; unused bytes are zero, so that
 *         two values can be compared with memcmp()
 */
struct moat_addr {
	uint8_t len;
	uint8_t bytes[16];
};

/**
 * struct moat_endpoint - an address and a UDP port
 * @port: host byte order
 */
struct moat_endpoint {
	struct moat_addr addr;
	uint16_t port;
};

/**
 * struct moat_range - a run of addresses, RFC 2407 section 4.6.2
 * @first: lowest address
 * @last: highest address, of the same family
 * A network is a range whose bounds are a prefix apart; moat_range_prefix()
 * finds it back.
 */
struct moat_range {
	struct moat_addr first;
	struct moat_addr last;
};

/**
 * struct moat_selector - what one pair of SAs may carry
 * @local: our side's addresses
 * @remote: the peer's side's addresses
 * @protocol: IP protocol, 0 for any
 * @local_port: lowest and highest port, host byte order; 0..65535 for any
 * @remote_port: the same for the peer's side
 */
struct moat_selector {
	struct moat_range local;
	struct moat_range remote;
	uint8_t protocol;
	uint16_t local_port[2];
	uint16_t remote_port[2];
};

/* Long enough for an IPv6 network with its prefix or a port. */
#define MOAT_ADDR_STRLEN 64

/**
 * moat_addr_str() - write an address as text ("192.0.2.1", "2001:db8::1", "any")
 * @addr: the address
 * @buf: at least MOAT_ADDR_STRLEN bytes
 *
 * Return: @buf.
 */
const char *moat_addr_str(const struct moat_addr *addr, char buf[MOAT_ADDR_STRLEN]);

/**
 * moat_addr_parse() - read an address from text
 * @text: "192.0.2.1", "2001:db8::1"; no name, no prefix
 *
 * Return: true when @text is an address.
 */
bool moat_addr_parse(const char *text, struct moat_addr *addr);

/**
 * moat_range_parse() - read a network ("10.1.0.0/24") or a single address
 *
 * Return: NULL, or a sentence that says what is wrong (host bits set too).
 */
const char *moat_range_parse(const char *text, struct moat_range *range);

/** moat_range_str() - "10.1.0.0/24", "10.1.0.5", or "10.1.0.1-10.1.0.9" */
const char *moat_range_str(const struct moat_range *range,
			   char buf[2 * MOAT_ADDR_STRLEN]);

/** moat_range_prefix() - the prefix length of a network, -1 when it is none */
int moat_range_prefix(const struct moat_range *range);

/** moat_range_within() - true when @inner lies inside @outer, same family */
bool moat_range_within(const struct moat_range *inner, const struct moat_range *outer);

bool moat_addr_equal(const struct moat_addr *a, const struct moat_addr *b);
bool moat_endpoint_equal(const struct moat_endpoint *a, const struct moat_endpoint *b);
bool moat_range_equal(const struct moat_range *a, const struct moat_range *b);

/** moat_selector_compare() - an order over selectors, as of memcmp() */
int moat_selector_compare(const struct moat_selector *a, const struct moat_selector *b);

#endif
