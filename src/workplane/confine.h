/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Confine: the agent gives up everything but its sockets before it reads its first foreign byte: an
 * empty root, a user that owns nothing, no capabilities, no way to new privileges, a filter.
 */
#pragma once

#include "base/attr.h"
#include "base/err.h"

/* @root: an empty directory, NULL to keep the root (an agent run by hand). */
_must_use_ int confine_enter(const char *root, struct err *err);
