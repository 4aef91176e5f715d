// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Certificates and keys of the simulation: read as the daemon reads them, from
 * files in selftests/certs; signed and checked by the daemon's own edges.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/x509.h"
#include "sim_internal.h"
#include "wire/isakmp.h"

static const char *method_word(uint16_t method)
{
	switch (method) {
	case MOAT_METHOD_RSA_ENC:
		return "rsa-enc";
	case MOAT_METHOD_RSA_ENC_REVISED:
		return "rsa-enc-revised";
	default:
		return "rsa-sig";
	}
}

static void complain(struct moat_mistakes *mistakes)
{
	for (unsigned int i = 0; i < mistakes->n; i++)
		fprintf(stderr, "# %s\n", mistakes->list[i]);
	if (mistakes->n)
		abort();
	moat_mistakes_free(mistakes);
}

static void read_keys(struct sim_side *side)
{
	struct moat_mistakes mistakes = { 0 };

	for (unsigned int i = 0; i < side->config.n_keys; i++) {
		int fd = open(side->config.keys[i].path, O_RDONLY);

		if (fd < 0) {
			perror(side->config.keys[i].path);
			abort();
		}
		moat_rsa_keys_read(&side->keys, fd, &side->config.keys[i], &mistakes);
		close(fd);
	}
	complain(&mistakes);
}

void sim_rsa_setup(struct sim *sim, int side)
{
	const struct sim_options *o = &sim->options;
	struct sim_side *s = &sim->side[side];
	struct moat_mistakes mistakes = { 0 };
	char local[MOAT_ADDR_STRLEN], remote[MOAT_ADDR_STRLEN], text[2048];
	const char *cert = o->cert[side] ? o->cert[side] : side ? "gw-b" : "gw-a";
	const char *key = o->key[side] ? o->key[side] : side ? "gw-b" : "gw-a";
	FILE *file;

	if (!o->auth || o->auth == MOAT_METHOD_PSK)
		return;
	snprintf(text, sizeof(text),
		 "tunnels = { t = { local = \"%s\"\nremote = \"%s\"\n"
		 "local-net = \"10.1.0.0/24\"\nremote-net = \"10.2.0.0/24\"\n"
		 "auth = \"%s\"\ncert = \"%s.pem\"\nkey = \"selftests/certs/%s.key\"\n"
		 "%s } }\n",
		 moat_addr_str(&s->addr, local),
		 moat_addr_str(&sim->side[!side].addr, remote), method_word(o->auth),
		 cert, key, o->more[side] ? o->more[side] : "ca = \"ca.pem\"");
	file = fmemopen(text, strlen(text), "r");
	if (!file)
		abort();
	s->config.dir = "selftests/certs";
	moat_config_read(&s->config, file, "moat.conf", &mistakes);
	fclose(file);
	complain(&mistakes);
	read_keys(s);
}

void sim_rsa_clear(struct sim_side *side)
{
	moat_config_free(&side->config);
	moat_rsa_keys_free(&side->keys);
}

void sim_recertify(struct sim *sim, int side, const char *cert, const char *more)
{
	struct sim_side *s = &sim->side[side];

	sim_rsa_clear(s);
	sim->options.cert[side] = cert;
	sim->options.more[side] = more;
	sim_rsa_setup(sim, side);
	sim_configure(sim, side);
}

bool sim_rsa_sign(struct sim *sim, int side, const struct moat_act *act, uint8_t *out,
		  size_t *len)
{
	const struct moat_rsa_key *key =
		moat_rsa_keys_find(&sim->side[side].keys, act->sign.key_id);

	if (!key || moat_rsa_sign(key, moat_view(act->sign.hash, act->sign.len), out))
		return false;
	*len = key->len;
	return true;
}

size_t sim_rsa_decrypt(struct sim *sim, int side, const struct moat_act *act,
		       uint8_t *out)
{
	const struct moat_rsa_key *key =
		moat_rsa_keys_find(&sim->side[side].keys, act->decrypt.key_id);

	if (!key)
		return 0;
	return moat_rsa_open(key, moat_view(act->decrypt.nonce, act->decrypt.nonce_len),
			     moat_view(act->decrypt.id, act->decrypt.id_len), out);
}

bool sim_rsa_verify(struct sim *sim, const struct moat_act *act, char *why, size_t size)
{
	if (!sim->x509)
		sim->x509 = moat_x509_new();
	return !moat_x509_verify(sim->x509, act->verify, why, size);
}
