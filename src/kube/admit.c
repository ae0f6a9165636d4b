/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/admit.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "kube/check.h"
#include "kube/claim.h"
#include "kube/config.h"
#include "kube/cronjob.h"
#include "kube/daemonset.h"
#include "kube/job.h"
#include "kube/service.h"
#include "kube/member.h"
#include "kube/reach.h"
#include "kube/schema.h"
#include "kube/status.h"
#include "kube/strict.h"
#include "kube/support.h"
#include "kube/time.h"
#include "kube/validate.h"

enum {
	WARNINGS_MAX = 32, /* each becomes a response header */
};

/* metadata that only the server writes. */
static const char *const server_metadata[] = {
	"uid",
	"resourceVersion",
	"generation",
	"creationTimestamp",
	"deletionTimestamp",
	"deletionGracePeriodSeconds",
	"selfLink",
	"managedFields",
};

static void warning_push(json_t *warnings, json_t *text)
{
	if (json_array_size(warnings) < WARNINGS_MAX)
		kube_push(warnings, text);
	else
		json_decref(text);
}

static int refuse(struct kube_admission *admission, json_t *status)
{
	admission->status = status;
	return KUBE_ADMIT_E_REFUSED;
}

/* The kind and apiVersion must be those of the URL; both missing means that they are. */
static int admit_kind(json_t *object, const struct kube_resource *resource,
		      struct kube_admission *ret)
{
	if (!json_object_get(object, "kind") && !json_object_get(object, "apiVersion")) {
		kube_set_string(object, "kind", resource->kind);
		kube_set_string(object, "apiVersion", resource->api_version);
	}
	const char *kind = kube_member_string(object, "kind");
	const char *api_version = kube_member_string(object, "apiVersion");
	if (!*kind)
		return refuse(ret, kube_status(KUBE_REASON_BAD_REQUEST,
					       "Object 'Kind' is missing in the request body"));
	if (!*api_version)
		return refuse(ret,
			      kube_status(KUBE_REASON_BAD_REQUEST,
					  "Object 'apiVersion' is missing in the request body"));
	if (strcmp(kind, resource->kind) != 0)
		return refuse(ret, kube_status(KUBE_REASON_BAD_REQUEST,
					       "%.100s in version \"%.100s\" cannot be handled as "
					       "a %s",
					       kind, api_version, resource->kind));
	if (strcmp(api_version, resource->api_version) != 0)
		return refuse(ret, kube_status(KUBE_REASON_BAD_REQUEST,
					       "the API version in the data (%.100s) does not "
					       "match the expected API version (%s)",
					       api_version, resource->api_version));
	return 0;
}

static void drop_server_fields(json_t *object)
{
	json_t *metadata = json_object_get(object, "metadata");
	(void)json_object_del(object, "status"); /* it may not be there */
	for (size_t i = 0; i < ARRAY_LEN(server_metadata); i++)
		(void)json_object_del(metadata, server_metadata[i]);
}

/* One sentence for all findings of a sort, as Kubernetes joins them. */
static json_t *sentence_of(const struct kube_resource *resource, const char *intro,
			   const json_t *findings, const char *format)
{
	struct buf text = {0};
	size_t index;
	json_t *finding;
	buf_append_format(&text, "%s in version \"%s\" cannot be handled as a %s: %s",
			  resource->kind, resource->version, resource->kind, intro);
	json_array_foreach (findings, index, finding) {
		buf_append_format(&text, "%s%s%s%s", index ? ", " : "", format,
				  json_string_value(finding), *format ? "\"" : "");
	}
	json_t *status = kube_status(KUBE_REASON_BAD_REQUEST, "%s", buf_cstr(&text));
	buf_deinit(&text);
	return status;
}

static int admit_fields(json_t *object, const struct kube_resource *resource,
			enum kube_validation validation, struct kube_admission *ret)
{
	const struct kube_message *message = kube_schema_of(resource->api_version, resource->kind);
	struct kube_findings findings;
	size_t index;
	json_t *path;
	int r = 0;
	assert(message); /* a writable resource has a schema */
	kube_strict(object, message, &findings);
	if (json_array_size(findings.mistyped)) {
		r = refuse(ret, sentence_of(resource, "", findings.mistyped, ""));
	} else if (json_array_size(findings.unknown) && validation == KUBE_VALIDATION_STRICT) {
		r = refuse(ret, sentence_of(resource, "strict decoding error: ", findings.unknown,
					    "unknown field \""));
	} else if (validation == KUBE_VALIDATION_WARN) {
		json_array_foreach (findings.unknown, index, path) {
			warning_push(ret->warnings,
				     kube_text("unknown field \"%s\"", json_string_value(path)));
		}
	}
	kube_findings_deinit(&findings);
	return r;
}

