// SPDX-License-Identifier: GPL-2.0-or-later
/* Netlink client: SAs, and the attributes that SAs and policies share. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "priv/nl_internal.h"

/**
 * moat_nl_parse() - parse attributes of the kernel strictly
 * @tb: takes the attributes by type, @max + 1 of them
 * @max: highest known type; newer ones are ignored, the contract only grows
 * @attrs: attributes
 * @len: their length in bytes
 * @policy: type and length of each
 *
 * Return: 0 or -EBADMSG
 */
int moat_nl_parse(struct nlattr **tb, int max, struct nlattr *attrs, int len,
		  const struct nla_policy *policy)
{
	/* libnl only checks policy entries that have a type */
	return nla_parse(tb, max, attrs, len, (struct nla_policy *)policy) ? -EBADMSG : 0;
}

static int parse_nested(struct nlattr **tb, int max, struct nlattr *nest,
			const struct nla_policy *policy)
{
	return moat_nl_parse(tb, max, nla_data(nest), nla_len(nest), policy);
}

/** moat_nl_put_addr() - append an address, if any; 0 or a negative number */
int moat_nl_put_addr(struct nl_msg *msg, int type, const struct moat_addr *addr)
{
	return addr->len ? nla_put(msg, type, addr->len, addr->bytes) : 0;
}

/** moat_nl_get_addr() - read an address; 0 or -EBADMSG */
int moat_nl_get_addr(struct moat_addr *addr, const struct nlattr *attr)
{
	int len = nla_len(attr);

	if (len != 4 && len != 16)
		return -EBADMSG;
	memset(addr, 0, sizeof(*addr));
	addr->len = len;
	memcpy(addr->bytes, nla_data(attr), len);
	return 0;
}

/* Port attributes come in pairs, the lowest first. */
static int put_ports(struct nl_msg *msg, int type, const uint16_t port[2])
{
	if (port[0] == 0 && port[1] == 65535)
		return 0;
	if (nla_put_u16(msg, type, port[0]))
		return -1;
	return nla_put_u16(msg, type + 1, port[1]);
}

static int put_network(struct nl_msg *msg, int type, const struct moat_range *range)
{
	int prefix = moat_range_prefix(range);

	if (prefix < 0 || moat_nl_put_addr(msg, type, &range->first))
		return -1;
	return nla_put_u8(msg, type + 1, prefix);
}

/** moat_nl_put_selector() - append a selector, if any; 0 or a negative number */
int moat_nl_put_selector(struct nl_msg *msg, int type, const struct moat_selector *sel)
{
	struct nlattr *nest;

	if (!sel->local.first.len)
		return 0;
	nest = nla_nest_start(msg, type | NLA_F_NESTED);
	if (!nest || put_network(msg, MOAT_A_SELECTOR_LOCAL_ADDR, &sel->local) ||
	    put_network(msg, MOAT_A_SELECTOR_REMOTE_ADDR, &sel->remote) ||
	    (sel->protocol && nla_put_u8(msg, MOAT_A_SELECTOR_PROTOCOL, sel->protocol)) ||
	    put_ports(msg, MOAT_A_SELECTOR_LOCAL_PORT_MIN, sel->local_port) ||
	    put_ports(msg, MOAT_A_SELECTOR_REMOTE_PORT_MIN, sel->remote_port))
		return -1;
	return nla_nest_end(msg, nest);
}

static void get_ports(uint16_t port[2], struct nlattr **tb, int min)
{
	port[0] = tb[min] ? nla_get_u16(tb[min]) : 0;
	port[1] = tb[min + 1] ? nla_get_u16(tb[min + 1]) : 65535;
}

