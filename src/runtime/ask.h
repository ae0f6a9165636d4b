/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ask: one question to a running container, as a probe or a hook of its manifest says: a command in
 * it, something for the pod's agent to look at, or only some time.
 */
#pragma once

#include "base/attr.h"
#include "kube/probe.h"
#include "runtime/agent.h"

struct ask;
struct container;

/* @rule is borrowed, and is not KUBE_PROBE_NONE. Answered once, never from within this call, unless
 * freed before; it is gone when @done is called. */
_must_use_ struct ask *ask_new(struct container *container, const struct kube_probe *rule,
			       agent_fn *done, void *user);
/* No answer any more; a command that still runs is ended. NULL is accepted. */
void ask_free(struct ask *ask);
