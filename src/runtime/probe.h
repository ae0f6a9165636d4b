/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Probe: asks a running container how it is, as health.h says when, and acts upon the answers: the
 * container's status follows, and one that is dead is ended, for its restart policy to go on from.
 */
#pragma once

#include "base/attr.h"

struct container;
struct probes;

/* A run has begun, or was found again: what its status says of ready and starting is what was known
 * of it, and is from now on written here. NULL: it has no probes, and is ready. */
_must_use_ struct probes *probes_new(struct container *container);
/* The run is over, or is being ended. NULL is accepted. */
void probes_free(struct probes *probes);