static int get_network(struct moat_range *range, struct nlattr **tb, int type)
{
	unsigned int prefix, i;

	if (!tb[type] || !tb[type + 1] || moat_nl_get_addr(&range->first, tb[type]))
		return -EBADMSG;
	prefix = nla_get_u8(tb[type + 1]);
	if (prefix > range->first.len * 8U)
		return -EBADMSG;
	range->last = range->first;
	for (i = prefix; i < range->first.len * 8U; i++) {
		range->first.bytes[i / 8] &= ~(0x80 >> i % 8);
		range->last.bytes[i / 8] |= 0x80 >> i % 8;
	}
	return 0;
}

/** moat_nl_get_selector() - read a selector; 0 or -EBADMSG */
int moat_nl_get_selector(struct moat_selector *sel, struct nlattr *attr)
{
	static const struct nla_policy policy[MOAT_A_SELECTOR_MAX + 1] = {
		[MOAT_A_SELECTOR_LOCAL_PREFIX] = { .type = NLA_U8 },
		[MOAT_A_SELECTOR_REMOTE_PREFIX] = { .type = NLA_U8 },
		[MOAT_A_SELECTOR_PROTOCOL] = { .type = NLA_U8 },
		[MOAT_A_SELECTOR_LOCAL_PORT_MIN] = { .type = NLA_U16 },
		[MOAT_A_SELECTOR_LOCAL_PORT_MAX] = { .type = NLA_U16 },
		[MOAT_A_SELECTOR_REMOTE_PORT_MIN] = { .type = NLA_U16 },
		[MOAT_A_SELECTOR_REMOTE_PORT_MAX] = { .type = NLA_U16 },
	};
	struct nlattr *tb[MOAT_A_SELECTOR_MAX + 1];

	if (parse_nested(tb, MOAT_A_SELECTOR_MAX, attr, policy) ||
	    get_network(&sel->local, tb, MOAT_A_SELECTOR_LOCAL_ADDR) ||
	    get_network(&sel->remote, tb, MOAT_A_SELECTOR_REMOTE_ADDR))
		return -EBADMSG;
	if (tb[MOAT_A_SELECTOR_PROTOCOL])
		sel->protocol = nla_get_u8(tb[MOAT_A_SELECTOR_PROTOCOL]);
	get_ports(sel->local_port, tb, MOAT_A_SELECTOR_LOCAL_PORT_MIN);
	get_ports(sel->remote_port, tb, MOAT_A_SELECTOR_REMOTE_PORT_MIN);
	return 0;
}

/** moat_nl_get_counter() - append one counter to a list; 0 or -EBADMSG */
int moat_nl_get_counter(struct moat_nl_counters *counters, struct nlattr *attr)
{
	static const struct nla_policy policy[MOAT_A_COUNTER_MAX + 1] = {
		[MOAT_A_COUNTER_NAME] = { .type = NLA_STRING },
		[MOAT_A_COUNTER_VALUE] = { .type = NLA_U64 },
	};
	struct nlattr *tb[MOAT_A_COUNTER_MAX + 1];
	struct moat_nl_counter *c;

	if (parse_nested(tb, MOAT_A_COUNTER_MAX, attr, policy) ||
	    !tb[MOAT_A_COUNTER_NAME] || !tb[MOAT_A_COUNTER_VALUE] ||
	    counters->n == MOAT_NL_COUNTERS)
		return -EBADMSG;
	c = &counters->list[counters->n++];
	nla_strlcpy(c->name, tb[MOAT_A_COUNTER_NAME], sizeof(c->name));
	c->value = nla_get_u64(tb[MOAT_A_COUNTER_VALUE]);
	return 0;
}

/** moat_nl_get_counters() - read all counters of @type inside @nest */
int moat_nl_get_counters(struct moat_nl_counters *counters, struct nlattr *nest, int type)
{
	struct nlattr *attr;
	int rest;

	nla_for_each_nested(attr, nest, rest) {
		if (nla_type(attr) == type && moat_nl_get_counter(counters, attr))
			return -EBADMSG;
	}
	return 0;
}

static int put_owner(struct nl_msg *msg, const struct moat_nl_sa *sa)
{
	return sa->owner_len ? nla_put(msg, MOAT_A_SA_OWNER, sa->owner_len, sa->owner)
			     : 0;
}

