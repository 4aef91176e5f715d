// SPDX-License-Identifier: GPL-2.0-or-later
/* Sets of certificates: made once, shared, compared by digest. */
#include "ike/creds.h"

#include <stdlib.h>
#include <string.h>

#include "ike/act.h"
#include "ike/crypt.h"

struct moat_creds *moat_creds_new(void)
{
	struct moat_creds *creds = moat_alloc(sizeof(*creds));

	creds->refs = 1;
	return creds;
}

struct moat_creds *moat_creds_get(struct moat_creds *creds)
{
	if (creds)
		creds->refs++;
	return creds;
}

void moat_creds_put(struct moat_creds *creds)
{
	if (!creds || --creds->refs)
		return;
	for (unsigned int part = 0; part < MOAT_CREDS_PARTS; part++) {
		for (unsigned int i = 0; i < creds->part[part].n; i++)
			free(creds->part[part].list[i].data);
		free(creds->part[part].list);
	}
	free(creds);
}

void moat_creds_add(struct moat_creds *creds, enum moat_creds_part part, const void *data,
		    size_t len)
{
	unsigned int n = creds->part[part].n;
	struct moat_der *list =
		reallocarray(creds->part[part].list, n + 1, sizeof(*list));

	if (!list)
		abort();
	list[n] = (struct moat_der){ moat_dup(data, len), len };
	creds->part[part].list = list;
	creds->part[part].n = n + 1;
}

/* A digest of digests: each object counts, and where it stands. */
void moat_creds_seal(struct moat_creds *creds)
{
	uint8_t before[sizeof(creds->digest)];
	uint8_t one[34];

	memset(creds->digest, 0, sizeof(creds->digest));
	for (unsigned int part = 0; part < MOAT_CREDS_PARTS; part++) {
		for (unsigned int i = 0; i < creds->part[part].n; i++) {
			const struct moat_der *der = &creds->part[part].list[i];
			struct moat_view object = moat_view(der->data, der->len);
			struct moat_view both[] = {
				moat_view(before, sizeof(before)),
				moat_view(one, sizeof(one)),
			};

			if (part == MOAT_CREDS_CRL)
				continue;
			/* moat_hash() clears its result first. */
			memcpy(before, creds->digest, sizeof(before));
			one[0] = part;
			one[1] = creds->weak;
			if (moat_hash(MOAT_HASH_SHA256, &object, 1, one + 2) ||
			    moat_hash(MOAT_HASH_SHA256, both, 2, creds->digest))
				abort();
		}
	}
}

bool moat_creds_same(const struct moat_creds *a, const struct moat_creds *b)
{
	if (!a || !b)
		return a == b;
	return !memcmp(a->digest, b->digest, sizeof(a->digest));
}
