/* SPDX-License-Identifier: Apache-2.0 */
#include "control/control.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "identity/derive.h"
#include "kube/admit.h"
#include "kube/claim.h"
#include "kube/cronjob.h"
#include "kube/deletion.h"
#include "kube/job_progress.h"
#include "kube/member.h"
#include "kube/selector.h"
#include "kube/time.h"
#include "kube/workload.h"

/* Kinds with a reconciler. */
static const struct {
	const char *kind;
	control_reconcile_fn *reconcile;
} roots[] = {
	{"Deployment", control_deployment},   {"CronJob", control_cronjob},
	{"DaemonSet", control_daemonset},     {"Job", control_job},
	{"StatefulSet", control_statefulset},
};

/* Kinds that are derived only. */
static const char *const derived_kinds[] = {
	"ReplicaSet", KUBE_JOB_PROGRESS, KUBE_CRONJOB_PROGRESS, "ControllerRevision",
	KUBE_CLAIM, /* of a StatefulSet */
	"Pod", /* of a StatefulSet: one for each ordinal; of a DaemonSet: one for each machine */
};

control_reconcile_fn *control_reconciler(const char *kind)
{
	for (size_t i = 0; i < ARRAY_LEN(roots); i++)
		if (strcmp(roots[i].kind, kind) == 0)
			return roots[i].reconcile;
	return NULL;
}

bool control_is_member(const char *kind)
{
	for (size_t i = 0; i < ARRAY_LEN(derived_kinds); i++)
		if (strcmp(derived_kinds[i], kind) == 0)
			return true;
	return control_reconciler(kind) != NULL;
}

bool control_owner(const json_t *object, struct uid *ret_uid)
{
	const json_t *owner = kube_controller_of(object);

	return owner && uid_parse(kube_member_string(owner, "uid"), ret_uid);
}

static json_t *owner_reference(const struct control_object *root)
{
	json_t *owner = json_object();

	kube_set_string(owner, "apiVersion", kube_member_string(root->json, "apiVersion"));
	kube_set_string(owner, "kind", root->ref.kind);
	kube_set_string(owner, "name", root->ref.name);
	kube_set_string(owner, "uid", uid_text(&root->ref.uid).text);
	kube_set(owner, "controller", json_true());
	kube_set(owner, "blockOwnerDeletion", json_true());
	return owner;
}

static json_t *object_new(const struct control_view *view, const char *api_version,
			  const char *kind, const char *name, const struct uid *uid)
{
	json_t *object = json_object(), *metadata = json_object(), *owners = json_array();

	kube_set_string(object, "apiVersion", api_version);
	kube_set_string(object, "kind", kind);
	kube_set_string(metadata, "name", name);
	kube_set_string(metadata, "namespace", view->root->ref.namespace);
	kube_set_string(metadata, "uid", uid_text(uid).text);
	kube_set_string(metadata, "creationTimestamp", kube_time_text(view->now).text);
	kube_set_int(metadata, "generation", 1);
	kube_push(owners, owner_reference(view->root));
	kube_set(metadata, "ownerReferences", owners);
	kube_set(object, "metadata", metadata);
	return object;
}

json_t *control_object_new(const struct control_view *view, const char *api_version,
			   const char *kind, const char *name, const char *what)
{
	struct uid uid = uid_derive(&view->root->ref.uid, what);

	return object_new(view, api_version, kind, name, &uid);
}

json_t *control_object_again(const struct control_view *view, const char *api_version,
			     const char *kind, const char *name, const char *what)
{
	struct uid uid = uid_derive(&view->root->ref.uid, what);

	for (int i = 0;
	     i < CONTROL_AGAIN_MAX && view->is_deleted && view->is_deleted(view->deleted_arg, &uid);
	     i++)
		uid = uid_derive(&uid, what);
	return object_new(view, api_version, kind, name, &uid);
}

/* Does the label selector of @root match @object? An empty one matches nothing here. */
static bool selects(const json_t *root, const json_t *object)
{
	const json_t *json = kube_member(root, "spec.selector");
	struct kube_selector selector = {0};
	bool matches;

	if (json_object_size(json) == 0 || kube_label_selector_from_json(json, &selector, NULL))
		return false;
	matches = kube_label_selector_matches(&selector, object);
	kube_selector_deinit(&selector);
	return matches;
}

