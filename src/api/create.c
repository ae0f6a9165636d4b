/* SPDX-License-Identifier: Apache-2.0 */
/* Creating: parse, admit, stamp, store, and answer with what a get would show. */
#include <stdlib.h>
#include <string.h>

#include "api/compose_internal.h"
#include "api/gateway.h"
#include "base/mem.h"
#include "kube/admit.h"
#include "kube/deletion.h"
#include "kube/member.h"
#include "kube/name.h"
#include "kube/workload.h"

static const char *metadata_text(const json_t *object, const char *field)
{
	return json_string_value(json_object_get(json_object_get(object, "metadata"), field));
}

/* What a deletion with `orphan` has left behind. */
struct left_behind {
	struct kube_selector selector;
	struct uid *uid; /* of the new owner */
	bool found;
};

static void note_left_behind(void *arg, const struct api_object *object)
{
	struct left_behind *left = arg;
	json_t *json = left->found ? NULL : composer_parse(object);

	if (json && !kube_controller_of(json) && !kube_is_dying(json) &&
	    kube_label_selector_matches(&left->selector, json)) {
		memcpy(left->uid->byte, object->uid.byte, UID_HOME_LEN);
		left->found = true;
	}
	json_decref(json);
}

/* It can be taken over only by an owner that lies with it (control_adopt()): so the owner is given
 * the home of the first that it selects. */
static void take_home(struct call *call, const json_t *object, struct uid *uid)
{
	const struct api_backend *backend = &call->api->backend;
	enum kube_resource_id id = call->resource->id;
	struct left_behind left = {.uid = uid};

	if ((id != KUBE_DEPLOYMENTS && id != KUBE_STATEFULSETS) ||
	    kube_label_selector_from_json(kube_member(object, "spec.selector"), &left.selector,
					  NULL))
		return;
	backend->ops->unowned(backend->self, id == KUBE_DEPLOYMENTS ? "ReplicaSet" : "Pod",
			      call->namespace, note_left_behind, &left);
	kube_selector_deinit(&left.selector);
}

/* Give the object what only the server writes. */
static struct uid stamp(struct call *call, json_t *object)
{
	const struct api_backend *backend = &call->api->backend;
	uint8_t random[UID_LEN];
	struct kube_stamp stamp = {.generation = 1};

	backend->ops->random(backend->self, random, sizeof(random));
	stamp.uid = uid_from_random(random);
	take_home(call, object, &stamp.uid);
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

/* Nothing new comes into a namespace that is being deleted. NULL, or the Status to answer with. */
static json_t *check_namespace(const struct call *call, const char *name)
{
	char qualified[KUBE_QUALIFIED_SIZE];

	if (!call->namespace || !compose_namespace_is_dying(&call->api->backend, call->namespace))
		return NULL;
	kube_resource_qualified(call->resource, qualified, sizeof(qualified));
	return kube_status(KUBE_REASON_FORBIDDEN,
			   "%s \"%s\" is forbidden: unable to create new content in namespace %s "
			   "because it is being terminated",
			   qualified, name, call->namespace);
}

/* Takes @object and @call over. */
static void create_admitted(struct call *call, json_t *object, bool dry_run)
{
	struct store_request request = {.object = object, .generation = 1, .create = true};
	char *name = name_of(call, object);
	json_t *refused = check_namespace(call, name);

	if (refused) {
		call_respond_status(call, refused);
		json_decref(object);
	} else if (name_is_taken(call, name)) {
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

	if (ready && !refused)
		refused = node_ports_resolve(call, object);
	if (ready)
		zone_resolve(call, object);
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
