// SPDX-License-Identifier: GPL-2.0-or-later
/* What a tunnel asks of its packets beyond their protection; its device. */
#include <ctype.h>
#include <string.h>

#include "priv/config_draft.h"

/* As the module has them. */
#define MSS_MIN	 88
#define MTU_MIN4 576
#define MTU_MIN6 1280

void moat_read_df(struct draft *draft, config_setting_t *setting)
{
	static const char *const words[] = { "copy", "set", "clear" };
	unsigned int i;

	if (moat_value_word(draft->reader, setting, words, 3, &i))
		draft->tunnel->shape.df = MOAT_DF_COPY + i;
}

void moat_read_dscp(struct draft *draft, config_setting_t *setting)
{
	struct moat_shape *shape = &draft->tunnel->shape;
	uint64_t number;
	bool copy;

	if (!moat_value_number_or(draft->reader, setting, "copy", 0, 63, &number, &copy))
		return;
	shape->has_dscp = !copy;
	shape->dscp = copy ? 0 : (uint8_t)number;
}

void moat_read_mss(struct draft *draft, config_setting_t *setting)
{
	uint64_t number;
	bool fitting;

	if (moat_value_number_or(draft->reader, setting, "auto", MSS_MIN,
				 MOAT_MSS_AUTO - 1, &number, &fitting))
		draft->tunnel->shape.mss = fitting ? MOAT_MSS_AUTO : (uint16_t)number;
}

void moat_read_mtu(struct draft *draft, config_setting_t *setting)
{
	uint64_t number;

	if (moat_value_number(draft->reader, setting, MTU_MIN4, UINT16_MAX, &number))
		draft->tunnel->shape.mtu = (uint16_t)number;
}

void moat_read_tfc(struct draft *draft, config_setting_t *setting)
{
	uint64_t number;
	bool most;

	if (moat_value_number_or(draft->reader, setting, "auto", 1, MOAT_TFC_AUTO - 1,
				 &number, &most))
		draft->tunnel->shape.tfc = most ? MOAT_TFC_AUTO : (uint16_t)number;
}

void moat_read_secpath(struct draft *draft, config_setting_t *setting)
{
	moat_value_bool(draft->reader, setting, &draft->tunnel->shape.secpath);
}

/* What the kernel takes for the name of a device. */
static bool is_device_name(const char *name)
{
	if (!*name || strlen(name) >= MOAT_DEVICE_SIZE || !strcmp(name, ".") ||
	    !strcmp(name, ".."))
		return false;
	for (; *name; name++) {
		if (!isgraph((unsigned char)*name) || strchr("/:%", *name))
			return false;
	}
	return true;
}

void moat_read_device(struct draft *draft, config_setting_t *setting)
{
	const char *name = "";

	if (!moat_value_string(draft->reader, setting, &name))
		return;
	if (is_device_name(name))
		strcpy(draft->tunnel->device, name);
	else
		moat_reader_wrong(draft->reader, setting,
				  "device: \"%s\" is no name of a network device: "
				  "expected 1 to %u characters without space, / : or %% "
				  "(\"moat0\")",
				  name, MOAT_DEVICE_SIZE - 1);
}

static void forbid(struct draft *draft, const char *const *keys, const char *why)
{
	for (; *keys; keys++) {
		config_setting_t *setting =
			config_setting_get_member(draft->block, *keys);

		if (setting)
			moat_reader_wrong(draft->reader, setting, "tunnel \"%s\": %s %s",
					  draft->tunnel->name, *keys, why);
	}
}

static bool has_ipv6(const struct nets *nets)
{
	for (unsigned int i = 0; i < nets->n; i++) {
		if (nets->list[i].first.len == 16)
			return true;
	}
	return false;
}

static void check_mtu(struct draft *draft)
{
	const struct moat_tunnel_conf *tunnel = draft->tunnel;

	if (tunnel->shape.mtu && tunnel->shape.mtu < MTU_MIN6 &&
	    has_ipv6(&draft->local_nets) && has_ipv6(&draft->remote_nets))
		moat_reader_wrong(
			draft->reader, config_setting_get_member(draft->block, "mtu"),
			"tunnel \"%s\": mtu is %u, with IPv6 networks it may be "
			"%u to %u",
			tunnel->name, tunnel->shape.mtu, MTU_MIN6, UINT16_MAX);
}

void moat_check_shape(struct draft *draft)
{
	static const char *const outer[] = { "df", "dscp", "tfc", NULL };
	static const char *const device[] = { "device", NULL };
	const struct moat_tunnel_conf *tunnel = draft->tunnel;

	check_mtu(draft);
	if (tunnel->action == MOAT_ACTION_PROTECT && tunnel->mode == MOAT_MODE_TRANSPORT)
		forbid(draft, outer,
		       "belongs to mode = \"tunnel\" only: transport mode has no outer "
		       "header and no padding");
	/* What is routed to a device has no other way. */
	if (tunnel->action == MOAT_ACTION_BYPASS)
		forbid(draft, device,
		       "cannot bypass: what is routed to a device leaves protected or "
		       "not at all");
	else if (tunnel->action == MOAT_ACTION_PROTECT &&
		 tunnel->mode == MOAT_MODE_TRANSPORT)
		forbid(draft, device, "belongs to mode = \"tunnel\" only");
}
