/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/reach.h"

#include <stdio.h>
#include <string.h>

#include "kube/member.h"
#include "kube/workload.h"
#include "service/policy.h"

enum {
	FIELD_MAX = 64, /* "annotations[magik.io/...]" */
};

static const char *const keys[] = {KUBE_ALLOW, KUBE_DENY, KUBE_PREFER};

static const char pattern_rule[] =
	"must be patterns WORKLOAD or NAMESPACE/WORKLOAD with commas between: lower case letters, "
	"digits, '-', '.', and '*' and '?' for any characters and for one";

struct field {
	char text[FIELD_MAX];
};

static struct field field_of(const char *key)
{
	struct field field;

	(void)snprintf(field.text, sizeof(field.text), "annotations[%s]", key);
	return field;
}

/* The next item of a list with commas, without spaces around it, as agents read it. */
static bool next_item(const char **rest, const char **ret_item, size_t *ret_len)
{
	const char *item = *rest;
	size_t len;

	if (!item)
		return false;
	item += strspn(item, " \t");
	len = strcspn(item, ",");
	*rest = item[len] == ',' ? item + len + 1 : NULL;
	while (len > 0 && (item[len - 1] == ' ' || item[len - 1] == '\t'))
		len--;
	*ret_item = item;
	*ret_len = len;
	return true;
}

static bool is_pattern(const char *item, size_t len)
{
	char text[WORK_PATTERN_MAX + 1];

	if (len > WORK_PATTERN_MAX)
		return false;
	memcpy(text, item, len);
	text[len] = '\0';
	return policy_pattern_is_valid(text);
}

static void validate_patterns(struct check *check, const json_t *annotations, const char *key)
{
	const json_t *value = json_object_get(annotations, key);
	const char *rest = json_string_value(value), *item;
	size_t len, count = 0;

	while (next_item(&rest, &item, &len)) {
		char detail[64];

		if (!is_pattern(item, len)) {
			check_invalid(check, field_of(key).text, value, pattern_rule);
			return;
		}
		if (++count > WORK_PATTERNS_MAX) {
			(void)snprintf(detail, sizeof(detail), "must have at most %d patterns",
				       WORK_PATTERNS_MAX);
			check_invalid(check, field_of(key).text, value, detail);
			return;
		}
	}
}

static void validate_effective(struct check *check, const json_t *annotations)
{
	static const char *const preferences[] = {"anywhere", "region", "machine", NULL};
	const char *prefer = json_string_value(json_object_get(annotations, KUBE_PREFER));

	validate_patterns(check, annotations, KUBE_ALLOW);
	validate_patterns(check, annotations, KUBE_DENY);
	if (prefer)
		(void)check_one_of(check, field_of(KUBE_PREFER).text, prefer, preferences);
}

static void warn_of_idle(struct check *check, const json_t *annotations)
{
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (json_object_get(annotations, keys[i]))
			check_warn(check, field_of(keys[i]).text,
				   "it belongs to the metadata of a Pod or of a pod template");
}

void kube_validate_reach(struct check *check, const json_t *object)
{
	const json_t *own = json_object_get(object, "metadata");
	const json_t *pods = kube_pod_metadata(object);
	bool is_pod = strcmp(kube_member_string(object, "kind"), "Pod") == 0;
	size_t mark;

	if (pods && (is_pod || pods != own)) {
		mark = check_enter(check, "%s", kube_pod_metadata_path(object));
		validate_effective(check, json_object_get(pods, "annotations"));
		check_leave(check, mark);
	}
	if (is_pod)
		return;
	mark = check_enter(check, "metadata");
	warn_of_idle(check, json_object_get(own, "annotations"));
	check_leave(check, mark);
}

bool kube_reach_crosses(const char *patterns)
{
	return patterns && strchr(patterns, '/');
}
