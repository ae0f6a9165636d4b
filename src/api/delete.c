/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deleting: one object or a collection. What is to go is collected first, then everything is
 * started, and the answer is sent when the last part has been acknowledged.
 *
 * A Deployment is gone once its tombstone is stored; its pods show Terminating until their machines
 * have ended them. A Deployment's pod is only stopped (the controller places another), a bare Pod
 * is disposed of.
 *
 * What is to go after or without its dependents, a Namespace, and a claim, which waits for its
 * pods, is not deleted here: it is only
 * written that its deletion has begun, and its controller goes on from there (kube/deletion.h).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/compose.h"
#include "api/release.h"
#include "api/gateway.h"
#include "base/mem.h"
#include "kube/admit.h"
#include "kube/claim.h"
#include "kube/deletion.h"
#include "kube/manifest.h"
#include "kube/member.h"
#include "kube/time.h"

enum {
	GRACE_S_MAX = 24 * 60 * 60, /* longer is a mistake */
};

struct options {
	int64_t grace_s; /* < 0: as the manifest says */
	bool dry_run;
	const char *finalizer; /* what is to be done first: of kube/deletion.h; NULL: nothing */
	char *uid, *version;   /* preconditions; NULL: none */
};

struct target {
	const char *kind;
	char *namespace, *name;
	struct uid uid;
	bool stop_only; /* a pod whose workload goes on */
	bool release;   /* an ordinal that is taken from its machine */
	bool condemn;   /* its deletion only begins */
};

struct removal {
	struct call *call;
	struct options options;
	struct target *targets;
	size_t target_count, target_cap;
	size_t left; /* acknowledgements to come, and one while starting */
	struct err err;
	bool collection;
	struct uid answer_uid; /* of the named object, as clients saw it */
};

static void removal_free(struct removal *removal)
{
	for (size_t i = 0; i < removal->target_count; i++) {
		free(removal->targets[i].namespace);
		free(removal->targets[i].name);
	}
	free(removal->targets);
	free(removal->options.uid);
	free(removal->options.version);
	free(removal);
}

static struct target *add_target(struct removal *removal, const char *kind, const char *namespace,
				 const char *name)
{
	struct target *target;

	if (removal->target_count == removal->target_cap) {
		removal->target_cap = removal->target_cap ? 2 * removal->target_cap : 4;
		removal->targets = mem_resize(removal->targets, removal->target_cap,
					      sizeof(*removal->targets));
	}
	target = &removal->targets[removal->target_count++];
	*target = (struct target){
		.kind = kind,
		.namespace = mem_strdup(namespace),
		.name = mem_strdup(name),
	};
	return target;
}

/* Answering. */

static void respond_pod(struct removal *removal)
{
	struct call *call = removal->call;
	const struct api_backend *backend = &call->api->backend;
	json_t *pod = compose_one(backend, KUBE_PODS, call->namespace, call->name);
	json_t *metadata = json_object_get(pod, "metadata");
	struct id_text uid = uid_text(&removal->answer_uid);
	struct kube_time now = kube_time_text(backend->ops->now(backend->self));

	if (!pod) {
		call_respond_status(call,
				    kube_status_deleted(call->resource, call->name, uid.text));
		return;
	}
	/* The machine has been told; its own report of that may still be under way. */
	if (metadata && !json_object_get(metadata, "deletionTimestamp"))
		(void)json_object_set_new(metadata, "deletionTimestamp", json_string(now.text));
	call_respond_json(call, 200, pod);
}

/* Its controller may have been faster. */
static void respond_dying(struct removal *removal)
{
	struct call *call = removal->call;
	json_t *object =
		compose_one(&call->api->backend, call->resource->id, call->namespace, call->name);
	struct id_text uid = uid_text(&removal->answer_uid);

	if (object)
		call_respond_json(call, 200, object);
	else
		call_respond_status(call,
				    kube_status_deleted(call->resource, call->name, uid.text));
}

