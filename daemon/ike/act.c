// SPDX-License-Identifier: GPL-2.0-or-later
/* The list of actions that a step hands to the edges. */
#include "ike/act.h"
#include "ike/core.h"
#include "ike/crypt.h"
#include "ike/proposal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void moat_acts_init(struct moat_acts *acts)
{
	*acts = (struct moat_acts){ 0 };
	acts->last = &acts->first;
}

static void act_free(struct moat_act *act)
{
	switch (act->type) {
	case MOAT_ACT_SEND:
		free(act->send.data);
		break;
	case MOAT_ACT_SKEYID:
		moat_wipe(act->skeyid.nonces, act->skeyid.len);
		free(act->skeyid.nonces);
		break;
	case MOAT_ACT_DH_SHARED:
		moat_wipe(act->dh_shared.secret, act->dh_shared.secret_len);
		free(act->dh_shared.secret);
		free(act->dh_shared.peer);
		break;
	case MOAT_ACT_SA_ADD:
	case MOAT_ACT_POLICY_SWITCH:
	case MOAT_ACT_SA_DEL:
	case MOAT_ACT_SA_UNUSED:
	case MOAT_ACT_SA_SET:
		moat_wipe(act->sa, moat_sa_params_count(act->sa) * sizeof(*act->sa));
		free(act->sa);
		break;
	case MOAT_ACT_CONTROL_DONE:
		free(act->done.text);
		break;
	case MOAT_ACT_LOG:
	case MOAT_ACT_FAILURE:
		free(act->log.tunnel);
		free(act->log.text);
		free(act->log.why);
		free(act->log.place);
		break;
	case MOAT_ACT_TRACE:
		free(act->trace.tunnel);
		free(act->trace.payloads);
		break;
	case MOAT_ACT_VERIFY:
		moat_verify_free(act->verify);
		break;
	case MOAT_ACT_DECRYPT:
		free(act->decrypt.nonce);
		free(act->decrypt.id);
		break;
	case MOAT_ACT_SIGN:
	case MOAT_ACT_KEYLOG:
		moat_wipe(&act->keylog, sizeof(act->keylog));
		break;
	case MOAT_ACT_DH_GENERATE:
	case MOAT_ACT_SPI_ALLOC:
	case MOAT_ACT_SA_MOVE:
	case MOAT_ACT_POLICY_ADD:
	case MOAT_ACT_POLICY_SET:
	case MOAT_ACT_POLICY_DEL:
	case MOAT_ACT_FORGET:
		break;
	}
	free(act);
}

void moat_acts_free(struct moat_acts *acts)
{
	while (acts->first) {
		struct moat_act *act = acts->first;

		acts->first = act->next;
		act_free(act);
	}
	acts->last = &acts->first;
}

struct moat_act *moat_act_new(struct moat_acts *acts, enum moat_action_type type)
{
	struct moat_act *act = moat_alloc(sizeof(*act));

	act->type = type;
	*acts->last = act;
	acts->last = &act->next;
	return act;
}

static bool limited(struct moat_acts *acts, const char *name, const char *tunnel)
{
	return acts->limits && !moat_limit_ok(acts->limits, acts->cause, name, tunnel);
}

struct moat_act *moat_act_log(struct moat_acts *acts, enum moat_level level,
			      const char *name, const char *tunnel, const char *fmt, ...)
{
	struct moat_act *act;
	char text[1024];
	va_list args;

	if (limited(acts, name, tunnel))
		return NULL;
	act = moat_act_new(acts, MOAT_ACT_LOG);
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	act->log.level = level;
	act->log.name = name;
	act->log.tunnel = moat_dup(tunnel ? tunnel : "", tunnel ? strlen(tunnel) + 1 : 1);
	act->log.text = moat_dup(text, strlen(text) + 1);
	return act;
}

void moat_act_blame(struct moat_act *line, const struct moat_addr *peer)
{
	if (line)
		line->log.peer = *peer;
}

void moat_act_explain(struct moat_acts *acts, const char *name,
		      const struct moat_tunnel_conf *conf, const struct moat_addr *peer,
		      const struct moat_mismatch *why, const char *fmt, ...)
{
	const char *tunnel = conf ? conf->name : "";
	char what[256], place[320] = "", addr[MOAT_ADDR_STRLEN];
	struct moat_act *act;
	char text[1400];
	va_list args;

	/* What is kept for each peer is bounded: a flood of one hides no other's. */
	act = moat_act_new(acts, limited(acts, name, conf ? tunnel : NULL)
					 ? MOAT_ACT_FAILURE
					 : MOAT_ACT_LOG);
	va_start(args, fmt);
	vsnprintf(what, sizeof(what), fmt, args);
	va_end(args);
	if (conf)
		snprintf(place, sizeof(place), "%s:%u", conf->file,
			 moat_conf_line(conf, why->key));
	snprintf(text, sizeof(text), "%s%s%s%s%s%s; peer %s", what, *what ? ": " : "",
		 why->text, conf ? " (" : "", place, conf ? ")" : "",
		 moat_addr_str(peer, addr));
	act->log.level = MOAT_LOG_WARN;
	act->log.name = name;
	act->log.tunnel = moat_dup(tunnel, strlen(tunnel) + 1);
	act->log.text = moat_dup(text, strlen(text) + 1);
	act->log.place = moat_dup(place, strlen(place) + 1);
	act->log.peer = *peer;
	act->log.why = moat_dup(why, sizeof(*why));
}

void *moat_alloc(size_t size)
{
	void *data = calloc(1, size ? size : 1);

	if (!data)
		abort();
	return data;
}

void *moat_dup(const void *data, size_t len)
{
	void *copy = moat_alloc(len);

	if (len)
		memcpy(copy, data, len);
	return copy;
}
