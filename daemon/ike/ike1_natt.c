// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * NAT traversal: RFC 3947, and its drafts 02 and 03 that peers still speak.
 * Vendor ids say who can; NAT-D tells both sides which of them has a NAT before
 * it; then IKE goes on at port 4500, and ESP goes in UDP.
 */
#include "ike/ike1.h"

#include <string.h>

#define VENDOR_LEN	16
#define KEEPALIVE_AFTER (20 * MOAT_SECOND) /* RFC 3948 section 4 */

/* Best first. All that ends in a newline once did so by mistake, and stayed. */
static const struct vendor {
	const char *name;
	uint8_t id[VENDOR_LEN];
	bool draft;
} vendors[] = {
	{ "RFC 3947",
	  { 0x4a, 0x13, 0x1c, 0x81, 0x07, 0x03, 0x58, 0x45, 0x5c, 0x57, 0x28, 0xf2, 0x0e,
	    0x95, 0x45, 0x2f },
	  false },
	{ "draft 03",
	  { 0x7d, 0x94, 0x19, 0xa6, 0x53, 0x10, 0xca, 0x6f, 0x2c, 0x17, 0x9d, 0x92, 0x15,
	    0x52, 0x9d, 0x56 },
	  true },
	{ "draft 02, with a newline",
	  { 0x90, 0xcb, 0x80, 0x91, 0x3e, 0xbb, 0x69, 0x6e, 0x08, 0x63, 0x81, 0xb5, 0xec,
	    0x42, 0x7b, 0x1f },
	  true },
	{ "draft 02",
	  { 0xcd, 0x60, 0x46, 0x43, 0x35, 0xdf, 0x21, 0xf8, 0x7c, 0xfd, 0xb2, 0xfc, 0x68,
	    0xb6, 0xa4, 0x48 },
	  true },
};

#define VENDORS (sizeof(vendors) / sizeof(vendors[0]))

static const struct vendor *spoken(const struct moat_isakmp *sa)
{
	return sa->natt.dialect ? &vendors[sa->natt.dialect - 1] : NULL;
}

bool moat_natt_udp(const struct moat_isakmp *sa)
{
	return sa->natt.here || sa->natt.there;
}

bool moat_natt_draft(const struct moat_isakmp *sa)
{
	const struct vendor *vendor = spoken(sa);

	return vendor && vendor->draft;
}

static void put_vendor(struct moat_build *b, const struct vendor *vendor)
{
	moat_build_payload(b, MOAT_P_VENDOR, moat_view(vendor->id, VENDOR_LEN));
}

void moat_natt_put_vendor(const struct moat_isakmp *sa, struct moat_build *b)
{
	if (sa->tunnel->terms.nat_t == MOAT_NAT_T_OFF)
		return;
	if (sa->initiator) {
		for (unsigned int i = 0; i < VENDORS; i++)
			put_vendor(b, &vendors[i]);
	} else if (spoken(sa)) {
		put_vendor(b, spoken(sa));
	}
}

void moat_natt_take_vendor(const struct moat_ike1_in *in)
{
	struct moat_isakmp *sa = in->sa;

	sa->natt.dialect = 0;
	if (sa->tunnel->terms.nat_t == MOAT_NAT_T_OFF)
		return;
	for (unsigned int i = 0; i < VENDORS && !sa->natt.dialect; i++) {
		struct moat_view id = moat_view(vendors[i].id, VENDOR_LEN);

		if (moat_message_vendor(&in->msg, id).len == VENDOR_LEN)
			sa->natt.dialect = i + 1;
	}
}

/* ---- NAT-D: RFC 3947 section 3.2 ---- */

/* HASH(CKY-I | CKY-R | IP | Port) */
static int discovery(const struct moat_isakmp *sa, const struct moat_addr *addr,
		     uint16_t port, uint8_t hash[MOAT_HASH_LEN_MAX])
{
	uint8_t number[2] = { (uint8_t)(port >> 8), (uint8_t)port };
	struct moat_view parts[] = {
		moat_view(sa->cky.i, MOAT_COOKIE_LEN),
		moat_view(sa->cky.r, MOAT_COOKIE_LEN),
		moat_view(addr->bytes, addr->len),
		moat_view(number, sizeof(number)),
	};

	return moat_hash(sa->alg.hash, parts, 4, hash);
}

static void put_discovery(const struct moat_isakmp *sa, struct moat_build *b,
			  const struct moat_addr *addr, uint16_t port)
{
	uint8_t type = moat_natt_draft(sa) ? MOAT_P_NAT_D_DRAFT : MOAT_P_NAT_D;
	uint8_t hash[MOAT_HASH_LEN_MAX];

	if (discovery(sa, addr, port, hash))
		b->broken = true;
	else
		moat_build_payload(b, type, moat_view(hash, moat_hash_len(sa->alg.hash)));
}

