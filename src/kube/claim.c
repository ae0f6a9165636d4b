/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/claim.h"

#include <string.h>

#include "kube/deletion.h"
#include "kube/member.h"
#include "kube/quantity.h"
#include "kube/time.h"

static const char once_pod[] = "ReadWriteOncePod", volume_prefix[] = "pvc-";

static const char *annotation(const json_t *claim, const char *key)
{
	const char *text =
		json_string_value(json_object_get(kube_member(claim, "metadata.annotations"), key));

	return text ? text : "";
}

static bool has_mode(const json_t *claim, const char *wanted)
{
	const json_t *mode;
	size_t i;

	json_array_foreach (kube_member(claim, "spec.accessModes"), i, mode)
		if (json_is_string(mode) && strcmp(json_string_value(mode), wanted) == 0)
			return true;
	return false;
}

struct kube_claim kube_claim_read(const json_t *claim)
{
	struct kube_claim read = {
		.class = kube_member_string(claim, "spec.storageClassName"),
		.machine = annotation(claim, KUBE_CLAIM_MACHINE),
		.one_pod = has_mode(claim, once_pod),
		.ending = kube_is_dying(claim),
	};
	const json_t *storage = kube_member(claim, "spec.resources.requests.storage");

	read.ours = strcmp(read.class, KUBE_CLAIM_CLASS) == 0;
	if (!storage || kube_quantity_json_units(storage, &read.storage_bytes) != 0 ||
	    read.storage_bytes < 0)
		read.storage_bytes = 0;
	return read;
}

static json_t *volume_name(const json_t *claim)
{
	return kube_text("%s%s", volume_prefix, kube_member_string(claim, "metadata.uid"));
}

void kube_claim_bind(json_t *claim, const char *machine)
{
	json_t *annotations = kube_object_at(kube_object_at(claim, "metadata"), "annotations");
	json_t *spec = kube_object_at(claim, "spec");

	if (!annotations || !spec)
		return; /* nonsense of a steward's: it stays unbound */
	kube_set_string(annotations, KUBE_CLAIM_MACHINE, machine);
	kube_set(spec, "volumeName", volume_name(claim));
}

void kube_claim_keep(const json_t *old, json_t *new)
{
	const char *machine = annotation(old, KUBE_CLAIM_MACHINE);
	json_t *metadata = json_object_get(new, "metadata");
	json_t *volume = kube_member(old, "spec.volumeName");

	if (*machine && metadata)
		kube_set_string(kube_object_at(metadata, "annotations"), KUBE_CLAIM_MACHINE,
				machine);
	if (volume && json_is_object(json_object_get(new, "spec")))
		kube_set(json_object_get(new, "spec"), "volumeName", json_incref(volume));
}

/* ---- admission ---- */

void kube_default_claim_spec(json_t *spec)
{
	if (!json_is_object(spec))
		return;
	kube_set_missing(spec, "storageClassName", json_string(KUBE_CLAIM_CLASS));
	kube_set_missing(spec, "volumeMode", json_string("Filesystem"));
}

static void validate_modes(struct check *check, const json_t *modes)
{
	static const char *const supported[] = {"ReadWriteOnce", once_pod, NULL};
	const json_t *mode;
	size_t i;

	if (json_array_size(modes) == 0)
		check_required(check, "accessModes", "at least 1 access mode is required");
	json_array_foreach (modes, i, mode) {
		const char *text = json_string_value(mode);

		if (text &&
		    (strcmp(text, "ReadWriteMany") == 0 || strcmp(text, "ReadOnlyMany") == 0))
			check_invalid(
				check, "accessModes", mode,
				"a volume is a directory of one machine: pods of several "
				"cannot share it (on that machine, pods share ReadWriteOnce)");
		else
			(void)check_one_of(check, "accessModes", text ? text : "", supported);
	}
	if (json_array_size(modes) > 1)
		json_array_foreach (modes, i, mode)
			if (strcmp(json_string_value(mode) ? json_string_value(mode) : "",
				   once_pod) == 0)
				check_forbidden(check, "accessModes",
						"may not use ReadWriteOncePod with other access "
						"modes");
}

