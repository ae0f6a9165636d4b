/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects that the pods of this machine name: ConfigMaps, Secrets and claims. The host process gets
 * each as it was signed, when a pod that names it is there and whenever it changes.
 *
 * In a fabric larger than the pool nobody tells this machine of changes of what others keep: what
 * is named is looked up there again and again, soon while it is not found.
 */
#include "machineplane/fabric.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "io/clock.h"
#include "io/entropy.h"
#include "kube/reference.h"
#include "kube/workload.h"

enum {
	NAMES_MAX = 4096,           /* of one pod; what its manifest can hold is less */
	LOOK_SOON_MS = 500,         /* after something that was not found; then twice as long */
	LOOK_MS = 30 * 1000,        /* a change reaches a pod within a minute, as in Kubernetes */
	LOOK_CLAIM_MS = 300 * 1000, /* whether a claim has ended: its directory may lie a while */
	LOOKS_MAX = 16,             /* under way at a time */
};

/* Something that is kept elsewhere, as it seems. */
struct followed {
	char *namespace, *kind, *name;
	struct uid claim; /* one whose directory is here; none: an object that a pod names */
	uint64_t token;   /* of the look that is under way; 0: none is */
	struct mono due;
	int64_t pause_ms;
	bool wanted; /* while what is wanted is gone through */
};

struct need {
	char *namespace;
	char **names; /* "<kind>/<name>" */
	size_t count;
};

struct pod_objects {
	struct fabric *fabric;
	struct map needs;  /* pod uid -> struct need */
	struct map claims; /* uid -> itself: their directories are here, until their end is told */
	struct map followed; /* "<kind>/<namespace>/<name>", or a claim's uid -> struct followed */
	size_t looks;        /* under way */
	struct loop_timer *timer;
};

static void look(void *user);

struct pod_objects *pod_objects_new(struct fabric *fabric)
{
	struct pod_objects *objects = mem_new(struct pod_objects);

	objects->fabric = fabric;
	map_init(&objects->needs, entropy_u64());
	map_init(&objects->claims, entropy_u64());
	map_init(&objects->followed, entropy_u64());
	objects->timer = loop_timer_new(fabric->loop, look, objects);
	return objects;
}

static void need_free(struct need *need)
{
	if (!need)
		return;
	for (size_t i = 0; i < need->count; i++)
		free(need->names[i]);
	free(need->names);
	free(need->namespace);
	free(need);
}

static void followed_free(struct followed *followed)
{
	if (!followed)
		return;
	free(followed->namespace);
	free(followed->kind);
	free(followed->name);
	free(followed);
}

void pod_objects_free(struct pod_objects *objects)
{
	if (!objects)
		return;
	map_for_each (entry, &objects->needs)
		need_free(entry->value);
	map_deinit(&objects->needs);
	pod_objects_claims_begin(objects);
	map_deinit(&objects->claims);
	map_for_each (entry, &objects->followed)
		followed_free(entry->value);
	map_deinit(&objects->followed);
	loop_timer_free(objects->timer);
	free(objects);
}

static char *name_of(const char *kind, const char *name)
{
	struct buf text = {0};

	buf_append_format(&text, "%s/%s", kind, name);
	return buf_steal(&text);
}

static bool need_has(const struct need *need, const char *name)
{
	for (size_t i = 0; i < need->count; i++)
		if (strcmp(need->names[i], name) == 0)
			return true;
	return false;
}

static void need_add(void *ctx, const struct kube_reference *reference)
{
	struct need *need = ctx;
	char *name = name_of(reference->kind, reference->name);

	if (need->count == NAMES_MAX || need_has(need, name)) {
		free(name);
		return;
	}
	need->names = mem_resize(need->names, need->count + 1, sizeof(char *));
	need->names[need->count++] = name;
}

static void tell(struct pod_objects *objects, const struct need *need, const char *name)
{
	const struct records *records = node_records(objects->fabric->node);
	const char *slash = strchr(name, '/');
	char *kind = mem_copy(name, (size_t)(slash - name));
	const struct record_item *item = records_find(records, need->namespace, kind, slash + 1);

	if (item)
		host_tell_object(objects->fabric->host, bytes_buf(&item->envelope));
	free(kind);
}

/* ---- what is kept elsewhere ---- */

