/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/patch.h"

#include <string.h>
#include <strings.h>

#include "kube/member.h"
#include "kube/patch_kinds.h"
#include "kube/yaml.h"

enum kind {
	KIND_MERGE,
	KIND_JSON,
	KIND_STRATEGIC,
	KIND_APPLY,
	KIND_UNKNOWN,
};

static const char *const types[] = {
	[KIND_MERGE] = "application/merge-patch+json",
	[KIND_JSON] = "application/json-patch+json",
	[KIND_STRATEGIC] = "application/strategic-merge-patch+json",
	[KIND_APPLY] = "application/apply-patch+yaml",
};

static enum kind kind_of(const char *content_type)
{
	const char *type = content_type ? content_type : "";
	size_t len = strcspn(type, "; \t");
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		if (strlen(types[i]) == len && strncasecmp(types[i], type, len) == 0)
			return (enum kind)i;
	}
	return KIND_UNKNOWN;
}

bool kube_patch_is_apply(const char *content_type)
{
	return kind_of(content_type) == KIND_APPLY;
}

/* RFC 7386: @object and @patch are objects. */
static void patch_merge(json_t *object, const json_t *patch)
{
	const char *key;
	json_t *value;
	json_object_foreach ((json_t *)(uintptr_t)patch, key, value) {
		if (json_is_null(value)) {
			(void)json_object_del(object, key); /* it may not be there */
			continue;
		}
		if (!json_is_object(value)) {
			kube_set(object, key, json_deep_copy(value));
			continue;
		}
		if (!json_is_object(json_object_get(object, key)))
			kube_set(object, key, json_object());
		patch_merge(json_object_get(object, key), value);
	}
}

/* The body as a value, nulls kept: in a patch they delete. */
static int patch_parse(enum kind kind, const struct kube_body *body, json_t **ret, struct err *err)
{
	json_error_t error;
	struct kube_size size;
	json_t *value = NULL;
	if (body->bytes.len > KUBE_MANIFEST_MAX)
		return err_set_status(err, -E2BIG, 413, "the patch is larger than %d bytes",
				      KUBE_MANIFEST_MAX);
	if (kind == KIND_APPLY) {
		int r = kube_yaml_parse(body->bytes, true, NULL, &value, err);
		if (r)
			return r;
	} else {
		const char *text = body->bytes.len ? (const char *)body->bytes.ptr : "";
		value = json_loadb(text, body->bytes.len, JSON_REJECT_DUPLICATES, &error);
		if (!value)
			return err_set_status(err, -EINVAL, 400, "invalid JSON: line %d: %.150s",
					      error.line, error.text);
	}
	kube_measure(value, &size);
	if (size.nodes > KUBE_MANIFEST_NODES_MAX || size.depth > KUBE_MANIFEST_DEPTH_MAX) {
		json_decref(value);
		return err_set_status(err, -E2BIG, 413,
				      "the patch is nested too deeply or too "
				      "large");
	}
	*ret = value;
	return 0;
}

static int patch_run(enum kind kind, json_t *object, const json_t *patch, struct err *err)
{
	if (kind == KIND_JSON && json_is_array(patch))
		return kube_patch_json(object, patch, err);
	if (kind == KIND_JSON || !json_is_object(patch))
		return err_set_status(err, -EINVAL, 400, "the patch is not %s",
				      kind == KIND_JSON ? "a list of operations" : "an object");
	if (kind == KIND_MERGE) {
		patch_merge(object, patch);
		return 0;
	}
	return kube_patch_strategic(object, patch,
				    kube_schema_of(kube_member_string(object, "apiVersion"),
						   kube_member_string(object, "kind")),
				    err);
}

int kube_patch_config(const struct kube_body *body, json_t **ret_config, struct err *err)
{
	json_t *config = NULL;
	int r = patch_parse(KIND_APPLY, body, &config, err);
	if (r)
		return r;
	if (!json_is_object(config)) {
		json_decref(config);
		return err_set_status(err, -EINVAL, 400, "what is applied is not an object");
	}
	*ret_config = config;
	return 0;
}

int kube_patch(const json_t *object, const struct kube_body *body, json_t **ret_object,
	       struct err *err)
{
	enum kind kind = kind_of(body->content_type);
	struct kube_size size;
	json_t *patch = NULL;
	if (kind == KIND_UNKNOWN || kind == KIND_APPLY)
		return err_set_status(err, -EINVAL, 415,
				      "the body of the request was in an unknown format - accepted "
				      "media types include: %s, %s, %s",
				      types[KIND_JSON], types[KIND_MERGE], types[KIND_STRATEGIC]);
	int r = patch_parse(kind, body, &patch, err);
	if (r)
		return r;
	json_t *result = json_deep_copy(object);
	r = patch_run(kind, result, patch, err);
	json_decref(patch);
	kube_measure(result, &size);
	if (r == 0 &&
	    (size.nodes > KUBE_MANIFEST_NODES_MAX || size.depth > KUBE_MANIFEST_DEPTH_MAX))
		r = err_set_status(err, -E2BIG, 413, "the patched object is too large");
	if (r) {
		json_decref(result);
		return r;
	}
	*ret_object = result;
	return 0;
}
