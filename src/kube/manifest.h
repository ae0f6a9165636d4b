/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Manifest: the body of a write request, turned into one JSON object.
 *
 * Three encodings are read: JSON, YAML (one document) and Kubernetes' protobuf envelope, which
 * kubectl 1.32 and later uses for `create deployment` and its like. The result owns all its data.
 * JSON nulls are dropped everywhere: to Kubernetes they mean "not set".
 *
 * Limits hold for all encodings, so that a small body cannot pin much memory: an alias in YAML is
 * copied and every copy counts.
 */
#pragma once

#include <jansson.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/err.h"

enum {
	KUBE_MANIFEST_MAX = 1 << 20,     /* bytes of a body: the compatibility contract */
	KUBE_MANIFEST_DEPTH_MAX = 64,    /* nesting; a Pod needs about 12 */
	KUBE_MANIFEST_NODES_MAX = 65536, /* values in one document, aliases expanded */
};

/* What to do with fields nobody knows and with duplicate keys (?fieldValidation=). */
enum kube_validation {
	KUBE_VALIDATION_STRICT, /* refuse: 400 */
	KUBE_VALIDATION_WARN,   /* accept, say so in a warning; Kubernetes' default */
	KUBE_VALIDATION_IGNORE, /* accept silently */
};

struct kube_body {
	struct bytes bytes;
	const char *content_type; /* as received, parameters allowed; NULL or "" means JSON */
	enum kube_validation validation;
};

/* Read the query parameter: NULL and "" mean Warn. False for any other unknown word (400). */
_must_use_ bool kube_validation_parse(const char *text, enum kube_validation *ret_validation);

/*
 * Parse @body into *@ret_object, which the caller owns (json_decref). Always a JSON object.
 *
 * @warnings (a JSON array of strings, may be NULL) receives one entry per tolerated duplicate key.
 * Returns 0, or negative errno with err->status 400 (malformed), 413 (too large) or 415 (unknown
 * content type) and a sentence for the client.
 */
_must_use_ int kube_manifest_parse(const struct kube_body *body, json_t *warnings,
				   json_t **ret_object, struct err *err);
