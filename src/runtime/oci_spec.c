/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/oci_spec.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kube/claim.h"
#include "runtime/claims.h"
#include "runtime/config.h"
#include "runtime/files.h"
#include "runtime/oci_env.h"
#include "runtime/pod_spec_read.h"
#include "runtime/pod_account.h"
#include "runtime/svid.h"

enum {
	NOFILE_SOFT = 65536, /* enough for servers, without surprising programs that loop over it */
};

static const char *const default_caps[] = {
	"CAP_CHOWN",   "CAP_DAC_OVERRIDE", "CAP_FOWNER",           "CAP_FSETID",
	"CAP_KILL",    "CAP_SETGID",       "CAP_SETUID",           "CAP_SETPCAP",
	"CAP_SETFCAP", "CAP_SYS_CHROOT",   "CAP_NET_BIND_SERVICE",
};

static const char *const all_caps[] = {
	"CAP_AUDIT_CONTROL",   "CAP_AUDIT_READ",   "CAP_AUDIT_WRITE",
	"CAP_BLOCK_SUSPEND",   "CAP_BPF",          "CAP_CHECKPOINT_RESTORE",
	"CAP_CHOWN",           "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH",
	"CAP_FOWNER",          "CAP_FSETID",       "CAP_IPC_LOCK",
	"CAP_IPC_OWNER",       "CAP_KILL",         "CAP_LEASE",
	"CAP_LINUX_IMMUTABLE", "CAP_MAC_ADMIN",    "CAP_MAC_OVERRIDE",
	"CAP_MKNOD",           "CAP_NET_ADMIN",    "CAP_NET_BIND_SERVICE",
	"CAP_NET_BROADCAST",   "CAP_NET_RAW",      "CAP_PERFMON",
	"CAP_SETFCAP",         "CAP_SETGID",       "CAP_SETPCAP",
	"CAP_SETUID",          "CAP_SYSLOG",       "CAP_SYS_ADMIN",
	"CAP_SYS_BOOT",        "CAP_SYS_CHROOT",   "CAP_SYS_MODULE",
	"CAP_SYS_NICE",        "CAP_SYS_PACCT",    "CAP_SYS_PTRACE",
	"CAP_SYS_RAWIO",       "CAP_SYS_RESOURCE", "CAP_SYS_TIME",
	"CAP_SYS_TTY_CONFIG",  "CAP_WAKE_ALARM",
};

void oci_user(const struct container_spec *container, const struct image_config *image,
	      char *ret_user, size_t size)
{
	const struct security *security = &container->security;

	if (security->run_as_user == POD_ID_UNSET) {
		(void)snprintf(ret_user, size, "%s", image->user);
		return;
	}
	if (security->run_as_group == POD_ID_UNSET)
		(void)snprintf(ret_user, size, "%" PRId64, security->run_as_user);
	else
		(void)snprintf(ret_user, size, "%" PRId64 ":%" PRId64, security->run_as_user,
			       security->run_as_group);
}

static void append_expanded(json_t *list, const struct strings *strings, const json_t *env)
{
	for (size_t i = 0; i < strings->count; i++)
		(void)json_array_append_new(list, env ? oci_env_expand(strings->items[i], env)
						      : json_string(strings->items[i]));
}

/* Kubernetes' table: command replaces the entry point and, alone, the image's arguments as well. */
static json_t *build_args(const struct oci_inputs *inputs, const json_t *own_env)
{
	const struct container_spec *container = inputs->container;
	json_t *args = json_array();

	if (container->command.count > 0)
		append_expanded(args, &container->command, own_env);
	else
		append_expanded(args, &inputs->image->entrypoint, NULL);
	if (container->args.count > 0)
		append_expanded(args, &container->args, own_env);
	else if (container->command.count == 0)
		append_expanded(args, &inputs->image->command, NULL);
	return args;
}

static bool has_cap(const struct strings *caps, const char *cap)
{
	for (size_t i = 0; i < caps->count; i++)
		if (strcmp(caps->items[i], "ALL") == 0 ||
		    strcmp(caps->items[i], cap + strlen("CAP_")) == 0 ||
		    strcmp(caps->items[i], cap) == 0)
			return true;
	return false;
}

static bool is_default_cap(const char *cap)
{
	for (size_t i = 0; i < ARRAY_LEN(default_caps); i++)
		if (strcmp(default_caps[i], cap) == 0)
			return true;
	return false;
}