static int put_name(struct nl_msg *msg, const struct moat_nl_sa *sa, bool owner)
{
	struct nlattr *nest = nla_nest_start(msg, MOAT_A_MAIN_SA | NLA_F_NESTED);

	if (!nest || nla_put_u8(msg, MOAT_A_SA_DIRECTION, sa->direction) ||
	    nla_put_u8(msg, MOAT_A_SA_PROTOCOL, sa->protocol) ||
	    moat_nl_put_addr(msg, MOAT_A_SA_DST, &sa->dst) ||
	    nla_put_u32(msg, MOAT_A_SA_SPI, sa->spi) || (owner && put_owner(msg, sa)))
		return -1;
	return nla_nest_end(msg, nest);
}

/** moat_nl_put_sa_key() - append what names an SA; 0 or a negative number */
int moat_nl_put_sa_key(struct nl_msg *msg, const struct moat_nl_sa *sa)
{
	return put_name(msg, sa, false);
}

static int put_limit(struct nl_msg *msg, int type, uint64_t value)
{
	return value ? nla_put_u64(msg, type, value) : 0;
}

static int put_algorithms(struct nl_msg *msg, const struct moat_nl_sa *sa)
{
	if (nla_put_u16(msg, MOAT_A_SA_ENC, sa->enc) ||
	    nla_put_u16(msg, MOAT_A_SA_AUTH, sa->auth))
		return -1;
	if (sa->enc_key_len &&
	    nla_put(msg, MOAT_A_SA_ENC_KEY, sa->enc_key_len, sa->enc_key))
		return -1;
	if (sa->auth_key_len &&
	    nla_put(msg, MOAT_A_SA_AUTH_KEY, sa->auth_key_len, sa->auth_key))
		return -1;
	return sa->icv_len ? nla_put_u8(msg, MOAT_A_SA_ICV_LEN, sa->icv_len) : 0;
}

static int put_limits(struct nl_msg *msg, const struct moat_nl_sa *sa)
{
	return put_limit(msg, MOAT_A_SA_SOFT_SECONDS, sa->soft_seconds) ||
	       put_limit(msg, MOAT_A_SA_HARD_SECONDS, sa->hard_seconds) ||
	       put_limit(msg, MOAT_A_SA_SOFT_BYTES, sa->soft_bytes) ||
	       put_limit(msg, MOAT_A_SA_HARD_BYTES, sa->hard_bytes) ||
	       put_limit(msg, MOAT_A_SA_SOFT_PACKETS, sa->soft_packets) ||
	       put_limit(msg, MOAT_A_SA_HARD_PACKETS, sa->hard_packets);
}

/** moat_nl_put_sa() - append an SA with its keys; 0 or a negative number */
int moat_nl_put_sa(struct nl_msg *msg, const struct moat_nl_sa *sa)
{
	struct nlattr *nest = nla_nest_start(msg, MOAT_A_MAIN_SA | NLA_F_NESTED);

	if (!nest || nla_put_u8(msg, MOAT_A_SA_DIRECTION, sa->direction) ||
	    nla_put_u8(msg, MOAT_A_SA_PROTOCOL, sa->protocol) ||
	    nla_put_u32(msg, MOAT_A_SA_SPI, sa->spi) ||
	    moat_nl_put_addr(msg, MOAT_A_SA_SRC, &sa->src) ||
	    moat_nl_put_addr(msg, MOAT_A_SA_DST, &sa->dst) ||
	    (sa->mode && nla_put_u8(msg, MOAT_A_SA_MODE, sa->mode)) ||
	    put_algorithms(msg, sa))
		return -1;
	if ((sa->direction == MOAT_DIRECTION_IN &&
	     nla_put_u32(msg, MOAT_A_SA_REPLAY, sa->replay)) ||
	    (sa->esn && nla_put_flag(msg, MOAT_A_SA_ESN)) ||
	    (sa->policy && nla_put_u32(msg, MOAT_A_SA_POLICY, sa->policy)) ||
	    moat_nl_put_selector(msg, MOAT_A_SA_SELECTOR, &sa->selector) ||
	    (sa->encap_sport &&
	     nla_put_u16(msg, MOAT_A_SA_ENCAP_SPORT, sa->encap_sport)) ||
	    (sa->encap_dport &&
	     nla_put_u16(msg, MOAT_A_SA_ENCAP_DPORT, sa->encap_dport)) ||
	    put_limits(msg, sa) || put_owner(msg, sa) ||
	    (sa->bundle && nla_put_u32(msg, MOAT_A_SA_BUNDLE, sa->bundle)) ||
	    (sa->seq && nla_put_u64(msg, MOAT_A_SA_SEQ, sa->seq)))
		return -1;
	return nla_nest_end(msg, nest);
}

