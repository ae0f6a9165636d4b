/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Server-side apply: the configuration is written over the live object; what its manager applied
 * before and no longer does goes; what others have set to something else is in conflict.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/mem.h"
#include "kube/fields.h"
#include "kube/managed.h"
#include "kube/managed_entry.h"
#include "kube/member.h"
#include "kube/schema.h"

/* The names under which kubectl applies, at the server and, in its older way, by itself. */
static const char kubectl[] = "kubectl", kubectl_before[] = "kubectl-client-side-apply";
static const char last_applied[] = "kubectl.kubernetes.io/last-applied-configuration";

struct application {
	const struct kube_resource *resource;
	const struct kube_message *message;
	const struct kube_manager *manager;
	json_t *list;       /* managedFields as they are now */
	json_t *config_set; /* what is applied */
	json_t *object;     /* what becomes of the live object */
	json_t *causes;
	const char *rival; /* whose conflicts are being told */
};

/* What the manager applied before, does not any more, and nobody else has set. NULL: nothing. */
static json_t *given_up(const struct application *application)
{
	json_t *rest = NULL, *entry;
	size_t index;

	json_array_foreach (application->list, index, entry) {
		if (managed_is(entry, "Apply", application->manager))
			rest = kube_fields_minus(json_object_get(entry, "fieldsV1"),
						 application->config_set);
	}
	json_array_foreach (application->list, index, entry) {
		json_t *less;

		if (managed_is(entry, "Apply", application->manager))
			continue;
		less = kube_fields_minus(rest, json_object_get(entry, "fieldsV1"));
		json_decref(rest);
		rest = less;
	}
	return rest;
}

static void add_cause(void *arg, const char *path)
{
	struct application *application = arg;
	json_t *cause = json_object();

	if (json_array_size(application->causes) >= KUBE_CONFLICTS_MAX) {
		json_decref(cause);
		return;
	}
	kube_set_string(cause, "reason", "FieldManagerConflict");
	kube_set(cause, "message", kube_text("conflict with \"%s\"", application->rival));
	kube_set_string(cause, "field", path);
	kube_push(application->causes, cause);
}

/*
 * kubectl itself applied in its older way what it now applies at the server: what its annotation
 * says it applied is its own, and no conflict.
 */
static json_t *own_from_before(const struct application *application, const json_t *live,
			       const json_t *entry, json_t *conflict)
{
	const json_t *annotations = kube_member(live, "metadata.annotations");
	const char *text = json_string_value(json_object_get(annotations, last_applied));
	json_t *config, *set, *rest;

	if (strcmp(application->manager->name, kubectl) != 0 || !text ||
	    strcmp(kube_member_string(entry, "manager"), kubectl_before) != 0)
		return conflict;
	config = json_loads(text, 0, NULL);
	set = config ? kube_fields_of(config, application->message) : NULL;
	rest = kube_fields_minus(conflict, set);
	json_decref(config);
	json_decref(set);
	json_decref(conflict);
	return rest;
}

/* Others' sets without what is applied with another value; without @force that is a conflict. */
static json_t *meet_others(struct application *application, const json_t *live,
			   const json_t *changed, bool force)
{
	json_t *left = json_array(), *entry;
	size_t index;

	json_array_foreach (application->list, index, entry) {
		const json_t *set = json_object_get(entry, "fieldsV1");
		json_t *taken, *conflict;

		if (managed_is(entry, "Apply", application->manager))
			continue;
		taken = kube_fields_both(changed, set);
		conflict = own_from_before(application, live, entry, json_deep_copy(taken));
		application->rival = kube_member_string(entry, "manager");
		if (conflict && !force)
			kube_fields_paths(conflict, add_cause, application);
		if (taken) {
			json_t *rest = kube_fields_minus(set, taken);

			if (rest)
				kube_set(entry, "fieldsV1", rest);
			else
				(void)json_object_del(entry, "fieldsV1"); /* it is there */
		}
		if (json_object_get(entry, "fieldsV1"))
			kube_push(left, json_incref(entry));
		json_decref(taken);
		json_decref(conflict);
	}
	return left;
}

/* The entry of the manager: as it was, when it applies the same as before. */
static void put_own(const struct application *application, json_t *list)
{
	json_t *entry;
	size_t index;

	json_array_foreach (application->list, index, entry) {
		if (managed_is(entry, "Apply", application->manager) &&
		    json_equal(json_object_get(entry, "fieldsV1"), application->config_set)) {
			kube_push(list, json_incref(entry));
			return;
		}
	}
	if (application->config_set)
		managed_put(list,
			    managed_entry(application->manager, "Apply",
					  application->resource->api_version),
			    json_incref(application->config_set), application->manager->now);
}

/* One conflict in one line; more of them by manager, one line each, as Kubernetes writes them. */
static void tell_conflicts(struct application *application, struct kube_applied *ret)
{
	size_t count = json_array_size(application->causes);
	const char *last = "";
	struct buf text = {0};

	buf_append_format(&text, "Apply failed with %zu conflict%s:", count, count > 1 ? "s" : "");
	for (size_t i = 0; i < count; i++) {
		const json_t *cause = json_array_get(application->causes, i);
		const char *message = kube_member_string(cause, "message");

		if (strcmp(message, last) != 0)
			buf_append_format(&text, "%s%s:", i ? "\n" : " ", message);
		buf_append_format(&text, "%s%s", count > 1 ? "\n- " : " ",
				  kube_member_string(cause, "field"));
		last = message;
	}
	ret->conflicts = json_incref(application->causes);
	ret->sentence = buf_steal(&text);
}

int kube_apply(const json_t *live, const json_t *config, const struct kube_resource *resource,
	       const struct kube_manager *manager, bool force, struct kube_applied *ret_applied,
	       struct err *err)
{
	struct application application = {
		.resource = resource,
		.message = kube_schema_of(resource->api_version, resource->kind),
		.manager = manager,
		.list = live ? managed_list(live) : json_array(),
		.object = live ? json_deep_copy(live) : json_object(),
		.causes = json_array(),
	};
	json_t *applied = json_deep_copy(config), *changed, *gone, *list;
	int r;

	*ret_applied = (struct kube_applied){0};
	kube_drop_nulls(applied);
	r = kube_fields_check(applied, application.message, err);
	if (r == 0) {
		application.config_set = kube_fields_of(applied, application.message);
		kube_fields_merge(application.object, applied, application.message);
		gone = given_up(&application);
		if (gone)
			kube_fields_remove(application.object, gone, application.message);
		changed = kube_fields_changed(live, applied, application.message);
		list = meet_others(&application, live, changed, force);
		put_own(&application, list);
		if (json_array_size(application.causes)) {
			tell_conflicts(&application, ret_applied);
			json_decref(list);
		} else {
			ret_applied->object = json_incref(application.object);
			ret_applied->managed = list;
		}
		json_decref(gone);
		json_decref(changed);
	}
	json_decref(applied);
	json_decref(application.list);
	json_decref(application.object);
	json_decref(application.causes);
	json_decref(application.config_set);
	return r;
}

void kube_applied_deinit(struct kube_applied *applied)
{
	json_decref(applied->object);
	json_decref(applied->managed);
	json_decref(applied->conflicts);
	free(applied->sentence);
	*applied = (struct kube_applied){0};
}
