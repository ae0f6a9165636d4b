/* SPDX-License-Identifier: Apache-2.0 */
/* What the fabric in memory is made of. */
#pragma once

#include <uv.h>

#include "base/list.h"
#include "fake_backend.h"
#include "wire/presence.h"

enum {
	MACHINES = 4, /* the last one is not ready */
	KEEPERS = 3,
	TICK_MS = 20,
	ENDLESS_PIECE = 4096,
};

struct fake_object {
	struct list link;
	struct api_object object; /* strings owned */
	char *json;
};

struct fake_pod {
	struct list link;
	struct presence presence;
	uint64_t version;
	uint64_t start_ms, stop_ms; /* loop time; 0: not planned */
	bool replace;
};

struct fake_event {
	struct list link;
	struct api_event event;
};

struct fake_write {
	struct list link;
	api_done_fn *done;
	void *arg;
	struct api_result result;
};

struct api_stream {
	struct list link;
	struct fake_backend *fake;
	const struct api_stream_sink *sink;
	void *arg;
	struct api_log_options options;
	char container[64];
	bool begun, paused, endless;
	int line;
	/* Of API_STREAM_PORT. */
	uint16_t port;
	struct buf echo;
	bool finished, full;
};

struct fake_backend {
	uv_loop_t *loop;
	uv_timer_t tick;
	const struct fake_pki *pki;
	struct api *api;
	struct node_facts machines[MACHINES];
	struct label labels[MACHINES];
	struct list objects, graves, pods, events, writes, logs;
	uint64_t version, serial;
	uint64_t controlled; /* the version that controllers saw last */
	struct wall due;     /* when they want to see it again */
	unsigned stored, next_machine;
	bool hold;
};

/* fake_refresh.c */
bool fake_refresh(void *self, const struct api_scope *scope, api_refreshed_fn *done, void *arg);
