/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What cases with one tunnel over a good network begin and end with. */
#ifndef MOAT_SIM_CASE_H
#define MOAT_SIM_CASE_H

#include "sim.h"
#include "wire/parse.h"

/** sim_plain() - one pair of networks, equal secrets, nothing lost */
struct sim_options sim_plain(void);
/** sim_start() - a run in which side 0 has brought its tunnel up */
struct sim *sim_start(const struct sim_options *o);
/** sim_encryption() - one pair of networks, RSA encrypted nonces of this method */
struct sim_options sim_encryption(uint16_t method);
/** sim_start_lossy() - half a second of sim_start() in which @filter loses messages */
struct sim *sim_start_lossy(const struct sim_options *o, sim_filter filter);
/** sim_lose_main_3() - a filter: the other side does not hear the third message */
bool sim_lose_main_3(int from, uint8_t exchange, unsigned int nth);
/** sim_assert_up() - both are up, with SAs that agree */
void sim_assert_up(struct sim *sim);
/** sim_assert_established() - both are up, with so many SAs each way that agree */
void sim_assert_established(struct sim *sim, unsigned int sas);
/** sim_estrange() - to each other both sides are no Moat: before they meet */
void sim_estrange(struct sim *sim);
/** sim_estrange_to() - to this side alone the other one is no Moat */
void sim_estrange_to(struct sim *sim, int side);
/** sim_start_traffic() - sim_start(), with a packet each way every 20 ms; strangers? */
struct sim *sim_start_traffic(const struct sim_options *o, bool strangers);
/** sim_pair() - the first pair of networks of a side's first tunnel */
struct moat_pair *sim_pair(struct sim *sim, int side);
/** sim_newest() - the ISAKMP SA that a side has made last */
struct moat_isakmp *sim_newest(struct sim *sim, int side);
/** sim_keep_unknown() - a side says nothing of packets with SPIs that it does not have */
void sim_keep_unknown(struct sim *sim, int side);
/** sim_tunnel_conf() - of a side's first tunnel, to change it */
struct moat_tunnel_conf *sim_tunnel_conf(struct sim *sim, int side);
/** sim_occurs() - how often a word stands in a ladder */
unsigned int sim_occurs(const char *ladder, const char *word);
void sim_assert_nothing(struct sim *sim, int side);

/** sim_steady() - two pairs of networks under traffic, for tunnels that last */
struct sim_options sim_steady(uint64_t seed);
/** sim_start_steady() - such a run; what was one too many at its begin has gone */
struct sim *sim_start_steady(const struct sim_options *o);
/** sim_assert_whole() - its tunnel is up by policies that stood all the time, with
 * one pair of SAs for each pair of networks and nothing left of before */
void sim_assert_whole(struct sim *sim);

/**
 * sim_copy() - copy a datagram, to change it
 * @index: as for sim_datagram(); it went to @side
 *
 * Return: its octets
 */
size_t sim_copy(const struct sim *sim, unsigned int index, int side, uint8_t *to,
		size_t size);
/** sim_payloads() - those of a message in clear, or one that was decrypted (@padded) */
void sim_payloads(const uint8_t *message, size_t len, bool padded,
		  struct moat_message *msg);
/** sim_body() - where in a message in clear the first payload of a type has its body */
uint8_t *sim_body(uint8_t *message, size_t len, uint8_t type);

#endif
