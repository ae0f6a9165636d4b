/* SPDX-License-Identifier: Apache-2.0 */
#include "api/compose.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/roster.h"
#include "base/map.h"
#include "base/mem.h"
#include "kube/admit.h"
#include "kube/deployment.h"
#include "kube/event.h"
#include "kube/node.h"
#include "kube/pod.h"
#include "kube/workload.h"

enum {
	PENDING_AFTER_MS =
		3000,     /* placing takes far less: a slot empty for longer cannot be filled */
	PENDING_MAX = 64, /* shown of one Deployment: replicas may be any number */
	HEARTBEAT_MS = 5 * 60 * 1000, /* as Kubernetes writes it when nothing else changes */
};

struct composer {
	const struct api_backend *backend;
	struct compose_query query;
	struct roster roster;
	struct composed *out;
	enum kube_resource_id id;
};

static const char *const built_in_namespaces[] = {
	"default",
	"kube-node-lease",
	"kube-public",
	"kube-system",
};

static const char *metadata_text(const json_t *object, const char *field)
{
	const char *text =
		json_string_value(json_object_get(json_object_get(object, "metadata"), field));

	return text ? text : "";
}

/* Takes @object over. */
static void add(struct composer *composer, json_t *object, const struct uid *workload,
		uint64_t version)
{
	struct composed *out = composer->out;
	struct composed_item *item;
	struct buf key = {0};

	if (composer->query.name &&
	    strcmp(metadata_text(object, "name"), composer->query.name) != 0) {
		json_decref(object);
		return;
	}
	if (out->count == out->cap) {
		out->cap = out->cap ? 2 * out->cap : 16;
		out->items = mem_resize(out->items, out->cap, sizeof(*out->items));
	}
	kube_set_version(object, version);
	buf_append_format(&key, "%s/%s", metadata_text(object, "namespace"),
			  metadata_text(object, "name"));
	item = &out->items[out->count++];
	*item = (struct composed_item){
		.key = buf_steal(&key),
		.object = object,
		.version = version,
	};
	if (workload)
		item->workload = *workload;
}

static bool in_namespace(const struct composer *composer, const char *namespace)
{
	return !composer->query.namespace || strcmp(composer->query.namespace, namespace) == 0;
}

/* Pods. */

static void set_uid(json_t *object, const struct uid *uid)
{
	json_t *metadata = json_object_get(object, "metadata");
	struct id_text text = uid_text(uid);

	if (metadata)
		(void)json_object_set_new(metadata, "uid", json_string(text.text));
}

static void add_pod(struct composer *composer, const struct roster_pod *pod)
{
	const struct roster_object *object;
	struct presence presence = *pod->presence;
	uint64_t version = pod->version;
	json_t *json;

	if (!in_namespace(composer, presence.object.namespace) || presence.phase == POD_GONE)
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
	/* A bare Pod is one object to its clients, however often it has been placed. */
	if (strcmp(presence.object.kind, "Pod") == 0)
		set_uid(json, &presence.object.uid);
	add(composer, json, &presence.object.uid, version);
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
	json_t *json;

	if (composer->query.workload && !uid_equal(composer->query.workload, &object->uid))
		return;
	if (roster_of(&composer->roster, &object->uid).count)
		return;
	json = json_loadb((const char *)object->json.ptr, object->json.len, 0, NULL);
	if (!json)
		return;
	pending.since = written_at(object);
	add(composer, kube_pod_pending(json, &pending), &object->uid, object->version);
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

static bool slot_is_taken(const struct roster_slice *slice, uint32_t slot)
{
	for (size_t i = 0; i < slice->count; i++) {
		if (slice->presences[i]->slot == slot)
			return true;
	}
	return false;
}

/* A Deployment's slots that nobody has taken. */
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
	unsigned left = PENDING_MAX;
	json_t *json;

	if ((composer->query.workload && !uid_equal(composer->query.workload, &object->uid)) ||
	    backend->ops->now(backend->self).ms - pending.since.ms < PENDING_AFTER_MS)
		return;
	json = json_loadb((const char *)object->json.ptr, object->json.len, 0, NULL);
	slice = roster_of(&composer->roster, &object->uid);
	if (json && kube_workload_read(json, &workload, NULL) == 0) {
		for (uint32_t slot = 0; slot < workload.replicas && left; slot++) {
			if (slot_is_taken(&slice, slot))
				continue;
			left--;
			pending.uid = vacancy_uid(&object->uid, slot);
			add(composer, kube_pod_pending(json, &pending), &object->uid,
			    object->version);
		}
	}
	json_decref(json);
}

