/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "kube/member.h"
#include "kube/dns.h"
#include "kube/name.h"
#include "kube/port.h"
#include "kube/probe.h"
#include "kube/quantity.h"
#include "kube/validate.h"
#include "kube/volume.h"
#include "kube/workload.h"

enum {
	/* What a machine takes on; an object that no machine would start is refused at once. */
	CONTAINERS_MAX = 32, /* init containers included */
	VOLUMES_MAX = 64,
	MOUNTS_MAX = 64,
	PORTS_MAX = 256,
	STRINGS_MAX = 1024, /* variables, words of a command, arguments */
	GROUPS_MAX = 63,
	CAPABILITIES_MAX = 64,
	IMAGE_TEXT_MAX = 511,
	MEMORY_LIMIT_MIN = 4 << 20, /* no process starts in less */
	GRACE_MAX_S = 86400,
	ID_NUMBER_MAX = 0x7fffffff, /* users and groups, as Kubernetes */
};

static const char label_rule[] =
	"a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and "
	"must start and end with an alphanumeric character";

static const struct port_rules port_rules = {
	.number = "containerPort",
	.outside = "hostPort",
	.name_fits = kube_name_is_port,
	.name_detail = "must be at most 15 lower case letters, digits or '-', with at least one "
		       "letter",
};

/* A list short enough to be looked at in pairs; a longer one is remarked upon and counts as empty.
 */
static size_t list_count(struct check *check, const json_t *object, const char *key, size_t max)
{
	char detail[64];
	size_t count = json_array_size(json_object_get(object, key));
	if (count <= max)
		return count;
	(void)snprintf(detail, sizeof(detail), "must have at most %zu elements", max);
	check_forbidden(check, key, detail);
	return 0;
}

static void validate_env(struct check *check, const json_t *variable, size_t index)
{
	const json_t *from = json_object_get(variable, "valueFrom");
	const char *name = kube_member_string(variable, "name");
	size_t mark = check_enter(check, "env[%zu]", index);
	if (!*name)
		check_required(check, "name", "");
	else if (!kube_name_is_env(name))
		check_invalid(check, "name", json_object_get(variable, "name"),
			      "a valid environment variable name must consist only of printable "
			      "ASCII characters other than '='");
	if (from && *kube_member_string(variable, "value"))
		check_invalid(check, "valueFrom", from,
			      "may not be specified when `value` is not empty");
	if (from && json_object_size(from) != 1)
		check_invalid(check, "valueFrom", from, "must specify exactly one source");
	if (from)
		kube_validate_env_source(check, from);
	check_leave(check, mark);
}

/* "vendor/thing", which machines offer by name; never one of Kubernetes' own. */
static bool is_extended(const char *name)
{
	const char *slash = strchr(name, '/');
	return slash && kube_name_is_label_key(name) &&
	       !memmem(name, (size_t)(slash - name), "kubernetes.io", strlen("kubernetes.io"));
}

/* One resource of requests or limits: what a machine can promise. */
static void validate_resource(struct check *check, const char *name, const json_t *value)
{
	int64_t amount;
	bool is_cpu = strcmp(name, "cpu") == 0;
	int r = is_cpu ? kube_quantity_json_milli(value, &amount)
		       : kube_quantity_json_units(value, &amount);
	if (r == KUBE_QUANTITY_E_SYNTAX)
		check_invalid(check, name, value,
			      "quantities must match the regular expression "
			      "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'");
	else if (r == KUBE_QUANTITY_E_NEGATIVE)
		check_invalid(check, name, value, "must be greater than or equal to 0");
	else if (r || amount > INT64_MAX / CONTAINERS_MAX)
		check_invalid(check, name, value, "the number is too large");
	else if (strcmp(name, "ephemeral-storage") == 0)
		check_warn(check, name, "the use of storage is not limited");
	else if (!is_cpu && strcmp(name, "memory") != 0 && !is_extended(name))
		check_invalid(check, name, value,
			      "unsupported field: only cpu, memory and extended resources "
			      "(vendor/thing) can be requested");
}

