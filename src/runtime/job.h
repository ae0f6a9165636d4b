/* SPDX-License-Identifier: Apache-2.0 */
/* Job: blocking work on a thread of libuv's pool, and its end back on the loop. */
#pragma once

#include "io/loop.h"

/* @work runs on a worker thread, then @done on the loop's; both with @arg. */
void job_run(struct loop *loop, void (*work)(void *arg), void (*done)(void *arg), void *arg);
