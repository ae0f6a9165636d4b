/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kubernetes' protobuf envelope, decoded to JSON by the field table of schema.h.
 *
 *   "k8s\0" Unknown{ 1: TypeMeta{ 1: apiVersion, 2: kind }, 2: message bytes, 3: "", 4: "" }
 *
 * Rules of that encoding: a scalar that is not optional is always on the wire and zero means "not
 * set"; an optional one is there only when it is set, zero included.
 */
#pragma once

#include <jansson.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/err.h"

/*
 * Decode @body. The result has apiVersion and kind, and belongs to the caller. Returns 0, or
 * negative errno with err->status 400 (malformed, an unknown field) or 415 (a kind without table).
 */
_must_use_ int kube_protobuf_decode(struct bytes body, json_t **ret_object, struct err *err);
