/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The version of moatd and moat. */
#ifndef MOAT_VERSION_H
#define MOAT_VERSION_H

#define MOAT_VERSION "0.1.0"

#endif