static struct followed *follow(struct pod_objects *objects, struct bytes key)
{
	struct followed *followed = map_get(&objects->followed, key);

	if (!followed) {
		followed = mem_new(struct followed);
		followed->due = clock_mono();
		followed->pause_ms = LOOK_SOON_MS;
		(void)map_put(&objects->followed, key, followed);
	}
	followed->wanted = true;
	return followed;
}

static void follow_name(struct pod_objects *objects, const struct need *need, const char *name)
{
	const char *slash = strchr(name, '/');
	struct followed *followed;
	struct buf key = {0};

	buf_append_format(&key, "%s/%s", need->namespace, name);
	followed = follow(objects, bytes_buf(&key));
	buf_deinit(&key);
	if (followed->kind)
		return;
	followed->namespace = mem_strdup(need->namespace);
	followed->kind = mem_copy(name, (size_t)(slash - name));
	followed->name = mem_strdup(slash + 1);
}

static void follow_claim(struct pod_objects *objects, const struct uid *claim)
{
	follow(objects, bytes_of(claim->byte, UID_LEN))->claim = *claim;
}

static void forget_unwanted(struct pod_objects *objects)
{
	map_for_each (entry, &objects->followed) {
		struct followed *followed = entry->value;

		if (followed->wanted)
			continue;
		objects->looks -= followed->token != 0;
		(void)map_remove(&objects->followed, bytes_of(entry->key, entry->key_len));
		followed_free(followed);
	}
}

/* What is needed now is followed, and nothing else. */
static void follow_needs(struct pod_objects *objects)
{
	map_for_each (entry, &objects->followed)
		((struct followed *)entry->value)->wanted = false;
	map_for_each (entry, &objects->needs) {
		const struct need *need = entry->value;

		for (size_t i = 0; i < need->count; i++)
			follow_name(objects, need, need->names[i]);
	}
	map_for_each (entry, &objects->claims)
		follow_claim(objects, entry->value);
	forget_unwanted(objects);
	loop_timer_set(objects->timer, clock_mono());
}

static bool is_claim(const struct followed *followed)
{
	return !uid_is_none(&followed->claim);
}

static void look_at(struct pod_objects *objects, struct followed *followed)
{
	struct node *node = objects->fabric->node;
	struct node_scope scope = {followed->kind, followed->namespace, followed->name, NULL};
	int outcome = is_claim(followed)
			      ? node_fetch(node, clock_mono(), &followed->claim, &followed->token)
			      : node_refresh(node, clock_mono(), &scope, &followed->token);

	if (outcome != 0) {
		followed->token = 0;
		followed->due = mono_add_ms(clock_mono(), LOOK_MS);
		return;
	}
	objects->looks++;
}

/* In a small fabric all that there is comes by itself. */
static void look(void *user)
{
	struct pod_objects *objects = user;
	struct node *node = objects->fabric->node;
	struct mono now = clock_mono(), next = MONO_NEVER;
	bool large = node && overlay_is_large(node_overlay(node));

	map_for_each (entry, &objects->followed) {
		struct followed *followed = entry->value;

		if (followed->token)
			continue;
		if (!large)
			followed->due = mono_add_ms(now, LOOK_MS);
		else if (mono_reached(now, followed->due) && objects->looks < LOOKS_MAX)
			look_at(objects, followed);
		if (!followed->token && !mono_reached(now, followed->due))
			next = mono_min(next, followed->due);
	}
	loop_timer_set(objects->timer, next);
}

static bool is_found(const struct pod_objects *objects, const struct followed *followed)
{
	return is_claim(followed) ||
	       records_find(node_records(objects->fabric->node), followed->namespace,
			    followed->kind, followed->name);
}

static struct followed *followed_by(const struct pod_objects *objects, uint64_t token, bool claim)
{
	map_for_each (entry, &objects->followed) {
		struct followed *followed = entry->value;

		if (followed->token == token && is_claim(followed) == claim)
			return followed;
	}
	return NULL;
}

static void tell_end(struct pod_objects *objects, const struct uid *claim);

