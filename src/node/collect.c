/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Collecting: what goes because something else went, or goes.
 *
 *  - Objects that are being deleted (kube/deletion.h): their controller is shown what hangs on them
 *    and carries out what control/deletion.c says, again with every change, until they are gone.
 *  - Dependents of deleted owners: an object all of whose ownerReferences name deleted objects is
 *    deleted by its own controller. An owner counts as deleted only when its tombstone is known:
 *    one that is merely not known here may live. Where not everything is kept here, unknown owners
 *    are asked for from time to time.
 *  - What was written into a namespace before its end and arrives after it. What is written later
 *    belongs to whoever uses the name again.
 *  - The younger of two objects of one name. Whoever has not heard yet that the older one is
 * deleted sees two as well, so nothing is done about it until tombstones have had the time to come.
 *
 * By whom an object is owned is read from its bytes when it comes (@dependents, owner -> who names
 * it); that is a hint, which is checked on the object itself before anything is done.
 */
#include "node/internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/mem.h"
#include "control/control.h"
#include "kube/claim.h"
#include "kube/deletion.h"
#include "kube/member.h"
#include "kube/resource.h"

enum {
	COLLECT_PAUSE_MS = 50,   /* changes are gathered for so long: each look costs a scan */
	COLLECT_AGAIN_MS = 1000, /* while something is being deleted: whose task it is changes */
	COLLECT_SWEEP_MS = 60 * 1000, /* owners that are not known here are asked for so often, */
	COLLECT_FETCHES_MAX = 16,     /* so many at a time */
	COLLECT_CLASH_MS = 10 * 1000, /* by then those who have met have compared what they have, */
	COLLECT_NEWS_MS = 5 * 1000,   /* if nothing old has come for so long: a tombstone of the
				       * older one may be on its way */
	COLLECT_OWNERS_MAX = 16,      /* of one object: more are no owners */
};

struct uid_list {
	struct uid *list;
	size_t count;
};

/* An object that is being deleted. */
struct dying {
	struct uid_list seen; /* its dependents, also those that are gone by now */
	/* A Namespace, where not everything is kept here: what lies in it is brought kind by kind.
	 */
	unsigned kind;  /* that is asked for, as enum kube_resource_id */
	uint64_t token; /* of that; 0: none is under way */
	bool complete;  /* nothing was missed since the first kind was asked for */
	bool swept;     /* all kinds have been, and nothing was found */
};

static void uid_list_add(struct uid_list *uids, const struct uid *uid)
{
	for (size_t i = 0; i < uids->count; i++)
		if (uid_equal(&uids->list[i], uid))
			return;
	if (uids->count % 8 == 0)
		uids->list = mem_resize(uids->list, uids->count + 8, sizeof(*uids->list));
	uids->list[uids->count++] = *uid;
}

static void uid_list_remove(struct uid_list *uids, const struct uid *uid)
{
	for (size_t i = 0; i < uids->count; i++)
		if (uid_equal(&uids->list[i], uid))
			uids->list[i--] = uids->list[--uids->count];
}

static void uid_list_free(struct uid_list *uids)
{
	if (uids)
		free(uids->list);
	free(uids);
}

static void dying_free(struct dying *dying)
{
	if (dying)
		free(dying->seen.list);
	free(dying);
}

void node_collect_init(struct node *node, struct mono now)
{
	map_init(&node->dying, node->config.seed);
	map_init(&node->dependents, node->config.seed);
	map_init(&node->ended, node->config.seed);
	map_init(&node->clashes, node->config.seed);
	node->collect_due = MONO_NEVER;
	node->collect_sweep = mono_add_ms(now, COLLECT_SWEEP_MS);
}

void node_collect_deinit(struct node *node)
{
	map_for_each (entry, &node->dying)
		dying_free(entry->value);
	map_deinit(&node->dying);
	map_for_each (entry, &node->dependents)
		uid_list_free(entry->value);
	map_deinit(&node->dependents);
	map_for_each (entry, &node->ended)
		free(entry->value);
	map_deinit(&node->ended);
	map_for_each (entry, &node->clashes)
		free(entry->value);
	map_deinit(&node->clashes);
}

