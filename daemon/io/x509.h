/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether a peer's certificate and signature are good: path validation by GnuTLS. */
#ifndef MOAT_IO_X509_H
#define MOAT_IO_X509_H

#include "ike/ike.h"
#include "wire/view.h"

struct moat_x509;

/** moat_x509_new() - room for what was parsed once, to be used again */
struct moat_x509 *moat_x509_new(void);
/** moat_id_text() - an identity as the configuration writes it */
const char *moat_id_text(uint8_t type, struct moat_view data, char *buf, size_t size);
void moat_x509_free(struct moat_x509 *x509);

/**
 * moat_x509_verify() - do certificate, identity and signature hold?
 * @verify: the question; its credentials are only read
 * @why: for people: what is wrong, and what to do
 * @size: size of @why
 *
 * Context: any thread; one at a time is at work.
 *
 * Return: 0, or -1 with @why.
 */
int moat_x509_verify(struct moat_x509 *x509, const struct moat_verify *verify, char *why,
		     size_t size);

#endif
