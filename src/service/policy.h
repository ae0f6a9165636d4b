/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policy: who may find a workload and talk to it.
 *
 * The receiver decides, from the caller's verified identity and never from what the caller says of
 * itself; keepers of records decide likewise for whoever looks them up. In this order:
 *
 *   1. who matches a deny pattern is refused;
 *   2. who is of another namespace is refused, unless cross_namespace is set;
 *   3. with allow patterns, who matches none of them is refused, own namespace or not;
 *   4. the rest is admitted.
 *
 * So without a policy a workload talks to its own namespace. A pattern is NAMESPACE/WORKLOAD, or
 * WORKLOAD of the receiver's own namespace; '*' stands for any characters and '?' for one, neither
 * for the '/'.
 */
#pragma once

#include <stdbool.h>

#include "wire/work.h"

/* Is @pattern well-formed: at most one '/', no empty half, nothing but characters of names, '*' and
 * '?', not longer than WORK_PATTERN_MAX? What is not is refused where it is set, and matches nobody
 * where it was received. */
bool policy_pattern_is_valid(const char *pattern);

/* Does @policy of a workload in namespace @own admit the workload @name of @namespace? */
bool policy_admits(const struct service_policy *policy, const char *own, const char *namespace,
		   const char *name);