static void due(struct node *node, int64_t ms)
{
	node->collect_due = mono_min(node->collect_due, mono_add_ms(node->last, ms));
}

/* ---- what comes and goes ---- */

/* The owners that an object's bytes seem to name. In a text value the quotes are escaped, so that
 * only a member is found; it may be one of a template. Returns how many. */
static size_t owners_of(struct bytes json, struct uid *ret_owners)
{
	static const char key[] = "\"ownerReferences\":";
	const uint8_t *at = json.ptr, *end = json.ptr + json.len;
	size_t count = 0;

	while ((at = memmem(at, (size_t)(end - at), key, sizeof(key) - 1)) != NULL) {
		json_t *owners, *owner;
		size_t i;

		at += sizeof(key) - 1;
		owners = json_loadb((const char *)at, (size_t)(end - at), JSON_DISABLE_EOF_CHECK,
				    NULL);
		json_array_foreach (owners, i, owner)
			count += count < COLLECT_OWNERS_MAX &&
				 uid_parse(kube_member_string(owner, "uid"), &ret_owners[count]);
		json_decref(owners);
	}
	return count;
}

static void link_owners(struct node *node, const struct record *record)
{
	struct uid owners[COLLECT_OWNERS_MAX];
	size_t count = owners_of(bytes_buf(&record->value), owners);

	for (size_t i = 0; i < count; i++) {
		struct uid_list *uids = map_get(&node->dependents, uid_bytes(&owners[i]));

		if (!uids) {
			uids = mem_new(struct uid_list);
			(void)map_put(&node->dependents, uid_bytes(&owners[i]), uids);
		}
		uid_list_add(uids, &record->key.uid);
		if (records_is_deleted(node->records, &owners[i]))
			due(node, 0);
	}
}

static void unlink_owners(struct node *node, const struct record *record)
{
	struct uid owners[COLLECT_OWNERS_MAX];
	size_t count = owners_of(bytes_buf(&record->value), owners);

	for (size_t i = 0; i < count; i++) {
		struct uid_list *uids = map_get(&node->dependents, uid_bytes(&owners[i]));

		if (!uids)
			continue;
		uid_list_remove(uids, &record->key.uid);
		if (uids->count == 0)
			uid_list_free(map_remove(&node->dependents, uid_bytes(&owners[i])));
	}
}

/* Was it written before its namespace was deleted? Whoever has seen that writes with a later clock.
 */
static bool is_late(const struct node *node, const struct record *record)
{
	const uint64_t *ended = map_get(&node->ended, bytes_str(record->object.namespace));
	uint64_t created = record->created_hlc ? record->created_hlc : record->version.hlc;

	return ended && created < *ended;
}

static void namespace_ended(struct node *node, const struct record *tombstone)
{
	struct bytes name = bytes_str(tombstone->object.name);
	const uint64_t *known = map_get(&node->ended, name);
	uint64_t hlc = tombstone->version.hlc;

	if (known && *known >= hlc)
		return;
	free(map_put(&node->ended, name, mem_copy(&hlc, sizeof(hlc))));
	node->ended_dirty = true;
	due(node, 0);
}

static void namespace_forgotten(struct node *node, const struct record *tombstone)
{
	struct bytes name = bytes_str(tombstone->object.name);
	const uint64_t *known = map_get(&node->ended, name);

	if (known && *known == tombstone->version.hlc)
		free(map_remove(&node->ended, name));
}

static void tombstone_changed(struct node *node, const struct record *record, bool here)
{
	bool of_namespace = strcmp(record->object.kind, "Namespace") == 0;

	if (of_namespace && here)
		namespace_ended(node, record);
	else if (of_namespace)
		namespace_forgotten(node, record);
	if (here && map_get(&node->dependents, uid_bytes(&record->key.uid)))
		due(node, 0);
}

