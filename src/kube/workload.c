/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/workload.h"

#include <stdlib.h>
#include <string.h>

#include "kube/member.h"
#include "kube/quantity.h"
#include "kube/validate.h"

/* The label by which Kubernetes names an architecture; the market matches it on its own. */
static const char architecture_label[] = "kubernetes.io/arch";

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

/* What one container asks for: its request, else its limit, else nothing. */
static int64_t container_amount(const json_t *container, const char *name)
{
	const json_t *resources = json_object_get(container, "resources");
	const json_t *value = json_object_get(json_object_get(resources, "requests"), name);
	int64_t amount = 0;
	if (!value)
		value = json_object_get(json_object_get(resources, "limits"), name);
	if (!value)
		return 0;
	int r = strcmp(name, "cpu") == 0 ? kube_quantity_json_milli(value, &amount)
					 : kube_quantity_json_units(value, &amount);
	return r == 0 ? amount : 0;
}

/* Init containers run one after another before the others: the pod needs the larger of both. */
static int64_t pod_amount(const json_t *spec, const char *name)
{
	int64_t sum = 0, init_max = 0;
	size_t index;
	json_t *container;
	json_array_foreach (json_object_get(spec, "containers"), index, container) {
		if (__builtin_add_overflow(sum, container_amount(container, name), &sum))
			sum = INT64_MAX;
	}
	json_array_foreach (json_object_get(spec, "initContainers"), index, container) {
		int64_t amount = container_amount(container, name);
		init_max = amount > init_max ? amount : init_max;
	}
	return sum > init_max ? sum : init_max;
}

static int node_selector_read(const json_t *spec, struct kube_requirements *needs, struct err *err)
{
	json_t *selector = json_object_get(spec, "nodeSelector");
	const char *key;
	json_t *value;
	json_object_foreach (selector, key, value) {
		const char *text = json_string_value(value);
		if (!text)
			return err_set_status(err, -EINVAL, 422, "nodeSelector: not a string");
		if (strcmp(key, architecture_label) == 0) {
			needs->architecture = text;
			continue;
		}
		if (needs->node_selector_count >= KUBE_NODE_SELECTOR_MAX)
			return err_set_status(err, -EINVAL, 422, "nodeSelector: too many terms");
		needs->node_selector[needs->node_selector_count++] =
			(struct kube_pair){.key = key, .value = text};
	}
	return 0;
}

/* The annotation is looked for on the pod's template first, then on the object as a whole. */
static const char *engine_of(const json_t *object, const json_t *spec)
{
	static const char key[] = "magik.io/runtime";
	const json_t *value =
		json_object_get(json_object_get(kube_pod_metadata(object), "annotations"), key);
	if (!value)
		value = json_object_get(kube_member(object, "metadata.annotations"), key);
	if (!value)
		value = json_object_get(spec, "runtimeClassName");
	const char *engine = json_string_value(value);
	return engine && *engine ? engine : NULL;
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
	const json_t *spec = kube_pod_spec(object);
	struct kube_workload workload = {
		.kind = kube_member_string(object, "kind"),
		.namespace = kube_member_string(object, "metadata.namespace"),
		.name = kube_member_string(object, "metadata.name"),
		.generation = kube_member_int(object, "metadata.generation", 0),
	};
	if (!is_deployment(object) && strcmp(workload.kind, "Pod") != 0)
		return err_set_status(err, -EINVAL, 422, "not a Deployment or Pod");
	if (!json_is_object(spec) || !*workload.name ||
	    !uid_parse(kube_member_string(object, "metadata.uid"), &workload.uid))
		return err_set_status(err, -EINVAL, 422, "an object without name, uid or spec");
	int r = replicas_read(object, &workload.replicas, err);
	if (r == 0)
		r = node_selector_read(spec, &workload.requirements, err);
	if (r)
		return r;
	if (is_deployment(object))
		workload.template_hash = kube_template_hash(kube_member(object, "spec.template"));
	workload.requirements.cpu_m = pod_amount(spec, "cpu");
	workload.requirements.memory_bytes = pod_amount(spec, "memory");
	workload.requirements.engine = engine_of(object, spec);
	*ret_workload = workload;
	return 0;
}
