// SPDX-License-Identifier: GPL-2.0-or-later
/* The edges of the simulation: kernel, keys process, workers, logs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ike/dh.h"
#include "sim_internal.h"

#define DH_POOL 4

/*
 * Real Diffie-Hellman, with few private values: each product is computed once
 * and found again, so that thousands of runs take minutes.
 */
static struct dh_key {
	bool made;
	uint8_t priv[MOAT_DH_PRIVATE_MAX];
	uint8_t pub[MOAT_DH_PUBLIC_MAX];
} dh_keys[MOAT_GROUP_MAX][2 * DH_POOL];

static struct dh_product {
	bool made;
	uint8_t shared[MOAT_DH_PUBLIC_MAX];
} dh_products[MOAT_GROUP_MAX][2 * DH_POOL][2 * DH_POOL];

static void *copy(const void *data, size_t len)
{
	void *to = malloc(len ? len : 1);

	if (!to)
		abort();
	if (len)
		memcpy(to, data, len);
	return to;
}

static struct dh_key *dh_key(enum moat_group group, unsigned int index)
{
	struct dh_key *key = &dh_keys[group][index];

	while (!key->made) {
		for (size_t i = 0; i < moat_dh_private_len(group); i++)
			key->priv[i] = (uint8_t)(37 * index + 11 * i + 5);
		key->priv[0] &= 0x7f;
		if (moat_dh_public(group, key->priv, key->pub))
			abort();
		key->made = true;
	}
	return key;
}

static int dh_index(enum moat_group group, const uint8_t *data, size_t len, bool pub)
{
	for (int i = 0; i < 2 * DH_POOL; i++) {
		struct dh_key *key = &dh_keys[group][i];

		if (key->made && !memcmp(pub ? key->pub : key->priv, data, len))
			return i;
	}
	return -1;
}

static struct sim_item *later_answer(struct sim *sim, int side, uint64_t ms,
				     uint32_t token, bool ok)
{
	struct sim_item *item = sim_later(sim, ms, SIM_ANSWER, side);

	item->token = token;
	item->ok = ok;
	if (ok && sim_random(sim, 100) < sim->fail) {
		item->ok = false;
		item->text = "it failed on purpose";
	}
	item->boot = sim->side[side].boot;
	return item;
}

static void dh_generate(struct sim *sim, int side, const struct moat_act *act)
{
	enum moat_group group = (enum moat_group)act->dh_generate.group;
	unsigned int index =
		(unsigned int)(side * DH_POOL + (int)sim_random(sim, DH_POOL));
	struct dh_key *key = dh_key(group, index);
	struct sim_item *item =
		later_answer(sim, side, 1 + sim_random(sim, 10), act->token, true);

	if (!item->ok)
		return;
	item->len = moat_dh_public_len(group);
	item->data = copy(key->pub, item->len);
	item->secret_len = moat_dh_private_len(group);
	item->secret = copy(key->priv, item->secret_len);
}

static bool product(const struct moat_act *act, uint8_t *out)
{
	enum moat_group group = (enum moat_group)act->dh_shared.group;
	struct moat_view peer = moat_view(act->dh_shared.peer, act->dh_shared.peer_len);
	int mine =
		dh_index(group, act->dh_shared.secret, act->dh_shared.secret_len, false);
	int theirs = dh_index(group, peer.data, peer.len, true);
	struct dh_product *cached;

	if (mine < 0)
		abort();
	/* A value that nobody sent, from a message that was tampered with. */
	if (theirs < 0)
		return !moat_dh_shared(group, act->dh_shared.secret, peer, out, NULL);
	cached = &dh_products[group][mine][theirs];
	if (!cached->made &&
	    moat_dh_shared(group, act->dh_shared.secret, peer, cached->shared, NULL))
		return false;
	cached->made = true;
	memcpy(out, cached->shared, moat_dh_shared_len(group));
	return true;
}

