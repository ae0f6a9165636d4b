/* SPDX-License-Identifier: Apache-2.0 */
/* The kinds of patch.h, one file each. They change @object in place; its owner stays. */
#pragma once

#include <jansson.h>

#include "base/attr.h"
#include "base/err.h"
#include "kube/schema.h"

enum {
	KUBE_PATCH_LIST_MAX =
		1024, /* elements of a list merged by key: merging looks at all pairs */
};

/* RFC 6902: @operations is an array. An operation that fails leaves the earlier ones done. */
_must_use_ int kube_patch_json(json_t *object, const json_t *operations, struct err *err);

/* Strategic merge along @message; NULL: no table, as RFC 7386. */
_must_use_ int kube_patch_strategic(json_t *object, const json_t *patch,
				    const struct kube_message *message, struct err *err);
