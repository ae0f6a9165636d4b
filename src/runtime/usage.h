/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Usage: what this machine and its containers take of processors and memory, measured when somebody
 * asks; nothing is done while nobody does.
 *
 * A rate needs two readings. The second is that of the question itself when the last was made
 * within USAGE_AGE_MAX_MS; else it is made USAGE_WINDOW_MS later, and whoever asks meanwhile waits
 * for the same one.
 */
#pragma once

#include "base/attr.h"
#include "base/bytes.h"
#include "runtime/pods.h"

struct usage;

enum {
	USAGE_WINDOW_MS = 1000,
	USAGE_AGE_MAX_MS = 60 * 1000,
};

/*
 * @json, borrowed: {"window_ms":N,"cpu_nano":N,"memory_bytes":N,"containers":[{"namespace":"",
 * "pod":"name","container":"","cpu_nano":N,"memory_bytes":N}]}; cpu_nano are billionths of a core.
 */
typedef void usage_fn(void *user, struct bytes json);

_must_use_ struct usage *usage_new(struct pods *pods, struct loop *loop);
/* Whoever still waits is not answered. */
void usage_free(struct usage *usage);

/* @namespace: of which containers to tell; NULL: none; "": all. @done may be called at once. */
void usage_ask(struct usage *usage, const char *namespace, usage_fn *done, void *user);
void usage_forget(struct usage *usage, void *user);
