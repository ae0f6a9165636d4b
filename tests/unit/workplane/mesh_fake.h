/* SPDX-License-Identifier: Apache-2.0 */
/* A mesh that knows the replicas it is told of, and remembers what it was asked to open. */
#pragma once

#include "workplane/mesh.h"

enum {
	FAKE_RECORDS_MAX = 8,
};

struct fake_mesh {
	struct loop *loop;
	struct service_record records[FAKE_RECORDS_MAX];
	size_t record_count;
	bool silent; /* nobody can tell */
	/* The last order, with its strings copied: "shop/web[/db-0]:80 tcp", and its descriptor. */
	char order[600];
	unsigned orders;
	int fd; /* answered with "hello" and closed */
};

extern struct fake_mesh fake_mesh;

/* A ready replica; strings are borrowed. */
struct service_record *fake_mesh_add(const char *namespace, const char *name, const char *pod);
void fake_mesh_reset(struct loop *loop);
