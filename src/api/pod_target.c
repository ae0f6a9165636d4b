/* SPDX-License-Identifier: Apache-2.0 */
/* Pod target: which container on which machine a stream is wanted of. */
#include <stdio.h>
#include <string.h>

#include "api/compose.h"
#include "api/gateway.h"

static void fail_container(struct call *call, const struct buf *names, const char *asked)
{
	struct buf sentence = {0};

	if (asked)
		buf_append_format(&sentence, "container %s is not valid for pod %s", asked,
				  call->name);
	else
		buf_append_format(&sentence,
				  "a container name must be specified for pod %s, choose one of: "
				  "[%.*s]",
				  call->name, (int)names->len, (const char *)names->ptr);
	call_fail(call, KUBE_REASON_BAD_REQUEST, buf_cstr(&sentence));
	buf_deinit(&sentence);
}

static bool has_container(const json_t *spec, const char *list, const char *name)
{
	const json_t *container;
	size_t i;

	json_array_foreach (json_object_get(spec, list), i, container) {
		const char *other = json_string_value(json_object_get(container, "name"));

		if (other && strcmp(other, name) == 0)
			return true;
	}
	return false;
}

/* The one asked for, or the only one. False when it was answered with a failure. */
static bool choose_container(struct call *call, const json_t *pod, struct pod_target *target)
{
	const json_t *spec = json_object_get(pod, "spec"), *container;
	const json_t *containers = json_object_get(spec, "containers");
	const char *asked = url_param(&call->url, "container");
	const char *only =
		json_string_value(json_object_get(json_array_get(containers, 0), "name"));
	struct buf names = {0};
	size_t i;

	if (asked && *asked &&
	    (has_container(spec, "containers", asked) ||
	     has_container(spec, "initContainers", asked))) {
		(void)snprintf(target->container, sizeof(target->container), "%s", asked);
		return true;
	}
	if ((!asked || !*asked) && json_array_size(containers) == 1 && only) {
		(void)snprintf(target->container, sizeof(target->container), "%s", only);
		return true;
	}
	json_array_foreach (containers, i, container)
		buf_append_format(&names, "%s%s", i ? " " : "",
				  json_string_value(json_object_get(container, "name")));
	fail_container(call, &names, asked && *asked ? asked : NULL);
	buf_deinit(&names);
	return false;
}

bool pod_target_find(struct call *call, struct pod_target *ret_target)
{
	*ret_target = (struct pod_target){
		.object = compose_one(&call->api->backend, KUBE_PODS, call->namespace, call->name),
	};
	if (!ret_target->object) {
		call_not_found(call);
		return false;
	}
	if (choose_container(call, ret_target->object, ret_target))
		return true;
	pod_target_deinit(ret_target);
	return false;
}

bool pod_target_place(struct call *call, struct api_stream_request *request)
{
	struct pod_place place = {0};

	(void)compose_find_pod(&call->api->backend, call->namespace, call->name, &place);
	if (!place.placed) {
		call_fail(call, KUBE_REASON_BAD_REQUEST,
			  "the pod has not been placed on a machine yet");
		return false;
	}
	request->pod = place.pod;
	request->machine = place.machine;
	return true;
}

void pod_target_deinit(struct pod_target *target)
{
	json_decref(target->object);
	target->object = NULL;
}
