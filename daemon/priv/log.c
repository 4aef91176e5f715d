// SPDX-License-Identifier: GPL-2.0-or-later
/* The log: lines to the supervisor, and from there to stderr and syslog. */
#include "priv/log.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <syslog.h>
#include <time.h>

/* -1: this process writes itself. One process, one log: so it is global. */
static int channel = -1;
static unsigned int dropped;

void moat_log_open(void)
{
	openlog("moatd", LOG_PID | LOG_NDELAY, LOG_DAEMON);
}

void moat_log_channel(int fd)
{
	channel = fd;
}

static const char *level_name(uint32_t level)
{
	static const char *const names[] = { "error", "warning", "info", "debug" };

	return level < 4 ? names[level] : "?";
}

void moat_printable(char *text)
{
	for (; *text; text++) {
		if (iscntrl((unsigned char)*text))
			*text = '?';
	}
}

void moat_log_write(const struct moat_ipc *msg)
{
	static const int priorities[] = { LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG };
	char line[sizeof(msg->log) + 8], when[32];
	uint32_t level = msg->log.level < 4 ? msg->log.level : MOAT_LOG_ERR;
	time_t now = time(NULL);
	struct tm tm;

	snprintf(line, sizeof(line), "%.47s %.63s: %.1023s", msg->log.name,
		 msg->log.tunnel[0] ? msg->log.tunnel : "-", msg->log.text);
	moat_printable(line);
	strftime(when, sizeof(when), "%FT%TZ", gmtime_r(&now, &tm));
	syslog(priorities[level], "%s", line);
	/* The journal has both; one copy is enough. */
	if (!getenv("JOURNAL_STREAM"))
		fprintf(stderr, "%s %s %s\n", when, level_name(level), line);
}

static void hand_over(const struct moat_ipc *msg)
{
	struct moat_ipc lost;

	if (channel < 0) {
		moat_log_write(msg);
		return;
	}
	if (dropped) {
		moat_ipc_init(&lost, MOAT_IPC_LOG, 0);
		lost.log.level = MOAT_LOG_WARN;
		moat_ipc_text(lost.log.name, "log-dropped");
		moat_ipc_text(lost.log.text, "%u lines were lost: too many at once",
			      dropped);
		if (moat_ipc_send(channel, &lost, -1, MSG_DONTWAIT)) {
			dropped++;
			return;
		}
		dropped = 0;
	}
	if (moat_ipc_send(channel, msg, -1, MSG_DONTWAIT))
		dropped++;
}

void moat_log(enum moat_level level, const char *name, const char *tunnel,
	      const char *format, ...)
{
	struct moat_ipc msg;
	va_list args;

	moat_ipc_init(&msg, MOAT_IPC_LOG, 0);
	msg.log.level = level;
	moat_ipc_text(msg.log.name, "%s", name);
	moat_ipc_text(msg.log.tunnel, "%s", tunnel ? tunnel : "");
	va_start(args, format);
	vsnprintf(msg.log.text, sizeof(msg.log.text), format, args);
	va_end(args);
	hand_over(&msg);
}
