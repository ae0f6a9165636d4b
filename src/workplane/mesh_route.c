/* SPDX-License-Identifier: Apache-2.0 */
/* From an order to a replica: look all targets up, then one after the other of those that are
 * ready, as service/pick.h says. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "io/clock.h"
#include "workplane/mesh_internal.h"

static void on_resolved(void *user, const struct service_record *const *records, size_t count,
			bool complete)
{
	struct mesh_route *route = user;

	(void)records; /* read when they are needed: they change */
	(void)count;
	(void)complete;
	if (--route->question_count == 0)
		route->known(route);
}

static bool ask_targets(struct mesh_route *route)
{
	for (size_t i = 0; i < route->target_count; i++) {
		if (!mesh_resolve(route->mesh, route->targets[i].namespace, route->targets[i].name,
				  on_resolved, route))
			return false;
		route->question_count++;
	}
	return true;
}

static bool order_is_sound(const struct mesh_order *order)
{
	bool by_name = order->port_name && order->port_name[0];

	return order->target_count >= 1 && order->target_count <= MESH_TARGETS_MAX &&
	       by_name == (order->port == 0) &&
	       (!by_name || strlen(order->port_name) <= WORK_PORT_NAME_MAX);
}

bool mesh_route_init(struct mesh_route *route, struct mesh *mesh, const struct mesh_order *order)
{
	if (!order_is_sound(order))
		return false;
	route->mesh = mesh;
	route->targets = mem_alloc(order->target_count, sizeof(*route->targets));
	memcpy(route->targets, order->targets, order->target_count * sizeof(*route->targets));
	route->target_count = order->target_count;
	route->pod = order->pod && order->pod[0] ? mem_strdup(order->pod) : NULL;
	route->open = (struct work_open){.protocol = order->protocol, .port = order->port};
	if (order->port == 0)
		memcpy(route->open.port_name, order->port_name, strlen(order->port_name));
	route->attempt = (struct pick_attempt){
		.preference = order->preference,
		.machine = mesh->record.machine,
		.region = mesh->record.region[0] ? mesh->record.region : NULL,
	};
	if (ask_targets(route))
		return true;
	mesh_route_deinit(route);
	return false;
}

/* Questions that were answered are gone by themselves: the others are found by who asks. */
void mesh_route_deinit(struct mesh_route *route)
{
	struct mesh *mesh = route->mesh;

	if (!mesh)
		return;
	list_for_each (it, &mesh->lookups) {
		struct mesh_lookup *lookup = list_entry(it, struct mesh_lookup, link);

		list_for_each_safe (other, &lookup->questions) {
			struct mesh_question *question =
				list_entry(other, struct mesh_question, link);

			if (question->user == route)
				mesh_question_free(question);
		}
	}
	free(route->targets);
	free(route->pod);
	*route = (struct mesh_route){0};
}

static bool is_meant(const struct mesh_route *route, const struct service_record *record)
{
	return record->address_count > 0 && (!route->pod || strcmp(record->pod, route->pod) == 0);
}

static size_t list_replicas(struct mesh_route *route, const struct service_record **list)
{
	size_t count = 0;

	for (size_t i = 0; i < route->target_count; i++) {
		size_t all = count + directory_records(route->mesh->directory, clock_mono(),
						       route->targets[i].namespace,
						       route->targets[i].name, list + count,
						       MESH_REPLICAS_MAX - count);

		for (size_t at = count; at < all; at++)
			if (is_meant(route, list[at]))
				list[count++] = list[at];
	}
	return count;
}

bool mesh_route_next(struct mesh_route *route, struct contact *ret_contact)
{
	const struct service_record *list[MESH_REPLICAS_MAX], *picked;
	size_t count = list_replicas(route, list);

	picked = pick_next(route->mesh->pick, clock_mono(), list, count, &route->attempt);
	if (!picked)
		return false;
	*ret_contact = (struct contact){.id = picked->peer, .addr = picked->addresses[0]};
	return true;
}

void mesh_route_failed(struct mesh_route *route, const struct node_id *id)
{
	pick_failed(route->mesh->pick, clock_mono(), id);
}

void mesh_route_worked(struct mesh_route *route, const struct node_id *id)
{
	pick_worked(route->mesh->pick, id);
}
