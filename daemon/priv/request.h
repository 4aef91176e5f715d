/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control protocol: one JSON object a line, over RUNDIR/moat.sock. A
 * request names its command; each answer is one document with schema_version,
 * and "error" when it was refused; `trace` goes on with a line per message, `monitor`
 * with a line per event of the log.
 */
#ifndef MOAT_PRIV_REQUEST_H
#define MOAT_PRIV_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

#include "ike/tunnel.h"

/* Octets of a request, without its newline. */
#define MOAT_REQUEST_MAX 1024

enum moat_command_id {
	MOAT_REQUEST_UP,
	MOAT_REQUEST_DOWN,
	MOAT_REQUEST_CLEAR,
	MOAT_REQUEST_REKEY,
	MOAT_REQUEST_STATUS,
	MOAT_REQUEST_RELOAD,
	MOAT_REQUEST_ISAKMP,
	MOAT_REQUEST_IPSEC,
	MOAT_REQUEST_FAILURES,
	MOAT_REQUEST_TRACE,
	MOAT_REQUEST_MONITOR,
	MOAT_REQUEST_KEYLOG,
	MOAT_REQUEST_VERSION,
};

/**
 * struct moat_request - one request
 * @command: what is wanted
 * @tunnel: of up, down, clear and rekey
 * @wait: of up and down: answer when it has ended
 * @on: of keylog
 */
struct moat_request {
	enum moat_command_id command;
	char tunnel[MOAT_TUNNEL_NAME_MAX + 1];
	bool wait;
	bool on;
};

/**
 * moat_request_parse() - read one line
 * @line: may hold anything
 * @len: octets
 * @request: result
 * @why: on failure one sentence, fit for an answer
 * @size: size of @why
 *
 * Return: true when it is a request.
 */
bool moat_request_parse(const char *line, size_t len, struct moat_request *request,
			char *why, size_t size);

#endif
