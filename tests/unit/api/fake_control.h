/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's controllers over a fabric in memory: everything is one family. */
#pragma once

#include "api/backend.h"
#include "control/control.h"

/* Zeroed is empty, but for @now and @is_buried. Borrows what is added to it. */
struct fake_family {
	struct control_object *objects;
	size_t object_count;
	struct control_pod *pods;
	size_t pod_count;
	struct wall now;
	bool (*is_buried)(const void *arg, const struct uid *uid); /* deleted? */
	const void *buried_arg;
};

void fake_family_add_object(struct fake_family *family, const struct api_object *object);
void fake_family_add_pod(struct fake_family *family, const struct presence *presence);

/* What all controllers want. */
void fake_family_judge(const struct fake_family *family, struct control_verdict *verdict);
void fake_family_deinit(struct fake_family *family);
