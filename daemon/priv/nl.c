// SPDX-License-Identifier: GPL-2.0-or-later
/* Netlink client: the sockets, one request and its answer, errors, events. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <netlink/netlink.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include "priv/nl_internal.h"

#define REQUEST_SIZE 16384     /* two SAs with everything take 2 kB */
#define EVENT_BUFFER (4 << 20) /* an acquire takes 0.3 kB */

/**
 * struct moat_nl - one client
 * @requests: blocking socket, one request at a time
 * @events: non-blocking socket in the multicast group, NULL before subscribing
 * @family: number of the family
 * @group: number of the multicast group
 * @error: why the last call failed
 */
struct moat_nl {
	struct nl_sock *requests;
	struct nl_sock *events;
	int family;
	int group;
	char error[256];
};

/* One exchange with the kernel, as the callbacks see it. */
struct exchange {
	struct moat_nl *nl;
	nl_reply_fn fn;
	void *arg;
	int err;       /* the kernel's answer, negative errno */
	int reply_err; /* of @fn */
	bool done;
};

/** moat_nl_error() - why the last call failed, as a sentence */
const char *moat_nl_error(const struct moat_nl *nl)
{
	return nl->error;
}

/* What an errno means that the kernel sent without a sentence. */
static const char *plain_reason(int err)
{
	switch (err) {
	case EPERM:
		return "not permitted: needs root in the initial user namespace "
		       "(CAP_NET_ADMIN)";
	case ENOENT:
		return "no such object";
	case EOPNOTSUPP:
		return "the loaded kernel module does not know this request; is it older "
		       "than this program?";
	default:
		return strerror(err);
	}
}

static void set_error(struct moat_nl *nl, int err, const char *sentence, int len)
{
	if (sentence && len > 0)
		snprintf(nl->error, sizeof(nl->error), "%.*s", len, sentence);
	else
		snprintf(nl->error, sizeof(nl->error), "%s", plain_reason(-err));
}

/* libnl's own failures; a system call's reason is in errno. */
static int library_error(struct moat_nl *nl, int nlerr)
{
	int err = errno ? -errno : -EIO;

	snprintf(nl->error, sizeof(nl->error), "netlink: %s", nl_geterror(nlerr));
	return err;
}

/* The kernel's sentence stands in attributes behind the echoed header. */
static int on_error(struct sockaddr_nl *from, struct nlmsgerr *e, void *arg)
{
	struct exchange *x = arg;
	struct nlmsghdr *h = (struct nlmsghdr *)((char *)e - NLMSG_HDRLEN);
	struct nlattr *tb[NLMSGERR_ATTR_MAX + 1] = { NULL };
	int skip = sizeof(*e);
	const char *sentence = NULL;
	int len = 0;

	(void)from;
	if (!(h->nlmsg_flags & NLM_F_CAPPED))
		skip += e->msg.nlmsg_len - sizeof(e->msg);
	if ((h->nlmsg_flags & NLM_F_ACK_TLVS) && nlmsg_datalen(h) >= skip &&
	    !nla_parse(tb, NLMSGERR_ATTR_MAX,
		       (struct nlattr *)((char *)e + NLMSG_ALIGN(skip)),
		       nlmsg_datalen(h) - NLMSG_ALIGN(skip), NULL) &&
	    tb[NLMSGERR_ATTR_MSG]) {
		sentence = nla_data(tb[NLMSGERR_ATTR_MSG]);
		len = nla_len(tb[NLMSGERR_ATTR_MSG]);
	}
	x->err = e->error;
	x->done = true;
	set_error(x->nl, e->error, sentence, len);
	return NL_STOP;
}

static int on_ack(struct nl_msg *msg, void *arg)
{
	struct exchange *x = arg;

	(void)msg;
	x->done = true;
	return NL_STOP;
}

/* The end of a dump carries its error. */
static int on_finish(struct nl_msg *msg, void *arg)
{
	struct exchange *x = arg;
	struct nlmsghdr *h = nlmsg_hdr(msg);
	int err = 0;

	if (nlmsg_datalen(h) >= (int)sizeof(err))
		memcpy(&err, nlmsg_data(h), sizeof(err));
	if (err < 0) {
		x->err = err;
		set_error(x->nl, err, NULL, 0);
	}
	x->done = true;
	return NL_STOP;
}

