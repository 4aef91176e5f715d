/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Test data: octets written in hexadecimal, and vectors in JSON files.
 */
#ifndef MOAT_SELFTESTS_UNIT_DATA_H
#define MOAT_SELFTESTS_UNIT_DATA_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/view.h"

#define DATA_MAX 2048

/**
 * struct data - some octets, owned
 */
struct data {
	uint8_t octets[DATA_MAX];
	size_t len;
};

/**
 * data_hex() - read hexadecimal digits; blanks are ignored, anything else fails
 * the test
 */
struct data data_hex(const char *hex);

/**
 * data_view() - look at it
 */
struct moat_view data_view(const struct data *d);

/**
 * data_load() - read selftests/unit/vectors/@name, an array; fails the test if
 * it is missing or empty
 */
json_t *data_load(const char *name);

/**
 * data_field() - octets of a field of a vector
 */
struct data data_field(const json_t *vector, const char *field);

/**
 * data_string() - text of a field of a vector
 */
const char *data_string(const json_t *vector, const char *field);

#endif
