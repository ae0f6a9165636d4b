/* SPDX-License-Identifier: Apache-2.0 */
/* The core: which function composes which resource, and what all of them share. */
#include "api/compose.h"

#include <stdlib.h>
#include <string.h>

#include "api/compose_internal.h"
#include "base/mem.h"
#include "kube/admit.h"
#include "kube/convert.h"

static const char *metadata_text(const json_t *object, const char *field)
{
	const char *text =
		json_string_value(json_object_get(json_object_get(object, "metadata"), field));

	return text ? text : "";
}

void composer_add(struct composer *composer, json_t *object, const struct uid *workload,
		  uint64_t version)
{
	struct composed_item item = {.object = object, .version = version};
	struct buf key = {0};

	if (!composer->query.name ||
	    strcmp(metadata_text(object, "name"), composer->query.name) == 0) {
		kube_set_version(object, version);
		buf_append_format(&key, "%s/%s", metadata_text(object, "namespace"),
				  metadata_text(object, "name"));
		item.key = buf_cstr(&key);
		if (workload)
			item.workload = *workload;
		composer->count++;
		composer->each(composer->arg, &item);
	}
	buf_deinit(&key);
	json_decref(object);
}

bool composer_wants_namespace(const struct composer *composer, const char *namespace)
{
	return !composer->query.namespace || strcmp(composer->query.namespace, namespace) == 0;
}

bool composer_wants(const struct composer *composer, const struct api_object *object)
{
	return !composer->query.workload || uid_equal(composer->query.workload, &object->uid);
}

/* Passes on what is of the kind and namespace that are looked for. */
struct sieve {
	struct composer *composer;
	const char *kind;
	api_object_fn *each;
};

static void pass_on(void *arg, const struct api_object *object)
{
	const struct sieve *sieve = arg;

	if (strcmp(object->kind, sieve->kind) == 0 &&
	    composer_wants_namespace(sieve->composer, object->namespace))
		sieve->each(sieve->composer, object);
}

void composer_objects(struct composer *composer, const char *kind, api_object_fn *each)
{
	const struct api_backend *backend = composer->backend;
	const struct compose_query *query = &composer->query;
	bool namespaced = kube_resource(composer->id)->namespaced;
	struct sieve sieve = {composer, kind, each};

	if (query->workload)
		(void)backend->ops->object_by_uid(backend->self, query->workload, pass_on, &sieve);
	else if (query->name && (query->namespace || !namespaced))
		(void)backend->ops->object(backend->self, kind, namespaced ? query->namespace : "",
					   query->name, each, composer);
	else
		backend->ops->objects(backend->self, kind, query->namespace, each, composer);
}

static void note_uid(void *arg, const struct api_object *object)
{
	*(struct uid *)arg = object->uid;
}

json_t *composer_parse(const struct api_object *object)
{
	return json_loadb((const char *)object->json.ptr, object->json.len, 0, NULL);
}

/* Most kinds are shown as they are stored. */
static void add_stored(void *arg, const struct api_object *object)
{
	struct composer *composer = arg;
	json_t *json = composer_wants(composer, object) ? composer_parse(object) : NULL;

	if (!json)
		return;
	kube_convert(json, kube_resource(composer->id));
	composer_add(composer, json, &object->uid, object->version);
}

void compose_stored(struct composer *composer)
{
	composer_objects(composer, kube_resource(composer->id)->kind, add_stored);
}

/* Objects of a resource are either @stored under their own kind and name, and shown with what
 * follows from others, or follow from others altogether. */
static const struct composition {
	void (*compose)(struct composer *composer);
	bool stored;
} compositions[KUBE_RESOURCE_COUNT] = {
	[KUBE_PODS] = {compose_pods, false},
	[KUBE_DEPLOYMENTS] = {compose_deployments, true},
	[KUBE_REPLICASETS] = {compose_replica_sets, true},
	[KUBE_JOBS] = {compose_jobs, true},
	[KUBE_DAEMONSETS] = {compose_daemonsets, true},
	[KUBE_ENDPOINTS] = {compose_endpoints, false},
	[KUBE_ENDPOINTSLICES] = {compose_endpoints, false},
	[KUBE_CRONJOBS] = {compose_cronjobs, true},
	[KUBE_PERSISTENTVOLUMECLAIMS] = {compose_claims, true},
	[KUBE_PERSISTENTVOLUMES] = {compose_volumes, false},
	[KUBE_STORAGECLASSES] = {compose_classes, false},
	[KUBE_STATEFULSETS] = {compose_statefulsets, true},
	[KUBE_NODES] = {compose_nodes, false},
	[KUBE_LEASES] = {compose_leases, false},
	[KUBE_NAMESPACES] = {compose_namespaces, false},
	[KUBE_EVENTS] = {compose_events, false},
};

/* One that is asked for by its name is found by its uid, without looking at all others. False:
 * there is none of that name. */
static bool narrow(struct composer *composer, struct uid *uid)
{
	const struct kube_resource *resource = kube_resource(composer->id);
	const struct api_backend *backend = composer->backend;
	struct compose_query *query = &composer->query;

	if (!compositions[composer->id].stored || query->workload || !query->name ||
	    !query->namespace)
		return true;
	query->workload = uid;
	return backend->ops->object(backend->self, resource->kind, query->namespace, query->name,
				    note_uid, uid);
}

void compose_each(const struct api_backend *backend, enum kube_resource_id id,
		  const struct compose_query *query, composed_fn *each, void *arg)
{
	struct composer composer = {
		.backend = backend,
		.query = *query,
		.each = each,
		.arg = arg,
		.id = id,
	};
	struct uid uid;

	if (!narrow(&composer, &uid))
		return;
	if (compositions[id].compose)
		compositions[id].compose(&composer);
	else
		compose_stored(&composer);
	roster_deinit(&composer.roster);
}

static void keep(void *arg, const struct composed_item *item)
{
	struct composed *out = arg;

	if (out->count == out->cap) {
		out->cap = out->cap ? 2 * out->cap : 16;
		out->items = mem_resize(out->items, out->cap, sizeof(*out->items));
	}
	out->items[out->count] = *item;
	out->items[out->count].key = mem_strdup(item->key);
	out->items[out->count++].object = json_incref(item->object);
}

static int by_key(const void *a, const void *b)
{
	const struct composed_item *left = a, *right = b;

	return strcmp(left->key, right->key);
}

void compose(const struct api_backend *backend, enum kube_resource_id id,
	     const struct compose_query *query, struct composed *ret_composed)
{
	*ret_composed = (struct composed){0};
	compose_each(backend, id, query, keep, ret_composed);
	if (ret_composed->count)
		qsort(ret_composed->items, ret_composed->count, sizeof(*ret_composed->items),
		      by_key);
}

void composed_deinit(struct composed *composed)
{
	for (size_t i = 0; i < composed->count; i++) {
		free((char *)(uintptr_t)composed->items[i].key);
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
