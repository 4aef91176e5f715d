// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Entry for libFuzzer: "make fuzz TIME=60".
 */
#include "codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_codec(data, size);
	return 0;
}
