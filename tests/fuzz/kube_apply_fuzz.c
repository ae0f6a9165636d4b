/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration applied to an object, and managedFields as a client may send them. */
#include <assert.h>

#include "kube/managed.h"
#include "kube/member.h"
#include "kube/patch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const char object_text[] =
	"{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"metadata\":{\"name\":\"web\","
	"\"labels\":{\"a\":\"b\"},\"finalizers\":[\"x\",\"y\"]},\"spec\":{\"replicas\":3,"
	"\"template\":{\"spec\":{\"containers\":[{\"name\":\"a\",\"image\":\"a:1\",\"ports\":[{"
	"\"containerPort\":80}]},{\"name\":\"b\",\"image\":\"b:1\"}]}}}}";

/* Apply as one manager and then as another one, with and without force. */
static void apply_config(const json_t *live, const json_t *config)
{
	const struct kube_resource *resource = kube_resource(KUBE_DEPLOYMENTS);
	const struct kube_manager managers[] = {{.name = "a", .subresource = ""},
						{.name = "b", .subresource = ""}};
	json_t *object = json_deep_copy(live);

	for (size_t i = 0; i < 4; i++) {
		struct kube_applied applied;
		struct err err;

		if (kube_apply(object, config, resource, &managers[i / 2], i % 2, &applied, &err)) {
			assert(err.status == 400);
			continue;
		}
		assert(!applied.object == (applied.conflicts != NULL));
		if (applied.object && json_is_object(json_object_get(applied.object, "metadata"))) {
			kube_set(json_object_get(applied.object, "metadata"), "managedFields",
				 json_incref(applied.managed));
			json_decref(object);
			object = json_incref(applied.object);
		}
		kube_applied_deinit(&applied);
	}
	json_decref(object);
}

static void update_managed(const json_t *live, const json_t *managed)
{
	const struct kube_manager manager = {.name = "m", .subresource = ""};
	struct err err;
	json_t *list;

	if (kube_managed_check(managed, &err))
		return;
	list = kube_managed_update(live, live, managed, kube_resource(KUBE_DEPLOYMENTS), &manager);
	assert(json_is_array(list));
	assert(kube_managed_check(list, &err) == 0);
	json_decref(list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const struct kube_body body = {.bytes = bytes_of(data, len),
				       .content_type = "application/apply-patch+yaml"};
	json_t *live = json_loads(object_text, 0, NULL);
	json_t *config;
	struct err err;

	assert(live);
	if (kube_patch_config(&body, &config, &err) == 0) {
		apply_config(live, config);
		update_managed(live, json_object_get(config, "managedFields"));
		json_decref(config);
	} else {
		assert(err.status >= 400 && err.status < 500);
	}
	json_decref(live);
	return 0;
}