void kube_validate_claim_spec(struct check *check, const json_t *spec)
{
	static const char *const modes[] = {"Filesystem", NULL};
	const json_t *storage = kube_member(spec, "resources.requests.storage");
	const char *volume = kube_member_string(spec, "volumeName");
	int64_t bytes;

	validate_modes(check, json_object_get(spec, "accessModes"));
	if (!storage)
		check_required(check, "resources.requests.storage", "");
	else if (kube_quantity_json_units(storage, &bytes) != 0 || bytes <= 0)
		check_invalid(check, "resources.requests.storage", storage,
			      "must be a quantity greater than zero");
	if (*volume && strncmp(volume, volume_prefix, strlen(volume_prefix)) != 0)
		check_invalid(check, "volumeName", json_object_get(spec, "volumeName"),
			      "a volume is made for its claim, and named after it");
	(void)check_one_of(check, "volumeMode", kube_member_string(spec, "volumeMode"), modes);
}

void kube_validate_claim_update(struct check *check, const json_t *old, const json_t *new)
{
	if (!json_equal(json_object_get(old, "spec"), json_object_get(new, "spec")))
		check_forbidden(check, "spec", "a claim keeps its spec: volumes do not grow");
}

/* ---- what clients see ---- */

void kube_claim_show(json_t *claim)
{
	const struct kube_claim read = kube_claim_read(claim);
	json_t *status = json_object();
	json_t *modes = kube_member(claim, "spec.accessModes");
	json_t *storage = kube_member(claim, "spec.resources.requests.storage");

	kube_set_string(status, "phase", *read.machine ? "Bound" : "Pending");
	if (*read.machine && modes)
		kube_set(status, "accessModes", json_deep_copy(modes));
	if (*read.machine && storage)
		kube_set(status, "capacity", json_pack("{s:O}", "storage", storage));
	kube_set(claim, "status", status);
}

static json_t *on_machine(const char *machine)
{
	return json_pack("{s:{s:[{s:[{s:s,s:s,s:[s]}]}]}}", "required", "nodeSelectorTerms",
			 "matchExpressions", "key", "kubernetes.io/hostname", "operator", "In",
			 "values", machine);
}

static json_t *claim_reference(const json_t *claim)
{
	return json_pack("{s:s,s:s,s:s,s:s,s:s}", "apiVersion", "v1", "kind", KUBE_CLAIM,
			 "namespace", kube_member_string(claim, "metadata.namespace"), "name",
			 kube_member_string(claim, "metadata.name"), "uid",
			 kube_member_string(claim, "metadata.uid"));
}

json_t *kube_claim_volume(const json_t *claim)
{
	const struct kube_claim read = kube_claim_read(claim);
	json_t *volume, *metadata, *spec, *storage, *modes;

	if (!*read.machine)
		return NULL;
	volume = json_pack("{s:s,s:s,s:{},s:{},s:{s:s}}", "apiVersion", "v1", "kind",
			   "PersistentVolume", "metadata", "spec", "status", "phase", "Bound");
	metadata = json_object_get(volume, "metadata");
	spec = json_object_get(volume, "spec");
	storage = kube_member(claim, "spec.resources.requests.storage");
	modes = kube_member(claim, "spec.accessModes");
	kube_set(metadata, "name", volume_name(claim));
	kube_set_string(metadata, "uid", kube_member_string(claim, "metadata.uid"));
	kube_set_string(metadata, "creationTimestamp",
			kube_member_string(claim, "metadata.creationTimestamp"));
	kube_set(spec, "capacity", json_pack("{s:O}", "storage", storage ? storage : json_null()));
	kube_set(spec, "accessModes", modes ? json_deep_copy(modes) : json_array());
	kube_set(spec, "claimRef", claim_reference(claim));
	kube_set_string(spec, "persistentVolumeReclaimPolicy", "Delete");
	kube_set_string(spec, "storageClassName", read.class);
	kube_set_string(spec, "volumeMode", "Filesystem");
	kube_set(spec, "local",
		 json_pack("{s:s}", "path", kube_member_string(claim, "metadata.uid")));
	kube_set(spec, "nodeAffinity", on_machine(read.machine));
	return volume;
}

json_t *kube_claim_class(struct wall since)
{
	return json_pack("{s:s,s:s,s:{s:s,s:s,s:{s:s}},s:s,s:s,s:s,s:b}", "apiVersion",
			 "storage.k8s.io/v1", "kind", "StorageClass", "metadata", "name",
			 KUBE_CLAIM_CLASS, "creationTimestamp", kube_time_text(since).text,
			 "annotations", "storageclass.kubernetes.io/is-default-class", "true",
			 "provisioner", "magik.io/local", "reclaimPolicy", "Delete",
			 "volumeBindingMode", "WaitForFirstConsumer", "allowVolumeExpansion", 0);
}
