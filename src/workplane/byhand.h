/* SPDX-License-Identifier: Apache-2.0 */
/*
 * By hand: what an agent needs where no machine looks after it. Key, certificate and root come from
 * files, other agents from the command line, local ports lead to other workloads (forward.h), and
 * the application's health is asked at URLs, if there are any; else it counts as ready.
 */
#pragma once

#include "workplane/mesh.h"
#include "workplane/options.h"

struct byhand;

/* Reads the files and opens all sockets: before the agent is confined. -errno with a sentence. */
_must_use_ int byhand_new(struct loop *loop, struct mesh *mesh, const struct options *options,
			  struct err *err, struct byhand **ret_byhand);
/* Before its mesh. NULL is accepted. */
void byhand_free(struct byhand *byhand);