void moat_natt_put_discovery(const struct moat_isakmp *sa, struct moat_build *b)
{
	bool force = sa->tunnel->terms.nat_t == MOAT_NAT_T_FORCE;

	if (!spoken(sa))
		return;
	put_discovery(sa, b, &sa->remote.addr, sa->remote.port);
	/* No packet comes from port 0: to the peer it looks like a NAT. */
	put_discovery(sa, b, &sa->local.addr, force ? 0 : sa->local.port);
}

static bool is(const struct moat_ike1_in *in, const struct moat_payload *p,
	       const struct moat_endpoint *end)
{
	size_t len = moat_hash_len(in->sa->alg.hash);
	uint8_t hash[MOAT_HASH_LEN_MAX];

	return p->body.len == len && !discovery(in->sa, &end->addr, end->port, hash) &&
	       !memcmp(p->body.data, hash, len);
}

/* The first one is where the peer sends to, the others are what it may be. */
void moat_natt_take_discovery(const struct moat_ike1_in *in)
{
	struct moat_natt *natt = &in->sa->natt;
	uint8_t type = moat_natt_draft(in->sa) ? MOAT_P_NAT_D_DRAFT : MOAT_P_NAT_D;
	const struct moat_payload *p;
	unsigned int count = 0;
	bool force = in->sa->tunnel->terms.nat_t == MOAT_NAT_T_FORCE;

	if (!natt->dialect)
		return;
	natt->here = force;
	natt->there = true;
	moat_payload_for_each(p, &in->msg) {
		if (p->type != type)
			continue;
		if (count++ == 0)
			natt->here = force || !is(in, p, &in->local);
		else if (is(in, p, &in->remote))
			natt->there = false;
	}
	/* It said that it can, and then did not. */
	if (count < 2)
		*natt = (struct moat_natt){ 0 };
}

/* ---- NAT-OA: RFC 3947 section 5.2 ---- */

static uint8_t original_type(const struct moat_isakmp *sa)
{
	return moat_natt_draft(sa) ? MOAT_P_NAT_OA_DRAFT : MOAT_P_NAT_OA;
}

static void put_original(const struct moat_isakmp *sa, struct moat_build *b,
			 const struct moat_addr *addr)
{
	uint8_t body[4 + 16] = { addr->len == 4 ? MOAT_ID_IPV4_ADDR : MOAT_ID_IPV6_ADDR };

	memcpy(body + 4, addr->bytes, addr->len);
	moat_build_payload(b, original_type(sa), moat_view(body, 4 + (size_t)addr->len));
}

void moat_natt_put_originals(const struct moat_quick *quick, struct moat_build *b)
{
	const struct moat_isakmp *sa = quick->sa;

	if (quick->pair->tunnel->conf.mode != MOAT_MODE_TRANSPORT || !moat_natt_udp(sa))
		return;
	put_original(sa, b, quick->initiator ? &sa->local.addr : &sa->remote.addr);
	put_original(sa, b, quick->initiator ? &sa->remote.addr : &sa->local.addr);
}

static int original_parse(struct moat_view body, struct moat_addr *addr,
			  struct moat_refusal *no)
{
	size_t len = body.len >= 4 && body.data[0] == MOAT_ID_IPV6_ADDR ? 16 : 4;

	if (body.len != 4 + len ||
	    (body.data[0] != MOAT_ID_IPV4_ADDR && body.data[0] != MOAT_ID_IPV6_ADDR))
		return moat_refuse(no, MOAT_REFUSE_ID,
				   "a NAT-OA payload of %zu octets holds no address",
				   body.len);
	memset(addr, 0, sizeof(*addr));
	addr->len = (uint8_t)len;
	memcpy(addr->bytes, body.data + 4, len);
	return 0;
}

int moat_natt_take_originals(struct moat_ike1_in *in, struct moat_addr of[2], bool *given)
{
	const struct moat_payload *p;
	unsigned int count = 0;

	moat_payload_for_each(p, &in->msg) {
		if (p->type != original_type(in->sa))
			continue;
		if (count == 2)
			return moat_refuse(&in->no, MOAT_REFUSE_PAYLOAD_COUNT,
					   "more than two NAT-OA payloads");
		if (original_parse(p->body, &of[count++], &in->no))
			return -1;
	}
	*given = count == 2 && moat_natt_udp(in->sa);
	return 0;
}

static void seen_as(struct moat_range *range, const struct moat_addr *original,
		    const struct moat_addr *here)
{
	if (moat_addr_equal(&range->first, original) &&
	    moat_addr_equal(&range->last, original) && original->len == here->len)
		range->first = range->last = *here;
}

/* What a host behind a NAT calls itself is not where packets come from. */
int moat_natt_translate(struct moat_ike1_in *in, struct moat_selector *s)
{
	struct moat_addr original[2]; /* of the initiator, of the responder */
	bool given;

	if (moat_natt_take_originals(in, original, &given))
		return -1;
	if (!given)
		return 0;
	if (in->sa->natt.there)
		seen_as(&s->remote, &original[0], &in->sa->remote.addr);
	if (in->sa->natt.here)
		seen_as(&s->local, &original[1], &in->sa->local.addr);
	return 0;
}

/* ---- port 4500 ---- */

