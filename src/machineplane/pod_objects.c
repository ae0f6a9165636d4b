/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects that the pods of this machine name: ConfigMaps, Secrets and claims. The host process gets
 * each as it was signed, when a pod that names it is there and whenever it changes.
 */
#include "machineplane/fabric.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "io/entropy.h"
#include "kube/reference.h"
#include "kube/workload.h"

enum {
	NAMES_MAX = 4096, /* of one pod; what its manifest can hold is less */
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
};

struct pod_objects *pod_objects_new(struct fabric *fabric)
{
	struct pod_objects *objects = mem_new(struct pod_objects);

	objects->fabric = fabric;
	map_init(&objects->needs, entropy_u64());
	map_init(&objects->claims, entropy_u64());
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

void pod_objects_free(struct pod_objects *objects)
{
	if (!objects)
		return;
	map_for_each (entry, &objects->needs)
		need_free(entry->value);
	map_deinit(&objects->needs);
	pod_objects_claims_begin(objects);
	map_deinit(&objects->claims);
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
		need_free(map_put(&objects->needs, bytes_of(pod_uid->byte, UID_LEN), need));
		for (size_t i = 0; i < need->count; i++)
			tell(objects, need, need->names[i]);
	}
	json_decref(json);
}

void pod_objects_release(struct pod_objects *objects, const struct uid *pod_uid)
{
	need_free(map_remove(&objects->needs, bytes_of(pod_uid->byte, UID_LEN)));
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