static void validate_memory_limit(struct check *check, const json_t *limits)
{
	const json_t *value = json_object_get(limits, "memory");
	int64_t bytes;
	if (value && kube_quantity_json_units(value, &bytes) == 0 && bytes > 0 &&
	    bytes < MEMORY_LIMIT_MIN)
		check_invalid(check, "limits.memory", value, "must be at least 4Mi");
}

/* Extended resources are counted, not shared: request and limit are one number. */
static void validate_extended(struct check *check, const json_t *resources)
{
	json_t *limits = json_object_get(resources, "limits");
	const char *name;
	json_t *value;
	json_object_foreach (limits, name, value) {
		int64_t milli;
		if (is_extended(name) && kube_quantity_json_milli(value, &milli) == 0 &&
		    milli % 1000 != 0)
			check_invalid(check, "limits", value, "must be an integer");
	}
	json_object_foreach (json_object_get(resources, "requests"), name, value) {
		const json_t *limit = json_object_get(limits, name);
		int64_t wanted, allowed;
		if (!is_extended(name))
			continue;
		if (!limit)
			check_required(check, "limits",
				       "Limit must be set for non overcommitable resources");
		else if (kube_quantity_json_milli(value, &wanted) == 0 &&
			 kube_quantity_json_milli(limit, &allowed) == 0 && wanted != allowed)
			check_invalid(check, "requests", value,
				      "must be equal to the limit of an extended resource");
	}
}

static void validate_resources(struct check *check, const json_t *resources)
{
	static const char *const kinds[] = {"limits", "requests"};
	size_t mark = check_enter(check, "resources");
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		const char *name;
		json_t *value;
		size_t inner = check_enter(check, "%s", kinds[i]);
		json_object_foreach (json_object_get(resources, kinds[i]), name, value) {
			validate_resource(check, name, value);
		}
		check_leave(check, inner);
	}
	const char *name;
	json_t *value;
	validate_memory_limit(check, json_object_get(resources, "limits"));
	validate_extended(check, resources);
	json_object_foreach (json_object_get(resources, "requests"), name, value) {
		const json_t *limit = json_object_get(json_object_get(resources, "limits"), name);
		int64_t wanted, allowed;
		if (limit && kube_quantity_json_milli(value, &wanted) == 0 &&
		    kube_quantity_json_milli(limit, &allowed) == 0 && wanted > allowed) {
			size_t inner = check_enter(check, "requests");
			check_invalid(check, name, value,
				      "must be less than or equal to the limit");
			check_leave(check, inner);
		}
	}
	check_leave(check, mark);
}

/* Absolute, and no step of it is "..". */
static const json_t *volume_named(const json_t *spec, const char *name)
{
	const json_t *volume;
	size_t index;
	json_array_foreach (json_object_get(spec, "volumes"), index, volume)
		if (strcmp(kube_member_string(volume, "name"), name) == 0)
			return volume;
	return NULL;
}

static void validate_mount(struct check *check, const json_t *spec, const json_t *mounts,
			   size_t index)
{
	const json_t *mount = json_array_get(mounts, index);
	const char *name = kube_member_string(mount, "name");
	const char *path = kube_member_string(mount, "mountPath");
	size_t mark = check_enter(check, "volumeMounts[%zu]", index);
	if (!*name)
		check_required(check, "name", "");
	else if (!volume_named(spec, name))
		check_not_found(check, "name", name);
	kube_validate_sub_path(check, mount);
	if (!*path)
		check_required(check, "mountPath", "");
	else if (!kube_is_mount_path(path))
		check_invalid(check, "mountPath", json_object_get(mount, "mountPath"),
			      "must be an absolute path without '..' and ':'");
	else if (kube_is_repeated(mounts, index, "mountPath", path))
		check_invalid(check, "mountPath", json_object_get(mount, "mountPath"),
			      "must be unique");
	check_leave(check, mark);
}