static const struct nla_policy sa_policy[MOAT_A_SA_MAX + 1] = {
	[MOAT_A_SA_DIRECTION] = { .type = NLA_U8 },
	[MOAT_A_SA_PROTOCOL] = { .type = NLA_U8 },
	[MOAT_A_SA_SPI] = { .type = NLA_U32 },
	[MOAT_A_SA_MODE] = { .type = NLA_U8 },
	[MOAT_A_SA_ENC] = { .type = NLA_U16 },
	[MOAT_A_SA_AUTH] = { .type = NLA_U16 },
	[MOAT_A_SA_ICV_LEN] = { .type = NLA_U8 },
	[MOAT_A_SA_REPLAY] = { .type = NLA_U32 },
	[MOAT_A_SA_ESN] = { .type = NLA_FLAG },
	[MOAT_A_SA_POLICY] = { .type = NLA_U32 },
	[MOAT_A_SA_SELECTOR] = { .type = NLA_NESTED },
	[MOAT_A_SA_ENCAP_SPORT] = { .type = NLA_U16 },
	[MOAT_A_SA_ENCAP_DPORT] = { .type = NLA_U16 },
	[MOAT_A_SA_SOFT_SECONDS] = { .type = NLA_U64 },
	[MOAT_A_SA_HARD_SECONDS] = { .type = NLA_U64 },
	[MOAT_A_SA_SOFT_BYTES] = { .type = NLA_U64 },
	[MOAT_A_SA_HARD_BYTES] = { .type = NLA_U64 },
	[MOAT_A_SA_SOFT_PACKETS] = { .type = NLA_U64 },
	[MOAT_A_SA_HARD_PACKETS] = { .type = NLA_U64 },
	[MOAT_A_SA_OWNER] = { .maxlen = MOAT_OWNER_MAX },
	[MOAT_A_SA_BUNDLE] = { .type = NLA_U32 },
	[MOAT_A_SA_STATE] = { .type = NLA_U8 },
	[MOAT_A_SA_SEQ] = { .type = NLA_U64 },
	[MOAT_A_SA_PACKETS] = { .type = NLA_U64 },
	[MOAT_A_SA_BYTES] = { .type = NLA_U64 },
	[MOAT_A_SA_CREATED] = { .type = NLA_U64 },
	[MOAT_A_SA_LAST_USED] = { .type = NLA_U64 },
	[MOAT_A_SA_DRIVER] = { .type = NLA_STRING },
	[MOAT_A_SA_PEER] = { .maxlen = 16 },
	[MOAT_A_SA_MTU] = { .type = NLA_U32 },
	[MOAT_A_SA_ASYNC] = { .type = NLA_U64 },
	[MOAT_A_SA_KEY_BITS] = { .type = NLA_U16 },
};

static uint64_t get_number(const struct nlattr *attr)
{
	if (!attr)
		return 0;
	switch (nla_len(attr)) {
	case 1:
		return nla_get_u8(attr);
	case 2:
		return nla_get_u16(attr);
	case 4:
		return nla_get_u32(attr);
	default:
		return nla_get_u64(attr);
	}
}

