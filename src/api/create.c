/* SPDX-License-Identifier: Apache-2.0 */
/* Creating: parse, admit, stamp, store, and answer with what a get would show. */
#include <stdlib.h>
#include <string.h>

#include "api/compose.h"
#include "api/gateway.h"
#include "base/mem.h"
#include "kube/admit.h"
#include "kube/name.h"

static const char *metadata_text(const json_t *object, const char *field)
{
	return json_string_value(json_object_get(json_object_get(object, "metadata"), field));
}

/* Give the object what only the server writes. */
static struct uid stamp(struct call *call, json_t *object)
{
	const struct api_backend *backend = &call->api->backend;
	uint8_t random[UID_LEN];
	struct kube_stamp stamp = {.generation = 1};

	backend->ops->random(backend->self, random, sizeof(random));
	stamp.uid = uid_from_random(random);
	stamp.created = backend->ops->now(backend->self);
	stamp.resource_version = backend->ops->version(backend->self);
	kube_stamp(object, &stamp);
	return stamp.uid;
}

/* metadata.name, made from generateName where it is missing. */
static char *name_of(struct call *call, json_t *object)
{
	const struct api_backend *backend = &call->api->backend;
	const char *name = metadata_text(object, "name");
	const char *prefix = metadata_text(object, "generateName");
	struct kube_name made;
	uint64_t random;

	if (name && *name)
		return mem_strdup(name);
	backend->ops->random(backend->self, &random, sizeof(random));
	made = kube_name_generate(prefix ? prefix : "", random);
	(void)json_object_set_new(json_object_get(object, "metadata"), "name",
				  json_string(made.text));
	return mem_strdup(made.text);
}

static bool name_is_taken(struct call *call, const char *name)
{
	json_t *present =
		compose_one(&call->api->backend, call->resource->id, call->namespace, name);
	/* A namespace that merely is in use may still be created as an object. */
	bool taken = present && (call->resource->id != KUBE_NAMESPACES ||
				 compose_namespace_is_built_in(name) ||
				 json_object_get(json_object_get(present, "metadata"), "uid"));

	json_decref(present);
	return taken;
}

/* Who has set the fields of @object. False: it was answered with a failure. */
static bool set_managed(struct call *call, json_t *object, const json_t *managed)
{
	struct call_manager manager;
	json_t *own;

	if (!call_manager(call, &manager))
		return false;
	own = managed ? json_deep_copy(managed)
		      : kube_managed_update(NULL, object, NULL, call->resource, &manager.manager);
	if (json_array_size(own))
		(void)json_object_set(json_object_get(object, "metadata"), "managedFields", own);
	json_decref(own);
	return true;
}

/* Takes @object and @call over. */
static void create_admitted(struct call *call, json_t *object, bool dry_run)
{
	struct store_request request = {.object = object, .generation = 1, .create = true};
	char *name = name_of(call, object);

	if (name_is_taken(call, name)) {
		call_respond_status(call, kube_status_of_object(KUBE_REASON_ALREADY_EXISTS,
								call->resource, name));
		json_decref(object);
	} else {
		request.uid = stamp(call, object);
		if (dry_run)
			call_respond_object(call, 201, object);
		else
			store_object(call, &request, name);
	}
	free(name);
}

void create_object(struct call *call, json_t *object, enum kube_validation validation,
		   json_t *managed)
{
	struct kube_admission admission = {0};
	bool dry_run, ready = call_dry_run(call, &dry_run);
	json_t *refused = ready ? priority_resolve(call, object) : NULL;
	int r = 0;

	if (refused) {
		call_respond_status(call, refused);
		ready = false;
	}
	if (ready) {
		r = kube_admit(object, call->resource, call->namespace, validation, &admission);
		call_warn(call, admission.warnings);
	}
	if (r)
		call_respond_status(call, json_incref(admission.status));
	if (ready && r == 0 && set_managed(call, object, managed))
		create_admitted(call, object, dry_run);
	else
		json_decref(object);
	json_decref(managed);
	kube_admission_deinit(&admission);
}

void verb_create(struct call *call)
{
	enum kube_validation validation;
	json_t *object = call_parse_body(call, &validation);

	if (object)
		create_object(call, object, validation, NULL);
}

void create_from_manifest(struct call *call)
{
	enum kube_validation validation;
	json_t *object = call_parse_body(call, &validation), *refused;
	const char *version, *kind, *namespace;

	if (!object)
		return;
	version = json_string_value(json_object_get(object, "apiVersion"));
	kind = json_string_value(json_object_get(object, "kind"));
	namespace = metadata_text(object, "namespace");
	call->resource = version && kind ? kube_resource_of_kind(version, kind) : NULL;
	if (!call->resource || !(call->resource->verbs & KUBE_VERB_CREATE)) {
		json_decref(object);
		call_fail(call, KUBE_REASON_BAD_REQUEST,
			  "the manifest's apiVersion and kind cannot be created here");
		return;
	}
	if (call->resource->namespaced)
		call->namespace = url_keep(&call->url, namespace ? namespace : "default");
	refused = authorize(&call->exchange->user, "create", call->resource, NULL, call->namespace,
			    NULL);
	if (refused) {
		json_decref(object);
		call_respond_status(call, refused);
		return;
	}
	create_object(call, object, validation, NULL);
}
