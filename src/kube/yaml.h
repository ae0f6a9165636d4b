/* SPDX-License-Identifier: Apache-2.0 */
/*
 * YAML: one document to JSON, with Kubernetes' reading of plain scalars (YAML 1.1).
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/err.h"

/*
 * Parse exactly one document; a second one is an error. Anchors, aliases and merge keys are read,
 * aliases by copying, within the limits of manifest.h. A duplicate key is refused when @strict,
 * else its last value counts and @warnings (may be NULL) gets a sentence. The caller owns the
 * result. Returns 0 or -EINVAL with err->status 400.
 */
_must_use_ int kube_yaml_parse(struct bytes text, bool strict, json_t *warnings, json_t **ret_value,
			       struct err *err);

/* What a plain (unquoted) scalar means: null, a boolean, a number or a string. */
_must_use_ json_t *kube_yaml_scalar(const char *text);
