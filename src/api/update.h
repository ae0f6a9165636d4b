/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Update: what PUT, the patches and server-side apply have in common.
 *
 * The new object is admitted like a created one, keeps its uid and age, and is stored only if what
 * it was made from still is the current version; a client that lost that race is told Conflict and
 * tries again.
 */
#pragma once

#include "api/gateway.h"

/* The object as it is stored, in the version that is asked for. Free with current_deinit(). */
struct current {
	json_t *json; /* NULL: there is none */
	struct uid uid;
	uint64_t version, generation;
	char *line;    /* the versions it comes of: kube/lost.h. NULL: of none */
	bool implicit; /* a namespace that exists by being used: it is stored with its first change
			*/
};

void current_load(struct call *call, struct current *ret_current);
void current_deinit(struct current *current);

/* What is to become of it. */
struct update {
	json_t *object;  /* taken over */
	json_t *managed; /* by server-side apply, taken over; NULL: as the write changes it */
	enum kube_validation validation;
};

/* Admit, compare and store; answers @call, which it takes over. */
void update_object(struct call *call, const struct current *current, const struct update *update);

/* Nothing is stored under the name of @call: answer why it cannot be changed. */
void update_missing(struct call *call);

/* scale.c. The Scale of what is stored; and what is stored with the replicas of a changed Scale,
 * NULL when that was answered with a failure. */
json_t *scale_of_current(const struct current *current);
json_t *scale_apply(struct call *call, const struct current *current, const json_t *scale);

/* apply.c: a PATCH whose body is a configuration. */
void apply_configuration(struct call *call, const struct kube_body *body);
