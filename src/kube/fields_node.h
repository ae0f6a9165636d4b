/* SPDX-License-Identifier: Apache-2.0 */
/* One step of a field set, for the files behind fields.h: a node has itself and children. */
#pragma once

#include "kube/fields.h"

/* Does the set hold the member itself (".", or nothing below)? NULL: no. */
bool fields_has_self(const json_t *node);

/* A node of @children, which it takes over. NULL when nothing is left. */
json_t *fields_node_new(bool self, json_t *children);

/* Put @child, which is taken over, under @step; NULL: there is nothing to put. */
void fields_child_set(json_t *node, const char *step, json_t *child);
