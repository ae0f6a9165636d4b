/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Agent group: the part of this agent in its workload's group (group_part.h), as its options have
 * it: with other agents over the mesh, with the application on a local address.
 */
#pragma once

#include "base/attr.h"
#include "base/err.h"
#include "io/loop.h"
#include "workplane/mesh.h"
#include "workplane/options.h"
#include "workplane/serve.h"

struct agent_group;

enum {
	/* Of fabric time, in seconds: when instances of a replica are counted from (2026-01-01). */
	AGENT_GROUP_TIME_0 = 1767225600,
};

/* --group-dir. */
bool agent_group_is_wanted(const struct options *options);

struct agent_group_config {
	struct loop *loop;
	struct mesh *mesh;
	struct serve *serve; /* NULL: there is no host process to tell */
	/* Nothing but a new process can go on. */
	loop_fn lost;
	void *user;
};

/* Opens all files and sockets: before the agent is confined. -EINVAL with a sentence for options
 * that mean nothing; -EBUSY: another process has the disk still. */
_must_use_ int agent_group_new(const struct agent_group_config *config,
			       const struct options *options, struct err *err,
			       struct agent_group **ret_group);
_must_use_ int agent_group_start(struct agent_group *group, struct err *err);
/* A client of the pod's own on @fd, a connected socket, which is taken over. */
void agent_group_adopt(struct agent_group *group, int fd);
/* Its ordinal is not wanted any more, as the host process has said, and that is not yet so: @done
 * is called, once, when it is, or after @wait_ms. False: there is nothing to wait for. */
_must_use_ bool agent_group_wait_left(struct agent_group *group, int64_t wait_ms, loop_fn done,
				      void *user);
/* Before its mesh; the loop must turn once more. NULL is accepted. */
void agent_group_free(struct agent_group *group);
