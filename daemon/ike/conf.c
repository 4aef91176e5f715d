// SPDX-License-Identifier: GPL-2.0-or-later
/* Copies of a tunnel's configuration, and what of it two tunnels share. */
#include "ike/core.h"

#include <stdlib.h>
#include <string.h>

void moat_conf_copy(struct moat_tunnel_conf *to, const struct moat_tunnel_conf *from)
{
	const char *file = from->file ? from->file : "";

	*to = *from;
	to->file = moat_dup(file, strlen(file) + 1);
	to->creds = moat_creds_get(from->creds);
	to->written = NULL;
	to->n_written = 0;
	to->remote = moat_dup(from->remote, from->n_remote * sizeof(*from->remote));
	to->pairs = moat_dup(from->pairs, from->n_pairs * sizeof(*from->pairs));
}

void moat_conf_clear(struct moat_tunnel_conf *conf)
{
	free((char *)conf->file);
	moat_creds_put(conf->creds);
	free(conf->remote);
	free(conf->pairs);
	memset(conf, 0, sizeof(*conf));
}

unsigned int moat_conf_line(const struct moat_tunnel_conf *conf, enum moat_conf_key key)
{
	return conf->lines[key] ? conf->lines[key] : conf->line;
}

void moat_identity_from_addr(const struct moat_addr *addr, struct moat_identity *id)
{
	memset(id, 0, sizeof(*id));
	id->type = addr->len == 4 ? MOAT_ID_IPV4_ADDR : MOAT_ID_IPV6_ADDR;
	id->len = addr->len;
	memcpy(id->data, addr->bytes, addr->len);
}

bool moat_conf_at(const struct moat_tunnel_conf *conf, const struct moat_addr *addr)
{
	for (unsigned int i = 0; i < conf->n_remote; i++) {
		if (moat_addr_equal(&conf->remote[i], addr))
			return true;
	}
	return false;
}

bool moat_identity_same(const struct moat_identity *a, const struct moat_identity *b)
{
	return a->type == b->type && a->len == b->len &&
	       !memcmp(a->data, b->data, a->len);
}

static bool same_ike(const struct moat_ike_algs *a, const struct moat_ike_algs *b)
{
	if (a->count != b->count)
		return false;
	for (unsigned int i = 0; i < a->count; i++) {
		if (!moat_ike_alg_same(&a->alg[i], &b->alg[i]))
			return false;
	}
	return true;
}

static bool same_sa(const struct moat_sa_algs *a, const struct moat_sa_algs *b)
{
	if (a->count != b->count)
		return false;
	for (unsigned int i = 0; i < a->count; i++) {
		const struct moat_sa_alg *x = &a->alg[i];
		const struct moat_sa_alg *y = &b->alg[i];

		if (x->protocol != y->protocol || x->enc != y->enc ||
		    x->key_bits != y->key_bits || x->auth != y->auth ||
		    x->icv_len != y->icv_len || x->group != y->group || x->esn != y->esn)
			return false;
	}
	return true;
}

static bool same_ends(const struct moat_tunnel_conf *a, const struct moat_tunnel_conf *b)
{
	if (a->n_remote != b->n_remote || !moat_addr_equal(&a->local, &b->local))
		return false;
	for (unsigned int i = 0; i < a->n_remote; i++) {
		if (!moat_addr_equal(&a->remote[i], &b->remote[i]))
			return false;
	}
	return true;
}

/* Who the two sides are, where they are, and how they prove it. */
static bool same_names(const struct moat_tunnel_conf *a, const struct moat_tunnel_conf *b)
{
	return a->action == b->action && a->any == b->any && a->auth == b->auth &&
	       same_ends(a, b) && moat_identity_same(&a->local_id, &b->local_id) &&
	       moat_identity_same(&a->remote_id, &b->remote_id);
}

bool moat_conf_same_peer(const struct moat_tunnel_conf *a,
			 const struct moat_tunnel_conf *b)
{
	return !a->any && moat_creds_same(a->creds, b->creds) && same_names(a, b);
}