static int on_valid(struct nl_msg *msg, void *arg)
{
	struct exchange *x = arg;
	struct nlmsghdr *h = nlmsg_hdr(msg);

	if (x->reply_err || !x->fn)
		return NL_OK;
	if (h->nlmsg_type != x->nl->family || !genlmsg_valid_hdr(h, 0))
		x->reply_err = -EBADMSG;
	else
		x->reply_err = x->fn(genlmsg_attrdata(nlmsg_data(h), 0),
				     genlmsg_attrlen(nlmsg_data(h), 0), x->arg);
	return NL_OK;
}

/**
 * moat_nl_request() - begin a request
 * @nl: client
 * @cmd: command
 * @flags: NLM_F_DUMP or 0
 *
 * Return: the message, or NULL without memory
 */
struct nl_msg *moat_nl_request(struct moat_nl *nl, enum moat_cmd cmd, int flags)
{
	struct nl_msg *msg = nlmsg_alloc_size(REQUEST_SIZE);

	if (msg &&
	    !genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, nl->family, 0,
			 NLM_F_REQUEST | NLM_F_ACK | flags, cmd, MOAT_FAMILY_VERSION)) {
		nlmsg_free(msg);
		msg = NULL;
	}
	return msg;
}

/* A request may hold keys. */
static void free_wiped(struct nl_msg *msg)
{
	if (!msg)
		return;
	explicit_bzero(nlmsg_hdr(msg), nlmsg_hdr(msg)->nlmsg_len);
	nlmsg_free(msg);
}

/**
 * moat_nl_fail() - give up a request that was not sent
 * @nl: client
 * @msg: request, wiped and freed; may be NULL
 * @err: negative errno
 * @why: sentence for moat_nl_error()
 *
 * Return: @err
 */
int moat_nl_fail(struct moat_nl *nl, struct nl_msg *msg, int err, const char *why)
{
	free_wiped(msg);
	snprintf(nl->error, sizeof(nl->error), "%s", why);
	return err;
}

static int exchange_cb(struct exchange *x, struct nl_cb **out)
{
	struct nl_cb *cb = nl_cb_alloc(NL_CB_DEFAULT);

	if (!cb)
		return -ENOMEM;
	nl_cb_err(cb, NL_CB_CUSTOM, on_error, x);
	nl_cb_set(cb, NL_CB_VALID, NL_CB_CUSTOM, on_valid, x);
	nl_cb_set(cb, NL_CB_ACK, NL_CB_CUSTOM, on_ack, x);
	nl_cb_set(cb, NL_CB_FINISH, NL_CB_CUSTOM, on_finish, x);
	*out = cb;
	return 0;
}

/**
 * moat_nl_talk() - send a request and take all of its answer
 * @nl: client
 * @msg: request; wiped and freed
 * @fn: called for each message of the answer, or NULL
 * @arg: for @fn
 *
 * The answer is read to its end also when @fn fails, so that the next request
 * does not meet its rest.
 *
 * Return: 0, or the negative errno of the kernel or @fn; -EINTR for a dump
 * that changed while it was read (read it again)
 */
int moat_nl_talk(struct moat_nl *nl, struct nl_msg *msg, nl_reply_fn fn, void *arg)
{
	struct exchange x = { .nl = nl, .fn = fn, .arg = arg };
	struct nl_cb *cb = NULL;
	bool torn = false;
	int err;

	nl->error[0] = 0;
	if (!msg || exchange_cb(&x, &cb))
		return moat_nl_fail(nl, msg, -ENOMEM, "out of memory");
	errno = 0;
	err = nl_send_auto(nl->requests, msg);
	free_wiped(msg);
	while (err >= 0 && !x.done) {
		errno = 0;
		err = nl_recvmsgs(nl->requests, cb);
		if (err == -NLE_DUMP_INTR) {
			torn = true;
			err = 0;
		}
	}
	nl_cb_put(cb);
	if (err < 0 && !x.done)
		return library_error(nl, err);
	if (x.err)
		return x.err;
	if (torn)
		return moat_nl_fail(nl, NULL, -EINTR,
				    "the table changed while it was read");
	if (x.reply_err == -EBADMSG)
		return moat_nl_fail(nl, NULL, -EBADMSG,
				    "malformed answer from the kernel module; is it of "
				    "another version?");
	return x.reply_err;
}

