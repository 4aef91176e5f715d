// SPDX-License-Identifier: GPL-2.0-or-later
/* Messages between moatd's processes: exact lengths, at most one descriptor. */
#include "priv/ipc.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define UP_TO(member) \
	(offsetof(struct moat_ipc, member) + sizeof(((struct moat_ipc *)0)->member))
#define HEAD offsetof(struct moat_ipc, channel)

static const size_t lengths[MOAT_IPC_TYPES] = {
	[MOAT_IPC_CHANNEL] = UP_TO(channel),
	[MOAT_IPC_SOCKET] = UP_TO(socket),
	[MOAT_IPC_TUNNEL] = UP_TO(tunnel),
	[MOAT_IPC_REMOTE] = UP_TO(remote),
	[MOAT_IPC_PAIR] = UP_TO(pair),
	[MOAT_IPC_SETTLE] = UP_TO(settle),
	[MOAT_IPC_SECRETS] = UP_TO(text),
	[MOAT_IPC_OPEN] = UP_TO(text),
	[MOAT_IPC_FILE] = UP_TO(text),
	[MOAT_IPC_MISTAKE] = UP_TO(text),
	[MOAT_IPC_CHECKED] = UP_TO(checked),
	[MOAT_IPC_RELOAD] = HEAD,
	[MOAT_IPC_RELOADED] = UP_TO(text),
	[MOAT_IPC_LOG] = UP_TO(log),
	[MOAT_IPC_KEYLOG] = UP_TO(keylog),
	[MOAT_IPC_SKEYID] = UP_TO(skeyid),
	[MOAT_IPC_SPI_ALLOC] = UP_TO(spi_alloc),
	[MOAT_IPC_SA_ADD] = UP_TO(sa),
	[MOAT_IPC_POLICY_SWITCH] = UP_TO(sa),
	[MOAT_IPC_SA_DEL] = UP_TO(sa),
	[MOAT_IPC_SA_MOVE] = UP_TO(mapping),
	[MOAT_IPC_POLICY_ADD] = UP_TO(policy),
	[MOAT_IPC_POLICY_SET] = UP_TO(policy),
	[MOAT_IPC_POLICY_DEL] = UP_TO(policy),
	[MOAT_IPC_CLEAN] = HEAD,
	[MOAT_IPC_DUMP] = HEAD,
	[MOAT_IPC_ANSWER] = UP_TO(answer),
	[MOAT_IPC_ACQUIRE] = UP_TO(acquire),
	[MOAT_IPC_EXPIRE] = UP_TO(expire),
	[MOAT_IPC_FIRST_USE] = UP_TO(expire),
	[MOAT_IPC_MAPPING] = UP_TO(mapping),
	[MOAT_IPC_SA_INFO] = UP_TO(sa_info),
	[MOAT_IPC_POLICY_INFO] = UP_TO(policy_info),
	[MOAT_IPC_COUNTERS_INFO] = UP_TO(counters),
	[MOAT_IPC_CREDS] = UP_TO(creds),
	[MOAT_IPC_DER] = UP_TO(der),
	[MOAT_IPC_KEY] = UP_TO(key),
	[MOAT_IPC_SIGN] = UP_TO(sign),
	[MOAT_IPC_DECRYPT] = UP_TO(decrypt),
	[MOAT_IPC_WARNING] = UP_TO(text),
	[MOAT_IPC_RESOLVE] = UP_TO(resolved),
	[MOAT_IPC_RESOLVED] = UP_TO(resolved),
	[MOAT_IPC_UNKNOWN_SPI] = UP_TO(unknown_spi),
	[MOAT_IPC_POLICY_LOST] = UP_TO(policy_lost),
	[MOAT_IPC_PING] = HEAD,
	[MOAT_IPC_PONG] = HEAD,
	[MOAT_IPC_SA_UNUSED] = UP_TO(sa),
	[MOAT_IPC_SA_SET] = UP_TO(sa),
};

size_t moat_ipc_len(uint32_t type)
{
	return type < MOAT_IPC_TYPES ? lengths[type] : 0;
}

void moat_ipc_init(struct moat_ipc *msg, enum moat_ipc_type type, uint32_t token)
{
	memset(msg, 0, lengths[type]);
	msg->type = type;
	msg->token = token;
}

int moat_ipc_send(int fd, const struct moat_ipc *msg, int pass, int flags)
{
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec iov = { .iov_base = (void *)msg,
			     .iov_len = moat_ipc_len(msg->type) };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t sent;

	if (pass >= 0) {
		struct cmsghdr *cmsg;

		mh.msg_control = control.space;
		mh.msg_controllen = sizeof(control.space);
		cmsg = CMSG_FIRSTHDR(&mh);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(cmsg), &pass, sizeof(int));
	}
	do {
		sent = sendmsg(fd, &mh, flags | MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	return sent < 0 ? -1 : 0;
}

static int passed_descriptor(struct msghdr *mh)
{
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(mh);
	int fd;

	if (!cmsg || cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS ||
	    cmsg->cmsg_len != CMSG_LEN(sizeof(int)))
		return -1;
	memcpy(&fd, CMSG_DATA(cmsg), sizeof(int));
	return fd;
}

int moat_ipc_receive(int fd, struct moat_ipc *msg, int *passed, int flags)
{
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { .iov_base = msg, .iov_len = sizeof(*msg) };
	struct msghdr mh = { .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.space,
			     .msg_controllen = sizeof(control.space) };
	ssize_t len;

	*passed = -1;
	/* Reset: it ended without reading all of ours; what it wrote is still there. */
	do {
		len = recvmsg(fd, &mh, flags | MSG_CMSG_CLOEXEC);
	} while (len < 0 && (errno == EINTR || errno == ECONNRESET));
	if (len <= 0)
		return len;
	*passed = passed_descriptor(&mh);
	if (!(mh.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) && len >= (ssize_t)HEAD &&
	    (size_t)len == moat_ipc_len(msg->type))
		return 1;
	if (*passed >= 0)
		close(*passed);
	*passed = -1;
	errno = EBADMSG;
	return -1;
}

void moat_ipc_pong(int fd)
{
	struct moat_ipc msg;

	moat_ipc_init(&msg, MOAT_IPC_PONG, 0);
	moat_ipc_send(fd, &msg, -1, MSG_DONTWAIT);
}
