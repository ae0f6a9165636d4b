/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Managed fields: who set what of an object (metadata.managedFields).
 *
 * Every write belongs to a manager, the client's name for itself. What it changes is its from then
 * on, and nobody else's; what it applies is its for as long as it goes on applying it, and is taken
 * out when it no longer does, unless somebody else has set it, too (server-side apply).
 */
#pragma once

#include <jansson.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/time.h"
#include "kube/resource.h"

enum {
	KUBE_MANAGER_MAX = 128, /* bytes of a manager's name, as Kubernetes */
	KUBE_MANAGED_UPDATES_MAX =
		10, /* managers that update; older ones become one, "ancient-changes" */
	KUBE_CONFLICTS_MAX =
		64, /* told in one answer: the client is to fix them, not to list them */
};

/* Who writes, and when. */
struct kube_manager {
	const char *name;
	const char *subresource; /* "" or "scale" */
	struct wall now;
};

/* What a client sends as managedFields: NULL and a list that can be kept are right; else -EINVAL,
 * status 400. */
_must_use_ int kube_managed_check(const json_t *managed, struct err *err);

/*
 * The managedFields of @new, which @manager makes of @old (NULL: it creates it). @managed: those
 * that @new came with, NULL for @old's. Entries that did not change are returned as they are, so
 * that a write that changes nothing changes nothing here. A new reference; may be an empty list.
 */
_must_use_ json_t *kube_managed_update(const json_t *old, const json_t *new, const json_t *managed,
				       const struct kube_resource *resource,
				       const struct kube_manager *manager);

/* What server-side apply makes of an object. Free with kube_applied_deinit(). */
struct kube_applied {
	json_t *object;    /* to be admitted; NULL when there are conflicts */
	json_t *managed;   /* its managedFields */
	json_t *conflicts; /* [{"reason", "message", "field"}], NULL: none */
	char *sentence;    /* about the conflicts */
};

/*
 * Apply @config, which names its kind, to @live (NULL: it does not exist yet). What others have set
 * to another value is a conflict, unless @force takes it from them. 0, or -EINVAL with status 400.
 */
_must_use_ int kube_apply(const json_t *live, const json_t *config,
			  const struct kube_resource *resource, const struct kube_manager *manager,
			  bool force, struct kube_applied *ret_applied, struct err *err);
void kube_applied_deinit(struct kube_applied *applied);