static void removal_answer(struct removal *removal)
{
	struct call *call = removal->call;
	struct id_text uid = uid_text(&removal->answer_uid);

	if (removal->err.code)
		call_fail_err(call, &removal->err);
	else if (removal->collection)
		call_respond_json(call, 200,
				  json_pack("{s:s, s:s, s:{}, s:s}", "kind", "Status", "apiVersion",
					    "v1", "metadata", "status", "Success"));
	else if (call->resource->id == KUBE_PODS && !removal->options.dry_run)
		respond_pod(removal);
	else if (removal->target_count && removal->targets[0].condemn && !removal->options.dry_run)
		respond_dying(removal);
	else
		call_respond_status(
			call,
			kube_status_deleted(call->resource, call->name,
					    uid_is_none(&removal->answer_uid) ? "" : uid.text));
	removal_free(removal);
}

static void target_done(void *arg, const struct api_result *result)
{
	struct removal *removal = arg;
	struct api *api = removal->call->api;

	/* What somebody else deleted meanwhile is gone as well. */
	if (result && result->err.code && result->err.status != 404 && !removal->err.code)
		removal->err = result->err;
	if (--removal->left)
		return;
	removal_answer(removal);
	call_unhold(api);
}

/* What is to be written about an object whose deletion begins. */
struct condemned {
	json_t *json; /* NULL: there is none */
	struct api_put put;
};

static void note_condemned(void *arg, const struct api_object *object)
{
	struct condemned *condemned = arg;

	condemned->json = json_loadb((const char *)object->json.ptr, object->json.len, 0, NULL);
	condemned->put.uid = object->uid;
	condemned->put.generation = object->generation + 1;
	condemned->put.expected_version = object->version;
	if (condemned->json)
		kube_set_version(condemned->json, object->version);
}

/* A namespace that merely is in use becomes an object in order to end. */
static void make_namespace(const struct api_backend *backend, const char *name,
			   struct condemned *condemned)
{
	uint8_t random[UID_LEN];

	condemned->json = compose_one(backend, KUBE_NAMESPACES, NULL, name);
	if (!condemned->json)
		return;
	backend->ops->random(backend->self, random, sizeof(random));
	condemned->put.uid = uid_from_random(random);
	condemned->put.create = true;
	condemned->put.generation = 1;
	(void)json_object_del(condemned->json, "status");
	kube_set_string(json_object_get(condemned->json, "metadata"), "uid",
			uid_text(&condemned->put.uid).text);
}

static void begin_deletion(struct removal *removal, const struct target *target)
{
	const struct api_backend *backend = &removal->call->api->backend;
	struct condemned condemned = {.put.kind = target->kind,
				      .put.namespace = target->namespace,
				      .put.name = target->name,
				      .put.author = removal->call->exchange->user.name};
	struct api_result gone = {.err = {.code = -ENOENT, .status = 404}};
	char *text;

	if (!backend->ops->object(backend->self, target->kind, target->namespace, target->name,
				  note_condemned, &condemned) &&
	    strcmp(target->kind, "Namespace") == 0)
		make_namespace(backend, target->name, &condemned);
	if (!condemned.json) {
		target_done(removal, &gone);
		return;
	}
	kube_condemn(condemned.json, removal->options.finalizer, backend->ops->now(backend->self));
	kube_set_int(json_object_get(condemned.json, "metadata"), "generation",
		     (int64_t)condemned.put.generation);
	text = json_dumps(condemned.json, JSON_COMPACT);
	if (!text)
		abort(); /* only memory can be short */
	condemned.put.json = bytes_str(text);
	backend->ops->put(backend->self, &condemned.put, target_done, removal);
	free(text);
	json_decref(condemned.json);
}

