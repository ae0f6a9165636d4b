/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Field sets: which members of an object somebody has set, in Kubernetes' form (fieldsV1).
 *
 * A set is a JSON object whose keys are steps into the object:
 *
 *   "f:NAME"     a member
 *   "k:{...}"    the element of a keyed list whose keys have these values
 *   "v:VALUE"    a value of a list that is a set
 *   "."          the member or element itself, where there are steps below it, too
 *
 * A step that leads to {} is a leaf: the value there belongs to the set as a whole. Lists, maps and
 * messages that are merged as a whole (schema.txt, and the atomic messages of fields.c) are leaves.
 * An empty set is NULL, never {}, which is a leaf. Sets come from clients, too: any JSON object is
 * a set, and steps that lead nowhere do nothing.
 */
#pragma once

#include <jansson.h>

#include "base/attr.h"
#include "base/err.h"
#include "kube/schema.h"

enum {
	KUBE_FIELDS_LIST_MAX = 1024, /* a longer keyed list is a leaf: nobody shares one */
};

/* All that @object sets, without its type and what only the server writes. A new reference or NULL.
 */
_must_use_ json_t *kube_fields_of(const json_t *object, const struct kube_message *message);

/* What @new sets that @old does not have, or has with another value. @old may be NULL. */
_must_use_ json_t *kube_fields_changed(const json_t *old, const json_t *new,
				       const struct kube_message *message);

/* Set arithmetic. Arguments may be NULL; the result is a new reference or NULL. */
_must_use_ json_t *kube_fields_union(const json_t *a, const json_t *b);
_must_use_ json_t *kube_fields_minus(const json_t *a, const json_t *b);
_must_use_ json_t *kube_fields_both(const json_t *a, const json_t *b);

/* Write @from over @object: members merge, keyed elements meet by their keys, leaves replace. */
void kube_fields_merge(json_t *object, const json_t *from, const struct kube_message *message);

/* Take everything in @set out of @object, and what is left empty by that. */
void kube_fields_remove(json_t *object, const json_t *set, const struct kube_message *message);

/* A keyed list with two elements of one key, or one without: -EINVAL with status 400. */
_must_use_ int kube_fields_check(const json_t *object, const struct kube_message *message,
				 struct err *err);

/* Call @each with the path of every leaf: ".spec.containers[name=\"nginx\"].image". */
typedef void kube_field_path_fn(void *arg, const char *path);
void kube_fields_paths(const json_t *set, kube_field_path_fn *each, void *arg);
