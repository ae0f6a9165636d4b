/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes: what their machines announced; and their leases, which say when each was last heard of. */
#include "api/compose_internal.h"
#include "kube/node.h"

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

static void add_node(void *arg, const struct api_member *member)
{
	struct composer *composer = arg;
	struct kube_node_view view = {
		.is_ready = member->alive,
		.last_heard = heartbeat(member),
		.ready_since = member->joined,
		.resource_version = member->version,
	};

	composer_add(composer, kube_node(member->facts, &view), NULL, member->version);
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