static void compose_pods(struct composer *composer)
{
	const struct api_backend *backend = composer->backend;

	roster_load(&composer->roster, backend, composer->query.workload);
	for (size_t i = 0; i < composer->roster.count; i++)
		add_pod(composer, &composer->roster.pods[i]);
	backend->ops->objects(backend->self, "Pod", composer->query.namespace, add_pending,
			      composer);
	backend->ops->objects(backend->self, "Deployment", composer->query.namespace, add_vacancies,
			      composer);
}

/* Deployments and the ReplicaSets that stand for their templates. */

static void add_deployment(void *arg, const struct api_object *object)
{
	struct composer *composer = arg;
	struct roster_slice slice;
	struct kube_pods pods;
	uint64_t version = object->version;
	json_t *json;

	if (composer->query.workload && !uid_equal(composer->query.workload, &object->uid))
		return;
	json = json_loadb((const char *)object->json.ptr, object->json.len, 0, NULL);
	if (!json)
		return;
	slice = roster_of(&composer->roster, &object->uid);
	pods.count = slice.count;
	pods.pods = slice.presences;
	if (slice.version > version)
		version = slice.version;
	add(composer,
	    composer->id == KUBE_REPLICASETS ? kube_replica_set(json, &pods)
					     : kube_deployment(json, &pods),
	    &object->uid, version);
	json_decref(json);
}

static void compose_deployments(struct composer *composer)
{
	const struct api_backend *backend = composer->backend;

	roster_load(&composer->roster, backend, composer->query.workload);
	/* A name is that of the Deployment, unless a ReplicaSet is looked for. */
	if (composer->id == KUBE_DEPLOYMENTS && composer->query.namespace && composer->query.name)
		(void)backend->ops->object(backend->self, "Deployment", composer->query.namespace,
					   composer->query.name, add_deployment, composer);
	else
		backend->ops->objects(backend->self, "Deployment", composer->query.namespace,
				      add_deployment, composer);
}

/* Nodes. */

/* A live machine is heard of all the time; that must not make it a changed object all the time. */
static struct wall heartbeat(const struct api_member *member)
{
	struct wall heard = member->seen;

	if (member->alive)
		heard.ms -= heard.ms % HEARTBEAT_MS;
	return heard.ms < member->joined.ms ? member->joined : heard;
}

static void add_node(void *arg, const struct api_member *member)
{
	struct composer *composer = arg;
	struct kube_node_view view = {
		.is_ready = member->alive,
		.last_heard = heartbeat(member),
		.ready_since = member->joined,
		.resource_version = member->version,
	};

	add(composer, kube_node(member->facts, &view), NULL, member->version);
}

/* Namespaces exist by being used. */

struct namespaces {
	struct map names; /* namespace -> itself */
	struct wall oldest;
};

static void note_namespace(struct namespaces *namespaces, const char *name)
{
	if (*name && !map_get(&namespaces->names, bytes_str(name)))
		(void)map_put(&namespaces->names, bytes_str(name), mem_strdup(name));
}

static void note_object_namespace(void *arg, const struct api_object *object)
{
	bool is_namespace = strcmp(object->kind, "Namespace") == 0;

	note_namespace(arg, is_namespace ? object->name : object->namespace);
}

static void note_age(void *arg, const struct api_member *member)
{
	struct namespaces *namespaces = arg;

	if (member->joined.ms &&
	    (!namespaces->oldest.ms || member->joined.ms < namespaces->oldest.ms))
		namespaces->oldest = member->joined;
}

static void add_stored_namespace(void *arg, const struct api_object *object)
{
	struct composer *composer = arg;
	json_t *json = json_loadb((const char *)object->json.ptr, object->json.len, 0, NULL);
	json_t *status = json_pack("{s:s}", "phase", "Active");

	if (json) {
		(void)json_object_set(json, "status", status);
		add(composer, json, NULL, object->version);
	}
	json_decref(status);
}

static void compose_namespaces(struct composer *composer)
{
	const struct api_backend *backend = composer->backend;
	struct namespaces namespaces = {0};

	map_init(&namespaces.names, 1);
	for (size_t i = 0; i < ARRAY_LEN(built_in_namespaces); i++)
		note_namespace(&namespaces, built_in_namespaces[i]);
	backend->ops->objects(backend->self, NULL, NULL, note_object_namespace, &namespaces);
	backend->ops->members(backend->self, note_age, &namespaces);
	map_for_each (entry, &namespaces.names) {
		char *name = entry->value;

		if (!backend->ops->object(backend->self, "Namespace", "", name,
					  add_stored_namespace, composer))
			add(composer, kube_namespace(name, namespaces.oldest), NULL, 1);
		free(name);
	}
	map_deinit(&namespaces.names);
}

