/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fake backend: a fabric of three machines in memory, for the tests of the gateway.
 *
 * Objects are kept as they are put. Every Deployment and bare Pod gets its pods at once, Pending;
 * FAKE_START_MS later they run. Deleted ones terminate and are gone FAKE_STOP_MS later; a stopped
 * pod of a Deployment is replaced. Node "n4" never is ready.
 *
 * The pods of a Deployment named "stuck" are never placed, those of "lost" are placed on n4, and
 * those of "replaced" both there and elsewhere.
 */
#pragma once

#include <uv.h>

#include "api/api.h"
#include "fake_pki.h"

enum {
	FAKE_START_MS = 100,
	FAKE_STOP_MS = 200,
	FAKE_LOG_LINES = 20,
};

struct fake_backend;

struct fake_backend *fake_backend_new(uv_loop_t *loop, const struct fake_pki *pki);
/* The loop must run once more before the memory is given back. */
void fake_backend_close(struct fake_backend *fake);
struct api_backend fake_backend_table(struct fake_backend *fake);

/* Who is told about changes; NULL: nobody. */
void fake_backend_attach(struct fake_backend *fake, struct api *api);

/* Acknowledge writes with "stored on @stored of 3 keepers". */
void fake_backend_set_stored(struct fake_backend *fake, unsigned stored);

/* Hold back the acknowledgement of writes until called with false. */
void fake_backend_hold_writes(struct fake_backend *fake, bool hold);

size_t fake_backend_object_count(const struct fake_backend *fake);
size_t fake_backend_open_logs(const struct fake_backend *fake);

/* The log of every pod named so never ends and is as large as the client will read. */
#define FAKE_ENDLESS_POD "endless"
