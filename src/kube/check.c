/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kube/member.h"

enum {
	VALUE_TEXT_MAX = 100, /* of a bad value in a sentence */
};

void check_init(struct check *check)
{
	*check = (struct check){.causes = json_array(), .warnings = json_array()};
}

void check_deinit(struct check *check)
{
	json_decref(check->causes);
	json_decref(check->warnings);
	buf_deinit(&check->path);
	*check = (struct check){0};
}

size_t check_enter(struct check *check, const char *format, ...)
{
	char step[320];
	size_t mark = check->path.len;
	va_list args;
	va_start(args, format);
	(void)vsnprintf(step, sizeof(step), format, args);
	va_end(args);
	buf_append_format(&check->path, "%s%s", mark ? "." : "", step);
	return mark;
}

void check_leave(struct check *check, size_t mark)
{
	check->path.len = mark;
}

static void cause_push(struct check *check, const char *reason, const char *path, json_t *message)
{
	if (json_array_size(check->causes) >= CHECK_CAUSES_MAX) {
		json_decref(message);
		return;
	}
	json_t *cause = json_object();
	kube_set_string(cause, "reason", reason);
	kube_set(cause, "message", message);
	kube_set_string(cause, "field", path);
	kube_push(check->causes, cause);
}

static void cause_add(struct check *check, const char *reason, const char *field, json_t *message)
{
	size_t mark = *field ? check_enter(check, "%s", field) : check->path.len;
	cause_push(check, reason, buf_cstr(&check->path), message);
	check_leave(check, mark);
}

static const char *colon(const char *detail)
{
	return *detail ? ": " : "";
}

void check_required(struct check *check, const char *field, const char *detail)
{
	cause_add(check, "FieldValueRequired", field,
		  kube_text("Required value%s%s", colon(detail), detail));
}

void check_invalid(struct check *check, const char *field, const json_t *value, const char *detail)
{
	char *text =
		value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS) : NULL;
	cause_add(check, "FieldValueInvalid", field,
		  kube_text("Invalid value: %.*s%s%s", VALUE_TEXT_MAX, text ? text : "null",
			    colon(detail), detail));
	free(text);
}

void check_forbidden(struct check *check, const char *field, const char *detail)
{
	cause_add(check, "FieldValueForbidden", field, kube_text("Forbidden: %s", detail));
}

void check_duplicate(struct check *check, const char *field, const char *value)
{
	cause_add(check, "FieldValueDuplicate", field,
		  kube_text("Duplicate value: \"%.*s\"", VALUE_TEXT_MAX, value));
}

void check_not_found(struct check *check, const char *field, const char *value)
{
	cause_add(check, "FieldValueNotFound", field,
		  kube_text("Not found: \"%.*s\"", VALUE_TEXT_MAX, value));
}

bool check_one_of(struct check *check, const char *field, const char *value,
		  const char *const *words)
{
	struct buf list = {0};
	for (const char *const *word = words; *word; word++) {
		if (strcmp(*word, value) == 0) {
			buf_deinit(&list);
			return true;
		}
		buf_append_format(&list, "%s\"%s\"", word == words ? "" : ", ", *word);
	}
	cause_add(check, "FieldValueNotSupported", field,
		  kube_text("Unsupported value: \"%.*s\": supported values: %s", VALUE_TEXT_MAX,
			    value, buf_cstr(&list)));
	buf_deinit(&list);
	return false;
}

void check_range(struct check *check, const char *field, const json_t *value, int64_t min,
		 int64_t max)
{
	char detail[96];
	if (!value)
		return;
	int64_t number = json_integer_value(value);
	if (number >= min && number <= max)
		return;
	if (min == 0 && number < 0)
		(void)snprintf(detail, sizeof(detail), "must be greater than or equal to 0");
	else
		(void)snprintf(detail, sizeof(detail), "must be between %lld and %lld, inclusive",
			       (long long)min, (long long)max);
	check_invalid(check, field, value, detail);
}

void check_warn(struct check *check, const char *field, const char *reason)
{
	size_t mark = *field ? check_enter(check, "%s", field) : check->path.len;
	if (json_array_size(check->warnings) < CHECK_WARNINGS_MAX)
		kube_push(check->warnings, kube_text("%.200s: has no effect here: %s",
						     buf_cstr(&check->path), reason));
	check_leave(check, mark);
}

void check_unsupported(struct check *check, const char *path, const char *reason)
{
	cause_push(check, "FieldValueNotSupported", path,
		   kube_text("unsupported field: %s", reason));
}
