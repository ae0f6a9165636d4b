/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/workload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kube/job.h"
#include "kube/member.h"
#include "kube/validate.h"

/* Kinds that hold a pod template, and where. */
static const struct {
	const char *kind, *spec, *metadata;
} templates[] = {
	{"ReplicaSet", "spec.template.spec", "spec.template.metadata"},
	{"Deployment", "spec.template.spec", "spec.template.metadata"},
	{"StatefulSet", "spec.template.spec", "spec.template.metadata"},
	{"DaemonSet", "spec.template.spec", "spec.template.metadata"},
	{"Job", "spec.template.spec", "spec.template.metadata"},
	{"CronJob", "spec.jobTemplate.spec.template.spec",
	 "spec.jobTemplate.spec.template.metadata"},
};

static bool is_kind(const json_t *object, const char *kind)
{
	return strcmp(kube_member_string(object, "kind"), kind) == 0;
}

const json_t *kube_pod_spec(const json_t *object)
{
	for (size_t i = 0; i < ARRAY_LEN(templates); i++)
		if (is_kind(object, templates[i].kind))
			return kube_member(object, templates[i].spec);
	return kube_member(object, "spec");
}

const char *kube_pod_metadata_path(const json_t *object)
{
	for (size_t i = 0; i < ARRAY_LEN(templates); i++)
		if (is_kind(object, templates[i].kind))
			return templates[i].metadata;
	return "metadata";
}

const json_t *kube_pod_metadata(const json_t *object)
{
	return kube_member(object, kube_pod_metadata_path(object));
}

const json_t *kube_controller_of(const json_t *object)
{
	const json_t *owners = kube_member(object, "metadata.ownerReferences"), *owner;
	size_t index;

	json_array_foreach (owners, index, owner)
		if (kube_member_true(owner, "controller"))
			return owner;
	return NULL;
}

bool kube_says_controlled(struct bytes text)
{
	static const char says[] = "\"controller\":true";

	return text.len && memmem(text.ptr, text.len, says, sizeof(says) - 1) != NULL;
}

struct kube_origin kube_origin_of(const json_t *object)
{
	const json_t *owner = kube_controller_of(object);

	if (owner)
		return (struct kube_origin){kube_member_string(owner, "kind"),
					    kube_member_string(owner, "name")};
	return (struct kube_origin){kube_member_string(object, "kind"),
				    kube_member_string(object, "metadata.name")};
}

char *kube_canonical(const json_t *value, size_t *ret_len)
{
	char *text = json_dumps(value ? value : json_null(),
				JSON_SORT_KEYS | JSON_COMPACT | JSON_ENCODE_ANY);
	if (!text)
		abort(); /* memory is out: a parsed value can always be written */
	*ret_len = strlen(text);
	return text;
}

static int replicas_read(const json_t *object, uint32_t *ret_replicas, struct err *err)
{
	int64_t replicas =
		is_kind(object, "ReplicaSet") ? kube_member_int(object, "spec.replicas", 1) : 1;
	if (is_kind(object, "Job"))
		replicas = kube_job_slots(object);
	if (replicas < 0 || replicas > KUBE_REPLICAS_MAX)
		return err_set_status(err, -EINVAL, 422, "spec.replicas: out of range");
	*ret_replicas = (uint32_t)replicas;
	return 0;
}

int kube_workload_read(const json_t *object, struct kube_workload *ret_workload, struct err *err)
{
	struct kube_workload workload = {
		.kind = kube_member_string(object, "kind"),
		.namespace = kube_member_string(object, "metadata.namespace"),
		.name = kube_member_string(object, "metadata.name"),
		.generation = kube_member_int(object, "metadata.generation", 0),
	};
	if (!is_kind(object, "ReplicaSet") && !is_kind(object, "Pod") && !is_kind(object, "Job"))
		return err_set_status(err, -EINVAL, 422, "not a ReplicaSet, Pod or Job");
	if (!json_is_object(kube_pod_spec(object)) || !*workload.name ||
	    !uid_parse(kube_member_string(object, "metadata.uid"), &workload.uid))
		return err_set_status(err, -EINVAL, 422, "an object without name, uid or spec");
	int r = replicas_read(object, &workload.replicas, err);
	if (r == 0)
		r = kube_priority_read(object, &workload.priority, err);
	if (r)
		return r;
	*ret_workload = workload;
	return 0;
}
