/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hold: the agent as owner of its pod's namespaces.
 *
 * Network, IPC and host name belong to the pod, not to any of its containers: they must outlive a
 * container's restart. The agent makes them (or joins them, when it is itself started again), and
 * keeps them for as long as it lives. The host process pins them by bind mounts as well.
 */
#pragma once

#include "base/attr.h"
#include "base/err.h"
#include "workplane/options.h"

/* Make or join the namespaces, name the host, bring up the loopback device. */
_must_use_ int hold_enter(const struct options *options, struct err *err);
