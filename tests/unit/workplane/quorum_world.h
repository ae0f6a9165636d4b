/* SPDX-License-Identifier: Apache-2.0 */
/* Pods: three replicas of one workload in one process, each with its own disk, on the real clock.
 * What they send arrives in a later turn of the loop. */
#pragma once

#include "workplane/quorum.h"

enum {
	PODS = 3,
	PODS_WAIT_MS = 20 * 1000,
};

struct world;

struct pod {
	struct world *world;
	uint32_t ordinal, epoch;
	struct quorum *quorum; /* NULL: it is down */
	char dir[64];
};

struct world {
	struct loop *loop;
	struct pod pods[PODS];
	size_t on_the_way; /* letters */
	bool changed;
	bool answered;
	struct quorum_answer answer;
};

int world_setup(void **state); /* for cmocka; all have started */
int world_teardown(void **state);
void world_run_until(struct world *world, bool (*reached)(const struct world *world));

/* One leads, all that run know it, and all of the group vote. */
bool world_agrees(const struct world *world);
struct pod *world_leader(struct world *world); /* there must be one */

void pod_start(struct pod *pod);
void pod_stop(struct pod *pod);
void pod_wipe(struct pod *pod); /* its disk, while it is down */
size_t pod_voters(const struct pod *pod);

/* For quorum_propose() and the like, with the world as user: answered, answer. */
void world_on_answer(void *user, const struct quorum_answer *answer);

/* What comes of writing "name" = @value at @pod; what is read there must be @value. */
struct quorum_answer pod_put(struct pod *pod, const char *value);
void pod_assert_value(struct pod *pod, const char *value);
