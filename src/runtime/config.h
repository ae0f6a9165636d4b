/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configuration: ConfigMaps and Secrets as containers read them.
 *
 * A snapshot is a JSON object "<kind>/<name>" -> the object as stored, of one namespace. Foreign
 * JSON: a value that is not what it should be is -EINVAL. Pure.
 */
#pragma once

#include <jansson.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/err.h"
#include "runtime/pod_spec.h"

/* The object that @key names, borrowed; NULL when it is not in the snapshot. */
const json_t *config_find(const json_t *snapshot, const struct object_key *key);

/*
 * The content under @key of a ConfigMap or Secret, appended to @ret: 0, -ENOENT when there is none,
 * -EINVAL when it is not readable.
 */
_must_use_ int config_value(const json_t *object, const char *key, struct buf *ret);

/* Call @each for every key. The order is the object's. */
void config_each_key(const json_t *object, void (*each)(void *ctx, const char *key), void *ctx);

/*
 * Whether what @key asks for is there, one key or (@key->key NULL) the object: 0, or -ENOENT with
 * Kubernetes' sentence. What is optional is always there.
 */
_must_use_ int config_check(const json_t *snapshot, const struct object_key *key,
			    const char *namespace, struct err *err);
