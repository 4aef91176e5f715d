/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two cores in one process: virtual time, a network that loses, repeats and
 * reorders, a kernel that keeps SAs and policies, keys and Diffie-Hellman
 * workers. All that happens follows from one seed.
 */
#ifndef MOAT_SIM_H
#define MOAT_SIM_H

#include "ike/ike.h"
#include "ike/keys.h"

#define SIM_NETS_MAX 4

/*
 * A NAT that masquerades changes address and ports, and has no way in but what
 * it has mapped; one that forwards changes the address alone.
 */
enum sim_nat { SIM_NAT_NONE, SIM_NAT_MASQUERADE, SIM_NAT_FORWARD };

/**
 * struct sim_options - one run
 * @seed: of everything random
 * @loss: percent of datagrams lost, of @duplicate repeated, of @reorder late
 * @aggressive: aggressive mode for main mode
 * @v6: gateways and networks by IPv6
 * @nets: networks on each side; every pair of them is a policy
 * @ike: phase 1 algorithms of each side; NULL for a fast default
 * @esp: phase 2 algorithms of each side
 * @ah: of both sides; with @esp AH over ESP
 * @protocol: of the traffic, with @ports on each side (lowest and highest)
 * @psk: of each side
 * @id: what each side calls itself, instead of its address
 * @auth: method of authentication, 0 for a pre-shared key
 * @cert: of each side, in selftests/certs; NULL for gw-a and gw-b; @key likewise
 * @more: further lines of each side's configuration; NULL for ca = "ca.pem"
 * @start: of each side
 * @ike_lifetime: seconds, likewise @lifetime; @shorter: the latter of side 1,
 *	@shorter_ike its ike_lifetime, @shorter_bytes its lifebytes
 * @dpd: seconds of silence before the peer is asked, 0 for never
 * @dpd_timeout: seconds of silence before it is dead
 * @traffic: one packet each way per policy every so many ms; 0 for none
 * @one_way: only side 0 sends
 * @split: a tunnel for each local network instead of one for all
 * @nat: what stands before each side
 * @transport: transport mode, so one network on each side: its host
 * @nat_t: of both sides, as configured; off when nothing is said
 * @whole: a side that does not have IKE fragmentation
 * @ranges: networks are ranges of addresses that are no subnets
 * @other_nets: the networks that side 1 has for side 0 are others
 * @narrow: side 1 has wider networks than side 0, and narrow = true; its peer's, or
 *	(@narrow_local) its own
 * @spare: side 0 has another address of side 1 first, where nobody answers
 * @also: a side has this address of the other one too, as its second one
 * @verbose: print what happens
 */
struct sim_options {
	uint64_t seed;
	unsigned int loss;
	unsigned int duplicate;
	unsigned int reorder;
	bool aggressive;
	bool v6;
	unsigned int nets;
	const char *ike[2];
	const char *esp[2];
	const char *ah;
	uint8_t protocol;
	uint16_t ports[2][2];
	const char *psk[2];
	const char *id[2];
	uint16_t auth;
	const char *cert[2];
	const char *key[2];
	const char *more[2];
	enum moat_start start[2];
	uint32_t ike_lifetime;
	uint32_t dpd;
	uint32_t dpd_timeout;
	uint32_t lifetime;
	uint32_t shorter;
	uint32_t shorter_ike;
	uint64_t shorter_bytes;
	uint64_t lifebytes;
	unsigned int traffic;
	bool one_way;
	bool split;
	enum sim_nat nat[2];
	bool transport;
	enum moat_nat_t nat_t[2];
	bool whole[2];
	bool ranges;
	bool other_nets;
	bool narrow;
	bool narrow_local;
	bool spare;
	const char *also[2];
	bool verbose;
};

struct sim;

struct sim *sim_new(const struct sim_options *options);
/** sim_free() - free both cores without a word: leaks show */
void sim_free(struct sim *sim);
/** sim_run() - let @ms of virtual time pass */
void sim_run(struct sim *sim, uint64_t ms);
uint64_t sim_now(const struct sim *sim);
struct moat_ike *sim_core(struct sim *sim, int side);
uint64_t sim_random(struct sim *sim, uint64_t below);

void sim_configure(struct sim *sim, int side);
/** sim_unconfigure() - reload with no tunnel */
void sim_unconfigure(struct sim *sim, int side);
/** sim_control() - what the operator asks: MOAT_EV_UP, ..., MOAT_EV_REKEY */
void sim_control(struct sim *sim, int side, enum moat_event_type type);
void sim_up(struct sim *sim, int side);
void sim_down(struct sim *sim, int side);
void sim_clear(struct sim *sim, int side);
void sim_keylog(struct sim *sim, int side, bool on);
void sim_acquire(struct sim *sim, int side, unsigned int policy);
void sim_traffic(struct sim *sim, unsigned int every);
void sim_network(struct sim *sim, unsigned int loss, unsigned int duplicate,
		 unsigned int reorder);
/**
 * sim_filter - shall this message be lost?
 * @from: its sender
 * @exchange: of the wire
 * @nth: of this exchange by this sender, repeated ones counted, from 1
 */
