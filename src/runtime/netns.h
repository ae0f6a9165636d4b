/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Netns: a thread's visits to other network namespaces. What it opens there stays there; between
 * enter and leave it does nothing else.
 */
#pragma once

#include "base/attr.h"

/* Go into the namespace of descriptor @netns, or (@netns < 0) into a new one. 0 or -errno;
 * @ret_own is for netns_leave(), which closes it. */
_must_use_ int netns_enter(int netns, int *ret_own);
void netns_leave(int own);
