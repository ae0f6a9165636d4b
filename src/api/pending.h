/* SPDX-License-Identifier: Apache-2.0 */
/* Pending: why a pod that no machine has taken yet has to wait, as far as its claims say. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "api/backend.h"

/* Append the sentence for the pods of @object, a stored Pod or workload; false: its claims are no
 * reason. */
bool pending_explain(const struct api_backend *backend, const json_t *object, struct buf *ret);
