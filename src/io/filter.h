/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filter: what a process may still ask of the kernel, for the rest of its life (seccomp).
 *
 * What is not allowed fails with EPERM, so that a library's fallback can work; what could bring
 * privileges or other code back kills. System calls are named by number (SCMP_SYS), so that a name
 * unknown to an older libseccomp is a compile error, not a silent gap.
 *
 * Every filter allows what a program needs to go on running at all (memory, clock, entropy, the
 * loop, its descriptors), a few harmless requests to files, and threads, but neither processes nor
 * namespaces.
 */
#pragma once

#include <stddef.h>

#include <seccomp.h>

#include "base/attr.h"

/* In force from now on, for this thread and those it starts; @allowed beyond what all may. 0, or a
 * negative errno. */
_must_use_ int filter_load(const int *allowed, size_t count);