static void start_target(struct removal *removal, const struct target *target)
{
	const struct api_backend *backend = &removal->call->api->backend;
	const char *author = removal->call->exchange->user.name;
	struct api_dispose dispose = {
		.kind = target->kind,
		.namespace = target->namespace,
		.name = target->name,
		.uid = target->uid,
		.grace_s = removal->options.grace_s,
		.author = author,
	};

	if (target->condemn)
		begin_deletion(removal, target);
	else if (target->release)
		release_ordinal(backend, &target->uid, author, target_done, removal);
	else if (target->stop_only)
		backend->ops->pod_stop(backend->self, &target->uid, removal->options.grace_s,
				       author, target_done, removal);
	else
		backend->ops->dispose(backend->self, &dispose, target_done, removal);
}

/* Start everything; takes the removal over. */
static void removal_start(struct removal *removal)
{
	size_t count = removal->target_count;

	call_hold(removal->call);
	removal->left = 1;
	if (!removal->options.dry_run) {
		removal->left += count;
		for (size_t i = 0; i < count; i++)
			start_target(removal, &removal->targets[i]);
	}
	target_done(removal, NULL);
}

/* Options. */

static bool refuse(struct call *call, const char *sentence)
{
	call_fail(call, KUBE_REASON_BAD_REQUEST, sentence);
	return false;
}

static char *text_member(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text && *text ? mem_strdup(text) : NULL;
}

static bool parse_grace(const char *text, int64_t *ret_grace_s)
{
	char *end;
	long long value = strtoll(text, &end, 10);

	if (end == text || *end || value < 0 || value > GRACE_S_MAX)
		return false;
	*ret_grace_s = value;
	return true;
}

static bool check_policy(struct call *call, const char *policy, struct options *options)
{
	if (!policy || !*policy)
		return true;
	options->finalizer = NULL;
	if (strcmp(policy, "Foreground") == 0)
		options->finalizer = KUBE_FINALIZER_FOREGROUND;
	else if (strcmp(policy, "Orphan") == 0)
		options->finalizer = KUBE_FINALIZER_ORPHAN;
	else if (strcmp(policy, "Background") != 0)
		return refuse(call, "propagationPolicy must be Background, Foreground or Orphan");
	return true;
}

/* As the oldest clients say it. */
static bool check_orphans(struct call *call, const json_t *orphans, struct options *options)
{
	if (!json_is_boolean(orphans))
		return true;
	return check_policy(call, json_is_true(orphans) ? "Orphan" : "Background", options);
}

static bool read_query(struct call *call, struct options *options)
{
	const char *dry_run = url_param(&call->url, "dryRun");
	const char *grace = url_param(&call->url, "gracePeriodSeconds");

	options->grace_s = -1;
	options->dry_run = dry_run && strcmp(dry_run, "All") == 0;
	if (grace && !parse_grace(grace, &options->grace_s))
		return refuse(call, "gracePeriodSeconds must be a number of seconds");
	return check_policy(call, url_param(&call->url, "propagationPolicy"), options);
}

/* The members of a DeleteOptions body. */
static bool read_body(struct call *call, const json_t *body, struct options *options)
{
	const json_t *grace = json_object_get(body, "gracePeriodSeconds");
	const json_t *preconditions = json_object_get(body, "preconditions");
	const json_t *dry_run = json_array_get(json_object_get(body, "dryRun"), 0);

	if (json_is_integer(grace)) {
		json_int_t value = json_integer_value(grace);

		if (value < 0 || value > GRACE_S_MAX)
			return refuse(call, "gracePeriodSeconds is out of range");
		options->grace_s = value;
	}
	if (json_is_string(dry_run) && strcmp(json_string_value(dry_run), "All") == 0)
		options->dry_run = true;
	options->uid = text_member(preconditions, "uid");
	options->version = text_member(preconditions, "resourceVersion");
	return check_orphans(call, json_object_get(body, "orphanDependents"), options) &&
	       check_policy(call, json_string_value(json_object_get(body, "propagationPolicy")),
			    options);
}