static void get_numbers(struct moat_nl_sa *sa, struct nlattr **tb)
{
	sa->direction = get_number(tb[MOAT_A_SA_DIRECTION]);
	sa->protocol = get_number(tb[MOAT_A_SA_PROTOCOL]);
	sa->spi = get_number(tb[MOAT_A_SA_SPI]);
	sa->mode = get_number(tb[MOAT_A_SA_MODE]);
	sa->enc = get_number(tb[MOAT_A_SA_ENC]);
	sa->auth = get_number(tb[MOAT_A_SA_AUTH]);
	sa->icv_len = get_number(tb[MOAT_A_SA_ICV_LEN]);
	sa->replay = get_number(tb[MOAT_A_SA_REPLAY]);
	sa->esn = tb[MOAT_A_SA_ESN] != NULL;
	sa->policy = get_number(tb[MOAT_A_SA_POLICY]);
	sa->encap_sport = get_number(tb[MOAT_A_SA_ENCAP_SPORT]);
	sa->encap_dport = get_number(tb[MOAT_A_SA_ENCAP_DPORT]);
	sa->soft_seconds = get_number(tb[MOAT_A_SA_SOFT_SECONDS]);
	sa->hard_seconds = get_number(tb[MOAT_A_SA_HARD_SECONDS]);
	sa->soft_bytes = get_number(tb[MOAT_A_SA_SOFT_BYTES]);
	sa->hard_bytes = get_number(tb[MOAT_A_SA_HARD_BYTES]);
	sa->soft_packets = get_number(tb[MOAT_A_SA_SOFT_PACKETS]);
	sa->hard_packets = get_number(tb[MOAT_A_SA_HARD_PACKETS]);
	sa->bundle = get_number(tb[MOAT_A_SA_BUNDLE]);
	sa->state = get_number(tb[MOAT_A_SA_STATE]);
	sa->seq = get_number(tb[MOAT_A_SA_SEQ]);
	sa->packets = get_number(tb[MOAT_A_SA_PACKETS]);
	sa->bytes = get_number(tb[MOAT_A_SA_BYTES]);
	sa->created = get_number(tb[MOAT_A_SA_CREATED]);
	sa->last_used = get_number(tb[MOAT_A_SA_LAST_USED]);
	sa->mtu = get_number(tb[MOAT_A_SA_MTU]);
	sa->async = get_number(tb[MOAT_A_SA_ASYNC]);
	sa->key_bits = get_number(tb[MOAT_A_SA_KEY_BITS]);
}

static int get_late(struct moat_nl_sa *sa, struct nlattr *nest)
{
	static const struct nla_policy policy[MOAT_A_LATE_MAX + 1] = {
		[MOAT_A_LATE_FROM] = { .type = NLA_U32 },
		[MOAT_A_LATE_ACCEPTED] = { .type = NLA_U64 },
		[MOAT_A_LATE_REFUSED] = { .type = NLA_U64 },
		[MOAT_A_LATE_DUPLICATE] = { .type = NLA_U64 },
	};
	struct nlattr *tb[MOAT_A_LATE_MAX + 1], *attr;
	struct moat_nl_late *row;
	int rest;

	nla_for_each_nested(attr, nest, rest) {
		if (nla_type(attr) != MOAT_A_SA_LATE)
			continue;
		if (parse_nested(tb, MOAT_A_LATE_MAX, attr, policy) ||
		    sa->n_late == MOAT_NL_LATE_ROWS)
			return -EBADMSG;
		row = &sa->late[sa->n_late++];
		row->from = get_number(tb[MOAT_A_LATE_FROM]);
		row->accepted = get_number(tb[MOAT_A_LATE_ACCEPTED]);
		row->refused = get_number(tb[MOAT_A_LATE_REFUSED]);
		row->duplicate = get_number(tb[MOAT_A_LATE_DUPLICATE]);
	}
	return 0;
}

