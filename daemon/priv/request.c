// SPDX-License-Identifier: GPL-2.0-or-later
/* Requests of the control protocol: hostile until read in full. */
#include "priv/request.h"

#include <jansson.h>
#include <string.h>

static const struct {
	const char *name;
	enum moat_command_id id;
	bool tunnel;
} commands[] = {
	{ "up", MOAT_REQUEST_UP, true },
	{ "down", MOAT_REQUEST_DOWN, true },
	{ "clear", MOAT_REQUEST_CLEAR, true },
	{ "rekey", MOAT_REQUEST_REKEY, true },
	{ "status", MOAT_REQUEST_STATUS, false },
	{ "reload", MOAT_REQUEST_RELOAD, false },
	{ "isakmp", MOAT_REQUEST_ISAKMP, false },
	{ "ipsec", MOAT_REQUEST_IPSEC, false },
	{ "failures", MOAT_REQUEST_FAILURES, false },
	{ "trace", MOAT_REQUEST_TRACE, false },
	{ "monitor", MOAT_REQUEST_MONITOR, false },
	{ "keylog", MOAT_REQUEST_KEYLOG, false },
	{ "version", MOAT_REQUEST_VERSION, false },
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static bool read_tunnel(json_t *root, struct moat_request *request, char *why,
			size_t size)
{
	const json_t *tunnel = json_object_get(root, "tunnel");

	if (!json_is_string(tunnel)) {
		snprintf(why, size, "the request names no tunnel");
		return false;
	}
	if (json_string_length(tunnel) > MOAT_TUNNEL_NAME_MAX ||
	    strlen(json_string_value(tunnel)) != json_string_length(tunnel)) {
		snprintf(why, size, "this cannot be the name of a tunnel");
		return false;
	}
	strcpy(request->tunnel, json_string_value(tunnel));
	return true;
}

static bool read_object(json_t *root, struct moat_request *request, char *why,
			size_t size)
{
	const json_t *command = json_object_get(root, "command");
	const json_t *wait = json_object_get(root, "wait");
	const json_t *on = json_object_get(root, "on");
	unsigned int i = 0;

	if (!json_is_string(command)) {
		snprintf(why, size, "the request names no command");
		return false;
	}
	while (i < COMMANDS && strcmp(json_string_value(command), commands[i].name))
		i++;
	if (i == COMMANDS) {
		snprintf(why, size,
			 "moatd does not know this command; is the moat program newer "
			 "than the running moatd?");
		return false;
	}
	if ((wait && !json_is_boolean(wait)) || (on && !json_is_boolean(on))) {
		snprintf(why, size, "%s is neither true nor false",
			 wait && !json_is_boolean(wait) ? "wait" : "on");
		return false;
	}
	request->command = commands[i].id;
	request->wait = json_is_true(wait);
	request->on = json_is_true(on);
	return !commands[i].tunnel || read_tunnel(root, request, why, size);
}

bool moat_request_parse(const char *line, size_t len, struct moat_request *request,
			char *why, size_t size)
{
	json_error_t error;
	json_t *root;
	bool ok;

	memset(request, 0, sizeof(*request));
	if (len > MOAT_REQUEST_MAX) {
		snprintf(why, size, "the request has more than %d octets",
			 MOAT_REQUEST_MAX);
		return false;
	}
	root = json_loadb(line, len, JSON_REJECT_DUPLICATES, &error);
	if (!root) {
		snprintf(why, size, "the request is no JSON object: %s", error.text);
		return false;
	}
	ok = json_is_object(root);
	if (!ok)
		snprintf(why, size, "the request is no JSON object");
	else
		ok = read_object(root, request, why, size);
	json_decref(root);
	return ok;
}
