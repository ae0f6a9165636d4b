/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/workload.h"

#include <stdlib.h>
#include <string.h>

#include "kube/member.h"
#include "kube/validate.h"

static bool is_deployment(const json_t *object)
{
	return strcmp(kube_member_string(object, "kind"), "Deployment") == 0;
}

const json_t *kube_pod_spec(const json_t *object)
{
	return kube_member(object, is_deployment(object) ? "spec.template.spec" : "spec");
}

const json_t *kube_pod_metadata(const json_t *object)
{
	return kube_member(object, is_deployment(object) ? "spec.template.metadata" : "metadata");
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
	int64_t replicas = is_deployment(object) ? kube_member_int(object, "spec.replicas", 1) : 1;
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
	if (!is_deployment(object) && strcmp(workload.kind, "Pod") != 0)
		return err_set_status(err, -EINVAL, 422, "not a Deployment or Pod");
	if (!json_is_object(kube_pod_spec(object)) || !*workload.name ||
	    !uid_parse(kube_member_string(object, "metadata.uid"), &workload.uid))
		return err_set_status(err, -EINVAL, 422, "an object without name, uid or spec");
	int r = replicas_read(object, &workload.replicas, err);
	if (r == 0)
		r = kube_priority_read(object, &workload.priority, err);
	if (r)
		return r;
	if (is_deployment(object))
		workload.template_hash = kube_template_hash(kube_member(object, "spec.template"));
	*ret_workload = workload;
	return 0;
}
