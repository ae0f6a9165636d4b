/* SPDX-License-Identifier: Apache-2.0 */
/* The ports of every pod of the fabric in memory: one that echoes, one that greets and ends, and
 * the others, which refuse. */
#pragma once

#include "fake_internal.h"

enum {
	FAKE_PORT_ECHO = 7,
	FAKE_PORT_GREETING = 13,
	FAKE_PORT_FULL = 256 * 1024, /* waiting for a tick: the client shall stop */
};

/* At a tick, unless it is paused. False: it has ended. A stream may be closed in here. */
bool fake_port_step(struct api_stream *stream);

/* As in struct api_backend_ops. */
bool fake_port_write(void *self, struct api_stream *stream, struct bytes bytes);
void fake_port_finish(void *self, struct api_stream *stream);
