/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_control.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kube/deletion.h"
#include "kube/member.h"

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

/* What hangs on an object that is being deleted, as node/collect.c shows it. */
static void judge_dying(const struct fake_family *family, const struct control_object *root,
			struct control_verdict *verdict)
{
	bool is_namespace = strcmp(root->ref.kind, "Namespace") == 0;
	struct control_object *objects = mem_alloc(family->object_count, sizeof(*objects));
	struct control_pod *pods = mem_alloc(family->pod_count, sizeof(*pods));
	struct control_view view = {
		.root = root, .family = objects, .pods = pods, .now = family->now};

	for (size_t i = 0; i < family->object_count; i++)
		if (is_namespace ? strcmp(family->objects[i].ref.namespace, root->ref.name) == 0
				 : kube_depends_on(family->objects[i].json, &root->ref.uid))
			objects[view.family_count++] = family->objects[i];
	for (size_t i = 0; i < family->pod_count; i++) {
		const struct object_ref *of = &family->pods[i].presence->object;

		if (is_namespace ? strcmp(of->namespace, root->ref.name) == 0
				 : memcmp(of->uid.byte, root->ref.uid.byte, UID_HOME_LEN) == 0)
			pods[view.pod_count++] = family->pods[i];
	}
	control_deletion(&view, verdict);
	free(objects);
	free(pods);
}

static void reconcile(const struct fake_family *family, const struct control_object *root,
		      struct control_verdict *verdict)
{
	control_reconcile_fn *reconciler = control_reconciler(root->ref.kind);
	struct control_object *derived = mem_alloc(family->object_count, sizeof(*derived));
	struct control_view view = {
		.root = root,
		.family = family->objects,
		.family_count = family->object_count,
		.is_deleted = family->is_buried,
		.deleted_arg = family->buried_arg,
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
	if (kube_is_dying(root->json))
		judge_dying(family, root, verdict);
	else if (reconciler)
		reconciler(&view, verdict);
	free(derived);
}

/* Owned, and by deleted objects only. */
static bool is_left_behind(const struct fake_family *family, const json_t *json)
{
	const json_t *owners = kube_member(json, "metadata.ownerReferences"), *owner;
	struct uid uid;
	size_t i;

	json_array_foreach (owners, i, owner)
		if (!uid_parse(kube_member_string(owner, "uid"), &uid) ||
		    !family->is_buried(family->buried_arg, &uid))
			return false;
	return json_array_size(owners) > 0;
}

void fake_family_judge(const struct fake_family *family, struct control_verdict *verdict)
{
	for (size_t i = 0; i < family->object_count; i++) {
		const struct control_object *object = &family->objects[i];

		if (is_left_behind(family, object->json))
			control_dispose(verdict, object);
		else
			reconcile(family, object, verdict);
	}
}
