/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes: from "something about this workload changed" to entries of the watch logs.
 *
 * The backend names what changed; here the objects concerned are composed again and compared with
 * the view of each log, which tells what was added, modified or deleted. Changes within one turn of
 * the loop are handled together. A resource that nobody lists or watches has no log and costs
 * nothing.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "api/compose.h"
#include "api/gateway.h"
#include "api/touched.h"
#include "base/mem.h"
#include "kube/member.h"
#include "kube/statefulset.h"
#include "kube/workload.h"

enum {
	HOUSEKEEPING_MS = 60 * 1000,
	LOG_UNUSED_MS = 5 * 60 * 1000, /* longer than any client waits between list and watch */
	REST_SHARE = 4,                /* after a turn, so many times its duration is for others: a
					* rollout of a thousand pods must not take all of the processor */
	REST_MS_MAX = 1000, /* watchers are not further behind than that, and lists never */
	AGAIN_MS = COMPOSE_PENDING_MS + 500, /* a pod that nobody takes shows only a while after
					      * it was asked for, and no change tells of that */
};

struct changes {
	struct touched workloads;
	bool any_workload, members, events;
	struct touched young;   /* made so recently that what they lack does not show yet */
	struct touched again;   /* of these, those to be looked at once more in this turn */
	uint64_t rest_until_ms; /* loop time */
};

struct changes *changes_new(void)
{
	struct changes *changes = mem_new(struct changes);

	touched_init(&changes->workloads);
	touched_init(&changes->young);
	touched_init(&changes->again);
	return changes;
}

void changes_free(struct changes *changes)
{
	touched_deinit(&changes->workloads);
	touched_deinit(&changes->young);
	touched_deinit(&changes->again);
	free(changes);
}

static bool any_log(const struct api *api)
{
	for (size_t i = 0; i < KUBE_RESOURCE_COUNT; i++) {
		if (api->logs[i])
			return true;
	}
	return false;
}

static int append_json(const char *buffer, size_t size, void *data)
{
	buf_append(data, buffer, size);
	return 0;
}

static void append_value(struct buf *out, const json_t *value)
{
	if (json_dump_callback(value, append_json, out, JSON_COMPACT | JSON_ENCODE_ANY) != 0)
		abort(); /* only memory can be short: composed objects are valid */
}

static void append_key(struct buf *out, const char *key)
{
	json_t *name = json_string(key);

	buf_append_str(out, out->len ? "," : "{");
	append_value(out, name);
	buf_append_str(out, ":");
	json_decref(name);
}

/* The object as text, and what rows of Tables are made of, for lists: to parse ten thousand texts
 * again for each would take most of the time of a list. */
static struct watch_text *text_of(enum kube_resource_id id, const struct composed_item *item)
{
	struct buf json = {0};
	struct watch_text *text;
	size_t metadata_at = 0, metadata_len = 0;
	const char *key;
	json_t *value;

	json_object_foreach (item->object, key, value) {
		bool is_metadata = strcmp(key, "metadata") == 0;

		append_key(&json, key);
		metadata_at = is_metadata ? json.len : metadata_at;
		append_value(&json, value);
		metadata_len = is_metadata ? json.len - metadata_at : metadata_len;
	}
	buf_append_str(&json, "}");
	text = watch_text_new(buf_cstr(&json), json.len, &item->workload, item->version);
	text->metadata_at = metadata_at;
	text->metadata_len = metadata_len;
	kube_cells(kube_resource(id), item->object, &text->cells);
	buf_deinit(&json);
	return text;
}

/* What one resource, or one workload's part of it, looks like now. */
struct shown {
	struct watch_log *log;
	enum kube_resource_id id;
	struct shown_item {
		char *key;
		struct watch_text *text;
		bool another; /* under the name of one that is in the view */
	} * items;
	size_t count, cap;
};

static int by_key(const void *a, const void *b)
{
	const struct shown_item *left = a, *right = b;

	return strcmp(left->key, right->key);
}

