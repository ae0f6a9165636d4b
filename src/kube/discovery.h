/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Discovery: the documents by which clients learn what is served, made from resources.def.
 *
 * All are constant for one version of the program; results belong to the caller.
 */
#pragma once

#include <jansson.h>

#include "base/attr.h"

/* How a client wants /api and /apis. Aggregated answers carry their own content type. */
enum kube_discovery_form {
	KUBE_DISCOVERY_LEGACY,
	KUBE_DISCOVERY_V2,
	KUBE_DISCOVERY_V2BETA1,
};

/* Choose from the Accept header: the first form named that we have. NULL: legacy. */
enum kube_discovery_form kube_discovery_form(const char *accept);

/* The Content-Type of that form: without its parameters kubectl finds nothing. */
const char *kube_discovery_content_type(enum kube_discovery_form form);

/* GET /api and GET /apis. */
_must_use_ json_t *kube_discovery_core(enum kube_discovery_form form);
_must_use_ json_t *kube_discovery_groups(enum kube_discovery_form form);

/* GET /apis/<group>: an APIGroup, or NULL when there is no such group. */
_must_use_ json_t *kube_discovery_group(const char *group);

/* GET /api/v1 (group "") and GET /apis/<group>/<version>: an APIResourceList, or NULL. */
_must_use_ json_t *kube_discovery_resources(const char *group, const char *version);

/* GET /version. @release is this project's own version, "0.1.0". */
_must_use_ json_t *kube_discovery_version(const char *release, const char *platform);
