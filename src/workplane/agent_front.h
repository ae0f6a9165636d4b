/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The front of an agent as its options have it: the sockets that it inherited, the machine that it
 * asks after names over its control socket, the resolvers of that machine.
 */
#pragma once

#include "base/attr.h"
#include "base/err.h"
#include "io/loop.h"
#include "workplane/agent_group.h"
#include "workplane/mesh.h"
#include "workplane/options.h"
#include "workplane/serve.h"

struct agent_front;

/* Did the host process hand over what a front needs? */
bool agent_front_is_wanted(const struct options *options);

/* What it leads to; all outlive the front. */
struct agent_front_parts {
	struct serve *serve;       /* NULL: no machine */
	struct mesh *mesh;         /* NULL: names are answered, but nothing can be connected to */
	struct agent_group *group; /* NULL: there is none */
};

/* Descriptors are taken over. */
_must_use_ int agent_front_new(struct loop *loop, const struct options *options,
			       const struct agent_front_parts *parts, struct err *err,
			       struct agent_front **ret_front);
/* NULL is accepted. */
void agent_front_free(struct agent_front *front);