static void object_changed(struct node *node, const struct record *record, bool here)
{
	static const char mark[] = "\"deletionTimestamp\":\"";
	struct bytes key = uid_bytes(&record->key.uid);

	if (!here) {
		dying_free(map_remove(&node->dying, key));
		unlink_owners(node, record);
		return;
	}
	link_owners(node, record);
	if (is_late(node, record)) {
		node->ended_dirty = true;
		due(node, 0);
	}
	if (!map_get(&node->dying, key) &&
	    memmem(record->value.ptr, record->value.len, mark, sizeof(mark) - 1))
		(void)map_put(&node->dying, key, mem_new(struct dying));
}

void node_collect_changed(struct node *node, const struct record *record,
			  enum records_change change)
{
	bool here = change == RECORDS_ADDED || change == RECORDS_MODIFIED;

	if (record->key.kind == RECORD_OBJECT)
		object_changed(node, record, here);
	else if (record->key.kind == RECORD_TOMBSTONE)
		tombstone_changed(node, record, here);
	if (node->dying.count)
		due(node, COLLECT_PAUSE_MS);
}

void node_collect_clash(struct node *node, const struct uid *uid)
{
	int64_t wait_ms = fault_is_planted(FAULT_CLASH) ? 0 : COLLECT_CLASH_MS;
	struct mono at = mono_add_ms(node->last, wait_ms);

	if (map_get(&node->clashes, uid_bytes(uid)))
		return;
	(void)map_put(&node->clashes, uid_bytes(uid), mem_copy(&at, sizeof(at)));
	node->collect_due = mono_min(node->collect_due, at);
}

/* ---- what hangs on an object that is being deleted ---- */

struct sight {
	struct control_object *objects;
	size_t object_count;
	struct presence *presences;
	struct control_pod *pods;
	size_t pod_count;
};

static const struct record_item *object_item(const struct node *node, const struct uid *uid)
{
	return records_get(node->records, &(struct record_key){.kind = RECORD_OBJECT, .uid = *uid});
}

static json_t *parse(const struct record_item *item)
{
	return json_loadb((const char *)item->record.value.ptr, item->record.value.len, 0, NULL);
}

/* Borrows the record's names; the json, if any, is the sight's. */
static struct control_object object_of(const struct record_item *item, json_t *json)
{
	return (struct control_object){
		.ref = item->record.object,
		.json = json,
		.generation = item->record.version.generation,
		.hlc = item->record.version.hlc,
		.written_ms = item->record.written_ms,
	};
}

static void see_object(struct sight *sight, const struct record_item *item, json_t *json)
{
	if (sight->object_count % 16 == 0)
		sight->objects = mem_resize(sight->objects, sight->object_count + 16,
					    sizeof(*sight->objects));
	sight->objects[sight->object_count++] = object_of(item, json);
}

static void see_pod(struct sight *sight, const struct record_item *item)
{
	struct presence presence;

	if (item->record.gone || presence_decode(bytes_buf(&item->record.value), &presence) != 0)
		return;
	if (sight->pod_count % 16 == 0)
		sight->presences = mem_resize(sight->presences, sight->pod_count + 16,
					      sizeof(*sight->presences));
	sight->presences[sight->pod_count++] = presence;
}

static void see_pods_of(const struct node *node, struct sight *sight, const struct uid *uid)
{
	const struct record_item *item;
	size_t position = 0;

	while ((item = records_next(node->records, RECORD_PRESENCE, NULL, uid, &position)))
		see_pod(sight, item);
}

static void see_dependents(const struct node *node, struct sight *sight, struct dying *dying,
			   const struct uid *uid)
{
	const struct uid_list *uids = map_get(&node->dependents, uid_bytes(uid));

	for (size_t i = 0; uids && i < uids->count; i++)
		uid_list_add(&dying->seen, &uids->list[i]);
	see_pods_of(node, sight, uid);
	for (size_t i = 0; i < dying->seen.count; i++) {
		const struct record_item *item = object_item(node, &dying->seen.list[i]);
		json_t *json = item ? parse(item) : NULL;

		if (json)
			see_object(sight, item, json);
		see_pods_of(node, sight, &dying->seen.list[i]);
	}
}