static void dh_shared(struct sim *sim, int side, const struct moat_act *act)
{
	uint8_t out[MOAT_DH_PUBLIC_MAX];
	bool ok = product(act, out);
	struct sim_item *item =
		later_answer(sim, side, 1 + sim_random(sim, 20), act->token, ok);

	if (!item->ok)
		return;
	item->len = moat_dh_shared_len((enum moat_group)act->dh_shared.group);
	item->data = copy(out, item->len);
}

static void skeyid(struct sim *sim, int side, const struct moat_act *act)
{
	const char *psk = sim->options.psk[side];
	enum moat_hash hash = (enum moat_hash)act->skeyid.hash;
	uint8_t out[MOAT_HASH_LEN_MAX];
	struct sim_item *item = later_answer(sim, side, 1 + sim_random(sim, 5),
					     act->token, psk && psk[0]);

	if (!item->ok) {
		if (!psk || !psk[0])
			item->text = "no secret for this peer";
		return;
	}
	if (moat_skeyid_psk(hash, moat_view(psk, strlen(psk)),
			    moat_view(act->skeyid.nonces, act->skeyid.len),
			    moat_view(NULL, 0), out))
		abort();
	item->len = moat_hash_len(hash);
	item->data = copy(out, item->len);
}

static void sign(struct sim *sim, int side, const struct moat_act *act)
{
	uint8_t out[MOAT_RSA_MAX];
	size_t len = 0;
	bool ok = sim_rsa_sign(sim, side, act, out, &len);
	struct sim_item *item =
		later_answer(sim, side, 1 + sim_random(sim, 10), act->token, ok);

	if (!item->ok)
		return;
	item->len = len;
	item->data = copy(out, len);
}

static void decrypt(struct sim *sim, int side, const struct moat_act *act)
{
	uint8_t out[MOAT_RSA_MAX];
	size_t len = sim_rsa_decrypt(sim, side, act, out);
	struct sim_item *item =
		later_answer(sim, side, 1 + sim_random(sim, 10), act->token, len != 0);

	if (!item->ok)
		return;
	item->len = len;
	item->data = copy(out, len);
}

static void verify(struct sim *sim, int side, const struct moat_act *act)
{
	char why[512];
	bool ok = sim_rsa_verify(sim, act, why, sizeof(why));
	struct sim_item *item =
		later_answer(sim, side, 1 + sim_random(sim, 10), act->token, ok);

	if (item->ok || item->text)
		return;
	/* The item owns its data, and so its text. */
	item->data = copy(why, strlen(why) + 1);
	item->text = (const char *)item->data;
}

/* The kernel does one thing after the other, and not at once. */
static struct sim_item *for_kernel(struct sim *sim, int side, const struct moat_act *act)
{
	struct sim_side *s = &sim->side[side];
	uint64_t due = sim->now + 1 + sim_random(sim, 3);
	struct sim_item *item;

	if (due < s->kernel_busy)
		due = s->kernel_busy;
	s->kernel_busy = due;
	item = sim_later(sim, due - sim->now, SIM_KERNEL, side);
	item->action = act->type;
	item->token = act->token;
	item->boot = s->boot;
	return item;
}

static const char *do_kernel(struct sim *sim, struct sim_item *item, uint32_t *spi)
{
	struct sim_kernel *kernel = &sim->side[item->side].kernel;
	const struct moat_sa_params *sa = (const void *)item->data;

	switch (item->action) {
	case MOAT_ACT_SPI_ALLOC:
		do {
			*spi = sim_kernel_reserve(kernel,
						  (uint32_t)sim_random(sim, UINT32_MAX),
						  &item->dst, sim->now);
		} while (!*spi);
		return NULL;
	case MOAT_ACT_SA_ADD:
		return sim_kernel_add(kernel, sa, sim->now);
	case MOAT_ACT_POLICY_SWITCH:
		return sim_kernel_switch(kernel, sa, sim->now);
	case MOAT_ACT_SA_MOVE: {
		struct sim_sa *out =
			sim_kernel_sa(kernel, MOAT_DIRECTION_OUT, item->spi, &item->dst);

		if (out)
			sim_kernel_move(out, &item->to);
		return NULL;
	}
	case MOAT_ACT_SA_SET:
		sim_kernel_set(kernel, sa);
		return NULL;
	case MOAT_ACT_SA_DEL:
		sim_kernel_del(kernel, sa);
		return NULL;
	case MOAT_ACT_SA_UNUSED: {
		struct sim_sa *out =
			sim_kernel_sa(kernel, MOAT_DIRECTION_OUT, sa->spi, &sa->dst);

		item->unused = out && !out->bytes;
		return NULL;
	}
	case MOAT_ACT_POLICY_ADD:
		return sim_kernel_policy_add(kernel, &item->policy);
	case MOAT_ACT_POLICY_SET:
		return sim_kernel_policy_set(kernel, &item->policy);
	case MOAT_ACT_POLICY_DEL:
		sim_kernel_policy_del(kernel, item->policy.id);
		return NULL;
	default:
		abort();
	}
}

