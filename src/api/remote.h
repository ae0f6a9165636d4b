/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Remote: what the sessions have in common that clients hold with containers through this gateway,
 * processes and forwarded ports: how many there may be, and the pulse that finds dead ones.
 *
 * Idle policy: a session lasts as long as its client. A client that is blocked, and is not read
 * from for that reason, is asked for a sign of life now and then: the answer does not matter, but a
 * machine that knows nothing of the connection any more refuses the question.
 */
#pragma once

#include "api/gateway.h"

enum {
	/* A session may hold three quarters of a MiB where the client or the process is slow. */
	REMOTES_MAX = 256,
	REMOTES_PER_USER_MAX = 64,
	REMOTE_PULSE_MS = 10000,
};

struct remote {
	struct list link; /* in api->remotes */
	struct api *api;
	char user[API_USER_NAME_MAX];
	void (*ping)(struct remote *remote);
};

/* False: there are too many; the call was answered. */
_must_use_ bool remote_enter(struct remote *remote, struct call *call,
			     void (*ping)(struct remote *remote));
void remote_leave(struct remote *remote);