/* Visited paths are complete, so that the check stays at the top. */
static enum kube_visit_answer support_visit(void *arg, const struct kube_visit *visit)
{
	struct check *check = arg;
	const struct kube_support *row =
		kube_support_find(visit->message->name, visit->field ? visit->field->name : "");
	if (!row)
		return KUBE_VISIT_SKIP;
	if (row->level == KUBE_SUPPORT_HONOURED)
		return KUBE_VISIT_DESCEND;
	if (!kube_support_is_asked(row, visit->value))
		return KUBE_VISIT_SKIP;
	if (row->level == KUBE_SUPPORT_REFUSED)
		check_unsupported(check, visit->path, row->reason);
	else
		check_warn(check, visit->path, row->reason);
	return KUBE_VISIT_SKIP;
}

/* The namespace of the URL counts; an object that names another one is a mistake. */
static int admit_namespace(json_t *object, const char *namespace, struct kube_admission *ret)
{
	json_t *metadata = kube_object_at(object, "metadata");
	assert(metadata); /* its type has been checked */
	const char *own = kube_member_string(metadata, "namespace");
	if (!namespace) {
		(void)json_object_del(metadata, "namespace"); /* it may not be there */
		return 0;
	}
	if (*own && strcmp(own, namespace) != 0)
		return refuse(ret, kube_status(KUBE_REASON_BAD_REQUEST,
					       "the namespace of the provided object does not "
					       "match the namespace sent on the request"));
	kube_set_string(metadata, "namespace", namespace);
	return 0;
}

static void validate(struct check *check, json_t *object, const struct kube_resource *resource)
{
	if (resource->stance == KUBE_INERT)
		check_warn(check, resource->kind, resource->reason);
	else
		kube_schema_walk(object, kube_schema_of(resource->api_version, resource->kind),
				 support_visit, check);
	kube_default(object, resource);
	kube_validate_metadata(check, object, resource);
	kube_validate_reach(check, object);
	if (resource->id == KUBE_DEPLOYMENTS) {
		kube_validate_deployment(check, object);
		kube_validate_placement(check, object, "spec.template.spec");
	} else if (resource->id == KUBE_STATEFULSETS) {
		kube_validate_statefulset(check, object);
		kube_validate_placement(check, object, "spec.template.spec");
	} else if (resource->id == KUBE_REPLICASETS) {
		kube_validate_replica_set(check, object);
		kube_validate_placement(check, object, "spec.template.spec");
	} else if (resource->id == KUBE_PODS) {
		size_t mark = check_enter(check, "spec");
		kube_validate_pod_spec(check, json_object_get(object, "spec"), false);
		check_leave(check, mark);
		kube_validate_placement(check, object, "spec");
	} else if (resource->id == KUBE_JOBS) {
		kube_validate_job(check, object);
		kube_validate_placement(check, object, "spec.template.spec");
	} else if (resource->id == KUBE_SERVICES) {
		kube_validate_service(check, object);
	} else if (resource->id == KUBE_DAEMONSETS) {
		kube_validate_daemonset(check, object);
		kube_validate_placement(check, object, "spec.template.spec");
	} else if (resource->id == KUBE_CRONJOBS) {
		kube_validate_cronjob(check, object);
	} else if (resource->id == KUBE_CONFIGMAPS || resource->id == KUBE_SECRETS) {
		kube_validate_config(check, object);
	} else if (resource->id == KUBE_PERSISTENTVOLUMECLAIMS) {
		size_t mark = check_enter(check, "spec");
		kube_validate_claim_spec(check, json_object_get(object, "spec"));
		check_leave(check, mark);
	} else if (resource->id == KUBE_PRIORITYCLASSES) {
		kube_validate_priority_class(check, object);
	}
}

int kube_admit(json_t *object, const struct kube_resource *resource, const char *namespace,
	       enum kube_validation validation, struct kube_admission *ret)
{
	struct check check;
	*ret = (struct kube_admission){.warnings = json_array()};
	kube_drop_nulls(object); /* that a patch has left */
	int r = admit_kind(object, resource, ret);
	if (r)
		return r;
	drop_server_fields(object);
	r = admit_fields(object, resource, validation, ret);
	if (r == 0)
		r = admit_namespace(object, resource->namespaced ? namespace : NULL, ret);
	if (r)
		return r;
	check_init(&check);
	validate(&check, object, resource);
	(void)json_array_extend(ret->warnings, check.warnings); /* both are arrays */
	if (json_array_size(check.causes)) {
		const char *name = kube_member_string(object, "metadata.name");
		r = refuse(ret, kube_status_invalid(resource, name, check.causes));
	}
	check_deinit(&check);
	return r;
}

