// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Keys for Wireshark, while an operator wants them (`moat keylog on`): two tables
 * of its in RUNDIR/keylog, which only root may read. The one exception to "secrets
 * are never written".
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "priv/log.h"
#include "priv/supervisor.h"

static const char *file_of(uint32_t what)
{
	switch (what) {
	case MOAT_KEYLOG_IKE:
		return "ikev1_decryption_table";
	case MOAT_KEYLOG_ESP:
		return "esp_sa";
	default:
		return NULL;
	}
}

/* It comes from the process that parses what strangers send. */
static bool harmless(const char *line, size_t size)
{
	size_t len = strnlen(line, size);

	for (size_t i = 0; i < len; i++) {
		if (line[i] < 0x20 || line[i] > 0x7e)
			return false;
	}
	return len && len < size;
}

static void append(struct moat_supervisor *s, const char *file, const char *line)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/keylog/%s", s->rundir, file);
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || dprintf(fd, "%s\n", line) < 0)
		moat_log(MOAT_LOG_ERR, "keylog-failed", NULL, "%s: %s", path,
			 strerror(errno));
	if (fd >= 0)
		close(fd);
}

static void turn(struct moat_supervisor *s, bool on)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/keylog", s->rundir);
	if (on && mkdir(path, 0700) && errno != EEXIST) {
		moat_log(MOAT_LOG_ERR, "keylog-failed", NULL, "%s: %s", path,
			 strerror(errno));
		return;
	}
	if (on != s->keylog)
		moat_log(MOAT_LOG_WARN, on ? "keylog-on" : "keylog-off", NULL,
			 on ? "keys are written to %s: whoever reads it can read the "
			      "traffic"
			    : "keys are no longer written; those in %s stay until they "
			      "are deleted",
			 path);
	s->keylog = on;
}

void moat_keylog_take(struct moat_supervisor *s, const struct moat_ipc *msg)
{
	const char *file = file_of(msg->keylog.what);

	if (!file)
		turn(s, msg->keylog.what == MOAT_KEYLOG_ON);
	else if (s->keylog && harmless(msg->keylog.line, sizeof(msg->keylog.line)))
		append(s, file, msg->keylog.line);
}
