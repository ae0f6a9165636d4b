/* SPDX-License-Identifier: Apache-2.0 */
/* Pods: a stored object and a machine's report; or a slot that no machine has taken yet. */
#include <stdlib.h>
#include <string.h>

#include "api/compose_internal.h"
#include "api/pending.h"
#include "kube/member.h"
#include "kube/name.h"
#include "kube/pod.h"
#include "kube/statefulset.h"
#include "kube/time.h"
#include "kube/workload.h"

enum {
	PENDING_MAX = 64, /* shown of one workload: replicas may be any number */
};

static void set_uid(json_t *object, const struct uid *uid)
{
	json_t *metadata = json_object_get(object, "metadata");
	struct id_text text = uid_text(uid);

	if (metadata)
		(void)json_object_set_new(metadata, "uid", json_string(text.text));
}

static void set_birth(json_t *object, const struct presence *presence)
{
	struct kube_time created = kube_time_text((struct wall){.ms = presence->created_ms});

	set_uid(object, &presence->pod_uid);
	kube_set_string(json_object_get(object, "metadata"), "creationTimestamp", created.text);
}

static void add_pod(struct composer *composer, const struct roster_pod *pod)
{
	const struct roster_object *object;
	struct presence presence = *pod->presence;
	uint64_t version = pod->version;
	json_t *json;

	if (!composer_wants_namespace(composer, presence.object.namespace) ||
	    presence.phase == POD_GONE)
		return;
	if (composer->query.name && strcmp(presence.pod_name, composer->query.name) != 0)
		return;
	object = roster_object(&composer->roster, composer->backend, &presence);
	if (!object)
		return; /* its object has not arrived here yet: nothing to show */
	if (object->buried)
		presence.terminating = true;
	if (object->version > version)
		version = object->version;
	json = kube_pod(object->json, &presence);
	/* A bare Pod is one object to its clients, however often it has been placed; an ordinal of
	 * a StatefulSet is another one each time. */
	if (kube_is_ordinal(object->json))
		set_birth(json, &presence);
	else if (strcmp(presence.object.kind, "Pod") == 0)
		set_uid(json, &presence.object.uid);
	composer_add(composer, json, &presence.object.uid, version);
}

/* The time of writing is in the upper 48 bits of the hybrid clock. */
static struct wall written_at(const struct api_object *object)
{
	return (struct wall){.ms = (int64_t)(object->version >> 16)};
}

/* A bare Pod that no machine has reported yet. */
static void add_pending(void *arg, const struct api_object *object)
{
	struct composer *composer = arg;
	struct kube_pending pending = {.uid = object->uid};
	struct buf why = {0};
	json_t *json;

	if (!composer_wants(composer, object))
		return;
	if (roster_of(&composer->roster, &object->uid).count)
		return;
	json = composer_parse(object);
	if (!json)
		return;
	pending.since = written_at(object);
	if (pending_explain(composer->backend, json, &why))
		pending.message = buf_cstr(&why);
	composer_add(composer, kube_pod_pending(json, &pending), &object->uid, object->version);
	buf_deinit(&why);
	json_decref(json);
}

/* The same on every machine and at every time, and different for every slot. */
static struct uid vacancy_uid(const struct uid *workload, uint32_t slot)
{
	uint8_t mixed[UID_LEN];
	uint64_t hash = 0xcbf29ce484222325; /* FNV-1a */

	for (size_t i = 0; i < UID_LEN; i++) {
		hash = (hash ^ workload->byte[i] ^ slot >> 8 * (i % 4)) * 0x100000001b3;
		mixed[i] = (uint8_t)(hash >> 56);
	}
	for (size_t i = 0; i < UID_LEN; i++) {
		hash = (hash ^ mixed[i]) * 0x100000001b3;
		mixed[i] = (uint8_t)(hash >> 56);
	}
	return uid_from_random(mixed);
}

/* Pods that count as replicas, whichever slot they have. */
static size_t count_replicas(const struct roster_slice *slice)
{
	size_t count = 0;

	for (size_t i = 0; i < slice->count; i++)
		count += !slice->presences[i]->terminating;
	return count;
}

static bool slot_is_taken(const struct roster_slice *slice, uint32_t slot)
{
	for (size_t i = 0; i < slice->count; i++) {
		if (slice->presences[i]->slot == slot)
			return true;
	}
	return false;
}

/* A workload's slots that nobody has taken. */
static void add_vacancies(void *arg, const struct api_object *object)
{
	struct composer *composer = arg;
	const struct api_backend *backend = composer->backend;
	struct kube_pending pending = {
		.since = written_at(object),
		.message = "no machine has made an offer for this pod",
	};
	struct roster_slice slice;
	struct kube_workload workload;
	size_t left = 0, replicas;
	struct buf why = {0};
	json_t *json;

	if ((composer->query.workload && !uid_equal(composer->query.workload, &object->uid)) ||
	    backend->ops->now(backend->self).ms - pending.since.ms < COMPOSE_PENDING_MS)
		return;
	json = composer_parse(object);
	slice = roster_of(&composer->roster, &object->uid);
	if (json && kube_workload_read(json, &workload, NULL) == 0) {
		replicas = count_replicas(&slice);
		if (replicas < workload.replicas)
			left = workload.replicas - replicas;
		if (left > PENDING_MAX)
			left = PENDING_MAX;
		if (left && pending_explain(backend, json, &why))
			pending.message = buf_cstr(&why);
		for (uint32_t slot = 0; slot < workload.replicas && left; slot++) {
			if (slot_is_taken(&slice, slot))
				continue;
			left--;
			pending.uid = vacancy_uid(&object->uid, slot);
			composer_add(composer, kube_pod_pending(json, &pending), &object->uid,
				     object->version);
		}
	}
	buf_deinit(&why);
	json_decref(json);
}

