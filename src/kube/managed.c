/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/managed.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "kube/fields.h"
#include "kube/managed_entry.h"
#include "kube/member.h"
#include "kube/schema.h"

int kube_managed_check(const json_t *managed, struct err *err)
{
	size_t index;
	json_t *entry;
	bool good = !managed || json_is_array(managed);

	json_array_foreach (managed, index, entry) {
		const char *operation = kube_member_string(entry, "operation");

		/* A list of one empty entry asks for none, as in Kubernetes. */
		if (json_is_object(entry) && json_object_size(entry) == 0)
			continue;
		good &= strlen(kube_member_string(entry, "manager")) <= KUBE_MANAGER_MAX &&
			(strcmp(operation, "Apply") == 0 || strcmp(operation, "Update") == 0) &&
			strcmp(kube_member_string(entry, "fieldsType"), "FieldsV1") == 0 &&
			json_is_object(json_object_get(entry, "fieldsV1"));
	}
	return good ? 0
		    : err_set_status(err, -EINVAL, 400,
				     "metadata.managedFields: an entry needs manager, operation "
				     "(Apply or Update), fieldsType FieldsV1 and fieldsV1");
}

json_t *managed_list(const json_t *object)
{
	const json_t *managed = kube_member(object, "metadata.managedFields");
	json_t *list = json_array(), *entry;
	size_t index;

	json_array_foreach (managed, index, entry) {
		if (json_object_size(entry))
			kube_push(list, json_deep_copy(entry));
	}
	return list;
}

bool managed_is(const json_t *entry, const char *operation, const struct kube_manager *manager)
{
	return strcmp(kube_member_string(entry, "operation"), operation) == 0 &&
	       strcmp(kube_member_string(entry, "manager"), manager->name) == 0 &&
	       strcmp(kube_member_string(entry, "subresource"), manager->subresource) == 0;
}

json_t *managed_entry(const struct kube_manager *manager, const char *operation,
		      const char *api_version)
{
	json_t *entry = json_object();

	kube_set_string(entry, "manager", manager->name);
	kube_set_string(entry, "operation", operation);
	kube_set_string(entry, "apiVersion", api_version);
	kube_set_string(entry, "fieldsType", "FieldsV1");
	if (*manager->subresource)
		kube_set_string(entry, "subresource", manager->subresource);
	return entry;
}

void managed_put(json_t *list, json_t *entry, json_t *set, struct wall now)
{
	kube_set_string(entry, "time", kube_time_text(now).text);
	kube_set(entry, "fieldsV1", set);
	kube_push(list, entry);
}

/* What is left of the sets of others: without what @manager has changed, and what is gone. */
static json_t *others_left(const json_t *list, const json_t *changed, const json_t *gone,
			   const struct kube_manager *manager, json_t **ret_own)
{
	json_t *left = json_array(), *entry;
	size_t index;

	json_array_foreach (list, index, entry) {
		const json_t *set = json_object_get(entry, "fieldsV1");
		json_t *kept = kube_fields_minus(set, gone), *rest;

		if (managed_is(entry, "Update", manager)) {
			*ret_own = entry;
			json_decref(kept);
			continue;
		}
		rest = kube_fields_minus(kept, changed);
		json_decref(kept);
		if (!rest)
			continue;
		kube_set(entry, "fieldsV1", rest);
		kube_push(left, json_incref(entry));
	}
	return left;
}

/* At most so many managers that update: the oldest ones become one. */
static void bound_updates(json_t *list, const char *api_version)
{
	const struct kube_manager ancient = {.name = "ancient-changes", .subresource = ""};
	json_t *merged = NULL, *entry;
	size_t updates = 0, index, surplus;

	json_array_foreach (list, index, entry) {
		updates += strcmp(kube_member_string(entry, "operation"), "Update") == 0;
	}
	if (updates <= KUBE_MANAGED_UPDATES_MAX)
		return;
	surplus = updates - KUBE_MANAGED_UPDATES_MAX + 1;
	for (index = 0; surplus && index < json_array_size(list);) {
		json_t *both;

		entry = json_array_get(list, index);
		if (strcmp(kube_member_string(entry, "operation"), "Update") != 0) {
			index++;
			continue;
		}
		both = kube_fields_union(merged, json_object_get(entry, "fieldsV1"));
		json_decref(merged);
		merged = both;
		(void)json_array_remove(list, index); /* it is there */
		surplus--;
	}
	entry = managed_entry(&ancient, "Update", api_version);
	kube_set(entry, "fieldsV1", merged);
	(void)json_array_insert_new(list, 0, entry); /* into an array */
}

json_t *kube_managed_update(const json_t *old, const json_t *new, const json_t *managed,
			    const struct kube_resource *resource,
			    const struct kube_manager *manager)
{
	const struct kube_message *message = kube_schema_of(resource->api_version, resource->kind);
	json_t *holder = json_object(), *own = NULL, *list, *left;
	json_t *before = old ? kube_fields_of(old, message) : NULL;
	json_t *after = kube_fields_of(new, message);
	json_t *changed = kube_fields_changed(old, new, message);
	json_t *gone = kube_fields_minus(before, after);

	kube_set(kube_object_at(holder, "metadata"), "managedFields",
		 managed ? json_deep_copy(managed) : json_array());
	list = managed_list(managed ? holder : old);
	left = others_left(list, changed, gone, manager, &own);
	if (own || changed) {
		json_t *kept = kube_fields_minus(json_object_get(own, "fieldsV1"), gone);
		json_t *set = kube_fields_union(kept, changed);

		if (set && json_equal(set, json_object_get(own, "fieldsV1")))
			kube_push(left, json_incref(own));
		else if (set)
			managed_put(left, managed_entry(manager, "Update", resource->api_version),
				    json_incref(set), manager->now);
		json_decref(set);
		json_decref(kept);
	}
	bound_updates(left, resource->api_version);
	json_decref(list);
	json_decref(holder);
	json_decref(before);
	json_decref(after);
	json_decref(changed);
	json_decref(gone);
	return left;
}
