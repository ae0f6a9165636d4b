/* SPDX-License-Identifier: Apache-2.0 */
#include "io/entropy.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

void entropy_fill(void *out, size_t len)
{
	uint8_t *at = out;

	while (len > 0) {
		ssize_t got = getrandom(at, len, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			abort();
		at += got;
		len -= (size_t)got;
	}
}

uint64_t entropy_u64(void)
{
	uint64_t value;

	entropy_fill(&value, sizeof(value));
	return value;
}
