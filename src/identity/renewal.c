/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/renewal.h"

#include "identity/issue.h"

enum {
	JITTER_PART = 10, /* a tenth of what is left until half-time */
};

struct wall renewal_due(struct wall from, struct wall until, uint64_t random)
{
	int64_t issued_ms = from.ms + CERT_BACKDATE_MS;
	int64_t half_ms = until.ms > issued_ms ? (until.ms - issued_ms) / 2 : 0;

	return (struct wall){issued_ms + half_ms -
			     (int64_t)(random % (uint64_t)(half_ms / JITTER_PART + 1))};
}

int64_t renewal_retry_ms(int64_t ms)
{
	return ms * 2 > RENEWAL_RETRY_MAX_MS ? RENEWAL_RETRY_MAX_MS : ms * 2;
}
