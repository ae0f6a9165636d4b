/* SPDX-License-Identifier: Apache-2.0 */
/* Deployments and ReplicaSets: stored objects, with the status that follows from their pods. */
#include <stdlib.h>
#include <string.h>

#include "api/compose_internal.h"
#include "base/mem.h"
#include "kube/deployment.h"
#include "kube/member.h"
#include "kube/workload.h"

/* A stored ReplicaSet. */
struct stored_set {
	json_t *json;
	struct uid uid, owner; /* @owner none: a user's own */
	uint64_t version;
};

struct set_list {
	struct composer *composer;
	const struct uid *home; /* only those that have it; NULL: all */
	struct stored_set *sets;
	size_t count;
};

static void note_set(void *arg, const struct api_object *object)
{
	struct set_list *list = arg;
	struct stored_set set = {.uid = object->uid, .version = object->version};
	const json_t *owner;

	if (strcmp(object->kind, "ReplicaSet") != 0)
		return;
	set.json = composer_parse(object);
	if (!set.json)
		return;
	owner = kube_controller_of(set.json);
	if (owner && !uid_parse(kube_member_string(owner, "uid"), &set.owner))
		set.owner = (struct uid){0};
	if ((list->count & (list->count - 1)) == 0)
		list->sets = mem_resize(list->sets, list->count ? 2 * list->count : 1,
					sizeof(*list->sets));
	list->sets[list->count++] = set;
}

static int by_owner(const void *a, const void *b)
{
	const struct stored_set *left = a, *right = b;
	int order = uid_compare(&left->owner, &right->owner);

	return order ? order : uid_compare(&left->uid, &right->uid);
}

/* The ReplicaSets of the Deployment that is looked for, which have its home, or all; with the
 * presences of their pods. */
static void sets_load(struct composer *composer, struct set_list *ret_list)
{
	const struct api_backend *backend = composer->backend;

	*ret_list = (struct set_list){.composer = composer, .home = composer->query.workload};
	if (ret_list->home) {
		backend->ops->family(backend->self, ret_list->home, note_set, ret_list);
	} else {
		backend->ops->objects(backend->self, "ReplicaSet", composer->query.namespace,
				      note_set, ret_list);
		roster_add(&composer->roster, backend, NULL);
	}
	for (size_t i = 0; ret_list->home && i < ret_list->count; i++)
		roster_add(&composer->roster, backend, &ret_list->sets[i].uid);
	roster_settle(&composer->roster, backend);
	if (ret_list->count)
		qsort(ret_list->sets, ret_list->count, sizeof(*ret_list->sets), by_owner);
}

/* Where the sets of @owner begin, which lie side by side. */
static size_t first_of_owner(const struct set_list *list, const struct uid *owner)
{
	size_t low = 0, high = list->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (uid_compare(&list->sets[middle].owner, owner) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void sets_free(struct set_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		json_decref(list->sets[i].json);
	free(list->sets);
}

static struct kube_pods pods_of(const struct composer *composer, const struct uid *set,
				uint64_t *version)
{
	struct roster_slice slice = roster_of(&composer->roster, set);

	if (slice.version > *version)
		*version = slice.version;
	return (struct kube_pods){.pods = slice.presences, .count = slice.count};
}

static struct wall now_of(const struct composer *composer)
{
	return composer->backend->ops->now(composer->backend->self);
}

static void add_set(void *arg, const struct api_object *object)
{
	struct composer *composer = arg;
	uint64_t version = object->version;
	struct kube_counts counts;
	struct kube_pods pods;
	json_t *json = composer_wants(composer, object) ? composer_parse(object) : NULL;

	if (!json)
		return;
	pods = pods_of(composer, &object->uid, &version);
	counts = kube_pods_count(&pods, kube_member_int(json, "spec.minReadySeconds", 0),
				 now_of(composer));
	composer_add(composer, kube_replica_set(json, &counts), &object->uid, version);
	json_decref(json);
}

void compose_replica_sets(struct composer *composer)
{
	roster_load(&composer->roster, composer->backend, composer->query.workload);
	composer_objects(composer, "ReplicaSet", add_set);
}

/* A Deployment with its sets, which are found by their owner. */
static void add_deployment(struct set_list *list, json_t *json, const struct api_object *object)
{
	struct kube_set_source *sources;
	uint64_t version = object->version;
	struct kube_rollout rollout;
	size_t first = first_of_owner(list, &object->uid), behind = first, count = 0;

	while (behind < list->count && uid_equal(&list->sets[behind].owner, &object->uid))
		behind++;
	sources = mem_alloc(behind - first, sizeof(*sources));
	for (size_t i = first; i < behind; i++) {
		const struct stored_set *set = &list->sets[i];

		if (set->version > version)
			version = set->version;
		sources[count++] = (struct kube_set_source){
			.json = set->json,
			.pods = pods_of(list->composer, &set->uid, &version),
		};
	}
	kube_rollout_read(json, sources, count, now_of(list->composer), &rollout);
	composer_add(list->composer, kube_deployment(&rollout), &object->uid, version);
	kube_rollout_deinit(&rollout);
	free(sources);
}

static void note_deployment(void *arg, const struct api_object *object)
{
	struct set_list *list = arg;
	json_t *json;

	if (strcmp(object->kind, "Deployment") != 0 ||
	    !composer_wants_namespace(list->composer, object->namespace))
		return;
	json = composer_parse(object);
	if (json)
		add_deployment(list, json, object);
	json_decref(json);
}

void compose_deployments(struct composer *composer)
{
	const struct api_backend *backend = composer->backend;
	struct set_list list;

	sets_load(composer, &list);
	if (composer->query.workload)
		(void)backend->ops->object_by_uid(backend->self, composer->query.workload,
						  note_deployment, &list);
	else
		backend->ops->objects(backend->self, "Deployment", composer->query.namespace,
				      note_deployment, &list);
	sets_free(&list);
}