/** moat_nl_get_sa() - read an SA into zeroed @sa; 0 or -EBADMSG */
int moat_nl_get_sa(struct moat_nl_sa *sa, struct nlattr *attr)
{
	struct nlattr *tb[MOAT_A_SA_MAX + 1];

	if (parse_nested(tb, MOAT_A_SA_MAX, attr, sa_policy) || !tb[MOAT_A_SA_SPI])
		return -EBADMSG;
	get_numbers(sa, tb);
	if ((tb[MOAT_A_SA_SRC] && moat_nl_get_addr(&sa->src, tb[MOAT_A_SA_SRC])) ||
	    (tb[MOAT_A_SA_PEER] && moat_nl_get_addr(&sa->peer, tb[MOAT_A_SA_PEER])) ||
	    (tb[MOAT_A_SA_DST] && moat_nl_get_addr(&sa->dst, tb[MOAT_A_SA_DST])) ||
	    (tb[MOAT_A_SA_SELECTOR] &&
	     moat_nl_get_selector(&sa->selector, tb[MOAT_A_SA_SELECTOR])))
		return -EBADMSG;
	if (tb[MOAT_A_SA_OWNER]) {
		if (nla_len(tb[MOAT_A_SA_OWNER]) > MOAT_OWNER_MAX)
			return -EBADMSG;
		sa->owner_len = nla_len(tb[MOAT_A_SA_OWNER]);
		memcpy(sa->owner, nla_data(tb[MOAT_A_SA_OWNER]), sa->owner_len);
	}
	if (tb[MOAT_A_SA_DRIVER])
		nla_strlcpy(sa->driver, tb[MOAT_A_SA_DRIVER], sizeof(sa->driver));
	if (get_late(sa, attr))
		return -EBADMSG;
	return moat_nl_get_counters(&sa->drops, attr, MOAT_A_SA_DROP);
}

/* The SA of an answer that holds one. */
static int read_one(struct nlattr *attrs, int len, void *arg)
{
	struct nlattr *attr = nla_find(attrs, len, MOAT_A_MAIN_SA);
	struct moat_nl_sa *sa = arg;

	return attr ? moat_nl_get_sa(sa, attr) : -EBADMSG;
}

struct sa_visit {
	moat_nl_sa_fn fn;
	void *arg;
};

static int visit(struct nlattr *attrs, int len, void *arg)
{
	struct sa_visit *v = arg;
	struct moat_nl_sa sa = { 0 };
	int err = read_one(attrs, len, &sa);

	return err ? err : v->fn(&sa, v->arg);
}

/**
 * moat_nl_spi_alloc() - reserve an SPI for an inbound SA
 * @nl: client
 * @protocol: IPPROTO_ESP or IPPROTO_AH
 * @dst: our outer address
 * @min: lowest acceptable SPI; 0 leaves the range to the kernel
 * @max: highest
 * @spi: takes the SPI; unused, it expires in 60 s
 *
 * Return: 0 or a negative errno
 */
int moat_nl_spi_alloc(struct moat_nl *nl, uint8_t protocol, const struct moat_addr *dst,
		      uint32_t min, uint32_t max, uint32_t *spi)
{
	struct nl_msg *msg = moat_nl_request(nl, MOAT_CMD_SPI_ALLOC, 0);
	struct moat_nl_sa sa = { 0 };
	struct nlattr *nest;
	int err;

	nest = msg ? nla_nest_start(msg, MOAT_A_MAIN_SA | NLA_F_NESTED) : NULL;
	if (!nest || nla_put_u8(msg, MOAT_A_SA_PROTOCOL, protocol) ||
	    moat_nl_put_addr(msg, MOAT_A_SA_DST, dst) || nla_nest_end(msg, nest) < 0 ||
	    (min && nla_put_u32(msg, MOAT_A_MAIN_SPI_MIN, min)) ||
	    (max && nla_put_u32(msg, MOAT_A_MAIN_SPI_MAX, max)))
		return moat_nl_fail(nl, msg, -ENOMEM, "out of memory");
	err = moat_nl_talk(nl, msg, read_one, &sa);
	*spi = sa.spi;
	return err;
}