/** moat_nl_simple() - a request without attributes; 0 or a negative errno */
int moat_nl_simple(struct moat_nl *nl, enum moat_cmd cmd)
{
	return moat_nl_talk(nl, moat_nl_request(nl, cmd, 0), NULL, NULL);
}

static int open_socket(struct nl_sock **out)
{
	struct nl_sock *sk = nl_socket_alloc();
	int on = 1;

	if (!sk)
		return -NLE_NOMEM;
	errno = 0;
	if (genl_connect(sk) < 0) {
		nl_socket_free(sk);
		return -NLE_FAILURE;
	}
	nl_socket_set_msg_buf_size(sk, 65536);
	/* the kernel's sentence, without an echo of our (secret) request */
	setsockopt(nl_socket_get_fd(sk), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	setsockopt(nl_socket_get_fd(sk), SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	*out = sk;
	return 0;
}

/**
 * moat_nl_open() - connect to the kernel module
 * @out: the client; also set on failure, for moat_nl_error(), unless NULL
 *
 * Return: 0; -ENOENT when the module is not loaded; another negative errno
 */
int moat_nl_open(struct moat_nl **out)
{
	struct moat_nl *nl = calloc(1, sizeof(*nl));
	int err;

	*out = nl;
	if (!nl)
		return -ENOMEM;
	err = open_socket(&nl->requests);
	if (err)
		return library_error(nl, err);
	nl->family = genl_ctrl_resolve(nl->requests, MOAT_FAMILY_NAME);
	if (nl->family < 0)
		return moat_nl_fail(nl, NULL, -ENOENT,
				    "the kernel module is not loaded: modprobe moat");
	return 0;
}

/** moat_nl_close() - close a client; NULL is allowed */
void moat_nl_close(struct moat_nl *nl)
{
	if (!nl)
		return;
	nl_socket_free(nl->requests);
	nl_socket_free(nl->events);
	free(nl);
}

/**
 * moat_nl_subscribe() - receive events from now on
 *
 * Return: 0 or a negative errno
 */
int moat_nl_subscribe(struct moat_nl *nl)
{
	int size = EVENT_BUFFER;
	int err;

	nl->group =
		genl_ctrl_resolve_grp(nl->requests, MOAT_FAMILY_NAME, MOAT_MCGRP_EVENTS);
	if (nl->group < 0)
		return moat_nl_fail(nl, NULL, -ENOENT,
				    "the kernel module has no event group; is it of "
				    "another version?");
	err = open_socket(&nl->events);
	if (err)
		return library_error(nl, err);
	nl_socket_disable_seq_check(nl->events);
	/* root may exceed rmem_max; less than asked only loses events earlier */
	setsockopt(nl_socket_get_fd(nl->events), SOL_SOCKET, SO_RCVBUFFORCE, &size,
		   sizeof(size));
	errno = 0;
	err = nl_socket_add_membership(nl->events, nl->group);
	if (!err)
		err = nl_socket_set_nonblocking(nl->events);
	return err ? library_error(nl, err) : 0;
}

/** moat_nl_event_fd() - readable when events wait; -1 before moat_nl_subscribe() */
int moat_nl_event_fd(const struct moat_nl *nl)
{
	return nl->events ? nl_socket_get_fd(nl->events) : -1;
}

struct event_sink {
	struct moat_nl *nl;
	moat_nl_event_fn fn;
	void *arg;
};

static int parse_event(struct moat_nl_event *event, struct nlattr *attrs, int len)
{
	static const struct nla_policy policy[MOAT_A_MAIN_MAX + 1] = {
		[MOAT_A_MAIN_SA] = { .type = NLA_NESTED },
		[MOAT_A_MAIN_POLICY] = { .type = NLA_NESTED },
		[MOAT_A_MAIN_FLOW] = { .type = NLA_NESTED },
		[MOAT_A_MAIN_HARD] = { .type = NLA_FLAG },
		[MOAT_A_MAIN_PORT] = { .type = NLA_U16 },
	};
	struct nlattr *tb[MOAT_A_MAIN_MAX + 1];
	bool gone = event->kind == MOAT_CMD_POLICY_GONE_NTF;
	bool acquire = event->kind == MOAT_CMD_ACQUIRE_NTF;

	if (moat_nl_parse(tb, MOAT_A_MAIN_MAX, attrs, len, policy) ||
	    (!gone && !tb[acquire ? MOAT_A_MAIN_POLICY : MOAT_A_MAIN_SA]))
		return -EBADMSG;
	if ((acquire || gone) && tb[MOAT_A_MAIN_POLICY] &&
	    moat_nl_get_policy(&event->policy, tb[MOAT_A_MAIN_POLICY]))
		return -EBADMSG;
	if (tb[MOAT_A_MAIN_SA] && moat_nl_get_sa(&event->sa, tb[MOAT_A_MAIN_SA]))
		return -EBADMSG;
	if (tb[MOAT_A_MAIN_FLOW] && moat_nl_get_flow(&event->flow, tb[MOAT_A_MAIN_FLOW]))
		return -EBADMSG;
	if (tb[MOAT_A_MAIN_ADDR] && moat_nl_get_addr(&event->addr, tb[MOAT_A_MAIN_ADDR]))
		return -EBADMSG;
	if (tb[MOAT_A_MAIN_PORT])
		event->port = nla_get_u16(tb[MOAT_A_MAIN_PORT]);
	event->hard = tb[MOAT_A_MAIN_HARD] != NULL;
	return 0;
}

/* An event that cannot be read is dropped: nobody could act on half of it. */
static int on_event(struct nl_msg *msg, void *arg)
{
	struct event_sink *sink = arg;
	struct nlmsghdr *h = nlmsg_hdr(msg);
	struct moat_nl_event event = { 0 };

	if (h->nlmsg_type != sink->nl->family || !genlmsg_valid_hdr(h, 0))
		return NL_OK;
	event.kind = genlmsg_hdr(h)->cmd;
	if ((event.kind < MOAT_CMD_ACQUIRE_NTF || event.kind > MOAT_CMD_FIRST_USE_NTF) &&
	    event.kind != MOAT_CMD_UNKNOWN_SPI_NTF &&
	    event.kind != MOAT_CMD_POLICY_GONE_NTF)
		return NL_OK;
	if (!parse_event(&event, genlmsg_attrdata(nlmsg_data(h), 0),
			 genlmsg_attrlen(nlmsg_data(h), 0)))
		sink->fn(&event, sink->arg);
	return NL_OK;
}

/* Events answer no request, so their sequence numbers mean nothing. */
static int take_any_number(struct nl_msg *msg, void *arg)
{
	(void)msg;
	(void)arg;
	return NL_OK;
}

/**
 * moat_nl_events() - hand on all events that wait, without blocking
 * @nl: client that has subscribed
 * @fn: called for each event; may make requests on @nl
 * @arg: for @fn
 *
 * Return: 0; -ENOBUFS when the kernel dropped events (dump the policies: each
 * tells whether its acquire is pending); another negative errno
 */
int moat_nl_events(struct moat_nl *nl, moat_nl_event_fn fn, void *arg)
{
	struct event_sink sink = { .nl = nl, .fn = fn, .arg = arg };
	struct nl_cb *cb = nl_cb_alloc(NL_CB_DEFAULT);
	int err;

	if (!cb)
		return moat_nl_fail(nl, NULL, -ENOMEM, "out of memory");
	nl_cb_set(cb, NL_CB_VALID, NL_CB_CUSTOM, on_event, &sink);
	nl_cb_set(cb, NL_CB_SEQ_CHECK, NL_CB_CUSTOM, take_any_number, NULL);
	do {
		errno = 0;
		err = nl_recvmsgs(nl->events, cb);
	} while (err >= 0);
	nl_cb_put(cb);
	if (err == -NLE_AGAIN)
		return 0;
	if (errno == ENOBUFS)
		return moat_nl_fail(nl, NULL, -ENOBUFS, "events were lost");
	return library_error(nl, err);
}