/* False when it was answered with a failure. */
static bool read_options(struct call *call, struct options *options)
{
	struct kube_body body = {
		.bytes = call->exchange->body,
		.content_type = http_request_header(&call->exchange->request, "content-type"),
		.validation = KUBE_VALIDATION_IGNORE,
	};
	struct err err = {0};
	json_t *json;
	bool ok;

	if (!read_query(call, options))
		return false;
	if (body.bytes.len == 0)
		return true;
	if (kube_manifest_parse(&body, NULL, &json, &err)) {
		call_fail_err(call, &err);
		return false;
	}
	ok = read_body(call, json, options);
	json_decref(json);
	return ok;
}

/* Targets. */

static bool add_pod(struct removal *removal, const char *namespace, const char *name)
{
	struct pod_place place;
	struct target *target;

	if (!compose_find_pod(&removal->call->api->backend, namespace, name, &place))
		return false;
	/* By force: it may run elsewhere from now on, whether or not its machine answers. */
	if (place.ordinal && removal->options.grace_s == 0) {
		target = add_target(removal, "Pod", namespace, name);
		target->uid = place.workload;
		target->release = true;
	}
	if (place.ordinal && !place.placed)
		return removal->target_count > 0;
	target = add_target(removal, "Pod", namespace, name);
	target->uid = place.bare ? place.workload : place.pod;
	target->stop_only = !place.bare;
	return true;
}

/* None when the text is no uid. */
static struct uid uid_of(const char *text)
{
	struct uid uid = {0};

	if (!text || !uid_parse(text, &uid))
		return (struct uid){0};
	return uid;
}

/* A Namespace always goes last; a Node is its machine, which has no dependents. */
static struct target *add_stored(struct removal *removal, const char *kind, const json_t *object)
{
	struct target *target =
		add_target(removal, kind, kube_member_string(object, "metadata.namespace"),
			   kube_member_string(object, "metadata.name"));

	target->condemn = strcmp(kind, "Namespace") == 0 || strcmp(kind, KUBE_CLAIM) == 0 ||
			  (removal->options.finalizer && strcmp(kind, "Node") != 0);
	return target;
}

/* One composed object of the call's resource. */
static void add_object(struct removal *removal, const char *kind, const json_t *object)
{
	const json_t *metadata = json_object_get(object, "metadata");
	const char *name = json_string_value(json_object_get(metadata, "name"));
	const char *namespace = json_string_value(json_object_get(metadata, "namespace"));
	const char *uid = json_string_value(json_object_get(metadata, "uid"));

	if (strcmp(kind, "Pod") == 0)
		(void)add_pod(removal, namespace, name);
	else if (uid)
		add_stored(removal, kind, object)->uid = uid_of(uid);
}

/* All objects of @id that the filter selects. */
static void add_collection(struct removal *removal, enum kube_resource_id id, const char *namespace,
			   const struct kube_selector *labels, const struct kube_selector *fields)
{
	struct compose_query query = {.namespace = namespace};
	struct composed composed;

	compose(&removal->call->api->backend, id, &query, &composed);
	for (size_t i = 0; i < composed.count; i++) {
		const json_t *object = composed.items[i].object;

		if (kube_label_selector_matches(labels, object) &&
		    kube_field_selector_matches(fields, object))
			add_object(removal, kube_resource(id)->kind, object);
	}
	composed_deinit(&composed);
}

/* Preconditions. False when they do not hold: the Status says which. */
static json_t *check_preconditions(const struct call *call, const struct options *options,
				   const json_t *object)
{
	const json_t *metadata = json_object_get(object, "metadata");
	const char *uid = json_string_value(json_object_get(metadata, "uid"));
	const char *version = json_string_value(json_object_get(metadata, "resourceVersion"));
	char qualified[KUBE_QUALIFIED_SIZE];

	kube_resource_qualified(call->resource, qualified, sizeof(qualified));
	if (options->uid && (!uid || strcmp(options->uid, uid) != 0))
		return kube_status(KUBE_REASON_CONFLICT,
				   "Operation cannot be fulfilled on %s \"%s\": Precondition "
				   "failed: UID in precondition: %s, UID in object meta: %s",
				   qualified, call->name, options->uid, uid ? uid : "");
	if (options->version && (!version || strcmp(options->version, version) != 0))
		return kube_status_of_object(KUBE_REASON_CONFLICT, call->resource, call->name);
	return NULL;
}

