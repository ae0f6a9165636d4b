/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Patch: a stored object and a PATCH body make a new object.
 *
 *   application/merge-patch+json            RFC 7386
 *   application/json-patch+json             RFC 6902
 *   application/strategic-merge-patch+json  Kubernetes: lists merge by the keys of schema.txt
 *   application/apply-patch+yaml            a configuration for server-side apply (managed.h)
 *
 * The result is as raw as a parsed body: kube_admit() it. When its metadata.resourceVersion differs
 * from the stored object's, the client meant another version: that is a Conflict.
 */
#pragma once

#include <jansson.h>

#include "base/attr.h"
#include "base/err.h"
#include "kube/manifest.h"

enum {
	KUBE_PATCH_OPERATIONS_MAX = 1024, /* of a JSON patch */
};

/* Whether this Content-Type is server-side apply, which may create. */
bool kube_patch_is_apply(const char *content_type);

/* The configuration that is applied: an object, nulls kept; the caller's. As kube_patch(). */
_must_use_ int kube_patch_config(const struct kube_body *body, json_t **ret_config,
				 struct err *err);

/*
 * Patch a copy of @object with a body of the first three types. The caller owns *@ret_object. Lists
 * merge as the object's own kind says; in a kind without table they replace.
 * Returns 0, or negative errno with err->status 400 (malformed), 413, 415 (unknown type) or 422
 * (a path that does not exist, a test that failed).
 */
_must_use_ int kube_patch(const json_t *object, const struct kube_body *body, json_t **ret_object,
			  struct err *err);
