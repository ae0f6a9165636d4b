/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Egress: what pods reach outside, by the links that lead out of them (pod_net.h).
 *
 * The machine passes on what comes from pods, in its own name (masquerade). What it does not pass
 * on: from pod to pod, which is the mesh's, and what nobody in the pod has asked for. A machine
 * that passed nothing on before goes on to pass nothing on for others. All of it is in the
 * machine's namespace, where nothing in a pod can change it.
 *
 * IPv6 is passed on only by machines that do so anyway: to begin with it would end what they learn
 * from routers.
 */
#pragma once

#include "base/attr.h"
#include "base/err.h"
#include "kube/reach.h"

/* Once, before the first pod; what an earlier process has made is made anew. Without it pods reach
 * the machine itself, and nothing beyond. */
_must_use_ int egress_enable(struct err *err);

/* The machine is as it was before egress_enable(), and passes nothing on if it did not then; unless
 * a pod's link is there, whose pod goes on without this process. */
void egress_disable(void);

/* From now on what comes by @link reaches nothing but @egress says, the machine's own addresses
 * included; answers to whoever has asked from outside go through. */
_must_use_ int egress_restrict(const char *link, const struct kube_egress *egress, struct err *err);
/* The link is gone. Nothing happens if it was not restricted. */
void egress_release(const char *link);
