// SPDX-License-Identifier: GPL-2.0-or-later
/* moat genpsk: a pre-shared key that nobody guesses. */
#include <gcrypt.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "cli/control.h"
#include "ike/crypt.h"
#include "priv/config.h"

/* 40 of 32 characters: 200 bits. */
#define LENGTH 40

/*
 * Characters that every gateway takes (no quotes, no "?"), that nobody mistakes
 * for one another when they are read out (no 0 and o, no 1 and l); 32 of them,
 * so that five bits make one and all are equally likely.
 */
static const char alphabet[33] = "abcdefghijkmnpqrstuvwxyz23456789";

static void make(char psk[LENGTH + 1])
{
	uint8_t octets[LENGTH];

	gcry_randomize(octets, sizeof(octets), GCRY_VERY_STRONG_RANDOM);
	for (unsigned int i = 0; i < LENGTH; i++)
		psk[i] = alphabet[octets[i] % 32];
	psk[LENGTH] = '\0';
	explicit_bzero(octets, sizeof(octets));
}

static int print(const struct moat_cli *cli, const char *remote, const char *psk)
{
	json_t *doc;

	if (!cli->json) {
		printf("secrets = ( { remote = \"%s\", psk = \"%s\" } )\n", remote, psk);
		return fflush(stdout) ? moat_failed("the secret could not be written")
				      : MOAT_EXIT_DONE;
	}
	doc = moat_json_document();
	json_object_set_new(doc, "remote", json_string(remote));
	json_object_set_new(doc, "psk", json_string(psk));
	return moat_json_print(doc);
}

/** moat_cli_genpsk() - moat genpsk [REMOTE] */
int moat_cli_genpsk(const struct moat_cli *cli, int argc, char **argv)
{
	const char *remote = argc ? argv[0] : "any", *why;
	struct moat_identity id;
	char psk[LENGTH + 1];
	int status;

	if (argc > 1)
		moat_usage("moat genpsk: one peer was expected: its identity or address");
	why = strcmp(remote, "any") ? moat_identity_parse(remote, &id) : NULL;
	if (why)
		moat_usage("moat genpsk: \"%s\" %s", remote, why);
	if (strpbrk(remote, "\"\\\n"))
		moat_usage("moat genpsk: a peer's name with quotes is to be written "
			   "into secrets.conf by hand");
	if (moat_crypt_init())
		return moat_failed("libgcrypt does not start");
	/* No copy in a buffer that is not wiped. */
	setvbuf(stdout, NULL, _IONBF, 0);
	mlock(psk, sizeof(psk));
	make(psk);
	status = print(cli, remote, psk);
	explicit_bzero(psk, sizeof(psk));
	return status;
}