static bool looked(struct pod_objects *objects, uint64_t token, bool claim)
{
	struct followed *followed = token ? followed_by(objects, token, claim) : NULL;

	if (!followed)
		return false;
	objects->looks--;
	followed->token = 0;
	followed->pause_ms *= 2;
	if (is_found(objects, followed) || followed->pause_ms > LOOK_MS)
		followed->pause_ms = claim ? LOOK_CLAIM_MS : LOOK_MS;
	followed->due = mono_add_ms(clock_mono(), followed->pause_ms);
	if (claim)
		tell_end(objects, &followed->claim);
	loop_timer_set(objects->timer, clock_mono());
	return true;
}

bool pod_objects_refreshed(struct pod_objects *objects, uint64_t token)
{
	return looked(objects, token, false);
}

bool pod_objects_fetched(struct pod_objects *objects, uint64_t token)
{
	return looked(objects, token, true);
}

/* ---- what is needed ---- */

/* Takes @need over. Most pods name nothing, and then are not looked at whenever something changes.
 */
static void need_put(struct pod_objects *objects, const struct uid *pod_uid, struct need *need)
{
	if (!need->count) {
		need_free(need);
		return;
	}
	need_free(map_put(&objects->needs, bytes_of(pod_uid->byte, UID_LEN), need));
	for (size_t i = 0; i < need->count; i++)
		tell(objects, need, need->names[i]);
	follow_needs(objects);
}

void pod_objects_need(struct pod_objects *objects, const struct uid *pod_uid, struct bytes manifest)
{
	json_t *json = json_loadb((const char *)manifest.ptr, manifest.len, 0, NULL);
	const char *namespace =
		json_string_value(json_object_get(json_object_get(json, "metadata"), "namespace"));
	struct need *need;

	if (namespace) {
		need = mem_new(struct need);
		need->namespace = mem_strdup(namespace);
		kube_references(kube_pod_spec(json), need_add, need);
		need_put(objects, pod_uid, need);
	}
	json_decref(json);
}

void pod_objects_release(struct pod_objects *objects, const struct uid *pod_uid)
{
	struct need *need = map_remove(&objects->needs, bytes_of(pod_uid->byte, UID_LEN));

	if (!need)
		return;
	need_free(need);
	follow_needs(objects);
}

static bool is_needed(const struct pod_objects *objects, const struct object_ref *object)
{
	char *name = name_of(object->kind, object->name);
	bool needed = false;

	map_for_each (entry, &objects->needs) {
		const struct need *need = entry->value;

		needed |= strcmp(need->namespace, object->namespace) == 0 && need_has(need, name);
	}
	free(name);
	return needed;
}

/* The end of a claim whose directory is here, if it has come. */
static void tell_end(struct pod_objects *objects, const struct uid *claim)
{
	const struct record_key dead = {.kind = RECORD_TOMBSTONE, .uid = *claim};
	const struct record_item *item = records_get(node_records(objects->fabric->node), &dead);

	if (item)
		host_tell_object(objects->fabric->host, bytes_buf(&item->envelope));
}

void pod_objects_claims_begin(struct pod_objects *objects)
{
	map_for_each (entry, &objects->claims)
		free(map_remove(&objects->claims, bytes_of(entry->key, entry->key_len)));
}

void pod_objects_claim(struct pod_objects *objects, const struct uid *claim)
{
	struct bytes key = bytes_of(claim->byte, UID_LEN);

	free(map_put(&objects->claims, key, mem_copy(claim, sizeof(*claim))));
	tell_end(objects, claim);
	follow_needs(objects);
}

void pod_objects_changed(struct pod_objects *objects, const struct record *record)
{
	const struct records *records = node_records(objects->fabric->node);
	const struct object_ref *object = &record->object;
	struct record_key dead = {.kind = RECORD_TOMBSTONE, .uid = object->uid};
	const struct record_item *item;

	if (record->key.kind == RECORD_TOMBSTONE &&
	    map_get(&objects->claims, bytes_of(record->key.uid.byte, UID_LEN)))
		tell_end(objects, &record->key.uid);
	if ((record->key.kind != RECORD_OBJECT && record->key.kind != RECORD_TOMBSTONE) ||
	    objects->needs.count == 0 || !is_needed(objects, object))
		return;
	/* As it is now: of two objects of one name, the one that counts. */
	item = records_find(records, object->namespace, object->kind, object->name);
	if (!item)
		item = records_get(records, &dead);
	if (item)
		host_tell_object(objects->fabric->host, bytes_buf(&item->envelope));
}
