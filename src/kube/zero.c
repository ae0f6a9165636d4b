/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/zero.h"

#include <stdbool.h>

#include "kube/schema.h"

static bool is_zero(const struct kube_field *field, const json_t *value)
{
	if (json_is_null(value))
		return true;
	if (field->flags & KUBE_FIELD_LIST)
		return json_is_array(value) && json_array_size(value) == 0;
	if (field->flags & KUBE_FIELD_MAP)
		return json_is_object(value) && json_object_size(value) == 0;
	if (field->flags & KUBE_FIELD_OPTIONAL)
		return false;
	switch (field->type) {
	case KUBE_TYPE_STRING:
	case KUBE_TYPE_BYTES:
		return json_is_string(value) && json_string_length(value) == 0;
	case KUBE_TYPE_INT:
		return json_is_integer(value) && json_integer_value(value) == 0;
	case KUBE_TYPE_BOOL:
		return json_is_false(value);
	default:
		return false;
	}
}

static enum kube_visit_answer visit(void *arg, const struct kube_visit *visit)
{
	(void)arg;
	return visit->field && is_zero(visit->field, visit->value) ? KUBE_VISIT_REMOVE
								   : KUBE_VISIT_DESCEND;
}

void kube_remove_zeros(json_t *object, const struct kube_message *message)
{
	kube_schema_walk(object, message, visit, NULL);
}
