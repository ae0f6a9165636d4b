/* SPDX-License-Identifier: Apache-2.0 */
/* Volumes of a pod: their defaults, and what is wrong with them. */
#pragma once

#include <jansson.h>

#include "kube/check.h"

/* Complete one element of spec.volumes. */
void kube_default_volume(json_t *volume);

/* Complete the fieldRef and resourceFieldRef in @from: an element of a downward API volume, or
 * env[].valueFrom. Clients that hold a divisor in a struct always write it. */
void kube_default_selectors(json_t *from);

/* Judge the source of one element of spec.volumes, which @check stands at. */
void kube_validate_volume_source(struct check *check, const json_t *volume);

/* Judge the subPath or subPathExpr of a mount. */
void kube_validate_sub_path(struct check *check, const json_t *mount);

/* Judge env[].valueFrom and envFrom[] where they name other objects. */
void kube_validate_env_source(struct check *check, const json_t *from);
void kube_validate_env_from(struct check *check, const json_t *container);

/* An absolute path without "..", and without ":", which mount options separate. */
bool kube_is_mount_path(const char *path);

/* A field that the downward API gives out: metadata.labels['x'] among them; as a @file also whole
 * maps. */
bool kube_is_field_path(const char *path, bool file);
