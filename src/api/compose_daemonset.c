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

struct pod {
	json_t *json;
	struct uid uid, owner;
	uint64_t version;
};

/* The Pods that DaemonSets own: of one set, or of all. */
struct pod_list {
	struct composer *composer;
	struct pod *pods;
	size_t count;
};

static void note_pod(void *arg, const struct api_object *object)
{
	struct pod_list *list = arg;
	struct pod pod = {.uid = object->uid, .version = object->version};
	const json_t *owner;

	if (strcmp(object->kind, "Pod") != 0)
		return;
	pod.json = composer_parse(object);
	owner = kube_controller_of(pod.json);
	if (!owner || strcmp(kube_member_string(owner, "kind"), "DaemonSet") != 0 ||
	    !uid_parse(kube_member_string(owner, "uid"), &pod.owner)) {
		json_decref(pod.json);
		return;
	}
	if ((list->count & (list->count - 1)) == 0)
		list->pods = mem_resize(list->pods, list->count ? 2 * list->count : 1,
					sizeof(*list->pods));
	list->pods[list->count++] = pod;
}

/* With their presences; those of one set without looking at all that there are. */
static void pods_load(struct composer *composer, struct pod_list *ret_list)
{
	const struct api_backend *backend = composer->backend;
	const struct uid *set = composer->query.workload;

	*ret_list = (struct pod_list){.composer = composer};
	if (set) {
		backend->ops->family(backend->self, set, note_pod, ret_list);
		for (size_t i = 0; i < ret_list->count; i++)
			roster_add(&composer->roster, backend, &ret_list->pods[i].uid);
	} else {
		backend->ops->objects(backend->self, "Pod", composer->query.namespace, note_pod,
				      ret_list);
		roster_add(&composer->roster, backend, NULL);
	}
	roster_settle(&composer->roster, backend);
}

static void add_daemonset(struct pod_list *list, const json_t *json,
			  const struct api_object *object)
{
	struct kube_daemon *daemons = mem_alloc(list->count + 1, sizeof(*daemons));
	struct composer *composer = list->composer;
	uint64_t version = object->version;
	size_t count = 0;

	for (size_t i = 0; i < list->count; i++) {
		const struct pod *pod = &list->pods[i];
		struct roster_slice slice;

		if (!uid_equal(&pod->owner, &object->uid))
			continue;
		slice = roster_of(&composer->roster, &pod->uid);
		version = pod->version > version ? pod->version : version;
		version = slice.version > version ? slice.version : version;
		daemons[count++] = (struct kube_daemon){
			.pod = pod->json,
			.ready = slice.count > 0 && slice.presences[0]->ready,
			.fits = count_machines(composer, json, kube_daemon_node(pod->json)) > 0,
		};
	}
	composer_add(composer,
		     kube_daemonset(json, daemons, count, count_machines(composer, json, NULL)),
		     &object->uid, version);
	free(daemons);
}

static void note_daemonset(void *arg, const struct api_object *object)
{
	struct pod_list *list = arg;
	json_t *json;

	if (strcmp(object->kind, "DaemonSet") != 0 || !composer_wants(list->composer, object))
		return;
	json = composer_parse(object);
	if (json)
		add_daemonset(list, json, object);
	json_decref(json);
}

void compose_daemonsets(struct composer *composer)
{
	struct pod_list list;

	pods_load(composer, &list);
	if (composer->query.workload)
		(void)composer->backend->ops->object_by_uid(
			composer->backend->self, composer->query.workload, note_daemonset, &list);
	else
		composer->backend->ops->objects(composer->backend->self, "DaemonSet",
						composer->query.namespace, note_daemonset, &list);
	for (size_t i = 0; i < list.count; i++)
		json_decref(list.pods[i].json);
	free(list.pods);
}
