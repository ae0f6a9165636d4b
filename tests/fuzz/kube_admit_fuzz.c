/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON bodies through admission: what is admitted is admitted again without a change, can be read
 * as a workload and shown as a table; what is refused has a Status. What can be read of an object,
 * admitted or not, can be said in a tender.
 */
#include <assert.h>

#include "control/control.h"
#include "kube/admit.h"
#include "kube/deployment.h"
#include "kube/pod.h"
#include "kube/status.h"
#include "kube/table.h"
#include "kube/workload.h"
#include "wire/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Its controller makes a ReplicaSet of whatever it is given; shown again with that. */
static void show_rollout(const json_t *object)
{
	const struct control_object root = {
		.ref = {.uid.byte = {1},
			.namespace = (char[]){"default"},
			.kind = (char[]){"Deployment"},
			.name = (char[]){"web"}},
		.json = object,
	};
	const struct control_view view = {.root = &root};
	struct control_verdict verdict = {.due = CONTROL_NEVER};
	struct kube_rollout rollout;

	control_deployment(&view, &verdict);
	for (size_t i = 0; i < verdict.count; i++) {
		const struct kube_set_source source = {.json = verdict.steps[i].json};

		kube_rollout_read(object, &source, 1, (struct wall){0}, &rollout);
		json_decref(kube_deployment(&rollout));
		kube_rollout_deinit(&rollout);
	}
	control_verdict_deinit(&verdict);
}

static void show(json_t *object, const struct kube_resource *resource)
{
	const struct kube_table_view view = {0};
	const struct kube_pending pending = {0};
	const struct kube_counts counts = {0};

	json_decref(kube_table(resource, object, &view));
	if (resource->id == KUBE_NAMESPACES)
		return;
	json_decref(kube_pod_pending(object, &pending));
	if (resource->id == KUBE_DEPLOYMENTS) {
		show_rollout(object);
		json_decref(kube_replica_set(object, &counts));
		json_decref(kube_scale(object, 1));
	}
}

/* False when the object's needs cannot be read. The encoder asserts every limit. */
static bool tender_goes_round(const json_t *object)
{
	struct message message = {.type = MESSAGE_TENDER}, again;
	struct buf bytes = {0};

	if (kube_needs_read(object, &message.tender.needs, NULL) != 0)
		return false;
	message_encode(&message, &bytes);
	assert(message_decode(bytes_buf(&bytes), &again) == 0);
	message_deinit(&again);
	message_deinit(&message);
	buf_deinit(&bytes);
	return true;
}

static void check_admitted(json_t *object, const struct kube_resource *resource)
{
	const struct kube_stamp stamp = {.uid.byte = {1}, .generation = 1};
	struct kube_admission again;
	struct kube_workload workload;
	json_t *before = json_deep_copy(object);
	int r = kube_admit(object, resource, "default", KUBE_VALIDATION_STRICT, &again);

	assert(r == 0 && json_equal(before, object));
	kube_admission_deinit(&again);
	json_decref(before);
	kube_stamp(object, &stamp);
	assert(resource->id == KUBE_NAMESPACES || tender_goes_round(object));
	if (resource->id != KUBE_NAMESPACES && resource->id != KUBE_DEPLOYMENTS &&
	    json_object_get(json_object_get(object, "metadata"), "name"))
		assert(kube_workload_read(object, &workload, NULL) == 0);
	show(object, resource);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const enum kube_resource_id ids[] = {KUBE_DEPLOYMENTS, KUBE_REPLICASETS, KUBE_PODS,
						    KUBE_NAMESPACES};
	struct kube_body body = {.bytes = bytes_of(data, len), .validation = KUBE_VALIDATION_WARN};
	json_t *object = NULL;
	struct err err;

	if (kube_manifest_parse(&body, NULL, &object, &err) != 0)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		const struct kube_resource *resource = kube_resource(ids[i]);
		struct kube_admission admission;
		json_t *copy = json_deep_copy(object);

		if (kube_admit(copy, resource, "default", KUBE_VALIDATION_WARN, &admission) == 0)
			check_admitted(copy, resource);
		else
			assert(kube_status_code(admission.status) >= 400);
		kube_admission_deinit(&admission);
		json_decref(copy);
	}
	/* A peer's object is shown and placed without having been admitted here. */
	if (json_is_object(object)) {
		show(object, kube_resource(KUBE_DEPLOYMENTS));
		(void)tender_goes_round(object);
	}
	json_decref(object);
	return 0;
}
