/* SPDX-License-Identifier: Apache-2.0 */
#include "api/roster.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static void note_presence(void *arg, const struct presence *presence, uint64_t version)
{
	struct roster *roster = arg;
	struct roster_pod *pod;

	if (presence->phase == POD_GONE)
		return;
	if (roster->count == roster->cap) {
		roster->cap = roster->cap ? 2 * roster->cap : 16;
		roster->pods = mem_resize(roster->pods, roster->cap, sizeof(*roster->pods));
	}
	pod = &roster->pods[roster->count++];
	pod->presence = mem_new(struct presence);
	presence_copy(presence, pod->presence);
	pod->version = version;
	pod->lost = false;
}

/* A machine that does not answer cannot vouch for its pods: they are not ready, and say why. */
static void note_lost(void *arg, const struct api_member *member)
{
	struct roster *roster = arg;

	for (size_t i = 0; !member->alive && i < roster->count; i++) {
		struct presence *presence = roster->pods[i].presence;

		if (!node_id_equal(&presence->node, &member->id))
			continue;
		roster->pods[i].lost = true;
		presence->ready = false;
		free(presence->reason);
		free(presence->message);
		presence->reason = mem_strdup("NodeLost");
		presence->message = mem_strdup("the machine that runs this pod does not answer");
	}
}

static int by_workload(const void *a, const void *b)
{
	const struct roster_pod *left = a, *right = b;
	int order = uid_compare(&left->presence->object.uid, &right->presence->object.uid);

	return order ? order : uid_compare(&left->presence->pod_uid, &right->presence->pod_uid);
}

/* Does another machine, which answers, run a pod in the slot of this lost one? */
static bool is_replaced(const struct roster *roster, size_t at)
{
	const struct presence *lost = roster->pods[at].presence;

	for (size_t i = 0; i < roster->count; i++) {
		const struct presence *other = roster->pods[i].presence;

		if (!roster->pods[i].lost && !other->terminating && other->slot == lost->slot &&
		    uid_equal(&other->object.uid, &lost->object.uid))
			return true;
	}
	return false;
}

static void pod_free(struct roster_pod *pod)
{
	presence_deinit(pod->presence);
	free(pod->presence);
}

/* Should such a machine come back, the controller ends its surplus pod. Until then there is no more
 * to say about it, and a Deployment shows as many pods as it has. */
static void drop_replaced(struct roster *roster)
{
	size_t kept = 0;

	for (size_t i = 0; i < roster->count; i++)
		roster->pods[i].replaced = roster->pods[i].lost && is_replaced(roster, i);
	for (size_t i = 0; i < roster->count; i++) {
		if (roster->pods[i].replaced)
			pod_free(&roster->pods[i]);
		else
			roster->pods[kept++] = roster->pods[i];
	}
	roster->count = kept;
}

void roster_add(struct roster *roster, const struct api_backend *backend,
		const struct uid *workload)
{
	backend->ops->presences(backend->self, workload, note_presence, roster);
}

void roster_settle(struct roster *roster, const struct api_backend *backend)
{
	map_init(&roster->objects, 1);
	roster->has_objects = true;
	if (!roster->count)
		return;
	backend->ops->members(backend->self, note_lost, roster);
	drop_replaced(roster);
	if (!roster->count)
		return;
	qsort(roster->pods, roster->count, sizeof(*roster->pods), by_workload);
	roster->presences = mem_alloc(roster->count, sizeof(struct presence *));
	for (size_t i = 0; i < roster->count; i++)
		roster->presences[i] = roster->pods[i].presence;
}

void roster_load(struct roster *roster, const struct api_backend *backend,
		 const struct uid *workload)
{
	roster_add(roster, backend, workload);
	roster_settle(roster, backend);
}

void roster_deinit(struct roster *roster)
{
	for (size_t i = 0; i < roster->count; i++)
		pod_free(&roster->pods[i]);
	if (roster->has_objects) {
		map_for_each (entry, &roster->objects) {
			struct roster_object *object = entry->value;

			json_decref(object->json);
			free(object);
		}
		map_deinit(&roster->objects);
	}
	free(roster->pods);
	free(roster->presences);
	*roster = (struct roster){0};
}

struct roster_slice roster_of(const struct roster *roster, const struct uid *workload)
{
	struct roster_slice slice = {0};
	size_t low = 0, high = roster->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (uid_compare(&roster->presences[middle]->object.uid, workload) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < roster->count && uid_equal(&roster->presences[low]->object.uid, workload);
	     low++) {
		if (!slice.count)
			slice.presences = &roster->presences[low];
		slice.count++;
		if (roster->pods[low].version > slice.version)
			slice.version = roster->pods[low].version;
	}
	return slice;
}

static void note_object(void *arg, const struct api_object *object)
{
	struct roster_object *entry = arg;

	entry->json = json_loadb((const char *)object->json.ptr, object->json.len, 0, NULL);
	entry->version = object->version;
}

/* An object of that name, but only if it is the workload and not a later one of the same name. */
struct object_search {
	struct roster_object *entry;
	struct uid uid;
};

static void note_same_object(void *arg, const struct api_object *object)
{
	struct object_search *search = arg;

	if (uid_equal(&object->uid, &search->uid))
		note_object(search->entry, object);
}

const struct roster_object *roster_object(struct roster *roster, const struct api_backend *backend,
					  const struct presence *presence)
{
	const struct object_ref *ref = &presence->object;
	struct bytes key = bytes_of(ref->uid.byte, UID_LEN);
	struct roster_object *entry = map_get(&roster->objects, key);
	struct object_search search = {.uid = ref->uid};

	if (entry)
		return entry->json ? entry : NULL;
	entry = mem_new(struct roster_object);
	search.entry = entry;
	(void)map_put(&roster->objects, key, entry);
	(void)backend->ops->object(backend->self, ref->kind, ref->namespace, ref->name,
				   note_same_object, &search);
	if (!entry->json) {
		entry->buried = true;
		(void)backend->ops->buried(backend->self, &ref->uid, note_object, entry);
	}
	return entry->json ? entry : NULL;
}
