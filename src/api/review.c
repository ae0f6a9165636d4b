/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reviews: questions that are asked by creating an object, answered in its status and not stored.
 *
 *	SelfSubjectReview         who am I
 *	SelfSubjectAccessReview   may I do that
 *	SelfSubjectRulesReview    what may I do in that namespace
 *	SubjectAccessReview       may that user do that; LocalSubjectAccessReview: in this namespace
 */
#include <string.h>

#include "api/gateway.h"
#include "kube/access.h"
#include "kube/member.h"

static const char *member_or_null(const json_t *object, const char *path)
{
	const char *text = kube_member_string(object, path);

	return *text ? text : NULL;
}

static json_t *invalid(const struct call *call, const char *field, const char *message)
{
	json_t *causes = json_array(), *cause = json_object(), *status;

	kube_set_string(cause, "reason", "FieldValueInvalid");
	kube_set_string(cause, "message", message);
	kube_set_string(cause, "field", field);
	kube_push(causes, cause);
	status = kube_status_invalid(call->resource, "", causes);
	json_decref(causes);
	return status;
}

/* Takes @status over. */
static void answer(struct call *call, json_t *object, json_t *status)
{
	kube_set(object, "status", status);
	call_respond_json(call, 201, json_incref(object));
}

static void answer_allowed(struct call *call, json_t *object, bool allowed)
{
	json_t *status = json_object();

	kube_set(status, "allowed", json_boolean(allowed));
	answer(call, object, status);
}

static void answer_self(struct call *call, json_t *object)
{
	const struct api_user *user = &call->exchange->user;
	json_t *status = json_object(), *info = kube_object_at(status, "userInfo");
	json_t *groups = json_array();

	kube_set_string(info, "username", user->name);
	for (size_t i = 0; i < user->group_count; i++)
		kube_push(groups, json_string(user->groups[i]));
	kube_push(groups, json_string("system:authenticated"));
	kube_set(info, "groups", groups);
	answer(call, object, status);
}

/* What spec.resourceAttributes or spec.nonResourceAttributes ask, for @groups. */
static bool review_allows(const json_t *object, const struct kube_groups *groups)
{
	const json_t *attributes = kube_member(object, "spec.resourceAttributes");
	const struct kube_access access = {
		.verb = kube_member_string(attributes, "verb"),
		.group = kube_member_string(attributes, "group"),
		.resource = kube_member_string(attributes, "resource"),
		.subresource = kube_member_string(attributes, "subresource"),
		.namespace = kube_member_string(attributes, "namespace"),
		.name = kube_member_string(attributes, "name"),
	};

	if (attributes)
		return kube_access_allows(groups, &access);
	return kube_access_allows_path(
		groups, kube_member_string(object, "spec.nonResourceAttributes.verb"),
		kube_member_string(object, "spec.nonResourceAttributes.path"));
}

/* The groups that an array of strings names; too many or other values are left out. */
static struct kube_groups groups_named(const json_t *list, const char *names[API_USER_GROUPS_MAX])
{
	struct kube_groups groups = {.names = names};
	const json_t *item;
	size_t i;

	json_array_foreach (list, i, item) {
		if (json_is_string(item) && groups.count < API_USER_GROUPS_MAX)
			names[groups.count++] = json_string_value(item);
	}
	return groups;
}

static void answer_access(struct call *call, json_t *object)
{
	const char *names[API_USER_GROUPS_MAX];
	struct kube_groups groups = {.names = names};
	bool self = strcmp(call->resource->kind, "SelfSubjectAccessReview") == 0;

	if (!kube_member(object, "spec.resourceAttributes") ==
	    !kube_member(object, "spec.nonResourceAttributes")) {
		call_respond_status(call, invalid(call, "spec.resourceAttributes",
						  "exactly one of nonResourceAttributes or "
						  "resourceAttributes must be specified"));
		return;
	}
	if (!self && !member_or_null(object, "spec.user") && !kube_member(object, "spec.groups")) {
		call_respond_status(call,
				    invalid(call, "spec.user",
					    "at least one of user or group must be specified"));
		return;
	}
	if (call->namespace &&
	    strcmp(kube_member_string(object, "spec.resourceAttributes.namespace"),
		   call->namespace) != 0) {
		call_respond_status(call, invalid(call, "spec.resourceAttributes.namespace",
						  "must match the namespace of the request"));
		return;
	}
	if (self) {
		for (size_t i = 0; i < call->exchange->user.group_count; i++)
			names[groups.count++] = call->exchange->user.groups[i];
	} else {
		groups = groups_named(kube_member(object, "spec.groups"), names);
	}
	answer_allowed(call, object, review_allows(object, &groups));
}

static void answer_rules(struct call *call, json_t *object)
{
	const char *namespace = member_or_null(object, "spec.namespace");

	if (!namespace)
		call_respond_status(call,
				    invalid(call, "spec.namespace", "no namespace on request"));
	else
		answer(call, object, authorize_rules(&call->exchange->user, namespace));
}

bool review_is(const struct kube_resource *resource)
{
	return strcmp(resource->group, "authorization.k8s.io") == 0 ||
	       strcmp(resource->group, "authentication.k8s.io") == 0;
}

void verb_review(struct call *call)
{
	enum kube_validation validation;
	json_t *object = call_parse_body(call, &validation);

	if (!object)
		return;
	if (strcmp(kube_member_string(object, "kind"), call->resource->kind) != 0)
		call_fail(call, KUBE_REASON_BAD_REQUEST,
			  "the kind of the body is not that of the path");
	else if (strcmp(call->resource->kind, "SelfSubjectReview") == 0)
		answer_self(call, object);
	else if (strcmp(call->resource->kind, "SelfSubjectRulesReview") == 0)
		answer_rules(call, object);
	else
		answer_access(call, object);
	json_decref(object);
}
