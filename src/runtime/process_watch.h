/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Process watch: told once when a process ends, be it a child or not. Reaps it if it is one.
 */
#pragma once

#include <sys/types.h>

#include "base/attr.h"
#include "io/loop.h"

struct process_watch;

/* -ESRCH if there is no such process any more. */
_must_use_ int process_watch_new(struct loop *loop, pid_t pid, loop_fn ended, void *user,
				 struct process_watch **ret_watch);

/* How it ended, as waitpid() says; from @ended on, and only if it was a child. */
int process_watch_status(const struct process_watch *watch);

/* Accepts NULL; may be called from within @ended. */
void process_watch_free(struct process_watch *watch);