bool compose_namespace_is_built_in(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(built_in_namespaces); i++) {
		if (strcmp(name, built_in_namespaces[i]) == 0)
			return true;
	}
	return false;
}

/* Events. */

static void note_uid(void *arg, const struct api_object *object)
{
	*(struct uid *)arg = object->uid;
}

/* The uid that clients see: a bare Pod's is its object's, not that of one placement. */
static struct uid involved_uid(const struct api_backend *backend, const struct api_event *event)
{
	struct uid uid = event->uid;

	if (strcmp(event->kind, "Pod") == 0)
		(void)backend->ops->object(backend->self, "Pod", event->namespace, event->name,
					   note_uid, &uid);
	return uid;
}

static void add_event(void *arg, const struct api_event *event)
{
	struct composer *composer = arg;
	struct uid about = involved_uid(composer->backend, event);
	struct id_text uid = uid_text(&about);
	const char *version = strcmp(event->kind, "Deployment") == 0 ? "apps/v1" : "v1";
	uint8_t random[UID_LEN];
	struct kube_event view = {
		.reason = event->reason,
		.message = event->message,
		.is_warning = strcmp(event->type, "Warning") == 0,
		.count = event->count ? event->count : 1,
		.first = event->first,
		.last = event->last,
		.component = event->source_component,
		.host = event->source_host,
		.resource_version = (uint64_t)event->last.ms << 16,
	};
	json_t *involved =
		json_pack("{s:s, s:s, s:{s:s, s:s, s:s}}", "apiVersion", version, "kind",
			  event->kind, "metadata", "name", event->name, "namespace",
			  event->namespace, "uid", uid_is_none(&about) ? event->name : uid.text);

	memcpy(random, &event->serial, sizeof(event->serial));
	memcpy(random + 8, &event->first.ms, 8);
	view.uid = uid_from_random(random);
	view.involved = involved;
	if (involved)
		add(composer, kube_event(&view), NULL, view.resource_version);
	json_decref(involved);
}

static int by_key(const void *a, const void *b)
{
	const struct composed_item *left = a, *right = b;

	return strcmp(left->key, right->key);
}

/* Every other resource is inert: always empty. */
static void compose_any(struct composer *composer)
{
	const struct api_backend *backend = composer->backend;

	if (composer->id == KUBE_PODS)
		compose_pods(composer);
	else if (composer->id == KUBE_DEPLOYMENTS || composer->id == KUBE_REPLICASETS)
		compose_deployments(composer);
	else if (composer->id == KUBE_NODES)
		backend->ops->members(backend->self, add_node, composer);
	else if (composer->id == KUBE_NAMESPACES)
		compose_namespaces(composer);
	else if (composer->id == KUBE_EVENTS)
		backend->ops->events(backend->self, composer->query.namespace, add_event, composer);
}

void compose(const struct api_backend *backend, enum kube_resource_id id,
	     const struct compose_query *query, struct composed *ret_composed)
{
	struct composer composer = {
		.backend = backend,
		.query = *query,
		.out = ret_composed,
		.id = id,
	};

	*ret_composed = (struct composed){0};
	compose_any(&composer);
	roster_deinit(&composer.roster);
	if (ret_composed->count)
		qsort(ret_composed->items, ret_composed->count, sizeof(*ret_composed->items),
		      by_key);
}

void composed_deinit(struct composed *composed)
{
	for (size_t i = 0; i < composed->count; i++) {
		free(composed->items[i].key);
		json_decref(composed->items[i].object);
	}
	free(composed->items);
	*composed = (struct composed){0};
}

json_t *compose_one(const struct api_backend *backend, enum kube_resource_id id,
		    const char *namespace, const char *name)
{
	struct compose_query query = {.namespace = namespace, .name = name};
	struct composed composed;
	json_t *object = NULL;

	compose(backend, id, &query, &composed);
	if (composed.count)
		object = json_incref(composed.items[0].object);
	composed_deinit(&composed);
	return object;
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

	backend->ops->presences(backend->self, NULL, match_presence, &search);
	if (!search.found)
		(void)backend->ops->object(backend->self, "Pod", namespace, name, match_object,
					   &search);
	if (search.found)
		*ret_place = search.place;
	return search.found;
}
