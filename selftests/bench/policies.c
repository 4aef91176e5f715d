// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a packet, and one policy more, cost among many policies:
 *	policies moat|xfrm tunnels|mixed|ranges COUNT
 * in a network namespace of its own, with the module loaded. It prints the
 * nanoseconds of both, which scripts/vm --icount makes instructions.
 *
 * All policies let pass, so that every packet goes the same way: from a raw
 * socket to a device that throws it away. No packet comes twice.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <linux/xfrm.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "linux/moat.h"

#define PACKETS	 4096
#define WARM_UP	 256
#define MORE	 512 /* policies added for the measure's sake */
#define ANY_PORT 65535

struct policy {
	uint32_t local, remote; /* host byte order */
	uint8_t local_prefix, remote_prefix, protocol;
	uint16_t local_port[2], remote_port[2];
	uint32_t priority;
};

struct packet {
	struct iphdr ip;
	struct udphdr udp;
	char data[8];
};

struct message {
	struct nlmsghdr head;
	char data[500];
};

static int sock;
static uint16_t family;
static bool xfrm;

static void fail(const char *what)
{
	fprintf(stderr, "policies: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

/* xorshift: the same policies and packets on every machine */
static uint32_t rnd(void)
{
	static uint64_t state = 88172645463325252ULL;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state >> 16;
}

static uint32_t mask(unsigned int prefix)
{
	return prefix ? ~0U << (32 - prefix) : 0;
}

/* --- policies ---------------------------------------------------------------- */

static void any_ports(struct policy *p)
{
	p->local_port[0] = p->remote_port[0] = 0;
	p->local_port[1] = p->remote_port[1] = ANY_PORT;
}

static void range(uint16_t port[2])
{
	uint16_t a = rnd(), b = rnd();

	port[0] = a < b ? a : b;
	port[1] = a < b ? b : a;
}

static void mixed_ports(uint16_t port[2])
{
	unsigned int kind = rnd() % 10;

	if (kind < 3)
		range(port);
	else if (kind < 5)
		port[0] = port[1] = rnd();
}

/* Networks of all sizes in one of eight bits, so that each overlaps many. */
static void make_mixed(struct policy *p)
{
	static const uint8_t prefixes[] = { 8,	10, 12, 15, 16, 18, 20, 22,
					    24, 25, 27, 28, 29, 30, 31, 32 };
	static const uint8_t protocols[] = { 0, 17, 17, 6 };

	p->local_prefix = prefixes[rnd() % sizeof(prefixes)];
	p->remote_prefix = prefixes[rnd() % sizeof(prefixes)];
	p->local = (10U << 24 | (rnd() & 0xffffff)) & mask(p->local_prefix);
	p->remote = (10U << 24 | (rnd() & 0xffffff)) & mask(p->remote_prefix);
	p->protocol = protocols[rnd() % sizeof(protocols)];
	p->priority = rnd() % 1000000;
	any_ports(p);
	if (p->protocol) {
		mixed_ports(p->local_port);
		mixed_ports(p->remote_port);
	}
}

/* What a gateway has: a network each, all alike. */
static void make_tunnel(struct policy *p, unsigned int number)
{
	*p = (struct policy){ .local = 10U << 24 | 1 << 16,
			      .remote = (11U << 24) + (number << 8),
			      .local_prefix = 24,
			      .remote_prefix = 24,
			      .priority = 1000 };
	any_ports(p);
}

/* Ranges that no prefix tells apart. */
static void make_range(struct policy *p)
{
	*p = (struct policy){ .local = 10U << 24,
			      .remote = 11U << 24,
			      .local_prefix = 8,
			      .remote_prefix = 8,
			      .protocol = 17,
			      .priority = rnd() };
	range(p->local_port);
	range(p->remote_port);
}

static struct policy *make_policies(const char *kind, unsigned int n)
{
	struct policy *all = calloc(n, sizeof(*all));

	if (!all)
		fail("memory");
	for (unsigned int i = 0; i < n; i++) {
		if (!strcmp(kind, "tunnels"))
			make_tunnel(&all[i], i);
		else if (!strcmp(kind, "ranges"))
			make_range(&all[i]);
		else
			make_mixed(&all[i]);
	}
	return all;
}

/* --- netlink ----------------------------------------------------------------- */

static void put(struct message *m, uint16_t type, const void *data, uint16_t len)
{
	struct nlattr *a = (void *)((char *)m + m->head.nlmsg_len);

	a->nla_type = type;
	a->nla_len = NLA_HDRLEN + len;
	memcpy(a + 1, data, len);
	m->head.nlmsg_len += NLA_ALIGN(a->nla_len);
}

static struct nlattr *nest(struct message *m, uint16_t type)
{
	struct nlattr *a = (void *)((char *)m + m->head.nlmsg_len);

	put(m, type | NLA_F_NESTED, NULL, 0);
	return a;
}

static void nest_end(struct message *m, struct nlattr *a)
{
	a->nla_len = (char *)m + m->head.nlmsg_len - (char *)a;
}

static void start(struct message *m, uint16_t type, const void *head, size_t len)
{
	memset(m, 0, sizeof(*m));
	m->head.nlmsg_len = NLMSG_HDRLEN + NLMSG_ALIGN(len);
	m->head.nlmsg_type = type;
	m->head.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	memcpy(NLMSG_DATA(&m->head), head, len);
}

static void talk(struct message *m, char *answer, size_t size)
{
	ssize_t len;

	if (send(sock, m, m->head.nlmsg_len, 0) < 0)
		fail("send");
	len = recv(sock, answer, size, 0);
	if (len < (ssize_t)NLMSG_LENGTH(sizeof(struct nlmsgerr)))
		fail("recv");
}

static void request(struct message *m)
{
	char answer[4096];
	const struct nlmsghdr *head = (void *)answer;
	const struct nlmsgerr *error = NLMSG_DATA(head);

	talk(m, answer, sizeof(answer));
	errno = head->nlmsg_type == NLMSG_ERROR ? -error->error : EPROTO;
	if (errno)
		fail("request");
}

static void fill_moat(struct message *m, const struct policy *p, uint32_t id)
{
	const struct genlmsghdr head = { .cmd = MOAT_CMD_POLICY_ADD, .version = 1 };
	uint32_t local = htonl(p->local), remote = htonl(p->remote);
	uint8_t action = MOAT_ACTION_BYPASS;
	struct nlattr *policy, *selector;

	start(m, family, &head, sizeof(head));
	policy = nest(m, MOAT_A_MAIN_POLICY);
	put(m, MOAT_A_POLICY_ID, &id, 4);
	put(m, MOAT_A_POLICY_ACTION, &action, 1);
	put(m, MOAT_A_POLICY_PRIORITY, &p->priority, 4);
	selector = nest(m, MOAT_A_POLICY_SELECTOR);
	put(m, MOAT_A_SELECTOR_LOCAL_ADDR, &local, 4);
	put(m, MOAT_A_SELECTOR_LOCAL_PREFIX, &p->local_prefix, 1);
	put(m, MOAT_A_SELECTOR_REMOTE_ADDR, &remote, 4);
	put(m, MOAT_A_SELECTOR_REMOTE_PREFIX, &p->remote_prefix, 1);
	put(m, MOAT_A_SELECTOR_PROTOCOL, &p->protocol, 1);
	put(m, MOAT_A_SELECTOR_LOCAL_PORT_MIN, &p->local_port[0], 2);
	put(m, MOAT_A_SELECTOR_LOCAL_PORT_MAX, &p->local_port[1], 2);
	put(m, MOAT_A_SELECTOR_REMOTE_PORT_MIN, &p->remote_port[0], 2);
	put(m, MOAT_A_SELECTOR_REMOTE_PORT_MAX, &p->remote_port[1], 2);
	nest_end(m, selector);
	nest_end(m, policy);
}

/* XFRM knows no ranges: such policies are for all ports there. */
static void fill_xfrm(struct message *m, const struct policy *p, uint32_t id)
{
	struct xfrm_userpolicy_info info = {
		.sel = { .saddr.a4 = htonl(p->local),
			 .daddr.a4 = htonl(p->remote),
			 .prefixlen_s = p->local_prefix,
			 .prefixlen_d = p->remote_prefix,
			 .family = AF_INET,
			 .proto = p->protocol },
		.lft = { .soft_byte_limit = XFRM_INF,
			 .hard_byte_limit = XFRM_INF,
			 .soft_packet_limit = XFRM_INF,
			 .hard_packet_limit = XFRM_INF },
		.priority = p->priority + 1,
		.dir = XFRM_POLICY_OUT,
		.action = XFRM_POLICY_ALLOW,
	};

	(void)id;
	if (p->protocol && p->local_port[0] == p->local_port[1]) {
		info.sel.sport = htons(p->local_port[0]);
		info.sel.sport_mask = 0xffff;
	}
	if (p->protocol && p->remote_port[0] == p->remote_port[1]) {
		info.sel.dport = htons(p->remote_port[0]);
		info.sel.dport_mask = 0xffff;
	}
	start(m, XFRM_MSG_UPDPOLICY, &info, sizeof(info));
}

static void add(const struct policy *all, uint32_t from, uint32_t to)
{
	static struct message m;

	for (uint32_t i = from; i < to; i++) {
		if (xfrm)
			fill_xfrm(&m, &all[i], i + 1);
		else
			fill_moat(&m, &all[i], i + 1);
		request(&m);
	}
}

/* Nanoseconds of making the same requests without sending them. */
static uint64_t fill_only(const struct policy *all, uint32_t from, uint32_t to)
{
	static struct message m;
	uint64_t begin = now();

	for (uint32_t i = from; i < to; i++) {
		if (xfrm)
			fill_xfrm(&m, &all[i], i + 1);
		else
			fill_moat(&m, &all[i], i + 1);
		__asm__ volatile("" : : "r"(&m) : "memory");
	}
	return now() - begin;
}

static void find_family(void)
{
	const struct genlmsghdr head = { .cmd = CTRL_CMD_GETFAMILY, .version = 1 };
	char answer[8192];
	struct message m;
	char *at, *end;

	start(&m, GENL_ID_CTRL, &head, sizeof(head));
	put(&m, CTRL_ATTR_FAMILY_NAME, "moat", 5);
	m.head.nlmsg_flags = NLM_F_REQUEST;
	talk(&m, answer, sizeof(answer));
	at = answer + NLMSG_LENGTH(GENL_HDRLEN);
	end = answer + ((struct nlmsghdr *)answer)->nlmsg_len;
	while (at + NLA_HDRLEN < end && !family) {
		const struct nlattr *a = (void *)at;

		if (a->nla_type == CTRL_ATTR_FAMILY_ID)
			memcpy(&family, a + 1, 2);
		at += NLA_ALIGN(a->nla_len);
	}
	errno = ENOENT;
	if (!family)
		fail("the module's netlink family");
}

/* --- packets ----------------------------------------------------------------- */

static uint16_t port_of(const uint16_t port[2])
{
	return port[0] + rnd() % (port[1] - port[0] + 1U);
}

/* Half of them go where some policy is, the others anywhere near. */
static void make_packet(struct packet *packet, const struct policy *p, bool aimed)
{
	uint32_t local = p->local | (rnd() & ~mask(p->local_prefix));
	uint32_t remote = p->remote | (rnd() & ~mask(p->remote_prefix));
	bool has_ports = p->protocol == 17;

	if (!aimed) {
		local = (local & 0xff000000) | (rnd() & 0xffffff);
		remote = (remote & 0xff000000) | (rnd() & 0xffffff);
	}
	*packet = (struct packet){
		.ip = { .version = 4,
			.ihl = 5,
			.ttl = 64,
			.protocol = IPPROTO_UDP,
			.saddr = htonl(local),
			.daddr = htonl(remote) },
		.udp = { .source = htons(aimed && has_ports ? port_of(p->local_port)
							    : rnd()),
			 .dest = htons(aimed && has_ports ? port_of(p->remote_port)
							  : rnd()),
			 .len = htons(16) },
	};
}

static double send_all(const struct policy *all, unsigned int n)
{
	struct packet *packets = calloc(PACKETS + WARM_UP, sizeof(*packets));
	int out = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
	uint64_t begin = 0;

	if (!packets || out < 0)
		fail("raw socket");
	for (unsigned int i = 0; i < PACKETS + WARM_UP; i++)
		make_packet(&packets[i], &all[rnd() % n], i & 1);
	for (unsigned int i = 0; i < PACKETS + WARM_UP; i++) {
		struct sockaddr_in to = { .sin_family = AF_INET,
					  .sin_addr.s_addr = packets[i].ip.daddr };

		if (i == WARM_UP)
			begin = now();
		if (sendto(out, &packets[i], sizeof(packets[i]), 0, (void *)&to,
			   sizeof(to)) < 0)
			fail("sendto");
	}
	close(out);
	return (double)(now() - begin) / PACKETS;
}

static void prepare(void)
{
	static const char setup[] =
		"ip link set lo up && ip link add sink type dummy && ip link set sink up && "
		"ip addr add 192.0.2.1/24 dev sink && "
		"ip neigh add 192.0.2.2 lladdr 02:00:00:00:00:02 dev sink && "
		"ip route add default via 192.0.2.2";

	if (unshare(CLONE_NEWNET))
		fail("unshare");
	if (system(setup))
		fail("ip");
	sock = socket(AF_NETLINK, SOCK_RAW, xfrm ? NETLINK_XFRM : NETLINK_GENERIC);
	if (sock < 0)
		fail("netlink");
	if (!xfrm)
		find_family();
}

int main(int argc, char **argv)
{
	unsigned int n = argc == 4 ? strtoul(argv[3], NULL, 10) : 0;
	struct policy *all;
	uint64_t begin, spent;
	double lookup;

	if (!n) {
		fprintf(stderr, "usage: policies moat|xfrm tunnels|mixed|ranges COUNT\n");
		return 2;
	}
	xfrm = !strcmp(argv[1], "xfrm");
	prepare();
	all = make_policies(argv[2], n + MORE);
	add(all, 0, n);
	lookup = send_all(all, n);
	begin = now();
	add(all, n, n + MORE);
	spent = now() - begin;
	printf("%s %s %u packet %.0f add %.0f\n", argv[1], argv[2], n, lookup,
	       (double)(spent - fill_only(all, n, n + MORE)) / MORE);
	return 0;
}
