/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clock: the only place that reads one.
 *
 * Everything below io takes the time as an argument. CLOCK_MONOTONIC is also what the event loop's
 * timers count, so deadlines and timers agree.
 */
#pragma once

#include "base/time.h"

/* This machine's monotonic clock. */
struct mono clock_mono(void);

/* The same, but it counts time asleep: for leases and other promises made to other machines. */
struct mono clock_boot(void);

/* This machine's own idea of the date; identity turns it into fabric time. */
struct wall clock_wall(void);
