/* SPDX-License-Identifier: Apache-2.0 */
/* ConfigMaps and Secrets: their defaults, and what is wrong with them. */
#pragma once

#include <jansson.h>

#include "kube/check.h"
#include "kube/resource.h"

/* A Secret's stringData becomes data; its type is Opaque unless it says otherwise. */
void kube_default_secret(json_t *secret);

void kube_validate_config(struct check *check, const json_t *object);

/* What is immutable stays as it is. */
void kube_validate_config_update(struct check *check, const json_t *old, const json_t *new);
