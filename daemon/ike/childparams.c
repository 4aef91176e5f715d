// SPDX-License-Identifier: GPL-2.0-or-later
/* What the kernel is given of a pair of IPsec SAs: parameters and keys. */
#include "ike/ike1.h"

#include <stdio.h>
#include <string.h>

/* More is never sent, and a quarter more of it can still be counted in octets. */
#define KILOBYTES_MAX (UINT64_MAX / 2048)

static void fill_params(struct moat_sa_params *params, const struct moat_child *child,
			const struct moat_child_sa *sa, uint8_t direction, uint64_t bytes,
			uint64_t soft_bytes)
{
	const struct moat_tunnel_conf *conf = &child->pair->tunnel->conf;
	bool in = direction == MOAT_DIRECTION_IN;

	params->direction = direction;
	params->protocol = moat_child_protocol(sa);
	params->spi = in ? sa->spi_in : sa->spi_out;
	params->src = in ? child->remote : child->local;
	params->dst = in ? child->local : child->remote;
	params->mode = conf->mode;
	params->enc = (uint16_t)sa->alg.enc;
	params->auth = (uint16_t)sa->alg.auth;
	params->icv_len = sa->alg.icv_len;
	params->esn = sa->alg.esn;
	params->replay = in ? conf->replay : 0;
	params->policy = child->pair->policy;
	params->selector = child->selector;
	params->hard_seconds = child->life;
	/* The sender counts as we do; what is on its way shall still arrive. */
	if (bytes && in) {
		params->hard_bytes = bytes + bytes / 4;
	} else if (bytes) {
		params->hard_bytes = bytes;
		params->soft_bytes = soft_bytes;
	}
	if (child->udp) {
		params->encap[0] = in ? child->peer.port : child->port;
		params->encap[1] = in ? child->port : child->peer.port;
	}
	moat_owner_write(params, child);
	if (child->n_sas > 1)
		params->bundle = sa == child->sas ? MOAT_BUNDLE_OUTER : MOAT_BUNDLE_INNER;
}

struct moat_sa_params *moat_child_params(const struct moat_child *child,
					 uint8_t direction, uint64_t kilobytes)
{
	struct moat_sa_params *params = moat_alloc(child->n_sas * sizeof(*params));
	uint64_t bytes = 1024 * (kilobytes < KILOBYTES_MAX ? kilobytes : KILOBYTES_MAX);
	/* SAs of a bundle have the same limits. */
	uint64_t soft = bytes - bytes / 5 +
			moat_core_jitter(child->pair->tunnel->ike, bytes / 10);

	for (unsigned int i = 0; i < child->n_sas; i++)
		fill_params(&params[i], child, &child->sas[i], direction, bytes, soft);
	return params;
}

int moat_child_keys(struct moat_sa_params *params, const struct moat_child_sa *sa,
		    const struct moat_child_input *in)
{
	struct moat_key_layout layout = moat_sa_alg_keys(&sa->alg);
	struct moat_keymat_input keymat = {
		.gqmxy = in->gqmxy,
		.protocol = sa->protocol,
		.spi = params->spi,
		.ni = in->ni,
		.nr = in->nr,
	};
	uint8_t keys[2 * MOAT_KEY_MAX];
	int failed;

	if (layout.enc_len > MOAT_KEY_MAX || layout.auth_len > MOAT_KEY_MAX)
		return -1;
	failed = moat_keymat(&in->sa->keys, &keymat, keys,
			     (size_t)layout.enc_len + layout.auth_len);
	params->enc_key_len = layout.enc_len;
	params->auth_key_len = layout.auth_len;
	memcpy(params->enc_key, keys, layout.enc_len);
	memcpy(params->auth_key, keys + layout.enc_len, layout.auth_len);
	moat_wipe(keys, sizeof(keys));
	return failed;
}

void moat_child_name_sa(struct moat_act *act, const struct moat_child *child,
			uint8_t direction)
{
	bool in = direction == MOAT_DIRECTION_IN;

	act->sa = moat_alloc(sizeof(*act->sa));
	act->sa->direction = direction;
	act->sa->protocol = moat_child_protocol(&child->sas[0]);
	act->sa->spi = in ? child->sas[0].spi_in : child->sas[0].spi_out;
	act->sa->dst = in ? child->local : child->remote;
}

void moat_child_print(const struct moat_child *child, char text[MOAT_CHILD_STRLEN])
{
	char alg[64];
	size_t used = 0;

	for (unsigned int i = 0; i < child->n_sas && used < MOAT_CHILD_STRLEN; i++) {
		moat_sa_alg_print(&child->sas[i].alg, alg, sizeof(alg));
		used += (size_t)snprintf(
			text + used, MOAT_CHILD_STRLEN - used, "%s%s %s",
			i ? " over " : "",
			child->sas[i].protocol == MOAT_PROTO_AH ? "AH" : "ESP", alg);
	}
}
