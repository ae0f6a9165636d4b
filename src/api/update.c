/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Updating: PUT and PATCH of a stored object, and of its scale.
 */
#include "api/update.h"

#include <stdlib.h>
#include <string.h>

#include "api/compose.h"
#include "base/mem.h"
#include "kube/admit.h"
#include "kube/claim.h"
#include "kube/convert.h"
#include "kube/deletion.h"
#include "kube/managed.h"
#include "kube/member.h"
#include "kube/node_settings.h"
#include "kube/patch.h"
#include "kube/time.h"

static void note_current(void *arg, const struct api_object *object)
{
	struct current *current = arg;

	current->json = json_loadb((const char *)object->json.ptr, object->json.len, 0, NULL);
	current->uid = object->uid;
	current->version = object->version;
	current->generation = object->generation;
	if (!current->json)
		return;
	current->line = mem_strdup(kube_member_string(current->json, "metadata.resourceVersion"));
	kube_set_version(current->json, object->version);
}

/* A namespace that exists by being used. */
static void load_implicit(struct call *call, struct current *current)
{
	const char *uid;

	current->json = compose_one(&call->api->backend, call->resource->id, NULL, call->name);
	if (!current->json)
		return;
	uid = kube_member_string(current->json, "metadata.uid");
	current->implicit = uid_parse(uid, &current->uid);
	current->generation = 1;
	if (!current->implicit)
		current_deinit(current);
}

/* A Node is what its machine says and what people have set; only that is stored. What nobody can
 * set is left out: a patch is not to be warned of what it did not touch. */
static void load_node(struct call *call, struct current *current)
{
	json_t *seen = compose_one(&call->api->backend, KUBE_NODES, NULL, call->name);
	bool stored = current->json != NULL;

	json_decref(current->json);
	current->json = seen;
	if (!seen)
		return;
	(void)json_object_del(seen, "status");
	(void)json_object_del(json_object_get(seen, "spec"), "providerID");
	if (stored)
		return;
	current->implicit = uid_parse(kube_member_string(seen, "metadata.uid"), &current->uid);
	current->generation = 1;
}

void current_load(struct call *call, struct current *ret_current)
{
	const struct api_backend *backend = &call->api->backend;

	*ret_current = (struct current){0};
	(void)backend->ops->object(backend->self, call->resource->kind,
				   call->namespace ? call->namespace : "", call->name, note_current,
				   ret_current);
	if (call->resource->id == KUBE_NODES)
		load_node(call, ret_current);
	else if (ret_current->json)
		kube_convert(ret_current->json, call->resource);
	else if (call->resource->id == KUBE_NAMESPACES)
		load_implicit(call, ret_current);
}

void current_deinit(struct current *current)
{
	json_decref(current->json);
	free(current->line);
	*current = (struct current){0};
}

void update_missing(struct call *call)
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

	if (!*version ||
	    strcmp(version, kube_member_string(current->json, "metadata.resourceVersion")) == 0)
		return true;
	seen = compose_one(&call->api->backend, call->resource->id, call->namespace, call->name);
	same = strcmp(version, kube_member_string(seen, "metadata.resourceVersion")) == 0;
	json_decref(seen);
	return same;
}

/* Does the new object speak of the same one? NULL, or the Status to answer with. */
static json_t *check_identity(struct call *call, const struct current *current,
			      const json_t *object)
{
	const char *name = kube_member_string(object, "metadata.name");
	const char *uid = kube_member_string(object, "metadata.uid");
	const char *version = kube_member_string(object, "metadata.resourceVersion");
	struct id_text own = uid_text(&current->uid);

	if (*name && strcmp(name, call->name) != 0)
		return kube_status(KUBE_REASON_BAD_REQUEST,
				   "the name of the object (%s) does not match the name on the URL "
				   "(%s)",
				   name, call->name);
	if ((*uid && strcmp(uid, own.text) != 0) || !version_is_current(call, current, version))
		return kube_status_of_object(KUBE_REASON_CONFLICT, call->resource, call->name);
	return NULL;
}

/* Admit the new object; NULL, or the Status to answer with. */
static json_t *admit(struct call *call, const struct current *current, json_t *object,
		     enum kube_validation validation)
{
	struct kube_admission admission = {0};
	json_t *refused = priority_resolve(call, object);

	zone_resolve(call, object);
	if (!refused)
		refused = node_ports_resolve(call, object);
	if (refused)
		return refused;
	if (kube_admit(object, call->resource, call->namespace, validation, &admission))
		refused = json_incref(admission.status);
	call_warn(call, admission.warnings);
	kube_admission_deinit(&admission);
	if (refused)
		return refused;
	if (call->resource->id == KUBE_PERSISTENTVOLUMECLAIMS)
		kube_claim_keep(current->json, object);
	if (kube_admit_update(current->json, object, call->resource, &admission))
		refused = json_incref(admission.status);
	kube_admission_deinit(&admission);
	return refused;
}