static void see_namespace(const struct node *node, struct sight *sight, const char *name)
{
	const struct record_item *item;
	size_t position = 0;

	while ((item = records_next(node->records, RECORD_OBJECT, NULL, NULL, &position)))
		if (strcmp(item->record.object.namespace, name) == 0)
			see_object(sight, item, NULL);
	position = 0;
	while ((item = records_next(node->records, RECORD_PRESENCE, NULL, NULL, &position)))
		if (strcmp(item->record.object.namespace, name) == 0)
			see_pod(sight, item);
}

static void see_machines(const struct node *node, struct sight *sight)
{
	sight->pods = node_control_pods(node, sight->presences, sight->pod_count);
}

static void sight_deinit(struct sight *sight)
{
	for (size_t i = 0; i < sight->object_count; i++)
		json_decref((json_t *)(uintptr_t)sight->objects[i].json);
	for (size_t i = 0; i < sight->pod_count; i++)
		presence_deinit(&sight->presences[i]);
	free(sight->objects);
	free(sight->presences);
	free(sight->pods);
}

/* ---- where not everything is kept here ---- */

static bool is_swept_kind(unsigned kind)
{
	const struct kube_resource *resource = kube_resource((enum kube_resource_id)kind);

	return resource->namespaced && (resource->verbs & KUBE_VERB_DELETE);
}

/* Ask for what of the next kind lies in the namespace @name. */
static void sweep(struct node *node, struct mono now, struct dying *dying, const char *name)
{
	struct node_scope scope = {.namespace = name};

	if (dying->token)
		return;
	if (dying->kind == 0)
		dying->complete = true;
	while (dying->kind < KUBE_RESOURCE_COUNT && !is_swept_kind(dying->kind))
		dying->kind++;
	if (dying->kind == KUBE_RESOURCE_COUNT) {
		dying->kind = 0;
		dying->swept = dying->complete;
		return;
	}
	scope.kind = kube_resource((enum kube_resource_id)dying->kind++)->kind;
	node_refresh_begin(node, now, &scope, &dying->token);
}

bool node_collect_refreshed(struct node *node, uint64_t token, bool complete)
{
	map_for_each (entry, &node->dying) {
		struct dying *dying = entry->value;

		if (dying->token != token)
			continue;
		dying->token = 0;
		dying->complete = dying->complete && complete;
		due(node, 0);
		return true;
	}
	return false;
}

/* Is all here that lies in the namespace @name and matters? */
static bool namespace_is_here(struct node *node, struct mono now, struct dying *dying,
			      bool some_left, const char *name)
{
	if (!node_index_is_used(node))
		return true;
	if (some_left)
		dying->swept = false;
	else if (!dying->swept)
		sweep(node, now, dying, name);
	return dying->swept;
}

/* Something is to be done with its dependents first, and others may keep them. */
static bool waits_for_dependents(const json_t *json)
{
	return kube_has_finalizer(json, KUBE_FINALIZER_ORPHAN) ||
	       kube_has_finalizer(json, KUBE_FINALIZER_FOREGROUND);
}

static bool sees_dependents(const struct sight *sight, const struct uid *owner)
{
	for (size_t i = 0; i < sight->object_count; i++)
		if (kube_depends_on(sight->objects[i].json, owner))
			return true;
	return false;
}

/* ---- what is done ---- */

static void carry_out(struct node *node, struct mono now, const struct control_verdict *verdict)
{
	for (size_t i = 0; i < verdict->count; i++)
		node_control_step(node, now, &verdict->steps[i]);
}

