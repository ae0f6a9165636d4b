/* SPDX-License-Identifier: Apache-2.0 */
/* The schemas inside an OpenAPI document: what `kubectl explain` prints. */
#pragma once

#include <jansson.h>

#include "base/attr.h"

/* {name: schema} of all kinds of one group and version and of the messages they reach. Each field
 * tells its type and what becomes of it here (support.def). */
_must_use_ json_t *kube_openapi_schemas(const char *group, const char *version);