/* What only the server writes. */
static void stamp(const struct current *current, json_t *object, uint64_t generation)
{
	struct kube_stamp stamp = {
		.uid = current->uid,
		.resource_version = current->version,
		.generation = (int64_t)generation,
	};
	const char *created = kube_member_string(current->json, "metadata.creationTimestamp");

	if (!kube_time_parse(created, &stamp.created))
		stamp.created.ms = 0;
	kube_stamp(object, &stamp);
}

/* Takes @object over. */
static json_t *node_settings(const struct call *call, json_t *object)
{
	json_t *own = compose_node_own(&call->api->backend, call->name);
	json_t *settings = kube_node_settings(object, own);

	json_decref(own);
	json_decref(object);
	return settings;
}

/* Takes @object and @call over. */
static void store_update(struct call *call, const struct current *current, json_t *object)
{
	struct store_request request = {
		.object = object,
		.uid = current->uid,
		.generation = current->generation,
		.expected_version = current->version,
		.line = current->line,
		.create = current->implicit,
	};
	bool dry_run;

	if (kube_spec_differs(current->json, object))
		request.generation++;
	stamp(current, object, request.generation);
	kube_keep_dying(current->json, object);
	if (!call_dry_run(call, &dry_run)) {
		json_decref(object);
	} else if (dry_run) {
		call_respond_stored(call, 200, object);
	} else if (json_equal(object, current->json)) {
		json_decref(object);
		call_respond_stored(call, 200,
				    compose_one(&call->api->backend, call->resource->id,
						call->namespace, call->name));
	} else {
		request.object =
			call->resource->id == KUBE_NODES ? node_settings(call, object) : object;
		store_object(call, &request, call->name);
	}
}

/* The managedFields that the object is stored with. NULL: it was answered with a failure. */
static json_t *managed_of(struct call *call, const struct current *current, const json_t *object,
			  const json_t *sent)
{
	struct call_manager manager;
	struct err err = {0};

	if (kube_managed_check(sent, &err)) {
		call_fail_err(call, &err);
		return NULL;
	}
	if (!call_manager(call, &manager))
		return NULL;
	return kube_managed_update(current->json, object, sent, call->resource, &manager.manager);
}

void update_object(struct call *call, const struct current *current, const struct update *update)
{
	json_t *object = update->object, *managed = update->managed;
	json_t *sent = json_incref(kube_member(object, "metadata.managedFields"));
	json_t *refused = check_identity(call, current, object);

	if (!refused)
		refused = admit(call, current, object, update->validation);
	if (refused)
		call_respond_status(call, refused);
	else if (!managed)
		managed = managed_of(call, current, object, sent);
	json_decref(sent);
	if (refused || !managed) {
		json_decref(object);
		json_decref(managed);
		return;
	}
	if (json_array_size(managed))
		kube_set(json_object_get(object, "metadata"), "managedFields", managed);
	else
		json_decref(managed);
	store_update(call, current, object);
}

/* What a PATCH makes of the object or of its scale. NULL when it was answered with a failure. */
static json_t *patched(struct call *call, const struct current *current,
		       const struct kube_body *body)
{
	json_t *base = call->subresource ? scale_of_current(current) : json_incref(current->json);
	json_t *result = NULL, *object;
	struct err err = {0};

	if (kube_patch(base, body, &result, &err)) {
		call_fail_err(call, &err);
		result = NULL;
	}
	json_decref(base);
	if (!result || !call->subresource)
		return result;
	object = scale_apply(call, current, result);
	json_decref(result);
	return object;
}

void verb_patch(struct call *call)
{
	struct update update = {0};
	struct current current;
	struct kube_body body;

	if (!call_body(call, &body))
		return;
	if (kube_patch_is_apply(body.content_type) && !call->subresource) {
		apply_configuration(call, &body);
		return;
	}
	current_load(call, &current);
	if (!current.json) {
		update_missing(call);
		return;
	}
	update.object = patched(call, &current, &body);
	update.validation = body.validation;
	if (update.object)
		update_object(call, &current, &update);
	current_deinit(&current);
}

void verb_update(struct call *call)
{
	struct update update = {0};
	struct current current;
	json_t *body = call_parse_body(call, &update.validation);

	if (!body)
		return;
	current_load(call, &current);
	if (!current.json)
		update_missing(call);
	else if (call->subresource)
		update.object = scale_apply(call, &current, body);
	else
		update.object = json_incref(body);
	if (update.object)
		update_object(call, &current, &update);
	json_decref(body);
	current_deinit(&current);
}
