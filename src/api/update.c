/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Updating: PUT and PATCH of a stored object, and of a Deployment's scale.
 *
 * The new object is admitted like a created one, keeps its uid and age, and is stored only if what
 * it was made from still is the current version; a client that lost that race is told Conflict and
 * tries again.
 *
 * OUR limit: a Deployment's pod template stays as it was created, because running pods are not
 * rolled over to a new one. Refusing says so; storing it would pretend.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "api/compose.h"
#include "api/gateway.h"
#include "base/mem.h"
#include "kube/admit.h"
#include "kube/convert.h"
#include "kube/deployment.h"
#include "kube/name.h"
#include "kube/patch.h"
#include "kube/time.h"

/* The object as it is stored. */
struct current {
	json_t *json;
	struct uid uid;
	uint64_t version, generation;
};

static const char *metadata_text(const json_t *object, const char *field)
{
	return json_string_value(json_object_get(json_object_get(object, "metadata"), field));
}

static void note_current(void *arg, const struct api_object *object)
{
	struct current *current = arg;

	current->json = json_loadb((const char *)object->json.ptr, object->json.len, 0, NULL);
	current->uid = object->uid;
	current->version = object->version;
	current->generation = object->generation;
	if (current->json)
		kube_set_version(current->json, object->version);
}

static void load_current(struct call *call, struct current *ret_current)
{
	const struct api_backend *backend = &call->api->backend;

	*ret_current = (struct current){0};
	(void)backend->ops->object(backend->self, call->resource->kind,
				   call->namespace ? call->namespace : "", call->name, note_current,
				   ret_current);
	if (ret_current->json)
		kube_convert(ret_current->json, call->resource);
}

/* Nothing is stored under that name. */
static void fail_missing(struct call *call)
{
	json_t *seen =
		compose_one(&call->api->backend, call->resource->id, call->namespace, call->name);

	if (seen)
		call_fail(call, KUBE_REASON_METHOD_NOT_ALLOWED,
			  "this object is derived from another one: change that");
	else
		call_not_found(call);
	json_decref(seen);
}

/* A version that the client names may be that of the stored object or of what it was shown. */
static bool version_is_current(struct call *call, const struct current *current,
			       const char *version)
{
	json_t *seen;
	bool same;

	if (!version || !*version ||
	    strcmp(version, metadata_text(current->json, "resourceVersion")) == 0)
		return true;
	seen = compose_one(&call->api->backend, call->resource->id, call->namespace, call->name);
	same = seen && strcmp(version, metadata_text(seen, "resourceVersion")) == 0;
	json_decref(seen);
	return same;
}

/* Does the new object speak of the same one? NULL, or the Status to answer with. */
static json_t *check_identity(struct call *call, const struct current *current,
			      const json_t *object)
{
	const char *name = metadata_text(object, "name"), *uid = metadata_text(object, "uid");
	struct id_text own = uid_text(&current->uid);

	if (name && strcmp(name, call->name) != 0)
		return kube_status(KUBE_REASON_BAD_REQUEST,
				   "the name of the object (%s) does not match the name on the URL "
				   "(%s)",
				   name, call->name);
	if ((uid && *uid && strcmp(uid, own.text) != 0) ||
	    !version_is_current(call, current, metadata_text(object, "resourceVersion")))
		return kube_status_of_object(KUBE_REASON_CONFLICT, call->resource, call->name);
	return NULL;
}

/* NULL, or why this change is not carried out. */
static json_t *check_template(struct call *call, const json_t *old, const json_t *new)
{
	const json_t *before = json_object_get(json_object_get(old, "spec"), "template");
	const json_t *after = json_object_get(json_object_get(new, "spec"), "template");
	json_t *causes, *status;

	if (call->resource->id != KUBE_DEPLOYMENTS || json_equal(before, after))
		return NULL;
	causes = json_pack("[{s:s, s:s, s:s}]", "reason", "FieldValueForbidden", "field",
			   "spec.template", "message",
			   "Forbidden: the template of an existing Deployment cannot be changed: "
			   "delete it and create it again");
	status = kube_status_invalid(call->resource, call->name, causes);
	json_decref(causes);
	return status;
}

/* Admit the new object; NULL, or the Status to answer with. */
static json_t *admit(struct call *call, const struct current *current, json_t *object,
		     enum kube_validation validation)
{
	struct kube_admission admission = {0};
	json_t *refused = NULL;