static void keep_trace(struct sim_side *side, const char *line);

/* Beside the messages, so that a test sees what came before what. */
static void note_kernel(struct sim *sim, const struct sim_item *item)
{
	const char *what = item->action == MOAT_ACT_SA_ADD	    ? "sa-add"
			   : item->action == MOAT_ACT_POLICY_SWITCH ? "policy-switch"
								    : "sa-del";

	if (item->action != MOAT_ACT_SA_ADD && item->action != MOAT_ACT_POLICY_SWITCH &&
	    item->action != MOAT_ACT_SA_DEL)
		return;
	keep_trace(&sim->side[item->side], what);
	keep_trace(&sim->side[item->side], "\n");
	if (sim->options.verbose)
		printf("# %8.3f %c      kernel %s\n", sim->now / 1000.0, 'A' + item->side,
		       what);
}

/*
 * Whose clock went back repeats message 1 for longer than it believes, and its SPI
 * may have expired by then: that one refusal is as it should be.
 */
static bool expected(const struct sim_side *side, const char *why)
{
	return side->set_back && why == sim_kernel_no_spi;
}

void sim_kernel_work(struct sim *sim, struct sim_item *item)
{
	const char *why;
	uint32_t spi = 0;

	if (item->boot != sim->side[item->side].boot)
		return;
	note_kernel(sim, item);
	if (item->token && sim_random(sim, 100) < sim->fail) {
		later_answer(sim, item->side, 1, item->token, false)->text =
			"it failed on purpose";
		return;
	}
	why = do_kernel(sim, item, &spi);
	if (why && !expected(&sim->side[item->side], why)) {
		fprintf(stderr, "# kernel of side %c: %s\n", 'A' + item->side, why);
		snprintf(sim->wrong, sizeof(sim->wrong),
			 "the kernel of side %c refused: %s", 'A' + item->side, why);
	}
	if (item->token) {
		struct sim_item *reply =
			later_answer(sim, item->side, 1, item->token, why == NULL);

		reply->text = why;
		reply->spi = spi;
		reply->unused = item->unused;
	}
}

/* ---- logs and the ladder ---- */

static void keep_log(struct sim_side *side, const char *name, const char *text)
{
	struct sim_log *log = side->logs;

	while (log && strcmp(log->name, name))
		log = log->next;
	if (!log) {
		log = calloc(1, sizeof(*log));
		if (!log)
			abort();
		snprintf(log->name, sizeof(log->name), "%s", name);
		log->next = side->logs;
		side->logs = log;
	}
	free(log->text);
	log->text = copy(text, strlen(text) + 1);
	log->count++;
}

void sim_forget_logs(struct sim_side *side)
{
	while (side->logs) {
		struct sim_log *log = side->logs;

		side->logs = log->next;
		free(log->text);
		free(log);
	}
}

static void keep_trace(struct sim_side *side, const char *line)
{
	size_t len = strlen(line);

	/* Not with each line: of a long run they are megabytes. */
	if (side->ladder_len + len >= side->ladder_size) {
		side->ladder_size = 2 * (side->ladder_len + len + 1);
		side->ladder = realloc(side->ladder, side->ladder_size);
	}
	if (!side->ladder)
		abort();
	memcpy(side->ladder + side->ladder_len, line, len + 1);
	side->ladder_len += len;
}

