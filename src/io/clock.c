/* SPDX-License-Identifier: Apache-2.0 */
#include "io/clock.h"

#include <assert.h>
#include <time.h>

static struct timespec clock_read(clockid_t id)
{
	struct timespec at;
	int r = clock_gettime(id, &at);

	assert(r == 0); /* all of them exist on every kernel we run on */
	return at;
}

static struct mono mono_read(clockid_t id)
{
	struct timespec at = clock_read(id);

	return (struct mono){.us = (int64_t)at.tv_sec * US_PER_S + at.tv_nsec / 1000};
}

struct mono clock_mono(void)
{
	return mono_read(CLOCK_MONOTONIC);
}

struct mono clock_boot(void)
{
	return mono_read(CLOCK_BOOTTIME);
}

struct wall clock_wall(void)
{
	struct timespec at = clock_read(CLOCK_REALTIME);

	return (struct wall){.ms = (int64_t)at.tv_sec * MS_PER_S + at.tv_nsec / 1000000};
}
