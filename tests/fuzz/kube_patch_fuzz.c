/* SPDX-License-Identifier: Apache-2.0 */
/* Patches of every kind on one Deployment: the result stays within a manifest's limits. */
#include <assert.h>

#include "kube/member.h"
#include "kube/patch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const char object_text[] =
	"{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"metadata\":{\"name\":\"web\","
	"\"labels\":{\"a\":\"b\"},\"finalizers\":[\"x\",\"y\"]},\"spec\":{\"replicas\":3,"
	"\"template\":{\"spec\":{\"containers\":[{\"name\":\"a\",\"image\":\"a:1\",\"ports\":[{"
	"\"containerPort\":80}]},{\"name\":\"b\",\"image\":\"b:1\"}]}}}}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const char *const types[] = {
		"application/merge-patch+json",
		"application/json-patch+json",
		"application/strategic-merge-patch+json",
	};
	json_t *object = json_loads(object_text, 0, NULL);
	json_t *before = json_deep_copy(object);

	assert(object);
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		const struct kube_body body = {.bytes = bytes_of(data, len),
					       .content_type = types[i]};
		struct kube_size size;
		json_t *result;
		struct err err;

		if (kube_patch(object, &body, &result, &err) == 0) {
			kube_measure(result, &size);
			assert(json_is_object(result));
			assert(size.nodes <= KUBE_MANIFEST_NODES_MAX);
			json_decref(result);
		} else {
			assert(err.status >= 400 && err.status < 500);
		}
		assert(json_equal(object, before));
	}
	json_decref(before);
	json_decref(object);
	return 0;
}
