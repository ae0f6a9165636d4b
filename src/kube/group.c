/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/group.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kube/member.h"
#include "kube/statefulset.h"
#include "kube/workload.h"

enum {
	UID_DIGITS = 8,
	/* Before "-group-" and the digits. */
	NAME_MAX_LEN = KUBE_SUBDOMAIN_MAX - 7 - UID_DIGITS,
};

static const char *annotation(const json_t *object, const char *path, const char *key)
{
	const char *text = json_string_value(json_object_get(kube_member(object, path), key));

	return text ? text : "";
}

bool kube_group_is_wanted(const json_t *statefulset)
{
	return strcmp(annotation(statefulset, "metadata.annotations", KUBE_GROUP),
		      KUBE_GROUP_NONE) != 0 &&
	       strcmp(annotation(statefulset, "spec.template.metadata.annotations", KUBE_GROUP),
		      KUBE_GROUP_NONE) != 0;
}

static uint32_t read_epoch(const char *text)
{
	char *end;
	long long epoch = strtoll(text, &end, 10);

	return end != text && *end == '\0' && epoch > 0 && epoch <= KUBE_GROUP_EPOCH_MAX
		       ? (uint32_t)epoch
		       : 0;
}

uint32_t kube_group_recovery(const json_t *statefulset, const char *pod)
{
	const char *text = annotation(statefulset, "metadata.annotations", KUBE_GROUP_RECOVER);
	size_t len = strlen(pod);

	return strncmp(text, pod, len) == 0 && text[len] == ':' ? read_epoch(text + len + 1) : 0;
}

bool kube_group_read(const json_t *pod, struct kube_group *ret_group)
{
	int64_t ordinal = kube_ordinal(kube_member_string(pod, "metadata.name"));
	const char *part = annotation(pod, "metadata.annotations", KUBE_GROUP);
	struct kube_group group = {.birth = strcmp(part, KUBE_GROUP_BIRTH) == 0};

	if ((!group.birth && strcmp(part, KUBE_GROUP_MEMBER) != 0) || !kube_is_ordinal(pod) ||
	    ordinal < 0 || ordinal >= KUBE_GROUP_MEMBERS ||
	    !uid_parse(kube_member_string(kube_controller_of(pod), "uid"), &group.set))
		return false;
	group.ordinal = (uint32_t)ordinal;
	group.epoch = read_epoch(annotation(pod, "metadata.annotations", KUBE_GROUP_EPOCH));
	*ret_group = group;
	return true;
}

struct kube_name kube_group_memory_name(const char *name, const struct uid *set)
{
	struct id_text uid = uid_text(set);
	struct kube_name made;

	(void)snprintf(made.text, sizeof(made.text), "%.*s-group-%.*s", (int)NAME_MAX_LEN, name,
		       (int)UID_DIGITS, uid.text);
	return made;
}
