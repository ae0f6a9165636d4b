/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Environment of a container: image first, manifest over it; $(NAME) expanded as Kubernetes does.
 */
#pragma once

#include <jansson.h>

#include "base/attr.h"
#include "base/err.h"
#include "runtime/oci_spec.h"

/*
 * @ret_env: JSON object name -> value in order, everything; @ret_own: only what the manifest set,
 * which is all that $(NAME) in command and args may refer to. The caller owns both.
 */
_must_use_ int oci_env_build(const struct oci_inputs *inputs, json_t **ret_env, json_t **ret_own,
			     struct err *err);

/* Whether all that the environment needs of ConfigMaps and Secrets is in the snapshot @config: 0,
 * or -ENOENT with a sentence. oci_env_build() relies on it. */
_must_use_ int oci_env_check(const struct container_spec *container, const char *namespace,
			     const json_t *config, struct err *err);

/* $(NAME) from @env; unknown names stay as they are, $$ is one dollar sign. New string value. */
json_t *oci_env_expand(const char *text, const json_t *env);