bool moat_conf_same_offer(const struct moat_tunnel_conf *a,
			  const struct moat_tunnel_conf *b)
{
	return a->exchange == b->exchange && same_ike(&a->ike, &b->ike);
}

/* What else phase 1 and its keeping go by. */
static bool same_terms(const struct moat_tunnel_conf *a, const struct moat_tunnel_conf *b)
{
	return a->peers == b->peers && a->nat_t == b->nat_t &&
	       a->fragmentation == b->fragmentation &&
	       a->ike_lifetime == b->ike_lifetime && a->dpd == b->dpd &&
	       a->dpd_timeout == b->dpd_timeout && moat_conf_same_offer(a, b);
}

static bool same_selector(const struct moat_selector *a, const struct moat_selector *b)
{
	return moat_range_equal(&a->local, &b->local) &&
	       moat_range_equal(&a->remote, &b->remote) && a->protocol == b->protocol &&
	       a->local_port[0] == b->local_port[0] &&
	       a->local_port[1] == b->local_port[1] &&
	       a->remote_port[0] == b->remote_port[0] &&
	       a->remote_port[1] == b->remote_port[1];
}

/* What the tunnel itself is: its name, its traffic, how that is protected. */
static bool same_tunnel(const struct moat_tunnel_conf *a,
			const struct moat_tunnel_conf *b)
{
	if (a->n_pairs != b->n_pairs)
		return false;
	for (unsigned int i = 0; i < a->n_pairs; i++) {
		if (!same_selector(&a->pairs[i].selector, &b->pairs[i].selector))
			return false;
	}
	return !strcmp(a->name, b->name) && same_sa(&a->esp, &b->esp) &&
	       same_sa(&a->ah, &b->ah) && a->mode == b->mode &&
	       a->priority == b->priority && a->mark == b->mark &&
	       a->lifetime == b->lifetime && a->lifebytes == b->lifebytes &&
	       a->replay == b->replay && a->narrow == b->narrow &&
	       a->routes == b->routes && moat_shape_equal(&a->shape, &b->shape) &&
	       !strcmp(a->device, b->device);
}

bool moat_conf_same(const struct moat_tunnel_conf *a, const struct moat_tunnel_conf *b)
{
	return moat_creds_same(a->creds, b->creds) && same_names(a, b) &&
	       same_terms(a, b) && same_tunnel(a, b);
}

bool moat_conf_renewed(const struct moat_tunnel_conf *a, const struct moat_tunnel_conf *b)
{
	return a->creds && b->creds && !moat_creds_same(a->creds, b->creds) && !a->any &&
	       same_names(a, b) && same_terms(a, b) && same_tunnel(a, b);
}

static bool is_addr(const struct moat_identity *id, const struct moat_addr *addr)
{
	struct moat_identity address;

	if (!id->type || !addr->len)
		return !id->type;
	moat_identity_from_addr(addr, &address);
	return moat_identity_same(id, &address);
}

/* An identity that is the address moves with it. */
static bool same_or_addr(const struct moat_identity *a, const struct moat_addr *a_addr,
			 const struct moat_identity *b, const struct moat_addr *b_addr)
{
	return moat_identity_same(a, b) || (is_addr(a, a_addr) && is_addr(b, b_addr));
}

bool moat_conf_moved(const struct moat_tunnel_conf *a, const struct moat_tunnel_conf *b)
{
	static const struct moat_addr none;
	const struct moat_addr *a_peer = a->n_remote == 1 ? &a->remote[0] : &none;
	const struct moat_addr *b_peer = b->n_remote == 1 ? &b->remote[0] : &none;

	return !strcmp(a->name, b->name) && !a->any && !b->any && !same_ends(a, b) &&
	       a->action == b->action && a->auth == b->auth && same_terms(a, b) &&
	       moat_creds_same(a->creds, b->creds) &&
	       same_or_addr(&a->local_id, &a->local, &b->local_id, &b->local) &&
	       same_or_addr(&a->remote_id, a_peer, &b->remote_id, b_peer) &&
	       same_tunnel(a, b);
}
