/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Members of JSON objects by dotted path, and building objects without checking every step.
 *
 * Everything read may come from a client: a missing member or another type is an ordinary answer.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"

/* The member at @path ("metadata.labels"), borrowed; NULL when any step is missing. */
json_t *kube_member(const json_t *object, const char *path);

/* A string member, borrowed; "" when there is none. */
const char *kube_member_string(const json_t *object, const char *path);

/* An integer member; @otherwise when there is none. */
int64_t kube_member_int(const json_t *object, const char *path, int64_t otherwise);

/* True only for a member that is the boolean true. */
bool kube_member_true(const json_t *object, const char *path);

/* Whether one of the first @count elements of @list has the same @text under @key. */
bool kube_is_repeated(const json_t *list, size_t count, const char *key, const char *text);

/* Set a key of @object, which must be an object; @value is taken over and must not be NULL. */
void kube_set(json_t *object, const char *key, json_t *value);
void kube_set_string(json_t *object, const char *key, const char *value);
void kube_set_int(json_t *object, const char *key, int64_t value);

/* Set the key only where it is missing; @value is taken over either way. */
void kube_set_missing(json_t *object, const char *key, json_t *value);

/* The object under @key, created when it is missing. NULL when something else is there. */
json_t *kube_object_at(json_t *object, const char *key);

/* Append to an array; @value is taken over. */
void kube_push(json_t *array, json_t *value);

/* A JSON string of formatted text. */
_must_use_ json_t *kube_text(const char *format, ...) _printf_(1, 2);

/* How large a value is: all values in it, itself included; levels below it. */
struct kube_size {
	size_t nodes;
	size_t depth;
};

void kube_measure(const json_t *value, struct kube_size *ret_size);

/* Remove members that are null, at any depth: to Kubernetes they are not set. For values whose
 * depth has been checked. */
void kube_drop_nulls(json_t *value);