/* A dropped capability may be added back by name: add wins, except over nothing but "ALL". */
static json_t *build_caps(const struct security *security, uint32_t uid)
{
	json_t *bounding = json_array(), *effective, *caps;

	for (size_t i = 0; i < ARRAY_LEN(all_caps); i++) {
		bool keep = security->privileged || has_cap(&security->caps_add, all_caps[i]) ||
			    (is_default_cap(all_caps[i]) &&
			     !has_cap(&security->caps_drop, all_caps[i]));

		if (keep)
			(void)json_array_append_new(bounding, json_string(all_caps[i]));
	}
	/* As on exec by a user without privileges: only root starts with what it may have. */
	effective = uid == 0 ? json_incref(bounding) : json_array();
	caps = json_pack("{s:O,s:O,s:O}", "bounding", bounding, "effective", effective, "permitted",
			 effective);
	json_decref(bounding);
	json_decref(effective);
	return caps;
}

static json_t *build_env_list(const json_t *env)
{
	json_t *list = json_array(), *value;
	const char *name;

	json_object_foreach ((json_t *)(uintptr_t)env, name, value)
		(void)json_array_append_new(list,
					    json_sprintf("%s=%s", name, json_string_value(value)));
	return list;
}

static json_t *build_user(const struct oci_inputs *inputs)
{
	const struct image_user *user = inputs->image_user;
	const struct security *security = &inputs->container->security;
	json_t *groups = json_array();
	int64_t gid = security->run_as_group != POD_ID_UNSET ? security->run_as_group : user->gid;

	for (size_t i = 0; i < user->group_count; i++)
		(void)json_array_append_new(groups, json_integer(user->groups[i]));
	for (size_t i = 0; i < inputs->pod->group_count; i++)
		(void)json_array_append_new(groups, json_integer(inputs->pod->groups[i]));
	return json_pack("{s:I,s:I,s:o}", "uid", (json_int_t)user->uid, "gid", (json_int_t)gid,
			 "additionalGids", groups);
}

static int build_process(const struct oci_inputs *inputs, json_t **ret_process, struct err *err)
{
	const struct container_spec *container = inputs->container;
	const char *cwd =
		container->working_dir ? container->working_dir : inputs->image->working_dir;
	uint64_t soft = inputs->nofile_max < NOFILE_SOFT ? inputs->nofile_max : NOFILE_SOFT;
	int score = limits_oom_score(&container->resources, inputs->facts.memory_capacity_bytes);
	json_t *env, *own, *args;
	int r;

	if (container->security.run_as_non_root && inputs->image_user->uid == 0)
		return err_set(err, -EINVAL,
			       "container has runAsNonRoot and the image would run as root");
	r = oci_env_build(inputs, &env, &own, err);
	if (r < 0)
		return r;
	args = build_args(inputs, own);
	if (container->tty && !json_object_get(env, "TERM"))
		(void)json_object_set_new(env, "TERM", json_string("xterm"));
	if (json_array_size(args) == 0)
		r = err_set(err, -EINVAL, "neither the manifest nor the image names a command");
	else
		*ret_process = json_pack(
			"{s:b,s:o,s:O,s:o,s:s,s:o,s:b,s:i,s:[{s:s,s:I,s:I}]}", "terminal",
			(int)container->tty, "user", build_user(inputs), "args", args, "env",
			build_env_list(env), "cwd", cwd ? cwd : "/", "capabilities",
			build_caps(&container->security, inputs->image_user->uid),
			"noNewPrivileges", !container->security.allow_escalation, "oomScoreAdj",
			score < inputs->oom_score_min ? inputs->oom_score_min : score, "rlimits",
			"type", "RLIMIT_NOFILE", "hard", (json_int_t)inputs->nofile_max, "soft",
			(json_int_t)soft);
	json_decref(args);
	json_decref(env);
	json_decref(own);
	return r;
}

/* @options is a comma-separated list. */
static void add_mount(json_t *mounts, const char *to, const char *type, const char *from,
		      const char *options)
{
	json_t *list = json_array();

	while (*options) {
		size_t len = strcspn(options, ",");

		(void)json_array_append_new(list, json_stringn(options, len));
		options += len + (options[len] == ',');
	}
	(void)json_array_append_new(mounts,
				    json_pack("{s:s,s:s,s:s,s:o}", "destination", to, "type", type,
					      "source", from, "options", list));
}

int oci_volume_path(const struct oci_inputs *inputs, const struct volume *volume,
		    struct path *ret_path, struct err *err)
{
	const struct object_key claim = {.kind = KUBE_CLAIM, .name = volume->claim};

	if (volume->kind == VOLUME_HOST_PATH)
		*ret_path = path_format("%s", volume->host_path);
	else if (volume->kind != VOLUME_CLAIM)
		*ret_path = path_format("%s/volumes/%s", inputs->pod_dir, volume->name);
	else if (claim_path(inputs->volumes_dir, config_find(inputs->config, &claim), ret_path) < 0)
		return err_set(err, -ENOENT, "persistentvolumeclaim \"%.200s\" not found",
			       volume->claim);
	return 0;
}

