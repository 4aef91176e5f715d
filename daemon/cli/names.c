// SPDX-License-Identifier: GPL-2.0-or-later
/* Values as words. */
#include <netinet/in.h>
#include <stdio.h>
#include <time.h>
#include "cli/cli.h"
#include "ike/alg.h"
#include "wire/isakmp.h"

/* Index 0 is no value. */
const char *const moat_direction_names[] = { "", "in", "out", NULL };
const char *const moat_mode_names[] = { "", "tunnel", "transport", NULL };
const char *const moat_df_names[] = { "copy", "set", "clear", NULL };
const char *const moat_action_names[] = { "", "protect", "bypass", "discard", NULL };

/** moat_name() - name of a value; "?" beyond the table */
const char *moat_name(const char *const *names, unsigned int value)
{
	unsigned int i;

	for (i = 0; names[i]; i++) {
		if (i == value)
			return names[i];
	}
	return "?";
}

/** moat_has_type() - whether a protocol has types and codes instead of ports */
bool moat_has_type(uint8_t protocol)
{
	return protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6 ||
	       protocol == IPPROTO_MH;
}

/** moat_ipsec_name() - esp, ah, or a number in @buf */
const char *moat_ipsec_name(uint8_t protocol, char buf[8])
{
	if (protocol == IPPROTO_ESP)
		return "esp";
	if (protocol == IPPROTO_AH)
		return "ah";
	snprintf(buf, 8, "%u", protocol);
	return buf;
}

/** moat_sa_alg_text() - algorithms of an SA, in strongSwan's names */
void moat_sa_alg_text(const struct moat_nl_sa *sa, char *buf, size_t size)
{
	struct moat_sa_alg alg = {
		.protocol = sa->protocol == IPPROTO_AH ? MOAT_PROTO_AH : MOAT_PROTO_ESP,
		.enc = sa->enc,
		.key_bits = sa->key_bits,
		.auth = sa->auth,
		.icv_len = sa->icv_len,
		.esn = sa->esn,
	};

	moat_sa_alg_print(&alg, buf, size);
}

/** moat_time_text() - seconds since the epoch as RFC 3339 in UTC */
void moat_time_text(uint64_t seconds, char buf[32])
{
	time_t t = seconds;
	struct tm tm;

	if (!gmtime_r(&t, &tm) || !strftime(buf, 32, "%Y-%m-%dT%H:%M:%SZ", &tm))
		buf[0] = 0;
}