static void validate_seccomp(struct check *check, const json_t *context)
{
	static const char *const types[] = {"RuntimeDefault", "Unconfined", NULL};
	const json_t *profile = json_object_get(context, "seccompProfile");
	if (profile)
		(void)check_one_of(check, "seccompProfile.type",
				   kube_member_string(profile, "type"), types);
}

/* What a container's and a pod's security context have in common. */
static void validate_user(struct check *check, const json_t *context)
{
	check_range(check, "runAsUser", json_object_get(context, "runAsUser"), 0, ID_NUMBER_MAX);
	check_range(check, "runAsGroup", json_object_get(context, "runAsGroup"), 0, ID_NUMBER_MAX);
	validate_seccomp(check, context);
}

static void validate_capabilities(struct check *check, const json_t *context)
{
	const json_t *capabilities = json_object_get(context, "capabilities");
	size_t mark = check_enter(check, "capabilities");
	(void)list_count(check, capabilities, "add", CAPABILITIES_MAX);
	(void)list_count(check, capabilities, "drop", CAPABILITIES_MAX);
	check_leave(check, mark);
}

static void validate_container_security(struct check *check, const json_t *container)
{
	const json_t *context = json_object_get(container, "securityContext");
	size_t mark = check_enter(check, "securityContext");
	validate_user(check, context);
	validate_capabilities(check, context);
	check_leave(check, mark);
}

static void validate_pod_security(struct check *check, const json_t *spec)
{
	const json_t *context = json_object_get(spec, "securityContext");
	const json_t *groups = json_object_get(context, "supplementalGroups");
	static const char *const policies[] = {"Always", "OnRootMismatch", NULL};
	const char *policy = kube_member_string(context, "fsGroupChangePolicy");
	size_t mark = check_enter(check, "securityContext");
	validate_user(check, context);
	check_range(check, "fsGroup", json_object_get(context, "fsGroup"), 0, ID_NUMBER_MAX);
	if (*policy)
		(void)check_one_of(check, "fsGroupChangePolicy", policy, policies);
	size_t count = list_count(check, context, "supplementalGroups", GROUPS_MAX);
	for (size_t i = 0; i < count; i++)
		check_range(check, "supplementalGroups", json_array_get(groups, i), 0,
			    ID_NUMBER_MAX);
	check_leave(check, mark);
}

static void validate_image(struct check *check, const json_t *container)
{
	static const char *const policies[] = {"Always", "IfNotPresent", "Never", NULL};
	const char *image = kube_member_string(container, "image");
	if (!*image)
		check_required(check, "image", "");
	else if (strpbrk(image, " \t\r\n") || strlen(image) > IMAGE_TEXT_MAX)
		check_invalid(check, "image", json_object_get(container, "image"),
			      "must be an image reference without spaces, at most 511 long");
	(void)check_one_of(check, "imagePullPolicy",
			   kube_member_string(container, "imagePullPolicy"), policies);
}

static void validate_command(struct check *check, const json_t *container)
{
	const json_t *directory = json_object_get(container, "workingDir");
	(void)list_count(check, container, "command", STRINGS_MAX);
	(void)list_count(check, container, "args", STRINGS_MAX);
	if (*kube_member_string(container, "workingDir") &&
	    !kube_is_mount_path(json_string_value(directory)))
		check_invalid(check, "workingDir", directory,
			      "must be an absolute path without '..' and ':'");
}

static void validate_container(struct check *check, const json_t *spec, const json_t *container,
			       bool init)
{
	const json_t *ports = json_object_get(container, "ports");
	const json_t *env = json_object_get(container, "env");
	const json_t *mounts = json_object_get(container, "volumeMounts");
	size_t port_count = list_count(check, container, "ports", PORTS_MAX);
	size_t env_count = list_count(check, container, "env", STRINGS_MAX);
	size_t mount_count = list_count(check, container, "volumeMounts", MOUNTS_MAX);
	validate_image(check, container);
	validate_command(check, container);
	for (size_t i = 0; i < port_count; i++)
		kube_validate_port(check, ports, i, &port_rules);
	for (size_t i = 0; i < env_count; i++)
		validate_env(check, json_array_get(env, i), i);
	kube_validate_env_from(check, container);
	validate_resources(check, json_object_get(container, "resources"));
	for (size_t i = 0; i < mount_count; i++)
		validate_mount(check, spec, mounts, i);
	kube_validate_probes(check, container, init);
	validate_container_security(check, container);
}