static bool has_key(const struct shown *shown, const char *key)
{
	size_t low = 0, high = shown->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(shown->items[middle].key, key);

		if (order == 0)
			return true;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

static void note_if_gone(const struct shown *shown, const char *before, uint64_t version)
{
	char *key;

	if (has_key(shown, before))
		return;
	key = mem_strdup(before); /* the entry's own goes with it */
	(void)watch_log_note(shown->log, key, NULL, version);
	free(key);
}

/* Note the disappearance of everything in the view that is not in @shown any more. */
static void note_gone(const struct shown *shown, const struct uid *workload, uint64_t version)
{
	const struct watch_workload *of;
	size_t left = 0;

	if (!workload) {
		map_for_each (entry, &shown->log->view)
			note_if_gone(shown, ((const struct watch_entry *)entry->value)->key,
				     version);
		return;
	}
	of = watch_log_workload(shown->log, workload);
	if (!of)
		return;
	list_for_each (it, &of->entries)
		left++;
	/* With its last entry the list itself goes: counted, not compared with its head. */
	for (struct list *it = of->entries.next, *next; left > 0; left--, it = next) {
		next = it->next;
		note_if_gone(shown, list_entry(it, struct watch_entry, in_workload)->key, version);
	}
}

/* Another pod under the name of the one before: an ordinal of a StatefulSet. Who waits for the old
 * one to be deleted must see that it is. */
static bool is_another(struct watch_log *log, const struct composed_item *item)
{
	const json_t *before;

	if (!kube_is_ordinal(item->object))
		return false;
	before = watch_log_parse(log, watch_log_find(log, item->key));
	return before && strcmp(kube_member_string(before, "metadata.uid"),
				kube_member_string(item->object, "metadata.uid")) != 0;
}

static void show(void *arg, const struct composed_item *item)
{
	struct shown *shown = arg;

	if (shown->count == shown->cap) {
		shown->cap = shown->cap ? 2 * shown->cap : 16;
		shown->items = mem_resize(shown->items, shown->cap, sizeof(*shown->items));
	}
	shown->items[shown->count++] = (struct shown_item){
		.key = mem_strdup(item->key),
		.text = text_of(shown->id, item),
		.another = is_another(shown->log, item),
	};
}

/* Compose one resource again, all of it or one workload's part, and note what differs. */
static void refresh(struct api *api, enum kube_resource_id id, const struct uid *workload)
{
	struct shown shown = {.log = api->logs[id], .id = id};
	struct compose_query query = {.workload = workload};

	if (!shown.log)
		return;
	compose_each(&api->backend, id, &query, show, &shown);
	if (shown.count)
		qsort(shown.items, shown.count, sizeof(*shown.items), by_key);
	note_gone(&shown, workload, api->backend.ops->version(api->backend.self));
	for (size_t i = 0; i < shown.count; i++) {
		struct shown_item *item = &shown.items[i];
		uint64_t version = item->text->version;

		if (item->another)
			(void)watch_log_note(shown.log, item->key, NULL, version);
		(void)watch_log_note(shown.log, item->key, item->text, version);
		free(item->key);
	}
	free(shown.items);
}

/* Nodes and events are no records; everything else may show what was stored. */
static bool shows_records(enum kube_resource_id id)
{
	return id != KUBE_NODES && id != KUBE_LEASES && id != KUBE_EVENTS;
}

static void refresh_stored(struct api *api, enum kube_resource_id id,
			   const struct touched *workloads)
{
	/* A Service selects pods of any workload. */
	if (workloads->all || id == KUBE_NAMESPACES || id == KUBE_ENDPOINTS ||
	    id == KUBE_ENDPOINTSLICES) {
		refresh(api, id, NULL);
		return;
	}
	for (size_t i = 0; i < workloads->count; i++)
		refresh(api, id, &workloads->list[i]);
}

static void refresh_workloads(struct api *api, const struct touched *workloads)
{
	for (size_t i = 0; i < KUBE_RESOURCE_COUNT; i++) {
		enum kube_resource_id id = (enum kube_resource_id)i;

		if (api->logs[id] && shows_records(id))
			refresh_stored(api, id, workloads);
	}
}

/* Which machines are alive, as one number: the order of members does not matter. */
static void add_liveness(void *arg, const struct api_member *member)
{
	uint64_t *sum = arg, part;

	memcpy(&part, member->id.byte, sizeof(part));
	*sum += part * (member->alive ? 3 : 1);
}

/* Facts change often and concern nodes only; a machine that comes or goes concerns its pods. */
static bool liveness_changed(struct api *api)
{
	uint64_t sum = 0;
	bool changed;

	api->backend.ops->members(api->backend.self, add_liveness, &sum);
	changed = sum != api->liveness;
	api->liveness = sum;
	return changed;
}

/* What one touched object leads to. */
struct lead {
	struct api *api;
	struct touched *touched;
};

/* The time of writing is in the upper 48 bits of the hybrid clock. */
static bool is_young(const struct api *api, const struct api_object *object)
{
	int64_t now_ms = api->backend.ops->now(api->backend.self).ms;

	return now_ms - (int64_t)(object->version >> 16) < COMPOSE_PENDING_MS &&
	       (strcmp(object->kind, "Pod") == 0 || strcmp(object->kind, "ReplicaSet") == 0);
}

static void look_again_later(struct api *api);

static void note_young(void *arg, const struct api_object *object)
{
	struct api *api = arg;

	if (!is_young(api, object))
		return;
	touched_add(&api->changes->young, &object->uid);
	look_again_later(api);
}

static void note_all_young(struct api *api)
{
	const struct api_backend *backend = &api->backend;

	backend->ops->objects(backend->self, "Pod", NULL, note_young, api);
	backend->ops->objects(backend->self, "ReplicaSet", NULL, note_young, api);
}

/* What belongs to another object shows in that one's status: a ReplicaSet in its Deployment's. */
static void follow_object(void *arg, const struct api_object *object)
{
	const struct lead *lead = arg;
	const json_t *owner;
	struct uid uid;
	json_t *json;

	note_young(lead->api, object);
	if (!kube_says_controlled(object->json))
		return;
	json = json_loadb((const char *)object->json.ptr, object->json.len, 0, NULL);
	owner = kube_controller_of(json);
	if (owner && uid_parse(kube_member_string(owner, "uid"), &uid))
		touched_add(lead->touched, &uid);
	json_decref(json);
}

static void follow_objects(struct api *api, struct touched *workloads)
{
	const struct api_backend *backend = &api->backend;
	struct lead lead = {api, workloads};

	/* Owners are added behind, and looked at in turn. */
	if (workloads->all)
		note_all_young(api);
	for (size_t i = 0; i < workloads->count; i++) {
		struct uid uid = workloads->list[i];

		if (!backend->ops->object_by_uid(backend->self, &uid, follow_object, &lead))
			(void)backend->ops->buried(backend->self, &uid, follow_object, &lead);
	}
}

/* Of @again, what was not composed with @workloads; it may still be too young. */
static void refresh_again(struct api *api, const struct touched *again,
			  const struct touched *workloads)
{
	const struct api_backend *backend = &api->backend;

	if (again->all && !workloads->all) {
		refresh(api, KUBE_PODS, NULL);
		note_all_young(api);
	}
	for (size_t i = 0; i < again->count; i++) {
		const struct uid *uid = &again->list[i];

		if (touched_has(workloads, uid))
			continue;
		refresh(api, KUBE_PODS, uid);
		(void)backend->ops->object_by_uid(backend->self, uid, note_young, api);
	}
}

/* Bring all logs up to date with the backend. */
static void changes_collect(struct api *api)
{
	struct changes *changes = api->changes;
	struct touched workloads = touched_take(&changes->workloads);
	struct touched again = touched_take(&changes->again);
	bool any = changes->any_workload, members = changes->members, events = changes->events;
	uint64_t began_ns = uv_hrtime(), rest_ms;

	changes->any_workload = changes->members = changes->events = false;
	if (members && liveness_changed(api))
		any = workloads.all = true;
	follow_objects(api, &workloads);
	if (any)
		refresh_workloads(api, &workloads);
	refresh_again(api, &again, &workloads);
	if (members) {
		refresh(api, KUBE_NODES, NULL);
		refresh(api, KUBE_LEASES, NULL);
	}
	/* Pods that wait, and claims, are remarked upon as well. */
	if (events || any || touched_any(&again))
		refresh(api, KUBE_EVENTS, NULL);
	touched_deinit(&workloads);
	touched_deinit(&again);
	rest_ms = REST_SHARE * (uv_hrtime() - began_ns) / 1000000;
	changes->rest_until_ms =
		uv_now(api->loop) + (rest_ms < REST_MS_MAX ? rest_ms : REST_MS_MAX);
}

static void changes_apply(uv_timer_t *timer)
{
	struct api *api = timer->data;

	changes_collect(api);
	for (size_t i = 0; i < KUBE_RESOURCE_COUNT; i++) {
		if (api->logs[i])
			watch_feed(api, (enum kube_resource_id)i);
	}
}

static void changes_schedule(struct api *api)
{
	uint64_t now = uv_now(api->loop), until = api->changes->rest_until_ms;

	if (!api->closing && !uv_is_active((uv_handle_t *)&api->turn))
		(void)uv_timer_start(&api->turn, changes_apply, until > now ? until - now : 0, 0);
}

static void look_again(uv_timer_t *timer)
{
	struct api *api = timer->data;
	struct changes *changes = api->changes;

	touched_add_all(&changes->again, &changes->young);
	touched_deinit(&changes->young);
	changes_schedule(api);
}

static void look_again_later(struct api *api)
{
	if (!api->closing && !uv_is_active((uv_handle_t *)&api->again))
		(void)uv_timer_start(&api->again, look_again, AGAIN_MS, 0);
}

void api_workload_changed(struct api *api, const struct uid *workload)
{
	struct changes *changes = api->changes;

	if (!any_log(api))
		return;
	changes->any_workload = true;
	touched_add(&changes->workloads, workload);
	changes_schedule(api);
}

void api_members_changed(struct api *api)
{
	if (!any_log(api))
		return;
	api->changes->members = true;
	changes_schedule(api);
}

void api_events_changed(struct api *api)
{
	if (!any_log(api))
		return;
	api->changes->events = true;
	changes_schedule(api);
}

/* Give back the memory of logs that nobody has asked for lately. */
static void housekeep(uv_timer_t *timer)
{
	struct api *api = timer->data;
	uint64_t now = uv_now(api->loop);

	for (size_t i = 0; i < KUBE_RESOURCE_COUNT; i++) {
		struct watch_log *log = api->logs[i];

		if (!log || watch_is_used(api, (enum kube_resource_id)i) ||
		    now - log->used_ms < LOG_UNUSED_MS)
			continue;
		watch_log_free(log);
		api->logs[i] = NULL;
	}
	if (!any_log(api))
		(void)uv_timer_stop(timer);
}

static void seed(void *arg, const struct composed_item *item)
{
	const struct shown *shown = arg;

	watch_log_seed(shown->log, item->key, text_of(shown->id, item));
}

struct watch_log *changes_log(struct api *api, enum kube_resource_id id)
{
	struct compose_query everything = {0};
	struct shown shown = {.id = id};

	changes_collect(api);
	changes_schedule(api); /* what was just collected must reach the watches */
	if (!api->logs[id]) {
		api->logs[id] = watch_log_new(api->backend.ops->version(api->backend.self));
		shown.log = api->logs[id];
		compose_each(&api->backend, id, &everything, seed, &shown);
		if (id == KUBE_PODS || id == KUBE_EVENTS) /* who was asked for before, too */
			note_all_young(api);
	}
	api->logs[id]->used_ms = uv_now(api->loop);
	if (!api->closing && !uv_is_active((uv_handle_t *)&api->housekeeping))
		(void)uv_timer_start(&api->housekeeping, housekeep, HOUSEKEEPING_MS,
				     HOUSEKEEPING_MS);
	return api->logs[id];
}
