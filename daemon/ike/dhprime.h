/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MOAT_IKE_DHPRIME_H
#define MOAT_IKE_DHPRIME_H

#include "ike/alg.h"

/**
 * moat_dh_prime() - prime of a MODP group
 *
 * Return: hexadecimal digits, or NULL for another kind of group.
 */
const char *moat_dh_prime(enum moat_group group);

#endif
