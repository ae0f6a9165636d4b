/* SPDX-License-Identifier: Apache-2.0 */
/* Field labels: what a field selector may name, of which kind. The same as in Kubernetes. */
#pragma once

#include "kube/resource.h"

/* Which member of an object of @resource @label stands for ("spec.nodeName"); NULL: it is none. */
const char *kube_field_label(const struct kube_resource *resource, const char *label);
