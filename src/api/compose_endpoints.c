/* SPDX-License-Identifier: Apache-2.0 */
/* Endpoints and EndpointSlices: they follow from Services and from what machines say of pods. */
#include <stdlib.h>

#include "api/compose_internal.h"
#include "base/mem.h"
#include "kube/service.h"

struct backends {
	struct composer *composer;
	struct kube_backend *pods;
	size_t count;
	uint64_t version; /* the highest of theirs */
};

static void backends_load(struct composer *composer, struct backends *ret)
{
	struct roster *roster = &composer->roster;

	roster_load(roster, composer->backend, NULL);
	*ret = (struct backends){
		.composer = composer,
		.pods = mem_alloc(roster->count + 1, sizeof(*ret->pods)),
	};
	for (size_t i = 0; i < roster->count; i++) {
		const struct roster_pod *pod = &roster->pods[i];
		const struct roster_object *object;

		if (!composer_wants_namespace(composer, pod->presence->object.namespace))
			continue;
		object = roster_object(roster, composer->backend, pod->presence);
		if (!object)
			continue;
		ret->pods[ret->count++] = (struct kube_backend){pod->presence, object->json};
		if (pod->version > ret->version)
			ret->version = pod->version;
	}
}

static void add_service(void *arg, const struct api_object *object)
{
	struct backends *backends = arg;
	struct composer *composer = backends->composer;
	uint64_t version =
		object->version > backends->version ? object->version : backends->version;
	json_t *service = composer_parse(object), *made, *slices;
	size_t index;

	if (!service)
		return;
	if (composer->id == KUBE_ENDPOINTS) {
		made = kube_endpoints(service, backends->pods, backends->count);
		if (made)
			composer_add(composer, made, &object->uid, version);
	} else {
		slices = kube_endpoint_slices(service, backends->pods, backends->count);
		json_array_foreach (slices, index, made)
			composer_add(composer, json_incref(made), &object->uid, version);
		json_decref(slices);
	}
	json_decref(service);
}

static void note_any(void *arg, const struct api_object *object)
{
	(void)object;
	*(bool *)arg = true;
}

void compose_endpoints(struct composer *composer)
{
	const struct api_backend *backend = composer->backend;
	struct backends backends;
	bool any = false;

	/* To go through all pods for nothing would take most of the time of each change. */
	backend->ops->objects(backend->self, "Service", composer->query.namespace, note_any, &any);
	if (!any)
		return;
	backends_load(composer, &backends);
	backend->ops->objects(backend->self, "Service", composer->query.namespace, add_service,
			      &backends);
	free(backends.pods);
}
