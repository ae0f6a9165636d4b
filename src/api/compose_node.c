/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes: what their machines announced, with what people set (kube/node_settings.h); and their
 * leases, which say when each was last heard of. */
#include <string.h>

#include "api/compose_internal.h"
#include "kube/admit.h"
#include "kube/node.h"
#include "kube/node_settings.h"

enum {
	HEARTBEAT_MS = 5 * 60 * 1000, /* as Kubernetes writes it when nothing else changes */
};

/* A live machine is heard of all the time; that must not make it a changed object all the time. */
static struct wall heartbeat(const struct api_member *member)
{
	struct wall heard = member->seen;

	if (member->alive)
		heard.ms -= heard.ms % HEARTBEAT_MS;
	return heard.ms < member->joined.ms ? member->joined : heard;
}

static json_t *node_own(const struct api_member *member)
{
	struct kube_node_view view = {
		.is_ready = member->alive,
		.last_heard = heartbeat(member),
		.ready_since = member->joined,
		.resource_version = member->version,
	};

	return kube_node(member->facts, &view);
}

struct merging {
	json_t *node;
	uint64_t version;
};

static void merge_settings(void *arg, const struct api_object *object)
{
	struct merging *merging = arg;
	json_t *settings = composer_parse(object);

	if (!settings)
		return;
	kube_node_merge(merging->node, settings);
	if (object->version > merging->version)
		merging->version = object->version;
	json_decref(settings);
}

static void add_node(void *arg, const struct api_member *member)
{
	struct composer *composer = arg;
	const struct api_backend *backend = composer->backend;
	struct merging merging = {node_own(member), member->version};

	(void)backend->ops->object(backend->self, "Node", "", member->facts->name, merge_settings,
				   &merging);
	kube_set_version(merging.node, merging.version);
	composer_add(composer, merging.node, NULL, merging.version);
}

struct own_search {
	const char *name;
	json_t *node;
};

static void find_own(void *arg, const struct api_member *member)
{
	struct own_search *search = arg;

	if (!search->node && member->facts->name && strcmp(member->facts->name, search->name) == 0)
		search->node = node_own(member);
}

json_t *compose_node_own(const struct api_backend *backend, const char *name)
{
	struct own_search search = {.name = name};

	backend->ops->members(backend->self, find_own, &search);
	return search.node;
}

static void add_lease(void *arg, const struct api_member *member)
{
	composer_add(arg, kube_node_lease(member->facts, member->joined, heartbeat(member)), NULL,
		     member->version);
}

void compose_leases(struct composer *composer)
{
	if (composer_wants_namespace(composer, KUBE_LEASE_NAMESPACE))
		composer->backend->ops->members(composer->backend->self, add_lease, composer);
}

void compose_nodes(struct composer *composer)
{
	composer->backend->ops->members(composer->backend->self, add_node, composer);
}
