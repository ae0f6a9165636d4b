/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_control.h"

#include <stdlib.h>

#include "base/mem.h"

void fake_family_add_object(struct fake_family *family, const struct api_object *object)
{
	family->objects =
		mem_resize(family->objects, family->object_count + 1, sizeof(*family->objects));
	family->objects[family->object_count++] = (struct control_object){
		.ref = {.uid = object->uid,
			.namespace = (char *)(uintptr_t)object->namespace,
			.kind = (char *)(uintptr_t)object->kind,
			.name = (char *)(uintptr_t)object->name},
		.json = json_loadb((const char *)object->json.ptr, object->json.len, 0, NULL),
		.generation = object->generation,
		.hlc = object->version,
	};
}

void fake_family_add_pod(struct fake_family *family, const struct presence *presence)
{
	family->pods = mem_resize(family->pods, family->pod_count + 1, sizeof(*family->pods));
	family->pods[family->pod_count++] = (struct control_pod){
		.presence = presence,
		.machine_alive = true,
	};
}

void fake_family_deinit(struct fake_family *family)
{
	for (size_t i = 0; i < family->object_count; i++)
		json_decref((json_t *)(uintptr_t)family->objects[i].json);
	free(family->objects);
	free(family->pods);
}

static void reconcile(const struct fake_family *family, const struct control_object *root,
		      struct control_verdict *verdict)
{
	control_reconcile_fn *reconciler = control_reconciler(root->ref.kind);
	struct control_object *derived = mem_alloc(family->object_count, sizeof(*derived));
	struct control_view view = {
		.root = root,
		.derived = derived,
		.pods = family->pods,
		.pod_count = family->pod_count,
		.now = family->now,
	};
	struct uid owner;

	for (size_t i = 0; i < family->object_count; i++)
		if (control_owner(family->objects[i].json, &owner) &&
		    uid_equal(&owner, &root->ref.uid))
			derived[view.derived_count++] = family->objects[i];
	if (reconciler)
		reconciler(&view, verdict);
	free(derived);
}

void fake_family_judge(const struct fake_family *family,
		       bool (*is_buried)(void *arg, const struct uid *uid), void *arg,
		       struct control_verdict *verdict)
{
	struct uid owner;

	for (size_t i = 0; i < family->object_count; i++) {
		const struct control_object *object = &family->objects[i];

		if (control_owner(object->json, &owner) && is_buried(arg, &owner))
			control_dispose(verdict, object);
		else
			reconcile(family, object, verdict);
	}
}
