/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenAPI: just enough for kubectl to trust the server with field validation.
 *
 * kubectl looks for a `patch` operation of the object's kind that takes `fieldValidation`; with it,
 * `create` and `apply` leave validation to kube_admit(). /openapi/v2 must answer 200 with an empty
 * body of type application/octet-stream, for clients up to 1.28.
 */
#pragma once

#include <jansson.h>

#include "base/attr.h"

#define KUBE_OPENAPI_CACHE_CONTROL "public, max-age=86400"
#define KUBE_OPENAPI_V2_CONTENT_TYPE "application/octet-stream"

/* GET /openapi/v3: the index, with a hash in each URL so that a new release is fetched anew. */
_must_use_ json_t *kube_openapi_index(void);

/* GET /openapi/v3/<path> (query ignored), @path being "api/v1" or "apis/apps/v1". NULL: 404. */
_must_use_ json_t *kube_openapi_document(const char *path);
