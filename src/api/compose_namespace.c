/* SPDX-License-Identifier: Apache-2.0 */
/* Namespaces exist by being used, or by having been created. */
#include <stdlib.h>
#include <string.h>

#include "api/compose_internal.h"
#include "base/map.h"
#include "base/mem.h"
#include "kube/deletion.h"
#include "kube/deployment.h"

static const char *const built_in_namespaces[] = {
	"default",
	"kube-node-lease",
	"kube-public",
	"kube-system",
};

struct namespaces {
	struct map names; /* namespace -> itself */
	struct wall oldest;
};

static void note_namespace(void *arg, const char *name)
{
	struct namespaces *namespaces = arg;

	if (*name && !map_get(&namespaces->names, bytes_str(name)))
		(void)map_put(&namespaces->names, bytes_str(name), mem_strdup(name));
}

static void note_created(void *arg, const struct api_object *object)
{
	note_namespace(arg, object->name);
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
	json_t *json = composer_parse(object);
	json_t *status =
		json_pack("{s:s}", "phase", kube_is_dying(json) ? "Terminating" : "Active");

	if (json) {
		(void)json_object_set(json, "status", status);
		composer_add(composer, json, NULL, object->version);
	}
	json_decref(status);
}

void compose_namespaces(struct composer *composer)
{
	const struct api_backend *backend = composer->backend;
	struct namespaces namespaces = {0};

	map_init(&namespaces.names, 1);
	for (size_t i = 0; i < ARRAY_LEN(built_in_namespaces); i++)
		note_namespace(&namespaces, built_in_namespaces[i]);
	backend->ops->namespaces(backend->self, note_namespace, &namespaces);
	backend->ops->objects(backend->self, "Namespace", NULL, note_created, &namespaces);
	backend->ops->members(backend->self, note_age, &namespaces);
	map_for_each (entry, &namespaces.names) {
		char *name = entry->value;

		if (!backend->ops->object(backend->self, "Namespace", "", name,
					  add_stored_namespace, composer))
			composer_add(composer, kube_namespace(name, namespaces.oldest), NULL, 1);
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

static void note_dying(void *arg, const struct api_object *object)
{
	json_t *json = composer_parse(object);

	*(bool *)arg = kube_is_dying(json);
	json_decref(json);
}

/* One that merely is in use cannot be deleted: only those that were created are looked at. */
bool compose_namespace_is_dying(const struct api_backend *backend, const char *name)
{
	bool dying = false;

	(void)backend->ops->object(backend->self, "Namespace", "", name, note_dying, &dying);
	return dying;
}
