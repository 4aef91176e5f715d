// SPDX-License-Identifier: GPL-2.0-or-later
/* Doing what the core asks: most of it is a message to another process. */
#include <string.h>

#include "io/io.h"
#include "priv/log.h"

static void ask_skeyid(struct moat_io *io, const struct moat_act *act)
{
	struct moat_ipc msg;

	if (act->skeyid.len > sizeof(msg.skeyid.nonces)) {
		moat_io_fail(io, act->token, "the nonces are too long");
		return;
	}
	moat_ipc_init(&msg, MOAT_IPC_SKEYID, act->token);
	msg.skeyid.hash = act->skeyid.hash;
	msg.skeyid.remote = act->skeyid.remote;
	msg.skeyid.remote_id = act->skeyid.remote_id;
	msg.skeyid.len = act->skeyid.len;
	memcpy(msg.skeyid.nonces, act->skeyid.nonces, act->skeyid.len);
	moat_channel_send(&io->keys, &msg);
}

static void ask_signature(struct moat_io *io, const struct moat_act *act)
{
	struct moat_ipc msg;

	moat_ipc_init(&msg, MOAT_IPC_SIGN, act->token);
	memcpy(msg.sign.key_id, act->sign.key_id, sizeof(msg.sign.key_id));
	memcpy(msg.sign.hash, act->sign.hash, act->sign.len);
	msg.sign.len = act->sign.len;
	moat_channel_send(&io->keys, &msg);
}

static void ask_decryption(struct moat_io *io, const struct moat_act *act)
{
	struct moat_ipc msg;

	if (act->decrypt.nonce_len > sizeof(msg.decrypt.nonce) ||
	    act->decrypt.id_len > sizeof(msg.decrypt.id)) {
		moat_io_fail(io, act->token, "it is longer than any RSA key");
		return;
	}
	moat_ipc_init(&msg, MOAT_IPC_DECRYPT, act->token);
	memcpy(msg.decrypt.key_id, act->decrypt.key_id, sizeof(msg.decrypt.key_id));
	msg.decrypt.nonce_len = act->decrypt.nonce_len;
	msg.decrypt.id_len = act->decrypt.id_len;
	memcpy(msg.decrypt.nonce, act->decrypt.nonce, act->decrypt.nonce_len);
	memcpy(msg.decrypt.id, act->decrypt.id, act->decrypt.id_len);
	moat_channel_send(&io->keys, &msg);
}

static void ask_spi(struct moat_io *io, const struct moat_act *act)
{
	struct moat_ipc msg;

	moat_ipc_init(&msg, MOAT_IPC_SPI_ALLOC, act->token);
	msg.spi_alloc.protocol = act->spi_alloc.protocol;
	msg.spi_alloc.dst = act->spi_alloc.dst;
	moat_channel_send(&io->kernel, &msg);
}

static void ask_sa(struct moat_io *io, const struct moat_act *act,
		   enum moat_ipc_type type)
{
	struct moat_ipc msg;

	bool bundle = moat_sa_params_count(act->sa) == 2;

	/* Of a bundle the first one waits there for the second. */
	for (unsigned int i = 0; i <= bundle; i++) {
		moat_ipc_init(&msg, type, i == bundle ? act->token : 0);
		msg.sa = act->sa[i];
		msg.sa.policy = moat_policies_kernel(&io->policies, msg.sa.policy);
		if (io->keylog &&
		    (type == MOAT_IPC_SA_ADD || type == MOAT_IPC_POLICY_SWITCH))
			moat_keylog_sa(&act->sa[i]);
		moat_channel_send(&io->kernel, &msg);
	}
	explicit_bzero(&msg, sizeof(msg));
}

static void ask_move(struct moat_io *io, const struct moat_act *act)
{
	struct moat_ipc msg;

	moat_ipc_init(&msg, MOAT_IPC_SA_MOVE, act->token);
	msg.mapping.policy = moat_policies_kernel(&io->policies, act->move.policy);
	msg.mapping.protocol = act->move.protocol;
	msg.mapping.spi = act->move.spi;
	msg.mapping.dst = act->move.dst;
	msg.mapping.peer = act->move.peer;
	moat_channel_send(&io->kernel, &msg);
}