/* False when it may not be deleted, or is being deleted: then it was answered. */
static bool check_namespace(struct call *call, const json_t *object)
{
	json_t *refused = NULL;

	if (compose_namespace_is_built_in(call->name))
		refused = kube_status(KUBE_REASON_FORBIDDEN,
				      "namespaces \"%s\" is forbidden: this namespace may not be "
				      "deleted",
				      call->name);
	else if (kube_is_dying(object))
		refused = kube_status(
			KUBE_REASON_CONFLICT,
			"Operation cannot be fulfilled on namespaces \"%s\": The system is "
			"ensuring "
			"all content is removed from this namespace.  Upon completion, this "
			"namespace will automatically be purged by the system.",
			call->name);
	if (refused)
		call_respond_status(call, refused);
	return !refused;
}

/* Pods of these are no objects of their own: they live and end with it. */
static bool check_orphan(struct call *call, const struct options *options)
{
	enum kube_resource_id id = call->resource->id;

	if (!options->finalizer || strcmp(options->finalizer, KUBE_FINALIZER_ORPHAN) != 0 ||
	    (id != KUBE_REPLICASETS && id != KUBE_JOBS))
		return true;
	return refuse(call, "propagationPolicy Orphan is not supported for this kind: its pods "
			    "never outlive it");
}

/* Takes the removal over. */
static void delete_object(struct removal *removal, const json_t *object)
{
	struct call *call = removal->call;
	json_t *refused = check_preconditions(call, &removal->options, object);
	const char *uid =
		json_string_value(json_object_get(json_object_get(object, "metadata"), "uid"));

	if (refused) {
		call_respond_status(call, refused);
		removal_free(removal);
		return;
	}
	removal->answer_uid = uid_of(uid);
	if (call->resource->id == KUBE_NAMESPACES && !check_namespace(call, object)) {
		removal_free(removal);
		return;
	}
	add_object(removal, call->resource->kind, object);
	if (call->resource->id == KUBE_PODS && removal->target_count == 0) {
		call_fail(
			call, KUBE_REASON_CONFLICT,
			"this pod has not been placed on a machine yet: delete or scale down what "
			"it belongs to");
		removal_free(removal);
		return;
	}
	removal_start(removal);
}

void verb_delete(struct call *call)
{
	struct removal *removal = mem_new(struct removal);
	json_t *object;

	removal->call = call;
	if (!read_options(call, &removal->options) || !check_orphan(call, &removal->options)) {
		removal_free(removal);
		return;
	}
	object = compose_one(&call->api->backend, call->resource->id, call->namespace, call->name);
	if (object) {
		delete_object(removal, object);
		json_decref(object);
		return;
	}
	call_not_found(call);
	removal_free(removal);
}

void verb_delete_collection(struct call *call)
{
	struct removal *removal = mem_new(struct removal);
	struct kube_selector labels = {0}, fields = {0};
	struct err err = {0};

	removal->call = call;
	removal->collection = true;
	if (!read_options(call, &removal->options) || !check_orphan(call, &removal->options)) {
		removal_free(removal);
	} else if (kube_label_selector_parse(url_param(&call->url, "labelSelector"), &labels,
					     &err) ||
		   kube_field_selector_parse(url_param(&call->url, "fieldSelector"), call->resource,
					     &fields, &err)) {
		call_fail_err(call, &err);
		removal_free(removal);
	} else {
		add_collection(removal, call->resource->id, call->namespace, &labels, &fields);
		removal_start(removal);
	}
	kube_selector_deinit(&labels);
	kube_selector_deinit(&fields);
}
