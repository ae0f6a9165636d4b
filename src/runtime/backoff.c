/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/backoff.h"

int64_t backoff_next_ms(struct backoff *backoff, int64_t ran_ms)
{
	int64_t now_ms = backoff->delay_ms;

	if (ran_ms >= BACKOFF_RESET_MS)
		now_ms = 0;
	backoff->delay_ms = now_ms == 0 ? BACKOFF_FIRST_MS : now_ms * 2;
	if (backoff->delay_ms > BACKOFF_MAX_MS)
		backoff->delay_ms = BACKOFF_MAX_MS;
	return now_ms;
}
