// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Refusals: one reason, one counter, one notify message type.
 */
#include "wire/view.h"

#include <stdarg.h>
#include <stdio.h>

#include "wire/isakmp.h"

static const struct {
	const char *name;
	uint16_t notify;
} reasons[MOAT_REFUSE_MAX] = {
	[MOAT_REFUSE_NONE] = { "none", 0 },
	[MOAT_REFUSE_SHORT_HEADER] = { "short_header", MOAT_N_PAYLOAD_MALFORMED },
	[MOAT_REFUSE_VERSION] = { "version", MOAT_N_INVALID_MAJOR_VERSION },
	[MOAT_REFUSE_LENGTH] = { "length", MOAT_N_UNEQUAL_PAYLOAD_LENGTHS },
	[MOAT_REFUSE_COOKIE] = { "cookie", MOAT_N_INVALID_COOKIE },
	[MOAT_REFUSE_PAYLOAD_TYPE] = { "payload_type", MOAT_N_INVALID_PAYLOAD_TYPE },
	[MOAT_REFUSE_PAYLOAD_RESERVED] = { "payload_reserved", MOAT_N_PAYLOAD_MALFORMED },
	[MOAT_REFUSE_PAYLOAD_LENGTH] = { "payload_length", MOAT_N_PAYLOAD_MALFORMED },
	[MOAT_REFUSE_PAYLOAD_COUNT] = { "payload_count", MOAT_N_PAYLOAD_MALFORMED },
	[MOAT_REFUSE_TRAILING] = { "trailing", MOAT_N_UNEQUAL_PAYLOAD_LENGTHS },
	[MOAT_REFUSE_PAYLOAD_SHORT] = { "payload_short", MOAT_N_PAYLOAD_MALFORMED },
	[MOAT_REFUSE_DOI] = { "doi", MOAT_N_DOI_NOT_SUPPORTED },
	[MOAT_REFUSE_SITUATION] = { "situation", MOAT_N_SITUATION_NOT_SUPPORTED },
	[MOAT_REFUSE_PROPOSAL] = { "proposal", MOAT_N_BAD_PROPOSAL_SYNTAX },
	[MOAT_REFUSE_PROPOSAL_COUNT] = { "proposal_count", MOAT_N_BAD_PROPOSAL_SYNTAX },
	[MOAT_REFUSE_PROTOCOL] = { "protocol", MOAT_N_INVALID_PROTOCOL_ID },
	[MOAT_REFUSE_SPI_SIZE] = { "spi_size", MOAT_N_INVALID_SPI },
	[MOAT_REFUSE_ATTRIBUTE] = { "attribute", MOAT_N_BAD_PROPOSAL_SYNTAX },
	[MOAT_REFUSE_ID] = { "id", MOAT_N_INVALID_ID_INFORMATION },
	[MOAT_REFUSE_KEY] = { "key", MOAT_N_INVALID_KEY_INFORMATION },
	[MOAT_REFUSE_NONCE] = { "nonce", MOAT_N_PAYLOAD_MALFORMED },
	[MOAT_REFUSE_PADDING] = { "padding", MOAT_N_PAYLOAD_MALFORMED },
	[MOAT_REFUSE_FLAGS] = { "flags", MOAT_N_INVALID_FLAGS },
	[MOAT_REFUSE_HASH] = { "hash", MOAT_N_INVALID_HASH_INFORMATION },
	[MOAT_REFUSE_STATE] = { "state", MOAT_N_INVALID_EXCHANGE_TYPE },
	[MOAT_REFUSE_CHOICE] = { "choice", MOAT_N_NO_PROPOSAL_CHOSEN },
	[MOAT_REFUSE_LIMIT] = { "limit", MOAT_N_INVALID_COOKIE },
	[MOAT_REFUSE_UNKNOWN] = { "unknown", MOAT_N_INVALID_COOKIE },
	[MOAT_REFUSE_FRAGMENT] = { "fragment", MOAT_N_PAYLOAD_MALFORMED },
};

void moat_refuse_say(struct moat_refusal *no, enum moat_refuse why, const char *fmt, ...)
{
	va_list args;

	if (!no)
		return;
	no->why = why;
	va_start(args, fmt);
	vsnprintf(no->text, sizeof(no->text), fmt, args);
	va_end(args);
}

const char *moat_refuse_name(enum moat_refuse why)
{
	return why < MOAT_REFUSE_MAX ? reasons[why].name : "unknown";
}

uint16_t moat_refuse_notify(enum moat_refuse why)
{
	return why < MOAT_REFUSE_MAX ? reasons[why].notify : 0;
}
