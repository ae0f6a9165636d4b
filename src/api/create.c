/* SPDX-License-Identifier: Apache-2.0 */
/* Creating: parse, admit, stamp, store, and answer with what a get would show. */
#include <stdlib.h>
#include <string.h>

#include "api/compose.h"
#include "api/gateway.h"
#include "base/mem.h"
#include "kube/admit.h"
#include "kube/manifest.h"
#include "kube/name.h"

struct creation {
	struct call *call;
	json_t *object; /* as it is stored */
	char *name;
};

static const char *metadata_text(const json_t *object, const char *field)
{
	return json_string_value(json_object_get(json_object_get(object, "metadata"), field));
}

static void creation_free(struct creation *creation)
{
	json_decref(creation->object);
	free(creation->name);
	free(creation);
}

/* What a get would show now; the stored object itself if it has been deleted again already. */
static void respond_created(struct creation *creation)
{
	struct call *call = creation->call;
	json_t *object = compose_one(&call->api->backend, call->resource->id, call->namespace,
				     creation->name);

	if (!object)
		object = json_incref(creation->object);
	call_respond_object(call, 201, object);
}

static void create_done(void *arg, const struct api_result *result)
{
	struct creation *creation = arg;
	struct call *call = creation->call;
	struct api *api = call->api;
	char warning[96];

	if (result->err.code && result->err.status == 409) {
		call_respond_status(call, kube_status_of_object(KUBE_REASON_ALREADY_EXISTS,
								call->resource, creation->name));
	} else if (result->err.code) {
		call_fail_err(call, &result->err);
	} else {
		if (result->stored < result->wanted) {
			(void)snprintf(warning, sizeof(warning), "stored on %u of %u keepers",
				       result->stored, result->wanted);
			exchange_warning(call->exchange, warning);
		}
		compose_set_version(creation->object, result->version);
		respond_created(creation);
	}
	creation_free(creation);
	call_unhold(api);
}

static void create_put(struct creation *creation, const struct uid *uid)
{
	struct call *call = creation->call;
	const struct api_backend *backend = &call->api->backend;
	char *text = json_dumps(creation->object, JSON_COMPACT);
	struct api_put put = {
		.kind = call->resource->kind,
		.namespace = call->namespace ? call->namespace : "",
		.name = creation->name,
		.uid = *uid,
		.generation = 1,
		.create = true,
		.author = call->exchange->user.name,
	};

	if (!text)
		abort(); /* only memory can be short */
	put.json = bytes_str(text);
	call_hold(call);
	backend->ops->put(backend->self, &put, create_done, creation);
	free(text);
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
	kube_stamp(object, &stamp);
	/* The version is the record's, which does not exist yet. */
	(void)json_object_del(json_object_get(object, "metadata"), "resourceVersion");
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

/* Takes @object and @call over. */
static void create_admitted(struct call *call, json_t *object, bool dry_run)
{
	struct creation *creation = mem_new(struct creation);
	struct uid uid;

	creation->call = call;
	creation->object = object;
	creation->name = name_of(call, object);
	if (name_is_taken(call, creation->name)) {
		call_respond_status(call, kube_status_of_object(KUBE_REASON_ALREADY_EXISTS,
								call->resource, creation->name));
		creation_free(creation);
		return;
	}
	uid = stamp(call, object);
	if (dry_run) {
		call_respond_object(call, 201, json_incref(object));
		creation_free(creation);
		return;
	}
	create_put(creation, &uid);
}

static void warn_all(struct exchange *exchange, const json_t *warnings)
{
	size_t i;
	const json_t *warning;

	json_array_foreach (warnings, i, warning)
		exchange_warning(exchange, json_string_value(warning));
}

/* ?dryRun= knows one word. False when it was answered with a failure. */
static bool parse_dry_run(struct call *call, bool *ret_dry_run)
{
	const char *text = url_param(&call->url, "dryRun");

	*ret_dry_run = text && strcmp(text, "All") == 0;
	if (!text || !*text || *ret_dry_run)
		return true;
	call_fail(call, KUBE_REASON_BAD_REQUEST,
		  "dryRun: Unsupported value: supported values: \"All\"");
	return false;
}

/* Takes @object and @call over. */
static void create_parsed(struct call *call, json_t *object, enum kube_validation validation)
{
	struct kube_admission admission = {0};
	bool dry_run;

	if (!parse_dry_run(call, &dry_run)) {
		json_decref(object);
		return;
	}
	if (kube_admit(object, call->resource, call->namespace, validation, &admission)) {
		warn_all(call->exchange, admission.warnings);
		call_respond_status(call, json_incref(admission.status));
		json_decref(object);
	} else {
		warn_all(call->exchange, admission.warnings);
		create_admitted(call, object, dry_run);
	}
	kube_admission_deinit(&admission);
}

/* Parse the body. NULL when it was answered with a failure. */
static json_t *parse_body(struct call *call, enum kube_validation *ret_validation)
{
	struct kube_body body = {
		.bytes = call->exchange->body,
		.content_type = http_request_header(&call->exchange->request, "content-type"),
	};
	json_t *warnings = json_array(), *object = NULL;
	struct err err = {0};

	if (!kube_validation_parse(url_param(&call->url, "fieldValidation"), ret_validation)) {
		call_fail(call, KUBE_REASON_BAD_REQUEST,
			  "fieldValidation must be Strict, Warn or Ignore");
	} else {
		body.validation = *ret_validation;
		if (kube_manifest_parse(&body, warnings, &object, &err)) {
			object = NULL;
			call_fail_err(call, &err);
		} else {
			warn_all(call->exchange, warnings);
		}
	}
	json_decref(warnings);
	return object;
}

void verb_create(struct call *call)
{
	enum kube_validation validation;
	json_t *object = parse_body(call, &validation);

	if (object)
		create_parsed(call, object, validation);
}

void create_from_manifest(struct call *call)
{
	enum kube_validation validation;
	json_t *object = parse_body(call, &validation), *refused;
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
	create_parsed(call, object, validation);
}