	if (kube_admit(object, call->resource, call->namespace, validation, &admission))
		refused = json_incref(admission.status);
	call_warn(call, admission.warnings);
	kube_admission_deinit(&admission);
	if (refused)
		return refused;
	if (kube_admit_update(current->json, object, call->resource, &admission))
		refused = json_incref(admission.status);
	kube_admission_deinit(&admission);
	return refused ? refused : check_template(call, current->json, object);
}

/* Takes @object and @call over. */
static void store_update(struct call *call, const struct current *current, json_t *object,
			 bool dry_run)
{
	struct store_request request = {
		.object = object,
		.uid = current->uid,
		.generation = current->generation,
		.expected_version = current->version,
	};
	struct kube_stamp stamp = {.uid = current->uid, .resource_version = current->version};
	const char *created = metadata_text(current->json, "creationTimestamp");

	if (kube_spec_differs(current->json, object))
		request.generation++;
	stamp.generation = (int64_t)request.generation;
	if (!created || !kube_time_parse(created, &stamp.created))
		stamp.created.ms = 0;
	kube_stamp(object, &stamp);
	if (dry_run) {
		call_respond_stored(call, 200, object);
	} else if (json_equal(object, current->json)) {
		json_decref(object);
		call_respond_stored(call, 200,
				    compose_one(&call->api->backend, call->resource->id,
						call->namespace, call->name));
	} else {
		store_object(call, &request, call->name);
	}
}

/* Takes @object and @call over. */
static void update_object(struct call *call, const struct current *current, json_t *object,
			  enum kube_validation validation)
{
	json_t *refused = check_identity(call, current, object);
	bool dry_run;

	if (!refused)
		refused = admit(call, current, object, validation);
	if (refused)
		call_respond_status(call, refused);
	else if (call_dry_run(call, &dry_run)) {
		store_update(call, current, object, dry_run);
		return;
	}
	json_decref(object);
}

/* The Deployment with the replicas of a changed Scale. NULL when it was answered with a failure. */
static json_t *rescaled(struct call *call, const struct current *current, const json_t *scale)
{
	const json_t *replicas = json_object_get(json_object_get(scale, "spec"), "replicas");
	json_t *object;

	if (replicas && !json_is_integer(replicas)) {
		call_fail(call, KUBE_REASON_BAD_REQUEST, "spec.replicas must be a number");
		return NULL;
	}
	object = json_deep_copy(current->json);
	(void)json_object_set_new(json_object_get(object, "spec"), "replicas",
				  json_integer(json_integer_value(replicas)));
	return object;
}

static json_t *scale_of(const struct current *current)
{
	static const struct kube_pods none;

	return kube_scale(current->json, &none);
}

/* What a PATCH makes of the object or of its scale. NULL when it was answered with a failure. */
static json_t *patched(struct call *call, const struct current *current,
		       const struct kube_body *body)
{
	json_t *base = call->subresource ? scale_of(current) : json_incref(current->json);
	json_t *result = NULL, *object;
	struct err err = {0};

	if (kube_patch(base, body, &result, &err)) {
		call_fail_err(call, &err);
		result = NULL;
	}
	json_decref(base);
	if (!result || !call->subresource)
		return result;
	object = rescaled(call, current, result);
	json_decref(result);
	return object;
}

/* Server-side apply of what does not exist. */
static void apply_new(struct call *call, const struct kube_body *body)
{
	json_t *object;
	struct err err = {0};

	if (kube_patch(NULL, body, &object, &err)) {
		call_fail_err(call, &err);
		return;
	}
	create_object(call, object, body->validation);
}

void verb_patch(struct call *call)
{
	struct current current;
	struct kube_body body;
	json_t *object;

	if (!call_body(call, &body))
		return;
	load_current(call, &current);
	if (!current.json) {
		if (kube_patch_is_apply(body.content_type) && !call->subresource)
			apply_new(call, &body);
		else
			fail_missing(call);
		return;
	}
	object = patched(call, &current, &body);
	if (object)
		update_object(call, &current, object, body.validation);
	json_decref(current.json);
}

void verb_update(struct call *call)
{
	enum kube_validation validation;
	struct current current;
	json_t *object = call_parse_body(call, &validation), *scale;

	if (!object)
		return;
	load_current(call, &current);
	if (!current.json) {
		json_decref(object);
		fail_missing(call);
		return;
	}
	if (call->subresource) {
		scale = object;
		object = rescaled(call, &current, scale);
		json_decref(scale);
	}
	if (object)
		update_object(call, &current, object, validation);
	json_decref(current.json);
}
