/* SPDX-License-Identifier: Apache-2.0 */
#include "market/turn.h"

#include "market/controller.h"

int64_t turn_interval_ms(uint64_t machines)
{
	if (machines < CONTROLLER_RETRY_INTERVAL_MIN_MS / CONTROLLER_RETRY_MS_PER_MACHINE)
		return CONTROLLER_RETRY_INTERVAL_MIN_MS;
	if (machines > CONTROLLER_RETRY_INTERVAL_MAX_MS / CONTROLLER_RETRY_MS_PER_MACHINE)
		return CONTROLLER_RETRY_INTERVAL_MAX_MS;
	return (int64_t)machines * CONTROLLER_RETRY_MS_PER_MACHINE;
}

struct mono turn_after(struct mono at, struct mono now, int64_t interval_ms)
{
	int64_t burst_us = (CONTROLLER_RETRIES_BURST - 1) * interval_ms * (int64_t)US_PER_MS;

	return at.us > now.us - burst_us ? at : (struct mono){now.us - burst_us};
}
