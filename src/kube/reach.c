/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/reach.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kube/member.h"
#include "kube/workload.h"
#include "service/policy.h"

enum {
	IP4_BITS = 32,
	IP6_BITS = 128,
	DECIMAL = 10,
	FIELD_MAX = 64, /* "annotations[magik.io/...]" */
};

static const char *const keys[] = {KUBE_ALLOW, KUBE_DENY, KUBE_PREFER, KUBE_EGRESS};

static const char pattern_rule[] =
	"must be patterns WORKLOAD or NAMESPACE/WORKLOAD with commas between: lower case letters, "
	"digits, '-', '.', and '*' and '?' for any characters and for one";

static const char egress_rule[] =
	"must be none, all, or at most 32 networks with commas between, such as 10.0.0.0/8";

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
	const json_t *egress = json_object_get(annotations, KUBE_EGRESS);
	struct kube_egress ignored;

	validate_patterns(check, annotations, KUBE_ALLOW);
	validate_patterns(check, annotations, KUBE_DENY);
	if (prefer)
		(void)check_one_of(check, field_of(KUBE_PREFER).text, prefer, preferences);
	if (!kube_egress_read(json_string_value(egress), &ignored))
		check_invalid(check, field_of(KUBE_EGRESS).text, egress, egress_rule);
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

/* "10.0.0.0/8", or an address alone. */
static bool network_read(const char *item, size_t len, struct kube_network *ret)
{
	char text[ADDR_TEXT_MAX], *slash, *end;
	unsigned long prefix;
	unsigned bits;

	if (len == 0 || len >= sizeof(text))
		return false;
	memcpy(text, item, len);
	text[len] = '\0';
	slash = strchr(text, '/');
	if (slash)
		*slash = '\0';
	if (text[0] == '[' || !addr_parse_ip(text, 0, &ret->ip))
		return false;
	bits = ret->ip.is_v4 ? IP4_BITS : IP6_BITS;
	ret->prefix = (uint8_t)bits;
	if (!slash)
		return true;
	prefix = strtoul(slash + 1, &end, DECIMAL);
	if (strspn(slash + 1, "0123456789") == 0 || *end || prefix > bits)
		return false;
	ret->prefix = (uint8_t)prefix;
	return true;
}

bool kube_egress_read(const char *text, struct kube_egress *ret_egress)
{
	const char *rest = text, *item;
	size_t len;

	*ret_egress = (struct kube_egress){.all = !text || strcmp(text, "all") == 0};
	if (ret_egress->all || strcmp(text, "none") == 0)
		return true;
	while (next_item(&rest, &item, &len))
		if (ret_egress->count == KUBE_EGRESS_MAX ||
		    !network_read(item, len, &ret_egress->list[ret_egress->count++]))
			return false;
	return true;
}
