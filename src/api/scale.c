/* SPDX-License-Identifier: Apache-2.0 */
/* Scale: the subresource that says how many replicas there are to be. */
#include "api/update.h"
#include "kube/deployment.h"
#include "kube/member.h"

json_t *scale_of_current(const struct current *current)
{
	return kube_scale(current->json, 0);
}

json_t *scale_apply(struct call *call, const struct current *current, const json_t *scale)
{
	static const char *const kept[] = {"uid", "resourceVersion"};
	const json_t *replicas = kube_member(scale, "spec.replicas");
	json_t *object, *metadata;

	if (replicas && !json_is_integer(replicas)) {
		call_fail(call, KUBE_REASON_BAD_REQUEST, "spec.replicas must be a number");
		return NULL;
	}
	object = json_deep_copy(current->json);
	kube_set_int(json_object_get(object, "spec"), "replicas", json_integer_value(replicas));
	/* The version that the client names is that of the object. */
	metadata = json_object_get(object, "metadata");
	for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
		json_t *value = json_object_get(json_object_get(scale, "metadata"), kept[i]);

		if (value)
			kube_set(metadata, kept[i], json_incref(value));
	}
	return object;
}
