// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * UDP 500 and 4500: which of our addresses a datagram came to, from which one
 * it goes out, and the non-ESP marker of RFC 3948 section 2.2 on port 4500.
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/io.h"

/* The largest ISAKMP message we take: certificates come to a few thousand. */
#define DATAGRAM_MAX 16384
#define MARKER_LEN   4
#define ESP_MIN	     16 /* header, and the shortest that can follow */
#define IKE_PORT     500
#define NATT_PORT    4500

union address {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

static struct moat_endpoint endpoint_of(const union address *from)
{
	struct moat_endpoint endpoint = { 0 };

	if (from->sa.sa_family == AF_INET) {
		endpoint.addr.len = 4;
		memcpy(endpoint.addr.bytes, &from->in.sin_addr, 4);
		endpoint.port = ntohs(from->in.sin_port);
	} else {
		endpoint.addr.len = 16;
		memcpy(endpoint.addr.bytes, &from->in6.sin6_addr, 16);
		endpoint.port = ntohs(from->in6.sin6_port);
	}
	return endpoint;
}

static socklen_t address_of(const struct moat_endpoint *endpoint, union address *to)
{
	memset(to, 0, sizeof(*to));
	if (endpoint->addr.len == 4) {
		to->in.sin_family = AF_INET;
		to->in.sin_port = htons(endpoint->port);
		memcpy(&to->in.sin_addr, endpoint->addr.bytes, 4);
		return sizeof(to->in);
	}
	to->in6.sin6_family = AF_INET6;
	to->in6.sin6_port = htons(endpoint->port);
	memcpy(&to->in6.sin6_addr, endpoint->addr.bytes, 16);
	return sizeof(to->in6);
}

/* The address that a datagram was sent to. */
static bool local_address(struct msghdr *mh, struct moat_addr *addr)
{
	memset(addr, 0, sizeof(*addr));
	for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			addr->len = 4;
			memcpy(addr->bytes, &info.ipi_addr, 4);
		} else if (c->cmsg_level == IPPROTO_IPV6 &&
			   c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			addr->len = 16;
			memcpy(addr->bytes, &info.ipi6_addr, 16);
		}
	}
	return addr->len;
}

/* An ESP packet in UDP whose SA the module does not have. */
static void unknown_spi(struct moat_io *io, const struct moat_addr *local,
			const union address *from, const uint8_t *data)
{
	struct moat_event event = { .type = MOAT_EV_UNKNOWN_SPI };

	event.unknown_spi.protocol = IPPROTO_ESP;
	event.unknown_spi.spi = (uint32_t)data[0] << 24 | (uint32_t)data[1] << 16 |
				(uint32_t)data[2] << 8 | data[3];
	event.unknown_spi.local = *local;
	event.unknown_spi.remote = endpoint_of(from).addr;
	moat_io_step(io, &event);
}

/* On 4500 four zero octets say that it is no ESP packet. */
static void deliver(struct moat_io *io, unsigned int which, struct msghdr *mh,
		    const uint8_t *data, size_t len)
{
	bool marker = which == MOAT_SOCKET_NATT4 || which == MOAT_SOCKET_NATT6;
	struct moat_event event = { .type = MOAT_EV_DATAGRAM };

	if (!local_address(mh, &event.datagram.local.addr))
		return;
	/* A keepalive from an address that the module does not know. */
	if (marker && len == 1 && *data == 0xff)
		return;
	if (marker) {
		if (len >= ESP_MIN && memcmp(data, "\0\0\0", MARKER_LEN) != 0)
			unknown_spi(io, &event.datagram.local.addr, mh->msg_name, data);
		if (len < MARKER_LEN || memcmp(data, "\0\0\0", MARKER_LEN)) {
			io->udp.refused++;
			return;
		}
		data += MARKER_LEN;
		len -= MARKER_LEN;
	}
	event.datagram.local.port = marker ? NATT_PORT : IKE_PORT;
	event.datagram.remote = endpoint_of(mh->msg_name);
	event.datagram.marker = marker;
	event.datagram.data = data;
	event.datagram.len = len;
	moat_io_step(io, &event);
}

