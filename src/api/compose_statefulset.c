/* SPDX-License-Identifier: Apache-2.0 */
/* StatefulSets and ControllerRevisions: stored objects; status follows from the ordinals' Pods. */
#include <stdlib.h>
#include <string.h>

#include "api/compose_internal.h"
#include "base/mem.h"
#include "kube/member.h"
#include "kube/statefulset.h"
#include "kube/workload.h"

/* A stored object that a StatefulSet owns. */
struct part {
	json_t *json;
	struct uid uid, owner;
	uint64_t version;
};

struct part_list {
	struct composer *composer;
	const struct uid *home; /* only what has it; NULL: all */
	struct part *parts;
	size_t count;
};

static void note_part(void *arg, const struct api_object *object)
{
	struct part_list *list = arg;
	struct part part = {.uid = object->uid, .version = object->version};
	const json_t *owner;

	if (strcmp(object->kind, "Pod") != 0 && strcmp(object->kind, "ControllerRevision") != 0)
		return;
	part.json = composer_parse(object);
	owner = kube_controller_of(part.json);
	if (!owner || strcmp(kube_member_string(owner, "kind"), "StatefulSet") != 0 ||
	    !uid_parse(kube_member_string(owner, "uid"), &part.owner)) {
		json_decref(part.json);
		return;
	}
	if ((list->count & (list->count - 1)) == 0)
		list->parts = mem_resize(list->parts, list->count ? 2 * list->count : 1,
					 sizeof(*list->parts));
	list->parts[list->count++] = part;
}

static void parts_load(struct composer *composer, struct part_list *ret_list)
{
	const struct api_backend *backend = composer->backend;
	const char *namespace = composer->query.namespace;

	*ret_list = (struct part_list){.composer = composer, .home = composer->query.workload};
	if (ret_list->home) {
		backend->ops->family(backend->self, ret_list->home, note_part, ret_list);
	} else {
		backend->ops->objects(backend->self, "ControllerRevision", namespace, note_part,
				      ret_list);
		backend->ops->objects(backend->self, "Pod", namespace, note_part, ret_list);
		roster_add(&composer->roster, backend, NULL);
	}
	for (size_t i = 0; ret_list->home && i < ret_list->count; i++)
		roster_add(&composer->roster, backend, &ret_list->parts[i].uid);
	roster_settle(&composer->roster, backend);
}

static void add_statefulset(struct part_list *list, json_t *json, const struct api_object *object)
{
	struct kube_ordinal_source *ordinals = mem_alloc(list->count, sizeof(*ordinals));
	const struct kube_name update = kube_revision_name(json);
	const struct api_backend *backend = list->composer->backend;
	const json_t *revision = NULL;
	uint64_t version = object->version;
	size_t count = 0;

	for (size_t i = 0; i < list->count; i++) {
		const struct part *part = &list->parts[i];
		struct roster_slice slice;

		if (!uid_equal(&part->owner, &object->uid))
			continue;
		version = part->version > version ? part->version : version;
		if (strcmp(kube_member_string(part->json, "kind"), "Pod") != 0) {
			if (strcmp(kube_member_string(part->json, "metadata.name"), update.text) ==
			    0)
				revision = part->json;
			continue;
		}
		slice = roster_of(&list->composer->roster, &part->uid);
		version = slice.version > version ? slice.version : version;
		ordinals[count++] = (struct kube_ordinal_source){
			.json = part->json,
			.pods = {.pods = slice.presences, .count = slice.count},
		};
	}
	composer_add(
		list->composer,
		kube_statefulset(json, revision, ordinals, count, backend->ops->now(backend->self)),
		&object->uid, version);
	free(ordinals);
}

static void note_statefulset(void *arg, const struct api_object *object)
{
	struct part_list *list = arg;
	json_t *json;

	if (strcmp(object->kind, "StatefulSet") != 0 ||
	    !composer_wants_namespace(list->composer, object->namespace))
		return;
	json = composer_parse(object);
	if (json)
		add_statefulset(list, json, object);
	json_decref(json);
}

void compose_statefulsets(struct composer *composer)
{
	const struct api_backend *backend = composer->backend;
	struct part_list list;

	parts_load(composer, &list);
	if (composer->query.workload)
		(void)backend->ops->object_by_uid(backend->self, composer->query.workload,
						  note_statefulset, &list);
	else
		backend->ops->objects(backend->self, "StatefulSet", composer->query.namespace,
				      note_statefulset, &list);
	for (size_t i = 0; i < list.count; i++)
		json_decref(list.parts[i].json);
	free(list.parts);
}
