/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of volumes that a container mounts, held in its bundle while the engine makes it: see
 * sub_path.h.
 */
#pragma once

#include "runtime/oci_spec.h"
#include "runtime/policy.h"

struct path container_parts_dir(const char *bundle);

/* Hold all that the container names, each under the number of its mount in inputs->parts_dir. A
 * part of a path of the machine is judged by where that path truly leads. Blocks. */
_must_use_ int container_parts_hold(const struct oci_inputs *inputs, const struct policy *policy,
				    struct err *err);

/* Those that are held no more; it does not matter which were. */
void container_parts_release(const struct container_spec *container, const char *bundle);