/* What of @kind may have pods that nobody reports; of the workload that is asked for, or of all. */
static void each_root(struct composer *composer, const char *kind, api_object_fn *each)
{
	const struct api_backend *backend = composer->backend;
	const struct compose_query *query = &composer->query;

	if (query->workload)
		composer_objects(composer, kind, each);
	else if (query->name && query->namespace && strcmp(kind, "Pod") == 0)
		(void)backend->ops->object(backend->self, kind, query->namespace, query->name, each,
					   composer);
	else
		backend->ops->objects(backend->self, kind, query->namespace, each, composer);
}

/* Whose slot has the name of a pod that no machine reports. */
struct maker {
	const char *pod; /* its name */
	struct uid uid;
	size_t count; /* names that were cut may be the same */
};

static void match_pending(void *arg, const struct api_object *object)
{
	struct maker *maker = arg;

	maker->uid = object->uid;
	maker->count++;
}

/* A pod's name is that of its set, a dash and some characters. */
static void match_maker(void *arg, const struct api_object *object)
{
	struct maker *maker = arg;
	const struct kube_name base = kube_name_pod_base(object->name);
	const char *dash = strrchr(maker->pod, '-');
	size_t len = strlen(base.text);

	if (dash && (size_t)(dash - maker->pod) == len && strncmp(base.text, maker->pod, len) == 0)
		match_pending(maker, object);
}

/* Who makes the pod that is looked for, if no machine reports it. */
static struct maker find_maker(const struct composer *composer)
{
	const struct api_backend *backend = composer->backend;
	const struct compose_query *query = &composer->query;
	struct maker maker = {.pod = query->name};

	if (!backend->ops->object(backend->self, "Pod", query->namespace, query->name,
				  match_pending, &maker))
		backend->ops->objects(backend->self, "ReplicaSet", query->namespace, match_maker,
				      &maker);
	return maker;
}

void compose_pods(struct composer *composer)
{
	const struct api_backend *backend = composer->backend;
	struct compose_query *query = &composer->query;
	bool by_name = query->name && query->namespace && !query->workload;
	struct maker maker = {.count = 0};
	struct uid workload;
	bool reported = by_name && backend->ops->pod_workload(backend->self, query->namespace,
							      query->name, &workload);

	/* One is found by its name, without looking at all the others. */
	if (by_name && !reported) {
		maker = find_maker(composer);
		workload = maker.uid;
		if (!maker.count)
			return;
	}
	if (reported || maker.count == 1)
		query->workload = &workload;
	roster_load(&composer->roster, backend, query->workload);
	for (size_t i = 0; i < composer->roster.count; i++)
		add_pod(composer, &composer->roster.pods[i]);
	if (reported && composer->count)
		return;
	each_root(composer, "Pod", add_pending);
	each_root(composer, "ReplicaSet", add_vacancies);
}

void compose_pending(struct composer *composer)
{
	roster_load(&composer->roster, composer->backend, NULL);
	each_root(composer, "Pod", add_pending);
	each_root(composer, "ReplicaSet", add_vacancies);
}

/* Finding a pod. */

struct pod_search {
	const char *namespace, *name;
	struct pod_place place;
	bool found;
	uint64_t epoch;
};

static void match_presence(void *arg, const struct presence *presence, uint64_t version)
{
	struct pod_search *search = arg;

	(void)version;
	if (presence->phase == POD_GONE || strcmp(presence->pod_name, search->name) != 0 ||
	    strcmp(presence->object.namespace, search->namespace) != 0)
		return;
	if (search->found && presence->epoch < search->epoch)
		return;
	search->found = true;
	search->epoch = presence->epoch;
	search->place = (struct pod_place){
		.pod = presence->pod_uid,
		.workload = presence->object.uid,
		.machine = presence->node,
		.placed = true,
		.bare = strcmp(presence->object.kind, "Pod") == 0,
	};
}

static void match_ordinal(void *arg, const struct api_object *object)
{
	json_t *json = composer_parse(object);

	*(bool *)arg = kube_is_ordinal(json);
	json_decref(json);
}

static void match_object(void *arg, const struct api_object *object)
{
	struct pod_search *search = arg;

	search->found = true;
	search->place = (struct pod_place){
		.pod = object->uid,
		.workload = object->uid,
		.bare = true,
	};
}

bool compose_find_pod(const struct api_backend *backend, const char *namespace, const char *name,
		      struct pod_place *ret_place)
{
	struct pod_search search = {.namespace = namespace, .name = name};
	struct uid workload;

	if (backend->ops->pod_workload(backend->self, namespace, name, &workload))
		backend->ops->presences(backend->self, &workload, match_presence, &search);
	if (!search.found)
		(void)backend->ops->object(backend->self, "Pod", namespace, name, match_object,
					   &search);
	if (search.found && search.place.bare)
		(void)backend->ops->object_by_uid(backend->self, &search.place.workload,
						  match_ordinal, &search.place.ordinal);
	if (search.place.ordinal)
		search.place.bare = false;
	if (search.found)
		*ret_place = search.place;
	return search.found;
}
