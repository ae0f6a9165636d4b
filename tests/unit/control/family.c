/* SPDX-License-Identifier: Apache-2.0 */
#include "family.h"

#include "base/mem.h"

enum {
	ROUNDS_MAX = 16,
};

static json_t *json_of(const char *text)
{
	json_error_t error;
	char *copy = mem_strdup(text);
	json_t *value;

	for (char *at = copy; *at; at++)
		*at = *at == '\'' ? '"' : *at;
	value = json_loads(copy, 0, &error);
	if (!value)
		fail_msg("bad literal: %s near %d: %s", error.text, error.position, copy);
	free(copy);
	return value;
}

static struct control_object object_of(const json_t *json)
{
	struct control_object object = {.json = json, .generation = 1};

	assert_true(uid_parse(kube_member_string(json, "metadata.uid"), &object.ref.uid));
	object.ref.namespace = (char *)(uintptr_t)kube_member_string(json, "metadata.namespace");
	object.ref.kind = (char *)(uintptr_t)kube_member_string(json, "kind");
	object.ref.name = (char *)(uintptr_t)kube_member_string(json, "metadata.name");
	return object;
}

struct family *family_new(control_reconcile_fn *reconcile, const char *text)
{
	struct family *family = mem_new(struct family);
	json_t *json = json_of(text), *metadata = kube_object_at(json, "metadata");

	kube_set_string(metadata, "namespace", "default");
	kube_set_string(metadata, "uid", "0f7e0e48-9d0b-4c53-8a4b-5b1c4d2f6a01");
	kube_set_missing(metadata, "creationTimestamp", json_string("2026-11-21T10:00:00Z"));
	family->reconcile = reconcile;
	family->root = object_of(json);
	family->now.ms = INT64_C(1795255200000); /* 2026-11-21T10:00:00Z */
	return family;
}

static void object_free(struct control_object *object)
{
	json_decref((json_t *)(uintptr_t)object->json);
}

void family_free(struct family *family)
{
	object_free(&family->root);
	for (size_t i = 0; i < family->derived_count; i++)
		object_free(&family->derived[i]);
	free(family);
}

static bool is_deleted(const void *arg, const struct uid *uid)
{
	const struct family *family = arg;

	for (size_t i = 0; i < family->deleted_count; i++)
		if (uid_equal(&family->deleted[i], uid))
			return true;
	return false;
}

struct control_view family_view(struct family *family)
{
	size_t count = 0;

	/* Those first that the root controls. */
	for (size_t i = 0; i < family->derived_count; i++) {
		struct control_object one = family->derived[i];
		struct uid owner;

		if (!control_owner(one.json, &owner) || !uid_equal(&owner, &family->root.ref.uid))
			continue;
		family->derived[i] = family->derived[count];
		family->derived[count++] = one;
	}
	return (struct control_view){
		.root = &family->root,
		.derived = family->derived,
		.derived_count = count,
		.family = family->derived,
		.family_count = family->derived_count,
		.pods = family->pods,
		.pod_count = family->pod_count,
		.is_deleted = is_deleted,
		.deleted_arg = family,
		.now = family->now,
	};
}

static struct control_object *find_uid(struct family *family, const struct uid *uid)
{
	for (size_t i = 0; i < family->derived_count; i++)
		if (uid_equal(&family->derived[i].ref.uid, uid))
			return &family->derived[i];
	return NULL;
}

static void put(struct family *family, const struct control_step *step)
{
	struct control_object *object = find_uid(family, &step->ref.uid);

	assert_int_equal(step->expected_hlc, object ? object->hlc : 0);
	if (is_deleted(family, &step->ref.uid))
		fail_msg("%s \"%s\" gets the uid of a deleted object", step->ref.kind,
			 step->ref.name);
	if (!object) {
		assert_true(family->derived_count < FAMILY_OBJECTS_MAX);
		object = &family->derived[family->derived_count++];
	} else {
		object_free(object);
	}
	*object = object_of(json_incref(step->json));
	object->generation = step->generation;
	object->hlc = ++family->hlc;
	object->written_ms = family->now.ms;
}

static void stop(struct family *family, const struct uid *pod)
{
	for (size_t i = 0; i < family->pod_count; i++) {
		if (!uid_equal(&family->presences[i].pod_uid, pod))
			continue;
		family->presences[i].terminating = true;
		return;
	}
	fail_msg("a pod is stopped that is not there");
}

static void dispose(struct family *family, const struct uid *uid)
{
	struct control_object *object = find_uid(family, uid);

	assert_true(family->deleted_count < FAMILY_OBJECTS_MAX);
	family->deleted[family->deleted_count++] = *uid;
	if (uid_equal(uid, &family->root.ref.uid)) {
		family->root_disposed = true;
		return;
	}
	assert_non_null(object);
	object_free(object);
	*object = family->derived[--family->derived_count];
}

void family_run(struct family *family)
{
	for (int round = 0; round < ROUNDS_MAX; round++) {
		struct control_view view = family_view(family);
		struct control_verdict verdict = {.due = CONTROL_NEVER};
		size_t count;

		family->reconcile(&view, &verdict);
		family->due = verdict.due;
		count = verdict.count;
		for (size_t i = 0; i < count; i++) {
			const struct control_step *step = &verdict.steps[i];

			if (step->type == CONTROL_PUT)
				put(family, step);
			else if (step->type == CONTROL_STOP)
				stop(family, &step->pod_uid);
			else
				dispose(family, &step->ref.uid);
		}
		control_verdict_deinit(&verdict);
		if (count == 0 || family->root_disposed)
			return;
	}
	fail_msg("it does not come to rest");
}

void family_delete(struct family *family, const struct control_object *object)
{
	struct uid uid = object->ref.uid; /* goes with the object */

	dispose(family, &uid);
}

struct presence *family_add_pod(struct family *family, const struct control_object *of,
				uint32_t slot, enum pod_phase phase)
{
	size_t i = family->pod_count++;
	struct presence *presence = &family->presences[i];

	assert_true(i < FAMILY_PODS_MAX);
	*presence = (struct presence){
		.object = (of ? of : &family->root)->ref,
		.slot = slot,
		.phase = phase,
		.ready = phase == POD_RUNNING,
		.containers = &family->statuses[i],
		.container_count = 1,
		.created_ms = family->now.ms,
		.started_ms = family->now.ms,
	};
	presence->pod_uid.byte[0] = (uint8_t)(i + 1);
	family->statuses[i].finished_ms =
		phase == POD_SUCCEEDED || phase == POD_FAILED ? family->now.ms : 0;
	family->pods[i] = (struct control_pod){.presence = presence, .machine_alive = true};
	return presence;
}

const struct control_object *family_find(const struct family *family, const char *kind)
{
	const struct control_object *found = NULL;

	for (size_t i = 0; i < family->derived_count; i++) {
		if (strcmp(family->derived[i].ref.kind, kind) != 0)
			continue;
		assert_null(found);
		found = &family->derived[i];
	}
	return found;
}

size_t family_count(const struct family *family, const char *kind)
{
	size_t count = 0;

	for (size_t i = 0; i < family->derived_count; i++)
		count += strcmp(family->derived[i].ref.kind, kind) == 0;
	return count;
}

void family_set(struct family *family, const char *parent, const char *key, json_t *value)
{
	kube_set(kube_member(family->root.json, parent), key, value);
}
