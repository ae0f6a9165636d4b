/* SPDX-License-Identifier: Apache-2.0 */
/* Renewal: when the next certificate is to be asked for, and how often while nobody answers. */
#pragma once

#include <stdint.h>

#include "base/time.h"

enum {
	RENEWAL_RETRY_FIRST_MS = 500, /* the pod may be known here a moment before its record */
	RENEWAL_RETRY_MAX_MS = 60 * 1000,
};

/* When to ask for the next certificate, of one valid from @from to @until: at half of the time that
 * it was meant for, some earlier by @random, so that pods that started together do not ask
 * together. */
struct wall renewal_due(struct wall from, struct wall until, uint64_t random);

/* How long to wait for the next attempt, after one that waited for @ms. */
int64_t renewal_retry_ms(int64_t ms);