/** moat_nl_sa_add() - add @n inbound SAs of a pair or bundle, all or none */
int moat_nl_sa_add(struct moat_nl *nl, const struct moat_nl_sa *sas, unsigned int n)
{
	struct nl_msg *msg = moat_nl_request(nl, MOAT_CMD_SA_ADD, 0);
	unsigned int i;

	for (i = 0; msg && i < n; i++) {
		if (moat_nl_put_sa(msg, &sas[i]))
			return moat_nl_fail(nl, msg, -EMSGSIZE,
					    "the request is too long");
	}
	return moat_nl_talk(nl, msg, NULL, NULL);
}

/**
 * moat_nl_sa_get() - read one SA
 * @nl: client
 * @key: direction, protocol, dst and spi name it
 * @sa: takes it
 *
 * Return: 0 or a negative errno
 */
int moat_nl_sa_get(struct moat_nl *nl, const struct moat_nl_sa *key,
		   struct moat_nl_sa *sa)
{
	struct nl_msg *msg = moat_nl_request(nl, MOAT_CMD_SA_GET, 0);

	memset(sa, 0, sizeof(*sa));
	if (msg && moat_nl_put_sa_key(msg, key))
		return moat_nl_fail(nl, msg, -ENOMEM, "out of memory");
	return moat_nl_talk(nl, msg, read_one, sa);
}

/** moat_nl_sa_del() - delete the SA that direction, protocol, dst and spi name */
int moat_nl_sa_del(struct moat_nl *nl, const struct moat_nl_sa *key)
{
	struct nl_msg *msg = moat_nl_request(nl, MOAT_CMD_SA_DEL, 0);

	if (msg && moat_nl_put_sa_key(msg, key))
		return moat_nl_fail(nl, msg, -ENOMEM, "out of memory");
	return moat_nl_talk(nl, msg, NULL, NULL);
}

/** moat_nl_sa_set() - give the SA that @sa names the owner of @sa; 0 or an errno */
int moat_nl_sa_set(struct moat_nl *nl, const struct moat_nl_sa *sa)
{
	struct nl_msg *msg = moat_nl_request(nl, MOAT_CMD_SA_SET, 0);

	if (msg && put_name(msg, sa, true))
		return moat_nl_fail(nl, msg, -ENOMEM, "out of memory");
	return moat_nl_talk(nl, msg, NULL, NULL);
}

/**
 * moat_nl_sa_move() - send to another address and port of the peer
 * @key: direction, protocol, dst and spi of an outbound SA in UDP
 */
int moat_nl_sa_move(struct moat_nl *nl, const struct moat_nl_sa *key,
		    const struct moat_endpoint *peer)
{
	struct nl_msg *msg = moat_nl_request(nl, MOAT_CMD_SA_MOVE, 0);

	if (msg && (moat_nl_put_sa_key(msg, key) ||
		    nla_put(msg, MOAT_A_MAIN_ADDR, peer->addr.len, peer->addr.bytes) ||
		    nla_put_u16(msg, MOAT_A_MAIN_PORT, peer->port)))
		return moat_nl_fail(nl, msg, -ENOMEM, "out of memory");
	return moat_nl_talk(nl, msg, NULL, NULL);
}

/** moat_nl_sa_flush() - delete all SAs and reserved SPIs */
int moat_nl_sa_flush(struct moat_nl *nl)
{
	return moat_nl_simple(nl, MOAT_CMD_SA_FLUSH);
}

/** moat_nl_sa_dump() - call @fn for each SA; it ends the visits by a negative errno */
int moat_nl_sa_dump(struct moat_nl *nl, moat_nl_sa_fn fn, void *arg)
{
	struct sa_visit v = { .fn = fn, .arg = arg };

	return moat_nl_talk(nl, moat_nl_request(nl, MOAT_CMD_SA_GET, NLM_F_DUMP), visit,
			    &v);
}
