/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pod specification: the part of a Kubernetes object that a machine carries out, checked.
 *
 * Made from the JSON of a Pod or of a workload with a pod template. What cannot be enforced here is
 * refused with a reason, not ignored; what the local policy forbids is refused too. Fields without
 * a bearing on this machine (affinity, ...) are not looked at: the API has spoken of them.
 *
 * A pod_spec owns the JSON it was made from; all its strings point into that. It does not change
 * after it is made, so worker threads may read it while the loop does.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/err.h"
#include "kube/probe.h"
#include "runtime/limits.h"
#include "runtime/policy.h"

enum {
	POD_CONTAINERS_MAX = 32, /* init containers included; the same bound as in tenders */
	POD_VOLUMES_MAX = 64,
	POD_MOUNTS_MAX = 64,
	POD_ENV_MAX = 1024,
	POD_ENV_FROM_MAX = 64,
	POD_PROJECTIONS_MAX = 64, /* sources of one projected volume */
	POD_ITEMS_MAX = 1024,     /* files that one source names */
	POD_ARGS_MAX = 1024,
	POD_GROUPS_MAX = 64,
	POD_CAPS_MAX = 64,
	POD_GRACE_S_DEFAULT = 30,
	POD_GRACE_S_MAX = 86400,
	POD_ID_UNSET = -1,
};

enum restart_policy {
	RESTART_ALWAYS,
	RESTART_ON_FAILURE,
	RESTART_NEVER,
};

enum pull_policy {
	PULL_IF_NOT_PRESENT,
	PULL_ALWAYS,
	PULL_NEVER,
};

enum volume_kind {
	VOLUME_EMPTY_DIR,
	VOLUME_MEMORY,
	VOLUME_HOST_PATH,
	VOLUME_PROJECTED, /* files made from objects and from what is known of the pod */
	VOLUME_CLAIM,     /* a directory that outlives the pod */
};

struct strings {
	const char **items;
	size_t count;
};

/* An object that lies beside the pod, or one key of it. */
struct object_key {
	const char *kind; /* "ConfigMap", "Secret" or "PersistentVolumeClaim" */
	const char *name;
	const char *key; /* NULL: all of it */
	bool optional;   /* without it there is nothing, and that is all right */
};

/* One figure of a container's resources. */
struct resource_field {
	const char *container; /* NULL: the one that asks */
	const char *resource;  /* "limits.cpu", "requests.memory", ... */
	int64_t divisor;       /* in thousandths for cpu, else in units; > 0 */
};

enum value_source {
	VALUE_TEXT,
	VALUE_FIELD,
	VALUE_RESOURCE,
	VALUE_OBJECT,
};

struct env_var {
	const char *name;
	enum value_source source;
	const char *value;      /* TEXT: may hold $(NAME) */
	const char *field_path; /* FIELD: "status.podIP" */
	struct resource_field resource;
	struct object_key object;
};

/* Every key of an object, with @prefix before it. */
struct env_from {
	struct object_key object;
	const char *prefix;
};

/* One file of a projected volume. */
struct projected_item {
	enum value_source source;
	const char *key;        /* OBJECT: where its content stands in the object */
	const char *field_path; /* FIELD */
	struct resource_field resource;
	const char *path; /* relative, without ".." */
	int mode;         /* POD_ID_UNSET: the volume's */
};

/* One source of a projected volume: an object's keys, or what is known of the pod. */
struct projection {
	struct object_key object; /* kind NULL: the items are fields and resources */
	struct projected_item *items;
	size_t item_count; /* of an object, 0: all its keys */
};

struct volume {
	const char *name;
	enum volume_kind kind;
	const char *host_path;
	int64_t size_bytes; /* of VOLUME_MEMORY; LIMITS_UNSET: half of the machine's */
	/* VOLUME_PROJECTED */
	bool in_memory; /* it may hold secrets, which no disk must see */
	int mode;       /* of its files */
	uid_t owner;    /* the same */
	struct projection *projections;
	size_t projection_count;
	/* VOLUME_CLAIM */
	const char *claim;
	bool read_only;
};

struct volume_mount {
	const struct volume *volume;
	const char *path;
	const char *sub_path;  /* NULL: the whole volume */
	bool sub_path_expands; /* it may hold $(NAME) */
	bool read_only;
};

struct security {
	int64_t run_as_user, run_as_group; /* POD_ID_UNSET: as the image says */
	bool run_as_non_root;
	bool privileged;
	bool read_only_root;
	bool allow_escalation;
	bool seccomp_unconfined;
	struct strings caps_add, caps_drop; /* as Kubernetes spells them: without CAP_ */
};

struct container_spec {
	const char *name;
	const char *image;
	bool init;
	bool tty, has_stdin, stdin_once; /* of the manifest */
	struct kube_probe probes[KUBE_PROBE_COUNT];
	struct kube_probe post_start, pre_stop;
	struct strings command, args;
	struct env_from *env_from;
	size_t env_from_count;
	struct env_var *env;
	size_t env_count;
	const char *working_dir; /* NULL: the image's */
	struct resources resources;
	struct security security;
	struct volume_mount *mounts;
	size_t mount_count;
	enum pull_policy pull;
};

struct pod_spec {
	json_t *root;
	const char *kind, *name, *namespace, *workload_uid;
	int64_t generation;
	const char *app_label; /* app.kubernetes.io/name, or the workload's name */
	const char *engine;    /* annotation or runtimeClassName; NULL: this machine's default */
	const char *hostname;  /* NULL: the pod's name */
	bool indexed;          /* a Job's whose pods know their slot */
	bool svid;             /* its application has an identity of its own (svid.h) */
	const char *service_account;
	bool no_token;                /* automountServiceAccountToken: false */
	json_t *labels, *annotations; /* of the pod; borrowed; may be NULL */
	enum restart_policy restart;
	int64_t grace_s;
	int64_t fs_group;
	bool fs_group_on_mismatch; /* only volumes that are not its already */
	int64_t groups[POD_GROUPS_MAX];
	size_t group_count;
	struct volume *volumes;
	size_t volume_count;
	struct container_spec *containers; /* init containers first, each group in order */
	size_t container_count, init_count;
};

/* -EINVAL (400) for what is malformed, -EOPNOTSUPP (422) for what this machine cannot do, -EACCES
 * (403) for what its policy forbids. */
_must_use_ int pod_spec_parse(struct bytes manifest, const struct policy *policy,
			      struct pod_spec **ret_spec, struct err *err);

struct pod_spec *pod_spec_free(struct pod_spec *spec);
