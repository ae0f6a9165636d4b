/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What replicas of our workload say about their group. The mesh only knows who has said it: one
 * whose certificate carries our workload's name, and whose own ends in the ordinal, as the pods of
 * a StatefulSet are named.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "io/clock.h"
#include "workplane/mesh_internal.h"

/* "db-2" of "db" is 2, spelt in one way only. */
static bool ordinal_of(const struct service_name *name, uint32_t *ret_ordinal)
{
	size_t len = strlen(name->name);
	const char *digits = name->pod + len + 1;
	unsigned long ordinal;

	if (strncmp(name->pod, name->name, len) != 0 || name->pod[len] != '-' || !*digits ||
	    strspn(digits, "0123456789") != strlen(digits) || (digits[0] == '0' && digits[1]))
		return false;
	errno = 0;
	ordinal = strtoul(digits, NULL, 10);
	if (errno || ordinal >= SERVICE_NO_ORDINAL)
		return false;
	*ret_ordinal = (uint32_t)ordinal;
	return true;
}

static bool is_sibling(const struct mesh *mesh, const struct service_name *name)
{
	return strcmp(name->namespace, mesh->name.namespace) == 0 &&
	       strcmp(name->kind, mesh->name.kind) == 0 && strcmp(name->name, mesh->name.name) == 0;
}

void mesh_on_group(struct mesh *mesh, mesh_group_fn *fn, void *user)
{
	mesh->group_fn = fn;
	mesh->group_user = user;
}

void mesh_group_take(struct mesh *mesh, const struct mesh_link *link, struct bytes message)
{
	uint32_t ordinal;

	if (mesh->group_fn && is_sibling(mesh, &link->peer->name) &&
	    ordinal_of(&link->peer->name, &ordinal))
		mesh->group_fn(mesh->group_user, ordinal, message);
}

/* Where the replica of that name is; of two, the one that has begun later. */
static const struct service_record *find_replica(struct mesh *mesh, uint32_t ordinal)
{
	const struct service_record *records[MESH_REPLICAS_MAX], *found = NULL;
	size_t count = directory_records(mesh->directory, clock_mono(), mesh->record.namespace,
					 mesh->record.name, records, MESH_REPLICAS_MAX);

	for (size_t i = 0; i < count; i++)
		if (records[i]->ordinal == ordinal && records[i]->address_count > 0 &&
		    strcmp(records[i]->kind, mesh->record.kind) == 0 &&
		    (!found || records[i]->epoch > found->epoch ||
		     (records[i]->epoch == found->epoch && records[i]->version > found->version)))
			found = records[i];
	return found;
}

/* The connection used last to the replica of that name, which has no record any more: it ends, and
 * has to hear how that goes. NULL: none is open. */
static struct mesh_link *find_link(struct mesh *mesh, uint32_t ordinal)
{
	struct mesh_link *found = NULL;
	uint32_t theirs;

	list_for_each (it, &mesh->links) {
		struct mesh_link *link = list_entry(it, struct mesh_link, in_age);

		if (link->state == LINK_OPEN && is_sibling(mesh, &link->peer->name) &&
		    ordinal_of(&link->peer->name, &theirs) && theirs == ordinal)
			found = link;
	}
	return found;
}

static bool tell(struct mesh *mesh, uint32_t ordinal, const struct work_message *group)
{
	const struct service_record *replica = find_replica(mesh, ordinal);
	struct mesh_link *link;
	struct contact to;

	if (!replica) {
		link = find_link(mesh, ordinal);
		return link && mesh_link_send(link, group);
	}
	if (mesh_is_self(mesh, &replica->peer))
		return false;
	to = (struct contact){.id = replica->peer, .addr = replica->addresses[0]};
	mesh_send(mesh, &to, group);
	return true;
}

bool mesh_tell_group(struct mesh *mesh, uint32_t ordinal, struct bytes message)
{
	struct work_message group = {.type = WORK_GROUP};
	bool told;

	if (!mesh->identified || message.len > WORK_GROUP_MAX)
		return false;
	buf_append_bytes(&group.group, message);
	told = tell(mesh, ordinal, &group);
	work_message_deinit(&group);
	mesh_settle(mesh);
	return told;
}
