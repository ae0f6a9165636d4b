/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A family for tests of reconcilers: a root, what they derived from it, and pods. family_run()
 * calls the reconciler and carries its verdict out as node/control.c does, over and over until it
 * asks for nothing more.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "control/control.h"
#include "kube/member.h"

enum {
	FAMILY_OBJECTS_MAX = 64,
	FAMILY_PODS_MAX = 64,
};

struct family {
	control_reconcile_fn *reconcile;
	struct control_object root;
	struct control_object derived[FAMILY_OBJECTS_MAX];
	size_t derived_count;
	struct presence presences[FAMILY_PODS_MAX];
	struct control_pod pods[FAMILY_PODS_MAX];
	struct container_status statuses[FAMILY_PODS_MAX];
	size_t pod_count;
	struct wall now;
	struct wall due; /* of the last call */
	uint64_t hlc;
	bool root_disposed;
	struct uid deleted[FAMILY_OBJECTS_MAX]; /* of them nothing is taken any more */
	size_t deleted_count;
};

/* @json with single quotes for double ones; the uid is made up. */
struct family *family_new(control_reconcile_fn *reconcile, const char *json);
void family_free(struct family *family);

/* Reconcile until nothing more is to be done; fails when that takes too often. */
void family_run(struct family *family);

/* As when a user deletes something derived. */
void family_delete(struct family *family, const struct control_object *object);

/* A pod of the object @of (NULL: the root), in @slot. */
struct presence *family_add_pod(struct family *family, const struct control_object *of,
				uint32_t slot, enum pod_phase phase);
struct control_view family_view(struct family *family);

/* The only derived object of @kind; NULL: there is none. */
const struct control_object *family_find(const struct family *family, const char *kind);
size_t family_count(const struct family *family, const char *kind);

/* Change the root by a JSON merge at @path. */
void family_set(struct family *family, const char *parent, const char *key, json_t *value);
