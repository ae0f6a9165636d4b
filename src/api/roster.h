/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Roster: the presences a composition needs, copied and ordered by workload, with the objects they
 * belong to, each looked up and parsed once.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/backend.h"
#include "base/map.h"
#include "wire/presence.h"

struct roster_pod {
	struct presence *presence; /* owned */
	uint64_t version;
	bool lost;     /* its machine does not answer */
	bool replaced; /* and another pod has its slot */
};

struct roster_object {
	json_t *json;
	uint64_t version;
	bool buried; /* deleted; its pods are on their way out */
};

/* Zeroed is empty. */
struct roster {
	struct roster_pod *pods;           /* by workload, then pod */
	const struct presence **presences; /* the same, as kube/ wants them */
	size_t count, cap;
	struct map objects; /* workload uid -> struct roster_object */
	bool has_objects;
};

/* The pods of one workload; @version is the highest of theirs. */
struct roster_slice {
	const struct presence *const *presences;
	size_t count;
	uint64_t version;
};

/* All presences but those of pods that are gone; of one workload if @workload is not NULL. Those of
 * machines that are not alive are not ready, with reason NodeLost, and are left out once another
 * pod has their slot. */
void roster_load(struct roster *roster, const struct api_backend *backend,
		 const struct uid *workload);

/* The same in steps: any number of workloads, then once what makes them readable. */
void roster_add(struct roster *roster, const struct api_backend *backend,
		const struct uid *workload);
void roster_settle(struct roster *roster, const struct api_backend *backend);
void roster_deinit(struct roster *roster);

struct roster_slice roster_of(const struct roster *roster, const struct uid *workload);

/* The object that @presence belongs to, or NULL when it is not known here. */
const struct roster_object *roster_object(struct roster *roster, const struct api_backend *backend,
					  const struct presence *presence);