static json_t *adopted(const struct control_object *root, const struct control_object *object)
{
	json_t *json = json_deep_copy(object->json), *metadata = json_object_get(json, "metadata");

	if (!json_is_array(json_object_get(metadata, "ownerReferences")))
		kube_set(metadata, "ownerReferences", json_array());
	kube_push(json_object_get(metadata, "ownerReferences"), owner_reference(root));
	return json;
}

bool control_adopt(const struct control_view *view, const char *kind,
		   struct control_verdict *verdict)
{
	size_t before = verdict->count;

	for (size_t i = 0; i < view->family_count; i++) {
		const struct control_object *object = &view->family[i];

		if (strcmp(object->ref.kind, kind) == 0 &&
		    strcmp(object->ref.namespace, view->root->ref.namespace) == 0 &&
		    !kube_controller_of(object->json) && !kube_is_dying(object->json) &&
		    selects(view->root->json, object->json))
			control_update(verdict, object, adopted(view->root, object));
	}
	return verdict->count > before;
}

void control_annotate(json_t *object, const char *key, json_t *value)
{
	json_t *annotations = kube_object_at(kube_object_at(object, "metadata"), "annotations");

	if (annotations)
		kube_set(annotations, key, value);
	else
		json_decref(value);
}

/* ---- verdicts ---- */

static struct control_step *step_add(struct control_verdict *verdict, enum control_step_type type)
{
	struct control_step *step;

	if (verdict->count % 16 == 0)
		verdict->steps =
			mem_resize(verdict->steps, verdict->count + 16, sizeof(*verdict->steps));
	step = &verdict->steps[verdict->count++];
	*step = (struct control_step){.type = type};
	return step;
}

static bool is_full(const struct control_verdict *verdict)
{
	return verdict->count == CONTROL_STEPS_MAX;
}

/* What metadata says, as a reference that owns its strings. */
static void ref_read(const json_t *json, struct object_ref *ret_ref)
{
	struct object_ref ref = {0};

	if (!uid_parse(kube_member_string(json, "metadata.uid"), &ref.uid))
		ref.uid = (struct uid){0};
	ref.namespace = mem_strdup(kube_member_string(json, "metadata.namespace"));
	ref.kind = mem_strdup(kube_member_string(json, "kind"));
	ref.name = mem_strdup(kube_member_string(json, "metadata.name"));
	*ret_ref = ref;
}

void control_create(struct control_verdict *verdict, json_t *json)
{
	struct control_step *step;

	if (is_full(verdict)) {
		json_decref(json);
		return;
	}
	step = step_add(verdict, CONTROL_PUT);
	step->json = json;
	step->generation = (uint64_t)kube_member_int(json, "metadata.generation", 1);
	ref_read(json, &step->ref);
}

void control_update(struct control_verdict *verdict, const struct control_object *object,
		    json_t *json)
{
	struct control_step *step;

	if (is_full(verdict) || json_equal(json, object->json)) {
		json_decref(json);
		return;
	}
	step = step_add(verdict, CONTROL_PUT);
	step->json = json;
	step->generation = object->generation + kube_spec_differs(object->json, json);
	step->expected_hlc = object->hlc;
	kube_set_int(json_object_get(json, "metadata"), "generation", (int64_t)step->generation);
	object_ref_copy(&object->ref, &step->ref);
}

void control_dispose(struct control_verdict *verdict, const struct control_object *object)
{
	struct control_step *step;

	if (is_full(verdict))
		return;
	step = step_add(verdict, CONTROL_DISPOSE);
	step->grace_s = UINT32_MAX;
	object_ref_copy(&object->ref, &step->ref);
}

void control_stop(struct control_verdict *verdict, const struct presence *presence,
		  uint32_t grace_s)
{
	struct control_step *step;

	if (is_full(verdict))
		return;
	step = step_add(verdict, CONTROL_STOP);
	step->pod_uid = presence->pod_uid;
	step->grace_s = grace_s;
	object_ref_copy(&presence->object, &step->ref);
}

void control_call_at(struct control_verdict *verdict, struct wall at)
{
	if (at.ms < verdict->due.ms)
		verdict->due = at;
}

void control_verdict_deinit(struct control_verdict *verdict)
{
	for (size_t i = 0; i < verdict->count; i++) {
		object_ref_deinit(&verdict->steps[i].ref);
		json_decref(verdict->steps[i].json);
	}
	free(verdict->steps);
	*verdict = (struct control_verdict){.due = CONTROL_NEVER};
}
