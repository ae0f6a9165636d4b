/* SPDX-License-Identifier: Apache-2.0 */
/* DaemonSets: stored objects, with the status that follows from their Pods and the machines. */
#include <stdlib.h>
#include <string.h>

#include "api/compose_internal.h"
#include "base/mem.h"
#include "kube/daemonset.h"
#include "kube/member.h"
#include "kube/workload.h"

struct machines {
	const json_t *set;
	const char *node; /* only this one; NULL: all */
	size_t fitting;
};

static void count_machine(void *arg, const struct api_member *member)
{
	struct machines *machines = arg;

	if (member->facts && (!machines->node || strcmp(machines->node, member->facts->name) == 0))
		machines->fitting += member->facts->schedulable &&
				     kube_daemon_fits(machines->set, member->facts);
}

static size_t count_machines(const struct composer *composer, const json_t *set, const char *node)
{
	struct machines machines = {.set = set, .node = node};

	composer->backend->ops->members(composer->backend->self, count_machine, &machines);
	return machines.fitting;
}

struct pods {
	struct composer *composer;
	const json_t *set;
	const struct uid *owner;
	struct kube_daemon *list;
	size_t count;
	uint64_t version;
};

static void note_pod(void *arg, const struct api_object *object)
{
	struct pods *pods = arg;
	json_t *json = composer_parse(object);
	const json_t *owner = kube_controller_of(json);
	struct roster_slice slice;
	struct uid uid;

	if (!owner || !uid_parse(kube_member_string(owner, "uid"), &uid) ||
	    !uid_equal(&uid, pods->owner)) {
		json_decref(json);
		return;
	}
	slice = roster_of(&pods->composer->roster, &object->uid);
	pods->list = mem_resize(pods->list, pods->count + 1, sizeof(*pods->list));
	pods->list[pods->count++] = (struct kube_daemon){
		.pod = json,
		.ready = slice.count > 0 && slice.presences[0]->ready,
		.fits = count_machines(pods->composer, pods->set, kube_daemon_node(json)) > 0,
	};
	if (slice.version > pods->version)
		pods->version = slice.version;
	if (object->version > pods->version)
		pods->version = object->version;
}

static void add_set(void *arg, const struct api_object *object)
{
	struct composer *composer = arg;
	const struct api_backend *backend = composer->backend;
	json_t *json = composer_wants(composer, object) ? composer_parse(object) : NULL;
	struct pods pods = {.composer = composer,
			    .set = json,
			    .owner = &object->uid,
			    .version = object->version};

	if (!json)
		return;
	backend->ops->objects(backend->self, "Pod", object->namespace, note_pod, &pods);
	composer_add(
		composer,
		kube_daemonset(json, pods.list, pods.count, count_machines(composer, json, NULL)),
		&object->uid, pods.version);
	for (size_t i = 0; i < pods.count; i++)
		json_decref((json_t *)(uintptr_t)pods.list[i].pod);
	free(pods.list);
	json_decref(json);
}

void compose_daemonsets(struct composer *composer)
{
	roster_load(&composer->roster, composer->backend, NULL);
	composer_objects(composer, "DaemonSet", add_set);
}