static void receive(struct moat_io *io, unsigned int which)
{
	/* Others want their turn too. */
	unsigned int budget = 32;

	while (budget--) {
		uint8_t data[DATAGRAM_MAX];
		char control[256] __attribute__((aligned(8)));
		union address from;
		struct iovec iov = { .iov_base = data, .iov_len = sizeof(data) };
		struct msghdr mh = { .msg_name = &from,
				     .msg_namelen = sizeof(from),
				     .msg_iov = &iov,
				     .msg_iovlen = 1,
				     .msg_control = control,
				     .msg_controllen = sizeof(control) };
		ssize_t len = recvmsg(io->udp.fds[which], &mh, MSG_DONTWAIT);

		if (len < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		/* An ICMP error of an earlier datagram proves nothing. */
		if (len < 0)
			continue;
		if (mh.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
			io->udp.refused++;
			continue;
		}
		deliver(io, which, &mh, data, len);
	}
}

static void on_ike4(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	receive(arg, MOAT_SOCKET_IKE4);
}

static void on_ike6(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	receive(arg, MOAT_SOCKET_IKE6);
}

static void on_natt4(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	receive(arg, MOAT_SOCKET_NATT4);
}

static void on_natt6(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	receive(arg, MOAT_SOCKET_NATT6);
}

void moat_udp_set(struct moat_io *io, unsigned int which, int fd)
{
	static const event_callback_fn callbacks[MOAT_SOCKETS] = {
		[MOAT_SOCKET_IKE4] = on_ike4,
		[MOAT_SOCKET_IKE6] = on_ike6,
		[MOAT_SOCKET_NATT4] = on_natt4,
		[MOAT_SOCKET_NATT6] = on_natt6,
	};

	io->udp.fds[which] = fd;
	io->udp.events[which] =
		event_new(io->base, fd, EV_READ | EV_PERSIST, callbacks[which], io);
	if (!io->udp.events[which])
		abort();
	event_add(io->udp.events[which], NULL);
}

static void set_source(struct msghdr *mh, const struct moat_addr *local)
{
	struct cmsghdr *cmsg;

	if (!local->len)
		return;
	cmsg = (struct cmsghdr *)mh->msg_control;
	if (local->len == 4) {
		struct in_pktinfo info = { 0 };

		memcpy(&info.ipi_spec_dst, local->bytes, 4);
		cmsg->cmsg_level = IPPROTO_IP;
		cmsg->cmsg_type = IP_PKTINFO;
		cmsg->cmsg_len = CMSG_LEN(sizeof(info));
		memcpy(CMSG_DATA(cmsg), &info, sizeof(info));
		mh->msg_controllen = CMSG_SPACE(sizeof(info));
	} else {
		struct in6_pktinfo info = { 0 };

		memcpy(&info.ipi6_addr, local->bytes, 16);
		cmsg->cmsg_level = IPPROTO_IPV6;
		cmsg->cmsg_type = IPV6_PKTINFO;
		cmsg->cmsg_len = CMSG_LEN(sizeof(info));
		memcpy(CMSG_DATA(cmsg), &info, sizeof(info));
		mh->msg_controllen = CMSG_SPACE(sizeof(info));
	}
}

/* The errors of sending do not tell it from a missing route. */
bool moat_udp_absent(const struct moat_addr *local)
{
	const struct moat_endpoint end = { .addr = *local };
	union address address;
	socklen_t len = address_of(&end, &address);
	int fd = socket(address.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool absent = local->len && fd >= 0 && bind(fd, &address.sa, len) &&
		      errno == EADDRNOTAVAIL;

	if (fd >= 0)
		close(fd);
	return absent;
}

static void note_unsent(struct moat_io *io, const struct moat_act *act, const char *why)
{
	const struct moat_addr *local = &act->send.local.addr;
	char text[MOAT_ADDR_STRLEN];

	/* One is enough at a time: the others will be sent again, too. */
	if (io->udp.why[0])
		return;
	io->udp.absent = moat_udp_absent(local);
	io->udp.unsent[0] = act->send.local;
	io->udp.unsent[1] = act->send.remote;
	if (io->udp.absent)
		moat_ipc_text(io->udp.why,
			      "the local address %s is on no interface of this machine",
			      moat_addr_str(local, text));
	else
		moat_ipc_text(io->udp.why, "to %s: %s",
			      moat_addr_str(&act->send.remote.addr, text), why);
}

void moat_udp_send(struct moat_io *io, const struct moat_act *act)
{
	static const uint8_t marker[MARKER_LEN];
	bool v4 = act->send.remote.addr.len == 4;
	bool natt = act->send.marker || act->send.keepalive;
	unsigned int which = natt ? (v4 ? MOAT_SOCKET_NATT4 : MOAT_SOCKET_NATT6)
				  : (v4 ? MOAT_SOCKET_IKE4 : MOAT_SOCKET_IKE6);
	char control[CMSG_SPACE(sizeof(struct in6_pktinfo))]
		__attribute__((aligned(8))) = { 0 };
	struct iovec iov[2] = { { (void *)marker, MARKER_LEN },
				{ act->send.data, act->send.len } };
	union address to;
	struct msghdr mh = { .msg_name = &to,
			     .msg_iov = act->send.marker ? iov : iov + 1,
			     .msg_iovlen = act->send.marker ? 2 : 1,
			     .msg_control = control };

	mh.msg_namelen = address_of(&act->send.remote, &to);
	set_source(&mh, &act->send.local.addr);
	if (!mh.msg_controllen)
		mh.msg_control = NULL;
	if (io->udp.fds[which] >= 0 &&
	    sendmsg(io->udp.fds[which], &mh, MSG_DONTWAIT) >= 0)
		return;
	/* It counts as lost on the way: retransmission takes care of it. */
	io->udp.send_failed++;
	note_unsent(io, act, io->udp.fds[which] < 0 ? "no socket" : strerror(errno));
}

void moat_udp_unsent(struct moat_io *io)
{
	struct moat_event event = { .type = MOAT_EV_UNSENT };
	char text[sizeof(io->udp.why)];

	if (!io->udp.why[0])
		return;
	moat_ipc_text(text, "%s", io->udp.why);
	io->udp.why[0] = '\0';
	event.unsent.local = io->udp.unsent[0];
	event.unsent.remote = io->udp.unsent[1];
	event.unsent.absent = io->udp.absent;
	event.unsent.text = text;
	moat_io_step(io, &event);
}

void moat_udp_close(struct moat_io *io)
{
	for (unsigned int i = 0; i < MOAT_SOCKETS; i++) {
		if (io->udp.events[i])
			event_free(io->udp.events[i]);
		if (io->udp.fds[i] >= 0)
			close(io->udp.fds[i]);
	}
}