bool oci_mount_is_part(const struct volume_mount *mount)
{
	return mount->sub_path && mount->volume->kind != VOLUME_PROJECTED;
}

/* The first name in $(...) that expanding has left, as nothing has that name. */
static int check_expanded(const char *path, struct err *err)
{
	const char *name = strstr(path, "$(");

	if (name)
		return err_set(err, -EINVAL, "subPathExpr: there is no variable for %.60s", name);
	if (!spec_is_relative_path(path))
		return err_set(err, -EINVAL, "subPathExpr: \"%.100s\" is not a relative path",
			       path);
	return 0;
}

int oci_sub_path(const struct oci_inputs *inputs, const struct volume_mount *mount,
		 struct path *ret_path, struct err *err)
{
	json_t *env, *own, *expanded;
	int r;

	if (!mount->sub_path_expands) {
		*ret_path = path_format("%s", mount->sub_path);
		return 0;
	}
	r = oci_env_build(inputs, &env, &own, err);
	if (r < 0)
		return r;
	expanded = oci_env_expand(mount->sub_path, own);
	r = check_expanded(json_string_value(expanded), err);
	if (r == 0)
		*ret_path = path_format("%s", json_string_value(expanded));
	json_decref(expanded);
	json_decref(env);
	json_decref(own);
	return r;
}

static int add_volume(const struct oci_inputs *inputs, size_t index, json_t *mounts,
		      struct err *err)
{
	const struct volume_mount *mount = &inputs->container->mounts[index];
	struct path from, part;
	int r = oci_volume_path(inputs, mount->volume, &from, err);

	if (r == 0 && oci_mount_is_part(mount)) {
		from = path_format("%s/%zu", inputs->parts_dir, index);
	} else if (r == 0 && mount->sub_path) { /* as it is now, for good */
		r = oci_sub_path(inputs, mount, &part, err);
		if (r == 0)
			from = path_format("%s/volumes/%s/..data/%s", inputs->pod_dir,
					   mount->volume->name, part.text);
	}
	if (r < 0)
		return r;
	add_mount(mounts, mount->path, "bind", from.text,
		  mount->read_only ? "rbind,ro,rprivate" : "rbind,rw,rprivate");
	return 0;
}

/* A manifest may have something of its own there. */
static bool mounts_at(const struct container_spec *container, const char *path)
{
	size_t len = strlen(path);

	for (size_t i = 0; i < container->mount_count; i++) {
		const char *at = container->mounts[i].path;

		if (strncmp(at, path, len) == 0 && at[len + strspn(at + len, "/")] == '\0')
			return true;
	}
	return false;
}

static void add_account(const struct oci_inputs *inputs, json_t *mounts)
{
	char *files;

	if (!inputs->facts.has_account || inputs->pod->no_token ||
	    mounts_at(inputs->container, POD_ACCOUNT_DIR))
		return;
	files = pod_account_files(inputs->pod_dir);
	add_mount(mounts, POD_ACCOUNT_DIR, "bind", files, "bind,ro,rprivate,nosuid,nodev,noexec");
	free(files);
}

static int build_mounts(const struct oci_inputs *inputs, json_t **ret_mounts, struct err *err)
{
	const struct security *security = &inputs->container->security;
	const char *etc_options =
		security->read_only_root ? "bind,ro,rprivate" : "bind,rw,rprivate";
	static const char *const files[] = {"hosts", "hostname", "resolv.conf"};
	json_t *mounts = json_array();
	int r = 0;

	add_mount(mounts, "/proc", "proc", "proc", "nosuid,noexec,nodev");
	add_mount(mounts, "/dev", "tmpfs", "tmpfs", "nosuid,strictatime,mode=755,size=65536k");
	add_mount(mounts, "/dev/pts", "devpts", "devpts",
		  "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5");
	add_mount(mounts, "/dev/mqueue", "mqueue", "mqueue", "nosuid,noexec,nodev");
	add_mount(mounts, "/sys", "sysfs", "sysfs",
		  security->privileged ? "nosuid,noexec,nodev,rw" : "nosuid,noexec,nodev,ro");
	add_mount(mounts, "/sys/fs/cgroup", "cgroup", "cgroup",
		  security->privileged ? "nosuid,noexec,nodev,relatime,rw"
				       : "nosuid,noexec,nodev,relatime,ro");
	add_mount(mounts, "/dev/shm", "bind", path_format("%s/shm", inputs->pod_dir).text,
		  "bind,rw,nosuid,nodev,noexec,rprivate");
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		add_mount(mounts, path_format("/etc/%s", files[i]).text, "bind",
			  path_format("%s/etc/%s", inputs->pod_dir, files[i]).text, etc_options);
	if (inputs->pod->svid)
		add_mount(mounts, SVID_DIR, "bind",
			  path_format("%s/volumes/" SVID_VOLUME, inputs->pod_dir).text,
			  "rbind,ro,rprivate,nosuid,nodev,noexec");
	add_account(inputs, mounts);
	for (size_t i = 0; r == 0 && i < inputs->container->mount_count; i++)
		r = add_volume(inputs, i, mounts, err);
	if (r < 0)
		json_decref(mounts);
	else
		*ret_mounts = mounts;
	return r;
}