static void ask_policy(struct moat_io *io, const struct moat_act *act,
		       enum moat_ipc_type type)
{
	struct moat_ipc msg;

	moat_ipc_init(&msg, type, act->token);
	msg.policy = act->policy;
	msg.policy.id = moat_policies_kernel(&io->policies, msg.policy.id);
	moat_channel_send(&io->kernel, &msg);
}

static void add_policy(struct moat_io *io, const struct moat_act *act)
{
	enum moat_adoption how = moat_policies_add(&io->policies, &act->policy);

	if (how == MOAT_ADOPT_NOT)
		ask_policy(io, act, MOAT_IPC_POLICY_ADD);
	else if (how == MOAT_ADOPT_POLICY)
		ask_policy(io, act, MOAT_IPC_POLICY_SET);
}

static void log_line(struct moat_io *io, const struct moat_act *act)
{
	if (io->control && act->log.level <= MOAT_LOG_INFO)
		moat_control_event(io->control, act);
	moat_log(act->log.level, act->log.name, act->log.tunnel, "%s", act->log.text);
	if (act->log.level <= MOAT_LOG_WARN || act->log.peer.len)
		moat_failures_note(act);
}

void moat_io_act(struct moat_io *io, const struct moat_act *act)
{
	switch (act->type) {
	case MOAT_ACT_SEND:
		moat_udp_send(io, act);
		break;
	case MOAT_ACT_SKEYID:
		ask_skeyid(io, act);
		break;
	case MOAT_ACT_DH_GENERATE:
	case MOAT_ACT_DH_SHARED:
	case MOAT_ACT_VERIFY:
		moat_workers_ask(io->workers, act);
		break;
	case MOAT_ACT_FORGET:
		moat_workers_forget(io->workers, act->token);
		moat_channel_forget(&io->keys, act->token);
		break;
	case MOAT_ACT_SIGN:
		ask_signature(io, act);
		break;
	case MOAT_ACT_DECRYPT:
		ask_decryption(io, act);
		break;
	case MOAT_ACT_SPI_ALLOC:
		ask_spi(io, act);
		break;
	case MOAT_ACT_SA_ADD:
		ask_sa(io, act, MOAT_IPC_SA_ADD);
		break;
	case MOAT_ACT_POLICY_SWITCH:
		ask_sa(io, act, MOAT_IPC_POLICY_SWITCH);
		break;
	case MOAT_ACT_SA_DEL:
		ask_sa(io, act, MOAT_IPC_SA_DEL);
		break;
	case MOAT_ACT_SA_UNUSED:
		ask_sa(io, act, MOAT_IPC_SA_UNUSED);
		break;
	case MOAT_ACT_SA_SET:
		ask_sa(io, act, MOAT_IPC_SA_SET);
		break;
	case MOAT_ACT_SA_MOVE:
		ask_move(io, act);
		break;
	case MOAT_ACT_POLICY_ADD:
		add_policy(io, act);
		break;
	case MOAT_ACT_POLICY_SET:
		ask_policy(io, act, MOAT_IPC_POLICY_SET);
		break;
	case MOAT_ACT_POLICY_DEL:
		ask_policy(io, act, MOAT_IPC_POLICY_DEL);
		moat_policies_del(&io->policies, act->policy.id);
		break;
	case MOAT_ACT_CONTROL_DONE:
		if (io->control)
			moat_control_done(io->control, act->done.request, act->done.ok,
					  act->done.text);
		break;
	case MOAT_ACT_LOG:
		log_line(io, act);
		break;
	case MOAT_ACT_FAILURE:
		moat_failures_note(act);
		break;
	case MOAT_ACT_KEYLOG:
		moat_keylog_isakmp(act);
		break;
	case MOAT_ACT_TRACE:
		if (io->control)
			moat_control_trace(io->control, act);
		break;
	}
}
