/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/node_settings.h"

#include <string.h>

#include "kube/member.h"

static const char *const texts[] = {"labels", "annotations"};

/* The members of @wanted that @own has not, or has otherwise. */
static json_t *beyond(const json_t *wanted, const json_t *own)
{
	json_t *more = json_object(), *value;
	const char *key;

	json_object_foreach ((json_t *)(uintptr_t)wanted, key, value)
		if (!json_equal(value, json_object_get(own, key)))
			(void)json_object_set(more, key, value);
	return more;
}

static bool has_taint(const json_t *taints, const json_t *taint)
{
	const json_t *other;
	size_t i;

	json_array_foreach (taints, i, other)
		if (json_equal(json_object_get(other, "key"), json_object_get(taint, "key")) &&
		    json_equal(json_object_get(other, "effect"), json_object_get(taint, "effect")))
			return true;
	return false;
}

static json_t *taints_beyond(const json_t *wanted, const json_t *own)
{
	json_t *more = json_array(), *taint;
	size_t i;

	json_array_foreach (wanted, i, taint)
		if (!has_taint(own, taint))
			(void)json_array_append(more, taint);
	return more;
}

json_t *kube_node_settings(const json_t *wanted, const json_t *own)
{
	json_t *settings = json_deep_copy(wanted);
	json_t *metadata = json_object_get(settings, "metadata"), *spec = json_object();

	(void)json_object_del(settings, "status");
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		kube_set(metadata, texts[i],
			 beyond(json_object_get(json_object_get(wanted, "metadata"), texts[i]),
				json_object_get(json_object_get(own, "metadata"), texts[i])));
	if (json_is_true(kube_member(wanted, "spec.unschedulable")) &&
	    !json_is_true(kube_member(own, "spec.unschedulable")))
		kube_set(spec, "unschedulable", json_true());
	kube_set(
		spec, "taints",
		taints_beyond(kube_member(wanted, "spec.taints"), kube_member(own, "spec.taints")));
	kube_set(settings, "spec", spec);
	return settings;
}

static json_t *member_get(json_t *object, const char *name, json_t *fresh)
{
	json_t *member = json_object_get(object, name);

	if (member) {
		json_decref(fresh);
		return member;
	}
	kube_set(object, name, fresh);
	return fresh;
}

void kube_node_merge(json_t *node, const json_t *settings)
{
	json_t *metadata = json_object_get(node, "metadata"), *taint;
	json_t *spec = member_get(node, "spec", json_object());
	const json_t *taints = kube_member(settings, "spec.taints");
	const json_t *managed = kube_member(settings, "metadata.managedFields");
	size_t i;

	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		const json_t *more =
			json_object_get(json_object_get(settings, "metadata"), texts[i]);

		if (json_is_object(more))
			(void)json_object_update(member_get(metadata, texts[i], json_object()),
						 (json_t *)(uintptr_t)more);
	}
	if (managed)
		kube_set(metadata, "managedFields", json_deep_copy(managed));
	if (json_is_true(kube_member(settings, "spec.unschedulable")))
		kube_set(spec, "unschedulable", json_true());
	json_array_foreach (taints, i, taint)
		if (!has_taint(json_object_get(spec, "taints"), taint))
			(void)json_array_append(member_get(spec, "taints", json_array()), taint);
}