void kube_admission_deinit(struct kube_admission *admission)
{
	json_decref(admission->status);
	json_decref(admission->warnings);
	*admission = (struct kube_admission){0};
}

/* What makes a StatefulSet this one: its pods and claims hang on it. */
static void check_kept(struct check *check, const json_t *old, const json_t *new)
{
	static const char *const kept[] = {"spec.selector", "spec.serviceName",
					   "spec.podManagementPolicy", "spec.volumeClaimTemplates"};
	for (size_t i = 0; i < ARRAY_LEN(kept); i++)
		if (!json_equal(kube_member(old, kept[i]), kube_member(new, kept[i])) &&
		    (kube_member(old, kept[i]) || kube_member(new, kept[i])))
			check_forbidden(check, kept[i],
					"a StatefulSet keeps this field: delete it and create it "
					"again");
}

int kube_admit_update(const json_t *old, const json_t *new, const struct kube_resource *resource,
		      struct kube_admission *ret)
{
	struct check check;
	int r = 0;
	*ret = (struct kube_admission){.warnings = json_array()};
	check_init(&check);
	if ((resource->id == KUBE_DEPLOYMENTS || resource->id == KUBE_REPLICASETS) &&
	    !json_equal(kube_member(old, "spec.selector"), kube_member(new, "spec.selector")))
		check_invalid(&check, "spec.selector", kube_member(new, "spec.selector"),
			      "field is immutable");
	if (resource->id == KUBE_STATEFULSETS)
		check_kept(&check, old, new);
	if (resource->id == KUBE_PODS && kube_spec_differs(old, new))
		check_forbidden(&check, "spec", "a running pod cannot be changed");
	if (resource->id == KUBE_SERVICES)
		kube_validate_service_update(&check, old, new);
	if (resource->id == KUBE_JOBS)
		kube_validate_job_update(&check, old, new);
	if (resource->id == KUBE_PERSISTENTVOLUMECLAIMS)
		kube_validate_claim_update(&check, old, new);
	if (resource->id == KUBE_CONFIGMAPS || resource->id == KUBE_SECRETS)
		kube_validate_config_update(&check, old, new);
	if (resource->id == KUBE_PRIORITYCLASSES &&
	    !json_equal(json_object_get(old, "value"), json_object_get(new, "value")))
		check_forbidden(&check, "value", "may not be changed in an update");
	if (json_array_size(check.causes))
		r = refuse(ret,
			   kube_status_invalid(resource, kube_member_string(new, "metadata.name"),
					       check.causes));
	check_deinit(&check);
	return r;
}

void kube_set_version(json_t *object, uint64_t resource_version)
{
	char version[32];
	json_t *metadata = kube_object_at(object, "metadata");
	assert(metadata);
	(void)snprintf(version, sizeof(version), "%" PRIu64, resource_version);
	kube_set_string(metadata, "resourceVersion", version);
}

void kube_stamp(json_t *object, const struct kube_stamp *stamp)
{
	kube_set_version(object, stamp->resource_version);
	json_t *metadata = json_object_get(object, "metadata");
	kube_set_string(metadata, "uid", uid_text(&stamp->uid).text);
	kube_set_string(metadata, "creationTimestamp", kube_time_text(stamp->created).text);
	if (stamp->generation)
		kube_set_int(metadata, "generation", stamp->generation);
	if (strcmp(kube_member_string(object, "kind"), "Job") == 0)
		kube_job_stamp(object);
	if (strcmp(kube_member_string(object, "kind"), "Service") == 0)
		kube_service_stamp(object);
}

/* Is every member of @one that a user asks for the same in @other? */
static bool asks_no_more(const json_t *one, const json_t *other)
{
	const char *key;
	json_t *value;
	json_object_foreach ((json_t *)(uintptr_t)one, key, value) {
		if (strcmp(key, "metadata") == 0 || strcmp(key, "status") == 0)
			continue;
		if (!json_equal(value, json_object_get(other, key)))
			return false;
	}
	return true;
}

bool kube_spec_differs(const json_t *old, const json_t *new)
{
	return !asks_no_more(old, new) || !asks_no_more(new, old);
}
