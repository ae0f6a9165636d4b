/* SPDX-License-Identifier: Apache-2.0 */
/* What the readers of a pod's parts share. Private to pod_spec.c, env_spec.c and volume_spec.c. */
#pragma once

#include "runtime/pod_spec.h"

enum {
	SPEC_PATH_MAX = 512, /* of what a manifest names; ours come before it */
};

/* Refusals: -EINVAL, -EOPNOTSUPP, -EACCES. */
int spec_malformed(struct err *err, const char *what);
int spec_unsupported(struct err *err, const char *what);
int spec_forbidden(struct err *err, const char *what);

const char *spec_text(const json_t *object, const char *key); /* NULL when there is none */
bool spec_truth(const json_t *object, const char *key);
bool spec_is_label(const char *text);
bool spec_is_absolute_path(const char *path);
bool spec_is_relative_path(const char *path);
const struct volume *spec_volume(const struct pod_spec *spec, const char *name);

_must_use_ int spec_read_quantity(const json_t *list, const char *key, bool milli, int64_t *ret,
				  struct err *err);

/* env_spec.c */
_must_use_ int spec_read_env(const json_t *container, struct container_spec *ret, struct err *err);
/* {name, optional}, with the name under @name_key. */
_must_use_ int spec_read_object(const json_t *source, const char *kind, const char *name_key,
				struct object_key *ret, struct err *err);
_must_use_ int spec_read_resource_field(const json_t *from, struct resource_field *ret,
					struct err *err);

/* volume_spec.c */
_must_use_ int spec_read_volumes(const json_t *pod, const struct policy *policy,
				 struct pod_spec *spec, struct err *err);
/* The volume of its own identity (svid.h); after volumes and containers have been read. */
void spec_add_svid(struct pod_spec *spec);
void spec_free_volumes(struct pod_spec *spec);
