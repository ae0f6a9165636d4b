/* SPDX-License-Identifier: Apache-2.0 */
/* Ready: the pod's readiness, which the host process finds out and the mesh tells the others. */
#pragma once

#include "workplane/mesh.h"
#include "workplane/serve.h"

struct ready;

/* What is told is told again whenever a host process connects. */
struct ready *ready_new(struct serve *serve, struct mesh *mesh);
/* After its serve. NULL is accepted. */
void ready_free(struct ready *ready);
