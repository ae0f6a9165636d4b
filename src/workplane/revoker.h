/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Revoker: whom the machine says that nobody is to trust any more. The host process has judged who
 * says so; an agent, which knows the workload root only, takes its word, as it takes its
 * certificate from it.
 */
#pragma once

#include "workplane/mesh.h"
#include "workplane/serve.h"

struct revoker;

struct revoker *revoker_new(struct serve *serve, struct mesh *mesh);
/* After its serve. NULL is accepted. */
void revoker_free(struct revoker *revoker);
