/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/strict.h"

#include <string.h>

#include "base/bytes.h"
#include "kube/member.h"
#include "kube/quantity.h"
#include "kube/time.h"

enum {
	PATH_TEXT_MAX = 200, /* of a path that a client chose, in a sentence */
};

static void finding_push(json_t *list, json_t *text)
{
	if (json_array_size(list) < KUBE_STRICT_FINDINGS_MAX)
		kube_push(list, text);
	else
		json_decref(text);
}

static const char *type_word(const json_t *value)
{
	static const char *const words[] = {
		[JSON_OBJECT] = "an object",   [JSON_ARRAY] = "a list",  [JSON_STRING] = "a string",
		[JSON_INTEGER] = "an integer", [JSON_REAL] = "a number", [JSON_TRUE] = "a boolean",
		[JSON_FALSE] = "a boolean",    [JSON_NULL] = "null",
	};
	return words[json_typeof(value)];
}

static bool is_base64(const json_t *value)
{
	struct buf out = {0};
	bool valid =
		json_is_string(value) && base64_decode(bytes_str(json_string_value(value)), &out);
	buf_deinit(&out);
	return valid;
}

static bool is_time(const json_t *value)
{
	struct wall at;
	return json_is_string(value) && kube_time_parse(json_string_value(value), &at);
}

/* NULL when @value is of @type, else what it should be. */
static const char *type_mismatch(enum kube_type type, const json_t *value)
{
	switch (type) {
	case KUBE_TYPE_STRING:
		return json_is_string(value) ? NULL : "a string";
	case KUBE_TYPE_INT:
		return json_is_integer(value) ? NULL : "an integer";
	case KUBE_TYPE_BOOL:
		return json_is_boolean(value) ? NULL : "a boolean";
	case KUBE_TYPE_BYTES:
		return is_base64(value) ? NULL : "base64 text";
	case KUBE_TYPE_RAW:
		return NULL;
	case KUBE_TYPE_TIME:
		return is_time(value) ? NULL : "an RFC 3339 time";
	case KUBE_TYPE_QUANTITY:
		return json_is_string(value) || json_is_number(value) ? NULL : "a quantity";
	case KUBE_TYPE_INTSTR:
		return json_is_integer(value) || json_is_string(value) ? NULL
								       : "an integer or a string";
	case KUBE_TYPE_MESSAGE:
		return json_is_object(value) ? NULL : "an object";
	}
	return NULL;
}

static bool check_value(struct kube_findings *findings, const char *path, enum kube_type type,
			const json_t *value)
{
	const char *wanted = type_mismatch(type, value);
	if (wanted)
		finding_push(findings->mistyped, kube_text("%.*s must be %s, not %s", PATH_TEXT_MAX,
							   path, wanted, type_word(value)));
	return !wanted;
}

static bool check_list(struct kube_findings *findings, const struct kube_visit *visit)
{
	size_t index;
	json_t *element;
	if (!json_is_array(visit->value)) {
		finding_push(findings->mistyped,
			     kube_text("%.*s must be a list, not %s", PATH_TEXT_MAX, visit->path,
				       type_word(visit->value)));
		return false;
	}
	json_array_foreach (visit->value, index, element) {
		if (!check_value(findings, visit->path, visit->field->type, element))
			return false;
	}
	return true;
}

static bool check_map(struct kube_findings *findings, const struct kube_visit *visit)
{
	const char *key;
	json_t *element;
	if (!json_is_object(visit->value)) {
		finding_push(findings->mistyped,
			     kube_text("%.*s must be a map, not %s", PATH_TEXT_MAX, visit->path,
				       type_word(visit->value)));
		return false;
	}
	json_object_foreach (visit->value, key, element) {
		if (!check_value(findings, visit->path, visit->field->type, element))
			return false;
		if (visit->field->type == KUBE_TYPE_QUANTITY && json_is_number(element))
			kube_set_string(visit->value, key, kube_quantity_from_json(element).text);
	}
	return true;
}

static enum kube_visit_answer strict_visit(void *arg, const struct kube_visit *visit)
{
	struct kube_findings *findings = arg;
	bool fits;
	if (!visit->field) {
		finding_push(findings->unknown, kube_text("%.*s", PATH_TEXT_MAX, visit->path));
		return KUBE_VISIT_REMOVE;
	}
	if (visit->field->flags & KUBE_FIELD_LIST)
		fits = check_list(findings, visit);
	else if (visit->field->flags & KUBE_FIELD_MAP)
		fits = check_map(findings, visit);
	else
		fits = check_value(findings, visit->path, visit->field->type, visit->value);
	return fits ? KUBE_VISIT_DESCEND : KUBE_VISIT_SKIP;
}

void kube_strict(json_t *object, const struct kube_message *message, struct kube_findings *ret)
{
	*ret = (struct kube_findings){.unknown = json_array(), .mistyped = json_array()};
	kube_schema_walk(object, message, strict_visit, ret);
}

void kube_findings_deinit(struct kube_findings *findings)
{
	json_decref(findings->unknown);
	json_decref(findings->mistyped);
	*findings = (struct kube_findings){0};
}
