/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/reference.h"

#include "base/mem.h"
#include "kube/member.h"

struct visit {
	void (*each)(void *ctx, const struct kube_reference *reference);
	void *ctx;
};

/* @source: {name, optional}, or a claim's or secret volume's own spelling of the name. */
static void visit(const struct visit *visit, const char *kind, const json_t *source,
		  const char *key)
{
	struct kube_reference reference = {
		.kind = kind,
		.name = kube_member_string(source, key),
		.optional = kube_member_true(source, "optional"),
	};

	if (*reference.name)
		visit->each(visit->ctx, &reference);
}

static void visit_container(const struct visit *v, const json_t *container)
{
	const json_t *item;
	size_t index;

	json_array_foreach (json_object_get(container, "env"), index, item) {
		visit(v, "ConfigMap", kube_member(item, "valueFrom.configMapKeyRef"), "name");
		visit(v, "Secret", kube_member(item, "valueFrom.secretKeyRef"), "name");
	}
	json_array_foreach (json_object_get(container, "envFrom"), index, item) {
		visit(v, "ConfigMap", json_object_get(item, "configMapRef"), "name");
		visit(v, "Secret", json_object_get(item, "secretRef"), "name");
	}
}

static void visit_volume(const struct visit *v, const json_t *volume)
{
	const json_t *item;
	size_t index;

	visit(v, "ConfigMap", json_object_get(volume, "configMap"), "name");
	visit(v, "Secret", json_object_get(volume, "secret"), "secretName");
	visit(v, "PersistentVolumeClaim", json_object_get(volume, "persistentVolumeClaim"),
	      "claimName");
	json_array_foreach (kube_member(volume, "projected.sources"), index, item) {
		visit(v, "ConfigMap", json_object_get(item, "configMap"), "name");
		visit(v, "Secret", json_object_get(item, "secret"), "name");
	}
}

void kube_references(const json_t *pod_spec,
		     void (*each)(void *ctx, const struct kube_reference *reference), void *ctx)
{
	static const char *const lists[] = {"initContainers", "containers"};
	const struct visit v = {each, ctx};
	const json_t *item;
	size_t index;

	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		json_array_foreach (json_object_get(pod_spec, lists[i]), index, item)
			visit_container(&v, item);
	json_array_foreach (json_object_get(pod_spec, "volumes"), index, item)
		visit_volume(&v, item);
}
