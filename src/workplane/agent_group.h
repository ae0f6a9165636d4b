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

struct agent_group;

/* --group-dir. */
bool agent_group_is_wanted(const struct options *options);

/* Opens all files and sockets: before the agent is confined. @lost is called when nothing but a new
 * process can go on. -EINVAL with a sentence for options that mean nothing. */
_must_use_ int agent_group_new(struct loop *loop, const struct options *options, struct mesh *mesh,
			       loop_fn lost, void *user, struct err *err,
			       struct agent_group **ret_group);
_must_use_ int agent_group_start(struct agent_group *group, struct err *err);
/* Before its mesh; the loop must turn once more. NULL is accepted. */
void agent_group_free(struct agent_group *group);
