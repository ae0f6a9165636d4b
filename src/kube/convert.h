/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conversion between the versions of one kind. An object is stored in the version in which it was
 * written, and read in the version that is asked for.
 */
#pragma once

#include <jansson.h>

#include "kube/resource.h"

/* Bring @object into the version of @resource, if it is of its kind in another one. What the other
 * version cannot say is left out. */
void kube_convert(json_t *object, const struct kube_resource *resource);
