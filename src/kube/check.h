/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Check: collects what is wrong with an object, in Kubernetes' words, with the path to each field.
 *
 * A check walks down with check_enter() and back up with check_leave(). Causes end up in a JSON
 * array of {reason, message, field}, at most CHECK_CAUSES_MAX of them.
 */
#pragma once

#include <jansson.h>

#include "base/attr.h"
#include "base/bytes.h"

enum {
	CHECK_CAUSES_MAX = 32,   /* enough to mend a manifest; the rest shows up next time */
	CHECK_WARNINGS_MAX = 32, /* each becomes a response header */
};

struct check {
	json_t *causes;   /* owned */
	json_t *warnings; /* what is no mistake but has no effect: sentences; owned */
	struct buf path;
};

void check_init(struct check *check);
void check_deinit(struct check *check);

/* Go down by a member ("spec", "containers[0]"); the result takes check_leave() back up. */
size_t check_enter(struct check *check, const char *format, ...) _printf_(2, 3);
void check_leave(struct check *check, size_t mark);

/* Each names a member of the present object; "" is the object itself. @detail may be "". */
void check_required(struct check *check, const char *field, const char *detail);
void check_invalid(struct check *check, const char *field, const json_t *value, const char *detail);
void check_forbidden(struct check *check, const char *field, const char *detail);
void check_duplicate(struct check *check, const char *field, const char *value);
void check_not_found(struct check *check, const char *field, const char *value);

/* The value must be one of @words (ended by NULL). Returns whether it is; remarks if not. */
bool check_one_of(struct check *check, const char *field, const char *value,
		  const char *const *words);

/* An integer must lie in a range. A missing one (NULL) is fine. */
void check_range(struct check *check, const char *field, const json_t *value, int64_t min,
		 int64_t max);

/* A member that has no effect here. */
void check_warn(struct check *check, const char *field, const char *reason);

/* A field that this project cannot honour; @path is complete. */
void check_unsupported(struct check *check, const char *path, const char *reason);
