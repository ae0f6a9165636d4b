/* SPDX-License-Identifier: Apache-2.0 */
/* Missing: the machine is told of a replica of our own workload that has fallen silent, once each
 * time; it knows whom that concerns. */
#pragma once

#include "workplane/mesh.h"
#include "workplane/serve.h"

/* From now on, for as long as both are there. */
void missing_tell(struct mesh *mesh, struct serve *serve);