/** sim_lose_policies() - somebody deletes all policies; with @why they stay away */
void sim_lose_policies(struct sim *sim, int side, const char *why);
/** sim_absent() - a side does not have the address that it sends from */
void sim_absent(struct sim *sim, int side, const char *text);
/** sim_flush() - somebody deletes all SAs behind the daemon's back */
void sim_flush(struct sim *sim, int side);
/** sim_fail() - kernel, workers and keys process refuse so many percent */
void sim_fail(struct sim *sim, unsigned int percent);
/** sim_change() - other phase 2 algorithms, from the next configuration on */
void sim_change(struct sim *sim, int side, const char *esp);
/** sim_change_nets() - another number of networks, likewise */
void sim_change_nets(struct sim *sim, unsigned int nets);
/** sim_change_psk() - reload with another secret */
void sim_change_psk(struct sim *sim, int side, const char *psk);
/** sim_recertify() - reload with another @cert and other lines for what @more was */
void sim_recertify(struct sim *sim, int side, const char *cert, const char *more);
typedef bool (*sim_filter)(int from, uint8_t exchange, unsigned int nth);
void sim_set_filter(struct sim *sim, sim_filter filter);
/** sim_also() - another @also, from the next configuration on */
void sim_also(struct sim *sim, int side, const char *also);
/** sim_readdress() - a side has another address; its core hears of it later */
void sim_readdress(struct sim *sim, int side, const char *addr);
/** sim_unknown() - a packet from an address had an SPI that a side does not have */
void sim_unknown(struct sim *sim, int side, const char *from, uint32_t spi);
/** sim_reboot() - a side forgets everything and is configured afresh */
void sim_reboot(struct sim *sim, int side);
/** sim_jump() - the clock of a side's daemon jumps */
void sim_jump(struct sim *sim, int side, int64_t ms);
/** sim_crash() - a side's daemon is gone; its kernel goes on */
void sim_crash(struct sim *sim, int side);
/** sim_restart() - a new daemon comes, and finds what the kernel has */
void sim_restart(struct sim *sim, int side);
/** sim_inject() - a datagram that seems to come from the other side, now */
void sim_inject(struct sim *sim, int to, const uint8_t *data, size_t len);
/** sim_inject_from() - a datagram from any address */
void sim_inject_from(struct sim *sim, int to, const char *from, const uint8_t *data,
		     size_t len);

/** sim_forget_ivs() - from now on a side keeps few IVs, as strongSwan does */
void sim_forget_ivs(struct sim *sim, int side);
/** sim_forgot() - how many messages it could not read or write for that */
unsigned int sim_forgot(const struct sim *sim, int side);

/** sim_rebind() - the NAT before a side gives it another address and ports */
void sim_rebind(struct sim *sim, int side);
/** sim_inject_at() - a datagram to 4500 from the public address and any port */
void sim_inject_at(struct sim *sim, int to, uint16_t port, const uint8_t *data,
		   size_t len);
/** sim_spoil() - change octets in all datagrams: an old dialect out of a new one */
void sim_spoil(struct sim *sim, const uint8_t *what, size_t len);
/** sim_spoil_by() - the same with the octet at @at, and the bits of @by */
void sim_spoil_by(struct sim *sim, const uint8_t *what, size_t len, size_t at,
		  uint8_t by);

/* What was seen. */
unsigned int sim_keepalives(const struct sim *sim, int side);
/** sim_remote() - where a side believes the other one to be */
struct moat_endpoint sim_remote(struct sim *sim, int side);
/** sim_public() - where datagrams from port 4500 of a side come from */
struct moat_endpoint sim_public(const struct sim *sim, int side);
/** sim_encap() - peer's port of the current SA of a policy, 0 without UDP */
uint16_t sim_encap(const struct sim *sim, int side);

unsigned int sim_sent(const struct sim *sim, int side, uint8_t exchange);
unsigned int sim_logged(const struct sim *sim, int side, const char *name);
/** sim_log_text() - the last line of this name, "" for none */
const char *sim_log_text(const struct sim *sim, int side, const char *name);
/** sim_ladder() - all messages and states of one side, a line each */
const char *sim_ladder(const struct sim *sim, int side);
/** sim_done() - result of the last up or down: 1 ok, 0 failed, -1 none yet */
int sim_done(const struct sim *sim, int side);
unsigned long sim_packets_lost(const struct sim *sim);
unsigned long sim_packets_delivered(const struct sim *sim);
unsigned int sim_count(const struct sim *sim, int side, uint8_t direction);
/** sim_hard_bytes() - after so much an SA of a side ends */
uint64_t sim_hard_bytes(struct sim *sim, int side, uint8_t direction);
unsigned int sim_policies(const struct sim *sim, int side);
/** sim_bared() - how often traffic lost its last policy */
unsigned int sim_bared(const struct sim *sim, int side);
unsigned int sim_reserved(const struct sim *sim, int side);
/** sim_keys_named() - how many keys of ISAKMP SAs were given out */
unsigned int sim_keys_named(const struct sim *sim, int side);
/** sim_key() - the last key that was named */
struct moat_view sim_key(const struct sim *sim, int side);
unsigned int sim_isakmps(struct sim *sim, int side);
/** sim_burden() - how much a side's core keeps */
struct moat_burden sim_burden(struct sim *sim, int side);
const char *sim_state(struct sim *sim, int side);
uint64_t sim_rekeys(struct sim *sim, int side);
/** sim_datagrams() - how many were sent */
unsigned int sim_datagrams(const struct sim *sim);
/** sim_datagram() - the @index-th datagram of all that were sent */
const uint8_t *sim_datagram(const struct sim *sim, unsigned int index, size_t *len,
			    int *to);

/**
 * sim_agree() - do both sides have what the other one needs?
 *
 * Each policy has an outbound SA; its peer has the inbound SA to it, with equal
 * algorithms and keys and the mirrored selector.
 *
 * Return: NULL, or what is wrong.
 */
const char *sim_agree(struct sim *sim);

/**
 * sim_equal() - have both sides the same live SAs, and nothing else?
 *
 * Each outbound SA of either side is the inbound one of the other and the reverse,
 * and sim_agree() has nothing to say.
 */
bool sim_equal(struct sim *sim);

#endif
