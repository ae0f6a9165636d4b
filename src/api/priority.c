/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Priority: the number behind the name of a PriorityClass is written into the pod, or the template
 * of pods, when it is written: machines compare numbers and need not know the class, and a class
 * that changes later changes no pod.
 */
#include <string.h>

#include "api/gateway.h"
#include "kube/member.h"

struct class_search {
	const char *name; /* NULL: the default of the fabric */
	json_t *found;
};

static void match_class(void *arg, const struct api_object *object)
{
	struct class_search *search = arg;
	json_t *json = json_loadb((const char *)object->json.ptr, object->json.len, 0, NULL);
	bool wanted = search->name || kube_member_true(json, "globalDefault");

	if (wanted && !search->found)
		search->found = json_incref(json);
	json_decref(json);
}

static json_t *find_class(const struct api_backend *backend, const char *name)
{
	struct class_search search = {.name = name};

	if (name)
		(void)backend->ops->object(backend->self, "PriorityClass", "", name, match_class,
					   &search);
	else
		backend->ops->objects(backend->self, "PriorityClass", NULL, match_class, &search);
	return search.found;
}

/* The spec of the pods that this object makes; NULL when it makes none. */
static json_t *pod_spec_of(json_t *object, const struct kube_resource *resource)
{
	json_t *spec = kube_member(object, "spec.template.spec");

	if (!spec)
		spec = kube_member(object, "spec.jobTemplate.spec.template.spec");
	if (!spec && resource->id == KUBE_PODS)
		spec = json_object_get(object, "spec");
	return json_is_object(spec) ? spec : NULL;
}

json_t *priority_resolve(struct call *call, json_t *object)
{
	json_t *spec = pod_spec_of(object, call->resource), *class;
	const char *name = kube_member_string(spec, "priorityClassName"), *policy;

	if (!spec || strncmp(name, "system-", 7) == 0)
		return NULL;
	class = find_class(&call->api->backend, *name ? name : NULL);
	if (!class && *name)
		return kube_status(KUBE_REASON_FORBIDDEN,
				   "%s \"%.200s\" is forbidden: no PriorityClass with name %.200s "
				   "was found",
				   call->resource->plural,
				   kube_member_string(object, "metadata.name"), name);
	if (!class) {
		if (json_object_del(spec, "priority") == 0)
			exchange_warning(call->exchange,
					 "spec.priority: has no effect here: the annotation "
					 "magik.io/priority sets the priority");
		return NULL;
	}
	policy = kube_member_string(class, "preemptionPolicy");
	kube_set_missing(spec, "priorityClassName",
			 json_string(kube_member_string(class, "metadata.name")));
	kube_set_int(spec, "priority", kube_member_int(class, "value", 0));
	if (*policy)
		kube_set_missing(spec, "preemptionPolicy", json_string(policy));
	json_decref(class);
	return NULL;
}