static json_t *build_resources(const struct oci_inputs *inputs)
{
	struct limits limits = limits_compute(&inputs->container->resources);
	json_t *cpu = json_pack("{s:I}", "shares", (json_int_t)limits.cpu_shares);
	json_t *memory = json_object();

	if (limits.cpu_quota_us != LIMITS_UNSET) {
		(void)json_object_set_new(cpu, "quota", json_integer(limits.cpu_quota_us));
		(void)json_object_set_new(cpu, "period", json_integer(limits.cpu_period_us));
	}
	if (limits.memory_bytes != LIMITS_UNSET) {
		(void)json_object_set_new(memory, "limit", json_integer(limits.memory_bytes));
		if (inputs->has_swap_limits)
			(void)json_object_set_new(memory, "swap",
						  json_integer(limits.memory_bytes));
	}
	return json_pack("{s:o,s:o,s:{s:I},s:[{s:b,s:s}]}", "cpu", cpu, "memory", memory, "pids",
			 "limit", (json_int_t)limits.pids, "devices", "allow",
			 inputs->container->security.privileged, "access", "rwm");
}

static json_t *build_namespaces(const struct oci_inputs *inputs)
{
	struct path net = path_format("%s/ns/net", inputs->pod_dir);
	struct path ipc = path_format("%s/ns/ipc", inputs->pod_dir);
	struct path uts = path_format("%s/ns/uts", inputs->pod_dir);

	return json_pack("[{s:s},{s:s},{s:s},{s:s,s:s},{s:s,s:s},{s:s,s:s}]", "type", "pid", "type",
			 "mount", "type", "cgroup", "type", "network", "path", net.text, "type",
			 "ipc", "path", ipc.text, "type", "uts", "path", uts.text);
}

static json_t *build_linux(const struct oci_inputs *inputs)
{
	json_t *os = json_pack("{s:o,s:s,s:o}", "namespaces", build_namespaces(inputs),
			       "cgroupsPath", inputs->cgroup, "resources", build_resources(inputs));

	if (inputs->container->security.privileged)
		return os;
	(void)json_object_set_new(os, "maskedPaths",
				  json_pack("[s,s,s,s,s,s,s,s,s,s]", "/proc/acpi", "/proc/asound",
					    "/proc/kcore", "/proc/keys", "/proc/latency_stats",
					    "/proc/timer_list", "/proc/timer_stats",
					    "/proc/sched_debug", "/proc/scsi", "/sys/firmware"));
	(void)json_object_set_new(os, "readonlyPaths",
				  json_pack("[s,s,s,s,s]", "/proc/bus", "/proc/fs", "/proc/irq",
					    "/proc/sys", "/proc/sysrq-trigger"));
	return os;
}

static json_t *build_annotations(const struct oci_inputs *inputs)
{
	const struct pod_spec *pod = inputs->pod;
	const struct security *security = &inputs->container->security;
	json_t *annotations =
		json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s}", "magik.pod_id", inputs->facts.uid,
			  "magik.namespace", pod->namespace, "magik.kind", pod->kind, "magik.name",
			  pod->name, "magik.local_peer_id", inputs->local_peer_id,
			  "io.kubernetes.pod.namespace", pod->namespace, "io.kubernetes.pod.name",
			  inputs->facts.name, "app.kubernetes.io/name", pod->app_label);

	if (!security->privileged && !security->seccomp_unconfined)
		(void)json_object_set_new(annotations, "run.oci.seccomp_bpf_data",
					  json_string(inputs->seccomp));
	return annotations;
}

int oci_spec_build(const struct oci_inputs *inputs, json_t **ret_spec, struct err *err)
{
	json_t *process = NULL, *mounts = NULL;
	int r = build_process(inputs, &process, err);

	if (r == 0)
		r = build_mounts(inputs, &mounts, err);
	if (r < 0) {
		json_decref(process);
		return r;
	}
	*ret_spec = json_pack("{s:s,s:o,s:{s:s,s:b},s:o,s:o,s:o}", "ociVersion", "1.0.2", "process",
			      process, "root", "path", inputs->rootfs, "readonly",
			      inputs->container->security.read_only_root, "mounts", mounts, "linux",
			      build_linux(inputs), "annotations", build_annotations(inputs));
	return *ret_spec ? 0 : err_set(err, -EINVAL, "configuration cannot be written as JSON");
}
