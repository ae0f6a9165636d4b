/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/manifest.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "kube/member.h"
#include "kube/protobuf.h"
#include "kube/yaml.h"

enum encoding {
	ENCODING_JSON,
	ENCODING_YAML,
	ENCODING_PROTOBUF,
	ENCODING_UNKNOWN,
};

static const struct {
	const char *type;
	enum encoding encoding;
} encodings[] = {
	{"", ENCODING_JSON},
	{"application/json", ENCODING_JSON},
	{"application/yaml", ENCODING_YAML},
	{"application/x-yaml", ENCODING_YAML},
	{"text/yaml", ENCODING_YAML},
	{"application/vnd.kubernetes.protobuf", ENCODING_PROTOBUF},
};

bool kube_validation_parse(const char *text, enum kube_validation *ret_validation)
{
	static const char *const words[] = {
		[KUBE_VALIDATION_STRICT] = "Strict",
		[KUBE_VALIDATION_WARN] = "Warn",
		[KUBE_VALIDATION_IGNORE] = "Ignore",
	};
	if (!text || !*text) {
		*ret_validation = KUBE_VALIDATION_WARN;
		return true;
	}
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (strcmp(words[i], text) == 0) {
			*ret_validation = (enum kube_validation)i;
			return true;
		}
	}
	return false;
}

/* The type without its parameters decides. */
static enum encoding encoding_of(const char *content_type)
{
	const char *type = content_type ? content_type : "";
	size_t len = strcspn(type, "; \t");
	for (size_t i = 0; i < ARRAY_LEN(encodings); i++) {
		if (strlen(encodings[i].type) == len &&
		    strncasecmp(encodings[i].type, type, len) == 0)
			return encodings[i].encoding;
	}
	return ENCODING_UNKNOWN;
}

static int json_parse(const struct kube_body *body, json_t *warnings, json_t **ret, struct err *err)
{
	json_error_t error;
	const char *text = body->bytes.len ? (const char *)body->bytes.ptr : "";
	json_t *value = json_loadb(text, body->bytes.len, JSON_REJECT_DUPLICATES, &error);
	if (!value && json_error_code(&error) == json_error_duplicate_key &&
	    body->validation != KUBE_VALIDATION_STRICT) {
		if (body->validation == KUBE_VALIDATION_WARN && warnings)
			kube_push(warnings, kube_text("duplicate field: %.120s", error.text));
		value = json_loadb(text, body->bytes.len, 0, &error);
	}
	if (!value)
		return err_set_status(err, -EINVAL, 400, "invalid JSON: line %d: %.150s",
				      error.line, error.text);
	*ret = value;
	return 0;
}

/* Walk all of @value: count it, bound its depth, and take nulls out of objects. */
static int value_settle(json_t *value, size_t depth, size_t *count)
{
	const char *key;
	json_t *member;
	void *next;
	size_t index;
	if (++*count > KUBE_MANIFEST_NODES_MAX || depth > KUBE_MANIFEST_DEPTH_MAX)
		return -E2BIG;
	json_object_foreach_safe(value, next, key, member)
	{
		if (value_settle(member, depth + 1, count) != 0)
			return -E2BIG;
		if (json_is_null(member))
			(void)json_object_del(value, key); /* it is there */
	}
	json_array_foreach (value, index, member) {
		if (value_settle(member, depth + 1, count) != 0)
			return -E2BIG;
	}
	return 0;
}

static int body_parse(const struct kube_body *body, json_t *warnings, json_t **ret, struct err *err)
{
	bool strict = body->validation == KUBE_VALIDATION_STRICT;
	bool silent = body->validation == KUBE_VALIDATION_IGNORE;
	switch (encoding_of(body->content_type)) {
	case ENCODING_JSON:
		return json_parse(body, warnings, ret, err);
	case ENCODING_YAML:
		return kube_yaml_parse(body->bytes, strict, silent ? NULL : warnings, ret, err);
	case ENCODING_PROTOBUF:
		return kube_protobuf_decode(body->bytes, ret, err);
	case ENCODING_UNKNOWN:
		break;
	}
	return err_set_status(err, -EINVAL, 415,
			      "the body of the request was in an unknown format - accepted media "
			      "types include: application/json, application/yaml, "
			      "application/vnd.kubernetes.protobuf");
}

int kube_manifest_parse(const struct kube_body *body, json_t *warnings, json_t **ret_object,
			struct err *err)
{
	json_t *value = NULL;
	size_t count = 0;
	if (body->bytes.len > KUBE_MANIFEST_MAX)
		return err_set_status(err, -E2BIG, 413, "the request body is larger than %d bytes",
				      KUBE_MANIFEST_MAX);
	int r = body_parse(body, warnings, &value, err);
	if (r)
		return r;
	if (value_settle(value, 0, &count) != 0)
		r = err_set_status(err, -E2BIG, 413,
				   "the request body nests deeper than %d levels or holds more "
				   "than %d values",
				   KUBE_MANIFEST_DEPTH_MAX, KUBE_MANIFEST_NODES_MAX);
	else if (!json_is_object(value))
		r = err_set_status(err, -EINVAL, 400, "the request body is not an object");
	if (r) {
		json_decref(value);
		return r;
	}
	*ret_object = value;
	return 0;
}