static void trace(struct sim *sim, int side, const struct moat_act *act)
{
	char line[400];

	if (act->trace.number)
		snprintf(line, sizeof(line), "%s %s %u%s (%s): %s -> %s\n",
			 act->trace.sent ? "sent" : "received", act->trace.exchange,
			 act->trace.number, act->trace.repeated ? " again" : "",
			 act->trace.payloads, act->trace.before, act->trace.after);
	else
		snprintf(line, sizeof(line), "%s -> %s\n", act->trace.before,
			 act->trace.after);
	keep_trace(&sim->side[side], line);
	if (sim->options.verbose)
		printf("# %8.3f %c      %s", sim->now / 1000.0, 'A' + side, line);
}

static void count_job(struct sim_side *side, const struct moat_act *act)
{
	if (act->type != MOAT_ACT_DH_GENERATE && act->type != MOAT_ACT_DH_SHARED &&
	    act->type != MOAT_ACT_VERIFY)
		return;
	side->jobs++;
	side->unproven += act->unproven;
}

void sim_act(struct sim *sim, int side, const struct moat_act *act)
{
	struct sim_item *item;

	count_job(&sim->side[side], act);
	switch (act->type) {
	case MOAT_ACT_SEND:
		sim_send(sim, side, act);
		break;
	case MOAT_ACT_SKEYID:
		skeyid(sim, side, act);
		break;
	case MOAT_ACT_DH_GENERATE:
		dh_generate(sim, side, act);
		break;
	case MOAT_ACT_DH_SHARED:
		dh_shared(sim, side, act);
		break;
	case MOAT_ACT_SIGN:
		sign(sim, side, act);
		break;
	case MOAT_ACT_DECRYPT:
		decrypt(sim, side, act);
		break;
	case MOAT_ACT_VERIFY:
		verify(sim, side, act);
		break;
	case MOAT_ACT_SPI_ALLOC:
		for_kernel(sim, side, act)->dst = act->spi_alloc.dst;
		break;
	case MOAT_ACT_SA_ADD:
	case MOAT_ACT_POLICY_SWITCH:
	case MOAT_ACT_SA_DEL:
	case MOAT_ACT_SA_UNUSED:
	case MOAT_ACT_SA_SET:
		item = for_kernel(sim, side, act);
		item->data =
			copy(act->sa, moat_sa_params_count(act->sa) * sizeof(*act->sa));
		break;
	case MOAT_ACT_SA_MOVE:
		item = for_kernel(sim, side, act);
		item->spi = act->move.spi;
		item->dst = act->move.dst;
		item->to = act->move.peer;
		break;
	case MOAT_ACT_POLICY_ADD:
		if (sim_take_over(&sim->side[side], &act->policy))
			break;
		/* fallthrough */
	case MOAT_ACT_POLICY_SET:
	case MOAT_ACT_POLICY_DEL:
		for_kernel(sim, side, act)->policy = act->policy;
		break;
	case MOAT_ACT_CONTROL_DONE:
		sim->side[side].done = act->done.ok;
		keep_log(&sim->side[side], "control-done", act->done.text);
		break;
	case MOAT_ACT_LOG:
		keep_log(&sim->side[side], act->log.name, act->log.text);
		if (sim->options.verbose)
			printf("# %8.3f %c LOG  %s: %s: %s\n", sim->now / 1000.0,
			       'A' + side, act->log.name, act->log.tunnel, act->log.text);
		break;
	case MOAT_ACT_FORGET:
	case MOAT_ACT_FAILURE:
		break;
	case MOAT_ACT_KEYLOG:
		sim->side[side].keys_named++;
		memcpy(sim->side[side].key, act->keylog.key, act->keylog.len);
		sim->side[side].key_len = act->keylog.len;
		break;
	case MOAT_ACT_TRACE:
		trace(sim, side, act);
		break;
	}
}