static void go_on(struct node *node, struct mono now, struct dying *dying,
		  const struct record_item *item, json_t *json)
{
	struct control_verdict verdict = {.due = CONTROL_NEVER};
	struct control_object root = object_of(item, json);
	bool is_namespace = strcmp(root.ref.kind, "Namespace") == 0, whole = true;
	struct control_view view = {.root = &root, .now = node_fabric_time(node, now)};
	struct sight sight = {0};

	if (is_namespace)
		see_namespace(node, &sight, root.ref.name);
	else
		see_dependents(node, &sight, dying, &root.ref.uid);
	see_machines(node, &sight);
	if (is_namespace)
		whole = namespace_is_here(node, now, dying, sight.object_count > 0, root.ref.name);
	else if (waits_for_dependents(json))
		whole = namespace_is_here(node, now, dying, sees_dependents(&sight, &root.ref.uid),
					  root.ref.namespace);
	view.family = sight.objects;
	view.family_count = sight.object_count;
	view.pods = sight.pods;
	view.pod_count = sight.pod_count;
	if (strcmp(root.ref.kind, KUBE_CLAIM) == 0)
		view.used = node_claim_is_used(node, &root.ref);
	if (whole ||
	    (is_namespace ? sight.object_count > 0 : sees_dependents(&sight, &root.ref.uid)))
		control_deletion(&view, &verdict);
	carry_out(node, now, &verdict);
	control_verdict_deinit(&verdict);
	sight_deinit(&sight);
}

static bool is_ours(const struct node *node, const struct uid *uid)
{
	struct node_id controller = node_controller(node, uid);

	return node_id_equal(&controller, &node->config.self.id);
}

static void go_on_with(struct node *node, struct mono now, const struct uid *uid)
{
	struct dying *dying = map_get(&node->dying, uid_bytes(uid));
	const struct record_item *item = object_item(node, uid);
	json_t *json;

	if (!dying || !item || !is_ours(node, uid))
		return;
	json = parse(item);
	if (json && kube_is_dying(json))
		go_on(node, now, dying, item, json);
	json_decref(json);
}

/* Do all references of @json name deleted objects? */
static bool is_left_behind(const struct node *node, const json_t *json)
{
	const json_t *owners = kube_member(json, "metadata.ownerReferences"), *owner;
	struct uid uid;
	size_t i;

	json_array_foreach (owners, i, owner)
		if (!uid_parse(kube_member_string(owner, "uid"), &uid) ||
		    !records_is_deleted(node->records, &uid))
			return false;
	return json_array_size(owners) > 0;
}

static void dispose(struct node *node, struct mono now, const struct object_ref *ref)
{
	struct object_ref copy;
	uint64_t token;

	object_ref_copy(ref, &copy); /* the record goes with it */
	(void)!node_object_dispose(node, now, &copy, &(struct uid){0}, NODE_GRACE_OF_MANIFEST,
				   &token);
	object_ref_deinit(&copy);
}

static void judge_dependent(struct node *node, struct mono now, const struct uid *uid)
{
	const struct record_item *item = object_item(node, uid);
	json_t *json;

	if (!item || !is_ours(node, uid))
		return;
	json = parse(item);
	if (json && is_left_behind(node, json))
		dispose(node, now, &item->record.object);
	json_decref(json);
}

/* Keys of a map that is changed while they are gone through; the caller frees the list. */
static struct uid_list keys_of(const struct map *map)
{
	struct uid_list uids = {.list = mem_alloc(map->count, sizeof(*uids.list))};

	map_for_each (entry, map)
		memcpy(uids.list[uids.count++].byte, entry->key, UID_LEN);
	return uids;
}

static void judge_dependents(struct node *node, struct mono now)
{
	struct uid_list owners = keys_of(&node->dependents);

	for (size_t i = 0; i < owners.count; i++) {
		const struct uid_list *uids =
			map_get(&node->dependents, uid_bytes(&owners.list[i]));
		struct uid_list copy = {0};

		if (!uids || !records_is_deleted(node->records, &owners.list[i]))
			continue;
		copy.list = (struct uid *)mem_copy(uids->list, uids->count * sizeof(*uids->list));
		copy.count = uids->count;
		for (size_t k = 0; k < copy.count; k++)
			judge_dependent(node, now, &copy.list[k]);
		free(copy.list);
	}
	free(owners.list);
}

