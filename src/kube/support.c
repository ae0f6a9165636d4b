/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/support.h"

#include <stdio.h>
#include <string.h>

#include "base/attr.h"

static const struct kube_support table[] = {
#define SUPPORT(message_, field_, level_, harmless_, reason_) \
	{                                                     \
		.message = message_,                          \
		.field = field_,                              \
		.level = KUBE_SUPPORT_##level_,               \
		.harmless = harmless_,                        \
		.reason = reason_,                            \
	},
#include "kube/support.def"
#undef SUPPORT
};

const struct kube_support *kube_support_find(const char *message, const char *field)
{
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		const struct kube_support *row = &table[i];
		if (strcmp(row->message, message) == 0 &&
		    (strcmp(row->field, field) == 0 || strcmp(row->field, "*") == 0))
			return row;
	}
	return NULL;
}

const struct kube_support *kube_support_at(size_t index)
{
	return index < ARRAY_LEN(table) ? &table[index] : NULL;
}

bool kube_support_is_asked(const struct kube_support *support, const json_t *value)
{
	char number[32];
	const char *text = "";
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		/* An empty volume source, such as `hostPath: {}`, still asks for that kind. */
		return json_object_size(value) > 0 || support->level == KUBE_SUPPORT_REFUSED;
	case JSON_ARRAY:
		return json_array_size(value) > 0;
	case JSON_STRING:
		text = json_string_value(value);
		break;
	case JSON_INTEGER:
		(void)snprintf(number, sizeof(number), "%lld",
			       (long long)json_integer_value(value));
		text = strcmp(number, "0") == 0 ? "" : number;
		break;
	case JSON_REAL:
	case JSON_TRUE:
		return true;
	case JSON_FALSE:
	case JSON_NULL:
		return false;
	}
	return *text && strcmp(text, support->harmless) != 0;
}