/* @earlier: the list that comes before this one and shares its names. */
static void validate_containers(struct check *check, const json_t *spec, const char *key,
				const json_t *earlier)
{
	const json_t *containers = json_object_get(spec, key);
	size_t count = list_count(check, spec, key, CONTAINERS_MAX);
	for (size_t i = 0; i < count; i++) {
		const json_t *container = json_array_get(containers, i);
		const char *name = kube_member_string(container, "name");
		size_t mark = check_enter(check, "%s[%zu]", key, i);
		if (!*name)
			check_required(check, "name", "");
		else if (!kube_name_is_label(name))
			check_invalid(check, "name", json_object_get(container, "name"),
				      label_rule);
		else if (kube_is_repeated(containers, i, "name", name) ||
			 kube_is_repeated(earlier, json_array_size(earlier), "name", name))
			check_duplicate(check, "name", name);
		validate_container(check, spec, container, strcmp(key, "initContainers") == 0);
		check_leave(check, mark);
	}
}

static void validate_volumes(struct check *check, const json_t *spec)
{
	const json_t *volumes = json_object_get(spec, "volumes");
	size_t count = list_count(check, spec, "volumes", VOLUMES_MAX);
	for (size_t i = 0; i < count; i++) {
		const json_t *volume = json_array_get(volumes, i);
		const char *name = kube_member_string(volume, "name");
		size_t mark = check_enter(check, "volumes[%zu]", i);
		if (!*name)
			check_required(check, "name", "");
		else if (!kube_name_is_label(name))
			check_invalid(check, "name", json_object_get(volume, "name"), label_rule);
		else if (kube_is_repeated(volumes, i, "name", name))
			check_duplicate(check, "name", name);
		kube_validate_volume_source(check, volume);
		check_leave(check, mark);
	}
}

static void validate_engine(struct check *check, const json_t *spec)
{
	static const char *const engines[] = {"crun", "krun", "wasm", NULL};
	const char *engine = json_string_value(json_object_get(spec, "runtimeClassName"));
	const json_t *hostname = json_object_get(spec, "hostname");
	if (engine && *engine)
		(void)check_one_of(check, "runtimeClassName", engine, engines);
	if (*kube_member_string(spec, "hostname") &&
	    !kube_name_is_label(json_string_value(hostname)))
		check_invalid(check, "hostname", hostname, label_rule);
}

void kube_validate_pod_spec(struct check *check, const json_t *spec, bool always)
{
	static const char *const any[] = {"Always", "OnFailure", "Never", NULL};
	static const char *const only[] = {"Always", NULL};
	const json_t *inits = json_object_get(spec, "initContainers");
	const json_t *containers = json_object_get(spec, "containers");
	(void)check_one_of(check, "restartPolicy", kube_member_string(spec, "restartPolicy"),
			   always ? only : any);
	check_range(check, "terminationGracePeriodSeconds",
		    json_object_get(spec, "terminationGracePeriodSeconds"), 0, GRACE_MAX_S);
	if (json_array_size(containers) == 0)
		check_required(check, "containers", "");
	if (json_array_size(containers) + json_array_size(inits) > CONTAINERS_MAX)
		check_forbidden(check, "containers",
				"must be at most 32, init containers included");
	validate_containers(check, spec, "containers", NULL);
	validate_containers(check, spec, "initContainers", containers);
	validate_volumes(check, spec);
	validate_pod_security(check, spec);
	validate_engine(check, spec);
	kube_validate_pod_dns(check, spec);
}
