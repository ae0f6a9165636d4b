/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Agent mesh: the mesh of this agent, as its options describe it; of an agent that the host process
 * has started, and of one that is run by hand.
 */
#pragma once

#include "workplane/mesh.h"
#include "workplane/options.h"

/* Is there to be one: was a socket handed over, or a certificate named? */
bool agent_mesh_is_wanted(const struct options *options);

/* -EINVAL with a sentence for options that mean nothing. */
_must_use_ int agent_mesh_new(struct loop *loop, const struct options *options, struct err *err,
			      struct mesh **ret_mesh);

/* SERVICE_NO_ORDINAL: none. */
uint32_t agent_mesh_ordinal(const struct options *options);

/* --prefer. */
_must_use_ int agent_mesh_preference(const struct options *options,
				     enum pick_preference *ret_preference, struct err *err);
