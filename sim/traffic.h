/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Traffic: what all machines have sent, by type of message, in named windows of time. The same
 * counters as the daemons' own (node_traffic()), so that bench/fabric_bench.py can compare.
 */
#pragma once

#include "base/bytes.h"
#include "node/node.h"

struct world;

enum {
	TRAFFIC_WINDOWS_MAX = 4,
};

struct traffic_window {
	const char *name;
	struct node_traffic sent[MESSAGE_TYPE_COUNT];
	uint64_t handshakes;
};

/* Part of the world; zeroed at its beginning. */
struct traffic {
	struct traffic_window window[TRAFFIC_WINDOWS_MAX];
	size_t count;
	bool open; /* the last one */
};

/* Begin a window; the one before ends. No machine may restart while one is open. */
void traffic_open(struct world *world, const char *name);
void traffic_close(struct world *world);

/* Append a member of a JSON object, with a comma; nothing when there were no windows. */
void traffic_json(const struct world *world, struct buf *out);
