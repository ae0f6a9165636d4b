/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Access: what a user may do, from the groups that stand in their certificate.
 *
 * A group "magik:ROLE:NAMESPACE" gives a role in one namespace; with "*" it gives it in all of
 * them, and for what lies in none (nodes, namespaces, priority classes). Several groups add up.
 * Anything else that is malformed gives nothing. The group system:masters may do everything.
 *
 * The roles are Kubernetes' own and each holds the one before it:
 *
 *	view   reads, but neither Secrets nor roles
 *	edit   also writes workloads, configuration and Secrets; exec, attach, port-forward
 *	admin  also writes roles, asks what others may do; with "*" what lies in no namespace
 *
 * One table of rules decides, for requests as well as for the reviews that tell of them; so what
 * `kubectl auth can-i --list` prints is what is allowed.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "kube/resource.h"

enum kube_role {
	KUBE_ROLE_NONE, /* known, and no more: discovery, and reviews of oneself */
	KUBE_ROLE_VIEW,
	KUBE_ROLE_EDIT,
	KUBE_ROLE_ADMIN,
	KUBE_ROLE_MASTER, /* system:masters */
};

enum {
	/* X.520's bound on an organisation's name. It leaves 52 of a namespace's 63 characters
	 * under the longest role. */
	KUBE_ACCESS_GROUP_MAX = 64,
};

/* The groups of who asks; borrowed. */
struct kube_groups {
	const char *const *names;
	size_t count;
};

/* One question. Words are as in a SubjectAccessReview; "*" in verb, group or resource asks for
 * all of them. */
struct kube_access {
	const char *verb;
	const char *group;       /* "" for the core group */
	const char *resource;    /* plural */
	const char *subresource; /* NULL or "": the object itself */
	const char *namespace;   /* NULL or "": all, or the resource lies in none */
	const char *name;        /* NULL or "": any */
};

/* By its word: "view", "edit", "admin"; KUBE_ROLE_NONE for any other. */
enum kube_role kube_role_parse(const char *word);

/* "magik:ROLE:NAMESPACE" into @out. False: no such role, a namespace that is neither a DNS label
 * nor "*", or a text too long for a certificate. */
_must_use_ bool kube_access_group(const char *role, const char *namespace,
				  char out[KUBE_ACCESS_GROUP_MAX + 1]);

/* The role in @namespace; NULL or "": in all of them. */
enum kube_role kube_role_in(const struct kube_groups *groups, const char *namespace);

_must_use_ bool kube_access_allows(const struct kube_groups *groups,
				   const struct kube_access *access);

/* Paths that are no resource: discovery, health, metrics and what an operator looks at. */
_must_use_ bool kube_access_allows_path(const struct kube_groups *groups, const char *verb,
					const char *path);

/* The status of a SelfSubjectRulesReview for @namespace: every rule that allows something. */
_must_use_ json_t *kube_access_rules(const struct kube_groups *groups, const char *namespace);