void moat_natt_float(struct moat_isakmp *sa)
{
	if (!moat_natt_udp(sa) || sa->marker)
		return;
	sa->local.port = MOAT_NAT_T_PORT;
	sa->remote.port = MOAT_NAT_T_PORT;
	sa->marker = true;
}

/* That leads to this address, or did before the peer's NAT moved it. */
static const struct moat_child *child_in_udp(const struct moat_tunnel *tunnel,
					     const struct moat_addr *remote)
{
	const struct moat_child *child;

	MOAT_PEER_FOREACH_CHILD(child, tunnel) {
		if (child->udp && moat_addr_equal(&child->remote, remote))
			break;
	}
	return child;
}

/*
 * A NAT has no way in at port 500 when the other side begins. What an earlier
 * daemon has left knows the way too.
 */
void moat_natt_begin(struct moat_isakmp *sa)
{
	const struct moat_isakmp *old = moat_isakmp_ready(sa->tunnel);
	const struct moat_child *child = child_in_udp(sa->tunnel, &sa->remote.addr);

	if (sa->tunnel->terms.nat_t == MOAT_NAT_T_OFF)
		return;
	if (old && old->marker) {
		sa->local = old->local;
		sa->remote = old->remote;
		sa->marker = true;
	} else if (!old && child) {
		sa->local.port = child->port;
		sa->remote = child->peer;
		sa->marker = true;
	}
}

static void keepalive(struct moat_ike *ike, void *owner)
{
	static const uint8_t octet = 0xff;
	struct moat_isakmp *sa = owner;
	struct moat_act *act;

	moat_timer_after(ike, &sa->keepalive_timer, KEEPALIVE_AFTER);
	if (moat_isakmp_ready(sa->tunnel) != sa)
		return;
	act = moat_act_new(ike->acts, MOAT_ACT_SEND);
	act->send.local = sa->local;
	act->send.remote = sa->remote;
	act->send.keepalive = true;
	act->send.data = moat_dup(&octet, sizeof(octet));
	act->send.len = sizeof(octet);
}

void moat_natt_established(struct moat_isakmp *sa)
{
	const struct moat_natt *natt = &sa->natt;
	const struct vendor *dialect = spoken(sa);

	if (!dialect || !moat_natt_udp(sa))
		return;
	moat_act_log(sa->ike->acts, MOAT_LOG_INFO, "nat-found", sa->tunnel->conf.name,
		     "%s (%s): IKE goes on at port %u, ESP goes in UDP",
		     natt->here && natt->there ? "both sides are behind a NAT"
		     : natt->here	       ? "we are behind a NAT"
					       : "the peer is behind a NAT",
		     dialect->name, sa->remote.port);
	if (!natt->here)
		return;
	sa->keepalive_timer = (struct moat_timer){ .fire = keepalive, .owner = sa };
	moat_timer_after(sa->ike, &sa->keepalive_timer, KEEPALIVE_AFTER);
}

/* ---- a peer whose NAT gives it another address or port ---- */

/* All that we have with this peer moves along: it is behind one NAT mapping. */
static void follow(struct moat_tunnel *tunnel, const struct moat_endpoint *was,
		   const struct moat_endpoint *to)
{
	struct moat_ike *ike = tunnel->ike;
	struct moat_endpoint from = *was;
	char addr[2][MOAT_ADDR_STRLEN];
	struct moat_child *child;
	struct moat_isakmp *sa;

	if (moat_endpoint_equal(&from, to))
		return;
	TAILQ_FOREACH(sa, &ike->isakmps, link) {
		if (sa->marker && moat_endpoint_equal(&sa->remote, &from) &&
		    moat_tunnel_same_peer(sa->tunnel, tunnel))
			sa->remote = *to;
	}
	MOAT_PEER_FOREACH_CHILD(child, tunnel) {
		if (child->udp && moat_endpoint_equal(&child->peer, &from))
			moat_child_move(child, to);
	}
	moat_act_log(ike->acts, MOAT_LOG_INFO, "nat-moved", tunnel->conf.name,
		     "the peer's NAT moved it from %s port %u to %s port %u",
		     moat_addr_str(&from.addr, addr[0]), from.port,
		     moat_addr_str(&to->addr, addr[1]), to->port);
}

bool moat_natt_may_move(const struct moat_isakmp *sa)
{
	return sa->natt.dialect && (sa->natt.there || sa->marker || !sa->initiator);
}

void moat_natt_moved(const struct moat_ike1_in *in)
{
	struct moat_isakmp *sa = in->sa;
	struct moat_endpoint from = sa->remote;

	sa->local = in->local;
	sa->remote = in->remote;
	sa->marker = in->marker;
	if (sa->state == MOAT_QM_IDLE)
		follow(sa->tunnel, &from, &in->remote);
}

void moat_natt_mapping(struct moat_ike *ike, const struct moat_event *event)
{
	struct moat_child *child =
		moat_child_find(ike, event->mapping.policy, MOAT_DIRECTION_IN,
				event->mapping.protocol, event->mapping.spi);

	if (child && child->udp)
		follow(child->pair->tunnel, &child->peer, &event->mapping.peer);
}