/* What has come late into a namespace that is no more. */
static void judge_late(struct node *node, struct mono now)
{
	const struct record_item *item;
	struct uid_list late = {0};
	size_t position = 0;

	node->ended_dirty = false;
	while ((item = records_next(node->records, RECORD_OBJECT, NULL, NULL, &position)))
		if (is_late(node, &item->record) && is_ours(node, &item->record.key.uid))
			uid_list_add(&late, &item->record.key.uid);
	for (size_t i = 0; i < late.count; i++) {
		item = object_item(node, &late.list[i]);
		if (item)
			dispose(node, now, &item->record.object);
	}
	free(late.list);
}

/* Owners of which nothing is known here; what is found comes as a change. */
static void ask_for_owners(struct node *node, struct mono now)
{
	size_t asked = 0;

	map_for_each (entry, &node->dependents) {
		uint64_t token;
		struct uid uid;

		memcpy(uid.byte, entry->key, UID_LEN);
		if (asked < COLLECT_FETCHES_MAX && !records_keeps(node->records, &uid) &&
		    !object_item(node, &uid) && !records_is_deleted(node->records, &uid))
			asked += records_fetch(node->records, now, &uid, &token) == 0;
	}
}

/* Has it still lost its name to another one, which lives? */
static void judge_clash(struct node *node, struct mono now, const struct uid *uid)
{
	const struct record_item *item = object_item(node, uid), *first;

	if (!item || !is_ours(node, uid))
		return;
	first = records_find(node->records, item->record.object.namespace, item->record.object.kind,
			     item->record.object.name);
	if (first && !uid_equal(&first->record.key.uid, uid))
		dispose(node, now, &item->record.object);
}

/* Those that go on clashing are reported again. */
static void judge_clashes(struct node *node, struct mono now)
{
	struct uid_list uids = keys_of(&node->clashes);
	struct mono quiet = fault_is_planted(FAULT_CLASH)
				    ? now
				    : mono_add_ms(records_old_news(node->records), COLLECT_NEWS_MS);

	for (size_t i = 0; i < uids.count; i++) {
		struct mono *at = map_get(&node->clashes, uid_bytes(&uids.list[i]));

		*at = at->us > quiet.us ? *at : quiet;
		if (!mono_reached(now, *at)) {
			node->collect_due = mono_min(node->collect_due, *at);
			continue;
		}
		free(map_remove(&node->clashes, uid_bytes(&uids.list[i])));
		judge_clash(node, now, &uids.list[i]);
	}
	free(uids.list);
}

static void collect(struct node *node, struct mono now)
{
	struct uid_list dying = keys_of(&node->dying);

	node->collect_due = MONO_NEVER;
	for (size_t i = 0; i < dying.count; i++)
		go_on_with(node, now, &dying.list[i]);
	free(dying.list);
	judge_dependents(node, now);
	judge_clashes(node, now);
	if (node->ended_dirty)
		judge_late(node, now);
	if (node->dying.count)
		due(node, COLLECT_AGAIN_MS);
}

void node_collect_tick(struct node *node, struct mono now)
{
	if (mono_reached(now, node->collect_sweep)) {
		node->collect_sweep = mono_add_ms(now, COLLECT_SWEEP_MS);
		ask_for_owners(node, now);
		node->ended_dirty = node->ended.count > 0;
		if (node->dependents.count || node->ended.count)
			due(node, 0);
	}
	if (!mono_reached(now, node->collect_due))
		return;
	if (node_is_holding(node, now)) /* after a power cut: when it is over */
		node->collect_due = mono_add_ms(now, COLLECT_AGAIN_MS);
	else
		collect(node, now);
}

struct mono node_collect_deadline(const struct node *node)
{
	bool any = node->dependents.count || node->ended.count;
	struct mono sweep = any ? node->collect_sweep : MONO_NEVER;

	return mono_min(node->collect_due, sweep);
}
