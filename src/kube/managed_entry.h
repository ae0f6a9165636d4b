/* SPDX-License-Identifier: Apache-2.0 */
/* Entries of managedFields, for the files behind managed.h. Results belong to the caller. */
#pragma once

#include "kube/managed.h"
#include "kube/time.h"

/* A copy of the managedFields of @object. */
_must_use_ json_t *managed_list(const json_t *object);

/* Is this the entry of @manager for "Apply" or "Update"? */
bool managed_is(const json_t *entry, const char *operation, const struct kube_manager *manager);

/* An entry without time and fields. */
_must_use_ json_t *managed_entry(const struct kube_manager *manager, const char *operation,
				 const char *api_version);

/* Complete @entry and append it to @list; takes both over. */
void managed_put(json_t *list, json_t *entry, json_t *set, struct wall now);
