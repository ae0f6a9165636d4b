/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Orphans: processes of containers whose parent ended before them, and which came to us because we
 * are the subreaper of all that we start.
 *
 * A pid namespace is over only when its last process has been reaped, and until then the first
 * process of a container that was killed does not end. Our own children are left to those who wait
 * for them: they stand in our pid namespace. An agent that holds a pod stands in a deeper one and
 * may be reaped here: nobody asks how it ended.
 */
#pragma once

#include "base/attr.h"
#include "io/loop.h"

struct orphans;

/* Reap from now on, whenever a child ends. */
_must_use_ int orphans_new(struct loop *loop, struct orphans **ret_orphans);
/* Accepts NULL. */
void orphans_free(struct orphans *orphans);

/* Reap those that have ended; to be called, too, when a child of ours has been reaped: it may have
 * hidden one. */
void orphans_reap(void);
