/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/deletion.h"

#include <string.h>

#include "kube/member.h"
#include "kube/time.h"

bool kube_is_dying(const json_t *object)
{
	return *kube_member_string(object, "metadata.deletionTimestamp") != 0;
}

bool kube_has_finalizer(const json_t *object, const char *finalizer)
{
	const json_t *entry;
	size_t i;

	json_array_foreach (kube_member(object, "metadata.finalizers"), i, entry)
		if (json_is_string(entry) && strcmp(json_string_value(entry), finalizer) == 0)
			return true;
	return false;
}

/* The finalizers of @object without those that are ours. */
static json_t *others_of(const json_t *object)
{
	json_t *others = json_array(), *entry;
	size_t i;

	json_array_foreach (kube_member(object, "metadata.finalizers"), i, entry) {
		const char *text = json_is_string(entry) ? json_string_value(entry) : "";

		if (strcmp(text, KUBE_FINALIZER_FOREGROUND) != 0 &&
		    strcmp(text, KUBE_FINALIZER_ORPHAN) != 0)
			(void)json_array_append(others, entry);
	}
	return others;
}

void kube_condemn(json_t *object, const char *finalizer, struct wall now)
{
	json_t *metadata = kube_object_at(object, "metadata");
	json_t *finalizers = others_of(object);

	if (!kube_is_dying(object))
		kube_set_string(metadata, "deletionTimestamp", kube_time_text(now).text);
	kube_set_int(metadata, "deletionGracePeriodSeconds", 0);
	if (finalizer)
		kube_push(finalizers, json_string(finalizer));
	if (json_array_size(finalizers)) {
		kube_set(metadata, "finalizers", finalizers);
	} else {
		(void)json_object_del(metadata, "finalizers"); /* there may be none */
		json_decref(finalizers);
	}
}

void kube_keep_dying(const json_t *old, json_t *object)
{
	static const char *const kept[] = {"deletionTimestamp", "deletionGracePeriodSeconds"};
	const json_t *metadata = json_object_get(old, "metadata");

	for (size_t i = 0; kube_is_dying(old) && i < sizeof(kept) / sizeof(kept[0]); i++) {
		json_t *value = json_object_get(metadata, kept[i]);

		if (value)
			kube_set(kube_object_at(object, "metadata"), kept[i], json_incref(value));
	}
}

static bool is_of(const json_t *reference, const struct uid *owner)
{
	struct uid uid;

	return uid_parse(kube_member_string(reference, "uid"), &uid) && uid_equal(&uid, owner);
}

bool kube_depends_on(const json_t *object, const struct uid *owner)
{
	const json_t *reference;
	size_t i;

	json_array_foreach (kube_member(object, "metadata.ownerReferences"), i, reference)
		if (is_of(reference, owner))
			return true;
	return false;
}

json_t *kube_released(const json_t *object, const struct uid *owner)
{
	json_t *copy = json_deep_copy(object), *metadata = kube_object_at(copy, "metadata");
	json_t *left = json_array(), *reference;
	size_t i;

	json_array_foreach (json_object_get(metadata, "ownerReferences"), i, reference)
		if (!is_of(reference, owner))
			(void)json_array_append(left, reference);
	if (json_array_size(left)) {
		kube_set(metadata, "ownerReferences", left);
	} else {
		(void)json_object_del(metadata, "ownerReferences"); /* there may be none */
		json_decref(left);
	}
	return copy;
}
