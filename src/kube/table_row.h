/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of tables: each function appends exactly as many cells as its kind has columns (table.c).
 * Objects may come from a peer: a missing member prints as "<none>" or "<unknown>".
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "base/time.h"

typedef void kube_row_fn(json_t *cells, const json_t *object, struct wall now);

kube_row_fn kube_pod_row;
kube_row_fn kube_node_row;

/* The age of metadata.creationTimestamp, as a cell. */
void kube_row_age(json_t *cells, const json_t *object, struct wall now);

/* @text in lower case, cut to @size. */
void kube_row_lower(const char *text, char *out, size_t size);
