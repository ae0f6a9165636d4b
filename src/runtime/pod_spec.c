/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/pod_spec.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/id.h"
#include "base/mem.h"
#include "kube/job.h"
#include "kube/manifest.h"
#include "kube/needs.h"
#include "kube/quantity.h"
#include "runtime/image_ref.h"
#include "runtime/pod_spec_read.h"
#include "runtime/svid.h"

int spec_malformed(struct err *err, const char *what)
{
	return err_set_status(err, -EINVAL, 400, "%s is malformed", what);
}

int spec_unsupported(struct err *err, const char *what)
{
	return err_set_status(err, -EOPNOTSUPP, 422, "%s is not supported by this machine", what);
}

int spec_forbidden(struct err *err, const char *what)
{
	return err_set_status(err, -EACCES, 403, "%s is forbidden by this machine's local policy",
			      what);
}

const char *spec_text(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

bool spec_truth(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

/* What is put into paths, cgroups and ids: a DNS label, so neither "/" nor ".." can be in it. */
bool spec_is_label(const char *text)
{
	size_t len = text ? strlen(text) : 0;

	return len > 0 && len <= 63 && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}

bool spec_is_absolute_path(const char *path)
{
	return path && path[0] == '/' && strlen(path) < SPEC_PATH_MAX && !strstr(path, "/../") &&
	       !(strlen(path) >= 3 && strcmp(path + strlen(path) - 3, "/..") == 0);
}

/* It stays below where it is put, and out of the way of our own names, which begin with "..". */
bool spec_is_relative_path(const char *path)
{
	size_t len = path ? strlen(path) : 0;

	return len > 0 && len < SPEC_PATH_MAX && path[0] != '/' && strncmp(path, "..", 2) != 0 &&
	       !strstr(path, "/../") && !(len >= 3 && strcmp(path + len - 3, "/..") == 0);
}

/*
 * Engines open and write files of /proc on a container's behalf: neither may something else lie
 * there, nor may a container begin in one of their open directories (/proc/self/fd/N).
 */
static bool is_in_proc(const char *path)
{
	size_t len = strlen("proc");

	while (*path == '/' || (*path == '.' && (path[1] == '/' || path[1] == '\0')))
		path++;
	return strncmp(path, "proc", len) == 0 && (path[len] == '/' || path[len] == '\0');
}

static int read_strings(const json_t *list, size_t max, const char *what, struct strings *ret,
			struct err *err)
{
	size_t count = json_array_size(list);

	*ret = (struct strings){0};
	if (!list)
		return 0;
	if (!json_is_array(list) || count > max)
		return spec_malformed(err, what);
	ret->items = mem_alloc(count + 1, sizeof(char *));
	for (size_t i = 0; i < count; i++) {
		const char *item = json_string_value(json_array_get(list, i));

		if (!item)
			return spec_malformed(err, what);
		ret->items[ret->count++] = item;
	}
	return 0;
}

int spec_read_quantity(const json_t *list, const char *key, bool milli, int64_t *ret,
		       struct err *err)
{
	const json_t *value = json_object_get(list, key);

	*ret = LIMITS_UNSET;
	if (!value)
		return 0;
	if ((milli ? kube_quantity_json_milli(value, ret) : kube_quantity_json_units(value, ret)) !=
	    0)
		return err_set_status(err, -EINVAL, 400, "resources: %s is no quantity", key);
	/* So that the sum over all containers of a pod cannot overflow. */
	if (*ret > INT64_MAX / POD_CONTAINERS_MAX)
		return err_set_status(err, -EINVAL, 400, "resources: %s is too large", key);
	return 0;
}

/* A limit that nothing here enforces would be a lie. Extended resources (vendor/thing) are only
 * counted, and that is done where this machine bids for pods. */
static int check_resource_names(const json_t *list, struct err *err)
{
	static const char *const known[] = {"cpu", "memory", "ephemeral-storage"};
	const char *key;
	json_t *value;

	json_object_foreach ((json_t *)(uintptr_t)list, key, value) {
		bool found = strchr(key, '/') != NULL;

		for (size_t i = 0; i < ARRAY_LEN(known); i++)
			found |= strcmp(key, known[i]) == 0;
		if (!found)
			return err_set_status(err, -EOPNOTSUPP, 422,
					      "resource %.80s is not offered by this machine", key);
	}
	return 0;
}

static int read_resources(const json_t *container, struct resources *ret, struct err *err)
{
	const json_t *resources = json_object_get(container, "resources");
	const json_t *requests = json_object_get(resources, "requests");
	const json_t *limits = json_object_get(resources, "limits");
	int r;

	r = check_resource_names(limits, err);
	if (r == 0)
		r = spec_read_quantity(requests, "cpu", true, &ret->cpu_request_milli, err);
	if (r == 0)
		r = spec_read_quantity(limits, "cpu", true, &ret->cpu_limit_milli, err);
	if (r == 0)
		r = spec_read_quantity(requests, "memory", false, &ret->memory_request_bytes, err);
	if (r == 0)
		r = spec_read_quantity(limits, "memory", false, &ret->memory_limit_bytes, err);
	if (r == 0 && ret->memory_limit_bytes > 0 &&
	    ret->memory_limit_bytes < LIMITS_MEMORY_MIN_BYTES)
		r = err_set_status(err, -EINVAL, 400,
				   "memory limit %" PRId64 " is below the least possible, %d",
				   ret->memory_limit_bytes, LIMITS_MEMORY_MIN_BYTES);
	return r;
}

/* Capabilities that stay inside the container's own namespaces and files. */
static bool is_harmless_cap(const char *cap)
{
	static const char *const harmless[] = {
		"AUDIT_WRITE", "CHOWN",  "DAC_OVERRIDE", "FOWNER",           "FSETID", "IPC_LOCK",
		"KILL",        "MKNOD",  "NET_ADMIN",    "NET_RAW",          "SETGID", "SETPCAP",
		"SETFCAP",     "SETUID", "SYS_CHROOT",   "NET_BIND_SERVICE",
	};

	for (size_t i = 0; i < ARRAY_LEN(harmless); i++)
		if (strcmp(cap, harmless[i]) == 0)
			return true;
	return false;
}

static int read_caps(const json_t *context, const struct policy *policy, struct security *ret,
		     struct err *err)
{
	const json_t *caps = json_object_get(context, "capabilities");
	int r = read_strings(json_object_get(caps, "add"), POD_CAPS_MAX, "capabilities",
			     &ret->caps_add, err);

	if (r == 0)
		r = read_strings(json_object_get(caps, "drop"), POD_CAPS_MAX, "capabilities",
				 &ret->caps_drop, err);
	for (size_t i = 0; r == 0 && i < ret->caps_add.count; i++)
		if (!is_harmless_cap(ret->caps_add.items[i]) &&
		    !policy_allows_capability(policy, ret->caps_add.items[i]))
			r = spec_forbidden(err, ret->caps_add.items[i]);
	return r;
}

/* The value of the container where it has one, else the pod's. */
static const json_t *inherited(const json_t *own, const json_t *pods, const char *key)
{
	const json_t *value = json_object_get(own, key);

	return value ? value : json_object_get(pods, key);
}

static int read_id(const json_t *value, const char *what, int64_t *ret, struct err *err)
{
	*ret = POD_ID_UNSET;
	if (!value)
		return 0;
	*ret = json_integer_value(value);
	if (!json_is_integer(value) || *ret < 0 || *ret > INT32_MAX)
		return spec_malformed(err, what);
	return 0;
}

static int read_seccomp(const json_t *own, const json_t *pods, const struct policy *policy,
			struct security *ret, struct err *err)
{
	const char *type = spec_text(inherited(own, pods, "seccompProfile"), "type");

	if (!type || strcmp(type, "RuntimeDefault") == 0)
		return 0;
	if (strcmp(type, "Unconfined") != 0)
		return spec_unsupported(err, "seccompProfile type other than RuntimeDefault");
	ret->seccomp_unconfined = true;
	return policy->privileged ? 0 : spec_forbidden(err, "seccompProfile Unconfined");
}

static int read_security(const json_t *container, const json_t *pod, const struct policy *policy,
			 struct security *ret, struct err *err)
{
	const json_t *own = json_object_get(container, "securityContext");
	const json_t *pods = json_object_get(pod, "securityContext");
	int r;

	ret->run_as_non_root =
		json_is_true(inherited(own, pods, "runAsNonRoot")) || !policy->run_as_root;
	ret->privileged = spec_truth(own, "privileged");
	ret->read_only_root = spec_truth(own, "readOnlyRootFilesystem");
	ret->allow_escalation = !json_is_false(json_object_get(own, "allowPrivilegeEscalation"));
	if (ret->privileged && !policy->privileged)
		return spec_forbidden(err, "privileged");
	r = read_id(inherited(own, pods, "runAsUser"), "runAsUser", &ret->run_as_user, err);
	if (r == 0 && ret->run_as_user == 0 && !policy->run_as_root)
		r = spec_forbidden(err, "runAsUser 0");
	if (r == 0)
		r = read_id(inherited(own, pods, "runAsGroup"), "runAsGroup", &ret->run_as_group,
			    err);
	if (r == 0)
		r = read_caps(own, policy, ret, err);
	if (r == 0)
		r = read_seccomp(own, pods, policy, ret, err);
	return r;
}

const struct volume *spec_volume(const struct pod_spec *spec, const char *name)
{
	for (size_t i = 0; name && i < spec->volume_count; i++)
		if (strcmp(spec->volumes[i].name, name) == 0)
			return &spec->volumes[i];
	return NULL;
}

/* The token that Kubernetes mounts for talking to its API; there is none here, and nobody asked. */
static bool is_service_account_mount(const char *path)
{
	return path && strncmp(path, "/var/run/secrets/kubernetes.io/", 31) == 0;
}

/* A part of a volume, named or made of the environment. */
static int read_sub_path(const json_t *item, struct volume_mount *mount, struct err *err)
{
	const char *path = spec_text(item, "subPath"), *made = spec_text(item, "subPathExpr");

	if (path && !*path)
		path = NULL;
	if (made && !*made)
		made = NULL;
	if (path && made)
		return spec_malformed(err, "subPath beside subPathExpr");
	mount->sub_path = path ? path : made;
	mount->sub_path_expands = made != NULL;
	return !mount->sub_path || spec_is_relative_path(mount->sub_path)
		       ? 0
		       : spec_malformed(err, path ? "subPath" : "subPathExpr");
}

static int read_mounts(const json_t *container, const struct pod_spec *spec,
		       struct container_spec *ret, struct err *err)
{
	const json_t *list = json_object_get(container, "volumeMounts"), *item;
	size_t index;
	int r;

	if (json_array_size(json_object_get(container, "volumeDevices")) > 0)
		return spec_unsupported(err, "volumeDevices");
	if (list && (!json_is_array(list) || json_array_size(list) > POD_MOUNTS_MAX))
		return spec_malformed(err, "volumeMounts");
	ret->mounts = mem_alloc(json_array_size(list) + 1, sizeof(*ret->mounts));
	json_array_foreach (list, index, item) {
		struct volume_mount *mount = &ret->mounts[ret->mount_count];

		mount->volume = spec_volume(spec, spec_text(item, "name"));
		mount->path = spec_text(item, "mountPath");
		mount->read_only = spec_truth(item, "readOnly") ||
				   (mount->volume && (mount->volume->kind == VOLUME_PROJECTED ||
						      mount->volume->read_only));
		if (!mount->volume && is_service_account_mount(mount->path))
			continue;
		if (!mount->volume || !spec_is_absolute_path(mount->path))
			return spec_malformed(err, "volumeMounts");
		if (is_in_proc(mount->path))
			return spec_unsupported(err, "a volume in /proc");
		r = read_sub_path(item, mount, err);
		if (r < 0)
			return r;
		ret->mount_count++;
	}
	return 0;
}

static int read_pull(const json_t *container, const struct policy *policy,
		     struct container_spec *ret, struct err *err)
{
	const char *policy_text = spec_text(container, "imagePullPolicy");
	struct image_ref ref;
	int r = image_ref_parse(ret->image, &ref, err);

	if (r < 0)
		return r;
	if (!policy_allows_image(policy, ref.text))
		return err_set_status(err, -EACCES, 403,
				      "image %.200s is forbidden by this machine's local policy: "
				      "its registries",
				      ref.text);
	if (!policy_text)
		ret->pull = ref.is_latest ? PULL_ALWAYS : PULL_IF_NOT_PRESENT;
	else if (strcmp(policy_text, "Always") == 0)
		ret->pull = PULL_ALWAYS;
	else if (strcmp(policy_text, "IfNotPresent") == 0)
		ret->pull = PULL_IF_NOT_PRESENT;
	else if (strcmp(policy_text, "Never") == 0)
		ret->pull = PULL_NEVER;
	else
		return spec_malformed(err, "imagePullPolicy");
	return 0;
}

static int read_container(const json_t *container, const json_t *pod, const struct policy *policy,
			  struct pod_spec *spec, struct err *err)
{
	struct container_spec *ret = &spec->containers[spec->container_count];
	int r;

	ret->name = spec_text(container, "name");
	ret->image = spec_text(container, "image");
	ret->working_dir = spec_text(container, "workingDir");
	ret->tty = json_is_true(json_object_get(container, "tty"));
	ret->has_stdin = json_is_true(json_object_get(container, "stdin"));
	ret->stdin_once = json_is_true(json_object_get(container, "stdinOnce"));
	if (!spec_is_label(ret->name) || !ret->image)
		return spec_malformed(err, "container without a name or an image");
	if (ret->working_dir && !spec_is_absolute_path(ret->working_dir))
		return spec_malformed(err, "workingDir");
	if (ret->working_dir && is_in_proc(ret->working_dir))
		return spec_unsupported(err, "workingDir in /proc");
	for (size_t i = 0; i < spec->container_count; i++)
		if (strcmp(spec->containers[i].name, ret->name) == 0)
			return spec_malformed(err, "two containers of one name");
	spec->container_count++;
	r = read_strings(json_object_get(container, "command"), POD_ARGS_MAX, "command",
			 &ret->command, err);
	if (r == 0)
		r = read_strings(json_object_get(container, "args"), POD_ARGS_MAX, "args",
				 &ret->args, err);
	if (r == 0)
		r = spec_read_env(container, ret, err);
	if (r == 0)
		r = read_resources(container, &ret->resources, err);
	if (r == 0)
		r = read_security(container, pod, policy, &ret->security, err);
	if (r == 0)
		r = read_mounts(container, spec, ret, err);
	if (r == 0)
		r = read_pull(container, policy, ret, err);
	for (int kind = 0; r == 0 && kind < KUBE_PROBE_COUNT; kind++)
		r = kube_probe_read(container, (enum kube_probe_kind)kind, &ret->probes[kind], err);
	if (r == 0)
		r = kube_hook_read(container, true, &ret->post_start, err);
	if (r == 0)
		r = kube_hook_read(container, false, &ret->pre_stop, err);
	if (r < 0)
		return err_prefix(err, "container %s", ret->name);
	return 0;
}

static int read_containers(const json_t *pod, const struct policy *policy, struct pod_spec *spec,
			   struct err *err)
{
	const json_t *init = json_object_get(pod, "initContainers");
	const json_t *main_list = json_object_get(pod, "containers"), *item;
	size_t index;
	int r;

	if (json_array_size(main_list) == 0 ||
	    json_array_size(init) + json_array_size(main_list) > POD_CONTAINERS_MAX)
		return spec_malformed(err, "containers");
	spec->containers = mem_alloc(json_array_size(init) + json_array_size(main_list),
				     sizeof(*spec->containers));
	json_array_foreach (init, index, item) {
		if (spec_text(item, "restartPolicy"))
			return spec_unsupported(err, "restartPolicy of an init container");
		r = read_container(item, pod, policy, spec, err);
		if (r < 0)
			return r;
		spec->containers[spec->init_count++].init = true;
	}
	json_array_foreach (main_list, index, item) {
		r = read_container(item, pod, policy, spec, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Fields that would weaken isolation if they were ignored, or promise what is not kept. */
static int check_pod_fields(const json_t *pod, struct err *err)
{
	static const char *const refused[] = {"hostNetwork", "hostPID", "hostIPC",
					      "shareProcessNamespace"};
	const json_t *context = json_object_get(pod, "securityContext");

	for (size_t i = 0; i < ARRAY_LEN(refused); i++)
		if (spec_truth(pod, refused[i]))
			return spec_unsupported(err, refused[i]);
	if (json_array_size(json_object_get(context, "sysctls")) > 0)
		return spec_unsupported(err, "sysctls");
	return 0;
}

static int read_pod_context(const json_t *pod, struct pod_spec *spec, struct err *err)
{
	const json_t *context = json_object_get(pod, "securityContext"), *item;
	const json_t *groups = json_object_get(context, "supplementalGroups");
	const char *policy = spec_text(context, "fsGroupChangePolicy");
	size_t index;
	int r = read_id(json_object_get(context, "fsGroup"), "fsGroup", &spec->fs_group, err);

	if (r < 0)
		return r;
	if (json_array_size(groups) >= POD_GROUPS_MAX)
		return spec_malformed(err, "supplementalGroups");
	json_array_foreach (groups, index, item) {
		r = read_id(item, "supplementalGroups", &spec->groups[spec->group_count++], err);
		if (r < 0)
			return r;
	}
	spec->fs_group_on_mismatch = policy && strcmp(policy, "OnRootMismatch") == 0;
	if (spec->fs_group != POD_ID_UNSET)
		spec->groups[spec->group_count++] = spec->fs_group;
	return 0;
}

static int read_pod(const json_t *pod, struct pod_spec *spec, struct err *err)
{
	const char *restart = spec_text(pod, "restartPolicy");
	const json_t *grace = json_object_get(pod, "terminationGracePeriodSeconds");

	spec->restart = RESTART_ALWAYS;
	if (restart && strcmp(restart, "OnFailure") == 0)
		spec->restart = RESTART_ON_FAILURE;
	else if (restart && strcmp(restart, "Never") == 0)
		spec->restart = RESTART_NEVER;
	else if (restart && strcmp(restart, "Always") != 0)
		return spec_malformed(err, "restartPolicy");
	spec->grace_s = grace ? json_integer_value(grace) : POD_GRACE_S_DEFAULT;
	if (spec->grace_s < 0 || spec->grace_s > POD_GRACE_S_MAX)
		return spec_malformed(err, "terminationGracePeriodSeconds");
	spec->hostname = spec_text(pod, "hostname");
	if (spec->hostname && !spec_is_label(spec->hostname))
		return spec_malformed(err, "hostname");
	spec->service_account = spec_text(pod, "serviceAccountName");
	spec->no_token = json_is_false(json_object_get(pod, "automountServiceAccountToken"));
	if (!spec->engine)
		spec->engine = spec_text(pod, "runtimeClassName");
	return check_pod_fields(pod, err);
}

/* How many values there are in @value, itself included. As deep as the parser lets it be. */
static size_t count_values(const json_t *value)
{
	size_t count = 1, index;
	const char *key;
	json_t *item;

	json_array_foreach (value, index, item)
		count += count_values(item);
	json_object_foreach ((json_t *)(uintptr_t)value, key, item)
		count += count_values(item);
	return count;
}

static int read_root(struct bytes manifest, struct pod_spec *spec, struct err *err)
{
	json_error_t where;

	if (manifest.len > KUBE_MANIFEST_MAX)
		return spec_malformed(err, "manifest: its length");
	spec->root = json_loadb((const char *)manifest.ptr, manifest.len, 0, &where);
	if (!json_is_object(spec->root))
		return spec_malformed(err, "manifest");
	/* It stays in memory for as long as the pod is here. */
	if (count_values(spec->root) > KUBE_MANIFEST_NODES_MAX)
		return spec_malformed(err, "manifest: the number of its values");
	return 0;
}

/* Whose it is, and where its pod template lies. */
static int read_object(struct pod_spec *spec, const json_t **ret_pod, struct err *err)
{
	const json_t *metadata = json_object_get(spec->root, "metadata");
	const json_t *pod = json_object_get(spec->root, "spec"), *pod_metadata = metadata;
	const char *text;
	struct uid uid;

	spec->kind = spec_text(spec->root, "kind");
	spec->name = spec_text(metadata, "name");
	spec->namespace = spec_text(metadata, "namespace");
	spec->workload_uid = spec_text(metadata, "uid");
	spec->generation = json_integer_value(json_object_get(metadata, "generation"));
	if (!spec->kind || !spec->name || !spec_is_label(spec->namespace))
		return spec_malformed(err, "kind, metadata.name or metadata.namespace");
	if (!spec->workload_uid || !uid_parse(spec->workload_uid, &uid))
		return spec_malformed(err, "metadata.uid");
	spec->indexed = kube_job_is_indexed(spec->root) && strcmp(spec->kind, "Job") == 0;
	if (strcmp(spec->kind, "Pod") != 0) {
		const json_t *template = json_object_get(pod, "template");

		pod_metadata = json_object_get(template, "metadata");
		pod = json_object_get(template, "spec");
	}
	if (!json_is_object(pod))
		return spec_malformed(err, "pod specification");
	spec->labels = json_object_get(pod_metadata, "labels");
	spec->annotations = json_object_get(pod_metadata, "annotations");
	spec->engine = spec_text(spec->annotations, "magik.io/runtime");
	text = spec_text(spec->annotations, SVID_ANNOTATION);
	spec->svid = text && strcmp(text, "true") == 0;
	spec->app_label = spec_text(spec->labels, "app.kubernetes.io/name");
	if (!spec->app_label)
		spec->app_label = spec->name;
	*ret_pod = pod;
	return 0;
}

/* Whoever outranks others could push them off this machine. */
static int check_priority(const struct pod_spec *spec, const struct policy *policy, struct err *err)
{
	struct kube_priority priority;
	int r = kube_priority_read(spec->root, &priority, err);

	if (r == 0 && priority.value > policy->priority_max)
		return spec_forbidden(err, "a priority this high");
	return r;
}

int pod_spec_parse(struct bytes manifest, const struct policy *policy, struct pod_spec **ret_spec,
		   struct err *err)
{
	struct pod_spec *spec = mem_new(struct pod_spec);
	const json_t *pod = NULL;
	int r;

	spec->fs_group = POD_ID_UNSET;
	r = read_root(manifest, spec, err);
	if (r == 0)
		r = read_object(spec, &pod, err);
	if (r == 0)
		r = check_priority(spec, policy, err);
	if (r == 0)
		r = read_pod(pod, spec, err);
	if (r == 0)
		r = read_pod_context(pod, spec, err);
	if (r == 0)
		r = spec_read_volumes(pod, policy, spec, err);
	if (r == 0)
		r = read_containers(pod, policy, spec, err);
	if (r == 0 && spec->svid)
		spec_add_svid(spec);
	if (r < 0) {
		(void)pod_spec_free(spec);
		return r;
	}
	*ret_spec = spec;
	return 0;
}

struct pod_spec *pod_spec_free(struct pod_spec *spec)
{
	if (!spec)
		return NULL;
	for (size_t i = 0; spec->containers && i < spec->container_count; i++) {
		struct container_spec *container = &spec->containers[i];

		free(container->command.items);
		free(container->args.items);
		free(container->env);
		free(container->env_from);
		free(container->security.caps_add.items);
		free(container->security.caps_drop.items);
		free(container->mounts);
	}
	free(spec->containers);
	spec_free_volumes(spec);
	json_decref(spec->root);
	free(spec);
	return NULL;
}
