/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Check: one question to what listens in the pod: does it take a connection, does it answer HTTP or
 * gRPC's health service well? What answers is the pod's own, and believed in nothing else.
 *
 *   connect (each address in turn) --> TCP: well
 *                                  --> [TLS] --> HTTP: a status of 200 to 399 is well
 *                                            --> gRPC: SERVING is well
 *
 * Whatever takes longer than the time given is not well. Certificates are not verified, as in
 * Kubernetes: the address is the proof.
 */
#pragma once

#include <stdbool.h>

#include "io/loop.h"
#include "ipc/channel.h"

struct check;

enum {
	CHECK_HOSTS_MAX = 4, /* a pod has two addresses */
	CHECK_REPLY_MAX =
		16 * 1024, /* of what an answer is recognised by; HTTP heads are smaller */
	CHECK_TEXT_MAX = 512,
};

/* @text: why not; borrowed. Not called from within check_new(). The check is gone after it. */
typedef void check_fn(void *user, bool ok, const char *text);

struct check *check_new(struct loop *loop, const Magik__Ipc__CheckRun *run, check_fn *done,
			void *user);

/* No call of @done any more. */
void check_free(struct check *check);
