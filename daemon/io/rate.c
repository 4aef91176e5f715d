// SPDX-License-Identifier: GPL-2.0-or-later
/* A limit for lines of the log that datagrams cause: a token bucket per event. */
#include <string.h>

#include "io/io.h"
#include "priv/log.h"

#define BURST	   20
#define PER_SECOND 5
#define BUCKETS	   64

/**
 * struct bucket - lines that one kind of event may still write
 * @name: event and tunnel; a few share a bucket when the table is full
 * @left: thousandths of a line
 */
struct bucket {
	char name[64];
	uint64_t updated;
	unsigned int left;
	unsigned int suppressed;
};

static struct bucket *find(const char *name, const char *tunnel)
{
	static struct bucket buckets[BUCKETS];
	char key[sizeof(buckets[0].name)];
	unsigned int i;

	snprintf(key, sizeof(key), "%.24s %.36s", name, tunnel ? tunnel : "");
	for (i = 0; i < BUCKETS - 1; i++) {
		if (!buckets[i].name[0] || !strcmp(buckets[i].name, key))
			break;
	}
	if (!buckets[i].name[0]) {
		memcpy(buckets[i].name, key, sizeof(key));
		buckets[i].left = BURST * 1000;
	}
	return &buckets[i];
}

bool moat_rate_ok(const char *name, const char *tunnel, uint64_t now)
{
	struct bucket *bucket = find(name, tunnel);
	uint64_t left = bucket->left + (now - bucket->updated) * PER_SECOND;

	bucket->left = left > BURST * 1000 ? BURST * 1000 : left;
	bucket->updated = now;
	if (bucket->left < 1000) {
		bucket->suppressed++;
		return false;
	}
	bucket->left -= 1000;
	if (bucket->suppressed)
		moat_log(MOAT_LOG_WARN, "log-limited", tunnel,
			 "%u lines of %s were left out", bucket->suppressed, name);
	bucket->suppressed = 0;
	return true;
}
